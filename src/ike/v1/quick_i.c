/*
 * Quick Mode as initiator (RFC 2409 5.5): what is wanted, or to be rekeyed, becomes an exchange;
 * key pair for PFS on the pool -> offer -> the answer checked, shared secret -> both SAs in force
 * -> the last message; with the commit bit CONNECTED is waited for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/life.h"
#include "ike/v1/quick.h"

#define LAST_PACKETS_NS NS_PER_S /* what was sent by the old pair has come by then */

/* -- asked for -- */

static void finish(struct v1_exchange *x, bool ok, const char *text)
{
	struct ike_conn *c = x->sa->conn;

	if (!x->replaces)
		ike_acquire_over(c, x->child->ci, ok);
	ike_order_done(x->ike, x->order, c, x->sa, ok, text);
	x->order = 0;
}

void v1_quick_retry(struct v1_exchange *x)
{
	struct ike_child *k = v1_child_by_id(x->sa, x->replaces);

	if (!k || k->state != IKE_CHILD_UP)
		return;
	k->rekeying = false;
	k->rekey_ns = clock_now_ns() + ike_jitter(IKE_RETRY_NS, IKE_RETRY_NS / 2);
	ike_child_arm_life(k);
}

void v1_quick_failed(struct v1_exchange *x, const char *why)
{
	struct ike_sa *sa = x->sa;
	struct child_nego *c = x->child;
	struct ike_child *k;

	if (!x->asked) {
		/* installed for an initiator that never came back, unless it has begun to use it */
		k = v1_child_by_id(sa, x->made);
		if (k && x->ike->env.child_last_used(x->ike->env.ctx, k->reqid, k->spi_in, true)) {
			v1_quick_confirm(x, k);
			return;
		}
		if (k)
			v1_child_delete(k, IKE_END_FAILED, 0);
		ike_conn_failed(sa->conn, sa, 0, "child %s: %s",
				c && c->conf ? c->conf->name : "(none fits)", why);
		return;
	}
	if (!c)
		return;
	ike_conn_failed(sa->conn, sa, 0, "child %s: %s", c->conf->name, why);
	finish(x, false, why);
	v1_quick_retry(x);
}

static struct v1_exchange *begin(struct ike_sa *sa, unsigned ci)
{
	struct v1_exchange *x = v1_exchange_new(sa, IKE1_X_QUICK, true, 0);

	if (!x)
		return NULL;
	x->child = child_nego_new(sa, ci, true);
	if (x->child)
		return x;
	v1_exchange_free(x);
	return NULL;
}

static bool already_up(const struct ike_sa *sa, const struct ike_child_conf *conf)
{
	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if (c->conf == conf && c->state == IKE_CHILD_UP)
			return true;
	}
	return false;
}

void v1_want(struct ike_sa *sa, struct ike_want *w)
{
	struct v1_exchange *x = NULL;

	if (w->ci == IKE_WANT_SA || already_up(sa, sa->conn->child[w->ci].conf)) {
		ike_want_done(sa->conn, w, sa);
		return;
	}
	if (sa->v1->stage != V1_STAGE_NONE) {
		list_push_back(&sa->wants, &w->link);
		return;
	}
	x = begin(sa, w->ci);
	if (!x) {
		ike_want_fail(sa->conn, w, "out of memory");
		return;
	}
	x->order = w->order;
	free(w);
	v1_exchange_start(x);
}

