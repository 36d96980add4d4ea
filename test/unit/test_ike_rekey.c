/*
 * Changes of what is up: rekeying, deleting, new children, reauthentication, and every collision of
 * RFC 7296 2.8.1, 2.8.2 and 2.25 with two engines. Also the runner of this program.
 */
#include <stdlib.h>

#include "ike/proto.h"
#include "test_ike_change.h"

static struct duo d;

static void fresh(uint64_t seed)
{
	duo_init(&d, seed);
}

static void up(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b/net");
	duo_agree(&d);
}

static void pfs(const char *a, const char *b)
{
	duo_proposals(&d.a.conn->child[0].proposals, IKE_PROTO_ESP, a);
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, b);
}

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

	fresh((uint64_t)_i + 1);
	pfs(children[_i].a, children[_i].b);
	if (_i & 1)
		d.job_ns = 5 * NS_PER_MS;
	up();
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
	fresh(1);
	pfs("aes128gcm16-curve25519", "aes128gcm16-ecp256");
	d.a.conn->child[0].rekey_ns = SECONDS(100);
	up();
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

	fresh(1);
	up();
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

	fresh((uint64_t)_i + 1);
	if (_i >= 2) { /* the present group is no longer b's: INVALID_KE_PAYLOAD */
		duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, p);
		duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE,
			      "aes256gcm16-prfsha384-curve25519-ecp256");
		d.job_ns = 3 * NS_PER_MS;
	}
	up();
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
	fresh((uint64_t)_i + 1);
	pfs("aes128gcm16-curve25519", "aes128gcm16-curve25519");
	d.a.conf->retransmit.tries = d.b.conf->retransmit.tries = 12;
	d.a.conf->retransmit.limit_ns = d.b.conf->retransmit.limit_ns = SECONDS(8);
	up();
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

	fresh((uint64_t)_i + 1);
	pfs("aes128gcm16-curve25519", "aes128gcm16-curve25519");
	up();
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
	fresh(1);
	up();
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
	fresh((uint64_t)_i + 1);
	pfs("aes128gcm16-curve25519", "aes128gcm16-curve25519");
	up();
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

	fresh((uint64_t)_i + 1);
	up();
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

static void more(void)
{
	duo_conf_child(d.a.conn, "more", "10.3.0.0/16", "10.4.0.0/16");
	duo_conf_child(d.b.conn, "more", "10.4.0.0/16", "10.3.0.0/16");
}

/* Every pair of the table, with both requests on the wire, with jobs that take their time, and with
 * either side's first request lost. */
