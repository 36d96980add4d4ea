/* See sa_number.h. The groups are the same in both versions (IANA: "Transform Type 4" took over
 * "Group Description"), but not every later one was given to IKEv1. */
#include "ike/v1/sa_number.h"

#include "base/bytes.h"
#include "base/rd.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/transform.h"
#include "ike/v1/sa_payload.h"

static const struct {
	uint8_t space;
	uint16_t v1, v2;
} rows[] = {
	{ V1_N_ENCR1, 1, ENCR_DES },
	{ V1_N_ENCR1, 5, ENCR_3DES },
	{ V1_N_ENCR1, 7, ENCR_AES_CBC },
	{ V1_N_HASH, 1, PRF_HMAC_MD5 },
	{ V1_N_HASH, 2, PRF_HMAC_SHA1 },
	{ V1_N_HASH, 4, PRF_HMAC_SHA2_256 },
	{ V1_N_HASH, 5, PRF_HMAC_SHA2_384 },
	{ V1_N_HASH, 6, PRF_HMAC_SHA2_512 },
	{ V1_N_ESP, 2, ENCR_DES },
	{ V1_N_ESP, 3, ENCR_3DES },
	{ V1_N_ESP, 11, ENCR_NULL },
	{ V1_N_ESP, 12, ENCR_AES_CBC },
	{ V1_N_ESP, 13, ENCR_AES_CTR },
	{ V1_N_ESP, 14, ENCR_AES_CCM_8 },
	{ V1_N_ESP, 15, ENCR_AES_CCM_12 },
	{ V1_N_ESP, 16, ENCR_AES_CCM_16 },
	{ V1_N_ESP, 18, ENCR_AES_GCM_8 },
	{ V1_N_ESP, 19, ENCR_AES_GCM_12 },
	{ V1_N_ESP, 20, ENCR_AES_GCM_16 },
	{ V1_N_ESP, 23, ENCR_NULL_AUTH_AES_GMAC },
	{ V1_N_AH, 2, INTEG_HMAC_MD5_96 },
	{ V1_N_AH, 3, INTEG_HMAC_SHA1_96 },
	{ V1_N_AH, 5, INTEG_HMAC_SHA2_256_128 },
	{ V1_N_AH, 6, INTEG_HMAC_SHA2_384_192 },
	{ V1_N_AH, 7, INTEG_HMAC_SHA2_512_256 },
	{ V1_N_AH, 9, INTEG_AES_XCBC_96 },
	{ V1_N_AH, 11, INTEG_AES_128_GMAC },
	{ V1_N_AH, 12, INTEG_AES_192_GMAC },
	{ V1_N_AH, 13, INTEG_AES_256_GMAC },
	{ V1_N_AUTH, 1, INTEG_HMAC_MD5_96 },
	{ V1_N_AUTH, 2, INTEG_HMAC_SHA1_96 },
	{ V1_N_AUTH, 5, INTEG_HMAC_SHA2_256_128 },
	{ V1_N_AUTH, 6, INTEG_HMAC_SHA2_384_192 },
	{ V1_N_AUTH, 7, INTEG_HMAC_SHA2_512_256 },
	{ V1_N_AUTH, 9, INTEG_AES_XCBC_96 },
	{ V1_N_AUTH, 11, INTEG_AES_128_GMAC },
	{ V1_N_AUTH, 12, INTEG_AES_192_GMAC },
	{ V1_N_AUTH, 13, INTEG_AES_256_GMAC },
};

uint16_t v1_number_to(enum v1_space space, uint16_t v2)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].space == space && rows[i].v2 == v2)
			return rows[i].v1;
	return 0;
}

uint16_t v1_number_from(enum v1_space space, uint64_t v1)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].space == space && rows[i].v1 == v1)
			return rows[i].v2;
	return 0;
}

