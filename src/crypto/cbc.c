/* See cbc.h. Single DES is EDE with three equal keys, as in openssl.c. */
#include "crypto/cbc.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/secret.h"

static const struct {
	enum encr_id id;
	uint8_t key_len, block;
	const char *name;
} rows[] = {
	{ ENCR_DES, 8, 8, "DES-EDE3-CBC" },      { ENCR_3DES, 24, 8, "DES-EDE3-CBC" },
	{ ENCR_AES_CBC, 16, 16, "AES-128-CBC" }, { ENCR_AES_CBC, 24, 16, "AES-192-CBC" },
	{ ENCR_AES_CBC, 32, 16, "AES-256-CBC" },
};

unsigned cbc_block(enum encr_id e)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].id == e)
			return rows[i].block;
	return 0;
}

static const char *name_of(enum encr_id e, size_t key_len)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].id == e && rows[i].key_len == key_len)
			return rows[i].name;
	return NULL;
}

int cbc_crypt(enum encr_id e, bool encrypt, struct span key, uint8_t iv[CBC_BLOCK_MAX], uint8_t *p,
	      size_t len)
{
	const char *name = name_of(e, key.len);
	unsigned block = cbc_block(e);
	uint8_t k[32], last[CBC_BLOCK_MAX];
	int n = 0, rc = -EINVAL;

	if (!name || len == 0 || len % block || len > INT_MAX)
		return -EINVAL;
	memcpy(k, key.p, key.len);
	if (e == ENCR_DES) {
		memcpy(k + 8, key.p, 8);
		memcpy(k + 16, key.p, 8);
	}
	memcpy(last, p + len - block, block);
	EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	if (!x)
		rc = -ENOMEM;
	else if (c && EVP_CipherInit_ex2(x, c, k, iv, encrypt, NULL) &&
		 EVP_CIPHER_CTX_set_padding(x, 0) && EVP_CipherUpdate(x, p, &n, p, (int)len) &&
		 n == (int)len)
		rc = 0;
	memcpy(iv, encrypt ? p + len - block : last, block);
	EVP_CIPHER_CTX_free(x);
	EVP_CIPHER_free(c);
	wipe(k, sizeof(k));
	ERR_clear_error();
	return rc;
}
