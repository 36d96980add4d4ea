/*
 * A security association (RFC 4301 4.4.2). The part that every packet touches comes first; what
 * only the control thread needs is behind `cold`. Workers read it under RCU; sequence numbers,
 * counters and the replay window are atomics; everything else is immutable once installed, but
 * `path`, which is replaced under RCU when the peer's address changes.
 */
#ifndef IPSEC_SA_H
#define IPSEC_SA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/drop.h"
#include "base/secret.h"
#include "crypto/crypt.h"
#include "crypto/transform.h"
#include "ipsec/replay.h"
#include "ipsec/selector.h"

enum sa_proto { SA_ESP = 50, SA_AH = 51 };
enum sa_mode { SA_TUNNEL, SA_TRANSPORT };
enum sa_encap { SA_ENCAP_NONE, SA_ENCAP_UDP }; /* raw IP protocol, or UDP port 4500 */
#define SA_OUTER_MTU_DEFAULT 1500u /* path MTU until the route says otherwise */

enum sa_df { SA_DF_COPY, SA_DF_SET, SA_DF_CLEAR };
enum sa_fragment { SA_FRAG_BEFORE, SA_FRAG_AFTER };

/* Lifetimes: 0 means without limit. soft raises an event once, hard stops the SA. */
struct sa_lifetime {
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	uint64_t soft_ns, hard_ns; /* after installation */
};

enum sa_state { SA_ALIVE, SA_DEAD };

/* Inbound transport mode in UDP: a NAT has changed addresses that the sender's TCP or UDP checksum
 * was made with. */
enum sa_csum {
	SA_CSUM_KEEP,
	SA_CSUM_ADJUST, /* by the original addresses, which are known (RFC 3948 3.1.2) */
	SA_CSUM_SET,    /* made anew: they are not known */
};

#define SA_BUNDLE_MAX 4 /* SAs that one packet goes through */

/* The open side of a tunnel; replaced as a whole when the peer moves. */
struct sa_path {
	struct ip_addr src;  /* ver 0: the kernel chooses */
	struct endpoint dst; /* ver 0: not known yet */
	void *prepared;      /* the plane's own form of it, freed with the path */
	void (*prepared_free)(void *);
};

struct sa_conf;
struct label_range;

/*
 * Two cache lines for a packet, whatever its direction: with many SAs the lines a packet needs come
 * from memory, and they are most of what it costs. What is needed together shares a line; a new
 * field of the first two has to find a place there or go behind them.
 */
