/*
 * What connections and their sections become: the defaults, and every key by its effect. Also the
 * runner of this program; the other parts are named in test_config_ike.h.
 */
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/secret.h"
#include "test_config_ike.h"

char given_said[8192];

static uint64_t pki_wall_ns(void)
{
	return (uint64_t)PKI_NOW * NS_PER_S;
}

const char *given_source(const char *name)
{
	static char path[512];
	const char *dir = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name);
	return path;
}

/* NAME.pem and NAME.key of NAME.example, by the authority in CA.pem. */
static struct pki make_end(const char *name, const char *pass, const struct pki *ca)
{
	char file[64], subject[128], san[128];

	snprintf(subject, sizeof(subject), "C=DE, CN=%s", name);
	snprintf(san, sizeof(san), "DNS:%s.example", name);
	struct pki p = pki_make(&(struct pki_opt){ .subject = subject, .san = san }, ca);
	snprintf(file, sizeof(file), "%s.pem", name);
	pki_write_cert(file, &p.cert, 1);
	snprintf(file, sizeof(file), "%s.key", name);
	ck_assert_int_eq(chmod(pki_write_key(file, p.key, pass), 0600), 0);
	snprintf(file, sizeof(file), "%s-pub.pem", name);
	FILE *f = fopen(pki_path(file), "w");
	ck_assert(f && PEM_write_PUBKEY(f, p.key));
	fclose(f);
	return p;
}

static void setup(void)
{
	ck_assert_int_eq(secret_init(), 0);
	clock_set_source(NULL, pki_wall_ns);
	struct pki ca = pki_make(&(struct pki_opt){ .subject = "C=DE, CN=ca", .ca = true }, NULL);
	struct pki other =
	    pki_make(&(struct pki_opt){ .subject = "C=DE, CN=other", .ca = true }, NULL);
	pki_write_cert("ca.pem", &ca.cert, 1);
	pki_write_cert("other.pem", &other.cert, 1);
	struct pki a = make_end("a", NULL, &ca), b = make_end("b", NULL, &ca),
		   locked = make_end("locked", "open sesame", &ca);
	X509_CRL *crl = pki_crl(&ca, &b.cert, 1, PKI_NOW);
	pki_write_crl("ca.crl", crl);
	X509_CRL_free(crl);
	pki_write_pkcs12("a.p12", &a, NULL, 0, "open sesame");
	ck_assert_int_eq(chmod(pki_path("a.p12"), 0600), 0);
	ck_assert_int_eq(chmod(pki_write_bytes("pass", span_of("open sesame\n", 12)), 0600), 0);
	ck_assert_int_eq(chmod(pki_write_bytes("psk", span_of("0x0102ff\r\n", 10)), 0600), 0);
	pki_fini(&ca);
	pki_fini(&other);
	pki_fini(&a);
	pki_fini(&b);
	pki_fini(&locked);
}

static void teardown(void)
{
	pki_folder_remove();
}

TCase *given_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

int given_load(const char *text, struct config **c)
{
	pki_write_bytes("c.conf", span_of(text, strlen(text)));
	memset(given_said, 0, sizeof(given_said));
	FILE *f = fmemopen(given_said, sizeof(given_said) - 1, "w");
	int rc = config_load(pki_path("c.conf"), f, c);
	fclose(f);
	return rc;
}

struct config *given_quiet(const char *text)
{
	struct config *c;

	ck_assert_msg(given_load(text, &c) == 0, "%s\n%s", given_said, text);
	ck_assert_msg(!*given_said, "%s\n%s", given_said, text);
	return c;
}

const struct ike_conn_conf *given_conn(const struct config *c)
{
	ck_assert_ptr_nonnull(c->ike);
	ck_assert_uint_eq(c->ike->n_conn, 1);
	return c->ike->conn;
}

START_TEST(test_none)
{
	struct config *c = given_quiet("cookie_threshold = 3 cacerts = ca.pem\n" SECRET);

	ck_assert_ptr_null(c->ike);
	config_free(&c);
}
END_TEST

