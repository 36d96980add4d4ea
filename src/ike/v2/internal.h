/* What the files that move messages (receive.c, window.c, step.c, task.c, table.c, init_*.c,
 * auth_*.c) share among themselves. Handlers of other exchanges need only v2.h. */
#ifndef IKE_V2_INTERNAL_H
#define IKE_V2_INTERNAL_H

#include "ike/v2/v2.h"

#define V2_HELD_MAX 4 /* datagrams of one SA that wait for its job */

/* A datagram kept: as it came (receive.c), or decrypted, to be parsed again (step.c). */
struct ike_held {
	struct list link;
	struct ike_hdr hdr;
	struct endpoint local, remote;
	bool marker;
	bool inner; /* bytes are the payloads of SK, the first of type `first` */
	uint8_t first;
	size_t len;
	uint8_t bytes[];
};

/* What only IKE_SA_INIT and IKE_AUTH need; freed when the SA is up. */
struct v2_init {
	struct buf sent, got; /* our and the peer's IKE_SA_INIT message, as on the wire */
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_len, nr_len;
	const struct dh_info *group;
	struct dh *dh;       /* initiator */
	struct buf cookie;   /* initiator: to be sent back */
	unsigned repeats;    /* responder: times our answer went out again */
	unsigned restarts;   /* COOKIE and INVALID_KE_PAYLOAD answers followed */
	uint16_t want_group; /* initiator: the peer asked for it */
	struct proposal chosen;
	struct keymat_suite suite;
	uint32_t hashes; /* the peer's, RFC 7427 4; 0: it said none */
	bool peer_natt;  /* it sent NAT_DETECTION notifies */
	/* a refusal heard in the clear, believed when nothing better comes (RFC 7296 2.21.1) */
	uint64_t give_up_ns;
	char refusal[512];
	/* IKE_AUTH */
	bool asked_cert;         /* a CERTREQ came */
	struct buf certreq;      /* its hashes, 20 bytes each */
	struct child_nego *child;  /* initiator: the one that goes with IKE_AUTH */
	struct ike_want *want;   /* initiator: what asked for it */
	bool childless;          /* responder: nothing is asked for */
	struct ike_cursor candidate; /* responder: how far the search has come */
	unsigned pin;                /* and among the keys of that connection */
	struct ident wanted_id;  /* responder: IDr, type 0: none came */
	char why[768];           /* what kept the last candidate from fitting */
	const struct cred *cred; /* ours, alive with the connection */
	uint8_t auth[PRF_LEN_MAX];
};
struct v2_init *v2_init_new(struct ike_sa *sa);
void v2_init_free(struct v2_init **i);

/* receive.c */
void v2_held_run(struct ike_sa *sa);
/* window.c: a datagram of a known SA without a job in flight */
void v2_input(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h);
/* Forgets the fragments of messages that are not complete. */
void v2_fragments_forget(struct ike_sa *sa);

/* Sends all datagrams of a sealed message on the SA's path. */
void v2_send(struct ike_sa *sa, const struct ike_kept *k);
/* Seals m (in the clear for IKE_SA_INIT) and keeps it in *out, in place of what was there. 0 or
 * -errno: then that is still there. */
int v2_seal(struct ike_sa *sa, struct ike_msg *m, struct ike_kept *out) warn_unused;
/* step.c: runs the handler for the message in ike->in, which was opened; or builds a task's request
 */
void v2_step_message(struct ike_sa *sa, const struct v2_edge *e, const struct endpoint *local,
		     const struct endpoint *remote, bool marker);
void v2_step_build(struct ike_sa *sa, struct v2_task *t);
/* Answers the request in ike->in with one error notify, and counts it as answered. */
void v2_answer_error(struct ike_sa *sa, uint16_t notify, struct span data);
void v2_exchange_free(struct v2_exchange **x);
/* task.c */
void v2_task_free(struct v2_task *t);
void v2_task_sent(struct ike_sa *sa);     /* arms the first retransmission */
/* The peer sent a request: it is there, so it may answer ours, which it did not get for a while. */
void v2_task_heard(struct ike_sa *sa);
void v2_task_answered(struct ike_sa *sa); /* the window is free again */
/* table.c */
const struct v2_edge *v2_edge_find(const struct ike_sa *sa, const struct ike_msg *m);
/* init_r.c: a first message, no SA yet */
void v2_init_request(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		     bool marker, struct span datagram, const struct ike_hdr *h);
/* Notifies of IKE_SA_INIT, both ways (init.c) */
int v2_init_notifies(struct ike_sa *sa, struct ike_msg *out, bool hashes);
void v2_init_take_notifies(struct ike_sa *sa, const struct ike_msg *m);
int v2_init_keys(struct ike_sa *sa, struct span shared);
/* auth.c: what both roles of IKE_AUTH share */
struct auth_octets v2_auth_octets(const struct ike_sa *sa, bool ours, struct span id_body);
struct span v2_id_body(struct ike *ike, const struct ident *id);
int v2_own_identity(struct ike_sa *sa, const struct ident *wanted, char *why, size_t whylen);
const struct cred *v2_own_cred(const struct ike_sa *sa);
/* A peer does not tell why it refuses; but what is wrong with our own certificate we can see. */
bool v2_own_cert_bad(const struct ike_sa *sa, char *why, size_t whylen);
int v2_add_id(struct ike_msg *out, uint8_t type, const struct ident *id);
int v2_add_certs(struct ike_sa *sa, struct ike_msg *out, const struct cred *cred);
int v2_add_certreq(struct ike_sa *sa, struct ike_msg *out);
void v2_take_certreq(struct ike_sa *sa, const struct ike_msg *m);
/* Begins to check the peer's AUTH under sa->conn: IKE_OK it is right (PSK), IKE_WAIT a job was
 * started, IKE_KILL with init->why it is not. *more: another key of the connection may be tried
 * (init->pin). */
enum ike_rc v2_check_peer(struct v2_exchange *x, bool *more);

#endif
