/*
 * The bounded reader: network bytes are taken from the front and nothing past the end can be
 * reached. The first overrun sets a sticky error, after which every take yields nothing, so a
 * parser may read a whole structure and ask rd_ok() once.
 */
#ifndef BASE_RD_H
#define BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"

struct rd {
	const uint8_t *p; /* next byte */
	size_t left;      /* bytes not yet taken */
	bool bad;         /* an overrun happened; sticky */
};

static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd) { .p = p, .left = len };
}

static inline bool rd_ok(const struct rd *r)
{
	return !r->bad;
}

/* True when everything was taken and nothing went wrong. */
static inline bool rd_end(const struct rd *r)
{
	return !r->bad && r->left == 0;
}

/* Takes n bytes; NULL and the sticky error when there are fewer. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	const uint8_t *q = r->p;
	r->p += n;
	r->left -= n;
	return q;
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *q = rd_take(r, 1);
	return q ? *q : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *q = rd_take(r, 2);
	return q ? load_be16(q) : 0;
}

static inline uint32_t rd_be32(struct rd *r)
{
	const uint8_t *q = rd_take(r, 4);
	return q ? load_be32(q) : 0;
}

static inline uint64_t rd_be64(struct rd *r)
{
	const uint8_t *q = rd_take(r, 8);
	return q ? load_be64(q) : 0;
}

/* Takes n bytes as a view into the same memory. */
static inline struct span rd_span(struct rd *r, size_t n)
{
	const uint8_t *q = rd_take(r, n);
	return q ? span_of(q, n) : span_of(NULL, 0);
}

/* Takes n bytes as a reader of their own, which cannot see its neighbour. */
static inline struct rd rd_child(struct rd *r, size_t n)
{
	const uint8_t *q = rd_take(r, n);
	return q ? rd_of(q, n) : (struct rd) { .bad = true };
}

#endif
