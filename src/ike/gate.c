/*
 * See gate.h. An address is counted in two rows of counters, at a place of its own in each; the
 * smaller one counts. A cookie is the number of its secret | keyed hash of address, SPI and nonce.
 */
#include "ike/gate.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "crypto/hash.h"

#define ROWS         2u
#define PLACES       16384u /* counters in a row: twice as many as half-open SAs by default */
#define ROTATE_NS    (120 * NS_PER_S)
#define SECRET_BYTES 32u
#define VERSION_LEN  8u /* of a cookie; the hash has the rest */

/* The secrets in use: cookies are made with the newer, and taken by both. */
struct cookie_secret {
	uint64_t version; /* 0: none */
	uint8_t key[SECRET_BYTES];
};

struct gate {
	struct gate_limits limits;
	uint32_t half_open;
	uint32_t count[ROWS][PLACES];
	uint8_t
	    hash_key[crypto_shorthash_KEYBYTES]; /* for life: counts must find their place again */
	uint64_t born_ns;                        /* of the newer secret */
	struct cookie_secret *now, *before;      /* in guarded memory */
};

struct gate *gate_new(const struct gate_limits *l)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->now = secret_alloc(sizeof(*g->now));
	g->before = secret_alloc(sizeof(*g->before));
	if (!g->now || !g->before) {
		gate_free(&g);
		return NULL;
	}
	g->limits = *l;
	random_bytes(g->hash_key, sizeof(g->hash_key));
	return g;
}

void gate_set_limits(struct gate *g, const struct gate_limits *l)
{
	g->limits = *l;
}

void gate_free(struct gate **g)
{
	if (!*g)
		return;
	secret_release((*g)->now, sizeof(*(*g)->now));
	secret_release((*g)->before, sizeof(*(*g)->before));
	wipe((*g)->hash_key, sizeof((*g)->hash_key));
	free(*g);
	*g = NULL;
}

/* ---- counting */

/* The address's counter in each row. */
static void places_of(struct gate *g, const struct ip_addr *a, uint32_t *at[ROWS])
{
	uint8_t h[crypto_shorthash_BYTES], what[1 + 8] = { a->ver };

	memcpy(what + 1, a->b, 8); /* all of IPv4, the /64 of IPv6 */
	crypto_shorthash(h, what, sizeof(what), g->hash_key);
	for (unsigned i = 0; i < ROWS; i++)
		at[i] = &g->count[i][load_be32(h + 4 * i) % PLACES];
}
_Static_assert(ROWS * 4 <= crypto_shorthash_BYTES, "four bytes of the hash for each row");

static uint32_t count_of(struct gate *g, const struct ip_addr *a)
{
	uint32_t *at[ROWS];

	places_of(g, a, at);
	return *at[0] < *at[1] ? *at[0] : *at[1];
}

enum gate_verdict gate_ask(struct gate *g, const struct ip_addr *from, bool had_cookie)
{
	const struct gate_limits *l = &g->limits;
	uint32_t n = l->block_threshold ? count_of(g, from) : 0;

	if ((l->half_open_max && g->half_open >= l->half_open_max) ||
	    (l->block_threshold && n >= l->block_threshold))
		return GATE_REFUSE;
	if (had_cookie || !l->cookie_threshold)
		return GATE_PASS;
	if (g->half_open >= l->cookie_threshold ||
	    (l->block_threshold && n >= (l->block_threshold + 1) / 2))
		return GATE_COOKIE;
	return GATE_PASS;
}

void gate_open(struct gate *g, const struct ip_addr *from)
{
	uint32_t *at[ROWS];

	places_of(g, from, at);
	for (unsigned i = 0; i < ROWS; i++)
		++*at[i];
	g->half_open++;
}

void gate_close(struct gate *g, const struct ip_addr *from)
{
	uint32_t *at[ROWS];

	places_of(g, from, at);
	for (unsigned i = 0; i < ROWS; i++)
		*at[i] -= *at[i] > 0;
	g->half_open -= g->half_open > 0;
}

uint32_t gate_half_open(const struct gate *g)
{
	return g->half_open;
}

/* ---- cookies */

/* A new secret when the one in use is too old; the one before is kept unless it is older than one
 * turn too. */
