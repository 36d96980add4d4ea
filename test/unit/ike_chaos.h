/* What chaos (test_ike_chaos.c) needs to know of IKEv1. */
#ifndef UNIT_IKE_CHAOS_H
#define UNIT_IKE_CHAOS_H

#include "test_ike_change.h"

/*
 * Both speak IKEv1, in Main or Aggressive Mode as `chance` (any number) says; in some a is a client
 * that proves a user name and gets its address from b, which then cannot begin: d->b.conn has no
 * remote addresses. After the children are configured.
 */
void chaos_v1_configure(struct duo *d, uint64_t chance);
/* Nothing is under way in the SA. */
bool chaos_v1_at_rest(const struct ike_sa *sa);
/* Its exchanges in words, on standard output. */
void chaos_v1_describe(const struct ike_sa *sa);

#endif
