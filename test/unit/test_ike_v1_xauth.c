/* Two engines with XAUTH and Mode Config between phase 1 and the children: a is the client, b the
 * gateway. */
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v1/v1.h"
#include "ike_duo.h"
#include "ike_pki.h"

static struct duo d;
static char why[256];
static struct pki root, cert_a, cert_b;

static void add_user(struct duo_node *n, const char *name, const char *secret, const char *hash)
{
	n->conf->user = realloc(n->conf->user, (n->conf->n_user + 1) * sizeof(*n->conf->user));
	struct ike_user *u = &n->conf->user[n->conf->n_user++];
	*u = (struct ike_user){ .name = strdup(name), .hash = hash ? strdup(hash) : NULL };
	if (secret)
		ck_assert_int_eq(secret_copy(&u->secret, span_of(secret, strlen(secret))), 0);
}

static struct ip_addr *addrs(const char *text)
{
	struct ip_addr *a = calloc(1, sizeof(*a));

	ck_assert_int_eq(ip_addr_parse(text, a), 0);
	return a;
}

static void add_pool(const char *range)
{
	struct ike_pool_conf *p = d.b.conf->pool = calloc(1, sizeof(*p));

	d.b.conf->n_pool = 1;
	p->name = strdup("p");
	p->addrs = calloc(1, sizeof(*p->addrs));
	ck_assert_int_eq(ip_range_parse(range, &p->addrs[0]), 0);
	p->n_addrs = 1;
	p->dns = addrs("10.2.0.53");
	p->n_dns = 1;
	p->include = calloc(1, sizeof(*p->include));
	ck_assert_int_eq(ip_prefix_parse("10.2.0.0/16", &p->include[0]), 0);
	p->n_include = 1;
	p->domain = strdup("corp.example");
	d.b.conn->pools = calloc(1, sizeof(*d.b.conn->pools));
	d.b.conn->pools[0] = strdup("p");
	d.b.conn->n_pools = 1;
	d.a.conn->vips = addrs(strchr(range, ':') ? "::" : "0.0.0.0");
	d.a.conn->n_vips = 1;
	duo_ts(&d.a.conn->child[0].local_ts, "dynamic");
	duo_ts(&d.b.conn->child[0].remote_ts, "dynamic");
}

static void setup(void)
{
	duo_init(&d, 1);
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->version = 1;
		duo_proposals(&n[i]->conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	}
}

static void xauth(void)
{
	d.a.conn->auth.xauth = d.b.conn->peer.xauth = true;
	d.a.conn->auth.xauth_id = strdup("alice");
	add_user(&d.a, "alice", "open sesame", NULL);
	add_user(&d.b, "bob", "open sesame", NULL);
	add_user(&d.b, "alice", "open sesame", NULL);
}

static void teardown(void)
{
	duo_fini(&d);
}

static struct ike_sa *sa_of(struct duo_node *n)
{
	return list_entry(n->ike->sas.next, struct ike_sa, all);
}

static void up_and_agree(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 2);
}

static void refused(const char *words)
{
	d.a.conf->retransmit.tries = d.b.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", words);
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.b.count[IKE_EV_SA_UP], 0);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}

/* Main and Aggressive Mode; 2: the jobs take their time. */
START_TEST(test_psk)
{
	xauth();
	if (_i == 1)
		d.a.conn->aggressive = d.b.conn->aggressive = true;
	if (_i == 2)
		d.job_jitter_ns = 30 * NS_PER_MS;
	up_and_agree();
	ck_assert_str_eq(sa_of(&d.b)->user, "alice");
	ck_assert_ptr_null(sa_of(&d.a)->user);
}
END_TEST

