/*
 * Two engines that speak IKEv1, phase 1 in both of its modes: the choice of suite and version,
 * proof by PSK and by certificate, and who is refused. Also the runner of this program; the
 * other parts are named in test_ike_v1_duo.h.
 */
#include "ike_duo_pki.h"
#include "test_ike_v1_duo.h"

START_TEST(test_main_psk)
{
	v1duo_up();
	/* three of Main Mode and two of Quick Mode; three and one */
	ck_assert_uint_eq(d.a.sent, 5);
	ck_assert_uint_eq(d.b.sent, 4);
	ck_assert(!duo_child(&d.a, 0)->up.udp);
}
END_TEST

START_TEST(test_aggressive_psk)
{
	v1duo_aggressive();
	v1duo_up();
	ck_assert_uint_eq(d.a.sent, 4);
	ck_assert_uint_eq(d.b.sent, 2);
}
END_TEST

START_TEST(test_aggressive_must_be_allowed)
{
	d.a.conn->aggressive = true;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

static const struct {
	const char *ike, *esp;
} suites[] = {
	{ "3des-md5-modp768", "des-md5" },
	{ "des-sha1-modp1024", "3des-sha1" },
	{ "aes256-sha384-ecp384", "aes256gcm16-ecp384" },
	{ "aes192-sha512-ecp521", "aes192-sha512-ecp521" },
	{ "aes128-sha1-modp1536", "aes128ctr-sha256-modp1536" },
	{ "aes256-sha256-modp2048", "aes256ccm12" },
	{ "aes128-sha256-ecp256", "aes128-sha384-esn" },
	{ "aes128-sha256-ecp256", "aes128gmac" },
	{ "aes128-sha256-ecp256", "aes128-aesxcbc-ecp256" },
	{ "aes128-sha256-ecp256", "null-sha256" },
	{ "aes256-sha256-modp3072", "aes256-sha256-modp3072" },
	{ "aes256-sha256-modp4096", "aes256-sha256" },
	{ "aes256-sha256-modp6144", "aes256-sha256" },
	{ "aes256-sha256-modp8192", "aes256-sha256" },
};

START_TEST(test_suites)
{
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, suites[_i].ike);
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, suites[_i].ike);
	v1duo_esp(suites[_i].esp);
	v1duo_up();
}
END_TEST

START_TEST(test_ike_refused)
{
	if (_i)
		v1duo_aggressive();
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

static bool no_notifies(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	return m->p[18] != IKE1_X_INFO;
}

/* 1: Aggressive Mode; 2: the peer says nothing about what it cannot read. */
START_TEST(test_wrong_psk)
{
	if (_i == 1)
		v1duo_aggressive();
	d.hook = _i == 2 ? no_notifies : NULL;
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "make the secrets of both sides equal");
	if (_i != 1) {
		ck_assert_uint_gt(d.b.audited[AUDIT_MESSAGE], 0);
		ck_assert_ptr_nonnull(strstr(d.b.audit_text, "make the secrets of both sides equal"));
	}
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.b.count[IKE_EV_SA_UP], 0);
}
END_TEST

START_TEST(test_no_psk)
{
	d.b.conf->psks.psk[0].id[0].data[0] = 'x';
	d.b.conf->psks.psk[0].id[1].data[0] = 'y';
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "it may have no secret for our address");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "secret"));
}
END_TEST

/* Main Mode with a PSK knows the peer only by its address: a secret for that is enough. */
START_TEST(test_psk_by_address)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		ident_fini(&n[i]->conn->auth.id);
		ident_fini(&n[i]->conn->peer.id);
		duo_ident(&n[i]->conf->psks.psk[0].id[0], "192.0.2.1");
		duo_ident(&n[i]->conf->psks.psk[0].id[1], "192.0.2.2");
	}
	v1duo_up();
}
END_TEST

START_TEST(test_unknown_id)
{
	if (_i)
		v1duo_aggressive();
	duo_ident(&d.a.conn->auth.id, "stranger.example");
	duo_conf_psk(d.a.conf, "stranger.example", "b.example", "a secret of both");
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_ptr_nonnull(strstr(d.b.audit_text, "stranger.example"));
	ck_assert_ptr_nonnull(strstr(d.b.audit_text, "remote id"));
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_wrong_responder)
{
	if (_i)
		v1duo_aggressive();
	duo_ident(&d.b.conn->auth.id, "c.example");
	duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "the peer says it is c.example");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

