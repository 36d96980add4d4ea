/*
 * The packet plane as the control thread sees it: workers between one TUN device (or the two ports
 * of a bridge) and the sockets of the open side, fed with an SPD and an SAD, reporting counters and
 * events.
 */
#ifndef PLANE_PLANE_H
#define PLANE_PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/audit.h"
#include "base/bytes.h"
#include "base/drop.h"
#include "base/span.h"
#include "io/port.h"
#include "io/tun.h"
#include "ipsec/event.h"
#include "ipsec/sad.h"
#include "ipsec/spd.h"
#include "packet/frame.h"

#define PLANE_MAX_WORKERS 64

/* A bridge's ports, and what becomes of a kind of frame. */
enum bridge_side { BRIDGE_PROTECTED, BRIDGE_OPEN };
enum bridge_rule { BRIDGE_DROP, BRIDGE_PASS, BRIDGE_POLICY };
struct bridge_rules {
	uint8_t of[FRAME_KINDS]; /* enum bridge_rule; POLICY only for kinds that are IP */
};

struct plane_opts {
	unsigned workers;         /* 1..PLANE_MAX_WORKERS */
	uint16_t port;            /* UDP, host byte order: 4500 */
	uint16_t port_ike;        /* the same, 500: only with bump and ike */
	struct ip_addr bind4, bind6; /* any by default */
	bool udp4, udp6;          /* open UDP sockets of this version */
	bool raw4, raw6;          /* open raw ESP sockets of this version */
	bool ah4, ah6;            /* open raw AH sockets of this version */
	bool whole; /* some SA is AH or in transport mode: open sockets for packets whose IP header
		       is ours */
	bool bypass;              /* some policy bypasses: open sockets for cleartext */
	bool ike; /* messages behind the non-ESP marker wait for plane_ike_take(); else they are
		     dropped */
	bool gso, gro;            /* UDP_SEGMENT, UDP_GRO */
	bool zero_csum;
	uint32_t rcvbuf, sndbuf;  /* bytes */
	uint32_t mark;            /* SO_MARK of everything sent; 0 none */
	uint32_t busy_poll_us; /* keep polling this long after traffic before sleeping; 0: sleep at
				  once */
	struct ip_addr icmp4, icmp6; /* source of ICMP errors towards the inner network; ver 0: the
					packet's own destination */
	struct port *ports; /* a bridge: two open ports by enum bridge_side, lent, in place of a TUN
			       device; NULL: none */
	bool bump; /* bridge in place of the one host behind it: needs no sockets; with ike, see
		      plane_send_bump() */
};

/* Sums over all workers. Bytes are of inner IP packets unless said otherwise. */
struct plane_stats {
	uint64_t out_packets, out_bytes;     /* read from TUN and protected */
	uint64_t in_packets, in_bytes;       /* accepted and written to TUN */
	uint64_t out_wire_packets,
	    out_wire_bytes; /* ESP packets handed to the kernel, bytes from the ESP header on */
	uint64_t in_wire_packets, in_wire_bytes;
	uint64_t bypass_packets, bypass_bytes;
	uint64_t tun_reads, tun_writes;      /* system calls */
	uint64_t sends, recvs;               /* messages given to sendmmsg / got from recvmmsg */
	uint64_t flow_hits, flow_misses;
	uint64_t icmp_sent, rst_sent, mss_clamped, fragmented, reassembled;
	uint64_t keepalives_in;
	uint64_t bridged;                    /* frames that the bridge's rules let pass */
	uint64_t held;                       /* packets that wait for an SA now */
	struct drop_counters drop;
};

struct plane;

/* Makes the plane: sockets, queues, memory; the TUN device is lent and must outlive it. threads are
 * started by plane_start(). 0 or -errno with a sentence. */
int plane_new(const struct plane_opts *o, struct tun *tun, struct plane **out, char *why,
	      size_t whylen) warn_unused;
