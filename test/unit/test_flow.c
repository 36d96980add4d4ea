/* The flow table: what was entered is found under its generation and no other, until others need the place. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/table.h"

static struct flow_key key_of(uint32_t n)
{
	struct flow_key k = { .ver = 4, .proto = 17, .sport = (uint16_t)n, .dport = 80 };

	store_be32(k.src, 0x0a000000u + (n >> 16));
	store_be32(k.dst, n * 2654435761u);
	return k;
}

static struct flow_entry *find(struct flow_table *t, uint32_t n, uint32_t gen)
{
	struct flow_key k = key_of(n);
	return flow_table_find(t, &k, flow_key_hash(&k, t->seed), gen);
}

static struct flow_entry *add(struct flow_table *t, uint32_t n, uint32_t gen, uint32_t now)
{
	struct flow_key k = key_of(n);
	struct flow_entry *e = flow_table_add(t, &k, flow_key_hash(&k, t->seed), gen, now);

	e->verdict = t + n; /* anything that tells */
	return e;
}

START_TEST(test_found)
{
	struct flow_table t;

	ck_assert_int_eq(flow_table_init(&t, 7), 0);
	for (unsigned i = 0; i < 50; i++)
		ck_assert_ptr_null(find(&t, i, 1));
	ck_assert_uint_eq(t.misses, 50);
	for (unsigned i = 0; i < 50; i++) {
		struct flow_entry *e = add(&t, i, 1, i);
		ck_assert_ptr_null(e->hint);
		ck_assert_uint_eq(e->used, i);
	}
	for (unsigned i = 0; i < 50; i++) {
		struct flow_entry *e = find(&t, i, 1);
		ck_assert_ptr_nonnull(e);
		ck_assert_ptr_eq(e->verdict, &t + i);
		/* another policy database: unknown */
		ck_assert_ptr_null(find(&t, i, 2));
	}
	ck_assert_uint_eq(t.hits, 50);
	flow_table_fini(&t);
	ck_assert_ptr_null(t.entry);
}
END_TEST

/* Keys that differ in one bit anywhere are other flows, whatever their hash. */
START_TEST(test_every_bit_counts)
{
	struct flow_table t;
	struct flow_key k = key_of(1);

	ck_assert_int_eq(flow_table_init(&t, 7), 0);
	flow_table_add(&t, &k, 99, 1, 0);
	ck_assert_ptr_nonnull(flow_table_find(&t, &k, 99, 1));
	for (unsigned bit = 0; bit < sizeof(k) * 8; bit++) {
		struct flow_key o = k;
		((uint8_t *)&o)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_ptr_null(flow_table_find(&t, &o, 99, 1));
	}
	flow_table_fini(&t);
}
END_TEST

#define RIVALS 5 /* one more than there are places */

/* Flows that all want the same four places. */
static void rivals(const struct flow_table *t, uint32_t n[RIVALS])
{
	struct flow_key k = key_of(0);
	uint64_t pairs = ((uint64_t)t->mask << 32 | t->mask) & ~(1ull << 32 | 1);
	uint64_t want = flow_key_hash(&k, t->seed) & pairs;
	unsigned found = 0;

	for (uint32_t i = 0; found < RIVALS; i++) {
		k = key_of(i);
		if ((flow_key_hash(&k, t->seed) & pairs) == want)
			n[found++] = i;
	}
}

/* All four places are used; then, of live entries, the one unused for longest goes; the counter of batches may wrap. */
START_TEST(test_who_goes)
{
	static const uint32_t used[][4] = { { 5, 9, 7, 6 }, { 9, 5, 6, 7 }, { 2, 7, UINT32_MAX, 3 }, { 8, 7, 6, UINT32_MAX - 2 } };
	static const unsigned goes[] = { 0, 1, 2, 3 };

	for (unsigned i = 0; i < ARRAY_LEN(used); i++) {
		struct flow_table t;
		uint32_t n[RIVALS];
		ck_assert_int_eq(flow_table_init(&t, 7), 0);
		rivals(&t, n);
		for (unsigned j = 0; j < 4; j++)
			add(&t, n[j], 1, used[i][j]);
		for (unsigned j = 0; j < 4; j++)
			ck_assert_ptr_nonnull(find(&t, n[j], 1));
		add(&t, n[4], 1, 20);
		ck_assert_ptr_nonnull(find(&t, n[4], 1));
		for (unsigned j = 0; j < 4; j++)
			ck_assert_int_eq(find(&t, n[j], 1) == NULL, j == goes[i]);
		flow_table_fini(&t);
	}
}
END_TEST

/* The dead go before the living: entries of another SPD, and what the table's growth left where nobody looks. */
START_TEST(test_dead_go_first)
{
	struct flow_table t;
	uint32_t n[RIVALS];

	ck_assert_int_eq(flow_table_init(&t, 7), 0);
	rivals(&t, n);
	add(&t, n[0], 1, 100); /* though used later */
	add(&t, n[1], 2, 3);
	for (unsigned j = 2; j < RIVALS; j++)
		add(&t, n[j], 2, 4);
	ck_assert_ptr_null(find(&t, n[0], 1));
	for (unsigned j = 1; j < RIVALS; j++)
		ck_assert_ptr_nonnull(find(&t, n[j], 2));
	flow_table_fini(&t);

	ck_assert_int_eq(flow_table_init(&t, 7), 0);
	for (uint32_t i = 0; i < 600; i++)
		add(&t, i, 1, 0);
	t.mask = t.mask * 2 + 1;
	t.pressure = 0;
	for (uint32_t i = 0; i < 600; i++)
		if (!find(&t, i, 1))
			add(&t, i, 1, 0);
	/* were the left-behind taken for living, twice as many would have had to go elsewhere */
	ck_assert_uint_lt(t.pressure, 30);
	flow_table_fini(&t);
}
END_TEST

/* Grows until many flows live side by side, and no further than its memory; what it answers is always right. */
START_TEST(test_growth)
{
	struct flow_table t;
	uint32_t first, n = 100000;
	unsigned kept = 0;

	ck_assert_int_eq(flow_table_init(&t, 7), 0);
	first = t.mask;
	for (unsigned round = 0; round < 12; round++)
		for (uint32_t i = 0; i < n; i++)
			if (!find(&t, i, 1))
				add(&t, i, 1, round);
	ck_assert_uint_gt(t.mask, first);
	ck_assert_uint_lt(t.mask, 1u << FLOW_TABLE_MAX_BITS);
	for (uint32_t i = 0; i < n; i++) {
		struct flow_entry *e = find(&t, i, 1);
		if (!e)
			continue;
		ck_assert_ptr_eq(e->verdict, &t + i);
		kept++;
	}
	ck_assert_uint_gt(kept, n - n / 100);
	/* far more than there is room for */
	for (uint32_t i = 0; i < 2000000; i++)
		add(&t, i, 2, i >> 8);
	ck_assert_uint_eq(t.mask, (1u << FLOW_TABLE_MAX_BITS) - 1);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_ptr_null(find(&t, i, 3));
	flow_table_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_found);
	tcase_add_test(t, test_every_bit_counts);
	tcase_add_test(t, test_who_goes);
	tcase_add_test(t, test_dead_go_first);
	tcase_add_test(t, test_growth);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
