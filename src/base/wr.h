/*
 * The bounded writer: appends to memory the caller lends, never past its end. The first overrun sets
 * a sticky error; wr_ok() is asked once, at the end. Lengths that are known only later are
 * reserved with wr_hole16() and filled in by wr_fill16().
 */
#ifndef BASE_WR_H
#define BASE_WR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/span.h"

struct wr {
	uint8_t *base; /* first byte of the lent memory */
	size_t len;    /* bytes written */
	size_t cap;    /* bytes lent */
	bool bad;      /* an overrun happened; sticky */
};

static inline struct wr wr_of(void *p, size_t cap)
{
	return (struct wr) { .base = p, .cap = cap };
}

static inline bool wr_ok(const struct wr *w)
{
	return !w->bad;
}

/* Makes room for n bytes and returns it uninitialised; NULL and the sticky error when full. */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	uint8_t *q = w->base + w->len;
	w->len += n;
	return q;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *q = wr_room(w, 1);
	if (q)
		*q = v;
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
	uint8_t *q = wr_room(w, 2);
	if (q)
		store_be16(q, v);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
	uint8_t *q = wr_room(w, 4);
	if (q)
		store_be32(q, v);
}

static inline void wr_be64(struct wr *w, uint64_t v)
{
	uint8_t *q = wr_room(w, 8);
	if (q)
		store_be64(q, v);
}

static inline void wr_bytes(struct wr *w, const void *p, size_t n)
{
	uint8_t *q = wr_room(w, n);
	if (q && n)
		memcpy(q, p, n);
}

static inline void wr_zero(struct wr *w, size_t n)
{
	uint8_t *q = wr_room(w, n);
	if (q && n)
		memset(q, 0, n);
}

/* Reserves a 16-bit field and returns its offset for wr_fill16(). */
static inline size_t wr_hole16(struct wr *w)
{
	size_t at = w->len;
	wr_be16(w, 0);
	return at;
}

static inline void wr_fill16(struct wr *w, size_t at, uint16_t v)
{
	if (!w->bad && at + 2 <= w->len)
		store_be16(w->base + at, v);
}

static inline struct span wr_view(const struct wr *w)
{
	return span_of(w->base, w->bad ? 0 : w->len);
}

#endif
