/* Packets we send back to the origin: ICMP errors and TCP resets. */
#ifndef PACKET_ICMP_H
#define PACKET_ICMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "packet/parse.h"

enum icmp_kind {
	ICMP_KIND_TOO_BIG, /* v4: 3/4 fragmentation needed, v6: 2/0 packet too big; carries the MTU
			    */
	ICMP_KIND_ADMIN,   /* v4: 3/13 administratively prohibited, v6: 1/1 */
	ICMP_KIND_TTL,     /* v4: 11/0, v6: 3/0 */
};

#define ICMP_ERROR_MAX 1280 /* room that icmp_error() needs at most */

/* True when an ICMP error may be sent about this packet (RFC 1122 3.2.2, RFC 4443 2.4): not about
 * ICMP errors, non-initial fragments, multicast, broadcast, unspecified or loopback sources. */
bool icmp_may_answer(const uint8_t *ip, const struct pkt_info *info);
/* Writes the error about the packet at ip to out[ICMP_ERROR_MAX]: quotes as much as fits (v4: 576
 * bytes in all, RFC 1812 4.3.2.3; v6: 1280). from: the address it comes from; of the packet's
 * version. mtu in bytes, for TOO_BIG. Returns its length. */
uint32_t icmp_error(enum icmp_kind kind, const uint8_t *ip, const struct pkt_info *info,
		    uint32_t mtu, const struct ip_addr *from, uint8_t *out);
/* Writes the TCP reset answering the segment at ip (RFC 793 3.4), as from its destination, to
 * out[60]. Returns its length, or 0 when there is none to send (not TCP, or itself a reset). */
uint32_t tcp_reset(const uint8_t *ip, const struct pkt_info *info, uint8_t *out);
/* Lowers the MSS option of the TCP SYN at ip to at most mss, fixing the checksum (also when
 * csum_partial says the field holds only the pseudo-header sum, then it is left alone). Returns
 * true when it changed something. */
bool tcp_clamp_mss(uint8_t *ip, const struct pkt_info *info, uint16_t mss, bool csum_partial);

#endif
