/* Sealed messages and fragments: there and back with every suite and size; loss, repetition, other
 * orders, other counts, forgeries; bounded memory. */
#include <errno.h>
#include <stdlib.h>

#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/prf.h"
#include "crypto_util.h"
#include "ike/seal.h"
#include "must.h"
#include "test_ike_keys.h"

static const uint8_t material[128] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
static const uint8_t spi_i[8] = { 1, 1 }, spi_r[8] = { 2, 2 };
static uint8_t content[60000];
static struct ike_msg m, got;
static struct ike_bad bad;

static struct sk_key *key(const struct esp_suite *s, enum crypt_dir dir)
{
	struct sk_key *k;

	ck_assert_int_eq(sk_key_new(s, dir, span_of(material, s->key_len + s->encr->salt_len),
				    span_of(material + 48, s->integ ? s->integ->key_len : 0), &k),
			 0);
	return k;
}

/* A message whose inner payloads hold n bytes of content, in pieces, or none. */
static void fill(uint32_t id, size_t n)
{
	ike_msg_init(&m, 0x20, spi_i, spi_r, IKE2_X_INFO, IKE2_FLAG_I, id);
	for (size_t at = 0; at < n;) {
		size_t part = n - at < 5000 ? n - at : 5000;
		struct ike_payload *p = ike_msg_add(&m, IKE2_V, true);
		ck_assert_ptr_nonnull(p);
		p->raw.data = span_of(content + at, part);
		at += part;
	}
}

static void check_content(size_t n)
{
	size_t at = 0;
	const struct ike_payload *p = NULL;

	while ((p = ike_msg_find(&got, IKE2_V, p))) {
		ck_assert(p->inner);
		check_bytes("content", p->raw.data, span_of(content + at, p->raw.data.len));
		at += p->raw.data.len;
	}
	ck_assert_uint_eq(at, n);
}

static struct span datagram(const struct sealed *s, unsigned i)
{
	return span_of(s->bytes + s->off[i], s->off[i + 1] - s->off[i]);
}

/* Parses and opens a copy of a datagram; what must live as long as `got` stays in `room`. */
static int give(struct span d, const struct sk_key *k, struct reassembly *r,
		struct seal_plain *whole)
{
	static uint8_t *room;

	free(room); /* of the exact size, so that a sanitizer sees the first byte too many */
	room = malloc(d.len);
	memcpy(room, d.p, d.len);
	bad = (struct ike_bad){ 0 };
	ck_assert_msg(ike_msg_parse(&got, span_of(room, d.len), &bad) == 0, "%s", bad.why);
	return seal_open(&got, room, d.len, k, r, whole, &bad);
}

/* ---- whole messages */

static void there_and_back(const struct esp_suite *s, void *arg)
{
	struct sealed out;
	struct seal_plain whole;
	struct reassembly r = { 0 };

	if (!sk_suite_ok(s))
		return;
	struct sk_key *k = key(s, CRYPT_SEAL), *o = key(s, CRYPT_OPEN);
	for (size_t n = 0; n < 70; n++) {
		fill(7, n);
		ck_assert_int_eq(seal_message(&m, s, k, 0, &out), 0);
		ck_assert_uint_eq(out.n, 1);
		ck_assert_uint_eq(m.n_payloads, n > 0);
		ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), 0);
		ck_assert_ptr_null(whole.p);
		check_content(n);
		sealed_free(&out);
	}
	++*(unsigned *)arg;
	sk_key_free(&k);
	sk_key_free(&o);
}

START_TEST(test_every_suite)
{
	unsigned n = 0;

	suites_each(there_and_back, &n);
	ck_assert_uint_gt(n, 20);
}
END_TEST

static struct esp_suite gcm(void)
{
	return suite_of("aes256gcm16");
}

