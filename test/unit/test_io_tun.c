/* TUN devices: names, queues, offloads, persistence, what is said when the name is taken. */
#include "test_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "io/sock.h"
#include "packet/gso.h" /* VIRTIO_NET_HDR_GSO_UDP_L4 */

static char why[256];

static int open_tun(struct tun *t, const char *name, unsigned queues, bool offload, bool persist)
{
	const struct tun_opts o = {
		.name = name, .queues = queues, .offload = offload, .persist = persist
	};

	why[0] = '\0';
	return tun_open(t, &o, why, sizeof(why));
}

static bool link_exists(const char *name)
{
	struct netlink_link l;

	return netlink_link_get(nl, name, &l) == 0;
}

/* A device made by somebody else: stays as long as the returned file is open. */
static int foreign_device(const char *name, short flags, bool persist)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open("/dev/net/tun", O_RDWR);

	ck_assert_int_ge(fd, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	if (persist)
		ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	return fd;
}

START_TEST(test_tun_bad_names)
{
	static const struct {
		const char *name;
		int err;
		const char *says;
	} row[] = {
		{ NULL, -EINVAL, "empty" },
		{ "", -EINVAL, "empty" },
		{ "abcdefghijklmnop", -ENAMETOOLONG, "16 characters" },
		{ "a/b", -EINVAL, "a/b" },
		{ "a b", -EINVAL, "white space" },
		{ "a\nb", -EINVAL, "white space" },
		{ "a:1", -EINVAL, "':'" },
		{ "bw%d", -EINVAL, "'%'" },
		{ "..", -EINVAL, "not a device name" },
	};
	struct tun t;

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		ck_assert_int_eq(open_tun(&t, row[i].name, 1, true, false), row[i].err);
		ck_assert_msg(strstr(why, row[i].says) != NULL, "row %u: %s", i, why);
		ck_assert_int_eq(t.fd[0], -1);
	}
	ck_assert_int_eq(open_tun(&t, "abcdefghijklmno", 1, true, false), 0);
	ck_assert_str_eq(t.name, "abcdefghijklmno");
	tun_close(&t);
	ck_assert_int_eq(open_tun(&t, "bw0", 0, true, false), -EINVAL);
	ck_assert_int_eq(open_tun(&t, "bw0", TUN_MAX_QUEUES + 1, true, false), -EINVAL);
	ck_assert(!link_exists("bw0"));
}
END_TEST

START_TEST(test_tun_queues)
{
	const unsigned queues = _i ? 4 : 1;
	struct netlink_link l;
	struct tun t;
	uint8_t b[64];

	ck_assert_int_eq(open_tun(&t, "bw0", queues, true, false), 0);
	ck_assert(t.created);
	ck_assert_uint_eq(t.queues, queues);
	ck_assert_int_eq(netlink_link_get(nl, "bw0", &l), 0);
	ck_assert_int_eq(l.index, t.ifindex);
	ck_assert_str_eq(l.kind, "tun");
	ck_assert_int_eq(l.multi_queue, queues > 1);
	ck_assert_uint_eq(l.queues, queues > 1 ? queues : 0);
	ck_assert(!l.up && !l.tap);
	ck_assert_int_eq(netlink_link_up(nl, t.ifindex, true), 0);
	for (unsigned i = 0; i < TUN_MAX_QUEUES; i++) {
		if (i >= queues) {
			ck_assert_int_eq(t.fd[i], -1);
			continue;
		}
		ck_assert(fcntl(t.fd[i], F_GETFL) & O_NONBLOCK);
		ck_assert(fcntl(t.fd[i], F_GETFD) & FD_CLOEXEC);
		while (read(t.fd[i], b, sizeof(b)) > 0)
			;
		ck_assert_int_eq(errno, EAGAIN);
	}
	tun_close(&t);
	ck_assert(!link_exists("bw0"));
	tun_close(&t); /* twice does no harm */
}
END_TEST

