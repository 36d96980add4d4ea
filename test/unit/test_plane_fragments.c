/* Fragments where policies name ports (RFC 4301 7): which way they go, what waits, what is dropped. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/fragtab.h"
#include "packet/frag.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t whole[66000], piece[8][3000];
static uint32_t piece_len[8];
static unsigned n_piece;

/* Cuts the IPv6 packet in whole[0..len) the way a host does. */
static void cut6(uint32_t len, uint32_t id, uint32_t each)
{
	n_piece = 0;
	for (uint32_t at = 0; at < len - 40; at += each) {
		uint32_t n = len - 40 - at < each ? len - 40 - at : each;
		uint8_t *p = piece[n_piece];
		memcpy(p, whole, 40);
		store_be16(p + 4, (uint16_t)(8 + n));
		p[6] = IPPROTO_FRAGMENT;
		p[40] = whole[6];
		p[41] = 0;
		store_be16(p + 42, (uint16_t)(at | (at + n < len - 40)));
		store_be32(p + 44, id);
		memcpy(p + 48, whole + 40 + at, n);
		piece_len[n_piece++] = 48 + n;
	}
}

/* A datagram of ports 1000 + n to 2000 + n in pieces of its own. */
static void cut(int ver, unsigned n, uint32_t len, uint32_t id)
{
	uint32_t total = rig_udp(ver, n, len, whole);

	if (ver == 6) {
		cut6(total, id, 1200);
		return;
	}
	store_be16(whole + 4, (uint16_t)id);
	whole[6] = 0;
	n_piece = frag4_count(whole, total, 1220);
	for (unsigned i = 0; i < n_piece; i++)
		piece_len[i] = frag4_make(whole, total, 1220, i, piece[i]);
}

static uint16_t sport(void)
{
	return load_be16(whole + (whole[0] >> 4 == 4 ? 20 : 40));
}

/* Only the port of rig_udp(ver, 1) is open. */
static void start(int ver)
{
	struct rig_opts o = { .n_policy = 1 };

	rig_udp(ver, 1, 10, whole);
	o.policy[0] = (struct rig_policy) { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .lport = sport() };
	if (ver == 6)
		o.policy[0].local = o.policy[0].remote = "2001::/16";
	rig_new(&rig, &o);
}

static void put_piece(unsigned i)
{
	rig_send(&rig, piece[i], piece_len[i]);
}

START_TEST(in_order)
{
	int ver = _i ? 6 : 4;

	start(ver);
	cut(ver, 1, 3000, 7);
	ck_assert_uint_eq(n_piece, 3);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 3);
	for (unsigned i = 0; i < 3; i++)
		rig_got_is(&rig, i, piece[i], piece_len[i]);
	/* complete: the same ID may come again at once */
	rig_got_clear(&rig);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 3);
	rig_free(&rig);
}
END_TEST

START_TEST(other_ports_stay)
{
	int ver = _i ? 6 : 4;
	unsigned other = 1;
	uint16_t open;

	start(ver);
	open = sport();
	do
		cut(ver, ++other, 3000, 8);
	while (sport() == open);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_dropped(rig.a, DROP_NO_POLICY, 3);
	rig_free(&rig);
}
END_TEST

START_TEST(first_comes_last)
{
	int ver = _i ? 6 : 4;

	start(ver);
	cut(ver, 1, 3000, 9);
	put_piece(2);
	put_piece(1);
	ck_assert_uint_eq(rig.n_wire, 0);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), 2);
	put_piece(0);
	ck_assert_uint_eq(rig.n_wire, 3);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), 0);
	ck_assert_uint_eq(rig.a->frag_out.used, 0);
	/* and the other way round at the receiver: on the wire are the first, the third, the second */
	rig_in_wire(&rig, 1);
	rig_in_wire(&rig, 2);
	ck_assert_uint_eq(rig.n_got, 0);
	rig_in_wire(&rig, 0);
	ck_assert_uint_eq(rig.n_got, 3);
	rig_got_is(&rig, 0, piece[0], piece_len[0]);
	rig_got_is(&rig, 1, piece[2], piece_len[2]);
	rig_got_is(&rig, 2, piece[1], piece_len[1]);
	rig_dropped(rig.a, DROP_SHORT, 0);
	rig_dropped(rig.b, DROP_SHORT, 0);
	rig_free(&rig);
}
END_TEST

