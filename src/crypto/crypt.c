/*
 * Keys, contexts and the way of a batch: operations enter in any mixture of keys; runs that one
 * function of a backend can do go to it in one call; what a backend keeps in flight (multi-buffer
 * jobs) is completed once, at the end of the batch; every operation leaves with ok set.
 */
#include "crypto/crypt.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "config.h"
#include "crypto/backend.h"

/* In order of preference where nothing was measured. */
static const struct crypt_backend_ops *const backends[] = {
#ifdef HAVE_IPSEC_MB
	&backend_ipsec_mb,
#endif
	&backend_sodium,
	&backend_openssl,
};

static struct {
	bool done; /* crypt_init() has run */
	bool present[CRYPT_BACKENDS];
	enum crypt_backend forced; /* CRYPT_AUTO: none */
	enum crypt_backend chacha; /* the fastest for ChaCha20-Poly1305, measured */
} state;

static const struct crypt_backend_ops *backend_by_id(enum crypt_backend b)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (backends[i]->id == b)
			return backends[i];
	return NULL;
}

const char *crypt_backend_name(enum crypt_backend b)
{
	static const char *const names[CRYPT_BACKENDS] = { "auto", "openssl", "ipsec-mb",
							   "sodium" };

	return (unsigned)b < CRYPT_BACKENDS ? names[b] : "unknown";
}

bool crypt_backend_present(enum crypt_backend b)
{
	return (unsigned)b < CRYPT_BACKENDS && state.present[b];
}

const char *crypt_backend_describe(enum crypt_backend b)
{
	const struct crypt_backend_ops *be = backend_by_id(b);

	return be && state.present[b] ? be->describe() : "not available";
}

void crypt_force_backend(enum crypt_backend b)
{
	state.forced = b;
}

static bool backend_can(enum crypt_backend b, const struct esp_suite *s)
{
	return crypt_backend_present(b) && backend_by_id(b)->can(s);
}

enum crypt_backend crypt_backend_of(const struct esp_suite *s)
{
	if (state.forced != CRYPT_AUTO)
		return backend_can(state.forced, s) ? state.forced : CRYPT_OPENSSL;
	if (s->encr->id == ENCR_CHACHA20_POLY1305 && state.chacha != CRYPT_AUTO)
		return state.chacha;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (backend_can(backends[i]->id, s) && backends[i]->suits(s))
			return backends[i]->id;
	return CRYPT_OPENSSL;
}

/* ---- start
 * ------------------------------------------------------------------------------------------- */

enum { TRIAL_PACKETS = 32, TRIAL_LEN = 1408, TRIAL_ROUNDS = 3 };

/* Best time of a few small batches by one backend, in ns; 0 when it could not be taken. */
static uint64_t trial(enum crypt_backend b, const struct esp_suite *s, struct crypt_ctx *c,
		      uint8_t *mem)
{
	uint8_t material[64];
	struct crypt_key *k = NULL;
	struct crypt_op ops[TRIAL_PACKETS];
	uint64_t best = 0;

	random_bytes(material, sizeof(material));
	state.forced = b;
	int rc =
	    crypt_key_new(s, CRYPT_SEAL, false, span_of(material, s->key_len + s->encr->salt_len),
			  span_of(NULL, 0), 1, &k);
	state.forced = CRYPT_AUTO;
	wipe(material, sizeof(material));
	if (rc)
		return 0;
	for (unsigned round = 0; round < TRIAL_ROUNDS; round++) {
		for (unsigned i = 0; i < TRIAL_PACKETS; i++) {
			uint8_t *p = mem + i * 1536u, *text = p + ESP_HEADER_LEN + s->iv_len;
			ops[i] = (struct crypt_op){ .key = k,
						    .esp = p,
						    .src = text,
						    .dst = text,
						    .len = TRIAL_LEN,
						    .iv = round * TRIAL_PACKETS + i };
		}
		uint64_t t = clock_now_ns();
		crypt_seal(c, ops, TRIAL_PACKETS);
		t = clock_now_ns() - t + 1;
		if (best == 0 || t < best)
			best = t;
	}
	crypt_key_free(&k);
	return best;
}

