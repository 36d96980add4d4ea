/*
 * IKE on the encapsulation port. It has a socket of its own there (RFC 3948 2.2 wants it to come
 * from the port that ESP comes from), so that however much ESP waits in the workers' sockets, in
 * either direction, IKE and keepalives find room.
 *
 * In: the first worker, which looks at that socket first in each of its turns, copies messages into
 * its ring and makes ike_fd readable; the control thread takes them from there. A worker and not
 * the control thread reads it because the kernel's UDP_GRO may join messages and ESP of one peer
 * into one buffer, whose first packet says where it goes: so any worker may find messages, and this
 * socket ESP. Out: the control thread sends by it.
 */
#include <errno.h>
#include <unistd.h>

#include "plane/internal.h"

#define MARKER_LEN 4
#define IKE_HEADER_LEN 28 /* RFC 7296 3.1 */

/* ---- the ring
 * ------------------------------------------------------------------------------------- */

static struct ike_record *record_at(struct ike_ring *r, uint32_t pos)
{
	return (struct ike_record *)(void *)(r->mem + pos % IKE_RING_BYTES);
}

bool ike_ring_push(struct ike_ring *r, const struct endpoint *remote, const struct endpoint *local,
		   const uint8_t *p, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire);
	uint32_t size = ((uint32_t)sizeof(struct ike_record) + len + 7) & ~7u;
	uint32_t to_end = IKE_RING_BYTES - head % IKE_RING_BYTES;
	uint32_t skip = size > to_end ? to_end : 0;

	if (len > IKE_RING_BYTES / 2 || used + skip + size > IKE_RING_BYTES)
		return false;
	if (skip) {
		/* at least eight bytes: sizes are multiples of eight */
		struct ike_record *end = record_at(r, head);
		end->size = skip;
		end->len = IKE_RECORD_SKIP;
		head += skip;
	}
	struct ike_record *rec = record_at(r, head);
	rec->size = size;
	rec->len = len;
	rec->remote = *remote;
	rec->local = *local;
	memcpy(rec + 1, p, len);
	atomic_store_explicit(&r->head, head + size, memory_order_release);
	return true;
}

struct ike_record *ike_ring_peek(struct ike_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (!r->mem || tail == atomic_load_explicit(&r->head, memory_order_acquire))
		return NULL;
	struct ike_record *rec = record_at(r, tail);
	if (rec->len != IKE_RECORD_SKIP)
		return rec;
	atomic_store_explicit(&r->tail, tail + rec->size, memory_order_release);
	return record_at(r, 0); /* a skip is always followed by a record */
}

void ike_ring_pop(struct ike_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + record_at(r, tail)->size, memory_order_release);
}

/* ---- the worker's
 * --------------------------------------------------------------------------------- */

static void wake(struct plane *p)
{
	uint64_t one = 1;

	if (!atomic_exchange_explicit(&p->ike_pending, true, memory_order_acq_rel))
		(void)!write(p->ike_fd, &one, sizeof(one));
}

void ike_hand_over(struct worker *w, const struct endpoint *local, const struct endpoint *remote,
		   const uint8_t *p, uint32_t len)
{
	if (!w->ike.mem)
		worker_drop(w, DROP_NO_IKE);
	else if (!ike_ring_push(&w->ike, remote, local, p, len))
		worker_drop(w, DROP_IKE_FULL);
	else
		wake(w->plane);
}

void ike_in(struct worker *w, const struct sock_rx *rx, const uint8_t *p, uint32_t len)
{
	struct endpoint local = { .addr = rx->to, .port = w->plane->opts.port }, remote;

	if (w->ike.mem && (len < MARKER_LEN + IKE_HEADER_LEN ||
			   endpoint_from_sockaddr((const struct sockaddr *)&rx->from, &remote) < 0))
		worker_drop(w, DROP_SHORT);
	else
		ike_hand_over(w, &local, &remote, p + MARKER_LEN, len - MARKER_LEN);
}

/* ---- the control thread's
 * ------------------------------------------------------------------------- */

int plane_ike_fd(const struct plane *p)
{
	return p->ike_fd;
}

unsigned plane_ike_take(struct plane *p, plane_ike_cb *cb, void *arg, unsigned max)
{
	uint64_t seen;
	unsigned n = 0;

	(void)!read(p->ike_fd, &seen, sizeof(seen));
	/* a full barrier: what a worker queued before it saw the flag still set must be seen below
	 */
	(void)atomic_exchange(&p->ike_pending, false);
	for (unsigned i = 0; i < p->n_workers; i++) {
		/* another worker first each time, so that a flood on one does not silence the
		 * others */
		struct ike_ring *r = &p->worker[(i + p->ike_first) % p->n_workers]->ike;
		struct ike_record *rec;
		while (n < max && (rec = ike_ring_peek(r))) {
			cb(arg, &rec->local, &rec->remote, (uint8_t *)(rec + 1), rec->len);
			ike_ring_pop(r);
			n++;
		}
	}
	p->ike_first++;
	if (n == max) /* perhaps more: look again soon */
		wake(p);
	return n;
}

struct sock *plane_control_sock(struct plane *p, uint8_t ver)
{
	struct sock *own = &p->ike_sock[ver == 6], *shared = &p->worker[0]->udp[ver == 6];

	return own->fd >= 0 ? own : shared->fd >= 0 ? shared : NULL;
}

int plane_send_ike(struct plane *p, const struct endpoint *local, const struct endpoint *remote,
		   struct span datagram)
{
	static uint8_t message[MARKER_LEN + UINT16_MAX]; /* the control thread's */
	struct sock_path path;
	struct sock *s = plane_control_sock(p, remote->addr.ver);

	if (!s)
		return -ENOTCONN;
	if (datagram.len > UINT16_MAX)
		return -EMSGSIZE;
	if (datagram.len)
		memcpy(message + MARKER_LEN, datagram.p, datagram.len);
	sock_path_set(&path, &local->addr, remote);
	return sock_send_one(s, &path, message, MARKER_LEN + (uint32_t)datagram.len);
}

int plane_send_keepalive_to(struct plane *p, const struct endpoint *local,
			    const struct endpoint *remote)
{
	static uint8_t keepalive = 0xff;
	struct sock_path path;
	struct sock *s = plane_control_sock(p, remote->addr.ver);

	if (!s)
		return -ENOTCONN;
	sock_path_set(&path, &local->addr, remote);
	return sock_send_one(s, &path, &keepalive, sizeof(keepalive));
}
