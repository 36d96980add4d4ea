/* IKE messages on the encapsulation port: from workers to the control thread, and out; by a socket of their own. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto_util.h"
#include "must.h"
#include "plane_rig.h"

#define MESSAGES 400

static struct rig rig;
static uint8_t buf[66000];

static struct {
	uint8_t first;
	size_t len;
	struct endpoint local, remote;
} got[MESSAGES];
static unsigned n_got;

static void take(void *arg, const struct endpoint *local, const struct endpoint *remote, uint8_t *p, size_t len)
{
	ck_assert_ptr_eq(arg, &rig);
	ck_assert_uint_lt(n_got, MESSAGES);
	for (size_t i = 0; i < len; i++)
		must_uint_eq(p[i], (uint8_t)(p[0] + i));
	got[n_got].first = p[0];
	got[n_got].len = len;
	got[n_got].local = *local;
	got[n_got++].remote = *remote;
	memset(p, 0xee, len); /* decrypted in place */
}

/* A message behind its marker. */
static uint32_t message(uint8_t *out, uint8_t first, uint32_t len)
{
	memset(out, 0, 4);
	for (uint32_t i = 0; i < len; i++)
		out[4 + i] = (uint8_t)(first + i);
	return len + 4;
}

static bool readable(void)
{
	struct pollfd f = { .fd = plane_ike_fd(rig.pb), .events = POLLIN };

	return poll(&f, 1, 0) == 1;
}

static void start(void)
{
	struct rig_opts o = { .ike = true };

	rig_new(&rig, &o);
	n_got = 0;
}

START_TEST(test_ike_in)
{
	struct endpoint from = { .port = 4711 };

	start();
	ck_assert(!readable());
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &from.addr), 0);
	uint32_t n = message(buf, 1, 28);
	rig_in_from(&rig, buf, n, n, 0, &from);
	ck_assert(readable());
	n = message(buf, 2, 60000);
	rig_in(&rig, buf, n, 0);
	ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 10), 2);
	ck_assert(!readable());
	ck_assert_uint_eq(got[0].first, 1);
	ck_assert_uint_eq(got[0].len, 28);
	ck_assert(endpoint_eq(&got[0].remote, &from));
	ck_assert_uint_eq(got[0].local.port, 4500);
	ck_assert_uint_eq(got[1].len, 60000);
	ck_assert(endpoint_eq(&got[1].remote, &rig.peer_a));
	ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 10), 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	ck_assert_uint_eq(rig.b->c.in_wire_packets, 0); /* no ESP */
	/* shorter than any message */
	n = message(buf, 3, 27);
	rig_in(&rig, buf, n, 0);
	rig_dropped(rig.b, DROP_SHORT, 1);
	ck_assert(!readable());
	rig_free(&rig);
}
END_TEST

/* What the kernel has joined: messages and ESP of one size in one buffer, the last one shorter. */
START_TEST(test_ike_in_a_train)
{
	uint8_t inner[200];
	uint32_t at = 0, seg;

	start();
	rig_send(&rig, inner, rig_udp(4, 1, 100, inner));
	seg = rig.wire[0].len;
	at += message(buf, 10, seg - 4);
	memcpy(buf + at, rig.wire[0].p, seg);
	at += seg;
	at += message(buf + at, 20, seg - 4);
	at += message(buf + at, 30, 28);
	rig_in_from(&rig, buf, at, seg, 0, &rig.peer_a);
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 10), 3);
	ck_assert_uint_eq(got[0].first, 10);
	ck_assert_uint_eq(got[1].first, 20);
	ck_assert_uint_eq(got[1].len, seg - 4);
	ck_assert_uint_eq(got[2].first, 30);
	ck_assert_uint_eq(got[2].len, 28);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* Round and round: any sizes, nothing lost as long as it is emptied, and order kept. */
