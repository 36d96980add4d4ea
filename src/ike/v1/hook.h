/*
 * The seam for extensions of IKEv1 by vendors (RSIP's, Microsoft's): a vendor ID, and for single
 * messages of an exchange a function that adds payloads before it is sealed, and one that reads it
 * once it has been opened, authenticated and found complete, before its handler. Private payloads
 * (types from 128 on) and private notifies reach the peer only when both sides have said the vendor
 * ID in phase 1; a peer that has not gets messages as if the extension were not there. So what
 * comes before the peer's vendor IDs have been taken, messages 1 and 2 of phase 1, has no hooks.
 *
 * An Informational message is number 1 of its exchange. What has come of several messages an
 * extension keeps itself, by ike_sa's id and the message ID in the header. Notifies as messages of
 * their own are sent with v1_notify().
 */
#ifndef IKE_V1_HOOK_H
#define IKE_V1_HOOK_H

#include <stdint.h>

#include "base/list.h"
#include "ike/msg.h"
#include "ike/names.h"

struct ike;
struct ike_sa;

struct v1_hook {
	struct list link;
	const char *name;          /* of the extension, for logs */
	enum ike_vendor_id vendor; /* its row of ike/vendor.c; announced while the hook is there */
	uint8_t exchange;          /* enum ike1_exchange */
	uint8_t number;            /* of the message, from 1 */
	/* Adds to *out, with v1_hook_payload(); what it borrows must last until that is sealed
	 * (ike_arena()). 0, or -errno: the message is not sent, and its exchange ends. NULL:
	 * nothing to add. */
	int (*build)(const struct v1_hook *h, struct ike_sa *sa, struct ike_msg *out);
	/* Reads *in. 0, or what ike_refuse() returns: the message is refused as any that is wrong.
	 * It is called once for a message. NULL: nothing to read. */
	int (*parse)(const struct v1_hook *h, struct ike_sa *sa, const struct ike_msg *in,
		     struct ike_bad *bad);
};

/* Another payload at the end, for the caller to fill, as protected as those before it; NULL: no
 * room. Of one with a private type raw.data is all that is sent. */
static inline struct ike_payload *v1_hook_payload(struct ike_msg *out, uint8_t type)
{
	return ike_msg_add(out, type, out->payload[0].inner);
}

/* Before the first negotiation; h stays the caller's and must outlive the engine, or be taken out
 * with list_del(&h->link). Several for one message are called in the order in which they were
 * added. */
void v1_hook_add(struct ike *ike, struct v1_hook *h);
/* The vendor IDs of all hooks, as bits of v1/vendor.h. */
uint32_t v1_hook_vendors(const struct ike *ike);
/* The hooks for a message that this peer is to get, or has sent. Return the first error. */
int v1_hooks_build(struct ike_sa *sa, uint8_t number, struct ike_msg *out) warn_unused;
int v1_hooks_parse(struct ike_sa *sa, uint8_t number, const struct ike_msg *in,
		   struct ike_bad *bad) warn_unused;

#endif
