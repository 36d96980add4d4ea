/* rtnetlink by libmnl: links, addresses, routes, rules of this namespace. Control thread only. */
#ifndef IO_NETLINK_H
#define IO_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct netlink; /* a socket and its receive buffer */

int netlink_open(struct netlink **out) warn_unused;
void netlink_close(struct netlink **n);

/*
 * All return 0 or -errno; no answer within five seconds is -ETIMEDOUT. The kernel's own words for
 * the failure, where it gives some (extended ack), else those of errno, are in netlink_why() until
 * the next call.
 */
const char *netlink_why(const struct netlink *n);

/* What is known of a link. */
struct netlink_link {
	int index;
	uint32_t mtu;     /* bytes */
	bool up;          /* administratively */
	bool noarp;
	int master;       /* index of the bridge or bond it belongs to; 0 none */
	char kind[16];    /* "tun", "veth", ...; empty for real hardware */
	bool tap;         /* kind tun: a TAP device */
	bool multi_queue; /* kind tun: made with IFF_MULTI_QUEUE */
	uint32_t queues;  /* kind tun, multi_queue: queues some process holds open */
};
/* -ENODEV when there is none of that name. */
int netlink_link_get(struct netlink *n, const char *name, struct netlink_link *out) warn_unused;
int netlink_link_index(struct netlink *n, const char *name, int *index) warn_unused;
int netlink_link_up(struct netlink *n, int index, bool up) warn_unused;
int netlink_link_mtu(struct netlink *n, int index, uint32_t mtu) warn_unused;
/* Whether the system speaks ARP there. */
int netlink_link_arp(struct netlink *n, int index, bool arp) warn_unused;
/* Makes it a port of a bridge; 0: of none. */
int netlink_link_master(struct netlink *n, int index, int master) warn_unused;
int netlink_link_del(struct netlink *n, int index) warn_unused;
/* A bridge of the kernel's, down. */
int netlink_bridge_add(struct netlink *n, const char *name, int *index) warn_unused;
/* MTU of a link, in bytes, or -errno. */
int netlink_link_get_mtu(struct netlink *n, int index) warn_unused;
/* The prefix length is that of the network on the link. IPv6: without duplicate address detection,
 * so that it can be used at once. An address that is there already is not an error; *added tells.
 */
int netlink_addr_add(struct netlink *n, int index, const struct ip_prefix *a,
		     bool *added) warn_unused;
int netlink_addr_del(struct netlink *n, int index, const struct ip_prefix *a) warn_unused;
/* table 0 is main. index 0: "throw", the search for dst goes on as if the table had nothing. src:
 * preferred source, ver 0 (or NULL) for none. mtu in bytes, 0 for none. Bits
 * of dst beyond its prefix length are ignored. A route that exists already: -EEXIST; one that is
 * not there to delete: -ESRCH. */
int netlink_route_add(struct netlink *n, int index, const struct ip_prefix *dst, uint32_t table,
		      const struct ip_addr *src, uint32_t mtu) warn_unused;
int netlink_route_del(struct netlink *n, int index, const struct ip_prefix *dst,
		      uint32_t table) warn_unused;
/* "not fwmark mark lookup table": everything but our own marked packets uses the table. The same
 * rule twice: -EEXIST; none to delete: -ENOENT. ver: 4 or 6. */
int netlink_rule_add(struct netlink *n, int ver, uint32_t mark, uint32_t table,
		     uint32_t priority) warn_unused;
int netlink_rule_del(struct netlink *n, int ver, uint32_t mark, uint32_t table,
		     uint32_t priority) warn_unused;
/* "iif dev lookup main suppress_prefixlength 0": what comes from the device goes where the main
 * table has a route for it that is not the default one; for the rest the rules behind decide. -EEXIST
 * and -ENOENT as above. */
int netlink_rule_from_add(struct netlink *n, int ver, const char *dev, uint32_t priority) warn_unused;
int netlink_rule_from_del(struct netlink *n, int ver, const char *dev, uint32_t priority) warn_unused;

struct netlink_route {
	int ifindex;        /* outgoing interface */
	uint32_t mtu;       /* of the route if set, else of the interface */
	struct ip_addr src; /* source address the kernel would use */
	struct ip_addr via; /* gateway, ver 0 when on link */
};
/* MTU of the way to dst (with this mark) by the routing table alone: of the route if it has one, else of the interface. Not what
 * the kernel has learned from ICMP. In bytes; 0 or -errno. */
int netlink_route_mtu(struct netlink *n, const struct ip_addr *dst, uint32_t mark, uint32_t *mtu) warn_unused;
/* What the kernel would do with a packet to dst (with this mark). */
int netlink_route_get(struct netlink *n, const struct ip_addr *dst, uint32_t mark,
		      struct netlink_route *out) warn_unused;

#endif
