/*
 * Datagrams put together again from their fragments (RFC 791 3.2, RFC 8200 4.5), for where only
 * whole packets will do: transport mode (RFC 4303 3.1.1, 3.4.1). A fragment is copied in; with the
 * last one missing the packet is there, as if it had never been cut.
 *
 * Everything is bounded: REASM_DATAGRAMS at a time, each in REASM_RANGES pieces, for REASM_LIVE_NS;
 * the oldest incomplete one makes room for a new one. A fragment that overlaps others ends its
 * datagram, also when it brings nothing new, and what still comes of it is dropped as well (RFC
 * 5722 4, RFC 8200 4.5); one that repeats another to the byte is dropped alone. One table belongs
 * to one worker and one direction. No allocation after the start.
 */
#ifndef PACKET_REASM_H
#define PACKET_REASM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "packet/parse.h"

#define REASM_DATAGRAMS 128u
#define REASM_RANGES 32u
#define REASM_LIVE_NS (15ull * 1000000000)
#define REASM_TAIL 512u /* bytes behind a packet that are the caller's to write */

struct reasm_entry;
struct reasm {
	struct reasm_entry *entry;
	uint8_t *mem;
	_Atomic unsigned n; /* datagrams that are not complete; read by other threads */
	unsigned n_done;
};

/* Reserves the memory, which is touched as it is used. 0 or -ENOMEM. reasm_fini() also after a
 * failure. */
int reasm_init(struct reasm *r) warn_unused;
void reasm_fini(struct reasm *r);

/* Has a fragment of the same datagram been added? */
bool reasm_knows(const struct reasm *r, const uint8_t *ip, const struct pkt_info *info);

enum reasm_do {
	REASM_WAIT, /* it was copied: others are missing */
	REASM_DONE, /* *packet and *len are the packet, writable, until reasm_release() */
	REASM_DROP, /* *why: DROP_FRAG_OVERLAP, DROP_FRAG_FULL, DROP_BAD_HEADER */
};
/* Adds the fragment at ip, as pkt_parse() has found it. *lost: fragments of another datagram that
 * had to make room. */
enum reasm_do reasm_add(struct reasm *r, const uint8_t *ip, const struct pkt_info *info,
			uint64_t now_ns, uint8_t **packet, uint32_t *len, enum drop *why,
			unsigned *lost) warn_unused;
/* Forgets the packets that were complete. */
void reasm_release(struct reasm *r);
/* Forgets what has waited too long; how many fragments that were. */
unsigned reasm_sweep(struct reasm *r, uint64_t now_ns) warn_unused;

#endif
