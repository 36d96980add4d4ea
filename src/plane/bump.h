/*
 * IKE in place of the host behind a bridge, which has no sockets:
 *
 *   out   plane_send_bump(): datagram -> UDP, IP with the host's address -> frame of the open port.
 *         Its header is the one that the host itself
 *         last sent to that address with, or a message from there came with. The SPI that the
 *         message carries is ours from then on.
 *   in    bump_ike(), of a frame from the open side: a message with an SPI of ours, or one that
 *         begins something with a connection of ours,
 *         goes to the control thread (ike.c); everything else is the host's.
 */
#ifndef PLANE_BUMP_H
#define PLANE_BUMP_H

#include "io/port.h"
#include "plane/bridge.h"

#define BUMP_SPI_SETS 2048u /* a power of two */
#define BUMP_SPI_WAYS 4u

/* Whose first messages are ours. */
struct bump_ends {
	unsigned n;
	struct plane_ike_ends v[];
};

struct bump {
	struct neighbours
	    *ways; /* by address of a peer: the header of frames to it; by the host's: its own */
	struct bump_ends *ends;     /* RCU; NULL: none */
	_Atomic uint64_t spi[BUMP_SPI_SETS][BUMP_SPI_WAYS]; /* initiators' SPIs (or cookies) of what
							       we take part in; 0: free */
	uint64_t seed;
	uint8_t ask_mac[FRAME_MAC_LEN];
	/* the control thread's */
	struct port_tx tx;
	uint16_t ip_id;
	uint64_t asked_ns;
};

/* NULL when out of memory. open: the open port. */
struct bump *bump_new(const struct port *open);
void bump_free(struct bump **b);

/* A frame from a side: where peers are reached, and the host. */
void bump_learn(struct bump *b, enum bridge_side side, const struct frame *f, const uint8_t *p,
		uint32_t len);
/* A fragment: is it the first of an IKE message of ours? */
bool bump_begins(struct worker *w, struct in_pkt *p);
/* Frame i of the batch, an IP packet from the open side: is it IKE of ours? Then it has been dealt
 * with. */
bool bump_ike(struct worker *w, unsigned i, struct in_pkt *p);

#endif
