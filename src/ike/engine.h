/*
 * The engine from inside: what engine.c, conn.c, child.c, order.c and the versions (v2/) share. All
 * of it belongs to one thread. An IKE SA belongs to a connection, children belong to an IKE SA; an
 * SA ends only through ike_sa_kill(), a child only through ike_child_close(), so that tables,
 * timers, the SAD and whoever waits for an order always hear of it.
 */
#ifndef IKE_ENGINE_H
#define IKE_ENGINE_H

#include "base/list.h"
#include "base/log.h"
#include "crypto/dh.h"
#include "ike/auth.h"
#include "ike/gate.h"
#include "ike/ike.h"
#include "ike/keymat.h"
#include "ike/msg.h"
#include "ike/sa_table.h"
#include "ike/seal.h"
#include "ike/timer.h"

struct v2_exchange;
struct v2_task;
struct v2_init;
struct v1_sa;
struct ike_leases;
struct ike_held;

/* What a handler or a builder of an exchange says. */
enum ike_rc {
	IKE_OK,          /* done: the answer goes out, the new state holds */
	IKE_WAIT,        /* a job was started; call again with its result */
	IKE_DROP,        /* as if the message had never come; a builder: there is nothing to ask */
	IKE_REPLY_ERROR, /* the answer is one error notify, nothing changed */
	IKE_KILL         /* the answer (or the error notify, when there is one) goes out, then the SA
			    ends */
};

/* Why an IKE SA ends, which decides what becomes of its children (RFC 7296 says nothing of it;
 * bumpwire.conf(5) does: dpd_action, close_action). */
enum ike_end {
	IKE_END_ORDER,    /* by order, or the configuration went: nothing follows */
	IKE_END_FAILED,   /* it never came up */
	IKE_END_DEAD,     /* the peer does not answer: dpd_action */
	IKE_END_PEER,     /* the peer deleted it: close_action */
	IKE_END_REPLACED, /* another SA took its place, with the children */
	IKE_END_EXPIRED,  /* over_time, hard lifetime: like IKE_END_DEAD */
	IKE_END_EXIT      /* ike_free(): no word to anybody but the SAD */
};

/* A sealed message kept to be sent again, in one block as small as can be: an SA has it for long. */
struct ike_kept {
	uint8_t *bytes; /* owned: the datagrams, one after the other, then n uint32_t: where each ends */
	uint32_t n;     /* datagrams; 0: nothing is kept */
	uint32_t len;   /* bytes of all datagrams */
};
/* Takes over a sealed message (empty afterwards), in place of what was kept. 0 or -ENOMEM. */
int ike_kept_take(struct ike_kept *k, struct sealed *s) warn_unused;
struct span ike_kept_nth(const struct ike_kept *k, unsigned i);
void ike_kept_free(struct ike_kept *k);

enum ike_state {
	IKE_ST_NONE,     /* no SA: what a first message meets */
	IKE_ST_INIT_I,   /* we are making or have sent IKE_SA_INIT */
	IKE_ST_INIT_R,   /* we have answered IKE_SA_INIT */
	IKE_ST_AUTH_I,   /* we are making or have sent IKE_AUTH */
	IKE_ST_UP,
	IKE_ST_REKEYED,  /* another SA has taken its place; one side will delete it */
	IKE_ST_DELETING, /* our delete is on its way */
	IKE_ST_DEAD,     /* over; a while longer its last answer is repeated for duplicates */
	IKE_STATES
};
const char *ike_state_name(enum ike_state s);

/* One IKE SA, of either version. */
struct ike_sa {
	struct ike *ike;
	struct ike_conn *conn;   /* counted; NULL: responder that has not chosen yet */
	struct list all;         /* ike->sas */
	struct list of_conn;     /* conn->sas */
	struct ike_node by_spi;  /* own SPI */
	struct ike_node by_id;   /* id */
	struct ike_node by_peer; /* connection and the peer's identity, once authenticated */
	struct ike_node by_init; /* responder: endpoint and SPI of the IKE_SA_INIT */

