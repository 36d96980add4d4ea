/*
 * Two engines: the first exchanges, one message at a time; who and what is refused in them, several
 * children, and what starts them. Also the runner of this program; the other parts are named in
 * test_ike_duo.h.
 */
#include <stdlib.h>

#include "test_ike_duo.h"

struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

TCase *first_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	return t;
}

void first_up(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(duo_children(&d.a), d.a.conn->n_child);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_KEYS], 1);
}

struct ike_stats first_stats(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s;
}

START_TEST(test_psk)
{
	first_up();
	/* four messages, nothing sent twice */
	ck_assert_uint_eq(d.a.sent, 2);
	ck_assert_uint_eq(d.b.sent, 2);
	ck_assert(!duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.a, 0)->out);
	ck_assert(duo_child(&d.b, 0)->out);
}
END_TEST

/* After the first IKE_SA_INIT nothing more of a arrives. */
static bool only_init(struct duo *duo, struct duo_msg *m)
{
	return m->from != &duo->a || m->p[18] == 34;
}

START_TEST(test_cookie)
{
	d.b.conf->cookie_threshold = 1;
	duo_start(&d);
	d.hook = only_init;
	char why[128];
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(first_stats(&d.b).half_open, 1);
	ck_assert_uint_eq(first_stats(&d.b).cookies_sent, 0);
	duo_restart(&d.a);
	d.hook = NULL;
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(first_stats(&d.b).cookies_sent, 1);
	ck_assert_uint_eq(first_stats(&d.b).cookies_bad, 0);
	duo_agree(&d);
	/* the half-open one goes by itself */
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(first_stats(&d.b).half_open, 0);
}
END_TEST

START_TEST(test_invalid_ke)
{
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha256-curve25519-ecp256");
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes128gcm16-prfsha256-ecp256");
	first_up();
	ck_assert_uint_eq(d.a.sent, 3);
}
END_TEST

START_TEST(test_no_ike_proposal)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_wrong_psk)
{
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(
	    strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "does not have the same pre-shared key"));
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_unknown_id)
{
	duo_ident(&d.a.conn->auth.id, "stranger.example");
	duo_conf_psk(d.a.conf, "stranger.example", "b.example", "x");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "stranger.example"));
	/* and what there is in its place */
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "remote id a.example"));
}
END_TEST

/* The responder is not who the initiator expects: both must know. */
START_TEST(test_wrong_responder)
{
	duo_ident(&d.b.conn->auth.id, "c.example");
	duo_ident(&d.a.conn->peer.id, "*.example");
	duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
	duo_ident(&d.a.conf->psks.psk[0].id[1], "d.example");
	duo_conf_psk(d.a.conf, "a.example", "c.example", "not the same");
	duo_ident(&d.a.conn->peer.id, "c.example");
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("zzz", 3)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_peer_id_mismatch)
{
	/* b says it is b.example; a wants something else, and does not say so to b */
	duo_ident(&d.a.conn->peer.id, "*.other");
	duo_conf_psk(d.a.conf, "a.example", NULL, "a secret of both");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "expects *.other");
	ck_assert_uint_eq(d.a.audited[AUDIT_PEER_AUTH], 1);
	ck_assert_uint_eq(d.b.audited[AUDIT_PEER_AUTH], 0);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_narrowing)
{
	duo_ts(&d.a.conn->child[0].remote_ts, "10.0.0.0/8");
	duo_ts(&d.b.conn->child[0].remote_ts, "10.1.128.0/17");
	first_up();
	char text[TS_STRLEN];
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->remote_ts.ts[0], text), "10.2.0.0/16");
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->local_ts.ts[0], text), "10.1.128.0/17");
}
END_TEST

