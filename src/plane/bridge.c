/*
 * The bridge's packet path; see bridge.h for which way frames go. A batch is received, each frame
 * parsed once, and then either put to the other port as it is, or handed to what packets of a TUN
 * device go through as well. Frames lie in the receive buffers until all of the batch is sent.
 */
#include "plane/bridge.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "packet/csum.h"
#include "packet/frag.h"
#include "packet/quote.h"
#include "plane/bump.h"
#include "plane/internal.h"

#define ASK_EVERY_NS (10 * NS_PER_MS)

static const struct virtio_net_hdr plain;

struct bridge *bridge_new(struct plane *p, unsigned number)
{
	struct bridge *b = calloc(1, sizeof(*b));
	struct port *port = p->opts.ports;

	if (!b)
		return NULL;
	b->rxq = port_rxq_new();
	if (!b->rxq) {
		bridge_free(&b);
		return NULL;
	}
	b->port = port;
	b->host = p->opts.bump;
	b->hosts = p->hosts;
	/* not the port's own, whose frames are the system's */
	memcpy(b->ask_mac, port[BRIDGE_PROTECTED].mac, sizeof(b->ask_mac));
	b->ask_mac[0] ^= 2;
	for (unsigned i = 0; i < 2; i++)
		port_tx_init(&b->tx[i], &port[i], number);
	return b;
}

void bridge_free(struct bridge **bp)
{
	struct bridge *b = *bp;

	if (!b)
		return;
	port_rxq_free(&b->rxq);
	free(b);
	*bp = NULL;
}

void bridge_flush(struct worker *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct port_tx *t = &w->bridge->tx[i];
		port_flush(t);
		w->c.sends += t->sends;
		w->c.drop.n[DROP_PORT_FULL] += t->full;
		w->c.drop.n[DROP_PORT_SEND] += t->failed;
		t->sends = t->full = t->failed = 0;
	}
}

/* The virtio header as it is for what follows the frame's header. */
static struct virtio_net_hdr vnet_behind(const struct port_rx *rx, const struct frame *f)
{
	struct virtio_net_hdr v = rx->vnet;

	v.csum_start =
	    (uint16_t)(v.csum_start - (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? f->off : 0));
	v.hdr_len = (uint16_t)(v.hdr_len > f->off ? v.hdr_len - f->off : 0);
	return v;
}

/* The frame to the other side as it came. */
static void pass(struct bridge *b, unsigned i, enum bridge_side to)
{
	const struct port_rx *rx = &b->rx[i];
	const struct frame *f = &b->frame[i];
	struct virtio_net_hdr v = vnet_behind(rx, f);
	struct iovec data = { rx->p + f->off, rx->len - f->off };

	port_put(&b->tx[to], &v, f->head, f->head_len, &data, 1, 1);
}

static void count_bypass(struct worker *w, uint32_t len)
{
	w->c.bypass_packets++;
	w->c.bypass_bytes += len;
}

/* ---- from the protected side ----------------------------------------------------------------- */

static void take_out(struct worker *w, unsigned i)
{
	struct bridge *b = w->bridge;
	struct out_pkt *p = &w->out[w->n_out];

	p->vnet = vnet_behind(&b->rx[i], &b->frame[i]);
	p->ip = b->rx[i].p + b->frame[i].off;
	p->info.len = b->frame[i].len;
	b->from[w->n_out++] = (uint8_t)i;
}

/* The place of the frame that a packet of the batch lies in; -1 when it lies elsewhere: it was kept
 * for an SA, or for its first fragment. */
static int place_of(const struct worker *w, const struct out_pkt *p)
{
	const struct bridge *b = w->bridge;
	unsigned i = b->from[p - w->out];

	if (p->joined)
		return p->here ? (int)i : -1;
	return i < b->n && p->ip == b->rx[i].p + b->frame[i].off ? (int)i : -1;
}

bool bridge_holds(const struct worker *w, const struct out_pkt *p)
{
	return place_of(w, p) >= 0;
}

