/* Small parts: lines out of a stream, the service manager, reports of drops, the run directory,
 * export of keys; and what network a configuration wants. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/draft.h"
#include "control/dropwatch.h"
#include "control/keys.h"
#include "ike/keymat.h"
#include "control/linebuf.h"
#include "control/netcfg.h"
#include "control/notify.h"
#include "control/rundir.h"
#include "control/wiped.h"
#include "test_control.h"
#include "unit_folder.h"

/* ---- lines ------------------------------------------------------------------------------------
 */

static void feed(struct linebuf *b, const char *text, size_t piece)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len;) {
		size_t room;
		char *to = linebuf_room(b, &room);
		ck_assert_ptr_nonnull(to);
		size_t n = len - at < piece ? len - at : piece;
		n = n < room ? n : room;
		memcpy(to, text + at, n);
		linebuf_put(b, n);
		at += n;
	}
}

START_TEST(test_lines)
{
	struct linebuf b;

	linebuf_init(&b, 64);
	feed(&b, "one\n\ntwo\nthr", (size_t)_i + 1);
	ck_assert_str_eq(linebuf_next(&b), "one");
	ck_assert_str_eq(linebuf_next(&b), "");
	ck_assert_str_eq(linebuf_next(&b), "two");
	ck_assert_ptr_null(linebuf_next(&b));
	feed(&b, "ee\n", (size_t)_i + 1);
	ck_assert_str_eq(linebuf_next(&b), "three");
	ck_assert_ptr_null(linebuf_next(&b));
	linebuf_fini(&b);
}
END_TEST

START_TEST(test_line_limit)
{
	struct linebuf b;
	size_t room;

	linebuf_init(&b, 8);
	feed(&b, "12345678\n", 3);
	ck_assert_str_eq(linebuf_next(&b), "12345678");
	feed(&b, "123456789", 9); /* one too many, and still no newline */
	ck_assert_ptr_null(linebuf_next(&b));
	ck_assert_ptr_null(linebuf_room(&b, &room));
	linebuf_fini(&b);
}
END_TEST

/* ---- wiped memory -----------------------------------------------------------------------------
 */

/* How often the bytes are in the heap. */
static unsigned find_in_heap(const char *needle, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx rw", &lo, &hi) != 2 || !strstr(line, "[heap]"))
			continue;
		for (const char *p = (const char *)lo; (p = memmem(p, hi - (size_t)p, needle, len));
		     p++)
			found++;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* What `bumpwire keys` is told, through JSON and lines: while it is in use it is there, then not. */
START_TEST(test_wiped)
{
	char key[] = "0xfeedC0DEfeedBABE0123", line[64];
	struct linebuf b;

	wiped_json();
	snprintf(line, sizeof(line), "{\"key\":\"%s\"}\n", key);
	linebuf_init(&b, 100000);
	for (unsigned i = 0; i < 300; i++) /* grows, and so moves */
		feed(&b, line, 1000);
	json_t *v = json_loads(linebuf_next(&b), 0, NULL);
	char *text = json_dumps(v, JSON_COMPACT);
	ck_assert_ptr_nonnull(strstr(text, key));
#if !defined(__SANITIZE_ADDRESS__) /* has a heap of its own */
	ck_assert_uint_gt(find_in_heap(key, strlen(key)), 300);
#endif
	json_decref(v);
	wiped_free(text);
	linebuf_fini(&b);
	ck_assert_uint_eq(find_in_heap(key, strlen(key)), 0);
	wiped_free(NULL);
	json_set_alloc_funcs(malloc, free);
}
END_TEST

/* ---- the service manager ----------------------------------------------------------------------
 */

START_TEST(test_notify)
{
	char name[64], got[128] = "";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	bool abstract = _i == 1;
	struct notify n;

	snprintf(name, sizeof(name), abstract ? "@bw-notify-%d" : "/tmp/bw-notify-%d",
		 (int)getpid());
	strcpy(sun.sun_path, name);
	if (abstract)
		sun.sun_path[0] = '\0';
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, len), 0);
	ck_assert_int_eq(notify_open(&n, name), 0);
	notify_send(&n, "READY=1\nSTATUS=%d SAs", 7);
	ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 20);
	ck_assert_str_eq(got, "READY=1\nSTATUS=7 SAs");
	close(fd);
	notify_send(&n, "STOPPING=1"); /* nobody there any more: no harm */
	notify_close(&n);
	if (!abstract)
		unlink(name);
}
END_TEST

