/* Two engines: the first exchanges, one message at a time, and what can go wrong in them. */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/prf.h"
#include "ike_duo.h"
#include "ike_pki.h"

static struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

/* Starts both, brings "b" up from a, and looks that all is well. */
static void up_and_agree(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(duo_children(&d.a), d.a.conn->n_child);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_KEYS], 1);
}

START_TEST(test_psk)
{
	up_and_agree();
	/* four messages, nothing sent twice */
	ck_assert_uint_eq(d.a.sent, 2);
	ck_assert_uint_eq(d.b.sent, 2);
	ck_assert(!duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.a, 0)->out);
	ck_assert(duo_child(&d.b, 0)->out);
}
END_TEST

static struct ike_stats stats_of(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s;
}

/* After the first IKE_SA_INIT nothing more of a arrives. */
static bool only_init(struct duo *duo, struct duo_msg *m)
{
	return m->from != &duo->a || m->p[18] == 34;
}

START_TEST(test_cookie)
{
	d.b.conf->cookie_threshold = 1;
	duo_start(&d);
	d.hook = only_init;
	char why[128];
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(stats_of(&d.b).half_open, 1);
	ck_assert_uint_eq(stats_of(&d.b).cookies_sent, 0);
	duo_restart(&d.a);
	d.hook = NULL;
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(stats_of(&d.b).cookies_sent, 1);
	ck_assert_uint_eq(stats_of(&d.b).cookies_bad, 0);
	duo_agree(&d);
	/* the half-open one goes by itself */
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(stats_of(&d.b).half_open, 0);
}
END_TEST

START_TEST(test_invalid_ke)
{
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha256-curve25519-ecp256");
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes128gcm16-prfsha256-ecp256");
	up_and_agree();
	ck_assert_uint_eq(d.a.sent, 3);
}
END_TEST

START_TEST(test_no_ike_proposal)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_wrong_psk)
{
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(
	    strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "does not have the same pre-shared key"));
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_unknown_id)
{
	duo_ident(&d.a.conn->auth.id, "stranger.example");
	duo_conf_psk(d.a.conf, "stranger.example", "b.example", "x");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "stranger.example"));
	/* and what there is in its place */
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "remote id a.example"));
}
END_TEST

/* The responder is not who the initiator expects: both must know. */
START_TEST(test_wrong_responder)
{
	duo_ident(&d.b.conn->auth.id, "c.example");
	duo_ident(&d.a.conn->peer.id, "*.example");
	duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
	duo_ident(&d.a.conf->psks.psk[0].id[1], "d.example");
	duo_conf_psk(d.a.conf, "a.example", "c.example", "not the same");
	duo_ident(&d.a.conn->peer.id, "c.example");
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("zzz", 3)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_peer_id_mismatch)
{
	/* b says it is b.example; a wants something else, and does not say so to b */
	duo_ident(&d.a.conn->peer.id, "*.other");
	duo_conf_psk(d.a.conf, "a.example", NULL, "a secret of both");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "expects *.other");
	ck_assert_uint_eq(d.a.audited[AUDIT_PEER_AUTH], 1);
	ck_assert_uint_eq(d.b.audited[AUDIT_PEER_AUTH], 0);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_narrowing)
{
	duo_ts(&d.a.conn->child[0].remote_ts, "10.0.0.0/8");
	duo_ts(&d.b.conn->child[0].remote_ts, "10.1.128.0/17");
	up_and_agree();
	char text[TS_STRLEN];
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->remote_ts.ts[0], text), "10.2.0.0/16");
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->local_ts.ts[0], text), "10.1.128.0/17");
}
END_TEST

