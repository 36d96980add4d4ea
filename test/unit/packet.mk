# test programs of src/packet
