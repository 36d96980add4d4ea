# test program of src/ike
check_PROGRAMS += test/unit/test_ike_msg
test_unit_test_ike_msg_SOURCES = \
	test/unit/ike_sample.c \
	test/unit/ike_sample.h \
	test/unit/pcap.c \
	test/unit/pcap.h \
	test/unit/test_ike.h \
	test/unit/test_ike_captures.c \
	test/unit/test_ike_msg.c \
	test/unit/test_ike_proposal.c
test_unit_test_ike_msg_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_msg_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_msg

check_PROGRAMS += test/unit/test_ike_ident
test_unit_test_ike_ident_SOURCES = test/unit/ike_pki.c test/unit/ike_pki.h test/unit/test_ike_ident.c \
	test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_ike_ident_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_ident_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_ident

check_PROGRAMS += test/unit/test_ike_keys
test_unit_test_ike_keys_SOURCES = \
	test/unit/crypto_util.c \
	test/unit/crypto_util.h \
	test/unit/test_ike_gate.c \
	test/unit/test_ike_keymat.c \
	test/unit/test_ike_keys.h \
	test/unit/test_ike_seal.c \
	test/unit/test_ike_ts.c
test_unit_test_ike_keys_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_keys_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_keys

check_PROGRAMS += test/unit/test_ike_cred
test_unit_test_ike_cred_SOURCES = \
	test/unit/ike_pki.c \
	test/unit/ike_pki.h \
	test/unit/test_ike_chain.c \
	test/unit/test_ike_cred.c \
	test/unit/test_ike_cred.h \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_ike_cred_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -Wno-deprecated-declarations
test_unit_test_ike_cred_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_cred

check_PROGRAMS += test/unit/test_ike_auth
test_unit_test_ike_auth_SOURCES = test/unit/ike_pki.c test/unit/ike_pki.h test/unit/test_ike_auth.c \
	test/unit/unit_folder.c test/unit/unit_folder.h
test_unit_test_ike_auth_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -Wno-deprecated-declarations
test_unit_test_ike_auth_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_auth

check_PROGRAMS += test/unit/test_ike_v1
test_unit_test_ike_v1_SOURCES = \
	test/unit/crypto_util.c \
	test/unit/crypto_util.h \
	test/unit/ike_v1_recorded.h \
	test/unit/ike_v1_rules.h \
	test/unit/test_ike_pool.c \
	test/unit/test_ike_v1.h \
	test/unit/test_ike_v1_crypt.c \
	test/unit/test_ike_v1_recorded.c \
	test/unit/test_ike_v1_sa.c \
	test/unit/test_ike_v1_section5.c
test_unit_test_ike_v1_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_v1_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_v1

check_PROGRAMS += test/unit/test_ike_duo
test_unit_test_ike_duo_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_pki.c \
	test/unit/ike_duo_pki.h \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/ike_pki.c \
	test/unit/ike_pki.h \
	test/unit/test_ike_duo.c \
	test/unit/test_ike_duo.h \
	test/unit/test_ike_duo_auth.c \
	test/unit/test_ike_duo_path.c \
	test/unit/test_ike_duo_wire.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_ike_duo_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_duo_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_duo

check_PROGRAMS += test/unit/test_ike_conflict
test_unit_test_ike_conflict_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/ike_pki.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h \
	test/unit/ike_pki.h \
	test/unit/test_ike_conflict.c
test_unit_test_ike_conflict_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_conflict_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_conflict

check_PROGRAMS += test/unit/test_ike_change
test_unit_test_ike_change_SOURCES = \
	test/unit/ike_change.c \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_change.h \
	test/unit/test_ike_dpd.c \
	test/unit/test_ike_life.c \
	test/unit/test_ike_rekey.c
test_unit_test_ike_change_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_change_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_change

check_PROGRAMS += test/unit/test_ike_selectors
test_unit_test_ike_selectors_SOURCES = \
	test/unit/ike_change.c \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_change.h \
	test/unit/test_ike_selectors.c
test_unit_test_ike_selectors_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_selectors_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_selectors

# BUMPWIRE_SEEDS=5000 test/unit/test_ike_chaos, or make fuzz FUZZ='ike*chaos': as long as one likes
check_PROGRAMS += test/unit/test_ike_chaos
test_unit_test_ike_chaos_SOURCES = \
	test/unit/ike_change.c \
	test/unit/ike_chaos.h \
	test/unit/ike_chaos_v1.c \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_road.c \
	test/unit/ike_duo_road.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_change.h \
	test/unit/test_ike_chaos.c
test_unit_test_ike_chaos_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_chaos_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_chaos

check_PROGRAMS += test/unit/test_ike_conn
test_unit_test_ike_conn_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_conn.c
test_unit_test_ike_conn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_conn_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_conn

check_PROGRAMS += test/unit/test_ike_reload
test_unit_test_ike_reload_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_reload.c
test_unit_test_ike_reload_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_reload_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_reload

check_PROGRAMS += test/unit/test_ike_words
test_unit_test_ike_words_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_words.c
test_unit_test_ike_words_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_words_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_words

check_PROGRAMS += test/unit/test_ike_odd
test_unit_test_ike_odd_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/test_ike_odd.c
test_unit_test_ike_odd_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_odd_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_odd

check_PROGRAMS += test/unit/test_ike_v1_duo
test_unit_test_ike_v1_duo_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_pki.c \
	test/unit/ike_duo_pki.h \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/ike_pki.c \
	test/unit/ike_pki.h \
	test/unit/ike_v1_duo.c \
	test/unit/ike_v1_rules.h \
	test/unit/pcap.c \
	test/unit/pcap.h \
	test/unit/test_ike_v1_audit.c \
	test/unit/test_ike_v1_cookie.c \
	test/unit/test_ike_v1_duo.c \
	test/unit/test_ike_v1_duo.h \
	test/unit/test_ike_v1_hook.c \
	test/unit/test_ike_v1_lifetime.c \
	test/unit/test_ike_v1_quick.c \
	test/unit/test_ike_v1_rare.c \
	test/unit/test_ike_v1_rekey.c \
	test/unit/test_ike_v1_wire.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h
test_unit_test_ike_v1_duo_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_v1_duo_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_v1_duo

check_PROGRAMS += test/unit/test_ike_v1_xauth
test_unit_test_ike_v1_xauth_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/ike_pki.c \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h \
	test/unit/ike_pki.h \
	test/unit/test_ike_v1_xauth.c
test_unit_test_ike_v1_xauth_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_v1_xauth_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_v1_xauth

check_PROGRAMS += test/unit/test_ike_v1_rules
test_unit_test_ike_v1_rules_SOURCES = \
	test/unit/ike_duo.c \
	test/unit/ike_duo.h \
	test/unit/ike_duo_conf.c \
	test/unit/ike_duo_sad.c \
	test/unit/ike_duo_sad.h \
	test/unit/ike_pki.c \
	test/unit/ike_pki.h \
	test/unit/unit_folder.c \
	test/unit/unit_folder.h \
	test/unit/test_ike_v1_rules.c
test_unit_test_ike_v1_rules_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_ike_v1_rules_LDADD = $(LIBS_IKE) $(UNIT_LDADD)
TESTS += test/unit/test_ike_v1_rules