START_TEST(test_crossing)
{
	unsigned row = (unsigned)_i / 4, how = (unsigned)_i % 4;

	fresh((uint64_t)_i + 1);
	more();
	pfs("aes128gcm16-curve25519", "aes128gcm16-curve25519");
	up();
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

	fresh((uint64_t)_i + 1);
	if (_i & 2)
		d.job_ns = 15 * NS_PER_MS;
	up();
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
	fresh(1);
	up();
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
	fresh(1);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	up();
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

/* ---- new children */

START_TEST(test_new_child)
{
	struct duo_node *n = _i & 1 ? &d.b : &d.a;

	fresh((uint64_t)_i + 1);
	more();
	if (_i & 2) {
		duo_proposals(&d.a.conn->child[1].proposals, IKE_PROTO_ESP,
			      "aes128gcm16-curve25519-ecp256");
		duo_proposals(&d.b.conn->child[1].proposals, IKE_PROTO_ESP,
			      "aes128gcm16-ecp256-curve25519");
	}
	up();
	duo_up(&d, n, n == &d.a ? "b/more" : "a/more");
	change_rest(&d, 1, 2);
	duo_down(&d, n, n == &d.a ? "b/more" : "a/more");
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* Of what a sends, the second fragment of its request and the first of its answer are lost once. */
static bool lose_other_halves(struct duo *duo, struct duo_msg *m)
{
	unsigned *lost = duo->hook_arg;
	unsigned answer = !!(m->p[19] & IKE2_FLAG_R);

	if (m->from != &duo->a || m->p[16] != IKE2_SKF || lost[answer])
		return true;
	if (load_be16(m->p + 32) != (answer ? 1 : 2))
		return true;
	lost[answer] = load_be32(m->p + 20) + 1;
	return false;
}

/* A request and an answer with one message ID, both in fragments: their fragments are not mixed. */
START_TEST(test_halves_not_mixed)
{
	uint64_t a, b;
	unsigned lost[2] = { 0 };

	fresh((uint64_t)_i + 1);
	more();
	d.a.conn->fragment_size = d.b.conn->fragment_size = 200;
	up();
	duo_up(&d, &d.a, "b/more");
	change_done(&d, &d.a, change_rekey(&d.a, "b", false)); /* both count from 0 again */
	duo_settle(&d);
	d.hook_arg = lost;
	d.hook = lose_other_halves;
	a = change_rekey(&d.a, "b/net", false);
	b = change_rekey(&d.b, "a/more", false);
	change_done(&d, &d.a, a);
	change_done(&d, &d.b, b);
	ck_assert_uint_ne(lost[0], 0);
	ck_assert_uint_eq(lost[0], lost[1]);
	d.hook = NULL;
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

static bool late_requests_of_b(struct duo *duo, struct duo_msg *m)
{
	const uint64_t *until = duo->hook_arg;

	return m->from != &duo->b || (m->p[19] & IKE2_FLAG_R) || duo->now_ns >= *until;
}

/* Both sides ask for the same child, and what one of them says is late, so that two pairs may come
 * up, of which one is rekeyed meanwhile: one is left, on both sides the same. */
START_TEST(test_new_child_at_once)
{
	uint64_t a, b, until;

	fresh((uint64_t)_i + 1);
	more();
	d.a.conn->unique = d.b.conn->unique = IKE_UNIQUE_REPLACE;
	up();
	until = d.now_ns + SECONDS(3);
	d.hook_arg = &until;
	d.hook = late_requests_of_b;
	b = change_up(&d.b, "a/more");
	a = change_up(&d.a, "b/more");
	change_done(&d, &d.a, a);
	if (_i & 1)
		change_done(&d, &d.a, change_rekey(&d.a, "b/more", false));
	change_done(&d, &d.b, b);
	d.hook = NULL;
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

START_TEST(test_new_child_refused)
{
	fresh(1);
	duo_conf_child(d.a.conn, "more", "10.3.0.0/16", "10.4.0.0/16");
	up();
	duo_up_fails(&d, &d.a, "b/more", "TS_UNACCEPTABLE");
	change_rest(&d, 1, 1);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "10.3.0.0/16"));
	duo_fini(&d);
}
END_TEST

/* A peer cannot fill our memory with children. */
START_TEST(test_too_many_children)
{
	fresh(1);
	more();
	up();
	struct ike_sa *sa = change_sa(&d.b);
	sa->n_children += 1000; /* as if */
	duo_up_fails(&d, &d.a, "b/more", "NO_ADDITIONAL_SAS");
	sa->n_children -= 1000;
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* ---- time */

START_TEST(test_lifetimes)
{
	fresh((uint64_t)_i + 1);
	for (struct duo_node *n = &d.a;; n = &d.b) {
		n->conn->child[0].rekey_ns = SECONDS(100);
		n->conn->child[0].rand_ns = SECONDS(10);
		n->conn->child[0].life_ns = SECONDS(110);
		n->conn->rekey_ns = SECONDS(400);
		n->conn->rand_ns = SECONDS(40);
		n->conn->over_ns = SECONDS(40);
		if (n == &d.b)
			break;
	}
	up();
	duo_run(&d, SECONDS(3600));
	/* about 36 and 9 times, whoever was first; never down */
	ck_assert_uint_ge(d.a.count[IKE_EV_CHILD_REKEYED], 35);
	ck_assert_uint_le(d.a.count[IKE_EV_CHILD_REKEYED], 45);
	ck_assert_uint_ge(d.a.count[IKE_EV_SA_REKEYED], 9);
	ck_assert_uint_le(d.a.count[IKE_EV_SA_REKEYED], 12);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(duo_sas(&d.a), duo_sas(&d.b));
	duo_fini(&d);
}
END_TEST

/* A limit of bytes, of packets, or the end of the sequence numbers: the SAD says so. */
START_TEST(test_expired)
{
	fresh(1);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	up();
	struct duo_child *c = duo_child(&d.a, 0);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, false);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, false);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	c = duo_child(&d.a, 0);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, true);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_UP], 2);
	duo_fini(&d);
}
END_TEST

