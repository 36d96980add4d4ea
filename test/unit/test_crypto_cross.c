/*
 * Every suite by every pair of backends: what one seals, the other opens; what was changed on the
 * way, none accepts; and nothing outside the packet is written.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "crypto_util.h"

enum { CANARY = 0xa5 };

static uint8_t plain[PKT_ROOM], wire[PKT_ROOM], copy[PKT_ROOM], back[PKT_ROOM];

static struct crypt_ctx *ctx;

static void ctx_up(void)
{
	ctx = crypt_ctx_new(0);
	ck_assert_ptr_nonnull(ctx);
}

static void ctx_down(void)
{
	crypt_ctx_free(&ctx);
}

/* A length the suite can have, near len. */
static uint32_t fit(const struct esp_suite *s, uint32_t len)
{
	uint32_t b = s->encr->block;

	len = len / b * b;
	return len ? len : b;
}

static void check_canary(const char *what, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != CANARY)
			ck_abort_msg("%s: wrote outside, at %zu", what, i);
}

/* One packet through seal by one key and open by the other; out of place, or in place on both ends.
 */
static void round_trip(const char *what, const struct crypt_key *seal, const struct crypt_key *open,
		       uint32_t len, bool in_place)
{
	const struct esp_suite *s = &seal->suite;
	uint8_t *esp = wire + PKT_MARGIN, *text = esp + 8 + s->iv_len;
	size_t total = 8u + s->iv_len + len + s->icv_len;
	struct crypt_op op = { .key = seal,
			       .esp = esp,
			       .src = in_place ? text : plain,
			       .dst = text,
			       .len = len,
			       .seq_hi = 0x01020304,
			       .iv = ((uint64_t)pick(1u << 30) << 32) | pick(1u << 30) };

	pick_bytes(plain, len < 256 ? len : 256);
	memset(wire, CANARY, total + 2 * PKT_MARGIN);
	pick_bytes(esp, 8);
	memcpy(copy, esp, 8);
	if (in_place)
		memcpy(text, plain, len);
	crypt_seal(ctx, &op, 1);
	ck_assert_msg(op.ok, "%s, %u bytes: not sealed", what, len);
	check_canary(what, wire, PKT_MARGIN);
	check_canary(what, esp + total, PKT_MARGIN);
	check_bytes(what, span_of(esp, 8), span_of(copy, 8));
	if (s->encr->block == 1 && s->iv_len)
		ck_assert_uint_eq(load_be64(esp + 8), op.iv);
	if (len >= 16 && s->encr->id != ENCR_NULL && s->encr->id != ENCR_NULL_AUTH_AES_GMAC)
		ck_assert_msg(memcmp(text, plain, len) != 0, "%s: not encrypted", what);

	memcpy(copy, esp, total);
	memset(back, CANARY, len + 2 * PKT_MARGIN);
	uint8_t *out = in_place ? text : back + PKT_MARGIN;
	op = (struct crypt_op){
		.key = open, .esp = esp, .src = text, .dst = out, .len = len, .seq_hi = 0x01020304
	};
	crypt_open(ctx, &op, 1);
	ck_assert_msg(op.ok, "%s, %u bytes: not opened", what, len);
	check_bytes(what, span_of(out, len), span_of(plain, len));
	if (in_place) {
		check_bytes(what, span_of(text + len, s->icv_len),
			    span_of(copy + 8 + s->iv_len + len, s->icv_len));
		return;
	}
	check_bytes(what, span_of(esp, total), span_of(copy, total));
	check_canary(what, back, PKT_MARGIN);
	check_canary(what, out + len, PKT_MARGIN);
}

/* A batch in which every packet but the last has one byte of header, IV, text or ICV changed. */
static void tamper(const char *what, const struct crypt_key *seal, const struct crypt_key *open)
{
	enum { LEN = 32, SPAN = 128, MOST = 120 };
	const struct esp_suite *s = &seal->suite;
	unsigned total = 8u + s->iv_len + LEN + s->icv_len, n = total + 1;
	struct crypt_op ops[MOST];

	ck_assert_uint_lt(n, MOST);
	pick_bytes(wire, 8u + s->iv_len + LEN);
	struct crypt_op op = { .key = seal,
			       .esp = wire,
			       .src = plain,
			       .dst = wire + 8 + s->iv_len,
			       .len = LEN,
			       .seq_hi = 7 };
	crypt_seal(ctx, &op, 1);
	ck_assert(op.ok);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = copy + (size_t)i * SPAN;
		memcpy(p, wire, total);
		if (i < total)
			p[i] ^= (uint8_t)(1u << pick(8));
		ops[i] = (struct crypt_op){ .key = open,
					    .esp = p,
					    .src = p + 8 + s->iv_len,
					    .dst = back + (size_t)i * SPAN,
					    .len = LEN,
					    .seq_hi = 7,
					    .ok = true };
	}
	crypt_open(ctx, ops, n);
	for (unsigned i = 0; i < total; i++)
		ck_assert_msg(!ops[i].ok, "%s: byte %u changed and accepted", what, i);
	ck_assert_msg(ops[total].ok, "%s: the one good packet among bad ones was refused", what);
	op = ops[total];
	op.seq_hi = 8;
	crypt_open(ctx, &op, 1);
	ck_assert_msg(op.ok == !open->esn, "%s: high half of the sequence number is %sprotected",
		      what, open->esn ? "not " : "");
}

