/*
 * Hash tables of the engine: nodes are embedded, the caller compares. Grows by doubling, so the
 * cost of a look-up or an insertion does not depend on how many there are.
 */
#ifndef IKE_SA_TABLE_H
#define IKE_SA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"

struct ike_node {
	struct ike_node *next;
	uint64_t hash;
	bool in; /* it is in a table */
};
struct ike_table {
	struct ike_node **bucket;
	size_t n_buckets, n; /* n_buckets: a power of two */
	uint8_t key[16];     /* so that nobody outside can choose a bucket */
};

int ike_table_init(struct ike_table *t) warn_unused;
void ike_table_fini(struct ike_table *t);
uint64_t ike_table_hash(const struct ike_table *t, const struct span *v, unsigned n);
/* Adds a node under a hash. Never fails: when it cannot grow, chains get longer. */
void ike_table_add(struct ike_table *t, struct ike_node *node, uint64_t hash);
/* Takes it out; nothing happens when it is in none. */
void ike_table_del(struct ike_table *t, struct ike_node *node);
/* First node with the hash, and the next one with the same after it; NULL at the end. */
struct ike_node *ike_table_first(const struct ike_table *t, uint64_t hash);
struct ike_node *ike_table_next(const struct ike_node *node);

#endif
