/* Limits for strangers: thresholds, cookies and their secrets' turns, a flood; NAT detection. Also
 * the runner of this program. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/crypt.h"
#include "crypto_util.h"
#include "ike/gate.h"
#include "must.h"
#include "test_ike_keys.h"

static const struct gate_limits usual = { .cookie_threshold = 10,
					  .block_threshold = 5,
					  .half_open_max = 100 };

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(text, &a), 0);
	return a;
}

static struct ip_addr nth(unsigned i)
{
	uint8_t b[4];

	store_be32(b, 0x0a000000 + i);
	return ip_addr_from_v4(b);
}

START_TEST(test_one_address)
{
	struct gate *g = gate_new(&usual);
	struct ip_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");

	/* from half the limit on it must show that it is there */
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(gate_ask(g, &a, false), i < 3 ? GATE_PASS : GATE_COOKIE);
		ck_assert_int_eq(gate_ask(g, &a, true), GATE_PASS);
		gate_open(g, &a);
	}
	ck_assert_int_eq(gate_ask(g, &a, false), GATE_REFUSE);
	ck_assert_int_eq(gate_ask(g, &a, true), GATE_REFUSE);
	ck_assert_int_eq(gate_ask(g, &b, false), GATE_PASS);
	gate_close(g, &a);
	ck_assert_int_eq(gate_ask(g, &a, true), GATE_PASS);
	for (unsigned i = 0; i < 4; i++)
		gate_close(g, &a);
	ck_assert_int_eq(gate_ask(g, &a, false), GATE_PASS);
	ck_assert_uint_eq(gate_half_open(g), 0);
	gate_close(g, &a); /* once too often harms nobody */
	ck_assert_uint_eq(gate_half_open(g), 0);
	gate_free(&g);
	ck_assert_ptr_null(g);
}
END_TEST

/* One host of IPv6 has a /64 of addresses. */
START_TEST(test_v6_by_64)
{
	struct gate *g = gate_new(&usual);
	struct ip_addr a = addr("2001:db8:0:1::1"), same = addr("2001:db8:0:1:ffff::9"),
		       other = addr("2001:db8:0:2::1");

	for (unsigned i = 0; i < 5; i++)
		gate_open(g, i & 1 ? &a : &same);
	ck_assert_int_eq(gate_ask(g, &same, true), GATE_REFUSE);
	ck_assert_int_eq(gate_ask(g, &other, true), GATE_PASS);
	gate_free(&g);
}
END_TEST

START_TEST(test_all_addresses)
{
	struct gate *g = gate_new(&usual);
	struct ip_addr me = addr("198.51.100.7");

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(gate_ask(g, &me, false), i < 10 ? GATE_PASS : GATE_COOKIE);
		ck_assert_int_eq(gate_ask(g, &me, true), GATE_PASS);
		struct ip_addr a = nth(i);
		gate_open(g, &a);
	}
	ck_assert_uint_eq(gate_half_open(g), 100);
	ck_assert_int_eq(gate_ask(g, &me, true), GATE_REFUSE);
	struct ip_addr a = nth(0);
	gate_close(g, &a);
	ck_assert_int_eq(gate_ask(g, &me, true), GATE_PASS);
	/* zeros switch each limit off */
	static const struct gate_limits off;
	gate_set_limits(g, &off);
	for (unsigned i = 0; i < 50; i++)
		gate_open(g, &me);
	ck_assert_int_eq(gate_ask(g, &me, false), GATE_PASS);
	gate_free(&g);
}
END_TEST

/* Half-open SAs from everywhere, up to the limit: hardly anybody else is taken for blocked. */
START_TEST(test_collisions_are_rare)
{
	static const struct gate_limits l = { .block_threshold = 5, .half_open_max = 8192 };
	struct gate *g = gate_new(&l);
	unsigned blocked = 0;

	for (unsigned i = 0; i < 8191; i++) {
		struct ip_addr a = nth(i);
		gate_open(g, &a);
	}
	for (unsigned i = 0; i < 100000; i++) {
		struct ip_addr a = nth(1000000 + i);
		blocked += gate_ask(g, &a, true) != GATE_PASS;
	}
	ck_assert_uint_lt(blocked, 10);
	gate_free(&g);
}
END_TEST

/* A million requests from forged addresses leave nothing behind. */
START_TEST(test_flood)
{
	struct gate *g = gate_new(&usual);
	struct ip_addr me = addr("198.51.100.7");
	uint8_t cookie[GATE_COOKIE_LEN] = { 0 }, spi[8] = { 1 }, ni[32] = { 2 };
	unsigned opened = 0;

	for (unsigned i = 0; i < 1000000; i++) {
		struct ip_addr a = nth(i);
		bool good = i % 7 == 0 && gate_cookie_good(g, 1, &a, spi, span_of(ni, 32),
							   span_of(cookie, sizeof(cookie)));
		must(!good);
		if (gate_ask(g, &a, good) == GATE_PASS) {
			gate_open(g, &a);
			opened++;
		}
	}
	ck_assert_uint_eq(opened, 10);
	gate_cookie(g, 1, &me, spi, span_of(ni, 32), cookie);
	ck_assert(gate_cookie_good(g, 2, &me, spi, span_of(ni, 32), span_of(cookie, 40)));
	ck_assert_int_eq(gate_ask(g, &me, true), GATE_PASS);
	gate_free(&g);
}
END_TEST

