# test programs of src/ipsec
