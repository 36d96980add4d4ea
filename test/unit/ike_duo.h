/*
 * Two IKE engines in one process. Their datagrams go over a wire that is a queue (which may lose,
 * duplicate, delay and so reorder them, or pass a NAT), the clock stands still but for duo_step(),
 * random numbers come from a seed, jobs are done at once or later, and the SAD is a list that checks
 * what is put in. Everything a test provokes is the same every time it runs with the same seed
 * (but for the values of keys).
 *
 *	struct duo d;
 *	duo_init(&d, 1);                     configurations of both, not yet in force
 *	d.a.conn->keyingtries = 1;           changed as the test wants it
 *	duo_start(&d);
 *	duo_up(&d, &d.a, "net");             order, messages, jobs, until it is done; must succeed
 *	duo_agree(&d);                       the SADs fit together
 *	duo_fini(&d);                        and nothing is left
 */
#ifndef UNIT_IKE_DUO_H
#define UNIT_IKE_DUO_H

#include "base/list.h"
#include "ike/ike.h"

#define DUO_CONNS    2048
#define DUO_CHILDREN 64
#define DUO_TRAPS    16
#define DUO_EVENTS   512

/* A pair in the SAD of one node. */
struct duo_child {
	bool used;
	struct ike_child_up up;  /* with its keys */
	struct ts_list local_ts, remote_ts; /* copies */
	struct endpoint local, remote;      /* as moved last */
	bool out;                /* outbound traffic of the reqid goes by it */
	uint64_t in_ns, out_ns;  /* what child_last_used() says */
};

struct duo_event {
	enum ike_event_type type;
	uint32_t sa_id, child_id;
	uint64_t order;
	uint64_t at_ns;
	char conn[32], child[32];
	char text[512];
};

struct duo;
struct duo_node {
	struct duo *d;
	char name; /* 'a' or 'b' */
	struct ike *ike;
	struct ike_conf *conf;      /* until duo_start() the test may change it */
	struct ike_conn_conf *conn; /* the first connection */
	struct ip_addr addr;
	uint32_t last_spi;
	unsigned spis; /* given out and neither installed nor freed */
	struct duo_child child[DUO_CHILDREN];
	struct { uint32_t reqid; char child[32]; } trap[DUO_TRAPS];
	unsigned n_traps, acquires_failed;
	unsigned keepalives;
	bool frozen;     /* gets nothing, its timers stand still: SIGSTOP */
	bool refuse_add; /* child_add fails */
	bool odd_spi;    /* its own SPIs may be reserved ones */
	int send_rc;     /* not 0: nothing it sends can leave, and it hears that */
	struct duo_event event[DUO_EVENTS]; /* the latest */
	unsigned n_events, count[IKE_EV_TYPES];
	unsigned sent; /* datagrams */
	unsigned audited[AUDIT_EVENTS];
	struct audit_event audit; /* the last */
	char audit_text[512];
};

/* A datagram on the wire. */
struct duo_msg {
	struct list link;
	uint64_t due_ns;
	struct duo_node *from, *to; /* to may be changed by a hook; NULL: nowhere */
	struct endpoint src, dst;
	bool marker;
	size_t len;
	uint8_t *p;
};

struct duo {
	struct duo_node a, b;
	uint64_t now_ns, wall_ns, seed;
	struct list wire, jobs, lookups;
	unsigned n_jobs;
	/* the wire, per cent of datagrams, and nanoseconds */
	unsigned lose, duplicate;
	uint64_t delay_ns, jitter_ns;
	uint64_t job_ns, job_jitter_ns; /* 0 and 0: done inside submit() */
	bool busy;                      /* submit() says -EAGAIN */
	/* NAT in front of a: its source addresses and ports are other ones outside */
	bool nat;
	struct ip_addr nat_addr;
	uint16_t nat_base; /* outside port is inside port + this */
	/* Looks at each datagram before it is put on the wire, may change it; false loses it. */
	bool (*hook)(struct duo *d, struct duo_msg *m);
	void *hook_arg;
	unsigned delivered; /* datagrams so far */
	/* names that resolve() knows */
	const char *known_name;
	struct ip_addr known_addr;
	bool verbose; /* BW_DUO_LOG=1: log and wire on standard error */
};

/* Both configurations: PSK, ids a.example and b.example, 192.0.2.1 and 192.0.2.2, one child "net"
 * 10.1.0.0/16 === 10.2.0.0/16; connection "b" at a, "a" at b. */
void duo_init(struct duo *d, uint64_t seed);
/* Engines from the configurations; start actions. */
void duo_start(struct duo *d);
/* One of them anew, as after a crash: the old one is forgotten without a word. */
void duo_restart(struct duo_node *n);
/* Ends both and checks that nothing is left: SAs, SPIs, traps, jobs. Restores clock and random. */
void duo_fini(struct duo *d);

/* The configuration that duo_init() makes, once more: for ike_reload(). n->conf and n->conn are it
 * afterwards; the reference of the old n->conf is the caller's. */
void duo_conf_default(struct duo_node *n);
/* Parts of a configuration. They abort on wrong text. */
struct ike_conf *duo_conf(void);
struct ike_conn_conf *duo_conf_conn(struct ike_conf *c, const char *name, const char *local,
				    const char *remote);
struct ike_child_conf *duo_conf_child(struct ike_conn_conf *c, const char *name,
				      const char *local_ts, const char *remote_ts);
void duo_conf_childless(struct ike_conn_conf *c); /* takes its children away */
void duo_conf_psk(struct ike_conf *c, const char *id1, const char *id2, const char *secret);
void duo_ident(struct ident *id, const char *text);
void duo_proposals(struct proposals *p, enum ike_protocol proto, const char *text);
void duo_ts(struct ts_list *l, const char *text); /* separated by spaces */

/* The next thing that is due (datagram, job, lookup, timer) is done and the clock moves to it; false
 * when nothing is due before the time until_ns. */
bool duo_step(struct duo *d, uint64_t until_ns);
/* Until nothing is on the wire and no job is in flight (timers stay where they are). */
void duo_settle(struct duo *d);
/* For so long. */
void duo_run(struct duo *d, uint64_t ns);
/* Delivers exactly one datagram or job; false when there is none. */
bool duo_one(struct duo *d);

/* An order carried out to its end. Returns its last event, IKE_EV_DONE or IKE_EV_FAILED. */
const struct duo_event *duo_order(struct duo *d, struct duo_node *n, uint64_t order);
void duo_up(struct duo *d, struct duo_node *n, const char *name); /* must be done */
void duo_down(struct duo *d, struct duo_node *n, const char *name);
/* The order must fail, with these words in the reason. */
void duo_up_fails(struct duo *d, struct duo_node *n, const char *name, const char *words);
/* The latest event of a type, or NULL. */
const struct duo_event *duo_last(const struct duo_node *n, enum ike_event_type type);

/* What is there. */
unsigned duo_children(const struct duo_node *n); /* pairs in the SAD */
unsigned duo_sas(const struct duo_node *n);      /* IKE SAs, of any state */
struct duo_child *duo_child(struct duo_node *n, unsigned i); /* the i-th pair */
/* Every pair of one is a pair of the other: SPIs, keys, suites, selectors crosswise. */
void duo_agree(struct duo *d);

#endif
