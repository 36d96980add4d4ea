/*
 * IKE messages from one worker to the control thread: a ring of bytes with records of any length,
 * one writer, one reader, no lock. A record never wraps: what is left at the end is skipped.
 */
#ifndef PLANE_IKE_RING_H
#define PLANE_IKE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"

#define IKE_RING_BYTES (256u * 1024) /* a power of two */

struct ike_record {
	uint32_t size;         /* bytes of the record, this header among them; a multiple of 8 */
	uint32_t len; /* of the message behind this header; IKE_RECORD_SKIP: go on at the start */
	struct endpoint remote;
	struct endpoint local;
};
#define IKE_RECORD_SKIP UINT32_MAX

struct ike_ring {
	_Alignas(CACHE_LINE) _Atomic uint32_t head; /* next to write; the worker's */
	_Alignas(CACHE_LINE) _Atomic uint32_t tail; /* next to read; the control thread's */
	uint8_t *mem;                               /* IKE_RING_BYTES; NULL: no IKE */
};

/* Copies a message in. False when there is no room. */
bool ike_ring_push(struct ike_ring *r, const struct endpoint *remote, const struct endpoint *local,
		   const uint8_t *p, uint32_t len);
/* The oldest record, its message behind it; NULL when there is none. It stays until ike_ring_pop().
 */
struct ike_record *ike_ring_peek(struct ike_ring *r);
void ike_ring_pop(struct ike_ring *r);

#endif
