/* Parsing, checksums, congestion marks, fragments; and packets that crashed others. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/frag.h"
#include "packet/fragtab.h"
#include "pcap.h"
#include "pkt.h"
#include "pkt_feed.h"

static uint8_t data[4000];

static void fill_data(void)
{
	srand(1);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
}

/* ---- parse ---------------------------------------------------------------- */

START_TEST(test_parse_plain)
{
	uint8_t p[200];
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < ARRAY_LEN(protos); i++) {
			struct pkt_spec s = { .ver = ver, .proto = protos[i], .tos = 0xb9, .flags = TCP_ACK,
					      .frag = 0x4000, .sport = 1234, .dport = 53,
					      .data = data, .len = 20 };
			uint32_t n = pkt_make(&s, p);
			struct pkt_info in = pkt_info_of(p, n + 30); /* TFC padding behind */
			ck_assert_uint_eq(in.len, n);
			ck_assert_uint_eq(in.l4_off, ver == 4 ? 20 : 40);
			ck_assert_uint_eq(in.tos, 0xb9);
			ck_assert_uint_eq(in.flags, PKT_DF);
			ck_assert_uint_eq(in.key.ver, ver);
			ck_assert_uint_eq(in.key.proto, protos[i]);
			ck_assert_uint_eq(in.key.sport, 1234);
			ck_assert_uint_eq(in.key.dport, 53);
			ck_assert_uint_eq(in.key.flags, 0);
			ck_assert_uint_eq(in.key.zero, 0);
			struct ip_addr a = flow_key_src(&in.key), want;
			ck_assert_int_eq(ip_addr_parse(ver == 4 ? "10.1.0.1" : "2001::1", &want), 0);
			ck_assert(ip_addr_eq(&a, &want));
			a = flow_key_dst(&in.key);
			ck_assert_int_eq(ip_addr_parse(ver == 4 ? "10.2.0.2" : "2001::2", &want), 0);
			ck_assert(ip_addr_eq(&a, &want));
		}
}
END_TEST

START_TEST(test_parse_flags)
{
	uint8_t p[200];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_SYN };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));

	ck_assert_uint_eq(in.flags, PKT_TCP_SYN);
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_UDP, .frag = 0x2000, .data = data, .len = 16 };
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(in.flags, PKT_FRAG_FIRST);
	ck_assert_uint_eq(in.key.dport, 80);
	s.frag = 0x2001;
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(in.flags, PKT_FRAG_LATER);
	ck_assert_uint_eq(in.key.flags, FLOW_OPAQUE);
	ck_assert_uint_eq(in.key.dport, 0);
	ck_assert_uint_eq(in.key.proto, IPPROTO_UDP);
	/* a TCP first fragment too short for its header (RFC 1858) has no ports */
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_TCP, .frag = 0x2000 };
	uint32_t n = pkt_make(&s, p);
	store_be16(p + 2, (uint16_t)(n - 4));
	in = pkt_info_of(p, n);
	ck_assert_uint_eq(in.key.flags, FLOW_OPAQUE);
	ck_assert_uint_eq(in.key.sport, 0);
}
END_TEST

START_TEST(test_parse_icmp_mh_other)
{
	uint8_t p[200];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_ICMP, .dport = 3 << 8 | 4 };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));

	ck_assert_uint_eq(in.key.dport, 3 << 8 | 4);
	ck_assert_uint_eq(in.key.sport, 0);
	struct flow_key back;
	flow_key_reverse(&in.key, &back);
	ck_assert_uint_eq(back.dport, 3 << 8 | 4);
	ck_assert_mem_eq(back.src, in.key.dst, 16);
	s = (struct pkt_spec) { .ver = 6, .proto = IPPROTO_ICMPV6, .dport = 128 << 8 };
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(in.key.dport, 128 << 8);
	static const uint8_t mh[8] = { 59, 0, 5, 0 };
	s = (struct pkt_spec) { .ver = 6, .proto = 135, .data = mh, .len = 8 };
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(in.key.dport, 5 << 8);
	static const uint8_t none[] = { 47, 50, 51, 59, 4, 41 };
	for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
		s = (struct pkt_spec) { .ver = 6, .proto = none[i], .data = data, .len = 40 };
		in = pkt_info_of(p, pkt_make(&s, p));
		ck_assert_uint_eq(in.key.proto, none[i]);
		ck_assert_uint_eq(in.key.flags, FLOW_OPAQUE);
		ck_assert_uint_eq(in.l4_off, 40);
	}
	static const uint8_t with_ports[] = { IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE };
	for (unsigned i = 0; i < ARRAY_LEN(with_ports); i++) {
		static const uint8_t ports[12] = { 1, 2, 3, 4 };
		s = (struct pkt_spec) { .ver = 4, .proto = with_ports[i], .data = ports, .len = 12 };
		in = pkt_info_of(p, pkt_make(&s, p));
		ck_assert_uint_eq(in.key.sport, 0x0102);
		flow_key_reverse(&in.key, &back);
		ck_assert_uint_eq(back.sport, 0x0304);
		ck_assert_uint_eq(back.dport, 0x0102);
	}
}
END_TEST

