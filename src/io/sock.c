/*
 * Opening sockets: create -> options -> bind. Options no worker can do without are in one table, by
 * kind and version. Offloads, buffer sizes and the share of SPIs each have a function: GSO, GRO and
 * large buffers are taken where the kernel gives them.
 */
#include "io/sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/why.h"

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* To groups: through routers, not back to us; and in, only what is joined by this very socket. Of
 * little use, hence not an error, where a kernel has no multicast. */
static void set_groups(const struct sock *s)
{
	static const struct {
		uint8_t ver;
		int level, option, value;
	} rows[] = {
		{ 4, IPPROTO_IP, IP_MULTICAST_TTL, SOCK_GROUP_TTL },
		{ 4, IPPROTO_IP, IP_MULTICAST_LOOP, 0 },
		{ 4, IPPROTO_IP, IP_MULTICAST_ALL, 0 },
		{ 6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, SOCK_GROUP_TTL },
		{ 6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 },
		{ 6, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].ver == s->ver)
			(void)set_int(s->fd, rows[i].level, rows[i].option, rows[i].value);
}

int sock_join(struct sock *s, const struct ip_addr *group, const struct ip_addr *src, int ifindex, bool join)
{
	struct group_source_req one = { .gsr_interface = (uint32_t)ifindex };
	struct group_req any = { .gr_interface = (uint32_t)ifindex };
	int level = s->ver == 4 ? IPPROTO_IP : IPPROTO_IPV6, option, rc;
	struct endpoint g = { .addr = *group }, from = { .addr = src ? *src : *group };

	endpoint_to_sockaddr(&g, src ? &one.gsr_group : &any.gr_group);
	endpoint_to_sockaddr(&from, &one.gsr_source);
	if (src) {
		option = join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP;
		rc = setsockopt(s->fd, level, option, &one, sizeof(one));
	} else {
		option = join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP;
		rc = setsockopt(s->fd, level, option, &any, sizeof(any));
	}
	return rc < 0 ? -errno : 0;
}

struct opt_row {
	enum sock_kind kind;
	uint8_t ver;
	int level, option;
	const char *what;
};

/* All of these have been in Linux since before 4.x, so their absence is an error. Raw IPv4 is not
 * here: its header comes with each packet and says everything. */
