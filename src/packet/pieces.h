/*
 * Where the fragments of one datagram begin: what tells a fragment that came twice, which is
 * dropped alone, from one that lies within others, which ends its datagram (RFC 8200 4.5, RFC 5722
 * 4). Ranges cannot say it: they grow together. A fragment begins at a multiple of 8 bytes, so that
 * a bit for each is all it takes.
 */
#ifndef PACKET_PIECES_H
#define PACKET_PIECES_H

#include <stdbool.h>
#include <stdint.h>

#define PIECES_UNITS 8192u /* of 8 bytes: what a datagram can hold */

struct pieces {
	uint64_t bit[PIECES_UNITS / 64];
};

/* Notes that a fragment begins at this byte of the datagram, which is a multiple of 8 below 65536.
 */
static inline void pieces_begin(struct pieces *p, uint32_t lo)
{
	p->bit[lo / 512] |= 1ull << (lo / 8 % 64);
}

static inline bool pieces_begins(const struct pieces *p, uint32_t lo)
{
	return p->bit[lo / 512] >> (lo / 8 % 64) & 1;
}

/* Are the bytes [lo, hi), which lie within those that are there without a hole up to end, those of
 * one fragment? */
static inline bool pieces_same(const struct pieces *p, uint32_t lo, uint32_t hi, uint32_t end)
{
	if (!pieces_begins(p, lo) || (hi != end && (hi % 8 || !pieces_begins(p, hi))))
		return false;
	for (uint32_t at = lo + 8; at < hi; at += 8)
		if (pieces_begins(p, at))
			return false;
	return true;
}

#endif
