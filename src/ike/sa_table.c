/* Chained hash tables with embedded nodes; SipHash with a key of each table's own. */
#include "ike/sa_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define BUCKETS_LEAST 16u

int ike_table_init(struct ike_table *t)
{
	*t = (struct ike_table){ .n_buckets = BUCKETS_LEAST };
	t->bucket = calloc(t->n_buckets, sizeof(*t->bucket));
	if (!t->bucket)
		return -ENOMEM;
	random_bytes(t->key, sizeof(t->key));
	return 0;
}

void ike_table_fini(struct ike_table *t)
{
	free(t->bucket);
	*t = (struct ike_table){ .n = 0 };
}

uint64_t ike_table_hash(const struct ike_table *t, const struct span *v, unsigned n)
{
	uint8_t key[16], out[8];
	uint64_t h = 0;

	_Static_assert(sizeof(key) == crypto_shorthash_KEYBYTES, "the key of SipHash");
	memcpy(key, t->key, sizeof(key));
	for (unsigned i = 0; i < n; i++) {
		crypto_shorthash(out, v[i].p, v[i].len, key);
		memcpy(&h, out, sizeof(h));
		/* the next part is hashed under what came before it */
		for (unsigned k = 0; k < sizeof(out); k++)
			key[k] ^= out[k];
	}
	return h;
}

static void grow(struct ike_table *t)
{
	size_t n = t->n_buckets * 2;
	struct ike_node **b = calloc(n, sizeof(struct ike_node *));

	if (!b)
		return;
	for (size_t i = 0; i < t->n_buckets; i++)
		for (struct ike_node *node = t->bucket[i], *next; node; node = next) {
			next = node->next;
			node->next = b[node->hash & (n - 1)];
			b[node->hash & (n - 1)] = node;
		}
	free(t->bucket);
	t->bucket = b;
	t->n_buckets = n;
}

void ike_table_add(struct ike_table *t, struct ike_node *node, uint64_t hash)
{
	if (node->in)
		return;
	if (t->n >= t->n_buckets)
		grow(t);
	struct ike_node **b = &t->bucket[hash & (t->n_buckets - 1)];
	*node = (struct ike_node){ .next = *b, .hash = hash, .in = true };
	*b = node;
	t->n++;
}

void ike_table_del(struct ike_table *t, struct ike_node *node)
{
	if (!node->in)
		return;
	for (struct ike_node **b = &t->bucket[node->hash & (t->n_buckets - 1)]; *b; b = &(*b)->next)
		if (*b == node) {
			*b = node->next;
			*node = (struct ike_node){ .in = false };
			t->n--;
			return;
		}
}

static struct ike_node *seek(struct ike_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct ike_node *ike_table_first(const struct ike_table *t, uint64_t hash)
{
	return seek(t->bucket[hash & (t->n_buckets - 1)], hash);
}

struct ike_node *ike_table_next(const struct ike_node *node)
{
	return seek(node->next, node->hash);
}
