/*
 * A datagram becomes a struct ike_msg: the header is checked, the payload chain is followed, and
 * each payload's body is taken apart as its rule's fields say, by a reader that sees only that
 * body. The first fault ends it, with the payload, the rule and the notify to answer with. RFC
 * 7296 3.1, 3.2, 2.5; RFC 2408 3.1, 3.2, 5.2-5.15.
 */
#include "ike/msg_rule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define V1_FLAGS (IKE1_FLAG_E | IKE1_FLAG_C | IKE1_FLAG_A)
#define V1_SLACK 3 /* bytes some peers add to round a message up to four */

/* What to answer a payload that is wrong in itself. */
static uint16_t malformed(unsigned major)
{
	return major == 1 ? IKE1_PAYLOAD_MALFORMED : IKE2_INVALID_SYNTAX;
}

static int hdr_check(const struct ike_hdr *h, size_t got, struct ike_bad *bad)
{
	static const uint8_t zero[8];
	unsigned major = ike_hdr_major(h);

	if (major != 1 && major != 2)
		return ike_refuse(bad, IKE2_INVALID_MAJOR_VERSION, 0,
				  "header: IKE version %u.%u, expected 1.0 or 2.0", major,
				  h->version & 15u);
	if (major == 1 && (h->version & 15))
		return ike_refuse(bad, IKE1_INVALID_MINOR_VERSION, 0,
				  "header: ISAKMP version 1.%u, expected 1.0", h->version & 15u);
	if (memcmp(h->spi_i, zero, 8) == 0)
		return ike_refuse(bad, major == 1 ? IKE1_INVALID_COOKIE : IKE2_INVALID_SYNTAX, 0,
				  "header: the initiator's %s is zero",
				  major == 1 ? "cookie" : "SPI");
	if (major == 1 && (h->flags & ~V1_FLAGS))
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0, "header: unknown flags 0x%02x",
				  h->flags);
	if (h->length != got)
		return ike_refuse(bad,
				  major == 1 ? IKE1_UNEQUAL_PAYLOAD_LENGTHS : IKE2_INVALID_SYNTAX,
				  0, "header: says %u bytes, the datagram has %zu", h->length, got);
	return 0;
}

int ike_hdr_parse(struct ike_hdr *h, struct span datagram, struct ike_bad *bad)
{
	struct rd r = rd_of(datagram.p, datagram.len);
	const uint8_t *i = rd_take(&r, 8), *resp = rd_take(&r, 8);

	memset(h, 0, sizeof(*h));
	h->next = rd_u8(&r);
	h->version = rd_u8(&r);
	h->exchange = rd_u8(&r);
	h->flags = rd_u8(&r);
	h->id = rd_be32(&r);
	h->length = rd_be32(&r);
	if (!rd_ok(&r) || datagram.len > IKE_MAX_LEN)
		return ike_refuse(
		    bad, ike_hdr_major(h) == 1 ? IKE1_UNEQUAL_PAYLOAD_LENGTHS : IKE2_INVALID_SYNTAX,
		    0, "a datagram of %zu bytes; an IKE message has %d to %d", datagram.len,
		    IKE_HDR_LEN, IKE_MAX_LEN);
	memcpy(h->spi_i, i, 8);
	memcpy(h->spi_r, resp, 8);
	return hdr_check(h, datagram.len, bad);
}

/* Takes n reserved bytes; false when IKEv1 finds one that is not zero. */
static bool take_zero(struct rd *r, unsigned n, unsigned major)
{
	bool ok = true;

	while (n--)
		if (rd_u8(r) && major == 1)
			ok = false;
	return ok;
}

