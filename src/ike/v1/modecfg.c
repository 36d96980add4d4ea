/*
 * Mode Config (draft-dukes-ike-mode-cfg-02): a client asks for an address and what belongs to it
 * (pull), or the gateway sends it unasked (push); children come up afterwards. Every message of a
 * Transaction exchange comes here first, and what is XAUTH's goes on to xauth.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/lease.h"
#include "ike/v1/v1.h"

#define WAIT_NS (30 * NS_PER_S) /* for a gateway that is to push */

struct ike_payload *v1_cfg_head(struct v1_exchange *x, uint8_t type, uint16_t id)
{
	struct ike_payload *h = ike_msg_add(x->out, IKE1_HASH, true);
	struct ike_payload *p = h ? ike_msg_add(x->out, IKE1_ATTR, true) : NULL;

	if (!p)
		return NULL;
	h->raw.data = span_of(NULL, x->sa->suite.prf->len);
	p->cp.type = type;
	p->cp.id = id;
	return p;
}

/* -- leases -- */

void v1_cfg_fini(struct ike_sa *sa)
{
	ike_sa_leases_back(sa);
}

void v1_cfg_inherit(struct ike_sa *to, struct ike_sa *from)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!to->lease[i].ver) {
			to->lease[i] = from->lease[i];
			from->lease[i] = (struct ip_addr){ .ver = 0 };
		}
		if (!to->vip[i].ver)
			to->vip[i] = from->vip[i];
	}
	if (!to->v1->got) {
		to->v1->got = from->v1->got;
		from->v1->got = NULL;
	}
}

static void tell_pool(const struct ike_pool_conf *p, struct v1_cfg *c)
{
	for (unsigned i = 0; i < p->n_dns && c->n_dns < ARRAY_LEN(c->dns); i++)
		c->dns[c->n_dns++] = p->dns[i];
	for (unsigned i = 0; i < p->n_nbns && c->n_nbns < ARRAY_LEN(c->nbns); i++)
		c->nbns[c->n_nbns++] = p->nbns[i];
	for (unsigned i = 0; i < p->n_include && c->n_include < V1_CFG_NETS; i++)
		c->include[c->n_include++] = p->include[i];
	for (unsigned i = 0; i < p->n_exclude && c->n_exclude < V1_CFG_NETS; i++)
		c->exclude[c->n_exclude++] = p->exclude[i];
	if (p->domain && !c->domain[0])
		snprintf(c->domain, sizeof(c->domain), "%s", p->domain);
	if (p->split_dns && !c->split_dns[0])
		snprintf(c->split_dns, sizeof(c->split_dns), "%s", p->split_dns);
	if (p->banner && !c->banner[0])
		snprintf(c->banner, sizeof(c->banner), "%s", p->banner);
}

/* What the peer gets: in->has says what it asked for, addresses what it would like. */
static void fill(struct ike_sa *sa, const struct v1_cfg *in, struct v1_cfg *out)
{
	const struct ike_pool_conf *p[2] = { NULL, NULL };
	static const uint32_t bit[2] = { V1_CFG_ADDR4, V1_CFG_ADDR6 };

	*out = (struct v1_cfg){ .has = 0 };
	for (unsigned i = 0; i < 2; i++)
		if (in->has & bit[i])
			p[i] = ike_sa_lease(sa, i, &in->addr[i]);
	for (unsigned i = 0; i < 2; i++) {
		out->addr[i] = sa->lease[i];
		if (p[i] && p[i] != p[!i])
			tell_pool(p[i], out);
	}
	if (p[0] && p[0] == p[1])
		tell_pool(p[0], out);
	/* it is a link of its own, from which everything is behind us */
	if (p[0] && in->has & V1_CFG_MASK)
		out->mask = ip_addr_from_v4("\xff\xff\xff\xff");
}

/* -- gateway -- */

static int put(struct v1_exchange *x, const struct v1_cfg *c, bool question, uint8_t type,
	       uint16_t id)
{
	struct ike_payload *p = v1_cfg_head(x, type, id);
	struct v1_cfg *kept = ike_arena(x->ike, sizeof(*kept));
	uint8_t *room = ike_arena(x->ike, V1_CFG_ROOM);

	if (!p || !kept || !room)
		return -ENOSPC;
	*kept = *c;
	return v1_cfg_write(kept, question, x->out, p, room);
}

static enum ike_rc asked(struct v1_exchange *x, const struct ike_payload *p,
			 const struct v1_cfg *in)
{
	struct v1_cfg out;

	fill(x->sa, in, &out);
	x->done = true;
	return put(x, &out, false, IKE1_CFG_REPLY, p->cp.id) ? IKE_DROP : IKE_OK;
}

