/*
 * SPIs and children. A number from spi_alloc() becomes a pair with child_add(): both SAs
 * enter the SAD, the group of its reqid gets policies, and outbound traffic of the reqid is
 * switched to it at once or later. With AH around it the pair is of four, and named by the ESP's SPI
 * all the same. child_del() takes the pair out; the last one of a reqid takes
 * the policies with it, but those of a trap (keying_group.c). What the SAD reports is turned round:
 * from an SA to its reqid.
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

#define pair_of(n) ((struct kpair *)(void *)(n))

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
		plane_expect(k->d->plane, 1);
		return spi;
	}
	return 0;
}

static void drop_sas(struct kpair *p)
{
	sa_unref(&p->in);
	sa_unref(&p->out);
	sa_unref(&p->ah_in);
	sa_unref(&p->ah_out);
}

static void forget_pair(struct keying *k, struct kpair *p)
{
	ktable_take(&k->pairs, &p->node);
	drop_sas(p);
	free(p);
}

static void env_spi_free(void *ctx, uint8_t proto, uint32_t spi)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, spi, proto);

	if (p && !p->group) {
		forget_pair(k, p);
		plane_expect(k->d->plane, -1);
	}
}

/* ---- children ---------------------------------------------------------------------------------
 */

/* What all SAs of a pair have in common. */
static struct sa_conf conf_of(const struct ike_child_up *up, enum ipsec_dir dir)
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
		.bundle_n = in && up->ah.spi_in ? 2 : 0,
		.src = src->addr,
		.dst = dst->addr,
		.oa_src = in ? up->oa_remote : (struct ip_addr){ .ver = 0 },
		.oa_dst = in ? up->oa_local : (struct ip_addr){ .ver = 0 },
		.encap = up->udp ? SA_ENCAP_UDP : SA_ENCAP_NONE,
		.suite = up->suite,
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
	return c;
}

static int make_sa(struct keying *k, const struct ike_child_up *up, const char *what,
		   struct sa_conf *c, struct sa **out, char *why, size_t whylen)
{
	snprintf(why, whylen, "out of memory");
	int rc = -ENOMEM;
	if (asprintf(&c->name, "%s/%s#%u.%s", up->conn, up->child, up->child_id, what) < 0) {
		c->name = NULL;
	} else {
		kevent_keep_esp(k, c);
		rc = sa_new(c, plane_workers(k->d->plane), out, why, whylen);
	}
	if (rc)
		sa_conf_fini(c);
	return rc;
}

static int make_esp(struct keying *k, struct ike_child_up *up, enum ipsec_dir dir, struct sa **out,
		    char *why, size_t whylen)
{
	struct sa_conf c = conf_of(up, dir);
	bool in = dir == DIR_IN;

	c.encr_key = secret_take(in ? &up->encr_in : &up->encr_out);
	c.integ_key = secret_take(in ? &up->integ_in : &up->integ_out);
	return make_sa(k, up, in ? "in" : "out", &c, out, why, whylen);
}

/* The AH of a bundle: between the same ends, on the packet that the ESP has made. */
static int make_ah(struct keying *k, struct ike_child_up *up, enum ipsec_dir dir, struct sa **out,
		   char *why, size_t whylen)
{
	struct sa_conf c = conf_of(up, dir);
	bool in = dir == DIR_IN;

	c.proto = SA_AH;
	c.mode = SA_TRANSPORT;
	c.bundle_at = in ? 1 : 0;
	c.spi = in ? up->ah.spi_in : up->ah.spi_out;
	c.suite = up->ah.suite;
	c.encr_key = secret_take(in ? &up->ah.encr_in : &up->ah.encr_out);
	c.integ_key = secret_take(in ? &up->ah.integ_in : &up->ah.integ_out);
	return make_sa(k, up, in ? "ah.in" : "ah.out", &c, out, why, whylen);
}

static int set_paths(struct keying *k, struct kpair *p, const struct endpoint *local,
		     const struct endpoint *remote)
{
	static const struct ip_addr none;
	const struct ip_addr *src = local->addr.ver ? &local->addr : &none;
	struct sa *const in[] = { p->in, p->ah_in }, *const out[] = { p->out, p->ah_out };
	int rc = 0;

	for (unsigned i = 0; i < 2 && in[i] && rc == 0; i++) {
		rc = plane_set_path(k->d->plane, in[i], &none, remote);
		if (rc == 0)
			rc = plane_set_path(k->d->plane, out[i], src, remote);
	}
	return rc;
}

