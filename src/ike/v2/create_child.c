/*
 * CREATE_CHILD_SA for a new child, both roles (RFC 7296 1.3.1, 2.17), and the steps that a rekeyed
 * child shares with it.
 *
 * We ask: key pair (if PFS) -> SA, Ni, KE, TSi, TSr -> the answer is checked -> g^ir -> installed,
 * outbound traffic goes by it at once. The peer asks: selectors and proposal chosen -> key pair and
 * g^ir -> answer written -> installed before the answer leaves.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v2/rekey.h"

struct v2_create *v2_create_of(struct v2_task *t)
{
	if (!t->data)
		t->data = calloc(1, sizeof(struct v2_create));
	return t->data;
}

struct v2_create *v2_create_pending(const struct ike_sa *sa)
{
	if (!v2_asking(sa, V2_TASK_CHILD) && !v2_asking(sa, V2_TASK_REKEY_CHILD))
		return NULL;
	return sa->request.n ? sa->task->data : NULL;
}

/* -- our request -- */

static bool take_pair(struct v2_exchange *x, struct child_nego *c)
{
	struct ike_work *w = x->work;

	if (w->rc) {
		snprintf(c->why, sizeof(c->why), "%s", w->why);
		return false;
	}
	c->dh = w->dh;
	w->dh = NULL;
	c->shared = secret_take(&w->shared);
	return true;
}

/* N(REKEY_SA) names the pair by the SPI we receive with (RFC 7296 1.3.3). */
static bool add_rekey_sa(struct v2_exchange *x, uint32_t child_id)
{
	const struct ike_child *old = ike_child_by_id(x->sa, child_id);
	uint8_t *spi = ike_arena(x->ike, 4);
	struct ike_payload *n =
	    old && spi ? v2_add_notify(x->out, IKE2_REKEY_SA, span_of(NULL, 0)) : NULL;

	if (!n)
		return false;
	store_be32(spi, old->spi_in);
	n->notify.proto = old->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
	n->notify.spi = span_of(spi, 4);
	return true;
}

static bool add_nonce(struct ike_msg *out, const uint8_t *p, size_t len)
{
	struct ike_payload *n = ike_msg_add(out, IKE2_NONCE, true);

	if (n)
		n->raw.data = span_of(p, len);
	return n;
}

enum ike_rc v2_create_build(struct v2_exchange *x)
{
	struct child_nego *c = x->task->child;

	if (x->step == 0) {
		const struct dh_info *group = v2_child_group(c);
		c->ni_len = V2_NONCE_LEN;
		random_bytes(c->ni, c->ni_len);
		if (group) {
			enum ike_rc rc = ike_work_dh(x->sa, group, NULL, span_of(NULL, 0));
			if (rc == IKE_DROP)
				v2_task_again(x->task, NS_PER_S); /* too much waits already */
			return v2_wait(x, 1, rc);
		}
	} else if (!take_pair(x, c)) {
		return IKE_DROP;
	}
	if (c->replaces && !add_rekey_sa(x, c->replaces))
		return IKE_DROP;
	if (v2_child_offer(c, x->out, false) || !add_nonce(x->out, c->ni, c->ni_len))
		return IKE_DROP;
	return IKE_OK;
}

/* -- its answer -- */

static bool take_nonce(const struct ike_msg *m, uint8_t *to, size_t *len)
{
	const struct ike_payload *p = ike_msg_find(m, IKE2_NONCE, NULL);

	if (!p || p->raw.data.len > IKE_NONCE_MAX)
		return false;
	memcpy(to, p->raw.data.p, p->raw.data.len);
	*len = p->raw.data.len;
	return true;
}

/* What the peer refused, and whether it is worth another try. */
static enum v2_got refused(struct v2_exchange *x, const struct ike_payload *n)
{
	struct v2_task *t = x->task;
	struct v2_create *d = v2_create_of(t);

