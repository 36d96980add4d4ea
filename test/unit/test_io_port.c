/* Ports of a bridge: packet sockets on one end of a veth pair, whose other end is a packet socket of the test's; TAP devices. */
#include "test_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/port.h"

static char why[256];
static const struct virtio_net_hdr none;

static int open_port(struct port *p, const char *name, bool tap, unsigned queues, bool hide_own)
{
	struct port_opts o = { .name = name, .tap = tap, .queues = queues, .hide_own = hide_own };

	why[0] = '\0';
	return port_open(p, &o, why, sizeof(why));
}

static void pair_up(void)
{
	ck_assert_int_eq(system("ip link add p0 type veth peer name p1 && ip link set p0 up && ip link set p1 up"), 0);
}

static void pair_down(void)
{
	ck_assert_int_eq(system("ip link del p0"), 0);
}

/* A packet socket on p1 that sends and sees whole frames. */
static int other_end(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("p1") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* An experimental EtherType, so that nothing else is taken for ours. */
static void fill(uint8_t f[60], const uint8_t dst[6])
{
	memset(f, 0, 60);
	memcpy(f, dst, 6);
	f[6] = 2;
	f[11] = 9;
	f[12] = 0x88;
	f[13] = 0xb5;
}

/* Frames of ours that arrive within a short time, on all queues. */
static unsigned arrived(const struct port *p, struct port_rxq *q, struct port_rx *last)
{
	static uint8_t copy[2048]; /* what was received stays only until more is */
	struct port_rx rx[PORT_BATCH];
	unsigned n = 0;

	usleep(20000);
	for (unsigned i = 0; i < p->queues; i++) {
		unsigned k = port_recv(p, i, q, rx);
		for (unsigned j = 0; j < k; j++)
			if (rx[j].len >= 14 && memcmp(rx[j].p + 6, "\2\0\0\0\0\x9", 6) == 0) {
				ck_assert_uint_le(rx[j].len, sizeof(copy));
				memcpy(copy, rx[j].p, rx[j].len);
				*last = rx[j];
				last->p = copy;
				n++;
			}
	}
	return n;
}

START_TEST(test_port_frames)
{
	static const uint8_t elsewhere[6] = { 2, 0, 0, 0, 0, 8 };
	struct port_rxq *q = port_rxq_new();
	struct port_tx *tx = malloc(sizeof(*tx));
	struct port_rx rx;
	struct port p;
	uint8_t f[64], got[2000];

	ck_assert(q && tx);
	pair_up();
	ck_assert_msg(open_port(&p, "p0", false, _i ? 4 : 1, true) == 0, "%s", why);
	int fd = other_end();
	/* to anybody: seen once, whatever the number of queues */
	fill(f, elsewhere);
	ck_assert_int_eq(send(fd, f, 60, 0), 60);
	ck_assert_uint_eq(arrived(&p, q, &rx), 1);
	ck_assert_uint_eq(rx.len, 60);
	ck_assert_uint_eq(rx.tag, 0);
	ck_assert(!rx.truncated);
	ck_assert_mem_eq(rx.p, f, 60);
	/* to the interface itself: the system's */
	fill(f, p.mac);
	ck_assert_int_eq(send(fd, f, 60, 0), 60);
	ck_assert_uint_eq(arrived(&p, q, &rx), 0);
	/* a tag comes beside the frame */
	fill(f, elsewhere);
	memcpy(f + 12, "\x81\x00\x20\x05\x88\xb5", 6);
	ck_assert_int_eq(send(fd, f, 60, 0), 60);
	ck_assert_uint_eq(arrived(&p, q, &rx), 1);
	ck_assert_uint_eq(rx.tag, 0x81002005);
	ck_assert_uint_eq(rx.len, 56);
	ck_assert_mem_eq(rx.p + 12, "\x88\xb5", 2);
	/* what is sent leaves whole, and is not received again */
	while (recv(fd, got, sizeof(got), 0) >= 0)
		;
	port_tx_init(tx, &p, 0);
	fill(f, elsewhere);
	struct iovec data[2] = { { f + 18, 20 }, { f + 38, 22 } };
	port_put(tx, &none, f, 18, data, 2, 1);
	ck_assert_int_lt(recv(fd, got, sizeof(got), 0), 0);
	port_flush(tx);
	ck_assert_uint_eq(tx->sends, 1);
	ck_assert_uint_eq(tx->full + tx->failed, 0);
	ck_assert_uint_eq(arrived(&p, q, &rx), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 60);
	ck_assert_mem_eq(got, f, 60);
	/* longer than the link takes */
	static uint8_t big[3000];
	data[0] = (struct iovec) { big, sizeof(big) };
	port_put(tx, &none, f, 14, data, 1, 3);
	port_flush(tx);
	ck_assert_uint_eq(tx->failed, 3);
	close(fd);
	port_close(&p);
	port_close(&p); /* twice does no harm */
	port_rxq_free(&q);
	free(tx);
	pair_down();
}
END_TEST

START_TEST(test_port_tap)
{
	struct port_rxq *q = port_rxq_new();
	struct netlink_link l;
	struct port p;

	ck_assert_ptr_nonnull(q);
	ck_assert_msg(open_port(&p, "bwtap", true, 2, false) == 0, "%s", why);
	ck_assert_int_eq(netlink_link_get(nl, "bwtap", &l), 0);
	ck_assert(l.tap);
	ck_assert_int_eq(l.index, p.ifindex);
	ck_assert_int_eq(open_port(&(struct port) { .is_tap = false }, "bwtap", true, 2, false), -EBUSY);
	port_close(&p);
	ck_assert_int_eq(netlink_link_get(nl, "bwtap", &l), -ENODEV);
	port_rxq_free(&q);
}
END_TEST

START_TEST(test_port_refused)
{
	struct port p;

	ck_assert_int_eq(open_port(&p, "nowhere", false, 1, false), -ENODEV);
	ck_assert_str_eq(why, "there is no interface nowhere");
	ck_assert_int_eq(open_port(&p, "lo", false, 1, false), -EINVAL);
	ck_assert_str_eq(why, "lo is not an Ethernet interface");
	ck_assert_int_eq(open_port(&p, "sixteen-bytes-16", false, 1, false), -ENAMETOOLONG);
	ck_assert_int_eq(open_port(&p, "lo", false, 0, false), -EINVAL);
	ck_assert_int_eq(open_port(&p, "lo", true, 1, false), -EEXIST);
}
END_TEST

/* A bridge of the kernel's, as on_exit = pass makes it. */
START_TEST(test_bridge_links)
{
	struct netlink_link l;
	int index, p0;

	pair_up();
	ck_assert_int_eq(netlink_link_index(nl, "p0", &p0), 0);
	ck_assert_int_eq(netlink_bridge_add(nl, "bwbr", &index), 0);
	ck_assert_int_eq(netlink_bridge_add(nl, "bwbr", &index), -EEXIST);
	ck_assert_int_eq(netlink_link_index(nl, "bwbr", &index), 0);
	ck_assert_int_eq(netlink_link_master(nl, p0, index), 0);
	ck_assert_int_eq(netlink_link_get(nl, "p0", &l), 0);
	ck_assert_int_eq(l.master, index);
	ck_assert(!l.noarp);
	ck_assert_int_eq(netlink_link_get(nl, "bwbr", &l), 0);
	ck_assert_str_eq(l.kind, "bridge");
	ck_assert_int_eq(netlink_link_del(nl, index), 0);
	ck_assert_int_eq(netlink_link_arp(nl, p0, false), 0);
	ck_assert_int_eq(netlink_link_get(nl, "p0", &l), 0);
	ck_assert_int_eq(l.master, 0);
	ck_assert(l.noarp);
	ck_assert_int_eq(netlink_link_arp(nl, p0, true), 0);
	ck_assert_int_eq(netlink_link_get(nl, "p0", &l), 0);
	ck_assert(!l.noarp);
	pair_down();
}
END_TEST

Suite *suite_port(void)
{
	Suite *s = suite_create("port");
	TCase *tc = tcase_create("port");

	tcase_add_checked_fixture(tc, ns_setup, ns_teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, test_port_frames, 0, 2);
	tcase_add_test(tc, test_port_tap);
	tcase_add_test(tc, test_port_refused);
	tcase_add_test(tc, test_bridge_links);
	suite_add_tcase(s, tc);
	return s;
}
