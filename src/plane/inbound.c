/*
 * From the wire to the TUN device. A batch goes through these steps:
 *
 *   receive    datagrams, with UDP_GRO many ESP packets in one
 *   sort out   keepalives, the non-ESP marker (RFC 3948 2.2), ESP
 *   look up    the SA by SPI; lengths; is the sequence number possibly new (RFC 4303 3.4.3)
 *   open       one crypto call for all
 *   accept     replay window, lifetimes, trailer, ECN; the peer's address, if it moved
 *   check      the inner packet (of an ICMP error that nobody knows, what it quotes) against the
 *              SA's own selectors and the SPD (RFC 4301 5.2 step 4)
 *   deliver    deliver.c
 *
 * Nothing of an SA changes before its packet is authenticated.
 */
#include <errno.h>

#include "base/clock.h"
#include "packet/ecn.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "plane/worker.h"

void inbound_sa_drop(struct worker *w, struct sa *sa, enum drop why)
{
	unsigned slot = why == DROP_REPLAY      ? SA_DROP_REPLAY
			: why == DROP_AUTH      ? SA_DROP_AUTH
			: why == DROP_POLICY_IN ? SA_DROP_POLICY
						: SA_DROP_OTHER;

	worker_drop(w, why);
	atomic_fetch_add_explicit(&sa->drops[slot], 1, memory_order_relaxed);
}

/* The same for a packet of the batch: which may be an auditable event. */
static void refuse(struct worker *w, const struct in_pkt *p, enum drop why)
{
	inbound_sa_drop(w, p->sa, why);
	audit_in(w, p, why);
}

/* Enters an ESP packet into the batch. */
static void in_add(struct worker *w, const struct sock_rx *rx, uint32_t from_tag, uint8_t *esp,
		   uint32_t len)
{
	if (unlikely(len < ESP_HDR_LEN)) {
		worker_drop(w, DROP_SHORT);
		audit_datagram(w, rx, DROP_SHORT);
		return;
	}
	struct in_pkt *p = &w->in[w->n_in++];
	p->esp = esp;
	p->len = len;
	p->rx = rx;
	p->from_tag = from_tag;
	sad_prefetch(plane_sad(w->plane), load_be32(esp), SA_ESP);
	w->c.in_wire_packets++;
	w->c.in_wire_bytes += len;
}

/* Strangers can send these: one event in a while, whatever the SPI. */
void inbound_unknown_spi(struct worker *w, uint32_t spi, const struct sock_rx *rx)
{
	struct ipsec_event e = { .type = EV_UNKNOWN_SPI, .spi = spi };

	worker_drop(w, DROP_UNKNOWN_SPI);
	if (endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &e.peer) == 0)
		worker_event_paced(w, &e, w);
}

/* What extension headers take, so that what is behind them begins on a cache line. */
static uint32_t ext_room(const struct sock_rx *rx)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < rx->n_ext; i++)
		n += rx->ext[i].len;
	return (n + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1);
}

/* What goes to a group may have an SA for this destination, or this source. Only where there are
 * such SAs. */
static void look_up_groups(struct worker *w, const struct sad *sad, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		struct in_pkt *p = &w->in[i];
		struct endpoint from;

		if (!ip_addr_is_multicast(&p->rx->to) ||
		    endpoint_from_sockaddr((const struct sockaddr *)&p->rx->from, &from) < 0)
			continue;
		p->sa = sad_lookup_group(sad, load_be32(p->esp), SA_ESP, &p->rx->to, &from.addr);
		if (p->sa)
			sa_prefetch(p->sa);
	}
}

/* The SAs of some packets; they are on their way from then on. */
static void look_up_some(struct worker *w, unsigned first, unsigned end)
{
	const struct sad *sad = plane_sad(w->plane);
	const struct sa *last = NULL;

	for (unsigned i = first; i < end; i++) {
		struct sa *sa = w->in[i].sa = sad_lookup(sad, load_be32(w->in[i].esp), SA_ESP);
		if (sa && sa != last) {
			last = sa;
			sa_prefetch(sa);
		}
	}
	if (unlikely(sad_has_groups(sad)))
		look_up_groups(w, sad, first, end);
}

