/*
 * AUTH: shared secrets and signatures over the same octets, which are put together here once more
 * with OpenSSL alone; every scheme against every key, wrong hashes, wrong keys, data cut at every
 * byte. The published signatures of RFC 4754 and RFC 8032 are tests of crypto/sig.h.
 */
#include <check.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "crypto/crypt.h"
#include "ike/auth.h"
#include "ike/proto.h"
#include "ike_pki.h"

#define ALL_HASHES (1u << HASH_SHA1 | auth_hashes_ours(false))

static EVP_PKEY *keys[PKI_KEYS];
static struct auth_octets octets;
/* message | nonce | prf(SK_p, ID body), made without the code under test */
static uint8_t whole[512];
static size_t whole_len;

static const char message[] = "IKE_SA_INIT, header included";
static const char nonce[] = "nonce of the other side, 32 byte";
static const char sk_p[] = "SK_p: key of the prf, 32 bytes..";
static const char id_body[] = "\x02\0\0\0gw.example";
static const char secret[] = "the shared secret";

static struct span str(const char *s)
{
	return span_of(s, strlen(s));
}

static size_t hmac(const char *md, struct span key, struct span v, uint8_t *out)
{
	unsigned len;

	ck_assert_ptr_nonnull(
	    HMAC(EVP_get_digestbyname(md), key.p, (int)key.len, v.p, v.len, out, &len));
	return len;
}

static void octets_make(enum prf_id prf, const char *md)
{
	struct span id = span_of(id_body, sizeof(id_body) - 1);

	octets = (struct auth_octets){ .prf = prf_info(prf),
				       .message = str(message),
				       .nonce = str(nonce),
				       .sk_p = str(sk_p),
				       .id_body = id };
	memcpy(whole, message, strlen(message));
	memcpy(whole + strlen(message), nonce, strlen(nonce));
	whole_len = strlen(message) + strlen(nonce);
	whole_len += hmac(md, str(sk_p), id, whole + whole_len);
}

static void setup_once(void)
{
	ck_assert_int_eq(crypt_init(), 0);
	for (int k = 0; k < PKI_KEYS; k++)
		keys[k] = pki_key((enum pki_key)k);
}

static void setup(void)
{
	octets_make(PRF_HMAC_SHA2_256, "SHA256");
}

static void teardown_once(void)
{
	for (int k = 0; k < PKI_KEYS; k++)
		EVP_PKEY_free(keys[k]);
}

/* ---- shared secrets */

static const struct {
	enum prf_id prf;
	const char *md;
} hmacs[] = {
	{ PRF_HMAC_SHA1, "SHA1" },       { PRF_HMAC_SHA2_256, "SHA256" },
	{ PRF_HMAC_SHA2_384, "SHA384" }, { PRF_HMAC_SHA2_512, "SHA512" },
	{ PRF_HMAC_MD5, "MD5" },
};

START_TEST(test_psk)
{
	uint8_t want[65], key[64], got[PRF_LEN_MAX];

	octets_make(hmacs[_i].prf, hmacs[_i].md);
	size_t n = hmac(hmacs[_i].md, str(secret), str("Key Pad for IKEv2"), key);
	hmac(hmacs[_i].md, span_of(key, n), span_of(whole, whole_len), want);
	ck_assert_int_eq(auth_psk(&octets, str(secret), got), 0);
	ck_assert_int_eq(memcmp(got, want, n), 0);
	ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(want, n)), 0);
	ck_assert_int_eq(auth_psk_check(&octets, str("The shared secret"), span_of(want, n)),
			 -EBADMSG);
	ck_assert_int_eq(auth_psk_check(&octets, span_of(NULL, 0), span_of(want, n)), -EBADMSG);
	for (size_t len = 0; len < n; len++)
		ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(want, len)),
				 -EBADMSG);
	want[n] = 0;
	ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(want, n + 1)), -EBADMSG);
	for (size_t at = 0; at < n; at++) {
		want[at] ^= 0x80;
		ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(want, n)), -EBADMSG);
		want[at] ^= 0x80;
	}
}
END_TEST

/* The prfs that are not HMAC, with their odd keys, at least agree with themselves. */
START_TEST(test_psk_aes)
{
	static const enum prf_id prfs[] = { PRF_AES128_XCBC, PRF_AES128_CMAC };
	uint8_t got[PRF_LEN_MAX];

	octets.prf = prf_info(prfs[_i]);
	octets.sk_p = span_of(sk_p, 16);
	ck_assert_int_eq(auth_psk(&octets, str(secret), got), 0);
	ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(got, 16)), 0);
	octets.id_body.len--;
	ck_assert_int_eq(auth_psk_check(&octets, str(secret), span_of(got, 16)), -EBADMSG);
}
END_TEST

