# test programs of src/base
check_PROGRAMS += test/unit/test_base
test_unit_test_base_SOURCES = \
	test/unit/test_base.c \
	test/unit/test_base.h \
	test/unit/test_base_addr.c
test_unit_test_base_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_base_LDADD = $(LIBS_BASE) $(UNIT_LDADD)
TESTS += test/unit/test_base
