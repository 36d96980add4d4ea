/* What a reload would do to the SAs: kept, carried over, made new; and who leaves before whom. */
#include <stdlib.h>
#include <string.h>

#include "control/carry.h"
#include "control/plan.h"
#include "test_control.h"

#define MAX 4

static struct sa_conf old_conf[MAX], new_conf[MAX];
static unsigned n_old, n_new;
static struct plan plan;

/* key: any number; equal numbers are equal keys. */
static struct sa_conf *add(struct sa_conf *v, unsigned *n, const char *name, enum ipsec_dir dir,
			   uint32_t spi, uint8_t key)
{
	struct sa_conf *c = &v[(*n)++];

	*c = (struct sa_conf){ .proto = SA_ESP,
			       .mode = SA_TUNNEL,
			       .dir = dir,
			       .spi = spi,
			       .replay_window = 64,
			       .dscp = -1 };
	c->name = (char *)(uintptr_t)name;
	c->key_id[0] = key;
	return c;
}

static struct sa_conf *was(const char *name, enum ipsec_dir dir, uint32_t spi, uint8_t key)
{
	return add(old_conf, &n_old, name, dir, spi, key);
}

static struct sa_conf *now(const char *name, enum ipsec_dir dir, uint32_t spi, uint8_t key)
{
	return add(new_conf, &n_new, name, dir, spi, key);
}

static void make(void)
{
	const struct sa_conf *o[MAX], *n[MAX];

	for (unsigned i = 0; i < MAX; i++) {
		o[i] = &old_conf[i];
		n[i] = &new_conf[i];
	}
	ck_assert_int_eq(plan_make(o, n_old, n, n_new, &plan), 0);
}

static void reset(void)
{
	n_old = n_new = 0;
}

static void clean(void)
{
	plan_fini(&plan);
}

START_TEST(test_first_start)
{
	now("a", DIR_OUT, 1000, 1);
	now("b", DIR_IN, 1001, 2);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_FRESH);
	ck_assert_int_eq(plan.new_op[1], PLAN_FRESH);
	ck_assert_uint_eq(plan.fresh, 2);
}
END_TEST

START_TEST(test_nothing_changed)
{
	was("a", DIR_OUT, 1000, 1);
	was("b", DIR_IN, 1001, 2);
	now("b", DIR_IN, 1001, 2); /* order in the file does not matter */
	now("a", DIR_OUT, 1000, 1);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_KEEP);
	ck_assert_uint_eq(plan.source[0], 1);
	ck_assert_int_eq(plan.new_op[1], PLAN_KEEP);
	ck_assert_uint_eq(plan.source[1], 0);
	ck_assert_int_eq(plan.old_op[0], PLAN_STAYS);
	ck_assert_uint_eq(plan.kept, 2);
	ck_assert_uint_eq(plan.leaving, 0);
}
END_TEST

START_TEST(test_parameter_changed)
{
	was("b", DIR_IN, 1001, 2);
	now("b", DIR_IN, 1001, 2)->replay_window = 128;
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_CARRY);
	ck_assert_uint_eq(plan.source[0], 0);
	ck_assert_int_eq(plan.old_op[0], PLAN_LEAVES_FIRST);
	ck_assert_uint_eq(plan.carried, 1);
}
END_TEST

START_TEST(test_key_changed)
{
	was("a", DIR_OUT, 1000, 1);
	now("a", DIR_OUT, 1000, 9);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_FRESH); /* numbers of another key mean nothing */
	ck_assert_int_eq(plan.old_op[0], PLAN_LEAVES_FIRST);
}
END_TEST

START_TEST(test_removed_leaves_last)
{
	was("a", DIR_OUT, 1000, 1);
	was("b", DIR_IN, 1001, 2);
	now("a", DIR_OUT, 1000, 1);
	make();
	ck_assert_int_eq(plan.old_op[0], PLAN_STAYS);
	ck_assert_int_eq(plan.old_op[1], PLAN_LEAVES_LAST);
}
END_TEST

START_TEST(test_renamed_goes_on)
{
	was("a", DIR_OUT, 1000, 1);
	was("b", DIR_IN, 1001, 2);
	now("x", DIR_OUT, 1000, 1);
	now("y", DIR_IN, 1001, 2);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_CARRY);
	ck_assert_int_eq(plan.new_op[1], PLAN_CARRY);
	ck_assert_int_eq(plan.old_op[0],
			 PLAN_LEAVES_LAST); /* policies send by it until they are replaced */
	ck_assert_int_eq(plan.old_op[1], PLAN_LEAVES_FIRST); /* its SPI is in the way */
}
END_TEST

