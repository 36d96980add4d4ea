/*
 * A pair's life but for its rekeying: made later under the same IKE SA, by one side or both at
 * once; its lifetimes and limits; deleted by the peer (close_action); and handed over to a new IKE
 * SA (reauthentication).
 */
#include "ike/proto.h"
#include "test_ike_change.h"

static struct duo d;

/* ---- new children */

START_TEST(test_new_child)
{
	struct duo_node *n = _i & 1 ? &d.b : &d.a;

	duo_init(&d, (uint64_t)_i + 1);
	change_more(&d);
	if (_i & 2) {
		duo_proposals(&d.a.conn->child[1].proposals, IKE_PROTO_ESP,
			      "aes128gcm16-curve25519-ecp256");
		duo_proposals(&d.b.conn->child[1].proposals, IKE_PROTO_ESP,
			      "aes128gcm16-ecp256-curve25519");
	}
	change_start(&d);
	duo_up(&d, n, n == &d.a ? "b/more" : "a/more");
	change_rest(&d, 1, 2);
	duo_down(&d, n, n == &d.a ? "b/more" : "a/more");
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* Of what a sends, the second fragment of its request and the first of its answer are lost once. */
static bool lose_other_halves(struct duo *duo, struct duo_msg *m)
{
	unsigned *lost = duo->hook_arg;
	unsigned answer = !!(m->p[19] & IKE2_FLAG_R);

	if (m->from != &duo->a || m->p[16] != IKE2_SKF || lost[answer])
		return true;
	if (load_be16(m->p + 32) != (answer ? 1 : 2))
		return true;
	lost[answer] = load_be32(m->p + 20) + 1;
	return false;
}

/* A request and an answer with one message ID, both in fragments: their fragments are not mixed. */
START_TEST(test_halves_not_mixed)
{
	uint64_t a, b;
	unsigned lost[2] = { 0 };

	duo_init(&d, (uint64_t)_i + 1);
	change_more(&d);
	d.a.conn->fragment_size = d.b.conn->fragment_size = 200;
	change_start(&d);
	duo_up(&d, &d.a, "b/more");
	change_done(&d, &d.a, change_rekey(&d.a, "b", false)); /* both count from 0 again */
	duo_settle(&d);
	d.hook_arg = lost;
	d.hook = lose_other_halves;
	a = change_rekey(&d.a, "b/net", false);
	b = change_rekey(&d.b, "a/more", false);
	change_done(&d, &d.a, a);
	change_done(&d, &d.b, b);
	ck_assert_uint_ne(lost[0], 0);
	ck_assert_uint_eq(lost[0], lost[1]);
	d.hook = NULL;
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

static bool late_requests_of_b(struct duo *duo, struct duo_msg *m)
{
	const uint64_t *until = duo->hook_arg;

	return m->from != &duo->b || (m->p[19] & IKE2_FLAG_R) || duo->now_ns >= *until;
}

/* Both sides ask for the same child, and what one of them says is late, so that two pairs may come
 * up, of which one is rekeyed meanwhile: one is left, on both sides the same. */
START_TEST(test_new_child_at_once)
{
	uint64_t a, b, until;

	duo_init(&d, (uint64_t)_i + 1);
	change_more(&d);
	d.a.conn->unique = d.b.conn->unique = IKE_UNIQUE_REPLACE;
	change_start(&d);
	until = d.now_ns + SECONDS(3);
	d.hook_arg = &until;
	d.hook = late_requests_of_b;
	b = change_up(&d.b, "a/more");
	a = change_up(&d.a, "b/more");
	change_done(&d, &d.a, a);
	if (_i & 1)
		change_done(&d, &d.a, change_rekey(&d.a, "b/more", false));
	change_done(&d, &d.b, b);
	d.hook = NULL;
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

START_TEST(test_new_child_refused)
{
	duo_init(&d, 1);
	duo_conf_child(d.a.conn, "more", "10.3.0.0/16", "10.4.0.0/16");
	change_start(&d);
	duo_up_fails(&d, &d.a, "b/more", "TS_UNACCEPTABLE");
	change_rest(&d, 1, 1);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "10.3.0.0/16"));
	duo_fini(&d);
}
END_TEST

/* A peer cannot fill our memory with children. */
START_TEST(test_too_many_children)
{
	duo_init(&d, 1);
	change_more(&d);
	change_start(&d);
	struct ike_sa *sa = change_sa(&d.b);
	sa->n_children += 1000; /* as if */
	duo_up_fails(&d, &d.a, "b/more", "NO_ADDITIONAL_SAS");
	sa->n_children -= 1000;
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* ---- time */

START_TEST(test_lifetimes)
{
	duo_init(&d, (uint64_t)_i + 1);
	for (struct duo_node *n = &d.a;; n = &d.b) {
		n->conn->child[0].rekey_ns = SECONDS(100);
		n->conn->child[0].rand_ns = SECONDS(10);
		n->conn->child[0].life_ns = SECONDS(110);
		n->conn->rekey_ns = SECONDS(400);
		n->conn->rand_ns = SECONDS(40);
		n->conn->over_ns = SECONDS(40);
		if (n == &d.b)
			break;
	}
	change_start(&d);
	duo_run(&d, SECONDS(3600));
	/* about 36 and 9 times, whoever was first; never down */
	ck_assert_uint_ge(d.a.count[IKE_EV_CHILD_REKEYED], 35);
	ck_assert_uint_le(d.a.count[IKE_EV_CHILD_REKEYED], 45);
	ck_assert_uint_ge(d.a.count[IKE_EV_SA_REKEYED], 9);
	ck_assert_uint_le(d.a.count[IKE_EV_SA_REKEYED], 12);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(duo_sas(&d.a), duo_sas(&d.b));
	duo_fini(&d);
}
END_TEST

/* A limit of bytes, of packets, or the end of the sequence numbers: the SAD says so. */
START_TEST(test_expired)
{
	duo_init(&d, 1);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	change_start(&d);
	struct duo_child *c = duo_child(&d.a, 0);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, false);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, false);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	c = duo_child(&d.a, 0);
	ike_child_expired(d.a.ike, c->up.reqid, c->up.spi_in, true);
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_UP], 2);
	duo_fini(&d);
}
END_TEST