/* Those of a pair that there are; returns how many. */
static unsigned sas_of(const struct kpair *p, struct sa *sas[4])
{
	unsigned n = 0;

	sas[n++] = p->in;
	sas[n++] = p->out;
	if (p->ah_in)
		sas[n++] = p->ah_in;
	if (p->ah_out)
		sas[n++] = p->ah_out;
	return n;
}

static int make_all(struct keying *k, struct kpair *p, struct ike_child_up *up, char *why,
		    size_t whylen)
{
	int rc = make_esp(k, up, DIR_IN, &p->in, why, whylen);

	if (rc == 0)
		rc = make_esp(k, up, DIR_OUT, &p->out, why, whylen);
	if (rc == 0 && up->ah.spi_in)
		rc = make_ah(k, up, DIR_IN, &p->ah_in, why, whylen);
	if (rc == 0 && up->ah.spi_in)
		rc = make_ah(k, up, DIR_OUT, &p->ah_out, why, whylen);
	return rc;
}

static int install(struct keying *k, struct kpair *p, struct ike_child_up *up, char *why,
		   size_t whylen)
{
	struct sa *sas[4];
	int rc = make_all(k, p, up, why, whylen);

	if (rc)
		return rc;
	unsigned n = sas_of(p, sas), done = 0;
	if (k->d->opened.bump && (up->mode != SA_TRANSPORT || up->udp)) {
		snprintf(why, whylen, "in place of a host there is transport mode without UDP, and %s",
			 up->udp ? "a NAT is on the way, or the peer demands UDP" : "the peer wants a tunnel");
		return -EPROTONOSUPPORT;
	}
	if (!k->d->opened.bump && !draft_has_socket(&k->d->opened, sas[n - 1]->conf)) {
		snprintf(why, whylen, "no socket for %s could be opened at the start: %s",
			 up->udp ? "ESP in UDP of this IP version"
				 : "packets without UDP, which takes CAP_NET_RAW",
			 up->udp ? "see listen" : "set encap = yes");
		return -ENOTCONN;
	}
	rc = set_paths(k, p, &up->local, &up->remote);
	for (; done < n && rc == 0; done++)
		rc = sad_install(plane_sad(k->d->plane), sas[done]);
	if (rc) {
		while (done-- > 0) /* the last is not in, which does no harm */
			plane_retire(k->d->plane, sas[done]);
		snprintf(why, whylen, "cannot be put into the SAD: %s", strerror(-rc));
		return rc;
	}
	for (unsigned i = 0; i < n; i++)
		watch_mtu_of(k->d, sas[i]);
	return 0;
}

/* The SPI of a bundle's AH was given out alone; now it belongs to the pair. */
static void adopt_ah_spi(struct keying *k, uint32_t spi)
{
	struct kpair *p = spi ? find_pair(k, spi, SA_AH) : NULL;

	if (p && !p->group) {
		forget_pair(k, p);
		plane_expect(k->d->plane, -1);
	}
}

static void switch_to(struct keying *k, struct kgroup *g, struct kpair *p)
{
	struct sa *const bundle[] = { p ? p->out : NULL, p ? p->ah_out : NULL };
	int rc = plane_switch_out(k->d->plane, g->node.key, bundle, !p ? 0 : p->ah_out ? 2 : 1);

	if (rc)
		log_error(LOG_SAD, "%s/%s: traffic cannot be switched to another SA: %s", g->conn,
			  g->child, strerror(-rc));
	else
		g->sending = p;
}