/* The gateway begins phase 1, by the methods that say so (XAUTHRespPreShared); it asks all the same. */
START_TEST(test_gateway_begins)
{
	xauth();
	d.a.conn->aggressive = d.b.conn->aggressive = _i;
	duo_start(&d);
	duo_up(&d, &d.b, "a");
	duo_settle(&d);
	ck_assert(sa_of(&d.b)->initiator);
	ck_assert_str_eq(sa_of(&d.b)->user, "alice");
	ck_assert_ptr_null(sa_of(&d.a)->user);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* The time for one without children does not begin before XAUTH is through. */
START_TEST(test_childless_timeout_waits_for_xauth)
{
	xauth();
	d.a.conn->childless_timeout_ns = d.b.conn->childless_timeout_ns = NS_PER_S;
	d.delay_ns = 1500 * NS_PER_MS;
	up_and_agree();
}
END_TEST

START_TEST(test_hashed)
{
	char hash[crypto_pwhash_STRBYTES];

	ck_assert_int_eq(crypto_pwhash_str(hash, "open sesame", 11, crypto_pwhash_OPSLIMIT_MIN,
					   crypto_pwhash_MEMLIMIT_MIN),
			 0);
	d.a.conn->auth.xauth = d.b.conn->peer.xauth = true;
	d.a.conn->auth.xauth_id = strdup("alice");
	add_user(&d.a, "alice", _i ? "open sesami" : "open sesame", NULL);
	add_user(&d.b, "alice", NULL, hash);
	d.job_jitter_ns = 30 * NS_PER_MS;
	if (_i)
		refused("refuses our user name or password");
	else
		up_and_agree();
}
END_TEST

static void password(const char *text)
{
	secret_free(&d.a.conf->user[0].secret);
	ck_assert_int_eq(secret_copy(&d.a.conf->user[0].secret, span_of(text, strlen(text))), 0);
}

START_TEST(test_wrong_password)
{
	xauth();
	password(_i ? "open sesame " : "open sesam");
	refused("refuses our user name or password");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "wrong password"));
}
END_TEST

START_TEST(test_unknown_user)
{
	xauth();
	strcpy(d.b.conf->user[1].name, "carol");
	refused("refuses our user name or password");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "there is no user"));
}
END_TEST

START_TEST(test_another_user)
{
	xauth();
	d.b.conn->peer.xauth_id = strdup("bob");
	refused("refuses our user name or password");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "may not use"));
}
END_TEST

/* One side has XAUTH, the other does not: the method of phase 1 says so. */
START_TEST(test_only_one_side)
{
	xauth();
	(_i ? &d.a.conn->auth : &d.b.conn->peer)->xauth = false;
	refused("");
	ck_assert_ptr_nonnull(strstr(d.b.conn ? ike_conn_find(d.b.ike, "a")->last_error : "",
				     "XAUTH"));
}
END_TEST

START_TEST(test_no_password_of_ours)
{
	xauth();
	strcpy(d.a.conf->user[0].name, "alicf");
	refused("no user section");
}
END_TEST

static bool lose_transactions(struct duo *x, struct duo_msg *m)
{
	return m->p[18] != IKE1_X_TRANSACTION || m->from != x->hook_arg;
}

/* The gateway never hears an answer, or never asks: nothing comes up, and nothing stays. */
START_TEST(test_silence)
{
	xauth();
	d.hook = lose_transactions;
	d.hook_arg = _i ? &d.a : &d.b;
	refused(_i ? "" : "never asked");
}
END_TEST

/* A client that goes on with Quick Mode as if nothing had been asked gets nothing. */
START_TEST(test_not_without_xauth)
{
	xauth();
	d.hook = lose_transactions;
	d.hook_arg = &d.b;
	duo_start(&d);
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_run(&d, 5 * NS_PER_S);
	struct ike_sa *sa = sa_of(&d.a);
	ck_assert_int_eq(sa->v1->stage, V1_STAGE_XAUTH);
	sa->v1->stage = V1_STAGE_NONE;
	v1_in_force(sa);
	duo_run(&d, 5 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 0);
}
END_TEST

static void pki_cred(struct duo_node *n, const struct pki *p, const char *cert, const char *key)
{
	n->conn->auth.cred = calloc(1, sizeof(*n->conn->auth.cred));
	n->conn->auth.n_cred = 1;
	ck_assert_msg(cred_load(pki_write_cert(cert, &p->cert, 1), pki_write_key(key, p->key, NULL),
				NULL, &n->conn->auth.cred[0], why, sizeof(why)) == 0,
		      "%s", why);
}

static void pki_cas(struct duo_node *n)
{
	n->conf->cas = cred_cas_new();
	ck_assert_int_eq(cred_cas_add(n->conf->cas, pki_write_cert("root.pem", &root.cert, 1), why,
				      sizeof(why)),
			 1);
}

