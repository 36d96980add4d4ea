# test programs of src/plane
