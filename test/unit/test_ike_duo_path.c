/* The first exchanges: AH, transport mode, a NAT in between and encapsulation without one. */
#include "test_ike_duo.h"

static void transport(struct duo_node *n)
{
	n->conn->child[0].mode = SA_TRANSPORT;
	duo_ts(&n->conn->child[0].local_ts, "dynamic");
	duo_ts(&n->conn->child[0].remote_ts, "dynamic");
}

static void ah(struct ike_child_conf *c, const char *proposals)
{
	c->proto = IKE_CHILD_AH;
	duo_proposals(&c->proposals, IKE_PROTO_AH, proposals);
}

/* AH in place of ESP, in both modes; keys anew with and without a key exchange of their own, by either
 * side; another child. */
START_TEST(test_ah)
{
	struct duo_node *n[] = { &d.a, &d.b };
	bool is_transport = _i & 1;
	uint64_t order;
	char why[256];

	for (unsigned i = 0; i < 2; i++) {
		if (is_transport)
			transport(n[i]);
		ah(&n[i]->conn->child[0], _i & 2 ? "sha384-curve25519-esn, sha256" : "sha256");
	}
	first_up();
	for (unsigned i = 0; i < 3; i++) {
		struct duo_child *a = duo_child(&d.a, 0), *b = duo_child(&d.b, 0);
		ck_assert_uint_eq(duo_children(&d.a), 1);
		ck_assert(a->up.proto == SA_AH && b->up.proto == SA_AH && !a->up.udp && !b->up.udp);
		ck_assert_uint_eq(a->up.mode, is_transport ? SA_TRANSPORT : SA_TUNNEL);
		ck_assert(!a->up.encr_in.p && !a->up.encr_out.p);
		ck_assert_uint_eq(a->up.integ_in.len, _i & 2 ? 48 : 32);
		ck_assert_uint_eq(a->up.esn, (_i & 2) != 0);
		ck_assert_int_eq(ike_rekey(n[i % 2]->ike, i % 2 ? "a/net" : "b/net", false, &order,
					   why, sizeof(why)),
				 0);
		ck_assert_int_eq(duo_order(&d, n[i % 2], order)->type, IKE_EV_DONE);
		duo_run(&d, 20 * NS_PER_S);
		duo_agree(&d);
	}
	duo_down(&d, &d.a, "b/net");
	duo_settle(&d);
	duo_run(&d, 20 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* GMAC: key and salt, and what the proposal calls integrity is the SA's cipher. */
START_TEST(test_ah_gmac)
{
	static const char *const words[] = { "aes128gmac", "aes192gmac-esn", "aes256gmac-curve25519" };
	uint64_t order;
	char why[256];

	ah(&d.a.conn->child[0], words[_i]);
	ah(&d.b.conn->child[0], words[_i]);
	first_up();
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_child_up *u = &duo_child(&d.a, 0)->up;
		ck_assert_uint_eq(u->proto, SA_AH);
		ck_assert_uint_eq(u->suite.encr->id, ENCR_NULL_AUTH_AES_GMAC);
		ck_assert_uint_eq(u->suite.key_len, 16 + 8 * (unsigned)_i);
		ck_assert_uint_eq(u->encr_in.len, 16 + 8 * (unsigned)_i + 4);
		ck_assert_ptr_null(u->integ_in.p);
		ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &order, why, sizeof(why)), 0);
		ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
		duo_run(&d, 20 * NS_PER_S);
		duo_agree(&d);
	}
}
END_TEST

/* Nothing in common: the key that is to be looked at is named. */
START_TEST(test_ah_other)
{
	ah(&d.a.conn->child[0], "sha256");
	if (_i)
		ah(&d.b.conn->child[0], "sha384");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b/net", "ah_proposals");
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* AH through a NAT is refused by who is asked, and both say why; not as something that passes. */
START_TEST(test_ah_nat)
{
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &d.b.conn->remote->range.lo), 0);
	d.b.conn->remote->range.hi = d.b.conn->remote->range.lo;
	d.nat = true;
	ah(&d.a.conn->child[0], "sha256");
	ah(&d.b.conn->child[0], "sha256");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b/net", "NAT in between, which AH cannot cross");
	duo_settle(&d);
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text,
				     "NAT in between, which AH cannot cross"));
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

static void at(struct ike_host *h, const struct ip_addr *a)
{
	h->range = (struct ip_range){ *a, *a };
}

