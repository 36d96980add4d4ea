/* Policies are made anew for every SPD, because an SPD owns its own and never changes; what they
 * have counted moves along. */
#include "control/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/keying.h"
#include "ipsec/pick.h"
#include "ipsec/spd.h"

/* ---- those of the file ------------------------------------------------------------------------
 */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct sa *const *)a)->conf->name, (*(struct sa *const *)b)->conf->name);
}

static int name_to_sa(const void *name, const void *sa)
{
	return strcmp(name, (*(struct sa *const *)sa)->conf->name);
}

/* References to the SAs named, or NULL when out of memory. config/ has checked that the names
 * exist. */
static struct sa **refs_of(struct sa **sorted, unsigned n_sorted, char *const *names, unsigned n)
{
	struct sa **v = calloc(n + 1, sizeof(*v));

	for (unsigned i = 0; v && i < n; i++) {
		struct sa **found =
		    bsearch(names[i], sorted, n_sorted, sizeof(*sorted), name_to_sa);
		if (!found) {
			while (i > 0)
				sa_unref(&v[--i]);
			free(v);
			return NULL;
		}
		v[i] = sa_ref(*found);
	}
	return v;
}

static struct policy *make_policy(const struct config *c, const struct config_policy *cp,
				  struct sa **sorted, unsigned n_sorted)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->action = cp->action;
	p->dirs = cp->dirs;
	p->mss_clamp = cp->mss_clamp;
	p->icmp_errors = cp->icmp_errors;
	p->whole_only = !cp->fragments;
	p->name = strdup(cp->name);
	p->sel = calloc(cp->n_sel + 1, sizeof(*p->sel));
	if (p->sel) {
		memcpy(p->sel, cp->sel, cp->n_sel * sizeof(*p->sel));
		p->n_sel = cp->n_sel;
	}
	p->out = refs_of(sorted, n_sorted, cp->out, cp->n_out);
	p->n_out = p->out ? cp->n_out : 0;
	p->in = refs_of(sorted, n_sorted, cp->in, cp->n_in);
	p->n_in = p->in ? cp->n_in : 0;
	p->also = refs_of(sorted, n_sorted, cp->parallel, cp->n_parallel);
	p->n_also = p->also ? cp->n_parallel : 0;
	if (!p->name || !p->sel || !p->out || !p->in || !p->also ||
	    policy_set_labels(p, c->label, cp->label, cp->unlabelled ? cp->unlabelled : c->unlabelled))
		policy_free(&p);
	return p;
}

static bool is_everything(const struct ip_range *r)
{
	struct ip_range all = ip_range_all(r->lo.ver);

	return ip_addr_eq(&r->lo, &all.lo) && ip_addr_eq(&r->hi, &all.hi);
}

/* "Whatever is left": protects nothing, and asks for no address, protocol or port. */
static bool is_rest(const struct config_policy *cp)
{
	if (cp->action == POLICY_PROTECT)
		return false;
	for (unsigned i = 0; i < cp->n_sel; i++) {
		const struct selector *s = &cp->sel[i];
		if (!is_everything(&s->local) || !is_everything(&s->remote) ||
		    s->proto != PROTO_ANY)
			return false;
	}
	return true;
}

static unsigned first_of_rest(const struct config *c)
{
	unsigned n = c->n_policy;

	while (n > 0 && is_rest(&c->policy[n - 1]))
		n--;
	return n;
}

/* ---- all --------------------------------------------------------------------------------------
 */

struct list {
	struct policy **v;
	unsigned n;
	struct sa **sorted;
	unsigned n_sorted;
};

static int add_file(struct list *l, const struct config *c, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct policy *p = make_policy(c, &c->policy[i], l->sorted, l->n_sorted);
		if (!p)
			return -ENOMEM;
		l->v[l->n++] = p;
	}
	return 0;
}

static int add_all(struct list *l, const struct config *c, const struct keying *k)
{
	unsigned rest = first_of_rest(c);
	int rc = add_file(l, c, 0, rest);

	if (rc == 0)
		rc = keying_policies(k, l->v, &l->n);
	if (rc == 0)
		rc = add_file(l, c, rest, c->n_policy);
	for (unsigned i = 0; i < l->n; i++) {
		l->v[i]->order = i;
		if (rc == 0 && l->v[i]->reqid) /* those of connections know of no labels but the device's */
			rc = policy_set_labels(l->v[i], c->label, NULL, c->unlabelled);
	}
	return rc;
}

int policies_build(const struct daemon *d, const struct config *c, const struct managed_sa *sas,
		   unsigned n_sas, struct spd **out)
{
	struct list l = { .n_sorted = n_sas };
	int rc = -ENOMEM;

	l.v = calloc(c->n_policy + keying_policies_max(d->keying) + 1, sizeof(*l.v));
	l.sorted = calloc(n_sas + 1, sizeof(*l.sorted));
	if (l.v && l.sorted) {
		for (unsigned i = 0; i < n_sas; i++)
			l.sorted[i] = sas[i].sa;
		qsort(l.sorted, n_sas, sizeof(*l.sorted), by_name);
		rc = add_all(&l, c, d->keying);
		if (rc == 0)
			rc = spd_compile(l.v, l.n, out);
		for (unsigned i = 0; rc && i < l.n; i++)
			policy_free(&l.v[i]);
	}
	free(l.v);
	free(l.sorted);
	return rc;
}

/* ---- publishing -------------------------------------------------------------------------------
 */

static int by_identity(const void *a, const void *b)
{
	const struct policy *x = *(struct policy *const *)a, *y = *(struct policy *const *)b;
	int c = (x->reqid > y->reqid) - (x->reqid < y->reqid);

	return c ? c : strcmp(x->name, y->name);
}

/* After the grace period: nobody counts in the old ones any more. */
static void carry_hits(const struct spd *old, const struct spd *new)
{
	unsigned n = old ? spd_count(old) : 0;
	struct policy **v = calloc(n + 1, sizeof(*v));

	if (!v)
		return;
	for (unsigned i = 0; i < n; i++)
		v[i] = spd_policy(old, i);
	qsort(v, n, sizeof(*v), by_identity);
	for (unsigned i = 0; i < spd_count(new); i++) {
		struct policy *p = spd_policy(new, i);
		struct policy **was = bsearch(&p, v, n, sizeof(*v), by_identity);
		if (!was)
			continue;
		uint64_t last = atomic_load(&(*was)->last_hit_ns);
		atomic_fetch_add(&p->hits, atomic_load(&(*was)->hits));
		if (atomic_load(&p->last_hit_ns) < last)
			atomic_store(&p->last_hit_ns, last);
	}
	free(v);
}

void policies_publish(struct daemon *d, struct spd *spd)
{
	struct spd *old = plane_set_spd(d->plane, spd);

	carry_hits(old, spd);
	spd_free(&old);
}
