/*
 * What a reload does to the SAs, as a plan: no side effects, so that it can be tested by itself.
 * Old are the running SAs' configurations, new those of the file just read.
 */
#ifndef CONTROL_PLAN_H
#define CONTROL_PLAN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "ipsec/sa.h"

enum plan_new {
	PLAN_KEEP,  /* nothing changed: old[source] goes on, with its numbers, window, counters and
		       learned peer */
	PLAN_CARRY, /* same SPI and key, something else changed: made new, takes over numbers and
		       window of old[source] */
	PLAN_FRESH, /* made new */
};

enum plan_old {
	PLAN_STAYS,        /* kept */
	PLAN_LEAVES_LAST,  /* removed after the new policies are in force */
	PLAN_LEAVES_FIRST, /* in the way of a new SA (its name, or its inbound SPI): removed right
			      before that is installed */
};

struct plan {
	unsigned n_new, n_old;
	enum plan_new *new_op; /* by index in the new configuration */
	unsigned *source;      /* by new index: old index for KEEP and CARRY */
	enum plan_old *old_op; /* by index among the old */
	unsigned kept, carried, fresh, leaving;
};

/* Both sides need their key_id. Names are unique in each side, and so are inbound SPIs per
 * protocol. 0 or -ENOMEM. */
int plan_make(const struct sa_conf *const *old, unsigned n_old, const struct sa_conf *const *new,
	      unsigned n_new, struct plan *out) warn_unused;
void plan_fini(struct plan *p);

#endif
