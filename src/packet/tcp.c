/* TCP segments we make (resets) and those we touch (SYNs whose MSS does not fit the tunnel). */
#include <netinet/in.h>

#include "packet/csum.h"
#include "packet/icmp.h"

#define IP4_HDR 20u
#define IP6_HDR 40u
#define TCP_HDR 20u
#define TCP_CHECK 16u
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define RESET_TTL 64
#define OPT_END 0
#define OPT_NOP 1
#define OPT_MSS 2

/* The TCP header's length in bytes, options included; 0 when there is none, or it is malformed. */
static uint32_t tcp_header(const uint8_t *ip, const struct pkt_info *info)
{
	if (info->key.proto != IPPROTO_TCP || (info->key.flags & FLOW_OPAQUE) ||
	    info->len < info->l4_off + TCP_HDR)
		return 0;
	uint32_t hdr = (ip[info->l4_off + 12] >> 4) * 4u;
	return hdr >= TCP_HDR && hdr <= info->len - info->l4_off ? hdr : 0;
}

/* Writes the IP header of a reset, addresses exchanged. Returns its length. */
static uint32_t reset_ip(const uint8_t *ip, uint8_t ver, uint8_t *out)
{
	if (ver == 4) {
		memset(out, 0, IP4_HDR);
		out[0] = 0x45;
		store_be16(out + 2, IP4_HDR + TCP_HDR);
		out[6] = 0x40; /* DF, so that the ID may be zero (RFC 6864 4.1) */
		out[8] = RESET_TTL;
		out[9] = IPPROTO_TCP;
		memcpy(out + 12, ip + 16, 4);
		memcpy(out + 16, ip + 12, 4);
		csum_ip4_set(out);
		return IP4_HDR;
	}
	memset(out, 0, IP6_HDR);
	out[0] = 0x60;
	store_be16(out + 4, TCP_HDR);
	out[6] = IPPROTO_TCP;
	out[7] = RESET_TTL;
	memcpy(out + 8, ip + 24, 16);
	memcpy(out + 24, ip + 8, 16);
	return IP6_HDR;
}

uint32_t tcp_reset(const uint8_t *ip, const struct pkt_info *info, uint8_t *out)
{
	uint32_t hdr = tcp_header(ip, info);

	if (hdr == 0)
		return 0;
	const uint8_t *in = ip + info->l4_off;
	uint8_t flags = in[13];
	/* of a first fragment without ACK the segment's length is not known, so there is no ACK to
	 * give */
	if ((flags & TCP_RST) || ((info->flags & PKT_FRAG_FIRST) && !(flags & TCP_ACK)))
		return 0;

	uint32_t off = reset_ip(ip, info->key.ver, out);
	uint8_t *t = out + off;
	memset(t, 0, TCP_HDR);
	memcpy(t, in + 2, 2);
	memcpy(t + 2, in, 2);
	t[12] = TCP_HDR / 4 << 4;
	if (flags & TCP_ACK) {
		memcpy(t + 4, in + 8, 4);
		t[13] = TCP_RST;
	} else {
		uint32_t seg_len = info->len - info->l4_off - hdr;
		seg_len += (flags & TCP_SYN ? 1 : 0) + (flags & TCP_FIN ? 1 : 0);
		store_be32(t + 8, load_be32(in + 4) + seg_len);
		t[13] = TCP_RST | TCP_ACK;
	}
	csum_l4_set(out, off, off + TCP_HDR, IPPROTO_TCP);
	return off + TCP_HDR;
}

/* Replaces the 16-bit number at offset at of the TCP header. At an odd offset it straddles two
 * words of the sum; exchanging its bytes gives the same difference. */
static void replace16(uint8_t *t, uint32_t at, uint16_t v, bool fix_check)
{
	uint16_t before, after, check;

	memcpy(&before, t + at, 2);
	store_be16(t + at, v);
	memcpy(&after, t + at, 2);
	if (!fix_check)
		return;
	if (at & 1) {
		before = __builtin_bswap16(before);
		after = __builtin_bswap16(after);
	}
	memcpy(&check, t + TCP_CHECK, 2);
	check = csum_update(check, before, after);
	memcpy(t + TCP_CHECK, &check, 2);
}

bool tcp_clamp_mss(uint8_t *ip, const struct pkt_info *info, uint16_t mss, bool csum_partial)
{
	uint32_t hdr = info->flags & PKT_TCP_SYN ? tcp_header(ip, info) : 0;
	uint8_t *t = ip + info->l4_off;
	bool changed = false;

	for (uint32_t i = TCP_HDR; i < hdr && t[i] != OPT_END;) {
		if (t[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (i + 2 > hdr || t[i + 1] < 2 || t[i + 1] > hdr - i)
			break;
		if (t[i] == OPT_MSS && t[i + 1] == 4 && load_be16(t + i + 2) > mss) {
			replace16(t, i + 2, mss, !csum_partial);
			changed = true;
		}
		i += t[i + 1];
	}
	return changed;
}
