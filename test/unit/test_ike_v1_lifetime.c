/*
 * Lifetimes of RFC 2407 4.5 and RESPONDER-LIFETIME (4.6.3.1) as a message of its own: of phase 1, in
 * seconds and kilobytes, and of what Quick Mode made.
 */
#include "ike/v1/quick.h"
#include "test_ike_v1_duo.h"

/* b tells a; spi: NULL for the cookies. */
static void tell(uint8_t proto, struct span spi, uint64_t seconds, uint64_t kbytes)
{
	struct v1_life life = { .seconds = seconds, .kbytes = kbytes };
	uint8_t data[24];

	d.b.ike->arena_used = 0;
	v1_notify(v1duo_sa(&d.b), proto, spi, IKE1_RESPONDER_LIFETIME,
		  span_of(data, v1_life_write(&life, proto == IKE_PROTO_IKE, data)));
	duo_settle(&d);
}

/* So many exchanges under phase 1. */
static void chat(unsigned n)
{
	while (n--) {
		d.a.ike->arena_used = 0;
		v1_dpd_ask(v1duo_sa(&d.a), clock_now_ns());
		duo_settle(&d);
	}
}

/* Who accepted more than it will give says so, and the initiator is in time for that. */
START_TEST(test_phase1_lifetime_is_told)
{
	if (_i & 1)
		v1duo_aggressive();
	struct duo_node *shorter = _i & 2 ? &d.a : &d.b;
	shorter->conn->rekey_ns = 600 * NS_PER_S;
	shorter->conn->over_ns = 60 * NS_PER_S;
	v1duo_up();
	unsigned sent = d.b.sent;
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_le(v1duo_sa(n[i])->over_ns, clock_now_ns() + 661 * NS_PER_S);
		ck_assert_uint_le(v1duo_sa(n[i])->rekey_ns, clock_now_ns() + 600 * NS_PER_S);
		ck_assert_uint_ne(v1duo_sa(n[i])->over_ns, 0);
	}
	/* Main Mode 3, Quick Mode 1, and the notify; Aggressive Mode has one message */
	ck_assert_uint_eq(sent, (_i & 1 ? 1u : 3u) + 1 + !(_i & 2));
	duo_run(&d, 661 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	duo_agree(&d);
}
END_TEST

/* What has no limit at all does not say one. */
START_TEST(test_phase1_without_limit_tells_none)
{
	d.b.conn->rekey_ns = d.b.conn->reauth_ns = 0;
	d.a.conn->rekey_ns = 200000 * NS_PER_S;
	v1duo_up();
	ck_assert_uint_eq(d.b.sent, 4);
}
END_TEST

/* Kilobytes: at nine tenths another one is made, and the children go over. */
START_TEST(test_phase1_kilobytes)
{
	v1duo_up();
	tell(IKE_PROTO_IKE, span_of(NULL, 0), 0, 16);
	ck_assert_uint_eq(v1duo_sa(&d.a)->v1->kbytes, 16);
	duo_run(&d, 20 * NS_PER_S);
	chat(20);
	duo_run(&d, 20 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1); /* a few of them are little */
	while (v1duo_sa(&d.a)->v1->bytes < 16 * 1024 / 10 * 9)
		chat(1);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 2);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_lt(v1duo_sa(&d.a)->v1->bytes, 8 * 1024);
	duo_agree(&d);
}
END_TEST

/* At the limit it ends, though it could not be replaced; its children go on. */
static bool no_main_mode(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	return m->p[18] != IKE1_X_MAIN;
}

START_TEST(test_phase1_kilobytes_are_used_up)
{
	v1duo_up();
	duo_run(&d, 30 * NS_PER_S);
	tell(IKE_PROTO_IKE, span_of(NULL, 0), 0, 8);
	d.hook = no_main_mode;
	while (v1duo_sa(&d.a)->v1->bytes < 8 * 1024)
		chat(1);
	duo_run(&d, NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert(v1duo_sa(&d.a)->v1->keyless);
	ck_assert(v1duo_sa(&d.b)->v1->keyless);
}
END_TEST

/* An initiator's offer counts the same; one that is used up at once is not replaced at once. */
START_TEST(test_phase1_kilobytes_offered)
{
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &(uint64_t){ 0 }, why, sizeof(why)), 0);
	ck_assert(duo_one(&d)); /* message 1 */
	v1duo_sa(&d.b)->v1->ph->offer.life.kbytes = 1;
	duo_settle(&d);
	ck_assert_uint_eq(v1duo_sa(&d.b)->v1->kbytes, 1);
	duo_run(&d, 8 * NS_PER_S);
	chat(10);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 2);
	duo_agree(&d);
}
END_TEST

