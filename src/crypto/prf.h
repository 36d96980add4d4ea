/*
 * Pseudo-random functions by IKEv2 transform number (type 2), and prf+ (RFC 7296 2.13): the root of
 * every key that IKE derives. IKEv1's HMAC based prf is the same function. Call crypt_init() first;
 * after that from any thread.
 */
#ifndef CRYPTO_PRF_H
#define CRYPTO_PRF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/span.h"

/* IKEv2 transform type 2, IANA numbers */
enum prf_id {
	PRF_HMAC_MD5 = 1,
	PRF_HMAC_SHA1 = 2,
	PRF_AES128_XCBC = 4,
	PRF_HMAC_SHA2_256 = 5,
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7,
	PRF_AES128_CMAC = 8,
};

#define PRF_LEN_MAX 64u

struct prf_info {
	enum prf_id id;
	const char *name;    /* as IANA writes it */
	const char *keyword; /* strongSwan's: "prfsha256" */
	uint8_t key_len;     /* preferred key length in bytes: of SK_d, SK_pi, SK_pr */
	uint8_t len;         /* output, bytes */
	uint8_t nonce_part;  /* SKEYSEED's key takes so many bytes of each nonce; 0: all (RFC 7296
				2.14: the two AES ones had a fixed key once) */
	bool weak;           /* needs allow_weak */
	const char *rfc;
};

/* Rows; NULL when the number or keyword (in any case) is unknown. */
const struct prf_info *prf_info(unsigned id);
const struct prf_info *prf_by_keyword(const char *keyword);
/* Calls cb for every row in table order. */
void prf_each(void (*cb)(const struct prf_info *p, void *arg), void *arg);

/*
 * prf(key, v[0] | v[1] | ...): writes info->len bytes to out. key has any length, also 0 (RFC 4434
 * 2 and RFC 4615 3 say how AES takes one that is not 16 bytes). Returns 0 or -ENOMEM; on failure
 * out is zero.
 */
int prf_compute(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
		uint8_t out[PRF_LEN_MAX]) warn_unused;

/*
 * prf+(key, v[0] | v[1] | ...) (RFC 7296 2.13): writes len bytes to out, which is secret memory of
 * the caller's. len is 1..255 * info->len. Returns 0, -EINVAL (len) or -ENOMEM (out is zero then).
 */
int prf_plus_into(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
		  uint8_t *out, size_t len) warn_unused;
/* The same into a block of its own: *out owns len bytes, or is empty on failure. */
int prf_plus(const struct prf_info *info, struct span key, const struct span *v, unsigned n,
	     size_t len, struct secret *out) warn_unused;

#endif
