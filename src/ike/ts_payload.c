/* Selectors out of and into TS payloads (RFC 7296 3.13): the same boxes in another struct. */
#include "ike/ts.h"

#include <errno.h>

unsigned ts_from_payload(const struct ike_msg *m, const struct ike_payload *p, struct ts_list *out)
{
	out->n = 0;
	for (unsigned i = 0; i < p->ts.n; i++) {
		const struct ike_ts *t = &m->ts[p->ts.first + i];
		if ((t->type != IKE_TS_IPV4 && t->type != IKE_TS_IPV6) || out->n == TS_MAX)
			continue;
		struct ts *o = &out->ts[out->n++];
		*o = (struct ts){ .range = t->range,
				  .proto = t->proto,
				  .port_lo = t->port_lo,
				  .port_hi = t->port_hi };
		if (t->port_lo > t->port_hi) { /* OPAQUE, said only one way here */
			o->port_lo = UINT16_MAX;
			o->port_hi = 0;
		}
	}
	return p->ts.n;
}

int ts_to_payload(const struct ts_list *l, struct ike_msg *m, struct ike_payload *p)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct ts *t = &l->ts[i];
		if (t->range.lo.ver == 0)
			continue;
		struct ike_ts *o = ike_msg_add_ts(m, p);
		if (!o)
			return -ENOSPC;
		o->type = t->range.lo.ver == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6;
		o->proto = t->proto;
		o->port_lo = t->port_lo;
		o->port_hi = t->port_hi;
		o->range = t->range;
	}
	return 0;
}
