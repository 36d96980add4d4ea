/*
 * Messages of IKEv1 as datagrams: payloads behind the header are one CBC text, padded with zeros,
 * and each exchange is one chain of IVs (RFC 2409 appendix B). A filled message enters and leaves
 * encrypted, with its HASH payload filled in; a datagram enters, is decrypted in place, and its
 * payloads are added to the message when its hash is right.
 */
#ifndef IKE_V1_CRYPT_H
#define IKE_V1_CRYPT_H

#include <stdint.h>

#include "base/bytes.h"
#include "ike/keymat.h"
#include "ike/msg.h"
#include "ike/seal.h"
#include "ike/v1/keymat.h"

/*
 * Writes all payloads of m (all inner; with h->kind the first is a HASH with room for the prf's
 * output, ike_msg: a span without bytes) into one datagram. iv: of the chain; on return the next
 * one. fragment: bytes of a datagram's message beyond which it is cut into FRAGMENT payloads (0:
 * never), frag_id: their number. Returns 0, -EMSGSIZE or -ENOMEM; then iv is as before.
 */
int v1_seal(struct ike_msg *m, const struct keymat_suite *s, const struct ike_keys *k,
	    const struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX], uint32_t fragment, uint16_t frag_id,
	    struct sealed *out) warn_unused;
/*
 * datagram: as received, m: filled from it by ike_msg_parse(). With h->kind NULL or NONE the hash
 * is the caller's to check. iv: on return the next one of the chain. Returns 0, or -EBADMSG with
 * *bad, and iv as before: INVALID-HASH-INFORMATION (no HASH), AUTHENTICATION-FAILED (another hash),
 * or what the parser found.
 */
int v1_open(struct ike_msg *m, uint8_t *datagram, const struct keymat_suite *s,
	    const struct ike_keys *k, const struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX],
	    struct ike_bad *bad) warn_unused;
/* The part of the check that needs nonces only known after parsing (Quick Mode 2). datagram: as
 * v1_open() left it. 0 or -EBADMSG with *bad. */
int v1_check_hash(const struct ike_msg *m, const uint8_t *datagram, const struct keymat_suite *s,
		  const struct ike_keys *k, const struct v1_hash *h,
		  struct ike_bad *bad) warn_unused;

#endif