/* Fills p from its body. A short body shows as the reader's sticky error, asked once at the end. */
static int body_parse(struct ike_msg *m, struct ike_payload *p, struct ike_bad *bad)
{
	unsigned major = ike_hdr_major(&m->hdr);
	const struct ike_rule *rule = p->rule;
	struct rd r = rd_of(p->body.p, p->body.len);
	uint8_t spi_len = 0;
	int rc = 0;

	for (const struct ike_field *f = rule->fields; f->kind != IKE_F_END && rc == 0; f++) {
		void *at = (uint8_t *)p + f->off;
		switch (f->kind) {
		case IKE_F_U8:
			*(uint8_t *)at = rd_u8(&r);
			break;
		case IKE_F_U16:
			*(uint16_t *)at = rd_be16(&r);
			break;
		case IKE_F_U32:
			*(uint32_t *)at = rd_be32(&r);
			break;
		case IKE_F_ZERO:
			if (!take_zero(&r, f->n, major)) {
				ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, p->type,
					   "%s payload: a reserved field is not zero", rule->name);
				rc = ike_refuse_as(bad, IKE_FLAW_RESERVED);
			}
			break;
		case IKE_F_SPI_SIZE:
			spi_len = rd_u8(&r);
			break;
		case IKE_F_SPI:
			*(struct span *)at = rd_span(&r, spi_len);
			break;
		case IKE_F_REST:
			*(struct span *)at = rd_span(&r, r.left);
			break;
		case IKE_F_PROPS:
			rc = ike_parse_props(m, p, &r, bad);
			break;
		case IKE_F_TS:
			rc = ike_parse_ts(m, p, &r, bad);
			break;
		case IKE_F_ATTRS:
			p->cp.first = m->n_attrs;
			rc = ike_parse_attrs(m, &r, f->n, &p->cp.n, p->type, rule->name, bad);
			break;
		}
	}
	if (rc == 0 && !rd_end(&r))
		rc = ike_refuse(bad, malformed(major), p->type, "%s payload: %s", rule->name,
				rd_ok(&r) ? "bytes left over at its end"
					  : "ends in the middle of a field");
	return rc;
}

/* A payload type nobody here knows: IKEv2 asks the critical bit (RFC 7296 2.5), IKEv1 takes only
 * private ones (RFC 2408 3.1, 5.3). */
static int unknown_check(const struct ike_msg *m, const struct ike_payload *p, struct ike_bad *bad)
{
	if (ike_hdr_major(&m->hdr) == 2) {
		if (!p->critical)
			return 0;
		return ike_refuse(bad, IKE2_UNSUPPORTED_CRITICAL_PAYLOAD, p->type,
				  "payload type %u is not known here and is marked critical",
				  p->type);
	}
	if (p->type >= 128)
		return 0;
	return ike_refuse(bad, IKE1_INVALID_PAYLOAD_TYPE, p->type,
			  "payload type %u is not one of ISAKMP", p->type);
}

static int rule_check(const struct ike_msg *m, const struct ike_payload *p, struct ike_bad *bad)
{
	const struct ike_rule *rule = p->rule;
	uint16_t notify = malformed(ike_hdr_major(&m->hdr));
	unsigned n = 0;

	if (p->body.len < rule->min)
		return ike_refuse(bad, notify, p->type,
				  "%s payload: %zu bytes after its header, at least %u expected",
				  rule->name, p->body.len, rule->min);
	if (rule->max && p->body.len > rule->max)
		return ike_refuse(bad, notify, p->type,
				  "%s payload: %zu bytes after its header, at most %u expected",
				  rule->name, p->body.len, rule->max);
	for (unsigned i = 0; i < m->n_payloads; i++)
		n += m->payload[i].type == p->type;
	if (rule->most && n > rule->most)
		return ike_refuse(bad, notify, p->type,
				  "%s payload: comes more than %s in one message", rule->name,
				  rule->most == 1 ? "once" : "twice");
	if (rule->last && p->inner)
		return ike_refuse(bad, notify, p->type, "%s payload: inside an encrypted one",
				  rule->name);
	return 0;
}

