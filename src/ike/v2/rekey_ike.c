/*
 * Rekeying of the IKE SA (RFC 7296 1.3.2, 2.8, 2.18, 2.8.2).
 *
 * We ask: key pair -> SA with our new SPI, Ni, KE -> answer checked -> g^ir -> the new SA is there;
 * children and waiting tasks move to it, the old one is deleted by us. The peer asks: the same the
 * other way; the new SA is there before the answer leaves, the old one waits for the peer's delete.
 *
 * When both ask at once there are two new SAs. The one whose exchange has the lowest of the four
 * nonces is deleted by who asked for it, the other one gets the children, and its asker deletes the
 * old one. When only we see it (our request came too late: TEMPORARY_FAILURE, or the old SA is
 * deleted under it), the peer's SA gets the children and our request is forgotten.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/names.h"
#include "ike/v2/rekey.h"

/* What one exchange makes, in either role: t->data of ours, x->data of the peer's. */
struct rekey_ike {
	uint8_t spi_i[8], spi_r[8];
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_len, nr_len;
	const struct dh_info *group;
	struct dh *dh;
	struct proposal chosen;
	struct keymat_suite suite;
	/* ours only */
	uint16_t ke;       /* group the peer wants; 0: ours */
	unsigned ke_tries; /* how often it said so */
	bool any_prf;      /* the peer does not take the present PRF any more */
	struct v2_rival rival;
	char why[512];
};

static void data_free(void *data)
{
	struct rekey_ike *d = data;

	if (d)
		dh_free(&d->dh);
	free(d);
}

void v2_sa_rekey(struct ike_sa *sa, uint64_t order)
{
	struct v2_task *t = v2_task_find(sa, V2_TASK_REKEY_IKE, 0);

	if (v2_closing(sa)) {
		ike_order_done(sa->ike, order, sa->conn, sa, true,
			       "it is being replaced or deleted already");
	} else if (t && !t->order) {
		t->order = order;
	} else if (t) {
		ike_order_done(sa->ike, order, sa->conn, sa, true, "it is being rekeyed already");
	} else if (!v2_task_new(sa, V2_TASK_REKEY_IKE, order)) {
		ike_order_done(sa->ike, order, sa->conn, sa, false, "out of memory");
	}
}

/* -- the new SA -- */

static struct span nonce_i(const struct rekey_ike *d)
{
	return span_of(d->ni, d->ni_len);
}

static struct span nonce_r(const struct rekey_ike *d)
{
	return span_of(d->nr, d->nr_len);
}

/* Everything that is as it was. */
static int inherit(struct ike_sa *new, const struct ike_sa *old)
{
	new->marker = old->marker;
	new->nat_local = old->nat_local;
	new->nat_remote = old->nat_remote;
	new->encap = old->encap;
	new->frag = old->frag;
	new->childless = old->childless;
	new->made_by_us = old->made_by_us;
	new->local = old->local;
	new->remote = old->remote;
	if (ident_copy(&old->local_id, &new->local_id))
		return -ENOMEM;
	return ident_copy(&old->remote_id, &new->remote_id);
}

/* Makes it, up and without children. NULL with a sentence. */
static struct ike_sa *make_sa(struct ike_sa *old, struct rekey_ike *d, bool initiator,
			      struct span shared)
{
	struct ike_sa *new = ike_sa_new(old->ike, old->conn, initiator, 2);
	struct ike_keys keys = { .block = NULL };

	if (new) {
		memcpy(initiator ? new->spi_r : new->spi_i, initiator ? d->spi_r : d->spi_i, 8);
		ike_sa_set_spi(new, initiator ? d->spi_i : d->spi_r);
	}
	if (!new || inherit(new, old) ||
	    keymat_ike_rekey(&d->suite, old->suite.prf, old->keys.d, nonce_i(d), nonce_r(d), shared,
			     new->spi_i, new->spi_r, &keys) ||
	    ike_sa_set_keys(new, &d->suite, &keys, &d->chosen)) {
		snprintf(d->why, sizeof(d->why), "out of memory");
		if (new)
			ike_sa_kill(new, IKE_END_REPLACED, NULL);
		return NULL;
	}
	v2_sa_born_up(new);
	ike_sa_established(new, old);
	return new;
}

