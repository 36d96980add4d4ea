/* Lifetimes, liveness, keepalives: timers of SAs and children of both versions (life.c). */
#ifndef IKE_LIFE_H
#define IKE_LIFE_H

#include "base/clock.h"
#include "ike/engine.h"

#define IKE_RETRY_NS (30 * NS_PER_S) /* a rekeying that failed is tried again */
/* After it we delete, or forget, what the peer ought to have deleted: longer than peers repeat what
 * they ask. */
#define IKE_LEFT_BEHIND (200 * NS_PER_S)
#define IKE_SWITCH_POLL (NS_PER_S / 4) /* has the peer begun to use the new child? */
/* Sets the times of a child that a newer one replaced. */
void ike_child_leave_behind(struct ike_child *c);
/* It was replaced, but what replaced it is gone again. */
void ike_child_revive(struct ike_child *c);
/* t_life and t_idle of an SA, t_life and t_inactive of a child. */
void ike_sa_life_fire(struct ike_timer *t);
void ike_sa_idle_fire(struct ike_timer *t);
void ike_sa_idle_arm(struct ike_sa *sa); /* after each message and change of path */
void ike_child_life_fire(struct ike_timer *t);
void ike_child_inactive_fire(struct ike_timer *t);

#endif