/* At the receiver a later fragment of a port that the policy does not name is dropped as any packet of it. */
START_TEST(receiver_checks)
{
	uint8_t esp[4000];
	unsigned other = 1;
	uint16_t open;

	start(4);
	open = sport();
	do
		cut(4, ++other, 3000, 8);
	while (sport() == open);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t n = rig_seal_packet(&rig, i + 1, piece[i], piece_len[i], 0, IPPROTO_IPIP, esp);
		rig_in(&rig, esp, n, 0);
	}
	ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 3);
	rig_free(&rig);
}
END_TEST

START_TEST(overlap)
{
	int ver = _i ? 6 : 4;
	uint32_t at = ver == 4 ? 6 : 42;

	start(ver);
	cut(ver, 1, 3000, 10);
	put_piece(0);
	/* eight bytes back, into the first */
	uint16_t f = load_be16(piece[1] + at);
	store_be16(piece[1] + at, (uint16_t)(f - (ver == 4 ? 1 : 8)));
	put_piece(1);
	rig_dropped(rig.a, DROP_FRAG_OVERLAP, 1);
	put_piece(2); /* the rest of the datagram is lost */
	rig_dropped(rig.a, DROP_FRAG_OVERLAP, 1);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_free(&rig);
}
END_TEST

START_TEST(repeated)
{
	start(4);
	cut(4, 1, 3000, 11);
	put_piece(0);
	put_piece(1);
	put_piece(1); /* dropped alone */
	put_piece(0);
	rig_dropped(rig.a, DROP_FRAG_OVERLAP, 2);
	put_piece(2);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_free(&rig);
}
END_TEST

/* Within what has gone, and not one of those that went: the rest of the datagram is lost. */
START_TEST(contained)
{
	static const struct {
		uint32_t off, len; /* bytes of data */
		bool more, alone;
	} rows[] = {
		{ 0, 1200, .more = true, .alone = true }, { 1200, 1200, .more = true, .alone = true }, { 0, 1192, .more = true }, { 8, 1192, .more = true },
		{ 640, 80, .more = true },		  { 1200, 400, .more = true },		       { 1208, 1192, .more = true }, { 800, 800, .more = true },
		{ 1200, 1200, .more = false },
	};
	int ver = _i ? 6 : 4;
	uint32_t head = ver == 4 ? 20 : 48;
	uint8_t f[1300];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(ver);
		cut(ver, 1, 3000, 40);
		ck_assert_uint_eq(piece_len[0], head + 1200);
		put_piece(0);
		put_piece(1);
		memcpy(f, piece[0], head);
		if (ver == 4) {
			store_be16(f + 2, (uint16_t)(head + rows[i].len));
			store_be16(f + 6, (uint16_t)(rows[i].off / 8 | (rows[i].more ? 0x2000 : 0)));
		} else {
			store_be16(f + 4, (uint16_t)(8 + rows[i].len));
			store_be16(f + 42, (uint16_t)(rows[i].off | rows[i].more));
		}
		memcpy(f + head, whole + (ver == 4 ? 20 : 40) + rows[i].off, rows[i].len);
		rig_send(&rig, f, head + rows[i].len);
		rig_dropped(rig.a, DROP_FRAG_OVERLAP, 1);
		ck_assert_uint_eq(rig.n_wire, 2);
		put_piece(2);
		ck_assert_uint_eq(rig.n_wire, rows[i].alone ? 3 : 2);
		rig_dropped(rig.a, DROP_FRAG_OVERLAP, rows[i].alone ? 0 : 1);
		rig_free(&rig);
	}
}
END_TEST

/* Another end than the one that was said before. */
START_TEST(two_ends)
{
	start(4);
	cut(4, 1, 3000, 12);
	put_piece(0);
	put_piece(2);
	store_be16(piece[1] + 6, load_be16(piece[1] + 6) & 0x1fff);
	put_piece(1);
	rig_dropped(rig.a, DROP_FRAG_OVERLAP, 1);
	rig_free(&rig);
}
END_TEST