struct sa {
	/* -- written by every batch -- */
	_Alignas(CACHE_LINE) _Atomic uint64_t packets; /* protected or accepted ... */
	_Atomic uint64_t bytes;                        /* ... and bytes of inner packets */
	_Atomic uint64_t last_used_ns;
	_Atomic uint64_t seq; /* outbound: last number given out */
	union {
		struct replay replay; /* inbound */
		uint64_t iv_base;     /* outbound: added to the sequence number: the explicit IV of
					 counter modes */
	};
	/* -- read by every packet -- */
	uint32_t spi;               /* host byte order */
	_Atomic uint32_t inner_mtu; /* largest inner packet that fits the path, in bytes */
	_Atomic uint32_t peer_tag; /* inbound: a hash of where its packets come from, so that a move
				      shows without following path; the plane's */
	uint16_t overhead_max;      /* bytes that ESP and the outer headers add at most */
	uint8_t proto;              /* enum sa_proto */
	uint8_t mode : 2;           /* enum sa_mode */
	uint8_t encap : 2;          /* enum sa_encap */
	uint8_t dir : 1;            /* enum ipsec_dir */
	uint8_t csum : 2;           /* enum sa_csum */
	bool group : 1;             /* goes to a multicast group (RFC 4301 4.1) */
	uint8_t iv_len, icv_len, align;
	int8_t dscp;           /* outer DSCP; -1 copies the inner one */
	uint8_t df : 2;        /* enum sa_df */
	uint8_t fragment : 1;  /* enum sa_fragment */
	bool esn : 1;
	bool ecn : 1;          /* RFC 6040 normal mode; else compatibility */
	bool cycles : 1; /* outbound: one sender of several; numbers roll over (RFC 4303 3.3.3) */
	bool preserve : 1;     /* the outer header has the inner addresses (RFC 5374 3.1) */
	bool solo : 1;         /* one worker in all: what changes need not be changed atomically */
	_Atomic uint8_t state; /* enum sa_state */
	bool limited;          /* limit_bytes or limit_packets is one */
	_Atomic(struct sa_path *) path; /* outbound */
	struct crypt_key key;  /* its first half; the other is behind the line */
	/* -- what packets need when lifetimes are limited by bytes or packets -- */
	/* the next lifetime boundary, soft or hard; UINT64_MAX for none */
	_Atomic uint64_t limit_bytes, limit_packets;
	/* -- the control thread's, and what packets seldom need -- */
	struct sa_conf *conf;
	uint32_t reqid; /* which child of keying it belongs to, through all rekeyings; 0: none */
	uint32_t index;            /* place in the SAD, stable while installed */
	struct sa *next_retired;   /* the SAD's */
	_Atomic uint32_t refs;     /* policies and databases that hold it */
	bool retired;
	_Atomic uint8_t soft_raised, hard_raised;
	uint64_t installed_ns;     /* monotonic */
	_Atomic int ifindex; /* of conf->interface; 0: none, or there is none of that name now */
	uint32_t pmtu;             /* outbound: learned from ICMP, bytes; 0: nothing (pmtu.h) */
	uint64_t pmtu_until_ns;    /* as long as that */
	_Atomic uint64_t drops[4]; /* SA_DROP_*: per-SA drop counters */
};
_Static_assert(offsetof(struct sa, spi) == CACHE_LINE, "what packets write is one cache line");
_Static_assert(offsetof(struct sa, key) + CRYPT_KEY_HOT == 2 * CACHE_LINE,
	       "what packets read is one cache line");

/* Outbound: from this number on it is time for another SA. */
static inline uint64_t sa_seq_soft(const struct sa *sa)
{
	return ((sa->esn || sa->cycles) ? UINT64_MAX : UINT32_MAX) / 16 * 15;
}

/* Starts loading what every packet needs of an SA. */
static prefetching void sa_prefetch(const struct sa *sa)
{
	__builtin_prefetch(&sa->packets, 1);
	__builtin_prefetch(&sa->spi);
}

enum { SA_DROP_REPLAY, SA_DROP_AUTH, SA_DROP_POLICY, SA_DROP_OTHER };

/* What an SA is made from. Owned by the SA once made; the secrets are wiped right after the key was
 * made. */
struct sa_conf {
	char *name;
	enum sa_proto proto;
	enum sa_mode mode;
	enum ipsec_dir dir;
	uint32_t spi;
	uint32_t reqid;              /* of struct sa */
	/* inbound, with a reqid: how many SAs of it every packet has come through (0: this one
	 * alone), and which of them this one is, counted from the innermost */
	uint8_t bundle_n, bundle_at;
	struct ip_addr src, dst;     /* outer addresses; ver 0 ("%any"): any, or learned */
	struct ip_addr oa_src, oa_dst; /* inbound, transport mode in UDP: src and dst as the sender
					  has put them into its packets; ver 0: not known */
	uint16_t src_port, dst_port; /* UDP encapsulation; host byte order */
	/* To a multicast group (dst): the interface of the open side; owned. Inbound SAs are found
	 * by SPI and dst, and with src by that too. */
	char *interface;
	bool preserve; /* tunnel: the outer header has the inner addresses (RFC 5374 3.1) */
	/* Outbound, where several hosts send by one SA: a number of ours, which begins the explicit
	 * IVs (RFC 6054 2). sender_bits: its size, 8, 12 or 16; 0: we are the only one. */
	uint16_t sender_id, sender_bits;
	enum sa_encap encap;
	struct esp_suite suite;
	struct secret encr_key, integ_key;
	uint8_t key_id[16];    /* hash of the keys: tells whether a reload changed them; another in
				  every process */
	uint8_t key_print[16]; /* hash of keys and SPI that is the same in every process: names the
				  SA in the state directory */
	bool esn;
	uint32_t replay_window; /* 0: none */
	struct sa_lifetime life;
	enum sa_df df;
	enum sa_fragment fragment;
	bool ecn;
	int dscp;          /* -1 copies */
	uint64_t
	    match_dscp; /* outbound: bit n, packets of DSCP n go by it (RFC 4301 4.1); 0: all */
	struct label_range
	    *label;        /* sensitivity of what it carries (RFC 2401 8); owned; NULL: none */
	uint32_t path_mtu; /* outer, bytes; 0: from the route */
	bool mss_clamp;
	struct selector *sel; /* what it may carry besides what its policies say; owned; usually
				 none for manual SAs */
	unsigned n_sel;
};

