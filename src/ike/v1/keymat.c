/* See keymat.h. Everything is the negotiated prf over pieces that lie in different places. */
#include "ike/v1/keymat.h"

#include <errno.h>
#include <string.h>

#include "base/secret.h"

enum hash_id v1_hash_of(const struct prf_info *prf)
{
	switch (prf->id) {
	case PRF_HMAC_MD5:
		return HASH_MD5;
	case PRF_HMAC_SHA2_256:
		return HASH_SHA2_256;
	case PRF_HMAC_SHA2_384:
		return HASH_SHA2_384;
	case PRF_HMAC_SHA2_512:
		return HASH_SHA2_512;
	default:
		return HASH_SHA1;
	}
}

/* RFC 2409 appendix B: K1 = prf(SKEYID_e, 0), Kn = prf(SKEYID_e, Kn-1), when the output of the prf
 * is too short. out has room for whole outputs. */
static int expand(const struct prf_info *prf, struct span e, uint8_t *out, size_t len)
{
	uint8_t k[PRF_LEN_MAX] = { 0 };
	struct span v = span_of(k, 1);
	int rc = 0;

	if (len <= e.len) {
		memcpy(out, e.p, len);
		return 0;
	}
	for (size_t at = 0; at < len && rc == 0; at += prf->len) {
		uint8_t next[PRF_LEN_MAX];
		rc = prf_compute(prf, e, &v, 1, next);
		memcpy(k, next, prf->len);
		wipe(next, sizeof(next));
		v = span_of(k, prf->len);
		memcpy(out + at, k, len - at < prf->len ? len - at : prf->len);
	}
	wipe(k, sizeof(k));
	return rc;
}

/* prf(skeyid, [before |] shared | cookies | n) */
static int skeyid_part(const struct prf_info *prf, struct span skeyid, struct span before,
		       struct span shared, const uint8_t *spi_i, const uint8_t *spi_r, uint8_t n,
		       uint8_t *out)
{
	struct span v[] = { before, shared, span_of(spi_i, 8), span_of(spi_r, 8), span_of(&n, 1) };

	return prf_compute(prf, skeyid, v, ARRAY_LEN(v), out);
}

static int derive(const struct keymat_suite *s, const struct span *psk, struct span ni,
		  struct span nr, struct span shared, const uint8_t *spi_i, const uint8_t *spi_r,
		  uint8_t *b)
{
	uint8_t nonces[2 * IKE_NONCE_MAX];
	size_t len = s->prf->len;
	struct span both[] = { ni, nr };
	int rc;

	if (psk) {
		rc = prf_compute(s->prf, *psk, both, 2, b);
	} else {
		if (ni.len > IKE_NONCE_MAX || nr.len > IKE_NONCE_MAX)
			return -EINVAL;
		memcpy(nonces, ni.p, ni.len);
		memcpy(nonces + ni.len, nr.p, nr.len);
		rc = prf_compute(s->prf, span_of(nonces, ni.len + nr.len), &shared, 1, b);
	}
	struct span skeyid = span_of(b, len), before = span_of(NULL, 0);
	for (uint8_t n = 0; n < 3 && rc == 0; n++) {
		uint8_t *out = b + (n + 1u) * len;
		rc = skeyid_part(s->prf, skeyid, before, shared, spi_i, spi_r, n, out);
		before = span_of(out, len);
	}
	return rc ? rc : expand(s->prf, span_of(b + 3 * len, len), b + 4 * len, s->sk.key_len);
}

int v1_keymat(const struct keymat_suite *s, const struct span *psk, struct span ni, struct span nr,
	      struct span shared, const uint8_t *spi_i, const uint8_t *spi_r, struct ike_keys *out)
{
	size_t len = s->prf->len;

	*out = (struct ike_keys){ .len = 4 * len + s->sk.key_len };
	if (!cbc_block(s->sk.encr->id))
		return -ENOTSUP;
	/* the prf writes PRF_LEN_MAX bytes at most past each start */
	out->len += PRF_LEN_MAX;
	uint8_t *b = out->block = secret_alloc(out->len);
	int rc = b ? derive(s, psk, ni, nr, shared, spi_i, spi_r, b) : -ENOMEM;
	if (rc) {
		keymat_free(out);
		return rc;
	}
	out->pi = span_of(b, len);
	out->d = span_of(b + len, len);
	out->ai = out->ar = span_of(b + 2 * len, len);
	out->pr = span_of(b + 3 * len, len);
	out->ei = out->er = span_of(b + 4 * len, s->sk.key_len);
	return 0;
}

