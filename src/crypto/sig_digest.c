/* See sig_digest.h. */
#include "crypto/sig_digest.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

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

static bool der_to_raw(size_t n, uint8_t *sig, size_t *len)
{
	const unsigned char *p = sig;
	ECDSA_SIG *e = d2i_ECDSA_SIG(NULL, &p, (long)*len);
	bool ok = e && BN_bn2binpad(ECDSA_SIG_get0_r(e), sig, (int)n) == (int)n &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(e), sig + n, (int)n) == (int)n;

	*len = 2 * n;
	ECDSA_SIG_free(e);
	return ok;
}

/* Returns the length of the DER form, 0 when out of memory. */
static size_t raw_to_der(size_t n, struct span sig, uint8_t out[SIG_LEN_MAX])
{
	unsigned char *p = out;
	int len = 0;
	ECDSA_SIG *e = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig.p, (int)n, NULL), *t = BN_bin2bn(sig.p + n, (int)n, NULL);

	if (e && r && t && ECDSA_SIG_set0(e, r, t)) {
		r = t = NULL; /* e's now */
		len = i2d_ECDSA_SIG(e, &p);
	}
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(e);
	return len > 0 ? (size_t)len : 0;
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
		 (!n || der_to_raw(n, out, &out_len)))
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
		sig = span_of(der, raw_to_der(n, sig, der));
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
