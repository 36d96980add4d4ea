/*
 * Quick Mode as responder: the peer's selectors choose the child, its proposals are chosen among
 * ours, PFS on the pool, both SAs are made and the answer goes out; the last message says that the
 * initiator has them too, and ours go into use if they replace others. RFC 2409 5.5, 5.6.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v1/quick.h"

/* The peer's selectors, as we see them: of each side one. */
struct asked {
	struct ts_list local, remote;
	struct ip_addr oa_local, oa_remote;
};

static void whole(const struct ip_addr *a, struct ts_list *l)
{
	*l = (struct ts_list){ .n = 1 };
	l->ts[0] = (struct ts){ .range = { .lo = *a, .hi = *a }, .port_hi = 65535 };
}

static int read_ids(struct v1_exchange *x, struct asked *a)
{
	const struct ike_payload *i = ike_msg_find(x->m, IKE1_ID, NULL);
	const struct ike_payload *r = i ? ike_msg_find(x->m, IKE1_ID, i) : NULL;

	*a = (struct asked){ .local.n = 1, .remote.n = 1 };
	if (!i) { /* RFC 2409 5.5: then it is for the peers themselves */
		whole(&x->sa->local.addr, &a->local);
		whole(&x->sa->remote.addr, &a->remote);
		return 0;
	}
	return !r || v1_ts_from_id(i, &a->remote.ts[0]) || v1_ts_from_id(r, &a->local.ts[0]);
}

/* Transport mode through NAT: the peer names addresses it sees; ours are those of the IKE SA. */
static void substitute(const struct ike_sa *sa, struct asked *a)
{
	if (!sa->nat_local && !sa->nat_remote)
		return;
	a->oa_local = a->local.ts[0].range.lo;
	a->oa_remote = a->remote.ts[0].range.lo;
	if (sa->nat_remote)
		a->remote.ts[0].range =
		    (struct ip_range){ .lo = sa->remote.addr, .hi = sa->remote.addr };
	if (sa->nat_local)
		a->local.ts[0].range =
		    (struct ip_range){ .lo = sa->local.addr, .hi = sa->local.addr };
}

/* How well a configured child fits: 0 not, 1 it has more, 2 exactly. There is no narrowing. */
static unsigned child_fit(const struct ike_sa *sa, const struct ike_child_conf *f,
			  const struct asked *a)
{
	struct ts_list local, remote;

	ts_resolve(&f->local_ts, v1_inner_own(sa, &f->remote_ts), &local);
	ts_resolve(&f->remote_ts, v1_inner_peer(sa, &f->local_ts), &remote);
	if (!ts_within(&a->local, &local) || !ts_within(&a->remote, &remote))
		return 0;
	return ts_list_eq(&a->local, &local) && ts_list_eq(&a->remote, &remote) ? 2 : 1;
}

static size_t ke_len(const struct v1_exchange *x)
{
	const struct ike_payload *ke = ike_msg_find(x->m, IKE1_KE, NULL);

	return ke ? ke->ke.data.len : 0;
}

/* Makes x->child for the best configured child whose proposals fit as well. */
static enum ike_rc choose(struct v1_exchange *x, struct v1_choice *choice)
{
	struct ike_sa *sa = x->sa;
	const struct ike_conn *conn = sa->conn;
	const struct ike_payload *offer = ike_msg_find(x->m, IKE1_SA, NULL);
	struct asked plain, natted;
	char why[512] = "", other[sizeof(why)], l[TS_STRLEN], r[TS_STRLEN];
	unsigned best = 0, ci = 0;
	bool value = false; /* only the public value does not fit a child: why says that */