/* What their SAs point to. */
static void follow_some(const struct worker *w, unsigned first, unsigned end)
{
	const struct sa *last = NULL;

	for (unsigned i = first; i < end; i++) {
		const struct sa *sa = w->in[i].sa;
		if (sa && sa != last) {
			last = sa;
			crypt_key_prefetch(&sa->key);
			replay_prefetch(&sa->replay, load_be32(w->in[i].esp + 4));
		}
	}
}

/* Fills the ops from place m on; packets that fail leave the batch. Returns the place behind the
 * last op. */
static unsigned admit_some(struct worker *w, unsigned first, unsigned end, unsigned m, bool udp)
{
	for (unsigned i = first; i < end; i++) {
		struct in_pkt *p = &w->in[i];
		struct sa *sa = p->sa;

		if (unlikely(!sa)) {
			if (!early_add(w, p, udp)) {
				inbound_unknown_spi(w, load_be32(p->esp), p->rx);
				audit_in(w, p, DROP_UNKNOWN_SPI);
			}
			continue;
		}
		if (unlikely((sa->encap == SA_ENCAP_UDP) != udp)) {
			refuse(w, p, DROP_WRONG_ENCAP);
			continue;
		}
		if (unlikely(!sa_usable(sa))) {
			refuse(w, p, DROP_SA_EXPIRED);
			continue;
		}
		enum drop d = esp_open_op(sa, p->esp, p->len, &p->seq, &w->op[m]);
		if (unlikely(d != DROP_NONE)) {
			refuse(w, p, d);
			continue;
		}
		if (unlikely(sa->mode == SA_TRANSPORT)) {
			/* opened where there is room for an IP header in front, and those behind
			 * it; a batch fits in */
			uint32_t ext = ext_room(p->rx);
			uint8_t *room = side_room(w, ext + w->op[m].len);
			w->op[m].dst = room ? room + ext : NULL;
			if (!room) {
				refuse(w, p, DROP_TRUNCATED);
				continue;
			}
		}
		if (m != i)
			w->in[m] = *p;
		m++;
	}
	return m;
}

/*
 * Looks up the SAs and fills the ops; packets that fail leave the batch. The three steps take
 * turns, each a stage behind the one before it, as in outbound.c.
 */
static void look_up_all(struct worker *w, bool udp)
{
	unsigned n = w->n_in, m = 0;

	for (unsigned at = 0; at < n + 2 * BATCH_STAGE; at += BATCH_STAGE) {
		look_up_some(w, at, batch_end(at + BATCH_STAGE, n));
		if (at >= BATCH_STAGE)
			follow_some(w, at - BATCH_STAGE, batch_end(at, n));
		if (at >= 2 * BATCH_STAGE)
			m = admit_some(w, at - 2 * BATCH_STAGE, batch_end(at - BATCH_STAGE, n), m,
				       udp);
	}
	w->n_in = m;
}

/* The peer may have moved, or a NAT may have given it another port: say so once an authenticated
 * packet shows it. */
static void peer_moved(struct worker *w, const struct in_pkt *p)
{
	struct ipsec_event e = {
		.type = EV_PEER_ADDR, .spi = p->sa->spi, .reqid = p->sa->reqid, .sa = p->sa
	};

	if (p->sa->group)
		return;
	/* only the newest packet tells where the peer is: an old one may have been held back or
	 * replayed from elsewhere */
	if (p->seq < atomic_load_explicit(&p->sa->replay.top, memory_order_relaxed))
		return;
	if (endpoint_from_sockaddr((const struct sockaddr *)&p->rx->from, &e.peer) < 0)
		return;
	e.local.addr = p->rx->to;
	worker_event_paced(w, &e, p->sa);
}

enum drop inbound_ecn(const struct sa *sa, uint8_t outer_tos, uint8_t *ip, struct pkt_info *info)
{
	uint8_t inner = info->tos & ECN_MASK;
	int ecn = sa->ecn ? ecn_decap(inner, outer_tos & ECN_MASK) : inner;

	if (ecn < 0)
		return DROP_ECN;
	if (ecn != inner) {
		info->tos = (uint8_t)((info->tos & ~ECN_MASK) | ecn);
		ip_set_tos(ip, info->tos);
	}
	return DROP_NONE;
}

