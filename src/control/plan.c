/* Sorted indexes of the old side, by name and by SPI, looked up for every SA of the new one. */
#include "control/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ref {
	const struct sa_conf *c;
	unsigned i;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ref *)a)->c->name, ((const struct ref *)b)->c->name);
}

/* What identifies an SA for its peer. Several outbound SAs may share an SPI. */
static int by_spi(const void *a, const void *b)
{
	return sa_conf_order(((const struct ref *)a)->c, ((const struct ref *)b)->c);
}

static struct ref *find(struct ref *sorted, unsigned n, const struct sa_conf *c,
			int (*cmp)(const void *, const void *))
{
	struct ref key = { .c = c };
	return n ? bsearch(&key, sorted, n, sizeof(key), cmp) : NULL;
}

static bool same_key(const struct sa_conf *a, const struct sa_conf *b)
{
	return memcmp(a->key_id, b->key_id, sizeof(a->key_id)) == 0;
}

/* An old SA, not kept, that used the same key under the same SPI: the peer will not take the same
 * sequence numbers twice. */
static struct ref *find_carry(struct ref *spis, unsigned n, const struct sa_conf *c,
			      const struct plan *p)
{
	struct ref *r = find(spis, n, c, by_spi);

	if (!r)
		return NULL;
	while (r > spis && by_spi(r - 1, r) == 0)
		r--;
	for (struct ref *end = spis + n; r < end && by_spi(r, &(struct ref){ .c = c }) == 0; r++)
		if (p->old_op[r->i] != PLAN_STAYS && same_key(r->c, c))
			return r;
	return NULL;
}

static void match(const struct sa_conf *const *new, struct ref *names, struct ref *spis,
		  struct plan *p)
{
	/* First who stays, for the second pass to know. */
	for (unsigned i = 0; i < p->n_new; i++) {
		struct ref *r = find(names, p->n_old, new[i], by_name);
		if (r && sa_conf_same(r->c, new[i])) {
			p->new_op[i] = PLAN_KEEP;
			p->source[i] = r->i;
			p->old_op[r->i] = PLAN_STAYS;
			p->kept++;
		}
	}
	for (unsigned i = 0; i < p->n_new; i++) {
		if (p->new_op[i] == PLAN_KEEP)
			continue;
		struct ref *r = find(names, p->n_old, new[i], by_name);
		if (r)
			p->old_op[r->i] = PLAN_LEAVES_FIRST;
		if (new[i]->dir == DIR_IN && (r = find(spis, p->n_old, new[i], by_spi)))
			p->old_op[r->i] = PLAN_LEAVES_FIRST;
		r = find_carry(spis, p->n_old, new[i], p);
		if (r) {
			p->new_op[i] = PLAN_CARRY;
			p->source[i] = r->i;
			p->carried++;
		} else {
			p->fresh++;
		}
	}
	p->leaving = p->n_old - p->kept;
}

static struct ref *sorted(const struct sa_conf *const *v, unsigned n,
			  int (*cmp)(const void *, const void *))
{
	struct ref *r = calloc(n ? n : 1, sizeof(*r));

	for (unsigned i = 0; r && i < n; i++)
		r[i] = (struct ref){ .c = v[i], .i = i };
	if (r)
		qsort(r, n, sizeof(*r), cmp);
	return r;
}

int plan_make(const struct sa_conf *const *old, unsigned n_old, const struct sa_conf *const *new,
	      unsigned n_new, struct plan *out)
{
	struct plan p = { .n_new = n_new, .n_old = n_old };
	struct ref *names = sorted(old, n_old, by_name), *spis = sorted(old, n_old, by_spi);

	p.new_op = calloc(n_new ? n_new : 1, sizeof(*p.new_op));
	p.source = calloc(n_new ? n_new : 1, sizeof(*p.source));
	p.old_op = calloc(n_old ? n_old : 1, sizeof(*p.old_op));
	bool ok = names && spis && p.new_op && p.source && p.old_op;
	if (ok) {
		for (unsigned i = 0; i < n_new; i++)
			p.new_op[i] = PLAN_FRESH;
		for (unsigned i = 0; i < n_old; i++)
			p.old_op[i] = PLAN_LEAVES_LAST;
		match(new, names, spis, &p);
	}
	free(names);
	free(spis);
	if (!ok) {
		plan_fini(&p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void plan_fini(struct plan *p)
{
	free(p->new_op);
	free(p->source);
	free(p->old_op);
	*p = (struct plan){ .n_new = 0 };
}
