/*
 * Every reason for a drop (src/base/drop.def) is provoked, and exactly that counter moves. A reason that has no row here, or
 * neither a test nor the name of what tests it instead, fails.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[66000], esp[66000];
static uint32_t pkt_len;

static void start(const struct rig_opts *o)
{
	rig_new(&rig, o);
	pkt_len = rig_udp(4, 1, 100, pkt);
}

static void start_policy(enum policy_action action)
{
	struct rig_opts o = { .policy = { { .action = action } }, .n_policy = 1 };
	start(&o);
}

static void send_one(void)
{
	rig_send(&rig, pkt, pkt_len);
}

/* ---- what is provoked: each leaves its worker in `hit`, and returns how many packets were dropped - */

static struct worker *hit;

static unsigned in_short(void)
{
	uint8_t two[7] = { 1, 2, 3, 4, 5, 6, 7 };

	start(NULL);
	hit = rig.b;
	rig_in(&rig, two, 2, 0);
	rig_in(&rig, two, 7, 0);
	rig_in(&rig, two, 0, 0);
	store_be32(esp, RIG_SPI); /* ESP that ends before its trailer */
	store_be32(esp + 4, 1);
	rig_in(&rig, esp, 8 + 8 + 16 + 1, 0);
	return 4;
}

static unsigned out_not_ip(void)
{
	start(NULL);
	hit = rig.a;
	pkt[0] = 0x75;
	send_one();
	return 1;
}

static unsigned out_bad_length(void)
{
	start(NULL);
	hit = rig.a;
	rig_send(&rig, pkt, pkt_len - 1);
	rig_send(&rig, pkt, pkt_len + 1); /* no device reads more than the packet */
	return 2;
}

static unsigned out_bad_header(void)
{
	start(NULL);
	hit = rig.a;
	pkt[0] = 0x44;
	send_one();
	return 1;
}

static unsigned out_bad_offload(void)
{
	struct virtio_net_hdr tcp = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .gso_size = 50, .csum_start = 20, .csum_offset = 16 };
	struct virtio_net_hdr behind = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 127, .csum_offset = 6 };
	struct virtio_net_hdr address = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0, .csum_offset = 12 };
	struct virtio_net_hdr port = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 2 };

	start(NULL);
	hit = rig.a;
	rig_put(&rig, &tcp, pkt, pkt_len);
	rig_put(&rig, &behind, pkt, pkt_len);
	/* a checksum written over what the policy decided on */
	rig_put(&rig, &address, pkt, pkt_len);
	rig_put(&rig, &port, pkt, pkt_len);
	rig_out(&rig);
	return 4;
}

static unsigned out_discard(void)
{
	start_policy(POLICY_DISCARD);
	hit = rig.a;
	send_one();
	send_one();
	return 2;
}

static unsigned out_reject(void)
{
	start_policy(POLICY_REJECT);
	hit = rig.a;
	send_one();
	return 1;
}

static unsigned out_no_policy(void)
{
	start(NULL);
	hit = rig.a;
	pkt[16] = 172;
	send_one();
	send_one();
	return 2;
}

/* Addresses outside; then a policy of B that does not protect. */
static unsigned in_policy(void)
{
	struct rig_policy discard = { .action = POLICY_DISCARD };

	start(NULL);
	hit = rig.b;
	uint8_t was = pkt[12];
	pkt[12] = 172;
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	pkt[12] = was;
	struct spd *old = plane_set_spd(rig.pb, rig_spd(&rig, &discard, 1, true));
	spd_free(&old);
	rig_in(&rig, esp, rig_seal_packet(&rig, 2, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.in->drops[SA_DROP_POLICY], 2);
	return 2;
}

static unsigned out_bypass(void)
{
	start_policy(POLICY_BYPASS);
	hit = rig.a;
	send_one(); /* there is no socket for it */
	return 1;
}

static unsigned out_no_sa(void)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .no_sa = true } }, .n_policy = 1 };

	start(&o);
	hit = rig.a;
	send_one();
	struct ipsec_event e = rig_event(rig.pa, EV_ACQUIRE);
	ck_assert_uint_eq(e.policy, 0);
	ck_assert_uint_eq(e.flow.proto, IPPROTO_UDP);
	ck_assert_uint_eq(e.flow.dport, 80);
	return 1;
}