START_TEST(test_ts_unacceptable)
{
	duo_ts(&d.b.conn->child[0].local_ts, "10.3.0.0/16");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TS_UNACCEPTABLE");
	/* the IKE SA stays */
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_no_esp_proposal)
{
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "esp_proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_three_children)
{
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16", "10.11.0.0/16");
	struct ike_child_conf *c =
	    duo_conf_child(d.a.conn, "three", "10.21.0.1[tcp]", "10.22.0.0/16[tcp/80]");
	duo_proposals(&c->proposals, IKE_PROTO_ESP, "aes256-sha256-curve25519");
	c = duo_conf_child(d.b.conn, "three", "10.22.0.0/16[tcp/80]", "10.21.0.1[tcp]");
	duo_proposals(&c->proposals, IKE_PROTO_ESP, "aes256-sha256-curve25519");
	up_and_agree();
	ck_assert_uint_eq(duo_children(&d.b), 3);
}
END_TEST

/* One of two children cannot be: the order fails with its reason, when the other is up. */
START_TEST(test_one_of_two)
{
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	d.a.conn->child[_i].local_ts.ts[0].proto = 50;
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16[tcp]", "10.11.0.0/16[tcp]");
	duo_ts(&d.b.conn->child[0].remote_ts, "10.1.0.0/16[tcp]");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TS_UNACCEPTABLE");
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_last(&d.a, IKE_EV_FAILED)->order, 1);
	duo_agree(&d);
}
END_TEST

static unsigned to_lose, seen;

static bool lose_nth(struct duo *duo, struct duo_msg *m)
{
	return ++seen != to_lose;
}

/* Whichever datagram is lost, it is sent again. */
START_TEST(test_loss)
{
	to_lose = (unsigned)_i + 1;
	seen = 0;
	d.hook = lose_nth;
	duo_start(&d);
	uint64_t begin = d.now_ns;
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_ge(d.now_ns - begin, 4 * NS_PER_S);
}
END_TEST

START_TEST(test_duplicates)
{
	d.duplicate = 100;
	d.jitter_ns = 50 * NS_PER_MS;
	up_and_agree();
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* Nobody there: five retransmissions with growing waits, then words. */
START_TEST(test_timeout)
{
	d.b.frozen = true;
	duo_start(&d);
	uint64_t begin = d.now_ns;
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(d.a.sent, 6);
	/* 4 * (1 + 1.8 + 1.8^2 + 1.8^3 + 1.8^4 + 1.8^5) = 165.06 s */
	ck_assert_uint_ge(d.now_ns - begin, 165 * NS_PER_S);
	ck_assert_uint_le(d.now_ns - begin, 166 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

START_TEST(test_keyingtries)
{
	d.b.frozen = true;
	d.a.conn->keyingtries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(d.a.sent, 12);
	ck_assert_uint_ge(d.a.count[IKE_EV_PROGRESS], 1);
}
END_TEST

START_TEST(test_fragments)
{
	/* the smallest packets that still make sense */
	d.a.conn->fragment_size = d.b.conn->fragment_size = 300;
	for (unsigned i = 0; i < 8; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.1.%u.0/24", 2 * i);
		struct ts t;
		ck_assert_int_eq(ts_parse(text, &t, text, 0), 0);
		d.a.conn->child[0].local_ts.ts[i] = t;
		d.a.conn->child[0].local_ts.n = i + 1;
	}
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.lose = (unsigned)_i * 20;
	d.duplicate = (unsigned)_i * 20;
	d.jitter_ns = 40 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_eq(duo_child(&d.b, 0)->remote_ts.n, 8);
	if (_i == 0) {
		ck_assert_uint_gt(d.a.sent, 2);
		ck_assert_uint_gt(d.b.sent, 2);
	}
}
END_TEST

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

/* AH in place of ESP, in both modes; keys anew with and without a key exchange of their own, by either side; another child. */
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
	up_and_agree();
	for (unsigned i = 0; i < 3; i++) {
		struct duo_child *a = duo_child(&d.a, 0), *b = duo_child(&d.b, 0);
		ck_assert_uint_eq(duo_children(&d.a), 1);
		ck_assert(a->up.proto == SA_AH && b->up.proto == SA_AH && !a->up.udp && !b->up.udp);
		ck_assert_uint_eq(a->up.mode, is_transport ? SA_TRANSPORT : SA_TUNNEL);
		ck_assert(!a->up.encr_in.p && !a->up.encr_out.p);
		ck_assert_uint_eq(a->up.integ_in.len, _i & 2 ? 48 : 32);
		ck_assert_uint_eq(a->up.esn, (_i & 2) != 0);
		ck_assert_int_eq(ike_rekey(n[i % 2]->ike, i % 2 ? "a/net" : "b/net", false, &order, why, sizeof(why)), 0);
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
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "NAT in between, which AH cannot cross"));
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_nat)
{
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &d.b.conn->remote->range.lo), 0);
	d.b.conn->remote->range.hi = d.b.conn->remote->range.lo;
	d.nat = true;
	up_and_agree();
	struct duo_child *a = duo_child(&d.a, 0), *b = duo_child(&d.b, 0);
	ck_assert(a->up.udp && b->up.udp);
	ck_assert_uint_eq(a->local.port, 4500);
	ck_assert_uint_eq(a->remote.port, 4500);
	ck_assert_uint_eq(b->remote.port, 24500);
	ck_assert(ip_addr_eq(&b->remote.addr, &d.nat_addr));
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
	up_and_agree();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TRANSPORT);
	ck_assert_str_eq(only_ts(&duo_child(&d.a, 0)->remote_ts), "192.0.2.2/32");
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.oa_remote.ver, 0);
}
END_TEST

