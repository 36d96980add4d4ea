/*
 * Signatures in AUTH: see auth.h. Making one: the key and what the peer knows choose a row of
 * crypto/sig.h -> signed -> with method 14 its AlgorithmIdentifier goes in front. Checking one: the
 * method, or the peer's AlgorithmIdentifier, names the row -> it must be acceptable and fit the key
 * -> verified.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/rd.h"
#include "base/secret.h"
#include "base/why.h"
#include "crypto/sig_digest.h"
#include "ike/auth_octets.h"
#include "ike/proto.h"

/* The hash a key of type RSA-PSS is bound to (RFC 4055 3.1); 0: any. */
static int hash_bound(EVP_PKEY *key)
{
	char name[32];

	if (!EVP_PKEY_is_a(key, "RSA-PSS") ||
	    !EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_RSA_DIGEST, name, sizeof(name),
					    NULL))
		return 0;
	const EVP_MD *md = EVP_get_digestbyname(name);
	for (int h = HASH_SHA1; md && h <= HASH_SHA2_512; h++)
		if (EVP_MD_is_a(md, hash_name((enum hash_id)h)))
			return h;
	return 0;
}

/* PSS needs room for hash and salt, of one length, and two bytes (RFC 8017 9.1.1). */
static bool pss_room(const struct sig_info *s, EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return s->kind != SIG_KIND_PSS || ((size_t)bits - 1 + 7) / 8 >= 2 * hash_len(s->hash) + 2;
}

/* Rows of a kind, the best first. Of RSA that is the strongest hash; of ECDSA the one as strong as
 * the curve, then stronger ones (of which the curve uses as much as it can), then weaker ones. */
static const uint8_t rsa_rows[] = { SIG_RSA_SHA2_512, SIG_RSA_SHA2_384, SIG_RSA_SHA2_256,
				    SIG_RSA_SHA1, 0 };
static const uint8_t pss_rows[] = { SIG_PSS_SHA2_512, SIG_PSS_SHA2_384, SIG_PSS_SHA2_256,
				    SIG_PSS_SHA1, 0 };
static const uint8_t p256_rows[] = { SIG_ECDSA_SHA2_256, SIG_ECDSA_SHA2_384, SIG_ECDSA_SHA2_512,
				     SIG_ECDSA_SHA1, 0 };
static const uint8_t p384_rows[] = { SIG_ECDSA_SHA2_384, SIG_ECDSA_SHA2_512, SIG_ECDSA_SHA2_256,
				     SIG_ECDSA_SHA1, 0 };
static const uint8_t p521_rows[] = { SIG_ECDSA_SHA2_512, SIG_ECDSA_SHA2_384, SIG_ECDSA_SHA2_256,
				     SIG_ECDSA_SHA1, 0 };
static const uint8_t ed25519_rows[] = { SIG_ED25519, 0 };
static const uint8_t ed448_rows[] = { SIG_ED448, 0 };

static const uint8_t *rows_of(EVP_PKEY *key, bool pss)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return pss ? pss_rows : rsa_rows;
	if (EVP_PKEY_is_a(key, "RSA-PSS"))
		return pss_rows;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return ed25519_rows;
	if (EVP_PKEY_is_a(key, "ED448"))
		return ed448_rows;
	int bits = EVP_PKEY_is_a(key, "EC") ? EVP_PKEY_get_bits(key) : 0;
	return bits == 256 ? p256_rows : bits == 384 ? p384_rows : bits ? p521_rows : NULL;
}

/* Methods from before RFC 7427. */
static const struct {
	uint8_t method, sig;
} old[] = {
	{ IKE2_AUTH_RSA, SIG_RSA_SHA1 },
	{ IKE2_AUTH_ECDSA_256, SIG_ECDSA_256_RAW },
	{ IKE2_AUTH_ECDSA_384, SIG_ECDSA_384_RAW },
	{ IKE2_AUTH_ECDSA_521, SIG_ECDSA_521_RAW },
};

const struct sig_info *auth_pick(EVP_PKEY *key, uint32_t peer, bool pss, bool allow_weak,
				 uint8_t *method)
{
	*method = 0;
	if (peer == 0) {
		for (size_t i = 0; i < ARRAY_LEN(old); i++)
			if (sig_fits(sig_info(old[i].sig), key)) {
				*method = old[i].method;
				return sig_info(old[i].sig);
			}
		return NULL;
	}
	int bound = hash_bound(key);
	for (const uint8_t *row = rows_of(key, pss); row && *row; row++) {
		const struct sig_info *s = sig_info(*row);
		if (!(peer >> s->hash & 1) || (s->weak && !allow_weak) || !sig_fits(s, key) ||
		    !pss_room(s, key) || (bound && (int)s->hash != bound))
			continue;
		*method = IKE2_AUTH_SIGNATURE;
		return s;
	}
	return NULL;
}

int auth_sign(const struct auth_octets *o, const struct sig_info *s, uint8_t method, EVP_PKEY *key,
	      uint8_t out[AUTH_DATA_MAX], size_t *len)
{
	uint8_t maced_id[PRF_LEN_MAX];
	struct span parts[AUTH_PARTS];
	size_t head = 0, sig_len;

	*len = 0;
	if (!o->prf)
		return sig_digest_sign(key, o->message, out, len);
	int rc = auth_octets_parts(o, maced_id, parts);
	if (rc)
		return rc;
	if (method == IKE2_AUTH_SIGNATURE) {
		if (s->alg_id.len == 0 || s->alg_id.len > AUTH_DATA_MAX - SIG_LEN_MAX - 1)
			return -EKEYREJECTED;
		out[0] = (uint8_t)s->alg_id.len;
		memcpy(out + 1, s->alg_id.p, s->alg_id.len);
		head = 1 + s->alg_id.len;
	}
	rc = sig_sign(s, key, parts, AUTH_PARTS, out + head, &sig_len);
	wipe(maced_id, sizeof(maced_id));
	if (rc == 0)
		*len = head + sig_len;
	return rc;
}