struct pair {
	enum crypt_backend seal, open;
	unsigned ran;
};

static void cross_suite(const struct esp_suite *s, void *arg)
{
	static const uint32_t sizes[] = { 16, 64, 1420, 9000, 65000, CRYPT_TEXT_MAX };
	struct pair *pair = arg;
	uint8_t encr[64], integ[64];
	char name[48], what[128];

	for (unsigned esn = 0; esn < 2; esn++) {
		pick_bytes(encr, sizeof(encr));
		pick_bytes(integ, sizeof(integ));
		struct span e = span_of(encr, s->key_len + s->encr->salt_len);
		struct span i = span_of(integ, s->integ ? s->integ->key_len : 0);
		struct crypt_key *seal = key_of(pair->seal, s, CRYPT_SEAL, esn, e, i);
		struct crypt_key *open = key_of(pair->open, s, CRYPT_OPEN, esn, e, i);
		if (seal && open) {
			snprintf(what, sizeof(what), "%s%s, %s to %s", esp_suite_name(s, name),
				 esn ? " esn" : "", crypt_backend_name(pair->seal),
				 crypt_backend_name(pair->open));
			for (unsigned k = 0; k < 24; k++)
				round_trip(what, seal, open, fit(s, pick(1501)), k % 2);
			for (unsigned k = 0; k < ARRAY_LEN(sizes); k++)
				round_trip(what, seal, open, fit(s, sizes[k]), k % 2 == esn);
			tamper(what, seal, open);
			pair->ran++;
		}
		crypt_key_free(&seal);
		crypt_key_free(&open);
	}
}

START_TEST(test_every_pair)
{
	struct pair pair = { .seal = CRYPT_OPENSSL + (unsigned)_i / 3,
			     .open = CRYPT_OPENSSL + (unsigned)_i % 3 };

	if (!crypt_backend_present(pair.seal) || !crypt_backend_present(pair.open))
		return;
	pick_bytes(plain, sizeof(plain));
	suites_each(cross_suite, &pair);
	ck_assert_uint_ge(pair.ran, 2);
}
END_TEST

/* ---- mixed batches
 * ----------------------------------------------------------------------------------------- */

enum { MIX_KEYS = 128, MIX_ROOM = 2048 };

struct mix {
	struct crypt_key *seal[MIX_KEYS], *open[MIX_KEYS];
	unsigned n;
};

static void mix_add(const struct esp_suite *s, void *arg)
{
	struct mix *m = arg;
	uint8_t encr[64], integ[64];

	ck_assert_uint_lt(m->n, MIX_KEYS);
	pick_bytes(encr, sizeof(encr));
	pick_bytes(integ, sizeof(integ));
	struct span e = span_of(encr, s->key_len + s->encr->salt_len);
	struct span i = span_of(integ, s->integ ? s->integ->key_len : 0);
	enum crypt_backend other = m->n % 3 ? CRYPT_AUTO : CRYPT_OPENSSL;
	m->seal[m->n] = key_of(other, s, CRYPT_SEAL, m->n % 2, e, i);
	m->open[m->n] =
	    key_of(other == CRYPT_AUTO ? CRYPT_OPENSSL : CRYPT_AUTO, s, CRYPT_OPEN, m->n % 2, e, i);
	m->n++;
}

/* 1024 packets of all suites, in short runs and singly, sealed in one batch and opened in another,
 * partly in place. */
