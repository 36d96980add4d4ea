/* What cred*.c share. */
#ifndef IKE_CRED_PRIV_H
#define IKE_CRED_PRIV_H

#include "base/bytes.h"
#include "ike/cred.h"

#define CRED_FILE_MAX (1u << 20) /* bytes of a file */

/* A sentence into why (may be NULL); returns rc. */
int cred_say(int rc, char *why, size_t whylen, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Reads a whole file of at most CRED_FILE_MAX bytes: free() what *out owns. 0, or -errno with a
 * sentence that names the file. */
int cred_file_read(const char *path, struct buf *out, char *why, size_t whylen) warn_unused;
/* Every certificate of the bytes, PEM (several, other things between them left out) or DER (one).
 * NULL when there is none, or one of them is not readable or too big. */
STACK_OF(X509) * cred_certs_of(struct span file) warn_unused;
/* SHA-1 of the SubjectPublicKeyInfo. */
bool cred_spki_hash(const X509 *cert, uint8_t out[20]) warn_unused;
/* The X509_STORE with authorities and CRLs, and whether there are CRLs. */
X509_STORE *cred_cas_store(const struct cred_cas *c);
bool cred_cas_has_crl(const struct cred_cas *c);
bool cred_cas_has(const struct cred_cas *c, const X509 *cert);
/* A name for messages: the subject or issuer in quotes, cut when it is long. */
#define CRED_NAME_LEN 140
char *cred_name(const X509_NAME *name, char out[CRED_NAME_LEN]);

#endif
