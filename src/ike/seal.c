/*
 * See seal.h. Sealing: inner payloads written -> one SK payload, or SKF payloads of even share ->
 * header and room written -> encrypted in place. Opening: the Encrypted payload found -> checked
 * and decrypted in place -> its payloads parsed, or its text kept for reassembly.
 */
#include "ike/seal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/secret.h"
#include "ike/msg_rule.h"
#include "ike/reassembly.h"

#define PAYLOAD_HEAD 4u /* generic header */
#define SKF_HEAD     8u /* with fragment number and total (RFC 7383 2.5) */

void sealed_free(struct sealed *s)
{
	free(s->bytes);
	*s = (struct sealed){ 0 };
}

/* The one datagram in w, whose memory is handed over, cut to what is used. */
static void keep_one(struct sealed *out, const struct wr *w)
{
	uint8_t *tight = realloc(w->base, w->len);

	*out = (struct sealed){ .bytes = tight ? tight : w->base, .n = 1 };
	out->off[1] = (uint32_t)w->len;
}

static bool has_inner(const struct ike_msg *m)
{
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (m->payload[i].inner)
			return true;
	return false;
}

int seal_clear(struct ike_msg *m, struct sealed *out)
{
	*out = (struct sealed){ 0 };
	if (has_inner(m))
		return -EINVAL;
	uint8_t *p = malloc(IKE_MAX_LEN);
	if (!p)
		return -ENOMEM;
	struct wr w = wr_of(p, IKE_MAX_LEN);
	int rc = ike_msg_write(m, &w);
	if (rc)
		free(p);
	else
		keep_one(out, &w);
	return rc;
}

/* ---- one protected datagram */

struct job {
	struct ike_msg *m;
	const struct esp_suite *s;
	struct sk_key *k;
	struct span text; /* of all inner payloads */
	uint8_t first;    /* type of the first of them */
};

/* Adds an SK or SKF payload with room for a text of that length; NULL when m is full. */
static struct ike_payload *add_room(struct job *j, uint8_t type, uint8_t next, size_t text_len)
{
	struct ike_payload *p = ike_msg_add(j->m, type, false);

	if (p) {
		p->sk.next = next;
		p->sk.data = span_of(NULL, sk_sealed_len(j->s, text_len));
	}
	return p;
}

/* Writes the outer payloads, of which the last is the one from add_room(), seals the text into it,
 * and takes it off m again. w: exactly the room of this datagram, or more. */
static int seal_one(struct job *j, struct ike_payload *p, struct span text, struct wr *w)
{
	size_t start = w->len, len;
	int rc = ike_msg_write(j->m, w);

	if (rc == 0) {
		size_t head = w->len - start - p->sk.data.len;
		rc = sk_seal(j->k, w->base + start, w->len - start, head, text, &len);
		if (rc == -ENOSPC)
			rc = -EIO; /* the room was counted by the same rules */
	}
	j->m->n_payloads--;
	j->m->seen &= ~IKE_BIT(p->type);
	return rc;
}

static int seal_whole(struct job *j, size_t len, struct sealed *out)
{
	uint8_t *p = malloc(len);
	struct wr w = wr_of(p, len);

	if (!p)
		return -ENOMEM;
	struct ike_payload *sk = add_room(j, IKE2_SK, j->first, j->text.len);
	int rc = sk ? seal_one(j, sk, j->text, &w) : -EMSGSIZE;
	if (rc)
		free(p);
	else
		keep_one(out, &w);
	return rc;
}

/* ---- fragments */

/* Outer payloads go with the first fragment only: hidden, and shown again, by their `inner` mark.
 * Returns which they are. */
static uint64_t hide_outer(struct ike_msg *m)
{
	uint64_t which = 0;

	for (unsigned i = 0; i < m->n_payloads; i++) {
		which |= (uint64_t)!m->payload[i].inner << i;
		m->payload[i].inner = true;
	}
	return which;
}

static void show_outer(struct ike_msg *m, uint64_t which)
{
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (which >> i & 1)
			m->payload[i].inner = false;
}
_Static_assert(IKE_MSG_PAYLOADS <= 64, "a bit for each payload");

/* How a text is cut: the first piece may have less room than the others. */
struct pieces {
	unsigned n;
	size_t first, rest; /* bytes of text at most */
};

static int cut_text(const struct job *j, size_t outer_len, uint32_t fragment, struct pieces *c)
{
	size_t head = IKE_HDR_LEN + SKF_HEAD;

	c->first = fragment > head + outer_len ? sk_text_max(j->s, fragment - head - outer_len) : 0;
	c->rest = fragment > head ? sk_text_max(j->s, fragment - head) : 0;
	if (c->first == 0)
		return -EMSGSIZE;
	size_t left = j->text.len > c->first ? j->text.len - c->first : 0;
	size_t n = 1 + (left + c->rest - 1) / c->rest;
	if (n > SEAL_FRAGMENTS_MAX)
		return -EMSGSIZE;
	c->n = (unsigned)n;
	return 0;
}

