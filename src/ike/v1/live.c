/*
 * The life of a phase 1: begun, replaced before its time, deleted by either side. Children do not
 * end with it: when the peer deletes phase 1 alone they go on without keys to negotiate by, until
 * the next phase 1 with this peer takes them over, or they end themselves (RFC 2409 3: phase 2 SAs
 * outlive phase 1; RFC 2408 5.15).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "ike/life.h"
#include "ike/v1/quick.h"
#include "ike/version.h"

#define BACK_NS  (5 * NS_PER_S) /* one that came back is replaced so soon */
#define LATE_MAX 4 /* so often one that was left waits for what the peer made under it */

void v1_sa_created(struct ike_sa *sa)
{
	v1_set_state(sa, sa->initiator ? IKE_ST_INIT_I : IKE_ST_NONE);
}

void v1_start(struct ike_sa *sa)
{
	char peer[ENDPOINT_STRLEN];
	struct v1_sa *v = v1_sa_new(sa);

	if (!v) {
		ike_sa_kill(sa, IKE_END_FAILED, "out of memory");
		return;
	}
	list_for_each (l, &sa->wants) {
		const struct ike_want *w = list_entry(l, struct ike_want, link);
		if (w->order)
			ike_tell(sa->ike, IKE_EV_PROGRESS, NULL, sa, NULL, w->order,
				 "connecting to %s", endpoint_format(&sa->remote, peer));
	}
	v1_cookie_make(sa);
	v->proof[0] = v->proof[1] =
	    sa->conn->conf->auth.method == IKE_BY_PSK ? V1_PROOF_PSK : V1_PROOF_SIG;
	v->p1.exchange = v1_exchange_of(sa->conn->conf);
	ike_sa_log(sa, LOG_LVL_INFO, "connecting by %s", v1_exchange_name(v->p1.exchange));
	v1_pump(sa);
}

void v1_sa_fini(struct ike_sa *sa)
{
	struct v1_sa *v = sa->v1;

	if (!v)
		return;
	if (v->flying)
		ike_work_abandon(v->flying);
	v->flying = NULL;
	ike_timer_stop(&sa->ike->timers, &v->p1.t_again);
	list_for_each (l, &v->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		ike_timer_stop(&x->ike->timers, &x->t_again);
		if (x->order)
			ike_order_done(x->ike, x->order, sa->conn, sa, false,
				       "the IKE SA ended first");
		x->order = 0;
		if (x->asked && x->replaces && !x->ended)
			v1_quick_retry(x);
		if (x->asked && x->child && !x->replaces && !x->ended)
			ike_acquire_over(sa->conn, x->child->ci, false);
		v1_quick_left(x);
		/* SPIs are given back while the engine is whole */
		if (!x->running)
			child_nego_free(&x->child);
	}
	ike_order_done(sa->ike, v->order, sa->conn, sa, true, "closed");
	v->order = 0;
	v1_cfg_fini(sa);
}

void v1_sa_free(struct ike_sa *sa)
{
	struct v1_sa *v = sa->v1;

	if (!v)
		return;
	while (!list_empty(&v->exchanges))
		v1_exchange_free(list_entry(v->exchanges.next, struct v1_exchange, link));
	v1_exchange_free(&v->p1);
	while (!list_empty(&v->held)) {
		struct v1_held *h = list_entry(v->held.next, struct v1_held, link);
		list_del(&h->link);
		free(h);
	}
	v1_frags_reset(&v->frags);
	v1_phase1_free(&v->ph);
	free(v->used);
	free(v->got);
	free(v);
	sa->v1 = NULL;
}

/* -- ends -- */

/* What is under way goes on under the old one, as long as that is there. */
void v1_take_children(struct ike_sa *to, struct ike_sa *from)
{
	v1_cfg_inherit(to, from);
	ike_sa_move_children(from, to);
}

/* Another phase 1 with the peer, that is in force; rather one that is not left. */
static struct ike_sa *other(const struct ike_sa *sa)
{
	struct ike_sa *best = NULL;