/* ChaCha20-Poly1305 is the one suite three libraries do well, each on other CPUs; a trial of a
 * millisecond decides. */
static void choose_chacha(void)
{
	struct esp_suite s;
	uint64_t best = 0;

	if (esp_suite_make(ENCR_CHACHA20_POLY1305, 0, INTEG_NONE, &s, NULL, 0))
		return;
	struct crypt_ctx *c = crypt_ctx_new(0);
	uint8_t *mem = calloc(TRIAL_PACKETS, 1536);
	for (size_t i = 0; c && mem && i < ARRAY_LEN(backends); i++) {
		if (!backend_can(backends[i]->id, &s))
			continue;
		uint64_t t = trial(backends[i]->id, &s, c, mem);
		if (t && (best == 0 || t < best)) {
			best = t;
			state.chacha = backends[i]->id;
		}
	}
	free(mem);
	crypt_ctx_free(&c);
}

int crypt_init(void)
{
	if (state.done)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		int rc = backends[i]->init();
		if (rc && backends[i]->id == CRYPT_OPENSSL)
			return rc;
		state.present[backends[i]->id] = rc == 0;
	}
	state.done = true;
	choose_chacha();
	return 0;
}

/* ---- keys
 * ---------------------------------------------------------------------------------------------- */

static int key_lengths_check(const struct esp_suite *s, struct span encr, struct span integ,
			     unsigned threads)
{
	if (!s->encr || threads == 0 || threads > UINT16_MAX ||
	    encr.len != (size_t)s->key_len + s->encr->salt_len)
		return -EINVAL;
	if (integ.len != (s->integ ? s->integ->key_len : 0u))
		return -EINVAL;
	return 0;
}

#define AHEAD_MOST 16u /* cache lines; more at a time would push itself out of the cache again */

static unsigned lines_ahead(const struct crypt_backend_ops *be, const struct esp_suite *s,
			    unsigned threads)
{
	size_t lines = (be->key_bytes(s, threads) + CACHE_LINE - 1) / CACHE_LINE;

	if (be->looks_ahead && be->looks_ahead(s))
		return 0;
	return lines < AHEAD_MOST ? (unsigned)lines : AHEAD_MOST;
}

static void tables_release(struct crypt_key *k)
{
	secret_release(k->expanded, k->be->key_bytes(&k->suite, k->threads));
	wipe(k, sizeof(*k));
}

int crypt_key_init(struct crypt_key *k, const struct esp_suite *s, enum crypt_dir dir, bool esn,
		   struct span encr_key, struct span integ_key, unsigned threads)
{
	int rc = key_lengths_check(s, encr_key, integ_key, threads);

	*k = (struct crypt_key){ 0 };
	if (rc)
		return rc;
	if (!state.done)
		return -ENOTSUP;
	const struct crypt_backend_ops *be = backend_by_id(crypt_backend_of(s));
	if (!be || !be->can(s))
		return -ENOTSUP;
	size_t before = secret_in_use();
	void *tables = secret_alloc(be->key_bytes(s, threads));
	if (!tables)
		return -ENOMEM;
	*k = (struct crypt_key){ .expanded = tables,
				 .be = be,
				 .suite = *s,
				 .dir = (uint8_t)dir,
				 .esn = esn,
				 .block_mask = (uint8_t)(s->encr->block - 1),
				 .icv_len = s->icv_len,
				 .threads = (uint16_t)threads,
				 .in_flight = be->flush != NULL,
				 .ahead = (uint16_t)lines_ahead(be, s, threads) };
	k->bytes =
	    (uint32_t)(secret_in_use() -
		       before); /* rounded up by the allocator; keys are made by one thread */
	if (s->encr->salt_len)
		memcpy(k->salt, encr_key.p + s->key_len, s->encr->salt_len);
	rc = be->key_init(k, span_of(encr_key.p, s->key_len), integ_key);
	if (rc)
		tables_release(k);
	return rc;
}

void crypt_key_fini(struct crypt_key *k)
{
	if (!k->be)
		return;
	if (k->be->key_fini)
		k->be->key_fini(k);
	tables_release(k);
}

