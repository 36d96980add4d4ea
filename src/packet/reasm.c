/*
 * A fragment's data goes to its place in the datagram's memory, its range among those that are
 * there. The first fragment's header goes right in front of the data, made into that of the whole
 * packet. When one range is left, from the start to the end, the packet is complete.
 */
#include "packet/reasm.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/fragtab.h"
#include "packet/pieces.h"

#define HEAD                                                                                       \
	1024u /* room for the header in front of the data; IPv6: what comes before the fragment    \
		 header */
#define DATA_MAX 65536u
#define ROOM (HEAD + DATA_MAX + REASM_TAIL)

struct range {
	uint32_t lo, hi;
};

struct reasm_entry {
	enum { FREE, WAITS, DEAD, DONE } state;
	uint8_t src[16], dst[16];
	uint64_t ns;      /* when it began */
	uint32_t id;
	uint8_t proto;    /* IPv4: part of the identity */
	uint8_t ver;
	bool ce;          /* some fragment had met congestion (RFC 3168 5.3) */
	uint32_t end;     /* bytes of the datagram; 0: not known yet */
	uint32_t head;    /* bytes of its header; 0: the first has not come */
	unsigned frags;
	unsigned n;
	struct range range[REASM_RANGES]; /* in order, with holes between them */
	struct pieces pieces;
};

int reasm_init(struct reasm *r)
{
	size_t mem = (size_t)REASM_DATAGRAMS * ROOM,
	       all = mem + REASM_DATAGRAMS * sizeof(struct reasm_entry);

	memset(r, 0, sizeof(*r));
	void *p = mmap(NULL, all, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	r->mem = p;
	r->entry = (struct reasm_entry *)(void *)(r->mem + mem);
	return 0;
}

void reasm_fini(struct reasm *r)
{
	if (r->mem)
		munmap(r->mem, (size_t)REASM_DATAGRAMS * ROOM +
				   REASM_DATAGRAMS * sizeof(struct reasm_entry));
	r->mem = NULL;
	r->entry = NULL;
}

static uint8_t *data_of(const struct reasm *r, const struct reasm_entry *e)
{
	return r->mem + (size_t)(e - r->entry) * ROOM + HEAD;
}

static void end_of(struct reasm *r, struct reasm_entry *e, int state)
{
	if (e->state == WAITS || e->state == DEAD)
		atomic_fetch_sub_explicit(&r->n, 1, memory_order_relaxed);
	if (e->state == DONE)
		r->n_done--;
	if (state == DONE)
		r->n_done++;
	e->state = state;
}

/* ---- which datagram
 * -------------------------------------------------------------------------------- */

static bool same(const struct reasm_entry *e, uint32_t id, const struct flow_key *k)
{
	return (e->state == WAITS || e->state == DEAD) && e->id == id && e->ver == k->ver &&
	       (k->ver == 6 || e->proto == k->proto) && memcmp(e->src, k->src, 16) == 0 &&
	       memcmp(e->dst, k->dst, 16) == 0;
}

static struct reasm_entry *find(const struct reasm *r, uint32_t id, const struct flow_key *k)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);

	for (unsigned i = 0; i < REASM_DATAGRAMS && n; i++)
		if (same(&r->entry[i], id, k))
			return &r->entry[i];
	return NULL;
}

bool reasm_knows(const struct reasm *r, const uint8_t *ip, const struct pkt_info *info)
{
	struct frag_place at;

	return atomic_load_explicit(&r->n, memory_order_relaxed) &&
	       frag_place(ip, info, &at) == DROP_NONE && find(r, at.id, &info->key);
}

/* A free place, or that of the oldest that is incomplete; NULL: all are complete, and in use. */
static struct reasm_entry *make(struct reasm *r, uint32_t id, const struct flow_key *k,
				uint64_t now_ns, unsigned *lost)
{
	struct reasm_entry *to = NULL;

	for (unsigned i = 0; i < REASM_DATAGRAMS; i++) {
		struct reasm_entry *e = &r->entry[i];
		if (e->state == FREE) {
			to = e;
			break;
		}
		if (e->state != DONE && (!to || e->ns < to->ns))
			to = e;
	}
	if (!to)
		return NULL;
	if (to->state != FREE) {
		*lost += to->frags;
		end_of(r, to, FREE);
	}
	*to = (struct reasm_entry){
		.state = WAITS, .ns = now_ns, .id = id, .proto = k->proto, .ver = k->ver
	};
	memcpy(to->src, k->src, 16);
	memcpy(to->dst, k->dst, 16);
	atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
	return to;
}

/* ---- its pieces
 * ------------------------------------------------------------------------------------ */

/* Is it one that is there already, to the byte? */
static bool repeats(const struct reasm_entry *e, const struct frag_place *at, const uint8_t *from,
		    const uint8_t *data)
{
	uint32_t hi = at->off + at->len;

	for (unsigned i = 0; i < e->n; i++)
		if (e->range[i].lo <= at->off && hi <= e->range[i].hi)
			return at->more == !(e->end && hi == e->end) &&
			       pieces_same(&e->pieces, at->off, hi, e->range[i].hi) &&
			       memcmp(data + at->off, from, at->len) == 0;
	return false;
}

/* Enters [lo, hi). DROP_NONE, or why the datagram is no good. */
static enum drop enter(struct reasm_entry *e, uint32_t lo, uint32_t hi)
{
	unsigned i = 0;

