/*
 * The classifier of one IP version: rules are kept by how many leading bits of the two addresses
 * they fix. Each such pair of lengths (a tuple) is a hash table over those bits; where several
 * rules share a hash, a search tree tells them apart. Rules that fix nothing or lie in tuples too
 * small to be worth a look are in one tree of their own.
 */
#ifndef IPSEC_SPD_CLASS_H
#define IPSEC_SPD_CLASS_H

#include "base/bytes.h"
#include "ipsec/spd_tree.h"

#define SPD_TUPLES_MAX 32

struct spd_slot {
	uint64_t hash;
	uint32_t ref;  /* SPD_REF_NONE: empty */
	uint32_t best; /* lowest order behind ref */
};

struct spd_tuple {
	uint8_t len[DIM_ADDRS]; /* leading bits that count */
	uint32_t best;
	uint32_t base, mask; /* its part of slot[] */
};

struct spd_class {
	struct spd_forest forest;
	struct spd_tuple tuple[SPD_TUPLES_MAX]; /* best order first */
	unsigned n_tuple;
	uint32_t rest, rest_best; /* the tree besides */
	struct spd_slot *slot;
	size_t n_slot, cap_slot;
};

/* Builds from rules in ascending order (borrowed for the call). Returns 0 or -ENOMEM. */
int spd_class_init(struct spd_class *c, bool v6, const struct spd_rule *rules,
		   size_t n) warn_unused;
void spd_class_fini(struct spd_class *c);
size_t spd_class_bytes(const struct spd_class *c);
/* The lowest order that matches, or SPD_NONE. */
uint32_t spd_class_find(const struct spd_class *c, const struct spd_point *p);
/* The same, adding up the slots, nodes and entries looked at. */
uint32_t spd_class_find_counted(const struct spd_class *c, const struct spd_point *p,
				unsigned *work);

#endif
