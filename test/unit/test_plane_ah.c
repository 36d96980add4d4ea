/* AH: what its ICV covers (RFC 4302 3.3.3.1, appendix A), every algorithm, and that whatever is changed and may not be is noticed. */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "ipsec/ah.h"
#include "packet/csum.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[66000], work[66000];
static const char *const suites[] = { "null-sha256", "null-sha1", "null-md5", "null-sha384", "null-sha512", "null-aesxcbc",
				      "null-aescmac", "aes128gmac", "aes192gmac", "aes256gmac" };

static void start(struct rig_opts o)
{
	static const struct rig_policy any4 = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" },
				       any6 = { .action = POLICY_PROTECT, .local = "::/0", .remote = "::/0" };

	o.ah = o.raw = true;
	o.suite = o.suite ? o.suite : suites[0];
	o.policy[0] = any4;
	o.policy[1] = any6;
	o.n_policy = 2;
	rig_new(&rig, &o);
}

/* Between the hosts themselves, or behind them. */
static uint32_t make(int ver, bool hosts, uint16_t frag, unsigned len)
{
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = ver, .proto = IPPROTO_UDP, .tos = 0x2e << 2, .id = 77, .frag = frag, .data = data, .len = len };

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 11);
	uint32_t n = pkt_make(&s, pkt);
	if (hosts && ver == 4) {
		memcpy(pkt + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
		csum_ip4_set(pkt);
		csum_l4_set(pkt, 20, n, IPPROTO_UDP);
	} else if (hosts) {
		memcpy(pkt + 10, "\x0d\xb8", 2);
		memcpy(pkt + 26, "\x0d\xb8", 2);
		csum_l4_set(pkt, 40, n, IPPROTO_UDP);
	}
	return n;
}

static void one_round(int ver, bool transport, unsigned len)
{
	uint32_t n = make(ver, transport, 0, len), size = ah_len(rig.out, ver), hdr = ver == 4 ? 20 : 40;

	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	const uint8_t *w = rig.wire[0].p, *ah = w + hdr;
	ck_assert_uint_eq(rig.wire[0].len, n + size + (transport ? 0 : hdr));
	ck_assert_uint_eq(w[ver == 4 ? 9 : 6], IPPROTO_AH);
	ck_assert_uint_eq(ah[0], transport ? IPPROTO_UDP : ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6);
	ck_assert_uint_eq((ah[1] + 2u) * 4, size);
	ck_assert_uint_eq(size % (ver == 4 ? 4 : 8), 0);
	ck_assert_uint_eq(load_be32(ah + 4), RIG_SPI);
	if (ver == 4) {
		ck_assert(slow_ip4_ok(w));
		ck_assert_uint_eq(load_be16(w + 2), rig.wire[0].len);
		if (!transport)
			ck_assert_uint_ne(load_be16(w + 4), 0);
	} else {
		ck_assert_uint_eq(load_be16(w + 4) + 40u, rig.wire[0].len);
	}
	/* the payload is there to be read */
	ck_assert_mem_eq(ah + size, transport ? pkt + hdr : pkt, n - (transport ? hdr : 0));
	rig_in_ah(&rig, w, rig.wire[0].len);
	ck_assert_uint_eq(rig.n_got, 1);
	if (transport && ver == 6)
		memset(rig.got[0].p + 1, 0, 3), memset(pkt + 1, 0, 3); /* the flow label is not told */
	rig_got_is(&rig, 0, pkt, n);
	rig_wire_clear(&rig);
	rig_got_clear(&rig);
}

START_TEST(test_round_trip)
{
	for (unsigned k = 0; k < 8; k++) {
		int ver = k & 1 ? 6 : 4;
		start((struct rig_opts) { .suite = suites[_i], .outer_ver = ver, .transport = k & 2, .esn = k & 4 });
		for (unsigned len = 0; len < 1300; len += 61)
			one_round(ver, k & 2, len);
		rig_dropped(rig.a, DROP_NONE, 0);
		rig_dropped(rig.b, DROP_NONE, 0);
		rig_free(&rig);
	}
}
END_TEST

/* ---- the ICV once more, by the text of the RFCs and a library of others ------------------------- */

