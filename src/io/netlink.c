/*
 * The rtnetlink conversation: a request goes out with a sequence number, answers of other numbers
 * are skipped, the kernel's acknowledgement ends it. Every wait has an end: the socket has a
 * receive timeout, and the number of datagrams read for one request is bounded. Links are here, the
 * rest is in netlink_route.c.
 */
#include "io/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "io/netlink_priv.h"

#define REPLY_MAX       64 /* datagrams read for one request */
#define REPLY_TIMEOUT_S 5

struct netlink {
	struct mnl_socket *sock;
	uint32_t port;
	uint32_t seq;
	char why[256];
	_Alignas(struct nlmsghdr) char buf[32768]; /* the largest datagram the kernel sends */
};

int netlink_open(struct netlink **out)
{
	struct netlink *n = calloc(1, sizeof(*n));
	const struct timeval timeout = { .tv_sec = REPLY_TIMEOUT_S };
	int one = 1, err;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	n->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->sock)
		goto fail;
	/* Kernels without these give plain errno values and whole requests back; both are handled.
	 */
	(void)mnl_socket_setsockopt(n->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)mnl_socket_setsockopt(n->sock, NETLINK_CAP_ACK, &one, sizeof(one));
	if (setsockopt(mnl_socket_get_fd(n->sock), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) < 0 ||
	    mnl_socket_bind(n->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	n->port = mnl_socket_get_portid(n->sock);
	*out = n;
	return 0;
fail:
	err = -errno;
	netlink_close(&n);
	return err;
}

void netlink_close(struct netlink **n)
{
	if (!*n)
		return;
	if ((*n)->sock)
		mnl_socket_close((*n)->sock);
	free(*n);
	*n = NULL;
}

const char *netlink_why(const struct netlink *n)
{
	return n->why;
}

int netlink_fail(struct netlink *n, int err, const char *why)
{
	snprintf(n->why, sizeof(n->why), "%s", why ? why : strerror(-err));
	return err;
}

void netlink_req_init(struct netlink_req *r, uint16_t type, uint16_t flags, size_t body_len)
{
	r->nlh = mnl_nlmsg_put_header(r->buf);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	r->body = mnl_nlmsg_put_extra_header(r->nlh, body_len); /* zeroes it */
}

uint8_t netlink_family(const struct ip_addr *a)
{
	return a->ver == 4 ? AF_INET : a->ver == 6 ? AF_INET6 : AF_UNSPEC;
}

void netlink_req_addr(struct netlink_req *r, uint16_t attr, const struct ip_addr *a)
{
	if (a->ver)
		mnl_attr_put(r->nlh, attr, ip_addr_bytes(a), a->b);
}

bool netlink_attr_addr(const struct nlattr *at, struct ip_addr *out)
{
	uint16_t len = mnl_attr_get_payload_len(at);

	if (len == 4)
		*out = ip_addr_from_v4(mnl_attr_get_payload(at));
	else if (len == 16)
		*out = ip_addr_from_v6(mnl_attr_get_payload(at));
	return len == 4 || len == 16;
}

/* The sentence the kernel attached to its refusal; NULL when there is none. It follows the copy of
 * the request, which the kernel leaves out when it says NLM_F_CAPPED. */
static const char *ext_ack(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*e);
	const struct nlattr *at;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		if (e->msg.nlmsg_len < sizeof(e->msg))
			return NULL;
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	}
	if (MNL_ALIGN(skip) > mnl_nlmsg_get_payload_len(nlh))
		return NULL;
	mnl_attr_for_each(at, nlh, skip)
	{
		if (mnl_attr_get_type(at) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(at, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(at);
	}
	return NULL;
}

/* Reads one datagram of the answer. Returns 1 when the request is finished (*err is its outcome), 0
 * when more is to come. */
static int read_messages(struct netlink *n, size_t len,
			 void (*take)(const struct nlmsghdr *, void *), void *arg, int *err)
{
	const struct nlmsghdr *nlh = (const void *)n->buf;
	int left = (int)len;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != n->seq || nlh->nlmsg_pid != n->port)
			continue; /* a late answer to a request that timed out */
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
				*err = netlink_fail(n, -EBADMSG, NULL);
			else if (e->error)
				*err = netlink_fail(n, e->error, ext_ack(nlh));
			else
				*err = 0;
			return 1;
		}
		if (nlh->nlmsg_type == NLMSG_DONE) {
			*err = 0;
			return 1;
		}
		if (take && nlh->nlmsg_type >= NLMSG_MIN_TYPE)
			take(nlh, arg);
	}
	return 0;
}

