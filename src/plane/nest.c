/*
 * Inbound packets that are protected more than once, or by AH. Whole packets enter, IP header in
 * front: from AH sockets, and from inbound.c what has come out of ESP and holds AH or ESP for us
 * again. A round takes one IPsec header off each of them:
 *
 *   find      the header, its SA; replay pre-check
 *   check     one crypto call for all ESP, one for all AH
 *   accept    replay window, lifetimes, header off; the SA's own selectors
 *
 * What is a plain packet then is checked against the policy: it must have come through exactly the
 * SAs that the policy names, in their order (RFC 4301 5.2, RFC 2401 5.2.1). The rest goes into the
 * next round.
 */
#include "base/clock.h"
#include "ipsec/ah.h"
#include "ipsec/transport.h"
#include "packet/csum.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "plane/worker.h"

static int version_of(const uint8_t *ip)
{
	return ip[0] >> 4;
}

uint8_t *side_room(struct worker *w, uint32_t len)
{
	uint32_t need = TRANSPORT_HEAD_MAX + ((len + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1));

	if (w->side_used + need > SIDE_ARENA)
		return NULL;
	uint8_t *p = w->side_arena + w->side_used + TRANSPORT_HEAD_MAX;
	w->side_used += need;
	return p;
}

/* sa: the one that refuses it; NULL: none, and it counts for the last it came through, if any. info
 * NULL: it has not been parsed. */
static void drop(struct worker *w, struct nest_pkt *p, struct sa *sa, enum drop why,
		 const struct pkt_info *info)
{
	audit_nest(w, p, sa, why, info);
	if (!sa && p->n_sa)
		sa = p->sa[p->n_sa - 1];
	if (sa)
		inbound_sa_drop(w, sa, why);
	else
		worker_drop(w, why);
	p->ip = NULL;
}

static bool is_ipsec(uint8_t proto)
{
	return proto == IPPROTO_ESP || proto == IPPROTO_AH;
}

/* The SPI of the IPsec header behind `info`, 0 when it is too short for one. */
static uint32_t spi_of(const uint8_t *ip, const struct pkt_info *info)
{
	uint32_t at = info->l4_off + (info->key.proto == IPPROTO_AH ? 4u : 0u);

	return at + 4 <= info->len ? load_be32(ip + at) : 0;
}

static struct sa *look_up(const struct worker *w, const uint8_t *ip, const struct pkt_info *info)
{
	const struct sad *sad = plane_sad(w->plane);
	struct ip_addr dst = flow_key_dst(&info->key), src = flow_key_src(&info->key);
	uint32_t spi = spi_of(ip, info);

	if (sad_has_groups(sad) && ip_addr_is_multicast(&dst))
		return sad_lookup_group(sad, spi, info->key.proto, &dst, &src);
	return sad_lookup(sad, spi, info->key.proto);
}

bool nest_wants(const struct worker *w, const uint8_t *ip, const struct pkt_info *info)
{
	return is_ipsec(info->key.proto) && !(info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) &&
	       nest_knows(w, ip, info);
}

bool nest_knows(const struct worker *w, const uint8_t *ip, const struct pkt_info *info)
{
	const struct sa *sa = look_up(w, ip, info);
	if (!sa || sa->encap != SA_ENCAP_NONE || sa->conf->dst.ver != info->key.ver)
		return false;
	return memcmp(sa->conf->dst.b, info->key.dst, 16) == 0;
}

/* The SA's own selectors, against what came out of it. */
static bool selected(const struct sa *sa, const struct flow_key *k)
{
	const struct sa_conf *c = sa->conf;

	for (unsigned i = 0; i < c->n_sel; i++)
		if (selector_match(&c->sel[i], DIR_IN, k))
			return true;
	return c->n_sel == 0;
}

void nest_add(struct worker *w, const struct in_pkt *p)
{
	if (!selected(p->sa, &p->info.key)) {
		inbound_sa_drop(w, p->sa, DROP_POLICY_IN);
		audit_in(w, p, DROP_POLICY_IN);
		return;
	}
	struct nest_pkt *n = &w->nest[w->n_nest++];
	*n = (struct nest_pkt) { .ip = p->ip, .len = p->info.len, .rx = p->rx, .n_sa = 1 };
	n->sa[0] = p->sa;
}

/* ---- from the wire
 * -------------------------------------------------------------------------------- */

/* An IPv6 packet as it was before the system took its headers off. Returns its length, 0 when it
 * would be too long. */
