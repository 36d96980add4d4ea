/* Out: how far the headers reach that every router sees. In: a header as it was, or one made up;
 * checksums. */
#include "ipsec/transport.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/csum.h"

#define IP4_HDR 20u
#define IP6_HDR 40u

uint32_t transport_split(const uint8_t *ip, const struct pkt_info *info, uint32_t *next_at)
{
	if (info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER))
		return 0;
	if (info->key.ver == 4) {
		*next_at = 9;
		return info->l4_off;
	}
	uint32_t off = IP6_HDR, split = IP6_HDR, at = 6, split_at = 6;
	while (off < info->l4_off) {
		uint8_t kind = ip[at];
		if (kind == IPPROTO_FRAGMENT) /* one that says "not a fragment": as good as one */
			return 0;
		at = off;
		off += (ip[off + 1] + 1u) * 8;
		if (kind != IPPROTO_DSTOPTS) {
			split = off;
			split_at = at;
		}
	}
	*next_at = split_at;
	return split;
}

uint32_t transport_next_at(const uint8_t *ip, const struct pkt_info *info)
{
	uint32_t off = IP6_HDR, at = 6;

	if (info->key.ver == 4)
		return 9;
	while (off < info->l4_off) {
		uint32_t size = ip[at] == IPPROTO_FRAGMENT ? 8 : (ip[off + 1] + 1u) * 8;
		at = off;
		off += size;
	}
	return at;
}

static uint32_t join4(const struct transport_head *h, uint8_t *text, uint32_t len, uint8_t next)
{
	uint32_t hdr = h->ip ? h->len : IP4_HDR;
	uint8_t *ip = text - hdr;

	if (hdr + len > UINT16_MAX)
		return 0;
	if (h->ip) {
		memmove(ip, h->ip, hdr);
	} else {
		memset(ip, 0, IP4_HDR);
		ip[0] = 0x45;
		ip[1] = h->tos;
		ip[6] = 0x40; /* whole, and nobody is to change that */
		ip[8] = TRANSPORT_TTL;
		memcpy(ip + 12, h->src.b, 4);
		memcpy(ip + 16, h->dst.b, 4);
	}
	store_be16(ip + 2, (uint16_t)(hdr + len));
	ip[9] = next;
	csum_ip4_set(ip);
	return hdr;
}

static uint32_t join6(const struct transport_head *h, uint8_t *text, uint32_t len, uint8_t next)
{
	uint32_t hdr = IP6_HDR, next_at = 6;

	for (unsigned i = 0; i < h->n_ext; i++)
		hdr += h->ext[i].len;
	uint8_t *ip = text - hdr;
	if (hdr - IP6_HDR + len > UINT16_MAX)
		return 0;
	store_be32(ip, 6u << 28 | (uint32_t)h->tos << 20);
	store_be16(ip + 4, (uint16_t)(hdr - IP6_HDR + len));
	ip[7] = TRANSPORT_TTL;
	memcpy(ip + 8, h->src.b, 16);
	memcpy(ip + 24, h->dst.b, 16);
	hdr = IP6_HDR;
	for (unsigned i = 0; i < h->n_ext; i++) {
		ip[next_at] = h->ext[i].kind;
		memcpy(ip + hdr, h->ext[i].p, h->ext[i].len);
		next_at = hdr;
		hdr += h->ext[i].len;
	}
	ip[next_at] = next;
	return hdr;
}

uint32_t transport_join(const struct transport_head *h, uint8_t *text, uint32_t len, uint8_t next)
{
	return h->ip || h->src.ver == 4 ? join4(h, text, len, next) : join6(h, text, len, next);
}

/* Offset of the checksum in the upper header when it covers the addresses; 0: there is none. */
static unsigned csum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return 6;
	case IPPROTO_ICMPV6:
		return 2;
	}
	return 0;
}

void transport_csum(const struct sa *sa, uint8_t *ip, const struct pkt_info *info)
{
	uint8_t proto = info->key.proto;
	unsigned at = csum_at(proto), n = info->key.ver == 4 ? 4 : 16;
	uint8_t *field = ip + info->l4_off + at;
	uint16_t check;

	if (at == 0 || info->len < info->l4_off + at + 2)
		return;
	memcpy(&check, field, 2);
	if (check == 0 && proto == IPPROTO_UDP && info->key.ver == 4) /* there is none */
		return;
	if (sa->csum == SA_CSUM_SET) {
		if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
			csum_l4_set(ip, info->l4_off, info->len, proto);
		return;
	}
	/* RFC 1624: from ~check the original addresses go, and those that are in the packet come */
	const struct sa_conf *c = sa->conf;
	if (c->oa_src.ver != info->key.ver || c->oa_dst.ver != info->key.ver)
		return;
	uint64_t was = csum_add(csum_add(0, c->oa_src.b, n), c->oa_dst.b, n);
	uint64_t is = csum_add(csum_add(0, info->key.src, n), info->key.dst, n);
	uint64_t sum = (uint64_t)(uint16_t)~check + (uint16_t)~csum_fold(was) + csum_fold(is);
	check = (uint16_t)~csum_fold(sum);
	if (check == 0 && (proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE))
		check = 0xffff;
	memcpy(field, &check, 2);
}
