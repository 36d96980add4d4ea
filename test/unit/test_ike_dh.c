/* Diffie-Hellman: published values, agreement in every group, and the peer values RFC 6989 refuses.
 */
#include <errno.h>
#include <openssl/bn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/dh.h"
#include "crypto/hash.h"
#include "crypto/prf.h"
#include "crypto/sig.h"
#include "ike_crypto.h"
#include "ike_vectors.h"

static void pair_gives(const struct dh_info *info, struct span priv, struct span pub,
		       struct span peer, struct span want)
{
	struct dh *d;
	struct secret z;

	ck_assert_int_eq(dh_new_from(info, priv, pub, &d), 0);
	check_bytes("public value", dh_public(d), pub);
	ck_assert_int_eq(dh_shared(d, peer, &z), 0);
	check_bytes("shared secret", secret_view(&z), want);
	secret_free(&z);
	dh_free(&d);
	ck_assert_ptr_null(d);
	/* A public value that is not this private one's */
	ck_assert_int_eq(dh_new_from(info, priv, peer, &d), -EINVAL);
	ck_assert_ptr_null(d);
}

START_TEST(test_rfc)
{
	const struct dh_vec *v = &dh_vecs[_i];
	const struct dh_info *info = dh_by_keyword(v->keyword);
	struct bytes *a = bytes_of(v->priv_a), *b = bytes_of(v->priv_b), *pa = bytes_of(v->pub_a),
		     *pb = bytes_of(v->pub_b), *z = bytes_of(v->shared);

	ck_assert_ptr_nonnull(info);
	pair_gives(info, view(a), view(pa), view(pb), view(z));
	pair_gives(info, view(b), view(pb), view(pa), view(z));
}
END_TEST

static BIGNUM *prime_of(enum dh_id id)
{
	switch (id) {
	case DH_MODP_768:
		return BN_get_rfc2409_prime_768(NULL);
	case DH_MODP_1024:
		return BN_get_rfc2409_prime_1024(NULL);
	case DH_MODP_1536:
		return BN_get_rfc3526_prime_1536(NULL);
	case DH_MODP_2048:
		return BN_get_rfc3526_prime_2048(NULL);
	case DH_MODP_3072:
		return BN_get_rfc3526_prime_3072(NULL);
	case DH_MODP_4096:
		return BN_get_rfc3526_prime_4096(NULL);
	case DH_MODP_6144:
		return BN_get_rfc3526_prime_6144(NULL);
	default:
		return BN_get_rfc3526_prime_8192(NULL);
	}
}

/* 2^priv, and p plus a small number, in wire form. */
static void modp_public(const struct dh_info *info, const struct bytes *priv, uint8_t *out)
{
	BN_CTX *c = BN_CTX_new();
	BIGNUM *p = prime_of(info->id), *g = BN_new(), *y = BN_new(),
	       *x = BN_bin2bn(priv->b, (int)priv->len, NULL);

	ck_assert(BN_set_word(g, 2) && BN_mod_exp(y, g, x, p, c));
	ck_assert_int_eq(BN_bn2binpad(y, out, info->public_len), info->public_len);
	BN_free(x);
	BN_free(y);
	BN_free(g);
	BN_free(p);
	BN_CTX_free(c);
}

static void modp_near_p(const struct dh_info *info, int add, uint8_t *out)
{
	BIGNUM *p = prime_of(info->id);

	ck_assert(add < 0 ? BN_sub_word(p, (unsigned)-add) : BN_add_word(p, (unsigned)add));
	ck_assert_int_eq(BN_bn2binpad(p, out, info->public_len), info->public_len);
	BN_free(p);
}

