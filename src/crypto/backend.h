/*
 * Inside the crypto folder: what a backend (OpenSSL, ipsec-mb, libsodium) offers to crypt.c, and
 * what a key and a context look like.
 *
 * A key is its head, struct crypt_key, which may be part of something else, and one block of
 * guarded memory with the backend's expanded keys, whose size the backend declares beforehand
 * (key_bytes). Which function handles a run of packets (run) is chosen once, when the key is made.
 *
 * How IKE uses this layer: the transform numbers, key and ICV lengths of its SK payload (RFC
 * 7296 3.14, RFC 5282) are those of transform.h, but its frame is not ESP's: the associated data is
 * the IKE header up to the IV and has any length. struct crypt_raw is that form (also that of the
 * published test vectors): one message, nonce and associated data given. IKE seals a few messages
 * a second, so it takes no part in batches: sk.h puts crypt_raw behind a public name, by the
 * OpenSSL backend alone and with a key expanded per message. Key derivation (prf.h), Diffie-Hellman
 * (dh.h) and signatures (sig.h) share nothing with the packet ciphers; they are called from the
 * crypto pool.
 */
#ifndef CRYPTO_BACKEND_H
#define CRYPTO_BACKEND_H

#include "crypto/crypt.h"
#include "crypto/ivgen.h"

#define ESP_HEADER_LEN 8u  /* SPI and sequence number (RFC 4303 2) */
#define ICV_MAX        32u /* HMAC-SHA2-512-256 */

struct crypt_ctx {
	unsigned slot;
	struct ivgen *ivgen;
	struct mb_ctx *mb; /* ipsec-mb's manager and scratch; NULL where it is absent */
};

/* One message outside ESP's frame. */
struct crypt_raw {
	/* All of what the cipher takes: 12 bytes (GCM, GMAC, ChaCha20-Poly1305), 11 (CCM), the
	 * first counter block of 16 (CTR), the IV (CBC). */
	const uint8_t *nonce;
	struct span
	    aad; /* combined modes: associated data; separate integrity: all that the ICV covers */
	const uint8_t *src; /* text, len bytes (0 is allowed; GMAC: always 0) */
	uint8_t *dst;       /* == src or disjoint */
	size_t len;
	uint8_t *icv; /* suite.icv_len bytes: written by seal, checked by open */
	bool ok;
};

struct crypt_backend_ops {
	enum crypt_backend id;
	const char *name;
	/* Prepares once per process. Returns 0, or -ENOTSUP when this machine does not suit. */
	int (*init)(void);
	/* Library version and CPU code, valid after init. */
	const char *(*describe)(void);
	/* It can do the suite at all; and it is (or is expected to be) the better choice for it on
	 * this CPU. */
	bool (*can)(const struct esp_suite *s);
	bool (*suits)(const struct esp_suite *s);
	/* Bytes of crypt_key.expanded. */
	size_t (*key_bytes)(const struct esp_suite *s, unsigned threads);
	/* run asks the memory for expanded itself, ahead of the packets that need it: nobody else
	 * has to. NULL: never. */
	bool (*looks_ahead)(const struct esp_suite *s);
	/* Fills expanded and run, and adds to bytes what it keeps elsewhere; the lengths are right.
	 * On failure it has undone itself. */
	int (*key_init)(struct crypt_key *k, struct span encr, struct span integ);
	/* Frees what lies outside expanded; NULL when nothing does. */
	void (*key_fini)(struct crypt_key *k);
	/* A thread's own state; both NULL when there is none. */
	int (*ctx_init)(struct crypt_ctx *c);
	void (*ctx_fini)(struct crypt_ctx *c);
	/* Completes what run left in flight; NULL when run completes everything. */
	void (*flush)(struct crypt_ctx *c);
	void (*raw)(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r);
};

extern const struct crypt_backend_ops backend_openssl;
extern const struct crypt_backend_ops backend_ipsec_mb;
extern const struct crypt_backend_ops backend_sodium;

/* One message by the key's backend; sets r->ok. */
void crypt_raw_run(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r);

/* The text can be processed: ESP pads to the block and always has a trailer, but an attacker need
 * not. */
static inline bool op_fits(const struct crypt_key *k, const struct crypt_op *op)
{
	return likely(op->len - 1 < CRYPT_TEXT_MAX && (op->len & k->block_mask) == 0);
}

/*
 * Writes the packet's associated data and returns its length: SPI and sequence number, or with ESN:
 * SPI, high half, low half (RFC 4106 5). Without ESN *aad is the packet's own header, nothing is
 * copied.
 */
static inline unsigned op_aad(const struct crypt_key *k, const struct crypt_op *op, uint8_t buf[12],
			      const uint8_t **aad)
{
	if (!k->esn) {
		*aad = op->esp;
		return 8;
	}
	memcpy(buf, op->esp, 4);
	store_be32(buf + 4, op->seq_hi);
	memcpy(buf + 8, op->esp + 4, 4);
	*aad = buf;
	return 12;
}

/* Bytes the ICV of separate integrity covers, without the high half of the sequence number. */
static inline size_t op_covered(const struct crypt_key *k, const struct crypt_op *op)
{
	return ESP_HEADER_LEN + k->suite.iv_len + op->len;
}

/* Puts the IV into the packet: the counter given, or a random block. */
static inline void op_put_iv(struct crypt_ctx *c, const struct crypt_key *k,
			     const struct crypt_op *op)
{
	if (k->suite.encr->block > 1)
		ivgen_take(c->ivgen, op->esp + ESP_HEADER_LEN, k->suite.iv_len);
	else if (k->suite.iv_len)
		store_be64(op->esp + ESP_HEADER_LEN, op->iv);
}

/*
 * Compares ICVs in constant time; n is a multiple of 4. Whole words, because the library functions
 * go byte by byte, which at 64-byte packets is a sixth of the whole work.
 */
static inline bool icv_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	uint32_t diff = 0;

	for (unsigned i = 0; i < n; i += 4) {
		uint32_t x, y;
		memcpy(&x, a + i, 4);
		memcpy(&y, b + i, 4);
		diff |= x ^ y;
	}
	__asm__("" : "+r"(diff)); /* the compiler must not turn the loop into an early exit */
	return diff == 0;
}

#endif
