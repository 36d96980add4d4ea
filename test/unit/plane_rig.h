/*
 * Two planes without network, for tests: A protects, B opens.
 *
 *   rig_put() -> [rig_out(): outbound_batch() of A -> frames copied to the wire] -> rig_in(): inbound_datagrams() of B -> got
 *
 * What a plane writes to its TUN device (ICMP errors, resets, delivered packets) is read with rig_tun_read(). The clock stands
 * still until a test moves it.
 */
#ifndef TEST_PLANE_RIG_H
#define TEST_PLANE_RIG_H

#include <check.h>
#include <sys/socket.h>

#include "pkt.h"
#include "plane/internal.h"

#define RIG_WIRE_MAX 4096
#define RIG_POLICIES 8
#define RIG_SPI 0x10001u
#define ANY_PORT 0 /* of struct rig_policy */

/* A policy as side A sees it; B gets it with the sides exchanged. Without addresses: 10.1/16 to 10.2/16. */
struct rig_policy {
	enum policy_action action;
	const char *local, *remote; /* A's view */
	uint16_t proto;             /* 0: any */
	uint16_t lport, rport;      /* A's view; 0: any */
	bool no_sa;                 /* protects, but names no SA */
	bool no_clamp;
	uint32_t reqid;             /* of keying: names no SA */
	bool each;                  /* its packets ask each for its own SA */
};

struct rig_opts {
	const char *suite;      /* aes128gcm16 */
	const struct esp_suite *suite_made; /* instead */
	bool esn, no_ecn, raw;
	uint32_t window;        /* REPLAY_WINDOW_DEFAULT */
	bool no_window;
	enum sa_df df;
	enum sa_fragment fragment;
	int dscp;               /* outer DSCP + 1; 0 copies */
	uint32_t path_mtu;      /* 1500 */
	int outer_ver;          /* 4 */
	struct sa_lifetime life_out, life_in;
	const struct selector *sel_in; /* the inbound SA's own */
	unsigned workers;       /* 1 */
	struct rig_policy policy[RIG_POLICIES];
	unsigned n_policy;      /* 0: protect IPv4 10.1/16 and IPv6 2001::/16 */
	unsigned dev_can;       /* GRO_* of the TUN devices */
	bool no_peer;           /* A does not know where B is */
	uint32_t reqid;         /* of both SAs */
	bool transport;         /* from 192.0.2.1 (2001:db8::1) to .2 */
	bool ah;                /* AH; suite is "null-sha256" and the like */
	const char *src, *dst;  /* outer addresses, where they are not those */
	const char *oa_src, *oa_dst; /* of the inbound SA */
	bool from_any;          /* the inbound SA is for all senders (dst is a group) */
	bool preserve;
	uint16_t sender_id, sender_bits;
	bool ike;               /* the planes take IKE messages */
	struct port *ports_a, *ports_b; /* of bridges, lent */
	bool bump;              /* bridges in place of hosts */
};

struct rig_frame {
	uint8_t *p; /* owned, exactly len bytes */
	uint32_t len;
	uint8_t tos;
	bool df;
};

struct rig {
	struct rig_opts o;
	struct plane *pa, *pb;
	struct worker *a, *b;   /* their first workers */
	struct sa *out, *in;    /* owned; A's and B's end of one SA */
	int tun_a, tun_b;       /* our ends of their TUN devices */
	struct endpoint peer_a; /* where B expects A */
	uint32_t put_at;        /* in A's read arena */
	struct rig_frame wire[RIG_WIRE_MAX];
	unsigned n_wire;
	struct rig_frame got[RIG_WIRE_MAX]; /* inner packets accepted by B; tos, df unused */
	unsigned n_got;
};

/* Starts the libraries and stops the clock; once per program. False when it cannot. */
bool rig_global_init(void);
/* The clock. */
extern uint64_t rig_now_ns;

void rig_new(struct rig *r, const struct rig_opts *o);
void rig_free(struct rig *r);
/* One more SA like the rig's, at its side's plane and in its SAD; the caller holds a reference. */
struct sa *rig_sa(struct rig *r, enum ipsec_dir dir, uint32_t spi, uint32_t reqid);
/* An SPD of the policies in o for one side, naming the rig's SAs. */
struct spd *rig_spd(struct rig *r, const struct rig_policy *p, unsigned n, bool side_b);

