/*
 * See prf.h. A key of any length enters and becomes the algorithm's own (AES: 16 bytes); the pieces
 * of the seed are put in one; the MAC of the packet layer, not truncated, leaves.
 */
#include "crypto/prf.h"

#include <errno.h>
#include <strings.h>

#include "crypto/gather.h"
#include "crypto/openssl_mac.h"

/* clang-format off */
static const struct row {
	struct prf_info info;
	enum integ_id mac; /* the same MAC in the packet layer */
} rows[] = {
	/* id                  name                   keyword       key len nonce weak   rfc */
	{ { PRF_HMAC_MD5,      "PRF_HMAC_MD5",        "prfmd5",     16, 16, 0, true,  "RFC 2104" }, INTEG_HMAC_MD5_96 },
	{ { PRF_HMAC_SHA1,     "PRF_HMAC_SHA1",       "prfsha1",    20, 20, 0, false, "RFC 2104" }, INTEG_HMAC_SHA1_96 },
	{ { PRF_AES128_XCBC,   "PRF_AES128_XCBC",     "prfaesxcbc", 16, 16, 8, false, "RFC 4434" }, INTEG_AES_XCBC_96 },
	{ { PRF_HMAC_SHA2_256, "PRF_HMAC_SHA2_256",   "prfsha256",  32, 32, 0, false, "RFC 4868" }, INTEG_HMAC_SHA2_256_128 },
	{ { PRF_HMAC_SHA2_384, "PRF_HMAC_SHA2_384",   "prfsha384",  48, 48, 0, false, "RFC 4868" }, INTEG_HMAC_SHA2_384_192 },
	{ { PRF_HMAC_SHA2_512, "PRF_HMAC_SHA2_512",   "prfsha512",  64, 64, 0, false, "RFC 4868" }, INTEG_HMAC_SHA2_512_256 },
	{ { PRF_AES128_CMAC,   "PRF_AES128_CMAC",     "prfaescmac", 16, 16, 8, false, "RFC 4615" }, INTEG_AES_CMAC_96 },
};
/* clang-format on */

enum { AES_KEY = 16 };

const struct prf_info *prf_info(unsigned id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((unsigned)rows[i].info.id == id)
			return &rows[i].info;
	return NULL;
}

const struct prf_info *prf_by_keyword(const char *keyword)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcasecmp(rows[i].info.keyword, keyword) == 0)
			return &rows[i].info;
	return NULL;
}

void prf_each(void (*cb)(const struct prf_info *p, void *arg), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cb(&rows[i].info, arg);
}

static enum integ_id mac_of(const struct prf_info *info)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].info.id == info->id)
			return rows[i].mac;
	return INTEG_NONE;
}

/* One MAC with a key the algorithm takes as it is. */
static int mac_once(enum integ_id id, struct span key, struct span data, uint8_t out[PRF_LEN_MAX])
{
	struct ossl_mac m = { 0 };
	int rc = ossl_mac_init(&m, id, key);

	if (rc)
		return rc;
	bool ok = ossl_mac_compute(&m, data, span_of(NULL, 0), out);
	ossl_mac_fini(&m);
	return ok ? 0 : -ENOMEM;
}

/* The AES key for one of any length: XCBC pads a short one with zeros and hashes a long one under
 * the zero key (RFC 4434 2); CMAC hashes both (RFC 4615 3). */
static int aes_key(enum integ_id id, struct span key, uint8_t out[AES_KEY])
{
	static const uint8_t zero[AES_KEY];
	uint8_t mac[PRF_LEN_MAX];

	memset(out, 0, AES_KEY);
	if (key.len == AES_KEY || (id == INTEG_AES_XCBC_96 && key.len < AES_KEY)) {
		if (key.len)
			memcpy(out, key.p, key.len);
		return 0;
	}
	int rc = mac_once(id, span_of(zero, AES_KEY), key, mac);
	if (rc == 0)
		memcpy(out, mac, AES_KEY);
	wipe(mac, sizeof(mac));
	return rc;
}

/* Readies the MAC under the key. */
static int keyed(const struct prf_info *info, struct span key, struct ossl_mac *m)
{
	static const uint8_t none[1]; /* the library takes a null pointer for "no key given" */
	enum integ_id id = mac_of(info);
	uint8_t aes[AES_KEY];

	if (id != INTEG_AES_XCBC_96 && id != INTEG_AES_CMAC_96)
		return ossl_mac_init(m, id, key.len ? key : span_of(none, 0));
	int rc = aes_key(id, key, aes);
	if (rc == 0)
		rc = ossl_mac_init(m, id, span_of(aes, AES_KEY));
	wipe(aes, sizeof(aes));
	return rc;
}

int prf_compute(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
		uint8_t out[PRF_LEN_MAX])
{
	struct ossl_mac m = { 0 };
	struct gather g;
	int rc = gather_init(&g, v, n);

	memset(out, 0, info->len);
	if (rc)
		return rc;
	rc = keyed(info, key, &m);
	if (rc == 0) {
		uint8_t mac[PRF_LEN_MAX];
		if (ossl_mac_compute(&m, gather_view(&g), span_of(NULL, 0), mac))
			memcpy(out, mac, info->len);
		else
			rc = -ENOMEM;
		wipe(mac, sizeof(mac));
		ossl_mac_fini(&m);
	}
	gather_fini(&g);
	return rc;
}

/* T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n): `in` is room for the previous block, S and n. */
static int expand(struct ossl_mac *m, size_t block, uint8_t *in, size_t seed_len, uint8_t *out,
		  size_t len)
{
	uint8_t t[PRF_LEN_MAX];
	size_t at = 0;
	int rc = 0;

	for (unsigned i = 1; at < len; i++) {
		size_t skip = i == 1 ? block : 0, take = len - at;
		in[block + seed_len] = (uint8_t)i;
		if (!ossl_mac_compute(m, span_of(in + skip, block - skip + seed_len + 1),
				      span_of(NULL, 0), t)) {
			rc = -ENOMEM;
			break;
		}
		take = take < block ? take : block;
		memcpy(out + at, t, take);
		memcpy(in, t, block);
		at += take;
	}
	wipe(t, sizeof(t));
	return rc;
}

int prf_plus_into(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
		  uint8_t *out, size_t len)
{
	static const uint8_t front[PRF_LEN_MAX], back[1];
	struct ossl_mac m = { 0 };
	struct gather seed, in;

	if (len == 0 || len > 255u * info->len)
		return -EINVAL;
	memset(out, 0, len);
	int rc = gather_init(&seed, v, n);
	if (rc)
		return rc;
	struct span parts[] = { span_of(front, info->len), gather_view(&seed), span_of(back, 1) };
	rc = gather_init(&in, parts, ARRAY_LEN(parts));
	if (rc == 0) {
		rc = keyed(info, key, &m);
		if (rc == 0) {
			rc = expand(&m, info->len, in.p, seed.len, out, len);
			ossl_mac_fini(&m);
		}
		gather_fini(&in);
	}
	gather_fini(&seed);
	if (rc)
		wipe(out, len);
	return rc;
}

int prf_plus(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
	     size_t len, struct secret *out)
{
	*out = (struct secret){ 0 };
	if (len == 0 || len > 255u * info->len)
		return -EINVAL;
	int rc = secret_new(out, len);
	if (rc)
		return rc;
	rc = prf_plus_into(info, key, v, n, out->p, len);
	if (rc)
		secret_free(out);
	return rc;
}
