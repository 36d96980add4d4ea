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

#define CRED_CHAIN_MAX 10      /* certificates a peer may send; more are ignored */
#define CRED_CERT_MAX  (64u << 10) /* bytes of one; larger ones are not looked at */

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
 * Reads one file of at most 1 MiB: certificate (PEM, all further ones in it become the chain; or
 * DER), public key (PEM or DER), a private key alone (PEM; its public half is the raw key), or
 * PKCS#12. key_path: its private key, or NULL when it is in the same file or there is none. pass: of
 * either, NULL for none. Returns 0, or -EINVAL, -ENOMEM or what open() said, with a sentence that
 * names the file. A private key that is not the certificate's is refused.
 */
int cred_load(const char *path, const char *key_path, const char *pass, struct cred **out, char *why,
	      size_t whylen) warn_unused;

/* From a peer's CERT payload: DER of one certificate (encoding 4) or SubjectPublicKeyInfo (15). NULL
 * when it is not exactly that or larger than CRED_CERT_MAX; a key also when checking with it would
 * take unbounded time. The caller's: X509_free(), EVP_PKEY_free(). Any thread. */
X509 *cred_cert_parse(struct span der) warn_unused;
EVP_PKEY *cred_key_parse(struct span der) warn_unused;

/* Authorities a chain may end in. */
struct cred_cas;
struct cred_cas *cred_cas_new(void);
struct cred_cas *cred_cas_ref(struct cred_cas *c);
void cred_cas_unref(struct cred_cas **c);
/* Adds every CA certificate of a file, or of all files of a directory. Returns how many are new, or
 * -errno with a sentence. A certificate that is no CA is an error when named as a file; in a
 * directory other files are passed over. An intermediate may be one: chains then end there. */
int cred_cas_add(struct cred_cas *c, const char *path, char *why, size_t whylen) warn_unused;
/* CRL file or directory to check chains with; when any is given, every certificate needs one, save
 * the authority the chain ends in. Returns how many, or -errno with a sentence. */
int cred_cas_add_crl(struct cred_cas *c, const char *path, char *why, size_t whylen) warn_unused;
unsigned cred_cas_count(const struct cred_cas *c);
X509 *cred_cas_cert(const struct cred_cas *c, unsigned i); /* borrowed */
const uint8_t *cred_cas_hash(const struct cred_cas *c, unsigned i); /* 20 bytes, for CERTREQ */
/* True when hashes (n * 20 bytes, a CERTREQ) name an authority that the credential's chain ends in
 * or contains. */
bool cred_issued_by(const struct cred *c, const struct cred_cas *cas, struct span hashes);

/*
 * Is the peer's chain good? cas: NULL for none at all; cert: its end certificate; others: what else
 * it sent (may be NULL; the first CRED_CHAIN_MAX are looked at); at: seconds since 1970. Checked are
 * path, signatures (SHA-1 and weaker are refused, and RSA below 1024 bits), dates, CA flags and path
 * lengths, name constraints, key usage (digitalSignature or nonRepudiation, RFC 4945 5.1.3.2),
 * extended key usage (none, any, ipsecIKE 1.3.6.1.5.5.7.3.17, serverAuth, clientAuth), CRLs, and
 * with id not NULL the identity. Returns 0, or -EACCES with a sentence (up to some 400 bytes) that
 * says which certificate and what an administrator should change: expired (since when), not yet
 * valid, unknown authority (its name), wrong extended key usage, revoked, the identities it has
 * instead of the wanted one. Any thread.
 */
int cred_verify(const struct cred_cas *cas, X509 *cert, STACK_OF(X509) * others, int64_t at,
		const struct ident *id, char *why, size_t whylen) warn_unused;

/* What a peer will not like about our own certificate, as far as that can be told without its
 * authorities: dates, key usages, and that it does not speak for id (may be NULL). 0, or -EACCES
 * with a sentence. Any thread. */
int cred_check_own(X509 *cert, int64_t at, const struct ident *id, char *why,
		   size_t whylen) warn_unused;

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
 * matched, and matched more exactly, wins; the first of equals. A secret with owners is not for a
 * peer that is none of them, unless all of them are us: else whoever it is shared with could pass for
 * that peer. NULL when there is none. */
const struct cred_psk *cred_psk_find(const struct cred_psks *p, const struct ident *mine,
				     const struct ident *peer);
void cred_psks_fini(struct cred_psks *p);

#endif
