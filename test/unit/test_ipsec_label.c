/* Labels as text, and their lattice (RFC 2401 8). */
#include <stdio.h>
#include <string.h>

#include "ipsec/label.h"
#include "test_ipsec.h"

static struct label_range of(const char *text)
{
	struct label_range r;
	char why[160] = "";

	ck_assert_msg(label_range_parse(text, &r, why, sizeof(why)) == 0, "%s: %s", text, why);
	return r;
}

START_TEST(test_text)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "doi 1 level 3", "doi 1 level 3" },
		{ "DOI 0xffffffff  Level 255 ", "doi 4294967295 level 255" },
		{ "doi 1 level 3 categories 5,1", "doi 1 level 3 categories 1,5" },
		{ "doi 1 level 0 categories 0-3, 4 ,3,9-65534", "doi 1 level 0 categories 0-4,9-65534" },
		{ "doi 1 level 0 categories 1-9,2-3,5", "doi 1 level 0 categories 1-9" },
		{ "doi 1 level 1 to level 3", "doi 1 level 1 to level 3" },
		{ "doi 1 level 1 categories 2 to level 1 categories 2,3", "doi 1 level 1 categories 2 to level 1 categories 2-3" },
		{ "doi 1 level 2 to level 2", "doi 1 level 2" },
	};
	static const struct {
		const char *in, *why;
	} bad[] = {
		{ "", "\"doi N\"" },
		{ "level 3", "\"doi N\"" },
		{ "doi 0 level 3", "the doi" },
		{ "doi 4294967296 level 3", "the doi" },
		{ "doi -1 level 3", "the doi" },
		{ "doi 1", "\"level N\" is missing" },
		{ "doi 1 levels 3", "\"level N\" is missing" },
		{ "doi 1 level", "the level" },
		{ "doi 1 level 256", "the level" },
		{ "doi 1 level +1", "the level" },
		{ "doi 1 level high", "the level" },
		{ "doi 1 level 3 categories", "a category" },
		{ "doi 1 level 3 categories 1,", "a category" },
		{ "doi 1 level 3 categories 65535", "a category" },
		{ "doi 1 level 3 categories 9-5", "wrong way round" },
		{ "doi 1 level 3 categories 5-", "a category" },
		{ "doi 1 level 3 category 5", "is not understood" },
		{ "doi 1 level 3 5", "is not understood" },
		{ "doi 1 level 3 to 5", "\"level N\" is missing" },
		{ "doi 1 level 3 to level 2", "lower level" },
		{ "doi 1 level 3 categories 1 to level 4 categories 2", "lacks categories" },
	};
	char out[LABEL_STRLEN], why[160];

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		struct label_range r = of(good[i].in);
		ck_assert_str_eq(label_range_format(&r, out), good[i].out);
		struct label_range again = of(out);
		ck_assert(label_range_eq(&r, &again));
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct label_range r;
		ck_assert_msg(label_range_parse(bad[i].in, &r, why, sizeof(why)) < 0, "%s is taken", bad[i].in);
		ck_assert_msg(strstr(why, bad[i].why), "%s: %s", bad[i].in, why);
	}
}
END_TEST

/* More runs than a label has; a text of them is cut, and not overrun. */
START_TEST(test_long)
{
	char text[4096] = "doi 1 level 3 categories 0", out[LABEL_STRLEN], why[160];
	struct label_range r;

	for (unsigned i = 1; i < LABEL_RUNS; i++)
		snprintf(text + strlen(text), 16, ",%u", 1000 + 2 * i);
	r = of(text);
	ck_assert_uint_eq(r.low.n, LABEL_RUNS);
	ck_assert_uint_eq(strlen(label_range_format(&r, out)), LABEL_STRLEN - 1);
	strcat(text, ",9999");
	ck_assert_int_lt(label_range_parse(text, &r, why, sizeof(why)), 0);
	for (unsigned i = 0; i < 4 * LABEL_RUNS; i++)
		strcat(text, ",1");
	ck_assert_int_lt(label_range_parse(text, &r, why, sizeof(why)), 0);
}
END_TEST

START_TEST(test_lattice)
{
	static const struct {
		const char *range, *label;
		bool in;
	} rows[] = {
		{ "doi 1 level 3", "doi 1 level 3", true },
		{ "doi 1 level 3", "doi 2 level 3", false },
		{ "doi 1 level 3", "doi 1 level 2", false },
		{ "doi 1 level 3", "doi 1 level 4", false },
		{ "doi 1 level 3", "doi 1 level 3 categories 1", false },
		{ "doi 1 level 3 categories 1,5", "doi 1 level 3 categories 1,5", true },
		{ "doi 1 level 3 categories 1,5", "doi 1 level 3 categories 1", false },
		{ "doi 1 level 3 categories 1,5", "doi 1 level 3 categories 1,5,6", false },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 1", true },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 2 categories 3,8-9", true },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 2 categories 3,8-10", false },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 2 categories 0", false },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 0", false },
		{ "doi 1 level 1 to level 3 categories 1-9", "doi 1 level 4", false },
		{ "doi 1 level 1 categories 5 to level 3 categories 1-9", "doi 1 level 2 categories 4", false },
		{ "doi 1 level 1 categories 5 to level 3 categories 1-9", "doi 1 level 2 categories 4,5", true },
		{ "doi 1 level 1 to level 3 categories 1-3,7-9", "doi 1 level 2 categories 3-7", false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct label_range r = of(rows[i].range), l = of(rows[i].label);
		ck_assert_msg(label_within(&l.low, &r) == rows[i].in, "%s, %s", rows[i].range, rows[i].label);
		ck_assert_int_eq(label_range_within(&l, &r), rows[i].in);
	}
	struct label_range wide = of("doi 1 level 1 to level 5 categories 1-9"), some = of("doi 1 level 2 to level 3 categories 1-9"),
			   over = of("doi 1 level 0 to level 3"), top = of("doi 1 level 2 to level 6");
	ck_assert(label_range_within(&some, &wide));
	ck_assert(!label_range_within(&wide, &some));
	ck_assert(!label_range_within(&over, &wide));
	ck_assert(!label_range_within(&top, &wide));
	ck_assert(!label_range_eq(&some, &wide));
}
END_TEST

TCase *tcase_label(void)
{
	TCase *t = tcase_create("label");

	tcase_add_test(t, test_text);
	tcase_add_test(t, test_long);
	tcase_add_test(t, test_lattice);
	return t;
}
