/*
 * The base layer but for addresses (test_base_addr.c): hex, reader and writer, secret memory, log,
 * drop table, clock, random, list. Also the runner of this program.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/audit.h"
#include "base/drop.h"
#include "base/hex.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "base/rd.h"
#include "base/secret.h"
#include "base/wr.h"
#include "test_base.h"

/* ---- bytes ---------------------------------------------------------------- */

START_TEST(test_hex)
{
	uint8_t out[4];
	char text[9];

	ck_assert_int_eq(hex_decode("0x00fF:10_a b", out, 4), -EINVAL);
	ck_assert_int_eq(hex_decode("0x00fF:10_ab", out, 4), 4);
	ck_assert_mem_eq(out, "\x00\xff\x10\xab", 4);
	hex_encode(span_of(out, 4), text);
	ck_assert_str_eq(text, "00ff10ab");
	ck_assert_int_eq(hex_decode("", out, 4), 0);
	ck_assert_int_eq(hex_decode("0x", out, 4), 0);
	ck_assert_int_eq(hex_decode("123", out, 4), -EINVAL);
	ck_assert_int_eq(hex_decode("1g", out, 4), -EINVAL);
	ck_assert_int_eq(hex_decode("0011223344", out, 4), -ENOSPC);
	ck_assert_int_eq(hex_decode("00 11:22_33", out, 4), 4);
	hex_encode(span_of(NULL, 0), text);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_rd)
{
	static const uint8_t b[15] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct rd r = rd_of(b, sizeof(b));

	ck_assert_uint_eq(rd_u8(&r), 1);
	ck_assert_uint_eq(rd_be16(&r), 0x0203);
	ck_assert_uint_eq(rd_be32(&r), 0x04050607);
	ck_assert_uint_eq(rd_be64(&r), 0x08090a0b0c0d0e0f);
	ck_assert(rd_end(&r));
	ck_assert_uint_eq(rd_u8(&r), 0);
	ck_assert(!rd_ok(&r));
	ck_assert(!rd_end(&r));

	/* every overrun is sticky: what would have fitted is not given any more */
	for (size_t len = 0; len < 8; len++) {
		r = rd_of(b, len);
		ck_assert_uint_eq(rd_be64(&r), 0);
		ck_assert(!rd_ok(&r));
		ck_assert_ptr_null(rd_take(&r, 0));
		ck_assert_uint_eq(rd_u8(&r), 0);
		ck_assert_ptr_null(rd_span(&r, 0).p);
	}
	r = rd_of(b, 4);
	ck_assert_ptr_null(rd_take(&r, SIZE_MAX));
	ck_assert(!rd_ok(&r));

	/* a child sees its own bytes only; its overrun is not its parent's */
	r = rd_of(b, 8);
	struct rd c = rd_child(&r, 3);
	ck_assert_uint_eq(rd_be16(&c), 0x0102);
	ck_assert_uint_eq(rd_be16(&c), 0);
	ck_assert(!rd_ok(&c));
	ck_assert_uint_eq(rd_u8(&r), 4);
	ck_assert(rd_ok(&r));
	c = rd_child(&r, 5);
	ck_assert(!rd_ok(&c) && !rd_ok(&r));
	r = rd_of(NULL, 0);
	ck_assert(rd_end(&r));
}
END_TEST

