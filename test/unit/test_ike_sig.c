/* Signatures: published values, every algorithm there and back, every tampering, and the
 * AlgorithmIdentifiers in all their encodings. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>

#include <jansson.h>

#include "crypto/sig.h"
#include "ike_crypto.h"
#include "ike_vectors.h"

enum { KEYS = 7 };

/* Made once, before the tests fork. */
static EVP_PKEY *keys[KEYS];
static const char *const key_names[KEYS] = { "RSA",     "P-256", "P-384",          "P-521",
					     "ED25519", "ED448", "brainpoolP256r1" };

static void keys_make(void)
{
	keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	for (unsigned i = 1; i < KEYS; i++)
		keys[i] = strncmp(key_names[i], "ED", 2) == 0
			      ? EVP_PKEY_Q_keygen(NULL, NULL, key_names[i])
			      : EVP_PKEY_Q_keygen(NULL, NULL, "EC", key_names[i]);
}

static void keys_free(void)
{
	for (unsigned i = 0; i < KEYS; i++)
		EVP_PKEY_free(keys[i]);
}

static bool should_fit(const struct sig_info *s, unsigned k)
{
	switch (s->kind) {
	case SIG_KIND_RSA:
	case SIG_KIND_PSS:
		return k == 0;
	case SIG_KIND_ECDSA:
		return s->curve ? strcmp(s->curve, key_names[k]) == 0 : k >= 1 && k <= 3;
	case SIG_KIND_ED25519:
		return k == 4;
	default:
		return k == 5;
	}
}

/* The message in one piece and in several. */
static const struct span whole[] = { { (const uint8_t *)"message nonce identity", 22 } };
static const struct span parts[] = { { (const uint8_t *)"message ", 8 },
				     { NULL, 0 },
				     { (const uint8_t *)"nonce identity", 14 } };
static const struct span other[] = { { (const uint8_t *)"message nonce identitx", 22 } };

static void round_trip(const struct sig_info *s, EVP_PKEY *key)
{
	uint8_t sig[SIG_LEN_MAX + 1], bad[SIG_LEN_MAX + 1];
	size_t len;

	ck_assert_int_eq(sig_sign(s, key, parts, 3, sig, &len), 0);
	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(sig_verify(s, key, whole, 1, span_of(sig, len)), 0);
	ck_assert_int_eq(sig_verify(s, key, other, 1, span_of(sig, len)), -EBADMSG);
	ck_assert_int_eq(sig_verify(s, key, whole, 0, span_of(sig, len)), -EBADMSG);
	for (size_t at = 0; at < len; at++) {
		memcpy(bad, sig, len);
		bad[at] ^= (uint8_t)(1u << at % 8);
		ck_assert_msg(sig_verify(s, key, whole, 1, span_of(bad, len)) == -EBADMSG,
			      "%s: byte %zu changed and taken", s->name, at);
	}
	sig[len] = 0;
	ck_assert_int_eq(sig_verify(s, key, whole, 1, span_of(sig, len + 1)), -EBADMSG);
	ck_assert_int_eq(sig_verify(s, key, whole, 1, span_of(sig, len - 1)), -EBADMSG);
	ck_assert_int_eq(sig_verify(s, key, whole, 1, span_of(sig, 0)), -EBADMSG);
	memset(bad, 0, sizeof(bad));
	ck_assert_int_eq(sig_verify(s, key, whole, 1, span_of(bad, len)), -EBADMSG);
}

static void with_all_keys(const struct sig_info *s, void *arg)
{
	uint8_t sig[SIG_LEN_MAX];
	size_t len;

	ck_assert_ptr_eq(sig_info(s->id), s);
	for (unsigned k = 0; k < KEYS; k++) {
		ck_assert_int_eq(sig_fits(s, keys[k]), should_fit(s, k));
		if (should_fit(s, k)) {
			round_trip(s, keys[k]);
			++*(unsigned *)arg;
			continue;
		}
		ck_assert_int_eq(sig_sign(s, keys[k], whole, 1, sig, &len), -EKEYREJECTED);
		ck_assert_int_eq(sig_verify(s, keys[k], whole, 1, span_of("abc", 3)),
				 -EKEYREJECTED);
	}
}

