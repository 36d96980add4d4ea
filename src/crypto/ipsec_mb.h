/* Shared by the files of the ipsec-mb backend. */
#ifndef CRYPTO_IPSEC_MB_H
#define CRYPTO_IPSEC_MB_H

#include <intel-ipsec-mb.h>
#include <stdalign.h>

#include "crypto/backend.h"

/* A job's own memory until it is completed. */
struct mb_scratch {
	uint8_t iv[16]; /* nonce or counter block */
	uint8_t aad[16];
	uint8_t tag[64];      /* opening: the ICV as computed */
	uint8_t icv[ICV_MAX]; /* opening: the ICV as received */
	uint8_t *hi; /* opening with ESN: where the high half was put, over the ICV; restored when
			done */
	bool done;   /* raw: completed well */
};

/* One thread's. The manager holds at most IMB_MAX_JOBS - 1 jobs between two submissions, so that
 * many scratches, used in turn, suffice. */
struct mb_ctx {
	IMB_MGR *mgr;
	unsigned next; /* scratch of the next job */
	struct gcm_context_data gcm;
	struct mb_scratch scratch[IMB_MAX_JOBS];
};

/* What a key's expanded keys are, AES-GCM and GMAC: the library's struct gcm_key_data. All other
 * suites: a job with everything filled in that does not change between packets, and what it points
 * to. */
struct mb_job_key {
	IMB_JOB job;
	union {
		struct {
			alignas(16) uint8_t enc[15 * 16], dec[15 * 16];
		} aes;
		struct {
			uint64_t schedule[3][16];
			const void *ptr[3];
		} des;
		uint8_t chacha[32];
	} cipher;
	union {
		struct {
			alignas(16) uint8_t inner[64],
			    outer[64]; /* hash states after the padded key */
		} hmac;
		struct {
			alignas(16) uint8_t k1[11 * 16], k2[16], k3[16];
		} cbc; /* XCBC, CMAC */
	} mac;
};

/* The manager that expands keys; it never sees a packet. */
extern IMB_MGR *mb_key_mgr;

static inline bool mb_is_gcm(const struct esp_suite *s)
{
	return s->encr->id == ENCR_AES_GCM_8 || s->encr->id == ENCR_AES_GCM_12 ||
	       s->encr->id == ENCR_AES_GCM_16 || s->encr->id == ENCR_NULL_AUTH_AES_GMAC;
}

static inline bool mb_is_ccm(const struct esp_suite *s)
{
	return s->encr->id == ENCR_AES_CCM_8 || s->encr->id == ENCR_AES_CCM_12 ||
	       s->encr->id == ENCR_AES_CCM_16;
}

/* How many powers of the hash key (and sums of their halves) the library's code for this CPU keeps
 * behind the round keys. */
extern unsigned mb_gcm_powers;

/* ipsec_mb_gcm.c: expands the key, sets k->run */
void mb_gcm_key_init(struct crypt_key *k, struct span encr);
void mb_gcm_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r);

/* ipsec_mb_key.c: expands the keys and prepares the job. Returns 0 or -ENOTSUP. */
int mb_job_key_init(struct crypt_key *k, struct span encr, struct span integ);

/* ipsec_mb_job.c */
crypt_run_fn mb_job_seal, mb_job_open;
void mb_job_flush(struct crypt_ctx *c);
void mb_job_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r);

#endif
