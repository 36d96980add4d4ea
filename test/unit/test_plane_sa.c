/* An SA's life in the plane: lifetimes, sequence numbers, a new SPD under it, and workers that share it. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "crypto_util.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[2000], esp[2000];

static void send_some(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_put(&rig, NULL, pkt, rig_udp(4, i, 72, pkt)); /* 100 bytes */
	rig_out(&rig);
}

/* ---- lifetimes ---------------------------------------------------------------------------------- */

START_TEST(test_lifetime_out)
{
	/* the same point by packets and by bytes */
	struct rig_opts o[2] = { { .life_out = { .soft_packets = 10, .hard_packets = 20 } },
				 { .life_out = { .soft_bytes = 1000, .hard_bytes = 2000 } } };

	rig_new(&rig, &o[_i]);
	send_some(9);
	rig_event(rig.pa, -1);
	send_some(1);
	struct ipsec_event e = rig_event(rig.pa, EV_SOFT_EXPIRE);
	ck_assert_ptr_eq(e.sa, rig.out);
	ck_assert_uint_eq(e.spi, RIG_SPI);
	send_some(9);
	rig_event(rig.pa, -1); /* once */
	ck_assert_uint_eq(rig.n_wire, 19);
	rig_dropped(rig.a, DROP_NONE, 0);
	send_some(3); /* reaches the limit: the group does not go */
	e = rig_event(rig.pa, EV_HARD_EXPIRE);
	ck_assert_ptr_eq(e.sa, rig.out);
	rig_dropped(rig.a, DROP_SA_EXPIRED, 3);
	send_some(2);
	rig_dropped(rig.a, DROP_SA_EXPIRED, 2);
	rig_event(rig.pa, -1);
	ck_assert_uint_eq(rig.n_wire, 19);
	rig_free(&rig);
}
END_TEST

START_TEST(test_lifetime_in)
{
	struct rig_opts o[2] = { { .life_in = { .soft_packets = 3, .hard_packets = 6 } },
				 { .life_in = { .soft_bytes = 300, .hard_bytes = 600 } } };

	rig_new(&rig, &o[_i]);
	send_some(8);
	for (unsigned i = 0; i < 8; i++) {
		rig_in_wire(&rig, i);
		rig_event(rig.pb, i == 2 ? EV_SOFT_EXPIRE : i == 5 ? EV_HARD_EXPIRE : -1);
	}
	ck_assert_uint_eq(rig.n_got, 6);
	rig_dropped(rig.b, DROP_SA_EXPIRED, 2);
	/* what is not authentic does not use up a lifetime */
	rig_free(&rig);
	rig_new(&rig, &o[_i]);
	for (unsigned i = 0; i < 10; i++) {
		uint32_t n = rig_udp(4, i, 72, pkt);
		n = rig_seal_packet(&rig, i + 1, pkt, n, 0, IPPROTO_IPIP, esp);
		esp[20] ^= 1;
		rig_in(&rig, esp, n, 0);
	}
	rig_dropped(rig.b, DROP_AUTH, 10);
	rig_event(rig.pb, -1);
	ck_assert_uint_eq(rig.in->packets, 0);
	rig_free(&rig);
}
END_TEST

START_TEST(test_lifetime_seconds)
{
	struct rig_opts o = { .life_out = { .soft_ns = 10 * NS_PER_S, .hard_ns = 20 * NS_PER_S } };

	rig_new(&rig, &o);
	rig_now_ns += 10 * NS_PER_S - 1;
	ck_assert_uint_eq(sa_check_time(rig.out, rig_now_ns), 0);
	rig_now_ns++;
	ck_assert_uint_eq(sa_check_time(rig.out, rig_now_ns), SA_SOFT);
	ck_assert_uint_eq(sa_check_time(rig.out, rig_now_ns), 0);
	send_some(1);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_now_ns += 10 * NS_PER_S;
	ck_assert_uint_eq(sa_check_time(rig.out, rig_now_ns), SA_HARD);
	send_some(1);
	rig_dropped(rig.a, DROP_SA_EXPIRED, 1);
	rig_free(&rig);
}
END_TEST