/* ---- hashes */

START_TEST(test_hashes)
{
	static const uint8_t wire[] = { 0, 2, 0, 3, 0, 4, 0, 5 };
	static const uint8_t odd[] = { 0, 2, 0, 99, 1, 0, 0, 0, 0, 4, 7 };
	uint8_t out[32];
	size_t len;

	ck_assert_uint_eq(auth_hashes_ours(true), auth_hashes_ours(false) | 1u << HASH_SHA1);
	auth_hashes_write(auth_hashes_ours(false), out, &len);
	ck_assert(span_eq(span_of(out, len), span_of(wire, sizeof(wire))));
	ck_assert_uint_eq(auth_hashes_parse(span_of(wire, sizeof(wire))), auth_hashes_ours(false));
	/* unknown numbers and half a number are passed over */
	ck_assert_uint_eq(auth_hashes_parse(span_of(odd, sizeof(odd))), 1u << 2 | 1u << 4);
	ck_assert_uint_eq(auth_hashes_parse(span_of(NULL, 0)), 0);
	auth_hashes_write(UINT32_MAX, out, &len);
	ck_assert_uint_le(len, 32);
}
END_TEST

static const struct {
	enum pki_key key;
	uint32_t peer;
	bool pss, weak;
	enum sig_id sig; /* SIG_NONE: NULL */
	uint8_t method;
} picks[] = {
	/* peers from before RFC 7427 */
	{ PKI_RSA, 0, false, false, SIG_RSA_SHA1, IKE2_AUTH_RSA },
	{ PKI_RSA, 0, true, false, SIG_RSA_SHA1, IKE2_AUTH_RSA },
	{ PKI_RSA_PSS, 0, true, true, SIG_NONE, 0 },
	{ PKI_P256, 0, false, false, SIG_ECDSA_256_RAW, IKE2_AUTH_ECDSA_256 },
	{ PKI_P384, 0, false, false, SIG_ECDSA_384_RAW, IKE2_AUTH_ECDSA_384 },
	{ PKI_P521, 0, false, false, SIG_ECDSA_521_RAW, IKE2_AUTH_ECDSA_521 },
	{ PKI_ED25519, 0, false, true, SIG_NONE, 0 },
	{ PKI_ED448, 0, false, true, SIG_NONE, 0 },
	/* those that know everything */
	{ PKI_RSA, 0x3e, false, false, SIG_RSA_SHA2_512, 14 },
	{ PKI_RSA, 0x3e, true, false, SIG_PSS_SHA2_512, 14 },
	{ PKI_RSA_PSS, 0x3e, false, false, SIG_PSS_SHA2_512, 14 },
	{ PKI_P256, 0x3e, false, false, SIG_ECDSA_SHA2_256, 14 },
	{ PKI_P384, 0x3e, false, false, SIG_ECDSA_SHA2_384, 14 },
	{ PKI_P521, 0x3e, false, false, SIG_ECDSA_SHA2_512, 14 },
	{ PKI_ED25519, 0x3e, false, false, SIG_ED25519, 14 },
	{ PKI_ED448, 0x3e, false, false, SIG_ED448, 14 },
	/* those that know something else */
	{ PKI_RSA, 1u << HASH_SHA2_256, false, false, SIG_RSA_SHA2_256, 14 },
	{ PKI_P384, 1u << HASH_SHA2_256, false, false, SIG_ECDSA_SHA2_256, 14 },
	{ PKI_P256, 1u << HASH_SHA2_512 | 1u << HASH_SHA2_384, false, false, SIG_ECDSA_SHA2_384,
	  14 },
	{ PKI_RSA, 1u << HASH_SHA1, false, false, SIG_NONE, 0 },
	{ PKI_RSA, 1u << HASH_SHA1, false, true, SIG_RSA_SHA1, 14 },
	{ PKI_P256, 1u << HASH_SHA1, false, true, SIG_ECDSA_SHA1, 14 },
	{ PKI_ED25519, 1u << HASH_SHA2_512, false, true, SIG_NONE, 0 },
	{ PKI_RSA, 1u << HASH_IDENTITY, false, true, SIG_NONE, 0 },
};

START_TEST(test_pick)
{
	uint8_t method;
	const struct sig_info *s =
	    auth_pick(keys[picks[_i].key], picks[_i].peer, picks[_i].pss, picks[_i].weak, &method);

	ck_assert_int_eq(s ? s->id : SIG_NONE, picks[_i].sig);
	ck_assert_uint_eq(method, picks[_i].method);
}
END_TEST

