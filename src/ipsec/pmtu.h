/* The path MTU of an SA, as ICMP has told it (RFC 4301 8.2, RFC 2401 6.1.2 and appendix B.3). Control thread only. */
#ifndef IPSEC_PMTU_H
#define IPSEC_PMTU_H

#include "ipsec/sa.h"

#define PMTU_FLOOR_V4 576u  /* no unauthenticated message makes it smaller */
#define PMTU_FLOOR_V6 1280u
#define PMTU_AGE_NS (600ull * 1000000000) /* after that the path may have got wider (RFC 1191 6.3, RFC 8201 4) */

/*
 * A message says that a packet of the SA was too big. ver: of the outer header; mtu: what it says, 0 for nothing; packet: bytes of
 * the packet it quotes; route: MTU of the way out, bytes. True when the SA's path MTU is another now: no smaller than the floor, no larger than before.
 */
bool pmtu_learn(struct sa *sa, int ver, uint32_t mtu, uint32_t packet, uint32_t route, uint64_t now_ns) warn_unused;
/* What counts now, of what was learned and the MTU of the way out; forgets what is too old. */
uint32_t pmtu_now(struct sa *sa, uint32_t route, uint64_t now_ns);

#endif