	for (struct ike_sa *t = NULL; (t = ike_sa_twin(sa, t));)
		if (t->major == 1 && t->state == IKE_ST_UP && !t->over &&
		    ip_addr_eq(&t->remote.addr, &sa->remote.addr) && (!best || best->replaced))
			best = t;
	return best;
}

/* They are made anew within so long, by Quick Modes under this SA. */
void v1_renew_children(struct ike_sa *sa, uint64_t within)
{
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		uint64_t at = clock_now_ns() + ike_jitter(within, within / 2);
		if (c->state != IKE_CHILD_UP || (c->rekey_ns && c->rekey_ns < at))
			continue;
		c->rekey_ns = at;
		ike_child_arm_life(c);
	}
}

/*
 * Children that the peer made under a phase 1 that we have left, as one may whose own choice was
 * the other: should they end there with it, nobody would tell us. So they are made anew under what
 * we have chosen, and only then it goes.
 */
static bool late_children(struct ike_sa *sa)
{
	struct ike_sa *to = sa->n_children ? other(sa) : NULL;
	uint64_t wait = v1_left_wait(sa->conn->conf);

	if (!to || to->replaced || ++sa->v1->late > LATE_MAX)
		return false;
	v1_take_children(to, sa);
	v1_renew_children(to, wait / 2);
	sa->over_ns = clock_now_ns() + wait;
	ike_sa_arm_life(sa);
	return true;
}

/* Keys are gone, children stay. */
static void go_keyless(struct ike_sa *sa)
{
	struct ike_timers *t = &sa->ike->timers;
	struct v1_sa *v = sa->v1;

	ike_sa_log(
	    sa, LOG_LVL_NOTICE,
	    "the IKE SA is gone; its children stay until they end or a new IKE SA takes them "
	    "over");
	v->keyless = true;
	sa->rekey_ns = sa->reauth_ns = sa->over_ns = sa->childless_ns = 0;
	ike_timer_stop(t, &sa->t_life);
	ike_timer_stop(t, &sa->t_idle);
	while (!list_empty(&v->exchanges)) {
		struct v1_exchange *x = list_entry(v->exchanges.next, struct v1_exchange, link);
		if (x->asked && !x->ended)
			v1_quick_failed(x, "the IKE SA was deleted");
		v1_quick_left(x);
		v1_exchange_free(x);
	}
	v1_set_state(sa, IKE_ST_REKEYED);
	keymat_free(&sa->keys);
}

/* It was left for another, which is gone: it stays, until there is one that both know. */
static void come_back(struct ike_sa *sa)
{
	uint64_t now = clock_now_ns();

	if (!sa->replaced)
		return;
	sa->replaced = false;
	sa->rekey_ns = now + ike_jitter(BACK_NS, BACK_NS);
	sa->over_ns = now + IKE_LEFT_BEHIND;
	ike_sa_arm_life(sa);
}

/* Another phase 1 with the peer takes the children at once, if there is one. */
static bool hand_on(struct ike_sa *sa)
{
	struct ike_sa *to = other(sa);

	if (!to)
		return false;
	if (sa->n_children || to->n_children)
		come_back(to);
	v1_take_children(to, sa);
	return true;
}

void v1_peer_deleted(struct ike_sa *sa)
{
	if (!sa->counted) {
		ike_sa_kill(sa, IKE_END_FAILED, "deleted by the peer");
		return;
	}
	if (hand_on(sa)) {
		ike_sa_kill(sa, IKE_END_REPLACED, NULL);
		return;
	}
	if (!sa->n_children) {
		ike_sa_kill(sa, IKE_END_PEER, NULL);
		return;
	}
	/* both sides had two, and each deleted what the other kept */
	bool crossed = sa->v1->met_ns && clock_now_ns() - sa->v1->met_ns < IKE_LEFT_BEHIND;
	go_keyless(sa);
	if (crossed)
		v1_sa_rekey(sa, 0);
}