void bridge_bypass(struct worker *w, const struct out_pkt *p)
{
	int i = place_of(w, p);

	if (i < 0 || p->joined) { /* of those that were joined the frames before are gone */
		worker_drop(w, DROP_BYPASS);
		return;
	}
	pass(w->bridge, (unsigned)i, BRIDGE_OPEN);
	count_bypass(w, p->info.len);
}

/* The header that a protected packet leaves with: of the frame it was. What waited for its SA lies
 * elsewhere, and goes where packets to its destination went. */
static const struct frame *head_for(const struct worker *w, const struct out_frame *f,
				    struct frame *found)
{
	const struct bridge *b = w->bridge;
	int at = place_of(w, &w->out[f->from]);
	struct ip_addr to =
	    f->esp[0] >> 4 == 4 ? ip_addr_from_v4(f->esp + 16) : ip_addr_from_v6(f->esp + 24);

	if (likely(at >= 0))
		return &b->frame[at];
	return w->plane->bump && neighbours_find(w->plane->bump->ways, &to, found) ? found : NULL;
}

void bridge_send(struct worker *w)
{
	struct bridge *b = w->bridge;

	for (unsigned i = 0; i < w->n_frame; i++) {
		struct out_frame *f = &w->frame[i];
		struct frame found;
		const struct frame *was = f->whole ? head_for(w, f, &found) : NULL;
		if (!was) {
			worker_drop(w, DROP_NO_PEER);
			continue;
		}
		struct iovec data = { f->esp, f->len };
		port_put(&b->tx[BRIDGE_OPEN], &plain, was->head, was->head_len, &data, 1, 1);
		w->c.out_wire_packets++;
		w->c.out_wire_bytes += f->len;
	}
	bridge_flush(w); /* they lie in the frame arena, which is used again */
}

/* ---- from the open side ---------------------------------------------------------------------- */

/*
 * In place of a host: what routers say about our packets comes to its address, and only we know
 * what it is about. The control thread compares it with the SAs (RFC 2401 B.3.4).
 */
static void too_big_in(struct worker *w, const struct in_pkt *in)
{
	const struct pkt_info *i = &in->info;
	struct ipsec_event e = { .type = EV_TOO_BIG, .flow = i->key };
	struct icmp_quote_sa sa;
	struct icmp_quote q;

	if (!csum_l4_ok(in->ip, i->l4_off, i->len, i->key.proto) ||
	    !icmp_quote_read(i->key.ver, in->ip + i->l4_off, i->len - i->l4_off, &q) ||
	    !icmp_quote_sa(&q, &sa) || sa.udp)
		return;
	e.proto = sa.proto;
	e.spi = sa.spi;
	e.local.addr = sa.src;
	e.peer.addr = sa.dst;
	e.mtu = q.mtu;
	e.packet = q.total;
	worker_event_paced(w, &e, w);
}

