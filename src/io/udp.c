/* Opening: create -> options -> bind -> which port it was. Receiving and sending: one message each,
 * the local address in its control data (IP_PKTINFO, IPV6_PKTINFO). */
#define _GNU_SOURCE 1 /* struct in6_pktinfo */

#include "io/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_up(const struct udp *u, const struct udp_opts *o)
{
	bool v6 = o->ver == 6;
	int rc = v6 ? set_int(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;

	if (rc == 0)
		rc = v6 ? set_int(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
			: set_int(u->fd, IPPROTO_IP, IP_PKTINFO, 1);
	/* what the path does not carry goes in fragments: certificates make long messages */
	if (rc == 0)
		rc = v6 ? set_int(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
			: set_int(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (rc == 0 && o->mark)
		rc = set_int(u->fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	return rc;
}

static int bind_to(struct udp *u, const struct endpoint *at)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(at, &sa);
	struct endpoint got;

	if (bind(u->fd, (const struct sockaddr *)&sa, len) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(u->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	int rc = endpoint_from_sockaddr((const struct sockaddr *)&sa, &got);
	u->port = got.port;
	return rc;
}

int udp_open(struct udp *u, const struct udp_opts *o, char *why, size_t whylen)
{
	struct endpoint at = { .addr = o->bind, .port = o->port };
	char text[ENDPOINT_STRLEN];
	int rc;

	*u = (struct udp){ .fd = -1, .ver = o->ver };
	if (at.addr.ver == 0)
		at.addr = ip_addr_any(o->ver);
	if ((o->ver != 4 && o->ver != 6) || at.addr.ver != o->ver) {
		snprintf(why, whylen, "%s is not an IPv%u address", endpoint_format(&at, text),
			 o->ver);
		return -EAFNOSUPPORT;
	}
	u->fd = socket(o->ver == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       IPPROTO_UDP);
	if (u->fd < 0) {
		rc = -errno;
		snprintf(why, whylen, "cannot open a UDP socket for IPv%u: %s", o->ver,
			 strerror(-rc));
		return rc;
	}
	rc = set_up(u, o);
	if (rc)
		snprintf(why, whylen, "cannot set up the socket for %s: %s",
			 endpoint_format(&at, text), strerror(-rc));
	if (rc == 0 && (rc = bind_to(u, &at)) < 0)
		snprintf(why, whylen, "cannot bind to %s: %s", endpoint_format(&at, text),
			 strerror(-rc));
	if (rc)
		udp_close(u);
	return rc;
}

void udp_close(struct udp *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
}

static void take_local(struct msghdr *h, struct ip_addr *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		const uint8_t *data = CMSG_DATA(c);

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			*local = ip_addr_from_v4(data + offsetof(struct in_pktinfo, ipi_addr));
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			*local = ip_addr_from_v6(data + offsetof(struct in6_pktinfo, ipi6_addr));
	}
}

ssize_t udp_recv(struct udp *u, uint8_t *p, size_t max, struct endpoint *local,
		 struct endpoint *remote)
{
	struct sockaddr_storage from;
	struct iovec iov = { p, max };
	union control ctl;
	struct msghdr h = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &ctl,
			    .msg_controllen = sizeof(ctl) };
	ssize_t n;

	do {
		n = recvmsg(u->fd, &h, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*local = (struct endpoint){ .port = u->port };
	take_local(&h, &local->addr);
	int rc = endpoint_from_sockaddr((const struct sockaddr *)&from, remote);
	if (rc)
		return rc;
	return h.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

static void put_local(struct msghdr *h, union control *ctl, const struct ip_addr *local)
{
	struct in_pktinfo p4 = { 0 };
	struct in6_pktinfo p6 = { 0 };
	bool v6 = local->ver == 6;
	size_t len = v6 ? sizeof(p6) : sizeof(p4);

	memcpy(&p4.ipi_spec_dst, local->b, 4);
	memcpy(&p6.ipi6_addr, local->b, 16);
	ctl->align.cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	ctl->align.cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	ctl->align.cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(&ctl->align), v6 ? (const void *)&p6 : (const void *)&p4, len);
	h->msg_control = ctl;
	h->msg_controllen = CMSG_SPACE(len);
}

int udp_send(struct udp *u, const struct endpoint *local, const struct endpoint *remote,
	     struct span datagram)
{
	struct sockaddr_storage to;
	struct iovec iov = { (void *)(uintptr_t)datagram.p, datagram.len };
	struct msghdr h = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };
	union control ctl = { .b = { 0 } };
	ssize_t n = -1;

	if (remote->addr.ver != u->ver || (local->addr.ver && local->addr.ver != u->ver))
		return -EAFNOSUPPORT;
	h.msg_namelen = endpoint_to_sockaddr(remote, &to);
	if (local->addr.ver)
		put_local(&h, &ctl, &local->addr);
	/* an ICMP error about an earlier datagram is reported once, in place of sending */
	for (unsigned i = 0; n < 0 && i < 3; i++) {
		n = sendmsg(u->fd, &h, 0);
		if (n < 0 && errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH &&
		    errno != ENETUNREACH)
			break;
	}
	return n < 0 ? -errno : 0;
}
