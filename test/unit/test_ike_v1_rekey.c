/*
 * What is up changes: deleted, rekeyed by order, by time and by both at once; phase 1 that
 * ends before its children; a peer that is dead (DPD) or has begun anew (INITIAL-CONTACT); a
 * packet that asks.
 */
#include "base/clock.h"
#include "ike/v1/v1.h"
#include "test_ike_v1_duo.h"

START_TEST(test_down)
{
	v1duo_up();
	duo_down(&d, _i ? &d.a : &d.b, _i ? "b" : "a");
	duo_settle(&d);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_rekey_child)
{
	struct duo_node *n = _i ? &d.a : &d.b;

	if (_i & 2)
		v1duo_esp("aes128gcm16-ecp256");
	v1duo_up();
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	v1duo_rekey(n, n == &d.a ? "b/net" : "a/net", false);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
}
END_TEST

/* Who answers has the new pair when message 3 has come: a moment later who asked sends by it. Packets that went by
 * the old pair are still under way then: it is deleted another moment later. */
START_TEST(test_rekey_child_last_packets)
{
	struct duo_node *asks = _i ? &d.b : &d.a;

	v1duo_up();
	v1duo_rekey(_i ? &d.b : &d.a, _i ? "a/net" : "b/net", false);
	duo_settle(&d);
	ck_assert(duo_child(asks, 0)->out && !duo_child(asks, 1)->out);
	duo_run(&d, NS_PER_S / 2);
	ck_assert(!duo_child(asks, 0)->out && duo_child(asks, 1)->out);
	ck_assert_uint_eq(v1duo_sa(&d.a)->n_children, 2);
	ck_assert_uint_eq(v1duo_sa(&d.b)->n_children, 2);
	duo_run(&d, NS_PER_S);
	ck_assert_uint_eq(v1duo_sa(&d.a)->n_children, 1);
	ck_assert_uint_eq(v1duo_sa(&d.b)->n_children, 1);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* Both begin at once: whatever stays, both ends have it and use what the other accepts. */
START_TEST(test_rekey_child_collision)
{
	uint64_t oa, ob;

	v1duo_up();
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &oa, why, sizeof(why)), 0);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a/net", false, &ob, why, sizeof(why)), 0);
	duo_run(&d, 400 * NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_agree(&d);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
}
END_TEST

/* Phase 1 anew, by either side: the children are the same ones, under the new SA. */
START_TEST(test_rekey_phase1)
{
	struct duo_node *n = _i & 1 ? &d.a : &d.b;

	if (_i & 2)
		v1duo_aggressive();
	v1duo_up();
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	v1duo_rekey(n, n == &d.a ? "b" : "a", _i & 4);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
	/* and it can be rekeyed and closed under the new one */
	v1duo_rekey(n == &d.a ? &d.b : &d.a, n == &d.a ? "a/net" : "b/net", false);
	duo_run(&d, 30 * NS_PER_S);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* The inbound SPI of the pair that traffic goes by. */
static uint32_t sends_by(const struct duo_node *n)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		if (n->child[i].used && n->child[i].out)
			return n->child[i].up.spi_in;
	ck_abort_msg("traffic goes by no pair");
	return 0;
}

/* A peer that goes on under a phase 1 that has been replaced, and whose children end with the phase 1
 * that made them: what it makes there is made anew under the new one, and only then the old one goes. */
START_TEST(test_rekey_child_under_the_old_phase1)
{
	v1duo_up();
	v1duo_rekey(&d.a, "b", false);
	duo_settle(&d);
	struct ike_sa *old = v1duo_sa(&d.b), *new = list_entry(old->all.next, struct ike_sa, all);
	if (!old->replaced) {
		new = old;
		old = list_entry(old->all.next, struct ike_sa, all);
	}
	ck_assert(old->replaced && !new->replaced);
	v1_take_children(old, new);
	v1duo_rekey(&d.b, "a/net", false);
	duo_settle(&d);
	uint32_t spi = sends_by(&d.a);
	while (duo_sas(&d.a) > 1)
		duo_run(&d, NS_PER_S / 4);
	ck_assert_uint_ne(sends_by(&d.a), spi);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_run(&d, 60 * NS_PER_S);
	duo_agree(&d);
}
END_TEST

/* Where lifetimes are shorter than the time that one stays when it has been replaced, they do not
 * become more and more. */
