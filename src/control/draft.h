/* The next state of the daemon, built aside: SAs, compiled SPD, network configuration. Nothing
 * running is touched by any of this. */
#ifndef CONTROL_DRAFT_H
#define CONTROL_DRAFT_H

#include <stdarg.h>
#include <stdio.h>

#include "control/plan.h"
#include "control/state.h"

struct draft {
	struct daemon *d;
	struct config *c; /* borrowed */
	FILE *err, *warn;
	bool failed;
	struct plan plan;
	struct managed_sa *sas; /* by index in the file; kept ones are old objects */
	struct spd *spd;
	struct netcfg net;
};

/* Builds everything that can be built without side effects. Every problem is a line in err;
 * f->failed tells. */
void draft_build(struct draft *f, struct daemon *d, struct config *c, FILE *err, FILE *warn);
/* Frees what was not taken out of it. */
void draft_fini(struct draft *f);
void draft_fail(struct draft *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What differs between two configurations but cannot change while running: a line in warn for each,
 * naming the key. */
void draft_restart_keys(const struct config *was, const struct config *now, FILE *warn);
/* Does an SA find a socket of its kind and IP version among those opened? */
bool draft_has_socket(const struct plane_opts *opened, const struct sa_conf *c);

#endif
