/* IKEv1's keys, hashes, message chains, NAT detection, vendor IDs and fragments; the runner. */
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/cbc.h"
#include "crypto/crypt.h"
#include "crypto/sig_digest.h"
#include "crypto_util.h"
#include "ike/v1/crypt.h"
#include "ike/v1/fault.h"
#include "ike/v1/frag.h"
#include "ike/v1/natd.h"
#include "ike/v1/vendor.h"
#include "test_ike_v1.h"

static struct ike_msg m, n;
static struct ike_bad bad;
static const uint8_t ci[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, cr[8] = { 9, 10, 11, 12, 13, 14, 15, 16 };

/* ---- NIST ACVP, IKEv1 key derivation: pre-shared key and digital signature, SHA-1 */
static const struct {
	const char *gxy, *psk, *ni, *nr, *ci, *cr, *skeyid, *d, *a, *e;
} vecs[] = {
	{ "739003ba2c11c982946c65e26acf661fbf8ebb78011a9fead79efa12fe3e71cc", "75",
	  "b9a2d0e922dc66dd", "2130166863b5ddef", "83d374c30b3b5082", "5afc0da06c728029",
	  "62b04d112877e442fc3282fc37c076997718a0b9", "369e5aad1bdb5faf6a3d929d500cdc236710a9ab",
	  "588e957d8d790d093b3a39f121473473af78e9bb", "cd74b0c048219db81384d3fda8f6cda51e398a2b" },
	{ "8ba4cbc73c0187301dc19a975823854dbd641c597f637f8d053a83b9514673eb", NULL,
	  "69a62284195f1680", "80c94ba25c8abda5", "8c3bcd3a69831d7f", "d2d9a7ff4fbe95a7",
	  "707197817fb2d90cf54d1842606bdea59b9f4823", "384be709a8a5e63c3ed160cfe3921c4b37d5b32d",
	  "48b327575abe3adba0f279849e289022a13e2b47", "a4a415c8e0c38c0da847c356cc61c24df8025560" },
};

static struct keymat_suite suite(const char *cipher, unsigned prf)
{
	struct keymat_suite s = { .prf = prf_info(prf) };

	ck_assert_int_eq(esp_suite_parse(cipher, "sha1", &s.sk, NULL, 0), 0);
	return s;
}

START_TEST(test_skeyid_of_acvp)
{
	uint8_t gxy[64], psk[64], ni[64], nr[64], i[8], r[8], want[32];
	size_t n_gxy = unhex(vecs[_i].gxy, gxy, 64), n_ni = unhex(vecs[_i].ni, ni, 64),
	       n_nr = unhex(vecs[_i].nr, nr, 64);
	struct keymat_suite s = suite("aes256", PRF_HMAC_SHA1);
	struct ike_keys k;
	struct span secret = span_of(psk, vecs[_i].psk ? unhex(vecs[_i].psk, psk, 64) : 0);

	unhex(vecs[_i].ci, i, 8);
	unhex(vecs[_i].cr, r, 8);
	ck_assert_int_eq(v1_keymat(&s, vecs[_i].psk ? &secret : NULL, span_of(ni, n_ni),
				   span_of(nr, n_nr), span_of(gxy, n_gxy), i, r, &k),
			 0);
	check_bytes("SKEYID", k.pi, span_of(want, unhex(vecs[_i].skeyid, want, 32)));
	check_bytes("SKEYID_d", k.d, span_of(want, unhex(vecs[_i].d, want, 32)));
	check_bytes("SKEYID_a", k.ai, span_of(want, unhex(vecs[_i].a, want, 32)));
	check_bytes("SKEYID_e", k.pr, span_of(want, unhex(vecs[_i].e, want, 32)));
	/* appendix B: 32 bytes out of 20 are K1 | K2, K1 = prf(SKEYID_e, 0) */
	uint8_t zero = 0, k1[PRF_LEN_MAX], k2[PRF_LEN_MAX], both[40];
	struct span v = span_of(&zero, 1);
	ck_assert_int_eq(prf_compute(s.prf, k.pr, &v, 1, k1), 0);
	v = span_of(k1, 20);
	ck_assert_int_eq(prf_compute(s.prf, k.pr, &v, 1, k2), 0);
	memcpy(both, k1, 20);
	memcpy(both + 20, k2, 20);
	check_bytes("Ka", k.ei, span_of(both, 32));
	keymat_free(&k);
	/* a key that fits is the start of SKEYID_e */
	s = suite("aes128", PRF_HMAC_SHA1);
	ck_assert_int_eq(v1_keymat(&s, vecs[_i].psk ? &secret : NULL, span_of(ni, n_ni),
				   span_of(nr, n_nr), span_of(gxy, n_gxy), i, r, &k),
			 0);
	check_bytes("Ka of AES-128", k.ei, span_of(want, 16));
	keymat_free(&k);
	s = suite("aes128", PRF_HMAC_SHA1);
	ck_assert_int_eq(esp_suite_parse("aes128gcm16", NULL, &s.sk, NULL, 0), 0);
	ck_assert_int_eq(v1_keymat(&s, NULL, v, v, v, i, r, &k), -ENOTSUP);
}
END_TEST

/* SP 800-38A F.2.1 (AES-128), F.2.5 (AES-256): two blocks, in two pieces of one chain */
START_TEST(test_cbc_of_sp800_38a)
{
	static const struct {
		const char *key, *out[2];
	} v[] = {
		{ "2b7e151628aed2a6abf7158809cf4f3c",
		  { "7649abac8119b246cee98e9b12e9197d", "5086cb9b507219ee95db113a917678b2" } },
		{ "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		  { "f58c4c04d6e5f1ba779eabfb5f7bfbd6", "9cfc4e967edb808d679f777bc6702c7d" } },
	};
	uint8_t key[32], iv[16], p[2][16], want[16];
	struct span k = span_of(key, unhex(v[_i].key, key, 32));

	unhex("000102030405060708090a0b0c0d0e0f", iv, 16);
	unhex("6bc1bee22e409f96e93d7e117393172a", p[0], 16);
	unhex("ae2d8a571e03ac9c9eb76fac45af8e51", p[1], 16);
	for (unsigned i = 0; i < 2; i++) {
		unhex(v[_i].out[i], want, 16);
		ck_assert_int_eq(cbc_crypt(ENCR_AES_CBC, true, k, iv, p[i], 16), 0);
		check_bytes("block", span_of(p[i], 16), span_of(want, 16));
		check_bytes("next IV", span_of(iv, 16), span_of(want, 16));
	}
	unhex("000102030405060708090a0b0c0d0e0f", iv, 16);
	ck_assert_int_eq(cbc_crypt(ENCR_AES_CBC, false, k, iv, p[0], 32), 0);
	check_bytes("next IV", span_of(iv, 16), span_of(want, 16));
	unhex("ae2d8a571e03ac9c9eb76fac45af8e51", want, 16);
	check_bytes("plain", span_of(p[1], 16), span_of(want, 16));
	ck_assert_int_eq(cbc_crypt(ENCR_AES_CBC, false, k, iv, p[0], 17), -EINVAL);
	ck_assert_int_eq(cbc_crypt(ENCR_AES_GCM_16, false, k, iv, p[0], 16), -EINVAL);
	ck_assert_int_eq(cbc_crypt(ENCR_3DES, false, span_of(key, 16), iv, p[0], 16), -EINVAL);
}
END_TEST

/* FIPS 46-3 test: DES of "Now is t" under 0123456789abcdef (FIPS 81), one block with IV 0 */
START_TEST(test_cbc_of_des)
{
	uint8_t key[24], iv[16] = { 0 }, p[8], want[8];

	unhex("0123456789abcdef0123456789abcdef0123456789abcdef", key, 24);
	memcpy(p, "Now is t", 8);
	unhex("3fa40e8a984d4815", want, 8);
	ck_assert_int_eq(cbc_crypt(ENCR_DES, true, span_of(key, 8), iv, p, 8), 0);
	check_bytes("DES", span_of(p, 8), span_of(want, 8));
	memcpy(p, "Now is t", 8);
	memset(iv, 0, 16);
	ck_assert_int_eq(cbc_crypt(ENCR_3DES, true, span_of(key, 24), iv, p, 8), 0);
	check_bytes("3DES with three equal keys", span_of(p, 8), span_of(want, 8));
	ck_assert_uint_eq(cbc_block(ENCR_3DES), 8);
	ck_assert_uint_eq(cbc_block(ENCR_AES_CBC), 16);
	ck_assert_uint_eq(cbc_block(ENCR_AES_CTR), 0);
}
END_TEST

static void keys_of_test(const struct keymat_suite *s, struct ike_keys *k)
{
	struct span v = span_of("secret", 6), nonce = span_of("a nonce of ours.", 16);

	ck_assert_int_eq(v1_keymat(s, &v, nonce, nonce, span_of("shared secret", 13), ci, cr, k), 0);
}

static void hash_payload(const struct keymat_suite *s)
{
	struct ike_payload *p = ike_msg_add(&m, IKE1_HASH, true);

	p->raw.data = span_of(NULL, s->prf->len);
}

static size_t datagram(const struct sealed *sealed, unsigned i, uint8_t *out)
{
	size_t len = sealed->off[i + 1] - sealed->off[i];

	memcpy(out, sealed->bytes + sealed->off[i], len);
	return len;
}

/* Two messages of one exchange, then a third with a wrong byte: the chain goes on from the second. */
START_TEST(test_chain_of_an_exchange)
{
	static const char *const ciphers[] = { "aes128", "3des" };
	struct keymat_suite s = suite(ciphers[_i], PRF_HMAC_SHA2_256);
	uint8_t iv[2][CBC_BLOCK_MAX], first[CBC_BLOCK_MAX] = { 7 }, buf[2048], was[CBC_BLOCK_MAX];
	struct v1_hash h = { .kind = V1_HASH_1, .id = 0xabcd };
	struct ike_keys k;

	keys_of_test(&s, &k);
	ck_assert_int_eq(v1_iv_exchange(&s, first, 0xabcd, iv[0]), 0);
	memcpy(iv[1], iv[0], CBC_BLOCK_MAX);
	for (unsigned i = 0; i < 5; i++) {
		struct sealed out;
		ike_msg_init(&m, 0x10, ci, cr, IKE1_X_INFO, 0, 0xabcd);
		hash_payload(&s);
		for (unsigned j = 0; j <= i; j++)
			ike_msg_add(&m, IKE1_VID, true)->raw.data = span_of("0123456789", 10 - i);
		ck_assert_int_eq(v1_seal(&m, &s, &k, &h, iv[0], 0, 0, &out), 0);
		ck_assert_uint_eq(out.n, 1);
		size_t len = datagram(&out, 0, buf);
		ck_assert_uint_eq((len - IKE_HDR_LEN) % cbc_block(s.sk.encr->id), 0);
		if (i == 3) { /* changed on the way: refused, and the chain stays where it was */
			memcpy(was, iv[1], CBC_BLOCK_MAX);
			buf[len - 1] ^= 1;
			ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
			ck_assert_int_eq(v1_open(&n, buf, &s, &k, &h, iv[1], &bad), -EBADMSG);
			check_bytes("IV", span_of(iv[1], CBC_BLOCK_MAX), span_of(was, CBC_BLOCK_MAX));
			len = datagram(&out, 0, buf);
		}
		ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
		ck_assert_uint_eq(n.hdr.flags, IKE1_FLAG_E);
		ck_assert_int_eq(v1_open(&n, buf, &s, &k, &h, iv[1], &bad), 0);
		ck_assert_uint_eq(n.n_payloads, i + 2);
		ck_assert_uint_eq(n.payload[1].raw.data.len, 10 - i);
		check_bytes("IVs", span_of(iv[0], CBC_BLOCK_MAX), span_of(iv[1], CBC_BLOCK_MAX));
		sealed_free(&out);
	}
	keymat_free(&k);
}
END_TEST

/* RFC 2409 5.5, 5.7 by hand: HASH(1), HASH(2), HASH(3), HASH_I, HASH_R */
START_TEST(test_hashes_as_written)
{
	const struct prf_info *prf = prf_info(PRF_HMAC_SHA1);
	struct span key = span_of("key", 3), ni = span_of("NiNiNiNi", 8), nr = span_of("NrNr", 4),
		    rest = span_of("rest", 4);
	uint8_t id[4] = { 0x12, 0x34, 0x56, 0x78 }, zero = 0, got[PRF_LEN_MAX], want[PRF_LEN_MAX];
	struct v1_hash h = { .id = 0x12345678, .ni = ni, .nr = nr };

	for (unsigned kind = 1; kind <= 3; kind++) {
		struct span v[4];
		unsigned c = 0;
		h.kind = (enum v1_hash_kind)kind;
		if (kind == 3)
			v[c++] = span_of(&zero, 1);
		v[c++] = span_of(id, 4);
		if (kind > 1)
			v[c++] = ni;
		v[c++] = kind == 3 ? nr : rest;
		ck_assert_int_eq(v1_hash_message(prf, key, &h, rest, got), 0);
		ck_assert_int_eq(prf_compute(prf, key, v, c, want), 0);
		check_bytes("HASH(n)", span_of(got, 20), span_of(want, 20));
	}
	struct v1_auth a = { .prf = prf, .skeyid = key, .gxi = ni, .gxr = nr, .sai_b = rest,
			     .spi_i = ci, .spi_r = cr };
	struct span i[] = { ni, nr, span_of(ci, 8), span_of(cr, 8), rest, span_of("ID", 2) };
	struct span r[] = { nr, ni, span_of(cr, 8), span_of(ci, 8), rest, span_of("ID", 2) };
	ck_assert_int_eq(v1_hash_auth(&a, true, span_of("ID", 2), got), 0);
	ck_assert_int_eq(prf_compute(prf, key, i, 6, want), 0);
	check_bytes("HASH_I", span_of(got, 20), span_of(want, 20));
	ck_assert_int_eq(v1_hash_auth(&a, false, span_of("ID", 2), got), 0);
	ck_assert_int_eq(prf_compute(prf, key, r, 6, want), 0);
	check_bytes("HASH_R", span_of(got, 20), span_of(want, 20));
}
END_TEST

/* KEYMAT = K1 | K2 ..., each direction with its own SPI, with and without g^xy. */
START_TEST(test_keymat_of_a_child)
{
	const struct prf_info *prf = prf_info(PRF_HMAC_SHA1);
	struct span d = span_of("skeyid_d", 8), ni = span_of("nonce i.", 8), nr = span_of("nonce r.", 8),
		    g = _i ? span_of("g^xy", 4) : span_of(NULL, 0);
	uint8_t proto = 3, spi[4] = { 0xaa, 0xbb, 0xcc, 0xdd }, k[3][PRF_LEN_MAX], all[60];
	struct esp_suite s = suite_of("aes256-sha256");
	struct secret e, a;

	for (unsigned i = 0; i < 3; i++) {
		struct span v[] = { i ? span_of(k[i - 1], 20) : span_of(NULL, 0), g,
				    span_of(&proto, 1), span_of(spi, 4), ni, nr };
		ck_assert_int_eq(prf_compute(prf, d, v, 6, k[i]), 0);
		memcpy(all + 20 * i, k[i], 20);
	}
	s = suite_of("aes192-sha1");
	ck_assert_int_eq(v1_keymat_child(prf, d, g, 3, 0xaabbccdd, ni, nr, &s, &e, &a), 0);
	check_bytes("cipher", secret_view(&e), span_of(all, 24));
	check_bytes("integrity", secret_view(&a), span_of(all + 24, 20));
	secret_free(&e);
	secret_free(&a);
	s = suite_of("aes256gcm16");
	ck_assert_int_eq(v1_keymat_child(prf, d, g, 3, 0xaabbccdd, ni, nr, &s, &e, &a), 0);
	check_bytes("with salt", secret_view(&e), span_of(all, 36));
	ck_assert_ptr_null(a.p);
	secret_free(&e);
}
END_TEST

/* RFC 4231's way to be sure of a signature: what one key signs only that key's public half takes. */
START_TEST(test_signature_of_a_hash)
{
	static const struct {
		const char *curve;
		size_t len;
		int hash;
	} rows[] = { { NULL, 256, 0 },
		     { "P-256", 64, HASH_SHA2_256 },
		     { "P-384", 96, HASH_SHA2_384 },
		     { "P-521", 132, HASH_SHA2_512 } };
	EVP_PKEY *key = rows[_i].curve ? EVP_EC_gen(rows[_i].curve) : EVP_RSA_gen(2048);
	uint8_t digest[64], sig[SIG_LEN_MAX];
	size_t len;

	memset(digest, 0x5a, sizeof(digest));
	ck_assert_ptr_nonnull(key);
	ck_assert(sig_digest_fits(key));
	ck_assert_int_eq(sig_digest_hash(key), rows[_i].hash);
	ck_assert_int_eq(sig_digest_sign(key, span_of(digest, 32), sig, &len), 0);
	ck_assert_uint_eq(len, rows[_i].len);
	ck_assert_int_eq(sig_digest_verify(key, span_of(digest, 32), span_of(sig, len)), 0);
	digest[0] ^= 1;
	ck_assert_int_eq(sig_digest_verify(key, span_of(digest, 32), span_of(sig, len)), -EBADMSG);
	ck_assert_int_eq(sig_digest_verify(key, span_of(digest, 32), span_of(sig, len - 1)),
			 -EBADMSG);
	if (!rows[_i].curve) {
		/* "as a private key encryption": the public key gives the value back, no OID in it */
		uint8_t back[256];
		size_t n_back = sizeof(back);
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
		digest[0] ^= 1;
		ck_assert_int_gt(EVP_PKEY_verify_recover_init(c), 0);
		ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING), 0);
		ck_assert_int_gt(EVP_PKEY_verify_recover(c, back, &n_back, sig, len), 0);
		check_bytes("plain", span_of(back, n_back), span_of(digest, 32));
		EVP_PKEY_CTX_free(c);
	}
	EVP_PKEY_free(key);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	ck_assert(!sig_digest_fits(key));
	ck_assert_int_eq(sig_digest_sign(key, span_of(digest, 32), sig, &len), -EKEYREJECTED);
	EVP_PKEY_free(key);
}
END_TEST

