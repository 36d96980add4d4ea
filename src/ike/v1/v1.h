/*
 * IKEv1 (RFC 2407-2409) from inside. How a message goes:
 *
 *   datagram -> receive.c: which SA (cookies), fragments put together, held while a job of the SA
 * is in flight; which exchange (message ID), duplicates answered by their hash -> step.c: opened
 * with the exchange's IV chain, the row of the table (table.c) that fits exchange, number and way
 * of authentication -> its handler -> what it filled is sealed, sent and kept.
 *
 * An exchange is a row of numbered messages, odd ones from who began it. Phase 1 is the one
 * exchange with message ID 0; under the SA any number run beside each other, each with its own
 * chain of IVs. Informational messages are single ones (info.c). What leaves without having been
 * asked for begins an exchange (step.c: v1_exchange_begin).
 *
 * Extensions by vendors add to messages and read them without a row of their own (hook.h).
 *
 * Handlers are restartable as those of v2/: called with x->step 0, and again with the step they
 * named when the job they started is done, with the same message in x->m. One job of an SA runs at
 * a time.
 */
#ifndef IKE_V1_V1_H
#define IKE_V1_V1_H

#include "ike/child_nego.h"
#include "ike/engine.h"
#include "ike/pool.h"
#include "ike/v1/cfg.h"
#include "ike/v1/crypt.h"
#include "ike/v1/fault.h"
#include "ike/v1/frag.h"
#include "ike/v1/hook.h"
#include "ike/v1/method.h"
#include "ike/v1/natd.h"
#include "ike/v1/sa_payload.h"
#include "ike/v1/vendor.h"

#define V1_NONCE_LEN 32u
#define V1_LINGER_NS (30 * NS_PER_S) /* a last message is repeated so long */
#define V1_HELD_MAX  8    /* datagrams of one SA that wait for its job */
#define V1_OPEN_MAX  32   /* exchanges of one SA at a time that the peer began */
#define V1_GONE_MAX  8    /* SPIs the peer deleted before we knew them */
#define V1_USED_MAX  8192 /* message IDs of the peer under one SA; then it is rekeyed */

struct v1_exchange;

/* A datagram that waits, or the plain text of the message that waits for its job. */
struct v1_held {
	struct list link;
	struct ike_hdr hdr;
	struct endpoint local, remote;
	bool marker;
	uint8_t first; /* type of the first payload */
	size_t len;
	uint8_t bytes[];
};

/* Which way phase 1 proves identities, for the table. */
enum v1_proof { V1_PROOF_ANY, V1_PROOF_PSK, V1_PROOF_SIG };

/* What an SA waits for behind phase 1, before children. */
enum v1_stage {
	V1_STAGE_NONE,
	V1_STAGE_XAUTH, /* it is not in force */
	V1_STAGE_CFG    /* ours do not begin yet */
};

/* What a Transaction exchange of ours is for. */
enum v1_cfg_exchange {
	V1_CFG_X_NONE,
	V1_CFG_X_ASK,  /* XAUTH: name and password, please */
	V1_CFG_X_OK,   /* XAUTH: they are right */
	V1_CFG_X_FAIL, /* XAUTH: they are not */
	V1_CFG_X_PULL, /* Mode Config: an address, please */
	V1_CFG_X_PUSH  /* Mode Config: have this one */
};

/*
 * One message of an exchange. Payloads (IKE_BIT of those with a rule) must hold all of `required`
 * and nothing outside required | optional; N and VID may always come. v1_table_check() proves that
 * no two rows fit one message, that numbers have no gap, and that what is encrypted stays so.
 */
struct v1_edge {
	const char *name; /* for logs: "Main Mode message 3" */
	uint8_t exchange; /* enum ike1_exchange */
	uint8_t number;   /* from 1 */
	uint8_t proof;    /* enum v1_proof */
	uint8_t sealed;   /* enum v1_sealed */
	uint8_t hash;     /* enum v1_hash_kind that protects it */
	bool again;       /* its sender repeats it by itself until the next one comes */
	uint64_t required, optional;
	/* Takes it, and fills x->out with the next one, if there is a next one. */
	enum ike_rc (*handle)(struct v1_exchange *x);
	/* Makes it, when the exchange begins here: number 1 only. */
	enum ike_rc (*build)(struct v1_exchange *x);
};
enum v1_sealed { V1_CLEAR, V1_SEALED, V1_EITHER };
extern const struct v1_edge v1_edges[];
extern const unsigned v1_n_edges;
int v1_table_check(char *why, size_t whylen) warn_unused;
const struct v1_edge *v1_edge_find(const struct v1_exchange *x, uint8_t number);
/* Are the payloads of a message (seen of struct ike_msg) those of its row? 0 or -EBADMSG. */
int v1_check_row(const struct v1_edge *e, uint64_t seen, struct ike_bad *bad) warn_unused;