/* One payload off the front of r; *next is its type on entry, that of its successor on return. */
static int payload_parse(struct ike_msg *m, struct rd *r, uint8_t *next, bool inner,
			 struct ike_bad *bad)
{
	unsigned major = ike_hdr_major(&m->hdr);
	uint8_t type = *next;
	uint16_t notify = malformed(major);
	const struct ike_rule *rule = ike_rule(major, type);

	char number[24];
	snprintf(number, sizeof(number), "type %u", type);
	const char *name = rule ? rule->name : number;
	*next = rd_u8(r);
	uint8_t flags = rd_u8(r);
	uint16_t len = rd_be16(r);
	if (!rd_ok(r) || len < 4 || (size_t)len - 4 > r->left)
		return ike_refuse(bad, notify, type, "%s payload: %s", name,
				  !rd_ok(r) ? "the message ends before it"
				  : len < 4 ? "its length is less than its header's"
					    : "its length goes past the end of the message");
	if (major == 1 && flags) {
		ike_refuse(bad, notify, type, "%s payload: the reserved field is not zero", name);
		return ike_refuse_as(bad, IKE_FLAW_RESERVED);
	}
	struct ike_payload *p = ike_msg_add(m, type, inner);
	if (!p)
		return ike_refuse(bad, notify, type, "more than %d payloads in one message",
				  IKE_MSG_PAYLOADS);
	p->critical = major == 2 && (flags & 0x80);
	p->body = rd_span(r, len - 4u);
	if (!rule) {
		p->raw.data = p->body;
		return unknown_check(m, p, bad);
	}
	int rc = rule_check(m, p, bad);
	if (rc == 0)
		rc = body_parse(m, p, bad);
	const char *why = rc == 0 && rule->check ? rule->check(p, &notify) : NULL;
	if (why)
		rc = ike_refuse(bad, notify, type, "%s payload: %s", name, why);
	if (rc == 0 && major == 2 && rule->last) {
		p->sk.next = *next; /* the first payload inside, not a successor */
		*next = 0;
	} else if (rc == 0 && rule->last && *next) {
		rc = ike_refuse(bad, notify, type, "%s payload: is not the last", name);
	}
	return rc;
}

static int chain_parse(struct ike_msg *m, struct rd *r, uint8_t first, bool inner,
		       struct ike_bad *bad)
{
	unsigned major = ike_hdr_major(&m->hdr);
	uint8_t next = first;

	while (next) {
		int rc = payload_parse(m, r, &next, inner, bad);
		if (rc)
			return rc;
	}
	size_t left = r->left;
	if (left && (major == 2 || (!inner && left > V1_SLACK)))
		return ike_refuse(bad,
				  major == 1 ? IKE1_UNEQUAL_PAYLOAD_LENGTHS : IKE2_INVALID_SYNTAX,
				  0, "%zu bytes after the last payload", left);
	m->tail = rd_span(r, left);
	return 0;
}

int ike_msg_parse(struct ike_msg *m, struct span datagram, struct ike_bad *bad)
{
	struct ike_hdr h;
	int rc = ike_hdr_parse(&h, datagram, bad);

	if (rc)
		return rc;
	ike_msg_init(m, h.version, h.spi_i, h.spi_r, h.exchange, h.flags, h.id);
	m->hdr = h;
	struct rd r = rd_of(datagram.p, datagram.len);
	rd_take(&r, IKE_HDR_LEN);
	if (ike_hdr_encrypted(&h)) {
		m->cipher = rd_span(&r, r.left);
		if (m->cipher.len == 0)
			return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
					  "header: marked as encrypted, but nothing follows");
		return 0;
	}
	return chain_parse(m, &r, h.next, false, bad);
}

int ike_msg_parse_inner(struct ike_msg *m, uint8_t first, struct span plain, struct ike_bad *bad)
{
	struct rd r = rd_of(plain.p, plain.len);
	return chain_parse(m, &r, first, true, bad);
}
