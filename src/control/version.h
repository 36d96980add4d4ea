/* `bumpwire version`: what is built in and who does the cryptography. Needs no daemon. */
#ifndef CONTROL_VERSION_H
#define CONTROL_VERSION_H

#include <jansson.h>
#include <stdio.h>

/* crypt_init() must have been called. A new reference; NULL when out of memory. */
json_t *version_json(void);
void version_format(const json_t *version, FILE *to);

#endif
