/*
 * From groups to policies and routes. A change is put into force at once as long as that is cheap:
 * an SPD is compiled as a whole, so time spent on it is taken from an allowance that grows with the
 * clock; when it is used up, further changes wait and share one SPD.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/keying_priv.h"
#include "control/policies.h"

#define SHARE         5              /* one part in so many of the time, at most */
#define ALLOWANCE_MAX 20000000ll /* ns */
#define PREFIXES_MAX  64             /* of one selector; a range may need many */

/* ---- policies ---------------------------------------------------------------------------------
 */

struct entry {
	const struct kgroup *g;
	uint64_t rank;
	bool trap;
};

static int by_rank(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->trap != y->trap)
		return x->trap - y->trap;
	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return (x->g->serial < y->g->serial) - (x->g->serial > y->g->serial);
}

static struct policy *make_policy(const struct entry *e)
{
	const struct kgroup *g = e->g;
	unsigned n = e->trap ? g->n_trap : g->n_sel;
	struct policy *p = calloc(1, sizeof(*p));
	size_t len = strlen(g->conn) + strlen(g->child) + sizeof("/:trap");

	if (!p)
		return NULL;
	p->action = POLICY_PROTECT;
	p->dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
	p->reqid = g->node.key;
	p->mss_clamp = g->mss_clamp;
	p->icmp_errors = true;
	p->whole_only = !(e->trap ? g->trap_fragments : g->fragments);
	p->each = e->trap && g->trap_each;
	p->name = malloc(len);
	p->sel = calloc(n + 1, sizeof(*p->sel));
	if (!p->name || !p->sel) {
		policy_free(&p);
		return NULL;
	}
	snprintf(p->name, len, "%s/%s%s", g->conn, g->child, e->trap ? ":trap" : "");
	memcpy(p->sel, e->trap ? g->trap : g->sel, n * sizeof(*p->sel));
	p->n_sel = n;
	return p;
}

unsigned keying_policies_max(const struct keying *k)
{
	return k ? 2 * k->n_groups : 0;
}

int keying_policies(const struct keying *k, struct policy **v, unsigned *n)
{
	struct entry *list = calloc(keying_policies_max(k) + 1, sizeof(*list));
	unsigned count = 0;
	int rc = list ? 0 : -ENOMEM;

	for (const struct kgroup *g = k && list ? k->first : NULL; g; g = g->next) {
		if (g->sel)
			list[count++] = (struct entry){ g, g->rank, false };
		if (g->trap)
			list[count++] = (struct entry){ g, g->trap_rank, true };
	}
	if (count)
		qsort(list, count, sizeof(*list), by_rank);
	for (unsigned i = 0; i < count && rc == 0; i++) {
		struct policy *p = make_policy(&list[i]);
		if (p)
			v[(*n)++] = p;
		else
			rc = -ENOMEM;
	}
	free(list);
	return rc;
}

/* ---- addresses of ours ------------------------------------------------------------------------
 */

/* Can packets to others come from it? Not from 127.0.0.1 or fe80::1, which are in "everything", too. */
static bool is_own(const struct ip_addr *a)
{
	if (a->ver == 4)
		return a->b[0] != 127 && !(a->b[0] == 169 && a->b[1] == 254);
	return !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) && memcmp(a->b, in6addr_loopback.s6_addr, 16) != 0;
}

/* An address of this host inside the range, for packets of its own; the TUN device's before
 * others'. */
static struct ip_addr own_address(const struct keying *k, struct ifaddrs *all,
				  const struct ip_range *in)
{
	const struct config_tun *t = k->d->cfg ? k->d->cfg->tun : NULL;
	struct endpoint e;

	for (unsigned i = 0; t && i < t->n_address; i++)
		if (ip_range_has(in, &t->address[i].addr))
			return t->address[i].addr;
	/* perhaps not on the device yet */
	for (unsigned i = 0; i < k->more.n_addr; i++)
		if (ip_range_has(in, &k->more.addr[i]))
			return k->more.addr[i];
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr && endpoint_from_sockaddr(a->ifa_addr, &e) == 0 &&
		    ip_range_has(in, &e.addr) && is_own(&e.addr))
			return e.addr;
	return (struct ip_addr){ .ver = 0 };
}

