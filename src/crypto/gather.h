/*
 * One run of bytes out of several: the MACs and signatures of IKE cover a message, a nonce and an
 * identity that lie in different places, and Ed25519 or AES-XCBC want them in one. Short ones stay
 * on the stack; all are wiped when done.
 */
#ifndef CRYPTO_GATHER_H
#define CRYPTO_GATHER_H

#include <errno.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/span.h"

struct gather {
	uint8_t *p; /* room, or from malloc() */
	size_t len;
	uint8_t room[768];
};

/* Copies v[0..n) one after the other. Returns 0 or -ENOMEM; after 0 end with gather_fini(). */
static inline int warn_unused gather_init(struct gather *g, const struct span *v, unsigned n)
{
	size_t len = 0, at = 0;

	for (unsigned i = 0; i < n; i++)
		len += v[i].len;
	g->len = len;
	g->p = len <= sizeof(g->room) ? g->room : malloc(len);
	if (!g->p)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (v[i].len)
			memcpy(g->p + at, v[i].p, v[i].len);
		at += v[i].len;
	}
	return 0;
}

static inline struct span gather_view(const struct gather *g)
{
	return span_of(g->p, g->len);
}

static inline void gather_fini(struct gather *g)
{
	wipe(g->p, g->len);
	if (g->p != g->room)
		free(g->p);
	g->p = NULL;
}

#endif
