/*
 * The FRAGMENTATION vendor extension of IKEv1 (MS-IKEE 2.2.5 and 3.4; Cisco's is the same): a
 * finished message is cut, each piece goes as the only payload of a datagram with the header of the
 * message. Nothing protects a piece, so what is kept is bounded and proves nothing until the whole
 * is opened.
 */
#ifndef IKE_V1_FRAG_H
#define IKE_V1_FRAG_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "ike/msg.h"
#include "ike/seal.h"

#define V1_FRAG_MAX 64u /* pieces of one message */

/* Pieces of one message gathered so far. */
struct v1_frags {
	uint16_t id;
	uint8_t total; /* 0: the last piece has not come */
	uint8_t have;
	uint32_t bytes;
	struct buf *part; /* V1_FRAG_MAX; NULL: nothing is being gathered */
};
void v1_frags_reset(struct v1_frags *f);

/* Datagrams of one message of at most `max` bytes each (0, or it fits: one). id: nonzero number of
 * this message. 0, -EMSGSIZE (too many pieces) or -ENOMEM. */
int v1_frag_split(struct span message, uint32_t max, uint16_t id, struct sealed *out) warn_unused;

/*
 * Takes one piece. When it was the last that lacked, *whole owns the message (free with free()),
 * whose header has been checked to name the same SA as h, and the reassembly is empty again.
 * Returns 0 then, -EINPROGRESS, -EALREADY (there already), -EBADMSG with *bad, or -ENOMEM. A piece
 * of a newer message makes the older one forgotten.
 */
int v1_frag_add(struct v1_frags *f, const struct ike_hdr *h, const struct ike_payload *p,
		struct buf *whole, struct ike_bad *bad) warn_unused;

#endif
