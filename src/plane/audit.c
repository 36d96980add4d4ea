/*
 * Auditable events of the packet path. A packet that is dropped enters, with the reason for it;
 * what the RFCs want to know of it leaves by a bounded ring, and the control thread words it
 * (control/audit.c). Which event a drop is, says a table; the packet says the rest. Most packets
 * that are dropped in a flood end at the pace check, before anything of them is looked at.
 */
#include "base/clock.h"
#include "ipsec/ah.h"
#include "ipsec/esp.h"
#include "plane/internal.h"

static const uint8_t event_of_in[DROP_REASONS] = {
	[DROP_UNKNOWN_SPI] = AUDIT_NO_SA,
	[DROP_REPLAY] = AUDIT_REPLAY,
	[DROP_AUTH] = AUDIT_INTEGRITY,
	[DROP_POLICY_IN] = AUDIT_SA_SELECTORS,
	[DROP_ICMP_QUOTE] = AUDIT_ICMP_SELECTORS,
	[DROP_SHORT] = AUDIT_MALFORMED,
	[DROP_NOT_IP] = AUDIT_MALFORMED,
	[DROP_BAD_LENGTH] = AUDIT_MALFORMED,
	[DROP_BAD_HEADER] = AUDIT_MALFORMED,
	[DROP_WRONG_ENCAP] = AUDIT_MALFORMED,
	[DROP_SA_EXPIRED] = AUDIT_NO_SA, /* it is no longer valid */
	[DROP_ESP_FORMAT] = AUDIT_MALFORMED,
	[DROP_ESP_PADDING] = AUDIT_MALFORMED,
	[DROP_NEXT_HEADER] = AUDIT_MALFORMED,
	[DROP_TRANSPORT] = AUDIT_MALFORMED,
	[DROP_ECN] = AUDIT_MALFORMED,
	[DROP_LABEL] = AUDIT_SA_LABEL,
	[DROP_LABEL_FORMAT] = AUDIT_SA_LABEL,
};

static const uint8_t event_of_out[DROP_REASONS] = {
	[DROP_POLICY_DISCARD] = AUDIT_DISCARD, [DROP_POLICY_REJECT] = AUDIT_DISCARD,
	[DROP_NO_POLICY] = AUDIT_DISCARD,      [DROP_NO_SA] = AUDIT_DISCARD,
	[DROP_HOLD_FULL] = AUDIT_DISCARD,      [DROP_HOLD_GIVEN_UP] = AUDIT_DISCARD,
	[DROP_SA_EXPIRED] = AUDIT_DISCARD,     [DROP_TRANSPORT] = AUDIT_DISCARD,
	[DROP_SEQ_EXHAUSTED] = AUDIT_SEQ_OVERFLOW, [DROP_LABEL] = AUDIT_LABEL,
	[DROP_LABEL_FORMAT] = AUDIT_LABEL,
};

/* ---- the ring -------------------------------------------------------------------------------- */

/* The slot for an event, to be filled and then handed to tell(); NULL: there are enough of it just
 * now. */
static struct audit_event *begin(struct worker *w, enum audit id, enum drop why)
{
	struct audit_ring *r = &w->audit;
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (w->now_ns - r->pace[id].since_ns >= NS_PER_S) {
		r->pace[id].since_ns = w->now_ns;
		r->pace[id].n = 0;
	}
	if (r->pace[id].n == AUDIT_PER_SECOND ||
	    head - atomic_load_explicit(&r->tail, memory_order_acquire) == AUDIT_RING_SIZE) {
		uint64_t n = atomic_load_explicit(&r->swallowed[id], memory_order_relaxed);
		atomic_store_explicit(&r->swallowed[id], n + 1, memory_order_relaxed);
		return NULL;
	}
	r->pace[id].n++;
	struct audit_event *e = &r->slot[head % AUDIT_RING_SIZE];
	*e = (struct audit_event){
		.ns = w->now_ns, .id = (uint16_t)id, .reason = (uint8_t)why, .have = AUDIT_F_REASON
	};
	return e;
}

