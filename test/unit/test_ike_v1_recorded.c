/* IKEv1 of strongSwan, as recorded with its keys (ike_v1_recorded.h): from the secrets follow the same
 * keys here, every message decrypts, and every hash in it is what we compute. */
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "ike/v1/crypt.h"
#include "ike_v1_recorded.h"
#include "test_ike_v1.h"

static struct ike_msg m;
static struct ike_bad bad;

/* What was learnt so far; the spans are copies. */
static struct {
	struct keymat_suite suite;
	struct ike_keys keys;
	uint8_t spi_i[8], spi_r[8], iv[CBC_BLOCK_MAX];
	struct span sai_b, gxi, gxr, ni, nr;
	uint8_t room[2048];
	size_t used;
} r;

static struct span keep(struct span s)
{
	uint8_t *p = r.room + r.used;

	ck_assert_uint_le(r.used + s.len, sizeof(r.room));
	memcpy(p, s.p, s.len);
	r.used += s.len;
	return span_of(p, s.len);
}

/* Parses the n-th message; the datagram must be freed. */
static uint8_t *parse(unsigned n)
{
	size_t len = strlen(recorded[n]) / 2;
	uint8_t *p = malloc(len);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(unhex(recorded[n], p, len), len);
	ck_assert_msg(ike_msg_parse(&m, span_of(p, len), &bad) == 0, "%s", bad.why);
	return p;
}

/* The same, decrypted; its payloads are written again with the same bytes. h: its hash is checked. */
static uint8_t *open_message(unsigned n, const struct v1_hash *h)
{
	uint8_t *p = parse(n), again[1024], first;
	struct wr w = wr_of(again, sizeof(again));

	ck_assert_uint_gt(m.cipher.len, 0);
	ck_assert_msg(v1_open(&m, p, &r.suite, &r.keys, h, r.iv, &bad) == 0, "message %u: %s", n,
		      bad.why);
	ck_assert_int_eq(ike_msg_write_inner(&m, &w, &first), 0);
	ck_assert_uint_eq(first, m.hdr.next);
	check_bytes("written again", wr_view(&w), span_of(p + IKE_HDR_LEN, w.len));
	return p;
}

static struct span data_of(uint8_t type)
{
	const struct ike_payload *p = ike_msg_find(&m, type, NULL);

	ck_assert_ptr_nonnull(p);
	return keep(type == IKE1_KE ? p->ke.data : type == IKE1_NONCE ? p->raw.data : p->body);
}

static void is(const char *what, struct span got, const char *hex)
{
	uint8_t want[64];

	check_bytes(what, got, span_of(want, unhex(hex, want, sizeof(want))));
}

/* The four messages in the clear, and the keys that follow. */
static void negotiate(void)
{
	uint8_t shared[64];
	struct span psk = span_of(RECORDED_PSK, strlen(RECORDED_PSK));

	memset(&r, 0, sizeof(r));
	r.suite.prf = prf_info(PRF_HMAC_SHA2_256);
	r.suite.sk = suite_of("aes128-sha256");
	uint8_t *p = parse(0);
	r.sai_b = data_of(IKE1_SA);
	free(p);
	p = parse(2);
	memcpy(r.spi_i, m.hdr.spi_i, 8);
	memcpy(r.spi_r, m.hdr.spi_r, 8);
	r.gxi = data_of(IKE1_KE);
	r.ni = data_of(IKE1_NONCE);
	free(p);
	p = parse(3);
	r.gxr = data_of(IKE1_KE);
	r.nr = data_of(IKE1_NONCE);
	free(p);
	struct span gxy = span_of(shared, unhex(recorded_phase1.shared, shared, sizeof(shared)));
	ck_assert_int_eq(v1_keymat(&r.suite, &psk, r.ni, r.nr, gxy, r.spi_i, r.spi_r, &r.keys), 0);
	ck_assert_int_eq(v1_iv_first(&r.suite, r.gxi, r.gxr, r.iv), 0);
}

START_TEST(test_recorded_keys)
{
	negotiate();
	is("SKEYID", r.keys.pi, recorded_phase1.skeyid);
	is("SKEYID_d", r.keys.d, recorded_phase1.d);
	is("SKEYID_a", r.keys.ai, recorded_phase1.a);
	is("SKEYID_e", r.keys.pr, recorded_phase1.e);
	is("Ka", r.keys.ei, recorded_phase1.ka);
	is("IV", span_of(r.iv, 16), recorded_phase1.iv);
	keymat_free(&r.keys);
}
END_TEST

