/* Sockets when the kernel says no: fall-backs from UDP_SEGMENT, full queues, packets too big, and
 * that every packet is counted exactly once. */
#include "test_io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "io/sock.h"
#include "test_io_sock.h"

/* The device cannot do checksums (EIO, kernels before 6.11): the same bytes come, and gso stays
 * off. */
START_TEST(test_gso_eio)
{
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, _i ? 6 : 4, true, true, false);
	n = four_messages(m, &p.path);
	fault_errno[0] = EIO;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	ck_assert_uint_eq(res.failed + res.full, 0);
	ck_assert(!p.tx.gso);
	ck_assert_uint_eq(p.tx.gso_off, 1);
	ck_assert_uint_eq(expect(&p.rx, p.q, m, 4, &p.from), n);
	pair_close(&p);
}
END_TEST

/* The third message is refused: what went before stays sent, nothing is sent twice, order is kept.
 */
START_TEST(test_gso_eio_midway)
{
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, true, true, false);
	n = four_messages(m, &p.path);
	m[0].df = m[1].df = false; /* a burst of its own */
	fault_errno[1] = EIO;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	ck_assert(!p.tx.gso);
	ck_assert_uint_eq(expect(&p.rx, p.q, m, 4, &p.from), 2 + 64 + 100);
	pair_close(&p);
}
END_TEST

/* A real refusal: the kernel does not do UDP_SEGMENT without checksums. */
START_TEST(test_gso_einval)
{
	const bool df = _i;
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;
	int one = 1;

	pair_open(&p, 4, true, true, false);
	n = four_messages(m, &p.path);
	for (unsigned i = 0; i < 4; i++)
		m[i].df = df;
	ck_assert_int_eq(setsockopt(p.tx.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)), 0);
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	ck_assert_uint_eq(expect(&p.rx, p.q, m, 4, &p.from), n);
	/* With df it cannot have been the size, so gso is given up; without it may have been. */
	ck_assert_int_eq(p.tx.gso, !df);
	if (df) /* a message that was in the burst already may be refused too */
		ck_assert(p.tx.gso_off == 1 || p.tx.gso_off == 2);
	else
		ck_assert_uint_eq(p.tx.gso_off, 3);
	pair_close(&p);
}
END_TEST

/* EINVAL for too big packets, as older kernels have it: gso is not to blame, although the short
 * last one passes. */
START_TEST(test_gso_einval_too_big)
{
	struct sock_tx_result res;
	struct sock_tx m;
	struct pair p;
	int lo;

	pair_open(&p, 4, true, true, false);
	ck_assert_int_eq(netlink_link_index(nl, "lo", &lo), 0);
	ck_assert_int_eq(netlink_link_mtu(nl, lo, 1280), 0);
	m = (struct sock_tx){ .path = &p.path,
			      .data = tx_data,
			      .len = 3 * 1400 + 50,
			      .seg = 1400,
			      .n_pkts = 4,
			      .df = true };
	fault_errno[0] = EINVAL;
	sock_send(&p.tx, &m, 1, &res);
	ck_assert_uint_eq(res.sent, 1);
	ck_assert_uint_eq(res.failed, 3);
	ck_assert_uint_eq(res.too_big, 3);
	ck_assert_int_eq(res.last_error, EMSGSIZE);
	ck_assert(p.tx.gso);
	/* One refused for three, one for the last. */
	ck_assert_uint_eq(fault_calls, 3);
	pair_close(&p);
}
END_TEST

/* With df a packet longer than the link's MTU is refused; without, the kernel fragments and the
 * whole arrives. */
START_TEST(test_df)
{
	const int ver = _i & 1 ? 6 : 4;
	const bool gso = _i & 2;
	struct sock_tx_result res;
	struct sock_tx m[3];
	struct pair p;
	int lo;

	pair_open(&p, ver, gso, true, false);
	ck_assert_int_eq(netlink_link_index(nl, "lo", &lo), 0);
	ck_assert_int_eq(netlink_link_mtu(nl, lo, 1280), 0);
	for (unsigned i = 0; i < 3; i++)
		m[i] = (struct sock_tx){ .path = &p.path,
					 .data = tx_data + 5000 * i,
					 .len = 5000,
					 .seg = 2500,
					 .n_pkts = 2,
					 .df = i == 1 };
	m[2].seg = 1000;
	m[2].n_pkts = 5;
	sock_send(&p.tx, m, 3, &res);
	ck_assert_uint_eq(res.sent, 2 + 5);
	ck_assert_uint_eq(res.failed, 2);
	ck_assert_uint_eq(res.too_big, 2);
	ck_assert_int_eq(res.last_error, EMSGSIZE);
	ck_assert_int_eq(p.tx.df_now, 0);
	ck_assert_int_eq(p.tx.gso, gso);
	m[1] = m[2];
	(void)expect(&p.rx, p.q, m, 2, &p.from);
	/* And set again for the next. */
	m[0].df = true;
	sock_send(&p.tx, m, 1, &res);
	ck_assert_uint_eq(res.too_big, 2);
	ck_assert_int_eq(p.tx.df_now, 1);
	pair_close(&p);
}
END_TEST