/* ESP, AH, or with IKEv1 both at once. */
START_TEST(test_esp_and_ah)
{
	static const char *const list[] = { "esp_proposals = aes128gcm16", "ah_proposals = sha256",
					    "esp_proposals = aes128gcm16 ah_proposals = {sha256, sha1}",
					    "esp_proposals = aes128gcm16 ah_proposals = sha256" };
	struct config *c[ARRAY_LEN(list)];
	const struct ike_child_conf *k[ARRAY_LEN(list)];
	char text[1024];

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		snprintf(text, sizeof(text),
			 "tun t { }\nconnection x {\nversion = 1\n" PSK_ENDS "child y { %s } }\n" SECRET,
			 list[i]);
		c[i] = given_quiet(text);
		k[i] = given_conn(c[i])->child;
		ck_assert_int_eq(k[i]->proto, i == 1 ? IKE_CHILD_AH : IKE_CHILD_ESP);
		ck_assert_uint_eq(k[i]->proposals.n, 1);
		ck_assert_int_eq(k[i]->proposals.p[0].proto, i == 1 ? IKE_PROTO_AH : IKE_PROTO_ESP);
		ck_assert_uint_eq(k[i]->ah.n, i < 2 ? 0 : 4 - i);
	}
	ck_assert_int_eq(k[2]->ah.p[1].proto, IKE_PROTO_AH);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		for (size_t j = 0; j < ARRAY_LEN(list); j++)
			ck_assert(ike_child_same(k[i], k[j]) == (i == j));
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		config_free(&c[i]);
}
END_TEST

START_TEST(test_defaults)
{
	struct config *c = given_quiet("tun t { }\nport_ike = 501\nconnection x {\n" PSK_ENDS
				      "child y { } }\n" SECRET);
	const struct ike_conn_conf *n = given_conn(c);
	const struct ike_child_conf *k = n->child;
	const struct ike_conf *i = c->ike;
	struct proposals def;

	ck_assert_str_eq(n->name, "x");
	ck_assert_int_eq(n->line, 3);
	ck_assert_str_eq(n->file, pki_path("c.conf"));
	ck_assert_uint_eq(n->version | n->n_local | n->n_remote, 0);
	ck_assert_uint_eq(n->local_port, 501);
	ck_assert_uint_eq(n->remote_port, 500);
	proposals_default(IKE_PROTO_IKE, &def);
	ck_assert_uint_eq(n->proposals.n, def.n);
	ck_assert_mem_eq(n->proposals.p[0].alg, def.p[0].alg, def.p[0].n * sizeof(def.p[0].alg[0]));
	ck_assert(!n->allow_weak && !n->encap && !n->childless && n->send_certreq);
	ck_assert(n->fragmentation == IKE_FRAG_YES && n->fragment_size == 1280);
	ck_assert(n->send_cert == IKE_CERT_IFASKED && n->unique == IKE_UNIQUE_NO &&
		  n->keyingtries == 1);
	ck_assert_uint_eq(n->dpd_delay_ns | n->dpd_timeout_ns | n->reauth_ns, 0);
	ck_assert_uint_eq(n->rekey_ns, 4 * HOUR);
	ck_assert_uint_eq(n->over_ns, 24 * MINUTE);
	ck_assert_uint_eq(n->rand_ns, 24 * MINUTE);
	ck_assert_uint_eq(n->life_bytes, 0);
	ck_assert(n->auth.method == IKE_BY_PSK && n->peer.method == IKE_BY_PSK && !n->auth.pss &&
		  !n->peer.cas);
	ck_assert_uint_eq(n->n_child, 1);
	ck_assert_str_eq(k->name, "y");
	proposals_default(IKE_PROTO_ESP, &def);
	ck_assert_uint_eq(k->proposals.n, def.n);
	ck_assert_int_eq(k->proposals.p[0].proto, IKE_PROTO_ESP);
	ck_assert(k->local_ts.n == 1 && k->local_ts.ts[0].dynamic && k->remote_ts.n == 1 &&
		  k->remote_ts.ts[0].dynamic);
	ck_assert(k->proto == IKE_CHILD_ESP && k->mode == SA_TUNNEL && k->start == IKE_START_NONE);
	ck_assert(k->dpd_action == IKE_ACTION_CLEAR && k->close_action == IKE_ACTION_CLEAR);
	ck_assert(k->rekey_ns == HOUR && k->life_ns == 66 * MINUTE && k->rand_ns == 6 * MINUTE);
	ck_assert_uint_eq(k->rekey_bytes | k->life_bytes | k->rand_bytes, 0);
	ck_assert_uint_eq(k->rekey_packets | k->life_packets | k->rand_packets | k->inactivity_ns,
			  0);
	ck_assert(k->replay_window == 2048 && k->df == SA_DF_COPY && k->fragment == SA_FRAG_BEFORE);
	ck_assert(!k->pfp && !k->fragments_also);
	ck_assert(k->ecn && k->dscp == -1 && k->path_mtu == 0 && k->mss_clamp);
	ck_assert(i->retransmit.timeout_ns == 4 * NS_PER_S && i->retransmit.tries == 5 &&
		  !i->retransmit.limit_ns);
	ck_assert(i->retransmit.base > 1.79999 && i->retransmit.base < 1.80001);
	ck_assert(i->cookie_threshold == 10 && i->block_threshold == 5 && i->half_open_max == 8192);
	ck_assert(i->keepalive_ns == 20 * NS_PER_S);
	ck_assert(i->half_open_ns == 30 * NS_PER_S && i->sas_max == 0 && !i->vendor_id && !i->cas);
	config_free(&c);
}
END_TEST

