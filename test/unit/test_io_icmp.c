/* ICMP errors as the host gets them, over loopback: which types come through, from where, and what is ignored. */
#define _GNU_SOURCE 1
#include "test_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/icmp.h"
#include "packet/csum.h"
#include "packet/icmp.h"

static int rx, tx;
static uint8_t msg[2000], back[2000];

static void open_both(int ver)
{
	ck_assert_int_eq(icmp_open(ver, &rx), 0);
	tx = socket(ver == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	ck_assert_int_ge(tx, 0);
}

static void close_both(void)
{
	close(rx);
	close(tx);
}

/* A message of len bytes to one of our addresses; the checksum of ICMPv6 is the kernel's. */
static void send_one(int ver, uint8_t type, uint8_t code, uint32_t len, bool good)
{
	struct endpoint to = { .addr = addr(ver == 4 ? "127.0.0.9" : "fd00::1") };
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(&to, &ss);

	for (uint32_t i = 0; i < len; i++)
		msg[i] = (uint8_t)(i * 3);
	msg[0] = type;
	msg[1] = code;
	msg[2] = msg[3] = 0;
	if (ver == 4) {
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, msg, len));
		memcpy(msg + 2, &sum, 2);
		msg[len - 1] ^= good ? 0 : 1;
	}
	ck_assert_int_eq(sendto(tx, msg, len, 0, (struct sockaddr *)&ss, n), len);
}

static bool waits(int ms)
{
	struct pollfd p = { .fd = rx, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

START_TEST(test_types)
{
	int ver = _i ? 6 : 4;
	static const uint8_t wanted[2][7] = { { 3, 4, 5, 11, 12 }, { 1, 2, 3, 4, 137 } };
	struct icmp_from from;

	open_both(ver);
	ck_assert_int_eq(icmp_take(ver, rx, back, sizeof(back), &from), -EAGAIN);
	for (unsigned type = 0; type < 256; type++) {
		/* the kernel's filter does not reach further */
		bool want = memchr(wanted[_i], (int)type, 5) || (ver == 4 && type >= 32);
		if (ver == 6 && type >= 128 && type < 160 && !want)
			continue; /* the kernel's own: queries, groups, neighbours */
		send_one(ver, (uint8_t)type, 4, 64, true);
		if (!want)
			continue;
		ck_assert_msg(waits(2000), "type %u did not come", type);
		ck_assert_int_eq(icmp_take(ver, rx, back, sizeof(back), &from), 64);
		ck_assert_uint_eq(back[0], type);
		ck_assert_uint_eq(back[1], 4);
		ck_assert_mem_eq(back + 4, msg + 4, 60);
		ck_assert_uint_eq(from.ifindex, 1);
		struct ip_addr to = addr(ver == 4 ? "127.0.0.9" : "fd00::1"), who = addr(ver == 4 ? "127.0.0.1" : "fd00::1");
		ck_assert(ip_addr_eq(&from.to, &to));
		ck_assert(ip_addr_eq(&from.addr, &who));
	}
	ck_assert(!waits(50)); /* and no other type did */
	close_both();
}
END_TEST

/* The kernel checks ICMPv6; IPv4 comes to raw sockets as it is. */
START_TEST(test_ignored)
{
	struct icmp_from from;

	open_both(4);
	send_one(4, 3, 4, 64, false);
	ck_assert(waits(2000));
	ck_assert_int_eq(icmp_take(4, rx, back, sizeof(back), &from), 0);
	send_one(4, 3, 4, 1000, true); /* longer than the buffer */
	ck_assert(waits(2000));
	ck_assert_int_eq(icmp_take(4, rx, back, 500, &from), 0);
	ck_assert_int_eq(icmp_take(4, rx, back, sizeof(back), &from), -EAGAIN);
	close_both();
	open_both(6);
	send_one(6, 2, 0, 1000, true);
	ck_assert(waits(2000));
	ck_assert_int_eq(icmp_take(6, rx, back, 500, &from), 0);
	ck_assert_int_eq(icmp_take(6, rx, back, sizeof(back), &from), -EAGAIN);
	close_both();
}
END_TEST

START_TEST(test_learner)
{
	for (unsigned proto = 50; proto <= 51; proto++) {
		struct endpoint to = { .addr = addr("fd00::1") };
		struct sockaddr_storage ss;
		socklen_t n = endpoint_to_sockaddr(&to, &ss);
		int fd, out = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, (int)proto), value = 0;
		socklen_t len = sizeof(value);
		ck_assert_int_eq(icmp_open_learner((uint8_t)proto, 7, &fd), 0);
		ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_MARK, &value, &len), 0);
		ck_assert_int_eq(value, 7);
		ck_assert_int_eq(getsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &value, &len), 0);
		ck_assert_int_eq(value, 1);
		/* it receives nothing */
		ck_assert_int_eq(sendto(out, msg, 100, 0, (struct sockaddr *)&ss, n), 100);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ck_assert_int_eq(poll(&p, 1, 50), 0);
		close(fd);
		close(out);
	}
}
END_TEST

