/*
 * What connections, their sections and secrets become: the examples of etc/, every key by its
 * effect, the defaults, the files that are read, and when two connections mean the same.
 */
#define _GNU_SOURCE 1 /* memmem */
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/secret.h"
#include "config/config.h"
#include "ike/conf.h"
#include "ike_pki.h"

#define MINUTE (60 * NS_PER_S)
#define HOUR   (60 * MINUTE)

static char said[8192];

static uint64_t pki_wall_ns(void)
{
	return (uint64_t)PKI_NOW * NS_PER_S;
}

static const char *in_source(const char *name)
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

static int load(const char *text, struct config **c)
{
	pki_write_bytes("c.conf", span_of(text, strlen(text)));
	memset(said, 0, sizeof(said));
	FILE *f = fmemopen(said, sizeof(said) - 1, "w");
	int rc = config_load(pki_path("c.conf"), f, c);
	fclose(f);
	return rc;
}

/* Loads a text that is right and of which nothing is to be said. */
static struct config *load_quiet(const char *text)
{
	struct config *c;

	ck_assert_msg(load(text, &c) == 0, "%s\n%s", said, text);
	ck_assert_msg(!*said, "%s\n%s", said, text);
	return c;
}

#define PSK_ENDS "local { auth = psk id = a.example } remote { auth = psk id = b.example }\n"
#define SECRET   "secret s { secret = x }\n"

START_TEST(test_none)
{
	struct config *c = load_quiet("cookie_threshold = 3 cacerts = ca.pem\n" SECRET);

	ck_assert_ptr_null(c->ike);
	config_free(&c);
}
END_TEST

static const struct ike_conn_conf *conn_of(const struct config *c);

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
		c[i] = load_quiet(text);
		k[i] = conn_of(c[i])->child;
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

static const struct ike_conn_conf *conn_of(const struct config *c)
{
	ck_assert_ptr_nonnull(c->ike);
	ck_assert_uint_eq(c->ike->n_conn, 1);
	return c->ike->conn;
}

START_TEST(test_defaults)
{
	struct config *c = load_quiet("tun t { }\nport_ike = 501\nconnection x {\n" PSK_ENDS
				      "child y { } }\n" SECRET);
	const struct ike_conn_conf *n = conn_of(c);
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
	struct config *c = load_quiet("tun t { }\nike_retransmit_timeout = 500ms "
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
	    load_quiet("tun t { }\nconnection x {\n local_addrs = {192.0.2.1, \"2001:db8::/32\"}\n"
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
	struct config *c = load_quiet(
	    "tun t { }\nconnection x { allow_weak = yes\n proposals = {\"aes256-sha256-modp1024, "
	    "aes128gcm16-prfsha256-ecp256\", default}\n" PSK_ENDS
	    "child y { esp_proposals = {3des-md5, aes256gcm16-ecp384-esn} } }\n" SECRET);
	const struct ike_conn_conf *n = conn_of(c);
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
	struct config *c = load_quiet(text);
	const struct ike_conn_conf *n = conn_of(c);
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
	struct config *c = load_quiet(text);
	const struct ike_child_conf *k = conn_of(c)->child;
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
	struct config *c = load_quiet(text);
	ck_assert_uint_eq(conn_of(c)->local_port, local);
	ck_assert_uint_eq(conn_of(c)->remote_port, remote);
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
	struct config *c = load_quiet(
	    "tun t { }\nconnection x {\n" PSK_ENDS
	    "child y { rekey_bytes = 1000 rekey_packets = 0xffffffffffffffff } }\n" SECRET);
	const struct ike_child_conf *k = conn_of(c)->child;
	ck_assert(k->rekey_bytes == 1000 && k->life_bytes == 1100 && k->rand_bytes == 100);
	ck_assert(k->rekey_packets == UINT64_MAX && k->life_packets == UINT64_MAX &&
		  k->rand_packets == 0);
	config_free(&c);
}
END_TEST

static void check_secret(const char *written, const char *bytes, size_t len)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x { " PSK_ENDS "child y { } }\nsecret s { secret = %s }\n",
		 written);
	struct config *c = load_quiet(text);
	ck_assert_uint_eq(c->ike->psks.n, 1);
	ck_assert_str_eq(c->ike->psks.psk->name, "s");
	ck_assert_uint_eq(c->ike->psks.psk->n_id, 0);
	ck_assert_msg(span_eq(secret_view(&c->ike->psks.psk->key), span_of(bytes, len)), "%s",
		      written);
	config_free(&c);
}

