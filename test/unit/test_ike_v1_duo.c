/* Two engines that speak IKEv1: every exchange in both ways of proof, loss, duplicates, collisions. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v1/v1.h"
#include "ike_duo.h"
#include "ike_pki.h"
#include "ike_v1_rules.h"
#include "pcap.h"

static struct duo d;
static char why[256];

#define IKE_PROPOSAL "aes128-sha256-ecp256"

static void setup(void)
{
	duo_init(&d, 1);
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->version = 1;
		duo_proposals(&n[i]->conn->proposals, IKE_PROTO_IKE, IKE_PROPOSAL);
	}
}

static void teardown(void)
{
	duo_fini(&d);
}

static void aggressive(void)
{
	d.a.conn->aggressive = d.b.conn->aggressive = true;
}

static void all_esp(const char *text)
{
	duo_proposals(&d.a.conn->child[0].proposals, IKE_PROTO_ESP, text);
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, text);
}

static void up_and_agree(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), d.a.conn->n_child);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_KEYS], 1);
	ck_assert(duo_child(&d.a, 0)->out);
	ck_assert(duo_child(&d.b, 0)->out);
}

static struct ike_stats stats_of(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s;
}

START_TEST(test_main_psk)
{
	up_and_agree();
	/* three of Main Mode and two of Quick Mode; three and one */
	ck_assert_uint_eq(d.a.sent, 5);
	ck_assert_uint_eq(d.b.sent, 4);
	ck_assert(!duo_child(&d.a, 0)->up.udp);
}
END_TEST

START_TEST(test_aggressive_psk)
{
	aggressive();
	up_and_agree();
	ck_assert_uint_eq(d.a.sent, 4);
	ck_assert_uint_eq(d.b.sent, 2);
}
END_TEST

START_TEST(test_aggressive_must_be_allowed)
{
	d.a.conn->aggressive = true;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

static const struct {
	const char *ike, *esp;
} suites[] = {
	{ "3des-md5-modp768", "des-md5" },
	{ "des-sha1-modp1024", "3des-sha1" },
	{ "aes256-sha384-ecp384", "aes256gcm16-ecp384" },
	{ "aes192-sha512-ecp521", "aes192-sha512-ecp521" },
	{ "aes128-sha1-modp1536", "aes128ctr-sha256-modp1536" },
	{ "aes256-sha256-modp2048", "aes256ccm12" },
	{ "aes128-sha256-ecp256", "aes128-sha384-esn" },
	{ "aes128-sha256-ecp256", "aes128gmac" },
	{ "aes128-sha256-ecp256", "aes128-aesxcbc-ecp256" },
	{ "aes128-sha256-ecp256", "null-sha256" },
};

START_TEST(test_suites)
{
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, suites[_i].ike);
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, suites[_i].ike);
	all_esp(suites[_i].esp);
	up_and_agree();
}
END_TEST

START_TEST(test_pfs_aggressive)
{
	aggressive();
	all_esp("aes128gcm16-ecp256");
	d.job_jitter_ns = 20 * NS_PER_MS;
	up_and_agree();
}
END_TEST

START_TEST(test_ah_transport)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		struct ike_child_conf *c = &n[i]->conn->child[0];
		c->proto = IKE_CHILD_AH;
		c->mode = SA_TRANSPORT;
		duo_proposals(&c->proposals, IKE_PROTO_AH, "sha256");
		duo_ts(&c->local_ts, "dynamic");
		duo_ts(&c->remote_ts, "dynamic");
	}
	up_and_agree();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.proto, SA_AH);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.mode, SA_TRANSPORT);
}
END_TEST

static void bundle(struct duo_node *n, const char *ah)
{
	duo_proposals(&n->conn->child[0].ah, IKE_PROTO_AH, ah);
}

/* ESP and AH together, in tunnel and transport mode, with PFS; new ones; and gone, both at once. */
START_TEST(test_bundle)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		struct ike_child_conf *c = &n[i]->conn->child[0];
		bundle(n[i], "sha256");
		if (_i & 1) {
			c->mode = SA_TRANSPORT;
			duo_ts(&c->local_ts, "dynamic");
			duo_ts(&c->remote_ts, "dynamic");
		}
	}
	if (_i & 2)
		all_esp("aes256gcm16-ecp256");
	up_and_agree();
	const struct ike_child_up *u = &duo_child(&d.a, 0)->up;
	ck_assert_uint_ne(u->ah.spi_in, 0);
	ck_assert_uint_ne(u->ah.spi_in, u->spi_in);
	ck_assert_uint_eq(u->ah.integ_in.len, 32);
	ck_assert_uint_eq(u->proto, SA_ESP);
	uint64_t order;
	struct duo_node *r = _i & 4 ? &d.a : &d.b;
	ck_assert_int_eq(ike_rekey(r->ike, r == &d.a ? "b/net" : "a/net", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, r, order)->type, IKE_EV_DONE);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.ah.spi_in, 0);
	duo_agree(&d);
	duo_down(&d, r, r == &d.a ? "b/net" : "a/net");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* Both or neither: a child that has only ESP does not take half of what is offered, nor gives it. */
START_TEST(test_bundle_refused)
{
	static const struct {
		const char *a, *b, *words;
	} rows[] = { { "sha256", NULL, "bundles" },
		     { NULL, "sha256", "together with AH" },
		     { "sha256", "sha384", "" } };

	if (rows[_i].a)
		bundle(&d.a, rows[_i].a);
	if (rows[_i].b)
		bundle(&d.b, rows[_i].b);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "accepts none of our proposals");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, rows[_i].words));
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* AH cannot go through NAT; nothing stays. */
START_TEST(test_bundle_behind_nat)
{
	d.nat = true;
	bundle(&d.a, "sha256");
	bundle(&d.b, "sha256");
	duo_start(&d);
	struct ip_addr any = { .ver = 0 };
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_selectors)
{
	static const char *const ts[][2] = {
		{ "10.1.0.5-10.1.0.9", "10.2.0.1" },
		{ "10.1.0.0/24[tcp/80]", "10.2.0.0/16[tcp]" },
		{ "2001:db8:1::/48", "2001:db8:2::1" },
		{ "10.1.1.1[udp]", "10.2.0.0/32[udp/53]" },
	};
	duo_ts(&d.a.conn->child[0].local_ts, ts[_i][0]);
	duo_ts(&d.a.conn->child[0].remote_ts, ts[_i][1]);
	duo_ts(&d.b.conn->child[0].local_ts, ts[_i][1]);
	duo_ts(&d.b.conn->child[0].remote_ts, ts[_i][0]);
	up_and_agree();
	ck_assert(ts_list_eq(&duo_child(&d.a, 0)->local_ts, &d.a.conn->child[0].local_ts));
	ck_assert(ts_list_eq(&duo_child(&d.b, 0)->remote_ts, &d.a.conn->child[0].local_ts));
}
END_TEST

