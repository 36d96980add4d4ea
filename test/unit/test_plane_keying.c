/* What keying needs of the packet path: SAs that replace each other under a reqid, packets that wait for one, SAs that leave. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto_util.h"
#include "packet/csum.h"
#include "plane_rig.h"

#define REQID 7u

static struct rig rig;
static uint8_t pkt[66000];
static uint32_t pkt_len;

static void start_with(struct rig_opts o)
{
	if (o.n_policy == 0) {
		o.policy[0] = (struct rig_policy) { .action = POLICY_PROTECT, .reqid = REQID };
		o.n_policy = 1;
	}
	o.reqid = REQID;
	rig_new(&rig, &o);
	pkt_len = rig_udp(4, 1, 100, pkt);
}

static void start(void)
{
	start_with((struct rig_opts) { 0 });
}

static void switch_to(struct sa *sa)
{
	ck_assert_int_eq(plane_switch_out(rig.pa, REQID, &sa, sa ? 1 : 0), 0);
}

static void send_n(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_send(&rig, pkt, pkt_len);
}

static void wire_is(unsigned n, uint32_t spi)
{
	ck_assert_uint_eq(rig.n_wire, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(load_be32(rig.wire[i].p), spi);
	rig_wire_clear(&rig);
}

/* ---- reqid -------------------------------------------------------------------------------------- */

/* A rekeying as RFC 7296 2.8 wants it: the new pair comes beside the old one, inbound both work, outbound switches, the old
 * pair goes; the SPD stays the same object, and no packet is lost. */
START_TEST(test_rekey)
{
	start();
	struct spd *spd = plane_spd(rig.pa);
	struct sa *out2 = rig_sa(&rig, DIR_OUT, 0x2000, REQID), *in2 = rig_sa(&rig, DIR_IN, 0x2000, REQID);

	switch_to(rig.out);
	send_n(2);
	ck_assert_uint_eq(load_be32(rig.wire[0].p), RIG_SPI);
	switch_to(out2);
	send_n(2);
	ck_assert_uint_eq(load_be32(rig.wire[2].p), 0x2000);
	ck_assert_uint_eq(rig.n_wire, 4);
	/* in any order */
	rig_in_wire(&rig, 2);
	rig_in_wire(&rig, 0);
	rig_in_wire(&rig, 3);
	rig_in_wire(&rig, 1);
	ck_assert_uint_eq(rig.n_got, 4);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_dropped(rig.b, DROP_NONE, 0);

	rig_wire_clear(&rig);
	plane_retire(rig.pa, rig.out);
	plane_retire(rig.pb, rig.in);
	ck_assert_ptr_null(sad_lookup(plane_sad(rig.pb), RIG_SPI, SA_ESP));
	plane_tick(rig.pa);
	plane_tick(rig.pb);
	send_n(1);
	wire_is(1, 0x2000);
	ck_assert_ptr_eq(plane_spd(rig.pa), spd);
	rig_dropped(rig.a, DROP_NONE, 0);
	sa_unref(&out2);
	sa_unref(&in2);
	rig_free(&rig);
}
END_TEST

/* Another reqid's SA, or one without, may not carry it. */
START_TEST(test_reqid_is_checked)
{
	start();
	struct sa *other[2] = { rig_sa(&rig, DIR_OUT, 0x2000, REQID + 1), rig_sa(&rig, DIR_IN, 0x2000, REQID + 1) };
	struct sa *none[2] = { rig_sa(&rig, DIR_OUT, 0x3000, 0), rig_sa(&rig, DIR_IN, 0x3000, 0) };

	switch_to(other[0]);
	send_n(1);
	switch_to(none[0]);
	send_n(1);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 2);
	for (unsigned i = 0; i < 2; i++) {
		sa_unref(&other[i]);
		sa_unref(&none[i]);
	}
	rig_free(&rig);
}
END_TEST

