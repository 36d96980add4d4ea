/*
 * What happens by itself: the plane's events become log lines, `monitor` events and new paths; once
 * a second come lifetimes by time, NAT keepalives, growing drop counters, and path MTUs.
 *
 * Where a peer is followed to: an authenticated packet from a new outer address or port moves the
 * inbound SA, and of the policies that use this SA every outbound SA whose dst is %any, or that is
 * UDP-encapsulated (a NAT gave the peer a new address or port; RFC 3948, and RFC 7296 2.23). Raw
 * ESP to a configured address stays where the file says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/group.h"
#include "control/keying.h"
#include "control/state.h"
#include "ipsec/pick.h"
#include "ipsec/pmtu.h"

#define EVENTS_PER_READ 64
#define MTU_EVERY_NS    (10 * NS_PER_S)
#define ROUTE_CACHE     256u

static struct log_limit unknown_limit = { .burst = 5, .every_ns = 10 * NS_PER_S };
static struct log_limit acquire_limit = { .burst = 5, .every_ns = 10 * NS_PER_S };
static struct log_limit moved_limit = { .burst = 20, .every_ns = NS_PER_S };

static const char *dir_name(const struct sa *sa)
{
	return sa->dir == DIR_OUT ? "out" : "in";
}

static json_t *sa_fields(const struct sa *sa)
{
	char spi[16];

	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	return json_pack("{s:s, s:s, s:s}", "sa", sa->conf->name, "spi", spi, "dir", dir_name(sa));
}

/* ---- lifetimes --------------------------------------------------------------------------------
 */

void watch_lifetime(struct daemon *d, const struct sa *sa, unsigned bits, const char *what)
{
	if (bits & SA_SOFT) {
		log_notice(LOG_SAD, "sa %s spi 0x%08x: soft lifetime reached (%s): replace it soon",
			   sa->conf->name, sa->spi, what);
		json_t *v = sa_fields(sa);
		json_object_set_new(v, "limit", json_string(what));
		daemon_event(d, "sa_soft_lifetime", v);
	}
	if (bits & SA_HARD) {
		log_warn(
		    LOG_SAD,
		    "sa %s spi 0x%08x: hard lifetime reached (%s): it carries nothing any more",
		    sa->conf->name, sa->spi, what);
		json_t *v = sa_fields(sa);
		json_object_set_new(v, "limit", json_string(what));
		daemon_event(d, "sa_hard_lifetime", v);
	}
}

/* Which count reached its limit. */
static const char *which_limit(const struct sa *sa, bool hard)
{
	const struct sa_lifetime *l = &sa->conf->life;
	uint64_t bytes = hard ? l->hard_bytes : l->soft_bytes,
		 packets = hard ? l->hard_packets : l->soft_packets;

	if (bytes && atomic_load(&sa->bytes) >= bytes)
		return "bytes";
	return packets && atomic_load(&sa->packets) >= packets ? "packets" : "sequence numbers";
}

/* ---- peers ------------------------------------------------------------------------------------
 */

static bool follows(const struct sa *out)
{
	return out->conf->dst.ver == 0 || (out->encap == SA_ENCAP_UDP && !out->group);
}

/* Sends an outbound SA to its peer's new place. True when that is another place than before. */
static bool follow(struct daemon *d, struct sa *out, const struct ipsec_event *e)
{
	static const struct ip_addr none;
	const struct sa_path *path = atomic_load(&out->path);
	const struct ip_addr *src = &out->conf->src;
	struct endpoint dst = e->peer;

	if (out->encap == SA_ENCAP_NONE)
		dst.port = 0;
	if (path && endpoint_eq(&path->dst, &dst))
		return false;
	/* Behind a NAT the answer must come from the address the peer has talked to. */
	if (src->ver == 0)
		src = &e->local.addr;
	if (src->ver != dst.addr.ver || ip_addr_is_any(src))
		src = &none;
	int rc = plane_set_path(d->plane, out, src, &dst);
	if (rc) {
		log_error(LOG_SAD, "sa %s: cannot follow its peer: %s", out->conf->name,
			  strerror(-rc));
		return false;
	}
	return true;
}