	while (i < e->n && e->range[i].hi < lo)
		i++;
	/* range[i], if there is one, ends at lo or behind it */
	bool joins = i < e->n && e->range[i].hi == lo;
	unsigned next = joins ? i + 1 : i;
	if (next < e->n && e->range[next].lo < hi)
		return DROP_FRAG_OVERLAP;
	bool closes = next < e->n && e->range[next].lo == hi;
	if (joins && closes) {
		e->range[i].hi = e->range[next].hi;
		memmove(&e->range[next], &e->range[next + 1],
			(--e->n - next) * sizeof(e->range[0]));
	} else if (joins) {
		e->range[i].hi = hi;
	} else if (closes) {
		e->range[next].lo = lo;
	} else if (e->n == REASM_RANGES) {
		return DROP_FRAG_FULL;
	} else {
		memmove(&e->range[i + 1], &e->range[i], (e->n++ - i) * sizeof(e->range[0]));
		e->range[i] = (struct range) { lo, hi };
	}
	pieces_begin(&e->pieces, lo);
	return DROP_NONE;
}

/* The header of the whole packet from its first fragment's; it lacks the length. 0: there is no
 * room for it. */
static uint32_t take_head(const uint8_t *ip, const struct pkt_info *info, uint8_t *data)
{
	uint32_t n = info->l4_off, next_at = 6, at = 40;

	if (info->key.ver == 4) {
		memcpy(data - n, ip, n);
		store_be16(data - n + 6, 0);
		return n;
	}
	/* frag_place() has been through these headers */
	for (uint8_t kind = ip[6]; kind != IPPROTO_FRAGMENT; kind = ip[next_at]) {
		next_at = at;
		at += (ip[at + 1] + 1u) * 8;
	}
	if (at > HEAD)
		return 0;
	memcpy(data - at, ip, at);
	data[(int)next_at - (int)at] = ip[at];
	return at;
}

/* The length and what follows from it; false: no packet is that long. */
static bool finish(struct reasm_entry *e, uint8_t *data)
{
	uint8_t *ip = data - e->head;
	uint32_t len = e->head + e->end;

	if (len - (e->ver == 6 ? 40u : 0u) > UINT16_MAX)
		return false;
	uint8_t tos = e->ver == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	if (e->ce && tos & ECN_MASK)
		ip_set_tos(ip, tos | ECN_MASK);
	store_be16(ip + (e->ver == 4 ? 2 : 4), (uint16_t)(e->ver == 4 ? len : len - 40));
	if (e->ver == 4)
		csum_ip4_set(ip);
	return true;
}

/* DROP_NONE, or why the datagram (or, with *again, this fragment alone) is no good. */
static enum drop add(struct reasm_entry *e, const uint8_t *ip, const struct pkt_info *info,
		     const struct frag_place *at, uint8_t *data, bool *again)
{
	uint32_t hi = at->off + at->len;
	const uint8_t *from = ip + info->len - at->len;

	if (e->state == DEAD)
		return DROP_FRAG_OVERLAP;
	*again = repeats(e, at, from, data);
	if (*again)
		return DROP_FRAG_OVERLAP;
	/* nothing lies behind the end, and there is one end */
	bool beyond = e->end ? hi > e->end || (!at->more && hi != e->end)
			     : !at->more && e->n && e->range[e->n - 1].hi > hi;
	enum drop d = beyond ? DROP_FRAG_OVERLAP : enter(e, at->off, hi);
	if (d != DROP_NONE)
		return d;
	if (!at->more)
		e->end = hi;
	if (at->off == 0 && !(e->head = take_head(ip, info, data)))
		return DROP_BAD_HEADER;
	e->ce |= (info->tos & ECN_MASK) == ECN_MASK;
	e->frags++;
	memcpy(data + at->off, from, at->len);
	return DROP_NONE;
}

enum reasm_do reasm_add(struct reasm *r, const uint8_t *ip, const struct pkt_info *info,
			uint64_t now_ns, uint8_t **packet, uint32_t *len, enum drop *why,
			unsigned *lost)
{
	struct frag_place at;
	bool again = false;

	*lost = 0;
	*why = frag_place(ip, info, &at);
	if (*why != DROP_NONE)
		return REASM_DROP;
	struct reasm_entry *e = find(r, at.id, &info->key);
	if (e && now_ns - e->ns > REASM_LIVE_NS) {
		*lost += e->frags;
		end_of(r, e, FREE);
		e = NULL;
	}
	if (!e)
		e = make(r, at.id, &info->key, now_ns, lost);
	if (!e) {
		*why = DROP_FRAG_FULL;
		return REASM_DROP;
	}
	uint8_t *data = data_of(r, e);
	*why = add(e, ip, info, &at, data, &again);
	if (*why != DROP_NONE) {
		if (!again)
			e->state = DEAD;
		return REASM_DROP;
	}
	if (!e->head || !e->end || e->n != 1 || e->range[0].lo != 0 || e->range[0].hi != e->end)
		return REASM_WAIT;
	if (!finish(e, data)) {
		e->state = DEAD;
		*why = DROP_BAD_HEADER;
		return REASM_DROP;
	}
	end_of(r, e, DONE);
	*packet = data - e->head;
	*len = e->head + e->end;
	return REASM_DONE;
}

void reasm_release(struct reasm *r)
{
	for (unsigned i = 0; i < REASM_DATAGRAMS && r->n_done; i++)
		if (r->entry[i].state == DONE)
			end_of(r, &r->entry[i], FREE);
}

unsigned reasm_sweep(struct reasm *r, uint64_t now_ns)
{
	unsigned lost = 0;

	for (unsigned i = 0;
	     i < REASM_DATAGRAMS && atomic_load_explicit(&r->n, memory_order_relaxed); i++) {
		struct reasm_entry *e = &r->entry[i];
		if ((e->state != WAITS && e->state != DEAD) || now_ns - e->ns <= REASM_LIVE_NS)
			continue;
		lost += e->frags;
		end_of(r, e, FREE);
	}
	return lost;
}
