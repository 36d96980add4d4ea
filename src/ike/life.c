/*
 * Time: lifetimes of IKE SAs and of children, liveness of the peer and NAT keepalives, children
 * that nobody uses. Each timer looks at what is due, does it, and is armed for the next.
 */
#include "base/clock.h"
#include "ike/life.h"
#include "ike/version.h"

/* -- IKE SA -- */

static bool due(uint64_t at, uint64_t now)
{
	return at && at <= now;
}

/* The lifetime is over: the SA is closed, and what dpd_action wants follows. */
static void over(struct ike_sa *sa)
{
	sa->over_ns = 0;
	if (sa->state == IKE_ST_DELETING) {
		ike_sa_kill(sa, (enum ike_end)sa->end, NULL);
		return;
	}
	if (sa->replaced) {
		ike_version(sa)->sa_delete(sa, IKE_END_REPLACED, 0);
		return;
	}
	if (sa->state == IKE_ST_REKEYED || sa->n_children == 0)
		ike_sa_log(sa, LOG_LVL_DEBUG, "it was replaced, and the peer has not deleted it");
	else
		ike_conn_failed(
		    sa->conn, sa, 0,
		    "its lifetime is over and it was not replaced in time: it is closed");
	ike_version(sa)->sa_delete(
	    sa, sa->state == IKE_ST_REKEYED ? IKE_END_REPLACED : IKE_END_EXPIRED, 0);
}

void ike_sa_life_fire(struct ike_timer *t)
{
	struct ike_sa *sa = list_entry(t, struct ike_sa, t_life);
	uint64_t now = clock_now_ns();

	if (due(sa->over_ns, now)) {
		over(sa);
	} else if (due(sa->tidy_ns, now)) {
		sa->tidy_ns = 0;
		ike_version(sa)->tidy(sa);
	} else if (due(sa->childless_ns, now)) {
		sa->childless_ns = 0;
		ike_version(sa)->still_childless(sa);
	} else if (due(sa->reauth_ns, now)) {
		sa->reauth_ns = 0;
		if (sa->made_by_us || ike_conn_initiable(sa->conn))
			ike_version(sa)->sa_reauth(sa, 0);
	} else if (due(sa->rekey_ns, now)) {
		sa->rekey_ns = 0;
		ike_version(sa)->sa_rekey(sa, 0);
	}
	if (!sa->over)
		ike_sa_arm_life(sa);
}

/* When the peer was heard last: by IKE, or by a packet of any child. */
static uint64_t last_heard(const struct ike_sa *sa)
{
	struct ike_env *env = &sa->ike->env;
	uint64_t last = sa->heard_ns;

	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		uint64_t at = env->child_last_used(env->ctx, c->reqid, c->spi_in, true);
		if (at > last)
			last = at;
	}
	return last;
}

/* When something last went to the peer by UDP. */
static uint64_t last_spoken(const struct ike_sa *sa)
{
	struct ike_env *env = &sa->ike->env;
	uint64_t last = sa->spoke_ns;

	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		uint64_t at =
		    c->udp ? env->child_last_used(env->ctx, c->reqid, c->spi_in, false) : 0;
		if (at > last)
			last = at;
	}
	return last;
}

static bool probes(const struct ike_sa *sa)
{
	return sa->state == IKE_ST_UP && sa->conn->conf->dpd_delay_ns;
}

static bool keeps_alive(const struct ike_sa *sa)
{
	return sa->state == IKE_ST_UP && sa->nat_local && sa->marker && sa->ike->conf->keepalive_ns;
}

static void arm_idle(struct ike_sa *sa, uint64_t heard, uint64_t spoke)
{
	struct ike_timers *timers = &sa->ike->timers;
	uint64_t at = UINT64_MAX;

	if (probes(sa))
		at = heard + sa->conn->conf->dpd_delay_ns;
	if (keeps_alive(sa) && spoke + sa->ike->conf->keepalive_ns < at)
		at = spoke + sa->ike->conf->keepalive_ns;
	if (at == UINT64_MAX)
		ike_timer_stop(timers, &sa->t_idle);
	else
		ike_timer_set(timers, &sa->t_idle, at, ike_sa_idle_fire);
}

