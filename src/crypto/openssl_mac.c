/* See openssl_mac.h. A key and a message enter, a MAC of full length leaves; the caller truncates.
 */
#include "crypto/openssl_mac.h"

#include <errno.h>
#include <openssl/core_names.h>

#include "base/secret.h"

static struct {
	EVP_MAC *hmac, *cmac;
	EVP_CIPHER *cbc, *ecb;
} alg;

int ossl_mac_start(void)
{
	alg.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	alg.cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	alg.cbc = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	alg.ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	return alg.hmac && alg.cmac && alg.cbc && alg.ecb ? 0 : -ENOTSUP;
}

static const char *digest_name(enum integ_id id)
{
	switch (id) {
	case INTEG_HMAC_MD5_96:
		return "MD5";
	case INTEG_HMAC_SHA1_96:
		return "SHA1";
	case INTEG_HMAC_SHA2_256_128:
		return "SHA256";
	case INTEG_HMAC_SHA2_384_192:
		return "SHA384";
	case INTEG_HMAC_SHA2_512_256:
		return "SHA512";
	default:
		return NULL;
	}
}

/* RFC 3566 4.2: K1, K2, K3 are the key's encryptions of the blocks 01.., 02.., 03.. */
static int xcbc_init(struct ossl_mac *m, struct span key)
{
	uint8_t in[48], keys[64];
	int n = 0, rc = -ENOMEM;
	EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();

	memset(in, 1, 16);
	memset(in + 16, 2, 16);
	memset(in + 32, 3, 16);
	m->cbc = EVP_CIPHER_CTX_new();
	if (ecb && m->cbc && EVP_EncryptInit_ex2(ecb, alg.ecb, key.p, NULL, NULL) &&
	    EVP_CIPHER_CTX_set_padding(ecb, 0) &&
	    EVP_EncryptUpdate(ecb, keys, &n, in, sizeof(in)) &&
	    EVP_EncryptInit_ex2(m->cbc, alg.cbc, keys, NULL, NULL) &&
	    EVP_CIPHER_CTX_set_padding(m->cbc, 0)) {
		memcpy(m->k2, keys + 16, 16);
		memcpy(m->k3, keys + 32, 16);
		rc = 0;
	}
	EVP_CIPHER_CTX_free(ecb);
	wipe(keys, sizeof(keys));
	return rc;
}

static int evp_mac_start(struct ossl_mac *m, enum integ_id id, struct span key)
{
	const char *digest = digest_name(id);
	char cipher[] = "AES-128-CBC";
	OSSL_PARAM params[2] = { OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end() };

	if (digest)
		params[0] =
		    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0);
	else if (id == INTEG_AES_CMAC_96)
		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0);
	else
		return -ENOTSUP;
	m->mac = EVP_MAC_CTX_new(digest ? alg.hmac : alg.cmac);
	if (!m->mac)
		return -ENOMEM;
	return EVP_MAC_init(m->mac, key.p, key.len, params) ? 0 : -ENOTSUP;
}

int ossl_mac_init(struct ossl_mac *m, enum integ_id id, struct span key)
{
	int rc = id == INTEG_AES_XCBC_96 ? xcbc_init(m, key) : evp_mac_start(m, id, key);

	if (rc)
		ossl_mac_fini(m);
	return rc;
}

void ossl_mac_fini(struct ossl_mac *m)
{
	EVP_MAC_CTX_free(m->mac);
	EVP_CIPHER_CTX_free(m->cbc);
	wipe(m, sizeof(*m));
}

/*
 * RFC 3566 4: CBC with a zero IV over all blocks but the last, which is mixed with K2 when full,
 * else padded with 10..0 and mixed with K3. The library's CBC keeps the chain; its output before
 * the last block is not needed.
 */
static bool xcbc_compute(const struct ossl_mac *m, struct span data, struct span tail,
			 uint8_t out[64])
{
	static const uint8_t zero[16];
	uint8_t sink[512], last[32] = { 0 };
	size_t total = data.len + tail.len;
	size_t before = total ? (total - 1) / 16 * 16 : 0; /* bytes in front of the last block */
	size_t head = before < data.len ? before : data.len / 16 * 16;
	size_t left = total - head; /* at most 31: the end of data and the tail */
	int n = 0;

	if (!EVP_EncryptInit_ex2(m->cbc, NULL, NULL, zero, NULL))
		return false;
	for (size_t at = 0; at < head; at += sizeof(sink)) {
		size_t piece = head - at < sizeof(sink) ? head - at : sizeof(sink);
		if (!EVP_EncryptUpdate(m->cbc, sink, &n, data.p + at, (int)piece))
			return false;
	}
	if (data.len > head)
		memcpy(last, data.p + head, data.len - head);
	if (tail.len)
		memcpy(last + (data.len - head), tail.p, tail.len);
	uint8_t *b = last;
	if (left > 16) {
		if (!EVP_EncryptUpdate(m->cbc, sink, &n, b, 16))
			return false;
		b += 16;
		left -= 16;
	}
	if (left < 16)
		b[left] = 0x80;
	for (unsigned i = 0; i < 16; i++)
		b[i] ^= left == 16 ? m->k2[i] : m->k3[i];
	return EVP_EncryptUpdate(m->cbc, out, &n, b, 16) == 1;
}

bool ossl_mac_compute(const struct ossl_mac *m, struct span data, struct span tail, uint8_t out[64])
{
	size_t n = 0;

	if (m->cbc)
		return xcbc_compute(m, data, tail, out);
	/* Without a key, init starts over under the one given first. */
	if (!EVP_MAC_init(m->mac, NULL, 0, NULL) ||
	    (data.len && !EVP_MAC_update(m->mac, data.p, data.len)) ||
	    (tail.len && !EVP_MAC_update(m->mac, tail.p, tail.len)))
		return false;
	return EVP_MAC_final(m->mac, out, &n, 64) == 1;
}
