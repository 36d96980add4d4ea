/*
 * Published captures: each message parses, dumps and is written again with the same bytes; messages
 * that crashed others are refused in words; one with known keys is decrypted. The vendor IDs of our table are those of ike-scan's.
 */
#include <dirent.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/cbc.h"
#include "crypto/crypt.h"
#include "ike/names.h"
#include "ike_sample.h"
#include "pcap.h"
#include "test_ike.h"

#define IKE_PORT 500
#define NATT_PORT 4500

struct tally {
	unsigned same, other, refused;
	bool loud; /* a refusal is a failure */
};

static char dump[65536];

/* Messages that are wrong on purpose, or were never sent by anybody. */
static const struct {
	const char *file, *why;
} wrong[] = {
	{ "ikev2-id-normal.pcap", "header: the initiator's SPI is zero" },
	{ "pkt-custom-proposal.dat", "SA payload: the reserved field is not zero" },
};

static void feed(const char *file, const uint8_t *p, size_t len, struct tally *t)
{
	struct ike_bad bad;
	int rc = sample_round_trip(p, len, &bad, dump, sizeof(dump));

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		if (strcmp(file, wrong[i].file) == 0) {
			ck_assert_int_eq(rc, 0);
			ck_assert_str_eq(bad.why, wrong[i].why);
			return;
		}
	t->same += rc == 1;
	t->other += rc == 2;
	t->refused += rc == 0;
	if (t->loud)
		ck_assert_msg(rc == 1, "%s: %s", file, rc ? "other bytes" : bad.why);
	for (const char *c = dump; *c; c++)
		ck_assert_msg(*c == '\n' || (*c >= ' ' && *c < 0x7f), "%s: %s", file, dump);
}

/* The UDP payload of an unfragmented packet; NULL when there is none. Lengths are those captured. */
static const uint8_t *udp_payload(const struct pcap_record *r, size_t *len, unsigned *port)
{
	const uint8_t *p = r->ip;
	size_t n = r->ip_len, hdr;

	if (!p || n < 28)
		return NULL;
	if (p[0] >> 4 == 4) {
		hdr = (p[0] & 15u) * 4;
		if (p[9] != 17 || (load_be16(p + 6) & 0x3fff))
			return NULL;
	} else {
		hdr = 40;
		if (p[0] >> 4 != 6 || n < 48 || p[6] != 17)
			return NULL;
	}
	if (n < hdr + 8)
		return NULL;
	size_t udp = load_be16(p + hdr + 4);
	if (udp < 8)
		return NULL;
	*len = (udp < n - hdr ? udp : n - hdr) - 8;
	unsigned s = load_be16(p + hdr), d = load_be16(p + hdr + 2);
	*port = s == IKE_PORT || d == IKE_PORT ? IKE_PORT : s == NATT_PORT || d == NATT_PORT ? NATT_PORT : 0;
	return p + hdr + 8;
}

static void feed_record(const char *file, const struct pcap_record *r, void *arg)
{
	size_t len;
	unsigned port = 0;
	const uint8_t *p = udp_payload(r, &len, &port);

	if (!p || !port)
		return;
	if (port == NATT_PORT) {
		if (len < 4 || load_be32(p) != 0)
			return; /* ESP or a keepalive */
		p += 4;
		len -= 4;
	}
	feed(file, p, len, arg);
}

/* Files that hold one bare message. */
static void feed_files(const char *dir, const char *suffix, struct tally *t)
{
	static uint8_t data[65536];
	DIR *d = opendir(dir);

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		char path[4096];
		size_t l = strlen(e->d_name), s = strlen(suffix);
		if (l < s || strcmp(e->d_name + l - s, suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		FILE *f = fopen(path, "rb");
		ck_assert_ptr_nonnull(f);
		size_t n = fread(data, 1, sizeof(data), f);
		fclose(f);
		/* one of them still has its non-ESP marker */
		size_t marker = n > 4 && load_be32(data) == 0 ? 4 : 0;
		feed(e->d_name, data + marker, n - marker, t);
	}
	closedir(d);
}

START_TEST(test_captures)
{
	struct tally t = { .loud = true };
	char dir[1024];

	if (!vectors_dir("ike-captures", dir, sizeof(dir)))
		return;
	pcap_each(dir, feed_record, &t);
	feed_files(dir, ".bin", &t);
	ck_assert_uint_gt(t.same, 60);
}
END_TEST

/*
 * ikev2pI2.pcap holds the initiator's half of IKE_SA_INIT and IKE_AUTH; its secrets file has a line
 * "ikev2 I SPIi SPIr sha1:SK_ai aes128:SK_ei". The ICV is known not to verify.
 */
struct secrets {
	uint8_t spi[16], key[16];
	unsigned decrypted;
};

static bool read_secrets(const char *dir, struct secrets *s)
{
	char path[1100], line[512], spi_i[32], spi_r[32], integ[64], encr[64];
	bool found = false;

	snprintf(path, sizeof(path), "%s/ikev2pI2-secrets.txt", dir);
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "ikev2 I %31s %31s sha1:%63s aes128:%63s", spi_i, spi_r, integ,
			       encr) == 4 &&
			hex_decode(spi_i, s->spi, 8) == 8 && hex_decode(spi_r, s->spi + 8, 8) == 8 &&
			hex_decode(encr, s->key, 16) == 16;
	fclose(f);
	return found;
}

