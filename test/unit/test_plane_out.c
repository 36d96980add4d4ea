/* What happens to a packet on its way out: size, fragments, answers to the sender, MSS, outer header fields, selectors. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto_util.h"
#include "plane_rig.h"

/* aes128gcm16 in UDP over IPv4: 1500 - 20 - 8 - 8 - 8 - 16 = 1440, a multiple of 4, less 2 for the trailer */
#define FITS_V4 1438u
#define FITS_V6 1418u

static struct rig rig;
static uint8_t pkt[66000], back[66000];
static struct virtio_net_hdr vnet;

static uint32_t tcp(int ver, uint8_t flags, uint16_t frag, const uint8_t *opt, unsigned opt_len, unsigned len)
{
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = ver, .proto = IPPROTO_TCP, .flags = flags, .frag = frag, .opt = opt, .opt_len = opt_len,
			      .data = data, .len = len, .seq = 1000, .ack = flags & TCP_ACK ? 77 : 0 };
	return pkt_make(&s, pkt);
}

static uint32_t udp(int ver, uint16_t frag, unsigned len)
{
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = ver, .proto = IPPROTO_UDP, .frag = frag, .id = 4711, .data = data, .len = len };

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 13);
	return pkt_make(&s, pkt);
}

static void nothing_back(void)
{
	ck_assert_uint_eq(rig_tun_read(rig.tun_a, &vnet, back, sizeof(back)), 0);
}

/* ---- size --------------------------------------------------------------------------------------- */

/* RFC 1191 4: type 3 code 4 with the next-hop MTU; RFC 792: the packet's header and more behind it. */
static void too_big4(uint32_t len, uint32_t mtu)
{
	uint32_t n = rig_tun_read(rig.tun_a, &vnet, back, sizeof(back));

	ck_assert_uint_eq(n, len + 28 < 576 ? len + 28 : 576);
	ck_assert_uint_eq(vnet.flags, 0);
	ck_assert_uint_eq(vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert(slow_ip4_ok(back) && slow_l4_ok(back, 20, n, IPPROTO_ICMP));
	ck_assert_uint_eq(back[9], IPPROTO_ICMP);
	ck_assert_mem_eq(back + 16, pkt + 12, 4); /* to the sender */
	ck_assert_uint_eq(back[20], 3);
	ck_assert_uint_eq(back[21], 4);
	ck_assert_uint_eq(load_be16(back + 26), mtu);
	ck_assert_mem_eq(back + 28, pkt, n - 28);
}

START_TEST(test_df_too_big)
{
	rig_new(&rig, NULL);
	rig_send(&rig, pkt, udp(4, 0x4000, FITS_V4 - 28));
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert_uint_eq(rig.wire[0].len + 28, 1500); /* exactly the path MTU */
	rig_dropped(rig.a, DROP_NONE, 0);
	nothing_back();

	uint32_t n = udp(4, 0x4000, FITS_V4 + 1 - 28);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	too_big4(n, FITS_V4);
	ck_assert_mem_eq(back + 12, pkt + 16, 4); /* no address of our own: the packet's destination */
	ck_assert_uint_eq(rig.a->c.icmp_sent, 1);

	rig.a->icmp4 = ip_addr_from_v4((uint8_t[]) { 10, 255, 0, 1 });
	rig.out->inner_mtu = 1000;
	n = udp(4, 0x4000, 1200);
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	too_big4(n, 1000);
	ck_assert_mem_eq(back + 12, ((uint8_t[]) { 10, 255, 0, 1 }), 4);
	rig_free(&rig);
}
END_TEST

/* RFC 4443 3.2; and never less than 1280, which every IPv6 link carries (RFC 8200 5): those go with an outer packet in fragments. */
START_TEST(test_too_big6)
{
	rig_new(&rig, NULL);
	uint32_t n = udp(6, 0, 1500 - 48);
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	uint32_t m = rig_tun_read(rig.tun_a, &vnet, back, sizeof(back));
	ck_assert_uint_eq(m, 1280);
	ck_assert(slow_l4_ok(back, 40, m, IPPROTO_ICMPV6));
	ck_assert_uint_eq(back[40], 2);
	ck_assert_uint_eq(back[41], 0);
	ck_assert_uint_eq(load_be32(back + 44), FITS_V4);
	ck_assert_mem_eq(back + 24, pkt + 8, 16);
	ck_assert_mem_eq(back + 48, pkt, m - 48);

	rig.out->inner_mtu = 1000;
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	ck_assert_uint_eq(rig_tun_read(rig.tun_a, &vnet, back, sizeof(back)), 1280);
	ck_assert_uint_eq(load_be32(back + 44), 1280);
	n = udp(6, 0, 1280 - 48);
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_NONE, 0);
	nothing_back();
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert(!rig.wire[0].df);
	rig_in_all(&rig);
	rig_got_is(&rig, 0, pkt, n);
	rig_free(&rig);
}
END_TEST