/* Transport mode: the outer IP header goes in front of the text again. */
static enum drop join_header(struct in_pkt *p, uint8_t *text, const struct esp_text *t)
{
	const struct sock_rx *rx = p->rx;
	struct transport_head h = { .ip = rx->hdr_len ? rx->data - rx->hdr_len : NULL,
				    .len = rx->hdr_len,
				    .dst = rx->to,
				    .tos = rx->tos,
				    .ext = rx->ext,
				    .n_ext = rx->n_ext };
	struct endpoint from;

	if (endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &from) < 0)
		return DROP_TRANSPORT;
	h.src = from.addr;
	uint32_t hdr =
	    h.src.ver == h.dst.ver ? transport_join(&h, text, t->len, t->next_header) : 0;
	if (hdr == 0)
		return DROP_TRANSPORT;
	p->ip = text - hdr;
	enum drop d = pkt_parse(p->ip, hdr + t->len, &p->info);
	if (d == DROP_NONE && p->info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		d = DROP_TRANSPORT;
	if (d == DROP_NONE && p->sa->csum != SA_CSUM_KEEP)
		transport_csum(p->sa, p->ip, &p->info);
	return d;
}

/* Takes the decrypted text apart: the inner packet, its ECN field, its size. */
static enum drop decapsulate(struct in_pkt *p, const struct crypt_op *op)
{
	struct esp_text t;
	enum drop d = esp_open_text(op->dst, op->len, &t);

	if (unlikely(d != DROP_NONE))
		return d;
	if (unlikely(t.next_header == ESP_NH_DUMMY))
		return DROP_DUMMY;
	if (unlikely(p->sa->mode == SA_TRANSPORT))
		return join_header(p, op->dst, &t);
	if (unlikely(t.next_header != IPPROTO_IPIP && t.next_header != IPPROTO_IPV6))
		return DROP_NEXT_HEADER;
	p->ip = op->dst;
	d = pkt_parse(p->ip, t.len,
		      &p->info); /* what follows the inner packet is TFC padding (RFC 4303 2.7) */
	if (unlikely(d != DROP_NONE))
		return d;
	if (unlikely((t.next_header == IPPROTO_IPIP) != (p->info.key.ver == 4)))
		return DROP_NEXT_HEADER;
	if (unlikely((p->rx->tos ^ p->info.tos) & ECN_MASK))
		return inbound_ecn(p->sa, p->rx->tos, p->ip, &p->info);
	return DROP_NONE;
}

/* After the cipher: replay window, lifetimes in runs of one SA, trailer. Survivors are hashed for
 * the flow table. */
static void accept_all(struct worker *w)
{
	unsigned m = 0;
	struct sa *run = NULL;
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < w->n_in; i++) {
		struct in_pkt *p = &w->in[i];
		struct sa *sa = p->sa;

		if (unlikely(!w->op[i].ok)) {
			refuse(w, p, DROP_AUTH);
			continue;
		}
		if (unlikely(!replay_accept(&sa->replay, p->seq))) {
			refuse(w, p, DROP_REPLAY);
			continue;
		}
		if (unlikely(p->from_tag !=
			     atomic_load_explicit(&sa->peer_tag, memory_order_relaxed)))
			peer_moved(w, p);
		enum drop d = decapsulate(p, &w->op[i]);
		if (unlikely(d != DROP_NONE)) {
			refuse(w, p, d);
			continue;
		}
		if (sa != run) {
			if (run)
				(void)worker_count(w, run, packets, bytes);
			run = sa;
			packets = bytes = 0;
		}
		packets++;
		bytes += p->info.len;
		if (unlikely(p->info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))) {
			if (!inbound_preserved(sa, p->rx, &p->info.key)) {
				refuse(w, p, DROP_POLICY_IN);
				continue;
			}
			if (!fragments_in(w, p->ip, &p->info, &p->sa, 1))
				continue;
		}
		p->hash = flow_key_hash(&p->info.key, w->in_flows.seed);
		flow_table_prefetch(&w->in_flows, p->hash);
		if (m != i)
			w->in[m] = *p;
		m++;
	}
	if (run)
		(void)worker_count(w, run, packets, bytes);
	w->n_in = m;
}

static struct flow_entry *classify_miss(struct worker *w, const struct in_pkt *p)
{
	struct policy *pol = w->view->spd ? spd_lookup(w->view->spd, DIR_IN, &p->info.key) : NULL;
	struct flow_entry *f =
	    flow_table_add(&w->in_flows, &p->info.key, p->hash, w->view->gen, w->batch);

