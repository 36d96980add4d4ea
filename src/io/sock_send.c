/*
 * Sending a batch: messages (runs of packets of one size for one destination) -> bursts of up to 64
 * datagrams with their control data, built on the stack -> sendmmsg, as often as it takes -> what
 * became of every packet.
 *
 * A cursor (message, offset) says what has not been put into a burst yet. When the kernel refuses a
 * datagram that relied on UDP_SEGMENT, the cursor goes back to it and its message is built again in
 * plain datagrams, so the order of packets stays. Every turn of a loop settles at least one packet
 * or turns one message from segmented to plain or spends the one retry of a message, so the loops
 * end.
 */
#define _GNU_SOURCE 1 /* sendmmsg, recvmmsg, struct in6_pktinfo */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "io/sock.h"

#define BURST        64     /* datagrams per sendmmsg */
#define GSO_MAX_SEGS 64     /* UDP_MAX_SEGMENTS; newer kernels take 128 */
#define GSO_MAX_LEN  65507u /* 65535 less IPv4 and UDP header */
#define NO_MESSAGE   SOCK_TX_MAX

/* Source address, TOS and segment size. */
#define CTL_BYTES (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(2))

union control {
	struct cmsghdr align;
	uint8_t b[CTL_BYTES];
};

struct burst {
	unsigned n;
	struct mmsghdr mm[BURST];
	struct iovec iov[BURST];
	union control ctl[BURST];
	uint16_t pkts[BURST]; /* packets in the datagram; more than one: UDP_SEGMENT */
	uint8_t owner[BURST]; /* index of its message */
};

struct send_state {
	struct sock *s;
	const struct sock_tx *m;
	unsigned n;
	struct sock_tx_result *res;
	unsigned i;       /* cursor: message */
	uint32_t off;     /* cursor: byte offset in it */
	unsigned plain;   /* message to build without UDP_SEGMENT, or NO_MESSAGE */
	unsigned doubt;   /* message whose EINVAL is still unexplained, or NO_MESSAGE */
	unsigned retried; /* message that has been retried after a pending error, or NO_MESSAGE */
};

static uint32_t tx_seg(const struct sock_tx *m)
{
	return m->n_pkts > 1 && m->seg > 0 ? m->seg : m->len;
}

static unsigned count_pkts(uint32_t len, uint32_t seg)
{
	return seg && len > seg ? (len + seg - 1) / seg : 1;
}

/* Packets of message i from byte off to its end. */
static unsigned pkts_left(const struct sock_tx *m, uint32_t off)
{
	return count_pkts(m->len - off, tx_seg(m));
}

static size_t put_control(uint8_t *at, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)at;

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	return CMSG_SPACE(len);
}

/* Returns the bytes written; seg 0: not segmented. The interface is only named for groups, of which the
 * routing table knows little. */
static size_t build_control(uint8_t *b, const struct sock *s, const struct sock_tx *m, uint16_t seg)
{
	size_t len = 0;

	if (s->ver == 4 && (m->path->src.ver == 4 || m->path->ifindex)) {
		struct in_pktinfo pi = { .ipi_ifindex = m->path->ifindex };

		memcpy(&pi.ipi_spec_dst, m->path->src.b, 4);
		len += put_control(b, IPPROTO_IP, IP_PKTINFO, &pi, sizeof(pi));
	} else if (s->ver == 6 && (m->path->src.ver == 6 || m->path->ifindex)) {
		struct in6_pktinfo pi = { .ipi6_ifindex = (unsigned)m->path->ifindex };

		memcpy(&pi.ipi6_addr, m->path->src.b, 16);
		len += put_control(b, IPPROTO_IPV6, IPV6_PKTINFO, &pi, sizeof(pi));
	}
	if (m->tos) { /* 0 is the socket's default */
		int tos = m->tos;

		len += put_control(b + len, s->ver == 4 ? IPPROTO_IP : IPPROTO_IPV6,
				   s->ver == 4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof(tos));
	}
	if (seg)
		len += put_control(b + len, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof(seg));
	return len;
}

/* Appends one datagram of message i. Plain datagrams of one message share the first one's control
 * data. */
