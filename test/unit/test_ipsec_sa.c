/* SAs: what is refused, sequence numbers, lifetimes, the arithmetic of sizes, comparing
 * configurations. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/label.h"
#include "ipsec/sa.h"
#include "must.h"
#include "test_ipsec.h"

static uint64_t fake_now, fake_wall;

static uint64_t now(void)
{
	return fake_now;
}

static uint64_t wall(void)
{
	return fake_wall;
}

static void setup(void)
{
	ck_assert_int_eq(secret_init(), 0);
	ck_assert_int_eq(crypt_init(), 0);
	fake_now = 5 * NS_PER_S;
	fake_wall = 1700000000 * NS_PER_S;
	clock_set_source(now, wall);
}

static void teardown(void)
{
	clock_set_source(NULL, NULL);
}

/* A configuration with keys of the right lengths, filled with `fill`. */
static struct sa_conf conf_of(const char *encr, const char *integ, uint8_t fill)
{
	struct sa_conf c = { .proto = SA_ESP,
			     .mode = SA_TUNNEL,
			     .dir = DIR_OUT,
			     .spi = 0x1001,
			     .encap = SA_ENCAP_UDP,
			     .dst_port = 4500,
			     .dscp = -1,
			     .ecn = true,
			     .replay_window = 64 };
	char why[160];

	ck_assert_msg(esp_suite_parse(encr, integ, &c.suite, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &c.src), 0);
	ck_assert_int_eq(ip_addr_parse("192.0.2.2", &c.dst), 0);
	c.name = strdup("a-to-b");
	ck_assert_int_eq(secret_new(&c.encr_key, c.suite.key_len + c.suite.encr->salt_len), 0);
	if (c.encr_key.len)
		memset(c.encr_key.p, fill, c.encr_key.len);
	if (c.suite.integ) {
		ck_assert_int_eq(secret_new(&c.integ_key, c.suite.integ->key_len), 0);
		memset(c.integ_key.p, fill + 1, c.integ_key.len);
	}
	return c;
}

/* That use the SA: several change it atomically, one alone does not. */
static unsigned workers = 4;

static void one_worker(void)
{
	workers = 1;
	setup();
}

static struct sa *make(struct sa_conf *c)
{
	struct sa *sa;
	char why[160];

	int rc = sa_new(c, workers, &sa, why, sizeof(why));
	ck_assert_msg(rc == 0, "%d: %s", rc, why);
	return sa;
}

static struct sa *make_life(struct sa_lifetime life)
{
	struct sa_conf c = conf_of("aes128gcm16", NULL, 1);
	c.life = life;
	return make(&c);
}

START_TEST(test_new)
{
	struct sa_conf c = conf_of("aes128gcm16", NULL, 7);
	struct sa *sa = make(&c);
	struct sa_path *path = sa->path;

	ck_assert_ptr_null(c.name); /* moved */
	ck_assert_ptr_null(c.encr_key.p);
	ck_assert_ptr_null(sa->conf->encr_key.p); /* wiped */
	ck_assert_str_eq(sa->conf->name, "a-to-b");
	ck_assert(sa_usable(sa));
	ck_assert_uint_eq(sa->installed_ns, fake_now);
	ck_assert_uint_eq(sa->iv_base, fake_wall);
	ck_assert_ptr_nonnull(path);
	ck_assert_uint_eq(path->dst.port, 4500);
	ck_assert(ip_addr_eq(&path->dst.addr, &sa->conf->dst));
	ck_assert_uint_le(sizeof(*sa), 512);
	ck_assert_uint_le(sa_bytes(sa), 1024);
	ck_assert_uint_eq((uintptr_t)sa % CACHE_LINE, 0);

	struct sa_path *other = calloc(1, sizeof(*other));
	ck_assert_ptr_eq(sa_set_path(sa, other), path);
	sa_path_free(path);
	struct sa *second = sa_ref(sa);
	sa_unref(&second);
	ck_assert_ptr_null(second);
	ck_assert(sa_usable(sa));
	sa_unref(&sa);
	ck_assert_uint_eq(secret_in_use(), 0);
}
END_TEST

