/* Filling and searching a struct ike_msg: every list only ever grows at its end. */
#include "ike/msg_rule.h"

#include <string.h>

void ike_msg_init(struct ike_msg *m, uint8_t version, const uint8_t *spi_i, const uint8_t *spi_r,
		  uint8_t exchange, uint8_t flags, uint32_t id)
{
	m->hdr =
	    (struct ike_hdr){ .version = version, .exchange = exchange, .flags = flags, .id = id };
	memcpy(m->hdr.spi_i, spi_i, 8);
	memcpy(m->hdr.spi_r, spi_r, 8);
	m->n_payloads = m->n_props = m->n_transforms = m->n_attrs = m->n_ts = 0;
	m->seen = 0;
	m->cipher = m->tail = span_of(NULL, 0);
}

struct ike_payload *ike_msg_add(struct ike_msg *m, uint8_t type, bool inner)
{
	if (m->n_payloads == IKE_MSG_PAYLOADS)
		return NULL;
	struct ike_payload *p = &m->payload[m->n_payloads++];
	memset(p, 0, sizeof(*p));
	p->type = type;
	p->inner = inner;
	p->rule = ike_rule(ike_hdr_major(&m->hdr), type);
	if (p->rule)
		m->seen |= IKE_BIT(type);
	return p;
}

struct ike_prop *ike_msg_add_prop(struct ike_msg *m, struct ike_payload *sa, uint8_t number,
				  uint8_t proto, struct span spi)
{
	if (m->n_props == IKE_MSG_PROPOSALS)
		return NULL;
	if (sa->sa.n == 0)
		sa->sa.first = m->n_props;
	sa->sa.n++;
	struct ike_prop *p = &m->prop[m->n_props++];
	*p = (struct ike_prop){ .number = number, .proto = proto, .spi = spi };
	return p;
}

struct ike_transform *ike_msg_add_transform(struct ike_msg *m, struct ike_prop *p, uint8_t type,
					    uint16_t id)
{
	if (m->n_transforms == IKE_MSG_TRANSFORMS || p->n_transforms == IKE_PROPOSAL_TRANSFORMS)
		return NULL;
	if (p->n_transforms == 0)
		p->first_transform = m->n_transforms;
	p->n_transforms++;
	struct ike_transform *t = &m->transform[m->n_transforms++];
	*t = (struct ike_transform){ .type = type, .id = id };
	return t;
}

static struct ike_attr *add_attr(struct ike_msg *m, uint16_t *first, uint16_t *n, uint16_t type)
{
	if (m->n_attrs == IKE_MSG_ATTRS)
		return NULL;
	if (*n == 0)
		*first = m->n_attrs;
	(*n)++;
	struct ike_attr *a = &m->attr[m->n_attrs++];
	*a = (struct ike_attr){ .type = type };
	return a;
}

struct ike_attr *ike_msg_add_transform_attr(struct ike_msg *m, struct ike_transform *t,
					    uint16_t type)
{
	return add_attr(m, &t->first_attr, &t->n_attrs, type);
}

struct ike_attr *ike_msg_add_cp_attr(struct ike_msg *m, struct ike_payload *cp, uint16_t type)
{
	return add_attr(m, &cp->cp.first, &cp->cp.n, type);
}

struct ike_ts *ike_msg_add_ts(struct ike_msg *m, struct ike_payload *p)
{
	if (m->n_ts == IKE_MSG_SELECTORS)
		return NULL;
	if (p->ts.n == 0)
		p->ts.first = m->n_ts;
	p->ts.n++;
	struct ike_ts *t = &m->ts[m->n_ts++];
	memset(t, 0, sizeof(*t));
	return t;
}

const struct ike_payload *ike_msg_find(const struct ike_msg *m, uint8_t type,
				       const struct ike_payload *after)
{
	for (unsigned i = after ? (unsigned)(after - m->payload) + 1 : 0; i < m->n_payloads; i++)
		if (m->payload[i].type == type && m->payload[i].rule)
			return &m->payload[i];
	return NULL;
}

const struct ike_payload *ike_msg_notify(const struct ike_msg *m, uint16_t notify)
{
	uint8_t type = ike_hdr_major(&m->hdr) == 1 ? IKE1_N : IKE2_N;
	const struct ike_payload *p = NULL;

	while ((p = ike_msg_find(m, type, p)))
		if (p->notify.type == notify)
			return p;
	return NULL;
}

uint16_t ike_transform_attr(const struct ike_msg *m, const struct ike_transform *t, uint16_t type,
			    uint16_t fallback)
{
	for (unsigned i = 0; i < t->n_attrs; i++) {
		const struct ike_attr *a = &m->attr[t->first_attr + i];
		if (a->type == type && a->is_short)
			return a->value;
	}
	return fallback;
}