/* No narrowing in IKEv1: what is not wholly allowed is refused, with words on both sides. */
START_TEST(test_selectors_refused)
{
	duo_ts(&d.b.conn->child[0].local_ts, "10.2.0.0/24");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "INVALID-ID-INFORMATION");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "10.2.0.0/16"));
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

START_TEST(test_esp_refused)
{
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "accepts none of our proposals");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "aes256"));
}
END_TEST

START_TEST(test_ike_refused)
{
	if (_i)
		aggressive();
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_wrong_psk)
{
	if (_i)
		aggressive();
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.b.count[IKE_EV_SA_UP], 0);
}
END_TEST

START_TEST(test_no_psk)
{
	d.b.conf->psks.psk[0].id[0].data[0] = 'x';
	d.b.conf->psks.psk[0].id[1].data[0] = 'y';
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "secret"));
}
END_TEST

/* Main Mode with a PSK knows the peer only by its address: a secret for that is enough. */
START_TEST(test_psk_by_address)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		ident_fini(&n[i]->conn->auth.id);
		ident_fini(&n[i]->conn->peer.id);
		duo_ident(&n[i]->conf->psks.psk[0].id[0], "192.0.2.1");
		duo_ident(&n[i]->conf->psks.psk[0].id[1], "192.0.2.2");
	}
	up_and_agree();
}
END_TEST

START_TEST(test_unknown_id)
{
	if (_i)
		aggressive();
	duo_ident(&d.a.conn->auth.id, "stranger.example");
	duo_conf_psk(d.a.conf, "stranger.example", "b.example", "a secret of both");
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

START_TEST(test_wrong_responder)
{
	if (_i)
		aggressive();
	duo_ident(&d.b.conn->auth.id, "c.example");
	duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "the peer says it is c.example");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

/* ---- certificates */

static struct pki root, cert_a, cert_b;

static struct cred *load(const char *name, const struct pki *p)
{
	char cert[32], key[32];
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
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P384, PKI_P521 };
	if (_i >= 4)
		aggressive();
	pki_setup(kinds[_i % 4]);
	d.job_jitter_ns = 10 * NS_PER_MS;
	up_and_agree();
	pki_end();
}
END_TEST

START_TEST(test_cert_without_method)
{
	pki_setup(PKI_ED25519);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "IKEv1 cannot authenticate so");
	pki_end();
}
END_TEST

START_TEST(test_cert_fragments)
{
	pki_setup(PKI_RSA);
	d.a.conn->fragment_size = d.b.conn->fragment_size = 576;
	d.a.conf->retransmit = (struct ike_retransmit){ 4 * NS_PER_S, 1.2, 60, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.lose = _i * 10;
	d.jitter_ns = 30 * NS_PER_MS;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_gt(d.b.sent, 4);
	pki_end();
}
END_TEST

START_TEST(test_cert_of_nobody)
{
	if (_i)
		aggressive();
	pki_setup(PKI_P256);
	cred_cas_unref(&d.b.conf->cas);
	d.a.conf->retransmit.tries = 2;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 0);
	pki_end();
}
END_TEST

START_TEST(test_cert_responder_of_nobody)
{
	if (_i)
		aggressive();
	pki_setup(PKI_P256);
	cred_cas_unref(&d.a.conf->cas);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	pki_end();
}
END_TEST

START_TEST(test_method_mismatch)
{
	pki_setup(PKI_P256);
	d.b.conn->auth.method = d.b.conn->peer.method = IKE_BY_PSK;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
	pki_end();
}
END_TEST

/* ---- the exchanges of RFC 2408 4 that are off unless configured */

static void exchange(enum ike_exchange e)
{
	struct duo_node *n[] = { &d.a, &d.b };

	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->exchange = e;
		if (e == IKE_EXCHANGE_AUTH)
			n[i]->conn->n_child = 0;
	}
}

/* RFC 2408 4.4: two messages each way, and then as after Main Mode. */
START_TEST(test_base)
{
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P521 };

	exchange(IKE_EXCHANGE_BASE);
	if (_i)
		pki_setup(kinds[_i - 1]);
	up_and_agree();
	ck_assert_uint_eq(d.a.sent, 2 + 2);
	ck_assert_uint_eq(d.b.sent, 2 + 1);
	uint64_t order;
	ck_assert_int_eq(ike_rekey(d.b.ike, "a", false, &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.b, order)->type, IKE_EV_DONE);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_agree(&d);
	if (_i)
		pki_end();
}
END_TEST

START_TEST(test_base_on_a_bad_wire)
{
	exchange(IKE_EXCHANGE_BASE);
	d.nat = _i & 1;
	d.seed = 300 + (uint64_t)_i;
	d.lose = d.duplicate = 20;
	d.jitter_ns = 50 * NS_PER_MS;
	d.job_jitter_ns = 30 * NS_PER_MS;
	d.a.conf->retransmit = d.b.conf->retransmit = (struct ike_retransmit){ 2 * NS_PER_S, 1.2, 30, 0 };
	d.b.conf->half_open_ns = 300 * NS_PER_S;
	duo_start(&d);
	if (d.nat)
		d.b.conn->remote[0].range = (struct ip_range){ { .ver = 0 }, { .ver = 0 } };
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 0;
	duo_run(&d, 120 * NS_PER_S);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.udp, d.nat);
	duo_agree(&d);
}
END_TEST

static bool spoil(struct duo *duo, struct duo_msg *m)
{
	struct endpoint to = m->dst, from = m->src;
	uint8_t copy[4096];

	/* the responder's proof: the same message with another one comes first */
	if (m->from != &duo->b || m->p[16] == IKE1_N || (m->p[18] == IKE1_X_BASE && m->p[16] == IKE1_SA))
		return true;
	duo->hook = NULL;
	ck_assert_uint_le(m->len, sizeof(copy));
	memcpy(copy, m->p, m->len);
	copy[m->len - 1] ^= 0x55;
	ike_receive(duo->a.ike, &to, &from, false, copy, m->len);
	return true;
}

/* Who does not have the secret is refused by either; a forged answer is not the end. */
START_TEST(test_rare_exchange_proofs)
{
	exchange(_i & 1 ? IKE_EXCHANGE_AUTH : IKE_EXCHANGE_BASE);
	d.a.conf->retransmit.tries = 2;
	if (_i < 2) {
		secret_free(&d.b.conf->psks.psk[0].key);
		ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
		duo_start(&d);
		duo_up_fails(&d, &d.a, "b", "");
		ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.b.count[IKE_EV_SA_UP], 0);
	} else if (_i < 4) {
		duo_ident(&d.a.conn->auth.id, "stranger.example");
		duo_conf_psk(d.a.conf, "stranger.example", "b.example", "a secret of both");
		duo_start(&d);
		if (_i == 2) {
			duo_up_fails(&d, &d.a, "b", "");
		} else { /* its answer was good: there is no fourth message to say no by */
			duo_up(&d, &d.a, "b");
			duo_settle(&d);
		}
		ck_assert_ptr_nonnull(strstr(duo_last(&d.b, IKE_EV_FAILED)->text, "stranger.example"));
	} else if (_i < 6) {
		duo_ident(&d.b.conn->auth.id, "c.example");
		duo_conf_psk(d.b.conf, "c.example", "a.example", "a secret of both");
		duo_start(&d);
		duo_up_fails(&d, &d.a, "b", "the peer says it is c.example");
	} else {
		duo_start(&d);
		d.hook = spoil;
		duo_up(&d, &d.a, "b");
		ck_assert_ptr_null(d.hook);
	}
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), _i == 6);
}
END_TEST

