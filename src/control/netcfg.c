/* The difference between two sets of addresses, routes and rules, and rtnetlink to get from one to
 * the other. */
#include "control/netcfg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define RT_TABLE_MAIN_NUMBER 254u
#define OWN_PREFIXES 16u     /* of one range; one that takes more is not left out */
#define CLEAR_POLICIES 4096u /* of which bypass is looked at */

/* ---- what is wanted ---------------------------------------------------------------------------
 */

static int by_addr(const void *a, const void *b)
{
	return ip_addr_cmp(a, b);
}

static int by_place(const void *a, const void *b)
{
	const struct net_item *x = a, *y = b;
	int c = ip_addr_cmp(&x->prefix.addr, &y->prefix.addr);

	if (c == 0)
		c = x->prefix.len - y->prefix.len;
	return c ? c : (x->table > y->table) - (x->table < y->table);
}

/* Of the same prefix the file's comes first. */
static int by_place_and_rank(const void *a, const void *b)
{
	const struct net_item *x = a, *y = b;
	int c = by_place(a, b);

	if (c == 0)
		c = x->optional - y->optional;
	return c ? c : ip_addr_cmp(&x->src, &y->src);
}

/* Is one of the sorted addresses in the prefix? */
static bool holds_any(const struct ip_prefix *p, const struct ip_addr *sorted, unsigned n)
{
	struct ip_range r = ip_range_of_prefix(p);
	unsigned lo = 0, hi = n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		if (ip_addr_cmp(&sorted[mid], &r.lo) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && ip_range_has(&r, &sorted[lo]);
}

static bool needs_table(const struct config *c, const struct netcfg *want,
			const struct ip_addr *sorted, unsigned n)
{
	if (want->n_route == 0)
		return false;
	for (unsigned i = 0; i < c->n_policy; i++)
		if (c->policy[i].action == POLICY_BYPASS && (c->policy[i].dirs & POLICY_DIR_OUT))
			return true;
	for (unsigned r = 0; r < want->n_route; r++)
		if (want->route[r].prefix.len == 0 ||
		    holds_any(&want->route[r].prefix, sorted, n))
			return true;
	return false;
}

/* Addresses stay in the order of the file, which is the order of preference; there are few. */
static struct net_item *find_addr(struct net_item *v, unsigned n, const struct net_item *x)
{
	for (unsigned i = 0; i < n; i++)
		if (by_place(&v[i], x) == 0)
			return &v[i];
	return NULL;
}

static void sort_routes(struct netcfg *n)
{
	unsigned kept = 0;

	if (n->n_route)
		qsort(n->route, n->n_route, sizeof(*n->route), by_place_and_rank);
	for (unsigned i = 0; i < n->n_route; i++)
		if (i == 0 || by_place(&n->route[kept - 1], &n->route[i]))
			n->route[kept++] = n->route[i];
	n->n_route = kept;
}

static struct net_item *find(struct net_item *v, unsigned n, const struct net_item *x)
{
	return n ? bsearch(x, v, n, sizeof(*v), by_place) : NULL;
}

/* Is the network inside one that is routed to the device, and not itself routed there? The table is
 * not yet filled in. */
static bool is_caught(const struct netcfg *n, const struct ip_prefix *p)
{
	struct net_item x = { .prefix = *p };

	x.prefix.addr = ip_range_of_prefix(p).lo;
	if (find(n->route, n->n_route, &x))
		return false;
	while (x.prefix.len-- > 0) {
		x.prefix.addr = ip_range_of_prefix(&x.prefix).lo;
		if (find(n->route, n->n_route, &x))
			return true;
	}
	return false;
}

/* Networks on our side are left to the other tables. out->route has room for them. */
static void keep_own(const struct ip_prefix *own, unsigned n_own, struct netcfg *out)
{
	struct netcfg routed = { .route = out->route, .n_route = out->n_route };

	for (unsigned i = 0; i < n_own; i++)
		if (is_caught(&routed, &own[i]))
			out->route[out->n_route++] = (struct net_item){ .prefix = own[i],
									.optional = true,
									.away = true };
	sort_routes(out);
}

static bool is_all(const struct ip_range *r)
{
	struct ip_range all = ip_range_all(r->lo.ver);

	return ip_range_covers(r, &all);
}

static bool overlap(const struct ip_range *a, const struct ip_range *b)
{
	return ip_range_has(a, &b->lo) || ip_range_has(b, &a->lo);
}

/* Does everything to the selector's remote side go in the clear, whatever it is? Then it need not come to the device: packets of this host
 * would have the tunnel's source address there. */
static bool always_clear(const struct config *c, unsigned policy, const struct selector *s)
{
	if (!is_all(&s->local) || s->proto != PROTO_ANY || s->local_port.match != PORT_ANY ||
	    s->remote_port.match != PORT_ANY || policy >= CLEAR_POLICIES)
		return false;
	for (unsigned i = 0; i < policy; i++) {
		const struct config_policy *p = &c->policy[i];
		for (unsigned j = 0; p->action != POLICY_BYPASS && (p->dirs & POLICY_DIR_OUT) && j < p->n_sel; j++)
			if (overlap(&p->sel[j].remote, &s->remote))
				return false;
	}
	return true;
}

/* Networks that routes to the device must not catch: those on our side, of connections and of the file's policies that protect, and those
 * that are always reached in the clear. *own is the caller's. How many, or -ENOMEM. */
static int own_side(const struct config *c, const struct netcfg_more *more, struct ip_prefix **own)
{
	unsigned n_more = more ? more->n_own : 0, room = n_more + 1, n = n_more;

	for (unsigned i = 0; i < c->n_policy; i++)
		room += c->policy[i].n_sel * OWN_PREFIXES;
	struct ip_prefix *v = calloc(room, sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (n)
		memcpy(v, more->own, n * sizeof(*v));
	for (unsigned i = 0; i < c->n_policy; i++) {
		const struct config_policy *p = &c->policy[i];
		for (unsigned j = 0; p->sel && (p->dirs & POLICY_DIR_OUT) && j < p->n_sel; j++) {
			const struct ip_range *r = &p->sel[j].local;
			if (p->action == POLICY_BYPASS && always_clear(c, i, &p->sel[j]))
				r = &p->sel[j].remote;
			else if (p->action != POLICY_PROTECT)
				continue;
			int count = ip_range_to_prefixes(r, v + n, OWN_PREFIXES);
			n += count > 0 ? (unsigned)count : 0;
		}
	}
	*own = v;
	return (int)n;
}

static void collect(const struct config_tun *t, const struct netcfg_more *more, struct netcfg *out)
{
	for (unsigned i = 0; i < t->n_address; i++)
		out->addr[out->n_addr++].prefix = t->address[i];
	for (unsigned i = 0; more && i < more->n_addr; i++) {
		struct net_item a = { .prefix = { more->addr[i], 8 * ip_addr_bytes(&more->addr[i]) },
				      .optional = true };
		if (!find_addr(out->addr, out->n_addr, &a))
			out->addr[out->n_addr++] = a;
	}
	for (unsigned i = 0; i < t->n_routes; i++)
		out->route[out->n_route++].prefix = t->routes[i];
	for (unsigned i = 0; more && i < more->n_route; i++)
		out->route[out->n_route++] = (struct net_item){ .prefix = more->route[i].prefix,
								.src = more->route[i].src,
								.optional = true };
	sort_routes(out);
}

int netcfg_plan(const struct config *c, const struct ip_addr *peers, unsigned n,
		const struct netcfg_more *more, uint32_t mark, struct netcfg *out)
{
	const struct config_tun *t = c->tun;
	unsigned n_more = more ? more->n_peer : 0;

	*out = (struct netcfg){ .mark = mark };
	if (!t)
		return 0;
	struct ip_prefix *own = NULL;
	int n_own = own_side(c, more, &own);
	if (n_own < 0)
		return n_own;
	struct ip_addr *sorted = calloc(n + n_more + 1, sizeof(*sorted));
	out->addr = calloc(t->n_address + (more ? more->n_addr : 0) + 1, sizeof(*out->addr));
	out->route = calloc(t->n_routes + (more ? more->n_route : 0) + (unsigned)n_own + 1,
			    sizeof(*out->route));
	if (!out->addr || !out->route || !sorted) {
		free(own);
		free(sorted);
		netcfg_fini(out);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		sorted[i] = peers[i];
	for (unsigned i = 0; i < n_more; i++)
		sorted[n + i] = more->peer[i];
	qsort(sorted, n + n_more, sizeof(*sorted), by_addr);
	collect(t, more, out);
	/* Whoever names the main table wants no rule. */
	bool rule = mark && t->table != RT_TABLE_MAIN_NUMBER &&
		    needs_table(c, out, sorted, n + n_more);
	free(sorted);
	if (rule)
		keep_own(own, (unsigned)n_own, out);
	free(own);
	out->mtu = t->mtu;
	snprintf(out->dev, sizeof(out->dev), "%s", t->name);
	if (t->table != RT_TABLE_MAIN_NUMBER)
		out->table = t->table || !rule ? t->table : NETCFG_TABLE;
	for (unsigned i = 0; i < out->n_route; i++) {
		out->route[i].table = out->table;
		if (rule)
			out->rule[out->route[i].prefix.addr.ver == 6] = true;
	}
	return 0;
}

/* ---- the difference ---------------------------------------------------------------------------
 */

static bool same_rule(const struct netcfg *a, const struct netcfg *b, int v6)
{
	return a->rule[v6] && b->rule[v6] && a->mark == b->mark && a->table == b->table &&
	       strcmp(a->dev, b->dev) == 0;
}

static const char *table_name(uint32_t table, char out[24])
{
	if (table == 0)
		snprintf(out, 24, "main");
	else
		snprintf(out, 24, "%u", table);
	return out;
}

static int add_addrs(struct netlink *nl, int ifindex, const struct netcfg *have,
		     struct netcfg *want, char *why, size_t whylen)
{
	char text[IP_RANGE_STRLEN];

	for (unsigned i = 0; i < want->n_addr; i++) {
		struct net_item *a = &want->addr[i], *old = find_addr(have->addr, have->n_addr, a);
		if (old) {
			a->ours = old->ours;
			continue;
		}
		int rc = netlink_addr_add(nl, ifindex, &a->prefix, &a->ours);
		if (rc && a->optional) {
			log_warn(LOG_NET, "address %s cannot be added to the TUN device: %s",
				 ip_prefix_format(&a->prefix, text), netlink_why(nl));
			continue;
		}
		if (rc) {
			snprintf(why, whylen, "address %s: %s", ip_prefix_format(&a->prefix, text),
				 netlink_why(nl));
			return rc;
		}
	}
	return 0;
}

/* Something that went by itself, with its device or its address, is as good as removed. */
static void gone(struct netlink *nl, int rc, const char *what)
{
	if (rc && rc != -ESRCH && rc != -ENOENT && rc != -EADDRNOTAVAIL && rc != -ENODEV)
		log_warn(LOG_NET, "cannot remove %s: %s", what, netlink_why(nl));
}

static int add_routes(struct netlink *nl, int ifindex, const struct netcfg *have,
		      struct netcfg *want, char *why, size_t whylen)
{
	char text[IP_RANGE_STRLEN], table[24];

	for (unsigned i = 0; i < want->n_route; i++) {
		struct net_item *r = &want->route[i], *old = find(have->route, have->n_route, r);
		if (old && old->away == r->away &&
		    (!old->ours || ip_addr_eq(&old->src, &r->src))) {
			r->ours = old->ours;
			continue;
		}
		if (old && old->ours) /* with another source address, or the other way */
			gone(nl, netlink_route_del(nl, old->away ? 0 : ifindex, &r->prefix, r->table),
			     "route");
		int rc = netlink_route_add(nl, r->away ? 0 : ifindex, &r->prefix, r->table,
					   r->src.ver ? &r->src : NULL, 0);
		if (rc == -EEXIST && (r->away || r->table == NETCFG_TABLE)) {
			r->ours = true; /* an earlier run left it behind after a crash, with its device */
			continue;
		}
		if (rc == -EEXIST) {
			log_notice(LOG_NET, "route %s is in table %s already; left as it is",
				   ip_prefix_format(&r->prefix, text), table_name(r->table, table));
			continue;
		}
		if (rc && r->optional) {
			log_warn(LOG_NET, "route %s to the TUN device cannot be added: %s",
				 ip_prefix_format(&r->prefix, text), netlink_why(nl));
			continue;
		}
		if (rc) {
			snprintf(why, whylen, "route %s: %s", ip_prefix_format(&r->prefix, text),
				 netlink_why(nl));
			return rc;
		}
		r->ours = true;
	}
	return 0;
}

static int add_rules(struct netlink *nl, const struct netcfg *have, struct netcfg *want, char *why,
		     size_t whylen)
{
	for (int v6 = 0; v6 < 2; v6++) {
		if (!want->rule[v6])
			continue;
		if (same_rule(have, want, v6)) {
			want->rule_ours[v6] = have->rule_ours[v6];
			continue;
		}
		int rc =
		    netlink_rule_add(nl, v6 ? 6 : 4, want->mark, want->table, NETCFG_RULE_PRIORITY);
		/* One that an earlier run left behind after a crash is ours too. */
		if (rc && rc != -EEXIST) {
			snprintf(why, whylen, "routing rule for table %u: %s", want->table,
				 netlink_why(nl));
			return rc;
		}
		want->rule_ours[v6] = true;
		rc = netlink_rule_from_add(nl, v6 ? 6 : 4, want->dev, NETCFG_FROM_PRIORITY);
		if (rc && rc != -EEXIST) {
			snprintf(why, whylen, "routing rule for %s: %s", want->dev,
				 netlink_why(nl));
			return rc;
		}
	}
	return 0;
}

int netcfg_add(struct netlink *nl, int ifindex, const struct netcfg *have, struct netcfg *want,
	       char *why, size_t whylen)
{
	int rc = add_addrs(nl, ifindex, have, want, why, whylen);

	if (rc == 0)
		rc = add_routes(nl, ifindex, have, want, why, whylen);
	if (rc == 0)
		rc = add_rules(nl, have, want, why, whylen);
	if (rc)
		netcfg_drop(nl, ifindex, want, have);
	return rc;
}

void netcfg_drop(struct netlink *nl, int ifindex, const struct netcfg *have,
		 const struct netcfg *want)
{
	static const struct netcfg nothing;
	char what[64 + IP_RANGE_STRLEN], text[IP_RANGE_STRLEN];

	if (!want)
		want = &nothing;
	for (int v6 = 0; v6 < 2; v6++) {
		int ver = v6 ? 6 : 4;
		if (!have->rule[v6] || !have->rule_ours[v6] || same_rule(have, want, v6))
			continue;
		gone(nl,
		     netlink_rule_del(nl, ver, have->mark, have->table, NETCFG_RULE_PRIORITY),
		     "routing rule");
		if (!want->rule[v6] || strcmp(have->dev, want->dev) != 0)
			gone(nl, netlink_rule_from_del(nl, ver, have->dev, NETCFG_FROM_PRIORITY),
			     "routing rule of the device");
	}
	for (unsigned i = 0; i < have->n_route; i++) {
		struct net_item *r = &have->route[i];
		if (!r->ours || find(want->route, want->n_route, r))
			continue;
		snprintf(what, sizeof(what), "route %s", ip_prefix_format(&r->prefix, text));
		gone(nl, netlink_route_del(nl, r->away ? 0 : ifindex, &r->prefix, r->table), what);
	}
	for (unsigned i = 0; i < have->n_addr; i++) {
		struct net_item *a = &have->addr[i];
		if (!a->ours || find_addr(want->addr, want->n_addr, a))
			continue;
		snprintf(what, sizeof(what), "address %s", ip_prefix_format(&a->prefix, text));
		gone(nl, netlink_addr_del(nl, ifindex, &a->prefix), what);
	}
}

void netcfg_fini(struct netcfg *n)
{
	free(n->addr);
	free(n->route);
	*n = (struct netcfg){ .mtu = 0 };
}
