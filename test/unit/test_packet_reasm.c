/* Datagrams put together again: any order, repeated, overlapping, too late, too many; IPv4 and IPv6, with options. */
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "packet/csum.h"
#include "packet/frag.h"
#include "packet/reasm.h"
#include "pkt.h"

#define MTU 576
#define FRAGS 64

static struct reasm r;
static uint8_t packet[65600], frag[FRAGS][MTU];
static uint32_t packet_len, frag_len[FRAGS];
static unsigned n_frag;
static uint8_t *got;
static uint32_t got_len;
static enum drop why;
static unsigned lost;

static void setup(void)
{
	ck_assert_int_eq(reasm_init(&r), 0);
}

static void teardown(void)
{
	reasm_fini(&r);
}

/* A packet with this many bytes of data, cut. */
static void cut(int ver, uint32_t len, uint16_t id)
{
	static uint8_t data[65536];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + id);
	struct pkt_spec s = { .ver = (uint8_t)ver, .proto = IPPROTO_UDP, .id = id, .data = data, .len = len };
	packet_len = pkt_make(&s, packet);
	if (ver == 4) { /* no fragment has it */
		packet[6] = 0;
		csum_ip4_set(packet);
	}
	n_frag = frag_count(packet, packet_len, MTU);
	ck_assert_uint_le(n_frag, FRAGS);
	for (unsigned i = 0; i < n_frag; i++)
		frag_len[i] = frag_make(packet, packet_len, MTU, i, id, frag[i]);
}

static enum reasm_do add_at(const uint8_t *p, uint32_t len, uint64_t now)
{
	/* not a byte beyond */
	uint8_t *copy = malloc(len);
	struct pkt_info info;

	memcpy(copy, p, len);
	ck_assert_int_eq(pkt_parse(copy, len, &info), DROP_NONE);
	enum reasm_do done = reasm_add(&r, copy, &info, now, &got, &got_len, &why, &lost);
	free(copy);
	return done;
}

static enum reasm_do add(unsigned i)
{
	return add_at(frag[i], frag_len[i], 1000);
}

static bool knows(unsigned i)
{
	struct pkt_info info;

	ck_assert_int_eq(pkt_parse(frag[i], frag_len[i], &info), DROP_NONE);
	return reasm_knows(&r, frag[i], &info);
}

static void whole(void)
{
	ck_assert_uint_eq(got_len, packet_len);
	ck_assert_mem_eq(got, packet, packet_len);
	memset(got + got_len, 0xee, REASM_TAIL);
	reasm_release(&r);
	ck_assert_uint_eq(atomic_load(&r.n), 0);
	ck_assert_uint_eq(r.n_done, 0);
}

START_TEST(test_orders)
{
	int ver = _i % 2 ? 6 : 4;

	srand((unsigned)_i);
	cut(ver, 100 + (uint32_t)_i * 60, (uint16_t)(_i + 1));
	unsigned order[FRAGS];
	for (unsigned i = 0; i < n_frag; i++)
		order[i] = i;
	for (unsigned i = n_frag; i > 1; i--) {
		unsigned j = (unsigned)rand() % i, was = order[i - 1];
		order[i - 1] = order[j];
		order[j] = was;
	}
	for (unsigned i = 0; i + 1 < n_frag; i++) {
		ck_assert_int_eq(add(order[i]), REASM_WAIT);
		ck_assert_int_eq(add(order[i]), REASM_DROP); /* again: alone */
		ck_assert_int_eq(why, DROP_FRAG_OVERLAP);
		ck_assert(knows(order[n_frag - 1]));
	}
	if (n_frag == 1)
		return;
	ck_assert_int_eq(add(order[n_frag - 1]), REASM_DONE);
	whole();
	ck_assert(!knows(0));
}
END_TEST

START_TEST(test_largest)
{
	int ver = _i ? 6 : 4;
	uint32_t len = ver == 4 ? 65535 - 28 : 65535 - 8;
	static uint8_t f[9000];
	struct pkt_info info;

	cut(ver, 1000, 9);
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = (uint8_t)ver, .proto = IPPROTO_UDP, .id = 3, .data = data, .len = len };
	packet_len = pkt_make(&s, packet);
	if (ver == 4) {
		packet[6] = 0;
		csum_ip4_set(packet);
	}
	unsigned n = frag_count(packet, packet_len, sizeof(f));
	for (unsigned i = 0; i < n; i++) {
		uint32_t m = frag_make(packet, packet_len, sizeof(f), i, 3, f);
		ck_assert_int_eq(pkt_parse(f, m, &info), DROP_NONE);
		ck_assert_int_eq(reasm_add(&r, f, &info, 1000, &got, &got_len, &why, &lost), i + 1 < n ? REASM_WAIT : REASM_DONE);
	}
	whole();
}
END_TEST

