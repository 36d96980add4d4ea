/*
 * Tells auditable events (base/audit.def): one line of the log, subsystem `audit`, and one event for
 * `monitor`, with the fields the RFCs want. Of each kind only so many are told; the rest are counted,
 * and the count is told with the next one, or when it has become quiet.
 */
#ifndef CONTROL_AUDIT_H
#define CONTROL_AUDIT_H

#include "base/audit.h"
#include "base/log.h"

struct daemon;

#define AUDIT_BURST   16u /* told at once */
#define AUDIT_EVERY_S 1u  /* and then one in so many seconds */
#define AUDIT_QUIET_S 10u /* after this long without one, what was left out is told by itself */

struct audit_state {
	struct audit_row {
		struct log_limit limit;
		uint64_t left_out; /* here, not on the packet path */
		uint64_t counted;  /* of all that was left out anywhere, what has been told */
		uint64_t told_ns;  /* 0: never */
	} row[AUDIT_EVENTS];
};

void audit_tell(struct daemon *d, const struct audit_event *e);
/* What waits in the plane. */
void audit_events(struct daemon *d);
/* Once a second. */
void audit_tick(struct daemon *d, uint64_t now);

#endif
