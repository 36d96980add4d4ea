/* The transforms ESP and AH can use, by IANA number and by strongSwan's keyword: one table. */
#ifndef CRYPTO_TRANSFORM_H
#define CRYPTO_TRANSFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* IKEv2 transform type 1 (encryption), IANA numbers */
enum encr_id {
	ENCR_NONE = 0,
	ENCR_DES = 2,
	ENCR_3DES = 3,
	ENCR_NULL = 11,
	ENCR_AES_CBC = 12,
	ENCR_AES_CTR = 13,
	ENCR_AES_CCM_8 = 14,
	ENCR_AES_CCM_12 = 15,
	ENCR_AES_CCM_16 = 16,
	ENCR_AES_GCM_8 = 18,
	ENCR_AES_GCM_12 = 19,
	ENCR_AES_GCM_16 = 20,
	ENCR_NULL_AUTH_AES_GMAC = 21,
	ENCR_CHACHA20_POLY1305 = 28,
};

/* IKEv2 transform type 3 (integrity) */
enum integ_id {
	INTEG_NONE = 0,
	INTEG_HMAC_MD5_96 = 1,
	INTEG_HMAC_SHA1_96 = 2,
	INTEG_AES_XCBC_96 = 5,
	INTEG_AES_CMAC_96 = 8,
	INTEG_AES_128_GMAC =
	    9, /* these three: of AH alone, as IKE writes them; a suite has them as its */
	INTEG_AES_192_GMAC =
	    10, /* cipher, ENCR_NULL_AUTH_AES_GMAC (RFC 4543 9); see ah_suite_make() */
	INTEG_AES_256_GMAC = 11,
	INTEG_HMAC_SHA2_256_128 = 12,
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
};

struct encr_info {
	enum encr_id id;
	const char *name;         /* as IANA writes it */
	uint8_t min_key, max_key; /* bytes, without salt; AES: 16, 24, 32 */
	uint8_t key_step;         /* bytes between allowed sizes; 0 when min == max */
	uint8_t salt_len; /* bytes that follow the key in the keying material (RFC 4106 8.1) */
	uint8_t iv_len;   /* explicit IV in the packet */
	uint8_t block; /* padding granularity of the plaintext before the 4-byte alignment of ESP (1
			  for streams) */
	uint8_t icv_len; /* combined mode: length of the ICV; else 0 */
	bool aead;
	bool weak; /* needs allow_weak */
	const char *rfc;
};

struct integ_info {
	enum integ_id id;
	const char *name;
	uint8_t key_len;
	uint8_t icv_len;
	bool weak;
	const char *rfc;
};

/* Rows; NULL when the number is unknown. */
const struct encr_info *encr_info(enum encr_id id);
const struct integ_info *integ_info(enum integ_id id);

/* A cipher suite for ESP: what one `cipher` and `integrity` line say. */
struct esp_suite {
	const struct encr_info *encr;
	const struct integ_info *integ; /* NULL for combined modes and for none */
	uint8_t key_len;                /* encryption key in bytes, without salt */
	uint8_t iv_len, icv_len;
	uint8_t align; /* the ESP payload is padded to a multiple of this: max(4, block) */
	bool weak;
};

/*
 * Keywords (strongSwan's): encryption "aes128gcm16", "aes256gcm8", "aes192ccm12", "aes128ctr",
 * "aes128", "aes256" (CBC), "3des", "des", "null", "chacha20poly1305", "aes128gmac"; integrity
 * "sha1", "md5", "sha256", "sha384", "sha512", "aesxcbc", "aescmac". Returns 0, or -EINVAL with a
 * sentence in why[whylen] (what was found, what was expected). encr_keyword may also hold both,
 * joined by '-': "aes128-sha256"; integ_keyword may be NULL.
 */
int esp_suite_parse(const char *encr_keyword, const char *integ_keyword, struct esp_suite *out,
		    char *why, unsigned whylen) warn_unused;
/* Same rules by number. key_len in bytes without salt (0: the only or default size). Refuses NULL
 * without integrity, integrity beside a combined mode, and a cipher that needs integrity without
 * one. */
int esp_suite_make(enum encr_id e, unsigned key_len, enum integ_id i, struct esp_suite *out,
		   char *why, unsigned whylen) warn_unused;
/* The suite of AH with an integrity transform: NULL and that one, or GMAC of its key size. */
int ah_suite_make(enum integ_id i, struct esp_suite *out, char *why, unsigned whylen) warn_unused;
/* Key in bytes of a GMAC among the integrity transforms, without salt; 0: it is none. And the other
 * way round: INTEG_NONE. */
unsigned ah_gmac_key_len(enum integ_id i);
enum integ_id ah_gmac_of(unsigned key_len);
/* The suite as keywords, e.g. "aes128gcm16" or "aes256-sha256". */
const char *esp_suite_name(const struct esp_suite *s, char out[48]);
/* Calls cb for every row in table order, for `version`, tests and documentation. */
void encr_each(void (*cb)(const struct encr_info *e, void *arg), void *arg);
void integ_each(void (*cb)(const struct integ_info *i, void *arg), void *arg);

#endif
