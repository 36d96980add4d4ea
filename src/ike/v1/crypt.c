/* See crypt.h. */
#include "ike/v1/crypt.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "ike/msg_rule.h"
#include "ike/v1/frag.h"

/* Fills in the HASH payload at the start of plain. */
static int put_hash(const struct keymat_suite *s, const struct ike_keys *k, const struct v1_hash *h,
		    uint8_t *plain, size_t len)
{
	size_t at = 4u + s->prf->len;
	uint8_t out[PRF_LEN_MAX];

	if (len < at)
		return -EINVAL;
	int rc = v1_hash_message(s->prf, k->ai, h, span_of(plain + at, len - at), out);
	if (rc == 0)
		memcpy(plain + 4, out, s->prf->len);
	wipe(out, sizeof(out));
	return rc;
}

/* Inner payloads, hash, padding, cipher: text holds what goes behind the header. */
static int make_text(struct ike_msg *m, const struct keymat_suite *s, const struct ike_keys *k,
		     const struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX], struct wr *text)
{
	unsigned block = cbc_block(s->sk.encr->id);
	uint8_t first;
	int rc = ike_msg_write_inner(m, text, &first);

	if (rc == 0 && h && h->kind != V1_HASH_NONE)
		rc = put_hash(s, k, h, text->base, text->len);
	if (rc)
		return rc;
	if (text->len % block)
		wr_zero(text, block - text->len % block);
	m->hdr.flags |= IKE1_FLAG_E;
	m->hdr.next = first;
	return wr_ok(text) ? cbc_crypt(s->sk.encr->id, true, k->ei, iv, text->base, text->len)
			   : -EMSGSIZE;
}

int v1_seal(struct ike_msg *m, const struct keymat_suite *s, const struct ike_keys *k,
	    const struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX], uint32_t fragment, uint16_t frag_id,
	    struct sealed *out)
{
	uint8_t next[CBC_BLOCK_MAX], *p = malloc(2 * IKE_MAX_LEN);
	struct wr text, whole;

	*out = (struct sealed){ 0 };
	if (!p)
		return -ENOMEM;
	text = wr_of(p, IKE_MAX_LEN - IKE_HDR_LEN);
	whole = wr_of(p + IKE_MAX_LEN, IKE_MAX_LEN);
	memcpy(next, iv, CBC_BLOCK_MAX);
	int rc = make_text(m, s, k, h, next, &text);
	if (rc == 0) {
		m->cipher = wr_view(&text);
		rc = ike_msg_write(m, &whole);
		m->cipher = span_of(NULL, 0);
	}
	if (rc == 0)
		rc = v1_frag_split(wr_view(&whole), fragment, frag_id, out);
	if (rc == 0)
		memcpy(iv, next, CBC_BLOCK_MAX);
	wipe(p, 2 * IKE_MAX_LEN);
	free(p);
	return rc;
}

int v1_check_hash(const struct ike_msg *m, const uint8_t *datagram, const struct keymat_suite *s,
		  const struct ike_keys *k, const struct v1_hash *h, struct ike_bad *bad)
{
	const struct ike_payload *p = m->n_payloads ? &m->payload[0] : NULL;
	uint8_t want[PRF_LEN_MAX];

	if (!p || p->type != IKE1_HASH)
		return ike_refuse(bad, IKE1_INVALID_HASH_INFORMATION, IKE1_HASH,
				  "message: does not begin with a HASH payload");
	if (p->raw.data.len != s->prf->len)
		return ike_refuse(bad, IKE1_INVALID_HASH_INFORMATION, IKE1_HASH,
				  "HASH payload: %zu bytes, %u expected", p->raw.data.len,
				  s->prf->len);
	const uint8_t *rest = p->raw.data.p + p->raw.data.len;
	size_t len = (size_t)(datagram + m->hdr.length - rest) - m->tail.len;
	int rc = v1_hash_message(s->prf, k->ai, h, span_of(rest, len), want);
	bool good = rc == 0 && sodium_memcmp(want, p->raw.data.p, s->prf->len) == 0;
	wipe(want, sizeof(want));
	if (good)
		return 0;
	return ike_refuse(bad, IKE1_AUTHENTICATION_FAILED, IKE1_HASH,
			  "HASH payload: not what the message and the keys give");
}

int v1_open(struct ike_msg *m, uint8_t *datagram, const struct keymat_suite *s,
	    const struct ike_keys *k, const struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX],
	    struct ike_bad *bad)
{
	unsigned block = cbc_block(s->sk.encr->id);
	uint8_t next[CBC_BLOCK_MAX], *p = datagram + IKE_HDR_LEN;
	size_t len = m->cipher.len;

	if (len == 0 || len % block)
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "message: %zu encrypted bytes are no whole blocks", len);
	memcpy(next, iv, CBC_BLOCK_MAX);
	if (cbc_crypt(s->sk.encr->id, false, k->ei, next, p, len))
		return ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, 0, "message: cannot be decrypted");
	m->cipher = span_of(NULL, 0);
	int rc = ike_msg_parse_inner(m, m->hdr.next, span_of(p, len), bad);
	if (rc == 0 && h && h->kind != V1_HASH_NONE)
		rc = v1_check_hash(m, datagram, s, k, h, bad);
	if (rc == 0)
		memcpy(iv, next, CBC_BLOCK_MAX);
	return rc;
}