static void tell(struct worker *w)
{
	uint32_t head = atomic_load_explicit(&w->audit.head, memory_order_relaxed);

	atomic_store_explicit(&w->audit.head, head + 1, memory_order_release);
	plane_wake_control(w->plane);
}

unsigned plane_audit(struct plane *p, struct audit_event *out, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_workers; i++) {
		struct audit_ring *r = &p->worker[i]->audit;
		uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);
		while (n < max && tail != head)
			out[n++] = r->slot[tail++ % AUDIT_RING_SIZE];
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	return n;
}

uint64_t plane_audit_swallowed(const struct plane *p, enum audit id)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->n_workers; i++)
		n += atomic_load_explicit(&p->worker[i]->audit.swallowed[id], memory_order_relaxed);
	return n;
}

/* ---- what is known of a packet --------------------------------------------------------------- */

static void set_spi(struct audit_event *e, uint8_t proto, uint32_t spi)
{
	e->have |= AUDIT_F_SPI;
	e->proto = proto;
	e->spi = spi;
}

static void set_seq(struct audit_event *e, uint64_t seq)
{
	e->have |= AUDIT_F_SEQ;
	e->seq = seq;
}

/* The flow label of a header that is an IPv6 header. */
static void set_flow(struct audit_event *e, const uint8_t *ip)
{
	if (ip[0] >> 4 != 6)
		return;
	e->have |= AUDIT_F_FLOW;
	e->flow = load_be32(ip) & 0xfffff;
}

/* What the socket says; of a fragment that had to wait nothing is known any more. */
static void set_outer(struct audit_event *e, const struct sock_rx *rx)
{
	if (!rx || endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &e->src) < 0)
		return;
	e->dst.addr = rx->to;
	e->have |= AUDIT_F_ADDRS;
	if (e->src.addr.ver == 6) {
		e->have |= AUDIT_F_FLOW;
		e->flow = rx->flow;
	}
}

/* Addresses and flow label of the IP header in front of the IPsec header; or, where there is none
 * or it is the outermost, what the socket says. */
static void set_header(struct audit_event *e, const uint8_t *ip, uint32_t len,
		       const struct sock_rx *rx)
{
	if (ip && len >= 20 && ip[0] >> 4 == 4) {
		e->src.addr = ip_addr_from_v4(ip + 12);
		e->dst.addr = ip_addr_from_v4(ip + 16);
	} else if (ip && len >= 40 && ip[0] >> 4 == 6) {
		e->src.addr = ip_addr_from_v6(ip + 8);
		e->dst.addr = ip_addr_from_v6(ip + 24);
		set_flow(e, ip);
	} else {
		set_outer(e, rx);
		return;
	}
	e->have |= AUDIT_F_ADDRS;
}

static void set_inner(struct audit_event *e, const struct flow_key *k)
{
	bool opaque = k->flags & FLOW_OPAQUE;

	e->have |= AUDIT_F_INNER;
	e->inner_proto = k->proto;
	e->inner_src = (struct endpoint){ flow_key_src(k), opaque ? 0 : k->sport };
	e->inner_dst = (struct endpoint){ flow_key_dst(k), opaque ? 0 : k->dport };
}

/* ---- which event ----------------------------------------------------------------------------- */

