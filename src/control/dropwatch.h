/*
 * Turns growing drop counters into few log lines: a reason is reported at once when it starts,
 * then, while it goes on, at intervals that double from 10 seconds to 10 minutes. A quiet spell of
 * twice the interval starts it over.
 */
#ifndef CONTROL_DROPWATCH_H
#define CONTROL_DROPWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"

#define DROPWATCH_FIRST_S 10u
#define DROPWATCH_LAST_S  640u

struct dropwatch {
	struct dropwatch_row {
		uint64_t reported;   /* the counter when it was last reported */
		uint64_t last_ns;    /* when that was; 0 never */
		uint32_t interval_s; /* pause before the next report */
	} row[DROP_REASONS];
};

/*
 * Looks at the counter of one reason. True when it is to be reported now: *grown packets since the
 * last report, *over_s seconds ago (0: the first).
 */
bool dropwatch_step(struct dropwatch *w, enum drop d, uint64_t count, uint64_t now_ns,
		    uint64_t *grown, uint64_t *over_s);

#endif