START_TEST(test_clear)
{
	struct sealed out;

	fill(0, 0);
	ike_msg_add(&m, IKE2_NONCE, false)->raw.data = span_of(content, 32);
	ck_assert_int_eq(seal_clear(&m, &out), 0);
	ck_assert_uint_eq(out.n, 1);
	ck_assert_int_eq(ike_msg_parse(&got, datagram(&out, 0), &bad), 0);
	check_bytes("nonce", ike_msg_find(&got, IKE2_NONCE, NULL)->raw.data, span_of(content, 32));
	/* such a message is not taken where protection is due, and nobody is answered */
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct esp_suite s = gcm();
	struct sk_key *o = key(&s, CRYPT_OPEN);
	ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), -EBADMSG);
	ck_assert_uint_eq(bad.notify, 0);
	sealed_free(&out);
	ck_assert_ptr_null(out.bytes);
	sk_key_free(&o);
	fill(0, 10);
	ck_assert_int_eq(seal_clear(&m, &out), -EINVAL);
	fill(0, 0);
	for (unsigned i = 0; i < 2; i++)
		ike_msg_add(&m, IKE2_V, false)->raw.data = span_of(content, 40000);
	ck_assert_int_eq(seal_clear(&m, &out), -EMSGSIZE);
}
END_TEST

START_TEST(test_tampered)
{
	struct esp_suite s = suite_of(_i ? "aes128-sha256" : "aes128gcm16");
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct sealed out;

	fill(7, 33);
	ck_assert_int_eq(seal_message(&m, &s, k, 0, &out), 0);
	/* behind the length fields: those the parser refuses */
	for (uint32_t at = IKE_HDR_LEN + 4; at < out.off[1]; at++) {
		out.bytes[at] ^= 0x10;
		ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), -EBADMSG);
		ck_assert_uint_eq(bad.notify, 0);
		out.bytes[at] ^= 0x10;
	}
	for (uint32_t at = 20; at < 24; at++) { /* the message ID */
		out.bytes[at] ^= 1;
		ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), -EBADMSG);
		out.bytes[at] ^= 1;
	}
	ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), 0);
	sealed_free(&out);
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

/* A datagram with one SK payload that says `next` and holds the text. */
static size_t by_hand(struct sk_key *k, const struct esp_suite *s, uint8_t next, struct span text,
		      uint8_t *d, size_t max)
{
	struct wr w = wr_of(d, max);
	size_t len;

	fill(3, 0);
	struct ike_payload *p = ike_msg_add(&m, IKE2_SK, false);
	p->sk.next = next;
	p->sk.data = span_of(NULL, sk_sealed_len(s, text.len));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(sk_seal(k, d, max, w.len - p->sk.data.len, text, &len), 0);
	return len;
}

/* Authentic, but wrong inside: the peer is told. */
START_TEST(test_inside)
{
	static const struct {
		uint8_t next, text[8];
		uint16_t notify; /* 0: good */
	} c[] = {
		{ IKE2_V, { 0, 0, 0, 8, 1, 2, 3, 4 }, 0 },
		{ IKE2_V, { 0, 0, 0, 9, 1, 2, 3, 4 }, IKE2_INVALID_SYNTAX },
		{ IKE2_V, { 0, 0, 0, 7, 1, 2, 3, 4 }, IKE2_INVALID_SYNTAX },
		{ 200, { 0, 0x00, 0, 8, 1, 2, 3, 4 }, 0 },
		{ 200, { 0, 0x80, 0, 8, 1, 2, 3, 4 }, IKE2_UNSUPPORTED_CRITICAL_PAYLOAD },
	};
	struct esp_suite s = suite_of("aes128-sha256");
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	struct reassembly r = { 0 };
	struct seal_plain whole;
	uint8_t d[256];

	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		size_t len = by_hand(k, &s, c[i].next, span_of(c[i].text, 8), d, sizeof(d));
		ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), c[i].notify ? -EBADMSG : 0);
		ck_assert_uint_eq(bad.notify, c[i].notify);
	}
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

/* A peer may pad by as many blocks as it likes, with any bytes (RFC 7296 3.14): by hand, with
 * AES-CTR, which leaves the place of every byte known. */
START_TEST(test_padding)
{
	struct esp_suite s = suite_of("aes128ctr-sha256");
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	static const uint8_t v[8] = { 0, 0, 0, 8, 1, 2, 3, 4 };
	struct reassembly r = { 0 };
	struct seal_plain whole;
	uint8_t d[512], text[300], mac[HASH_LEN_MAX];

	for (unsigned pad = 0; pad < 250; pad++) {
		/* text | padding | its length; sk_seal() adds a zero behind, which is cut off
		 * again: what is left is as a peer with that padding would have made it */
		memcpy(text, v, 8);
		memset(text + 8, 0xaa, pad);
		text[8 + pad] = (uint8_t)pad;
		size_t len = by_hand(k, &s, IKE2_V, span_of(text, 9 + pad), d, sizeof(d)) - 1;
		store_be32(d + 24, (uint32_t)len);
		store_be16(d + IKE_HDR_LEN + 2, (uint16_t)(len - IKE_HDR_LEN));
		struct span covered = span_of(d, len - 16);
		ck_assert_int_eq(prf_compute(prf_info(PRF_HMAC_SHA2_256),
					     span_of(material + 48, 32), &covered, 1, mac),
				 0);
		memcpy(d + len - 16, mac, 16);
		ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), 0);
		check_bytes("text", ike_msg_find(&got, IKE2_V, NULL)->raw.data, span_of(v + 4, 4));
	}
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

