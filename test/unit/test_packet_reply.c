/* ICMP errors, TCP resets, the MSS clamp. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet/icmp.h"
#include "pkt.h"

static uint8_t data[2000], p[2100], out[ICMP_ERROR_MAX];

static bool may_answer(uint32_t n)
{
	struct pkt_info in = pkt_info_of(p, n);
	return icmp_may_answer(p, &in);
}

START_TEST(test_may_answer4)
{
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 40 };
	uint32_t n = pkt_make(&s, p);

	ck_assert(may_answer(n));
	static const uint8_t no_src[] = { 0, 127, 224, 239, 240, 255 };
	for (unsigned i = 0; i < ARRAY_LEN(no_src); i++) {
		n = pkt_make(&s, p);
		p[12] = no_src[i];
		ck_assert(!may_answer(n));
	}
	static const uint8_t no_dst[] = { 224, 239, 255 };
	for (unsigned i = 0; i < ARRAY_LEN(no_dst); i++) {
		n = pkt_make(&s, p);
		p[16] = no_dst[i];
		ck_assert(!may_answer(n));
	}
	s.frag = 0x2000;
	ck_assert(may_answer(pkt_make(&s, p)));
	s.frag = 0x0010;
	ck_assert(!may_answer(pkt_make(&s, p)));
	for (unsigned type = 0; type < 256; type++) {
		bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
		s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_ICMP, .dport = (uint16_t)(type << 8) };
		ck_assert(may_answer(pkt_make(&s, p)) == !error);
	}
	n = pkt_make(&s, p);
	store_be16(p + 2, 22); /* what ICMP it is cannot be seen */
	ck_assert(!may_answer(n));
}
END_TEST

START_TEST(test_may_answer6)
{
	struct pkt_spec s = { .ver = 6, .proto = IPPROTO_UDP, .data = data, .len = 40 };
	uint32_t n = pkt_make(&s, p);

	ck_assert(may_answer(n));
	memset(p + 8, 0, 16);
	ck_assert(!may_answer(n));
	p[23] = 1;
	ck_assert(!may_answer(n));
	p[23] = 2;
	ck_assert(may_answer(n));
	p[8] = 0xff;
	ck_assert(!may_answer(n));
	n = pkt_make(&s, p);
	p[24] = 0xff;
	ck_assert(!may_answer(n));
	for (unsigned type = 0; type < 256; type++) {
		s = (struct pkt_spec) { .ver = 6, .proto = IPPROTO_ICMPV6, .dport = (uint16_t)(type << 8) };
		ck_assert(may_answer(pkt_make(&s, p)) == (type >= 128 && type != 137));
	}
}
END_TEST

START_TEST(test_error4)
{
	struct ip_addr from;
	static const uint8_t want[][2] = { { 3, 4 }, { 3, 13 }, { 11, 0 } };

	ck_assert_int_eq(ip_addr_parse("192.0.2.7", &from), 0);
	for (unsigned len = 0; len < 1500; len += 61)
		for (unsigned k = 0; k < 3; k++) {
			struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .tos = 3, .data = data, .len = len };
			uint32_t n = pkt_make(&s, p);
			struct pkt_info in = pkt_info_of(p, n), oi;
			uint32_t m = icmp_error((enum icmp_kind)k, p, &in, 1234, &from, out);
			ck_assert_uint_eq(m, 28 + n < 576 ? 28 + n : 576);
			oi = pkt_info_of(out, m);
			ck_assert_uint_eq(oi.len, m);
			ck_assert_uint_eq(oi.key.proto, IPPROTO_ICMP);
			ck_assert(slow_ip4_ok(out));
			ck_assert(slow_l4_ok(out, 20, m, IPPROTO_ICMP));
			ck_assert_mem_eq(out + 20, want[k], 2);
			ck_assert_uint_eq(load_be16(out + 24), 0);
			ck_assert_uint_eq(load_be16(out + 26), k == 0 ? 1234 : 0);
			ck_assert_mem_eq(out + 12, from.b, 4);
			ck_assert_mem_eq(out + 16, p + 12, 4);
			ck_assert_mem_eq(out + 28, p, m - 28);
			ck_assert(!icmp_may_answer(out, &oi)); /* no errors about errors */
		}
}
END_TEST

