/* PRF, prf+ and hashes against published values; the runner of the tests of IKE's primitives. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "crypto/prf.h"
#include "crypto/sig.h"
#include "ike_crypto.h"
#include "ike_vectors.h"

/* A few live at a time; each use takes the next. */
struct bytes *bytes_of(const char *hex)
{
	static struct bytes ring[16];
	static unsigned next;
	struct bytes *b = &ring[next++ % ARRAY_LEN(ring)];

	b->len = unhex(hex, b->b, sizeof(b->b));
	return b;
}

struct span view(const struct bytes *b)
{
	return span_of(b->b, b->len);
}

const char *vectors_folder(void)
{
	static char path[4096];
	const char *env = getenv("BUMPWIRE_VECTORS"), *srcdir = getenv("srcdir");

	if (env && *env)
		snprintf(path, sizeof(path), "%s", env);
	else
		snprintf(path, sizeof(path), "%s/../shared/vectors",
			 srcdir && *srcdir ? srcdir : ".");
	if (access(path, R_OK) == 0)
		return path;
	printf("# no vectors in $BUMPWIRE_VECTORS or ../shared/vectors: skipped\n");
	return NULL;
}

/* ---- prf */

START_TEST(test_prf_vectors)
{
	const struct prf_vec *v = &prf_vecs[_i];
	const struct prf_info *info = prf_by_keyword(v->keyword);
	struct bytes *key = bytes_of(v->key), *data = bytes_of(v->data), *want = bytes_of(v->out);
	uint8_t out[PRF_LEN_MAX];

	ck_assert_ptr_nonnull(info);
	ck_assert_uint_eq(info->len, want->len);
	/* In one piece, and in three of which one is empty. */
	struct span whole = view(data);
	size_t cut = data->len / 3;
	struct span parts[] = { span_of(data->b, cut), span_of(NULL, 0),
				span_of(data->b + cut, data->len - cut) };
	ck_assert_int_eq(prf_compute(info, view(key), &whole, 1, out), 0);
	check_bytes(v->where, span_of(out, info->len), view(want));
	ck_assert_int_eq(prf_compute(info, view(key), parts, 3, out), 0);
	check_bytes(v->where, span_of(out, info->len), view(want));
}
END_TEST

static void prf_row(const struct prf_info *p, void *arg)
{
	char loud[32];
	unsigned n = 0;

	for (; p->keyword[n]; n++)
		loud[n] = (char)(p->keyword[n] >= 'a' ? p->keyword[n] - 32 : p->keyword[n]);
	loud[n] = 0;
	ck_assert_ptr_eq(prf_info(p->id), p);
	ck_assert_ptr_eq(prf_by_keyword(p->keyword), p);
	ck_assert_ptr_eq(prf_by_keyword(loud), p);
	ck_assert_int_eq(p->weak, p->id == PRF_HMAC_MD5);
	ck_assert_uint_eq(p->nonce_part,
			  p->id == PRF_AES128_XCBC || p->id == PRF_AES128_CMAC ? 8 : 0);
	/* Any key length works, none and long; each gives another output. */
	uint8_t key[300] = { 0 }, out[3][PRF_LEN_MAX];
	static const size_t lens[] = { 0, 33, 300 };
	struct span data = span_of("data", 4);
	memset(key, 7, sizeof(key));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(prf_compute(p, span_of(key, lens[i]), &data, 1, out[i]), 0);
	ck_assert_int_eq(prf_compute(p, span_of(NULL, 0), &data, 1, out[2]), 0);
	check_bytes("no key", span_of(out[2], p->len), span_of(out[0], p->len));
	ck_assert_int_ne(memcmp(out[0], out[1], p->len), 0);
	++*(unsigned *)arg;
}

START_TEST(test_prf_table)
{
	unsigned n = 0;

	prf_each(prf_row, &n);
	ck_assert_uint_eq(n, 7);
	ck_assert_ptr_null(prf_info(0));
	ck_assert_ptr_null(prf_info(3)); /* Tiger */
	ck_assert_ptr_null(prf_info(9));
	ck_assert_ptr_null(prf_by_keyword("sha256"));
}
END_TEST