START_TEST(test_ike_ring_wraps)
{
	uint8_t next = 0;
	uint64_t bytes = 0;

	start();
	while (bytes < 8 * IKE_RING_BYTES) {
		unsigned k = 1 + pick(12);
		uint8_t first = next;
		uint32_t len[12];
		for (unsigned i = 0; i < k; i++) {
			len[i] = 28 + pick(i % 4 ? 1500 : 9000);
			uint32_t n = message(buf, next++, len[i]);
			rig_in(&rig, buf, n, 0);
			bytes += n;
		}
		n_got = 0;
		ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 100), k);
		for (unsigned i = 0; i < k; i++) {
			ck_assert_uint_eq(got[i].first, (uint8_t)(first + i));
			ck_assert_uint_eq(got[i].len, len[i]);
		}
	}
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* A flood: bounded, counted; what got in is whole; taken in portions the descriptor stays readable. */
START_TEST(test_ike_flood)
{
	start();
	for (unsigned i = 0; i < 1000; i++)
		rig_in(&rig, buf, message(buf, (uint8_t)i, 1000), 0);
	ck_assert_uint_gt(rig.b->c.drop.n[DROP_IKE_FULL], 700);
	unsigned in = 1000 - (unsigned)rig.b->c.drop.n[DROP_IKE_FULL];
	ck_assert_uint_gt(in, 200);
	for (unsigned left = in; left;) {
		ck_assert(readable());
		n_got = 0;
		unsigned n = plane_ike_take(rig.pb, take, &rig, 50);
		ck_assert_uint_eq(n, left < 50 ? left : 50);
		left -= n;
	}
	if (readable())
		ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 50), 0);
	ck_assert(!readable());
	rig_in(&rig, buf, message(buf, 1, 1000), 0);
	ck_assert_uint_eq(plane_ike_take(rig.pb, take, &rig, 50), 1);
	rig_free(&rig);
}
END_TEST

/* ---- out ----------------------------------------------------------------------------------------- */

static uint8_t sent[70000];
static size_t n_sent;
static int refuse_df, mode_then, sent_by;
static struct endpoint sent_to;
static struct in_pktinfo sent_from;

static int take_sent(int fd, struct mmsghdr *m, unsigned n)
{
	socklen_t len = sizeof(mode_then);
	const struct msghdr *h = &m[0].msg_hdr;

	ck_assert_uint_eq(n, 1);
	sent_by = fd;
	ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode_then, &len), 0);
	if (refuse_df && mode_then == IP_PMTUDISC_PROBE) {
		errno = EMSGSIZE;
		return -1;
	}
	n_sent = h->msg_iov[0].iov_len;
	memcpy(sent, h->msg_iov[0].iov_base, n_sent);
	ck_assert_int_eq(endpoint_from_sockaddr(h->msg_name, &sent_to), 0);
	memset(&sent_from, 0, sizeof(sent_from));
	if (h->msg_control)
		memcpy(&sent_from, CMSG_DATA(CMSG_FIRSTHDR(h)), sizeof(sent_from));
	return 1;
}

START_TEST(test_ike_out)
{
	struct endpoint local = { .port = 4500 }, remote = { .port = 4711 }, remote6 = { .port = 4711 };
	int df = IP_PMTUDISC_PROBE;

	start();
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &local.addr), 0);
	ck_assert_int_eq(ip_addr_parse("192.0.2.2", &remote.addr), 0);
	ck_assert_int_eq(ip_addr_parse("2001:db8::2", &remote6.addr), 0);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 3);
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 100)), -ENOTCONN);
	rig.pa->ike_sock[0] = (struct sock) { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .kind = SOCK_KIND_UDP, .ver = 4,
					.df_now = 1 };
	ck_assert_int_eq(setsockopt(rig.pa->ike_sock[0].fd, IPPROTO_IP, IP_MTU_DISCOVER, &df, sizeof(df)), 0);
	rig_sendmmsg = take_sent;
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 100)), 0);
	ck_assert_uint_eq(n_sent, 104);
	ck_assert_mem_eq(sent, "\0\0\0\0", 4);
	ck_assert_mem_eq(sent + 4, buf, 100);
	ck_assert(endpoint_eq(&sent_to, &remote));
	ck_assert_mem_eq(&sent_from.ipi_spec_dst, local.addr.b, 4);
	ck_assert_int_eq(rig.pa->ike_sock[0].df_now, 1);
	/* too big with DF: goes without, and the worker knows that it must set its own again */
	refuse_df = 1;
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 3000)), 0);
	ck_assert_uint_eq(n_sent, 3004);
	ck_assert_int_eq(mode_then, IP_PMTUDISC_DONT);
	ck_assert_int_eq(rig.pa->ike_sock[0].df_now, -1);
	refuse_df = 0;
	local.addr.ver = 0;
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 28)), 0);
	ck_assert_uint_eq(sent_from.ipi_spec_dst.s_addr, 0);
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 65536)), -EMSGSIZE);
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote6, span_of(buf, 28)), -ENOTCONN);
	rig_sendmmsg = NULL;
	ck_assert_int_eq(plane_send_ike(rig.pa, &local, &remote, span_of(buf, 28)), -EPERM);
	rig_free(&rig);
}
END_TEST

