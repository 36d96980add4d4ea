/*
 * The SPD. Compiling turns every selector of every policy into a box over (local, remote, remote
 * port, local port, protocol), one set for each direction and IP version; a packet becomes a point
 * seen from the local side, so that inbound and outbound use the same boxes, and when every policy
 * is for both directions, the same classifier.
 */
#include "ipsec/spd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipsec/pick.h"
#include "ipsec/spd_class.h"

struct spd {
	struct policy **policy;
	unsigned n;
	struct spd_class class[2][2];      /* [direction][IPv6] */
	const struct spd_class *use[2][2]; /* the same, or the other direction's */
	bool names_ports[2][2];            /* [direction][IPv6] */
};

void policy_free(struct policy **pp)
{
	struct policy *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	for (unsigned i = 0; i < p->n_out; i++)
		sa_unref(&p->out[i]);
	for (unsigned i = 0; i < p->n_in; i++)
		sa_unref(&p->in[i]);
	for (unsigned i = 0; i < p->n_also; i++)
		sa_unref(&p->also[i]);
	policy_labels_free(&p->labels);
	free(p->out);
	free(p->in);
	free(p->also);
	free(p->sel);
	free(p->name);
	free(p);
}

/* ---- compiling ----------------------------------------------------------------------------- */

static spd_addr addr_number(const struct ip_addr *a)
{
	if (a->ver == 4)
		return load_be32(a->b);
	return (spd_addr)load_be64(a->b) << 64 | load_be64(a->b + 8);
}

static void port_bounds(const struct port_range *r, uint32_t *lo, uint32_t *hi)
{
	switch (r->match) {
	case PORT_ANY:
		*lo = 0;
		*hi = PORT_HIDDEN;
		break;
	case PORT_OPAQUE:
		*lo = *hi = PORT_HIDDEN;
		break;
	case PORT_RANGE:
		*lo = r->lo;
		*hi = r->hi;
		break;
	}
}

/* False when nothing can match: bounds the wrong way round, protocols that do not exist, mixed
 * versions. */
static bool rule_make(const struct selector *s, uint32_t order, struct spd_rule *out)
{
	struct spd_box *b = &out->box;

	out->order = order;
	if (s->local.lo.ver != s->remote.lo.ver || (s->proto > 0xff && s->proto != PROTO_ANY))
		return false;
	b->addr_lo[DIM_LOCAL] = addr_number(&s->local.lo);
	b->addr_hi[DIM_LOCAL] = addr_number(&s->local.hi);
	b->addr_lo[DIM_REMOTE] = addr_number(&s->remote.lo);
	b->addr_hi[DIM_REMOTE] = addr_number(&s->remote.hi);
	port_bounds(&s->remote_port, &b->lo[0], &b->hi[0]);
	port_bounds(&s->local_port, &b->lo[1], &b->hi[1]);
	b->lo[2] = s->proto == PROTO_ANY ? 0 : s->proto;
	b->hi[2] = s->proto == PROTO_ANY ? 0xff : s->proto;
	for (unsigned d = 0; d < DIM_ADDRS; d++)
		if (b->addr_lo[d] > b->addr_hi[d])
			return false;
	for (unsigned d = 0; d < DIMS - DIM_ADDRS; d++)
		if (b->lo[d] > b->hi[d])
			return false;
	return true;
}

static int class_make(struct spd_class *c, struct policy **policies, unsigned n, unsigned dir_bit,
		      bool v6)
{
	size_t max = 0, used = 0;

	for (unsigned i = 0; i < n; i++)
		if (policies[i]->dirs & dir_bit)
			for (unsigned j = 0; j < policies[i]->n_sel; j++)
				max += policies[i]->sel[j].local.lo.ver == (v6 ? 6 : 4);
	struct spd_rule *rules = malloc((max ? max : 1) * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (!(policies[i]->dirs & dir_bit))
			continue;
		for (unsigned j = 0; j < policies[i]->n_sel; j++) {
			const struct selector *s = &policies[i]->sel[j];
			if (s->local.lo.ver == (v6 ? 6 : 4) && rule_make(s, i, &rules[used]))
				used++;
		}
	}
	int rc = spd_class_init(c, v6, rules, used);
	free(rules);
	return rc;
}

static int classes_make(struct spd *s)
{
	bool same = true;

	for (unsigned i = 0; i < s->n; i++) {
		unsigned d = s->policy[i]->dirs;
		same &= !(d & POLICY_DIR_OUT) == !(d & POLICY_DIR_IN);
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		int rc =
		    class_make(&s->class[DIR_OUT][v6], s -> policy, s -> n, POLICY_DIR_OUT, v6);
		if (rc == 0 && !same)
			rc = class_make(&s->class[DIR_IN][v6], s -> policy, s -> n, POLICY_DIR_IN,
					v6);
		if (rc)
			return rc;
		s->use[DIR_OUT][v6] = &s->class[DIR_OUT][v6];
		s->use[DIR_IN][v6] = &s->class[same ? DIR_OUT : DIR_IN][v6];
	}
	return 0;
}

static void note_ports(struct spd *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct policy *p = s->policy[i];
		for (unsigned j = 0; j < p->n_sel; j++) {
			const struct selector *sel = &p->sel[j];
			bool v6 = sel->local.lo.ver == 6;
			if (sel->local_port.match != PORT_RANGE &&
			    sel->remote_port.match != PORT_RANGE)
				continue;
			s->names_ports[DIR_OUT][v6] |= (p->dirs & POLICY_DIR_OUT) != 0;
			s->names_ports[DIR_IN][v6] |= (p->dirs & POLICY_DIR_IN) != 0;
		}
	}
}

