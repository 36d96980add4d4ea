/*
 * What configurations become: the examples of etc/, every value's notation and the selectors that
 * lists make. Also the runner of this program; the other parts are named in test_config.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"
#include "ipsec/label.h"
#include "packet/quote.h"
#include "test_config.h"
#include "unit_folder.h"

char conf_said[4096];
static char work[64];

const char *conf_source(const char *name)
{
	static char path[512];
	const char *dir = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name);
	return path;
}

const char *conf_path(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, 128, "%s/%s", work, name);
	return p;
}

void conf_put(const char *name, const char *text, size_t len, mode_t mode)
{
	/* it may be there, and not for us to write */
	(void)unlink(conf_path(name));
	FILE *f = fopen(conf_path(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
	ck_assert_int_eq(chmod(conf_path(name), mode), 0);
}

int conf_load(const char *path, struct config **c)
{
	memset(conf_said, 0, sizeof(conf_said));
	FILE *f = fmemopen(conf_said, sizeof(conf_said) - 1, "w");
	int rc = config_load(path, f, c);
	fclose(f);
	return rc;
}

struct config *conf_text(const char *text)
{
	struct config *c;

	conf_put("c.conf", text, strlen(text), 0600);
	int rc = conf_load(conf_path("c.conf"), &c);
	ck_assert_msg(rc == 0, "%s", conf_said);
	return c;
}

static void setup(void)
{
	ck_assert_int_eq(secret_init(), 0);
	unit_folder_new(work, sizeof(work));
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", work);
	ck_assert_int_eq(system(cmd), 0);
}

TCase *conf_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

static const char *const examples[] = {
	"etc/bumpwire.conf", "etc/ipv6-a.conf",	    "etc/ipv6-b.conf",	   "etc/manual-a.conf",	 "etc/manual-b.conf",
	"etc/nat-inside.conf", "etc/nat-outside.conf", "etc/raw-esp-a.conf", "etc/raw-esp-b.conf",
	"etc/bridge-host-a.conf", "etc/bridge-host-b.conf", "etc/bridge-gateway-a.conf", "etc/bridge-gateway-b.conf",
};

START_TEST(test_example)
{
	struct config *c;

	ck_assert_msg(conf_load(conf_source(examples[_i]), &c) == 0, "%s", conf_said);
	ck_assert_str_eq(conf_said, "");
	ck_assert_uint_eq(c->n_sa, 2);
	ck_assert_uint_ge(c->n_policy, 1);
	ck_assert(!c->tun != !c->bridge);
	config_free(&c);
	ck_assert_ptr_null(c);
}
END_TEST

static const struct config_sa *sa_find(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_sa; i++)
		if (strcmp(c->sa[i].conf.name, name) == 0)
			return &c->sa[i];
	ck_abort_msg("no sa %s", name);
	return NULL;
}

START_TEST(test_manual_a)
{
	struct config *c;
	uint8_t key[20];
	char text[SELECTOR_STRLEN];

	ck_assert_int_eq(conf_load(conf_source("etc/manual-a.conf"), &c), 0);
	const struct sa_conf *s = &sa_find(c, "a-to-b")->conf;
	ck_assert_int_eq(s->dir, DIR_OUT);
	ck_assert_int_eq(s->proto, SA_ESP);
	ck_assert_int_eq(s->mode, SA_TUNNEL);
	ck_assert_uint_eq(s->spi, 0x1001);
	ck_assert_str_eq(ip_addr_format(&s->src, text), "192.0.2.1");
	ck_assert_str_eq(ip_addr_format(&s->dst, text), "192.0.2.2");
	ck_assert_uint_eq(s->src_port, 4500);
	ck_assert_uint_eq(s->dst_port, 4500);
	ck_assert_int_eq(s->encap, SA_ENCAP_UDP);
	ck_assert_int_eq(s->suite.encr->id, ENCR_AES_GCM_16);
	ck_assert_uint_eq(s->suite.key_len, 16);
	ck_assert_int_eq(hex_decode("000102030405060708090a0b0c0d0e0f10111213", key, sizeof(key)), 20);
	ck_assert(span_eq(secret_view(&s->encr_key), span_of(key, 20)));
	ck_assert_uint_eq(s->integ_key.len, 0);
	ck_assert_uint_eq(s->replay_window, 2048);
	ck_assert(!s->esn && s->ecn && s->dscp == -1 && s->df == SA_DF_COPY && s->fragment == SA_FRAG_BEFORE);
	ck_assert_uint_eq(s->life.hard_bytes | s->life.soft_ns, 0);
	ck_assert_str_eq(c->tun->name, "bw0");
	ck_assert_uint_eq(c->tun->mtu, 1400);
	ck_assert_uint_eq(c->tun->n_address, 1);
	ck_assert_str_eq(ip_prefix_format(c->tun->routes, text), "10.2.0.0/16");
	ck_assert_uint_eq(c->policy->n_sel, 1);
	ck_assert_str_eq(selector_format(c->policy->sel, text), "10.1.0.0/16 === 10.2.0.0/16");
	ck_assert_int_eq(c->policy->action, POLICY_PROTECT);
	ck_assert_uint_eq(c->policy->dirs, POLICY_DIR_OUT | POLICY_DIR_IN);
	ck_assert_str_eq(c->policy->out[0], "a-to-b");
	ck_assert_str_eq(c->policy->in[0], "b-to-a");
	ck_assert(c->policy->mss_clamp);
	config_free(&c);
}
END_TEST

