/* Fragments made of IPv4 and IPv6 packets, put together again and compared. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet/csum.h"
#include "packet/frag.h"
#include "packet/fragtab.h"
#include "pkt.h"

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
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .id = 4711, .data = pkt_data, .len = 2972 };
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
	struct pkt_spec s = { .ver = 6, .proto = IPPROTO_UDP, .data = pkt_data, .len = 2952 };
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
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = pkt_data, .len = 1500 };

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

TCase *tcase_packet_frag(void)
{
	TCase *t = tcase_create("frag");

	tcase_add_checked_fixture(t, pkt_data_fill, NULL);
	tcase_add_test(t, test_frag);
	tcase_add_test(t, test_frag6);
	tcase_add_test(t, test_frag_options);
	return t;
}