/* A super-packet counts as the packets it becomes. */
START_TEST(test_lifetime_super)
{
	struct rig_opts o = { .life_out = { .soft_packets = 5 } };
	static uint8_t data[5000], super[6000];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 5000 };
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
				    .gso_size = 1000, .csum_start = 20, .csum_offset = 6 };

	rig_new(&rig, &o);
	rig_put(&rig, &h, super, pkt_make(&s, super));
	rig_out(&rig);
	rig_event(rig.pa, EV_SOFT_EXPIRE);
	ck_assert_uint_eq(rig.out->bytes, 5000 + 5 * 28);
	rig_free(&rig);
}
END_TEST

/* ---- sequence numbers ---------------------------------------------------------------------------- */

START_TEST(test_seq_exhausted)
{
	rig_new(&rig, NULL);
	rig.out->seq = UINT32_MAX - 3;
	rig.in->replay.top = UINT32_MAX - 3;
	send_some(2);
	rig_event(rig.pa, EV_SOFT_EXPIRE); /* few are left */
	rig_event(rig.pa, -1);
	send_some(2); /* one is left: RFC 4303 3.3.3, a number is never used twice, and a group takes all or none */
	struct ipsec_event e = rig_event(rig.pa, EV_SEQ_EXHAUSTED);
	ck_assert_ptr_eq(e.sa, rig.out);
	rig_dropped(rig.a, DROP_SEQ_EXHAUSTED, 2);
	send_some(1);
	rig_event(rig.pa, -1);
	ck_assert_uint_eq(rig.n_wire, 3);
	ck_assert_uint_eq(load_be32(rig.wire[2].p + 4), UINT32_MAX);
	send_some(1);
	rig_event(rig.pa, -1); /* told a moment ago */
	rig_now_ns += 20 * NS_PER_MS;
	send_some(1);
	rig_event(rig.pa, EV_SEQ_EXHAUSTED);
	rig_dropped(rig.a, DROP_SEQ_EXHAUSTED, 2);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 3);

	/* fragments take theirs one by one */
	static uint8_t big[3000];
	rig_got_clear(&rig);
	rig.out->seq = UINT32_MAX - 1;
	rig_now_ns += 20 * NS_PER_MS;
	rig_send(&rig, big, rig_udp(4, 1, 2800, big));
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_dropped(rig.a, DROP_SEQ_EXHAUSTED, 1);
	rig_event(rig.pa, EV_SEQ_EXHAUSTED);
	rig_free(&rig);
}
END_TEST

/* RFC 4303 appendix A: the high half is not sent; both sides count it. With losses round the wrap, reordering, and late copies. */
START_TEST(test_esn_wrap)
{
	static const char *const suites[] = { "aes128gcm16", "aes128-sha256", "chacha20poly1305" };
	struct rig_opts o = { .suite = suites[_i], .esn = true, .window = 64 };

	for (uint64_t high = 0; high < 3; high++) {
		uint64_t base = ((high + 1) << 32) - 100;
		rig_new(&rig, &o);
		rig.out->seq = base;
		rig.in->replay.top = base;
		send_some(200);
		ck_assert_uint_eq(rig.n_wire, 200);
		unsigned n = 0;
		for (unsigned i = 0; i < 200; i++) {
			unsigned k = i ^ 7; /* in eights, backwards */
			if (k % 11 == 3 || (k > 90 && k < 105))
				continue;
			rig_in_wire(&rig, k);
			n++;
		}
		ck_assert_uint_eq(rig.n_got, n);
		rig_dropped(rig.b, DROP_NONE, 0);
		ck_assert_uint_eq(rig.in->replay.top, base + 200);
		/* copies of the last 50 are known; those from before the window, over the wrap, are not from the future */
		for (unsigned i = 150; i < 200; i++)
			if (i % 11 != 3)
				rig_in_wire(&rig, i);
		ck_assert_uint_eq(rig.n_got, n);
		ck_assert_uint_gt(rig.b->c.drop.n[DROP_REPLAY], 40);
		for (unsigned i = 0; i < 50; i++)
			rig_in_wire(&rig, i);
		ck_assert_uint_eq(rig.n_got, n);
		ck_assert_uint_eq(rig.in->replay.top, base + 200);
		rig_free(&rig);
	}
}
END_TEST

/* ---- a new SPD ----------------------------------------------------------------------------------- */

static struct spd *swap(struct plane *p, bool side_b, enum policy_action action)
{
	struct rig_policy one = { .action = action };
	struct spd *old = plane_set_spd(p, rig_spd(&rig, &one, 1, side_b));

