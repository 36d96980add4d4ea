/*
 * Keys of an IKE SA and of its children (RFC 7296 2.13, 2.14, 2.17, 2.18). Nonces and the shared
 * secret enter; all keys of one SA leave in one guarded block.
 */
#ifndef IKE_KEYMAT_H
#define IKE_KEYMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/sk.h"
#include "crypto/transform.h"
#include "ike/proposal.h"

/* What the chosen proposal of an IKE SA means. */
struct keymat_suite {
	const struct prf_info *prf;
	const struct dh_info *dh;
	struct esp_suite sk; /* cipher and integrity of the SK payload */
};
/* 0, or -ENOTSUP with a sentence. */
int keymat_suite(const struct proposal *chosen, struct keymat_suite *out, char *why,
		 size_t whylen) warn_unused;

/* The seven keys; views into one secret_alloc() block. */
struct ike_keys {
	uint8_t *block;
	size_t len;
	struct span d, ai, ar, ei, er, pi, pr;
};

/* SKEYSEED = prf(Ni | Nr, g^ir), then prf+. spi_i, spi_r: 8 bytes each. 0 or -ENOMEM. */
int keymat_ike(const struct keymat_suite *s, struct span ni, struct span nr, struct span shared,
	       const uint8_t *spi_i, const uint8_t *spi_r, struct ike_keys *out) warn_unused;
/* Rekeying (2.18): SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), by the old SA's prf. */
int keymat_ike_rekey(const struct keymat_suite *s, const struct prf_info *old_prf, struct span old_d,
		     struct span ni, struct span nr, struct span shared, const uint8_t *spi_i,
		     const uint8_t *spi_r, struct ike_keys *out) warn_unused;
void keymat_free(struct ike_keys *k);
/* Makes the sealing and opening key of our side. 0, -ENOMEM or -ENOTSUP. */
int keymat_sk(const struct keymat_suite *s, const struct ike_keys *k, bool initiator,
	      struct sk_key **seal, struct sk_key **open) warn_unused;

/* Keys of a child: out[0] initiator to responder, out[1] the other way (of the exchange that made
 * it). Each owns its bytes: wipe with secret_free(). shared: empty without PFS. */
struct child_keys {
	struct secret encr[2], integ[2];
};
int keymat_child(const struct prf_info *prf, struct span d, struct span shared, struct span ni,
		 struct span nr, const struct esp_suite *s, struct child_keys *out) warn_unused;
void child_keys_free(struct child_keys *k);

#endif