/* Puts fragments together again; fails where they do not make the packet that was sent. */
static void reassemble(const uint8_t *want, uint32_t want_len, uint32_t mtu)
{
	static uint8_t whole[66000];
	uint32_t have = 0, total = 0;

	memset(whole, 0, sizeof(whole));
	for (unsigned i = 0; i < rig.n_got; i++) {
		const uint8_t *f = rig.got[i].p;
		uint32_t at = (load_be16(f + 6) & 0x1fffu) * 8, n = rig.got[i].len - 20;
		ck_assert_uint_le(rig.got[i].len, mtu);
		ck_assert(slow_ip4_ok(f));
		ck_assert_uint_eq(load_be16(f + 2), rig.got[i].len);
		ck_assert_mem_eq(f + 4, want + 4, 2);
		ck_assert_mem_eq(f + 12, want + 12, 8);
		memcpy(whole + 20 + at, f + 20, n);
		have += n;
		if (!(f[6] & 0x20))
			total = at + n;
		else
			ck_assert_uint_eq(n % 8, 0);
	}
	ck_assert_uint_eq(have, want_len - 20);
	ck_assert_uint_eq(total, want_len - 20);
	memcpy(whole, want, 20);
	check_bytes("reassembled", span_of(whole, want_len), span_of(want, want_len));
}

START_TEST(test_fragment_before)
{
	static const uint32_t sizes[] = { FITS_V4 + 1, 2000, 3000, 8000, 65535 };

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		rig_new(&rig, NULL);
		uint32_t n = udp(4, 0, sizes[i] - 28);
		rig_send(&rig, pkt, n);
		nothing_back();
		rig_dropped(rig.a, DROP_NONE, 0);
		ck_assert_uint_eq(rig.n_wire, (n - 20 + 1415) / 1416);
		ck_assert_uint_eq(rig.a->c.fragmented, 1);
		ck_assert_uint_eq(rig.a->c.out_packets, 1);
		ck_assert_uint_eq(rig.out->seq, rig.n_wire);
		for (unsigned k = 0; k < rig.n_wire; k++)
			ck_assert_uint_le(rig.wire[k].len + 28, 1500);
		rig_in_all(&rig);
		rig_dropped(rig.b, DROP_NONE, 0);
		reassemble(pkt, n, FITS_V4);
		rig_free(&rig);
	}
}
END_TEST

START_TEST(test_fragment_after)
{
	struct rig_opts o = { .fragment = SA_FRAG_AFTER };

	rig_new(&rig, &o);
	uint32_t n = udp(4, 0, 4000);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert(!rig.wire[0].df);
	rig_in_all(&rig);
	rig_got_is(&rig, 0, pkt, n);
	/* DF is the sender's wish all the same */
	rig_send(&rig, pkt, udp(4, 0x4000, 4000));
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	/* no outer packet is large enough for the largest inner ones */
	rig_got_clear(&rig);
	n = udp(4, 0, 65535 - 28);
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_NONE, 0);
	ck_assert_uint_gt(rig.n_wire, 1);
	rig_in_all(&rig);
	reassemble(pkt, n, FITS_V4);
	rig_free(&rig);

	/* an outer packet that must not be fragmented leaves only the other way */
	o.df = SA_DF_SET;
	rig_new(&rig, &o);
	n = udp(4, 0, 4000);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(rig.wire[i].df);
	rig_in_all(&rig);
	reassemble(pkt, n, FITS_V4);
	rig_free(&rig);
}
END_TEST

/* RFC 4301 8.1: copy, set, clear. */
START_TEST(test_outer_df)
{
	static const struct {
		enum sa_df df;
		bool want[3]; /* IPv4 without and with DF, IPv6 */
	} t[] = { { SA_DF_COPY, { false, true, true } }, { SA_DF_SET, { true, true, true } },
		  { SA_DF_CLEAR, { false, false, false } } };

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct rig_opts o = { .df = t[i].df };
		rig_new(&rig, &o);
		rig_send(&rig, pkt, udp(4, 0, 100));
		rig_send(&rig, pkt, udp(4, 0x4000, 100));
		rig_send(&rig, pkt, udp(6, 0, 100));
		for (unsigned k = 0; k < 3; k++)
			ck_assert_int_eq(rig.wire[k].df, t[i].want[k]);
		if (t[i].df == SA_DF_CLEAR) { /* what does not fit goes in outer fragments */
			uint32_t n = udp(4, 0x4000, 2000);
			rig_send(&rig, pkt, n);
			ck_assert_uint_eq(rig.n_wire, 4);
			ck_assert(!rig.wire[3].df);
			rig_dropped(rig.a, DROP_NONE, 0);
			rig_in_wire(&rig, 3);
			rig_got_is(&rig, 0, pkt, n);
		}
		rig_free(&rig);
	}
}
END_TEST