/* RFC 2408 4.6: three messages, both know who the other is, and nothing stays. */
START_TEST(test_authentication_only)
{
	static const enum pki_key kinds[] = { PKI_RSA, PKI_P256, PKI_P521 };

	exchange(IKE_EXCHANGE_AUTH);
	if (_i % 4)
		pki_setup(kinds[_i % 4 - 1]);
	if (_i >= 4) {
		d.seed = 400 + (uint64_t)_i;
		d.lose = d.duplicate = 25;
		d.jitter_ns = 50 * NS_PER_MS;
		d.a.conf->retransmit = d.b.conf->retransmit =
		    (struct ike_retransmit){ NS_PER_S, 1.2, 30, 0 };
	}
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	const struct duo_event *e = duo_last(&d.a, IKE_EV_PROGRESS);
	ck_assert_ptr_nonnull(strstr(e->text, "b.example has proved who it is"));
	if (_i < 4) {
		duo_settle(&d);
		ck_assert_uint_eq(d.a.sent, 2);
		ck_assert_uint_eq(d.b.sent, 1);
	}
	d.lose = 0;
	duo_run(&d, 200 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP] + d.a.count[IKE_EV_KEYS], 0);
	ck_assert_uint_eq(stats_of(&d.b).half_open, 0);
	duo_up(&d, &d.a, "b"); /* as often as one likes */
	if (_i % 4)
		pki_end();
}
END_TEST

/* The responder has another exchange: refused, with the notify and the event (5.2) when no connection
 * has it, with words when another one has. */
START_TEST(test_rare_exchange_refused)
{
	struct duo_node *n = &d.a;

	n->conn->exchange = _i & 1 ? IKE_EXCHANGE_AUTH : IKE_EXCHANGE_BASE;
	if (_i & 1)
		n->conn->n_child = 0;
	if (_i & 2) {
		struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "other", "192.0.2.2", "198.51.100.1");
		c->exchange = n->conn->exchange;
		c->version = 1;
	}
	n->conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", _i & 2 ? "none of the IKE proposals" : "UNSUPPORTED-EXCHANGE-TYPE");
	ck_assert_uint_gt(d.b.audited[_i & 2 ? AUDIT_PROPOSAL : AUDIT_EXCHANGE], 0);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST

/* Nor does one that only authenticates let a Main Mode in. */
START_TEST(test_main_mode_refused)
{
	d.b.conn->exchange = IKE_EXCHANGE_AUTH;
	d.b.conn->n_child = 0;
	d.a.conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none of the IKE proposals");
}
END_TEST

/* ---- the wire */

START_TEST(test_loss)
{
	if (_i % 2)
		aggressive();
	all_esp("aes128gcm16-ecp256");
	d.seed = 100 + (uint64_t)_i;
	d.lose = 20;
	d.duplicate = 20;
	d.jitter_ns = 50 * NS_PER_MS;
	d.job_jitter_ns = 30 * NS_PER_MS;
	d.a.conf->retransmit = (struct ike_retransmit){ 2 * NS_PER_S, 1.2, 30, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.b.conf->half_open_ns = 300 * NS_PER_S;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 0;
	duo_run(&d, 120 * NS_PER_S);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

START_TEST(test_duplicates_change_nothing)
{
	if (_i)
		aggressive();
	d.duplicate = 100;
	up_and_agree();
	ck_assert_uint_gt(stats_of(&d.b).retransmitted, 0);
}
END_TEST

START_TEST(test_timeout)
{
	d.lose = 100;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "does not answer");
	ck_assert_uint_eq(duo_sas(&d.a), 0);
}
END_TEST

START_TEST(test_nat)
{
	if (_i & 1)
		aggressive();
	d.nat = true;
	duo_start(&d);
	struct ip_addr any = { .ver = 0 };
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.b, 0)->up.udp);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.remote.port, 4500);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.remote.port, 4500 + d.nat_base);
	duo_agree(&d);
	unsigned before = d.a.keepalives;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_gt(d.a.keepalives, before);
}
END_TEST

START_TEST(test_forced_encap)
{
	(_i ? &d.a : &d.b)->conn->encap = true;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert(duo_child(&d.a, 0)->up.udp);
	ck_assert(duo_child(&d.b, 0)->up.udp);
	duo_agree(&d);
}
END_TEST

START_TEST(test_slow_jobs)
{
	if (_i)
		aggressive();
	all_esp("aes128gcm16-ecp256");
	d.job_ns = 5 * NS_PER_S; /* longer than the first retransmission */
	up_and_agree();
}
END_TEST

START_TEST(test_forged)
{
	up_and_agree();
	uint8_t junk[200];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	for (unsigned i = 0; i < 200; i++) {
		random_bytes(junk, sizeof(junk));
		if (i > 26) {
			junk[17] = 0x10;
			junk[18] = (uint8_t)(i % 40);
			junk[19] = i & 1;
			junk[24] = junk[25] = junk[26] = 0;
			junk[27] = (uint8_t)i;
		}
		ike_receive(d.b.ike, &to, &from, false, junk, i);
	}
	duo_settle(&d);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* An answer to Aggressive Mode that somebody else made comes first; the right one still counts. */
static bool forge_first(struct duo *duo, struct duo_msg *m)
{
	struct endpoint to = m->dst, from = m->src;
	uint8_t copy[2048];

	if (m->from != &duo->b || m->p[18] != IKE1_X_AGGRESSIVE)
		return true;
	duo->hook = NULL;
	ck_assert_uint_le(m->len, sizeof(copy));
	memcpy(copy, m->p, m->len);
	copy[8] ^= 0x55; /* another cookie, so another hash */
	ike_receive(duo->a.ike, &to, &from, false, copy, m->len);
	return true;
}

START_TEST(test_forged_aggressive_answer)
{
	aggressive();
	duo_start(&d);
	d.hook = forge_first;
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
}
END_TEST

/* Every byte of every message changed once: it never comes up wrongly, and nobody is upset. */
static unsigned flip_message, flip_at;

static bool flip(struct duo *duo, struct duo_msg *m)
{
	if (flip_message-- == 0 && m->len)
		m->p[flip_at % m->len] ^= 0x10;
	return true;
}

START_TEST(test_changed_on_the_way)
{
	if (_i % 2)
		aggressive();
	flip_message = (unsigned)_i / 2 % 9;
	flip_at = 28 + (unsigned)_i * 7;
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.5, 4, 0 };
	d.b.conf->retransmit = d.a.conf->retransmit;
	d.a.conn->keyingtries = 3;
	duo_start(&d);
	d.hook = flip;
	uint64_t order;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	const struct duo_event *e = duo_order(&d, &d.a, order);
	d.hook = NULL;
	duo_run(&d, 100 * NS_PER_S);
	if (e->type == IKE_EV_DONE)
		duo_agree(&d);
	else
		ck_assert_uint_eq(duo_children(&d.a), 0);
}
END_TEST

