/* See ike_pki.h. */
#include "ike_pki.h"
#include "unit_folder.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ike/ident.h"

static const struct {
	const char *name, *type, *curve;
} kinds[PKI_KEYS] = {
	[PKI_P256] = { "P-256", "EC", "P-256" },   [PKI_P384] = { "P-384", "EC", "P-384" },
	[PKI_P521] = { "P-521", "EC", "P-521" },   [PKI_RSA] = { "RSA", "RSA", NULL },
	[PKI_RSA_PSS] = { "RSA-PSS", NULL, NULL }, [PKI_ED25519] = { "Ed25519", "ED25519", NULL },
	[PKI_ED448] = { "Ed448", "ED448", NULL },
};

const char *pki_key_name(enum pki_key k)
{
	return kinds[k].name;
}

/* RSA keys take long to find, so a few do for all. */
static EVP_PKEY *rsa_key(bool pss)
{
	static EVP_PKEY *made[2][3];
	static unsigned turn[2];
	EVP_PKEY **at = &made[pss][turn[pss]++ % 3];

	if (!*at) {
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, pss ? "RSA-PSS" : "RSA", NULL);
		ck_assert(c && EVP_PKEY_keygen_init(c) > 0 &&
			  EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048) > 0 &&
			  EVP_PKEY_generate(c, at) > 0);
		EVP_PKEY_CTX_free(c);
	}
	ck_assert(EVP_PKEY_up_ref(*at));
	return *at;
}

EVP_PKEY *pki_key(enum pki_key k)
{
	EVP_PKEY *key;

	if (k == PKI_RSA || k == PKI_RSA_PSS)
		return rsa_key(k == PKI_RSA_PSS);
	key = kinds[k].curve ? EVP_PKEY_Q_keygen(NULL, NULL, kinds[k].type, kinds[k].curve)
			     : EVP_PKEY_Q_keygen(NULL, NULL, kinds[k].type);
	ck_assert_ptr_nonnull(key);
	return key;
}

static void set_subject(X509 *cert, const char *text)
{
	struct ident id;
	char why[200] = "";

	if (!text)
		return;
	ck_assert_msg(ident_parse(text, &id, why, sizeof(why)) == 0, "%s: %s", text, why);
	ck_assert_uint_eq(id.type, IKE_ID_DER_ASN1_DN);
	const unsigned char *p = id.data;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, id.len);
	ck_assert(name && X509_set_subject_name(cert, name));
	X509_NAME_free(name);
	ident_fini(&id);
}

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;

	if (!value || !*value)
		return;
	X509V3_set_ctx(&c, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ck_assert_msg(e && X509_add_ext(cert, e, -1), "extension %s", value);
	X509_EXTENSION_free(e);
}

static void sign(X509 *cert, const struct pki_opt *o, EVP_PKEY *key)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc = NULL;
	bool ed = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
	const EVP_MD *md = ed ? NULL : EVP_get_digestbyname(o->md ? o->md : "SHA256");

	ck_assert(c && EVP_DigestSignInit(c, &pc, md, NULL, key) > 0);
	if (o->pss)
		ck_assert(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) > 0 &&
			  EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) > 0);
	ck_assert_int_gt(X509_sign_ctx(cert, c), 0);
	EVP_MD_CTX_free(c);
}

struct pki pki_make(const struct pki_opt *o, const struct pki *issuer)
{
	static long serial;
	struct pki p = { .cert = X509_new(), .key = o->key };
	char basic[64];

	ck_assert_ptr_nonnull(p.cert);
	if (p.key)
		ck_assert(EVP_PKEY_up_ref(p.key));
	else
		p.key = pki_key(o->kind);
	ck_assert(
	    X509_set_version(p.cert, 2) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), ++serial) &&
	    ASN1_TIME_set(X509_getm_notBefore(p.cert), o->from ? o->from : PKI_NOW - PKI_DAY) &&
	    ASN1_TIME_set(X509_getm_notAfter(p.cert), o->to ? o->to : PKI_NOW + 365 * PKI_DAY) &&
	    X509_set_pubkey(p.cert, p.key));
	set_subject(p.cert, o->subject);
	X509 *by = issuer ? issuer->cert : p.cert;
	ck_assert(X509_set_issuer_name(p.cert, X509_get_subject_name(by)));
	snprintf(basic, sizeof(basic),
		 o->pathlen ? "critical,CA:TRUE,pathlen:%d" : "critical,CA:TRUE", o->pathlen - 1);
	add_ext(p.cert, by, NID_basic_constraints,
		o->basic ? o->basic
		: o->ca  ? basic
			 : "CA:FALSE");
	add_ext(p.cert, by, NID_key_usage,
		o->usage ? o->usage
		: o->ca  ? "critical,keyCertSign,cRLSign"
			 : "critical,digitalSignature");
	add_ext(p.cert, by, NID_ext_key_usage, o->eku);
	add_ext(p.cert, by, NID_subject_alt_name, o->san);
	add_ext(p.cert, by, NID_name_constraints, o->constraints);
	add_ext(p.cert, by, NID_subject_key_identifier, "hash");
	add_ext(p.cert, by, NID_authority_key_identifier, issuer ? "keyid:always" : NULL);
	sign(p.cert, o, issuer ? issuer->key : p.key);
	return p;
}