static void rotate(struct gate *g, uint64_t now_ns)
{
	uint64_t age = now_ns - g->born_ns;

	if (g->now->version && age < ROTATE_NS)
		return;
	if (g->now->version && age < 2 * ROTATE_NS)
		*g->before = *g->now;
	else
		wipe(g->before, sizeof(*g->before));
	g->now->version++;
	random_bytes(g->now->key, sizeof(g->now->key));
	g->born_ns = now_ns;
}

/* <version> | hash(address | SPI | nonce), keyed with the secret (RFC 7296 2.6). What varies in
 * length comes last. */
static void make(const struct cookie_secret *s, const struct ip_addr *from, const uint8_t *spi_i,
		 struct span ni, uint8_t out[GATE_COOKIE_LEN])
{
	crypto_generichash_state st;

	store_be64(out, s->version);
	crypto_generichash_init(&st, s->key, sizeof(s->key), GATE_COOKIE_LEN - VERSION_LEN);
	crypto_generichash_update(&st, &from->ver, 1);
	crypto_generichash_update(&st, from->b, sizeof(from->b));
	crypto_generichash_update(&st, spi_i, 8);
	crypto_generichash_update(&st, ni.p, ni.len);
	crypto_generichash_final(&st, out + VERSION_LEN, GATE_COOKIE_LEN - VERSION_LEN);
	wipe(&st, sizeof(st));
}

void gate_cookie(struct gate *g, uint64_t now_ns, const struct ip_addr *from, const uint8_t *spi_i,
		 struct span ni, uint8_t out[GATE_COOKIE_LEN])
{
	rotate(g, now_ns);
	make(g->now, from, spi_i, ni, out);
}

bool gate_cookie_good(struct gate *g, uint64_t now_ns, const struct ip_addr *from,
		      const uint8_t *spi_i, struct span ni, struct span cookie)
{
	uint8_t want[GATE_COOKIE_LEN];

	rotate(g, now_ns);
	if (cookie.len != GATE_COOKIE_LEN)
		return false;
	uint64_t version = load_be64(cookie.p);
	const struct cookie_secret *s = version == g->now->version ? g->now : g->before;
	if (version == 0 || version != s->version)
		return false;
	make(s, from, spi_i, ni, want);
	return sodium_memcmp(want, cookie.p, sizeof(want)) == 0;
}

static uint8_t *put_endpoint(uint8_t *p, const struct endpoint *e)
{
	*p++ = e->addr.ver;
	memcpy(p, e->addr.b, sizeof(e->addr.b));
	store_be16(p + sizeof(e->addr.b), e->port);
	return p + sizeof(e->addr.b) + 2;
}

/* With the key that places are found by: what is hashed there is shorter. */
void gate_cookie1(const struct gate *g, const struct endpoint *local, const struct endpoint *remote,
		  const struct gate_salt *salt, uint8_t out[GATE_COOKIE1_LEN])
{
	uint8_t what[2 * (1 + sizeof(local->addr.b) + 2) + 8 + sizeof(salt->random)];
	uint8_t *p = put_endpoint(put_endpoint(what, local), remote);

	store_be64(p, salt->wall_ns);
	memcpy(p + 8, salt->random, sizeof(salt->random));
	crypto_shorthash(out, what, sizeof(what), g->hash_key);
}
_Static_assert(crypto_shorthash_BYTES == GATE_COOKIE1_LEN, "a cookie is one hash");

/* ---- */

void natd_hash(const uint8_t *spi_i, const uint8_t *spi_r, const struct endpoint *e,
	       uint8_t out[20])
{
	uint8_t port[2], h[HASH_LEN_MAX];
	struct span v[] = { span_of(spi_i, 8), span_of(spi_r, 8),
			    span_of(e->addr.b, ip_addr_bytes(&e->addr)), span_of(port, 2) };

	store_be16(port, e->port);
	/* without memory for it the hash fits nothing: the peer takes us for behind a NAT, which
	 * works too */
	if (hash_compute(HASH_SHA1, v, ARRAY_LEN(v), h))
		memset(h, 0, sizeof(h));
	memcpy(out, h, 20);
}
