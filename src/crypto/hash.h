/* Plain hashes by number: NAT detection, cookies, certificate hashes, RFC 7427 and all of IKEv1. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"

/* IANA's "IKEv2 Hash Algorithms" (RFC 7427 7, RFC 8420 2); MD5 has no number there, IKEv1 needs
 * it. */
enum hash_id {
	HASH_SHA1 = 1,
	HASH_SHA2_256 = 2,
	HASH_SHA2_384 = 3,
	HASH_SHA2_512 = 4,
	HASH_IDENTITY = 5, /* the signature hashes by itself: Ed25519, Ed448 */
	HASH_MD5 = 0x10000,
};

#define HASH_LEN_MAX 64u

/* Bytes of the hash; 0 when the number is unknown or HASH_IDENTITY. */
size_t hash_len(enum hash_id id);
/* OpenSSL's name of it; NULL when unknown or HASH_IDENTITY. */
const char *hash_name(enum hash_id id);
/* Hashes v[0] | v[1] | ... into out, hash_len(id) bytes. Returns 0, -ENOTSUP or -ENOMEM. */
int hash_compute(enum hash_id id, const struct span *v, unsigned n,
		 uint8_t out[HASH_LEN_MAX]) warn_unused;

#endif