/* ---- the outer TOS octet ------------------------------------------------------------------------ */

START_TEST(test_outer_tos)
{
	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned mode = 0; mode < 4; mode++) {
			struct rig_opts o = { .dscp = mode & 1 ? 46 + 1 : 0, .no_ecn = mode & 2 };
			struct pkt_spec s = { .ver = ver, .proto = IPPROTO_UDP };
			rig_new(&rig, &o);
			for (unsigned tos = 0; tos < 256; tos++) {
				s.tos = (uint8_t)tos;
				rig_put(&rig, NULL, pkt, pkt_make(&s, pkt));
				if (tos % 128 == 127)
					rig_out(&rig);
			}
			ck_assert_uint_eq(rig.n_wire, 256);
			for (unsigned tos = 0; tos < 256; tos++) {
				unsigned dscp = mode & 1 ? 46 : tos >> 2, ecn = mode & 2 ? 0 : tos & 3;
				ck_assert_uint_eq(rig.wire[tos].tos, dscp << 2 | ecn);
			}
			rig_free(&rig);
		}
}
END_TEST

/* ---- answers ------------------------------------------------------------------------------------ */

START_TEST(test_reject)
{
	struct rig_opts o = { .policy = { { .action = POLICY_REJECT },
					  { .action = POLICY_REJECT, .local = "2001::/16", .remote = "2001::/16" } },
			      .n_policy = 2 };
	uint32_t n, m;

	rig_new(&rig, &o);
	n = udp(4, 0, 60);
	rig_send(&rig, pkt, n);
	m = rig_tun_read(rig.tun_a, &vnet, back, sizeof(back));
	ck_assert_uint_eq(m, n + 28);
	ck_assert(slow_ip4_ok(back) && slow_l4_ok(back, 20, m, IPPROTO_ICMP));
	ck_assert_uint_eq(back[20], 3);
	ck_assert_uint_eq(back[21], 13);
	ck_assert_mem_eq(back + 28, pkt, n);

	n = udp(6, 0, 60);
	rig_send(&rig, pkt, n);
	m = rig_tun_read(rig.tun_a, &vnet, back, sizeof(back));
	ck_assert_uint_eq(m, n + 48);
	ck_assert(slow_l4_ok(back, 40, m, IPPROTO_ICMPV6));
	ck_assert_uint_eq(back[40], 1);
	ck_assert_uint_eq(back[41], 1);

	for (int ver = 4; ver <= 6; ver += 2) {
		uint32_t off = ver == 4 ? 20 : 40;
		rig_send(&rig, pkt, tcp(ver, TCP_SYN, 0, NULL, 0, 0));
		m = rig_tun_read(rig.tun_a, &vnet, back, sizeof(back));
		ck_assert_uint_eq(m, off + 20);
		ck_assert(slow_l4_ok(back, off, m, IPPROTO_TCP));
		ck_assert_uint_eq(load_be16(back + off), 80);
		ck_assert_uint_eq(load_be16(back + off + 2), 40000);
		ck_assert_uint_eq(load_be32(back + off + 8), 1001);
		ck_assert_uint_eq(back[off + 13], TCP_RST | TCP_ACK);
		rig_send(&rig, pkt, tcp(ver, TCP_ACK, 0, NULL, 0, 10));
		ck_assert_uint_eq(rig_tun_read(rig.tun_a, &vnet, back, sizeof(back)), off + 20);
		ck_assert_uint_eq(load_be32(back + off + 4), 77);
		ck_assert_uint_eq(back[off + 13], TCP_RST);
		rig_send(&rig, pkt, tcp(ver, TCP_RST, 0, NULL, 0, 0));
		nothing_back();
	}
	/* not about errors, nor about later fragments */
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_ICMP, .dport = 3 << 8 | 1, .len = 20, .data = pkt + 1000 };
	rig_send(&rig, pkt, pkt_make(&s, pkt));
	rig_send(&rig, pkt, udp(4, 10, 60));
	rig_send(&rig, pkt, tcp(4, TCP_SYN, 10, NULL, 0, 0));
	nothing_back();
	ck_assert_uint_eq(rig.a->c.icmp_sent, 2);
	ck_assert_uint_eq(rig.a->c.rst_sent, 4);
	rig_dropped(rig.a, DROP_POLICY_REJECT, 11);
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_free(&rig);
}
END_TEST

