/*
 * A bad wire: loss, duplicates, NAT, slow answers, forged and changed messages, published
 * captures; then everything at once by seed, with the seeds that once found a fault.
 */
#include <stdlib.h>

#include "base/hex.h"
#include "base/random.h"
#include "ike/v1/v1.h"
#include "pcap.h"
#include "test_ike_v1_duo.h"

START_TEST(test_loss)
{
	if (_i % 2)
		v1duo_aggressive();
	v1duo_esp("aes128gcm16-ecp256");
	d.seed = 100 + (uint64_t)_i;
	d.lose = 20;
	d.duplicate = 20;
	d.jitter_ns = 50 * NS_PER_MS;
	d.job_jitter_ns = 30 * NS_PER_MS;
	d.a.conf->retransmit = (struct ike_retransmit){ 2 * NS_PER_S, 1.2, 30, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.b.conf->half_open_ns = 300 * NS_PER_S;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 0;
	duo_run(&d, 120 * NS_PER_S);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

START_TEST(test_duplicates_change_nothing)
{
	if (_i)
		v1duo_aggressive();
	d.duplicate = 100;
	v1duo_up();
	ck_assert_uint_gt(v1duo_stats(&d.b).retransmitted, 0);
}
END_TEST

START_TEST(test_timeout)
{
	d.lose = 100;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

/* -- what strangers may have us keep and send -- */

static struct {
	uint8_t p[4096];
	size_t len;
} caught;

static bool catch_first(struct duo *duo, struct duo_msg *m)
{
	if (!caught.len) {
		ck_assert_uint_le(m->len, sizeof(caught.p));
		memcpy(caught.p, m->p, m->len);
		caught.len = m->len;
	}
	return m->from == &duo->b;
}

static void catch_message_1(void)
{
	char text[128];
	uint64_t order;

	caught.len = 0;
	d.hook = catch_first;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, text, sizeof(text)), 0);
	duo_run(&d, NS_PER_MS);
	ck_assert_uint_gt(caught.len, 100);
	ck_assert_int_eq(ike_terminate(d.a.ike, "b", &order, text, sizeof(text)), 0);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.b.ike->strange, 0);
}

static void send_caught(uint8_t cookie)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t copy[sizeof(caught.p)];

	memcpy(copy, caught.p, caught.len);
	copy[0] = cookie;
	ike_receive(d.b.ike, &to, &from, false, copy, caught.len);
}

/* Who sends the same first message for ever, perhaps in another's name, is not answered for ever. */
START_TEST(test_first_repeated)
{
	if (_i)
		v1duo_aggressive();
	d.b.conf->half_open_ns = 300 * NS_PER_S;
	catch_message_1();
	duo_run(&d, 400 * NS_PER_S);
	uint64_t before = v1duo_stats(&d.b).retransmitted;
	for (unsigned i = 0; i < 100; i++) {
		send_caught(1);
		duo_run(&d, NS_PER_MS);
	}
	ck_assert_uint_ge(v1duo_stats(&d.b).retransmitted - before, 6); /* more than a peer in need asks for */
	ck_assert_uint_le(v1duo_stats(&d.b).retransmitted - before, 12);
	d.hook = NULL;
	duo_run(&d, 400 * NS_PER_S);
	duo_up(&d, &d.a, "b");
}
END_TEST

/* First messages of many are kept up to a limit of bytes, and given up with the half-open SAs. */
START_TEST(test_first_bytes)
{
	struct ike_stats s;

	if (_i)
		v1duo_aggressive();
	d.b.conf->cookie_threshold = d.b.conf->block_threshold = 0;
	catch_message_1();
	ike_stats(d.b.ike, &s);
	uint64_t before = s.half_open_refused;
	d.b.ike->strange_max = 5 * caught.len;
	for (unsigned i = 0; i < 50; i++)
		send_caught((uint8_t)i);
	ike_stats(d.b.ike, &s);
	ck_assert_uint_eq(s.half_open, 5);
	ck_assert_uint_eq(s.half_open_refused - before, 45);
	ck_assert_uint_eq(d.b.ike->strange, 5 * caught.len);
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.b.ike->strange, 0);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(d.b.ike->strange, 0);
}
END_TEST