static char audit[4096]; /* lines of the log with this in them */
static const char *listen_for = "audit: ";

static void take_line(enum log_subsys s, enum log_level l, const char *line)
{
	(void)s;
	(void)l;
	if (strstr(line, listen_for))
		snprintf(audit + strlen(audit), sizeof(audit) - strlen(audit), "%s\n", line);
}

static void listen_to_log(void)
{
	static FILE *nowhere;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	audit[0] = '\0';
	log_set_output(nowhere, false);
	log_set_level_all(LOG_LVL_INFO);
	log_set_hook(take_line);
}

static void stop_listening(void)
{
	log_set_hook(NULL);
	log_set_level_all(LOG_LVL_ERROR);
	log_set_output(stderr, false);
}

/* ---- under the SA */

START_TEST(test_several_quick_modes)
{
	duo_conf_child(d.a.conn, "two", "10.1.2.0/24", "10.2.2.0/24");
	duo_conf_child(d.b.conn, "two", "10.2.2.0/24", "10.1.2.0/24");
	duo_conf_child(d.a.conn, "three", "10.3.0.0/16", "10.4.0.0/16");
	duo_conf_child(d.b.conn, "three", "10.4.0.0/16", "10.3.0.0/16");
	d.jitter_ns = 40 * NS_PER_MS;
	d.job_jitter_ns = 40 * NS_PER_MS;
	all_esp("aes128gcm16-ecp256");
	d.b.conn->child[0].local_ts = d.b.conn->child[0].local_ts;
	up_and_agree();
	/* the other way round under the same phase 1 */
	duo_down(&d, &d.a, "b/two");
	ck_assert_uint_eq(duo_children(&d.b), 2);
	duo_up(&d, &d.b, "a/two");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 3);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_agree(&d);
}
END_TEST

START_TEST(test_down)
{
	up_and_agree();
	duo_down(&d, _i ? &d.a : &d.b, _i ? "b" : "a");
	duo_settle(&d);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a) + duo_sas(&d.b), 0);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

static void rekey(struct duo_node *n, const char *name, bool reauth)
{
	uint64_t order;

	ck_assert_msg(ike_rekey(n->ike, name, reauth, &order, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(duo_order(&d, n, order)->type, IKE_EV_DONE);
}

START_TEST(test_rekey_child)
{
	struct duo_node *n = _i ? &d.a : &d.b;

	if (_i & 2)
		all_esp("aes128gcm16-ecp256");
	up_and_agree();
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	rekey(n, n == &d.a ? "b/net" : "a/net", false);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
}
END_TEST

/* ---- the commit bit (RFC 2408 3.1) */

static unsigned connected_seen, connected_lost;

static bool count_connected(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	/* the only informational messages of 92 bytes that have the ID of a Quick Mode */
	static uint32_t quick[64];
	static unsigned n;
	uint32_t id = load_be32(m->p + 20);
	if (m->p[18] == IKE1_X_QUICK)
		quick[n++ % 64] = id;
	for (unsigned i = 0; m->p[18] == IKE1_X_INFO && i < 64; i++)
		if (quick[i] == id) {
			connected_seen++;
			if (connected_lost && connected_lost--)
				return false;
			break;
		}
	return true;
}

/* Set by the initiator, by the responder, by both; the notify lost: all the same in the end. */
START_TEST(test_commit_bit)
{
	connected_seen = 0;
	d.a.conn->commit_bit = _i % 3 != 1;
	d.b.conn->commit_bit = _i % 3 != 0;
	if (_i >= 6)
		all_esp("aes128gcm16-ecp256");
	connected_lost = _i / 3 % 2 ? 1 : 0;
	d.a.conf->retransmit = d.b.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.2, 6, 0 };
	d.hook = count_connected;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_ge(connected_seen, 1);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	unsigned before = connected_seen;
	rekey(&d.b, "a/net", false);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_gt(connected_seen, before);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	duo_agree(&d);
}
END_TEST

/* While it waits, the new SA is not used: a new child is not there yet, one rekeyed does not send. */
static bool no_connected(struct duo *duo, struct duo_msg *m)
{
	connected_lost = 1000;
	return count_connected(duo, m);
}

START_TEST(test_commit_bit_waits)
{
	uint64_t order;

	d.b.conn->commit_bit = true;
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1, 5, 0 };
	d.hook = no_connected;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_run(&d, 3 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	/* its last message is repeated, and at last it goes on without: it has been agreed on */
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ge(connected_seen, 5);
	duo_agree(&d);
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &order, why, sizeof(why)), 0);
	duo_run(&d, 3 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(duo_child(&d.a, i)->out, duo_child(&d.a, i)->up.spi_in == spi);
	duo_run(&d, 10 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_ne(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert(duo_child(&d.a, 0)->out);
	connected_lost = 0;
	d.hook = NULL;
	duo_agree(&d);
}
END_TEST

/* The flags of the header are not protected: set on the way they hold things up, no more. */
static bool set_commit(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	if (m->p[18] == IKE1_X_QUICK)
		m->p[19] |= IKE1_FLAG_C;
	return true;
}

START_TEST(test_commit_bit_of_a_stranger)
{
	d.a.conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1, 3, 0 };
	d.hook = set_commit;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 20 * NS_PER_S);
	rekey(&d.a, "b/net", false);
	duo_run(&d, 20 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert(duo_child(&d.a, 0)->out && duo_child(&d.b, 0)->out);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	duo_agree(&d);
}
END_TEST

/* Both begin at once: whatever stays, both ends have it and use what the other accepts. */
START_TEST(test_rekey_child_collision)
{
	uint64_t oa, ob;

	up_and_agree();
	ck_assert_int_eq(ike_rekey(d.a.ike, "b/net", false, &oa, why, sizeof(why)), 0);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a/net", false, &ob, why, sizeof(why)), 0);
	duo_run(&d, 400 * NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_agree(&d);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
}
END_TEST

/* Phase 1 anew, by either side: the children are the same ones, under the new SA. */
START_TEST(test_rekey_phase1)
{
	struct duo_node *n = _i & 1 ? &d.a : &d.b;

	if (_i & 2)
		aggressive();
	up_and_agree();
	uint32_t spi = duo_child(&d.a, 0)->up.spi_in;
	rekey(n, n == &d.a ? "b" : "a", _i & 4);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.spi_in, spi);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
	/* and it can be rekeyed and closed under the new one */
	rekey(n == &d.a ? &d.b : &d.a, n == &d.a ? "a/net" : "b/net", false);
	duo_run(&d, 30 * NS_PER_S);
	duo_agree(&d);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

START_TEST(test_rekey_phase1_collision)
{
	uint64_t oa, ob;

	up_and_agree();
	ck_assert_int_eq(ike_rekey(d.a.ike, "b", false, &oa, why, sizeof(why)), 0);
	ck_assert_int_eq(ike_rekey(d.b.ike, "a", false, &ob, why, sizeof(why)), 0);
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), duo_sas(&d.b));
	duo_agree(&d);
	rekey(&d.a, "b/net", false);
	duo_run(&d, 10 * NS_PER_S);
	duo_agree(&d);
}
END_TEST

