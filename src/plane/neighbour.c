/* A hash table of five-word entries, each behind a counter that is odd while somebody writes. */
#include "plane/neighbour.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"
#include "packet/csum.h"

#define PROBES 4u
#define TAGS_LEN (FRAME_TAGS_MAX * 4)

/* What an entry holds, as it is copied in and out. */
union entry {
	struct {
		uint8_t addr[16];
		uint8_t mac[FRAME_MAC_LEN], via[FRAME_MAC_LEN];
		uint8_t tags[TAGS_LEN];
		uint8_t ver, tags_len, zero[2];
	} e;
	uint64_t w[5];
};
_Static_assert(sizeof(union entry) == 40, "five words");

struct slot {
	_Atomic uint32_t seq;
	_Atomic uint64_t w[5];
};

struct neighbours {
	uint64_t seed;
	struct slot slot[NEIGHBOURS_MAX];
};

struct neighbours *neighbours_new(void)
{
	struct neighbours *n = calloc(1, sizeof(*n));

	if (n)
		n->seed = random_u64() | 1;
	return n;
}

void neighbours_free(struct neighbours **n)
{
	free(*n);
	*n = NULL;
}

static unsigned place(const struct neighbours *n, const uint8_t addr[16])
{
	uint64_t a, b;

	memcpy(&a, addr, 8);
	memcpy(&b, addr + 8, 8);
	a = (a ^ b * 0x9e3779b97f4a7c15u ^ n->seed) * 0xff51afd7ed558ccdu;
	return (unsigned)(a >> 40) % NEIGHBOURS_MAX;
}

