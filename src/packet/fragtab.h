/*
 * Fragments of inner packets, where policies name ports (RFC 4301 7.3): only the first fragment of
 * a datagram has them, so that what it said is remembered for the others. Nothing is put together:
 * fragments go on as fragments, with the ports of the first in their key. Later fragments that come
 * before their first wait for it.
 *
 * Everything is bounded: FRAG_DATAGRAMS at a time, each for FRAG_LIVE_NS; FRAG_KEPT fragments and
 * FRAG_KEPT_BYTES that wait, each for FRAG_WAIT_NS. One table belongs to one worker and one
 * direction. No allocation after the start.
 */
#ifndef PACKET_FRAGTAB_H
#define PACKET_FRAGTAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "packet/parse.h"

#define FRAG_DATAGRAMS 1024u /* of which an incomplete one may be pushed out by newer ones */
#define FRAG_RANGES 8u       /* pieces between holes */
#define FRAG_LIVE_NS (30ull * 1000000000)
#define FRAG_AGAIN_NS                                                                              \
	(1ull * 1000000000) /* after this another first fragment with the same ID starts another   \
			       datagram */
#define FRAG_KEPT 64u
#define FRAG_KEPT_BYTES (128u * 1024)
#define FRAG_WAIT_NS (2ull * 1000000000)
#define FRAG_NOTE 64u        /* bytes that the caller keeps with a fragment */

/* Where a fragment belongs. */
struct frag_place {
	uint32_t id;   /* host byte order; IPv4: 16 bits */
	uint32_t off;  /* of its data in the datagram, bytes */
	uint32_t len;  /* of its data */
	bool more;     /* others follow behind it */
};
/* Reads it from the fragment at ip, as pkt_parse() has found it. DROP_NONE; DROP_BAD_HEADER when it
 * is none, is empty, is not a multiple of 8 bytes though more follow, or ends beyond what a
 * datagram can hold. */
enum drop frag_place(const uint8_t *ip, const struct pkt_info *info,
		     struct frag_place *out) warn_unused;

/* A fragment that waits for its first. */
struct frag_kept {
	struct flow_key key; /* opaque */
	uint64_t ns;         /* when it came */
	uint32_t id, tag;
	uint32_t off, len;   /* in the table's memory */
	bool ready;          /* the first has come */
	uint8_t note[FRAG_NOTE];
};

struct frag_entry;
struct fragtab {
	struct frag_entry *entry;
	uint8_t *mem;           /* FRAG_KEPT_BYTES */
	struct frag_kept *kept; /* in the order they came */
	_Atomic unsigned n_kept; /* read by other threads */
	unsigned n_ready;
	uint32_t used;
	uint64_t seed;
};

/* Reserves the memory. 0 or -ENOMEM. fragtab_fini() also after a failure. */
int fragtab_init(struct fragtab *t, uint64_t seed) warn_unused;
void fragtab_fini(struct fragtab *t);

enum frag_do {
	FRAG_GO,   /* info->key is complete: it has the ports (and the protocol) of the first
		      fragment, and FLOW_LATER if it is not the first */
	FRAG_WAIT, /* the first is not known: fragtab_keep(), or drop it */
	FRAG_DROP, /* *why: DROP_FRAG_OVERLAP, DROP_FRAG_FULL, DROP_BAD_HEADER */
};
/*
 * Takes note of the fragment at ip. tag tells apart what must not be mixed: fragments of one
 * datagram come with one tag. A fragment that overlaps others is dropped, also when it brings
 * nothing new, and with it the rest of its datagram (RFC 5722 4, RFC 8200 4.5, RFC 1858); one with
 * the place and length of one that came before is dropped alone. The first fragment makes those
 * that wait for it ready.
 */
enum frag_do fragtab_see(struct fragtab *t, const uint8_t *ip, struct pkt_info *info, uint32_t tag,
			 uint64_t now_ns, enum drop *why) warn_unused;
/* Keeps a copy of the packet, and note[0..FRAG_NOTE) with it. DROP_NONE or DROP_FRAG_FULL. */
enum drop fragtab_keep(struct fragtab *t, const uint8_t *ip, const struct pkt_info *info,
		       uint32_t tag, const void *note, uint64_t now_ns) warn_unused;
/* Kept fragments, i < n_kept, and their packets. */
static inline const uint8_t *fragtab_packet(const struct fragtab *t, const struct frag_kept *k)
{
	return t->mem + k->off;
}
/* Forgets the kept fragments that are ready (they have been taken), and those that have waited too
 * long. Returns how many of the latter. */
unsigned fragtab_sweep(struct fragtab *t, uint64_t now_ns) warn_unused;

#endif