/* Time alone does it: an hour with lifetimes of minutes, the wire losing some. */
START_TEST(test_lifetimes)
{
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->rekey_ns = (600 + 100 * i) * NS_PER_S;
		n[i]->conn->over_ns = 60 * NS_PER_S;
		n[i]->conn->rand_ns = 60 * NS_PER_S;
		n[i]->conn->child[0].rekey_ns = (200 + 20 * i) * NS_PER_S;
		n[i]->conn->child[0].life_ns = 300 * NS_PER_S;
		n[i]->conn->child[0].rand_ns = 20 * NS_PER_S;
		n[i]->conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.3, 15, 0 };
	}
	d.seed = (uint64_t)_i;
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = 5;
	duo_run(&d, 3600 * NS_PER_S);
	d.lose = 0;
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_gt(d.a.count[IKE_EV_CHILD_REKEYED], 10);
	ck_assert_uint_gt(d.a.count[IKE_EV_SA_UP], 4);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_CHILD_DOWN], 0);
	duo_agree(&d);
}
END_TEST

/* The shorter limit holds on both sides (RESPONDER-LIFETIME the one way, the offer the other). */
START_TEST(test_replay_status)
{
	d.b.conn->child[0].replay_window = 0;
	listen_for = "played back";
	listen_to_log();
	up_and_agree();
	stop_listening();
	ck_assert_ptr_nonnull(strstr(audit, "played back"));
}
END_TEST

START_TEST(test_responder_lifetime)
{
	struct duo_node *shorter = _i ? &d.a : &d.b;

	d.a.conn->child[0].life_ns = d.b.conn->child[0].life_ns = 3600 * NS_PER_S;
	shorter->conn->child[0].life_ns = 600 * NS_PER_S;
	d.a.conn->child[0].life_bytes = d.b.conn->child[0].life_bytes = 1 << 30;
	shorter->conn->child[0].life_bytes = 1 << 20;
	up_and_agree();
	ck_assert_uint_eq(duo_child(&d.a, 0)->up.life.hard_bytes, 1 << 20);
	ck_assert_uint_eq(duo_child(&d.b, 0)->up.life.hard_bytes, 1 << 20);
	/* who has the longer limit rekeys in time for the shorter one */
	duo_run(&d, 3000 * NS_PER_S);
	ck_assert_uint_gt(d.a.count[IKE_EV_CHILD_REKEYED], 3);
	duo_agree(&d);
}
END_TEST

START_TEST(test_dpd)
{
	d.a.conn->dpd_delay_ns = 10 * NS_PER_S;
	d.a.conn->dpd_timeout_ns = 35 * NS_PER_S;
	d.a.conn->child[0].dpd_action = IKE_ACTION_TRAP;
	up_and_agree();
	unsigned sent = d.b.sent;
	duo_run(&d, 100 * NS_PER_S);
	ck_assert_uint_ge(d.b.sent, sent + 8); /* answers */
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	d.b.frozen = true;
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.a), 0);
	ck_assert_uint_eq(d.a.n_traps, 1);
	d.b.frozen = false;
}
END_TEST

/* Traffic is as good as an answer. */
START_TEST(test_dpd_is_content_with_traffic)
{
	d.a.conn->dpd_delay_ns = 10 * NS_PER_S;
	up_and_agree();
	unsigned sent = d.a.sent;
	for (unsigned i = 0; i < 20; i++) {
		duo_run(&d, 5 * NS_PER_S);
		duo_child(&d.a, 0)->in_ns = clock_now_ns();
	}
	ck_assert_uint_eq(d.a.sent, sent);
}
END_TEST

START_TEST(test_initial_contact)
{
	if (_i)
		aggressive();
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_restart(&d.a);
	duo_up(&d, &d.a, "b");
	duo_run(&d, 6 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

static bool no_main_mode(struct duo *duo, struct duo_msg *m)
{
	(void)duo;
	return m->p[18] != IKE1_X_MAIN;
}

/* Phase 1 goes, the children stay; when they are to be rekeyed a new phase 1 takes them over. */
START_TEST(test_children_outlive_phase1)
{
	d.b.conn->rekey_ns = 100 * NS_PER_S;
	d.b.conn->over_ns = 10 * NS_PER_S;
	d.a.conn->child[0].rekey_ns = 300 * NS_PER_S;
	d.a.conn->child[0].life_ns = d.b.conn->child[0].life_ns = 400 * NS_PER_S;
	up_and_agree();
	d.hook = no_main_mode; /* neither can begin a new one */
	duo_run(&d, 290 * NS_PER_S);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 2);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_REKEYED], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_CHILD_DOWN] + d.b.count[IKE_EV_CHILD_DOWN], 0);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* A responder that does not know where its peer will be calls it back where it is. */
START_TEST(test_rekey_by_who_is_called)
{
	struct ip_addr any = { .ver = 0 };

	d.nat = true;
	duo_start(&d);
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	rekey(&d.b, "a", false);
	duo_run(&d, 30 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	duo_agree(&d);
}
END_TEST

/* A packet asks for it. */
START_TEST(test_trap)
{
	struct flow_key flow = { .ver = 4, .proto = 17 };

	d.a.conn->child[0].start = IKE_START_TRAP;
	duo_start(&d);
	ck_assert_uint_eq(d.a.n_traps, 1);
	ike_acquire(d.a.ike, d.a.trap[0].reqid, &flow);
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), 1);
	ck_assert_uint_eq(d.a.acquires_failed, 0);
	duo_agree(&d);
}
END_TEST

static struct ike_sa *sa_of(struct duo_node *n)
{
	return list_entry(n->ike->sas.next, struct ike_sa, all);
}