START_TEST(test_refused)
{
	struct sa *sa;
	char why[160];
	static const struct {
		const char *what, *sentence;
		int rc;
	} rows[] = {
		{ "spi", "below 256", -EINVAL },
		{ "proto", "cannot cross a NAT", -EINVAL },
		{ "mode", "the address their packets come from", -EINVAL },
		{ "versions", "different IP versions", -EINVAL },
		{ "window", "replay window", -EINVAL },
		{ "dscp", "DSCP", -EINVAL },
		{ "key", "20 bytes (4 of them salt), not 16", -EINVAL },
		{ "integ", "integrity key of 0 bytes, not 20", -EINVAL },
	};
	const char *what = rows[_i].what;
	struct sa_conf c = conf_of("aes128gcm16", NULL, 7);

	c.spi = strcmp(what, "spi") ? c.spi : 255;
	c.proto = strcmp(what, "proto") ? c.proto : SA_AH;
	if (!strcmp(what, "mode")) {
		c.mode = SA_TRANSPORT;
		c.src = ip_addr_any(4);
	}
	c.src = strcmp(what, "versions") ? c.src : ip_addr_any(6);
	c.replay_window = strcmp(what, "window") ? c.replay_window : 31;
	c.dscp = strcmp(what, "dscp") ? c.dscp : 64;
	if (!strcmp(what, "key")) {
		secret_free(&c.encr_key);
		ck_assert_int_eq(secret_new(&c.encr_key, 16), 0);
	}
	if (!strcmp(what, "integ"))
		ck_assert_int_eq(secret_new(&c.integ_key, 20), 0);
	ck_assert_int_eq(sa_new(&c, 1, &sa, why, sizeof(why)), rows[_i].rc);
	ck_assert_ptr_null(sa);
	ck_assert_msg(strstr(why, rows[_i].sentence) != NULL, "%s", why);
	ck_assert_ptr_nonnull(c.name); /* still the caller's */
	ck_assert_ptr_nonnull(c.encr_key.p);
	sa_conf_fini(&c);
}
END_TEST

/* RFC 4303 2.2, RFC 6054 */
START_TEST(test_group)
{
	static const struct {
		const char *sentence;
		bool in, no_interface, esn, preserve, udp;
		uint16_t id, bits;
	} rows[] = {
		{ .sentence = NULL },
		{ .sentence = "the interface that the group is on", .no_interface = true },
		{ .sentence = "no replay window", .in = true },
		{ .sentence = "no extended sequence numbers", .in = true, .esn = true },
		{ .sentence = "without UDP", .preserve = true, .udp = true },
		{ .sentence = "does not fit its size", .id = 256, .bits = 8 },
		{ .sentence = NULL, .id = 255, .bits = 8 },
	};
	struct sa_conf c = conf_of("aes128gcm16", NULL, 7);
	struct sa *sa;
	char why[160];

	ck_assert_int_eq(ip_addr_parse("239.1.1.1", &c.dst), 0);
	c.interface = rows[_i].no_interface ? NULL : strdup("eth0");
	if (rows[_i].in) {
		c.dir = DIR_IN;
		c.src.ver = 0;
	}
	c.esn = rows[_i].esn;
	c.preserve = rows[_i].preserve;
	c.encap = rows[_i].udp ? SA_ENCAP_UDP : SA_ENCAP_NONE;
	c.sender_id = rows[_i].id;
	c.sender_bits = rows[_i].bits;
	int rc = sa_new(&c, 1, &sa, why, sizeof(why));
	ck_assert_int_eq(rc, rows[_i].sentence ? -EINVAL : 0);
	if (rc) {
		ck_assert_msg(strstr(why, rows[_i].sentence), "%s", why);
		sa_conf_fini(&c);
		return;
	}
	ck_assert(sa->group && sa->cycles == (rows[_i].bits != 0));
	sa_unref(&sa);
}
END_TEST

/* Whenever it starts, an IV is larger than those of the run before, and its sender's. */
START_TEST(test_sender_ivs)
{
	static const uint16_t bits[] = { 8, 12, 16 };
	uint64_t last[3] = { 0 };

	for (unsigned k = 0; k < 60; k++, fake_wall += 3600 * 24 * NS_PER_S * (k % 7 + 1)) {
		for (unsigned i = 0; i < 3; i++) {
			struct sa_conf c = conf_of("aes128gcm16", NULL, 7);
			ck_assert_int_eq(ip_addr_parse("239.1.1.1", &c.dst), 0);
			c.interface = strdup("eth0");
			c.sender_id = 0x55;
			c.sender_bits = bits[i];
			struct sa *sa = make(&c);
			ck_assert_uint_eq(sa->iv_base >> (64 - bits[i]), 0x55);
			ck_assert_uint_gt(sa->iv_base, last[i]);
			/* a day's packets: at the rate that the manual names */
			last[i] = sa->iv_base + (i == 0 ? 62 : i == 1 ? 3 : 0) * 86400 * 1000000ull + 86400 * 240000ull;
			sa_unref(&sa);
		}
	}
}
END_TEST