START_TEST(test_wr)
{
	uint8_t b[20];
	struct wr w = wr_of(b, 15);

	memset(b, 0xee, sizeof(b));
	wr_u8(&w, 1);
	wr_be16(&w, 0x0203);
	wr_be32(&w, 0x04050607);
	wr_be64(&w, 0x08090a0b0c0d0e0f);
	ck_assert(wr_ok(&w));
	for (unsigned i = 0; i < 15; i++)
		ck_assert_uint_eq(b[i], i + 1);
	wr_bytes(&w, "", 0);
	ck_assert(wr_ok(&w));
	wr_u8(&w, 0);
	ck_assert(!wr_ok(&w));
	ck_assert_uint_eq(b[15], 0xee);
	ck_assert_uint_eq(wr_view(&w).len, 0);

	/* nothing is written in part, and nothing after an overrun */
	w = wr_of(b, 3);
	memset(b, 0xee, sizeof(b));
	wr_be32(&w, 0);
	wr_u8(&w, 0);
	wr_bytes(&w, "abc", 3);
	wr_zero(&w, 2);
	ck_assert_ptr_null(wr_room(&w, SIZE_MAX));
	for (unsigned i = 0; i < sizeof(b); i++)
		ck_assert_uint_eq(b[i], 0xee);

	w = wr_of(b, 8);
	size_t hole = wr_hole16(&w);
	wr_bytes(&w, "xyz", 3);
	wr_zero(&w, 1);
	wr_fill16(&w, hole, (uint16_t)w.len);
	ck_assert(span_eq(wr_view(&w), span_of("\0\6xyz\0", 6)));
	wr_fill16(&w, 5, 0xffff); /* half outside: nothing happens */
	ck_assert(span_eq(wr_view(&w), span_of("\0\6xyz\0", 6)));
}
END_TEST

START_TEST(test_bytes)
{
	uint8_t b[17];

	store_be16(b + 1, 0x0102);
	store_be32(b + 3, 0x03040506);
	store_be64(b + 7, 0x0708090a0b0c0d0e);
	for (unsigned i = 1; i < 15; i++)
		ck_assert_uint_eq(b[i], i);
	ck_assert_uint_eq(load_be16(b + 1), 0x0102);
	ck_assert_uint_eq(load_be32(b + 3), 0x03040506);
	ck_assert_uint_eq(load_be64(b + 7), 0x0708090a0b0c0d0e);
}
END_TEST

/* ---- secrets -------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

START_TEST(test_secret)
{
	struct secret a = { 0 }, b, c;

	ck_assert_int_eq(secret_init(), 0);
	ck_assert_int_eq(secret_copy(&a, span_of("password", 8)), 0);
	ck_assert_int_eq(secret_copy(&b, span_of("passwore", 8)), 0);
	ck_assert(!secret_eq(&a, &b));
	b.p[7] = 'd';
	ck_assert(secret_eq(&a, &b));
	ck_assert(span_eq(secret_view(&a), span_of("password", 8)));
	c = secret_take(&a);
	ck_assert_ptr_null(a.p);
	ck_assert_uint_eq(a.len, 0);
	ck_assert(secret_eq(&c, &b));
	secret_free(&b);
	ck_assert_ptr_null(b.p);
	ck_assert(!secret_eq(&c, &b));
	ck_assert(secret_eq(&a, &b));
	ck_assert_int_eq(secret_new(&b, 3), 0);
	ck_assert(all_zero(b.p, 3));
	secret_free(&b);
	secret_free(&b);
	ck_assert_int_eq(secret_copy(&b, span_of(NULL, 0)), 0);
	ck_assert_uint_eq(b.len, 0);
	secret_free(&b);
	secret_free(&c);
}
END_TEST

START_TEST(test_secret_alloc)
{
	/* both sides of every border between classes */
	static const size_t sizes[] = { 0,    1,    63,	  64,	65,   128,  129,  960,	961,  1023,
					1024, 1025, 2048, 2049, 4096, 4097, 8192, 65536, 65537, 131072, 262144 };
	void *p[ARRAY_LEN(sizes)];
	size_t before = secret_in_use();

	ck_assert_int_eq(secret_init(), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		p[i] = secret_alloc(sizes[i]);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
		ck_assert(all_zero(p[i], sizes[i]));
		memset(p[i], (int)i + 1, sizes[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t k = 0; k < sizes[i]; k++)
			if (((uint8_t *)p[i])[k] != i + 1)
				ck_abort_msg("block %u overlaps another", i);
	ck_assert_uint_ge(secret_in_use() - before, 64 + 262144);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
		secret_release(p[i], sizes[i]);
	ck_assert_uint_eq(secret_in_use(), before);

	/* what comes back is used again, and is clean */
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		void *q = secret_alloc(sizes[i]);
		bool known = false;
		for (unsigned k = 0; k < ARRAY_LEN(sizes); k++)
			known |= q == p[k];
		ck_assert(known);
		ck_assert(all_zero(q, sizes[i]));
	}
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
		secret_release(p[i], sizes[i]);
	secret_release(NULL, 17);
	ck_assert_ptr_null(secret_alloc(262145));
	ck_assert_ptr_null(secret_alloc(SIZE_MAX / 4));
	ck_assert_uint_eq(secret_in_use(), before);
}
END_TEST