START_TEST(test_names_exchanged)
{
	was("a", DIR_IN, 1000, 1);
	was("b", DIR_IN, 1001, 2);
	now("b", DIR_IN, 1000, 1);
	now("a", DIR_IN, 1001, 2);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_CARRY);
	ck_assert_uint_eq(plan.source[0], 0);
	ck_assert_int_eq(plan.new_op[1], PLAN_CARRY);
	ck_assert_uint_eq(plan.source[1], 1);
	ck_assert_int_eq(plan.old_op[0], PLAN_LEAVES_FIRST);
	ck_assert_int_eq(plan.old_op[1], PLAN_LEAVES_FIRST);
}
END_TEST

/* Outbound SPIs are the peers' choice: two may be the same, and keys tell them apart. */
START_TEST(test_same_outbound_spi)
{
	was("a", DIR_OUT, 1000, 1);
	was("b", DIR_OUT, 1000, 2);
	now("a", DIR_OUT, 1000, 1);
	now("c", DIR_OUT, 1000, 2);
	make();
	ck_assert_int_eq(plan.new_op[0], PLAN_KEEP);
	ck_assert_int_eq(plan.new_op[1], PLAN_CARRY);
	ck_assert_uint_eq(plan.source[1], 1);
	ck_assert_int_eq(plan.old_op[1], PLAN_LEAVES_LAST);
}
END_TEST

/* Inbound to groups an SPI may come several times: what else it is found by tells them apart. */
START_TEST(test_same_spi_of_groups)
{
	struct sa_conf *a = was("a", DIR_IN, 1000, 1), *b = was("b", DIR_IN, 1000, 1);
	struct sa_conf *c = now("b", DIR_IN, 1000, 1), *d = now("c", DIR_IN, 1000, 1);

	ck_assert_int_eq(ip_addr_parse("239.1.1.1", &a->dst), 0);
	b->dst = c->dst = d->dst = a->dst;
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &a->src), 0);
	ck_assert_int_eq(ip_addr_parse("192.0.2.2", &b->src), 0);
	c->src = b->src;
	ck_assert_int_eq(ip_addr_parse("192.0.2.3", &d->src), 0);
	make();
	ck_assert_int_eq(plan.old_op[0], PLAN_LEAVES_LAST); /* in nobody's way */
	ck_assert_int_eq(plan.old_op[1], PLAN_STAYS);
	ck_assert_int_eq(plan.new_op[0], PLAN_KEEP);
	ck_assert_int_eq(plan.new_op[1], PLAN_FRESH); /* another sender's numbers are not its */
}
END_TEST

TCase *control_plan_tests(void)
{
	TCase *c = tcase_create("plan");

	tcase_add_checked_fixture(c, reset, clean);
	tcase_add_test(c, test_first_start);
	tcase_add_test(c, test_nothing_changed);
	tcase_add_test(c, test_parameter_changed);
	tcase_add_test(c, test_key_changed);
	tcase_add_test(c, test_removed_leaves_last);
	tcase_add_test(c, test_renamed_goes_on);
	tcase_add_test(c, test_names_exchanged);
	tcase_add_test(c, test_same_outbound_spi);
	tcase_add_test(c, test_same_spi_of_groups);
	return c;
}

/* ---- carrying over ----------------------------------------------------------------------------
 */

static struct sa *make_sa(enum ipsec_dir dir, uint32_t window, bool esn)
{
	struct sa_conf c = { .proto = SA_ESP,
			     .mode = SA_TUNNEL,
			     .dir = dir,
			     .spi = 0x1001,
			     .encap = SA_ENCAP_UDP,
			     .replay_window = window,
			     .dscp = -1,
			     .esn = esn };
	uint8_t key[20] = { 1 };
	char why[128];
	struct sa *sa;

	c.name = strdup("x");
	ck_assert_int_eq(esp_suite_parse("aes128gcm16", NULL, &c.suite, why, sizeof(why)), 0);
	ck_assert_int_eq(secret_copy(&c.encr_key, span_of(key, sizeof(key))), 0);
	ck_assert_msg(sa_new(&c, 1, &sa, why, sizeof(why)) == 0, "%s", why);
	return sa;
}

