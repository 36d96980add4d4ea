# test programs of src/ipsec
check_PROGRAMS += test/unit/test_ipsec
test_unit_test_ipsec_SOURCES = \
	test/unit/test_ipsec.c \
	test/unit/test_ipsec.h \
	test/unit/test_ipsec_label.c \
	test/unit/test_ipsec_replay.c \
	test/unit/test_ipsec_sa.c \
	test/unit/test_ipsec_sad.c \
	test/unit/test_ipsec_selector.c \
	test/unit/test_ipsec_spd.c
test_unit_test_ipsec_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ipsec_LDADD = $(LIBS_IPSEC) $(UNIT_LDADD)
TESTS += test/unit/test_ipsec
