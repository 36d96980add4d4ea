/*
 * The batch interface of the packet ciphers: an array of operations in, done in place or out of
 * place, each with its result. A key belongs to one SA and one direction, a context to one thread.
 * Who does the work (backend) is decided once per suite, when the first key is made: ipsec-mb where
 * the CPU suits, libsodium for ChaCha20-Poly1305 where it wins, OpenSSL always.
 */
#ifndef CRYPTO_CRYPT_H
#define CRYPTO_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/transform.h"

struct crypt_ctx; /* one thread's scratch: backend managers, cipher contexts */

enum crypt_backend { CRYPT_AUTO, CRYPT_OPENSSL, CRYPT_IPSEC_MB, CRYPT_SODIUM, CRYPT_BACKENDS };
enum crypt_dir { CRYPT_SEAL, CRYPT_OPEN };

/* The longest text of one packet, in bytes: 16-bit lengths inside the backends, less header, IV and
 * padding. */
#define CRYPT_TEXT_MAX  65472u
#define CRYPT_BATCH_MAX 1024u

/*
 * One ESP packet. The bytes at `esp` are SPI, sequence number (8 bytes), then the IV (suite iv_len
 * bytes). The text follows the IV. seal: `esp` and `dst` lie in the output: dst == esp + 8 +
 * iv_len, and the ICV goes to dst + len. The plaintext is read from src (== dst for in place, or
 * disjoint). The IV is written by seal: for counter modes it is `iv` (64 bits, big endian), for CBC
 * it is random and unpredictable, drawn from the thread's own generator. open: `esp` and `src` lie
 * in the input: src == esp + 8 + iv_len, the ICV is at src + len. Plaintext goes to dst (== src or
 * disjoint). When ok is false the content of dst is undefined and must not be used. With ESN the
 * first four bytes of the received ICV may be overwritten meanwhile; they are as before when
 * crypt_open() returns.
 */
struct crypt_op {
	const struct crypt_key *key;
	uint8_t *esp;
	const uint8_t *src;
	uint8_t *dst;
	uint32_t len; /* text bytes: 1..CRYPT_TEXT_MAX, a multiple of the suite's block; else ok is
			 false */
	uint32_t seq_hi; /* high half of the extended sequence number, host byte order; used when
			    the key was made with esn */
	uint64_t iv;     /* seal, counter modes: unique per key */
	bool ok;         /* result */
};

struct crypt_backend_ops;
/* Seals or opens n >= 1 packets, whose keys are any that have this function; may leave them in
 * flight until the backend's flush. */
typedef void crypt_run_fn(struct crypt_ctx *c, struct crypt_op *ops, unsigned n);

/*
 * A key of one SA: immutable once made. Its fields are the crypto folder's own business; it stands
 * here so that an SA can have it within its cache lines. Packets need the first half.
 */
struct crypt_key {
	crypt_run_fn *run;
	void *expanded;     /* the backend's tables: guarded memory, 64-byte aligned */
	uint8_t salt[4];    /* the implicit part of the nonce; suite.encr->salt_len bytes */
	uint16_t threads;
	uint8_t dir;        /* enum crypt_dir */
	bool esn : 1;
	bool in_flight : 1; /* run leaves packets for the backend's flush */
	uint8_t block_mask; /* text lengths have none of these bits */
	uint8_t icv_len;
	uint16_t
	    ahead; /* cache lines of expanded to be loaded before run; 0: it sees to that itself */
	uint32_t bytes;     /* of crypt_key_bytes() */
	const struct crypt_backend_ops *be;
	struct esp_suite suite;
};
#define CRYPT_KEY_HOT 32u
_Static_assert(offsetof(struct crypt_key, be) == CRYPT_KEY_HOT,
	       "what packets need of a key is half a cache line");

/* Starts the backends: picks CPU code. Call once from the main thread before any other. Returns 0
 * or -errno. */
int crypt_init(void) warn_unused;
/* Forces one backend for all suites it can do (tests, configuration); others fall back to OpenSSL.
 * CRYPT_AUTO restores. Affects keys made later. */
void crypt_force_backend(enum crypt_backend b);
const char *crypt_backend_name(enum crypt_backend b);
bool crypt_backend_present(enum crypt_backend b);
/* Which backend a key of this suite would get now. */
enum crypt_backend crypt_backend_of(const struct esp_suite *s);
/* Library versions and CPU code in use, for `bumpwire version`: e.g. "ipsec-mb 1.3.0 (AVX512)". */
const char *crypt_backend_describe(enum crypt_backend b);

/*
 * Makes a key at *k; from one thread at a time. encr_key is key_len + salt_len bytes, integ_key
 * integ->key_len bytes (empty for combined modes). esn: the high half of the sequence number is
 * authenticated (RFC 4303 2.2.1). threads: how many contexts will use it (slots 0..threads-1).
 * Returns 0, -EINVAL (wrong length), -ENOMEM or -ENOTSUP.
 */
int crypt_key_init(struct crypt_key *k, const struct esp_suite *s, enum crypt_dir dir, bool esn,
		   struct span encr_key, struct span integ_key, unsigned threads) warn_unused;
/* Wipes; also what was never made, when all of it is zero. */
void crypt_key_fini(struct crypt_key *k);
/* The same with guarded memory of its own for *k. */
int crypt_key_new(const struct esp_suite *s, enum crypt_dir dir, bool esn, struct span encr_key,
		  struct span integ_key, unsigned threads, struct crypt_key **out) warn_unused;
/* Wipes and frees; NULL is allowed; *k becomes NULL. */
void crypt_key_free(struct crypt_key **k);
/* Bytes the key occupies, guarded and not; without *k itself when that lies in something else. */
size_t crypt_key_bytes(const struct crypt_key *k);
enum crypt_backend crypt_key_backend(const struct crypt_key *k);

/*
 * A message that is only authenticated, as AH does it: by a key whose suite is ENCR_NULL with an
 * integrity algorithm, or ENCR_NULL_AUTH_AES_GMAC. The ICV covers data[0..len), which is
 * everything: what of it is zeroed, the IV in its place, the high half of the sequence number
 * behind it is the caller's business.
 */
struct crypt_auth_op {
	const struct crypt_key *key;
	const uint8_t *data;
	uint32_t len; /* 1 or more */
	uint64_t iv;  /* GMAC: of the nonce, behind the salt */
	uint8_t *
	    icv; /* suite.icv_len bytes: written by a key for sealing, checked by one for opening */
	bool ok;      /* result */
};
void crypt_auth(struct crypt_ctx *c, struct crypt_auth_op *ops, unsigned n);

/* Starts loading what a packet needs of the key's tables: for batches of many different keys. */
static prefetching void crypt_key_prefetch(const struct crypt_key *k)
{
	for (unsigned i = 0; unlikely(i < k->ahead); i++)
		__builtin_prefetch((const char *)k->expanded + i * CACHE_LINE);
}

/* slot: 0..threads-1, this thread's number among those using the keys. */
struct crypt_ctx *crypt_ctx_new(unsigned slot);
void crypt_ctx_free(struct crypt_ctx **c);

/* Encrypt/decrypt ops[0..n). Runs of the same key next to each other are done together; any mixture
 * is right. n <= 1024. Sets every op's ok. No allocation, no lock, no system call (but the
 * generator's refill, once per many packets). */
void crypt_seal(struct crypt_ctx *c, struct crypt_op *ops, unsigned n);
void crypt_open(struct crypt_ctx *c, struct crypt_op *ops, unsigned n);

#endif
