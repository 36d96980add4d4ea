/*
 * The anti-replay window (RFC 4303 3.4.3, appendix A), shared by workers without a lock. The window
 * is a ring of 64-bit words, each a tag (on which lap round the ring it was written) and a bit for
 * each of 32 sequence numbers. A word changes by one compare-and-swap, so a number is accepted by
 * exactly one worker.
 */
#ifndef IPSEC_REPLAY_H
#define IPSEC_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define REPLAY_WINDOW_MIN     32
#define REPLAY_WINDOW_MAX     65536
#define REPLAY_WINDOW_DEFAULT 2048

struct replay {
	_Atomic uint64_t top;   /* highest number authenticated */
	uint32_t window;        /* packets; 0: no anti-replay service */
	uint16_t words;         /* window/32 + 1: one more than the window can reach into */
	bool solo;              /* one worker: no compare-and-swap needed */
	uint64_t reciprocal;    /* 2^64 / words, for a division without dividing */
	_Atomic uint64_t *ring; /* words of {lap:32, bits:32}; a lap is one way round the ring */
};

/* window: 0 or REPLAY_WINDOW_MIN..MAX, rounded up to a multiple of 32. solo: only one
 * thread at a time calls replay_accept(). Returns 0, -EINVAL or -ENOMEM. */
int replay_init(struct replay *r, uint32_t window, bool solo) warn_unused;
void replay_fini(struct replay *r);
size_t replay_bytes(const struct replay *r);
/* The 64-bit number for the 32 bits on the wire: with esn, by RFC 4303 appendix A2; without, seq_lo
 * itself. */
uint64_t replay_full_seq(const struct replay *r, uint32_t seq_lo, bool esn);
/* Before crypto: may this number be new? Changes nothing. Number 0 is never acceptable (the first
 * is 1), but for window 0, which accepts everything. */
bool replay_may_accept(const struct replay *r, uint64_t seq);
/* After the packet was authenticated: marks it. False when another copy was there first or it has
 * become too old. */
bool replay_accept(struct replay *r, uint64_t seq);
/* Starts loading the word that a number on the wire will be looked up in. */
void replay_prefetch(const struct replay *r, uint32_t seq_lo);

#endif