static int env_child_add(void *ctx, struct ike_child_up *up, char *why, size_t whylen)
{
	struct keying *k = ctx;
	struct kpair *p = find_pair(k, up->spi_in, up->proto);
	struct kgroup *g = kgroup_make(k, up->reqid, up->conn, up->child);
	struct selector *sel = NULL;
	unsigned n = 0;
	int rc;

	if (!p || p->group || !g) {
		snprintf(why, whylen, p && p->group ? "its SPI is in use" : "out of memory");
		if (g)
			kgroup_leave(k, g);
		return p && p->group ? -EEXIST : -ENOMEM;
	}
	rc = kgroup_selectors(up->local_ts, up->remote_ts, &sel, &n, why, whylen);
	if (rc == 0)
		rc = install(k, p, up, why, whylen);
	if (rc) {
		free(sel);
		drop_sas(p);
		kgroup_leave(k, g);
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
	bool other = g->fragments != up->fragments;
	g->fragments = up->fragments;
	if (other && !first)
		knet_dirty(k);
	g->transport = up->mode == SA_TRANSPORT;
	kgroup_set_selectors(k, g, sel, n);
	if (first && g->trap) /* a narrower policy in front of the trap's */
		knet_dirty(k);
	if (up->out_now || !g->sending)
		switch_to(k, g, p);
	plane_expect(k->d->plane, -1);
	adopt_ah_spi(k, up->ah.spi_in);
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
	struct sa *sas[4];
	unsigned n = sas_of(p, sas);
	for (unsigned i = 0; i < n; i++)
		plane_retire(k->d->plane, sas[i]);
	forget_pair(k, p);
	if (!g->pairs) {
		free(g->sel);
		g->sel = NULL;
		g->n_sel = 0;
		knet_dirty(k);
	}
	kgroup_leave(k, g);
}

static void env_child_move(void *ctx, uint32_t reqid, uint32_t spi_in, bool udp,
			   const struct endpoint *local, const struct endpoint *remote)
{
	struct keying *k = ctx;
	struct kgroup *g = kgroup_find(k, reqid);

	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next) {
		if (p->node.key != spi_in)
			continue;
		int rc = p->udp == udp ? set_paths(k, p, local, remote) : -EOPNOTSUPP;
		if (rc)
			log_error(LOG_SAD, "%s/%s: cannot follow its peer: %s", g->conn, g->child,
				  rc == -EOPNOTSUPP ? "UDP encapsulation begins or ends; rekey it"
						    : strerror(-rc));
		watch_mtu_of(k->d, p->out);
		if (p->ah_out)
			watch_mtu_of(k->d, p->ah_out);
		knet_dirty(k); /* routes must not catch the new address */
	}
}

static uint64_t env_last_used(void *ctx, uint32_t reqid, uint32_t spi_in, bool in)
{
	struct keying *k = ctx;
	struct kgroup *g = kgroup_find(k, reqid);

	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next)
		if (p->node.key == spi_in)
			return atomic_load(&(in ? p->in : p->out)->last_used_ns);
	return 0;
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
	kgroup_env(e);
}

void ksa_fini(struct keying *k)
{
	for (unsigned i = 0; i < k->pairs.n_buckets; i++) {
		while (k->pairs.bucket[i]) {
			struct kpair *p = pair_of(k->pairs.bucket[i]);
			struct sa *sas[4];
			unsigned n = p->in ? sas_of(p, sas) : 0;
			sad_remove_many(plane_sad(k->d->plane), sas, n);
			forget_pair(k, p);
		}
	}
	while (k->first)
		kgroup_free(k, k->first);
	free(k->pairs.bucket);
	free(k->groups.bucket);
}

/* ---- what the SAD tells -----------------------------------------------------------------------
 */

static bool is_spi(const struct sa *sa, uint32_t spi)
{
	return sa && sa->spi == spi;
}

/* By any SPI of the pair. */
static struct kpair *pair_by_spi(struct kgroup *g, uint32_t spi)
{
	for (struct kpair *p = g ? g->pairs : NULL; p; p = p->next)
		if (p->node.key == spi || p->spi_out == spi || is_spi(p->ah_in, spi) ||
		    is_spi(p->ah_out, spi))
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
	p = pair_by_spi(kgroup_find(k, e->reqid), e->spi);
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
	case EV_TOO_BIG:
	case EV_TYPES:
		break;
	}
	return true;
}

static void keep_leases(struct keying *k, uint64_t now)
{
	static struct log_limit limit = { .burst = 1, .every_ns = 60 * NS_PER_S };
	uint32_t swallowed;
	int rc = leasestore_tick(k->leases, now);

	if (rc && log_limit_pass(&limit, &swallowed))
		log_error(LOG_IKE, "leases cannot be kept for the next start: %s", strerror(-rc));
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
			struct sa *sas[4];
			unsigned bits = 0, count = p->group ? sas_of(p, sas) : 0;
			for (unsigned s = 0; s < count; s++)
				bits |= sa_check_time(sas[s], now);
			if (bits)
				v[n++] = (struct expired){ p->group->node.key, node->key, bits };
		}
	}
	for (unsigned i = 0; i < n; i++)
		ike_child_expired(k->ike, v[i].reqid, v[i].spi_in, v[i].bits & SA_HARD);
	free(v);
	keep_leases(k, now);
}

void keying_each_sa(struct keying *k, void (*cb)(struct sa *sa, void *arg), void *arg)
{
	for (struct kgroup *g = k ? k->first : NULL; g; g = g->next) {
		for (struct kpair *p = g->pairs; p; p = p->next) {
			struct sa *sas[4];
			for (unsigned i = sas_of(p, sas); i-- > 0;)
				cb(sas[i], arg);
		}
	}
}
