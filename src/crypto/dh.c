/*
 * See dh.h. All is OpenSSL's: an EVP_PKEY made from the group's name (or from the prime where it
 * has none), the public value read from it once, and for the shared secret a second EVP_PKEY that
 * only the peer's checked value makes. Curve25519 too, although libsodium has it: here it takes a
 * quarter of the time, and it is what most handshakes wait for. The library also wipes its keys and
 * draws the random numbers of the groups that need them in a range.
 */
#include "crypto/dh.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "base/random.h"

/* clang-format off */
static const struct dh_info rows[] = {
	/* id                keyword       kind            group              pub   shared weak   rfc */
	{ DH_MODP_768,       "modp768",    DH_KIND_MODP,   NULL,                96,   96, true,  "RFC 2409" },
	{ DH_MODP_1024,      "modp1024",   DH_KIND_MODP,   NULL,               128,  128, true,  "RFC 2409" },
	{ DH_MODP_1536,      "modp1536",   DH_KIND_MODP,   "modp_1536",        192,  192, true,  "RFC 3526" },
	{ DH_MODP_2048,      "modp2048",   DH_KIND_MODP,   "modp_2048",        256,  256, false, "RFC 3526" },
	{ DH_MODP_3072,      "modp3072",   DH_KIND_MODP,   "modp_3072",        384,  384, false, "RFC 3526" },
	{ DH_MODP_4096,      "modp4096",   DH_KIND_MODP,   "modp_4096",        512,  512, false, "RFC 3526" },
	{ DH_MODP_6144,      "modp6144",   DH_KIND_MODP,   "modp_6144",        768,  768, false, "RFC 3526" },
	{ DH_MODP_8192,      "modp8192",   DH_KIND_MODP,   "modp_8192",       1024, 1024, false, "RFC 3526" },
	{ DH_ECP_256,        "ecp256",     DH_KIND_EC,     "P-256",             64,   32, false, "RFC 5903" },
	{ DH_ECP_384,        "ecp384",     DH_KIND_EC,     "P-384",             96,   48, false, "RFC 5903" },
	{ DH_ECP_521,        "ecp521",     DH_KIND_EC,     "P-521",            132,   66, false, "RFC 5903" },
	{ DH_ECP_192,        "ecp192",     DH_KIND_EC,     "P-192",             48,   24, true,  "RFC 5114" },
	{ DH_ECP_224,        "ecp224",     DH_KIND_EC,     "P-224",             56,   28, false, "RFC 5114" },
	{ DH_BRAINPOOL_224,  "ecp224bp",   DH_KIND_EC,     "brainpoolP224r1",   56,   28, false, "RFC 6954" },
	{ DH_BRAINPOOL_256,  "ecp256bp",   DH_KIND_EC,     "brainpoolP256r1",   64,   32, false, "RFC 6954" },
	{ DH_BRAINPOOL_384,  "ecp384bp",   DH_KIND_EC,     "brainpoolP384r1",   96,   48, false, "RFC 6954" },
	{ DH_BRAINPOOL_512,  "ecp512bp",   DH_KIND_EC,     "brainpoolP512r1",  128,   64, false, "RFC 6954" },
	{ DH_CURVE25519,     "curve25519", DH_KIND_X25519, "X25519",            32,   32, false, "RFC 8031" },
	{ DH_CURVE448,       "curve448",   DH_KIND_X448,   "X448",              56,   56, false, "RFC 8031" },
};
/* clang-format on */

static const struct {
	const char *word;
	enum dh_id id;
} other_words[] = { { "x25519", DH_CURVE25519 }, { "x448", DH_CURVE448 } };

struct dh {
	const struct dh_info *info;
	EVP_PKEY *key;
	size_t pub_len;
	uint8_t pub[]; /* info->public_len */
};

const struct dh_info *dh_info(unsigned id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((unsigned)rows[i].id == id)
			return &rows[i];
	return NULL;
}

const struct dh_info *dh_by_keyword(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcasecmp(rows[i].keyword, keyword) == 0)
			return &rows[i];
	for (size_t i = 0; i < ARRAY_LEN(other_words); i++)
		if (strcasecmp(other_words[i].word, keyword) == 0)
			return dh_info(other_words[i].id);
	return NULL;
}

void dh_each(void (*cb)(const struct dh_info *d, void *arg), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cb(&rows[i], arg);
}

