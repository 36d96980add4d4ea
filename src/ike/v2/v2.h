/*
 * IKEv2 (RFC 7296) from inside. How a message goes:
 *
 *   datagram -> receive.c: which SA, hold it while a job is in flight -> window.c: duplicate, next
 *   request, or answer to ours; open SK -> step.c: the row of the edge table (table.c) that fits
 *   state, exchange, role and payloads -> its handler -> answer sealed, sent and kept -> new state.
 *
 *   what we want to ask is a task (task.c): waits in the SA's queue until the window is free and its
 *   state allows it, is built (row's build), sent, retransmitted, and its row's `answer` is called
 *   by the edge that took the response.
 *
 * Handlers and builders are restartable: they are called with x->step 0; when they start a job they
 * say what step comes next and return IKE_WAIT (v2_wait()), and are called again with that step, the
 * job's result in x->work and the same message in x->m, parsed again. They read as
 * `switch (x->step)`. What has to live from step to step is in x->child, x->data, sa->init or the
 * task. They check everything before they change anything that outlives x.
 */
#ifndef IKE_V2_V2_H
#define IKE_V2_V2_H

#include "ike/child_nego.h"
#include "ike/engine.h"

/* -- exchanges -- */

/* One exchange in progress on one SA: a request of the peer's, the building of ours, or the answer
 * to ours. */
struct v2_exchange {
	struct ike *ike;
	struct ike_sa *sa;
	const struct v2_edge *edge; /* NULL while our request is built */
	struct v2_task *task;       /* our request's; NULL for the peer's */
	struct ike_msg *m;          /* what came in; NULL while our request is built */
	struct ike_msg *out;        /* to be filled: the answer (peer's request) or our request. Emptied
				       before each call, so fill it in the last step only. NULL for an
				       answer to ours */
	unsigned step;
	struct ike_work *work; /* the job that ended before this step; freed after it */
	const char *why;       /* with IKE_KILL: why the SA ends, in words; may lie in the arena */
	struct endpoint local, remote; /* where the message came in, and from */
	bool marker;
	/* what the handler decides */
	uint8_t to;      /* state after IKE_OK; preset to edge->to */
	uint8_t end;     /* enum ike_end for IKE_KILL; preset to IKE_END_FAILED before the SA is up,
			    else IKE_END_PEER */
	uint16_t notify; /* IKE_REPLY_ERROR, IKE_KILL: the error notify; 0 with IKE_KILL: out goes as it
			    is */
	uint8_t n_data;  /* its data */
	uint8_t data_bytes[4];
	bool linger;     /* with IKE_KILL: stay a while to repeat the answer for duplicates; preset
			    for the peer's requests */
	/* what it keeps; freed with the exchange */
	struct child_nego *child;
	uint16_t child_error; /* notify when the child cannot be */
	void *data;
	void (*data_free)(void *data);
	/* the stepper's */
	struct ike_work *flying; /* job in flight */
	bool running;         /* a handler is active */
	bool ready;           /* its job came back while it was */
	struct ike_held *held; /* copy of the message while a job is in flight */
};

/* Starts no job by itself: `return v2_wait(x, 2, ike_work_dh(...));` */
static inline enum ike_rc v2_wait(struct v2_exchange *x, unsigned next, enum ike_rc rc)
{
	if (rc == IKE_WAIT)
		x->step = next;
	return rc;
}

/* Sets the error notify of the answer; returns rc (IKE_REPLY_ERROR or IKE_KILL). */
enum ike_rc v2_error(struct v2_exchange *x, enum ike_rc rc, uint16_t notify);
/* With two bytes of data (INVALID_KE_PAYLOAD). */
enum ike_rc v2_error16(struct v2_exchange *x, enum ike_rc rc, uint16_t notify, uint16_t data);

