/* Super-packets: out through A they become packets that fit; B's deliver_packets() makes super-packets of them again. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "plane_rig.h"

#define MSS 1360
#define SEGS 40

static struct rig rig;
static uint8_t super[66000], want[2000], got[66000], data[66000];
static const uint8_t stamp[12] = { 1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4 };

struct kind {
	int ver;
	bool tcp;
};
static const struct kind kinds[] = { { 4, true }, { 6, true }, { 4, false }, { 6, false } };

static struct pkt_spec spec_of(const struct kind *k)
{
	return (struct pkt_spec) { .ver = k->ver, .proto = k->tcp ? IPPROTO_TCP : IPPROTO_UDP, .id = 0xfff0, .frag = 0x4000,
				   .seq = 0xfffff000u, .ack = 5, .flags = TCP_ACK, .opt = stamp,
				   .opt_len = k->tcp ? sizeof(stamp) : 0, .data = data };
}

static uint32_t headers(const struct kind *k)
{
	return (k->ver == 4 ? 20u : 40u) + (k->tcp ? 20u + sizeof(stamp) : 8u);
}

/* The virtio header a kernel gives with such a super-packet. */
static struct virtio_net_hdr vnet_of(const struct kind *k, uint16_t size)
{
	return (struct virtio_net_hdr) {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !k->tcp ? VIRTIO_NET_HDR_GSO_UDP_L4
			    : k->ver == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = (uint16_t)headers(k),
		.gso_size = size,
		.csum_start = k->ver == 4 ? 20 : 40,
		.csum_offset = k->tcp ? 16 : 6,
	};
}

static uint32_t put_super(const struct kind *k, uint32_t len, uint8_t flags)
{
	struct pkt_spec s = spec_of(k);
	struct virtio_net_hdr h = vnet_of(k, MSS);

	s.len = len;
	s.flags = flags;
	uint32_t n = pkt_make(&s, super);
	memset(super + h.csum_start + h.csum_offset, 0xab, 2); /* not read */
	rig_put(&rig, &h, super, n);
	return n;
}

/* Segment i of len bytes as another implementation makes it: from scratch. */
static uint32_t make_segment(const struct kind *k, unsigned i, uint32_t len, uint8_t flags)
{
	struct pkt_spec s = spec_of(k);

	s.id = (uint16_t)(s.id + i);
	s.seq += i * MSS;
	s.flags = flags;
	s.data = data + i * MSS;
	s.len = len;
	return pkt_make(&s, want);
}

START_TEST(test_split)
{
	const struct kind *k = &kinds[_i];
	uint32_t last = 700;

	pick_bytes(data, sizeof(data));
	rig_new(&rig, NULL);
	put_super(k, SEGS * MSS + last, TCP_ACK | TCP_PSH | TCP_CWR);
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, SEGS + 1);
	ck_assert_uint_eq(rig.out->packets, SEGS + 1);
	ck_assert_uint_eq(rig.a->c.out_packets, SEGS + 1);
	ck_assert_uint_eq(rig.a->c.out_bytes, (SEGS + 1) * headers(k) + SEGS * MSS + last);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, SEGS + 1);
	for (unsigned i = 0; i <= SEGS; i++) {
		/* CWR on the first only, PSH on the last only */
		uint8_t flags = TCP_ACK | (i == 0 ? TCP_CWR : 0) | (i == SEGS ? TCP_PSH : 0);
		rig_got_is(&rig, i, want, make_segment(k, i, i == SEGS ? last : MSS, flags));
	}
	ck_assert_uint_eq(rig.b->c.in_bytes, rig.a->c.out_bytes);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* Feeds the wire to B as one datagram, delivered to its device. */
