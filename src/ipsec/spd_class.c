/*
 * Search: the hash slots of all tuples are computed and prefetched, then looked at in the order of
 * the best rule in each; what is found ends the search of every tuple, tree and leaf that can only
 * hold later rules. Build: an address range of any shape counts as the one or two aligned blocks of
 * equal size that it touches (what is too much is sorted out by the entries, which compare
 * exactly); block lengths are rounded down until the tuples are few; rules go to the slots of their
 * blocks.
 */
#include "ipsec/spd_class.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FEW_TUPLES  8u  /* more than these are merged by rounding lengths */
#define SMALL_TUPLE 12u /* fewer rules than these go to the tree besides */
#define PROBE_GROUP 8u  /* slots that are prefetched together */
#define STACK_MAX   64u /* more than the depth of a tree */
#define LENS        129u

/* ---- search -------------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t hash4(const struct spd_tuple *t, uint32_t local, uint32_t remote)
{
	uint32_t l = t->len[0] ? local & ~0u << (32 - t->len[0]) : 0;
	uint32_t r = t->len[1] ? remote & ~0u << (32 - t->len[1]) : 0;
	uint64_t h = ((uint64_t)l << 32 | r) + 0x9e3779b97f4a7c15u;

	/* A bijection: different addresses never have the same hash. */
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static inline uint64_t upper_mask(unsigned len)
{
	return len >= 64 ? ~0ull : len ? ~0ull << (64 - len) : 0;
}

static inline uint64_t hash6(const struct spd_tuple *t, const uint64_t hi[DIM_ADDRS],
			     const uint64_t lo[DIM_ADDRS])
{
	uint64_t h = 0;
	for (unsigned d = 0; d < DIM_ADDRS; d++) {
		unsigned len = t->len[d];
		uint64_t a = hi[d] & upper_mask(len),
			 b = lo[d] & upper_mask(len > 64 ? len - 64 : 0);
		h = mix(a ^ h ^ 0xa0761d6478bd642fu, b ^ 0xe7037ed1a0b428dbu) + a * 3 + b * 5;
	}
	return h ^ h >> 32;
}

static inline bool ports_match(const struct spd_tail *t, const struct spd_point *p)
{
	uint32_t remote = p->v[DIM_REMOTE_PORT], local = p->v[DIM_LOCAL_PORT];
	bool r = remote == PORT_HIDDEN ? t->flags & SPD_HIDDEN_REMOTE
				       : t->lo[0] <= remote && remote <= t->hi[0];
	bool l = local == PORT_HIDDEN ? t->flags & SPD_HIDDEN_LOCAL
				      : t->lo[1] <= local && local <= t->hi[1];

	return r & l & (t->proto_lo <= p->v[DIM_PROTO]) & (p->v[DIM_PROTO] <= t->proto_hi);
}

static inline bool entry4_matches(const struct spd_entry4 *e, const struct spd_point *p)
{
	return (e->lo[0] <= p->v[0]) & (p->v[0] <= e->hi[0]) & (e->lo[1] <= p->v[1]) &
		   (p->v[1] <= e->hi[1]) &&
	       ports_match(&e->tail, p);
}

static inline spd_addr wide(uint64_t hi, uint64_t lo)
{
	return (spd_addr)hi << 64 | lo;
}

static inline bool entry6_matches(const struct spd_entry6 *e, const struct spd_point *p)
{
	for (unsigned d = 0; d < DIM_ADDRS; d++) {
		spd_addr a = wide(p->hi[d], p->lo[d]);
		if (a < wide(e->lo_hi[d], e->lo_lo[d]) || a > wide(e->hi_hi[d], e->hi_lo[d]))
			return false;
	}
	return ports_match(&e->tail, p);
}

/* The best of a leaf's entries and the best so far. Entries are in order: the first that matches is
 * the one. */
static inline __attribute__((always_inline)) uint32_t leaf_find(const struct spd_forest *f,
								uint32_t at, bool v6,
								const struct spd_point *p,
								uint32_t best, unsigned *work)
{
	for (;; at++) {
		const struct spd_tail *t = v6 ? &f->e6[at].tail : &f->e4[at].tail;
		if (work)
			++*work;
		if (t->order >= best)
			return best;
		if (v6 ? entry6_matches(&f->e6[at], p) : entry4_matches(&f->e4[at], p))
			return t->order;
		if (t->flags & SPD_LAST)
			return best;
	}
}

