/*
 * One worker thread: its TUN queue, its sockets, its packet memory, and the batch it is working on.
 * Everything in here belongs to the worker alone, but the counters (read by the control thread) and
 * the event ring (read by it).
 *
 *   outbound.c   TUN -> policy: protect, clear, drop  frame.c    what is protected -> ESP frames
 *   wrap.c       with AH or several SAs               send.c     frames -> sockets
 *   inbound.c    datagrams -> SAD -> inner packets    deliver.c  inner packets -> TUN
 *   hold.c       packets that wait for an SA          ike.c      IKE messages on the ESP port
 *   early.c      packets that came before their SA
 *   fragments.c  which flow a fragment belongs to     whole.c    fragments made into packets
 *   audit.c      what of a dropped packet is auditable
 *   worker.c     the loop                             plane.c    what the control thread calls
 *   bridge.c     frames of two ports, in place of TUN route.c    what keying changes meanwhile
 *   bump.c       IKE with the address of the host behind a bridge
 */
#ifndef PLANE_WORKER_H
#define PLANE_WORKER_H

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "crypto/crypt.h"
#include "flow/table.h"
#include "io/sock.h"
#include "io/tun.h"
#include "ipsec/esp.h"
#include "ipsec/pick.h"
#include "ipsec/sad.h"
#include "ipsec/spd.h"
#include "ipsec/transport.h"
#include "packet/fragtab.h"
#include "packet/frame.h"
#include "packet/gso.h"
#include "packet/parse.h"
#include "packet/reasm.h"
#include "plane/audit_ring.h"
#include "plane/ike_ring.h"
#include "plane/plane.h"
#include "plane/ring.h"

#define BATCH_PKTS 256      /* packets or super-packets taken from TUN in one batch */
#define BATCH_FRAMES 512    /* ESP packets made or opened in one crypto call */
#define READ_ARENA (512 * 1024)
#define FRAME_ARENA (READ_ARENA + BATCH_FRAMES * 128)
#define HOLD_PACKETS 64     /* that wait for an SA */
#define HOLD_BYTES (128 * 1024)
#define EARLY_PACKETS 32    /* that are here before their SA */
#define EARLY_ROOM 2048u    /* of each; longer ones are not kept */
#define EARLY_HEAD 64u      /* in front of it, for an IPv4 header */
/* Where texts are opened that get another header in front: all that one batch can hold. */
#define RX_BUFFER 65536u
#define SIDE_ARENA                                                                                 \
	(2 * (SOCK_RX_MAX * RX_BUFFER + BATCH_FRAMES * (TRANSPORT_HEAD_MAX + CACHE_LINE)))
#define SIDE_PACKET 65536u /* of it, for one packet that leaves in the clear */
#define GRO_FLOWS 8         /* flows that are joined at the same time; a power of two */

/* The SPD with its generation, published as one pointer. */
struct plane_view {
	struct spd *spd;
	uint32_t gen;
};

/* A packet or super-packet read from TUN. */
struct out_pkt {
	struct virtio_net_hdr vnet;
	uint8_t *ip; /* inner IP header; ESP_TAIL_MAX bytes behind the packet are ours to write */
	struct sa *sa;        /* protect: the SA; NULL when it has been dealt with */
	uint64_t hash;
	struct pkt_info info;
	const struct policy *policy;
	bool outer_df;
	bool fragment;        /* too big for the path: goes as IPv4 fragments */
	bool wrap;            /* goes through several SAs, or AH: wrap.c */
	bool joined;          /* made of fragments: whole.c */
	bool here; /* joined, or its last fragment: the frame it came in is one of this batch */
};

/* An ESP packet in the frame arena, in sending order. */
struct out_frame {
	struct sa *sa;
	uint8_t *esp;
	uint32_t len;         /* on the wire, from the ESP header */
	uint32_t inner_len;
	uint8_t tos;          /* outer */
	bool df;
	bool whole;           /* esp points to a complete IP packet */
	uint16_t from;        /* w->out[] that it was made of; only with whole */
};

/* An ESP packet received. */
struct in_pkt {
	uint8_t *esp;
	uint32_t len;
	uint32_t from_tag;    /* sock_addr_tag() of the outer source */
	struct sa *sa;
	uint64_t seq;
	uint64_t hash;
	const struct sock_rx *rx;
	uint8_t *ip;          /* inner packet, once it is decrypted */
	bool joined;          /* the outer one was made of fragments: whole.c */
	struct pkt_info info;
};