struct v1_exchange {
	struct list link; /* v1->exchanges */
	struct ike *ike;
	struct ike_sa *sa;
	uint8_t exchange;
	uint32_t id;                                      /* message ID */
	bool asked;                                       /* we began it */
	uint8_t n;                                        /* messages so far, both ways */
	uint8_t iv[CBC_BLOCK_MAX], iv_was[CBC_BLOCK_MAX]; /* iv_was: before the message in work */
	uint8_t taken[32]; /* hash of the last message that was taken (2.5: duplicates) */
	bool any_taken;
	uint8_t taking[32];
	struct sealed sent; /* our last message */
	unsigned times;     /* it went out so often */
	uint64_t sent_ns; /* the first time; 0: its answer has been here, or none is waited for */
	bool ended;         /* nothing more will come: kept only to repeat the last message */
	struct ike_timer t_again;
	/* the message in work */
	const struct v1_edge *edge; /* NULL: the first one is being built */
	struct ike_msg *m, *out;
	unsigned step;
	struct ike_work *work;
	struct v1_held *kept;
	struct endpoint local, remote;
	bool marker;
	bool running, ready;
	/* what the handler decides */
	uint16_t notify; /* for IKE_REPLY_ERROR, IKE_KILL: what the peer is told; 0: nothing */
	const char *why;
	bool done; /* the exchange is over with this message and our answer to it */
	void (*after)(struct v1_exchange *x); /* called when the answer is out */
	/* Quick Mode */
	struct child_nego *child;
	uint64_t order;
	uint32_t replaces; /* id of the child it rekeys; 0: a new one */
	uint32_t made;     /* id of the child it made; 0: none yet */
	bool commit;       /* the peer set the commit bit: nothing goes out before its CONNECTED */
	bool connect;      /* we did: it waits for ours */
	uint64_t said_kbytes; /* the peer's limit for what it rekeys; 0: none */
	struct v1_life life; /* commit: what the child is to be made with */
	/* Transaction */
	uint8_t cfg;     /* enum v1_cfg_exchange, of ours */
	uint16_t cfg_id; /* identifier in the ATTR payload */
};

/* What only phase 1 needs; freed when it is through. */
struct v1_phase1 {
	struct buf sai_b, idi_b, idr_b; /* bodies as on the wire */
	struct v1_suite offer;          /* the chosen transform */
	struct proposal chosen;
	struct keymat_suite suite;
	struct v1_life life;
	struct v1_life said; /* by RESPONDER-LIFETIME, before it is in force */
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_len, nr_len;
	struct buf gxi, gxr;
	struct dh *dh;
	const struct cred *cred; /* ours, alive with the connection */
	bool asked_cert;
	struct buf cr;           /* the first authority the peer asked for; empty: any */
	struct ike_cursor candidate; /* responder: how far the search for a connection has come */
	unsigned pin;                /* and among the keys of that connection */
	uint64_t give_up_ns;     /* a refusal heard in the clear is believed then */
	struct gate_salt salt;          /* of our cookie, and the endpoints it was made for */
	struct endpoint made_local, made_remote;
	bool odd_proof;          /* the peer's proof cannot be one: it has the wrong length */
	uint16_t fault; /* notify of a payload that was discarded; told when it comes to nothing */
	char refusal[512];
	char why[768];
};

