/*
 * CREATE_CHILD_SA for a new child, both roles (RFC 7296 1.3.1, 2.25). As initiator a task: key pair
 * for PFS on the pool -> request -> answer checked -> shared secret -> installed. As responder:
 * chosen, key pair and secret on the pool, installed, answered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "ike/names.h"
#include "ike/v2/internal.h"

#define BUSY_WAIT_NS (2000 * 1000000ull) /* after TEMPORARY_FAILURE */
#define BUSY_TRIES   30

/* -- as initiator -- */

static bool already_up(const struct ike_sa *sa, const struct ike_child_conf *conf)
{
	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if (c->conf == conf && c->state == IKE_CHILD_UP)
			return true;
	}
	return false;
}

/* The order, and kept packets, hear of it. */
static void finish(struct v2_task *t, bool ok, const char *text)
{
	struct ike_conn *c = t->sa->conn;

	ike_acquire_over(c, t->ci, ok);
	if (t->order)
		ike_order_done(t->sa->ike, t->order, c, t->sa, ok, text);
	t->order = 0;
	t->acquired = false;
	t->finished = true;
}

enum ike_rc v2_new_child_build(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct ike_sa *sa = x->sa;

	if (x->step == 0 && !t->child) {
		/* what an acquire or a restart wants may have come up by the peer's doing */
		if (!sa->replaces && already_up(sa, &sa->conn->conf->child[t->ci])) {
			finish(t, true, "it is up already");
			return IKE_DROP;
		}
		t->child = v2_child_new(sa, t->ci, true);
		if (!t->child)
			return IKE_DROP;
		t->child->have_flow = t->acquired;
		t->child->flow = t->flow;
	}
	struct v2_child *c = t->child;
	const struct dh_info *g = v2_child_group(c);
	if (x->step == 0 && g && !c->dh)
		return v2_wait(x, 1, ike_work_dh(sa, g, NULL, span_of(NULL, 0)));
	if (x->step == 1) {
		if (x->work->rc) {
			finish(t, false, x->work->why);
			return IKE_DROP;
		}
		c->dh = x->work->dh;
		x->work->dh = NULL;
	}
	c->ni_len = V2_NONCE_LEN;
	random_bytes(c->ni, c->ni_len);
	struct ike_payload *p = ike_msg_add(x->out, IKE2_NONCE, true);
	if (p)
		p->raw.data = span_of(c->ni, c->ni_len);
	if (!p || v2_child_offer(c, x->out, false)) {
		finish(t, false, c->why);
		return IKE_DROP;
	}
	return IKE_OK;
}

static enum ike_rc failed(struct v2_exchange *x)
{
	struct v2_task *t = x->task;

	ike_conn_failed(x->sa->conn, x->sa, 0, "child %s: %s", t->child->conf->name, t->child->why);
	finish(t, false, t->child->why);
	return IKE_OK;
}

/* A refusal that may pass, or one that tells what to ask for instead. True: the task starts over.
 */
static bool try_again(struct v2_exchange *x, const struct ike_payload *p)
{
	struct v2_task *t = x->task;
	struct v2_child *c = t->child;

	if (p->notify.type == IKE2_TEMPORARY_FAILURE && t->tries < BUSY_TRIES) {
		v2_child_free(&t->child);
		v2_task_again(t, BUSY_WAIT_NS);
		return true;
	}
	if (p->notify.type != IKE2_INVALID_KE_PAYLOAD || p->notify.data.len != 2 || c->ke_retry)
		return false;
	uint16_t group = load_be16(p->notify.data.p);
	for (unsigned k = 0; k < c->conf->proposals.n; k++)
		if (dh_info(group) && proposal_has(&c->conf->proposals.p[k], IKE_T_KE, group)) {
			c->ke_retry = group;
			dh_free(&c->dh);
			v2_task_again(t, 0);
			return true;
		}
	snprintf(c->why, sizeof(c->why),
		 "the peer wants another key exchange (group %u) than esp_proposals here have",
		 group);
	return false;
}

static enum ike_rc install(struct v2_exchange *x)
{
	struct v2_task *t = x->task;

