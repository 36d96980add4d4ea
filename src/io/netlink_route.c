/* Addresses, routes and rules by rtnetlink, and what the kernel's routing would do with a packet.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <string.h>
#include <sys/socket.h>

#include "io/netlink.h"
#include "io/netlink_priv.h"

/* --- addresses --- */

static int addr_talk(struct netlink *n, uint16_t type, uint16_t flags, int index,
		     const struct ip_prefix *a)
{
	struct netlink_req r;
	struct ifaddrmsg *ifa;

	netlink_req_init(&r, type, flags, sizeof(*ifa));
	ifa = r.body;
	ifa->ifa_family = netlink_family(&a->addr);
	ifa->ifa_prefixlen = a->len;
	ifa->ifa_index = (uint32_t)index;
	if (a->addr.ver == 6 && type == RTM_NEWADDR)
		ifa->ifa_flags = IFA_F_NODAD;
	netlink_req_addr(&r, IFA_LOCAL, &a->addr);
	netlink_req_addr(&r, IFA_ADDRESS, &a->addr);
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_addr_add(struct netlink *n, int index, const struct ip_prefix *a, bool *added)
{
	int err = addr_talk(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a);

	if (added)
		*added = err == 0;
	return err == -EEXIST ? 0 : err;
}

int netlink_addr_del(struct netlink *n, int index, const struct ip_prefix *a)
{
	return addr_talk(n, RTM_DELADDR, 0, index, a);
}

/* --- routes --- */

/* rtm_table has eight bits; RTA_TABLE has room for all numbers. */
static uint8_t table_byte(uint32_t table)
{
	return table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
}

static void route_req(struct netlink_req *r, uint16_t type, uint16_t flags, int index,
		      const struct ip_prefix *dst, uint32_t table)
{
	struct ip_addr net = ip_range_of_prefix(dst).lo;
	struct rtmsg *rtm;

	if (table == 0)
		table = RT_TABLE_MAIN;
	netlink_req_init(r, type, flags, sizeof(*rtm));
	rtm = r->body;
	rtm->rtm_family = netlink_family(&dst->addr);
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = table_byte(table);
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = index ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = index ? RTN_UNICAST : RTN_THROW;
	netlink_req_addr(r, RTA_DST, &net);
	if (index)
		mnl_attr_put_u32(r->nlh, RTA_OIF, (uint32_t)index);
	mnl_attr_put_u32(r->nlh, RTA_TABLE, table);
}

int netlink_route_add(struct netlink *n, int index, const struct ip_prefix *dst, uint32_t table,
		      const struct ip_addr *src, uint32_t mtu)
{
	struct netlink_req r;

	route_req(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, dst, table);
	if (src)
		netlink_req_addr(&r, RTA_PREFSRC, src);
	if (mtu) {
		struct nlattr *nest = mnl_attr_nest_start(r.nlh, RTA_METRICS);

		mnl_attr_put_u32(r.nlh, RTAX_MTU, mtu);
		mnl_attr_nest_end(r.nlh, nest);
	}
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_route_del(struct netlink *n, int index, const struct ip_prefix *dst, uint32_t table)
{
	struct netlink_req r;

	route_req(&r, RTM_DELROUTE, 0, index, dst, table);
	return netlink_talk(n, &r, NULL, NULL);
}

/* --- rules --- */

/* A rule that looks a table up; what it matches is the caller's. */
static void rule_req(struct netlink_req *r, uint16_t type, uint16_t flags, int ver, uint32_t table,
		     uint32_t priority)
{
	struct fib_rule_hdr *frh;

	netlink_req_init(r, type, flags, sizeof(*frh));
	frh = r->body;
	frh->family = ver == 6 ? AF_INET6 : AF_INET;
	frh->action = FR_ACT_TO_TBL;
	frh->table = table_byte(table);
	mnl_attr_put_u32(r->nlh, FRA_TABLE, table);
	mnl_attr_put_u32(r->nlh, FRA_PRIORITY, priority);
}

static int rule_talk(struct netlink *n, uint16_t type, uint16_t flags, int ver, uint32_t mark,
		     uint32_t table, uint32_t priority)
{
	struct netlink_req r;

	rule_req(&r, type, flags, ver, table, priority);
	((struct fib_rule_hdr *)r.body)->flags = FIB_RULE_INVERT;
	mnl_attr_put_u32(r.nlh, FRA_FWMARK, mark);
	mnl_attr_put_u32(r.nlh, FRA_FWMASK, UINT32_MAX);
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_rule_add(struct netlink *n, int ver, uint32_t mark, uint32_t table, uint32_t priority)
{
	return rule_talk(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, ver, mark, table, priority);
}

int netlink_rule_del(struct netlink *n, int ver, uint32_t mark, uint32_t table, uint32_t priority)
{
	return rule_talk(n, RTM_DELRULE, 0, ver, mark, table, priority);
}

static int rule_from_talk(struct netlink *n, uint16_t type, uint16_t flags, int ver,
			  const char *dev, uint32_t priority)
{
	struct netlink_req r;

	rule_req(&r, type, flags, ver, RT_TABLE_MAIN, priority);
	mnl_attr_put_strz(r.nlh, FRA_IIFNAME, dev);
	mnl_attr_put_u32(r.nlh, FRA_SUPPRESS_PREFIXLEN, 0);
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_rule_from_add(struct netlink *n, int ver, const char *dev, uint32_t priority)
{
	return rule_from_talk(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, ver, dev, priority);
}

int netlink_rule_from_del(struct netlink *n, int ver, const char *dev, uint32_t priority)
{
	return rule_from_talk(n, RTM_DELRULE, 0, ver, dev, priority);
}

/* --- what routing would do --- */

static void route_metrics(const struct nlattr *nest, struct netlink_route *out)
{
	const struct nlattr *at;

	mnl_attr_for_each_nested(at, nest)
	{
		if (mnl_attr_get_type(at) == RTAX_MTU && mnl_attr_get_payload_len(at) == 4)
			out->mtu = mnl_attr_get_u32(at);
	}
}

/* An IPv4 route through an IPv6 gateway (RFC 5549): family, then address. */
static void route_via(const struct nlattr *at, struct ip_addr *via)
{
	const struct rtvia *v = mnl_attr_get_payload(at);
	size_t len = mnl_attr_get_payload_len(at);

	if (len >= sizeof(*v) + 16 && v->rtvia_family == AF_INET6)
		*via = ip_addr_from_v6(v->rtvia_addr);
	else if (len >= sizeof(*v) + 4 && v->rtvia_family == AF_INET)
		*via = ip_addr_from_v4(v->rtvia_addr);
}

static void route_take(const struct nlmsghdr *nlh, void *arg)
{
	struct netlink_route *out = arg;
	const struct nlattr *at;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtmsg))
		return;
	mnl_attr_for_each(at, nlh, sizeof(struct rtmsg))
	{
		switch (mnl_attr_get_type(at)) {
		case RTA_OIF:
			if (mnl_attr_get_payload_len(at) == 4)
				out->ifindex = (int)mnl_attr_get_u32(at);
			break;
		case RTA_PREFSRC:
			(void)netlink_attr_addr(at, &out->src);
			break;
		case RTA_GATEWAY:
			(void)netlink_attr_addr(at, &out->via);
			break;
		case RTA_VIA:
			route_via(at, &out->via);
			break;
		case RTA_METRICS:
			route_metrics(at, out);
			break;
		}
	}
}

static int route_get(struct netlink *n, const struct ip_addr *dst, uint32_t mark, uint32_t flags,
		     struct netlink_route *out)
{
	struct netlink_req r;
	struct rtmsg *rtm;
	int err, mtu;

	memset(out, 0, sizeof(*out));
	netlink_req_init(&r, RTM_GETROUTE, 0, sizeof(*rtm));
	rtm = r.body;
	rtm->rtm_family = netlink_family(dst);
	rtm->rtm_dst_len = (uint8_t)(8 * ip_addr_bytes(dst));
	rtm->rtm_flags = flags;
	netlink_req_addr(&r, RTA_DST, dst);
	if (mark)
		mnl_attr_put_u32(r.nlh, RTA_MARK, mark);
	err = netlink_talk(n, &r, route_take, out);
	if (err)
		return err;
	if (out->ifindex == 0)
		return netlink_fail(n, -ENETUNREACH, NULL);
	if (out->mtu == 0) {
		mtu = netlink_link_get_mtu(n, out->ifindex);
		if (mtu < 0)
			return mtu;
		out->mtu = (uint32_t)mtu;
	}
	return 0;
}

int netlink_route_get(struct netlink *n, const struct ip_addr *dst, uint32_t mark,
		      struct netlink_route *out)
{
	return route_get(n, dst, mark, 0, out);
}

int netlink_route_mtu(struct netlink *n, const struct ip_addr *dst, uint32_t mark, uint32_t *mtu)
{
	struct netlink_route r;
	int rc = route_get(n, dst, mark, RTM_F_FIB_MATCH, &r);

	*mtu = rc ? 0 : r.mtu;
	return rc;
}
