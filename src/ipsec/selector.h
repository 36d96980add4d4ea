/* Selectors: which packets a policy or an SA is about (RFC 2401 4.4.2, RFC 4301 4.4.1.1). */
#ifndef IPSEC_SELECTOR_H
#define IPSEC_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "packet/parse.h"

#define PROTO_ANY 0xffff

/* How a pair of port fields (or ICMP type/code, MH type) is matched. */
enum port_match {
	PORT_ANY,    /* any value, and also packets whose ports cannot be seen */
	PORT_OPAQUE, /* only packets whose ports cannot be seen: non-initial fragments */
	PORT_RANGE,  /* lo..hi, host byte order; never a packet whose ports cannot be seen */
};

struct port_range {
	enum port_match match;
	uint16_t lo, hi;
};

/*
 * One selector set. The addresses are as seen from the local side: local is the source of outbound
 * packets. An IP version per selector. For ICMP/ICMPv6 and MH, `remote_port` holds type << 8 | code
 * and `local_port` is PORT_ANY (also in both directions: the value is the packet's).
 */
struct selector {
	struct ip_range local, remote; /* of one version */
	uint16_t proto;                /* PROTO_ANY, or the next layer protocol 0..255 */
	struct port_range local_port, remote_port;
};

enum ipsec_dir { DIR_OUT, DIR_IN };

/* Does the packet match? In direction DIR_OUT its source is compared with local, in DIR_IN its
 * destination. */
bool selector_match(const struct selector *s, enum ipsec_dir dir, const struct flow_key *k);
/* As a line: "10.1.0.0/16[tcp/any] === 10.2.0.0/16[tcp/80]". */
#define SELECTOR_STRLEN 320
const char *selector_format(const struct selector *s, char out[SELECTOR_STRLEN]);

#endif
