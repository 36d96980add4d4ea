/* Addresses, prefixes, ranges and endpoints: text both ways, order, ranges as prefixes. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/random.h"
#include "test_base.h"

START_TEST(test_addr_text)
{
	static const char *const good[] = { "0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1",
					    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:192.0.2.1" };
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/24", ":::", "g::1",
					   "2001:db8::1%eth0", " 1.2.3.4", "1.2.3.4 ", "host" };
	char text[IP_ADDR_STRLEN];
	struct ip_addr a, before;

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_int_eq(ip_addr_parse(good[i], &a), 0);
		ck_assert_str_eq(ip_addr_format(&a, text), good[i]);
		ck_assert_int_eq(a.ver, strchr(good[i], ':') ? 6 : 4);
	}
	memset(&before, 0x5a, sizeof(before));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		a = before;
		ck_assert_msg(ip_addr_parse(bad[i], &a) == -EINVAL, "%s", bad[i]);
		ck_assert_mem_eq(&a, &before, sizeof(a));
	}
	a = (struct ip_addr) { 0 };
	ck_assert_str_eq(ip_addr_format(&a, text), "none");
	ck_assert(ip_addr_is_any(&a));
	a = ip_addr_any(6);
	ck_assert(ip_addr_is_any(&a));
	ck_assert_uint_eq(ip_addr_bytes(&a), 16);
}
END_TEST

START_TEST(test_addr_cmp)
{
	/* in ascending order */
	static const char *const order[] = { "0.0.0.0", "0.0.0.1", "9.255.255.255", "10.0.0.0", "255.255.255.255",
					     "::", "::1", "2001:db8::", "ff02::1" };

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		for (unsigned j = 0; j < ARRAY_LEN(order); j++) {
			struct ip_addr a, b;
			ck_assert_int_eq(ip_addr_parse(order[i], &a), 0);
			ck_assert_int_eq(ip_addr_parse(order[j], &b), 0);
			int c = ip_addr_cmp(&a, &b);
			ck_assert(i < j ? c < 0 : i > j ? c > 0 : c == 0);
			ck_assert(ip_addr_eq(&a, &b) == (i == j));
		}
}
END_TEST

