/* One row a reason; no clock and no log in here. */
#include "control/dropwatch.h"

#include "base/clock.h"

bool dropwatch_step(struct dropwatch *w, enum drop d, uint64_t count, uint64_t now_ns,
		    uint64_t *grown, uint64_t *over_s)
{
	struct dropwatch_row *r = &w->row[d];
	uint64_t age = r->last_ns ? now_ns - r->last_ns : 0;

	if (r->last_ns && age >= 2ull * r->interval_s * NS_PER_S && count == r->reported) {
		r->last_ns = 0;
		return false;
	}
	if (count == r->reported || (r->last_ns && age < r->interval_s * NS_PER_S))
		return false;
	*grown = count - r->reported;
	*over_s = age / NS_PER_S;
	r->reported = count;
	if (r->last_ns == 0)
		r->interval_s = DROPWATCH_FIRST_S;
	else if (r->interval_s < DROPWATCH_LAST_S)
		r->interval_s *= 2;
	r->last_ns = now_ns ? now_ns : 1;
	return true;
}