START_TEST(test_secrets)
{
	char longest[1200] = "\"", plain[1025];

	check_secret("\"with blanks\"", "with blanks", 11);
	check_secret("\"0y\"", "0y", 2);
	check_secret("0x00ff10", "\0\xff\x10", 3);
	check_secret("0X0a", "\n", 1);
	check_secret("\"0sAP8Q\"", "\0\xff\x10", 3);
	check_secret("\"0sAA==\"", "\0", 1);
	check_secret("\"file:psk\"", "\x01\x02\xff", 3);
	check_secret("\"file:pass\"", "open sesame", 11);
	memset(plain, 'x', sizeof(plain));
	memcpy(longest + 1, plain, 1024);
	memcpy(longest + 1025, "\"", 2);
	check_secret(longest, plain, 1024);
	pki_write_bytes("psk", span_of("\0\x01\0\n", 4));
	check_secret("\"file:psk\"", "\0\x01\0", 3);
}
END_TEST

START_TEST(test_owners)
{
	struct config *c =
	    load_quiet("tun t { }\nconnection x { " PSK_ENDS "child y { } }\n"
		       "secret one { id = {a.example, \"C=DE, CN=b\", 192.0.2.1} secret = x }\n"
		       "secret two { secret = y id = {a.example, b.example} }\n");
	const struct cred_psks *p = &c->ike->psks;

	ck_assert_uint_eq(p->n, 2);
	ck_assert_uint_eq(p->psk[0].n_id, 3);
	ck_assert_int_eq(p->psk[0].id[1].type, IKE_ID_DER_ASN1_DN);
	ck_assert_int_eq(p->psk[0].id[2].type, IKE_ID_IPV4_ADDR);
	const struct ike_conn_conf *n = conn_of(c);
	ck_assert_str_eq(cred_psk_find(p, &n->auth.id, &n->peer.id)->name, "two");
	config_free(&c);
}
END_TEST

START_TEST(test_certificates)
{
	struct config *c = load_quiet(
	    "tun t { }\ncacerts = other.pem\nconnection x {\n"
	    " local { id = a.example certs = {a.pem, locked.pem} key = {a.key, locked.key}\n"
	    "  passphrase = \"file:pass\" rsa_pss = yes }\n"
	    " remote { id = \"*.example\" cacerts = ca.pem }\n child y { } }\n"
	    "connection z { local { pubkeys = a-pub.pem key = a.key id = \"keyid:00\" }\n"
	    " remote { certs = b.pem pubkeys = b-pub.pem } child y { } }\n");
	const struct ike_conn_conf *n = c->ike->conn;

	ck_assert(n->auth.method == IKE_BY_PUBKEY && n->auth.n_cred == 2 && n->auth.pss);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(n->auth.cred[i]->cert && n->auth.cred[i]->key);
	ck_assert(n->peer.method == IKE_BY_PUBKEY && n->peer.n_cred == 0);
	ck_assert_uint_eq(cred_cas_count(n->peer.cas), 1);
	ck_assert_uint_eq(cred_cas_count(c->ike->cas), 1);
	ck_assert(ident_is_pattern(&n->peer.id));
	ck_assert(n[1].auth.n_cred == 1 && !n[1].auth.cred[0]->cert && n[1].auth.cred[0]->key);
	ck_assert(n[1].peer.n_cred == 2 && n[1].peer.cred[0]->cert && !n[1].peer.cred[1]->cert);
	ck_assert_ptr_null(n[1].peer.cas);
	config_free(&c);
}
END_TEST

