/* The transform table and its keywords; keys, contexts and refusals. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/secret.h"
#include "crypto_util.h"

/* ---- transforms
 * -------------------------------------------------------------------------------------------- */

static void name_round_trips(const struct esp_suite *s, void *arg)
{
	struct esp_suite again;
	char name[48], why[160];

	esp_suite_name(s, name);
	ck_assert_msg(esp_suite_parse(name, NULL, &again, why, sizeof(why)) == 0, "%s: %s", name,
		      why);
	ck_assert_ptr_eq(again.encr, s->encr);
	ck_assert_ptr_eq(again.integ, s->integ);
	ck_assert_uint_eq(again.key_len, s->key_len);
	ck_assert_uint_eq(again.iv_len, s->encr->iv_len);
	ck_assert_uint_eq(again.icv_len, s->integ ? s->integ->icv_len : s->encr->icv_len);
	ck_assert_uint_eq(again.align, s->encr->block > 4 ? s->encr->block : 4);
	ck_assert_int_eq(again.weak, s->encr->weak || (s->integ && s->integ->weak));
	++*(unsigned *)arg;
}

START_TEST(test_names)
{
	unsigned n = 0;

	suites_each(name_round_trips, &n);
	/* 22 combined, 9 ciphers with each of 7 integrity transforms */
	ck_assert_uint_eq(n, 22 + 9 * 7);
}
END_TEST

static const struct {
	const char *encr, *integ, *name;
} good_words[] = {
	{ "aes128gcm16", NULL, "aes128gcm16" },
	{ "AES256GCM8", "", "aes256gcm8" },
	{ "aes192gcm96", NULL, "aes192gcm12" },
	{ "aes192ccm12", NULL, "aes192ccm12" },
	{ "aes256ccm64", NULL, "aes256ccm8" },
	{ "aes", "sha1", "aes128-sha1" },
	{ "aes128", "sha2_256", "aes128-sha256" },
	{ "aes256-sha512", NULL, "aes256-sha512" },
	{ "aes128ctr", "aesxcbc", "aes128ctr-aesxcbc" },
	{ "3des-md5", NULL, "3des-md5" },
	{ "des", "sha", "des-sha1" },
	{ "null", "aescmac", "null-aescmac" },
	{ "aes256gmac", NULL, "aes256gmac" },
	{ "chacha20poly1305", NULL, "chacha20poly1305" },
};

START_TEST(test_good_words)
{
	struct esp_suite s;
	char name[48], why[160] = "";

	ck_assert_msg(
	    esp_suite_parse(good_words[_i].encr, good_words[_i].integ, &s, why, sizeof(why)) == 0,
	    "%s", why);
	ck_assert_str_eq(esp_suite_name(&s, name), good_words[_i].name);
}
END_TEST

static const struct {
	const char *encr, *integ, *says;
} bad_words[] = {
	{ "", NULL, "no cipher" },
	{ NULL, NULL, "no cipher" },
	{ "null", NULL, "without integrity" },
	{ "aes128", NULL, "without integrity" },
	{ "aes128-", NULL, "unknown integrity" },
	{ "3des", "", "without integrity" },
	{ "aes128gcm16", "sha256", "itself" },
	{ "aes128gcm16-sha256", NULL, "itself" },
	{ "aes128gmac", "sha1", "itself" },
	{ "aes128gcm15", NULL, "unknown cipher" },
	{ "aes129", "sha1", "unknown cipher" },
	{ "aes1280", "sha1", "unknown cipher" },
	{ "blowfish", "sha1", "unknown cipher" },
	{ "aes128", "sha3", "unknown integrity" },
	{ "aes128-sha256", "sha1", "twice" },
	{ "aes128-sha256-sha1", NULL, "unknown integrity" },
	{ "3des256", "sha1", "unknown cipher" },
};

START_TEST(test_bad_words)
{
	struct esp_suite s;
	char why[200] = "";

	ck_assert_int_eq(
	    esp_suite_parse(bad_words[_i].encr, bad_words[_i].integ, &s, why, sizeof(why)),
	    -EINVAL);
	ck_assert_msg(strstr(why, bad_words[_i].says), "\"%s\" does not say \"%s\"", why,
		      bad_words[_i].says);
	ck_assert_int_eq(esp_suite_parse(bad_words[_i].encr, bad_words[_i].integ, &s, NULL, 0),
			 -EINVAL);
}
END_TEST