static void deliver_wire(void)
{
	static uint8_t all[RIG_WIRE_MAX * 200];
	uint32_t n = 0;

	for (unsigned i = 0; i < rig.n_wire; i++) {
		struct sock_rx *rx = &rig.b->rx[i];
		ck_assert_uint_lt(i, SOCK_RX_MAX);
		ck_assert_uint_le(n + rig.wire[i].len, sizeof(all));
		memcpy(all + n, rig.wire[i].p, rig.wire[i].len);
		*rx = (struct sock_rx) { .data = all + n, .len = rig.wire[i].len, .seg = rig.wire[i].len };
		endpoint_to_sockaddr(&rig.peer_a, &rx->from);
		n += (rig.wire[i].len + 63) & ~63u;
	}
	rig_begin(rig.b);
	inbound_datagrams(rig.b, rig.n_wire, true, deliver_packets);
	rig_wire_clear(&rig);
}

/* Split, protected, opened and joined: what is written is the super-packet that was read. */
START_TEST(test_split_and_join)
{
	const struct kind *k = &kinds[_i];
	struct rig_opts o = { .dev_can = GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6 };
	struct virtio_net_hdr h, sent = vnet_of(k, MSS);
	uint32_t at = sent.csum_start + sent.csum_offset;

	pick_bytes(data, sizeof(data));
	rig_new(&rig, &o);
	uint32_t n = put_super(k, SEGS * MSS + 700, TCP_ACK | TCP_PSH);
	rig_out(&rig);
	deliver_wire();
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), n);
	ck_assert_uint_eq(h.flags, sent.flags);
	ck_assert_uint_eq(h.gso_type, sent.gso_type);
	ck_assert_uint_eq(h.gso_size, sent.gso_size);
	ck_assert_uint_eq(h.hdr_len, sent.hdr_len);
	ck_assert_uint_eq(h.csum_start, sent.csum_start);
	ck_assert_uint_eq(h.csum_offset, sent.csum_offset);
	if (k->ver == 4)
		ck_assert(slow_ip4_ok(got));
	/* the kernel completes the sum over what follows: with the field holding the pseudo header's part, the whole must be right */
	uint16_t sum = (uint16_t)~slow_sum(0, got + h.csum_start, n - h.csum_start);
	store_be16(got + at, sum);
	ck_assert(slow_l4_ok(got, h.csum_start, n, k->tcp ? IPPROTO_TCP : IPPROTO_UDP));
	memcpy(got + at, super + at, 2);
	check_bytes("super-packet", span_of(got, n), span_of(super, n));
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), 0);
	ck_assert_uint_eq(rig.b->c.tun_writes, 1);
	ck_assert_uint_eq(rig.b->c.in_packets, SEGS + 1);
	rig_free(&rig);
}
END_TEST

/* A device that cannot take super-packets gets packets; one lost or late in the middle makes two runs; order is kept. */
START_TEST(test_join_limits)
{
	const struct kind *k = &kinds[0];
	struct virtio_net_hdr h;
	struct rig_opts o = { .dev_can = GRO_TCP4 };

	rig_new(&rig, NULL);
	put_super(k, 5 * MSS, TCP_ACK);
	rig_out(&rig);
	deliver_wire();
	for (unsigned i = 0; i < 5; i++) {
		uint32_t n = make_segment(k, i, MSS, TCP_ACK);
		ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), n);
		ck_assert_uint_eq(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		ck_assert_uint_eq(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		ck_assert_mem_eq(got, want, n);
	}
	rig_free(&rig);

	rig_new(&rig, &o);
	put_super(k, 6 * MSS, TCP_ACK);
	rig_out(&rig);
	free(rig.wire[2].p); /* lost */
	memmove(&rig.wire[2], &rig.wire[3], 3 * sizeof(rig.wire[0]));
	rig.n_wire--;
	deliver_wire();
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), headers(k) + 2 * MSS);
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), headers(k) + 3 * MSS);
	ck_assert_uint_eq(load_be32(got + 24), 0xfffff000u + 3 * MSS);
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &h, got, sizeof(got)), 0);
	rig_free(&rig);
}
END_TEST

