/* What the two roles of Quick Mode (quick_i.c, quick_r.c) share (quick.c). */
#ifndef IKE_V1_QUICK_H
#define IKE_V1_QUICK_H

#include "ike/v1/v1.h"

/* Takes an inbound SPI, once, of a bundle two. 0 or -ENOSPC with c->why. */
int v1_quick_spi(struct child_nego *c) warn_unused;
struct span v1_quick_spi_bytes(const struct child_nego *c);
struct span v1_quick_ah_spi_bytes(const struct child_nego *c);
/* The choice counts: algorithms and the peer's SPIs. False: an SPI is a reserved one. */
bool v1_quick_take(struct child_nego *c, const struct v1_choice *choice);
/* Group and encapsulation of what is negotiated, in a mode (enum sa_mode). */
struct v1_terms v1_quick_terms(const struct child_nego *c, uint8_t mode);
/* The configured limits. */
struct v1_life v1_quick_life(const struct ike_child_conf *f);
/* HASH, to be filled in when it is sealed, and an SA payload, which is returned. NULL: no room. */
struct ike_payload *v1_quick_head(struct v1_exchange *x);
/* Nonce, and with PFS our public value. */
int v1_quick_nonce(struct v1_exchange *x, const uint8_t *nonce, size_t len) warn_unused;
int v1_quick_add_oa(struct v1_exchange *x, uint8_t mode) warn_unused;
/* Sets the commit bit of the message that is being made, when the connection wants that. */
void v1_quick_commit(struct v1_exchange *x);
/* Both SAs in force, with these limits; as initiator what they replace is marked so. NULL with
 * x->child->why. */
struct ike_child *v1_quick_install(struct v1_exchange *x, const struct v1_life *life);
/* As responder: the initiator has them too. What they replace is marked so, and they carry. */
void v1_quick_confirm(struct v1_exchange *x, struct ike_child *k);
/* As responder: the exchange will not come to its end, because phase 1 is over. When there is
 * another pair that one carries on, and this is only kept for a while. */
void v1_quick_left(struct v1_exchange *x);
/* What our exchange was to rekey is tried again after a while. */
void v1_quick_retry(struct v1_exchange *x);
/* Of any SA with this peer; children go over from one to the next. NULL: it is gone. */
struct ike_child *v1_child_by_id(struct ike_sa *sa, uint32_t id);
/* Another pair for the same traffic: in force, or one left so. NULL: none. */
struct ike_child *v1_child_twin(const struct ike_child *c);
/* Shorter limits of the peer's. */
void v1_quick_limit(struct ike_child *k, const struct v1_life *life);

#endif