START_TEST(test_modp)
{
	const struct modp_vec *v = &modp_vecs[_i];
	const struct dh_info *info = dh_by_keyword(v->keyword);
	struct bytes *a = bytes_of(v->priv_a), *b = bytes_of(v->priv_b);
	uint8_t pa[DH_PUBLIC_MAX], pb[DH_PUBLIC_MAX], h[HASH_LEN_MAX];
	struct secret z;
	struct dh *d;

	ck_assert_ptr_nonnull(info);
	modp_public(info, a, pa);
	modp_public(info, b, pb);
	ck_assert_int_eq(dh_new_from(info, view(a), span_of(pa, info->public_len), &d), 0);
	ck_assert_int_eq(dh_shared(d, span_of(pb, info->public_len), &z), 0);
	struct span zv = secret_view(&z);
	ck_assert_uint_eq(zv.len, info->shared_len);
	ck_assert_int_eq(hash_compute(HASH_SHA2_256, &zv, 1, h), 0);
	check_bytes("SHA-256 of the shared secret", span_of(h, 32), view(bytes_of(v->sha256)));
	secret_free(&z);
	dh_free(&d);
}
END_TEST

static void refuse(const struct dh *d, const uint8_t *peer, size_t len, const char *what)
{
	struct secret z;

	ck_assert_msg(dh_shared(d, span_of(peer, len), &z) == -EBADMSG, "%s: %s taken",
		      dh_group(d)->keyword, what);
	ck_assert_ptr_null(z.p);
}

static void refuse_modp(const struct dh *d)
{
	const struct dh_info *info = dh_group(d);
	uint8_t v[DH_PUBLIC_MAX] = { 0 };
	struct secret z;

	refuse(d, v, info->public_len, "0");
	v[info->public_len - 1] = 1;
	refuse(d, v, info->public_len, "1");
	v[info->public_len - 1] = 2;
	ck_assert_int_eq(dh_shared(d, span_of(v, info->public_len), &z), 0);
	secret_free(&z);
	modp_near_p(info, -2, v);
	ck_assert_int_eq(dh_shared(d, span_of(v, info->public_len), &z), 0);
	secret_free(&z);
	modp_near_p(info, -1, v);
	refuse(d, v, info->public_len, "p-1");
	modp_near_p(info, 0, v);
	refuse(d, v, info->public_len, "p");
	modp_near_p(info, 2, v);
	refuse(d, v, info->public_len, "p+2");
	memset(v, 0xff, sizeof(v));
	refuse(d, v, info->public_len, "all ones");
}

static void refuse_ec(const struct dh *d, struct span good)
{
	uint8_t v[DH_PUBLIC_MAX] = { 0 };

	refuse(d, v, good.len, "0,0");
	for (unsigned i = 0; i < 16; i++) {
		memcpy(v, good.p, good.len);
		v[good.len - 1 - i] ^= (uint8_t)(1u << i % 8);
		refuse(d, v, good.len, "a point beside the curve");
	}
	memset(v, 0xff, sizeof(v));
	refuse(d, v, good.len, "coordinates above p");
}

static void refuse_small_order(const struct dh *d)
{
	uint8_t v[56] = { 0 };

	refuse(d, v, dh_group(d)->public_len, "0");
	v[0] = 1;
	refuse(d, v, dh_group(d)->public_len, "1");
}

static void agree(const struct dh_info *info, void *arg)
{
	struct dh *a, *b;
	struct secret za, zb;
	uint8_t longer[DH_PUBLIC_MAX + 1] = { 0 };

	ck_assert_int_eq(dh_new(info, &a), 0);
	ck_assert_int_eq(dh_new(info, &b), 0);
	struct span pa = dh_public(a), pb = dh_public(b);
	ck_assert_uint_eq(pa.len, info->public_len);
	ck_assert_uint_le(pa.len, DH_PUBLIC_MAX);
	ck_assert_int_ne(memcmp(pa.p, pb.p, pa.len), 0); /* fresh each time */
	ck_assert_int_eq(dh_shared(a, pb, &za), 0);
	ck_assert_int_eq(dh_shared(b, pa, &zb), 0);
	ck_assert_uint_eq(za.len, info->shared_len);
	ck_assert(secret_eq(&za, &zb));
	secret_free(&za);
	secret_free(&zb);
	memcpy(longer + 1, pb.p, pb.len);
	refuse(a, longer, pb.len + 1, "a longer value");
	refuse(a, pb.p, pb.len - 1, "a shorter value");
	refuse(a, pb.p, 0, "an empty value");
	if (info->kind == DH_KIND_MODP)
		refuse_modp(a);
	else if (info->kind == DH_KIND_EC)
		refuse_ec(a, pb);
	else
		refuse_small_order(a);
	dh_free(&a);
	dh_free(&b);
	dh_free(&b);
	ck_assert_ptr_eq(dh_info(info->id), info);
	ck_assert_ptr_eq(dh_by_keyword(info->keyword), info);
	++*(unsigned *)arg;
}

