# test programs of src/config
check_PROGRAMS += test/unit/test_config test/unit/test_config_broken test/unit/test_config_ike
test_unit_test_config_SOURCES = \
	test/unit/test_config.c \
	test/unit/test_config.h \
	test/unit/test_config_file.c \
	test/unit/test_config_page.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_config_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_config_LDADD = $(LIBS_CONFIG) $(UNIT_LDADD)
test_unit_test_config_broken_SOURCES = test/unit/ike_pki.c test/unit/ike_pki.h test/unit/test_config_broken.c \
	test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_config_broken_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_config_broken_LDADD = $(LIBS_CONFIG) $(UNIT_LDADD)
test_unit_test_config_ike_SOURCES = \
	test/unit/ike_pki.c \
	test/unit/ike_pki.h \
	test/unit/test_config_ike.c \
	test/unit/test_config_ike.h \
	test/unit/test_config_ike_auth.c \
	test/unit/test_config_ike_same.c \
	test/unit/test_config_ike_whole.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_config_ike_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_config_ike_LDADD = $(LIBS_CONFIG) $(UNIT_LDADD)
TESTS += test/unit/test_config test/unit/test_config_broken test/unit/test_config_ike
EXTRA_DIST += \
	test/unit/broken/README \
	test/unit/broken/access.list \
	test/unit/broken/auth.list \
	test/unit/broken/bridge.list \
	test/unit/broken/child.list \
	test/unit/broken/good.conf \
	test/unit/broken/ike.list \
	test/unit/broken/policy.list \
	test/unit/broken/sa.list \
	test/unit/broken/secret.list \
	test/unit/broken/syntax.list \
	test/unit/broken/top.list \
	test/unit/broken/tun.list