struct v1_sa {
	uint64_t begun_ns; /* clock_now_ns() */
	struct v1_exchange p1;
	struct v1_phase1 *ph;
	struct list exchanges;
	struct v1_exchange *busy; /* has a job in flight, or is running */
	struct ike_work *flying;
	struct list held;
	unsigned n_held;
	uint32_t ours, peers; /* vendor IDs */
	/* how long answers take, and how much that varies; 0: not known */
	uint64_t rtt_ns, rtt_var_ns;
	uint64_t bytes, kbytes; /* protected by it so far, both ways; limit of that, 0: none */
	bool bytes_soft, bytes_hard; /* what that limit demands is on its way */
	uint16_t told; /* notify of the last fault in the message in work whose event is out */
	enum v1_natt natt;
	uint8_t proof[2];               /* enum v1_proof of initiator and responder */
	uint8_t stage;                  /* enum v1_stage */
	struct v1_cfg *got;             /* what Mode Config gave us; NULL: nothing */
	uint8_t last_iv[CBC_BLOCK_MAX]; /* end of phase 1's chain */
	struct v1_frags frags;
	uint16_t frag_id;
	uint32_t *used; /* message IDs the peer has used, in no order */
	unsigned n_used, room_used;
	bool keyless;   /* the peer deleted phase 1; its children go on (live.c) */
	bool forgotten; /* the peer says, in the clear, that it does not know it */
	/* a ring: a delete may overtake the message that names the SPI */
	uint32_t gone[V1_GONE_MAX];
	unsigned n_gone;
	uint64_t met_ns; /* when it took another one's place; 0: never */
	uint8_t late;    /* so often it was to be deleted, and had got children again */
	uint8_t first_repeats; /* responder: times our answer to its first message went out again */
	bool proved;    /* Authentication Only is through: kept a while for repeated messages */
	bool contact;   /* INITIAL-CONTACT came */
	uint64_t order; /* of who wants it rekeyed or deleted */
	/* DPD (RFC 3706) */
	uint32_t dpd_out, dpd_in;
	bool dpd_seen;         /* dpd_in is set */
	uint64_t dpd_since_ns; /* the first R-U-THERE without an answer; 0: none */
};

/* -- step.c -- */
struct v1_sa *v1_sa_new(struct ike_sa *sa);
void v1_set_state(struct ike_sa *sa, uint8_t state);
static inline enum ike_rc v1_wait(struct v1_exchange *x, unsigned next, enum ike_rc rc)
{
	if (rc == IKE_WAIT)
		x->step = next;
	return rc;
}
/* Sets what the peer is told, and the words for the log; returns rc. */
enum ike_rc v1_error(struct v1_exchange *x, enum ike_rc rc, uint16_t notify, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* An exchange of ours under the SA; the caller fills it, then v1_exchange_start(). NULL: no memory.
 */
struct v1_exchange *v1_exchange_new(struct ike_sa *sa, uint8_t exchange, bool asked, uint32_t id);
void v1_exchange_start(struct v1_exchange *x);
void v1_exchange_free(struct v1_exchange *x);
/* The exchange is over; it stays a while to repeat its last message. */
void v1_exchange_finish(struct v1_exchange *x);
/* The message in ike->in, opened, goes to its handler. */
void v1_step_message(struct v1_exchange *x, const struct v1_edge *e);
/* Starts what waits for the SA to be idle; goes on with held datagrams. */
void v1_pump(struct ike_sa *sa);
void v1_send(struct ike_sa *sa, const struct sealed *s);
/* Bytes a datagram may have before it is sent in fragments; 0: never. */
uint32_t v1_fragment_size(const struct ike_sa *sa);
void v1_work_done(struct ike_work *w);
/* One under the SA cannot go on: the peer is told x->notify, whoever waits x->why. */
void v1_exchange_end(struct v1_exchange *x);

/* -- again.c -- */
/* x->sent went out: it will again, until v1_answered(). */
void v1_sent(struct v1_exchange *x);
/* An answer came to what went out last. */
void v1_answered(struct v1_exchange *x);
void v1_exchange_fire(struct ike_timer *t);

/* -- receive.c -- */
void v1_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		bool marker, uint8_t *p, size_t len, const struct ike_hdr *h);
/* A header that is wrong in itself: logged, and told to the sender. */
void v1_bad_header(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		   bool marker, const struct ike_hdr *h, const struct ike_bad *bad);
void v1_input(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h);
/* Logs the offence with its event of RFC 2408 section 5. sa NULL: a stranger's. */
void v1_audit(struct ike *ike, const struct ike_sa *sa, const struct endpoint *remote,
	      const struct ike_bad *bad);
/* The same of what came in the clear with the cookies of an SA: as a stranger's it is logged
 * seldom. */
void v1_audit_clear(struct ike *ike, const struct ike_sa *sa, const struct endpoint *remote,
		    const struct ike_bad *bad);
/* As v1_audit(), of a payload that is discarded while the message goes on. */
void v1_discard(struct v1_exchange *x, const struct ike_bad *bad);
/* True when the peer has used the ID before; remembers it. */
bool v1_id_used(struct ike_sa *sa, uint32_t id);
/* An authentic message that was not played back came from there: a NAT moved the peer. Who sits
 * behind a NAT himself follows ports only, or anybody could lead him away. */
