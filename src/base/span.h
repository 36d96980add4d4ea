/* Views and owned buffers of bytes. A span borrows, a buf owns. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed, read-only run of bytes. */
struct span {
	const uint8_t *p;
	size_t len;
};

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span) { .p = p, .len = len };
}

static inline int span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* An owned, writable run of bytes from malloc(); free with buf_fini(). */
struct buf {
	uint8_t *p;
	size_t len;
};

#endif