START_TEST(test_mixed_batch)
{
	static struct crypt_op ops[CRYPT_BATCH_MAX];
	static unsigned of[CRYPT_BATCH_MAX];
	struct mix m = { .n = 0 };
	uint8_t *mem = malloc((size_t)CRYPT_BATCH_MAX * MIX_ROOM),
		*out = malloc((size_t)CRYPT_BATCH_MAX * MIX_ROOM);

	ck_assert(mem && out);
	pick_bytes(plain, MIX_ROOM);
	suites_each(mix_add, &m);
	for (unsigned i = 0; i < CRYPT_BATCH_MAX; i++) {
		of[i] = i && pick(3) == 0 ? of[i - 1] : pick(m.n);
		const struct crypt_key *k = m.seal[of[i]];
		uint8_t *p = mem + (size_t)i * MIX_ROOM, *text = p + 8 + k->suite.iv_len;
		uint32_t len = fit(&k->suite, 1 + pick(1400));
		store_be32(p, 0x1000 + of[i]);
		store_be32(p + 4, i);
		memcpy(text, plain, len);
		ops[i] = (struct crypt_op){ .key = k,
					    .esp = p,
					    .src = i % 2 ? text : plain,
					    .dst = text,
					    .len = len,
					    .seq_hi = i,
					    .iv = i };
	}
	crypt_seal(ctx, ops, CRYPT_BATCH_MAX);
	for (unsigned i = 0; i < CRYPT_BATCH_MAX; i++) {
		ck_assert(ops[i].ok);
		uint8_t *text = ops[i].dst;
		if (i % 17 == 5)
			text[pick(ops[i].len)] ^= 0x10;
		ops[i] = (struct crypt_op){ .key = m.open[of[i]],
					    .esp = ops[i].esp,
					    .src = text,
					    .dst = i % 3 ? text : out + (size_t)i * MIX_ROOM,
					    .len = ops[i].len,
					    .seq_hi = i };
	}
	crypt_open(ctx, ops, CRYPT_BATCH_MAX);
	for (unsigned i = 0; i < CRYPT_BATCH_MAX; i++) {
		ck_assert_int_eq(ops[i].ok, i % 17 != 5);
		if (ops[i].ok)
			check_bytes("mixed", span_of(ops[i].dst, ops[i].len),
				    span_of(plain, ops[i].len));
	}
	for (unsigned i = 0; i < m.n; i++) {
		crypt_key_free(&m.seal[i]);
		crypt_key_free(&m.open[i]);
	}
	free(mem);
	free(out);
}
END_TEST

/* ---- many keys of one suite
 * ---------------------------------------------------------------------------------- */

enum { MANY_KEYS = 48, MANY_OPS = 200 };

/* Every packet another key, all done by one function. Between them packets that must be refused, and take nobody with them: a key of the
 * other direction, a key that this thread has no part in, an empty text, a forged one. */
static void many_keys(enum crypt_backend b, const struct esp_suite *s)
{
	static struct crypt_op ops[MANY_OPS];
	struct crypt_key *seal[MANY_KEYS], *open[MANY_KEYS];
	uint8_t *mem = malloc((size_t)MANY_OPS * MIX_ROOM);

	ck_assert(mem);
	pick_bytes(plain, MIX_ROOM);
	for (unsigned i = 0; i < MANY_KEYS; i++) {
		uint8_t encr[64], integ[64];
		pick_bytes(encr, sizeof(encr));
		pick_bytes(integ, sizeof(integ));
		struct span e = span_of(encr, s->key_len + s->encr->salt_len), a = span_of(integ, s->integ ? s->integ->key_len : 0);
		seal[i] = key_of(b, s, CRYPT_SEAL, i % 2, e, a);
		open[i] = key_of(CRYPT_OPENSSL, s, CRYPT_OPEN, i % 2, e, a);
		ck_assert(seal[i] && open[i]);
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < MANY_OPS; i++) {
			uint8_t *p = mem + (size_t)i * MIX_ROOM, *text = p + 8 + s->iv_len;
			uint32_t len = fit(s, 1 + i * 7 % 1400);
			unsigned key = i * 5 % MANY_KEYS;
			store_be32(p, 0x1000 + key);
			store_be32(p + 4, i);
			ops[i] = (struct crypt_op){ .key = i % 23 == 7 ? open[key] : seal[key], .esp = p, .src = plain, .dst = text,
						    .len = i % 29 == 3 ? 0 : len, .seq_hi = i, .iv = i, .ok = true };
		}
		seal[2]->threads = pass ? 0 : 1;
		crypt_seal(ctx, ops, MANY_OPS);
		for (unsigned i = 0; i < MANY_OPS; i++) {
			bool refused = i % 23 == 7 || i % 29 == 3 || (pass && i * 5 % MANY_KEYS == 2);
			ck_assert_int_eq(ops[i].ok, !refused);
			ops[i].key = open[i * 5 % MANY_KEYS];
			ops[i].src = ops[i].dst;
			if (!refused && i % 31 == 4)
				ops[i].dst[0] ^= 1;
		}
		crypt_open(ctx, ops, MANY_OPS);
		for (unsigned i = 0; i < MANY_OPS; i++) {
			bool refused = i % 23 == 7 || i % 29 == 3 || (pass && i * 5 % MANY_KEYS == 2);
			if (refused)
				continue;
			ck_assert_int_eq(ops[i].ok, i % 31 != 4);
			if (ops[i].ok)
				check_bytes("many keys", span_of(ops[i].dst, ops[i].len), span_of(plain, ops[i].len));
		}
	}
	seal[2]->threads = 1;
	for (unsigned i = 0; i < MANY_KEYS; i++) {
		crypt_key_free(&seal[i]);
		crypt_key_free(&open[i]);
	}
	free(mem);
}

