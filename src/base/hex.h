/* Hexadecimal text. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"

/* Decodes text (an optional 0x, then pairs of digits; spaces, ':' and '_' between bytes are
 * skipped) into out[max]. Returns the number of bytes, -EINVAL (not hex, odd digits) or -ENOSPC. */
int hex_decode(const char *text, uint8_t *out, size_t max) warn_unused;
/* Writes 2*len digits and a NUL to out. */
void hex_encode(struct span v, char *out);

#endif
