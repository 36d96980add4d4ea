/*
 * Outbound packets that go through several SAs (RFC 4301 E, RFC 2401 4.3), or through AH: the
 * packets of a batch that classification has marked. They are copied out, one by one where they are
 * super-packets, with room in front and behind, and then go through their SAs together, a round for
 * each place in the bundle:
 *
 *   ESP   text finished, headers in front, one crypto call for all
 *   AH    header in front, a copy with what changes on the way as zeros, one call for all
 *
 * After every round a packet is a complete IP packet again. At the end ESP tunnels go where all ESP
 * goes, their outer header made by the system (but to groups with the inner addresses outside);
 * everything else leaves with the IP header made here, which AH covers.
 */
#include "base/clock.h"
#include "base/random.h"
#include "ipsec/ah.h"
#include "ipsec/transport.h"
#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/frag.h"
#include "packet/gso.h"
#include "packet/icmp.h"
#include "plane/worker.h"

#define WRAP_MAX 64
/* The most that one SA puts in front: an IPv6 header, AH. */
#define HEAD_EACH (40u + AH_MAX)
/* ... and behind: padding, trailer, ICV. */
#define TAIL_EACH (ESP_TAIL_MAX + 32u)
#define HEAD_ALL (SA_BUNDLE_MAX * HEAD_EACH)
#define TAIL_ALL (SA_BUNDLE_MAX * TAIL_EACH)
#define OUTER_TTL 64

struct wrap_pkt {
	uint8_t *ip;
	uint32_t len;
	struct sa *const *sa;
	unsigned n;
	uint8_t *esp; /* the last round's, when it is to be sent without the header made here */
	uint32_t esp_len;
	uint32_t inner_len;
	unsigned op;        /* of this round */
	uint16_t from;      /* w->out[] */
	uint8_t tos;        /* with esp: of the header that the system makes */
	bool df;
};

struct wrap {
	struct worker *w;
	void (*flush)(struct worker *w);
	struct wrap_pkt pkt[WRAP_MAX];
	unsigned n;
	uint32_t used; /* of the frame arena */
	uint32_t scratch_used; /* of the side arena */
	unsigned n_op, n_auth;
	struct crypt_auth_op auth[WRAP_MAX];
};

static int version(const uint8_t *ip)
{
	return ip[0] >> 4;
}