/*
 * One row of the protocol. `from`: bits of enum ike_state. `to`: bits; with one bit it is taken on
 * IKE_OK, with several x->to stays the present state unless the handler sets it. role: of the IKE
 * SA, V2_ANY, V2_I, V2_R. Payloads of a message (IKE_BIT of those with a rule, SK itself left out)
 * must hold all of `required` and nothing outside required | optional; N and V may always come.
 * v2_table_check() proves that no two rows fit one message, that required and optional do not
 * intersect, that every state can be reached and left, and that every task's exchange has an answer.
 */
enum v2_role { V2_ANY, V2_I, V2_R };
struct v2_edge {
	const char *name; /* for logs: "responder answers IKE_AUTH" */
	uint16_t from, to;
	uint8_t exchange; /* enum ike2_exchange */
	bool answer;      /* a response (to our task) */
	uint8_t role;
	uint64_t required, optional;
	enum ike_rc (*handle)(struct v2_exchange *x);
};
#define V2_ST(s) (1u << IKE_ST_##s)
extern const struct v2_edge v2_edges[];
extern const unsigned v2_n_edges;
/* 0 or -EINVAL with a sentence. */
int v2_table_check(char *why, size_t whylen) warn_unused;

/* -- requests by us -- */

enum v2_task_kind {
	V2_TASK_INIT,         /* IKE_SA_INIT */
	V2_TASK_AUTH,         /* IKE_AUTH */
	V2_TASK_CHILD,        /* CREATE_CHILD_SA: a new child */
	V2_TASK_REKEY_CHILD,  /* CREATE_CHILD_SA with REKEY_SA */
	V2_TASK_REKEY_IKE,    /* CREATE_CHILD_SA for the IKE SA itself */
	V2_TASK_DELETE_CHILD, /* INFORMATIONAL: D for child SAs */
	V2_TASK_DELETE_IKE,   /* INFORMATIONAL: D for the IKE SA */
	V2_TASK_LIVE,         /* INFORMATIONAL: nothing, are you there? */
	V2_TASK_KINDS
};

struct v2_task {
	struct list link; /* sa->tasks while it waits */
	struct ike_sa *sa;
	uint8_t kind;     /* enum v2_task_kind */
	uint64_t order;   /* who waits for it; 0: nobody */
	uint32_t child_id; /* the child it is about, by number because it may end meanwhile; 0: none */
	unsigned ci;      /* V2_TASK_CHILD: index of its configuration */
	bool acquired;    /* V2_TASK_CHILD: a packet asked for it; its selectors go first */
	struct flow_key flow;
	uint64_t not_before; /* clock_now_ns(): wait until then (TEMPORARY_FAILURE) */
	unsigned tries;      /* how often it was refused for the moment */
	struct child_nego *child; /* what is being negotiated; owned */
	void *data;             /* the row's own; freed by its fini */
	bool again;             /* v2_task_again() was said */
};

struct v2_task_row {
	const char *name; /* for logs: "rekeying of a CHILD SA" */
	uint8_t exchange;
	uint16_t from;    /* states in which it may start; in others it waits */
	uint8_t to;       /* state once it is on its way; IKE_ST_NONE: stays */
	/* Fills x->out. IKE_DROP ends the task without a message (it has no more object): build says
	 * so to the order itself. IKE_KILL ends the SA. */
	enum ike_rc (*build)(struct v2_exchange *x);
	/* The peer's answer, checked against the edge's payloads. IKE_OK: done. IKE_REPLY_ERROR has no
	 * meaning here. v2_task_again() beforehand puts the task back. */
	enum ike_rc (*answer)(struct v2_exchange *x);
	/* No answer ever came; NULL: the peer is taken for dead (IKE_END_DEAD). */
	void (*timeout)(struct v2_task *t);
	/* The task ends without having been answered (the SA ended, it became pointless): tell the
	 * order, free data. Also called after an answer, with t->order 0 if it was told. May be NULL. */
	void (*fini)(struct v2_task *t);
	/* The SA was rekeyed: may a waiting task of this kind go on on the new one? */
	bool moves;
};
extern const struct v2_task_row v2_task_rows[V2_TASK_KINDS];