static void tell_moved(struct daemon *d, const struct sa *out, const struct endpoint *was,
		       const struct endpoint *is)
{
	char from[ENDPOINT_STRLEN] = "", to[ENDPOINT_STRLEN];
	uint32_t swallowed;

	if (was->addr.ver)
		endpoint_format(was, from);
	endpoint_format(is, to);
	if (log_limit_pass(&moved_limit, &swallowed)) {
		if (from[0])
			log_notice(LOG_SAD, "sa %s: peer moved from %s to %s", out->conf->name,
				   from, to);
		else
			log_notice(LOG_SAD, "sa %s: peer is at %s", out->conf->name, to);
	}
	json_t *v = sa_fields(out);
	json_object_set_new(v, "from", from[0] ? json_string(from) : json_null());
	json_object_set_new(v, "to", json_string(to));
	daemon_event(d, "peer_moved", v);
}

static bool uses(const struct policy *p, const struct sa *in)
{
	for (unsigned i = 0; i < p->n_in; i++)
		if (p->in[i] == in)
			return true;
	return pick_has(p, in);
}

/* The outbound SAs of the policy that follow the peer, among sa[0..n). */
static bool move_all(struct daemon *d, struct sa *const *sa, unsigned n, const struct ipsec_event *e)
{
	bool moved = false;

	for (unsigned i = 0; i < n; i++) {
		const struct sa_path *path = atomic_load(&sa[i]->path);
		struct endpoint was = path ? path->dst : (struct endpoint){ .port = 0 };
		if (sa[i]->dir != DIR_OUT || !follows(sa[i]) || !follow(d, sa[i], e))
			continue;
		tell_moved(d, sa[i], &was, &e->peer);
		moved = true;
	}
	return moved;
}

static void peer_addr(struct daemon *d, const struct ipsec_event *e)
{
	static const struct ip_addr none;
	const struct spd *spd = plane_spd(d->plane);
	bool moved = false;

	if (plane_set_path(d->plane, e->sa, &none, &e->peer))
		return;
	for (unsigned i = 0; spd && i < spd_count(spd); i++) {
		const struct policy *p = spd_policy(spd, i);
		if (!uses(p, e->sa))
			continue;
		moved |= move_all(d, p->out, p->n_out, e);
		moved |= move_all(d, p->also, p->n_also, e);
	}
	if (moved) {
		model_peers_changed(d);
		watch_mtu(d);
	}
}

/* ---- events of the plane ----------------------------------------------------------------------
 */

static void unknown_spi(struct daemon *d, const struct ipsec_event *e)
{
	char peer[ENDPOINT_STRLEN], spi[16];
	uint32_t swallowed;

	if (!log_limit_pass(&unknown_limit, &swallowed))
		return;
	endpoint_format(&e->peer, peer);
	snprintf(spi, sizeof(spi), "0x%08x", e->spi);
	log_info(LOG_SAD, "ESP from %s with SPI %s: no such SA (%u more not shown)", peer, spi,
		 swallowed);
	daemon_event(d, "unknown_spi", json_pack("{s:s, s:s}", "spi", spi, "peer", peer));
}

static void acquire(struct daemon *d, const struct ipsec_event *e)
{
	const struct policy *p =
	    plane_spd(d->plane) ? spd_policy(plane_spd(d->plane), e->policy) : NULL;
	struct ip_addr src = flow_key_src(&e->flow), dst = flow_key_dst(&e->flow);
	char a[IP_ADDR_STRLEN], b[IP_ADDR_STRLEN];
	uint32_t swallowed;

	if (!p || !log_limit_pass(&acquire_limit, &swallowed))
		return;
	ip_addr_format(&src, a);
	ip_addr_format(&dst, b);
	log_info(LOG_SPD,
		 "policy %s: a packet from %s to %s is to be protected, and no SA is usable (%u "
		 "more not shown)",
		 p->name, a, b, swallowed);
	daemon_event(d, "acquire",
		     json_pack("{s:s, s:s, s:s}", "policy", p->name, "src", a, "dst", b));
}