static void spd_dispose(struct spd *s)
{
	for (unsigned d = 0; d < 2; d++)
		for (unsigned v6 = 0; v6 < 2; v6++)
			spd_class_fini(&s->class[d][v6]);
	free(s->policy);
	free(s);
}

int spd_compile(struct policy **policies, unsigned n, struct spd **out)
{
	*out = NULL;
	struct spd *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->policy = malloc((n ? n : 1) * sizeof(struct policy *));
	if (!s->policy) {
		free(s);
		return -ENOMEM;
	}
	if (n)
		memcpy(s->policy, policies, n * sizeof(struct policy *));
	s->n = n;
	note_ports(s);
	int rc = classes_make(s);
	if (rc) {
		spd_dispose(s);
		return rc;
	}
	*out = s;
	return 0;
}

void spd_free(struct spd **sp)
{
	struct spd *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		policy_free(&s->policy[i]);
	spd_dispose(s);
}

unsigned spd_count(const struct spd *s)
{
	return s->n;
}

struct policy *spd_policy(const struct spd *s, unsigned i)
{
	return i < s->n ? s->policy[i] : NULL;
}

size_t spd_bytes(const struct spd *s)
{
	size_t n = sizeof(*s) + s->n * sizeof(struct policy *);

	for (unsigned d = 0; d < 2; d++)
		for (unsigned v6 = 0; v6 < 2; v6++)
			n += spd_class_bytes(&s->class[d][v6]);
	return n;
}

/* ---- lookup -------------------------------------------------------------------------------- */

/* Types of ICMP and MH messages stay what they are in both directions; ports change sides
 * (selector.h). */
static inline bool has_message_type(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_MH;
}

static inline void point_make(struct spd_point *p, enum ipsec_dir dir, const struct flow_key *k)
{
	bool out = dir == DIR_OUT;
	const uint8_t *local = out ? k->src : k->dst, *remote = out ? k->dst : k->src;

	if (k->ver == 4) {
		p->v[DIM_LOCAL] = load_be32(local);
		p->v[DIM_REMOTE] = load_be32(remote);
	} else {
		p->hi[DIM_LOCAL] = load_be64(local);
		p->lo[DIM_LOCAL] = load_be64(local + 8);
		p->hi[DIM_REMOTE] = load_be64(remote);
		p->lo[DIM_REMOTE] = load_be64(remote + 8);
	}
	if (k->flags & FLOW_OPAQUE) {
		p->v[DIM_LOCAL_PORT] = p->v[DIM_REMOTE_PORT] = PORT_HIDDEN;
	} else {
		bool keep = out || has_message_type(k->proto);
		p->v[DIM_LOCAL_PORT] = keep ? k->sport : k->dport;
		p->v[DIM_REMOTE_PORT] = keep ? k->dport : k->sport;
	}
	p->v[DIM_PROTO] = k->proto;
}

bool spd_names_ports(const struct spd *s, enum ipsec_dir dir, int ver)
{
	return s->names_ports[dir][ver == 6];
}

bool spd_icmp_is_nobodys(const struct policy *pol)
{
	if (!pol)
		return true;
	if (pol->action != POLICY_DISCARD)
		return false;
	for (unsigned i = 0; i < pol->n_sel; i++)
		if (pol->sel[i].proto != PROTO_ANY)
			return false;
	return true;
}

bool policy_names_opaque(const struct policy *p, enum ipsec_dir dir, const struct flow_key *k)
{
	for (unsigned i = 0; i < p->n_sel; i++)
		if (selector_match(&p->sel[i], dir, k))
			return p->sel[i].local_port.match == PORT_OPAQUE ||
			       p->sel[i].remote_port.match == PORT_OPAQUE;
	return false;
}

/* Would it match without the ports, too? */
static bool matches_without_ports(const struct policy *p, enum ipsec_dir dir,
				  const struct flow_key *k)
{
	struct flow_key hidden = *k;

	hidden.sport = hidden.dport = 0;
	hidden.flags = FLOW_OPAQUE;
	for (unsigned i = 0; i < p->n_sel; i++)
		if (selector_match(&p->sel[i], dir, &hidden))
			return true;
	return false;
}

struct policy *spd_lookup(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k)
{
	struct spd_point p;

	if (unlikely(k->ver != 4 && k->ver != 6))
		return NULL;
	point_make(&p, dir, k);
	uint32_t order = spd_class_find(s->use[dir][k->ver == 6], &p);
	if (order == SPD_NONE)
		return NULL;
	struct policy *found = s->policy[order];
	if (unlikely(k->flags & FLOW_LATER) && found->whole_only &&
	    !matches_without_ports(found, dir, k))
		return NULL;
	return found;
}

unsigned spd_lookup_work(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k)
{
	struct spd_point p;
	unsigned work = 0;

	point_make(&p, dir, k);
	spd_class_find_counted(s->use[dir][k->ver == 6], &p, &work);
	return work;
}

struct policy *spd_lookup_linear(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k)
{
	unsigned bit = dir == DIR_OUT ? POLICY_DIR_OUT : POLICY_DIR_IN;

	for (unsigned i = 0; i < s->n; i++) {
		const struct policy *p = s->policy[i];
		if (!(p->dirs & bit))
			continue;
		for (unsigned j = 0; j < p->n_sel; j++)
			if (selector_match(&p->sel[j], dir, k))
				return s->policy[i];
	}
	return NULL;
}
