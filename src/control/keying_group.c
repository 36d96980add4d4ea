/*
 * Tables of SPIs and reqids, and the groups: a child through all its rekeyings, with the selectors
 * that its policies are made of and the trap that waits for its first packet. A group comes with
 * its first SPI pair or trap and goes with the last; whatever changes its selectors asks for new
 * policies.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/draft.h"
#include "control/keying_priv.h"

/* ---- tables -----------------------------------------------------------------------------------
 */

static struct knode **chain_of(const struct ktable *t, uint32_t key)
{
	return &t->bucket[(uint32_t)(key * 2654435769u) & (t->n_buckets - 1)];
}

static int ktable_grow(struct ktable *t)
{
	struct ktable big = { .n_buckets = t->n_buckets ? 2 * t->n_buckets : 64, .n = t->n };

	big.bucket = calloc(big.n_buckets, sizeof(struct knode *));
	if (!big.bucket)
		return -ENOMEM;
	for (unsigned i = 0; i < t->n_buckets; i++) {
		/* from the back, so that the newest stays first */
		struct knode *turned = NULL, *n, *next;
		for (n = t->bucket[i]; n; n = next) {
			next = n->next;
			n->next = turned;
			turned = n;
		}
		for (n = turned; n; n = next) {
			struct knode **at = chain_of(&big, n->key);
			next = n->next;
			n->next = *at;
			*at = n;
		}
	}
	free(t->bucket);
	*t = big;
	return 0;
}

int ktable_put(struct ktable *t, struct knode *node)
{
	if (t->n >= t->n_buckets && ktable_grow(t) && t->n_buckets == 0)
		return -ENOMEM;
	struct knode **at = chain_of(t, node->key);
	node->next = *at;
	*at = node;
	t->n++;
	return 0;
}

void ktable_take(struct ktable *t, struct knode *node)
{
	for (struct knode **at = chain_of(t, node->key); *at; at = &(*at)->next) {
		if (*at != node)
			continue;
		*at = node->next;
		t->n--;
		return;
	}
}

struct knode *ktable_get(const struct ktable *t, uint32_t key)
{
	struct knode *n = t->n_buckets ? *chain_of(t, key) : NULL;

	while (n && n->key != key)
		n = n->next;
	return n;
}

#define group_of(n) ((struct kgroup *)(void *)(n))

struct kgroup *kgroup_find(const struct keying *k, uint32_t reqid)
{
	return group_of(ktable_get(&k->groups, reqid));
}

/* ---- groups -----------------------------------------------------------------------------------
 */

struct kgroup *kgroup_make(struct keying *k, uint32_t reqid, const char *conn, const char *child)
{
	struct kgroup *g = kgroup_find(k, reqid);

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->node.key = reqid;
	g->conn = strdup(conn);
	g->child = strdup(child);
	if (!g->conn || !g->child || ktable_put(&k->groups, &g->node)) {
		free(g->conn);
		free(g->child);
		free(g);
		return NULL;
	}
	g->serial = ++k->last_serial;
	g->next = k->first;
	if (g->next)
		g->next->prev = g;
	k->first = g;
	k->n_groups++;
	return g;
}

void kgroup_free(struct keying *k, struct kgroup *g)
{
	if (g->prev)
		g->prev->next = g->next;
	else
		k->first = g->next;
	if (g->next)
		g->next->prev = g->prev;
	k->n_groups--;
	ktable_take(&k->groups, &g->node);
	free(g->conn);
	free(g->child);
	free(g->sel);
	free(g->trap);
	free(g);
}

void kgroup_leave(struct keying *k, struct kgroup *g)
{
	if (g->pairs || g->trap)
		return;
	plane_release_held(k->d->plane, g->node.key);
	kgroup_free(k, g);
}

/* ---- selectors --------------------------------------------------------------------------------
 */

static unsigned narrowness(const struct ip_range *r)
{
	unsigned bits = 0, max = 8 * ip_addr_bytes(&r->lo);

	while (bits < max && !((r->lo.b[bits / 8] ^ r->hi.b[bits / 8]) & (0x80 >> bits % 8)))
		bits++;
	return r->lo.ver == 4 ? 4 * bits : bits;
}

/* Of overlapping children the narrower one is meant: the widest selector decides. */
static uint64_t rank_of(const struct selector *sel, unsigned n)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < n; i++) {
		const struct selector *s = &sel[i];
		uint64_t r = 4 * (narrowness(&s->local) + narrowness(&s->remote)) +
			     2 * (s->proto != PROTO_ANY) +
			     (s->local_port.match != PORT_ANY || s->remote_port.match != PORT_ANY);
		if (r < least)
			least = r;
	}
	return least;
}

static bool same_port(const struct port_range *a, const struct port_range *b)
{
	return a->match == b->match &&
	       (a->match != PORT_RANGE || (a->lo == b->lo && a->hi == b->hi));
}

