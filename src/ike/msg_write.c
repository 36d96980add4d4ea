/*
 * A struct ike_msg becomes bytes: header, then each payload's generic header and the fields of its
 * rule, in the order the message has them. Reserved fields are zero, lengths are filled in when a
 * payload or a list element is complete.
 */
#include "ike/msg_rule.h"

#include <errno.h>

/* Fills the 16-bit length at `at` with what was written since `from`; too much is an error. */
static void close_len(struct wr *w, size_t at, size_t from)
{
	if (w->bad)
		return;
	if (w->len - from > UINT16_MAX)
		w->bad = true;
	else
		wr_fill16(w, at, (uint16_t)(w->len - from));
}

static void fill8(struct wr *w, size_t at, size_t v)
{
	if (v > UINT8_MAX)
		w->bad = true;
	else if (!w->bad)
		w->base[at] = (uint8_t)v;
}

/* The bytes of a span; one without bytes stands for room. */
static void write_span(struct wr *w, struct span s)
{
	if (s.p)
		wr_bytes(w, s.p, s.len);
	else
		wr_zero(w, s.len);
}

static void write_attrs(struct wr *w, const struct ike_attr *a, unsigned n)
{
	for (; n--; a++) {
		wr_be16(w, (uint16_t)(a->type | (a->is_short ? 0x8000 : 0)));
		if (a->is_short) {
			wr_be16(w, a->value);
			continue;
		}
		if (a->data.len > UINT16_MAX)
			w->bad = true;
		wr_be16(w, (uint16_t)a->data.len);
		write_span(w, a->data);
	}
}

static void write_transform(const struct ike_msg *m, const struct ike_transform *t, bool more,
			    struct wr *w)
{
	size_t start = w->len;

	wr_u8(w, more ? 3 : 0);
	wr_u8(w, 0);
	size_t len = wr_hole16(w);
	if (ike_hdr_major(&m->hdr) == 1) {
		if (t->id > UINT8_MAX)
			w->bad = true;
		wr_u8(w, t->number);
		wr_u8(w, (uint8_t)t->id);
		wr_be16(w, 0);
	} else {
		wr_u8(w, t->type);
		wr_u8(w, 0);
		wr_be16(w, t->id);
	}
	write_attrs(w, &m->attr[t->first_attr], t->n_attrs);
	close_len(w, len, start);
}

static void write_props(const struct ike_msg *m, const struct ike_payload *p, struct wr *w)
{
	for (unsigned i = 0; i < p->sa.n; i++) {
		const struct ike_prop *q = &m->prop[p->sa.first + i];
		size_t start = w->len;
		wr_u8(w, i + 1u < p->sa.n ? 2 : 0);
		wr_u8(w, 0);
		size_t len = wr_hole16(w);
		wr_u8(w, q->number);
		wr_u8(w, q->proto);
		size_t sizes = w->len;
		wr_be16(w, 0);
		fill8(w, sizes, q->spi.len);
		fill8(w, sizes + 1, q->n_transforms);
		write_span(w, q->spi);
		for (unsigned k = 0; k < q->n_transforms; k++)
			write_transform(m, &m->transform[q->first_transform + k],
					k + 1u < q->n_transforms, w);
		close_len(w, len, start);
	}
}

static void write_ts(const struct ike_msg *m, const struct ike_payload *p, struct wr *w)
{
	wr_u8(w, (uint8_t)p->ts.n);
	wr_zero(w, 3);
	if (p->ts.n > UINT8_MAX)
		w->bad = true;
	for (unsigned i = 0; i < p->ts.n; i++) {
		const struct ike_ts *t = &m->ts[p->ts.first + i];
		size_t start = w->len;
		wr_u8(w, t->type);
		wr_u8(w, t->proto);
		size_t len = wr_hole16(w);
		if (t->type == IKE_TS_IPV4 || t->type == IKE_TS_IPV6) {
			unsigned n = t->type == IKE_TS_IPV4 ? 4 : 16;
			if (ip_addr_bytes(&t->range.lo) != n || ip_addr_bytes(&t->range.hi) != n)
				w->bad = true;
			wr_be16(w, t->port_lo);
			wr_be16(w, t->port_hi);
			wr_bytes(w, t->range.lo.b, n);
			wr_bytes(w, t->range.hi.b, n);
		} else {
			write_span(w, t->data);
		}
		close_len(w, len, start);
	}
}