static uint64_t went_ns[8];
static unsigned n_went;

static bool note_quick(struct duo *duo, struct duo_msg *m)
{
	if (m->from == &duo->a && m->p[18] == IKE1_X_QUICK && n_went < ARRAY_LEN(went_ns))
		went_ns[n_went++] = duo->now_ns;
	return true;
}

/* RFC 2408 5.1: no fixed timer. Answers that take long make the first wait longer, quick ones not
 * shorter than it is configured; those of repeated messages say nothing (Karn). */
START_TEST(test_5_1_timer_follows_the_round_trip)
{
	static const uint64_t way[] = { NS_PER_MS, 1500 * NS_PER_MS, 2500 * NS_PER_MS };

	d.a.conf->retransmit = d.b.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.8, 5, 0 };
	d.delay_ns = way[_i];
	v1duo_up();
	if (_i == 2)
		ck_assert_uint_eq(v1duo_sa(&d.a)->v1->rtt_ns, 0);
	else
		ck_assert_uint_eq(v1duo_sa(&d.a)->v1->rtt_ns, 2 * way[_i]);
	n_went = 0;
	d.hook = note_quick;
	d.b.frozen = true;
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &(uint64_t){ 0 }, why, sizeof(why)), 0);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_ge(n_went, 3);
	uint64_t first = went_ns[1] - went_ns[0], second = went_ns[2] - went_ns[1];
	if (_i == 1)
		ck_assert_uint_gt(first, 4 * NS_PER_S);
	else
		ck_assert_uint_eq(first, 4 * NS_PER_S);
	ck_assert_uint_le(first, 60 * NS_PER_S);
	ck_assert_uint_eq(second, first * 18 / 10);
}
END_TEST

START_TEST(test_nat)
{
	if (_i & 1)
		v1duo_aggressive();
	d.nat = true;
	duo_start(&d);
	struct ip_addr any = { .ver = 0 };
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.b, 0)->up.udp);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.remote.port, 4500);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.remote.port, 4500 + d.nat_base);
	duo_agree(&d);
	unsigned before = d.a.keepalives;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_gt(d.a.keepalives, before);
}
END_TEST

/* Vendor IDs of RFC 3947, draft -03, and the second one of draft -02 */
static const char *const natt_ids[] = { "4a131c81070358455c5728f20e95452f",
					"7d9419a65310ca6f2c179d9215529d56",
					"90cb80913ebb696e086381b5ec427b1f" };
static unsigned natt_without; /* so many of them are not there */

static bool older_natt(struct duo *duo, struct duo_msg *m)
{
	uint8_t id[16];

	(void)duo;
	for (unsigned i = 0; i < natt_without; i++) {
		ck_assert_int_eq(hex_decode(natt_ids[i], id, sizeof(id)), 16);
		uint8_t *p = memmem(m->p, m->len, id, sizeof(id));
		if (p)
			p[15] ^= 0xff;
	}
	return true;
}

/* A whole negotiation by draft -03, then by draft -02 alone (private numbers of payloads and modes). */
START_TEST(test_natt_drafts)
{
	struct ip_addr any = { .ver = 0 };

	natt_without = (unsigned)_i / 2 + 1;
	if (_i & 1)
		v1duo_aggressive();
	d.nat = true;
	duo_start(&d);
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	d.hook = older_natt;
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_int_eq(v1duo_sa(&d.a)->v1->natt, V1_NATT_DRAFT);
	ck_assert_int_eq(v1duo_sa(&d.b)->v1->natt, V1_NATT_DRAFT);
	ck_assert(v1duo_sa(&d.b)->v1->peers & V1_VID(IKE_VENDOR_NATT_02));
	ck_assert_int_eq(!(v1duo_sa(&d.b)->v1->peers & V1_VID(IKE_VENDOR_NATT_03)), natt_without > 1);
	ck_assert(duo_child(&d.a, 0)->up.udp && duo_child(&d.b, 0)->up.udp);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.remote.port, 4500 + d.nat_base);
	v1duo_rekey(&d.a, "b/net", false);
	duo_run(&d, NS_PER_S);
	duo_agree(&d);
}
END_TEST

