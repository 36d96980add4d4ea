/*
 * Quick Mode: ESP, AH and both together, selectors, several children, what the responder
 * refuses or tells of itself (RESPONDER-LIFETIME, REPLAY-STATUS); and the commit bit, which
 * holds a new pair back.
 */
#include "ike/v1/v1.h"
#include "test_ike_v1_duo.h"

START_TEST(test_pfs_aggressive)
{
	v1duo_aggressive();
	v1duo_esp("aes128gcm16-ecp256");
	d.job_jitter_ns = 20 * NS_PER_MS;
	v1duo_up();
}
END_TEST

static const char *const ah_words[] = { "sha256", "aes128gmac", "aes192gmac-esn", "aes256gmac-ecp256" };

START_TEST(test_ah_transport)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		struct ike_child_conf *c = &n[i]->conn->child[0];
		c->proto = IKE_CHILD_AH;
		c->mode = SA_TRANSPORT;
		duo_proposals(&c->proposals, IKE_PROTO_AH, ah_words[_i]);
		duo_ts(&c->local_ts, "dynamic");
		duo_ts(&c->remote_ts, "dynamic");
	}
	v1duo_up();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.proto, SA_AH);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TRANSPORT);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.encr_in.len, _i ? 16 + 8 * ((unsigned)_i - 1) + 4 : 0);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.integ_in.len, _i ? 0 : 32);
}
END_TEST

static void bundle(struct duo_node *n, const char *ah)
{
	duo_proposals(&n->conn->child[0].ah, IKE_PROTO_AH, ah);
}

/* ESP and AH together, in tunnel and transport mode, with PFS; new ones; and gone, both at once. */
START_TEST(test_bundle)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		struct ike_child_conf *c = &n[i]->conn->child[0];
		bundle(n[i], _i & 8 ? "aes256gmac" : "sha256");
		if (_i & 1) {
			c->mode = SA_TRANSPORT;
			duo_ts(&c->local_ts, "dynamic");
			duo_ts(&c->remote_ts, "dynamic");
		}
	}
	if (_i & 2)
		v1duo_esp("aes256gcm16-ecp256");
	v1duo_up();
	const struct ike_child_up *u = &duo_child(&d.a, 0)->up;
	ck_assert_uint_ne(u->ah.spi_in, 0);
	ck_assert_uint_ne(u->ah.spi_in, u->spi_in);
	ck_assert_uint_eq(u->ah.integ_in.len, _i & 8 ? 0 : 32);
	ck_assert_uint_eq(u->ah.encr_in.len, _i & 8 ? 32 + 4 : 0);
	ck_assert_uint_eq(u->proto, SA_ESP);
	struct duo_node *r = _i & 4 ? &d.a : &d.b;
	v1duo_rekey(r, r == &d.a ? "b/net" : "a/net", false);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.ah.spi_in, 0);
	duo_agree(&d);
	duo_down(&d, r, r == &d.a ? "b/net" : "a/net");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* Both or neither: a child that has only ESP does not take half of what is offered, nor gives
 * it. */
START_TEST(test_bundle_refused)
{
	static const struct {
		const char *a, *b, *words;
	} rows[] = { { "sha256", NULL, "bundles" },
		     { NULL, "sha256", "together with AH" },
		     { "sha256", "sha384", "" } };

	if (rows[_i].a)
		bundle(&d.a, rows[_i].a);
	if (rows[_i].b)
		bundle(&d.b, rows[_i].b);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "accepts none of our proposals");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, rows[_i].words));
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* AH cannot go through NAT; nothing stays. */
START_TEST(test_bundle_behind_nat)
{
	d.nat = true;
	bundle(&d.a, "sha256");
	bundle(&d.b, "sha256");
	duo_start(&d);
	struct ip_addr any = { .ver = 0 };
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_selectors)
{
	static const char *const ts[][2] = {
		{ "10.1.0.5-10.1.0.9", "10.2.0.1" },
		{ "10.1.0.0/24[tcp/80]", "10.2.0.0/16[tcp]" },
		{ "2001:db8:1::/48", "2001:db8:2::1" },
		{ "10.1.1.1[udp]", "10.2.0.0/32[udp/53]" },
	};
	duo_ts(&d.a.conn->child[0].local_ts, ts[_i][0]);
	duo_ts(&d.a.conn->child[0].remote_ts, ts[_i][1]);
	duo_ts(&d.b.conn->child[0].local_ts, ts[_i][1]);
	duo_ts(&d.b.conn->child[0].remote_ts, ts[_i][0]);
	v1duo_up();
	ck_assert(ts_list_eq(&duo_child(&d.a, 0)->local_ts, &d.a.conn->child[0].local_ts));
	ck_assert(ts_list_eq(&duo_child(&d.b, 0)->remote_ts, &d.a.conn->child[0].local_ts));
}
END_TEST

/* No narrowing in IKEv1: what is not wholly allowed is refused, with words on both sides. */
START_TEST(test_selectors_refused)
{
	duo_ts(&d.b.conn->child[0].local_ts, "10.2.0.0/24");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "INVALID-ID-INFORMATION");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "10.2.0.0/16"));
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_esp_refused)
{
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "accepts none of our proposals");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "aes256"));
}
END_TEST

