/*
 * SPIs, children and traps. A number from spi_alloc() becomes a pair with child_add(): both SAs
 * enter the SAD, the group of its reqid gets policies, and outbound traffic of the reqid is switched
 * to it at once or later. child_del() takes the pair out; the last one of a reqid takes the policies
 * with it, but those of a trap. What the SAD reports is turned round: from an SA to its reqid.
 */
#define _GNU_SOURCE 1 /* asprintf */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "control/draft.h"
#include "control/keying_priv.h"

#define SPI_TRIES 64
#define SPI_FIRST 256u /* 1 to 255 are IANA's (RFC 4303 2.1) */

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

#define pair_of(n)  ((struct kpair *)(void *)(n))
#define group_of(n) ((struct kgroup *)(void *)(n))

static struct kpair *find_pair(const struct keying *k, uint32_t spi, uint8_t proto)
{
	for (struct knode *n = ktable_get(&k->pairs, spi); n; n = n->next)
		if (n->key == spi && pair_of(n)->proto == proto)
			return pair_of(n);
	return NULL;
}

const struct kpair *ksa_find(const struct keying *k, uint32_t spi_in, uint8_t proto)
{
	return find_pair(k, spi_in, proto);
}

static struct kgroup *find_group(const struct keying *k, uint32_t reqid)
{
	return group_of(ktable_get(&k->groups, reqid));
}

/* ---- groups -----------------------------------------------------------------------------------
 */