static void aes_block(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t o[32];
	int n = 0;

	ck_assert_int_eq(EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, key, NULL), 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	ck_assert_int_eq(EVP_EncryptUpdate(c, o, &n, in, 16), 1);
	ck_assert_int_eq(n, 16);
	memcpy(out, o, 16);
	EVP_CIPHER_CTX_free(c);
}

/* Twice in GF(2^128): the subkeys of CMAC (RFC 4493 2.3). */
static void twice(const uint8_t in[16], uint8_t out[16])
{
	uint8_t top = in[0] >> 7;

	for (unsigned i = 0; i < 16; i++)
		out[i] = (uint8_t)(in[i] << 1 | (i < 15 ? in[i + 1] >> 7 : 0));
	out[15] ^= top ? 0x87 : 0;
}

/* Both of them (RFC 3566 4, RFC 4493 2.4): chained blocks; the last has a subkey added, another when it had to be filled up. */
static void cbc_mac(bool xcbc, const uint8_t key[16], const uint8_t *data, uint32_t len, uint8_t out[16])
{
	uint8_t k[3][16], block[16], zero[16] = { 0 };

	if (xcbc) {
		for (unsigned i = 0; i < 3; i++) {
			memset(block, (int)i + 1, 16);
			aes_block(key, block, k[i]);
		}
	} else {
		memcpy(k[0], key, 16);
		aes_block(key, zero, block);
		twice(block, k[1]);
		twice(k[1], k[2]);
	}
	memset(out, 0, 16);
	for (uint32_t at = 0; at < len; at += 16) {
		bool last = at + 16 >= len, filled = len - at < 16;
		memset(block, 0, 16);
		memcpy(block, data + at, filled ? len - at : 16);
		if (filled)
			block[len - at] = 0x80;
		for (unsigned i = 0; i < 16; i++)
			block[i] ^= out[i] ^ (last ? k[filled ? 2 : 1][i] : 0);
		aes_block(k[0], block, out);
	}
}

/* GCM with everything as additional data and nothing to encrypt (RFC 4543 2); the nonce is salt and IV. */
static void gmac(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv, const uint8_t *data, uint32_t len, uint8_t out[16])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t nonce[12], none[16];
	int n;

	memcpy(nonce, key + EVP_CIPHER_get_key_length(cipher), 4);
	memcpy(nonce + 4, iv, 8);
	ck_assert_int_eq(EVP_EncryptInit_ex(c, cipher, NULL, key, nonce), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(c, NULL, &n, data, (int)len), 1);
	ck_assert_int_eq(EVP_EncryptFinal_ex(c, none, &n), 1);
	ck_assert_int_eq(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, out), 1);
	EVP_CIPHER_CTX_free(c);
}

static const struct {
	const char *suite;
	unsigned icv, iv; /* bytes */
} by_hand[] = {
	{ "null-sha256", 16, 0 }, { "null-sha1", 12, 0 },  { "null-aesxcbc", 12, 0 }, { "null-aescmac", 12, 0 },
	{ "aes128gmac", 16, 8 },  { "aes192gmac", 16, 8 }, { "aes256gmac", 16, 8 },
};

/* What the packet's ICV has to be; data is covered whole, iv is where the IV would be. */
static void icv_by_hand(unsigned which, const uint8_t *data, uint32_t len, const uint8_t *iv, uint8_t out[64])
{
	uint8_t key[64];
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7 + 1); /* as rig_sa() has it */
	if (which == 0)
		HMAC(EVP_sha256(), key, 32, data, len, out, &n);
	else if (which == 1)
		HMAC(EVP_sha1(), key, 20, data, len, out, &n);
	else if (which < 4)
		cbc_mac(which == 2, key, data, len, out);
	else
		gmac(which == 4 ? EVP_aes_128_gcm() : which == 5 ? EVP_aes_192_gcm() : EVP_aes_256_gcm(), key, iv, data, len, out);
}

