/* Connections with two engines: orders by name, new configurations, several SAs with one peer,
 * names and ranges of addresses, trying again. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
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

static struct ike_stats stats_of(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s;
}

/* ---- orders */

static void refused(int rc, int expected, const char *why, const char *words)
{
	ck_assert_int_eq(rc, expected);
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" is not in: %s", words, why);
}

START_TEST(test_names)
{
	struct ike_conn_conf *c = duo_conf_conn(d.a.conf, "b/x", "192.0.2.1", "192.0.2.9");
	char why[256];
	uint64_t o;

	duo_ident(&c->auth.id, "a.example");
	duo_conf_child(c, "net", "10.1.0.0/16", "10.9.0.0/16");
	duo_conf_child(c, "only", "10.1.0.0/16", "10.8.0.0/16");
	c = duo_conf_conn(d.a.conf, "any", "192.0.2.1", NULL);
	duo_conf_child(c, "z", "10.1.0.0/16", "10.9.0.0/16");
	duo_start(&d);
	refused(ike_initiate(d.a.ike, "nothing", &o, why, sizeof(why)), -ENOENT, why,
		"named nothing");
	refused(ike_initiate(d.a.ike, "net", &o, why, sizeof(why)), -EINVAL, why, "2 connections");
	refused(ike_initiate(d.a.ike, "any", &o, why, sizeof(why)), -EINVAL, why, "remote_addrs");
	refused(ike_terminate(d.a.ike, "b", &o, why, sizeof(why)), -EALREADY, why, "not up");
	refused(ike_rekey(d.a.ike, "b", false, &o, why, sizeof(why)), -ENOENT, why, "not up");
	/* a slash may be of the connection's name */
	ck_assert_int_eq(ike_initiate(d.a.ike, "b/x/net", &o, why, sizeof(why)), 0);
	ck_assert_int_eq(ike_terminate(d.a.ike, "b/x", &o, why, sizeof(why)), 0);
	duo_up(&d, &d.a, "b/net");
	duo_agree(&d);
	refused(ike_initiate(d.a.ike, "b", &o, why, sizeof(why)), -EALREADY, why, "up already");
	duo_down(&d, &d.a, "b/net");
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_uint_eq(stats_of(&d.a).established, 1);
	duo_down(&d, &d.a, "b");
	ck_assert_uint_eq(stats_of(&d.b).established, 0);
}
END_TEST

/* An order that is still connecting can be taken back. */
START_TEST(test_down_while_connecting)
{
	char why[256];
	uint64_t up, down;

	d.b.frozen = true;
	d.a.conn->keyingtries = 0;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &up, why, sizeof(why)), 0);
	duo_run(&d, (_i ? 200 : 20) * NS_PER_S);
	ck_assert_int_eq(ike_terminate(d.a.ike, "b", &down, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, down)->type, IKE_EV_DONE);
	ck_assert_int_eq(duo_order(&d, &d.a, up)->type, IKE_EV_FAILED);
	unsigned sent = d.a.sent;
	duo_run(&d, 1000 * NS_PER_S);
	ck_assert_uint_eq(d.a.sent, sent);
}
END_TEST

/* ---- a new configuration */

static void reload(struct duo_node *n, struct ike_conf *old)
{
	ike_reload(n->ike, n->conf);
	ike_conf_unref(&old);
	duo_settle(&d);
}

START_TEST(test_reload_same)
{
	struct ike_conf *old = d.a.conf;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_conf_default(&d.a);
	d.a.conn->line = 77;
	reload(&d.a, old);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN], 0);
	/* and it is still in hand */
	duo_down(&d, &d.a, "b");
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_reload_changed)
{
	struct ike_conf *old = d.a.conf;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_conf_default(&d.a);
	duo_ts(&d.a.conn->child[0].local_ts, "10.1.64.0/18");
	d.a.conn->child[0].start = IKE_START_START;
	reload(&d.a, old);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	char text[TS_STRLEN];
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->local_ts.ts[0], text), "10.1.64.0/18");
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN], 0); /* only the child is another */
	duo_agree(&d);
}
END_TEST

/* Of the connection itself: all of it begins anew. */
START_TEST(test_reload_connection)
{
	struct ike_conf *old = d.a.conf;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_conf_default(&d.a);
	d.a.conn->rekey_ns = 7 * NS_PER_S;
	d.a.conn->child[0].start = IKE_START_START;
	reload(&d.a, old);
	duo_run(&d, 3 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN], 1);
	duo_agree(&d);
}
END_TEST

START_TEST(test_reload_removed)
{
	struct ike_conf *old = d.a.conf;

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.a.conf = duo_conf();
	reload(&d.a, old);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.n_traps, 0);
}
END_TEST