/* The payload that makes a message too long for all means, and one that is full. */
START_TEST(test_too_much)
{
	struct esp_suite s = gcm();
	struct sk_key *k = key(&s, CRYPT_SEAL);
	struct sealed out;

	fill(1, 60000);
	ck_assert_int_eq(seal_message(&m, &s, k, 0, &out), 0);
	sealed_free(&out);
	ck_assert_int_eq(seal_message(&m, &s, k, 576, &out), -EMSGSIZE);
	ck_assert_ptr_null(out.bytes);
	ck_assert_int_eq(seal_message(&m, &s, k, 40, &out), -EMSGSIZE);
	ck_assert_int_eq(seal_message(&m, &s, k, 1, &out), -EMSGSIZE);
	ike_msg_add(&m, IKE2_V, true)->raw.data = span_of(content, 5500);
	ck_assert_int_eq(seal_message(&m, &s, k, 0, &out), -EMSGSIZE);
	fill(1, 0);
	while (ike_msg_add(&m, IKE2_V, true))
		;
	ck_assert_int_eq(seal_message(&m, &s, k, 0, &out), -EMSGSIZE);
	ck_assert_int_eq(m.n_payloads, IKE_MSG_PAYLOADS);
	fill(1, 0);
	ike_msg_add(&m, IKE2_SK, false);
	ck_assert_int_eq(seal_message(&m, &s, k, 0, &out), -EINVAL);
	sk_key_free(&k);
}
END_TEST

/* ---- fragments */

/* The message of n bytes of content as fragments; fails when it is none. */
static void cut(struct sealed *out, uint32_t id, size_t n, uint32_t size)
{
	static struct sk_key *k;
	static struct esp_suite s;

	if (!k) {
		s = gcm();
		k = key(&s, CRYPT_SEAL);
	}
	fill(id, n);
	ck_assert_int_eq(seal_message(&m, &s, k, size, out), 0);
	ck_assert_uint_ge(out->n, 2);
}

static struct sk_key *opener(void)
{
	struct esp_suite s = gcm();

	return key(&s, CRYPT_OPEN);
}

static void whole_again(const struct esp_suite *s, void *arg)
{
	const size_t n = 1200;
	struct sealed out;
	struct seal_plain whole;
	struct reassembly r = { 0 };

	if (!sk_suite_ok(s))
		return;
	struct sk_key *k = key(s, CRYPT_SEAL), *o = key(s, CRYPT_OPEN);
	for (uint32_t size = 120; size < 1400; size += 7) {
		fill(7, n);
		ck_assert_int_eq(seal_message(&m, s, k, size, &out), 0);
		for (unsigned i = 0; i < out.n; i++) {
			bool last = i + 1 == out.n;
			must_uint_le(datagram(&out, i).len, size);
			must_uint_eq(give(datagram(&out, i), o, &r, &whole),
					 last ? 0 : -EINPROGRESS);
		}
		check_content(n);
		ck_assert_ptr_null(r.part);
		/* no more fragments than the size asks for */
		ck_assert(out.n == 1 || out.n == (n + 4 + sk_text_max(s, size - 36) - 1) /
						     sk_text_max(s, size - 36));
		seal_plain_free(&whole);
		sealed_free(&out);
	}
	sk_key_free(&k);
	sk_key_free(&o);
}

START_TEST(test_every_size)
{
	suites_each(whole_again, NULL);
}
END_TEST