START_TEST(test_every_group)
{
	unsigned n = 0;

	dh_each(agree, &n);
	ck_assert_uint_eq(n, 19);
}
END_TEST

START_TEST(test_table)
{
	static const unsigned absent[] = { 0, 3, 4, 6, 13, 22, 23, 24, 33, 65535 };
	struct dh *d;
	uint8_t v[64] = { 1 };

	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		ck_assert_ptr_null(dh_info(absent[i]));
	ck_assert_ptr_eq(dh_by_keyword("x25519"), dh_info(31));
	ck_assert_ptr_eq(dh_by_keyword("X448"), dh_info(32));
	ck_assert_ptr_eq(dh_by_keyword("MODP2048"), dh_info(14));
	ck_assert_ptr_null(dh_by_keyword("modp2048s256"));
	ck_assert_ptr_null(dh_by_keyword(""));
	ck_assert(dh_info(1)->weak && dh_info(2)->weak && dh_info(5)->weak && !dh_info(14)->weak);
	for (unsigned id = 31; id <= 32; id++) {
		ck_assert_int_eq(dh_new_from(dh_info(id), span_of(v, 31), span_of(NULL, 0), &d),
				 -EINVAL);
		ck_assert_int_eq(dh_new_from(dh_info(id), span_of(v, 0), span_of(NULL, 0), &d),
				 -EINVAL);
	}
	ck_assert_int_eq(dh_new_from(dh_info(19), span_of(v, 32), span_of(v, 63), &d), -EINVAL);
	ck_assert_int_eq(dh_new_from(dh_info(19), span_of(v, 32), span_of(v, 64), &d), -EINVAL);
}
END_TEST

/* As in the crypto pool: many at a time. */
static void *worker(void *arg)
{
	static const unsigned groups[] = { DH_CURVE25519, DH_ECP_256, DH_MODP_1024, DH_CURVE448 };
	const struct prf_info *p = prf_info(PRF_AES128_XCBC);
	uintptr_t bad = 0;

	for (unsigned i = 0; i < 12; i++) {
		uint8_t ka[PRF_LEN_MAX], kb[PRF_LEN_MAX];
		struct secret za, zb;
		struct dh *a, *b;
		if (dh_new(dh_info(groups[i % 4]), &a) || dh_new(dh_info(groups[i % 4]), &b) ||
		    dh_shared(a, dh_public(b), &za) || dh_shared(b, dh_public(a), &zb))
			return (void *)1;
		struct span va = secret_view(&za), vb = secret_view(&zb);
		bad += prf_compute(p, va, &va, 1, ka) || prf_compute(p, vb, &vb, 1, kb) ||
		       memcmp(ka, kb, p->len) != 0;
		secret_free(&za);
		secret_free(&zb);
		dh_free(&a);
		dh_free(&b);
	}
	return (void *)bad;
}

START_TEST(test_threads)
{
	pthread_t t[4];
	void *bad;

	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, worker, NULL), 0);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &bad);
		ck_assert_ptr_null(bad);
	}
}
END_TEST

Suite *suite_dh(void)
{
	Suite *s = suite_create("ike crypto: Diffie-Hellman");
	TCase *t = tcase_create("dh");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_rfc, 0, ARRAY_LEN(dh_vecs));
	tcase_add_loop_test(t, test_modp, 0, ARRAY_LEN(modp_vecs));
	tcase_add_test(t, test_every_group);
	tcase_add_test(t, test_table);
	tcase_add_test(t, test_threads);
	suite_add_tcase(s, t);
	return s;
}
