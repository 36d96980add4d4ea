/*
 * Frames to sockets. Frames lie back to back in the arena: a run with the same destination, TOS and
 * DF whose packets are of one size (the last may be shorter) becomes one message, which the kernel
 * cuts up (UDP_SEGMENT).
 */

#include <errno.h>

#include "base/clock.h"
#include "packet/frag.h"
#include "plane/internal.h"
#include "plane/worker.h"

#define MESSAGE_SEGS 64       /* kernels before 5.18 allow no more */
#define MESSAGE_BYTES 65000   /* UDP over IPv4 carries 65507, raw less what its header needs */

static struct sock *socket_for(struct worker *w, const struct out_frame *f,
			       const struct sa_path *path)
{
	unsigned v6 = path->dst.addr.ver == 6;

	if (unlikely(f->whole))
		return &w->clear[v6];
	return f->sa->encap == SA_ENCAP_UDP ? &w->udp[v6] : &w->raw[v6];
}

static void send_messages(struct worker *w, struct sock *s, const struct sock_tx *m, unsigned n)
{
	struct sock_tx_result r = { 0 };

	if (n == 0)
		return;
	sock_send(s, m, n, &r);
	w->c.sends += n;
	w->c.drop.n[DROP_SEND_FULL] += r.full;
	w->c.drop.n[DROP_SEND] += r.failed;
	if (unlikely(r.too_big))
		atomic_store_explicit(&w->plane->link_refused, true, memory_order_relaxed);
}

void send_frames(struct worker *w)
{
	struct sock_tx tx[SOCK_TX_MAX];
	struct sock *to = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_frame;) {
		struct out_frame *f = &w->frame[i];
		const struct sa_path *path =
		    atomic_load_explicit(&f->sa->path, memory_order_acquire);
		struct sock *s = path && path->prepared ? socket_for(w, f, path) : NULL;
		if (unlikely(!s || s->fd < 0)) {
			worker_drop(w, s ? DROP_SEND : DROP_NO_PEER);
			i++;
			continue;
		}
		if (s != to || n == SOCK_TX_MAX || (n && tx[n - 1].df != f->df)) {
			send_messages(w, to, tx, n);
			to = s;
			n = 0;
		}
		struct sock_tx *m = &tx[n++];
		*m = (struct sock_tx){ .path = path->prepared,
				       .data = f->esp,
				       .len = f->len,
				       .seg = (uint16_t)f->len,
				       .n_pkts = 1,
				       .tos = f->whole ? 0 : f->tos,
				       .df = f->df };
		w->c.out_wire_packets++;
		bool last = false;
		for (i++; i < w->n_frame && !last && !f->whole && m->n_pkts < MESSAGE_SEGS; i++) {
			struct out_frame *g = &w->frame[i];
			if (g->sa != f->sa || g->esp != m->data + m->len || g->len > m->seg ||
			    g->tos != f->tos || g->df != f->df || m->len + g->len > MESSAGE_BYTES)
				break;
			last = g->len < m->seg;
			m->len += g->len;
			m->n_pkts++;
			w->c.out_wire_packets++;
		}
		w->c.out_wire_bytes += m->len;
	}
	send_messages(w, to, tx, n);
}

/* Into w->clear_way: the MTU of the way to the packet's destination, asked for at most once a
 * second while packets to it are too large. */
static uint32_t clear_mtu(struct worker *w, struct sock *s, const struct out_pkt *p)
{
	struct ip_addr to = flow_key_dst(&p->info.key);

	if (w->clear_way.mtu && w->now_ns - w->clear_way.ns < NS_PER_S &&
	    ip_addr_eq(&w->clear_way.to, &to))
		return w->clear_way.mtu;
	int mtu = sock_clear_mtu(s, &to);
	w->clear_way.to = to;
	w->clear_way.ns = w->now_ns;
	w->clear_way.mtu = mtu > 0 ? (uint32_t)mtu : 0;
	return w->clear_way.mtu;
}

/* Larger than the link it is to leave by, which the kernel does not do for us: what a router does
 * with it (RFC 1812 4.2.2.7, 5.2.7.1). */
static int send_too_big(struct worker *w, struct sock *s, const struct out_pkt *p,
			const uint8_t *ip, uint32_t len)
{
	uint32_t mtu = clear_mtu(w, s, p);
	bool may_fragment = p->info.key.ver == 4 && !(p->info.flags & PKT_DF);
	unsigned n = may_fragment && mtu ? frag4_count(ip, len, mtu) : 0;

	if (!may_fragment && mtu) {
		reply_too_big(w, p, mtu);
		return -EMSGSIZE;
	}
	uint8_t *at = w->side_arena +
		      SIDE_PACKET; /* the packet may lie in front: it was cut from a super-packet */
	if (n < 2 || mtu > SIDE_ARENA - SIDE_PACKET)
		return -EINVAL;
	w->c.fragmented++;
	for (unsigned i = 0; i < n; i++) {
		uint32_t part = frag4_make(ip, len, mtu, i, at);
		int rc = sock_send_clear(s, at, part);
		if (rc)
			return rc == -EMSGSIZE ? -EINVAL : rc;
	}
	return 0;
}

bool send_clear(struct worker *w, const struct out_pkt *p, const uint8_t *ip, uint32_t len)
{
	struct sock *s = &w->clear[ip[0] >> 4 == 6];
	int rc = s->fd < 0 ? -EBADF : sock_send_clear(s, ip, len);

	if (unlikely(rc == -EMSGSIZE))
		rc = send_too_big(w, s, p, ip, len);
	if (rc) {
		worker_drop(w, rc == -EMSGSIZE ? DROP_TOO_BIG : DROP_BYPASS);
		return rc != -EMSGSIZE;
	}
	w->c.bypass_packets++;
	w->c.bypass_bytes += len;
	return true;
}