static int seal_pieces(struct job *j, const struct pieces *c, uint32_t fragment, struct wr *w,
		       struct sealed *out)
{
	struct rd r = rd_of(j->text.p, j->text.len);
	uint64_t hidden = 0;
	int rc = 0;

	for (unsigned i = 0; i < c->n && rc == 0; i++) {
		size_t room = i ? c->rest : c->first;
		struct span piece = rd_span(&r, room < r.left ? room : r.left);
		if (i == 1)
			hidden = hide_outer(j->m);
		struct ike_payload *p = add_room(j, IKE2_SKF, i ? 0 : j->first, piece.len);
		if (!p) {
			rc = -EMSGSIZE;
			break;
		}
		p->sk.number = (uint16_t)(i + 1);
		p->sk.total = (uint16_t)c->n;
		struct wr one = wr_of(w->base + w->len, fragment);
		rc = seal_one(j, p, piece, &one);
		w->len += one.len;
		out->off[i + 1] = (uint32_t)w->len;
	}
	show_outer(j->m, hidden);
	return rc;
}

static int seal_fragments(struct job *j, size_t outer_len, uint32_t fragment, struct sealed *out)
{
	struct pieces c;
	int rc = cut_text(j, outer_len, fragment, &c);

	if (rc)
		return rc;
	size_t cap = (size_t)c.n * fragment;
	uint8_t *p = malloc(cap);
	if (!p)
		return -ENOMEM;
	struct wr w = wr_of(p, cap);
	*out = (struct sealed){ .bytes = p, .n = c.n };
	rc = seal_pieces(j, &c, fragment, &w, out);
	if (rc)
		sealed_free(out);
	return rc;
}

/* Bytes of the payloads that stay outside. */
static int outer_bytes(struct ike_msg *m, struct wr *scratch, size_t *len)
{
	struct wr w = *scratch;
	int rc = ike_msg_write(m, &w);

	*len = rc ? 0 : w.len - scratch->len - IKE_HDR_LEN;
	return rc;
}

int seal_message(struct ike_msg *m, const struct esp_suite *s, struct sk_key *k, uint32_t fragment,
		 struct sealed *out)
{
	struct job j = { .m = m, .s = s, .k = k };
	uint8_t *scratch = malloc(IKE_MAX_LEN);
	struct wr w = wr_of(scratch, IKE_MAX_LEN);
	size_t outer;

	*out = (struct sealed){ 0 };
	if (!scratch)
		return -ENOMEM;
	int rc = (m->seen & (IKE_BIT(IKE2_SK) | IKE_BIT(IKE2_SKF))) ? -EINVAL : 0;
	if (rc == 0)
		rc = ike_msg_write_inner(m, &w, &j.first);
	if (rc == 0)
		rc = outer_bytes(m, &w, &outer);
	if (rc == 0) {
		j.text = span_of(scratch, w.len);
		size_t len = IKE_HDR_LEN + outer + PAYLOAD_HEAD + sk_sealed_len(s, w.len);
		if (fragment && len > fragment)
			rc = seal_fragments(&j, outer, fragment, out);
		else
			rc = len > SEAL_MESSAGE_MAX ? -EMSGSIZE : seal_whole(&j, len, out);
	}
	wipe(scratch, w.len);
	free(scratch);
	return rc;
}

/* ---- opening */

static const struct ike_payload *encrypted_of(const struct ike_msg *m)
{
	const struct ike_payload *p = m->n_payloads ? &m->payload[m->n_payloads - 1] : NULL;

	return p && (p->type == IKE2_SK || p->type == IKE2_SKF) && !p->inner ? p : NULL;
}

int seal_open(struct ike_msg *m, uint8_t *datagram, size_t len, const struct sk_key *k,
	      struct reassembly *r, struct seal_plain *whole, struct ike_bad *bad)
{
	const struct ike_payload *p = encrypted_of(m);
	struct span text;

	*whole = (struct seal_plain){ 0 };
	if (!p)
		return ike_refuse(bad, 0, 0, "no Encrypted payload, where all must be protected");
	bool fragment = p->type == IKE2_SKF;
	uint8_t next = p->sk.next;
	if (fragment && p->sk.total > SEAL_FRAGMENTS_MAX)
		return ike_refuse(bad, 0, p->type,
				  "a message of %u fragments, at most %d are taken", p->sk.total,
				  SEAL_FRAGMENTS_MAX);
	if (fragment && reassembly_has(r, m->hdr.id, p))
		return -EALREADY;
	size_t head = (size_t)(p->sk.data.p - datagram);
	if (sk_open(k, datagram, len, head, &text))
		return ike_refuse(bad, 0, p->type,
				  "not authentic: other keys, or changed on the way");
	if (fragment) {
		int rc = reassembly_add(r, m->hdr.id, p, text, whole, &next, bad);
		if (rc)
			return rc;
		text = span_of(whole->p, whole->len);
	}
	int rc = ike_msg_parse_inner(m, next, text, bad);
	if (rc)
		seal_plain_free(whole);
	return rc;
}

void seal_plain_free(struct seal_plain *p)
{
	if (p->p)
		wipe(p->p, p->len);
	free(p->p);
	*p = (struct seal_plain){ 0 };
}