	uint32_t id;       /* number in lists */
	uint32_t replaces; /* id of the SA it is to replace (reauthentication); 0: none */
	uint8_t state;  /* enum ike_state; written by the stepper (v2/step.c) alone */
	uint8_t major;  /* version */
	uint8_t end;    /* enum ike_end, valid when DELETING: what to do once it is gone */
	bool initiator; /* of this SA: we have the SPI spi_i, and the flag I */
	bool half_open; /* counted by the gate, for the address gate_addr */
	bool marker;    /* datagrams go with a non-ESP marker */
	bool nat_local, nat_remote; /* a NAT in front of us, of the peer */
	bool encap;                 /* children are encapsulated in UDP */
	bool frag;                  /* both sides can do fragments */
	bool childless;             /* the peer can do without a first child */
	bool authenticated;         /* the peer has proved who it is */
	bool replaced;              /* reauthenticated: it goes in a moment */
	bool made_by_us;            /* we began the whole thing: reauthentication is ours */
	bool rekeying;              /* for lists: a rekeying is on its way */
	bool counted;               /* among the established ones */
	bool over;                  /* ike_sa_end() was here */
	bool lingers;               /* over, but in the table to repeat its last answer */
	uint8_t spi_i[8], spi_r[8];
	struct ip_addr gate_addr;
	uint32_t strange; /* of ike->strange: bytes kept for it while it is half-open */
	struct endpoint local, remote;
	struct ident local_id, remote_id; /* owned; type 0: not known yet */

	struct keymat_suite suite;  /* prf NULL: no keys yet */
	struct proposal *proposal;  /* chosen, owned; cut to its length; NULL before */
	struct ike_keys keys;       /* block NULL: none */
	struct sk_key *seal, *open; /* NULL: none */

	/* the window, one message each way (RFC 7296 2.3) */
	uint32_t next_send; /* message ID of our next request */
	uint32_t next_recv; /* of the peer's next one */
	struct ike_kept answer;  /* to the peer's last request (next_recv - 1), for duplicates */
	struct ike_kept request; /* ours on its way, for retransmission */
	unsigned sent;         /* times the request went out */
	unsigned revived;      /* times it began anew because the peer was heard again */
	int send_rc;           /* of the last datagram: 0, or -errno when it could not leave */
	uint64_t sent_ns;      /* when it went out last */
	/* fragments of the request, and of the answer, that is coming in: both may have the same
	 * message ID; NULL: none */
	struct reassembly *frags[2];
	struct v2_task *task;  /* ours: being built or on its way; at most one */
	struct list tasks;     /* waiting, in order */
	struct v2_exchange *x; /* waiting for its job; at most one */
	struct list held;      /* datagrams that came meanwhile */
	unsigned n_held;
	struct ip_addr vip[2];   /* inner addresses we got of the peer, IPv4 and IPv6; ver 0: none */
	struct ip_addr lease[2]; /* and those it has of our pools */
	char *user;              /* the peer's name, proved by XAUTH; NULL: none */
	struct v1_sa *v1;      /* IKEv1: all of its own; NULL before it begins */
	struct v2_init *init;  /* what only IKE_SA_INIT and IKE_AUTH need; NULL afterwards */

	struct list children; /* struct ike_child, of_sa */
	unsigned n_children;
	struct list wants;    /* struct ike_want: children to be made once it is up; the first goes
				 with IKE_AUTH */

	/* in clock_now_ns(); 0: none */
	uint64_t established_ns, rekey_ns, reauth_ns, over_ns;
	uint64_t tidy_ns; /* when to look for another SA that does the same */
	uint64_t childless_ns; /* when to look whether it still has no children */
	uint64_t heard_ns; /* last authentic message */
	uint64_t spoke_ns; /* last datagram to the peer */
	struct ike_timer t_again; /* retransmission, and in the states without a request: the end */
	struct ike_timer t_life;  /* the next of rekey_ns, reauth_ns, over_ns */
	struct ike_timer t_idle;  /* liveness and NAT keepalives */
};

