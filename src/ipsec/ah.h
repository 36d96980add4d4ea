/*
 * AH packets (RFC 4302; RFC 2402 without extended sequence numbers is the same on the wire): how
 * one is laid out, and what of a packet its ICV covers. No crypto happens here.
 *
 *   IP header and what goes with it | next header (1) | length (1) | 0 (2) | SPI (4) | sequence
 * number (4) | IV, ICV, padding | payload
 *   '-- authenticated but for what changes on the way --'-------------- authenticated, the ICV as
 * zeros ------------------------'
 */
#ifndef IPSEC_AH_H
#define IPSEC_AH_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "ipsec/sa.h"

#define AH_FIXED 12u
/* The longest: HMAC-SHA2-512-256 in IPv6. */
#define AH_MAX 48u

/* Bytes of the whole AH header: a multiple of 4, in IPv6 of 8 (RFC 4302 2.2, 2.6). */
static inline uint32_t ah_len(const struct sa *sa, int ver)
{
	uint32_t n = AH_FIXED + sa->iv_len + sa->icv_len;
	return ver == 4 ? n : (n + 7) & ~7u;
}

/* Writes the header, with zeros for the ICV; iv is written where the algorithm has one. */
void ah_write(const struct sa *sa, int ver, uint8_t next, uint64_t seq, uint64_t iv, uint8_t *ah);

/* What a received header says. */
struct ah_view {
	uint32_t spi, seq_lo;
	uint32_t len; /* of the header, as it says */
	uint8_t next;
};

/* Reads the header at p[0..left). False when it does not fit in. */
bool ah_read(const uint8_t *p, uint32_t left, struct ah_view *v) warn_unused;

/*
 * What the ICV of the packet ip[0..len) covers, into out, which has room for AH_COVER_MAX(len)
 * bytes: a copy in which is zero what changes on the way (RFC 4302 3.3.3.1 and appendix A), and the
 * ICV; addresses as they are at the receiver; behind it with esn the high half of the sequence
 * number. ah_at: offset of the AH header, whose length field is right. Returns the bytes, 0 for
 * headers that cannot be covered (malformed, or a routing header of unknown type).
 */
#define AH_COVER_MAX(len) ((len) + 4u)
uint32_t ah_cover(const struct sa *sa, const uint8_t *ip, uint32_t len, uint32_t ah_at,
		  uint64_t seq, uint8_t *out);

#endif