/* An SPI that nothing here has; kept by nobody, 2^64 are enough. */
static void fresh_spi(const struct ike *ike, uint8_t spi[8])
{
	do {
		random_bytes(spi, 8);
	} while (load_be64(spi) == 0 || ike_sa_by_spi(ike, spi));
}

/* The peer ought to delete it; should it not, we do. */
static void leave_behind(struct ike_sa *sa)
{
	sa->rekey_ns = sa->reauth_ns = 0;
	sa->over_ns = clock_now_ns() + IKE_LEFT_BEHIND;
	ike_sa_arm_life(sa);
}

/* Children and waiting tasks go over. The new SA's tasks start when this message is done with. */
static void hand_over(struct ike_sa *old, struct ike_sa *new)
{
	ike_sa_move_children(old, new);
	v2_tasks_move(old, new);
	leave_behind(old);
	ike_timer_set(&new->ike->timers, &new->t_again, clock_now_ns(), v2_again_fire);
	/* what was to be deleted while its rekeying was on its way still is */
	struct v2_task *t = v2_task_find(old, V2_TASK_DELETE_IKE, 0);
	if (t && t != old->task) {
		uint64_t order = t->order;
		t->order = 0;
		v2_task_cancel(t);
		v2_sa_delete(new, (enum ike_end)old->end, order);
		old->end = IKE_END_REPLACED;
	}
}

/* -- what both roles read -- */

/*
 * Our proposals as far as they have the PRF in use; false: none has. An SA keeps its PRF when it
 * can: SKEYSEED is made with the old one and the keys with the new one (RFC 7296 2.18), which
 * strongSwan up to 5.9 does otherwise, so that a change of the PRF would cut the connection.
 */
static bool with_same_prf(const struct ike_sa *sa, struct proposals *out)
{
	const struct proposals *all = &sa->conn->conf->proposals;
	uint16_t prf = (uint16_t)sa->suite.prf->id;

	out->n = 0;
	for (unsigned i = 0; i < all->n; i++) {
		struct proposal *p = &out->p[out->n];
		uint8_t n = 0;
		if (!proposal_has(&all->p[i], IKE_T_PRF, prf))
			continue;
		*p = all->p[i];
		for (unsigned k = 0; k < p->n; k++)
			if (p->alg[k].type != IKE_T_PRF || p->alg[k].id == prf)
				p->alg[n++] = p->alg[k];
		p->n = n;
		p->number = ++out->n; /* they are counted from one (3.3.1) */
	}
	return out->n > 0;
}

static int choose(const struct ike_sa *sa, const struct proposals *peers, struct rekey_ike *d)
{
	struct proposals same;

	if (with_same_prf(sa, &same) &&
	    proposal_select(&same, peers, 0, &d->chosen, d->why, sizeof(d->why)) == 0)
		return 0;
	return proposal_select(&sa->conn->conf->proposals, peers, 0, &d->chosen, d->why,
			       sizeof(d->why));
}

/* SA, nonce and KE of the peer's message. 0, or the error notify with d->why; INVALID_KE_PAYLOAD
 * with *group. to: where the peer's nonce and SPI go. */
static uint16_t read_offer(const struct ike_sa *sa, const struct ike_msg *m, struct rekey_ike *d,
			   bool answer, uint16_t *group)
{
	const struct ike_payload *p = ike_msg_find(m, IKE2_SA, NULL);
	const struct ike_payload *nonce = ike_msg_find(m, IKE2_NONCE, NULL);
	const struct ike_payload *ke = ike_msg_find(m, IKE2_KE, NULL);
	struct proposals peers;
	struct span spi = span_of(NULL, 0);

	proposals_from_sa(m, p, IKE_PROTO_IKE, &peers);
	if (answer && (p->sa.n != 1 || peers.n != 1 || !proposal_is_choice(&peers.p[0]))) {
		snprintf(d->why, sizeof(d->why), "the peer's answer does not choose one proposal");
		return IKE2_INVALID_SYNTAX;
	}
	if (choose(sa, &peers, d) || keymat_suite(&d->chosen, &d->suite, d->why, sizeof(d->why)))
		return IKE2_NO_PROPOSAL_CHOSEN;
	for (unsigned i = 0; i < p->sa.n; i++)
		if (m->prop[p->sa.first + i].number == d->chosen.number)
			spi = m->prop[p->sa.first + i].spi;
	if (spi.len != 8 || load_be64(spi.p) == 0 || !nonce ||
	    nonce->raw.data.len > IKE_NONCE_MAX) {
		snprintf(d->why, sizeof(d->why), "the peer's message lacks an SPI or a nonce");
		return IKE2_INVALID_SYNTAX;
	}
	if (!ke || ke->ke.group != d->suite.dh->id) {
		*group = (uint16_t)d->suite.dh->id;
		snprintf(d->why, sizeof(d->why), "the peer's key exchange is not %s",
			 d->suite.dh->keyword);
		return IKE2_INVALID_KE_PAYLOAD;
	}
	memcpy(answer ? d->spi_r : d->spi_i, spi.p, 8);
	memcpy(answer ? d->nr : d->ni, nonce->raw.data.p, nonce->raw.data.len);
	*(answer ? &d->nr_len : &d->ni_len) = nonce->raw.data.len;
	return 0;
}

