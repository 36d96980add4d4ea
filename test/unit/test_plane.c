/* Two planes against each other over a wire that loses, repeats and reorders; every suite; and the parts of the other files. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto_util.h"
#include "plane_rig.h"

#define WAY_PACKETS 1500
#define WAY_MAX 1400

static struct rig rig; /* large */

/* What comes out of a bad wire is part of what went in, each at most once, bit for bit. */
static void bad_wire(bool esn, uint32_t window, unsigned reorder)
{
	static uint8_t sent[WAY_PACKETS][WAY_MAX + 60];
	static uint32_t sent_len[WAY_PACKETS];
	static unsigned order[3 * WAY_PACKETS], seen[WAY_PACKETS];
	struct rig_opts o = { .esn = esn, .window = window };
	unsigned n_order = 0, kept = 0;

	rig_new(&rig, &o);
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < WAY_PACKETS; i++) {
		sent_len[i] = rig_udp(i % 3 ? 4 : 6, i, 8 + pick(WAY_MAX - 100), sent[i]);
		memcpy(sent[i] + sent_len[i] - 4, &i, 4); /* which one it is; the checksum is none of the plane's business */
		rig_put(&rig, NULL, sent[i], sent_len[i]);
		if (rig.a->n_out == 100 || i + 1 == WAY_PACKETS)
			rig_out(&rig);
	}
	ck_assert_uint_eq(rig.n_wire, WAY_PACKETS);
	for (unsigned i = 0; i < WAY_PACKETS; i++) {
		unsigned copies = pick(10) == 0 ? 0 : pick(10) == 0 ? 2 : 1;
		kept += copies > 0;
		for (unsigned k = 0; k < copies; k++)
			order[n_order++] = i;
	}
	for (unsigned i = 0; i + reorder < n_order; i++) {
		unsigned k = i + pick(reorder + 1), t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
	for (unsigned i = 0; i < n_order; i++)
		rig_in_wire(&rig, order[i]);
	for (unsigned i = 0; i < rig.n_got; i++) {
		unsigned which;
		ck_assert_uint_gt(rig.got[i].len, 4);
		memcpy(&which, rig.got[i].p + rig.got[i].len - 4, 4);
		ck_assert_uint_lt(which, WAY_PACKETS);
		ck_assert_uint_eq(seen[which]++, 0);
		rig_got_is(&rig, i, sent[which], sent_len[which]);
	}
	ck_assert_uint_le(rig.n_got, kept);
	if (reorder < window / 2) /* a swap chain moves some a long way; most stay near */
		ck_assert_uint_ge(rig.n_got, kept - kept / 20);
	/* of an extended number left of the window, the high half is guessed one too large (RFC 4303 A2.2): it is not authentic then */
	uint64_t guessed = esn ? rig.b->c.drop.n[DROP_AUTH] : 0;
	ck_assert_uint_eq(rig.in->drops[SA_DROP_AUTH], guessed);
	ck_assert_uint_eq(rig.in->drops[SA_DROP_REPLAY], n_order - rig.n_got - guessed);
	rig.b->c.drop.n[DROP_AUTH] -= guessed;
	rig_dropped(rig.b, DROP_REPLAY, n_order - rig.n_got - guessed);
	ck_assert_uint_eq(rig.b->c.in_packets, rig.n_got);
	ck_assert_uint_eq(rig.b->c.in_wire_packets, n_order);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_free(&rig);
}

START_TEST(test_bad_wire)
{
	bad_wire(false, 2048, 0);
	bad_wire(true, 2048, 20);
	bad_wire(true, 32, 60);
	bad_wire(false, 65536, 500);
}
END_TEST

