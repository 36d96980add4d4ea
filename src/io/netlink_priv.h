/* What netlink.c and netlink_route.c share: building a request and talking to the kernel. */
#ifndef IO_NETLINK_PRIV_H
#define IO_NETLINK_PRIV_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "io/netlink.h"

/* Room for a request: the largest (a route with every attribute) takes less than a third of it. */
#define NETLINK_REQ_MAX 512

struct netlink_req {
	_Alignas(struct nlmsghdr) char buf[NETLINK_REQ_MAX];
	struct nlmsghdr *nlh;
	void *body; /* the family's fixed header, zeroed */
};

/* Starts a request of one type (RTM_*) with extra flags (NLM_F_CREATE, ...) and a body of body_len
 * bytes. */
void netlink_req_init(struct netlink_req *r, uint16_t type, uint16_t flags, size_t body_len);
/* Appends an address as an attribute; nothing for ver 0. */
void netlink_req_addr(struct netlink_req *r, uint16_t attr, const struct ip_addr *a);
/* AF_INET, AF_INET6; AF_UNSPEC for ver 0. */
uint8_t netlink_family(const struct ip_addr *a);
/* Reads an address attribute of either version; false when its length is neither 4 nor 16. */
bool netlink_attr_addr(const struct nlattr *at, struct ip_addr *out);

/* Sends the request and reads until the kernel acknowledges it. take (may be NULL) is called for
 * each message of the answer. Returns 0 or -errno, and leaves the reason in netlink_why(). */
int netlink_talk(struct netlink *n, struct netlink_req *r,
		 void (*take)(const struct nlmsghdr *nlh, void *arg), void *arg) warn_unused;
int netlink_fail(struct netlink *n, int err, const char *why);

/* By index when name is NULL. */
int netlink_link_query(struct netlink *n, const char *name, int index,
		       struct netlink_link *out) warn_unused;

#endif
