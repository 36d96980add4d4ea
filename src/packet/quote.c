/*
 * An ICMP error comes in; which packet it is about comes out. Quotes are cut off anywhere, so the
 * quoted packet is parsed from a copy whose length field says what is there.
 */
#include "packet/quote.h"

#include <netinet/in.h>

#define ICMP_HDR 8u
#define QUOTE_MAX                                                                                  \
	256u /* bytes of a quote that are looked at: any usual header chain and the ports behind   \
		it */

bool icmp_is_error(const struct flow_key *k)
{
	unsigned type = k->dport >> 8;

	if (k->flags & (FLOW_OPAQUE | FLOW_LATER))
		return false;
	if (k->proto == IPPROTO_ICMPV6 && k->ver == 6)
		return type >= 1 && type < 128;
	return k->proto == IPPROTO_ICMP && k->ver == 4 &&
	       (type == 3 || type == 4 || type == 11 || type == 12);
}

static unsigned of4(unsigned type, unsigned code)
{
	switch (type) {
	case 3:
		return code == 4 ? ICMP_OF_TOO_BIG : ICMP_OF_UNREACHABLE;
	case 4:
		return ICMP_OF_QUENCH;
	case 5:
		return ICMP_OF_REDIRECT;
	case 11:
		return ICMP_OF_TIME;
	case 12:
		return ICMP_OF_PARAMETER;
	/* echo, router discovery, timestamp, information, mask, traceroute, extended echo */
	case 0:
	case 8:
	case 9:
	case 10:
	case 13 ... 18:
	case 30:
	case 42:
	case 43:
		return 0;
	}
	return ICMP_OF_OTHER;
}

static unsigned of6(unsigned type)
{
	static const uint8_t known[] = { [1] = ICMP_OF_UNREACHABLE,
					 [2] = ICMP_OF_TOO_BIG,
					 [3] = ICMP_OF_TIME,
					 [4] = ICMP_OF_PARAMETER };

	if (type == 137)
		return ICMP_OF_REDIRECT;
	if (type > 127)
		return 0;
	return type < ARRAY_LEN(known) && known[type] ? known[type] : ICMP_OF_OTHER;
}

unsigned icmp_error_of(const struct flow_key *k)
{
	if (k->flags & (FLOW_OPAQUE | FLOW_LATER))
		return 0;
	if (k->proto == IPPROTO_ICMPV6 && k->ver == 6)
		return of6(k->dport >> 8);
	return k->proto == IPPROTO_ICMP && k->ver == 4 ? of4(k->dport >> 8, k->dport & 255) : 0;
}

unsigned icmp_message_of(int ver, const uint8_t *icmp, uint32_t len)
{
	if (len < ICMP_HDR)
		return 0;
	return ver == 4 ? of4(icmp[0], icmp[1]) : of6(icmp[0]);
}

bool icmp_is_too_big(int ver, const struct icmp_quote *q)
{
	return ver == 4 ? q->type == 3 && q->code == 4 : q->type == 2;
}

bool icmp_quote_read(int ver, const uint8_t *icmp, uint32_t len, struct icmp_quote *out)
{
	uint32_t hdr = ver == 4 ? 20 : 40;

	if (len < ICMP_HDR + hdr)
		return false;
	*out = (struct icmp_quote){
		.type = icmp[0], .code = icmp[1], .ip = icmp + ICMP_HDR, .len = len - ICMP_HDR
	};
	if (ver == 4 ? out->type != 3 && out->type != 4 && out->type != 11 && out->type != 12
		     : out->type == 0 || out->type > 127)
		return false;
	if (out->ip[0] >> 4 != ver)
		return false;
	out->mtu = ver == 4 ? load_be16(icmp + 6) : load_be32(icmp + 4);
	out->total = ver == 4 ? load_be16(out->ip + 2) : 40u + load_be16(out->ip + 4);
	/* what follows the packet in the message belongs to extensions (RFC 4884) */
	if (out->len > out->total)
		out->len = out->total;
	return out->len >= hdr;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

bool icmp_quote_info(const struct icmp_quote *q, struct pkt_info *info)
{
	uint8_t copy[QUOTE_MAX];
	uint32_t n = q->len < QUOTE_MAX ? q->len : QUOTE_MAX;
	struct flow_key *k = &info->key;

	memcpy(copy, q->ip, n);
	if (copy[0] >> 4 == 4)
		store_be16(copy + 2, (uint16_t)n);
	else
		store_be16(copy + 4, (uint16_t)(n - 40));
	if (pkt_parse(copy, n, info) != DROP_NONE)
		return false;
	if (k->flags & FLOW_OPAQUE && !(info->flags & PKT_FRAG_LATER) && has_ports(k->proto) &&
	    n >= info->l4_off + 4u) {
		k->sport = load_be16(copy + info->l4_off);
		k->dport = load_be16(copy + info->l4_off + 2);
		k->flags = 0;
	}
	info->len = q->len;
	return true;
}

bool icmp_quote_key(const struct icmp_quote *q, struct flow_key *out, uint32_t *l4_off)
{
	struct pkt_info info;

	if (!icmp_quote_info(q, &info))
		return false;
	*out = info.key;
	*l4_off = info.l4_off;
	return true;
}

bool icmp_quote_sa(const struct icmp_quote *q, struct icmp_quote_sa *out)
{
	struct flow_key k;
	uint32_t at;

	if (!icmp_quote_key(q, &k, &at) || (load_be16(q->ip + 6) & 0x1fff && k.ver == 4))
		return false;
	*out = (struct icmp_quote_sa){ .proto = k.proto,
				       .src = flow_key_src(&k),
				       .dst = flow_key_dst(&k) };
	if (k.proto == IPPROTO_UDP) {
		out->udp = true;
		out->proto = IPPROTO_ESP;
		out->sport = k.sport;
		out->dport = k.dport;
		at += 8;
	} else if (k.proto == IPPROTO_AH) {
		at += 4;
	} else if (k.proto != IPPROTO_ESP) {
		return false;
	}
	if (at + 4 > q->len)
		return false;
	out->spi = load_be32(q->ip + at);
	return true;
}
