/*
 * Receiving a batch: recvmmsg into buffers allocated once -> for each datagram its length, source,
 * local address, TOS and (UDP_GRO) segment size. The kernel writes the source address straight into
 * the caller's rx[]; only what it overwrites is set up again before each call.
 */
#define _GNU_SOURCE 1 /* sendmmsg, recvmmsg, struct in6_pktinfo */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/sock.h"

/* IP_PKTINFO or IPV6_PKTINFO, IP_TOS or IPV6_TCLASS, IPV6_FLOWINFO, UDP_GRO, with room to spare; and extension headers. */
#define CTL_BYTES     128
#define CTL_EXT_BYTES 2048

union control {
	struct cmsghdr align;
	uint8_t b[CTL_EXT_BYTES];
};

struct sock_rxq {
	unsigned n;
	uint32_t size;
	uint8_t *mem; /* n * size */
	struct mmsghdr mm[SOCK_RX_MAX];
	struct iovec iov[SOCK_RX_MAX];
	union control ctl[SOCK_RX_MAX];
};

struct sock_rxq *sock_rxq_new(unsigned n, uint32_t size)
{
	struct sock_rxq *q;

	if (n == 0 || n > SOCK_RX_MAX || size == 0 || size > (1u << 24))
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->n = n;
	q->size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	q->mem = aligned_alloc(CACHE_LINE, (size_t)n * q->size);
	if (!q->mem) {
		free(q);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		q->iov[i] = (struct iovec){ q->mem + (size_t)i * q->size, q->size };
		q->mm[i].msg_hdr.msg_iov = &q->iov[i];
		q->mm[i].msg_hdr.msg_iovlen = 1;
		q->mm[i].msg_hdr.msg_control = &q->ctl[i];
	}
	return q;
}

void sock_rxq_free(struct sock_rxq **q)
{
	if (!*q)
		return;
	free((*q)->mem);
	free(*q);
	*q = NULL;
}

static void take_ext(struct sock_rx *rx, const struct cmsghdr *c, uint8_t kind)
{
	if (rx->n_ext == SOCK_EXT_MAX)
		rx->truncated = true;
	else
		rx->ext[rx->n_ext++] = (struct sock_ext){ CMSG_DATA(c), (uint16_t)(c->cmsg_len - CMSG_LEN(0)), kind };
}

static void take_control(struct msghdr *h, struct sock_rx *rx)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		const uint8_t *data = CMSG_DATA(c);
		int v;

		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&v, data, sizeof(v));
			if (v > 0 && (uint32_t)v < rx->len)
				rx->seg = (uint32_t)v;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			rx->to = ip_addr_from_v4(data + offsetof(struct in_pktinfo, ipi_addr));
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			rx->tos = *data;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			rx->to = ip_addr_from_v6(data + offsetof(struct in6_pktinfo, ipi6_addr));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&v, data, sizeof(v));
			rx->tos = (uint8_t)v;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == SOCK_IPV6_FLOWINFO) {
			rx->flow = load_be32(data) & 0xfffff;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPOPTS) {
			take_ext(rx, c, IPPROTO_HOPOPTS);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RTHDR) {
			take_ext(rx, c, IPPROTO_ROUTING);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_DSTOPTS) {
			take_ext(rx, c, IPPROTO_DSTOPTS);
		}
	}
}

/* Takes the IPv4 header off. One that does not fit leaves an empty packet, which nothing above
 * accepts. */
static void strip_v4(struct sock_rx *rx)
{
	const uint8_t *ip = rx->data;
	uint32_t hdr = rx->len < 20 ? 0 : (ip[0] & 15u) * 4;
	uint32_t total;

	if (hdr < 20 || hdr > rx->len || ip[0] >> 4 != 4 || (total = load_be16(ip + 2)) < hdr) {
		rx->len = rx->seg = 0;
		return;
	}
	rx->tos = ip[1];
	rx->to = ip_addr_from_v4(ip + 16);
	if (total < rx->len)
		rx->len = total;
	rx->hdr_len = (uint8_t)hdr;
	rx->data += hdr;
	rx->len -= hdr;
	rx->seg = rx->len;
}

int sock_recv(struct sock *s, struct sock_rxq *q, struct sock_rx *rx, unsigned n)
{
	const bool raw4 = s->kind == SOCK_KIND_RAW && s->ver == 4;
	int got;

	if (n > q->n)
		n = q->n;
	for (unsigned i = 0; i < n; i++) {
		struct msghdr *h = &q->mm[i].msg_hdr;

		h->msg_name = &rx[i].from;
		h->msg_namelen = sizeof(rx[i].from);
		h->msg_controllen = raw4 ? 0 : s->ext ? CTL_EXT_BYTES : CTL_BYTES;
	}
	got = recvmmsg(s->fd, q->mm, n, MSG_DONTWAIT, NULL);
	/* A pending ICMP error (of something sent before) is reported once, instead of data. */
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		got = recvmmsg(s->fd, q->mm, n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < got; i++) {
		struct msghdr *h = &q->mm[i].msg_hdr;

		rx[i].data = q->iov[i].iov_base;
		rx[i].len = rx[i].seg = q->mm[i].msg_len;
		rx[i].to.ver = 0;
		rx[i].tos = 0;
		rx[i].flow = 0;
		rx[i].hdr_len = 0;
		rx[i].n_ext = 0;
		rx[i].truncated = (h->msg_flags & (s->ext ? MSG_TRUNC | MSG_CTRUNC : MSG_TRUNC)) != 0;
		if (raw4)
			strip_v4(&rx[i]);
		else
			take_control(h, &rx[i]);
	}
	return got;
}
