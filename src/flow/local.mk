# files of src/flow
