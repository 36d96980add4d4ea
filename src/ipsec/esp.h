/*
 * ESP packets (RFC 4303; RFC 2406 is the same on the wire for the transforms both know): how one is
 * laid out, made ready for the cipher, and taken apart after it. No crypto happens here: both
 * directions fill a struct crypt_op, and the plane runs the ops of a whole batch at once.
 *
 *   SPI (4) | sequence number (4) | IV | inner packet | padding | pad length (1) | next header (1)
 * | ICV
 *   '--------- authenticated -------'------------------ encrypted -------------------------------'
 */
#ifndef IPSEC_ESP_H
#define IPSEC_ESP_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "crypto/crypt.h"
#include "ipsec/sa.h"

#define ESP_HDR_LEN 8
#define ESP_TRAILER_LEN 2
#define ESP_NH_DUMMY 59 /* "no next header": a dummy packet, RFC 4303 2.6 */
/* What esp_finish_text() may write behind an inner packet: padding up to the largest alignment, and
 * the trailer. */
#define ESP_TAIL_MAX (16 + ESP_TRAILER_LEN)

/* Bytes of text (inner packet, padding, trailer) for an inner packet of len bytes. */
static inline uint32_t esp_text_len(const struct sa *sa, uint32_t len)
{
	uint32_t a = sa->align;
	return (len + ESP_TRAILER_LEN + a - 1) & ~(a - 1);
}

/* Bytes on the wire from the ESP header to the end of the ICV, for an inner packet of len bytes. */
static inline uint32_t esp_wire_len(const struct sa *sa, uint32_t len)
{
	return ESP_HDR_LEN + sa->iv_len + esp_text_len(sa, len) + sa->icv_len;
}

/* Offset of the inner packet from the ESP header. */
static inline uint32_t esp_text_off(const struct sa *sa)
{
	return ESP_HDR_LEN + sa->iv_len;
}

/*
 * Completes the text: writes padding 1, 2, 3, ... (RFC 4303 2.4), pad length and next header behind
 * the inner packet text[0..len); there must be room for ESP_TAIL_MAX bytes. Returns the length of
 * the whole text.
 */
static inline uint32_t esp_finish_text(const struct sa *sa, uint8_t *text, uint32_t len,
				       uint8_t next_header)
{
	uint32_t total = esp_text_len(sa, len);
	uint32_t pad = total - len - ESP_TRAILER_LEN;

	for (uint32_t i = 0; i < pad; i++)
		text[len + i] = (uint8_t)(i + 1);
	text[len + pad] = (uint8_t)pad;
	text[len + pad + 1] = next_header;
	return total;
}

/*
 * Writes the ESP header at esp and fills the op. text is where the finished text of text_len bytes
 * lies: esp + esp_text_off() for encryption in place, or anywhere disjoint.
 */
static inline void esp_seal_op(const struct sa *sa, uint64_t seq, uint8_t *esp, const uint8_t *text,
			       uint32_t text_len, struct crypt_op *op)
{
	store_be32(esp, sa->spi);
	store_be32(esp + 4, (uint32_t)seq);
	op->key = &sa->key;
	op->esp = esp;
	op->src = text;
	op->dst = esp + esp_text_off(sa);
	op->len = text_len;
	op->seq_hi = (uint32_t)(seq >> 32);
	op->iv = sa->iv_base + seq;
	op->ok = false;
}

/*
 * The checks that need no key, for the ESP packet at esp[0..len): lengths (RFC 4303 3.4.4), replay
 * (3.4.3). Fills the op for decryption in place. Changes nothing of the SA. Returns DROP_NONE with
 * *seq the full sequence number, DROP_SHORT, DROP_ESP_FORMAT or DROP_REPLAY.
 */
enum drop esp_open_op(const struct sa *sa, uint8_t *esp, uint32_t len, uint64_t *seq,
		      struct crypt_op *op) warn_unused;

/* The decrypted text taken apart. */
struct esp_text {
	uint32_t len;        /* bytes before the padding: inner packet and TFC padding */
	uint8_t next_header;
};

/* Reads trailer and padding of the authenticated text[0..len) (RFC 4303 2.4, 3.4.4.1). DROP_NONE or
 * DROP_ESP_PADDING. */
enum drop esp_open_text(const uint8_t *text, uint32_t len, struct esp_text *out) warn_unused;

#endif