START_TEST(test_make_by_number)
{
	struct esp_suite s;
	char why[160];

	ck_assert_int_eq(esp_suite_make(ENCR_AES_GCM_16, 0, INTEG_NONE, &s, why, sizeof(why)), 0);
	ck_assert_uint_eq(s.key_len, 16);
	ck_assert_int_eq(esp_suite_make(ENCR_AES_GCM_16, 20, INTEG_NONE, &s, why, sizeof(why)),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "160 bits"));
	ck_assert_int_eq(esp_suite_make(ENCR_3DES, 16, INTEG_HMAC_SHA1_96, &s, why, sizeof(why)),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "192 bits"));
	ck_assert_int_eq(esp_suite_make((enum encr_id)99, 0, INTEG_NONE, &s, why, sizeof(why)),
			 -EINVAL);
	ck_assert_int_eq(esp_suite_make(ENCR_NULL, 0, (enum integ_id)99, &s, why, sizeof(why)),
			 -EINVAL);
	ck_assert_int_eq(esp_suite_make(ENCR_NULL, 0, INTEG_NONE, &s, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_null(encr_info((enum encr_id)1));
	ck_assert_ptr_null(integ_info((enum integ_id)9)); /* of AH, and a cipher here */
	ck_assert_uint_eq(ah_gmac_key_len(INTEG_AES_192_GMAC), 24);
	ck_assert_uint_eq(ah_gmac_key_len(INTEG_AES_CMAC_96), 0);
	ck_assert_int_eq(ah_gmac_of(32), INTEG_AES_256_GMAC);
	ck_assert_int_eq(ah_gmac_of(20), INTEG_NONE);
}
END_TEST

Suite *suite_transform(void)
{
	Suite *s = suite_create("crypto: transforms");
	TCase *t = tcase_create("transform");

	tcase_add_test(t, test_names);
	tcase_add_loop_test(t, test_good_words, 0, ARRAY_LEN(good_words));
	tcase_add_loop_test(t, test_bad_words, 0, ARRAY_LEN(bad_words));
	tcase_add_test(t, test_make_by_number);
	suite_add_tcase(s, t);
	return s;
}

/* ---- keys and contexts
 * ------------------------------------------------------------------------------------- */

static const uint8_t material[96] = { 1, 2, 3 };

START_TEST(test_backends)
{
	struct esp_suite gcm = suite_of("aes128gcm16"), chacha = suite_of("chacha20poly1305");

	ck_assert_int_eq(crypt_init(), 0); /* again is allowed */
	ck_assert(crypt_backend_present(CRYPT_OPENSSL));
	ck_assert(crypt_backend_present(CRYPT_SODIUM));
	ck_assert(!crypt_backend_present(CRYPT_AUTO));
	ck_assert_int_eq(strncmp(crypt_backend_describe(CRYPT_OPENSSL), "OpenSSL 3", 9), 0);
	crypt_force_backend(CRYPT_SODIUM);
	ck_assert_int_eq(crypt_backend_of(&gcm), CRYPT_OPENSSL);
	ck_assert_int_eq(crypt_backend_of(&chacha), CRYPT_SODIUM);
	crypt_force_backend(CRYPT_IPSEC_MB);
	ck_assert_int_eq(crypt_backend_of(&gcm),
			 crypt_backend_present(CRYPT_IPSEC_MB) ? CRYPT_IPSEC_MB : CRYPT_OPENSSL);
	crypt_force_backend(CRYPT_AUTO);
	ck_assert_int_ne(crypt_backend_of(&chacha), CRYPT_AUTO);
	for (unsigned b = 0; b < CRYPT_BACKENDS; b++)
		printf("# %s: %s\n", crypt_backend_name(b), crypt_backend_describe(b));
}
END_TEST

static void key_lengths(const struct esp_suite *s, void *arg)
{
	size_t e = s->key_len + s->encr->salt_len, i = s->integ ? s->integ->key_len : 0,
	       before = secret_in_use();
	struct crypt_key *k;

	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		crypt_force_backend(b);
		ck_assert_int_eq(crypt_key_new(s, CRYPT_SEAL, false, span_of(material, e + 1),
					       span_of(material, i), 1, &k),
				 -EINVAL);
		ck_assert_int_eq(crypt_key_new(s, CRYPT_SEAL, false, span_of(material, e),
					       span_of(material, i + 1), 1, &k),
				 -EINVAL);
		ck_assert_int_eq(crypt_key_new(s, CRYPT_SEAL, false, span_of(material, e),
					       span_of(material, i), 0, &k),
				 -EINVAL);
		ck_assert_ptr_null(k);
		ck_assert_int_eq(crypt_key_new(s, CRYPT_OPEN, true, span_of(material, e),
					       span_of(material, i), 3, &k),
				 0);
		ck_assert_uint_ge(crypt_key_bytes(k), secret_in_use() - before);
		ck_assert_uint_gt(secret_in_use(), before);
		crypt_key_free(&k);
		ck_assert_ptr_null(k);
		ck_assert_uint_eq(secret_in_use(), before);
	}
	crypt_force_backend(CRYPT_AUTO);
}

START_TEST(test_keys)
{
	struct crypt_key *none = NULL;

	suites_each(key_lengths, NULL);
	crypt_key_free(&none);
}
END_TEST