/* An IPv6 packet with the extension headers given, then 20 bytes of UDP. */
static uint32_t make6(const uint8_t *ext, unsigned ext_len, uint8_t first, uint8_t *p)
{
	uint8_t body[3000];
	struct pkt_spec s = { .ver = 6, .proto = first, .data = body, .len = ext_len + 20 };

	memcpy(body, ext, ext_len);
	memset(body + ext_len, 0, 20);
	store_be16(body + ext_len, 1000);
	store_be16(body + ext_len + 2, 2000);
	store_be16(body + ext_len + 4, 20);
	return pkt_make(&s, p);
}

START_TEST(test_parse_ext)
{
	/* hop-by-hop, destination options (16 bytes), routing, fragment, then UDP */
	uint8_t chain[] = { 60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0,
			    0,	0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1 };
	uint8_t p[3200];
	struct pkt_info in;
	uint32_t n = make6(chain, sizeof(chain), 0, p);

	in = pkt_info_of(p, n);
	ck_assert_uint_eq(in.key.proto, 17);
	ck_assert_uint_eq(in.l4_off, 40 + sizeof(chain));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS);
	ck_assert_uint_eq(in.key.dport, 2000);
	chain[35] = 1; /* more fragments */
	in = pkt_info_of(p, make6(chain, sizeof(chain), 0, p));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS | PKT_FRAG_FIRST);
	ck_assert_uint_eq(in.key.dport, 2000);
	chain[35] = 8; /* offset 1 */
	in = pkt_info_of(p, make6(chain, sizeof(chain), 0, p));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS | PKT_FRAG_LATER);
	ck_assert_uint_eq(in.key.flags, FLOW_OPAQUE);
	ck_assert_uint_eq(in.key.proto, 17);

	/* hop-by-hop that is not first; fragment twice; options longer than the packet */
	static const uint8_t bad_hbh[] = { 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0 };
	ck_assert_int_eq(pkt_parse(p, make6(bad_hbh, 16, 60, p), &in), DROP_BAD_HEADER);
	static const uint8_t two[] = { 44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1 };
	ck_assert_int_eq(pkt_parse(p, make6(two, 16, 44, p), &in), DROP_BAD_HEADER);
	static const uint8_t far[] = { 17, 200, 1, 4, 0, 0, 0, 0 };
	ck_assert_int_eq(pkt_parse(p, make6(far, 8, 60, p), &in), DROP_BAD_HEADER);

	/* 16 headers are read, 17 are too many */
	uint8_t many[17 * 8] = { 0 };
	for (unsigned i = 0; i < 17; i++)
		many[i * 8] = 60;
	many[15 * 8] = 17;
	ck_assert_int_eq(pkt_parse(p, make6(many, 16 * 8, 60, p), &in), DROP_NONE);
	many[15 * 8] = 60;
	many[16 * 8] = 17;
	ck_assert_int_eq(pkt_parse(p, make6(many, 17 * 8, 60, p), &in), DROP_BAD_HEADER);
}
END_TEST

START_TEST(test_parse_options4)
{
	uint8_t p[100] = { 0x48, 0, 0, 60, 0, 1, 0, 0, 64, IPPROTO_UDP };
	struct pkt_info in;

	store_be16(p + 32, 7);
	in = pkt_info_of(p, 60);
	ck_assert_uint_eq(in.flags, PKT_OPTIONS);
	ck_assert_uint_eq(in.l4_off, 32);
	ck_assert_uint_eq(in.key.sport, 7);
}
END_TEST