static void handle(struct daemon *d, const struct ipsec_event *e)
{
	bool about_sa = e->type != EV_ACQUIRE && e->type != EV_UNKNOWN_SPI && e->type != EV_TOO_BIG;

	if (keying_sad_event(d->keying, e))
		return;
	if (about_sa && !e->sa) /* it is gone already */
		return;
	switch (e->type) {
	case EV_SOFT_EXPIRE:
		watch_lifetime(d, e->sa, SA_SOFT, which_limit(e->sa, false));
		break;
	case EV_HARD_EXPIRE:
		watch_lifetime(d, e->sa, SA_HARD, which_limit(e->sa, true));
		break;
	case EV_SEQ_EXHAUSTED:
		log_warn(
		    LOG_SAD,
		    "sa %s spi 0x%08x: sequence numbers are used up: it sends nothing any more",
		    e->sa->conf->name, e->sa->spi);
		daemon_event(d, "sa_sequence_exhausted", sa_fields(e->sa));
		break;
	case EV_PEER_ADDR:
		if (model_find(d, e->sa) >= 0) /* not one that has just left */
			peer_addr(d, e);
		break;
	case EV_ACQUIRE:
		acquire(d, e);
		break;
	case EV_UNKNOWN_SPI:
		unknown_spi(d, e);
		break;
	case EV_TOO_BIG:
		pmtu_event(d, e);
		break;
	case EV_TYPES:
		break;
	}
}

void watch_events(struct daemon *d)
{
	struct ipsec_event e[EVENTS_PER_READ];
	unsigned n;

	do {
		n = plane_events(d->plane, e, EVENTS_PER_READ);
		for (unsigned i = 0; i < n; i++)
			handle(d, &e[i]);
	} while (n == EVENTS_PER_READ);
	audit_events(d);
}

/* ---- path MTU ---------------------------------------------------------------------------------
 */

/* Many SAs lead to few peers: what the kernel said for an address, for the length of one pass. */
struct route_cache {
	struct ip_addr dst;
	uint32_t mtu;
};

/* Where ICMP is ours to read, or not to be believed, the kernel's opinion of it does not count. 0: no
 * route. */
static uint32_t ask_route(struct daemon *d, const struct ip_addr *dst)
{
	struct netlink_route r;
	uint32_t mtu;

	if ((d->icmp_fd[dst->ver == 6] >= 0 || !d->cfg || !d->cfg->path_mtu_discovery) &&
	    netlink_route_mtu(d->nl, dst, d->mark, &mtu) == 0)
		return mtu;
	return netlink_route_get(d->nl, dst, d->mark, &r) ? 0 : r.mtu;
}

static uint32_t outer_mtu(struct daemon *d, struct route_cache *cache, const struct ip_addr *dst)
{
	unsigned h = 0;

	if (d->opened.bump) /* the packets are the host's: no route of ours is asked */
		return d->bridge.mtu;
	if (!cache)
		return ask_route(d, dst);
	for (unsigned i = 0; i < sizeof(dst->b); i++)
		h = h * 31 + dst->b[i];
	struct route_cache *c = &cache[h % ROUTE_CACHE];
	if (c->mtu && ip_addr_eq(&c->dst, dst))
		return c->mtu;
	uint32_t mtu = ask_route(d, dst);
	if (mtu)
		*c = (struct route_cache){ .dst = *dst, .mtu = mtu };
	return mtu;
}

/* 0: not known. */
static uint32_t interface_mtu(struct daemon *d, const struct sa *sa)
{
	int ifindex = atomic_load(&sa->ifindex);
	int mtu = ifindex ? netlink_link_get_mtu(d->nl, ifindex) : 0;

	return mtu > 0 ? (uint32_t)mtu : 0;
}

