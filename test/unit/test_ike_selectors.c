/*
 * Selectors that IKEv2 negotiates in more than one way: populated from packets (RFC 4301 4.4.1.2), opaque ports and
 * fragments (RFC 4301 7), and names, by which a peer without a fixed address gets the policies that are its own (4.4.1.1).
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "test_ike_change.h"

static struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

static struct flow_key flow(const char *src, const char *dst, uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct flow_key k = { .ver = 4, .proto = proto, .sport = sport, .dport = dport };
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(src, &a), 0);
	memcpy(k.src, a.b, 16);
	ck_assert_int_eq(ip_addr_parse(dst, &a), 0);
	memcpy(k.dst, a.b, 16);
	return k;
}

static void packet(const char *src, const char *dst, uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct flow_key k = flow(src, dst, proto, sport, dport);

	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
}

static void start(unsigned pfp)
{
	d.a.conn->child[0].start = IKE_START_TRAP;
	d.a.conn->child[0].pfp = pfp;
	duo_start(&d);
	duo_settle(&d);
	ck_assert_uint_eq(d.a.n_traps, 1);
}

/* Exactly one pair with these selectors at a; returns it. */
static struct duo_child *has(const char *local, const char *remote)
{
	struct duo_child *found = NULL;
	char l[256], r[256];

	for (unsigned i = 0; i < duo_children(&d.a); i++) {
		struct duo_child *c = duo_child(&d.a, i);
		if (strcmp(ts_list_format(&c->local_ts, l, sizeof(l)), local) ||
		    strcmp(ts_list_format(&c->remote_ts, r, sizeof(r)), remote))
			continue;
		ck_assert_ptr_null(found);
		found = c;
	}
	ck_assert_msg(found, "no child %s === %s", local, remote);
	return found;
}

/* ---- populated from packets */

/* Two hosts behind the peer: an SA each, from one trap that stays. */
START_TEST(test_pfp_remote)
{
	start(IKE_PFP_REMOTE);
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	duo_settle(&d);
	packet("10.1.0.8", "10.2.0.6", 6, 1000, 80);
	duo_settle(&d);
	packet("10.1.0.7", "10.2.0.5", 6, 4, 5); /* that one is there */
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(d.a.n_traps, 1);
	struct duo_child *x = has("10.1.0.0/16", "10.2.0.5/32"), *y = has("10.1.0.0/16", "10.2.0.6/32");
	ck_assert_uint_ne(x->up.reqid, y->up.reqid);
	ck_assert_uint_ne(x->up.reqid, d.a.trap[0].reqid);
	ck_assert_uint_ne(y->up.reqid, d.a.trap[0].reqid);
	ck_assert(x->out && y->out);
	ck_assert_uint_eq(d.a.acquires_failed, 0);
}
END_TEST

/* Packets of several flows before the peer has said a word. */
START_TEST(test_pfp_at_once)
{
	start(IKE_PFP_REMOTE);
	for (unsigned twice = 0; twice < 2; twice++) {
		packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
		packet("10.1.0.9", "10.2.0.6", 17, 1000, 53);
		packet("10.1.0.9", "10.2.0.7", 17, 1000, 53);
		packet("10.1.0.9", "10.2.0.7", 17, 1000, 54);
	}
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 3);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	has("10.1.0.0/16", "10.2.0.6/32");
	has("10.1.0.0/16", "10.2.0.7/32");
}
END_TEST

START_TEST(test_pfp_fields)
{
	static const struct {
		unsigned pfp;
		const char *local, *remote;
	} rows[] = {
		{ IKE_PFP_LOCAL, "10.1.0.9/32", "10.2.0.0/16" },
		{ IKE_PFP_PROTO, "10.1.0.0/16[udp]", "10.2.0.0/16[udp]" },
		{ IKE_PFP_LOCAL_PORT, "10.1.0.0/16[udp/1000]", "10.2.0.0/16" },
		{ IKE_PFP_REMOTE_PORT | IKE_PFP_PROTO, "10.1.0.0/16[udp]", "10.2.0.0/16[udp/53]" },
		{ IKE_PFP_ALL, "10.1.0.9/32[udp/1000]", "10.2.0.5/32[udp/53]" },
	};

	start(rows[_i].pfp);
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	has(rows[_i].local, rows[_i].remote);
}
END_TEST

/* Protocols without ports have none to give; message types are those of the packet. */
START_TEST(test_pfp_no_ports)
{
	struct flow_key gre = flow("10.1.0.9", "10.2.0.5", 47, 0, 0);

	start(IKE_PFP_ALL);
	gre.flags = FLOW_OPAQUE;
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &gre);
	duo_settle(&d);
	has("10.1.0.9/32[gre]", "10.2.0.5/32[gre]");
	packet("10.1.0.9", "10.2.0.5", 1, 0, 0x0800);
	duo_settle(&d);
	has("10.1.0.9/32[icmp/8/0]", "10.2.0.5/32[icmp/8/0]");
	duo_agree(&d);
}
END_TEST