START_TEST(test_secret_many)
{
	enum { N = 5000 };
	static void *p[N];

	ck_assert_int_eq(secret_init(), 0);
	for (unsigned i = 0; i < N; i++) {
		p[i] = secret_alloc(500);
		ck_assert_ptr_nonnull(p[i]);
		memcpy(p[i], &i, sizeof(i));
	}
	for (unsigned i = 0; i < N; i++) {
		unsigned v;
		memcpy(&v, p[i], sizeof(v));
		ck_assert_uint_eq(v, i);
		secret_release(p[i], 500);
	}
	uint8_t w[40];
	memset(w, 1, sizeof(w));
	wipe(w, sizeof(w));
	ck_assert(all_zero(w, sizeof(w)));
}
END_TEST

/* ---- log ------------------------------------------------------------------ */

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
	return fake_now;
}

START_TEST(test_log_limit)
{
	struct log_limit l = { .burst = 3, .every_ns = 10 * NS_PER_S };
	uint32_t n = 99;

	clock_set_source(fake_clock, fake_clock);
	fake_now = 1000;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(log_limit_pass(&l, &n));
		ck_assert_uint_eq(n, 0);
	}
	for (unsigned i = 0; i < 5; i++)
		ck_assert(!log_limit_pass(&l, &n));
	fake_now += 10 * NS_PER_S - 1;
	ck_assert(!log_limit_pass(&l, &n));
	fake_now += 1;
	ck_assert(log_limit_pass(&l, &n));
	ck_assert_uint_eq(n, 6);
	ck_assert(!log_limit_pass(&l, &n));
	/* time that does not make a whole token is kept */
	fake_now += 15 * NS_PER_S;
	ck_assert(log_limit_pass(&l, &n));
	ck_assert(!log_limit_pass(&l, &n));
	fake_now += 5 * NS_PER_S;
	ck_assert(log_limit_pass(&l, &n));
	/* a long silence fills the bucket, not more */
	fake_now += 1000000 * NS_PER_S;
	for (unsigned i = 0; i < 3; i++)
		ck_assert(log_limit_pass(&l, &n));
	ck_assert(!log_limit_pass(&l, &n));
	clock_set_source(NULL, NULL);
}
END_TEST

static char hooked[1100];
static unsigned hook_calls;

static void hook(enum log_subsys s, enum log_level l, const char *line)
{
	hook_calls++;
	snprintf(hooked, sizeof(hooked), "%d %d %s", s, l, line);
}