const struct dh_info *dh_group(const struct dh *d)
{
	return d->info;
}

struct span dh_public(const struct dh *d)
{
	return span_of(d->pub, d->pub_len);
}

void dh_free(struct dh **d)
{
	if (!*d)
		return;
	EVP_PKEY_free((*d)->key);
	free(*d);
	*d = NULL;
}

/* RFC 7748: keys are bytes, any of the right length is one. */
static bool is_raw(const struct dh_info *info)
{
	return info->kind == DH_KIND_X25519 || info->kind == DH_KIND_X448;
}

/* ---- OpenSSL's groups */

/* Says which group: by name, or the prime and 2 (RFC 2409 6.1, 6.2). */
static bool push_group(OSSL_PARAM_BLD *b, const struct dh_info *info, BIGNUM *p, BIGNUM *g)
{
	if (info->group)
		return OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, info->group,
						       0);
	BIGNUM *prime =
	    info->id == DH_MODP_768 ? BN_get_rfc2409_prime_768(p) : BN_get_rfc2409_prime_1024(p);
	return prime && BN_set_word(g, 2) && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_FFC_P, p) &&
	       OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_FFC_G, g);
}

static bool push_public(OSSL_PARAM_BLD *b, const struct dh_info *info, struct span pub, BIGNUM *y,
			uint8_t point[1 + DH_PUBLIC_MAX])
{
	if (pub.len == 0)
		return true;
	if (info->kind == DH_KIND_MODP)
		return BN_bin2bn(pub.p, (int)pub.len, y) &&
		       OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PUB_KEY, y);
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(point + 1, pub.p, pub.len);
	return OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, pub.len + 1);
}

/* A MODP or EC group alone (priv empty), or a key pair in it. NULL when it cannot be. */
static EVP_PKEY *pkey_of(const struct dh_info *info, struct span priv, struct span pub)
{
	uint8_t point[1 + DH_PUBLIC_MAX];
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(NULL, info->kind == DH_KIND_EC ? "EC" : "DH", NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	BIGNUM *p = BN_new(), *g = BN_new(), *y = BN_new(), *x = BN_secure_new();
	int what = priv.len ? EVP_PKEY_KEYPAIR : EVP_PKEY_KEY_PARAMETERS;

	if (c && b && p && g && y && x && push_group(b, info, p, g) &&
	    push_public(b, info, pub, y, point) &&
	    (priv.len == 0 || (BN_bin2bn(priv.p, (int)priv.len, x) &&
			       OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, x))))
		params = OSSL_PARAM_BLD_to_param(b);
	if (params && EVP_PKEY_fromdata_init(c) > 0 &&
	    EVP_PKEY_fromdata(c, &key, what, params) <= 0)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(x);
	BN_free(y);
	BN_free(g);
	BN_free(p);
	EVP_PKEY_CTX_free(c);
	return key;
}

static EVP_PKEY *raw_generate(const struct dh_info *info)
{
	uint8_t priv[56];

	random_bytes(priv, info->public_len);
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key_ex(NULL, info->group, NULL, priv, info->public_len);
	wipe(priv, sizeof(priv));
	return key;
}