START_TEST(test_tun_offload)
{
	const unsigned tso = TUN_CAN_CSUM | TUN_CAN_TSO4 | TUN_CAN_TSO6;
	const unsigned uso = TUN_CAN_USO4 | TUN_CAN_USO6;
	struct utsname u;
	unsigned major = 0, minor = 0;
	struct tun t;

	ck_assert_int_eq(uname(&u), 0);
	ck_assert_int_eq(sscanf(u.release, "%u.%u", &major, &minor), 2);
	ck_assert_int_eq(open_tun(&t, "bw0", 1, true, false), 0);
	ck_assert_uint_eq(t.can & tso, tso);
	ck_assert_uint_eq(t.can & uso, major * 100 + minor >= 602 ? uso : 0);
	tun_close(&t);
	ck_assert_int_eq(open_tun(&t, "bw0", 1, false, false), 0);
	ck_assert_uint_eq(t.can, 0);
	tun_close(&t);
}
END_TEST

START_TEST(test_tun_persist)
{
	const unsigned queues = _i ? 2 : 1;
	struct tun t;

	ck_assert_int_eq(open_tun(&t, "bw0", queues, true, true), 0);
	ck_assert(t.created && t.persist);
	tun_close(&t);
	ck_assert(link_exists("bw0"));
	/* Somebody else's now: used, and left, without being asked to persist. */
	ck_assert_int_eq(open_tun(&t, "bw0", queues, false, false), 0);
	ck_assert(!t.created && t.persist);
	ck_assert_uint_eq(t.can, 0);
	tun_close(&t);
	ck_assert(link_exists("bw0"));
	/* The offloads the last user set do not stick. */
	ck_assert_int_eq(open_tun(&t, "bw0", 1, true, false), 0);
	ck_assert_uint_ne(t.can, 0);
	tun_close(&t);
	ck_assert_int_eq(open_tun(&t, "bw0", 2, true, false), queues > 1 ? 0 : -EINVAL);
	if (queues == 1)
		ck_assert_msg(strstr(why, "single queue") != NULL, "%s", why);
	tun_close(&t);
}
END_TEST

START_TEST(test_tun_name_taken)
{
	struct tun t, other;
	int fd;

	ck_assert_int_eq(open_tun(&t, "lo", 1, true, false), -EEXIST);
	ck_assert_str_eq(why, "lo exists and is not a TUN device");
	fd = foreign_device("tap0", IFF_TAP | IFF_NO_PI, false);
	ck_assert_int_eq(open_tun(&t, "tap0", 1, true, false), -EEXIST);
	ck_assert_msg(strstr(why, "TAP") != NULL, "%s", why);
	close(fd);
	for (unsigned queues = 1; queues <= 2; queues++) {
		ck_assert_int_eq(open_tun(&other, "bw0", queues, true, false), 0);
		for (unsigned mine = 1; mine <= queues; mine++) {
			ck_assert_int_eq(open_tun(&t, "bw0", mine, true, false), -EBUSY);
			ck_assert_str_eq(why, "bw0 is in use by another process");
		}
		tun_close(&other);
	}
	ck_assert(!link_exists("bw0"));
}
END_TEST

/* A device prepared by an administrator is used as it is. */
START_TEST(test_tun_prepared)
{
	struct tun t;

	close(
	    foreign_device("bw7", (short)(IFF_TUN | IFF_NO_PI | (_i ? IFF_MULTI_QUEUE : 0)), true));
	ck_assert_msg(open_tun(&t, "bw7", 1, true, false) == 0, "%s", why);
	ck_assert(!t.created);
	tun_close(&t);
	ck_assert(link_exists("bw7"));
}
END_TEST

/* What a socket sends in segments comes as a super-packet with offloads, packet by packet without.
 */