int knet_source(void *keying, const struct ip_addr *remote, struct ip_addr *local)
{
	struct keying *k = keying;
	struct netlink_route r;

	if (k->d->opened.bump) { /* connections say which address the host has; routes of ours are none of its */
		*local = (struct ip_addr){ .ver = 0 };
		return 0;
	}
	int rc = netlink_route_get(k->d->nl, remote, k->d->mark, &r);

	if (rc)
		return rc;
	if (!r.src.ver)
		return -EADDRNOTAVAIL;
	*local = r.src;
	return 0;
}

/* ---- in place of a host -----------------------------------------------------------------------
 */

#define UNHEARD_EVERY_NS (10 * NS_PER_S)

static unsigned ends_of(const struct ike_conn_conf *c, struct plane_ike_ends *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_local; i++) {
		const struct ip_addr *me = &c->local[i].range.lo;
		if (c->n_remote == 0)
			v[n++] = (struct plane_ike_ends){ *me, ip_range_all(me->ver) };
		for (unsigned j = 0; j < c->n_remote; j++) {
			/* a name, or anybody */
			struct ip_range r = c->remote[j].range.lo.ver ? c->remote[j].range
								      : ip_range_all(me->ver);
			if (r.lo.ver == me->ver)
				v[n++] = (struct plane_ike_ends){ *me, r };
		}
	}
	return n;
}

void knet_ends(struct keying *k)
{
	unsigned max = 0, n = 0;

	if (!k->d->opened.bump)
		return;
	for (unsigned i = 0; i < k->conf->n_conn; i++)
		max += k->conf->conn[i].n_local * (k->conf->conn[i].n_remote + 1);
	struct plane_ike_ends *v = calloc(max + 1, sizeof(*v));
	for (unsigned i = 0; v && i < k->conf->n_conn; i++)
		n += ends_of(&k->conf->conn[i], v + n);
	if (!v || plane_set_ike_ends(k->d->plane, v, n))
		log_error(LOG_IKE, "out of memory: peers cannot begin anything with new connections");
	free(v);
}

int knet_send_bump(struct keying *k, const struct endpoint *local, const struct endpoint *remote, bool marker,
		   struct span datagram)
{
	int rc = plane_send_bump(k->d->plane, local, remote, marker, datagram);
	uint64_t now = clock_now_ns();
	char peer[IP_ADDR_STRLEN], host[IP_ADDR_STRLEN];

	if (rc == -EHOSTUNREACH && (k->unheard_ns == 0 || now - k->unheard_ns > UNHEARD_EVERY_NS)) {
		k->unheard_ns = now;
		log_notice(LOG_IKE, "where %s is shows when the host %s sends something there, or it answers for itself; "
				    "until then nothing can be sent in the host's place",
			   ip_addr_format(&remote->addr, peer), ip_addr_format(&local->addr, host));
	}
	return rc;
}

/* ---- routes -----------------------------------------------------------------------------------
 */

struct gather {
	const struct keying *k;
	struct netcfg_more *m;
	struct ifaddrs *own;
	unsigned route_room, own_room;
	int rc;
};

/* Makes room for one more in v[0..n). False when there is no memory. */
static bool make_room(struct gather *g, void **v, unsigned *room, unsigned n, size_t size)
{
	if (n < *room)
		return true;
	unsigned more = *room ? 2 * *room : 64;
	void *p = realloc(*v, more * size);
	if (!p) {
		g->rc = -ENOMEM;
		return false;
	}
	*v = p;
	*room = more;
	return true;
}

static void add_route(struct gather *g, const struct ip_prefix *p, const struct ip_addr *src)
{
	struct netcfg_more *m = g->m;
	void *v = m->route;

	if (make_room(g, &v, &g->route_room, m->n_route, sizeof(*m->route))) {
		m->route = v;
		m->route[m->n_route++] = (struct netcfg_route){ .prefix = *p, .src = *src };
	}
}

static bool same_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_eq(&a->addr, &b->addr);
}

/* Children of one connection mostly have the same network behind us. */
static void add_own(struct gather *g, const struct ip_prefix *p)
{
	struct netcfg_more *m = g->m;
	void *v = m->own;

	if (m->n_own && same_prefix(&m->own[m->n_own - 1], p))
		return;
	if (make_room(g, &v, &g->own_room, m->n_own, sizeof(*m->own))) {
		m->own = v;
		m->own[m->n_own++] = *p;
	}
}