/* What lies across others, or behind the end, ends the datagram: nothing of it comes out any more. */
START_TEST(test_overlap)
{
	int ver = _i % 2 ? 6 : 4, how = _i / 2;
	uint32_t at = ver == 4 ? 6 : 42;
	uint8_t bad[MTU];

	cut(ver, 2000, 77);
	ck_assert_int_eq(add(0), REASM_WAIT);
	ck_assert_int_eq(add(2), REASM_WAIT);
	memcpy(bad, frag[1], frag_len[1]);
	uint16_t field = load_be16(bad + at), unit = ver == 4 ? 1 : 8;
	if (how == 0) /* into the first */
		store_be16(bad + at, (uint16_t)(field - unit));
	else if (how == 1) /* into the third */
		store_be16(bad + at, (uint16_t)(field + unit));
	else /* the last, before the third */
		store_be16(bad + at, (uint16_t)(ver == 4 ? field & 0x1fff : field & 0xfff8));
	ck_assert_int_eq(add_at(bad, frag_len[1], 1000), REASM_DROP);
	ck_assert_int_eq(why, DROP_FRAG_OVERLAP);
	for (unsigned i = 0; i < n_frag; i++)
		ck_assert_int_eq(add(i), REASM_DROP);
	ck_assert_uint_gt(reasm_sweep(&r, 1000 + REASM_LIVE_NS + 1), 0);
	for (unsigned i = 0; i < n_frag; i++) /* the same ID once more, later */
		ck_assert_int_eq(add(i), i + 1 < n_frag ? REASM_WAIT : REASM_DONE);
	whole();
}
END_TEST

