/*
 * Where the hosts on a bridge's protected side are: for an IP address the MAC address and VLAN tags
 * its frames come with, and where it sends them. Learned from the frames that pass (RFC 826 does
 * the same); asked for when a packet comes for a host that was never heard. Shared by the workers,
 * without locks: an entry that is being written is not read, and not written by another.
 */
#ifndef PLANE_NEIGHBOUR_H
#define PLANE_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "packet/frame.h"

#define NEIGHBOURS_MAX                                                                             \
	4096u /* a power of two; when it is full, the newest take the place of others */

struct neighbours;

struct neighbours *neighbours_new(void);
void neighbours_free(struct neighbours **n);
/* Looks at a frame from the protected side, f from frame_parse(); p[0..len) is what follows its
 * header. IP packets tell by their source, ARP by its sender. */
void neighbours_learn(struct neighbours *n, const struct frame *f, const uint8_t *p, uint32_t len);
/* The same the other way round: where an IP packet goes tells where its destination is. find()
 * gives the header of this frame. */
void neighbours_learn_way(struct neighbours *n, const struct frame *f, const uint8_t *p,
			  uint32_t len);
/* The header of a frame to the host: from where it last sent to (or all zeros), with its tags, for
 * IP. False when it was never heard. */
bool neighbours_find(const struct neighbours *n, const struct ip_addr *addr, struct frame *out);

#define NEIGHBOUR_ASK_MAX 96
/*
 * Writes a frame that asks for addr: an ARP probe (RFC 5227 2.1.1), or a neighbour solicitation
 * without a source (RFC 4862 5.4.2); neither shows an address of ours, nor changes what its
 * receiver knows. mac: whom the ARP reply is to go to. Returns its length.
 */
uint32_t neighbour_ask(const struct ip_addr *addr, const uint8_t mac[FRAME_MAC_LEN],
		       uint8_t out[NEIGHBOUR_ASK_MAX]);
/* The same as the host `from` with that MAC address would ask (RFC 826, RFC 4861 7.2.2). */
uint32_t neighbour_ask_from(const struct ip_addr *addr, const struct ip_addr *from,
			    const uint8_t mac[FRAME_MAC_LEN], uint8_t out[NEIGHBOUR_ASK_MAX]);

#endif
