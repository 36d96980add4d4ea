/*
 * The Security Policy Database (RFC 2401 4.4.1): an ordered list of policies, compiled into a
 * classifier whose lookup does not grow with their number. Immutable once compiled: a change makes
 * a new one, and workers see it by one pointer.
 */
#ifndef IPSEC_SPD_H
#define IPSEC_SPD_H

#include "ipsec/sa.h"
#include "ipsec/selector.h"

enum policy_action { POLICY_PROTECT, POLICY_BYPASS, POLICY_DISCARD, POLICY_REJECT };
#define POLICY_DIR_OUT 1
#define POLICY_DIR_IN  2

/* SAs that a packet goes through, in order of application; immutable. */
struct sa_bundle {
	unsigned n;
	struct sa *sa[]; /* references owned */
};

/* Where outbound traffic of a reqid goes now. */
struct out_route {
	uint32_t reqid;
	_Atomic(const struct sa_bundle *) bundle; /* under RCU; NULL: no SA */
	_Atomic uint32_t released;   /* counts plane_release_held() */
	_Atomic uint64_t acquire_ns; /* when EV_ACQUIRE was raised last; 0: not yet */
	struct out_route *next;      /* the plane's */
	bool in_spd;                 /* the plane's: some policy refers to it */
};

struct policy {
	char *name;
	uint32_t order; /* place in the SPD; lower wins */
	enum policy_action action;
	unsigned dirs;        /* POLICY_DIR_* */
	struct selector *sel; /* owned; the policy matches when any of them does */
	unsigned n_sel;
	struct sa **out,
	    **in; /* protect: SAs (a bundle in order of application; today one); references owned */
	unsigned n_out, n_in;
	struct sa **also; /* protect: SAs beside those, of both directions, each by itself;
			     references owned */
	unsigned n_also;
	struct policy_labels *labels; /* owned; NULL: it does not look at labels (pick.h) */
	bool pick; /* packets of one flow need not go one way: pick_out(), pick_in() are asked for
		      each */
	bool mss_clamp;
	bool icmp_errors; /* carries ICMP errors that no policy is for, when they quote a packet of
			     its own (RFC 4301 6.2) */
	bool whole_only; /* where it names ports, later fragments are not for it (RFC 4301 7.3: not
			    agreed with the peer) */
	bool each;       /* of a trap: packets are not to share the SA that another asked for (RFC
			    4301 4.4.1.2) */
	uint32_t reqid; /* 0: none. Else SAs with the same reqid are accepted inbound, and outbound
			   ones come from `route` */
	struct out_route *route; /* of a reqid: shared by its policies, lent by the plane */
	_Atomic uint64_t hits; /* flows classified to it (not packets) */
	_Atomic uint64_t last_hit_ns;
};

/* The outbound SAs of a policy that protects, now; *n of them. */
static inline struct sa *const *policy_out(const struct policy *p, unsigned *n)
{
	if (!p->route) {
		*n = p->reqid ? 0 : p->n_out;
		return p->out;
	}
	const struct sa_bundle *b = atomic_load_explicit(&p->route->bundle, memory_order_acquire);
	*n = b ? b->n : 0;
	return b ? b->sa : NULL;
}

static inline struct sa *policy_first_out(const struct policy *p)
{
	unsigned n;
	struct sa *const *sas = policy_out(p, &n);

	return n ? sas[0] : NULL;
}

/* Frees a policy with its selectors and SA references. */
void policy_free(struct policy **p);

struct spd;

/* Compiles policies[0..n), in order; takes ownership of them (and of nothing on failure); the array
 * stays the caller's. Returns 0 or -ENOMEM. */
int spd_compile(struct policy **policies, unsigned n, struct spd **out) warn_unused;
/* Frees with its policies. After a grace period. */
void spd_free(struct spd **s);
unsigned spd_count(const struct spd *s);
struct policy *spd_policy(const struct spd *s, unsigned i);
/* Bytes of the compiled form. */
size_t spd_bytes(const struct spd *s);

/* Does a policy of this direction and IP version (4 or 6) name ports, ICMP types or MH types? */
bool spd_names_ports(const struct spd *s, enum ipsec_dir dir, int ver);
/* May the inner packet of an ICMP error go the way of the packets it is about: does no policy, or
 * only one that discards whatever is left (pol: what spd_lookup() found), match it? */
bool spd_icmp_is_nobodys(const struct policy *pol);
/* Is it by naming opaque ports that the policy matches this packet? */
bool policy_names_opaque(const struct policy *p, enum ipsec_dir dir, const struct flow_key *k);

/* The first policy in order that matches, or NULL; also NULL for a later fragment (FLOW_LATER) when
 * that policy matches by its ports and is whole_only. */
struct policy *spd_lookup(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k);
/* The same by the plain ordered search: the reference that tests compare with. */
struct policy *spd_lookup_linear(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k);
/* For tests: how many hash slots, tree nodes and entries spd_lookup() looks at for this packet. */
unsigned spd_lookup_work(const struct spd *s, enum ipsec_dir dir, const struct flow_key *k);

#endif
