/*
 * Two clients and a server: the clients are two connections of one engine, behind one NAT. What the server could not tell apart it
 * refuses (RFC 3948 5), with words on both sides; everything else comes up. In both versions of IKE.
 */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike_duo.h"

static struct duo d;
static int version;

static void set_ident(struct ident *id, const char *text)
{
	ident_fini(id);
	duo_ident(id, text);
}

/* A client more, with its identity and its side of the child. */
static void client(struct ike_conn_conf *n, const char *id, const char *ts)
{
	set_ident(&n->auth.id, id);
	duo_ts(&n->child[0].local_ts, ts);
	n->version = (uint8_t)version;
	n->aggressive = version == 1;
	if (version == 1)
		duo_proposals(&n->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
}

/* ts1, ts2: of the clients; server: what the server allows. id2: of the second client. */
static void start(int v, bool transport, const char *ts1, const char *ts2, const char *server, const char *id2)
{
	struct ike_conn_conf *one = d.a.conn, *two = duo_conf_conn(d.a.conf, "two", "192.0.2.1", "192.0.2.2");

	version = v;
	duo_ident(&two->peer.id, "b.example");
	duo_ident(&two->auth.id, "c.example");
	duo_conf_child(two, "net", "10.1.0.0/16", "10.2.0.0/16");
	client(one, "a.example", ts1);
	client(two, id2, ts2);
	d.b.conn->version = (uint8_t)v;
	d.b.conn->aggressive = v == 1;
	if (v == 1)
		duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	d.b.conn->n_remote = 0;
	set_ident(&d.b.conn->peer.id, "%any");
	duo_ts(&d.b.conn->child[0].remote_ts, server);
	duo_conf_psk(d.a.conf, id2, "b.example", "a secret of both");
	duo_conf_psk(d.b.conf, id2, "b.example", "a secret of both");
	if (transport) {
		struct ike_child_conf *c[] = { &one->child[0], &two->child[0], &d.b.conn->child[0] };
		for (unsigned i = 0; i < 3; i++) {
			c[i]->mode = SA_TRANSPORT;
			if (i < 2)
				duo_ts(&c[i]->remote_ts, "dynamic");
			else
				duo_ts(&c[i]->local_ts, "dynamic");
		}
	}
	d.nat = true;
	duo_start(&d);
}

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

static void first_up(void)
{
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}

/* The second is refused, the peer is told, and the server's own words say why. */
static void second_refused(const char *section)
{
	duo_up_fails(&d, &d.a, "two/net", version == 2 ? "TS_UNACCEPTABLE" : "INVALID-ID-INFORMATION");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	const struct duo_event *e = duo_last(&d.b, IKE_EV_FAILED);
	ck_assert_ptr_nonnull(e);
	ck_assert_msg(strstr(e->text, section) && strstr(e->text, "a.example") && strstr(e->text, "child net of a"), "%s", e->text);
	ck_assert(duo_child(&d.b, 0)->out); /* the first goes on sending */
}

static void second_up(void)
{
	duo_up(&d, &d.a, "two/net");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 2);
	ck_assert_uint_ne(duo_child(&d.b, 0)->up.reqid, duo_child(&d.b, 1)->up.reqid);
}

