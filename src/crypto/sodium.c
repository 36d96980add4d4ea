/*
 * libsodium's part: ChaCha20-Poly1305 (RFC 7634), the key as it is, one call per packet. On
 * opening, the ICV is checked before anything is decrypted.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "base/secret.h"
#include "crypto/backend.h"

struct sodium_key {
	uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
};

static char description[48];

static int sodium_start(void)
{
	if (sodium_init() < 0)
		return -ENOTSUP;
	snprintf(description, sizeof(description), "libsodium %s", sodium_version_string());
	return 0;
}

static const char *sodium_describe(void)
{
	return description;
}

static bool sodium_can(const struct esp_suite *s)
{
	return s->encr->id == ENCR_CHACHA20_POLY1305;
}

static size_t sodium_key_bytes(const struct esp_suite *s, unsigned threads)
{
	return sizeof(struct sodium_key);
}

static void sodium_seal(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	uint8_t nonce[12], buf[12];

	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct sodium_key *sk = k->expanded;
		const uint8_t *aad;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		memcpy(nonce, k->salt, 4);
		store_be64(op->esp + ESP_HEADER_LEN, op->iv);
		store_be64(nonce + 4, op->iv);
		unsigned aad_len = op_aad(k, op, buf, &aad);
		crypto_aead_chacha20poly1305_ietf_encrypt_detached(op->dst, op->dst + op->len, NULL,
								   op->src, op->len, aad, aad_len,
								   NULL, nonce, sk->key);
	}
}

static void sodium_open(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	uint8_t nonce[12], buf[12];

	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct sodium_key *sk = k->expanded;
		const uint8_t *aad;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		memcpy(nonce, k->salt, 4);
		memcpy(nonce + 4, op->esp + ESP_HEADER_LEN, 8);
		unsigned aad_len = op_aad(k, op, buf, &aad);
		op->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
			     op->dst, NULL, op->src, op->len, op->src + op->len, aad, aad_len,
			     nonce, sk->key) == 0;
	}
}

static void sodium_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	const struct sodium_key *sk = k->expanded;

	if (k->dir == CRYPT_SEAL)
		r->ok = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
			    r->dst, r->icv, NULL, r->src, r->len, r->aad.p, r->aad.len, NULL,
			    r->nonce, sk->key) == 0;
	else
		r->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
			    r->dst, NULL, r->src, r->len, r->icv, r->aad.p, r->aad.len, r->nonce,
			    sk->key) == 0;
}

static int sodium_key_init(struct crypt_key *k, struct span encr, struct span integ)
{
	struct sodium_key *sk = k->expanded;

	memcpy(sk->key, encr.p, sizeof(sk->key));
	k->run = k->dir == CRYPT_SEAL ? sodium_seal : sodium_open;
	return 0;
}

const struct crypt_backend_ops backend_sodium = {
	.id = CRYPT_SODIUM,
	.name = "sodium",
	.init = sodium_start,
	.describe = sodium_describe,
	.can = sodium_can,
	.suits = sodium_can,
	.key_bytes = sodium_key_bytes,
	.key_init = sodium_key_init,
	.raw = sodium_raw,
};