	f->verdict = pol;
	f->hint = NULL;
	if (!pol)
		return f;
	atomic_fetch_add_explicit(&pol->hits, 1, memory_order_relaxed);
	atomic_store_explicit(&pol->last_hit_ns, w->now_ns, memory_order_relaxed);
	return f;
}

bool inbound_preserved(const struct sa *sa, const struct sock_rx *rx, const struct flow_key *k)
{
	struct endpoint from;

	if (!sa->preserve)
		return true;
	return endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &from) == 0 &&
	       from.addr.ver == k->ver && memcmp(from.addr.b, k->src, 16) == 0 &&
	       rx->to.ver == k->ver && memcmp(rx->to.b, k->dst, 16) == 0;
}

/* The policy must demand protection and name the SA, or its reqid; the SA's own selectors, when it
 * has any, must match too. */
bool inbound_may_carry(const struct policy *pol, const struct sa *sa, const struct flow_key *k)
{
	const struct sa_conf *conf = sa->conf;
	bool ok;

	if (!pol || pol->action != POLICY_PROTECT)
		return false;
	/* of several SAs, all must have been passed: nest.c checks that */
	ok = pol->reqid ? pol->reqid == sa->reqid && conf->bundle_n <= 1
			: (pol->n_in == 1 && pol->in[0] == sa) || pick_has(pol, sa);
	if (!ok || conf->n_sel == 0)
		return ok;
	for (unsigned i = 0; i < conf->n_sel; i++)
		if (selector_match(&conf->sel[i], DIR_IN, k))
			return true;
	return false;
}

/* An ICMP error that nobody knows, about a packet that this SA carries. */
static enum drop by_its_quote(struct worker *w, const struct policy *own, const struct in_pkt *p)
{
	struct flow_key back;
	const struct policy *pol = icmp_error_in(w, own, p->ip, &p->info, &back);

	if (!pol || (!inbound_may_carry(pol, p->sa, &back) &&
		     !icmp_error_of_bundle(pol, &p->sa, 1, p->ip, &p->info)))
		return icmp_error_refused(own, &p->info);
	return pick_in(pol, &p->sa, 1, p->ip, &p->info);
}

/* The SA and the policy have not met on this flow, or it is of ICMP errors: each of those is looked
 * at. */
static enum drop look_closer(struct worker *w, struct flow_entry *f, const struct in_pkt *p)
{
	unsigned kind = icmp_error_of(&p->info.key);
	bool by_itself = inbound_may_carry(f->verdict, p->sa, &p->info.key);

	if (!inbound_preserved(p->sa, p->rx, &p->info.key))
		return DROP_POLICY_IN;
	if (!icmp_error_accepted(w, kind, false)) {
		icmp_error_tell(w, kind, p->ip, &p->info, p->sa, DROP_ICMP_TYPE);
		return DROP_ICMP_TYPE;
	}
	const struct policy *pol = f->verdict;
	enum drop d =
	    by_itself ? pick_in(pol, &p->sa, 1, p->ip, &p->info) : by_its_quote(w, pol, p);
	if (d != DROP_NONE)
		return d;
	if (kind)
		icmp_error_tell(w, kind, p->ip, &p->info, p->sa, DROP_NONE);
	else if (!pol->labels && !p->sa->preserve) /* each packet of those is looked at */
		f->hint = p->sa;
	return DROP_NONE;
}

static void clamp_mss(struct worker *w, struct in_pkt *p, const struct policy *pol)
{
	const struct sa *out = pol->mss_clamp ? policy_first_out(pol) : NULL;

	if (!out)
		return;
	uint32_t mtu = atomic_load_explicit(&out->inner_mtu, memory_order_relaxed);
	uint32_t headers = p->info.key.ver == 4 ? 40 : 60;
	if (mtu > headers &&
	    tcp_clamp_mss(p->ip, &p->info,
			  (uint16_t)(mtu - headers > 65535 ? 65535 : mtu - headers), false))
		w->c.mss_clamped++;
}

struct flow_entry *inbound_flow(struct worker *w, const struct in_pkt *p)
{
	struct flow_entry *f = flow_table_find(&w->in_flows, &p->info.key, p->hash, w->view->gen);

