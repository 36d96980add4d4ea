/*
 * Transport mode (RFC 4303 3.1.1, RFC 4302 3.1.1): where the IPsec header stands in a packet, and
 * how a packet is put together again behind it.
 */
#ifndef IPSEC_TRANSPORT_H
#define IPSEC_TRANSPORT_H

#include <stdint.h>

#include "base/addr.h"
#include "base/drop.h"
#include "io/sock.h"
#include "ipsec/sa.h"
#include "packet/parse.h"

/* What a packet rebuilt from UDP or a raw IPv6 socket says where nobody told: the kernel has used
 * the real value up. */
#define TRANSPORT_TTL 64

/*
 * Where the IPsec header goes into the packet at ip, which pkt_parse() has accepted: in IPv6 behind
 * hop-by-hop options, routing header, and destination options that stand before a routing header.
 * *next_at: offset of the byte that says what follows there. Returns the offset, or 0 for a
 * fragment: only whole packets are protected.
 */
uint32_t transport_split(const uint8_t *ip, const struct pkt_info *info, uint32_t *next_at);

/* Offset of the byte that says what stands at info->l4_off. */
uint32_t transport_next_at(const uint8_t *ip, const struct pkt_info *info);

/* An outer header that IPsec headers were taken out of: where it came from, and the bytes
 * themselves where the system shows them. */
struct transport_head {
	const uint8_t *ip; /* IPv4 with options as received; NULL: to be made up from the rest */
	uint32_t len;      /* of ip */
	struct ip_addr src, dst;
	uint8_t tos;
	const struct sock_ext *ext; /* IPv6: extension headers as received, in order */
	unsigned n_ext;
};

#define TRANSPORT_HEAD_MAX                                                                         \
	64 /* bytes transport_join() needs in front of the text, at most, besides those of         \
	      extension headers */

/*
 * Puts a header in front of the text[0..len) whose first header is `next`: as it was received, with
 * length, protocol and checksum made right, or a plain one. Returns the bytes put in front of text,
 * 0 when the packet would be too long.
 */
uint32_t transport_join(const struct transport_head *h, uint8_t *text, uint32_t len, uint8_t next);

/* The TCP or UDP checksum of a packet that came through a NAT (RFC 3948 3.1.2): adjusted by the
 * addresses it was made with, or made anew. Also of ICMPv6, UDP-Lite and DCCP when they are known.
 */
void transport_csum(const struct sa *sa, uint8_t *ip, const struct pkt_info *info);

#endif