/* A received packet with its IP header, on its way through AH or more than one SA. */
#define NEST_MAX BATCH_FRAMES
struct nest_pkt {
	uint8_t *ip;
	uint32_t len;
	uint32_t at;          /* of the IPsec header in it */
	uint32_t next_at;     /* of the byte that says so */
	uint8_t proto;        /* enum sa_proto */
	uint64_t seq;
	struct sa *sa[SA_BUNDLE_MAX]; /* it came through, outermost first */
	unsigned n_sa;
	unsigned op;          /* of its kind, this round */
	const struct sock_rx *rx;
};

/* A packet that waits for an SA. */
struct held_pkt {
	struct flow_key key;
	struct virtio_net_hdr vnet;
	uint32_t reqid, released; /* of its route, when it came */
	uint32_t off, len;        /* in hold.mem */
	uint64_t ns;              /* when it came */
};

struct hold {
	_Atomic unsigned n;  /* read by the control thread */
	uint32_t used;
	uint8_t *mem;        /* HOLD_BYTES */
	struct held_pkt pkt[HOLD_PACKETS];
	uint64_t word[HOLD_PACKETS]; /* of those just taken: the end of their keys */
};

/* An ESP packet that was here before its SA. */
struct early_pkt {
	bool used, udp;
	uint64_t ns;         /* when it came */
	struct sock_rx rx;   /* data points into early.mem */
};

struct early {
	_Atomic unsigned n;  /* read by the control thread */
	uint8_t *mem;        /* EARLY_PACKETS * EARLY_ROOM */
	struct early_pkt pkt[EARLY_PACKETS];
};

struct worker_counters {
	uint64_t out_packets, out_bytes, in_packets, in_bytes;
	uint64_t out_wire_packets, out_wire_bytes, in_wire_packets, in_wire_bytes;
	uint64_t bypass_packets, bypass_bytes;
	uint64_t tun_reads, tun_writes, sends, recvs;
	uint64_t icmp_sent, rst_sent, mss_clamped, fragmented, reassembled, keepalives_in;
	uint64_t bridged;
	struct drop_counters drop;
};

struct gro_slot {
	struct flow_key key;
	bool used;
	struct gro_run run;
};

/* What a worker's epoll watches; UDP, RAW, AH and IKE are followed by their IPv6 twins, PORT by
 * that of the open side. */
enum worker_end {
	WORKER_STOP,
	WORKER_WAKE,
	WORKER_TUN,
	WORKER_UDP,
	WORKER_RAW = WORKER_UDP + 2,
	WORKER_AH = WORKER_RAW + 2,
	WORKER_PORT = WORKER_AH + 2,
	WORKER_IKE = WORKER_PORT + 2,
	WORKER_ENDS = WORKER_IKE + 2
};

struct worker {
	struct plane *plane;
	unsigned number;
	pthread_t thread;
	bool started;

	/* ends */
	int tun_fd;
	unsigned tun_can; /* GRO_* the device, or the bridge's protected port, takes from us */
	struct bridge *bridge;    /* instead of TUN; NULL: none */
	bool whole; /* all that is protected leaves behind the IP header it came with: wrap.c */
	void (*flush)(struct worker *w);   /* where w->frame[] goes: send_frames(), bridge_send() */
	/* where w->in[] goes: deliver_packets(), bridge_deliver() */
	void (*deliver)(struct worker *w);
	struct sock udp[2], raw[2], ah[2], clear[2]; /* [0] IPv4, [1] IPv6; fd -1: not open */
	struct sock_rxq *rxq;
	int epoll_fd;
	int wake_fd;              /* eventfd: the control thread wants held packets looked at */

	/* tables */
	const struct plane_view *view; /* of this batch */
	struct flow_table out_flows, in_flows;
	struct fragtab frag_out, frag_in;
	struct reasm reasm_out, reasm_in;
	struct crypt_ctx *crypt;
	uint32_t batch;           /* counts batches: the tables' idea of time */
	uint64_t now_ns;          /* read once per batch */

	/* outbound batch */
	uint8_t *read_arena;
	struct out_pkt out[BATCH_PKTS];
	unsigned n_out;
	uint8_t *frame_arena;
	uint32_t frame_used;
	struct out_frame frame[BATCH_FRAMES];
	unsigned n_frame;
	struct crypt_op op[BATCH_FRAMES];
	unsigned n_wrap;          /* packets of the batch marked so */
	bool again; /* the batch has been kept for SAs, and goes its way a second time */

