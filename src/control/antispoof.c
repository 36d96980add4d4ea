/*
 * In: the configuration and the system's switches. First which policy protects a network behind this
 * machine, for IPv4 and for IPv6; then whether the system forwards that version; then, for IPv4,
 * whether each interface but those of the networks themselves checks the way back. What is left is
 * said.
 */
#include "control/antispoof.h"

#include <dirent.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "ike/conf.h"

#define RP_STRICT 1

/* What is protected, for one version of IP. */
struct behind {
	const char *kind, *name; /* "policy", "child"; NULL: there is none */
	struct ip_range net;
};

/* ---- networks behind this machine -------------------------------------------------------------
 */

static bool addr_of(const struct ifaddrs *i, struct ip_addr *out)
{
	struct endpoint e;

	if (!i->ifa_addr || endpoint_from_sockaddr(i->ifa_addr, &e))
		return false;
	*out = e.addr;
	return true;
}

/* One address only, and this machine has it, or will have it. */
static bool is_own(const struct config *c, const struct ifaddrs *all, const struct ip_range *r)
{
	struct ip_addr a;

	if (!ip_addr_eq(&r->lo, &r->hi))
		return false;
	for (unsigned i = 0; i < c->tun->n_address; i++)
		if (ip_addr_eq(&c->tun->address[i].addr, &r->lo))
			return true;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (addr_of(i, &a) && ip_addr_eq(&a, &r->lo))
			return true;
	return false;
}

static void consider(const struct config *c, const struct ifaddrs *all, const struct ip_range *r,
		     const char *kind, const char *name, struct behind b[2])
{
	struct behind *of = &b[r->lo.ver == 6];

	if (r->lo.ver && !of->name && !is_own(c, all, r))
		*of = (struct behind){ kind, name, *r };
}

static void find_behind(const struct config *c, const struct ifaddrs *all, struct behind b[2])
{
	for (unsigned i = 0; i < c->n_policy; i++) {
		const struct config_policy *p = &c->policy[i];
		if (p->action != POLICY_PROTECT || !(p->dirs & POLICY_DIR_IN))
			continue;
		for (unsigned j = 0; j < p->n_sel; j++)
			consider(c, all, &p->sel[j].local, "policy", p->name, b);
	}
	for (unsigned i = 0; c->ike && i < c->ike->n_conn; i++) {
		const struct ike_conn_conf *conn = &c->ike->conn[i];
		for (unsigned j = 0; j < conn->n_child; j++) {
			const struct ike_child_conf *k = &conn->child[j];
			for (unsigned t = 0; t < k->local_ts.n; t++) /* `dynamic`: our own address */
				if (!k->local_ts.ts[t].dynamic)
					consider(c, all, &k->local_ts.ts[t].range, "child", k->name, b);
		}
	}
}

/* ---- the system's switches --------------------------------------------------------------------
 */

/* -1: it cannot be read. */
static int switch_of(const char *sysctl, const char *ver, const char *dev, const char *what)
{
	char path[512];
	int value = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/conf/%s/%s", sysctl, ver, dev, what) >=
	    sizeof(path))
		return -1;
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

/* Does the interface lead to the network, by an address in it? With everything behind us that says
 * nothing. */
static bool leads_to(const struct ifaddrs *all, const char *dev, const struct ip_range *net)
{
	struct ip_range every = ip_range_all(net->lo.ver);
	struct ip_addr a;

	if (ip_range_covers(net, &every))
		return false;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (strcmp(i->ifa_name, dev) == 0 && addr_of(i, &a) && a.ver == net->lo.ver &&
		    ip_range_has(net, &a))
			return true;
	return false;
}

/* Does every interface where the far side's addresses must not appear check the way back? The higher
 * of an interface's switch and that of all counts. */
static bool all_strict(const struct config *c, const struct ifaddrs *all, const char *sysctl,
		       const struct ip_range *net)
{
	char path[512];
	int every = switch_of(sysctl, "ipv4", "all", "rp_filter");
	bool strict = true;
	const struct dirent *e;

	snprintf(path, sizeof(path), "%s/ipv4/conf", sysctl);
	DIR *d = opendir(path);
	if (!d)
		return true;
	while (strict && (e = readdir(d))) {
		const char *dev = e->d_name;
		if (*dev == '.' || strcmp(dev, "all") == 0 || strcmp(dev, "default") == 0 ||
		    strcmp(dev, "lo") == 0 || strcmp(dev, c->tun->name) == 0 ||
		    leads_to(all, dev, net))
			continue;
		int own = switch_of(sysctl, "ipv4", dev, "rp_filter");
		strict = (own > every ? own : every) == RP_STRICT;
	}
	closedir(d);
	return strict;
}

/* ---- what is said -----------------------------------------------------------------------------
 */

bool antispoof_hint(const struct config *c, const char *sysctl, char *out, size_t len)
{
	struct behind b[2] = {};
	struct ifaddrs *all = NULL;
	char net[IP_RANGE_STRLEN];

	if (!c->tun)
		return false;
	if (getifaddrs(&all))
		all = NULL;
	find_behind(c, all, b);
	bool v4 = b[0].name && switch_of(sysctl, "ipv4", "all", "forwarding") > 0 &&
		  !all_strict(c, all, sysctl, &b[0].net);
	bool v6 = b[1].name && switch_of(sysctl, "ipv6", "all", "forwarding") > 0;
	freeifaddrs(all);
	if (!v4 && !v6)
		return false;
	const struct behind *first = &b[!v4];
	snprintf(out, len,
		 "this machine forwards %s, and %s %s protects %s behind it: packets in the clear that claim to "
		 "come from the other side do not pass bumpwire, and the system forwards them. Have it refuse "
		 "them, by %sa rule of nft: bumpwire(8), ROUTES AND PEERS",
		 v4 && v6 ? "IPv4 and IPv6" : v4 ? "IPv4" : "IPv6", first->kind, first->name,
		 ip_range_format(&first->net, net),
		 v4 && v6 ? "rp_filter = 1 on the open interface (IPv4) and " :
		 v4	  ? "rp_filter = 1 on the open interface, or " :
			    "");
	return true;
}
