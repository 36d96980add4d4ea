/*
 * What a Mode Config client's children reach: the selectors of the configuration and of Quick Mode
 * enter, and what the gateway said of the networks behind it (Unity's split networks) cuts them.
 * Gateways of that kind negotiate all addresses and leave it to the client to send only what is
 * theirs, so Quick Mode says what the configuration says, and policies and routes the rest.
 */
#include <stdlib.h>

#include "ike/v1/v1.h"

/* Which of two inner addresses belongs to selectors of the other side; outer: there is none. */
static const struct ip_addr *inner(const struct ip_addr a[2], const struct ip_addr *outer,
				   const struct ts_list *other)
{
	int ver = other->n && !other->ts[0].dynamic ? other->ts[0].range.lo.ver : 0;

	for (unsigned i = 0; i < 2; i++)
		if (a[i].ver && (!ver || a[i].ver == ver))
			return &a[i];
	return a[0].ver ? &a[0] : a[1].ver ? &a[1] : outer;
}

const struct ip_addr *v1_inner_own(const struct ike_sa *sa, const struct ts_list *other)
{
	return inner(sa->vip, &sa->local.addr, other);
}

const struct ip_addr *v1_inner_peer(const struct ike_sa *sa, const struct ts_list *other)
{
	return inner(sa->lease, &sa->remote.addr, other);
}

/* The networks of one IP version as selectors; those of the other version are all addresses, when
 * nothing was said of them. */
static void included(const struct v1_cfg *got, struct ts_list *out)
{
	static const char *const all[] = { "0.0.0.0/0", "::/0" };
	char why[64];

	out->n = 0;
	for (unsigned v = 0; v < 2; v++) {
		unsigned was = out->n;
		for (unsigned i = 0; i < got->n_include && out->n < TS_MAX - 1; i++)
			if (got->include[i].addr.ver == (v ? 6 : 4))
				out->ts[out->n++] =
				    (struct ts){ .range = ip_range_of_prefix(&got->include[i]),
						 .port_hi = UINT16_MAX };
		if (out->n == was && ts_parse(all[v], &out->ts[out->n], why, sizeof(why)) == 0)
			out->n++;
	}
}

static bool step(struct ip_addr *a, bool up)
{
	for (unsigned i = ip_addr_bytes(a); i-- > 0;)
		if (up ? ++a->b[i] != 0 : a->b[i]-- != 0)
			return true;
	return false;
}

/* What is left of one selector without a network: up to two pieces. */
static void cut(const struct ts *t, const struct ip_range *net, struct ts_list *out)
{
	struct ts low = *t, high = *t;

	if (t->dynamic || t->range.lo.ver != net->lo.ver ||
	    ip_addr_cmp(&t->range.hi, &net->lo) < 0 || ip_addr_cmp(&t->range.lo, &net->hi) > 0) {
		out->ts[out->n++] = *t;
		return;
	}
	low.range.hi = net->lo;
	high.range.lo = net->hi;
	if (ip_addr_cmp(&t->range.lo, &net->lo) < 0 && step(&low.range.hi, false))
		out->ts[out->n++] = low;
	if (ip_addr_cmp(&t->range.hi, &net->hi) > 0 && step(&high.range.lo, true))
		out->ts[out->n++] = high;
}

static void exclude(const struct v1_cfg *got, struct ts_list *l, struct ts_list *room)
{
	for (unsigned k = 0; k < got->n_exclude; k++) {
		struct ip_range net = ip_range_of_prefix(&got->exclude[k]);
		room->n = 0;
		/* all addresses stand for the network that the client is in, which no route of ours
		 * takes away */
		if (!got->exclude[k].len || l->n > TS_MAX / 2)
			continue;
		for (unsigned i = 0; i < l->n; i++)
			cut(&l->ts[i], &net, room);
		if (room->n)
			ts_list_copy(l, room);
	}
}

void v1_split(const struct ike_sa *sa, struct ts_list *remote)
{
	const struct v1_cfg *got = sa->v1->got;
	struct ts_list *in, *out;
	bool narrowed;

	if (!got || (!got->n_include && !got->n_exclude))
		return;
	in = calloc(2, sizeof(*in));
	if (!in)
		return;
	out = &in[1];
	included(got, in);
	/* what the configuration names and the gateway does not is meant all the same */
	if (ts_narrow(in, remote, out, &narrowed))
		ts_list_copy(remote, out);
	exclude(got, remote, out);
	free(in);
}
