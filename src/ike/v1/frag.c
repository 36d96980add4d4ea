/* See frag.h. */
#include "ike/v1/frag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ike/msg_rule.h"

#define FRAG_HEAD                                                                                  \
	(IKE_HDR_LEN + 8u) /* message header, payload header, number of the message, piece, flags  \
			    */
#define LAST 1u

static void write_piece(struct wr *w, struct span message, uint16_t id, unsigned number, bool last,
			struct span data)
{
	wr_bytes(w, message.p, 16);
	wr_u8(w, IKE1_FRAGMENT);
	wr_bytes(w, message.p + 17, 2); /* version, exchange */
	/* in the clear, whatever the whole is */
	wr_u8(w, (uint8_t)(message.p[19] & ~IKE1_FLAG_E));
	wr_bytes(w, message.p + 20, 4);
	wr_be32(w, (uint32_t)(FRAG_HEAD + data.len));
	wr_be16(w, 0);
	wr_be16(w, (uint16_t)(8 + data.len));
	wr_be16(w, id);
	wr_u8(w, (uint8_t)number);
	wr_u8(w, last ? LAST : 0);
	wr_bytes(w, data.p, data.len);
}

int v1_frag_split(struct span message, uint32_t max, uint16_t id, struct sealed *out)
{
	size_t room = max > FRAG_HEAD ? max - FRAG_HEAD : 0;
	size_t n = max == 0 || message.len <= max ? 1 : room ? (message.len + room - 1) / room : 0;

	*out = (struct sealed){ 0 };
	if (n == 0 || n > V1_FRAG_MAX)
		return -EMSGSIZE;
	size_t len = n == 1 ? message.len : message.len + n * FRAG_HEAD;
	out->bytes = malloc(len);
	if (!out->bytes)
		return -ENOMEM;
	struct wr w = wr_of(out->bytes, len);
	out->n = (unsigned)n;
	for (unsigned i = 0; i < n; i++) {
		size_t at = i * room, piece = message.len - at < room ? message.len - at : room;
		if (n == 1)
			wr_bytes(&w, message.p, message.len);
		else
			write_piece(&w, message, id, i + 1, i + 1 == n,
				    span_of(message.p + at, piece));
		out->off[i + 1] = (uint32_t)w.len;
	}
	return wr_ok(&w) ? 0 : -EMSGSIZE;
}

void v1_frags_reset(struct v1_frags *f)
{
	for (unsigned i = 0; f->part && i < V1_FRAG_MAX; i++)
		free(f->part[i].p);
	free(f->part);
	*f = (struct v1_frags){ 0 };
}

static int keep(struct v1_frags *f, unsigned i, struct span data)
{
	uint8_t *copy = malloc(data.len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data.p, data.len);
	f->part[i] = (struct buf){ .p = copy, .len = data.len };
	f->bytes += (uint32_t)data.len;
	f->have++;
	return 0;
}

static int join(struct v1_frags *f, const struct ike_hdr *h, struct buf *whole, struct ike_bad *bad)
{
	struct wr w = wr_of(malloc(f->bytes), f->bytes);
	struct ike_hdr inner;

	if (!w.base)
		return -ENOMEM;
	for (unsigned i = 0; i < f->total; i++)
		wr_bytes(&w, f->part[i].p, f->part[i].len);
	v1_frags_reset(f);
	int rc = ike_hdr_parse(&inner, wr_view(&w), bad);
	if (rc == 0 &&
	    (ike_hdr_major(&inner) != 1 || inner.next == IKE1_FRAGMENT ||
	     memcmp(inner.spi_i, h->spi_i, 8) != 0 || memcmp(inner.spi_r, h->spi_r, 8) != 0))
		rc = ike_refuse(bad, IKE1_INVALID_COOKIE, IKE1_FRAGMENT,
				"FRAGMENT payload: what the fragments give is another message");
	if (rc)
		free(w.base);
	else
		*whole = (struct buf){ .p = w.base, .len = w.len };
	return rc;
}

/* Does the piece belong to one message with those that are there? */
static bool fits(const struct v1_frags *f, unsigned number, bool last, size_t len)
{
	bool past = f->total && (last || number > f->total);

	for (unsigned i = number; last && i < V1_FRAG_MAX; i++)
		past = past || f->part[i].p;
	return !past && f->bytes + len <= IKE_MAX_LEN;
}

int v1_frag_add(struct v1_frags *f, const struct ike_hdr *h, const struct ike_payload *p,
		struct buf *whole, struct ike_bad *bad)
{
	unsigned number = p->frag.number;
	bool last = p->frag.flags & LAST;

	*whole = (struct buf){ 0 };
	if (number == 0 || number > V1_FRAG_MAX || p->frag.data.len == 0)
		return ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, IKE1_FRAGMENT,
				  "FRAGMENT payload: number %u, %zu bytes; 1 to %u are accepted, "
				  "none of them empty",
				  number, p->frag.data.len, V1_FRAG_MAX);
	if (!f->part || f->id != p->frag.id) {
		v1_frags_reset(f);
		f->id = p->frag.id;
		f->part = calloc(V1_FRAG_MAX, sizeof(*f->part));
		if (!f->part)
			return -ENOMEM;
	}
	if (f->part[number - 1].p)
		return -EALREADY;
	if (!fits(f, number, last, p->frag.data.len)) {
		v1_frags_reset(f);
		return ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, IKE1_FRAGMENT,
				  "FRAGMENT payload: the fragments do not make one message");
	}
	int rc = keep(f, number - 1, p->frag.data);
	if (rc)
		return rc;
	if (last)
		f->total = (uint8_t)number;
	return f->total && f->have == f->total ? join(f, h, whole, bad) : -EINPROGRESS;
}
