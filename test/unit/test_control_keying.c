/* Keying between the engine and the plane, without either's network: children and traps enter by
 * struct ike_env as the engine calls it; SAs, policies and their order are looked at in the plane's
 * databases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/keying_priv.h"
#include "control/policies.h"
#include "plane/plane.h"
#include "test_control.h"

static struct daemon d;
static struct config conf;
static struct ike_conf ike_conf;
static struct keying k;
static struct ike_env env;
static struct ike_child_conf child = { .name = (char *)(uintptr_t) "net", .replay_window = 64,
				       .path_mtu = 1500 };
static struct ike_conn_conf conn;
static struct ike_host here, there;
static struct ts_list local, remote;
static char why[256];

static uint64_t now_ns = 5 * NS_PER_S;

static uint64_t now(void)
{
	return now_ns;
}

static struct ts_list ts(const char *a, const char *b)
{
	struct ts_list l = { .n = b ? 2 : 1 };

	ck_assert_int_eq(ts_parse(a, &l.ts[0], why, sizeof(why)), 0);
	if (b)
		ck_assert_int_eq(ts_parse(b, &l.ts[1], why, sizeof(why)), 0);
	return l;
}

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	ck_assert_int_eq(ip_addr_parse(addr, &e.addr), 0);
	return e;
}

static void up(void)
{
	struct plane_opts o = { .workers = 1, .ike = true };

	clock_set_source(now, NULL);
	d = (struct daemon){ .loop = ev_loop_new(0), .cfg = &conf, .lock_fd = -1 };
	conf = (struct config){ .ike = &ike_conf };
	d.opened.udp4 = true;
	ck_assert_msg(plane_new(&o, NULL, &d.plane, why, sizeof(why)) == 0, "%s", why);
	k = (struct keying){ .d = &d, .conf = &ike_conf };
	d.keying = &k;
	k.told = json_array();
	ev_init(&k.on_flush, NULL);
	env = (struct ike_env){ .ctx = &k };
	ksa_env(&env);
	here = (struct ike_host){ .range = { at("192.0.2.1", 0).addr, at("192.0.2.1", 0).addr } };
	there = (struct ike_host){ .range = { at("192.0.2.2", 0).addr, at("192.0.2.2", 0).addr } };
	conn = (struct ike_conn_conf){ .name = (char *)(uintptr_t) "site-b",
				       .local = &here,
				       .n_local = 1,
				       .remote = &there,
				       .n_remote = 1 };
	child.local_ts = local = ts("10.1.0.0/16", NULL);
	child.remote_ts = remote = ts("10.2.0.0/16", NULL);
}

static void down(void)
{
	ksa_fini(&k);
	kevent_fini(&k);
	knet_fini(&k);
	json_decref(k.told);
	plane_free(&d.plane);
	ev_loop_destroy(d.loop);
	clock_set_source(NULL, NULL);
}

/* As the engine fills it in. */
static struct ike_child_up pair(uint32_t reqid, uint32_t id, uint32_t spi_in, uint32_t spi_out)
{
	struct ike_child_up u = { .reqid = reqid,
				  .conn = "site-b",
				  .child = "net",
				  .child_id = id,
				  .conf = &child,
				  .proto = SA_ESP,
				  .mode = SA_TUNNEL,
				  .udp = true,
				  .local = at("192.0.2.1", 4500),
				  .remote = at("192.0.2.2", 4500),
				  .spi_in = spi_in,
				  .spi_out = spi_out,
				  .local_ts = &local,
				  .remote_ts = &remote,
				  .out_now = true };
	uint8_t key[20] = { (uint8_t)id };

	ck_assert_int_eq(esp_suite_parse("aes128gcm16", NULL, &u.suite, why, sizeof(why)), 0);
	ck_assert_int_eq(secret_copy(&u.encr_in, span_of(key, sizeof(key))), 0);
	ck_assert_int_eq(secret_copy(&u.encr_out, span_of(key, sizeof(key))), 0);
	return u;
}

/* ... with AH around it, from raw sockets. */
static struct ike_child_up bundle(uint32_t reqid, uint32_t id, uint32_t spi_in, uint32_t ah_in)
{
	struct ike_child_up u = pair(reqid, id, spi_in, 0x1000 + id);
	uint8_t key[32] = { (uint8_t)id };

