/* CHILD SAs in force: tables, reqids, the end of one and what follows it. */
#include "ike/engine.h"

#include <stdlib.h>

#include "base/clock.h"
#include "ike/life.h"
#include "ike/version.h"

struct ts_list *ike_ts_dup(const struct ts_list *l)
{
	size_t len = offsetof(struct ts_list, ts) + l->n * sizeof(l->ts[0]);
	struct ts_list *d = malloc(len);

	if (d)
		memcpy(d, l, len);
	return d;
}

struct proposal *ike_proposal_dup(const struct proposal *p)
{
	size_t len = offsetof(struct proposal, alg) + p->n * sizeof(p->alg[0]);
	struct proposal *d = malloc(len);

	if (d)
		memcpy(d, p, len);
	return d;
}

struct ike_child *ike_child_by_spi(const struct ike_sa *sa, uint8_t proto, uint32_t spi_out)
{
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if ((c->proto == proto && c->spi_out == spi_out) ||
		    (proto == SA_AH && c->ah_spi_out && c->ah_spi_out == spi_out))
			return c;
	}
	return NULL;
}

struct ike_child *ike_child_by_id(const struct ike_sa *sa, uint32_t id)
{
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if (c->id == id)
			return c;
	}
	return NULL;
}

static uint64_t reqid_hash(const struct ike *ike, uint32_t reqid)
{
	struct span s = span_of(&reqid, sizeof(reqid));
	return ike_table_hash(&ike->by_reqid, &s, 1);
}

static struct ike_child *first_of_reqid(const struct ike *ike, uint32_t reqid)
{
	for (struct ike_node *n = ike_table_first(&ike->by_reqid, reqid_hash(ike, reqid)); n;
	     n = ike_table_next(n)) {
		struct ike_child *c = list_entry(n, struct ike_child, by_reqid);
		if (c->reqid == reqid)
			return c;
	}
	return NULL;
}

bool ike_reqid_used(const struct ike *ike, uint32_t reqid)
{
	return first_of_reqid(ike, reqid) != NULL;
}

struct ike_child *ike_child_by_reqid(const struct ike *ike, uint32_t reqid, uint32_t spi_in)
{
	for (struct ike_node *n = ike_table_first(&ike->by_reqid, reqid_hash(ike, reqid)); n;
	     n = ike_table_next(n)) {
		struct ike_child *c = list_entry(n, struct ike_child, by_reqid);
		if (c->reqid == reqid && c->spi_in == spi_in)
			return c;
	}
	return NULL;
}

/* A hash over selectors field by field: the structs have holes. */
static uint64_t ts_hash(const struct ike *ike, const struct ts_list *l)
{
	uint8_t b[TS_MAX * 40];
	struct wr w = wr_of(b, sizeof(b));

	for (unsigned i = 0; i < l->n; i++) {
		const struct ts *t = &l->ts[i];
		wr_bytes(&w, t->range.lo.b, 16);
		wr_bytes(&w, t->range.hi.b, 16);
		wr_u8(&w, t->range.lo.ver);
		wr_u8(&w, t->proto);
		wr_be16(&w, t->port_lo);
		wr_be16(&w, t->port_hi);
	}
	struct span v = wr_view(&w);
	return ike_table_hash(&ike->by_what, &v, 1);
}

static uint64_t what_hash(const struct ike_sa *sa, const struct ts_list *local,
			  const struct ts_list *remote)
{
	const struct ike *ike = sa->ike;
	const struct ident *id = &sa->remote_id;
	uint64_t h[2] = { ts_hash(ike, local), ts_hash(ike, remote) };
	struct span v[4] = { span_of(&sa->conn->id, sizeof(sa->conn->id)), span_of(&id->type, 1),
			     span_of(id->data, id->len), span_of(h, sizeof(h)) };
	return ike_table_hash(&ike->by_what, v, 4);
}

static bool all_of(const struct ts_list *conf, const struct ts_list *agreed)
{
	for (unsigned i = 0; i < conf->n; i++)
		if (conf->ts[i].dynamic)
			return true; /* one address, or nothing */
	return ts_within(conf, agreed);
}

/* What the peer asks for may be less than our trap is for: the trap must go on catching the rest,
 * which may not go by these SAs. */
static bool leaves_rest(const struct ike_child_conf *conf, const struct ts_list *local,
			const struct ts_list *remote)
{
	return conf->start == IKE_START_TRAP &&
	       (!all_of(&conf->local_ts, local) || !all_of(&conf->remote_ts, remote));
}

uint32_t ike_child_reqid(struct ike_sa *sa, unsigned ci, bool asked, const struct ts_list *local,
			 const struct ts_list *remote)
{
	struct ike *ike = sa->ike;
	struct ike_conn_child *cc = &sa->conn->child[ci];
	const struct ike_child_conf *conf = cc->conf;

	for (struct ike_node *n = ike_table_first(&ike->by_what, what_hash(sa, local, remote)); n;
	     n = ike_table_next(n)) {
		struct ike_child *c = list_entry(n, struct ike_child, by_what);
		if (c->sa->conn == sa->conn && c->conf == conf && ts_list_eq(c->local_ts, local) &&
		    ts_list_eq(c->remote_ts, remote) && ident_eq(&c->sa->remote_id, &sa->remote_id))
			return c->reqid;
	}
	/* the trap's own stays without SAs when it makes one for each packet's values */
	if (ike_conn_initiable(sa->conn) && !conf->pfp &&
	    (asked || !leaves_rest(conf, local, remote))) {
		if (!cc->reqid)
			cc->reqid = ++ike->last_reqid;
		if (!first_of_reqid(ike, cc->reqid))
			return cc->reqid;
	}
	return ++ike->last_reqid;
}

