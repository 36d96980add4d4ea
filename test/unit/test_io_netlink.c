/* rtnetlink: what is added is there when asked for, what is wrong is said in the kernel's words. */
#include "test_io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/netlink_priv.h"

static struct tun tun;

static void setup(void)
{
	ns_setup();
	tun_up(&tun, "bw0", 1, true, "10.9.0.1/24");
}

static void teardown(void)
{
	tun_close(&tun);
	ns_teardown();
}

static struct netlink_route route_to(const char *dst, uint32_t mark)
{
	struct ip_addr a = addr(dst);
	struct netlink_route r;

	ck_assert_msg(netlink_route_get(nl, &a, mark, &r) == 0, "%s: %s", dst, netlink_why(nl));
	return r;
}

static int route_error(const char *dst)
{
	struct ip_addr a = addr(dst);
	struct netlink_route r;

	return netlink_route_get(nl, &a, 0, &r);
}

START_TEST(test_nl_link)
{
	struct netlink_link l;
	int index;

	ck_assert_int_eq(netlink_link_get(nl, "lo", &l), 0);
	ck_assert(l.index == 1 && l.up && l.kind[0] == '\0');
	ck_assert_int_eq(netlink_link_index(nl, "nosuch", &index), -ENODEV);
	ck_assert_int_eq(index, 0);
	ck_assert_str_ne(netlink_why(nl), "");
	ck_assert_int_eq(netlink_link_index(nl, "name-longer-than-any-can-be", &index), -ENODEV);
	ck_assert_int_eq(netlink_link_index(nl, "", &index), -ENODEV);
	ck_assert_int_eq(netlink_link_index(nl, "bw0", &index), 0);
	ck_assert_int_eq(index, tun.ifindex);
	ck_assert_int_eq(netlink_link_up(nl, index, false), 0);
	ck_assert_int_eq(netlink_link_get(nl, "bw0", &l), 0);
	ck_assert(!l.up);
	ck_assert_int_lt(netlink_link_up(nl, 9999, true), 0);
	ck_assert_int_lt(netlink_link_get_mtu(nl, 9999), 0);
}
END_TEST

START_TEST(test_nl_mtu_and_why)
{
	ck_assert_int_eq(netlink_link_get_mtu(nl, tun.ifindex), 1500);
	ck_assert_int_eq(netlink_link_mtu(nl, tun.ifindex, 1400), 0);
	ck_assert_str_eq(netlink_why(nl), "");
	ck_assert_int_eq(netlink_link_get_mtu(nl, tun.ifindex), 1400);
	/* The extended ack, not strerror(). */
	ck_assert_int_eq(netlink_link_mtu(nl, tun.ifindex, 10), -EINVAL);
	ck_assert_str_eq(netlink_why(nl), "mtu less than device minimum");
	ck_assert_int_eq(netlink_link_mtu(nl, tun.ifindex, 1u << 30), -EINVAL);
	ck_assert_str_eq(netlink_why(nl), "mtu greater than device maximum");
	ck_assert_int_eq(netlink_link_get_mtu(nl, tun.ifindex), 1400);
}
END_TEST

START_TEST(test_nl_addr)
{
	struct ip_prefix a = prefix(_i ? "fd09::5/64" : "10.8.7.1/30");
	struct sockaddr_storage sa;
	struct endpoint e = { .addr = a.addr };
	socklen_t len = endpoint_to_sockaddr(&e, &sa);
	int fd = socket(_i ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	bool added;

	ck_assert_int_lt(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(netlink_addr_add(nl, tun.ifindex, &a, &added), 0);
	ck_assert(added);
	ck_assert_int_eq(netlink_addr_add(nl, tun.ifindex, &a, &added), 0);
	ck_assert(!added);
	/* Usable at once: no duplicate address detection. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	close(fd);
	ck_assert_int_eq(route_to(_i ? "fd09::77" : "10.8.7.2", 0).ifindex, tun.ifindex);
	ck_assert_int_eq(netlink_addr_del(nl, tun.ifindex, &a), 0);
	ck_assert_int_eq(netlink_addr_del(nl, tun.ifindex, &a), -EADDRNOTAVAIL);
	ck_assert_int_lt(netlink_addr_add(nl, 9999, &a, &added), 0);
	ck_assert(!added);
}
END_TEST

START_TEST(test_nl_route)
{
	/* Bits beyond the prefix are not held against the caller. */
	struct ip_prefix dst = prefix(_i ? "fd55::77/32" : "10.2.3.4/16");
	const char *there = _i ? "fd55::1:2" : "10.2.200.1";
	struct ip_prefix own = prefix(_i ? "fd09::5/64" : "10.9.0.7/32");
	struct netlink_route r;
	bool added;

	ck_assert_int_eq(netlink_addr_add(nl, tun.ifindex, &own, &added), 0);
	ck_assert_int_eq(route_error(there), -ENETUNREACH);
	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &dst, 0, &own.addr, 1380), 0);
	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &dst, 0, &own.addr, 1380), -EEXIST);
	r = route_to(there, 0);
	ck_assert_int_eq(r.ifindex, tun.ifindex);
	ck_assert_uint_eq(r.mtu, 1380);
	ck_assert(ip_addr_eq(&r.src, &own.addr));
	ck_assert_int_eq(r.via.ver, 0);
	ck_assert_int_eq(netlink_route_del(nl, tun.ifindex, &dst, 0), 0);
	ck_assert_int_eq(netlink_route_del(nl, tun.ifindex, &dst, 0), -ESRCH);
	ck_assert_int_eq(route_error(there), -ENETUNREACH);
	/* Without its own MTU a route has the link's. */
	ck_assert_int_eq(netlink_link_mtu(nl, tun.ifindex, 1444), 0);
	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &dst, 0, NULL, 0), 0);
	ck_assert_uint_eq(route_to(there, 0).mtu, 1444);
}
END_TEST

