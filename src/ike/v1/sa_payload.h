/*
 * SA payloads of IKEv1 (RFC 2408 3.4 to 3.6, 4.2; RFC 2409 appendix A; RFC 2407 4.4, 4.5): there a
 * transform is a whole suite with attributes, while a struct proposal lists algorithms of each
 * type. Our proposals enter and every suite they allow leaves as a transform; a peer's transforms
 * enter and the one we like best leaves, as a proposal of one algorithm a type, with IKEv2's
 * numbers.
 */
#ifndef IKE_V1_SA_PAYLOAD_H
#define IKE_V1_SA_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ike/msg.h"
#include "ike/proposal.h"

/* Attribute 3 of phase 1: RFC 2409 appendix A, RFC 4754, draft-beaulieu-ike-xauth-02 7,
 * hybrid-05 3.2 */
enum v1_method {
	V1_BY_PSK = 1,
	V1_BY_DSS = 2,
	V1_BY_RSA = 3,
	V1_BY_RSA_ENC = 4,
	V1_BY_RSA_REV = 5,
	V1_BY_ECDSA_256 = 9,
	V1_BY_ECDSA_384 = 10,
	V1_BY_ECDSA_521 = 11,
	V1_BY_HYBRID_I_RSA = 64221, /* the initiator proves itself by XAUTH */
	V1_BY_HYBRID_R_RSA = 64222,
	V1_BY_XAUTH_I_PSK = 65001,
	V1_BY_XAUTH_R_PSK = 65002,
	V1_BY_XAUTH_I_RSA = 65005,
	V1_BY_XAUTH_R_RSA = 65006,
};

/* Attribute 4 of phase 2: RFC 2407 4.5, RFC 3947 5.1, draft-ietf-ipsec-nat-t-ike-03 5.1 */
enum v1_encap {
	V1_ENCAP_UNSAID = 0,
	V1_ENCAP_TUNNEL = 1,
	V1_ENCAP_TRANSPORT = 2,
	V1_ENCAP_UDP_TUNNEL = 3,
	V1_ENCAP_UDP_TRANSPORT = 4,
	V1_ENCAP_UDP_TUNNEL_DRAFT = 61443,
	V1_ENCAP_UDP_TRANSPORT_DRAFT = 61444,
};

/* Limits in force; 0: not said. */
struct v1_life {
	uint64_t seconds, kbytes;
	uint8_t be[2][4]; /* for v1_*_offer(): the values as they go out */
};

/* What one transform says, in IKEv2's numbers. */
struct v1_suite {
	uint8_t proto; /* enum ike_protocol */
	bool esn;
	uint16_t encr, key_bits, prf, integ;
	uint16_t group;  /* phase 2: of PFS, 0 for none */
	uint16_t method; /* phase 1: enum v1_method */
	uint16_t encap;  /* phase 2: enum v1_encap */
	struct v1_life life;
};

/* A peer's transform taken. */
struct v1_pick {
	uint16_t prop, transform; /* places in the message's prop[] and transform[] */
	uint32_t spi;             /* phase 2: the peer's, host byte order */
	struct v1_suite suite;
	struct proposal chosen; /* one algorithm a type; number: the peer's */
};

/* What was taken: of a bundle the ESP, and its AH beside it. */
struct v1_choice {
	struct v1_pick own, ah;
	bool bundle; /* ah counts */
};

/* What an offer or a choice must keep to besides the algorithms. */
struct v1_terms {
	const uint16_t *methods; /* phase 1: enum v1_method, in order of preference */
	unsigned n_methods;
	uint16_t group;  /* only this one; 0: phase 1 any, phase 2 no PFS */
	uint16_t encap;  /* phase 2: enum v1_encap */
	struct span spi; /* phase 2, to offer */
	/* phase 2, ESP: AH around it, offered and taken only together (RFC 2408 4.2: AND); NULL:
	 * none */
	const struct proposals *ah;
	struct span ah_spi; /* to offer */
	size_t ke_len;      /* any_group: of the public value that came along; 0: none came */
};