START_TEST(test_tun_read_super)
{
	static uint8_t data[5 * 1000], buf[TUN_READ_MAX];
	const bool offload = _i;
	const struct endpoint to = { .addr = addr("10.9.0.2"), .port = 4500 };
	const struct sock_opts so = { .kind = SOCK_KIND_UDP, .ver = 4, .gso = true };
	struct sock_path path;
	struct sock_tx m = {
		.path = &path, .data = data, .len = sizeof(data), .seg = 1000, .n_pkts = 5
	};
	struct sock_tx_result res;
	struct virtio_net_hdr vh;
	struct sock s;
	struct tun t;
	size_t n, got = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	tun_up(&t, "bw0", 1, offload, "10.9.0.1/24");
	ck_assert_int_eq(sock_open(&s, &so, why, sizeof(why)), 0);
	sock_path_set(&path, NULL, &to);
	sock_send(&s, &m, 1, &res);
	ck_assert_uint_eq(res.sent, 5);
	while (got < sizeof(data)) {
		n = tun_read_to(&t, &to.addr, buf, sizeof(buf));
		ck_assert_uint_gt(n, TUN_VNET_LEN + 28);
		memcpy(&vh, buf, sizeof(vh));
		if (t.can & TUN_CAN_USO4) {
			ck_assert_int_eq(vh.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
			ck_assert_uint_eq(vh.gso_size, 1000);
			ck_assert_uint_eq(n, TUN_VNET_LEN + 28 + sizeof(data));
		} else {
			ck_assert_int_eq(vh.gso_type, VIRTIO_NET_HDR_GSO_NONE);
			ck_assert_uint_eq(n, TUN_VNET_LEN + 28 + 1000);
		}
		ck_assert_mem_eq(buf + TUN_VNET_LEN + 28, data + got, n - TUN_VNET_LEN - 28);
		got += n - TUN_VNET_LEN - 28;
	}
	sock_close(&s);
	tun_close(&t);
}
END_TEST

/* A packet written to the device is received by the socket of its port. */
START_TEST(test_tun_write)
{
	uint8_t b[TUN_VNET_LEN + 28 + 5] = { 0 }, *ip = b + TUN_VNET_LEN;
	const struct sock_opts so = {
		.kind = SOCK_KIND_UDP, .ver = 4, .port = 4500, .bind = addr("10.9.0.1")
	};
	struct sock_rxq *q = sock_rxq_new(4, 2048);
	struct sock_rx rx[4];
	uint32_t sum = 0;
	struct sock s;
	struct tun t;

	ck_assert_ptr_nonnull(q);
	tun_up(&t, "bw0", 1, true, "10.9.0.1/24");
	ck_assert_int_eq(sock_open(&s, &so, why, sizeof(why)), 0);
	memcpy(ip, "\x45\0\0\x21\0\0\0\0\x40\x11\0\0\x0a\x09\0\2\x0a\x09\0\1", 20);
	for (unsigned i = 0; i < 20; i += 2)
		sum += load_be16(ip + i);
	store_be16(ip + 10, (uint16_t) ~(sum % 65535));
	memcpy(ip + 20, "\x30\x39\x11\x94\0\x0d\0\0hello", 13);
	ck_assert_int_eq(write(t.fd[0], b, sizeof(b)), sizeof(b));
	ck_assert_int_eq(sock_recv(&s, q, rx, 4), 1);
	ck_assert_uint_eq(rx[0].len, 5);
	ck_assert_mem_eq(rx[0].data, "hello", 5);
	sock_close(&s);
	sock_rxq_free(&q);
	ck_assert_ptr_null(q);
	tun_close(&t);
}
END_TEST

Suite *suite_tun(void)
{
	Suite *s = suite_create("tun");
	TCase *c = tcase_create("tun");

	tcase_add_checked_fixture(c, ns_setup, ns_teardown);
	tcase_set_timeout(c, 20);
	tcase_add_test(c, test_tun_bad_names);
	tcase_add_loop_test(c, test_tun_queues, 0, 2);
	tcase_add_test(c, test_tun_offload);
	tcase_add_loop_test(c, test_tun_persist, 0, 2);
	tcase_add_test(c, test_tun_name_taken);
	tcase_add_loop_test(c, test_tun_prepared, 0, 2);
	tcase_add_loop_test(c, test_tun_read_super, 0, 2);
	tcase_add_test(c, test_tun_write);
	suite_add_tcase(s, c);
	return s;
}
