/*
 * One look at an Ethernet frame: its header with VLAN tags, what kind of frame it is for a bridge's
 * rules, and where its IP packet lies.
 */
#ifndef PACKET_FRAME_H
#define PACKET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"

#define FRAME_MAC_LEN 6
#define FRAME_TAGS_MAX 2
#define FRAME_HEAD_MAX (2 * FRAME_MAC_LEN + FRAME_TAGS_MAX * 4 + 2)

/* FRAME_IP is what policies decide on. ND, DHCP and group membership are IP, too, but a network
 * does not work without them. */
enum frame_kind {
	FRAME_IP,
	FRAME_ARP,   /* 0x0806 */
	FRAME_ND,    /* ICMPv6 133 to 137 with hop limit 255 (RFC 4861) */
	FRAME_DHCP,  /* UDP 67 and 68, 546 and 547 (RFC 2131, RFC 8415) */
	FRAME_GROUP, /* IGMP; MLD: ICMPv6 130 to 132 and 143 (RFC 3376, RFC 3810) */
	FRAME_LLDP,  /* 0x88cc */
	FRAME_STP,   /* to 01:80:c2:00:00:00, LLC 42 42 03 */
	FRAME_EAPOL, /* 0x888e, 0x88c7 (IEEE 802.1X) */
	FRAME_OTHER, /* all the rest, also IP behind more than two tags or in LLC/SNAP */
	FRAME_KINDS
};

struct frame {
	uint8_t head[FRAME_HEAD_MAX]; /* destination, source, tags, EtherType: as on the wire */
	uint8_t head_len;
	uint8_t kind;   /* enum frame_kind */
	uint16_t off;   /* in p, of what follows the header */
	uint32_t len;   /* of it: for IP the packet's own length, without what pads the frame */
};

/*
 * Parses the frame in p[0..len), destination address first. tag: a tag that the system has taken
 * out, TPID << 16 | TCI; 0: none. It is the outermost, and in head again. An IP packet is looked at
 * only as far as the kind needs. Returns DROP_NONE, DROP_FRAME_SHORT, or of an IP packet
 * DROP_SHORT, DROP_NOT_IP or DROP_BAD_LENGTH. Never reads past len.
 */
enum drop frame_parse(const uint8_t *p, size_t len, uint32_t tag, struct frame *out) warn_unused;

static inline const uint8_t *frame_dst(const struct frame *f)
{
	return f->head;
}

static inline const uint8_t *frame_src(const struct frame *f)
{
	return f->head + FRAME_MAC_LEN;
}

/* Writes the same header with these addresses to out; returns its length, head_len. */
uint32_t frame_head(const struct frame *f, const uint8_t dst[FRAME_MAC_LEN],
		    const uint8_t src[FRAME_MAC_LEN], uint8_t out[FRAME_HEAD_MAX]);
/* Sets the EtherType of a header to the one of IPv4 or IPv6. */
void frame_set_ip(uint8_t *head, uint32_t head_len, int ver);

#endif
