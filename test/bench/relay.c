/*
 * A tunnel without crypto, with the same TUN and UDP code as bumpwire: what the system calls alone
 * allow on a machine, and so the ceiling in `make bench`. Two threads, one a direction:
 *
 *   TUN -> UDP   read a super-packet, split it back to back into the send buffer, gather while
 *                there is more to read, one sendmmsg with UDP_SEGMENT
 *   UDP -> TUN   recvmmsg with UDP_GRO, join what follows each other, writev a super-packet
 *
 * With -1 every packet costs a system call on both sides, as in a tunnel without offloads.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/netlink.h"
#include "io/sock.h"
#include "io/tun.h"
#include "packet/gso.h"

#define SEND_ROOM (256 * 1024)     /* a super-packet always fits behind what flush_due() lets wait */
#define SEND_FULL (128 * 1024)     /* bytes that are worth a system call */
#define MSG_PKTS 64                /* packets in one UDP_SEGMENT message */
#define MSG_BYTES 65000
#define SOCK_BUFFER (4 * 1024 * 1024)

struct relay {
	bool single; /* -1 */
	struct tun tun;
	struct sock sock;
	struct sock_path path;
	struct sock_rxq *rxq;
	/* TUN -> UDP */
	uint8_t read_buf[TUN_READ_MAX];
	uint8_t send_buf[SEND_ROOM];
	uint32_t used;
	struct sock_tx msg[SOCK_TX_MAX];
	unsigned n_msg;
};

static struct relay relay;

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)!poll(&p, 1, -1);
}

static void flush(struct relay *r)
{
	struct sock_tx_result res;

	if (r->n_msg)
		sock_send(&r->sock, r->msg, r->n_msg, &res);
	r->n_msg = 0;
	r->used = 0;
}

/* Room for one packet of len bytes at the end of the send buffer, entered into the messages: into
 * the last one while its packets are of one size and only the last is shorter. */
static uint8_t *send_room(struct relay *r, uint32_t len)
{
	if (r->used + len > SEND_ROOM)
		flush(r);
	struct sock_tx *m = r->n_msg ? &r->msg[r->n_msg - 1] : NULL;
	uint8_t *at = r->send_buf + r->used;

	if (m && len <= m->seg && m->len == (uint32_t)m->seg * m->n_pkts && m->n_pkts < MSG_PKTS &&
	    m->len + len <= MSG_BYTES && !r->single) {
		m->len += len;
		m->n_pkts++;
	} else {
		if (r->n_msg == SOCK_TX_MAX || (r->single && r->n_msg)) {
			flush(r);
			at = r->send_buf;
		}
		r->msg[r->n_msg++] = (struct sock_tx){
			.path = &r->path,
			.data = at,
			.len = len,
			.seg = (uint16_t)len,
			.n_pkts = 1,
		};
	}
	r->used += len;
	return at;
}

static bool flush_due(const struct relay *r)
{
	return r->single || r->used >= SEND_FULL || r->n_msg == SOCK_TX_MAX;
}

/* What read() gave: a virtio header and a packet, of up to 64 KiB. */
static void split(struct relay *r, uint32_t len)
{
	const uint8_t *ip = r->read_buf + TUN_VNET_LEN;
	struct virtio_net_hdr vnet;
	struct pkt_info info;
	struct gso g;

	memcpy(&vnet, r->read_buf, sizeof(vnet));
	if (pkt_parse(ip, len, &info) != DROP_NONE ||
	    gso_open(&g, &vnet, ip, len, &info) != DROP_NONE)
		return;
	for (uint32_t i = 0; i < g.segs; i++)
		gso_segment(&g, i, send_room(r, gso_segment_len(&g, i)));
}

static void *tun_to_udp(void *arg)
{
	struct relay *r = arg;

	for (;;) {
		ssize_t n = read(r->tun.fd[0], r->read_buf, sizeof(r->read_buf));
		if (n > TUN_VNET_LEN) {
			split(r, (uint32_t)n - TUN_VNET_LEN);
			if (flush_due(r))
				flush(r);
		} else if (r->n_msg) {
			flush(r);
		} else {
			wait_readable(r->tun.fd[0]);
		}
	}
	return NULL;
}

static void write_run(struct relay *r, struct gro_run *run)
{
	gro_close(run);
	/* A full device drops, as any link does. */
	(void)!writev(r->tun.fd[0], run->iov, (int)run->n_iov);
}

