/*
 * What RFC 2408 section 5 says about messages that are wrong: for each offence the notify that may
 * be sent and the event that may be written to the audit log. One table; the tests walk it.
 */
#ifndef IKE_V1_FAULT_H
#define IKE_V1_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/audit.h"
#include "ike/msg.h"

struct v1_fault {
	const char *section;
	enum audit event;  /* its words are the RFC's */
	uint16_t notify;   /* enum ike1_notify; 0: the RFC has none */
	uint8_t payload;   /* where it was found; 0: in the header or anywhere */
	uint8_t flaw;      /* enum ike_flaw: only of that kind */
};

/* The row for what the parser or a handler refused: by notify, kind of fault and payload. Never
 * NULL: an unknown pair is "INVALID MESSAGE". */
const struct v1_fault *v1_fault_of(const struct ike_bad *bad);
/* Rows in table order; NULL past the end. */
const struct v1_fault *v1_fault_nth(unsigned n);
/* Is it one of those that make an ISAKMP SA? */
bool v1_is_phase1(uint8_t exchange);
/*
 * What section 5 demands of a header and of single payloads beyond what the parser knows: exchange
 * type, flags and message ID that go together (5.2); protocol and SPI of notifies and deletes
 * (5.14, 5.15); encodings of certificates and requests (5.9, 5.10). Return 0 or -EBADMSG with *bad.
 * A bad header ends the message, a bad payload only itself, as the RFC says.
 * rare: 1 << enum ike1_exchange of those that are off unless configured (Base, Authentication
 * Only).
 */
int v1_check_header(const struct ike_hdr *h, unsigned rare, struct ike_bad *bad) warn_unused;
int v1_check_payload(const struct ike_payload *p, struct ike_bad *bad) warn_unused;
/* 5.7: a public value of the group's length. */
int v1_check_ke(const struct ike_payload *ke, uint16_t group, struct ike_bad *bad) warn_unused;
/* 5.8 and RFC 2407 4.6.2: an identity of phase 1: a type that names one, no ports but IKE's. */
int v1_check_id(const struct ike_payload *id, struct ike_bad *bad) warn_unused;

#endif
