/*
 * Proposals: what a connection is ready to use and what a peer offers, as lists of algorithms, read
 * from strongSwan's keywords ("aes256gcm16-prfsha384-ecp384") or from an IKEv2 SA payload, and the
 * choice between two such lists, with a sentence when there is none (RFC 7296 2.7, 3.3).
 */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ike/msg.h"

#define PROPOSAL_ALGS 96 /* of all types in one proposal: all known here, and some more */
#define PROPOSALS_MAX 16 /* in one list */

struct proposal_alg {
	uint8_t type;      /* enum ike_transform_type */
	uint16_t id;       /* IANA number of that type */
	uint16_t key_bits; /* of ciphers whose key size varies, else 0; PROPOSAL_STRANGE */
};

/* In a received algorithm: it has attributes not understood here, so that nothing equals it. */
#define PROPOSAL_STRANGE UINT16_MAX

/* Algorithms in order of preference within each type. */
struct proposal {
	uint8_t proto;  /* enum ike_protocol: IKE, ESP or AH */
	uint8_t number; /* as received, or counted from 1 */
	uint8_t n;
	struct proposal_alg alg[PROPOSAL_ALGS];
};

/* In order of preference. */
struct proposals {
	uint8_t n;
	struct proposal p[PROPOSALS_MAX];
};

/* Does one of them want ESP with neither encryption nor integrity (RFC 4301 4.2)? */
bool proposals_unprotected(const struct proposals *p);

/*
 * Parses proposals separated by commas; "default" stands for the default ones, NULL or an empty
 * text too. IKE: a PRF left out follows from the integrity algorithms, also where a combined-mode
 * cipher needs none for itself; a key exchange method is required. ESP and AH: without esn or noesn
 * it is noesn. Returns 0, or -EINVAL with a sentence in why[whylen]: what was found, what was
 * expected.
 */
int proposals_parse(enum ike_protocol proto, const char *text, bool allow_weak,
		    struct proposals *out, char *why, size_t whylen) warn_unused;
void proposals_default(enum ike_protocol proto, struct proposals *out);
/* The proposal as keywords, cut at max bytes with the NUL. Returns out. */
char *proposal_format(const struct proposal *p, char *out, size_t max);
/* The keyword of one algorithm; numbers unknown here as "group 22", "cipher 23" and so on. */
const char *proposal_alg_name(const struct proposal_alg *a, char out[32]);
/* True when the algorithm (known here) needs allow_weak. */
bool proposal_alg_weak(const struct proposal_alg *a);

/* The first algorithm of a type, or NULL. */
const struct proposal_alg *proposal_alg(const struct proposal *p, enum ike_transform_type type);
bool proposal_has(const struct proposal *p, enum ike_transform_type type, uint16_t id);
/* True when there is at most one algorithm of each type: what a responder answers. */
bool proposal_is_choice(const struct proposal *p);

/* Takes the proposals for `proto` out of an IKEv2 SA payload. Of what is unknown here the first few
 * are kept, so that they can be named and no type seems absent; none is ever chosen (RFC
 * 7296 3.3.6). Proposals that exceed the list are left out. Returns how many there are. */
unsigned proposals_from_sa(const struct ike_msg *m, const struct ike_payload *sa,
			   enum ike_protocol proto, struct proposals *out);
/* Adds all proposals to an IKEv2 SA payload, all with one SPI (borrowed; empty for none), with the
 * numbers they have. Returns 0 or -ENOSPC. */
int proposals_to_sa(const struct proposals *list, struct ike_msg *m, struct ike_payload *sa,
		    struct span spi) warn_unused;

enum proposal_flags {
	PROPOSAL_PREFER_PEER = 1, /* the peer's order decides; otherwise ours */
	PROPOSAL_NO_KE =
	    2, /* the exchange has no key exchange of its own (the child of IKE_AUTH) */
};

/*
 * Chooses one algorithm of each type. Returns 0 with *chosen (its number is the peer's), or -ENOENT
 * with a sentence for the log in why[whylen].
 */
int proposal_select(const struct proposals *ours, const struct proposals *peers, unsigned flags,
		    struct proposal *chosen, char *why, size_t whylen) warn_unused;

#endif
