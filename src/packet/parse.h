/* One look at an IP packet: addresses, upper protocol, ports, fragments. What the SPD matches on.
 */
#ifndef PACKET_PARSE_H
#define PACKET_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/drop.h"

/*
 * What tells one flow from another; compared and hashed as five 64-bit words, so every byte is set.
 * Ports are in host byte order. For ICMP and ICMPv6 sport is 0 and dport is type << 8 | code; for
 * the Mobility Header (135) dport is MH type << 8 (RFC 4301 4.4.1.1). Where ports are not available
 * (non-initial fragment, upper header cut off, or a protocol that has none) FLOW_OPAQUE is set and
 * both are 0. FLOW_LATER is set by who knows the ports of a non-initial fragment from its first
 * (packet/fragtab.h).
 */
struct flow_key {
	uint8_t src[16]; /* network byte order; IPv4 in the first four, the rest zero */
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
	uint8_t proto; /* next layer protocol: after IPv6 extension headers */
	uint8_t ver;   /* 4 or 6 */
	uint8_t flags; /* FLOW_OPAQUE, FLOW_LATER */
	uint8_t zero;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct flow_key) == 40, "flow_key is five words");

#define FLOW_OPAQUE 0x01
#define FLOW_LATER  0x02

enum {
	PKT_DF = 0x01,       /* may not be fragmented by us: IPv4 DF set, or IPv6 */
	PKT_FRAG_FIRST = 0x02,
	PKT_FRAG_LATER = 0x04, /* non-initial fragment: no upper header */
	PKT_OPTIONS = 0x08,  /* IPv4 options or IPv6 extension headers present */
	PKT_TCP_SYN = 0x10,  /* TCP segment with SYN: MSS may have to be clamped */
};

struct pkt_info {
	struct flow_key key;
	uint32_t len;    /* IP total length in bytes; may be less than the memory it lies in (TFC
			    padding) */
	uint16_t l4_off; /* from the IP header to the upper header (or to the fragment's data) */
	uint8_t tos;     /* TOS or traffic class octet: DSCP << 2 | ECN */
	uint8_t flags;   /* PKT_* */
};

/*
 * Parses the IPv4 or IPv6 packet in p[0..len). The IP total length must be <= len; more bytes may
 * follow. Checks: version, IHL, total length, IPv6 extension header chain (hop-by-hop, routing,
 * destination options, fragment; at most 16). AH and ESP count as next layer protocols, as RFC 4301
 * 4.4.1.1 wants it. The IPv4 header checksum is NOT checked here.
 * A TCP/UDP header that the packet is too short for gives FLOW_OPAQUE, not an error.
 * Returns DROP_NONE, or DROP_SHORT, DROP_NOT_IP, DROP_BAD_LENGTH, DROP_BAD_HEADER. Never reads past
 * len.
 */
enum drop pkt_parse(const uint8_t *p, size_t len, struct pkt_info *out) warn_unused;

/* The same flow seen from the other end: addresses and ports exchanged (ICMP type/code stays). */
void flow_key_reverse(const struct flow_key *k, struct flow_key *out);
struct ip_addr flow_key_src(const struct flow_key *k);
struct ip_addr flow_key_dst(const struct flow_key *k);

static inline bool flow_key_eq(const struct flow_key *a, const struct flow_key *b)
{
	const uint64_t *x = (const uint64_t *)(const void *)a,
		       *y = (const uint64_t *)(const void *)b;
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
}

/* May they be equal? False only when they are not. */
static inline bool flow_key_like(const struct flow_key *a, const struct flow_key *b)
{
	const uint64_t *x = (const uint64_t *)(const void *)a,
		       *y = (const uint64_t *)(const void *)b;
	return ((x[0] ^ y[0]) | (x[2] ^ y[2]) | (x[4] ^ y[4])) == 0;
}

/* A fast keyed hash of a flow; not for anything but tables whose growth is bounded. */
uint64_t flow_key_hash(const struct flow_key *k, uint64_t seed);

#endif
