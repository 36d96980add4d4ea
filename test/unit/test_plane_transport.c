/* Transport mode: what stands where in the packet, which packets may go, and that they arrive as they were. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "packet/csum.h"
#include "plane_rig.h"

#define V4_HDR 20u
#define V6_HDR 40u

static struct rig rig;
static uint8_t pkt[66000];
static const struct rig_policy any4 = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" },
			       any6 = { .action = POLICY_PROTECT, .local = "::/0", .remote = "::/0" };

static void start(struct rig_opts o)
{
	o.transport = true;
	o.policy[0] = any4;
	o.policy[1] = any6;
	o.n_policy = 2;
	rig_new(&rig, &o);
}

/* From A to B themselves. */
static void between_hosts(uint8_t *ip, uint32_t len)
{
	static const uint8_t net6[8] = { 0x20, 0x01, 0x0d, 0xb8 };
	struct pkt_info i;

	if (ip[0] >> 4 == 4) {
		memcpy(ip + 12, ((uint8_t[]) { 192, 0, 2, 1 }), 4);
		memcpy(ip + 16, ((uint8_t[]) { 192, 0, 2, 2 }), 4);
		csum_ip4_set(ip);
	} else {
		memset(ip + 8, 0, 32);
		memcpy(ip + 8, net6, 8);
		memcpy(ip + 24, net6, 8);
		ip[23] = 1;
		ip[39] = 2;
	}
	ck_assert_int_eq(pkt_parse(ip, len, &i), DROP_NONE);
	csum_l4_set(ip, i.l4_off, len, i.key.proto);
}

static uint32_t make(int ver, uint8_t proto, uint16_t frag, unsigned len)
{
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = ver, .proto = proto, .flags = TCP_ACK, .frag = frag, .tos = 0x2e << 2, .data = data, .len = len };

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 5);
	uint32_t n = pkt_make(&s, pkt);
	between_hosts(pkt, n);
	return n;
}

/* A packet that came out of B: the same but for what a rebuilt header cannot know (ID, TTL, flow label). */
static void got_is(unsigned i, const uint8_t *want, uint32_t len)
{
	ck_assert_uint_lt(i, rig.n_got);
	const uint8_t *g = rig.got[i].p;
	uint32_t hdr = want[0] >> 4 == 4 ? V4_HDR : V6_HDR;

	ck_assert_uint_eq(rig.got[i].len, len);
	check_bytes("behind the header", span_of(g + hdr, len - hdr), span_of(want + hdr, len - hdr));
	if (hdr == V4_HDR) {
		ck_assert(slow_ip4_ok(g));
		ck_assert_mem_eq(g, want, 4);
		ck_assert_uint_eq(g[9], want[9]);
		ck_assert_mem_eq(g + 12, want + 12, 8);
	} else {
		ck_assert_uint_eq(g[0], want[0]);
		ck_assert_uint_eq(g[1] & 0xf0, want[1] & 0xf0);
		ck_assert_mem_eq(g + 4, want + 4, 3);
		ck_assert_mem_eq(g + 8, want + 8, 32);
	}
}

/* RFC 4303 3.1.1: ESP stands in place of the payload; a packet costs one IP header less than in a tunnel. */
START_TEST(test_round_trip)
{
	static const char *const suites[] = { "aes128gcm16", "aes256-sha256", "null-sha1", "chacha20poly1305" };

	for (unsigned i = 0; i < ARRAY_LEN(suites) * 4; i++) {
		int ver = i & 1 ? 6 : 4;
		start((struct rig_opts) { .suite = suites[i / 4], .outer_ver = ver, .raw = i & 2 });
		for (unsigned len = 0; len < 1300; len += 97) {
			uint32_t n = make(ver, len % 2 ? IPPROTO_TCP : IPPROTO_UDP, 0, len), hdr = ver == 4 ? V4_HDR : V6_HDR;
			rig_send(&rig, pkt, n);
			ck_assert_uint_eq(rig.wire[0].len, esp_wire_len(rig.out, n - hdr));
			ck_assert_uint_eq(rig.wire[0].tos, 0x2e << 2);
			rig_in_all(&rig);
			got_is(0, pkt, n);
			rig_got_clear(&rig);
		}
		rig_dropped(rig.a, DROP_NONE, 0);
		rig_dropped(rig.b, DROP_NONE, 0);
		rig_event(rig.pb, -1);
		rig_free(&rig);
	}
}
END_TEST

