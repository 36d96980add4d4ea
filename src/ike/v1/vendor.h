/* Vendor IDs of IKEv1: which we say, and what the peer's mean for the SA. */
#ifndef IKE_V1_VENDOR_H
#define IKE_V1_VENDOR_H

#include <stdint.h>

#include "base/bytes.h"
#include "ike/msg.h"
#include "ike/names.h"
#include "ike/v1/natd.h"

/* Bits of a set of vendor IDs, by enum ike_vendor_id. */
#define V1_VID(id) (1u << (unsigned)(id))

/* What all VID payloads of a message say. Later ones only add. */
uint32_t v1_vendors_of(const struct ike_msg *m);
/* The best NAT traversal that both sides know. */
enum v1_natt v1_vendors_natt(uint32_t ours, uint32_t peers);
/* What we announce: NAT traversal, DPD, the rest as the connection wants. */
uint32_t v1_vendors_ours(bool fragmentation);
/* Adds a VID payload for each bit. room: bytes of the IDs, borrowed until the message is written.
 * Returns 0 or -ENOSPC. */
#define V1_VENDOR_ROOM 320u
int v1_vendors_add(struct ike_msg *m, uint32_t set, uint8_t room[V1_VENDOR_ROOM]) warn_unused;

#endif