START_TEST(test_pkcs12)
{
	struct config *c = load_quiet(
	    "tun t { }\nconnection x { local { id = a.example certs = a.p12 passphrase = "
	    "\"open sesame\" }\n remote { certs = b.pem } child y { } }\n");
	const struct ike_conn_conf *n = conn_of(c);

	ck_assert(n->auth.n_cred == 1 && n->auth.cred[0]->cert && n->auth.cred[0]->key);
	config_free(&c);
}
END_TEST

/* A revoked certificate is refused by the authorities of the top level and by a connection's own.
 */
START_TEST(test_crls)
{
	struct config *c = load_quiet(
	    "tun t { }\ncacerts = ca.pem crls = ca.crl\nconnection x { local { auth = psk }\n"
	    " remote { cacerts = ca.pem id = b.example } child y { } }\n" SECRET
	    "connection y { local { id = a.example certs = a.pem key = a.key }\n"
	    " remote { certs = {a.pem, b.pem} } child y { } }\n");
	const struct cred_cas *cas[] = { c->ike->cas, c->ike->conn->peer.cas };
	const struct ike_auth_conf *ends = &c->ike->conn[1].peer;
	char why[512];

	for (size_t i = 0; i < ARRAY_LEN(cas); i++) {
		ck_assert_int_eq(
		    cred_verify(cas[i], ends->cred[0]->cert, NULL, PKI_NOW, NULL, why, sizeof(why)),
		    0);
		ck_assert_int_eq(
		    cred_verify(cas[i], ends->cred[1]->cert, NULL, PKI_NOW, NULL, why, sizeof(why)),
		    -EACCES);
		ck_assert_msg(strstr(why, "revoked"), "%s", why);
	}
	config_free(&c);
}
END_TEST

START_TEST(test_included)
{
	static const char other[] = "connection y {\n\n  child z { }\n" PSK_ENDS "}\n" SECRET;

	pki_write_bytes("o.conf", span_of(other, strlen(other)));
	struct config *c = load_quiet("tun t { }\nconnection x { " PSK_ENDS
				      "child y { } }\ninclude(\"o.conf\")\n");
	ck_assert_uint_eq(c->ike->n_conn, 2);
	ck_assert_str_eq(c->ike->conn[1].name, "y");
	ck_assert_str_eq(c->ike->conn[1].file, pki_path("o.conf"));
	ck_assert_int_eq(c->ike->conn[1].line, 1);
	ck_assert_str_eq(c->ike->conn[1].child->name, "z");
	config_free(&c);
}
END_TEST

