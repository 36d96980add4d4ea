/*
 * A packet socket for each queue, in one fanout group, so that the frames of a flow go to one of
 * them; or the queues of a TAP device. Received VLAN tags, which the system hands out beside the
 * frame, are told; sent ones stand in the header.
 */
#include "io/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/why.h"

#define SLOT (((PORT_FRAME_MAX + PORT_TAIL + 64 + 4095) / 4096) * 4096)
#define IP_AT 64 /* an IP header behind an untagged Ethernet header starts here: a cache line */
#define ETH_LEN 14

/* ---- opening --------------------------------------------------------------------------------- */

/* "not to this address": what the interface itself receives is the system's. */
static int hide_own(int fd, const uint8_t mac[6])
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, load_be32(mac), 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, load_be16(mac + 4), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static void buffers(int fd, const struct port_opts *o)
{
	if (o->rcvbuf && set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)o->rcvbuf))
		(void)!set(fd, SOL_SOCKET, SO_RCVBUF, (int)o->rcvbuf);
	if (o->sndbuf && set(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)o->sndbuf))
		(void)!set(fd, SOL_SOCKET, SO_SNDBUF, (int)o->sndbuf);
}

static int promiscuous(int fd, int ifindex)
{
	struct packet_mreq m = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC };

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? -errno : 0;
}

/* The first socket gets a group of its own from the system, the others join it. */
static int join_fanout(int fd, uint32_t *group)
{
	uint32_t arg = PACKET_FANOUT_HASH << 16 | *group;
	socklen_t len = sizeof(arg);

	if (*group == UINT32_MAX)
		arg = (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) < 0)
		return -errno;
	if (*group == UINT32_MAX && getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, &len) < 0)
		return -errno;
	*group = arg & 0xffff;
	return 0;
}

static int open_socket(struct port *p, const struct port_opts *o, unsigned i, uint32_t *group,
		       char *why, size_t whylen)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = p->ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0); /* protocol 0: nothing is received yet */
	int rc;

	if (fd < 0)
		return why_say(-errno, why, whylen, "%s: packet socket: %s%s", p->name,
			       strerror(errno), errno == EPERM ? " (CAP_NET_RAW)" : "");
	p->fd[i] = fd;
	buffers(fd, o);
	const struct {
		const char *what;
		int rc;
	} step[] = {
		{ "virtio headers", set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) },
		{ "VLAN tags", set(fd, SOL_PACKET, PACKET_AUXDATA, 1) },
		{ "leaving out what the system sends",
		  set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) },
		{ "mark", o->mark ? set(fd, SOL_SOCKET, SO_MARK, (int)o->mark) : 0 },
		{ "filter", o->hide_own ? hide_own(fd, p->mac) : 0 },
		{ "promiscuous mode", promiscuous(fd, p->ifindex) },
		{ "binding", bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0 },
	};
	for (unsigned k = 0; k < ARRAY_LEN(step); k++)
		if (step[k].rc)
			return why_say(step[k].rc, why, whylen,
				       "%s: packet socket, %s: %s", p->name,
				       step[k].what, strerror(-step[k].rc));
	rc = p->queues > 1 ? join_fanout(fd, group) : 0;
	return rc ? why_say(rc, why, whylen,
			    "%s: packet socket, fanout: %s", p->name, strerror(-rc))
		  : 0;
}