/* Without ESN the SAD tells before the sequence numbers are used up, whatever is configured. */
START_TEST(test_sequence_numbers)
{
	static const struct {
		const char *esp;
		uint64_t conf, least, most;
	} c[] = {
		{ "aes128gcm16-noesn", 0, 3000000000, 3500000000 },
		{ "aes128gcm16-noesn", 1ull << 40, 3000000000, 3500000000 },
		{ "aes128gcm16-noesn", 1000, 900, 1000 },
		{ "aes128gcm16-esn", 0, 0, 0 },
		{ "aes128gcm16-esn", 1ull << 40, 1ull << 39, 1ull << 40 },
	};

	duo_init(&d, 1);
	change_esp(&d, c[_i].esp, c[_i].esp);
	d.a.conn->child[0].rekey_packets = c[_i].conf;
	d.a.conn->child[0].rand_packets = c[_i].conf / 10;
	change_start(&d);
	struct sa_lifetime life = duo_child(&d.a, 0)->up.life;
	ck_assert_uint_ge(life.soft_packets, c[_i].least);
	ck_assert_uint_le(life.soft_packets, c[_i].most);
	duo_fini(&d);
}
END_TEST

/* What cannot be rekeyed ends when its lifetime does. */
START_TEST(test_hard_end)
{
	duo_init(&d, 1);
	change_esp(&d, "aes128gcm16-curve25519", "aes128gcm16-ecp256");
	d.a.conn->child[0].rekey_ns = SECONDS(100);
	d.a.conn->child[0].life_ns = SECONDS(300);
	change_start(&d);
	duo_run(&d, SECONDS(250));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	change_rest(&d, 1, 0);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.a, IKE_EV_FAILED)->text, "lifetime is over"));
	duo_fini(&d);
}
END_TEST

START_TEST(test_inactive)
{
	duo_init(&d, 1);
	d.a.conn->child[0].inactivity_ns = SECONDS(100);
	change_start(&d);
	duo_run(&d, SECONDS(90));
	duo_child(&d.a, 0)->out_ns = d.now_ns;
	duo_run(&d, SECONDS(90));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	change_rest(&d, 1, 0);
	duo_fini(&d);
}
END_TEST

/* ---- the peer deletes: close_action */

START_TEST(test_close_action)
{
	bool ike = _i >= 3;

	duo_init(&d, 1);
	d.b.conn->child[0].close_action = (enum ike_action)(_i % 3);
	change_start(&d);
	if (ike)
		duo_down(&d, &d.a, "b");
	else
		duo_down(&d, &d.a, "b/net");
	duo_run(&d, SECONDS(10));
	switch (_i % 3) {
	case IKE_ACTION_CLEAR:
		ck_assert_uint_eq(d.b.n_traps, 0);
		change_rest(&d, ike ? 0 : 1, 0);
		break;
	case IKE_ACTION_TRAP:
		ck_assert_uint_eq(d.b.n_traps, 1);
		change_rest(&d, ike ? 0 : 1, 0);
		break;
	case IKE_ACTION_RESTART:
		change_rest(&d, 1, 1);
		break;
	}
	duo_fini(&d);
}
END_TEST

