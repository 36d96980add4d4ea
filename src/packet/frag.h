/* Fragmentation: IPv4 (RFC 791 2.3, 3.2), and IPv6 in place of the packet's sender, who alone may
 * (RFC 8200 4.5). */
#ifndef PACKET_FRAG_H
#define PACKET_FRAG_H

#include <stdint.h>

#include "base/bytes.h"

/* How many fragments the IPv4 packet needs for fragments of at most mtu bytes; 1 when it fits; 0
 * when it cannot be done (not IPv4, mtu < header + 8). DF is the caller's business. */
unsigned frag4_count(const uint8_t *ip, uint32_t len, uint32_t mtu) warn_unused;
/* Writes fragment i to dst (room for mtu bytes): header (options with the copied flag only, after
 * the first), offset, MF, checksum, data. A packet that is itself a fragment keeps its offset and
 * MF. Returns its length in bytes. */
uint32_t frag4_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i,
		    uint8_t *dst) warn_unused;

/* The same for an IPv6 packet, which gets a fragment header behind what every node on the way looks
 * at. 0 also when it has one already. */
unsigned frag6_count(const uint8_t *ip, uint32_t len, uint32_t mtu) warn_unused;
/* id: the same for all fragments of a packet, another for each packet (host byte order). */
uint32_t frag6_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i, uint32_t id,
		    uint8_t *dst) warn_unused;

/* By the version of the packet; IPv4 packets have their id. */
static inline unsigned frag_count(const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	return ip[0] >> 4 == 6 ? frag6_count(ip, len, mtu) : frag4_count(ip, len, mtu);
}
static inline uint32_t frag_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i,
				 uint32_t id, uint8_t *dst)
{
	return ip[0] >> 4 == 6 ? frag6_make(ip, len, mtu, i, id, dst)
			       : frag4_make(ip, len, mtu, i, dst);
}

#endif
