/*
 * Signatures over a value that already is a hash: IKEv1 signs HASH_I and HASH_R themselves (RFC
 * 2409 5.1). RSA: PKCS#1 v1.5 without the name of a hash ("as a private key encryption"); ECDSA: r
 * | s of the curve's length (RFC 4754 7). Expensive: meant for the crypto pool.
 */
#ifndef CRYPTO_SIG_DIGEST_H
#define CRYPTO_SIG_DIGEST_H

#include "crypto/sig.h"

/* RSA of at least SIG_RSA_LEAST bits, or EC on P-256, P-384 or P-521. */
bool sig_digest_fits(const EVP_PKEY *key);
/* The hash RFC 4754 4 ties to the key's curve; 0 for RSA, which takes any, and for other keys. */
enum hash_id sig_digest_hash(const EVP_PKEY *key);
/* Returns 0, -EKEYREJECTED, -ENOMEM or -EIO, as sig_sign(). */
int sig_digest_sign(EVP_PKEY *key, struct span digest, uint8_t out[SIG_LEN_MAX],
		    size_t *len) warn_unused;
/* Returns 0, -EBADMSG, -EKEYREJECTED or -ENOMEM, as sig_verify(). */
int sig_digest_verify(EVP_PKEY *key, struct span digest, struct span sig) warn_unused;

#endif