START_TEST(test_every_algorithm)
{
	unsigned n = 0;

	sig_each(with_all_keys, &n);
	ck_assert_uint_eq(n, 8 + 4 * 3 + 3 + 2);
	ck_assert_ptr_null(sig_info(SIG_NONE));
	ck_assert_ptr_null(sig_info(99));
}
END_TEST

/* A signature of one algorithm is none of another with the same key. */
START_TEST(test_no_mixing)
{
	static const enum sig_id ids[] = { SIG_RSA_SHA1,     SIG_RSA_SHA2_256, SIG_RSA_SHA2_384,
					   SIG_RSA_SHA2_512, SIG_PSS_SHA1,     SIG_PSS_SHA2_256,
					   SIG_PSS_SHA2_384, SIG_PSS_SHA2_512 };
	uint8_t sig[SIG_LEN_MAX];
	size_t len;

	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		ck_assert_int_eq(sig_sign(sig_info(ids[i]), keys[0], whole, 1, sig, &len), 0);
		for (unsigned j = 0; j < ARRAY_LEN(ids); j++)
			ck_assert_int_eq(
			    sig_verify(sig_info(ids[j]), keys[0], whole, 1, span_of(sig, len)),
			    i == j ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(test_key_limits)
{
	EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)768), *public = NULL;
	unsigned char *der = NULL;
	uint8_t sig[SIG_LEN_MAX];
	size_t len;

	ck_assert(!sig_fits(sig_info(SIG_RSA_SHA2_256), small));
	ck_assert(!sig_fits(sig_info(SIG_PSS_SHA2_256), small));
	EVP_PKEY_free(small);
	/* A public key alone verifies and does not sign. */
	int n = i2d_PUBKEY(keys[1], &der);
	ck_assert_int_eq(sig_key_public(span_of(der, (size_t)n), &public, NULL, 0), 0);
	ck_assert_int_eq(sig_sign(sig_info(SIG_ECDSA_256_RAW), keys[1], whole, 1, sig, &len), 0);
	ck_assert_uint_eq(len, 64);
	ck_assert_int_eq(
	    sig_verify(sig_info(SIG_ECDSA_256_RAW), public, whole, 1, span_of(sig, len)), 0);
	ck_assert_int_ne(sig_sign(sig_info(SIG_ECDSA_256_RAW), public, whole, 1, sig, &len), 0);
	ck_assert_uint_eq(len, 0);
	EVP_PKEY_free(public);
	OPENSSL_free(der);
}
END_TEST

/* ---- published signatures */

static EVP_PKEY *ec_public(const char *curve, const struct bytes *xy)
{
	uint8_t point[200] = { POINT_CONVERSION_UNCOMPRESSED };
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	memcpy(point + 1, xy->b, xy->len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, xy->len + 1),
		OSSL_PARAM_construct_end(),
	};
	ck_assert(EVP_PKEY_fromdata_init(c) > 0 &&
		  EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
	EVP_PKEY_CTX_free(c);
	return key;
}