	/* inbound batch */
	struct sock_rx rx[SOCK_RX_MAX];
	struct in_pkt in[BATCH_FRAMES];
	unsigned n_in;
	uint8_t *side_arena;      /* for transport mode */
	uint32_t side_used;
	struct nest_pkt nest[NEST_MAX];
	unsigned n_nest;
	struct gro_slot gro[GRO_FLOWS];

	struct ip_addr icmp4, icmp6; /* where ICMP errors come from; ver 0: the destination of the
					packet in question */
	struct {
		struct ip_addr to;
		uint64_t ns;
		uint32_t mtu;
	} clear_way;              /* of what was too large, last: send.c */
	uint64_t icmp_tokens_ns;  /* token bucket of ICMP errors: time up to which they are used */
	struct worker_counters c;
	struct event_ring events;
	struct audit_ring audit;
	struct ike_ring ike;
	struct hold hold;
	struct early early;
	struct {
		const void *about;
		uint64_t ns;
	} told[EV_TYPES]; /* what the last event of each type was about, and when it was raised */
};

/* Packets that one step works on before it is the next one's turn. */
#define BATCH_STAGE 32u

/* How far ahead of the packet at hand a flow is looked for where fewer are kept. */
#define BATCH_LOOK 12u

static inline unsigned batch_end(unsigned end, unsigned n)
{
	return end < n ? end : n;
}

static inline void worker_drop(struct worker *w, enum drop why)
{
	w->c.drop.n[why]++;
}

/* outbound.c: reads a batch from TUN; how many packets it got. */
unsigned outbound_read(struct worker *w);
/* What a packet of len bytes takes of the read arena: its virtio header lies on the line before it,
 * padding and trailer go behind. */
static inline uint32_t outbound_room(uint32_t len)
{
	return (CACHE_LINE + len + ESP_TAIL_MAX + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1);
}
/* Works on w->out[0..n_out): afterwards w->frame[0..n_frame) are sealed. Sends as often as the
 * arena fills up: `flush` is called with the frames ready. */
void outbound_batch(struct worker *w, void (*flush)(struct worker *w));

/* frame.c: makes ESP packets of out[first..end), those that have an SA. Calls flush when there is no
 * more room; what is left then waits for frame_seal(). */
void frame_batch(struct worker *w, unsigned first, unsigned end, void (*flush)(struct worker *w));
/* Seals what is framed and hands it to flush. */
void frame_seal(struct worker *w, void (*flush)(struct worker *w));
/* send.c: w->frame[0..n_frame) to the sockets; empties the frame arena. */
void send_frames(struct worker *w);
/* An inner packet in the clear: p, or the segment ip[0..len) of it. What is larger than its link
 * goes in fragments where it may; else its sender is told. False: the same is true for all segments
 * of p. */
bool send_clear(struct worker *w, const struct out_pkt *p, const uint8_t *ip, uint32_t len);

/* inbound.c: receives from one socket and works on what came; packets that pass go to `deliver`. */
void inbound_socket(struct worker *w, struct sock *s, void (*deliver)(struct worker *w));
/* Splits w->rx[0..n) into ESP packets and works on them. UDP-encapsulated or raw. */
void inbound_datagrams(struct worker *w, unsigned n, bool udp, void (*deliver)(struct worker *w));
/* deliver.c: w->in[0..n_in) to TUN, joined where they can be. */
void deliver_packets(struct worker *w);
/* One packet of our own making (ICMP error, reset) to the sender of `about`. */
void deliver_own(struct worker *w, const struct out_pkt *about, const uint8_t *ip, uint32_t len);

/* bridge.c, for the rest: a packet from the protected side that is to go on in the clear */
void bridge_bypass(struct worker *w, const struct out_pkt *p);
/* The same as deliver_own(). */
void bridge_reply(struct worker *w, const struct out_pkt *about, const uint8_t *ip, uint32_t len);

/* Counts a group of packets of an SA, stamps it as used now, and tells of a lifetime that ran out.
 * Returns sa_count()'s bits. */
unsigned worker_count(struct worker *w, struct sa *sa, uint64_t packets, uint64_t bytes);

/* reply.c: what goes back to the inner sender. */
void reply_too_big(struct worker *w, const struct out_pkt *p, uint32_t mtu);
void reply_reject(struct worker *w, const struct out_pkt *p);

