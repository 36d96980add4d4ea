/* What goes back to the inner sender: ICMP errors and TCP resets, at a bounded rate. */
#include "base/clock.h"
#include "packet/icmp.h"
#include "plane/worker.h"

#define ICMP_BURST 50            /* errors at once ... */
#define ICMP_EVERY_NS                                                                              \
	(10 * NS_PER_MS) /* ... and one every 10 ms after (RFC 1812 4.3.2.8, RFC 4443 2.4 (f)) */

/* A token bucket kept as one time: the moment up to which tokens are spent. */
static bool may_send(struct worker *w)
{
	uint64_t oldest =
	    w->now_ns -
	    (w->now_ns > ICMP_BURST * ICMP_EVERY_NS ? ICMP_BURST * ICMP_EVERY_NS : w->now_ns);

	if (w->icmp_tokens_ns < oldest)
		w->icmp_tokens_ns = oldest;
	if (w->icmp_tokens_ns + ICMP_EVERY_NS > w->now_ns) {
		worker_drop(w, DROP_ICMP_LIMIT);
		return false;
	}
	w->icmp_tokens_ns += ICMP_EVERY_NS;
	return true;
}

static void send_error(struct worker *w, const struct out_pkt *p, enum icmp_kind kind, uint32_t mtu)
{
	uint8_t out[ICMP_ERROR_MAX];
	struct ip_addr from = p->info.key.ver == 4 ? w->icmp4 : w->icmp6;

	if (!icmp_may_answer(p->ip, &p->info) || !may_send(w))
		return;
	if (from.ver == 0)
		from = flow_key_dst(&p->info.key);
	deliver_own(w, p, out, icmp_error(kind, p->ip, &p->info, mtu, &from, out));
	w->c.icmp_sent++;
}

void reply_too_big(struct worker *w, const struct out_pkt *p, uint32_t mtu)
{
	send_error(w, p, ICMP_KIND_TOO_BIG, mtu);
}

void reply_reject(struct worker *w, const struct out_pkt *p)
{
	uint8_t out[64];

	if (p->info.key.proto == IPPROTO_TCP && !(p->info.flags & PKT_FRAG_LATER)) {
		uint32_t len = tcp_reset(p->ip, &p->info, out);
		if (len == 0 || !may_send(w))
			return;
		deliver_own(w, p, out, len);
		w->c.rst_sent++;
		return;
	}
	send_error(w, p, ICMP_KIND_ADMIN, 0);
}