/* Two flows in turn, and a damaged packet in one: each flow arrives in order, the damaged packet as it came. */
START_TEST(test_join_flows)
{
	struct rig_opts o = { .dev_can = GRO_TCP4 };
	struct virtio_net_hdr h;
	uint32_t next[2] = { 100, 100 }, n;
	unsigned damaged = 0;

	pick_bytes(data, sizeof(data));
	rig_new(&rig, &o);
	for (unsigned i = 0; i < 40; i++) {
		struct pkt_spec s = spec_of(&kinds[0]);
		s.sport = (uint16_t)(5000 + i % 2);
		s.seq = 100 + i / 2 * 500;
		s.len = 500;
		s.data = data + i * 500;
		n = pkt_make(&s, super);
		if (i == 17)
			super[n - 1] ^= 1;
		rig_put(&rig, NULL, super, n);
	}
	rig_out(&rig);
	deliver_wire();
	while ((n = rig_tun_read(rig.tun_b, &h, got, sizeof(got)))) {
		unsigned flow = load_be16(got + 20) - 5000u;
		ck_assert_uint_lt(flow, 2);
		ck_assert_uint_eq(load_be32(got + 24), next[flow]);
		if (n == headers(&kinds[0]) + 500 && !slow_l4_ok(got, 20, n, IPPROTO_TCP)) {
			ck_assert_uint_eq(h.flags, 0); /* for the kernel to find out */
			damaged++;
		}
		for (uint32_t at = headers(&kinds[0]); at < n; at += 500, next[flow] += 500) {
			unsigned i = (next[flow] - 100) / 500 * 2 + flow;
			if (i != 17)
				ck_assert_mem_eq(got + at, data + i * 500, 500);
		}
	}
	ck_assert_uint_eq(next[0], 100 + 20 * 500);
	ck_assert_uint_eq(next[1], 100 + 20 * 500);
	ck_assert_uint_eq(damaged, 1);
	rig_free(&rig);
}
END_TEST

/* A plain packet whose checksum the device left open. */
START_TEST(test_checksum_completed)
{
	const struct kind *k = &kinds[_i];
	struct pkt_spec s = spec_of(k);
	struct virtio_net_hdr h = vnet_of(k, 0);
	uint32_t at = h.csum_start + h.csum_offset;
	uint8_t open[2000];

	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	rig_new(&rig, NULL);
	for (s.len = 0; s.len < 200; s.len++) {
		uint32_t n = pkt_make(&s, want);
		memcpy(open, want, n);
		/* the pseudo header's sum alone: the complete one without what follows */
		uint8_t zero[2] = { 0 };
		memcpy(open + at, zero, 2);
		uint16_t body = slow_sum(0, open + h.csum_start, n - h.csum_start);
		uint16_t whole = (uint16_t)~load_be16(want + at);
		store_be16(open + at, slow_sum(whole, (uint8_t[]) { (uint8_t)(~body >> 8 & 0xff), (uint8_t)~body }, 2));
		rig_put(&rig, &h, open, n);
	}
	rig_out(&rig);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 200);
	for (s.len = 0; s.len < 200; s.len++)
		rig_got_is(&rig, s.len, want, pkt_make(&s, want));
	rig_free(&rig);
}
END_TEST

/* A UDP checksum of zero is sent as 0xffff (RFC 768): 0 says that there is none. */
START_TEST(test_checksum_zero)
{
	struct pkt_spec s = spec_of(&kinds[2]);
	struct virtio_net_hdr h = vnet_of(&kinds[2], 0);
	uint8_t open[100], payload[4] = { 0 };

	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	s.data = payload;
	s.len = 4;
	uint32_t n = pkt_make(&s, want);
	memcpy(payload, want + 26, 2); /* the sum of the rest, inverted: together they are all ones */
	n = pkt_make(&s, want);
	ck_assert_uint_eq(load_be16(want + 26), 0xffff);
	memcpy(open, want, n);
	uint8_t pseudo[12] = { 10, 1, 0, 1, 10, 2, 0, 2, 0, IPPROTO_UDP, 0, (uint8_t)(n - 20) };
	store_be16(open + 26, slow_sum(0, pseudo, 12));
	rig_new(&rig, NULL);
	rig_put(&rig, &h, open, n);
	rig_out(&rig);
	rig_in_all(&rig);
	rig_got_is(&rig, 0, want, n);
	rig_free(&rig);
}
END_TEST

