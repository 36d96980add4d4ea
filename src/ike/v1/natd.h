/*
 * NAT detection and what follows from it in IKEv1: RFC 3947 and draft-ietf-ipsec-nat-t-ike-02/-03,
 * which have other payload and encapsulation numbers but mean the same.
 */
#ifndef IKE_V1_NATD_H
#define IKE_V1_NATD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "crypto/hash.h"
#include "ike/msg.h"
#include "ike/v1/sa_payload.h"

/* Which of them both sides know. */
enum v1_natt { V1_NATT_NONE, V1_NATT_DRAFT, V1_NATT_RFC };

/* Payload numbers; 0 for NONE. */
uint8_t v1_natd_payload(enum v1_natt n);
uint8_t v1_natoa_payload(enum v1_natt n);
/* Attribute "encapsulation mode" (RFC 3947 5.1). */
uint16_t v1_encap_mode(bool transport, bool udp, enum v1_natt n);

/* HASH(CKY-I | CKY-R | address | port) with the negotiated hash (RFC 3947 3.2). 0 or -errno. */
int v1_natd_hash(enum hash_id hash, const uint8_t *spi_i, const uint8_t *spi_r,
		 const struct endpoint *e, uint8_t out[HASH_LEN_MAX]) warn_unused;

/*
 * Compares the NAT-D payloads of m: the first is of where the peer sent it, the others of where the
 * peer thinks it is. *nat_local: somebody changed our address on the way; *nat_remote: the peer's.
 * Returns how many payloads there were; with fewer than two nothing can be said and both are false.
 */
unsigned v1_natd_check(const struct ike_msg *m, enum v1_natt n, enum hash_id hash,
		       const struct endpoint *local, const struct endpoint *remote, bool *nat_local,
		       bool *nat_remote);
/* Adds ours: of the peer, then of us; forced: ours is made wrong, so that the peer encapsulates.
 * room: for the hashes, borrowed until the message is written. 0 or -errno. */
int v1_natd_add(struct ike_msg *m, bool inner, enum v1_natt n, enum hash_id hash,
		const uint8_t *spi_i, const uint8_t *spi_r, const struct endpoint *local,
		const struct endpoint *remote, bool forced,
		uint8_t room[2 * HASH_LEN_MAX]) warn_unused;

#endif