	if (read_ids(x, &plain))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
				"the peer's selectors are malformed, or only of one side");
	natted = plain;
	substitute(sa, &natted);
	for (unsigned k = 0; k < conn->n_live; k++) {
		const struct ike_child_conf *f = conn->child[conn->live[k]].conf;
		const struct asked *a = f->mode == SA_TRANSPORT ? &natted : &plain;
		unsigned fit = child_fit(sa, f, a);
		struct v1_terms t = { .ah = f->ah.n ? &f->ah : NULL,
				      .ke_len = ke_len(x),
				      .encap = v1_encap_mode(f->mode == SA_TRANSPORT, sa->encap,
							     sa->v1->natt) };
		if (fit <= best)
			continue;
		int rc = v1_ph2_choose(&f->proposals, &t, true, x->m, offer, choice,
				       value ? other : why, sizeof(why));
		value |= rc == -EKEYREJECTED;
		if (rc)
			continue;
		best = fit;
		ci = conn->live[k];
	}
	if (!best && value)
		return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION, "%s", why);
	struct ike_bad bad;
	if (!best && why[0] && v1_sa_fault(x->m, offer, &bad)) {
		v1_audit(x->ike, sa, &x->remote, &bad);
		return v1_error(x, IKE_KILL, bad.notify, "%s", bad.why);
	}
	if (!best && why[0])
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", why);
	if (!best)
		return v1_error(
		    x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
		    "the peer asked for %s === %s, which is in no child of connection "
		    "%s: make local_ts here and remote_ts there the same, and the other "
		    "way round",
		    ts_format(&plain.local.ts[0], l), ts_format(&plain.remote.ts[0], r),
		    conn->conf->name);
	struct child_nego *c = child_nego_new(sa, ci, false);
	if (!c)
		return IKE_DROP;
	child_nego_free(&x->child);
	x->child = c;
	const struct asked *a = c->mode == SA_TRANSPORT ? &natted : &plain;
	if (ike_conflict(sa, c->mode == SA_TRANSPORT, &a->local, &a->remote, why, sizeof(why)))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", why);
	struct v1_terms t = v1_quick_terms(c, c->mode);
	t.ke_len = ke_len(x);
	if (v1_ph2_choose(&c->conf->proposals, &t, true, x->m, offer, choice, why, sizeof(why)))
		return IKE_DROP;
	c->local_ts = a->local;
	c->remote_ts = a->remote;
	c->oa_local = a->oa_local;
	c->oa_remote = a->oa_remote;
	return IKE_OK;
}

static enum ike_rc check(struct v1_exchange *x, struct v1_choice *choice)
{
	enum ike_rc rc = choose(x, choice);
	struct child_nego *c = x->child;
	struct span ni = ike_msg_find(x->m, IKE1_NONCE, NULL)->raw.data;

	if (rc != IKE_OK)
		return rc;
	if (!v1_quick_take(c, choice))
		return v1_error(x, IKE_KILL, IKE1_INVALID_SPI, "an SPI of the peer is reserved");
	c->group = choice->own.suite.group ? dh_info(choice->own.suite.group) : NULL;
	memcpy(c->ni, ni.p, ni.len);
	c->ni_len = ni.len;
	return IKE_OK;
}

/* RESPONDER-LIFETIME (RFC 2407 4.6.3.1) when ours is the shorter limit. */
static int add_lifetime(struct v1_exchange *x, const struct v1_life *theirs, struct v1_life *life)
{
	*life = v1_quick_life(x->child->conf);
	bool less = (life->seconds && (!theirs->seconds || life->seconds < theirs->seconds)) ||
		    (life->kbytes && (!theirs->kbytes || life->kbytes < theirs->kbytes));
	uint8_t *b = less ? ike_arena(x->ike, 24) : NULL;
	struct ike_payload *p = b ? ike_msg_add(x->out, IKE1_N, true) : NULL;

	if (p) {
		p->notify.doi = IKE1_DOI_IPSEC;
		p->notify.proto = x->child->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
		p->notify.type = IKE1_RESPONDER_LIFETIME;
		p->notify.spi = v1_quick_spi_bytes(x->child);
		p->notify.data = span_of(b, v1_life_write(life, false, b));
	}
	if (theirs->seconds && (!life->seconds || theirs->seconds < life->seconds))
		life->seconds = theirs->seconds;
	if (theirs->kbytes && (!life->kbytes || theirs->kbytes < life->kbytes))
		life->kbytes = theirs->kbytes;
	return less && !p ? -1 : 0;
}