START_TEST(test_cookie_binds)
{
	struct gate *g = gate_new(&usual), *h = gate_new(&usual);
	struct ip_addr a = addr("192.0.2.1"), b = addr("192.0.2.2"), c = addr("2001:db8::1");
	uint8_t spi[8] = { 1 }, spi2[8] = { 2 }, n[256] = { 3 }, cookie[GATE_COOKIE_LEN];
	struct span ni = span_of(n, 32), k = span_of(cookie, sizeof(cookie));

	ck_assert(!gate_cookie_good(g, 0, &a, spi, ni, span_of(n, GATE_COOKIE_LEN)));
	memset(cookie, 0, sizeof(cookie));
	ck_assert(!gate_cookie_good(g, 0, &a, spi, ni, k));
	gate_cookie(g, 5, &a, spi, ni, cookie);
	ck_assert(gate_cookie_good(g, 5, &a, spi, ni, k));
	ck_assert(!gate_cookie_good(h, 5, &a, spi, ni, k));
	ck_assert(!gate_cookie_good(g, 5, &b, spi, ni, k));
	ck_assert(!gate_cookie_good(g, 5, &c, spi, ni, k));
	ck_assert(!gate_cookie_good(g, 5, &a, spi2, ni, k));
	ck_assert(!gate_cookie_good(g, 5, &a, spi, span_of(n, 33), k));
	ck_assert(!gate_cookie_good(g, 5, &a, spi, span_of(n + 1, 32), k));
	ck_assert(!gate_cookie_good(g, 5, &a, spi, ni, span_of(cookie, 39)));
	ck_assert(!gate_cookie_good(g, 5, &a, spi, ni, span_of(NULL, 0)));
	for (unsigned bit = 0; bit < 8 * sizeof(cookie); bit++) {
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!gate_cookie_good(g, 5, &a, spi, ni, k));
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(gate_cookie_good(g, 5, &a, spi, ni, k));
	gate_free(&g);
	gate_free(&h);
}
END_TEST

START_TEST(test_cookie_turns)
{
	struct gate *g = gate_new(&usual);
	struct ip_addr a = addr("192.0.2.1");
	uint8_t spi[8] = { 1 }, n[32] = { 3 }, cookie[GATE_COOKIE_LEN], next[GATE_COOKIE_LEN];
	struct span ni = span_of(n, 32), k = span_of(cookie, sizeof(cookie));
	uint64_t t = 1000 * NS_PER_S;

	gate_cookie(g, t, &a, spi, ni, cookie);
	gate_cookie(g, t + 119 * NS_PER_S, &a, spi, ni, next);
	check_bytes("same secret", span_of(next, sizeof(next)), k);
	gate_cookie(g, t + 120 * NS_PER_S, &a, spi, ni, next);
	ck_assert(memcmp(next, cookie, sizeof(next)) != 0);
	ck_assert(gate_cookie_good(g, t + 121 * NS_PER_S, &a, spi, ni, k));
	ck_assert(gate_cookie_good(g, t + 239 * NS_PER_S, &a, spi, ni, k));
	ck_assert(!gate_cookie_good(g, t + 240 * NS_PER_S, &a, spi, ni, k));
	ck_assert(gate_cookie_good(g, t + 240 * NS_PER_S, &a, spi, ni, span_of(next, 40)));
	/* after a long silence nothing old is taken */
	ck_assert(!gate_cookie_good(g, t + 4000 * NS_PER_S, &a, spi, ni, span_of(next, 40)));
	gate_free(&g);
}
END_TEST

/* SHA-1 by Python's hashlib. */
START_TEST(test_natd)
{
	uint8_t i[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, r[8] = { 0 }, out[20], want[20];
	struct endpoint v4 = { addr("192.0.2.1"), 500 }, v6 = { addr("2001:db8::1"), 4500 };

	natd_hash(i, r, &v4, out);
	unhex("644b4575455bd6fcc1efe2be8162a9218e448e5f", want, 20);
	check_bytes("IPv4", span_of(out, 20), span_of(want, 20));
	natd_hash(i, i, &v6, out);
	unhex("bacf5cf08a774b1706150d332e44b6672f796524", want, 20);
	check_bytes("IPv6", span_of(out, 20), span_of(want, 20));
}
END_TEST

TCase *ike_gate_case(void)
{
	TCase *t = tcase_create("gate");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_one_address);
	tcase_add_test(t, test_v6_by_64);
	tcase_add_test(t, test_all_addresses);
	tcase_add_test(t, test_collisions_are_rare);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_cookie_binds);
	tcase_add_test(t, test_cookie_turns);
	tcase_add_test(t, test_natd);
	return t;
}

int main(void)
{
	if (secret_init() || crypt_init()) {
		fprintf(stderr, "the crypto layer does not start\n");
		return 1;
	}
	Suite *s = suite_create("ike keys");
	suite_add_tcase(s, ike_keymat_case());
	suite_add_tcase(s, ike_seal_case());
	suite_add_tcase(s, ike_fragment_case());
	suite_add_tcase(s, ike_ts_case());
	suite_add_tcase(s, ike_gate_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