/* A piece of the datagram's data, as its own fragment. */
static uint32_t slice(int ver, uint32_t off, uint32_t len, bool more, uint8_t *out)
{
	uint32_t head = ver == 4 ? 20 : 48;

	memcpy(out, frag[0], head);
	if (ver == 4) {
		store_be16(out + 2, (uint16_t)(head + len));
		store_be16(out + 6, (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
		csum_ip4_set(out);
	} else {
		store_be16(out + 4, (uint16_t)(len + 8));
		store_be16(out + 42, (uint16_t)(off | more));
	}
	memcpy(out + head, packet + (ver == 4 ? 20 : 40) + off, len);
	return head + len;
}

/* What lies within others ends the datagram as well, if it is not one of them once more, to the byte. */
START_TEST(test_contained)
{
	static const struct {
		uint32_t off, len;
		bool more, change, alone;
	} rows[] = {
		{ 0, 400, .more = true, .alone = true },      /* the first again */
		{ 400, 80, .more = true, .alone = true },     /* the second */
		{ 480, 40, .more = true, .alone = true },     /* the third */
		{ 1000, 100, .more = false, .alone = true },  /* the last */
		{ 0, 392, .more = true },                     /* the first, shorter */
		{ 8, 392, .more = true },                     /* begins later */
		{ 80, 80, .more = true },                     /* inside */
		{ 0, 480, .more = true },                     /* the first and the second in one */
		{ 400, 120, .more = true },                   /* the second and the third */
		{ 392, 88, .more = true },                    /* across the seam */
		{ 0, 400, .more = true, .change = true },     /* the first with other data */
		{ 480, 40, .more = true, .change = true },
		{ 1000, 96, .more = true },                   /* of the last, as if others followed */
		{ 1008, 92, .more = false },
		{ 1000, 100, .more = false, .change = true },
	};
	int ver = _i % 2 ? 6 : 4;
	uint8_t f[MTU];
	uint32_t n;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cut(ver, 1092, (uint16_t)(100 + i));
		const uint32_t parts[][2] = { { 400, 80 }, { 480, 40 }, { 1000, 100 }, { 0, 400 }, { 520, 480 } };
		for (unsigned k = 0; k < 4; k++) {
			n = slice(ver, parts[k][0], parts[k][1], parts[k][0] != 1000, f);
			ck_assert_int_eq(add_at(f, n, 1000), REASM_WAIT);
		}
		n = slice(ver, rows[i].off, rows[i].len, rows[i].more, f);
		f[n - 1] ^= rows[i].change;
		ck_assert_int_eq(add_at(f, n, 1000), REASM_DROP);
		ck_assert_int_eq(why, DROP_FRAG_OVERLAP);
		n = slice(ver, parts[4][0], parts[4][1], true, f);
		ck_assert_msg(add_at(f, n, 1000) == (rows[i].alone ? REASM_DONE : REASM_DROP), "row %u", i);
		if (rows[i].alone) {
			ck_assert_uint_eq(got_len, packet_len);
			ck_assert_mem_eq(got, packet, packet_len);
			reasm_release(&r);
		} else { /* and so are those that had come, once more */
			n = slice(ver, 0, 400, true, f);
			ck_assert_int_eq(add_at(f, n, 1000), REASM_DROP);
		}
	}
}
END_TEST

/* More follow, but what is there says that it ends here: not the same fragment. */
START_TEST(test_two_lasts)
{
	uint8_t f[MTU];

	cut(4, 792, 9);
	ck_assert_int_eq(add_at(f, slice(4, 400, 400, true, f), 1000), REASM_WAIT);
	ck_assert_int_eq(add_at(f, slice(4, 400, 400, false, f), 1000), REASM_DROP);
	ck_assert_int_eq(add_at(f, slice(4, 0, 400, true, f), 1000), REASM_DROP);
	cut(4, 792, 10);
	ck_assert_int_eq(add_at(f, slice(4, 400, 400, false, f), 1000), REASM_WAIT);
	ck_assert_int_eq(add_at(f, slice(4, 400, 400, true, f), 1000), REASM_DROP);
	ck_assert_int_eq(add_at(f, slice(4, 0, 400, true, f), 1000), REASM_DROP);
}
END_TEST

/* Neither ID, address nor protocol are mixed up. */
START_TEST(test_apart)
{
	cut(4, 1000, 5);
	ck_assert_int_eq(add(0), REASM_WAIT);
	frag[1][9] = IPPROTO_ESP;
	ck_assert(!knows(1));
	frag[1][9] = IPPROTO_UDP;
	frag[1][15] ^= 1;
	ck_assert(!knows(1));
	frag[1][15] ^= 1;
	frag[1][5] ^= 1;
	ck_assert(!knows(1));
	ck_assert_int_eq(add(1), REASM_WAIT);
	frag[1][5] ^= 1;
	ck_assert(knows(1));
	ck_assert_int_eq(add(1), REASM_DONE);
	reasm_release(&r);
}
END_TEST

START_TEST(test_bounds)
{
	for (unsigned i = 0; i < REASM_DATAGRAMS; i++) {
		cut(4, 1000, (uint16_t)(i + 1));
		ck_assert_int_eq(add_at(frag[0], frag_len[0], 1000 + i), REASM_WAIT);
	}
	ck_assert_uint_eq(atomic_load(&r.n), REASM_DATAGRAMS);
	cut(4, 1000, 500);
	ck_assert_int_eq(add_at(frag[1], frag_len[1], 5000), REASM_WAIT);
	ck_assert_uint_eq(lost, 1); /* the oldest */
	cut(4, 1000, 1);
	ck_assert(!knows(1));
	cut(4, 1000, 2);
	ck_assert_int_eq(add_at(frag[1], frag_len[1], 5000), REASM_DONE);
	ck_assert_uint_eq(reasm_sweep(&r, 5000 + REASM_LIVE_NS), REASM_DATAGRAMS - 2);
	ck_assert_uint_eq(reasm_sweep(&r, 5001 + REASM_LIVE_NS), 1);
	ck_assert_uint_eq(atomic_load(&r.n), 0);
	ck_assert_uint_eq(r.n_done, 1); /* is still in use */
	ck_assert_mem_eq(got, packet, packet_len);
	/* one that is too old begins anew */
	cut(4, 1000, 7);
	ck_assert_int_eq(add_at(frag[0], frag_len[0], 1000), REASM_WAIT);
	ck_assert_int_eq(add_at(frag[1], frag_len[1], 1001 + REASM_LIVE_NS), REASM_WAIT);
	ck_assert_uint_eq(lost, 1);
}
END_TEST

/* Pieces far apart take places of their own: there are so many. */
START_TEST(test_ranges)
{
	static uint8_t data[65536];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .id = 8, .data = data, .len = 4000 };
	struct pkt_info info;
	uint8_t f[100];
	unsigned taken = 0;

	packet_len = pkt_make(&s, packet);
	packet[6] = 0;
	for (unsigned i = 0; i < 2 * REASM_RANGES + 4; i += 2) {
		uint32_t n = frag4_make(packet, packet_len, 60, i, f);
		ck_assert_int_eq(pkt_parse(f, n, &info), DROP_NONE);
		taken += reasm_add(&r, f, &info, 1, &got, &got_len, &why, &lost) == REASM_WAIT;
	}
	ck_assert_uint_eq(taken, REASM_RANGES);
}
END_TEST

START_TEST(test_congestion)
{
	cut(4, 1000, 5);
	for (unsigned i = 0; i < n_frag; i++) {
		frag[i][1] = i == 1 ? 3 : 2;
		csum_ip4_set(frag[i]);
	}
	ck_assert_int_eq(add(0), REASM_WAIT);
	ck_assert_int_eq(add(1), REASM_DONE);
	ck_assert_uint_eq(got[1], 3);
	ck_assert(csum_ip4_ok(got));
}
END_TEST

TCase *tcase_packet_reasm(void)
{
	TCase *t = tcase_create("reasm");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_orders, 0, 200);
	tcase_add_loop_test(t, test_largest, 0, 2);
	tcase_add_loop_test(t, test_overlap, 0, 6);
	tcase_add_loop_test(t, test_contained, 0, 2);
	tcase_add_test(t, test_two_lasts);
	tcase_add_test(t, test_apart);
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_ranges);
	tcase_add_test(t, test_congestion);
	return t;
}