/* Queues a task at the end and starts it if it can start. NULL: no memory. */
struct v2_task *v2_task_new(struct ike_sa *sa, enum v2_task_kind kind, uint64_t order);
/* The same, but the caller fills it before v2_task_queue(). */
struct v2_task *v2_task_make(struct ike_sa *sa, enum v2_task_kind kind, uint64_t order);
void v2_task_queue(struct v2_task *t);
/* Takes a waiting task (not the one on its way) out and frees it, fini included. */
void v2_task_cancel(struct v2_task *t);
/* From `answer`: the same task starts over after the wait (TEMPORARY_FAILURE, RFC 7296 2.25; 0:
 * at once, e.g. INVALID_KE_PAYLOAD). */
void v2_task_again(struct v2_task *t, uint64_t wait_ns);
/* The first queued or active task of a kind (about a child, when child_id is not 0), or NULL. */
struct v2_task *v2_task_find(const struct ike_sa *sa, enum v2_task_kind kind, uint32_t child_id);
/* Starts the next task when the window is free; the stepper calls it after everything. */
void v2_task_run(struct ike_sa *sa);
/* Moves the waiting tasks whose row says so to the SA that replaced this one; others end. */
void v2_tasks_move(struct ike_sa *from, struct ike_sa *to);

/* Our request's payloads: SA with a fresh SPI, [KE], TSi, TSr, notifies (USE_TRANSPORT_MODE,
 * ESP_TFC_PADDING_NOT_SUPPORTED, NON_FIRST_FRAGMENTS_ALSO). with_ke: CREATE_CHILD_SA; c->dh holds the key pair (NULL: no
 * PFS). The nonce is the caller's. first: the child of IKE_AUTH. 0, or -errno with c->why. */
int v2_child_offer(struct child_nego *c, struct ike_msg *out, bool first);
/* Which group the request begins with; NULL: none. (To make c->dh before v2_child_offer().) */
const struct dh_info *v2_child_group(const struct child_nego *c);
/*
 * The peer's request: finds the configured child that fits its selectors (when c->conf is NULL),
 * narrows, chooses the proposal. Returns 0; or an error notify (TS_UNACCEPTABLE, NO_PROPOSAL_CHOSEN,
 * INVALID_KE_PAYLOAD with *group, ...) with c->why. Changes only *c. c->group then says whether g^ir
 * has to be made (ike_work_dh with the KE payload's data).
 */
uint16_t v2_child_choose(struct child_nego *c, const struct ike_msg *m, bool first, uint16_t *group);
/* Our answer's payloads: SA with our SPI, [KE], TSi, TSr, notifies. 0 or -errno. */
int v2_child_answer(struct child_nego *c, struct ike_msg *out);
/* The peer's answer to our offer: checks SA, TS, KE against what we offered. 0, or the notify number
 * the failure would have had (IKE2_NO_PROPOSAL_CHOSEN ...) with c->why. An error notify in it is the
 * caller's to look at first (v2_child_refusal). */
uint16_t v2_child_accept(struct child_nego *c, const struct ike_msg *m, bool first);
/* The error notify in the answer about the child (NULL: none), with the sentence in c->why. */
const struct ike_payload *v2_child_refusal(struct child_nego *c, const struct ike_msg *m);
/* The SPI an SA payload gives for the proposal of this number; 0: none. */
uint32_t v2_spi_of(const struct ike_msg *m, const struct ike_payload *sa, const struct proposal *p);

/* -- what the tables call -- */

