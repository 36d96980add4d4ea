#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>

int why_say(int err, char *why, size_t whylen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why && whylen)
		vsnprintf(why, whylen, fmt, ap);
	va_end(ap);
	return err;
}
