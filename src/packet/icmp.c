/*
 * ICMP errors. A packet that we will not carry comes in; the error that tells its sender why goes
 * out, with as much of the packet as the RFCs want quoted.
 */
#include "packet/icmp.h"

#include <netinet/in.h>

#include "packet/csum.h"

#define IP4_HDR 20u
#define IP6_HDR 40u
#define ICMP_HDR 8u
#define ICMP4_MAX 576u  /* RFC 1812 4.3.2.3 */
#define ICMP6_MAX 1280u /* RFC 4443 2.4 (c) */
#define ERROR_TTL 64
#define TOS_CONTROL 0xc0 /* precedence of ICMP errors, RFC 1812 4.3.2.5 */
#define ICMP6_REDIRECT 137

_Static_assert(ICMP6_MAX <= ICMP_ERROR_MAX && ICMP4_MAX <= ICMP_ERROR_MAX, "errors fit");

/* A source that names one host which could be reached. */
static bool is_host4(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

/* Unspecified, loopback and multicast addresses are not hosts. */
static bool is_host6(const uint8_t *a)
{
	static const uint8_t zero[15];

	if (memcmp(a, zero, 15) == 0 && a[15] <= 1)
		return false;
	return a[0] != 0xff;
}

static bool is_icmp_error(const struct flow_key *k)
{
	unsigned type = k->dport >> 8;

	if (k->proto == IPPROTO_ICMPV6)
		/* a type that cannot be read may be an error */
		return (k->flags & FLOW_OPAQUE) || type < 128 || type == ICMP6_REDIRECT;
	if (k->proto != IPPROTO_ICMP)
		return false;
	/* unreachable, source quench, redirect, time exceeded, parameter problem */
	return (k->flags & FLOW_OPAQUE) || type == 3 || type == 4 || type == 5 || type == 11 ||
	       type == 12;
}

bool icmp_may_answer(const uint8_t *ip, const struct pkt_info *info)
{
	const struct flow_key *k = &info->key;

	if ((info->flags & PKT_FRAG_LATER) || is_icmp_error(k))
		return false;
	if (k->ver == 4)
		return is_host4(k->src) && k->dst[0] < 224;
	return is_host6(k->src) && k->dst[0] != 0xff;
}

static uint32_t error4(enum icmp_kind kind, const uint8_t *ip, uint32_t len, uint32_t mtu,
		       const struct ip_addr *from, uint8_t *out)
{
	static const uint8_t type_code[][2] = {
		[ICMP_KIND_TOO_BIG] = { 3, 4 },
		[ICMP_KIND_ADMIN] = { 3, 13 },
		[ICMP_KIND_TTL] = { 11, 0 },
	};
	uint32_t room = ICMP4_MAX - IP4_HDR - ICMP_HDR, quote = len < room ? len : room;
	uint32_t total = IP4_HDR + ICMP_HDR + quote;

	memset(out, 0, IP4_HDR + ICMP_HDR);
	out[0] = 0x45;
	out[1] = TOS_CONTROL;
	store_be16(out + 2, (uint16_t)total);
	out[6] = 0x40; /* DF: never fragmented, so its ID may be zero (RFC 6864 4.1) */
	out[8] = ERROR_TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, from->b, 4);
	memcpy(out + 16, ip + 12, 4);
	csum_ip4_set(out);

	uint8_t *icmp = out + IP4_HDR;
	memcpy(icmp, type_code[kind], 2);
	if (kind == ICMP_KIND_TOO_BIG) /* RFC 1191 4 */
		store_be16(icmp + 6, (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX));
	memcpy(icmp + ICMP_HDR, ip, quote);
	csum_l4_set(out, IP4_HDR, total, IPPROTO_ICMP);
	return total;
}

static uint32_t error6(enum icmp_kind kind, const uint8_t *ip, uint32_t len, uint32_t mtu,
		       const struct ip_addr *from, uint8_t *out)
{
	static const uint8_t type_code[][2] = {
		[ICMP_KIND_TOO_BIG] = { 2, 0 },
		[ICMP_KIND_ADMIN] = { 1, 1 },
		[ICMP_KIND_TTL] = { 3, 0 },
	};
	uint32_t room = ICMP6_MAX - IP6_HDR - ICMP_HDR, quote = len < room ? len : room;
	uint32_t total = IP6_HDR + ICMP_HDR + quote;

	memset(out, 0, IP6_HDR + ICMP_HDR);
	out[0] = 0x60;
	store_be16(out + 4, (uint16_t)(total - IP6_HDR));
	out[6] = IPPROTO_ICMPV6;
	out[7] = ERROR_TTL;
	memcpy(out + 8, from->b, 16);
	memcpy(out + 24, ip + 8, 16);

	uint8_t *icmp = out + IP6_HDR;
	memcpy(icmp, type_code[kind], 2);
	if (kind == ICMP_KIND_TOO_BIG)
		store_be32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HDR, ip, quote);
	csum_l4_set(out, IP6_HDR, total, IPPROTO_ICMPV6);
	return total;
}

uint32_t icmp_error(enum icmp_kind kind, const uint8_t *ip, const struct pkt_info *info,
		    uint32_t mtu, const struct ip_addr *from, uint8_t *out)
{
	if (info->key.ver == 4)
		return error4(kind, ip, info->len, mtu, from, out);
	return error6(kind, ip, info->len, mtu, from, out);
}
