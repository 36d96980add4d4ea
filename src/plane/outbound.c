/*
 * From the TUN device to the wire. A batch goes through these steps:
 *
 *   read       packets and super-packets into the read arena, until the device is empty or the
 *              arena full
 *   parse      each once; fragments.c completes the keys of fragments, whole.c joins those for
 *              transport mode
 *   classify   flow table, and on a miss the SPD: protect, bypass, discard or reject
 *   fit        is the SA alive; what does not fit its path: ICMP back, or fragments, or an outer
 *              packet the kernel may fragment
 *   frame      sequence numbers for a run of packets of one SA at once; split super-packets; lay
 *              the ESP packets out
 *              back to back in the frame arena, so that one system call can send many
 *   seal       one crypto call for all frames
 *   send       send.c
 *   wrap       what goes through several SAs, or AH: wrap.c
 *
 * A packet that cannot go on is counted under its reason and forgotten.
 */
#include <errno.h>
#include <unistd.h>

#include "ipsec/transport.h"
#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/frag.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "plane/worker.h"

#define IP6_MIN_MTU 1280u

unsigned outbound_read(struct worker *w)
{
	uint32_t used = 0;

	w->n_out = 0;
	while (w->n_out < BATCH_PKTS &&
	       used + CACHE_LINE + TUN_READ_MAX + ESP_TAIL_MAX <= READ_ARENA) {
		/* the virtio header lies right before the packet, which starts on a cache line */
		uint8_t *ip = w->read_arena + used + CACHE_LINE;
		ssize_t n = read(w->tun_fd, ip - TUN_VNET_LEN, TUN_READ_MAX);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		w->c.tun_reads++;
		if (n <= TUN_VNET_LEN) {
			worker_drop(w, DROP_SHORT);
			continue;
		}
		struct out_pkt *p = &w->out[w->n_out++];
		memcpy(&p->vnet, ip - TUN_VNET_LEN, TUN_VNET_LEN);
		p->ip = ip;
		p->info.len = (uint32_t)n - TUN_VNET_LEN;
		used += outbound_room(p->info.len);
	}
	return w->n_out;
}

/* Parses and hashes; the flow table's lines are on their way from then on. */
static void parse_some(struct worker *w, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		struct out_pkt *p = &w->out[i];
		uint32_t got = p->info.len;
		enum drop d = pkt_parse(p->ip, got, &p->info);

		p->sa = NULL;
		p->wrap = p->joined = false;
		if (unlikely(d == DROP_NONE && p->info.len != got))
			d = DROP_BAD_LENGTH;
		if (unlikely(d != DROP_NONE)) {
			worker_drop(w, d);
			p->ip = NULL;
			continue;
		}
		if (unlikely(p->info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) &&
		    !whole_out(w, p, i)) {
			p->ip = NULL;
			continue;
		}
		p->hash = flow_key_hash(&p->info.key, w->out_flows.seed);
		flow_table_prefetch(&w->out_flows, p->hash);
	}
}

/* One ESP SA, whose outer header the system makes; everything else is for wrap.c. */
static bool goes_alone(const struct worker *w, struct sa *const *sa, unsigned n)
{
	return n == 1 && sa[0]->proto == SA_ESP && !sa[0]->preserve && !w->whole;
}

/* The SPD's decision on a flow seen for the first time; entered in the flow table. */
static struct flow_entry *classify_miss(struct worker *w, const struct out_pkt *p)
{
	struct policy *pol = w->view->spd ? spd_lookup(w->view->spd, DIR_OUT, &p->info.key) : NULL;
	struct flow_entry *f =
	    flow_table_add(&w->out_flows, &p->info.key, p->hash, w->view->gen, w->batch);