/* A short key has no room for PSS with a long hash, and a bound one takes only its own. */
START_TEST(test_pick_pss_limits)
{
	EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), *bound = NULL;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	uint8_t out[AUTH_DATA_MAX], method;
	size_t len;

	const struct sig_info *s = auth_pick(small, 0x3e, true, false, &method);
	ck_assert_int_eq(s->id, SIG_PSS_SHA2_384);
	ck_assert_int_eq(auth_sign(&octets, s, method, small, out, &len), 0);
	ck_assert(EVP_PKEY_keygen_init(c) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048) > 0 &&
		  EVP_PKEY_CTX_set_rsa_pss_keygen_md(c, EVP_sha256()) > 0 &&
		  EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(c, EVP_sha256()) > 0 &&
		  EVP_PKEY_generate(c, &bound) > 0);
	s = auth_pick(bound, 0x3e, false, false, &method);
	ck_assert_int_eq(s->id, SIG_PSS_SHA2_256);
	ck_assert_int_eq(auth_sign(&octets, s, method, bound, out, &len), 0);
	ck_assert_int_eq(auth_verify(&octets, method, span_of(out, len), bound, 0x3e, NULL, 0), 0);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(small);
	EVP_PKEY_free(bound);
}
END_TEST

/* ---- signatures */

static void refused(uint8_t method, struct span data, EVP_PKEY *pub, uint32_t ours,
		    const char *says)
{
	char why[300] = "";

	ck_assert_int_eq(auth_verify(&octets, method, data, pub, ours, why, sizeof(why)), -EACCES);
	ck_assert_msg(strstr(why, says), "\"%s\" does not say \"%s\"", why, says);
	ck_assert_int_eq(auth_verify(&octets, method, data, pub, ours, NULL, 0), -EACCES);
}

static uint8_t method_of(const struct sig_info *s)
{
	switch (s->id) {
	case SIG_ECDSA_256_RAW:
		return IKE2_AUTH_ECDSA_256;
	case SIG_ECDSA_384_RAW:
		return IKE2_AUTH_ECDSA_384;
	case SIG_ECDSA_521_RAW:
		return IKE2_AUTH_ECDSA_521;
	default:
		return IKE2_AUTH_SIGNATURE;
	}
}

static void signed_data(const struct sig_info *s, uint8_t method, EVP_PKEY *key)
{
	uint8_t out[AUTH_DATA_MAX + 1];
	char why[300] = "";
	size_t len;

	ck_assert_int_eq(auth_sign(&octets, s, method, key, out, &len), 0);
	ck_assert_msg(
	    auth_verify(&octets, method, span_of(out, len), key, ALL_HASHES, why, sizeof(why)) == 0,
	    "%s: %s", s->name, why);
	/* the octets are those of RFC 7296 2.15 */
	size_t head = method == IKE2_AUTH_SIGNATURE ? 1 + out[0] : 0;
	struct span all = span_of(whole, whole_len);
	ck_assert_int_eq(sig_verify(s, key, &all, 1, span_of(out + head, len - head)), 0);
	/* cut, longer, changed */
	for (size_t n = 0; n < len; n += n < 80 ? 1 : 13)
		refused(method, span_of(out, n), key, ALL_HASHES, "the peer");
	out[len] = 0;
	refused(method, span_of(out, len + 1), key, ALL_HASHES, "is wrong");
	for (size_t at = 0; at < len; at += 7) {
		out[at] ^= 4;
		refused(method, span_of(out, len), key, ALL_HASHES, "the peer");
		out[at] ^= 4;
	}
	/* for somebody else's octets */
	octets.nonce.len--;
	refused(method, span_of(out, len), key, ALL_HASHES, "is wrong: its private key");
	octets.nonce.len++;
	if (method == IKE2_AUTH_SIGNATURE)
		refused(method, span_of(out, len), key, ALL_HASHES & ~(1u << s->hash),
			s->weak ? "not accepted here (allow_weak" : "not accepted here");
	/* with each of the other keys */
	for (int k = 0; k < PKI_KEYS; k++)
		if (keys[k] != key)
			refused(method, span_of(out, len), keys[k], ALL_HASHES,
				sig_fits(s, keys[k]) ? "is wrong" : "but its public key is:");
}

static void with_all_keys(const struct sig_info *s, void *arg)
{
	uint8_t out[AUTH_DATA_MAX];
	size_t len;

	for (int k = 0; k < PKI_KEYS; k++) {
		if (sig_fits(s, keys[k])) {
			signed_data(s, method_of(s), keys[k]);
			++*(unsigned *)arg;
		} else {
			ck_assert_int_eq(auth_sign(&octets, s, method_of(s), keys[k], out, &len),
					 -EKEYREJECTED);
			ck_assert_uint_eq(len, 0);
		}
	}
}

START_TEST(test_every_signature)
{
	unsigned n = 0;

	sig_each(with_all_keys, &n);
	ck_assert_uint_eq(n, 4 + 4 * 2 + 4 * 3 + 3 + 2);
}
END_TEST

