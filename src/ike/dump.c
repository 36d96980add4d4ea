/*
 * A message as text for the debug log: a line of header, then a line or more per payload. What came
 * from a stranger is printed only as numbers, known words, hexadecimal digits, or text without
 * control characters.
 */
#include "ike/msg_rule.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "ike/names.h"

#define BYTES_SHOWN 16
#define TEXT_SHOWN  128

/* Text growing in memory of fixed size. */
struct text {
	char *p;
	size_t len, max; /* max with the NUL */
	bool cut;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->cut)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(t->p + t->len, t->max - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->max - t->len)
		t->cut = true;
	else
		t->len += (size_t)n;
}

static void put_name(struct text *t, enum ike_names table, unsigned n)
{
	char buf[IKE_NAME_LEN];
	put(t, "%s", ike_name_or_number(table, n, buf));
}

static void put_bytes(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.len && i < BYTES_SHOWN; i++)
		put(t, "%02x", s.p[i]);
	if (s.len > BYTES_SHOWN)
		put(t, ".. (%zu bytes)", s.len);
}

static void put_text(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.len && i < TEXT_SHOWN; i++) {
		if (s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '\\')
			put(t, "%c", s.p[i]);
		else
			put(t, "\\x%02x", s.p[i]);
	}
	if (s.len > TEXT_SHOWN)
		put(t, "...");
}

static void put_size(struct text *t, struct span s)
{
	put(t, ", %zu byte%s", s.len, s.len == 1 ? "" : "s");
}

static void put_addr(struct text *t, struct span s)
{
	char buf[IP_ADDR_STRLEN];
	struct ip_addr a = s.len == 4 ? ip_addr_from_v4(s.p) : ip_addr_from_v6(s.p);
	put(t, "%s", ip_addr_format(&a, buf));
}

/* An identity or an original address; lengths of addresses were checked by the payload's rule. */
static void put_id(struct text *t, uint8_t type, struct span s)
{
	size_t half = s.len / 2;

	put_name(t, IKE_NAMES_ID_TYPE, type);
	put(t, " ");
	if ((type == IKE_ID_IPV4_ADDR && s.len == 4) || (type == IKE_ID_IPV6_ADDR && s.len == 16)) {
		put_addr(t, s);
	} else if ((half == 4 && (type == IKE_ID_IPV4_SUBNET || type == IKE_ID_IPV4_RANGE)) ||
		   (half == 16 && (type == IKE_ID_IPV6_SUBNET || type == IKE_ID_IPV6_RANGE))) {
		put_addr(t, span_of(s.p, half));
		put(t, type == IKE_ID_IPV4_SUBNET || type == IKE_ID_IPV6_SUBNET ? "/" : "-");
		put_addr(t, span_of(s.p + half, half));
	} else if (type == IKE_ID_FQDN || type == IKE_ID_RFC822_ADDR) {
		put_text(t, s);
	} else {
		put_bytes(t, s);
	}
}

/* The word for a value of an IKEv1 attribute, as far as it has one. */
static void put_value1(struct text *t, bool phase1, uint16_t type, uint16_t value)
{
	static const struct {
		bool phase1;
		uint16_t type;
		enum ike_names table;
	} words[] = {
		{ true, 1, IKE_NAMES_ENCR1 },        { true, 2, IKE_NAMES_HASH1 },
		{ true, 3, IKE_NAMES_AUTH1 },        { true, 4, IKE_NAMES_DH },
		{ false, 3, IKE_NAMES_DH },          { false, 4, IKE_NAMES_ENCAP1 },
		{ false, 5, IKE_NAMES_AUTH1_IPSEC },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].phase1 == phase1 && words[i].type == type) {
			put_name(t, words[i].table, value);
			return;
		}
	put(t, "%u", value);
}

static void put_transform1(struct text *t, const struct ike_msg *m, const struct ike_prop *p,
			   const struct ike_transform *tr)
{
	bool phase1 = p->proto == IKE_PROTO_IKE;

	put(t, "      transform %u", tr->number);
	if (!phase1) {
		put(t, " ");
		put_name(t,
			 p->proto == IKE_PROTO_AH ? IKE_NAMES_TRANSFORM1_AH
						  : IKE_NAMES_TRANSFORM1_ESP,
			 tr->id);
	}
	for (unsigned i = 0; i < tr->n_attrs; i++) {
		const struct ike_attr *a = &m->attr[tr->first_attr + i];
		put(t, "%s ", i ? "," : ":");
		put_name(t, phase1 ? IKE_NAMES_ATTR1_IKE : IKE_NAMES_ATTR1_IPSEC, a->type);
		put(t, " ");
		if (a->is_short)
			put_value1(t, phase1, a->type, a->value);
		else
			put_bytes(t, a->data);
	}
	put(t, "\n");
}

