# files of src/crypto
