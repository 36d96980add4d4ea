/*
 * A public-key infrastructure made while a test runs: authorities, intermediates, end certificates
 * with any wanted flaw, revocation lists, and files of them. Everything fails the test by itself
 * when the library does not do its part.
 */
#ifndef TEST_IKE_PKI_H
#define TEST_IKE_PKI_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define PKI_DAY 86400
/* The time that all certificates are made around: 2030-01-01 00:00:00 UTC. */
#define PKI_NOW INT64_C(1893456000)

enum pki_key {
	PKI_P256,
	PKI_P384,
	PKI_P521,
	PKI_RSA,     /* 2048 bits */
	PKI_RSA_PSS, /* 2048 bits, the key itself is for PSS only */
	PKI_ED25519,
	PKI_ED448,
	PKI_KEYS
};
const char *pki_key_name(enum pki_key k);

struct pki {
	X509 *cert;
	EVP_PKEY *key;
};

/* All members may be left out. */
struct pki_opt {
	const char *subject; /* "C=DE, CN=gw"; NULL: empty */
	enum pki_key kind;
	EVP_PKEY *key;           /* use this one (counted up) instead of a new one */
	bool ca;                 /* basicConstraints CA:TRUE, keyUsage keyCertSign, cRLSign */
	int pathlen;             /* of a CA, plus one; 0: none */
	const char *basic;       /* instead of what ca says: OpenSSL's text; "" for none */
	const char *usage;       /* keyUsage, e.g. "critical,digitalSignature"; "" for none */
	const char *eku;         /* extendedKeyUsage, e.g. "serverAuth,1.3.6.1.5.5.7.3.17" */
	const char *san;         /* subjectAltName, e.g. "DNS:a.example,IP:192.0.2.1,email:a@b" */
	const char *constraints; /* nameConstraints */
	int64_t from, to;        /* seconds since 1970; 0: a day before PKI_NOW, a year after */
	const char *md;          /* digest of the issuer's signature; NULL: SHA256 */
	bool pss;                /* an RSA issuer signs with PSS */
};

/* A key; RSA ones come from a few made once per process, in turn. EVP_PKEY_free(). */
EVP_PKEY *pki_key(enum pki_key k);
/* A certificate by the issuer, or self-signed when it is NULL. */
struct pki pki_make(const struct pki_opt *o, const struct pki *issuer);
void pki_fini(struct pki *p);
/* Changes one bit of the certificate's signature: a new X509. */
X509 *pki_forge(const X509 *cert);
/* A CRL of the issuer with those certificates revoked, valid one day either side of `at`. */
X509_CRL *pki_crl(const struct pki *issuer, X509 *const *revoked, unsigned n, int64_t at);

/* A folder that pki_folder_remove() empties; the paths are static until 64 more are asked for. */
const char *pki_folder(void);
void pki_folder_remove(void);
const char *pki_path(const char *name);
/* Write PEM files into it and return their path. pass NULL: not encrypted. */
const char *pki_write_cert(const char *name, X509 *const *certs, unsigned n);
const char *pki_write_key(const char *name, EVP_PKEY *key, const char *pass);
const char *pki_write_crl(const char *name, X509_CRL *crl);
const char *pki_write_bytes(const char *name, struct span v);
const char *pki_write_pkcs12(const char *name, const struct pki *p, X509 *const *chain, unsigned n,
			     const char *pass);

#endif
