/*
 * Builds search trees over boxes. A node cuts one dimension in two. A rule that spans the node's
 * whole extent in that dimension goes to a third child, where the dimension plays no more part; the
 * others go left, right or both. As in a segment tree, a rule's ends lie in at most two nodes of
 * each level, so copies grow with n log n, not n squared, whatever the ranges. Two things keep the
 * trees small:
 *   - the extent of a node is the bounding box of what its rules have inside the parent's;
 *   - a rule that fills the extent hides all rules after it, which are left out.
 * The cut is the median end of a sample in the dimension that promises the least work for a search.
 */
#include "ipsec/spd_tree.h"

#include <stdlib.h>
#include <string.h>

#define LEAF_RULES       6u  /* not worth a node */
#define POOR_RULES       24u /* up to here, a cut that gains little is left */
#define SAMPLE           48u
#define DEPTH_MAX        60u /* spd_class.c's stack holds one entry per level */
#define ENTRIES_PER_RULE 64u

void spd_forest_init(struct spd_forest *f, bool v6, size_t rules)
{
	*f = (struct spd_forest){ .v6 = v6,
				  .n_node = 1,
				  .max_entry = rules * ENTRIES_PER_RULE + 1024 };
}

void spd_forest_fini(struct spd_forest *f)
{
	free(f->node);
	free(f->e4);
	free(f->e6);
	free(f->wide);
	*f = (struct spd_forest){ .failed = true };
}

size_t spd_forest_bytes(const struct spd_forest *f)
{
	return f->cap_node * sizeof(*f->node) +
	       f->cap_entry * (f->v6 ? sizeof(*f->e6) : sizeof(*f->e4)) +
	       f->cap_wide * sizeof(*f->wide);
}

/* Makes room for one more element; cache-line aligned, so that an entry or node does not straddle
 * two. */