/* The other side has a trap of its own, for more: its answers that do not fit what was asked for go by a
 * child that this trap brings up, and not by SAs whose selectors they do not fit. */
START_TEST(test_pfp_other_trap)
{
	struct flow_key back = flow("10.2.0.5", "10.1.0.9", 1, 0, 0);

	d.b.conn->child[0].start = IKE_START_TRAP;
	start(IKE_PFP_ALL);
	packet("10.1.0.9", "10.2.0.5", 1, 0, 0x0800);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(d.b.n_traps, 1);
	ck_assert_uint_ne(duo_child(&d.b, 0)->up.reqid, d.b.trap[0].reqid);
	ike_acquire(d.b.ike, d.b.trap[0].reqid, &back);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.b), 2);
	ck_assert_uint_eq(duo_child(&d.b, 1)->up.reqid, d.b.trap[0].reqid);
	has("10.1.0.0/16", "10.2.0.0/16");
	ck_assert_uint_eq(d.b.acquires_failed, 0);
	duo_agree(&d);
}
END_TEST

/* Of several selectors, that of the packet. */
START_TEST(test_pfp_which)
{
	duo_ts(&d.a.conn->child[0].remote_ts, "10.2.0.0/16[tcp/80] 10.2.0.0/16[udp]");
	start(IKE_PFP_REMOTE);
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	duo_settle(&d);
	has("10.1.0.0/16", "10.2.0.5/32[udp]");
	duo_agree(&d);
}
END_TEST

/* Rekeyed, each stays what it is; reauthenticated, all of them come over. */
START_TEST(test_pfp_stays)
{
	start(IKE_PFP_REMOTE);
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	packet("10.1.0.9", "10.2.0.6", 17, 1000, 53);
	duo_settle(&d);
	uint32_t reqid = has("10.1.0.0/16", "10.2.0.5/32")->up.reqid, spi = has("10.1.0.0/16", "10.2.0.5/32")->up.spi_in;
	change_done(&d, &d.a, change_rekey(&d.a, _i ? "b" : "b/net", _i));
	duo_run(&d, SECONDS(60));
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	struct duo_child *x = has("10.1.0.0/16", "10.2.0.5/32");
	ck_assert_uint_eq(x->up.reqid, reqid);
	ck_assert_uint_ne(x->up.spi_in, spi);
	has("10.1.0.0/16", "10.2.0.6/32");
	ck_assert_uint_eq(d.a.n_traps, 1);
}
END_TEST

/* The peer has lost one: it is made again as it was. */
START_TEST(test_pfp_again)
{
	start(IKE_PFP_REMOTE);
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	packet("10.1.0.9", "10.2.0.6", 17, 1000, 53);
	duo_settle(&d);
	ike_child_close(change_child(&d.b), IKE_END_REPLACED, NULL);
	change_done(&d, &d.a, change_rekey(&d.a, "b/net", false));
	duo_run(&d, SECONDS(60));
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	has("10.1.0.0/16", "10.2.0.5/32");
	has("10.1.0.0/16", "10.2.0.6/32");
}
END_TEST

/* No packet, no selectors; and a failure gives up what waits, each time. */
START_TEST(test_pfp_fails)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	start(IKE_PFP_REMOTE);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t order;
		char why[512] = "";
		ck_assert_int_eq(ike_initiate(d.a.ike, i ? "b/net" : "b", &order, why, sizeof(why)), -EINVAL);
		ck_assert_msg(strstr(why, "the first packet starts it"), "%s", why);
	}
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	duo_run(&d, 5 * NS_PER_S);
	ck_assert_uint_ge(d.a.acquires_failed, 1);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(d.a.n_traps, 1);
}
END_TEST

/* Beside a child that takes nothing from packets, the order is about that one. */
START_TEST(test_pfp_beside)
{
	duo_conf_child(d.a.conn, "other", "10.3.0.0/16", "10.4.0.0/16");
	duo_conf_child(d.b.conn, "other", "10.4.0.0/16", "10.3.0.0/16");
	start(IKE_PFP_REMOTE);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	has("10.3.0.0/16", "10.4.0.0/16");
	packet("10.1.0.9", "10.2.0.5", 17, 1000, 53);
	duo_settle(&d);
	has("10.1.0.0/16", "10.2.0.5/32");
}
END_TEST

/* ---- fragments */

/* NON_FIRST_FRAGMENTS_ALSO: in force when both want it, and stays so. */
START_TEST(test_fragments_also)
{
	bool a = _i & 1, b = _i & 2;

	d.a.conn->child[0].fragments_also = a;
	d.b.conn->child[0].fragments_also = b;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	for (unsigned round = 0; round < 2; round++) {
		duo_agree(&d);
		ck_assert_uint_eq(duo_child(&d.a, 0)->up.fragments, a && b);
		ck_assert_uint_eq(duo_child(&d.b, 0)->up.fragments, a && b);
		change_done(&d, &d.b, change_rekey(&d.b, "a/net", false));
		duo_run(&d, SECONDS(60));
	}
}
END_TEST