/* ---- NAT detection */

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	ck_assert_int_eq(ip_addr_parse(addr, &e.addr), 0);
	return e;
}

START_TEST(test_natd_tells_which_side)
{
	/* how the packet arrives differs from how it was sent: nobody, the sender, the receiver, both */
	static const bool snat[] = { false, true, false, true }, dnat[] = { false, false, true, true };
	struct endpoint a = at("192.0.2.1", 500), b = at("198.51.100.1", 500),
			seen_a = at(snat[_i] ? "203.0.113.9" : "192.0.2.1", snat[_i] ? 1024 : 500),
			seen_b = at(dnat[_i] ? "10.0.0.1" : "198.51.100.1", 500);
	uint8_t room[2 * HASH_LEN_MAX];
	bool here, there;

	for (unsigned natt = V1_NATT_DRAFT; natt <= V1_NATT_RFC; natt++) {
		ike_msg_init(&m, 0x10, ci, cr, IKE1_X_MAIN, 0, 0);
		ck_assert_int_eq(v1_natd_add(&m, false, (enum v1_natt)natt, HASH_SHA2_256, ci, cr, &a, &b,
					     false, room),
				 0);
		ck_assert_uint_eq(m.payload[0].type, natt == V1_NATT_RFC ? 20 : 130);
		ck_assert_uint_eq(v1_natd_check(&m, (enum v1_natt)natt, HASH_SHA2_256, &seen_b, &seen_a,
						&here, &there),
				  2);
		ck_assert_int_eq(here, dnat[_i]);
		ck_assert_int_eq(there, snat[_i]);
		/* forced: the peer must think that we are behind NAT */
		ike_msg_init(&m, 0x10, ci, cr, IKE1_X_MAIN, 0, 0);
		ck_assert_int_eq(v1_natd_add(&m, false, (enum v1_natt)natt, HASH_SHA2_256, ci, cr, &a, &b,
					     true, room),
				 0);
		v1_natd_check(&m, (enum v1_natt)natt, HASH_SHA2_256, &seen_b, &seen_a, &here, &there);
		ck_assert(there);
	}
	ck_assert_uint_eq(v1_natd_check(&m, V1_NATT_NONE, HASH_SHA1, &a, &b, &here, &there), 0);
	ck_assert(!here && !there);
	ck_assert_uint_eq(v1_encap_mode(false, true, V1_NATT_RFC), 3);
	ck_assert_uint_eq(v1_encap_mode(true, true, V1_NATT_DRAFT), 61444);
	ck_assert_uint_eq(v1_encap_mode(true, false, V1_NATT_DRAFT), 2);
	ck_assert_uint_eq(v1_natoa_payload(V1_NATT_DRAFT), 131);
}
END_TEST