	if (unlikely(!f))
		f = classify_miss(w, p);
	flow_entry_touch(f, w->batch);
	return f;
}

void inbound_check(struct worker *w)
{
	unsigned m = 0;

	for (unsigned i = 0; i < w->n_in; i++) {
		struct in_pkt *p = &w->in[i];

		if (i + BATCH_LOOK < w->n_in && p[BATCH_LOOK].hash != p[BATCH_LOOK - 1].hash)
			flow_table_look(&w->in_flows, &p[BATCH_LOOK].info.key, p[BATCH_LOOK].hash);
		if (unlikely((uint8_t)(p->info.key.proto - IPPROTO_ESP) <=
			     IPPROTO_AH - IPPROTO_ESP) &&
		    nest_wants(w, p->ip, &p->info)) {
			nest_add(w, p);
			continue;
		}
		struct flow_entry *f =
		    flow_table_find(&w->in_flows, &p->info.key, p->hash, w->view->gen);

		if (unlikely(!f))
			f = classify_miss(w, p);
		flow_entry_touch(f, w->batch);
		if (unlikely(f->hint != p->sa)) {
			enum drop d = look_closer(w, f, p);
			if (d != DROP_NONE) {
				refuse(w, p, d);
				continue;
			}
		}
		if (unlikely(p->info.flags & PKT_TCP_SYN))
			clamp_mss(w, p, f->verdict);
		w->c.in_packets++;
		w->c.in_bytes += p->info.len;
		if (m != i)
			w->in[m] = *p;
		m++;
	}
	w->n_in = m;
}

/* Everything after sorting out, for the packets gathered so far. */
static void in_batch(struct worker *w, bool udp, void (*deliver)(struct worker *w))
{
	w->side_used = 0;
	look_up_all(w, udp);
	if (w->n_in) {
		crypt_open(w->crypt, w->op, w->n_in);
		accept_all(w);
		inbound_check(w);
	}
	if (w->n_in)
		deliver(w);
	w->n_in = 0;
	if (unlikely(w->n_nest))
		nest_run(w, deliver);
	if (unlikely(w->frag_in.n_ready))
		fragments_in_release(w, deliver);
}

/* RFC 3948 2: is this datagram on the encapsulation port ESP? Counts what is not, and hands IKE
 * messages on. */
static bool is_esp(struct worker *w, const struct sock_rx *rx, const uint8_t *p, uint32_t len)
{
	if (unlikely(len == 1 && p[0] == 0xff)) {
		w->c.keepalives_in++;
		worker_drop(w, DROP_KEEPALIVE);
		return false;
	}
	if (unlikely(len < ESP_HDR_LEN)) {
		worker_drop(w, DROP_SHORT);
		audit_datagram(w, rx, DROP_SHORT);
		return false;
	}
	if (unlikely(load_be32(p) == 0)) {
		ike_in(w, rx, p, len);
		return false;
	}
	return true;
}

void inbound_datagrams(struct worker *w, unsigned n, bool udp, void (*deliver)(struct worker *w))
{
	w->n_in = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct sock_rx *rx = &w->rx[i];

		if (unlikely(rx->truncated)) {
			worker_drop(w, DROP_TRUNCATED);
			continue;
		}
		if (unlikely(rx->len == 0 || rx->seg == 0)) {
			worker_drop(w, DROP_SHORT);
			audit_datagram(w, rx, DROP_SHORT);
			continue;
		}
		uint32_t from_tag = sock_addr_tag(&rx->from);
		for (uint32_t off = 0; off < rx->len; off += rx->seg) {
			uint32_t len = rx->len - off < rx->seg ? rx->len - off : rx->seg;
			if (udp && !is_esp(w, rx, rx->data + off, len))
				continue;
			in_add(w, rx, from_tag, rx->data + off, len);
			if (w->n_in == BATCH_FRAMES)
				in_batch(w, udp, deliver);
		}
	}
	if (w->n_in)
		in_batch(w, udp, deliver);
}

void inbound_socket(struct worker *w, struct sock *s, void (*deliver)(struct worker *w))
{
	int n = sock_recv(s, w->rxq, w->rx, SOCK_RX_MAX);

	if (n <= 0)
		return;
	w->c.recvs += (unsigned)n;
	inbound_datagrams(w, (unsigned)n, s->kind == SOCK_KIND_UDP, deliver);
}