START_TEST(test_log_lines)
{
	char *text = NULL, want[1100];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	log_set_output(f, false);
	log_set_hook(hook);
	log_set_level_all(LOG_LVL_NOTICE);
	ck_assert_int_eq(log_get_level(LOG_SAD), LOG_LVL_NOTICE);
	ck_assert(!log_enabled(LOG_SAD, LOG_LVL_INFO));
	log_info(LOG_SAD, "not written");
	log_warn(LOG_SAD, "sa %s: expired", "office");
	log_set_level(LOG_NET, LOG_LVL_DEBUG);
	log_set_output(f, true);
	log_debug(LOG_NET, "a\nb\033[31m\x7f\xc3\xa9");
	fflush(f);
	ck_assert_str_eq(text, "warn sad: sa office: expired\n<7>debug net: a?b?[31m?\xc3\xa9\n");
	ck_assert_uint_eq(hook_calls, 2);
	snprintf(want, sizeof(want), "%d %d a?b?[31m?\xc3\xa9", LOG_NET, LOG_LVL_DEBUG);
	ck_assert_str_eq(hooked, want);
	/* a long line is cut, not overrun */
	static char big[5000];
	memset(big, 'x', sizeof(big) - 1);
	log_error(LOG_MAIN, "%s", big);
	fflush(f);
	ck_assert_uint_lt(size, 1200);
	log_set_output(NULL, false);
	log_set_hook(NULL);
	fclose(f);
	free(text);
}
END_TEST

START_TEST(test_log_names)
{
	for (int i = 0; i < LOG_LVLS; i++)
		ck_assert_int_eq(log_level_parse(log_level_name((enum log_level)i)), i);
	for (int i = 0; i < LOG_SUBSYSTEMS; i++)
		ck_assert_int_eq(log_subsys_parse(log_subsys_name((enum log_subsys)i)), i);
	ck_assert_int_eq(log_level_parse("loud"), -1);
	ck_assert_int_eq(log_level_parse(""), -1);
	ck_assert_int_eq(log_subsys_parse("Main"), -1);
}
END_TEST

/* ---- the rest ------------------------------------------------------------- */