/* IV, ciphertext and ICV of 12 bytes; the pad length is the last byte of the text. */
static void decrypt_record(const char *file, const struct pcap_record *r, void *arg)
{
	static struct ike_msg m;
	struct secrets *s = arg;
	struct ike_bad bad;
	uint8_t again[2048], iv[16], first;
	size_t len;
	unsigned port;
	const uint8_t *p = udp_payload(r, &len, &port);

	if (strcmp(file, "ikev2pI2.pcap") != 0 || !p || ike_msg_parse(&m, span_of(p, len), &bad))
		return;
	const struct ike_payload *sk = ike_msg_find(&m, IKE2_SK, NULL);
	if (!sk || memcmp(m.hdr.spi_i, s->spi, 8) != 0 || memcmp(m.hdr.spi_r, s->spi + 8, 8) != 0)
		return;
	ck_assert(sk->sk.data.len > 16 + 12 && (sk->sk.data.len - 12) % 16 == 0);
	size_t n = sk->sk.data.len - 16 - 12;
	uint8_t next = sk->sk.next, *text = malloc(n);
	memcpy(iv, sk->sk.data.p, 16);
	memcpy(text, sk->sk.data.p + 16, n);
	ck_assert_int_eq(cbc_crypt(ENCR_AES_CBC, false, span_of(s->key, 16), iv, text, n), 0);
	ck_assert_uint_lt(text[n - 1], n);
	n -= text[n - 1] + 1u;
	ck_assert_msg(ike_msg_parse_inner(&m, next, span_of(text, n), &bad) == 0, "%s", bad.why);
	ck_assert(ike_msg_find(&m, IKE2_IDI, NULL) && ike_msg_find(&m, IKE2_AUTH, NULL));
	struct wr w = wr_of(again, sizeof(again));
	ck_assert_int_eq(ike_msg_write_inner(&m, &w, &first), 0);
	ck_assert_uint_eq(first, next);
	ck_assert_uint_eq(w.len, n);
	ck_assert_mem_eq(again, text, n);
	free(text);
	s->decrypted++;
}

START_TEST(test_decrypted)
{
	struct secrets s = { 0 };
	char dir[1024];

	if (!vectors_dir("ike-captures", dir, sizeof(dir)))
		return;
	ck_assert_int_eq(crypt_init(), 0);
	ck_assert(read_secrets(dir, &s));
	pcap_each(dir, decrypt_record, &s);
	ck_assert_uint_eq(s.decrypted, 1);
}
END_TEST

START_TEST(test_openswan)
{
	struct tally t = { .loud = true };
	char dir[1024];

	if (!vectors_dir("openswan", dir, sizeof(dir)))
		return;
	pcap_each(dir, feed_record, &t);
	ck_assert_uint_gt(t.same, 40);
}
END_TEST

START_TEST(test_ike_scan_packets)
{
	struct tally t = { .loud = true };
	char dir[1024];

	if (!vectors_dir("ike-scan", dir, sizeof(dir)))
		return;
	feed_files(dir, ".dat", &t);
	ck_assert_uint_eq(t.same, 12);
}
END_TEST

START_TEST(test_malformed)
{
	struct tally t = { .loud = false };
	char dir[1024];

	if (!vectors_dir("malformed", dir, sizeof(dir)))
		return;
	pcap_each(dir, feed_record, &t);
	feed_files(dir, ".dat", &t);
	ck_assert_uint_ge(t.refused, 8);
}
END_TEST

/* Names of ours that ike-scan's table does not have; their IDs are the text itself. */
static bool is_text(const struct ike_vendor *v)
{
	return strncmp(v->name, "Cisco d", 7) == 0 || strcmp(v->name, "Cisco FlexVPN") == 0 ||
	       strcmp(v->name, "OpenIKED") == 0;
}

