/*
 * Opening: each interface must be nobody else's; those that the box must not be seen on are made quiet (no ARP, no IPv6 of the box's, no
 * routing of what arrives); then the ports are opened. Closing goes the other way round. Nothing here makes frames pass: when we are
 * killed, the ports are two interfaces that nobody connects.
 */
#include "control/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const char *const side_name[] = { [BRIDGE_PROTECTED] = "protected", [BRIDGE_OPEN] = "open" };

/* ---- switches of an interface ------------------------------------------------------------------ */

/* One of the system's switches: /proc/sys/net/ipv4/conf/eth0/forwarding. -1: it is not there. */
static int switch_get(const char *ver, const char *dev, const char *what)
{
	char path[128], c = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", ver, dev, what);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	bool got = read(fd, &c, 1) == 1;
	close(fd);
	return got && c >= '0' && c <= '9' ? c - '0' : -1;
}

static int switch_set(const char *ver, const char *dev, const char *what, int value)
{
	char path[128], c = (char)('0' + value);
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", ver, dev, what);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, &c, 1) != 1)
		rc = -errno;
	close(fd);
	return rc;
}

/* Sets a switch that is there and stands otherwise; *changed tells. */
static int switch_to(const char *ver, const char *dev, const char *what, int value, bool *changed, char *why, size_t whylen)
{
	int is = switch_get(ver, dev, what);

	if (is < 0 || is == value)
		return 0;
	int rc = switch_set(ver, dev, what, value);
	if (rc)
		snprintf(why, whylen, "%s: net.%s.conf.%s.%s is %d and cannot be set: %s; set it to %d", dev, ver, dev, what, is,
			 strerror(-rc), value);
	else
		*changed = true;
	return rc;
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* Is the box to be invisible on this side? As a gateway it lives on the open side. A TAP device's other end is a host of its own. */
static bool is_quiet(const struct config_bridge *c, enum bridge_side side)
{
	return !c->port[side].tap && (c->host || side == BRIDGE_PROTECTED);
}

/* An interface in a bridge of the kernel's passes frames without us. The one that we have left there ourselves goes. */
static int release(struct netlink *nl, const struct config_bridge *c, const char *dev, int master, char *why, size_t whylen)
{
	struct netlink_link l;

	if (master == 0)
		return 0;
	if (c->on_exit_pass && netlink_link_get(nl, c->name, &l) == 0 && l.index == master && strcmp(l.kind, "bridge") == 0) {
		int rc = netlink_link_del(nl, master);
		if (rc)
			snprintf(why, whylen, "%s, left there by on_exit = pass, cannot be removed: %s", c->name, netlink_why(nl));
		return rc;
	}
	snprintf(why, whylen, "%s belongs to another interface (a bridge or bond), past which frames could go: take it out of that", dev);
	return -EBUSY;
}

static int quiet(struct bridge_net *b, struct netlink *nl, enum bridge_side side, const struct netlink_link *l, char *why, size_t whylen)
{
	const char *dev = b->port[side].name;
	struct bridge_was *was = &b->was[side];
	int rc = switch_to("ipv4", dev, "forwarding", 0, &was->forwarding, why, whylen);

	if (rc == 0)
		rc = switch_to("ipv6", dev, "disable_ipv6", 1, &was->v6, why, whylen);
	if (rc == 0 && !l->noarp) {
		rc = netlink_link_arp(nl, l->index, false);
		was->arp = rc == 0;
		if (rc)
			snprintf(why, whylen, "%s: ARP cannot be switched off: %s", dev, netlink_why(nl));
	}
	return rc;
}

static int open_side(struct bridge_net *b, struct netlink *nl, const struct config_bridge *c, enum bridge_side side, struct port_opts o,
		     char *why, size_t whylen)
{
	struct port *p = &b->port[side];
	struct netlink_link l;
	int rc;

	o.name = c->port[side].name;
	o.tap = c->port[side].tap;
	o.hide_own = !o.tap;
	if (!o.tap) {
		rc = netlink_link_get(nl, o.name, &l);
		if (rc) {
			snprintf(why, whylen, "%s: %s", o.name, netlink_why(nl));
			return rc;
		}
		rc = release(nl, c, o.name, l.master, why, whylen);
		if (rc)
			return rc;
	}
	rc = port_open(p, &o, why, whylen);
	if (rc == 0 && is_quiet(c, side))
		rc = quiet(b, nl, side, &l, why, whylen);
	if (rc == 0) {
		rc = netlink_link_up(nl, p->ifindex, true);
		if (rc)
			snprintf(why, whylen, "%s: %s", o.name, netlink_why(nl));
	}
	return rc;
}

int bridge_open(struct bridge_net *b, struct netlink *nl, const struct config_bridge *c, const struct port_opts *o, char *why,
		size_t whylen)
{
	int rc = 0;

	memset(b, 0, sizeof(*b));
	for (enum bridge_side s = 0; s < 2; s++)
		for (unsigned i = 0; i < TUN_MAX_QUEUES; i++)
			b->port[s].fd[i] = b->port[s].tun.fd[i] = -1;
	b->open = true;
	for (enum bridge_side s = 0; rc == 0 && s < 2; s++) {
		rc = open_side(b, nl, c, s, *o, why, whylen);
		if (rc) {
			char text[512];
			snprintf(text, sizeof(text), "%s port: %s", side_name[s], why);
			snprintf(why, whylen, "%s", text);
		}
	}
	if (rc) {
		struct config_bridge block = *c;
		block.on_exit_pass = false;
		bridge_close(b, nl, &block);
		return rc;
	}
	bridge_look(b, nl);
	if (c->on_exit_pass)
		log_warn(LOG_NET, "bridge %s: on_exit = pass: when bumpwire is stopped, all traffic passes in the clear; only when it is "
				  "killed does nothing pass", c->name);
	return 0;
}

void bridge_look(struct bridge_net *b, struct netlink *nl)
{
	uint32_t mtu[2] = { 0, 0 };

	for (enum bridge_side s = 0; s < 2; s++) {
		int m = netlink_link_get_mtu(nl, b->port[s].ifindex);
		mtu[s] = m > 0 ? (uint32_t)m : 0;
	}
	uint32_t least = mtu[0] < mtu[1] ? mtu[0] : mtu[1];
	if (least && least != b->mtu && mtu[0] != mtu[1])
		log_warn(LOG_NET, "bridge: mtu %u on %s and %u on %s: frames larger than the smaller one do not pass", mtu[0],
			 b->port[0].name, mtu[1], b->port[1].name);
	if (least)
		b->mtu = least;
}

/* ---- closing ---------------------------------------------------------------------------------- */

/* The kernel takes over: a bridge of its own between the ports, on which the box has no address. */
static void hand_over(const struct bridge_net *b, struct netlink *nl, const struct config_bridge *c)
{
	int index = 0;
	int rc = netlink_bridge_add(nl, c->name, &index);

	if (rc == 0)
		(void)!switch_set("ipv6", c->name, "disable_ipv6", 1);
	for (enum bridge_side s = 0; rc == 0 && s < 2; s++)
		rc = netlink_link_master(nl, b->port[s].ifindex, index);
	if (rc == 0)
		rc = netlink_link_up(nl, index, true);
	if (rc)
		log_error(LOG_NET, "bridge %s: on_exit = pass: the kernel's bridge cannot be made: %s: nothing passes", c->name,
			  netlink_why(nl));
	else
		log_warn(LOG_NET, "bridge %s: all traffic passes in the clear from now on (on_exit = pass)", c->name);
}

static void put_back(struct bridge_net *b, struct netlink *nl, enum bridge_side s)
{
	const char *dev = b->port[s].name;
	struct bridge_was *was = &b->was[s];

	/* an interface that is gone has nothing to put back */
	if (was->arp)
		(void)!netlink_link_arp(nl, b->port[s].ifindex, true);
	if (was->v6)
		(void)!switch_set("ipv6", dev, "disable_ipv6", 0);
	if (was->forwarding)
		(void)!switch_set("ipv4", dev, "forwarding", 1);
	*was = (struct bridge_was) { .arp = false };
}

void bridge_close(struct bridge_net *b, struct netlink *nl, const struct config_bridge *c)
{
	if (!b->open)
		return;
	bool pass = c && c->on_exit_pass && !c->port[0].tap && !c->port[1].tap;
	for (enum bridge_side s = 0; s < 2; s++) {
		port_close(&b->port[s]);
		if (!pass)
			put_back(b, nl, s);
	}
	if (pass)
		hand_over(b, nl, c);
	b->open = false;
}

json_t *bridge_status(const struct bridge_net *b, const struct config_bridge *c, uint64_t bridged)
{
	static const char *const rule[] = { [BRIDGE_DROP] = "drop", [BRIDGE_PASS] = "pass", [BRIDGE_POLICY] = "policy" };
	static const char *const kind[FRAME_KINDS] = { [FRAME_ARP] = "arp",   [FRAME_ND] = "nd",       [FRAME_DHCP] = "dhcp",
						       [FRAME_GROUP] = "group", [FRAME_LLDP] = "lldp", [FRAME_STP] = "stp",
						       [FRAME_EAPOL] = "eapol", [FRAME_OTHER] = "other" };
	json_t *rules = json_object();

	if (!b->open || !c) {
		json_decref(rules);
		return json_null();
	}
	for (unsigned k = 0; k < FRAME_KINDS; k++)
		if (kind[k])
			json_object_set_new(rules, kind[k], json_string(rule[c->rule[k]]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:I}", "name", c->name, "mode", c->host ? "host" : "gateway",
			 "protected", b->port[BRIDGE_PROTECTED].name, "open", b->port[BRIDGE_OPEN].name, "on_exit",
			 c->on_exit_pass ? "pass" : "block", "mtu", (int)b->mtu, "queues", (int)b->port[0].queues, "rules", rules,
			 "bridged", (json_int_t)bridged);
}