/* An IP packet that is not protected, or not for the host behind us: what does the policy say? */
static void clear_in(struct worker *w, unsigned i, struct in_pkt *in)
{
	if (unlikely(in->info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) &&
	    !fragments_in_clear(w, in->ip, &in->info))
		return;
	in->hash = flow_key_hash(&in->info.key, w->in_flows.seed);
	const struct policy *pol = inbound_flow(w, in)->verdict;
	bool ipsec = in->info.key.proto == IPPROTO_ESP || in->info.key.proto == IPPROTO_AH;
	enum drop why = pol && pol->action == POLICY_BYPASS
			    ? pick_in(pol, NULL, 0, in->ip, &in->info)
			    : DROP_NONE;

	unsigned kind = icmp_error_of(&in->info.key);
	if (kind == ICMP_OF_TOO_BIG && w->bridge->host && icmp_error_accepted(w, kind, true))
		too_big_in(w, in);
	if (pol && pol->action == POLICY_BYPASS && !icmp_error_accepted(w, kind, true)) {
		worker_drop(w, DROP_ICMP_TYPE);
		icmp_error_tell(w, kind, in->ip, &in->info, NULL, DROP_ICMP_TYPE);
		return;
	}
	if (pol && pol->action == POLICY_BYPASS && why == DROP_NONE && in->joined)
		why = DROP_UNKNOWN_SPI; /* it was put together for an SA that is not there */
	if (pol && pol->action == POLICY_BYPASS && why == DROP_NONE) {
		icmp_error_tell(w, kind, in->ip, &in->info, NULL, DROP_NONE);
		pass(w->bridge, i, BRIDGE_PROTECTED);
		count_bypass(w, in->info.len);
		return;
	}
	if (why == DROP_NONE)
		why = !pol				? DROP_NO_POLICY
		      : pol->action != POLICY_PROTECT ? DROP_POLICY_DISCARD
		      : ipsec				? DROP_UNKNOWN_SPI
							: DROP_CLEARTEXT;
	worker_drop(w, why);
	audit_clear(w, in->ip, &in->info, why);
}

static void take_in(struct worker *w, unsigned i)
{
	struct bridge *b = w->bridge;
	struct in_pkt in = { .ip = b->rx[i].p + b->frame[i].off };
	enum drop d = pkt_parse(in.ip, b->frame[i].len, &in.info);

	if (d != DROP_NONE) {
		worker_drop(w, d);
	} else if (unlikely(b->host && in.info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) &&
		   !whole_in(w, &in)) {
		return;
	} else if (w->plane->bump && bump_ike(w, i, &in)) {
		return;
	} else if (b->host && nest_wants(w, in.ip, &in.info)) {
		/* w->rx[i] stands for the frame: no address in it, but its place */
		w->nest[w->n_nest++] =
		    (struct nest_pkt){ .ip = in.ip, .len = in.info.len, .rx = &w->rx[i] };
		w->c.in_wire_packets++;
		w->c.in_wire_bytes += in.info.len - in.info.l4_off;
	} else {
		clear_in(w, i, &in);
	}
}

/* ---- both ------------------------------------------------------------------------------------ */

/* The answer to what we asked for ourselves. */
static bool is_answer(const struct bridge *b, const struct frame *f)
{
	return b->hosts && memcmp(frame_dst(f), b->ask_mac, FRAME_MAC_LEN) == 0;
}

static void one_frame(struct worker *w, enum bridge_side side, unsigned i)
{
	struct bridge *b = w->bridge;
	const struct port_rx *rx = &b->rx[i];
	struct frame *f = &b->frame[i];
	enum drop d = rx->truncated ? DROP_TRUNCATED : frame_parse(rx->p, rx->len, rx->tag, f);

	if (unlikely(d != DROP_NONE)) {
		worker_drop(w, d);
		return;
	}
	if (side == BRIDGE_PROTECTED && b->hosts) {
		neighbours_learn(b->hosts, f, rx->p + f->off, f->len);
		if (unlikely(is_answer(b, f)))
			return;
	}
	if (w->plane->bump)
		bump_learn(w->plane->bump, side, f, rx->p + f->off, f->len);
	enum bridge_rule rule =
	    atomic_load_explicit(&w->plane->rule[f->kind], memory_order_relaxed);
	if (rule == BRIDGE_POLICY) {
		if (side == BRIDGE_PROTECTED)
			take_out(w, i);
		else
			take_in(w, i);
	} else if (rule == BRIDGE_PASS) {
		pass(b, i, !side);
		w->c.bridged++;
	} else {
		worker_drop(w, DROP_FRAME_RULE);
	}
}

