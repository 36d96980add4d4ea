/*
 * The packet plane as the control thread sees it: workers between one TUN device and the sockets of the open side, fed with an SPD and
 * an SAD, reporting counters and events.
 */
#ifndef PLANE_PLANE_H
#define PLANE_PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/drop.h"
#include "io/tun.h"
#include "ipsec/event.h"
#include "ipsec/sad.h"
#include "ipsec/spd.h"

#define PLANE_MAX_WORKERS 64

struct plane_opts {
	unsigned workers;         /* 1..PLANE_MAX_WORKERS */
	uint16_t port;            /* UDP, host byte order: 4500 */
	struct ip_addr bind4, bind6; /* any by default */
	bool udp4, udp6;          /* open UDP sockets of this version */
	bool raw4, raw6;          /* open raw ESP sockets of this version */
	bool bypass;              /* some policy bypasses: open sockets for cleartext */
	bool gso, gro;            /* UDP_SEGMENT, UDP_GRO */
	bool zero_csum;
	uint32_t rcvbuf, sndbuf;  /* bytes */
	uint32_t mark;            /* SO_MARK of everything sent; 0 none */
	uint32_t busy_poll_us;    /* keep polling this long after traffic before sleeping; 0: sleep at once */
	struct ip_addr icmp4, icmp6; /* source of ICMP errors towards the inner network; ver 0: the packet's own destination */
};

/* Sums over all workers. Bytes are of inner IP packets unless said otherwise. */
struct plane_stats {
	uint64_t out_packets, out_bytes;     /* read from TUN and protected */
	uint64_t in_packets, in_bytes;       /* accepted and written to TUN */
	uint64_t out_wire_packets, out_wire_bytes; /* ESP packets handed to the kernel, bytes from the ESP header on */
	uint64_t in_wire_packets, in_wire_bytes;
	uint64_t bypass_packets, bypass_bytes;
	uint64_t tun_reads, tun_writes;      /* system calls */
	uint64_t sends, recvs;               /* messages given to sendmmsg / got from recvmmsg */
	uint64_t flow_hits, flow_misses;
	uint64_t icmp_sent, rst_sent, mss_clamped, fragmented;
	uint64_t keepalives_in;
	struct drop_counters drop;
};

struct plane;

/* Makes the plane: sockets, queues, memory; the TUN device is lent and must outlive it. threads are started by plane_start(). 0 or -errno with a sentence. */
int plane_new(const struct plane_opts *o, struct tun *tun, struct plane **out, char *why, size_t whylen) warn_unused;
int plane_start(struct plane *p) warn_unused;
/* Stops and joins the workers; nothing is processed after. */
void plane_stop(struct plane *p);
void plane_free(struct plane **p);

struct sad *plane_sad(struct plane *p);
/* Publishes a new SPD; returns the old one after a grace period (the caller frees it), NULL for none. */
struct spd *plane_set_spd(struct plane *p, struct spd *spd);
struct spd *plane_spd(struct plane *p);
/* Gives an SA its open-side path, with a grace period for the one before. Outbound: where its packets go; src ver 0: the kernel chooses. Inbound: where its packets
 * come from (dst): an authenticated packet from elsewhere raises EV_PEER_ADDR; until it is set, every packet would. */
int plane_set_path(struct plane *p, struct sa *sa, const struct ip_addr *src, const struct endpoint *dst) warn_unused;

/* Readable when events wait; watch it with the event loop. */
int plane_event_fd(const struct plane *p);
/* Takes waiting events, at most max, in order per worker; returns how many. */
unsigned plane_events(struct plane *p, struct ipsec_event *out, unsigned max);

void plane_stats(const struct plane *p, struct plane_stats *out);
unsigned plane_workers(const struct plane *p);
/* One NAT keepalive (RFC 3948 4) to the peer of an outbound UDP-encapsulated SA. 0 or -errno. */
int plane_send_keepalive(struct plane *p, const struct sa *sa) warn_unused;
/* What the kernel granted, for `status`. */
bool plane_has_gso(const struct plane *p);
bool plane_has_gro(const struct plane *p);

#endif