static uint32_t rebuild6(const struct sock_rx *rx, const struct endpoint *from, uint8_t *out)
{
	uint32_t off = 40, next_at = 6;

	store_be32(out, 6u << 28 | (uint32_t)rx->tos << 20 | rx->flow);
	out[7] = TRANSPORT_TTL;
	memcpy(out + 8, from->addr.b, 16);
	memcpy(out + 24, rx->to.b, 16);
	for (unsigned i = 0; i < rx->n_ext; i++) {
		out[next_at] = rx->ext[i].kind;
		memcpy(out + off, rx->ext[i].p, rx->ext[i].len);
		next_at = off;
		off += rx->ext[i].len;
	}
	out[next_at] = IPPROTO_AH;
	memcpy(out + off, rx->data, rx->len);
	if (off - 40 + rx->len > UINT16_MAX)
		return 0;
	store_be16(out + 4, (uint16_t)(off - 40 + rx->len));
	return off + rx->len;
}

static enum drop from_wire(struct worker *w, const struct sock_rx *rx)
{
	struct endpoint from;
	uint32_t ext = rx->hdr_len;

	if (rx->truncated)
		return DROP_TRUNCATED;
	if (rx->len < AH_FIXED ||
	    endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &from) < 0)
		return DROP_SHORT;
	for (unsigned i = 0; i < rx->n_ext; i++)
		ext += rx->ext[i].len;
	uint8_t *out = side_room(w, 40 + ext + rx->len);
	if (!out)
		return DROP_TRUNCATED;
	struct nest_pkt *p = &w->nest[w->n_nest];
	*p = (struct nest_pkt) { .ip = out, .rx = rx };
	if (rx->hdr_len) {
		memcpy(out, rx->data - rx->hdr_len, rx->hdr_len + rx->len);
		p->len = rx->hdr_len + rx->len;
		store_be16(out + 2, (uint16_t)p->len);
	} else if (from.addr.ver != 6 || !(p->len = rebuild6(rx, &from, out))) {
		return DROP_BAD_HEADER;
	}
	w->n_nest++;
	w->c.in_wire_packets++;
	w->c.in_wire_bytes += rx->len;
	return DROP_NONE;
}

void nest_datagrams(struct worker *w, unsigned n, void (*deliver)(struct worker *w))
{
	w->side_used = 0;
	w->n_nest = 0;
	for (unsigned i = 0; i < n; i++) {
		enum drop d = from_wire(w, &w->rx[i]);
		if (d != DROP_NONE) {
			worker_drop(w, d);
			audit_datagram(w, &w->rx[i], d);
		}
	}
	nest_run(w, deliver);
	if (w->frag_in.n_ready)
		fragments_in_release(w, deliver);
}

void nest_socket(struct worker *w, struct sock *s, void (*deliver)(struct worker *w))
{
	_Static_assert(NEST_MAX >= SOCK_RX_MAX, "a batch of datagrams fits");
	int n = sock_recv(s, w->rxq, w->rx, SOCK_RX_MAX);

	if (n <= 0)
		return;
	w->c.recvs += (unsigned)n;
	nest_datagrams(w, (unsigned)n, deliver);
}

/* ---- a round
 * -------------------------------------------------------------------------------------- */

struct round {
	unsigned n_op, n_auth;
	struct crypt_auth_op auth[NEST_MAX];
};

static enum drop find_ah(struct worker *w, struct round *r, struct nest_pkt *p, struct sa *sa)
{
	struct ah_view v;
	uint8_t *ah = p->ip + p->at;

	if (!ah_read(ah, p->len - p->at, &v))
		return DROP_SHORT;
	if (v.len < AH_FIXED + sa->iv_len + sa->icv_len || (version_of(p->ip) == 6 && v.len % 8))
		return DROP_ESP_FORMAT;
	p->seq = replay_full_seq(&sa->replay, v.seq_lo, sa->esn);
	if (!replay_may_accept(&sa->replay, p->seq))
		return DROP_REPLAY;
	uint8_t *copy = side_room(w, AH_COVER_MAX(p->len));
	uint32_t covered = copy ? ah_cover(sa, p->ip, p->len, p->at, p->seq, copy) : 0;
	if (covered == 0)
		return DROP_BAD_HEADER;
	p->op = r->n_auth++;
	r->auth[p->op] = (struct crypt_auth_op) { .key = &sa->key, .data = copy, .len = covered,
						   .iv = sa->iv_len ? load_be64(ah + AH_FIXED) : 0,
						   .icv = ah + AH_FIXED + sa->iv_len };
	return DROP_NONE;
}

