/* Addresses that are handed out, and the attributes that carry them (Mode Config). */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/pool.h"
#include "ike/v1/cfg.h"
#include "test_ike_v1.h"

#define WALL 1000000000ull

static struct ip_range range[2];
static struct ike_pool_conf pool;
static struct ike_leases *l;
static const struct endpoint here = { .addr = { 4, { 192, 0, 2, 1 } }, .port = 500 },
			     there = { .addr = { 4, { 192, 0, 2, 1 } }, .port = 40000 };

static void setup(void)
{
	ck_assert_int_eq(ip_range_parse("10.9.0.0/29", &range[0]), 0);
	ck_assert_int_eq(ip_range_parse("2001:db8::10-2001:db8::11", &range[1]), 0);
	pool = (struct ike_pool_conf){ .name = (char *)"p", .addrs = range, .n_addrs = 2 };
	l = ike_leases_new();
}

static void teardown(void)
{
	ike_leases_free(&l);
}

static const char *take(int ver, const char *who, const struct endpoint *at, const char *want)
{
	static char text[IP_ADDR_STRLEN];
	struct ip_addr w = { .ver = 0 }, out;

	if (want)
		ck_assert_int_eq(ip_addr_parse(want, &w), 0);
	int rc = ike_lease_take(l, &pool, ver, who, at, &w, WALL, &out);
	return rc ? strerror(-rc) : ip_addr_format(&out, text);
}

static void give(const char *addr, uint64_t at)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(addr, &a), 0);
	ike_lease_give(l, &a, at);
}

START_TEST(test_first_of_a_prefix)
{
	ck_assert_str_eq(take(4, "a", &here, NULL), "10.9.0.1");
	ck_assert_str_eq(take(4, "b", &here, NULL), "10.9.0.2");
	ck_assert_str_eq(take(6, "b", &here, NULL), "2001:db8::10");
	ck_assert_str_eq(take(4, "c", &here, "10.9.0.5"), "10.9.0.5");
	ck_assert_str_eq(take(4, "d", &here, "10.9.0.5"), "10.9.0.3");
	ck_assert_str_eq(take(4, "e", &here, "10.9.0.7"), "10.9.0.4"); /* broadcast */
	ck_assert_str_eq(take(4, "f", &here, "10.8.0.1"), "10.9.0.6");
	ck_assert_str_eq(take(4, "g", &here, NULL), strerror(ENOSPC));
	ck_assert_uint_eq(ike_leases_count(l), 7);
	range[1] = range[0];
	ck_assert_str_eq(take(6, "a", &here, NULL), strerror(ENOENT));
}
END_TEST

START_TEST(test_its_own_again)
{
	ck_assert_str_eq(take(4, "a", &here, NULL), "10.9.0.1");
	/* a second SA of the same peer: the same; it is free when both gave it back */
	ck_assert_str_eq(take(4, "a", &here, NULL), "10.9.0.1");
	give("10.9.0.1", WALL);
	ck_assert_uint_eq(ike_leases_nth(l, 0)->held, 1);
	/* somebody of that name behind the same address: another one */
	ck_assert_str_eq(take(4, "a", &there, NULL), "10.9.0.2");
	give("10.9.0.1", WALL);
	give("10.9.0.2", WALL);
	give("10.9.0.2", WALL); /* once too often: nothing */
	ck_assert_str_eq(take(4, "b", &here, "10.9.0.1"), "10.9.0.3");
	ck_assert_str_eq(take(4, "a", &there, "10.9.0.6"), "10.9.0.1");
}
END_TEST

START_TEST(test_the_oldest_goes)
{
	char who[2] = "a";

	for (; who[0] <= 'f'; who[0]++)
		(void)take(4, who, &here, NULL);
	give("10.9.0.4", 20);
	give("10.9.0.2", 10);
	ck_assert_str_eq(take(4, "x", &here, NULL), "10.9.0.2");
	ck_assert_str_eq(take(4, "d", &here, NULL), "10.9.0.4");
	ck_assert_str_eq(take(4, "b", &here, NULL), strerror(ENOSPC));
}
END_TEST

