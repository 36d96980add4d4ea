/*
 * See cred.h. One file enters: its bytes are read -> PEM blocks, or DER, are taken apart -> the
 * private key is found and compared with the certificate -> a credential leaves.
 */
#include "ike/cred.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "crypto/sig.h"
#include "ike/cred_priv.h"
#include "ike/ident_dn.h"

int cred_say(int rc, char *why, size_t whylen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why && whylen)
		vsnprintf(why, whylen, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return rc;
}

char *cred_name(const X509_NAME *name, char out[CRED_NAME_LEN])
{
	char room[8192];
	struct wr w = wr_of(room, sizeof(room));

	dn_write(&w, name);
	bool cut = w.len > CRED_NAME_LEN - 6 || !wr_ok(&w);
	snprintf(out, CRED_NAME_LEN, "\"%.*s%s\"", (int)(cut ? CRED_NAME_LEN - 6 : w.len), room,
		 cut ? "..." : "");
	return out;
}

/* ---- files */

int cred_file_read(const char *path, struct buf *out, char *why, size_t whylen)
{
	struct stat st;
	FILE *f = fopen(path, "re");

	*out = (struct buf){ 0 };
	if (!f)
		return cred_say(-errno, why, whylen, "%s: %s", path, strerror(errno));
	int rc = 0;
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
		rc = cred_say(-EINVAL, why, whylen, "%s: not a regular file", path);
	else if (st.st_size > (off_t)CRED_FILE_MAX)
		rc =
		    cred_say(-EINVAL, why, whylen, "%s: larger than %u bytes", path, CRED_FILE_MAX);
	out->p = rc ? NULL : malloc((size_t)st.st_size + 1);
	if (!rc && !out->p)
		rc = cred_say(-ENOMEM, why, whylen, "%s: out of memory", path);
	if (!rc)
		out->len = fread(out->p, 1, (size_t)st.st_size, f);
	fclose(f);
	return rc;
}

static void file_wipe(struct buf *file)
{
	if (file->p)
		wipe(file->p, file->len);
	free(file->p);
	*file = (struct buf){ 0 };
}

X509 *cred_cert_parse(struct span der)
{
	const unsigned char *p = der.p;
	X509 *cert = der.len <= CRED_CERT_MAX ? d2i_X509(NULL, &p, (long)der.len) : NULL;

	if (cert && p != der.p + der.len) {
		X509_free(cert);
		cert = NULL;
	}
	ERR_clear_error();
	return cert;
}

EVP_PKEY *cred_key_parse(struct span der)
{
	const unsigned char *p = der.p;
	EVP_PKEY *key = der.len <= CRED_CERT_MAX ? d2i_PUBKEY(NULL, &p, (long)der.len) : NULL;

	if (key && (p != der.p + der.len || !sig_key_bounded(key))) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

static bool is_pem(struct span file)
{
	return file.len > 11 && memmem(file.p, file.len, "-----BEGIN ", 11) != NULL;
}

static bool is_cert_block(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
}

STACK_OF(X509) * cred_certs_of(struct span file)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = is_pem(file) ? BIO_new_mem_buf(file.p, (int)file.len) : NULL;
	unsigned char *der;
	char *name, *header;
	bool ok = true;
	long len;

	while (ok && bio && PEM_read_bio(bio, &name, &header, &der, &len)) {
		if (is_cert_block(name)) {
			X509 *cert = cred_cert_parse(span_of(der, (size_t)len));
			ok = cert && sk_X509_push(certs, cert);
			if (!ok)
				X509_free(cert);
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	BIO_free(bio);
	X509 *one = bio ? NULL : cred_cert_parse(file);
	if (one && !sk_X509_push(certs, one))
		X509_free(one);
	if (!ok || sk_X509_num(certs) <= 0) {
		sk_X509_pop_free(certs, X509_free);
		certs = NULL;
	}
	ERR_clear_error();
	return certs;
}

/* ---- one credential */

struct cred *cred_ref(struct cred *c)
{
	c->refs++;
	return c;
}

void cred_unref(struct cred **c)
{
	struct cred *old = *c;

	*c = NULL;
	if (!old || --old->refs)
		return;
	X509_free(old->cert);
	EVP_PKEY_free(old->pub);
	EVP_PKEY_free(old->key);
	sk_X509_pop_free(old->chain, X509_free);
	free(old->file);
	free(old);
}

static bool hash_of_spki(const unsigned char *der, int len, uint8_t out[20])
{
	return len > 0 && SHA1(der, (size_t)len, out) != NULL;
}

bool cred_spki_hash(const X509 *cert, uint8_t out[20])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = hash_of_spki(der, len, out);

	OPENSSL_free(der);
	return ok;
}

static bool key_hash(EVP_PKEY *pub, uint8_t out[20])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pub, &der);
	bool ok = hash_of_spki(der, len, out);

	OPENSSL_free(der);
	return ok;
}