bool ike_child_flow(const struct ike_child *c, struct flow_key *flow)
{
	if (!c->conf->pfp || !c->local_ts->n || !c->remote_ts->n)
		return false;
	ts_to_flow(c->local_ts, c->remote_ts, flow);
	return true;
}

struct ike_child *ike_child_new(struct ike_sa *sa, const struct ts_list *local,
				const struct ts_list *remote, const struct proposal *chosen)
{
	struct ike_child *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->sa = sa;
	c->local_ts = ike_ts_dup(local);
	c->remote_ts = ike_ts_dup(remote);
	c->chosen = ike_proposal_dup(chosen);
	if (!c->local_ts || !c->remote_ts || !c->chosen || ike_far_make(c) ||
	    ike_timers_reserve(&sa->ike->timers, IKE_TIMERS_CHILD)) {
		free(c->far);
		free(c->local_ts);
		free(c->remote_ts);
		free(c->chosen);
		free(c);
		return NULL;
	}
	list_init(&c->of_sa);
	c->id = ++sa->ike->last_child_id;
	return c;
}

void ike_child_discard(struct ike_child *c)
{
	ike_timers_release(&c->sa->ike->timers, IKE_TIMERS_CHILD);
	free(c->far);
	free(c->local_ts);
	free(c->remote_ts);
	free(c->chosen);
	free(c);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

void ike_child_arm_life(struct ike_child *c)
{
	struct ike_timers *t = &c->sa->ike->timers;
	uint64_t at = earlier(earlier(c->rekey_ns, c->expire_ns), c->switch_ns);

	if (at)
		ike_timer_set(t, &c->t_life, at, ike_child_life_fire);
	else
		ike_timer_stop(t, &c->t_life);
}

void ike_child_add(struct ike_child *c)
{
	struct ike_sa *sa = c->sa;
	struct ike *ike = sa->ike;

	list_push_back(&sa->children, &c->of_sa);
	sa->n_children++;
	ike->stats.children++;
	ike_table_add(&ike->by_reqid, &c->by_reqid, reqid_hash(ike, c->reqid));
	ike_table_add(&ike->by_what, &c->by_what, what_hash(sa, c->local_ts, c->remote_ts));
	ike_far_add(c);
	ike_child_arm_life(c);
	if (c->conf->inactivity_ns)
		ike_timer_set(&ike->timers, &c->t_inactive, clock_now_ns() + c->conf->inactivity_ns,
			      ike_child_inactive_fire);
}

bool ike_child_has_sibling(const struct ike_child *c)
{
	const struct ike *ike = c->sa->ike;

	for (struct ike_node *n = ike_table_first(&ike->by_reqid, reqid_hash(ike, c->reqid)); n;
	     n = ike_table_next(n)) {
		const struct ike_child *o = list_entry(n, struct ike_child, by_reqid);
		if (o != c && o->reqid == c->reqid && o->state == IKE_CHILD_UP)
			return true;
	}
	return false;
}

struct ike_child *ike_child_crossed(const struct ike_child *c)
{
	list_for_each (l, &c->sa->children) {
		struct ike_child *o = list_entry(l, struct ike_child, of_sa);
		if (o != c && o->reqid == c->reqid && o->by_us != c->by_us &&
		    o->state == IKE_CHILD_UP && c->state == IKE_CHILD_UP)
			return o;
	}
	return NULL;
}

/* What the configuration wants after such an end. */
static enum ike_action action_of(const struct ike_child *c, enum ike_end end)
{
	if (c->sa->conn->gone || c->sa->ike->closing || c->state == IKE_CHILD_REKEYED)
		return IKE_ACTION_CLEAR;
	if (ike_child_has_sibling(c))
		return IKE_ACTION_CLEAR; /* another pair does its work */
	if (c->state == IKE_CHILD_DELETING)
		end = (enum ike_end)c->end; /* decided before, however the IKE SA ends */
	if (end == IKE_END_DEAD || end == IKE_END_EXPIRED)
		return c->conf->dpd_action;
	if (end == IKE_END_PEER)
		return c->conf->close_action;
	return IKE_ACTION_CLEAR;
}

/* -- pairs that only still receive -- */

#define DRAIN_NS (5 * NS_PER_S)

/* Packets that were on their way when a newer pair took over are accepted for some seconds. */
struct ike_drain {
	struct list link; /* ike->drains */
	struct ike *ike;
	struct ike_timer t;
	uint32_t reqid, spi_in;
	uint8_t proto;
};

static void drain_end(struct ike_drain *d)
{
	struct ike *ike = d->ike;

	ike_timer_stop(&ike->timers, &d->t);
	ike_timers_release(&ike->timers, 1);
	list_del(&d->link);
	ike->env.child_del(ike->env.ctx, d->reqid, d->proto, d->spi_in);
	free(d);
}

static void drain_fire(struct ike_timer *t)
{
	drain_end(list_entry(t, struct ike_drain, t));
}

void ike_drains_end(struct ike *ike, uint32_t reqid)
{
	list_for_each_safe (l, &ike->drains) {
		struct ike_drain *d = list_entry(l, struct ike_drain, link);
		if (!reqid || d->reqid == reqid)
			drain_end(d);
	}
}

static bool drain(const struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	struct ike_drain *d = calloc(1, sizeof(*d));

	if (!d || ike_timers_reserve(&ike->timers, 1)) {
		free(d);
		return false;
	}
	d->ike = ike;
	d->reqid = c->reqid;
	d->spi_in = c->spi_in;
	d->proto = c->proto;
	list_push_back(&ike->drains, &d->link);
	ike_timer_set(&ike->timers, &d->t, clock_now_ns() + DRAIN_NS, drain_fire);
	return true;
}

/* Which of a reqid's pairs is the best to send by: in force, then the newest. Those of but are out. */
static struct ike_child *best_of_reqid(const struct ike *ike, uint32_t reqid, const struct ike_sa *but)
{
	struct ike_child *best = NULL;

	for (struct ike_node *n = ike_table_first(&ike->by_reqid, reqid_hash(ike, reqid)); n;
	     n = ike_table_next(n)) {
		struct ike_child *c = list_entry(n, struct ike_child, by_reqid);
		if (c->reqid == reqid && c->sa != but &&
		    (!best || c->state < best->state ||
		     (c->state == best->state && c->id > best->id)))
			best = c;
	}
	return best;
}

void ike_child_set_carrier(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;

	for (struct ike_node *n = ike_table_first(&ike->by_reqid, reqid_hash(ike, c->reqid)); n;
	     n = ike_table_next(n)) {
		struct ike_child *o = list_entry(n, struct ike_child, by_reqid);
		if (o->reqid == c->reqid)
			o->carries = false;
	}
	c->carries = true;
	c->switch_ns = 0;
}

void ike_child_switch(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;

	ike_child_set_carrier(c);
	ike->env.child_switch(ike->env.ctx, c->reqid, c->proto, c->spi_in);
}

void ike_children_hand_over(struct ike_sa *sa)
{
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		struct ike_child *other =
		    c->carries ? best_of_reqid(sa->ike, c->reqid, sa) : NULL;
		if (other)
			ike_child_switch(other);
	}
}