/* Another address than the SA before this one had: the children it left are of no use any more, and
 * are made anew. */
static void readdress(struct ike_sa *sa)
{
	list_for_each_safe (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		const struct ip_addr *own = v1_inner_own(sa, &c->conf->remote_ts);
		struct ike_want *w;

		if (c->state != IKE_CHILD_UP || !c->conf->local_ts.ts[0].dynamic ||
		    ip_addr_eq(&c->local_ts->ts[0].range.lo, own))
			continue;
		w = calloc(1, sizeof(*w));
		if (!w)
			return;
		w->ci = ike_conn_child_index(sa->conn, c->conf);
		list_push_back(&sa->wants, &w->link);
		v1_child_delete(c, IKE_END_REPLACED, 0);
	}
}

static void begin_children(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	sa->v1->stage = V1_STAGE_NONE;
	ike_timer_stop(&sa->ike->timers, &sa->t_again);
	if (sa->conn->conf->n_vips)
		readdress(sa);
	v1_begin_wants(sa);
}

/* -- client -- */

static bool client(const struct ike_sa *sa)
{
	return sa->conn->conf->n_vips > 0;
}

/* What we ask for. */
static void wishes(const struct ike_sa *sa, struct v1_cfg *c)
{
	const struct ike_conn_conf *f = sa->conn->conf;

	*c = (struct v1_cfg){ .has = V1_CFG_INCLUDE | V1_CFG_EXCLUDE | V1_CFG_DOMAIN |
				     V1_CFG_BANNER | V1_CFG_SPLIT_DNS };
	for (unsigned i = 0; i < f->n_vips; i++) {
		unsigned k = f->vips[i].ver == 6;
		c->has |= k ? V1_CFG_ADDR6 | V1_CFG_DNS6
			    : V1_CFG_ADDR4 | V1_CFG_MASK | V1_CFG_DNS4 | V1_CFG_NBNS;
		if (!ip_addr_is_any(&f->vips[i]))
			c->addr[k] = f->vips[i];
		if (sa->vip[k].ver)
			c->addr[k] = sa->vip[k];
	}
}

static void tell_list(const struct ike_sa *sa, const char *what, const struct ip_prefix *list,
		      unsigned n)
{
	char text[IP_RANGE_STRLEN];

	for (unsigned i = 0; i < n; i++)
		ike_sa_log(sa, LOG_LVL_INFO, "the peer says: %s %s", what,
			   ip_prefix_format(&list[i], text));
}

static void tell_given(const struct ike_sa *sa, const struct v1_cfg *c)
{
	char text[IP_ADDR_STRLEN];

	for (unsigned i = 0; i < 2; i++)
		if (sa->vip[i].ver)
			ike_sa_log(sa, LOG_LVL_NOTICE, "our address is %s",
				   ip_addr_format(&sa->vip[i], text));
	for (unsigned i = 0; i < c->n_dns; i++)
		ike_sa_log(sa, LOG_LVL_NOTICE, "name server %s", ip_addr_format(&c->dns[i], text));
	tell_list(sa, "networks behind it", c->include, c->n_include);
	tell_list(sa, "not behind it", c->exclude, c->n_exclude);
	if (c->domain[0])
		ike_sa_log(sa, LOG_LVL_INFO, "the peer says: domain %s", c->domain);
	if (c->split_dns[0])
		ike_sa_log(sa, LOG_LVL_INFO, "the peer says: it resolves names of %s",
			   c->split_dns);
	if (c->banner[0])
		ike_sa_log(sa, LOG_LVL_NOTICE, "the peer says: %s", c->banner);
}

void v1_cfg_missed(struct ike_sa *sa)
{
	v1_delete_notice(sa, NULL);
	ike_sa_kill(sa, IKE_END_FAILED,
		    "the peer gave us no address (Mode Config): set `pools` there, or no `vips` "
		    "here");
}

static void no_address(struct v1_exchange *x)
{
	v1_cfg_missed(x->sa);
}

/* An address nobody can have, or one of ours for the outer packets, would break what works. */
static bool sane(const struct ike_sa *sa, const struct ip_addr *a)
{
	return a->ver && !ip_addr_is_any(a) && !ip_addr_eq(a, &sa->local.addr) &&
	       !ip_addr_eq(a, &sa->remote.addr) &&
	       !(a->ver == 4 && (a->b[0] == 127 || a->b[0] >= 224)) &&
	       !(a->ver == 6 && a->b[0] == 0xff);
}