START_TEST(test_rekey_phase1_short_lifetimes)
{
	struct duo_node *n[] = { &d.a, &d.b };

	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->rekey_ns = 4 * NS_PER_S;
		n[i]->conn->over_ns = 20 * NS_PER_S;
		n[i]->conn->rand_ns = 0;
	}
	d.delay_ns = NS_PER_S / 100;
	v1duo_up();
	for (unsigned i = 0; i < 60; i++) {
		duo_run(&d, NS_PER_S);
		ck_assert_uint_le(duo_sas(&d.a), 3);
		ck_assert_uint_le(duo_sas(&d.b), 3);
	}
	ck_assert_uint_gt(d.a.count[IKE_EV_SA_UP], 10);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
}
END_TEST

START_TEST(test_rekey_phase1_collision)
{
	uint64_t oa, ob;

	v1duo_up();
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", false, &oa, why, sizeof(why)), 0);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a", false, &ob, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 3);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.spi_in, spi);
	/* another kind of peer may have it under the one that goes: it is made anew before that */
	duo_run(&d, 7 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 3);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_ne(sends_by(&d.a), spi);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
	v1duo_rekey(&d.a, "b/net", false);
	duo_run(&d, 10 * NS_PER_S);
	duo_agree(&d);
}
END_TEST

/* Time alone does it: an hour with lifetimes of minutes, the wire losing some. */
START_TEST(test_lifetimes)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->rekey_ns = (600 + 100 * i) * NS_PER_S;
		n[i]->conn->over_ns = 60 * NS_PER_S;
		n[i]->conn->rand_ns = 60 * NS_PER_S;
		n[i]->conn->child[0].rekey_ns = (200 + 20 * i) * NS_PER_S;
		n[i]->conn->child[0].life_ns = 300 * NS_PER_S;
		n[i]->conn->child[0].rand_ns = 20 * NS_PER_S;
		n[i]->conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.3, 15, 0 };
	}
	d.seed = (uint64_t)_i;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = 5;
	duo_run(&d, 3600 * NS_PER_S);
	d.lose = 0;
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_gt(d.a.count[IKE_EV_CHILD_REKEYED], 10);
	ck_assert_uint_gt(d.a.count[IKE_EV_SA_UP], 4);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
}
END_TEST

START_TEST(test_dpd)
{
	d.a.conn->dpd_delay_ns = 10 * NS_PER_S;
	d.a.conn->dpd_timeout_ns = 35 * NS_PER_S;
	d.a.conn->child[0].dpd_action = IKE_ACTION_TRAP;
	v1duo_up();
	unsigned sent = d.b.sent;
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_ge(d.b.sent, sent + 8); /* answers */
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	d.b.frozen = true;
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(d.a.n_traps, 1);
	d.b.frozen = false;
}
END_TEST

/* Traffic is as good as an answer. */
START_TEST(test_dpd_is_content_with_traffic)
{
	d.a.conn->dpd_delay_ns = 10 * NS_PER_S;
	v1duo_up();
	unsigned sent = d.a.sent;
	for (unsigned i = 0; i < 20; i++) {
		duo_run(&d, 5 * NS_PER_S);
		duo_child(&d.a, 0)->in_ns = clock_now_ns();
	}
	ck_assert_uint_eq(d.a.sent, sent);
}
END_TEST

