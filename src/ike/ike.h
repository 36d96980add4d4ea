/*
 * The IKE engine as the control thread (and a test) sees it. Datagrams, events of the SAD, orders
 * and the passing of time enter; datagrams, SAs and policies leave through struct ike_env. The
 * engine makes no system call: wire, SAD, work on other threads and name lookups are the env's,
 * clock and randomness are base/'s, which tests replace. One thread calls everything here.
 */
#ifndef IKE_IKE_H
#define IKE_IKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/audit.h"
#include "base/span.h"
#include "ike/conf.h"
#include "ipsec/event.h"

struct ike;

/* Work for another thread: run() must touch nothing but *job's own data; done() is called on the
 * engine's thread. A job is embedded in something that lives until done(). */
struct ike_job {
	void (*run)(struct ike_job *job);
	void (*done)(struct ike_job *job);
	struct ike_job *next; /* the pool's */
};

/* Answer to a lookup: called once, on the engine's thread. */
struct ike_lookup {
	void (*done)(struct ike_lookup *l, const struct ip_addr *addr, unsigned n, const char *why);
	struct ike_lookup *next; /* the env's */
};

/* The AH of a bundle, around the ESP that was agreed on together with it. In transport mode whatever
 * the mode of the ESP: a tunnel has one outer header. */
struct ike_ah_up {
	uint32_t spi_in, spi_out; /* spi_in is one of spi_alloc(SA_AH); 0: no bundle */
	struct esp_suite suite;
	struct secret encr_in, encr_out; /* GMAC; moved out by the receiver, as the others */
	struct secret integ_in, integ_out;
};

/* A CHILD SA as it is put into the SAD, both directions, and the policies that go with it. */
struct ike_child_up {
	uint32_t reqid;        /* of the child through all its rekeyings; never 0 */
	const char *conn, *child; /* names */
	uint32_t conn_id, child_id; /* numbers shown in lists; child_id: of this pair of SAs alone */
	const struct ike_child_conf *conf;
	uint8_t proto;         /* enum sa_proto */
	uint8_t mode;          /* enum sa_mode */
	bool udp;              /* encapsulated */
	bool esn;
	struct endpoint local, remote; /* outer; ports of UDP encapsulation */
	struct ip_addr oa_local, oa_remote; /* transport mode behind NAT: the addresses the peers see
					       themselves (RFC 3948 3.1.2); ver 0: no NAT */
	uint32_t spi_in, spi_out;
	struct esp_suite suite;
	struct secret encr_in, integ_in, encr_out, integ_out; /* moved out by the receiver */
	struct ike_ah_up ah;   /* with proto SA_ESP and without udp. The pair is named by the ESP's SPI ever after:
				  child_switch(), child_del() and the others mean both */
	struct sa_lifetime life; /* soft limits raise EV_SOFT_EXPIRE: rekey */
	const struct ts_list *local_ts, *remote_ts;
	bool fragments;        /* later fragments go the way of their first (NON_FIRST_FRAGMENTS_ALSO) */
	bool rekey;            /* another pair of this reqid is there: policies stay as they are */
	bool out_now;          /* outbound traffic switches to it now; else at child_switch() */
};

enum ike_event_type {
	IKE_EV_SA_UP,      /* established */
	IKE_EV_SA_DOWN,
	IKE_EV_SA_REKEYED,
	IKE_EV_CHILD_UP,
	IKE_EV_CHILD_DOWN,
	IKE_EV_CHILD_REKEYED,
	IKE_EV_PROGRESS,   /* a step, for `up` on a terminal */
	IKE_EV_DONE,       /* an order is carried out; the last event of it */
	IKE_EV_FAILED,     /* a negotiation or an order failed: text says what to change, and where; of
			      an order the last event, unless it goes on trying (then PROGRESS) */
	IKE_EV_PEER_MOVED,
	IKE_EV_LEASE_GIVEN, /* an address of a pool has a new holder */
	IKE_EV_LEASE_BACK,
	IKE_EV_KEYS,       /* an IKE SA's keys are known: for `keys --wireshark` */
	IKE_EV_TYPES
};
struct ike_sa; /* see ike_list() */
struct ike_lease;
struct ike_event {
	enum ike_event_type type;
	const char *conn, *child; /* NULL: none */
	uint32_t sa_id, child_id; /* 0: none */
	uint64_t order;           /* of ike_initiate() and the like, 0: nobody's */
	const char *text;         /* in words */
	const struct ike_lease *lease; /* of IKE_EV_LEASE_..., else NULL */
};