static bool room(struct spd_forest *f, void **array, size_t used, size_t *cap, size_t size)
{
	if (f->failed)
		return false;
	if (used < *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 32;
	void *p =
	    aligned_alloc(CACHE_LINE, (more * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	if (!p || more >= SPD_REF_LEAF) {
		free(p);
		f->failed = true;
		return false;
	}
	if (*array)
		memcpy(p, *array, used * size);
	free(*array);
	*array = p;
	*cap = more;
	return true;
}

/* ---- dimensions as numbers ----------------------------------------------------------------- */

static inline spd_addr lo_of(const struct spd_box *b, unsigned dim)
{
	return dim < DIM_ADDRS ? b->addr_lo[dim] : b->lo[dim - DIM_ADDRS];
}

static inline spd_addr hi_of(const struct spd_box *b, unsigned dim)
{
	return dim < DIM_ADDRS ? b->addr_hi[dim] : b->hi[dim - DIM_ADDRS];
}

static inline bool spans(const struct spd_box *r, const struct spd_box *extent, unsigned dim)
{
	return lo_of(r, dim) <= lo_of(extent, dim) && hi_of(r, dim) >= hi_of(extent, dim);
}

static bool fills(const struct spd_box *r, const struct spd_box *extent)
{
	for (unsigned d = 0; d < DIMS; d++)
		if (!spans(r, extent, d))
			return false;
	return true;
}

static void set_lo(struct spd_box *b, unsigned dim, spd_addr v)
{
	if (dim < DIM_ADDRS)
		b->addr_lo[dim] = v;
	else
		b->lo[dim - DIM_ADDRS] = (uint32_t)v;
}

static void set_hi(struct spd_box *b, unsigned dim, spd_addr v)
{
	if (dim < DIM_ADDRS)
		b->addr_hi[dim] = v;
	else
		b->hi[dim - DIM_ADDRS] = (uint32_t)v;
}

/* ---- building ------------------------------------------------------------------------------ */

/* Lists of rules under construction lie on one stack: a child's lists are above its parent's. */
struct build {
	struct spd_forest *f;
	const struct spd_rule *rules;
	uint32_t *stack;
	size_t used, cap;
};

struct cut {
	unsigned dim;
	spd_addr at; /* the left side ends here */
	size_t cost; /* of a search, estimated on the sample; lower is better */
};

static void push(struct build *b, uint32_t rule)
{
	if (room(b->f, (void **)&b->stack, b->used, &b->cap, sizeof(*b->stack)))
		b->stack[b->used++] = rule;
}

static const struct spd_box *box_at(const struct build *b, size_t i)
{
	return &b->rules[b->stack[i]].box;
}

/* Shrinks *extent to the bounding box of what the rules stack[at..at+n) have inside it. */
static void shrink(const struct build *b, size_t at, size_t n, struct spd_box *extent)
{
	struct spd_box e = *extent;

	for (unsigned d = 0; d < DIMS; d++) {
		spd_addr lo = hi_of(extent, d), hi = lo_of(extent, d), floor = hi, ceiling = lo;
		for (size_t i = at; i < at + n && (lo > floor || hi < ceiling); i++) {
			spd_addr x = lo_of(box_at(b, i), d), y = hi_of(box_at(b, i), d);
			x = x < floor ? floor : x;
			y = y > ceiling ? ceiling : y;
			lo = x < lo ? x : lo;
			hi = y > hi ? y : hi;
		}
		set_lo(&e, d, lo);
		set_hi(&e, d, hi);
	}
	*extent = e;
}

/* How many of the rules count: those behind one that fills the extent can never be the answer. */
static size_t hide_behind_filler(const struct build *b, size_t at, size_t n,
				 const struct spd_box *extent)
{
	for (size_t i = 0; i < n; i++)
		if (fills(box_at(b, at + i), extent))
			return i + 1;
	return n;
}

static void sort_addrs(spd_addr *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		spd_addr x = v[i];
		unsigned j = i;
		for (; j > 0 && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

/* Tries the median end of a sample in one dimension. */
static void try_cut(const struct build *b, size_t at, size_t n, const struct spd_box *extent,
		    unsigned dim, struct cut *best)
{
	spd_addr end[2 * SAMPLE];
	size_t step = (n + SAMPLE - 1) / SAMPLE;
	unsigned ends = 0;
	struct cut c = { .dim = dim };

	for (size_t i = 0; i < n; i += step) {
		const struct spd_box *r = box_at(b, at + i);
		if (lo_of(r, dim) > lo_of(extent, dim))
			end[ends++] = lo_of(r, dim) - 1;
		if (hi_of(r, dim) < hi_of(extent, dim))
			end[ends++] = hi_of(r, dim);
	}
	if (ends == 0)
		return;
	sort_addrs(end, ends);
	c.at = end[ends / 2];
	for (size_t i = 0; i < n; i += step) {
		const struct spd_box *r = box_at(b, at + i);
		if (spans(r, extent, dim))
			c.cost += 2;
		else
			c.cost += (lo_of(r, dim) <= c.at) + (hi_of(r, dim) > c.at);
	}
	if (c.cost < best->cost)
		*best = c;
}

/* Any end of any rule inside the extent: the sample had none. There is one, or a filler would have
 * hidden all but one. */
static void any_cut(const struct build *b, size_t at, size_t n, const struct spd_box *extent,
		    struct cut *best)
{
	for (size_t i = at; i < at + n; i++) {
		const struct spd_box *r = box_at(b, i);
		for (unsigned d = 0; d < DIMS; d++) {
			if (lo_of(r, d) > lo_of(extent, d))
				*best = (struct cut){ .dim = d, .at = lo_of(r, d) - 1 };
			else if (hi_of(r, d) < hi_of(extent, d))
				*best = (struct cut){ .dim = d, .at = hi_of(r, d) };
			else
				continue;
			return;
		}
	}
}

static void tail_fill(struct spd_tail *t, const struct spd_rule *r, bool last)
{
	for (unsigned i = 0; i < 2; i++) { /* remote port, local port */
		bool hidden_only = r->box.lo[i] == PORT_HIDDEN;
		t->lo[i] = hidden_only ? 1 : (uint16_t)r->box.lo[i];
		t->hi[i] = hidden_only              ? 0
			   : r->box.hi[i] >= 0xffff ? 0xffff
						    : (uint16_t)r->box.hi[i];
		if (r->box.hi[i] == PORT_HIDDEN)
			t->flags |= i ? SPD_HIDDEN_LOCAL : SPD_HIDDEN_REMOTE;
	}
	t->proto_lo = (uint16_t)r->box.lo[DIM_PROTO - DIM_ADDRS];
	t->proto_hi = (uint8_t)r->box.hi[DIM_PROTO - DIM_ADDRS];
	t->order = r->order;
	if (last)
		t->flags |= SPD_LAST;
}

static void entry_add(struct spd_forest *f, const struct spd_rule *r, bool last)
{
	if (!room(f, f->v6 ? (void **)&f->e6 : (void **)&f->e4, f->n_entry, &f->cap_entry,
		  f->v6 ? sizeof(*f->e6) : sizeof(*f->e4)))
		return;
	if (!f->v6) {
		struct spd_entry4 *e = &f->e4[f->n_entry++];
		*e = (struct spd_entry4){ 0 };
		for (unsigned d = 0; d < DIM_ADDRS; d++) {
			e->lo[d] = (uint32_t)r->box.addr_lo[d];
			e->hi[d] = (uint32_t)r->box.addr_hi[d];
		}
		tail_fill(&e->tail, r, last);
		return;
	}
	struct spd_entry6 *e = &f->e6[f->n_entry++];
	*e = (struct spd_entry6){ 0 };
	for (unsigned d = 0; d < DIM_ADDRS; d++) {
		e->lo_hi[d] = (uint64_t)(r->box.addr_lo[d] >> 64);
		e->lo_lo[d] = (uint64_t)r->box.addr_lo[d];
		e->hi_hi[d] = (uint64_t)(r->box.addr_hi[d] >> 64);
		e->hi_lo[d] = (uint64_t)r->box.addr_hi[d];
	}
	tail_fill(&e->tail, r, last);
}

static uint32_t leaf_make(struct build *b, size_t at, size_t n)
{
	uint32_t ref = SPD_REF_LEAF | (uint32_t)b->f->n_entry;

	for (size_t i = 0; i < n; i++)
		entry_add(b->f, &b->rules[b->stack[at + i]], i + 1 == n);
	return ref;
}

static uint32_t subtree(struct build *b, size_t at, size_t n, struct spd_box extent,
			unsigned depth);

/* The list for one side of the cut goes on the stack, is made a subtree, and leaves it. side: 0
 * left, 1 right, 2 spanning. */
static void child_make(struct build *b, size_t at, size_t n, const struct spd_box *extent,
		       const struct cut *c, unsigned side, unsigned depth, uint32_t node)
{
	struct spd_box part = *extent;
	size_t base = b->used;

	if (side == 0)
		set_hi(&part, c->dim, c->at);
	else if (side == 1)
		set_lo(&part, c->dim, c->at + 1);
	for (size_t i = 0; i < n; i++) {
		const struct spd_box *r = box_at(b, at + i);
		bool belongs = spans(r, extent, c->dim) ? side == 2
			       : side == 0              ? lo_of(r, c->dim) <= c->at
			       : side == 1              ? hi_of(r, c->dim) > c->at
							: false;
		if (belongs)
			push(b, b->stack[at + i]);
	}
	if (b->f->failed)
		return;
	uint32_t ref = SPD_REF_NONE, best = SPD_NONE;
	if (b->used > base) {
		best = b->rules[b->stack[base]].order;
		ref = subtree(b, base, b->used - base, part, depth + 1);
	}
	if (b->f->failed)
		return;
	b->f->node[node].child[side] = ref;
	b->f->node[node].best[side] = best;
	b->used = base;
}

static uint32_t node_make(struct build *b, size_t at, size_t n, const struct spd_box *extent,
			  const struct cut *c, unsigned depth)
{
	struct spd_forest *f = b->f;
	uint32_t pivot = (uint32_t)c->at;

	if (f->v6 && c->dim < DIM_ADDRS) {
		if (!room(f, (void **)&f->wide, f->n_wide, &f->cap_wide, sizeof(*f->wide)))
			return SPD_REF_NONE;
		pivot = (uint32_t)f->n_wide;
		f->wide[f->n_wide++] = c->at;
	}
	if (!room(f, (void **)&f->node, f->n_node, &f->cap_node, sizeof(*f->node)))
		return SPD_REF_NONE;
	uint32_t ref = (uint32_t)f->n_node++;
	f->node[ref] = (struct spd_node){ .pivot = pivot, .dim = (uint16_t)c->dim };
	for (unsigned side = 0; side < 3; side++)
		child_make(b, at, n, extent, c, side, depth, ref);
	return ref;
}

static uint32_t subtree(struct build *b, size_t at, size_t n, struct spd_box extent, unsigned depth)
{
	if (n > 1) {
		shrink(b, at, n, &extent);
		n = hide_behind_filler(b, at, n, &extent);
	}
	if (n <= LEAF_RULES || depth >= DEPTH_MAX || b->f->n_entry + n > b->f->max_entry)
		return leaf_make(b, at, n);

	struct cut cut = { .cost = SIZE_MAX };
	for (unsigned d = 0; d < DIMS; d++)
		try_cut(b, at, n, &extent, d, &cut);
	if (cut.cost == SIZE_MAX)
		any_cut(b, at, n, &extent, &cut);
	else if (n <= POOR_RULES && cut.cost * 8 > n * 2 * 7)
		return leaf_make(b, at, n);
	return node_make(b, at, n, &extent, &cut, depth);
}

uint32_t spd_tree_build(struct spd_forest *f, const struct spd_rule *rules, const uint32_t *index,
			size_t n)
{
	struct build b = { .f = f, .rules = rules };
	struct spd_box everything;

	if (n == 0)
		return SPD_REF_NONE;
	if (n == 1) {
		entry_add(f, &rules[index[0]], true);
		return SPD_REF_LEAF | (uint32_t)(f->n_entry - 1);
	}
	memset(&everything, 0, sizeof(everything));
	memset(everything.addr_hi, 0xff, sizeof(everything.addr_hi));
	memset(everything.hi, 0xff, sizeof(everything.hi));
	for (size_t i = 0; i < n; i++)
		push(&b, index[i]);
	uint32_t ref = f->failed ? SPD_REF_NONE : subtree(&b, 0, n, everything, 0);
	free(b.stack);
	return ref;
}
