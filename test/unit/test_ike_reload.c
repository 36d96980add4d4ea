/* A new configuration in which only children of a connection are others, with two engines: the IKE
 * SA and the children that mean the same go on, what is new comes up, what is gone goes on both
 * sides. */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/engine.h"
#include "ike_duo.h"

static struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

static void take(struct duo_node *n, struct ike_conf *old)
{
	ike_reload(n->ike, n->conf);
	ike_conf_unref(&old);
}

/* The default configuration, with the child "second" as well. */
static struct ike_child_conf *with_second(struct duo_node *n)
{
	struct ike_child_conf *c;

	duo_conf_default(n);
	c = n->name == 'a' ? duo_conf_child(n->conn, "second", "10.11.0.0/16", "10.12.0.0/16")
			   : duo_conf_child(n->conn, "second", "10.12.0.0/16", "10.11.0.0/16");
	/* with a key exchange, so that both sides wait for jobs while they make it */
	duo_proposals(&c->proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	return c;
}

static void add_second(struct duo_node *n, enum ike_start start)
{
	struct ike_conf *old = n->conf;

	with_second(n)->start = start;
	take(n, old);
}

static void drop_second(struct duo_node *n)
{
	struct ike_conf *old = n->conf;

	duo_conf_default(n);
	take(n, old);
}

static uint32_t spi_of_first(void)
{
	ck_assert_str_eq(duo_child(&d.a, 0)->up.conf->name, "net");
	return duo_child(&d.a, 0)->up.spi_in;
}

START_TEST(test_comes_and_goes)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	uint32_t spi = spi_of_first();
	add_second(&d.b, IKE_START_NONE);
	add_second(&d.a, IKE_START_START);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	ck_assert_uint_eq(duo_children(&d.b), 2);
	drop_second(_i ? &d.b : &d.a);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(spi_of_first(), spi);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN] + d.b.count[IKE_EV_SA_DOWN], 0);
	duo_agree(&d);
	/* what stayed is in hand as before */
	duo_down(&d, &d.a, "b/net");
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

/* It can be called by name as soon as it is there, and not any more when it is gone. */
START_TEST(test_by_name)
{
	char why[256];
	uint64_t o;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_int_lt(ike_initiate(d.a.ike, "second", &o, why, sizeof(why)), 0);
	add_second(&d.b, IKE_START_NONE);
	add_second(&d.a, IKE_START_NONE);
	duo_up(&d, &d.a, "b/second");
	duo_agree(&d);
	drop_second(&d.a);
	duo_settle(&d);
	ck_assert_int_lt(ike_initiate(d.a.ike, "second", &o, why, sizeof(why)), 0);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* The peer asks for a child that has come, and for one that has gone. */
START_TEST(test_asked_by_peer)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	add_second(&d.b, IKE_START_NONE);
	duo_up_fails(&d, &d.b, "a/second", "TS_UNACCEPTABLE");
	add_second(&d.a, IKE_START_NONE);
	duo_up(&d, &d.b, "a/second");
	drop_second(&d.a);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_up_fails(&d, &d.b, "a/second", "TS_UNACCEPTABLE");
	duo_agree(&d);
}
END_TEST

START_TEST(test_trap)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	add_second(&d.a, IKE_START_TRAP);
	ck_assert_uint_eq(d.a.n_traps, 1);
	ck_assert_str_eq(d.a.trap[0].child, "second");
	drop_second(&d.a);
	ck_assert_uint_eq(d.a.n_traps, 0);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
}
END_TEST

/* One that means something else now: the new one is up before the old one goes. */
static unsigned fewest;
static bool count_least(struct duo *duo, struct duo_msg *m)
{
	unsigned n = duo_children(&duo->a);

	if (n < fewest)
		fewest = n;
	return true;
}

START_TEST(test_changed)
{
	struct ike_conf *old = d.a.conf;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	uint32_t spi = spi_of_first();
	duo_conf_default(&d.a);
	d.a.conn->child[0].start = IKE_START_START;
	d.a.conn->child[0].rekey_ns = 3600 * NS_PER_S;
	fewest = 9;
	d.hook = count_least;
	take(&d.a, old);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_ge(fewest, 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(spi_of_first(), spi);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN], 0);
	duo_agree(&d);
}
END_TEST