void pki_fini(struct pki *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
	*p = (struct pki){ 0 };
}

X509 *pki_forge(const X509 *cert)
{
	unsigned char *der = NULL;
	int n = i2d_X509((X509 *)cert, &der);

	ck_assert_int_gt(n, 0);
	der[n - 8] ^= 1; /* the signature is last */
	const unsigned char *p = der;
	X509 *out = d2i_X509(NULL, &p, n);
	ck_assert_ptr_nonnull(out);
	OPENSSL_free(der);
	return out;
}

X509_CRL *pki_crl(const struct pki *issuer, X509 *const *revoked, unsigned n, int64_t at)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, at - PKI_DAY),
		  *to = ASN1_TIME_set(NULL, at + PKI_DAY);

	ck_assert(crl && from && to && X509_CRL_set_version(crl, 1) &&
		  X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert)) &&
		  X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to));
	for (unsigned i = 0; i < n; i++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_ENUMERATED *why = ASN1_ENUMERATED_new();
		ck_assert(r && why && ASN1_ENUMERATED_set(why, CRL_REASON_KEY_COMPROMISE) &&
			  X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked[i])) &&
			  X509_REVOKED_set_revocationDate(r, from) &&
			  X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, why, 0, 0) > 0 &&
			  X509_CRL_add0_revoked(crl, r));
		ASN1_ENUMERATED_free(why);
	}
	bool ed = EVP_PKEY_is_a(issuer->key, "ED25519") || EVP_PKEY_is_a(issuer->key, "ED448");
	ck_assert_int_gt(X509_CRL_sign(crl, issuer->key, ed ? NULL : EVP_sha256()), 0);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return crl;
}

/* ---- files */

static char folder[64];

const char *pki_folder(void)
{
	if (!*folder)
		unit_folder_new(folder, sizeof(folder));
	return folder;
}

void pki_folder_remove(void)
{
	DIR *d = *folder ? opendir(folder) : NULL;

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(d), e->d_name, 0))
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	closedir(d);
	rmdir(folder);
	*folder = '\0';
}

const char *pki_path(const char *name)
{
	static char paths[64][256];
	static unsigned turn;
	char *p = paths[turn++ % 64];

	snprintf(p, sizeof(paths[0]), "%s/%s", pki_folder(), name);
	return p;
}

static FILE *open_new(const char *path)
{
	FILE *f = fopen(path, "w");

	ck_assert_msg(f != NULL, "%s", path);
	return f;
}

const char *pki_write_cert(const char *name, X509 *const *certs, unsigned n)
{
	const char *path = pki_path(name);
	FILE *f = open_new(path);

	for (unsigned i = 0; i < n; i++)
		ck_assert(PEM_write_X509(f, certs[i]));
	fclose(f);
	return path;
}

const char *pki_write_key(const char *name, EVP_PKEY *key, const char *pass)
{
	const char *path = pki_path(name);
	FILE *f = open_new(path);

	ck_assert(PEM_write_PKCS8PrivateKey(f, key, pass ? EVP_aes_128_cbc() : NULL, pass,
					    pass ? (int)strlen(pass) : 0, NULL, NULL));
	fclose(f);
	return path;
}

const char *pki_write_crl(const char *name, X509_CRL *crl)
{
	const char *path = pki_path(name);
	FILE *f = open_new(path);

	ck_assert(PEM_write_X509_CRL(f, crl));
	fclose(f);
	return path;
}

const char *pki_write_bytes(const char *name, struct span v)
{
	const char *path = pki_path(name);
	FILE *f = open_new(path);

	ck_assert(fwrite(v.p, 1, v.len, f) == v.len);
	fclose(f);
	return path;
}

const char *pki_write_pkcs12(const char *name, const struct pki *p, X509 *const *chain, unsigned n,
			     const char *pass)
{
	const char *path = pki_path(name);
	FILE *f = open_new(path);
	STACK_OF(X509) *more = sk_X509_new_null();

	for (unsigned i = 0; i < n; i++)
		ck_assert(sk_X509_push(more, chain[i]));
	PKCS12 *p12 = PKCS12_create(pass, "x", p->key, p->cert, more, 0, 0, 0, 0, 0);
	ck_assert(p12 && i2d_PKCS12_fp(f, p12));
	PKCS12_free(p12);
	sk_X509_free(more);
	fclose(f);
	return path;
}