static inline __attribute__((always_inline)) uint32_t tree_find(const struct spd_forest *f,
								uint32_t ref, bool v6,
								const struct spd_point *p,
								uint32_t best, unsigned *work)
{
	uint32_t stack[STACK_MAX], stack_best[STACK_MAX];
	unsigned depth = 0;

	for (;;) {
		while (ref && !(ref & SPD_REF_LEAF)) {
			const struct spd_node *n = &f->node[ref];
			if (work)
				++*work;
			bool right = v6 && n->dim < DIM_ADDRS
					 ? wide(p->hi[n->dim], p->lo[n->dim]) > f->wide[n->pivot]
					 : p->v[n->dim] > n->pivot;
			if (n->best[2] < best) {
				stack[depth] = n->child[2];
				stack_best[depth++] = n->best[2];
			}
			ref = n->best[right] < best ? n->child[right] : SPD_REF_NONE;
		}
		if (ref)
			best = leaf_find(f, ref & ~SPD_REF_LEAF, v6, p, best, work);
		do {
			if (depth == 0)
				return best;
		} while (stack_best[--depth] >= best);
		ref = stack[depth];
	}
}

static inline __attribute__((always_inline)) uint32_t
find(const struct spd_class *c, bool v6, const struct spd_point *p, unsigned *work)
{
	uint32_t best = SPD_NONE;

	for (unsigned i = 0; i < c->n_tuple && c->tuple[i].best < best; i += PROBE_GROUP) {
		uint64_t hash[PROBE_GROUP];
		unsigned n = c->n_tuple - i < PROBE_GROUP ? c->n_tuple - i : PROBE_GROUP;

		for (unsigned j = 0; j < n; j++) {
			const struct spd_tuple *t = &c->tuple[i + j];
			hash[j] = v6 ? hash6(t, p->hi, p->lo)
				     : hash4(t, p->v[DIM_LOCAL], p->v[DIM_REMOTE]);
			__builtin_prefetch(&c->slot[t->base + (hash[j] & t->mask)]);
		}
		for (unsigned j = 0; j < n && c->tuple[i + j].best < best; j++) {
			const struct spd_tuple *t = &c->tuple[i + j];
			for (uint32_t k = (uint32_t)hash[j];; k++) {
				const struct spd_slot *s = &c->slot[t->base + (k & t->mask)];
				if (work)
					++*work;
				if (s->ref == SPD_REF_NONE)
					break;
				if (s->hash == hash[j]) {
					if (s->best < best)
						best = tree_find(&c->forest, s->ref, v6, p, best,
								 work);
					break;
				}
			}
		}
	}
	if (c->rest_best < best)
		best = tree_find(&c->forest, c->rest, v6, p, best, work);
	return best;
}

uint32_t spd_class_find(const struct spd_class *c, const struct spd_point *p)
{
	return c->forest.v6 ? find(c, true, p, NULL) : find(c, false, p, NULL);
}

uint32_t spd_class_find_counted(const struct spd_class *c, const struct spd_point *p,
				unsigned *work)
{
	return c->forest.v6 ? find(c, true, p, work) : find(c, false, p, work);
}

/* ---- build --------------------------------------------------------------------------------- */

/* A rule in a slot. */
struct place {
	uint64_t hash;
	uint32_t rule;
};

struct build {
	struct spd_class *c;
	const struct spd_rule *rules;
	size_t n;
	unsigned bits;             /* of an address */
	uint8_t (*len)[DIM_ADDRS]; /* per rule: leading bits of the blocks it touches */
	uint32_t *count;           /* rules per pair of lengths: [local * LENS + remote] */
	struct place *place;       /* of one tuple */
	uint32_t *index;           /* of one tree */
};

/* The most leading bits at which the range lies within two neighbouring blocks; one block, when it
 * is a prefix. */
static unsigned block_len(spd_addr lo, spd_addr hi, unsigned bits)
{
	spd_addr size_less_1 = hi - lo;
	unsigned len = bits;

	if ((uint64_t)(size_less_1 >> 64))
		len -= 128 - (unsigned)__builtin_clzll((uint64_t)(size_less_1 >> 64));
	else if ((uint64_t)size_less_1)
		len -= 64 - (unsigned)__builtin_clzll((uint64_t)size_less_1);
	return len;
}

