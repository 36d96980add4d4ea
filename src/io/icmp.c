#define _GNU_SOURCE 1 /* struct in6_pktinfo */
/* Raw sockets see an ICMP message before the kernel has looked at its checksum (IPv4; for IPv6 it has). */
#include "io/icmp.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet/csum.h"

#define ICMP_FILTER 1          /* linux/icmp.h, which does not go with netinet/ */
#define RCVBUF (128 * 1024)

int icmp_open(int ver, int *out)
{
	int size = RCVBUF, one = 1;
	int fd = socket(ver == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd < 0)
		return -errno;
	uint32_t all_but = ~(1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12);
	struct icmp6_filter f6;
	ICMP6_FILTER_SETBLOCKALL(&f6);
	for (int type = ICMP6_DST_UNREACH; type <= ICMP6_PARAM_PROB; type++)
		ICMP6_FILTER_SETPASS(type, &f6);
	ICMP6_FILTER_SETPASS(ND_REDIRECT, &f6);
	int rc = ver == 4 ? setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but, sizeof(all_but)) :
			    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f6, sizeof(f6));
	if (rc == 0)
		rc = ver == 4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) :
				setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	if (rc == 0)
		rc = setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (rc < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

int icmp_open_learner(uint8_t proto, uint32_t mark, int *out)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog prog = { .len = 1, .filter = nothing };
	int one = 1, fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	if (fd < 0)
		return -errno;
	/* errors pile up in its queue until that is full, which is as good as reading them */
	int rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	if (rc == 0)
		rc = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
	if (rc == 0 && mark)
		rc = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (rc < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

/* By which interface, and to which address. */
static void read_control(struct msghdr *h, struct icmp_from *from)
{
	struct in6_pktinfo i6;
	struct in_pktinfo i4;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&i4, CMSG_DATA(c), sizeof(i4));
			from->ifindex = (unsigned)i4.ipi_ifindex;
			from->to = ip_addr_from_v4((const uint8_t *)&i4.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&i6, CMSG_DATA(c), sizeof(i6));
			from->ifindex = i6.ipi6_ifindex;
			from->to = ip_addr_from_v6((const uint8_t *)&i6.ipi6_addr);
		}
	}
}

int icmp_take(int ver, int fd, uint8_t *buf, size_t max, struct icmp_from *from)
{
	union {
		struct cmsghdr align;
		uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct sockaddr_storage ss;
	struct iovec iov = { buf, max };
	struct msghdr h = { .msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct endpoint who;
	ssize_t n = recvmsg(fd, &h, MSG_TRUNC);

	if (n < 0)
		return -errno;
	if ((size_t)n > max || endpoint_from_sockaddr((const struct sockaddr *)&ss, &who) < 0)
		return 0;
	*from = (struct icmp_from) { .addr = who.addr };
	read_control(&h, from);
	if (ver == 6)
		return (int)n;
	size_t hdr = n > 0 ? (buf[0] & 15u) * 4 : 0;
	if (hdr < 20 || (size_t)n < hdr + 8 || csum_fold(csum_add(0, buf + hdr, (size_t)n - hdr)) != 0xffff)
		return 0;
	memmove(buf, buf + hdr, (size_t)n - hdr);
	return (int)((size_t)n - hdr);
}
