/*
 * Fragments where only whole packets can be protected, or have been: transport mode. Out: fragments
 * of a datagram that such an SA is for are put together (RFC 4303 3.1.1). In, in place of a host:
 * fragments of ESP, AH and IKE that the way has made (3.4.1), before anything else looks at them.
 * What comes of it goes on as if it had come so; what is too large again afterwards leaves in
 * fragments (wrap.c, bridge.c).
 */
#include "plane/bridge.h"
#include "plane/bump.h"
#include "plane/internal.h"

/* Adds it to its datagram; *done: ip and info are that of the whole packet now. Returns why it was
 * dropped. */
static enum drop join(struct worker *w, struct reasm *r, uint8_t **ip, struct pkt_info *info,
		      bool *done)
{
	enum drop why = DROP_NONE;
	unsigned lost;
	uint32_t len = 0;

	*done = reasm_add(r, *ip, info, w->now_ns, ip, &len, &why, &lost) == REASM_DONE;
	w->c.drop.n[DROP_FRAG_FULL] += lost;
	if (*done) {
		why = pkt_parse(*ip, len, info);
		*done = why == DROP_NONE;
		w->c.reassembled++;
	}
	if (why != DROP_NONE)
		worker_drop(w, why);
	return why;
}

/* The SA that protects it, when that takes whole packets only; else NULL. */
static const struct sa *by_transport(const struct worker *w, const struct out_pkt *p)
{
	const struct policy *pol =
	    w->view->spd ? spd_lookup(w->view->spd, DIR_OUT, &p->info.key) : NULL;
	const struct sa *sa = pol && pol->action == POLICY_PROTECT ? policy_first_out(pol) : NULL;

	return sa && sa->mode == SA_TRANSPORT ? sa : NULL;
}

bool whole_out(struct worker *w, struct out_pkt *p, unsigned i)
{
	if (!reasm_knows(&w->reasm_out, p->ip, &p->info)) {
		if (!fragments_out(w, p, i))
			return false;
		if (!by_transport(w, p))
			return true;
	}
	p->here = w->bridge && bridge_holds(w, p);
	enum drop why = join(w, &w->reasm_out, &p->ip, &p->info, &p->joined);
	if (why != DROP_NONE)
		audit_out(w, p->ip, &p->info, by_transport(w, p), why);
	p->vnet = (struct virtio_net_hdr) { 0 };
	return p->joined;
}

bool whole_in(struct worker *w, struct in_pkt *p)
{
	const struct flow_key *k = &p->info.key;
	const struct pkt_info part = p->info;
	const uint8_t *part_ip = p->ip;
	bool ipsec = k->proto == IPPROTO_ESP || k->proto == IPPROTO_AH;

	p->joined = false;
	if (!reasm_knows(&w->reasm_in, p->ip, &p->info)) {
		bool ours =
		    ipsec && !(p->info.flags & PKT_FRAG_LATER) && nest_knows(w, p->ip, &p->info);
		if (!ours && ipsec) { /* of those whose first is still to come, what no policy lets
					 pass can only be ours */
			p->hash = flow_key_hash(k, w->in_flows.seed);
			const struct policy *pol = inbound_flow(w, p)->verdict;
			ours = !pol || pol->action != POLICY_BYPASS;
		}
		if (!ours && !ipsec)
			ours = w->plane->bump && bump_begins(w, p);
		if (!ours)
			return true;
	}
	enum drop why = join(w, &w->reasm_in, &p->ip, &p->info, &p->joined);
	if (why != DROP_NONE)
		audit_part(w, part_ip, &part, why);
	return p->joined;
}