/* a is behind a NAT, and b knows it by that one's address. */
static void behind_nat(bool ipv6)
{
	if (ipv6) {
		ck_assert_int_eq(ip_addr_parse("2001:db8::1", &d.a.addr), 0);
		ck_assert_int_eq(ip_addr_parse("2001:db8::2", &d.b.addr), 0);
		ck_assert_int_eq(ip_addr_parse("2001:db8:7::7", &d.nat_addr), 0);
		at(d.a.conn->local, &d.a.addr);
		at(d.a.conn->remote, &d.b.addr);
		at(d.b.conn->local, &d.b.addr);
	}
	at(d.b.conn->remote, &d.nat_addr);
	d.nat = true;
}

/* 1: IPv6 may be translated, too. Who is behind the NAT keeps its state alive. */
START_TEST(test_nat)
{
	behind_nat(_i);
	first_up();
	struct duo_child *a = duo_child(&d.a, 0), *b = duo_child(&d.b, 0);
	ck_assert(a->up.udp && b->up.udp);
	ck_assert_uint_eq(a->local.port, 4500);
	ck_assert_uint_eq(a->remote.port, 4500);
	ck_assert_uint_eq(b->remote.port, 24500);
	ck_assert(ip_addr_eq(&b->remote.addr, &d.nat_addr));
	unsigned before = d.a.keepalives;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_gt(d.a.keepalives, before);
	ck_assert_uint_eq(d.b.keepalives, 0);
}
END_TEST

static const char *only_ts(const struct ts_list *l)
{
	static char text[TS_STRLEN];

	ck_assert_uint_eq(l->n, 1);
	return ts_format(&l->ts[0], text);
}

START_TEST(test_transport)
{
	transport(&d.a);
	transport(&d.b);
	first_up();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TRANSPORT);
	ck_assert_str_eq(only_ts(&duo_child(&d.a, 0)->remote_ts), "192.0.2.2/32");
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.oa_remote.ver, 0);
}
END_TEST

/* Each side sees itself and what it can reach; the other addresses are kept for checksums (RFC 7296
 * 2.23.1, RFC 3948 3.1.2). */
START_TEST(test_transport_nat)
{
	behind_nat(false);
	transport(&d.a);
	transport(&d.b);
	first_up();
	struct duo_child *a = duo_child(&d.a, 0), *b = duo_child(&d.b, 0);
	ck_assert_uint_eq(b->up.mode, SA_TRANSPORT);
	ck_assert_str_eq(only_ts(&a->local_ts), "192.0.2.1/32");
	ck_assert_str_eq(only_ts(&a->remote_ts), "192.0.2.2/32");
	ck_assert_str_eq(only_ts(&b->local_ts), "192.0.2.2/32");
	ck_assert_str_eq(only_ts(&b->remote_ts), "198.51.100.7/32");
	ck_assert(ip_addr_eq(&b->up.oa_remote, &d.a.addr));
	ck_assert(ip_addr_eq(&a->up.oa_local, &d.nat_addr));
}
END_TEST

/* The responder has only a tunnel for it. */
START_TEST(test_transport_refused)
{
	transport(&d.a);
	transport(&d.b);
	d.b.conn->child[0].mode = SA_TUNNEL;
	first_up();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TUNNEL);
}
END_TEST

/* The NAT forgets and gives another port: an authenticated message moves the path. */
START_TEST(test_nat_rebind)
{
	behind_nat(_i);
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16", "10.11.0.0/16");
	duo_start(&d);
	duo_up(&d, &d.a, "b/net");
	d.nat_base = 30000;
	duo_up(&d, &d.a, "b/two");
	duo_agree(&d);
	ck_assert_uint_eq(d.b.count[IKE_EV_PEER_MOVED], 1);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(duo_child(&d.b, i)->remote.port, 34500);
}
END_TEST

START_TEST(test_forced_encap)
{
	(_i ? &d.a : &d.b)->conn->encap = true;
	first_up();
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert_uint_eq(duo_child(&d.b, 0)->remote.port, 4500);
}
END_TEST

TCase *first_path_case(void)
{
	TCase *t = first_case("AH, transport mode, NAT");

	tcase_add_loop_test(t, test_ah, 0, 4);
	tcase_add_loop_test(t, test_ah_gmac, 0, 3);
	tcase_add_loop_test(t, test_ah_other, 0, 2);
	tcase_add_test(t, test_ah_nat);
	tcase_add_loop_test(t, test_nat, 0, 2);
	tcase_add_test(t, test_transport);
	tcase_add_test(t, test_transport_nat);
	tcase_add_test(t, test_transport_refused);
	tcase_add_loop_test(t, test_nat_rebind, 0, 2);
	tcase_add_loop_test(t, test_forced_encap, 0, 2);
	return t;
}
