/*
 * Quick Mode as initiator (RFC 2409 5.5): what is wanted, or to be rekeyed, becomes an exchange;
 * key pair for PFS on the pool -> offer -> the answer checked, shared secret -> both SAs in force
 * -> the last message. What both roles share is here too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/life.h"
#include "ike/v1/quick.h"

#define SETTLED_NS      (10 * NS_PER_S) /* exchanges that crossed are over by then */
#define LAST_PACKETS_NS NS_PER_S        /* what was sent by the old pair has come by then */
#define MESSAGE_3_NS    (NS_PER_S / 20) /* it goes ahead of what we send; so long the peer works on it at most */
#define SHORTER_NS      (5 * NS_PER_S)  /* a pair that the peer wants shorter is replaced so soon */

/* -- both roles -- */

int v1_quick_spi(struct child_nego *c)
{
	struct ike *ike = c->sa->ike;

	if (!c->spi_in)
		c->spi_in = ike->env.spi_alloc(ike->env.ctx, c->proto);
	if (c->conf->ah.n && !c->ah.spi_in)
		c->ah.spi_in = ike->env.spi_alloc(ike->env.ctx, SA_AH);
	if (c->spi_in && (c->ah.spi_in || !c->conf->ah.n))
		return 0;
	snprintf(c->why, sizeof(c->why), "no SPI is left");
	return -ENOSPC;
}

static struct span spi_bytes(const struct child_nego *c, uint32_t spi)
{
	uint8_t *p = spi ? ike_arena(c->sa->ike, 4) : NULL;

	if (p)
		store_be32(p, spi);
	return span_of(p, p ? 4 : 0);
}

struct span v1_quick_spi_bytes(const struct child_nego *c)
{
	return spi_bytes(c, c->spi_in);
}

struct span v1_quick_ah_spi_bytes(const struct child_nego *c)
{
	return spi_bytes(c, c->ah.spi_in);
}

bool v1_quick_take(struct child_nego *c, const struct v1_choice *choice)
{
	c->chosen = choice->own.chosen;
	c->ah.chosen = choice->ah.chosen;
	c->spi_out = choice->own.spi;
	c->ah.spi_out = choice->bundle ? choice->ah.spi : 0;
	return c->spi_out > 255 && (!choice->bundle || c->ah.spi_out > 255);
}

struct v1_terms v1_quick_terms(const struct child_nego *c, uint8_t mode)
{
	const struct ike_sa *sa = c->sa;

	return (struct v1_terms){ .ah = c->conf->ah.n ? &c->conf->ah : NULL,
				  .group = c->group ? (uint16_t)c->group->id : 0,
				  .encap = v1_encap_mode(mode == SA_TRANSPORT, sa->encap,
							 sa->v1->natt) };
}

struct v1_life v1_quick_life(const struct ike_child_conf *f)
{
	return (struct v1_life){ .seconds = f->life_ns / NS_PER_S, .kbytes = f->life_bytes / 1024 };
}

/* What we offer: no more than the peer would cut it down to. */
static struct v1_life offered_life(const struct v1_exchange *x)
{
	struct v1_life l = v1_quick_life(x->child->conf);

	if (x->said_kbytes && (!l.kbytes || x->said_kbytes < l.kbytes))
		l.kbytes = x->said_kbytes;
	return l;
}

struct ike_payload *v1_quick_head(struct v1_exchange *x)
{
	struct ike_payload *h = ike_msg_add(x->out, IKE1_HASH, true);
	struct ike_payload *p = h ? ike_msg_add(x->out, IKE1_SA, true) : NULL;

	if (!p)
		return NULL;
	h->raw.data = span_of(NULL, x->sa->suite.prf->len);
	p->sa.doi = IKE1_DOI_IPSEC;
	p->sa.situation = IKE1_SIT_IDENTITY_ONLY;
	return p;
}

int v1_quick_nonce(struct v1_exchange *x, const uint8_t *nonce, size_t len)
{
	struct child_nego *c = x->child;
	struct ike_payload *p = ike_msg_add(x->out, IKE1_NONCE, true);

	if (!p)
		return -ENOSPC;
	p->raw.data = span_of(nonce, len);
	if (!c->group)
		return 0;
	struct span pub = ike_arena_copy(x->ike, dh_public(c->dh));
	p = ike_msg_add(x->out, IKE1_KE, true);
	if (!p || !pub.p)
		return -ENOSPC;
	p->ke.data = pub;
	return 0;
}