START_TEST(test_kept_for_a_while)
{
	pool.keep_ns = 100;
	ck_assert_str_eq(take(4, "a", &here, NULL), "10.9.0.1");
	ck_assert_str_eq(take(4, "b", &here, NULL), "10.9.0.2");
	give("10.9.0.1", WALL - 101);
	give("10.9.0.2", WALL - 99);
	ck_assert_str_eq(take(4, "c", &here, "10.9.0.1"), "10.9.0.1");
	ck_assert_str_eq(take(4, "b", &here, NULL), "10.9.0.2");
}
END_TEST

START_TEST(test_written_and_read)
{
	char *text = NULL;
	size_t len = 0;
	unsigned skipped;

	(void)take(4, "CN=a b, O=c", &here, NULL);
	(void)take(6, "user x", &here, NULL);
	give("2001:db8::10", 77);
	FILE *f = open_memstream(&text, &len);
	ck_assert_int_eq(ike_leases_write(l, f), 0);
	fclose(f);
	struct ike_leases *was = l;
	l = ike_leases_new();
	f = fmemopen(text, len, "r");
	ck_assert_int_eq(ike_leases_read(l, f, WALL, &skipped), 0);
	fclose(f);
	ck_assert_uint_eq(skipped, 0);
	ck_assert_uint_eq(ike_leases_count(l), 2);
	ck_assert_str_eq(ike_leases_nth(l, 0)->who, "CN=a b, O=c");
	ck_assert_uint_eq(ike_leases_nth(l, 0)->left_ns, WALL);
	ck_assert_uint_eq(ike_leases_nth(l, 1)->left_ns, 77);
	ck_assert_str_eq(take(4, "y", &here, NULL), "10.9.0.2");
	ck_assert_str_eq(take(4, "CN=a b, O=c", &there, NULL), "10.9.0.1");
	char junk[] = "p 10.9.0.1 0 61\np 10.9.9 0 61\np 10.9.0.7 0 6\n\np 10.9.0.5 0 00\n";
	f = fmemopen(junk, strlen(junk), "r");
	ck_assert_int_eq(ike_leases_read(l, f, WALL, &skipped), 0);
	fclose(f);
	ck_assert_uint_eq(skipped, 5);
	free(text);
	ike_leases_free(&was);
}
END_TEST

/* -- attributes -- */

static struct ike_msg m, back;
static uint8_t room[V1_CFG_ROOM], wire[4096];

static const struct ike_payload *through(const struct v1_cfg *c, bool question)
{
	static const uint8_t spi[8] = { 1 };
	struct wr w = wr_of(wire, sizeof(wire));
	struct ike_bad bad;

	ike_msg_init(&m, 0x10, spi, spi, IKE1_X_TRANSACTION, 0, 7);
	struct ike_payload *p = ike_msg_add(&m, IKE1_ATTR, false);
	p->cp.type = IKE1_CFG_REPLY;
	p->cp.id = 3;
	ck_assert_int_eq(v1_cfg_write(c, question, &m, p, room), 0);
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(ike_msg_parse(&back, wr_view(&w), &bad), 0);
	return ike_msg_find(&back, IKE1_ATTR, NULL);
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(text, &a), 0);
	return a;
}

static struct ip_prefix net(const char *text)
{
	struct ip_prefix p;

	ck_assert_int_eq(ip_prefix_parse(text, &p), 0);
	return p;
}

