/* Ethernet frames: every kind that a bridge's rules know, tags, short frames. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet/frame.h"
#include "pkt.h"

static uint8_t p[2000];

/* Addresses, then what `hex` says, then n bytes of `more`; to p. Returns the length. */
static size_t make(const char *hex, const void *more, size_t n)
{
	size_t len = 12;

	for (size_t i = 0; i < 12; i++)
		p[i] = (uint8_t)(i + 2); /* neither of them a group */
	for (; *hex; hex += 2) {
		char byte[3] = { hex[0], hex[1], 0 };
		p[len++] = (uint8_t)strtoul(byte, NULL, 16);
	}
	if (n)
		memcpy(p + len, more, n);
	return len + n;
}

/* Parsed from a block of its own, so that reading on is seen. */
static enum drop parse(size_t len, uint32_t tag, struct frame *f)
{
	uint8_t *copy = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, len);
	enum drop d = frame_parse(copy, len, tag, f);
	free(copy);
	return d;
}

static size_t ip_frame(const char *type, int ver, uint8_t proto, uint16_t sport, uint16_t dport, uint16_t frag)
{
	static const uint8_t data[64];
	struct pkt_spec s = { .ver = ver, .proto = proto, .sport = sport, .dport = dport, .frag = frag, .data = data, .len = 32 };
	uint8_t ip[200];

	return make(type, ip, pkt_make(&s, ip));
}

START_TEST(test_frame_kinds)
{
	static const uint8_t body[46];
	static const struct {
		const char *head;
		uint8_t kind;
	} row[] = {
		{ "0806", FRAME_ARP },   { "8035", FRAME_OTHER }, { "88cc", FRAME_LLDP },  { "888e", FRAME_EAPOL },
		{ "88c7", FRAME_EAPOL }, { "88e5", FRAME_OTHER }, { "8864", FRAME_OTHER }, { "ffff", FRAME_OTHER },
		{ "0026424203", FRAME_OTHER }, /* not to the bridges' address */
		{ "0032aaaa030000000800", FRAME_OTHER }, /* IP in SNAP */
		{ "05dc", FRAME_OTHER }, { "0600", FRAME_OTHER },
	};
	struct frame f;

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		ck_assert_int_eq(parse(make(row[i].head, body, sizeof(body)), 0, &f), DROP_NONE);
		ck_assert_msg(f.kind == row[i].kind, "%s: %u", row[i].head, f.kind);
		ck_assert_uint_eq(f.head_len, 14);
		ck_assert_uint_eq(f.off, 14);
		ck_assert_mem_eq(f.head, p, 14);
	}
	size_t len = make("0026424203", body, sizeof(body));
	memcpy(p, "\x01\x80\xc2\0\0\0", 6);
	ck_assert_int_eq(parse(len, 0, &f), DROP_NONE);
	ck_assert_uint_eq(f.kind, FRAME_STP);
	ck_assert_int_eq(parse(16, 0, &f), DROP_NONE); /* cut off within LLC */
	ck_assert_uint_eq(f.kind, FRAME_OTHER);
}
END_TEST

START_TEST(test_frame_ip_kinds)
{
	static const struct {
		int ver;
		uint8_t proto;
		uint16_t sport, dport, frag;
		uint8_t kind;
	} row[] = {
		{ 4, IPPROTO_UDP, 68, 67, 0, FRAME_DHCP },	{ 4, IPPROTO_UDP, 67, 68, 0x4000, FRAME_DHCP },
		{ 4, IPPROTO_UDP, 67, 67, 0, FRAME_DHCP },	{ 4, IPPROTO_UDP, 68, 53, 0, FRAME_IP },
		{ 4, IPPROTO_UDP, 53, 67, 0, FRAME_IP },	{ 4, IPPROTO_TCP, 68, 67, 0, FRAME_IP },
		{ 4, IPPROTO_UDP, 68, 67, 0x2000, FRAME_IP },	{ 4, IPPROTO_UDP, 68, 67, 1, FRAME_IP },
		{ 4, IPPROTO_IGMP, 0, 0, 0, FRAME_GROUP },	{ 4, IPPROTO_ICMP, 0, 0, 0, FRAME_IP },
		{ 6, IPPROTO_UDP, 546, 547, 0, FRAME_DHCP },	{ 6, IPPROTO_UDP, 547, 546, 0, FRAME_DHCP },
		{ 6, IPPROTO_UDP, 68, 67, 0, FRAME_IP },	{ 4, IPPROTO_UDP, 546, 547, 0, FRAME_IP },
		{ 6, IPPROTO_TCP, 546, 547, 0, FRAME_IP },	{ 4, IPPROTO_ESP, 0, 0, 0, FRAME_IP },
	};
	struct frame f;

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		size_t len = ip_frame(row[i].ver == 4 ? "0800" : "86dd", row[i].ver, row[i].proto, row[i].sport, row[i].dport,
				      row[i].frag);
		ck_assert_int_eq(parse(len, 0, &f), DROP_NONE);
		ck_assert_msg(f.kind == row[i].kind, "row %u: kind %u", i, f.kind);
		ck_assert_uint_eq(f.len, len - 14);
		/* what pads a frame is not the packet's */
		ck_assert_int_eq(parse(len + 7, 0, &f), DROP_NONE);
		ck_assert_uint_eq(f.len, len - 14);
	}
}
END_TEST