/* It goes while it is being made, or made anew, by either side and at every message of that. */
START_TEST(test_goes_meanwhile)
{
	struct duo_node *asks = _i & 1 ? &d.a : &d.b, *drops = _i & 2 ? &d.a : &d.b;
	unsigned messages = (unsigned)_i / 8;
	char why[256];
	uint64_t o;

	d.job_ns = 3 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	uint32_t spi = spi_of_first();
	add_second(&d.b, IKE_START_NONE);
	add_second(&d.a, IKE_START_NONE);
	const char *name = asks == &d.a ? "b/second" : "a/second";
	if (_i & 4) {
		duo_up(&d, asks, name);
		ck_assert_int_eq(ike_rekey(asks->ike, name, false, &o, why, sizeof(why)), 0);
	} else {
		ck_assert_int_eq(ike_initiate(asks->ike, name, &o, why, sizeof(why)), 0);
	}
	for (unsigned i = 0; i < messages; i++)
		(void)duo_one(&d);
	drop_second(drops);
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(spi_of_first(), spi);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN] + d.b.count[IKE_EV_SA_DOWN], 0);
	duo_agree(&d);
}
END_TEST

/* It goes while its connection is being made: of IKE_AUTH, or waiting for it. */
START_TEST(test_goes_while_connecting)
{
	struct ike_conf *old;
	uint64_t o;
	char why[256];

	duo_start(&d);
	add_second(&d.b, IKE_START_NONE);
	add_second(&d.a, IKE_START_NONE);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &o, why, sizeof(why)), 0);
	for (int i = 0; i < _i / 2; i++)
		(void)duo_one(&d);
	old = d.a.conf;
	if (_i & 1) { /* the first goes */
		with_second(&d.a);
		struct ike_child_conf *first = &d.a.conn->child[0];
		free(first->name);
		*first = d.a.conn->child[--d.a.conn->n_child];
	} else {
		duo_conf_default(&d.a);
	}
	take(&d.a, old);
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_str_eq(duo_child(&d.a, 0)->up.conf->name, _i & 1 ? "second" : "net");
	duo_agree(&d);
}
END_TEST

/* It was to be tried again. */
START_TEST(test_goes_while_waiting)
{
	d.b.frozen = true;
	d.a.conn->keyingtries = 0;
	duo_start(&d);
	struct ike_conf *old = d.a.conf;
	with_second(&d.a)->start = IKE_START_START;
	d.a.conn->keyingtries = 0;
	take(&d.a, old);
	duo_run(&d, 300 * NS_PER_S);
	old = d.a.conf;
	duo_conf_default(&d.a);
	d.a.conn->keyingtries = 0;
	take(&d.a, old);
	duo_run(&d, 300 * NS_PER_S);
	unsigned sent = d.a.sent;
	duo_run(&d, 2000 * NS_PER_S);
	ck_assert_uint_eq(d.a.sent, sent);
	d.b.frozen = false;
}
END_TEST

/* However often, no place is taken for ever; and the order is that of the file. */
START_TEST(test_places)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	for (unsigned i = 0; i < 40; i++) {
		add_second(&d.b, IKE_START_NONE);
		add_second(&d.a, IKE_START_START);
		duo_settle(&d);
		ck_assert_uint_eq(duo_children(&d.a), 2);
		drop_second(&d.a);
		drop_second(&d.b);
		duo_run(&d, 10 * NS_PER_S);
		ck_assert_uint_eq(duo_children(&d.a), 1);
	}
	const struct ike_conn *c = ike_conn_find(d.a.ike, "b");
	ck_assert_uint_eq(c->n_live, 1);
	ck_assert_uint_le(c->n_child, 3);
	struct ike_conf *old = d.a.conf;
	with_second(&d.a);
	struct ike_child_conf first = d.a.conn->child[0];
	d.a.conn->child[0] = d.a.conn->child[1];
	d.a.conn->child[1] = first;
	take(&d.a, old);
	ck_assert_str_eq(c->child[c->live[0]].conf->name, "second");
	ck_assert_str_eq(c->child[c->live[1]].conf->name, "net");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike reload");
	TCase *t = tcase_create("children");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_comes_and_goes, 0, 2);
	tcase_add_test(t, test_by_name);
	tcase_add_test(t, test_asked_by_peer);
	tcase_add_test(t, test_trap);
	tcase_add_test(t, test_changed);
	tcase_add_loop_test(t, test_goes_meanwhile, 0, 8 * 12);
	tcase_add_loop_test(t, test_goes_while_connecting, 0, 2 * 12);
	tcase_add_test(t, test_goes_while_waiting);
	tcase_add_test(t, test_places);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