/* An SA freed, and another of another reqid made in its memory: a flow that was allowed under the first is asked about again. */
START_TEST(test_no_stale_hint)
{
	start();
	switch_to(rig.out);
	send_n(1);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 1);
	uint32_t gen = rig.pb->view->gen;
	plane_retire(rig.pb, rig.in);
	ck_assert_uint_eq(sad_count(plane_sad(rig.pb)), 0);
	sa_unref(&rig.in);
	plane_tick(rig.pb);
	ck_assert_uint_ne(rig.pb->view->gen, gen);
	rig.in = rig_sa(&rig, DIR_IN, RIG_SPI, REQID + 1);
	send_n(1);
	rig_in_all(&rig);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_free(&rig);
}
END_TEST

/* A route outlives the SPD it was used by, and serves every policy of its reqid. */
START_TEST(test_new_spd)
{
	static const struct rig_policy two[] = {
		{ .action = POLICY_PROTECT, .reqid = REQID, .proto = IPPROTO_TCP },
		{ .action = POLICY_PROTECT, .reqid = REQID },
	};

	start();
	switch_to(rig.out);
	struct spd *was = plane_set_spd(rig.pa, rig_spd(&rig, two, 2, false));
	spd_free(&was);
	send_n(1);
	wire_is(1, RIG_SPI);
	/* gone with the last policy once it leads nowhere */
	switch_to(NULL);
	was = plane_set_spd(rig.pa, NULL);
	spd_free(&was);
	ck_assert_uint_eq(rig.pa->n_routes, 0);
	/* and it may be there before the policy */
	switch_to(rig.out);
	ck_assert_uint_eq(rig.pa->n_routes, 1);
	was = plane_set_spd(rig.pa, rig_spd(&rig, two, 2, false));
	ck_assert_ptr_null(was);
	send_n(1);
	wire_is(1, RIG_SPI);
	rig_free(&rig);
}
END_TEST

START_TEST(test_switch_wrong)
{
	start();
	struct sa *five[5] = { rig.out, rig.out, rig.out, rig.out, rig.out };

	ck_assert_int_eq(plane_switch_out(rig.pa, 0, five, 1), -EINVAL);
	ck_assert_int_eq(plane_switch_out(rig.pa, REQID, five, 5), -EINVAL);
	ck_assert_int_eq(plane_switch_out(rig.pa, 4711, NULL, 0), 0);
	plane_release_held(rig.pa, 4711);
	rig_free(&rig);
}
END_TEST

START_TEST(test_many_routes)
{
	start();
	for (uint32_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(plane_switch_out(rig.pa, i * 64, &rig.out, 1), 0);
	ck_assert_uint_ge(rig.pa->route_room, 512);
	for (uint32_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(plane_switch_out(rig.pa, i * 64, NULL, 0), 0);
	ck_assert_uint_gt(rig.pa->n_later, 1000);
	plane_tick(rig.pa);
	ck_assert_uint_eq(rig.pa->n_later, 0);
	ck_assert_uint_eq(rig.out->refs, 2); /* the rig's and the SAD's */
	rig_free(&rig);
}
END_TEST

/* ---- packets that wait --------------------------------------------------------------------------- */

START_TEST(test_hold_and_send)
{
	start();
	for (unsigned i = 0; i < 3; i++) {
		pkt_len = rig_udp(4, i, 100 + i, pkt);
		send_n(1);
	}
	struct ipsec_event e = rig_event(rig.pa, EV_ACQUIRE);
	ck_assert_uint_eq(e.reqid, REQID);
	ck_assert_uint_eq(e.policy, 0);
	ck_assert_uint_eq(e.flow.proto, IPPROTO_UDP);
	ck_assert_uint_eq(e.flow.sport, 1000);
	rig_event(rig.pa, -1); /* once, not for each */
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_held(&rig); /* nothing has changed */
	ck_assert_uint_eq(rig.n_wire, 0);
	struct plane_stats s;
	plane_stats(rig.pa, &s);
	ck_assert_uint_eq(s.held, 3);

	switch_to(rig.out);
	rig_held(&rig);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 3);
	for (unsigned i = 0; i < 3; i++) { /* in order, as they were */
		pkt_len = rig_udp(4, i, 100 + i, pkt);
		rig_got_is(&rig, i, pkt, pkt_len);
	}
	rig_dropped(rig.a, DROP_NONE, 0);
	plane_stats(rig.pa, &s);
	ck_assert_uint_eq(s.held, 0);
	rig_held(&rig);
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_free(&rig);
}
END_TEST

/* A super-packet is kept with what its device said of it. */
/* RFC 4301 4.4.1.2: each flow asks for itself, at once, and once a second. */
START_TEST(test_hold_each)
{
	start_with((struct rig_opts){ .policy = { { .action = POLICY_PROTECT, .reqid = REQID, .each = true } }, .n_policy = 1 });
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 3; i++) {
			pkt[19] = (uint8_t)(5 + i);
			csum_ip4_set(pkt);
			send_n(2);
		}
		for (unsigned i = 0; i < 3; i++) {
			struct ipsec_event e = rig_event(rig.pa, EV_ACQUIRE);
			ck_assert_uint_eq(e.reqid, REQID);
			ck_assert_uint_eq(e.flow.dst[3], 5 + i);
		}
		rig_event(rig.pa, -1);
		rig_now_ns += NS_PER_S;
	}
	/* what cannot wait any more does not ask either */
	rig_now_ns += NS_PER_S;
	send_n(4);
	pkt[19] = 99;
	csum_ip4_set(pkt);
	rig_event(rig.pa, EV_ACQUIRE);
	send_n(1);
	rig_event(rig.pa, -1);
	rig_dropped(rig.a, DROP_HOLD_FULL, 1);
	rig_free(&rig);
}
END_TEST

