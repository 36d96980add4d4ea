/*
 * Credentials: certificates with and without private keys, raw public keys, authorities, shared
 * secrets. The configuration fills a store once; negotiations only read it, also from the crypto
 * pool's threads. Objects are counted, because a reload makes a new store while old negotiations
 * still hold what they began with.
 */
#ifndef IKE_CRED_H
#define IKE_CRED_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"
#include "ike/ident.h"

#define CRED_CHAIN_MAX 10 /* certificates a peer may send; more are ignored */

/* A certificate, or a raw public key, with or without its private key. Immutable. */
struct cred {
	X509 *cert;        /* NULL: a raw public key (RFC 7670) */
	EVP_PKEY *pub;     /* never NULL */
	EVP_PKEY *key;     /* the private one, or NULL */
	STACK_OF(X509) *chain; /* intermediate certificates to send with it, or NULL */
	char *file;        /* where it came from, for messages */
	uint8_t spki_sha1[20]; /* of the SubjectPublicKeyInfo: what CERTREQ names (RFC 7296 3.7) */
	unsigned refs;     /* control thread only */
};
struct cred *cred_ref(struct cred *c);
void cred_unref(struct cred **c);

/*
 * Reads one file: certificate (PEM, all further ones in it become the chain; or DER), public key
 * (PEM or DER), or PKCS#12. key_path: its private key, or NULL when it is in the same file or there
 * is none. pass: of either, NULL for none. Returns 0 or -EINVAL / -ENOENT / -ENOMEM with a sentence
 * that names the file. A private key that is not the certificate's is refused.
 */
int cred_load(const char *path, const char *key_path, const char *pass, struct cred **out, char *why,
	      size_t whylen) warn_unused;

/* Authorities a chain may end in. */
struct cred_cas;
struct cred_cas *cred_cas_new(void);
struct cred_cas *cred_cas_ref(struct cred_cas *c);
void cred_cas_unref(struct cred_cas **c);
/* Adds every CA certificate of a file, or of all files of a directory. Returns how many, or
 * -errno with a sentence. A certificate that is no CA is an error when named as a file. */
int cred_cas_add(struct cred_cas *c, const char *path, char *why, size_t whylen) warn_unused;
/* CRL file or directory to check chains with; when any is given, every certificate needs one. */
int cred_cas_add_crl(struct cred_cas *c, const char *path, char *why, size_t whylen) warn_unused;
unsigned cred_cas_count(const struct cred_cas *c);
X509 *cred_cas_cert(const struct cred_cas *c, unsigned i); /* borrowed */
const uint8_t *cred_cas_hash(const struct cred_cas *c, unsigned i); /* 20 bytes, for CERTREQ */
/* True when hashes (n * 20 bytes, a CERTREQ) name an authority that the credential's chain ends in
 * or contains. */
bool cred_issued_by(const struct cred *c, const struct cred_cas *cas, struct span hashes);

/*
 * Is the peer's chain good? cert: its end certificate; others: what else it sent (may be NULL);
 * at: seconds since 1970. Path, dates, CA flags, key usage (digitalSignature or nonRepudiation, RFC
 * 4945 5.1.3.2), extended key usage (none, any, ipsecIKE 1.3.6.1.5.5.7.3.17, serverAuth,
 * clientAuth), CRLs, and with id not NULL the identity. Returns 0, or -EACCES with a sentence that
 * says which certificate and what an administrator should change: expired (since when), not yet
 * valid, unknown authority (its name), wrong extended key usage, revoked, the identities it has
 * instead of the wanted one. Any thread.
 */
int cred_verify(const struct cred_cas *cas, X509 *cert, STACK_OF(X509) * others, int64_t at,
		const struct ident *id, char *why, size_t whylen) warn_unused;

/* A shared secret and whose it is. */
struct cred_psk {
	struct ident *id; /* owners; none: anybody's */
	unsigned n_id;
	struct secret key;
	char *name; /* of the section */
};
struct cred_psks {
	struct cred_psk *psk;
	unsigned n;
};
/* The best fit for a pair of identities (either may be NULL when it is not known yet): more owners
 * matched, and matched more exactly, wins; the first of equals. NULL when there is none. */
const struct cred_psk *cred_psk_find(const struct cred_psks *p, const struct ident *mine,
				     const struct ident *peer);
void cred_psks_fini(struct cred_psks *p);

#endif