START_TEST(test_forced_encap)
{
	(_i ? &d.a : &d.b)->conn->encap = true;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.b, 0)->up.udp);
	duo_agree(&d);
}
END_TEST

START_TEST(test_slow_jobs)
{
	if (_i)
		v1duo_aggressive();
	v1duo_esp("aes128gcm16-ecp256");
	d.job_ns = 5 * NS_PER_S; /* longer than the first retransmission */
	v1duo_up();
}
END_TEST

START_TEST(test_forged)
{
	v1duo_up();
	uint8_t junk[200];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	for (unsigned i = 0; i < 200; i++) {
		random_bytes(junk, sizeof(junk));
		if (i > 26) {
			junk[17] = 0x10;
			junk[18] = (uint8_t)(i % 40);
			junk[19] = i & 1;
			junk[24] = junk[25] = junk[26] = 0;
			junk[27] = (uint8_t)i;
		}
		ike_receive(d.b.ike, &to, &from, false, junk, i);
	}
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* An answer to Aggressive Mode that somebody else made comes first; the right one still counts. */
static bool forge_first(struct duo *duo, struct duo_msg *m)
{
	struct endpoint to = m->dst, from = m->src;
	uint8_t copy[2048];

	if (m->from != &duo->b || m->p[18] != IKE1_X_AGGRESSIVE)
		return true;
	duo->hook = NULL;
	ck_assert_uint_le(m->len, sizeof(copy));
	memcpy(copy, m->p, m->len);
	copy[8] ^= 0x55; /* another cookie, so another hash */
	ike_receive(duo->a.ike, &to, &from, false, copy, m->len);
	return true;
}

START_TEST(test_forged_aggressive_answer)
{
	v1duo_aggressive();
	duo_start(&d);
	d.hook = forge_first;
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
}
END_TEST

/* Every byte of every message changed once: it never comes up wrongly, and nobody is upset. */
static unsigned flip_message, flip_at;

static bool flip(struct duo *duo, struct duo_msg *m)
{
	if (flip_message-- == 0 && m->len)
		m->p[flip_at % m->len] ^= 0x10;
	return true;
}

START_TEST(test_changed_on_the_way)
{
	if (_i % 2)
		v1duo_aggressive();
	flip_message = (unsigned)_i / 2 % 9;
	flip_at = 28 + (unsigned)_i * 7;
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.5, 4, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.a.conn->keyingtries = 3;
	duo_start(&d);
	d.hook = flip;
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	const struct duo_event *e = duo_order(&d, &d.a, order);
	d.hook = NULL;
	duo_run(&d, 100 * NS_PER_S);
	if (e->type == IKE_EV_DONE)
		duo_agree(&d);
	else
		ck_assert_uint_eq(duo_children(&d.a), 0);
}
END_TEST

/* Published captures that upset others, as if they came from the peer. */
static void feed(const char *file, const struct pcap_record *r, void *arg)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	const uint8_t *p = r->ip;
	uint8_t buf[65536];

	(void)file;
	(void)arg;
	if (!p || r->ip_len < 28 || p[0] >> 4 != 4 || p[9] != 17)
		return;
	size_t head = (p[0] & 15u) * 4 + 8u;
	if (head > r->ip_len)
		return;
	size_t len = r->ip_len - head;
	memcpy(buf, p + head, len);
	ike_receive(d.b.ike, &to, &from, false, buf, len);
	if (len >= IKE_HDR_LEN) { /* and with cookies that are known */
		memcpy(buf, p + head, len);
		memcpy(buf, v1duo_sa(&d.a)->spi_i, 8);
		memcpy(buf + 8, v1duo_sa(&d.a)->spi_r, 8);
		ike_receive(d.b.ike, &to, &from, false, buf, len);
	}
}

