/*
 * See sig.h. The pieces to sign are put in one -> checked that key and algorithm belong together ->
 * OpenSSL signs or verifies -> RFC 4754 signatures are turned between DER and r | s.
 */
#include "crypto/sig.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "crypto/ecdsa_raw.h"
#include "crypto/gather.h"

#define DER(s)                                                                                     \
	{                                                                                          \
		.p = (const uint8_t *)(s), .len = sizeof(s) - 1                                    \
	}
#define RSA_OID(n, p) "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" n p
#define ECDSA_SHA2(n) "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" n
/* id-RSASSA-PSS { [0] SHA-2, [1] MGF1 with SHA-2, [2] salt length, [3] 1 } */
#define PSS_HASH(n) "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" n "\x05\x00"
#define PSS_SHA2(n, s)                                                                             \
	"\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39\xa0\x0f" PSS_HASH(           \
	    n) "\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" PSS_HASH(n) "\xa2"   \
											  "\x03"   \
											  "\x02"   \
											  "\x01" s \
											  "\xa3"   \
											  "\x03"   \
											  "\x02"   \
											  "\x01"   \
											  "\x01"

/* clang-format off */
static const struct sig_info rows[] = {
	{ SIG_RSA_SHA1,       "RSA with SHA-1",        SIG_KIND_RSA,     HASH_SHA1,     NULL,    DER(RSA_OID("\x05", "\x05\x00")), true },
	{ SIG_RSA_SHA2_256,   "RSA with SHA2-256",     SIG_KIND_RSA,     HASH_SHA2_256, NULL,    DER(RSA_OID("\x0b", "\x05\x00")), false },
	{ SIG_RSA_SHA2_384,   "RSA with SHA2-384",     SIG_KIND_RSA,     HASH_SHA2_384, NULL,    DER(RSA_OID("\x0c", "\x05\x00")), false },
	{ SIG_RSA_SHA2_512,   "RSA with SHA2-512",     SIG_KIND_RSA,     HASH_SHA2_512, NULL,    DER(RSA_OID("\x0d", "\x05\x00")), false },
	{ SIG_PSS_SHA1,       "RSA-PSS with SHA-1",    SIG_KIND_PSS,     HASH_SHA1,     NULL,    DER(RSA_OID("\x0a", "\x30\x00")), true },
	{ SIG_PSS_SHA2_256,   "RSA-PSS with SHA2-256", SIG_KIND_PSS,     HASH_SHA2_256, NULL,    DER(PSS_SHA2("\x01", "\x20")), false },
	{ SIG_PSS_SHA2_384,   "RSA-PSS with SHA2-384", SIG_KIND_PSS,     HASH_SHA2_384, NULL,    DER(PSS_SHA2("\x02", "\x30")), false },
	{ SIG_PSS_SHA2_512,   "RSA-PSS with SHA2-512", SIG_KIND_PSS,     HASH_SHA2_512, NULL,    DER(PSS_SHA2("\x03", "\x40")), false },
	{ SIG_ECDSA_SHA1,     "ECDSA with SHA-1",      SIG_KIND_ECDSA,   HASH_SHA1,     NULL,    DER("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"), true },
	{ SIG_ECDSA_SHA2_256, "ECDSA with SHA2-256",   SIG_KIND_ECDSA,   HASH_SHA2_256, NULL,    DER(ECDSA_SHA2("\x02")), false },
	{ SIG_ECDSA_SHA2_384, "ECDSA with SHA2-384",   SIG_KIND_ECDSA,   HASH_SHA2_384, NULL,    DER(ECDSA_SHA2("\x03")), false },
	{ SIG_ECDSA_SHA2_512, "ECDSA with SHA2-512",   SIG_KIND_ECDSA,   HASH_SHA2_512, NULL,    DER(ECDSA_SHA2("\x04")), false },
	{ SIG_ECDSA_256_RAW,  "ECDSA-256",             SIG_KIND_ECDSA,   HASH_SHA2_256, "P-256", { NULL, 0 }, false },
	{ SIG_ECDSA_384_RAW,  "ECDSA-384",             SIG_KIND_ECDSA,   HASH_SHA2_384, "P-384", { NULL, 0 }, false },
	{ SIG_ECDSA_521_RAW,  "ECDSA-521",             SIG_KIND_ECDSA,   HASH_SHA2_512, "P-521", { NULL, 0 }, false },
	{ SIG_ED25519,        "Ed25519",               SIG_KIND_ED25519, HASH_IDENTITY, NULL,    DER("\x30\x05\x06\x03\x2b\x65\x70"), false },
	{ SIG_ED448,          "Ed448",                 SIG_KIND_ED448,   HASH_IDENTITY, NULL,    DER("\x30\x05\x06\x03\x2b\x65\x71"), false },
};

static const struct {
	const char *name;
	int nid;
	unsigned coord; /* bytes of r and of s */
} curves[] = {
	{ "P-256", NID_X9_62_prime256v1, 32 },
	{ "P-384", NID_secp384r1,        48 },
	{ "P-521", NID_secp521r1,        66 },
};
/* clang-format on */

