/*
 * Identities: who a peer says it is (ID payloads, RFC 7296 3.5) and whom a connection expects.
 * Text from the configuration or bytes from a payload enter; the wire form, a text for logs, or
 * the answer to "does this pattern cover that identity" leaves.
 */
#ifndef IKE_IDENT_H
#define IKE_IDENT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/span.h"
#include "ike/proto.h"

#define IDENT_MAX    2048 /* bytes of one identity; longer ones are refused */
#define IDENT_STRLEN 256  /* enough for the text of most; longer texts are cut */

struct ident {
	uint8_t type;  /* enum ike_id_type; 0: any ("%any") */
	uint16_t len;  /* bytes */
	uint8_t *data; /* owned; as on the wire; of a pattern as written ("*.example", DER of a DN with
			  "*" values) */
};

/*
 * Reads an identity as strongSwan's users write them: "%any"; an IPv4 or IPv6 address; "C=DE,
 * O=Example, CN=gw" (a DN, also with "/" in front of each part, kept as DER; any value may be "*",
 * stand in double quotes, or have bytes escaped by a backslash); "a@b.example" and "@@a@b.example"
 * (RFC 822); "b.example" and "@b.example" (FQDN); "@#6b6579" (KEY_ID in hexadecimal); a prefix
 * forces the type: "ipv4:", "ipv6:", "fqdn:" or "dns:", "rfc822:" or "email:", "dn:" or "asn1dn:",
 * "keyid:" (text, or with "#" hexadecimal). An FQDN may start with "*.", an RFC 822 address with
 * "*@"; "10.1.0.0/16" and "10.1.0.1-10.1.0.9" (with "ipv4net:", "ipv6net:", "ipv4range:" or
 * "ipv6range:" in front or without) stand for any address in there. *out is the caller's. Returns
 * 0, -ENOMEM, or -EINVAL with a sentence in why (may be NULL).
 */
int ident_parse(const char *text, struct ident *out, char *why, size_t whylen) warn_unused;
/* From an ID payload; checks what the type demands (address lengths, DER of a DN, printable names),
 * and that it is no pattern: a peer is one, not "*.example" or a whole network.
 * Returns 0, -EBADMSG or -ENOMEM. */
int ident_from_wire(uint8_t type, struct span data, struct ident *out) warn_unused;
/* 0, -EINVAL (no address) or -ENOMEM. */
int ident_from_addr(const struct ip_addr *a, struct ident *out) warn_unused;
/* The subject of a certificate as a DN. 0, -ENOENT (it is empty, or longer than IDENT_MAX) or
 * -ENOMEM. */
int ident_from_subject(const X509 *cert, struct ident *out) warn_unused;
int ident_copy(const struct ident *from, struct ident *out) warn_unused;
void ident_fini(struct ident *id);

/* As text that ident_parse() reads back (unless it is cut, which ends in "..."); bytes that are no
 * printable ASCII are escaped. Returns out. */
char *ident_format(const struct ident *id, char *out, size_t max);
/* The same identity. Names without regard to case, DNs by X.500 rules. */
bool ident_eq(const struct ident *a, const struct ident *b);
/* Is it a pattern, so not fit to be sent? */
bool ident_is_pattern(const struct ident *id);
/* Of a network or range: leading bits that all its addresses have in common. */
unsigned ident_net_bits(const struct ident *id);
/* How well the pattern covers id: 0 not at all, 1 for "%any", more the more exactly (a network by
 * the bits that its addresses have in common), IDENT_EXACT when it names it. "*.example" covers any
 * depth below it, as strongSwan has it. */
#define IDENT_EXACT 1000
unsigned ident_match(const struct ident *pattern, const struct ident *id);
/* Does the certificate speak for id: subjectAltName of its kind, without wildcards, or the subject
 * for a DN (RFC 4945 3.1)? KEY_ID: the subject key identifier. Any thread. */
bool ident_in_cert(const struct ident *id, const X509 *cert);

#endif
