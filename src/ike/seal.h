/*
 * The Encrypted payload and fragments of it (RFC 7296 3.14, RFC 7383). A filled struct ike_msg
 * enters and one datagram, or several, leave; a datagram enters and its inner payloads are added to
 * the message, at once or when the last fragment is there.
 */
#ifndef IKE_SEAL_H
#define IKE_SEAL_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/sk.h"
#include "ike/msg.h"

#define SEAL_FRAGMENTS_MAX 64 /* of one message, both ways */
#define SEAL_MESSAGE_MAX   IKE_MAX_LEN

/* Datagrams of one message, in one allocation; without the non-ESP marker. */
struct sealed {
	uint8_t *bytes; /* owned */
	unsigned n;
	uint32_t off[SEAL_FRAGMENTS_MAX + 1]; /* datagram i is bytes[off[i] .. off[i+1]) */
};
void sealed_free(struct sealed *s);

/* Writes all payloads without protection: IKE_SA_INIT. 0, -EMSGSIZE or -ENOMEM. */
int seal_clear(struct ike_msg *m, struct sealed *out) warn_unused;
/*
 * Seals all payloads of m that are marked inner. When the whole message would be longer than
 * fragment bytes (0: never fragmented) it is sent as fragments of at most that length. Payloads
 * not marked inner stay in front of SK. Returns 0, -EMSGSIZE, -EOVERFLOW (the key is used up) or
 * -ENOMEM.
 */
int seal_message(struct ike_msg *m, const struct esp_suite *s, struct sk_key *k, uint32_t fragment,
		 struct sealed *out) warn_unused;

/* Fragments of a message gathered so far; at most one message per direction of an SA. */
struct reassembly {
	uint32_t id;
	uint8_t total, have, next;
	bool active;
	uint32_t bytes;
	struct { uint8_t *p; uint32_t len; } part[SEAL_FRAGMENTS_MAX];
};
void reassembly_reset(struct reassembly *r);

/*
 * Opens what came in. datagram: the message as received, decrypted in place. m was filled by
 * ike_msg_parse() from it. Without fragments the inner payloads are in m afterwards (spans into
 * datagram). A fragment is checked and kept; when it completes the message, *whole (malloc'd, the
 * caller's, wiped by seal_plain_free()) holds the inner text, and m has the inner payloads, borrowing
 * from it. Returns 0 when m is complete, -EINPROGRESS when more fragments are needed, -EALREADY for a
 * fragment that is there already, -EBADMSG with *bad (bad->notify 0: not authentic, say nothing to
 * the peer), -ENOMEM.
 */
struct seal_plain {
	uint8_t *p;
	size_t len;
};
int seal_open(struct ike_msg *m, uint8_t *datagram, size_t len, const struct sk_key *k,
	      struct reassembly *r, struct seal_plain *whole, struct ike_bad *bad) warn_unused;
void seal_plain_free(struct seal_plain *p);

#endif
