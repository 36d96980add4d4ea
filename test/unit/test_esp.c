/* ESP's frame: padding, lengths, trailer; and whole packets that other implementations made, opened and made again. */
#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto_util.h"
#include "ipsec/esp.h"
#include "must.h"
#include "pcap.h"

static struct sa *sa_of(const char *suite, enum ipsec_dir dir, uint32_t spi, struct span encr, struct span integ)
{
	struct sa_conf c = { .proto = SA_ESP, .mode = SA_TUNNEL, .dir = dir, .spi = spi, .suite = suite_of(suite),
			     .replay_window = 64, .dscp = -1 };
	char why[200];
	struct sa *sa;

	c.name = strdup("sa");
	ck_assert_int_eq(secret_copy(&c.encr_key, encr), 0);
	ck_assert_int_eq(secret_copy(&c.integ_key, integ), 0);
	ck_assert_msg(sa_new(&c, 1, &sa, why, sizeof(why)) == 0, "%s", why);
	return sa;
}

static struct sa *any_sa(const char *suite, enum ipsec_dir dir)
{
	static const uint8_t key[64] = "keys that differ in every byte, to make no cipher suspicious..";
	struct esp_suite s = suite_of(suite);

	return sa_of(suite, dir, 0x1234, span_of(key, s.key_len + s.encr->salt_len),
		     span_of(key, s.integ ? s.integ->key_len : 0));
}

/* ---- the frame ---------------------------------------------------------------------------------- */

static const struct {
	const char *suite;
	unsigned iv, icv, align;
} shapes[] = {
	{ "aes128gcm16", 8, 16, 4 },   { "aes128gcm8", 8, 8, 4 },	{ "aes128-sha1", 16, 12, 16 },
	{ "aes256-sha512", 16, 32, 16 }, { "3des-md5", 8, 12, 8 },	{ "null-sha256", 0, 16, 4 },
	{ "aes128ctr-aesxcbc", 8, 12, 4 }, { "chacha20poly1305", 8, 16, 4 }, { "aes128ccm12", 8, 12, 4 },
	{ "aes192gmac", 8, 16, 4 },
};

/* RFC 4303 2.4: the trailer ends on a boundary; padding is as short as that allows and counts 1, 2, 3, ... */
START_TEST(test_padding)
{
	for (unsigned k = 0; k < ARRAY_LEN(shapes); k++) {
		struct sa *sa = any_sa(shapes[k].suite, DIR_OUT);
		unsigned align = shapes[k].align;
		ck_assert_uint_eq(esp_text_off(sa), 8 + shapes[k].iv);
		for (uint32_t len = 0; len < 200; len++) {
			uint8_t text[200 + ESP_TAIL_MAX + 1];
			memset(text, 0xcc, sizeof(text));
			uint32_t n = esp_finish_text(sa, text, len, 4);
			ck_assert_uint_eq(n, esp_text_len(sa, len));
			ck_assert_uint_eq(n % align, 0);
			ck_assert_uint_ge(n, len + 2);
			ck_assert_uint_lt(n, len + 2 + align);
			ck_assert_uint_le(n, len + ESP_TAIL_MAX);
			for (uint32_t i = 0; i < len; i++)
				must_uint_eq(text[i], 0xcc);
			for (uint32_t i = len; i < n - 2; i++)
				ck_assert_uint_eq(text[i], i - len + 1);
			ck_assert_uint_eq(text[n - 2], n - 2 - len);
			ck_assert_uint_eq(text[n - 1], 4);
			ck_assert_uint_eq(text[n], 0xcc);
			ck_assert_uint_eq(esp_wire_len(sa, len), 8 + shapes[k].iv + n + shapes[k].icv);

			struct esp_text t;
			ck_assert_int_eq(esp_open_text(text, n, &t), DROP_NONE);
			ck_assert_uint_eq(t.len, len);
			ck_assert_uint_eq(t.next_header, 4);
		}
		sa_unref(&sa);
	}
}
END_TEST