static bool same_range(const struct ip_range *a, const struct ip_range *b)
{
	return ip_addr_eq(&a->lo, &b->lo) && ip_addr_eq(&a->hi, &b->hi);
}

static bool same_selectors(const struct selector *a, unsigned na, const struct selector *b,
			   unsigned nb)
{
	if (na != nb)
		return false;
	for (unsigned i = 0; i < na; i++)
		if (!same_range(&a[i].local, &b[i].local) ||
		    !same_range(&a[i].remote, &b[i].remote) || a[i].proto != b[i].proto ||
		    !same_port(&a[i].local_port, &b[i].local_port) ||
		    !same_port(&a[i].remote_port, &b[i].remote_port))
			return false;
	return true;
}

int kgroup_selectors(const struct ts_list *local, const struct ts_list *remote,
		     struct selector **sel, unsigned *n, char *why, size_t whylen)
{
	int rc = ts_selectors(local, remote, sel, n);

	if (rc == -ENOENT)
		snprintf(why, whylen,
			 "no local_ts and remote_ts are of one IP version and protocol");
	else if (rc)
		snprintf(why, whylen, "%s", strerror(-rc));
	return rc;
}

void kgroup_set_selectors(struct keying *k, struct kgroup *g, struct selector *sel, unsigned n)
{
	if (g->sel && same_selectors(g->sel, g->n_sel, sel, n)) {
		free(sel);
		return;
	}
	free(g->sel);
	g->sel = sel;
	g->n_sel = n;
	g->rank = rank_of(sel, n);
	knet_dirty(k);
}

/* ---- traps ------------------------------------------------------------------------------------
 */

/* Where a side is, when the configuration says exactly one address. */
static bool one_host(const struct ike_host *h, unsigned n, struct ip_addr *out)
{
	if (n != 1 || h->name || !h->range.lo.ver || !ip_addr_eq(&h->range.lo, &h->range.hi))
		return false;
	*out = h->range.lo;
	return !ip_addr_is_any(out);
}

static bool is_dynamic(const struct ts_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->ts[i].dynamic)
			return true;
	return false;
}

static int trap_selectors(struct keying *k, const struct ike_conn_conf *conn,
			  const struct ike_child_conf *child, struct selector **sel, unsigned *n,
			  char *why, size_t whylen)
{
	struct ts_list *local = calloc(1, sizeof(*local)), *remote = calloc(1, sizeof(*remote));
	struct ip_addr here = { .ver = 0 }, there = { .ver = 0 };
	int rc = -ENOMEM;

	snprintf(why, whylen, "out of memory");
	if (local && remote) {
		(void)one_host(conn->remote, conn->n_remote, &there);
		if (!one_host(conn->local, conn->n_local, &here) && there.ver)
			(void)knet_source(k, &there, &here);
		rc = 0;
		if ((!there.ver && is_dynamic(&child->remote_ts)) ||
		    (!here.ver && is_dynamic(&child->local_ts))) {
			snprintf(why, whylen,
				 "a trap needs the addresses: write them in local_ts and "
				 "remote_ts, or one address in remote_addrs and local_addrs");
			rc = -EINVAL;
		}
		ts_resolve(&child->local_ts, &here, local);
		ts_resolve(&child->remote_ts, &there, remote);
	}
	if (rc == 0)
		rc = kgroup_selectors(local, remote, sel, n, why, whylen);
	free(local);
	free(remote);
	return rc;
}

static int env_trap_add(void *ctx, uint32_t reqid, const struct ike_conn_conf *conn,
			const struct ike_child_conf *child, char *why, size_t whylen)
{
	struct keying *k = ctx;
	struct selector *sel = NULL;
	unsigned n = 0;
	int rc = trap_selectors(k, conn, child, &sel, &n, why, whylen);

	if (rc)
		return rc;
	struct kgroup *g = kgroup_make(k, reqid, conn->name, child->name);
	if (!g) {
		free(sel);
		snprintf(why, whylen, "out of memory");
		return -ENOMEM;
	}
	free(g->trap);
	g->trap = sel;
	g->n_trap = n;
	g->mss_clamp = child->mss_clamp;
	g->trap_fragments = child->fragments_also;
	g->trap_each = child->pfp != 0;
	g->transport = child->mode == SA_TRANSPORT;
	g->trap_rank = rank_of(sel, n);
	knet_dirty(k);
	return 0;
}

static void env_trap_del(void *ctx, uint32_t reqid)
{
	struct keying *k = ctx;
	struct kgroup *g = kgroup_find(k, reqid);

	if (!g || !g->trap)
		return;
	free(g->trap);
	g->trap = NULL;
	g->n_trap = 0;
	knet_dirty(k);
	kgroup_leave(k, g);
}

static void env_acquire_failed(void *ctx, uint32_t reqid)
{
	struct keying *k = ctx;
	plane_release_held(k->d->plane, reqid);
}

void kgroup_env(struct ike_env *e)
{
	e->trap_add = env_trap_add;
	e->trap_del = env_trap_del;
	e->acquire_failed = env_acquire_failed;
}
