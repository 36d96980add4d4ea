/* Orders by name: what "up", "down" and "rekey" mean for a connection or one of its children. */
#include "ike/engine.h"

#include <errno.h>
#include <stdio.h>

#include "ike/version.h"

/* What a name stands for. */
struct target {
	struct ike_conn *conn;
	unsigned ci; /* UINT32_MAX: the whole connection */
};

static unsigned child_by_name(const struct ike_conn *c, const char *name)
{
	for (unsigned k = 0; k < c->n_live; k++)
		if (strcmp(c->child[c->live[k]].conf->name, name) == 0)
			return c->live[k];
	return UINT32_MAX;
}

/* "conn/child". */
static bool find_pair(const struct ike *ike, const char *name, struct target *t)
{
	for (const char *slash = name; (slash = strchr(slash, '/')); slash++) {
		size_t n = (size_t)(slash - name);
		list_for_each (l, &ike->conns) {
			struct ike_conn *c = list_entry(l, struct ike_conn, link);
			if (strlen(c->conf->name) != n || memcmp(c->conf->name, name, n) != 0)
				continue;
			t->conn = c;
			t->ci = child_by_name(c, slash + 1);
			if (t->ci != UINT32_MAX)
				return true;
		}
	}
	return false;
}

static int find_target(const struct ike *ike, const char *name, struct target *t, char *why,
		       size_t whylen)
{
	unsigned found = 0;

	*t = (struct target){ .conn = ike_conn_find(ike, name), .ci = UINT32_MAX };
	if (t->conn || find_pair(ike, name, t))
		return 0;
	list_for_each (l, &ike->conns) {
		struct ike_conn *c = list_entry(l, struct ike_conn, link);
		unsigned ci = child_by_name(c, name);
		if (ci == UINT32_MAX)
			continue;
		*t = (struct target){ .conn = c, .ci = ci };
		found++;
	}
	if (found == 1)
		return 0;
	if (found)
		snprintf(why, whylen, "%u connections have a child %s: say which, as connection/%s",
			 found, name, name);
	else
		snprintf(why, whylen, "there is no connection, and no child of one, named %s",
			 name);
	return found ? -EINVAL : -ENOENT;
}

static bool wanted(const struct target *t, const struct ike_child *c)
{
	return c->state == IKE_CHILD_UP &&
	       (t->ci == UINT32_MAX || c->conf == t->conn->child[t->ci].conf);
}

static bool child_up(const struct ike_conn *conn, unsigned ci)
{
	struct target t = { .conn = (struct ike_conn *)conn, .ci = ci };

	list_for_each (l, &conn->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		list_for_each (k, &sa->children)
			if (!sa->over && wanted(&t, list_entry(k, struct ike_child, of_sa)))
				return true;
	}
	return false;
}

/* By order: it is not up, and needs no packet for its selectors. */
static bool startable(const struct ike_conn *conn, unsigned ci)
{
	return !conn->child[ci].conf->pfp && !child_up(conn, ci);
}

int ike_initiate(struct ike *ike, const char *name, uint64_t *order, char *why, size_t whylen)
{
	struct target t;
	unsigned n = 0;
	int rc = find_target(ike, name, &t, why, whylen);

	if (rc)
		return rc;
	if (!ike_conn_initiable(t.conn)) {
		snprintf(why, whylen,
			 "connection %s does not say where its peer is: set remote_addrs to one "
			 "address or name, or let the peer start",
			 t.conn->conf->name);
		return -EINVAL;
	}
	const unsigned *which = t.ci == UINT32_MAX ? t.conn->live : &t.ci;
	unsigned n_which = t.ci == UINT32_MAX ? t.conn->n_live : 1, by_packet = 0;
	for (unsigned k = 0; k < n_which; k++) {
		by_packet += t.conn->child[which[k]].conf->pfp != 0;
		n += startable(t.conn, which[k]);
	}
	if (n_which && by_packet == n_which) {
		snprintf(why, whylen,
			 "%s takes its selectors from packets (pfp): the first packet starts it", name);
		return -EINVAL;
	}
	bool sa_only = t.conn->n_live == 0 && t.conn->n_up == 0;
	if (n == 0 && !sa_only) {
		snprintf(why, whylen, "%s is up already", name);
		return -EALREADY;
	}
	ike_enter(ike);
	t.conn->tries = 0;
	*order = ike_order_new(ike, sa_only ? 1 : n);
	if (sa_only)
		ike_conn_want(t.conn, IKE_WANT_SA, *order, NULL);
	for (unsigned k = 0; k < n_which; k++)
		if (startable(t.conn, which[k]))
			ike_conn_want(t.conn, which[k], *order, NULL);
	ike_leave(ike);
	return 0;
}

/* Is the SA one that an order can be about? */
static bool live(const struct ike_sa *sa)
{
	return !sa->over && sa->state != IKE_ST_REKEYED && sa->state != IKE_ST_DELETING;
}

/* IKEv1: the children of an SA that was replaced stay its own until the new one takes them. */
static bool has_live_children(const struct ike_sa *sa)
{
	return live(sa) || (sa->major == 1 && !sa->over && sa->state == IKE_ST_REKEYED);
}

static unsigned count_children(const struct target *t)
{
	unsigned n = 0;

	list_for_each (l, &t->conn->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		list_for_each (k, &sa->children)
			n += has_live_children(sa) && wanted(t, list_entry(k, struct ike_child, of_sa));
	}
	return n;
}

static unsigned count_sas(const struct target *t)
{
	unsigned n = 0;

	list_for_each (l, &t->conn->sas)
		n += live(list_entry(l, struct ike_sa, of_conn));
	return n;
}