START_TEST(test_bad_padding)
{
	uint8_t text[300];
	struct esp_text t;

	for (unsigned pad = 0; pad < 256; pad++) {
		for (unsigned i = 0; i < pad; i++)
			text[i] = (uint8_t)(i + 1);
		text[pad] = (uint8_t)pad;
		text[pad + 1] = 41;
		ck_assert_int_eq(esp_open_text(text, pad + 2, &t), DROP_NONE);
		ck_assert_uint_eq(t.len, 0);
		ck_assert_uint_eq(t.next_header, 41);
		text[pad]++; /* one more than there is; for 255 it is none, and all is packet */
		ck_assert_int_eq(esp_open_text(text, pad + 2, &t), pad == 255 ? DROP_NONE : DROP_ESP_PADDING);
		text[pad]--;
		for (unsigned i = 0; i < pad; i++) {
			text[i] ^= 0x40;
			must_uint_eq(esp_open_text(text, pad + 2, &t), DROP_ESP_PADDING);
			text[i] ^= 0x40;
		}
	}
}
END_TEST

/* Which lengths and numbers an op is made for; and that nothing of the SA changes. */
START_TEST(test_open_op)
{
	for (unsigned k = 0; k < ARRAY_LEN(shapes); k++) {
		struct sa *sa = any_sa(shapes[k].suite, DIR_IN);
		unsigned fixed = 8 + shapes[k].iv + shapes[k].icv;
		uint8_t esp[300] = { 0 };
		struct crypt_op op;
		uint64_t seq;

		store_be32(esp + 4, 7);
		for (uint32_t len = 8; len < 300; len++) {
			enum drop want = len < fixed + 2 ? DROP_SHORT
					 : (len - fixed) % shapes[k].align ? DROP_ESP_FORMAT : DROP_NONE;
			ck_assert_int_eq(esp_open_op(sa, esp, len, &seq, &op), want);
			if (want != DROP_NONE)
				continue;
			ck_assert_uint_eq(seq, 7);
			ck_assert_ptr_eq(op.esp, esp);
			ck_assert_ptr_eq(op.src, esp + 8 + shapes[k].iv);
			ck_assert_ptr_eq(op.dst, op.src);
			ck_assert_uint_eq(op.len, len - fixed);
			ck_assert_uint_eq(op.seq_hi, 0);
			ck_assert(!op.ok);
		}
		ck_assert_uint_eq(sa->replay.top, 0);
		ck_assert(replay_accept(&sa->replay, 7));
		ck_assert_int_eq(esp_open_op(sa, esp, fixed + 32, &seq, &op), DROP_REPLAY);
		sa_unref(&sa);
	}
}
END_TEST

/* ---- captures ----------------------------------------------------------------------------------- */

/*
 * Packets of FreeS/WAN's and Openswan's test networks. Encryption keys come with the captures; the integrity keys are those that
 * their test scripts use throughout (0x8765 repeated).
 */
struct capture {
	const char *file, *listing; /* listing NULL: tcpdump had no right key for it */
	uint32_t spi;
	const char *suite, *encr, *integ;
};

#define KEY_3DES "4043434545464649494a4a4c4c4f4f515152525454575758"
#define KEY_AES "aaaabbbbccccdddd4043434545464649494a4a4c4c4f4f515152525454575758"

static const struct capture captures[] = {
	{ "02-sunrise-sunset-esp.pcap", "esp1.out", 0x12345678, "3des-md5", KEY_3DES, "87658765876587658765876587658765" },
	{ "espudp1.pcap", NULL, 0x12345678, "3des-md5", KEY_3DES, "87658765876587658765876587658765" },
	{ "08-sunrise-sunset-aes.pcap", "esp5.out", 0xd1234567, "aes256-sha1", KEY_AES,
	  "8765876587658765876587658765876587658765" },
};

/* The ESP packet inside an IPv4 packet, perhaps behind UDP. */
static struct span esp_of(struct span ip)
{
	ck_assert(ip.p && ip.len >= 28 && ip.p[0] == 0x45);
	uint32_t total = load_be16(ip.p + 2), off = 20;
	ck_assert_uint_le(total, ip.len);
	if (ip.p[9] == IPPROTO_UDP) {
		ck_assert_uint_eq(load_be16(ip.p + 22), 4500);
		off += 8;
	} else {
		ck_assert_uint_eq(ip.p[9], IPPROTO_ESP);
	}
	return span_of(ip.p + off, total - off);
}