START_TEST(test_hold_super_packet)
{
	static uint8_t data[3000];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .data = data, .len = sizeof(data) };
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 40,
				    .gso_size = 1000, .csum_start = 20, .csum_offset = 16 };

	start();
	rig_put(&rig, &v, pkt, pkt_make(&s, pkt));
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 0);
	switch_to(rig.out);
	rig_held(&rig);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_in_all(&rig);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(slow_l4_ok(rig.got[i].p, 20, rig.got[i].len, IPPROTO_TCP));
	rig_free(&rig);
}
END_TEST

/* Three packets that B has no SA for, yet or ever. */
static void early_three(void)
{
	start();
	switch_to(rig.out);
	sad_remove(plane_sad(rig.pb), rig.in);
	send_n(3);
}

/* A responder's first packets overtake its answer: they are kept until the SA is there. */
START_TEST(test_early)
{
	early_three();
	plane_expect(rig.pb, 1);
	rig_in_all(&rig);
	rig_early(&rig); /* nothing has changed */
	ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_event(rig.pb, -1);
	ck_assert_int_eq(sad_install(plane_sad(rig.pb), rig.in), 0);
	plane_expect(rig.pb, -1);
	rig_early(&rig);
	ck_assert_uint_eq(rig.n_got, 3);
	rig_got_is(&rig, 2, pkt, pkt_len);
	rig_early(&rig); /* once */
	ck_assert_uint_eq(rig.n_got, 3);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* Only while keying waits for an SA, and not for long. */
START_TEST(test_early_limits)
{
	early_three();
	rig_in_wire(&rig, 0);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 1);
	plane_expect(rig.pb, 1);
	rig_in_wire(&rig, 1);
	rig_in_wire(&rig, 2);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_now_ns += NS_PER_S;
	rig_early(&rig);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 2);
	rig_wire_clear(&rig);
	send_n(EARLY_PACKETS + 3);
	rig_in_all(&rig);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 3);
	ck_assert_int_eq(sad_install(plane_sad(rig.pb), rig.in), 0);
	rig_early(&rig);
	ck_assert_uint_eq(rig.n_got, EARLY_PACKETS);
	plane_expect(rig.pb, -1);
	rig_free(&rig);
}
END_TEST

