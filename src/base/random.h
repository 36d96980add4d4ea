/* The one source of randomness. Tests replace it. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills p[0..n) with cryptographically strong random bytes. */
void random_bytes(void *p, size_t n);
uint32_t random_u32(void);
uint64_t random_u64(void);
/* Replaces the source; NULL restores libsodium's. Not while other threads run. */
void random_set_source(void (*fill)(void *p, size_t n));

#endif