/* Before they were in the group, sockets got copies of each other's frames. */
static void drain(const struct port *p)
{
	uint8_t byte;

	for (unsigned i = 0; i < p->queues && p->queues > 1; i++)
		for (unsigned n = 0;
		     n < 100000 && recv(p->fd[i], &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0; n++)
			;
}

/* Index and address of the interface, which must be Ethernet. */
static int look(struct port *p, char *why, size_t whylen)
{
	struct ifreq r = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return why_say(-errno, why, whylen, "socket: %s", strerror(errno));
	memcpy(r.ifr_name, p->name, sizeof(p->name));
	p->ifindex = (int)if_nametoindex(p->name);
	if (p->ifindex == 0 || ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		err = why_say(-ENODEV, why, whylen, "there is no interface %s", p->name);
	else if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		err = why_say(-EINVAL, why, whylen, "%s is not an Ethernet interface", p->name);
	memcpy(p->mac, r.ifr_hwaddr.sa_data, sizeof(p->mac));
	close(fd);
	return err;
}

static int open_tap(struct port *p, const struct port_opts *o, char *why, size_t whylen)
{
	struct tun_opts to = { .name = o->name, .queues = o->queues, .offload = true, .tap = true };
	int rc = tun_open(&p->tun, &to, why, whylen);

	if (rc)
		return rc;
	memcpy(p->fd, p->tun.fd, sizeof(p->fd));
	p->can = p->tun.can & (TUN_CAN_TSO4 | TUN_CAN_TSO6 | TUN_CAN_USO4 | TUN_CAN_USO6);
	return look(p, why, whylen);
}

int port_open(struct port *p, const struct port_opts *o, char *why, size_t whylen)
{
	uint32_t group = UINT32_MAX;
	int rc = 0;

	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < TUN_MAX_QUEUES; i++)
		p->fd[i] = p->tun.fd[i] = -1;
	p->is_tap = o->tap;
	p->queues = o->queues;
	if (strlen(o->name) >= sizeof(p->name))
		return why_say(-ENAMETOOLONG, why, whylen, "interface \"%s\": the name is too long",
			       o->name);
	memcpy(p->name, o->name, strlen(o->name) + 1);
	if (o->queues < 1 || o->queues > TUN_MAX_QUEUES)
		return why_say(-EINVAL, why, whylen, "%s: %u queues, 1 to %d are possible", o->name,
			       o->queues, TUN_MAX_QUEUES);
	if (p->is_tap) {
		rc = open_tap(p, o, why, whylen);
	} else {
		p->can = TUN_CAN_TSO4 | TUN_CAN_TSO6; /* the system cuts up what a device cannot */
		rc = look(p, why, whylen);
		for (unsigned i = 0; rc == 0 && i < p->queues; i++)
			rc = open_socket(p, o, i, &group, why, whylen);
		if (rc == 0)
			drain(p);
	}
	if (rc)
		port_close(p);
	else
		log_info(LOG_NET, "bridge port %s: %s, %u queue%s", p->name,
			 p->is_tap ? "TAP device" : "interface", p->queues,
			 p->queues == 1 ? "" : "s");
	return rc;
}

void port_close(struct port *p)
{
	if (p->is_tap)
		tun_close(&p->tun);
	for (unsigned i = 0; i < TUN_MAX_QUEUES; i++) {
		if (p->fd[i] >= 0 && !p->is_tap)
			close(p->fd[i]);
		p->fd[i] = -1;
	}
	p->queues = 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

union aux {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

struct port_rxq {
	uint8_t *mem; /* a SLOT for each frame */
	struct virtio_net_hdr vnet[PORT_BATCH];
	struct mmsghdr msg[PORT_BATCH];
	struct iovec iov[PORT_BATCH][2];
	union aux aux[PORT_BATCH];
};

struct port_rxq *port_rxq_new(void)
{
	struct port_rxq *q = calloc(1, sizeof(*q));
	void *mem = mmap(NULL, (size_t)SLOT * PORT_BATCH, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!q || mem == MAP_FAILED) {
		if (mem != MAP_FAILED)
			munmap(mem, (size_t)SLOT * PORT_BATCH);
		free(q);
		return NULL;
	}
	q->mem = mem;
	for (unsigned i = 0; i < PORT_BATCH; i++) {
		q->iov[i][0] = (struct iovec) { &q->vnet[i], sizeof(q->vnet[i]) };
		q->iov[i][1] =
		    (struct iovec){ q->mem + (size_t)i * SLOT + IP_AT - ETH_LEN, PORT_FRAME_MAX };
		q->msg[i].msg_hdr = (struct msghdr){ .msg_iov = q->iov[i],
						     .msg_iovlen = 2,
						     .msg_control = &q->aux[i] };
	}
	return q;
}

void port_rxq_free(struct port_rxq **q)
{
	if (!*q)
		return;
	munmap((*q)->mem, (size_t)SLOT * PORT_BATCH);
	free(*q);
	*q = NULL;
}

static uint32_t tag_of(struct msghdr *m)
{
	struct tpacket_auxdata a;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			memcpy(&a, CMSG_DATA(c), sizeof(a));
			if (!(a.tp_status & TP_STATUS_VLAN_VALID))
				return 0;
			uint32_t tpid =
			    a.tp_status & TP_STATUS_VLAN_TPID_VALID ? a.tp_vlan_tpid : ETH_P_8021Q;
			return tpid << 16 | a.tp_vlan_tci;
		}
	return 0;
}

static void take(struct port_rxq *q, unsigned i, uint32_t len, struct port_rx *rx)
{
	*rx = (struct port_rx) { .p = q->iov[i][1].iov_base, .vnet = q->vnet[i] };
	rx->len = len > sizeof(q->vnet[i]) ? len - (uint32_t)sizeof(q->vnet[i]) : 0;
}

static unsigned recv_tap(int fd, struct port_rxq *q, struct port_rx *rx)
{
	unsigned n = 0;

	while (n < PORT_BATCH) {
		ssize_t len = readv(fd, q->iov[n], 2);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			break;
		take(q, n, (uint32_t)len, &rx[n]);
		n++;
	}
	return n;
}

unsigned port_recv(const struct port *p, unsigned queue, struct port_rxq *q,
		   struct port_rx rx[PORT_BATCH])
{
	if (p->is_tap)
		return recv_tap(p->fd[queue], q, rx);
	for (unsigned i = 0; i < PORT_BATCH; i++)
		q->msg[i].msg_hdr.msg_controllen = sizeof(q->aux[i]);
	int n = recvmmsg(p->fd[queue], q->msg, PORT_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		take(q, (unsigned)i, q->msg[i].msg_len, &rx[i]);
		rx[i].tag = tag_of(&q->msg[i].msg_hdr);
		rx[i].truncated = q->msg[i].msg_hdr.msg_flags & MSG_TRUNC;
	}
	return n > 0 ? (unsigned)n : 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

void port_tx_init(struct port_tx *t, const struct port *p, unsigned queue)
{
	memset(t, 0, sizeof(*t));
	t->port = p;
	t->fd = p->fd[queue];
}

void port_put(struct port_tx *t, const struct virtio_net_hdr *vnet, const uint8_t *head,
	      uint32_t head_len, const struct iovec *data, unsigned n, unsigned packets)
{
	if (t->n == PORT_TX_BATCH || t->n_iov + n + 2 > PORT_TX_IOV)
		port_flush(t);
	struct port_tx_one *o = &t->one[t->n++];
	o->vnet = *vnet;
	if (o->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		o->vnet.csum_start = (uint16_t)(o->vnet.csum_start + head_len);
	if (o->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		o->vnet.hdr_len = (uint16_t)(o->vnet.hdr_len + head_len);
	memcpy(o->head, head, head_len);
	o->head_len = (uint16_t)head_len;
	o->packets = (uint16_t)packets;
	o->iov = (uint16_t)t->n_iov;
	o->n_iov = (uint16_t)(n + 2);
	t->iov[t->n_iov++] = (struct iovec) { &o->vnet, sizeof(o->vnet) };
	t->iov[t->n_iov++] = (struct iovec) { o->head, head_len };
	memcpy(&t->iov[t->n_iov], data, n * sizeof(*data));
	t->n_iov += n;
}

static void refused(struct port_tx *t, const struct port_tx_one *o, int err)
{
	if (err == EAGAIN || err == ENOBUFS)
		t->full += o->packets;
	else
		t->failed += o->packets;
}

static void flush_tap(struct port_tx *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct port_tx_one *o = &t->one[i];
		if (writev(t->fd, &t->iov[o->iov], o->n_iov) < 0)
			refused(t, o, errno);
	}
}

static void flush_socket(struct port_tx *t)
{
	struct mmsghdr m[PORT_TX_BATCH];

	for (unsigned i = 0; i < t->n; i++)
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &t->iov[t->one[i].iov],
						      .msg_iovlen = t->one[i].n_iov } };
	for (unsigned i = 0; i < t->n;) {
		int n = sendmmsg(t->fd, m + i, t->n - i, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) { /* it is about the first one */
			refused(t, &t->one[i], errno);
			n = 1;
		}
		i += (unsigned)n;
	}
}

void port_flush(struct port_tx *t)
{
	if (t->n == 0)
		return;
	if (t->port->is_tap)
		flush_tap(t);
	else
		flush_socket(t);
	t->sends += t->n;
	t->n = t->n_iov = 0;
}
