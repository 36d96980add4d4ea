/* Sealed messages: against OpenSSL called directly, every suite there and back, every tampering. */
#include <errno.h>
#include <openssl/evp.h>

#include "crypto/sk.h"
#include "ike_crypto.h"
#include "must.h"

enum { HEAD = 32, ROOM = 2048 };

static const uint8_t material[128] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };

static struct sk_key *key(const struct esp_suite *s, enum crypt_dir dir)
{
	struct sk_key *k;

	ck_assert_int_eq(sk_key_new(s, dir, span_of(material, s->key_len + s->encr->salt_len),
				    span_of(material + 48, s->integ ? s->integ->key_len : 0), &k),
			 0);
	return k;
}

/* RFC 5282: nonce = salt | IV, associated data = header, text | 0 as Pad Length. */
START_TEST(test_gcm_by_hand)
{
	struct esp_suite s = suite_of("aes256gcm16");
	struct sk_key *k = key(&s, CRYPT_SEAL);
	uint8_t msg[ROOM] = "header", nonce[12], plain[64], none[16];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t len;
	int n;

	for (unsigned round = 0; round < 3; round++) {
		ck_assert_int_eq(sk_seal(k, msg, ROOM, 28 + 9, span_of("twelve bytes", 12), &len),
				 0);
		ck_assert_uint_eq(len, 28 + 9 + 8 + 13 + 16);
		ck_assert_uint_eq(load_be64(msg + 37), round); /* the IV counts */
		memcpy(nonce, material + 32, 4);
		memcpy(nonce + 4, msg + 37, 8);
		ck_assert(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, material, nonce) &&
			  EVP_DecryptUpdate(c, NULL, &n, msg, 37) &&
			  EVP_DecryptUpdate(c, plain, &n, msg + 45, 13) &&
			  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, msg + 58) &&
			  EVP_DecryptFinal_ex(c, none, &n));
		check_bytes("text", span_of(plain, 13), span_of("twelve bytes", 13));
	}
	EVP_CIPHER_CTX_free(c);
	sk_key_free(&k);
	ck_assert_ptr_null(k);
}
END_TEST

/* RFC 7296 3.14: encrypt, then the MAC of everything in front of it. */
START_TEST(test_cbc_by_hand)
{
	struct esp_suite s = suite_of("aes128-sha256");
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	uint8_t msg[ROOM] = "header", mac[32], plain[64];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	struct span text;
	size_t len, n_mac;
	int n;

	ck_assert_int_eq(sk_seal(k, msg, ROOM, HEAD, span_of("seventeen bytes..", 17), &len), 0);
	ck_assert_uint_eq(len, HEAD + 16 + 32 + 16);
	ck_assert_ptr_nonnull(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, material + 48, 32, msg,
					len - 16, mac, sizeof(mac), &n_mac));
	check_bytes("ICV", span_of(msg + len - 16, 16), span_of(mac, 16));
	ck_assert(EVP_DecryptInit_ex(c, EVP_aes_128_cbc(), NULL, material, msg + HEAD) &&
		  EVP_CIPHER_CTX_set_padding(c, 0) &&
		  EVP_DecryptUpdate(c, plain, &n, msg + HEAD + 16, 32));
	ck_assert_int_eq(memcmp(plain, "seventeen bytes..", 17), 0);
	ck_assert_uint_eq(plain[31], 14); /* Pad Length */
	/* Another's padding may hold anything and be longer than needed; longer than all is
	 * refused. */
	memset(plain, 0xee, 31);
	for (unsigned pad = 30; pad < 34; pad++) {
		plain[31] = (uint8_t)pad;
		ck_assert(EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, material, msg + HEAD) &&
			  EVP_CIPHER_CTX_set_padding(c, 0) &&
			  EVP_EncryptUpdate(c, msg + HEAD + 16, &n, plain, 32));
		EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, material + 48, 32, msg, len - 16, mac,
			  sizeof(mac), &n_mac);
		memcpy(msg + len - 16, mac, 16);
		ck_assert_int_eq(sk_open(o, msg, len, HEAD, &text), pad < 32 ? 0 : -EBADMSG);
		ck_assert_uint_eq(text.len, pad < 32 ? 31 - pad : 0);
	}
	EVP_CIPHER_CTX_free(c);
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

/* RFC 5930 2: counter block = salt | IV | 1, and no padding. */
START_TEST(test_ctr_by_hand)
{
	struct esp_suite s = suite_of("aes128ctr-sha1");
	struct sk_key *k = key(&s, CRYPT_SEAL);
	uint8_t msg[ROOM] = "header", counter[16] = { 0 }, plain[64];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t len;
	int n;

	ck_assert_int_eq(sk_seal(k, msg, ROOM, HEAD, span_of("seventeen bytes..", 17), &len), 0);
	ck_assert_uint_eq(len, HEAD + 8 + 18 + 12);
	memcpy(counter, material + 16, 4);
	memcpy(counter + 4, msg + HEAD, 8);
	counter[15] = 1;
	ck_assert(EVP_DecryptInit_ex(c, EVP_aes_128_ctr(), NULL, material, counter) &&
		  EVP_DecryptUpdate(c, plain, &n, msg + HEAD + 8, 18));
	check_bytes("text", span_of(plain, 18), span_of("seventeen bytes..", 18));
	EVP_CIPHER_CTX_free(c);
	sk_key_free(&k);
}
END_TEST