START_TEST(test_published)
{
	const struct sig_vec *v = &sig_vecs[_i];
	const struct sig_info *s = sig_info(v->id);
	struct bytes *priv = bytes_of(v->priv), *pub = bytes_of(v->pub), *msg = bytes_of(v->msg),
		     *want = bytes_of(v->sig);
	struct span m = view(msg);
	uint8_t sig[SIG_LEN_MAX];
	size_t len;

	if (s->kind == SIG_KIND_ECDSA) { /* signing is randomised */
		EVP_PKEY *key = ec_public(s->curve, pub);
		ck_assert_int_eq(sig_verify(s, key, &m, 1, view(want)), 0);
		want->b[want->len / 2 + 3] ^= 1;
		ck_assert_int_eq(sig_verify(s, key, &m, 1, view(want)), -EBADMSG);
		EVP_PKEY_free(key);
		return;
	}
	const char *type = s->kind == SIG_KIND_ED25519 ? "ED25519" : "ED448";
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, priv->b, priv->len);
	EVP_PKEY *check = EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, pub->b, pub->len);
	ck_assert(key && check);
	ck_assert_int_eq(sig_sign(s, key, &m, 1, sig, &len), 0);
	check_bytes(v->where, span_of(sig, len), view(want));
	ck_assert_int_eq(sig_verify(s, check, &m, 1, view(want)), 0);
	EVP_PKEY_free(key);
	EVP_PKEY_free(check);
}
END_TEST

static const struct {
	const char *file, *type;
	enum sig_id id;
	unsigned tests;
} wycheproof[] = {
	{ "ed25519_test.json", "ED25519", SIG_ED25519, 151 },
	{ "ed448_test.json", "ED448", SIG_ED448, 87 },
};

START_TEST(test_wycheproof)
{
	const char *dir = vectors_folder();
	char path[4300];
	json_error_t err;
	size_t gi, ti;
	json_t *group, *test;
	unsigned n = 0;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/wycheproof/%s", dir, wycheproof[_i].file);
	json_t *root = json_load_file(path, 0, &err);
	ck_assert_msg(root != NULL, "%s: %s", path, err.text);
	json_array_foreach(json_object_get(root, "testGroups"), gi, group)
	{
		const json_t *pk = json_object_get(group, "publicKey");
		struct bytes *pub = bytes_of(json_string_value(json_object_get(pk, "pk")));
		EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, wycheproof[_i].type, NULL,
							       pub->b, pub->len);
		ck_assert_ptr_nonnull(key);
		json_array_foreach(json_object_get(group, "tests"), ti, test)
		{
			const char *result = json_string_value(json_object_get(test, "result"));
			struct span m =
			    view(bytes_of(json_string_value(json_object_get(test, "msg"))));
			struct span sig =
			    view(bytes_of(json_string_value(json_object_get(test, "sig"))));
			int rc = sig_verify(sig_info(wycheproof[_i].id), key, &m, 1, sig);
			ck_assert_msg(rc == (strcmp(result, "valid") == 0 ? 0 : -EBADMSG),
				      "test %lld: %s, %d",
				      json_integer_value(json_object_get(test, "tcId")), result,
				      rc);
			n++;
		}
		EVP_PKEY_free(key);
	}
	ck_assert_uint_eq(n, wycheproof[_i].tests);
	json_decref(root);
}
END_TEST

/* ---- AlgorithmIdentifiers */

static void alg_id_of_row(const struct sig_info *s, void *arg)
{
	uint8_t longer[128];

	if (s->alg_id.len == 0) {
		ck_assert_ptr_nonnull(s->curve);
		return;
	}
	ck_assert_ptr_eq(sig_by_alg_id(s->alg_id), s);
	memcpy(longer, s->alg_id.p, s->alg_id.len);
	longer[s->alg_id.len] = 0;
	ck_assert_ptr_null(sig_by_alg_id(span_of(longer, s->alg_id.len + 1)));
	for (size_t n = 0; n < s->alg_id.len; n++)
		ck_assert_ptr_null(sig_by_alg_id(span_of(longer, n)));
	++*(unsigned *)arg;
}

