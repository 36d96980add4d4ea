/*
 * A fragment comes in, what is known of its datagram is looked up: four places in a row, by a keyed
 * hash of addresses, ID and tag. An entry is made by the first fragment and given up when the
 * datagram is complete, or old, or when four younger ones want its places.
 */
#include "packet/fragtab.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include "packet/pieces.h"

#define WAYS 4u
#define DATAGRAM_MAX 65535u

struct range {
	uint32_t lo, hi;
};

struct frag_entry {
	uint8_t src[16], dst[16];
	uint64_t word;  /* end of the first fragment's key: ports, protocol, version, flags */
	uint64_t ns;    /* when it began; 0: free */
	uint32_t id, tag;
	uint32_t end;   /* bytes of the datagram; 0: not known yet */
	uint8_t proto;  /* IPv4: part of the identity */
	uint8_t ver;
	bool dead;      /* had an overlap */
	uint8_t n;
	struct range range[FRAG_RANGES];
	struct pieces pieces;
};

/* ---- reading
 * --------------------------------------------------------------------------------------- */

/* Where the fragment header of an IPv6 packet is; 0: nowhere. The chain is known to be well-formed.
 */
static uint32_t find_header6(const uint8_t *ip, const struct pkt_info *info)
{
	uint8_t nh = ip[6];
	uint32_t at = 40;

	while (at + 8 <= info->l4_off) {
		if (nh == IPPROTO_FRAGMENT)
			return at;
		nh = ip[at];
		at += (ip[at + 1] + 1u) * 8;
	}
	return 0;
}

enum drop frag_place(const uint8_t *ip, const struct pkt_info *info, struct frag_place *out)
{
	if (info->key.ver == 4) {
		uint32_t f = load_be16(ip + 6);
		out->id = load_be16(ip + 4);
		out->off = (f & 0x1fff) * 8;
		out->more = f & 0x2000;
		out->len = info->len - info->l4_off;
	} else {
		uint32_t at = find_header6(ip, info);
		if (at == 0)
			return DROP_BAD_HEADER;
		uint32_t f = load_be16(ip + at + 2);
		out->id = load_be32(ip + at + 4);
		out->off = f & 0xfff8;
		out->more = f & 1;
		out->len = info->len - at - 8;
	}
	if (out->len == 0 || (out->more && out->len % 8) || out->off + out->len > DATAGRAM_MAX)
		return DROP_BAD_HEADER;
	return DROP_NONE;
}

/* ---- what is known
 * --------------------------------------------------------------------------------- */

static uint64_t word_of(const struct flow_key *k)
{
	uint64_t w;
	memcpy(&w, &k->sport, sizeof(w));
	return w;
}

/* The key that tells datagrams apart; the protocol does so for IPv4 alone (RFC 791 3.2, RFC
 * 8200 4.5). */
static struct flow_key identity(const struct flow_key *k, uint32_t id, uint32_t tag)
{
	struct flow_key r = *k;

	r.sport = (uint16_t)(id >> 16);
	r.dport = (uint16_t)id;
	r.proto = k->ver == 4 ? k->proto : 0;
	r.flags = (uint8_t)(tag ^ tag >> 8 ^ tag >> 16 ^ tag >> 24);
	return r;
}

static bool is_of(const struct frag_entry *e, const struct flow_key *k, uint32_t id, uint32_t tag)
{
	return e->id == id && e->tag == tag && e->ver == k->ver &&
	       (k->ver == 6 || e->proto == k->proto) && memcmp(e->src, k->src, 16) == 0 &&
	       memcmp(e->dst, k->dst, 16) == 0;
}

static struct frag_entry *set_of(struct fragtab *t, const struct flow_key *k, uint32_t id,
				 uint32_t tag)
{
	struct flow_key who = identity(k, id, tag);

	return &t->entry[(flow_key_hash(&who, t->seed) & (FRAG_DATAGRAMS - 1)) &
			 ~(uint64_t)(WAYS - 1)];
}