/* The public half of a private key, alone. */
static EVP_PKEY *public_of(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	const unsigned char *p = der;
	EVP_PKEY *pub = len > 0 ? d2i_PUBKEY(NULL, &p, len) : NULL;

	OPENSSL_free(der);
	return pub;
}

/* Fills cert, chain, pub and key from the bytes of the main file. A private key in it is taken when
 * want_key. */
static int take_file(struct cred *c, struct span file, const char *pass, bool want_key, char *why,
		     size_t whylen)
{
	STACK_OF(X509) *certs = cred_certs_of(file);
	bool has_key = is_pem(file) && memmem(file.p, file.len, "PRIVATE KEY-----", 16) != NULL;
	char no[200] = "";

	if (certs) {
		c->cert = sk_X509_shift(certs);
		c->chain = certs;
	} else if (!is_pem(file) &&
		   sig_key_pkcs12(file, pass, &c->key, &c->cert, &c->chain, no, sizeof(no)) == 0) {
		has_key = false; /* already taken */
	}
	if (has_key && (want_key || !c->cert) &&
	    sig_key_private(file, pass, &c->key, no, sizeof(no)))
		return cred_say(-EINVAL, why, whylen, "%s: %s", c->file, no);
	if (c->cert) {
		c->pub = X509_get_pubkey(c->cert);
		return c->pub ? 0
			      : cred_say(-EINVAL, why, whylen,
					 "%s: the public key of the certificate is not supported",
					 c->file);
	}
	if (c->key)
		c->pub = public_of(c->key);
	else if (sig_key_public(file, &c->pub, NULL, 0))
		return cred_say(-EINVAL, why, whylen, "%s: %s", c->file,
				*no && strcmp(no, "not a PKCS#12 file") != 0
				    ? no
				    : "no certificate, public key or PKCS#12 found");
	return c->pub ? 0 : cred_say(-ENOMEM, why, whylen, "%s: out of memory", c->file);
}

static int take_key(struct cred *c, const char *key_path, const char *pass, char *why,
		    size_t whylen)
{
	struct buf file;
	char no[200];
	int rc = cred_file_read(key_path, &file, why, whylen);

	if (rc)
		return rc;
	EVP_PKEY_free(c->key);
	c->key = NULL;
	if (sig_key_private(span_of(file.p, file.len), pass, &c->key, no, sizeof(no)))
		rc = cred_say(-EINVAL, why, whylen, "%s: %s", key_path, no);
	file_wipe(&file);
	return rc;
}

static int finish(struct cred *c, const char *key_path, char *why, size_t whylen)
{
	if (c->key && EVP_PKEY_eq(c->pub, c->key) != 1)
		return cred_say(
		    -EINVAL, why, whylen, "%s: the private key does not belong to the %s in %s",
		    key_path ? key_path : c->file, c->cert ? "certificate" : "public key", c->file);
	if (!sig_key_bounded(c->pub))
		return cred_say(-EINVAL, why, whylen,
				"%s: keys of this type or size cannot sign for IKE; use RSA, ECDSA "
				"P-256, P-384 or P-521, Ed25519 or Ed448",
				c->file);
	if (sk_X509_num(c->chain) <= 0) {
		sk_X509_free(c->chain);
		c->chain = NULL;
	}
	if (!(c->cert ? cred_spki_hash(c->cert, c->spki_sha1) : key_hash(c->pub, c->spki_sha1)))
		return cred_say(-ENOMEM, why, whylen, "%s: out of memory", c->file);
	return 0;
}

int cred_load(const char *path, const char *key_path, const char *pass, struct cred **out,
	      char *why, size_t whylen)
{
	struct cred *c = calloc(1, sizeof(*c));
	struct buf file;

	*out = NULL;
	if (!c || !(c->file = strdup(path))) {
		free(c);
		return cred_say(-ENOMEM, why, whylen, "%s: out of memory", path);
	}
	c->refs = 1;
	int rc = cred_file_read(path, &file, why, whylen);
	if (!rc) {
		rc = take_file(c, span_of(file.p, file.len), pass, !key_path, why, whylen);
		file_wipe(&file);
	}
	if (!rc && key_path)
		rc = take_key(c, key_path, pass, why, whylen);
	if (!rc)
		rc = finish(c, key_path, why, whylen);
	ERR_clear_error();
	if (rc)
		cred_unref(&c);
	else
		*out = c;
	return rc;
}
