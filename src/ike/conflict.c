/*
 * Children of different peers that nobody could tell apart any more: the same host on the far side, as two
 * laptops have it behind NATs that know nothing of each other (RFC 3948 5.1), or as two clients of one NAT
 * have it in transport mode (5.2). A packet for that address would go to whoever came last. So the second
 * is refused while the first is there.
 *
 * What a child is found by: the addresses of each of its remote selectors.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ike/engine.h"

static uint64_t far_hash(const struct ike *ike, const struct ip_range *r)
{
	struct span v[3] = { span_of(&r->lo.ver, 1), span_of(r->lo.b, sizeof(r->lo.b)),
			     span_of(r->hi.b, sizeof(r->hi.b)) };

	return ike_table_hash(&ike->by_far, v, ARRAY_LEN(v));
}

int ike_far_make(struct ike_child *c)
{
	c->far = calloc(c->remote_ts->n + 1, sizeof(*c->far));
	return c->far ? 0 : -1;
}

void ike_far_add(struct ike_child *c)
{
	for (unsigned i = 0; i < c->remote_ts->n; i++) {
		c->far[i].child = c;
		c->far[i].i = i;
		ike_table_add(&c->sa->ike->by_far, &c->far[i].node,
			      far_hash(c->sa->ike, &c->remote_ts->ts[i].range));
	}
}

void ike_far_del(struct ike_child *c)
{
	for (unsigned i = 0; i < c->remote_ts->n; i++)
		ike_table_del(&c->sa->ike->by_far, &c->far[i].node);
}

/* May it be another host? With unique = never several hosts share an identity, and behind NATs they may
 * well have the same address; else who has the same identity comes back, from wherever. Of two connections that the file has for one network only NATs make a
 * conflict: one peer may stand in for the other. */
static bool other_host(const struct ike_sa *a, const struct ike_sa *b)
{
	if (a == b)
		return false;
	if (a->conn != b->conn && !a->nat_remote && !b->nat_remote)
		return false;
	if (!ident_eq(&a->remote_id, &b->remote_id))
		return true;
	return a->conn->conf->unique == IKE_UNIQUE_NEVER && a->nat_remote && b->nat_remote &&
	       !endpoint_eq(&a->remote, &b->remote);
}

static bool meet(const struct ts *a, const struct ts *b)
{
	struct ts_list x = { .n = 1 }, y = { .n = 1 }, both;
	bool cut;

	x.ts[0] = *a;
	y.ts[0] = *b;
	return ts_narrow(&x, &y, &both, &cut) > 0;
}

static bool any_meet(const struct ts_list *a, const struct ts_list *b)
{
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned k = 0; k < b->n; k++)
			if (meet(&a->ts[i], &b->ts[k]))
				return true;
	return false;
}

static bool same_range(const struct ip_range *a, const struct ip_range *b)
{
	return ip_addr_eq(&a->lo, &b->lo) && ip_addr_eq(&a->hi, &b->hi);
}

static const struct ike_child *find(const struct ike_sa *sa, const struct ts_list *local, const struct ts *far)
{
	const struct ike *ike = sa->ike;

	for (struct ike_node *n = ike_table_first(&ike->by_far, far_hash(ike, &far->range)); n;
	     n = ike_table_next(n)) {
		const struct ike_far *f = list_entry(n, struct ike_far, node);
		const struct ike_child *c = f->child;
		const struct ts *t = &c->remote_ts->ts[f->i];
		if (c->state == IKE_CHILD_UP && other_host(sa, c->sa) && same_range(&t->range, &far->range) &&
		    meet(t, far) && any_meet(c->local_ts, local))
			return c;
	}
	return NULL;
}

bool ike_conflict(const struct ike_sa *sa, bool transport, const struct ts_list *local,
		  const struct ts_list *remote, char *why, size_t whylen)
{
	const struct ike_child *c = NULL;
	char ts[TS_STRLEN], id[IDENT_STRLEN], at[ENDPOINT_STRLEN];
	unsigned i;

	for (i = 0; i < remote->n && !c; i++)
		c = find(sa, local, &remote->ts[i]);
	if (!c)
		return false;
	ts_format(&remote->ts[i - 1], ts);
	ident_format(&c->sa->remote_id, id, sizeof(id));
	endpoint_format(&c->sa->remote, at);
	if (transport && sa->nat_remote)
		snprintf(why, whylen,
			 "%s behind the same NAT has an SA to us for %s (child %s of %s, at %s), and our packets "
			 "could not be told apart (RFC 3948 5.2): let them differ in protocol or port, or use "
			 "tunnel mode and give each a virtual address",
			 id, ts, c->conf->name, c->sa->conn->conf->name, at);
	else
		snprintf(why, whylen,
			 "%s is the network of %s already (child %s of %s, at %s), and packets to it could not be "
			 "told apart (RFC 3948 5.1): give each peer a virtual address (pools), or other networks",
			 ts, id, c->conf->name, c->sa->conn->conf->name, at);
	return true;
}