/* Whole packet, with what may change on the way as zero, and the ICV; the IV of GMAC stays. With ESN the high half of the number behind it. */
START_TEST(test_icv_by_hand)
{
	uint8_t mac[64];

	for (unsigned k = 0; k < 8; k++) {
		bool v6 = k & 1, esn = k & 2, tunnel = k & 4;
		for (unsigned size = 101; size < 133; size++) {
			start((struct rig_opts) { .suite = by_hand[_i].suite, .outer_ver = v6 ? 6 : 4, .transport = !tunnel, .esn = esn });
			rig.out->seq = esn ? 0x500000000 : 0;
			rig_send(&rig, pkt, make(v6 ? 6 : 4, !tunnel, v6 ? 0 : 0x4000, size));
			ck_assert_uint_eq(rig.n_wire, 1);
			const uint8_t *w = rig.wire[0].p, *ah = w + (v6 ? 40 : 20);
			uint32_t len = rig.wire[0].len, at = (v6 ? 40 : 20) + 12;
			memcpy(work, w, len);
			if (v6) {
				work[0] &= 0xf0;
				work[1] = work[2] = work[3] = work[7] = 0;
			} else {
				work[1] = work[6] = work[7] = work[8] = work[10] = work[11] = 0;
			}
			memset(work + at + by_hand[_i].iv, 0, by_hand[_i].icv);
			ck_assert_uint_eq(load_be32(ah + 8), 1);
			store_be32(work + len, 5);
			icv_by_hand((unsigned)_i, work, len + (esn ? 4 : 0), w + at, mac);
			check_bytes(by_hand[_i].suite, span_of(w + at + by_hand[_i].iv, by_hand[_i].icv), span_of(mac, by_hand[_i].icv));
			rig_free(&rig);
		}
	}
}
END_TEST

/* Every byte of the packet, one after the other: what may change on the way does not matter, everything else does. */
START_TEST(test_what_is_covered)
{
	for (unsigned k = 0; k < 4; k++) {
		int ver = k & 1 ? 6 : 4;
		start((struct rig_opts) { .outer_ver = ver, .transport = k & 2, .no_window = true });
		rig_send(&rig, pkt, make(ver, k & 2, 0, 40));
		uint32_t len = rig.wire[0].len, hdr = ver == 4 ? 20 : 40;
		for (uint32_t i = 0; i < len; i++) {
			bool free4 = i == 1 || i == 6 || i == 7 || i == 8 || i == 10 || i == 11;
			bool mutable = ver == 4 ? free4 : i == 1 || i == 2 || i == 3 || i == 7;
			bool structure = i == 0 || (ver == 4 ? i == 2 || i == 3 || i == 9 : i >= 4 && i <= 6) || i == hdr + 1 ||
					 (i >= hdr + 4 && i < hdr + 8) || /* not found at all, then */
					 (ver == 4 && i == 7);            /* a fragment, then */
			if (structure)
				continue;
			memcpy(work, rig.wire[0].p, len);
			work[i] ^= ver == 4 && i == 6 ? 0x40 : 0x04;
			rig_in_ah(&rig, work, len);
			ck_assert_msg(rig.n_got == (mutable ? 1 : 0), "IPv%d, byte %u", ver, i);
			if (!mutable)
				rig_dropped(rig.b, DROP_AUTH, 1);
			rig_got_clear(&rig);
			memset(&rig.b->c.drop, 0, sizeof(rig.b->c.drop));
		}
		rig_free(&rig);
	}
}
END_TEST

