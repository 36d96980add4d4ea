/* Four places for each flow, in two pairs of neighbours; the table grows by doubling the part in
 * use. */
#include "flow/table.h"

#include <errno.h>
#include <sys/mman.h>

#define TABLE_BYTES (sizeof(struct flow_entry) << FLOW_TABLE_MAX_BITS)
/* Beyond the first huge page's worth, a table is large enough to deserve huge pages; before, they
 * would be a waste. */
#define SMALL_BYTES ((size_t)2 << 20)
#define MAX_MASK ((1u << FLOW_TABLE_MAX_BITS) - 1)
#define PLACES 4

int flow_table_init(struct flow_table *t, uint64_t seed)
{
	void *p = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	(void)madvise((char *)p + SMALL_BYTES, TABLE_BYTES - SMALL_BYTES, MADV_HUGEPAGE);
	*t = (struct flow_table){ .entry = p,
				  .mask = (1u << FLOW_TABLE_MIN_BITS) - 1,
				  .seed = seed };
	return 0;
}

void flow_table_fini(struct flow_table *t)
{
	if (t->entry)
		munmap(t->entry, TABLE_BYTES);
	t->entry = NULL;
}

/* Place 0..PLACES-1 of a flow. The pairs come from different bits of the hash: who shares the first
 * seldom shares the other. */
static inline struct flow_entry *place(const struct flow_table *t, uint64_t hash, unsigned n)
{
	uint32_t i = (uint32_t)(n < 2 ? hash : hash >> 32);

	return &t->entry[(i ^ (n & 1)) & t->mask];
}

static inline bool is_it(const struct flow_entry *e, const struct flow_key *k, uint32_t gen)
{
	return e->gen == gen && flow_key_eq(&e->key, k);
}

struct flow_entry *flow_table_find(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				   uint32_t gen)
{
	struct flow_entry *e = place(t, hash, 0);

	for (unsigned n = 1; unlikely(!is_it(e, k, gen)); n++) {
		if (n == PLACES) {
			t->misses++;
			return NULL;
		}
		e = place(t, hash, n);
	}
	t->hits++;
	return e;
}

/* Doubles the part in use. Nothing is moved: flows that are looked for elsewhere from now on miss
 * once and are entered again. */
static void grow(struct flow_table *t)
{
	if (t->mask < MAX_MASK)
		t->mask = t->mask * 2 + 1;
	t->pressure = 0;
}

/* True when an entry is of no use: of another SPD, or left behind where nobody looks for it since
 * the table grew. */
static bool is_dead(const struct flow_table *t, const struct flow_entry *e, uint32_t gen)
{
	if (e->gen != gen)
		return true;
	uint64_t hash = flow_key_hash(&e->key, t->seed);
	for (unsigned n = 0; n < PLACES; n++)
		if (place(t, hash, n) == e)
			return false;
	return true;
}

struct flow_entry *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				  uint32_t gen, uint32_t now)
{
	struct flow_entry *v = NULL;
	unsigned n;

	for (n = 0; n < PLACES; n++) {
		struct flow_entry *e = place(t, hash, n);
		if (is_dead(t, e, gen)) {
			v = e;
			break;
		}
		if (!v || (int32_t)(e->used - v->used) < 0)
			v = e;
	}
	/* A flow away from its first two places costs more at every packet, one without a place
	 * much more. */
	if (n >= 2 && ++t->pressure > t->mask / 32) {
		grow(t);
		v = place(t, hash, 0);
	}
	*v = (struct flow_entry) { .key = *k, .gen = gen, .used = now };
	return v;
}
