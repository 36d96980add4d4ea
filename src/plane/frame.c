/*
 * ESP packets from what outbound.c has classified and found to fit:
 *
 *   number     for a run of packets of one SA at once
 *   split      super-packets, and packets that go in fragments
 *   lay out    back to back in the frame arena, so that one system call can send many; a packet that
 *              needs no splitting stays where it was read, and the cipher takes it from there
 *   seal       one crypto call for all frames, when the arena is full and at the end of the batch
 *
 * In: out[] with an SA each. Out: frame[], to the function that sends.
 */
#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/frag.h"
#include "plane/worker.h"

void frame_seal(struct worker *w, void (*flush)(struct worker *w))
{
	if (w->n_frame == 0)
		return;
	crypt_seal(w->crypt, w->op, w->n_frame);
	unsigned m = 0;
	for (unsigned i = 0; i < w->n_frame; i++) {
		if (unlikely(!w->op[i].ok)) {
			worker_drop(w, DROP_CRYPTO);
			continue;
		}
		if (m != i)
			w->frame[m] = w->frame[i];
		m++;
	}
	w->n_frame = m;
	flush(w);
	w->n_frame = 0;
	w->frame_used = 0;
}

_Static_assert(FRAME_ARENA >= 65536 + 512,
	       "the largest inner packet fits an empty arena, with what ESP adds");

/* Room for one more ESP packet around inner_len bytes; makes some by sending what is there. */
static uint8_t *frame_room(struct worker *w, const struct sa *sa, uint32_t inner_len,
			   void (*flush)(struct worker *w))
{
	uint32_t need = esp_wire_len(sa, inner_len) + ESP_TAIL_MAX;

	if (w->n_frame == BATCH_FRAMES || w->frame_used + need > FRAME_ARENA)
		frame_seal(w, flush);
	return w->frame_arena + w->frame_used;
}

/* Enters the frame whose inner packet is text[0..inner_len): in the arena already, or still where
 * it was read. */
static void frame_add(struct worker *w, const struct out_pkt *p, uint8_t *esp, uint8_t *text,
		      uint32_t inner_len, uint64_t seq)
{
	struct sa *sa = p->sa;
	uint8_t next = p->info.key.ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	if (unlikely(sa->mode == SA_TRANSPORT)) {
		/* the system makes the IP header again; what is behind it is protected */
		uint32_t hdr = p->info.key.ver == 4 ? 20 : 40;
		next = p->info.key.ver == 4 ? text[9] : text[6];
		inner_len -= hdr;
		if (text == esp + esp_text_off(sa))
			memmove(text, text + hdr, inner_len);
		else
			text += hdr;
	}
	uint32_t text_len = esp_finish_text(sa, text, inner_len, next);
	struct out_frame *f = &w->frame[w->n_frame];

	esp_seal_op(sa, seq, esp, text, text_len, &w->op[w->n_frame]);
	f->sa = sa;
	f->esp = esp;
	f->len = esp_text_off(sa) + text_len + sa->icv_len;
	f->inner_len = inner_len;
	f->tos =
	    likely(sa->mode == SA_TUNNEL) ? ecn_encap(p->info.tos, sa->dscp, sa->ecn) : p->info.tos;
	f->df = p->outer_df;
	f->whole = false;
	w->n_frame++;
	w->frame_used += f->len;
}

static void seq_exhausted(struct worker *w, struct sa *sa, const struct out_pkt *p,
			  uint64_t packets)
{
	struct ipsec_event e = {
		.type = EV_SEQ_EXHAUSTED, .spi = sa->spi, .reqid = sa->reqid, .sa = sa
	};

	worker_event_paced(w, &e, sa);
	w->c.drop.n[DROP_SEQ_EXHAUSTED] += packets;
	audit_out(w, p->ip, &p->info, sa, DROP_SEQ_EXHAUSTED);
}

/* Most numbers are used: keying is told once, while there is time for another SA. */
static void seq_low(struct worker *w, struct sa *sa)
{
	struct ipsec_event e = {
		.type = EV_SOFT_EXPIRE, .spi = sa->spi, .reqid = sa->reqid, .sa = sa
	};

	if (sa_seq_low(sa))
		worker_event(w, &e);
}

/* An IPv4 packet (or every segment of one) too big for the path, as fragments. Takes its sequence
 * numbers one by one: this is rare. */
