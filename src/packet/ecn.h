/* Differentiated services and congestion marks across a tunnel (RFC 6040, RFC 2983). */
#ifndef PACKET_ECN_H
#define PACKET_ECN_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"

#define ECN_MASK 0x03

/* Outer TOS octet for an inner one: normal mode copies the ECN field (RFC 6040 4.1); compatibility
 * mode (ecn = no) clears it. dscp is what the DSCP becomes: -1 copies the inner one. */
static inline uint8_t ecn_encap(uint8_t inner_tos, int dscp, int ecn_allowed)
{
	uint8_t d = dscp < 0 ? inner_tos & ~ECN_MASK : (uint8_t)(dscp << 2);
	return ecn_allowed ? (uint8_t)(d | (inner_tos & ECN_MASK)) : d;
}

/* Decapsulation (RFC 6040 4.2, figure 4): the ECN field the inner packet leaves with, or -1 to drop
 * it (outer CE on an inner Not-ECT packet). */
int ecn_decap(uint8_t inner_ecn, uint8_t outer_ecn);
/* Rewrites the TOS/traffic class octet of the packet at ip; the IPv4 header checksum is updated. */
void ip_set_tos(uint8_t *ip, uint8_t tos);

#endif
