/* Parsing, flow hashes, checksums, congestion marks. Also the runner of this program. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet/csum.h"
#include "packet/ecn.h"
#include "pkt.h"

/* ---- parse ---------------------------------------------------------------- */

START_TEST(test_parse_plain)
{
	uint8_t p[200];
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < ARRAY_LEN(protos); i++) {
			struct pkt_spec s = { .ver = ver, .proto = protos[i], .tos = 0xb9, .flags = TCP_ACK,
					      .frag = 0x4000, .sport = 1234, .dport = 53,
					      .data = pkt_data, .len = 20 };
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
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_UDP, .frag = 0x2000, .data = pkt_data,
				.len = 16 };
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
		s = (struct pkt_spec) { .ver = 6, .proto = none[i], .data = pkt_data, .len = 40 };
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

START_TEST(test_parse_ext)
{
	/* hop-by-hop, destination options (16 bytes), routing, fragment, then UDP */
	uint8_t chain[] = { 60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0,
			    0,	0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1 };
	uint8_t p[3200];
	struct pkt_info in;
	uint32_t n = pkt_make6(chain, sizeof(chain), 0, p);

	in = pkt_info_of(p, n);
	ck_assert_uint_eq(in.key.proto, 17);
	ck_assert_uint_eq(in.l4_off, 40 + sizeof(chain));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS);
	ck_assert_uint_eq(in.key.dport, 2000);
	chain[35] = 1; /* more fragments */
	in = pkt_info_of(p, pkt_make6(chain, sizeof(chain), 0, p));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS | PKT_FRAG_FIRST);
	ck_assert_uint_eq(in.key.dport, 2000);
	chain[35] = 8; /* offset 1 */
	in = pkt_info_of(p, pkt_make6(chain, sizeof(chain), 0, p));
	ck_assert_uint_eq(in.flags, PKT_DF | PKT_OPTIONS | PKT_FRAG_LATER);
	ck_assert_uint_eq(in.key.flags, FLOW_OPAQUE);
	ck_assert_uint_eq(in.key.proto, 17);

	/* hop-by-hop that is not first; fragment twice; options longer than the packet */
	static const uint8_t bad_hbh[] = { 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0 };
	ck_assert_int_eq(pkt_parse(p, pkt_make6(bad_hbh, 16, 60, p), &in), DROP_BAD_HEADER);
	static const uint8_t two[] = { 44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1 };
	ck_assert_int_eq(pkt_parse(p, pkt_make6(two, 16, 44, p), &in), DROP_BAD_HEADER);
	static const uint8_t far[] = { 17, 200, 1, 4, 0, 0, 0, 0 };
	ck_assert_int_eq(pkt_parse(p, pkt_make6(far, 8, 60, p), &in), DROP_BAD_HEADER);

	/* 16 headers are read, 17 are too many */
	uint8_t many[17 * 8] = { 0 };
	for (unsigned i = 0; i < 17; i++)
		many[i * 8] = 60;
	many[15 * 8] = 17;
	ck_assert_int_eq(pkt_parse(p, pkt_make6(many, 16 * 8, 60, p), &in), DROP_NONE);
	many[15 * 8] = 60;
	many[16 * 8] = 17;
	ck_assert_int_eq(pkt_parse(p, pkt_make6(many, 17 * 8, 60, p), &in), DROP_BAD_HEADER);
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
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = pkt_data, .len = 10 };
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

static TCase *parse_case(void)
{
	TCase *t = tcase_create("parse");

	tcase_add_checked_fixture(t, pkt_data_fill, NULL);
	tcase_add_test(t, test_parse_plain);
	tcase_add_test(t, test_parse_flags);
	tcase_add_test(t, test_parse_icmp_mh_other);
	tcase_add_test(t, test_parse_ext);
	tcase_add_test(t, test_parse_options4);
	tcase_add_test(t, test_parse_bad);
	tcase_add_test(t, test_hash);
	return t;
}

/* ---- checksums ------------------------------------------------------------ */

START_TEST(test_csum_lengths)
{
	static uint8_t dst[2200];

	for (unsigned len = 0; len < 2000; len += len < 300 ? 1 : 37)
		for (unsigned off = 0; off < 4; off++) {
			uint16_t want = __builtin_bswap16(slow_sum(0, pkt_data + off, len));
			ck_assert_uint_eq(csum_fold(csum_add(0, pkt_data + off, len)), want);
			memset(dst, 0xee, sizeof(dst));
			ck_assert_uint_eq(csum_fold(csum_copy(0, dst + 1, pkt_data + off, len)), want);
			ck_assert_mem_eq(dst + 1, pkt_data + off, len);
			ck_assert_uint_eq(dst[0], 0xee);
			ck_assert_uint_eq(dst[len + 1], 0xee);
		}
	static uint8_t ones[65536];
	memset(ones, 0xff, sizeof(ones));
	ck_assert_uint_eq(csum_fold(csum_add(UINT32_MAX, ones, sizeof(ones))), 0xffff);
	/* a sum of parts is the sum of the whole */
	uint64_t parts = csum_add(csum_add(csum_add(0, pkt_data, 20), pkt_data + 20, 734),
				  pkt_data + 754, 77);
	ck_assert_uint_eq(csum_fold(parts), csum_fold(csum_add(0, pkt_data, 831)));
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
				struct pkt_spec s = { .ver = ver, .proto = protos[i], .data = pkt_data, .len = len };
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
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = pkt_data, .len = 2 };
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
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_UDP, .data = pkt_data, .len = 9 };
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

static TCase *csum_case(void)
{
	TCase *t = tcase_create("csum");

	tcase_add_checked_fixture(t, pkt_data_fill, NULL);
	tcase_add_test(t, test_csum_lengths);
	tcase_add_test(t, test_csum_packets);
	tcase_add_test(t, test_csum_udp);
	tcase_add_test(t, test_csum_update);
	tcase_add_test(t, test_ecn_table);
	tcase_add_test(t, test_tos);
	return t;
}

static Suite *packet_suite(void)
{
	Suite *s = suite_create("packet");

	suite_add_tcase(s, parse_case());
	suite_add_tcase(s, csum_case());
	suite_add_tcase(s, tcase_packet_frag());
	suite_add_tcase(s, tcase_packet_bad());
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