uint16_t v1_integ_of_prf(uint16_t prf)
{
	switch (prf) {
	case PRF_HMAC_MD5:
		return INTEG_HMAC_MD5_96;
	case PRF_HMAC_SHA1:
		return INTEG_HMAC_SHA1_96;
	case PRF_HMAC_SHA2_256:
		return INTEG_HMAC_SHA2_256_128;
	case PRF_HMAC_SHA2_384:
		return INTEG_HMAC_SHA2_384_192;
	case PRF_HMAC_SHA2_512:
		return INTEG_HMAC_SHA2_512_256;
	default:
		return 0;
	}
}

bool v1_combined(uint16_t encr)
{
	const struct encr_info *e = encr_info((enum encr_id)encr);

	return e && e->aead;
}

bool v1_key_ok(uint16_t encr, uint16_t *key_bits)
{
	const struct encr_info *e = encr_info((enum encr_id)encr);

	if (!e)
		return false;
	if (e->key_step == 0) {
		/* some peers say the length of what has only one */
		bool ok = *key_bits == 0 || *key_bits == e->max_key * 8;
		*key_bits = 0;
		return ok;
	}
	if (*key_bits == 0)
		*key_bits = (uint16_t)(e->min_key * 8);
	return *key_bits % 8 == 0 && *key_bits / 8 >= e->min_key && *key_bits / 8 <= e->max_key &&
	       (*key_bits / 8 - e->min_key) % e->key_step == 0;
}

bool v1_group_ok(uint16_t group)
{
	return v1_group_registered(group) || group == DH_CURVE25519 || group == DH_CURVE448;
}

bool v1_group_registered(uint16_t group)
{
	switch (group) {
	case DH_MODP_768:
	case DH_MODP_1024:
	case DH_MODP_1536:
	case DH_MODP_2048:
	case DH_MODP_3072:
	case DH_MODP_4096:
	case DH_MODP_6144:
	case DH_MODP_8192:
	case DH_ECP_256:
	case DH_ECP_384:
	case DH_ECP_521:
	case DH_ECP_192:
	case DH_ECP_224:
	case DH_BRAINPOOL_224:
	case DH_BRAINPOOL_256:
	case DH_BRAINPOOL_384:
	case DH_BRAINPOOL_512:
		return true;
	default:
		return false;
	}
}

static size_t life_pair(uint8_t *out, uint16_t type, uint16_t unit, uint64_t value)
{
	if (value == 0)
		return 0;
	store_be16(out, (uint16_t)(0x8000 | type));
	store_be16(out + 2, unit);
	store_be16(out + 4, (uint16_t)(type + 1));
	store_be16(out + 6, 4);
	store_be32(out + 8, value > UINT32_MAX ? UINT32_MAX : (uint32_t)value);
	return 12;
}

size_t v1_life_write(const struct v1_life *life, bool phase1, uint8_t out[24])
{
	uint16_t type = phase1 ? V1_A_LIFE_TYPE : V1_B_LIFE_TYPE;
	size_t n = life_pair(out, type, 1, life->seconds);

	return n + life_pair(out + n, type, 2, life->kbytes);
}

bool v1_life_read(struct span data, bool phase1, struct v1_life *life)
{
	uint16_t want = phase1 ? V1_A_LIFE_TYPE : V1_B_LIFE_TYPE;
	struct rd r = rd_of(data.p, data.len);
	uint64_t unit = 0;

	*life = (struct v1_life){ 0 };
	while (r.left) {
		uint16_t type = rd_be16(&r), n = rd_be16(&r);
		uint64_t v = n;
		if (!(type & 0x8000)) {
			struct span s = rd_span(&r, n);
			v = 0;
			for (size_t i = 0; i < s.len; i++)
				v = v << 8 | s.p[i];
			if (s.len > 8)
				return false;
		}
		if (v > UINT32_MAX) /* no limit that matters, and none to multiply */
			v = UINT32_MAX;
		if ((type & 0x7fff) == want)
			unit = v;
		else if ((type & 0x7fff) == want + 1 && unit == 1)
			life->seconds = v;
		else if ((type & 0x7fff) == want + 1 && unit == 2)
			life->kbytes = v;
	}
	return rd_ok(&r);
}