static void add_selectors(struct gather *g, const struct kgroup *kg, const struct selector *sel,
			  unsigned n)
{
	struct ip_prefix p[PREFIXES_MAX];

	for (unsigned i = 0; i < n && g->rc == 0; i++) {
		struct ip_addr src = own_address(g->k, g->own, &sel[i].local);
		int count = ip_range_to_prefixes(&sel[i].remote, p, PREFIXES_MAX);
		if (count < 0)
			log_warn(LOG_NET,
				 "%s/%s: a range of remote_ts takes more than %u routes: add them "
				 "by hand",
				 kg->conn, kg->child, PREFIXES_MAX);
		for (int j = 0; j < count; j++)
			add_route(g, &p[j], &src);
		count = ip_range_to_prefixes(&sel[i].local, p, PREFIXES_MAX);
		for (int j = 0; j < count && !kg->transport; j++)
			add_own(g, &p[j]);
	}
}

#define VIPS_MAX 64

struct vips {
	struct ip_addr *v;
	unsigned n, room;
	bool full;
};

static void add_vips(const struct ike_sa_view *v, void *arg)
{
	struct vips *a = arg;

	for (unsigned i = 0; i < 2; i++) {
		bool there = !v->vip[i].ver;
		/* one that is being replaced has the same */
		for (unsigned k = 0; k < a->n && !there; k++)
			there = ip_addr_eq(&a->v[k], &v->vip[i]);
		if (there)
			continue;
		if (a->n < a->room)
			a->v[a->n++] = v->vip[i];
		else
			a->full = true;
	}
}

/* Addresses that peers gave us: the TUN device has them as long as an SA does. */
static int gather_vips(const struct keying *k, struct netcfg_more *m, unsigned room)
{
	struct vips a = { .v = m->addr, .n = m->n_addr, .room = m->n_addr + room };

	if (k->ike)
		ike_each_client(k->ike, add_vips, &a);
	m->n_addr = a.n;
	if (a.full)
		log_warn(LOG_NET, "more than %u virtual addresses: not all are on the device", room);
	return 0;
}

/* In transport mode packets come from an address of our own, which the TUN device needs, too. */
static int gather_addrs(const struct keying *k, struct netcfg_more *m)
{
	unsigned max = 0;

	for (const struct kgroup *g = k->first; g; g = g->next)
		max += g->transport ? g->n_sel + g->n_trap : 0;
	m->addr = calloc(max + VIPS_MAX, sizeof(*m->addr));
	if (!m->addr)
		return -ENOMEM;
	for (const struct kgroup *g = k->first; g; g = g->next) {
		for (unsigned i = 0; g->transport && i < g->n_sel + g->n_trap; i++) {
			const struct ip_range *r =
			    &(i < g->n_sel ? &g->sel[i] : &g->trap[i - g->n_sel])->local;
			if (ip_addr_eq(&r->lo, &r->hi))
				m->addr[m->n_addr++] = r->lo;
		}
	}
	return gather_vips(k, m, VIPS_MAX);
}

/* Where outer packets may go: where children send, where connections begin, what names mean. */
static int gather_peers(const struct keying *k, struct netcfg_more *m)
{
	unsigned max = k->pairs.n + k->n_named;

	for (unsigned i = 0; i < k->conf->n_conn; i++)
		max += k->conf->conn[i].n_remote;
	m->peer = calloc(max + 1, sizeof(*m->peer));
	if (!m->peer)
		return -ENOMEM;
	for (const struct kgroup *g = k->first; g; g = g->next) {
		for (const struct kpair *p = g->pairs; p; p = p->next) {
			const struct sa_path *path = atomic_load(&p->out->path);
			if (path && path->dst.addr.ver)
				m->peer[m->n_peer++] = path->dst.addr;
		}
	}
	for (unsigned i = 0; i < k->conf->n_conn; i++) {
		const struct ike_conn_conf *c = &k->conf->conn[i];
		for (unsigned j = 0; j < c->n_remote; j++) {
			const struct ip_range *r = &c->remote[j].range;
			if (r->lo.ver && ip_addr_eq(&r->lo, &r->hi))
				m->peer[m->n_peer++] = r->lo;
		}
	}
	for (unsigned i = 0; i < k->n_named; i++)
		m->peer[m->n_peer++] = k->named[i];
	return 0;
}

