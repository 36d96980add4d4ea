/*
 * Rekeying of a CHILD SA (RFC 7296 1.3.3, 2.8, 2.8.1).
 *
 * Nothing is lost: who answers accepts on the new pair before the answer leaves, and goes on
 * sending by the old one until the old one is deleted or something came in on the new one; who
 * asked sends by the new pair as soon as the answer is there, and then deletes the old one. Both go
 * on accepting on the old pair for some seconds more (child.c).
 *
 * When both sides ask at once, both answer, and both then know all four nonces: the pair whose
 * exchange has the lowest is deleted by who asked for it, the other asker deletes the old pair.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v2/rekey.h"

void v2_child_rekey(struct ike_child *c, uint64_t order)
{
	struct ike_sa *sa = c->sa;
	struct v2_task *t = v2_task_find(sa, V2_TASK_REKEY_CHILD, c->id);

	if (t || c->state != IKE_CHILD_UP) {
		/* under way already: the order waits for it, or what it wants is done */
		if (t && !t->order)
			t->order = order;
		else
			ike_order_done(sa->ike, order, sa->conn, sa, true,
				       "it is being rekeyed already");
		return;
	}
	t = v2_task_make(sa, V2_TASK_REKEY_CHILD, order);
	if (!t) {
		ike_order_done(sa->ike, order, sa->conn, sa, false, "out of memory");
		return;
	}
	t->child_id = c->id;
	c->rekeying = true;
	v2_task_queue(t);
}

static struct ike_child *old_of(const struct v2_task *t)
{
	return ike_child_by_id(t->sa, t->child_id);
}

static void done(struct v2_task *t, const char *text)
{
	ike_order_done(t->sa->ike, t->order, t->sa->conn, t->sa, true, text);
	t->order = 0;
}

/* The old pair goes on; it is tried again until its hard lifetime is over. */
static void failed(struct v2_task *t, const char *why)
{
	struct ike_sa *sa = t->sa;
	struct ike_child *old = old_of(t);

	ike_conn_failed(sa->conn, sa, t->order, "rekeying of child %s: %s",
			old ? old->conf->name : "(gone)", why);
	t->order = 0;
}

enum ike_rc v2_rekey_child_build(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct v2_create *d = v2_create_of(t);
	struct ike_child *old = old_of(t);

	if (!old || old->state != IKE_CHILD_UP) {
		done(t, old ? "it was replaced or deleted meanwhile" : "the peer rekeyed it");
		return IKE_DROP;
	}
	if (x->step == 0) {
		child_nego_free(&t->child);
		t->child =
		    d ? child_nego_new(x->sa, ike_conn_child_index(x->sa->conn, old->conf), true)
		      : NULL;
		if (!t->child) {
			failed(t, "out of memory");
			return IKE_DROP;
		}
		d->rival.id = 0;
		d->n_deleted = 0;
		t->child->ke_retry = d->ke;
		child_nego_replaces(t->child, old);
	}
	enum ike_rc rc = v2_create_build(x);
	if (rc == IKE_DROP && !t->again)
		failed(t, t->child->why[0] ? t->child->why : "the request could not be made");
	return rc;
}

/* The peer does not know the old pair (2.25): it goes here too, and a new child is made. */
static void not_found(struct v2_task *t, struct ike_child *old)
{
	struct ike_sa *sa = t->sa;
	struct v2_create *d = t->data;

	if (!old || old->state != IKE_CHILD_UP || d->rival.id) {
		done(t, "the peer rekeyed it");
		return;
	}
	unsigned ci = ike_conn_child_index(sa->conn, old->conf);
	ike_sa_log(sa, LOG_LVL_NOTICE,
		   "child %s: the peer does not know this pair of SAs any more: making it anew",
		   old->conf->name);
	struct v2_task *n = v2_task_make(sa, V2_TASK_CHILD, t->order);
	t->order = 0;
	if (n)
		n->acquired = ike_child_flow(old, &n->flow);
	/* nothing leaves in the clear in between */
	ike_conn_trap(sa->conn, ci);
	ike_child_close(old, IKE_END_REPLACED, "the peer does not know it any more");
	if (n) {
		n->ci = ci;
		v2_task_queue(n);
	}
}

/* The new pair is in force: which of old, ours and theirs goes? */
static void settle(struct v2_task *t, struct ike_child *ours, struct ike_child *old,
		   struct ike_child *theirs, bool theirs_wins)
{
	if (theirs_wins) {
		/* the peer, who asked for the pair that stays, deletes the old one */
		ike_sa_log(t->sa, LOG_LVL_INFO,
			   "child %s: the peer rekeyed it too: its pair stays, ours is deleted",
			   ours->conf->name);
		if (old && old->state == IKE_CHILD_UP)
			ike_child_set_rekeyed(old, theirs);
		if (old)
			ike_child_leave_behind(old);
		ours->state = IKE_CHILD_REKEYED;
		v2_child_delete(ours, IKE_END_REPLACED, 0);
		return;
	}
	if (theirs) {
		/* deleted by the peer who asked for it */
		theirs->state = IKE_CHILD_REKEYED;
		ike_child_leave_behind(theirs);
	}
	if (!old)
		return;
	if (old->state == IKE_CHILD_UP)
		ike_child_set_rekeyed(old, ours);
	v2_child_delete(old, IKE_END_REPLACED, 0);
}

