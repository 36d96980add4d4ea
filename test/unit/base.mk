# test programs of src/base