static struct frag_entry *find(struct frag_entry *set, const struct flow_key *k, uint32_t id,
			       uint32_t tag, uint64_t now)
{
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].ns && now - set[i].ns < FRAG_LIVE_NS && is_of(&set[i], k, id, tag))
			return &set[i];
	return NULL;
}

static struct frag_entry *make(struct frag_entry *set, const struct flow_key *k, uint32_t id,
			       uint32_t tag, uint64_t now)
{
	struct frag_entry *e = &set[0];

	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].ns < e->ns)
			e = &set[i];
	*e = (struct frag_entry){ .id = id,
				  .tag = tag,
				  .proto = k->proto,
				  .ver = k->ver,
				  .ns = now ? now : 1,
				  .word = word_of(k) };
	memcpy(e->src, k->src, 16);
	memcpy(e->dst, k->dst, 16);
	return e;
}

/* Is it where one is that came before, and no other? What that one held is not kept: it has gone
 * on, this one does not. */
static bool repeats(const struct frag_entry *e, const struct frag_place *p)
{
	uint32_t hi = p->off + p->len;

	for (unsigned i = 0; i < e->n; i++)
		if (e->range[i].lo <= p->off && hi <= e->range[i].hi)
			return p->more == !(e->end && hi == e->end) &&
			       pieces_same(&e->pieces, p->off, hi, e->range[i].hi);
	return false;
}

/* Enters [lo, hi); false when it overlaps, which ends the datagram, or when there are too many
 * pieces. */
static bool enter(struct frag_entry *e, uint32_t lo, uint32_t hi, enum drop *why)
{
	int before = -1, behind = -1;

	for (unsigned i = 0; i < e->n; i++) {
		const struct range *r = &e->range[i];
		if (lo < r->hi && r->lo < hi) {
			*why = DROP_FRAG_OVERLAP;
			e->dead = true;
			return false;
		}
		if (r->hi == lo)
			before = (int)i;
		if (r->lo == hi)
			behind = (int)i;
	}
	if (before >= 0 && behind >= 0) {
		e->range[before].hi = e->range[behind].hi;
		e->range[behind] = e->range[--e->n];
	} else if (before >= 0) {
		e->range[before].hi = hi;
	} else if (behind >= 0) {
		e->range[behind].lo = lo;
	} else if (e->n < FRAG_RANGES) {
		e->range[e->n++] = (struct range) { lo, hi };
	} else {
		*why = DROP_FRAG_FULL;
		return false;
	}
	pieces_begin(&e->pieces, lo);
	return true;
}

/* Does it fit with where the datagram is known to end? */
static bool end_agrees(struct frag_entry *e, const struct frag_place *p)
{
	uint32_t hi = p->off + p->len;

	if (e->end)
		return p->more ? hi < e->end : hi == e->end;
	if (p->more)
		return true;
	for (unsigned i = 0; i < e->n; i++)
		if (e->range[i].hi > hi)
			return false;
	e->end = hi;
	return true;
}

static void make_ready(struct fragtab *t, const struct flow_key *k, uint32_t id, uint32_t tag)
{
	unsigned n = atomic_load_explicit(&t->n_kept, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++) {
		struct frag_kept *f = &t->kept[i];
		if (!f->ready && f->id == id && f->tag == tag && f->key.ver == k->ver &&
		    (k->ver == 6 || f->key.proto == k->proto) &&
		    memcmp(f->key.src, k->src, 16) == 0 && memcmp(f->key.dst, k->dst, 16) == 0) {
			f->ready = true;
			t->n_ready++;
		}
	}
}

