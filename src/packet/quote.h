/* What an ICMP error quotes: the beginning of a packet that somebody sent (RFC 792, RFC 4443 2.4).
 */
#ifndef PACKET_QUOTE_H
#define PACKET_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "packet/parse.h"

/* Kinds of ICMP errors, of both versions, as policy tells them apart (RFC 4301 6.1.1, RFC 2401
 * appendix D). */
enum icmp_of {
	ICMP_OF_UNREACHABLE = 0x01, /* 3 without code 4; ICMPv6 1 */
	ICMP_OF_TOO_BIG = 0x02,     /* 3/4; ICMPv6 2 */
	ICMP_OF_QUENCH = 0x04,      /* 4 */
	ICMP_OF_REDIRECT = 0x08,    /* 5; ICMPv6 137 */
	ICMP_OF_TIME = 0x10,        /* 11; ICMPv6 3 */
	ICMP_OF_PARAMETER = 0x20,   /* 12; ICMPv6 4 */
	ICMP_OF_OTHER =
	    0x40, /* types that nobody knows as a query or as information; ICMPv6 below 128 */
	ICMP_OF_ALL = 0x7f
};

struct icmp_quote {
	uint8_t type, code;
	uint32_t mtu; /* too big: what the message says; IPv4: 0 from routers older than RFC 1191 */
	const uint8_t *ip;  /* the quoted packet; lent */
	uint32_t len;       /* of it there are so many bytes, often fewer than it had */
	uint32_t total;     /* so many it had, by its header */
};

/* Is the packet, by its key, an ICMP or ICMPv6 error (not a redirect)? A later fragment is not. */
bool icmp_is_error(const struct flow_key *k);
/* Which kind of ICMP error the packet is, by its key: enum icmp_of; 0 when it is none, or a later
 * fragment. */
unsigned icmp_error_of(const struct flow_key *k);
/* The same of a message icmp[0..len) without IP header. */
unsigned icmp_message_of(int ver, const uint8_t *icmp, uint32_t len);
/* Is this an IPv4 "fragmentation needed" (3/4) or an ICMPv6 "packet too big" (2)? ver: 4 or 6. */
bool icmp_is_too_big(int ver, const struct icmp_quote *q);
/* Reads an ICMP error message in icmp[0..len), IP header already off; checksum not looked at. False
 * when it is none, or quotes no IP header of its own version. */
bool icmp_quote_read(int ver, const uint8_t *icmp, uint32_t len,
		     struct icmp_quote *out) warn_unused;
/* What can be said of the quoted packet: as pkt_parse() does, but that info->len is what there is
 * of it. False when it cannot be read. */
bool icmp_quote_info(const struct icmp_quote *q, struct pkt_info *info) warn_unused;
/* The flow that the quoted packet belongs to, as it was sent; ports where the quote reaches so far.
 * *l4_off: where its upper header begins in the quote. False when it cannot be read. */
bool icmp_quote_key(const struct icmp_quote *q, struct flow_key *out, uint32_t *l4_off) warn_unused;

/* An IPsec packet that was quoted. */
struct icmp_quote_sa {
	uint8_t proto;  /* ESP or AH */
	bool udp;       /* ESP in UDP; ports below */
	uint32_t spi;   /* host byte order */
	struct ip_addr src, dst;
	uint16_t sport, dport;
};
/* False when the quote is not of ESP, AH or ESP in UDP, or ends before the SPI. */
bool icmp_quote_sa(const struct icmp_quote *q, struct icmp_quote_sa *out) warn_unused;

#endif
