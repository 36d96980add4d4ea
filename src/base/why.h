/* Why something failed, in words for an administrator, in the caller's room. */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include <stddef.h>

/* Writes the words to why[0..whylen), cut off where they do not fit; why NULL or whylen 0: nobody wants
 * them. Returns err, so that a function can end with `return why_say(-EINVAL, why, whylen, ...)`. */
int why_say(int err, char *why, size_t whylen, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