/* Each side sees itself and what it can reach; the other addresses are kept for checksums (RFC 7296
 * 2.23.1, RFC 3948 3.1.2). */
START_TEST(test_transport_nat)
{
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &d.b.conn->remote->range.lo), 0);
	d.b.conn->remote->range.hi = d.b.conn->remote->range.lo;
	d.nat = true;
	transport(&d.a);
	transport(&d.b);
	up_and_agree();
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
	up_and_agree();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TUNNEL);
}
END_TEST

/* The NAT forgets and gives another port: an authenticated message moves the path. */
START_TEST(test_nat_rebind)
{
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &d.b.conn->remote->range.lo), 0);
	d.b.conn->remote->range.hi = d.b.conn->remote->range.lo;
	d.nat = true;
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
	up_and_agree();
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert_uint_eq(duo_child(&d.b, 0)->remote.port, 4500);
}
END_TEST

/* Jobs take long; what comes meanwhile waits, what comes twice is dropped. */
START_TEST(test_slow_jobs)
{
	d.job_ns = 3 * NS_PER_S;
	d.job_jitter_ns = 3 * NS_PER_S;
	d.duplicate = 50;
	duo_conf_child(d.a.conn, "two", "10.11.0.0/16", "10.12.0.0/16");
	duo_conf_child(d.b.conn, "two", "10.12.0.0/16", "10.11.0.0/16");
	duo_proposals(&d.a.conn->child[1].proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	duo_proposals(&d.b.conn->child[1].proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	up_and_agree();
}
END_TEST

/* The pool takes nothing: the peer asks again, until it does. */
START_TEST(test_busy_pool)
{
	duo_start(&d);
	d.job_ns = NS_PER_MS;
	char why[128];
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_one(&d);
	d.busy = true;
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	d.busy = false;
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_agree(&d);
}
END_TEST

START_TEST(test_dns)
{
	struct ike_host *h = d.a.conn->remote;
	*h = (struct ike_host){ .name = strdup("b.example") };
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "no such name");
	d.known_name = "b.example";
	d.known_addr = d.b.addr;
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
}
END_TEST

START_TEST(test_childless)
{
	d.a.conn->n_child = 0;
	free(d.a.conn->child[0].name);
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_start_action)
{
	d.a.conn->child[0].start = IKE_START_START;
	duo_start(&d);
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
}
END_TEST

START_TEST(test_trap)
{
	struct flow_key k = { .ver = 4, .proto = 17, .sport = 1000, .dport = 53 };
	struct ip_addr x;

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_start(&d);
	duo_settle(&d);
	ck_assert_uint_eq(d.a.n_traps, 1);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_int_eq(ip_addr_parse("10.1.0.9", &x), 0);
	memcpy(k.src, x.b, 16);
	ck_assert_int_eq(ip_addr_parse("10.2.0.9", &x), 0);
	memcpy(k.dst, x.b, 16);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.reqid, d.a.trap[0].reqid);
	ck_assert_uint_eq(d.a.acquires_failed, 0);
}
END_TEST

START_TEST(test_acquire_fails)
{
	struct flow_key k = { .ver = 4, .proto = 17 };

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &k);
	duo_run(&d, 5 * NS_PER_S);
	ck_assert_uint_eq(d.a.acquires_failed, 1);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

START_TEST(test_sad_refuses)
{
	d.b.refuse_add = true;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "TEMPORARY_FAILURE");
	ck_assert_uint_eq(duo_sas(&d.a), 1);
}
END_TEST