/* Out of the SAD, which it has left in our tables already: traffic goes on by a pair that stays. */
static void take_out(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	struct ike_child *other = best_of_reqid(ike, c->reqid, NULL);

	if (other && c->carries)
		ike_child_switch(other);
	if (!other)
		ike_drains_end(ike, c->reqid);
	if (!other || ike->closing || !drain(c))
		ike->env.child_del(ike->env.ctx, c->reqid, c->proto, c->spi_in);
}

void ike_child_close(struct ike_child *c, enum ike_end end, const char *why)
{
	struct ike_sa *sa = c->sa;
	struct ike *ike = sa->ike;
	struct ike_conn *conn = sa->conn;
	enum ike_action action = action_of(c, end);
	unsigned ci = ike_conn_child_index(conn, c->conf);
	struct flow_key flow;
	bool tell = c->state != IKE_CHILD_REKEYED && end != IKE_END_REPLACED && end != IKE_END_EXIT;

	ike_sa_log(sa, LOG_LVL_DEBUG, "child %s, SPIs %08x_i %08x_o, ends: %s", c->conf->name,
		   c->spi_in, c->spi_out, why ? why : "closed");
	/* the trap is there before the policies go: no packet leaves in the clear in between */
	if (action != IKE_ACTION_CLEAR)
		ike_conn_trap(conn, ci);
	bool pfp = ike_child_flow(c, &flow);
	ike_table_del(&ike->by_reqid, &c->by_reqid);
	ike_table_del(&ike->by_what, &c->by_what);
	ike_far_del(c);
	ike_timer_stop(&ike->timers, &c->t_life);
	ike_timer_stop(&ike->timers, &c->t_inactive);
	list_del(&c->of_sa);
	sa->n_children--;
	ike->stats.children--;
	take_out(c);
	if (tell)
		ike_tell(ike, IKE_EV_CHILD_DOWN, NULL, sa, c, 0, "%s", why ? why : "closed");
	ike_child_discard(c);
	if (action == IKE_ACTION_RESTART)
		ike_conn_want(conn, ci, 0, pfp ? &flow : NULL);
	if (!sa->n_children && !sa->over)
		ike_version(sa)->childless(sa);
}

void ike_child_set_rekeyed(struct ike_child *old, struct ike_child *by)
{
	old->state = IKE_CHILD_REKEYED;
	ike_tell(old->sa->ike, IKE_EV_CHILD_REKEYED, NULL, by->sa, by, 0, "rekeyed");
}