int crypt_key_new(const struct esp_suite *s, enum crypt_dir dir, bool esn, struct span encr_key,
		  struct span integ_key, unsigned threads, struct crypt_key **out)
{
	struct crypt_key *k = secret_alloc(sizeof(*k));

	*out = NULL;
	if (!k)
		return -ENOMEM;
	int rc = crypt_key_init(k, s, dir, esn, encr_key, integ_key, threads);
	if (rc) {
		secret_release(k, sizeof(*k));
		return rc;
	}
	k->bytes += sizeof(*k);
	*out = k;
	return 0;
}

void crypt_key_free(struct crypt_key **kp)
{
	struct crypt_key *k = *kp;

	*kp = NULL;
	if (!k)
		return;
	crypt_key_fini(k);
	secret_release(k, sizeof(*k));
}

size_t crypt_key_bytes(const struct crypt_key *k)
{
	return k->bytes;
}

enum crypt_backend crypt_key_backend(const struct crypt_key *k)
{
	return k->be->id;
}

/* ---- contexts
 * ------------------------------------------------------------------------------------------ */

struct crypt_ctx *crypt_ctx_new(unsigned slot)
{
	struct crypt_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->slot = slot;
	c->ivgen = ivgen_new();
	bool good = c->ivgen != NULL;
	for (size_t i = 0; good && i < ARRAY_LEN(backends); i++)
		if (state.present[backends[i]->id] && backends[i]->ctx_init)
			good = backends[i]->ctx_init(c) == 0;
	if (!good)
		crypt_ctx_free(&c);
	return c;
}

void crypt_ctx_free(struct crypt_ctx **cp)
{
	struct crypt_ctx *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (backends[i]->ctx_fini)
			backends[i]->ctx_fini(c);
	ivgen_free(c->ivgen);
	free(c);
}

/* ---- the packet path
 * ----------------------------------------------------------------------------------- */

static inline bool key_suits(const struct crypt_key *k, const struct crypt_ctx *c,
			     enum crypt_dir dir)
{
	return likely(k->dir == dir && c->slot < k->threads);
}

/* Packets next to each other go to their backend together when one function does them all, whatever
 * their keys. */
static inline void batch(struct crypt_ctx *c, enum crypt_dir dir, struct crypt_op *ops, unsigned n)
{
	const struct crypt_backend_ops *pending =
	    NULL; /* only one backend keeps packets in flight */
	unsigned i = 0;

	while (i < n) {
		const struct crypt_key *k = ops[i].key, *last = k;
		if (!key_suits(k, c, dir)) {
			ops[i++].ok = false;
			continue;
		}
		unsigned end = i + 1;
		for (; end < n; end++) {
			const struct crypt_key *next = ops[end].key;
			if (next != last && (next->run != k->run || !key_suits(next, c, dir)))
				break;
			last = next;
		}
		k->run(c, ops + i, end - i);
		if (unlikely(k->in_flight))
			pending = k->be;
		i = end;
	}
	if (pending)
		pending->flush(c);
}

void crypt_seal(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	batch(c, CRYPT_SEAL, ops, n);
}

void crypt_open(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	batch(c, CRYPT_OPEN, ops, n);
}

void crypt_raw_run(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	r->ok = false;
	if (c->slot < k->threads && r->len <= CRYPT_TEXT_MAX && (r->len & k->block_mask) == 0)
		k->be->raw(c, k, r);
}

void crypt_auth(struct crypt_ctx *c, struct crypt_auth_op *ops, unsigned n)
{
	uint8_t nonce[16] = { 0 }, none[16];

	for (unsigned i = 0; i < n; i++) {
		const struct crypt_key *k = ops[i].key;
		struct crypt_raw r = { .nonce = nonce,
				       .aad = span_of(ops[i].data, ops[i].len),
				       .src = none,
				       .dst = none,
				       .icv = ops[i].icv };
		memcpy(nonce, k->salt, 4);
		store_be64(nonce + 4, ops[i].iv);
		crypt_raw_run(c, k, &r);
		ops[i].ok = r.ok;
	}
}