START_TEST(test_prefix_text)
{
	static const char *const bad[] = { "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8",
					   "10.0.0.0/8x", "/8", "10.0.0.0/ 8", "10.0.0.0/99999999999999999999" };
	char text[IP_RANGE_STRLEN];
	struct ip_prefix p;

	ck_assert_int_eq(ip_prefix_parse("10.1.2.3/8", &p), 0);
	ck_assert_str_eq(ip_prefix_format(&p, text), "10.1.2.3/8");
	ck_assert_int_eq(ip_prefix_parse("10.1.2.3", &p), 0);
	ck_assert_uint_eq(p.len, 32);
	ck_assert_int_eq(ip_prefix_parse("2001:db8::/32", &p), 0);
	ck_assert_uint_eq(p.len, 32);
	ck_assert_int_eq(ip_prefix_parse("::/0", &p), 0);
	ck_assert_uint_eq(p.len, 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(ip_prefix_parse(bad[i], &p) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(test_range_text)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.1.2.3/8", "10.0.0.0/8" },
		{ "10.0.0.7", "10.0.0.7/32" },
		{ "10.0.0.0-10.255.255.255", "10.0.0.0/8" },
		{ "10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9" },
		{ "10.0.0.5-10.0.0.5", "10.0.0.5/32" },
		{ "0.0.0.0-255.255.255.255", "0.0.0.0/0" },
		{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0" },
		{ "2001:db8::1-2001:db8::2", "2001:db8::1-2001:db8::2" },
	};
	static const char *const bad[] = { "10.0.0.2-10.0.0.1", "10.0.0.1-::1", "10.0.0.1-", "-10.0.0.1", "-",
					   "10.0.0.0/8-10.0.0.1", "10.0.0.1-10.0.0.2-10.0.0.3", "" };
	char text[IP_RANGE_STRLEN];
	struct ip_range r;

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_int_eq(ip_range_parse(good[i].in, &r), 0);
		ck_assert_str_eq(ip_range_format(&r, text), good[i].out);
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(ip_range_parse(bad[i], &r) == -EINVAL, "%s", bad[i]);
	/* the longest text fits */
	ck_assert_int_eq(ip_range_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1-"
					"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &r), 0);
	ck_assert_uint_eq(strlen(ip_range_format(&r, text)), 79);
}
END_TEST

START_TEST(test_range_has)
{
	struct ip_range r, inner;
	struct ip_addr a;

	ck_assert_int_eq(ip_range_parse("10.0.0.5-10.0.1.5", &r), 0);
	static const struct {
		const char *addr;
		bool in;
	} rows[] = { { "10.0.0.4", false }, { "10.0.0.5", true },  { "10.0.0.255", true },
		     { "10.0.1.5", true },  { "10.0.1.6", false }, { "::a00:5", false } };
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(ip_addr_parse(rows[i].addr, &a), 0);
		ck_assert_msg(ip_range_has(&r, &a) == rows[i].in, "%s", rows[i].addr);
	}
	ck_assert(ip_range_covers(&r, &r));
	ck_assert_int_eq(ip_range_parse("10.0.0.6-10.0.1.6", &inner), 0);
	ck_assert(!ip_range_covers(&r, &inner));
	struct ip_range all = ip_range_all(4);
	ck_assert(ip_range_covers(&all, &r));
	ck_assert(!ip_range_covers(&r, &all));
	all = ip_range_all(6);
	ck_assert(!ip_range_covers(&all, &r));
}
END_TEST

/* Prefixes of a range: adjoining, in order, from its start to its end. */
static int check_prefixes(const struct ip_range *r)
{
	struct ip_prefix out[254];
	int n = ip_range_to_prefixes(r, out, 254);
	struct ip_addr at = r->lo;

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++) {
		struct ip_range one = ip_range_of_prefix(&out[i]);
		ck_assert(ip_addr_eq(&one.lo, &at));
		ck_assert(ip_range_covers(r, &one));
		at = one.hi;
		for (int b = (int)ip_addr_bytes(&at) - 1; b >= 0 && ++at.b[b] == 0; b--)
			;
		if (i == n - 1)
			ck_assert(ip_addr_eq(&one.hi, &r->hi));
	}
	if (n > 1)
		ck_assert_int_eq(ip_range_to_prefixes(r, out, (unsigned)n - 1), -ENOSPC);
	return n;
}

START_TEST(test_range_to_prefixes)
{
	static const struct {
		const char *range;
		int n;
	} rows[] = {
		{ "10.0.0.0/8", 1 }, { "0.0.0.0/0", 1 }, { "::/0", 1 }, { "10.0.0.1-10.0.0.1", 1 },
		{ "10.0.0.1-10.0.0.2", 2 }, { "10.0.0.1-10.0.0.6", 4 }, { "0.0.0.1-255.255.255.254", 62 },
		{ "255.255.255.254-255.255.255.255", 1 }, { "255.255.255.253-255.255.255.255", 2 },
		{ "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 254 }, { "0.0.0.0-255.255.255.254", 32 },
	};
	struct ip_range r;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(ip_range_parse(rows[i].range, &r), 0);
		ck_assert_msg(check_prefixes(&r) == rows[i].n, "%s", rows[i].range);
	}
	srand(3);
	for (unsigned i = 0; i < 500; i++) {
		struct ip_addr a = ip_addr_any(4), b = ip_addr_any(4);
		for (unsigned k = 2; k < 4; k++) {
			a.b[k] = (uint8_t)rand();
			b.b[k] = (uint8_t)rand();
		}
		r = ip_addr_cmp(&a, &b) < 0 ? (struct ip_range) { a, b } : (struct ip_range) { b, a };
		check_prefixes(&r);
	}
}
END_TEST

START_TEST(test_endpoint)
{
	char text[ENDPOINT_STRLEN];
	struct sockaddr_storage ss;
	struct endpoint e = { .port = 4500 }, back;

	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &e.addr), 0);
	ck_assert_str_eq(endpoint_format(&e, text), "192.0.2.1:4500");
	ck_assert_uint_eq(endpoint_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in));
	ck_assert_uint_eq(((struct sockaddr_in *)&ss)->sin_port, htons(4500));
	ck_assert_int_eq(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
	ck_assert(endpoint_eq(&e, &back));
	back.port++;
	ck_assert(!endpoint_eq(&e, &back));
	e.port = 0;
	ck_assert_str_eq(endpoint_format(&e, text), "192.0.2.1");
	e.port = 65535;
	ck_assert_int_eq(ip_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &e.addr), 0);
	ck_assert_str_eq(endpoint_format(&e, text), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	ck_assert_uint_eq(endpoint_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in6));
	ck_assert_int_eq(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
	ck_assert(endpoint_eq(&e, &back));
	/* an IPv4 peer seen through an IPv6 socket is an IPv4 peer */
	ck_assert_int_eq(ip_addr_parse("::ffff:192.0.2.9", &e.addr), 0);
	endpoint_to_sockaddr(&e, &ss);
	ck_assert_int_eq(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
	ck_assert_uint_eq(back.addr.ver, 4);
	ck_assert_str_eq(endpoint_format(&back, text), "192.0.2.9:65535");
	ss.ss_family = AF_UNIX;
	ck_assert_int_eq(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), -EAFNOSUPPORT);
}
END_TEST

TCase *base_addr_case(void)
{
	TCase *t = tcase_create("addr");

	tcase_add_test(t, test_addr_text);
	tcase_add_test(t, test_addr_cmp);
	tcase_add_test(t, test_prefix_text);
	tcase_add_test(t, test_range_text);
	tcase_add_test(t, test_range_has);
	tcase_add_test(t, test_range_to_prefixes);
	tcase_add_test(t, test_endpoint);
	return t;
}
