# test programs of src/crypto
