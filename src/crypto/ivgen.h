/*
 * Unpredictable IVs for CBC (RFC 3602 3), one generator per thread: a ChaCha20 keystream in 4 KiB
 * pieces. Every refill takes its next key from the front of the piece just made, so neither earlier
 * nor later IVs follow from what is in memory.
 */
#ifndef CRYPTO_IVGEN_H
#define CRYPTO_IVGEN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define IVGEN_PIECE 4096

struct ivgen {
	size_t used;     /* bytes of piece handed out, the next key included */
	uint8_t key[32]; /* of the next refill */
	uint8_t piece[IVGEN_PIECE];
};

/* A generator seeded from base/random, in guarded memory; NULL when out of memory. */
struct ivgen *ivgen_new(void);
/* Wipes and frees; NULL is allowed. */
void ivgen_free(struct ivgen *g);
/* Makes the next piece. */
void ivgen_refill(struct ivgen *g);

/* Writes n bytes (8 or 16) to out. No system call. */
static inline void ivgen_take(struct ivgen *g, uint8_t *out, size_t n)
{
	if (unlikely(g->used + n > IVGEN_PIECE))
		ivgen_refill(g);
	memcpy(out, g->piece + g->used, n);
	g->used += n;
}

#endif