/* version = 0: a responder that takes either, and a peer of each kind. */
START_TEST(test_either_version)
{
	d.b.conn->version = 0;
	d.a.conn->version = (uint8_t)(_i + 1);
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	v1duo_up();
}
END_TEST

/* As initiator it starts with 2; a peer that has only 1 is not reached so. */
START_TEST(test_either_version_starts_with_2)
{
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	d.a.conn->version = 0;
	d.b.conn->version = (uint8_t)_i;
	d.a.conf->retransmit.tries = 1;
	duo_start(&d);
	if (_i == 1) {
		duo_up_fails(&d, &d.a, "b", "");
		return;
	}
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(v1duo_sa(&d.a)->major, 2);
	ck_assert_uint_eq(v1duo_sa(&d.b)->major, 2);
	duo_agree(&d);
}
END_TEST

START_TEST(test_version_2_refuses_1)
{
	d.b.conn->version = 2;
	d.a.conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(d.b.sent, 0);
}
END_TEST

static TCase *psk_case(void)
{
	TCase *t = v1duo_case("phase 1");

	tcase_add_test(t, test_main_psk);
	tcase_add_test(t, test_aggressive_psk);
	tcase_add_test(t, test_aggressive_must_be_allowed);
	tcase_add_loop_test(t, test_suites, 0, (int)ARRAY_LEN(suites));
	tcase_add_loop_test(t, test_ike_refused, 0, 2);
	tcase_add_loop_test(t, test_wrong_psk, 0, 3);
	tcase_add_test(t, test_no_psk);
	tcase_add_test(t, test_psk_by_address);
	tcase_add_loop_test(t, test_unknown_id, 0, 2);
	tcase_add_loop_test(t, test_wrong_responder, 0, 2);
	tcase_add_loop_test(t, test_either_version, 0, 2);
	tcase_add_loop_test(t, test_either_version_starts_with_2, 0, 3);
	tcase_add_test(t, test_version_2_refuses_1);
	return t;
}

/* ---- certificates */

START_TEST(test_cert)
{
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P384, PKI_P521 };
	if (_i >= 4)
		v1duo_aggressive();
	duo_certs(&d, kinds[_i % 4]);
	d.job_jitter_ns = 10 * NS_PER_MS;
	v1duo_up();
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_without_method)
{
	duo_certs(&d, PKI_ED25519);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "IKEv1 cannot authenticate so");
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_fragments)
{
	duo_certs(&d, PKI_RSA);
	d.a.conn->fragment_size = d.b.conn->fragment_size = 576;
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.lose = _i * 10;
	d.jitter_ns = 30 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_gt(d.b.sent, 4);
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_of_nobody)
{
	if (_i)
		v1duo_aggressive();
	duo_certs(&d, PKI_P256);
	cred_cas_unref(&d.b.conf->cas);
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 0);
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_responder_of_nobody)
{
	if (_i)
		v1duo_aggressive();
	duo_certs(&d, PKI_P256);
	cred_cas_unref(&d.a.conf->cas);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	duo_certs_end();
}
END_TEST

START_TEST(test_method_mismatch)
{
	duo_certs(&d, PKI_P256);
	d.b.conn->auth.method = d.b.conn->peer.method = IKE_BY_PSK;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	duo_certs_end();
}
END_TEST

static TCase *cert_case(void)
{
	TCase *t = v1duo_case("certificates");

	tcase_add_loop_test(t, test_cert, 0, 8);
	tcase_add_test(t, test_cert_without_method);
	tcase_add_loop_test(t, test_cert_fragments, 0, 2);
	tcase_add_loop_test(t, test_cert_of_nobody, 0, 2);
	tcase_add_loop_test(t, test_cert_responder_of_nobody, 0, 2);
	tcase_add_test(t, test_method_mismatch);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ike_v1_duo");

	suite_add_tcase(s, psk_case());
	suite_add_tcase(s, cert_case());
	suite_add_tcase(s, v1duo_rare_case());
	suite_add_tcase(s, v1duo_quick_case());
	suite_add_tcase(s, v1duo_commit_case());
	suite_add_tcase(s, v1duo_rekey_case());
	suite_add_tcase(s, v1duo_wire_case());
	suite_add_tcase(s, v1duo_random_case());
	suite_add_tcase(s, v1duo_section5_case());
	suite_add_tcase(s, v1duo_cookie_case());
	suite_add_tcase(s, v1duo_lifetime_case());
	suite_add_tcase(s, v1duo_hook_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
