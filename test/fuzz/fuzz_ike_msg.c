/*
 * Any bytes as an IKE message: the length field is made to fit, so that the fuzzer need not; what parses is
 * dumped, written, parsed and written again, which must give the same bytes; what is encrypted is
 * tried as if it were plain; proposals are matched against ours.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/msg.h"
#include "ike/proposal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ike_msg m, n;
static char text[1 << 16];

static void must(int good)
{
	if (!good)
		abort();
}

/* Bytes that the parser cannot leave without being seen. */
static uint8_t *exact(const uint8_t *p, size_t len)
{
	uint8_t *q = malloc(len ? len : 1);
	must(q != NULL);
	memcpy(q, p, len);
	return q;
}

static void offers(const struct ike_msg *msg)
{
	static const enum ike_protocol protos[] = { IKE_PROTO_IKE, IKE_PROTO_AH, IKE_PROTO_ESP };
	static struct proposals ours, peers;
	struct proposal chosen;
	char why[256];
	const struct ike_payload *sa = ike_msg_find(msg, IKE2_SA, NULL);

	for (unsigned i = 0; sa && i < ARRAY_LEN(protos); i++) {
		proposals_default(protos[i], &ours);
		proposals_from_sa(msg, sa, protos[i], &peers);
		if (proposal_select(&ours, &peers, i, &chosen, why, sizeof(why)) == 0)
			must(proposal_is_choice(&chosen));
		else
			must(why[0] != '\0');
	}
}

static void inner(uint8_t first, struct span plain)
{
	static uint8_t out[IKE_MAX_LEN + 1], again[IKE_MAX_LEN + 1];
	struct wr w = wr_of(out, sizeof(out)), v = wr_of(again, sizeof(again));
	struct ike_msg *in = malloc(sizeof(*in));
	struct ike_bad bad = { 0 };
	uint8_t next;

	must(in != NULL);
	*in = m;
	if (ike_msg_parse_inner(in, first, plain, &bad)) {
		must(bad.notify && bad.why[0]);
	} else {
		ike_msg_dump(in, text, sizeof(text));
		must(ike_msg_write_inner(in, &w, &next) == 0 && next == first && w.len == plain.len);
		*in = m;
		must(ike_msg_parse_inner(in, first, wr_view(&w), &bad) == 0);
		must(ike_msg_write_inner(in, &v, &next) == 0 && span_eq(wr_view(&w), wr_view(&v)));
		offers(in);
	}
	free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[IKE_MAX_LEN], again[IKE_MAX_LEN];
	struct wr w = wr_of(out, sizeof(out)), v = wr_of(again, sizeof(again));
	struct ike_bad bad = { 0 };
	uint8_t *p = exact(data, size);

	if (size >= IKE_HDR_LEN && size <= IKE_MAX_LEN)
		store_be32(p + 24, (uint32_t)size);
	if (ike_msg_parse(&m, span_of(p, size), &bad)) {
		must(bad.notify && bad.why[0]);
		free(p);
		return 0;
	}
	ike_msg_dump(&m, text, sizeof(text));
	if (m.cipher.len)
		inner(m.hdr.next, m.cipher);
	for (unsigned i = 0; i < m.n_payloads; i++)
		if (m.payload[i].type == IKE2_SK || m.payload[i].type == IKE2_SKF)
			inner(m.payload[i].sk.next, m.payload[i].sk.data);
	offers(&m);
	must(ike_msg_write(&m, &w) == 0 && w.len == size);
	must(ike_msg_parse(&n, wr_view(&w), &bad) == 0 && n.n_payloads == m.n_payloads && n.seen == m.seen);
	must(ike_msg_write(&n, &v) == 0 && span_eq(wr_view(&v), wr_view(&w)));
	free(p);
	return 0;
}
