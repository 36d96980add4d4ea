/* Leases across restarts: what the file says is had again, a damaged line harms no other, and the
 * file is not written at every turn. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/leasestore.h"
#include "unit_folder.h"

#define WALL (1700000000ull * NS_PER_S)

static char dir[64], path[96], note[256];
static struct ike_leases *leases;
static struct ip_range range;
static char pool_name[] = "p";
static const struct ike_pool_conf pool = { .name = pool_name, .addrs = &range, .n_addrs = 1 };
static const struct endpoint here = { .addr = { 4, { 192, 0, 2, 1 } }, .port = 500 };

static void setup(void)
{
	unit_folder_new(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/leases", dir);
	ck_assert_int_eq(ip_range_parse("10.9.0.0/24", &range), 0);
	leases = ike_leases_new();
	ck_assert_ptr_nonnull(leases);
}

static void teardown(void)
{
	ike_leases_free(&leases);
	unlink(path);
	rmdir(path);
	rmdir(dir);
}

static const char *take(const char *who)
{
	static char text[IP_ADDR_STRLEN];
	struct ip_addr out;

	ck_assert_int_eq(ike_lease_take(leases, &pool, 4, who, &here, NULL, WALL, &out), 0);
	return ip_addr_format(&out, text);
}

static struct leasestore *store(void)
{
	struct leasestore *s;

	ck_assert_msg(leasestore_open(dir, leases, WALL, &s, note, sizeof(note)) == 0, "%s", note);
	return s;
}

static void forget(void)
{
	ike_leases_free(&leases);
	leases = ike_leases_new();
}

START_TEST(test_restart)
{
	struct leasestore *s = store();
	struct stat st;

	ck_assert_str_eq(note, "");
	ck_assert_str_eq(take("a"), "10.9.0.1");
	ck_assert_str_eq(take("user b\xc3\xa4r, \"c\""), "10.9.0.2");
	ck_assert_int_eq(leasestore_close(&s), 0);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	forget();
	s = store();
	ck_assert_uint_eq(ike_leases_count(leases), 2);
	ck_assert_uint_eq(ike_leases_nth(leases, 0)->held, 0);
	ck_assert_uint_eq(ike_leases_nth(leases, 0)->left_ns, WALL);
	/* the others' addresses are not given away, each gets its own */
	ck_assert_str_eq(take("c"), "10.9.0.3");
	ck_assert_str_eq(take("user b\xc3\xa4r, \"c\""), "10.9.0.2");
	ck_assert_str_eq(take("a"), "10.9.0.1");
	ck_assert_int_eq(leasestore_close(&s), 0);
}
END_TEST

START_TEST(test_written_seldom)
{
	struct leasestore *s = store();
	uint64_t now = 100 * NS_PER_S;

	ck_assert_int_eq(leasestore_tick(s, now), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	(void)take("a");
	ck_assert_int_eq(leasestore_tick(s, now), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(unlink(path), 0);
	(void)take("b");
	ck_assert_int_eq(leasestore_tick(s, now + LEASESTORE_EVERY_NS - 1), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(leasestore_tick(s, now + LEASESTORE_EVERY_NS), 0);
	ck_assert_int_eq(unlink(path), 0);
	/* nothing new: nothing is written, at the end either */
	ck_assert_int_eq(leasestore_tick(s, now + 9 * LEASESTORE_EVERY_NS), 0);
	ck_assert_int_eq(leasestore_close(&s), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(test_damaged)
{
	FILE *f = fopen(path, "w");
	struct leasestore *s;

	ck_assert_ptr_nonnull(f);
	fputs("p 10.9.0.1 0 61\nrubbish\np 10.9.0.1 0 62\np 10.9.0.300 0 62\np 10.9.0.4 5 63\n", f);
	fclose(f);
	s = store();
	ck_assert_msg(strstr(note, "3 lines") != NULL, "%s", note);
	ck_assert_uint_eq(ike_leases_count(leases), 2);
	ck_assert_str_eq(take("c"), "10.9.0.4");
	ck_assert_int_eq(leasestore_close(&s), 0);
}
END_TEST

/* What cannot be read or written is said, and is no reason to fall over. */
START_TEST(test_no_place)
{
	struct leasestore *s = NULL;

	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_ne(leasestore_open(dir, leases, WALL, &s, note, sizeof(note)), 0);
	ck_assert_ptr_null(s);
	ck_assert_msg(strstr(note, path) != NULL, "%s", note);
	ck_assert_int_eq(rmdir(path), 0);
	s = store();
	(void)take("a");
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(leasestore_tick(s, NS_PER_S), -ENOENT);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_eq(leasestore_close(&s), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(leasestore_tick(NULL, 0), 0);
	ck_assert_int_eq(leasestore_close(&s), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("leasestore");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_restart);
	tcase_add_test(t, test_written_seldom);
	tcase_add_test(t, test_damaged);
	tcase_add_test(t, test_no_place);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