START_TEST(test_full)
{
	const bool gso = _i;
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, gso, true, false);
	n = four_messages(m, &p.path);
	m[0].df = false; /* two bursts: the first passes, the second finds no room */
	fault_errno[1] = EAGAIN;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, 10);
	ck_assert_uint_eq(res.full, n - 10);
	ck_assert_uint_eq(res.failed, 0);
	ck_assert_int_eq(res.last_error, EAGAIN);
	ck_assert_uint_eq(fault_calls, 2);
	(void)expect(&p.rx, p.q, m, 1, &p.from);
	/* A full device queue is only this datagram's trouble. */
	fault_reset();
	fault_errno[0] = ENOBUFS;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.full, gso ? 10 : 1);
	ck_assert_uint_eq(res.sent, n - res.full);
	pair_close(&p);
}
END_TEST

/* An ICMP error of an earlier packet is reported instead of sending: retried once, then it is this
 * one's. */
START_TEST(test_pending_error)
{
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, true, true, false);
	n = four_messages(m, &p.path);
	fault_errno[0] = ECONNREFUSED;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	(void)expect(&p.rx, p.q, m, 4, &p.from);
	fault_reset();
	fault_errno[0] = fault_errno[1] = EHOSTUNREACH;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.failed, 10);
	ck_assert_uint_eq(res.sent, n - 10);
	ck_assert_int_eq(res.last_error, EHOSTUNREACH);
	pair_close(&p);
}
END_TEST

/* No route: the whole message fails after two calls, however many packets it has, and its
 * neighbours pass. */
START_TEST(test_no_route)
{
	struct endpoint nowhere = { .addr = addr("192.0.2.1"), .port = 4500 };
	struct sock_tx_result res;
	struct sock_path path;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, _i, true, false);
	n = four_messages(m, &p.path);
	sock_path_set(&path, NULL, &nowhere);
	m[0].path = &path;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.failed, 10);
	ck_assert_uint_eq(res.sent, n - 10);
	ck_assert_int_eq(res.last_error, ENETUNREACH);
	ck_assert_int_eq(p.tx.gso, _i);
	ck_assert_uint_le(fault_calls, 2 + 3);
	(void)expect(&p.rx, p.q, m + 1, 3, &p.from);
	pair_close(&p);
}
END_TEST

/* A source address that is not (any more) ours: EINVAL with and without UDP_SEGMENT, so gso stays.
 */
START_TEST(test_foreign_source)
{
	struct ip_addr foreign = addr("192.0.2.77");
	struct endpoint to = { .addr = addr("127.0.0.3"), .port = 4500 };
	struct sock_tx_result res;
	struct sock_path path;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, true, true, false);
	n = four_messages(m, &p.path);
	sock_path_set(&path, &foreign, &to);
	m[2].path = &path;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.failed, 64);
	ck_assert_uint_eq(res.sent, n - 64);
	ck_assert(p.tx.gso);
	pair_close(&p);
}
END_TEST

/* A packet filter's verdict is about one packet. */
START_TEST(test_filtered)
{
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	pair_open(&p, 4, false, true, false);
	n = four_messages(m, &p.path);
	fault_errno[0] = EPERM;
	fault_errno[2] = EPERM;
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.failed, 2);
	ck_assert_uint_eq(res.sent, n - 2);
	ck_assert_int_eq(res.last_error, EPERM);
	pair_close(&p);
}
END_TEST

Suite *suite_sock_fail(void)
{
	Suite *s = suite_create("sock failures");
	TCase *c = tcase_create("sock failures");

	tcase_add_checked_fixture(c, ns_setup, ns_teardown);
	tcase_set_timeout(c, 20);
	tcase_add_loop_test(c, test_gso_eio, 0, 2);
	tcase_add_test(c, test_gso_eio_midway);
	tcase_add_loop_test(c, test_gso_einval, 0, 2);
	tcase_add_test(c, test_gso_einval_too_big);
	tcase_add_loop_test(c, test_df, 0, 4);
	tcase_add_loop_test(c, test_full, 0, 2);
	tcase_add_test(c, test_pending_error);
	tcase_add_loop_test(c, test_no_route, 0, 2);
	tcase_add_test(c, test_foreign_source);
	tcase_add_test(c, test_filtered);
	suite_add_tcase(s, c);
	return s;
}
