/*
 * Connections while the engine runs: starting one (names looked up, our address found, an IKE SA
 * made), trying again, traps.
 */
#include "ike/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/version.h"

#define RETRY_FIRST_NS (1 * NS_PER_S)
#define RETRY_MAX_NS   (300 * NS_PER_S)

int ike_conns_add(struct ike *ike, struct ike_conf *conf, const struct ike_conn_conf *conn)
{
	struct ike_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->resolved = calloc(conn->n_local + conn->n_remote + 1, sizeof(*c->resolved));
	if (!c->resolved || ike_conn_children_init(c, conf, conn) ||
	    ike_timers_reserve(&ike->timers, IKE_TIMERS_CONN)) {
		ike_conn_children_fini(c);
		free(c->resolved);
		free(c);
		return -ENOMEM;
	}
	c->ike = ike;
	c->owner = ike_conf_ref(conf);
	c->conf = conn;
	c->id = ++ike->last_conn_id;
	c->refs = 1;
	list_init(&c->sas);
	list_init(&c->wanted);
	list_push_back(&ike->conns, &c->link);
	return 0;
}

void ike_conn_ref(struct ike_conn *c)
{
	c->refs++;
}

void ike_conn_unref(struct ike_conn *c)
{
	if (--c->refs)
		return;
	ike_timers_release(&c->ike->timers, IKE_TIMERS_CONN);
	ike_conn_children_fini(c);
	ike_conf_unref(&c->owner);
	free(c->resolved);
	free(c->last_error);
	free(c);
}

struct ike_conn *ike_conn_find(const struct ike *ike, const char *name)
{
	list_for_each (l, &ike->conns) {
		struct ike_conn *c = list_entry(l, struct ike_conn, link);
		if (strcmp(c->conf->name, name) == 0)
			return c;
	}
	return NULL;
}

void ike_conn_remember(struct ike_conn *c, const char *text)
{
	free(c->last_error);
	c->last_error = strdup(text);
	c->last_error_wall_ns = clock_wall_ns();
}

void ike_conn_failed(struct ike_conn *c, struct ike_sa *sa, uint64_t order, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ike_conn_remember(c, text);
	if (sa)
		ike_sa_log(sa, LOG_LVL_WARN, "%s", text);
	else
		log_warn(LOG_IKE, "conn %s: %s", c->conf->name, text);
	if (order)
		ike_order_done(c->ike, order, c, sa, false, text);
	else
		ike_tell(c->ike, IKE_EV_FAILED, c, sa, NULL, 0, "%s", text);
}

bool ike_conn_initiable(const struct ike_conn *c)
{
	for (unsigned i = 0; i < c->conf->n_remote; i++) {
		const struct ike_host *h = &c->conf->remote[i];
		if (h->name || (h->range.lo.ver && !ip_addr_is_any(&h->range.lo) &&
				ip_addr_eq(&h->range.lo, &h->range.hi)))
			return true;
	}
	return false;
}

/* -- starting -- */

struct lookup {
	struct ike_lookup l;
	struct ike *ike;
	struct ike_conn *conn; /* counted */
	uint32_t sa_id;
	unsigned host; /* in conn->resolved */
};

static void start_fail(struct ike_sa *sa, const char *why)
{
	ike_sa_kill(sa, IKE_END_DEAD, why);
}

static void looked_up(struct ike_lookup *l, const struct ip_addr *addr, unsigned n,
		      const char *why);

/* The next name of the connection that this attempt needs; UINT32_MAX: all are there. */
static unsigned next_name(const struct ike_conn_conf *f, unsigned from)
{
	for (unsigned i = from; i < f->n_local + f->n_remote; i++)
		if (i < f->n_local ? f->local[i].name : f->remote[i - f->n_local].name)
			return i;
	return UINT32_MAX;
}

/* The n-th usable address of the peer. */
static bool nth_peer_addr(const struct ike_conn *c, unsigned n, struct ip_addr *out)
{
	const struct ike_conn_conf *f = c->conf;

	for (unsigned i = 0; i < f->n_remote; i++) {
		const struct ip_range *r = &f->remote[i].range;
		if (f->remote[i].name)
			*out = c->resolved[f->n_local + i];
		else if (r->lo.ver && !ip_addr_is_any(&r->lo) && ip_addr_eq(&r->lo, &r->hi))
			*out = r->lo;
		else
			continue;
		if (out->ver && n-- == 0)
			return true;
	}
	return false;
}