/* prf+ is its own definition, block by block, and a shorter one is a prefix of a longer one. */
static void prf_plus_by_hand(const struct prf_info *p, void *arg)
{
	struct span key = span_of("key of some length", 18);
	struct span seed[2] = { span_of("nonce i", 7), span_of("nonce r and SPIs", 16) };
	uint8_t t[PRF_LEN_MAX];
	struct secret all, some;

	ck_assert_int_eq(prf_plus(p, key, seed, 2, 255u * p->len, &all), 0);
	ck_assert_uint_eq(all.len, 255u * p->len);
	for (unsigned i = 1; i <= 255; i++) {
		uint8_t n = (uint8_t)i;
		struct span v[4] = { span_of(t, i == 1 ? 0 : p->len), seed[0], seed[1],
				     span_of(&n, 1) };
		uint8_t next[PRF_LEN_MAX];
		ck_assert_int_eq(prf_compute(p, key, v, 4, next), 0);
		memcpy(t, next, p->len);
		check_bytes("T", span_of(all.p + (i - 1) * p->len, p->len), span_of(t, p->len));
	}
	ck_assert_int_eq(prf_plus(p, key, seed, 2, p->len + 1u, &some), 0);
	ck_assert_uint_eq(some.len, p->len + 1u);
	check_bytes("prefix", secret_view(&some), span_of(all.p, some.len));
	secret_free(&some);
	secret_free(&all);
	ck_assert_int_eq(prf_plus(p, key, seed, 2, 255u * p->len + 1, &all), -EINVAL);
	ck_assert_int_eq(prf_plus_into(p, key, seed, 2, t, 0), -EINVAL);
	ck_assert_int_eq(prf_plus_into(p, key, seed, 2, t, 255u * p->len + 1), -EINVAL);
	ck_assert_int_eq(prf_plus(p, key, seed, 2, 0, &all), -EINVAL);
	ck_assert_ptr_null(all.p);
}

START_TEST(test_prf_plus)
{
	prf_each(prf_plus_by_hand, NULL);
}
END_TEST

/* A seed longer than what is kept on the stack. */
START_TEST(test_prf_long)
{
	static uint8_t data[10000];
	const struct prf_info *p = prf_info(PRF_AES128_XCBC);
	uint8_t a[PRF_LEN_MAX], b[PRF_LEN_MAX];

	pick_bytes(data, sizeof(data));
	struct span whole = span_of(data, sizeof(data));
	struct span parts[2] = { span_of(data, 777), span_of(data + 777, sizeof(data) - 777) };
	ck_assert_int_eq(prf_compute(p, span_of("k", 1), &whole, 1, a), 0);
	ck_assert_int_eq(prf_compute(p, span_of("k", 1), parts, 2, b), 0);
	check_bytes("long", span_of(a, p->len), span_of(b, p->len));
	data[9999] ^= 1;
	ck_assert_int_eq(prf_compute(p, span_of("k", 1), parts, 2, b), 0);
	ck_assert_int_ne(memcmp(a, b, p->len), 0);
}
END_TEST

/* ---- the IKEv2 key derivation of NIST's ACVP */

/* The value of a line "NAME = hex". */
static struct bytes *acvp(const char *text, const char *name)
{
	char line[64], hex[2048];
	const char *p;

	snprintf(line, sizeof(line), "\n%s = ", name);
	p = strstr(text, line);
	ck_assert_msg(p != NULL, "no %s", name);
	p += strlen(line);
	size_t n = strcspn(p, "\n");
	ck_assert_uint_lt(n, sizeof(hex));
	memcpy(hex, p, n);
	hex[n] = 0;
	return bytes_of(hex);
}

static void acvp_plus(const char *text, const char *what, struct span key, const struct span *v,
		      unsigned n)
{
	struct bytes *want = acvp(text, what);
	struct secret out;

	ck_assert_int_eq(prf_plus(prf_info(PRF_HMAC_SHA1), key, v, n, want->len, &out), 0);
	check_bytes(what, secret_view(&out), view(want));
	secret_free(&out);
}