static bool slot_read(const struct slot *s, union entry *out)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);

	for (unsigned i = 0; i < ARRAY_LEN(out->w); i++)
		out->w[i] = atomic_load_explicit(&s->w[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return !(seq & 1) && atomic_load_explicit(&s->seq, memory_order_relaxed) == seq;
}

/* Somebody else who writes just now has something as new. */
static void slot_write(struct slot *s, const union entry *e)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

	if (seq & 1 || !atomic_compare_exchange_strong_explicit(
			   &s->seq, &seq, seq + 1, memory_order_acquire, memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 0; i < ARRAY_LEN(e->w); i++)
		atomic_store_explicit(&s->w[i], e->w[i], memory_order_relaxed);
	atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

static bool same_addr(const union entry *a, const union entry *b)
{
	return a->e.ver == b->e.ver && memcmp(a->e.addr, b->e.addr, 16) == 0;
}

static void enter(struct neighbours *n, union entry *e)
{
	static const uint8_t nobody[FRAME_MAC_LEN];
	unsigned at = place(n, e->e.addr);
	struct slot *to = NULL;
	union entry was;

	for (unsigned i = 0; i < PROBES; i++) {
		struct slot *s = &n->slot[(at + i) % NEIGHBOURS_MAX];
		if (!slot_read(s, &was))
			continue;
		if (same_addr(&was, e)) {
			if (memcmp(e->e.via, nobody, sizeof(nobody)) == 0)
				memcpy(e->e.via, was.e.via, sizeof(nobody));
			if (memcmp(&was, e, sizeof(was)) != 0)
				slot_write(s, e);
			return;
		}
		if (was.e.ver == 0 && !to)
			to = s;
	}
	slot_write(to ? to : &n->slot[at], e);
}

/* An address that one host can have. */
static bool unicast(const union entry *e)
{
	static const uint8_t none[16];

	if (memcmp(e->e.addr, none, 16) == 0)
		return false;
	return e->e.ver == 4 ? e->e.addr[0] < 224 && e->e.addr[0] != 127 : e->e.addr[0] != 0xff;
}

void neighbours_learn(struct neighbours *n, const struct frame *f, const uint8_t *p, uint32_t len)
{
	static const uint8_t ether_ip4[6] = { 0, 1, 8, 0, 6, 4 };
	union entry e = { .w = { 0 } };

	if (frame_src(f)[0] & 1)
		return;
	if (f->kind == FRAME_ARP) {
		if (len < 28 || memcmp(p, ether_ip4, sizeof(ether_ip4)) != 0)
			return;
		e.e.ver = 4;
		memcpy(e.e.addr, p + 14, 4);
	} else if (f->kind > FRAME_GROUP) {
		return;
	} else if (len >= 20 && p[0] >> 4 == 4) {
		e.e.ver = 4;
		memcpy(e.e.addr, p + 12, 4);
	} else if (len >= 40 && p[0] >> 4 == 6) {
		e.e.ver = 6;
		memcpy(e.e.addr, p + 8, 16);
	}
	if (!unicast(&e))
		return;
	memcpy(e.e.mac, frame_src(f), FRAME_MAC_LEN);
	if (!(frame_dst(f)[0] & 1))
		memcpy(e.e.via, frame_dst(f), FRAME_MAC_LEN);
	e.e.tags_len = (uint8_t)(f->head_len - 2 * FRAME_MAC_LEN - 2);
	memcpy(e.e.tags, f->head + 2 * FRAME_MAC_LEN, e.e.tags_len);
	enter(n, &e);
}

void neighbours_learn_way(struct neighbours *n, const struct frame *f, const uint8_t *p,
			  uint32_t len)
{
	union entry e = { .w = { 0 } };

	if ((frame_src(f)[0] | frame_dst(f)[0]) & 1)
		return;
	if (len >= 20 && p[0] >> 4 == 4) {
		e.e.ver = 4;
		memcpy(e.e.addr, p + 16, 4);
	} else if (len >= 40 && p[0] >> 4 == 6) {
		e.e.ver = 6;
		memcpy(e.e.addr, p + 24, 16);
	}
	if (e.e.ver == 0 || !unicast(&e))
		return;
	memcpy(e.e.mac, frame_dst(f), FRAME_MAC_LEN);
	memcpy(e.e.via, frame_src(f), FRAME_MAC_LEN);
	e.e.tags_len = (uint8_t)(f->head_len - 2 * FRAME_MAC_LEN - 2);
	memcpy(e.e.tags, f->head + 2 * FRAME_MAC_LEN, e.e.tags_len);
	enter(n, &e);
}

bool neighbours_find(const struct neighbours *n, const struct ip_addr *addr, struct frame *out)
{
	union entry want = { .e.ver = addr->ver }, e;
	uint8_t *head = out->head;

	memcpy(want.e.addr, addr->b, ip_addr_bytes(addr));
	unsigned at = place(n, want.e.addr);
	for (unsigned i = 0; i < PROBES; i++) {
		if (!slot_read(&n->slot[(at + i) % NEIGHBOURS_MAX], &e) || !same_addr(&e, &want))
			continue;
		memset(out, 0, sizeof(*out));
		memcpy(head, e.e.mac, FRAME_MAC_LEN);
		memcpy(head + FRAME_MAC_LEN, e.e.via, FRAME_MAC_LEN);
		memcpy(head + 2 * FRAME_MAC_LEN, e.e.tags, e.e.tags_len);
		out->head_len = (uint8_t)(2 * FRAME_MAC_LEN + e.e.tags_len + 2);
		frame_set_ip(head, out->head_len, addr->ver);
		return true;
	}
	return false;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static uint32_t ask4(const uint8_t addr[4], const uint8_t mac[FRAME_MAC_LEN], uint8_t *out)
{
	static const uint8_t request[] = { 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(out, 0, 60);
	memset(out, 0xff, 6);
	memcpy(out + 6, mac, 6);
	memcpy(out + 12, request, sizeof(request));
	memcpy(out + 22, mac, 6);
	memcpy(out + 38, addr, 4);
	return 60;
}

static uint32_t ask6(const uint8_t addr[16], const uint8_t mac[FRAME_MAC_LEN], uint8_t *out)
{
	static const uint8_t group[13] = {
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff
	}; /* solicited nodes */
	uint8_t *ip = out + 14, *icmp = ip + 40;

	memset(out, 0, 14 + 64);
	store_be16(out, 0x3333);
	out[2] = 0xff;
	memcpy(out + 3, addr + 13, 3);
	memcpy(out + 6, mac, 6);
	frame_set_ip(out, 14, 6);
	ip[0] = 0x60;
	store_be16(ip + 4, 24);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 24, group, sizeof(group));
	memcpy(ip + 37, addr + 13, 3);
	icmp[0] = 135;
	memcpy(icmp + 8, addr, 16);
	csum_l4_set(ip, 40, 64, IPPROTO_ICMPV6);
	return 14 + 64;
}

uint32_t neighbour_ask(const struct ip_addr *addr, const uint8_t mac[FRAME_MAC_LEN],
		       uint8_t out[NEIGHBOUR_ASK_MAX])
{
	return addr->ver == 4 ? ask4(addr->b, mac, out) : ask6(addr->b, mac, out);
}

uint32_t neighbour_ask_from(const struct ip_addr *addr, const struct ip_addr *from,
			    const uint8_t mac[FRAME_MAC_LEN], uint8_t out[NEIGHBOUR_ASK_MAX])
{
	uint32_t len = neighbour_ask(addr, mac, out);
	uint8_t *ip = out + 14, *option = out + len;

	if (addr->ver == 4) {
		memcpy(out + 28, from->b, 4);
		return len;
	}
	memcpy(ip + 8, from->b, 16);
	store_be16(ip + 4, 32);
	option[0] = 1; /* source link-layer address */
	option[1] = 1;
	memcpy(option + 2, mac, FRAME_MAC_LEN);
	store_be16(ip + 42, 0);
	csum_l4_set(ip, 40, 72, IPPROTO_ICMPV6);
	return len + 8;
}