	u.udp = false;
	u.ah.spi_in = ah_in;
	u.ah.spi_out = 0x2000 + id;
	ck_assert_int_eq(esp_suite_parse("null-sha256", NULL, &u.ah.suite, why, sizeof(why)), 0);
	ck_assert_int_eq(secret_copy(&u.ah.integ_in, span_of(key, sizeof(key))), 0);
	ck_assert_int_eq(secret_copy(&u.ah.integ_out, span_of(key, sizeof(key))), 0);
	return u;
}

static uint32_t add(uint32_t reqid, uint32_t id)
{
	uint32_t spi = env.spi_alloc(&k, SA_ESP);
	struct ike_child_up u = pair(reqid, id, spi, 0x1000 + id);

	ck_assert_uint_gt(spi, 255);
	ck_assert_msg(env.child_add(&k, &u, why, sizeof(why)) == 0, "%s", why);
	ck_assert_ptr_null(u.encr_in.p); /* the SA has them */
	ck_assert_ptr_null(u.encr_out.p);
	return spi;
}

/* Names of the policies in force, in order. */
static const char *policies(void)
{
	static char text[512];
	const struct spd *spd = plane_spd(d.plane);
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; spd && i < spd_count(spd); i++) {
		const struct policy *p = spd_policy(spd, i);
		ck_assert_uint_eq(p->order, i);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s:%u", i ? " " : "",
					p->name, p->reqid);
	}
	return text;
}

START_TEST(test_child)
{
	uint32_t spi = add(7, 1);
	const struct sa *in = sad_lookup(plane_sad(d.plane), spi, SA_ESP);
	const struct kpair *p = ksa_find(&k, spi, SA_ESP);

	ck_assert_ptr_nonnull(in);
	ck_assert_uint_eq(in->reqid, 7);
	ck_assert_int_eq(in->dir, DIR_IN);
	ck_assert_uint_eq(in->encap, SA_ENCAP_UDP);
	ck_assert_uint_eq(in->replay.window, 64);
	ck_assert_ptr_eq(p->in, in);
	ck_assert_ptr_eq(p->group->sending, p);
	ck_assert_ptr_nonnull(sad_by_name(plane_sad(d.plane), "site-b/net#1.out"));
	const struct sa_path *path = atomic_load(&p->out->path);
	ck_assert_uint_eq(path->dst.port, 4500);
	ck_assert_uint_eq(path->src.b[3], 1);
	ck_assert_str_eq(policies(), "site-b/net:7");
	ck_assert_uint_eq(keying_routes(&k)->n_route, 1);
	ck_assert_uint_eq(keying_routes(&k)->route[0].prefix.len, 16);
	env.child_del(&k, 7, SA_ESP, spi);
	ck_assert_ptr_null(sad_lookup(plane_sad(d.plane), spi, SA_ESP));
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
	ck_assert_str_eq(policies(), "");
	ck_assert_uint_eq(keying_routes(&k)->n_route, 0);
	ck_assert_uint_eq(k.n_groups, 0);
}
END_TEST

static void raw_sockets(void)
{
	d.opened.raw4 = d.opened.ah4 = d.opened.whole = true;
}

static unsigned bundle_len(uint32_t reqid)
{
	const struct policy *p = NULL;
	unsigned n;

	for (unsigned i = 0; i < spd_count(plane_spd(d.plane)); i++)
		if (spd_policy(plane_spd(d.plane), i)->reqid == reqid)
			p = spd_policy(plane_spd(d.plane), i);
	ck_assert_ptr_nonnull(p);
	struct sa *const *sas = policy_out(p, &n);
	for (unsigned i = 0; i < n; i++) /* in the order of application */
		ck_assert_int_eq(sas[i]->proto, i ? SA_AH : SA_ESP);
	return n;
}