static EVP_PKEY *pkey_generate(const struct dh_info *info)
{
	EVP_PKEY *key = NULL, *group = NULL;
	EVP_PKEY_CTX *c;

	group = pkey_of(info, span_of(NULL, 0), span_of(NULL, 0));
	c = group ? EVP_PKEY_CTX_new_from_pkey(NULL, group, NULL) : NULL;
	if (c && EVP_PKEY_keygen_init(c) > 0 && EVP_PKEY_keygen(c, &key) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(group);
	return key;
}

/* Copies the public value out of the key in wire form. */
static int public_read(struct dh *d)
{
	unsigned char *enc = NULL;
	size_t len = EVP_PKEY_get1_encoded_public_key(d->key, &enc);
	size_t skip = d->info->kind == DH_KIND_EC; /* the 4 that says "uncompressed" */
	int rc = -ENOTSUP;

	if (len == d->info->public_len + skip) {
		memcpy(d->pub, enc + skip, d->info->public_len);
		d->pub_len = d->info->public_len;
		rc = 0;
	}
	OPENSSL_free(enc);
	return rc;
}

/* The peer's value as a key in our group; NULL when it is not one. The library refuses values
 * outside 2..p-2, coordinates not below p and points that are not on the curve. */
static EVP_PKEY *peer_of(const struct dh *d, struct span peer)
{
	uint8_t enc[1 + DH_PUBLIC_MAX] = { POINT_CONVERSION_UNCOMPRESSED };
	size_t skip = d->info->kind == DH_KIND_EC;
	EVP_PKEY *key;

	if (is_raw(d->info))
		return EVP_PKEY_new_raw_public_key_ex(NULL, d->info->group, NULL, peer.p, peer.len);
	key = EVP_PKEY_new();
	if (!key)
		return NULL;
	memcpy(enc + skip, peer.p, peer.len);
	if (EVP_PKEY_copy_parameters(key, d->key) <= 0 ||
	    EVP_PKEY_set1_encoded_public_key(key, enc, peer.len + skip) <= 0) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static int pkey_shared(const struct dh *d, struct span peer_value, struct secret *out)
{
	size_t len = out->len;
	EVP_PKEY *peer = peer_of(d, peer_value);
	EVP_PKEY_CTX *c = peer ? EVP_PKEY_CTX_new_from_pkey(NULL, d->key, NULL) : NULL;
	int rc = peer && !c ? -ENOMEM : -EBADMSG;

	/* The peer's value was checked when it was taken; the library's own further check would
	 * cost another exponentiation, and our key is fresh (RFC 6989 2.1). */
	if (c && EVP_PKEY_derive_init(c) > 0 &&
	    (d->info->kind != DH_KIND_MODP || EVP_PKEY_CTX_set_dh_pad(c, 1) > 0) &&
	    EVP_PKEY_derive_set_peer_ex(c, peer, 0) > 0 && EVP_PKEY_derive(c, out->p, &len) > 0 &&
	    len == out->len)
		rc = 0;
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(peer);
	return rc;
}

/* ---- key pairs */

static struct dh *dh_alloc(const struct dh_info *info)
{
	struct dh *d = calloc(1, sizeof(*d) + info->public_len);

	if (d)
		d->info = info;
	return d;
}

int dh_new(const struct dh_info *info, struct dh **out)
{
	struct dh *d = dh_alloc(info);
	int rc;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->key = is_raw(info) ? raw_generate(info) : pkey_generate(info);
	rc = d->key ? public_read(d) : -ENOTSUP;
	if (rc) {
		ERR_clear_error();
		dh_free(&d);
	}
	*out = d;
	return rc;
}

/* The values belong together. */
static int pair_check(struct dh *d, struct span pub)
{
	int rc = -EINVAL;

	if (is_raw(d->info)) {
		rc = public_read(d);
		return rc || pub.len == 0 || span_eq(dh_public(d), pub) ? rc : -EINVAL;
	}
	if (pub.len == 0)
		return 0;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, d->key, NULL);
	if (c && EVP_PKEY_pairwise_check(c) > 0)
		rc = public_read(d);
	EVP_PKEY_CTX_free(c);
	return rc;
}

int dh_new_from(const struct dh_info *info, struct span priv, struct span pub, struct dh **out)
{
	struct dh *d;
	int rc = -EINVAL;

	*out = NULL;
	if (priv.len == 0 || (is_raw(info) && priv.len != info->public_len) ||
	    (pub.len && pub.len != info->public_len))
		return -EINVAL;
	d = dh_alloc(info);
	if (!d)
		return -ENOMEM;
	d->key = is_raw(info)
		     ? EVP_PKEY_new_raw_private_key_ex(NULL, info->group, NULL, priv.p, priv.len)
		     : pkey_of(info, priv, pub);
	if (d->key)
		rc = pair_check(d, pub);
	if (rc) {
		ERR_clear_error();
		dh_free(&d);
	}
	*out = d;
	return rc;
}

int dh_shared(const struct dh *d, struct span peer, struct secret *out)
{
	*out = (struct secret){ 0 };
	if (peer.len != d->info->public_len)
		return -EBADMSG;
	int rc = secret_new(out, d->info->shared_len);
	if (rc)
		return rc;
	rc = pkey_shared(d, peer, out);
	/* The library refuses a zero secret by itself; whatever is put in its place must too. On
	 * the other curves an x of zero is a value like any. */
	if (rc == 0 && is_raw(d->info) && sodium_is_zero(out->p, out->len))
		rc = -EBADMSG;
	if (rc) {
		ERR_clear_error();
		secret_free(out);
	}
	return rc;
}