void ike_sa_idle_arm(struct ike_sa *sa)
{
	arm_idle(sa, sa->heard_ns, sa->spoke_ns);
}

void ike_sa_idle_fire(struct ike_timer *t)
{
	struct ike_sa *sa = list_entry(t, struct ike_sa, t_idle);
	struct ike *ike = sa->ike;
	uint64_t now = clock_now_ns(), heard = last_heard(sa), spoke = last_spoken(sa);

	if (keeps_alive(sa) && spoke + sa->ike->conf->keepalive_ns <= now) {
		ike->env.keepalive(ike->env.ctx, &sa->local, &sa->remote);
		sa->spoke_ns = spoke = now;
	}
	if (probes(sa) && heard + sa->conn->conf->dpd_delay_ns <= now) {
		ike_version(sa)->probe(sa, heard);
		heard = now; /* look again after another delay */
	}
	if (!sa->over)
		arm_idle(sa, heard, spoke);
}

/* -- children -- */

void ike_child_leave_behind(struct ike_child *c)
{
	uint64_t at = clock_now_ns() + IKE_LEFT_BEHIND;

	c->rekey_ns = 0;
	c->switch_ns = 0;
	if (!c->expire_ns || c->expire_ns > at)
		c->expire_ns = at;
	ike_child_arm_life(c);
}

void ike_child_revive(struct ike_child *c)
{
	if (c->state != IKE_CHILD_REKEYED)
		return;
	c->state = IKE_CHILD_UP;
	c->rekey_ns = clock_now_ns() + ike_jitter(IKE_RETRY_NS, IKE_RETRY_NS / 2);
	c->expire_ns = c->conf->life_ns ? c->installed_ns + c->conf->life_ns : 0;
	ike_child_arm_life(c);
}

/* Has the peer begun to use the new pair? Then so do we (RFC 7296 2.8). */
static void look_for_traffic(struct ike_child *c, uint64_t now)
{
	struct ike_env *env = &c->sa->ike->env;

	if (c->state != IKE_CHILD_UP)
		c->switch_ns = 0;
	else if (c->switch_anyway || env->child_last_used(env->ctx, c->reqid, c->spi_in, true)) {
		ike_child_switch(c);
	} else {
		c->switch_ns = now + IKE_SWITCH_POLL;
	}
}

void ike_child_life_fire(struct ike_timer *t)
{
	struct ike_child *c = list_entry(t, struct ike_child, t_life);
	uint64_t now = clock_now_ns();

	if (due(c->expire_ns, now)) {
		c->expire_ns = 0;
		c->switch_ns = 0;
		ike_child_arm_life(c);
		if (c->state == IKE_CHILD_UP)
			ike_conn_failed(c->sa->conn, c->sa, 0,
					"child %s: its lifetime is over and it was not rekeyed in "
					"time: it is closed",
					c->conf->name);
		if (c->state != IKE_CHILD_DELETING)
			ike_version(c->sa)->child_delete(c, IKE_END_EXPIRED, 0);
		return;
	}
	if (due(c->switch_ns, now))
		look_for_traffic(c, now);
	if (due(c->rekey_ns, now)) {
		c->rekey_ns = 0;
		ike_child_arm_life(c);
		/* this may end it */
		ike_version(c->sa)->child_rekey(c, 0);
		return;
	}
	ike_child_arm_life(c);
}

void ike_child_inactive_fire(struct ike_timer *t)
{
	struct ike_child *c = list_entry(t, struct ike_child, t_inactive);
	struct ike *ike = c->sa->ike;
	uint64_t now = clock_now_ns(), last = c->installed_ns;

	for (int in = 0; in < 2; in++) {
		uint64_t at = ike->env.child_last_used(ike->env.ctx, c->reqid, c->spi_in, in);
		if (at > last)
			last = at;
	}
	if (last + c->conf->inactivity_ns > now) {
		ike_timer_set(&ike->timers, &c->t_inactive, last + c->conf->inactivity_ns,
			      ike_child_inactive_fire);
		return;
	}
	ike_sa_log(c->sa, LOG_LVL_NOTICE, "child %s: nothing passed for %u s: it is closed",
		   c->conf->name, (unsigned)(c->conf->inactivity_ns / NS_PER_S));
	ike_version(c->sa)->child_delete(c, IKE_END_ORDER, 0);
}