START_TEST(test_globals)
{
	struct config *c = given_quiet("tun t { }\nike_retransmit_timeout = 500ms "
				      "ike_retransmit_base = 2.25 ike_retransmit_tries = 0\n"
				      "ike_retransmit_limit = 1m cookie_threshold = 1 "
				      "block_threshold = 2 half_open_limit = 3\n"
				      "half_open_timeout = 5s keepalive = 7s sas_limit = 6 ike_vendor_id = yes "
				      "cacerts = {ca.pem, other.pem}\n"
				      "crls = {ca.crl} ike_threads = 3\nconnection x { " PSK_ENDS
				      " child y { } }\n" SECRET);
	const struct ike_conf *i = c->ike;

	ck_assert(i->retransmit.timeout_ns == NS_PER_S / 2 && i->retransmit.tries == 0);
	ck_assert(i->retransmit.base == 2.25 && i->retransmit.limit_ns == MINUTE);
	ck_assert(i->cookie_threshold == 1 && i->block_threshold == 2 && i->half_open_max == 3);
	ck_assert(i->half_open_ns == 5 * NS_PER_S && i->sas_max == 6 && i->vendor_id);
	ck_assert_uint_eq(i->keepalive_ns, 7 * NS_PER_S);
	ck_assert_uint_eq(cred_cas_count(i->cas), 2);
	ck_assert_uint_eq(c->ike_threads, 3);
	config_free(&c);
}
END_TEST

START_TEST(test_hosts)
{
	struct config *c =
	    given_quiet("tun t { }\nconnection x {\n local_addrs = {192.0.2.1, \"2001:db8::/32\"}\n"
		       " remote_addrs = {b.example, 192.0.2.2-192.0.2.9, a_b-c.d1, host}\n" PSK_ENDS
		       "child y { } }\nconnection y { remote_addrs = {b.example, %any} local_addrs "
		       "= 0.0.0.0 " PSK_ENDS "child y { } }\n" SECRET);
	const struct ike_conn_conf *n = c->ike->conn;
	char text[IP_RANGE_STRLEN];

	ck_assert_uint_eq(n->n_local, 2);
	ck_assert_str_eq(ip_range_format(&n->local[0].range, text), "192.0.2.1/32");
	ck_assert_str_eq(ip_range_format(&n->local[1].range, text), "2001:db8::/32");
	ck_assert_uint_eq(n->n_remote, 4);
	ck_assert_str_eq(n->remote[0].name, "b.example");
	ck_assert_uint_eq(n->remote[0].range.lo.ver, 0);
	ck_assert_ptr_null(n->remote[1].name);
	ck_assert_str_eq(ip_range_format(&n->remote[1].range, text), "192.0.2.2-192.0.2.9");
	ck_assert_str_eq(n->remote[2].name, "a_b-c.d1");
	ck_assert_str_eq(n->remote[3].name, "host");
	ck_assert_uint_eq(n[1].n_remote, 0);
	ck_assert_uint_eq(n[1].n_local, 0);
	config_free(&c);
}
END_TEST

START_TEST(test_proposals)
{
	struct config *c = given_quiet(
	    "tun t { }\nconnection x { allow_weak = yes\n proposals = {\"aes256-sha256-modp1024, "
	    "aes128gcm16-prfsha256-ecp256\", default}\n" PSK_ENDS
	    "child y { esp_proposals = {3des-md5, aes256gcm16-ecp384-esn} } }\n" SECRET);
	const struct ike_conn_conf *n = given_conn(c);
	char text[256];

	ck_assert_str_eq(proposal_format(&n->proposals.p[0], text, sizeof(text)),
			 "aes256-sha256-modp1024-prfsha256");
	ck_assert_str_eq(proposal_format(&n->proposals.p[1], text, sizeof(text)),
			 "aes128gcm16-prfsha256-ecp256");
	ck_assert_uint_gt(n->proposals.n, 2);
	for (unsigned i = 0; i < n->proposals.n; i++)
		ck_assert_uint_eq(n->proposals.p[i].number, i + 1);
	ck_assert_uint_eq(n->child->proposals.n, 2);
	ck_assert(proposal_has(&n->child->proposals.p[1], IKE_T_ESN, 1));
	config_free(&c);
}
END_TEST

