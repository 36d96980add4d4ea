/* Keys from files: PEM and DER, encrypted and not, PKCS#12, and what is said when they do not open.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "crypto/sig.h"
#include "ike_crypto.h"

static EVP_PKEY *key;
static X509 *cert;

static void setup(void)
{
	key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	cert = X509_new();
	ck_assert(X509_set_version(cert, 2) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
		  X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
		  X509_gmtime_adj(X509_getm_notAfter(cert), 3600) && X509_set_pubkey(cert, key) &&
		  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					     (const unsigned char *)"a.example", -1, -1, 0) &&
		  X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
		  X509_sign(cert, key, EVP_sha256()));
}

static void teardown(void)
{
	EVP_PKEY_free(key);
	X509_free(cert);
}

static struct span bio_view(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	return span_of(p, (size_t)n);
}

static void opens(BIO *b, const char *pass)
{
	EVP_PKEY *got;
	char why[160] = "";

	ck_assert_msg(sig_key_private(bio_view(b), pass, &got, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(EVP_PKEY_eq(got, key), 1);
	EVP_PKEY_free(got);
}

static void fails(struct span file, const char *pass, const char *says)
{
	EVP_PKEY *got;
	char why[160] = "";

	ck_assert_int_eq(sig_key_private(file, pass, &got, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, says), "\"%s\" does not say \"%s\"", why, says);
	ck_assert_ptr_null(got);
	ck_assert_int_eq(sig_key_private(file, pass, &got, NULL, 0), -EINVAL);
}

START_TEST(test_private)
{
	BIO *b = BIO_new(BIO_s_mem());

	ck_assert(PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL));
	opens(b, NULL);
	opens(b, "not needed");
	struct span v = bio_view(b);
	fails(span_of(v.p, v.len / 2), NULL, "no private key");
	ck_assert_int_eq(BIO_reset(b), 1);
	ck_assert(PEM_write_bio_PrivateKey_traditional(b, key, NULL, NULL, 0, NULL, NULL));
	opens(b, NULL);
	ck_assert_int_eq(BIO_reset(b), 1);
	ck_assert(i2d_PrivateKey_bio(b, key));
	opens(b, NULL);
	ck_assert_int_eq(BIO_reset(b), 1);
	ck_assert(PEM_write_bio_PUBKEY(b, key)); /* a public key is none */
	fails(bio_view(b), NULL, "no private key");
	fails(span_of("", 0), NULL, "no private key");
	BIO_free(b);
}
END_TEST

static void encrypted(BIO *b)
{
	opens(b, "secret");
	fails(bio_view(b), NULL, "no passphrase is given");
	fails(bio_view(b), "", "no passphrase is given");
	fails(bio_view(b), "Secret", "does not open");
}

START_TEST(test_encrypted)
{
	static unsigned char pass[] = "secret";
	static char longer[4096];
	BIO *b = BIO_new(BIO_s_mem());

	ck_assert(
	    PEM_write_bio_PKCS8PrivateKey(b, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL));
	encrypted(b);
	memset(longer, 'x', sizeof(longer) - 1); /* more than OpenSSL takes */
	fails(bio_view(b), longer, "does not open");
	ck_assert_int_eq(BIO_reset(b), 1);
	ck_assert(
	    PEM_write_bio_PrivateKey_traditional(b, key, EVP_aes_128_cbc(), pass, 6, NULL, NULL));
	encrypted(b);
	BIO_free(b);
}
END_TEST

