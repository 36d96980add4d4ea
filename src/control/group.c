/*
 * Groups: an SA to a multicast group names an interface -> its index, which outbound paths and what is
 * joined need -> a sorted list of what should be joined, each once, and from anyone where one SA is for
 * anyone -> leave what is no longer wanted, join what is new. IGMP and MLD are the system's.
 */
#include "control/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static int cmp_unsigned(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

/* Which socket, interface and group; sources aside. */
static int by_place(const struct plane_group *a, const struct plane_group *b)
{
	int c = cmp_unsigned(a->worker, b->worker);

	c = c ? c : cmp_unsigned(a->proto, b->proto);
	c = c ? c : cmp_unsigned(a->encap, b->encap);
	c = c ? c : cmp_unsigned((unsigned)a->ifindex, (unsigned)b->ifindex);
	return c ? c : ip_addr_cmp(&a->dst, &b->dst);
}

/* Anyone (ver 0) stands in front of the sources. */
static int by_group(const void *x, const void *y)
{
	const struct joined_group *a = x, *b = y;
	int c = by_place(&a->g, &b->g);

	return c ? c : ip_addr_cmp(&a->g.src, &b->g.src);
}

/* Who listens to anyone on a socket listens to each source, too. */
static unsigned without_covered(struct joined_group *v, unsigned n)
{
	unsigned m = 0;

	for (unsigned i = 0; i < n; i++)
		if (m == 0 || by_place(&v[m - 1].g, &v[i].g) != 0 ||
		    (v[m - 1].g.src.ver && !ip_addr_eq(&v[m - 1].g.src, &v[i].g.src)))
			v[m++] = v[i];
	return m;
}

static struct joined_group *wanted(struct daemon *d, unsigned *n)
{
	unsigned max = 0;

	for (unsigned i = 0; i < d->n_sas; i++)
		max += d->sas[i].sa->group && d->sas[i].sa->dir == DIR_IN;
	struct joined_group *v = calloc(max + 1, sizeof(*v));
	*n = 0;
	for (unsigned i = 0; v && i < d->n_sas; i++) {
		const struct sa *sa = d->sas[i].sa;
		int ifindex = sa->group && sa->dir == DIR_IN ? atomic_load(&sa->ifindex) : 0;
		if (ifindex)
			plane_group_of(d->plane, sa, ifindex, &v[(*n)++].g);
	}
	if (v && *n) {
		qsort(v, *n, sizeof(*v), by_group);
		*n = without_covered(v, *n);
	}
	return v;
}

static void say(const struct joined_group *j, int rc)
{
	char group[IP_ADDR_STRLEN], src[IP_ADDR_STRLEN] = "anyone";

	ip_addr_format(&j->g.dst, group);
	if (j->g.src.ver)
		ip_addr_format(&j->g.src, src);
	if (rc == 0)
		log_info(LOG_NET, "multicast group %s, from %s, joined on interface %d", group, src, j->g.ifindex);
	else
		log_warn(LOG_NET, "multicast group %s, from %s, cannot be joined on interface %d: %s", group, src,
			 j->g.ifindex,
			 rc == -ENOBUFS && j->g.dst.ver == 4
			     ? "more groups than net.ipv4.igmp_max_memberships allows"
			     : strerror(-rc));
}

static void join(struct daemon *d, struct joined_group *j, int failed_before)
{
	int rc = plane_join(d->plane, &j->g, true);

	j->joined = rc == 0;
	j->error = rc;
	if (rc != failed_before || rc == 0)
		say(j, rc);
}

static void join_all(struct daemon *d)
{
	unsigned n, n_old = d->n_groups;
	struct joined_group *v = wanted(d, &n), *old = d->groups;

	if (!v) {
		log_error(LOG_NET, "multicast groups: %s", strerror(ENOMEM));
		return;
	}
	/* first what goes: a socket does not listen to anyone and to some */
	for (unsigned i = 0; i < n_old; i++)
		if (old[i].joined && !bsearch(&old[i], v, n, sizeof(*v), by_group))
			(void)!plane_join(d->plane, &old[i].g, false); /* or its interface is gone, and all with it */
	for (unsigned i = 0; i < n; i++) {
		const struct joined_group *was = n_old ? bsearch(&v[i], old, n_old, sizeof(*old), by_group) : NULL;
		if (was && was->joined)
			v[i] = *was;
		else
			join(d, &v[i], was ? was->error : 0);
	}
	free(old);
	d->groups = v;
	d->n_groups = n;
}

void group_interface_of(struct daemon *d, struct sa *sa)
{
	struct netlink_link l;

	if (!sa->group || !sa->conf->interface)
		return;
	atomic_store(&sa->ifindex, netlink_link_get(d->nl, sa->conf->interface, &l) == 0 ? l.index : 0);
}

/* Outbound packets go by another interface, when there is another of that name. */
static void follow_interface(struct daemon *d, struct sa *sa)
{
	int was = atomic_load(&sa->ifindex);
	const struct sa_path *path = atomic_load(&sa->path);

	group_interface_of(d, sa);
	int is = atomic_load(&sa->ifindex);
	if (is == was)
		return;
	if (!is)
		log_warn(LOG_NET, "sa %s: there is no interface %s", sa->conf->name, sa->conf->interface);
	if (sa->dir == DIR_OUT && path && plane_set_path(d->plane, sa, &path->src, &path->dst))
		log_error(LOG_NET, "sa %s: %s", sa->conf->name, strerror(ENOMEM));
}

void group_look(struct daemon *d)
{
	bool any = false;

	if (!d->plane)
		return;
	for (unsigned i = 0; i < d->n_sas; i++) {
		if (!d->sas[i].sa->group)
			continue;
		any = true;
		follow_interface(d, d->sas[i].sa);
	}
	if (any || d->n_groups)
		join_all(d);
}

bool group_joined(const struct daemon *d, const struct sa *sa)
{
	int ifindex = atomic_load(&sa->ifindex);
	struct joined_group key = { .joined = false };

	if (!ifindex || !d->n_groups)
		return false;
	plane_group_of(d->plane, sa, ifindex, &key.g);
	const struct joined_group *j = bsearch(&key, d->groups, d->n_groups, sizeof(*d->groups), by_group);
	if (!j) {
		key.g.src = (struct ip_addr){ .ver = 0 };
		j = bsearch(&key, d->groups, d->n_groups, sizeof(*d->groups), by_group);
	}
	return j && j->joined;
}

void group_fini(struct daemon *d)
{
	free(d->groups);
	d->groups = NULL;
	d->n_groups = 0;
}