enum ike_child_state {
	IKE_CHILD_UP,
	IKE_CHILD_REKEYED,  /* a newer pair carries the traffic; this one still receives */
	IKE_CHILD_DELETING, /* our delete is on its way */
};

/* One remote selector of a child that is in force. */
struct ike_far {
	struct ike_node node;
	struct ike_child *child;
	unsigned i; /* of remote_ts */
};

/* A pair of CHILD SAs that is in the SAD. */
struct ike_child {
	struct ike_sa *sa;
	struct list of_sa;
	struct ike_node by_reqid, by_what; /* by_what: connection, peer, selectors */
	struct ike_far *far; /* owned: remote_ts in ike->by_far */
	const struct ike_child_conf *conf; /* of sa->conn's configuration */
	uint32_t id, reqid;
	uint32_t spi_in, spi_out;
	uint32_t ah_spi_in, ah_spi_out; /* of the AH around the ESP; 0: none */
	uint8_t state; /* enum ike_child_state */
	uint8_t end;   /* enum ike_end, valid when DELETING */
	uint8_t proto; /* enum sa_proto */
	uint8_t mode;  /* enum sa_mode */
	bool udp, esn;
	bool unsure;             /* IKEv1, as responder: the peer has not said that it has it */
	bool rekeying;           /* a rekey task is queued or on its way */
	bool by_us;              /* we asked for it, or for the first that it goes back to */
	struct proposal *chosen; /* owned, cut to its length */
	struct ts_list *local_ts, *remote_ts; /* owned, cut to their length */
	uint64_t kbytes;         /* IKEv1: the agreed limit; 0: none */
	uint64_t said_kbytes;    /* IKEv1: a shorter one of the peer, for the next pair; 0: none */
	struct ts remote_said;   /* IKEv1: Quick Mode's, which remote_ts may be less than */
	uint32_t replaces;       /* id of the pair it was made to replace; 0: none */
	uint64_t installed_ns, rekey_ns, expire_ns; /* 0: none */
	bool carries;       /* our outbound traffic goes by it */
	uint64_t switch_ns; /* when to look whether the peer uses it, so that we may; 0: no need */
	bool switch_anyway; /* then it has it, whether it uses it or not */
	struct ike_timer t_life;     /* the next of rekey_ns, expire_ns */
	struct ike_timer t_inactive; /* conf->inactivity_ns */
};

/* A configured child of a connection: what is to be, whether it is or not. Its place in conn->child
 * stays the same while it lives, whatever a reload does to the others. */
struct ike_conn_child {
	const struct ike_child_conf *conf; /* NULL: an empty place */
	struct ike_conf *owner;            /* counted: keeps conf alive */
	bool gone; /* no longer configured: nothing of it comes up any more; also of an empty place */
	uint32_t reqid; /* of what we start; made at first use */
	bool trapped;   /* a trap is in force */
	bool acquiring; /* packets are kept until it is up, or env->acquire_failed() */
	bool unwanted;  /* closed by order while we were making it: it ends once it is there */
};

/* A connection while it is configured, and until its last SA is gone. */
struct ike_conn {
	struct list link; /* ike->conns, in the order of the configuration */
	struct ike *ike;
	struct ike_conf *owner; /* counted: keeps conf alive */
	const struct ike_conn_conf *conf;
	uint32_t id;
	unsigned refs;  /* one for being configured, one for each SA */
	bool gone;      /* no longer configured */
	struct ike_conn_child *child; /* all children; conf->child is only what it began with */
	unsigned n_child;
	unsigned *live; /* indices of those that are configured, in the order of the file */
	unsigned n_live;
	struct list sas;
	unsigned n_up;
	/* names among the peer's addresses as they were looked up last */
	struct ip_addr *resolved; /* conf->n_local + conf->n_remote; ver 0: not yet */
	/* trying again */
	uint32_t tries;        /* attempts that failed in a row */
	struct list wanted;    /* struct ike_want: children to be brought up at the next attempt */
	struct ike_timer t_retry;
	char *last_error; /* NULL: none */
	uint64_t last_error_wall_ns;
};