/* wrap.c: the packets of the batch that are marked, through all their SAs; frames go to `flush` as
 * often as there are many. */
void wrap_batch(struct worker *w, void (*flush)(struct worker *w));

/* nest.c: receives from an AH socket and works on what came. */
void nest_socket(struct worker *w, struct sock *s, void (*deliver)(struct worker *w));
/* The same for what is in w->rx[0..n). */
void nest_datagrams(struct worker *w, unsigned n, void (*deliver)(struct worker *w));
/* Is what came out of an SA protected once more, for us? */
bool nest_wants(const struct worker *w, const uint8_t *ip, const struct pkt_info *info);
/* The same, whether the packet is whole or its first fragment. */
bool nest_knows(const struct worker *w, const uint8_t *ip, const struct pkt_info *info);
/* Enters a packet that has come through one SA; w->n_nest < NEST_MAX. */
void nest_add(struct worker *w, const struct in_pkt *p);
/* What has come through its SAs, all of them: checked against the policy, and then in w->in. */
void nest_arrive(struct worker *w, struct nest_pkt *p, const struct pkt_info *info);
/* Works on what was entered, until nothing is left. */
void nest_run(struct worker *w, void (*deliver)(struct worker *w));
/* Room for len bytes in the side arena, TRANSPORT_HEAD_MAX free bytes in front of it; NULL when it
 * is used up. */
uint8_t *side_room(struct worker *w, uint32_t len);

/* inbound.c, for nest.c: */
void inbound_sa_drop(struct worker *w, struct sa *sa, enum drop why);
void inbound_unknown_spi(struct worker *w, uint32_t spi, const struct sock_rx *rx);
/* Does the policy demand this SA, and has the SA no selectors of its own or some that match? */
/* Where the outer header has the inner addresses (RFC 5374 3.1): were they those? */
bool inbound_preserved(const struct sa *sa, const struct sock_rx *rx, const struct flow_key *k);
bool inbound_may_carry(const struct policy *pol, const struct sa *sa, const struct flow_key *k);
/* The policy's say on w->in[0..n_in); what may not pass leaves. */
void inbound_check(struct worker *w);
struct flow_entry *inbound_flow(struct worker *w, const struct in_pkt *p);
/* Takes the outer ECN field over into the inner packet. DROP_NONE or DROP_ECN. */
enum drop inbound_ecn(const struct sa *sa, uint8_t outer_tos, uint8_t *ip, struct pkt_info *info);

/* whole.c: a fragment from the protected side, w->out[i]. True: it goes on, as it is or made whole
 * with those before it. False: dealt with. */
bool whole_out(struct worker *w, struct out_pkt *p, unsigned i);
/* The same for one from a bridge's open side, in place of a host. */
bool whole_in(struct worker *w, struct in_pkt *p);
/* bridge.c: does the packet lie in a frame of this batch? */
bool bridge_holds(const struct worker *w, const struct out_pkt *p);

/* hold.c: a packet that pol protects and for which there is no SA: kept (or dropped when there is
 * no room), and keying is told. */
void hold_add(struct worker *w, const struct out_pkt *p, const struct policy *pol);
/* Fills w->out with the kept packets that may go now, drops those that are given up; how many may
 * go. */
unsigned hold_take(struct worker *w);

/* early.c: keeps a packet with an SPI that nobody has, when keying waits for an SA. False: it is
 * not kept. */
bool early_add(struct worker *w, const struct in_pkt *p, bool udp);
/* Works on the kept packets whose SA has come, and drops those that have waited too long. */
void early_take(struct worker *w);

/* fragments.c: gives the fragment at place i of the batch its datagram's ports, where policies ask
 * for them. False when it does not go on: it is kept until the first fragment comes, or was
 * dropped. */
bool fragments_out(struct worker *w, struct out_pkt *p, unsigned i);
/* Fills w->out with the kept fragments whose first has come; gives up those that have waited too
 * long. */
unsigned fragments_out_take(struct worker *w);
/* The same for a received one, which came through sa[0..n_sa), outermost first. */
bool fragments_in(struct worker *w, const uint8_t *ip, struct pkt_info *info, struct sa *const *sa,
		  unsigned n_sa);
/* The same for what came in the clear; does not wait for the first fragment. */
bool fragments_in_clear(struct worker *w, const uint8_t *ip, struct pkt_info *info);
void fragments_in_release(struct worker *w, void (*deliver)(struct worker *w));