START_TEST(test_sequence_without_esn)
{
	struct sa *sa = make_life((struct sa_lifetime){ 0 });
	uint64_t first = 0;

	ck_assert(sa_seq_take(sa, 3, &first));
	ck_assert_uint_eq(first, 1);
	ck_assert(sa_seq_take(sa, 1, &first));
	ck_assert_uint_eq(first, 4);
	atomic_store(&sa->seq, UINT32_MAX - 3u);
	ck_assert(!sa_seq_take(sa, 4, &first)); /* none of the three left is taken */
	ck_assert(sa_seq_take(sa, 3, &first));
	ck_assert_uint_eq(first, UINT32_MAX - 2u);
	ck_assert(!sa_seq_take(sa, 1, &first));
	ck_assert(!sa_seq_take(sa, 1, &first));
	ck_assert_uint_eq(atomic_load(&sa->seq), UINT32_MAX);
	sa_unref(&sa);
}
END_TEST

START_TEST(test_sequence_with_esn)
{
	struct sa_conf c = conf_of("aes128gcm16", NULL, 1);
	c.esn = true;
	struct sa *sa = make(&c);
	uint64_t first;

	atomic_store(&sa->seq, UINT32_MAX - 1u);
	ck_assert(sa_seq_take(sa, 5, &first));
	ck_assert_uint_eq(first, UINT32_MAX);
	atomic_store(&sa->seq, UINT64_MAX - 2);
	ck_assert(!sa_seq_take(sa, 3, &first));
	ck_assert(sa_seq_take(sa, 2, &first));
	ck_assert(!sa_seq_take(sa, 1, &first));
	sa_unref(&sa);
}
END_TEST

START_TEST(test_life_packets)
{
	struct sa *sa = make_life(
	    (struct sa_lifetime){ .soft_packets = 10, .hard_packets = 20, .hard_bytes = 1000000 });

	ck_assert_uint_eq(sa_count(sa, 9, 9), 0);
	ck_assert_uint_eq(sa_count(sa, 1, 1), SA_SOFT);
	ck_assert_uint_eq(sa_count(sa, 1, 1), 0); /* once */
	ck_assert(sa_usable(sa));
	ck_assert_uint_eq(sa_count(sa, 9, 9), SA_HARD);
	ck_assert(!sa_usable(sa));
	ck_assert_uint_eq(sa_count(sa, 100, 2000000), 0);
	ck_assert_uint_eq(atomic_load(&sa->packets), 120);
	sa_unref(&sa);
}
END_TEST

START_TEST(test_life_bytes)
{
	struct sa *sa = make_life(
	    (struct sa_lifetime){ .soft_bytes = 1000, .hard_bytes = 1500, .soft_packets = 50 });

	ck_assert_uint_eq(sa_count(sa, 1, 999), 0);
	ck_assert_uint_eq(sa_count(sa, 1, 1), SA_SOFT);
	ck_assert_uint_eq(sa_count(sa, 60, 1), 0); /* the other soft limit says nothing new */
	ck_assert_uint_eq(sa_count(sa, 1, 498), 0);
	ck_assert_uint_eq(sa_count(sa, 1, 1), SA_HARD);
	sa_unref(&sa);
	/* One group may go through both. */
	sa = make_life((struct sa_lifetime){ .soft_bytes = 1000, .hard_bytes = 1500 });
	ck_assert_uint_eq(sa_count(sa, 1, 5000), SA_SOFT | SA_HARD);
	sa_unref(&sa);
	sa = make_life((struct sa_lifetime){ 0 });
	ck_assert_uint_eq(sa_count(sa, UINT32_MAX, 1ull << 60), 0);
	ck_assert_uint_eq(sa_check_time(sa, UINT64_MAX), 0);
	sa_unref(&sa);
}
END_TEST

START_TEST(test_life_time)
{
	struct sa *sa = make_life((struct sa_lifetime){
	    .soft_ns = NS_PER_S, .hard_ns = 2 * NS_PER_S, .soft_packets = 5 });

	ck_assert_uint_eq(sa_check_time(sa, fake_now + NS_PER_S - 1), 0);
	ck_assert_uint_eq(sa_check_time(sa, fake_now + NS_PER_S), SA_SOFT);
	ck_assert_uint_eq(sa_check_time(sa, fake_now + NS_PER_S), 0);
	ck_assert_uint_eq(sa_count(sa, 6, 6), 0); /* soft was told already */
	ck_assert_uint_eq(sa_check_time(sa, fake_now - 1), 0);
	ck_assert_uint_eq(sa_check_time(sa, fake_now + 2 * NS_PER_S), SA_HARD);
	ck_assert(!sa_usable(sa));
	ck_assert_uint_eq(sa_check_time(sa, fake_now + 3 * NS_PER_S), 0);
	sa_unref(&sa);
}
END_TEST