START_TEST(test_parse_bad)
{
	uint8_t p[100];
	struct pkt_info in;
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 10 };
	uint32_t n = pkt_make(&s, p);

	ck_assert_int_eq(pkt_parse(p, 0, &in), DROP_SHORT);
	ck_assert_int_eq(pkt_parse(p, 19, &in), DROP_SHORT);
	ck_assert_int_eq(pkt_parse(p, n - 1, &in), DROP_BAD_LENGTH);
	p[0] = 0x44;
	ck_assert_int_eq(pkt_parse(p, n, &in), DROP_BAD_HEADER);
	p[0] = 0x4f;
	ck_assert_int_eq(pkt_parse(p, n, &in), DROP_BAD_LENGTH);
	p[0] = 0x55;
	ck_assert_int_eq(pkt_parse(p, n, &in), DROP_NOT_IP);
	p[0] = 0x45;
	store_be16(p + 2, 19);
	ck_assert_int_eq(pkt_parse(p, n, &in), DROP_BAD_LENGTH);
	s.ver = 6;
	n = pkt_make(&s, p);
	ck_assert_int_eq(pkt_parse(p, 39, &in), DROP_SHORT);
	ck_assert_int_eq(pkt_parse(p, n - 1, &in), DROP_BAD_LENGTH);
}
END_TEST

START_TEST(test_hash)
{
	enum { N = 65536, BUCKETS = 4096 };
	static unsigned low[BUCKETS], high[BUCKETS];
	uint8_t p[100];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));

	/* neighbouring ports, then neighbouring addresses, of both versions: chi-square close to its mean */
	for (int round = 0; round < 6; round++) {
		struct flow_key k = in.key;
		k.ver = round < 3 ? 4 : 6;
		memset(low, 0, sizeof(low));
		memset(high, 0, sizeof(high));
		for (unsigned i = 0; i < N; i++) {
			if (round % 3 == 0)
				k.sport = (uint16_t)i;
			else if (round % 3 == 1)
				store_be32(k.dst + (round < 3 ? 0 : 12), i);
			else
				store_be32(k.src + (round < 3 ? 0 : 4), i << 8);
			uint64_t h = flow_key_hash(&k, 0x1234);
			low[h % BUCKETS]++;
			high[h >> 52]++;
		}
		double chi_low = 0, chi_high = 0, mean = (double)N / BUCKETS;
		for (unsigned i = 0; i < BUCKETS; i++) {
			chi_low += (low[i] - mean) * (low[i] - mean) / mean;
			chi_high += (high[i] - mean) * (high[i] - mean) / mean;
		}
		/* expected 4095, deviation 90; an even spread of a counter would be much smaller */
		ck_assert_msg(chi_low < 4700 && chi_high < 4700, "round %d: %f %f", round, chi_low,
			      chi_high);
	}
	/* every bit of the key and of the seed counts */
	uint64_t h = flow_key_hash(&in.key, 1);
	ck_assert(h != flow_key_hash(&in.key, 2));
	for (unsigned bit = 0; bit < 320; bit++) {
		struct flow_key k = in.key;
		((uint8_t *)&k)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int differ = __builtin_popcountll(h ^ flow_key_hash(&k, 1));
		ck_assert_msg(differ > 8 && differ < 56, "bit %u: %d", bit, differ);
		ck_assert(!flow_key_eq(&k, &in.key));
	}
}
END_TEST

/* ---- checksums ------------------------------------------------------------ */

START_TEST(test_csum_lengths)
{
	static uint8_t dst[2200];

	for (unsigned len = 0; len < 2000; len += len < 300 ? 1 : 37)
		for (unsigned off = 0; off < 4; off++) {
			uint16_t want = __builtin_bswap16(slow_sum(0, data + off, len));
			ck_assert_uint_eq(csum_fold(csum_add(0, data + off, len)), want);
			memset(dst, 0xee, sizeof(dst));
			ck_assert_uint_eq(csum_fold(csum_copy(0, dst + 1, data + off, len)), want);
			ck_assert_mem_eq(dst + 1, data + off, len);
			ck_assert_uint_eq(dst[0], 0xee);
			ck_assert_uint_eq(dst[len + 1], 0xee);
		}
	static uint8_t ones[65536];
	memset(ones, 0xff, sizeof(ones));
	ck_assert_uint_eq(csum_fold(csum_add(UINT32_MAX, ones, sizeof(ones))), 0xffff);
	/* a sum of parts is the sum of the whole */
	uint64_t parts = csum_add(csum_add(csum_add(0, data, 20), data + 20, 734), data + 754, 77);
	ck_assert_uint_eq(csum_fold(parts), csum_fold(csum_add(0, data, 831)));
	ck_assert_uint_eq(csum_fold(UINT64_MAX), 0xffff);
}
END_TEST