START_TEST(test_vendor_ids)
{
	uint8_t room[V1_VENDOR_ROOM];
	uint32_t ours = v1_vendors_ours(true), rfc = V1_VID(IKE_VENDOR_NATT_RFC3947);

	ike_msg_init(&m, 0x10, ci, cr, IKE1_X_MAIN, 0, 0);
	ck_assert_int_eq(v1_vendors_add(&m, ours, room), 0);
	ck_assert_uint_eq(v1_vendors_of(&m), ours);
	ck_assert(ours & V1_VID(IKE_VENDOR_DPD));
	ck_assert(!(v1_vendors_ours(false) & V1_VID(IKE_VENDOR_FRAGMENTATION)));
	ck_assert_int_eq(v1_vendors_natt(ours, ours), V1_NATT_RFC);
	ck_assert_int_eq(v1_vendors_natt(ours, ours & ~rfc), V1_NATT_DRAFT);
	ck_assert_int_eq(v1_vendors_natt(ours, V1_VID(IKE_VENDOR_NATT_02N)), V1_NATT_DRAFT);
	ck_assert_int_eq(v1_vendors_natt(ours, V1_VID(IKE_VENDOR_DPD)), V1_NATT_NONE);
	ck_assert_int_eq(v1_vendors_natt(rfc, V1_VID(IKE_VENDOR_NATT_03)), V1_NATT_NONE);
}
END_TEST