/* Fifty at once, then one every ten milliseconds; saved up again to fifty. */
START_TEST(test_icmp_rate)
{
	struct rig_opts o = { .policy = { { .action = POLICY_REJECT } }, .n_policy = 1 };
	static const struct {
		uint64_t wait_ms;
		unsigned sent, more;
	} t[] = { { 0, 60, 50 }, { 9, 1, 0 }, { 1, 2, 1 }, { 25, 5, 2 }, { 5, 5, 1 }, { 100000, 70, 50 } };

	rig_new(&rig, &o);
	uint32_t n = udp(4, 0, 10);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint64_t before = rig.a->c.icmp_sent;
		rig_now_ns += t[i].wait_ms * NS_PER_MS;
		for (unsigned k = 0; k < t[i].sent; k++)
			rig_send(&rig, pkt, n);
		ck_assert_uint_eq(rig.a->c.icmp_sent - before, t[i].more);
		ck_assert_uint_eq(rig.a->c.drop.n[DROP_ICMP_LIMIT], t[i].sent - t[i].more);
		rig.a->c.drop.n[DROP_ICMP_LIMIT] = 0;
	}
	rig_free(&rig);
}
END_TEST

/* ---- MSS ---------------------------------------------------------------------------------------- */

static const uint8_t mss_1460[] = { 2, 4, 0x05, 0xb4, 1, 1, 1, 0 };
static const uint8_t mss_500[] = { 2, 4, 0x01, 0xf4 };

/* Sent from A or, sealed, received by B: the MSS that arrives. */
static unsigned mss_after(int ver, bool inbound, uint8_t flags, const uint8_t *opt, unsigned opt_len)
{
	static uint8_t esp[4000];
	static uint64_t seq = 100;
	uint32_t off = ver == 4 ? 20 : 40, n = tcp(ver, flags, 0, opt, opt_len, 0);

	rig_got_clear(&rig);
	if (inbound)
		rig_in(&rig, esp, rig_seal_packet(&rig, seq++, pkt, n, 0, ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, esp), 0);
	else
		rig_send(&rig, pkt, n);
	if (!inbound) {
		/* open it with B, whose own clamping is off: B has no outbound SA */
		rig_in_all(&rig);
	}
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert(slow_l4_ok(rig.got[0].p, off, rig.got[0].len, IPPROTO_TCP));
	return load_be16(rig.got[0].p + off + 22);
}

START_TEST(test_mss_clamp)
{
	rig_new(&rig, NULL);
	ck_assert_uint_eq(mss_after(4, false, TCP_SYN, mss_1460, 8), FITS_V4 - 40);
	ck_assert_uint_eq(mss_after(4, false, TCP_SYN | TCP_ACK, mss_1460, 8), FITS_V4 - 40);
	ck_assert_uint_eq(mss_after(6, false, TCP_SYN, mss_1460, 8), FITS_V4 - 60);
	ck_assert_uint_eq(mss_after(4, false, TCP_SYN, mss_500, 4), 500);
	ck_assert_uint_eq(mss_after(4, false, TCP_ACK, mss_1460, 8), 1460);
	ck_assert_uint_eq(rig.a->c.mss_clamped, 3);
	rig_free(&rig);

	/* inbound: what comes from there must fit what goes there, so B needs an outbound SA */
	rig_new(&rig, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct policy *p = spd_policy(plane_spd(rig.pb), i);
		p->out = malloc(sizeof(*p->out));
		p->out[0] = sa_ref(rig.out);
		p->n_out = 1;
	}
	ck_assert_uint_eq(mss_after(4, true, TCP_SYN, mss_1460, 8), FITS_V4 - 40);
	ck_assert_uint_eq(mss_after(6, true, TCP_SYN | TCP_ACK, mss_1460, 8), FITS_V4 - 60);
	ck_assert_uint_eq(mss_after(4, true, TCP_ACK, mss_1460, 8), 1460);
	ck_assert_uint_eq(rig.b->c.mss_clamped, 2);
	rig_free(&rig);

	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .no_clamp = true } }, .n_policy = 1 };
	rig_new(&rig, &o);
	ck_assert_uint_eq(mss_after(4, false, TCP_SYN, mss_1460, 8), 1460);
	ck_assert_uint_eq(rig.a->c.mss_clamped, 0);
	rig_free(&rig);
}
END_TEST

