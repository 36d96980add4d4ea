/*
 * What configurations become: the examples of etc/, every value's notation, includes, key files, the
 * selectors that lists make, and the man page against the table of keys.
 */
#define _GNU_SOURCE 1 /* memmem */
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"
#include "config/config.h"
#include "ipsec/label.h"
#include "packet/quote.h"
#include "unit_folder.h"

static char work[64], said[4096];

static const char *in_source(const char *name)
{
	static char path[512];
	const char *dir = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name);
	return path;
}

static const char *in_work(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, 128, "%s/%s", work, name);
	return p;
}

static void put(const char *name, const char *text, size_t len, mode_t mode)
{
	/* it may be there, and not for us to write */
	(void)unlink(in_work(name));
	FILE *f = fopen(in_work(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
	ck_assert_int_eq(chmod(in_work(name), mode), 0);
}

static int load(const char *path, struct config **c)
{
	memset(said, 0, sizeof(said));
	FILE *f = fmemopen(said, sizeof(said) - 1, "w");
	int rc = config_load(path, f, c);
	fclose(f);
	return rc;
}

static struct config *load_text(const char *text)
{
	struct config *c;

	put("c.conf", text, strlen(text), 0600);
	int rc = load(in_work("c.conf"), &c);
	ck_assert_msg(rc == 0, "%s", said);
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

static const char *const examples[] = {
	"etc/bumpwire.conf", "etc/ipv6-a.conf",	    "etc/ipv6-b.conf",	   "etc/manual-a.conf",	 "etc/manual-b.conf",
	"etc/nat-inside.conf", "etc/nat-outside.conf", "etc/raw-esp-a.conf", "etc/raw-esp-b.conf",
	"etc/bridge-host-a.conf", "etc/bridge-host-b.conf", "etc/bridge-gateway-a.conf", "etc/bridge-gateway-b.conf",
};

START_TEST(test_example)
{
	struct config *c;

	ck_assert_msg(load(in_source(examples[_i]), &c) == 0, "%s", said);
	ck_assert_str_eq(said, "");
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

	ck_assert_int_eq(load(in_source("etc/manual-a.conf"), &c), 0);
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

	ck_assert_int_eq(load(in_source(a), &x), 0);
	ck_assert_int_eq(load(in_source(b), &y), 0);
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
		ck_assert_int_eq(load(in_source(b ? "etc/parallel-b.conf" : "etc/parallel-a.conf"), &c), 0);
		ck_assert_str_eq(said, "");
		ck_assert_uint_eq(c->n_sa, 4);
		ck_assert_uint_eq(c->policy->n_parallel, 2);
		const struct sa_conf *s = &sa_find(c, b ? "voice-b-to-a" : "voice-a-to-b")->conf;
		ck_assert(s->match_dscp == (1ull << 46 | 1ull << 44) && !s->label);
		ck_assert_uint_eq(sa_find(c, b ? "b-to-a" : "a-to-b")->conf.match_dscp, 0);
		config_free(&c);

		ck_assert_int_eq(load(in_source(b ? "etc/labels-b.conf" : "etc/labels-a.conf"), &c), 0);
		ck_assert_str_eq(said, "");
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
		struct config *c = load_text(conf);
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
	ck_assert_msg(load(in_source("etc/hosts-a.conf"), &c) == 0, "%s", said);
	ck_assert_str_eq(said, "");
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
	struct config *c = load_text("");
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
	struct config *c = load_text("workers = 3 // three\nport_nat_t = 0x1195 port_ike = 501 ike_threads = 4\nlisten = {\n 192.0.2.1, # one\n"
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
	ck_assert_str_eq(c->run_dir, in_work("r d"));
	ck_assert_str_eq(c->state_dir, "/s");
	ck_assert_str_eq(c->resolv_conf, in_work("r.conf"));
	ck_assert_int_eq(c->log_level, LOG_LVL_WARN);
	ck_assert_int_eq(c->log_subsys[LOG_NET], LOG_LVL_DEBUG);
	ck_assert_int_eq(c->log_subsys[LOG_IKE], LOG_LVL_ERROR);
	ck_assert_int_eq(c->log_subsys[LOG_SPD], -1);
	config_free(&c);
}
END_TEST

START_TEST(test_sa_values)
{
	struct config *c = load_text(
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
	struct config *c = load_text(conf);
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

#define SA_OF(key) \
	"tun t { }\nsa s { direction = in spi = 0x1000 cipher = aes128gcm16\n key = \"" key "\" }\n" \
	"policy p { action = protect in = s }\n"

static void check_key_file(const char *content, size_t len, mode_t mode, const char *error)
{
	struct config *c;
	uint8_t want[20];

	put("k", content, len, mode);
	put("c.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	int rc = load(in_work("c.conf"), &c);
	if (error) {
		ck_assert_int_eq(rc, -EINVAL);
		ck_assert_msg(strstr(said, ":3: key") && strstr(said, error), "%s", said);
		return;
	}
	ck_assert_msg(rc == 0, "%s", said);
	for (int i = 0; i < 20; i++)
		want[i] = (uint8_t)(0xa0 + i);
	ck_assert(span_eq(secret_view(&c->sa->conf.encr_key), span_of(want, 20)));
	config_free(&c);
}

START_TEST(test_key_files)
{
	static const char hex[] = "a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf\nb0b1b2b3\n";
	char raw[21];

	for (int i = 0; i < 21; i++)
		raw[i] = (char)(0xa0 + i);
	check_key_file(hex, strlen(hex), 0600, NULL);
	check_key_file(hex, strlen(hex), 0400, NULL);
	check_key_file(raw, 20, 0600, NULL);
	check_key_file(raw, 19, 0600, "key has 19 bytes; expected 20 bytes: 16 of key and 4 of salt");
	check_key_file(raw, 21, 0600, "key has 21 bytes; expected 20 bytes");
	check_key_file("0011223344556677889900", 22, 0600, "key has 11 bytes; expected 20 bytes");
	/* digits that happen to be as many as the key has bytes are still digits */
	check_key_file("00112233445566778899", 20, 0600, "key has 10 bytes; expected 20 bytes");
	check_key_file("", 0, 0600, "key has 0 bytes; expected 20 bytes");
	check_key_file(hex, strlen(hex), 0640, "group or others can use it; expected mode 0600 or 0400");
	check_key_file(hex, strlen(hex), 0604, "group or others can use it; expected mode 0600 or 0400");
	char big[2000];
	memset(big, 'a', sizeof(big));
	check_key_file(big, sizeof(big), 0600, "too long for a key");
}
END_TEST

START_TEST(test_key_file_of_another)
{
	if (geteuid() != 0)
		return; /* only root can give a file away */
	put("k", "00", 2, 0600);
	put("c.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	ck_assert_int_eq(chown(in_work("k"), 12345, 12345), 0);
	struct config *c;
	ck_assert_int_eq(load(in_work("c.conf"), &c), -EINVAL);
	ck_assert_msg(strstr(said, "belongs to another user"), "%s", said);
}
END_TEST

START_TEST(test_include)
{
	static const char one[] = "tun t { }\ninclude(\"d/*.conf\")\npolicy last { action = discard }\n";

	ck_assert_int_eq(mkdir(in_work("d"), 0700), 0);
	put("d/20.conf", "# second\ninclude(\"more/deep.conf\")\n", 35, 0600);
	put("d/10.conf", "policy first { action = bypass }\n", 33, 0600);
	ck_assert_int_eq(mkdir(in_work("d/more"), 0700), 0);
	put("d/more/deep.conf", "\n\npolicy deep { action = reject }\nworkers = 7\nlog { net = debug }\n", 66, 0600);
	struct config *c = load_text(one);
	ck_assert_uint_eq(c->n_policy, 3);
	ck_assert_str_eq(c->policy[0].name, "first");
	ck_assert_str_eq(c->policy[1].name, "deep");
	ck_assert_str_eq(c->policy[1].file, in_work("d/more/deep.conf"));
	ck_assert_int_eq(c->policy[1].line, 3);
	ck_assert_str_eq(c->policy[2].name, "last");
	ck_assert_int_eq(c->policy[2].line, 3);
	ck_assert_uint_eq(c->workers, 7);
	ck_assert_int_eq(c->log_subsys[LOG_NET], LOG_LVL_DEBUG);
	config_free(&c);
}
END_TEST

static void check_include_error(const char *main_text, const char *other, int rc, const char *file, const char *error)
{
	struct config *c;
	char start[160];

	put("c.conf", main_text, strlen(main_text), 0600);
	put("o.conf", other, strlen(other), 0600);
	ck_assert_int_eq(load(in_work("c.conf"), &c), rc);
	snprintf(start, sizeof(start), "%s:%s", in_work(file), error);
	ck_assert_msg(strstr(said, start), "%s\nin\n%s", start, said);
}

START_TEST(test_include_errors)
{
	check_include_error("# a\ninclude(\"o.conf\")\n", "\n\nworkers = x\n", -EINVAL, "o.conf", "3: workers = \"x\"");
	check_include_error("include(\"o.conf\")\n", "# a\nwrkers = x\n", -EINVAL, "o.conf", "2: unknown key \"wrkers\"");
	check_include_error("include(\"o.conf\")\n", "\n\n\"", -EINVAL, "o.conf", "3: the string");
	check_include_error("\ninclude(\"o.conf\") wrkers=1", "\n\n", -EINVAL, "c.conf", "2: unknown key");
	check_include_error("\ninclude(\"n.conf\")", "", -EINVAL, "c.conf", "2: include \"");
	check_include_error("include(\"o.conf\")\ngso = no", "gso = yes", -EINVAL, "c.conf", "2: gso is given twice");
	check_include_error("include(\"o.conf\")", "include(\"c.conf\")", -EINVAL, "o.conf", "1: include \"");
	ck_assert_ptr_nonnull(strstr(said, "expected no circle"));
	check_include_error("tun t { }\npolicy p { action = discard }\ninclude(\"o.conf\")", "\npolicy p { action = bypass }",
			    -EINVAL, "o.conf", "2: policy p is defined twice");
	check_include_error("include(\"o.conf\")\ntun t { }", "tun u { }", -EINVAL, "c.conf", "2: a second tun section");
}
END_TEST

START_TEST(test_file_errors)
{
	struct config *c = (void *)1;

	ck_assert_int_eq(load(in_work("none"), &c), -ENOENT);
	ck_assert_ptr_null(c);
	ck_assert_ptr_nonnull(strstr(said, "No such file or directory; expected a configuration file"));
	ck_assert_int_eq(load(work, &c), -EINVAL);
	put("c.conf", "gso = yes\ngro = \"y\0s\"", 21, 0600);
	ck_assert_int_eq(load(in_work("c.conf"), &c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, ":2: a zero byte"));
	put("c.conf", "\x01", 1, 0600);
	ck_assert_int_eq(load(in_work("c.conf"), &c), -EINVAL);
	put("c.conf", "gso = no\r\ngro = no\r\n", 20, 0600);
	ck_assert_int_eq(load(in_work("c.conf"), &c), 0);
	ck_assert(!c->gso && !c->gro);
	config_free(&c);
}
END_TEST

/* 20,000 policies and 1,000 SAs load in a time an administrator does not notice. */
START_TEST(test_many)
{
	enum { N = 20000, SAS = 1000 };
	FILE *f = fopen(in_work("c.conf"), "w");
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
	ck_assert_msg(load(in_work("c.conf"), &c) == 0, "%s", said);
	ck_assert_uint_eq(c->n_policy, N);
	ck_assert_str_eq(c->policy[N - 1].name, "p19999");
	config_free(&c);
	ck_assert_uint_lt(clock_now_ns() - start, 30 * NS_PER_S);
}
END_TEST

/* Looks for the bytes of needle in the process's writable memory outside guarded regions. */
static unsigned find_in_heap(const uint8_t *needle, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx rw", &lo, &hi) != 2 || !strstr(line, " rw-p") || !strstr(line, "[heap]"))
			continue;
		for (const uint8_t *p = (const uint8_t *)lo; (p = memmem(p, hi - (size_t)p, needle, len)); p++)
			found++;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* After a load the key is nowhere in the heap, neither as text nor as bytes: not in libconfuse's buffers. */
START_TEST(test_wiped)
{
	static const char digits[] = "DEADBEEF0badcafe"; /* as in the file, so that nothing else has it */
	char conf[512], file_key[] = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44";
	struct config *c;

	mallopt(M_MMAP_THRESHOLD, 1 << 28); /* everything in one heap */
	snprintf(conf, sizeof(conf), "tun t { }\nsa s { direction = in spi = 0x1000 cipher = aes128gcm16\n"
				     " key = \"%s%s01234567\" }\npolicy p { action = protect in = s }\n",
		 digits, digits);
	put("c.conf", conf, strlen(conf), 0600);
	put("k", file_key, strlen(file_key), 0600);
	put("d.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	wipe(conf, sizeof(conf));
	ck_assert_int_eq(load(in_work("c.conf"), &c), 0);
	ck_assert_uint_eq(find_in_heap((const uint8_t *)digits, 8), 0);
	ck_assert_uint_eq(find_in_heap(c->sa->conf.encr_key.p, 8), 0);
	config_free(&c);
	ck_assert_int_eq(load(in_work("d.conf"), &c), 0);
	ck_assert_uint_eq(find_in_heap((const uint8_t *)file_key, 16), 0);
	ck_assert_uint_eq(find_in_heap(c->sa->conf.encr_key.p, 8), 0);
	config_free(&c);
}
END_TEST

/* The line of the man page's section about a key: ".It Cm KEY Ar TYPE" ... "Default: X." ... ".Dl KEY =" */
static void check_man_key(const char *page, const struct config_key *k)
{
	char want[128], def[96];

	snprintf(want, sizeof(want), ".\\\" section %s\n", k->section[0] ? k->section : "top");
	const char *sec = strstr(page, want);
	ck_assert_msg(sec, "no section %s", k->section);
	const char *end = strstr(sec + 1, ".\\\" section ");
	snprintf(want, sizeof(want), ".It Cm %s Ar %s\n", k->key, k->type);
	const char *it = strstr(sec, want);
	ck_assert_msg(it && (!end || it < end), "%s.%s (%s) is not documented", k->section, k->key, k->type);
	const char *next = strstr(it + 1, ".It Cm "), *stop = next && (!end || next < end) ? next : end;
	snprintf(def, sizeof(def), "%s", k->def[0] == '(' ? k->def + 1 : k->def);
	if (k->def[0] == '(')
		def[strlen(def) - 1] = 0;
	snprintf(want, sizeof(want), "\nDefault: %s.\n", def);
	const char *d = strstr(it, want);
	ck_assert_msg(d && (!stop || d < stop), "%s.%s: the default is not \"%s\" in the man page", k->section, k->key, def);
	snprintf(want, sizeof(want), "\n.Dl %s = ", k->key);
	const char *x = strstr(it, want);
	ck_assert_msg(x && (!stop || x < stop), "%s.%s has no example in the man page", k->section, k->key);
}

START_TEST(test_man_page)
{
	static char page[128 * 1024];
	FILE *f = fopen(in_source("man/bumpwire.conf.5"), "r");
	unsigned n, items = 0;
	const struct config_key *k = config_keys(&n);

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
	ck_assert_uint_gt(n, 60);
	for (unsigned i = 0; i < n; i++)
		check_man_key(page, &k[i]);
	for (const char *p = page; (p = strstr(p, "\n.It Cm ")); p++)
		items++;
	ck_assert_uint_eq(items, n); /* and nothing that does not exist */
}
END_TEST

/* bumpwire(8) has every auditable event, as the table has it, and no other. */
START_TEST(test_man_page_audit)
{
	static char page[128 * 1024];
	FILE *f = fopen(in_source("man/bumpwire.8"), "r");
	unsigned items = 0;

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
	const char *from = strstr(page, "\n.It Sy event Ta Sy kind"), *to = from ? strstr(from, "\n.El") : NULL;
	ck_assert(from && to);
	for (const char *p = from + 1; (p = strstr(p, "\n.It ")) && p < to; p++)
		items++;
	ck_assert_uint_eq(items, AUDIT_EVENTS - 1);
	for (unsigned i = 1; i < AUDIT_EVENTS; i++) {
		const struct audit_info *a = audit_info((enum audit)i);
		char want[512];
		snprintf(want, sizeof(want), "\n.It %s Ta %s Ta %s%s Ta %s\n", a->name,
			 a->of == AUDIT_OF_IPSEC ? "esp, ah" : a->of == AUDIT_OF_POLICY ? "policy" : "ike",
			 a->demanded ? "" : "(beyond) ", a->sections, a->what);
		ck_assert_msg(strstr(page, want), "not in bumpwire(8):%s", want);
	}
}
END_TEST

static unsigned audit_of(const char *value)
{
	char text[128];

	snprintf(text, sizeof(text), "audit = %s\n", value);
	struct config *c = load_text(text);
	unsigned of = c->audit & ~WORDS_SAID;
	config_free(&c);
	return of;
}

START_TEST(test_audit_key)
{
	static const char *const bad[] = { "{no, esp}", "{esp, yes}", "{ah, no}", "maybe", "{esp, tls}", "{yes, no}" };
	struct config *c = load_text("workers = 1\n");

	ck_assert_uint_eq(c->audit & ~WORDS_SAID, AUDIT_OF_ALL);
	config_free(&c);
	ck_assert_uint_eq(audit_of("yes"), AUDIT_OF_ALL);
	ck_assert_uint_eq(audit_of("no"), 0);
	ck_assert_uint_eq(audit_of("ike"), AUDIT_OF_IKE);
	ck_assert_uint_eq(audit_of("{esp}"), AUDIT_OF_ESP);
	ck_assert_uint_eq(audit_of("{ah, policy, esp}"), AUDIT_OF_IPSEC | AUDIT_OF_POLICY);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		char text[128];
		snprintf(text, sizeof(text), "audit = %s\n", bad[i]);
		put("audit.conf", text, strlen(text), 0600);
		ck_assert_msg(load(in_work("audit.conf"), &c) != 0, "%s", bad[i]);
		ck_assert_msg(strstr(said, "audit") && strstr(said, "yes or no alone"), "%s", said);
	}
}
END_TEST

START_TEST(test_log_keys)
{
	unsigned n, found = 0;
	const struct config_key *k = config_keys(&n);

	for (unsigned i = 0; i < n; i++)
		found += strcmp(k[i].section, "log") == 0 && log_subsys_parse(k[i].key) >= 0;
	ck_assert_uint_eq(found, LOG_SUBSYSTEMS);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("config");
	Suite *s = suite_create("config");
	SRunner *sr = srunner_create(s);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_example, 0, (int)ARRAY_LEN(examples));
	tcase_add_test(tc, test_manual_a);
	tcase_add_test(tc, test_mirrors);
	tcase_add_test(tc, test_parallel);
	tcase_add_test(tc, test_dscp_names);
	tcase_add_test(tc, test_hosts);
	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_top);
	tcase_add_test(tc, test_sa_values);
	tcase_add_test(tc, test_selectors);
	tcase_add_test(tc, test_key_files);
	tcase_add_test(tc, test_key_file_of_another);
	tcase_add_test(tc, test_include);
	tcase_add_test(tc, test_include_errors);
	tcase_add_test(tc, test_file_errors);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_wiped);
	tcase_add_test(tc, test_man_page);
	tcase_add_test(tc, test_man_page_audit);
	tcase_add_test(tc, test_audit_key);
	tcase_add_test(tc, test_log_keys);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
