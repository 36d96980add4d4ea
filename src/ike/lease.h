/* Addresses of our pools that an IKE SA has. */
#ifndef IKE_LEASE_H
#define IKE_LEASE_H

#include "ike/engine.h"
#include "ike/pool.h"

/*
 * An address for the peer of the SA, from the first pool of the connection that has one of the
 * version: sa->lease[i], i 0 for IPv4, 1 for IPv6; what the SA has already stays. want: what the peer
 * would like, may be any or ver 0. Returns the pool, or NULL when the peer gets none (said in the
 * log when all are in use).
 */
const struct ike_pool_conf *ike_sa_lease(struct ike_sa *sa, unsigned i, const struct ip_addr *want);
/* They go with it to where its peer is now: so the same peer is known there again. */
void ike_sa_leases_move(const struct ike_sa *sa);
/* Gives back what the SA has. */
void ike_sa_leases_back(struct ike_sa *sa);

#endif