/* ESP and AH that were agreed on together: four SAs, two of them in one bundle, gone together. */
START_TEST(test_bundle)
{
	uint32_t spi = env.spi_alloc(&k, SA_ESP), ah = env.spi_alloc(&k, SA_AH);
	struct ike_child_up u = bundle(7, 1, spi, ah);
	struct endpoint l = at("192.0.2.1", 0), r = at("198.51.100.9", 0);

	raw_sockets();
	ck_assert_uint_eq(k.pairs.n, 2);
	ck_assert_msg(env.child_add(&k, &u, why, sizeof(why)) == 0, "%s", why);
	ck_assert_ptr_null(u.ah.integ_in.p);
	ck_assert_ptr_null(u.ah.integ_out.p);
	ck_assert_uint_eq(k.pairs.n, 1); /* the AH's number is the pair's */
	env.spi_free(&k, SA_AH, ah);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 4);
	const struct sa *esp_in = sad_lookup(plane_sad(d.plane), spi, SA_ESP);
	const struct sa *ah_in = sad_lookup(plane_sad(d.plane), ah, SA_AH);
	ck_assert(esp_in && ah_in && ah_in->mode == SA_TRANSPORT && esp_in->mode == SA_TUNNEL);
	ck_assert(esp_in->conf->bundle_n == 2 && esp_in->conf->bundle_at == 0);
	ck_assert(ah_in->conf->bundle_n == 2 && ah_in->conf->bundle_at == 1);
	ck_assert_uint_eq(ah_in->reqid, 7);
	const struct sa *ah_out = sad_by_name(plane_sad(d.plane), "site-b/net#1.ah.out");
	ck_assert_uint_eq(ah_out->spi, 0x2001);
	ck_assert_uint_eq(ah_out->conf->bundle_n, 0);
	ck_assert_uint_eq(bundle_len(7), 2);
	env.child_move(&k, 7, spi, false, &l, &r);
	ck_assert(ip_addr_eq(&atomic_load(&ah_out->path)->dst.addr, &r.addr));
	/* a rekeying, and back */
	uint32_t spi2 = env.spi_alloc(&k, SA_ESP), ah2 = env.spi_alloc(&k, SA_AH);
	u = bundle(7, 2, spi2, ah2);
	u.rekey = true;
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), 0);
	ck_assert_uint_eq(bundle_len(7), 2);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 8);
	env.child_del(&k, 7, SA_ESP, spi);
	ck_assert_ptr_null(sad_lookup(plane_sad(d.plane), ah, SA_AH));
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 4);
	env.child_del(&k, 7, SA_ESP, spi2);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
	ck_assert_uint_eq(k.pairs.n, 0);
}
END_TEST

/* GMAC's key is a cipher's. */
START_TEST(test_bundle_gmac)
{
	uint32_t spi = env.spi_alloc(&k, SA_ESP), ah = env.spi_alloc(&k, SA_AH);
	struct ike_child_up u = bundle(7, 1, spi, ah);
	uint8_t key[2][20] = { { 1 }, { 2 } };

	raw_sockets();
	secret_free(&u.ah.integ_in);
	secret_free(&u.ah.integ_out);
	ck_assert_int_eq(ah_suite_make(INTEG_AES_128_GMAC, &u.ah.suite, why, sizeof(why)), 0);
	ck_assert_int_eq(secret_copy(&u.ah.encr_in, span_of(key[0], 20)), 0);
	ck_assert_int_eq(secret_copy(&u.ah.encr_out, span_of(key[1], 20)), 0);
	ck_assert_msg(env.child_add(&k, &u, why, sizeof(why)) == 0, "%s", why);
	ck_assert(!u.ah.encr_in.p && !u.ah.encr_out.p);
	const struct sa *ah_in = sad_lookup(plane_sad(d.plane), ah, SA_AH);
	ck_assert_uint_eq(ah_in->conf->suite.icv_len, 16);
	ck_assert_uint_eq(bundle_len(7), 2);
	env.child_del(&k, 7, SA_ESP, spi);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
}
END_TEST

/* Either all four are in, or none. */
START_TEST(test_bundle_refused)
{
	uint32_t spi = env.spi_alloc(&k, SA_ESP), ah = env.spi_alloc(&k, SA_AH);
	struct ike_child_up u = bundle(7, 1, spi, ah);

	d.opened.raw4 = true; /* ... but nothing for AH */
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), -ENOTCONN);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
	raw_sockets();
	u = bundle(7, 1, spi, ah);
	secret_free(&u.ah.integ_out);
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), -EINVAL);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
	ck_assert_uint_eq(k.n_groups, 0);
	env.spi_free(&k, SA_ESP, spi);
	env.spi_free(&k, SA_AH, ah);
	ck_assert_uint_eq(k.pairs.n, 0);
}
END_TEST