/* tcpdump's words for an echo request; fails when the packet is none. */
static void describe(struct span ip, char out[200])
{
	const uint8_t *p = ip.p;

	ck_assert(ip.len >= 28 && p[0] == 0x45 && load_be16(p + 2) == ip.len);
	ck_assert_uint_eq(p[9], IPPROTO_ICMP);
	ck_assert_uint_eq(p[20], 8);
	snprintf(out, 200, "IP %u.%u.%u.%u > %u.%u.%u.%u: ICMP echo request, id %u, seq %u, length %zu", p[12], p[13], p[14],
		 p[15], p[16], p[17], p[18], p[19], load_be16(p + 24), load_be16(p + 26), ip.len - 20);
}

/* Fails unless line number n (from 1) of the listing ends with what this inner packet is. */
static void listed(const char *dir, const char *listing, unsigned n, struct span inner)
{
	char path[5000], line[1000] = "", want[200];

	describe(inner, want);
	if (!listing)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, listing);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < n; i++)
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	ck_assert_uint_ge(strlen(line), strlen(want));
	ck_assert_str_eq(line + strlen(line) - strlen(want), want);
}

/* Opens the packet as the plane does; returns the text in esp's memory. */
static struct span open_one(struct crypt_ctx *c, struct sa *sa, uint8_t *esp, uint32_t len, uint64_t expect_seq)
{
	struct crypt_op op;
	uint64_t seq;

	ck_assert_uint_eq(load_be32(esp), sa->spi);
	ck_assert_int_eq(esp_open_op(sa, esp, len, &seq, &op), DROP_NONE);
	ck_assert_uint_eq(seq, expect_seq);
	crypt_open(c, &op, 1);
	ck_assert_msg(op.ok, "integrity of packet %llu", (unsigned long long)seq);
	ck_assert(replay_accept(&sa->replay, seq));
	return span_of(op.dst, op.len);
}

/* Makes the packet again from its inner packet, with its own IV; it must come out as it was. covered: how much of the original is
 * compared (the ICV too, or not). */
static void make_again(struct crypt_ctx *c, const struct sa *out, struct span original, struct span inner, size_t covered)
{
	uint8_t esp[2000];
	uint32_t off = esp_text_off(out);

	ck_assert_uint_eq(esp_wire_len(out, (uint32_t)inner.len), original.len);
	store_be32(esp, out->spi);
	memcpy(esp + 4, original.p + 4, 4);
	memcpy(esp + 8, original.p + 8, out->iv_len);
	memcpy(esp + off, inner.p, inner.len);
	uint32_t n = esp_finish_text(out, esp + off, (uint32_t)inner.len, IPPROTO_IPIP);
	struct crypt_raw raw = { .nonce = original.p + 8, .aad = span_of(esp, off + n), .src = esp + off, .dst = esp + off,
				 .len = n, .icv = esp + off + n };
	crypt_raw_run(c, &out->key, &raw);
	ck_assert(raw.ok);
	check_bytes("made again", span_of(esp, covered), span_of(original.p, covered));
}

static void one_capture(const char *dir, const struct capture *k)
{
	uint8_t encr[64], integ[64], esp[2000];
	char path[5000];
	struct pcap p;
	struct pcap_record r;
	unsigned n = 0;

	struct span e = span_of(encr, unhex(k->encr, encr, sizeof(encr)));
	struct span i = span_of(integ, unhex(k->integ, integ, sizeof(integ)));
	struct sa *in = sa_of(k->suite, DIR_IN, k->spi, e, i), *out = sa_of(k->suite, DIR_OUT, k->spi, e, i);
	struct crypt_ctx *c = crypt_ctx_new(0);
	snprintf(path, sizeof(path), "%s/%s", dir, k->file);
	ck_assert_int_eq(pcap_open(&p, path), 0);
	while (pcap_next(&p, &r)) {
		struct span wire = esp_of(span_of(r.ip, r.ip_len));
		struct esp_text t;

		ck_assert_uint_le(wire.len, sizeof(esp));
		memcpy(esp, wire.p, wire.len);
		struct span text = open_one(c, in, esp, (uint32_t)wire.len, ++n);
		ck_assert_int_eq(esp_open_text(text.p, (uint32_t)text.len, &t), DROP_NONE);
		ck_assert_uint_eq(t.next_header, IPPROTO_IPIP);
		listed(dir, k->listing, n, span_of(text.p, t.len));
		make_again(c, out, wire, span_of(text.p, t.len), wire.len);

		/* and with one bit changed it is not theirs */
		memcpy(esp, wire.p, wire.len);
		esp[pick((uint32_t)wire.len - 8) + 8] ^= 4;
		in->replay.window = 0;
		struct crypt_op op;
		uint64_t seq;
		ck_assert_int_eq(esp_open_op(in, esp, (uint32_t)wire.len, &seq, &op), DROP_NONE);
		crypt_open(c, &op, 1);
		ck_assert(!op.ok);
		in->replay.window = 64;
	}
	ck_assert_uint_eq(n, 8);
	pcap_close(&p);
	crypt_ctx_free(&c);
	sa_unref(&in);
	sa_unref(&out);
}