static uint8_t tos_of(const uint8_t *ip)
{
	return version(ip) == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

/* Length, protocol and checksum of a header after what is behind it has changed. */
static void fix_header(uint8_t *ip, uint32_t len, uint32_t next_at, uint8_t next)
{
	ip[next_at] = next;
	if (version(ip) == 4) {
		store_be16(ip + 2, (uint16_t)len);
		csum_ip4_set(ip);
	} else {
		store_be16(ip + 4, (uint16_t)(len - 40));
	}
}

/* An IPv4 ID, never 0: for 0 the system would choose one, behind the back of AH, which covers it.
 */
static uint16_t next_id(void)
{
	static __thread uint16_t id;

	id = id ? (uint16_t)(id + 1) : (uint16_t)random_u64();
	return id ? id : 1;
}

/* A new outer header of a tunnel at ip, for the packet inner, whose source it may have (RFC
 * 5374 3.1). */
static void outer_header(const struct sa *sa, const struct sa_path *path, uint8_t tos, bool df,
			 uint32_t len, const uint8_t *inner, uint8_t *ip)
{
	const uint8_t *src =
	    !sa->preserve ? path->src.b : inner + (path->dst.addr.ver == 4 ? 12 : 8);

	if (path->dst.addr.ver == 4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[1] = tos;
		store_be16(ip + 4, next_id());
		ip[6] = df ? 0x40 : 0;
		ip[8] = OUTER_TTL;
		memcpy(ip + 12, src, 4);
		memcpy(ip + 16, path->dst.addr.b, 4);
	} else {
		store_be32(ip, 6u << 28 | (uint32_t)tos << 20);
		ip[7] = OUTER_TTL;
		memcpy(ip + 8, src, 16);
		memcpy(ip + 24, path->dst.addr.b, 16);
	}
	fix_header(ip, len, path->dst.addr.ver == 4 ? 9 : 6, sa->proto);
}

/* Is this packet one to the very group that the path leads to? With its address outside it would go
 * elsewhere. */
static bool to_group(const struct sa_path *path, const uint8_t *ip)
{
	bool v4 = path->dst.addr.ver == 4;

	return version(ip) == path->dst.addr.ver &&
	       memcmp(ip + (v4 ? 16 : 24), path->dst.addr.b, v4 ? 4 : 16) == 0;
}

/* The largest packet that goes through all of them. */
static uint32_t bundle_mtu(struct sa *const *sa, unsigned n)
{
	uint32_t mtu = UINT16_MAX;

	for (unsigned k = n; k-- > 0;) {
		const struct sa_path *path =
		    atomic_load_explicit(&sa[k]->path, memory_order_acquire);
		uint32_t own = atomic_load_explicit(&sa[k]->inner_mtu, memory_order_relaxed);
		uint32_t left =
		    k + 1 < n ? sa_inner_mtu(sa[k], mtu, path ? path->dst.addr.ver : 6) : own;
		mtu = left < own ? left : own;
	}
	return mtu;
}

/* One number of the SA, counted against its lifetimes. */
static enum drop take_number(struct worker *w, struct sa *sa, uint32_t len, uint64_t *seq)
{
	if (!sa_usable(sa) || worker_count(w, sa, 1, len) & SA_HARD)
		return DROP_SA_EXPIRED;
	if (!sa_seq_take(sa, 1, seq)) {
		struct ipsec_event e = {
			.type = EV_SEQ_EXHAUSTED, .spi = sa->spi, .reqid = sa->reqid, .sa = sa
		};
		worker_event_paced(w, &e, sa);
		audit_out(w, NULL, NULL, sa, DROP_SEQ_EXHAUSTED);
		return DROP_SEQ_EXHAUSTED;
	}
	if (*seq >= sa_seq_soft(sa) && sa_seq_low(sa)) {
		struct ipsec_event e = {
			.type = EV_SOFT_EXPIRE, .spi = sa->spi, .reqid = sa->reqid, .sa = sa
		};
		worker_event(w, &e);
	}
	return DROP_NONE;
}

/* Transport mode: where the IPsec header goes; the packet must be between the SA's own ends. 0: it
 * may not go. */
static uint32_t split_for(const struct sa_path *path, const struct wrap_pkt *p, uint32_t *next_at)
{
	struct pkt_info info;

	if (pkt_parse(p->ip, p->len, &info) != DROP_NONE || path->src.ver != info.key.ver ||
	    memcmp(path->src.b, info.key.src, 16) || memcmp(path->dst.addr.b, info.key.dst, 16))
		return 0;
	return transport_split(p->ip, &info, next_at);
}

static enum drop wrap_esp(struct wrap *x, struct wrap_pkt *p, struct sa *sa,
			  const struct sa_path *path, uint64_t seq, bool last)
{
	uint32_t head = esp_text_off(sa), next_at = 0, split = 0;
	uint8_t tos = tos_of(p->ip), *text = p->ip,
		next = version(p->ip) == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint32_t len = p->len;

	if (sa->mode == SA_TRANSPORT) {
		split = split_for(path, p, &next_at);
		if (split == 0)
			return DROP_TRANSPORT;
		next = p->ip[next_at];
		text += split;
		len -= split;
	}
	if (esp_wire_len(sa, len) + 60 > UINT16_MAX || len > CRYPT_TEXT_MAX - ESP_TAIL_MAX)
		return DROP_TOO_BIG;
	uint32_t text_len = esp_finish_text(sa, text, len, next);
	uint8_t *esp = text - head;
	uint32_t esp_len = head + text_len + sa->icv_len;
	if (sa->mode == SA_TRANSPORT) {
		memmove(p->ip - head, p->ip, split);
		p->ip -= head;
		p->len = split + esp_len;
		fix_header(p->ip, p->len, next_at, IPPROTO_ESP);
	} else if (sa->preserve && !to_group(path, text)) {
		return DROP_TRANSPORT;
	} else if (last && !sa->preserve) {
		p->esp = esp;
		p->esp_len = esp_len;
		p->tos = ecn_encap(tos, sa->dscp, sa->ecn);
	} else {
		uint32_t hdr = path->dst.addr.ver == 4 ? 20 : 40;
		p->ip = esp - hdr;
		p->len = hdr + esp_len;
		outer_header(sa, path, ecn_encap(tos, sa->dscp, sa->ecn), p->df, p->len, text,
			     p->ip);
	}
	p->op = x->n_op++;
	esp_seal_op(sa, seq, esp, text, text_len, &x->w->op[p->op]);
	return DROP_NONE;
}

static enum drop wrap_ah(struct wrap *x, struct wrap_pkt *p, struct sa *sa,
			 const struct sa_path *path, uint64_t seq)
{
	int ver = path->dst.addr.ver;
	uint32_t size = ah_len(sa, ver), next_at = ver == 4 ? 9 : 6, split = ver == 4 ? 20 : 40;
	uint8_t tos = tos_of(p->ip), next = version(p->ip) == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint64_t iv = sa->iv_base + seq;

	if (p->len + size + 60 > UINT16_MAX)
		return DROP_TOO_BIG;
	if (sa->mode == SA_TRANSPORT) {
		split = split_for(path, p, &next_at);
		if (split == 0)
			return DROP_TRANSPORT;
		next = p->ip[next_at];
		memmove(p->ip - size, p->ip, split);
		p->ip -= size;
		p->len += size;
		fix_header(p->ip, p->len, next_at, IPPROTO_AH);
	} else {
		if (sa->preserve && !to_group(path, p->ip))
			return DROP_TRANSPORT;
		p->ip -= split + size;
		p->len += split + size;
		outer_header(sa, path, ecn_encap(tos, sa->dscp, sa->ecn), p->df, p->len,
			     p->ip + split + size, p->ip);
	}
	uint8_t *ah = p->ip + split, *copy = x->w->side_arena + x->scratch_used;
	ah_write(sa, ver, next, seq, iv, ah);
	uint32_t covered = ah_cover(sa, p->ip, p->len, split, seq, copy);
	if (covered == 0)
		return DROP_BAD_HEADER;
	x->scratch_used += (covered + CACHE_LINE) & ~(uint32_t)(CACHE_LINE - 1);
	p->op = x->n_auth++;
	x->auth[p->op] = (struct crypt_auth_op){ .key = &sa->key,
						 .data = copy,
						 .len = covered,
						 .iv = iv,
						 .icv = ah + AH_FIXED + sa->iv_len };
	return DROP_NONE;
}

/* All packets through the SA at place k of their bundles. Those that fail lose their bundle. */
static void round_of(struct wrap *x, unsigned k)
{
	struct worker *w = x->w;

	x->n_op = x->n_auth = 0;
	x->scratch_used = 0;
	for (unsigned i = 0; i < x->n; i++) {
		struct wrap_pkt *p = &x->pkt[i];
		if (k >= p->n)
			continue;
		struct sa *sa = p->sa[k];
		const struct sa_path *path = atomic_load_explicit(&sa->path, memory_order_acquire);
		bool last = k + 1 == p->n;
		uint64_t seq = 0;
		/* an outer header made here needs both addresses; ESP in UDP inside of something is
		 * not made */
		bool known = path && path->dst.addr.ver && path->prepared &&
			     (path->src.ver || sa->preserve ||
			      (last && sa->proto == SA_ESP && sa->mode == SA_TUNNEL));
		enum drop d =
		    !known || (sa->encap == SA_ENCAP_UDP && (!last || sa->mode == SA_TRANSPORT))
			? DROP_NO_PEER
			: DROP_NONE;
		if (d == DROP_NONE)
			d = take_number(w, sa, p->len, &seq);
		if (d == DROP_NONE)
			d = sa->proto == SA_AH ? wrap_ah(x, p, sa, path, seq)
					       : wrap_esp(x, p, sa, path, seq, last);
		if (d != DROP_NONE) {
			worker_drop(w, d);
			p->n = 0;
		}
	}
	crypt_seal(w->crypt, w->op, x->n_op);
	crypt_auth(w->crypt, x->auth, x->n_auth);
	for (unsigned i = 0; i < x->n; i++) {
		struct wrap_pkt *p = &x->pkt[i];
		if (k < p->n && !(p->sa[k]->proto == SA_AH ? x->auth[p->op].ok : w->op[p->op].ok)) {
			worker_drop(w, DROP_CRYPTO);
			p->n = 0;
		}
	}
}

static struct out_frame *frame_next(struct wrap *x)
{
	struct worker *w = x->w;

	if (w->n_frame == BATCH_FRAMES) {
		x->flush(w);
		w->n_frame = 0;
	}
	return &w->frame[w->n_frame++];
}

/* What tells the fragments of one IPv6 packet from those of the next. */
static uint32_t fragment_id(void)
{
	static __thread uint32_t id;

	id = id ? id + 1 : (uint32_t)random_u64();
	return id;
}

/* A complete packet, in fragments where it is larger than its path and may be: the system does not
 * fragment what it has not made. */
static void frame_whole(struct wrap *x, const struct wrap_pkt *p, struct sa *sa)
{
	struct out_frame f = { .sa = sa,
			       .esp = p->ip,
			       .len = p->len,
			       .inner_len = p->inner_len,
			       .df = p->df,
			       .whole = true,
			       .from = p->from };
	/* what sa_inner_mtu() took away, put on again; padding may be none */
	uint32_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed) +
		       sa->overhead_max - (sa->proto == SA_ESP ? sa->align - 1u : 0),
		 id = fragment_id();
	/* IPv6 has no DF: hosts rely on 1280 bytes to go through */
	unsigned n = version(p->ip) == 4 && p->df ? 1 : frag_count(p->ip, p->len, mtu);

	if (n == 0) {
		worker_drop(x->w, DROP_FRAGMENT);
		return;
	}
	for (unsigned i = 0; n > 1 && i < n; i++) {
		f.esp = x->w->side_arena + x->scratch_used;
		f.len = frag_make(p->ip, p->len, mtu, i, id, f.esp);
		x->scratch_used += f.len;
		*frame_next(x) = f;
	}
	if (n == 1)
		*frame_next(x) = f;
	else
		x->w->c.fragmented++;
}