START_TEST(test_csum_packets)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };
	uint8_t p[2000], q[2000];

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < ARRAY_LEN(protos); i++)
			for (unsigned len = 0; len < 1500; len += 41) {
				struct pkt_spec s = { .ver = ver, .proto = protos[i], .data = data, .len = len };
				uint32_t n = pkt_make(&s, p), off = ver == 4 ? 20 : 40;
				ck_assert(csum_l4_ok(p, off, n, protos[i]));
				memcpy(q, p, n);
				memset(q + 10, ver == 4 ? 0xaa : q[10], 1);
				memset(q + off + (i == 0 ? 16 : i == 1 ? 6 : 2), 0x55, 2);
				ck_assert(!csum_l4_ok(q, off, n, protos[i]));
				csum_l4_set(q, off, n, protos[i]);
				if (ver == 4) {
					ck_assert(csum_ip4_ok(p));
					ck_assert(!csum_ip4_ok(q));
					csum_ip4_set(q);
				}
				ck_assert_mem_eq(q, p, n);
			}
}
END_TEST

START_TEST(test_csum_udp)
{
	uint8_t p[200];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 2 };
	uint8_t two[2] = { 0 };

	/* payload that makes the sum 0xffff, so that the checksum comes out 0 */
	s.data = two;
	uint32_t n = pkt_make(&s, p);
	store_be16(two, load_be16(p + 26));
	n = pkt_make(&s, p);
	ck_assert_uint_eq(load_be16(p + 26), 0xffff);
	store_be16(p + 26, 0x1111);
	csum_l4_set(p, 20, n, IPPROTO_UDP);
	ck_assert_uint_eq(load_be16(p + 26), 0xffff);
	ck_assert(csum_l4_ok(p, 20, n, IPPROTO_UDP));
	/* none is allowed in IPv4 only */
	store_be16(p + 26, 0);
	ck_assert(csum_l4_ok(p, 20, n, IPPROTO_UDP));
	s.ver = 6;
	n = pkt_make(&s, p);
	store_be16(p + 46, 0);
	ck_assert(!csum_l4_ok(p, 40, n, IPPROTO_UDP));
	/* bytes behind the datagram are not summed; a datagram longer than the packet is wrong */
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 9 };
	n = pkt_make(&s, p);
	p[n] = 0x77;
	store_be16(p + 2, (uint16_t)(n + 1));
	ck_assert(csum_l4_ok(p, 20, n + 1, IPPROTO_UDP));
	ck_assert(!csum_l4_ok(p, 20, n - 1, IPPROTO_UDP));
	/* too short, no checksum at all */
	ck_assert(!csum_l4_ok(p, 20, 27, IPPROTO_UDP));
	ck_assert(csum_l4_ok(p, 20, n, 47));
}
END_TEST

START_TEST(test_csum_update)
{
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t h[20];
		struct pkt_spec s = { .ver = 4, .proto = 99, .id = (uint16_t)rand() };
		pkt_make(&s, h);
		unsigned at = (unsigned[]) { 0, 2, 4, 6, 8, 12, 14, 16, 18 }[i % 9];
		uint16_t before, after = (uint16_t)rand(), check;
		if (i % 7 == 0)
			after = i % 2 ? 0xffff : 0;
		memcpy(&before, h + at, 2);
		memcpy(&check, h + 10, 2);
		check = csum_update(check, before, after);
		memcpy(h + 10, &check, 2);
		memcpy(h + at, &after, 2);
		h[0] = 0x45;
		memcpy(&after, h + at, 2);
		if (at != 0)
			ck_assert(slow_ip4_ok(h));
	}
	/* the example of RFC 1624 section 4: 0x5555 becomes 0x3285, the checksum 0xdd2f becomes 0x0000 */
	ck_assert_uint_eq(csum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
}
END_TEST

/* ---- TOS and TTL ---------------------------------------------------------- */