START_TEST(test_hold_limits)
{
	struct rig_opts o = { .n_policy = 6 };

	for (unsigned i = 0; i < 6; i++)
		o.policy[i] = (struct rig_policy) { .action = POLICY_PROTECT, .reqid = REQID + i, .rport = (uint16_t)(100 + i) };
	static uint8_t data[40000];
	start_with(o);
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .sport = 9, .data = data, .len = 100 };
	for (unsigned i = 0; i < 6; i++) {
		s.dport = (uint16_t)(100 + i);
		for (unsigned j = 0; j < 17; j++)
			rig_send(&rig, pkt, pkt_make(&s, pkt));
	}
	ck_assert_uint_eq(rig.a->hold.n, 64);
	rig_dropped(rig.a, DROP_HOLD_FULL, 6 * 17 - 64);
	/* one reqid goes; there is room for its sixteen again, of any reqid */
	plane_release_held(rig.pa, REQID + 1);
	rig_held(&rig);
	rig_dropped(rig.a, DROP_HOLD_GIVEN_UP, 16);
	for (unsigned j = 0; j < 17; j++) /* of the sixth */
		rig_send(&rig, pkt, pkt_make(&s, pkt));
	rig_dropped(rig.a, DROP_HOLD_FULL, 1);
	/* those that stayed are whole */
	switch_to(rig.out);
	rig_held(&rig);
	ck_assert_uint_eq(rig.n_wire, 16);
	rig_free(&rig);

	start();
	s.dport = 0;
	s.len = 40000;
	for (unsigned j = 0; j < 4; j++)
		rig_send(&rig, pkt, pkt_make(&s, pkt));
	ck_assert_uint_eq(rig.a->hold.n, 3);
	rig_dropped(rig.a, DROP_HOLD_FULL, 1);
	rig_free(&rig);
}
END_TEST

START_TEST(test_hold_age)
{
	start();
	send_n(1);
	rig_now_ns += 20 * NS_PER_S;
	send_n(1);
	rig_now_ns += 11 * NS_PER_S;
	plane_tick(rig.pa);
	rig_held(&rig);
	rig_dropped(rig.a, DROP_HOLD_GIVEN_UP, 1);
	ck_assert_uint_eq(rig.a->hold.n, 1);
	/* a packet after a while asks again */
	rig_event(rig.pa, EV_ACQUIRE);
	rig_event(rig.pa, EV_ACQUIRE);
	rig_event(rig.pa, -1);
	rig_free(&rig);
}
END_TEST

/* Whatever happens to the policy meanwhile: what was to be protected does not leave in the clear. */
START_TEST(test_hold_never_clear)
{
	static const struct rig_policy now[][1] = {
		{ { .action = POLICY_BYPASS } }, { { .action = POLICY_DISCARD } }, { { .action = POLICY_REJECT } },
		{ { .action = POLICY_PROTECT, .no_sa = true } },
	};

	for (unsigned i = 0; i < ARRAY_LEN(now); i++) {
		start();
		send_n(2);
		struct spd *was = plane_set_spd(rig.pa, rig_spd(&rig, now[i], 1, false));
		spd_free(&was);
		rig_held(&rig);
		ck_assert_uint_eq(rig.n_wire, 0);
		rig_dropped(rig.a, DROP_HOLD_GIVEN_UP, 2);
		rig_free(&rig);
	}
	/* a policy with an SA of its own protects as well */
	static const struct rig_policy manual = { .action = POLICY_PROTECT };
	start();
	send_n(2);
	struct spd *was = plane_set_spd(rig.pa, rig_spd(&rig, &manual, 1, false));
	spd_free(&was);
	rig_held(&rig);
	wire_is(2, RIG_SPI);
	rig_free(&rig);
}
END_TEST

/* The SA goes without another: traffic waits, and asks. */
START_TEST(test_switch_to_none)
{
	start();
	switch_to(rig.out);
	send_n(1);
	wire_is(1, RIG_SPI);
	switch_to(NULL);
	send_n(1);
	wire_is(0, 0);
	rig_event(rig.pa, EV_ACQUIRE);
	ck_assert_uint_eq(rig.a->hold.n, 1);
	switch_to(rig.out);
	rig_held(&rig);
	wire_is(1, RIG_SPI);
	rig_free(&rig);
}
END_TEST

