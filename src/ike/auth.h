/*
 * Proving who one is: the AUTH payload (RFC 7296 2.15, RFC 7427, RFC 4754, RFC 8420). The signed
 * octets of one side are its first message | the other's nonce | prf(SK_p, its ID payload body).
 * Expensive when it is a signature: made on the crypto pool.
 */
#ifndef IKE_AUTH_H
#define IKE_AUTH_H

#include <openssl/types.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/hash.h"
#include "crypto/prf.h"
#include "crypto/sig.h"

#define AUTH_DATA_MAX (SIG_LEN_MAX + 128u)

/* What is signed by one side; all borrowed. For signatures of IKEv1 (RFC 2409 5.1) prf is NULL and
 * message is HASH_I or HASH_R, which is signed as it is; method and hashes then have no meaning. */
struct auth_octets {
	const struct prf_info *prf;
	struct span message; /* IKE_SA_INIT message of the side, header included */
	struct span nonce;   /* of the other side */
	struct span sk_p;    /* SK_pi or SK_pr of the side */
	struct span id_body; /* its ID payload without the generic header */
};

/* AUTH data for a shared secret (RFC 7296 2.15). out takes prf->len bytes. 0 or -ENOMEM. */
int auth_psk(const struct auth_octets *o, struct span secret, uint8_t out[PRF_LEN_MAX]) warn_unused;
/* Constant-time check of the peer's. 0 or -EBADMSG / -ENOMEM. */
int auth_psk_check(const struct auth_octets *o, struct span secret, struct span data) warn_unused;

/* Hash algorithms as in SIGNATURE_HASH_ALGORITHMS (RFC 7427 4): bit per IANA number. */
uint32_t auth_hashes_ours(bool allow_weak);
/* The notify's data to bits, and bits to data; *len bytes of out (at most 32). */
uint32_t auth_hashes_parse(struct span data);
void auth_hashes_write(uint32_t hashes, uint8_t out[32], size_t *len);

/*
 * Which signature to make with a key: `peer` are the peer's hashes, 0 when it did not announce any
 * (then method 1 or 9..11; NULL if the key has no such method: Ed25519, or ECDSA on another curve);
 * pss: RSA uses RSASSA-PSS. The strongest hash fit for the key and known to the peer. *method: for
 * the AUTH payload (enum ike2_auth).
 */
const struct sig_info *auth_pick(EVP_PKEY *key, uint32_t peer, bool pss, bool allow_weak,
				 uint8_t *method);
/* Makes the AUTH data: with method 14 the AlgorithmIdentifier with its length goes before the
 * signature. Returns 0, -ENOMEM, -EKEYREJECTED or -EIO. Any thread. */
int auth_sign(const struct auth_octets *o, const struct sig_info *s, uint8_t method, EVP_PKEY *key,
	      uint8_t out[AUTH_DATA_MAX], size_t *len) warn_unused;
/* Checks the peer's. Returns 0, or -EACCES with a sentence (which algorithm, why not); ours: the
 * hashes accepted. Any thread. */
int auth_verify(const struct auth_octets *o, uint8_t method, struct span data, EVP_PKEY *pub,
		uint32_t ours, char *why, size_t whylen) warn_unused;

#endif
