/*
 * The first exchanges on a bad wire: loss, duplicates, silence, fragments, slow and busy jobs,
 * forged and changed messages, and what is answered to who is not understood.
 */
#include "base/random.h"
#include "ike/reassembly.h"
#include "ike/v2/internal.h"
#include "test_ike_duo.h"

static unsigned to_lose, seen;

static bool lose_nth(struct duo *duo, struct duo_msg *m)
{
	return ++seen != to_lose;
}

/* Whichever datagram is lost, it is sent again. */
START_TEST(test_loss)
{
	to_lose = (unsigned)_i + 1;
	seen = 0;
	d.hook = lose_nth;
	duo_start(&d);
	uint64_t begin = d.now_ns;
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_ge(d.now_ns - begin, 4 * NS_PER_S);
}
END_TEST

START_TEST(test_duplicates)
{
	d.duplicate = 100;
	d.jitter_ns = 50 * NS_PER_MS;
	first_up();
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* Nobody there: five retransmissions with growing waits, then words. */
START_TEST(test_timeout)
{
	d.b.frozen = true;
	duo_start(&d);
	uint64_t begin = d.now_ns;
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(d.a.sent, 6);
	/* 4 * (1 + 1.8 + 1.8^2 + 1.8^3 + 1.8^4 + 1.8^5) = 165.06 s */
	ck_assert_uint_ge(d.now_ns - begin, 165 * NS_PER_S);
	ck_assert_uint_le(d.now_ns - begin, 166 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

START_TEST(test_keyingtries)
{
	d.b.frozen = true;
	d.a.conn->keyingtries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(d.a.sent, 12);
	ck_assert_uint_ge(d.a.count[IKE_EV_PROGRESS], 1);
}
END_TEST

START_TEST(test_fragments)
{
	/* the smallest packets that still make sense */
	d.a.conn->fragment_size = d.b.conn->fragment_size = 300;
	for (unsigned i = 0; i < 8; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.1.%u.0/24", 2 * i);
		struct ts t;
		ck_assert_int_eq(ts_parse(text, &t, text, 0), 0);
		d.a.conn->child[0].local_ts.ts[i] = t;
		d.a.conn->child[0].local_ts.n = i + 1;
	}
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.lose = (unsigned)_i * 20;
	d.duplicate = (unsigned)_i * 20;
	d.jitter_ns = 40 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_child(&d.b, 0)->remote_ts.n, 8);
	if (_i == 0) {
		ck_assert_uint_gt(d.a.sent, 2);
		ck_assert_uint_gt(d.b.sent, 2);
	}
}
END_TEST

/* Jobs take long; what comes meanwhile waits, what comes twice is dropped. */
START_TEST(test_slow_jobs)
{
	d.job_ns = 3 * NS_PER_S;
	d.job_jitter_ns = 3 * NS_PER_S;
	d.duplicate = 50;
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16", "10.11.0.0/16");
	duo_proposals(&d.a.conn->child[1].proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	duo_proposals(&d.b.conn->child[1].proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	first_up();
}
END_TEST

/* The pool takes nothing: the peer asks again, until it does. */
START_TEST(test_busy_pool)
{
	duo_start(&d);
	d.job_ns = NS_PER_MS;
	char why[128];
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_one(&d);
	d.busy = true;
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	d.busy = false;
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_agree(&d);
}
END_TEST

/* Garbage and forgeries change nothing. */
START_TEST(test_forged)
{
	first_up();
	uint8_t junk[200];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	for (unsigned i = 0; i < 200; i++) {
		random_bytes(junk, sizeof(junk));
		ike_receive(d.b.ike, &to, &from, false, junk, i);
	}
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static bool tamper(struct duo *duo, struct duo_msg *m)
{
	uint64_t r = random_u64();

	if (r % 3 == 0)
		m->p[(r >> 8) % m->len] ^= (uint8_t)(1u << ((r >> 40) % 8));
	else if (r % 7 == 0)
		m->len = (r >> 8) % m->len;
	return true;
}

/* A wire that changes bits and cuts datagrams: attempts may fail, but afterwards all is well. */
START_TEST(test_tampered)
{
	d.seed = (uint64_t)_i + 1;
	d.hook = tamper;
	d.a.conn->child[0].start = IKE_START_START;
	d.a.conn->keyingtries = 0;
	d.a.conn->rekey_ns = 40 * NS_PER_S;
	d.b.conn->child[0].rekey_ns = 25 * NS_PER_S;
	d.a.conn->dpd_delay_ns = d.b.conn->dpd_delay_ns = 10 * NS_PER_S;
	d.a.conn->child[0].dpd_action = d.a.conn->child[0].close_action = IKE_ACTION_RESTART;
	duo_start(&d);
	duo_run(&d, 600 * NS_PER_S);
	d.hook = NULL;
	duo_run(&d, 900 * NS_PER_S);
	/* in between rekeyings */
	for (unsigned i = 0; i < 100 && duo_children(&d.a) != 1; i++)
		duo_run(&d, NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

/* Answers of a stranger in the clear do not end a negotiation that goes on. */
START_TEST(test_forged_refusal)
{
	/* one notify, NO_PROPOSAL_CHOSEN */
	uint8_t no[36] = { [16] = 41, [17] = 0x20, 34, 0x20, [27] = 36, [31] = 8, [35] = 14 };
	struct endpoint from = { d.b.addr, 500 }, to = { d.a.addr, 500 };
	char why[128];
	uint64_t order;

	d.delay_ns = 500 * NS_PER_MS;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	memcpy(no, list_entry(d.wire.next, struct duo_msg, link)->p, 8);
	ike_receive(d.a.ike, &to, &from, false, no, sizeof(no));
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_agree(&d);
}
END_TEST

/* ---- what strangers may have us keep and send */

static struct {
	uint8_t p[2048];
	size_t len;
} caught;

/* The first datagram, and nothing else, is caught. */
static bool catch_first(struct duo *duo, struct duo_msg *m)
{
	if (!caught.len) {
		memcpy(caught.p, m->p, m->len);
		caught.len = m->len;
	}
	return m->from == &duo->b;
}

static void catch_init(void)
{
	char why[128];
	uint64_t order;

	caught.len = 0;
	d.hook = catch_first;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	ck_assert_uint_gt(caught.len, 100);
	ck_assert_int_eq(ike_terminate(d.a.ike, "b", &order, why, sizeof(why)), 0);
}

static void send_caught(uint8_t spi)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t copy[sizeof(caught.p)];

	memcpy(copy, caught.p, caught.len);
	copy[0] = spi;
	ike_receive(d.b.ike, &to, &from, false, copy, caught.len);
}

/* Who sends the same IKE_SA_INIT for ever, perhaps in another's name, is not answered for ever. */
START_TEST(test_init_repeated)
{
	catch_init();
	for (unsigned i = 0; i < 100; i++)
		send_caught(1);
	ck_assert_uint_ge(d.b.sent, 6); /* more than a peer in need asks for */
	ck_assert_uint_le(d.b.sent, 15);
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	duo_up(&d, &d.a, "b");
}
END_TEST

/* First messages of many are kept up to a limit of bytes, and given up with the half-open SAs. */
START_TEST(test_init_bytes)
{
	struct ike_stats s;

	d.b.conf->cookie_threshold = d.b.conf->block_threshold = 0;
	catch_init();
	d.b.ike->strange_max = 5 * caught.len;
	for (unsigned i = 0; i < 50; i++)
		send_caught((uint8_t)i);
	ike_stats(d.b.ike, &s);
	ck_assert_uint_eq(s.half_open, 5);
	ck_assert_uint_eq(s.half_open_refused, 45);
	ck_assert_uint_eq(d.b.ike->strange, 5 * caught.len);
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.b.ike->strange, 0);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(d.b.ike->strange, 0);
}
END_TEST

/* The last fragment never comes. */
static bool lose_last(struct duo *duo, struct duo_msg *m)
{
	return m->p[16] != IKE2_SKF || load_be16(m->p + 32) != load_be16(m->p + 34);
}

/* Fragments of an IKE_AUTH that never becomes whole count, and too many are not kept. */
START_TEST(test_fragment_bytes)
{
	d.a.conn->fragment_size = 200;
	d.a.conn->keyingtries = 1;
	d.hook = lose_last;
	duo_start(&d);
	if (_i)
		d.b.ike->strange_max = 700;
	uint64_t order;
	char why[128];
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_run(&d, 10 * NS_PER_S);
	const struct ike_sa *sa = list_entry(d.b.ike->sas.next, struct ike_sa, all);
	ck_assert(sa->half_open);
	ck_assert_uint_eq(sa->strange, d.b.ike->strange);
	if (_i) {
		ck_assert_uint_le(sa->strange, 700);
		ck_assert(!sa->frags[0] || sa->frags[0]->bytes < 500);
	} else {
		ck_assert_ptr_nonnull(sa->frags[0]);
		ck_assert_uint_gt(sa->strange, sa->init->got.len + sa->frags[0]->bytes);
	}
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(d.b.ike->strange, 0);
	d.hook = NULL;
	d.b.ike->strange_max = IKE_STRANGE_MAX;
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(d.b.ike->strange, 0);
}
END_TEST

/* A critical payload that nobody knows is named in the answer; an SPI that nobody has is answered,
 * but not often. */
START_TEST(test_unknown)
{
	uint8_t m[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0x20, 34, 0x08 };
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };

	duo_start(&d);
	m[27] = 32;
	m[29] = 0x80;
	m[31] = 4;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	struct duo_msg *answer = list_entry(d.wire.next, struct duo_msg, link);
	ck_assert_uint_eq(answer->p[16], 41);
	ck_assert_uint_eq(answer->p[35], 1); /* UNSUPPORTED_CRITICAL_PAYLOAD */
	ck_assert_uint_eq(answer->p[36], 200);
	m[8] = 9;
	m[18] = 37;
	m[16] = 46;
	for (unsigned i = 0; i < 100; i++)
		ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 10); /* ten in all go in a second */
	ck_assert_uint_eq(first_stats(&d.b).invalid_spi, 100);
}
END_TEST

START_TEST(test_version)
{
	uint8_t m[28] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x30, 34, 0x08 };
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };

	duo_start(&d);
	m[27] = 28;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	m[17] = 0x10;
	m[19] = 0;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	ck_assert_uint_eq(first_stats(&d.b).unknown, 1);
}
END_TEST

TCase *first_wire_case(void)
{
	TCase *t = first_case("wire");

	tcase_add_loop_test(t, test_loss, 0, 4);
	tcase_add_test(t, test_duplicates);
	tcase_add_test(t, test_timeout);
	tcase_add_test(t, test_keyingtries);
	tcase_add_loop_test(t, test_fragments, 0, 3);
	tcase_add_test(t, test_slow_jobs);
	tcase_add_test(t, test_busy_pool);
	tcase_add_test(t, test_forged);
	tcase_add_loop_test(t, test_tampered, 0, 8);
	tcase_add_test(t, test_forged_refusal);
	tcase_add_test(t, test_unknown);
	tcase_add_test(t, test_init_repeated);
	tcase_add_test(t, test_init_bytes);
	tcase_add_loop_test(t, test_fragment_bytes, 0, 2);
	tcase_add_test(t, test_version);
	return t;
}