/* Each end of a pair sends what the other expects. */
static void check_mirror(const char *a, const char *b)
{
	struct config *x, *y;

	ck_assert_int_eq(conf_load(conf_source(a), &x), 0);
	ck_assert_int_eq(conf_load(conf_source(b), &y), 0);
	for (unsigned i = 0; i < x->n_sa; i++) {
		const struct sa_conf *p = &x->sa[i].conf, *q = NULL;
		for (unsigned k = 0; k < y->n_sa; k++)
			if (y->sa[k].conf.spi == p->spi)
				q = &y->sa[k].conf;
		ck_assert_ptr_nonnull(q);
		ck_assert_int_ne(p->dir, q->dir);
		ck_assert(secret_eq(&p->encr_key, &q->encr_key) && secret_eq(&p->integ_key, &q->integ_key));
		ck_assert(p->suite.encr == q->suite.encr && p->suite.integ == q->suite.integ && p->esn == q->esn);
		ck_assert(p->encap == q->encap);
	}
	for (unsigned i = 0; i < x->n_policy; i++) {
		ck_assert(ip_addr_eq(&x->policy[i].sel->local.lo, &y->policy[i].sel->remote.lo));
		ck_assert(ip_addr_eq(&x->policy[i].sel->remote.lo, &y->policy[i].sel->local.lo));
	}
	config_free(&x);
	config_free(&y);
}

START_TEST(test_mirrors)
{
	check_mirror("etc/manual-a.conf", "etc/manual-b.conf");
	check_mirror("etc/ipv6-a.conf", "etc/ipv6-b.conf");
	check_mirror("etc/raw-esp-a.conf", "etc/raw-esp-b.conf");
	check_mirror("etc/nat-inside.conf", "etc/nat-outside.conf");
	check_mirror("etc/parallel-a.conf", "etc/parallel-b.conf");
	check_mirror("etc/labels-a.conf", "etc/labels-b.conf");
}
END_TEST

/* Parallel SAs, by DSCP and by label; nothing is said about them. */
START_TEST(test_parallel)
{
	struct config *c;
	char text[LABEL_STRLEN];

	for (unsigned b = 0; b < 2; b++) {
		ck_assert_int_eq(conf_load(conf_source(b ? "etc/parallel-b.conf" : "etc/parallel-a.conf"), &c), 0);
		ck_assert_str_eq(conf_said, "");
		ck_assert_uint_eq(c->n_sa, 4);
		ck_assert_uint_eq(c->policy->n_parallel, 2);
		const struct sa_conf *s = &sa_find(c, b ? "voice-b-to-a" : "voice-a-to-b")->conf;
		ck_assert(s->match_dscp == (1ull << 46 | 1ull << 44) && !s->label);
		ck_assert_uint_eq(sa_find(c, b ? "b-to-a" : "a-to-b")->conf.match_dscp, 0);
		config_free(&c);

		ck_assert_int_eq(conf_load(conf_source(b ? "etc/labels-b.conf" : "etc/labels-a.conf"), &c), 0);
		ck_assert_str_eq(conf_said, "");
		ck_assert_str_eq(label_range_format(c->label, text), "doi 1 level 1 to level 3 categories 0-7");
		ck_assert_str_eq(label_range_format(c->unlabelled, text), "doi 1 level 1");
		ck_assert(!c->policy->label && !c->policy->unlabelled);
		s = &sa_find(c, b ? "secret-a-to-b" : "secret-b-to-a")->conf;
		ck_assert_str_eq(label_range_format(s->label, text), "doi 1 level 3 categories 1,5");
		config_free(&c);
	}
}
END_TEST

