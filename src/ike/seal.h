/*
 * The Encrypted payload and fragments of it (RFC 7296 3.14, RFC 7383). A filled struct ike_msg
 * enters and one datagram, or several, leave; a datagram enters and its inner payloads are added to
 * the message, at once or when the last fragment is there.
 */
#ifndef IKE_SEAL_H
#define IKE_SEAL_H

#include <stdbool.h>
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

/* Writes all payloads without protection: IKE_SA_INIT. 0, -EMSGSIZE, -EINVAL (a payload is marked
 * inner) or -ENOMEM. */
int seal_clear(struct ike_msg *m, struct sealed *out) warn_unused;
/*
 * Seals all payloads of m that are marked inner. When the whole message would be longer than
 * fragment bytes (0: never fragmented) it is sent as fragments of at most that length. Payloads
 * not marked inner stay in front of SK; of fragments, in front of the first (RFC 7383 2.5.3). m
 * is as before when it returns, but for hdr.next and hdr.length. Returns 0, -EMSGSIZE (more than
 * SEAL_FRAGMENTS_MAX fragments, or longer than a message can be), -EOVERFLOW (the key is used up),
 * -EINVAL (an SK payload is there already), -EIO (the library failed) or -ENOMEM; then *out is
 * empty.
 */
int seal_message(struct ike_msg *m, const struct esp_suite *s, struct sk_key *k, uint32_t fragment,
		 struct sealed *out) warn_unused;

/*
 * Fragments of a message gathered so far. An SA has one for the peer's requests and one for its
 * answers, which count their message IDs apart (RFC 7296 2.2). Zeroed is empty; takes no memory but itself until a fragment is in it, and never more than
 * SEAL_MESSAGE_MAX bytes of text then. Only authentic fragments change it.
 */
struct reassembly_part;
struct reassembly {
	uint32_t id;                  /* message ID */
	uint32_t bytes;               /* of text in all parts */
	uint8_t total, have, next;    /* next: type of the first payload inside */
	struct reassembly_part *part; /* [total], owned; NULL: no fragment is waiting */
};
/* Forgets what was gathered; wiped. */
void reassembly_reset(struct reassembly *r);
/* True when this fragment of this message is there already. */
bool reassembly_has(const struct reassembly *r, uint32_t id, const struct ike_payload *skf);

/*
 * Opens what came in. datagram: the message as received, decrypted in place. m was filled by
 * ike_msg_parse() from it. Without fragments the inner payloads are in m afterwards (spans into
 * datagram). A fragment is checked and kept; when it completes the message, *whole (malloc'd, the
 * caller's, wiped by seal_plain_free()) holds the inner text, and m has the inner payloads, borrowing
 * from it (besides the outer payloads of the fragment that came last). A fragment of another
 * message, or of more fragments in all, takes the place of what was gathered; one of fewer is of an
 * older attempt (RFC 7383 2.6). The caller lets in only messages its window has a place for. Returns
 * 0 when m is complete, -EINPROGRESS when more fragments are needed, -EALREADY for a fragment that
 * is there already or of an older attempt, -EBADMSG with *bad (bad->notify 0: not authentic, or
 * more than a message may hold: say nothing to the peer), -ENOMEM. Unless 0, *whole is empty; after
 * an error m and datagram are of no more use.
 */
struct seal_plain {
	uint8_t *p;
	size_t len;
};
int seal_open(struct ike_msg *m, uint8_t *datagram, size_t len, const struct sk_key *k,
	      struct reassembly *r, struct seal_plain *whole, struct ike_bad *bad) warn_unused;
void seal_plain_free(struct seal_plain *p);

#endif