/* RFC 4302 A1. */
START_TEST(test_options4)
{
	static const struct {
		const char *bytes;
		unsigned len, change; /* which byte a router writes to */
		bool matters;
	} rows[] = {
		{ "\x94\x04\0\0", 4, 3, true },                                       /* router alert */
		{ "\x82\x03\x01\0", 4, 2, true },                                     /* security */
		{ "\x07\x07\x04\0\0\0\0\0", 8, 5, false },                            /* record route */
		{ "\x44\x08\x05\0\0\0\0\0", 8, 6, false },                            /* time stamp */
		{ "\x88\x04\x12\x34", 4, 3, false },                                  /* stream ID */
		{ "\x01\x01\x01\0", 4, 3, true },                                     /* behind the end of the list: nothing is unspecified */
		{ "\x9e\x04\x01\x02", 4, 2, false },                                  /* unknown */
	};

	for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
		start((struct rig_opts) { .transport = true, .no_window = true });
		uint32_t n = make(4, true, 0x4000, 40), k = rows[r].len;
		memmove(pkt + 20 + k, pkt + 20, n - 20);
		memcpy(pkt + 20, rows[r].bytes, k);
		pkt[0] = (uint8_t)(0x45 + k / 4);
		store_be16(pkt + 2, (uint16_t)(n + k));
		csum_ip4_set(pkt);
		rig_send(&rig, pkt, n + k);
		ck_assert_uint_eq(rig.n_wire, 1);
		ck_assert_mem_eq(rig.wire[0].p + 20, rows[r].bytes, k);
		rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
		ck_assert_msg(rig.n_got == 1, "row %u", r);
		rig_got_is(&rig, 0, pkt, n + k);
		memcpy(work, rig.wire[0].p, rig.wire[0].len);
		work[20 + rows[r].change] ^= 0x55;
		csum_ip4_set(work);
		rig_in_ah(&rig, work, rig.wire[0].len);
		ck_assert_msg(rig.n_got == (rows[r].matters ? 1 : 2), "row %u", r);
		rig_free(&rig);
	}
}
END_TEST

/* A source route that is still to be followed: covered with the destination it will have in the end. */
START_TEST(test_source_route4)
{
	start((struct rig_opts) { .transport = true });
	uint32_t n = make(4, true, 0x4000, 40);
	uint8_t *out = malloc(200), *late = malloc(200);
	memmove(pkt + 28, pkt + 20, n - 20);
	memcpy(pkt + 20, "\x83\x07\x04\xc0\0\x02\x02\0", 8);
	pkt[0] = 0x47;
	store_be16(pkt + 2, (uint16_t)(n + 8));
	memcpy(pkt + 16, "\x0a\0\0\x01", 4); /* first hop */
	pkt[9] = IPPROTO_AH;
	uint32_t a = ah_cover(rig.out, pkt, n + 8, 28, 1, out);
	memcpy(pkt + 16, "\xc0\0\x02\x02", 4); /* arrived; the hop has left its address, and the pointer is behind it */
	memcpy(pkt + 20, "\x83\x07\x08\x0a\0\0\x01\0", 8);
	uint32_t b = ah_cover(rig.out, pkt, n + 8, 28, 1, late);
	ck_assert_uint_eq(a, n + 8);
	check_bytes("covered", span_of(out, a), span_of(late, b));
	free(out);
	free(late);
	rig_free(&rig);
}
END_TEST

/* Puts extension headers behind the IPv6 header of pkt[0..n). */
static uint32_t put_ext(uint32_t n, const uint8_t *ext, uint32_t k, uint8_t first)
{
	memmove(pkt + 40 + k, pkt + 40, n - 40);
	memcpy(pkt + 40, ext, k);
	pkt[6] = first;
	store_be16(pkt + 4, (uint16_t)(n + k - 40));
	return n + k;
}

/* RFC 4302 A2: an option says itself whether it changes on the way. */
START_TEST(test_extension_headers6)
{
	/* hop-by-hop: router alert, an option that may change (0x3e), Pad1; destination options the same, then UDP */
	static const uint8_t ext[] = { IPPROTO_DSTOPTS, 1, 0x05, 2, 0, 0, 0x3e, 4, 1, 2, 3, 4, 0x1e, 2, 7, 8,
				       IPPROTO_UDP,     0, 0x3f, 2, 9, 9, 0,    0 };
	static const struct {
		unsigned at;
		bool matters;
	} rows[] = { { 44, true }, { 48, false }, { 51, false }, { 55, true } };

	for (unsigned k = 0; k < 2; k++) {
		start((struct rig_opts) { .outer_ver = 6, .transport = true, .no_window = true, .esn = k });
		uint32_t n = put_ext(make(6, true, 0, 40), ext, sizeof(ext), IPPROTO_HOPOPTS);
		rig_send(&rig, pkt, n);
		ck_assert_uint_eq(rig.n_wire, 1);
		const uint8_t *w = rig.wire[0].p;
		ck_assert_uint_eq(w[6], IPPROTO_HOPOPTS);
		ck_assert_uint_eq(w[40], IPPROTO_AH);                  /* behind hop-by-hop options ... */
		ck_assert_uint_eq(w[40 + 16], IPPROTO_DSTOPTS);         /* ... and in front of destination options */
		rig_in_ah(&rig, w, rig.wire[0].len);
		ck_assert_uint_eq(rig.n_got, 1);
		memset(rig.got[0].p + 1, 0, 3);
		memset(pkt + 1, 0, 3);
		rig_got_is(&rig, 0, pkt, n);
		for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
			rig_got_clear(&rig);
			memcpy(work, w, rig.wire[0].len);
			work[rows[r].at] ^= 0x21;
			rig_in_ah(&rig, work, rig.wire[0].len);
			ck_assert_msg(rig.n_got == (rows[r].matters ? 0 : 1), "row %u", r);
		}
		rig_free(&rig);
	}
}
END_TEST