START_TEST(test_ecn_table)
{
	enum { NOT = 0, E1 = 1, E0 = 2, CE = 3 };
	/* RFC 6040 figure 4, as printed: rows Not-ECT, ECT(0), ECT(1), CE; columns likewise */
	static const int order[4] = { NOT, E0, E1, CE };
	static const int want[4][4] = {
		{ NOT, NOT, NOT, -1 }, { E0, E0, E1, CE }, { E1, E1, E1, CE }, { CE, CE, CE, CE }
	};

	for (int i = 0; i < 4; i++)
		for (int o = 0; o < 4; o++)
			ck_assert_int_eq(ecn_decap((uint8_t)order[i], (uint8_t)order[o]), want[i][o]);
	ck_assert_uint_eq(ecn_encap(0xbb, -1, 1), 0xbb);
	ck_assert_uint_eq(ecn_encap(0xbb, -1, 0), 0xb8);
	ck_assert_uint_eq(ecn_encap(0xbb, 0, 1), 0x03);
	ck_assert_uint_eq(ecn_encap(0xbb, 46, 0), 0xb8);
}
END_TEST

START_TEST(test_tos)
{
	uint8_t p[100];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .id = 77 };

	for (unsigned t = 0; t < 256; t++) {
		pkt_make(&s, p);
		ip_set_tos(p, (uint8_t)t);
		ck_assert_uint_eq(p[1], t);
		ck_assert(slow_ip4_ok(p));
	}
	s.ver = 6;
	uint32_t n = pkt_make(&s, p);
	ip_set_tos(p, 0xb9);
	ck_assert_uint_eq(load_be32(p), 0x6b912345);
	struct pkt_info in = pkt_info_of(p, n);
	ck_assert_uint_eq(in.tos, 0xb9);
}
END_TEST

/* ---- fragments ------------------------------------------------------------ */

/* Fragments p, checks each, and puts the data together again. */
static void check_frags(const uint8_t *p, uint32_t len, uint32_t mtu, unsigned want)
{
	static uint8_t back[65536];
	unsigned n = frag4_count(p, len, mtu);
	uint32_t hdr = (p[0] & 15u) * 4, at = 0;
	uint16_t field = load_be16(p + 6);

	if (want)
		ck_assert_uint_eq(n, want);
	ck_assert_uint_ge(n, 1);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *f = malloc(mtu); /* exactly the room that is promised */
		uint32_t m = frag4_make(p, len, mtu, i, f);
		ck_assert_uint_gt(m, 20);
		ck_assert_uint_le(m, mtu);
		struct pkt_info in = pkt_info_of(f, m);
		ck_assert_uint_eq(in.len, m);
		ck_assert(slow_ip4_ok(f));
		ck_assert_mem_eq(f + 12, p + 12, 8);
		ck_assert_uint_eq(load_be16(f + 4), load_be16(p + 4));
		uint16_t ff = load_be16(f + 6);
		ck_assert_uint_eq((ff & 0x1fff), (field & 0x1fff) + at / 8);
		ck_assert_uint_eq(ff & 0x2000, i + 1 < n ? 0x2000 : field & 0x2000);
		memcpy(back + at, f + in.l4_off, m - in.l4_off);
		at += m - in.l4_off;
		free(f);
	}
	ck_assert_uint_eq(at, len - hdr);
	ck_assert_mem_eq(back, p + hdr, at);
	uint8_t none[1500];
	ck_assert_uint_eq(frag4_make(p, len, mtu, n, none), 0);
}

START_TEST(test_frag)
{
	uint8_t p[4100];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .id = 4711, .data = data, .len = 2972 };
	uint32_t n = pkt_make(&s, p);

	ck_assert_uint_eq(n, 3000);
	check_frags(p, n, 3000, 1);
	check_frags(p, n, 1500, 3); /* 2980 = 1480 + 1480 + 20 */
	check_frags(p, n, 2999, 2);
	for (uint32_t mtu = 28; mtu < 3000; mtu += 13)
		check_frags(p, n, mtu, 0);
	ck_assert_uint_eq(frag4_count(p, n, 27), 0);
	/* a fragment, in the middle and at the end of its packet */
	store_be16(p + 6, 0x2000 | 100);
	ck_assert_uint_eq(frag4_count(p, n, 1500), 0); /* 2980 is not a multiple of 8 */
	check_frags(p, n - 4, 1500, 0);
	store_be16(p + 6, 100);
	check_frags(p, n, 1500, 3);
	/* beyond the end of any packet */
	store_be16(p + 6, 0x1fff);
	ck_assert_uint_eq(frag4_count(p, n, 1500), 0);
	s.ver = 6;
	n = pkt_make(&s, p);
	ck_assert_uint_eq(frag4_count(p, n, 1500), 0);
	ck_assert_uint_eq(frag4_count(p, 10, 1500), 0);
}
END_TEST

