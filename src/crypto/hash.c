/* See hash.h. */
#include "crypto/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>

static const struct {
	enum hash_id id;
	size_t len;
	const char *name;
} rows[] = {
	{ HASH_SHA1, 20, "SHA1" },       { HASH_SHA2_256, 32, "SHA256" },
	{ HASH_SHA2_384, 48, "SHA384" }, { HASH_SHA2_512, 64, "SHA512" },
	{ HASH_MD5, 16, "MD5" },
};

size_t hash_len(enum hash_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].id == id)
			return rows[i].len;
	return 0;
}

const char *hash_name(enum hash_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].id == id)
			return rows[i].name;
	return NULL;
}

int hash_compute(enum hash_id id, const struct span *v, unsigned n, uint8_t out[HASH_LEN_MAX])
{
	const char *name = hash_name(id);

	if (!name)
		return -ENOTSUP;
	EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int rc = md ? -ENOMEM : -ENOTSUP;
	if (md && c && EVP_DigestInit_ex2(c, md, NULL)) {
		bool ok = true;
		for (unsigned i = 0; ok && i < n; i++)
			ok = v[i].len == 0 || EVP_DigestUpdate(c, v[i].p, v[i].len);
		if (ok && EVP_DigestFinal_ex(c, out, NULL))
			rc = 0;
	}
	EVP_MD_CTX_free(c);
	EVP_MD_free(md);
	return rc;
}