const struct sig_info *sig_info(unsigned id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((unsigned)rows[i].id == id)
			return &rows[i];
	return NULL;
}

void sig_each(void (*cb)(const struct sig_info *s, void *arg), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cb(&rows[i], arg);
}

/* ---- AlgorithmIdentifiers */

static enum hash_id hash_of_nid(int nid)
{
	switch (nid) {
	case NID_sha1:
		return HASH_SHA1;
	case NID_sha256:
		return HASH_SHA2_256;
	case NID_sha384:
		return HASH_SHA2_384;
	case NID_sha512:
		return HASH_SHA2_512;
	default:
		return HASH_IDENTITY;
	}
}

static enum hash_id hash_of_alg(const X509_ALGOR *a)
{
	const ASN1_OBJECT *oid;

	if (!a)
		return HASH_SHA1; /* RFC 4055 3.1: the default */
	X509_ALGOR_get0(&oid, NULL, NULL, a);
	return hash_of_nid(OBJ_obj2nid(oid));
}

/* The hash of PSS parameters; HASH_IDENTITY when they are malformed or mix two hashes. */
static enum hash_id pss_hash(const X509_ALGOR *a)
{
	enum hash_id hash = HASH_IDENTITY;
	const ASN1_OBJECT *mgf_oid;
	const void *value;
	int type;

	X509_ALGOR_get0(NULL, &type, &value, a);
	RSA_PSS_PARAMS *p = type == V_ASN1_SEQUENCE
				? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS))
				: NULL;
	if (!p)
		return HASH_IDENTITY;
	if (!p->maskGenAlgorithm) {
		hash = hash_of_alg(p->hashAlgorithm) == HASH_SHA1 ? HASH_SHA1 : HASH_IDENTITY;
	} else {
		X509_ALGOR_get0(&mgf_oid, &type, &value, p->maskGenAlgorithm);
		X509_ALGOR *mgf_hash = OBJ_obj2nid(mgf_oid) == NID_mgf1 && type == V_ASN1_SEQUENCE
					   ? ASN1_item_unpack(value, ASN1_ITEM_rptr(X509_ALGOR))
					   : NULL;
		if (mgf_hash && hash_of_alg(mgf_hash) == hash_of_alg(p->hashAlgorithm))
			hash = hash_of_alg(mgf_hash);
		X509_ALGOR_free(mgf_hash);
	}
	if (p->trailerField && ASN1_INTEGER_get(p->trailerField) != 1)
		hash = HASH_IDENTITY;
	RSA_PSS_PARAMS_free(p);
	return hash;
}

static const struct sig_info *row_of(enum sig_kind kind, enum hash_id hash)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].kind == kind && rows[i].hash == hash)
			return &rows[i];
	return NULL;
}

static const struct sig_info *row_of_alg(const X509_ALGOR *a)
{
	const ASN1_OBJECT *oid;
	int type, md, pk;

	X509_ALGOR_get0(&oid, &type, NULL, a);
	int nid = OBJ_obj2nid(oid);
	if (nid == NID_rsassaPss) {
		enum hash_id hash = pss_hash(a);
		return hash == HASH_IDENTITY ? NULL : row_of(SIG_KIND_PSS, hash);
	}
	if (type != V_ASN1_UNDEF && type != V_ASN1_NULL)
		return NULL;
	if (nid == NID_ED25519 || nid == NID_ED448)
		return sig_info(nid == NID_ED25519 ? SIG_ED25519 : SIG_ED448);
	if (!OBJ_find_sigid_algs(nid, &md, &pk))
		return NULL;
	if (pk == NID_rsaEncryption)
		return row_of(SIG_KIND_RSA, hash_of_nid(md));
	return pk == NID_X9_62_id_ecPublicKey ? row_of(SIG_KIND_ECDSA, hash_of_nid(md)) : NULL;
}

const struct sig_info *sig_by_alg_id(struct span der)
{
	const unsigned char *p = der.p;
	/* RFC 7427 3: one byte says how long it is */
	X509_ALGOR *a = der.len <= UINT8_MAX ? d2i_X509_ALGOR(NULL, &p, (long)der.len) : NULL;
	unsigned char *again = NULL;
	int len = a ? i2d_X509_ALGOR(a, &again) : 0;
	/* Only DER is right: written again it is the same, and nothing follows it. */
	const struct sig_info *s =
	    len > 0 && span_eq(span_of(again, (size_t)len), der) ? row_of_alg(a) : NULL;

	OPENSSL_free(again);
	X509_ALGOR_free(a);
	ERR_clear_error();
	return s;
}

/* ---- keys */