/* ---- checking */

#define say(...) why_say(-EACCES, __VA_ARGS__)

static void key_describe(EVP_PKEY *key, char *out, size_t max)
{
	const char *type = EVP_PKEY_get0_type_name(key);

	if (type && EVP_PKEY_is_a(key, "EC"))
		snprintf(out, max, "EC key of %d bits", EVP_PKEY_get_bits(key));
	else if (type && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")))
		snprintf(out, max, "%s key of %d bits", type, EVP_PKEY_get_bits(key));
	else
		snprintf(out, max, "%s key", type ? type : "unknown");
}

/* The AlgorithmIdentifier's OID as text, for messages. */
static void alg_name(struct span der, char *out, size_t max)
{
	const unsigned char *p = der.p;
	const ASN1_OBJECT *oid;
	X509_ALGOR *a = d2i_X509_ALGOR(NULL, &p, (long)der.len);

	snprintf(out, max, "unreadable AlgorithmIdentifier");
	if (a) {
		X509_ALGOR_get0(&oid, NULL, NULL, a);
		OBJ_obj2txt(out, (int)max, oid, 0);
	}
	X509_ALGOR_free(a);
}

/* Method 14: splits the data into the row and the signature. */
static int split(struct span data, uint32_t ours, const struct sig_info **s, struct span *sig,
		 char *why, size_t whylen)
{
	struct rd r = rd_of(data.p, data.len);
	struct span alg = rd_span(&r, rd_u8(&r));
	char name[64];

	if (!rd_ok(&r) || alg.len == 0 || r.left == 0)
		return say(why, whylen, "the peer's AUTH data is cut short");
	*s = sig_by_alg_id(alg);
	if (!*s) {
		alg_name(alg, name, sizeof(name));
		return say(why, whylen, "the peer signed with %s, which is not supported", name);
	}
	if (!(ours >> (*s)->hash & 1))
		return say(why, whylen,
			   "the peer signed with %s, which is not accepted here%s; let it use "
			   "SHA2-256 or stronger",
			   (*s)->name, (*s)->weak ? " (allow_weak = yes would)" : "");
	*sig = span_of(r.p, r.left);
	return 0;
}

/* Methods 1 and 9 to 11. */
static int split_old(uint8_t method, struct span data, const struct sig_info **s, struct span *sig,
		     char *why, size_t whylen)
{
	for (size_t i = 0; i < ARRAY_LEN(old); i++)
		if (old[i].method == method) {
			*s = sig_info(old[i].sig);
			*sig = data;
			return 0;
		}
	return say(why, whylen, "the peer's authentication method %u is no signature", method);
}

/* Method 1 does not say its hash: SHA-1, but some peers take another (RFC 7296 3.8). */
static int verify_rsa(const struct span *parts, EVP_PKEY *pub, struct span sig)
{
	static const uint8_t rows[] = { SIG_RSA_SHA1, SIG_RSA_SHA2_256, SIG_RSA_SHA2_384,
					SIG_RSA_SHA2_512 };
	int rc = -EBADMSG;

	for (size_t i = 0; rc == -EBADMSG && i < ARRAY_LEN(rows); i++)
		rc = sig_verify(sig_info(rows[i]), pub, parts, AUTH_PARTS, sig);
	return rc;
}

/* IKEv1: HASH_I or HASH_R. */
static int verify_v1(const struct auth_octets *o, struct span data, EVP_PKEY *pub, char *why,
		     size_t whylen)
{
	char key[64];
	int rc = sig_digest_verify(pub, o->message, data);

	key_describe(pub, key, sizeof(key));
	if (rc == -EKEYREJECTED)
		return say(why, whylen, "the peer's public key is: %s, which IKEv1 cannot use",
			   key);
	if (rc)
		return say(why, whylen,
			   "the peer's signature is wrong (its public key: %s): its private key is "
			   "not the one of its certificate, or a message was changed on the way",
			   key);
	return 0;
}

int auth_verify(const struct auth_octets *o, uint8_t method, struct span data, EVP_PKEY *pub,
		uint32_t ours, char *why, size_t whylen)
{
	uint8_t maced_id[PRF_LEN_MAX];
	struct span parts[AUTH_PARTS], sig;
	const struct sig_info *s = NULL;
	char key[64];

	if (!o->prf)
		return verify_v1(o, data, pub, why, whylen);
	int rc = method == IKE2_AUTH_SIGNATURE ? split(data, ours, &s, &sig, why, whylen)
					       : split_old(method, data, &s, &sig, why, whylen);
	if (rc)
		return rc;
	rc = auth_octets_parts(o, maced_id, parts);
	if (rc == 0)
		rc = method == IKE2_AUTH_RSA ? verify_rsa(parts, pub, sig)
					     : sig_verify(s, pub, parts, AUTH_PARTS, sig);
	wipe(maced_id, sizeof(maced_id));
	if (rc == -EKEYREJECTED) {
		key_describe(pub, key, sizeof(key));
		return say(why, whylen, "the peer signed with %s, but its public key is: %s",
			   method == IKE2_AUTH_RSA ? "RSA" : s->name, key);
	}
	if (rc == -EBADMSG)
		return say(why, whylen,
			   "the peer's signature (%s) is wrong: its private key is not the one of "
			   "its certificate, or a message was changed on the way",
			   method == IKE2_AUTH_RSA ? "RSA" : s->name);
	return rc ? say(why, whylen, "out of memory") : 0;
}