/* Published captures that upset others, as if they came from the peer. */
static void feed(const char *file, const struct pcap_record *r, void *arg)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	const uint8_t *p = r->ip;
	uint8_t buf[65536];

	(void)file;
	(void)arg;
	if (!p || r->ip_len < 28 || p[0] >> 4 != 4 || p[9] != 17)
		return;
	size_t head = (p[0] & 15u) * 4 + 8u;
	if (head > r->ip_len)
		return;
	size_t len = r->ip_len - head;
	memcpy(buf, p + head, len);
	ike_receive(d.b.ike, &to, &from, false, buf, len);
	if (len >= IKE_HDR_LEN) { /* and with cookies that are known */
		memcpy(buf, p + head, len);
		memcpy(buf, sa_of(&d.a)->spi_i, 8);
		memcpy(buf + 8, sa_of(&d.a)->spi_r, 8);
		ike_receive(d.b.ike, &to, &from, false, buf, len);
	}
}

START_TEST(test_captures)
{
	static const char *const folders[] = { "malformed", "ike-captures", "openswan" };
	char dir[4096];

	up_and_agree();
	if (!vectors_dir(folders[_i], dir, sizeof(dir)))
		return;
	ck_assert_uint_gt(pcap_each(dir, feed, NULL), 0);
	duo_run(&d, 300 * NS_PER_S);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	duo_agree(&d);
}
END_TEST

/* ---- RFC 2408 section 5: what is told, what is logged */

static uint8_t last_sent[2048];
static size_t last_len;

static bool keep_last(struct duo *duo, struct duo_msg *m)
{
	if (m->from == &duo->b) {
		ck_assert_uint_le(m->len, sizeof(last_sent));
		memcpy(last_sent, m->p, m->len);
		last_len = m->len;
	}
	return true;
}

static struct ike_msg msg;
static struct ike_bad bad;

/* From somebody unknown: heard, logged, and answered with the notify, unless it is one itself. */
START_TEST(test_5_offence_of_a_stranger)
{
	const struct rule *r = &rules[_i];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t buf[1024];
	size_t len = bytes_of(r->hex, buf, sizeof(buf));
	bool info = buf[18] == IKE1_X_INFO, known = load_be64(buf + 8) == 0;

	if (r->notify == IKE1_INVALID_MAJOR_VERSION)
		return; /* IKEv2's answer, see test_ike_duo.c */
	duo_start(&d);
	last_len = 0;
	d.hook = keep_last;
	listen_to_log();
	ike_receive(d.b.ike, &to, &from, false, buf, len);
	stop_listening();
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	/* what comes with cookies of no SA is judged for that first */
	if (!known && load_be64(buf) != 0)
		ck_assert_msg(strstr(audit, "INVALID COOKIE") || strstr(audit, r->event), "%s: %s",
			      r->name, audit);
	else
		ck_assert_msg(strstr(audit, r->event) != NULL, "%s: %s", r->name, audit);
	if (info || load_be64(buf) == 0)
		return;
	ck_assert_msg(last_len > 0, "%s: nothing was sent", r->name);
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	ck_assert_uint_eq(msg.hdr.exchange, IKE1_X_INFO);
	if (known)
		ck_assert_uint_eq(msg.payload[0].notify.type, r->notify);
}
END_TEST

/* A message under the SA of a, with a right hash or none; fill adds its payloads. */
static void inject(uint8_t exchange, uint32_t id, enum v1_hash_kind hash,
		   void (*fill)(struct ike_msg *m))
{
	struct ike_sa *sa = sa_of(&d.a);
	struct v1_hash h = { .kind = hash, .id = id };
	uint8_t iv[CBC_BLOCK_MAX];
	struct sealed s;

	ike_msg_init(&msg, 0x10, sa->spi_i, sa->spi_r, exchange, 0, id);
	if (hash != V1_HASH_NONE)
		ike_msg_add(&msg, IKE1_HASH, true)->raw.data = span_of(NULL, sa->suite.prf->len);
	fill(&msg);
	ck_assert_int_eq(v1_iv_exchange(&sa->suite, sa->v1->last_iv, id, iv), 0);
	ck_assert_int_eq(v1_seal(&msg, &sa->suite, &sa->keys, &h, iv, 0, 0, &s), 0);
	v1_send(sa, &s);
	sealed_free(&s);
	last_len = 0;
	d.hook = keep_last;
	listen_to_log();
	duo_settle(&d);
	stop_listening();
}

/* What b told about it, under the SA. */
static unsigned told(void)
{
	struct ike_sa *sa = sa_of(&d.a);
	uint8_t iv[CBC_BLOCK_MAX];

	if (!last_len)
		return 0;
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	struct v1_hash h = { .kind = V1_HASH_1, .id = msg.hdr.id };
	ck_assert_int_eq(v1_iv_exchange(&sa->suite, sa->v1->last_iv, msg.hdr.id, iv), 0);
	ck_assert_int_eq(v1_open(&msg, last_sent, &sa->suite, &sa->keys, &h, iv, &bad), 0);
	return ike_msg_find(&msg, IKE1_N, NULL)->notify.type;
}

static void fill_group(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_SA, true);
	p->sa.doi = p->sa.situation = 1;
	struct ike_prop *w = ike_msg_add_prop(m, p, 1, IKE_PROTO_IKE, span_of(NULL, 0));
	struct ike_transform *t = ike_msg_add_transform(m, w, 0, 1);
	struct ike_attr *a = ike_msg_add_transform_attr(m, t, 5);
	t->number = 1;
	a->is_short = true;
	a->value = 1;
}

/* RFC 2409 5.6 */
START_TEST(test_new_group_is_refused)
{
	up_and_agree();
	inject(IKE1_X_NEW_GROUP, 77, V1_HASH_1, fill_group);
	ck_assert_uint_eq(told(), IKE1_ATTRIBUTES_NOT_SUPPORTED);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

static void fill_notify(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_N, true);
	p->notify.doi = 1;
	p->notify.proto = 1;
	p->notify.type = IKE1_R_U_THERE;
	p->notify.data = span_of("\0\0\0\1", 4);
	p->notify.spi = span_of(NULL, 16);
}

START_TEST(test_5_11_hash)
{
	up_and_agree();
	/* no HASH payload */
	inject(IKE1_X_INFO, 78, V1_HASH_NONE, fill_notify);
	ck_assert_ptr_nonnull(strstr(audit, "INVALID HASH INFORMATION"));
	ck_assert_uint_eq(told(), 0);
	/* a good one is answered, once */
	inject(IKE1_X_INFO, 79, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), IKE1_R_U_THERE_ACK);
	inject(IKE1_X_INFO, 79, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), 0);
	/* the hash of another message ID */
	struct ike_sa *sa = sa_of(&d.a);
	sa->keys.ai = sa->keys.d;
	inject(IKE1_X_INFO, 80, V1_HASH_1, fill_notify);
	ck_assert_ptr_nonnull(strstr(audit, "INVALID HASH VALUE"));
	sa->keys.ai = sa->keys.ar;
	inject(IKE1_X_QUICK, 81, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), IKE1_PAYLOAD_MALFORMED);
}
END_TEST