void bridge_frames(struct worker *w, enum bridge_side side)
{
	_Static_assert(PORT_BATCH <= SOCK_RX_MAX && PORT_BATCH <= NEST_MAX &&
			   PORT_BATCH <= BATCH_PKTS && PORT_BATCH <= UINT8_MAX,
		       "a batch of frames fits");
	struct bridge *b = w->bridge;

	w->n_out = w->n_in = w->n_nest = 0;
	w->side_used = 0;
	for (unsigned i = 0; i < b->n; i++)
		one_frame(w, side, i);
	if (w->n_out)
		outbound_batch(w, w->flush);
	if (w->n_nest)
		nest_run(w, bridge_deliver);
	bridge_flush(w);
	if (unlikely(w->reasm_in.n_done))
		reasm_release(&w->reasm_in);
	b->n = 0;
}

void bridge_receive(struct worker *w, enum bridge_side side)
{
	struct bridge *b = w->bridge;

	b->n = port_recv(&b->port[side], w->number, b->rxq, b->rx);
	w->c.recvs += b->n;
	bridge_frames(w, side);
}

/* ---- to the protected side ------------------------------------------------------------------- */

/* Asks where a host is, now and then; its answer is learned. */
static void ask(struct worker *w, const struct ip_addr *addr)
{
	struct bridge *b = w->bridge;
	uint8_t frame[NEIGHBOUR_ASK_MAX];

	if (w->now_ns - b->asked_ns < ASK_EVERY_NS)
		return;
	b->asked_ns = w->now_ns;
	uint32_t len = neighbour_ask(addr, b->ask_mac, frame);
	struct iovec data = { frame + 14, len - 14 };
	port_put(&b->tx[BRIDGE_PROTECTED], &plain, frame, 14, &data, 1, 1);
	bridge_flush(w); /* frame is here */
}

/* Several hosts at once: their address follows from that of the group (RFC 1112 6.4, RFC 2464 7).
 */
