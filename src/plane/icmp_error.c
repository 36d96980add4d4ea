/*
 * ICMP errors inside of SAs that fit no policy by themselves (RFC 4301 6.2): a router somewhere on
 * the way sends them, whose address no selector has. They belong with the packet they quote: turned
 * round, it tells the policy, and the SA. What was decided about one such message says nothing
 * about the next, so nothing of it enters the flow tables.
 *
 * An SA around another one carries errors about the packets of that: from routers between the two
 * ends that the outer one has on its far side (RFC 2401 4.5, cases 3 and 4).
 *
 * And which types of them pass at all, and which are told (RFC 4301 6, 6.1.1).
 */
#include "packet/quote.h"
#include "plane/internal.h"

/* The policy of the traffic that answers what is quoted. NULL: none that protects and wants it. */
static struct policy *policy_of_quote(struct worker *w, enum ipsec_dir dir, const uint8_t *ip,
				      const struct pkt_info *info, struct flow_key *back)
{
	struct icmp_quote q;
	struct flow_key k;
	uint32_t unused;

	if (info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER) || !w->view->spd ||
	    !icmp_quote_read(info->key.ver, ip + info->l4_off, info->len - info->l4_off, &q) ||
	    !icmp_quote_key(&q, &k, &unused))
		return NULL;
	flow_key_reverse(&k, back);
	struct policy *pol = spd_lookup(w->view->spd, dir, back);
	return pol && pol->action == POLICY_PROTECT && pol->icmp_errors ? pol : NULL;
}

struct policy *icmp_error_out(struct worker *w, const struct out_pkt *p)
{
	struct flow_key back;

	if (!icmp_is_error(&p->info.key) || !spd_icmp_is_nobodys(p->policy))
		return NULL;
	return policy_of_quote(w, DIR_OUT, p->ip, &p->info, &back);
}

const struct policy *icmp_error_in(struct worker *w, const struct policy *own, const uint8_t *ip,
				   const struct pkt_info *info, struct flow_key *back)
{
	if (!icmp_is_error(&info->key) || !spd_icmp_is_nobodys(own))
		return NULL;
	return policy_of_quote(w, DIR_IN, ip, info, back);
}

bool icmp_error_of_bundle(const struct policy *pol, struct sa *const *sa, unsigned n,
			  const uint8_t *ip, const struct pkt_info *info)
{
	struct icmp_quote_sa qs;
	struct icmp_quote q;

	if (n >= pol->n_out || pol->n_in != pol->n_out ||
	    !icmp_quote_read(info->key.ver, ip + info->l4_off, info->len - info->l4_off, &q) ||
	    !icmp_quote_sa(&q, &qs) || qs.udp)
		return false;
	const struct sa *made = pol->out[pol->n_out - 1 - n];
	if (made->proto != qs.proto || made->spi != qs.spi ||
	    !ip_addr_eq(&made->conf->dst, &qs.dst) ||
	    (made->conf->src.ver && !ip_addr_eq(&made->conf->src, &qs.src)))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (sa[i] != pol->in[pol->n_in - 1 - i])
			return false;
	return true;
}

enum drop icmp_error_refused(const struct policy *own, const struct pkt_info *info)
{
	return icmp_is_error(&info->key) && spd_icmp_is_nobodys(own) ? DROP_ICMP_QUOTE
								     : DROP_POLICY_IN;
}

bool icmp_error_accepted(const struct worker *w, unsigned kind, bool clear)
{
	const struct plane *p = w->plane;

	return kind == 0 || kind & atomic_load_explicit(clear ? &p->icmp_clear_in : &p->icmp_in,
							memory_order_relaxed);
}

bool icmp_error_told(const struct worker *w)
{
	return atomic_load_explicit(&w->plane->icmp_told, memory_order_relaxed);
}

void icmp_error_tell(struct worker *w, unsigned kind, const uint8_t *ip,
		     const struct pkt_info *info, const struct sa *sa, enum drop why)
{
	if (why != DROP_NONE ||
	    kind & atomic_load_explicit(&w->plane->icmp_told, memory_order_relaxed))
		audit_icmp(w, ip, info, sa, why);
}