/* ---- reauthentication */

START_TEST(test_reauth)
{
	duo_init(&d, (uint64_t)_i + 1);
	change_more(&d);
	d.a.conn->reauth_ns = SECONDS(100);
	d.a.conn->over_ns = SECONDS(20);
	d.a.conn->unique = d.b.conn->unique = _i ? IKE_UNIQUE_REPLACE : IKE_UNIQUE_NO;
	change_start(&d);
	duo_up(&d, &d.a, "b/more");
	uint32_t reqid = duo_child(&d.a, 0)->up.reqid;
	uint64_t order = change_rekey(&d.a, "b", true);
	/* at no moment less than what was */
	while (!duo_last(&d.a, IKE_EV_DONE) || duo_last(&d.a, IKE_EV_DONE)->order != order) {
		ck_assert(duo_one(&d));
		ck_assert_uint_ge(duo_children(&d.a), 2);
		ck_assert_uint_ge(duo_children(&d.b), 2);
	}
	change_rest(&d, 1, 2);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.reqid, reqid);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	/* and by itself */
	duo_run(&d, SECONDS(500));
	ck_assert_uint_ge(d.a.count[IKE_EV_SA_UP], 6);
	change_rest(&d, 1, 2);
	duo_fini(&d);
}
END_TEST

static bool drop_init(struct duo *duo, struct duo_msg *m)
{
	return m->p[18] != IKE2_X_SA_INIT;
}

/* Answers to deletes; each needs b to send by the newest pair already. */
static bool delete_answered(struct duo *duo, struct duo_msg *m)
{
	unsigned *answers = duo->hook_arg;
	const struct duo_child *newest = duo_child(&duo->b, duo_children(&duo->b) - 1);

	if (m->from == &duo->b && m->p[18] == IKE2_X_INFO && m->p[19] & IKE2_FLAG_R) {
		ck_assert(newest->out);
		(*answers)++;
	}
	return true;
}

/* Nothing has come by the new pair yet, and the peer deletes the old IKE SA: before it hears the
 * answer, which ends what it accepts, we send by the new pair. */
START_TEST(test_reauth_hands_over)
{
	unsigned answers = 0;

	duo_init(&d, 1);
	change_start(&d);
	d.hook = delete_answered;
	d.hook_arg = &answers;
	uint64_t order = change_rekey(&d.a, "b", true);
	while (!duo_last(&d.a, IKE_EV_DONE) || duo_last(&d.a, IKE_EV_DONE)->order != order)
		ck_assert(duo_one(&d));
	ck_assert_uint_eq(duo_children(&d.b), 2);
	ck_assert(duo_child(&d.b, 0)->out);
	duo_run(&d, SECONDS(1));
	ck_assert_uint_ge(answers, 1);
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* The new SA cannot be made: the old one goes on until over_time, and it is tried again. */
START_TEST(test_reauth_fails)
{
	duo_init(&d, 1);
	d.a.conn->reauth_ns = SECONDS(100);
	d.a.conn->over_ns = SECONDS(1000);
	change_start(&d);
	d.hook = drop_init;
	uint64_t order = change_rekey(&d.a, "b", true);
	change_failed(&d, &d.a, order, "does not answer");
	ck_assert_uint_eq(duo_children(&d.a), 1);
	d.hook = NULL;
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	duo_fini(&d);
}
END_TEST

TCase *ike_life_case(void)
{
	TCase *t = tcase_create("life");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_new_child, 0, 4);
	tcase_add_loop_test(t, test_halves_not_mixed, 0, 4);
	tcase_add_loop_test(t, test_new_child_at_once, 0, 16);
	tcase_add_test(t, test_new_child_refused);
	tcase_add_test(t, test_too_many_children);
	tcase_add_loop_test(t, test_lifetimes, 0, 4);
	tcase_add_test(t, test_expired);
	tcase_add_loop_test(t, test_sequence_numbers, 0, 5);
	tcase_add_test(t, test_hard_end);
	tcase_add_test(t, test_inactive);
	tcase_add_loop_test(t, test_close_action, 0, 6);
	tcase_add_loop_test(t, test_reauth, 0, 2);
	tcase_add_test(t, test_reauth_hands_over);
	tcase_add_test(t, test_reauth_fails);
	return t;
}
