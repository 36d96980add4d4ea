/*
 * The addresses an IKE SA has of our pools: taken when its peer asks, given back when it ends. Both
 * are told. Who a peer is says XAUTH, when there was any, or else its identity.
 */
#include "ike/lease.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

#define WHO_LEN (IDENT_STRLEN + 8)

static const char *owner(const struct ike_sa *sa, char out[WHO_LEN])
{
	char id[IDENT_STRLEN];

	/* a user cannot be taken for somebody whose identity reads the same */
	if (sa->user)
		snprintf(out, WHO_LEN, "user %.*s", IDENT_STRLEN, sa->user);
	else
		snprintf(out, WHO_LEN, "%s", ident_format(&sa->remote_id, id, sizeof(id)));
	return out;
}

static void tell(const struct ike_sa *sa, enum ike_event_type type, const struct ike_lease *l)
{
	char addr[IP_ADDR_STRLEN], text[IDENT_STRLEN + 256];
	struct ike_event e = { .type = type,
			       .conn = sa->conn->conf->name,
			       .sa_id = sa->id,
			       .text = text,
			       .lease = l };

	snprintf(text, sizeof(text), "%s %s %s of pool %s", l->who,
		 type == IKE_EV_LEASE_GIVEN ? "gets" : "gives back", ip_addr_format(&l->addr, addr),
		 l->pool);
	ike_sa_log(sa, type == IKE_EV_LEASE_GIVEN ? LOG_LVL_NOTICE : LOG_LVL_INFO, "%s", text);
	sa->ike->env.event(sa->ike->env.ctx, &e);
}

const struct ike_pool_conf *ike_sa_lease(struct ike_sa *sa, unsigned i, const struct ip_addr *want)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	const struct ike_pool_conf *p = NULL;
	char who[WHO_LEN];
	int rc = -ENOENT;

	for (unsigned k = 0; k < c->n_pools; k++) {
		p = ike_conf_pool(sa->ike->conf, c->pools[k]);
		if (!p)
			continue;
		/* an SA that took children over has theirs already */
		if (sa->lease[i].ver)
			return p;
		rc = ike_lease_take(sa->ike->leases, p, i ? 6 : 4, owner(sa, who), &sa->remote, want,
				    clock_wall_ns(), &sa->lease[i]);
		if (rc == 0) {
			tell(sa, IKE_EV_LEASE_GIVEN, ike_lease_find(sa->ike->leases, &sa->lease[i]));
			return p;
		}
		sa->lease[i] = (struct ip_addr){ .ver = 0 };
	}
	if (rc != -ENOENT)
		ike_conn_failed(sa->conn, sa, 0,
				"no address of its pools is left for %s: make addrs of a pool larger",
				owner(sa, who));
	return NULL;
}

void ike_sa_leases_move(const struct ike_sa *sa)
{
	for (unsigned i = 0; i < 2; i++)
		if (sa->lease[i].ver)
			ike_lease_move(sa->ike->leases, &sa->lease[i], &sa->remote);
}

void ike_sa_leases_back(struct ike_sa *sa)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!sa->lease[i].ver)
			continue;
		ike_lease_give(sa->ike->leases, &sa->lease[i], clock_wall_ns());
		const struct ike_lease *l = ike_lease_find(sa->ike->leases, &sa->lease[i]);
		if (l && !l->held)
			tell(sa, IKE_EV_LEASE_BACK, l);
		sa->lease[i] = (struct ip_addr){ .ver = 0 };
	}
}