static spd_addr block_of(spd_addr a, unsigned len, unsigned bits)
{
	return len == 0 ? 0 : a >> (bits - len) << (bits - len);
}

/* Counts rules per pair of lengths rounded down to a multiple of step; returns how many pairs there
 * are. */
static unsigned count_pairs(struct build *b, unsigned step)
{
	unsigned pairs = 0;

	memset(b->count, 0, LENS * LENS * sizeof(*b->count));
	for (size_t i = 0; i < b->n; i++) {
		unsigned l = b->len[i][0] / step * step, r = b->len[i][1] / step * step;
		pairs += b->count[l * LENS + r]++ == 0;
	}
	return pairs;
}

/* Rounds the lengths so that the tuples are few, or as few as the coarsest step makes them. */
static void round_lengths(struct build *b)
{
	static const unsigned steps4[] = { 1, 4, 8 }, steps6[] = { 1, 8, 16, 32 };
	const unsigned *steps = b->bits == 32 ? steps4 : steps6;
	unsigned n = b->bits == 32 ? ARRAY_LEN(steps4) : ARRAY_LEN(steps6), i = 0;

	while (count_pairs(b, steps[i]) > FEW_TUPLES && i + 1 < n)
		i++;
	for (size_t k = 0; k < b->n; k++)
		for (unsigned d = 0; d < DIM_ADDRS; d++)
			b->len[k][d] = (uint8_t)(b->len[k][d] / steps[i] * steps[i]);
}

static uint64_t hash_blocks(const struct build *b, const struct spd_tuple *t,
			    const spd_addr a[DIM_ADDRS])
{
	if (b->bits == 32)
		return hash4(t, (uint32_t)a[0], (uint32_t)a[1]);
	return hash6(t, (uint64_t[]){ (uint64_t)(a[0] >> 64), (uint64_t)(a[1] >> 64) },
		     (uint64_t[]){ (uint64_t)a[0], (uint64_t)a[1] });
}

/* Lists the one to four places of a rule in a tuple. */
static size_t add_places(struct build *b, const struct spd_tuple *t, uint32_t rule, size_t n)
{
	const struct spd_box *box = &b->rules[rule].box;
	spd_addr first[DIM_ADDRS], last[DIM_ADDRS], a[DIM_ADDRS];

	for (unsigned d = 0; d < DIM_ADDRS; d++) {
		first[d] = block_of(box->addr_lo[d], t->len[d], b->bits);
		last[d] = block_of(box->addr_hi[d], t->len[d], b->bits);
	}
	for (unsigned i = 0; i < 4; i++) {
		a[0] = i & 1 ? last[0] : first[0];
		a[1] = i & 2 ? last[1] : first[1];
		if ((i & 1 && first[0] == last[0]) || (i & 2 && first[1] == last[1]))
			continue;
		b->place[n++] = (struct place){ .hash = hash_blocks(b, t, a), .rule = rule };
	}
	return n;
}

static int place_cmp(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->rule < b->rule ? -1 : a->rule > b->rule;
}

/* Reserves the tuple's slots: a power of two, at most half of them used. */
static bool slots_reserve(struct spd_class *c, struct spd_tuple *t, size_t used)
{
	size_t n = 4;
	while (n < used * 2)
		n *= 2;
	if (c->n_slot + n > c->cap_slot) {
		size_t cap = c->cap_slot ? c->cap_slot * 2 : 64;
		while (cap < c->n_slot + n)
			cap *= 2;
		struct spd_slot *s = aligned_alloc(CACHE_LINE, cap * sizeof(*s));
		if (!s)
			return false;
		if (c->n_slot)
			memcpy(s, c->slot, c->n_slot * sizeof(*s));
		free(c->slot);
		c->slot = s;
		c->cap_slot = cap;
	}
	t->base = (uint32_t)c->n_slot;
	t->mask = (uint32_t)n - 1;
	memset(&c->slot[c->n_slot], 0, n * sizeof(*c->slot));
	c->n_slot += n;
	return true;
}

static void slot_fill(struct spd_class *c, const struct spd_tuple *t, uint64_t hash, uint32_t ref,
		      uint32_t best)
{
	uint32_t k = (uint32_t)hash;
	while (c->slot[t->base + (k & t->mask)].ref != SPD_REF_NONE)
		k++;
	c->slot[t->base + (k & t->mask)] =
	    (struct spd_slot){ .hash = hash, .ref = ref, .best = best };
}