/* The worker's own loop: woken by the switch, it sends what it holds. */
START_TEST(test_worker_wakes)
{
	start();
	int fd[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
	send_n(2);
	ck_assert_int_eq(plane_start(rig.pa), 0);
	switch_to(rig.out);
	struct plane_stats s;
	unsigned left = 2000;
	do {
		nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
		plane_stats(rig.pa, &s);
	} while (s.out_packets < 2 && left--);
	ck_assert_uint_eq(s.out_packets, 2);
	plane_stop(rig.pa);
	rig_free(&rig);
}
END_TEST

/* ---- events -------------------------------------------------------------------------------------- */

START_TEST(test_events_name_the_child)
{
	struct rig_opts o = { .life_out = { .soft_packets = 2, .hard_packets = 3 }, .window = 64 };

	start_with(o);
	switch_to(rig.out);
	send_n(2);
	struct ipsec_event e = rig_event(rig.pa, EV_SOFT_EXPIRE);
	ck_assert_uint_eq(e.reqid, REQID);
	ck_assert_uint_eq(e.spi, RIG_SPI);
	ck_assert_ptr_eq(e.sa, rig.out);
	send_n(1);
	e = rig_event(rig.pa, EV_HARD_EXPIRE);
	ck_assert_uint_eq(e.reqid, REQID);
	struct endpoint moved = rig.peer_a;
	moved.port++;
	rig_in_from(&rig, rig.wire[0].p, rig.wire[0].len, rig.wire[0].len, 0, &moved);
	e = rig_event(rig.pb, EV_PEER_ADDR);
	ck_assert_uint_eq(e.reqid, REQID);
	ck_assert_uint_eq(e.spi, RIG_SPI);
	rig_free(&rig);
}
END_TEST

/* 15/16 of the numbers without ESN: time for another SA, told once. */
START_TEST(test_seq_low)
{
	start();
	switch_to(rig.out);
	rig.out->seq = 0xeffffff1 - 2; /* UINT32_MAX / 16 * 15 */
	send_n(1);
	rig_event(rig.pa, -1); /* the last but one of the fifteen */
	send_n(1);
	struct ipsec_event e = rig_event(rig.pa, EV_SOFT_EXPIRE);
	ck_assert_uint_eq(e.reqid, REQID);
	send_n(3);
	rig_event(rig.pa, -1);
	rig.out->seq = UINT32_MAX;
	send_n(1);
	e = rig_event(rig.pa, EV_SEQ_EXHAUSTED);
	ck_assert_uint_eq(e.reqid, REQID);
	rig_free(&rig);

	struct rig_opts esn = { .esn = true };
	start_with(esn);
	switch_to(rig.out);
	rig.out->seq = 0xefffffff;
	send_n(1);
	rig_event(rig.pa, -1);
	rig_free(&rig);
}
END_TEST

/* An event still waits when its SA is freed: it says which it was, and points nowhere. */
START_TEST(test_event_of_the_gone)
{
	struct rig_opts o = { .life_out = { .soft_packets = 1 } };

	start_with(o);
	switch_to(rig.out);
	send_n(1);
	switch_to(NULL);
	plane_retire(rig.pa, rig.out);
	sa_unref(&rig.out);
	plane_tick(rig.pa);
	struct ipsec_event e = rig_event(rig.pa, EV_SOFT_EXPIRE);
	ck_assert_ptr_null(e.sa);
	ck_assert_uint_eq(e.spi, RIG_SPI);
	ck_assert_uint_eq(e.reqid, REQID);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_keying(void)
{
	TCase *t = tcase_create("keying");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_rekey);
	tcase_add_test(t, test_reqid_is_checked);
	tcase_add_test(t, test_no_stale_hint);
	tcase_add_test(t, test_new_spd);
	tcase_add_test(t, test_switch_wrong);
	tcase_add_test(t, test_many_routes);
	tcase_add_test(t, test_hold_and_send);
	tcase_add_test(t, test_hold_each);
	tcase_add_test(t, test_hold_super_packet);
	tcase_add_test(t, test_early);
	tcase_add_test(t, test_early_limits);
	tcase_add_test(t, test_hold_limits);
	tcase_add_test(t, test_hold_age);
	tcase_add_test(t, test_hold_never_clear);
	tcase_add_test(t, test_switch_to_none);
	tcase_add_test(t, test_worker_wakes);
	tcase_add_test(t, test_events_name_the_child);
	tcase_add_test(t, test_seq_low);
	tcase_add_test(t, test_event_of_the_gone);
	return t;
}