/*
 * Reads one transform. Returns 0, or the notify that says what is wrong with it (RFC 2408 5.6),
 * with *why: INVALID-TRANSFORM-ID or ATTRIBUTES-NOT-SUPPORTED for what is not known here, which is
 * no fault of the message; BAD-PROPOSAL-SYNTAX for what is never right.
 */
uint16_t v1_suite_read(const struct ike_msg *m, const struct ike_prop *p,
		       const struct ike_transform *t, struct v1_suite *out, const char **why);

/* Adds an ISAKMP proposal with a transform for every suite of `ours` that IKEv1 can name. life is
 * borrowed until the message is written. Returns how many transforms, or -ENOSPC. */
int v1_ph1_offer(const struct proposals *ours, const struct v1_terms *terms, struct v1_life *life,
		 struct ike_msg *m, struct ike_payload *sa) warn_unused;
/* The same for ESP or AH; proposals without the terms' group are left out. With terms->ah every
 * proposal is two, of one number: ESP AND AH. */
int v1_ph2_offer(const struct proposals *ours, const struct v1_terms *terms, struct v1_life *life,
		 struct ike_msg *m, struct ike_payload *sa) warn_unused;

/*
 * The peer's offer, or its answer to ours: finds the transform that stands first among ours. Of
 * neighbours with one number (AND) all are taken or none: ESP and AH together when terms->ah wants
 * that, and nothing else. Returns 0, or -ENOENT with a sentence.
 * Phase 2: terms->group only matters as v1_ph2_choose() is called with PFS known (an answer); with
 * any_group every group of ours will do that the public value fits (an offer); -EKEYREJECTED when
 * only that value is not what a transform that would do needs (RFC 2408 5.7).
 */
int v1_ph1_choose(const struct proposals *ours, const struct v1_terms *terms,
		  const struct ike_msg *m, const struct ike_payload *sa, struct v1_choice *out,
		  char *why, size_t whylen) warn_unused;
int v1_ph2_choose(const struct proposals *ours, const struct v1_terms *terms, bool any_group,
		  const struct ike_msg *m, const struct ike_payload *sa, struct v1_choice *out,
		  char *why, size_t whylen) warn_unused;
/*
 * What is wrong with an offer of which no transform at all can be read (RFC 2408 5.6): -EBADMSG
 * with the first fault in *bad. Transforms with numbers that are only not known here are no fault.
 */
int v1_sa_fault(const struct ike_msg *m, const struct ike_payload *sa,
		struct ike_bad *bad) warn_unused;
/* True when it holds exactly one proposal with one transform, or one of two protocols with one of
 * each: an answer (RFC 2408 4.2). */
bool v1_sa_is_answer(const struct ike_msg *m, const struct ike_payload *sa);

/* Repeats the chosen proposal and transform with all attributes as they came (RFC 2409 5: nothing
 * may be changed), with our SPI; of a bundle both, in the order they came. Spans are borrowed from
 * `in`. 0 or -ENOSPC. */
int v1_sa_echo(const struct ike_msg *in, const struct v1_choice *c, struct span spi,
	       struct span ah_spi, struct ike_msg *m, struct ike_payload *sa) warn_unused;

/* The group to begin with where only one can be named: the first that was registered for IKEv1,
 * else the first at all; 0: none. */
uint16_t v1_first_group(const struct proposals *ours);
/* Is the group used in IKEv1? Registered are those of RFC 2409 6, RFC 3526, RFC 5903 and RFC 6954;
 * strongSwan uses Curve25519 and Curve448 by their numbers of IKEv2, even by default. */
bool v1_group_ok(uint16_t group);
bool v1_group_registered(uint16_t group);
/* Attributes of RESPONDER-LIFETIME (RFC 2407 4.6.3.1): the data of the notify. Returns the length.
 */
size_t v1_life_write(const struct v1_life *life, bool phase1, uint8_t out[24]);
/* The same read; false when malformed. */
bool v1_life_read(struct span data, bool phase1, struct v1_life *life);

#endif