static unsigned in_unknown_spi(void)
{
	start(NULL);
	hit = rig.b;
	uint32_t n = rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	store_be32(esp, RIG_SPI + 1);
	rig_in(&rig, esp, n, 0);
	store_be32(esp, 255); /* reserved */
	rig_in(&rig, esp, n, 0);
	return 2;
}

static unsigned in_wrong_encap(void)
{
	start(NULL);
	hit = rig.b;
	uint32_t n = rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	rig.o.raw = true; /* it comes by a raw socket */
	rig_in(&rig, esp, n, 0);
	return 1;
}

static unsigned out_seq_exhausted(void)
{
	start(NULL);
	hit = rig.a;
	rig.out->seq = UINT32_MAX;
	send_one();
	return 1;
}

static unsigned in_sa_expired(void)
{
	struct rig_opts o = { .life_in = { .hard_packets = 1 } };

	start(&o);
	hit = rig.b;
	for (unsigned i = 1; i <= 3; i++)
		rig_in(&rig, esp, rig_seal_packet(&rig, i, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.n_got, 1);
	return 2;
}

static void flush_send(struct worker *w)
{
	send_frames(w);
}

static void send_to_sockets(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_put(&rig, NULL, pkt, pkt_len);
	rig_begin(rig.a);
	outbound_batch(rig.a, flush_send);
	rig.a->n_out = 0;
}

static unsigned out_no_peer(void)
{
	struct rig_opts o = { .no_peer = true };

	start(&o);
	hit = rig.a;
	send_to_sockets(3);
	return 3;
}

static unsigned in_replay(void)
{
	start(NULL);
	hit = rig.b;
	rig_in(&rig, esp, rig_seal_packet(&rig, 5000, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_in(&rig, esp, rig_seal_packet(&rig, 5000, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0); /* seen */
	rig_in(&rig, esp, rig_seal_packet(&rig, 5000 - 2048, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0); /* too old */
	rig_in(&rig, esp, rig_seal_packet(&rig, 0, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.in->drops[SA_DROP_REPLAY], 3);
	rig_in(&rig, esp, rig_seal_packet(&rig, 5000 - 2047, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.n_got, 2);
	return 3;
}

static unsigned in_auth(void)
{
	start(NULL);
	hit = rig.b;
	uint32_t n = rig_seal_packet(&rig, 9, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	esp[n - 1] ^= 1;
	rig_in(&rig, esp, n, 0);
	ck_assert_uint_eq(rig.in->drops[SA_DROP_AUTH], 1);
	ck_assert_uint_eq(rig.in->replay.top, 0);
	esp[n - 1] ^= 1;
	rig_in(&rig, esp, n, 0); /* the number is still free */
	ck_assert_uint_eq(rig.n_got, 1);
	return 1;
}

static unsigned in_esp_format(void)
{
	start(NULL);
	hit = rig.b;
	uint32_t n = rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	for (unsigned i = 1; i <= 3; i++)
		rig_in(&rig, esp, n - i, 0);
	return 3;
}

static unsigned in_esp_padding(void)
{
	uint8_t text[132] = { 0 };

	start(NULL);
	hit = rig.b;
	memcpy(text, pkt, 126);
	text[130] = 200; /* longer than the text */
	text[131] = IPPROTO_IPIP;
	rig_in(&rig, esp, rig_seal(&rig, 1, text, 132, esp), 0);
	text[130] = 2; /* of zeros, not 1, 2 */
	rig_in(&rig, esp, rig_seal(&rig, 2, text, 132, esp), 0);
	text[128] = 1;
	text[129] = 3;
	rig_in(&rig, esp, rig_seal(&rig, 3, text, 132, esp), 0);
	return 3;
}

static unsigned in_next_header(void)
{
	static const uint8_t others[] = { IPPROTO_IPV6, IPPROTO_TCP, 0, 255, IPPROTO_ESP };

	start(NULL);
	hit = rig.b;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		rig_in(&rig, esp, rig_seal_packet(&rig, i + 1, pkt, pkt_len, 0, others[i], esp), 0);
	return ARRAY_LEN(others);
}

static unsigned in_dummy(void)
{
	start(NULL);
	hit = rig.b;
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, 3, 0, ESP_NH_DUMMY, esp), 0);
	rig_in(&rig, esp, rig_seal_packet(&rig, 2, pkt, 0, 0, ESP_NH_DUMMY, esp), 0);
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, pkt_len, 0, ESP_NH_DUMMY, esp), 0); /* dummies count for the window */
	ck_assert_uint_eq(hit->c.drop.n[DROP_REPLAY], 1);
	hit->c.drop.n[DROP_REPLAY] = 0;
	return 2;
}

static unsigned in_ecn(void)
{
	start(NULL);
	hit = rig.b;
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 3);
	return 1;
}

/* The cipher refuses: the key is for the other direction. */
static unsigned out_crypto(void)
{
	start(NULL);
	hit = rig.a;
	struct crypt_key own = rig.out->key;
	rig.out->key = rig.in->key;
	send_one();
	send_one();
	rig.out->key = own;
	ck_assert_uint_eq(rig.n_wire, 0);
	return 2;
}

static unsigned out_too_big(void)
{
	start(NULL);
	hit = rig.a;
	pkt_len = rig_udp(6, 1, 1500, pkt);
	send_one();
	return 1;
}

/* No fragment fits into so little. */
static unsigned out_fragment(void)
{
	start(NULL);
	hit = rig.a;
	rig.out->inner_mtu = 24;
	send_one();
	return 1;
}

static unsigned in_keepalive(void)
{
	start(NULL);
	hit = rig.b;
	rig_in(&rig, "\xff", 1, 0);
	ck_assert_uint_eq(rig.b->c.keepalives_in, 1);
	ck_assert_uint_eq(rig.b->c.in_wire_packets, 0);
	return 1;
}

static unsigned in_no_ike(void)
{
	start(NULL);
	hit = rig.b;
	memset(esp, 0, 4);
	memset(esp + 4, 7, 28);
	rig_in(&rig, esp, 32, 0);
	return 1;
}

static unsigned in_ike_full(void)
{
	struct rig_opts o = { .ike = true };
	static uint8_t message[60004];

	start(&o);
	hit = rig.b;
	memset(message + 4, 7, sizeof(message) - 4);
	for (unsigned i = 0; i < 5; i++) /* 256 KiB have room for four */
		rig_in(&rig, message, sizeof(message), 0);
	return 1;
}

static void start_hold(void)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .reqid = 7 } }, .n_policy = 1 };

	start(&o);
	hit = rig.a;
}