static void write_body(const struct ike_msg *m, const struct ike_payload *p, struct wr *w)
{
	const struct span *spi = NULL;

	for (const struct ike_field *f = p->rule->fields; f->kind != IKE_F_END; f++) {
		const void *at = (const uint8_t *)p + f->off;
		switch (f->kind) {
		case IKE_F_U8:
			wr_u8(w, *(const uint8_t *)at);
			break;
		case IKE_F_U16:
			wr_be16(w, *(const uint16_t *)at);
			break;
		case IKE_F_U32:
			wr_be32(w, *(const uint32_t *)at);
			break;
		case IKE_F_ZERO:
			wr_zero(w, f->n);
			break;
		case IKE_F_SPI_SIZE:
			spi = at;
			wr_u8(w, 0);
			fill8(w, w->len - 1, spi->len);
			break;
		case IKE_F_SPI:
		case IKE_F_REST:
			write_span(w, *(const struct span *)at);
			break;
		case IKE_F_PROPS:
			write_props(m, p, w);
			break;
		case IKE_F_TS:
			write_ts(m, p, w);
			break;
		case IKE_F_ATTRS:
			write_attrs(w, &m->attr[p->cp.first], p->cp.n);
			break;
		}
	}
}

/* The next payload of the wanted side from index i on; NULL at the end. */
static const struct ike_payload *next_of(const struct ike_msg *m, unsigned i, bool inner)
{
	for (; i < m->n_payloads; i++)
		if (m->payload[i].inner == inner)
			return &m->payload[i];
	return NULL;
}

static int write_chain(const struct ike_msg *m, bool inner, struct wr *w, uint8_t *first)
{
	const struct ike_payload *p = next_of(m, 0, inner), *next;
	bool v2 = ike_hdr_major(&m->hdr) == 2;

	*first = p ? p->type : 0;
	for (; p; p = next) {
		size_t start = w->len;
		next = next_of(m, (unsigned)(p - m->payload) + 1, inner);
		bool holds = v2 && p->rule && p->rule->last;
		if (p->rule && p->rule->last && (next || inner))
			return -EINVAL;
		wr_u8(w, holds ? p->sk.next : next ? next->type : 0);
		wr_u8(w, v2 && p->critical ? 0x80 : 0);
		size_t len = wr_hole16(w);
		if (p->rule)
			write_body(m, p, w);
		else
			write_span(w, p->raw.data);
		close_len(w, len, start);
	}
	return wr_ok(w) ? 0 : -EMSGSIZE;
}

int ike_msg_write(struct ike_msg *m, struct wr *w)
{
	struct ike_hdr *h = &m->hdr;
	size_t start = w->len;
	uint8_t first = h->next;
	int rc = 0;

	wr_bytes(w, h->spi_i, 8);
	wr_bytes(w, h->spi_r, 8);
	size_t fixed = w->len;
	wr_u8(w, 0);
	wr_u8(w, h->version);
	wr_u8(w, h->exchange);
	wr_u8(w, h->flags);
	wr_be32(w, h->id);
	wr_be32(w, 0);
	if (ike_hdr_encrypted(h)) {
		write_span(w, m->cipher);
	} else {
		rc = write_chain(m, false, w, &first);
		write_span(w, m->tail);
	}
	if (rc)
		return rc;
	if (!wr_ok(w) || w->len - start > IKE_MAX_LEN)
		return -EMSGSIZE;
	h->next = first;
	h->length = (uint32_t)(w->len - start);
	w->base[fixed] = first;
	store_be32(w->base + fixed + 8, h->length);
	return 0;
}

int ike_msg_write_inner(struct ike_msg *m, struct wr *w, uint8_t *first)
{
	int rc = write_chain(m, true, w, first);

	if (rc == 0 && ike_hdr_major(&m->hdr) == 1)
		write_span(w, m->tail);
	return rc ? rc : wr_ok(w) ? 0 : -EMSGSIZE;
}