static struct kgroup *make_group(struct keying *k, uint32_t reqid, const char *conn,
				 const char *child)
{
	struct kgroup *g = find_group(k, reqid);

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

static void free_group(struct keying *k, struct kgroup *g)
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

static void switch_to(struct keying *k, struct kgroup *g, struct kpair *p)
{
	int rc = plane_switch_out(k->d->plane, g->node.key, p ? &p->out : NULL, p ? 1 : 0);

	if (rc)
		log_error(LOG_SAD, "%s/%s: traffic cannot be switched to another SA: %s", g->conn,
			  g->child, strerror(-rc));
	else
		g->sending = p;
}

/* With neither SAs nor a trap there is nothing left to know. */
static void leave_group(struct keying *k, struct kgroup *g)
{
	if (g->pairs || g->trap)
		return;
	plane_release_held(k->d->plane, g->node.key);
	free_group(k, g);
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

static int selectors_of(const struct ts_list *local, const struct ts_list *remote,
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

/* ---- SPIs -------------------------------------------------------------------------------------
 */

static uint32_t env_spi_alloc(void *ctx, uint8_t proto)
{
	struct keying *k = ctx;
	struct sad *sad = plane_sad(k->d->plane);

	for (unsigned i = 0; i < SPI_TRIES; i++) {
		uint32_t spi = random_u32();
		if (spi < SPI_FIRST || find_pair(k, spi, proto) || sad_lookup(sad, spi, proto))
			continue;
		struct kpair *p = calloc(1, sizeof(*p));
		if (!p)
			return 0;
		p->node.key = spi;
		p->proto = proto;
		if (ktable_put(&k->pairs, &p->node)) {
			free(p);
			return 0;
		}
		return spi;
	}
	return 0;
}

static void forget_pair(struct keying *k, struct kpair *p)
{
	ktable_take(&k->pairs, &p->node);
	if (p->in)
		sa_unref(&p->in);
	if (p->out)
		sa_unref(&p->out);
	free(p);
}

static void env_spi_free(void *ctx, uint8_t proto, uint32_t spi)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, spi, proto);

	if (p && !p->group)
		forget_pair(k, p);
}

/* ---- children ---------------------------------------------------------------------------------
 */

static int make_sa(struct keying *k, struct ike_child_up *up, enum ipsec_dir dir, struct sa **out,
		   char *why, size_t whylen)
{
	const struct ike_child_conf *cc = up->conf;
	bool in = dir == DIR_IN;
	const struct endpoint *src = in ? &up->remote : &up->local,
			      *dst = in ? &up->local : &up->remote;
	struct sa_conf c = {
		.proto = up->proto,
		.mode = up->mode,
		.dir = dir,
		.spi = in ? up->spi_in : up->spi_out,
		.reqid = up->reqid,
		.src = src->addr,
		.dst = dst->addr,
		.oa_src = in ? up->oa_remote : (struct ip_addr){ .ver = 0 },
		.oa_dst = in ? up->oa_local : (struct ip_addr){ .ver = 0 },
		.encap = up->udp ? SA_ENCAP_UDP : SA_ENCAP_NONE,
		.suite = up->suite,
		.encr_key = secret_take(in ? &up->encr_in : &up->encr_out),
		.integ_key = secret_take(in ? &up->integ_in : &up->integ_out),
		.esn = up->esn,
		.replay_window = in ? cc->replay_window : 0,
		.life = up->life,
		.df = cc->df,
		.fragment = cc->fragment,
		.ecn = cc->ecn,
		.dscp = cc->dscp,
		.path_mtu = cc->path_mtu,
		.mss_clamp = cc->mss_clamp,
	};

	if (up->udp) {
		c.src_port = src->port;
		c.dst_port = dst->port;
	}
	snprintf(why, whylen, "out of memory");
	int rc = -ENOMEM;
	if (asprintf(&c.name, "%s/%s#%u.%s", up->conn, up->child, up->child_id,
		     in ? "in" : "out") < 0) {
		c.name = NULL;
	} else {
		kevent_keep_esp(k, &c);
		rc = sa_new(&c, plane_workers(k->d->plane), out, why, whylen);
	}
	if (rc)
		sa_conf_fini(&c);
	return rc;
}

static int set_paths(struct keying *k, struct kpair *p, const struct endpoint *local,
		     const struct endpoint *remote)
{
	static const struct ip_addr none;
	const struct ip_addr *src = local->addr.ver ? &local->addr : &none;
	int rc = plane_set_path(k->d->plane, p->in, &none, remote);

	return rc ? rc : plane_set_path(k->d->plane, p->out, src, remote);
}

static int install(struct keying *k, struct kpair *p, struct ike_child_up *up, char *why,
		   size_t whylen)
{
	struct sad *sad = plane_sad(k->d->plane);
	int rc = make_sa(k, up, DIR_IN, &p->in, why, whylen);

	if (rc == 0)
		rc = make_sa(k, up, DIR_OUT, &p->out, why, whylen);
	if (rc)
		return rc;
	if (!draft_has_socket(&k->d->opened, p->out->conf)) {
		snprintf(why, whylen, "no socket for %s could be opened at the start: %s",
			 up->udp ? "ESP in UDP of this IP version"
				 : "packets without UDP, which takes CAP_NET_RAW",
			 up->udp ? "see listen" : "set encap = yes");
		return -ENOTCONN;
	}
	rc = set_paths(k, p, &up->local, &up->remote);
	if (rc == 0)
		rc = sad_install(sad, p->in);
	if (rc == 0) {
		rc = sad_install(sad, p->out);
		if (rc)
			plane_retire(k->d->plane, p->in);
	}
	if (rc)
		snprintf(why, whylen, "cannot be put into the SAD: %s", strerror(-rc));
	else
		watch_mtu_of(k->d, p->out);
	return rc;
}

/* The policies of the reqid are those of its last negotiation. */
static void set_selectors(struct keying *k, struct kgroup *g, struct selector *sel, unsigned n)
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

static int env_child_add(void *ctx, struct ike_child_up *up, char *why, size_t whylen)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, up->spi_in, up->proto);
	struct kgroup *g = make_group(k, up->reqid, up->conn, up->child);
	struct selector *sel = NULL;
	unsigned n = 0;
	int rc;

	if (!p || p->group || !g) {
		snprintf(why, whylen, p && p->group ? "its SPI is in use" : "out of memory");
		if (g)
			leave_group(k, g);
		return p && p->group ? -EEXIST : -ENOMEM;
	}
	rc = selectors_of(up->local_ts, up->remote_ts, &sel, &n, why, whylen);
	if (rc == 0)
		rc = install(k, p, up, why, whylen);
	if (rc) {
		free(sel);
		if (p->in)
			sa_unref(&p->in);
		if (p->out)
			sa_unref(&p->out);
		leave_group(k, g);
		return rc;
	}
	p->group = g;
	p->next = g->pairs;
	p->conn_id = up->conn_id;
	p->child_id = up->child_id;
	p->spi_out = up->spi_out;
	p->udp = up->udp;
	bool first = !g->pairs;
	g->pairs = p;
	g->mss_clamp = up->conf->mss_clamp;
	g->transport = up->mode == SA_TRANSPORT;
	set_selectors(k, g, sel, n);
	if (first && g->trap) /* a narrower policy in front of the trap's */
		knet_dirty(k);
	if (up->out_now || !g->sending)
		switch_to(k, g, p);
	return 0;
}