START_TEST(test_notify_nobody)
{
	struct notify n;

	ck_assert_int_eq(notify_open(&n, NULL), 0);
	notify_send(&n, "READY=1");
	notify_close(&n);
	ck_assert_int_eq(notify_open(&n, "relative"), -EINVAL);
	ck_assert_int_lt(notify_open(&n, "/nonexistent/socket"), 0);
	ck_assert_int_eq(n.fd, -1);
}
END_TEST

/* ---- drops ------------------------------------------------------------------------------------
 */

START_TEST(test_dropwatch)
{
	static struct dropwatch w;
	uint64_t t = 1000 * NS_PER_S, grown = 0, over = 0;

	ck_assert(!dropwatch_step(&w, DROP_AUTH, 0, t, &grown, &over));
	ck_assert(dropwatch_step(&w, DROP_AUTH, 3, t, &grown, &over)); /* the first at once */
	ck_assert_uint_eq(grown, 3);
	ck_assert_uint_eq(over, 0);
	ck_assert(!dropwatch_step(&w, DROP_AUTH, 50, t + 9 * NS_PER_S, &grown, &over));
	ck_assert(dropwatch_step(&w, DROP_AUTH, 53, t + 10 * NS_PER_S, &grown, &over));
	ck_assert_uint_eq(grown, 50);
	ck_assert_uint_eq(over, 10);
	ck_assert(
	    !dropwatch_step(&w, DROP_AUTH, 99, t + 29 * NS_PER_S, &grown, &over)); /* 20 s now */
	ck_assert(dropwatch_step(&w, DROP_AUTH, 99, t + 30 * NS_PER_S, &grown, &over));
	ck_assert(dropwatch_step(&w, DROP_REPLAY, 1, t, &grown, &over)); /* each reason by itself */
	/* a long quiet spell, then it starts over */
	ck_assert(!dropwatch_step(&w, DROP_AUTH, 99, t + 500 * NS_PER_S, &grown, &over));
	ck_assert(dropwatch_step(&w, DROP_AUTH, 100, t + 501 * NS_PER_S, &grown, &over));
	ck_assert_uint_eq(over, 0);
}
END_TEST

START_TEST(test_dropwatch_is_bounded)
{
	static struct dropwatch w;
	uint64_t grown, over;
	unsigned lines = 0;

	for (uint64_t s = 1; s <= 86400; s++)
		lines += dropwatch_step(&w, DROP_AUTH, s * 1000, s * NS_PER_S, &grown, &over);
	ck_assert_uint_lt(lines, 86400 / DROPWATCH_LAST_S + 10);
	ck_assert_uint_gt(lines, 86400 / DROPWATCH_LAST_S / 2);
}
END_TEST

/* ---- run directory ----------------------------------------------------------------------------
 */