START_TEST(test_captures)
{
	static const char *const folders[] = { "malformed", "ike-captures", "openswan" };
	char dir[4096];

	v1duo_up();
	if (!vectors_dir(folders[_i], dir, sizeof(dir)))
		return;
	ck_assert_uint_gt(pcap_each(dir, feed, NULL), 0);
	duo_run(&d, 300 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

TCase *v1duo_wire_case(void)
{
	TCase *t = v1duo_case("wire");

	tcase_add_loop_test(t, test_loss, 0, 20);
	tcase_add_loop_test(t, test_duplicates_change_nothing, 0, 2);
	tcase_add_loop_test(t, test_first_repeated, 0, 2);
	tcase_add_loop_test(t, test_first_bytes, 0, 2);
	tcase_add_test(t, test_timeout);
	tcase_add_loop_test(t, test_5_1_timer_follows_the_round_trip, 0, 3);
	tcase_add_loop_test(t, test_nat, 0, 2);
	tcase_add_loop_test(t, test_natt_drafts, 0, 4);
	tcase_add_loop_test(t, test_forced_encap, 0, 2);
	tcase_add_loop_test(t, test_slow_jobs, 0, 2);
	tcase_add_test(t, test_forged);
	tcase_add_test(t, test_forged_aggressive_answer);
	tcase_add_loop_test(t, test_changed_on_the_way, 0, 40);
	tcase_add_loop_test(t, test_captures, 0, 3);
	return t;
}

/* ---- everything at once */

static unsigned long number(const char *env, unsigned long otherwise)
{
	const char *s = getenv(env);

	return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

/* Everything at once, by seed: in the end both agree. Others by hand, as many as one likes:
 * CK_RUN_CASE=random BUMPWIRE_SEED=8000 BUMPWIRE_SEEDS=5000 */
static void run_random(unsigned long seed)
{
	struct duo_node *n[] = { &d.a, &d.b };
	const char *const names[] = { "b/net", "a/net", "b", "a" };

	d.seed = seed;
	if (d.seed % 3 == 0)
		v1duo_aggressive();
	if (d.seed % 2)
		v1duo_esp("aes128gcm16-ecp256");
	for (unsigned i = 0; i < 2; i++)
		n[i]->conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.3, 12, 0 };
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 10;
	d.jitter_ns = 400 * NS_PER_MS;
	d.job_jitter_ns = 100 * NS_PER_MS;
	for (unsigned i = 0; i < 30; i++) {
		uint64_t order;
		unsigned who = random_u32() % 2, what = random_u32() % 4;
		if (what < 3)
			(void)!ike_rekey(n[who]->ike, names[who + 2 * (what == 2)], false, &order,
					 why, sizeof(why));
		else
			(void)!ike_initiate(n[who]->ike, names[who + 2], &order, why, sizeof(why));
		duo_run(&d, random_u64() % (20 * NS_PER_S));
	}
	d.lose = d.duplicate = 0;
	d.jitter_ns = 0;
	duo_run(&d, 400 * NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_agree(&d);
}

START_TEST(test_random)
{
	run_random(number("BUMPWIRE_SEED", 7000) + (unsigned long)_i);
}
END_TEST

/* Seeds that once ended with a pair that only one side had: messages and a delete of phase 1
 * that crossed, two phase 1 of which each side deleted another one, a delete that overtook the
 * pair. */
static const unsigned long found[] = { 22036, 22708, 24183, 26809, 29472, 29649, 20885, 21976 };

START_TEST(test_found)
{
	run_random(found[_i]);
}
END_TEST

TCase *v1duo_random_case(void)
{
	TCase *t = v1duo_case("random");

	tcase_add_loop_test(t, test_random, 0, (int)number("BUMPWIRE_SEEDS", 30));
	tcase_add_loop_test(t, test_found, 0, (int)ARRAY_LEN(found));
	return t;
}
