# files of src/packet
