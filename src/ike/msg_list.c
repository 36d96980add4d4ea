/*
 * The lists inside payloads: proposals with their transforms and attributes, and traffic selectors.
 * Each element has its own length and is read by a reader that cannot see the next.
 * RFC 7296 3.3 and 3.13, RFC 2408 3.3, 3.5, 3.6, 4.2 and 5.5, 5.6.
 */
#include "ike/msg_rule.h"

#include <errno.h>
#include <stdio.h>

#define MORE_PROPOSALS  2
#define MORE_TRANSFORMS 3

/* Where a list is being read: for the words and notifies of its faults. */
struct where {
	struct ike_msg *m;
	struct ike_bad *bad;
	unsigned major;
	uint16_t notify;
	uint8_t payload;
	uint8_t number; /* of the proposal */
};

int ike_parse_attrs(struct ike_msg *m, struct rd *r, bool short_form, uint16_t *n, uint8_t payload,
		    const char *who, struct ike_bad *bad)
{
	uint16_t notify =
	    ike_hdr_major(&m->hdr) == 1 ? IKE1_PAYLOAD_MALFORMED : IKE2_INVALID_SYNTAX;

	*n = 0;
	while (r->left && rd_ok(r)) {
		if (m->n_attrs == IKE_MSG_ATTRS)
			return ike_refuse(bad, notify, payload,
					  "%s: more than %d attributes in one message", who,
					  IKE_MSG_ATTRS);
		struct ike_attr *a = &m->attr[m->n_attrs];
		uint16_t type = rd_be16(r), value = rd_be16(r);
		*a = (struct ike_attr){ .type = type & 0x7fff };
		a->is_short = short_form && (type & 0x8000);
		if (a->is_short)
			a->value = value;
		else
			a->data = rd_span(r, value);
		if (!rd_ok(r))
			break;
		m->n_attrs++;
		(*n)++;
	}
	if (!rd_ok(r))
		return ike_refuse(bad, notify, payload, "%s: an attribute goes past the end", who);
	return 0;
}

/* The fields of a transform after its generic header; r holds exactly these. */
static int transform_body(struct where *w, struct ike_transform *t, struct rd *r)
{
	char who[48];
	uint16_t reserved = 0;

	if (w->major == 1) {
		t->number = rd_u8(r);
		t->id = rd_u8(r);
		reserved = rd_be16(r);
	} else {
		t->type = rd_u8(r);
		rd_u8(r);
		t->id = rd_be16(r);
	}
	if (!rd_ok(r) || reserved)
		return ike_refuse(w->bad, w->notify, w->payload, "SA payload: proposal %u: %s",
				  w->number,
				  reserved ? "a transform's reserved field is not zero"
					   : "a transform ends in the middle of a field");
	t->first_attr = w->m->n_attrs;
	snprintf(who, sizeof(who), "SA payload: proposal %u", w->number);
	return ike_parse_attrs(w->m, r, true, &t->n_attrs, w->payload, who, w->bad);
}

static int transforms_parse(struct where *w, struct ike_prop *p, unsigned count, struct rd *r)
{
	const char *why = NULL;
	uint8_t more = MORE_TRANSFORMS;

	for (unsigned i = 0; i < count && !why; i++) {
		uint8_t next = rd_u8(r), reserved = rd_u8(r);
		uint16_t len = rd_be16(r);
		if (len < 8 || len - 4u > r->left || !rd_ok(r))
			why = "the length of a transform is wrong";
		else if (next != (i + 1 < count ? MORE_TRANSFORMS : 0))
			why = "the number of transforms is wrong";
		else if (reserved && w->major == 1)
			why = "a transform's reserved field is not zero";
		if (why)
			break;
		more = next;
		struct rd body = rd_child(r, len - 4u);
		struct ike_transform *t = ike_msg_add_transform(w->m, p, 0, 0);
		if (!t)
			return ike_refuse(w->bad, w->notify, w->payload,
					  "SA payload: proposal %u: more than %d transforms",
					  w->number, IKE_PROPOSAL_TRANSFORMS);
		int rc = transform_body(w, t, &body);
		if (rc)
			return rc;
	}
	if (!why && (more || r->left))
		why = count ? "bytes after the last transform" : "no transforms";
	if (why)
		return ike_refuse(w->bad, w->notify, w->payload, "SA payload: proposal %u: %s",
				  w->number, why);
	return 0;
}

/* Numbers: IKEv2 counts up by one (RFC 7296 3.3.1), IKEv1 never goes down (RFC 2408 4.2). */
static bool number_fits(const struct where *w, const struct ike_payload *p, uint8_t number)
{
	if (p->sa.n == 0)
		return true;
	uint8_t before = w->m->prop[p->sa.first + p->sa.n - 1].number;
	return w->major == 1 ? number >= before : number == before + 1;
}

/* The size of an SPI that its protocol allows. In IKEv1 an ISAKMP proposal may carry anything (RFC
 * 2408 3.5: the content MUST be ignored). */
static bool spi_fits(unsigned major, uint8_t proto, uint8_t len)
{
	if (proto == IKE_PROTO_AH || proto == IKE_PROTO_ESP)
		return len == 4;
	if (proto == IKE_PROTO_IPCOMP && major == 1)
		return len == 2 || len == 4;
	if (proto == IKE_PROTO_IKE)
		return major == 1 ? len <= 16 : len == 0 || len == 8;
	return true;
}