/* What cannot be done is refused packet by packet, and the packets beside it are done. */
static void refusals(const struct esp_suite *s, void *arg)
{
	enum { ROOM = 256 };
	static uint8_t mem[5][ROOM];
	struct crypt_ctx *c = crypt_ctx_new(0), *other = crypt_ctx_new(1);
	unsigned head = 8u + s->iv_len;
	uint32_t len = s->encr->block;
	struct crypt_op ops[5];

	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		struct span e = span_of(material, s->key_len + s->encr->salt_len);
		struct span i = span_of(material, s->integ ? s->integ->key_len : 0);
		struct crypt_key *k = key_of(b, s, CRYPT_SEAL, false, e, i),
				 *o = key_of(b, s, CRYPT_OPEN, false, e, i);
		if (!k)
			continue;
		for (unsigned n = 0; n < 5; n++)
			ops[n] = (struct crypt_op){ .key = k,
						    .esp = mem[n],
						    .src = mem[n] + head,
						    .dst = mem[n] + head,
						    .len = len,
						    .iv = n };
		ops[0].len = 0;
		ops[2].len = CRYPT_TEXT_MAX + len;
		ops[3].len = len > 1 ? len + 1 : 0xfffffff0u;
		ops[3].ok = true;
		crypt_seal(c, ops, 5);
		ck_assert(!ops[0].ok && ops[1].ok && !ops[2].ok && !ops[3].ok && ops[4].ok);
		for (unsigned n = 0; n < 5; n++)
			ops[n].key = o;
		crypt_open(c, ops, 5);
		ck_assert(!ops[0].ok && ops[1].ok && !ops[2].ok && !ops[3].ok && ops[4].ok);
		ops[1].ok = true;
		crypt_seal(c, ops + 1, 1); /* a key for the other direction */
		ck_assert(!ops[1].ok);
		ops[1].ok = true;
		crypt_open(other, ops + 1, 1); /* a thread the key was not made for */
		ck_assert(!ops[1].ok);
		crypt_open(c, ops, 0);
		crypt_key_free(&k);
		crypt_key_free(&o);
	}
	crypt_ctx_free(&c);
	crypt_ctx_free(&other);
}

START_TEST(test_refusals)
{
	static const char *const names[] = { "aes128gcm16",      "aes128ccm8",   "chacha20poly1305",
					     "aes256gmac",       "aes128-sha1",  "3des-sha256",
					     "aes128ctr-sha384", "null-aesxcbc", "null-sha512" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		struct esp_suite s = suite_of(names[i]);
		refusals(&s, NULL);
	}
}
END_TEST

static int cmp16(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/* CBC's IVs: all different over several refills, whatever op.iv says, and other ones in another
 * context. */
START_TEST(test_cbc_ivs)
{
	enum { N = 2000 };
	static uint8_t ivs[N][16];
	struct esp_suite s = suite_of("aes128-sha256");
	uint8_t pkt[96] = { 0 }, text[16] = { 0 };

	for (unsigned b = CRYPT_OPENSSL; b <= CRYPT_IPSEC_MB; b++) {
		struct crypt_key *k =
		    key_of(b, &s, CRYPT_SEAL, false, span_of(material, 16), span_of(material, 32));
		if (!k)
			continue;
		struct crypt_ctx *c = NULL;
		for (unsigned i = 0; i < N; i++) {
			if (i % (N / 2) == 0) {
				crypt_ctx_free(&c);
				c = crypt_ctx_new(0);
			}
			struct crypt_op op = { .key = k,
					       .esp = pkt,
					       .src = text,
					       .dst = pkt + 24,
					       .len = 16,
					       .iv = 1 };
			crypt_seal(c, &op, 1);
			ck_assert(op.ok);
			memcpy(ivs[i], pkt + 8, 16);
		}
		qsort(ivs, N, 16, cmp16);
		for (unsigned i = 1; i < N; i++)
			ck_assert_int_ne(memcmp(ivs[i - 1], ivs[i], 16), 0);
		crypt_ctx_free(&c);
		crypt_key_free(&k);
	}
}
END_TEST

static void same_bytes(void *p, size_t n)
{
	memset(p, 0x42, n);
}

/* The seed comes from base/random, so a test can make the IVs repeat. */
START_TEST(test_iv_source)
{
	uint8_t a[16], b[16];

	random_set_source(same_bytes);
	struct ivgen *g = ivgen_new(), *h = ivgen_new();
	random_set_source(NULL);
	for (unsigned i = 0; i < 1000; i++) {
		ivgen_take(g, a, 16);
		ivgen_take(h, b, 16);
		check_bytes("iv", span_of(a, 16), span_of(b, 16));
	}
	for (unsigned i = 0; i < 32; i++)
		ck_assert_uint_eq(g->piece[i], 0); /* where the next key stood */
	ivgen_free(g);
	ivgen_free(h);
}
END_TEST

Suite *suite_crypt(void)
{
	Suite *s = suite_create("crypto: keys and contexts");
	TCase *t = tcase_create("crypt");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_backends);
	tcase_add_test(t, test_keys);
	tcase_add_test(t, test_refusals);
	tcase_add_test(t, test_cbc_ivs);
	tcase_add_test(t, test_iv_source);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (secret_init() || crypt_init()) {
		fprintf(stderr, "the crypto layer does not start\n");
		return 1;
	}
	SRunner *r = srunner_create(suite_transform());
	srunner_add_suite(r, suite_crypt());
	srunner_add_suite(r, suite_rfc());
	srunner_add_suite(r, suite_json());
	srunner_add_suite(r, suite_cross());
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