/* A child somebody wants up, and the order that waits for it. */
struct ike_want {
	struct list link;
	unsigned ci;    /* index in conn->child; IKE_WANT_SA: only the IKE SA */
	uint64_t order; /* 0: nobody's */
	bool acquired;  /* a packet asked for it, of this flow: its selectors go first (RFC 7296 2.9) */
	struct flow_key flow;
};
#define IKE_WANT_SA UINT32_MAX
#define IKE_TIMERS_SA    3u
#define IKE_TIMERS_CHILD 2u
#define IKE_TIMERS_CONN  1u

struct ike {
	struct ike_env env;
	struct ike_conf *conf;
	struct gate *gate;
	struct list conns, sas, orders;
	struct list v1_hooks; /* struct v1_hook */
	struct ike_table by_spi, by_id, by_init, by_peer, by_reqid, by_what, by_far;
	struct ike_timers timers;
	struct ike_leases *leases;
	struct ike_stats stats;
	uint32_t last_sa_id, last_child_id, last_conn_id, last_reqid;
	uint64_t last_order;
	uint32_t telling_keys; /* id of the SA whose keys may be asked for now */
	struct ike_msg *in, *out; /* scratch: of the message being handled, of the one being made */
	uint8_t *arena;           /* bytes that `out` borrows until it is written */
	size_t arena_used;
	struct log_limit stranger_log; /* lines that anybody can provoke */
	struct log_limit spi_limit;    /* answers to unknown SPIs and versions */
	struct {
		struct endpoint local;
		uint8_t spi_i[8], spi_r[8];
	} heard; /* the datagram being handled; for ike_audit() */
	/* Bytes kept for peers that have not proved themselves: their first messages, fragments, what
	 * waits for a job. */
	uint64_t strange, strange_max;
	unsigned depth; /* calls from outside that are active: SAs are freed when it is back at 0 */
	struct list drains;   /* pairs that were replaced and still receive: child.c */
	unsigned handling;    /* handlers and builders that run: no other may begin */
	struct list dead;     /* killed SAs to be freed */
	unsigned n_lingering; /* SAs that are over but repeat their last answer */
	bool closing;         /* ike_free(): nothing is started any more */
};

/* -- engine.c -- */
/* Around everything that enters from outside (also a job or a lookup that comes back): at the end
 * of the outermost the SAs that ended are freed. */
void ike_enter(struct ike *ike);
void ike_leave(struct ike *ike);
/* Memory until the message being made is written; NULL when there is no more. */
#define IKE_ARENA (96u * 1024u)
void *ike_arena(struct ike *ike, size_t len);
struct span ike_arena_copy(struct ike *ike, struct span s); /* p NULL: no room */
/* Tells an event; conn, sa, c: NULL where there is none; order 0: nobody's. */
void ike_tell(struct ike *ike, enum ike_event_type type, const struct ike_conn *conn,
	      const struct ike_sa *sa, const struct ike_child *c, uint64_t order, const char *fmt,
	      ...) __attribute__((format(printf, 7, 8)));
