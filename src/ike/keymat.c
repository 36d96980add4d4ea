/*
 * See keymat.h. The chosen proposal becomes rows of the transform tables; nonces and g^ir become
 * SKEYSEED and that, by prf+, one block which is cut into keys in the order the RFC gives. What is
 * secret never leaves guarded memory but for the few bytes of SKEYSEED, wiped here.
 */
#include "ike/keymat.h"

#include <errno.h>
#include <stdio.h>

#include "base/secret.h"

#define SPI_LEN 8u

int keymat_suite(const struct proposal *chosen, struct keymat_suite *out, char *why, size_t whylen)
{
	const struct proposal_alg *encr = proposal_alg(chosen, IKE_T_ENCR),
				  *integ = proposal_alg(chosen, IKE_T_INTEG),
				  *prf = proposal_alg(chosen, IKE_T_PRF),
				  *dh = proposal_alg(chosen, IKE_T_KE);

	*out = (struct keymat_suite){ 0 };
	if (!encr || !prf || !dh) {
		snprintf(why, whylen, "the IKE proposal has no %s",
			 !encr  ? "encryption algorithm"
			 : !prf ? "pseudo-random function"
				: "key exchange method");
		return -ENOTSUP;
	}
	out->prf = prf_info(prf->id);
	out->dh = dh_info(dh->id);
	if (!out->prf || !out->dh) {
		char name[32];
		snprintf(why, whylen, "the IKE proposal wants %s, which is not known here",
			 proposal_alg_name(!out->prf ? prf : dh, name));
		return -ENOTSUP;
	}
	if (esp_suite_make((enum encr_id)encr->id, encr->key_bits / 8u,
			   integ ? (enum integ_id)integ->id : INTEG_NONE, &out->sk, why,
			   (unsigned)whylen))
		return -ENOTSUP;
	if (!sk_suite_ok(&out->sk)) {
		char name[48];
		snprintf(why, whylen, "%s does not both encrypt and authenticate: not for IKE",
			 esp_suite_name(&out->sk, name));
		return -ENOTSUP;
	}
	return 0;
}

/* ---- the IKE SA */

/* The next n bytes of the block. */
static struct span cut(const uint8_t **at, size_t n)
{
	struct span s = span_of(*at, n);

	*at += n;
	return s;
}

/* {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) */
static int expand(const struct keymat_suite *s, struct span skeyseed, struct span ni,
		  struct span nr, const uint8_t *spi_i, const uint8_t *spi_r, struct ike_keys *out)
{
	size_t p = s->prf->key_len, a = s->sk.integ ? s->sk.integ->key_len : 0,
	       e = (size_t)s->sk.key_len + s->sk.encr->salt_len, len = 3 * p + 2 * a + 2 * e;
	struct span v[] = { ni, nr, span_of(spi_i, SPI_LEN), span_of(spi_r, SPI_LEN) };
	uint8_t *block = secret_alloc(len);

	if (!block)
		return -ENOMEM;
	if (prf_plus_into(s->prf, skeyseed, v, ARRAY_LEN(v), block, len)) {
		secret_release(block, len);
		return -ENOMEM;
	}
	const uint8_t *at = block;
	out->block = block;
	out->len = len;
	out->d = cut(&at, p);
	out->ai = cut(&at, a);
	out->ar = cut(&at, a);
	out->ei = cut(&at, e);
	out->er = cut(&at, e);
	out->pi = cut(&at, p);
	out->pr = cut(&at, p);
	return 0;
}

/* How much of a nonce goes into the key of SKEYSEED. A PRF with a fixed key takes only the first
 * bytes of each (RFC 7296 2.14). */
static struct span nonce_part(const struct prf_info *prf, struct span nonce)
{
	size_t n = prf->nonce_part;

	return n && n < nonce.len ? span_of(nonce.p, n) : nonce;
}

int keymat_ike(const struct keymat_suite *s, struct span ni, struct span nr, struct span shared,
	       const uint8_t *spi_i, const uint8_t *spi_r, struct ike_keys *out)
{
	uint8_t key[2 * IKE_NONCE_MAX], skeyseed[PRF_LEN_MAX];
	struct span i = nonce_part(s->prf, ni), r = nonce_part(s->prf, nr);

	*out = (struct ike_keys){ 0 };
	if (i.len > IKE_NONCE_MAX || r.len > IKE_NONCE_MAX)
		return -ENOMEM; /* no parser lets such a nonce through */
	if (i.len)
		memcpy(key, i.p, i.len);
	if (r.len)
		memcpy(key + i.len, r.p, r.len);
	int rc = prf_compute(s->prf, span_of(key, i.len + r.len), &shared, 1, skeyseed);
	if (rc == 0)
		rc = expand(s, span_of(skeyseed, s->prf->len), ni, nr, spi_i, spi_r, out);
	wipe(skeyseed, sizeof(skeyseed));
	return rc;
}

int keymat_ike_rekey(const struct keymat_suite *s, const struct prf_info *old_prf,
		     struct span old_d, struct span ni, struct span nr, struct span shared,
		     const uint8_t *spi_i, const uint8_t *spi_r, struct ike_keys *out)
{
	uint8_t skeyseed[PRF_LEN_MAX];
	struct span v[] = { shared, ni, nr };

	*out = (struct ike_keys){ 0 };
	int rc = prf_compute(old_prf, old_d, v, ARRAY_LEN(v), skeyseed);
	if (rc == 0)
		rc = expand(s, span_of(skeyseed, old_prf->len), ni, nr, spi_i, spi_r, out);
	wipe(skeyseed, sizeof(skeyseed));
	return rc;
}

void keymat_free(struct ike_keys *k)
{
	secret_release(k->block, k->len);
	*k = (struct ike_keys){ 0 };
}

int keymat_sk(const struct keymat_suite *s, const struct ike_keys *k, bool initiator,
	      struct sk_key **seal, struct sk_key **open)
{
	int rc = sk_key_new(&s->sk, CRYPT_SEAL, initiator ? k->ei : k->er,
			    initiator ? k->ai : k->ar, seal);

	*open = NULL;
	if (rc == 0)
		rc = sk_key_new(&s->sk, CRYPT_OPEN, initiator ? k->er : k->ei,
				initiator ? k->ar : k->ai, open);
	if (rc)
		sk_key_free(seal);
	return rc;
}

/* ---- children */

int keymat_child(const struct prf_info *prf, struct span d, struct span shared, struct span ni,
		 struct span nr, const struct esp_suite *s, struct child_keys *out)
{
	size_t e = s->encr ? (size_t)s->key_len + s->encr->salt_len : 0,
	       a = s->integ ? s->integ->key_len : 0;
	struct span v[] = { shared, ni, nr };
	struct secret all;

	*out = (struct child_keys){ 0 };
	int rc = prf_plus(prf, d, v, ARRAY_LEN(v), 2 * (e + a), &all);
	if (rc)
		return rc;
	const uint8_t *at = all.p;
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		/* encryption before integrity, the initiator's direction first (2.17) */
		struct span encr = cut(&at, e), integ = cut(&at, a);
		if (e)
			rc = secret_copy(&out->encr[i], encr);
		if (rc == 0 && a)
			rc = secret_copy(&out->integ[i], integ);
	}
	secret_free(&all);
	if (rc)
		child_keys_free(out);
	return rc;
}

void child_keys_free(struct child_keys *k)
{
	for (unsigned i = 0; i < 2; i++) {
		secret_free(&k->encr[i]);
		secret_free(&k->integ[i]);
	}
}