START_TEST(test_nl_route_refused)
{
	struct ip_prefix dst = prefix("10.2.0.0/16");
	struct ip_addr foreign = addr("192.0.2.77");

	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &dst, 0, &foreign, 0), -EINVAL);
	ck_assert_str_eq(netlink_why(nl), "Invalid prefsrc address");
	ck_assert_int_eq(netlink_link_up(nl, tun.ifindex, false), 0);
	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &dst, 0, NULL, 0), -ENETDOWN);
	ck_assert_str_ne(netlink_why(nl), "");
}
END_TEST

START_TEST(test_nl_default_and_gateway)
{
	struct ip_prefix all = prefix("0.0.0.0/0"), net = prefix("172.16.0.0/12");
	struct ip_addr gw = addr("10.9.0.254");
	struct netlink_req r;
	struct rtmsg *rtm;
	struct netlink_route got;

	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &all, 0, NULL, 0), 0);
	ck_assert_int_eq(route_to("192.0.2.1", 0).ifindex, tun.ifindex);
	netlink_req_init(&r, RTM_NEWROUTE, NLM_F_CREATE, sizeof(*rtm));
	rtm = r.body;
	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = net.len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_type = RTN_UNICAST;
	netlink_req_addr(&r, RTA_DST, &net.addr);
	netlink_req_addr(&r, RTA_GATEWAY, &gw);
	ck_assert_int_eq(netlink_talk(nl, &r, NULL, NULL), 0);
	got = route_to("172.16.9.9", 0);
	ck_assert(ip_addr_eq(&got.via, &gw));
	ck_assert_int_eq(got.ifindex, tun.ifindex);
}
END_TEST

/* The pattern of a full tunnel: everything but marked packets goes by a table of its own. */
START_TEST(test_nl_rule)
{
	const int ver = _i ? 6 : 4;
	struct ip_prefix all = prefix(_i ? "::/0" : "0.0.0.0/0");
	const char *there = _i ? "2001:db8::1" : "192.0.2.1";
	const uint32_t mark = 0x80000b1e, table = 51820, priority = 100;
	struct tun full;

	tun_up(&full, "bw1", 1, true, "10.7.0.1/24");
	ck_assert_int_eq(netlink_route_add(nl, tun.ifindex, &all, 0, NULL, 0), 0);
	ck_assert_int_eq(netlink_route_add(nl, full.ifindex, &all, table, NULL, 0), 0);
	ck_assert_int_eq(route_to(there, 0).ifindex, tun.ifindex);
	ck_assert_int_eq(netlink_rule_add(nl, ver, mark, table, priority), 0);
	ck_assert_int_eq(netlink_rule_add(nl, ver, mark, table, priority), -EEXIST);
	ck_assert_int_eq(route_to(there, 0).ifindex, full.ifindex);
	ck_assert_int_eq(route_to(there, 1).ifindex, full.ifindex);
	ck_assert_int_eq(route_to(there, mark).ifindex, tun.ifindex);
	/* what comes from the device: only by routes of the main table that say more than "all" */
	ck_assert_int_eq(netlink_rule_from_add(nl, ver, "bw1", priority - 1), 0);
	ck_assert_int_eq(netlink_rule_from_add(nl, ver, "bw1", priority - 1), -EEXIST);
	ck_assert_int_eq(route_to(there, 0).ifindex, full.ifindex);
	ck_assert_int_eq(netlink_rule_from_del(nl, ver, "bw1", priority - 1), 0);
	ck_assert_int_eq(netlink_rule_from_del(nl, ver, "bw1", priority - 1), -ENOENT);
	ck_assert_int_eq(netlink_rule_del(nl, ver, mark, table, priority), 0);
	ck_assert_int_eq(netlink_rule_del(nl, ver, mark, table, priority), -ENOENT);
	ck_assert_int_eq(route_to(there, 0).ifindex, tun.ifindex);
	ck_assert_int_eq(netlink_route_del(nl, full.ifindex, &all, table), 0);
	ck_assert_int_eq(netlink_route_del(nl, full.ifindex, &all, table), -ESRCH);
	tun_close(&full);
}
END_TEST

Suite *suite_netlink(void)
{
	Suite *s = suite_create("netlink");
	TCase *c = tcase_create("netlink");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 20);
	tcase_add_test(c, test_nl_link);
	tcase_add_test(c, test_nl_mtu_and_why);
	tcase_add_loop_test(c, test_nl_addr, 0, 2);
	tcase_add_loop_test(c, test_nl_route, 0, 2);
	tcase_add_test(c, test_nl_route_refused);
	tcase_add_test(c, test_nl_default_and_gateway);
	tcase_add_loop_test(c, test_nl_rule, 0, 2);
	suite_add_tcase(s, c);
	return s;
}
