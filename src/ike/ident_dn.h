/* Distinguished names between text and DER, for ident*.c. ASN.1 is OpenSSL's business. */
#ifndef IKE_IDENT_DN_H
#define IKE_IDENT_DN_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "base/wr.h"

/* "C=DE, O=Example, CN=gw" or "/C=DE/O=Example/CN=gw" to DER. A backslash takes the next byte, or
 * two hexadecimal digits as one, literally; a value may stand in double quotes. *der is malloc()'s.
 * Returns 0, -ENOMEM, or -EINVAL with a sentence in why. */
int dn_from_text(const char *text, uint8_t **der, size_t *len, char *why,
		 size_t whylen) warn_unused;
/* NULL unless der is exactly one name with at least one part. X509_NAME_free(). */
X509_NAME *dn_decode(struct span der);
/* Has it a "*" value? */
bool dn_has_star(const X509_NAME *name);
/* Appends the text dn_from_text() reads. */
void dn_write(struct wr *w, const X509_NAME *name);
/* Appends a run of bytes; those that do not print, and those in special, as backslash and two
 * digits or as backslash and themselves. */
void dn_write_escaped(struct wr *w, struct span v, const char *special);
/* Does the pattern, whose "*" values stand for any value, name the same? *stars: how many it
 * needed. */
bool dn_covers(const X509_NAME *pattern, const X509_NAME *name, unsigned *stars);

#endif