static bool write_offer(struct v2_exchange *x, const struct rekey_ike *d,
			const struct proposals *list, const uint8_t *spi, struct span nonce)
{
	struct ike_payload *p = ike_msg_add(x->out, IKE2_SA, true);

	if (!p || proposals_to_sa(list, x->out, p, span_of(spi, 8)))
		return false;
	p = ike_msg_add(x->out, IKE2_NONCE, true);
	if (!p)
		return false;
	p->raw.data = nonce;
	p = ike_msg_add(x->out, IKE2_KE, true);
	if (!p)
		return false;
	p->ke.group = (uint16_t)dh_group(d->dh)->id;
	p->ke.data = dh_public(d->dh);
	return true;
}

/* -- our request -- */

/* The order hears of it; t_life tries again, until over_time has come. */
static void failed(struct v2_task *t, const char *why)
{
	struct ike_sa *sa = t->sa;

	ike_conn_failed(sa->conn, sa, t->order, "rekeying of the IKE SA: %s", why);
	t->order = 0;
}

static void done(struct v2_task *t, const char *text)
{
	ike_order_done(t->sa->ike, t->order, t->sa->conn, t->sa, true, text);
	t->order = 0;
}

/* The group we begin with: the present one while it is still among ours. */
static const struct dh_info *first_group(const struct ike_sa *sa, const struct rekey_ike *d)
{
	const struct proposals *p = &sa->conn->conf->proposals;
	const struct proposal_alg *a = NULL;

	if (d->ke)
		return dh_info(d->ke);
	for (unsigned i = 0; i < p->n; i++) {
		if (proposal_has(&p->p[i], IKE_T_KE, (uint16_t)sa->suite.dh->id))
			return sa->suite.dh;
		if (!a)
			a = proposal_alg(&p->p[i], IKE_T_KE);
	}
	return a ? dh_info(a->id) : NULL;
}

enum ike_rc v2_rekey_ike_build(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct ike_sa *sa = x->sa;

	if (!t->data)
		t->data = calloc(1, sizeof(struct rekey_ike));
	struct rekey_ike *d = t->data;
	if (!d) {
		failed(t, "out of memory");
		return IKE_DROP;
	}
	if (x->step == 0) {
		d->rival.id = 0;
		d->ni_len = V2_NONCE_LEN;
		random_bytes(d->ni, d->ni_len);
		fresh_spi(x->ike, d->spi_i);
		dh_free(&d->dh);
		d->group = first_group(sa, d);
		enum ike_rc rc =
		    d->group ? ike_work_dh(sa, d->group, NULL, span_of(NULL, 0)) : IKE_DROP;
		if (rc == IKE_DROP)
			v2_task_again(t, NS_PER_S); /* too much waits already */
		return v2_wait(x, 1, rc);
	}
	if (x->work->rc) {
		failed(t, x->work->why);
		return IKE_DROP;
	}
	d->dh = x->work->dh;
	x->work->dh = NULL;
	struct proposals list;
	if (d->any_prf || !with_same_prf(sa, &list))
		list = sa->conn->conf->proposals;
	if (!write_offer(x, d, &list, d->spi_i, nonce_i(d))) {
		failed(t, "its proposals do not fit one message: list fewer");
		return IKE_DROP;
	}
	return IKE_OK;
}