START_TEST(test_tunnel)
{
	start(_i + 1, false, "10.1.2.3", "10.1.2.3", "10.1.0.0/16", "c.example");
	first_up();
	second_refused("RFC 3948 5.1");
	duo_down(&d, &d.a, "b");
	duo_settle(&d);
	duo_run(&d, 10 * NS_PER_S);
	duo_up(&d, &d.a, "two/net");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* One of several selectors is enough, and ports that leave something in common. */
START_TEST(test_tunnel_parts)
{
	start(2, false, "10.1.2.3 10.1.2.4", "10.1.2.9 10.1.2.4[udp]", "10.1.0.0/16", "c.example");
	first_up();
	second_refused("RFC 3948 5.1");
}
END_TEST

/* Another address, another port, or a network around it: packets find their way. */
START_TEST(test_tunnel_apart)
{
	static const char *const other[] = { "10.1.2.4", "10.1.2.3[udp]", "10.1.2.0/24" };

	start(2, false, "10.1.2.3[tcp]", other[_i], "10.1.0.0/16", "c.example");
	first_up();
	second_up();
}
END_TEST

START_TEST(test_transport)
{
	start(_i + 1, true, "dynamic", "dynamic", "dynamic", "c.example");
	first_up();
	/* what the server makes checksums with, and the client, each as it is seen over there */
	ck_assert(ip_addr_eq(&duo_child(&d.a, 0)->up.oa_local, &d.nat_addr));
	ck_assert(ip_addr_eq(&duo_child(&d.b, 0)->up.oa_remote, &d.a.addr));
	second_refused("RFC 3948 5.2");
}
END_TEST

/* Windows' L2TP: both from port 1701. */
START_TEST(test_transport_ports)
{
	start(_i + 1, true, "dynamic[udp/1701]", "dynamic[udp/1701]", "dynamic[udp/1701]", "c.example");
	first_up();
	second_refused("RFC 3948 5.2");
}
END_TEST

START_TEST(test_transport_apart)
{
	start(_i + 1, true, "dynamic[udp]", "dynamic[tcp]", "dynamic", "c.example");
	first_up();
	second_up();
}
END_TEST

/* Who has the same identity comes back, but with unique = never it is somebody else when it is elsewhere. */
START_TEST(test_same_identity)
{
	bool never = _i;

	d.b.conn->unique = never ? IKE_UNIQUE_NEVER : IKE_UNIQUE_NO;
	start(2, false, "10.1.2.3", "10.1.2.3", "10.1.0.0/16", "a.example");
	first_up();
	d.nat_base = 30000;
	if (never) {
		duo_up_fails(&d, &d.a, "two/net", "TS_UNACCEPTABLE");
	} else {
		duo_up(&d, &d.a, "two/net");
	}
	duo_settle(&d);
	d.nat_base = 20000;
}
END_TEST

/* New keys, and a new IKE SA, are not in the way of the old ones. */
START_TEST(test_rekey)
{
	uint64_t order;
	char why[256];

	start(_i + 1, false, "10.1.2.3", "10.1.2.3", "10.1.0.0/16", "c.example");
	first_up();
	for (unsigned reauth = 0; reauth < 2; reauth++) {
		ck_assert_int_eq(ike_rekey(d.a.ike, "b", reauth, &order, why, sizeof(why)), 0);
		ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
		duo_run(&d, 20 * NS_PER_S);
		ck_assert_uint_eq(duo_children(&d.b), 1);
		second_refused("RFC 3948 5.1");
	}
}
END_TEST

/* Two connections that the file has for one network, and no NAT: one stands in for the other. */
START_TEST(test_two_of_the_file)
{
	struct ike_conn_conf *two = duo_conf_conn(d.a.conf, "two", "192.0.2.1", "192.0.2.2"), *there;

	duo_ident(&two->peer.id, "b.example");
	duo_ident(&two->auth.id, "c.example");
	duo_conf_child(two, "net", "10.1.0.0/16", "10.2.0.0/16");
	there = duo_conf_conn(d.b.conf, "c", "192.0.2.2", "192.0.2.1");
	duo_ident(&there->peer.id, "c.example");
	duo_ident(&there->auth.id, "b.example");
	duo_conf_child(there, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_conf_psk(d.a.conf, "c.example", "b.example", "a secret of both");
	duo_conf_psk(d.b.conf, "c.example", "b.example", "a secret of both");
	duo_start(&d);
	first_up();
	second_up();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_conflict");
	TCase *t = tcase_create("conflict");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_tunnel, 0, 2);
	tcase_add_test(t, test_tunnel_parts);
	tcase_add_loop_test(t, test_tunnel_apart, 0, 3);
	tcase_add_loop_test(t, test_transport, 0, 2);
	tcase_add_loop_test(t, test_transport_ports, 0, 2);
	tcase_add_loop_test(t, test_transport_apart, 0, 2);
	tcase_add_loop_test(t, test_same_identity, 0, 2);
	tcase_add_loop_test(t, test_rekey, 0, 2);
	tcase_add_test(t, test_two_of_the_file);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
