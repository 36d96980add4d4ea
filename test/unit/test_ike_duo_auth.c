/*
 * The first exchanges: proof by certificate, which connection the responder takes by who asks
 * and how, and what becomes of the SA that was there before.
 */
#include "crypto/prf.h"
#include "ike_duo_pki.h"
#include "test_ike_duo.h"

/* ---- certificates */

START_TEST(test_cert)
{
	duo_certs(&d, (enum pki_key)_i);
	if (_i == PKI_RSA_PSS)
		d.a.conn->auth.pss = d.b.conn->auth.pss = true;
	d.job_jitter_ns = 10 * NS_PER_MS;
	first_up();
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_fragments)
{
	duo_certs(&d, PKI_RSA);
	d.a.conn->fragment_size = d.b.conn->fragment_size = 576;
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.lose = 10;
	d.jitter_ns = 30 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_gt(d.b.sent, 3);
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_wrong_identity)
{
	duo_certs(&d, PKI_P256);
	duo_ident(&d.a.conn->auth.id, "x.example");
	duo_ident(&d.b.conn->peer.id, "x.example");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "x.example"));
	duo_certs_end();
}
END_TEST

START_TEST(test_cert_expired)
{
	duo_certs(&d, PKI_P256);
	d.wall_ns += 500ull * PKI_DAY * NS_PER_S;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "expired"));
	duo_certs_end();
}
END_TEST

/* Only the responder proves itself wrongly: the initiator says why, the responder's SA goes. */
START_TEST(test_cert_responder_bad)
{
	duo_certs(&d, PKI_P256);
	cred_cas_unref(&d.a.conf->cas);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(d.a.audited[AUDIT_PEER_AUTH], 1);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	/* and knows why (RFC 7296 2.21.2) */
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "refused our proof"));
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_SA_DOWN)->text, "refused our proof"));
	duo_certs_end();
}
END_TEST

START_TEST(test_method_mismatch)
{
	duo_certs(&d, PKI_P256);
	d.b.conn->peer.method = IKE_BY_PSK;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "wants psk"));
	duo_certs_end();
}
END_TEST

TCase *first_cert_case(void)
{
	TCase *t = first_case("certificates");

	tcase_add_loop_test(t, test_cert, 0, PKI_KEYS);
	tcase_add_test(t, test_cert_fragments);
	tcase_add_test(t, test_cert_wrong_identity);
	tcase_add_test(t, test_cert_expired);
	tcase_add_test(t, test_cert_responder_bad);
	tcase_add_test(t, test_method_mismatch);
	return t;
}

/* ---- choice of connection */

/* Two connections for the same addresses: the identity decides. */
START_TEST(test_switch_by_identity)
{
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "better", "192.0.2.2", "192.0.2.1");
	duo_conf_child(c, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_ident(&d.b.conn->peer.id, "*.wrong");
	duo_ident(&c->auth.id, "b.example");
	duo_ident(&c->peer.id, "*.example");
	first_up();
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_SA_UP)->conn, "better");
}
END_TEST

/* Networks as remote ids: the one that has the peer's address most exactly. Either side may begin. */
START_TEST(test_network_ids)
{
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "better", "192.0.2.2", "192.0.2.1");

	duo_conf_child(c, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_ident(&c->auth.id, "b.example");
	duo_ident(&c->peer.id, "192.0.2.0/28");
	duo_ident(&d.b.conn->peer.id, "192.0.0.0-192.0.2.255");
	duo_ident(&d.a.conn->auth.id, "192.0.2.1");
	duo_conf_psk(d.a.conf, "192.0.2.1", "b.example", "of addresses");
	duo_conf_psk(d.b.conf, "192.0.2.0/24", "b.example", "of addresses");
	duo_start(&d);
	if (_i)
		duo_up(&d, &d.b, "better");
	else
		duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_SA_UP)->conn, "better");
}
END_TEST

/* An address outside. */
START_TEST(test_network_id_elsewhere)
{
	duo_ident(&d.b.conn->peer.id, "192.0.2.128/25");
	duo_ident(&d.a.conn->auth.id, "192.0.2.1");
	duo_conf_psk(d.a.conf, "192.0.2.1", "b.example", "of addresses");
	duo_conf_psk(d.b.conf, "192.0.2.1", "b.example", "of addresses");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "192.0.2.128/25"));
}
END_TEST

/* The first that fits by identity has another kind of proof: the next is tried. */
START_TEST(test_switch_by_auth)
{
	duo_certs(&d, PKI_P256);
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "psk", "192.0.2.2", "192.0.2.1");
	duo_conf_child(c, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_ident(&c->auth.id, "b.example");
	duo_ident(&c->peer.id, "a.example");
	d.a.conn->auth.method = d.a.conn->peer.method = IKE_BY_PSK;
	first_up();
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_SA_UP)->conn, "psk");
	duo_certs_end();
}
END_TEST

START_TEST(test_initial_contact)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	duo_up(&d, &d.a, "b");
	/* b has thrown away what a knows nothing of; it accepts what is on its way a little longer
	 */
	duo_run(&d, 6 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static void take_prf(const struct ike_sa_view *v, void *arg)
{
	if (strcmp(v->state, "established") == 0)
		*(unsigned *)arg = proposal_alg(v->proposal, IKE_T_PRF)->id;
}

static unsigned prf_of(struct duo_node *n)
{
	unsigned prf = 0;

	ike_each_sa(n->ike, take_prf, &prf);
	return prf;
}

/* Rekeyed from either side, the SA keeps its PRF, whatever each prefers. */
START_TEST(test_rekey_keeps_prf)
{
	char why[128];
	uint64_t order;

	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha256-prfsha384-curve25519");
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha384-prfsha256-curve25519");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(prf_of(&d.a), PRF_HMAC_SHA2_384);
	struct duo_node *n = _i ? &d.a : &d.b;
	ck_assert_int_eq(ike_rekey(n->ike, _i ? "b" : "a", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, n, order)->type, IKE_EV_DONE);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_REKEYED], 1);
	ck_assert_uint_eq(prf_of(&d.a), PRF_HMAC_SHA2_384);
	ck_assert_uint_eq(prf_of(&d.b), PRF_HMAC_SHA2_384);
	duo_agree(&d);
}
END_TEST

START_TEST(test_unique_keep)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	char why[128];
	uint64_t order;
	ck_assert_int_lt(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "up already"));
	ck_assert_int_lt(ike_initiate(d.a.ike, "none", &order, why, sizeof(why)), 0);
	ck_assert_int_lt(ike_terminate(d.b.ike, "none", &order, why, sizeof(why)), 0);
}
END_TEST

TCase *first_choice_case(void)
{
	TCase *t = first_case("choice");

	tcase_add_test(t, test_switch_by_identity);
	tcase_add_loop_test(t, test_network_ids, 0, 2);
	tcase_add_test(t, test_network_id_elsewhere);
	tcase_add_test(t, test_switch_by_auth);
	tcase_add_test(t, test_initial_contact);
	tcase_add_loop_test(t, test_rekey_keeps_prf, 0, 2);
	tcase_add_test(t, test_unique_keep);
	return t;
}
