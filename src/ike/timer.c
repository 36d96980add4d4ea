/* The heap of timers: heap[0] is due first; every timer knows its place. */
#include "ike/timer.h"

#include <errno.h>
#include <stdlib.h>

int ike_timers_reserve(struct ike_timers *s, unsigned count)
{
	s->promised += count;
	if (s->promised <= s->cap)
		return 0;
	uint32_t cap = s->cap ? s->cap : 32;
	while (cap < s->promised)
		cap *= 2;
	struct ike_timer **h = realloc(s->heap, cap * sizeof(struct ike_timer *));
	if (!h) {
		s->promised -= count;
		return -ENOMEM;
	}
	s->heap = h;
	s->cap = cap;
	return 0;
}

void ike_timers_release(struct ike_timers *s, unsigned count)
{
	s->promised -= count;
}

void ike_timers_fini(struct ike_timers *s)
{
	free(s->heap);
	*s = (struct ike_timers){ .n = 0 };
}

static void put(struct ike_timers *s, uint32_t i, struct ike_timer *t)
{
	s->heap[i] = t;
	t->pos = i + 1;
}

static void up(struct ike_timers *s, uint32_t i, struct ike_timer *t)
{
	while (i > 0 && s->heap[(i - 1) / 2]->at > t->at) {
		put(s, i, s->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(s, i, t);
}

static void down(struct ike_timers *s, uint32_t i, struct ike_timer *t)
{
	for (;;) {
		uint32_t c = 2 * i + 1;
		if (c + 1 < s->n && s->heap[c + 1]->at < s->heap[c]->at)
			c++;
		if (c >= s->n || s->heap[c]->at >= t->at)
			break;
		put(s, i, s->heap[c]);
		i = c;
	}
	put(s, i, t);
}

void ike_timer_stop(struct ike_timers *s, struct ike_timer *t)
{
	if (!t->pos)
		return;
	uint32_t i = t->pos - 1;
	struct ike_timer *last = s->heap[--s->n];
	t->pos = 0;
	if (last == t)
		return;
	if (i > 0 && s->heap[(i - 1) / 2]->at > last->at)
		up(s, i, last);
	else
		down(s, i, last);
}

void ike_timer_set(struct ike_timers *s, struct ike_timer *t, uint64_t at,
		   void (*fire)(struct ike_timer *t))
{
	ike_timer_stop(s, t);
	t->at = at;
	t->fire = fire;
	if (s->n < s->cap)
		up(s, s->n++, t);
}

uint64_t ike_timers_next(const struct ike_timers *s)
{
	return s->n ? s->heap[0]->at : UINT64_MAX;
}

void ike_timers_run(struct ike_timers *s, uint64_t now)
{
	while (s->n && s->heap[0]->at <= now) {
		struct ike_timer *t = s->heap[0];
		ike_timer_stop(s, t);
		t->fire(t);
	}
}