/* An ICMP error, not a query: it quotes the packet it is about. */
static bool icmp_error(const struct flow_key *k)
{
	uint8_t type = (uint8_t)(k->dport >> 8);

	if (k->flags & FLOW_OPAQUE)
		return false;
	if (k->proto == IPPROTO_ICMPV6)
		return type < 128;
	return k->proto == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* It came through its SA, and is refused for what it is. */
static bool about_inner(enum drop why)
{
	return why == DROP_POLICY_IN || why == DROP_ICMP_QUOTE || why == DROP_LABEL ||
	       why == DROP_LABEL_FORMAT;
}

static bool names(const struct policy *pol, struct sa *const *sa, unsigned n)
{
	for (unsigned i = 0; i < pol->n_in; i++)
		for (unsigned k = 0; k < n; k++)
			if (pol->in[i] == sa[k])
				return true;
	return false;
}

/* What it is that policy does not let in, which came through sa[0..n). */
static enum audit refused(const struct worker *w, struct sa *const *sa, unsigned n,
			  const struct pkt_info *info)
{
	const struct policy *pol =
	    w->view->spd ? spd_lookup(w->view->spd, DIR_IN, &info->key) : NULL;

	if (info->flags & PKT_FRAG_LATER)
		return AUDIT_LATER_FRAGMENT;
	if (icmp_error(&info->key))
		return AUDIT_ICMP_SELECTORS;
	/* some of those it names are missing, or others were passed as well */
	if (pol && pol->action == POLICY_PROTECT && (pol->n_in > 1 || n > 1) && names(pol, sa, n))
		return AUDIT_SA_BUNDLE;
	return AUDIT_SA_SELECTORS;
}

/* ---- for the other files --------------------------------------------------------------------- */

void audit_in(struct worker *w, const struct in_pkt *p, enum drop why)
{
	enum audit id = event_of_in[why];

	if (id == AUDIT_NONE)
		return;
	if (id == AUDIT_SA_SELECTORS)
		id = refused(w, &p->sa, 1, &p->info);
	struct audit_event *e = begin(w, id, why);
	if (!e)
		return;
	if (p->esp) {
		set_spi(e, IPPROTO_ESP, load_be32(p->esp));
		/* the whole number is known once its SA has been looked at */
		set_seq(e, why == DROP_REPLAY || why == DROP_AUTH || about_inner(why)
			       ? p->seq
			       : load_be32(p->esp + 4));
	} else { /* a fragment that had to wait */
		set_spi(e, p->sa->proto, p->sa->spi);
	}
	set_outer(e, p->rx);
	if (about_inner(why))
		set_inner(e, &p->info.key);
	tell(w);
}

void audit_nest(struct worker *w, const struct nest_pkt *p, const struct sa *sa, enum drop why,
		const struct pkt_info *info)
{
	enum audit id = event_of_in[why];
	bool inner = about_inner(why) && info;
	bool through =
	    sa && p->n_sa && p->sa[p->n_sa - 1] == sa; /* else its header is still there */

	if (why == DROP_TRANSPORT && !through && info &&
	    (info->key.proto == IPPROTO_ESP || info->key.proto == IPPROTO_AH))
		id = AUDIT_FRAGMENT;
	if (id == AUDIT_SA_SELECTORS && inner)
		id = refused(w, p->sa, p->n_sa, info);
	struct audit_event *e = id == AUDIT_NONE ? NULL : begin(w, id, why);
	if (!e)
		return;
	if (through) {
		set_spi(e, sa->proto, sa->spi);
		if (p->rx) /* else a fragment that had to wait */
			set_seq(e, p->seq);
		set_outer(e, p->rx);
		if (!(e->have & AUDIT_F_ADDRS) &&
		    sa->mode == SA_TRANSPORT) /* a bridge's: the header is that of the packet */
			set_header(e, p->ip, p->len, NULL);
	} else {
		set_header(e, p->ip, p->len, p->rx);
		if (p->at && p->at + AH_FIXED <= p->len) {
			const uint8_t *h = p->ip + p->at + (p->proto == IPPROTO_AH ? 4 : 0);
			set_spi(e, p->proto, load_be32(h));
			/* the whole number is known once its SA has been looked at */
			set_seq(e, sa && why == DROP_REPLAY ? p->seq : load_be32(h + 4));
		}
	}
	if (inner)
		set_inner(e, &info->key);
	tell(w);
}

void audit_datagram(struct worker *w, const struct sock_rx *rx, enum drop why)
{
	struct audit_event *e = begin(w, AUDIT_MALFORMED, why);

	if (!e)
		return;
	set_outer(e, rx);
	tell(w);
}

/* SPI and sequence number of ESP or AH, when they are in it. */
static void set_ipsec(struct audit_event *e, const uint8_t *ip, const struct pkt_info *info)
{
	bool ipsec = info->key.proto == IPPROTO_ESP || info->key.proto == IPPROTO_AH;

	if (!ipsec || info->flags & PKT_FRAG_LATER || info->l4_off + AH_FIXED > info->len)
		return;
	const uint8_t *h = ip + info->l4_off + (info->key.proto == IPPROTO_AH ? 4 : 0);
	set_spi(e, info->key.proto, load_be32(h));
	set_seq(e, load_be32(h + 4));
}

void audit_part(struct worker *w, const uint8_t *ip, const struct pkt_info *info, enum drop why)
{
	struct audit_event *e = begin(
	    w, why == DROP_FRAG_OVERLAP || why == DROP_FRAG_FULL ? AUDIT_FRAGMENT : AUDIT_MALFORMED,
	    why);

	if (!e)
		return;
	set_header(e, ip, info->len, NULL);
	set_ipsec(e, ip, info);
	tell(w);
}

void audit_clear(struct worker *w, const uint8_t *ip, const struct pkt_info *info, enum drop why)
{
	enum audit id = why == DROP_UNKNOWN_SPI                             ? AUDIT_NO_SA
			: why == DROP_LABEL || why == DROP_LABEL_FORMAT ? AUDIT_LABEL
									: AUDIT_INBOUND;
	struct audit_event *e = begin(w, id, why);

	if (!e)
		return;
	set_header(e, ip, info->len, NULL);
	if (why == DROP_UNKNOWN_SPI)
		set_ipsec(e, ip, info);
	set_inner(e, &info->key);
	tell(w);
}

void audit_fragment(struct worker *w, const struct sa *sa, const struct pkt_info *info,
		    enum drop why)
{
	struct audit_event *e = begin(w, AUDIT_LATER_FRAGMENT, why);

	if (!e)
		return;
	set_spi(e, sa->proto, sa->spi);
	set_inner(e, &info->key);
	tell(w);
}

void audit_out(struct worker *w, const uint8_t *ip, const struct pkt_info *info,
	       const struct sa *sa, enum drop why)
{
	enum audit id = event_of_out[why];

	if (info && info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER) &&
	    (why == DROP_TRANSPORT || why == DROP_FRAG_OVERLAP ||
	     why == DROP_FRAG_FULL)) /* the others: of one that whole.c was to join */
		id = AUDIT_FRAGMENT;
	else if (id == AUDIT_DISCARD && info && icmp_error(&info->key) &&
		 why != DROP_POLICY_DISCARD && why != DROP_POLICY_REJECT)
		id = AUDIT_ICMP_NO_SA;
	struct audit_event *e = id == AUDIT_NONE ? NULL : begin(w, id, why);
	if (!e)
		return;
	e->out = true;
	if (sa) {
		const struct sa_path *path = atomic_load_explicit(&sa->path, memory_order_acquire);
		set_spi(e, sa->proto, sa->spi);
		set_seq(e, atomic_load_explicit(&sa->seq, memory_order_relaxed));
		if (path) {
			e->have |= AUDIT_F_ADDRS;
			e->src.addr = path->src.ver
					  ? path->src
					  : sa->conf->src; /* ver 0: the system's choice */
			e->dst = path->dst;
		}
	}
	if (ip)
		set_flow(e, ip);
	if (info)
		set_inner(e, &info->key);
	tell(w);
}

void audit_icmp(struct worker *w, const uint8_t *ip, const struct pkt_info *info,
		const struct sa *sa, enum drop why)
{
	struct audit_event *e = begin(w, AUDIT_ICMP_ERROR, why);

	if (!e)
		return;
	if (sa) {
		e->out = sa->dir == DIR_OUT;
		set_spi(e, sa->proto, sa->spi);
	} else {
		set_header(e, ip, info->len, NULL);
	}
	set_inner(e, &info->key);
	tell(w);
}