/* The same for IPv6: head bytes are repeated in every fragment. */
static void check_frags6(const uint8_t *p, uint32_t len, uint32_t mtu, uint32_t head)
{
	static uint8_t back[65536];
	unsigned n = frag6_count(p, len, mtu);
	uint32_t at = 0;

	ck_assert_uint_ge(n, 2);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *f = malloc(mtu);
		uint32_t m = frag6_make(p, len, mtu, i, 0x12345678, f);
		struct frag_place at_place;
		ck_assert_uint_le(m, mtu);
		struct pkt_info in = pkt_info_of(f, m);
		ck_assert_uint_eq(in.len, m);
		ck_assert(in.flags & (i ? PKT_FRAG_LATER : PKT_FRAG_FIRST));
		ck_assert_int_eq(frag_place(f, &in, &at_place), DROP_NONE);
		ck_assert_uint_eq(at_place.id, 0x12345678);
		ck_assert_uint_eq(at_place.off, at);
		ck_assert_int_eq(at_place.more, i + 1 < n);
		ck_assert_mem_eq(f + 8, p + 8, 32);
		ck_assert_uint_eq(m - at_place.len, head + 8);
		memcpy(back + at, f + head + 8, at_place.len);
		at += at_place.len;
		ck_assert_uint_eq(frag6_count(f, m, m - 1), 0); /* not again */
		free(f);
	}
	ck_assert_uint_eq(at, len - head);
	ck_assert_mem_eq(back, p + head, at);
	uint8_t none[1500];
	ck_assert_uint_eq(frag6_make(p, len, mtu, n, 1, none), 0);
}

START_TEST(test_frag6)
{
	uint8_t p[4100], with[4100];
	struct pkt_spec s = { .ver = 6, .proto = IPPROTO_UDP, .data = data, .len = 2952 };
	uint32_t n = pkt_make(&s, p);

	ck_assert_uint_eq(n, 3000);
	ck_assert_uint_eq(frag6_count(p, n, 3000), 1);
	ck_assert_uint_eq(frag6_make(p, n, 3000, 0, 1, with), 3000);
	ck_assert_mem_eq(p, with, n);
	ck_assert_uint_eq(frag6_count(p, n, 1500), 3); /* 2960 = 1448 + 1448 + 64 */
	for (uint32_t mtu = 56; mtu < 3000; mtu += 13)
		check_frags6(p, n, mtu, 40);
	ck_assert_uint_eq(frag6_count(p, n, 55), 0);
	/* hop-by-hop options are for every node, destination options behind them are not */
	memcpy(with, p, 40);
	memset(with + 40, 0, 16);
	memcpy(with + 56, p + 40, n - 40);
	with[6] = 0;
	with[40] = 60;
	with[48] = IPPROTO_UDP;
	store_be16(with + 4, (uint16_t)(n - 40 + 16));
	with[42] = with[50] = 1; /* PadN */
	with[43] = with[51] = 4;
	check_frags6(with, n + 16, 1280, 48);
	/* a header that runs past the end */
	with[49] = 255;
	ck_assert_uint_eq(frag6_count(with, 100, 90), 0);
	ck_assert_uint_eq(frag6_count(p, 39, 1500), 0);
}
END_TEST

START_TEST(test_frag_options)
{
	/* record route (first only), router alert (copied), end */
	static const uint8_t opt[12] = { 7, 4, 4, 0, 1, 148, 4, 0, 0, 0, 0, 0 };
	uint8_t p[4000], f[600];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 1500 };

	uint32_t n = pkt_make(&s, p);
	memmove(p + 32, p + 20, n - 20);
	memcpy(p + 20, opt, 12);
	n += 12;
	p[0] = 0x48;
	store_be16(p + 2, (uint16_t)n);
	csum_ip4_set(p);
	check_frags(p, n, 576, 3);
	ck_assert_uint_eq(frag4_make(p, n, 576, 0, f), 32 + 544);
	ck_assert_mem_eq(f + 20, opt, 12);
	ck_assert_uint_eq(frag4_make(p, n, 576, 1, f), 24 + 552);
	ck_assert_uint_eq(f[0], 0x46);
	ck_assert_mem_eq(f + 20, opt + 5, 4);
	/* an option that runs out of the header ends the list */
	p[20] = 0x83;
	p[21] = 200;
	check_frags(p, n, 576, 3);
	p[21] = 0;
	check_frags(p, n, 576, 3);
	memset(p + 20, 0x82, 12);
	p[31] = 0x83;
	check_frags(p, n, 576, 0);
}
END_TEST

