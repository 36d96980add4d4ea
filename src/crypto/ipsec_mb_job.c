/*
 * Packets as ipsec-mb jobs: CBC, CTR and NULL with separate integrity, CCM, ChaCha20-Poly1305. Each
 * packet of a run becomes a job (copy of the key's, plus pointers); a submission may hand back an
 * earlier job that is complete, or none. At the end of the batch what is left is flushed.
 * Completion sets the operation's ok: opening, it compares the ICV.
 */
#include "base/secret.h"
#include "crypto/ipsec_mb.h"

static void job_complete(IMB_JOB *j)
{
	struct crypt_op *op = j->user_data;
	struct mb_scratch *s = j->user_data2;
	bool ok = j->status == IMB_STATUS_COMPLETED;

	if (j->cipher_direction == IMB_DIR_DECRYPT) {
		ok = ok && icv_equal(s->tag, s->icv, (unsigned)j->auth_tag_output_len_in_bytes);
		if (s->hi)
			memcpy(s->hi, s->icv, 4);
	}
	if (op)
		op->ok = ok;
	else
		s->done = ok;
}

static void job_submit(struct mb_ctx *m)
{
	IMB_JOB *j = IMB_SUBMIT_JOB_NOCHECK(m->mgr);

	while (j) {
		job_complete(j);
		j = IMB_GET_COMPLETED_JOB(m->mgr);
	}
}

void mb_job_flush(struct crypt_ctx *c)
{
	IMB_JOB *j;

	while ((j = IMB_FLUSH_JOB(c->mb->mgr)))
		job_complete(j);
}

static struct mb_scratch *scratch_next(struct mb_ctx *m)
{
	struct mb_scratch *s = &m->scratch[m->next];

	m->next = (m->next + 1) % IMB_MAX_JOBS;
	s->hi = NULL;
	return s;
}

/* A job with the fields of the key. */
static IMB_JOB *job_new(struct mb_ctx *m, const struct mb_job_key *q, const uint8_t *src,
			uint8_t *dst, size_t len)
{
	IMB_JOB *j = IMB_GET_NEXT_JOB(m->mgr);

	*j = q->job;
	j->src = src;
	j->dst = dst;
	j->msg_len_to_cipher_in_bytes = len;
	return j;
}

/* The nonce or first counter block of a packet whose IV is in place. */
static const uint8_t *job_iv(const struct crypt_key *k, const struct crypt_op *op,
			     struct mb_scratch *s)
{
	const uint8_t *iv = op->esp + ESP_HEADER_LEN;
	unsigned salt_len = k->suite.encr->salt_len;

	if (salt_len == 0)
		return iv;
	memcpy(s->iv, k->salt, 4);
	memcpy(s->iv + salt_len, iv, 8);
	if (k->suite.encr->id == ENCR_AES_CTR)
		store_be32(s->iv + 12, 1); /* RFC 3686 4 */
	return s->iv;
}

static void job_aad(IMB_JOB *j, const struct esp_suite *su, const uint8_t *aad, size_t len)
{
	if (mb_is_ccm(su)) {
		j->u.CCM.aad = aad;
		j->u.CCM.aad_len_in_bytes = len;
	} else {
		j->u.CHACHA20_POLY1305.aad = aad;
		j->u.CHACHA20_POLY1305.aad_len_in_bytes = len;
	}
	j->msg_len_to_hash_in_bytes = j->msg_len_to_cipher_in_bytes;
}

/* What the ICV covers, said as the library wants it: an offset from src, which wraps where it lies
 * before. */
static void job_cover(IMB_JOB *j, const uint8_t *from, size_t len)
{
	j->hash_start_src_offset_in_bytes = (uint64_t)((uintptr_t)from - (uintptr_t)j->src);
	j->msg_len_to_hash_in_bytes = len;
}

void mb_job_seal(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct mb_job_key *q = k->expanded;
		const bool combined = k->suite.encr->aead, null = k->suite.encr->id == ENCR_NULL;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		struct mb_scratch *s = scratch_next(c->mb);
		op_put_iv(c, k, op);
		IMB_JOB *j = job_new(c->mb, q, op->src, op->dst, op->len);
		j->iv = job_iv(k, op, s);
		if (combined) {
			const uint8_t *aad;
			unsigned aad_len = op_aad(k, op, s->aad, &aad);
			job_aad(j, &k->suite, aad, aad_len);
		} else {
			/* RFC 4303 2.2.1: the high half stands after the ciphertext for the ICV,
			 * which then replaces it. */
			if (k->esn)
				store_be32(op->dst + op->len, op->seq_hi);
			if (null && op->src != op->dst)
				memcpy(op->dst, op->src, op->len);
			job_cover(j, op->esp, op_covered(k, op) + (k->esn ? 4 : 0));
		}
		j->auth_tag_output = op->dst + op->len;
		j->user_data = op;
		j->user_data2 = s;
		job_submit(c->mb);
	}
}

void mb_job_open(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct mb_job_key *q = k->expanded;
		const bool combined = k->suite.encr->aead, null = k->suite.encr->id == ENCR_NULL;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		struct mb_scratch *s = scratch_next(c->mb);
		uint8_t *icv = op->esp + op_covered(k, op);
		memcpy(s->icv, icv, k->suite.icv_len);
		IMB_JOB *j = job_new(c->mb, q, op->src, op->dst, op->len);
		j->iv = job_iv(k, op, s);
		if (combined) {
			const uint8_t *aad;
			unsigned aad_len = op_aad(k, op, s->aad, &aad);
			job_aad(j, &k->suite, aad, aad_len);
		} else {
			if (k->esn) {
				store_be32(icv, op->seq_hi);
				s->hi = icv;
			}
			if (null && op->src != op->dst)
				memcpy(op->dst, op->src, op->len);
			job_cover(j, op->esp, op_covered(k, op) + (k->esn ? 4 : 0));
		}
		j->auth_tag_output = s->tag;
		j->user_data = op;
		j->user_data2 = s;
		job_submit(c->mb);
	}
}

void mb_job_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	enum { CCM_AAD_MAX = 46 }; /* the library's limit */
	const struct mb_job_key *q = k->expanded;
	const struct esp_suite *su = &k->suite;
	struct mb_scratch *s = scratch_next(c->mb);
	bool seal = k->dir == CRYPT_SEAL;

	/* Nor does its HMAC take an empty message. Neither concerns ESP. */
	bool hmac = !su->encr->aead && q->job.hash_alg != IMB_AUTH_AES_XCBC &&
		    q->job.hash_alg != IMB_AUTH_AES_CMAC;
	if ((mb_is_ccm(su) && r->aad.len > CCM_AAD_MAX) || (hmac && r->aad.len == 0))
		return;
	s->done = false;
	if (!seal)
		memcpy(s->icv, r->icv, su->icv_len);
	IMB_JOB *j = job_new(c->mb, q, r->src, r->dst, r->len);
	j->iv = r->nonce;
	if (su->encr->aead) {
		job_aad(j, su, r->aad.p, r->aad.len);
	} else {
		if (r->len == 0)
			j->cipher_mode =
			    IMB_CIPHER_NULL; /* its CBC does not end on an empty text */
		else if (su->encr->id == ENCR_NULL && r->src != r->dst)
			memcpy(r->dst, r->src, r->len);
		job_cover(j, r->aad.p, r->aad.len);
	}
	j->auth_tag_output = seal ? r->icv : s->tag;
	j->user_data = NULL;
	j->user_data2 = s;
	job_submit(c->mb);
	mb_job_flush(c);
	r->ok = s->done;
}