/* REPLAY-STATUS (RFC 2407 4.6.3.2): when we do not look at sequence numbers the initiator may know.
 */
static int add_replay_status(struct v1_exchange *x)
{
	static const uint8_t off[4];
	struct ike_payload *p;

	if (x->child->conf->replay_window)
		return 0;
	p = ike_msg_add(x->out, IKE1_N, true);
	if (!p)
		return -1;
	p->notify.doi = IKE1_DOI_IPSEC;
	p->notify.proto = x->child->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
	p->notify.type = IKE1_REPLAY_STATUS;
	p->notify.spi = v1_quick_spi_bytes(x->child);
	p->notify.data = span_of(off, sizeof(off));
	return 0;
}

/* The identities go back as they came. */
static int echo_ids(struct v1_exchange *x)
{
	for (const struct ike_payload *i = NULL; (i = ike_msg_find(x->m, IKE1_ID, i));) {
		struct ike_payload *p = ike_msg_add(x->out, IKE1_ID, true);
		if (!p)
			return -1;
		p->id = i->id;
	}
	return 0;
}

static enum ike_rc answer(struct v1_exchange *x, const struct v1_choice *choice)
{
	struct child_nego *c = x->child;
	struct v1_life life;
	struct ike_payload *p = v1_quick_head(x);

	x->commit = x->m->hdr.flags & IKE1_FLAG_C;
	v1_quick_commit(x);
	if (!p || v1_quick_spi(c) ||
	    v1_sa_echo(x->m, choice, v1_quick_spi_bytes(c), v1_quick_ah_spi_bytes(c), x->out, p))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "no SPI is left");
	c->nr_len = V1_NONCE_LEN;
	random_bytes(c->nr, c->nr_len);
	if (v1_quick_nonce(x, c->nr, c->nr_len) || echo_ids(x) || v1_quick_add_oa(x, c->mode) ||
	    add_lifetime(x, &choice->own.suite.life, &life) || add_replay_status(x))
		return v1_error(x, IKE_KILL, 0, "the answer does not fit one message");
	if (!v1_quick_install(x, &life))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", c->why);
	return IKE_OK;
}

enum ike_rc v1_quick_1(struct v1_exchange *x)
{
	struct child_nego *c;
	struct v1_choice choice;
	enum ike_rc rc = check(x, &choice);

	if (rc != IKE_OK)
		return rc;
	c = x->child;
	if (c->group && x->step == 0)
		return v1_wait(
		    x, 1,
		    ike_work_dh(x->sa, c->group, NULL, ike_msg_find(x->m, IKE1_KE, NULL)->ke.data));
	if (c->group) {
		if (x->work->rc)
			return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION, "%s",
					x->work->why);
		c->dh = x->work->dh;
		x->work->dh = NULL;
		c->shared = secret_take(&x->work->shared);
	}
	return answer(x, &choice);
}

#define CONNECTED_NS (5 * NS_PER_S) /* so long we wait for it: it is sent once */

static void wait_for_it(struct v1_exchange *x)
{
	ike_timer_set(&x->ike->timers, &x->t_again, clock_now_ns() + CONNECTED_NS,
		      v1_exchange_fire);
}

enum ike_rc v1_quick_3(struct v1_exchange *x)
{
	struct ike_child *k = v1_child_by_id(x->sa, x->made);

	x->commit |= !x->connect && (x->m->hdr.flags & IKE1_FLAG_C);
	if (x->connect)
		x->after = v1_connected;
	if (k && !x->commit)
		v1_quick_confirm(x, k);
	if (x->commit)
		x->after = wait_for_it;
	x->done = !x->commit;
	return IKE_OK;
}

/* RFC 2409 5.6: a group that is not wanted is refused so; new groups never are. */
enum ike_rc v1_new_group(struct v1_exchange *x)
{
	return v1_error(x, IKE_KILL, IKE1_ATTRIBUTES_NOT_SUPPORTED,
			"the peer wants a group of its own (New Group Mode): refused");
}