/* Where this attempt goes: to each of the peer's addresses in turn. */
static bool peer_addr(const struct ike_conn *c, struct ip_addr *out)
{
	unsigned n = 0;

	while (nth_peer_addr(c, n, out))
		n++;
	return n > 0 && nth_peer_addr(c, c->tries % n, out);
}

/* Our address towards the peer: the configured one of its version, else the route's. */
static int own_addr(const struct ike_conn *c, const struct ip_addr *peer, struct ip_addr *out)
{
	const struct ike_conn_conf *f = c->conf;

	for (unsigned i = 0; i < f->n_local; i++) {
		const struct ip_range *r = &f->local[i].range;
		if (f->local[i].name)
			*out = c->resolved[i];
		else if (r->lo.ver && ip_addr_eq(&r->lo, &r->hi))
			*out = r->lo;
		else
			continue;
		if (out->ver == peer->ver && !ip_addr_is_any(out))
			return 0;
	}
	return c->ike->env.source(c->ike->env.ctx, peer, out);
}

static void begin(struct ike_sa *sa)
{
	struct ike_conn *c = sa->conn;
	char peer[IP_ADDR_STRLEN], why[160];

	if (!peer_addr(c, &sa->remote.addr)) {
		start_fail(sa, "its remote_addrs name no single peer to connect to: set an address "
			       "or a name there, or let the peer start");
		return;
	}
	sa->remote.port = c->conf->remote_port;
	sa->local.port = c->conf->local_port;
	if (own_addr(c, &sa->remote.addr, &sa->local.addr)) {
		snprintf(why, sizeof(why), "there is no route to the peer %s",
			 ip_addr_format(&sa->remote.addr, peer));
		start_fail(sa, why);
		return;
	}
	/* RFC 7296 2.23: over 4500 everything is encapsulated from the start */
	sa->marker = sa->remote.port != 500 || sa->local.port == ike_port_nat_t(c->ike->conf);
	ike_version(sa)->start(sa);
}

static void look_up(struct ike_sa *sa, unsigned host)
{
	struct ike *ike = sa->ike;
	const struct ike_conn_conf *f = sa->conn->conf;
	const char *name =
	    host < f->n_local ? f->local[host].name : f->remote[host - f->n_local].name;
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l) {
		start_fail(sa, "out of memory");
		return;
	}
	l->l.done = looked_up;
	l->ike = ike;
	l->conn = sa->conn;
	ike_conn_ref(l->conn);
	l->sa_id = sa->id;
	l->host = host;
	ike->env.resolve(ike->env.ctx, name, &l->l);
}

static void looked_up(struct ike_lookup *il, const struct ip_addr *addr, unsigned n,
		      const char *why)
{
	struct lookup *l = list_entry(il, struct lookup, l);
	struct ike *ike = l->ike;
	struct ike_sa *sa;
	char text[320];

	ike_enter(ike);
	sa = ike_sa_by_id(ike, l->sa_id);
	l->conn->resolved[l->host] = n ? addr[0] : (struct ip_addr){ .ver = 0 };
	if (sa && !sa->over && n == 0) {
		snprintf(text, sizeof(text), "the name of the peer could not be looked up: %s",
			 why);
		start_fail(sa, text);
	} else if (sa && !sa->over) {
		unsigned next = next_name(l->conn->conf, l->host + 1);
		if (next == UINT32_MAX)
			begin(sa);
		else
			look_up(sa, next);
	}
	ike_conn_unref(l->conn);
	free(l);
	ike_leave(ike);
}

struct ike_sa *ike_conn_start(struct ike_conn *c, const struct ike_sa *old)
{
	struct ike *ike = c->ike;
	/* version = 0 starts with 2; what replaces an SA is of its version */
	uint8_t major = old ? old->major : c->conf->version == 1 ? 1 : 2;
	struct ike_sa *sa = ike_sa_new(ike, c, true, major);

	ike_timer_stop(&ike->timers, &c->t_retry);
	if (!sa) {
		ike_conn_failed(c, NULL, 0, "an IKE SA could not be made: out of memory");
		return NULL;
	}
	sa->made_by_us = true;
	sa->replaces = old ? old->id : 0;
	while (!old && !list_empty(&c->wanted)) {
		struct list *w = c->wanted.next;
		list_del(w);
		list_push_back(&sa->wants, w);
	}
	ike_version(sa)->created(sa);
	unsigned host = next_name(c->conf, 0);
	if (host == UINT32_MAX)
		begin(sa);
	else
		look_up(sa, host);
	return sa->over ? NULL : sa;
}