struct ike_env {
	void *ctx;
	/* Sends one datagram from `local` to `remote`; with marker after four zero bytes. 0 or
	 * -errno; -EMSGSIZE: too big for the path. Errors are like losses. */
	int (*send)(void *ctx, const struct endpoint *local, const struct endpoint *remote, bool marker,
		    struct span datagram);
	/* Our address towards a peer when the connection does not say: from the route. 0 or -errno. */
	int (*source)(void *ctx, const struct ip_addr *remote, struct ip_addr *local);
	/* An inbound SPI nobody uses (host byte order, > 255), kept for us until child_add() or
	 * spi_free(). 0: none left. */
	uint32_t (*spi_alloc)(void *ctx, uint8_t proto);
	void (*spi_free)(void *ctx, uint8_t proto, uint32_t spi);
	/* Puts both SAs (and unless it is a rekeying, the policies) into force; returns when inbound
	 * packets are accepted. 0 or -errno with a sentence. */
	int (*child_add)(void *ctx, struct ike_child_up *up, char *why, size_t whylen);
	/* Outbound traffic of the reqid goes by this outbound SA from now on. */
	void (*child_switch)(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in);
	/* Takes a pair out; with the last of a reqid its policies. trap: a policy that raises an
	 * acquire is to take their place. */
	void (*child_del)(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in);
	/* Policies that raise EV_ACQUIRE for a child without SAs; ike_event_acquire() gets the reqid
	 * back. */
	int (*trap_add)(void *ctx, uint32_t reqid, const struct ike_conn_conf *conn,
			const struct ike_child_conf *child, char *why, size_t whylen);
	void (*trap_del)(void *ctx, uint32_t reqid);
	/* The negotiation an acquire started is over without an SA: kept packets are given up. */
	void (*acquire_failed)(void *ctx, uint32_t reqid);
	/* The peer is now reached here: all children given are sent there. */
	void (*child_move)(void *ctx, uint32_t reqid, uint32_t spi_in, bool udp,
			   const struct endpoint *local, const struct endpoint *remote);
	/* When a packet last came in (in) or went out by the child, clock_now_ns(); 0: never. */
	uint64_t (*child_last_used)(void *ctx, uint32_t reqid, uint32_t spi_in, bool in);
	/* RFC 3948 4 */
	void (*keepalive)(void *ctx, const struct endpoint *local, const struct endpoint *remote);
	/* Runs a job elsewhere. 0, or -EAGAIN when too much waits. */
	int (*submit)(void *ctx, struct ike_job *job);
	void (*resolve)(void *ctx, const char *name, struct ike_lookup *l);
	void (*event)(void *ctx, const struct ike_event *e);
	/* Something auditable in a message, or a peer that is silent; text and conn are borrowed. NULL:
	 * nobody wants to know. */
	void (*audit)(void *ctx, const struct audit_event *e);
};

/* env is copied; conf is referenced. 0, -EINVAL (a table of ours is inconsistent: told in why), or
 * -ENOMEM. */
int ike_new(const struct ike_env *env, struct ike_conf *conf, struct ike **out, char *why,
	    size_t whylen) warn_unused;
/* Forgets everything at once, without a word to any peer; jobs in flight must have come back. */
void ike_free(struct ike **ike);
/* Sets up what start_action demands: traps, connections to start. Once, after ike_new(). */
void ike_start(struct ike *ike);
/* A new configuration: connections that mean the same keep running under it, also when children of
 * theirs come or go; others are closed, and what is new is started. */
void ike_reload(struct ike *ike, struct ike_conf *conf);
/* Sends a delete for every IKE SA (at the end of the process; answers are not awaited). */
void ike_close_all(struct ike *ike);

/* One datagram, without a non-ESP marker; marker: it came with one (port 4500). Decrypted in
 * place. */
void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 bool marker, uint8_t *p, size_t len);
/* When ike_tick() wants to be called next, clock_now_ns(); UINT64_MAX: never. */
uint64_t ike_next_ns(const struct ike *ike);
/* Runs what is due. */
void ike_tick(struct ike *ike);

/* From the SAD: acquire, lifetimes, used up numbers (hard), moved peer. spi_in names the pair, also
 * when it is the outbound SA that reached a limit. */
