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
#define DEST_UNREACH 3
#define RCVBUF (128 * 1024)

int icmp_open(int ver, int *out)
{
	int size = RCVBUF;
	int fd = socket(ver == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd < 0)
		return -errno;
	uint32_t all_but = ~(1u << DEST_UNREACH);
	struct icmp6_filter f6;
	ICMP6_FILTER_SETBLOCKALL(&f6);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &f6);
	int rc = ver == 4 ? setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but, sizeof(all_but)) :
			    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f6, sizeof(f6));
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

int icmp_take(int ver, int fd, uint8_t *buf, size_t max, struct ip_addr *from)
{
	struct sockaddr_storage ss;
	struct endpoint who;
	socklen_t ss_len = sizeof(ss);
	ssize_t n = recvfrom(fd, buf, max, MSG_TRUNC, (struct sockaddr *)&ss, &ss_len);

	if (n < 0)
		return -errno;
	if ((size_t)n > max || endpoint_from_sockaddr((const struct sockaddr *)&ss, &who) < 0)
		return 0;
	*from = who.addr;
	if (ver == 6)
		return (int)n;
	size_t hdr = n > 0 ? (buf[0] & 15u) * 4 : 0;
	if (hdr < 20 || (size_t)n < hdr + 8 || csum_fold(csum_add(0, buf + hdr, (size_t)n - hdr)) != 0xffff)
		return 0;
	memmove(buf, buf + hdr, (size_t)n - hdr);
	return (int)((size_t)n - hdr);
}