/* Nothing of it is to be tried again. */
static bool drop_wants(const struct target *t, const char *why)
{
	bool any = false;

	list_for_each_safe (l, &t->conn->wanted) {
		struct ike_want *w = list_entry(l, struct ike_want, link);
		if (t->ci != UINT32_MAX && w->ci != t->ci)
			continue;
		list_del(&w->link);
		ike_want_fail(t->conn, w, why);
		any = true;
	}
	return any;
}

/* Is the child being made? Then it ends as soon as it is there. */
static bool take_back(const struct target *t)
{
	bool any = false;

	if (t->ci == UINT32_MAX)
		return false;
	list_for_each (l, &t->conn->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (!live(sa) || !ike_version(sa)->making)
			continue;
		any = any || ike_version(sa)->making(sa, t->ci);
		list_for_each (k, &sa->wants)
			any = any || list_entry(k, struct ike_want, link)->ci == t->ci;
	}
	t->conn->child[t->ci].unwanted = any;
	return any;
}

static void close_sas(const struct target *t, uint64_t order)
{
	list_for_each_safe (l, &t->conn->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (!live(sa))
			continue;
		if (sa->state == IKE_ST_UP) {
			ike_version(sa)->sa_delete(sa, IKE_END_ORDER, order);
			continue;
		}
		ike_sa_kill(sa, IKE_END_ORDER, "closed by order");
		ike_order_done(t->conn->ike, order, t->conn, NULL, true, "closed");
	}
}

static void close_children(const struct target *t, uint64_t order)
{
	list_for_each_safe (l, &t->conn->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (!has_live_children(sa))
			continue;
		list_for_each_safe (k, &sa->children) {
			struct ike_child *c = list_entry(k, struct ike_child, of_sa);
			if (wanted(t, c))
				ike_version(c->sa)->child_delete(c, IKE_END_ORDER, order);
		}
	}
}

void ike_conn_close_child(struct ike_conn *c, unsigned ci)
{
	struct target t = { .conn = c, .ci = ci };

	ike_conn_untrap(c, ci);
	(void)drop_wants(&t, "the child is no longer configured");
	(void)take_back(&t);
	close_children(&t, 0);
}

int ike_terminate(struct ike *ike, const char *name, uint64_t *order, char *why, size_t whylen)
{
	struct target t;
	int rc = find_target(ike, name, &t, why, whylen);

	if (rc)
		return rc;
	ike_enter(ike);
	bool waiting = drop_wants(&t, "closed by order");
	waiting = take_back(&t) || waiting;
	unsigned n = t.ci == UINT32_MAX ? count_sas(&t) : count_children(&t);
	if (n == 0 && !waiting) {
		snprintf(why, whylen, "%s is not up", name);
		rc = -EALREADY;
	} else {
		*order = ike_order_new(ike, n ? n : 1);
		if (n == 0)
			ike_order_done(ike, *order, t.conn, NULL, true, "closed");
		else if (t.ci == UINT32_MAX)
			close_sas(&t, *order);
		else
			close_children(&t, *order);
	}
	ike_leave(ike);
	return rc;
}

int ike_rekey(struct ike *ike, const char *name, bool reauth, uint64_t *order, char *why,
	      size_t whylen)
{
	struct target t;
	unsigned n = 0;
	int rc = find_target(ike, name, &t, why, whylen);

	if (rc)
		return rc;
	bool child = t.ci != UINT32_MAX && !reauth;
	list_for_each (l, &t.conn->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		n += sa->state == IKE_ST_UP && !sa->over;
	}
	if (child)
		n = n ? count_children(&t) : 0;
	if (n == 0) {
		snprintf(why, whylen, "%s is not up", name);
		return -ENOENT;
	}
	ike_enter(ike);
	*order = ike_order_new(ike, n);
	list_for_each_safe (l, &t.conn->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (sa->state != IKE_ST_UP || sa->over)
			continue;
		if (reauth)
			ike_version(sa)->sa_reauth(sa, *order);
		else if (!child)
			ike_version(sa)->sa_rekey(sa, *order);
		list_for_each_safe (k, &sa->children) {
			struct ike_child *c = list_entry(k, struct ike_child, of_sa);
			if (child && wanted(&t, c))
				ike_version(c->sa)->child_rekey(c, *order);
		}
	}
	ike_leave(ike);
	return 0;
}

/* -- what the SAD tells -- */

void ike_child_expired(struct ike *ike, uint32_t reqid, uint32_t spi_in, bool hard)
{
	struct ike_child *c = ike_child_by_reqid(ike, reqid, spi_in);

	if (!c)
		return;
	ike_enter(ike);
	if (hard)
		ike_version(c->sa)->child_delete(c, IKE_END_EXPIRED, 0);
	else
		ike_version(c->sa)->child_rekey(c, 0);
	ike_leave(ike);
}

void ike_child_moved(struct ike *ike, uint32_t reqid, uint32_t spi_in,
		     const struct endpoint *remote)
{
	struct ike_child *c = ike_child_by_reqid(ike, reqid, spi_in);
	struct ike_sa *sa = c ? c->sa : NULL;

	/* the same rule as for IKE's own messages (RFC 7296 2.23) */
	if (!c || !c->udp || !sa->nat_remote || sa->over ||
	    (sa->nat_local && !ip_addr_eq(&sa->remote.addr, &remote->addr)))
		return;
	ike_enter(ike);
	struct endpoint local = sa->local;
	ike_sa_move(sa, &local, remote);
	ike_leave(ike);
}
