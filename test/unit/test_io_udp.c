/* The control thread's UDP socket, over loopback. */
#define _GNU_SOURCE 1
#include "test_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/udp.h"

static uint8_t buf[70000], back[70000];

static void open_at(struct udp *u, int ver, uint16_t port)
{
	struct udp_opts o = { .ver = (uint8_t)ver, .port = port };
	char why[200] = "";

	ck_assert_msg(udp_open(u, &o, why, sizeof(why)) == 0, "%s", why);
}

static void wait_for(const struct udp *u)
{
	struct pollfd p = { .fd = u->fd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

/* There and back: the answer comes from the address that was asked, though the host has others. */
START_TEST(test_there_and_back)
{
	int ver = _i ? 6 : 4;
	struct endpoint server = { .addr = addr(_i ? "fd00::1" : "127.0.0.9"), .port = 500 }, local, remote;
	struct endpoint client = { .addr = addr(_i ? "::1" : "127.0.0.5") };
	struct udp a, b;

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7 + i / 256);
	open_at(&a, ver, 500);
	open_at(&b, ver, 0);
	ck_assert_uint_eq(a.port, 500);
	ck_assert_uint_ne(b.port, 0);
	ck_assert_int_eq(udp_recv(&a, back, sizeof(back), &local, &remote), -EAGAIN);
	ck_assert_int_eq(udp_send(&b, &client, &server, span_of(buf, 60000)), 0); /* in fragments */
	wait_for(&a);
	ck_assert_int_eq(udp_recv(&a, back, sizeof(back), &local, &remote), 60000);
	ck_assert_mem_eq(back, buf, 60000);
	ck_assert(endpoint_eq(&local, &server));
	client.port = b.port;
	ck_assert(endpoint_eq(&remote, &client));
	ck_assert_int_eq(udp_send(&a, &local, &remote, span_of(buf, 28)), 0);
	wait_for(&b);
	ck_assert_int_eq(udp_recv(&b, back, sizeof(back), &local, &remote), 28);
	ck_assert(endpoint_eq(&remote, &server));
	ck_assert(endpoint_eq(&local, &client));
	/* no source: the kernel's choice; too long for the buffer: gone; empty */
	client.addr.ver = 0;
	ck_assert_int_eq(udp_send(&b, &client, &server, span_of(buf, 100)), 0);
	ck_assert_int_eq(udp_send(&b, &client, &server, span_of(buf, 0)), 0);
	wait_for(&a);
	ck_assert_int_eq(udp_recv(&a, back, 99, &local, &remote), -EMSGSIZE);
	wait_for(&a);
	ck_assert_int_eq(udp_recv(&a, back, 99, &local, &remote), 0);
	ck_assert_int_eq(udp_recv(&a, back, 99, &local, &remote), -EAGAIN);
	udp_close(&a);
	udp_close(&b);
	udp_close(&b);
}
END_TEST

START_TEST(test_refused)
{
	struct endpoint nobody = { .addr = addr("127.0.0.1"), .port = 9 }, none = { .port = 0 };
	struct endpoint six = { .addr = addr("::1"), .port = 9 };
	struct udp_opts o = { .ver = 4, .bind = addr("::1") };
	struct udp u, v;
	char why[200];

	ck_assert_int_eq(udp_open(&u, &o, why, sizeof(why)), -EAFNOSUPPORT);
	ck_assert_int_eq(u.fd, -1);
	o.bind = addr("198.51.100.9"); /* not ours */
	ck_assert_int_eq(udp_open(&u, &o, why, sizeof(why)), -EADDRNOTAVAIL);
	ck_assert_ptr_nonnull(strstr(why, "198.51.100.9"));
	ck_assert_int_eq(u.fd, -1);
	open_at(&u, 4, 500);
	o = (struct udp_opts){ .ver = 4, .port = 500 };
	ck_assert_int_eq(udp_open(&v, &o, why, sizeof(why)), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, ":500"));
	/* an ICMP error about what was sent does not fail what is sent next, to somebody else */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(udp_send(&u, &none, &nobody, span_of(buf, 1)), 0);
	ck_assert_int_eq(udp_send(&u, &none, &six, span_of(buf, 1)), -EAFNOSUPPORT);
	ck_assert_int_eq(udp_send(&u, &six, &nobody, span_of(buf, 1)), -EAFNOSUPPORT);
	ck_assert_int_eq(udp_send(&u, &none, &nobody, span_of(buf, 65536)), -EMSGSIZE);
	udp_close(&u);
}
END_TEST

START_TEST(test_mark)
{
	struct udp_opts o = { .ver = 4, .mark = 0xb1 };
	struct udp u;
	char why[200];
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	ck_assert_int_eq(udp_open(&u, &o, why, sizeof(why)), 0);
	ck_assert_int_eq(getsockopt(u.fd, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	ck_assert_uint_eq(mark, 0xb1);
	udp_close(&u);
}
END_TEST

Suite *suite_udp(void)
{
	Suite *s = suite_create("udp");
	TCase *c = tcase_create("udp");

	tcase_add_checked_fixture(c, ns_setup, ns_teardown);
	tcase_set_timeout(c, 20);
	tcase_add_loop_test(c, test_there_and_back, 0, 2);
	tcase_add_test(c, test_refused);
	tcase_add_test(c, test_mark);
	suite_add_tcase(s, c);
	return s;
}