/*
 * audit.c: a packet that is dropped, as an auditable event when the reason is one. Inbound: of ESP
 * alone; with its IP header, behind sa[0..n_sa) already, where sa is the one that refuses it (NULL:
 * none does) and info what the parser says of it as it is (NULL: nothing).
 */
void audit_in(struct worker *w, const struct in_pkt *p, enum drop why);
void audit_nest(struct worker *w, const struct nest_pkt *p, const struct sa *sa, enum drop why,
		const struct pkt_info *info);
/* A datagram that is too short, or too broken, to have an SPI. */
void audit_datagram(struct worker *w, const struct sock_rx *rx, enum drop why);
/* Inbound, a fragment of a datagram that cannot be put together. */
void audit_part(struct worker *w, const uint8_t *ip, const struct pkt_info *info, enum drop why);
/* Inbound, in the clear. */
void audit_clear(struct worker *w, const uint8_t *ip, const struct pkt_info *info, enum drop why);
/* A fragment that came through sa, and does not fit the others of its packet. */
void audit_fragment(struct worker *w, const struct sa *sa, const struct pkt_info *info,
		    enum drop why);
/* Outbound: sa NULL, none was chosen; ip and info may be NULL. */
void audit_out(struct worker *w, const uint8_t *ip, const struct pkt_info *info,
	       const struct sa *sa, enum drop why);
/* An ICMP error that is told because of what it is; sa: it came or goes through, NULL for none. */
void audit_icmp(struct worker *w, const uint8_t *ip, const struct pkt_info *info,
		const struct sa *sa, enum drop why);
/* icmp_error.c: a packet that no policy is for: the policy that it goes by, being an ICMP error
 * about its packets; NULL: none. */
struct policy *icmp_error_out(struct worker *w, const struct out_pkt *p);
/* The same for one that its SAs may not carry by itself: the policy that its quote belongs to;
 * *back: the key of the traffic that answers what is quoted, which the SAs must be allowed to
 * carry. own: the policy that governs the packet itself, NULL for none. NULL: none, or it is not
 * such a packet. */
const struct policy *icmp_error_in(struct worker *w, const struct policy *own, const uint8_t *ip,
				   const struct pkt_info *info, struct flow_key *back);
/* Does it quote a packet that an inner SA of the policy has made, and has it come through just those
 * around that one? sa[0..n): what it came through, the outermost first. */
bool icmp_error_of_bundle(const struct policy *pol, struct sa *const *sa, unsigned n,
			  const uint8_t *ip, const struct pkt_info *info);
/* Why a packet that may not pass does not: POLICY_IN, or ICMP_QUOTE for what icmp_error_in() has
 * looked into. */
enum drop icmp_error_refused(const struct policy *own, const struct pkt_info *info);

/* An ICMP error of this kind (enum icmp_of; 0: it is none) came out of an SA, or in the clear: may
 * it pass, as far as its type goes? */
bool icmp_error_accepted(const struct worker *w, unsigned kind, bool clear);
/* Is any kind of them to be told? */
bool icmp_error_told(const struct worker *w);
/* Tells of it, if that is wanted; sa NULL: none. why: DROP_ICMP_TYPE, or NONE when it goes on. */
void icmp_error_tell(struct worker *w, unsigned kind, const uint8_t *ip,
		     const struct pkt_info *info, const struct sa *sa, enum drop why);

/* ike.c: a message behind its marker, p[0..len), for the control thread. */
void ike_in(struct worker *w, const struct sock_rx *rx, const uint8_t *p, uint32_t len);
/* The same of a message without a marker, that came to this address and port of ours. */
void ike_hand_over(struct worker *w, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, uint32_t len);

/* worker.c */
/* Makes it look at the packets it holds, soon. Any thread. */
void worker_wake(struct worker *w);
void *worker_main(void *arg);
/* Memory and tables; the ends are opened by plane.c. 0 or -errno. */
int worker_init(struct worker *w, struct plane *p, unsigned number) warn_unused;
void worker_fini(struct worker *w);
/* Tells the control thread; a full ring is a counted drop. */
void worker_event(struct worker *w, const struct ipsec_event *e);
/* The same for what every packet could raise again until the control thread has done something
 * about it: at most one event of a type about the same object in a while. */
void worker_event_paced(struct worker *w, const struct ipsec_event *e, const void *about);

#endif