/* The SA that a want can go to: established before connecting. */
static struct ike_sa *usable_sa(const struct ike_conn *c)
{
	struct ike_sa *best = NULL;

	list_for_each (l, &c->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (sa->over || sa->replaces || sa->replaced)
			continue;
		if (sa->state == IKE_ST_UP)
			return sa;
		if (sa->initiator && sa->state != IKE_ST_REKEYED && sa->state != IKE_ST_DELETING)
			best = sa;
	}
	return best;
}

/* flow NULL: for whatever flow. */
static struct ike_want *find_want(struct list *wants, unsigned ci, const struct flow_key *flow)
{
	list_for_each (l, wants) {
		struct ike_want *w = list_entry(l, struct ike_want, link);
		if (w->ci == ci && (!flow || (w->acquired && flow_key_eq(&w->flow, flow))))
			return w;
	}
	return NULL;
}

static bool pfp(const struct ike_conn *c, unsigned ci)
{
	return ci != IKE_WANT_SA && c->child[ci].conf->pfp;
}

void ike_want_fail(struct ike_conn *c, struct ike_want *w, const char *why)
{
	struct ike *ike = c->ike;

	if (w->order)
		ike_order_done(ike, w->order, c, NULL, false, why);
	ike_acquire_over(c, w->ci, false);
	if (w->ci != IKE_WANT_SA)
		c->child[w->ci].unwanted = false;
	free(w);
}

void ike_acquire_over(struct ike_conn *c, unsigned ci, bool up)
{
	if (ci == IKE_WANT_SA || (!c->child[ci].acquiring && !pfp(c, ci)))
		return;
	c->child[ci].acquiring = false;
	if (!up && c->child[ci].reqid)
		c->ike->env.acquire_failed(c->ike->env.ctx, c->child[ci].reqid);
}

void ike_want_done(struct ike_conn *c, struct ike_want *w, const struct ike_sa *sa)
{
	ike_acquire_over(c, w->ci, true);
	ike_order_done(c->ike, w->order, c, sa, true, "done");
	free(w);
}

void ike_conn_want(struct ike_conn *c, unsigned ci, uint64_t order, const struct flow_key *flow)
{
	struct ike *ike = c->ike;
	struct ike_sa *sa = usable_sa(c);
	struct ike_want *w = NULL;

	if (ike->closing || c->gone || (ci != IKE_WANT_SA && c->child[ci].gone))
		return;
	if (ci != IKE_WANT_SA)
		c->child[ci].unwanted = false;
	/* packets with other values need other children */
	const struct flow_key *same = pfp(c, ci) ? flow : NULL;
	if (!order && sa && sa->state != IKE_ST_UP)
		w = find_want(&sa->wants, ci, same);
	else if (!order && !sa)
		w = find_want(&c->wanted, ci, same);
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w) {
			ike_order_done(ike, order, c, NULL, false, "out of memory");
			return;
		}
		w->ci = ci;
		w->order = order;
		if (flow) {
			w->acquired = true;
			w->flow = *flow;
		}
		if (sa) {
			ike_sa_want(sa, w);
			return;
		}
		list_push_back(&c->wanted, &w->link);
	}
	/* An order does not wait for the next attempt of its own accord; all else does. */
	if (!sa && (order || !ike_timer_on(&c->t_retry)))
		ike_conn_start(c, NULL);
}

static void retry_fire(struct ike_timer *t)
{
	struct ike_conn *c = list_entry(t, struct ike_conn, t_retry);

	if (!list_empty(&c->wanted) && !c->gone)
		ike_conn_start(c, NULL);
}

static uint64_t back_off(uint32_t tries)
{
	uint64_t ns = tries > 8 ? RETRY_MAX_NS : RETRY_FIRST_NS << tries;

	return ike_jitter(ns < RETRY_MAX_NS ? ns : RETRY_MAX_NS, ns / 4);
}

/* Will this want be tried again? */
static bool keep_want(const struct ike_conn *c, const struct ike_want *w, bool rejected, bool more)
{
	if (!more || c->gone || c->ike->closing || (w->ci != IKE_WANT_SA && c->child[w->ci].gone))
		return false;
	if (w->order && rejected)
		return false;
	return !w->acquired;
}

