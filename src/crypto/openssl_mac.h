/*
 * The integrity algorithms of the OpenSSL backend, one context per thread: HMAC and CMAC are the
 * library's; AES-XCBC (RFC 3566), which it lacks, is put together from its AES-CBC.
 */
#ifndef CRYPTO_OPENSSL_MAC_H
#define CRYPTO_OPENSSL_MAC_H

#include <openssl/evp.h>

#include "base/span.h"
#include "crypto/transform.h"

struct ossl_mac {
	EVP_MAC_CTX *mac;    /* HMAC, CMAC */
	EVP_CIPHER_CTX *cbc; /* AES-XCBC: AES-128-CBC under K1 */
	uint8_t k2[16], k3[16];
};

/* Fetches the algorithms. Returns 0 or -ENOTSUP. */
int ossl_mac_start(void) warn_unused;
/* Returns 0, -ENOTSUP or -ENOMEM; on failure nothing is left. key has the transform's length. */
int ossl_mac_init(struct ossl_mac *m, enum integ_id id, struct span key) warn_unused;
/* Wipes and frees what *m owns. */
void ossl_mac_fini(struct ossl_mac *m);
/* The MAC, untruncated, of data and the tail (0..15 bytes) that follows it elsewhere. */
bool ossl_mac_compute(const struct ossl_mac *m, struct span data, struct span tail,
		      uint8_t out[64]);

#endif