static void burst_add(struct burst *b, const struct send_state *st, unsigned i, uint32_t len,
		      unsigned pkts)
{
	const struct sock_tx *m = &st->m[i];
	const unsigned k = b->n++;
	struct msghdr *h = &b->mm[k].msg_hdr;

	b->iov[k] = (struct iovec){ m->data + st->off, len };
	b->owner[k] = (uint8_t)i;
	b->pkts[k] = (uint16_t)pkts;
	h->msg_name = (void *)(uintptr_t)&m->path->dst;
	h->msg_namelen = m->path->dst_len;
	h->msg_iov = &b->iov[k];
	h->msg_iovlen = 1;
	h->msg_flags = 0;
	if (k > 0 && b->owner[k - 1] == i && pkts == 1 && b->pkts[k - 1] == 1) {
		h->msg_control = b->mm[k - 1].msg_hdr.msg_control;
		h->msg_controllen = b->mm[k - 1].msg_hdr.msg_controllen;
		return;
	}
	h->msg_control = &b->ctl[k];
	h->msg_controllen = build_control(b->ctl[k].b, st->s, m, pkts > 1 ? m->seg : 0);
	if (h->msg_controllen == 0)
		h->msg_control = NULL;
}

/* Fills a burst from the cursor on, up to its room or a change of df. */
static void burst_fill(struct burst *b, struct send_state *st)
{
	const bool df = st->m[st->i].df;

	b->n = 0;
	while (b->n < BURST && st->i < st->n && st->m[st->i].df == df) {
		const struct sock_tx *m = &st->m[st->i];
		uint32_t seg = tx_seg(m), len = m->len - st->off;
		unsigned most = 1;

		if (st->s->gso && st->plain != st->i && seg <= GSO_MAX_LEN && seg > 0) {
			most = GSO_MAX_LEN / seg;
			most = most > GSO_MAX_SEGS ? GSO_MAX_SEGS : most;
		}
		if (len > most * seg)
			len = most * seg;
		burst_add(b, st, st->i, len, count_pkts(len, seg));
		st->off += len;
		if (st->off >= m->len) {
			st->i++;
			st->off = 0;
		}
	}
}

/* Sets the cursor to datagram k, which is then built again. */
static void rewind_to(struct send_state *st, const struct burst *b, unsigned k)
{
	st->i = b->owner[k];
	st->off = (uint32_t)((const uint8_t *)b->iov[k].iov_base - st->m[st->i].data);
}

/* Counts datagram k, and those behind it of the same message and no less than min_len bytes, as
 * failed; what is true of it is true of them. Returns the first one not counted. */
static unsigned settle_failed(struct send_state *st, const struct burst *b, unsigned k, int err,
			      size_t min_len)
{
	const unsigned owner = b->owner[k];

	st->res->last_error = err;
	/* Plain datagrams fail as well: not the fault of UDP_SEGMENT. */
	if (owner == st->doubt)
		st->doubt = NO_MESSAGE;
	do {
		st->res->failed += b->pkts[k];
		if (err == EMSGSIZE)
			st->res->too_big += b->pkts[k];
		k++;
	} while (k < b->n && b->owner[k] == owner && b->iov[k].iov_len >= min_len);
	return k;
}

/* The kernel refused a datagram with UDP_SEGMENT. EIO: the device does no checksums, and will not
 * do any later. EMSGSIZE, and EINVAL from older kernels: a packet is larger than the path takes.
 * Without df the kernel fragments plain datagrams. EINVAL has other reasons too; if the packets
 * pass one by one with df, their size was not it (burst_sent). False when there is no point in
 * plain datagrams. */
static bool fall_back(struct send_state *st, unsigned i, int err)
{
	if (err != EIO && err != EINVAL && (err != EMSGSIZE || st->m[i].df))
		return false;
	st->s->gso_off++;
	st->plain = i;
	if (err == EIO)
		st->s->gso = false;
	if (err == EINVAL && st->m[i].df)
		st->doubt = i;
	return true;
}

static void burst_sent(struct send_state *st, const struct burst *b, unsigned from, unsigned n)
{
	for (unsigned k = from; k < from + n; k++) {
		st->res->sent += b->pkts[k];
		if (b->owner[k] == st->doubt) {
			st->s->gso = false;
			st->doubt = NO_MESSAGE;
		}
	}
}

/* No room in the socket: this and all that follows would only be refused again. */
static void settle_full(struct send_state *st, const struct burst *b, unsigned k)
{
	rewind_to(st, b, k);
	for (; st->i < st->n; st->i++, st->off = 0)
		st->res->full += pkts_left(&st->m[st->i], st->off);
	st->res->last_error = EAGAIN;
}

static bool is_icmp_error(int err)
{
	return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH || err == EPROTO ||
	       err == EINTR;
}