void v1_keyless_check(struct ike_sa *sa)
{
	if (sa->v1->keyless && !sa->n_children && !sa->over)
		ike_sa_kill(sa, IKE_END_REPLACED, NULL);
}

void v1_childless(struct ike_sa *sa)
{
	uint64_t timeout = sa->conn->conf->childless_timeout_ns;

	if (!timeout || sa->n_children || sa->over || sa->v1->keyless)
		return;
	sa->childless_ns = clock_now_ns() + timeout;
	ike_sa_arm_life(sa);
}

/* The last child ended or went elsewhere. */
static void childless(struct ike_sa *sa)
{
	v1_keyless_check(sa);
	v1_childless(sa);
}

/* Is a child on its way, or what comes before one? */
static bool child_coming(const struct ike_sa *sa)
{
	if (sa->v1->stage != V1_STAGE_NONE || !list_empty(&sa->wants))
		return true;
	list_for_each (l, &sa->v1->exchanges)
		if (!list_entry(l, struct v1_exchange, link)->ended)
			return true;
	return false;
}

static void still_childless(struct ike_sa *sa)
{
	if (sa->n_children || sa->replaced || sa->state != IKE_ST_UP)
		return;
	if (child_coming(sa)) {
		v1_childless(sa);
		return;
	}
	v1_delete_notice(sa, NULL);
	ike_sa_kill(sa, IKE_END_ORDER, "it has had no children for the childless_timeout");
}

void v1_sa_delete(struct ike_sa *sa, enum ike_end end, uint64_t order)
{
	struct ike *ike = sa->ike;

	if (sa->replaced && end == IKE_END_REPLACED && !sa->over && late_children(sa))
		return;
	if (sa->replaced && end == IKE_END_REPLACED && !sa->over && !hand_on(sa) &&
	    sa->n_children) {
		come_back(sa);
		return;
	}
	if (!sa->over && sa->state == IKE_ST_UP) {
		if (end != IKE_END_EXPIRED && end != IKE_END_REPLACED)
			list_for_each (l, &sa->children)
				v1_delete_notice(sa, list_entry(l, struct ike_child, of_sa));
		v1_delete_notice(sa, NULL);
	}
	/* phase 1 is over, not what it made */
	if (!sa->over && end == IKE_END_EXPIRED && sa->n_children && sa->state == IKE_ST_UP) {
		ike_order_done(ike, order, sa->conn, sa, true, "closed");
		go_keyless(sa);
		return;
	}
	ike_enter(ike);
	if (!sa->over)
		ike_sa_kill(sa, end, NULL);
	ike_order_done(ike, order, sa->conn, sa, true, "closed");
	ike_leave(ike);
}

void v1_child_delete(struct ike_child *c, enum ike_end end, uint64_t order)
{
	struct ike_sa *sa = c->sa;

	v1_delete_notice(sa, c);
	if (c->state == IKE_CHILD_REKEYED)
		end = IKE_END_REPLACED;
	ike_enter(sa->ike);
	ike_child_close(c, end, NULL);
	ike_order_done(sa->ike, order, sa->conn, sa, true, "closed");
	ike_leave(sa->ike);
}

/* -- a new one in time -- */

static bool under_way(const struct ike_sa *sa)
{
	list_for_each (l, &sa->conn->sas) {
		const struct ike_sa *n = list_entry(l, struct ike_sa, of_conn);
		if (n->replaces == sa->id && !n->over)
			return true;
	}
	return false;
}

/* A new one to where the peer is now, when the configuration does not say where that is. */
static struct ike_sa *call_back(const struct ike_sa *sa)
{
	struct ike_sa *new = ike_sa_new(sa->ike, sa->conn, true, 1);

	if (!new)
		return NULL;
	new->made_by_us = true;
	new->replaces = sa->id;
	new->local = sa->local;
	new->remote = sa->remote;
	new->marker = sa->marker;
	v1_sa_created(new);
	v1_start(new);
	return new->over ? NULL : new;
}