/* The new pair receives at once and sends when it is told to; policies do not change; the old one
 * goes, and traffic stays with the new one. */
START_TEST(test_rekey)
{
	uint32_t first = add(7, 1), spi = env.spi_alloc(&k, SA_ESP);
	struct ike_child_up u = pair(7, 2, spi, 0x1002);
	const struct spd *spd = plane_spd(d.plane);

	u.rekey = true;
	u.out_now = false;
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), 0);
	const struct kpair *p = ksa_find(&k, spi, SA_ESP);
	ck_assert_uint_eq(p->group->sending->node.key, first);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 4);
	env.child_switch(&k, 7, SA_ESP, spi);
	ck_assert_ptr_eq(p->group->sending, p);
	env.child_del(&k, 7, SA_ESP, first);
	ck_assert_ptr_eq(p->group->sending, p);
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 2);
	ck_assert_ptr_eq(plane_spd(d.plane), spd); /* not even made anew */
}
END_TEST

/* When the one that sends goes first, the other takes over. */
START_TEST(test_sender_goes)
{
	uint32_t first = add(7, 1), second = add(7, 2);

	env.child_del(&k, 7, SA_ESP, second);
	ck_assert_uint_eq(ksa_find(&k, first, SA_ESP)->group->sending->node.key, first);
	ck_assert_str_eq(policies(), "site-b/net:7");
}
END_TEST

START_TEST(test_trap)
{
	ck_assert_int_eq(env.trap_add(&k, 7, &conn, &child, why, sizeof(why)), 0);
	ck_assert_str_eq(policies(), "site-b/net:trap:7");
	ck_assert_uint_eq(keying_routes(&k)->n_route, 1);
	uint32_t spi = add(7, 1);
	ck_assert_str_eq(policies(), "site-b/net:7 site-b/net:trap:7");
	env.child_del(&k, 7, SA_ESP, spi);
	ck_assert_str_eq(policies(), "site-b/net:trap:7");
	env.acquire_failed(&k, 7);
	env.trap_del(&k, 7);
	ck_assert_str_eq(policies(), "");
	ck_assert_uint_eq(k.n_groups, 0);
}
END_TEST

/* Whether later fragments follow their first is what was agreed last; a trap's, what is to be asked for. */
START_TEST(test_fragments_agreed)
{
	child.fragments_also = true;
	child.pfp = IKE_PFP_REMOTE;
	ck_assert_int_eq(env.trap_add(&k, 7, &conn, &child, why, sizeof(why)), 0);
	knet_flush(&k);
	const struct policy *p = spd_policy(plane_spd(d.plane), 0);
	ck_assert(!p->whole_only && p->each);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t spi = env.spi_alloc(&k, SA_ESP);
		struct ike_child_up u = pair(8, i, spi, 0x1000 + i);
		u.fragments = i == 1;
		ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), 0);
		now_ns += 10 * NS_PER_S;
		ck_assert_str_eq(policies(), "site-b/net:8 site-b/net:trap:7");
		p = spd_policy(plane_spd(d.plane), 0);
		ck_assert(p->whole_only == (i != 1) && !p->each);
	}
	child.fragments_also = false;
	child.pfp = 0;
}
END_TEST

START_TEST(test_trap_dynamic)
{
	child.remote_ts = ts("dynamic", NULL);
	ck_assert_int_eq(env.trap_add(&k, 7, &conn, &child, why, sizeof(why)), 0);
	const struct policy *p = spd_policy(plane_spd(d.plane), 0);
	ck_assert_int_eq(p->sel[0].remote.lo.b[3], 2);
	env.trap_del(&k, 7);
	conn.n_remote = 0;
	ck_assert_int_eq(env.trap_add(&k, 7, &conn, &child, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "remote_addrs"));
	ck_assert_uint_eq(k.n_groups, 0);
}
END_TEST

