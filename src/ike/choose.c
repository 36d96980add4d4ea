/*
 * Which connections a peer's addresses and identities fit: addresses choose in the first message,
 * identities when they are known. Candidates come in order of fit, one at a time, and everybody may
 * make us go through all of them; so a step costs as little as it can.
 */
#include "ike/engine.h"

/* How well a side's list of hosts fits an address: 0 not at all, 1 anything, 2 a range or a name
 * not looked up yet, 3 exactly. */
static unsigned host_fit(const struct ike_host *h, unsigned n, const struct ip_addr *resolved,
			 const struct ip_addr *a)
{
	unsigned best = n ? 0 : 1, fit;

	for (unsigned i = 0; i < n; i++) {
		const struct ip_range *r = &h[i].range;
		if (h[i].name)
			fit = resolved[i].ver && ip_addr_eq(&resolved[i], a) ? 3 : 1;
		else if (!r->lo.ver || (ip_addr_is_any(&r->lo) && ip_addr_is_any(&r->hi)))
			fit = 1;
		else if (!ip_range_has(r, a))
			fit = 0;
		else
			fit = ip_addr_eq(&r->lo, &r->hi) ? 3 : 2;
		if (fit > best)
			best = fit;
	}
	return best;
}

/* 0: does not fit. Identities weigh more than addresses once they are known (they are proved). */
static unsigned conn_fit(const struct ike_conn *c, uint8_t major, const struct ip_addr *local,
			 const struct ip_addr *remote, const struct ident *local_id,
			 const struct ident *remote_id)
{
	const struct ike_conn_conf *f = c->conf;
	unsigned l = host_fit(f->local, f->n_local, c->resolved, local);
	unsigned r = host_fit(f->remote, f->n_remote, c->resolved + f->n_local, remote);
	unsigned mine = 0, theirs = 0;

	if (!l || !r || (f->version && f->version != major))
		return 0;
	if (local_id && local_id->type && f->auth.id.type) {
		mine = ident_match(&f->auth.id, local_id);
		if (!mine)
			return 0;
	}
	if (remote_id && remote_id->type) {
		theirs = f->peer.id.type ? ident_match(&f->peer.id, remote_id) : 1;
		if (!theirs)
			return 0;
	}
	return ((theirs + mine) * 4 + r) * 4 + l;
}

/* The n-th connection of the list, counted from 1, or the head. */
static const struct list *nth(const struct ike *ike, unsigned n)
{
	const struct list *l = &ike->conns;

	while (n-- && (l = l->next) != &ike->conns)
		;
	return l;
}

struct ike_conn *ike_conn_candidate(const struct ike *ike, uint8_t major, struct ike_cursor *cur,
				    const struct ip_addr *local, const struct ip_addr *remote,
				    const struct ident *local_id, const struct ident *remote_id)
{
	const struct list *l = cur->fit ? nth(ike, cur->at) : &ike->conns;
	unsigned best = 0, best_at = 0, at = cur->at;
	struct ike_conn *found = NULL;

	/* the rest of those that fit as well as the last one */
	while (l != &ike->conns && (l = l->next) != &ike->conns) {
		struct ike_conn *c = list_entry(l, struct ike_conn, link);
		at++;
		if (conn_fit(c, major, local, remote, local_id, remote_id) != cur->fit)
			continue;
		cur->at = at;
		return c;
	}
	at = 0;
	list_for_each (k, &ike->conns) {
		struct ike_conn *c = list_entry(k, struct ike_conn, link);
		unsigned fit = conn_fit(c, major, local, remote, local_id, remote_id);
		at++;
		if (fit <= best || (cur->fit && fit >= cur->fit))
			continue;
		best = fit;
		best_at = at;
		found = c;
	}
	if (found)
		*cur = (struct ike_cursor){ .fit = best, .at = best_at };
	return found;
}

struct ike_conn *ike_conn_nearly(const struct ike *ike, uint8_t major, const struct ip_addr *local,
				 const struct ip_addr *remote, bool *local_misses)
{
	struct ike_conn *found = NULL;

	list_for_each (k, &ike->conns) {
		struct ike_conn *c = list_entry(k, struct ike_conn, link);
		const struct ike_conn_conf *f = c->conf;
		bool l = host_fit(f->local, f->n_local, c->resolved, local);
		bool r = host_fit(f->remote, f->n_remote, c->resolved + f->n_local, remote);
		if (l == r || (f->version && f->version != major))
			continue;
		if (found)
			return NULL;
		found = c;
		*local_misses = !l;
	}
	return found;
}