enum ike_rc v2_rekey_child_answer(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct v2_create *d = t->data;
	struct ike_child *old = old_of(t);
	uint16_t notify;

	switch (v2_create_answer(x, &notify)) {
	case V2_GOT_WAIT:
		return IKE_WAIT;
	case V2_GOT_DROP:
		return IKE_DROP;
	case V2_GOT_AGAIN:
		return IKE_OK;
	case V2_GOT_REFUSED:
		if (notify == IKE2_CHILD_SA_NOT_FOUND)
			not_found(t, old);
		else
			failed(t, t->child->why);
		return IKE_OK;
	case V2_GOT_ALL:
		break;
	}
	struct child_nego *c = t->child;
	struct ike_child *theirs = d->rival.id ? ike_child_by_id(x->sa, d->rival.id) : NULL;
	if (theirs && theirs->state != IKE_CHILD_UP)
		theirs = NULL; /* its asker is deleting it already: it lost */
	bool lost = theirs &&
		    v2_rival_wins(&d->rival, span_of(c->ni, c->ni_len), span_of(c->nr, c->nr_len));
	struct ike_child *ours = child_nego_install(c, !lost, t->order);
	if (!ours) {
		v2_delete_spi(x->sa, c->proto, c->spi_in);
		failed(t, c->why);
		return IKE_OK;
	}
	ours->replaces = t->child_id;
	done(t, "rekeyed");
	if (old && old->state == IKE_CHILD_DELETING) {
		/* it was to be deleted meanwhile: so is what replaces it */
		v2_child_delete(ours, (enum ike_end)old->end, 0);
		return IKE_OK;
	}
	settle(t, ours, old, theirs, lost);
	return IKE_OK;
}

void v2_rekey_child_fini(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;
	struct ike_child *old = sa->over ? NULL : old_of(t);

	if (t->order)
		ike_order_done(sa->ike, t->order, sa->conn, sa, false,
			       "the IKE SA ended before the child was rekeyed");
	free(t->data);
	if (!old)
		return;
	old->rekeying = false;
	if (old->state == IKE_CHILD_UP) {
		old->rekey_ns = clock_now_ns() + ike_jitter(IKE_RETRY_NS, IKE_RETRY_NS / 2);
		ike_child_arm_life(old);
	}
}

/* -- asked for by the peer -- */

/* Says that there is no such pair, with the SPI it named (2.25). */
static enum ike_rc answer_not_found(struct v2_exchange *x, const struct ike_payload *rekey)
{
	struct ike_payload *n = v2_add_notify(x->out, IKE2_CHILD_SA_NOT_FOUND, span_of(NULL, 0));

	if (!n)
		return v2_error(x, IKE_REPLY_ERROR, IKE2_CHILD_SA_NOT_FOUND);
	n->notify.proto = rekey->notify.proto;
	n->notify.spi = ike_arena_copy(x->ike, rekey->notify.spi);
	return IKE_OK;
}

static struct ike_child *named(const struct v2_exchange *x, const struct ike_payload *rekey)
{
	uint8_t proto = rekey->notify.proto == IKE_PROTO_AH ? SA_AH : SA_ESP;

	if (rekey->notify.spi.len != 4)
		return NULL;
	return ike_child_by_spi(x->sa, proto, load_be32(rekey->notify.spi.p));
}

/* Our own request for the same pair is on its way: NULL when it is not. */
static struct v2_create *own_request(const struct ike_sa *sa, const struct ike_child *old)
{
	struct v2_task *t = sa->task;

	if (!v2_asking(sa, V2_TASK_REKEY_CHILD) || t->child_id != old->id || !sa->request.n)
		return NULL;
	return t->data;
}

/* The new pair accepts from now on; our packets go by it once the peer shows that it is ready. */
static void install_new(struct v2_exchange *x, struct ike_child *old, struct ike_child *made)
{
	struct v2_create *own = own_request(x->sa, old);
	struct child_nego *c = x->child;

	made->replaces = old->id;
	made->switch_ns = clock_now_ns() + IKE_SWITCH_POLL;
	ike_child_arm_life(made);
	if (own) {
		v2_rival_note(&own->rival, made->id, span_of(c->ni, c->ni_len),
			      span_of(c->nr, c->nr_len));
		return;
	}
	struct v2_task *t = v2_task_find(x->sa, V2_TASK_REKEY_CHILD, old->id);
	if (t && t != x->sa->task) {
		done(t, "the peer rekeyed it");
		v2_task_cancel(t);
	}
	ike_child_set_rekeyed(old, made);
	ike_child_leave_behind(old);
}

enum ike_rc v2_rekey_child_r(struct v2_exchange *x)
{
	const struct ike_payload *rekey = ike_msg_notify(x->m, IKE2_REKEY_SA);
	struct ike_child *old = named(x, rekey);
	struct ike_sa *sa = x->sa;

	if (!old && v2_create_pending(sa))
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	if (!old)
		return answer_not_found(x, rekey);
	/* it is being deleted, or replaced already; or the IKE SA is (2.25.1, 2.25.2) */
	if (old->state != IKE_CHILD_UP || v2_closing(sa) || v2_asking(sa, V2_TASK_REKEY_IKE))
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	if (x->step == 0) {
		x->child = child_nego_new(sa, ike_conn_child_index(sa->conn, old->conf), false);
		if (!x->child)
			return IKE_DROP;
		child_nego_replaces(x->child, old);
	}
	enum ike_rc rc = v2_create_reply(x);
	if (rc != IKE_OK)
		return rc;
	struct ike_child *made = child_nego_install(x->child, false, 0);
	if (!made) {
		v2_reply_failed(x, x->child->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_NO_ADDITIONAL_SAS);
	}
	install_new(x, old, made);
	return IKE_OK;
}
