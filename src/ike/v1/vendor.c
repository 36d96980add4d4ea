/* See vendor.h. The IDs themselves are rows of ike/vendor.c. */
#include "ike/v1/vendor.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"

#define NATT_DRAFTS                                                                                \
	(V1_VID(IKE_VENDOR_NATT_03) | V1_VID(IKE_VENDOR_NATT_02) | V1_VID(IKE_VENDOR_NATT_02N))

/* FRAGMENTATION is the hash with four bytes of capabilities behind it (MS-IKEE 2.2.5: the reference
 * of others too): fragments in every exchange. */
static const uint8_t frag_capabilities[4] = { 0xc0, 0, 0, 0 };

uint32_t v1_vendors_of(const struct ike_msg *m)
{
	const struct ike_payload *p = NULL;
	uint32_t set = 0;

	while ((p = ike_msg_find(m, IKE1_VID, p))) {
		const struct ike_vendor *v = ike_vendor_find(p->raw.data);
		if (v && v->id != IKE_VENDOR_OTHER)
			set |= V1_VID(v->id);
	}
	return set;
}

enum v1_natt v1_vendors_natt(uint32_t ours, uint32_t peers)
{
	if (ours & peers & V1_VID(IKE_VENDOR_NATT_RFC3947))
		return V1_NATT_RFC;
	if ((ours & NATT_DRAFTS) && (peers & NATT_DRAFTS))
		return V1_NATT_DRAFT;
	return V1_NATT_NONE;
}

uint32_t v1_vendors_ours(bool fragmentation)
{
	return V1_VID(IKE_VENDOR_NATT_RFC3947) | NATT_DRAFTS | V1_VID(IKE_VENDOR_DPD) |
	       (fragmentation ? V1_VID(IKE_VENDOR_FRAGMENTATION) : 0);
}

int v1_vendors_add(struct ike_msg *m, uint32_t set, uint8_t room[V1_VENDOR_ROOM])
{
	size_t at = 0;

	for (unsigned id = 1; id < 32; id++) {
		const struct ike_vendor *v =
		    set & 1u << id ? ike_vendor_of((enum ike_vendor_id)id) : NULL;
		if (!v)
			continue;
		int n =
		    hex_decode(v->hex, room + at, V1_VENDOR_ROOM - at - sizeof(frag_capabilities));
		struct ike_payload *p = ike_msg_add(m, IKE1_VID, false);
		if (n < 0 || !p)
			return -ENOSPC;
		if (id == IKE_VENDOR_UNITY) { /* version 1.0 */
			room[at + (size_t)n++] = 1;
			room[at + (size_t)n++] = 0;
		}
		if (id == IKE_VENDOR_FRAGMENTATION) {
			memcpy(room + at + n, frag_capabilities, sizeof(frag_capabilities));
			n += (int)sizeof(frag_capabilities);
		}
		p->raw.data = span_of(room + at, (size_t)n);
		at += (size_t)n;
	}
	return 0;
}