/* The narrower first, of equals the newer; the file's in front, but for "the rest". */
START_TEST(test_order_of_policies)
{
	struct selector all = { .local = ip_range_all(4),
				.remote = ip_range_all(4),
				.proto = PROTO_ANY };
	struct selector some = all;
	struct config_policy file[] = {
		{ .name = (char *)(uintptr_t) "all-first", .action = POLICY_DISCARD, .sel = &all, .n_sel = 1 },
		{ .name = (char *)(uintptr_t) "lan", .action = POLICY_BYPASS, .sel = &some, .n_sel = 1 },
		{ .name = (char *)(uintptr_t) "rest", .action = POLICY_BYPASS, .sel = &all, .n_sel = 1 },
	};

	some.remote.lo.b[0] = some.remote.hi.b[0] = 10;
	for (int i = 0; i < 3; i++)
		file[i].dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
	conf.policy = file;
	conf.n_policy = 3;
	add(1, 1);
	add(2, 2);
	remote = ts("10.2.3.0/24", NULL);
	add(3, 3);
	remote = ts("10.2.3.0/24[tcp/80]", "10.0.0.0/8");
	add(4, 4); /* as wide as its widest */
	ck_assert_str_eq(policies(), "all-first:0 lan:0 site-b/net:3 site-b/net:2 site-b/net:1 "
				     "site-b/net:4 rest:0");
}
END_TEST

/* Many changes in a moment share an SPD when compiling takes its time; the last one is not lost. */
START_TEST(test_coalesced)
{
	k.allowance_ns = -1;
	k.earned_ns = now_ns;
	add(1, 1);
	ck_assert_str_eq(policies(), "");
	ck_assert(ev_is_active(&k.on_flush));
	add(2, 2);
	ck_assert_str_eq(policies(), "");
	knet_flush(&k);
	ck_assert(!ev_is_active(&k.on_flush));
	ck_assert_str_eq(policies(), "site-b/net:2 site-b/net:1");
	now_ns += NS_PER_S; /* time earns allowance */
	add(3, 3);
	ck_assert_str_eq(policies(), "site-b/net:3 site-b/net:2 site-b/net:1");
}
END_TEST

START_TEST(test_spis)
{
	uint32_t spi[200];

	for (int i = 0; i < 200; i++) {
		spi[i] = env.spi_alloc(&k, SA_ESP);
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(spi[i], spi[j]);
	}
	ck_assert_uint_eq(k.pairs.n, 200);
	struct ike_child_up u = pair(1, 1, spi[0], 0x1001);
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), 0);
	env.spi_free(&k, SA_ESP, spi[0]); /* a pair is not only an SPI */
	ck_assert_uint_eq(k.pairs.n, 200);
	for (int i = 1; i < 200; i++)
		env.spi_free(&k, SA_ESP, spi[i]);
	ck_assert_uint_eq(k.pairs.n, 1);
}
END_TEST

/* What cannot be installed leaves nothing behind. */
START_TEST(test_refused)
{
	uint32_t spi = env.spi_alloc(&k, SA_ESP);
	struct ike_child_up u = pair(1, 1, spi, 0x1001);

	remote = ts("2001:db8::/32", NULL);
	ck_assert_int_lt(env.child_add(&k, &u, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "one IP version"));
	secret_free(&u.encr_in);
	secret_free(&u.encr_out);
	remote = ts("10.2.0.0/16", NULL);
	u = pair(1, 1, spi + 1, 0x1001); /* a number we did not give out */
	ck_assert_int_lt(env.child_add(&k, &u, why, sizeof(why)), 0);
	secret_free(&u.encr_in);
	secret_free(&u.encr_out);
	u = pair(1, 1, spi, 0x1001);
	u.udp = false; /* as without CAP_NET_RAW */
	ck_assert_int_eq(env.child_add(&k, &u, why, sizeof(why)), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(why, "encap = yes"));
	ck_assert_uint_eq(sad_count(plane_sad(d.plane)), 0);
	ck_assert_uint_eq(k.n_groups, 0);
	ck_assert_str_eq(policies(), "");
}
END_TEST

