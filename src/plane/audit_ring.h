/*
 * Auditable events on their way from one worker to the control thread: one writer, one reader, no
 * lock, and of each event no more than AUDIT_PER_SECOND in a second. What is swallowed is counted.
 */
#ifndef PLANE_AUDIT_RING_H
#define PLANE_AUDIT_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/audit.h"
#include "base/bytes.h"

#define AUDIT_RING_SIZE	 128 /* a power of two */
#define AUDIT_PER_SECOND 16

struct audit_ring {
	_Alignas(CACHE_LINE) _Atomic uint32_t head; /* next to write; the worker's */
	struct {
		uint64_t since_ns; /* when its second began */
		uint32_t n;        /* recorded in it */
	} pace[AUDIT_EVENTS];
	_Atomic uint64_t swallowed[AUDIT_EVENTS]; /* not recorded; read by the control thread */
	_Alignas(CACHE_LINE) _Atomic uint32_t tail; /* next to read; the control thread's */
	struct audit_event slot[AUDIT_RING_SIZE];
};

#endif