/* A log line that begins with the SA: "ike 3f2a1c00 conn site-b peer 192.0.2.1:500: ". */
void ike_sa_log(const struct ike_sa *sa, enum log_level l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what somebody unauthenticated can provoke: limited. False: left out. */
bool ike_stranger_log(struct ike *ike, const struct endpoint *remote, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* An auditable event: of the SA, or of the datagram being handled when sa is NULL. remote NULL: the
 * SA's. */
void ike_audit(struct ike *ike, enum audit id, const struct ike_sa *sa,
	       const struct endpoint *remote, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
int ike_send(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
	     bool marker, struct span datagram);
/* `t` less something between 0 and `jitter`, never less than half of t. 0 stays 0. */
uint64_t ike_jitter(uint64_t t, uint64_t jitter);

/* -- sa.c -- */
/* An SA with an SPI of its own, in all tables; conn may be NULL (counted else). NULL: no memory. */
struct ike_sa *ike_sa_new(struct ike *ike, struct ike_conn *conn, bool initiator, uint8_t major);
struct ike_sa *ike_sa_by_spi(const struct ike *ike, const uint8_t *spi);
struct ike_sa *ike_sa_by_id(const struct ike *ike, uint32_t id);
void ike_sa_set_conn(struct ike_sa *sa, struct ike_conn *conn);
/*
 * The end: children are closed as `end` demands, tasks and jobs are let go, events are told, the
 * memory is freed once no caller up the stack can hold it any more. Without a word to the peer. why:
 * in words, for the event and whoever waits; NULL for the plain words of `end`. What follows
 * (another attempt, a restart) is begun before it returns. linger: it stays in the table, as
 * IKE_ST_DEAD, to repeat its last answer. Only the stepper sets linger.
 */
void ike_sa_end(struct ike_sa *sa, enum ike_end end, bool linger, const char *why);
static inline void ike_sa_kill(struct ike_sa *sa, enum ike_end end, const char *why)
{
	ike_sa_end(sa, end, false, why);
}
void ike_sa_linger_over(struct ike_sa *sa);
void ike_sa_free(struct ike_sa *sa); /* engine.c: of those killed */
/* Arms t_life for the first of rekey_ns, reauth_ns, over_ns and the like. */
void ike_sa_arm_life(struct ike_sa *sa);
/* As initiator: the peer did not prove itself. What was wanted is told, or tried again; the peer gets
 * a delete. The state is to become IKE_ST_DELETING. */
void ike_sa_give_up(struct ike_sa *sa, const char *why);
/* A child it is to make: when it is up, else later with or after IKE_AUTH. w is moved in. */
void ike_sa_want(struct ike_sa *sa, struct ike_want *w);
static inline const uint8_t *ike_sa_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}
/* Another SPI of ours than the one it was made with: it was told to the peer before (rekeying). */
void ike_sa_set_spi(struct ike_sa *sa, const uint8_t *spi);
/* The SA is in force (the state follows when the stepper is done): tables by identity, counters,
 * lifetimes, liveness, SA_UP. replaces: of a rekeying, told as SA_REKEYED instead; else NULL. */
void ike_sa_established(struct ike_sa *sa, const struct ike_sa *replaces);
/* What is kept for a half-open SA: false when it is too much, for it or in all. give: some of it is
 * not kept any more. */
#define IKE_STRANGE_SA  (128u << 10)
#define IKE_STRANGE_MAX (32u << 20)
bool ike_sa_strange_take(struct ike_sa *sa, size_t bytes);
void ike_sa_strange_give(struct ike_sa *sa, size_t bytes);
/* No longer half-open: it is established, or over. */
void ike_sa_close_gate(struct ike_sa *sa);
/* Something came up that another SA with this peer may do too: with unique = replace it is looked into
 * in a while (v2/version.c, v1/live.c). */
void ike_sa_tidy_later(struct ike_sa *sa);
/* The first other SA in force of the same connection, peer and user after `after` (NULL: from the start);
 * NULL: none. */
struct ike_sa *ike_sa_twin(const struct ike_sa *sa, const struct ike_sa *after);
/* Takes over keys: makes seal and open, tells IKE_EV_KEYS. *k is moved. 0 or -errno. */
int ike_sa_set_keys(struct ike_sa *sa, const struct keymat_suite *suite, struct ike_keys *k,
		    const struct proposal *chosen) warn_unused;
/* Children go from one SA to the other (IKE SA rekeyed), silently. */
void ike_sa_move_children(struct ike_sa *from, struct ike_sa *to);
/* The peer is at another address or port: path of the SA and of all its children. */
void ike_sa_move(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote);
size_t ike_sa_bytes(const struct ike_sa *sa);

/* -- child.c -- */
struct ike_child *ike_child_by_spi(const struct ike_sa *sa, uint8_t proto, uint32_t spi_out);
struct ike_child *ike_child_by_reqid(const struct ike *ike, uint32_t reqid, uint32_t spi_in);
struct ike_child *ike_child_by_id(const struct ike_sa *sa, uint32_t id); /* NULL: it is gone */
/* A pair the SAD has taken: tables, lists, timers. The room was made by ike_child_new(). */
struct ike_child *ike_child_new(struct ike_sa *sa, const struct ts_list *local,
				const struct ts_list *remote, const struct proposal *chosen);
void ike_child_discard(struct ike_child *c); /* one that was never added */
void ike_child_add(struct ike_child *c);
void ike_child_arm_life(struct ike_child *c); /* for the first of rekey_ns, expire_ns */
/*
 * Its end: out of the tables, freed; end decides about traps and restarts; tells the event. While
 * another pair of its reqid stays, traffic goes by that one from now on, and packets that are on
 * their way by this one are still accepted for some seconds: only then the SAD hears of its end.
 */
void ike_child_close(struct ike_child *c, enum ike_end end, const char *why);
/* Is another pair of its reqid in force? */
bool ike_child_has_sibling(const struct ike_child *c);
/* The pair of the same IKE SA that does the same since both sides asked for it at once; NULL: none. */
struct ike_child *ike_child_crossed(const struct ike_child *c);
/* The end of pairs that only receive: of one reqid, 0 for all. */
void ike_drains_end(struct ike *ike, uint32_t reqid);
/* Our traffic goes by it: that is so already, or is made so now. */
void ike_child_set_carrier(struct ike_child *c);
void ike_child_switch(struct ike_child *c);
/* Before the peer hears that sa is gone: what its children carry goes by pairs of other IKE SAs from now
 * on, where there are such. */
void ike_children_hand_over(struct ike_sa *sa);
/* A newer pair has its place: CHILD_REKEYED is told, close_action does not apply to it any more. */
void ike_child_set_rekeyed(struct ike_child *old, struct ike_child *by);
/* The reqid for such a child: that of one with the same connection, peer and selectors, else the
 * configured child's when nothing uses it, else a new one. asked: by us; what the peer asks for
 * gets one of its own when it is less than our trap catches. */
uint32_t ike_child_reqid(struct ike_sa *sa, unsigned ci, bool asked, const struct ts_list *local,
			 const struct ts_list *remote);
bool ike_reqid_used(const struct ike *ike, uint32_t reqid); /* by a pair in force */
struct ts_list *ike_ts_dup(const struct ts_list *l);     /* cut to its length; NULL: no memory */
struct proposal *ike_proposal_dup(const struct proposal *p);

/* -- conflict.c -- */
int ike_far_make(struct ike_child *c) warn_unused; /* 0, or -1 without memory */
void ike_far_add(struct ike_child *c);
void ike_far_del(struct ike_child *c);
/* Would a child of this SA with these selectors take the packets of another peer's (RFC 3948 5)? Then
 * true, with a sentence that says whose. */
bool ike_conflict(const struct ike_sa *sa, bool transport, const struct ts_list *local,
		  const struct ts_list *remote, char *why, size_t whylen);

/* -- conn.c -- */
struct ike_conn *ike_conn_find(const struct ike *ike, const char *name);
void ike_conn_ref(struct ike_conn *c);
void ike_conn_unref(struct ike_conn *c);
/* The last failure of a connection, for `status`. */
void ike_conn_remember(struct ike_conn *c, const char *text);
/* Remembers why it failed; logs it; tells IKE_EV_FAILED for the order (0: nobody's). */
void ike_conn_failed(struct ike_conn *c, struct ike_sa *sa, uint64_t order, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Brings a child up: by an SA that is there, or by a new one. ci: IKE_WANT_SA for the SA alone.
 * flow: of the packet that asked for it, or NULL. */
void ike_conn_want(struct ike_conn *c, unsigned ci, uint64_t order, const struct flow_key *flow);
/* What to ask for to have such a child again, when its selectors are taken from packets; else false. */
bool ike_child_flow(const struct ike_child *c, struct flow_key *flow);
/* A new IKE SA at once, for what is wanted; old: the SA it is to replace (reauthentication), or
 * NULL. NULL: it could not be made, and why was told. */
struct ike_sa *ike_conn_start(struct ike_conn *c, const struct ike_sa *old);
/* The attempt is over without an SA; wants: what it was to bring up (moved). rejected: the peer said
 * no. It is tried again as keyingtries says. */
void ike_conn_attempt_failed(struct ike_conn *c, struct list *wants, bool rejected,
			     const char *why);
/* A want cannot be had: the order and kept packets hear of it. Frees it. */
void ike_want_fail(struct ike_conn *c, struct ike_want *w, const char *why);
/* Packets that waited for the child go out (up) or are given up. */
void ike_acquire_over(struct ike_conn *c, unsigned ci, bool up);
void ike_want_done(struct ike_conn *c, struct ike_want *w, const struct ike_sa *sa);
/* Can we start it: does it say where the peer is? */
bool ike_conn_initiable(const struct ike_conn *c);
/* How far the search for a connection has come; zero: it begins. */
struct ike_cursor {
	unsigned fit, at; /* of the last one: how well it fits, its place in the list */
};
/* The next best of the connections for this version that fit the addresses and (when not NULL)
 * identities: local, what the peer calls us; remote, what it calls itself. NULL: there are no more. All
 * of them together cost a few times the number of connections (choose.c). */
struct ike_conn *ike_conn_candidate(const struct ike *ike, uint8_t major, struct ike_cursor *cur,
				    const struct ip_addr *local, const struct ip_addr *remote,
				    const struct ident *local_id, const struct ident *remote_id);
/* The only connection of which just one side fits the addresses: local or remote. NULL: none, or
 * several. */
struct ike_conn *ike_conn_nearly(const struct ike *ike, uint8_t major, const struct ip_addr *local,
				 const struct ip_addr *remote, bool *local_misses);
/* No longer configured: nothing is tried any more, its SAs are deleted. */
void ike_conn_close(struct ike_conn *c);
void ike_set_limits(struct ike *ike); /* engine.c: after a reload */
int ike_conns_add(struct ike *ike, struct ike_conf *conf, const struct ike_conn_conf *conn);
void ike_conn_start_actions(struct ike_conn *c);
/* Puts a trap in force for a configured child, or takes it out. */
void ike_conn_trap(struct ike_conn *c, unsigned ci);
void ike_conn_untrap(struct ike_conn *c, unsigned ci);
/* What its start_action demands. */
void ike_conn_start_child(struct ike_conn *c, unsigned ci);

/* -- words.c; all return out -- */
/* Why there is no answer to `what`, which was sent so often. */
char *ike_words_no_answer(const struct ike_sa *sa, const char *what, unsigned times, char *out,
			  size_t max);
/* Why no connection takes a peer's first message; of one with another version it is remembered. */
char *ike_words_no_conn(struct ike *ike, uint8_t major, const struct ip_addr *local,
			const struct ip_addr *remote, char *out, size_t max);

/* -- conn_child.c -- */
int ike_conn_children_init(struct ike_conn *c, struct ike_conf *owner,
			   const struct ike_conn_conf *conf) warn_unused; /* 0 or -ENOMEM */
void ike_conn_children_fini(struct ike_conn *c);
/* Index of a child's configuration, which is one of this connection. */
unsigned ike_conn_child_index(const struct ike_conn *c, const struct ike_child_conf *child);
/* From now on the children are those of conf (owner keeps it alive): those that mean the same go on,
 * new ones are started, then the others are closed. 0, or -ENOMEM and nothing changed. */
int ike_conn_children_change(struct ike_conn *c, struct ike_conf *owner,
			     const struct ike_conn_conf *conf) warn_unused;

/* -- command.c -- */
/* Closes a child that is no longer configured, whatever became of it so far. */
void ike_conn_close_child(struct ike_conn *c, unsigned ci);

/* -- order.c -- */
/* Somebody waits for `parts` things. 0 is nobody's order; it is also what no memory gives. */
uint64_t ike_order_new(struct ike *ike, unsigned parts);
/* One part has ended, well or not; with the last one IKE_EV_DONE is told, or IKE_EV_FAILED with the
 * text of the first that failed. Exactly once for each part. */
void ike_order_done(struct ike *ike, uint64_t order, const struct ike_conn *conn,
		    const struct ike_sa *sa, bool ok, const char *text);
void ike_orders_fini(struct ike *ike);

/* -- work.c: public-key work elsewhere -- */
enum ike_work_kind { IKE_WORK_DH, IKE_WORK_SIGN, IKE_WORK_VERIFY, IKE_WORK_PASSWORD };
struct ike_work {
	struct ike_job job;
	struct ike *ike;
	struct ike_sa *sa; /* NULL: it is gone, nobody waits */
	enum ike_work_kind kind;
	int rc;        /* of the call: 0 or -errno */
	char why[512]; /* with rc < 0 */
	/* DH */
	const struct dh_info *group;
	struct dh *dh;        /* made, or given */
	struct buf peer;      /* copy of the peer's public value; empty: only the key pair is made */
	struct secret shared; /* result */
	/* SIGN, VERIFY: copies of everything */
	struct auth_octets octets;
	uint8_t *bytes;
	size_t n_bytes;
	const struct sig_info *sig;
	EVP_PKEY *key;        /* counted; VERIFY: a raw or pinned key, or the certificate's */
	uint8_t method;
	X509 *cert;           /* VERIFY: the peer's; NULL: pinned, no chain is wanted */
	STACK_OF(X509) *chain;
	struct cred_cas *cas; /* counted; NULL: there are none */
	struct ident id;
	int64_t at;
	uint32_t hashes;
	struct span data;     /* the peer's AUTH */
	char *hash;           /* PASSWORD */
	uint8_t *auth;        /* result of SIGN */
	size_t n_auth;
};
/*
 * Starts a job for the SA, which must have none; its exchange gets it as x->work. Return IKE_WAIT,
 * or IKE_DROP when it cannot be started (too much waits, or no memory): the peer, or we, try again
 * later.
 * dh: NULL makes a key pair of `group`, else it is moved in (and stays with IKE_DROP); peer: empty
 * for the key pair only.
 */
enum ike_rc ike_work_dh(struct ike_sa *sa, const struct dh_info *group, struct dh **dh,
			struct span peer);
enum ike_rc ike_work_sign(struct ike_sa *sa, const struct auth_octets *o, const struct sig_info *s,
			  uint8_t method, EVP_PKEY *key);
/* cert: the peer's end certificate, whose chain must end in cas and which must speak for id; or NULL
 * and key: a key that is known to be the peer's. chain is moved in (may be NULL). */
enum ike_rc ike_work_verify(struct ike_sa *sa, const struct auth_octets *o, uint8_t method,
			    struct span data, uint32_t hashes, EVP_PKEY *key, X509 *cert,
			    STACK_OF(X509) *chain, struct cred_cas *cas, const struct ident *id);
/* hash: as crypto_pwhash_str() makes it. The result's rc is 0 when it is that password's. */
enum ike_rc ike_work_password(struct ike_sa *sa, struct span password, const char *hash);
void ike_work_free(struct ike_work **w);
/* The SA ends: a job in flight frees itself when it is back. */
void ike_work_abandon(struct ike_work *w);

#endif