void v1_child_rekey(struct ike_child *c, uint64_t order)
{
	struct ike_sa *sa = c->sa;

	if (c->rekeying || c->state != IKE_CHILD_UP) {
		ike_order_done(sa->ike, order, sa->conn, sa, true, "it is being rekeyed already");
		return;
	}
	if (sa->v1->keyless) { /* phase 1 comes first */
		ike_order_done(sa->ike, order, sa->conn, sa, false,
			       "the peer has deleted the IKE SA: a new one is being made");
		c->rekey_ns = clock_now_ns() + IKE_RETRY_NS / 3;
		ike_child_arm_life(c);
		v1_sa_rekey(sa, 0);
		return;
	}
	struct v1_exchange *x = begin(sa, ike_conn_child_index(sa->conn, c->conf));
	if (!x) {
		ike_order_done(sa->ike, order, sa->conn, sa, false, "out of memory");
		return;
	}
	c->rekeying = true;
	x->order = order;
	x->replaces = c->id;
	x->said_kbytes = c->said_kbytes;
	/* those in force are cut to their length */
	x->child->local_ts.n = x->child->remote_ts.n = 1;
	x->child->local_ts.ts[0] = c->local_ts->ts[0];
	x->child->remote_ts.ts[0] = c->remote_said;
	v1_exchange_start(x);
}

/* -- message 1 -- */

/* What we offer: no more than the peer would cut it down to. */
static struct v1_life offered_life(const struct v1_exchange *x)
{
	struct v1_life l = v1_quick_life(x->child->conf);

	if (x->said_kbytes && (!l.kbytes || x->said_kbytes < l.kbytes))
		l.kbytes = x->said_kbytes;
	return l;
}

/* Our selectors: the first of each side, which is all that fits. */
static int own_ts(struct v1_exchange *x)
{
	struct child_nego *c = x->child;

	if (x->replaces)
		return 0; /* those of the old one */
	ts_resolve(&c->conf->local_ts, v1_inner_own(c->sa, &c->conf->remote_ts), &c->local_ts);
	ts_resolve(&c->conf->remote_ts, v1_inner_peer(c->sa, &c->conf->local_ts), &c->remote_ts);
	if (!c->local_ts.n || !c->remote_ts.n) {
		snprintf(c->why, sizeof(c->why), "no selector fits the addresses of both sides");
		return -ENOENT;
	}
	if (c->local_ts.n > 1 || c->remote_ts.n > 1)
		ike_sa_log(c->sa, LOG_LVL_NOTICE,
			   "child %s: IKEv1 has one selector a side: only the first of local_ts "
			   "and remote_ts is used; make a child of each pair",
			   c->conf->name);
	c->local_ts.n = c->remote_ts.n = 1;
	return 0;
}

static int add_ids(struct v1_exchange *x)
{
	struct child_nego *c = x->child;
	const struct ts *t[2] = { &c->local_ts.ts[0], &c->remote_ts.ts[0] };

	for (unsigned i = 0; i < 2; i++) {
		struct ike_payload *p = ike_msg_add(x->out, IKE1_ID, true);
		if (!p || v1_ts_to_id(x->ike, t[i], p, c->why, sizeof(c->why)))
			return -ENOTSUP;
	}
	return 0;
}

/* vpnc, which announces itself as Unity, answers with the initiator's nonce, of which it has
 * overwritten 20 bytes, and makes its keys of these alone: as many they must be. */
static size_t quick_nonce_len(const struct ike_sa *sa)
{
	return sa->v1->peers & V1_VID(IKE_VENDOR_UNITY) ? 20 : V1_NONCE_LEN;
}

static int fill(struct v1_exchange *x)
{
	struct child_nego *c = x->child;
	struct v1_terms t = v1_quick_terms(c, c->mode);
	struct v1_life *life = ike_arena(x->ike, sizeof(*life));
	struct ike_payload *p = v1_quick_head(x);

	if (!p || !life || v1_quick_spi(c) || own_ts(x))
		return -ENOSPC;
	*life = offered_life(x);
	t.spi = v1_quick_spi_bytes(c);
	t.ah_spi = v1_quick_ah_spi_bytes(c);
	int n = v1_ph2_offer(&c->conf->proposals, &t, life, x->out, p);
	if (n <= 0) {
		snprintf(c->why, sizeof(c->why),
			 n ? "its proposals do not fit one message: list fewer"
			   : "none of its proposals exists in IKEv1");
		return -ENOSPC;
	}
	c->ni_len = quick_nonce_len(x->sa);
	random_bytes(c->ni, c->ni_len);
	if (v1_quick_nonce(x, c->ni, c->ni_len) || add_ids(x) || v1_quick_add_oa(x, c->mode))
		return -ENOSPC;
	return 0;
}

