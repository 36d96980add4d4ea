/* Two-way set-associative table, grown by doubling the part in use. */
#include "flow/table.h"

#include <errno.h>
#include <sys/mman.h>

#define TABLE_BYTES (sizeof(struct flow_entry) << FLOW_TABLE_MAX_BITS)
/* Beyond the first huge page's worth, a table is large enough to deserve huge pages; before, they would be a waste. */
#define SMALL_BYTES ((size_t)2 << 20)
#define MAX_MASK ((1u << (FLOW_TABLE_MAX_BITS - 1)) - 1)

int flow_table_init(struct flow_table *t, uint64_t seed)
{
	void *p = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	(void)madvise((char *)p + SMALL_BYTES, TABLE_BYTES - SMALL_BYTES, MADV_HUGEPAGE);
	*t = (struct flow_table) { .entry = p, .mask = (1u << (FLOW_TABLE_MIN_BITS - 1)) - 1, .seed = seed };
	return 0;
}

void flow_table_fini(struct flow_table *t)
{
	if (t->entry)
		munmap(t->entry, TABLE_BYTES);
	t->entry = NULL;
}

struct flow_entry *flow_table_find(struct flow_table *t, const struct flow_key *k, uint64_t hash, uint32_t gen)
{
	struct flow_entry *e = &t->entry[(hash & t->mask) * 2];

	if (e[0].gen == gen && flow_key_eq(&e[0].key, k)) {
		t->hits++;
		return &e[0];
	}
	if (e[1].gen == gen && flow_key_eq(&e[1].key, k)) {
		t->hits++;
		return &e[1];
	}
	t->misses++;
	return NULL;
}

/*
 * Doubles the part in use. Nothing is moved: half of the flows are looked for elsewhere from now on, miss once, and are entered
 * again; what they left behind is pushed out in time.
 */
static void grow(struct flow_table *t)
{
	if (t->mask < MAX_MASK)
		t->mask = t->mask * 2 + 1;
	t->pressure = 0;
}

struct flow_entry *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash, uint32_t gen, uint32_t now)
{
	struct flow_entry *e = &t->entry[(hash & t->mask) * 2];
	struct flow_entry *v = e;

	if (e[0].gen == gen) {
		v = &e[1];
		if (e[1].gen == gen) {
			/* both live: the older goes */
			if ((int32_t)(e[0].used - e[1].used) < 0)
				v = &e[0];
			if (++t->pressure > t->mask / 16) {
				grow(t);
				v = &t->entry[(hash & t->mask) * 2];
			}
		}
	}
	*v = (struct flow_entry) { .key = *k, .gen = gen, .used = now };
	return v;
}