static void warn_tun_mtu(struct daemon *d, const struct sa *tightest, uint32_t inner)
{
	uint32_t mtu = d->cfg->tun->mtu;

	if (inner >= mtu) {
		d->mtu_warned = 0;
		return;
	}
	if (d->mtu_warned == inner)
		return;
	d->mtu_warned = inner;
	log_warn(LOG_NET,
		 "tun %s: mtu is %u, but only %u bytes fit through sa %s: larger packets are "
		 "fragmented or refused; "
		 "set mtu = %u",
		 d->tun.name, mtu, inner, tightest->conf->name, inner);
}

struct mtu_pass {
	struct daemon *d;
	struct route_cache *cache; /* NULL: one SA only */
	const struct sa *tightest;
	uint32_t least;
};

/* 0: not known. */
static uint32_t route_mtu(struct daemon *d, struct route_cache *cache, const struct sa *sa)
{
	const struct sa_path *path = atomic_load(&sa->path);

	if (sa->conf->path_mtu)
		return sa->conf->path_mtu;
	if (sa->group)
		return interface_mtu(d, sa);
	return path && path->dst.addr.ver ? outer_mtu(d, cache, &path->dst.addr) : 0;
}

uint32_t watch_route_mtu(struct daemon *d, const struct sa *sa)
{
	uint32_t mtu = route_mtu(d, NULL, sa);

	return mtu ? mtu : SA_OUTER_MTU_DEFAULT;
}

static void look(struct sa *sa, void *arg)
{
	struct mtu_pass *m = arg;
	const struct sa_path *path = atomic_load(&sa->path);

	if (sa->dir != DIR_OUT || !sa_usable(sa) || !path || !path->dst.addr.ver)
		return;
	uint32_t outer = route_mtu(m->d, m->cache, sa);
	if (!outer && !sa->pmtu) /* no route just now: keep what we knew */
		return;
	if (!outer) /* there is none for what goes through another SA, which routers speak of all the same */
		outer = SA_OUTER_MTU_DEFAULT;
	outer = pmtu_now(sa, outer, clock_now_ns());
	uint32_t inner = sa_inner_mtu(sa, outer, path->dst.addr.ver);
	if (inner != atomic_load(&sa->inner_mtu)) {
		log_debug(LOG_SAD, "sa %s: path MTU %u, inner packets up to %u bytes",
			  sa->conf->name, outer, inner);
		atomic_store(&sa->inner_mtu, inner);
	}
	if (inner < m->least) {
		m->least = inner;
		m->tightest = sa;
	}
}

void watch_mtu_of(struct daemon *d, struct sa *sa)
{
	struct mtu_pass m = { .d = d, .least = UINT32_MAX };

	look(sa, &m);
}

void watch_mtu(struct daemon *d)
{
	struct mtu_pass m = { .d = d, .least = UINT32_MAX };

	m.cache = calloc(ROUTE_CACHE, sizeof(*m.cache));
	if (!m.cache)
		return;
	d->mtu_checked_ns = clock_now_ns();
	if (d->bridge.open) {
		bridge_look(&d->bridge, d->nl);
		plane_set_mtu(d->plane, d->bridge.mtu);
	}
	for (unsigned i = 0; i < d->n_sas; i++)
		look(d->sas[i].sa, &m);
	keying_each_sa(d->keying, look, &m);
	free(m.cache);
	if (m.tightest && d->cfg && d->cfg->tun)
		warn_tun_mtu(d, m.tightest, m.least);
}

/* ---- once a second ----------------------------------------------------------------------------
 */

/* Where it is remembered when something was last sent from here to there. Peers with the same hash
 * forget each other, which costs a keepalive too many and never one too few. */
static struct peer_sent *sent_to(struct daemon *d, const struct sa_path *path)
{
	uint32_t h = path->dst.port;

	for (unsigned i = 0; i < sizeof(path->dst.addr.b); i++)
		h = h * 31 + path->dst.addr.b[i];
	struct peer_sent *p = &d->sent[h % ARRAY_LEN(d->sent)];
	if (!endpoint_eq(&p->dst, &path->dst) || !ip_addr_eq(&p->src, &path->src))
		*p = (struct peer_sent){ .src = path->src, .dst = path->dst };
	return p;
}