static void there_and_back(const struct esp_suite *s, void *arg)
{
	uint8_t msg[ROOM], copy[ROOM], text[600];
	struct sk_key *k, *o;
	struct span got;
	size_t len;

	if (!sk_suite_ok(s)) {
		ck_assert_int_eq(
		    sk_key_new(s, CRYPT_SEAL, span_of(material, s->key_len + s->encr->salt_len),
			       span_of(material, s->integ ? s->integ->key_len : 0), &k),
		    -ENOTSUP);
		ck_assert_ptr_null(k);
		return;
	}
	k = key(s, CRYPT_SEAL);
	o = key(s, CRYPT_OPEN);
	pick_bytes(text, sizeof(text));
	pick_bytes(msg, sizeof(msg));
	for (size_t n = 0; n < 600; n += n < 40 ? 1 : 97) {
		size_t head = 28 + n % 60; /* beyond what ESP has, and odd */
		ck_assert_int_eq(sk_seal(k, msg, ROOM, head, span_of(text, n), &len), 0);
		ck_assert_uint_eq(len, head + sk_sealed_len(s, n));
		memcpy(copy, msg, len);
		ck_assert_int_eq(sk_open(o, copy, len, head, &got), 0);
		check_bytes("text", got, span_of(text, n));
		ck_assert_int_eq(memcmp(copy, msg, head), 0);
		for (unsigned round = 0; round < 12; round++) {
			size_t at = round == 0 ? 0 : round == 1 ? len - 1 : pick((uint32_t)len);
			memcpy(copy, msg, len);
			copy[at] ^= (uint8_t)(1u << pick(8));
			ck_assert_msg(sk_open(o, copy, len, head, &got) == -EBADMSG,
				      "byte %zu of %zu changed", at, len);
			must_uint_eq(got.len, 0);
		}
		for (size_t cut = len; cut-- > (n == 7 ? 0 : len - 3);) {
			memcpy(copy, msg, len);
			ck_assert_int_eq(sk_open(o, copy, cut, head, &got), -EBADMSG);
		}
		/* Combined modes authenticate where the header ends; a separate ICV covers it all
		 * alike, the header's own length fields among it. */
		memcpy(copy, msg, len);
		if (s->encr->aead)
			ck_assert_int_eq(sk_open(o, copy, len, head - 1, &got), -EBADMSG);
	}
	ck_assert_int_eq(sk_seal(o, msg, ROOM, HEAD, span_of(text, 1), &len), -EIO);
	ck_assert_int_eq(sk_open(k, msg, 200, HEAD, &got), -EBADMSG);
	sk_key_free(&k);
	sk_key_free(&o);
	++*(unsigned *)arg;
}

START_TEST(test_every_suite)
{
	size_t before = secret_in_use();
	unsigned n = 0;

	suites_each(there_and_back, &n);
	ck_assert_uint_eq(n, 19 + 8 * 7); /* all but GMAC and NULL */
	ck_assert_uint_eq(secret_in_use(), before);
}
END_TEST

static void lengths(const struct esp_suite *s, void *arg)
{
	if (!sk_suite_ok(s))
		return;
	for (size_t room = 0; room < 300; room++) {
		size_t n = sk_text_max(s, room);
		if (n)
			must_uint_le(sk_sealed_len(s, n), room);
		if (room >= sk_sealed_len(s, 0))
			must_uint_gt(sk_sealed_len(s, n + 1), room);
	}
}

START_TEST(test_lengths)
{
	struct esp_suite s = suite_of("aes128-sha1");
	struct sk_key *k = key(&s, CRYPT_SEAL);
	uint8_t msg[ROOM] = { 0 }, text[16] = { 0 };
	size_t len, need = HEAD + sk_sealed_len(&s, 16);

	suites_each(lengths, NULL);
	msg[need - 1] = 0x5a;
	ck_assert_int_eq(sk_seal(k, msg, need - 1, HEAD, span_of(text, 16), &len), -ENOSPC);
	ck_assert_int_eq(sk_seal(k, msg, HEAD - 1, HEAD, span_of(text, 16), &len), -ENOSPC);
	ck_assert_uint_eq(msg[need - 1], 0x5a);
	ck_assert_int_eq(sk_seal(k, msg, need, HEAD, span_of(text, 16), &len), 0);
	ck_assert_uint_eq(len, need);
	sk_key_free(&k);
	sk_key_free(&k);
	ck_assert_int_eq(
	    sk_key_new(&s, CRYPT_SEAL, span_of(material, 15), span_of(material, 20), &k), -EINVAL);
	ck_assert_int_eq(
	    sk_key_new(&s, CRYPT_SEAL, span_of(material, 16), span_of(material, 21), &k), -EINVAL);
}
END_TEST

/* The text may already stand where it goes, or overlap it. */
START_TEST(test_in_place)
{
	struct esp_suite s = suite_of("chacha20poly1305");
	struct sk_key *k = key(&s, CRYPT_SEAL), *o = key(&s, CRYPT_OPEN);
	uint8_t msg[ROOM] = { 0 };
	struct span got;
	size_t len;

	for (unsigned shift = 0; shift <= 16; shift += 8) {
		memcpy(msg + HEAD + shift, "the text in the message", 23);
		ck_assert_int_eq(sk_seal(k, msg, ROOM, HEAD, span_of(msg + HEAD + shift, 23), &len),
				 0);
		ck_assert_int_eq(sk_open(o, msg, len, HEAD, &got), 0);
		check_bytes("text", got, span_of("the text in the message", 23));
	}
	sk_key_free(&k);
	sk_key_free(&o);
}
END_TEST

Suite *suite_sk(void)
{
	Suite *s = suite_create("ike crypto: sealed messages");
	TCase *t = tcase_create("sk");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_gcm_by_hand);
	tcase_add_test(t, test_cbc_by_hand);
	tcase_add_test(t, test_ctr_by_hand);
	tcase_add_test(t, test_every_suite);
	tcase_add_test(t, test_lengths);
	tcase_add_test(t, test_in_place);
	suite_add_tcase(s, t);
	return s;
}
