/* A buffer that grows up to its limit and is moved to the front when space runs out. */
#include "control/linebuf.h"

#include <string.h>

#include "control/wiped.h"

#define STEP 4096

void linebuf_init(struct linebuf *b, size_t max)
{
	*b = (struct linebuf){ .max = max };
}

void linebuf_fini(struct linebuf *b)
{
	wiped_free(b->p);
	*b = (struct linebuf){ .max = b->max };
}

char *linebuf_room(struct linebuf *b, size_t *room)
{
	if (b->start > 0) {
		memmove(b->p, b->p + b->start, b->len - b->start);
		b->len -= b->start;
		b->scanned -= b->start;
		b->start = 0;
	}
	size_t limit = b->max + 1; /* and the newline */
	if (b->len == b->cap) {
		if (b->cap >= limit)
			return NULL;
		size_t cap = b->cap < STEP ? STEP : b->cap * 2;
		char *p = wiped_grow(b->p, b->len, cap > limit ? limit : cap);
		if (!p)
			return NULL;
		b->p = p;
		b->cap = cap > limit ? limit : cap;
	}
	*room = b->cap - b->len;
	return b->p + b->len;
}

void linebuf_put(struct linebuf *b, size_t n)
{
	b->len += n;
}

char *linebuf_next(struct linebuf *b)
{
	char *nl =
	    b->len > b->scanned ? memchr(b->p + b->scanned, '\n', b->len - b->scanned) : NULL;

	if (!nl) {
		b->scanned = b->len;
		return NULL;
	}
	char *line = b->p + b->start;
	*nl = '\0';
	b->start = b->scanned = (size_t)(nl - b->p) + 1;
	return line;
}