START_TEST(test_method_rsa)
{
	static const enum sig_id any[] = { SIG_RSA_SHA2_256, SIG_RSA_SHA2_384, SIG_RSA_SHA2_512 };
	uint8_t out[AUTH_DATA_MAX];
	size_t len;

	signed_data(sig_info(SIG_RSA_SHA1), IKE2_AUTH_RSA, keys[PKI_RSA]);
	/* method 1 is taken though SHA-1 is not announced: that is what it means */
	ck_assert_int_eq(
	    auth_sign(&octets, sig_info(SIG_RSA_SHA1), IKE2_AUTH_RSA, keys[PKI_RSA], out, &len), 0);
	ck_assert_uint_eq(len, 256);
	ck_assert_int_eq(auth_verify(&octets, IKE2_AUTH_RSA, span_of(out, len), keys[PKI_RSA],
				     auth_hashes_ours(false), NULL, 0),
			 0);
	/* some peers take another hash */
	for (size_t i = 0; i < ARRAY_LEN(any); i++) {
		ck_assert_int_eq(
		    auth_sign(&octets, sig_info(any[i]), IKE2_AUTH_RSA, keys[PKI_RSA], out, &len),
		    0);
		ck_assert_int_eq(auth_verify(&octets, IKE2_AUTH_RSA, span_of(out, len),
					     keys[PKI_RSA], auth_hashes_ours(false), NULL, 0),
				 0);
	}
	/* PSS is no method 1 */
	ck_assert_int_eq(
	    auth_sign(&octets, sig_info(SIG_PSS_SHA2_256), IKE2_AUTH_RSA, keys[PKI_RSA], out, &len),
	    0);
	refused(IKE2_AUTH_RSA, span_of(out, len), keys[PKI_RSA], ALL_HASHES, "is wrong");
	refused(IKE2_AUTH_RSA, span_of(out, len), keys[PKI_P256], ALL_HASHES,
		"signed with RSA, but its public key is: EC key of 256 bits");
}
END_TEST

/* RFC 7427 B.1: how the payload starts. */
START_TEST(test_payload_start)
{
	static const uint8_t start[] = { 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
					 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00 };
	uint8_t out[AUTH_DATA_MAX];
	size_t len;

	ck_assert_int_eq(auth_sign(&octets, sig_info(SIG_RSA_SHA1), IKE2_AUTH_SIGNATURE,
				   keys[PKI_RSA], out, &len),
			 0);
	ck_assert_uint_eq(len, sizeof(start) + 256);
	ck_assert_int_eq(memcmp(out, start, sizeof(start)), 0);
}
END_TEST

START_TEST(test_refusals)
{
	/* ecdsa-with-SHA224, which nobody announces */
	static const uint8_t sha224[] = { 12,   0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					  0x48, 0xce, 0x3d, 0x04, 0x03, 0x01, 0xaa };
	static const uint8_t junk[] = { 3, 0xff, 0xff, 0xff, 0xaa };
	EVP_PKEY *key = keys[PKI_P256];

	refused(IKE2_AUTH_SIGNATURE, span_of(sha224, sizeof(sha224)), key, ALL_HASHES,
		"signed with ecdsa-with-SHA224, which is not supported");
	refused(IKE2_AUTH_SIGNATURE, span_of(junk, sizeof(junk)), key, ALL_HASHES,
		"unreadable AlgorithmIdentifier, which is not supported");
	refused(IKE2_AUTH_SIGNATURE, span_of(sha224, 0), key, ALL_HASHES, "cut short");
	refused(IKE2_AUTH_SIGNATURE, span_of(sha224, 1), key, ALL_HASHES, "cut short");
	refused(IKE2_AUTH_PSK, span_of(sha224, 4), key, ALL_HASHES, "method 2 is no signature");
	refused(IKE2_AUTH_DSS, span_of(sha224, 4), key, ALL_HASHES, "method 3 is no signature");
	refused(0, span_of(sha224, 4), key, ALL_HASHES, "method 0 is no signature");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike auth");
	TCase *t = tcase_create("auth");

	tcase_set_timeout(t, 120);
	tcase_add_unchecked_fixture(t, setup_once, teardown_once);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, test_psk, 0, ARRAY_LEN(hmacs));
	tcase_add_loop_test(t, test_psk_aes, 0, 2);
	tcase_add_test(t, test_hashes);
	tcase_add_loop_test(t, test_pick, 0, ARRAY_LEN(picks));
	tcase_add_test(t, test_pick_pss_limits);
	tcase_add_test(t, test_every_signature);
	tcase_add_test(t, test_method_rsa);
	tcase_add_test(t, test_payload_start);
	tcase_add_test(t, test_refusals);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
