# test programs of src/io