/* The header as it came, with its options, where the system shows it. */
START_TEST(test_received_header)
{
	uint8_t wire[600], *esp = wire + 64;

	start((struct rig_opts) { .raw = true });
	uint32_t n = make(4, IPPROTO_UDP, 0x4000, 100);
	rig_send(&rig, pkt, n);
	uint32_t len = rig.wire[0].len;
	memcpy(esp, rig.wire[0].p, len);
	uint8_t *ip = esp - 24;
	memcpy(ip, pkt, 20);
	ip[0] = 0x46;
	ip[8] = 33;
	memcpy(ip + 20, "\x94\x04\0\0", 4); /* router alert */
	store_be16(ip + 2, (uint16_t)(24 + len));
	ip[9] = IPPROTO_ESP;
	csum_ip4_set(ip);
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = len, .seg = len, .hdr_len = 24, .to = rig.in->conf->dst };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, false, deliver_packets);
	struct virtio_net_hdr v;
	uint8_t back[600];
	ck_assert_uint_eq(rig_tun_read(rig.tun_b, &v, back, sizeof(back)), n + 4);
	ck_assert(slow_ip4_ok(back));
	ck_assert_uint_eq(back[0], 0x46);
	ck_assert_uint_eq(back[8], 33);
	ck_assert_uint_eq(back[9], IPPROTO_UDP);
	ck_assert_mem_eq(back + 20, ip + 20, 4);
	ck_assert_mem_eq(back + 24, pkt + 20, n - 20);
	rig_free(&rig);
}
END_TEST

/* RFC 4303 3.1.1: the extension headers in front of ESP, where they were: hop-by-hop options, destination options, routing header. */
START_TEST(test_received_extensions6)
{
	static const uint8_t opts[8] = { 0, 0, 1, 4, 0, 0, 0, 0 }, router_alert[8] = { 0, 0, 5, 2, 0, 0, 1, 0 },
			     routing[24] = { 0, 2, 2, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, [23] = 2 };
	const struct sock_ext ext[] = { { router_alert, 8, IPPROTO_HOPOPTS }, { opts, 8, IPPROTO_DSTOPTS }, { routing, 24, IPPROTO_ROUTING } };
	static const uint8_t *const data[] = { router_alert, opts, routing };
	uint8_t wire[600], back[600];
	struct virtio_net_hdr v;

	for (unsigned n_ext = 0; n_ext <= 3; n_ext++) {
		start((struct rig_opts) { .raw = true, .outer_ver = 6 });
		uint32_t n = make(6, IPPROTO_UDP, 0, 100), at = 40, next_at = 6;
		rig_send(&rig, pkt, n);
		uint32_t len = rig.wire[0].len;
		memcpy(wire, rig.wire[0].p, len);
		rig.b->rx[0] = (struct sock_rx) { .data = wire, .len = len, .seg = len, .to = rig.in->conf->dst, .n_ext = (uint8_t)n_ext };
		memcpy(rig.b->rx[0].ext, ext, n_ext * sizeof(ext[0]));
		endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
		rig_begin(rig.b);
		inbound_datagrams(rig.b, 1, false, deliver_packets);
		uint32_t got = rig_tun_read(rig.tun_b, &v, back, sizeof(back));
		for (unsigned i = 0; i < n_ext; i++) {
			ck_assert_uint_eq(back[next_at], ext[i].kind);
			ck_assert_mem_eq(back + at + 1, data[i] + 1, ext[i].len - 1u);
			next_at = at;
			at += ext[i].len;
		}
		ck_assert_uint_eq(back[next_at], IPPROTO_UDP);
		ck_assert_uint_eq(got, n + at - 40);
		ck_assert_uint_eq(load_be16(back + 4), got - 40);
		ck_assert_mem_eq(back + 8, pkt + 8, 32);
		ck_assert_mem_eq(back + at, pkt + 40, n - 40);
		rig_free(&rig);
	}
}
END_TEST

START_TEST(test_super_packet)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 40,
				    .gso_size = 1000, .csum_start = 20, .csum_offset = 16 };

	start((struct rig_opts) { 0 });
	uint32_t n = make(4, IPPROTO_TCP, 0x4000, 4500);
	rig_put(&rig, &v, pkt, n);
	rig_put(&rig, NULL, pkt, make(4, IPPROTO_TCP, 0x4000, 77));
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 6);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 6);
	make(4, IPPROTO_TCP, 0x4000, 4500);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(slow_ip4_ok(rig.got[i].p) && slow_l4_ok(rig.got[i].p, 20, rig.got[i].len, IPPROTO_TCP));
		ck_assert_mem_eq(rig.got[i].p + 40, pkt + 40 + i * 1000, rig.got[i].len - 40);
	}
	got_is(5, pkt, make(4, IPPROTO_TCP, 0x4000, 77));
	/* the same in one datagram as UDP_GRO joins them: headers are put in front without touching the neighbours */
	rig_got_clear(&rig);
	make(4, IPPROTO_TCP, 0x4000, 4500);
	rig_put(&rig, &v, pkt, n);
	rig_out(&rig);
	static uint8_t train[8000];
	uint32_t at = 0, seg = rig.wire[0].len;
	for (unsigned i = 0; i < rig.n_wire; at += rig.wire[i++].len)
		memcpy(train + at, rig.wire[i].p, rig.wire[i].len);
	rig_in_from(&rig, train, at, seg, 0, &rig.peer_a);
	ck_assert_uint_eq(rig.n_got, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(slow_l4_ok(rig.got[i].p, 20, rig.got[i].len, IPPROTO_TCP));
	rig_free(&rig);
}
END_TEST