START_TEST(id_again_later)
{
	start(4);
	cut(4, 1, 3000, 13);
	put_piece(0); /* the rest was lost */
	rig_now_ns += FRAG_AGAIN_NS;
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 4);
	rig_dropped(rig.a, DROP_SHORT, 0);
	rig_free(&rig);
}
END_TEST

START_TEST(first_never_comes)
{
	start(4);
	cut(4, 1, 3000, 14);
	put_piece(1);
	rig_now_ns += FRAG_WAIT_NS;
	cut(4, 1, 3000, 15);
	put_piece(1);
	put_piece(0);
	rig_dropped(rig.a, DROP_FRAG_TIMEOUT, 1);
	ck_assert_uint_eq(rig.n_wire, 2);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), 0);
	rig_free(&rig);
}
END_TEST

START_TEST(old_is_forgotten)
{
	start(4);
	cut(4, 1, 3000, 14);
	put_piece(0);
	rig_now_ns += FRAG_LIVE_NS;
	put_piece(1);
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), 1);
	rig_free(&rig);
}
END_TEST

START_TEST(room_is_bounded)
{
	start(4);
	for (unsigned i = 0; i < FRAG_KEPT + 3; i++) {
		cut(4, 1, 3000, 100 + i);
		put_piece(1);
	}
	rig_dropped(rig.a, DROP_FRAG_FULL, 3);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), FRAG_KEPT);
	rig_free(&rig);
}
END_TEST

/* More datagrams than there are places: the youngest are known, the table stays what it is. */
START_TEST(many_datagrams)
{
	start(4);
	for (unsigned i = 0; i < 3 * FRAG_DATAGRAMS; i++) {
		cut(4, 1, 1300, i);
		put_piece(0);
		rig_wire_clear(&rig);
		rig_now_ns++;
	}
	cut(4, 1, 1300, 3 * FRAG_DATAGRAMS - 1);
	put_piece(1);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_free(&rig);
}
END_TEST

/* Holes: more pieces than are remembered. */
START_TEST(too_many_pieces)
{
	uint8_t p[40 + 8];

	start(4);
	cut(4, 1, 3000, 16);
	put_piece(0);
	memcpy(p, piece[0], 20);
	store_be16(p + 2, 28);
	memset(p + 20, 0, 8);
	for (unsigned i = 0; i < FRAG_RANGES; i++) {
		store_be16(p + 6, (uint16_t)(0x2000 | (200 + 2 * i)));
		rig_send(&rig, p, 28);
	}
	ck_assert_uint_eq(rig.n_wire, FRAG_RANGES);
	rig_dropped(rig.a, DROP_FRAG_FULL, 1);
	rig_free(&rig);
}
END_TEST

START_TEST(malformed)
{
	start(4);
	cut(4, 1, 3000, 17);
	put_piece(0);
	store_be16(piece[1] + 2, load_be16(piece[1] + 2) - 3); /* more follow, and not a multiple of 8 */
	rig_send(&rig, piece[1], piece_len[1] - 3);
	store_be16(piece[2] + 6, 0x1fff); /* beyond 65535 */
	put_piece(2);
	rig_dropped(rig.a, DROP_BAD_HEADER, 2);
	rig_free(&rig);
}
END_TEST

/* No policy names ports: fragments are nothing special, in any order, overlapping or not. */
START_TEST(without_ports)
{
	struct rig_opts o = { .n_policy = 0 };

	rig_new(&rig, &o);
	cut(4, 1, 3000, 18);
	put_piece(2);
	put_piece(2);
	put_piece(1);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 3);
	ck_assert_uint_eq(atomic_load(&rig.a->frag_out.n_kept), 0);
	rig_free(&rig);
}
END_TEST

static void change(struct spd *(*make)(void))
{
	struct spd *old = plane_set_spd(rig.pa, make());

	spd_free(&old);
}