/* NAT-OA (RFC 3947 5.2), in transport mode behind NAT: addresses as the sender sees them. */
static int add_oa(struct v1_exchange *x, const struct ip_addr *a)
{
	struct ike_payload *p = ike_msg_add(x->out, v1_natoa_payload(x->sa->v1->natt), true);
	struct span b = ike_arena_copy(x->ike, span_of(a->b, ip_addr_bytes(a)));

	if (!p || !b.p)
		return -ENOSPC;
	p->id.type = a->ver == 4 ? IKE_ID_IPV4_ADDR : IKE_ID_IPV6_ADDR;
	p->id.data = b;
	return 0;
}

int v1_quick_add_oa(struct v1_exchange *x, uint8_t mode)
{
	const struct ike_sa *sa = x->sa;
	bool i = x->child->asked;

	if (mode != SA_TRANSPORT || !(sa->nat_local || sa->nat_remote))
		return 0;
	int rc = add_oa(x, i ? &sa->local.addr : &sa->remote.addr);
	return rc ? rc : add_oa(x, i ? &sa->remote.addr : &sa->local.addr);
}

/* Kilobytes the peer says afterwards are those of the pair that takes this one's place soon: what is
 * in the SAD keeps the limit it came with. */
static void limit_kbytes(struct ike_child *k, uint64_t kbytes)
{
	uint64_t at = clock_now_ns() + ike_jitter(SHORTER_NS, SHORTER_NS / 2);

	if (!kbytes || (k->kbytes && k->kbytes <= kbytes) || k->state != IKE_CHILD_UP)
		return;
	k->kbytes = k->said_kbytes = kbytes;
	if (!k->rekey_ns || k->rekey_ns > at)
		k->rekey_ns = at;
	ike_child_arm_life(k);
}

/* Limits the peer said, when they are shorter than ours. */
void v1_quick_limit(struct ike_child *k, const struct v1_life *life)
{
	uint64_t ns = life->seconds * NS_PER_S;

	limit_kbytes(k, life->kbytes);
	if (!ns || (k->expire_ns && k->installed_ns + ns >= k->expire_ns))
		return;
	k->expire_ns = k->installed_ns + ns;
	if (!k->rekey_ns || k->rekey_ns > k->installed_ns + ns * 9 / 10)
		k->rekey_ns = k->installed_ns + ike_jitter(ns * 9 / 10, ns / 10);
	ike_child_arm_life(k);
}

/* The SAs with one peer: sa, then the others. */
static struct ike_sa *next_sa(const struct ike_sa *sa, struct ike_sa *at)
{
	return ike_sa_twin(sa, at == sa ? NULL : at);
}

struct ike_child *v1_child_by_id(struct ike_sa *sa, uint32_t id)
{
	struct ike_child *c = NULL;

	for (struct ike_sa *t = sa; t && !c && id; t = next_sa(sa, t))
		c = ike_child_by_id(t, id);
	return c;
}

/*
 * What the new pair replaces. We know what we rekeyed; of the peer's exchange only the selectors
 * say it: all that have them. When both sides rekey at once two pairs stay, until the next time:
 * nobody takes away what the other has just begun to use. What is left of an older collision, or of
 * a delete that was lost, goes with the next pair of ours.
 */
static bool replaced(const struct v1_exchange *x, const struct ike_child *k,
		     const struct ike_child *o)
{
	/* what is younger came of an exchange of ours that crossed the peer's */
	if (o->id >= k->id || o->state != IKE_CHILD_UP)
		return false;
	if (x->asked && o->id == x->replaces)
		return true;
	if (x->asked && (o->unsure || o->installed_ns + SETTLED_NS > k->installed_ns))
		return false;
	return o->conf == k->conf && ts_list_eq(o->local_ts, k->local_ts) &&
	       ts_list_eq(o->remote_ts, k->remote_ts);
}

static void replace_old(struct v1_exchange *x, struct ike_child *k)
{
	for (struct ike_sa *t = x->sa; t; t = next_sa(x->sa, t))
		list_for_each (l, &t->children) {
			struct ike_child *o = list_entry(l, struct ike_child, of_sa);
			if (!replaced(x, k, o))
				continue;
			ike_child_set_rekeyed(o, k);
			ike_child_leave_behind(o);
		}
}

