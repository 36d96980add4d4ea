/* What the tests of the crypto folder share. */
#ifndef TEST_CRYPTO_UTIL_H
#define TEST_CRYPTO_UTIL_H

#include <check.h>

#include "crypto/backend.h"

/* Longest packet of the tests with room on both sides. */
enum { PKT_MARGIN = 64, PKT_ROOM = 65536 + 512 };

/* Parses a suite; fails the test when it is none. */
struct esp_suite suite_of(const char *name);
/* Makes a key by one backend. Returns NULL when that backend cannot do the suite. threads = 1. */
struct crypt_key *key_of(enum crypt_backend b, const struct esp_suite *s, enum crypt_dir dir,
			 bool esn, struct span encr, struct span integ);
/* A key from hex; missing salt and integrity key are zero. */
struct crypt_key *key_of_hex(enum crypt_backend b, const struct esp_suite *s, enum crypt_dir dir,
			     const char *encr, const char *integ);
/* Calls cb for every suite there is: every cipher, key size and, where needed, integrity. */
void suites_each(void (*cb)(const struct esp_suite *s, void *arg), void *arg);
/* Hex to bytes; fails the test when it is not hex. Returns the length. */
size_t unhex(const char *hex, uint8_t *out, size_t max);
/* Compares and on difference prints both. */
void check_bytes(const char *what, struct span got, struct span want);
/* A cheap reproducible generator for lengths and contents. */
uint32_t pick(uint32_t below);
void pick_bytes(uint8_t *p, size_t n);

/* Test cases, one file each. */
Suite *suite_transform(void);
Suite *suite_crypt(void);
Suite *suite_rfc(void);
Suite *suite_json(void);
Suite *suite_cross(void);

#endif
