# test programs of src/crypto
check_PROGRAMS += test/unit/test_crypto
test_unit_test_crypto_SOURCES = test/unit/test_crypto.c test/unit/test_crypto_cross.c \
	test/unit/test_crypto_json.c test/unit/test_crypto_rfc.c test/unit/crypto_vectors.h \
	test/unit/crypto_util.c test/unit/crypto_util.h
test_unit_test_crypto_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_crypto_LDADD = $(LIBS_CRYPTO) $(JANSSON_LIBS) $(UNIT_LDADD)
TESTS += test/unit/test_crypto

check_PROGRAMS += test/unit/test_ike_crypto
test_unit_test_ike_crypto_SOURCES = test/unit/test_ike_crypto.c test/unit/test_ike_dh.c \
	test/unit/test_ike_dh_json.c test/unit/test_ike_sig.c test/unit/test_ike_sig_key.c \
	test/unit/test_ike_sk.c \
	test/unit/ike_crypto.h test/unit/ike_vectors.h test/unit/crypto_util.c \
	test/unit/crypto_util.h
test_unit_test_ike_crypto_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_crypto_LDADD = $(LIBS_CRYPTO) $(JANSSON_LIBS) $(UNIT_LDADD)
TESTS += test/unit/test_ike_crypto