int plane_start(struct plane *p) warn_unused;
/* Stops and joins the workers; nothing is processed after. */
void plane_stop(struct plane *p);
void plane_free(struct plane **p);

/* What a bridge does with frames, from now on. Before the first call it drops all but IP, which is
 * for the policies. */
void plane_set_rules(struct plane *p, const struct bridge_rules *r);

/* Which ICMP errors pass, and which are told (AUDIT_ICMP_ERROR): sets of enum icmp_of
 * (packet/quote.h). */
struct icmp_rules {
	uint8_t protected_in;   /* that come out of SAs */
	uint8_t unprotected_in; /* that come to a bridge's open side in the clear, and policies let
				   pass */
	uint8_t told;           /* of both, and of those that go into SAs */
};
/* From now on; before the first call all pass and none is told. */
void plane_set_icmp(struct plane *p, const struct icmp_rules *r);

/* The MTU of a bridge's ports, the smaller one, in bytes: for what is made here. */
void plane_set_mtu(struct plane *p, uint32_t mtu);
/* Has the system refused a packet as larger than its link since this was asked last? Then a link is
 * smaller than we thought. */
bool plane_link_refused(struct plane *p);

struct sad *plane_sad(struct plane *p);
/* Publishes a new SPD; returns the old one after a grace period (the caller frees it), NULL for
 * none. */
struct spd *plane_set_spd(struct plane *p, struct spd *spd);
struct spd *plane_spd(struct plane *p);

/*
 * What keying does with the SPD. Policies with a reqid take their outbound SAs not from policy->out
 * but from what was last switched to for that reqid, in this SPD and in every later one; and accept
 * inbound every SA that has the same reqid. So a rekeying needs no new SPD.
 *
 * plane_switch_out(): outbound traffic of the reqid goes by these SAs, in order of application,
 * from now on; the plane takes its own references. n 0: by none, packets are kept and an EV_ACQUIRE
 * is raised. Kept packets are sent when there is an SA again. Costs the same with one policy and
 * with thousands. 0, -EINVAL (reqid 0, too many) or -ENOMEM, and then nothing changed.
 */
#define PLANE_BUNDLE_MAX SA_BUNDLE_MAX
int plane_switch_out(struct plane *p, uint32_t reqid, struct sa *const *bundle,
		     unsigned n) warn_unused;
/* No SA will come for now: what is kept for the reqid is dropped (counted as hold_given_up). The
 * next packet raises EV_ACQUIRE again, at most once a second. */
void plane_release_held(struct plane *p, uint32_t reqid);
/* Keying waits for an inbound SA more (change 1), or that SA is installed or will not come (-1).
 * While it waits for any, ESP packets with an unknown SPI are kept for a second at most: a
 * responder's first packets may overtake its answer. */
void plane_expect(struct plane *p, int change);
/* Takes an SA out of the SAD: no packet finds it from now on, and its SPI may be used again. The
 * memory follows in plane_tick(). What still sends by it (policies, bundles) goes on doing so.
 * Never waits. */
void plane_retire(struct plane *p, struct sa *sa);
/* Once a second: frees what was retired or replaced, with one grace period for all of it, and gives
 * up packets kept for too long. An event that still waits and is about a freed SA loses its `sa`.
 */
void plane_tick(struct plane *p);
/* Gives an SA its open-side path; never waits. Outbound: where its packets go; src ver 0: the
 * kernel chooses. Inbound: where its packets come from (dst): an authenticated packet from
 * elsewhere raises EV_PEER_ADDR; until it is set, every packet would. */
int plane_set_path(struct plane *p, struct sa *sa, const struct ip_addr *src,
		   const struct endpoint *dst) warn_unused;

/* What a worker's socket has to join for an inbound SA to a multicast group. */
struct plane_group {
	unsigned worker;
	enum sa_proto proto;
	enum sa_encap encap;
	int ifindex;
	struct ip_addr dst, src; /* src ver 0: from anyone */
};
void plane_group_of(const struct plane *p, const struct sa *sa, int ifindex,
		    struct plane_group *out);
