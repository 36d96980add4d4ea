/* Sequence numbers across restarts: they go on, they never repeat, and a damaged file is refused. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/seqstore.h"
#include "unit_folder.h"

static char dir[64], path[96];

static void make_dir(void)
{
	unit_folder_new(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/sequence-numbers", dir);
}

static void remove_dir(void)
{
	unlink(path);
	rmdir(dir);
}

static struct seqstore *store(void)
{
	struct seqstore *s;
	char why[256];

	ck_assert_msg(seqstore_open(dir, &s, why, sizeof(why)) == 0, "%s", why);
	return s;
}

struct fake {
	struct sa sa;
	struct sa_conf conf;
};

static void fake_init(struct fake *f, uint8_t print, bool esn)
{
	memset((void *)f, 0, sizeof(*f));
	memset(f->conf.key_print, print, sizeof(f->conf.key_print));
	f->sa.conf = &f->conf;
	f->sa.esn = esn;
}

START_TEST(test_clean_restart_goes_on)
{
	struct seqstore *s = store();
	struct fake a, b;
	struct stat st;

	fake_init(&a, 1, false);
	fake_init(&b, 2, true);
	ck_assert_int_eq(seqstore_adopt(s, &a.sa), 0);
	ck_assert_int_eq(seqstore_adopt(s, &b.sa), 0);
	ck_assert_uint_eq(a.sa.seq, 0);
	a.sa.seq = 1234;
	b.sa.seq = 1ull << 40;
	ck_assert_int_eq(seqstore_close(&s), 0);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);

	s = store();
	a.sa.seq = b.sa.seq = 0;
	ck_assert_int_eq(seqstore_adopt(s, &b.sa), 0);
	ck_assert_int_eq(seqstore_adopt(s, &a.sa), 0);
	ck_assert_uint_eq(a.sa.seq, 1234);
	ck_assert_uint_eq(b.sa.seq, 1ull << 40);
	ck_assert_int_eq(seqstore_close(&s), 0);
}
END_TEST

/* What the file says at any moment is beyond what was given out until the next tick. */
START_TEST(test_crash_skips_and_never_repeats)
{
	struct seqstore *s = store(), *after;
	struct fake a, again;
	uint64_t used = 0;

	fake_init(&a, 1, true);
	ck_assert_int_eq(seqstore_adopt(s, &a.sa), 0);
	for (int tick = 0; tick < 20; tick++) {
		ck_assert_int_eq(seqstore_tick(s), 0);
		used = a.sa.seq += SEQSTORE_AHEAD / 2 - 1; /* as much as a second allows */
		after = store();
		fake_init(&again, 1, true);
		ck_assert_int_eq(seqstore_adopt(after, &again.sa), 0);
		ck_assert_uint_ge(again.sa.seq, used);
		ck_assert_uint_le(again.sa.seq, used + SEQSTORE_AHEAD);
		seqstore_release(after, &again.sa);
		ck_assert_int_eq(seqstore_close(&after), 0);
	}
	ck_assert_int_eq(seqstore_close(&s), 0);
}
END_TEST

/* Without ESN the last number is 2^32 - 1: a restart may find the SA used up, and never a number past it. */
START_TEST(test_end_of_numbers)
{
	struct seqstore *s = store();
	struct fake a;

	fake_init(&a, 1, false);
	ck_assert_int_eq(seqstore_adopt(s, &a.sa), 0);
	a.sa.seq = UINT32_MAX - 5;
	ck_assert_int_eq(seqstore_tick(s), 0);
	struct seqstore *after = store();
	struct fake b;
	fake_init(&b, 1, false);
	ck_assert_int_eq(seqstore_adopt(after, &b.sa), 0);
	ck_assert_uint_eq(b.sa.seq, UINT32_MAX);
	ck_assert_int_eq(seqstore_close(&after), 0);
	ck_assert_int_eq(seqstore_close(&s), 0);
}
END_TEST

START_TEST(test_another_key_starts_anew)
{
	struct seqstore *s = store();
	struct fake a, b;

	fake_init(&a, 1, false);
	fake_init(&b, 3, false);
	ck_assert_int_eq(seqstore_adopt(s, &a.sa), 0);
	a.sa.seq = 99;
	seqstore_release(s, &a.sa);
	ck_assert_int_eq(seqstore_adopt(s, &b.sa), 0);
	ck_assert_uint_eq(b.sa.seq, 0);
	ck_assert_int_eq(seqstore_close(&s), 0);
}
END_TEST

START_TEST(test_damaged_file)
{
	static const char *const bad[] = { "nonsense\n", "00 1\n", "000102030405060708090a0b0c0d0e0f\n",
					   "000102030405060708090a0b0c0d0e0f x\n", "000102030405060708090a0b0c0d0e0f 12" };
	FILE *f = fopen(path, "w");
	struct seqstore *s;
	char why[256];

	ck_assert_ptr_nonnull(f);
	fputs(bad[_i], f);
	fclose(f);
	ck_assert_int_eq(seqstore_open(dir, &s, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(strstr(why, "sequence-numbers:1:"));
	f = fopen(path, "r"); /* and it is still there as it was */
	char line[64] = "";
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_str_eq(line, bad[_i]);
	fclose(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seqstore");
	TCase *c = tcase_create("seqstore");

	tcase_add_checked_fixture(c, make_dir, remove_dir);
	tcase_add_test(c, test_clean_restart_goes_on);
	tcase_add_test(c, test_crash_skips_and_never_repeats);
	tcase_add_test(c, test_end_of_numbers);
	tcase_add_test(c, test_another_key_starts_anew);
	tcase_add_loop_test(c, test_damaged_file, 0, 5);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