/* Every name of a code point is its number (RFC 2474, 2597, 3246, 5865, 8622). */
START_TEST(test_dscp_names)
{
	static const struct {
		const char *text;
		uint64_t bits;
	} rows[] = {
		{ "ef", 1ull << 46 },	  { "VA", 1ull << 44 },	    { "le", 1ull << 1 },      { "default", 1 },
		{ "cs0", 1 },		  { "cs7", 1ull << 56 },    { "af11", 1ull << 10 },   { "af13", 1ull << 14 },
		{ "af43", 1ull << 38 },	  { "63", 1ull << 63 },	    { "0x2e", 1ull << 46 },   { "0-63", UINT64_MAX },
		{ "cs1-af13", 0x7f00 },	  { "{0, 2-3}", 0xd },
	};
	char conf[512];

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(conf, sizeof(conf),
			 "tun t { }\nsa a { direction = out spi = 0x1001 dst = 192.0.2.2 cipher = aes128gcm16 key = \"%s\" match_dscp = %s%s%s }\n"
			 "policy p { action = protect out = a }\n",
			 "000102030405060708090a0b0c0d0e0f10111213", rows[i].text[0] == '{' ? "" : "\"", rows[i].text,
			 rows[i].text[0] == '{' ? "" : "\"");
		struct config *c = conf_text(conf);
		ck_assert_msg(c->sa->conf.match_dscp == rows[i].bits, "%s", rows[i].text);
		config_free(&c);
	}
}
END_TEST

/* AH over ESP in transport mode: the bundle in order, SAs bound to their ends. */
START_TEST(test_hosts)
{
	struct config *c;

	check_mirror("etc/hosts-a.conf", "etc/hosts-b.conf");
	ck_assert_msg(conf_load(conf_source("etc/hosts-a.conf"), &c) == 0, "%s", conf_said);
	ck_assert_str_eq(conf_said, "");
	const struct sa_conf *ah = &sa_find(c, "ah-b-to-a")->conf;
	ck_assert_int_eq(ah->proto, SA_AH);
	ck_assert_int_eq(ah->mode, SA_TRANSPORT);
	ck_assert_int_eq(ah->encap, SA_ENCAP_NONE);
	ck_assert_int_eq(ah->suite.encr->id, ENCR_NULL);
	ck_assert_uint_eq(ah->n_sel, 1);
	ck_assert(ip_addr_eq(&ah->sel->local.lo, &ah->dst) && ip_addr_eq(&ah->sel->remote.hi, &ah->src));
	ck_assert_uint_eq(sa_find(c, "ah-a-to-b")->conf.n_sel, 0);
	ck_assert_uint_eq(c->policy->n_out, 2);
	ck_assert_str_eq(c->policy->out[0], "esp-a-to-b");
	ck_assert_str_eq(c->policy->out[1], "ah-a-to-b");
	ck_assert_uint_eq(c->policy->n_in, 2);
	ck_assert_str_eq(c->policy->in[1], "ah-b-to-a");
	config_free(&c);
}
END_TEST