/* RFC 3948 4: so that the NAT's mapping lives, something must be sent to a peer every so often;
 * only when nothing else was. */
static void keepalive(struct daemon *d, struct managed_sa *m, uint64_t now)
{
	const struct sa *sa = m->sa;
	const struct sa_path *path = atomic_load(&m->sa->path);
	uint64_t last = atomic_load(&m->sa->last_used_ns);

	if (sa->dir != DIR_OUT || sa->encap != SA_ENCAP_UDP || sa->group || !path || !path->dst.addr.ver ||
	    !sa_usable(sa))
		return;
	if (m->keepalive_ns > last)
		last = m->keepalive_ns;
	struct peer_sent *peer = sent_to(d, path);
	if (last > peer->ns)
		peer->ns = last; /* tells the other SAs of this peer */
	else
		last = peer->ns;
	/* looked at once a second: due within half of one is due now */
	if (last && now + NS_PER_S / 2 < last + d->cfg->keepalive_s * NS_PER_S)
		return;
	int rc = plane_send_keepalive(d->plane, sa);
	if (rc)
		log_debug(LOG_SAD, "sa %s: keepalive: %s", sa->conf->name, strerror(-rc));
	m->keepalive_ns = peer->ns = now;
}

static void report_drops_now(struct daemon *d, uint64_t now)
{
	static const enum log_level level[] = { [DROP_SEV_INFO] = LOG_LVL_INFO,
						[DROP_SEV_WARN] = LOG_LVL_WARN,
						[DROP_SEV_ERROR] = LOG_LVL_ERROR };
	uint64_t grown, over_s;

	for (enum drop r = DROP_NONE + 1; r < DROP_REASONS; r++) {
		const struct drop_info *i = drop_info(r);
		if (!dropwatch_step(&d->drops, r, d->now.drop.n[r], now, &grown, &over_s))
			continue;
		/* Dropped as it should be: worth a counter, not a line. */
		enum log_level l =
		    r == DROP_KEEPALIVE || r == DROP_DUMMY ? LOG_LVL_DEBUG : level[i->severity];
		if (over_s)
			log_msg(LOG_PLANE, l, "%llu packets dropped in %llu s: %s (%s)",
				(unsigned long long)grown, (unsigned long long)over_s, i->why,
				i->metric);
		else
			log_msg(LOG_PLANE, l, "%llu packet%s dropped: %s (%s)",
				(unsigned long long)grown, grown == 1 ? "" : "s", i->why,
				i->metric);
		daemon_event(d, "drops",
			     json_pack("{s:s, s:I, s:I, s:s}", "reason", i->metric, "packets",
				       (json_int_t)grown, "seconds", (json_int_t)over_s, "why",
				       i->why));
	}
}

void watch_seqs(struct daemon *d)
{
	static struct log_limit limit = { .burst = 1, .every_ns = 60 * NS_PER_S };
	uint32_t swallowed;
	int rc = d->seqs ? seqstore_tick(d->seqs) : 0;

	if (rc && log_limit_pass(&limit, &swallowed))
		log_error(LOG_SAD, "sequence numbers cannot be kept for the next start: %s",
			  strerror(-rc));
}

void watch_tick(struct daemon *d)
{
	uint64_t now = clock_now_ns();

	if (!d->plane)
		return;
	d->before = d->now;
	d->before_ns = d->now_ns;
	plane_stats(d->plane, &d->now);
	d->now_ns = now;
	for (unsigned i = 0; i < d->n_sas; i++) {
		watch_lifetime(d, d->sas[i].sa, sa_check_time(d->sas[i].sa, now), "time");
		if (d->cfg->keepalive_s)
			keepalive(d, &d->sas[i], now);
	}
	if (d->keying)
		keying_tick(d->keying, now);
	plane_tick(d->plane);
	watch_seqs(d);
	report_drops_now(d, now);
	audit_tick(d, now);
	if (plane_link_refused(d->plane) || now - d->mtu_checked_ns >= MTU_EVERY_NS) {
		group_look(d);
		watch_mtu(d);
	}
}