/* What is not written follows from what is. */
static void check_times(const char *keys, uint64_t rekey, uint64_t reauth, uint64_t over,
			uint64_t rand)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x { %s\n" PSK_ENDS "child y { } }\n" SECRET, keys);
	struct config *c = given_quiet(text);
	const struct ike_conn_conf *n = given_conn(c);
	ck_assert_uint_eq(n->rekey_ns, rekey);
	ck_assert_uint_eq(n->reauth_ns, reauth);
	ck_assert_uint_eq(n->over_ns, over);
	ck_assert_uint_eq(n->rand_ns, rand);
	config_free(&c);
}

static void check_child_times(const char *keys, uint64_t rekey, uint64_t life, uint64_t rand)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x {\n" PSK_ENDS "child y { %s } }\n" SECRET, keys);
	struct config *c = given_quiet(text);
	const struct ike_child_conf *k = given_conn(c)->child;
	ck_assert_uint_eq(k->rekey_ns, rekey);
	ck_assert_uint_eq(k->life_ns, life);
	ck_assert_uint_eq(k->rand_ns, rand);
	config_free(&c);
}

/* One port tells the other. */
static void check_ports(const char *keys, uint16_t local, uint16_t remote)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "tun t { }\nport_ike = 501 port_nat_t = 4600\nconnection x { %s\n" PSK_ENDS
		 "child y { } }\n" SECRET,
		 keys);
	struct config *c = given_quiet(text);
	ck_assert_uint_eq(given_conn(c)->local_port, local);
	ck_assert_uint_eq(given_conn(c)->remote_port, remote);
	ck_assert_uint_eq(ike_port_nat_t(c->ike), 4600);
	config_free(&c);
}

START_TEST(test_ports)
{
	check_ports("", 501, 500);
	check_ports("local_port = 501", 501, 500);
	check_ports("local_port = 4600", 4600, 4500);
	check_ports("remote_port = 500", 501, 500);
	check_ports("remote_port = 4500", 4600, 4500);
	check_ports("remote_port = 10000", 4600, 10000);
	check_ports("local_port = 4600 remote_port = 10000", 4600, 10000);
	check_ports("local_port = 501 remote_port = 500", 501, 500);
}
END_TEST

START_TEST(test_times)
{
	check_times("rekey_time = 10h", 10 * HOUR, 0, HOUR, HOUR);
	check_times("reauth_time = 10h", 0, 10 * HOUR, HOUR, HOUR);
	check_times("reauth_time = 10h rekey_time = 1h", HOUR, 10 * HOUR, HOUR, HOUR);
	check_times("rekey_time = 0", 0, 0, 0, 0);
	check_times("rekey_time = 1h over_time = 2h", HOUR, 0, 2 * HOUR, 30 * MINUTE);
	check_times("over_time = 10m rand_time = 5m", 4 * HOUR, 0, 10 * MINUTE, 5 * MINUTE);
	check_times("over_time = 0", 4 * HOUR, 0, 0, 0);
	check_child_times("rekey_time = 10m", 10 * MINUTE, 11 * MINUTE, MINUTE);
	check_child_times("rekey_time = 10m life_time = 1h", 10 * MINUTE, HOUR, 5 * MINUTE);
	check_child_times("rekey_time = 10m life_time = 0", 10 * MINUTE, 0, 0);
	check_child_times("rekey_time = 0", 0, 0, 0);
	check_child_times("rekey_time = 0 life_time = 1h", 0, HOUR, 0);
	check_child_times("rand_time = 1m", HOUR, 66 * MINUTE, MINUTE);
	struct config *c = given_quiet(
	    "tun t { }\nconnection x {\n" PSK_ENDS
	    "child y { rekey_bytes = 1000 rekey_packets = 0xffffffffffffffff } }\n" SECRET);
	const struct ike_child_conf *k = given_conn(c)->child;
	ck_assert(k->rekey_bytes == 1000 && k->life_bytes == 1100 && k->rand_bytes == 100);
	ck_assert(k->rekey_packets == UINT64_MAX && k->life_packets == UINT64_MAX &&
		  k->rand_packets == 0);
	config_free(&c);
}
END_TEST

static TCase *key_case(void)
{
	TCase *t = given_case("keys");

	tcase_add_test(t, test_none);
	tcase_add_test(t, test_esp_and_ah);
	tcase_add_test(t, test_defaults);
	tcase_add_test(t, test_globals);
	tcase_add_test(t, test_hosts);
	tcase_add_test(t, test_proposals);
	tcase_add_test(t, test_ports);
	tcase_add_test(t, test_times);
	return t;
}

int main(void)
{
	Suite *s = suite_create("config_ike");
	SRunner *sr = srunner_create(s);

	suite_add_tcase(s, key_case());
	suite_add_tcase(s, given_auth_case());
	suite_add_tcase(s, given_same_case());
	suite_add_tcase(s, given_whole_case());
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