void v1_follow(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	       bool marker);

/* -- phase1.c, phase1_auth.c -- */
/* initiator: our role. */
struct v1_terms v1_phase1_terms(const struct ike_conn *c, bool initiator, uint16_t group,
				uint16_t methods[4]);
void v1_phase1_free(struct v1_phase1 **p);
int v1_add_sa(struct v1_exchange *x); /* our offer */
int v1_answer_sa(struct v1_exchange *x); /* our choice of the peer's offer in x->m, as it came */
int v1_take_choice(struct ike_sa *sa, const struct v1_choice *c); /* -errno with ph->why */
int v1_take_answer(struct v1_exchange *x);  /* the peer's choice; -errno with ph->why */
int v1_add_nonce(struct v1_exchange *x);
int v1_add_public(struct v1_exchange *x);   /* KE */
int v1_add_ke(struct v1_exchange *x);       /* KE and nonce */
void v1_take_nonce(struct v1_exchange *x);
uint16_t v1_take_public(struct v1_exchange *x); /* 0 or the notify, with ph->why */
uint16_t v1_take_ke(struct v1_exchange *x); /* both */
/* The secret shared with the peer, borrowed. 0, or -ENOENT with ph->why. */
int v1_find_psk(struct ike_sa *sa, struct span *key) warn_unused;
int v1_add_vendors(struct v1_exchange *x);
void v1_take_vendors(struct v1_exchange *x);
int v1_add_natd(struct v1_exchange *x, bool inner);
void v1_take_natd(struct v1_exchange *x);
/* Keys from the shared secret and the nonces. 0, or -errno with ph->why. */
int v1_make_keys(struct v1_exchange *x, struct span shared);
int v1_copy(struct buf *to, struct span from);
int v1_own_identity(struct ike_sa *sa, char *why, size_t whylen);
const struct cred *v1_own_cred(const struct ike_sa *sa);
/* Does the chain of ours name this authority? */
bool v1_issued_by(const struct cred *c, struct span dn);
int v1_add_id(struct v1_exchange *x, bool inner); /* and keeps its body */
int v1_take_id(struct v1_exchange *x);            /* the peer's; -errno with ph->why */
int v1_add_certs(struct v1_exchange *x, bool inner);
int v1_add_cr(struct v1_exchange *x, bool inner);
void v1_take_cr(struct v1_exchange *x);
/* Our proof into x->out: IKE_OK (PSK) or IKE_WAIT, then v1_add_signature(). */
enum ike_rc v1_prove(struct v1_exchange *x, unsigned next, bool inner);
enum ike_rc v1_add_signature(struct v1_exchange *x, bool inner);
/* The peer's proof under sa->conn. IKE_OK; IKE_WAIT; IKE_KILL: it is wrong, ph->why. *more: another
 * key may be tried. */
enum ike_rc v1_check_peer(struct v1_exchange *x, bool *more);
/* The next connection that fits addresses, proposal and identities. */
bool v1_next_candidate(struct v1_exchange *x);
/* Responder: checks the peer's proof under connection after connection. resume: a job came back.
 * IKE_OK: it is who it says. */
enum ike_rc v1_check_candidates(struct v1_exchange *x, bool resume, unsigned next);
/* Initiator: the identity must be the connection's; then its proof, as above. */
enum ike_rc v1_expect_peer(struct v1_exchange *x);
enum ike_rc v1_check_expected(struct v1_exchange *x, unsigned next);
/* Responder: may this peer, which has proved itself, come in? Takes note of INITIAL-CONTACT. */
enum ike_rc v1_admit(struct v1_exchange *x);
/* Is the peer in force from another place, and does unique = keep protect that one? */
bool v1_elsewhere(const struct ike_sa *sa);
int v1_add_contact(struct v1_exchange *x, bool inner);
/* Has all been agreed on but whether both have the same pre-shared key? */
bool v1_secret_in_doubt(const struct ike_sa *sa);
/* Then what cannot be read (*bad) is, most likely, of another secret: the words become those. */
void v1_other_secret(struct ike_sa *sa, struct ike_bad *bad);
#define V1_OTHER_SECRET                                                                            \
	"nothing that the peer %s encrypts can be read: it most likely has another pre-shared key; " \
	"make the secrets of both sides equal"