static void frame_fragments(struct worker *w, const struct out_pkt *p, const uint8_t *ip,
			    uint32_t len, uint32_t mtu, void (*flush)(struct worker *w))
{
	unsigned n = frag4_count(ip, len, mtu);
	uint64_t seq;

	if (n == 0) {
		worker_drop(w, DROP_FRAGMENT);
		return;
	}
	w->c.fragmented++;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *esp = frame_room(w, p->sa, mtu, flush);
		if (unlikely(!sa_seq_take(p->sa, 1, &seq))) {
			seq_exhausted(w, p->sa, p, 1);
			return;
		}
		uint8_t *text = esp + esp_text_off(p->sa);
		frame_add(w, p, esp, text, frag4_make(ip, len, mtu, i, text), seq);
	}
}

/* A packet that needs no splitting: its checksum is completed where it lies, and the cipher reads
 * it from there. */
static void frame_plain(struct worker *w, struct out_pkt *p, const struct gso *g, uint64_t seq,
			void (*flush)(struct worker *w))
{
	if (g->csum) {
		uint8_t *start = p->ip + g->csum_start;
		uint16_t sum =
		    (uint16_t)~csum_fold(csum_add(0, start, p->info.len - g->csum_start));
		if (sum == 0 && p->info.key.proto == IPPROTO_UDP)
			sum = 0xffff;
		memcpy(start + g->csum_offset, &sum, 2);
	}
	uint8_t *esp = frame_room(w, p->sa, p->info.len, flush);
	frame_add(w, p, esp, p->ip, p->info.len, seq);
}

static void frame_segments(struct worker *w, struct out_pkt *p, const struct gso *g, uint64_t seq,
			   void (*flush)(struct worker *w))
{
	for (uint32_t i = 0; i < g->segs; i++) {
		uint32_t len = gso_segment_len(g, i);
		uint8_t *esp = frame_room(w, p->sa, len, flush);
		uint8_t *text = esp + esp_text_off(p->sa);
		gso_segment(g, i, text);
		frame_add(w, p, esp, text, len, seq + i);
	}
}

/* Fragments a packet, or each segment of a super-packet of datagrams. */
static void frame_too_big(struct worker *w, struct out_pkt *p, const struct gso *g, uint32_t mtu,
			  void (*flush)(struct worker *w))
{
	uint8_t segment[65536];

	for (uint32_t i = 0; i < g->segs; i++) {
		gso_segment(g, i, segment);
		frame_fragments(w, p, segment, gso_segment_len(g, i), mtu, flush);
	}
}

/* Frames a run of packets of one SA: out[first..end). Numbers are taken once for all of them. */
static void frame_run(struct worker *w, unsigned first, unsigned end,
		      void (*flush)(struct worker *w))
{
	struct sa *sa = w->out[first].sa;
	uint32_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
	static __thread struct gso gso[BATCH_PKTS];
	uint64_t packets = 0, bytes = 0, seq = 0;
	unsigned numbers = 0;

	for (unsigned i = first; i < end; i++) {
		struct out_pkt *p = &w->out[i];
		struct gso *g = &gso[i];
		enum drop d = gso_open(g, &p->vnet, p->ip, p->info.len, &p->info);
		if (unlikely(d != DROP_NONE)) {
			worker_drop(w, d);
			p->sa = NULL;
			continue;
		}
		packets += g->segs;
		bytes += p->info.len + (uint64_t)(g->segs - 1) * g->hdr_len;
		if (likely(!p->fragment))
			numbers += g->segs;
	}
	if (packets == 0)
		return;
	if (unlikely(worker_count(w, sa, packets, bytes) & SA_HARD)) {
		w->c.drop.n[DROP_SA_EXPIRED] += packets;
		return;
	}
	if (unlikely(numbers && !sa_seq_take(sa, numbers, &seq))) {
		seq_exhausted(w, sa, &w->out[first], packets);
		return;
	}
	if (unlikely(seq + numbers > sa_seq_soft(sa)))
		seq_low(w, sa);
	w->c.out_packets += packets;
	w->c.out_bytes += bytes;
	for (unsigned i = first; i < end; i++) {
		struct out_pkt *p = &w->out[i];
		const struct gso *g = &gso[i];
		if (unlikely(!p->sa))
			continue;
		if (unlikely(p->fragment)) {
			frame_too_big(w, p, g, mtu, flush);
			continue;
		}
		if (g->plain)
			frame_plain(w, p, g, seq, flush);
		else
			frame_segments(w, p, g, seq, flush);
		seq += g->segs;
	}
}

void frame_batch(struct worker *w, unsigned first, unsigned end, void (*flush)(struct worker *w))
{
	for (unsigned i = first; i < end;) {
		if (!w->out[i].sa) {
			i++;
			continue;
		}
		unsigned next = i + 1;
		while (next < end && w->out[next].sa == w->out[i].sa)
			next++;
		frame_run(w, i, next, flush);
		i = next;
	}
}