static int prop_parse(struct where *w, struct ike_payload *sa, struct rd *r)
{
	uint8_t number = rd_u8(r), proto = rd_u8(r), spi_len = rd_u8(r), count = rd_u8(r);
	struct span spi = rd_span(r, spi_len);

	w->number = number;
	if (!rd_ok(r))
		return ike_refuse(w->bad, w->notify, w->payload,
				  "SA payload: proposal %u ends in the middle of a field", number);
	if (!number_fits(w, sa, number))
		return ike_refuse(w->bad, w->notify, w->payload,
				  "SA payload: proposal %u is out of order", number);
	if (w->major == 1 && (proto == 0 || proto > IKE_PROTO_IPCOMP))
		return ike_refuse(w->bad, IKE1_INVALID_PROTOCOL_ID, w->payload,
				  "SA payload: proposal %u: unknown protocol %u", number, proto);
	if (!spi_fits(w->major, proto, spi_len))
		return ike_refuse(w->bad, w->major == 1 ? IKE1_INVALID_SPI : w->notify, w->payload,
				  "SA payload: proposal %u: an SPI of %u bytes for protocol %u",
				  number, spi_len, proto);
	struct ike_prop *p = ike_msg_add_prop(w->m, sa, number, proto, spi);
	if (!p)
		return ike_refuse(w->bad, w->notify, w->payload,
				  "SA payload: more than %d proposals in one message",
				  IKE_MSG_PROPOSALS);
	return transforms_parse(w, p, count, r);
}

int ike_parse_props(struct ike_msg *m, struct ike_payload *sa, struct rd *r, struct ike_bad *bad)
{
	struct where w = {
		.m = m, .bad = bad, .major = ike_hdr_major(&m->hdr), .payload = sa->type
	};
	uint8_t next = MORE_PROPOSALS;

	w.notify = w.major == 1 ? IKE1_BAD_PROPOSAL_SYNTAX : IKE2_INVALID_SYNTAX;
	sa->sa.first = m->n_props;
	sa->sa.n = 0;
	/* A wrong domain or situation is told as such by the rule's own check, whatever follows it.
	 */
	if (w.major == 1 &&
	    (sa->sa.doi > IKE1_DOI_IPSEC || sa->sa.situation != IKE1_SIT_IDENTITY_ONLY)) {
		rd_take(r, r->left);
		return 0;
	}
	while (next) {
		next = rd_u8(r);
		uint8_t reserved = rd_u8(r);
		uint16_t len = rd_be16(r);
		const char *why = NULL;
		if (!rd_ok(r) || len < 8 || len - 4u > r->left)
			why = sa->sa.n ? "the length of a proposal is wrong"
				       : "the length of the first proposal is wrong";
		else if (next != 0 && next != MORE_PROPOSALS)
			why = "a proposal is followed by something else";
		else if (reserved && w.major == 1)
			why = "a proposal's reserved field is not zero";
		if (why)
			return ike_refuse(bad, w.notify, w.payload, "SA payload: %s", why);
		struct rd body = rd_child(r, len - 4u);
		int rc = prop_parse(&w, sa, &body);
		if (rc)
			return rc;
	}
	if (r->left)
		return ike_refuse(bad, w.notify, w.payload,
				  "SA payload: bytes after the last proposal");
	return 0;
}

/* An address pair for types 7 and 8, anything for others. Returns what is wrong, or NULL. */
static const char *ts_body(struct ike_ts *t, struct rd *r)
{
	unsigned n = t->type == IKE_TS_IPV4 ? 4 : t->type == IKE_TS_IPV6 ? 16 : 0;

	t->data = span_of(r->p, r->left);
	if (n == 0)
		return NULL;
	t->port_lo = rd_be16(r);
	t->port_hi = rd_be16(r);
	const uint8_t *lo = rd_take(r, n), *hi = rd_take(r, n);
	if (!rd_end(r))
		return "a selector has the wrong length for its type";
	t->range.lo = n == 4 ? ip_addr_from_v4(lo) : ip_addr_from_v6(lo);
	t->range.hi = n == 4 ? ip_addr_from_v4(hi) : ip_addr_from_v6(hi);
	if (ip_addr_cmp(&t->range.lo, &t->range.hi) > 0)
		return "a selector's addresses end before they start";
	return NULL;
}

int ike_parse_ts(struct ike_msg *m, struct ike_payload *p, struct rd *r, struct ike_bad *bad)
{
	const char *name = p->rule->name, *why = NULL;
	unsigned count = rd_u8(r);

	rd_take(r, 3);
	p->ts.first = m->n_ts;
	p->ts.n = 0;
	for (unsigned i = 0; i < count && !why; i++) {
		struct ike_ts *t = ike_msg_add_ts(m, p);
		if (!t)
			return ike_refuse(bad, IKE2_INVALID_SYNTAX, p->type,
					  "%s payload: more than %d selectors in one message", name,
					  IKE_MSG_SELECTORS);
		t->type = rd_u8(r);
		t->proto = rd_u8(r);
		uint16_t len = rd_be16(r);
		if (!rd_ok(r) || len < 4 || len - 4u > r->left) {
			why = "the length of a selector is wrong";
		} else {
			struct rd body = rd_child(r, len - 4u);
			why = ts_body(t, &body);
		}
	}
	if (!why && count == 0)
		why = "no selectors";
	if (!why && r->left)
		why = "bytes after the last selector";
	if (why)
		return ike_refuse(bad, IKE2_INVALID_SYNTAX, p->type, "%s payload: %s", name, why);
	return 0;
}