/* What the kernel has learned for an address counts for netlink_route_get(), not for netlink_route_mtu(), which asks the route. */
START_TEST(test_route_mtu)
{
	static uint8_t raw[TUN_VNET_LEN + 2000];
	struct ip_addr peer = addr("10.9.0.77"), none = addr("192.0.2.1"), router = addr("10.9.0.66");
	struct endpoint at = { .addr = peer, .port = 9 };
	struct sockaddr_storage ss;
	struct netlink_route r;
	struct pkt_info info;
	uint32_t mtu = 1;
	struct tun tun;
	int set = IP_PMTUDISC_DO;

	tun_up(&tun, "bw0", 1, true, "10.9.0.1/24");
	ck_assert_int_eq(netlink_route_mtu(nl, &peer, 0, &mtu), 0);
	ck_assert_uint_eq(mtu, 1500);
	ck_assert_int_ne(netlink_route_mtu(nl, &none, 0, &mtu), 0);
	ck_assert_uint_eq(mtu, 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = endpoint_to_sockaddr(&at, &ss);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &set, sizeof(set)), 0);
	ck_assert_int_eq(send(fd, msg, 1200, 0), 1200);
	size_t n = tun_read_to(&tun, &peer, raw, sizeof(raw));
	ck_assert_uint_gt(n, 1200);
	ck_assert_int_eq(pkt_parse(raw + TUN_VNET_LEN, n - TUN_VNET_LEN, &info), DROP_NONE);
	uint8_t out[TUN_VNET_LEN + ICMP_ERROR_MAX] = { 0 };
	n = icmp_error(ICMP_KIND_TOO_BIG, raw + TUN_VNET_LEN, &info, 1000, &router, out + TUN_VNET_LEN);
	ck_assert_int_eq(write(tun.fd[0], out, TUN_VNET_LEN + n), TUN_VNET_LEN + n);
	for (unsigned i = 0; i < 200; i++) {
		ck_assert_int_eq(netlink_route_get(nl, &peer, 0, &r), 0);
		if (r.mtu == 1000)
			break;
		usleep(5000);
	}
	ck_assert_uint_eq(r.mtu, 1000);
	ck_assert_int_eq(netlink_route_mtu(nl, &peer, 0, &mtu), 0);
	ck_assert_uint_eq(mtu, 1500);
	close(fd);
	tun_close(&tun);
}
END_TEST

Suite *suite_icmp(void)
{
	Suite *s = suite_create("icmp");
	TCase *c = tcase_create("icmp");

	tcase_add_checked_fixture(c, ns_setup, ns_teardown);
	tcase_set_timeout(c, 30);
	tcase_add_loop_test(c, test_types, 0, 2);
	tcase_add_test(c, test_ignored);
	tcase_add_test(c, test_learner);
	tcase_add_test(c, test_route_mtu);
	suite_add_tcase(s, c);
	return s;
}
