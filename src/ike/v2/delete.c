/*
 * INFORMATIONAL: deletes both ways, liveness, and whatever else a peer may tell (RFC
 * 7296 1.4, 1.4.1, 2.25). A pair of CHILD SAs that we delete accepts until the peer has answered;
 * one that the peer deletes is named in our answer by its other half, unless our own delete of it
 * is on its way.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/rd.h"
#include "ike/names.h"
#include "ike/v2/internal.h"
#include "ike/v2/rekey.h"

/* -- of children, by us -- */

/* t->data of V2_TASK_DELETE_CHILD */
struct delete_data { /* of a pair that only the peer has; NULL: see t->child_id */
	uint8_t proto;
	uint32_t spi_in;
};

void v2_child_delete(struct ike_child *c, enum ike_end end, uint64_t order)
{
	struct ike_sa *sa = c->sa;
	struct v2_task *t = v2_task_find(sa, V2_TASK_DELETE_CHILD, c->id);

	if (c->state == IKE_CHILD_DELETING && t) {
		if (!t->order)
			t->order = order;
		else
			ike_order_done(sa->ike, order, sa->conn, sa, true,
				       "it is being deleted already");
		return;
	}
	struct v2_task *rekey = v2_task_find(sa, V2_TASK_REKEY_CHILD, c->id);
	if (rekey && rekey != sa->task)
		v2_task_cancel(rekey);
	t = v2_task_make(sa, V2_TASK_DELETE_CHILD, order);
	if (!t) {
		ike_order_done(sa->ike, order, sa->conn, sa, true, "closed");
		ike_child_close(c, end, NULL);
		return;
	}
	/* what follows the end (a trap, a restart) is decided by how it was before */
	c->end = (uint8_t)(c->state == IKE_CHILD_REKEYED ? IKE_END_REPLACED : end);
	c->state = IKE_CHILD_DELETING;
	t->child_id = c->id;
	v2_task_queue(t);
}

void v2_delete_spi(struct ike_sa *sa, uint8_t proto, uint32_t spi_in)
{
	struct v2_task *t = spi_in ? v2_task_make(sa, V2_TASK_DELETE_CHILD, 0) : NULL;
	struct delete_data *d = t ? malloc(sizeof(*d)) : NULL;

	if (!d) {
		free(t);
		return;
	}
	*d = (struct delete_data){ .proto = proto, .spi_in = spi_in };
	t->data = d;
	v2_task_queue(t);
}

static bool add_delete(struct v2_exchange *x, uint8_t proto, const uint8_t *spis, unsigned n)
{
	struct ike_payload *p = n ? ike_msg_add(x->out, IKE2_D, true) : NULL;

	if (!p)
		return n == 0;
	p->del.proto = proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
	p->del.spi_size = 4;
	p->del.n = (uint16_t)n;
	p->del.spis = span_of(spis, 4u * n);
	return true;
}

enum ike_rc v2_delete_child_build(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	const struct delete_data *d = t->data;
	const struct ike_child *c = t->child_id ? ike_child_by_id(x->sa, t->child_id) : NULL;
	uint8_t *spi = ike_arena(x->ike, 4);

	if (!c && !d)
		return IKE_DROP; /* the peer deleted it meanwhile */
	if (!spi)
		return IKE_DROP;
	store_be32(spi, c ? c->spi_in : d->spi_in);
	return add_delete(x, c ? c->proto : d->proto, spi, 1) ? IKE_OK : IKE_DROP;
}

enum ike_rc v2_delete_child_answer(struct v2_exchange *x)
{
	struct v2_task *t = x->task;
	struct ike_child *c = t->child_id ? ike_child_by_id(x->sa, t->child_id) : NULL;

	if (c)
		ike_child_close(c, (enum ike_end)c->end, NULL);
	return IKE_OK;
}

void v2_delete_child_fini(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;

	/* also when the IKE SA ended first: the child ended with it */
	ike_order_done(sa->ike, t->order, sa->conn, sa, true, "closed");
	free(t->data);
}

/* -- of the IKE SA, by us -- */