/* Payloads outside go in front of the first fragment, and only there. */
START_TEST(test_outer_payloads)
{
	struct esp_suite s = gcm();
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	struct reassembly r = { 0 };
	struct seal_plain whole = { 0 };
	struct sealed out;

	fill(7, 1000);
	ike_msg_add(&m, IKE2_NONCE, false)->raw.data = span_of(content, 200);
	ck_assert_int_eq(seal_message(&m, &s, k, 500, &out), 0);
	ck_assert_uint_eq(m.n_payloads, 2);
	ck_assert(!m.payload[1].inner);
	for (unsigned i = 0; i < out.n; i++) {
		ck_assert_uint_le(datagram(&out, i).len, 500);
		int rc = give(datagram(&out, i), o, &r, &whole);
		ck_assert_int_eq(rc, i + 1 < out.n ? -EINPROGRESS : 0);
		ck_assert(!!(ike_msg_find(&got, IKE2_NONCE, NULL)) == (i == 0));
	}
	check_content(1000);
	seal_plain_free(&whole);
	sealed_free(&out);
	/* room for one more byte than the outer payload leaves */
	ck_assert_int_eq(seal_message(&m, &s, k, 28 + 204 + 8 + 8 + 1 + 16, &out), -EMSGSIZE);
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

/* Any order, with repetitions: whole exactly when the last missing one comes. */
START_TEST(test_any_order)
{
	struct sk_key *o = opener();
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct sealed out;

	for (unsigned round = 0; round < 300; round++) {
		size_t n = 500 + pick(3000);
		cut(&out, round, n, 150 + pick(300));
		uint64_t have = 0, all = (out.n == 64 ? 0 : 1ull << out.n) - 1;
		for (;;) {
			unsigned i = pick(out.n);
			bool again = have >> i & 1;
			have |= 1ull << i;
			int rc = give(datagram(&out, i), o, &r, &whole);
			ck_assert_int_eq(rc, again ? -EALREADY : have == all ? 0 : -EINPROGRESS);
			ck_assert_uint_le(r.bytes, n + 64);
			if (rc == 0)
				break;
		}
		check_content(n);
		seal_plain_free(&whole);
		sealed_free(&out);
	}
	sk_key_free(&o);
}
END_TEST

/* The peer tries again in smaller pieces: those win, the older ones are too late (RFC 7383 2.6). */
START_TEST(test_other_totals)
{
	struct sk_key *o = opener();
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct sealed large, small;

	cut(&large, 5, 2000, 800);
	cut(&small, 5, 2000, 400);
	ck_assert_uint_lt(large.n, small.n);
	ck_assert_int_eq(give(datagram(&large, 0), o, &r, &whole), -EINPROGRESS);
	ck_assert_int_eq(give(datagram(&large, 1), o, &r, &whole), -EINPROGRESS);
	ck_assert_int_eq(give(datagram(&small, 0), o, &r, &whole), -EINPROGRESS);
	ck_assert_uint_eq(r.have, 1);
	ck_assert_int_eq(give(datagram(&large, 2), o, &r, &whole), -EALREADY);
	ck_assert_uint_eq(r.have, 1);
	for (unsigned i = 1; i < small.n; i++)
		ck_assert_int_eq(give(datagram(&small, i), o, &r, &whole),
				 i + 1 < small.n ? -EINPROGRESS : 0);
	check_content(2000);
	seal_plain_free(&whole);
	/* another message takes the place of one that is not complete */
	ck_assert_int_eq(give(datagram(&large, 0), o, &r, &whole), -EINPROGRESS);
	sealed_free(&small);
	cut(&small, 6, 600, 400);
	ck_assert_int_eq(give(datagram(&small, 0), o, &r, &whole), -EINPROGRESS);
	ck_assert_uint_eq(r.id, 6);
	ck_assert_int_eq(give(datagram(&small, 1), o, &r, &whole), 0);
	check_content(600);
	seal_plain_free(&whole);
	sealed_free(&small);
	sealed_free(&large);
	sk_key_free(&o);
}
END_TEST

/* Forged fragments change nothing, whatever they say about themselves. */
START_TEST(test_forged)
{
	struct sk_key *o = opener();
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct sealed out;
	uint8_t forged[1000];

	cut(&out, 5, 2000, 400);
	ck_assert_int_eq(give(datagram(&out, 0), o, &r, &whole), -EINPROGRESS);
	for (unsigned round = 0; round < 3000; round++) {
		struct span d = datagram(&out, 1 + pick(out.n - 1));
		memcpy(forged, d.p, d.len);
		unsigned number = 1 + pick(64), total = number + pick(200);
		if (round % 3 == 0)
			store_be16(forged + IKE_HDR_LEN + 4, (uint16_t)number);
		if (round % 3 < 2)
			store_be16(forged + IKE_HDR_LEN + 6, (uint16_t)total);
		if (round % 3 == 2)
			store_be32(forged + 20, 5 + pick(2)); /* the message ID */
		forged[d.len - 1 - pick(16)] ^= (uint8_t)(1 + pick(255));
		struct reassembly was = r;
		if (load_be16(forged + IKE_HDR_LEN + 4) > load_be16(forged + IKE_HDR_LEN + 6))
			continue;
		int rc = give(span_of(forged, d.len), o, &r, &whole);
		ck_assert(rc == -EBADMSG || rc == -EALREADY);
		ck_assert(rc == -EALREADY || bad.notify == 0);
		ck_assert_int_eq(memcmp(&was, &r, sizeof(r)), 0);
	}
	for (unsigned i = 1; i < out.n; i++)
		ck_assert_int_eq(give(datagram(&out, i), o, &r, &whole),
				 i + 1 < out.n ? -EINPROGRESS : 0);
	check_content(2000);
	seal_plain_free(&whole);
	sealed_free(&out);
	sk_key_free(&o);
}
END_TEST

/* One fragment made by hand. */
static size_t one(struct sk_key *k, const struct esp_suite *s, uint32_t id, unsigned number,
		  unsigned total, size_t text_len, uint8_t *d, size_t max)
{
	struct wr w = wr_of(d, max);
	size_t len;

	fill(id, 0);
	struct ike_payload *p = ike_msg_add(&m, IKE2_SKF, false);
	p->sk.number = (uint16_t)number;
	p->sk.total = (uint16_t)total;
	p->sk.next = number == 1 ? IKE2_V : 0;
	p->sk.data = span_of(NULL, sk_sealed_len(s, text_len));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(
	    sk_seal(k, d, max, w.len - p->sk.data.len, span_of(content, text_len), &len), 0);
	return len;
}

/* An authentic peer cannot make us keep more than one message holds. */
START_TEST(test_bounded)
{
	struct esp_suite s = gcm();
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	struct reassembly r = { 0 };
	struct seal_plain whole;
	static uint8_t d[IKE_MAX_LEN];
	size_t len;

	len = one(k, &s, 1, 1, 65, 100, d, sizeof(d));
	ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), -EBADMSG);
	ck_assert_uint_eq(bad.notify, 0);
	ck_assert_ptr_null(r.part);
	for (unsigned i = 2; i <= 4; i++) {
		len = one(k, &s, 1, i, 64, 20000, d, sizeof(d));
		ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), -EINPROGRESS);
	}
	ck_assert_uint_eq(r.bytes, 60000);
	len = one(k, &s, 1, 5, 64, 20000, d, sizeof(d));
	ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), -EBADMSG);
	ck_assert_ptr_null(r.part);
	ck_assert_uint_eq(r.bytes, 0);
	/* a message of one fragment, and empty fragments, are odd but good */
	len = one(k, &s, 2, 1, 1, 0, d, sizeof(d));
	ck_assert_int_eq(give(span_of(d, len), o, &r, &whole),
			 -EBADMSG); /* V announced, none there */
	ck_assert_uint_eq(bad.notify, IKE2_INVALID_SYNTAX);
	ck_assert_ptr_null(whole.p);
	len = one(k, &s, 3, 2, 2, 0, d, sizeof(d));
	ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), -EINPROGRESS);
	ck_assert_int_eq(give(span_of(d, len), o, &r, &whole), -EALREADY);
	reassembly_reset(&r);
	ck_assert_ptr_null(r.part);
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

static void setup(void)
{
	pick_bytes(content, sizeof(content));
}

TCase *ike_seal_case(void)
{
	TCase *t = tcase_create("seal");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_every_suite);
	tcase_add_test(t, test_clear);
	tcase_add_loop_test(t, test_tampered, 0, 2);
	tcase_add_test(t, test_inside);
	tcase_add_test(t, test_padding);
	tcase_add_test(t, test_too_much);
	return t;
}

TCase *ike_fragment_case(void)
{
	TCase *t = tcase_create("fragments");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_every_size);
	tcase_add_test(t, test_outer_payloads);
	tcase_add_test(t, test_any_order);
	tcase_add_test(t, test_other_totals);
	tcase_add_test(t, test_forged);
	tcase_add_test(t, test_bounded);
	return t;
}
