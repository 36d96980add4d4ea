/*
 * Intel's multi-buffer library: AES-GCM by one direct call a packet, everything else as jobs, many
 * of which are worked on side by side in the lanes of a vector register. This file: start,
 * contexts, and which suites it takes.
 */
#include "crypto/ipsec_mb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"

IMB_MGR *mb_key_mgr;

static IMB_ARCH arch;
static char description[64];

static const char *arch_name(IMB_ARCH a)
{
	switch (a) {
	case IMB_ARCH_SSE:
		return "SSE";
#if IMB_VERSION_NUM < IMB_VERSION(2, 0, 0) /* version 2 has no code of its own for it */
	case IMB_ARCH_AVX:
		return "AVX";
#endif
	case IMB_ARCH_AVX2:
		return "AVX2";
	case IMB_ARCH_AVX512:
		return "AVX512";
	default:
		return "no AES-NI";
	}
}

static int mb_start(void)
{
	const uint64_t need = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

	mb_key_mgr = alloc_mb_mgr(0);
	if (!mb_key_mgr)
		return -ENOTSUP;
	/* Without AES instructions the library emulates them: correct, and slower than OpenSSL's
	 * own C. */
	if ((mb_key_mgr->features & need) != need)
		goto unsuitable;
	init_mb_mgr_auto(mb_key_mgr, &arch);
	if (imb_get_errno(mb_key_mgr) != 0 || arch < IMB_ARCH_SSE)
		goto unsuitable;
	mb_gcm_powers = arch == IMB_ARCH_AVX512 && mb_key_mgr->features & IMB_FEATURE_VAES ? 48
			: arch >= IMB_ARCH_AVX2                                            ? 8
											   : 16;
	snprintf(description, sizeof(description), "ipsec-mb %s (%s%s)", imb_get_version_str(),
		 arch_name(arch), mb_key_mgr->features & IMB_FEATURE_VAES ? ", VAES" : "");
	return 0;
unsuitable:
	free_mb_mgr(mb_key_mgr);
	mb_key_mgr = NULL;
	return -ENOTSUP;
}

static const char *mb_describe(void)
{
	return description;
}

static bool is_des(const struct esp_suite *s)
{
	return s->encr->id == ENCR_DES || s->encr->id == ENCR_3DES;
}

static bool mb_can(const struct esp_suite *s)
{
#if IMB_VERSION_NUM >= IMB_VERSION(2, 0, 0)
	/* Version 2.0.0 decrypts DES wrongly when many packets are under way (Debian 13; seen by
	 * the cross-check with OpenSSL). */
	if (is_des(s))
		return false;
#endif
	return !(mb_is_ccm(s) && s->key_len == 24); /* it has CCM for 128 and 256 bits only */
}

static bool mb_suits(const struct esp_suite *s)
{
	/* DES is vectorised for AVX-512 only. */
	return !is_des(s) || arch == IMB_ARCH_AVX512;
}

static size_t mb_key_bytes(const struct esp_suite *s, unsigned threads)
{
	return mb_is_gcm(s) ? sizeof(struct gcm_key_data) : sizeof(struct mb_job_key);
}

static bool mb_looks_ahead(const struct esp_suite *s)
{
	return mb_is_gcm(s) && s->encr->id != ENCR_NULL_AUTH_AES_GMAC;
}

static int mb_key_init(struct crypt_key *k, struct span encr, struct span integ)
{
	if (mb_is_gcm(&k->suite)) {
		mb_gcm_key_init(k, encr);
		return 0;
	}
	return mb_job_key_init(k, encr, integ);
}

static int mb_ctx_init(struct crypt_ctx *c)
{
	struct mb_ctx *m = aligned_alloc(64, (sizeof(*m) + 63) / 64 * 64);

	if (!m)
		return -ENOMEM;
	memset(m, 0, sizeof(*m));
	m->mgr = alloc_mb_mgr(0);
	if (!m->mgr) {
		free(m);
		return -ENOMEM;
	}
	init_mb_mgr_auto(m->mgr, NULL);
	c->mb = m;
	return 0;
}

static void mb_ctx_fini(struct crypt_ctx *c)
{
	struct mb_ctx *m = c->mb;

	if (!m)
		return;
	/* The manager's lanes may hold hash states and ends of packets. */
	wipe(m->mgr, imb_get_mb_mgr_size());
	free_mb_mgr(m->mgr);
	wipe(m, sizeof(*m));
	free(m);
	c->mb = NULL;
}

static void mb_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	if (mb_is_gcm(&k->suite))
		mb_gcm_raw(c, k, r);
	else
		mb_job_raw(c, k, r);
}

const struct crypt_backend_ops backend_ipsec_mb = {
	.id = CRYPT_IPSEC_MB,
	.name = "ipsec-mb",
	.init = mb_start,
	.describe = mb_describe,
	.can = mb_can,
	.suits = mb_suits,
	.key_bytes = mb_key_bytes,
	.looks_ahead = mb_looks_ahead,
	.key_init = mb_key_init,
	.ctx_init = mb_ctx_init,
	.ctx_fini = mb_ctx_fini,
	.flush = mb_job_flush,
	.raw = mb_raw,
};