/* auth_only.c: both have proved who they are, and that is all. */
void v1_proved(struct v1_exchange *x);
/* table.c: what a connection begins with (enum ike1_exchange), whether it lets the peer's in,
 * whether the exchange is of phase 1, and its name. */
uint8_t v1_exchange_of(const struct ike_conn_conf *c);
bool v1_exchange_allowed(const struct ike_conn_conf *c, uint8_t exchange);
const char *v1_exchange_name(uint8_t exchange);
/* main.c: what is in the clear is believed later, if at all; the peer's cookie is taken over. */
enum ike_rc v1_doubt(struct v1_exchange *x, const char *text);
/* The same of a public value that nothing can be computed with (5.7). */
enum ike_rc v1_doubt_public(struct v1_exchange *x, const char *text);
void v1_take_cookie(struct v1_exchange *x);
/* Both proofs are good: the SA is in force once the last message is out (x->after). */
void v1_established(struct v1_exchange *x);
/* lifetime.c: seconds phase 1 may last, as we offer them. */
uint64_t v1_phase1_lifetime(const struct ike_conn_conf *c);
uint64_t v1_phase1_kbytes(const struct ike_conn_conf *c); /* what it may protect; 0: no limit */
/* It comes into force: the shorter limits of both sides hold, and an initiator that offered more
 * than ours hears of that. */
void v1_take_lifetimes(struct ike_sa *sa);
/* RESPONDER-LIFETIME of phase 1 (RFC 2407 4.6.3.1), under its protection: the shorter one holds. */
void v1_phase1_limit(struct ike_sa *sa, const struct ike_payload *n);
/* Phase 1 has protected so many bytes of a message: near its limit in kilobytes it is replaced. */
void v1_protected(struct ike_sa *sa, size_t bytes);
/* XAUTH, if there is any, is through: the SA is in force. */
void v1_in_force(struct ike_sa *sa);
/* The children that waited. */
void v1_begin_wants(struct ike_sa *sa);
/* cookie.c: our cookie, for sa->local and sa->remote, in place of what the SA was made with. */
void v1_cookie_make(struct ike_sa *sa);
/* As responder, of the first message that brings it back: was it made for who sends that? */
bool v1_cookie_ours(const struct ike_sa *sa, const struct endpoint *local,
		    const struct endpoint *remote) warn_unused;
/* A first message, no SA yet. */
void v1_first(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h);

/* -- rows -- */
enum ike_rc v1_main_1(struct v1_exchange *x), v1_main_2(struct v1_exchange *x),
    v1_main_3(struct v1_exchange *x), v1_main_4(struct v1_exchange *x),
    v1_main_5(struct v1_exchange *x), v1_main_6(struct v1_exchange *x),
    v1_main_begin(struct v1_exchange *x);
enum ike_rc v1_aggr_1(struct v1_exchange *x), v1_aggr_2(struct v1_exchange *x),
    v1_aggr_3(struct v1_exchange *x), v1_aggr_begin(struct v1_exchange *x);
enum ike_rc v1_base_1(struct v1_exchange *x), v1_base_2(struct v1_exchange *x),
    v1_base_3(struct v1_exchange *x), v1_base_4(struct v1_exchange *x),
    v1_base_begin(struct v1_exchange *x);
enum ike_rc v1_auth_1(struct v1_exchange *x), v1_auth_2(struct v1_exchange *x),
    v1_auth_3(struct v1_exchange *x), v1_auth_begin(struct v1_exchange *x);
enum ike_rc v1_quick_1(struct v1_exchange *x), v1_quick_2(struct v1_exchange *x),
    v1_quick_3(struct v1_exchange *x), v1_quick_begin(struct v1_exchange *x);
enum ike_rc v1_new_group(struct v1_exchange *x);

enum ike_rc v1_cfg_1(struct v1_exchange *x), v1_cfg_2(struct v1_exchange *x),
    v1_cfg_begin(struct v1_exchange *x);

/* -- xauth.c -- */
/* Behind phase 1: false when it ends without XAUTH; else the stage is set, and v1_in_force() or the
 * end of the SA follows. */
bool v1_xauth_begin(struct ike_sa *sa);
/* Are we the one with the user name, in phase 1 or until XAUTH is through? */
bool v1_xauth_client(const struct ike_sa *sa);
enum ike_rc v1_xauth_build(struct v1_exchange *x);
enum ike_rc v1_xauth_1(struct v1_exchange *x, const struct ike_payload *p);
enum ike_rc v1_xauth_2(struct v1_exchange *x, const struct ike_payload *p);

