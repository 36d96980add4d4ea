/* The CIPSO option (FIPS 188): every tag, and every way of being malformed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/cipso.h"
#include "pkt.h"

static uint8_t ip[128];
static struct pkt_info info;

/* A UDP packet with these options, as hex; ends the options where they end. */
static void packet(const char *hex)
{
	uint8_t plain[64], opt[40] = { 0 };
	struct pkt_spec s = { .ver = 4, .proto = 17, .sport = 1, .dport = 2 };
	uint32_t n = pkt_make(&s, plain);
	size_t len = 0;

	for (; hex[2 * len]; len++) {
		unsigned b;
		ck_assert_int_eq(sscanf(hex + 2 * len, "%2x", &b), 1);
		ck_assert_uint_lt(len, sizeof(opt));
		opt[len] = (uint8_t)b;
	}
	size_t padded = (len + 3) / 4 * 4;
	memcpy(ip, plain, 20);
	memcpy(ip + 20, opt, padded);
	memcpy(ip + 20 + padded, plain + 20, n - 20);
	ip[0] = (uint8_t)(0x40 | (5 + padded / 4));
	ip[3] = (uint8_t)(n + padded);
	info = pkt_info_of(ip, n + padded);
}

/* "doi/level:1,3-5" */
static void is(const char *hex, const char *want)
{
	char text[1024];
	struct label l;
	bool found;

	packet(hex);
	ck_assert_msg(cipso_read(ip, &info, &l, &found) == DROP_NONE, "%s is refused", hex);
	if (!want) {
		ck_assert_msg(!found, "%s: a label", hex);
		return;
	}
	ck_assert_msg(found, "%s: no label", hex);
	int n = snprintf(text, sizeof(text), "%u/%u:", l.doi, l.level);
	for (unsigned i = 0; i < l.n; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, l.run[i].first == l.run[i].last ? "%s%u" : "%s%u-%u",
			      i ? "," : "", l.run[i].first, l.run[i].last);
	ck_assert_str_eq(text, want);
}

START_TEST(test_good)
{
	char hex[100] = "86280000000101220007", want[1024] = "1/7:0";

	is("", NULL);
	is("01010100", NULL);
	is("8304aabb", NULL); /* a route */
	/* bit map: none, some, up to the last bit */
	is("860a0000000101040003", "1/3:");
	is("860c00000003010600074482", "3/7:1,5,8,14");
	is("860bffffffff010500ffff", "4294967295/255:0-7");
	for (unsigned i = 0; i < 30; i++)
		strcat(hex, i == 29 ? "01" : "aa");
	for (unsigned i = 2; i < 232; i += 2)
		snprintf(want + strlen(want), sizeof(want) - strlen(want), ",%u", i);
	strcat(want, ",239");
	is(hex, want);
	/* enumerated: none, some, up to the last category */
	is("860a0000000102040000", "1/0:");
	is("8610000000010" "20a000100000001fffe", "1/1:0-1,65534");
	/* ranges, from the top down; the last without its lowest */
	is("860a0000000105040002", "1/2:");
	is("8612000000010" "50c0002fffefff0000900" "05", "1/2:5-9,65520-65534");
	is("8610000000010" "50a0002006400320009", "1/2:0-9,50-100");
	is("860e000000010508000200070007", "1/2:7");
	/* ranges that touch are one */
	is("8612000000010" "50c000200090005000400" "01", "1/2:1-9");
	/* among others, and before the end of the options, whatever is behind it */
	is("01" "860a0000000101040003" "8304aabb" "00" "86", "1/3:");
}
END_TEST