/* One other value of every key of a connection: none may be without an effect. */
static const struct {
	const char *section, *change, *more; /* more: so that it is allowed */
} changes[] = {
	{ "connection", "version = 2", "" },
	{ "connection", "local_addrs = 192.0.2.7", "" },
	{ "connection", "remote_addrs = c.example", "" },
	{ "connection", "local_port = 4500", "" },
	{ "connection", "remote_port = 4500", "" },
	{ "connection", "proposals = aes256gcm16-prfsha384-ecp384", "" },
	{ "connection", "allow_weak = yes", "" },
	{ "connection", "encap = yes", "" },
	{ "connection", "fragmentation = accept", "" },
	{ "connection", "fragment_size = 1400", "" },
	{ "connection", "childless = yes", "" },
	{ "connection", "aggressive = yes", "" },
	{ "connection", "exchange = base", "" },
	{ "connection", "commit_bit = yes", "" },
	{ "connection", "send_cert = always", "" },
	{ "connection", "send_certreq = no", "" },
	{ "connection", "unique = keep", "" },
	{ "connection", "keyingtries = %forever", "" },
	{ "connection", "dpd_delay = 1m", "" },
	{ "connection", "dpd_timeout = 1m", "" },
	{ "connection", "rekey_time = 5h", "" },
	{ "connection", "reauth_time = 5h", "" },
	{ "connection", "over_time = 5m", "" },
	{ "connection", "rand_time = 6m", "" },
	{ "connection.local", "auth = psk", "" },
	{ "connection.local", "id = \"C=DE, CN=a\"", "" },
	{ "connection.local", "certs = b.pem", "key = b.key id = b.example" },
	{ "connection.local", "pubkeys = a-pub.pem", "key = {a.key, a.key}" },
	{ "connection.local", "key = locked.key",
	  "certs = locked.pem passphrase = \"open sesame\" id = locked.example" },
	{ "connection.local", "passphrase = \"open sesame\"",
	  "certs = locked.pem key = locked.key id = locked.example" },
	{ "connection.local", "rsa_pss = yes", "" },
	{ "connection.remote", "auth = psk", "" },
	{ "connection.remote", "id = c.example", "" },
	{ "connection.remote", "cacerts = other.pem", "" },
	{ "connection.remote", "certs = b.pem", "" },
	{ "connection.remote", "pubkeys = b-pub.pem", "" },
	{ "connection.child", "esp_proposals = aes128gcm16", "" },
	{ "connection.child", "local_ts = 10.1.0.0/16", "" },
	{ "connection.child", "remote_ts = 10.1.0.0/16", "" },
	{ "connection.child", "mode = transport", "" },
	{ "connection.child", "pfp = remote", "start_action = trap" },
	{ "connection.child", "fragments_also = yes", "" },
	{ "connection.child", "rekey_time = 50m", "" },
	{ "connection.child", "life_time = 2h", "" },
	{ "connection.child", "rand_time = 1m", "" },
	{ "connection.child", "rekey_bytes = 1G", "" },
	{ "connection.child", "life_bytes = 1G", "" },
	{ "connection.child", "rand_bytes = 1M", "rekey_bytes = 1G" },
	{ "connection.child", "rekey_packets = 10", "" },
	{ "connection.child", "life_packets = 10", "" },
	{ "connection.child", "rand_packets = 2", "rekey_packets = 10" },
	{ "connection.child", "start_action = trap", "" },
	{ "connection.child", "dpd_action = restart", "" },
	{ "connection.child", "close_action = trap", "" },
	{ "connection.child", "inactivity = 1m", "" },
	{ "connection.child", "replay_window = 64", "" },
	{ "connection.child", "df = set", "" },
	{ "connection.child", "fragment = after", "" },
	{ "connection.child", "ecn = no", "" },
	{ "connection.child", "dscp = 46", "" },
	{ "connection.child", "mtu = 1400", "" },
	{ "connection.child", "mss_clamp = no", "" },
};

/* Puts key = value into the list of a section unless one of the same key is there. */
static void add_default(char *list, const char *change, const char *more, const char *key,
			const char *value)
{
	size_t n = strlen(key);
	const char *in_more = strstr(more, key);

	if ((strncmp(change, key, n) == 0 && change[n] == ' ') ||
	    (in_more && in_more[n] == ' ' && (in_more == more || in_more[-1] == ' ')))
		return;
	sprintf(list + strlen(list), " %s = %s", key, value);
}

/* The connection with one thing changed; without, when section is NULL. */
static struct config *load_changed(const char *section, const char *change, const char *more)
{
	static const struct {
		const char *section, *key, *value;
	} rows[] = {
		{ "connection", "remote_addrs", "b.example" },
		{ "connection.local", "certs", "a.pem" },
		{ "connection.local", "key", "a.key" },
		{ "connection.local", "id", "a.example" },
		{ "connection.remote", "cacerts", "ca.pem" },
		{ "connection.remote", "id", "b.example" },
	};
	static const char *const sections[] = { "connection", "connection.local",
						"connection.remote", "connection.child" };
	char list[4][512] = { "", "", "", "" }, text[4096];
	struct config *c;

	for (size_t i = 0; i < 4; i++) {
		bool here = section && strcmp(sections[i], section) == 0;
		if (here)
			sprintf(list[i], "%s %s", change, more);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			if (strcmp(rows[k].section, sections[i]) == 0)
				add_default(list[i], here ? change : "", here ? more : "",
					    rows[k].key, rows[k].value);
	}
	snprintf(
	    text, sizeof(text),
	    "tun t { }\n%sconnection x {\n%s\nlocal {%s}\nremote {%s}\nchild y {%s}\n}\n" SECRET,
	    section ? "" : "\n", list[0], list[1], list[2], list[3]);
	ck_assert_msg(load(text, &c) == 0, "%s%s", said, text);
	return c;
}

