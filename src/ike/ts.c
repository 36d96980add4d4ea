/*
 * See ts.h. A selector is a box: addresses x protocol x ports. Narrowing meets every offered box
 * with every box of ours; the SPD's selectors are the pairs of a local and a remote box.
 */
#include "ike/ts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

/* ---- ports */

static bool port_any(const struct ts *t)
{
	return t->port_lo == 0 && t->port_hi == UINT16_MAX;
}

static bool port_opaque(const struct ts *t)
{
	return t->port_lo > t->port_hi;
}

/* What both allow: "any" holds OPAQUE, a range does not. False when that is nothing. */
static bool ports_meet(const struct ts *a, const struct ts *b, struct ts *out)
{
	if (port_any(a) || port_any(b)) {
		const struct ts *t = port_any(a) ? b : a;
		out->port_lo = t->port_lo;
		out->port_hi = t->port_hi;
		return true;
	}
	if (port_opaque(a) || port_opaque(b)) {
		out->port_lo = UINT16_MAX;
		out->port_hi = 0;
		return port_opaque(a) && port_opaque(b);
	}
	out->port_lo = a->port_lo > b->port_lo ? a->port_lo : b->port_lo;
	out->port_hi = a->port_hi < b->port_hi ? a->port_hi : b->port_hi;
	return out->port_lo <= out->port_hi;
}

static bool ports_cover(const struct ts *outer, const struct ts *inner)
{
	if (port_any(outer))
		return true;
	if (port_opaque(outer) || port_opaque(inner))
		return port_opaque(outer) && port_opaque(inner);
	return outer->port_lo <= inner->port_lo && inner->port_hi <= outer->port_hi;
}

/* ---- one selector */

static bool known(const struct ts *t)
{
	return t->range.lo.ver != 0;
}

bool ts_eq(const struct ts *a, const struct ts *b)
{
	if (port_opaque(a) && port_opaque(b))
		; /* 65535-0 is how it is sent; any other way round means the same */
	else if (a->port_lo != b->port_lo || a->port_hi != b->port_hi)
		return false;
	return a->proto == b->proto && a->dynamic == b->dynamic &&
	       ip_addr_eq(&a->range.lo, &b->range.lo) && ip_addr_eq(&a->range.hi, &b->range.hi);
}

bool ts_covers(const struct ts *outer, const struct ts *inner)
{
	return known(outer) && known(inner) && ip_range_covers(&outer->range, &inner->range) &&
	       (outer->proto == 0 || outer->proto == inner->proto) && ports_cover(outer, inner);
}

static bool range_meet(const struct ip_range *a, const struct ip_range *b, struct ip_range *out)
{
	if (a->lo.ver != b->lo.ver || a->lo.ver == 0)
		return false;
	out->lo = ip_addr_cmp(&a->lo, &b->lo) > 0 ? a->lo : b->lo;
	out->hi = ip_addr_cmp(&a->hi, &b->hi) < 0 ? a->hi : b->hi;
	return ip_addr_cmp(&out->lo, &out->hi) <= 0;
}

static bool protos_meet(uint8_t a, uint8_t b, uint8_t *out)
{
	*out = a ? a : b;
	return a == 0 || b == 0 || a == b;
}

static bool ts_meet(const struct ts *a, const struct ts *b, struct ts *out)
{
	*out = (struct ts){ 0 };
	return range_meet(&a->range, &b->range, &out->range) &&
	       protos_meet(a->proto, b->proto, &out->proto) && ports_meet(a, b, out);
}

/* ---- lists */

bool ts_list_eq(const struct ts_list *a, const struct ts_list *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (!ts_eq(&a->ts[i], &b->ts[i]))
			return false;
	return true;
}

void ts_list_copy(struct ts_list *to, const struct ts_list *from)
{
	to->n = from->n;
	for (unsigned i = 0; i < from->n; i++)
		to->ts[i] = from->ts[i];
}

static bool list_covers(const struct ts_list *outer, const struct ts *t)
{
	for (unsigned i = 0; i < outer->n; i++)
		if (ts_covers(&outer->ts[i], t))
			return true;
	return false;
}

bool ts_within(const struct ts_list *inner, const struct ts_list *outer)
{
	for (unsigned i = 0; i < inner->n; i++)
		if (!list_covers(outer, &inner->ts[i]))
			return false;
	return true;
}

void ts_resolve(const struct ts_list *in, const struct ip_addr *addr, struct ts_list *out)
{
	if (out != in)
		ts_list_copy(out, in);
	for (unsigned i = 0; addr->ver && i < out->n; i++)
		if (out->ts[i].dynamic) {
			out->ts[i].range = (struct ip_range){ *addr, *addr };
			out->ts[i].dynamic = false;
		}
}

