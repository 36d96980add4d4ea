/* What happens to an inner packet's TOS and TTL octets at the tunnel's ends. */
#include "packet/ecn.h"

#include "packet/csum.h"

#define NOT_ECT 0
#define ECT1 1
#define ECT0 2
#define CE 3

/* RFC 6040 figure 4: rows are the inner field, columns the outer one. */
static const int8_t decap[4][4] = {
	[NOT_ECT] = { [NOT_ECT] = NOT_ECT, [ECT0] = NOT_ECT, [ECT1] = NOT_ECT, [CE] = -1 },
	[ECT0] = { [NOT_ECT] = ECT0, [ECT0] = ECT0, [ECT1] = ECT1, [CE] = CE },
	[ECT1] = { [NOT_ECT] = ECT1, [ECT0] = ECT1, [ECT1] = ECT1, [CE] = CE },
	[CE] = { [NOT_ECT] = CE, [ECT0] = CE, [ECT1] = CE, [CE] = CE },
};

int ecn_decap(uint8_t inner_ecn, uint8_t outer_ecn)
{
	return decap[inner_ecn & ECN_MASK][outer_ecn & ECN_MASK];
}

/* Replaces the 16-bit word of the IPv4 header that holds byte at, and repairs the checksum. */
static void ip4_set_byte(uint8_t *ip, unsigned at, uint8_t v)
{
	uint16_t before, after, check;

	memcpy(&before, ip + (at & ~1u), 2);
	ip[at] = v;
	memcpy(&after, ip + (at & ~1u), 2);
	memcpy(&check, ip + 10, 2);
	check = csum_update(check, before, after);
	memcpy(ip + 10, &check, 2);
}

void ip_set_tos(uint8_t *ip, uint8_t tos)
{
	if (ip[0] >> 4 == 4) {
		ip4_set_byte(ip, 1, tos);
		return;
	}
	ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
	ip[1] = (uint8_t)((ip[1] & 0x0f) | tos << 4);
}
