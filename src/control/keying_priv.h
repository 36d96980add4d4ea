/* What the files of keying share. */
#ifndef CONTROL_KEYING_PRIV_H
#define CONTROL_KEYING_PRIV_H

#include "control/dns.h"
#include "control/keying.h"
#include "control/leasestore.h"
#include "control/lookup.h"
#include "control/netcfg.h"
#include "control/pool.h"
#include "ike/ike.h"
#include "io/udp.h"

/* keying_group.c: chained hash of 32-bit numbers that we have chosen ourselves at random, or counted. */
struct knode {
	struct knode *next;
	uint32_t key;
};
struct ktable {
	struct knode **bucket;
	unsigned n_buckets, n; /* n_buckets: 0 or a power of two */
};
int ktable_put(struct ktable *t, struct knode *node) warn_unused; /* 0 or -ENOMEM */
void ktable_take(struct ktable *t, struct knode *node);
/* The newest with this key; further ones by ->next, whose keys are to be compared. */
struct knode *ktable_get(const struct ktable *t, uint32_t key);

/* An inbound SPI that we gave out, and the pair of SAs that it became. */
struct kpair {
	struct knode node;     /* the SPI */
	struct kgroup *group;  /* NULL: only the SPI is taken */
	struct kpair *next;    /* of the group; newest first */
	struct sa *in, *out;   /* references */
	struct sa *ah_in, *ah_out; /* of a bundle, around them; else NULL */
	uint32_t conn_id, child_id, spi_out;
	uint8_t proto;         /* enum sa_proto */
	bool udp;
};

/* A child of a connection through all its rekeyings, and its trap: a reqid. */
struct kgroup {
	struct knode node;     /* the reqid */
	struct kgroup *prev, *next; /* all of them, newest first */
	char *conn, *child;
	struct kpair *pairs;   /* newest first */
	struct kpair *sending; /* NULL: no outbound SA */
	struct selector *sel;  /* negotiated; with pairs */
	unsigned n_sel;
	struct selector *trap; /* of the trap; NULL: none */
	unsigned n_trap;
	bool mss_clamp, transport;
	bool fragments, trap_fragments; /* later fragments follow their first where ports are named */
	bool trap_each;        /* the trap asks for an SA for each packet that has none */
	uint64_t rank, trap_rank; /* how narrow: the higher goes first */
	uint64_t serial;          /* of equally narrow ones, the newer goes first */
};

struct keying {
	struct daemon *d;
	struct ike *ike;
	struct ike_conf *conf; /* a reference */
	struct udp udp[2];     /* port 500: IPv4, IPv6; fd -1: none */
	struct pool *pool;
	struct lookup *lookup;
	struct dns *dns;
	struct leasestore *leases; /* NULL: there is no place to keep them */
	bool running;          /* messages are read */
	/* keying_sa.c, keying_group.c */
	struct ktable pairs, groups;
	struct kgroup *first;
	unsigned n_groups;
	uint64_t last_serial;
	/* keying_net.c */
	bool dirty;            /* policies and routes do not say what groups say */
	int64_t allowance_ns;  /* time that may be spent on putting them into force */
	uint64_t earned_ns;    /* when that was reckoned last */
	struct netcfg_more more;
	struct ip_addr named[64]; /* what names of peers were found to mean, lately */
	unsigned n_named;
	uint64_t unheard_ns;   /* when we said last that a peer's place is not known */
	/* keying_event.c */
	json_t *told;          /* events of orders, for those who follow them */
	struct klines {
		struct kline *first, **last;
		unsigned n;
	} esp_keys, ike1_keys, ike_keys;
	/* the loop's */
	ev_io on_udp[2], on_plane, on_pool, on_lookup;
	ev_timer on_time, on_flush;
	ev_prepare before;
	uint64_t timer_ns;     /* what on_time is set to; UINT64_MAX: nothing */
};

/* ---- keying_group.c ---- */
struct kgroup *kgroup_find(const struct keying *k, uint32_t reqid);
/* The one there is, or a new one; NULL without memory. */
struct kgroup *kgroup_make(struct keying *k, uint32_t reqid, const char *conn, const char *child);
/* Frees it when it has neither SAs nor a trap: then there is nothing left to know. */
void kgroup_leave(struct keying *k, struct kgroup *g);
void kgroup_free(struct keying *k, struct kgroup *g);
/* Selectors for policies (owned by the caller) from those of IKE; 0 or -errno with why. */
int kgroup_selectors(const struct ts_list *local, const struct ts_list *remote,
		     struct selector **sel, unsigned *n, char *why, size_t whylen) warn_unused;
/* The policies of the reqid are those of its last negotiation; takes sel. */
void kgroup_set_selectors(struct keying *k, struct kgroup *g, struct selector *sel, unsigned n);
/* Traps. */
void kgroup_env(struct ike_env *e);

/* ---- keying_sa.c ---- */
void ksa_env(struct ike_env *e);
void ksa_fini(struct keying *k);
const struct kpair *ksa_find(const struct keying *k, uint32_t spi_in, uint8_t proto);

/* ---- keying_net.c ---- */
/* Groups have changed: policies and routes follow, at once or soon. */
void knet_dirty(struct keying *k);
/* Now, if anything has changed. */
void knet_flush(struct keying *k);
/* Name servers follow what is up. */
void knet_dns(struct keying *k);
/* Addresses a name of a peer stands for: routes must not catch them. */
void knet_named(void *keying, const struct ip_addr *addr, unsigned n);
void knet_fini(struct keying *k);
/* In place of the host behind a bridge: whose messages are for us, as the connections say; and sending from the host's address. */
void knet_ends(struct keying *k);
int knet_send_bump(struct keying *k, const struct endpoint *local, const struct endpoint *remote, bool marker,
		   struct span datagram);
int knet_source(void *keying, const struct ip_addr *remote, struct ip_addr *local);

/* ---- keying_event.c ---- */
void kevent_tell(void *keying, const struct ike_event *e);
void kevent_audit(void *keying, const struct audit_event *e);
/* Hands events of orders to those who follow. */
void kevent_flush(struct keying *k);
/* Keeps the keys of an SA as a line of Wireshark's table, when the configuration allows it. */
void kevent_keep_esp(struct keying *k, const struct sa_conf *c);
void kevent_fini(struct keying *k);

#endif