int netlink_talk(struct netlink *n, struct netlink_req *r,
		 void (*take)(const struct nlmsghdr *, void *), void *arg)
{
	int err = 0;

	n->why[0] = '\0';
	r->nlh->nlmsg_seq = ++n->seq;
	if (mnl_socket_sendto(n->sock, r->nlh, r->nlh->nlmsg_len) < 0)
		return netlink_fail(n, -errno, NULL);
	for (unsigned i = 0; i < REPLY_MAX; i++) {
		ssize_t len = mnl_socket_recvfrom(n->sock, n->buf, sizeof(n->buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (len < 0)
			return netlink_fail(n, -errno, NULL);
		if (read_messages(n, (size_t)len, take, arg, &err))
			return err;
	}
	return netlink_fail(n, -ETIMEDOUT, "the kernel did not answer");
}

/* --- links --- */

static void link_tun_data(const struct nlattr *data, struct netlink_link *l)
{
	const struct nlattr *at;

	mnl_attr_for_each_nested(at, data)
	{
		uint16_t len = mnl_attr_get_payload_len(at);

		switch (mnl_attr_get_type(at)) {
		case IFLA_TUN_TYPE:
			l->tap = len == 1 && mnl_attr_get_u8(at) == IFF_TAP;
			break;
		case IFLA_TUN_MULTI_QUEUE:
			l->multi_queue = len == 1 && mnl_attr_get_u8(at) != 0;
			break;
		case IFLA_TUN_NUM_QUEUES:
			l->queues = len == 4 ? mnl_attr_get_u32(at) : 0;
			break;
		}
	}
}

static void link_info(const struct nlattr *info, struct netlink_link *l)
{
	const struct nlattr *at, *data = NULL;

	mnl_attr_for_each_nested(at, info)
	{
		if (mnl_attr_get_type(at) == IFLA_INFO_KIND &&
		    mnl_attr_validate(at, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(at));
		else if (mnl_attr_get_type(at) == IFLA_INFO_DATA)
			data = at;
	}
	if (data && strcmp(l->kind, "tun") == 0)
		link_tun_data(data, l);
}

static void link_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netlink_link *l = arg;
	const struct nlattr *at;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	l->index = ifi->ifi_index;
	l->up = (ifi->ifi_flags & IFF_UP) != 0;
	l->noarp = (ifi->ifi_flags & IFF_NOARP) != 0;
	mnl_attr_for_each(at, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(at) == IFLA_MTU && mnl_attr_get_payload_len(at) == 4)
			l->mtu = mnl_attr_get_u32(at);
		else if (mnl_attr_get_type(at) == IFLA_MASTER && mnl_attr_get_payload_len(at) == 4)
			l->master = (int)mnl_attr_get_u32(at);
		else if (mnl_attr_get_type(at) == IFLA_LINKINFO)
			link_info(at, l);
	}
}

int netlink_link_query(struct netlink *n, const char *name, int index, struct netlink_link *out)
{
	struct netlink_req r;
	int err;

	memset(out, 0, sizeof(*out));
	if (name && (!name[0] || strlen(name) >= IFNAMSIZ))
		return netlink_fail(n, -ENODEV, NULL);
	netlink_req_init(&r, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)r.body)->ifi_index = index;
	if (name)
		mnl_attr_put_strz(r.nlh, IFLA_IFNAME, name);
	err = netlink_talk(n, &r, link_take, out);
	if (err == 0 && out->index == 0)
		err = netlink_fail(n, -ENODEV, NULL);
	return err;
}

int netlink_link_get(struct netlink *n, const char *name, struct netlink_link *out)
{
	return netlink_link_query(n, name, 0, out);
}

int netlink_link_index(struct netlink *n, const char *name, int *index)
{
	struct netlink_link l;
	int err = netlink_link_query(n, name, 0, &l);

	*index = err ? 0 : l.index;
	return err;
}

int netlink_link_get_mtu(struct netlink *n, int index)
{
	struct netlink_link l;
	int err = netlink_link_query(n, NULL, index, &l);

	return err ? err : (int)l.mtu;
}

int netlink_link_up(struct netlink *n, int index, bool up)
{
	struct netlink_req r;
	struct ifinfomsg *ifi;

	netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi = r.body;
	ifi->ifi_index = index;
	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = up ? IFF_UP : 0;
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_link_mtu(struct netlink *n, int index, uint32_t mtu)
{
	struct netlink_req r;

	netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)r.body)->ifi_index = index;
	mnl_attr_put_u32(r.nlh, IFLA_MTU, mtu);
	return netlink_talk(n, &r, NULL, NULL);
}
