/*
 * What both roles of Quick Mode do (RFC 2409 5.5): parts of their messages; and when all is agreed,
 * the pair of SAs: it goes into force, what it replaces is marked so and left, and traffic goes
 * over to it. In: what was negotiated (x->child). Out: a struct ike_child in force, or the reason
 * why not.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "ike/life.h"
#include "ike/v1/quick.h"

#define SETTLED_NS      (10 * NS_PER_S) /* exchanges that crossed are over by then */
#define MESSAGE_3_NS    (NS_PER_S / 20) /* so long the peer works on it, ahead of what we send */
#define SHORTER_NS      (5 * NS_PER_S)  /* a pair that the peer wants shorter is replaced so soon */

/* -- parts of messages -- */

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

/* Kilobytes the peer says afterwards are those of the pair that takes this one's place soon: what
 * is in the SAD keeps the limit it came with. */
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
	/* who answers has the new pair when our message 3 has come, and perhaps only that one:
	 * until about then we send by the old one */
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
	struct ike_child *twin =
	    k && k->unsure && k->state == IKE_CHILD_UP ? v1_child_twin(k) : NULL;

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
