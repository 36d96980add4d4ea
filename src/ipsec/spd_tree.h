/*
 * The inside of the SPD's classifier: rules are boxes in five dimensions, a packet is a point, and
 * the answer is the first rule in order whose box holds the point. This file: rules, and the search
 * tree for those that a hash cannot tell apart. spd_class.h: the hash tables in front of it.
 */
#ifndef IPSEC_SPD_TREE_H
#define IPSEC_SPD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* The dimensions. Ports that cannot be seen are PORT_HIDDEN, so "any" is 0..PORT_HIDDEN and
 * "opaque" is PORT_HIDDEN alone. */
enum { DIM_LOCAL, DIM_REMOTE, DIM_REMOTE_PORT, DIM_LOCAL_PORT, DIM_PROTO, DIMS };
#define DIM_ADDRS   2
#define PORT_HIDDEN 0x10000u

typedef unsigned __int128 spd_addr; /* an address as a number; IPv4 in the low 32 bits */

struct spd_box {
	spd_addr addr_lo[DIM_ADDRS], addr_hi[DIM_ADDRS];
	uint32_t lo[DIMS - DIM_ADDRS], hi[DIMS - DIM_ADDRS];
};

struct spd_rule {
	struct spd_box box;
	uint32_t order; /* lower wins */
};

/* A packet as a point. */
struct spd_point {
	uint32_t v[DIMS];                      /* the addresses only with IPv4 */
	uint64_t hi[DIM_ADDRS], lo[DIM_ADDRS]; /* IPv6 addresses: upper and lower half */
};

#define SPD_NONE     UINT32_MAX  /* no rule */
#define SPD_REF_NONE 0u          /* an empty subtree */
#define SPD_REF_LEAF 0x80000000u /* else a node */

/* Points with value <= pivot go to child[0], others to child[1]; child[2] holds what spans the
 * whole node in this dimension and is searched besides. Each with the best order in it. */
struct spd_node {
	uint32_t pivot; /* index into wide[] for IPv6 addresses */
	uint16_t dim;
	uint32_t child[3];
	uint32_t best[3];
};

/* What both versions have in an entry. */
struct spd_tail {
	uint16_t lo[2], hi[2]; /* remote and local port; lo > hi when only hidden ports match */
	uint16_t proto_lo;
	uint8_t proto_hi;
	uint8_t flags; /* SPD_HIDDEN_*, SPD_LAST */
	uint32_t order;
};

#define SPD_HIDDEN_REMOTE 1 /* a hidden port matches */
#define SPD_HIDDEN_LOCAL  2
#define SPD_LAST          4 /* the last entry of its leaf */

struct spd_entry4 {
	uint32_t lo[DIM_ADDRS], hi[DIM_ADDRS];
	struct spd_tail tail;
};

struct spd_entry6 {
	uint64_t lo_hi[DIM_ADDRS], lo_lo[DIM_ADDRS]; /* lower bound: upper and lower half */
	uint64_t hi_hi[DIM_ADDRS], hi_lo[DIM_ADDRS];
	struct spd_tail tail;
};

/* All trees of one classifier, in a few arrays. */
struct spd_forest {
	bool v6;
	bool failed;           /* out of memory; sticky */
	struct spd_node *node; /* [0] is not used */
	struct spd_entry4 *e4; /* leaves: runs of entries in order */
	struct spd_entry6 *e6;
	spd_addr *wide;
	size_t n_node, cap_node, n_entry, cap_entry, n_wide, cap_wide;
	size_t max_entry; /* beyond it, leaves are not split any more */
};

/* rules: how many there are in all, for sizing. */
void spd_forest_init(struct spd_forest *f, bool v6, size_t rules);
void spd_forest_fini(struct spd_forest *f);
size_t spd_forest_bytes(const struct spd_forest *f);
/* Makes a tree of rules[index[0..n)], where index ascends in order. Returns its reference; on lack
 * of memory f->failed is set. */
uint32_t spd_tree_build(struct spd_forest *f, const struct spd_rule *rules, const uint32_t *index,
			size_t n);

#endif
