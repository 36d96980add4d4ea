/*
 * Bad input: packets cut off anywhere, changed at random, and captures that crashed others; and the
 * reader of captures itself.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap.h"
#include "pkt.h"
#include "pkt_feed.h"

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
					      .data = pkt_data, .len = 30 };
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
	uint32_t n = pkt_make6(chain, sizeof(chain), 0, p);
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
				      .flags = (uint8_t)rand(), .data = pkt_data, .len = (unsigned)rand() % 200 };
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

TCase *tcase_packet_bad(void)
{
	TCase *t = tcase_create("bad input");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, pkt_data_fill, NULL);
	tcase_add_test(t, test_truncated);
	tcase_add_test(t, test_truncated_chain);
	tcase_add_test(t, test_random);
	tcase_add_test(t, test_captures);
	tcase_add_test(t, test_pcap_formats);
	return t;
}
