# test programs of src/config
