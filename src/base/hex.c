/* Hexadecimal text. */
#include "base/hex.h"

#include <errno.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	while (*text) {
		if (*text == ' ' || *text == ':' || *text == '_') {
			text++;
			continue;
		}
		int hi = digit(text[0]), lo = hi < 0 ? -1 : digit(text[1]);
		if (lo < 0)
			return -EINVAL;
		if (n == max)
			return -ENOSPC;
		out[n++] = (uint8_t)(hi << 4 | lo);
		text += 2;
	}
	return (int)n;
}

void hex_encode(struct span v, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < v.len; i++) {
		*out++ = digits[v.p[i] >> 4];
		*out++ = digits[v.p[i] & 15];
	}
	*out = 0;
}
