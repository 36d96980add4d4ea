/*
 * Authorities and revocation lists: see cred.h. Files and folders enter at configuration time;
 * afterwards the X509_STORE, which locks for itself, is only read.
 */
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ike/cred.h"
#include "ike/cred_priv.h"

#define CAS_MAX 4096

struct ca {
	X509 *cert;
	uint8_t hash[20];
};

struct cred_cas {
	X509_STORE *store;
	struct ca *ca;
	unsigned n, n_crl;
	unsigned refs;
};

struct cred_cas *cred_cas_new(void)
{
	struct cred_cas *c = calloc(1, sizeof(*c));

	if (c && !(c->store = X509_STORE_new())) {
		free(c);
		c = NULL;
	}
	if (c)
		c->refs = 1;
	return c;
}

struct cred_cas *cred_cas_ref(struct cred_cas *c)
{
	c->refs++;
	return c;
}

void cred_cas_unref(struct cred_cas **c)
{
	struct cred_cas *old = *c;

	*c = NULL;
	if (!old || --old->refs)
		return;
	for (unsigned i = 0; i < old->n; i++)
		X509_free(old->ca[i].cert);
	X509_STORE_free(old->store);
	free(old->ca);
	free(old);
}

unsigned cred_cas_count(const struct cred_cas *c)
{
	return c->n;
}

X509 *cred_cas_cert(const struct cred_cas *c, unsigned i)
{
	return c->ca[i].cert;
}

const uint8_t *cred_cas_hash(const struct cred_cas *c, unsigned i)
{
	return c->ca[i].hash;
}

X509_STORE *cred_cas_store(const struct cred_cas *c)
{
	return c->store;
}

bool cred_cas_has_crl(const struct cred_cas *c)
{
	return c->n_crl > 0;
}

bool cred_cas_has(const struct cred_cas *c, const X509 *cert)
{
	for (unsigned i = 0; i < c->n; i++)
		if (X509_cmp(c->ca[i].cert, cert) == 0)
			return true;
	return false;
}

/* ---- adding */

/* 1: added; 0: was there; or -errno. */
static int ca_add(struct cred_cas *c, X509 *cert)
{
	if (cred_cas_has(c, cert))
		return 0;
	struct ca *more = c->n < CAS_MAX ? reallocarray(c->ca, c->n + 1, sizeof(*more)) : NULL;
	if (!more)
		return -ENOMEM;
	c->ca = more;
	if (!cred_spki_hash(cert, more[c->n].hash) || !X509_STORE_add_cert(c->store, cert))
		return -ENOMEM;
	X509_up_ref(cert);
	more[c->n++].cert = cert;
	return 1;
}

/* basicConstraints says so, or it is a version 1 root, which cannot say. */
static bool is_ca(X509 *cert)
{
	int ca = X509_check_ca(cert);

	return ca == 1 || ca == 3;
}

/* How many authorities of the file were added; -ENOENT when it holds something else. */
static int cas_of_file(struct cred_cas *c, const char *path, char *why, size_t whylen)
{
	struct buf file;
	char name[CRED_NAME_LEN];
	int added = 0, rc = cred_file_read(path, &file, why, whylen);

	if (rc)
		return rc;
	STACK_OF(X509) *certs = cred_certs_of(span_of(file.p, file.len));
	free(file.p);
	if (!certs)
		return cred_say(-EINVAL, why, whylen,
				"%s: no certificate found; expected PEM or DER", path);
	for (int i = 0; rc >= 0 && i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);
		if (!is_ca(cert))
			rc =
			    cred_say(-EINVAL, why, whylen,
				     "%s: the certificate %s is no CA (basicConstraints CA:TRUE is "
				     "missing)",
				     path, cred_name(X509_get_subject_name(cert), name));
		else
			rc = ca_add(c, cert);
		if (rc == -ENOMEM)
			cred_say(rc, why, whylen, "%s: out of memory", path);
		added += rc > 0;
	}
	sk_X509_pop_free(certs, X509_free);
	return rc < 0 ? rc : added;
}