START_TEST(test_initial_contact)
{
	if (_i)
		v1duo_aggressive();
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 6 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static bool no_main_mode(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	return m->p[18] != IKE1_X_MAIN;
}

/* Phase 1 goes, the children stay; when they are to be rekeyed a new phase 1 takes them over. */
START_TEST(test_children_outlive_phase1)
{
	d.b.conn->rekey_ns = 100 * NS_PER_S;
	d.b.conn->over_ns = 10 * NS_PER_S;
	d.a.conn->child[0].rekey_ns = 300 * NS_PER_S;
	d.a.conn->child[0].life_ns = d.b.conn->child[0].life_ns = 400 * NS_PER_S;
	v1duo_up();
	d.hook = no_main_mode; /* neither can begin a new one */
	duo_run(&d, 290 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* A responder that does not know where its peer will be calls it back where it is. */
START_TEST(test_rekey_by_who_is_called)
{
	struct ip_addr any = { .ver = 0 };

	d.nat = true;
	duo_start(&d);
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	v1duo_rekey(&d.b, "a", false);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
}
END_TEST

/* A packet asks for it. */
START_TEST(test_trap)
{
	struct flow_key flow = { .ver = 4, .proto = 17 };

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_start(&d);
	ck_assert_uint_eq(d.a.n_traps, 1);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &flow);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(d.a.acquires_failed, 0);
	duo_agree(&d);
}
END_TEST

/* ---- phase 1 without children: kept or dropped, as the configuration has it */

/* The last child ended; by either side's policy. */
START_TEST(test_childless_timeout)
{
	struct duo_node *n = _i ? &d.b : &d.a;

	n->conn->childless_timeout_ns = 60 * NS_PER_S;
	v1duo_up();
	duo_run(&d, 300 * NS_PER_S); /* not while it has one */
	ck_assert_uint_eq(duo_sas(n), 1);
	duo_down(&d, &d.a, "b/net");
	duo_run(&d, 59 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(n), 1);
	duo_run(&d, 2 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_ptr_nonnull(strstr(duo_last(n, IKE_EV_SA_DOWN)->text, "no children"));
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

/* By default it stays, and a new child uses it. */
START_TEST(test_childless_is_kept)
{
	v1duo_up();
	duo_down(&d, &d.a, "b/net");
	duo_run(&d, 3600 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_up(&d, &d.a, "b/net");
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

/* One that never had a child; a child in time saves it, and counting begins anew. */
START_TEST(test_childless_from_the_start)
{
	uint64_t order;

	d.a.conn->childless_timeout_ns = 60 * NS_PER_S;
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_FAILED);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	if (_i)
		duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes128gcm16");
	duo_run(&d, 50 * NS_PER_S);
	if (_i) {
		duo_up(&d, &d.a, "b/net");
		duo_run(&d, 300 * NS_PER_S);
		ck_assert_uint_eq(duo_children(&d.a), 1);
		return;
	}
	duo_run(&d, 11 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
}
END_TEST

/* A Quick Mode under way is waited for. */
START_TEST(test_childless_while_one_is_made)
{
	d.a.conn->childless_timeout_ns = 5 * NS_PER_S;
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1, 20, 0 };
	v1duo_up();
	duo_down(&d, &d.a, "b/net");
	duo_settle(&d);
	d.b.frozen = true;
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b/net", &order, why, sizeof(why)), 0);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	d.b.frozen = false;
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
}
END_TEST

/* Nor is one meant that only proves: it goes by itself. */
START_TEST(test_childless_is_not_authentication_only)
{
	struct duo_node *n[] = { &d.a, &d.b };

	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->exchange = IKE_EXCHANGE_AUTH;
		duo_conf_childless(n[i]->conn);
		n[i]->conn->childless_timeout_ns = NS_PER_S;
	}
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 5 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1); /* to repeat its last message */
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

TCase *v1duo_rekey_case(void)
{
	TCase *t = v1duo_case("under the SA");

	tcase_add_loop_test(t, test_down, 0, 2);
	tcase_add_loop_test(t, test_rekey_child, 0, 4);
	tcase_add_loop_test(t, test_rekey_child_last_packets, 0, 2);
	tcase_add_test(t, test_rekey_child_collision);
	tcase_add_loop_test(t, test_rekey_phase1, 0, 8);
	tcase_add_test(t, test_rekey_child_under_the_old_phase1);
	tcase_add_test(t, test_rekey_phase1_short_lifetimes);
	tcase_add_test(t, test_rekey_phase1_collision);
	tcase_add_loop_test(t, test_lifetimes, 0, 5);
	tcase_add_test(t, test_dpd);
	tcase_add_test(t, test_dpd_is_content_with_traffic);
	tcase_add_loop_test(t, test_initial_contact, 0, 2);
	tcase_add_test(t, test_children_outlive_phase1);
	tcase_add_test(t, test_rekey_by_who_is_called);
	tcase_add_test(t, test_trap);
	tcase_add_loop_test(t, test_childless_timeout, 0, 2);
	tcase_add_test(t, test_childless_is_kept);
	tcase_add_loop_test(t, test_childless_from_the_start, 0, 2);
	tcase_add_test(t, test_childless_while_one_is_made);
	tcase_add_test(t, test_childless_is_not_authentication_only);
	return t;
}
