/*
 * Memory for secrets: between inaccessible pages, locked against swap, left out of core dumps, wiped
 * when freed. A struct secret owns a key as configured or negotiated; a secret_alloc() block holds a
 * cipher's expanded keys. Both are blocks of shared guarded regions, so that 100,000 SAs do not cost
 * 100,000 guard pages; a struct secret of more than 2 KiB has pages of its own (libsodium).
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"

struct secret {
	uint8_t *p; /* NULL when empty */
	size_t len; /* bytes */
};

/* Call once before anything else of this header. Returns 0 or -ENOTSUP. */
int secret_init(void) warn_unused;

/* Makes *s own a fresh zeroed block of len bytes. Returns 0 or -ENOMEM. */
int secret_new(struct secret *s, size_t len) warn_unused;
/* Makes *s own a copy of v; the caller wipes its own. Returns 0 or -ENOMEM. */
int secret_copy(struct secret *s, struct span v) warn_unused;
/* Moves: the result owns, *from is empty. */
struct secret secret_take(struct secret *from);
/* Wipes and frees; *s is empty after. */
void secret_free(struct secret *s);
/* Compares in constant time (for equal lengths). */
bool secret_eq(const struct secret *a, const struct secret *b);
static inline struct span secret_view(const struct secret *s)
{
	return span_of(s->p, s->len);
}

/* A zeroed block of len bytes, 64-byte aligned, inside a shared guarded region. NULL when out of
 * memory. Thread-safe; not for the packet path. */
void *secret_alloc(size_t len);
/* Wipes and gives back a block from secret_alloc(); len as it was asked for. NULL is allowed. */
void secret_release(void *p, size_t len);
/* Bytes of guarded memory handed out by secret_alloc(), and for secrets of up to 2 KiB, and not yet
 * released. */
size_t secret_in_use(void);

/* Wipes memory in a way the compiler cannot leave out. */
void wipe(void *p, size_t len);

#endif
