/*
 * The exchanges of RFC 2408 4 that are off unless configured: Base (4.4) and Authentication
 * Only (4.6), who is refused in them, and that neither side lets in an exchange it is not
 * configured for.
 */
#include "ike/v1/v1.h"
#include "ike_duo_pki.h"
#include "test_ike_v1_duo.h"

static void exchange(enum ike_exchange e)
{
	struct duo_node *n[] = { &d.a, &d.b };

	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->exchange = e;
		if (e == IKE_EXCHANGE_AUTH)
			duo_conf_childless(n[i]->conn);
	}
}

/* RFC 2408 4.4: two messages each way, and then as after Main Mode. */
START_TEST(test_base)
{
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P521 };

	exchange(IKE_EXCHANGE_BASE);
	if (_i)
		duo_certs(&d, kinds[_i - 1]);
	v1duo_up();
	ck_assert_uint_eq(d.a.sent, 2 + 2);
	ck_assert_uint_eq(d.b.sent, 2 + 1);
	uint64_t order;
	ck_assert_int_eq(ike_rekey(d.b.ike, "a", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.b, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_agree(&d);
	if (_i)
		duo_certs_end();
}
END_TEST

START_TEST(test_base_on_a_bad_wire)
{
	exchange(IKE_EXCHANGE_BASE);
	d.nat = _i & 1;
	d.seed = 300 + (uint64_t)_i;
	d.lose = d.duplicate = 20;
	d.jitter_ns = 50 * NS_PER_MS;
	d.job_jitter_ns = 30 * NS_PER_MS;
	d.a.conf->retransmit = d.b.conf->retransmit = (struct ike_retransmit){ 2 * NS_PER_S, 1.2, 30, 0 };
	d.b.conf->half_open_ns = 300 * NS_PER_S;
	duo_start(&d);
	if (d.nat)
		d.b.conn->remote[0].range = (struct ip_range){ { .ver = 0 }, { .ver = 0 } };
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 0;
	duo_run(&d, 120 * NS_PER_S);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.udp, d.nat);
	duo_agree(&d);
}
END_TEST

static bool spoil(struct duo *duo, struct duo_msg *m)
{
	struct endpoint to = m->dst, from = m->src;
	uint8_t copy[4096];

	/* the responder's proof: the same message with another one comes first */
	if (m->from != &duo->b || m->p[16] == IKE1_N || (m->p[18] == IKE1_X_BASE && m->p[16] == IKE1_SA))
		return true;
	duo->hook = NULL;
	ck_assert_uint_le(m->len, sizeof(copy));
	memcpy(copy, m->p, m->len);
	copy[m->len - 1] ^= 0x55;
	ike_receive(duo->a.ike, &to, &from, false, copy, m->len);
	return true;
}

/* Who does not have the secret is refused by either; a forged answer is not the end. */
START_TEST(test_rare_exchange_proofs)
{
	exchange(_i & 1 ? IKE_EXCHANGE_AUTH : IKE_EXCHANGE_BASE);
	d.a.conf->retransmit.tries = 2;
	if (_i < 2) {
		secret_free(&d.b.conf->psks.psk[0].key);
		ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
		duo_start(&d);
		duo_up_fails(&d, &d.a, "b", "");
		ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.b.count[IKE_EV_SA_UP], 0);
	} else if (_i < 4) {
		duo_ident(&d.a.conn->auth.id, "stranger.example");
		duo_conf_psk(d.a.conf, "stranger.example", "b.example", "a secret of both");
		duo_start(&d);
		if (_i == 2) {
			duo_up_fails(&d, &d.a, "b", "");
		} else { /* its answer was good: there is no fourth message to say no by */
			duo_up(&d, &d.a, "b");
			duo_settle(&d);
		}
		ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "stranger.example"));
	} else if (_i < 6) {
		duo_ident(&d.b.conn->auth.id, "c.example");
		duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
		duo_start(&d);
		duo_up_fails(&d, &d.a, "b", "the peer says it is c.example");
	} else {
		duo_start(&d);
		d.hook = spoil;
		duo_up(&d, &d.a, "b");
		ck_assert_ptr_null(d.hook);
	}
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), _i == 6);
}
END_TEST

/* RFC 2408 4.6: three messages, both know who the other is, and nothing stays. */
START_TEST(test_authentication_only)
{
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P521 };

	exchange(IKE_EXCHANGE_AUTH);
	if (_i % 4)
		duo_certs(&d, kinds[_i % 4 - 1]);
	if (_i >= 4) {
		d.seed = 400 + (uint64_t)_i;
		d.lose = d.duplicate = 25;
		d.jitter_ns = 50 * NS_PER_MS;
		d.a.conf->retransmit = d.b.conf->retransmit =
		    (struct ike_retransmit){ NS_PER_S, 1.2, 30, 0 };
	}
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	const struct duo_event *e = duo_last(&d.a, IKE_EV_PROGRESS);
	ck_assert_ptr_nonnull(strstr(e->text, "b.example has proved who it is"));
	if (_i < 4) {
		duo_settle(&d);
		ck_assert_uint_eq(d.a.sent, 2);
		ck_assert_uint_eq(d.b.sent, 1);
	}
	d.lose = 0;
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.a.count[IKE_EV_KEYS], 0);
	ck_assert_uint_eq(v1duo_stats(&d.b).half_open, 0);
	duo_up(&d, &d.a, "b"); /* as often as one likes */
	if (_i % 4)
		duo_certs_end();
}
END_TEST

/* The responder has another exchange: refused, with the notify and the event (5.2) when no
 * connection has it, with words when another one has. */
START_TEST(test_rare_exchange_refused)
{
	struct duo_node *n = &d.a;

	n->conn->exchange = _i & 1 ? IKE_EXCHANGE_AUTH : IKE_EXCHANGE_BASE;
	if (_i & 1)
		duo_conf_childless(n->conn);
	if (_i & 2) {
		struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "other", "192.0.2.2", "198.51.100.1");
		c->exchange = n->conn->exchange;
		c->version = 1;
	}
	n->conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", _i & 2 ? "none of the IKE proposals" : "UNSUPPORTED-EXCHANGE-TYPE");
	ck_assert_uint_gt(d.b.audited[_i & 2 ? AUDIT_PROPOSAL : AUDIT_EXCHANGE], 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

/* Nor does one that only authenticates let a Main Mode in. */
START_TEST(test_main_mode_refused)
{
	d.b.conn->exchange = IKE_EXCHANGE_AUTH;
	duo_conf_childless(d.b.conn);
	d.a.conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
}
END_TEST

TCase *v1duo_rare_case(void)
{
	TCase *t = v1duo_case("rare exchanges");

	tcase_add_loop_test(t, test_base, 0, 4);
	tcase_add_loop_test(t, test_base_on_a_bad_wire, 0, 12);
	tcase_add_loop_test(t, test_rare_exchange_proofs, 0, 8);
	tcase_add_loop_test(t, test_authentication_only, 0, 12);
	tcase_add_loop_test(t, test_rare_exchange_refused, 0, 4);
	tcase_add_test(t, test_main_mode_refused);
	return t;
}