	if (!v2_child_install(t->child, true, t->order))
		return failed(x);
	finish(t, true, "up");
	return IKE_OK;
}

enum ike_rc v2_new_child_answer(struct v2_exchange *x)
{
	struct v2_child *c = x->task->child;
	const struct ike_payload *p, *nonce = ike_msg_find(x->m, IKE2_NONCE, NULL);

	if (x->step == 1) {
		if (x->work->rc) {
			snprintf(c->why, sizeof(c->why), "%s", x->work->why);
			return failed(x);
		}
		c->shared = secret_take(&x->work->shared);
		return install(x);
	}
	p = v2_child_refusal(c, x->m);
	if (p && try_again(x, p))
		return IKE_OK;
	if (p || v2_child_accept(c, x->m, false))
		return failed(x);
	c->nr_len = nonce->raw.data.len;
	memcpy(c->nr, nonce->raw.data.p, c->nr_len);
	if (!c->group)
		return install(x);
	struct span ke = ike_msg_find(x->m, IKE2_KE, NULL)->ke.data;
	return v2_wait(x, 1, ike_work_dh(x->sa, c->group, &c->dh, ke));
}

void v2_new_child_fini(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;

	if (!t->finished)
		finish(t, false, sa->over ? "the IKE SA ended" : "it could not be made");
	/* the last child of an SA made by reauthentication: the old SA may go */
	if (sa->replaces && !sa->over && !v2_task_find(sa, V2_TASK_CHILD, 0))
		v2_reauth_done(sa);
}

/* -- as responder -- */

static enum ike_rc answer_child(struct v2_exchange *x)
{
	struct v2_child *c = x->child;
	struct ike_sa *sa = x->sa;

	c->nr_len = V2_NONCE_LEN;
	random_bytes(c->nr, c->nr_len);
	struct ike_payload *p = ike_msg_add(x->out, IKE2_NONCE, true);
	if (p)
		p->raw.data = span_of(c->nr, c->nr_len);
	if (p && v2_child_answer(c, x->out) == 0 && v2_child_install(c, true, 0))
		return IKE_OK;
	ike_conn_failed(sa->conn, sa, 0, "child %s: %s", c->conf->name, c->why);
	return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
}

enum ike_rc v2_create_child_r(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const struct ike_payload *ke = ike_msg_find(x->m, IKE2_KE, NULL);
	const struct ike_payload *ni = ike_msg_find(x->m, IKE2_NONCE, NULL);
	uint16_t group = 0, bad;

	if (ike_msg_notify(x->m, IKE2_REKEY_SA))
		return v2_rekey_child_r(x);
	if (x->step == 1) {
		struct v2_child *c = x->child;
		if (x->work->rc)
			return v2_error(x, IKE_REPLY_ERROR, IKE2_INVALID_SYNTAX);
		c->dh = x->work->dh;
		x->work->dh = NULL;
		c->shared = secret_take(&x->work->shared);
		return answer_child(x);
	}
	/* RFC 7296 2.25.2: nothing new on an SA that is being replaced or deleted */
	if (sa->state != IKE_ST_UP || (sa->task && sa->task->kind == V2_TASK_REKEY_IKE))
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	x->child = v2_child_new(sa, UINT32_MAX, false);
	if (!x->child)
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	x->child->ni_len = ni->raw.data.len;
	memcpy(x->child->ni, ni->raw.data.p, ni->raw.data.len);
	bad = v2_child_choose(x->child, x->m, false, &group);
	if (bad == IKE2_INVALID_KE_PAYLOAD)
		return v2_error16(x, IKE_REPLY_ERROR, bad, group);
	if (bad) {
		ike_conn_failed(sa->conn, sa, 0, "child %s: %s",
				x->child->conf ? x->child->conf->name : "(none fits)",
				x->child->why);
		return v2_error(x, IKE_REPLY_ERROR, bad);
	}
	if (!x->child->group)
		return answer_child(x);
	return v2_wait(x, 1, ike_work_dh(sa, x->child->group, NULL, ke->ke.data));
}