void ike_acquire(struct ike *ike, uint32_t reqid, const struct flow_key *flow);
void ike_child_expired(struct ike *ike, uint32_t reqid, uint32_t spi_in, bool hard);
void ike_child_moved(struct ike *ike, uint32_t reqid, uint32_t spi_in, const struct endpoint *remote);

/*
 * Orders. name: a connection, or a child of one ("site-b/net"; a child's name alone when it is
 * unique). Progress and the end (IKE_EV_DONE or IKE_EV_FAILED) come as events with the number in
 * *order (counted from 1), some perhaps before the call returns. Return 0, or -ENOENT / -EALREADY /
 * -EINVAL with a sentence.
 */
int ike_initiate(struct ike *ike, const char *name, uint64_t *order, char *why,
		 size_t whylen) warn_unused;
int ike_terminate(struct ike *ike, const char *name, uint64_t *order, char *why,
		  size_t whylen) warn_unused;
/* reauth: a new IKE SA with new authentication in place of rekeying. */
int ike_rekey(struct ike *ike, const char *name, bool reauth, uint64_t *order, char *why,
	      size_t whylen) warn_unused;

/* For lists and tests: snapshots, valid inside the callback. */
struct ike_sa_view {
	uint32_t id;
	const char *conn;
	const char *state; /* "connecting", "established", "rekeying", ... */
	bool initiator, natt, nat_local, nat_remote;
	uint8_t version;
	uint8_t spi_i[8], spi_r[8];
	struct endpoint local, remote;
	const struct ident *local_id, *remote_id; /* NULL: not known yet */
	const char *user;                         /* the peer's, proved by XAUTH; NULL: none */
	const struct proposal *proposal;          /* NULL: none yet */
	struct ip_addr vip[2], lease[2]; /* inner addresses it gave us, and has of us; ver 0: none */
	const struct ip_addr *dns;       /* name servers it gave us */
	unsigned n_dns;
	const char *domain, *split_dns;  /* and domains, the latter separated by commas; NULL: none */
	uint64_t established_ns, rekey_ns, reauth_ns; /* clock_now_ns() of; 0: none */
	unsigned n_children;
};
struct ike_child_view {
	uint32_t id, reqid, sa_id;
	const char *conn, *child;
	const char *state;
	uint8_t proto, mode;
	bool udp, esn;
	uint32_t spi_in, spi_out;
	const struct proposal *proposal;
	const struct ts_list *local_ts, *remote_ts;
	uint64_t installed_ns, rekey_ns, expire_ns;
};
void ike_each_sa(struct ike *ike, void (*cb)(const struct ike_sa_view *v, void *arg), void *arg);
/* Only those that ask their peers for addresses (vips): what peers give is not looked for among all. */
void ike_each_client(struct ike *ike, void (*cb)(const struct ike_sa_view *v, void *arg), void *arg);
void ike_each_child(struct ike *ike, void (*cb)(const struct ike_child_view *v, void *arg), void *arg);
/* What a connection is doing, and the last failure in words ("" none). */
struct ike_conn_view {
	const struct ike_conn_conf *conf; /* its children are those of the start: see child */
	const struct ike_child_conf *const *child; /* the configured ones, in the order of the file */
	unsigned n_child;
	const char *last_error;
	uint64_t last_error_wall_ns;
	unsigned n_sas, n_children;
};
void ike_each_conn(struct ike *ike, void (*cb)(const struct ike_conn_view *v, void *arg), void *arg);
/* The leases of all pools (ike/pool.h), the engine's. */
struct ike_leases;
struct ike_leases *ike_leases_of(struct ike *ike);
/* Keys for a decryption table (RFC names); only while IKE_EV_KEYS of that SA is being told. */
struct ike_keys;
int ike_keys_of(struct ike *ike, uint32_t sa_id, struct ike_sa_view *sa, const struct ike_keys **keys,
		const struct esp_suite **suite) warn_unused;
struct ike_stats {
	uint64_t received, sent, retransmitted, malformed, not_authentic, cookies_sent, cookies_bad,
	    half_open_refused, invalid_spi, unknown;
	uint32_t half_open, established, children, jobs;
	size_t memory; /* bytes the engine holds for SAs and children */
};
void ike_stats(const struct ike *ike, struct ike_stats *out);

#endif