	if (n->notify.type == IKE2_INVALID_KE_PAYLOAD && n->notify.data.len == 2 && d &&
	    d->ke_tries < V2_KE_TRIES) {
		uint16_t group = load_be16(n->notify.data.p);
		bool ours = false;
		for (unsigned i = 0; i < t->child->conf->proposals.n; i++)
			ours |= proposal_has(&t->child->conf->proposals.p[i], IKE_T_KE, group);
		if (ours && dh_info(group)) {
			d->ke = group;
			d->ke_tries++;
			child_nego_free(&t->child);
			v2_task_again(t, 0);
			return V2_GOT_AGAIN;
		}
	}
	if (n->notify.type == IKE2_TEMPORARY_FAILURE) {
		child_nego_free(&t->child);
		v2_task_later(t);
		return V2_GOT_AGAIN;
	}
	return V2_GOT_REFUSED;
}

/* The answer was late: the peer has deleted what it gives us. */
static bool deleted_already(const struct v2_create *d, struct child_nego *c)
{
	for (unsigned i = 0; i < d->n_deleted && i < ARRAY_LEN(d->deleted); i++)
		if (d->deleted[i] == c->spi_out) {
			snprintf(c->why, sizeof(c->why), "the peer deleted it again at once");
			return true;
		}
	return false;
}

enum v2_got v2_create_answer(struct v2_exchange *x, uint16_t *notify)
{
	struct v2_task *t = x->task;
	struct child_nego *c = t->child;
	const struct ike_payload *n;

	*notify = 0;
	if (x->step == 0) {
		n = v2_child_refusal(c, x->m);
		if (n) {
			*notify = n->notify.type;
			return refused(x, n);
		}
		*notify = v2_child_accept(c, x->m, false);
		if (*notify == 0 && !take_nonce(x->m, c->nr, &c->nr_len)) {
			*notify = IKE2_INVALID_SYNTAX;
			snprintf(c->why, sizeof(c->why), "the peer's answer has no nonce");
		}
		if (*notify == 0 && c->group) {
			enum ike_rc rc = ike_work_dh(x->sa, c->group, &c->dh,
						     ike_msg_find(x->m, IKE2_KE, NULL)->ke.data);
			return v2_wait(x, 1, rc) == IKE_WAIT ? V2_GOT_WAIT : V2_GOT_DROP;
		}
	} else if (!take_pair(x, c)) {
		*notify = IKE2_INVALID_SYNTAX;
	}
	if (*notify == 0 && !deleted_already(t->data, c))
		return V2_GOT_ALL;
	/* the peer has put its half into force */
	v2_delete_spi(x->sa, c->proto, c->spi_in);
	return V2_GOT_REFUSED;
}

/* -- a new child, asked for by us -- */

/* Is what the task is to make there already? A packet's own child must hold the packet. */
static struct ike_child *there_already(const struct ike_sa *sa, const struct v2_task *t)
{
	struct ts local, remote;

	if (t->acquired)
		ts_from_flow(&t->flow, &local, &remote);
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		struct ts_list one = { .n = 1 }, other = { .n = 1 };
		if (c->state != IKE_CHILD_UP || c->conf != sa->conn->child[t->ci].conf)
			continue;
		if (!t->acquired)
			return c;
		one.ts[0] = local;
		other.ts[0] = remote;
		if (ts_within(&one, c->local_ts) && ts_within(&other, c->remote_ts))
			return c;
	}
	return NULL;
}

/* It is up: whoever waits hears of it. */
static void up(struct v2_task *t, const char *text)
{
	struct ike_sa *sa = t->sa;

	ike_acquire_over(sa->conn, t->ci, true);
	ike_order_done(sa->ike, t->order, sa->conn, sa, true, text);
	t->order = 0;
	t->acquired = false;
}

static void failed(struct v2_task *t, const char *why)
{
	struct ike_sa *sa = t->sa;

	ike_conn_failed(sa->conn, sa, t->order, "child %s: %s", sa->conn->child[t->ci].conf->name,
			why);
	t->order = 0;
	ike_acquire_over(sa->conn, t->ci, false);
	t->acquired = false;
	sa->conn->child[t->ci].unwanted = false;
}