START_TEST(test_vendor_ids)
{
	char path[1100], dir[1024], line[512];
	const struct ike_vendor *v;
	unsigned found[100] = { 0 }, ours = 0;

	if (!vectors_dir("ike-scan", dir, sizeof(dir)))
		return;
	snprintf(path, sizeof(path), "%s/ike-vendor-ids", dir);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		char *tab = strrchr(line, '\t');
		regex_t re;
		if (line[0] == '#' || !tab)
			continue;
		tab[strcspn(tab, "\n")] = '\0';
		ck_assert_int_eq(regcomp(&re, tab + 1, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
		for (unsigned i = 0; (v = ike_vendor_nth(i)); i++) {
			char id[128];
			/* what may follow a prefix is a version, here of zeros or as in the pattern */
			snprintf(id, sizeof(id), "%s%s", v->hex,
				 v->prefix ? "0000000000000000000000000000000000000000" : "");
			const char *plain = tab[1] == '^' ? tab + 2 : tab + 1;
			bool starts = v->prefix && strncasecmp(plain, v->hex, strlen(v->hex)) == 0;
			found[i] += starts || regexec(&re, id, 0, NULL, 0) == 0;
		}
		regfree(&re);
	}
	fclose(f);
	for (; (v = ike_vendor_nth(ours)); ours++)
		ck_assert_msg((found[ours] > 0) != is_text(v), "%s", v->name);
	ck_assert_uint_gt(ours, 30);
}
END_TEST

START_TEST(test_vendor_found)
{
	static const struct {
		const char *hex, *name;
		enum ike_vendor_id id;
	} ids[] = {
		{ "4a131c81070358455c5728f20e95452f", "RFC 3947 NAT traversal", IKE_VENDOR_NATT_RFC3947 },
		{ "90cb80913ebb696e086381b5ec427b1f", "draft-ietf-ipsec-nat-t-ike-02\\n", IKE_VENDOR_NATT_02N },
		{ "afcad71368a1f1c96b8696fc77570100", "RFC 3706 dead peer detection", IKE_VENDOR_DPD },
		{ "afcad71368a1f1c96b8696fc77570200", "dead peer detection, other version", IKE_VENDOR_OTHER },
		{ "1e2b516905991c7d7c96fcbfb587e46100000009", "MS NT5 ISAKMPOAKLEY", IKE_VENDOR_MS_NT5 },
		{ "4048b7d56ebce88525e7de7f00d6c2d3c0000000", "FRAGMENTATION", IKE_VENDOR_FRAGMENTATION },
		{ "12f5f28c457168a9702d9fe274cc0204", "Cisco Unity", IKE_VENDOR_UNITY },
		{ "882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan", IKE_VENDOR_STRONGSWAN },
		{ "4f45517b4f7f6e657a7b4351", "FreeS/WAN, Openswan or Libreswan", IKE_VENDOR_OTHER },
	};
	uint8_t b[64];

	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		int n = hex_decode(ids[i].hex, b, sizeof(b));
		const struct ike_vendor *v = ike_vendor_find(span_of(b, (size_t)n));
		ck_assert_msg(v && strcmp(v->name, ids[i].name) == 0, "%s", ids[i].name);
		ck_assert_int_eq(v->id, ids[i].id);
		if (v->id)
			ck_assert_ptr_eq(ike_vendor_of(v->id), v);
	}
	/* a hash with something behind it is another ID; so are its first bytes */
	int n = hex_decode("4a131c81070358455c5728f20e95452f00", b, sizeof(b));
	ck_assert_ptr_null(ike_vendor_find(span_of(b, (size_t)n)));
	ck_assert_ptr_null(ike_vendor_find(span_of(b, 15)));
	ck_assert_ptr_null(ike_vendor_find(span_of(b, 0)));
	ck_assert_ptr_null(ike_vendor_of(IKE_VENDOR_OTHER));
}
END_TEST

START_TEST(test_names)
{
	char buf[IKE_NAME_LEN];

	ck_assert_str_eq(ike_name(IKE_NAMES_EXCHANGE1, IKE1_X_QUICK), "Quick Mode");
	ck_assert_str_eq(ike_name(IKE_NAMES_EXCHANGE2, IKE2_X_SA_INIT), "IKE_SA_INIT");
	ck_assert_str_eq(ike_name(IKE_NAMES_PAYLOAD1, IKE1_HASH), "HASH");
	ck_assert_str_eq(ike_name(IKE_NAMES_PAYLOAD2, IKE2_SKF), "SKF");
	ck_assert_str_eq(ike_name(IKE_NAMES_NOTIFY1, IKE1_UNEQUAL_PAYLOAD_LENGTHS), "UNEQUAL-PAYLOAD-LENGTHS");
	ck_assert_str_eq(ike_name(IKE_NAMES_NOTIFY2, IKE2_COOKIE), "COOKIE");
	ck_assert_str_eq(ike_name(IKE_NAMES_DH, 31), "curve25519");
	ck_assert_str_eq(ike_name(IKE_NAMES_ENCR, 28), "ENCR_CHACHA20_POLY1305");
	ck_assert_ptr_null(ike_name(IKE_NAMES_PAYLOAD2, 300));
	for (unsigned t = 0; t < IKE_NAMES_TABLES; t++) {
		unsigned words = 0;
		for (unsigned n = 0; n <= UINT16_MAX; n++)
			words += ike_name((enum ike_names)t, n) != NULL;
		ck_assert_msg(words >= 2, "table %u", t);
		ck_assert_str_eq(ike_name_or_number((enum ike_names)t, 12345, buf), "12345");
	}
}
END_TEST

TCase *ike_captures_case(void)
{
	TCase *t = tcase_create("captures");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_captures);
	tcase_add_test(t, test_decrypted);
	tcase_add_test(t, test_openswan);
	tcase_add_test(t, test_ike_scan_packets);
	tcase_add_test(t, test_malformed);
	tcase_add_test(t, test_vendor_ids);
	tcase_add_test(t, test_vendor_found);
	tcase_add_test(t, test_names);
	return t;
}
