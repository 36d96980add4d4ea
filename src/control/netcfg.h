/*
 * Addresses, routes and rules that belong to the TUN device. What is wanted follows from the
 * configuration (netcfg_plan(), no side effects); netcfg_add() brings in what is missing and
 * netcfg_drop() takes away what is not wanted any more.
 */
#ifndef CONTROL_NETCFG_H
#define CONTROL_NETCFG_H

#include <stdbool.h>

#include "config/config.h"
#include "io/netlink.h"
#include "io/tun.h"

/*
 * Routes of the TUN device must not catch our own packets: those to the peers, and those a bypass
 * policy lets go. When they could, the routes go into a table of their own, which everything but
 * packets with our mark is looked up in.
 */
#define NETCFG_TABLE         25186u
#define NETCFG_RULE_PRIORITY 25186u
/* Before that one: what comes out of the tunnel goes to networks that the main table knows, and not
 * back into the device because of a route that covers them. */
#define NETCFG_FROM_PRIORITY 25185u
#define NETCFG_MARK          0x6277u

struct net_item {
	struct ip_prefix prefix;
	uint32_t table;     /* routes: 0 main */
	struct ip_addr src; /* routes: of packets of our own; ver 0: the kernel chooses */
	bool ours;          /* we added it and take it away again */
	bool optional;      /* do without it, with a warning, where it cannot be added */
	bool away;          /* routes: not to the device, but back to the other tables */
};

/* What connections add to the file: routes of what they have negotiated, addresses of ours that
 * packets in transport mode come from, and where their peers are. */
struct netcfg_route {
	struct ip_prefix prefix;
	struct ip_addr src; /* ver 0: none */
};
struct netcfg_more {
	struct netcfg_route *route;
	unsigned n_route;
	struct ip_addr *addr;
	unsigned n_addr;
	struct ip_addr *peer;
	unsigned n_peer;
	struct ip_prefix *own; /* networks on our side: in a table of their own, routes must not
				  catch what goes there */
	unsigned n_own;
};

struct netcfg {
	uint32_t mtu;
	struct net_item *addr, *route;
	unsigned n_addr, n_route;
	char dev[TUN_NAME_LEN];     /* of the rules */
	uint32_t mark, table;
	bool rule[2], rule_ours[2]; /* IPv4, IPv6: both rules */
};

/* What the configuration wants, and the connections (more; NULL: none). peers[0..n): where outer
 * packets of the file's SAs go. mark: what our sockets set, 0 when they set none (no rule then).
 * Routes come out in order, each once. 0 or -ENOMEM. */
int netcfg_plan(const struct config *c, const struct ip_addr *peers, unsigned n,
		const struct netcfg_more *more, uint32_t mark, struct netcfg *out) warn_unused;
/* Adds what *want has and *have does not, and marks in *want what is ours. On failure everything
 * added is taken away again. 0, or -errno with a sentence. */
int netcfg_add(struct netlink *nl, int ifindex, const struct netcfg *have, struct netcfg *want,
	       char *why, size_t whylen) warn_unused;
/* Takes away what is ours in *have and not in *want (NULL: everything). */
void netcfg_drop(struct netlink *nl, int ifindex, const struct netcfg *have,
		 const struct netcfg *want);
void netcfg_fini(struct netcfg *n);

#endif
