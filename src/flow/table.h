/*
 * The flow table of one worker: what was decided about a flow, so that the SPD is searched once per
 * flow and not once per packet. One cache line an entry, four places where a flow's entry may be,
 * no pointers to follow, no lock (a worker owns its tables), no allocation after the start. Nearly
 * all are in the first two, neighbours that are prefetched; the others are a pair elsewhere, which
 * is prefetched for those that a first look does not find, so that of 100,000 flows hardly any keep
 * pushing each other out. An entry counts only while its generation is that of the SPD: a new SPD
 * empties the table by counting up. The address space is reserved for the largest size; the part in
 * use doubles when flows crowd, so that an idle gateway touches a few pages only.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "packet/parse.h"

struct flow_entry {
	struct flow_key key;
	void *verdict;    /* the plane's: the policy that decided */
	uint32_t gen;     /* generation of the SPD it was decided under; 0: free */
	uint32_t used; /* the worker's batch counter when it last matched, or up to FLOW_USED_STEP
			  before */
	void *hint;       /* the plane's: the SA */
};
_Static_assert(sizeof(struct flow_entry) == CACHE_LINE, "one line an entry");

#define FLOW_TABLE_MIN_BITS 10
#define FLOW_TABLE_MAX_BITS 19

struct flow_table {
	struct flow_entry *entry;
	uint32_t mask;       /* of the entry's number: entries in use - 1 */
	uint32_t
	    pressure; /* flows entered away from their first two places since the last growth */
	uint64_t seed;
	uint64_t hits, misses;
};

/* Reserves the memory. 0 or -ENOMEM. */
int flow_table_init(struct flow_table *t, uint64_t seed) warn_unused;
void flow_table_fini(struct flow_table *t);
/* Finds the entry of a flow decided under generation gen; NULL when there is none. hash:
 * flow_key_hash(k, t->seed). */
struct flow_entry *flow_table_find(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				   uint32_t gen);
/* Makes an entry, pushing out a dead one or else the one unused for longest. now: the worker's
 * batch counter. */
struct flow_entry *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				  uint32_t gen, uint32_t now);

/* The entry has matched. Its line is written now and then only: with many flows it would have to go
 * back to memory each time. */
#define FLOW_USED_STEP 1024u

static inline void flow_entry_touch(struct flow_entry *e, uint32_t now)
{
	if (now - e->used >= FLOW_USED_STEP)
		e->used = now;
}

static prefetching void flow_table_prefetch(const struct flow_table *t, uint64_t hash)
{
	const struct flow_entry *e = &t->entry[hash & t->mask & ~1u];

	__builtin_prefetch(e);
	__builtin_prefetch(e + 1);
}

/* Once that has arrived: a look whether the flow is there; when it is not, its other two places are
 * on their way. Three words of the key are enough for a guess. */
static prefetching void flow_table_look(const struct flow_table *t, const struct flow_key *k,
					uint64_t hash)
{
	const struct flow_entry *e = &t->entry[hash & t->mask & ~1u];

	if (!flow_key_like(&e[0].key, k) && !flow_key_like(&e[1].key, k)) {
		e = &t->entry[hash >> 32 & t->mask & ~1u];
		__builtin_prefetch(e);
		__builtin_prefetch(e + 1);
	}
}

#endif