/* Not in transport mode, and not when the peer has it that way only. */
START_TEST(test_fragments_transport)
{
	d.a.conn->child[0].fragments_also = d.b.conn->child[0].fragments_also = true;
	d.a.conn->child[0].mode = d.b.conn->child[0].mode = SA_TRANSPORT;
	duo_ts(&d.a.conn->child[0].local_ts, "dynamic");
	duo_ts(&d.a.conn->child[0].remote_ts, "dynamic");
	duo_ts(&d.b.conn->child[0].local_ts, "dynamic");
	duo_ts(&d.b.conn->child[0].remote_ts, "dynamic");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_int_eq(duo_child(&d.a, 0)->up.mode, SA_TRANSPORT);
	ck_assert(!duo_child(&d.a, 0)->up.fragments);
	ck_assert(!duo_child(&d.b, 0)->up.fragments);
}
END_TEST

/* RFC 4301 7.2: an SA for a port, one for what has none; 65535-0 on the wire, and a child each. */
START_TEST(test_opaque)
{
	duo_ts(&d.a.conn->child[0].remote_ts, "10.2.0.0/16[udp/53]");
	duo_ts(&d.b.conn->child[0].local_ts, "10.2.0.0/16[udp/53]");
	duo_conf_child(d.a.conn, "later", "10.1.0.0/16[udp/opaque]", "10.2.0.0/16[udp/opaque]");
	duo_conf_child(d.b.conn, "later", "10.2.0.0/16[udp/opaque]", "10.1.0.0/16[udp/opaque]");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	has("10.1.0.0/16", "10.2.0.0/16[udp/53]");
	struct duo_child *c = has("10.1.0.0/16[udp/opaque]", "10.2.0.0/16[udp/opaque]");
	ck_assert_uint_eq(c->remote_ts.ts[0].port_lo, 65535);
	ck_assert_uint_eq(c->remote_ts.ts[0].port_hi, 0);
}
END_TEST

/* A peer that asks for any port of a child that has opaque ones gets those: any holds opaque, a port does not. */
START_TEST(test_opaque_narrowed)
{
	duo_ts(&d.a.conn->child[0].remote_ts, _i ? "10.2.0.0/16[udp/53]" : "10.2.0.0/16[udp]");
	duo_ts(&d.b.conn->child[0].local_ts, "10.2.0.0/16[udp/opaque]");
	duo_start(&d);
	if (_i) {
		duo_up_fails(&d, &d.a, "b", "TS_UNACCEPTABLE");
		return;
	}
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	has("10.1.0.0/16", "10.2.0.0/16[udp/opaque]");
}
END_TEST

/* ---- names (RFC 4301 4.4.1.1): users behind any address */

static void user(struct ike_conf *c, const char *name, const char *net)
{
	struct ike_conn_conf *n = duo_conf_conn(c, name, NULL, NULL);

	duo_ident(&n->auth.id, "b.example");
	duo_ident(&n->peer.id, name);
	duo_conf_child(n, "net", net, "0.0.0.0/0");
	duo_conf_psk(c, name, "b.example", name);
}

/*
 * The policies of a name are known before its address is: b has a connection for each of two users, whatever their address.
 * Whoever proves to be one gets policies for that user's networks, and no others; once the SA goes, so do they.
 */
START_TEST(test_name)
{
	static const char *const names[] = { "alice@example.org", "bob@example.org", "mallory@example.org" };
	static const char *const nets[] = { "10.2.1.0/24", "10.2.2.0/24" };

	duo_ident(&d.b.conn->peer.id, "nobody@example.org");
	user(d.b.conf, names[0], nets[0]);
	user(d.b.conf, names[1], nets[1]);
	duo_ident(&d.a.conn->auth.id, names[_i]);
	duo_ident(&d.a.conn->peer.id, "b.example");
	duo_conf_psk(d.a.conf, names[_i], "b.example", names[_i]);
	duo_start(&d);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	if (_i == 2) {
		duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
		ck_assert_uint_eq(duo_children(&d.b), 0);
		return;
	}
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	has("10.1.0.0/16", nets[_i]);
	ck_assert_str_eq(duo_child(&d.b, 0)->up.conn, names[_i]);
	duo_down(&d, &d.a, "b");
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_selectors");
	TCase *t = tcase_create("selectors");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_pfp_remote);
	tcase_add_test(t, test_pfp_at_once);
	tcase_add_loop_test(t, test_pfp_fields, 0, 5);
	tcase_add_test(t, test_pfp_no_ports);
	tcase_add_test(t, test_pfp_other_trap);
	tcase_add_test(t, test_pfp_which);
	tcase_add_loop_test(t, test_pfp_stays, 0, 2);
	tcase_add_test(t, test_pfp_again);
	tcase_add_test(t, test_pfp_fails);
	tcase_add_test(t, test_pfp_beside);
	tcase_add_loop_test(t, test_fragments_also, 0, 4);
	tcase_add_test(t, test_fragments_transport);
	tcase_add_test(t, test_opaque);
	tcase_add_loop_test(t, test_opaque_narrowed, 0, 2);
	tcase_add_loop_test(t, test_name, 0, 3);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
