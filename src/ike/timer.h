/*
 * Timers of the engine: a binary heap of timers embedded in what they belong to, so that setting,
 * moving and stopping one costs O(log n) and no allocation once the heap has grown.
 */
#ifndef IKE_TIMER_H
#define IKE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Zero-initialised: stopped. */
struct ike_timer {
	uint64_t at;  /* clock_now_ns() */
	uint32_t pos; /* place in the heap, counted from 1; 0: stopped */
	void (*fire)(struct ike_timer *t);
};

struct ike_timers {
	struct ike_timer **heap;
	uint32_t n, cap;
	uint32_t promised; /* timers that exist, set or not */
};

/* Room for `count` timers more: call it whenever something with timers is made, so that setting
 * them cannot fail, and release when it goes. 0 or -ENOMEM. */
int ike_timers_reserve(struct ike_timers *s, unsigned count) warn_unused;
void ike_timers_release(struct ike_timers *s, unsigned count);
void ike_timers_fini(struct ike_timers *s);
/* Sets or moves a timer. fire is called by ike_timers_run(), once, with the timer stopped. */
void ike_timer_set(struct ike_timers *s, struct ike_timer *t, uint64_t at,
		   void (*fire)(struct ike_timer *t));
void ike_timer_stop(struct ike_timers *s, struct ike_timer *t);
static inline bool ike_timer_on(const struct ike_timer *t)
{
	return t->pos != 0;
}
/* When the next one is due; UINT64_MAX: none. */
uint64_t ike_timers_next(const struct ike_timers *s);
/* Fires all that are due at `now`, in the order of their times. */
void ike_timers_run(struct ike_timers *s, uint64_t now);

#endif