/* The order to close it came while it was being made. */
static bool unwanted(const struct v2_task *t)
{
	return t->sa->conn->child[t->ci].unwanted;
}

static void taken_back(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;

	sa->conn->child[t->ci].unwanted = false;
	ike_order_done(sa->ike, t->order, sa->conn, sa, false, "closed by order");
	t->order = 0;
	ike_acquire_over(sa->conn, t->ci, false);
	t->acquired = false;
}

enum ike_rc v2_new_child_build(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct v2_create *d = v2_create_of(t);

	if (x->step == 0) {
		if (unwanted(t)) {
			taken_back(t);
			return IKE_DROP;
		}
		if (there_already(x->sa, t)) {
			up(t, "it is up already");
			return IKE_DROP;
		}
		child_nego_free(&t->child);
		t->child = d ? child_nego_new(x->sa, t->ci, true) : NULL;
		if (!t->child) {
			failed(t, "out of memory");
			return IKE_DROP;
		}
		d->rival.id = 0;
		d->n_deleted = 0;
		t->child->ke_retry = d->ke;
		t->child->have_flow = t->acquired;
		t->child->flow = t->flow;
		if (t->order)
			ike_tell(x->ike, IKE_EV_PROGRESS, NULL, x->sa, NULL, t->order,
				 "asking the peer for child %s", t->child->conf->name);
	}
	enum ike_rc rc = v2_create_build(x);
	if (rc == IKE_DROP && !t->again)
		failed(t, t->child->why[0] ? t->child->why : "the request could not be made");
	return rc;
}

enum ike_rc v2_new_child_answer(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct v2_create *d = t->data;
	uint16_t notify;

	switch (v2_create_answer(x, &notify)) {
	case V2_GOT_WAIT:
		return IKE_WAIT;
	case V2_GOT_DROP:
		return IKE_DROP;
	case V2_GOT_AGAIN:
		return IKE_OK;
	case V2_GOT_REFUSED:
		failed(t, t->child->why);
		return IKE_OK;
	case V2_GOT_ALL:
		break;
	}
	/* the peer made the same one meanwhile: only we know, so ours goes */
	struct ike_child *theirs = d->rival.id ? ike_child_by_id(x->sa, d->rival.id) : NULL;
	bool twice = theirs && theirs->state == IKE_CHILD_UP &&
		     ts_list_eq(theirs->local_ts, &t->child->local_ts) &&
		     ts_list_eq(theirs->remote_ts, &t->child->remote_ts);
	struct ike_child *c = child_nego_install(t->child, !twice, t->order);
	if (!c) {
		v2_delete_spi(x->sa, t->child->proto, t->child->spi_in);
		failed(t, t->child->why);
		return IKE_OK;
	}
	if (unwanted(t)) {
		taken_back(t);
		v2_child_delete(c, IKE_END_ORDER, 0);
		return IKE_OK;
	}
	up(t, "the child is up");
	if (twice) {
		ike_sa_log(x->sa, LOG_LVL_INFO, "child %s: the peer made it too: ours is deleted",
			   c->conf->name);
		v2_child_delete(c, IKE_END_REPLACED, 0);
	}
	return IKE_OK;
}

void v2_new_child_fini(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;
	struct ike_conn *conn = sa->conn;
	bool lost = sa->over && (sa->end == IKE_END_DEAD || sa->end == IKE_END_EXPIRED);

	if (t->order)
		ike_order_done(sa->ike, t->order, conn, sa, false,
			       "the IKE SA ended before the child was up");
	if (t->acquired)
		ike_acquire_over(conn, t->ci, false);
	free(t->data);
	/* what was to be up, from the start or again, is still to be */
	if (lost && !t->order && !t->acquired && !sa->replaces)
		ike_conn_want(conn, t->ci, 0, NULL);
	if (!sa->over && sa->replaces && !v2_task_find(sa, V2_TASK_CHILD, 0))
		v2_reauth_done(sa);
}

/* -- a new child, asked for by the peer -- */

