# test programs of src/control