static const struct opt_row opt_rows[] = {
	{ SOCK_KIND_UDP, 4, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO" },
	{ SOCK_KIND_UDP, 4, IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS" },
	{ SOCK_KIND_UDP, 6, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY" },
	{ SOCK_KIND_UDP, 6, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO" },
	{ SOCK_KIND_UDP, 6, IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS" },
	{ SOCK_KIND_UDP, 6, IPPROTO_IPV6, SOCK_IPV6_FLOWINFO, "IPV6_FLOWINFO" },
	{ SOCK_KIND_UDP, 6, IPPROTO_UDP, UDP_NO_CHECK6_RX, "UDP_NO_CHECK6_RX" },
	{ SOCK_KIND_RAW, 6, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO" },
	{ SOCK_KIND_RAW, 6, IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS" },
	{ SOCK_KIND_RAW, 6, IPPROTO_IPV6, SOCK_IPV6_FLOWINFO, "IPV6_FLOWINFO" },
};

static int set_common(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	for (unsigned i = 0; i < ARRAY_LEN(opt_rows); i++) {
		const struct opt_row *r = &opt_rows[i];

		if (r->kind == o->kind && r->ver == o->ver &&
		    !set_int(s->fd, r->level, r->option, 1))
			return why_say(-errno, why, whylen,
				       "cannot set socket option %s: %s", r->what, strerror(errno));
	}
	set_groups(s);
	if (o->reuse_port && o->kind == SOCK_KIND_UDP &&
	    !set_int(s->fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return why_say(-errno, why, whylen, "cannot set socket option SO_REUSEPORT: %s",
			       strerror(errno));
	if (o->mark && !set_int(s->fd, SOL_SOCKET, SO_MARK, (int)o->mark))
		return why_say(-errno, why, whylen,
			       "cannot set socket mark 0x%x: %s (CAP_NET_ADMIN)",
			       o->mark, strerror(errno));
	return 0;
}

/* Beyond net.core.[rw]mem_max only with CAP_NET_ADMIN; less than asked for is slower, not wrong. */
static void set_buffer(int fd, int force, int plain, uint32_t bytes)
{
	int v = bytes > INT32_MAX ? INT32_MAX : (int)bytes;

	if (v && !set_int(fd, SOL_SOCKET, force, v) && !set_int(fd, SOL_SOCKET, plain, v))
		log_info(LOG_NET, "socket buffer of %d bytes refused: %s", v, strerror(errno));
}

static int set_udp(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	int v = 0;
	socklen_t len = sizeof(v);

	if (o->zero_csum && o->ver == 4) {
		if (!set_int(s->fd, SOL_SOCKET, SO_NO_CHECK, 1))
			return why_say(-errno, why, whylen, "cannot send UDP checksum 0: %s",
				       strerror(errno));
	} else {
		s->gso = o->gso && getsockopt(s->fd, IPPROTO_UDP, UDP_SEGMENT, &v, &len) == 0;
	}
	s->gro = o->gro && set_int(s->fd, IPPROTO_UDP, UDP_GRO, 1);
	return 0;
}

static int attach(int fd, struct sock_filter *f, unsigned n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = f };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

/* Takes this socket's share of SPIs. The SPI is the first word of ESP and the second of AH; a raw
 * IPv4 socket's filter sees the IP header in front, a raw IPv6 socket's does not. A packet too
 * short for an SPI is no one's. */
static int attach_share(int fd, const struct sock_opts *o)
{
	const uint32_t at = o->proto == IPPROTO_AH ? 4 : 0;
	struct sock_filter v4[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X = IP header length */
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, at),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, o->shares),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, o->share, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter v6[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, o->shares),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, o->share, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return o->ver == 4 ? attach(fd, v4, ARRAY_LEN(v4)) : attach(fd, v6, ARRAY_LEN(v6));
}

/* Gives the sockets that share a UDP port each its share of SPIs, by the order they were bound in;
 * without it the kernel would choose by addresses and ports, and all that one peer sends would come
 * to one of them. What is too short for an SPI (keepalives) comes to the first. IKE behind its zero
 * marker comes to the one behind the last share, where there is one, else to the first. Attached to
 * the first, it holds for those that join. */
static int attach_udp_share(int fd, const struct sock_opts *o)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the first word; too short: returns 0 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, o->marker_apart ? o->shares : 0),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, o->shares),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(f), .filter = f };
	int rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog));

	return rc < 0 ? -errno : 0;
}

static bool divides_port(const struct sock_opts *o)
{
	return o->kind == SOCK_KIND_UDP && o->reuse_port && o->share == 0 &&
	       (o->shares > 1 || (o->shares == 1 && o->marker_apart));
}

static int set_raw(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	static const int ext[] = { IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS };
	int err;

	s->ext = o->ver == 6;
	for (unsigned i = 0; s->ext && i < ARRAY_LEN(ext); i++)
		if (!set_int(s->fd, IPPROTO_IPV6, ext[i], 1))
			return why_say(-errno, why, whylen, "cannot ask for extension headers: %s",
				       strerror(errno));

	if (o->shares <= 1)
		return 0;
	if (o->share >= o->shares)
		return why_say(-EINVAL, why, whylen, "share %u of %u", o->share, o->shares);
	err = attach_share(s->fd, o);
	return err ? why_say(err, why, whylen,
			     "cannot attach the SPI filter: %s", strerror(-err)) : 0;
}

static int bind_to(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	struct endpoint at = { .addr = o->bind, .port = o->kind == SOCK_KIND_UDP ? o->port : 0 };
	struct sockaddr_storage sa;
	char text[ENDPOINT_STRLEN];
	socklen_t len;

	if (at.addr.ver == 0)
		at.addr = ip_addr_any(o->ver);
	if (at.addr.ver != o->ver)
		return why_say(-EAFNOSUPPORT, why, whylen, "%s is not an IPv%u address",
			       endpoint_format(&at, text), o->ver);
	len = endpoint_to_sockaddr(&at, &sa);
	if (bind(s->fd, (const struct sockaddr *)&sa, len) == 0)
		return 0;
	return why_say(-errno, why, whylen, "cannot bind to %s: %s", endpoint_format(&at, text),
		       strerror(errno));
}

static int create(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	bool udp = o->kind == SOCK_KIND_UDP;

	*s = (struct sock){ .fd = -1, .kind = o->kind, .ver = o->ver, .df_now = -1 };
	if (o->ver != 4 && o->ver != 6)
		return why_say(-EAFNOSUPPORT, why, whylen, "IP version %u", o->ver);
	s->fd = socket(o->ver == 4 ? AF_INET : AF_INET6,
		       (udp ? SOCK_DGRAM : SOCK_RAW) | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       udp ? IPPROTO_UDP : o->proto);
	if (s->fd < 0)
		return why_say(-errno, why, whylen, "cannot open %s socket for IPv%u: %s%s",
			       udp ? "a UDP" : "a raw", o->ver, strerror(errno),
			       errno == EPERM ? " (CAP_NET_RAW)" : "");
	return 0;
}

int sock_open(struct sock *s, const struct sock_opts *o, char *why, size_t whylen)
{
	int err = create(s, o, why, whylen);

	if (err)
		return err;
	err = set_common(s, o, why, whylen);
	if (!err)
		err = o->kind == SOCK_KIND_UDP ? set_udp(s, o, why, whylen)
					       : set_raw(s, o, why, whylen);
	if (!err) {
		set_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF, o->rcvbuf);
		set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF, o->sndbuf);
		err = bind_to(s, o, why, whylen);
	}
	if (!err && divides_port(o) && attach_udp_share(s->fd, o) < 0)
		log_info(LOG_NET, "the packets of a port are not divided by SPI: %s",
			 strerror(errno));
	if (err)
		sock_close(s);
	return err;
}

