/*
 * A worker's part of a bridge: frames of two ports instead of packets of a TUN device.
 *
 *   protected -> open   rules; IP through outbound_batch(). What is bypassed goes on as the frame
 *                       it came in. What is protected leaves by the
 *                       sockets (gateway) or as a frame behind the header of the one it was (host).
 *   open -> protected   rules; IPsec for the host behind us through nest.c (host); other IP must be
 *                       what a policy lets in in the clear.
 *   sockets             inbound.c and nest.c (gateway); inner packets go to the host that has their
 *                       address (neighbour.c)
 */
#ifndef PLANE_BRIDGE_H
#define PLANE_BRIDGE_H

#include "io/port.h"
#include "plane/neighbour.h"
#include "plane/worker.h"

struct bridge {
	struct port *port;         /* two, by enum bridge_side; the plane's */
	bool host;                 /* in place of the one host behind us */
	struct neighbours *hosts;  /* the plane's; NULL in host mode */
	uint8_t ask_mac[FRAME_MAC_LEN];
	uint64_t asked_ns;
	struct port_rxq *rxq;
	unsigned n;                /* frames of this batch */
	struct port_rx rx[PORT_BATCH];
	struct frame frame[PORT_BATCH];
	uint8_t from[BATCH_PKTS];  /* w->out[i] is in frame from[i], if it lies there */
	struct frame gro_frame[GRO_FLOWS];
	struct port_tx tx[2];
};

/* NULL when out of memory. */
struct bridge *bridge_new(struct plane *p, unsigned number);
void bridge_free(struct bridge **b);

/* A batch from a port. */
void bridge_receive(struct worker *w, enum bridge_side side);
/* The same for b->rx[0..b->n). */
void bridge_frames(struct worker *w, enum bridge_side side);
/* w->in[0..n_in) to the protected side, joined where they can be. */
void bridge_deliver(struct worker *w);
/* Host: w->frame[0..n_frame) to the open side. */
void bridge_send(struct worker *w);
/* Sends what was put, and counts what was refused. */
void bridge_flush(struct worker *w);

#endif
