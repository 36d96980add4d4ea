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
 *   frame      frame.c: ESP packets back to back, and one crypto call for all of them
 *   send       send.c
 *   wrap       what goes through several SAs, or AH: wrap.c
 *
 * A packet that cannot go on is counted under its reason and forgotten.
 */
#include <errno.h>
#include <unistd.h>

#include "ipsec/transport.h"
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
			frame_batch(w, at - 2 * BATCH_STAGE, batch_end(at - BATCH_STAGE, n), flush);
		}
	}
	frame_seal(w, flush);
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
