/*
 * Signatures of IKE's AUTH: RFC 7427 (any algorithm, named by an AlgorithmIdentifier), the older
 * methods 1 (RSA) and 9..11 (ECDSA, RFC 4754), and EdDSA (RFC 8420). Keys are OpenSSL's EVP_PKEY,
 * from certificates or from the files that sig_key_*() read. Expensive: meant for the crypto pool.
 */
#ifndef CRYPTO_SIG_H
#define CRYPTO_SIG_H

#include <openssl/types.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/hash.h"

enum sig_id {
	SIG_NONE,
	SIG_RSA_SHA1, /* PKCS#1 v1.5; method 1 is this (RFC 7296 3.8: SHA-1 unless told otherwise)
		       */
	SIG_RSA_SHA2_256,
	SIG_RSA_SHA2_384,
	SIG_RSA_SHA2_512,
	SIG_PSS_SHA1, /* RSASSA-PSS, MGF1 with the same hash */
	SIG_PSS_SHA2_256,
	SIG_PSS_SHA2_384,
	SIG_PSS_SHA2_512,
	SIG_ECDSA_SHA1, /* P-256, P-384 or P-521; DER: SEQUENCE { r, s } */
	SIG_ECDSA_SHA2_256,
	SIG_ECDSA_SHA2_384,
	SIG_ECDSA_SHA2_512,
	SIG_ECDSA_256_RAW, /* method 9: P-256 with SHA2-256, r | s (RFC 4754) */
	SIG_ECDSA_384_RAW, /* method 10 */
	SIG_ECDSA_521_RAW, /* method 11: P-521 with SHA2-512 */
	SIG_ED25519,
	SIG_ED448,
};

enum sig_kind { SIG_KIND_RSA, SIG_KIND_PSS, SIG_KIND_ECDSA, SIG_KIND_ED25519, SIG_KIND_ED448 };

struct sig_info {
	enum sig_id id;
	const char *name; /* for logs: "RSA-PSS with SHA2-256" */
	enum sig_kind kind;
	enum hash_id hash;  /* what the peer must have announced (RFC 7427 4) */
	const char *curve;  /* RFC 4754: the only curve; else NULL */
	struct span alg_id; /* DER AlgorithmIdentifier (RFC 7427 A, RFC 8420 A); empty: RFC 4754 */
	bool weak;          /* SHA-1: needs allow_weak, or an old peer with method 1 */
};

#define SIG_LEN_MAX   2048u /* RSA of 16384 bits */
#define SIG_RSA_LEAST 1024u /* bits; shorter RSA keys are refused */

/* NULL when the number is unknown. */
const struct sig_info *sig_info(unsigned id);
/*
 * The row for a peer's AlgorithmIdentifier, whichever way it is encoded (parameters of RSA absent
 * or NULL, of PSS with defaults left out). NULL when it is malformed, has bytes behind it, or names
 * something not supported (PSS with two different hashes).
 */
const struct sig_info *sig_by_alg_id(struct span der);
/* Calls cb for every row in table order. */
void sig_each(void (*cb)(const struct sig_info *s, void *arg), void *arg);
/* Checking a signature with this key takes bounded time: RSA of at most SIG_LEN_MAX bytes with an
 * exponent of at most 64 bits, an EC key on a named curve, or EdDSA. Asked before a stranger's key
 * is used. */
bool sig_key_bounded(const EVP_PKEY *key);
/* The key can make or check this kind of signature: type, curve, and for RSA the length and a sane
 * exponent. */
bool sig_fits(const struct sig_info *s, const EVP_PKEY *key);

/*
 * Signs v[0] | v[1] | ...; PSS salt as long as the hash. out has room for SIG_LEN_MAX bytes; *len:
 * how many were written. Returns 0, -EKEYREJECTED (the key does not fit, or is no private one),
 * -ENOMEM or -EIO (the library failed).
 */
int sig_sign(const struct sig_info *s, EVP_PKEY *key, const struct span *v, unsigned n,
	     uint8_t out[SIG_LEN_MAX], size_t *len) warn_unused;
/* Checks sig over v[0] | v[1] | ...; PSS with any salt length. Returns 0, -EBADMSG (wrong
 * signature), -EKEYREJECTED (the key does not fit) or -ENOMEM. */
int sig_verify(const struct sig_info *s, EVP_PKEY *key, const struct span *v, unsigned n,
	       struct span sig) warn_unused;

/*
 * A private key from PEM (PKCS#8, PKCS#1, SEC 1; encrypted with pass) or unencrypted DER. pass may
 * be NULL. *out is the caller's: EVP_PKEY_free(), which wipes. Returns 0 or -EINVAL with a sentence
 * in why[whylen].
 */
int sig_key_private(struct span file, const char *pass, EVP_PKEY **out, char *why,
		    unsigned whylen) warn_unused;
/* A public key (SubjectPublicKeyInfo) from PEM or DER, e.g. a raw public key of RFC 7670. Returns 0
 * or -EINVAL as above. */
int sig_key_public(struct span file, EVP_PKEY **out, char *why, unsigned whylen) warn_unused;
/*
 * Private key, its certificate and any further ones from PKCS#12. All are the caller's:
 * EVP_PKEY_free(), X509_free(), sk_X509_pop_free(X509_free). *chain is NULL when there are none.
 * Returns 0 or -EINVAL as above; then all three are NULL.
 */
int sig_key_pkcs12(struct span file, const char *pass, EVP_PKEY **key, X509 **cert,
		   STACK_OF(X509) * *chain, char *why, unsigned whylen) warn_unused;

#endif