/* One datagram, or with UDP_GRO several of seg bytes: neighbours that belong together are joined. */
static void join(struct relay *r, const struct sock_rx *rx)
{
	unsigned can = r->single ? 0 : r->tun.can;
	struct gro_run run;
	bool open = false;

	for (uint32_t off = 0; off < rx->len; off += rx->seg) {
		uint32_t len = rx->len - off < rx->seg ? rx->len - off : rx->seg;
		uint8_t *ip = rx->data + off;
		struct pkt_info info;

		if (pkt_parse(ip, len, &info) != DROP_NONE)
			continue;
		int joined = open ? gro_join(&run, ip, &info) : GRO_NONE;
		if (joined == GRO_NONE) {
			if (open)
				write_run(r, &run);
			gro_start(&run, ip, &info, can);
			open = true;
		} else if (joined == GRO_LAST) {
			write_run(r, &run);
			open = false;
		}
	}
	if (open)
		write_run(r, &run);
}

static void *udp_to_tun(void *arg)
{
	struct relay *r = arg;
	struct sock_rx rx[SOCK_RX_MAX];

	for (;;) {
		int n = sock_recv(&r->sock, r->rxq, rx, r->single ? 1 : SOCK_RX_MAX);
		if (n == 0)
			wait_readable(r->sock.fd);
		for (int i = 0; i < n; i++)
			join(r, &rx[i]);
	}
	return NULL;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "relay: %s: %s\n", what, why);
	return -1;
}

/* The device gets its address, MTU and the route to the other end. */
static int set_up_device(struct relay *r, const char *address, const char *route, const char *mtu)
{
	struct ip_prefix a, d;
	struct netlink *n;
	bool added;

	if (ip_prefix_parse(address, &a) || ip_prefix_parse(route, &d))
		return fail("addresses", "expected ADDRESS and ROUTE as addr or addr/len");
	int rc = netlink_open(&n);
	if (rc)
		return fail("netlink", strerror(-rc));
	rc = netlink_link_mtu(n, r->tun.ifindex, (uint32_t)strtoul(mtu, NULL, 10));
	if (!rc)
		rc = netlink_addr_add(n, r->tun.ifindex, &a, &added);
	if (!rc)
		rc = netlink_link_up(n, r->tun.ifindex, true);
	if (!rc)
		rc = netlink_route_add(n, r->tun.ifindex, &d, 0, NULL, 0);
	if (rc)
		fail(r->tun.name, netlink_why(n));
	netlink_close(&n);
	return rc;
}

static int set_up_socket(struct relay *r, const char *local, const char *remote, const char *port)
{
	struct sock_opts o = {
		.kind = SOCK_KIND_UDP,
		.port = (uint16_t)strtoul(port, NULL, 10),
		.gso = !r->single,
		.gro = !r->single,
		.rcvbuf = SOCK_BUFFER,
		.sndbuf = SOCK_BUFFER,
	};
	struct endpoint peer = { .port = o.port };
	char why[160];

	if (ip_addr_parse(local, &o.bind) || ip_addr_parse(remote, &peer.addr) ||
	    o.bind.ver != peer.addr.ver)
		return fail("addresses", "expected LOCAL and REMOTE of one IP version");
	o.ver = o.bind.ver;
	sock_path_set(&r->path, NULL, &peer);
	if (sock_open(&r->sock, &o, why, sizeof(why)))
		return fail("socket", why);
	r->rxq = sock_rxq_new(SOCK_RX_MAX, 65536);
	return r->rxq ? 0 : fail("receive buffers", strerror(ENOMEM));
}

int main(int argc, char **argv)
{
	struct relay *r = &relay;
	struct tun_opts o = { .queues = 1 };
	pthread_t thread[2];
	sigset_t end;
	char why[160];
	int sig;

	r->single = argc > 1 && strcmp(argv[1], "-1") == 0;
	if (argc - r->single != 8) {
		fprintf(stderr, "usage: relay [-1] TUN LOCAL REMOTE PORT ADDRESS ROUTE MTU\n");
		return 2;
	}
	argv += r->single;
	o.name = argv[1];
	o.offload = !r->single;
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	if (tun_open(&r->tun, &o, why, sizeof(why)))
		return fail(argv[1], why), 1;
	if (set_up_socket(r, argv[2], argv[3], argv[4]) ||
	    set_up_device(r, argv[5], argv[6], argv[7]))
		return 1;
	if (pthread_create(&thread[0], NULL, tun_to_udp, r) ||
	    pthread_create(&thread[1], NULL, udp_to_tun, r))
		return fail("thread", "cannot be started"), 1;
	/* The kernel takes the device away when the process ends. */
	sigwait(&end, &sig);
	return 0;
}