static unsigned out_hold_full(void)
{
	start_hold();
	for (unsigned i = 0; i < 18; i++)
		send_one();
	return 2;
}

static unsigned out_hold_given_up(void)
{
	start_hold();
	send_one();
	send_one();
	plane_release_held(rig.pa, 7);
	rig_held(&rig);
	return 2;
}

/* Neither from nor to the SA's ends. */
static unsigned out_transport(void)
{
	struct rig_opts o = { .transport = true };

	start(&o);
	hit = rig.a;
	send_one();
	return 1;
}

static unsigned in_truncated(void)
{
	start(NULL);
	hit = rig.b;
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = 100, .seg = 100, .truncated = true };
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, true, deliver_packets);
	return 1;
}

static unsigned out_send(void)
{
	start(NULL);
	hit = rig.a;
	send_to_sockets(3); /* there is none */
	return 3;
}

static int send_errno;

static int refuse(int fd, struct mmsghdr *m, unsigned n)
{
	errno = send_errno;
	return -1;
}

static void with_socket(int error)
{
	start(NULL);
	hit = rig.a;
	rig.a->udp[0] = (struct sock) { .fd = dup(rig.tun_a), .kind = SOCK_KIND_UDP, .ver = 4, .df_now = 0 };
	send_errno = error;
	rig_sendmmsg = refuse;
	send_to_sockets(3);
}

static unsigned out_send_full(void)
{
	with_socket(EAGAIN);
	return 3;
}

