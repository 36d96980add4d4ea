/* The appendix of RFC 4302: which fields, options and extension headers change between the two
 * ends, and how they are covered then. */
#include "ipsec/ah.h"

#include <netinet/in.h>
#include <string.h>

#define IP4_HDR 20u
#define IP6_HDR 40u

/* IPv4 options by their whole type octet (copied flag, class, number). */
enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_SECURITY = 130,
	OPT_LSRR = 131,
	OPT_EXT_SECURITY = 133,
	OPT_CIPSO = 134,
	OPT_SSRR = 137,
	OPT_ROUTER_ALERT = 148,
	OPT_SDMD = 149,
};

/* IPv6: "may change en route" in an option's type (RFC 8200 4.2). */
#define OPT6_MUTABLE 0x20

#define RH_TYPE_SOURCE 0 /* RFC 2460 4.4 */
#define RH_TYPE_MOBILE 2 /* RFC 6275 6.4 */

void ah_write(const struct sa *sa, int ver, uint8_t next, uint64_t seq, uint64_t iv, uint8_t *ah)
{
	uint32_t len = ah_len(sa, ver);

	memset(ah, 0, len);
	ah[0] = next;
	ah[1] = (uint8_t)(len / 4 - 2);
	store_be32(ah + 4, sa->spi);
	store_be32(ah + 8, (uint32_t)seq);
	if (sa->iv_len)
		store_be64(ah + AH_FIXED, iv);
}

bool ah_read(const uint8_t *p, uint32_t left, struct ah_view *v)
{
	if (left < AH_FIXED)
		return false;
	v->next = p[0];
	v->len = (p[1] + 2u) * 4;
	v->spi = load_be32(p + 4);
	v->seq_lo = load_be32(p + 8);
	return v->len >= AH_FIXED && v->len <= left;
}

static bool is_immutable4(uint8_t type)
{
	return type == OPT_SECURITY || type == OPT_EXT_SECURITY || type == OPT_CIPSO ||
	       type == OPT_ROUTER_ALERT || type == OPT_SDMD;
}

/* Zeroes options that routers write to; a source route that has not been followed yet says where
 * the packet will be in the end. */
static bool mute_options4(uint8_t *ip, uint32_t hdr)
{
	for (uint32_t at = IP4_HDR; at < hdr && ip[at] != OPT_END;) {
		uint8_t *o = ip + at;
		if (o[0] == OPT_NOP) {
			at++;
			continue;
		}
		if (at + 2 > hdr || o[1] < 2 || at + o[1] > hdr)
			return false;
		uint32_t n = o[1];
		if ((o[0] == OPT_LSRR || o[0] == OPT_SSRR) && n >= 7 && o[2] + 3u <= n)
			memcpy(ip + 16, o + n - 4, 4);
		if (!is_immutable4(o[0]))
			memset(o, 0, n);
		at += n;
	}
	return true;
}

static bool mute4(uint8_t *ip, uint32_t ah_at)
{
	uint32_t hdr = (ip[0] & 15u) * 4;

	if (hdr != ah_at)
		return false;
	ip[1] = 0;                /* DSCP and ECN */
	ip[6] = ip[7] = 0;        /* flags and fragment offset */
	ip[8] = 0;                /* TTL */
	ip[10] = ip[11] = 0;      /* checksum */
	return mute_options4(ip, hdr);
}

/* Hop-by-hop or destination options. */
static bool mute_options6(uint8_t *h, uint32_t size)
{
	for (uint32_t at = 2; at < size;) {
		if (h[at] == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (at + 2 > size || at + 2 + h[at + 1] > size)
			return false;
		if (h[at] & OPT6_MUTABLE)
			memset(h + at + 2, 0, h[at + 1]);
		at += 2u + h[at + 1];
	}
	return true;
}

/* The addresses as they are once the route has been followed: each of the segments left has changed
 * places with the destination. */
static bool follow_route(uint8_t *ip, uint8_t *h, uint32_t size)
{
	uint32_t n = (size - 8) / 16, left = h[3];

	if (left == 0)
		return true;
	if ((h[2] != RH_TYPE_SOURCE && h[2] != RH_TYPE_MOBILE) || (size - 8) % 16 || left > n)
		return false;
	for (uint8_t *a = h + 8 + (n - left) * 16; left; left--, a += 16) {
		uint8_t dst[16];
		memcpy(dst, ip + 24, 16);
		memcpy(ip + 24, a, 16);
		memcpy(a, dst, 16);
	}
	h[3] = 0;
	return true;
}

static bool mute6(uint8_t *ip, uint32_t ah_at)
{
	uint32_t off = IP6_HDR;
	uint8_t kind = ip[6];
	bool ok = true;

	store_be32(ip, 6u << 28); /* traffic class and flow label */
	ip[7] = 0;                /* hop limit */
	while (ok && off < ah_at) {
		uint8_t *h = ip + off;
		uint32_t size = off + 8 <= ah_at ? (h[1] + 1u) * 8 : 0;
		if (size == 0 || off + size > ah_at)
			return false;
		if (kind == IPPROTO_ROUTING)
			ok = follow_route(ip, h, size);
		else if (kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS)
			ok = mute_options6(h, size);
		else
			return false;
		kind = h[0];
		off += size;
	}
	return ok && off == ah_at && kind == IPPROTO_AH;
}

uint32_t ah_cover(const struct sa *sa, const uint8_t *ip, uint32_t len, uint32_t ah_at,
		  uint64_t seq, uint8_t *out)
{
	memcpy(out, ip, len);
	if (!(ip[0] >> 4 == 4 ? mute4(out, ah_at) : mute6(out, ah_at)))
		return 0;
	memset(out + ah_at + AH_FIXED + sa->iv_len, 0, sa->icv_len);
	if (!sa->esn)
		return len;
	store_be32(out + len, (uint32_t)(seq >> 32));
	return len + 4;
}