static void pki_begin(void)
{
	d.wall_ns = (uint64_t)PKI_NOW * NS_PER_S;
	root = pki_make(&(struct pki_opt){ .subject = "CN=Root", .ca = true }, NULL);
	cert_a = pki_make(&(struct pki_opt){ .subject = "CN=a", .san = "DNS:a.example", .kind = PKI_RSA }, &root);
	cert_b = pki_make(&(struct pki_opt){ .subject = "CN=b", .san = "DNS:b.example", .kind = PKI_RSA }, &root);
}

static void pki_end(void)
{
	pki_fini(&root);
	pki_fini(&cert_a);
	pki_fini(&cert_b);
	pki_folder_remove();
}

START_TEST(test_rsa)
{
	pki_begin();
	xauth();
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->auth.method = n[i]->conn->peer.method = IKE_BY_PUBKEY;
		pki_cas(n[i]);
	}
	pki_cred(&d.a, &cert_a, "a.pem", "a.key");
	pki_cred(&d.b, &cert_b, "b.pem", "b.key");
	if (_i)
		d.a.conn->aggressive = d.b.conn->aggressive = true;
	up_and_agree();
	ck_assert_str_eq(sa_of(&d.b)->user, "alice");
	pki_end();
}
END_TEST

/* Only the gateway has a certificate. 1: Aggressive Mode, 2: a wrong password, 3: a gateway of
 * another authority. */
START_TEST(test_hybrid)
{
	pki_begin();
	xauth();
	d.a.conn->auth.xauth = d.b.conn->peer.xauth = false;
	d.a.conn->auth.method = d.b.conn->peer.method = IKE_BY_XAUTH;
	d.b.conn->auth.method = d.a.conn->peer.method = IKE_BY_PUBKEY;
	pki_cred(&d.b, &cert_b, "b.pem", "b.key");
	d.job_jitter_ns = 20 * NS_PER_MS;
	if (_i == 3) {
		pki_fini(&root);
		root = pki_make(&(struct pki_opt){ .subject = "CN=Root", .ca = true }, NULL);
	}
	pki_cas(&d.a);
	if (_i == 1)
		d.a.conn->aggressive = d.b.conn->aggressive = true;
	if (_i == 2)
		password("wrong");
	if (_i >= 2)
		refused(_i == 2 ? "refuses our user name" : "");
	else
		up_and_agree();
	pki_end();
}
END_TEST

/* -- Mode Config -- */

static void take_client(const struct ike_sa_view *v, void *arg)
{
	struct ip_addr *vip = arg;

	ck_assert(!vip->ver);
	*vip = v->vip[0].ver ? v->vip[0] : v->vip[1];
}

/* Where addresses from peers are looked for: not among a gateway's many. */
static void only_the_client_asked(void)
{
	struct ip_addr at_a = { 0 }, at_b = { 0 };

	ike_each_client(d.a.ike, take_client, &at_a);
	ike_each_client(d.b.ike, take_client, &at_b);
	ck_assert_uint_ne(at_a.ver, 0);
	ck_assert_uint_eq(at_b.ver, 0);
}

static void has_address(const char *addr, const char *peer_ts)
{
	char text[IP_ADDR_STRLEN], t[TS_STRLEN];
	unsigned k = strchr(addr, ':') != NULL;

	ck_assert_str_eq(ip_addr_format(&sa_of(&d.a)->vip[k], text), addr);
	only_the_client_asked();
	ck_assert_str_eq(ip_addr_format(&sa_of(&d.b)->lease[k], text), addr);
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 0)->local_ts.ts[0], t), peer_ts);
	ck_assert_str_eq(ts_format(&duo_child(&d.b, 0)->remote_ts.ts[0], t), peer_ts);
}