START_TEST(test_malformed)
{
	static const char *const bad[] = {
		"86",                                   /* no length */
		"8600", "8601",                         /* shorter than itself */
		"8302" "ff",                            /* another option that is cut off */
		"8300", "8301",
		"8606" "00000001" "0000",               /* no tag */
		"8603" "00", "860500000000" "0000",     /* shorter than its DOI */
		"862000000001" "01040003",              /* longer than the options */
		"860a00000000" "01040003",              /* DOI 0 is reserved */
		"860700000001" "01",                    /* half a tag */
		"860800000001" "0100", "860800000001" "0101", /* tags shorter than themselves */
		"860800000001" "0102",                  /* no level */
		"860900000001" "010300",
		"860a00000001" "01050003",              /* longer than the option */
		"860a00000001" "010401" "03",           /* alignment octet */
		"860a00000001" "020401" "03", "860a00000001" "050401" "03",
		"860b00000001" "0205000301",            /* half a category */
		"860e00000001" "0208000300050005",      /* twice */
		"860e00000001" "0208000300050004",      /* falling */
		"860c00000001" "02060003ffff",          /* no such category */
		"860b00000001" "0505000301",            /* half a bound */
		"860d00000001" "05070003000700",
		"860e00000001" "0508000300050007",      /* the wrong way round */
		"861200000001" "050c0003" "00050003" "00090007", /* rising */
		"861200000001" "050c0003" "00090005" "00070003", /* overlapping */
		"861200000001" "050c0003" "00090005" "00050003",
		"860e00000001" "05080003" "ffff0003",
		"860a00000001" "00040003",              /* tags of other kinds */
		"860a00000001" "03040003", "860a00000001" "04040003", "860a00000001" "07040003", "860a00000001" "80040003",
		"861000000001" "01040003" "0208000300010002", /* longer than the option */
		"860e00000001" "01040003" "01040003",   /* two */
		"860e00000001" "01040003" "07040003",
		"860a00000001" "01040003" "860a00000001" "01040003", /* two options */
	};
	struct label l;
	bool found;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		packet(bad[i]);
		ck_assert_msg(cipso_read(ip, &info, &l, &found) == DROP_LABEL_FORMAT, "%u: %s is taken", i, bad[i]);
	}
}
END_TEST

/* Every length of every tag, filled with anything: no read goes past the end (with sanitizers). */
START_TEST(test_any)
{
	uint8_t opt[40];
	struct label l;
	bool found;

	srand(7);
	for (unsigned n = 0; n < 200000; n++) {
		unsigned len = 4 * (unsigned)(1 + rand() % 10);
		for (unsigned i = 0; i < len; i++)
			opt[i] = (uint8_t)rand();
		memcpy(opt, "\x86", 1);
		opt[1] = (uint8_t)(rand() % 44);
		memcpy(opt + 2, "\0\0", len >= 4 ? 2 : 0);
		if (len >= 12) {
			opt[6] = (uint8_t)(rand() % 6);
			opt[7] = (uint8_t)(rand() % 40);
			opt[8] = 0;
		}
		uint8_t *exact = malloc(20 + len);
		memset(exact, 0, 20);
		exact[0] = (uint8_t)(0x45 + len / 4);
		exact[3] = (uint8_t)(20 + len);
		exact[9] = 59;
		memcpy(exact + 20, opt, len);
		struct pkt_info in = pkt_info_of(exact, 20 + len);
		(void)!cipso_read(exact, &in, &l, &found);
		free(exact);
	}
}
END_TEST

/* IPv6 has no such option; whatever lies there. */
START_TEST(test_none_in_ipv6)
{
	struct pkt_spec s = { .ver = 6, .proto = 17, .sport = 1, .dport = 2 };
	struct label l;
	bool found = true;
	uint32_t n = pkt_make(&s, ip);

	info = pkt_info_of(ip, n);
	info.flags |= PKT_OPTIONS;
	ck_assert_int_eq(cipso_read(ip, &info, &l, &found), DROP_NONE);
	ck_assert(!found);
}
END_TEST

TCase *tcase_packet_cipso(void)
{
	TCase *t = tcase_create("cipso");

	tcase_add_test(t, test_good);
	tcase_add_test(t, test_malformed);
	tcase_add_test(t, test_any);
	tcase_add_test(t, test_none_in_ipv6);
	return t;
}