/* Finds header and SA, and fills the operation. */
static void find(struct worker *w, struct round *r, struct nest_pkt *p)
{
	struct pkt_info info;
	enum drop d = pkt_parse(p->ip, p->len, &info);

	if (d != DROP_NONE) {
		drop(w, p, NULL, d, NULL);
		return;
	}
	/* wherever it stands: a peer may put destination options in front of it as well (RFC
	 * 4302 3.1.1) */
	if (!is_ipsec(info.key.proto) || info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) {
		p->at =
		    is_ipsec(info.key.proto) && !(info.flags & PKT_FRAG_LATER) ? info.l4_off : 0;
		p->proto = info.key.proto;
		drop(w, p, NULL, DROP_TRANSPORT, &info);
		return;
	}
	p->at = info.l4_off;
	p->next_at = transport_next_at(p->ip, &info);
	p->proto = info.key.proto;
	struct sa *sa = look_up(w, p->ip, &info);
	if (!sa) {
		inbound_unknown_spi(w, spi_of(p->ip, &info), p->rx);
		audit_nest(w, p, NULL, DROP_UNKNOWN_SPI, &info);
		p->ip = NULL;
		return;
	}
	if (sa->encap != SA_ENCAP_NONE)
		d = DROP_WRONG_ENCAP;
	else if (!sa_usable(sa))
		d = DROP_SA_EXPIRED;
	else if (p->n_sa == SA_BUNDLE_MAX)
		d = DROP_POLICY_IN;
	else if (p->proto == SA_AH)
		d = find_ah(w, r, p, sa);
	else
		d = esp_open_op(sa, p->ip + p->at, p->len - p->at, &p->seq,
				&w->op[p->op = r->n_op]);
	if (d != DROP_NONE) {
		drop(w, p, sa, d, &info);
		return;
	}
	r->n_op += p->proto == SA_ESP;
	p->sa[p->n_sa++] = sa;
}

/* Of the outer and the inner header (RFC 5374 3.1). */
static bool same_addresses(const uint8_t *outer, const uint8_t *inner)
{
	bool v4 = version_of(outer) == 4;

	return version_of(outer) == version_of(inner) &&
	       memcmp(outer + (v4 ? 12 : 8), inner + (v4 ? 12 : 8), v4 ? 8 : 32) == 0;
}

/* Takes the header off: [text, text + len) is what was protected, next its first header. */
static enum drop unwrap(struct nest_pkt *p, const struct sa *sa, uint8_t *text, uint32_t len,
			uint8_t next)
{
	struct pkt_info info;
	uint8_t tos = version_of(p->ip) == 4 ? p->ip[1] : (uint8_t)(p->ip[0] << 4 | p->ip[1] >> 4);

	if (sa->mode == SA_TUNNEL) {
		if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
			return DROP_NEXT_HEADER;
		enum drop d = pkt_parse(text, len, &info);
		if (d != DROP_NONE)
			return d;
		if ((next == IPPROTO_IPIP) != (info.key.ver == 4))
			return DROP_NEXT_HEADER;
		if (sa->preserve && !same_addresses(p->ip, text))
			return DROP_POLICY_IN;
		p->ip = text;
		p->len = info.len;
		return inbound_ecn(sa, tos, p->ip, &info);
	}
	memmove(text - p->at, p->ip, p->at);
	p->ip = text - p->at;
	p->len = p->at + len;
	p->ip[p->next_at] = next;
	if (version_of(p->ip) == 4) {
		store_be16(p->ip + 2, (uint16_t)p->len);
		csum_ip4_set(p->ip);
	} else {
		store_be16(p->ip + 4, (uint16_t)(p->len - 40));
	}
	return DROP_NONE;
}

static enum drop accept_one(struct worker *w, const struct round *r, struct nest_pkt *p,
			    struct pkt_info *info)
{
	struct sa *sa = p->sa[p->n_sa - 1];
	const struct crypt_op *op = &w->op[p->op];
	struct esp_text t = { 0 };
	enum drop d;