/* -- modecfg.c -- */
/* HASH and ATTR payload of a message; NULL: no room. */
struct ike_payload *v1_cfg_head(struct v1_exchange *x, uint8_t type, uint16_t id);
/* The SA is in force: false when children need not wait for Mode Config. */
bool v1_cfg_first(struct ike_sa *sa);
/* What was to be pushed did not come. */
void v1_cfg_missed(struct ike_sa *sa);
/* Addresses go back; go over to an SA that takes over the children. */
void v1_cfg_fini(struct ike_sa *sa);
void v1_cfg_inherit(struct ike_sa *to, struct ike_sa *from);

/* -- split.c -- */
/* What `dynamic` means of our side and of the peer's: the address Mode Config gave, of the IP
 * version that the other side's selectors have, else the outer one. */
const struct ip_addr *v1_inner_own(const struct ike_sa *sa, const struct ts_list *other);
const struct ip_addr *v1_inner_peer(const struct ike_sa *sa, const struct ts_list *other);
/* Cuts what was negotiated of the peer's side down to the networks it says are behind it. */
void v1_split(const struct ike_sa *sa, struct ts_list *remote);

/* -- quick.c -- */
/* Brings a child up by Quick Mode; w is moved in. */
void v1_want(struct ike_sa *sa, struct ike_want *w);
/* A Quick Mode ended without a child: whoever waits is told. */
void v1_quick_failed(struct v1_exchange *x, const char *why);
/* The peer has said CONNECTED, or has not for too long (RFC 2408 3.1). */
void v1_quick_connected(struct v1_exchange *x);
/* Between selectors and ID payloads (quick_ts.c). 0 or -ENOTSUP with a sentence. */
int v1_ts_to_id(struct ike *ike, const struct ts *t, struct ike_payload *id, char *why,
		size_t whylen) warn_unused;
int v1_ts_from_id(const struct ike_payload *id, struct ts *t) warn_unused;
int v1_child_keys(const struct child_nego *c, const struct esp_suite *s,
		  struct child_keys *out) warn_unused;
/* Of the AH of a bundle, whose suite is there: its keys, to be freed also after an error. */
int v1_ah_keys(const struct child_nego *c, struct ike_ah_up *ah) warn_unused;

/* -- info.c -- */
/* ike->in was parsed from p, which came from remote to local; marker: as IKE on port 4500. */
void v1_info(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	     bool marker, uint8_t *p);
/* One notify; spi and data are copied. In the clear while there are no keys. */
void v1_notify(struct ike_sa *sa, uint8_t proto, struct span spi, uint16_t type, struct span data);
/* The same to somebody unknown: seldom. */
void v1_notify_stranger(struct ike *ike, const struct endpoint *local,
			const struct endpoint *remote, bool marker, const struct ike_hdr *h,
			uint16_t type);
/* CONNECTED, with the message ID of the Quick Mode; it is repeated for who repeats its last
 * message. */
void v1_connected(struct v1_exchange *x);
void v1_delete_notice(struct ike_sa *sa, const struct ike_child *c); /* c NULL: of phase 1 */
void v1_dpd_ask(struct ike_sa *sa, uint64_t heard);

/* -- live.c: entries of struct ike_version -- */
void v1_sa_created(struct ike_sa *sa);
void v1_start(struct ike_sa *sa);
void v1_sa_fini(struct ike_sa *sa);
void v1_sa_free(struct ike_sa *sa);
void v1_sa_delete(struct ike_sa *sa, enum ike_end end, uint64_t order);
void v1_sa_rekey(struct ike_sa *sa, uint64_t order);
void v1_child_rekey(struct ike_child *c, uint64_t order);
void v1_child_delete(struct ike_child *c, enum ike_end end, uint64_t order);
void v1_sa_again_fire(struct ike_timer *t);
/* The children of one SA with the peer go over to another. */
void v1_take_children(struct ike_sa *to, struct ike_sa *from);
void v1_renew_children(struct ike_sa *sa, uint64_t within);
/* phase1.c: how long one that has been replaced stays. */
uint64_t v1_left_wait(const struct ike_conn_conf *c);
/* The peer deleted phase 1. */
void v1_peer_deleted(struct ike_sa *sa);
/* An SA in force that may have no children: it ends when that stays so for childless_timeout. */
void v1_childless(struct ike_sa *sa);
/* A child of an SA without keys ended, or moved away: the last one takes the SA along. */
void v1_keyless_check(struct ike_sa *sa);

#endif