/* ---- fragments */

static int frag_in(struct v1_frags *f, const struct sealed *s, unsigned i, struct buf *whole)
{
	uint8_t buf[2048];
	size_t len = datagram(s, i, buf);

	ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
	ck_assert_uint_eq(n.payload[0].type, IKE1_FRAGMENT);
	return v1_frag_add(f, &n.hdr, &n.payload[0], whole, &bad);
}

START_TEST(test_fragments_come_together)
{
	uint8_t message[3000];
	struct v1_frags f = { 0 };
	struct sealed s, t;
	struct buf whole;
	struct wr w = wr_of(message, sizeof(message));

	ike_msg_init(&m, 0x10, ci, cr, IKE1_X_MAIN, IKE1_FLAG_E, 0);
	m.cipher = span_of(NULL, 2000);
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	for (unsigned i = IKE_HDR_LEN; i < w.len; i++)
		message[i] = (uint8_t)i;
	ck_assert_int_eq(v1_frag_split(wr_view(&w), 576, 1, &s), 0);
	ck_assert_uint_eq(s.n, 4);
	for (unsigned i = 0; i < s.n; i++)
		ck_assert_uint_le(s.off[i + 1] - s.off[i], 576);
	/* last first, one twice */
	ck_assert_int_eq(frag_in(&f, &s, 3, &whole), -EINPROGRESS);
	ck_assert_int_eq(frag_in(&f, &s, 0, &whole), -EINPROGRESS);
	ck_assert_int_eq(frag_in(&f, &s, 0, &whole), -EALREADY);
	ck_assert_int_eq(frag_in(&f, &s, 2, &whole), -EINPROGRESS);
	ck_assert_int_eq(frag_in(&f, &s, 1, &whole), 0);
	check_bytes("whole", span_of(whole.p, whole.len), wr_view(&w));
	free(whole.p);
	ck_assert_ptr_null(f.part);
	/* a new number takes the place of what was gathered */
	ck_assert_int_eq(v1_frag_split(wr_view(&w), 1000, 2, &t), 0);
	ck_assert_int_eq(frag_in(&f, &s, 0, &whole), -EINPROGRESS);
	for (unsigned i = 0; i + 1 < t.n; i++)
		ck_assert_int_eq(frag_in(&f, &t, i, &whole), -EINPROGRESS);
	ck_assert_int_eq(frag_in(&f, &t, t.n - 1, &whole), 0);
	free(whole.p);
	/* what fits goes as it is */
	sealed_free(&t);
	ck_assert_int_eq(v1_frag_split(wr_view(&w), 0, 2, &t), 0);
	ck_assert_uint_eq(t.n, 1);
	sealed_free(&t);
	ck_assert_int_eq(v1_frag_split(wr_view(&w), 40, 2, &t), -EMSGSIZE);
	ck_assert_int_eq(v1_frag_split(wr_view(&w), 30, 2, &t), -EMSGSIZE);
	v1_frags_reset(&f);
	sealed_free(&s);
}
END_TEST

