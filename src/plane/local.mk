# files of src/plane