START_TEST(test_pull_and_push)
{
	d.a.conn->push = d.b.conn->push = _i & 1;
	if (_i & 2)
		xauth();
	add_pool("10.9.0.0/24");
	up_and_agree();
	has_address("10.9.0.1", "10.9.0.1/32");
	const struct ike_lease *e = ike_leases_nth(d.b.ike->leases, 0);
	ck_assert_str_eq(e->who, _i & 2 ? "user alice" : "a.example");
	ck_assert_uint_eq(e->held, 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_LEASE_GIVEN], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_LEASE_BACK], 0);
	const struct v1_cfg *got = sa_of(&d.a)->v1->got;
	ck_assert_uint_eq(got->n_dns, 1);
	ck_assert_uint_eq(got->n_include, 1);
	ck_assert_str_eq(got->domain, "corp.example");
	duo_down(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(ike_leases_nth(d.b.ike->leases, 0)->held, 0);
	ck_assert_str_eq(duo_last(&d.b, IKE_EV_LEASE_BACK)->text,
			 _i & 2 ? "user alice gives back 10.9.0.1 of pool p"
				: "a.example gives back 10.9.0.1 of pool p");
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	has_address("10.9.0.1", "10.9.0.1/32");
}
END_TEST

/* A NAT gives the client other ports: it stays the one whose address it is. */
START_TEST(test_rebound)
{
	struct ip_addr any = { .ver = 0 };
	uint64_t order;

	d.nat = true;
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	d.a.conn->dpd_delay_ns = 10 * NS_PER_S;
	d.a.conn->dpd_timeout_ns = 35 * NS_PER_S;
	add_pool("10.9.0.0/24");
	up_and_agree();
	d.nat_base += 1000;
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(sa_of(&d.b)->remote.port, 4500 + d.nat_base);
	ck_assert_uint_eq(ike_leases_nth(d.b.ike->leases, 0)->peer.port, 4500 + d.nat_base);
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", true, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	has_address("10.9.0.1", "10.9.0.1/32");
	ck_assert_uint_eq(ike_leases_count(d.b.ike->leases), 1);
}
END_TEST

START_TEST(test_ipv6)
{
	add_pool("2001:db8:9::/64");
	duo_ts(&d.a.conn->child[0].remote_ts, "2001:db8:2::/48");
	duo_ts(&d.b.conn->child[0].local_ts, "2001:db8:2::/48");
	up_and_agree();
	has_address("2001:db8:9::1", "2001:db8:9::1/128");
}
END_TEST

START_TEST(test_none_left)
{
	struct ip_addr a;
	struct endpoint e = { .addr = { 4, { 192, 0, 2, 77 } }, .port = 500 };

	add_pool("10.9.0.1");
	duo_start(&d);
	ck_assert_int_eq(ike_lease_take(d.b.ike->leases, &d.b.conf->pool[0], 4, "x", &e, NULL, 0, &a),
			 0);
	duo_up_fails(&d, &d.a, "b", "gave us no address");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "is left"));
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
}
END_TEST

/* A gateway without pools. 1: it is to push, and does not. */
START_TEST(test_nothing_given)
{
	add_pool("10.9.0.1");
	d.b.conn->n_pools = 0;
	free(d.b.conn->pools[0]);
	d.a.conn->push = _i;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "gave us no address");
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
}
END_TEST

/* The new phase 1 has the address of the one it replaces, and so have the children. */
START_TEST(test_rekey)
{
	uint64_t order;

	if (_i & 1)
		xauth();
	if (_i & 2)
		d.a.conn->push = d.b.conn->push = true;
	add_pool("10.9.0.0/24");
	up_and_agree();
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", true, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
	has_address("10.9.0.1", "10.9.0.1/32");
	ck_assert_uint_eq(ike_leases_count(d.b.ike->leases), 1);
	ck_assert_uint_eq(ike_leases_nth(d.b.ike->leases, 0)->held, 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_LEASE_GIVEN], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_LEASE_BACK], 0);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a/net", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.b, order)->type, IKE_EV_DONE);
	duo_settle(&d);
	duo_agree(&d);
}
END_TEST

static struct ip_prefix *nets(const char *a, const char *b)
{
	struct ip_prefix *p = calloc(2, sizeof(*p));

	ck_assert_int_eq(ip_prefix_parse(a, &p[0]), 0);
	ck_assert_int_eq(ip_prefix_parse(b, &p[1]), 0);
	return p;
}

static const char *reaches(void)
{
	static char text[512];

	return ts_list_format(&duo_child(&d.a, 0)->remote_ts, text, sizeof(text));
}

/* Quick Mode has all addresses, the client sends only what the gateway says is behind it. 1: and not
 * what it says is not; 2: both; 3: a child that names something else keeps it. */