	if (!(p->proto == SA_AH ? r->auth[p->op].ok : op->ok))
		return DROP_AUTH;
	if (!replay_accept(&sa->replay, p->seq))
		return DROP_REPLAY;
	if (p->proto == SA_AH) {
		uint8_t *ah = p->ip + p->at;
		uint32_t size = (ah[1] + 2u) * 4;
		d = unwrap(p, sa, ah + size, p->len - p->at - size, ah[0]);
	} else {
		d = esp_open_text(op->dst, op->len, &t);
		if (d == DROP_NONE && t.next_header == ESP_NH_DUMMY)
			d = DROP_DUMMY;
		if (d == DROP_NONE)
			d = unwrap(p, sa, op->dst, t.len, t.next_header);
	}
	if (d == DROP_NONE)
		d = pkt_parse(p->ip, p->len, info);
	if (d == DROP_NONE && sa->mode == SA_TRANSPORT &&
	    info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		d = DROP_TRANSPORT;
	/* an ICMP error may belong to it by what it quotes: nest_arrive() */
	if (d == DROP_NONE && !selected(sa, &info->key) && !icmp_is_error(&info->key))
		d = DROP_POLICY_IN;
	if (d == DROP_NONE)
		(void)worker_count(w, sa, 1, p->len);
	return d;
}

/* Exactly what the policy demands: its SAs from the innermost on are those passed from the last on.
 */
static bool demanded(const struct policy *pol, const struct nest_pkt *p)
{
	if (!pol || pol->action != POLICY_PROTECT)
		return false;
	if (p->n_sa == 1 && pick_has(pol, p->sa[0]))
		return true;
	bool same = pol->reqid || pol->n_in == p->n_sa;
	for (unsigned i = 0; same && i < p->n_sa; i++) {
		const struct sa *sa = p->sa[p->n_sa - 1 - i];
		const struct sa_conf *c = sa->conf;
		same = pol->reqid
			   ? sa->reqid == pol->reqid &&
				 (c->bundle_n ? c->bundle_n : 1) == p->n_sa && c->bundle_at == i
			   : pol->in[i] == sa;
	}
	return same;
}

/* By itself, or as an ICMP error by what it quotes. */
static enum drop may_pass(struct worker *w, const struct policy *own, const struct nest_pkt *p,
			  const struct pkt_info *info)
{
	const struct sa *last = p->sa[p->n_sa - 1];
	struct flow_key back;

	if (demanded(own, p) && selected(last, &info->key))
		return pick_in(own, p->sa, p->n_sa, p->ip, info);
	const struct policy *pol = icmp_error_in(w, own, p->ip, info, &back);
	if (!pol || !(demanded(pol, p) || icmp_error_of_bundle(pol, p->sa, p->n_sa, p->ip, info)) ||
	    !selected(last, &back))
		return icmp_error_refused(own, info);
	return pick_in(pol, p->sa, p->n_sa, p->ip, info);
}

static enum drop refusal(struct worker *w, const struct policy *own, const struct nest_pkt *p,
			 const struct pkt_info *info)
{
	unsigned kind = icmp_error_of(&info->key);
	enum drop d = DROP_NONE;

	if (!icmp_error_accepted(w, kind, false))
		d = DROP_ICMP_TYPE;
	else if ((d = may_pass(w, own, p, info)) != DROP_NONE)
		return d;
	if (kind)
		icmp_error_tell(w, kind, p->ip, info, p->sa[p->n_sa - 1], d);
	return d;
}

void nest_arrive(struct worker *w, struct nest_pkt *p, const struct pkt_info *info)
{
	struct in_pkt *in = &w->in[w->n_in];

	*in = (struct in_pkt) { .ip = p->ip, .info = *info, .sa = p->sa[p->n_sa - 1], .rx = p->rx };
	in->hash = flow_key_hash(&info->key, w->in_flows.seed);
	const struct flow_entry *f = inbound_flow(w, in);
	enum drop d = refusal(w, f->verdict, p, info);
	if (d != DROP_NONE) {
		drop(w, p, p->sa[p->n_sa - 1], d, info);
		return;
	}
	const struct policy *pol = f->verdict;
	const struct sa *out = pol && pol->mss_clamp ? policy_first_out(pol) : NULL;
	uint32_t headers = info->key.ver == 4 ? 40 : 60,
		 mtu = out ? atomic_load_explicit(&out->inner_mtu, memory_order_relaxed) : 0;
	if (info->flags & PKT_TCP_SYN && mtu > headers &&
	    tcp_clamp_mss(in->ip, &in->info, (uint16_t)(mtu - headers), false))
		w->c.mss_clamped++;
	w->c.in_packets++;
	w->c.in_bytes += info->len;
	w->n_in++;
}

void nest_run(struct worker *w, void (*deliver)(struct worker *w))
{
	struct round r;

	w->n_in = 0;
	while (w->n_nest) {
		unsigned m = 0;
		r.n_op = r.n_auth = 0;
		for (unsigned i = 0; i < w->n_nest; i++)
			find(w, &r, &w->nest[i]);
		crypt_open(w->crypt, w->op, r.n_op);
		crypt_auth(w->crypt, r.auth, r.n_auth);
		for (unsigned i = 0; i < w->n_nest; i++) {
			struct nest_pkt *p = &w->nest[i];
			struct pkt_info info;
			if (!p->ip)
				continue;
			enum drop d = accept_one(w, &r, p, &info);
			if (d != DROP_NONE)
				drop(w, p, p->sa[p->n_sa - 1], d, &info);
			else if (nest_wants(w, p->ip, &info))
				w->nest[m++] = *p;
			else if (info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER) &&
				 !fragments_in(w, p->ip, &info, p->sa, p->n_sa))
				continue;
			else
				nest_arrive(w, p, &info);
		}
		w->n_nest = m;
	}
	if (w->n_in)
		deliver(w);
	w->n_in = 0;
}
