/* See sig_digest.h. */
#include "crypto/sig_digest.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "crypto/ecdsa_raw.h"

static const enum sig_id ec_rows[] = { SIG_ECDSA_256_RAW, SIG_ECDSA_384_RAW, SIG_ECDSA_521_RAW };

/* The row of RFC 4754 for the key; NULL when it is no EC key of the three curves. */
static const struct sig_info *ec_row(const EVP_PKEY *key)
{
	for (unsigned i = 0; i < ARRAY_LEN(ec_rows); i++)
		if (sig_fits(sig_info(ec_rows[i]), key))
			return sig_info(ec_rows[i]);
	return NULL;
}

bool sig_digest_fits(const EVP_PKEY *key)
{
	return ec_row(key) || sig_fits(sig_info(SIG_RSA_SHA1), key);
}

enum hash_id sig_digest_hash(const EVP_PKEY *key)
{
	const struct sig_info *ec = ec_row(key);

	return ec ? ec->hash : (enum hash_id)0;
}

/* Bytes of r and of s; 0 for RSA. */
static size_t coord(const EVP_PKEY *key)
{
	return ec_row(key) ? ((size_t)EVP_PKEY_get_bits(key) + 7) / 8 : 0;
}

int sig_digest_sign(EVP_PKEY *key, struct span digest, uint8_t out[SIG_LEN_MAX], size_t *len)
{
	size_t n = coord(key), out_len = SIG_LEN_MAX;

	*len = 0;
	if (!sig_digest_fits(key))
		return -EKEYREJECTED;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	int rc = -EIO;
	if (!c)
		rc = -ENOMEM;
	else if (EVP_PKEY_sign_init(c) <= 0 ||
		 (!n && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) <= 0))
		rc = -EKEYREJECTED;
	else if (EVP_PKEY_sign(c, out, &out_len, digest.p, digest.len) > 0 &&
		 (!n || ecdsa_to_raw(n, out, &out_len)))
		rc = 0;
	if (rc == 0)
		*len = out_len;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return rc;
}

int sig_digest_verify(EVP_PKEY *key, struct span digest, struct span sig)
{
	uint8_t der[SIG_LEN_MAX];
	size_t n = coord(key);

	if (!sig_digest_fits(key))
		return -EKEYREJECTED;
	if (n && sig.len != 2 * n)
		return -EBADMSG;
	if (n)
		sig = span_of(der, ecdsa_from_raw(n, sig, der));
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	int rc = -EBADMSG;
	if (!c)
		rc = -ENOMEM;
	else if (EVP_PKEY_verify_init(c) <= 0 ||
		 (!n && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) <= 0))
		rc = -EKEYREJECTED;
	else if (EVP_PKEY_verify(c, sig.p, sig.len, digest.p, digest.len) == 1)
		rc = 0;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return rc;
}
