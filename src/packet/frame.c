/* Addresses, then tags, then the EtherType; behind it only what tells ND, DHCP and group membership
 * from other IP. */
#include "packet/frame.h"

#include <netinet/in.h>
#include <stdbool.h>

#define TYPE_IP4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_VLAN 0x8100u  /* IEEE 802.1Q, customer tag */
#define TYPE_QINQ 0x88a8u  /* IEEE 802.1Q, service tag */
#define TYPE_IP6 0x86ddu
#define TYPE_EAPOL 0x888eu
#define TYPE_PREAUTH 0x88c7u
#define TYPE_LLDP 0x88ccu
#define LENGTH_MAX 1500u   /* up to here it is a length, and LLC follows (IEEE 802.3 3.2.6) */

static bool is_tag(uint32_t type)
{
	return type == TYPE_VLAN || type == TYPE_QINQ;
}

/* What the ports of a UDP packet say. */
static uint8_t udp_kind(const uint8_t *udp, int ver)
{
	uint16_t s = load_be16(udp), d = load_be16(udp + 2);
	uint16_t lo = ver == 4 ? 67 : 546, hi = ver == 4 ? 68 : 547;

	return (s == lo || s == hi) && (d == lo || d == hi) ? FRAME_DHCP : FRAME_IP;
}

static enum drop ip4(const uint8_t *ip, size_t len, struct frame *f)
{
	if (len < 20)
		return DROP_SHORT;
	if (ip[0] >> 4 != 4)
		return DROP_NOT_IP;
	uint32_t total = load_be16(ip + 2), hdr = (ip[0] & 15u) * 4;
	if (total > len || total < 20)
		return DROP_BAD_LENGTH;
	f->len = total;
	if (load_be16(ip + 6) & 0x3fff) /* a piece: policies see to it that it is none of these */
		return DROP_NONE;
	if (ip[9] == IPPROTO_IGMP)
		f->kind = FRAME_GROUP;
	else if (ip[9] == IPPROTO_UDP && hdr >= 20 && total >= hdr + 8)
		f->kind = udp_kind(ip + hdr, 4);
	return DROP_NONE;
}

static uint8_t icmp6_kind(const uint8_t *ip, const uint8_t *icmp)
{
	uint8_t type = icmp[0];

	if (type >= 133 && type <= 137)
		return ip[7] == 255
			   ? FRAME_ND
			   : FRAME_IP; /* RFC 4861 6.1, 7.1: else it has come through a router */
	return (type >= 130 && type <= 132) || type == 143 ? FRAME_GROUP : FRAME_IP;
}

static enum drop ip6(const uint8_t *ip, size_t len, struct frame *f)
{
	if (len < 40)
		return DROP_SHORT;
	if (ip[0] >> 4 != 6)
		return DROP_NOT_IP;
	uint32_t total = load_be16(ip + 4) + 40u, off = 40;
	uint8_t next = ip[6];
	if (total > len)
		return DROP_BAD_LENGTH;
	f->len = total;
	if (next == IPPROTO_HOPOPTS &&
	    total >= 48) { /* MLD comes with a router alert (RFC 3810 5) */
		next = ip[40];
		off += (ip[41] + 1u) * 8;
	}
	if (next == IPPROTO_ICMPV6 && total >= off + 4)
		f->kind = icmp6_kind(ip, ip + off);
	else if (next == IPPROTO_UDP && off == 40 && total >= 48)
		f->kind = udp_kind(ip + 40, 6);
	return DROP_NONE;
}

static uint8_t llc_kind(const struct frame *f, const uint8_t *p, size_t len)
{
	static const uint8_t bridges[FRAME_MAC_LEN] = { 0x01, 0x80, 0xc2 };

	return len >= 3 && p[0] == 0x42 && p[1] == 0x42 && p[2] == 3 &&
		       memcmp(f->head, bridges, sizeof(bridges)) == 0
		   ? FRAME_STP
		   : FRAME_OTHER;
}

enum drop frame_parse(const uint8_t *p, size_t len, uint32_t tag, struct frame *f)
{
	size_t off = 2 * FRAME_MAC_LEN;
	unsigned tags = 0;

	if (len < off + 2)
		return DROP_FRAME_SHORT;
	memcpy(f->head, p, off);
	f->head_len = (uint8_t)off;
	if (tag) {
		store_be32(f->head + off, tag);
		f->head_len += 4;
		tags++;
	}
	uint32_t type = load_be16(p + off);
	for (; is_tag(type) && tags < FRAME_TAGS_MAX; tags++) {
		if (len < off + 6)
			return DROP_FRAME_SHORT;
		memcpy(f->head + f->head_len, p + off, 4);
		f->head_len += 4;
		off += 4;
		type = load_be16(p + off);
	}
	store_be16(f->head + f->head_len, (uint16_t)type);
	f->head_len += 2;
	off += 2;
	f->off = (uint16_t)off;
	f->len = (uint32_t)(len - off);
	switch (type) {
	case TYPE_IP4:
		f->kind = FRAME_IP;
		return ip4(p + off, len - off, f);
	case TYPE_IP6:
		f->kind = FRAME_IP;
		return ip6(p + off, len - off, f);
	case TYPE_ARP:
		f->kind = FRAME_ARP;
		break;
	case TYPE_LLDP:
		f->kind = FRAME_LLDP;
		break;
	case TYPE_EAPOL:
	case TYPE_PREAUTH:
		f->kind = FRAME_EAPOL;
		break;
	default:
		f->kind = type <= LENGTH_MAX ? llc_kind(f, p + off, len - off) : FRAME_OTHER;
	}
	return DROP_NONE;
}

uint32_t frame_head(const struct frame *f, const uint8_t dst[FRAME_MAC_LEN],
		    const uint8_t src[FRAME_MAC_LEN], uint8_t out[FRAME_HEAD_MAX])
{
	memcpy(out, dst, FRAME_MAC_LEN);
	memcpy(out + FRAME_MAC_LEN, src, FRAME_MAC_LEN);
	memcpy(out + 2 * FRAME_MAC_LEN, f->head + 2 * FRAME_MAC_LEN,
	       f->head_len - 2u * FRAME_MAC_LEN);
	return f->head_len;
}

void frame_set_ip(uint8_t *head, uint32_t head_len, int ver)
{
	store_be16(head + head_len - 2, ver == 4 ? TYPE_IP4 : TYPE_IP6);
}