/* Garbage and forgeries change nothing. */
START_TEST(test_forged)
{
	up_and_agree();
	uint8_t junk[200];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	for (unsigned i = 0; i < 200; i++) {
		random_bytes(junk, sizeof(junk));
		ike_receive(d.b.ike, &to, &from, false, junk, i);
	}
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static bool tamper(struct duo *duo, struct duo_msg *m)
{
	uint64_t r = random_u64();

	if (r % 3 == 0)
		m->p[(r >> 8) % m->len] ^= (uint8_t)(1u << ((r >> 40) % 8));
	else if (r % 7 == 0)
		m->len = (r >> 8) % m->len;
	return true;
}

/* A wire that changes bits and cuts datagrams: attempts may fail, but afterwards all is well. */
START_TEST(test_tampered)
{
	d.seed = (uint64_t)_i + 1;
	d.hook = tamper;
	d.a.conn->child[0].start = IKE_START_START;
	d.a.conn->keyingtries = 0;
	d.a.conn->rekey_ns = 40 * NS_PER_S;
	d.b.conn->child[0].rekey_ns = 25 * NS_PER_S;
	d.a.conn->dpd_delay_ns = d.b.conn->dpd_delay_ns = 10 * NS_PER_S;
	d.a.conn->child[0].dpd_action = d.a.conn->child[0].close_action = IKE_ACTION_RESTART;
	duo_start(&d);
	duo_run(&d, 600 * NS_PER_S);
	d.hook = NULL;
	duo_run(&d, 900 * NS_PER_S);
	/* in between rekeyings */
	for (unsigned i = 0; i < 100 && duo_children(&d.a) != 1; i++)
		duo_run(&d, NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

/* Answers of a stranger in the clear do not end a negotiation that goes on. */
START_TEST(test_forged_refusal)
{
	/* one notify, NO_PROPOSAL_CHOSEN */
	uint8_t no[36] = { [16] = 41, [17] = 0x20, 34, 0x20, [27] = 36, [31] = 8, [35] = 14 };
	struct endpoint from = { d.b.addr, 500 }, to = { d.a.addr, 500 };
	char why[128];
	uint64_t order;

	d.delay_ns = 500 * NS_PER_MS;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	memcpy(no, list_entry(d.wire.next, struct duo_msg, link)->p, 8);
	ike_receive(d.a.ike, &to, &from, false, no, sizeof(no));
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_agree(&d);
}
END_TEST

/* A critical payload that nobody knows is named in the answer; an SPI that nobody has is answered,
 * but not often. */
START_TEST(test_unknown)
{
	uint8_t m[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0x20, 34, 0x08 };
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };

	duo_start(&d);
	m[27] = 32;
	m[29] = 0x80;
	m[31] = 4;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	struct duo_msg *answer = list_entry(d.wire.next, struct duo_msg, link);
	ck_assert_uint_eq(answer->p[16], 41);
	ck_assert_uint_eq(answer->p[35], 1); /* UNSUPPORTED_CRITICAL_PAYLOAD */
	ck_assert_uint_eq(answer->p[36], 200);
	m[8] = 9;
	m[18] = 37;
	m[16] = 46;
	for (unsigned i = 0; i < 100; i++)
		ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 10); /* ten in all go in a second */
	ck_assert_uint_eq(stats_of(&d.b).invalid_spi, 100);
}
END_TEST

START_TEST(test_version)
{
	uint8_t m[28] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x30, 34, 0x08 };
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };

	duo_start(&d);
	m[27] = 28;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	m[17] = 0x10;
	m[19] = 0;
	ike_receive(d.b.ike, &to, &from, false, m, sizeof(m));
	ck_assert_uint_eq(d.b.sent, 1);
	ck_assert_uint_eq(stats_of(&d.b).unknown, 1);
}
END_TEST

/* ---- certificates */

static struct pki root, cert_a, cert_b;

static struct cred *load(const char *name, const struct pki *p)
{
	char why[300] = "", cert[32], key[32];
	struct cred *c = NULL;

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	ck_assert_msg(cred_load(pki_write_cert(cert, &p->cert, 1), pki_write_key(key, p->key, NULL),
				NULL, &c, why, sizeof(why)) == 0,
		      "%s", why);
	return c;
}