static void put_transform2(struct text *t, const struct ike_msg *m, const struct ike_transform *tr)
{
	static const enum ike_names names[] = {
		[IKE_T_ENCR] = IKE_NAMES_ENCR,   [IKE_T_PRF] = IKE_NAMES_PRF,
		[IKE_T_INTEG] = IKE_NAMES_INTEG, [IKE_T_KE] = IKE_NAMES_DH,
		[IKE_T_ESN] = IKE_NAMES_ESN,
	};

	put(t, "      ");
	put_name(t, IKE_NAMES_TRANSFORM_TYPE, tr->type);
	put(t, " ");
	if (tr->type >= IKE_T_ENCR && tr->type <= IKE_T_ESN)
		put_name(t, names[tr->type], tr->id);
	else
		put(t, "%u", tr->id);
	for (unsigned i = 0; i < tr->n_attrs; i++) {
		const struct ike_attr *a = &m->attr[tr->first_attr + i];
		if (a->type == IKE2_ATTR_KEY_LENGTH && a->is_short)
			put(t, " %u bits", a->value);
		else
			put(t, " attribute %u", a->type);
	}
	put(t, "\n");
}

static void put_sa(struct text *t, const struct ike_msg *m, const struct ike_payload *sa)
{
	put(t, "\n");
	for (unsigned i = 0; i < sa->sa.n; i++) {
		const struct ike_prop *p = &m->prop[sa->sa.first + i];
		put(t, "    proposal %u: ", p->number);
		put_name(t, IKE_NAMES_PROTOCOL, p->proto);
		if (p->spi.len) {
			put(t, ", SPI ");
			put_bytes(t, p->spi);
		}
		put(t, "\n");
		for (unsigned k = 0; k < p->n_transforms; k++) {
			const struct ike_transform *tr = &m->transform[p->first_transform + k];
			if (ike_hdr_major(&m->hdr) == 1)
				put_transform1(t, m, p, tr);
			else
				put_transform2(t, m, tr);
		}
	}
}

static void put_ts(struct text *t, const struct ike_msg *m, const struct ike_payload *p)
{
	char buf[IP_RANGE_STRLEN];

	for (unsigned i = 0; i < p->ts.n; i++) {
		const struct ike_ts *s = &m->ts[p->ts.first + i];
		put(t, "%s", i ? ", " : " ");
		if (s->range.lo.ver)
			put(t, "%s", ip_range_format(&s->range, buf));
		else
			put(t, "type %u", s->type);
		if (s->proto)
			put(t, " protocol %u", s->proto);
		if (s->range.lo.ver && (s->port_lo != 0 || s->port_hi != 65535))
			put(t, " ports %u-%u", s->port_lo, s->port_hi);
	}
	put(t, "\n");
}

static void put_cp(struct text *t, const struct ike_msg *m, const struct ike_payload *p)
{
	enum ike_names table =
	    ike_hdr_major(&m->hdr) == 1 ? IKE_NAMES_CP_ATTR1 : IKE_NAMES_CP_ATTR2;

	put(t, " ");
	put_name(t, IKE_NAMES_CP_TYPE, p->cp.type);
	for (unsigned i = 0; i < p->cp.n; i++) {
		const struct ike_attr *a = &m->attr[p->cp.first + i];
		put(t, "%s ", i ? "," : ":");
		put_name(t, table, a->type);
		/* XAUTH's values are user names and passwords */
		if (a->type >= 16520 && a->type <= 16529)
			continue;
		put(t, "%s", a->is_short || a->data.len ? " " : "");
		if (a->is_short)
			put(t, "%u", a->value);
		else
			put_bytes(t, a->data);
	}
	put(t, "\n");
}

static void put_notify(struct text *t, const struct ike_msg *m, const struct ike_payload *p)
{
	put(t, " ");
	put_name(t, ike_hdr_major(&m->hdr) == 1 ? IKE_NAMES_NOTIFY1 : IKE_NAMES_NOTIFY2,
		 p->notify.type);
	if (p->notify.spi.len) {
		put(t, " for ");
		put_name(t, IKE_NAMES_PROTOCOL, p->notify.proto);
		put(t, " SPI ");
		put_bytes(t, p->notify.spi);
	}
	if (p->notify.data.len) {
		put(t, ": ");
		put_bytes(t, p->notify.data);
	}
	put(t, "\n");
}

static void put_delete(struct text *t, const struct ike_payload *p)
{
	put(t, " ");
	put_name(t, IKE_NAMES_PROTOCOL, p->del.proto);
	for (unsigned i = 0; i < p->del.n && p->del.spi_size; i++) {
		put(t, "%s", i ? ", " : " SPI ");
		put_bytes(t, span_of(p->del.spis.p + (size_t)i * p->del.spi_size, p->del.spi_size));
	}
	put(t, "\n");
}

static void put_vendor(struct text *t, struct span vid)
{
	const struct ike_vendor *v = ike_vendor_find(vid);

	put(t, " ");
	if (v)
		put(t, "%s", v->name);
	else
		put_bytes(t, vid);
	put(t, "\n");
}

