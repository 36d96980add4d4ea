/*
 * Keys of ipsec-mb's jobs: the suite's keys enter, their schedules and a job with every constant
 * field filled in leave. Per packet only pointers, lengths and the IV are added to a copy of that
 * job.
 */
#include <errno.h>

#include "base/secret.h"
#include "crypto/ipsec_mb.h"

static void aes_expand(struct mb_job_key *q, struct span key)
{
	if (key.len == 16)
		IMB_AES_KEYEXP_128(mb_key_mgr, key.p, q->cipher.aes.enc, q->cipher.aes.dec);
	else if (key.len == 24)
		IMB_AES_KEYEXP_192(mb_key_mgr, key.p, q->cipher.aes.enc, q->cipher.aes.dec);
	else
		IMB_AES_KEYEXP_256(mb_key_mgr, key.p, q->cipher.aes.enc, q->cipher.aes.dec);
	q->job.enc_keys = q->cipher.aes.enc;
	q->job.dec_keys = q->cipher.aes.dec;
}

static void des_expand(struct mb_job_key *q, struct span key)
{
	for (unsigned i = 0; i < key.len / 8; i++) {
		IMB_DES_KEYSCHED(mb_key_mgr, q->cipher.des.schedule[i], key.p + 8 * i);
		q->cipher.des.ptr[i] = q->cipher.des.schedule[i];
	}
	q->job.enc_keys =
	    key.len == 8 ? (const void *)q->cipher.des.schedule[0] : q->cipher.des.ptr;
	q->job.dec_keys = q->job.enc_keys;
}

static int cipher_init(struct mb_job_key *q, const struct esp_suite *s, struct span key)
{
	IMB_JOB *j = &q->job;

	j->key_len_in_bytes = s->key_len;
	switch (s->encr->id) {
	case ENCR_NULL:
		j->cipher_mode = IMB_CIPHER_NULL;
		return 0;
	case ENCR_DES:
	case ENCR_3DES:
		j->cipher_mode = s->encr->id == ENCR_DES ? IMB_CIPHER_DES : IMB_CIPHER_DES3;
		j->iv_len_in_bytes = 8;
		des_expand(q, key);
		return 0;
	case ENCR_AES_CBC:
		j->cipher_mode = IMB_CIPHER_CBC;
		j->iv_len_in_bytes = 16;
		aes_expand(q, key);
		return 0;
	case ENCR_AES_CTR:
		j->cipher_mode = IMB_CIPHER_CNTR;
		j->iv_len_in_bytes = 16;
		aes_expand(q, key);
		return 0;
	case ENCR_AES_CCM_8:
	case ENCR_AES_CCM_12:
	case ENCR_AES_CCM_16:
		j->cipher_mode = IMB_CIPHER_CCM;
		j->hash_alg = IMB_AUTH_AES_CCM;
		j->iv_len_in_bytes = 11;
		aes_expand(q, key);
		return 0;
	case ENCR_CHACHA20_POLY1305:
		j->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
		j->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
		j->iv_len_in_bytes = 12;
		memcpy(q->cipher.chacha, key.p, 32);
		j->enc_keys = j->dec_keys = q->cipher.chacha;
		return 0;
	default:
		return -ENOTSUP;
	}
}

/* HMAC (RFC 2104): the hash states after the first block, the key mixed with ipad and opad.
 * Transform keys never exceed a block. */
static int hmac_init(struct mb_job_key *q, enum integ_id id, struct span key)
{
	IMB_JOB *j = &q->job;
	hash_one_block_t one_block;
	size_t block = 64;

	switch (id) {
	case INTEG_HMAC_MD5_96:
		j->hash_alg = IMB_AUTH_MD5;
		one_block = mb_key_mgr->md5_one_block;
		break;
	case INTEG_HMAC_SHA1_96:
		j->hash_alg = IMB_AUTH_HMAC_SHA_1;
		one_block = mb_key_mgr->sha1_one_block;
		break;
	case INTEG_HMAC_SHA2_256_128:
		j->hash_alg = IMB_AUTH_HMAC_SHA_256;
		one_block = mb_key_mgr->sha256_one_block;
		break;
	case INTEG_HMAC_SHA2_384_192:
		j->hash_alg = IMB_AUTH_HMAC_SHA_384;
		one_block = mb_key_mgr->sha384_one_block;
		block = 128;
		break;
	case INTEG_HMAC_SHA2_512_256:
		j->hash_alg = IMB_AUTH_HMAC_SHA_512;
		one_block = mb_key_mgr->sha512_one_block;
		block = 128;
		break;
	default:
		return -ENOTSUP;
	}
	uint8_t inner[128], outer[128];
	memset(inner, 0x36, sizeof(inner));
	memset(outer, 0x5c, sizeof(outer));
	for (size_t i = 0; i < key.len && i < block; i++) {
		inner[i] ^= key.p[i];
		outer[i] ^= key.p[i];
	}
	one_block(inner, q->mac.hmac.inner);
	one_block(outer, q->mac.hmac.outer);
	wipe(inner, sizeof(inner));
	wipe(outer, sizeof(outer));
	j->u.HMAC._hashed_auth_key_xor_ipad = q->mac.hmac.inner;
	j->u.HMAC._hashed_auth_key_xor_opad = q->mac.hmac.outer;
	return 0;
}

static int mac_init(struct mb_job_key *q, enum integ_id id, struct span key)
{
	IMB_JOB *j = &q->job;
	uint8_t unused[15 * 16] __attribute__((aligned(16)));

	if (id == INTEG_AES_XCBC_96) {
		IMB_AES_XCBC_KEYEXP(mb_key_mgr, key.p, q->mac.cbc.k1, q->mac.cbc.k2, q->mac.cbc.k3);
		j->hash_alg = IMB_AUTH_AES_XCBC;
		j->u.XCBC._k1_expanded = (const uint32_t *)(const void *)q->mac.cbc.k1;
		j->u.XCBC._k2 = q->mac.cbc.k2;
		j->u.XCBC._k3 = q->mac.cbc.k3;
		return 0;
	}
	if (id == INTEG_AES_CMAC_96) {
		IMB_AES_KEYEXP_128(mb_key_mgr, key.p, q->mac.cbc.k1, unused);
		wipe(unused, sizeof(unused));
		IMB_AES_CMAC_SUBKEY_GEN_128(mb_key_mgr, q->mac.cbc.k1, q->mac.cbc.k2,
					    q->mac.cbc.k3);
		j->hash_alg = IMB_AUTH_AES_CMAC;
		j->u.CMAC._key_expanded = q->mac.cbc.k1;
		j->u.CMAC._skey1 = q->mac.cbc.k2;
		j->u.CMAC._skey2 = q->mac.cbc.k3;
		return 0;
	}
	return hmac_init(q, id, key);
}

int mb_job_key_init(struct crypt_key *k, struct span encr, struct span integ)
{
	struct mb_job_key *q = k->expanded;
	const struct esp_suite *s = &k->suite;
	bool seal = k->dir == CRYPT_SEAL;
	int rc = cipher_init(q, s, encr);

	if (rc == 0 && s->integ)
		rc = mac_init(q, s->integ->id, integ);
	if (rc)
		return rc;
	/* CCM authenticates the plaintext, all others the ciphertext. */
	bool cipher_first = mb_is_ccm(s) ? !seal : seal;
	q->job.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	q->job.chain_order = cipher_first ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	q->job.auth_tag_output_len_in_bytes = s->icv_len;
	k->run = seal ? mb_job_seal : mb_job_open;
	return 0;
}
