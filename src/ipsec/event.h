/* What happens to SAs, told upwards: keying (ike/) and the control thread implement the receiver. */
#ifndef IPSEC_EVENT_H
#define IPSEC_EVENT_H

#include <stdint.h>

#include "base/addr.h"
#include "packet/parse.h"

enum ipsec_event_type {
	EV_SOFT_EXPIRE,  /* sa */
	EV_HARD_EXPIRE,  /* sa */
	EV_SEQ_EXHAUSTED,/* sa */
	EV_PEER_ADDR,    /* sa (inbound), peer: an authenticated packet came from another address or port */
	EV_ACQUIRE,      /* policy order, flow: a protected packet found no SA */
	EV_UNKNOWN_SPI,  /* spi, peer */
	EV_TYPES
};

struct sa;

struct ipsec_event {
	enum ipsec_event_type type;
	uint32_t spi;            /* host byte order */
	uint32_t policy;         /* order in the SPD */
	struct sa *sa;           /* valid as long as the receiver is inside the read-side critical section or holds the SAD */
	struct endpoint peer;    /* outer source */
	struct endpoint local;
	struct flow_key flow;
};

#endif
