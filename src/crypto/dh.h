/*
 * Diffie-Hellman by IKEv2 transform number (type 4; IKEv1 has the same numbers). dh_new() makes a
 * key pair, dh_public() is what goes into the KE payload, dh_shared() takes the peer's and gives
 * g^ir. Values are in IKE's wire form: MODP as long as the modulus, ECP x | y without a leading 4
 * (RFC 5903 7), Curve25519 and Curve448 as in RFC 7748. Expensive: meant for the crypto pool; calls
 * on different objects may run at the same time.
 */
#ifndef CRYPTO_DH_H
#define CRYPTO_DH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/span.h"

/* IKEv2 transform type 4, IANA numbers. 22, 23 and 24 (RFC 5114) are left out on purpose: RFC 8247
 * 2.4 forbids or discourages all three, for their small subgroups. */
enum dh_id {
	DH_NONE = 0,
	DH_MODP_768 = 1,
	DH_MODP_1024 = 2,
	DH_MODP_1536 = 5,
	DH_MODP_2048 = 14,
	DH_MODP_3072 = 15,
	DH_MODP_4096 = 16,
	DH_MODP_6144 = 17,
	DH_MODP_8192 = 18,
	DH_ECP_256 = 19,
	DH_ECP_384 = 20,
	DH_ECP_521 = 21,
	DH_ECP_192 = 25,
	DH_ECP_224 = 26,
	DH_BRAINPOOL_224 = 27,
	DH_BRAINPOOL_256 = 28,
	DH_BRAINPOOL_384 = 29,
	DH_BRAINPOOL_512 = 30,
	DH_CURVE25519 = 31,
	DH_CURVE448 = 32,
};

#define DH_PUBLIC_MAX 1024u /* MODP-8192 */

enum dh_kind { DH_KIND_MODP, DH_KIND_EC, DH_KIND_X25519, DH_KIND_X448 };

struct dh_info {
	enum dh_id id;
	const char *keyword; /* strongSwan's: "modp2048", "ecp256", "curve25519" */
	enum dh_kind kind;
	const char *group;   /* OpenSSL's name; NULL where it has none */
	uint16_t public_len; /* bytes of a public value, exactly */
	uint16_t shared_len; /* bytes of the shared secret */
	bool weak;           /* needs allow_weak */
	const char *rfc;
};

/* Rows; NULL when the number or keyword (in any case; "x25519" and "x448" are known too) is
 * unknown. */
const struct dh_info *dh_info(unsigned id);
const struct dh_info *dh_by_keyword(const char *keyword);
/* Calls cb for every row in table order. */
void dh_each(void (*cb)(const struct dh_info *d, void *arg), void *arg);

struct dh; /* one key pair */

/* Makes a fresh key pair. Returns 0, -ENOTSUP (the library lacks the group) or -ENOMEM; then *out
 * is NULL. */
int dh_new(const struct dh_info *info, struct dh **out) warn_unused;
/*
 * The same from given values, as published test vectors need: priv in big endian (MODP, EC) or as
 * in RFC 7748, pub in wire form. pub may be empty: for MODP and EC dh_public() is empty then.
 * Returns 0, -EINVAL (wrong length, or pub is not priv's) or -ENOMEM.
 */
int dh_new_from(const struct dh_info *info, struct span priv, struct span pub,
		struct dh **out) warn_unused;
/* Wipes and frees; NULL is allowed; *d becomes NULL. */
void dh_free(struct dh **d);

const struct dh_info *dh_group(const struct dh *d);
/* Our public value in wire form; lives as long as d. */
struct span dh_public(const struct dh *d);

/*
 * The shared secret with the peer's public value: *out owns info->shared_len bytes. The value is
 * checked as RFC 6989 2 demands: length; MODP: 1 < value < p - 1; EC: coordinates below p and the
 * point on the curve; Curve25519, Curve448: the secret must not come out as zero (RFC 7748 6).
 * Returns 0, -EBADMSG (the peer's value is refused) or -ENOMEM; on failure *out is empty.
 */
int dh_shared(const struct dh *d, struct span peer, struct secret *out) warn_unused;

#endif