/* ---- a socket of its own -------------------------------------------------------------------------- */

#define MANY 2000

/* A port of 127.0.0.1 that nobody has. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static struct plane *plane_on(uint16_t port, unsigned workers, bool ike)
{
	struct plane_opts o = { .workers = workers, .udp4 = true, .port = port, .gro = true, .ike = ike, .rcvbuf = 4096 };
	struct plane *p;
	char why[200] = "";

	ck_assert_int_eq(ip_addr_parse("127.0.0.1", &o.bind4), 0);
	ck_assert_msg(plane_new(&o, NULL, &p, why, sizeof(why)) == 0, "%s", why);
	return p;
}

/* The workers' sockets are full of ESP: messages come all the same. */
START_TEST(test_ike_finds_room)
{
	const unsigned workers = _i ? 2 : 1;
	uint16_t port = free_port();
	struct plane *p = plane_on(port, workers, true);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct pollfd f = { .fd = plane_ike_fd(p), .events = POLLIN };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct plane_stats st;

	n_got = 0;
	for (unsigned i = 0; i < MANY; i++) {
		memset(buf, (int)(i % 255 + 1), 100);
		buf[3] = (uint8_t)i; /* of all workers' SPIs */
		ck_assert_int_eq(sendto(fd, buf, 100, 0, (const struct sockaddr *)&to, sizeof(to)), 100);
	}
	for (uint8_t i = 0; i < 3; i++)
		ck_assert_int_eq(sendto(fd, buf, message(buf, i, 28), 0, (const struct sockaddr *)&to, sizeof(to)), 32);
	ck_assert_int_eq(plane_start(p), 0);
	for (unsigned n = 0; n < 3;) {
		ck_assert_int_eq(poll(&f, 1, 5000), 1);
		n += plane_ike_take(p, take, &rig, 10);
	}
	/* a worker may not have run yet: its socket is full all the same */
	for (unsigned i = 0, tries = 0; i < workers && tries < 5000; tries++) {
		if (__atomic_load_n(&p->worker[i]->c.in_wire_packets, __ATOMIC_RELAXED))
			i++;
		else
			usleep(1000);
	}
	plane_stop(p);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(got[i].first, i);
	ck_assert_uint_eq(got[0].local.port, port);
	plane_stats(p, &st);
	ck_assert_uint_lt(st.in_wire_packets, MANY); /* they were full */
	ck_assert_uint_eq(st.drop.n[DROP_IKE_FULL], 0);
	for (unsigned i = 0; i < workers; i++)
		ck_assert_uint_gt(p->worker[i]->c.in_wire_packets, 0);
	close(fd);
	plane_free(&p);
}
END_TEST

/* What the control thread sends is not in the queue of what workers send; without IKE there is just the one socket. */
START_TEST(test_ike_sends_apart)
{
	struct endpoint local = { .port = 4500 }, remote = { .port = 4711 };
	struct plane *p = plane_on(free_port(), 2, true), *q = plane_on(free_port(), 2, false);

	ck_assert_int_eq(ip_addr_parse("127.0.0.1", &remote.addr), 0);
	rig_sendmmsg = take_sent;
	ck_assert_int_eq(plane_send_ike(p, &local, &remote, span_of(buf, 28)), 0);
	ck_assert_int_eq(sent_by, p->ike_sock[0].fd);
	ck_assert_int_eq(plane_send_keepalive_to(p, &local, &remote), 0);
	ck_assert_int_eq(sent_by, p->ike_sock[0].fd);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert_uint_eq(sent[0], 0xff);
	ck_assert_int_lt(q->ike_sock[0].fd, 0);
	ck_assert_int_eq(plane_send_keepalive_to(q, &local, &remote), 0);
	ck_assert_int_eq(sent_by, q->worker[0]->udp[0].fd);
	rig_sendmmsg = NULL;
	plane_free(&p);
	plane_free(&q);
}
END_TEST

TCase *tcase_plane_ike(void)
{
	TCase *t = tcase_create("ike");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_ike_in);
	tcase_add_test(t, test_ike_in_a_train);
	tcase_add_test(t, test_ike_ring_wraps);
	tcase_add_test(t, test_ike_flood);
	tcase_add_test(t, test_ike_out);
	tcase_add_loop_test(t, test_ike_finds_room, 0, 2);
	tcase_add_test(t, test_ike_sends_apart);
	return t;
}