void v1_sa_rekey(struct ike_sa *sa, uint64_t order)
{
	struct ike_conn *conn = sa->conn;
	struct ike_want *w;

	sa->rekey_ns = sa->reauth_ns = 0;
	if (under_way(sa) || sa->over || sa->replaced || sa->ike->closing) {
		ike_order_done(sa->ike, order, conn, sa, true, "it is being replaced already");
		return;
	}
	ike_sa_log(sa, LOG_LVL_INFO, "making a new IKE SA beside this one");
	struct ike_sa *new = ike_conn_initiable(conn) ? ike_conn_start(conn, sa) : call_back(sa);
	if (!new) {
		ike_order_done(sa->ike, order, conn, sa, false, "the new IKE SA could not be made");
		return;
	}
	w = order ? calloc(1, sizeof(*w)) : NULL;
	if (!w)
		return;
	w->ci = IKE_WANT_SA;
	w->order = order;
	ike_sa_want(new, w);
}

/* The wait of a state is over: a refusal stays unrefuted, or a peer did not go on. */
void v1_sa_again_fire(struct ike_timer *t)
{
	struct ike_sa *sa = list_entry(t, struct ike_sa, t_again);
	const struct v1_phase1 *ph = sa->v1 ? sa->v1->ph : NULL;

	if (sa->v1 && sa->v1->stage == V1_STAGE_CFG)
		v1_cfg_missed(sa);
	if (!ph)
		return;
	if (sa->v1->proved)
		ike_sa_kill(sa, IKE_END_ORDER, "the peer has proved who it is");
	else if (sa->v1->stage == V1_STAGE_XAUTH && sa->initiator)
		ike_sa_kill(sa, IKE_END_FAILED,
			    "the peer never asked for our user name (XAUTH)");
	else if (sa->initiator && ph->give_up_ns)
		ike_sa_kill(sa, IKE_END_FAILED, ph->refusal);
	else if (!sa->initiator)
		ike_sa_kill(sa, IKE_END_FAILED,
			    ph->refusal[0] ? ph->refusal
					   : "the peer began a negotiation and did not go on");
}

/* Both sides began at once: the one with the lower cookie goes, so both choose the same. What stays
 * looks again later: there may be more than two. */
static void tidy(struct ike_sa *sa)
{
	struct ike_sa *low, *high;

	for (struct ike_sa *t = NULL; sa->state == IKE_ST_UP && (t = ike_sa_twin(sa, t));) {
		if (t->major != 1 || t->state != IKE_ST_UP ||
		    !ip_addr_eq(&t->remote.addr, &sa->remote.addr))
			continue;
		low = memcmp(sa->spi_i, t->spi_i, 8) < 0 ? sa : t;
		high = low == sa ? t : sa;
		v1_take_children(high, low);
		ike_sa_tidy_later(high);
		v1_sa_delete(low, IKE_END_REPLACED, 0);
		return;
	}
}

static size_t bytes(const struct ike_sa *sa)
{
	const struct v1_sa *v = sa->v1;
	size_t n = v ? sizeof(*v) + v->room_used * sizeof(*v->used) + v->frags.bytes : 0;

	if (v && v->p1.sent.n)
		n += v->p1.sent.off[v->p1.sent.n];
	return n;
}

static struct ike_work **flying(struct ike_sa *sa)
{
	return &sa->v1->flying;
}

const struct ike_version v1_version = {
	.created = v1_sa_created,
	.start = v1_start,
	.fini = v1_sa_fini,
	.free = v1_sa_free,
	.want = v1_want,
	.sa_rekey = v1_sa_rekey,
	.sa_reauth = v1_sa_rekey,
	.sa_delete = v1_sa_delete,
	.child_rekey = v1_child_rekey,
	.child_delete = v1_child_delete,
	.child_keys = v1_child_keys,
	.ah_keys = v1_ah_keys,
	.childless = childless,
	.still_childless = still_childless,
	.tidy = tidy,
	.probe = v1_dpd_ask,
	.bytes = bytes,
	.again_fire = v1_sa_again_fire,
	.flying = flying,
	.work_done = v1_work_done,
};