void v2_sa_delete(struct ike_sa *sa, enum ike_end end, uint64_t order)
{
	struct v2_task *t = v2_task_find(sa, V2_TASK_DELETE_IKE, 0);

	if (sa->over) {
		ike_order_done(sa->ike, order, sa->conn, sa, true, "closed");
		return;
	}
	if (t) {
		if (end == IKE_END_ORDER)
			sa->end = (uint8_t)end;
		if (!t->order)
			t->order = order;
		else
			ike_order_done(sa->ike, order, sa->conn, sa, true,
				       "it is being deleted already");
		return;
	}
	sa->end = (uint8_t)end;
	if (sa->state == IKE_ST_UP || sa->state == IKE_ST_REKEYED)
		t = v2_task_make(sa, V2_TASK_DELETE_IKE, order);
	if (!t) {
		ike_order_done(sa->ike, order, sa->conn, sa, true, "closed");
		ike_sa_kill(sa, end, NULL);
		return;
	}
	/* the delete is the last request (2.8): what waits would come too late */
	while (!list_empty(&sa->tasks))
		v2_task_cancel(list_entry(sa->tasks.next, struct v2_task, link));
	v2_task_queue(t);
}

enum ike_rc v2_delete_ike_build(struct v2_exchange *x)
{
	/* of a peer that did not prove itself: why (2.21.2) */
	if (x->sa->end == IKE_END_FAILED &&
	    !v2_add_notify(x->out, IKE2_AUTHENTICATION_FAILED, span_of(NULL, 0)))
		return IKE_DROP;
	struct ike_payload *p = ike_msg_add(x->out, IKE2_D, true);
	if (!p)
		return IKE_DROP;
	p->del.proto = IKE_PROTO_IKE;
	return IKE_OK;
}

enum ike_rc v2_delete_ike_answer(struct v2_exchange *x)
{
	x->end = x->sa->end;
	return IKE_KILL;
}

void v2_delete_ike_timeout(struct v2_task *t)
{
	ike_sa_kill(t->sa, (enum ike_end)t->sa->end, NULL);
}

void v2_delete_ike_fini(struct v2_task *t)
{
	ike_order_done(t->sa->ike, t->order, t->sa->conn, t->sa, true, "closed");
}

/* -- liveness -- */

enum ike_rc v2_live_build(struct v2_exchange *x)
{
	(void)x; /* an empty request asks for an empty answer (RFC 7296 2.4) */
	return IKE_OK;
}

enum ike_rc v2_live_answer(struct v2_exchange *x)
{
	(void)x; /* that it came is all */
	return IKE_OK;
}

/* -- by the peer -- */

/* One of its deletes: NULL when there is nothing to name in the answer. */
static struct ike_child *deleted(const struct ike_sa *sa, uint8_t proto, uint32_t spi)
{
	struct ike_child *c = ike_child_by_spi(sa, proto, spi);

	struct v2_create *pending = c ? NULL : v2_create_pending(sa);
	if (!c)
		ike_sa_log(sa, LOG_LVL_DEBUG, "the peer deletes SPI %08x, which is not here", spi);
	if (pending)
		pending->deleted[pending->n_deleted++ % ARRAY_LEN(pending->deleted)] = spi;
	return c && c->state != IKE_CHILD_DELETING ? c : NULL;
}

static void close_deleted(struct ike_child *c)
{
	struct ike_child *by = v2_child_successor(c);
	struct ike_child *old = c->replaces ? ike_child_by_id(c->sa, c->replaces) : NULL;

	if (old && c->state == IKE_CHILD_UP && old->state != IKE_CHILD_DELETING) {
		/* the peer takes its rekeying back: it lost against ours, or could not finish it */
		c->state = IKE_CHILD_REKEYED;
		ike_child_revive(old);
	} else if (c->state == IKE_CHILD_UP && by) {
		ike_child_set_rekeyed(c, by);
	}
	if (c->state == IKE_CHILD_REKEYED)
		ike_child_close(c, IKE_END_REPLACED, NULL);
	else
		ike_child_close(c, IKE_END_PEER, "deleted by the peer");
}

