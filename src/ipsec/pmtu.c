/*
 * Learned from messages that anybody may have made up: they may only make it smaller, down to what
 * every path carries, and only for a while. Who sends through the SA learns of it when the next
 * packet does not fit (RFC 2401 B.3.1, b), or at once when the message shows whose packet it was.
 */
#include "ipsec/pmtu.h"

#include <netinet/in.h>
#include <string.h>

#include "ipsec/esp.h"
#include "ipsec/transport.h"
#include "packet/csum.h"

uint32_t pmtu_now(struct sa *sa, uint32_t route, uint64_t now)
{
	if (sa->pmtu && now >= sa->pmtu_until_ns)
		sa->pmtu = 0;
	return sa->pmtu && sa->pmtu < route ? sa->pmtu : route;
}

/* A router that does not say how much it takes: the next of the usual sizes below the packet's (RFC
 * 1191 7.1). */
static uint32_t plateau(uint32_t packet)
{
	static const uint16_t size[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006 };

	for (unsigned i = 0; i < ARRAY_LEN(size); i++)
		if (size[i] < packet)
			return size[i];
	return PMTU_FLOOR_V4;
}

bool pmtu_learn(struct sa *sa, const struct pmtu_word *m, uint64_t now)
{
	uint32_t floor = m->ver == 4 ? PMTU_FLOOR_V4 : PMTU_FLOOR_V6;
	uint32_t mtu = m->mtu == 0 && m->ver == 4 ? plateau(m->packet) : m->mtu;

	if (mtu >= m->packet) /* not what the packet was too big for */
		return false;
	if (mtu < floor)
		mtu = floor;
	if (mtu > pmtu_now(sa, m->route, now) || mtu >= m->route)
		return false;
	bool other = sa->pmtu != mtu;
	sa->pmtu = mtu;
	sa->pmtu_until_ns = now + m->age_ns;
	return other;
}

static bool is_legible(const struct sa *sa)
{
	enum encr_id e = sa->conf->suite.encr->id;

	/* what comes next in transport mode is told by ESP's trailer, which no quote reaches */
	return sa->proto == SA_AH ||
	       (sa->mode == SA_TUNNEL && (e == ENCR_NULL || e == ENCR_NULL_AUTH_AES_GMAC));
}

/* The outer header without AH behind it. */
static void fix_header(uint8_t *ip, uint32_t total, uint32_t next_at, uint8_t next)
{
	ip[next_at] = next;
	if (ip[0] >> 4 == 4) {
		store_be16(ip + 2, (uint16_t)total);
		csum_ip4_set(ip);
	} else {
		store_be16(ip + 4, (uint16_t)(total - 40));
	}
}

bool pmtu_original(const struct sa *sa, const struct icmp_quote *q, uint8_t room[PMTU_ORIGINAL_MAX],
		   struct icmp_quote *out)
{
	struct pkt_info info;

	if (!is_legible(sa) || !icmp_quote_info(q, &info) || info.flags & PKT_FRAG_LATER)
		return false;
	uint32_t at = info.l4_off + (sa->encap == SA_ENCAP_UDP ? 8u : 0u);
	if (at + ESP_HDR_LEN > q->len)
		return false;
	uint32_t size = sa->proto == SA_AH ? (q->ip[at + 1] + 2u) * 4 : esp_text_off(sa);
	uint32_t hdr = sa->mode == SA_TRANSPORT ? at : 0, from = at + size;
	if (from >= q->len || hdr >= PMTU_ORIGINAL_MAX || q->total <= size)
		return false;
	uint32_t left =
	    q->len - from < PMTU_ORIGINAL_MAX - hdr ? q->len - from : PMTU_ORIGINAL_MAX - hdr;
	memcpy(room, q->ip, hdr);
	memcpy(room + hdr, q->ip + from, left);
	if (hdr)
		fix_header(room, q->total - size, transport_next_at(q->ip, &info), q->ip[at]);
	int ver = room[0] >> 4;
	*out = (struct icmp_quote) { .ip = room, .len = hdr + left };
	if ((ver != 4 && ver != 6) || out->len < (ver == 4 ? 20u : 40u))
		return false;
	out->total = ver == 4 ? load_be16(room + 2) : 40u + load_be16(room + 4);
	if (out->len > out->total)
		out->len = out->total;
	return out->len >= (ver == 4 ? 20u : 40u);
}