/* The SA of the peer's own rekeying that we answered meanwhile, or NULL. */
static struct ike_sa *rival_of(const struct ike_sa *sa, const struct rekey_ike *d)
{
	struct ike_sa *r = d->rival.id ? ike_sa_by_id(sa->ike, d->rival.id) : NULL;

	return r && !r->over && r->state == IKE_ST_UP ? r : NULL;
}

bool v2_rekey_ike_adopt(struct ike_sa *sa)
{
	struct ike_sa *r = v2_asking(sa, V2_TASK_REKEY_IKE) && sa->task->data
			       ? rival_of(sa, sa->task->data)
			       : NULL;

	if (!r)
		return false;
	ike_sa_log(sa, LOG_LVL_INFO, "the peer rekeyed the IKE SA too: its new one stays");
	hand_over(sa, r);
	done(sa->task, "the peer rekeyed it");
	return true;
}

static enum ike_rc refused(struct v2_exchange *x, const struct ike_payload *n)
{
	struct v2_task *t = x->task;
	struct rekey_ike *d = t->data;
	char num[IKE_NAME_LEN];

	if (n->notify.type == IKE2_INVALID_KE_PAYLOAD && n->notify.data.len == 2 &&
	    d->ke_tries < V2_KE_TRIES) {
		uint16_t group = load_be16(n->notify.data.p);
		bool ours = false;
		for (unsigned i = 0; i < x->sa->conn->conf->proposals.n; i++)
			ours |= proposal_has(&x->sa->conn->conf->proposals.p[i], IKE_T_KE, group);
		if (ours && dh_info(group)) {
			d->ke = group;
			d->ke_tries++;
			v2_task_again(t, 0);
			return IKE_OK;
		}
	}
	if (v2_rekey_ike_adopt(x->sa)) {
		x->to = IKE_ST_REKEYED;
		return IKE_OK;
	}
	if (n->notify.type == IKE2_TEMPORARY_FAILURE) {
		v2_task_later(t);
		return IKE_OK;
	}
	if (n->notify.type == IKE2_NO_PROPOSAL_CHOSEN && !d->any_prf) {
		d->any_prf = true;
		v2_task_again(t, 0);
		return IKE_OK;
	}
	snprintf(d->why, sizeof(d->why), "the peer refused it: %s%s",
		 ike_name_or_number(IKE_NAMES_NOTIFY2, n->notify.type, num),
		 n->notify.type == IKE2_NO_PROPOSAL_CHOSEN
		     ? " (make the proposals of both connections have one in common)"
		     : "");
	failed(t, d->why);
	return IKE_OK;
}

/* Ours is there too: which of the two stays? Returns true when the old one is for us to delete. */
static bool settle(struct ike_sa *sa, struct ike_sa *ours, const struct rekey_ike *d)
{
	struct ike_sa *theirs = rival_of(sa, d);

	if (theirs && v2_rival_wins(&d->rival, nonce_i(d), nonce_r(d))) {
		ike_sa_log(sa, LOG_LVL_INFO, "the peer rekeyed the IKE SA too: its new one stays");
		hand_over(sa, theirs);
		v2_sa_delete(ours, IKE_END_REPLACED, 0);
		return false;
	}
	if (theirs)
		leave_behind(theirs);
	hand_over(sa, ours);
	return true;
}

enum ike_rc v2_rekey_ike_answer(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct rekey_ike *d = t->data;
	struct ike_sa *sa = x->sa;
	uint16_t group;

	if (x->step == 0) {
		const struct ike_payload *n = v2_find_error(x->m);
		if (n)
			return refused(x, n);
		uint16_t bad = (x->m->seen & IKE_BIT(IKE2_SA))
				   ? read_offer(sa, x->m, d, true, &group)
				   : IKE2_INVALID_SYNTAX;
		if (bad == 0)
			return v2_wait(x, 1,
				       ike_work_dh(sa, d->suite.dh, &d->dh,
						   ike_msg_find(x->m, IKE2_KE, NULL)->ke.data));
		failed(t, d->why[0] ? d->why : "the peer's answer has no SA");
		/* the peer has a new SA that we have not */
		v2_sa_delete(sa, IKE_END_DEAD, 0);
		return IKE_OK;
	}
	struct ike_sa *ours = NULL;
	if (x->work->rc)
		snprintf(d->why, sizeof(d->why), "%s", x->work->why);
	else
		ours = make_sa(sa, d, true, secret_view(&x->work->shared));
	if (!ours) {
		failed(t, d->why);
		v2_sa_delete(sa, IKE_END_DEAD, 0);
		return IKE_OK;
	}
	done(t, "rekeyed");
	x->to = IKE_ST_REKEYED;
	if (settle(sa, ours, d))
		v2_sa_delete(sa, IKE_END_REPLACED, 0);
	return IKE_OK;
}

