/* Frames to messages: what goes to sendmmsg() is what was sealed, in order, and only what belongs together is in one message. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto_util.h"
#include "plane_rig.h"

#define SENT_MAX 512

static struct rig rig;
static uint8_t pkt[2000];

/* The packets of the messages, cut up as the kernel does. */
static struct {
	uint8_t *p;
	uint32_t len;
	int tos;
	bool df;
} sent[SENT_MAX];
static unsigned n_sent, n_messages;
static struct sockaddr_in last_to;

static int control_of(const struct msghdr *h, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, c)) {
		if (c->cmsg_level != level || c->cmsg_type != type)
			continue;
		if (c->cmsg_len == CMSG_LEN(2)) {
			uint16_t v;
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			return v;
		}
		int v;
		memcpy(&v, CMSG_DATA(c), sizeof(v));
		return v;
	}
	return 0;
}

static int take(int fd, struct mmsghdr *m, unsigned n)
{
	int mode = -1;
	socklen_t len = sizeof(mode);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, &len), 0);
	for (unsigned i = 0; i < n; i++, n_messages++) {
		const struct msghdr *h = &m[i].msg_hdr;
		const uint8_t *p = h->msg_iov[0].iov_base;
		uint32_t left = (uint32_t)h->msg_iov[0].iov_len, seg = (uint32_t)control_of(h, IPPROTO_UDP, UDP_SEGMENT);
		ck_assert_uint_eq(h->msg_iovlen, 1);
		ck_assert_uint_eq(h->msg_namelen, sizeof(last_to));
		memcpy(&last_to, h->msg_name, sizeof(last_to));
		ck_assert_uint_le(left, 65507);
		unsigned pieces = 0;
		for (; left; pieces++) {
			uint32_t k = seg && seg < left ? seg : left;
			ck_assert_uint_lt(n_sent, SENT_MAX);
			sent[n_sent].p = malloc(k);
			memcpy(sent[n_sent].p, p, k);
			sent[n_sent].len = k;
			sent[n_sent].tos = control_of(h, IPPROTO_IP, IP_TOS);
			sent[n_sent++].df = mode == IP_PMTUDISC_PROBE;
			p += k;
			left -= k;
		}
		ck_assert_uint_le(pieces, 64);
	}
	return (int)n;
}

static void flush_both(struct worker *w)
{
	rig_flush(w);
	send_frames(w);
}

static void put(uint32_t size, uint8_t tos, bool df)
{
	static uint8_t data[1500];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .tos = tos, .frag = df ? 0x4000 : 0, .data = data, .len = size };

	rig_put(&rig, NULL, pkt, pkt_make(&s, pkt));
}

static void start(bool gso)
{
	rig_new(&rig, NULL);
	rig.a->udp[0] = (struct sock) { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .kind = SOCK_KIND_UDP, .ver = 4,
					.gso = gso, .df_now = -1 };
	ck_assert_int_ge(rig.a->udp[0].fd, 0);
	rig_sendmmsg = take;
	n_sent = n_messages = 0;
}

/* Works on what was put, and compares what was sent with what was sealed. */
static void finish(void)
{
	rig_begin(rig.a);
	outbound_batch(rig.a, flush_both);
	rig.a->n_out = 0;
	ck_assert_uint_eq(n_sent, rig.n_wire);
	uint64_t bytes = 0;
	for (unsigned i = 0; i < n_sent; i++) {
		check_bytes("sent", span_of(sent[i].p, sent[i].len), span_of(rig.wire[i].p, rig.wire[i].len));
		ck_assert_int_eq(sent[i].tos, rig.wire[i].tos);
		ck_assert_int_eq(sent[i].df, rig.wire[i].df);
		bytes += sent[i].len;
		free(sent[i].p);
	}
	ck_assert_uint_eq(rig.a->c.out_wire_packets, n_sent);
	ck_assert_uint_eq(rig.a->c.out_wire_bytes, bytes);
	ck_assert_uint_eq(ntohs(last_to.sin_port), 4500);
	ck_assert_uint_eq(ntohl(last_to.sin_addr.s_addr), 0xc0000202);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_free(&rig);
}

START_TEST(test_one_message)
{
	start(true);
	for (unsigned i = 0; i < 40; i++)
		put(1000, 0, true);
	put(600, 0, true); /* the last may be shorter */
	finish();
	ck_assert_uint_eq(n_messages, 1);
}
END_TEST

START_TEST(test_groups)
{
	start(true);
	for (unsigned i = 0; i < 5; i++)
		put(1000, 0, true);
	put(600, 0, true);
	put(600, 0, true);  /* nothing follows a shorter one */
	put(1000, 0, true); /* longer */
	put(1000, 4, true); /* another TOS */
	put(1000, 4, false); /* another DF */
	put(1000, 4, true);
	finish();
	ck_assert_uint_eq(n_messages, 6);
}
END_TEST

START_TEST(test_limits)
{
	start(true);
	for (unsigned i = 0; i < 130; i++) /* 64 packets to a message */
		put(20, 0, true);
	for (unsigned i = 0; i < 100; i++) /* 65000 bytes */
		put(1400, 0, true);
	finish();
	/* 64, 64, 2; and 44 of 1468 bytes, twice, and the rest */
	ck_assert_uint_eq(n_messages, 6);
}
END_TEST

/* Any sizes and marks, with UDP_SEGMENT and without. */
START_TEST(test_any)
{
	for (unsigned round = 0; round < 100; round++) {
		start(round % 2);
		unsigned n = 1 + pick(200), size = 100, tos = 0, df = 1;
		for (unsigned i = 0; i < n; i++) {
			if (pick(6) == 0)
				size = pick(1400);
			if (pick(10) == 0)
				tos = pick(256);
			if (pick(20) == 0)
				df = pick(2);
			put(size, (uint8_t)tos, df);
		}
		finish();
	}
}
END_TEST

TCase *tcase_plane_send(void)
{
	TCase *t = tcase_create("send");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_one_message);
	tcase_add_test(t, test_groups);
	tcase_add_test(t, test_limits);
	tcase_add_test(t, test_any);
	return t;
}
