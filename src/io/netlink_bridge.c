/* Links as ports of a bridge of the kernel's. */
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "io/netlink_priv.h"

int netlink_link_arp(struct netlink *n, int index, bool arp)
{
	struct netlink_req r;
	struct ifinfomsg *ifi;

	netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi = r.body;
	ifi->ifi_index = index;
	ifi->ifi_change = IFF_NOARP;
	ifi->ifi_flags = arp ? 0 : IFF_NOARP;
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_link_master(struct netlink *n, int index, int master)
{
	struct netlink_req r;

	netlink_req_init(&r, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)r.body)->ifi_index = index;
	mnl_attr_put_u32(r.nlh, IFLA_MASTER, (uint32_t)master);
	return netlink_talk(n, &r, NULL, NULL);
}

int netlink_bridge_add(struct netlink *n, const char *name, int *index)
{
	struct netlink_req r;

	netlink_req_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, name);
	struct nlattr *info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(r.nlh, info);
	int rc = netlink_talk(n, &r, NULL, NULL);
	return rc ? rc : netlink_link_index(n, name, index);
}

int netlink_link_del(struct netlink *n, int index)
{
	struct netlink_req r;

	netlink_req_init(&r, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)r.body)->ifi_index = index;
	return netlink_talk(n, &r, NULL, NULL);
}