enum ike_rc v1_quick_begin(struct v1_exchange *x)
{
	struct child_nego *c = x->child;

	if (x->step == 0 && x->replaces && !v1_child_by_id(x->sa, x->replaces))
		return v1_error(x, IKE_DROP, 0, "it is gone meanwhile");
	if (x->step == 0) {
		c->group = dh_info(v1_first_group(&c->conf->proposals));
		if (c->group)
			return v1_wait(x, 1, ike_work_dh(x->sa, c->group, NULL, span_of(NULL, 0)));
	} else if (x->work->rc) {
		return v1_error(x, IKE_DROP, 0, "%s", x->work->why);
	} else {
		c->dh = x->work->dh;
		x->work->dh = NULL;
	}
	v1_quick_commit(x);
	if (fill(x))
		return v1_error(x, IKE_DROP, 0, "%s",
				c->why[0] ? c->why : "it does not fit one message");
	return IKE_OK;
}

/* -- message 2 -- */

/* Where the responder sees us: the first of its two NAT-OA payloads (RFC 3947 5.2). ver 0 when
 * there are not two, as older drafts have it: then checksums are made anew. */
static struct ip_addr seen_at(const struct v1_exchange *x)
{
	uint8_t type = v1_natoa_payload(x->sa->v1->natt);
	const struct ike_payload *i = ike_msg_find(x->m, type, NULL),
				 *r = i ? ike_msg_find(x->m, type, i) : NULL;
	struct ts t;

	if (!x->sa->nat_local)
		return x->sa->local.addr;
	return r && v1_ts_from_id(i, &t) == 0 ? t.range.lo : (struct ip_addr){ .ver = 0 };
}

/* The selectors must be ours again. In transport mode through NAT they may be as the peer sees
 * them. */
static bool ids_ours(struct v1_exchange *x)
{
	struct child_nego *c = x->child;
	const struct ike_payload *i = ike_msg_find(x->m, IKE1_ID, NULL);
	const struct ike_payload *r = i ? ike_msg_find(x->m, IKE1_ID, i) : NULL;
	struct ts local, remote;

	if (!i && c->mode == SA_TRANSPORT)
		return true;
	if (!r || v1_ts_from_id(i, &local) || v1_ts_from_id(r, &remote))
		return false;
	if (c->mode == SA_TRANSPORT && (x->sa->nat_local || x->sa->nat_remote)) {
		c->oa_local = seen_at(x);
		c->oa_remote = remote.range.lo;
		return true;
	}
	return ts_eq(&local, &c->local_ts.ts[0]) && ts_eq(&remote, &c->remote_ts.ts[0]);
}

static enum ike_rc check_answer(struct v1_exchange *x, struct v1_choice *choice)
{
	struct child_nego *c = x->child;
	const struct ike_payload *sa = ike_msg_find(x->m, IKE1_SA, NULL);
	const struct ike_payload *ke = ike_msg_find(x->m, IKE1_KE, NULL);
	struct v1_terms t = v1_quick_terms(c, c->mode);
	struct span nr = ike_msg_find(x->m, IKE1_NONCE, NULL)->raw.data;
	struct ike_bad bad;
	char why[256];

	if (!v1_sa_is_answer(x->m, sa) ||
	    v1_ph2_choose(&c->conf->proposals, &t, false, x->m, sa, choice, why, sizeof(why)))
		return v1_error(x, IKE_KILL, IKE1_BAD_PROPOSAL_SYNTAX,
				"the peer chose a proposal that was not offered");
	if (!v1_quick_take(c, choice))
		return v1_error(x, IKE_KILL, IKE1_INVALID_SPI, "an SPI of the peer is reserved");
	for (unsigned i = 0; i < V1_GONE_MAX; i++)
		if (x->sa->v1->gone[i] == c->spi_out)
			return v1_error(x, IKE_KILL, 0, "the peer has deleted it already");
	if (!ids_ours(x))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
				"the peer's answer has selectors that were not offered: make "
				"local_ts here and remote_ts there the same, and the other way "
				"round");
	if (c->group && (!ke || v1_check_ke(ke, (uint16_t)c->group->id, &bad)))
		return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION,
				"the peer's answer lacks the key exchange it agreed to");
	memcpy(c->nr, nr.p, nr.len);
	c->nr_len = nr.len;
	return IKE_OK;
}