START_TEST(test_move)
{
	uint32_t spi = add(7, 1);
	struct endpoint l = at("192.0.2.1", 4500), r = at("198.51.100.9", 1024);

	env.child_move(&k, 7, spi, true, &l, &r);
	const struct kpair *p = ksa_find(&k, spi, SA_ESP);
	const struct sa_path *path = atomic_load(&p->out->path);
	ck_assert(endpoint_eq(&path->dst, &r));
	path = atomic_load(&p->in->path);
	ck_assert(endpoint_eq(&path->dst, &r));
	ck_assert_uint_eq(env.child_last_used(&k, 7, spi, true), 0);
	atomic_store(&p->in->last_used_ns, 9);
	ck_assert_uint_eq(env.child_last_used(&k, 7, spi, true), 9);
	ck_assert_uint_eq(env.child_last_used(&k, 7, spi, false), 0);
	const struct netcfg_more *m = keying_routes(&k);
	ck_assert_uint_eq(m->n_peer, 1);
	ck_assert(ip_addr_eq(&m->peer[0], &r.addr));
}
END_TEST

START_TEST(test_table_of_many)
{
	static struct knode node[5000];
	struct ktable t = { .n = 0 };

	for (uint32_t i = 0; i < 5000; i++) {
		node[i].key = i / 2 * 7919;
		ck_assert_int_eq(ktable_put(&t, &node[i]), 0);
	}
	for (uint32_t i = 0; i < 5000; i++)
		ck_assert_ptr_eq(ktable_get(&t, node[i].key), &node[i | 1]); /* the newer */
	for (uint32_t i = 1; i < 5000; i += 2)
		ktable_take(&t, &node[i]);
	for (uint32_t i = 0; i < 5000; i += 2)
		ck_assert_ptr_eq(ktable_get(&t, node[i].key), &node[i]);
	ck_assert_ptr_null(ktable_get(&t, 1));
	free(t.bucket);
}
END_TEST

/* ---- events -----------------------------------------------------------------------------------
 */

START_TEST(test_events)
{
	struct ike_event e = { .type = IKE_EV_CHILD_UP,
			       .conn = "site-b",
			       .child = "net",
			       .sa_id = 3,
			       .child_id = 4,
			       .text = "is up" };

	kevent_tell(&k, &e); /* nobody's order */
	ck_assert_uint_eq(json_array_size(k.told), 0);
	e.order = 9;
	kevent_tell(&k, &e);
	e.type = IKE_EV_KEYS; /* never told to anybody */
	kevent_tell(&k, &e);
	ck_assert_uint_eq(json_array_size(k.told), 1);
	char *text = json_dumps(json_array_get(k.told, 0), JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_str_eq(text, "{\"child\":\"net\",\"conn\":\"site-b\",\"event\":\"child_up\",\"id\":4,"
			       "\"ike\":3,\"order\":9,\"text\":\"is up\"}");
	free(text);
	kevent_flush(&k);
	ck_assert_uint_eq(json_array_size(k.told), 0);
}
END_TEST

/* Keys are kept when the file allows it, the latest of them. */
START_TEST(test_keys)
{
	d.conf_path = (char *)(uintptr_t) "x.conf";
	add(1, 1);
	ck_assert_ptr_null(report_keys(&d));
	conf.export_keys = true;
	add(2, 2);
	json_t *v = report_keys(&d);
	ck_assert_uint_eq(json_array_size(json_object_get(v, "esp")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(v, "ikev2")), 0);
	ck_assert_ptr_nonnull(strstr(json_string_value(json_array_get(json_object_get(v, "esp"), 1)),
				     "\"192.0.2.1\",\"192.0.2.2\",\"0x00001002\""));
	json_decref(v);
}
END_TEST

TCase *control_keying_tests(void)
{
	TCase *c = tcase_create("keying");

	tcase_add_checked_fixture(c, up, down);
	tcase_add_test(c, test_child);
	tcase_add_test(c, test_bundle);
	tcase_add_test(c, test_bundle_gmac);
	tcase_add_test(c, test_bundle_refused);
	tcase_add_test(c, test_rekey);
	tcase_add_test(c, test_sender_goes);
	tcase_add_test(c, test_trap);
	tcase_add_test(c, test_fragments_agreed);
	tcase_add_test(c, test_trap_dynamic);
	tcase_add_test(c, test_order_of_policies);
	tcase_add_test(c, test_coalesced);
	tcase_add_test(c, test_spis);
	tcase_add_test(c, test_refused);
	tcase_add_test(c, test_move);
	tcase_add_test(c, test_table_of_many);
	tcase_add_test(c, test_events);
	tcase_add_test(c, test_keys);
	return c;
}
