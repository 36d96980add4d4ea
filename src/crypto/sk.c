/*
 * See sk.h. Sealing: header in place -> IV -> text, padding, Pad Length -> encrypt in place -> ICV.
 * Opening: lengths -> ICV and decryption -> padding taken off. The work is done by the OpenSSL
 * backend of the packet layer, by way of a key that lives as long as one message; the other
 * backends are made for ESP and have limits on the header's length that IKE does not know.
 */
#include "crypto/sk.h"

#include <errno.h>
#include <stdalign.h>

#include "base/random.h"
#include "base/secret.h"
#include "crypto/backend.h"

struct sk_key {
	struct esp_suite suite;
	enum crypt_dir dir;
	uint64_t next_iv;
	uint8_t encr[32 + 4]; /* key and salt */
	uint8_t integ[64];
};

bool sk_suite_ok(const struct esp_suite *s)
{
	return s->encr && s->encr->id != ENCR_NULL && s->encr->id != ENCR_NULL_AUTH_AES_GMAC &&
	       (s->encr->aead || s->integ);
}

int sk_key_new(const struct esp_suite *s, enum crypt_dir dir, struct span encr_key,
	       struct span integ_key, struct sk_key **out)
{
	*out = NULL;
	if (!sk_suite_ok(s))
		return -ENOTSUP;
	if (encr_key.len != (size_t)s->key_len + s->encr->salt_len ||
	    integ_key.len != (s->integ ? s->integ->key_len : 0u))
		return -EINVAL;
	struct sk_key *k = secret_alloc(sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->suite = *s;
	k->dir = dir;
	memcpy(k->encr, encr_key.p, encr_key.len);
	if (integ_key.len)
		memcpy(k->integ, integ_key.p, integ_key.len);
	*out = k;
	return 0;
}

void sk_key_free(struct sk_key **k)
{
	secret_release(*k, sizeof(**k));
	*k = NULL;
}

/* Text, padding and Pad Length: RFC 7296 3.14 wants a multiple of the block, no more. */
static size_t padded_len(const struct esp_suite *s, size_t text_len)
{
	size_t block = s->encr->block;

	return (text_len + 1 + block - 1) / block * block;
}

size_t sk_sealed_len(const struct esp_suite *s, size_t text_len)
{
	return s->iv_len + padded_len(s, text_len) + s->icv_len;
}

size_t sk_text_max(const struct esp_suite *s, size_t room)
{
	size_t frame = (size_t)s->iv_len + s->icv_len, block = s->encr->block;

	return room < frame + block ? 0 : (room - frame) / block * block - 1;
}

/* The IV as it is sent becomes what the cipher takes: salt | IV, for counter mode with the block
 * counter behind (RFC 5930 2). */
static void nonce_make(const struct sk_key *k, const uint8_t *iv, uint8_t nonce[16])
{
	const struct encr_info *e = k->suite.encr;

	memset(nonce, 0, 16);
	memcpy(nonce, k->encr + k->suite.key_len, e->salt_len);
	memcpy(nonce + e->salt_len, iv, e->iv_len);
	if (e->id == ENCR_AES_CTR)
		store_be32(nonce + 12, 1);
}

/* One message under a key expanded for it. */
static bool run(const struct sk_key *k, struct crypt_raw *r)
{
	alignas(CACHE_LINE) uint8_t expanded[256] = { 0 };
	struct crypt_ctx slot0 = { 0 };
	struct crypt_key key = { .be = &backend_openssl,
				 .expanded = expanded,
				 .suite = k->suite,
				 .dir = (uint8_t)k->dir,
				 .threads = 1 };
	size_t integ_len = k->suite.integ ? k->suite.integ->key_len : 0;

	if (backend_openssl.key_bytes(&k->suite, 1) > sizeof(expanded) ||
	    backend_openssl.key_init(&key, span_of(k->encr, k->suite.key_len),
				     span_of(k->integ, integ_len)))
		return false;
	r->ok = false;
	backend_openssl.raw(&slot0, &key, r);
	backend_openssl.key_fini(&key);
	wipe(expanded, sizeof(expanded));
	return r->ok;
}

/* What the ICV covers: combined modes take the ciphertext by themselves. */
static struct span covered(const struct sk_key *k, const uint8_t *msg, size_t head_len,
			   size_t text_len)
{
	return span_of(msg, k->suite.encr->aead ? head_len : head_len + k->suite.iv_len + text_len);
}

int sk_seal(struct sk_key *k, uint8_t *msg, size_t cap, size_t head_len, struct span text,
	    size_t *len)
{
	const struct esp_suite *s = &k->suite;
	size_t padded = padded_len(s, text.len);
	uint8_t *iv, *body, nonce[16];

	*len = 0;
	if (k->dir != CRYPT_SEAL)
		return -EIO;
	if (head_len > cap || text.len > cap || sk_sealed_len(s, text.len) > cap - head_len)
		return -ENOSPC;
	iv = msg + head_len;
	body = iv + s->iv_len;
	if (text.len)
		memmove(body, text.p, text.len);
	memset(body + text.len, 0, padded - text.len);
	body[padded - 1] = (uint8_t)(padded - 1 - text.len);
	if (s->encr->block > 1) {
		random_bytes(iv, s->iv_len);
	} else {
		if (k->next_iv == UINT64_MAX)
			return -EOVERFLOW;
		store_be64(iv, k->next_iv++);
	}
	nonce_make(k, iv, nonce);
	struct crypt_raw r = { .nonce = nonce,
			       .aad = covered(k, msg, head_len, padded),
			       .src = body,
			       .dst = body,
			       .len = padded,
			       .icv = body + padded };
	if (!run(k, &r))
		return -EIO;
	*len = head_len + sk_sealed_len(s, text.len);
	return 0;
}

int sk_open(const struct sk_key *k, uint8_t *msg, size_t len, size_t head_len, struct span *text)
{
	const struct esp_suite *s = &k->suite;
	size_t frame = (size_t)s->iv_len + s->icv_len;
	uint8_t nonce[16];

	*text = span_of(NULL, 0);
	if (k->dir != CRYPT_OPEN || head_len > len || len - head_len <= frame)
		return -EBADMSG;
	size_t padded = len - head_len - frame;
	uint8_t *body = msg + head_len + s->iv_len;
	if (padded % s->encr->block)
		return -EBADMSG;
	nonce_make(k, msg + head_len, nonce);
	struct crypt_raw r = { .nonce = nonce,
			       .aad = covered(k, msg, head_len, padded),
			       .src = body,
			       .dst = body,
			       .len = padded,
			       .icv = body + padded };
	/* The padding's content is the sender's choice (RFC 7296 3.14); only its length counts. */
	if (!run(k, &r) || body[padded - 1] >= padded)
		return -EBADMSG;
	*text = span_of(body, padded - 1 - body[padded - 1]);
	return 0;
}