START_TEST(test_drop_table)
{
	ck_assert_str_eq(drop_info(DROP_NONE)->metric, "none");
	for (int i = 0; i < DROP_REASONS; i++) {
		const struct drop_info *d = drop_info((enum drop)i);
		ck_assert_ptr_nonnull(d->name);
		ck_assert_ptr_nonnull(d->metric);
		ck_assert_uint_gt(strlen(d->why), 5);
		ck_assert(d->dir == DROP_DIR_OUT || d->dir == DROP_DIR_IN || d->dir == DROP_DIR_ANY);
		ck_assert(d->severity <= DROP_SEV_ERROR);
		ck_assert_uint_eq(strspn(d->metric, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(d->metric));
		for (int k = 0; k < i; k++) {
			const struct drop_info *e = drop_info((enum drop)k);
			ck_assert_msg(strcmp(d->metric, e->metric) != 0, "%s twice", d->metric);
			ck_assert_msg(strcmp(d->why, e->why) != 0, "\"%s\" twice", d->why);
			ck_assert_str_ne(d->name, e->name);
		}
	}
	ck_assert_str_eq(drop_info(DROP_REPLAY)->name, "REPLAY");
	ck_assert_str_eq(drop_info((enum drop)DROP_REASONS)->metric, "none");
	ck_assert_str_eq(drop_info((enum drop)-1)->metric, "none");
}
END_TEST

START_TEST(test_audit_table)
{
	for (int i = AUDIT_NONE + 1; i < AUDIT_EVENTS; i++) {
		const struct audit_info *a = audit_info((enum audit)i);
		unsigned rfc, n;
		ck_assert_uint_eq(strspn(a->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(a->name));
		ck_assert_uint_gt(strlen(a->what), 5);
		ck_assert(a->of == AUDIT_OF_IPSEC || a->of == AUDIT_OF_POLICY || a->of == AUDIT_OF_IKE);
		/* what RFC 4302 4 and RFC 4303 4 want of their events, and RFC 4301 of its own */
		if (a->of == AUDIT_OF_IPSEC)
			ck_assert_uint_eq(a->fields & AUDIT_PACKET, AUDIT_PACKET);
		if (a->of == AUDIT_OF_IKE)
			ck_assert_uint_eq(a->fields, AUDIT_IKE);
		/* "RFC section" with commas between */
		const char *p = a->sections;
		for (;;) {
			ck_assert_msg(sscanf(p, "%u %u%*[.0-9]", &rfc, &n) == 2, "%s: %s", a->name, a->sections);
			if (a->demanded)
				ck_assert_msg(rfc == 2401 || rfc == 4301 || rfc == 4302 || rfc == 4303 || rfc == 2408,
					      "%s: RFC %u", a->name, rfc);
			const char *comma = strstr(p, ", ");
			if (!comma)
				break;
			p = comma + 2;
		}
		for (int k = AUDIT_NONE; k < i; k++) {
			ck_assert_str_ne(a->name, audit_info((enum audit)k)->name);
			ck_assert_str_ne(a->what, audit_info((enum audit)k)->what);
		}
	}
	ck_assert_str_eq(audit_info(AUDIT_REPLAY)->name, "replay");
	ck_assert_str_eq(audit_info(AUDIT_EVENTS)->name, "none");
	ck_assert_str_eq(audit_info((enum audit)-1)->name, "none");
}
END_TEST

static void fake_random(void *p, size_t n)
{
	memset(p, 0xab, n);
}

START_TEST(test_sources)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	ck_assert_int_eq(secret_init(), 0);
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	random_set_source(fake_random);
	ck_assert_uint_eq(random_u32(), 0xabababab);
	ck_assert_uint_eq(random_u64(), 0xababababababababull);
	random_set_source(NULL);
	ck_assert(random_u64() != random_u64());

	uint64_t t = clock_now_ns();
	ck_assert_uint_ge(clock_now_ns(), t);
	ck_assert_uint_gt(clock_wall_ns(), 1700000000ull * NS_PER_S);
	fake_now = 42;
	clock_set_source(fake_clock, NULL);
	ck_assert_uint_eq(clock_now_ns(), 42);
	ck_assert_uint_ne(clock_wall_ns(), 42);
	clock_set_source(NULL, NULL);
	ck_assert_uint_ge(clock_now_ns(), t);
}
END_TEST

struct item {
	int v;
	struct list link;
};

START_TEST(test_list)
{
	struct list head;
	struct item it[5];
	int sum = 0, want = 0;

	list_init(&head);
	ck_assert(list_empty(&head));
	for (int i = 0; i < 5; i++) {
		it[i].v = i;
		list_push_back(&head, &it[i].link);
	}
	list_for_each(l, &head)
		ck_assert_int_eq(list_entry(l, struct item, link)->v, want++);
	ck_assert_int_eq(want, 5);
	list_for_each_safe(l, &head) {
		struct item *i = list_entry(l, struct item, link);
		if (i->v % 2)
			list_del(l);
	}
	list_for_each(l, &head)
		sum += list_entry(l, struct item, link)->v;
	ck_assert_int_eq(sum, 6);
	ck_assert(list_empty(&it[1].link));
	list_del(&it[1].link); /* once more does no harm */
	list_for_each_safe(l, &head)
		list_del(l);
	ck_assert(list_empty(&head));
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);
	suite_add_tcase(s, t);
	return t;
}

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = add_case(s, "bytes");

	suite_add_tcase(s, base_addr_case());
	tcase_add_test(t, test_hex);
	tcase_add_test(t, test_rd);
	tcase_add_test(t, test_wr);
	tcase_add_test(t, test_bytes);
	t = add_case(s, "secret");
	tcase_add_test(t, test_secret);
	tcase_add_test(t, test_secret_alloc);
	tcase_add_test(t, test_secret_many);
	t = add_case(s, "log");
	tcase_add_test(t, test_log_limit);
	tcase_add_test(t, test_log_lines);
	tcase_add_test(t, test_log_names);
	t = add_case(s, "rest");
	tcase_add_test(t, test_drop_table);
	tcase_add_test(t, test_audit_table);
	tcase_add_test(t, test_sources);
	tcase_add_test(t, test_list);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
