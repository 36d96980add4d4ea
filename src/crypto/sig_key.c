/* Keys of sig.h from files: the bytes of one enter, a key or a sentence that says why not leaves.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>

#include "crypto/sig.h"

struct asked {
	const char *pass;
	bool was; /* the file is encrypted */
};

static int say(char *why, unsigned whylen, const char *text)
{
	ERR_clear_error();
	if (why && whylen)
		snprintf(why, whylen, "%s", text);
	return -EINVAL;
}

/* OpenSSL asks for the passphrase only when the file is encrypted. */
static int give_pass(char *buf, int size, int writing, void *arg)
{
	struct asked *a = arg;
	size_t len = a->pass ? strlen(a->pass) : 0;

	a->was = true;
	if (len == 0 || len > (size_t)size)
		return -1;
	memcpy(buf, a->pass, len);
	return (int)len;
}

int sig_key_private(struct span file, const char *pass, EVP_PKEY **out, char *why, unsigned whylen)
{
	struct asked a = { .pass = pass };
	const unsigned char *p = file.p;
	BIO *bio = file.len <= INT_MAX ? BIO_new_mem_buf(file.p, (int)file.len) : NULL;

	*out = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_pass, &a) : NULL;
	BIO_free(bio);
	if (!*out && bio && !a.was)
		*out = d2i_AutoPrivateKey(NULL, &p, (long)file.len);
	if (*out) {
		ERR_clear_error();
		return 0;
	}
	if (!a.was)
		return say(why, whylen, "no private key found; expected PEM (or DER)");
	return say(why, whylen,
		   pass && *pass ? "the passphrase does not open the private key"
				 : "the private key is encrypted and no passphrase is given");
}

int sig_key_public(struct span file, EVP_PKEY **out, char *why, unsigned whylen)
{
	const unsigned char *p = file.p;
	BIO *bio = file.len <= INT_MAX ? BIO_new_mem_buf(file.p, (int)file.len) : NULL;

	*out = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	if (!*out && bio) {
		*out = d2i_PUBKEY(NULL, &p, (long)file.len);
		if (*out && p != file.p + file.len) {
			EVP_PKEY_free(*out);
			*out = NULL;
		}
	}
	if (!*out)
		return say(why, whylen,
			   "no public key found; expected a SubjectPublicKeyInfo in PEM or DER");
	ERR_clear_error();
	return 0;
}

int sig_key_pkcs12(struct span file, const char *pass, EVP_PKEY **key, X509 **cert,
		   STACK_OF(X509) * *chain, char *why, unsigned whylen)
{
	const unsigned char *p = file.p;
	PKCS12 *p12 = file.len <= LONG_MAX ? d2i_PKCS12(NULL, &p, (long)file.len) : NULL;
	const char *no = NULL;

	*key = NULL;
	*cert = NULL;
	*chain = NULL;
	if (!p12)
		return say(why, whylen, "not a PKCS#12 file");
	/* Without a passphrase some programs use none and some an empty one. */
	bool opens = PKCS12_verify_mac(p12, pass, -1) == 1 ||
		     ((!pass || !*pass) && PKCS12_verify_mac(p12, pass ? NULL : "", -1) == 1);
	if (!opens)
		no = pass && *pass ? "the passphrase does not open the PKCS#12 file"
				   : "the PKCS#12 file needs a passphrase";
	else if (!PKCS12_parse(p12, pass, key, cert, chain))
		no = "the PKCS#12 file uses an old cipher that OpenSSL no longer reads; export it "
		     "again";
	else if (!*key || !*cert)
		no = "the PKCS#12 file lacks a private key or its certificate";
	PKCS12_free(p12);
	if (!no) {
		ERR_clear_error();
		return 0;
	}
	EVP_PKEY_free(*key);
	X509_free(*cert);
	sk_X509_pop_free(*chain, X509_free);
	*key = NULL;
	*cert = NULL;
	*chain = NULL;
	return say(why, whylen, no);
}