START_TEST(test_numbers_go_on)
{
	struct sa *old = make_sa(DIR_OUT, 0, false), *new = make_sa(DIR_OUT, 0, false);
	uint64_t first;

	ck_assert(sa_seq_take(old, 100, &first));
	(void)!sa_count(old, 100, 5000);
	old->iv_base = new->iv_base + 12345; /* the clock was set back meanwhile */
	ck_assert_uint_eq(carry_over(old, new), 0);
	ck_assert(sa_seq_take(new, 1, &first));
	ck_assert_uint_gt(first, 100 + CARRY_SEQ_GAP / 2);
	ck_assert_uint_ge(new->iv_base, old->iv_base);
	ck_assert_uint_eq(new->packets, 100);
	ck_assert_uint_eq(new->bytes, 5000);
	sa_unref(&old);
	sa_unref(&new);
}
END_TEST

START_TEST(test_numbers_end)
{
	struct sa *old = make_sa(DIR_OUT, 0, false), *new = make_sa(DIR_OUT, 0, false);
	uint64_t first;

	atomic_store(&old->seq, UINT32_MAX - 5);
	(void)carry_over(old, new);
	ck_assert(!sa_seq_take(new, 1, &first)); /* and not from the start again */
	sa_unref(&old);
	sa_unref(&new);
}
END_TEST

/* Whatever the widths: nothing that was accepted is accepted again, and what the old window still
 * allowed is too. */
START_TEST(test_window_goes_on)
{
	static const uint32_t widths[][2] = {
		{ 64, 64 }, { 64, 1024 }, { 1024, 64 }, { 2048, 2048 }
	};
	struct sa *old = make_sa(DIR_IN, widths[_i][0], true),
		  *new = make_sa(DIR_IN, widths[_i][1], true);
	uint64_t top = (1ull << 32) + 500;

	for (uint64_t s = 1; s <= top; s = s < top - 3000 && s > 3000 ? top - 3000 : s + 1)
		if (s % 3)
			(void)replay_accept(&old->replay, s);
	(void)carry_over(old, new);
	ck_assert_uint_eq(new->replay.top, old->replay.top);
	for (uint64_t s = top - 3000; s <= top; s++) {
		bool in_new = old->replay.top - s < new->replay.window;
		bool fresh = replay_may_accept(&old->replay, s) && in_new;
		ck_assert_msg(s > old->replay.top || replay_may_accept(&new->replay, s) == fresh,
			      "number %llu", (unsigned long long)s);
	}
	ck_assert(replay_may_accept(&new->replay, top + 1));
	sa_unref(&old);
	sa_unref(&new);
}
END_TEST

/* An old window that was off knows nothing: everything up to its highest number counts as seen. */
START_TEST(test_window_switched_on)
{
	struct sa *old = make_sa(DIR_IN, 0, false), *new = make_sa(DIR_IN, 64, false);

	(void)replay_accept(&old->replay, 1000);
	(void)carry_over(old, new);
	for (uint64_t s = 900; s <= 1000; s++)
		ck_assert(!replay_may_accept(&new->replay, s));
	ck_assert(replay_may_accept(&new->replay, 1001));
	sa_unref(&old);
	sa_unref(&new);
}
END_TEST

START_TEST(test_lifetime_goes_on)
{
	struct sa *old = make_sa(DIR_IN, 64, false), *new = make_sa(DIR_IN, 64, false);

	(void)!sa_count(old, 10, 1000);
	new->conf->life.hard_packets = 5;
	new->limited = true;
	atomic_store(&new->limit_packets, 5);
	ck_assert_uint_eq(carry_over(old, new) & SA_HARD, SA_HARD);
	ck_assert(!sa_usable(new));
	ck_assert_uint_eq(new->installed_ns, old->installed_ns);
	sa_unref(&old);
	sa_unref(&new);
}
END_TEST

TCase *control_carry_tests(void)
{
	TCase *c = tcase_create("carry");

	tcase_add_test(c, test_numbers_go_on);
	tcase_add_test(c, test_numbers_end);
	tcase_add_loop_test(c, test_window_goes_on, 0, 4);
	tcase_add_test(c, test_window_switched_on);
	tcase_add_test(c, test_lifetime_goes_on);
	return c;
}
