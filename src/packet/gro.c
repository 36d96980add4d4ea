/*
 * Joining. Packets of one flow come in, in order; those that a receiver could not tell from
 * segments of one super-packet become one iov; gro_close() rewrites the first one's headers for the
 * whole. Headers are compared before checksums are: most packets that do not belong are recognised
 * in a few loads.
 */
#include <netinet/in.h>

#include "packet/csum.h"
#include "packet/gso.h"

#define TCP_CHECK 16u
#define UDP_CHECK 6u
#define UDP_HDR 8u
#define TCP_HDR 20u
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define IP_MAX 65535u
#define IP4_DF 0x4000u

static inline uint32_t raw32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t raw64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t raw16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The IP and upper header bytes of a packet that could be part of a run by itself; 0 when it could
 * not. */
static inline uint32_t joinable(const uint8_t *ip, const struct pkt_info *info)
{
	const uint8_t *l4 = ip + info->l4_off;
	uint32_t upper;

	if ((info->flags & (PKT_OPTIONS | PKT_FRAG_FIRST | PKT_FRAG_LATER)) ||
	    (info->key.flags & FLOW_OPAQUE) || info->len > IP_MAX)
		return 0;
	if (info->key.ver == 4 && (load_be16(ip + 6) & ~IP4_DF))
		return 0;
	if (info->key.proto == IPPROTO_TCP) {
		upper = (l4[12] >> 4) * 4u;
		/* offset, no reserved bits, ACK and perhaps PSH */
		if (upper < TCP_HDR || (l4[12] & 0x0f) || (l4[13] & ~TCP_PSH) != TCP_ACK)
			return 0;
	} else if (info->key.proto == IPPROTO_UDP) {
		upper = UDP_HDR;
		if (load_be16(l4 + 4) != info->len - info->l4_off || raw16(l4 + UDP_CHECK) == 0)
			return 0;
	} else {
		return 0;
	}
	/* data is what makes a segment worth joining */
	return info->l4_off + upper < info->len ? info->l4_off + upper : 0;
}

static bool sums_ok(const uint8_t *ip, const struct pkt_info *info)
{
	return (info->key.ver == 6 || csum_ip4_ok(ip)) &&
	       csum_l4_ok(ip, info->l4_off, info->len, info->key.proto);
}

void gro_start(struct gro_run *r, uint8_t *ip, const struct pkt_info *info, unsigned can)
{
	unsigned kind = 0;

	r->vnet = (struct virtio_net_hdr) { 0 };
	r->iov[0] = (struct iovec) { &r->vnet, sizeof(r->vnet) };
	r->iov[1] = (struct iovec) { ip, info->len };
	r->n_iov = 2;
	r->segs = 1;
	r->len = info->len;
	r->size = 0;
	r->hdr_len = 0;
	r->l4_off = info->l4_off;
	r->next_seq = 0;
	r->next_id = 0;
	r->proto = info->key.proto;
	r->ver = info->key.ver;
	r->open = false;
	r->csum_ok = false;
	r->psh = false;

	if (r->proto == IPPROTO_TCP)
		kind = r->ver == 4 ? GRO_TCP4 : GRO_TCP6;
	else if (r->proto == IPPROTO_UDP)
		kind = r->ver == 4 ? GRO_UDP4 : GRO_UDP6;
	if (!(kind & can))
		return;
	uint32_t hdr = joinable(ip, info);
	if (hdr == 0)
		return;
	r->hdr_len = hdr;
	r->size = info->len - hdr;
	r->open = true;
	if (r->ver == 4)
		r->next_id = (uint16_t)(load_be16(ip + 4) + 1);
	if (r->proto == IPPROTO_TCP) {
		r->next_seq = load_be32(ip + r->l4_off + 4) + r->size;
		r->open = !(ip[r->l4_off + 13] & TCP_PSH);
	}
}

/* True when everything in the IP header that has to stay the same is the same. */
static inline bool same_ip(const struct gro_run *r, const uint8_t *a, const uint8_t *b)
{
	if (r->ver == 4) {
		/* version, IHL and TOS; DF; TTL and protocol; addresses */
		if (raw16(a) != raw16(b) || raw16(a + 6) != raw16(b + 6) ||
		    raw16(a + 8) != raw16(b + 8) || raw64(a + 12) != raw64(b + 12))
			return false;
		return (b[6] & (IP4_DF >> 8)) || load_be16(b + 4) == r->next_id;
	}
	/* version, traffic class and flow label; next header and hop limit; addresses */
	return raw32(a) == raw32(b) && raw16(a + 6) == raw16(b + 6) &&
	       ((raw64(a + 8) ^ raw64(b + 8)) | (raw64(a + 16) ^ raw64(b + 16)) |
		(raw64(a + 24) ^ raw64(b + 24)) | (raw64(a + 32) ^ raw64(b + 32))) == 0;
}