static void take(struct v1_exchange *x, const struct v1_cfg *c)
{
	struct ike_sa *sa = x->sa;
	struct v1_cfg w;

	wishes(sa, &w);
	if (!sa->v1->got)
		sa->v1->got = calloc(1, sizeof(*sa->v1->got));
	if (sa->v1->got)
		*sa->v1->got = *c;
	if (w.has & V1_CFG_ADDR4 && sane(sa, &c->addr[0]))
		sa->vip[0] = c->addr[0];
	if (w.has & V1_CFG_ADDR6 && sane(sa, &c->addr[1]))
		sa->vip[1] = c->addr[1];
	tell_given(sa, c);
	x->done = true;
	x->after = sa->vip[0].ver || sa->vip[1].ver ? begin_children : no_address;
}

/* -- exchanges -- */

bool v1_cfg_first(struct ike_sa *sa)
{
	const struct ike_conn_conf *f = sa->conn->conf;
	struct v1_exchange *x;

	if (!client(sa) && !(f->n_pools && f->push))
		return false;
	sa->v1->stage = V1_STAGE_CFG;
	if (client(sa) && f->push) {
		ike_timer_set(&sa->ike->timers, &sa->t_again, clock_now_ns() + WAIT_NS,
			      v1_sa_again_fire);
		return true;
	}
	x = v1_exchange_new(sa, IKE1_X_TRANSACTION, true, 0);
	if (!x)
		return false;
	x->cfg = client(sa) ? V1_CFG_X_PULL : V1_CFG_X_PUSH;
	v1_exchange_start(x);
	return true;
}

enum ike_rc v1_cfg_begin(struct v1_exchange *x)
{
	struct v1_cfg in = { .has = V1_CFG_ADDR4 | V1_CFG_ADDR6 | V1_CFG_MASK }, c;
	bool pull = x->cfg == V1_CFG_X_PULL;

	if (!pull && x->cfg != V1_CFG_X_PUSH)
		return v1_xauth_build(x);
	x->cfg_id = (uint16_t)random_u32();
	if (pull)
		wishes(x->sa, &c);
	else
		fill(x->sa, &in, &c);
	if (put(x, &c, pull, pull ? IKE1_CFG_REQUEST : IKE1_CFG_SET, x->cfg_id))
		return v1_error(x, IKE_KILL, 0, "out of memory");
	return IKE_OK;
}

/* The peer's question, or what it sets. */
enum ike_rc v1_cfg_1(struct v1_exchange *x)
{
	const struct ike_payload *p = ike_msg_find(x->m, IKE1_ATTR, NULL);
	struct v1_cfg in, none = { .has = 0 };
	struct ike_bad bad;

	if (v1_cfg_is_xauth(x->m, p))
		return v1_xauth_1(x, p);
	if (v1_cfg_read(x->m, p, &in, &bad)) {
		v1_audit(x->ike, x->sa, &x->remote, &bad);
		return v1_error(x, IKE_KILL, bad.notify, "%s", bad.why);
	}
	if (x->sa->v1->stage == V1_STAGE_XAUTH)
		return v1_error(x, IKE_KILL, IKE1_ATTRIBUTES_NOT_SUPPORTED,
				"Mode Config before XAUTH is through");
	if (p->cp.type == IKE1_CFG_REQUEST)
		return asked(x, p, &in);
	if (p->cp.type != IKE1_CFG_SET)
		return v1_error(x, IKE_KILL, IKE1_PAYLOAD_MALFORMED,
				"Mode Config: neither a question nor an order");
	/* what is set where nobody waits for it is acknowledged with nothing taken */
	if (client(x->sa) && x->sa->v1->stage == V1_STAGE_CFG && x->sa->conn->conf->push) {
		take(x, &in);
		none.has = in.has & V1_CFG_ALL;
	}
	x->done = true;
	return put(x, &none, true, IKE1_CFG_ACK, p->cp.id) ? IKE_DROP : IKE_OK;
}

/* The answer to ours. */
enum ike_rc v1_cfg_2(struct v1_exchange *x)
{
	const struct ike_payload *p = ike_msg_find(x->m, IKE1_ATTR, NULL);
	struct v1_cfg in;
	struct ike_bad bad;

	if (x->cfg != V1_CFG_X_PULL && x->cfg != V1_CFG_X_PUSH)
		return v1_xauth_2(x, p);
	if (p->cp.type != (x->cfg == V1_CFG_X_PULL ? IKE1_CFG_REPLY : IKE1_CFG_ACK))
		return IKE_DROP;
	if (x->cfg == V1_CFG_X_PUSH) {
		x->done = true;
		x->after = begin_children;
		return IKE_OK;
	}
	if (v1_cfg_read(x->m, p, &in, &bad)) {
		v1_audit(x->ike, x->sa, &x->remote, &bad);
		x->done = true;
		x->after = no_address;
		return IKE_OK;
	}
	take(x, &in);
	return IKE_OK;
}