/* ---- bad input ------------------------------------------------------------ */

START_TEST(test_truncated)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 135 };
	static const uint8_t opt[12] = { 1, 2, 4, 5, 0xb4, 1, 1, 1, 4, 2, 0, 0 };
	struct virtio_net_hdr vnet = { .flags = 1, .gso_type = 1, .gso_size = 10, .csum_start = 20, .csum_offset = 16 };
	uint8_t p[300];

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < ARRAY_LEN(protos); i++) {
			struct pkt_spec s = { .ver = ver, .proto = protos[i], .flags = TCP_SYN, .opt = opt,
					      .opt_len = protos[i] == IPPROTO_TCP ? 12 : 0,
					      .data = data, .len = 30 };
			uint32_t n = pkt_make(&s, p);
			for (uint32_t cut = 0; cut <= n; cut++) {
				/* as cut off on the way, and as if it had been sent so short */
				pkt_feed(&vnet, p, cut);
				uint8_t q[300];
				memcpy(q, p, cut);
				if (ver == 4 && cut >= 20)
					store_be16(q + 2, (uint16_t)cut);
				else if (ver == 6 && cut >= 40)
					store_be16(q + 4, (uint16_t)(cut - 40));
				pkt_feed(&vnet, q, cut);
			}
		}
}
END_TEST

START_TEST(test_truncated_chain)
{
	static const uint8_t chain[] = { 60, 0, 1, 4, 0, 0, 0, 0, 44, 1, 1, 12, 0, 0, 0, 0,
					 0,  0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1,	0, 0, 0, 1 };
	struct virtio_net_hdr vnet = { .flags = 1, .csum_start = 72, .csum_offset = 6 };
	uint8_t p[3200];
	uint32_t n = make6(chain, sizeof(chain), 0, p);
	struct pkt_info in;

	for (uint32_t cut = 40; cut <= n; cut++) {
		store_be16(p + 4, (uint16_t)(cut - 40));
		pkt_feed(&vnet, p, cut);
		enum drop d = pkt_parse(p, cut, &in);
		ck_assert_int_eq(d, cut < 40 + sizeof(chain) ? DROP_BAD_HEADER : DROP_NONE);
	}
}
END_TEST

START_TEST(test_random)
{
	uint8_t p[400];

	for (unsigned i = 0; i < 20000; i++) {
		struct pkt_spec s = { .ver = i % 2 ? 4 : 6, .proto = i % 3 ? IPPROTO_TCP : IPPROTO_UDP,
				      .flags = (uint8_t)rand(), .data = data, .len = (unsigned)rand() % 200 };
		struct virtio_net_hdr v = { .flags = 1, .gso_type = (uint8_t)(rand() % 6),
					    .gso_size = (uint16_t)(rand() % 100),
					    .csum_start = i % 2 ? 20 : 40, .csum_offset = i % 3 ? 16 : 6 };
		uint32_t n = pkt_make(&s, p);
		for (int k = rand() % 4; k > 0; k--)
			p[(unsigned)rand() % (k == 1 ? n : 60)] = (uint8_t)rand();
		pkt_feed(&v, p, n);
	}
}
END_TEST

static unsigned fed;