static bool group_frame(const struct bridge *b, const struct ip_addr *to, struct frame *f)
{
	static const uint8_t all[FRAME_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const uint8_t *a = to->b;

	memset(f, 0, sizeof(*f));
	if (to->ver == 6 && a[0] == 0xff) {
		memcpy(f->head, (uint8_t[]){ 0x33, 0x33, a[12], a[13], a[14], a[15] },
		       FRAME_MAC_LEN);
	} else if (to->ver == 4 && a[0] >= 224 && a[0] < 240) {
		memcpy(f->head, (uint8_t[]){ 0x01, 0, 0x5e, a[1] & 0x7f, a[2], a[3] },
		       FRAME_MAC_LEN);
	} else if (to->ver == 4 && memcmp(a, all, 4) == 0) {
		memcpy(f->head, all, sizeof(all));
	} else {
		return false;
	}
	memcpy(f->head + FRAME_MAC_LEN, b->ask_mac, FRAME_MAC_LEN);
	f->head_len = 14;
	frame_set_ip(f->head, f->head_len, to->ver);
	return true;
}

/* The header for an inner packet: host: of the frame it came in; gateway: of the host that has its
 * destination. */
static bool frame_for(struct worker *w, const struct in_pkt *p, struct frame *f)
{
	static const uint8_t nobody[FRAME_MAC_LEN];
	struct bridge *b = w->bridge;

	if (b->host && (!p->rx || b->n == 0)) /* not of this batch */
		return false;
	if (b->host) {
		*f = b->frame[p->rx - w->rx];
		frame_set_ip(f->head, f->head_len, p->info.key.ver);
		return true;
	}
	struct ip_addr to = flow_key_dst(&p->info.key);
	if (group_frame(b, &to, f))
		return true;
	if (!neighbours_find(b->hosts, &to, f)) {
		ask(w, &to);
		return false;
	}
	if (memcmp(frame_src(f), nobody, sizeof(nobody)) == 0)
		memcpy(f->head + FRAME_MAC_LEN, b->ask_mac, sizeof(nobody));
	return true;
}

static void flush_slot(struct worker *w, unsigned k)
{
	struct gro_slot *s = &w->gro[k];
	struct bridge *b = w->bridge;

	if (!s->used)
		return;
	s->used = false;
	gro_close(&s->run);
	port_put(&b->tx[BRIDGE_PROTECTED], &s->run.vnet, b->gro_frame[k].head,
		 b->gro_frame[k].head_len, s->run.iov + 1, s->run.n_iov - 1, s->run.segs);
}

/* Larger than a frame: in fragments, as its sender had sent it, or would have been told to. */
static void deliver_large(struct worker *w, const struct in_pkt *p, const struct frame *f,
			  uint32_t mtu)
{
	static __thread uint8_t part[UINT16_MAX];
	bool may = p->info.key.ver == 4 ? !(p->info.flags & PKT_DF) : w->bridge->host;
	unsigned n = may ? frag_count(p->ip, p->info.len, mtu) : 0;
	uint32_t id = n ? (uint32_t)random_u64() : 0;

	if (n == 0) {
		worker_drop(w, DROP_FRAGMENT);
		return;
	}
	w->c.fragmented++;
	for (unsigned i = 0; i < n; i++) {
		struct iovec data = { part, frag_make(p->ip, p->info.len, mtu, i, id, part) };
		port_put(&w->bridge->tx[BRIDGE_PROTECTED], &plain, f->head, f->head_len, &data, 1,
			 1);
		bridge_flush(w); /* part is used again */
	}
}

void bridge_deliver(struct worker *w)
{
	uint32_t mtu = atomic_load_explicit(&w->plane->mtu, memory_order_relaxed);
	struct bridge *b = w->bridge;
	struct frame f;

	for (unsigned i = 0; i < w->n_in; i++) {
		struct in_pkt *p = &w->in[i];
		unsigned k = p->hash % GRO_FLOWS;
		struct gro_slot *s = &w->gro[k];

		if (unlikely(!frame_for(w, p, &f))) {
			worker_drop(w, DROP_NO_NEIGHBOUR);
			continue;
		}
		if (s->used && flow_key_eq(&s->key, &p->info.key) &&
		    f.head_len == b->gro_frame[k].head_len &&
		    memcmp(f.head, b->gro_frame[k].head, f.head_len) == 0) {
			int joined = gro_join(&s->run, p->ip, &p->info);
			if (joined == GRO_LAST)
				flush_slot(w, k);
			if (joined != GRO_NONE)
				continue;
		}
		flush_slot(w, k);
		if (unlikely(p->info.len > mtu)) {
			deliver_large(w, p, &f, mtu);
			continue;
		}
		b->gro_frame[k] = f;
		s->key = p->info.key;
		s->used = true;
		gro_start(&s->run, p->ip, &p->info, w->tun_can);
		if (!s->run.open)
			flush_slot(w, k);
	}
	for (unsigned k = 0; k < GRO_FLOWS; k++)
		flush_slot(w, k);
	bridge_flush(w); /* they lie where the next packets are opened */
}

void bridge_reply(struct worker *w, const struct out_pkt *about, const uint8_t *ip, uint32_t len)
{
	struct bridge *b = w->bridge;
	int at = place_of(w, about);
	struct in_pkt p = { .ip = (uint8_t *)(uintptr_t)ip };
	struct iovec data = { p.ip, len };
	struct frame f;
	uint8_t head[FRAME_HEAD_MAX];

	if (len == 0)
		return;
	if (at >= 0) {
		const struct frame *was = &b->frame[at];
		const uint8_t *from = frame_dst(was)[0] & 1 ? b->ask_mac : frame_dst(was);
		frame_head(was, frame_src(was), from, head);
		port_put(&b->tx[BRIDGE_PROTECTED], &plain, head, was->head_len, &data, 1, 1);
	} else if (pkt_parse(ip, len, &p.info) == DROP_NONE && frame_for(w, &p, &f)) {
		port_put(&b->tx[BRIDGE_PROTECTED], &plain, f.head, f.head_len, &data, 1, 1);
	} else {
		worker_drop(w, DROP_NO_NEIGHBOUR);
	}
	bridge_flush(w); /* ip is the caller's */
}