static void env_child_switch(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, spi_in, proto);

	if (p && p->group && p->group->node.key == reqid && p->group->sending != p)
		switch_to(k, p->group, p);
}

static void env_child_del(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, spi_in, proto);
	struct kgroup *g = p ? p->group : NULL;

	if (!g)
		return;
	for (struct kpair **at = &g->pairs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	if (g->sending == p)
		switch_to(k, g, g->pairs);
	plane_retire(k->d->plane, p->in);
	plane_retire(k->d->plane, p->out);
	forget_pair(k, p);
	if (!g->pairs) {
		free(g->sel);
		g->sel = NULL;
		g->n_sel = 0;
		knet_dirty(k);
	}
	leave_group(k, g);
}

static void env_child_move(void *ctx, uint32_t reqid, uint32_t spi_in, bool udp,
			   const struct endpoint *local, const struct endpoint *remote)
{
	struct keying *k = ctx;
	struct kgroup *g = find_group(k, reqid);

	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next) {
		if (p->node.key != spi_in)
			continue;
		int rc = p->udp == udp ? set_paths(k, p, local, remote) : -EOPNOTSUPP;
		if (rc)
			log_error(LOG_SAD, "%s/%s: cannot follow its peer: %s", g->conn, g->child,
				  rc == -EOPNOTSUPP ? "UDP encapsulation begins or ends; rekey it"
						    : strerror(-rc));
		watch_mtu_of(k->d, p->out);
		knet_dirty(k); /* routes must not catch the new address */
	}
}

static uint64_t env_last_used(void *ctx, uint32_t reqid, uint32_t spi_in, bool in)
{
	struct keying *k = ctx;
	struct kgroup *g = find_group(k, reqid);

	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next)
		if (p->node.key == spi_in)
			return atomic_load(&(in ? p->in : p->out)->last_used_ns);
	return 0;
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
		rc = selectors_of(local, remote, sel, n, why, whylen);
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
	struct kgroup *g = make_group(k, reqid, conn->name, child->name);
	if (!g) {
		free(sel);
		snprintf(why, whylen, "out of memory");
		return -ENOMEM;
	}
	free(g->trap);
	g->trap = sel;
	g->n_trap = n;
	g->mss_clamp = child->mss_clamp;
	g->transport = child->mode == SA_TRANSPORT;
	g->trap_rank = rank_of(sel, n);
	knet_dirty(k);
	return 0;
}

static void env_trap_del(void *ctx, uint32_t reqid)
{
	struct keying *k = ctx;
	struct kgroup *g = find_group(k, reqid);

	if (!g || !g->trap)
		return;
	free(g->trap);
	g->trap = NULL;
	g->n_trap = 0;
	knet_dirty(k);
	leave_group(k, g);
}