static void feed_record(const char *file, const struct pcap_record *r, void *arg)
{
	static const struct virtio_net_hdr v[] = {
		{ .flags = 1, .csum_start = 20, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 1, .gso_size = 7, .csum_start = 20, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 5, .gso_size = 7, .csum_start = 20, .csum_offset = 6 },
		{ .flags = 1, .gso_type = 4, .gso_size = 7, .csum_start = 40, .csum_offset = 16 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		pkt_feed(&v[i], r->frame, r->frame_len);
		if (!r->ip)
			continue;
		for (size_t cut = 0; cut <= r->ip_len; cut++)
			pkt_feed(&v[i], r->ip, cut);
	}
	fed += r->ip != NULL;
}

START_TEST(test_captures)
{
	static const char *const folders[] = { "malformed", "esp-captures", "ike-captures" };
	char dir[4096];

	for (unsigned i = 0; i < ARRAY_LEN(folders); i++) {
		if (!vectors_dir(folders[i], dir, sizeof(dir)))
			continue;
		fed = 0;
		unsigned n = pcap_each(dir, feed_record, NULL);
		printf("%s: %u packets, %u of them IP\n", folders[i], n, fed);
		ck_assert_uint_ge(fed, 10);
	}
}
END_TEST

START_TEST(test_pcap_formats)
{
	/* a big-endian pcap and a pcapng with a simple and an enhanced block, and the second cut off everywhere */
	static const uint8_t be[] = { 0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0,
				      0,    0,	  0,	0,    1, 0, 0, 0, 0, 101, 0, 0, 0, 0,
				      0,    0,	  0,	0,    0, 0, 0, 3, 0, 0, 0, 3, 'a', 'b', 'c' };
	static const uint8_t ng[] = { 0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
				      255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0,
				      1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 20, 0, 0, 0,
				      3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 'x', 'y', 0, 0, 20, 0, 0, 0,
				      6, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				      5, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 'z', 0, 0, 0, 40, 0, 0, 0 };
	struct pcap p = { .file = malloc(sizeof(be)), .len = sizeof(be), .at = 24, .swapped = true, .link = 101 };
	struct pcap_record r;

	memcpy(p.file, be, sizeof(be));
	ck_assert(pcap_next(&p, &r));
	ck_assert_uint_eq(r.ip_len, 3);
	ck_assert_mem_eq(r.ip, "abc", 3);
	ck_assert(!pcap_next(&p, &r));
	pcap_close(&p);
	for (size_t cut = 0; cut <= sizeof(ng); cut++) {
		unsigned n = 0;
		p = (struct pcap) { .file = malloc(cut ? cut : 1), .len = cut, .ng = true };
		memcpy(p.file, ng, cut);
		while (pcap_next(&p, &r))
			n++;
		ck_assert_uint_eq(n, cut == sizeof(ng) ? 2 : cut >= 68 ? 1 : 0);
		if (n == 1)
			ck_assert_mem_eq(r.frame, "xy", 2);
		if (n == 2) {
			ck_assert_uint_eq(r.ip_len, 1);
			ck_assert_uint_eq(r.ip[0], 'z');
		}
		pcap_close(&p);
	}
}
END_TEST

static Suite *packet_suite(void)
{
	Suite *s = suite_create("packet");
	TCase *t = tcase_create("parse");

	tcase_add_checked_fixture(t, fill_data, NULL);
	tcase_add_test(t, test_parse_plain);
	tcase_add_test(t, test_parse_flags);
	tcase_add_test(t, test_parse_icmp_mh_other);
	tcase_add_test(t, test_parse_ext);
	tcase_add_test(t, test_parse_options4);
	tcase_add_test(t, test_parse_bad);
	tcase_add_test(t, test_hash);
	suite_add_tcase(s, t);
	t = tcase_create("csum");
	tcase_add_checked_fixture(t, fill_data, NULL);
	tcase_add_test(t, test_csum_lengths);
	tcase_add_test(t, test_csum_packets);
	tcase_add_test(t, test_csum_udp);
	tcase_add_test(t, test_csum_update);
	tcase_add_test(t, test_ecn_table);
	tcase_add_test(t, test_tos);
	tcase_add_test(t, test_frag);
	tcase_add_test(t, test_frag6);
	tcase_add_test(t, test_frag_options);
	suite_add_tcase(s, t);
	t = tcase_create("bad input");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, fill_data, NULL);
	tcase_add_test(t, test_truncated);
	tcase_add_test(t, test_truncated_chain);
	tcase_add_test(t, test_random);
	tcase_add_test(t, test_captures);
	tcase_add_test(t, test_pcap_formats);
	suite_add_tcase(s, t);
	suite_add_tcase(s, tcase_packet_frame());
	suite_add_tcase(s, tcase_packet_reasm());
	suite_add_tcase(s, tcase_packet_cipso());
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(packet_suite());

	srunner_add_suite(r, packet_gso_suite());
	srunner_add_suite(r, packet_reply_suite());
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
