/* What create_child.c, rekey_child.c, rekey_ike.c, delete.c, collide.c share. */
#ifndef IKE_V2_REKEY_H
#define IKE_V2_REKEY_H

#include "ike/life.h"
#include "ike/v2/v2.h"

#define V2_CHILDREN_MAX 512 /* of one IKE SA, before NO_ADDITIONAL_SAS */
#define V2_KE_TRIES     3   /* INVALID_KE_PAYLOAD answers followed */

/* -- collide.c -- */

/* The peer's exchange for what we are rekeying (or making) too. */
struct v2_rival {
	uint32_t id; /* of the child or IKE SA it made; 0: there is none */
	size_t len;
	uint8_t lowest[IKE_NONCE_MAX]; /* of its two nonces */
};
/* <0, 0, >0 as RFC 7296 2.8.1 compares: byte by byte, and the one that ends first is lower. */
int v2_nonce_cmp(struct span a, struct span b);
void v2_rival_note(struct v2_rival *r, uint32_t id, struct span ni, struct span nr);
/* Both were carried out: does the peer's SA stay? It does when the lowest of the four nonces is in
 * our exchange. */
bool v2_rival_wins(const struct v2_rival *r, struct span ni, struct span nr);
/* Is our request of this kind on its way ("currently" of RFC 7296 2.25)? */
bool v2_asking(const struct ike_sa *sa, enum v2_task_kind kind);
/* Are we about to delete the IKE SA, or has it been replaced? */
bool v2_closing(const struct ike_sa *sa);
/* The child that was made to replace c, or NULL. */
struct ike_child *v2_child_successor(const struct ike_child *c);
/*
 * The peer said TEMPORARY_FAILURE: the task starts over after a while that grows; after several
 * minutes both sides do not agree any more about what there is, and the IKE SA is closed (2.25).
 */
void v2_task_later(struct v2_task *t);

/* -- create_child.c: what new children and rekeyed ones have in common -- */

/* t->data of V2_TASK_CHILD and V2_TASK_REKEY_CHILD */
struct v2_create {
	uint16_t ke;       /* group the peer wants; 0: ours */
	unsigned ke_tries; /* how often it said so */
	struct v2_rival rival;
	/* SPIs that the peer deleted and we do not know: perhaps the one it is about to tell us */
	uint32_t deleted[4];
	unsigned n_deleted;
};
/* Our request for a child whose answer is not here yet, or NULL: the peer may speak of a pair already
 * that we shall know by then. */
struct v2_create *v2_create_pending(const struct ike_sa *sa);
struct v2_create *v2_create_of(struct v2_task *t); /* makes it; NULL: no memory */

/* Steps of a builder once t->child was made: key pair, payloads. Without success the reason is in
 * x->task->child->why, or the task is to start over. */
enum ike_rc v2_create_build(struct v2_exchange *x);
enum v2_got {
	V2_GOT_ALL,     /* t->child is complete: install it */
	V2_GOT_WAIT,    /* a job was started: return IKE_WAIT */
	V2_GOT_DROP,    /* return IKE_DROP: the answer will be asked for again */
	V2_GOT_AGAIN,   /* the task starts over; t->child is gone */
	V2_GOT_REFUSED, /* *notify says why in short, t->child->why in words */
};
enum v2_got v2_create_answer(struct v2_exchange *x, uint16_t *notify);
/* The peer's request: steps from its payloads to x->child with keys, x->out filled. IKE_OK: install
 * it. c: moved into x->child by the caller at step 0. */
enum ike_rc v2_create_reply(struct v2_exchange *x);
/* That it cannot be had: for the log and `status`. */
void v2_reply_failed(struct v2_exchange *x, const char *why);

/* -- delete.c -- */

/* A pair the peer has made by our wish and we have not: its inbound SPI of ours is deleted there.
 */
void v2_delete_spi(struct ike_sa *sa, uint8_t proto, uint32_t spi_in);
/* The IKE SA a waiting request of ours was to make: from rekey_ike.c. True when the children went
 * to the one the peer made. */
bool v2_rekey_ike_adopt(struct ike_sa *sa);

#endif
