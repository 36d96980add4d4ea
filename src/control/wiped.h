/* Heap memory that keys pass through on their way from the daemon to `bumpwire keys`: wiped before
 * it is given back, since it is too big, and too short-lived, for guarded memory. */
#ifndef CONTROL_WIPED_H
#define CONTROL_WIPED_H

#include <stddef.h>

#include "base/bytes.h"

/* Wipes and frees what malloc() or wiped_grow() gave. NULL is allowed. */
void wiped_free(void *p);
/* A block of `size` bytes with the first `used` bytes of p in it; p is wiped and freed. NULL when out
 * of memory: p is as it was. used <= size. */
void *wiped_grow(void *p, size_t used, size_t size) warn_unused;
/* From now on all memory of the JSON library is wiped when it is freed. Call before its first use. */
void wiped_json(void);

#endif
