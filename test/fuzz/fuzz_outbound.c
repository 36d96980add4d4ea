/*
 * Fuzz target: what the TUN device hands over, to outbound_batch(). The input is
 *
 *   path MTU (2), then packets: virtio header (10) | length (2) | bytes
 *
 * Every frame is opened again: it must hold a packet that its policy protects with this SA, of a size that fits, or else may be fragmented on
 * the way. Nothing is lost without being counted.
 */
#include "fuzz_plane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKET_HDR (sizeof(struct virtio_net_hdr) + 2)
#define FUZZ_BATCH 32u

static uint64_t opened;

static void look(const struct out_frame *f, const uint8_t *ip, uint32_t len)
{
	struct pkt_info info;

	fuzz_check(pkt_parse(ip, len, &info) == DROP_NONE && info.len == len, "the inner packet does not parse");
	fuzz_check(len == f->inner_len, "inner length");
	fuzz_check(len <= f->sa->inner_mtu || !f->df, "too long for the path, and not to be fragmented");
	if (info.flags & PKT_FRAG_LATER)
		return; /* made by us perhaps, and then decided by the whole packet's ports */
	const struct policy *p = spd_lookup_linear(fuzz_worker->view->spd, DIR_OUT, &info.key);
	fuzz_check(p && p->action == POLICY_PROTECT && p->n_out == 1 && p->out[0] == f->sa, "protected by an SA that is not its policy's");
}

static void flush(struct worker *w)
{
	for (unsigned i = 0; i < w->n_frame; i++) {
		struct out_frame *f = &w->frame[i];
		unsigned which = f->sa->spi - FUZZ_SPI;
		struct crypt_op op;
		struct esp_text t;
		uint64_t seq;

		fuzz_check(which < FUZZ_SAS && f->esp >= w->frame_arena && f->esp + f->len <= w->frame_arena + FRAME_ARENA, "frame");
		struct sa *in = fuzz_in[which];
		fuzz_check(esp_open_op(in, f->esp, f->len, &seq, &op) == DROP_NONE, "ESP packet");
		crypt_open(fuzz_crypt, &op, 1);
		fuzz_check(op.ok && replay_accept(&in->replay, seq), "integrity");
		fuzz_check(esp_open_text(op.dst, op.len, &t) == DROP_NONE, "padding");
		fuzz_check(t.next_header == (op.dst[0] >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP), "next header");
		look(f, op.dst, t.len);
		opened++;
	}
}

static void run(void)
{
	struct worker *w = fuzz_worker;
	uint64_t packets = w->n_out + fuzz_kept(&w->frag_out);

	fuzz_begin();
	opened = 0;
	outbound_batch(w, flush);
	/* a fragmented packet is one that went and several that are opened; a super-packet likewise */
	uint64_t late = w->c.drop.n[DROP_FRAGMENT] + w->c.drop.n[DROP_CRYPTO]; /* after it was counted */
	fuzz_check(w->c.fragmented || late || opened == w->c.out_packets, "counted and sealed differ");
	fuzz_check(opened + w->c.bypass_packets + fuzz_drops() + fuzz_kept(&w->frag_out) >= packets, "a packet neither went nor was counted");
	w->n_out = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t used = 0;

	fuzz_set_up();
	fuzz_forget(&fuzz_worker->frag_out);
	if (size < 2)
		return 0;
	for (unsigned i = 0; i < FUZZ_SAS; i++)
		fuzz_out[i]->inner_mtu = sa_inner_mtu(fuzz_out[i], load_be16(data), 4);
	data += 2;
	size -= 2;
	while (size >= PACKET_HDR) {
		struct worker *w = fuzz_worker;
		uint32_t len = load_be16(data + sizeof(struct virtio_net_hdr));
		struct out_pkt *p = &w->out[w->n_out++];

		memcpy(&p->vnet, data, sizeof(p->vnet));
		data += PACKET_HDR;
		size -= PACKET_HDR;
		if (len > size)
			len = (uint32_t)size;
		p->ip = w->read_arena + used + CACHE_LINE;
		p->info.len = len;
		memcpy(p->ip, data, len);
		data += len;
		size -= len;
		used += (CACHE_LINE + len + ESP_TAIL_MAX + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1);
		if (w->n_out == FUZZ_BATCH || used > READ_ARENA / 2) {
			run();
			used = 0;
		}
	}
	run();
	return 0;
}