/* A pair in force with these selectors, or NULL. */
static struct ike_child *same_child(struct ike_sa *sa, const struct child_nego *c)
{
	for (struct ike_sa *t = sa; t; t = next_sa(sa, t))
		list_for_each (l, &t->children) {
			struct ike_child *k = list_entry(l, struct ike_child, of_sa);
			if (k->state == IKE_CHILD_UP && k->conf == c->conf &&
			    ts_list_eq(k->local_ts, &c->local_ts) &&
			    ts_list_eq(k->remote_ts, &c->remote_ts))
				return k;
		}
	return NULL;
}

struct ike_child *v1_quick_install(struct v1_exchange *x, const struct v1_life *life)
{
	struct child_nego *c = x->child;
	const struct ts said = c->remote_ts.ts[0];

	v1_split(x->sa, &c->remote_ts);
	const struct ike_child *old =
	    x->replaces ? v1_child_by_id(x->sa, x->replaces) : same_child(x->sa, c);

	c->replaces = old ? old->id : 0;
	c->reqid = old ? old->reqid : 0;
	c->life_bytes = life->kbytes * 1024;
	/* who answers has the new pair when our message 3 has come, and perhaps only that one: until about then we send by
	 * the old one */
	bool wait = x->asked && x->replaces && old;
	struct ike_child *k = child_nego_install(c, !x->commit && !wait, x->order);
	if (!k)
		return NULL;
	if (wait && !x->commit) {
		k->switch_anyway = true;
		k->switch_ns = k->installed_ns + MESSAGE_3_NS;
		ike_child_arm_life(k);
	}
	k->remote_said = said;
	k->kbytes = life->kbytes;
	k->said_kbytes = x->said_kbytes;
	v1_quick_limit(k, life);
	x->made = k->id;
	/* as responder not before the initiator surely has it (v1_quick_confirm) */
	if (x->asked)
		replace_old(x, k);
	else
		k->unsure = true;
	return k;
}

void v1_quick_left(struct v1_exchange *x)
{
	struct ike_child *k = x->made && !x->asked ? v1_child_by_id(x->sa, x->made) : NULL;
	struct ike_child *twin = k && k->unsure && k->state == IKE_CHILD_UP ? v1_child_twin(k) : NULL;

	if (!twin)
		return;
	k->state = IKE_CHILD_REKEYED;
	ike_child_leave_behind(k);
	/* the peer may know only this one, or only the other: a third both know */
	twin->rekey_ns = clock_now_ns() + ike_jitter(IKE_RETRY_NS / 10, IKE_RETRY_NS / 10);
	ike_child_arm_life(twin);
}

struct ike_child *v1_child_twin(const struct ike_child *c)
{
	list_for_each (l, &c->sa->children) {
		struct ike_child *o = list_entry(l, struct ike_child, of_sa);
		if (o != c && o->reqid == c->reqid && (o->state == IKE_CHILD_UP || o->unsure))
			return o;
	}
	return NULL;
}

void v1_quick_confirm(struct v1_exchange *x, struct ike_child *k)
{
	k->unsure = false;
	ike_child_revive(k);
	replace_old(x, k);
	if (!k->switch_ns)
		return;
	ike_child_switch(k);
	k->switch_ns = 0;
	ike_child_arm_life(k);
}

void v1_quick_commit(struct v1_exchange *x)
{
	if (!x->sa->conn->conf->commit_bit || x->commit)
		return;
	x->connect = true;
	x->out->hdr.flags |= IKE1_FLAG_C;
}

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

/* Where the responder sees us: the first of its two NAT-OA payloads (RFC 3947 5.2). ver 0 when there are not two, as older drafts
 * have it: then checksums are made anew. */
static struct ip_addr seen_at(const struct v1_exchange *x)
{
	uint8_t type = v1_natoa_payload(x->sa->v1->natt);
	const struct ike_payload *i = ike_msg_find(x->m, type, NULL), *r = i ? ike_msg_find(x->m, type, i) : NULL;
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
	/* who hears of a delete may forget the pair at once: not while packets are under way to it */
	old->expire_ns = clock_now_ns() + LAST_PACKETS_NS;
	ike_child_arm_life(old);
}

/* As initiator, with the commit bit: one that replaces another receives already, and sends now; a new
 * one is made now. */
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
