/*
 * Rekeying with two engines: by one side, on a bad wire, without the loss of a packet, and every
 * collision of RFC 7296 2.8.1, 2.8.2 and 2.25. Also the runner of this program.
 */
#include <stdlib.h>

#include "test_ike_change.h"

static struct duo d;

/* "b/net" at a, "a/net" at b */
static const char *net(const struct duo_node *n)
{
	return n == &d.a ? "b/net" : "a/net";
}

static const char *peer(const struct duo_node *n)
{
	return n == &d.a ? "b" : "a";
}

/* ---- one side rekeys */

static const struct {
	bool by_b;
	const char *a, *b;
} children[] = {
	{ false, "aes128gcm16", "aes128gcm16" },
	{ true, "aes128gcm16", "aes128gcm16" },
	{ false, "aes256gcm16-curve25519", "aes256gcm16-curve25519" },
	{ true, "aes128-sha256-ecp256", "aes128-sha256-ecp256" },
	/* the first group is not the peer's: INVALID_KE_PAYLOAD, once more */
	{ false, "aes128gcm16-curve25519-ecp256", "aes128gcm16-ecp256" },
	{ true, "aes128gcm16-ecp256", "aes128gcm16-curve25519-ecp256" },
};

START_TEST(test_child)
{
	struct duo_node *n = children[_i].by_b ? &d.b : &d.a;

	duo_init(&d, (uint64_t)_i + 1);
	change_esp(&d, children[_i].a, children[_i].b);
	if (_i & 1)
		d.job_ns = 5 * NS_PER_MS;
	change_start(&d);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in, reqid = duo_child(&d.a, 0)->up.reqid;
	for (unsigned round = 1; round <= 3; round++) {
		uint64_t order = change_rekey(n, net(n), false);
		change_done(&d, n, order);
		duo_agree(&d);
		change_rest(&d, 1, 1);
		struct duo_child *c = duo_child(&d.a, 0);
		ck_assert_uint_ne(c->up.spi_in, spi);
		ck_assert_uint_eq(c->up.reqid, reqid);
		ck_assert(c->out && duo_child(&d.b, 0)->out);
		spi = c->up.spi_in;
		ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], round);
		ck_assert_uint_eq(d.b.count[IKE_EV_CHILD_REKEYED], round);
	}
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_CHILD_UP], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_fini(&d);
}
END_TEST

/* The first child needs no key exchange, so the disagreement shows at its rekeying. */
START_TEST(test_child_refused)
{
	duo_init(&d, 1);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-ecp256");
	d.a.conn->child[0].rekey_ns = SECONDS(100);
	change_start(&d);
	uint64_t order = change_rekey(&d.a, "b/net", false);
	change_failed(&d, &d.a, order, "esp_proposals");
	change_rest(&d, 1, 1);
	/* it is tried again, and the child stays */
	unsigned before = d.a.count[IKE_EV_FAILED];
	duo_run(&d, SECONDS(300));
	ck_assert_uint_gt(d.a.count[IKE_EV_FAILED], before + 3);
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* The peer cannot put it into force: NO_ADDITIONAL_SAS; and we cannot: its half is deleted. */
START_TEST(test_child_not_installed)
{
	struct duo_node *bad = _i ? &d.a : &d.b;

	duo_init(&d, 1);
	change_start(&d);
	bad->refuse_add = true;
	uint64_t order = change_rekey(&d.a, "b/net", false);
	change_failed(&d, &d.a, order, _i ? "the SAD is full" : "NO_ADDITIONAL_SAS");
	/* before a tries again: what b has made for it receives for some seconds each time */
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
	bad->refuse_add = false;
	change_rest(&d, 1, 1);
	change_done(&d, &d.a, change_rekey(&d.a, "b/net", false));
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

START_TEST(test_ike)
{
	struct duo_node *n = _i & 1 ? &d.b : &d.a;
	const char *p = "aes256gcm16-prfsha384-ecp256-curve25519";

	duo_init(&d, (uint64_t)_i + 1);
	if (_i >= 2) { /* the present group is no longer b's: INVALID_KE_PAYLOAD */
		duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, p);
		duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE,
			      "aes256gcm16-prfsha384-curve25519-ecp256");
		d.job_ns = 3 * NS_PER_MS;
	}
	change_start(&d);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	for (unsigned round = 1; round <= 3; round++) {
		uint8_t old[8];
		memcpy(old, change_sa(&d.a)->spi_i, 8);
		uint64_t order = change_rekey(n, peer(n), false);
		change_done(&d, n, order);
		change_rest(&d, 1, 1);
		ck_assert(memcmp(old, change_sa(&d.a)->spi_i, 8) != 0);
		ck_assert_int_eq(change_sa(n)->initiator, true);
		ck_assert_uint_eq(d.a.count[IKE_EV_SA_REKEYED], round);
		ck_assert_uint_eq(d.b.count[IKE_EV_SA_REKEYED], round);
		ck_assert_uint_eq(duo_child(&d.a, 0)->up.spi_in, spi);
		/* the new one works: both ways */
		change_done(&d, &d.b, change_rekey(&d.b, "a/net", false));
		change_done(&d, &d.a, change_rekey(&d.a, "b/net", false));
		change_rest(&d, 1, 1);
		spi = duo_child(&d.a, 0)->up.spi_in;
	}
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_fini(&d);
}
END_TEST

