/* A bounded queue from one worker to the control thread: one writer, one reader, no lock. */
#ifndef PLANE_RING_H
#define PLANE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ipsec/event.h"

#define EVENT_RING_SIZE 256 /* a power of two */

struct event_ring {
	_Alignas(CACHE_LINE) _Atomic uint32_t head; /* next to write; the worker's */
	_Alignas(CACHE_LINE) _Atomic uint32_t tail; /* next to read; the control thread's */
	struct ipsec_event slot[EVENT_RING_SIZE];
};

/* False when it is full. */
static inline bool event_ring_push(struct event_ring *r, const struct ipsec_event *e)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == EVENT_RING_SIZE)
		return false;
	r->slot[head % EVENT_RING_SIZE] = *e;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

static inline bool event_ring_pop(struct event_ring *r, struct ipsec_event *e)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&r->head, memory_order_acquire))
		return false;
	*e = r->slot[tail % EVENT_RING_SIZE];
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

#endif