/* Without ESN the SAD tells before the sequence numbers are used up, whatever is configured. */
START_TEST(test_sequence_numbers)
{
	static const struct {
		const char *esp;
		uint64_t conf, least, most;
	} c[] = {
		{ "aes128gcm16-noesn", 0, 3000000000, 3500000000 },
		{ "aes128gcm16-noesn", 1ull << 40, 3000000000, 3500000000 },
		{ "aes128gcm16-noesn", 1000, 900, 1000 },
		{ "aes128gcm16-esn", 0, 0, 0 },
		{ "aes128gcm16-esn", 1ull << 40, 1ull << 39, 1ull << 40 },
	};

	fresh(1);
	pfs(c[_i].esp, c[_i].esp);
	d.a.conn->child[0].rekey_packets = c[_i].conf;
	d.a.conn->child[0].rand_packets = c[_i].conf / 10;
	up();
	struct sa_lifetime life = duo_child(&d.a, 0)->up.life;
	ck_assert_uint_ge(life.soft_packets, c[_i].least);
	ck_assert_uint_le(life.soft_packets, c[_i].most);
	duo_fini(&d);
}
END_TEST

/* What cannot be rekeyed ends when its lifetime does. */
START_TEST(test_hard_end)
{
	fresh(1);
	pfs("aes128gcm16-curve25519", "aes128gcm16-ecp256");
	d.a.conn->child[0].rekey_ns = SECONDS(100);
	d.a.conn->child[0].life_ns = SECONDS(300);
	up();
	duo_run(&d, SECONDS(250));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	change_rest(&d, 1, 0);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.a, IKE_EV_FAILED)->text, "lifetime is over"));
	duo_fini(&d);
}
END_TEST

START_TEST(test_inactive)
{
	fresh(1);
	d.a.conn->child[0].inactivity_ns = SECONDS(100);
	up();
	duo_run(&d, SECONDS(90));
	duo_child(&d.a, 0)->out_ns = d.now_ns;
	duo_run(&d, SECONDS(90));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	change_rest(&d, 1, 0);
	duo_fini(&d);
}
END_TEST

/* ---- the peer deletes: close_action */

START_TEST(test_close_action)
{
	bool ike = _i >= 3;

	fresh(1);
	d.b.conn->child[0].close_action = (enum ike_action)(_i % 3);
	up();
	if (ike)
		duo_down(&d, &d.a, "b");
	else
		duo_down(&d, &d.a, "b/net");
	duo_run(&d, SECONDS(10));
	switch (_i % 3) {
	case IKE_ACTION_CLEAR:
		ck_assert_uint_eq(d.b.n_traps, 0);
		change_rest(&d, ike ? 0 : 1, 0);
		break;
	case IKE_ACTION_TRAP:
		ck_assert_uint_eq(d.b.n_traps, 1);
		change_rest(&d, ike ? 0 : 1, 0);
		break;
	case IKE_ACTION_RESTART:
		change_rest(&d, 1, 1);
		break;
	}
	duo_fini(&d);
}
END_TEST

/* ---- reauthentication */