START_TEST(test_same)
{
	struct config *a = load_changed(NULL, "", ""), *b = load_changed("connection", "", "");

	ck_assert_int_ne(conn_of(a)->line, conn_of(b)->line);
	ck_assert(ike_conn_same(conn_of(a), conn_of(b)) &&
		  ike_child_same(conn_of(a)->child, conn_of(b)->child));
	config_free(&b);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		b = load_changed(changes[i].section, changes[i].change, changes[i].more);
		ck_assert_msg(!ike_conn_same(conn_of(a), conn_of(b)), "%s: %s", changes[i].section,
			      changes[i].change);
		bool child = strcmp(changes[i].section, "connection.child") == 0;
		ck_assert_msg(ike_child_same(conn_of(a)->child, conn_of(b)->child) != child,
			      "%s: %s", changes[i].section, changes[i].change);
		config_free(&b);
	}
	config_free(&a);
}
END_TEST

/* ... and the list above has all of them. */
START_TEST(test_all_changed)
{
	unsigned n, found;
	const struct config_key *k = config_keys(&n);

	for (unsigned i = 0; i < n; i++) {
		if (strncmp(k[i].section, "connection", 10) != 0 ||
		    strcmp(k[i].key, "ah_proposals") == 0)
			continue; /* the latter excludes esp_proposals */
		if (strcmp(k[i].key, "vips") == 0 || strcmp(k[i].key, "pools") == 0 ||
		    strcmp(k[i].key, "pull") == 0 || strcmp(k[i].key, "auth2") == 0 ||
		    strcmp(k[i].key, "xauth_id") == 0)
			continue; /* refused beside the version 2 of the others */
		found = 0;
		for (size_t m = 0; m < ARRAY_LEN(changes); m++)
			found += strcmp(changes[m].section, k[i].section) == 0 &&
				 strncmp(changes[m].change, k[i].key, strlen(k[i].key)) == 0 &&
				 changes[m].change[strlen(k[i].key)] == ' ';
		ck_assert_msg(found == 1, "%s.%s", k[i].section, k[i].key);
	}
}
END_TEST

/* Names, children and their order count too; the kind of a host as well. */
START_TEST(test_not_same)
{
	static const char *const texts[] = {
		"connection x { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection y { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { " PSK_ENDS "child c { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { " PSK_ENDS "child b { } child a { local_ts = 10.1.0.0/16 } }\n",
		"connection x { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } }\n",
		"connection x { local_addrs = 192.0.2.1 " PSK_ENDS
		"child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { local_addrs = a.example " PSK_ENDS
		"child a { local_ts = 10.1.0.0/16 } child b { } }\n",
	};
	struct config *c[ARRAY_LEN(texts)];
	char text[1024];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		snprintf(text, sizeof(text), "tun t { }\n%s" SECRET, texts[i]);
		c[i] = load_quiet(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			ck_assert_msg(ike_conn_same(conn_of(c[i]), conn_of(c[k])) == (i == k),
				      "%zu and %zu", i, k);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		config_free(&c[i]);
}
END_TEST

/* The engine's reference keeps everything when the configuration goes. */
START_TEST(test_refs)
{
	struct config *c = load_changed(NULL, "", "");
	struct ike_conf *i = ike_conf_ref(c->ike);

	config_free(&c);
	ck_assert_str_eq(i->conn->name, "x");
	ck_assert_ptr_nonnull(i->conn->auth.cred[0]->key);
	ck_assert_uint_eq(i->psks.psk->key.len, 1);
	ike_conf_unref(&i);
	ck_assert_ptr_null(i);
	ike_conf_unref(&i);
}
END_TEST

/* What is left when a file loses its last connection shares no memory with what there was. */
START_TEST(test_bare)
{
	static const char text[] =
	    "tun t { }\nconnection x {\nremote_addrs = b.example\nlocal { auth = psk }\n"
	    "remote { auth = psk }\nchild y { }\n}\n" SECRET
	    "pool p { addrs = 10.9.0.0/24 }\nuser u { secret = s }\n";
	struct config *c;

	ck_assert_msg(load(text, &c) == 0, "%s", said);
	struct ike_conf *bare = ike_conf_bare(c->ike);

	ck_assert_uint_eq(c->ike->n_pool, 1);
	ck_assert_uint_eq(c->ike->n_user, 1);
	ck_assert_uint_eq(bare->n_conn + bare->n_pool + bare->n_user + bare->psks.n, 0);
	ck_assert_ptr_null(bare->conn);
	ck_assert_ptr_null(bare->pool);
	ck_assert_ptr_null(bare->user);
	ck_assert_ptr_null(bare->cas);
	ck_assert_uint_eq(bare->half_open_ns, c->ike->half_open_ns);
	ck_assert_uint_eq(bare->cookie_threshold, c->ike->cookie_threshold);
	ck_assert_uint_eq(bare->keepalive_ns, c->ike->keepalive_ns);
	config_free(&c);
	ike_conf_unref(&bare);
	ck_assert_ptr_null(bare);
}
END_TEST

static unsigned find_in_heap(const char *needle)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;
	size_t len = strlen(needle);

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx rw", &lo, &hi) != 2 || !strstr(line, " rw-p") ||
		    !strstr(line, "[heap]"))
			continue;
		for (const uint8_t *p = (const uint8_t *)lo;
		     (p = memmem(p, hi - (size_t)p, needle, len)); p++)
			found++;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* After a load no secret is in the heap, and the freed configuration leaves none. */