/* Makes an SA from *conf, which is moved into it (emptied) on success. threads: workers that will
 * use it. Returns 0, -EINVAL/-ENOTSUP with a sentence in why, or -ENOMEM. The caller holds one
 * reference. */
int sa_new(struct sa_conf *conf, unsigned threads, struct sa **out, char *why,
	   size_t whylen) warn_unused;
struct sa *sa_ref(struct sa *sa);
/* Drops a reference; the last one frees after an RCU grace period (call_rcu is not needed: the
 * control thread calls synchronize before). */
void sa_unref(struct sa **sa);
void sa_conf_free(struct sa_conf **conf);
/* Frees what a conf owns, not the conf itself. */
void sa_conf_fini(struct sa_conf *conf);
/* An SA to a multicast group; of it, whether it is found by its source as well. */
bool sa_conf_is_group(const struct sa_conf *conf);
bool sa_conf_is_from_one(const struct sa_conf *conf);
/* <0, 0, >0: an order in which SAs are equal that cannot be in one SAD: direction, SPI, protocol,
 * and for inbound ones to a group what else is looked at (RFC 4301 4.1). Outbound ones may be
 * equal. */
int sa_conf_order(const struct sa_conf *a, const struct sa_conf *b);
/* True when an SA made from a could go on for b: everything is the same. Both need their key_id. */
bool sa_conf_same(const struct sa_conf *a, const struct sa_conf *b);
/* Computes conf->key_id from its keys, for sa_conf_same(); sa_new() does it by itself. The hash is
 * keyed with a random number of this process: it compares within one run and tells nothing about
 * the keys. Nothing happens once the keys were wiped. Control thread. */
void sa_conf_set_key_id(struct sa_conf *conf);
/* Bytes of memory of an SA without its cipher's key tables (those: crypt_key_bytes(&sa->key)). */
size_t sa_bytes(const struct sa *sa);

/* Largest inner packet (in transport mode: packet before it is protected) for an outer MTU with
 * this suite, encapsulation and outer version; padding to the alignment included. 0 when nothing
 * fits. */
uint32_t sa_inner_mtu(const struct sa *sa, uint32_t outer_mtu, int outer_ver);
/* Replaces the outer addresses (control thread); the old path is freed after a grace period by the
 * caller's synchronize. Returns the old one. */
struct sa_path *sa_set_path(struct sa *sa, struct sa_path *path);
void sa_path_free(struct sa_path *p);

/*
 * Takes n consecutive sequence numbers: *first .. *first + n - 1. False when fewer than n are left
 * (without ESN 2^32 - 1 in all; RFC 4303 3.3.3): none is taken then.
 */
bool sa_seq_take(struct sa *sa, unsigned n, uint64_t *first);
/*
 * Counts a group of packets of one batch. Returns 0, or bits SA_SOFT (soft lifetime reached now:
 * raise the event once) and SA_HARD (hard lifetime reached: the SA is dead from now on).
 */
#define SA_SOFT 1
#define SA_HARD 2
unsigned sa_count(struct sa *sa, uint64_t packets, uint64_t bytes);
/* For the number that sa_seq_take() gave out last: SA_SOFT once, when few are left (15/16 of them
 * are used); else 0. */
unsigned sa_seq_low(struct sa *sa);
/* The control thread's once-a-second look at the time limits. Same result bits. */
unsigned sa_check_time(struct sa *sa, uint64_t now_ns);
static inline bool sa_usable(const struct sa *sa)
{
	return atomic_load_explicit(&sa->state, memory_order_relaxed) == SA_ALIVE;
}

#endif
