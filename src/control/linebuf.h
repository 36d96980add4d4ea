/* Lines out of a byte stream: the framing of the control socket, both ends. A line that grows
 * beyond the limit is an error. */
#ifndef CONTROL_LINEBUF_H
#define CONTROL_LINEBUF_H

#include <stddef.h>

#include "base/bytes.h"

struct linebuf {
	char *p;
	size_t start, len, cap; /* unread bytes are p[start..len) */
	size_t scanned;         /* no newline before this */
	size_t max;             /* longest line in bytes, without its newline */
};

void linebuf_init(struct linebuf *b, size_t max);
void linebuf_fini(struct linebuf *b);
/* Room for reading into; call linebuf_put() with how much arrived. NULL when out of memory or when
 * the line is too long. */
char *linebuf_room(struct linebuf *b, size_t *room);
void linebuf_put(struct linebuf *b, size_t n);
/* The next whole line with a NUL in place of its newline, valid until the next linebuf_room(); NULL
 * when there is none yet. */
char *linebuf_next(struct linebuf *b);

#endif
