/*
 * ECDSA signatures as RFC 4754 7 carries them, r and s one after the other, each as long as the
 * curve's order; and as OpenSSL makes and takes them, DER.
 */
#ifndef CRYPTO_ECDSA_RAW_H
#define CRYPTO_ECDSA_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "crypto/sig.h"

/* sig[0..*len), DER, becomes r | s of n bytes each, in place; *len what they take. False: it is no
 * such signature. */
bool ecdsa_to_raw(size_t n, uint8_t sig[SIG_LEN_MAX], size_t *len);
/* The DER form of r | s, n bytes each, to out. Returns its length, 0 when sig has another length
 * than 2 * n or there is no memory. */
size_t ecdsa_from_raw(size_t n, struct span sig, uint8_t out[SIG_LEN_MAX]);

#endif
