/*
 * OpenSSL's part: every suite, everywhere. A key holds one prepared context per thread; a packet
 * only sets the nonce. Packets are handled one after the other: (separate integrity, opening) check
 * the ICV -> decrypt; (sealing) encrypt -> ICV; combined modes in one pass. The contexts are the
 * library's own memory, which it wipes when they are freed. Its HMAC copies a small state per
 * packet in memory of its own: the price of the public interface, and why ipsec-mb goes first where
 * it runs.
 */
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/secret.h"
#include "crypto/backend.h"
#include "crypto/openssl_mac.h"

/* Single DES is in OpenSSL's legacy provider only; EDE with three equal keys is the same function
 * (RFC 2451 2). */
static struct {
	enum encr_id id;
	uint8_t key_len;
	const char *name;
	EVP_CIPHER *cipher;
} ciphers[] = {
	{ ENCR_DES, 8, "DES-EDE3-CBC", NULL },
	{ ENCR_3DES, 24, "DES-EDE3-CBC", NULL },
	{ ENCR_AES_CBC, 16, "AES-128-CBC", NULL },
	{ ENCR_AES_CBC, 24, "AES-192-CBC", NULL },
	{ ENCR_AES_CBC, 32, "AES-256-CBC", NULL },
	{ ENCR_AES_CTR, 16, "AES-128-CTR", NULL },
	{ ENCR_AES_CTR, 24, "AES-192-CTR", NULL },
	{ ENCR_AES_CTR, 32, "AES-256-CTR", NULL },
	{ ENCR_AES_CCM_16, 16, "AES-128-CCM", NULL },
	{ ENCR_AES_CCM_16, 24, "AES-192-CCM", NULL },
	{ ENCR_AES_CCM_16, 32, "AES-256-CCM", NULL },
	{ ENCR_AES_GCM_16, 16, "AES-128-GCM", NULL },
	{ ENCR_AES_GCM_16, 24, "AES-192-GCM", NULL },
	{ ENCR_AES_GCM_16, 32, "AES-256-GCM", NULL },
	{ ENCR_CHACHA20_POLY1305, 32, "ChaCha20-Poly1305", NULL },
};

struct ossl_slot {
	EVP_CIPHER_CTX *cipher; /* NULL for NULL encryption */
	struct ossl_mac mac;    /* empty for combined modes */
};

static char description[48];

static int ossl_start(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ciphers); i++) {
		ciphers[i].cipher = EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
		if (!ciphers[i].cipher)
			return -ENOTSUP;
	}
	snprintf(description, sizeof(description), "OpenSSL %s",
		 OpenSSL_version(OPENSSL_VERSION_STRING));
	return ossl_mac_start();
}

static const char *ossl_describe(void)
{
	return description;
}

static bool ossl_can(const struct esp_suite *s)
{
	return true;
}

static bool is_ccm(enum encr_id id)
{
	return id == ENCR_AES_CCM_8 || id == ENCR_AES_CCM_12 || id == ENCR_AES_CCM_16;
}

static const EVP_CIPHER *cipher_of(const struct esp_suite *s)
{
	enum encr_id id = s->encr->id;

	if (is_ccm(id))
		id = ENCR_AES_CCM_16;
	else if (id == ENCR_AES_GCM_8 || id == ENCR_AES_GCM_12 || id == ENCR_NULL_AUTH_AES_GMAC)
		id = ENCR_AES_GCM_16;
	for (size_t i = 0; i < ARRAY_LEN(ciphers); i++)
		if (ciphers[i].id == id && ciphers[i].key_len == s->key_len)
			return ciphers[i].cipher;
	return NULL;
}

static size_t ossl_key_bytes(const struct esp_suite *s, unsigned threads)
{
	return threads * sizeof(struct ossl_slot);
}

static struct ossl_slot *slots_of(const struct crypt_key *k)
{
	return k->expanded;
}

/* ---- one message
 * --------------------------------------------------------------------------------------- */

/* Combined modes: associated data in up to three pieces, of which empty ones are left out. dst may
 * be NULL when len is 0. */
static bool aead_message(const struct crypt_key *k, EVP_CIPHER_CTX *x, const uint8_t *nonce,
			 struct span aad, struct span aad2, const uint8_t *src, uint8_t *dst,
			 size_t len, uint8_t *icv)
{
	bool seal = k->dir == CRYPT_SEAL, ccm = is_ccm(k->suite.encr->id);
	int n = 0, icv_len = k->suite.icv_len;
	uint8_t none[16];

	if (!EVP_CipherInit_ex(x, NULL, NULL, NULL, nonce, -1))
		return false;
	if (!seal && !EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, icv_len, icv))
		return false;
	if (ccm && !EVP_CipherUpdate(x, NULL, &n, NULL, (int)len))
		return false;
	if (aad.len && !EVP_CipherUpdate(x, NULL, &n, aad.p, (int)aad.len))
		return false;
	if (aad2.len && !EVP_CipherUpdate(x, NULL, &n, aad2.p, (int)aad2.len))
		return false;
	/* CCM does its work, and its check, in this call, also for an empty text. */
	if ((len || ccm) && !EVP_CipherUpdate(x, len ? dst : none, &n, len ? src : none, (int)len))
		return false;
	if (!ccm && !EVP_CipherFinal_ex(x, none, &n))
		return false;
	return !seal || EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, icv_len, icv);
}