START_TEST(test_split)
{
	static const char *const want[] = {
		"10.2.0.0/16 10.3.0.0/16",
		"0.0.0.0-10.2.2.255 10.2.4.0-192.167.255.255 192.169.0.0-255.255.255.255",
		"10.2.0.0-10.2.2.255 10.2.4.0-10.2.255.255 10.3.0.0/16",
		"10.7.0.0/16",
	};
	uint64_t order;

	xauth();
	add_pool("10.9.0.0/24");
	struct ike_pool_conf *p = &d.b.conf->pool[0];
	free(p->include);
	p->n_include = 0;
	p->include = NULL;
	if (_i != 1) {
		p->include = nets("10.2.0.0/16", "10.3.0.0/16");
		p->n_include = 2;
	}
	if (_i == 1 || _i == 2) {
		p->exclude = nets("10.2.3.0/24", _i == 1 ? "192.168.0.0/16" : "0.0.0.0/0");
		p->n_exclude = 2;
	}
	duo_ts(&d.a.conn->child[0].remote_ts, _i == 3 ? "10.7.0.0/16" : "0.0.0.0/0");
	duo_ts(&d.b.conn->child[0].local_ts, "0.0.0.0/0");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_str_eq(reaches(), want[_i]);
	/* new keys by either side: the same, and the old ones go */
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_str_eq(reaches(), want[_i]);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a/net", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.b, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_str_eq(reaches(), want[_i]);
}
END_TEST

/* An address of each version, and a child for each. */
START_TEST(test_both_versions)
{
	struct ip_range *r = calloc(2, sizeof(*r));
	struct ip_addr *v = calloc(2, sizeof(*v));

	add_pool("10.9.0.0/24");
	ck_assert_int_eq(ip_range_parse("10.9.0.0/24", &r[0]), 0);
	ck_assert_int_eq(ip_range_parse("2001:db8:9::/64", &r[1]), 0);
	free(d.b.conf->pool[0].addrs);
	d.b.conf->pool[0].addrs = r;
	d.b.conf->pool[0].n_addrs = 2;
	ck_assert_int_eq(ip_addr_parse("0.0.0.0", &v[0]), 0);
	ck_assert_int_eq(ip_addr_parse("::", &v[1]), 0);
	free(d.a.conn->vips);
	d.a.conn->vips = v;
	d.a.conn->n_vips = 2;
	(void)duo_conf_child(d.a.conn, "six", "dynamic", "2001:db8:2::/48");
	(void)duo_conf_child(d.b.conn, "six", "2001:db8:2::/48", "dynamic");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	duo_agree(&d);
	has_address("10.9.0.1", "10.9.0.1/32");
	char t[TS_STRLEN];
	ck_assert_str_eq(ts_format(&duo_child(&d.a, 1)->local_ts.ts[0], t), "2001:db8:9::1/128");
}
END_TEST

/* The client's second message of the new phase 1's Transactions, that XAUTH is over, is lost once. */
static bool lose_second(struct duo *x, struct duo_msg *m)
{
	unsigned *n = x->hook_arg;

	return m->p[18] != IKE1_X_TRANSACTION || m->from != &x->a || ++*n != 2;
}

/* Peers may let the children end with a phase 1 that is deleted before the new one is in force. */
START_TEST(test_rekey_deletes_late)
{
	uint64_t order;
	unsigned n = 0;

	xauth();
	add_pool("10.9.0.0/24");
	up_and_agree();
	uint32_t old = sa_of(&d.b)->id;
	if (_i) {
		d.hook = lose_second;
		d.hook_arg = &n;
	}
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", false, &order, why, sizeof(why)), 0);
	while (d.b.count[IKE_EV_SA_UP] < 2) {
		const struct ike_sa *sa = ike_sa_by_id(d.b.ike, old);
		ck_assert(sa && sa->state == IKE_ST_UP);
		ck_assert(duo_step(&d, UINT64_MAX));
	}
	/* what is being replaced is not replaced again */
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 3);
	duo_agree(&d);
}
END_TEST

