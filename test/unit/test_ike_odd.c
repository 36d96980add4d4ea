/*
 * Two engines, one of which says what ours never would: messages that are sealed with the keys of
 * the IKE SA and are wrong inside, or refuse with what we do not do. Also a child that is closed
 * while it is being made, and the order in which connections are tried.
 */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "crypto/sk.h"
#include "ike/engine.h"
#include "ike/proto.h"
#include "ike_duo.h"

#define HEAD 32 /* of the message and of SK */

static struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

static struct ike_sa *sa_of(struct duo_node *n)
{
	ck_assert(!list_empty(&n->ike->sas));
	return list_entry(n->ike->sas.next, struct ike_sa, all);
}

/* A message of this node with any text inside. Returns its length. */
static size_t forge(struct duo_node *n, uint8_t exchange, bool answer, uint32_t id, uint8_t first,
		    const uint8_t *text, size_t len, uint8_t msg[512])
{
	struct ike_sa *sa = sa_of(n);
	size_t all = HEAD + sk_sealed_len(&sa->suite.sk, len), got = 0;

	ck_assert_uint_le(all, 512);
	memcpy(msg, sa->spi_i, 8);
	memcpy(msg + 8, sa->spi_r, 8);
	msg[16] = IKE2_SK;
	msg[17] = 0x20;
	msg[18] = exchange;
	msg[19] = (uint8_t)((sa->initiator ? IKE2_FLAG_I : 0) | (answer ? IKE2_FLAG_R : 0));
	store_be32(msg + 20, id);
	store_be32(msg + 24, (uint32_t)all);
	msg[28] = first;
	msg[29] = 0;
	store_be16(msg + 30, (uint16_t)(all - 28));
	ck_assert_int_eq(sk_seal(sa->seal, msg, 512, HEAD, span_of(text, len), &got), 0);
	ck_assert_uint_eq(got, all);
	return all;
}

/* a asks b an INFORMATIONAL with this text; the answer's text, which stays in *m. */
static struct span ask(uint8_t first, const uint8_t *text, size_t len, struct duo_msg **m)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	struct ike_sa *sa = sa_of(&d.a);
	struct span got = { NULL, 0 };
	uint8_t msg[512];
	size_t n = forge(&d.a, IKE2_X_INFO, false, sa->next_send++, first, text, len, msg);

	ike_receive(d.b.ike, &to, &from, false, msg, n);
	*m = list_empty(&d.wire) ? NULL : list_entry(d.wire.next, struct duo_msg, link);
	if (*m)
		ck_assert_int_eq(sk_open(sa->open, (*m)->p, (*m)->len, HEAD, &got), 0);
	return got;
}

static void one_up(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
}

/* RFC 7296 2.5: the whole message is refused, and the payload named. */
START_TEST(test_critical)
{
	const uint8_t text[] = { 0, 0x80, 0, 5, 0xaa };
	struct duo_msg *m;

	one_up();
	struct span got = ask(200, text, sizeof(text), &m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->p[28], IKE2_N);
	ck_assert_uint_eq(got.len, 9);
	ck_assert_uint_eq(load_be16(got.p + 6), IKE2_UNSUPPORTED_CRITICAL_PAYLOAD);
	ck_assert_uint_eq(got.p[8], 200);
	duo_settle(&d);
	/* nothing else has changed: the next request is answered */
	duo_down(&d, &d.a, "b/net");
	duo_up(&d, &d.a, "b/net");
	duo_agree(&d);
}
END_TEST