static void run(struct wrap *x)
{
	struct worker *w = x->w;
	unsigned rounds = 0;

	for (unsigned i = 0; i < x->n; i++)
		rounds = x->pkt[i].n > rounds ? x->pkt[i].n : rounds;
	for (unsigned k = 0; k < rounds; k++)
		round_of(x, k);
	x->scratch_used = 0;
	for (unsigned i = 0; i < x->n; i++) {
		struct wrap_pkt *p = &x->pkt[i];
		if (p->n == 0)
			continue;
		struct sa *sa = p->sa[p->n - 1];
		w->c.out_packets++;
		w->c.out_bytes += p->inner_len;
		if (!p->esp)
			frame_whole(x, p, sa);
		else
			*frame_next(x) = (struct out_frame){ .sa = sa,
							     .esp = p->esp,
							     .len = p->esp_len,
							     .inner_len = p->inner_len,
							     .df = p->df,
							     .tos = p->tos };
	}
	if (w->n_frame)
		x->flush(w);
	w->n_frame = 0;
	x->n = 0;
	x->used = 0;
}

/* Is a header made on the way, whose DF bit is ours? */
static bool has_tunnel(struct sa *const *sa, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		if (sa[k]->mode == SA_TUNNEL)
			return true;
	return false;
}

/* May packets of this size go? Deals with it when not. */
static bool fits(struct worker *w, const struct out_pkt *p, struct sa *const *sa, unsigned n,
		 uint32_t size, uint32_t mtu)
{
	/* IPv6: what its sender had cut may be cut again in its place */
	bool may_fragment = p->joined || (p->info.key.ver == 4 && !(p->info.flags & PKT_DF));

	/* who was told to make smaller ones would make fragments, and only whole packets are
	 * protected (outbound.c) */
	may_fragment |=
	    sa[0]->mode == SA_TRANSPORT && p->info.key.ver == 6 && p->info.key.proto != IPPROTO_TCP;
	/* the sender's wish is not carried outside */
	may_fragment |= sa[n - 1]->df == SA_DF_CLEAR && has_tunnel(sa, n);

	if (size <= mtu || may_fragment)
		return true;
	if (p->info.key.ver == 6 && mtu < 1280)
		mtu = 1280;
	if (size > mtu) {
		reply_too_big(w, p, mtu);
		worker_drop(w, DROP_TOO_BIG);
		return false;
	}
	return true;
}

