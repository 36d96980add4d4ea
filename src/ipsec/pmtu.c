/*
 * Learned from messages that anybody may have made up: they may only make it smaller, down to what every path carries, and
 * only for a while. Who sends through the SA learns of it when the next packet does not fit (RFC 2401 B.3.4: the message
 * tells the SA, not the host behind it).
 */
#include "ipsec/pmtu.h"

uint32_t pmtu_now(struct sa *sa, uint32_t route, uint64_t now)
{
	if (sa->pmtu && now - sa->pmtu_ns >= PMTU_AGE_NS)
		sa->pmtu = 0;
	return sa->pmtu && sa->pmtu < route ? sa->pmtu : route;
}

/* A router that does not say how much it takes: the next of the usual sizes below the packet's (RFC 1191 7.1). */
static uint32_t plateau(uint32_t packet)
{
	static const uint16_t size[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006 };

	for (unsigned i = 0; i < ARRAY_LEN(size); i++)
		if (size[i] < packet)
			return size[i];
	return PMTU_FLOOR_V4;
}

bool pmtu_learn(struct sa *sa, int ver, uint32_t mtu, uint32_t packet, uint32_t route, uint64_t now)
{
	uint32_t floor = ver == 4 ? PMTU_FLOOR_V4 : PMTU_FLOOR_V6;

	if (mtu == 0 && ver == 4)
		mtu = plateau(packet);
	if (mtu >= packet) /* not what the packet was too big for */
		return false;
	if (mtu < floor)
		mtu = floor;
	if (mtu > pmtu_now(sa, route, now) || mtu >= route)
		return false;
	bool other = sa->pmtu != mtu;
	sa->pmtu = mtu;
	sa->pmtu_ns = now;
	return other;
}