START_TEST(test_error6)
{
	struct ip_addr from;
	static const uint8_t want[][2] = { { 2, 0 }, { 1, 1 }, { 3, 0 } };

	ck_assert_int_eq(ip_addr_parse("2001:db8::7", &from), 0);
	for (unsigned len = 0; len < 1500; len += 61)
		for (unsigned k = 0; k < 3; k++) {
			struct pkt_spec s = { .ver = 6, .proto = IPPROTO_UDP, .data = data, .len = len };
			uint32_t n = pkt_make(&s, p);
			struct pkt_info in = pkt_info_of(p, n), oi;
			uint32_t m = icmp_error((enum icmp_kind)k, p, &in, 1300, &from, out);
			ck_assert_uint_eq(m, 48 + n < 1280 ? 48 + n : 1280);
			oi = pkt_info_of(out, m);
			ck_assert_uint_eq(oi.len, m);
			ck_assert(slow_l4_ok(out, 40, m, IPPROTO_ICMPV6));
			ck_assert_mem_eq(out + 40, want[k], 2);
			ck_assert_uint_eq(load_be32(out + 44), k == 0 ? 1300 : 0);
			ck_assert_mem_eq(out + 8, from.b, 16);
			ck_assert_mem_eq(out + 24, p + 8, 16);
			ck_assert_mem_eq(out + 48, p, m - 48);
			ck_assert(!icmp_may_answer(out, &oi));
		}
}
END_TEST

START_TEST(test_reset)
{
	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned f = 0; f < 256; f++) {
			struct pkt_spec s = { .ver = ver, .proto = IPPROTO_TCP, .seq = 0xfffffff0, .ack = 0x1234,
					      .flags = (uint8_t)f, .sport = 1000, .dport = 2000,
					      .data = data, .len = 33 };
			uint32_t n = pkt_make(&s, p), off = ver == 4 ? 20 : 40;
			struct pkt_info in = pkt_info_of(p, n), oi;
			uint32_t m = tcp_reset(p, &in, out);
			if (f & TCP_RST) {
				ck_assert_uint_eq(m, 0);
				continue;
			}
			ck_assert_uint_eq(m, off + 20);
			oi = pkt_info_of(out, m);
			struct flow_key back;
			flow_key_reverse(&in.key, &back);
			ck_assert(flow_key_eq(&back, &oi.key));
			ck_assert(ver == 6 || slow_ip4_ok(out));
			ck_assert(slow_l4_ok(out, off, m, IPPROTO_TCP));
			uint32_t seg_len = 33 + (f & TCP_SYN ? 1 : 0) + (f & TCP_FIN ? 1 : 0);
			if (f & TCP_ACK) {
				ck_assert_uint_eq(load_be32(out + off + 4), 0x1234);
				ck_assert_uint_eq(load_be32(out + off + 8), 0);
				ck_assert_uint_eq(out[off + 13], TCP_RST);
			} else {
				ck_assert_uint_eq(load_be32(out + off + 4), 0);
				ck_assert_uint_eq(load_be32(out + off + 8), 0xfffffff0 + seg_len);
				ck_assert_uint_eq(out[off + 13], TCP_RST | TCP_ACK);
			}
		}
}
END_TEST

START_TEST(test_reset_none)
{
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 33 };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));

	ck_assert_uint_eq(tcp_reset(p, &in, out), 0);
	s = (struct pkt_spec) { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_SYN, .frag = 0x2000, .data = data, .len = 8 };
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(tcp_reset(p, &in, out), 0);
	s.flags = TCP_ACK;
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(tcp_reset(p, &in, out), 40);
	s.frag = 3;
	in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert_uint_eq(tcp_reset(p, &in, out), 0);
	s.frag = 0;
	in = pkt_info_of(p, pkt_make(&s, p));
	p[32] = 0x40;
	ck_assert_uint_eq(tcp_reset(p, &in, out), 0);
	p[32] = 0xf0;
	ck_assert_uint_eq(tcp_reset(p, &in, out), 0);
}
END_TEST