/* Payloads that say little: a word and a size. True when p was one of them. */
static bool put_simple(struct text *t, unsigned major, const struct ike_payload *p)
{
	switch (p->type) {
	case IKE1_KE:
	case IKE2_KE:
		if (major == 2) {
			put(t, " ");
			put_name(t, IKE_NAMES_DH, p->ke.group);
		}
		put_size(t, p->ke.data);
		break;
	case IKE1_CERT:
	case IKE1_CR:
	case IKE2_CERT:
	case IKE2_CERTREQ:
		put(t, " ");
		put_name(t, IKE_NAMES_CERT_ENCODING, p->cert.encoding);
		put_size(t, p->cert.data);
		break;
	case IKE2_AUTH:
		put(t, " ");
		put_name(t, IKE_NAMES_AUTH2, p->auth.method);
		put_size(t, p->auth.data);
		break;
	case IKE2_SK:
		put_size(t, p->sk.data);
		break;
	case IKE2_EAP: /* only its code and number: the rest may be a password */
		if (p->raw.data.len >= 2)
			put(t, " code %u number %u", p->raw.data.p[0], p->raw.data.p[1]);
		put_size(t, p->raw.data);
		break;
	case IKE2_SKF:
		put(t, " fragment %u of %u", p->sk.number, p->sk.total);
		put_size(t, p->sk.data);
		break;
	case IKE1_FRAGMENT:
		put(t, " fragment %u%s of message %u", p->frag.number,
		    p->frag.flags & 1 ? ", the last" : "", p->frag.id);
		put_size(t, p->frag.data);
		break;
	default:
		return false;
	}
	put(t, "\n");
	return true;
}

static void put_payload(struct text *t, const struct ike_msg *m, const struct ike_payload *p)
{
	unsigned major = ike_hdr_major(&m->hdr);

	put(t, "  %s", p->inner ? "+" : "");
	if (!p->rule) {
		put(t, "payload type %u", p->type);
		put_size(t, p->raw.data);
		put(t, "\n");
		return;
	}
	put(t, "%s", p->rule->name);
	if (put_simple(t, major, p))
		return;
	switch (p->type) {
	case IKE1_SA:
	case IKE2_SA:
		put_sa(t, m, p);
		break;
	case IKE1_ID:
	case IKE1_NATOA:
	case IKE1_NATOA_DRAFT:
	case IKE1_NATOA_DRAFT4:
	case IKE2_IDI:
	case IKE2_IDR:
		put(t, " ");
		put_id(t, p->id.type, p->id.data);
		if (p->id.proto || p->id.port)
			put(t, ", protocol %u port %u", p->id.proto, p->id.port);
		put(t, "\n");
		break;
	case IKE1_N:
	case IKE2_N:
		put_notify(t, m, p);
		break;
	case IKE1_D:
	case IKE2_D:
		put_delete(t, p);
		break;
	case IKE1_VID:
	case IKE2_V:
		put_vendor(t, p->raw.data);
		break;
	case IKE2_TSI:
	case IKE2_TSR:
		put_ts(t, m, p);
		break;
	case IKE1_ATTR:
	case IKE2_CP:
		put_cp(t, m, p);
		break;
	default:
		put(t, " ");
		put_bytes(t, p->raw.data);
		put(t, "\n");
	}
}

char *ike_msg_dump(const struct ike_msg *m, char *out, size_t max)
{
	const struct ike_hdr *h = &m->hdr;
	struct text t = { .p = out, .max = max };
	bool v1 = ike_hdr_major(h) == 1;

	if (max == 0)
		return out;
	out[0] = '\0';
	put(&t, "%s ", v1 ? "IKEv1" : "IKEv2");
	put_name(&t, v1 ? IKE_NAMES_EXCHANGE1 : IKE_NAMES_EXCHANGE2, h->exchange);
	if (v1)
		put(&t, "%s%s%s", h->flags & IKE1_FLAG_E ? " encrypted" : "",
		    h->flags & IKE1_FLAG_C ? " commit" : "",
		    h->flags & IKE1_FLAG_A ? " authentication only" : "");
	else
		put(&t, "%s of the %s", h->flags & IKE2_FLAG_R ? " response" : " request",
		    h->flags & IKE2_FLAG_I ? "initiator" : "responder");
	put(&t, ", message %u, %u bytes, SPIs ", h->id, h->length);
	put_bytes(&t, span_of(h->spi_i, 8));
	put(&t, " ");
	put_bytes(&t, span_of(h->spi_r, 8));
	put(&t, "\n");
	if (m->cipher.len)
		put(&t, "  encrypted, %zu bytes\n", m->cipher.len);
	for (unsigned i = 0; i < m->n_payloads; i++)
		put_payload(&t, m, &m->payload[i]);
	if (t.cut && max > 5)
		memcpy(out + max - 5, "...\n", 5);
	return out;
}