/* A secret that changed counts from the next proof on. */
START_TEST(test_reload_secret)
{
	struct ike_conf *old = d.a.conf;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_conf_default(&d.a);
	secret_free(&d.a.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.a.conf->psks.psk[0].key, span_of("other", 5)), 0);
	reload(&d.a, old);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_down(&d, &d.a, "b");
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
}
END_TEST

/* ---- several SAs with one peer */

static bool a_is_elsewhere(struct duo *duo, struct duo_msg *m)
{
	struct ip_addr other;

	ck_assert_int_eq(ip_addr_parse("203.0.113.5", &other), 0);
	if (m->from == &duo->a)
		m->src.addr = other;
	else if (ip_addr_eq(&m->dst.addr, &other)) {
		m->dst.addr = duo->a.addr;
		m->to = &duo->a;
	}
	return true;
}

/* The same peer from another address, and without INITIAL_CONTACT. */
START_TEST(test_unique)
{
	char why[256];
	uint64_t o;

	d.b.conn->unique = (enum ike_unique)_i;
	d.a.conn->unique = IKE_UNIQUE_NEVER; /* so that it does not say INITIAL_CONTACT */
	d.b.conn->n_remote = 0;              /* from anywhere */
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	d.hook = a_is_elsewhere;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &o, why, sizeof(why)), 0);
	const struct duo_event *e = duo_order(&d, &d.a, o);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_int_eq(e->type, _i == IKE_UNIQUE_KEEP ? IKE_EV_FAILED : IKE_EV_DONE);
	unsigned left = _i == IKE_UNIQUE_NO || _i == IKE_UNIQUE_NEVER ? 2 : 1;
	/* one that is replaced is deleted in a peer that knows nothing of it any more */
	ck_assert_uint_eq(stats_of(&d.b).established, _i == IKE_UNIQUE_REPLACE ? 2 : left);
	duo_run(&d, 300 * NS_PER_S);
	ck_assert_uint_eq(stats_of(&d.b).established, left);
	d.b.conn->n_remote = 1;
}
END_TEST

START_TEST(test_sas_max)
{
	d.b.conf->sas_max = 1;
	d.a.conn->unique = IKE_UNIQUE_NEVER;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "as many IKE SAs"));
}
END_TEST

/* ---- hosts */

START_TEST(test_hosts)
{
	static const char *const remote[] = { "192.0.2.0/24", "0.0.0.0/0", "192.0.2.1-192.0.2.4",
					      "peer.example" };
	struct ike_host *h = d.b.conn->remote;

	*h = (struct ike_host){ .name = NULL };
	if (ip_range_parse(remote[_i], &h->range))
		h->name = strdup(remote[_i]);
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
}
END_TEST

START_TEST(test_wrong_host)
{
	ck_assert_int_eq(ip_range_parse("192.0.2.7", &d.b.conn->remote->range), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "no connection for our address");
}
END_TEST

/* Of several addresses of the peer each is tried in turn. */
START_TEST(test_second_address)
{
	d.a.conn->remote = realloc(d.a.conn->remote, 2 * sizeof(struct ike_host));
	d.a.conn->remote[1] = d.a.conn->remote[0];
	ck_assert_int_eq(ip_range_parse("192.0.2.77", &d.a.conn->remote[0].range), 0);
	d.a.conn->n_remote = 2;
	d.a.conn->keyingtries = 2;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
}
END_TEST

/* The peer comes back while we wait to try again. */
START_TEST(test_comes_back)
{
	d.b.frozen = true;
	d.a.conn->keyingtries = 0;
	d.a.conn->child[0].start = IKE_START_START;
	duo_start(&d);
	duo_run(&d, 500 * NS_PER_S);
	ck_assert_uint_ge(d.a.count[IKE_EV_FAILED], 2);
	d.b.frozen = false;
	duo_run(&d, 400 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
}
END_TEST

START_TEST(test_close_all)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ike_close_all(d.a.ike);
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_DOWN], 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike connections");
	TCase *t = tcase_create("connections");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_names);
	tcase_add_loop_test(t, test_down_while_connecting, 0, 2);
	tcase_add_test(t, test_reload_same);
	tcase_add_test(t, test_reload_changed);
	tcase_add_test(t, test_reload_connection);
	tcase_add_test(t, test_reload_removed);
	tcase_add_test(t, test_reload_secret);
	tcase_add_loop_test(t, test_unique, IKE_UNIQUE_NO, IKE_UNIQUE_REPLACE + 1);
	tcase_add_test(t, test_sas_max);
	tcase_add_loop_test(t, test_hosts, 0, 4);
	tcase_add_test(t, test_wrong_host);
	tcase_add_test(t, test_second_address);
	tcase_add_test(t, test_comes_back);
	tcase_add_test(t, test_close_all);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
