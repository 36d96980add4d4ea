/* The vectors printed in the RFCs, against every backend. */
#include "crypto_vectors.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "crypto_util.h"

/* Seals and opens one raw vector with one backend; false when the backend does not do the suite. */
static bool run_raw(const struct raw_vector *v, enum crypt_backend b)
{
	struct esp_suite s = suite_of(v->suite);
	bool mac_only = s.encr->id == ENCR_NULL;
	struct crypt_key *seal =
	    key_of_hex(b, &s, CRYPT_SEAL, mac_only ? "" : v->key, mac_only ? v->key : "");
	struct crypt_key *open =
	    key_of_hex(b, &s, CRYPT_OPEN, mac_only ? "" : v->key, mac_only ? v->key : "");
	struct crypt_ctx *c = crypt_ctx_new(0);
	uint8_t nonce[16], covered[1024] = { 0 }, text[128], cipher[128], want[128], back[128],
			   icv[ICV_MAX] = { 0 }, want_icv[ICV_MAX];
	char what[96];

	if (!seal) {
		crypt_ctx_free(&c);
		return false;
	}
	snprintf(what, sizeof(what), "%s by %s", v->name, crypt_backend_name(b));
	unhex(v->nonce, nonce, sizeof(nonce));
	size_t covered_len = v->covered ? unhex(v->covered, covered, sizeof(covered)) : 1000;
	size_t len = unhex(v->text, text, sizeof(text));
	ck_assert_uint_eq(unhex(v->cipher, want, sizeof(want)), len);
	size_t icv_len = unhex(v->icv, want_icv, sizeof(want_icv));

	struct crypt_raw r = { .nonce = nonce,
			       .aad = span_of(covered, covered_len),
			       .src = text,
			       .dst = cipher,
			       .len = len,
			       .icv = icv };
	if (!icv_len && !covered_len)
		r.aad.len = 8; /* a vector of the cipher alone: any header will do */
	crypt_raw_run(c, seal, &r);
	ck_assert_msg(r.ok, "%s: not sealed", what);
	check_bytes(what, span_of(cipher, len), span_of(want, len));
	if (icv_len)
		check_bytes(what, span_of(icv, s.icv_len), span_of(want_icv, icv_len));
	r.src = want;
	r.dst = back;
	crypt_raw_run(c, open, &r);
	ck_assert_msg(r.ok, "%s: not opened", what);
	check_bytes(what, span_of(back, len), span_of(text, len));
	icv[s.icv_len - 1] ^= 1;
	crypt_raw_run(c, open, &r);
	ck_assert_msg(!r.ok, "%s: a wrong ICV was accepted", what);
	crypt_key_free(&seal);
	crypt_key_free(&open);
	crypt_ctx_free(&c);
	return true;
}

START_TEST(test_raw_vectors)
{
	unsigned ran = 0;

	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++)
		ran += crypt_backend_present(b) && run_raw(&raw_vectors[_i], b);
	ck_assert_uint_ge(ran, 1);
}
END_TEST

/* HMAC keys of any length as keys of the transform's length: RFC 2104 pads with zeros, and hashes
 * what is longer than a block. */
static bool fit_key(const struct esp_suite *s, const uint8_t *key, size_t len, uint8_t out[64])
{
	static const char *const digest[] = { [INTEG_HMAC_MD5_96] = "MD5",
					      [INTEG_HMAC_SHA1_96] = "SHA1",
					      [INTEG_HMAC_SHA2_256_128] = "SHA256",
					      [INTEG_HMAC_SHA2_384_192] = "SHA384",
					      [INTEG_HMAC_SHA2_512_256] = "SHA512" };
	size_t block = s->integ->key_len >= 48 ? 128 : 64, n = 0;

	memset(out, 0, 64);
	if (len > block)
		return EVP_Q_digest(NULL, digest[s->integ->id], NULL, key, len, out, &n) == 1;
	if (len > s->integ->key_len)
		return false;
	memcpy(out, key, len);
	return true;
}

START_TEST(test_mac_vectors)
{
	const struct mac_vector *v = &mac_vectors[_i];
	struct esp_suite s = suite_of(v->suite);
	uint8_t key[160], fitted[64], data[256], digest[64], icv[ICV_MAX];
	size_t key_len = unhex(v->key, key, sizeof(key)), len = unhex(v->data, data, sizeof(data));
	size_t digest_len = unhex(v->digest, digest, sizeof(digest));

	/* 25-byte keys with MD5 and SHA-1 lie between the transform's length and the block: no such
	 * SA exists. */
	if (!fit_key(&s, key, key_len, fitted)) {
		ck_assert_uint_eq(key_len, 25);
		return;
	}
	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		struct crypt_key *k = crypt_backend_present(b)
					  ? key_of(b, &s, CRYPT_SEAL, false, span_of(NULL, 0),
						   span_of(fitted, s.integ->key_len))
					  : NULL;
		if (!k)
			continue;
		struct crypt_ctx *c = crypt_ctx_new(0);
		struct crypt_raw r = { .aad = span_of(data, len), .icv = icv };
		crypt_raw_run(c, k, &r);
		ck_assert(r.ok);
		check_bytes(v->name, span_of(icv, s.icv_len < digest_len ? s.icv_len : digest_len),
			    span_of(digest, s.icv_len < digest_len ? s.icv_len : digest_len));
		crypt_ctx_free(&c);
		crypt_key_free(&k);
	}
}
END_TEST