START_TEST(test_wiped)
{
	static const char word[] = "correct-horse-battery-staple", phrase[] = "open sesame";
	char text[1024];
	struct config *c;

	mallopt(M_MMAP_THRESHOLD, 1 << 28); /* everything in one heap */
	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x { local { certs = locked.pem key = locked.key id = "
		 "locked.example\n"
		 " passphrase = \"%s\" } remote { auth = psk id = b.example } child y { } }\n"
		 "secret s { secret = \"%s\" }\n",
		 phrase, word);
	ck_assert_msg(load(text, &c) == 0, "%s", said);
	wipe(text, sizeof(text));
	ck_assert_uint_eq(find_in_heap(word), 0);
	ck_assert_uint_eq(find_in_heap(phrase), 0);
	ck_assert(span_eq(secret_view(&c->ike->psks.psk->key), span_of(word, strlen(word))));
	config_free(&c);
	ck_assert_uint_eq(find_in_heap(word), 0);
}
END_TEST

static const char *const examples[] = {
	"site-to-site-psk-a",
	"site-to-site-psk-b",
	"site-to-site-certs-a",
	"site-to-site-certs-b",
	"trap",
	"trap-each",
	"bridge-ike-a",
	"bridge-ike-b",
	"bumpwire",
};

/* An example of etc/ beside the files that it speaks of. */
static struct config *load_example(const char *name)
{
	char path[128], text[16384];
	struct config *c;

	snprintf(path, sizeof(path), "etc/%s.conf", name);
	FILE *f = fopen(in_source(path), "r");
	ck_assert_msg(f, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	ck_assert_msg(load(text, &c) == 0, "%s", said);
	ck_assert_str_eq(said, "");
	return c;
}

START_TEST(test_example)
{
	struct config *c = load_example(examples[_i]);

	ck_assert_uint_eq(conn_of(c)->n_child, 1);
	ck_assert(!c->tun != !c->bridge);
	config_free(&c);
}
END_TEST

/* Each end of a pair is who the other expects, and carries what the other does. */
static void check_mirror(const char *a, const char *b)
{
	struct config *x = load_example(a), *y = load_example(b);
	const struct ike_conn_conf *p = conn_of(x), *q = conn_of(y);

	ck_assert(ident_match(&p->peer.id, &q->auth.id) && ident_match(&q->peer.id, &p->auth.id));
	ck_assert(ip_addr_eq(&p->local->range.lo, &q->remote->range.lo) &&
		  ip_addr_eq(&q->local->range.lo, &p->remote->range.lo));
	ck_assert(ts_list_eq(&p->child->local_ts, &q->child->remote_ts) &&
		  ts_list_eq(&q->child->local_ts, &p->child->remote_ts));
	ck_assert(p->auth.method == q->peer.method && q->auth.method == p->peer.method);
	if (p->auth.method == IKE_BY_PSK)
		ck_assert(secret_eq(&cred_psk_find(&x->ike->psks, &p->auth.id, &p->peer.id)->key,
				    &cred_psk_find(&y->ike->psks, &q->auth.id, &q->peer.id)->key));
	config_free(&x);
	config_free(&y);
}

START_TEST(test_mirrors)
{
	check_mirror("site-to-site-psk-a", "site-to-site-psk-b");
	check_mirror("site-to-site-certs-a", "site-to-site-certs-b");
	check_mirror("trap", "site-to-site-psk-b");
	check_mirror("trap-each", "site-to-site-psk-b");
	check_mirror("bridge-ike-a", "bridge-ike-b");
}
END_TEST

/* Names: peers that may be anywhere, told apart by what they prove. */
START_TEST(test_names)
{
	struct config *c = load_example("names");
	static const char *const ids[] = { "alice@example.org", "bob@example.org" };
	char text[256];

	ck_assert_uint_eq(c->ike->n_conn, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_conn_conf *n = &c->ike->conn[i];
		ck_assert_uint_eq(n->n_remote, 0);
		ck_assert_str_eq(ident_format(&n->peer.id, text, sizeof(text)), ids[i]);
		ck_assert_uint_eq(n->child->local_ts.n, i + 1);
		ck_assert(n->child->remote_ts.ts[0].dynamic && n->child->start == IKE_START_NONE);
	}
	config_free(&c);
}
END_TEST

/* etc/bumpwire.conf has every key in it, in use or in a comment. */
START_TEST(test_complete)
{
	char text[16384], want[64];
	unsigned n;
	const struct config_key *k = config_keys(&n);
	FILE *f = fopen(in_source("etc/bumpwire.conf"), "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(k[i].section, "log") == 0)
			continue; /* subsystems, as a list in a comment */
		snprintf(want, sizeof(want), "%s = ", k[i].key);
		ck_assert_msg(strstr(text, want), "%s.%s", k[i].section, k[i].key);
	}
}
END_TEST

/* A thousand connections with certificates load in a time an administrator does not notice. */
START_TEST(test_many)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "tun t { }\ncacerts = ca.pem\n" SECRET);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(
		    f,
		    "connection c%u {\n remote_addrs = 10.0.%u.%u\n local { id = a.example certs = "
		    "a.pem key = a.key }\n"
		    " remote { id = peer%u.example }\n child net { remote_ts = 10.%u.%u.0/24 } }\n",
		    i, i / 256, i % 256, i, i / 256, i % 256);
	fclose(f);
	uint64_t start = clock_now_ns();
	struct config *c = load_quiet(text);
	ck_assert_uint_eq(c->ike->n_conn, 1000);
	ck_assert_str_eq(c->ike->conn[999].name, "c999");
	config_free(&c);
	ck_assert_uint_lt(clock_now_ns() - start, 30 * NS_PER_S);
	free(text);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ike");
	Suite *s = suite_create("config_ike");
	SRunner *sr = srunner_create(s);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_esp_and_ah);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_globals);
	tcase_add_test(tc, test_hosts);
	tcase_add_test(tc, test_proposals);
	tcase_add_test(tc, test_ports);
	tcase_add_test(tc, test_times);
	tcase_add_test(tc, test_secrets);
	tcase_add_test(tc, test_owners);
	tcase_add_test(tc, test_certificates);
	tcase_add_test(tc, test_pkcs12);
	tcase_add_test(tc, test_crls);
	tcase_add_test(tc, test_included);
	tcase_add_test(tc, test_same);
	tcase_add_test(tc, test_all_changed);
	tcase_add_test(tc, test_not_same);
	tcase_add_test(tc, test_refs);
	tcase_add_test(tc, test_bare);
	tcase_add_test(tc, test_wiped);
	tcase_add_loop_test(tc, test_example, 0, (int)ARRAY_LEN(examples));
	tcase_add_test(tc, test_mirrors);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_complete);
	tcase_add_test(tc, test_many);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