/* A peer may put AH behind destination options (RFC 4302 3.1.1); they are covered as well. */
START_TEST(test_ah_behind_destination_options)
{
	uint8_t ext[8] = { IPPROTO_AH, 0, 0x1e, 4, 1, 2, 3, 4 };
	struct crypt_ctx *c = crypt_ctx_new(0);

	start((struct rig_opts) { .outer_ver = 6, .transport = true, .no_window = true });
	uint32_t n = make(6, true, 0, 40), size = ah_len(rig.out, 6), ah_at = 48;
	static uint8_t p[400], cover[404];
	memcpy(p, pkt, 40);
	memcpy(p + 40, ext, 8);
	ah_write(rig.out, 6, IPPROTO_UDP, 1, 0, p + ah_at);
	memcpy(p + ah_at + size, pkt + 40, n - 40);
	p[6] = IPPROTO_DSTOPTS;
	n += 8 + size;
	store_be16(p + 4, (uint16_t)(n - 40));
	struct crypt_auth_op op = { .key = &rig.out->key, .data = cover, .len = ah_cover(rig.out, p, n, ah_at, 1, cover),
				    .icv = p + ah_at + AH_FIXED };
	crypt_auth(c, &op, 1);
	ck_assert(op.ok);
	rig_in_ah(&rig, p, n);
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert_uint_eq(rig.got[0].p[6], IPPROTO_DSTOPTS);
	ck_assert_uint_eq(rig.got[0].p[40], IPPROTO_UDP);
	ck_assert_uint_eq(rig.got[0].len, n - size);
	p[45] ^= 1;
	rig_in_ah(&rig, p, n);
	rig_dropped(rig.b, DROP_AUTH, 1);
	crypt_ctx_free(&c);
	rig_free(&rig);
}
END_TEST

/* A routing header is covered as it is when it arrives, whatever of it has been followed. */
START_TEST(test_routing_header6)
{
	uint8_t ext[40] = { IPPROTO_UDP, 4, 0, 2 }, on_the_way[300], arrived[300], out[2][300];

	start((struct rig_opts) { .outer_ver = 6, .transport = true });
	memcpy(ext + 8, "AAAAAAAAAAAAAAAA", 16);
	memcpy(ext + 24, "BBBBBBBBBBBBBBBB", 16);
	uint32_t n = put_ext(make(6, true, 0, 40), ext, sizeof(ext), IPPROTO_ROUTING);
	pkt[40] = IPPROTO_AH;
	for (unsigned type = 0; type < 3; type += 2) {
		pkt[42] = (uint8_t)type;
		memcpy(on_the_way, pkt, n);
		memcpy(arrived, pkt, n); /* through A to B */
		memcpy(arrived + 24, "BBBBBBBBBBBBBBBB", 16);
		memcpy(arrived + 48, pkt + 24, 16);
		memcpy(arrived + 64, "AAAAAAAAAAAAAAAA", 16);
		arrived[43] = 0;
		ck_assert_uint_eq(ah_cover(rig.out, on_the_way, n, 80, 1, out[0]), n);
		ck_assert_uint_eq(ah_cover(rig.out, arrived, n, 80, 1, out[1]), n);
		ck_assert_mem_eq(out[0], out[1], n);
	}
	/* what nobody knows how to follow, and what is malformed, is refused */
	pkt[42] = 77;
	ck_assert_uint_eq(ah_cover(rig.out, pkt, n, 80, 1, out[0]), 0);
	pkt[42] = 0;
	pkt[43] = 3;
	ck_assert_uint_eq(ah_cover(rig.out, pkt, n, 80, 1, out[0]), 0);
	rig_free(&rig);
}
END_TEST