static void fill_error(struct ike_msg *m)
{
	fill_notify(m);
	m->payload[m->n_payloads - 1].notify.type = IKE1_INVALID_SPI;
}

START_TEST(test_5_14_error_notified)
{
	up_and_agree();
	inject(IKE1_X_INFO, 90, V1_HASH_1, fill_error);
	ck_assert_ptr_nonnull(strstr(audit, "NOTIFICATION PAYLOAD ERROR"));
	ck_assert_uint_gt(d.a.audited[AUDIT_NOTIFICATION] + d.b.audited[AUDIT_NOTIFICATION], 0);
	ck_assert_uint_eq(told(), 0);
}
END_TEST

static void fill_delete(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_D, true);
	p->del.doi = 1;
	p->del.proto = 9;
	p->del.spi_size = 4;
	p->del.n = 1;
	p->del.spis = span_of(NULL, 4);
}

START_TEST(test_5_15_delete_of_unknown_protocol)
{
	up_and_agree();
	inject(IKE1_X_INFO, 91, V1_HASH_1, fill_delete);
	ck_assert_ptr_nonnull(strstr(audit, "INVALID PROTOCOL-ID"));
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* ---- every row of IKE's in the table of auditable events (src/base/audit.def) */

static void version2(void)
{
	d.a.conn->version = d.b.conn->version = 2;
}

static void wrong_secret(void)
{
	version2();
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
}

static void silence(void)
{
	d.lose = 100;
	duo_start(&d);
	duo_up_fails(&d, &d.b, "a", "does not answer");
}

static void null_esp(void)
{
	struct proposals *p = &d.a.conn->child[0].proposals;

	version2();
	p->n = 1;
	p->p[0] = (struct proposal){ .proto = IKE_PROTO_ESP, .number = 1, .n = 2 };
	p->p[0].alg[0] = (struct proposal_alg){ IKE_T_ENCR, ENCR_NULL, 0 };
	p->p[0].alg[1] = (struct proposal_alg){ IKE_T_ESN, 0, 0 };
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_children(&d.b), 0);
}

static void garbage(void)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t buf[40];

	duo_start(&d);
	memset(buf, 0x22, sizeof(buf));
	ike_receive(d.b.ike, &to, &from, false, buf, sizeof(buf));
}

static void refused(void)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp521");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
}

/* A message with one wrong thing, as in section 5, that comes from a stranger. */
static bool by_rule(enum audit id)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	bool any = false;

	duo_start(&d);
	for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
		uint8_t buf[1024];
		if (strcmp(rules[i].event, audit_info(id)->what) != 0 || strstr(rules[i].hex, COOKIES))
			continue;
		size_t len = bytes_of(rules[i].hex, buf, sizeof(buf));
		ike_receive(d.b.ike, &to, &from, false, buf, len);
		any = true;
	}
	return any;
}

/* What needs an SA to be found in: here from the rule on; the message is judged in test_ike_v1_section5.c. */
static bool by_fault(enum audit id)
{
	struct endpoint from = { d.a.addr, 500 };
	const struct v1_fault *f;

	for (unsigned i = 0; (f = v1_fault_nth(i)); i++) {
		struct ike_bad b = { .notify = f->notify, .payload = f->payload, .why = "wrong" };
		if (f->event != id)
			continue;
		d.b.ike->heard.local = (struct endpoint){ d.b.addr, 500 };
		v1_audit(d.b.ike, NULL, &from, &b);
		return true;
	}
	return false;
}

START_TEST(test_audit_row)
{
	static void (*const provoke[AUDIT_EVENTS])(void) = {
		[AUDIT_RETRY_LIMIT] = silence, [AUDIT_PEER_AUTH] = wrong_secret, [AUDIT_NULL_ESP] = null_esp,
		[AUDIT_MESSAGE] = garbage,     [AUDIT_PROPOSAL] = refused,
	};
	enum audit id = (enum audit)_i;

	if (audit_info(id)->of != AUDIT_OF_IKE)
		return; /* test_plane_audit.c */
	if (id == AUDIT_NOTIFICATION)
		return; /* test_5_14_error_notified */
	if (provoke[id])
		provoke[id]();
	else if (!by_rule(id) && !by_fault(id))
		ck_abort_msg("no test provokes %s", audit_info(id)->name);
	ck_assert_msg(d.b.audited[id] > 0, "%s was not told", audit_info(id)->name);
	ck_assert_uint_eq(d.b.audit.dst.addr.ver, d.b.addr.ver);
}
END_TEST

START_TEST(test_5_1_retry_limit_reached)
{
	d.lose = 100;
	duo_start(&d);
	listen_to_log();
	duo_up_fails(&d, &d.a, "b", "does not answer");
	stop_listening();
	ck_assert_ptr_nonnull(strstr(audit, "RETRY LIMIT REACHED"));
}
END_TEST

/* A key exchange of the wrong length, in Main Mode message 3. */
static bool short_ke(struct duo *duo, struct duo_msg *m)
{
	uint8_t *ke = m->p + IKE_HDR_LEN;

	keep_last(duo, m);
	if (m->from == &duo->a && m->p[16] == IKE1_KE) {
		size_t len = load_be16(ke + 2);
		memmove(ke + len - 1, ke + len, m->len - IKE_HDR_LEN - len);
		store_be16(ke + 2, (uint16_t)(len - 1));
		m->len--;
		store_be32(m->p + 24, (uint32_t)m->len);
	}
	return true;
}

START_TEST(test_5_7_key_information)
{
	uint64_t order;

	duo_start(&d);
	d.hook = short_ke;
	listen_to_log();
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	stop_listening();
	ck_assert_ptr_nonnull(strstr(audit, "INVALID KEY INFORMATION"));
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	ck_assert_uint_eq(msg.hdr.exchange, IKE1_X_INFO);
	ck_assert_uint_eq(msg.payload[0].notify.type, IKE1_INVALID_KEY_INFORMATION);
}
END_TEST

/* version = 0: a responder that takes either, and a peer of each kind. */
START_TEST(test_either_version)
{
	d.b.conn->version = 0;
	d.a.conn->version = (uint8_t)(_i + 1);
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	up_and_agree();
}
END_TEST

START_TEST(test_version_2_refuses_1)
{
	d.b.conn->version = 2;
	d.a.conf->retransmit.tries = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(d.b.sent, 0);
}
END_TEST