	spd_free(&old); /* nobody may look at it any more */
	return plane_spd(p);
}

START_TEST(test_spd_swap)
{
	rig_new(&rig, NULL);
	for (unsigned round = 0; round < 5; round++) {
		swap(rig.pa, false, POLICY_PROTECT);
		send_some(50);
		ck_assert_uint_eq(rig.n_wire, 50);
		send_some(50);
		ck_assert_uint_eq(rig.n_wire, 100);
		swap(rig.pa, false, POLICY_DISCARD);
		send_some(50);
		ck_assert_uint_eq(rig.n_wire, 100);
		rig_dropped(rig.a, DROP_POLICY_DISCARD, 50);

		swap(rig.pb, true, POLICY_PROTECT);
		for (unsigned i = 0; i < 50; i++)
			rig_in_wire(&rig, i);
		ck_assert_uint_eq(rig.n_got, 50);
		swap(rig.pb, true, POLICY_DISCARD);
		for (unsigned i = 50; i < 100; i++)
			rig_in_wire(&rig, i);
		ck_assert_uint_eq(rig.n_got, 50);
		rig_dropped(rig.b, DROP_POLICY_IN, 50);
		rig_wire_clear(&rig);
		rig_got_clear(&rig);
	}
	/* how often a policy was searched for, not how often it was used: once a flow, and again for the few that pushed each other out */
	swap(rig.pa, false, POLICY_PROTECT);
	for (unsigned i = 0; i < 20; i++)
		send_some(50);
	uint64_t hits = spd_policy(plane_spd(rig.pa), 0)->hits;
	ck_assert_uint_ge(hits, 50);
	ck_assert_uint_lt(hits, 500);
	rig_free(&rig);
}
END_TEST

/* No SPD at all: nothing goes. */
START_TEST(test_no_spd)
{
	rig_new(&rig, NULL);
	struct spd *old = plane_set_spd(rig.pa, NULL);
	spd_free(&old);
	send_some(2);
	rig_dropped(rig.a, DROP_NO_POLICY, 2);
	rig_free(&rig);
}
END_TEST

/* ---- two workers --------------------------------------------------------------------------------- */

#define SHARED 1500

static _Atomic unsigned taken[SHARED];

struct receiver {
	struct worker *w;
	bool backwards;
	pthread_t thread;
};

static void mark(struct worker *w)
{
	for (unsigned i = 0; i < w->n_in; i++) {
		unsigned which;
		memcpy(&which, w->in[i].ip + w->in[i].info.len - 4, 4);
		if (which < SHARED)
			taken[which]++;
	}
}