/* KE payload of the request, checked by v2_child_choose(). */
static enum ike_rc answer_dh(struct v2_exchange *x, const struct child_nego *c)
{
	return v2_wait(
	    x, 1, ike_work_dh(x->sa, c->group, NULL, ike_msg_find(x->m, IKE2_KE, NULL)->ke.data));
}

void v2_reply_failed(struct v2_exchange *x, const char *why)
{
	const struct child_nego *c = x->child;

	if (c->replaces)
		ike_conn_failed(x->sa->conn, x->sa, 0, "rekeying of child %s by the peer: %s",
				c->conf->name, why);
	else if (c->conf)
		ike_conn_failed(x->sa->conn, x->sa, 0, "child %s, which the peer asked for: %s",
				c->conf->name, why);
	else
		ike_conn_failed(x->sa->conn, x->sa, 0, "%s", why);
}

enum ike_rc v2_create_reply(struct v2_exchange *x)
{
	struct child_nego *c = x->child;
	struct ike_sa *sa = x->sa;
	uint16_t group = 0, notify;

	if (x->step == 0) {
		notify = v2_child_choose(c, x->m, false, &group);
		if (notify == IKE2_INVALID_KE_PAYLOAD) {
			ike_sa_log(sa, LOG_LVL_INFO, "%s", c->why);
			return v2_error16(x, IKE_REPLY_ERROR, notify, group);
		}
		if (notify == 0 && !take_nonce(x->m, c->ni, &c->ni_len))
			notify = IKE2_INVALID_SYNTAX;
		if (notify) {
			v2_reply_failed(x, c->why[0] ? c->why : "the peer's request has no nonce");
			return v2_error(x, IKE_REPLY_ERROR, notify);
		}
		c->nr_len = V2_NONCE_LEN;
		random_bytes(c->nr, c->nr_len);
		if (c->group)
			return answer_dh(x, c);
	} else if (!take_pair(x, c)) {
		v2_reply_failed(x, c->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_INVALID_SYNTAX);
	}
	if (v2_child_answer(c, x->out) || !add_nonce(x->out, c->nr, c->nr_len)) {
		v2_reply_failed(x, c->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_NO_ADDITIONAL_SAS);
	}
	return IKE_OK;
}

/* Both sides ask for the same new child at once: the one with the higher nonce gets it, the other
 * waits a moment and finds it there. */
static bool crossing(const struct v2_exchange *x, const struct child_nego *c)
{
	const struct v2_task *t = x->sa->task;

	return v2_asking(x->sa, V2_TASK_CHILD) && t->child && x->sa->request.n &&
	       c->conf == t->child->conf;
}

enum ike_rc v2_create_child_r(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;

	if (ike_msg_notify(x->m, IKE2_REKEY_SA))
		return v2_rekey_child_r(x);
	if (x->step == 0) {
		if (v2_closing(sa) || v2_asking(sa, V2_TASK_REKEY_IKE))
			return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
		if (sa->n_children >= V2_CHILDREN_MAX) {
			ike_sa_log(sa, LOG_LVL_WARN,
				   "the peer asks for more than %d CHILD SAs in one IKE SA",
				   V2_CHILDREN_MAX);
			return v2_error(x, IKE_REPLY_ERROR, IKE2_NO_ADDITIONAL_SAS);
		}
		x->child = child_nego_new(sa, UINT32_MAX, false);
		if (!x->child)
			return IKE_DROP;
	}
	enum ike_rc rc = v2_create_reply(x);
	if (rc != IKE_OK)
		return rc;
	struct child_nego *c = x->child;
	bool both = crossing(x, c);
	struct child_nego *own = both ? sa->task->child : NULL;
	if (both && v2_nonce_cmp(span_of(c->ni, c->ni_len), span_of(own->ni, own->ni_len)) < 0)
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	struct ike_child *made = child_nego_install(c, true, 0);
	if (!made) {
		v2_reply_failed(x, c->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_NO_ADDITIONAL_SAS);
	}
	if (both)
		v2_rival_note(&((struct v2_create *)sa->task->data)->rival, made->id,
			      span_of(c->ni, c->ni_len), span_of(c->nr, c->nr_len));
	return IKE_OK;
}
