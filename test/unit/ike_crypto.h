/* What the tests of IKE's primitives share. */
#ifndef TEST_IKE_CRYPTO_H
#define TEST_IKE_CRYPTO_H

#include "base/secret.h"
#include "crypto_util.h"

struct bytes {
	uint8_t b[4096];
	size_t len;
};

/* Hex to bytes; fails the test when it is not hex. */
struct bytes *bytes_of(const char *hex);
struct span view(const struct bytes *b);
/* The folder of vectors from elsewhere; NULL, having said so, where it is absent. */
const char *vectors_folder(void);

Suite *suite_prf(void);
Suite *suite_sk(void);
Suite *suite_dh(void);
Suite *suite_dh_json(void);
Suite *suite_sig(void);
Suite *suite_sig_key(void);

#endif