/* ---- threads: each limit is reported once, each number given out once ---------------------- */

struct race {
	struct sa *sa;
	_Atomic unsigned soft, hard;
	_Atomic uint64_t sum;
};

static void *counter(void *arg)
{
	struct race *x = arg;

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t first;
		unsigned bits = sa_count(x->sa, 1, 100);
		x->soft += !!(bits & SA_SOFT);
		x->hard += !!(bits & SA_HARD);
		if (sa_seq_take(x->sa, 2, &first))
			x->sum += first + first + 1;
	}
	return NULL;
}

START_TEST(test_race)
{
	struct race x = { .sa = make_life((struct sa_lifetime){ .soft_packets = 30000,
								.hard_bytes = 5000000 }) };
	pthread_t t[4];

	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, counter, &x), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(x.soft, 1);
	ck_assert_uint_eq(x.hard, 1);
	ck_assert_uint_eq(atomic_load(&x.sa->packets), 80000);
	ck_assert_uint_eq(x.sum, 160000ull * 160001 / 2);
	sa_unref(&x.sa);
}
END_TEST

/* ---- sizes --------------------------------------------------------------------------------- */

/* The outer packet for an inner one, built up field by field (RFC 4303 2, RFC 3948 2.1). */
static uint32_t outer_size(const struct sa *sa, uint32_t inner, int ver)
{
	uint32_t text = inner;

	do
		text++;
	while ((text + 1) % sa->align); /* the padding, and the two bytes behind it */
	text++;
	return (ver == 4 ? 20 : 40) + (sa->encap == SA_ENCAP_UDP ? 8 : 0) + 8 + sa->iv_len + text +
	       sa->icv_len;
}

static const char *const suites[] = {
	"aes128gcm16",      "aes256gcm8", "aes192gcm12", "aes128ccm8",     "aes256ccm16",
	"chacha20poly1305", "aes128gmac", "aes128-sha1", "aes256-sha512",  "aes128-sha384",
	"aes128ctr-sha256", "3des-md5",   "null-sha256", "aes128-aesxcbc",
};

START_TEST(test_inner_mtu)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		int ver = variant & 1 ? 6 : 4;
		struct sa_conf c = conf_of(suites[_i], NULL, 1);
		c.encap = variant & 2 ? SA_ENCAP_UDP : SA_ENCAP_NONE;
		c.path_mtu = 1400;
		c.src = c.dst = ip_addr_any(ver);
		struct sa *sa = make(&c);
		ck_assert_uint_eq(sa->inner_mtu, sa_inner_mtu(sa, 1400, ver));
		for (uint32_t mtu = 0; mtu < 2000; mtu++) {
			uint32_t inner = sa_inner_mtu(sa, mtu, ver);
			if (inner) {
				must_uint_le(outer_size(sa, inner, ver), mtu);
				must_uint_le(outer_size(sa, inner, ver),
						  inner + sa->overhead_max);
			}
			must_uint_gt(outer_size(sa, inner + 1, ver), mtu);
		}
		ck_assert_uint_le(outer_size(sa, sa_inner_mtu(sa, 1u << 20, ver), ver), 65535);
		sa_unref(&sa);
	}
}
END_TEST

START_TEST(test_overhead_is_reached)
{
	struct sa_conf c = conf_of(suites[_i], NULL, 1);
	struct sa *sa = make(&c);
	uint32_t most = 0;

	for (uint32_t inner = 100; inner < 200; inner++) {
		uint32_t more = outer_size(sa, inner, 4) - inner;
		most = more > most ? more : most;
	}
	ck_assert_uint_eq(most, sa->overhead_max);
	sa_unref(&sa);
}
END_TEST

/* ---- comparing ----------------------------------------------------------------------------- */

static struct sa_conf conf_with_selector(uint8_t fill)
{
	struct sa_conf c = conf_of("aes128gcm16", NULL, fill);
	c.sel = calloc(1, sizeof(*c.sel));
	c.n_sel = 1;
	c.sel->local = c.sel->remote = ip_range_all(4);
	c.sel->proto = PROTO_ANY;
	sa_conf_set_key_id(&c);
	return c;
}