/* Sends the burst. Returns early when the cursor was set back. */
static void burst_send(struct send_state *st, struct burst *b)
{
	unsigned k = 0;

	while (k < b->n) {
		int r = sendmmsg(st->s->fd, b->mm + k, b->n - k, 0), err = errno;

		if (r > 0) {
			burst_sent(st, b, k, (unsigned)r);
			k += (unsigned)r;
		} else if (r == 0 || err == EAGAIN) {
			settle_full(st, b, k);
			return;
		} else if (b->pkts[k] > 1 && fall_back(st, b->owner[k], err)) {
			rewind_to(st, b, k);
			return;
		} else if (err == ENOBUFS) { /* this one's device queue; another may have room */
			st->res->full += b->pkts[k++];
			st->res->last_error = err;
		} else if (err == EPERM) { /* a packet filter's verdict on this one */
			k = settle_failed(st, b, k, err, SIZE_MAX);
		} else if (err == EMSGSIZE) {
			k = settle_failed(st, b, k, err, b->iov[k].iov_len);
		} else if (is_icmp_error(err) && st->retried != b->owner[k]) {
			/* Perhaps about an earlier packet, and with this call reported. */
			st->retried = b->owner[k];
		} else {
			k = settle_failed(st, b, k, err, 0);
		}
	}
}

/* DF as the next burst wants it: PROBE sets it and ignores the kernel's path MTU cache, since path
 * MTU is this program's own business; DONT lets the kernel fragment (for IPv6 too). Left as it is
 * if the kernel refuses: the packets are right but for this bit. */
static int set_df_option(struct sock *s, bool df)
{
	int v4 = df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
	int v6 = df ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT;

	return s->ver == 4 ? setsockopt(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4))
			   : setsockopt(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof(v6));
}

/* What it is set to is noted before it is set, and sock_send_one() notes "unknown" after it has set it:
 * so whatever the two do to each other, the note is never wrong. */
static void set_df(struct send_state *st)
{
	struct sock *s = st->s;
	const bool df = st->m[st->i].df;

	if (likely(atomic_load_explicit(&s->df_now, memory_order_relaxed) == df))
		return;
	atomic_store(&s->df_now, df);
	if (set_df_option(s, df) < 0) {
		atomic_store(&s->df_now, -1);
		st->res->last_error = errno;
	}
}

void sock_send(struct sock *s, const struct sock_tx *m, unsigned n, struct sock_tx_result *res)
{
	struct burst b; /* about 12 KiB; only what is used is written */
	struct send_state st = {
		.s = s,
		.m = m,
		.n = n > SOCK_TX_MAX ? SOCK_TX_MAX : n,
		.res = res,
		.plain = NO_MESSAGE,
		.doubt = NO_MESSAGE,
		.retried = NO_MESSAGE,
	};

	*res = (struct sock_tx_result){ 0 };
	while (st.i < st.n) {
		set_df(&st);
		burst_fill(&b, &st);
		burst_send(&st, &b);
	}
}

int sock_send_one(struct sock *s, const struct sock_path *path, uint8_t *data, uint32_t len)
{
	struct sock copy = *s; /* what becomes of GSO is its owner's business */
	struct sock_tx m = { .path = path, .data = data, .len = len, .n_pkts = 1 };
	struct sock_tx_result r;

	m.df = copy.df_now > 0;
	sock_send(&copy, &m, 1, &r);
	if (r.too_big && set_df_option(s, false) == 0) {
		atomic_store(&copy.df_now, 0);
		m.df = false;
		sock_send(&copy, &m, 1, &r);
		atomic_store(&s->df_now, -1); /* the owner sets it again */
	}
	return r.sent ? 0 : r.last_error ? -r.last_error : -EAGAIN;
}

int sock_send_clear(struct sock *s, const uint8_t *ip, uint32_t len)
{
	struct endpoint to = { 0 };
	struct sockaddr_storage sa;
	socklen_t sa_len;

	if (len < (s->ver == 4 ? 20 : 40) || ip[0] >> 4 != s->ver)
		return -EINVAL;
	to.addr = s->ver == 4 ? ip_addr_from_v4(ip + 16) : ip_addr_from_v6(ip + 24);
	sa_len = endpoint_to_sockaddr(&to, &sa);
	if (sendto(s->fd, ip, len, 0, (const struct sockaddr *)&sa, sa_len) < 0)
		return -errno;
	return 0;
}

int sock_clear_mtu(struct sock *s, const struct ip_addr *dst)
{
	struct endpoint to = { .addr = *dst };
	struct sockaddr_storage sa;
	socklen_t sa_len = endpoint_to_sockaddr(&to, &sa), n = sizeof(int);
	int mtu = 0, rc = 0;

	if (connect(s->fd, (const struct sockaddr *)&sa, sa_len) < 0)
		return -errno;
	if (getsockopt(s->fd, s->ver == 4 ? IPPROTO_IP : IPPROTO_IPV6, s->ver == 4 ? IP_MTU : IPV6_MTU, &mtu, &n) < 0)
		rc = -errno;
	/* or the source address that was chosen now would choose the way of packets to others */
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	(void)!connect(s->fd, &nowhere, sizeof(nowhere));
	return rc ? rc : mtu;
}