static bool plain_cipher(EVP_CIPHER_CTX *x, const uint8_t *iv, const uint8_t *src, uint8_t *dst,
			 size_t len)
{
	int n = 0;

	if (len == 0)
		return true;
	if (!x) {
		if (src != dst)
			memcpy(dst, src, len);
		return true;
	}
	return EVP_CipherInit_ex(x, NULL, NULL, NULL, iv, -1) &&
	       EVP_CipherUpdate(x, dst, &n, src, (int)len) && (size_t)n == len;
}

/* Separate integrity: `covered` and `tail` are what the ICV is over. */
static bool etm_message(const struct crypt_key *k, const struct ossl_slot *s, const uint8_t *iv,
			struct span covered, struct span tail, const uint8_t *src, uint8_t *dst,
			size_t len, uint8_t *icv)
{
	uint8_t mac[64];

	if (k->dir == CRYPT_SEAL) {
		if (!plain_cipher(s->cipher, iv, src, dst, len) ||
		    !ossl_mac_compute(&s->mac, covered, tail, mac))
			return false;
		memcpy(icv, mac, k->suite.icv_len);
		return true;
	}
	return ossl_mac_compute(&s->mac, covered, tail, mac) &&
	       icv_equal(mac, icv, k->suite.icv_len) && plain_cipher(s->cipher, iv, src, dst, len);
}

/* ---- packets
 * --------------------------------------------------------------------------------------------- */

static void run_aead(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	uint8_t nonce[12], buf[12];

	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		EVP_CIPHER_CTX *x = slots_of(k)[c->slot].cipher;
		unsigned salt_len = k->suite.encr->salt_len;
		const uint8_t *aad;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		memcpy(nonce, k->salt, salt_len);
		if (k->dir == CRYPT_SEAL)
			op_put_iv(c, k, op);
		memcpy(nonce + salt_len, op->esp + ESP_HEADER_LEN, 8);
		unsigned aad_len = op_aad(k, op, buf, &aad);
		uint8_t *text = op->esp + ESP_HEADER_LEN + k->suite.iv_len;
		op->ok = aead_message(k, x, nonce, span_of(aad, aad_len), span_of(NULL, 0), op->src,
				      op->dst, op->len, text + op->len);
	}
}

/* RFC 4543 3.3: the text is associated data too, after the IV, and passes as it is. */
static void run_gmac(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	uint8_t nonce[12], buf[12];

	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		EVP_CIPHER_CTX *x = slots_of(k)[c->slot].cipher;
		const uint8_t *aad;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		memcpy(nonce, k->salt, 4);
		uint8_t *iv = op->esp + ESP_HEADER_LEN;
		if (k->dir == CRYPT_SEAL) {
			op_put_iv(c, k, op);
			if (op->src != op->dst)
				memcpy(op->dst, op->src, op->len);
		}
		memcpy(nonce + 4, iv, 8);
		unsigned aad_len = op_aad(k, op, buf, &aad);
		op->ok = aead_message(k, x, nonce, span_of(aad, aad_len), span_of(iv, 8 + op->len),
				      NULL, NULL, 0, iv + 8 + op->len);
		if (op->ok && k->dir == CRYPT_OPEN && op->src != op->dst)
			memcpy(op->dst, op->src, op->len);
	}
}

static void run_etm(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	uint8_t counter[16], hi[4];

	store_be32(counter + 12, 1);
	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct ossl_slot *s = &slots_of(k)[c->slot];
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		const uint8_t *iv = op->esp + ESP_HEADER_LEN;
		if (k->dir == CRYPT_SEAL)
			op_put_iv(c, k, op);
		if (k->suite.encr->id == ENCR_AES_CTR) {
			memcpy(counter, k->salt, 4);
			memcpy(counter + 4, iv, 8);
			iv = counter;
		}
		/* RFC 4303 2.2.1: the high half is in the ICV as if it followed the packet. */
		store_be32(hi, op->seq_hi);
		size_t covered = op_covered(k, op);
		op->ok =
		    etm_message(k, s, iv, span_of(op->esp, covered), span_of(hi, k->esn ? 4 : 0),
				op->src, op->dst, op->len, op->esp + covered);
	}
}

