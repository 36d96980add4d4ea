/* See ivgen.h. */
#include "crypto/ivgen.h"

#include <sodium.h>

#include "base/random.h"
#include "base/secret.h"

struct ivgen *ivgen_new(void)
{
	struct ivgen *g = secret_alloc(sizeof(*g));

	if (!g)
		return NULL;
	random_bytes(g->key, sizeof(g->key));
	ivgen_refill(g);
	return g;
}

void ivgen_free(struct ivgen *g)
{
	secret_release(g, sizeof(*g));
}

void ivgen_refill(struct ivgen *g)
{
	/* The key is used once, so a constant nonce repeats nothing. */
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	crypto_stream_chacha20(g->piece, sizeof(g->piece), nonce, g->key);
	memcpy(g->key, g->piece, sizeof(g->key));
	wipe(g->piece, sizeof(g->key));
	g->used = sizeof(g->key);
}