void v2_rekey_ike_fini(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;

	if (t->order)
		ike_order_done(sa->ike, t->order, sa->conn, sa, false,
			       "the IKE SA ended before it was rekeyed");
	data_free(t->data);
	t->data = NULL;
	if (!sa->over && sa->state == IKE_ST_UP) {
		sa->rekey_ns = clock_now_ns() + ike_jitter(IKE_RETRY_NS, IKE_RETRY_NS / 2);
		ike_sa_arm_life(sa);
	}
}

/* -- asked for by the peer -- */

/* Something of ours about its children is on its way (2.25.1). */
static bool busy_with_children(const struct ike_sa *sa)
{
	return v2_asking(sa, V2_TASK_CHILD) || v2_asking(sa, V2_TASK_REKEY_CHILD) ||
	       v2_asking(sa, V2_TASK_DELETE_CHILD);
}

static enum ike_rc begin_answer(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct rekey_ike *d = calloc(1, sizeof(*d));
	uint16_t group = 0;

	if (!d)
		return IKE_DROP;
	x->data = d;
	x->data_free = data_free;
	uint16_t bad = read_offer(sa, x->m, d, false, &group);
	if (bad == IKE2_INVALID_KE_PAYLOAD) {
		ike_sa_log(sa, LOG_LVL_INFO, "rekeying of the IKE SA by the peer: %s", d->why);
		return v2_error16(x, IKE_REPLY_ERROR, bad, group);
	}
	if (bad) {
		ike_conn_failed(sa->conn, sa, 0, "rekeying of the IKE SA by the peer: %s", d->why);
		return v2_error(x, IKE_REPLY_ERROR, bad);
	}
	d->nr_len = V2_NONCE_LEN;
	random_bytes(d->nr, d->nr_len);
	fresh_spi(x->ike, d->spi_r);
	return v2_wait(
	    x, 1, ike_work_dh(sa, d->suite.dh, NULL, ike_msg_find(x->m, IKE2_KE, NULL)->ke.data));
}

enum ike_rc v2_rekey_ike_r(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct rekey_ike *d = x->data;
	struct proposals one = { .n = 1 };

	if (v2_closing(sa) || busy_with_children(sa))
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	if (x->step == 0)
		return begin_answer(x);
	if (x->work->rc) {
		ike_conn_failed(sa->conn, sa, 0, "rekeying of the IKE SA by the peer: %s",
				x->work->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_INVALID_SYNTAX);
	}
	d->dh = x->work->dh;
	x->work->dh = NULL;
	one.p[0] = d->chosen;
	if (!write_offer(x, d, &one, d->spi_r, nonce_r(d)))
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	struct ike_sa *new = make_sa(sa, d, false, secret_view(&x->work->shared));
	if (!new) {
		ike_conn_failed(sa->conn, sa, 0, "rekeying of the IKE SA by the peer: %s", d->why);
		return v2_error(x, IKE_REPLY_ERROR, IKE2_TEMPORARY_FAILURE);
	}
	struct v2_task *own = v2_task_find(sa, V2_TASK_REKEY_IKE, 0);
	if (own && own == sa->task && own->data && sa->request.n) {
		/* both at once: who gets the children is known when our answer is there */
		v2_rival_note(&((struct rekey_ike *)own->data)->rival, new->id, nonce_i(d),
			      nonce_r(d));
		return IKE_OK;
	}
	if (own) {
		done(own, "the peer rekeyed it");
		v2_task_cancel(own);
	}
	hand_over(sa, new);
	x->to = IKE_ST_REKEYED;
	return IKE_OK;
}