START_TEST(test_public)
{
	BIO *b = BIO_new(BIO_s_mem());
	EVP_PKEY *got;
	char why[160] = "";
	uint8_t der[256];

	ck_assert(PEM_write_bio_PUBKEY(b, key));
	ck_assert_int_eq(sig_key_public(bio_view(b), &got, why, sizeof(why)), 0);
	ck_assert_int_eq(EVP_PKEY_eq(got, key), 1);
	EVP_PKEY_free(got);
	ck_assert_int_eq(BIO_reset(b), 1);
	ck_assert(i2d_PUBKEY_bio(b, key));
	ck_assert_int_eq(sig_key_public(bio_view(b), &got, why, sizeof(why)), 0);
	ck_assert_int_eq(EVP_PKEY_eq(got, key), 1);
	EVP_PKEY_free(got);
	struct span v = bio_view(b);
	memcpy(der, v.p, v.len);
	der[v.len] = 0;
	ck_assert_int_eq(sig_key_public(span_of(der, v.len + 1), &got, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "no public key"));
	ck_assert_int_eq(sig_key_public(span_of(der, v.len - 1), &got, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_null(got);
	BIO_free(b);
}
END_TEST

static struct bytes *p12_of(const char *pass, EVP_PKEY *k, X509 *c, STACK_OF(X509) * chain)
{
	static struct bytes out;
	PKCS12 *p12 = PKCS12_create(pass, "name", k, c, chain, 0, 0, 0, 0, 0);
	unsigned char *p = out.b;

	ck_assert_ptr_nonnull(p12);
	ck_assert_int_le(i2d_PKCS12(p12, NULL), (int)sizeof(out.b));
	out.len = (size_t)i2d_PKCS12(p12, &p);
	PKCS12_free(p12);
	return &out;
}

static void p12_fails(const struct bytes *f, const char *pass, const char *says)
{
	EVP_PKEY *k;
	X509 *c;
	STACK_OF(X509) * chain;
	char why[160] = "";

	ck_assert_int_eq(sig_key_pkcs12(view(f), pass, &k, &c, &chain, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, says), "\"%s\" does not say \"%s\"", why, says);
	ck_assert(!k && !c && !chain);
}

static void p12_opens(const struct bytes *f, const char *pass, int further)
{
	EVP_PKEY *k;
	X509 *c;
	STACK_OF(X509) * chain;
	char why[160] = "";

	ck_assert_msg(sig_key_pkcs12(view(f), pass, &k, &c, &chain, why, sizeof(why)) == 0, "%s",
		      why);
	ck_assert_int_eq(EVP_PKEY_eq(k, key), 1);
	ck_assert_int_eq(X509_cmp(c, cert), 0);
	ck_assert_int_eq(chain ? sk_X509_num(chain) : 0, further);
	EVP_PKEY_free(k);
	X509_free(c);
	sk_X509_pop_free(chain, X509_free);
}

START_TEST(test_pkcs12)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *ca = X509_dup(cert);

	ck_assert(ASN1_INTEGER_set(X509_get_serialNumber(ca), 2) &&
		  X509_sign(ca, key, EVP_sha256()));
	sk_X509_push(chain, ca);
	struct bytes *f = p12_of("secret", key, cert, chain);
	p12_opens(f, "secret", 1);
	p12_fails(f, "Secret", "does not open");
	p12_fails(f, NULL, "needs a passphrase");
	f->len -= 1;
	p12_fails(f, "secret", "not a PKCS#12");
	p12_opens(p12_of("secret", key, cert, NULL), "secret", 0);
	f = p12_of("", key, cert, NULL);
	p12_opens(f, "", 0);
	p12_opens(f, NULL, 0);
	p12_fails(p12_of("secret", NULL, cert, NULL), "secret", "lacks");
	p12_fails(p12_of("secret", key, NULL, NULL), "secret", "lacks");
	sk_X509_pop_free(chain, X509_free);
}
END_TEST

Suite *suite_sig_key(void)
{
	Suite *s = suite_create("ike crypto: keys from files");
	TCase *t = tcase_create("sig_key");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_test(t, test_private);
	tcase_add_test(t, test_encrypted);
	tcase_add_test(t, test_public);
	tcase_add_test(t, test_pkcs12);
	suite_add_tcase(s, t);
	return s;
}
