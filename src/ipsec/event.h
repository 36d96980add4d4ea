/* What happens to SAs, told upwards: keying (ike/) and the control thread implement the receiver.
 */
#ifndef IPSEC_EVENT_H
#define IPSEC_EVENT_H

#include <stdint.h>

#include "base/addr.h"
#include "packet/parse.h"

enum ipsec_event_type {
	EV_SOFT_EXPIRE,   /* sa; also when few sequence numbers are left */
	EV_HARD_EXPIRE,   /* sa */
	EV_SEQ_EXHAUSTED, /* sa */
	EV_PEER_ADDR,   /* sa (inbound), peer: an authenticated packet came from another address or
			   port */
	EV_ACQUIRE,     /* policy order, reqid, flow: a protected packet found no SA */
	EV_UNKNOWN_SPI, /* spi, peer */
	EV_TOO_BIG, /* a bridge saw ICMP "too big" (flow) about a packet of spi, proto, local and
		       peer: it had `packet` bytes, `mtu` fit */
	EV_TYPES
};

struct sa;

struct ipsec_event {
	enum ipsec_event_type type;
	uint32_t spi;            /* host byte order */
	uint32_t policy;         /* order in the SPD */
	uint32_t reqid;          /* of the SA, or of the policy; 0: none */
	struct sa *sa; /* valid until the next plane_tick(); NULL when the SA is gone already: spi
			  and reqid tell which */
	struct endpoint peer;    /* outer source */
	struct endpoint local;
	struct flow_key flow;
	uint32_t mtu, packet;    /* bytes */
	uint8_t proto;           /* enum sa_proto */
};

#endif