START_TEST(test_rundir)
{
	char base[64], dir[80], lock[96], why[256];
	struct stat st;
	int fd, other;

	unit_folder_new(base, sizeof(base));
	snprintf(dir, sizeof(dir), "%s/x/y", base);
	snprintf(lock, sizeof(lock), "%s/lock", dir);
	ck_assert_msg(rundir_take(dir, &fd, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(rundir_take(dir, &other, why, sizeof(why)), -EBUSY);
	char pid[32];
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	ck_assert_ptr_nonnull(strstr(why, pid));
	ck_assert_ptr_nonnull(strstr(why, dir));
	rundir_release(dir, &fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(rundir_take(dir, &fd, why, sizeof(why)), 0);
	rundir_release(dir, &fd);
	/* a file where the directory should be */
	ck_assert_int_eq(rundir_take(lock, &fd, why, sizeof(why)), -ENOTDIR);
	unlink(lock);
	rmdir(dir);
	snprintf(dir, sizeof(dir), "%s/x", base);
	rmdir(dir);
	rmdir(base);
}
END_TEST

/* ---- keys for Wireshark -----------------------------------------------------------------------
 */

static struct config_sa wireshark_sa(const char *cipher, const char *integ, const char *key_hex,
				     size_t key_len)
{
	struct config_sa s = { .conf = { .proto = SA_ESP, .dir = DIR_OUT, .spi = 0x1001 } };
	uint8_t key[64];
	char why[128];

	ck_assert_int_eq(esp_suite_parse(cipher, integ, &s.conf.suite, why, sizeof(why)), 0);
	memset(key, 0xab, sizeof(key));
	ck_assert_int_eq(secret_copy(&s.conf.encr_key, span_of(key, key_len)), 0);
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &s.conf.src), 0);
	return s;
}

START_TEST(test_wireshark)
{
	char dir[64], path[80], why[256], line[512];
	struct config_sa sa[2] = { wireshark_sa("aes128gcm16", NULL, NULL, 20),
				   wireshark_sa("aes128ccm16", NULL, NULL, 19) };
	struct config c = { .path = (char *)(uintptr_t) "x.conf", .sa = sa, .n_sa = 2 };
	unsigned skipped;
	struct stat st;

	unit_folder_new(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/esp_sa", dir);
	ck_assert_int_eq(keys_wireshark(&c, NULL, dir, &skipped, why, sizeof(why)), -EPERM);
	ck_assert_int_eq(access(path, F_OK), -1);
	c.export_keys = true;
	ck_assert_int_eq(keys_wireshark(&c, NULL, dir, &skipped, why, sizeof(why)), 1);
	ck_assert_uint_eq(skipped, 1); /* Wireshark has no CCM for ESP */
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_int_eq(line[0], '#');
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_str_eq(
	    line,
	    "\"IPv4\",\"192.0.2.1\",\"*\",\"0x00001001\",\"AES-GCM with 16 octet ICV [RFC4106]\","
	    "\"0xabababababababababababababababababababab\",\"NULL\",\"\",\"32-bit\"\n");
	fclose(f);
	unlink(path);
	rmdir(dir);
	secret_free(&sa[0].conf.encr_key);
	secret_free(&sa[1].conf.encr_key);
}
END_TEST

START_TEST(test_wireshark_ike)
{
	static const struct {
		const char *cipher, *integ, *encr_name, *integ_name;
		bool ok;
	} row[] = {
		{ "aes256gcm16", NULL, "AES-GCM-256 with 16 octet ICV [RFC5282]", "NONE [RFC4306]",
		  true },
		{ "aes128", "sha256", "AES-CBC-128 [RFC3602]", "HMAC_SHA2_256_128 [RFC4868]", true },
		{ "3des", "sha1", "3DES [RFC2451]", "HMAC_SHA1_96 [RFC2404]", true },
		{ "chacha20poly1305", NULL, NULL, NULL, false },
	};
	struct ike_sa_view v = { .spi_i = { 1, 2, 3, 4, 5, 6, 7, 8 }, .spi_r = { 0xff } };
	uint8_t k[4] = { 0xa1, 0xb2, 0xc3, 0xd4 };
	struct ike_keys keys = { .ei = span_of(k, 1), .er = span_of(k + 1, 1) };
	struct esp_suite s;
	char line[512], want[512], why[128];

	ck_assert_int_eq(esp_suite_parse(row[_i].cipher, row[_i].integ, &s, why, sizeof(why)), 0);
	if (row[_i].integ) {
		keys.ai = span_of(k + 2, 1);
		keys.ar = span_of(k + 3, 1);
	}
	ck_assert_int_eq(keys_ike_line(&v, &keys, &s, line, sizeof(line)), row[_i].ok);
	if (!row[_i].ok)
		return;
	snprintf(want, sizeof(want), "0102030405060708,ff00000000000000,a1,b2,\"%s\",%s,\"%s\"\n",
		 row[_i].encr_name, row[_i].integ ? "c3,d4" : ",", row[_i].integ_name);
	ck_assert_str_eq(line, want);
	ck_assert(!keys_ike_line(&v, &keys, &s, line, 20)); /* no room */
	v.version = 1;
	ck_assert(keys_ike_line(&v, &keys, &s, line, sizeof(line)));
	ck_assert_str_eq(line, "0102030405060708,a1\n");
	ck_assert(!keys_ike_line(&v, &keys, &s, line, 10));
}
END_TEST

TCase *control_parts_tests(void)
{
	TCase *c = tcase_create("parts");

	tcase_add_loop_test(c, test_lines, 0, 6);
	tcase_add_test(c, test_wiped);
	tcase_add_test(c, test_line_limit);
	tcase_add_loop_test(c, test_notify, 0, 2);
	tcase_add_test(c, test_notify_nobody);
	tcase_add_test(c, test_dropwatch);
	tcase_add_test(c, test_dropwatch_is_bounded);
	tcase_add_test(c, test_rundir);
	tcase_add_test(c, test_wireshark);
	tcase_add_loop_test(c, test_wireshark_ike, 0, 4);
	return c;
}

/* ---- network ----------------------------------------------------------------------------------
 */

static char tun_name[] = "bw0";
static struct ip_prefix routes[2], addresses[1];
static struct config_tun tun;
static struct config_policy policy;
static struct config conf;

static void net_config(const char *r0, const char *r1)
{
	ck_assert_int_eq(ip_prefix_parse("10.255.0.1/32", &addresses[0]), 0);
	ck_assert_int_eq(ip_prefix_parse(r0, &routes[0]), 0);
	if (r1)
		ck_assert_int_eq(ip_prefix_parse(r1, &routes[1]), 0);
	tun = (struct config_tun){ .name = tun_name,
				   .address = addresses,
				   .n_address = 1,
				   .routes = routes,
				   .n_routes = r1 ? 2 : 1,
				   .mtu = 1400 };
	policy = (struct config_policy){ .action = POLICY_PROTECT,
					 .dirs = POLICY_DIR_OUT | POLICY_DIR_IN };
	conf = (struct config){ .tun = &tun, .policy = &policy, .n_policy = 1 };
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(text, &a), 0);
	return a;
}

/* Does the configuration need the separate table? */
static bool needs_table(const struct ip_addr *peers, unsigned n_peers)
{
	struct netcfg n;

	ck_assert_int_eq(netcfg_plan(&conf, peers, n_peers, NULL, 7, &n), 0);
	bool yes = n.rule[0] || n.rule[1];
	netcfg_fini(&n);
	return yes;
}

START_TEST(test_net_main_table)
{
	struct ip_addr peer = addr("192.0.2.2");
	struct netcfg n;

	net_config("10.2.0.0/16", "fd00:2::/64");
	ck_assert(!needs_table(&peer, 1));
	ck_assert_int_eq(netcfg_plan(&conf, &peer, 1, NULL, 7, &n), 0);
	ck_assert_uint_eq(n.n_addr, 1);
	ck_assert_uint_eq(n.n_route, 2);
	ck_assert_uint_eq(n.route[0].table, 0);
	ck_assert(!n.rule[0] && !n.rule[1]);
	netcfg_fini(&n);
}
END_TEST

START_TEST(test_net_own_table)
{
	struct ip_addr peer = addr("192.0.2.2");
	struct netcfg n;

	net_config("192.0.0.0/8", "fd00:2::/64"); /* the peer is inside */
	ck_assert_int_eq(netcfg_plan(&conf, &peer, 1, NULL, 7, &n), 0);
	ck_assert_uint_eq(n.route[0].table, NETCFG_TABLE);
	ck_assert(n.rule[0] && n.rule[1]);
	ck_assert_uint_eq(n.mark, 7);
	netcfg_fini(&n);
	ck_assert(!needs_table(NULL, 0)); /* a peer we do not know yet */
	tun.table = 99;
	ck_assert_int_eq(netcfg_plan(&conf, &peer, 1, NULL, 7, &n), 0);
	ck_assert_uint_eq(n.route[0].table, 99);
	ck_assert(n.rule[0]);
	netcfg_fini(&n);
	tun.table = 254; /* main, by name: no rule */
	ck_assert_int_eq(netcfg_plan(&conf, &peer, 1, NULL, 7, &n), 0);
	ck_assert_uint_eq(n.route[0].table, 0);
	ck_assert(!n.rule[0]);
	netcfg_fini(&n);
	tun.table = 0; /* no mark can be set: no rule would let our packets pass */
	ck_assert_int_eq(netcfg_plan(&conf, &peer, 1, NULL, 0, &n), 0);
	ck_assert_uint_eq(n.route[0].table, 0);
	ck_assert(!n.rule[0]);
	netcfg_fini(&n);
}
END_TEST

START_TEST(test_net_reasons)
{
	net_config("0.0.0.0/0", NULL);
	ck_assert(needs_table(NULL, 0));
	net_config("10.2.0.0/16", NULL);
	policy.action = POLICY_BYPASS;
	ck_assert(needs_table(NULL, 0));
	policy.dirs = POLICY_DIR_IN; /* nothing goes out by it */
	ck_assert(!needs_table(NULL, 0));
	tun.n_routes = 0;
	policy.dirs = POLICY_DIR_OUT;
	ck_assert(!needs_table(NULL, 0));
}
END_TEST

static bool is_away(const char *prefix)
{
	struct netcfg n;
	struct ip_prefix p;
	bool yes = false;

	ck_assert_int_eq(ip_prefix_parse(prefix, &p), 0);
	ck_assert_int_eq(netcfg_plan(&conf, NULL, 0, NULL, 7, &n), 0);
	for (unsigned i = 0; i < n.n_route; i++)
		yes |= n.route[i].away && n.route[i].prefix.len == p.len && ip_addr_eq(&n.route[i].prefix.addr, &p.addr);
	netcfg_fini(&n);
	return yes;
}

/* Everything goes to the device, but for networks on our side, and those that nothing else than bypass is for. */
START_TEST(test_net_beside)
{
	struct selector sel[2] = { { .proto = PROTO_ANY }, { .proto = PROTO_ANY } };
	struct config_policy two[2] = { { .action = POLICY_PROTECT, .dirs = POLICY_DIR_OUT, .sel = &sel[0], .n_sel = 1 },
					{ .action = POLICY_BYPASS, .dirs = POLICY_DIR_OUT, .sel = &sel[1], .n_sel = 1 } };

	net_config("0.0.0.0/0", NULL);
	conf.policy = two;
	conf.n_policy = 2;
	ck_assert_int_eq(ip_range_parse("10.1.0.0/16", &sel[0].local), 0);
	ck_assert_int_eq(ip_range_parse("10.2.0.0/16", &sel[0].remote), 0);
	sel[1].local = ip_range_all(4);
	ck_assert_int_eq(ip_range_parse("10.9.0.0/24", &sel[1].remote), 0);
	ck_assert(is_away("10.1.0.0/16"));
	ck_assert(is_away("10.9.0.0/24"));
	sel[1].proto = IPPROTO_UDP; /* the rest of it is to be seen */
	ck_assert(!is_away("10.9.0.0/24"));
	sel[1].proto = PROTO_ANY;
	sel[1].local = sel[0].local;
	ck_assert(!is_away("10.9.0.0/24"));
	sel[1].local = ip_range_all(4);
	ck_assert_int_eq(ip_range_parse("10.0.0.0-10.9.0.7", &sel[0].remote), 0); /* another policy's first */
	ck_assert(!is_away("10.9.0.0/24"));
	ck_assert(is_away("10.1.0.0/16"));
}
END_TEST

static struct netcfg_route route(const char *prefix, const char *src)
{
	struct netcfg_route r = { .src = { .ver = 0 } };

	ck_assert_int_eq(ip_prefix_parse(prefix, &r.prefix), 0);
	if (src)
		r.src = addr(src);
	return r;
}

/* What connections add: each route once, the file's before theirs, and a table of their own when
 * one would catch a peer. */
START_TEST(test_net_of_connections)
{
	struct netcfg_route r[] = { route("10.9.0.0/16", "10.1.0.1"),
				    route("10.2.0.0/16", "10.1.0.1"), route("10.9.0.0/16", NULL),
				    route("10.3.0.0/16", NULL) };
	struct ip_addr peer[] = { addr("198.51.100.1"), addr("192.0.2.2") };
	struct netcfg_more more = { .route = r, .n_route = 4, .peer = peer, .n_peer = 2 };
	struct netcfg n;

	net_config("10.2.0.0/16", NULL);
	ck_assert_int_eq(netcfg_plan(&conf, NULL, 0, &more, 7, &n), 0);
	ck_assert_uint_eq(n.n_route, 3);
	ck_assert(!n.route[0].optional && n.route[0].src.ver == 0); /* the file's 10.2 */
	ck_assert_int_eq(n.route[1].prefix.addr.b[1], 3);
	ck_assert(n.route[1].optional);
	ck_assert_int_eq(n.route[2].prefix.addr.b[1], 9);
	ck_assert(!n.rule[0]);
	netcfg_fini(&n);
	r[3] = route("192.0.2.0/24", NULL); /* 192.0.2.2 is in it */
	ck_assert_int_eq(netcfg_plan(&conf, NULL, 0, &more, 7, &n), 0);
	ck_assert(n.rule[0]);
	ck_assert_uint_eq(n.route[2].table, NETCFG_TABLE);
	netcfg_fini(&n);
}
END_TEST

/* Everything goes to the device, but for what is on our side. */
START_TEST(test_net_own_side)
{
	struct netcfg_route r[] = { route("0.0.0.0/0", NULL), route("10.1.7.0/24", NULL) };
	struct ip_prefix own[] = { route("10.1.0.0/16", NULL).prefix,
				   route("10.1.7.0/24", NULL).prefix, /* routed, too: they say so */
				   route("fd01::/16", NULL).prefix }; /* nothing catches it */
	struct netcfg_more more = { .route = r, .n_route = 2, .own = own, .n_own = 3 };
	struct netcfg n;

	net_config("10.2.0.0/16", NULL);
	ck_assert_int_eq(netcfg_plan(&conf, NULL, 0, &more, 7, &n), 0);
	ck_assert_uint_eq(n.n_route, 4);
	ck_assert_uint_eq(n.route[0].prefix.len, 0);
	ck_assert_uint_eq(n.route[1].prefix.len, 16);
	ck_assert(n.route[1].away && n.route[1].table == NETCFG_TABLE);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(n.route[i].away, i == 1);
	netcfg_fini(&n);
	more.n_route = 0; /* no table of our own: nothing is caught */
	ck_assert_int_eq(netcfg_plan(&conf, NULL, 0, &more, 7, &n), 0);
	ck_assert_uint_eq(n.n_route, 1);
	netcfg_fini(&n);
}
END_TEST

START_TEST(test_sockets_of_sa)
{
	struct plane_opts o = { .udp4 = true, .raw6 = true };
	struct sa_conf c = { .encap = SA_ENCAP_UDP, .dst = addr("192.0.2.2") };

	ck_assert(draft_has_socket(&o, &c));
	c.dst = addr("2001:db8::1");
	ck_assert(!draft_has_socket(&o, &c));
	c.encap = SA_ENCAP_NONE;
	ck_assert(draft_has_socket(&o, &c));
	c.dst = (struct ip_addr){ 0 }; /* %any: one of the two is enough */
	ck_assert(draft_has_socket(&o, &c));
	c.src = addr("192.0.2.1");
	ck_assert(!draft_has_socket(&o, &c));
}
END_TEST

START_TEST(test_restart_keys)
{
	struct config a, b;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	net_config("10.2.0.0/16", NULL);
	a = b = conf;
	draft_restart_keys(&a, &b, f);
	fflush(f);
	ck_assert_uint_eq(len, 0);
	b.workers = 3;
	b.gso = true;
	b.keepalive_s = 5; /* can change */
	draft_restart_keys(&a, &b, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "workers cannot change"));
	ck_assert_ptr_nonnull(strstr(text, "gso cannot change"));
	ck_assert_ptr_null(strstr(text, "keepalive"));
	free(text);
}
END_TEST

TCase *control_net_tests(void)
{
	TCase *c = tcase_create("network");

	tcase_add_test(c, test_net_main_table);
	tcase_add_test(c, test_net_own_table);
	tcase_add_test(c, test_net_reasons);
	tcase_add_test(c, test_net_beside);
	tcase_add_test(c, test_net_of_connections);
	tcase_add_test(c, test_net_own_side);
	tcase_add_test(c, test_sockets_of_sa);
	tcase_add_test(c, test_restart_keys);
	return c;
}
