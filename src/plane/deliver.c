/*
 * Inner packets to the TUN device. Packets of one flow that follow each other are joined into a
 * super-packet and written with one system call; a few flows are joined at the same time, and the
 * order within a flow is kept.
 */
#include <errno.h>
#include <unistd.h>

#include "plane/worker.h"

static void write_iov(struct worker *w, const struct iovec *iov, int n, unsigned packets)
{
	w->c.tun_writes++;
	if (unlikely(writev(w->tun_fd, iov, n) < 0))
		w->c.drop.n[errno == EAGAIN || errno == ENOBUFS ? DROP_TUN_FULL : DROP_TUN_WRITE] +=
		    packets;
}

static void flush_slot(struct worker *w, struct gro_slot *s)
{
	if (!s->used)
		return;
	s->used = false;
	gro_close(&s->run);
	write_iov(w, s->run.iov, (int)s->run.n_iov, s->run.segs);
}

void deliver_packets(struct worker *w)
{
	for (unsigned i = 0; i < w->n_in; i++) {
		struct in_pkt *p = &w->in[i];
		struct gro_slot *s = &w->gro[p->hash % GRO_FLOWS];

		if (s->used && flow_key_eq(&s->key, &p->info.key)) {
			int joined = gro_join(&s->run, p->ip, &p->info);
			if (joined == GRO_LAST)
				flush_slot(w, s);
			if (joined != GRO_NONE)
				continue;
		}
		flush_slot(w, s);
		s->key = p->info.key;
		s->used = true;
		gro_start(&s->run, p->ip, &p->info, w->tun_can);
		if (!s->run.open)
			flush_slot(w, s);
	}
	for (unsigned i = 0; i < GRO_FLOWS; i++)
		flush_slot(w, &w->gro[i]);
}

void deliver_own(struct worker *w, const struct out_pkt *about, const uint8_t *ip, uint32_t len)
{
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[2] = { { &vnet, TUN_VNET_LEN }, { (void *)(uintptr_t)ip, len } };

	if (w->bridge)
		bridge_reply(w, about, ip, len);
	else if (len)
		write_iov(w, iov, 2, 1);
}