/* Is what does not fit cut before it is protected? As outbound.c has it: in a tunnel, unless `fragment`
 * or the policy wants outer fragments, which `df` must allow then. */
static bool cut_before(const struct out_pkt *p, struct sa *const *sa, unsigned n)
{
	bool after = sa[0]->fragment == SA_FRAG_AFTER || p->policy->whole_only;

	return sa[0]->mode == SA_TUNNEL && p->info.key.ver == 4 && !(p->info.flags & PKT_DF) &&
	       !(after && sa[n - 1]->df != SA_DF_SET);
}

/* A place for one packet of this length, with room in front and behind. */
static struct wrap_pkt *place(struct wrap *x, const struct out_pkt *p, struct sa *const *sa,
			      unsigned n, uint32_t len, uint32_t mtu)
{
	uint32_t need = (HEAD_ALL + len + TAIL_ALL + 7) & ~7u;

	if (x->n == WRAP_MAX || x->used + need > FRAME_ARENA)
		run(x);
	struct wrap_pkt *k = &x->pkt[x->n++];
	*k = (struct wrap_pkt){ .ip = x->w->frame_arena + x->used + HEAD_ALL,
				.len = len,
				.inner_len = len,
				.sa = sa,
				.n = n,
				.from = (uint16_t)(p - x->w->out) };
	k->df = len <= mtu && (sa[n - 1]->df == SA_DF_COPY ? p->info.flags & PKT_DF
							   : sa[n - 1]->df == SA_DF_SET);
	x->used += need;
	return k;
}