START_TEST(test_not_critical)
{
	const uint8_t text[] = { 0, 0, 0, 5, 0xaa };
	struct duo_msg *m;

	one_up();
	struct span got = ask(200, text, sizeof(text), &m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->p[28], 0);
	ck_assert_uint_eq(got.len, 0);
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

/* RFC 7296 2.21.2: the initiator did not believe our proof. It may say so without a delete, as
 * strongSwan does; the SA ends, and why is remembered. */
START_TEST(test_refused_afterwards)
{
	uint8_t text[16] = { 0, 0, 0, 8, 0, 0, 0, IKE2_AUTHENTICATION_FAILED };
	size_t len = 8;
	struct duo_msg *m;

	if (_i) { /* and with one */
		memcpy(text + 8, (uint8_t[]){ 0, 0, 0, 8, IKE_PROTO_IKE, 0, 0, 0 }, 8);
		text[0] = IKE2_D;
		len = 16;
	}
	one_up();
	struct span got = ask(IKE2_N, text, len, &m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(got.len, 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "refused our proof"));
	duo_run(&d, 300 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

/* One Delete names several pairs, one of them unknown: our halves of the others are in the answer (RFC
 * 7296 1.4.1, 3.11). */
START_TEST(test_delete_several)
{
	uint8_t text[8 + 12] = { 0, 0, 0, sizeof(text), IKE_PROTO_ESP, 4, 0, 3 };
	struct duo_msg *m;
	uint32_t mine[2];

	duo_conf_child(d.a.conn, "two", "10.1.0.0/16", "10.3.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.3.0.0/16", "10.1.0.0/16");
	one_up();
	ck_assert_uint_eq(duo_children(&d.b), 2);
	for (unsigned i = 0; i < 2; i++) {
		store_be32(text + 8 + 8 * i, duo_child(&d.a, i)->up.spi_in);
		mine[i] = duo_child(&d.a, i)->up.spi_out;
	}
	store_be32(text + 12, 0x12345678);
	struct span got = ask(IKE2_D, text, sizeof(text), &m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->p[28], IKE2_D);
	ck_assert_uint_eq(got.len, 16);
	ck_assert_uint_eq(load_be16(got.p + 6), 2);
	ck_assert_uint_eq(load_be32(got.p + 8), mine[0]);
	ck_assert_uint_eq(load_be32(got.p + 12), mine[1]);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

/* Requests outside the window of one are as if they had never come (RFC 7296 2.3). */
START_TEST(test_outside_window)
{
	static const int off[] = { -2, 1, 2, 1000, INT32_MIN };
	const uint8_t text[] = { 0, 0, 0, 8, IKE_PROTO_IKE, 0, 0, 0 };
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t msg[512];

	one_up();
	uint32_t id = sa_of(&d.a)->next_send + (uint32_t)off[_i];
	size_t n = forge(&d.a, IKE2_X_INFO, false, id, IKE2_D, text, sizeof(text), msg);
	ike_receive(d.b.ike, &to, &from, false, msg, n);
	ck_assert(list_empty(&d.wire));
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static unsigned up_at(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s.established;
}

/* INITIAL_CONTACT ends what there was with the same identity, and with no other (RFC 7296 2.4). */
START_TEST(test_initial_contact)
{
	struct ike_conn_conf *c = duo_conf_conn(d.a.conf, "second", "192.0.2.1", "192.0.2.2");

	duo_conf_child(c, "net2", "10.3.0.0/16", "10.2.0.0/16");
	duo_conf_child(d.b.conn, "net2", "10.2.0.0/16", "10.3.0.0/16");
	duo_ident(&c->auth.id, "c.example");
	duo_ident(&c->peer.id, "b.example");
	duo_ident(&d.b.conn->peer.id, "*.example");
	duo_conf_psk(d.a.conf, "c.example", "b.example", "of c");
	duo_conf_psk(d.b.conf, "c.example", "b.example", "of c");
	d.b.conn->unique = IKE_UNIQUE_NO;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_up(&d, &d.a, "second");
	ck_assert_uint_eq(up_at(&d.b), 2);
	duo_restart(&d.a);
	duo_up(&d, &d.a, "second");
	duo_settle(&d);
	ck_assert_uint_eq(up_at(&d.b), 2); /* a.example's is still there, c.example's is the new one */
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(up_at(&d.b), 2);
	duo_run(&d, 20 * NS_PER_S); /* what is replaced still receives for a moment */
	ck_assert_uint_eq(up_at(&d.b), 2);
	duo_agree(&d);
}
END_TEST

/* RFC 7296 2.21.3: authentic, and still no message. It hears INVALID_SYNTAX, and that was it. */
static const struct {
	uint8_t first, len, text[12];
} bad_inside[] = {
	{ IKE2_N, 3, { 0, 0, 0 } },                        /* cut short */
	{ IKE2_N, 4, { 0, 0, 0, 3 } },                     /* shorter than its own header */
	{ IKE2_N, 8, { 0, 0, 0, 12, 0, 0, 0x40, 0 } },     /* reaches over the end */
	{ IKE2_N, 8, { 0, 0, 0, 8, 3, 200, 0x40, 9 } },    /* so does its SPI */
	{ IKE2_D, 8, { 0, 0, 0, 8, 3, 4, 0xff, 0xff } },   /* more SPIs than there are */
	{ IKE2_N, 9, { 0, 0, 0, 8, 0, 0, 0x40, 0, 0 } },   /* something behind the last */
	{ IKE2_N, 8, { IKE2_D, 0, 0, 8, 0, 0, 0x40, 0 } }, /* the next is missing */
};

START_TEST(test_malformed)
{
	struct duo_msg *m;

	one_up();
	struct span got = ask(bad_inside[_i].first, bad_inside[_i].text, bad_inside[_i].len, &m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->p[28], IKE2_N);
	ck_assert_uint_eq(got.len, 8);
	ck_assert_uint_eq(load_be16(got.p + 6), IKE2_INVALID_SYNTAX);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_SA_DOWN)->text, "malformed"));
}
END_TEST

/* ---- what the peer may refuse with */

static struct {
	struct duo_node *from;
	uint8_t exchange, first, text[64];
	size_t len;
	bool answer;
	unsigned done;
} lie;

/* In place of the first message of that kind goes another. */
static bool tell_lie(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	if (m->from != lie.from || m->p[18] != lie.exchange ||
	    !!(m->p[19] & IKE2_FLAG_R) != lie.answer || lie.done++)
		return true;
	uint8_t msg[512];
	m->len = forge(lie.from, lie.exchange, lie.answer, load_be32(m->p + 20), lie.first,
		       lie.text, lie.len, msg);
	memcpy(m->p, msg, m->len);
	return true;
}

static void lie_notify(uint16_t type)
{
	memset(&lie, 0, sizeof(lie));
	lie.from = &d.b;
	lie.exchange = IKE2_X_CREATE_CHILD;
	lie.answer = true;
	lie.first = IKE2_N;
	lie.len = 8;
	lie.text[3] = 8;
	store_be16(lie.text + 6, type);
	d.hook = tell_lie;
}

static const struct {
	uint16_t type;
	const char *words;
} refusals[] = {
	{ IKE2_SINGLE_PAIR_REQUIRED, "list single addresses" },
	{ IKE2_INTERNAL_ADDRESS_FAILURE, "virtual address" },
	{ IKE2_FAILED_CP_REQUIRED, "virtual address" },
	{ IKE2_TS_UNACCEPTABLE, "make local_ts here and remote_ts there overlap" },
	{ IKE2_NO_PROPOSAL_CHOSEN, "esp_proposals" },
	{ IKE2_NO_ADDITIONAL_SAS, "NO_ADDITIONAL_SAS" },
	{ 4711, "4711" },
};

START_TEST(test_child_refused)
{
	duo_conf_child(d.a.conn, "two", "10.1.0.0/16", "10.3.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.3.0.0/16", "10.1.0.0/16");
	duo_start(&d);
	duo_up(&d, &d.a, "b/net");
	lie_notify(refusals[_i].type);
	duo_up_fails(&d, &d.a, "b/two", refusals[_i].words);
	ck_assert_uint_eq(lie.done, 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_down(&d, &d.a, "b");
}
END_TEST

/* An IKE_AUTH without AUTH, as a client that wants to log in by EAP sends it. */
START_TEST(test_eap)
{
	static const char id[] = "a.example";

	memset(&lie, 0, sizeof(lie));
	lie.from = &d.a;
	lie.exchange = IKE2_X_AUTH;
	lie.first = IKE2_IDI;
	lie.len = 8 + sizeof(id) - 1;
	lie.text[3] = (uint8_t)lie.len;
	lie.text[4] = 2; /* FQDN */
	memcpy(lie.text + 8, id, sizeof(id) - 1);
	d.hook = tell_lie;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "EAP"));
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "a.example"));
	duo_run(&d, NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

/* Somebody who has not proved anything yet may not end or change what others have. */
START_TEST(test_stranger_deletes)
{
	one_up();
	memset(&lie, 0, sizeof(lie));
	lie.from = &d.a;
	lie.exchange = IKE2_X_AUTH;
	lie.first = IKE2_D;
	lie.len = 8;
	memcpy(lie.text, (uint8_t[]){ 0, 0, 0, 8, 1, 0, 0, 0 }, 8);
	uint32_t id = sa_of(&d.b)->id;
	duo_restart(&d.a);
	d.hook = tell_lie;
	char why[128];
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(lie.done, 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(sa_of(&d.b)->id, id);
	ck_assert(sa_of(&d.b)->counted);
}
END_TEST

/* SPIs below 256 are reserved (RFC 4303 2.1), whichever side is given one. */
START_TEST(test_reserved_spi)
{
	one_up();
	duo_down(&d, &d.a, "b/net");
	d.b.odd_spi = true;
	(_i ? &d.a : &d.b)->last_spi = 5u - 0x101u; /* the next is 5 */
	duo_up_fails(&d, &d.a, "b/net", _i ? "INVALID_SYNTAX" : "SPI");
	duo_run(&d, NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	(_i ? &d.a : &d.b)->last_spi = 0x5000;
	duo_up(&d, &d.a, "b/net");
	duo_agree(&d);
}
END_TEST

/* ---- childless, with children (RFC 6023) */

static unsigned auth_sa;

/* Counts the bytes of IKE_AUTH requests: without a child they are shorter. */
static bool see_auth(struct duo *duo, struct duo_msg *m)
{
	if (m->from == &duo->a && m->p[18] == IKE2_X_AUTH)
		auth_sa = (unsigned)m->len;
	return true;
}

START_TEST(test_childless)
{
	d.hook = see_auth;
	one_up();
	unsigned with = auth_sa;
	duo_down(&d, &d.a, "b");
	duo_run(&d, 40 * NS_PER_S);
	d.a.conn->childless = true;
	duo_conf_child(d.a.conn, "two", "10.1.0.0/16", "10.3.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.3.0.0/16", "10.1.0.0/16");
	duo_restart(&d.a);
	duo_restart(&d.b);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_lt(auth_sa + 50, with);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	duo_agree(&d);
	/* a packet gets its child, too */
	duo_down(&d, &d.a, "b/two");
	duo_up(&d, &d.a, "b/two");
	duo_agree(&d);
}
END_TEST

/* ---- closed while it is being made */

static void down_early(const char *up_name, const char *down_name, unsigned steps)
{
	uint64_t up, down;
	char why[256];

	d.delay_ns = 50 * NS_PER_MS;
	ck_assert_int_eq(ike_initiate(d.a.ike, up_name, &up, why, sizeof(why)), 0);
	for (unsigned i = 0; i < steps; i++)
		duo_step(&d, d.now_ns + NS_PER_S);
	ck_assert_msg(ike_terminate(d.a.ike, down_name, &down, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(duo_order(&d, &d.a, down)->type, IKE_EV_DONE);
	ck_assert_int_eq(duo_order(&d, &d.a, up)->type, IKE_EV_FAILED);
	duo_run(&d, 10 * NS_PER_S);
	d.delay_ns = 0;
}

START_TEST(test_down_in_auth)
{
	duo_start(&d);
	down_early("b", "b/net", (unsigned)_i);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	duo_up(&d, &d.a, "b/net");
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
}
END_TEST

START_TEST(test_down_in_create)
{
	duo_conf_child(d.a.conn, "two", "10.1.0.0/16", "10.3.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.3.0.0/16", "10.1.0.0/16");
	duo_start(&d);
	duo_up(&d, &d.a, "b/net");
	down_early("b/two", "b/two", (unsigned)_i);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_up(&d, &d.a, "b/two");
	ck_assert_uint_eq(duo_children(&d.a), 2);
	duo_agree(&d);
}
END_TEST

/* ---- the order of candidates */

/* Everybody once, the better ones first, those that are equal in the order of the file. */
START_TEST(test_candidates)
{
	char name[16];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		duo_conf_conn(d.b.conf, name, i % 2 ? "192.0.2.2" : NULL,
			      i % 3 == 0   ? NULL
			      : i % 3 == 1 ? "192.0.2.0/24"
					   : "192.0.2.1");
	}
	duo_conf_conn(d.b.conf, "elsewhere", NULL, "198.51.100.1");
	duo_start(&d);
	const char *expected[] = { "a",  "c5",  "c11", "c2", "c8", "c1", "c7",
				   "c4", "c10", "c3",  "c9", "c0", "c6" };
	struct ike_cursor at = { .fit = 0 };
	for (unsigned i = 0; i < ARRAY_LEN(expected); i++) {
		struct ike_conn *c =
		    ike_conn_candidate(d.b.ike, 2, &at, &d.b.addr, &d.a.addr, NULL, NULL);
		ck_assert_ptr_nonnull(c);
		ck_assert_str_eq(c->conf->name, expected[i]);
	}
	ck_assert_ptr_null(ike_conn_candidate(d.b.ike, 2, &at, &d.b.addr, &d.a.addr, NULL, NULL));
	ck_assert_ptr_null(ike_conn_candidate(d.b.ike, 2, &at, &d.b.addr, &d.a.addr, NULL, NULL));
}
END_TEST

/* Two thousand connections for anybody, and first messages that fit none of them: whoever sends
 * those must not get more than their share of our time. */
START_TEST(test_many_connections)
{
	enum { CONNS = 2000, MESSAGES = 20 };
	char name[16], why[128];
	uint64_t order;

	for (unsigned i = 0; i < CONNS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		duo_conf_conn(d.b.conf, name, NULL, NULL);
	}
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128-sha1-modp8192");
	duo_start(&d);
	struct timespec from, to;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (unsigned i = 0; i < MESSAGES; i++) {
		ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
		ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_FAILED);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	/* some milliseconds each; it was minutes when each candidate was searched from the start */
	ck_assert_int_lt(to.tv_sec - from.tv_sec, 20);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_odd");
	SRunner *r = srunner_create(s);
	TCase *t = tcase_create("inside");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_critical);
	tcase_add_test(t, test_not_critical);
	tcase_add_loop_test(t, test_refused_afterwards, 0, 2);
	tcase_add_test(t, test_delete_several);
	tcase_add_loop_test(t, test_outside_window, 0, 5);
	tcase_add_test(t, test_initial_contact);
	tcase_add_loop_test(t, test_malformed, 0, ARRAY_LEN(bad_inside));
	tcase_add_loop_test(t, test_child_refused, 0, ARRAY_LEN(refusals));
	tcase_add_test(t, test_eap);
	tcase_add_test(t, test_stranger_deletes);
	tcase_add_loop_test(t, test_reserved_spi, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("children");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_childless);
	tcase_add_loop_test(t, test_down_in_auth, 1, 4);
	tcase_add_loop_test(t, test_down_in_create, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("candidates");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_candidates);
	tcase_add_test(t, test_many_connections);
	suite_add_tcase(s, t);

	srunner_run_all(r, CK_ENV);
	int bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