/* Makes the tuple of one pair of lengths from its n_rule rules, which are in b->index. */
static bool tuple_make(struct build *b, unsigned local, unsigned remote, size_t n_rule)
{
	struct spd_class *c = b->c;
	struct spd_tuple *t = &c->tuple[c->n_tuple++];
	size_t n = 0, keys = 0;

	*t = (struct spd_tuple){ .len = { (uint8_t)local, (uint8_t)remote },
				 .best = b->rules[b->index[0]].order };
	for (size_t i = 0; i < n_rule; i++)
		n = add_places(b, t, b->index[i], n);
	qsort(b->place, n, sizeof(*b->place), place_cmp);
	for (size_t i = 0; i < n; i++)
		keys += i == 0 || b->place[i].hash != b->place[i - 1].hash;
	if (!slots_reserve(c, t, keys))
		return false;
	for (size_t i = 0, m; i < n; i += m) {
		for (m = 0; i + m < n && b->place[i + m].hash == b->place[i].hash; m++)
			b->index[m] = b->place[i + m].rule;
		uint32_t ref = spd_tree_build(&c->forest, b->rules, b->index, m);
		if (c->forest.failed)
			return false;
		slot_fill(c, t, b->place[i].hash, ref, b->rules[b->index[0]].order);
	}
	return true;
}

/* A pair of lengths is a tuple when it fixes something, has rules enough, and there is room for one
 * more. */
static bool is_tuple(const struct build *b, unsigned local, unsigned remote)
{
	return (local || remote) && b->count[local * LENS + remote] >= SMALL_TUPLE;
}

static bool tuples_make(struct build *b)
{
	struct spd_class *c = b->c;
	size_t n = 0;

	for (unsigned l = 0; l <= b->bits; l++) {
		for (unsigned r = 0; r <= b->bits; r++) {
			if (!is_tuple(b, l, r))
				continue;
			n = 0;
			for (size_t i = 0; i < b->n; i++)
				if (b->len[i][0] == l && b->len[i][1] == r)
					b->index[n++] = (uint32_t)i;
			if (!tuple_make(b, l, r, n))
				return false;
		}
	}
	n = 0;
	for (size_t i = 0; i < b->n; i++)
		if (!is_tuple(b, b->len[i][0], b->len[i][1]))
			b->index[n++] = (uint32_t)i;
	if (n) {
		c->rest_best = b->rules[b->index[0]].order;
		c->rest = spd_tree_build(&c->forest, b->rules, b->index, n);
	}
	return !c->forest.failed;
}

static int tuple_cmp(const void *x, const void *y)
{
	const struct spd_tuple *a = x, *b = y;
	return a->best < b->best ? -1 : a->best > b->best;
}

int spd_class_init(struct spd_class *c, bool v6, const struct spd_rule *rules, size_t n)
{
	struct build b = { .c = c, .rules = rules, .n = n, .bits = v6 ? 128 : 32 };
	bool good = true;

	*c = (struct spd_class){ .rest_best = SPD_NONE };
	spd_forest_init(&c->forest, v6, n);
	if (n == 0)
		return 0;
	b.len = malloc(n * sizeof(*b.len));
	b.count = malloc(LENS * LENS * sizeof(*b.count));
	b.place = malloc(4 * n * sizeof(*b.place));
	b.index = malloc(4 * n * sizeof(*b.index));
	if (b.len && b.count && b.place && b.index) {
		for (size_t i = 0; i < n; i++)
			for (unsigned d = 0; d < DIM_ADDRS; d++)
				b.len[i][d] = (uint8_t)block_len(rules[i].box.addr_lo[d],
								 rules[i].box.addr_hi[d], b.bits);
		round_lengths(&b);
		good = tuples_make(&b);
	} else {
		good = false;
	}
	free(b.len);
	free(b.count);
	free(b.place);
	free(b.index);
	if (!good) {
		spd_class_fini(c);
		return -ENOMEM;
	}
	qsort(c->tuple, c->n_tuple, sizeof(*c->tuple), tuple_cmp);
	return 0;
}

void spd_class_fini(struct spd_class *c)
{
	spd_forest_fini(&c->forest);
	free(c->slot);
	*c = (struct spd_class){ .rest_best = SPD_NONE };
}

size_t spd_class_bytes(const struct spd_class *c)
{
	return spd_forest_bytes(&c->forest) + c->cap_slot * sizeof(*c->slot);
}
