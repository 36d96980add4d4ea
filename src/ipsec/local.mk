# files of src/ipsec
