/*
 * Fuzz target: datagrams from the network to inbound_datagrams(). The input is a list of pieces
 *
 *   flags (1) | outer TOS (1) | segment size (1, 0: the whole) | length (2) | bytes
 *
 * flags: 0x03 which SA; 0x04 the bytes are an inner packet, to be sealed as its peer would; 0x08 they are a whole text with trailer, to
 * be sealed; 0x10 the sequence number goes back; 0x20 another outer address; 0x40 this and what was gathered is a batch. What arrives must
 * be allowed, what does not must be counted, and what is not authentic must not move a window.
 */
#include "fuzz_plane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE_HDR 5u
#define BATCH_MAX 16u

static uint64_t next_seq[FUZZ_SAS];
static uint64_t delivered;

static void deliver(struct worker *w)
{
	for (unsigned i = 0; i < w->n_in; i++) {
		struct in_pkt *p = &w->in[i];
		struct pkt_info again;
		fuzz_check(pkt_parse(p->ip, p->info.len, &again) == DROP_NONE, "a packet that does not parse arrived");
		fuzz_check(again.len == p->info.len, "it is of another length");
		if (again.flags & PKT_FRAG_LATER) /* it is carried by what its first fragment said */
			again.key = p->info.key;
		fuzz_check(flow_key_eq(&again.key, &p->info.key), "it is another packet");
		const struct policy *pol = spd_lookup_linear(w->view->spd, DIR_IN, &again.key);
		fuzz_check(pol && pol->action == POLICY_PROTECT && pol->n_in == 1 && pol->in[0] == p->sa, "a packet the SA may not carry");
	}
	delivered += w->n_in;
	deliver_packets(w);
}

/* An ESP packet around text of n bytes, complete when `whole`. In memory of its own size. */
static uint8_t *seal(unsigned i, bool whole, bool back, const uint8_t *text, uint32_t n, uint32_t *len)
{
	struct sa *sa = fuzz_out[i];
	uint32_t off = esp_text_off(sa), text_len = whole ? n - n % sa->align : esp_text_len(sa, n);
	uint8_t *room = malloc(off + n + 64 + sa->icv_len);
	struct crypt_op op;

	if (text_len == 0)
		text_len = sa->align;
	memset(room, 0, off + n + 64);
	memcpy(room + off, text, n);
	if (!whole)
		esp_finish_text(sa, room + off, n, n && text[0] >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	uint64_t seq = back && next_seq[i] > 70 ? next_seq[i] - 1 - n % 70 : ++next_seq[i];
	esp_seal_op(sa, seq, room, room + off, text_len, &op);
	crypt_seal(fuzz_crypt, &op, 1);
	fuzz_check(op.ok || text_len > CRYPT_TEXT_MAX, "sealing");
	*len = off + text_len + sa->icv_len;
	uint8_t *exact = malloc(*len);
	memcpy(exact, room, *len);
	free(room);
	return exact;
}

static void run(unsigned n, bool udp)
{
	struct worker *w = fuzz_worker;
	uint64_t pieces = fuzz_kept(&w->frag_in);

	for (unsigned i = 0; i < n; i++)
		pieces += w->rx[i].len ? (w->rx[i].len + w->rx[i].seg - 1) / w->rx[i].seg : 1;
	fuzz_begin();
	delivered = 0;
	inbound_datagrams(w, n, udp, deliver);
	fuzz_check(delivered == w->c.in_packets, "accepted and delivered differ");
	fuzz_check(delivered + fuzz_drops() + fuzz_kept(&w->frag_in) == pieces, "a packet neither arrived nor was counted");
	for (unsigned i = 0; i < n; i++)
		free(w->rx[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint peer = { ip_addr_from_v4("\xc0\x00\x02\x01"), 4500 };
	uint64_t top[FUZZ_SAS];
	bool sealed[FUZZ_SAS] = { false };
	unsigned n = 0;

	fuzz_set_up();
	fuzz_forget(&fuzz_worker->frag_in);
	for (unsigned i = 0; i < FUZZ_SAS; i++)
		top[i] = fuzz_in[i]->replay.top;
	while (size >= PIECE_HDR) {
		uint8_t flags = data[0];
		unsigned i = flags & 3;
		uint32_t len = load_be16(data + 3);
		struct sock_rx *rx = &fuzz_worker->rx[n++];

		*rx = (struct sock_rx) { .tos = data[1], .seg = data[2] };
		data += PIECE_HDR;
		size -= PIECE_HDR;
		if (len > size)
			len = (uint32_t)size;
		if (flags & 0x0c) {
			rx->data = seal(i, flags & 0x08, flags & 0x10, data, len, &rx->len);
			sealed[i] = true;
		} else {
			rx->data = malloc(len ? len : 1);
			memcpy(rx->data, data, len);
			rx->len = len;
		}
		if (rx->seg == 0)
			rx->seg = rx->len;
		peer.port = flags & 0x20 ? 1 : 4500;
		endpoint_to_sockaddr(&peer, &rx->from);
		data += len;
		size -= len;
		if (n == BATCH_MAX || (flags & 0x40)) {
			run(n, !(flags & 0x80));
			n = 0;
		}
	}
	run(n, true);
	for (unsigned i = 0; i < FUZZ_SAS; i++)
		fuzz_check(sealed[i] || top[i] == fuzz_in[i]->replay.top, "a forged packet moved the window");
	return 0;
}