START_TEST(test_several_quick_modes)
{
	duo_conf_child(d.a.conn, "two", "10.1.2.0/24", "10.2.2.0/24");
	duo_conf_child(d.b.conn, "two", "10.2.2.0/24", "10.1.2.0/24");
	duo_conf_child(d.a.conn, "three", "10.3.0.0/16", "10.4.0.0/16");
	duo_conf_child(d.b.conn, "three", "10.4.0.0/16", "10.3.0.0/16");
	d.jitter_ns = 40 * NS_PER_MS;
	d.job_jitter_ns = 40 * NS_PER_MS;
	v1duo_esp("aes128gcm16-ecp256");
	v1duo_up();
	/* the other way round under the same phase 1 */
	duo_down(&d, &d.a, "b/two");
	ck_assert_uint_eq(duo_children(&d.b), 2);
	duo_up(&d, &d.b, "a/two");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 3);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_agree(&d);
}
END_TEST

/* REPLAY-STATUS: who does not look for replays says so, and the other side logs it. */
START_TEST(test_replay_status)
{
	d.b.conn->child[0].replay_window = 0;
	v1duo_listen("played back");
	v1duo_up();
	v1duo_listen_end();
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "played back"));
}
END_TEST

/* The shorter limit holds on both sides (RESPONDER-LIFETIME the one way, the offer the other). */
START_TEST(test_responder_lifetime)
{
	struct duo_node *shorter = _i ? &d.a : &d.b;

	d.a.conn->child[0].life_ns = d.b.conn->child[0].life_ns = 3600 * NS_PER_S;
	shorter->conn->child[0].life_ns = 600 * NS_PER_S;
	d.a.conn->child[0].life_bytes = d.b.conn->child[0].life_bytes = 1 << 30;
	shorter->conn->child[0].life_bytes = 1 << 20;
	v1duo_up();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.life.hard_bytes, 1 << 20);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.life.hard_bytes, 1 << 20);
	/* who has the longer limit rekeys in time for the shorter one */
	duo_run(&d, 3000 * NS_PER_S);
	ck_assert_uint_gt(d.a.count[IKE_EV_CHILD_REKEYED], 3);
	duo_agree(&d);
}
END_TEST

TCase *v1duo_quick_case(void)
{
	TCase *t = v1duo_case("Quick Mode");

	tcase_add_test(t, test_pfs_aggressive);
	tcase_add_loop_test(t, test_ah_transport, 0, ARRAY_LEN(ah_words));
	tcase_add_loop_test(t, test_bundle, 0, 16);
	tcase_add_loop_test(t, test_bundle_refused, 0, 3);
	tcase_add_test(t, test_bundle_behind_nat);
	tcase_add_loop_test(t, test_selectors, 0, 4);
	tcase_add_test(t, test_selectors_refused);
	tcase_add_test(t, test_esp_refused);
	tcase_add_test(t, test_several_quick_modes);
	tcase_add_test(t, test_replay_status);
	tcase_add_loop_test(t, test_responder_lifetime, 0, 2);
	return t;
}

/* ---- the commit bit (RFC 2408 3.1) */

static unsigned connected_seen, connected_lost;

static bool count_connected(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	/* the only informational messages of 92 bytes that have the ID of a Quick Mode */
	static uint32_t quick[64];
	static unsigned n;
	uint32_t id = load_be32(m->p + 20);
	if (m->p[18] == IKE1_X_QUICK)
		quick[n++ % 64] = id;
	for (unsigned i = 0; m->p[18] == IKE1_X_INFO && i < 64; i++)
		if (quick[i] == id) {
			connected_seen++;
			if (connected_lost && connected_lost--)
				return false;
			break;
		}
	return true;
}

/* Set by the initiator, by the responder, by both; the notify lost: all the same in the end. */
START_TEST(test_commit_bit)
{
	connected_seen = 0;
	d.a.conn->commit_bit = _i % 3 != 1;
	d.b.conn->commit_bit = _i % 3 != 0;
	if (_i >= 6)
		v1duo_esp("aes128gcm16-ecp256");
	connected_lost = _i / 3 % 2 ? 1 : 0;
	d.a.conf->retransmit = d.b.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.2, 6, 0 };
	d.hook = count_connected;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_ge(connected_seen, 1);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	unsigned before = connected_seen;
	v1duo_rekey(&d.b, "a/net", false);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_gt(connected_seen, before);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	duo_agree(&d);
}
END_TEST

/* While it waits, the new SA is not used: a new child is not there yet, one rekeyed does not
 * send. */
static bool no_connected(struct duo *duo, struct duo_msg *m)
{
	connected_lost = 1000;
	return count_connected(duo, m);
}

START_TEST(test_commit_bit_waits)
{
	uint64_t order;

	d.b.conn->commit_bit = true;
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1, 5, 0 };
	d.hook = no_connected;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_run(&d, 3 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	/* its last message is repeated, and at last it goes on without: it has been agreed on */
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ge(connected_seen, 5);
	duo_agree(&d);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &order, why, sizeof(why)), 0);
	duo_run(&d, 3 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(duo_child(&d.a, i)->out, duo_child(&d.a, i)->up.spi_in == spi);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out);
	connected_lost = 0;
	d.hook = NULL;
	duo_agree(&d);
}
END_TEST

/* The flags of the header are not protected: set on the way they hold things up, no more. */
static bool set_commit(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	if (m->p[18] == IKE1_X_QUICK)
		m->p[19] |= IKE1_FLAG_C;
	return true;
}

START_TEST(test_commit_bit_of_a_stranger)
{
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1, 3, 0 };
	d.hook = set_commit;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 20 * NS_PER_S);
	v1duo_rekey(&d.a, "b/net", false);
	duo_run(&d, 20 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	duo_agree(&d);
}
END_TEST

TCase *v1duo_commit_case(void)
{
	TCase *t = v1duo_case("commit bit");

	tcase_add_loop_test(t, test_commit_bit, 0, 12);
	tcase_add_test(t, test_commit_bit_waits);
	tcase_add_test(t, test_commit_bit_of_a_stranger);
	return t;
}
