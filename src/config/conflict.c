/*
 * Two policies that say the same of different peers: only the first is ever looked at, so that packets for the second peer go to the
 * first (RFC 3948 5). Found by sorting their selectors.
 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

struct said {
	const struct selector *sel;
	unsigned policy;
};

static int cmp_unsigned(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

static int order_range(const struct ip_range *a, const struct ip_range *b)
{
	int c = ip_addr_cmp(&a->lo, &b->lo);

	return c ? c : ip_addr_cmp(&a->hi, &b->hi);
}

static int order_ports(const struct port_range *a, const struct port_range *b)
{
	int c = cmp_unsigned(a->match, b->match);

	if (c || a->match != PORT_RANGE)
		return c;
	c = cmp_unsigned(a->lo, b->lo);
	return c ? c : cmp_unsigned(a->hi, b->hi);
}

static int order_selector(const struct selector *a, const struct selector *b)
{
	int c = order_range(&a->local, &b->local);

	c = c ? c : order_range(&a->remote, &b->remote);
	c = c ? c : cmp_unsigned(a->proto, b->proto);
	c = c ? c : order_ports(&a->local_port, &b->local_port);
	return c ? c : order_ports(&a->remote_port, &b->remote_port);
}

/* Equal ones in the order of the file. */
static int order_said(const void *x, const void *y)
{
	const struct said *a = x, *b = y;
	int c = order_selector(a->sel, b->sel);

	return c ? c : cmp_unsigned(a->policy, b->policy);
}

/* Does it send packets to a peer, whatever they are labelled? */
static bool sends(const struct config_policy *p)
{
	return p->action == POLICY_PROTECT && p->dirs & POLICY_DIR_OUT && p->n_out && !p->label && !p->unlabelled;
}

static bool same_peer(const struct config_policy *a, const struct config_policy *b)
{
	return a->n_out == b->n_out && strcmp(a->out[a->n_out - 1], b->out[b->n_out - 1]) == 0;
}

static const struct item *item_of(const struct loader *ld, unsigned policy)
{
	for (unsigned i = 0; i < ld->n_item; i++)
		if (ld->item[i].kind == SEC_POLICY && policy-- == 0)
			return &ld->item[i];
	return NULL;
}

static void tell(struct loader *ld, const struct said *first, const struct said *second)
{
	const struct config_policy *a = &ld->conf->policy[first->policy], *b = &ld->conf->policy[second->policy];
	const struct item *it = item_of(ld, second->policy);
	char text[SELECTOR_STRLEN];

	if (it)
		warn_item(ld, it, "policy %s: %s is in policy %s as well (%s:%d), and all of it goes there: the two peers cannot be told "
				  "apart; expected other addresses or ports for each",
			  b->name, selector_format(second->sel, text), a->name, a->file, a->line);
}

void check_conflicts(struct loader *ld)
{
	const struct config *c = ld->conf;
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_policy; i++)
		n += sends(&c->policy[i]) ? c->policy[i].n_sel : 0;
	struct said *v = calloc((size_t)n + 1, sizeof(*v));
	if (!have_memory(ld, v))
		return;
	n = 0;
	for (unsigned i = 0; i < c->n_policy; i++)
		for (unsigned k = 0; sends(&c->policy[i]) && k < c->policy[i].n_sel; k++)
			v[n++] = (struct said) { &c->policy[i].sel[k], i };
	qsort(v, n, sizeof(*v), order_said);
	for (unsigned i = 1; i < n; i++)
		if (order_selector(v[i - 1].sel, v[i].sel) == 0 && v[i - 1].policy != v[i].policy &&
		    !same_peer(&c->policy[v[i - 1].policy], &c->policy[v[i].policy]))
			tell(ld, &v[i - 1], &v[i]);
	free(v);
}