void sock_close(struct sock *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	s->gso = s->gro = false;
}

void sock_path_set(struct sock_path *p, const struct ip_addr *src, const struct endpoint *dst)
{
	memset(p, 0, sizeof(*p));
	p->dst_len = endpoint_to_sockaddr(dst, &p->dst);
	if (src)
		p->src = *src;
}

uint32_t sock_addr_tag(const struct sockaddr_storage *a)
{
	uint64_t w[2] = { 0, 0 }, port;

	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *s4 = (const struct sockaddr_in *)a;
		w[0] = s4->sin_addr.s_addr;
		port = s4->sin_port;
	} else {
		const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)a;
		memcpy(w, &s6->sin6_addr, sizeof(w));
		port = s6->sin6_port;
	}
	uint64_t h =
	    (w[0] ^ port << 40) * 0x9e3779b97f4a7c15 ^ (w[1] + a->ss_family) * 0xc2b2ae3d27d4eb4f;
	return (uint32_t)(h >> 32) | 1;
}

int sock_open_clear(struct sock *s, uint8_t ver, uint32_t mark, char *why, size_t whylen)
{
	const struct sock_opts o = {
		.kind = SOCK_KIND_RAW, .ver = ver, .proto = IPPROTO_RAW, .mark = mark
	};
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	int err = create(s, &o, why, whylen);

	if (err)
		return err;
	/* What somebody sends as IP protocol 255 would only fill the receive buffer. */
	err = attach(s->fd, nothing, ARRAY_LEN(nothing));
	if (!err && !set_int(s->fd, ver == 4 ? IPPROTO_IP : IPPROTO_IPV6,
			     ver == 4 ? IP_HDRINCL : IPV6_HDRINCL, 1))
		err = -errno;
	if (!err && !set_int(s->fd, SOL_SOCKET, SO_BROADCAST, 1))
		err = -errno;
	set_groups(s);
	if (err)
		err = why_say(err, why, whylen, "cannot set up the raw IPv%u socket: %s", ver,
			      strerror(-err));
	else if (mark && !set_int(s->fd, SOL_SOCKET, SO_MARK, (int)mark))
		err = why_say(-errno, why, whylen,
			      "cannot set socket mark 0x%x: %s (CAP_NET_ADMIN)",
			      mark, strerror(errno));
	if (err)
		sock_close(s);
	return err;
}