/* Only whole packets between the SA's own ends, without what the system would not put into their header again. */
START_TEST(test_what_may_not_go)
{
	start((struct rig_opts) { 0 });
	rig_send(&rig, pkt, make(4, IPPROTO_UDP, 0x2000, 96));
	rig_send(&rig, pkt, make(4, IPPROTO_UDP, 0x000c, 96)); /* a fragment, into the one before */
	rig_dropped(rig.a, DROP_FRAG_OVERLAP, 1);
	uint32_t n = make(4, IPPROTO_UDP, 0, 96);
	pkt[15] = 9; /* from another address */
	rig_send(&rig, pkt, n);
	n = make(4, IPPROTO_UDP, 0, 96);
	pkt[19] = 9;
	rig_send(&rig, pkt, n);
	rig_send(&rig, pkt, make(6, IPPROTO_UDP, 0, 96)); /* of another version */
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_dropped(rig.a, DROP_TRANSPORT, 3);
	rig_free(&rig);
}
END_TEST

START_TEST(test_size)
{
	/* aes128gcm16 in UDP: 1500 - 20 - 8 - 8 - 8 - 16 = 1440, less 2 for the trailer, and the packet's own 20 */
	const uint32_t fits = 1458;

	start((struct rig_opts) { 0 });
	ck_assert_uint_eq(rig.out->inner_mtu, fits);
	rig_send(&rig, pkt, make(4, IPPROTO_UDP, 0x4000, fits - 28));
	ck_assert_uint_eq(rig.wire[0].len + 28, 1500);
	ck_assert(rig.wire[0].df);
	rig_send(&rig, pkt, make(4, IPPROTO_UDP, 0x4000, fits - 27));
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	/* without DF: protected first, and the outer packet is fragmented (RFC 4303 3.1.1) */
	uint32_t n = make(4, IPPROTO_UDP, 0, 5000);
	rig_wire_clear(&rig);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert(!rig.wire[0].df);
	rig_in_all(&rig);
	got_is(0, pkt, n);
	rig_free(&rig);

	/* IPv6: TCP is told, and sends smaller ones; a datagram would come back in fragments, so it goes as it is */
	start((struct rig_opts) { .outer_ver = 6 });
	rig_send(&rig, pkt, make(6, IPPROTO_TCP, 0, 1600));
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	rig_send(&rig, pkt, make(6, IPPROTO_UDP, 0, 1600));
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert(!rig.wire[0].df);
	rig_free(&rig);
}
END_TEST

/* IPv6 destination options belong to what is protected. */
START_TEST(test_destination_options)
{
	start((struct rig_opts) { .outer_ver = 6 });
	uint32_t n = make(6, IPPROTO_UDP, 0, 50);
	memmove(pkt + 48, pkt + 40, n - 40);
	memcpy(pkt + 40, "\x11\0\x01\x04\0\0\0\0", 8);
	pkt[6] = IPPROTO_DSTOPTS;
	n += 8;
	store_be16(pkt + 4, (uint16_t)(n - 40));
	rig_send(&rig, pkt, n);
	rig_in_all(&rig);
	got_is(0, pkt, n);
	/* hop-by-hop options do not */
	pkt[6] = IPPROTO_HOPOPTS;
	rig_send(&rig, pkt, n);
	rig_dropped(rig.a, DROP_TRANSPORT, 1);
	rig_free(&rig);
}
END_TEST