/* Everything gets through a wire that loses and doubles a third. */
START_TEST(test_bad_wire)
{
	duo_init(&d, (uint64_t)_i + 1);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-curve25519");
	d.a.conf->retransmit.tries = d.b.conf->retransmit.tries = 12;
	d.a.conf->retransmit.limit_ns = d.b.conf->retransmit.limit_ns = SECONDS(8);
	change_start(&d);
	d.lose = 30;
	d.duplicate = 30;
	d.jitter_ns = 300 * NS_PER_MS;
	uint64_t a = change_rekey(&d.a, "b/net", false);
	uint64_t b = change_rekey(&d.b, "a", false);
	change_done(&d, &d.a, a);
	change_done(&d, &d.b, b);
	b = change_rekey(&d.b, "a/net", false);
	a = change_rekey(&d.a, "b", false);
	change_done(&d, &d.b, b);
	change_done(&d, &d.a, a);
	d.lose = d.duplicate = 0;
	duo_run(&d, SECONDS(300));
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* ---- no packet is lost */

START_TEST(test_stream)
{
	static struct stream s;
	struct duo_node *n = _i & 1 ? &d.b : &d.a, *other = _i & 1 ? &d.a : &d.b;

	duo_init(&d, (uint64_t)_i + 1);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-curve25519");
	change_start(&d);
	d.jitter_ns = 20 * NS_PER_MS;
	d.job_ns = 2 * NS_PER_MS;
	if (_i >= 4)
		d.lose = 20;
	stream_init(&s, &d);
	stream_run(&s, SECONDS(1));
	for (unsigned round = 0; round < 4; round++) {
		/* the wire of the packets may be faster than that of the messages, or slower */
		s.delay_ns = (round & 1 ? 2 : 40) * NS_PER_MS;
		change_rekey(n, net(n), false);
		if (round >= 2)
			change_rekey(other, net(other), false);
		stream_run(&s, SECONDS(15));
		change_rekey(n, peer(n), false);
		stream_run(&s, SECONDS(15));
		if (round == 3) {
			change_rekey(&d.a, "b", true);
			stream_run(&s, SECONDS(15));
		}
	}
	ck_assert_uint_eq(s.lost, 0);
	ck_assert_uint_eq(s.sent, s.came);
	ck_assert_uint_gt(s.sent, 150000);
	d.lose = 0;
	duo_run(&d, SECONDS(200));
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* The answerer sends by the old pair until the old one is deleted, or something comes on the new.
 */
START_TEST(test_responder_waits)
{
	duo_init(&d, 1);
	change_start(&d);
	change_rekey(&d.a, "b/net", false);
	duo_one(&d); /* the request */
	ck_assert_uint_eq(duo_children(&d.b), 2);
	ck_assert(duo_child(&d.b, 0)->out);
	ck_assert(!duo_child(&d.b, 1)->out);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	if (_i == 0) {
		duo_one(&d); /* the answer */
		ck_assert(duo_child(&d.a, 1)->out);
		ck_assert(duo_child(&d.b, 0)->out);
		duo_one(&d); /* the delete */
		ck_assert(duo_child(&d.b, 1)->out);
	} else {
		/* a packet of a's comes in before the delete */
		duo_child(&d.b, 1)->in_ns = d.now_ns;
		d.a.frozen = true;
		duo_run(&d, SECONDS(1));
		ck_assert(duo_child(&d.b, 1)->out);
		d.a.frozen = false;
	}
	/* both still receive on the old one for a moment */
	duo_run(&d, SECONDS(2));
	ck_assert_uint_eq(duo_children(&d.b), 2);
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* ---- both at once: children (2.8.1, 2.25.1) */

START_TEST(test_both_rekey_child)
{
	duo_init(&d, (uint64_t)_i + 1);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-curve25519");
	change_start(&d);
	uint64_t a = change_rekey(&d.a, "b/net", false), b = change_rekey(&d.b, "a/net", false);
	/* both requests are on the wire */
	change_done(&d, &d.a, a);
	change_done(&d, &d.b, b);
	duo_agree(&d);
	change_rest(&d, 1, 1);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_fini(&d);
}
END_TEST

/* Drops the first datagram of *hook_arg's. */
static bool drop_first_of(struct duo *duo, struct duo_msg *m)
{
	if (m->from != duo->hook_arg)
		return true;
	duo->hook = NULL;
	return false;
}

/* The second story of 2.8.1 and 2.8.2: the request of one side is lost, so only it knows. */
START_TEST(test_one_notices)
{
	struct duo_node *n = _i & 1 ? &d.b : &d.a, *other = _i & 1 ? &d.a : &d.b;
	bool ike = _i & 2;

	duo_init(&d, (uint64_t)_i + 1);
	change_start(&d);
	d.hook = drop_first_of;
	d.hook_arg = n;
	uint64_t lost = change_rekey(n, ike ? peer(n) : net(n), false);
	uint64_t good = change_rekey(other, ike ? peer(other) : net(other), false);
	change_done(&d, other, good);
	change_done(&d, n, lost);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(n->count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(n->count[ike ? IKE_EV_SA_REKEYED : IKE_EV_CHILD_REKEYED], 1);
	duo_fini(&d);
}
END_TEST

static const struct {
	const char *a, *b; /* what either does: r rekeys, d deletes; C the child, I the IKE SA; n: a
			      new child */
	unsigned sas, children;
} crossings[] = {
	{ "rC", "dC", 1, 0 }, { "dC", "rC", 1, 0 }, { "dC", "dC", 1, 0 }, { "rC", "rI", 1, 1 },
	{ "rI", "rC", 1, 1 }, { "dC", "rI", 1, 0 }, { "rI", "dC", 1, 0 }, { "rI", "dI", 0, 0 },
	{ "dI", "rI", 0, 0 }, { "dI", "dI", 0, 0 }, { "rC", "dI", 0, 0 }, { "dI", "rC", 0, 0 },
	{ "rI", "rI", 1, 1 }, { "nC", "nC", 1, 2 }, { "nC", "rI", 1, 2 }, { "rI", "nC", 1, 2 },
	{ "nC", "rC", 1, 2 }, { "nC", "dC", 1, 1 },
};

static void begin(struct duo_node *n, const char *what)
{
	const char *name = what[1] == 'I' ? peer(n) : net(n);

	if (what[0] == 'r')
		change_rekey(n, name, false);
	else if (what[0] == 'd')
		change_down(n, name);
	else
		change_up(n, n == &d.a ? "b/more" : "a/more");
}

/* Every pair of the table, with both requests on the wire, with jobs that take their time, and with
 * either side's first request lost. */
START_TEST(test_crossing)
{
	unsigned row = (unsigned)_i / 4, how = (unsigned)_i % 4;

	duo_init(&d, (uint64_t)_i + 1);
	change_more(&d);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-curve25519");
	change_start(&d);
	if (how == 1)
		d.job_ns = 15 * NS_PER_MS;
	if (how >= 2) {
		d.hook = drop_first_of;
		d.hook_arg = how == 2 ? &d.a : &d.b;
	}
	begin(&d.a, crossings[row].a);
	begin(&d.b, crossings[row].b);
	/* time for what was refused for the moment (TEMPORARY_FAILURE) */
	duo_run(&d, SECONDS(120));
	change_rest(&d, crossings[row].sas, crossings[row].children);
	for (struct duo_node *n = &d.a;; n = &d.b) {
		for (unsigned i = 0; i < n->n_events && i < DUO_EVENTS; i++)
			ck_assert_msg(n->event[i].type != IKE_EV_FAILED || n->event[i].order, "%s",
				      n->event[i].text);
		if (n == &d.b)
			break;
	}
	duo_fini(&d);
}
END_TEST

/* An order to delete what is being rekeyed is not forgotten, of the child or of the IKE SA. */
START_TEST(test_down_while_rekeying)
{
	const char *name = _i & 1 ? "b" : "b/net";

	duo_init(&d, (uint64_t)_i + 1);
	if (_i & 2)
		d.job_ns = 15 * NS_PER_MS;
	change_start(&d);
	uint64_t r = change_rekey(&d.a, name, false), down = change_down(&d.a, name);
	change_done(&d, &d.a, down);
	duo_order(&d, &d.a, r);
	change_rest(&d, _i & 1 ? 0 : 1, 0);
	duo_fini(&d);
}
END_TEST

/* ---- not the same any more (2.25) */

/* One side has lost the child without a word; the other's rekeying finds out, and makes it anew. */
START_TEST(test_child_not_found)
{
	duo_init(&d, 1);
	change_start(&d);
	ike_child_close(change_child(&d.b), IKE_END_REPLACED, NULL);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	uint64_t order = change_rekey(&d.a, "b/net", false);
	while (duo_children(&d.a))
		ck_assert(duo_one(&d));
	ck_assert_uint_eq(d.a.n_traps, 1); /* nothing leaves in the clear in between */
	change_done(&d, &d.a, order);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.n_traps, 0);
	duo_fini(&d);
}
END_TEST

/* TEMPORARY_FAILURE for minutes: the IKE SA is closed. */
START_TEST(test_for_ever_later)
{
	duo_init(&d, 1);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	change_start(&d);
	struct ike_sa *sa = change_sa(&d.b);
	sa->state = IKE_ST_REKEYED; /* it only refuses */
	uint64_t order = change_rekey(&d.a, "b/net", false);
	duo_run(&d, SECONDS(100));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	change_failed(&d, &d.a, order, "TEMPORARY_FAILURE");
	change_rest(&d, 1, 1);
	ck_assert(change_sa(&d.b) != sa);
	duo_fini(&d);
}
END_TEST

static TCase *rekey_case(void)
{
	TCase *t = tcase_create("rekey");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_child, 0, ARRAY_LEN(children));
	tcase_add_test(t, test_child_refused);
	tcase_add_loop_test(t, test_child_not_installed, 0, 2);
	tcase_add_loop_test(t, test_ike, 0, 4);
	tcase_add_loop_test(t, test_bad_wire, 0, 20);
	tcase_add_loop_test(t, test_stream, 0, 8);
	tcase_add_loop_test(t, test_responder_waits, 0, 2);
	tcase_add_loop_test(t, test_both_rekey_child, 0, 16);
	tcase_add_loop_test(t, test_one_notices, 0, 4);
	tcase_add_loop_test(t, test_crossing, 0, (int)ARRAY_LEN(crossings) * 4);
	tcase_add_loop_test(t, test_down_while_rekeying, 0, 4);
	tcase_add_test(t, test_child_not_found);
	tcase_add_test(t, test_for_ever_later);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ike change");

	suite_add_tcase(s, rekey_case());
	suite_add_tcase(s, ike_life_case());
	suite_add_tcase(s, ike_dpd_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