static void by_cert(struct duo_node *n, const char *name, const struct pki *p)
{
	char why[300] = "";

	n->conn->auth.method = n->conn->peer.method = IKE_BY_PUBKEY;
	n->conn->auth.cred = calloc(1, sizeof(struct cred *));
	n->conn->auth.cred[0] = load(name, p);
	n->conn->auth.n_cred = 1;
	n->conf->cas = cred_cas_new();
	ck_assert_int_eq(
	    cred_cas_add(n->conf->cas, pki_write_cert("root.pem", &root.cert, 1), why, sizeof(why)),
	    1);
}

static void pki_setup(enum pki_key kind)
{
	root = pki_make(&(struct pki_opt){ .subject = "CN=Root", .ca = true }, NULL);
	cert_a = pki_make(
	    &(struct pki_opt){ .subject = "CN=a", .san = "DNS:a.example", .kind = kind }, &root);
	cert_b = pki_make(
	    &(struct pki_opt){ .subject = "CN=b", .san = "DNS:b.example", .kind = kind }, &root);
	d.wall_ns = (uint64_t)PKI_NOW * NS_PER_S;
	by_cert(&d.a, "a", &cert_a);
	by_cert(&d.b, "b", &cert_b);
}

static void pki_end(void)
{
	pki_fini(&root);
	pki_fini(&cert_a);
	pki_fini(&cert_b);
	pki_folder_remove();
}

START_TEST(test_cert)
{
	pki_setup((enum pki_key)_i);
	if (_i == PKI_RSA_PSS)
		d.a.conn->auth.pss = d.b.conn->auth.pss = true;
	d.job_jitter_ns = 10 * NS_PER_MS;
	up_and_agree();
	pki_end();
}
END_TEST

START_TEST(test_cert_fragments)
{
	pki_setup(PKI_RSA);
	d.a.conn->fragment_size = d.b.conn->fragment_size = 576;
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.lose = 10;
	d.jitter_ns = 30 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_agree(&d);
	ck_assert_uint_gt(d.b.sent, 3);
	pki_end();
}
END_TEST

START_TEST(test_cert_wrong_identity)
{
	pki_setup(PKI_P256);
	duo_ident(&d.a.conn->auth.id, "x.example");
	duo_ident(&d.b.conn->peer.id, "x.example");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "x.example"));
	pki_end();
}
END_TEST

START_TEST(test_cert_expired)
{
	pki_setup(PKI_P256);
	d.wall_ns += 500ull * PKI_DAY * NS_PER_S;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "expired"));
	pki_end();
}
END_TEST

/* Only the responder proves itself wrongly: the initiator says why, the responder's SA goes. */
START_TEST(test_cert_responder_bad)
{
	pki_setup(PKI_P256);
	cred_cas_unref(&d.a.conf->cas);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(d.a.audited[AUDIT_PEER_AUTH], 1);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	pki_end();
}
END_TEST

START_TEST(test_method_mismatch)
{
	pki_setup(PKI_P256);
	d.b.conn->peer.method = IKE_BY_PSK;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "AUTHENTICATION_FAILED");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "wants psk"));
	pki_end();
}
END_TEST

/* ---- choice of connection */

/* Two connections for the same addresses: the identity decides. */
START_TEST(test_switch_by_identity)
{
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "better", "192.0.2.2", "192.0.2.1");
	duo_conf_child(c, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_ident(&d.b.conn->peer.id, "*.wrong");
	duo_ident(&c->auth.id, "b.example");
	duo_ident(&c->peer.id, "*.example");
	up_and_agree();
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_SA_UP)->conn, "better");
}
END_TEST

/* The first that fits by identity has another kind of proof: the next is tried. */
START_TEST(test_switch_by_auth)
{
	pki_setup(PKI_P256);
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "psk", "192.0.2.2", "192.0.2.1");
	duo_conf_child(c, "net", "10.2.0.0/16", "10.1.0.0/16");
	duo_ident(&c->auth.id, "b.example");
	duo_ident(&c->peer.id, "a.example");
	d.a.conn->auth.method = d.a.conn->peer.method = IKE_BY_PSK;
	up_and_agree();
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_SA_UP)->conn, "psk");
	pki_end();
}
END_TEST

