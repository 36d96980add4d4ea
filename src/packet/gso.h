/*
 * Super-packets: what a TUN device with IFF_VNET_HDR hands over (one header, up to 64 KiB of TCP or
 * UDP payload) is split into packets that fit, and runs of packets that belong together are joined
 * the other way before they are written to it.
 */
#ifndef PACKET_GSO_H
#define PACKET_GSO_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/drop.h"
#include "packet/parse.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* A super-packet being split. Made by gso_open(), read by gso_segment(). */
struct gso {
	const uint8_t *ip;  /* the super-packet */
	uint32_t len;       /* its IP length */
	uint32_t hdr_len;   /* IP + TCP/UDP header bytes, repeated in every segment */
	uint32_t l4_off;
	uint32_t size;      /* payload bytes in every segment but the last */
	uint32_t segs;      /* number of segments; 1 when it is an ordinary packet */
	uint8_t proto;
	bool tcp;
	bool v6;
	bool plain;         /* not a super-packet: segment 0 is the packet itself */
	bool csum; /* plain packet whose checksum has to be completed (VIRTIO_NET_HDR_F_NEEDS_CSUM)
		    */
	uint16_t csum_start, csum_offset;
	/* internal: what all segments have in common, summed once */
	uint64_t ip_sum;    /* IPv4 header without total length, ID and checksum */
	uint64_t l4_sum;    /* pseudo header without length, TCP/UDP header without what changes */
	uint32_t seq;       /* TCP sequence number of the first segment */
	uint16_t ip_id;     /* IPv4 ID of the first segment */
	uint8_t flags;      /* TCP flags of the super-packet */
};

/*
 * Prepares to split. vnet is the virtio header as read (host-endian), ip/len the packet behind it,
 * info from pkt_parse(). Every field of vnet is checked against the packet: it is not trusted
 * (hdr_len is not even read). csum_start counts from the IP header. GSO types: none, TCPV4, TCPV6
 * (with or without ECN bit), UDP_L4. Returns DROP_NONE or DROP_BAD_OFFLOAD.
 */
enum drop gso_open(struct gso *g, const struct virtio_net_hdr *vnet, const uint8_t *ip,
		   uint32_t len, const struct pkt_info *info) warn_unused;
/* IP length of segment i (0 <= i < segs). */
static inline uint32_t gso_segment_len(const struct gso *g, uint32_t i)
{
	if (i + 1 < g->segs)
		return g->hdr_len + g->size;
	return g->len - i * g->size;
}
/*
 * Writes segment i as a complete packet to dst (room for gso_segment_len()): lengths, IPv4 ID,
 * header checksum, TCP sequence number and flags (FIN, PSH only on the last; CWR only on the first,
 * RFC 3168), UDP length, upper checksum. The payload is copied and summed in one pass. A plain
 * packet is copied, its checksum completed.
 */
void gso_segment(const struct gso *g, uint32_t i, uint8_t *dst);

/*
 * Joining. A gro_run collects consecutive packets of one flow; its iov can be written to TUN in one
 * writev(): iov[0] is the virtio header, iov[1] the first packet (its headers rewritten for the
 * whole at gro_close()), the rest payloads of the following ones, all left where they lie.
 */
#define GRO_MAX_SEGS 64
#define GRO_NONE 0   /* not joined: start another run */
#define GRO_JOINED 1 /* joined, more may follow */
#define GRO_LAST 2   /* joined, and nothing may follow (PSH, or a shorter last one) */

struct gro_run {
	struct virtio_net_hdr vnet;
	struct iovec iov[GRO_MAX_SEGS + 1];
	uint32_t n_iov;
	uint32_t segs;
	uint32_t len;       /* IP length of the whole */
	uint32_t size;      /* payload of the first segment */
	uint32_t hdr_len;
	uint32_t l4_off;
	uint32_t next_seq;  /* TCP */
	uint16_t next_id;   /* IPv4 ID expected */
	uint8_t proto;
	uint8_t ver;
	bool open;          /* more may be joined */
	bool csum_ok; /* the first packet's checksums were verified (when a second wants to join) */
	bool psh;           /* TCP: the last segment had PSH */
};

/* What the TUN device on the receiving end can take. */
#define GRO_TCP4 0x01
#define GRO_TCP6 0x02
#define GRO_UDP4 0x04
#define GRO_UDP6 0x08

/*
 * Starts a run with the packet ip[0..info->len) (writable: its headers are rewritten at close).
 * Joining is possible only for TCP data segments (ACK, at most PSH besides; no
 * URG/SYN/FIN/RST/CWR/ECE) and UDP, without IPv4 options (IPv6: no extension headers), not
 * fragments, with correct checksums (a UDP packet without one stays alone), of a kind in `can`. The
 * checksums are looked at only when a second packet wants to join.
 */
void gro_start(struct gro_run *r, uint8_t *ip, const struct pkt_info *info, unsigned can);
/*
 * Tries to add a packet. TCP: same addresses, ports, TOS/traffic class and flow label, TTL, DF,
 * ack, window, flags but PSH, identical options, next sequence number, payload not longer than the
 * first's. UDP: same tuple, payload equal to the first's (a shorter one is the last). The checksums
 * must be right; the total must stay <= 65535. IPv4 IDs must count up, unless DF is set (RFC
 * 6864 4.1). Returns GRO_NONE, GRO_JOINED or GRO_LAST.
 */
int gro_join(struct gro_run *r, uint8_t *ip, const struct pkt_info *info);
/*
 * Completes the virtio header and, for more than one segment, the headers of the first packet
 * (lengths, IPv4 checksum, pseudo-header checksum, PSH). r->iov[0..n_iov) is then ready for
 * writev(). A single packet is left as it came, with VIRTIO_NET_HDR_F_DATA_VALID if its checksum
 * was verified.
 */
void gro_close(struct gro_run *r);

#endif
