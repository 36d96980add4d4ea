#include "ike_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/msg_rule.h"

static const uint8_t bytes[512] = { 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49 };
static const uint8_t eap[9] = { 1, 7, 0, 9, 1, 'u', 's', 'e', 'r' };

#define must(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

void sample_init(struct ike_msg *m, unsigned major)
{
	static const uint8_t spi_i[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, spi_r[8] = { 9, 10, 11, 12 };

	ike_msg_init(m, (uint8_t)(major << 4), spi_i, spi_r,
		     major == 1 ? IKE1_X_AGGRESSIVE : IKE2_X_CREATE_CHILD,
		     major == 1 ? IKE1_FLAG_C : IKE2_FLAG_I, 7);
}

static void add_short(struct ike_msg *m, struct ike_transform *t, uint16_t type, uint16_t value)
{
	struct ike_attr *a = ike_msg_add_transform_attr(m, t, type);
	a->is_short = true;
	a->value = value;
}

static void fill_sa1(struct ike_msg *m, struct ike_payload *p)
{
	p->sa.doi = IKE1_DOI_IPSEC;
	p->sa.situation = IKE1_SIT_IDENTITY_ONLY;
	/* ESP and AH together, or ESP alone */
	for (unsigned i = 0; i < 3; i++) {
		struct ike_prop *q = ike_msg_add_prop(m, p, i < 2 ? 1 : 2,
						      i == 1 ? IKE_PROTO_AH : IKE_PROTO_ESP,
						      span_of(bytes, 4));
		for (uint8_t k = 1; k < 3; k++) {
			struct ike_transform *t = ike_msg_add_transform(m, q, 0, 3);
			t->number = k;
			add_short(m, t, 4, 1);
			add_short(m, t, 1, 1);
			struct ike_attr *life = ike_msg_add_transform_attr(m, t, 2);
			life->data = span_of(bytes, 4);
		}
	}
}

static void fill_sa2(struct ike_msg *m, struct ike_payload *p)
{
	for (uint8_t i = 1; i < 3; i++) {
		struct ike_prop *q =
		    ike_msg_add_prop(m, p, i, IKE_PROTO_IKE, span_of(bytes, 8));
		add_short(m, ike_msg_add_transform(m, q, IKE_T_ENCR, 20), IKE2_ATTR_KEY_LENGTH, 256);
		ike_msg_add_transform(m, q, IKE_T_PRF, 5);
		ike_msg_add_transform(m, q, IKE_T_KE, 31);
		ike_msg_add_transform(m, q, IKE_T_KE, 20);
	}
}

static void fill_ts(struct ike_msg *m, struct ike_payload *p)
{
	struct ike_ts *t = ike_msg_add_ts(m, p);
	t->type = IKE_TS_IPV4;
	t->proto = 6;
	t->port_lo = 80;
	t->port_hi = 443;
	must(ip_range_parse("10.0.0.0/8", &t->range) == 0);
	t = ike_msg_add_ts(m, p);
	t->type = IKE_TS_IPV6;
	t->port_hi = 65535;
	must(ip_range_parse("2001:db8::1-2001:db8::7", &t->range) == 0);
	t = ike_msg_add_ts(m, p);
	t->type = 10; /* a security label, RFC 9478 */
	t->data = span_of("label", 5);
}

static void fill_cp(struct ike_msg *m, struct ike_payload *p, bool v1)
{
	p->cp.type = 1;
	p->cp.id = v1 ? 77 : 0;
	ike_msg_add_cp_attr(m, p, 1)->data = span_of(bytes, 4);
	ike_msg_add_cp_attr(m, p, 3);
	if (v1) {
		struct ike_attr *a = ike_msg_add_cp_attr(m, p, 16520);
		a->is_short = true;
		a->value = 0;
	}
}

static void fill_id(struct ike_payload *p, bool v1)
{
	p->id.type = p->type == IKE1_ID || p->type == IKE2_IDI ? IKE_ID_FQDN : IKE_ID_IPV4_ADDR;
	p->id.data = p->id.type == IKE_ID_FQDN ? span_of("gw.example", 10) : span_of(bytes, 4);
	if (v1 && p->type == IKE1_ID) {
		p->id.proto = 17;
		p->id.port = 500;
	}
}

static void fill_other(struct ike_payload *p, bool v1)
{
	switch (p->type) {
	case IKE1_KE:
	case IKE2_KE:
		p->ke.group = v1 ? 0 : 31;
		p->ke.data = span_of(bytes, 32);
		break;
	case IKE1_CERT:
	case IKE1_CR:
	case IKE2_CERT:
	case IKE2_CERTREQ:
		p->cert.encoding = 4;
		p->cert.data = span_of(bytes, 60);
		break;
	case IKE2_AUTH:
		p->auth.method = 14;
		p->auth.data = span_of(bytes, 64);
		break;
	case IKE1_N:
	case IKE2_N:
		p->notify.doi = v1;
		p->notify.proto = IKE_PROTO_ESP;
		p->notify.type = v1 ? IKE1_INITIAL_CONTACT : IKE2_REKEY_SA;
		p->notify.spi = span_of(bytes, 4);
		p->notify.data = span_of(bytes, 20);
		break;
	case IKE1_D:
	case IKE2_D:
		p->del.doi = v1;
		p->del.proto = IKE_PROTO_ESP;
		p->del.spi_size = 4;
		p->del.n = 3;
		p->del.spis = span_of(bytes, 12);
		break;
	case IKE2_SK:
		p->sk.next = IKE2_N;
		p->sk.data = span_of(bytes, 50);
		break;
	case IKE2_SKF:
		p->sk.number = 2;
		p->sk.total = 3;
		p->sk.data = span_of(bytes, 50);
		break;
	case IKE1_FRAGMENT:
		p->frag.id = 1;
		p->frag.number = 2;
		p->frag.flags = 1;
		p->frag.data = span_of(bytes, 100);
		break;
	case IKE2_EAP:
		p->raw.data = span_of(eap, sizeof(eap));
		break;
	default:
		p->raw.data = span_of(bytes, 32);
	}
}

struct ike_payload *sample_add(struct ike_msg *m, uint8_t type, bool inner)
{
	bool v1 = ike_hdr_major(&m->hdr) == 1;
	struct ike_payload *p = ike_msg_add(m, type, inner);

	must(p);
	switch (type) {
	case IKE1_SA:
		fill_sa1(m, p);
		break;
	case IKE2_SA:
		fill_sa2(m, p);
		break;
	case IKE2_TSI:
	case IKE2_TSR:
		fill_ts(m, p);
		break;
	case IKE1_ATTR:
	case IKE2_CP:
		fill_cp(m, p, v1);
		break;
	case IKE1_ID:
	case IKE1_NATOA:
	case IKE1_NATOA_DRAFT:
	case IKE1_NATOA_DRAFT4:
	case IKE2_IDI:
	case IKE2_IDR:
		fill_id(p, v1);
		break;
	default:
		fill_other(p, v1);
	}
	return p;
}

size_t sample_write(struct ike_msg *m, unsigned major, uint8_t out[SAMPLE_MAX])
{
	struct wr w = wr_of(out, SAMPLE_MAX);
	const struct ike_rule *r;

	sample_init(m, major);
	for (unsigned n = 0; (r = ike_rule_nth(major, n)); n++)
		if (!r->last)
			sample_add(m, r->type, false);
	sample_add(m, 200, false); /* unknown, not critical */
	if (major == 2)
		sample_add(m, IKE2_SK, false);
	must(ike_msg_write(m, &w) == 0);
	return w.len;
}

/* The encrypted part as if it were plain, in a message of its own. */
static void try_inner(const struct ike_msg *m, char *dump, size_t max)
{
	static struct ike_msg in;
	static uint8_t out[IKE_MAX_LEN], again[IKE_MAX_LEN];
	struct wr w = wr_of(out, sizeof(out)), v = wr_of(again, sizeof(again));
	struct span plain = m->cipher;
	struct ike_bad bad;
	uint8_t first = m->hdr.next, next;

	for (unsigned i = 0; i < m->n_payloads; i++)
		if (m->payload[i].type == IKE2_SK || m->payload[i].type == IKE2_SKF) {
			plain = m->payload[i].sk.data;
			first = m->payload[i].sk.next;
		}
	in = *m;
	if (ike_msg_parse_inner(&in, first, plain, &bad)) {
		must(bad.why[0] && bad.notify);
		return;
	}
	ike_msg_dump(&in, dump, max);
	must(ike_msg_write_inner(&in, &w, &next) == 0 && next == first && w.len == plain.len);
	in = *m;
	must(ike_msg_parse_inner(&in, first, wr_view(&w), &bad) == 0);
	must(ike_msg_write_inner(&in, &v, &next) == 0 && span_eq(wr_view(&v), wr_view(&w)));
}

int sample_round_trip(const uint8_t *p, size_t len, struct ike_bad *bad, char *dump, size_t max)
{
	static struct ike_msg m, n;
	static uint8_t out[IKE_MAX_LEN], again[IKE_MAX_LEN];
	struct wr w = wr_of(out, sizeof(out)), v = wr_of(again, sizeof(again));
	uint8_t *exact = malloc(len ? len : 1);
	int rc = 0;

	must(exact);
	memcpy(exact, p, len);
	memset(bad, 0, sizeof(*bad));
	if (ike_msg_parse(&m, span_of(exact, len), bad)) {
		must(bad->why[0] && bad->notify && bad->notify < 64);
		goto out;
	}
	ike_msg_dump(&m, dump, max);
	must(strlen(dump) < max && dump[strlen(dump) - 1] == '\n');
	try_inner(&m, dump + strlen(dump), max - strlen(dump));
	must(ike_msg_write(&m, &w) == 0 && w.len == len);
	rc = memcmp(out, p, len) == 0 ? 1 : 2;
	must(ike_msg_parse(&n, wr_view(&w), bad) == 0 && n.n_payloads == m.n_payloads);
	must(ike_msg_write(&n, &v) == 0 && span_eq(wr_view(&v), wr_view(&w)));
out:
	free(exact);
	return rc;
}
