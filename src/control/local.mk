# files of src/control