START_TEST(test_empty)
{
	struct config *c = conf_text("");
	char text[IP_ADDR_STRLEN];

	ck_assert_uint_eq(c->workers, 0);
	ck_assert_uint_eq(c->port, 4500);
	ck_assert_uint_eq(c->port_ike, 500);
	ck_assert_uint_eq(c->ike_threads, 0);
	ck_assert_ptr_null(c->ike);
	ck_assert_str_eq(ip_addr_format(&c->bind4, text), "0.0.0.0");
	ck_assert_str_eq(ip_addr_format(&c->bind6, text), "::");
	ck_assert(!c->allow_weak && !c->export_keys && c->gso && c->gro && c->udp_checksum && c->seccomp);
	ck_assert_uint_eq(c->rcvbuf, 4 << 20);
	ck_assert_uint_eq(c->keepalive_s, 20);
	ck_assert(c->path_mtu_discovery);
	ck_assert_uint_eq(c->path_mtu_age_s, 600);
	ck_assert_uint_eq(c->icmp_unprotected & ~WORDS_SAID, ICMP_OF_ALL);
	ck_assert_uint_eq(c->icmp_protected & ~WORDS_SAID, ICMP_OF_ALL);
	ck_assert_uint_eq(c->icmp_log & ~WORDS_SAID, 0);
	ck_assert_int_eq(c->log_level, LOG_LVL_INFO);
	for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++)
		ck_assert_int_eq(c->log_subsys[i], -1);
	ck_assert(!c->run_dir && !c->state_dir && !c->resolv_conf && !c->tun && !c->n_sa && !c->n_policy);
	config_free(&c);
}
END_TEST

START_TEST(test_top)
{
	struct config *c = conf_text("workers = 3 // three\nport_nat_t = 0x1195 port_ike = 501 ike_threads = 4\nlisten = {\n 192.0.2.1, # one\n"
				     " \"2001:db8::1\" /* two */ }\nallow_weak = on\nexport_keys = TRUE gso=no\ngro=off\n"
				     "udp_checksum = no rcvbuf = 1g sndbuf = 65536 busy_poll = 2ms keepalive = 1m\n"
				     "fwmark = 0xffffffff crypto_backend = ipsec-mb mss_clamp = no run_dir = 'r d'\n"
				     "path_mtu_discovery = no path_mtu_age = 5m icmp_unprotected = {too-big, time-exceeded}\n"
				     "icmp_protected = no icmp_log = {unreachable, source-quench, redirect, parameter-problem, other}\n"
				     "state_dir = /s resolv_conf = r.conf seccomp = false\nlog { level = warn net = debug ike = error }\n");
	char text[IP_ADDR_STRLEN];

	ck_assert_uint_eq(c->workers, 3);
	ck_assert_uint_eq(c->port, 4501);
	ck_assert_uint_eq(c->port_ike, 501);
	ck_assert_uint_eq(c->ike_threads, 4);
	ck_assert_str_eq(ip_addr_format(&c->bind4, text), "192.0.2.1");
	ck_assert_str_eq(ip_addr_format(&c->bind6, text), "2001:db8::1");
	ck_assert(c->allow_weak && c->export_keys && !c->gso && !c->gro && !c->udp_checksum && !c->seccomp);
	ck_assert_uint_eq(c->rcvbuf, 1u << 30);
	ck_assert_uint_eq(c->sndbuf, 65536);
	ck_assert_uint_eq(c->busy_poll_us, 2000);
	ck_assert_uint_eq(c->keepalive_s, 60);
	ck_assert_uint_eq(c->fwmark, 0xffffffff);
	ck_assert_int_eq(c->crypto_backend, CRYPT_IPSEC_MB);
	ck_assert(!c->mss_clamp && !c->path_mtu_discovery);
	ck_assert_uint_eq(c->path_mtu_age_s, 300);
	ck_assert_uint_eq(c->icmp_unprotected & ~WORDS_SAID, ICMP_OF_TOO_BIG | ICMP_OF_TIME);
	ck_assert_uint_eq(c->icmp_protected & ~WORDS_SAID, 0);
	ck_assert_uint_eq(c->icmp_log & ~WORDS_SAID, ICMP_OF_ALL & ~(ICMP_OF_TOO_BIG | ICMP_OF_TIME));
	ck_assert_str_eq(c->run_dir, conf_path("r d"));
	ck_assert_str_eq(c->state_dir, "/s");
	ck_assert_str_eq(c->resolv_conf, conf_path("r.conf"));
	ck_assert_int_eq(c->log_level, LOG_LVL_WARN);
	ck_assert_int_eq(c->log_subsys[LOG_NET], LOG_LVL_DEBUG);
	ck_assert_int_eq(c->log_subsys[LOG_IKE], LOG_LVL_ERROR);
	ck_assert_int_eq(c->log_subsys[LOG_SPD], -1);
	config_free(&c);
}
END_TEST