START_TEST(test_many_keys)
{
	static const char *const suite[] = { "aes128gcm16", "aes192gcm8", "aes256gcm16", "aes128gmac", "aes128-sha256", "chacha20poly1305" };

	for (unsigned i = 0; i < ARRAY_LEN(suite); i++) {
		struct esp_suite s = suite_of(suite[i]);
		many_keys(CRYPT_OPENSSL, &s);
		many_keys(CRYPT_AUTO, &s);
	}
	struct esp_suite chacha = suite_of("chacha20poly1305");
	many_keys(CRYPT_SODIUM, &chacha);
}
END_TEST

/* ---- threads
 * -----------------------------------------------------------------------------------------------
 */

struct worker {
	pthread_t id;
	unsigned slot, bad;
	const struct crypt_key *seal, *open;
};

static void *worker_run(void *arg)
{
	enum { N = 32, ROOM = 512, ROUNDS = 50, LEN = 320 };
	struct worker *w = arg;
	const struct esp_suite *s = &w->seal->suite;
	struct crypt_ctx *c = crypt_ctx_new(w->slot);
	static const uint8_t text[LEN] = { 1, 2, 3 };
	uint8_t *mem = calloc(N, ROOM);
	struct crypt_op ops[N];

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < N; i++) {
			uint8_t *p = mem + i * ROOM;
			ops[i] = (struct crypt_op){ .key = w->seal,
						    .esp = p,
						    .src = text,
						    .dst = p + 8 + s->iv_len,
						    .len = LEN,
						    .iv = w->slot * 100000u + round * N + i };
		}
		crypt_seal(c, ops, N);
		for (unsigned i = 0; i < N; i++) {
			w->bad += !ops[i].ok;
			ops[i].key = w->open;
			ops[i].src = ops[i].dst;
		}
		crypt_open(c, ops, N);
		for (unsigned i = 0; i < N; i++)
			w->bad += !ops[i].ok || memcmp(ops[i].dst, text, LEN) != 0;
	}
	free(mem);
	crypt_ctx_free(&c);
	return NULL;
}

/* One key, four threads at once. */
START_TEST(test_threads)
{
	static const char *const names[] = { "aes128gcm16",      "aes256-sha256",  "aes192ccm16",
					     "chacha20poly1305", "aes128-aesxcbc", "aes128gmac" };
	struct esp_suite s = suite_of(names[(unsigned)_i / 2]);
	static const uint8_t material[64] = { 7 };
	struct worker w[4];
	struct crypt_key *k[2];

	crypt_force_backend(_i % 2 ? CRYPT_OPENSSL : CRYPT_AUTO);
	for (unsigned d = 0; d < 2; d++)
		ck_assert_int_eq(crypt_key_new(&s, d ? CRYPT_OPEN : CRYPT_SEAL, true,
					       span_of(material, s.key_len + s.encr->salt_len),
					       span_of(material, s.integ ? s.integ->key_len : 0),
					       ARRAY_LEN(w), &k[d]),
				 0);
	crypt_force_backend(CRYPT_AUTO);
	for (unsigned i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = (struct worker){ .slot = i, .seal = k[0], .open = k[1] };
		ck_assert_int_eq(pthread_create(&w[i].id, NULL, worker_run, &w[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(w); i++) {
		pthread_join(w[i].id, NULL);
		ck_assert_uint_eq(w[i].bad, 0);
	}
	crypt_key_free(&k[0]);
	crypt_key_free(&k[1]);
}
END_TEST

Suite *suite_cross(void)
{
	Suite *s = suite_create("crypto: backends against each other");
	TCase *t = tcase_create("cross");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, ctx_up, ctx_down);
	tcase_add_loop_test(t, test_every_pair, 0, 9);
	tcase_add_test(t, test_mixed_batch);
	tcase_add_test(t, test_many_keys);
	tcase_add_loop_test(t, test_threads, 0, 12);
	suite_add_tcase(s, t);
	return s;
}