/* What answers for sendmmsg(): nothing leaves the machine. NULL: all is refused. */
extern int (*rig_sendmmsg)(int fd, struct mmsghdr *m, unsigned n);

/* Starts a batch as the worker's loop does. */
void rig_begin(struct worker *w);
/* One more packet of A's next batch; vnet NULL: an ordinary packet. */
void rig_put(struct rig *r, const struct virtio_net_hdr *vnet, const void *ip, uint32_t len);
/* Works on what was put; frames go onto the wire. */
void rig_out(struct rig *r);
/* What A keeps, and may go now, goes. */
void rig_held(struct rig *r);
/* What came to B before its SA, and has one now, is worked on. */
void rig_early(struct rig *r);
/* Frames copied to the wire (the flush of rig_out()), of the rig made last. */
void rig_flush(struct worker *w);
/* rig_put() and rig_out() of one ordinary packet. */
void rig_send(struct rig *r, const void *ip, uint32_t len);
/* B receives one datagram from A's address. tos: of the outer header. */
void rig_in(struct rig *r, const void *p, uint32_t len, uint8_t tos);
/* The same for a datagram that came from elsewhere, or holds several packets of seg bytes. */
void rig_in_from(struct rig *r, const void *p, uint32_t len, uint32_t seg, uint8_t tos, const struct endpoint *from);
/* B receives a complete AH packet, as a raw socket shows it. */
void rig_in_ah(struct rig *r, const void *ip, uint32_t len);
/* B receives wire[i]. */
void rig_in_wire(struct rig *r, unsigned i);
/* B receives all of the wire in order; the wire is empty after. */
void rig_in_all(struct rig *r);
void rig_wire_clear(struct rig *r);
void rig_got_clear(struct rig *r);
/* Fails unless the last packet B accepted is this one. */
void rig_got_is(const struct rig *r, unsigned i, const void *ip, uint32_t len);

/* Seals any text with the SA's key under a sequence number; to out, returns the length. text_len is a multiple of the block. */
uint32_t rig_seal(struct rig *r, uint64_t seq, const void *text, uint32_t text_len, uint8_t *out);
/* The same for an inner packet followed by tfc bytes, with padding and trailer. */
uint32_t rig_seal_packet(struct rig *r, uint64_t seq, const void *ip, uint32_t len, uint32_t tfc, uint8_t next_header,
			 uint8_t *out);

/* One write to the device, behind its virtio header; 0 when there is none. */
uint32_t rig_tun_read(int tun, struct virtio_net_hdr *vnet, uint8_t *out, uint32_t max);
/* Fails unless exactly n packets were dropped, all for this reason; starts counting anew. */
void rig_dropped(struct worker *w, enum drop why, uint64_t n);
/* Fails unless the next event is of this type; returns it. Expects no event for -1. */
struct ipsec_event rig_event(struct plane *p, int type);

/* A UDP packet from A's side to B's with len bytes of data that depend on n. */
uint32_t rig_udp(int ver, unsigned n, uint32_t len, uint8_t *out);

TCase *tcase_plane_way(void);
TCase *tcase_plane_drops(void);
TCase *tcase_plane_audit(void);
TCase *tcase_plane_out(void);
TCase *tcase_plane_gso(void);
TCase *tcase_plane_bytes(void);
TCase *tcase_plane_in(void);
TCase *tcase_plane_sa(void);
TCase *tcase_plane_send(void);
TCase *tcase_plane_keying(void);
TCase *tcase_plane_ike(void);
TCase *tcase_plane_transport(void);
TCase *tcase_plane_ah(void);
TCase *tcase_plane_bundle(void);
TCase *tcase_plane_group(void);
TCase *tcase_plane_fragments(void);
TCase *tcase_plane_bridge(void);
TCase *tcase_plane_icmp(void);
TCase *tcase_plane_pick(void);
TCase *tcase_plane_pmtu(void);

#endif