/* Handlers of edges (table.c) */
enum ike_rc v2_init_r(struct v2_exchange *x);
enum ike_rc v2_init_refused(struct v2_exchange *x);
enum ike_rc v2_auth_r(struct v2_exchange *x);
enum ike_rc v2_auth_eap_r(struct v2_exchange *x);
enum ike_rc v2_auth_refused(struct v2_exchange *x);
enum ike_rc v2_task_answer(struct v2_exchange *x); /* -> the task row's answer */
enum ike_rc v2_create_child_r(struct v2_exchange *x);  /* new child or rekey: by REKEY_SA */
enum ike_rc v2_rekey_child_r(struct v2_exchange *x);   /* from v2_create_child_r */
enum ike_rc v2_rekey_ike_r(struct v2_exchange *x);
enum ike_rc v2_info_r(struct v2_exchange *x);          /* deletes, liveness, the rest */

/* Builders and answers of tasks */
enum ike_rc v2_init_build(struct v2_exchange *x);
enum ike_rc v2_init_answer(struct v2_exchange *x);
enum ike_rc v2_auth_build(struct v2_exchange *x);
enum ike_rc v2_auth_answer(struct v2_exchange *x);
enum ike_rc v2_new_child_build(struct v2_exchange *x);
enum ike_rc v2_new_child_answer(struct v2_exchange *x);
void v2_new_child_fini(struct v2_task *t);
enum ike_rc v2_rekey_child_build(struct v2_exchange *x);
enum ike_rc v2_rekey_child_answer(struct v2_exchange *x);
void v2_rekey_child_fini(struct v2_task *t);
enum ike_rc v2_rekey_ike_build(struct v2_exchange *x);
enum ike_rc v2_rekey_ike_answer(struct v2_exchange *x);
void v2_rekey_ike_fini(struct v2_task *t);
enum ike_rc v2_delete_child_build(struct v2_exchange *x);
enum ike_rc v2_delete_child_answer(struct v2_exchange *x);
void v2_delete_child_fini(struct v2_task *t);
enum ike_rc v2_delete_ike_build(struct v2_exchange *x);
enum ike_rc v2_delete_ike_answer(struct v2_exchange *x);
void v2_delete_ike_timeout(struct v2_task *t);
void v2_delete_ike_fini(struct v2_task *t);
enum ike_rc v2_live_build(struct v2_exchange *x);
enum ike_rc v2_live_answer(struct v2_exchange *x);

/* What the core calls. Each does nothing when it is under way already. */
void v2_child_rekey(struct ike_child *c, uint64_t order);          /* its time has come */
void v2_child_delete(struct ike_child *c, enum ike_end end, uint64_t order); /* with a delete to the peer */
void v2_sa_rekey(struct ike_sa *sa, uint64_t order);
void v2_sa_reauth(struct ike_sa *sa, uint64_t order); /* make before break: a new SA, then delete */
void v2_sa_delete(struct ike_sa *sa, enum ike_end end, uint64_t order);
/* A new SA made by v2_sa_reauth() is up with its children: the old one goes. */
void v2_reauth_done(struct ike_sa *sa);
/* It ended before that: the old one goes on. */
void v2_reauth_failed(struct ike_sa *sa, const char *why);

/* -- the way of messages -- */

void v2_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		bool marker, uint8_t *p, size_t len, const struct ike_hdr *h);
/* A new SA that begins as initiator: its state; then, when conn, wants and path are set, its first
 * request. */
void v2_sa_created(struct ike_sa *sa);
/* An SA made by rekeying another one: up from the start. */
void v2_sa_born_up(struct ike_sa *sa);
void v2_start(struct ike_sa *sa);
/* What belongs to v2 in an SA that ends. */
void v2_sa_fini(struct ike_sa *sa);
/* A job of the SA came back. */
void v2_work_done(struct ike_work *w);
/* Retransmission is due, or the wait in a state is over. */
void v2_again_fire(struct ike_timer *t);

/* Notifies: adds one with these data (borrowed); NULL when the message is full. */
struct ike_payload *v2_add_notify(struct ike_msg *out, uint16_t type, struct span data);
/* The first error notify (type below 16384), or NULL. */
const struct ike_payload *v2_find_error(const struct ike_msg *m);
/* Fresh nonce: 32 bytes. */
#define V2_NONCE_LEN 32u

#endif