/* The same for TCP: a and b are the TCP headers, hdr bytes each. */
static inline bool same_tcp(const struct gro_run *r, const uint8_t *a, const uint8_t *b,
			    uint32_t hdr)
{
	if (raw32(a) != raw32(b) || load_be32(b + 4) != r->next_seq ||
	    raw32(a + 8) != raw32(b + 8) || a[12] != b[12] || raw16(a + 14) != raw16(b + 14) ||
	    raw16(a + 18) != raw16(b + 18))
		return false;
	for (uint32_t i = TCP_HDR; i < hdr; i += 4)
		if (raw32(a + i) != raw32(b + i))
			return false;
	return true;
}

/* Verifies the first packet of a run once; a run whose first packet is damaged takes no other. */
static bool first_ok(struct gro_run *r)
{
	const uint8_t *ip = r->iov[1].iov_base;

	if (!r->csum_ok) {
		r->csum_ok = (r->ver == 6 || csum_ip4_ok(ip)) &&
			     csum_l4_ok(ip, r->l4_off, r->len, r->proto);
		r->open = r->csum_ok;
	}
	return r->csum_ok;
}

int gro_join(struct gro_run *r, uint8_t *ip, const struct pkt_info *info)
{
	if (!r->open || info->key.proto != r->proto || info->key.ver != r->ver)
		return GRO_NONE;
	const uint8_t *first = r->iov[1].iov_base;
	uint32_t hdr = joinable(ip, info);
	if (hdr == 0 || hdr != r->hdr_len || !same_ip(r, first, ip))
		return GRO_NONE;
	const uint8_t *a = first + r->l4_off, *b = ip + r->l4_off;
	bool tcp = r->proto == IPPROTO_TCP;
	if (tcp ? !same_tcp(r, a, b, hdr - r->l4_off) : raw32(a) != raw32(b))
		return GRO_NONE;
	uint32_t n = info->len - hdr;
	if (n > r->size || r->len + n > IP_MAX || r->segs == GRO_MAX_SEGS)
		return GRO_NONE;
	if (!first_ok(r) || !sums_ok(ip, info))
		return GRO_NONE;

	r->iov[r->n_iov++] = (struct iovec) { ip + hdr, n };
	r->segs++;
	r->len += n;
	r->next_seq += n;
	r->next_id++;
	r->psh = tcp && (b[13] & TCP_PSH);
	r->open = n == r->size && !r->psh && r->segs < GRO_MAX_SEGS && r->len + r->size <= IP_MAX;
	return r->open ? GRO_JOINED : GRO_LAST;
}

void gro_close(struct gro_run *r)
{
	uint8_t *ip = r->iov[1].iov_base, *l4 = ip + r->l4_off;
	uint32_t l4_len = r->len - r->l4_off;
	bool tcp = r->proto == IPPROTO_TCP;

	r->open = false;
	if (r->segs == 1) {
		r->vnet.flags = r->csum_ok ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
		return;
	}
	r->vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (tcp)
		r->vnet.gso_type =
		    r->ver == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	else
		r->vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	r->vnet.hdr_len = (uint16_t)r->hdr_len;
	r->vnet.gso_size = (uint16_t)r->size;
	r->vnet.csum_start = (uint16_t)r->l4_off;
	r->vnet.csum_offset = tcp ? TCP_CHECK : UDP_CHECK;

	if (r->ver == 4) {
		store_be16(ip + 2, (uint16_t)r->len);
		csum_ip4_set(ip);
	} else {
		store_be16(ip + 4, (uint16_t)(r->len - 40));
	}
	if (!tcp)
		store_be16(l4 + 4, (uint16_t)l4_len);
	else if (r->psh)
		l4[13] |= TCP_PSH;
	/* the receiver completes the checksum from the pseudo header's part */
	uint16_t c = csum_fold(csum_pseudo(ip, l4_len, r->proto));
	memcpy(l4 + r->vnet.csum_offset, &c, sizeof(c));
}