/* How many revocation lists of the file were added. */
static int crls_of_file(struct cred_cas *c, const char *path, char *why, size_t whylen)
{
	struct buf file;
	int added = 0, rc = cred_file_read(path, &file, why, whylen);

	if (rc)
		return rc;
	const unsigned char *p = file.p;
	BIO *bio = BIO_new_mem_buf(file.p, (int)file.len);
	X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	if (bio && !crl)
		crl = d2i_X509_CRL(NULL, &p, (long)file.len);
	while (rc == 0 && crl) {
		if (!X509_STORE_add_crl(c->store, crl))
			rc = cred_say(-ENOMEM, why, whylen, "%s: out of memory", path);
		added++;
		X509_CRL_free(crl);
		crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
	}
	X509_CRL_free(crl);
	BIO_free(bio);
	free(file.p);
	if (rc == 0 && added == 0)
		rc =
		    cred_say(-EINVAL, why, whylen,
			     "%s: no certificate revocation list found; expected PEM or DER", path);
	ERR_clear_error();
	if (rc == 0)
		c->n_crl += (unsigned)added;
	return rc ? rc : added;
}

typedef int file_fn(struct cred_cas *c, const char *path, char *why, size_t whylen);

/* In order of names; what a folder holds besides is left alone. */
static int each_file(struct cred_cas *c, const char *path, file_fn *fn, char *why, size_t whylen)
{
	struct dirent **names;
	int added = 0, n = scandir(path, &names, NULL, alphasort);

	if (n < 0)
		return cred_say(-errno, why, whylen, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char *file = NULL;
		if (added >= 0 && names[i]->d_name[0] != '.' &&
		    asprintf(&file, "%s/%s", path, names[i]->d_name) >= 0) {
			int rc = fn(c, file, why, whylen);
			if (rc == -ENOMEM)
				added = rc;
			else if (rc > 0)
				added += rc;
			free(file);
		}
		free(names[i]);
	}
	free(names);
	return added;
}

static int add(struct cred_cas *c, const char *path, file_fn *fn, char *why, size_t whylen)
{
	struct stat st;

	if (stat(path, &st))
		return cred_say(-errno, why, whylen, "%s: %s", path, strerror(errno));
	return S_ISDIR(st.st_mode) ? each_file(c, path, fn, why, whylen) : fn(c, path, why, whylen);
}

int cred_cas_add(struct cred_cas *c, const char *path, char *why, size_t whylen)
{
	return add(c, path, cas_of_file, why, whylen);
}

int cred_cas_add_crl(struct cred_cas *c, const char *path, char *why, size_t whylen)
{
	return add(c, path, crls_of_file, why, whylen);
}

/* ---- CERTREQ */

static bool named(struct span hashes, const uint8_t hash[20])
{
	for (size_t at = 0; at + 20 <= hashes.len; at += 20)
		if (memcmp(hashes.p + at, hash, 20) == 0)
			return true;
	return false;
}

static bool cert_named(const X509 *cert, struct span hashes)
{
	uint8_t hash[20];

	return cred_spki_hash(cert, hash) && named(hashes, hash);
}

/* The authority that issued cert, by name and key identifier; -1 when we do not have it. */
static int issuer_of(const struct cred_cas *cas, X509 *cert)
{
	for (unsigned i = 0; cas && i < cas->n; i++)
		if (X509_check_issued(cas->ca[i].cert, cert) == X509_V_OK)
			return (int)i;
	return -1;
}

bool cred_issued_by(const struct cred *c, const struct cred_cas *cas, struct span hashes)
{
	if (!c->cert || hashes.len < 20)
		return false;
	X509 *top = c->cert;
	bool found = cert_named(top, hashes);
	for (int i = 0; !found && i < sk_X509_num(c->chain); i++) {
		X509 *cert = sk_X509_value(c->chain, i);
		found = cert_named(cert, hashes);
		if (X509_check_issued(cert, top) == X509_V_OK)
			top = cert;
	}
	/* On from the last link, through the authorities we know. */
	for (unsigned left = CRED_CHAIN_MAX; !found && left; left--) {
		int i = issuer_of(cas, top);
		if (i < 0 || cas->ca[i].cert == top)
			break;
		found = named(hashes, cas->ca[i].hash);
		top = cas->ca[i].cert;
	}
	ERR_clear_error();
	return found;
}
