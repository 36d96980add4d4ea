/*
 * The anti-replay window as a ring of atomic words. A sequence number belongs to block number / 32;
 * a block to one word of the ring, with the count of laps round the ring as its tag. What happens
 * to a number:
 *
 *   1. older than the window (top - number >= window): refused
 *   2. its word carries a later lap: a newer block took the place, so the number has left the
 * window: refused
 *   3. its word carries an earlier lap: the word becomes {our lap, our bit}, which forgets 32
 * numbers that are too old by then
 *   4. its word carries our lap: the bit is set, or was set already: refused
 *
 * Steps 2 to 4 are one compare-and-swap. The ring has one block more than the window, so what step
 * 3 forgets is older than the window that ends with our number. All of it may be relaxed: the words
 * guard nothing but themselves.
 */
#include "ipsec/replay.h"

#include <errno.h>

#include "base/secret.h"

#define BLOCK_BITS 32u

/* Without a window, the high half of a number is guessed as the one nearest to the last packet. */
#define ESN_REACH_UNWINDOWED (1u << 31)

int replay_init(struct replay *r, uint32_t window, bool solo)
{
	*r = (struct replay){ .solo = solo };
	if (window == 0)
		return 0;
	if (window < REPLAY_WINDOW_MIN || window > REPLAY_WINDOW_MAX)
		return -EINVAL;
	r->window = (window + BLOCK_BITS - 1) & ~(BLOCK_BITS - 1);
	r->words = (uint16_t)(r->window / BLOCK_BITS + 1);
	r->reciprocal = UINT64_MAX / r->words;
	r->ring = secret_alloc(r->words * sizeof(*r->ring)); /* not secret, but next to its SA */
	return r->ring ? 0 : -ENOMEM;
}

void replay_fini(struct replay *r)
{
	secret_release(r->ring, r->words * sizeof(*r->ring));
	*r = (struct replay){ .ring = NULL };
}

size_t replay_bytes(const struct replay *r)
{
	return r->words * sizeof(*r->ring);
}

uint64_t replay_full_seq(const struct replay *r, uint32_t seq_lo, bool esn)
{
	if (!esn)
		return seq_lo;
	uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
	uint32_t reach = r->window ? r->window : ESN_REACH_UNWINDOWED;
	uint32_t top_hi = (uint32_t)(top >> 32), top_lo = (uint32_t)top;
	uint32_t bottom = top_lo - reach + 1; /* modulo 2^32 */
	uint32_t hi;

	if (top_lo >= reach - 1)
		/* Case A: the window lies within one subspace. */
		hi = seq_lo >= bottom ? top_hi : top_hi + 1;
	else
		/* Case B: the window began in the subspace before; there is none before the first.
		 */
		hi = seq_lo >= bottom && top_hi > 0 ? top_hi - 1 : top_hi;
	return (uint64_t)hi << 32 | seq_lo;
}

/* Number 0 and numbers left of the window. */
static bool too_old(const struct replay *r, uint64_t seq)
{
	uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
	return seq == 0 || (seq <= top && top - seq >= r->window);
}

/* The word of a number; *lap becomes its tag. */
static _Atomic uint64_t *word_of(const struct replay *r, uint64_t seq, uint32_t *lap)
{
	uint64_t block = seq / BLOCK_BITS;
	/* The product with the reciprocal, rounded down, is the quotient or one less. */
	uint64_t q = (uint64_t)((unsigned __int128)block * r->reciprocal >> 64);
	uint64_t rest = block - q * r->words;
	if (rest >= r->words) {
		q++;
		rest -= r->words;
	}
	*lap = (uint32_t)q;
	return &r->ring[rest];
}

/* Tags are compared as a circle: a word that nobody wrote for 2^31 laps (at least 2^37 packets)
 * cannot be, packets come from all over the ring. */
static int32_t laps_ahead(uint64_t word, uint32_t lap)
{
	return (int32_t)((uint32_t)(word >> 32) - lap);
}

bool replay_may_accept(const struct replay *r, uint64_t seq)
{
	if (r->window == 0)
		return true;
	if (too_old(r, seq))
		return false;
	uint32_t lap;
	uint64_t w = atomic_load_explicit(word_of(r, seq, &lap), memory_order_relaxed);
	int32_t ahead = laps_ahead(w, lap);
	return ahead < 0 || (ahead == 0 && !(w >> seq % BLOCK_BITS & 1));
}

static void advance_top(struct replay *r, uint64_t seq)
{
	uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
	if (r->solo) {
		if (seq > top)
			atomic_store_explicit(&r->top, seq, memory_order_relaxed);
		return;
	}
	while (seq > top && !atomic_compare_exchange_weak_explicit(
				&r->top, &top, seq, memory_order_relaxed, memory_order_relaxed))
		;
}

bool replay_accept(struct replay *r, uint64_t seq)
{
	if (r->window == 0) {
		advance_top(r, seq); /* the high half of extended numbers follows it */
		return true;
	}
	if (too_old(r, seq))
		return false;

	uint32_t lap;
	_Atomic uint64_t *word = word_of(r, seq, &lap);
	uint64_t bit = 1ull << seq % BLOCK_BITS;
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed), new;
	do {
		int32_t ahead = laps_ahead(old, lap);
		if (ahead > 0 || (ahead == 0 && (old & bit)))
			return false;
		new = ahead == 0 ? old | bit : (uint64_t)lap << 32 | bit;
		if (r->solo) {
			atomic_store_explicit(word, new, memory_order_relaxed);
			break;
		}
	} while (!atomic_compare_exchange_weak_explicit(word, &old, new, memory_order_relaxed,
							memory_order_relaxed));
	advance_top(r, seq);
	return true;
}

void replay_prefetch(const struct replay *r, uint32_t seq_lo)
{
	uint32_t lap;

	if (r->window)
		__builtin_prefetch(word_of(r, replay_full_seq(r, seq_lo, true), &lap), 1);
}