/* Ours, offered as initiator and told as responder; the smaller one of two holds on both sides. */
START_TEST(test_phase1_kilobytes_configured)
{
	struct duo_node *n[] = { &d.a, &d.b };
	static const uint64_t kbytes[][3] = {
		{ 64, 0, 64 }, { 0, 64, 64 }, { 64, 100, 64 }, { 100, 64, 64 }, { 70000, 0, 70000 }, { 0, 0, 0 },
	};

	d.a.conn->life_bytes = kbytes[_i][0] * 1024;
	d.b.conn->life_bytes = kbytes[_i][1] * 1024;
	v1duo_up();
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(v1duo_sa(n[i])->v1->kbytes, kbytes[_i][2]);
	/* Main Mode 3, Quick Mode 1, and the notify when there is something to tell */
	ck_assert_uint_eq(d.b.sent, 4u + (kbytes[_i][1] && (!kbytes[_i][0] || kbytes[_i][1] < kbytes[_i][0])));
	if (kbytes[_i][2] != 64)
		return;
	/* one of them begins in time, not both */
	while (v1duo_sa(&d.a)->v1->bytes < 64 * 1024 / 10 * 8)
		chat(1);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* Of another SA, or none: nothing. */
START_TEST(test_phase1_lifetime_of_another)
{
	static const uint8_t other[16] = { 1 };

	v1duo_up();
	uint64_t over = v1duo_sa(&d.a)->over_ns;
	tell(IKE_PROTO_IKE, span_of(other, 16), 10, 1);
	ck_assert_uint_eq(v1duo_sa(&d.a)->over_ns, over);
	ck_assert_uint_eq(v1duo_sa(&d.a)->v1->kbytes, 0);
	/* longer than ours is no limit either */
	tell(IKE_PROTO_IKE, span_of(NULL, 0), 1u << 30, 0);
	ck_assert_uint_eq(v1duo_sa(&d.a)->over_ns, over);
	tell(IKE_PROTO_IKE, span_of(NULL, 0), 100, 0);
	ck_assert_uint_eq(v1duo_sa(&d.a)->over_ns, clock_now_ns() + 100 * NS_PER_S);
}
END_TEST

/* Behind Quick Mode: the pair is replaced soon by one that has the limit from the start, and that one
 * stays. */
START_TEST(test_child_kilobytes_afterwards)
{
	uint8_t spi[4];

	if (_i)
		d.a.conn->child[0].life_bytes = 1 << 30;
	v1duo_up();
	store_be32(spi, duo_child(&d.b, 0)->up.spi_in);
	tell(IKE_PROTO_ESP, span_of(spi, 4), 0, 2048);
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.life.hard_bytes, 2048 * 1024);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.life.hard_bytes, 2048 * 1024);
	/* the same again, or more, is nothing new */
	store_be32(spi, duo_child(&d.b, 0)->up.spi_in);
	tell(IKE_PROTO_ESP, span_of(spi, 4), 0, 2048);
	tell(IKE_PROTO_ESP, span_of(spi, 4), 0, 4096);
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	duo_agree(&d);
}
END_TEST

TCase *v1duo_lifetime_case(void)
{
	TCase *t = v1duo_case("lifetimes");

	tcase_add_loop_test(t, test_phase1_lifetime_is_told, 0, 4);
	tcase_add_test(t, test_phase1_without_limit_tells_none);
	tcase_add_test(t, test_phase1_kilobytes);
	tcase_add_test(t, test_phase1_kilobytes_are_used_up);
	tcase_add_test(t, test_phase1_kilobytes_offered);
	tcase_add_loop_test(t, test_phase1_kilobytes_configured, 0, 6);
	tcase_add_test(t, test_phase1_lifetime_of_another);
	tcase_add_loop_test(t, test_child_kilobytes_afterwards, 0, 2);
	return t;
}
