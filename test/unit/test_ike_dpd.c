/* Liveness: the peer is frozen, gone or started anew; dpd_action, keepalives, over_time. */
#include "test_ike_change.h"

static struct duo d;

/* Retransmissions give up after about 165 s. */
#define GIVES_UP SECONDS(4 + 8 + 13 + 24 + 42 + 76 + 5)

/* `status` shows it as the last failure */
static void remembers(const struct ike_conn_view *v, void *arg)
{
	(void)arg;
	ck_assert_ptr_nonnull(v->last_error);
	ck_assert_ptr_nonnull(strstr(v->last_error, "does not answer"));
	ck_assert_uint_ne(v->last_error_wall_ns, 0);
}

START_TEST(test_frozen)
{
	duo_init(&d, 1);
	d.a.conn->dpd_delay_ns = SECONDS(30);
	d.a.conn->child[0].dpd_action = (enum ike_action)_i;
	d.a.conn->keyingtries = 0;
	change_start(&d);
	d.b.frozen = true;
	duo_run(&d, SECONDS(29));
	unsigned sent = d.a.sent;
	duo_run(&d, SECONDS(5));
	ck_assert_uint_gt(d.a.sent, sent); /* it asked */
	duo_run(&d, GIVES_UP - SECONDS(20));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_run(&d, SECONDS(30));
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.a, IKE_EV_SA_DOWN)->text, "does not answer"));
	ike_each_conn(d.a.ike, remembers, NULL);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 1);
	ck_assert_uint_eq(d.a.n_traps, _i == IKE_ACTION_CLEAR ? 0 : 1);
	d.b.frozen = false;
	/* b has none of it; a, if it is to, makes everything anew */
	duo_run(&d, SECONDS(400));
	ck_assert_uint_eq(duo_sas(&d.a), _i == IKE_ACTION_RESTART ? 1 : 0);
	ck_assert_uint_eq(duo_children(&d.a), _i == IKE_ACTION_RESTART ? 1 : 0);
	duo_fini(&d);
}
END_TEST

/* Frozen for less than that: nothing happens. */
START_TEST(test_thawed)
{
	duo_init(&d, 1);
	d.a.conn->dpd_delay_ns = SECONDS(10);
	d.b.conn->dpd_delay_ns = SECONDS(10);
	change_start(&d);
	d.b.frozen = true;
	duo_run(&d, SECONDS(100));
	d.b.frozen = false;
	change_rest(&d, 1, 1);
	duo_run(&d, SECONDS(1000));
	change_rest(&d, 1, 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	duo_fini(&d);
}
END_TEST

/* Who is heard by packets is not asked; who is quiet is asked once a delay, not more. */
START_TEST(test_probes)
{
	duo_init(&d, 1);
	d.a.conn->dpd_delay_ns = SECONDS(30);
	change_start(&d);
	unsigned sent = d.a.sent;
	for (unsigned i = 0; i < 40; i++) {
		duo_child(&d.a, 0)->in_ns = d.now_ns;
		duo_run(&d, SECONDS(10));
	}
	ck_assert_uint_eq(d.a.sent, sent);
	duo_run(&d, SECONDS(300));
	ck_assert_uint_ge(d.a.sent, sent + 9);
	ck_assert_uint_le(d.a.sent, sent + 10);
	/* without dpd_delay nobody asks */
	sent = d.b.sent;
	d.a.frozen = true;
	duo_run(&d, SECONDS(3000));
	ck_assert_uint_eq(d.b.sent, sent);
	duo_fini(&d);
}
END_TEST

/* The peer starts anew and knows nothing: it is noticed, and with restart all is up again. */
START_TEST(test_restarted)
{
	duo_init(&d, 1);
	d.a.conn->dpd_delay_ns = SECONDS(30);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	d.a.conn->keyingtries = 0;
	change_start(&d);
	duo_restart(&d.b);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	duo_run(&d, SECONDS(300));
	change_rest(&d, 1, 1);
	duo_fini(&d);
}
END_TEST

/* Behind a NAT the mapping is kept open, but not while packets do it. */
START_TEST(test_keepalives)
{
	duo_init(&d, 1);
	d.nat = true;
	d.b.conn->n_remote = 0; /* it only knows the NAT's address */
	change_start(&d);
	duo_run(&d, SECONDS(205));
	ck_assert_uint_ge(d.a.keepalives, 9);
	ck_assert_uint_le(d.a.keepalives, 11);
	ck_assert_uint_eq(d.b.keepalives, 0);
	unsigned n = d.a.keepalives;
	for (unsigned i = 0; i < 20; i++) {
		duo_child(&d.a, 0)->out_ns = d.now_ns;
		duo_run(&d, SECONDS(10));
	}
	ck_assert_uint_le(d.a.keepalives, n + 1);
	duo_fini(&d);
}
END_TEST

/* As often as the configuration says, or never. */
START_TEST(test_keepalive_interval)
{
	duo_init(&d, 1);
	d.nat = true;
	d.b.conn->n_remote = 0;
	d.a.conf->keepalive_ns = SECONDS(2 * _i);
	change_start(&d);
	duo_run(&d, SECONDS(41));
	ck_assert_uint_ge(d.a.keepalives, _i ? 18 : 0);
	ck_assert_uint_le(d.a.keepalives, _i ? 21 : 0);
	duo_fini(&d);
}
END_TEST

static bool drop_create(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	return m->p[18] != IKE2_X_CREATE_CHILD;
}

/* The IKE SA is not rekeyed in time: over_time ends it, as dpd_action says. */
START_TEST(test_over_time)
{
	duo_init(&d, 1);
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128gcm16-prfsha256-curve25519");
	d.a.conn->rekey_ns = SECONDS(1000);
	d.a.conn->over_ns = SECONDS(60);
	d.a.conn->child[0].dpd_action = IKE_ACTION_RESTART;
	change_start(&d);
	d.hook = drop_create;
	duo_run(&d, SECONDS(1050));
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	duo_run(&d, SECONDS(250));
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	d.hook = NULL;
	duo_run(&d, SECONDS(200));
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_fini(&d);
}
END_TEST

TCase *ike_dpd_case(void)
{
	TCase *t = tcase_create("liveness");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_frozen, 0, 3);
	tcase_add_test(t, test_thawed);
	tcase_add_test(t, test_probes);
	tcase_add_test(t, test_restarted);
	tcase_add_test(t, test_keepalives);
	tcase_add_loop_test(t, test_keepalive_interval, 0, 2);
	tcase_add_test(t, test_over_time);
	return t;
}
