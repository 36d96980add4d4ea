/*
 * Splitting. A super-packet and its virtio header come in; gso_open() checks them against each
 * other and sums what all segments share; gso_segment() then copies the headers, patches what
 * differs, and copies and sums the payload in one pass.
 */
#include "packet/gso.h"

#include <netinet/in.h>

#include "packet/csum.h"

#define TCP_CHECK 16u
#define UDP_CHECK 6u
#define UDP_HDR 8u
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_CWR 0x80

/* The 16-bit word as it lies in memory. */
static inline uint16_t raw16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_raw16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* An ordinary packet, perhaps with a checksum to complete. */
static enum drop open_plain(struct gso *g, const struct virtio_net_hdr *vnet)
{
	g->plain = true;
	g->segs = 1;
	g->csum = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!g->csum)
		return DROP_NONE;
	g->csum_start = vnet->csum_start;
	g->csum_offset = vnet->csum_offset;
	uint32_t at = (uint32_t)g->csum_start + g->csum_offset;
	/* behind addresses and ports: those decided what may happen to the packet */
	if (g->csum_start < g->l4_off || at < g->l4_off + 4 || at + 2 > g->len)
		return DROP_BAD_OFFLOAD;
	return DROP_NONE;
}

/* Checks that the GSO type fits the packet; sets g->tcp. */
static bool type_fits(struct gso *g, uint8_t type, const struct pkt_info *info)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		g->tcp = true;
		return g->proto == IPPROTO_TCP && info->key.ver == 4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		g->tcp = true;
		return g->proto == IPPROTO_TCP && info->key.ver == 6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return g->proto == IPPROTO_UDP;
	default:
		return false;
	}
}

/* Sums what the segments share. The length of the pseudo header is left out: the last segment's
 * differs. */
static void sum_common(struct gso *g)
{
	const uint8_t *l4 = g->ip + g->l4_off;
	uint32_t l4_len = g->len - g->l4_off;

	if (!g->v6) {
		g->ip_id = load_be16(g->ip + 4);
		g->ip_sum = raw16(g->ip) + (uint64_t)raw16(g->ip + 6) + raw16(g->ip + 8) +
			    csum_add(0, g->ip + 12, g->l4_off - 12);
	}
	if (g->v6 && g->l4_off > 40) {
		/* The pseudo header holds the final destination, which may lie in a routing header.
		 * The kernel has summed it already: take its length out (ones' complement) and use
		 * that. */
		uint16_t len_be = (uint16_t)__builtin_bswap16((uint16_t)l4_len);
		g->l4_sum =
		    raw16(l4 + (g->tcp ? TCP_CHECK : UDP_CHECK)) + (uint64_t)(uint16_t)~len_be;
	} else {
		g->l4_sum = csum_pseudo(g->ip, 0, g->proto);
	}
	if (g->tcp) {
		/* ports; ack; offset without flags; window; urgent pointer; options */
		g->seq = load_be32(l4 + 4);
		g->flags = l4[13];
		g->l4_sum += csum_add(0, l4, 4) + csum_add(0, l4 + 8, 4) + l4[12] + raw16(l4 + 14) +
			     csum_add(0, l4 + 18, g->hdr_len - g->l4_off - 18);
	} else {
		g->l4_sum += csum_add(0, l4, 4);
	}
}

enum drop gso_open(struct gso *g, const struct virtio_net_hdr *vnet, const uint8_t *ip,
		   uint32_t len, const struct pkt_info *info)
{
	*g = (struct gso) {
		.ip = ip,
		.len = info->len,
		.l4_off = info->l4_off,
		.proto = info->key.proto,
		.v6 = info->key.ver == 6,
	};
	if (info->len > len)
		return DROP_BAD_OFFLOAD;
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return open_plain(g, vnet);

	if (info->len != len || (info->key.flags & FLOW_OPAQUE) ||
	    (info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) ||
	    !type_fits(g, vnet->gso_type, info))
		return DROP_BAD_OFFLOAD;
	/* pkt_parse() has seen 20 bytes of TCP or 8 of UDP */
	uint32_t upper = g->tcp ? (ip[g->l4_off + 12] >> 4) * 4u : UDP_HDR;
	if (g->tcp && (upper < 20 || (ip[g->l4_off + 13] & (TCP_SYN | TCP_RST))))
		return DROP_BAD_OFFLOAD;
	g->hdr_len = g->l4_off + upper;
	if (vnet->gso_size == 0 || g->hdr_len >= len)
		return DROP_BAD_OFFLOAD;
	/* virtio 1.2 5.1.6.2: segmentation implies an open checksum */
	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || vnet->csum_start != g->l4_off ||
	    vnet->csum_offset != (g->tcp ? TCP_CHECK : UDP_CHECK))
		return DROP_BAD_OFFLOAD;
	g->size = vnet->gso_size;
	g->segs = (len - g->hdr_len + g->size - 1) / g->size;
	sum_common(g);
	return DROP_NONE;
}

static void segment_plain(const struct gso *g, uint8_t *dst)
{
	if (!g->csum) {
		memcpy(dst, g->ip, g->len);
		return;
	}
	/* the field holds the pseudo header's sum and is summed with the rest */
	memcpy(dst, g->ip, g->csum_start);
	uint16_t c = (uint16_t)~csum_fold(
	    csum_copy(0, dst + g->csum_start, g->ip + g->csum_start, g->len - g->csum_start));
	if (c == 0 && g->proto == IPPROTO_UDP)
		c = 0xffff;
	put_raw16(dst + g->csum_start + g->csum_offset, c);
}

/* Lengths, ID and checksum of the IP header of segment i, which is n bytes long. */
static inline void patch_ip(const struct gso *g, uint32_t i, uint32_t n, uint8_t *dst)
{
	if (g->v6) {
		store_be16(dst + 4, (uint16_t)(n - 40));
		return;
	}
	uint16_t id = (uint16_t)(g->ip_id + i);
	store_be16(dst + 2, (uint16_t)n);
	store_be16(dst + 4, id);
	put_raw16(dst + 10, (uint16_t)~csum_fold(g->ip_sum + raw16(dst + 2) + raw16(dst + 4)));
}

void gso_segment(const struct gso *g, uint32_t i, uint8_t *dst)
{
	if (g->plain) {
		segment_plain(g, dst);
		return;
	}
	uint32_t n = gso_segment_len(g, i), l4_len = n - g->l4_off;
	uint8_t *l4 = dst + g->l4_off;
	uint64_t sum = g->l4_sum + __builtin_bswap32(l4_len);

	memcpy(dst, g->ip, g->hdr_len);
	patch_ip(g, i, n, dst);
	sum = csum_copy(sum, dst + g->hdr_len, g->ip + g->hdr_len + (size_t)i * g->size,
			n - g->hdr_len);
	if (g->tcp) {
		uint32_t seq = __builtin_bswap32(g->seq + i * g->size);
		uint8_t flags = g->flags;
		if (i + 1 < g->segs)
			flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
		if (i > 0)
			flags &= (uint8_t)~TCP_CWR;
		memcpy(l4 + 4, &seq, 4);
		l4[13] = flags;
		put_raw16(l4 + TCP_CHECK, (uint16_t)~csum_fold(sum + seq + ((uint64_t)flags << 8)));
		return;
	}
	store_be16(l4 + 4, (uint16_t)l4_len);
	uint16_t c = (uint16_t)~csum_fold(sum + raw16(l4 + 4));
	put_raw16(l4 + UDP_CHECK, c ? c : 0xffff);
}
