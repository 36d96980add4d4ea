/* See crypto_util.h. */
#include "crypto_util.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"

struct esp_suite suite_of(const char *name)
{
	struct esp_suite s = { 0 };
	char why[160] = "";

	ck_assert_msg(esp_suite_parse(name, NULL, &s, why, sizeof(why)) == 0, "%s: %s", name, why);
	return s;
}

struct crypt_key *key_of(enum crypt_backend b, const struct esp_suite *s, enum crypt_dir dir,
			 bool esn, struct span encr, struct span integ)
{
	struct crypt_key *k = NULL;

	crypt_force_backend(b);
	enum crypt_backend chosen = crypt_backend_of(s);
	if (b == CRYPT_AUTO || chosen == b) {
		int rc = crypt_key_new(s, dir, esn, encr, integ, 1, &k);
		ck_assert_int_eq(rc, 0);
		ck_assert_int_eq(crypt_key_backend(k), chosen);
	}
	crypt_force_backend(CRYPT_AUTO);
	return k;
}

struct crypt_key *key_of_hex(enum crypt_backend b, const struct esp_suite *s, enum crypt_dir dir,
			     const char *encr, const char *integ)
{
	uint8_t e[64] = { 0 }, i[64] = { 0 };

	unhex(encr, e, sizeof(e));
	unhex(integ, i, sizeof(i));
	return key_of(b, s, dir, false, span_of(e, s->key_len + s->encr->salt_len),
		      span_of(i, s->integ ? s->integ->key_len : 0));
}

struct each {
	void (*cb)(const struct esp_suite *s, void *arg);
	void *arg;
	const struct encr_info *e;
	unsigned key_len;
};

static void each_integ(const struct integ_info *i, void *arg)
{
	struct each *each = arg;
	struct esp_suite s;

	ck_assert_int_eq(esp_suite_make(each->e->id, each->key_len, i->id, &s, NULL, 0), 0);
	each->cb(&s, each->arg);
}

static void each_encr(const struct encr_info *e, void *arg)
{
	struct each *each = arg;
	unsigned step = e->key_step ? e->key_step : 1;

	each->e = e;
	for (each->key_len = e->min_key; each->key_len <= e->max_key; each->key_len += step) {
		if (!e->aead) {
			integ_each(each_integ, each);
			continue;
		}
		struct esp_suite s;
		ck_assert_int_eq(esp_suite_make(e->id, each->key_len, INTEG_NONE, &s, NULL, 0), 0);
		each->cb(&s, each->arg);
	}
}

void suites_each(void (*cb)(const struct esp_suite *s, void *arg), void *arg)
{
	struct each each = { .cb = cb, .arg = arg };

	encr_each(each_encr, &each);
}

size_t unhex(const char *hex, uint8_t *out, size_t max)
{
	int n = *hex ? hex_decode(hex, out, max) : 0;

	ck_assert_msg(n >= 0, "not hex, or longer than %zu bytes: %.40s", max, hex);
	return (size_t)n;
}

void check_bytes(const char *what, struct span got, struct span want)
{
	if (span_eq(got, want))
		return;
	size_t at = 0;
	while (at < got.len && at < want.len && got.p[at] == want.p[at])
		at++;
	ck_abort_msg("%s: differs at byte %zu of %zu (wanted %zu): %02x, wanted %02x", what, at,
		     got.len, want.len, at < got.len ? got.p[at] : 0u,
		     at < want.len ? want.p[at] : 0u);
}

static uint64_t state = 0x9e3779b97f4a7c15ull;

uint32_t pick(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((state >> 33) % below);
}

void pick_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)pick(256);
}