/* Without a window everything authentic is taken, also twice. */
START_TEST(test_no_window)
{
	struct rig_opts o = { .no_window = true };
	uint8_t p[200];
	uint32_t n = rig_udp(4, 1, 50, p);

	rig_new(&rig, &o);
	rig_send(&rig, p, n);
	rig_in_wire(&rig, 0);
	rig_in_wire(&rig, 0);
	ck_assert_uint_eq(rig.n_got, 2);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* Many packets in one datagram, as UDP_GRO brings them, with copies among them; the last is shorter. */
START_TEST(test_gro_datagram)
{
	uint8_t p[6][300], all[2000];
	uint32_t n[6], len = 0;

	rig_new(&rig, NULL);
	for (unsigned i = 0; i < 6; i++) {
		n[i] = rig_udp(4, i, i == 5 ? 30 : 200, p[i]);
		rig_put(&rig, NULL, p[i], n[i]);
	}
	rig_out(&rig);
	for (unsigned i = 0; i < 6; i++) {
		memcpy(all + len, rig.wire[i == 3 ? 2 : i].p, rig.wire[i].len);
		len += rig.wire[i].len;
	}
	rig_in_from(&rig, all, len, rig.wire[0].len, 0, &rig.peer_a);
	ck_assert_uint_eq(rig.n_got, 5);
	for (unsigned i = 0, k = 0; i < 6; i++)
		if (i != 3)
			rig_got_is(&rig, k++, p[i], n[i]);
	rig_dropped(rig.b, DROP_REPLAY, 1);
	ck_assert_uint_eq(rig.b->c.in_wire_packets, 6);
	ck_assert_uint_eq(rig.b->c.in_wire_bytes, len);
	rig_free(&rig);
}
END_TEST

/* More ESP packets than one crypto call takes, in one receive batch. */
START_TEST(test_large_batch)
{
	static uint8_t all[10][65536];
	uint8_t p[300];
	uint32_t n = 0, seg = 0;

	rig_new(&rig, NULL);
	for (unsigned i = 0; i < 600; i++) {
		n = rig_udp(4, i, 20, p);
		rig_put(&rig, NULL, p, n);
		if (rig.a->n_out == 200)
			rig_out(&rig);
	}
	ck_assert_uint_eq(rig.n_wire, 600);
	seg = rig.wire[0].len;
	for (unsigned i = 0; i < 600; i++)
		memcpy(all[i / 60] + i % 60 * seg, rig.wire[i].p, seg);
	for (unsigned i = 0; i < 10; i++) {
		rig.b->rx[i] = (struct sock_rx) { .data = all[i], .len = 60 * seg, .seg = seg };
		endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[i].from);
	}
	rig_begin(rig.b);
	close(rig.b->tun_fd);
	rig.b->tun_fd = -1;
	inbound_datagrams(rig.b, 10, true, deliver_packets);
	ck_assert_uint_eq(rig.b->c.in_packets, 600);
	rig_dropped(rig.b, DROP_TUN_WRITE, 600);
	rig_free(&rig);
}
END_TEST

static void one_suite(const struct esp_suite *s, void *arg)
{
	bool *esn = arg;
	struct rig_opts o = { .suite_made = s, .esn = *esn };
	static uint8_t p[40][1500];
	uint32_t n[40];

	rig_new(&rig, &o);
	for (unsigned i = 0; i < 40; i++) {
		n[i] = rig_udp(i % 2 ? 4 : 6, i, i < 36 ? i : 1200 + i, p[i]);
		rig_put(&rig, NULL, p[i], n[i]);
	}
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 40);
	for (unsigned i = 0; i < 40; i++)
		ck_assert_uint_eq(rig.wire[i].len, esp_wire_len(rig.out, n[i]));
	rig_in_all(&rig);
	char name[48];
	ck_assert_msg(rig.n_got == 40, "%s: %u of 40 packets", esp_suite_name(s, name), rig.n_got);
	for (unsigned i = 0; i < 40; i++)
		rig_got_is(&rig, i, p[i], n[i]);
	rig_free(&rig);
}

START_TEST(test_every_suite)
{
	bool esn = _i;

	suites_each(one_suite, &esn);
}
END_TEST

/* Outer IPv6 and raw ESP take the same way with other numbers. */
START_TEST(test_raw_and_v6)
{
	struct rig_opts o = { .raw = true, .outer_ver = 6 };
	uint8_t p[200];
	uint32_t n = rig_udp(6, 1, 50, p);

	rig_new(&rig, &o);
	rig_send(&rig, p, n);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_got_is(&rig, 0, p, n);
	rig_event(rig.pb, -1);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_way(void)
{
	TCase *t = tcase_create("way");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_bad_wire);
	tcase_add_test(t, test_no_window);
	tcase_add_test(t, test_gro_datagram);
	tcase_add_test(t, test_large_batch);
	tcase_add_loop_test(t, test_every_suite, 0, 2);
	tcase_add_test(t, test_raw_and_v6);
	return t;
}

int main(void)
{
	Suite *s = suite_create("plane");

	if (!rig_global_init())
		return EXIT_FAILURE;
	suite_add_tcase(s, tcase_plane_way());
	suite_add_tcase(s, tcase_plane_drops());
	suite_add_tcase(s, tcase_plane_out());
	suite_add_tcase(s, tcase_plane_gso());
	suite_add_tcase(s, tcase_plane_bytes());
	suite_add_tcase(s, tcase_plane_in());
	suite_add_tcase(s, tcase_plane_sa());
	suite_add_tcase(s, tcase_plane_send());
	suite_add_tcase(s, tcase_plane_keying());
	suite_add_tcase(s, tcase_plane_ike());
	suite_add_tcase(s, tcase_plane_transport());
	suite_add_tcase(s, tcase_plane_ah());
	suite_add_tcase(s, tcase_plane_bundle());
	suite_add_tcase(s, tcase_plane_group());
	suite_add_tcase(s, tcase_plane_fragments());
	suite_add_tcase(s, tcase_plane_bridge());
	suite_add_tcase(s, tcase_plane_audit());
	suite_add_tcase(s, tcase_plane_icmp());
	suite_add_tcase(s, tcase_plane_pick());
	suite_add_tcase(s, tcase_plane_pmtu());
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
