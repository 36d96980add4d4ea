/*
 * See auth.h. The signed octets are never put in one piece here: prf and signatures take them in
 * parts. Shared secrets and the announcement of hashes are here; signatures are in auth_sig.c.
 */
#include "ike/auth.h"

#include <errno.h>
#include <openssl/crypto.h>

#include "base/rd.h"
#include "base/secret.h"
#include "base/wr.h"
#include "ike/auth_octets.h"

int auth_octets_parts(const struct auth_octets *o, uint8_t maced_id[PRF_LEN_MAX],
		      struct span parts[AUTH_PARTS])
{
	int rc = prf_compute(o->prf, o->sk_p, &o->id_body, 1, maced_id);

	parts[0] = o->message;
	parts[1] = o->nonce;
	parts[2] = span_of(maced_id, o->prf->len);
	return rc;
}

int auth_psk(const struct auth_octets *o, struct span secret, uint8_t out[PRF_LEN_MAX])
{
	static const char pad[] = "Key Pad for IKEv2";
	const struct span pad_v = span_of(pad, sizeof(pad) - 1);
	uint8_t key[PRF_LEN_MAX], maced_id[PRF_LEN_MAX];
	struct span parts[AUTH_PARTS];

	int rc = prf_compute(o->prf, secret, &pad_v, 1, key);
	if (rc == 0)
		rc = auth_octets_parts(o, maced_id, parts);
	if (rc == 0)
		rc = prf_compute(o->prf, span_of(key, o->prf->len), parts, AUTH_PARTS, out);
	wipe(key, sizeof(key));
	wipe(maced_id, sizeof(maced_id));
	return rc;
}

int auth_psk_check(const struct auth_octets *o, struct span secret, struct span data)
{
	uint8_t want[PRF_LEN_MAX];
	int rc = auth_psk(o, secret, want);

	if (rc == 0 && (data.len != o->prf->len || CRYPTO_memcmp(data.p, want, data.len) != 0))
		rc = -EBADMSG;
	wipe(want, sizeof(want));
	return rc;
}

/* ---- SIGNATURE_HASH_ALGORITHMS */

uint32_t auth_hashes_ours(bool allow_weak)
{
	uint32_t ours =
	    1u << HASH_SHA2_256 | 1u << HASH_SHA2_384 | 1u << HASH_SHA2_512 | 1u << HASH_IDENTITY;

	return allow_weak ? ours | 1u << HASH_SHA1 : ours;
}

uint32_t auth_hashes_parse(struct span data)
{
	struct rd r = rd_of(data.p, data.len);
	uint32_t hashes = 0;

	while (r.left >= 2) {
		uint16_t n = rd_be16(&r);
		if (n > 0 && n < 32)
			hashes |= 1u << n;
	}
	return hashes;
}

void auth_hashes_write(uint32_t hashes, uint8_t out[32], size_t *len)
{
	struct wr w = wr_of(out, 32);

	for (uint16_t n = 1; n < 32 && w.len < 32; n++)
		if (hashes >> n & 1)
			wr_be16(&w, n);
	*len = w.len;
}
