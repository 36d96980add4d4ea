/* Kernels that lack something, made by the linker's --wrap: what is refused is done without, step by
 * step, and the bytes are the same. */
#define _GNU_SOURCE 1
#include "test_io.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io/sock.h"
#include "test_io_sock.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define EVERY_OFFLOAD 0x10000u /* with this in lacks_offload not even 0 is taken */

static unsigned lacks_offload; /* TUNSETOFFLOAD with any of these is refused */
static unsigned offers;        /* calls of TUNSETOFFLOAD */
static int lacks_udp;          /* UDP_SEGMENT or UDP_GRO; 0: nothing */

int __real_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);

int __wrap_ioctl(int fd, unsigned long what, ...)
{
	va_list ap;

	va_start(ap, what);
	unsigned long arg = va_arg(ap, unsigned long); /* a pointer or a number: one word */
	va_end(ap);
	if (what == TUNSETOFFLOAD) {
		offers++;
		if (lacks_offload & EVERY_OFFLOAD || arg & lacks_offload) {
			errno = EINVAL;
			return -1;
		}
	}
	return __real_ioctl(fd, what, arg);
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (lacks_udp && level == IPPROTO_UDP && option == lacks_udp) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return __real_setsockopt(fd, level, option, value, len);
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	if (lacks_udp && level == IPPROTO_UDP && option == lacks_udp) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return __real_getsockopt(fd, level, option, value, len);
}

static void lacking_setup(void)
{
	lacks_offload = offers = 0;
	lacks_udp = 0;
	ns_setup();
}

#define USO (TUN_CAN_USO4 | TUN_CAN_USO6)
#define TSO (TUN_CAN_TSO4 | TUN_CAN_TSO6)

static const struct {
	unsigned lacks;
	unsigned can;    /* what must be left */
	unsigned offers; /* how far down the ladder that is */
} ladder[] = {
	{ TUN_F_USO4 | TUN_F_USO6, TUN_CAN_CSUM | TSO, 2 },
	{ TUN_F_USO4, TUN_CAN_CSUM | TSO, 2 },
	{ TUN_F_USO4 | TUN_F_USO6 | TUN_F_TSO4 | TUN_F_TSO6, TUN_CAN_CSUM, 3 },
	{ TUN_F_USO6 | TUN_F_TSO_ECN, TUN_CAN_CSUM, 3 },
	{ TUN_F_CSUM, 0, 4 },
};

/* A datagram from this host into the device is unfinished only where the device may finish it. */
static void check_checksum(struct tun *t)
{
	struct sock_opts so = { .kind = SOCK_KIND_UDP, .ver = 4 };
	struct endpoint to = { .addr = addr("10.9.0.2"), .port = 9 };
	struct sock_path path;
	struct sock s;
	struct virtio_net_hdr vnet;
	uint8_t buf[2048];

	tx_fill();
	open_sock(&s, &so);
	sock_path_set(&path, NULL, &to);
	ck_assert_int_eq(sock_send_one(&s, &path, tx_data, 301), 0);
	ck_assert_uint_eq(tun_read_to(t, &to.addr, buf, sizeof(buf)), TUN_VNET_LEN + 28 + 301);
	memcpy(&vnet, buf, sizeof(vnet));
	ck_assert_int_eq(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
			 t->can & TUN_CAN_CSUM ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
	ck_assert_uint_eq(vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_mem_eq(buf + TUN_VNET_LEN + 28, tx_data, 301);
	sock_close(&s);
}

START_TEST(test_offload_ladder)
{
	struct tun t;

	lacks_offload = ladder[_i].lacks;
	tun_up(&t, "bw0", 1, true, "10.9.0.1/24");
	ck_assert_uint_eq(t.can, ladder[_i].can);
	ck_assert_uint_eq(offers, ladder[_i].offers);
	check_checksum(&t);
	tun_close(&t);
}
END_TEST

/* Not even "none" is taken: an error in words, and no device is left. */
START_TEST(test_offload_impossible)
{
	const struct tun_opts o = { .name = "bw0", .queues = 1, .offload = _i };
	struct netlink_link l;
	struct tun t;
	char why[256] = "";

	lacks_offload = EVERY_OFFLOAD;
	ck_assert_int_eq(tun_open(&t, &o, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "bw0: cannot set offloads"));
	ck_assert_uint_eq(offers, _i ? 4 : 1);
	ck_assert_int_eq(t.fd[0], -1);
	ck_assert_int_eq(netlink_link_get(nl, "bw0", &l), -ENODEV);
}
END_TEST

/* Without UDP_SEGMENT datagrams go one by one, 64 in a call; without UDP_GRO they come one by one. */
START_TEST(test_udp_lacking)
{
	const int ver = _i & 1 ? 6 : 4;
	const bool segment = _i & 2;
	struct sock_tx_result res;
	struct sock_tx m[4];
	struct pair p;
	unsigned n;

	lacks_udp = segment ? UDP_SEGMENT : UDP_GRO;
	pair_open(&p, ver, true, true, false);
	ck_assert_int_eq(p.tx.gso, !segment);
	ck_assert_int_eq(p.rx.gro, segment);
	n = four_messages(m, &p.path);
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	ck_assert_uint_eq(p.tx.gso_off, 0); /* never tried */
	ck_assert_uint_eq(fault_calls, segment ? (n + 63) / 64 : 1);
	ck_assert_uint_eq(expect(&p.rx, p.q, m, 4, &p.from), n);
	pair_close(&p);
}
END_TEST

Suite *suite_lacking(void)
{
	Suite *s = suite_create("lacking");
	TCase *c = tcase_create("lacking");

	tcase_add_checked_fixture(c, lacking_setup, ns_teardown);
	tcase_set_timeout(c, 20);
	tcase_add_loop_test(c, test_offload_ladder, 0, (int)ARRAY_LEN(ladder));
	tcase_add_loop_test(c, test_offload_impossible, 0, 2);
	tcase_add_loop_test(c, test_udp_lacking, 0, 4);
	suite_add_tcase(s, c);
	return s;
}