static struct spd *whole_only(void)
{
	struct spd *s = rig_spd(&rig, rig.o.policy, rig.o.n_policy, false);

	spd_policy(s, 0)->whole_only = true;
	return s;
}

/* fragments = no: the first goes, the others do not (RFC 4301 7.3, not negotiated). */
START_TEST(not_agreed)
{
	start(4);
	change(whole_only);
	cut(4, 1, 3000, 19);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_dropped(rig.a, DROP_NO_POLICY, 2);
	rig_free(&rig);
}
END_TEST

static struct spd *opaque_first(void)
{
	struct rig_policy p[2] = { rig.o.policy[0], rig.o.policy[0] };
	struct policy *list[2];
	struct spd *s = rig_spd(&rig, p, 2, false);
	struct spd *done;

	for (unsigned i = 0; i < 2; i++) {
		struct policy *from = spd_policy(s, i), *c = calloc(1, sizeof(*c));
		*c = *from;
		c->sel = malloc(sizeof(*c->sel));
		*c->sel = *from->sel;
		c->name = strdup(from->name);
		c->out = malloc(sizeof(struct sa *));
		c->out[0] = sa_ref(rig.out);
		c->in = NULL;
		list[i] = c;
	}
	list[0]->action = POLICY_DISCARD;
	list[0]->sel->local_port.match = list[0]->sel->remote_port.match = PORT_OPAQUE;
	spd_free(&s);
	ck_assert_int_eq(spd_compile(list, 2, &done), 0);
	return done;
}

/* A policy that names opaque ports gets the later fragments, whatever their first said. */
START_TEST(opaque_policy)
{
	start(4);
	change(opaque_first);
	cut(4, 1, 3000, 20);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 2);
	rig_free(&rig);
}
END_TEST

/* An SA that went while a fragment waited. */
START_TEST(sa_is_gone)
{
	start(4);
	cut(4, 1, 3000, 21);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	rig_in_wire(&rig, 1);
	atomic_store(&rig.in->state, SA_DEAD);
	struct sa *other = rig_sa(&rig, DIR_IN, RIG_SPI + 1, 0);
	atomic_store(&rig.in->state, SA_ALIVE);
	rig.in->installed_ns++;
	rig_in_wire(&rig, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 1);
	sa_unref(&other);
	rig_free(&rig);
}
END_TEST

/* Kept for an SA of keying that is not there yet: not taken for repeated fragments when it comes. */
START_TEST(kept_for_an_sa)
{
	struct rig_opts o = { .n_policy = 1, .reqid = 5 };

	rig_udp(4, 1, 10, whole);
	o.policy[0] = (struct rig_policy) { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .lport = sport(), .reqid = 5 };
	rig_new(&rig, &o);
	cut(4, 1, 3000, 22);
	for (unsigned i = 0; i < 3; i++)
		put_piece(i);
	ck_assert_uint_eq(rig.n_wire, 0);
	ck_assert_int_eq(plane_switch_out(rig.pa, 5, &rig.out, 1), 0);
	rig_held(&rig);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_fragments(void)
{
	TCase *t = tcase_create("fragments");

	tcase_add_loop_test(t, in_order, 0, 2);
	tcase_add_loop_test(t, other_ports_stay, 0, 2);
	tcase_add_loop_test(t, first_comes_last, 0, 2);
	tcase_add_test(t, receiver_checks);
	tcase_add_loop_test(t, overlap, 0, 2);
	tcase_add_test(t, repeated);
	tcase_add_loop_test(t, contained, 0, 2);
	tcase_add_test(t, two_ends);
	tcase_add_test(t, id_again_later);
	tcase_add_test(t, first_never_comes);
	tcase_add_test(t, old_is_forgotten);
	tcase_add_test(t, room_is_bounded);
	tcase_add_test(t, many_datagrams);
	tcase_add_test(t, too_many_pieces);
	tcase_add_test(t, malformed);
	tcase_add_test(t, without_ports);
	tcase_add_test(t, not_agreed);
	tcase_add_test(t, opaque_policy);
	tcase_add_test(t, sa_is_gone);
	tcase_add_test(t, kept_for_an_sa);
	return t;
}
