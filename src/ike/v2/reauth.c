/*
 * Reauthentication, make before break (RFC 7296 2.8.3): a new IKE SA from scratch, with its
 * children, beside the old one; when all of them are up the old SA is deleted. New children have
 * the reqid of the old ones, so that traffic goes over without a gap.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v2/rekey.h"

#define ON_ITS_WAY_NS (NS_PER_S / 2)

/* The new SA that is being made for sa, or NULL. */
static struct ike_sa *under_way(const struct ike_sa *sa)
{
	list_for_each (l, &sa->conn->sas) {
		struct ike_sa *n = list_entry(l, struct ike_sa, of_conn);
		if (n->replaces == sa->id && !n->over)
			return n;
	}
	return NULL;
}

static bool wanted(const struct ike_sa *sa, unsigned ci)
{
	list_for_each (l, &sa->wants)
		if (list_entry(l, struct ike_want, link)->ci == ci)
			return true;
	return false;
}

static void want(struct ike_sa *sa, unsigned ci, uint64_t order, const struct flow_key *flow)
{
	struct ike_want *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	w->ci = ci;
	w->order = order;
	if (flow) {
		w->acquired = true;
		w->flow = *flow;
	}
	ike_sa_want(sa, w);
}

/* What is up on the old SA is to be up on the new one. */
static void want_children(struct ike_sa *new, const struct ike_sa *old)
{
	list_for_each (l, &old->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		unsigned ci = ike_conn_child_index(old->conn, c->conf);
		struct flow_key flow;
		bool pfp = ike_child_flow(c, &flow);
		if (c->state == IKE_CHILD_UP && (pfp || !wanted(new, ci)))
			want(new, ci, 0, pfp ? &flow : NULL);
	}
}

void v2_sa_reauth(struct ike_sa *sa, uint64_t order)
{
	struct ike_conn *conn = sa->conn;

	sa->reauth_ns = 0;
	if (v2_closing(sa) || under_way(sa)) {
		ike_order_done(sa->ike, order, conn, sa, true, "it is being replaced already");
		return;
	}
	if (!ike_conn_initiable(conn)) {
		ike_order_done(
		    sa->ike, order, conn, sa, false,
		    "only the peer can begin: remote_addrs here names no single address");
		return;
	}
	ike_sa_log(sa, LOG_LVL_INFO, "reauthentication: making a new IKE SA beside this one");
	struct ike_sa *new = ike_conn_start(conn, sa);
	if (!new) {
		ike_order_done(sa->ike, order, conn, sa, false, "the new IKE SA could not be made");
		return;
	}
	want_children(new, sa);
	if (order)
		want(new, IKE_WANT_SA, order, NULL);
}

void v2_reauth_done(struct ike_sa *sa)
{
	struct ike_sa *old = sa->replaces ? ike_sa_by_id(sa->ike, sa->replaces) : NULL;

	sa->replaces = 0;
	if (!old || old->over || v2_closing(old))
		return;
	/* its children go with it, and a peer need not wait for what is on its way by them */
	old->replaced = true;
	old->end = IKE_END_REPLACED;
	old->rekey_ns = old->reauth_ns = 0;
	old->over_ns = clock_now_ns() + ON_ITS_WAY_NS;
	ike_sa_arm_life(old);
}

void v2_reauth_failed(struct ike_sa *sa, const char *why)
{
	struct ike_sa *old = sa->replaces ? ike_sa_by_id(sa->ike, sa->replaces) : NULL;
	uint64_t again = ike_jitter(IKE_RETRY_NS, IKE_RETRY_NS / 2);

	ike_conn_failed(sa->conn, sa, 0,
			"reauthentication: %s; the present IKE SA goes on and it is tried again",
			why);
	while (!list_empty(&sa->wants)) {
		struct ike_want *w = list_entry(sa->wants.next, struct ike_want, link);
		list_del(&w->link);
		ike_want_fail(sa->conn, w, why);
	}
	if (!old || old->over || old->state != IKE_ST_UP)
		return;
	old->reauth_ns = clock_now_ns() + again;
	ike_sa_arm_life(old);
}