/* An IPv4 packet, or a segment of one, as fragments that fit. */
static void add_fragments(struct wrap *x, const struct out_pkt *p, struct sa *const *sa, unsigned n,
			  const struct gso *g, uint32_t i, uint32_t mtu)
{
	uint32_t len = gso_segment_len(g, i);
	uint8_t segment[65536];

	gso_segment(g, i, segment);
	unsigned pieces = frag4_count(segment, len, mtu);
	if (pieces == 0) {
		worker_drop(x->w, DROP_FRAGMENT);
		return;
	}
	x->w->c.fragmented++;
	for (unsigned j = 0; j < pieces; j++) {
		struct wrap_pkt *k = place(x, p, sa, n, mtu, mtu);
		k->len = k->inner_len = frag4_make(segment, len, mtu, j, k->ip);
	}
}

/* The marked packet's segments, each with room in front and behind. */
static void add(struct wrap *x, struct out_pkt *p)
{
	struct worker *w = x->w;
	struct gso g;
	unsigned n;
	struct sa *const *sa = NULL;

	if (p->policy->pick) /* the answer is that of classification, unless the SA is gone */
		(void)!pick_out(p->policy, p->ip, &p->info, &sa, &n);
	else
		sa = policy_out(p->policy, &n);
	uint32_t mtu = bundle_mtu(sa, n), headers = p->info.key.ver == 4 ? 40 : 60;

	if (n == 0) { /* switched off between classification and here */
		worker_drop(w, DROP_NO_SA);
		audit_out(w, p->ip, &p->info, NULL, DROP_NO_SA);
		return;
	}
	if (p->info.flags & PKT_TCP_SYN && p->policy->mss_clamp && mtu > headers &&
	    tcp_clamp_mss(p->ip, &p->info, (uint16_t)(mtu - headers),
			  p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		w->c.mss_clamped++;
	enum drop d = gso_open(&g, &p->vnet, p->ip, p->info.len, &p->info);
	if (d != DROP_NONE) {
		worker_drop(w, d);
		return;
	}
	if (!fits(w, p, sa, n, gso_segment_len(&g, 0), mtu))
		return;
	for (uint32_t i = 0; i < g.segs; i++) {
		uint32_t len = gso_segment_len(&g, i);
		if (len > mtu && cut_before(p, sa, n)) {
			add_fragments(x, p, sa, n, &g, i, mtu);
			continue;
		}
		struct wrap_pkt *k = place(x, p, sa, n, len, mtu);
		gso_segment(&g, i, k->ip);
		if (sa[0]->mode == SA_TRANSPORT && version(k->ip) == 4 &&
		    load_be32(k->ip + 4) == 0) { /* ID 0, without DF */
			store_be16(k->ip + 4, next_id());
			csum_ip4_set(k->ip);
		}
	}
}

void wrap_batch(struct worker *w, void (*flush)(struct worker *w))
{
	struct wrap x = { .w = w, .flush = flush };

	for (unsigned i = 0; i < w->n_out; i++)
		if (w->out[i].ip && w->out[i].wrap)
			add(&x, &w->out[i]);
	if (x.n)
		run(&x);
}