/* The system gives a packet without DF an ID when it has none: AH covers that ID, so it must have one before. */
START_TEST(test_id_is_chosen)
{
	start((struct rig_opts) { .transport = true });
	for (unsigned df = 0; df < 2; df++) {
		uint32_t n = make(4, true, df ? 0x4000 : 0, 40);
		pkt[4] = pkt[5] = 0;
		csum_ip4_set(pkt);
		rig_send(&rig, pkt, n);
		ck_assert(slow_ip4_ok(rig.wire[df].p));
		ck_assert((load_be16(rig.wire[df].p + 4) == 0) == (df == 1));
		rig_in_ah(&rig, rig.wire[df].p, rig.wire[df].len);
		ck_assert_uint_eq(rig.n_got, df + 1);
	}
	rig_free(&rig);
}
END_TEST

START_TEST(test_refused)
{
	start((struct rig_opts) { 0 });
	rig_send(&rig, pkt, make(4, false, 0, 40));
	uint32_t len = rig.wire[0].len;
	memcpy(work, rig.wire[0].p, len);
	rig_in_ah(&rig, work, len);
	rig_in_ah(&rig, work, len);
	rig_dropped(rig.b, DROP_REPLAY, 1);
	work[21] = 3; /* too short for this algorithm */
	rig_in_ah(&rig, work, len);
	rig_dropped(rig.b, DROP_ESP_FORMAT, 1);
	work[21] = 200;
	rig_in_ah(&rig, work, len);
	rig_dropped(rig.b, DROP_SHORT, 1);
	work[21] = 5;
	work[27] ^= 1; /* SPI */
	rig_in_ah(&rig, work, len);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 1);
	rig_in_ah(&rig, work, 20 + 11);
	rig_dropped(rig.b, DROP_SHORT, 1);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_free(&rig);
}
END_TEST

/* Too big for the path: told, or in fragments of what AH has covered whole. */
START_TEST(test_size)
{
	start((struct rig_opts) { .fragment = SA_FRAG_AFTER });
	ck_assert_uint_eq(rig.out->inner_mtu, 1500 - 20 - 28);
	rig_send(&rig, pkt, make(4, false, 0x4000, 1452 - 28));
	ck_assert_uint_eq(rig.wire[0].len, 1500);
	rig_send(&rig, pkt, make(4, false, 0x4000, 1453 - 28));
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	rig_wire_clear(&rig);
	uint32_t n = make(4, false, 0, 4000), have = 20;
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 3);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *f = rig.wire[i].p;
		ck_assert_uint_le(rig.wire[i].len, 1500);
		ck_assert(slow_ip4_ok(f));
		ck_assert_uint_eq((load_be16(f + 6) & 0x1fffu) * 8, have - 20);
		ck_assert_mem_eq(f + 4, rig.wire[0].p + 4, 2);
		memcpy(work + have, f + 20, rig.wire[i].len - 20);
		have += rig.wire[i].len - 20;
	}
	memcpy(work, rig.wire[0].p, 20);
	work[6] = work[7] = 0;
	store_be16(work + 2, (uint16_t)have);
	csum_ip4_set(work);
	rig_in_ah(&rig, work, have);
	rig_got_is(&rig, 0, pkt, n);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_ah(void)
{
	TCase *t = tcase_create("ah");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_round_trip, 0, ARRAY_LEN(suites));
	tcase_add_loop_test(t, test_icv_by_hand, 0, ARRAY_LEN(by_hand));
	tcase_add_test(t, test_what_is_covered);
	tcase_add_test(t, test_options4);
	tcase_add_test(t, test_source_route4);
	tcase_add_test(t, test_extension_headers6);
	tcase_add_test(t, test_ah_behind_destination_options);
	tcase_add_test(t, test_routing_header6);
	tcase_add_test(t, test_id_is_chosen);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_size);
	return t;
}