/* What does not make a message is forgotten, and never more than one message is kept. */
START_TEST(test_fragments_that_lie)
{
	static const struct {
		uint8_t number, flags, number2, flags2;
	} rows[] = {
		{ 65, 0, 0, 0 }, { 2, 1, 3, 0 }, { 3, 0, 2, 1 }, { 2, 1, 1, 1 }, { 1, 1, 0, 0 },
	};
	struct v1_frags f = { 0 };
	struct buf whole;
	struct ike_hdr h = { .version = 0x10 };
	struct ike_payload p = { .type = IKE1_FRAGMENT };

	p.frag.id = 1;
	p.frag.number = rows[_i].number;
	p.frag.flags = rows[_i].flags;
	p.frag.data = span_of("some bytes that are no message", 30);
	int rc = v1_frag_add(&f, &h, &p, &whole, &bad);
	if (rows[_i].number2) {
		ck_assert_int_eq(rc, -EINPROGRESS);
		p.frag.number = rows[_i].number2;
		p.frag.flags = rows[_i].flags2;
		rc = v1_frag_add(&f, &h, &p, &whole, &bad);
	}
	ck_assert_int_eq(rc, -EBADMSG);
	ck_assert(bad.notify && bad.why[0]);
	ck_assert_ptr_null(f.part);
	ck_assert_ptr_null(whole.p);
	/* 64 kB is the end */
	static uint8_t big[2000];
	p.frag.data = span_of(big, sizeof(big));
	p.frag.flags = 0;
	rc = -EINPROGRESS;
	for (p.frag.number = 1; p.frag.number <= 64 && rc == -EINPROGRESS; p.frag.number++)
		rc = v1_frag_add(&f, &h, &p, &whole, &bad);
	ck_assert_int_eq(rc, -EBADMSG);
	v1_frags_reset(&f);
}
END_TEST

