/* The path MTU of an SA, as ICMP has told it (RFC 4301 8.2, RFC 2401 6.1.2 and appendix B.3).
 * Control thread only. */
#ifndef IPSEC_PMTU_H
#define IPSEC_PMTU_H

#include "ipsec/sa.h"
#include "packet/quote.h"

#define PMTU_FLOOR_V4 576u  /* no unauthenticated message makes it smaller */
#define PMTU_FLOOR_V6 1280u

/* A message that says that a packet of an SA was too big. */
struct pmtu_word {
	int ver;         /* of the outer header */
	uint32_t mtu;    /* what it says, bytes; 0 for nothing */
	uint32_t packet; /* bytes of the packet it quotes */
	uint32_t route;  /* MTU of the way out, bytes */
	uint64_t age_ns; /* after that the path may have got wider (RFC 1191 6.3, RFC 8201 4) */
};
/* Takes it in. True when the SA's path MTU is another now: no smaller than the floor, no larger
 * than before. */
bool pmtu_learn(struct sa *sa, const struct pmtu_word *m, uint64_t now_ns) warn_unused;
/*
 * The packet that the SA protected, as far as the quote of what it made of it shows that: AH, and
 * ESP without encryption in tunnel mode (RFC 2401 6.1.2.1, B.3.1). Its beginning goes to room; out:
 * where it is and how long it was, nothing of the message. False when it is not to be seen.
 */
#define PMTU_ORIGINAL_MAX 512
bool pmtu_original(const struct sa *sa, const struct icmp_quote *q, uint8_t room[PMTU_ORIGINAL_MAX],
		   struct icmp_quote *out) warn_unused;
/* What counts now, of what was learned and the MTU of the way out; forgets what is too old. */
uint32_t pmtu_now(struct sa *sa, uint32_t route, uint64_t now_ns);

#endif