START_TEST(test_same)
{
	struct sa_conf made = conf_with_selector(3), c = conf_with_selector(3);
	struct sa *sa = make(&made);
	const struct sa_conf *a = sa->conf;

	ck_assert(sa_conf_same(a, &c));
#define DIFFERS(field, value)                                                                      \
	do {                                                                                       \
		__typeof__(c.field) keep_ = c.field;                                               \
		c.field = value;                                                                   \
		ck_assert_msg(!sa_conf_same(a, &c), "a difference in " #field " is not seen");     \
		c.field = keep_;                                                                   \
		ck_assert(sa_conf_same(a, &c));                                                    \
	} while (0)
	struct esp_suite other;
	char why[160], name[] = "other";
	ck_assert_int_eq(esp_suite_parse("aes128gcm12", NULL, &other, why, sizeof(why)), 0);
	DIFFERS(name, name);
	DIFFERS(name, NULL);
	DIFFERS(proto, SA_AH);
	DIFFERS(mode, SA_TRANSPORT);
	DIFFERS(dir, DIR_IN);
	DIFFERS(spi, 5);
	DIFFERS(src, ip_addr_any(4));
	DIFFERS(dst, ip_addr_any(4));
	DIFFERS(src_port, 1);
	DIFFERS(dst_port, 1);
	DIFFERS(encap, SA_ENCAP_NONE);
	DIFFERS(suite, other);
	DIFFERS(key_id[15], c.key_id[15] ^ 1);
	DIFFERS(esn, true);
	DIFFERS(replay_window, 128);
	DIFFERS(life.soft_bytes, 1);
	DIFFERS(life.hard_bytes, 1);
	DIFFERS(life.soft_packets, 1);
	DIFFERS(life.hard_packets, 1);
	DIFFERS(life.soft_ns, 1);
	DIFFERS(life.hard_ns, 1);
	DIFFERS(df, SA_DF_SET);
	DIFFERS(fragment, SA_FRAG_AFTER);
	DIFFERS(ecn, false);
	DIFFERS(dscp, 3);
	DIFFERS(match_dscp, 1);
	struct label_range label, other_label;
	ck_assert_int_eq(label_range_parse("doi 1 level 3", &label, why, sizeof(why)), 0);
	ck_assert_int_eq(label_range_parse("doi 1 level 3 to level 4", &other_label, why, sizeof(why)), 0);
	DIFFERS(label, &label);
	DIFFERS(path_mtu, 1280);
	DIFFERS(mss_clamp, true);
	DIFFERS(n_sel, 0);
	DIFFERS(sel->proto, 6);
	DIFFERS(sel->local.hi.b[3], 1);
	DIFFERS(sel->remote_port.match, PORT_OPAQUE);
#undef DIFFERS
	/* The keys count, not what the id was; and once they are wiped, the id stays. */
	struct sa_conf third = conf_with_selector(4);
	ck_assert(!sa_conf_same(a, &third));
	uint8_t id[16];
	memcpy(id, sa->conf->key_id, 16);
	sa_conf_set_key_id(sa->conf);
	ck_assert_mem_eq(id, sa->conf->key_id, 16);
	sa_conf_fini(&third);
	sa_conf_fini(&c);
	sa_unref(&sa);
}
END_TEST

/* What depends on the number of workers. */
TCase *tcase_sa_solo(void)
{
	TCase *t = tcase_create("sa, one worker");

	tcase_add_checked_fixture(t, one_worker, teardown);
	tcase_add_loop_test(t, test_group, 0, 7);
	tcase_add_test(t, test_sender_ivs);
	tcase_add_test(t, test_sequence_without_esn);
	tcase_add_test(t, test_sequence_with_esn);
	tcase_add_test(t, test_life_packets);
	tcase_add_test(t, test_life_bytes);
	return t;
}

TCase *tcase_sa(void)
{
	TCase *t = tcase_create("sa");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_new);
	tcase_add_loop_test(t, test_refused, 0, 8);
	tcase_add_loop_test(t, test_group, 0, 7);
	tcase_add_test(t, test_sender_ivs);
	tcase_add_test(t, test_sequence_without_esn);
	tcase_add_test(t, test_sequence_with_esn);
	tcase_add_test(t, test_life_packets);
	tcase_add_test(t, test_life_bytes);
	tcase_add_test(t, test_life_time);
	tcase_add_test(t, test_race);
	tcase_add_loop_test(t, test_inner_mtu, 0, (int)ARRAY_LEN(suites));
	tcase_add_loop_test(t, test_overhead_is_reached, 0, (int)ARRAY_LEN(suites));
	tcase_add_test(t, test_same);
	return t;
}