START_TEST(test_cfg_there_and_back)
{
	struct v1_cfg c = { .addr = { addr("10.9.0.1"), addr("2001:db8::10") },
			    .mask = addr("255.255.255.255"),
			    .dns = { addr("10.2.0.53"), addr("2001:db8::53") },
			    .n_dns = 2,
			    .nbns = { addr("10.2.0.9") },
			    .n_nbns = 1,
			    .include = { net("10.2.0.0/16"), net("0.0.0.0/0"), net("2001:db8::/32") },
			    .n_include = 3,
			    .exclude = { net("192.168.1.0/24") },
			    .n_exclude = 1,
			    .domain = "corp.example", .split_dns = "a.example,b.example",
			    .banner = "hello" },
		      got;
	struct ike_bad bad;
	const struct ike_payload *p = through(&c, false);

	ck_assert(!v1_cfg_is_xauth(&back, p));
	ck_assert_int_eq(v1_cfg_read(&back, p, &got, &bad), 0);
	ck_assert_uint_eq(got.has, V1_CFG_ALL);
	/* those of IPv4 are in one attribute: clients look at one alone */
	unsigned n = 0;
	for (unsigned i = 0; i < p->cp.n; i++)
		n += back.attr[p->cp.first + i].type == IKE1_UNITY_SPLIT_INCLUDE;
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(v1_cfg_find(&back, p, IKE1_UNITY_SPLIT_INCLUDE)->data.len, 28);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(ip_addr_eq(&got.addr[i], &c.addr[i]));
		ck_assert(ip_addr_eq(&got.dns[i], &c.dns[i]));
	}
	ck_assert(ip_addr_eq(&got.mask, &c.mask));
	ck_assert_uint_eq(got.n_dns, 2);
	ck_assert_uint_eq(got.n_nbns, 1);
	ck_assert_uint_eq(got.n_include, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(ip_addr_eq(&got.include[i].addr, &c.include[i].addr));
		ck_assert_uint_eq(got.include[i].len, c.include[i].len);
	}
	ck_assert_uint_eq(got.n_exclude, 1);
	ck_assert_str_eq(got.domain, "corp.example");
	ck_assert_str_eq(got.banner, "hello");
	ck_assert_str_eq(got.split_dns, "a.example,b.example");
}
END_TEST

START_TEST(test_cfg_question)
{
	struct v1_cfg c = { .has = V1_CFG_ALL, .addr[0] = addr("10.9.0.1") }, got;
	struct ike_bad bad;

	ck_assert_int_eq(v1_cfg_read(&back, through(&c, true), &got, &bad), 0);
	ck_assert_uint_eq(got.has, V1_CFG_ALL);
	ck_assert(ip_addr_eq(&got.addr[0], &c.addr[0]));
	ck_assert_uint_eq(got.addr[1].ver + got.n_dns + got.n_include + got.n_exclude, 0);
}
END_TEST

static const struct {
	uint16_t type;
	uint8_t len;
} wrong[] = {
	{ IKE1_IP4_ADDRESS, 3 },          { IKE1_IP4_ADDRESS, 16 }, { IKE1_IP6_ADDRESS, 4 },
	{ IKE1_IP6_ADDRESS, 18 },         { IKE1_IP4_NETMASK, 5 },  { IKE1_IP4_DNS, 16 },
	{ IKE1_IP6_DNS, 4 },              { IKE1_IP4_SUBNET, 9 },   { IKE1_IP6_SUBNET, 16 },
	{ IKE1_UNITY_SPLIT_INCLUDE, 13 }, { IKE1_UNITY_SPLIT_INCLUDE, 14 }, { IKE1_UNITY_LOCAL_LAN, 8 },
};

/* Lengths that do not fit, and (last two) masks with a hole. */
START_TEST(test_cfg_malformed)
{
	static const uint8_t spi[8] = { 1 };
	uint8_t value[20];
	struct v1_cfg got;
	struct ike_bad bad;

	memset(value, 0x55, sizeof(value));
	ike_msg_init(&m, 0x10, spi, spi, IKE1_X_TRANSACTION, 0, 7);
	struct ike_payload *p = ike_msg_add(&m, IKE1_ATTR, false);
	struct ike_attr *a = ike_msg_add_cp_attr(&m, p, wrong[_i].type);
	a->data = span_of(value, wrong[_i].len);
	ck_assert_int_eq(v1_cfg_read(&m, p, &got, &bad), -EBADMSG);
	ck_assert_uint_eq(bad.notify, IKE1_PAYLOAD_MALFORMED);
	a->type = 20000; /* not known: passed over */
	ck_assert_int_eq(v1_cfg_read(&m, p, &got, &bad), 0);
	ck_assert_uint_eq(got.has, 0);
}
END_TEST

TCase *v1_pool_case(void)
{
	TCase *t = tcase_create("pools and Mode Config");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_first_of_a_prefix);
	tcase_add_test(t, test_its_own_again);
	tcase_add_test(t, test_the_oldest_goes);
	tcase_add_test(t, test_kept_for_a_while);
	tcase_add_test(t, test_written_and_read);
	tcase_add_test(t, test_cfg_there_and_back);
	tcase_add_test(t, test_cfg_question);
	tcase_add_loop_test(t, test_cfg_malformed, 0, ARRAY_LEN(wrong));
	return t;
}