static void more_fini(struct netcfg_more *m)
{
	free(m->route);
	free(m->addr);
	free(m->own);
	free(m->peer);
	*m = (struct netcfg_more){ .n_route = 0 };
}

const struct netcfg_more *keying_routes(struct keying *k)
{
	if (!k)
		return NULL;
	struct gather g = { .k = k, .m = &k->more };
	more_fini(&k->more);
	const struct config_tun *t = k->d->cfg ? k->d->cfg->tun : NULL;
	bool wanted = !t || t->install_routes;
	if (getifaddrs(&g.own) < 0)
		g.own = NULL;
	g.rc = gather_addrs(k, &k->more);
	for (const struct kgroup *kg = wanted ? k->first : NULL; kg && g.rc == 0; kg = kg->next) {
		if (kg->sel)
			add_selectors(&g, kg, kg->sel, kg->n_sel);
		if (kg->trap)
			add_selectors(&g, kg, kg->trap, kg->n_trap);
	}
	if (g.own)
		freeifaddrs(g.own);
	if (g.rc == 0)
		g.rc = gather_peers(k, &k->more);
	if (g.rc)
		log_error(LOG_NET, "routes of connections: %s", strerror(-g.rc));
	return &k->more;
}

void knet_named(void *keying, const struct ip_addr *addr, unsigned n)
{
	struct keying *k = keying;

	for (unsigned i = 0; i < n; i++) {
		bool known = false;
		for (unsigned j = 0; j < k->n_named; j++)
			known |= ip_addr_eq(&k->named[j], &addr[i]);
		if (known)
			continue;
		if (k->n_named == ARRAY_LEN(k->named)) /* the oldest goes */
			memmove(&k->named[0], &k->named[1], --k->n_named * sizeof(k->named[0]));
		k->named[k->n_named++] = addr[i];
		k->dirty = true;
	}
	knet_flush(k); /* before the first message goes there */
}

/* ---- name servers -----------------------------------------------------------------------------
 */

static void add_dns(const struct ike_sa_view *v, void *arg)
{
	struct dns_want *w = arg;

	for (unsigned i = 0; i < v->n_dns && v->n_children; i++)
		dns_want_server(w, &v->dns[i]);
	if (v->n_dns && v->n_children) {
		dns_want_search(w, v->domain);
		dns_want_search(w, v->split_dns);
	}
}

/* They are asked as long as there is a way to them. */
void knet_dns(struct keying *k)
{
	struct dns_want w = { .n_server = 0 };

	if (!k->ike || !k->dns)
		return;
	ike_each_client(k->ike, add_dns, &w);
	dns_set(k->dns, &w);
}

/* ---- putting it into force --------------------------------------------------------------------
 */

void knet_flush(struct keying *k)
{
	struct daemon *d = k->d;
	struct spd *spd = NULL;

	if (!k->dirty || d->stopping || !d->cfg)
		return;
	uint64_t began = clock_now_ns();
	k->dirty = false;
	ev_timer_stop(d->loop, &k->on_flush);
	int rc = policies_build(d, d->cfg, d->sas, d->n_sas, &spd);
	if (rc)
		log_error(LOG_SPD, "policies of connections: %s", strerror(-rc));
	else
		policies_publish(d, spd);
	model_peers_changed(d);
	k->allowance_ns -= (int64_t)(clock_now_ns() - began);
}

void knet_dirty(struct keying *k)
{
	uint64_t now = clock_now_ns();
	int64_t earned = (int64_t)((now - k->earned_ns) / SHARE);

	k->dirty = true;
	k->earned_ns = now;
	k->allowance_ns += earned < ALLOWANCE_MAX ? earned : ALLOWANCE_MAX;
	if (k->allowance_ns > ALLOWANCE_MAX)
		k->allowance_ns = ALLOWANCE_MAX;
	if (k->allowance_ns > 0) {
		knet_flush(k);
		return;
	}
	if (ev_is_active(&k->on_flush) || k->d->stopping)
		return;
	ev_now_update(k->d->loop);
	ev_timer_set(&k->on_flush, (double)(-k->allowance_ns * SHARE) / 1e9, 0.);
	ev_timer_start(k->d->loop, &k->on_flush);
}

void knet_fini(struct keying *k)
{
	more_fini(&k->more);
}