TCase *v1_crypt_case(void)
{
	TCase *t = tcase_create("crypt");

	tcase_add_loop_test(t, test_skeyid_of_acvp, 0, ARRAY_LEN(vecs));
	tcase_add_loop_test(t, test_cbc_of_sp800_38a, 0, 2);
	tcase_add_test(t, test_cbc_of_des);
	tcase_add_loop_test(t, test_chain_of_an_exchange, 0, 2);
	tcase_add_test(t, test_hashes_as_written);
	tcase_add_loop_test(t, test_keymat_of_a_child, 0, 2);
	tcase_add_loop_test(t, test_signature_of_a_hash, 0, 4);
	tcase_add_loop_test(t, test_natd_tells_which_side, 0, 4);
	tcase_add_test(t, test_vendor_ids);
	tcase_add_test(t, test_fragments_come_together);
	tcase_add_loop_test(t, test_fragments_that_lie, 0, 5);
	return t;
}

int main(void)
{
	if (secret_init() || crypt_init())
		return 1;
	Suite *s = suite_create("ikev1");
	suite_add_tcase(s, v1_sa_case());
	suite_add_tcase(s, v1_section5_case());
	suite_add_tcase(s, v1_crypt_case());
	suite_add_tcase(s, v1_recorded_case());
	suite_add_tcase(s, v1_pool_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