/* Adds t, and takes out what it covers. False when there is no room. */
static bool list_add(struct ts_list *l, const struct ts *t)
{
	unsigned n = 0;

	if (list_covers(l, t))
		return true;
	for (unsigned i = 0; i < l->n; i++)
		if (!ts_covers(t, &l->ts[i]))
			l->ts[n++] = l->ts[i];
	l->n = n;
	if (n == TS_MAX)
		return false;
	l->ts[l->n++] = *t;
	return true;
}

unsigned ts_narrow(const struct ts_list *ours, const struct ts_list *offered, struct ts_list *out,
		   bool *cut)
{
	struct ts t;

	out->n = 0;
	for (unsigned i = 0; i < offered->n; i++)
		for (unsigned k = 0; k < ours->n; k++)
			if (ts_meet(&offered->ts[i], &ours->ts[k], &t))
				(void)list_add(out, &t); /* without room it shows as a cut */
	*cut = !ts_within(offered, out);
	return out->n;
}

/* ---- the SPD's selectors */

/* Protocols whose "port" is a message type. */
static bool has_message_type(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_MH;
}

static struct port_range port_of(const struct ts *t)
{
	if (port_any(t))
		return (struct port_range){ .match = PORT_ANY };
	if (port_opaque(t))
		return (struct port_range){ .match = PORT_OPAQUE };
	return (struct port_range){ PORT_RANGE, t->port_lo, t->port_hi };
}

static bool pair(const struct ts *local, const struct ts *remote, struct selector *out)
{
	uint8_t proto;

	if (!known(local) || local->range.lo.ver != remote->range.lo.ver ||
	    !protos_meet(local->proto, remote->proto, &proto))
		return false;
	*out = (struct selector){ .local = local->range,
				  .remote = remote->range,
				  .proto = proto ? proto : PROTO_ANY,
				  .local_port = port_of(local),
				  .remote_port = port_of(remote) };
	if (!has_message_type(proto))
		return true;
	struct ts both;
	if (!ports_meet(local, remote, &both))
		return false;
	out->local_port = (struct port_range){ .match = PORT_ANY };
	out->remote_port = port_of(&both);
	return true;
}

int ts_selectors(const struct ts_list *local, const struct ts_list *remote, struct selector **out,
		 unsigned *n)
{
	struct selector *s = calloc((size_t)local->n * remote->n + 1, sizeof(*s));

	*out = NULL;
	*n = 0;
	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < local->n; i++)
		for (unsigned k = 0; k < remote->n; k++)
			*n += pair(&local->ts[i], &remote->ts[k], &s[*n]);
	if (*n == 0) {
		free(s);
		return -ENOENT;
	}
	*out = s;
	return 0;
}

/* One side of the packet. Behind a port that cannot be seen may be any. */
static struct ts end_of(const struct flow_key *k, struct ip_addr addr, uint16_t port)
{
	bool seen = !(k->flags & FLOW_OPAQUE);

	return (struct ts){ .range = { addr, addr },
			    .proto = k->proto,
			    .port_lo = seen ? port : 0,
			    .port_hi = seen ? port : UINT16_MAX };
}

void ts_from_flow(const struct flow_key *k, struct ts *local, struct ts *remote)
{
	*local = end_of(k, flow_key_src(k), has_message_type(k->proto) ? k->dport : k->sport);
	*remote = end_of(k, flow_key_dst(k), k->dport);
}

static bool single_port(const struct ts *t)
{
	return t->port_lo <= t->port_hi && !port_any(t);
}

void ts_to_flow(const struct ts_list *local, const struct ts_list *remote, struct flow_key *k)
{
	const struct ts *l = &local->ts[0], *r = &remote->ts[0];

	*k = (struct flow_key){ .ver = l->range.lo.ver, .proto = l->proto ? l->proto : r->proto };
	memcpy(k->src, l->range.lo.b, 16);
	memcpy(k->dst, r->range.lo.b, 16);
	if (!single_port(l) && !single_port(r)) {
		k->flags = FLOW_OPAQUE;
		return;
	}
	k->dport = single_port(r) ? r->port_lo : has_message_type(k->proto) ? l->port_lo : 0;
	k->sport = has_message_type(k->proto) || !single_port(l) ? 0 : l->port_lo;
}

bool ts_populate(const struct ts_list *ours, const struct ts *packet, bool addr, bool proto, bool port,
		 struct ts_list *out)
{
	for (unsigned i = 0; i < ours->n; i++) {
		struct ts p = *packet, t = ours->ts[i];
		if (port_any(&p)) { /* it shows none: whatever the selector says of them */
			p.port_lo = t.port_lo;
			p.port_hi = t.port_hi;
		}
		if (!ts_covers(&t, &p))
			continue;
		if (addr)
			t.range = p.range;
		if (proto || port)
			t.proto = p.proto;
		if (port) {
			t.port_lo = p.port_lo;
			t.port_hi = p.port_hi;
		}
		out->ts[0] = t;
		out->n = 1;
		return true;
	}
	return false;
}