void ike_conn_attempt_failed(struct ike_conn *c, struct list *wants, bool rejected, const char *why)
{
	struct ike *ike = c->ike;
	uint32_t tries = c->conf->keyingtries;

	c->tries++;
	bool more = tries == 0 || c->tries < tries;
	uint64_t wait = back_off(c->tries - 1);
	if (!ike->closing)
		ike_conn_failed(c, NULL, 0, "%s", why);
	while (!list_empty(wants)) {
		struct ike_want *w = list_entry(wants->next, struct ike_want, link);
		list_del(&w->link);
		if (!keep_want(c, w, rejected, more)) {
			bool start = w->ci != IKE_WANT_SA && more && !c->gone && !ike->closing &&
				     !c->child[w->ci].gone &&
				     c->child[w->ci].conf->start == IKE_START_START;
			unsigned ci = w->ci;
			ike_want_fail(c, w, why);
			if (!start || find_want(&c->wanted, ci, NULL))
				continue;
			w = calloc(1, sizeof(*w));
			if (!w)
				continue;
			w->ci = ci;
		} else if (w->order) {
			ike_tell(ike, IKE_EV_PROGRESS, c, NULL, NULL, w->order,
				 "attempt %u failed: %s; trying again in %u s", c->tries, why,
				 (unsigned)(wait / NS_PER_S));
		}
		list_push_back(&c->wanted, &w->link);
	}
	if (!more)
		c->tries = 0;
	/* also without anything wanted: packets do not start attempts faster than this */
	if (!c->gone && !ike->closing)
		ike_timer_set(&ike->timers, &c->t_retry, clock_now_ns() + wait, retry_fire);
}

/* -- traps and the configured start -- */

void ike_conn_trap(struct ike_conn *c, unsigned ci)
{
	struct ike *ike = c->ike;
	struct ike_conn_child *cc = &c->child[ci];
	char why[256] = "";

	if (cc->trapped || c->gone || cc->gone || !ike_conn_initiable(c))
		return;
	if (!cc->reqid)
		cc->reqid = ++ike->last_reqid;
	if (ike->env.trap_add(ike->env.ctx, cc->reqid, c->conf, cc->conf, why,
			      sizeof(why)))
		ike_conn_failed(c, NULL, 0, "child %s: its trap could not be set up: %s",
				cc->conf->name, why);
	else
		cc->trapped = true;
}

void ike_conn_untrap(struct ike_conn *c, unsigned ci)
{
	struct ike_conn_child *cc = &c->child[ci];

	if (cc->trapped)
		c->ike->env.trap_del(c->ike->env.ctx, cc->reqid);
	cc->trapped = false;
}

void ike_conn_start_child(struct ike_conn *c, unsigned ci)
{
	if (c->child[ci].conf->start == IKE_START_TRAP)
		ike_conn_trap(c, ci);
	if (c->child[ci].conf->start == IKE_START_START)
		ike_conn_want(c, ci, 0, NULL);
}

void ike_conn_start_actions(struct ike_conn *c)
{
	for (unsigned k = 0; k < c->n_live; k++)
		ike_conn_start_child(c, c->live[k]);
}

void ike_conn_close(struct ike_conn *c)
{
	struct ike *ike = c->ike;

	if (c->gone)
		return;
	c->gone = true;
	ike_timer_stop(&ike->timers, &c->t_retry);
	while (!list_empty(&c->wanted)) {
		struct ike_want *w = list_entry(c->wanted.next, struct ike_want, link);
		list_del(&w->link);
		ike_want_fail(c, w, "the connection is no longer configured");
	}
	for (unsigned i = 0; i < c->n_child; i++)
		ike_conn_untrap(c, i);
	list_for_each_safe (l, &c->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (sa->state == IKE_ST_UP)
			ike_version(sa)->sa_delete(sa, IKE_END_ORDER, 0);
		else if (sa->state != IKE_ST_DELETING &&
			 (sa->state != IKE_ST_REKEYED || sa->major == 1))
			ike_sa_kill(sa, IKE_END_ORDER, "the connection is no longer configured");
	}
	list_del(&c->link);
	ike_conn_unref(c);
}

void ike_acquire(struct ike *ike, uint32_t reqid, const struct flow_key *flow)
{
	ike_enter(ike);
	list_for_each (l, &ike->conns) {
		struct ike_conn *c = list_entry(l, struct ike_conn, link);
		for (unsigned i = 0; i < c->n_child; i++) {
			struct ike_conn_child *cc = &c->child[i];
			if (cc->reqid != reqid || !cc->trapped || cc->acquiring)
				continue;
			cc->acquiring = !pfp(c, i);
			if (ike_timer_on(&c->t_retry) && list_empty(&c->wanted))
				ike_acquire_over(c, i, false); /* it failed a moment ago */
			else
				ike_conn_want(c, i, 0, flow);
			goto out;
		}
	}
out:
	ike_leave(ike);
}