START_TEST(test_sa_values)
{
	struct config *c = conf_text(
	    "allow_weak = yes\nport_nat_t = 10000\ntun bw0 { mtu = 9000 table = 7 persist = yes offload = no install_routes = no }\n"
	    "sa o { direction = out spi = 4294967295 src = %any dst = \"2001:db8::2\" dst_port = 4510\n"
	    " cipher = 3des integrity = md5 key = \"00:11:22:33:44:55:66:77 8899aabbccddeeff 0011223344556677\"\n"
	    " integ_key = 0x000102030405060708090a0b0c0d0e0f esn = yes life_bytes = 1G rekey_bytes = 1M\n"
	    " life_packets = 10 rekey_packets = 9 life_time = 1h rekey_time = 59m df = set fragment = after ecn = no\n"
	    " dscp = 46 mtu = 1500 }\n"
	    "sa i { direction = in spi = 256 encap = none cipher = null integrity = sha1\n"
	    " integ_key = 000102030405060708090a0b0c0d0e0f10111213 replay_window = 0 }\n"
	    "policy p { action = protect out = o in = i mss_clamp = no }\n");
	const struct config_sa *o = sa_find(c, "o"), *i = sa_find(c, "i");
	const struct sa_conf *s = &o->conf;

	ck_assert_uint_eq(s->spi, 0xffffffff);
	ck_assert_uint_eq(s->src.ver, 0);
	ck_assert_uint_eq(s->dst.ver, 6);
	ck_assert_uint_eq(s->src_port, 10000);
	ck_assert_uint_eq(s->dst_port, 4510);
	ck_assert_int_eq(s->suite.encr->id, ENCR_3DES);
	ck_assert_int_eq(s->suite.integ->id, INTEG_HMAC_MD5_96);
	ck_assert_uint_eq(s->encr_key.len, 24);
	ck_assert_uint_eq(s->integ_key.len, 16);
	ck_assert(s->esn && !s->ecn && s->dscp == 46 && s->df == SA_DF_SET && s->fragment == SA_FRAG_AFTER);
	ck_assert_uint_eq(s->life.hard_bytes, 1ull << 30);
	ck_assert_uint_eq(s->life.soft_bytes, 1ull << 20);
	ck_assert_uint_eq(s->life.hard_packets, 10);
	ck_assert_uint_eq(s->life.soft_packets, 9);
	ck_assert_uint_eq(s->life.hard_ns, 3600 * NS_PER_S);
	ck_assert_uint_eq(s->life.soft_ns, 59 * 60 * NS_PER_S);
	ck_assert_uint_eq(s->path_mtu, 1500);
	ck_assert(!o->anti_replay_set && i->anti_replay_set);
	ck_assert_int_eq(o->line, 4);
	ck_assert_int_eq(i->line, 9);
	ck_assert_uint_eq(i->conf.src_port | i->conf.dst_port, 0);
	ck_assert_uint_eq(i->conf.replay_window, 0);
	ck_assert_uint_eq(i->conf.encr_key.len, 0);
	ck_assert_mem_ne(i->conf.key_id, s->key_id, 16);
	ck_assert(!c->tun->install_routes);
	ck_assert(c->tun->persist && !c->tun->offload && c->tun->table == 7 && c->tun->mtu == 9000);
	ck_assert(!c->policy->mss_clamp);
	config_free(&c);
}
END_TEST

/* Loads a policy with these lists and compares its selectors as text. */
static void check_selectors(const char *lists, const char *expected)
{
	char conf[1024], all[2048] = "", one[SELECTOR_STRLEN];

	snprintf(conf, sizeof(conf), "tun t { }\npolicy p { action = discard %s }\n", lists);
	struct config *c = conf_text(conf);
	for (unsigned i = 0; i < c->policy->n_sel; i++) {
		strcat(all, i ? "; " : "");
		strcat(all, selector_format(&c->policy->sel[i], one));
	}
	ck_assert_str_eq(all, expected);
	config_free(&c);
}

