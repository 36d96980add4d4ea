/*
 * CBC by itself: whole blocks with an IV that the caller keeps, nothing authenticated. Only for
 * IKEv1, whose messages of one exchange are one CBC chain (RFC 2409 appendix B); everything newer
 * uses crypt.h or sk.h. A few messages a minute, so the cipher is expanded for each.
 */
#ifndef CRYPTO_CBC_H
#define CRYPTO_CBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/transform.h"

#define CBC_BLOCK_MAX 16u

/* Bytes of a block of DES, 3DES or AES in CBC mode; 0 for other ciphers. */
unsigned cbc_block(enum encr_id e);
/*
 * Encrypts (or decrypts) p[0..len) in place; len is a multiple of the block. iv: cbc_block() bytes,
 * and on return the last block of ciphertext, which is the next IV of the chain. Returns 0, -EINVAL
 * (cipher, key or text length) or -ENOMEM; then p and iv are undefined.
 */
int cbc_crypt(enum encr_id e, bool encrypt, struct span key, uint8_t iv[CBC_BLOCK_MAX], uint8_t *p,
	      size_t len) warn_unused;

#endif