static unsigned long number(const char *env, unsigned long otherwise)
{
	const char *s = getenv(env);

	return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

/* Everything at once, by seed: in the end both agree. Others by hand, as many as one likes:
 * CK_RUN_CASE=random BUMPWIRE_SEED=8000 BUMPWIRE_SEEDS=5000 */
static void run_random(unsigned long seed)
{
	struct duo_node *n[] = { &d.a, &d.b };
	const char *const names[] = { "b/net", "a/net", "b", "a" };

	d.seed = seed;
	if (d.seed % 3 == 0)
		aggressive();
	if (d.seed % 2)
		all_esp("aes128gcm16-ecp256");
	for (unsigned i = 0; i < 2; i++)
		n[i]->conf->retransmit = (struct ike_retransmit){ NS_PER_S, 1.3, 12, 0 };
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	d.lose = d.duplicate = 10;
	d.jitter_ns = 400 * NS_PER_MS;
	d.job_jitter_ns = 100 * NS_PER_MS;
	for (unsigned i = 0; i < 30; i++) {
		uint64_t order;
		unsigned who = random_u32() % 2, what = random_u32() % 4;
		if (what < 3)
			(void)!ike_rekey(n[who]->ike, names[who + 2 * (what == 2)], false, &order,
					 why, sizeof(why));
		else
			(void)!ike_initiate(n[who]->ike, names[who + 2], &order, why, sizeof(why));
		duo_run(&d, random_u64() % (20 * NS_PER_S));
	}
	d.lose = d.duplicate = 0;
	d.jitter_ns = 0;
	duo_run(&d, 400 * NS_PER_S);
	ck_assert_uint_ge(duo_children(&d.a), 1);
	duo_agree(&d);
}

START_TEST(test_random)
{
	run_random(number("BUMPWIRE_SEED", 7000) + (unsigned long)_i);
}
END_TEST

/* Seeds that once ended with a pair that only one side had: messages and a delete of phase 1 that
 * crossed, two phase 1 of which each side deleted another one, a delete that overtook the pair. */
static const unsigned long found[] = { 22036, 22708, 24183, 26809, 29472, 29649, 20885, 21976 };

START_TEST(test_found)
{
	run_random(found[_i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_v1_duo");
	TCase *t = tcase_create("exchanges");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_main_psk);
	tcase_add_test(t, test_aggressive_psk);
	tcase_add_test(t, test_aggressive_must_be_allowed);
	tcase_add_loop_test(t, test_suites, 0, (int)ARRAY_LEN(suites));
	tcase_add_test(t, test_pfs_aggressive);
	tcase_add_test(t, test_ah_transport);
	tcase_add_loop_test(t, test_bundle, 0, 8);
	tcase_add_loop_test(t, test_bundle_refused, 0, 3);
	tcase_add_test(t, test_bundle_behind_nat);
	tcase_add_loop_test(t, test_selectors, 0, 4);
	tcase_add_test(t, test_selectors_refused);
	tcase_add_test(t, test_esp_refused);
	tcase_add_loop_test(t, test_ike_refused, 0, 2);
	tcase_add_loop_test(t, test_wrong_psk, 0, 2);
	tcase_add_test(t, test_no_psk);
	tcase_add_test(t, test_psk_by_address);
	tcase_add_loop_test(t, test_unknown_id, 0, 2);
	tcase_add_loop_test(t, test_wrong_responder, 0, 2);
	suite_add_tcase(s, t);
	t = tcase_create("certificates");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_cert, 0, 8);
	tcase_add_test(t, test_cert_without_method);
	tcase_add_loop_test(t, test_cert_fragments, 0, 2);
	tcase_add_loop_test(t, test_cert_of_nobody, 0, 2);
	tcase_add_loop_test(t, test_cert_responder_of_nobody, 0, 2);
	tcase_add_test(t, test_method_mismatch);
	suite_add_tcase(s, t);
	t = tcase_create("rare exchanges");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_base, 0, 4);
	tcase_add_loop_test(t, test_base_on_a_bad_wire, 0, 12);
	tcase_add_loop_test(t, test_rare_exchange_proofs, 0, 8);
	tcase_add_loop_test(t, test_authentication_only, 0, 12);
	tcase_add_loop_test(t, test_rare_exchange_refused, 0, 4);
	tcase_add_test(t, test_main_mode_refused);
	suite_add_tcase(s, t);
	t = tcase_create("wire");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_loss, 0, 20);
	tcase_add_loop_test(t, test_duplicates_change_nothing, 0, 2);
	tcase_add_test(t, test_timeout);
	tcase_add_loop_test(t, test_nat, 0, 2);
	tcase_add_loop_test(t, test_forced_encap, 0, 2);
	tcase_add_loop_test(t, test_slow_jobs, 0, 2);
	tcase_add_test(t, test_forged);
	tcase_add_test(t, test_forged_aggressive_answer);
	tcase_add_loop_test(t, test_changed_on_the_way, 0, 40);
	suite_add_tcase(s, t);
	t = tcase_create("under the SA");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_several_quick_modes);
	tcase_add_loop_test(t, test_down, 0, 2);
	tcase_add_loop_test(t, test_rekey_child, 0, 4);
	tcase_add_loop_test(t, test_commit_bit, 0, 12);
	tcase_add_test(t, test_commit_bit_waits);
	tcase_add_test(t, test_commit_bit_of_a_stranger);
	tcase_add_test(t, test_rekey_child_collision);
	tcase_add_loop_test(t, test_rekey_phase1, 0, 8);
	tcase_add_test(t, test_rekey_phase1_collision);
	tcase_add_loop_test(t, test_lifetimes, 0, 5);
	tcase_add_test(t, test_replay_status);
	tcase_add_loop_test(t, test_responder_lifetime, 0, 2);
	tcase_add_test(t, test_dpd);
	tcase_add_test(t, test_dpd_is_content_with_traffic);
	tcase_add_loop_test(t, test_initial_contact, 0, 2);
	tcase_add_test(t, test_children_outlive_phase1);
	tcase_add_test(t, test_rekey_by_who_is_called);
	tcase_add_test(t, test_trap);
	tcase_add_loop_test(t, test_captures, 0, 3);
	tcase_add_loop_test(t, test_either_version, 0, 2);
	tcase_add_test(t, test_version_2_refuses_1);
	suite_add_tcase(s, t);
	t = tcase_create("random");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_found, 0, (int)ARRAY_LEN(found));
	tcase_add_loop_test(t, test_random, 0, (int)number("BUMPWIRE_SEEDS", 30));
	suite_add_tcase(s, t);
	t = tcase_create("RFC 2408 section 5");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_5_offence_of_a_stranger, 0, (int)ARRAY_LEN(rules));
	tcase_add_test(t, test_5_1_retry_limit_reached);
	tcase_add_loop_test(t, test_audit_row, AUDIT_NONE + 1, AUDIT_EVENTS);
	tcase_add_test(t, test_5_7_key_information);
	tcase_add_test(t, test_5_11_hash);
	tcase_add_test(t, test_5_14_error_notified);
	tcase_add_test(t, test_5_15_delete_of_unknown_protocol);
	tcase_add_test(t, test_new_group_is_refused);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