	f->verdict = pol;
	if (!pol)
		return f;
	atomic_fetch_add_explicit(&pol->hits, 1, memory_order_relaxed);
	atomic_store_explicit(&pol->last_hit_ns, w->now_ns, memory_order_relaxed);
	unsigned n;
	struct sa *const *sa = policy_out(pol, &n);
	if (pol->action == POLICY_PROTECT && goes_alone(w, sa, n) && !pol->pick)
		f->hint = sa[0];
	return f;
}

/* Drops a packet that may not go out: which may be an auditable event. */
static void refuse(struct worker *w, const struct out_pkt *p, enum drop why)
{
	worker_drop(w, why);
	audit_out(w, p->ip, &p->info, p->sa, why);
}

/* What the policy says of a packet that is not to be protected. */
static void not_protected(struct worker *w, struct out_pkt *p, const struct policy *pol)
{
	if (!pol) {
		refuse(w, p, DROP_NO_POLICY);
	} else if (pol->action == POLICY_DISCARD) {
		refuse(w, p, DROP_POLICY_DISCARD);
	} else if (pol->action == POLICY_REJECT) {
		reply_reject(w, p);
		refuse(w, p, DROP_POLICY_REJECT);
	} else if (pol->action == POLICY_PROTECT && policy_first_out(pol)) {
		p->wrap = true; /* several, or AH, or an outer header of our making */
		w->n_wrap++;
	} else if (pol->action == POLICY_PROTECT && pol->route) {
		hold_add(w, p, pol);
	} else if (pol->action == POLICY_PROTECT) {
		struct ipsec_event e = { .type = EV_ACQUIRE,
					 .policy = pol->order,
					 .flow = p->info.key };
		worker_event_paced(w, &e, pol);
		refuse(w, p, DROP_NO_SA);
	} else if (w->bridge) {
		bridge_bypass(w, p);
	} else {
		struct gso g;
		enum drop d = gso_open(&g, &p->vnet, p->ip, p->info.len, &p->info);
		if (d != DROP_NONE) {
			worker_drop(w, d);
			return;
		}
		for (unsigned i = 0; i < g.segs;
		     i++) { /* the side arena is free until all are framed */
			gso_segment(&g, i, w->side_arena);
			if (!send_clear(w, p, w->side_arena, gso_segment_len(&g, i)))
				break;
		}
	}
}

/* True when the packet's segments fit the SA's path; else deals with it, as far as that needs no
 * frames. */
static bool fits(struct worker *w, struct out_pkt *p, uint32_t mtu)
{
	const struct sa *sa = p->sa;
	uint32_t size = p->info.len;

	if (p->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		/* what the device says is checked when the packet is split */
		uint32_t tcp =
		    p->info.l4_off + 12u < p->info.len ? (p->ip[p->info.l4_off + 12] >> 4) * 4u : 0;
		size = p->info.l4_off + p->vnet.gso_size +
		       (p->info.key.proto == IPPROTO_UDP ? 8 : tcp);
	}
	if (size <= mtu)
		return true;
	/* an outer packet in fragments is still one packet, with an IP length */
	bool one_outer = size + sa->overhead_max <= UINT16_MAX;
	bool may_fragment = p->info.key.ver == 4 && !(p->info.flags & PKT_DF);
	if (sa->mode == SA_TRANSPORT && one_outer &&
	    (may_fragment || (p->info.key.ver == 6 && p->info.key.proto != IPPROTO_TCP))) {
		/* only whole packets are protected (RFC 4303 3.1.1): what was told to make smaller
		 * ones would make fragments */
		p->outer_df = false;
		return true;
	}
	if (may_fragment && sa->mode == SA_TUNNEL) {
		/* later fragments of ours are no more welcome than others */
		if ((sa->fragment == SA_FRAG_AFTER || p->policy->whole_only) &&
		    sa->df != SA_DF_SET && one_outer)
			p->outer_df = false;
		else
			p->fragment = true;
		return true;
	}
	/* IPv6 hosts rely on every link carrying 1280 bytes, and take no smaller answer (RFC 8200
	 * 5, RFC 2473 7.1) */
	bool must_carry = p->info.key.ver == 6 && size <= IP6_MIN_MTU;
	if ((sa->df == SA_DF_CLEAR && one_outer) || must_carry) {
		p->outer_df = false;
		return true;
	}
	if (p->info.key.ver == 6 && mtu < IP6_MIN_MTU)
		mtu = IP6_MIN_MTU;
	reply_too_big(w, p, mtu);
	worker_drop(w, DROP_TOO_BIG);
	return false;
}

