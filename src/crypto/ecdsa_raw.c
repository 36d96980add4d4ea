#include "crypto/ecdsa_raw.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

bool ecdsa_to_raw(size_t n, uint8_t sig[SIG_LEN_MAX], size_t *len)
{
	const unsigned char *p = sig;
	int each = (int)n;
	ECDSA_SIG *e = d2i_ECDSA_SIG(NULL, &p, (long)*len);
	bool ok = e && BN_bn2binpad(ECDSA_SIG_get0_r(e), sig, each) == each &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(e), sig + n, each) == each;

	*len = 2 * n;
	ECDSA_SIG_free(e);
	return ok;
}

size_t ecdsa_from_raw(size_t n, struct span sig, uint8_t out[SIG_LEN_MAX])
{
	unsigned char *p = out;
	int len = 0;

	if (sig.len != 2 * n)
		return 0;
	ECDSA_SIG *e = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig.p, (int)n, NULL), *t = BN_bin2bn(sig.p + n, (int)n, NULL);
	if (e && r && t && ECDSA_SIG_set0(e, r, t)) {
		r = t = NULL; /* e's now */
		len = i2d_ECDSA_SIG(e, &p);
	}
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(e);
	return len > 0 ? (size_t)len : 0;
}