START_TEST(test_reauth)
{
	fresh((uint64_t)_i + 1);
	more();
	d.a.conn->reauth_ns = SECONDS(100);
	d.a.conn->over_ns = SECONDS(20);
	d.a.conn->unique = d.b.conn->unique = _i ? IKE_UNIQUE_REPLACE : IKE_UNIQUE_NO;
	up();
	duo_up(&d, &d.a, "b/more");
	uint32_t reqid = duo_child(&d.a, 0)->up.reqid;
	uint64_t order = change_rekey(&d.a, "b", true);
	/* at no moment less than what was */
	while (!duo_last(&d.a, IKE_EV_DONE) || duo_last(&d.a, IKE_EV_DONE)->order != order) {
		ck_assert(duo_one(&d));
		ck_assert_uint_ge(duo_children(&d.a), 2);
		ck_assert_uint_ge(duo_children(&d.b), 2);
	}
	change_rest(&d, 1, 2);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.reqid, reqid);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	/* and by itself */
	duo_run(&d, SECONDS(500));
	ck_assert_uint_ge(d.a.count[IKE_EV_SA_UP], 6);
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

static bool drop_init(struct duo *duo, struct duo_msg *m)
{
	return m->p[18] != IKE2_X_SA_INIT;
}

/* Answers to deletes; each needs b to send by the newest pair already. */
static bool delete_answered(struct duo *duo, struct duo_msg *m)
{
	unsigned *answers = duo->hook_arg;
	const struct duo_child *newest = duo_child(&duo->b, duo_children(&duo->b) - 1);

	if (m->from == &duo->b && m->p[18] == IKE2_X_INFO && m->p[19] & IKE2_FLAG_R) {
		ck_assert(newest->out);
		(*answers)++;
	}
	return true;
}

/* Nothing has come by the new pair yet, and the peer deletes the old IKE SA: before it hears the answer, which
 * ends what it accepts, we send by the new pair. */
START_TEST(test_reauth_hands_over)
{
	unsigned answers = 0;

	fresh(1);
	up();
	d.hook = delete_answered;
	d.hook_arg = &answers;
	uint64_t order = change_rekey(&d.a, "b", true);
	while (!duo_last(&d.a, IKE_EV_DONE) || duo_last(&d.a, IKE_EV_DONE)->order != order)
		ck_assert(duo_one(&d));
	ck_assert_uint_eq(duo_children(&d.b), 2);
	ck_assert(duo_child(&d.b, 0)->out);
	duo_run(&d, SECONDS(1));
	ck_assert_uint_ge(answers, 1);
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* The new SA cannot be made: the old one goes on until over_time, and it is tried again. */
START_TEST(test_reauth_fails)
{
	fresh(1);
	d.a.conn->reauth_ns = SECONDS(100);
	d.a.conn->over_ns = SECONDS(1000);
	up();
	d.hook = drop_init;
	uint64_t order = change_rekey(&d.a, "b", true);
	change_failed(&d, &d.a, order, "does not answer");
	ck_assert_uint_eq(duo_children(&d.a), 1);
	d.hook = NULL;
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	duo_fini(&d);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ike change");
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
	tcase_add_loop_test(t, test_new_child, 0, 4);
	tcase_add_loop_test(t, test_halves_not_mixed, 0, 4);
	tcase_add_loop_test(t, test_new_child_at_once, 0, 16);
	tcase_add_test(t, test_new_child_refused);
	tcase_add_test(t, test_too_many_children);
	tcase_add_loop_test(t, test_lifetimes, 0, 4);
	tcase_add_test(t, test_expired);
	tcase_add_loop_test(t, test_sequence_numbers, 0, 5);
	tcase_add_test(t, test_hard_end);
	tcase_add_test(t, test_inactive);
	tcase_add_loop_test(t, test_close_action, 0, 6);
	tcase_add_loop_test(t, test_reauth, 0, 2);
	tcase_add_test(t, test_reauth_hands_over);
	tcase_add_test(t, test_reauth_fails);
	suite_add_tcase(s, t);
	suite_add_tcase(s, ike_dpd_case());
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