START_TEST(test_acvp)
{
	static char text[16384];
	const struct prf_info *p = prf_info(PRF_HMAC_SHA1);
	const char *dir = vectors_folder();
	char path[4200];
	uint8_t seed[PRF_LEN_MAX];

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/acvp/test.acvp.ikev2.run", dir);
	FILE *f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	struct bytes *ni = acvp(text, "Ni"), *nr = acvp(text, "Nr"), *gir = acvp(text, "g^ir"),
		     *spi_i = acvp(text, "SPIi"), *spi_r = acvp(text, "SPIr"),
		     *fresh = acvp(text, "g^ir (new)"), *dkm = acvp(text, "DKM");
	struct bytes nonces = *ni;
	memcpy(nonces.b + ni->len, nr->b, nr->len);
	nonces.len += nr->len;
	struct span v[] = { view(gir) };
	ck_assert_int_eq(prf_compute(p, view(&nonces), v, 1, seed), 0);
	check_bytes("SKEYSEED", span_of(seed, p->len), view(acvp(text, "SKEYSEED")));
	struct span ike[] = { view(ni), view(nr), view(spi_i), view(spi_r) };
	acvp_plus(text, "DKM", span_of(seed, p->len), ike, 4);
	struct span sk_d = span_of(dkm->b, p->len);
	acvp_plus(text, "DKM(Child SA)", sk_d, ike, 2);
	struct span pfs[] = { view(fresh), view(ni), view(nr) };
	acvp_plus(text, "DKM(Child SA D-H)", sk_d, pfs, 3);
	ck_assert_int_eq(prf_compute(p, sk_d, pfs, 3, seed), 0);
	check_bytes("rekey", span_of(seed, p->len), view(acvp(text, "SKEYSEED(Rekey)")));
}
END_TEST

/* ---- hashes of "abc" (FIPS 180-4 examples, RFC 1321 A.5) */

static const struct {
	enum hash_id id;
	const char *want;
} hashes[] = {
	{ HASH_MD5, "900150983cd24fb0d6963f7d28e17f72" },
	{ HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ HASH_SHA2_256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ HASH_SHA2_384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			 "8086072ba1e7cc2358baeca134c825a7" },
	{ HASH_SHA2_512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

START_TEST(test_hash)
{
	struct span v[] = { span_of("a", 1), span_of(NULL, 0), span_of("bc", 2) };
	uint8_t out[HASH_LEN_MAX];

	ck_assert_int_eq(hash_compute(hashes[_i].id, v, 3, out), 0);
	check_bytes("hash", span_of(out, hash_len(hashes[_i].id)), view(bytes_of(hashes[_i].want)));
	ck_assert_int_eq(hash_compute(HASH_IDENTITY, v, 3, out), -ENOTSUP);
	ck_assert_uint_eq(hash_len(HASH_IDENTITY), 0);
	ck_assert_ptr_null(hash_name((enum hash_id)77));
}
END_TEST

Suite *suite_prf(void)
{
	Suite *s = suite_create("ike crypto: prf");
	TCase *t = tcase_create("prf");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_prf_vectors, 0, ARRAY_LEN(prf_vecs));
	tcase_add_test(t, test_prf_table);
	tcase_add_test(t, test_prf_plus);
	tcase_add_test(t, test_prf_long);
	tcase_add_test(t, test_acvp);
	tcase_add_loop_test(t, test_hash, 0, ARRAY_LEN(hashes));
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (secret_init() || crypt_init()) {
		fprintf(stderr, "the crypto layer does not start\n");
		return 1;
	}
	SRunner *r = srunner_create(suite_prf());
	srunner_add_suite(r, suite_sk());
	srunner_add_suite(r, suite_dh());
	srunner_add_suite(r, suite_dh_json());
	srunner_add_suite(r, suite_sig());
	srunner_add_suite(r, suite_sig_key());
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