START_TEST(test_selectors)
{
	check_selectors("", "0.0.0.0/0 === 0.0.0.0/0; ::/0 === ::/0");
	check_selectors("local = {10.0.0.0/8, \"fd00::/8\"} remote = 10.1.2.3", "10.0.0.0/8 === 10.1.2.3/32");
	check_selectors("local = 10.0.0.1-10.0.0.6 remote = \"192.0.2.0/24\" protocol = {tcp, 17}\n"
			"remote_port = {80, 1024-65535}",
			"10.0.0.1-10.0.0.6[tcp/any] === 192.0.2.0/24[tcp/80]; "
			"10.0.0.1-10.0.0.6[tcp/any] === 192.0.2.0/24[tcp/1024-65535]; "
			"10.0.0.1-10.0.0.6[udp/any] === 192.0.2.0/24[udp/80]; "
			"10.0.0.1-10.0.0.6[udp/any] === 192.0.2.0/24[udp/1024-65535]");
	check_selectors("local = 10.0.0.1 remote = 10.0.0.2 protocol = sctp local_port = opaque remote_port = opaque",
			"10.0.0.1/32[sctp/opaque] === 10.0.0.2/32[sctp/opaque]");
	check_selectors("protocol = {icmp, ipv6-icmp} icmp_type = {8, 10-11}",
			"0.0.0.0/0[icmp/any] === 0.0.0.0/0[icmp/type 8]; "
			"0.0.0.0/0[icmp/any] === 0.0.0.0/0[icmp/type 10/0-11/255]; "
			"::/0[ipv6-icmp/any] === ::/0[ipv6-icmp/type 8]; "
			"::/0[ipv6-icmp/any] === ::/0[ipv6-icmp/type 10/0-11/255]");
	check_selectors("remote = 10.0.0.1 protocol = icmp icmp_type = 3 icmp_code = 4",
			"0.0.0.0/0[icmp/any] === 10.0.0.1/32[icmp/type 3 code 4]");
	check_selectors("remote = \"fd00::1\" protocol = mh mh_type = 5",
			"::/0[mh/any] === fd00::1/128[mh/type 5]");
}
END_TEST

/* 20,000 policies and 1,000 SAs load in a time an administrator does not notice. */
START_TEST(test_many)
{
	enum { N = 20000, SAS = 1000 };
	FILE *f = fopen(conf_path("c.conf"), "w");
	struct config *c;

	fprintf(f, "tun t { }\n");
	for (unsigned i = 0; i < SAS; i++)
		fprintf(f, "sa s%u { direction = out spi = %u dst = 192.0.2.1 cipher = aes128gcm16 key = %040x }\n", i,
			i + 256, i);
	for (unsigned i = 0; i < N; i++)
		fprintf(f, "policy p%u { action = protect out = s%u remote = 10.%u.%u.0/24 }\n", i, i % SAS, i / 256,
			i % 256);
	fclose(f);
	uint64_t start = clock_now_ns();
	ck_assert_msg(conf_load(conf_path("c.conf"), &c) == 0, "%s", conf_said);
	ck_assert_uint_eq(c->n_policy, N);
	ck_assert_str_eq(c->policy[N - 1].name, "p19999");
	config_free(&c);
	ck_assert_uint_lt(clock_now_ns() - start, 30 * NS_PER_S);
}
END_TEST

static TCase *value_case(void)
{
	TCase *t = conf_case("config");

	tcase_add_loop_test(t, test_example, 0, (int)ARRAY_LEN(examples));
	tcase_add_test(t, test_manual_a);
	tcase_add_test(t, test_mirrors);
	tcase_add_test(t, test_parallel);
	tcase_add_test(t, test_dscp_names);
	tcase_add_test(t, test_hosts);
	tcase_add_test(t, test_empty);
	tcase_add_test(t, test_top);
	tcase_add_test(t, test_sa_values);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_many);
	return t;
}

int main(void)
{
	Suite *s = suite_create("config");
	SRunner *sr = srunner_create(s);

	suite_add_tcase(s, value_case());
	suite_add_tcase(s, conf_file_case());
	suite_add_tcase(s, conf_page_case());
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
