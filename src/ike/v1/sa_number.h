/* Numbers of IKEv1's SA payloads and what they are in IKEv2, whose numbers all tables here use. */
#ifndef IKE_V1_SA_NUMBER_H
#define IKE_V1_SA_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "ike/names.h"
#include "ike/proposal.h"

/* Attributes of phase 1: RFC 2409 appendix A */
enum {
	V1_A_ENCR = 1,
	V1_A_HASH = 2,
	V1_A_METHOD = 3,
	V1_A_GROUP = 4,
	V1_A_LIFE_TYPE = 11, /* the duration is the next number */
	V1_A_KEY_LEN = 14,
};
/* Attributes of phase 2: RFC 2407 4.5, RFC 4304 */
enum {
	V1_B_LIFE_TYPE = 1,
	V1_B_GROUP = 3,
	V1_B_ENCAP = 4,
	V1_B_AUTH = 5,
	V1_B_KEY_LEN = 6,
	V1_B_ESN = 11,
};

/* Number spaces of IKEv1 with the transform type of IKEv2 they stand for. */
enum v1_space {
	V1_N_ENCR1, /* phase 1 attribute 1 <-> type 1 */
	V1_N_HASH,  /* phase 1 attribute 2 <-> type 2 */
	V1_N_ESP,   /* ESP transforms, RFC 2407 4.4.4 and later <-> type 1 */
	V1_N_AH,    /* AH transforms <-> type 3 */
	V1_N_AUTH,  /* phase 2 attribute 5 <-> type 3 */
	V1_N_SPACES
};
/* 0: it has no number there. */
uint16_t v1_number_to(enum v1_space space, uint16_t v2);
uint16_t v1_number_from(enum v1_space space, uint64_t v1);

/* HMAC with the same hash. */
uint16_t v1_integ_of_prf(uint16_t prf);
/* A cipher that authenticates, so that no integrity algorithm goes with it. */
bool v1_combined(uint16_t encr);
/* Does the proposal allow it? A phase 1 hash stands for PRF and integrity, as far as they are
 * named; group 0 is no PFS. */
bool v1_hash_allowed(const struct proposal *p, uint16_t prf);
bool v1_group_allowed(const struct proposal *p, uint16_t group);
/* Is it a key length of the cipher? 0 becomes the default one (of AES 128). */
bool v1_key_ok(uint16_t encr, uint16_t *key_bits);

#endif
