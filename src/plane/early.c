/*
 * ESP packets that are here before their SA. A responder may send by a new SA as soon as it has
 * answered; its packets can overtake the answer, or be here while that is still being checked.
 * While keying waits for some SA (plane_expect()), packets with an SPI that nobody has are kept a
 * moment: few, in fixed places, unopened. When SAs were installed they go the way of all others;
 * what still has none after a second is dropped as it would have been at once. Strangers can fill
 * the places, which costs what they have always cost: early packets.
 */
#include "base/clock.h"
#include "plane/internal.h"

#define EARLY_MAX_NS NS_PER_S

static uint32_t ext_bytes(const struct sock_rx *rx)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < rx->n_ext; i++)
		n += rx->ext[i].len;
	return n;
}

/* The receive queue's memory is used again: extension headers go behind the packet. */
static void keep_ext(struct early_pkt *k)
{
	uint8_t *to = k->rx.data + k->rx.len;

	for (unsigned i = 0; i < k->rx.n_ext; i++) {
		memcpy(to, k->rx.ext[i].p, k->rx.ext[i].len);
		k->rx.ext[i].p = to;
		to += k->rx.ext[i].len;
	}
}

bool early_add(struct worker *w, const struct in_pkt *p, bool udp)
{
	struct early *e = &w->early;
	const struct sock_rx *rx = p->rx;
	/* a GRO train's first packet alone has an IP header in front of it */
	uint32_t head = p->esp == rx->data ? rx->hdr_len : 0;

	if (!atomic_load_explicit(&w->plane->expected, memory_order_relaxed) || head > EARLY_HEAD ||
	    p->len + ext_bytes(rx) > EARLY_ROOM - EARLY_HEAD)
		return false;
	for (unsigned i = 0; i < EARLY_PACKETS; i++) {
		struct early_pkt *k = &e->pkt[i];
		if (k->used)
			continue;
		k->used = true;
		k->udp = udp;
		k->ns = w->now_ns;
		k->rx = *rx;
		k->rx.data = e->mem + i * EARLY_ROOM + EARLY_HEAD;
		k->rx.len = k->rx.seg = p->len;
		k->rx.hdr_len = (uint8_t)head;
		memcpy(k->rx.data - head, p->esp - head, head + p->len);
		keep_ext(k);
		atomic_fetch_add_explicit(&e->n, 1, memory_order_relaxed);
		return true;
	}
	return false;
}

static void give_up(struct worker *w, struct early_pkt *k)
{
	k->used = false;
	atomic_fetch_sub_explicit(&w->early.n, 1, memory_order_relaxed);
}

/* Those of one kind whose SA is there, as if just received. */
static void take(struct worker *w, bool udp)
{
	unsigned n = 0, from[EARLY_PACKETS];

	for (unsigned i = 0; i < EARLY_PACKETS; i++) {
		const struct early_pkt *k = &w->early.pkt[i];
		if (!k->used || k->udp != udp ||
		    !sad_lookup(plane_sad(w->plane), load_be32(k->rx.data), SA_ESP))
			continue;
		w->rx[n] = k->rx;
		from[n++] = i;
	}
	if (n == 0)
		return;
	inbound_datagrams(w, n, udp, w->deliver);
	for (unsigned i = 0; i < n; i++)
		give_up(w, &w->early.pkt[from[i]]);
}

void early_take(struct worker *w)
{
	take(w, false);
	take(w, true);
	for (unsigned i = 0; i < EARLY_PACKETS; i++) {
		struct early_pkt *k = &w->early.pkt[i];
		if (!k->used || w->now_ns - k->ns < EARLY_MAX_NS)
			continue;
		const struct in_pkt p = { .esp = k->rx.data, .len = k->rx.len, .rx = &k->rx };
		inbound_unknown_spi(w, load_be32(p.esp), p.rx);
		audit_in(w, &p, DROP_UNKNOWN_SPI);
		give_up(w, k);
	}
}

void plane_expect(struct plane *p, int change)
{
	atomic_fetch_add_explicit(&p->expected, (unsigned)change, memory_order_relaxed);
	if (change < 0)
		plane_wake_holding(p);
}
