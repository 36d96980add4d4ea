/* The inside of struct reassembly: only for seal.c and reassembly.c. */
#ifndef IKE_REASSEMBLY_H
#define IKE_REASSEMBLY_H

#include "ike/seal.h"

/*
 * Takes an authentic fragment: skf as parsed, its text (copied). When the message is complete,
 * *whole owns its text, *next is the type of its first payload, and r is empty again. Returns 0
 * then, else -EINPROGRESS, -EALREADY, -EBADMSG with *bad (too long in all: r is empty again) or
 * -ENOMEM (r is as before).
 */
int reassembly_add(struct reassembly *r, uint32_t id, const struct ike_payload *skf,
		   struct span text, struct seal_plain *whole, uint8_t *next,
		   struct ike_bad *bad) warn_unused;

#endif
