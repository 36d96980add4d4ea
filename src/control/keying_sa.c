/*
 * SPIs and children. A number from spi_alloc() becomes a pair with child_add(): both SAs
 * enter the SAD, the group of its reqid gets policies, and outbound traffic of the reqid is
 * switched to it at once or later. child_del() takes the pair out; the last one of a reqid takes
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

	if (p && !p->group) {
		forget_pair(k, p);
		plane_expect(k->d->plane, -1);
	}
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
	if (asprintf(&c.name, "%s/%s#%u.%s", up->conn, up->child, up->child_id, in ? "in" : "out") <
	    0) {
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

static void switch_to(struct keying *k, struct kgroup *g, struct kpair *p)
{
	int rc = plane_switch_out(k->d->plane, g->node.key, p ? &p->out : NULL, p ? 1 : 0);

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
		if (p->in)
			sa_unref(&p->in);
		if (p->out)
			sa_unref(&p->out);
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
	g->transport = up->mode == SA_TRANSPORT;
	kgroup_set_selectors(k, g, sel, n);
	if (first && g->trap) /* a narrower policy in front of the trap's */
		knet_dirty(k);
	if (up->out_now || !g->sending)
		switch_to(k, g, p);
	plane_expect(k->d->plane, -1);
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
			if (p->in)
				sad_remove(plane_sad(k->d->plane), p->in);
			if (p->out)
				sad_remove(plane_sad(k->d->plane), p->out);
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
			unsigned bits =
			    p->group ? sa_check_time(p->in, now) | sa_check_time(p->out, now) : 0;
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