static void told(struct v1_exchange *x)
{
	struct ike_child *old = v1_child_by_id(x->sa, x->replaces);

	if (x->commit)
		return; /* v1_quick_connected() */
	if (x->connect)
		v1_connected(x);
	finish(x, true, "done");
	if (!old || old->state != IKE_CHILD_REKEYED)
		return;
	/* who hears of a delete may forget the pair at once: not while packets are on their way */
	old->expire_ns = clock_now_ns() + LAST_PACKETS_NS;
	ike_child_arm_life(old);
}

/* As initiator, with the commit bit: one that replaces another receives already, and sends now; a
 * new one is made now. */
static bool go_on(struct v1_exchange *x)
{
	struct ike_child *k = v1_child_by_id(x->sa, x->made);

	if (!x->made) {
		k = v1_quick_install(x, &x->life);
		if (!k)
			v1_quick_failed(x, x->child->why);
		return k != NULL;
	}
	if (k && k->switch_ns) {
		ike_child_switch(k);
		k->switch_ns = 0;
		ike_child_arm_life(k);
	}
	return true;
}

void v1_quick_connected(struct v1_exchange *x)
{
	struct ike_child *k;

	x->commit = false;
	x->ike->arena_used = 0;
	if (x->asked && !go_on(x)) {
		if (!x->sa->over)
			v1_exchange_free(x);
		return;
	}
	if (x->asked) {
		told(x);
	} else {
		k = v1_child_by_id(x->sa, x->made);
		if (k)
			v1_quick_confirm(x, k);
	}
	if (!x->sa->over)
		v1_exchange_finish(x);
}

enum ike_rc v1_quick_2(struct v1_exchange *x)
{
	struct child_nego *c = x->child;
	struct v1_choice choice;
	struct v1_life life = offered_life(x), said;

	enum ike_rc rc = check_answer(x, &choice);
	if (rc != IKE_OK)
		return rc;
	if (c->group && x->step == 0)
		return v1_wait(x, 1,
			       ike_work_dh(x->sa, c->group, &c->dh,
					   ike_msg_find(x->m, IKE1_KE, NULL)->ke.data));
	if (c->group && x->work->rc)
		return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION, "%s", x->work->why);
	if (c->group)
		c->shared = secret_take(&x->work->shared);
	const struct ike_payload *n = ike_msg_notify(x->m, IKE1_RESPONDER_LIFETIME);
	if (n && v1_life_read(n->notify.data, false, &said)) {
		life.seconds = said.seconds ? said.seconds : life.seconds;
		life.kbytes = said.kbytes ? said.kbytes : life.kbytes;
	}
	n = ike_msg_notify(x->m, IKE1_REPLAY_STATUS);
	if (n && n->notify.data.len == 4 && load_be32(n->notify.data.p) == 0)
		ike_sa_log(x->sa, LOG_LVL_NOTICE,
			   "child %s: the peer does not detect packets that are played back",
			   c->conf->name);
	x->commit = !x->connect && (x->m->hdr.flags & IKE1_FLAG_C);
	x->life = life;
	if ((!x->commit || x->replaces) && !v1_quick_install(x, &life))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", c->why);
	struct ike_payload *p = ike_msg_add(x->out, IKE1_HASH, true);
	if (!p)
		return IKE_DROP;
	p->raw.data = span_of(NULL, x->sa->suite.prf->len);
	x->done = !x->commit;
	x->after = told;
	return IKE_OK;
}
