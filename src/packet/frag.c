/*
 * A packet goes in with an MTU, its fragments come out one by one. Every fragment carries a
 * multiple of 8 bytes except the last of the original; IPv4 options without the copied flag stay
 * with the first.
 */
#include "packet/frag.h"

#include <netinet/in.h>
#include <stdbool.h>

#include "packet/csum.h"

#define IP4_HDR 20u
#define IP4_HDR_MAX 60u
#define FLAG_MF 0x2000u
#define OFFSET_MASK 0x1fffu
#define OPT_END 0
#define OPT_NOP 1
#define OPT_COPIED 0x80

/* The shape of a fragmentation: the same for all fragments of a packet. */
struct plan {
	uint32_t hdr;        /* header bytes of the packet, and of fragment 0 */
	uint32_t hdr_later;  /* header bytes of the fragments after */
	uint32_t first;      /* data bytes of fragment 0 */
	uint32_t later;      /* data bytes of those after, but the last */
	uint32_t data;       /* data bytes of the packet */
};

/* Copies the options that every fragment repeats to out[40], padded to words. Returns their bytes.
 * What is malformed ends the list. */
static uint32_t options_copied(const uint8_t *opt, uint32_t len, uint8_t out[IP4_HDR_MAX - IP4_HDR])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < len && opt[i] != OPT_END;) {
		if (opt[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (i + 2 > len || opt[i + 1] < 2 || opt[i + 1] > len - i)
			break;
		if (opt[i] & OPT_COPIED) {
			memcpy(out + n, opt + i, opt[i + 1]);
			n += opt[i + 1];
		}
		i += opt[i + 1];
	}
	while (n % 4)
		out[n++] = OPT_END;
	return n;
}

/* Works out the plan; false when the packet cannot be fragmented. */
static bool plan_make(const uint8_t *ip, uint32_t len, uint32_t mtu, struct plan *pl)
{
	uint8_t opt[IP4_HDR_MAX - IP4_HDR];

	if (len < IP4_HDR || len > UINT16_MAX || ip[0] >> 4 != 4)
		return false;
	pl->hdr = (ip[0] & 15u) * 4;
	if (pl->hdr < IP4_HDR || pl->hdr > len || mtu < pl->hdr + 8)
		return false;
	pl->hdr_later = IP4_HDR;
	if (pl->hdr > IP4_HDR)
		pl->hdr_later += options_copied(ip + IP4_HDR, pl->hdr - IP4_HDR, opt);
	pl->first = (mtu - pl->hdr) & ~7u;
	pl->later = (mtu - pl->hdr_later) & ~7u;
	pl->data = len - pl->hdr;

	/* a fragment of a fragment must still have a valid place in the original */
	uint32_t field = load_be16(ip + 6), at = (field & OFFSET_MASK) * 8;
	if (at + pl->data > UINT16_MAX || ((field & FLAG_MF) && pl->data % 8))
		return false;
	return true;
}

unsigned frag4_count(const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	struct plan pl;

	if (len >= IP4_HDR && ip[0] >> 4 == 4 && len <= mtu)
		return 1;
	if (!plan_make(ip, len, mtu, &pl))
		return 0;
	return 1 + (pl.data - pl.first + pl.later - 1) / pl.later;
}

uint32_t frag4_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i, uint8_t *dst)
{
	struct plan pl;

	if (len <= mtu) {
		if (i > 0)
			return 0;
		memcpy(dst, ip, len);
		return len;
	}
	if (!plan_make(ip, len, mtu, &pl))
		return 0;
	uint64_t at64 = i ? pl.first + (uint64_t)(i - 1) * pl.later : 0;
	if (at64 >= pl.data)
		return 0;
	uint32_t at = (uint32_t)at64, n = i ? pl.later : pl.first, hdr = pl.hdr;
	bool last = n >= pl.data - at;
	if (last)
		n = pl.data - at;

	if (i == 0) {
		memcpy(dst, ip, hdr);
	} else {
		memcpy(dst, ip, IP4_HDR);
		hdr = pl.hdr_later;
		if (hdr > IP4_HDR)
			options_copied(ip + IP4_HDR, pl.hdr - IP4_HDR, dst + IP4_HDR);
		dst[0] = (uint8_t)(0x40 | hdr / 4);
	}
	uint32_t field = load_be16(ip + 6) + at / 8;
	store_be16(dst + 2, (uint16_t)(hdr + n));
	store_be16(dst + 6, (uint16_t)(last ? field : field | FLAG_MF));
	csum_ip4_set(dst);
	memcpy(dst + hdr, ip + pl.hdr + at, n);
	return hdr + n;
}

/* ---- IPv6
 * ---------------------------------------------------------------------------------------- */

#define IP6_HDR 40u
#define FRAG6_HDR 8u

/* Bytes of the unfragmentable part: to the end of the hop-by-hop options, or of the routing header;
 * *next_at: where it says what follows. 0: the packet cannot be fragmented. */
static uint32_t unfragmentable(const uint8_t *ip, uint32_t len, uint32_t *next_at)
{
	uint32_t off = IP6_HDR, at = 6, end = IP6_HDR;

	*next_at = 6;
	if (len < IP6_HDR || len > IP6_HDR + UINT16_MAX || ip[0] >> 4 != 6)
		return 0;
	for (;;) {
		uint8_t kind = ip[at];
		if (kind == IPPROTO_FRAGMENT)
			return 0;
		if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS)
			return end;
		if (off + 8 > len || off + (ip[off + 1] + 1u) * 8 > len)
			return 0;
		at = off;
		off += (ip[off + 1] + 1u) * 8;
		if (kind != IPPROTO_DSTOPTS) {
			end = off;
			*next_at = at;
		}
	}
}

unsigned frag6_count(const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	uint32_t next_at;

	if (len >= IP6_HDR && ip[0] >> 4 == 6 && len <= mtu)
		return 1;
	uint32_t head = unfragmentable(ip, len, &next_at);
	if (head == 0 || head == len || mtu < head + FRAG6_HDR + 8)
		return 0;
	uint32_t each = (mtu - head - FRAG6_HDR) & ~7u;
	return (len - head + each - 1) / each;
}

uint32_t frag6_make(const uint8_t *ip, uint32_t len, uint32_t mtu, unsigned i, uint32_t id,
		    uint8_t *dst)
{
	uint32_t next_at, head;

	if (len <= mtu) {
		if (i > 0)
			return 0;
		memcpy(dst, ip, len);
		return len;
	}
	if (i >= frag6_count(ip, len, mtu))
		return 0;
	head = unfragmentable(ip, len, &next_at);
	uint32_t each = (mtu - head - FRAG6_HDR) & ~7u, at = i * each, n = len - head - at;
	bool more = n > each;
	uint8_t *f = dst + head;
	if (more)
		n = each;
	memcpy(dst, ip, head);
	f[0] = ip[next_at];
	f[1] = 0;
	store_be16(f + 2, (uint16_t)(at | more));
	store_be32(f + 4, id);
	dst[next_at] = IPPROTO_FRAGMENT;
	store_be16(dst + 4, (uint16_t)(head - IP6_HDR + FRAG6_HDR + n));
	memcpy(f + FRAG6_HDR, ip + head + at, n);
	return head + FRAG6_HDR + n;
}