START_TEST(test_frame_icmp6)
{
	struct frame f;

	for (unsigned hops = 254; hops <= 255; hops++)
		for (unsigned type = 0; type < 256; type++) {
			size_t len = ip_frame("86dd", 6, IPPROTO_ICMPV6, 0, 0, 0);
			p[14 + 7] = (uint8_t)hops;
			p[14 + 40] = (uint8_t)type;
			ck_assert_int_eq(parse(len, 0, &f), DROP_NONE);
			bool nd = type >= 133 && type <= 137 && hops == 255, mld = (type >= 130 && type <= 132) || type == 143;
			ck_assert_msg(f.kind == (nd ? FRAME_ND : mld ? FRAME_GROUP : FRAME_IP), "type %u: %u", type, f.kind);
		}
	/* behind a router alert */
	static const uint8_t alert[] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
	size_t len = ip_frame("86dd", 6, IPPROTO_HOPOPTS, 0, 0, 0);
	memcpy(p + 54, alert, sizeof(alert));
	p[62] = 143;
	ck_assert_int_eq(parse(len, 0, &f), DROP_NONE);
	ck_assert_uint_eq(f.kind, FRAME_GROUP);
	p[55] = 255; /* options longer than the packet */
	ck_assert_int_eq(parse(len, 0, &f), DROP_NONE);
	ck_assert_uint_eq(f.kind, FRAME_IP);
}
END_TEST

START_TEST(test_frame_tags)
{
	static const struct {
		const char *head;  /* in the frame */
		uint32_t tag;      /* taken out */
		const char *want;  /* header behind the addresses */
		uint8_t kind, off;
	} row[] = {
		{ "810000050806", 0, "810000050806", FRAME_ARP, 18 },
		{ "88a8000581000006" "0806", 0, "88a80005810000060806", FRAME_ARP, 22 },
		{ "0806", 0x81002005, "810020050806", FRAME_ARP, 14 },
		{ "0806", 0x81000000, "810000000806", FRAME_ARP, 14 }, /* priority only */
		{ "810000060806", 0x88a80005, "88a80005810000060806", FRAME_ARP, 18 },
		{ "8100000681000007" "0806", 0x88a80005, "88a80005810000068100", FRAME_OTHER, 18 },
		{ "810000018100000281000003" "0806", 0, "81000001810000028100", FRAME_OTHER, 22 },
	};
	static const uint8_t body[46];
	struct frame f;

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		uint8_t want[FRAME_HEAD_MAX], other[FRAME_HEAD_MAX];
		size_t want_len = make(row[i].want, NULL, 0);
		memcpy(want, p, want_len);
		ck_assert_int_eq(parse(make(row[i].head, body, sizeof(body)), row[i].tag, &f), DROP_NONE);
		ck_assert_uint_eq(f.kind, row[i].kind);
		ck_assert_uint_eq(f.off, row[i].off);
		ck_assert_uint_eq(f.head_len, want_len);
		ck_assert_mem_eq(f.head, want, want_len);
		/* the same way back */
		ck_assert_uint_eq(frame_head(&f, frame_src(&f), frame_dst(&f), other), want_len);
		ck_assert_mem_eq(other, want + 6, 6);
		ck_assert_mem_eq(other + 6, want, 6);
		ck_assert_mem_eq(other + 12, want + 12, want_len - 12);
		frame_set_ip(other, (uint32_t)want_len, 6);
		ck_assert_uint_eq(load_be16(other + want_len - 2), 0x86dd);
	}
}
END_TEST

START_TEST(test_frame_short)
{
	struct frame f;
	size_t len;

	make("0806", NULL, 0);
	for (len = 0; len < 14; len++)
		ck_assert_int_eq(parse(len, 0, &f), DROP_FRAME_SHORT);
	ck_assert_int_eq(parse(14, 0, &f), DROP_NONE);
	make("88a800058100000608", NULL, 0);
	for (len = 14; len < 22; len++)
		ck_assert_int_eq(parse(len, 0, &f), DROP_FRAME_SHORT);
	size_t full = ip_frame("0800", 4, IPPROTO_UDP, 68, 67, 0);
	for (len = 14; len < full; len++)
		ck_assert_int_eq(parse(len, 0, &f), len < 34 ? DROP_SHORT : DROP_BAD_LENGTH);
	p[14] = 0x65;
	ck_assert_int_eq(parse(full, 0, &f), DROP_NOT_IP);
	p[14] = 0x45;
	store_be16(p + 16, 19);
	ck_assert_int_eq(parse(full, 0, &f), DROP_BAD_LENGTH);
	full = ip_frame("86dd", 6, IPPROTO_UDP, 546, 547, 0);
	for (len = 14; len < full; len++)
		ck_assert_int_eq(parse(len, 0, &f), len < 54 ? DROP_SHORT : DROP_BAD_LENGTH);
	p[14] = 0x45;
	ck_assert_int_eq(parse(full, 0, &f), DROP_NOT_IP);
}
END_TEST

TCase *tcase_packet_frame(void)
{
	TCase *t = tcase_create("frame");

	tcase_add_test(t, test_frame_kinds);
	tcase_add_test(t, test_frame_ip_kinds);
	tcase_add_test(t, test_frame_icmp6);
	tcase_add_test(t, test_frame_tags);
	tcase_add_test(t, test_frame_short);
	return t;
}