START_TEST(test_captures)
{
	char dir[4096];

	if (!vectors_dir("esp-captures", dir, sizeof(dir)))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(captures); i++)
		one_capture(dir, &captures[i]);
}
END_TEST

/* 3DES-CBC by the library itself, for packets whose integrity key nobody wrote down. */
static struct span openssl_3des(struct span key, struct span esp, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, text = (int)esp.len - 16 - 12;

	ck_assert(c && EVP_DecryptInit_ex(c, EVP_des_ede3_cbc(), NULL, key.p, esp.p + 8) == 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	ck_assert_int_eq(EVP_DecryptUpdate(c, out, &n, esp.p + 16, text), 1);
	ck_assert_int_eq(n, text);
	EVP_CIPHER_CTX_free(c);
	return span_of(out, (size_t)n);
}

/* ESP in ESP: two tunnels, one inside the other, with keys of their own. */
START_TEST(test_nested_capture)
{
	static const struct {
		uint32_t spi;
		const char *key;
	} layer[2] = { { 0x12345678, "43434545464649494a4a4c4c4f4f51515252545457575840" },
		       { 0xabcdabcd, "434545464649494a4a4c4c4f4f5151525254545757584043" } };
	char dir[4096], path[5000];
	struct sa *out[2];
	struct span key[2];
	uint8_t bytes[2][24], text[2][500], integ[16] = "not the one used";
	struct pcap p;
	struct pcap_record r;
	unsigned n = 0;

	if (!vectors_dir("esp-captures", dir, sizeof(dir)))
		return;
	struct crypt_ctx *c = crypt_ctx_new(0);
	for (unsigned i = 0; i < 2; i++) {
		key[i] = span_of(bytes[i], unhex(layer[i].key, bytes[i], sizeof(bytes[i])));
		out[i] = sa_of("3des-md5", DIR_OUT, layer[i].spi, key[i], span_of(integ, 16));
	}
	snprintf(path, sizeof(path), "%s/08-sunrise-sunset-esp2.pcap", dir);
	ck_assert_int_eq(pcap_open(&p, path), 0);
	while (pcap_next(&p, &r)) {
		struct span ip = span_of(r.ip, r.ip_len);
		n++;
		for (unsigned i = 0; i < 2; i++) {
			struct span wire = esp_of(ip);
			struct esp_text t;
			ck_assert_uint_eq(load_be32(wire.p), layer[i].spi);
			ck_assert_uint_eq(load_be32(wire.p + 4), n);
			struct span opened = openssl_3des(key[i], wire, text[i]);
			ck_assert_int_eq(esp_open_text(opened.p, (uint32_t)opened.len, &t), DROP_NONE);
			ck_assert_uint_eq(t.next_header, IPPROTO_IPIP);
			ip = span_of(opened.p, t.len);
			make_again(c, out[i], wire, ip, wire.len - 12);
		}
		listed(dir, "esp2.out", n, ip);
	}
	ck_assert_uint_eq(n, 8);
	pcap_close(&p);
	crypt_ctx_free(&c);
	sa_unref(&out[0]);
	sa_unref(&out[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("esp");
	TCase *t = tcase_create("frame"), *u = tcase_create("captures");

	if (secret_init() || crypt_init())
		return EXIT_FAILURE;
	tcase_add_test(t, test_padding);
	tcase_add_test(t, test_bad_padding);
	tcase_add_test(t, test_open_op);
	suite_add_tcase(s, t);
	tcase_add_test(u, test_captures);
	tcase_add_test(u, test_nested_capture);
	suite_add_tcase(s, u);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