START_TEST(test_initial_contact)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	duo_up(&d, &d.a, "b");
	/* b has thrown away what a knows nothing of; it accepts what is on its way a little longer
	 */
	duo_run(&d, 6 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static void take_prf(const struct ike_sa_view *v, void *arg)
{
	if (strcmp(v->state, "established") == 0)
		*(unsigned *)arg = proposal_alg(v->proposal, IKE_T_PRF)->id;
}

static unsigned prf_of(struct duo_node *n)
{
	unsigned prf = 0;

	ike_each_sa(n->ike, take_prf, &prf);
	return prf;
}

/* Rekeyed from either side, the SA keeps its PRF, whatever each prefers. */
START_TEST(test_rekey_keeps_prf)
{
	char why[128];
	uint64_t order;

	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha256-prfsha384-curve25519");
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE,
		      "aes128gcm16-prfsha384-prfsha256-curve25519");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_uint_eq(prf_of(&d.a), PRF_HMAC_SHA2_384);
	struct duo_node *n = _i ? &d.a : &d.b;
	ck_assert_int_eq(ike_rekey(n->ike, _i ? "b" : "a", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, n, order)->type, IKE_EV_DONE);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_REKEYED], 1);
	ck_assert_uint_eq(prf_of(&d.a), PRF_HMAC_SHA2_384);
	ck_assert_uint_eq(prf_of(&d.b), PRF_HMAC_SHA2_384);
	duo_agree(&d);
}
END_TEST

START_TEST(test_unique_keep)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	char why[128];
	uint64_t order;
	ck_assert_int_lt(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "up already"));
	ck_assert_int_lt(ike_initiate(d.a.ike, "none", &order, why, sizeof(why)), 0);
	ck_assert_int_lt(ike_terminate(d.b.ike, "none", &order, why, sizeof(why)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_duo");
	TCase *t = tcase_create("first exchanges");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_psk);
	tcase_add_test(t, test_cookie);
	tcase_add_test(t, test_invalid_ke);
	tcase_add_test(t, test_no_ike_proposal);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_test(t, test_unknown_id);
	tcase_add_test(t, test_wrong_responder);
	tcase_add_test(t, test_peer_id_mismatch);
	tcase_add_test(t, test_narrowing);
	tcase_add_test(t, test_ts_unacceptable);
	tcase_add_test(t, test_no_esp_proposal);
	tcase_add_test(t, test_three_children);
	tcase_add_loop_test(t, test_one_of_two, 0, 2);
	tcase_add_loop_test(t, test_loss, 0, 4);
	tcase_add_test(t, test_duplicates);
	tcase_add_test(t, test_timeout);
	tcase_add_test(t, test_keyingtries);
	tcase_add_loop_test(t, test_fragments, 0, 3);
	tcase_add_loop_test(t, test_ah, 0, 4);
	tcase_add_loop_test(t, test_ah_other, 0, 2);
	tcase_add_test(t, test_ah_nat);
	tcase_add_test(t, test_nat);
	tcase_add_test(t, test_nat_rebind);
	tcase_add_test(t, test_transport);
	tcase_add_test(t, test_transport_nat);
	tcase_add_test(t, test_transport_refused);
	tcase_add_loop_test(t, test_forced_encap, 0, 2);
	tcase_add_test(t, test_slow_jobs);
	tcase_add_test(t, test_busy_pool);
	tcase_add_test(t, test_dns);
	tcase_add_test(t, test_childless);
	tcase_add_test(t, test_start_action);
	tcase_add_test(t, test_trap);
	tcase_add_test(t, test_acquire_fails);
	tcase_add_test(t, test_sad_refuses);
	tcase_add_test(t, test_forged);
	tcase_add_loop_test(t, test_tampered, 0, 8);
	tcase_add_test(t, test_forged_refusal);
	tcase_add_test(t, test_unknown);
	tcase_add_test(t, test_version);
	suite_add_tcase(s, t);
	t = tcase_create("certificates");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_cert, 0, PKI_KEYS);
	tcase_add_test(t, test_cert_fragments);
	tcase_add_test(t, test_cert_wrong_identity);
	tcase_add_test(t, test_cert_expired);
	tcase_add_test(t, test_cert_responder_bad);
	tcase_add_test(t, test_method_mismatch);
	suite_add_tcase(s, t);
	t = tcase_create("choice");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_switch_by_identity);
	tcase_add_test(t, test_switch_by_auth);
	tcase_add_test(t, test_initial_contact);
	tcase_add_loop_test(t, test_rekey_keeps_prf, 0, 2);
	tcase_add_test(t, test_unique_keep);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