/* The row of an EC key's curve; -1 when it is none of the three. */
static int curve_of(const EVP_PKEY *key)
{
	char name[64];
	size_t len;

	if (!EVP_PKEY_get_group_name(key, name, sizeof(name), &len))
		return -1;
	int nid = OBJ_txt2nid(name);
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (curves[i].nid == nid || strcmp(curves[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* An exponent as long as the modulus makes checking as slow as signing. */
static bool rsa_bounded(const EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_get_bits(key) <= (int)SIG_LEN_MAX * 8 &&
		  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) && BN_num_bits(e) <= 64 &&
		  BN_num_bits(e) > 1 && BN_is_odd(e);

	BN_free(e);
	ERR_clear_error();
	return ok;
}

bool sig_key_bounded(const EVP_PKEY *key)
{
	char name[64];

	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		return rsa_bounded(key);
	if (EVP_PKEY_is_a(key, "EC")) {
		bool named = EVP_PKEY_get_group_name(key, name, sizeof(name), NULL);
		ERR_clear_error();
		return named;
	}
	return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

static bool rsa_ok(const EVP_PKEY *key)
{
	return EVP_PKEY_get_bits(key) >= (int)SIG_RSA_LEAST && rsa_bounded(key);
}

bool sig_fits(const struct sig_info *s, const EVP_PKEY *key)
{
	int c;

	switch (s->kind) {
	case SIG_KIND_RSA:
		return EVP_PKEY_is_a(key, "RSA") && rsa_ok(key);
	case SIG_KIND_PSS:
		return (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) && rsa_ok(key);
	case SIG_KIND_ECDSA:
		c = EVP_PKEY_is_a(key, "EC") ? curve_of(key) : -1;
		return c >= 0 && (!s->curve || strcmp(s->curve, curves[c].name) == 0);
	case SIG_KIND_ED25519:
		return EVP_PKEY_is_a(key, "ED25519");
	case SIG_KIND_ED448:
		return EVP_PKEY_is_a(key, "ED448");
	}
	return false;
}

/* ---- r | s */

static unsigned coord_len(const struct sig_info *s)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(curves[i].name, s->curve) == 0)
			return curves[i].coord;
	return 0;
}

/* ---- signing and verifying */

/* A key bound to one hash and salt length (RFC 4055 3.1) refuses to find the length by itself. */
static bool salt_set(EVP_PKEY_CTX *c, int salt)
{
	return EVP_PKEY_CTX_set_rsa_pss_saltlen(c, salt) > 0 ||
	       (salt == RSA_PSS_SALTLEN_AUTO &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) > 0);
}

static bool pss_set(const struct sig_info *s, EVP_PKEY_CTX *c, int salt)
{
	if (s->kind == SIG_KIND_RSA)
		return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0;
	return s->kind != SIG_KIND_PSS ||
	       (EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) > 0 && salt_set(c, salt));
}

int sig_sign(const struct sig_info *s, EVP_PKEY *key, const struct span *v, unsigned n,
	     uint8_t out[SIG_LEN_MAX], size_t *len)
{
	struct gather g;
	EVP_PKEY_CTX *pc = NULL;

	*len = 0;
	if (!sig_fits(s, key))
		return -EKEYREJECTED;
	int rc = gather_init(&g, v, n);
	if (rc)
		return rc;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t out_len = SIG_LEN_MAX;
	rc = -EIO;
	if (!c) {
		rc = -ENOMEM;
	} else if (EVP_DigestSignInit_ex(c, &pc, hash_name(s->hash), NULL, NULL, key, NULL) <= 0 ||
		   !pss_set(s, pc, RSA_PSS_SALTLEN_DIGEST)) {
		rc = -EKEYREJECTED;
	} else if (EVP_DigestSign(c, out, &out_len, g.p, g.len) > 0 &&
		   (!s->curve || ecdsa_to_raw(coord_len(s), out, &out_len))) {
		*len = out_len;
		rc = 0;
	}
	EVP_MD_CTX_free(c);
	gather_fini(&g);
	ERR_clear_error();
	return rc;
}

int sig_verify(const struct sig_info *s, EVP_PKEY *key, const struct span *v, unsigned n,
	       struct span sig)
{
	uint8_t der[SIG_LEN_MAX];
	EVP_PKEY_CTX *pc = NULL;
	struct gather g;

	if (!sig_fits(s, key))
		return -EKEYREJECTED;
	if (s->curve)
		sig = span_of(der, ecdsa_from_raw(coord_len(s), sig, der));
	if (sig.len == 0)
		return -EBADMSG;
	int rc = gather_init(&g, v, n);
	if (rc)
		return rc;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	rc = -EBADMSG;
	if (!c)
		rc = -ENOMEM;
	else if (EVP_DigestVerifyInit_ex(c, &pc, hash_name(s->hash), NULL, NULL, key, NULL) <= 0 ||
		 !pss_set(s, pc, RSA_PSS_SALTLEN_AUTO))
		rc = -EKEYREJECTED;
	else if (EVP_DigestVerify(c, sig.p, sig.len, g.p, g.len) == 1)
		rc = 0;
	EVP_MD_CTX_free(c);
	gather_fini(&g);
	ERR_clear_error();
	return rc;
}