/* As printed in RFC 7427 A and RFC 8420 A, and other encodings of the same. */
static const struct {
	const char *hex;
	enum sig_id id;
} alg_ids[] = {
	{ "300d06092a864886f70d0101050500", SIG_RSA_SHA1 },
	{ "300d06092a864886f70d01010b0500", SIG_RSA_SHA2_256 },
	{ "300d06092a864886f70d01010c0500", SIG_RSA_SHA2_384 },
	{ "300d06092a864886f70d01010d0500", SIG_RSA_SHA2_512 },
	{ "300906072a8648ce3d0401", SIG_ECDSA_SHA1 },
	{ "300a06082a8648ce3d040302", SIG_ECDSA_SHA2_256 },
	{ "300a06082a8648ce3d040303", SIG_ECDSA_SHA2_384 },
	{ "300a06082a8648ce3d040304", SIG_ECDSA_SHA2_512 },
	{ "300d06092a864886f70d01010a3000", SIG_PSS_SHA1 },
	{ "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d01010830"
	  "0906"
	  "052b0e03021a0500a203020114a303020101",
	  SIG_PSS_SHA1 },
	{ "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d"
	  "0101"
	  "08300d06096086480165030402010500a203020120a303020101",
	  SIG_PSS_SHA2_256 },
	/* hashes without NULL, the trailer left out, another salt length */
	{ "303d06092a864886f70d01010a3030a00d300b0609608648016503040203a11a301806092a864886f70d0101"
	  "08300b"
	  "0609608648016503040203a203020120",
	  SIG_PSS_SHA2_512 },
	{ "300506032b6570", SIG_ED25519 },
	{ "300506032b6571", SIG_ED448 },
	{ "300b06092a864886f70d01010b", SIG_RSA_SHA2_256 },     /* parameters absent */
	{ "300c06082a8648ce3d0403020500", SIG_ECDSA_SHA2_256 }, /* NULL where none belongs */
	{ "300906072a8648ce380403", SIG_NONE },                 /* DSA */
	{ "300d06092a864886f70d0101040500", SIG_NONE },         /* RSA with MD5 */
	{ "300d06092a864886f70d01010a0500", SIG_NONE },         /* PSS without parameters */
	{ "300b06092a864886f70d01010a", SIG_NONE },
	{ "300d06092a864886f70d01010b3000", SIG_NONE }, /* RSA with a SEQUENCE */
	/* PSS with SHA2-256 and MGF1 with SHA2-512; MGF1 left out (SHA-1); trailer 2 */
	{ "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d"
	  "0101"
	  "08300d06096086480165030402030500a203020120a303020101",
	  SIG_NONE },
	{ "301e06092a864886f70d01010a3011a00f300d06096086480165030402010500", SIG_NONE },
	{ "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d"
	  "0101"
	  "08300d06096086480165030402010500a203020120a303020102",
	  SIG_NONE },
	{ "3000", SIG_NONE },
	{ "0500", SIG_NONE },
	{ "308006032b65700000", SIG_NONE }, /* indefinite length */
};

START_TEST(test_alg_ids)
{
	unsigned n = 0;

	sig_each(alg_id_of_row, &n);
	ck_assert_uint_eq(n, 14);
	for (size_t i = 0; i < ARRAY_LEN(alg_ids); i++) {
		const struct sig_info *s = sig_by_alg_id(view(bytes_of(alg_ids[i].hex)));
		ck_assert_msg((s ? s->id : SIG_NONE) == alg_ids[i].id, "%s: %s", alg_ids[i].hex,
			      s ? s->name : "nothing");
	}
	ck_assert_ptr_null(sig_by_alg_id(span_of(NULL, 0)));
}
END_TEST

Suite *suite_sig(void)
{
	Suite *s = suite_create("ike crypto: signatures");
	TCase *t = tcase_create("sig");

	tcase_set_timeout(t, 120);
	tcase_add_unchecked_fixture(t, keys_make, keys_free);
	tcase_add_test(t, test_every_algorithm);
	tcase_add_test(t, test_no_mixing);
	tcase_add_test(t, test_key_limits);
	tcase_add_loop_test(t, test_published, 0, ARRAY_LEN(sig_vecs));
	tcase_add_loop_test(t, test_wycheproof, 0, ARRAY_LEN(wycheproof));
	tcase_add_test(t, test_alg_ids);
	suite_add_tcase(s, t);
	return s;
}
