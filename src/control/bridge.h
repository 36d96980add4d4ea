/*
 * A bridge's two ports on the side of the system: opened so that only we pass frames between them, kept out of the system's own
 * networking, given back at the end. struct daemon has one; all of it is the control thread's.
 */
#ifndef CONTROL_BRIDGE_H
#define CONTROL_BRIDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "io/netlink.h"
#include "io/port.h"

/* What was changed of an interface, to be put back. */
struct bridge_was {
	bool arp;                     /* it answered ARP, and we switched that off */
	bool v6, forwarding;          /* IPv6 was on; it was forwarding IPv4 */
};

struct bridge_net {
	bool open;                    /* the ports are */
	struct port port[2];          /* by enum bridge_side */
	struct bridge_was was[2];
	uint32_t mtu;                 /* the smaller of the two, bytes */
};

/* Opens the ports for as many workers, quiet and up. 0, or -errno with a sentence; what was changed by then is put back. */
int bridge_open(struct bridge_net *b, struct netlink *nl, const struct config_bridge *c, const struct port_opts *o, char *why,
		size_t whylen) warn_unused;
/* Closes them. c says what happens then: nothing passes, or a bridge of the kernel's takes over. */
void bridge_close(struct bridge_net *b, struct netlink *nl, const struct config_bridge *c);
/* Looks at the MTU again. */
void bridge_look(struct bridge_net *b, struct netlink *nl);
/* For `status`: null without a bridge. */
json_t *bridge_status(const struct bridge_net *b, const struct config_bridge *c, uint64_t bridged);

#endif