static void env_acquire_failed(void *ctx, uint32_t reqid)
{
	struct keying *k = ctx;
	plane_release_held(k->d->plane, reqid);
}

void ksa_env(struct ike_env *e)
{
	e->spi_alloc = env_spi_alloc;
	e->spi_free = env_spi_free;
	e->child_add = env_child_add;
	e->child_switch = env_child_switch;
	e->child_del = env_child_del;
	e->child_move = env_child_move;
	e->child_last_used = env_last_used;
	e->trap_add = env_trap_add;
	e->trap_del = env_trap_del;
	e->acquire_failed = env_acquire_failed;
}

void ksa_fini(struct keying *k)
{
	for (unsigned i = 0; i < k->pairs.n_buckets; i++) {
		while (k->pairs.bucket[i]) {
			struct kpair *p = pair_of(k->pairs.bucket[i]);
			if (p->in)
				sad_remove(plane_sad(k->d->plane), p->in);
			if (p->out)
				sad_remove(plane_sad(k->d->plane), p->out);
			forget_pair(k, p);
		}
	}
	while (k->first)
		free_group(k, k->first);
	free(k->pairs.bucket);
	free(k->groups.bucket);
}

/* ---- what the SAD tells -----------------------------------------------------------------------
 */

/* By either SPI of the pair. */
static struct kpair *pair_by_spi(struct kgroup *g, uint32_t spi)
{
	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next)
		if (p->node.key == spi || p->spi_out == spi)
			return p;
	return NULL;
}

bool keying_sad_event(struct keying *k, const struct ipsec_event *e)
{
	static const struct ip_addr none;
	struct kpair *p;

	if (!k || !e->reqid)
		return false;
	if (e->type == EV_ACQUIRE) {
		ike_acquire(k->ike, e->reqid, &e->flow);
		return true;
	}
	p = pair_by_spi(find_group(k, e->reqid), e->spi);
	if (!p) /* it has just left */
		return true;
	switch (e->type) {
	case EV_SOFT_EXPIRE:
		ike_child_expired(k->ike, e->reqid, p->node.key, false);
		break;
	case EV_HARD_EXPIRE:
	case EV_SEQ_EXHAUSTED:
		ike_child_expired(k->ike, e->reqid, p->node.key, true);
		break;
	case EV_PEER_ADDR:
		/* told once, whatever the engine makes of it */
		if (plane_set_path(k->d->plane, p->in, &none, &e->peer) == 0)
			ike_child_moved(k->ike, e->reqid, p->node.key, &e->peer);
		break;
	case EV_ACQUIRE:
	case EV_UNKNOWN_SPI:
	case EV_TYPES:
		break;
	}
	return true;
}

/* What has reached a limit of time: gathered first, because the engine changes the table. */
struct expired {
	uint32_t reqid, spi_in;
	unsigned bits;
};

void keying_tick(struct keying *k, uint64_t now)
{
	struct expired *v = calloc(k->pairs.n + 1, sizeof(*v));
	unsigned n = 0;

	for (unsigned i = 0; v && i < k->pairs.n_buckets; i++) {
		for (struct knode *node = k->pairs.bucket[i]; node; node = node->next) {
			struct kpair *p = pair_of(node);
			unsigned bits = p->group ? sa_check_time(p->in, now) |
						       sa_check_time(p->out, now)
						 : 0;
			if (bits)
				v[n++] = (struct expired){ p->group->node.key, node->key, bits };
		}
	}
	for (unsigned i = 0; i < n; i++)
		ike_child_expired(k->ike, v[i].reqid, v[i].spi_in, v[i].bits & SA_HARD);
	free(v);
}

void keying_each_sa(struct keying *k, void (*cb)(struct sa *sa, void *arg), void *arg)
{
	for (struct kgroup *g = k ? k->first : NULL; g; g = g->next) {
		for (struct kpair *p = g->pairs; p; p = p->next) {
			cb(p->out, arg);
			cb(p->in, arg);
		}
	}
}