/* ---- selectors ---------------------------------------------------------------------------------- */

/* RFC 4301 7.3: a later fragment shows no ports, and goes the way of its first; one whose first was never seen goes nowhere. What is
 * special about fragments is in test_plane_fragments.c. */
START_TEST(test_fragment_selectors)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .rport = 80 },
					  { .action = POLICY_DISCARD } },
			      .n_policy = 2 };

	rig_new(&rig, &o);
	rig_send(&rig, pkt, udp(4, 0x2000, 80)); /* first: has ports */
	rig_send(&rig, pkt, udp(4, 11, 80));
	ck_assert_uint_eq(rig.n_wire, 2);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 2);
	rig_free(&rig);

	o.policy[0].rport = 81;
	rig_new(&rig, &o);
	rig_send(&rig, pkt, udp(4, 0x2000, 80));
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 1);
	rig_send(&rig, pkt, udp(4, 11, 80));
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 1);
	rig_free(&rig);

	rig_new(&rig, &o);
	rig_send(&rig, pkt, udp(4, 11, 80));
	uint8_t esp[400];
	uint32_t n = udp(4, 11, 80);
	rig_in(&rig, esp, rig_seal_packet(&rig, 50, pkt, n, 0, IPPROTO_IPIP, esp), 0);
	ck_assert_uint_eq(rig.n_wire + rig.n_got, 0);
	rig_free(&rig);
}
END_TEST

/* The device itself: what is read goes the same way. */
START_TEST(test_read)
{
	struct virtio_net_hdr h = { 0 };
	struct iovec iov[2] = { { &h, TUN_VNET_LEN }, { pkt, 0 } };
	uint8_t sent[20][1500];
	uint32_t n[20];

	rig_new(&rig, NULL);
	for (unsigned i = 0; i < 20; i++) {
		n[i] = rig_udp(4, i, 10 + i * 50, sent[i]);
		iov[1] = (struct iovec) { sent[i], n[i] };
		ck_assert_int_gt(writev(rig.tun_a, iov, 2), 0);
	}
	ck_assert_int_eq(write(rig.tun_a, &h, TUN_VNET_LEN), TUN_VNET_LEN); /* no packet behind */
	ck_assert_int_eq(write(rig.tun_a, &h, 3), 3);
	ck_assert_uint_eq(outbound_read(rig.a), 20);
	ck_assert_uint_eq(rig.a->c.tun_reads, 22);
	rig_dropped(rig.a, DROP_SHORT, 2);
	rig_out(&rig);
	rig_in_all(&rig);
	for (unsigned i = 0; i < 20; i++)
		rig_got_is(&rig, i, sent[i], n[i]);
	ck_assert_uint_eq(outbound_read(rig.a), 0);
	rig_free(&rig);
}
END_TEST

/* Packets that fill the read arena as far as can be, the largest last: it is not read, nor padded later, beyond the end. */
START_TEST(test_read_largest)
{
	struct virtio_net_hdr h = { 0 };
	struct iovec iov[2] = { { &h, TUN_VNET_LEN }, { pkt, 65535 } };
	int room = 1 << 20;
	unsigned n = 0;

	rig_new(&rig, NULL);
	if (setsockopt(rig.tun_a, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		printf("skipped: a full read arena needs root to queue it\n");
	for (unsigned i = 0; i < 8; i++) {
		iov[1].iov_len = i == 6 ? 64622 : 65535; /* seven take 458688 bytes of the arena's 524288 */
		udp(4, 0, (unsigned)iov[1].iov_len - 28);
		n += writev(rig.tun_a, iov, 2) > 0;
	}
	for (unsigned got; (got = outbound_read(rig.a)) > 0; n -= got)
		for (unsigned i = 0; i < got; i++)
			ck_assert(rig.a->out[i].ip + rig.a->out[i].info.len + ESP_TAIL_MAX <= rig.a->read_arena + READ_ARENA);
	ck_assert_uint_eq(n, 0);
	rig.a->n_out = 0;
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_out(void)
{
	TCase *t = tcase_create("out");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_df_too_big);
	tcase_add_test(t, test_too_big6);
	tcase_add_test(t, test_fragment_before);
	tcase_add_test(t, test_fragment_after);
	tcase_add_test(t, test_outer_df);
	tcase_add_test(t, test_outer_tos);
	tcase_add_test(t, test_reject);
	tcase_add_test(t, test_icmp_rate);
	tcase_add_test(t, test_mss_clamp);
	tcase_add_test(t, test_fragment_selectors);
	tcase_add_test(t, test_read);
	tcase_add_test(t, test_read_largest);
	return t;
}