/* A SYN with these options, clamped. */
static bool clamp(int ver, const uint8_t *opt, unsigned n, uint16_t mss, bool partial)
{
	struct pkt_spec s = { .ver = ver, .proto = IPPROTO_TCP, .flags = TCP_SYN, .opt = opt, .opt_len = n };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));

	return tcp_clamp_mss(p, &in, mss, partial);
}

START_TEST(test_clamp)
{
	static const uint8_t first[8] = { 2, 4, 0x05, 0xb4, 1, 1, 4, 2 };
	static const uint8_t odd[8] = { 1, 2, 4, 0x05, 0xb4, 1, 1, 0 };
	static const uint8_t none[8] = { 1, 1, 1, 3, 3, 7, 0, 0 };

	for (int ver = 4; ver <= 6; ver += 2) {
		uint32_t off = ver == 4 ? 20 : 40;
		for (unsigned mss = 88; mss < 1460; mss += 11) {
			ck_assert(clamp(ver, first, 8, (uint16_t)mss, false));
			ck_assert_uint_eq(load_be16(p + off + 22), mss);
			ck_assert(slow_l4_ok(p, off, off + 28, IPPROTO_TCP));
			ck_assert(clamp(ver, odd, 8, (uint16_t)mss, false));
			ck_assert_uint_eq(load_be16(p + off + 23), mss);
			ck_assert(slow_l4_ok(p, off, off + 28, IPPROTO_TCP));
		}
		ck_assert(!clamp(ver, first, 8, 1460, false));
		ck_assert(!clamp(ver, first, 8, 9000, false));
		ck_assert(!clamp(ver, none, 8, 500, false));
		ck_assert(!clamp(ver, NULL, 0, 500, false));
		/* a partial checksum stays as it is */
		ck_assert(!clamp(ver, first, 8, 1460, true));
		uint16_t before = load_be16(p + off + 16);
		ck_assert(clamp(ver, first, 8, 1000, true));
		ck_assert_uint_eq(load_be16(p + off + 16), before);
		ck_assert_uint_eq(load_be16(p + off + 22), 1000);
	}
	/* not a SYN */
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .opt = first, .opt_len = 8 };
	struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));
	ck_assert(!tcp_clamp_mss(p, &in, 500, false));
}
END_TEST

START_TEST(test_clamp_malformed)
{
	static const uint8_t bad[][4] = {
		{ 2, 0, 0x05, 0xb4 },	/* length 0 */
		{ 2, 1, 0x05, 0xb4 },	/* length 1 */
		{ 2, 3, 0x05, 0xb4 },	/* not an MSS option's length */
		{ 2, 5, 0x05, 0xb4 },	/* longer than the header */
		{ 1, 1, 1, 2 },		/* the length is cut off */
		{ 1, 1, 2, 4 },		/* the value is cut off */
		{ 3, 255, 2, 4 },
		{ 0, 2, 4, 0xff },	/* behind the end of the list */
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!clamp(4, bad[i], 4, 500, false), "%u", i);
		ck_assert(slow_l4_ok(p, 20, 44, IPPROTO_TCP));
	}
	/* a header longer than the packet, and shorter than a header: from memory that ends there */
	static const uint8_t good[4] = { 2, 4, 0x05, 0xb4 };
	for (unsigned doff = 0; doff < 16; doff++) {
		clamp(4, good, 4, 1460, false);
		p[32] = (uint8_t)(doff << 4);
		uint8_t *q = malloc(44);
		memcpy(q, p, 44);
		struct pkt_info in = pkt_info_of(q, 44);
		ck_assert(tcp_clamp_mss(q, &in, 500, false) == (doff == 6));
		free(q);
	}
}
END_TEST

Suite *packet_reply_suite(void)
{
	Suite *s = suite_create("packet reply");
	TCase *t = tcase_create("icmp");

	tcase_add_test(t, test_may_answer4);
	tcase_add_test(t, test_may_answer6);
	tcase_add_test(t, test_error4);
	tcase_add_test(t, test_error6);
	suite_add_tcase(s, t);
	t = tcase_create("tcp");
	tcase_add_test(t, test_reset);
	tcase_add_test(t, test_reset_none);
	tcase_add_test(t, test_clamp);
	tcase_add_test(t, test_clamp_malformed);
	suite_add_tcase(s, t);
	return s;
}