/* Deletes of one protocol: closes each pair, and lists our halves for the answer. */
static enum ike_rc delete_children(struct v2_exchange *x, uint8_t ike_proto)
{
	struct ike_sa *sa = x->sa;
	uint8_t proto = ike_proto == IKE_PROTO_AH ? SA_AH : SA_ESP;
	uint8_t *spis = ike_arena(x->ike, 4u * sa->n_children + 4);
	const struct ike_payload *p = NULL;
	unsigned n = 0;

	if (!spis)
		return IKE_DROP;
	while ((p = ike_msg_find(x->m, IKE2_D, p))) {
		struct rd r = rd_of(p->del.spis.p, p->del.spis.len);
		if (p->del.proto != ike_proto || p->del.spi_size != 4)
			continue;
		while (r.left) {
			struct ike_child *c = deleted(sa, proto, rd_be32(&r));
			if (!c)
				continue;
			store_be32(spis + 4 * n++, c->spi_in);
			close_deleted(c);
		}
	}
	return add_delete(x, proto, spis, n) ? IKE_OK : IKE_REPLY_ERROR;
}

static bool deletes_ike(const struct ike_msg *m)
{
	const struct ike_payload *p = NULL;

	while ((p = ike_msg_find(m, IKE2_D, p)))
		if (p->del.proto == IKE_PROTO_IKE)
			return true;
	return false;
}

/* The IKE SA goes, with the children it still has. */
static enum ike_rc delete_ike(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;

	if (sa->state == IKE_ST_REKEYED || v2_rekey_ike_adopt(sa))
		x->end = IKE_END_REPLACED;
	else if (v2_closing(sa))
		x->end = sa->end;
	else
		x->end = IKE_END_PEER;
	if (x->end == IKE_END_PEER)
		x->why = "deleted by the peer";
	/* once it has our answer, it accepts nothing by the children any more */
	ike_children_hand_over(sa);
	return IKE_KILL;
}

/* The initiator, who hears our proof last, does not believe it: with or without a delete that is
 * the end of the IKE SA (RFC 7296 2.21.2). */
static enum ike_rc refused(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	bool news = sa->state == IKE_ST_UP && !sa->over;
	const char *what = sa->conn->conf->auth.method == IKE_BY_PSK ? "pre-shared key"
								     : "certificate or key";
	char why[512], own[400];

	if (v2_own_cert_bad(sa, own, sizeof(own)))
		snprintf(why, sizeof(why),
			 "the peer refused our proof (AUTHENTICATION_FAILED), probably because %s",
			 own);
	else
		snprintf(why, sizeof(why),
			 "the peer refused our proof (AUTHENTICATION_FAILED): our id or our %s is "
			 "not what it expects; its log says which",
			 what);
	if (news)
		ike_conn_failed(sa->conn, sa, 0, "%s", why);
	enum ike_rc rc = delete_ike(x);
	if (x->end == IKE_END_PEER)
		x->why = "the peer refused our proof (AUTHENTICATION_FAILED)";
	return rc;
}

/* Errors a peer may tell of by itself are for the administrator. */
static void log_notifies(const struct v2_exchange *x)
{
	const struct ike_payload *p = NULL;
	char num[IKE_NAME_LEN];

	while ((p = ike_msg_find(x->m, IKE2_N, p)))
		ike_sa_log(x->sa,
			   p->notify.type < IKE2_STATUS_FIRST ? LOG_LVL_NOTICE : LOG_LVL_DEBUG,
			   "the peer tells: %s",
			   ike_name_or_number(IKE_NAMES_NOTIFY2, p->notify.type, num));
}

enum ike_rc v2_info_r(struct v2_exchange *x)
{
	log_notifies(x);
	if (ike_msg_notify(x->m, IKE2_AUTHENTICATION_FAILED))
		return refused(x);
	if (deletes_ike(x->m))
		return delete_ike(x);
	enum ike_rc rc = delete_children(x, IKE_PROTO_ESP);
	if (rc == IKE_OK)
		rc = delete_children(x, IKE_PROTO_AH);
	return rc;
}
