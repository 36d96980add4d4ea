/* IPv4 fragmentation (RFC 791 2.3, 3.2). IPv6 packets are never fragmented here (RFC 8200 5). */
#ifndef PACKET_FRAG_H
#define PACKET_FRAG_H

#include <stdint.h>

#include "base/bytes.h"

/* How many fragments the IPv4 packet needs for fragments of at most mtu bytes; 1 when it fits; 0 when it cannot be done
 * (not IPv4, mtu < header + 8). DF is the caller's business. */
unsigned frag4_count(const uint8_t *ip, uint32_t len, uint32_t mtu) warn_unused;
/* Writes fragment i to dst (room for mtu bytes): header (options with the copied flag only, after the first), offset, MF,
 * checksum, data. A packet that is itself a fragment keeps its offset and MF. Returns its length in bytes. */
uint32_t frag4_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i, uint8_t *dst) warn_unused;

#endif