/* RFC 3948 3.1.2: a NAT has changed the source, and ours is not what the peer calls us. */
START_TEST(test_checksum_behind_nat)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (unsigned known = 0; known < 2; known++) {
		for (unsigned i = 0; i < 40; i++) {
			struct rig_opts o = { 0 };
			if (known) {
				o.oa_src = "10.9.8.7";
				o.oa_dst = "203.0.113.77";
			}
			start(o);
			uint32_t n = make(4, protos[i % 2], 0, 100 + i);
			uint8_t peer[66000];
			memcpy(peer, pkt, n);
			memcpy(peer + 12, "\x0a\x09\x08\x07", 4); /* as the peer sent it */
			memcpy(peer + 16, "\xcb\x00\x71\x4d", 4);
			csum_l4_set(peer, 20, n, protos[i % 2]);
			uint8_t esp[2000];
			uint32_t len = rig_seal_packet(&rig, 1, peer + 20, n - 20, 0, protos[i % 2], esp);
			rig_in(&rig, esp, len, 0x2e << 2);
			got_is(0, pkt, n);
			ck_assert(slow_l4_ok(rig.got[0].p, 20, n, protos[i % 2]));
			if (known) { /* a wrong checksum stays wrong: only the addresses are taken out of it */
				peer[n - 1] ^= 1;
				len = rig_seal_packet(&rig, 2, peer + 20, n - 20, 0, protos[i % 2], esp);
				rig_in(&rig, esp, len, 0);
				ck_assert(!slow_l4_ok(rig.got[1].p, 20, n, protos[i % 2]));
			}
			rig_free(&rig);
		}
	}
	/* UDP without a checksum stays without */
	start((struct rig_opts) { 0 });
	uint32_t n = make(4, IPPROTO_UDP, 0, 100);
	pkt[26] = pkt[27] = 0;
	rig_send(&rig, pkt, n);
	rig_in_all(&rig);
	got_is(0, pkt, n);
	rig_free(&rig);
	/* raw: no NAT in between, nothing is touched */
	start((struct rig_opts) { .raw = true });
	n = make(4, IPPROTO_UDP, 0, 100);
	pkt[26] ^= 0xff;
	rig_send(&rig, pkt, n);
	rig_in_all(&rig);
	got_is(0, pkt, n);
	rig_free(&rig);
}
END_TEST

/* The rebuilt addresses are those of the outer header, which nobody has authenticated: the selectors decide. */
START_TEST(test_forged_source)
{
	struct selector sel = { .proto = PROTO_ANY };
	struct endpoint forged = { .port = 0 };

	ck_assert_int_eq(ip_range_parse("192.0.2.2", &sel.local), 0);
	ck_assert_int_eq(ip_range_parse("192.0.2.1", &sel.remote), 0);
	ck_assert_int_eq(ip_addr_parse("192.0.2.66", &forged.addr), 0);
	start((struct rig_opts) { .raw = true, .sel_in = &sel });
	rig_send(&rig, pkt, make(4, IPPROTO_UDP, 0, 100));
	rig_in_from(&rig, rig.wire[0].p, rig.wire[0].len, rig.wire[0].len, 0, &forged);
	ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	rig_free(&rig);
}
END_TEST

/* RFC 4303 3.1.1, RFC 8200 4.1: which headers stand outside. */
START_TEST(test_split)
{
	static const struct {
		const char *chain; /* h hop-by-hop, d destination, r routing, f fragment */
		uint32_t off;
	} rows[] = { { "", 40 }, { "h", 48 }, { "hr", 56 }, { "d", 40 }, { "hd", 48 }, { "dr", 56 }, { "hdr", 64 }, { "hdrd", 64 },
		     { "r", 48 }, { "rd", 48 }, { "f", 0 }, { "hf", 0 } };

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t n = make(6, IPPROTO_UDP, 0, 20), k = (uint32_t)strlen(rows[i].chain) * 8, at = 6;
		memmove(pkt + 40 + k, pkt + 40, n - 40);
		for (unsigned j = 0; rows[i].chain[j]; j++) {
			char c = rows[i].chain[j];
			pkt[at] = c == 'h' ? IPPROTO_HOPOPTS : c == 'd' ? IPPROTO_DSTOPTS : c == 'r' ? IPPROTO_ROUTING : IPPROTO_FRAGMENT;
			at = 40 + j * 8;
			memset(pkt + at, 0, 8);
		}
		pkt[at] = IPPROTO_UDP;
		store_be16(pkt + 4, (uint16_t)(n + k - 40));
		struct pkt_info info = pkt_info_of(pkt, n + k);
		uint32_t next_at = 0;
		ck_assert_msg(transport_split(pkt, &info, &next_at) == rows[i].off, "%s", rows[i].chain);
		if (rows[i].off > 40)
			ck_assert_uint_eq(next_at, rows[i].off - 8);
		else if (rows[i].off)
			ck_assert_uint_eq(next_at, 6);
	}
}
END_TEST

TCase *tcase_plane_transport(void)
{
	TCase *t = tcase_create("transport");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_received_header);
	tcase_add_test(t, test_received_extensions6);
	tcase_add_test(t, test_super_packet);
	tcase_add_test(t, test_what_may_not_go);
	tcase_add_test(t, test_size);
	tcase_add_test(t, test_destination_options);
	tcase_add_test(t, test_checksum_behind_nat);
	tcase_add_test(t, test_forged_source);
	tcase_add_test(t, test_split);
	return t;
}