static void ossl_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	const struct ossl_slot *s = &slots_of(k)[c->slot];
	struct span none = span_of(NULL, 0);

	if (k->suite.encr->aead)
		r->ok = aead_message(k, s->cipher, r->nonce, r->aad, none, r->src, r->dst, r->len,
				     r->icv);
	else
		r->ok = etm_message(k, s, r->nonce, r->aad, none, r->src, r->dst, r->len, r->icv);
}

/* ---- keys
 * ------------------------------------------------------------------------------------------------
 */

static void slot_fini(struct ossl_slot *s)
{
	EVP_CIPHER_CTX_free(s->cipher);
	s->cipher = NULL;
	ossl_mac_fini(&s->mac);
}

static int slot_cipher_init(struct ossl_slot *s, const struct crypt_key *k, const uint8_t *key)
{
	const struct esp_suite *su = &k->suite;
	int enc = k->dir == CRYPT_SEAL;

	s->cipher = EVP_CIPHER_CTX_new();
	if (!s->cipher)
		return -ENOMEM;
	if (!EVP_CipherInit_ex(s->cipher, cipher_of(su), NULL, NULL, NULL, enc))
		return -ENOTSUP;
	if (su->encr->aead && !EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_IVLEN,
						   su->encr->salt_len + su->iv_len, NULL))
		return -ENOTSUP;
	if (is_ccm(su->encr->id) &&
	    !EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, su->icv_len, NULL))
		return -ENOTSUP;
	if (!EVP_CipherInit_ex(s->cipher, NULL, NULL, key, NULL, enc))
		return -ENOTSUP;
	if (!su->encr->aead && !EVP_CIPHER_CTX_set_padding(s->cipher, 0))
		return -ENOTSUP;
	return 0;
}

static int slot_init(struct ossl_slot *s, const struct crypt_key *k, struct span encr,
		     struct span integ)
{
	uint8_t key[32];
	int rc = 0;

	if (encr.len) {
		memcpy(key, encr.p, encr.len);
		if (k->suite.encr->id == ENCR_DES) {
			memcpy(key + 8, encr.p, 8);
			memcpy(key + 16, encr.p, 8);
		}
		rc = slot_cipher_init(s, k, key);
		wipe(key, sizeof(key));
	}
	if (rc == 0 && k->suite.integ)
		rc = ossl_mac_init(&s->mac, k->suite.integ->id, integ);
	if (rc)
		slot_fini(s);
	return rc;
}

static void ossl_key_fini(struct crypt_key *k)
{
	for (unsigned t = 0; t < k->threads; t++)
		slot_fini(&slots_of(k)[t]);
}

/*
 * What one thread's contexts of a key weigh in the heap: the library does not say, so the first key
 * of every suite asks the allocator before and after a number of trial contexts (enough of them
 * that its caches do not hide the answer). Keys are made by one thread; where the allocator tells
 * nothing (sanitizers), a usual size.
 */
static size_t slot_heap_bytes(const struct crypt_key *k, struct span encr, struct span integ)
{
	enum { USUAL = 1536, LEAST = 64, MOST = 16384, TRIALS = 48 };
	static uint16_t known[32][5][16]; /* by encryption number, key words, integrity number */
	unsigned integ_id = k->suite.integ ? k->suite.integ->id : 0;
	uint16_t *w = &known[k->suite.encr->id % 32][k->suite.key_len / 8 % 5][integ_id % 16];
	struct ossl_slot trial[TRIALS] = { 0 };
	unsigned made = 0;

	if (*w)
		return *w;
	size_t before = mallinfo2().uordblks;
	while (made < TRIALS && slot_init(&trial[made], k, encr, integ) == 0)
		made++;
	size_t after = mallinfo2().uordblks;
	for (unsigned i = 0; i < made; i++)
		slot_fini(&trial[i]);
	size_t each = after > before ? (after - before) / TRIALS : 0;
	*w = (uint16_t)(each >= LEAST && each <= MOST ? each : USUAL);
	return *w;
}

static int ossl_key_init(struct crypt_key *k, struct span encr, struct span integ)
{
	for (unsigned t = 0; t < k->threads; t++) {
		int rc = slot_init(&slots_of(k)[t], k, encr, integ);
		if (rc) {
			ossl_key_fini(k);
			return rc;
		}
	}
	k->bytes += (uint32_t)(k->threads * slot_heap_bytes(k, encr, integ));
	if (k->suite.encr->id == ENCR_NULL_AUTH_AES_GMAC)
		k->run = run_gmac;
	else
		k->run = k->suite.encr->aead ? run_aead : run_etm;
	return 0;
}

const struct crypt_backend_ops backend_openssl = {
	.id = CRYPT_OPENSSL,
	.name = "openssl",
	.init = ossl_start,
	.describe = ossl_describe,
	.can = ossl_can,
	.suits = ossl_can,
	.key_bytes = ossl_key_bytes,
	.key_init = ossl_key_init,
	.key_fini = ossl_key_fini,
	.raw = ossl_raw,
};
