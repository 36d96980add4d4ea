# test programs of src/control
check_PROGRAMS += test/unit/test_control test/unit/test_dns test/unit/test_leasestore test/unit/test_seqstore
test_unit_test_control_SOURCES = \
	test/unit/test_control.c \
	test/unit/test_control.h \
	test/unit/test_control_antispoof.c \
	test/unit/test_control_format.c \
	test/unit/test_control_keying.c \
	test/unit/test_control_parts.c \
	test/unit/test_control_plan.c \
	test/unit/test_control_pmtu.c \
	test/unit/test_control_pool.c \
	test/unit/test_control_server.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_control_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_control_LDADD = $(LIBS_ALL) $(UNIT_LDADD)

test_unit_test_dns_SOURCES = test/unit/test_dns.c test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_dns_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_dns_LDADD = $(LIBS_ALL) $(UNIT_LDADD)

test_unit_test_leasestore_SOURCES = test/unit/test_leasestore.c test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_leasestore_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_leasestore_LDADD = $(LIBS_ALL) $(UNIT_LDADD)

test_unit_test_seqstore_SOURCES = test/unit/test_seqstore.c test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_seqstore_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_seqstore_LDADD = $(LIBS_ALL) $(UNIT_LDADD)
TESTS += test/unit/test_control test/unit/test_dns test/unit/test_leasestore test/unit/test_seqstore