enum frag_do fragtab_see(struct fragtab *t, const uint8_t *ip, struct pkt_info *info, uint32_t tag,
			 uint64_t now, enum drop *why)
{
	struct flow_key *k = &info->key;
	struct frag_place p;

	*why = frag_place(ip, info, &p);
	if (*why != DROP_NONE)
		return FRAG_DROP;
	bool first = !(info->flags & PKT_FRAG_LATER);
	struct frag_entry *set = set_of(t, k, p.id, tag), *e = find(set, k, p.id, tag, now);
	if (first && (!e || now - e->ns >= FRAG_AGAIN_NS)) {
		if (e)
			e->ns = 0;
		e = make(set, k, p.id, tag, now);
		make_ready(t, k, p.id, tag);
	}
	if (!e)
		return FRAG_WAIT;
	bool again = repeats(e, &p);
	if (again || e->dead || !end_agrees(e, &p)) {
		e->dead |= !again;
		*why = DROP_FRAG_OVERLAP;
		return FRAG_DROP;
	}
	if (!enter(e, p.off, p.off + p.len, why))
		return FRAG_DROP;
	if (!first) {
		memcpy(&k->sport, &e->word, sizeof(e->word));
		k->flags |= FLOW_LATER;
	}
	if (e->end && e->n == 1 && e->range[0].lo == 0 && e->range[0].hi == e->end)
		e->ns = 0; /* complete: its ID may come again at once */
	return FRAG_GO;
}

/* ---- those that wait
 * ------------------------------------------------------------------------------- */

enum drop fragtab_keep(struct fragtab *t, const uint8_t *ip, const struct pkt_info *info,
		       uint32_t tag, const void *note, uint64_t now)
{
	unsigned n = atomic_load_explicit(&t->n_kept, memory_order_relaxed);
	struct frag_place p;
	enum drop d = frag_place(ip, info, &p);

	if (d != DROP_NONE)
		return d;
	if (n == FRAG_KEPT || info->len > FRAG_KEPT_BYTES - t->used)
		return DROP_FRAG_FULL;
	struct frag_kept *k = &t->kept[n];
	*k = (struct frag_kept){ .key = info->key,
				 .ns = now,
				 .id = p.id,
				 .tag = tag,
				 .off = t->used,
				 .len = info->len };
	if (note)
		memcpy(k->note, note, FRAG_NOTE);
	memcpy(t->mem + t->used, ip, info->len);
	t->used += info->len;
	atomic_store_explicit(&t->n_kept, n + 1, memory_order_relaxed);
	return DROP_NONE;
}

unsigned fragtab_sweep(struct fragtab *t, uint64_t now)
{
	unsigned n = atomic_load_explicit(&t->n_kept, memory_order_relaxed), stay = 0, late = 0;
	uint32_t used = 0;

	for (unsigned i = 0; i < n; i++) {
		struct frag_kept *k = &t->kept[i];
		if (k->ready)
			continue;
		if (now - k->ns >= FRAG_WAIT_NS) {
			late++;
			continue;
		}
		memmove(t->mem + used, t->mem + k->off, k->len);
		if (stay != i)
			t->kept[stay] = *k;
		t->kept[stay++].off = used;
		used += k->len;
	}
	t->used = used;
	t->n_ready = 0;
	atomic_store_explicit(&t->n_kept, stay, memory_order_relaxed);
	return late;
}

/* ---- making
 * ---------------------------------------------------------------------------------------- */

#define ENTRY_BYTES (FRAG_DATAGRAMS * sizeof(struct frag_entry))
#define KEPT_BYTES (FRAG_KEPT * sizeof(struct frag_kept))

/* Pages are the system's until they are used: who sees no fragments has none. */
static void *map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int fragtab_init(struct fragtab *t, uint64_t seed)
{
	*t = (struct fragtab) { .seed = seed };
	t->entry = map(ENTRY_BYTES);
	t->kept = map(KEPT_BYTES);
	t->mem = map(FRAG_KEPT_BYTES);
	return t->entry && t->kept && t->mem ? 0 : -ENOMEM;
}

void fragtab_fini(struct fragtab *t)
{
	if (t->entry)
		munmap(t->entry, ENTRY_BYTES);
	if (t->kept)
		munmap(t->kept, KEPT_BYTES);
	if (t->mem)
		munmap(t->mem, FRAG_KEPT_BYTES);
	*t = (struct fragtab) { .seed = 0 };
}
