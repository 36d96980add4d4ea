/*
 * Addresses handed out to peers. A pool of the configuration, who asks and from where enter; an
 * address leaves that nobody else has. It stays its owner's after it was given back, so that the
 * same peer gets the same address again, until it is needed for somebody else or was not asked for
 * too long. Kept as lines of text across restarts. No system calls, no clock: time is given.
 */
#ifndef IKE_POOL_H
#define IKE_POOL_H

#include <stdio.h>

#include "base/addr.h"
#include "ike/conf.h"

struct ike_lease {
	struct ip_addr addr;
	char *pool;           /* name */
	char *who;            /* whose it is: one line of text */
	unsigned held;        /* SAs that use it; 0: it was given back */
	struct endpoint peer; /* where these are */
	uint64_t left_ns;     /* wall clock: when it was given back */
};

struct ike_leases;

/* NULL: no memory. */
struct ike_leases *ike_leases_new(void);
void ike_leases_free(struct ike_leases **l);

/*
 * An address of the version (4 or 6) out of the pool for `who` at `peer`, in this order: the one it
 * has there already (then counted once more), the one it had, `want` when nobody has it (may be
 * NULL, or any), one that nobody ever had, the one that was given back longest ago. Two at different
 * places never get the same one, also when they have one name. wall_ns: now. 0, -ENOSPC when all
 * are in use, -ENOENT when the pool has none of that version, or -ENOMEM.
 */
int ike_lease_take(struct ike_leases *l, const struct ike_pool_conf *pool, int ver, const char *who,
		   const struct endpoint *peer, const struct ip_addr *want, uint64_t wall_ns,
		   struct ip_addr *out) warn_unused;
/* One SA less uses the address. */
void ike_lease_give(struct ike_leases *l, const struct ip_addr *addr, uint64_t wall_ns);
/* The peer that holds the address is elsewhere now. */
void ike_lease_move(struct ike_leases *l, const struct ip_addr *addr, const struct endpoint *peer);

/* NULL: the address has none. Valid until the next call that takes one. */
const struct ike_lease *ike_lease_find(const struct ike_leases *l, const struct ip_addr *addr);
unsigned ike_leases_count(const struct ike_leases *l);
const struct ike_lease *ike_leases_nth(const struct ike_leases *l, unsigned i); /* by address */
/* Counts every change that ike_leases_write() would show. */
uint64_t ike_leases_changes(const struct ike_leases *l);

/* One line a lease: pool, address, when it was given back (wall clock, ns; 0: in use), owner in hex.
 * 0 or -EIO. */
int ike_leases_write(const struct ike_leases *l, FILE *f) warn_unused;
/* Adds what such lines say, as given back (in use: at wall_ns). Lines that cannot be read, or name
 * an address a second time, are passed over; *skipped: how many. 0 or -ENOMEM. */
int ike_leases_read(struct ike_leases *l, FILE *f, uint64_t wall_ns, unsigned *skipped) warn_unused;

#endif
