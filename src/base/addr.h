/* Internet addresses, prefixes, ranges and UDP endpoints, IPv4 and IPv6 alike. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define IP_ADDR_STRLEN 46   /* longest text of an address, with the NUL */
#define IP_RANGE_STRLEN 96  /* longest text of a prefix or range, with the NUL */
#define ENDPOINT_STRLEN 56  /* "[addr]:port" with the NUL */

/* An address; ver is 4 or 6, or 0 for "none". Unused bytes of b are zero, so memcmp compares. */
struct ip_addr {
	uint8_t ver;
	uint8_t b[16]; /* network byte order; IPv4 in the first four */
};

/* All addresses from lo to hi, both included, of one version. */
struct ip_range {
	struct ip_addr lo, hi;
};

struct ip_prefix {
	struct ip_addr addr;
	uint8_t len; /* bits */
};

struct endpoint {
	struct ip_addr addr;
	uint16_t port; /* host byte order; 0 where there is none (raw IP) */
};

/* Parses an address without prefix length. Returns 0 or -EINVAL. */
int ip_addr_parse(const char *text, struct ip_addr *out) warn_unused;
/* Parses "addr/len", or "addr" as a host prefix. Bits beyond len are kept as written. */
int ip_prefix_parse(const char *text, struct ip_prefix *out) warn_unused;
/* Parses "addr", "addr/len" or "addr-addr". Returns 0 or -EINVAL (also lo > hi, mixed versions). */
int ip_range_parse(const char *text, struct ip_range *out) warn_unused;

const char *ip_addr_format(const struct ip_addr *a, char out[IP_ADDR_STRLEN]);
const char *ip_prefix_format(const struct ip_prefix *p, char out[IP_RANGE_STRLEN]);
/* A range that is a prefix is written as one. */
const char *ip_range_format(const struct ip_range *r, char out[IP_RANGE_STRLEN]);
const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_STRLEN]);

struct ip_addr ip_addr_from_v4(const void *four_bytes_be);
struct ip_addr ip_addr_from_v6(const void *sixteen_bytes_be);
struct ip_addr ip_addr_any(int ver);
static inline unsigned ip_addr_bytes(const struct ip_addr *a)
{
	return a->ver == 4 ? 4 : a->ver == 6 ? 16 : 0;
}
bool ip_addr_is_any(const struct ip_addr *a); /* 0.0.0.0, :: or none */
bool ip_addr_is_multicast(const struct ip_addr *a); /* 224.0.0.0/4, ff00::/8 */
bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b);
/* <0, 0, >0; IPv4 sorts before IPv6. */
int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b);

struct ip_range ip_range_of_prefix(const struct ip_prefix *p);
struct ip_range ip_range_all(int ver);
bool ip_range_has(const struct ip_range *r, const struct ip_addr *a);
bool ip_range_covers(const struct ip_range *outer, const struct ip_range *inner);
/* True when the range is exactly a prefix; *out is then that prefix. */
bool ip_range_is_prefix(const struct ip_range *r, struct ip_prefix *out);
/* Splits a range into the fewest prefixes that cover exactly it. At most 254 (IPv6) are written to
 * out[max]; returns how many, or -ENOSPC. */
int ip_range_to_prefixes(const struct ip_range *r, struct ip_prefix *out, unsigned max) warn_unused;

bool endpoint_eq(const struct endpoint *a, const struct endpoint *b);
/* Returns the length of the sockaddr written. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
/* Returns 0, or -EAFNOSUPPORT. An IPv4-mapped IPv6 address becomes IPv4. */
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out) warn_unused;

#endif