/* The gateway gives another address when phase 1 is made anew: the child is made for it. */
START_TEST(test_another_address)
{
	uint64_t order;

	xauth();
	add_pool("10.9.0.0/24");
	if (_i)
		d.a.conn->push = d.b.conn->push = true;
	up_and_agree();
	ck_assert_int_eq(ip_range_parse("10.8.0.0/24", &d.b.conf->pool[0].addrs[0]), 0);
	ike_lease_give(d.b.ike->leases, &sa_of(&d.b)->lease[0], 0);
	sa_of(&d.b)->lease[0].ver = 0;
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_DONE);
	duo_run(&d, 90 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
	has_address("10.8.0.1", "10.8.0.1/32");
}
END_TEST

/* Two that share the identity of a group are two peers, as their users say. 1: one of them begins
 * anew, and only it is replaced. */
START_TEST(test_group)
{
	char text[IP_ADDR_STRLEN];

	xauth();
	add_user(&d.a, "bob", "open sesame", NULL);
	add_pool("10.9.0.0/24");
	up_and_agree();
	ck_assert_str_eq(ip_addr_format(&sa_of(&d.b)->lease[0], text), "10.9.0.1");
	/* another behind the same address: our own first one is forgotten without a word */
	free(d.a.conn->auth.xauth_id);
	d.a.conn->auth.xauth_id = strdup(_i ? "alice" : "bob");
	duo_restart(&d.a);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 20 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), _i ? 1 : 2);
	ck_assert_uint_eq(duo_children(&d.b), _i ? 1 : 2);
	ck_assert_uint_eq(ike_leases_count(d.b.ike->leases), _i ? 1 : 2);
	ck_assert_str_eq(ip_addr_format(&sa_of(&d.a)->vip[0], text), _i ? "10.9.0.1" : "10.9.0.2");
}
END_TEST

/* With a tenth or more of the messages lost, some twice, and out of order, it comes up all the same. */
START_TEST(test_loss)
{
	d.seed = (uint64_t)_i + 1;
	d.lose = 10 + (unsigned)_i % 3 * 10;
	d.duplicate = 20;
	d.jitter_ns = 100 * NS_PER_MS;
	d.job_jitter_ns = 20 * NS_PER_MS;
	d.a.conf->retransmit.tries = d.b.conf->retransmit.tries = 12;
	d.b.conf->half_open_ns = 600 * NS_PER_S;
	xauth();
	add_pool("10.9.0.0/24");
	d.a.conn->push = d.b.conn->push = _i & 1;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = 0;
	duo_run(&d, 90 * NS_PER_S);
	duo_agree(&d);
	has_address("10.9.0.1", "10.9.0.1/32");
	ck_assert_uint_eq(ike_leases_count(d.b.ike->leases), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_v1_xauth");
	TCase *t = tcase_create("XAUTH");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_psk, 0, 3);
	tcase_add_loop_test(t, test_gateway_begins, 0, 2);
	tcase_add_test(t, test_childless_timeout_waits_for_xauth);
	tcase_add_loop_test(t, test_hashed, 0, 2);
	tcase_add_loop_test(t, test_wrong_password, 0, 2);
	tcase_add_test(t, test_unknown_user);
	tcase_add_test(t, test_another_user);
	tcase_add_loop_test(t, test_only_one_side, 0, 2);
	tcase_add_test(t, test_no_password_of_ours);
	tcase_add_loop_test(t, test_silence, 0, 2);
	tcase_add_test(t, test_not_without_xauth);
	tcase_add_loop_test(t, test_rsa, 0, 2);
	tcase_add_loop_test(t, test_hybrid, 0, 4);
	suite_add_tcase(s, t);
	t = tcase_create("Mode Config");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_pull_and_push, 0, 4);
	tcase_add_test(t, test_rebound);
	tcase_add_test(t, test_ipv6);
	tcase_add_test(t, test_none_left);
	tcase_add_loop_test(t, test_nothing_given, 0, 2);
	tcase_add_loop_test(t, test_rekey, 0, 4);
	tcase_add_loop_test(t, test_rekey_deletes_late, 0, 2);
	tcase_add_loop_test(t, test_another_address, 0, 2);
	tcase_add_loop_test(t, test_group, 0, 2);
	tcase_add_loop_test(t, test_split, 0, 4);
	tcase_add_test(t, test_both_versions);
	tcase_add_loop_test(t, test_loss, 0, 30);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