/* HASH_I and HASH_R of Main Mode 5 and 6; afterwards r.iv is the end of the chain. */
static void prove(void)
{
	struct v1_auth a = { .prf = r.suite.prf,
			     .skeyid = r.keys.pi,
			     .gxi = r.gxi,
			     .gxr = r.gxr,
			     .sai_b = r.sai_b,
			     .spi_i = r.spi_i,
			     .spi_r = r.spi_r };
	uint8_t want[PRF_LEN_MAX];

	for (unsigned n = 4; n < 6; n++) {
		uint8_t *p = open_message(n, NULL);
		const struct ike_payload *id = ike_msg_find(&m, IKE1_ID, NULL);
		const struct ike_payload *hash = ike_msg_find(&m, IKE1_HASH, NULL);
		ck_assert(id && hash);
		check_bytes("ID", id->id.data, span_of(n == 4 ? "a.example" : "b.example", 9));
		ck_assert_int_eq(v1_hash_auth(&a, n == 4, id->body, want), 0);
		check_bytes(n == 4 ? "HASH_I" : "HASH_R", hash->raw.data, span_of(want, 32));
		free(p);
	}
}

/* The SPI in the proposal of the message. */
static uint32_t spi_of(void)
{
	const struct ike_payload *sa = ike_msg_find(&m, IKE1_SA, NULL);

	ck_assert(sa && sa->sa.n == 1 && m.prop[sa->sa.first].spi.len == 4);
	return load_be32(m.prop[sa->sa.first].spi.p);
}

static void check_child(uint32_t spi, struct span shared, struct span ni, struct span nr, unsigned way)
{
	struct esp_suite esp = suite_of("aes128-sha256");
	struct secret encr, integ;

	ck_assert_int_eq(v1_keymat_child(r.suite.prf, r.keys.d, shared, IKE_PROTO_ESP, spi, ni, nr,
					 &esp, &encr, &integ),
			 0);
	is("ESP encryption", secret_view(&encr), recorded_child.encr[way]);
	is("ESP integrity", secret_view(&integ), recorded_child.integ[way]);
	secret_free(&encr);
	secret_free(&integ);
}

START_TEST(test_recorded_messages)
{
	uint8_t last[CBC_BLOCK_MAX], shared[64];
	struct v1_hash h = { 0 };
	uint32_t spi[2];

	negotiate();
	prove();
	memcpy(last, r.iv, sizeof(last));
	for (unsigned n = 6; n < ARRAY_LEN(recorded); n++) { /* Quick Mode 1, 2, 3, two deletes */
		uint8_t *p = parse(n);
		h.kind = n == 7 ? V1_HASH_2 : n == 8 ? V1_HASH_3 : V1_HASH_1;
		h.id = m.hdr.id;
		free(p);
		if (n == 6 || n > 8)
			ck_assert_int_eq(v1_iv_exchange(&r.suite, last, h.id, r.iv), 0);
		p = open_message(n, &h);
		if (n == 6)
			h.ni = data_of(IKE1_NONCE);
		if (n == 7)
			h.nr = data_of(IKE1_NONCE);
		if (n == 6 || n == 7)
			spi[n - 6] = spi_of();
		if (n > 8)
			ck_assert_ptr_nonnull(ike_msg_find(&m, IKE1_D, NULL));
		free(p);
	}
	struct span gxy = span_of(shared, unhex(recorded_child.shared, shared, sizeof(shared)));
	/* each side chose the SPI of what it receives */
	check_child(spi[1], gxy, h.ni, h.nr, 0);
	check_child(spi[0], gxy, h.ni, h.nr, 1);
	keymat_free(&r.keys);
}
END_TEST

/* A byte of any encrypted message changed: its hash, or its form, is wrong. */
START_TEST(test_recorded_changed)
{
	uint8_t *p;
	struct v1_hash h = { .kind = V1_HASH_1 };
	uint8_t last[CBC_BLOCK_MAX];

	negotiate();
	prove();
	memcpy(last, r.iv, sizeof(last));
	for (size_t at = IKE_HDR_LEN; at < strlen(recorded[6]) / 2; at += 16) {
		p = parse(6);
		h.id = m.hdr.id;
		p[at] ^= 1;
		ck_assert_int_eq(v1_iv_exchange(&r.suite, last, h.id, r.iv), 0);
		ck_assert_int_ne(v1_open(&m, p, &r.suite, &r.keys, &h, r.iv, &bad), 0);
		free(p);
	}
	keymat_free(&r.keys);
}
END_TEST

TCase *v1_recorded_case(void)
{
	TCase *t = tcase_create("recorded");

	tcase_add_test(t, test_recorded_keys);
	tcase_add_test(t, test_recorded_messages);
	tcase_add_test(t, test_recorded_changed);
	return t;
}
