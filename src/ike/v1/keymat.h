/*
 * Keys and hashes of IKEv1 (RFC 2409 5, 5.5, appendix B). Nonces, the shared secret and perhaps a
 * pre-shared key enter; the keys of the SA leave in struct ike_keys, whose names are IKEv2's:
 *   d  SKEYID_d       ai, ar  SKEYID_a       ei, er  the cipher's key, expanded from SKEYID_e
 *   pi SKEYID         pr      SKEYID_e
 */
#ifndef IKE_V1_KEYMAT_H
#define IKE_V1_KEYMAT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/cbc.h"
#include "crypto/hash.h"
#include "crypto/prf.h"
#include "ike/keymat.h"

/* The plain hash that the negotiated HMAC is made of. */
enum hash_id v1_hash_of(const struct prf_info *prf);

/* SKEYID and what follows from it. psk NULL: signatures. spi_i, spi_r: the cookies. 0, -ENOTSUP (no
 * CBC cipher) or -ENOMEM. */
int v1_keymat(const struct keymat_suite *s, const struct span *psk, struct span ni, struct span nr,
	      struct span shared, const uint8_t *spi_i, const uint8_t *spi_r,
	      struct ike_keys *out) warn_unused;
/* IV of phase 1: hash(g^xi | g^xr), cut to the block. 0 or -ENOMEM. */
int v1_iv_first(const struct keymat_suite *s, struct span gxi, struct span gxr,
		uint8_t iv[CBC_BLOCK_MAX]) warn_unused;
/* IV of an exchange under the SA: hash(last block of phase 1 | message ID). */
int v1_iv_exchange(const struct keymat_suite *s, const uint8_t last[CBC_BLOCK_MAX], uint32_t id,
		   uint8_t iv[CBC_BLOCK_MAX]) warn_unused;

/* What HASH_I and HASH_R are made of; all borrowed. */
struct v1_auth {
	const struct prf_info *prf; /* the negotiated one, or of the signature (RFC 2409 5.1) */
	struct span skeyid, gxi, gxr, sai_b;
	const uint8_t *spi_i, *spi_r;
};
/* HASH_I (of_initiator) or HASH_R; id_b: the body of that side's ID payload. */
int v1_hash_auth(const struct v1_auth *a, bool of_initiator, struct span id_b,
		 uint8_t out[PRF_LEN_MAX]) warn_unused;

/* Which hash protects a message under the SA. */
enum v1_hash_kind {
	V1_HASH_NONE,
	V1_HASH_1, /* Quick Mode 1, Informational, Transaction: M-ID | rest */
	V1_HASH_2, /* M-ID | Ni_b | rest */
	V1_HASH_3, /* 0 | M-ID | Ni_b | Nr_b */
};
struct v1_hash {
	enum v1_hash_kind kind;
	uint32_t id;
	struct span ni, nr;
};
/* rest: the message behind its HASH payload, without padding. */
int v1_hash_message(const struct prf_info *prf, struct span skeyid_a, const struct v1_hash *h,
		    struct span rest, uint8_t out[PRF_LEN_MAX]) warn_unused;

/*
 * KEYMAT of one IPsec SA (5.5): proto and spi (host byte order) of the SA, which its receiver
 * chose; shared: empty without PFS. *encr and *integ own their bytes. 0 or -ENOMEM.
 */
int v1_keymat_child(const struct prf_info *prf, struct span skeyid_d, struct span shared,
		    uint8_t proto, uint32_t spi, struct span ni, struct span nr,
		    const struct esp_suite *s, struct secret *encr,
		    struct secret *integ) warn_unused;

#endif