static void clamp_mss(struct worker *w, struct out_pkt *p, uint32_t mtu)
{
	uint32_t headers = p->info.key.ver == 4 ? 40 : 60;

	if (mtu > headers &&
	    tcp_clamp_mss(p->ip, &p->info,
			  (uint16_t)(mtu - headers > 65535 ? 65535 : mtu - headers),
			  p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		w->c.mss_clamped++;
}

/* A policy that looks at each packet: true when it has found the SA, or refused the packet. */
static bool picked(struct worker *w, struct out_pkt *p)
{
	struct sa *const *sa;
	unsigned n;

	if (!p->policy || !p->policy->pick || p->policy->action == POLICY_DISCARD ||
	    p->policy->action == POLICY_REJECT)
		return false;
	enum drop d = pick_out(p->policy, p->ip, &p->info, &sa, &n);
	if (d != DROP_NONE) {
		refuse(w, p, d);
		return true;
	}
	if (goes_alone(w, sa, n)) {
		p->sa = sa[0];
	} else if (n) {
		p->wrap = true;
		w->n_wrap++;
	}
	return n > 0;
}

/*
 * An ICMP error that no policy is for, about a packet of one that protects: it goes by the SA of
 * that, when there is one. None is made for it (RFC 4301 6.2).
 */
static bool by_its_quote(struct worker *w, struct out_pkt *p)
{
	struct policy *pol = icmp_error_out(w, p);
	unsigned n;

	if (!pol)
		return false;
	struct sa *const *sa = policy_out(pol, &n);
	p->policy = pol;
	if (pol->pick && picked(w, p))
		return true;
	if (!pol->pick && goes_alone(w, sa, n))
		p->sa = sa[0];
	else if (n == 0 || pol->pick)
		refuse(w, p, DROP_NO_SA);
	else
		not_protected(w, p, pol); /* several, or AH */
	return true;
}

/* Looks the packets' flows up; the SAs they lead to are on their way from then on. */
static void classify_some(struct worker *w, unsigned first, unsigned end, unsigned parsed)
{
	const struct sa *last = NULL;
	bool icmp_told = icmp_error_told(w);

	for (unsigned i = first; i < end; i++) {
		struct out_pkt *p = &w->out[i];

		if (i + BATCH_LOOK < parsed && p[BATCH_LOOK].ip &&
		    p[BATCH_LOOK].hash != p[BATCH_LOOK - 1].hash)
			flow_table_look(&w->out_flows, &p[BATCH_LOOK].info.key, p[BATCH_LOOK].hash);
		if (unlikely(!p->ip))
			continue;
		if (unlikely(icmp_told))
			icmp_error_tell(w, icmp_error_of(&p->info.key), p->ip, &p->info, NULL,
					DROP_NONE);
		struct flow_entry *f =
		    flow_table_find(&w->out_flows, &p->info.key, p->hash, w->view->gen);
		if (unlikely(!f))
			f = classify_miss(w, p);
		flow_entry_touch(f, w->batch);
		p->policy = f->verdict;
		p->sa = f->hint;
		if (p->sa && p->sa != last) {
			last = p->sa;
			sa_prefetch(last);
		}
		if (unlikely(!p->sa) && !picked(w, p) && !by_its_quote(w, p))
			not_protected(w, p, p->policy);
	}
}

/*
 * Transport mode: a whole packet between the SA's ends goes as it is, when its header is one that
 * the system makes just like that; with options in front of what is protected its header is made in
 * wrap.c.
 */
static bool may_go_as_it_is(struct worker *w, struct out_pkt *p)
{
	const struct sa_path *path = atomic_load_explicit(&p->sa->path, memory_order_acquire);
	const struct flow_key *k = &p->info.key;
	uint32_t next_at, split = transport_split(p->ip, &p->info, &next_at);
	bool between_ends = path && path->src.ver == k->ver && path->dst.addr.ver == k->ver &&
			    memcmp(path->src.b, k->src, 16) == 0 &&
			    memcmp(path->dst.addr.b, k->dst, 16) == 0;

	if (likely(between_ends && split == (k->ver == 4 ? 20u : 40u)))
		return true;
	if (between_ends && split && p->sa->encap == SA_ENCAP_NONE) {
		p->wrap = true;
		w->n_wrap++;
	} else {
		refuse(w, p, DROP_TRANSPORT);
	}
	return false;
}

/* What the SA says: is it alive, does the packet fit, which DF bit. Packets that cannot go on lose
 * their SA. */
static void fit_some(struct worker *w, unsigned first, unsigned end)
{
	const struct sa *last = NULL;

	for (unsigned i = first; i < end; i++) {
		struct out_pkt *p = &w->out[i];
		struct sa *sa = p->sa;

		if (unlikely(!sa))
			continue;
		if (unlikely(!sa_usable(sa))) {
			refuse(w, p, DROP_SA_EXPIRED);
			p->sa = NULL;
			continue;
		}
		if (sa != last) {
			last = sa;
			crypt_key_prefetch(&sa->key);
		}
		if (unlikely(sa->mode == SA_TRANSPORT) && !may_go_as_it_is(w, p)) {
			p->sa = NULL;
			continue;
		}
		p->fragment = false;
		p->outer_df =
		    sa->df == SA_DF_COPY ? (p->info.flags & PKT_DF) != 0 : sa->df == SA_DF_SET;
		uint32_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
		if (unlikely(p->info.flags & PKT_TCP_SYN) && p->policy->mss_clamp)
			clamp_mss(w, p, mtu);
		if (unlikely(p->info.len > mtu) && !fits(w, p, mtu))
			p->sa = NULL;
	}
}

/* Seals what is framed and hands it over. */
static void seal(struct worker *w, void (*flush)(struct worker *w))
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
		seal(w, flush);
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

static void frame_some(struct worker *w, unsigned first, unsigned end,
		       void (*flush)(struct worker *w))
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

/*
 * The steps up to framing take turns, each a stage behind the one before it: what a step has asked
 * the memory for arrives while the others work on their packets. With many flows and SAs nothing is
 * in the cache, and waiting would be half of the time.
 */
static void work_on(struct worker *w, void (*flush)(struct worker *w))
{
	unsigned n = w->n_out;

	for (unsigned at = 0; at < n + 2 * BATCH_STAGE; at += BATCH_STAGE) {
		parse_some(w, at, batch_end(at + BATCH_STAGE, n));
		if (at >= BATCH_STAGE)
			classify_some(w, at - BATCH_STAGE, batch_end(at, n),
				      batch_end(at + BATCH_STAGE, n));
		if (at >= 2 * BATCH_STAGE) {
			fit_some(w, at - 2 * BATCH_STAGE, batch_end(at - BATCH_STAGE, n));
			frame_some(w, at - 2 * BATCH_STAGE, batch_end(at - BATCH_STAGE, n), flush);
		}
	}
	seal(w, flush);
	if (unlikely(w->n_wrap)) {
		w->n_wrap = 0;
		wrap_batch(w, flush);
	}
	if (unlikely(w->reasm_out.n_done))
		reasm_release(&w->reasm_out);
}

void outbound_batch(struct worker *w, void (*flush)(struct worker *w))
{
	work_on(w, flush);
	w->again = false;
	if (unlikely(w->frag_out.n_ready) && fragments_out_take(w) > 0)
		work_on(w, flush);
}