/* Ordinary packets and super-packets in one batch, a bad one among them: each has a sequence number of its own. */
START_TEST(test_mixed_batch)
{
	struct virtio_net_hdr bad = vnet_of(&kinds[0], 0);
	uint8_t p[3][200];
	uint32_t n[3];

	pick_bytes(data, sizeof(data));
	rig_new(&rig, NULL);
	for (unsigned i = 0; i < 3; i++) {
		n[i] = rig_udp(4, i, 100, p[i]);
		rig_put(&rig, NULL, p[i], n[i]);
		put_super(&kinds[i], 10 * MSS, TCP_ACK);
		rig_put(&rig, &bad, p[i], n[i]);
	}
	rig_out(&rig);
	rig_dropped(rig.a, DROP_BAD_OFFLOAD, 3);
	ck_assert_uint_eq(rig.n_wire, 33);
	for (unsigned i = 0; i < 33; i++)
		ck_assert_uint_eq(load_be32(rig.wire[i].p + 4), i + 1);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 33);
	for (unsigned i = 0; i < 3; i++) {
		rig_got_is(&rig, i * 11, p[i], n[i]);
		for (unsigned k = 0; k < 10; k++)
			rig_got_is(&rig, i * 11 + 1 + k, want, make_segment(&kinds[i], k, MSS, TCP_ACK));
	}
	rig_free(&rig);
}
END_TEST

/* A super-packet whose segments do not fit: the sender is told what does; without DF each datagram goes in fragments. */
START_TEST(test_super_too_big)
{
	struct virtio_net_hdr h;

	rig_new(&rig, NULL);
	rig.out->inner_mtu = 1300;
	put_super(&kinds[0], 5 * MSS, TCP_ACK);
	rig_out(&rig);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	ck_assert_uint_eq(rig_tun_read(rig.tun_a, &h, got, sizeof(got)), 576);
	ck_assert_uint_eq(load_be16(got + 26), 1300);
	ck_assert_uint_eq(rig.n_wire, 0);
	/* fits to the byte */
	rig.out->inner_mtu = headers(&kinds[0]) + MSS;
	put_super(&kinds[0], 5 * MSS, TCP_ACK);
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 5);
	rig_wire_clear(&rig);

	struct pkt_spec s = spec_of(&kinds[2]);
	h = vnet_of(&kinds[2], MSS);
	s.frag = 0;
	s.len = 3 * MSS;
	rig.out->inner_mtu = 1300;
	rig_put(&rig, &h, super, pkt_make(&s, super));
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 6); /* two of each */
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 6);
	for (unsigned i = 0; i < 6; i += 2) {
		static uint8_t whole[2000];
		memcpy(whole, rig.got[i].p, rig.got[i].len);
		memcpy(whole + rig.got[i].len, rig.got[i + 1].p + 20, rig.got[i + 1].len - 20);
		uint32_t n = rig.got[i].len + rig.got[i + 1].len - 20;
		ck_assert(slow_l4_ok(whole, 20, n, IPPROTO_UDP));
		ck_assert_mem_eq(whole + 28, data + i / 2 * MSS, MSS);
	}
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_gso(void)
{
	TCase *t = tcase_create("gso");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_split, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(t, test_split_and_join, 0, ARRAY_LEN(kinds));
	tcase_add_test(t, test_join_limits);
	tcase_add_test(t, test_join_flows);
	tcase_add_loop_test(t, test_checksum_completed, 0, ARRAY_LEN(kinds));
	tcase_add_test(t, test_checksum_zero);
	tcase_add_test(t, test_mixed_batch);
	tcase_add_test(t, test_super_too_big);
	return t;
}