/* Every packet there is, in blocks, each thread in an order of its own. */
static void *receive_all(void *arg)
{
	struct receiver *t = arg;
	uint8_t *copy[SOCK_RX_MAX];

	urcu_qsbr_register_thread();
	for (unsigned i = 0; i < SHARED; i += 50) {
		for (unsigned k = 0; k < 50; k++) {
			unsigned which = i + (t->backwards ? 49 - k : k);
			const struct rig_frame *f = &rig.wire[which];
			copy[k] = malloc(f->len);
			memcpy(copy[k], f->p, f->len);
			t->w->rx[k] = (struct sock_rx) { .data = copy[k], .len = f->len, .seg = f->len };
			endpoint_to_sockaddr(&rig.peer_a, &t->w->rx[k].from);
		}
		rig_begin(t->w);
		inbound_datagrams(t->w, 50, true, mark);
		for (unsigned k = 0; k < 50; k++)
			free(copy[k]);
		urcu_qsbr_quiescent_state();
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

START_TEST(test_workers_share_window)
{
	struct rig_opts o = { .workers = 2, .esn = true, .window = 4096 };
	struct receiver t[2];
	struct plane_stats s;

	rig_new(&rig, &o);
	memset((void *)taken, 0, sizeof(taken));
	for (unsigned i = 0; i < SHARED; i++) {
		uint32_t n = rig_udp(4, i, 60, pkt);
		memcpy(pkt + n - 4, &i, 4);
		rig_put(&rig, NULL, pkt, n);
		if (rig.a->n_out == 100)
			rig_out(&rig);
	}
	ck_assert_uint_eq(rig.n_wire, SHARED);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = (struct receiver) { .w = rig.pb->worker[i], .backwards = i };
		ck_assert_int_eq(pthread_create(&t[i].thread, NULL, receive_all, &t[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i].thread, NULL);
	for (unsigned i = 0; i < SHARED; i++)
		ck_assert_uint_eq(taken[i], 1);
	plane_stats(rig.pb, &s);
	ck_assert_uint_eq(s.in_packets, SHARED);
	ck_assert_uint_eq(s.drop.n[DROP_REPLAY], SHARED);
	ck_assert_uint_eq(rig.in->replay.top, SHARED);
	rig_free(&rig);
}
END_TEST

static uint32_t numbers[2][SHARED];
static __thread uint32_t *numbers_at;

static void note_numbers(struct worker *w)
{
	for (unsigned i = 0; i < w->n_frame; i++)
		*numbers_at++ = load_be32(w->frame[i].esp + 4);
}

static void *send_all(void *arg)
{
	struct worker *w = arg;
	uint8_t p[200];

	urcu_qsbr_register_thread();
	numbers_at = numbers[w->number];
	uint32_t n = rig_udp(4, w->number, 60, p);
	for (unsigned i = 0; i < SHARED / 10; i++) {
		for (unsigned k = 0; k < 10; k++) {
			w->out[k].vnet = (struct virtio_net_hdr) { 0 };
			w->out[k].ip = w->read_arena + k * 256u;
			w->out[k].info.len = n;
			memcpy(w->out[k].ip, p, n);
		}
		w->n_out = 10;
		rig_begin(w);
		outbound_batch(w, note_numbers);
		urcu_qsbr_quiescent_state();
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

START_TEST(test_workers_share_numbers)
{
	struct rig_opts o = { .workers = 2 };
	static uint8_t seen[2 * SHARED + 1];
	pthread_t t[2];

	rig_new(&rig, &o);
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, send_all, rig.pa->worker[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < 2 * SHARED; i++) {
		uint32_t seq = numbers[i / SHARED][i % SHARED];
		ck_assert_uint_ge(seq, 1);
		ck_assert_uint_le(seq, 2 * SHARED);
		ck_assert_uint_eq(seen[seq]++, 0);
	}
	ck_assert_uint_eq(rig.out->seq, 2 * SHARED);
	rig_free(&rig);
}
END_TEST

/* ---- events -------------------------------------------------------------------------------------- */

/* The descriptor is readable exactly while something may wait; what does not fit is there the next time. */
START_TEST(test_events)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .no_sa = true } }, .n_policy = 1 };
	struct ipsec_event e[10];
	uint64_t n;

	rig_new(&rig, &o);
	ck_assert_int_lt(read(plane_event_fd(rig.pa), &n, sizeof(n)), 0);
	for (unsigned i = 0; i < 15; i++) {
		send_some(3); /* one event for the three */
		rig_now_ns += 20 * NS_PER_MS;
	}
	ck_assert_int_gt(read(plane_event_fd(rig.pa), &n, sizeof(n)), 0);
	ck_assert_uint_eq(n, 1); /* one system call for all */
	ck_assert_uint_eq(plane_events(rig.pa, e, 10), 10);
	ck_assert_int_gt(read(plane_event_fd(rig.pa), &n, sizeof(n)), 0);
	ck_assert_uint_eq(plane_events(rig.pa, e, 10), 5);
	ck_assert_int_lt(read(plane_event_fd(rig.pa), &n, sizeof(n)), 0);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(e[i].type, EV_ACQUIRE);
	send_some(1);
	ck_assert_int_gt(read(plane_event_fd(rig.pa), &n, sizeof(n)), 0);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_sa(void)
{
	TCase *t = tcase_create("sa");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_lifetime_out, 0, 2);
	tcase_add_loop_test(t, test_lifetime_in, 0, 2);
	tcase_add_test(t, test_lifetime_seconds);
	tcase_add_test(t, test_lifetime_super);
	tcase_add_test(t, test_seq_exhausted);
	tcase_add_loop_test(t, test_esn_wrap, 0, 3);
	tcase_add_test(t, test_spd_swap);
	tcase_add_test(t, test_no_spd);
	tcase_add_test(t, test_workers_share_window);
	tcase_add_test(t, test_workers_share_numbers);
	tcase_add_test(t, test_events);
	return t;
}