static unsigned in_tun_write(void)
{
	start(NULL);
	hit = rig.b;
	close(rig.b->tun_fd);
	rig.b->tun_fd = -1;
	uint32_t n = rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = n, .seg = n };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, true, deliver_packets);
	return 1;
}

static unsigned in_tun_full(void)
{
	uint8_t filler[1000] = { 0 };

	start(NULL);
	hit = rig.b;
	while (write(rig.b->tun_fd, filler, sizeof(filler)) > 0) /* until the queue is full */
		;
	uint32_t n = rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp);
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = n, .seg = n };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, true, deliver_packets);
	return 1;
}

static unsigned out_ring_full(void)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .no_sa = true } }, .n_policy = 1 };
	struct ipsec_event e[EVENT_RING_SIZE + 1];

	start(&o);
	hit = rig.a;
	for (unsigned i = 0; i < EVENT_RING_SIZE + 3; i++) {
		send_one();
		rig_now_ns += 20 * NS_PER_MS; /* the same is not told more often */
	}
	ck_assert_uint_eq(hit->c.drop.n[DROP_NO_SA], EVENT_RING_SIZE + 3);
	hit->c.drop.n[DROP_NO_SA] = 0;
	ck_assert_uint_eq(plane_events(rig.pa, e, ARRAY_LEN(e)), EVENT_RING_SIZE);
	return 3;
}

static unsigned out_icmp_limit(void)
{
	start_policy(POLICY_REJECT);
	hit = rig.a;
	for (unsigned i = 0; i < 60; i++)
		send_one();
	ck_assert_uint_eq(hit->c.icmp_sent, 50);
	ck_assert_uint_eq(hit->c.drop.n[DROP_POLICY_REJECT], 60);
	hit->c.drop.n[DROP_POLICY_REJECT] = 0;
	return 10;
}

/* ---- the table ---------------------------------------------------------------------------------- */

static const struct {
	unsigned (*provoke)(void);
	const char *elsewhere; /* or why the plane cannot be brought to it */
} rows[DROP_REASONS] = {
	[DROP_SHORT] = { in_short, NULL },
	[DROP_NOT_IP] = { out_not_ip, NULL },
	[DROP_BAD_LENGTH] = { out_bad_length, NULL },
	[DROP_BAD_HEADER] = { out_bad_header, NULL },
	[DROP_BAD_OFFLOAD] = { out_bad_offload, NULL },
	[DROP_POLICY_DISCARD] = { out_discard, NULL },
	[DROP_POLICY_REJECT] = { out_reject, NULL },
	[DROP_NO_POLICY] = { out_no_policy, NULL },
	[DROP_POLICY_IN] = { in_policy, NULL },
	[DROP_BYPASS] = { out_bypass, NULL },
	[DROP_LABEL] = { NULL, "test_plane_pick.c" },
	[DROP_LABEL_FORMAT] = { NULL, "test_plane_pick.c" },
	[DROP_NO_SA] = { out_no_sa, NULL },
	[DROP_HOLD_FULL] = { out_hold_full, NULL },
	[DROP_HOLD_GIVEN_UP] = { out_hold_given_up, NULL },
	[DROP_UNKNOWN_SPI] = { in_unknown_spi, NULL },
	[DROP_WRONG_ENCAP] = { in_wrong_encap, NULL },
	[DROP_SEQ_EXHAUSTED] = { out_seq_exhausted, NULL },
	[DROP_SA_EXPIRED] = { in_sa_expired, NULL },
	[DROP_NO_PEER] = { out_no_peer, NULL },
	[DROP_REPLAY] = { in_replay, NULL },
	[DROP_AUTH] = { in_auth, NULL },
	[DROP_ESP_FORMAT] = { in_esp_format, NULL },
	[DROP_ESP_PADDING] = { in_esp_padding, NULL },
	[DROP_NEXT_HEADER] = { in_next_header, NULL },
	[DROP_TRANSPORT] = { out_transport, NULL },
	[DROP_DUMMY] = { in_dummy, NULL },
	[DROP_ECN] = { in_ecn, NULL },
	[DROP_CRYPTO] = { out_crypto, NULL },
	[DROP_TOO_BIG] = { out_too_big, NULL },
	[DROP_FRAGMENT] = { out_fragment, NULL },
	[DROP_ICMP_QUOTE] = { NULL, "test_plane_icmp.c" },
	[DROP_ICMP_TYPE] = { NULL, "test_plane_icmp.c" },
	[DROP_FRAG_OVERLAP] = { NULL, "test_plane_fragments.c" },
	[DROP_FRAG_FULL] = { NULL, "test_plane_fragments.c" },
	[DROP_FRAG_TIMEOUT] = { NULL, "test_plane_fragments.c" },
	[DROP_KEEPALIVE] = { in_keepalive, NULL },
	[DROP_NO_IKE] = { in_no_ike, NULL },
	[DROP_IKE_FULL] = { in_ike_full, NULL },
	[DROP_TRUNCATED] = { in_truncated, NULL },
	[DROP_SEND] = { out_send, NULL },
	[DROP_SEND_FULL] = { out_send_full, NULL },
	[DROP_TUN_WRITE] = { in_tun_write, NULL },
	[DROP_TUN_FULL] = { in_tun_full, NULL },
	[DROP_RING_FULL] = { out_ring_full, NULL },
	[DROP_ICMP_LIMIT] = { out_icmp_limit, NULL },
	[DROP_FRAME_SHORT] = { NULL, "test_plane_bridge.c" },
	[DROP_FRAME_RULE] = { NULL, "test_plane_bridge.c" },
	[DROP_CLEARTEXT] = { NULL, "test_plane_bridge.c" },
	[DROP_PORT_SEND] = { NULL, "test_plane_bridge.c" },
	[DROP_PORT_FULL] = { NULL, "test_plane_bridge.c" },
	[DROP_NO_NEIGHBOUR] = { NULL, "test_plane_bridge.c" },
};