static int iv_of(const struct keymat_suite *s, struct span a, struct span b,
		 uint8_t iv[CBC_BLOCK_MAX])
{
	struct span v[] = { a, b };
	uint8_t h[HASH_LEN_MAX];
	int rc = hash_compute(v1_hash_of(s->prf), v, 2, h);

	memset(iv, 0, CBC_BLOCK_MAX);
	if (rc == 0)
		memcpy(iv, h, cbc_block(s->sk.encr->id));
	return rc;
}

int v1_iv_first(const struct keymat_suite *s, struct span gxi, struct span gxr,
		uint8_t iv[CBC_BLOCK_MAX])
{
	return iv_of(s, gxi, gxr, iv);
}

int v1_iv_exchange(const struct keymat_suite *s, const uint8_t last[CBC_BLOCK_MAX], uint32_t id,
		   uint8_t iv[CBC_BLOCK_MAX])
{
	uint8_t be[4], chain[CBC_BLOCK_MAX];

	store_be32(be, id);
	memcpy(chain, last, CBC_BLOCK_MAX);
	return iv_of(s, span_of(chain, cbc_block(s->sk.encr->id)), span_of(be, 4), iv);
}

int v1_hash_auth(const struct v1_auth *a, bool of_initiator, struct span id_b,
		 uint8_t out[PRF_LEN_MAX])
{
	struct span spi_i = span_of(a->spi_i, 8), spi_r = span_of(a->spi_r, 8);
	struct span v[] = { of_initiator ? a->gxi : a->gxr,
			    of_initiator ? a->gxr : a->gxi,
			    of_initiator ? spi_i : spi_r,
			    of_initiator ? spi_r : spi_i,
			    a->sai_b,
			    id_b };

	return prf_compute(a->prf, a->skeyid, v, ARRAY_LEN(v), out);
}

int v1_hash_message(const struct prf_info *prf, struct span skeyid_a, const struct v1_hash *h,
		    struct span rest, uint8_t out[PRF_LEN_MAX])
{
	static const uint8_t zero;
	uint8_t id[4];
	struct span v[4];
	unsigned n = 0;

	store_be32(id, h->id);
	if (h->kind == V1_HASH_3)
		v[n++] = span_of(&zero, 1);
	v[n++] = span_of(id, 4);
	if (h->kind != V1_HASH_1)
		v[n++] = h->ni;
	v[n++] = h->kind == V1_HASH_3 ? h->nr : rest;
	return prf_compute(prf, skeyid_a, v, n, out);
}

int v1_keymat_child(const struct prf_info *prf, struct span skeyid_d, struct span shared,
		    uint8_t proto, uint32_t spi, struct span ni, struct span nr,
		    const struct esp_suite *s, struct secret *encr, struct secret *integ)
{
	size_t n_encr = s->encr ? s->key_len + s->encr->salt_len : 0u;
	size_t n_integ = s->integ ? s->integ->key_len : 0u, len = n_encr + n_integ;
	uint8_t be[4], k[PRF_LEN_MAX];
	struct secret all;
	int rc = secret_new(&all, len ? len : 1);

	*encr = *integ = (struct secret){ 0 };
	if (rc)
		return rc;
	store_be32(be, spi);
	struct span v[] = { span_of(k, 0), shared, span_of(&proto, 1), span_of(be, 4), ni, nr };
	for (size_t at = 0; at < len && rc == 0; at += prf->len) {
		uint8_t next[PRF_LEN_MAX];
		rc = prf_compute(prf, skeyid_d, v, ARRAY_LEN(v), next);
		memcpy(k, next, prf->len);
		wipe(next, sizeof(next));
		v[0] = span_of(k, prf->len);
		memcpy(all.p + at, k, len - at < prf->len ? len - at : prf->len);
	}
	wipe(k, sizeof(k));
	if (rc == 0 && n_encr)
		rc = secret_copy(encr, span_of(all.p, n_encr));
	if (rc == 0 && n_integ)
		rc = secret_copy(integ, span_of(all.p + n_encr, n_integ));
	secret_free(&all);
	if (rc) {
		secret_free(encr);
		secret_free(integ);
	}
	return rc;
}