START_TEST(test_ts_unacceptable)
{
	duo_ts(&d.b.conn->child[0].local_ts, "10.3.0.0/16");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TS_UNACCEPTABLE");
	/* the IKE SA stays */
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_no_esp_proposal)
{
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "esp_proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_three_children)
{
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16", "10.11.0.0/16");
	struct ike_child_conf *c =
	    duo_conf_child(d.a.conn, "three", "10.21.0.1[tcp]", "10.22.0.0/16[tcp/80]");
	duo_proposals(&c->proposals, IKE_PROTO_ESP, "aes256-sha256-curve25519");
	c = duo_conf_child(d.b.conn, "three", "10.22.0.0/16[tcp/80]", "10.21.0.1[tcp]");
	duo_proposals(&c->proposals, IKE_PROTO_ESP, "aes256-sha256-curve25519");
	first_up();
	ck_assert_uint_eq(duo_children(&d.b), 3);
}
END_TEST

/* One of two children cannot be: the order fails with its reason, when the other is up. */
START_TEST(test_one_of_two)
{
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	d.a.conn->child[_i].local_ts.ts[0].proto = 50;
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16[tcp]", "10.11.0.0/16[tcp]");
	duo_ts(&d.b.conn->child[0].remote_ts, "10.1.0.0/16[tcp]");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TS_UNACCEPTABLE");
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_last(&d.a, IKE_EV_FAILED)->order, 1);
	duo_agree(&d);
}
END_TEST

START_TEST(test_dns)
{
	struct ike_host *h = d.a.conn->remote;
	*h = (struct ike_host){ .name = strdup("b.example") };
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "no such name");
	d.known_name = "b.example";
	d.known_addr = d.b.addr;
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
}
END_TEST

START_TEST(test_childless)
{
	duo_conf_childless(d.a.conn);
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_start_action)
{
	d.a.conn->child[0].start = IKE_START_START;
	duo_start(&d);
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
}
END_TEST

START_TEST(test_trap)
{
	struct flow_key k = { .ver = 4, .proto = 17, .sport = 1000, .dport = 53 };
	struct ip_addr x;

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_start(&d);
	duo_settle(&d);
	ck_assert_uint_eq(d.a.n_traps, 1);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_int_eq(ip_addr_parse("10.1.0.9", &x), 0);
	memcpy(k.src, x.b, 16);
	ck_assert_int_eq(ip_addr_parse("10.2.0.9", &x), 0);
	memcpy(k.dst, x.b, 16);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.reqid, d.a.trap[0].reqid);
	ck_assert_uint_eq(d.a.acquires_failed, 0);
}
END_TEST

START_TEST(test_acquire_fails)
{
	struct flow_key k = { .ver = 4, .proto = 17 };

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	duo_run(&d, 5 * NS_PER_S);
	ck_assert_uint_eq(d.a.acquires_failed, 1);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

START_TEST(test_sad_refuses)
{
	d.b.refuse_add = true;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TEMPORARY_FAILURE");
	ck_assert_uint_eq(duo_sas(&d.a), 1);
}
END_TEST

static TCase *exchange_case(void)
{
	TCase *t = first_case("first exchanges");

	tcase_add_test(t, test_psk);
	tcase_add_test(t, test_cookie);
	tcase_add_test(t, test_invalid_ke);
	tcase_add_test(t, test_no_ike_proposal);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_test(t, test_unknown_id);
	tcase_add_test(t, test_wrong_responder);
	tcase_add_test(t, test_peer_id_mismatch);
	tcase_add_test(t, test_narrowing);
	tcase_add_test(t, test_ts_unacceptable);
	tcase_add_test(t, test_no_esp_proposal);
	tcase_add_test(t, test_three_children);
	tcase_add_loop_test(t, test_one_of_two, 0, 2);
	tcase_add_test(t, test_dns);
	tcase_add_test(t, test_childless);
	tcase_add_test(t, test_start_action);
	tcase_add_test(t, test_trap);
	tcase_add_test(t, test_acquire_fails);
	tcase_add_test(t, test_sad_refuses);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ike_duo");

	suite_add_tcase(s, exchange_case());
	suite_add_tcase(s, first_path_case());
	suite_add_tcase(s, first_wire_case());
	suite_add_tcase(s, first_cert_case());
	suite_add_tcase(s, first_choice_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
