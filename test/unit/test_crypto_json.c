/*
 * The JSON vectors of Wycheproof and ipsec-mb, against every backend. They are found in
 * $BUMPWIRE_VECTORS or ../shared/vectors beside the checkout; where they are absent the test says
 * so and passes. A vector whose shape no ESP suite has (a nonce of another length, a key between
 * two sizes) is counted and passed over.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto_util.h"

enum kind { AEAD, GMAC, CIPHER, PKCS5, MAC };

static const struct {
	const char *path;
	enum kind kind;
	enum encr_id encr;   /* combined modes: the one with a 16-byte ICV */
	enum integ_id integ; /* MAC */
	unsigned least; /* vectors that must run on OpenSSL, so that a misread file cannot pass */
} files[] = {
	{ "wycheproof/aes_gcm_test.json", AEAD, ENCR_AES_GCM_16, INTEG_NONE, 190 },
	{ "wycheproof/aes_ccm_test.json", AEAD, ENCR_AES_CCM_16, INTEG_NONE, 18 },
	{ "wycheproof/chacha20_poly1305_test.json", AEAD, ENCR_CHACHA20_POLY1305, INTEG_NONE, 316 },
	{ "wycheproof/aes_gmac_test.json", GMAC, ENCR_NULL_AUTH_AES_GMAC, INTEG_NONE, 207 },
	{ "wycheproof/aes_cbc_pkcs5_test.json", PKCS5, ENCR_AES_CBC, INTEG_NONE, 50 },
	{ "wycheproof/aes_cmac_test.json", MAC, ENCR_NULL, INTEG_AES_CMAC_96, 50 },
	{ "wycheproof/hmac_sha1_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA1_96, 50 },
	{ "wycheproof/hmac_sha256_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_256_128, 50 },
	{ "wycheproof/hmac_sha384_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_384_192, 50 },
	{ "wycheproof/hmac_sha512_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_512_256, 50 },
	{ "ipsec-mb/gcm_test.json", AEAD, ENCR_AES_GCM_16, INTEG_NONE, 16 },
	{ "ipsec-mb/chacha20_poly1305_test.json", AEAD, ENCR_CHACHA20_POLY1305, INTEG_NONE, 3 },
	{ "ipsec-mb/gmac_test.json", GMAC, ENCR_NULL_AUTH_AES_GMAC, INTEG_NONE, 4 },
	{ "ipsec-mb/cbc_test.json", CIPHER, ENCR_AES_CBC, INTEG_NONE, 7 },
	{ "ipsec-mb/ctr_test.json", CIPHER, ENCR_AES_CTR, INTEG_NONE, 15 },
	{ "ipsec-mb/des3_test.json", CIPHER, ENCR_3DES, INTEG_NONE, 4 },
	{ "ipsec-mb/cmac_128_test.json", MAC, ENCR_NULL, INTEG_AES_CMAC_96, 13 },
	{ "ipsec-mb/xcbc_test.json", MAC, ENCR_NULL, INTEG_AES_XCBC_96, 7 },
	{ "ipsec-mb/hmac_md5_test.json", MAC, ENCR_NULL, INTEG_HMAC_MD5_96, 10 },
	{ "ipsec-mb/hmac_sha1_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA1_96, 4 },
	{ "ipsec-mb/hmac_sha256_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_256_128, 4 },
	{ "ipsec-mb/hmac_sha384_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_384_192, 4 },
	{ "ipsec-mb/hmac_sha512_test.json", MAC, ENCR_NULL, INTEG_HMAC_SHA2_512_256, 4 },
};

enum { ROOM = 4096 };

struct field {
	uint8_t b[ROOM];
	size_t len;
};

/* One vector, decoded. */
struct vec {
	struct field key, iv, aad, msg, ct, tag;
	bool valid;
	int id;
};

enum verdict { RAN, PASSED_OVER };

static const char *folder(void)
{
	static char path[4096];
	const char *env = getenv("BUMPWIRE_VECTORS"), *srcdir = getenv("srcdir");

	if (env && *env)
		snprintf(path, sizeof(path), "%s", env);
	else
		snprintf(path, sizeof(path), "%s/../shared/vectors",
			 srcdir && *srcdir ? srcdir : ".");
	return access(path, R_OK) == 0 ? path : NULL;
}

static bool take(const json_t *test, const char *name, struct field *f)
{
	const char *hex = json_string_value(json_object_get(test, name));

	f->len = 0;
	if (!hex)
		return true;
	if (strlen(hex) / 2 > ROOM)
		return false;
	f->len = unhex(hex, f->b, ROOM);
	return true;
}

/* The suite of a combined mode with this key and ICV length. */
static bool suite_aead(enum encr_id e, size_t key_len, size_t icv_len, struct esp_suite *s)
{
	if ((e == ENCR_AES_GCM_16 || e == ENCR_AES_CCM_16) && icv_len == 12)
		e = e == ENCR_AES_GCM_16 ? ENCR_AES_GCM_12 : ENCR_AES_CCM_12;
	else if ((e == ENCR_AES_GCM_16 || e == ENCR_AES_CCM_16) && icv_len == 8)
		e = e == ENCR_AES_GCM_16 ? ENCR_AES_GCM_8 : ENCR_AES_CCM_8;
	else if (icv_len != 16 && e == ENCR_AES_CCM_16)
		return false; /* CCM's ICV depends on its length; elsewhere a shorter one is a
				 prefix */
	return esp_suite_make(e, (unsigned)key_len, INTEG_NONE, s, NULL, 0) == 0;
}

static enum verdict run_aead(const struct vec *v, enum kind kind, enum encr_id e,
			     enum crypt_backend b)
{
	static uint8_t out[ROOM], icv[ICV_MAX];
	struct esp_suite s;
	struct span key = span_of(v->key.b, v->key.len);
	struct field padded = v->key;

	if (!suite_aead(e, key.len, v->tag.len, &s) ||
	    v->iv.len != (size_t)s.encr->salt_len + s.iv_len)
		return PASSED_OVER;
	padded.len += s.encr->salt_len; /* the nonce is given whole, the salt is not used */
	struct crypt_key *seal =
	    key_of(b, &s, CRYPT_SEAL, false, span_of(padded.b, padded.len), span_of(NULL, 0));
	struct crypt_key *open =
	    key_of(b, &s, CRYPT_OPEN, false, span_of(padded.b, padded.len), span_of(NULL, 0));
	if (!seal)
		return PASSED_OVER;
	struct crypt_ctx *c = crypt_ctx_new(0);
	const struct field *aad = kind == GMAC ? &v->msg : &v->aad;
	size_t len = kind == GMAC ? 0 : v->msg.len,
	       prefix = v->tag.len < s.icv_len ? v->tag.len : s.icv_len;
	struct crypt_raw r = { .nonce = v->iv.b,
			       .aad = span_of(aad->b, aad->len),
			       .src = v->msg.b,
			       .dst = out,
			       .len = len,
			       .icv = icv };
	crypt_raw_run(c, seal, &r);
	bool limit =
	    b == CRYPT_IPSEC_MB && e == ENCR_AES_CCM_16 && aad->len > 46; /* its own, not ESP's */
	ck_assert_int_eq(r.ok, !limit);
	if (!limit) {
		bool same = memcmp(out, v->ct.b, len) == 0 && memcmp(icv, v->tag.b, prefix) == 0;
		ck_assert_msg(same == v->valid, "test %d: sealed %s", v->id,
			      same ? "like an invalid one" : "wrong");
		if (prefix == s.icv_len)
			memcpy(icv, v->tag.b, prefix);
		else if (!v->valid)
			memset(icv, 0, sizeof(icv));
		memset(out, 0, len);
		r.src = v->ct.b;
		crypt_raw_run(c, open, &r);
		ck_assert_msg(r.ok == v->valid, "test %d: opened: %d", v->id, r.ok);
		if (r.ok)
			check_bytes("plaintext", span_of(out, len), span_of(v->msg.b, len));
	}
	crypt_ctx_free(&c);
	crypt_key_free(&seal);
	crypt_key_free(&open);
	return limit ? PASSED_OVER : RAN;
}

static enum verdict run_cipher(const struct vec *v, enum kind kind, enum encr_id e,
			       enum crypt_backend b)
{
	static uint8_t out[ROOM + 16], text[ROOM + 16];
	static const uint8_t zero[32];
	uint8_t nonce[16] = { 0 }, icv[ICV_MAX];
	struct esp_suite s;
	size_t len = v->msg.len;

	if (!v->valid ||
	    esp_suite_make(e, (unsigned)v->key.len, INTEG_HMAC_SHA2_256_128, &s, NULL, 0))
		return PASSED_OVER; /* invalid ones are about PKCS#5 padding, which ESP does not
				       have */
	memcpy(text, v->msg.b, len);
	if (kind == PKCS5) {
		memset(text + len, (int)(16 - len % 16), 16 - len % 16);
		len += 16 - len % 16;
	}
	memcpy(nonce, v->iv.b, v->iv.len < 16 ? v->iv.len : 16);
	if (e == ENCR_AES_CTR && v->iv.len == 12)
		store_be32(nonce + 12, 1);
	struct field padded = v->key;
	padded.len += s.encr->salt_len;
	struct crypt_key *k[2];
	for (unsigned d = 0; d < 2; d++)
		k[d] = key_of(b, &s, d ? CRYPT_OPEN : CRYPT_SEAL, false,
			      span_of(padded.b, padded.len), span_of(zero, 32));
	if (!k[0])
		return PASSED_OVER;
	struct crypt_ctx *c = crypt_ctx_new(0);
	struct crypt_raw r = { .nonce = nonce,
			       .aad = span_of(zero, 8),
			       .src = text,
			       .dst = out,
			       .len = len,
			       .icv = icv };
	crypt_raw_run(c, k[0], &r);
	ck_assert(r.ok);
	check_bytes("ciphertext", span_of(out, len), span_of(v->ct.b, v->ct.len));
	memset(out, 0, len);
	r.src = v->ct.b;
	crypt_raw_run(c, k[1], &r);
	ck_assert(r.ok);
	check_bytes("plaintext", span_of(out, len), span_of(text, len));
	crypt_ctx_free(&c);
	crypt_key_free(&k[0]);
	crypt_key_free(&k[1]);
	return RAN;
}

/* An HMAC key as one of the transform's length (RFC 2104: zeros behind, or hashed when longer than
 * a block). */
static bool mac_key(const struct integ_info *i, const struct field *key, uint8_t out[64])
{
	static const char *const digest[] = { [INTEG_HMAC_MD5_96] = "MD5",
					      [INTEG_HMAC_SHA1_96] = "SHA1",
					      [INTEG_HMAC_SHA2_256_128] = "SHA256",
					      [INTEG_HMAC_SHA2_384_192] = "SHA384",
					      [INTEG_HMAC_SHA2_512_256] = "SHA512" };
	bool hmac = i->id != INTEG_AES_XCBC_96 && i->id != INTEG_AES_CMAC_96;
	size_t block = i->key_len >= 48 ? 128 : 64, n = 0;

	memset(out, 0, 64);
	if (hmac && key->len > block)
		return EVP_Q_digest(NULL, digest[i->id], NULL, key->b, key->len, out, &n) == 1;
	if (key->len > i->key_len || (!hmac && key->len != i->key_len))
		return false;
	memcpy(out, key->b, key->len);
	return true;
}

static enum verdict run_mac(const struct vec *v, enum integ_id id, enum crypt_backend b)
{
	struct esp_suite s;
	uint8_t key[64], icv[ICV_MAX];

	ck_assert_int_eq(esp_suite_make(ENCR_NULL, 0, id, &s, NULL, 0), 0);
	if (!mac_key(s.integ, &v->key, key))
		return PASSED_OVER;
	struct crypt_key *k =
	    key_of(b, &s, CRYPT_SEAL, false, span_of(NULL, 0), span_of(key, s.integ->key_len));
	if (!k)
		return PASSED_OVER;
	struct crypt_ctx *c = crypt_ctx_new(0);
	struct crypt_raw r = { .aad = span_of(v->msg.b, v->msg.len), .icv = icv };
	crypt_raw_run(c, k, &r);
	if (!r.ok && b == CRYPT_IPSEC_MB && v->msg.len == 0) { /* its own limit, not ESP's */
		crypt_ctx_free(&c);
		crypt_key_free(&k);
		return PASSED_OVER;
	}
	ck_assert(r.ok);
	size_t prefix = v->tag.len < s.icv_len ? v->tag.len : s.icv_len;
	bool same = memcmp(icv, v->tag.b, prefix) == 0;
	crypt_ctx_free(&c);
	crypt_key_free(&k);
	if (same && !v->valid)
		return PASSED_OVER; /* wrong only in what ESP cuts off */
	ck_assert_msg(same == v->valid, "test %d: the MAC is %s", v->id,
		      same ? "that of an invalid one" : "wrong");
	return RAN;
}

static bool vec_read(const json_t *test, struct vec *v)
{
	const char *result = json_string_value(json_object_get(test, "result"));

	ck_assert_ptr_nonnull(result);
	v->id = (int)json_integer_value(json_object_get(test, "tcId"));
	v->valid = strcmp(result, "invalid") != 0;
	return take(test, "key", &v->key) && take(test, "iv", &v->iv) &&
	       take(test, "aad", &v->aad) && take(test, "msg", &v->msg) &&
	       take(test, "ct", &v->ct) && take(test, "tag", &v->tag);
}

START_TEST(test_json_file)
{
	static struct vec v;
	static unsigned ran[CRYPT_BACKENDS], over;
	const char *dir = folder();
	char path[4200];
	json_error_t err;
	size_t gi, ti;
	json_t *group, *test;

	if (!dir) {
		if (_i == 0)
			printf("# no vectors in $BUMPWIRE_VECTORS or ../shared/vectors: JSON "
			       "vectors skipped\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, files[_i].path);
	json_t *root = json_load_file(path, 0, &err);
	ck_assert_msg(root != NULL, "%s: %s", path, err.text);
	json_array_foreach(json_object_get(root, "testGroups"), gi, group)
	    json_array_foreach(json_object_get(group, "tests"), ti, test)
	{
		memset(&v, 0, sizeof(v));
		if (!vec_read(test, &v)) {
			over++;
			continue;
		}
		for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
			enum verdict verdict;
			if (!crypt_backend_present(b))
				continue;
			if (files[_i].kind == MAC)
				verdict = run_mac(&v, files[_i].integ, b);
			else if (files[_i].kind == AEAD || files[_i].kind == GMAC)
				verdict = run_aead(&v, files[_i].kind, files[_i].encr, b);
			else
				verdict = run_cipher(&v, files[_i].kind, files[_i].encr, b);
			ran[b] += verdict == RAN;
			over += verdict == PASSED_OVER && b == CRYPT_OPENSSL;
		}
	}
	printf("# %s: openssl %u, ipsec-mb %u, sodium %u, passed over %u\n", files[_i].path,
	       ran[CRYPT_OPENSSL], ran[CRYPT_IPSEC_MB], ran[CRYPT_SODIUM], over);
	ck_assert_uint_ge(ran[CRYPT_OPENSSL], files[_i].least);
	json_decref(root);
	memset(ran, 0, sizeof(ran));
	over = 0;
}
END_TEST

Suite *suite_json(void)
{
	Suite *s = suite_create("crypto: JSON vectors");
	TCase *t = tcase_create("json");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_json_file, 0, ARRAY_LEN(files));
	suite_add_tcase(s, t);
	return s;
}