START_TEST(test_drop)
{
	enum drop d = (enum drop)_i;

	ck_assert_msg(rows[d].provoke || rows[d].elsewhere, "no test provokes %s", drop_info(d)->name);
	if (!rows[d].provoke)
		return;
	unsigned n = rows[d].provoke();
	ck_assert_uint_gt(n, 0);
	rig_dropped(hit, d, n);
	rig_free(&rig);
}
END_TEST

/* The same reasons on the other side, or by another way. */
START_TEST(test_drop_other_ways)
{
	start(NULL);
	rig_send(&rig, pkt, 0);
	rig_send(&rig, pkt, 10);
	rig_dropped(rig.a, DROP_SHORT, 2);

	/* the inner packet is not what it should be */
	pkt[0] = 0x15;
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_NOT_IP, 1);
	pkt[0] = 0x45;
	rig_in(&rig, esp, rig_seal_packet(&rig, 2, pkt, pkt_len - 1, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_BAD_LENGTH, 1);
	pkt[0] = 0x41;
	rig_in(&rig, esp, rig_seal_packet(&rig, 3, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_BAD_HEADER, 1);
	rig_in(&rig, esp, rig_seal_packet(&rig, 4, pkt, 0, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_SHORT, 1);
	ck_assert_uint_eq(rig.in->drops[SA_DROP_OTHER], 4);
	pkt[0] = 0x45;
	rig_in(&rig, esp, rig_seal_packet(&rig, 5, pkt, pkt_len, 0, IPPROTO_IPV6, esp), 0);
	rig_dropped(rig.b, DROP_NEXT_HEADER, 1);
	rig_free(&rig);

	with_socket(EPERM);
	rig_dropped(rig.a, DROP_SEND, 3);
	rig_free(&rig);

	struct rig_opts o = { .raw = true };
	start(&o);
	rig_in(&rig, esp, 5, 0);
	rig_dropped(rig.b, DROP_SHORT, 1);
	rig_in(&rig, "\xff\0\0\0\0\0\0\0", 8, 0); /* raw: no keepalive, no marker */
	rig_in(&rig, "\0\0\0\0\0\0\0\0", 8, 0);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 2);
	rig.o.raw = false;
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, pkt, pkt_len, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_WRONG_ENCAP, 1);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_drops(void)
{
	TCase *t = tcase_create("drops");

	tcase_add_loop_test(t, test_drop, 1, DROP_REASONS);
	tcase_add_test(t, test_drop_other_ways);
	return t;
}