/* Packets to the group that arrive at the interface come to the worker from now on (join), or no
 * more. A socket joins a group from anyone or from some, not both; and each once. 0 or -errno:
 * -ENOTCONN no socket for it, -ENOBUFS more groups than the system allows a socket. */
int plane_join(struct plane *p, const struct plane_group *g, bool join) warn_unused;

/* Readable when events wait; watch it with the event loop. */
int plane_event_fd(const struct plane *p);
/* Takes waiting events, at most max, in order per worker; returns how many. */
unsigned plane_events(struct plane *p, struct ipsec_event *out, unsigned max);

/* ---- IKE on the encapsulation port (RFC 7296 2.23, RFC 3948 2.2); only with plane_opts.ike --- */

/* Readable when messages wait; watch it with the event loop. */
int plane_ike_fd(const struct plane *p);
/* One message without its marker, p[0..len): writable, valid inside the call. local: the address it
 * came to, and our port. */
typedef void plane_ike_cb(void *arg, const struct endpoint *local, const struct endpoint *remote,
			  uint8_t *p, size_t len);
/* Hands out waiting messages, at most max, in order per worker; returns how many. When it was max,
 * more may wait: plane_ike_fd() is readable again. */
unsigned plane_ike_take(struct plane *p, plane_ike_cb *cb, void *arg, unsigned max);
/* Sends one message behind the marker, from local->addr (ver 0: the kernel chooses) and our port.
 * DF is not set on what is too big for the link. 0 or -errno: -ENOTCONN no socket of this version,
 * -EMSGSIZE, -EAGAIN the send queue is full. */
int plane_send_ike(struct plane *p, const struct endpoint *local, const struct endpoint *remote,
		   struct span datagram) warn_unused;

/* One NAT keepalive (RFC 3948 4) from our port: for a peer without an SA that sends. 0 or -errno.
 */
int plane_send_keepalive_to(struct plane *p, const struct endpoint *local,
			    const struct endpoint *remote) warn_unused;

/* ---- IKE in place of the host behind a bridge; with plane_opts.bump and .ike ---- */

struct plane_ike_ends {
	struct ip_addr local;   /* the host's */
	struct ip_range remote;
};
/* From whom to whom messages that begin something are ours; all messages with an SPI of ours are,
 * anyway. They come by plane_ike_take(), with the port they came to in local. v is copied. 0 or
 * -ENOMEM. */
int plane_set_ike_ends(struct plane *p, const struct plane_ike_ends *v, unsigned n) warn_unused;
/* Sends one message out of the open port, from the host's address; with marker after four zero
 * bytes; in fragments when it is too large. 0 or -errno: -EHOSTUNREACH nobody has said yet where
 * the peer is (it is asked for), -EMSGSIZE, -EAGAIN the queue is full. */
int plane_send_bump(struct plane *p, const struct endpoint *local, const struct endpoint *remote,
		    bool marker, struct span datagram) warn_unused;

/* Takes auditable events of packets, at most max, in order per worker; returns how many.
 * plane_event_fd() is readable when there are some. */
unsigned plane_audit(struct plane *p, struct audit_event *out, unsigned max);
/* Those of a kind that were not recorded, because there were too many at once. Only grows. */
uint64_t plane_audit_swallowed(const struct plane *p, enum audit id);

void plane_stats(const struct plane *p, struct plane_stats *out);
unsigned plane_workers(const struct plane *p);
/* One NAT keepalive (RFC 3948 4) to the peer of an outbound UDP-encapsulated SA. 0 or -errno. */
int plane_send_keepalive(struct plane *p, const struct sa *sa) warn_unused;
/* What the kernel granted, for `status`. */
bool plane_has_gso(const struct plane *p);
bool plane_has_gro(const struct plane *p);

#endif