/* RFC 3602's sample packets, with an ICV added, go through crypt_open(). */
START_TEST(test_cbc_packets)
{
	const struct cbc_packet *v = &cbc_packets[_i];
	struct esp_suite s = suite_of("aes128-sha256");
	uint8_t pkt[256], text[256], back[256];
	size_t at = unhex(v->header, pkt, sizeof(pkt));

	at += unhex(v->iv, pkt + at, sizeof(pkt) - at);
	ck_assert_uint_eq(at, 24);
	size_t len = unhex(v->cipher, pkt + at, sizeof(pkt) - at);
	ck_assert_uint_eq(unhex(v->text, text, sizeof(text)), len);
	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		struct crypt_key *seal =
		    crypt_backend_present(b) ? key_of_hex(b, &s, CRYPT_SEAL, v->key, "") : NULL;
		if (!seal)
			continue;
		struct crypt_key *open = key_of_hex(b, &s, CRYPT_OPEN, v->key, "");
		struct crypt_ctx *c = crypt_ctx_new(0);
		struct crypt_raw r = { .aad = span_of(pkt, at + len), .icv = pkt + at + len };
		crypt_raw_run(c, seal, &r);
		ck_assert(r.ok);
		struct crypt_op op = {
			.key = open, .esp = pkt, .src = pkt + at, .dst = back, .len = (uint32_t)len
		};
		crypt_open(c, &op, 1);
		ck_assert(op.ok);
		check_bytes(v->name, span_of(back, len), span_of(text, len));
		crypt_key_free(&seal);
		crypt_key_free(&open);
		crypt_ctx_free(&c);
	}
}
END_TEST

/* RFC 7634 appendix A, the whole ESP packet. */
START_TEST(test_chacha_packet)
{
	static const char key_hex[] =
	    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3";
	static const char text_hex[] =
	    "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
	    "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
	    "2425262728292a2b2c2d2e2f303132333435363701020204";
	static const char esp_hex[] =
	    "01020304000000051011121314151617"
	    "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
	    "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
	    "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
	    "76aaa8266b7fb0f7b11b369907e1ad43";
	struct esp_suite s = suite_of("chacha20poly1305");
	uint8_t text[88], want[120], pkt[120], back[88];

	ck_assert_uint_eq(unhex(text_hex, text, sizeof(text)), sizeof(text));
	ck_assert_uint_eq(unhex(esp_hex, want, sizeof(want)), sizeof(want));
	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		if (!crypt_backend_present(b))
			continue;
		struct crypt_key *seal = key_of_hex(b, &s, CRYPT_SEAL, key_hex, "");
		struct crypt_key *open = key_of_hex(b, &s, CRYPT_OPEN, key_hex, "");
		struct crypt_ctx *c = crypt_ctx_new(0);
		memcpy(pkt, want, 8);
		struct crypt_op op = { .key = seal,
				       .esp = pkt,
				       .src = text,
				       .dst = pkt + 16,
				       .len = sizeof(text),
				       .iv = 0x1011121314151617ull };
		crypt_seal(c, &op, 1);
		ck_assert(op.ok);
		check_bytes("RFC 7634 A", span_of(pkt, sizeof(pkt)), span_of(want, sizeof(want)));
		op = (struct crypt_op){
			.key = open, .esp = pkt, .src = pkt + 16, .dst = back, .len = sizeof(text)
		};
		crypt_open(c, &op, 1);
		ck_assert(op.ok);
		check_bytes("RFC 7634 A", span_of(back, sizeof(back)), span_of(text, sizeof(text)));
		crypt_key_free(&seal);
		crypt_key_free(&open);
		crypt_ctx_free(&c);
	}
}
END_TEST

Suite *suite_rfc(void)
{
	Suite *s = suite_create("crypto: vectors of the RFCs");
	TCase *t = tcase_create("rfc");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_raw_vectors, 0, ARRAY_LEN(raw_vectors));
	tcase_add_loop_test(t, test_mac_vectors, 0, ARRAY_LEN(mac_vectors));
	tcase_add_loop_test(t, test_cbc_packets, 0, ARRAY_LEN(cbc_packets));
	tcase_add_test(t, test_chacha_packet);
	suite_add_tcase(s, t);
	return s;
}
