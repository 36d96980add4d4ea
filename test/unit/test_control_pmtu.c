/*
 * What ICMP messages do to SAs, from the raw socket to the SA and the host that sent the packet: real messages over loopback, in a network
 * namespace of their own.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/state.h"
#include "ipsec/ah.h"
#include "packet/csum.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "test_control.h"

static struct daemon d;
static struct config conf;
static struct managed_sa one;
static int tun_end; /* where our device's packets come out */
static uint64_t now_ns = 5 * NS_PER_S;
static unsigned lines;
static uint8_t quoted[1500];

static uint64_t now(void)
{
	return now_ns;
}

static void hook(enum log_subsys s, enum log_level l, const char *line)
{
	lines += s == LOG_AUDIT && strstr(line, "icmp_error") != NULL;
}

static struct ip_addr at(const char *text)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(text, &a), 0);
	return a;
}

/* The namespace: lo is up, with what we call our addresses. */
static bool namespace_new(void)
{
	struct ip_prefix six = { .addr = at("fd00::1"), .len = 128 };
	bool added;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	ck_assert_int_eq(netlink_open(&d.nl), 0);
	ck_assert_int_eq(netlink_link_up(d.nl, 1, true), 0);
	ck_assert_int_eq(netlink_addr_add(d.nl, 1, &six, &added), 0);
	return true;
}

/* An outbound SA between loopback addresses, whose way out carries 1500 bytes. */
static void sa_make(int ver, enum sa_proto proto, enum sa_mode mode, enum sa_encap encap, const char *suite)
{
	struct sa_conf c = { .proto = proto, .mode = mode, .dir = DIR_OUT, .spi = 0x4711, .encap = encap };
	char why[200];
	uint8_t key[64] = { 7 };

	c.name = strdup("out");
	c.src = at(ver == 4 ? "127.0.0.1" : "fd00::1");
	c.dst = at(ver == 4 ? "127.0.0.2" : "fd00::2");
	c.path_mtu = 1500;
	c.dscp = -1;
	ck_assert_int_eq(esp_suite_parse(suite, NULL, &c.suite, why, sizeof(why)), 0);
	ck_assert_int_eq(secret_copy(&c.encr_key, span_of(key, c.suite.key_len + c.suite.encr->salt_len)), 0);
	ck_assert_int_eq(secret_copy(&c.integ_key, span_of(key, c.suite.integ ? c.suite.integ->key_len : 0)), 0);
	struct endpoint dst = { c.dst, encap == SA_ENCAP_UDP ? 4500 : 0 };
	struct ip_addr src = c.src;
	ck_assert_msg(sa_new(&c, 1, &one.sa, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(plane_set_path(d.plane, one.sa, &src, &dst), 0);
	d.sas = &one;
	d.n_sas = 1;
	watch_mtu_of(&d, one.sa);
}

static bool up(void)
{
	struct plane_opts o = { .workers = 1 };
	char why[200];
	int p[2];

	d = (struct daemon) { .loop = ev_loop_new(0), .cfg = &conf, .lock_fd = -1, .icmp_fd = { -1, -1 }, .learner_fd = { -1, -1 } };
	conf = (struct config) { .path_mtu_discovery = true, .path_mtu_age_s = 600, .icmp_unprotected = ICMP_OF_ALL,
				 .icmp_protected = ICMP_OF_ALL, .audit = AUDIT_OF_ALL, .port = 4500 };
	if (!namespace_new()) {
		ev_loop_destroy(d.loop);
		return false;
	}
	clock_set_source(now, NULL);
	ck_assert_msg(plane_new(&o, NULL, &d.plane, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	tun_end = p[0];
	d.tun.fd[0] = p[1];
	d.tun.ifindex = 77;
	d.tun_open = true;
	pmtu_start(&d);
	ck_assert_int_ge(d.icmp_fd[0], 0);
	ck_assert_int_ge(d.icmp_fd[1], 0);
	lines = 0;
	log_set_hook(hook);
	return true;
}

static void sa_gone(void)
{
	sa_unref(&one.sa);
	d.n_sas = 0;
}

static void down(void)
{
	log_set_hook(NULL);
	pmtu_stop(&d);
	ck_assert_int_eq(d.icmp_fd[0], -1);
	plane_free(&d.plane);
	netlink_close(&d.nl);
	ev_loop_destroy(d.loop);
	close(tun_end);
	close(d.tun.fd[0]);
	clock_set_source(NULL, NULL);
}

/* A packet of the SA, as far as a router quotes it: its header, `udp` bytes, then ESP or AH, then what is behind. */
static uint32_t quote_make(const struct sa *sa, const uint8_t *behind, uint32_t n)
{
	int ver = sa->conf->dst.ver;
	uint32_t at = ver == 4 ? 20 : 40, total = 1500;
	bool udp = sa->encap == SA_ENCAP_UDP;
	uint8_t *ip = quoted;

	memset(quoted, 0, sizeof(quoted));
	if (ver == 4) {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)total);
		ip[6] = 0x40;
		ip[8] = 60;
		ip[9] = udp ? IPPROTO_UDP : sa->proto;
		memcpy(ip + 12, sa->conf->src.b, 4);
		memcpy(ip + 16, sa->conf->dst.b, 4);
		csum_ip4_set(ip);
	} else {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)(total - 40));
		ip[6] = udp ? IPPROTO_UDP : sa->proto;
		memcpy(ip + 8, sa->conf->src.b, 16);
		memcpy(ip + 24, sa->conf->dst.b, 16);
	}
	if (udp) {
		store_be16(ip + at, 4500);
		store_be16(ip + at + 2, 4500);
		at += 8;
	}
	if (sa->proto == SA_AH) {
		ah_write(sa, ver, behind && behind[0] >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP, 1, 0, ip + at);
		at += ah_len(sa, ver);
	} else {
		store_be32(ip + at, sa->spi);
		at += 8;
	}
	if (n)
		memcpy(ip + at, behind, n);
	return at + n;
}

/* The router's message arrives, and is worked on. */
static void say(int ver, uint8_t type, uint8_t code, uint32_t mtu, uint32_t len)
{
	struct endpoint to = { .addr = at(ver == 4 ? "127.0.0.1" : "fd00::1") };
	int fd = socket(ver == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	struct pollfd p = { .fd = d.icmp_fd[ver == 6], .events = POLLIN };
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(&to, &ss);
	uint8_t msg[1600] = { type, code };

	store_be32(msg + 4, mtu);
	memcpy(msg + 8, quoted, len);
	if (ver == 4) {
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, msg, 8 + len));
		memcpy(msg + 2, &sum, 2);
	}
	for (unsigned try = 0;; try++) { /* the address's local route may come a moment later */
		ck_assert_int_lt(try, 40);
		ck_assert_int_eq(sendto(fd, msg, 8 + len, 0, (struct sockaddr *)&ss, n), 8 + len);
		if (poll(&p, 1, 100) == 1)
			break;
	}
	close(fd);
	ev_run(d.loop, EVRUN_NOWAIT);
}

static void too_big(int ver, uint32_t mtu, uint32_t len)
{
	say(ver, ver == 4 ? 3 : 2, ver == 4 ? 4 : 0, mtu, len);
}

START_TEST(test_learn)
{
	static const struct {
		enum sa_proto proto;
		enum sa_mode mode;
		enum sa_encap encap;
		const char *suite;
	} way[] = {
		{ SA_ESP, SA_TUNNEL, SA_ENCAP_UDP, "aes128gcm16" },  { SA_ESP, SA_TUNNEL, SA_ENCAP_NONE, "aes128gcm16" },
		{ SA_ESP, SA_TRANSPORT, SA_ENCAP_NONE, "aes128gcm16" }, { SA_AH, SA_TRANSPORT, SA_ENCAP_NONE, "null-sha256" },
		{ SA_AH, SA_TUNNEL, SA_ENCAP_NONE, "null-sha256" },
	};
	int ver = _i & 1 ? 6 : 4;
	unsigned k = (unsigned)_i / 2;

	if (!up())
		return;
	sa_make(ver, way[k].proto, way[k].mode, way[k].encap, way[k].suite);
	uint32_t before = one.sa->inner_mtu, n = quote_make(one.sa, NULL, 0);
	ck_assert_uint_eq(before, sa_inner_mtu(one.sa, 1500, ver));
	/* every byte of what identifies the packet is one of an SA, or nothing happens */
	uint32_t src = ver == 4 ? 15 : 23, dst = ver == 4 ? 19 : 39, spi = n - (way[k].proto == SA_AH ? ah_len(one.sa, ver) - 7 : 5);
	uint32_t wrong[] = { src, dst, spi, ver == 4 ? 21 : 41 };
	for (unsigned i = 0; i < (way[k].encap == SA_ENCAP_UDP ? 4 : 3); i++) {
		quoted[wrong[i]] ^= 1;
		too_big(ver, 1400, n);
		ck_assert_uint_eq(one.sa->pmtu, 0);
		quoted[wrong[i]] ^= 1;
	}
	/* nor with another type, nor when it is not to be believed */
	say(ver, ver == 4 ? 3 : 1, 1, 1400, n);
	conf.path_mtu_discovery = false;
	too_big(ver, 1400, n);
	conf.path_mtu_discovery = true;
	conf.icmp_unprotected = ICMP_OF_ALL & ~ICMP_OF_TOO_BIG;
	too_big(ver, 1400, n);
	ck_assert_uint_eq(one.sa->pmtu, 0);
	ck_assert_uint_eq(one.sa->inner_mtu, before);
	/* what came by the device has come out of an SA, and was looked at there */
	d.tun.ifindex = 1;
	too_big(ver, 1450, n);
	ck_assert_uint_eq(one.sa->pmtu, 1450);
	d.tun.ifindex = 77;
	conf.icmp_unprotected = ICMP_OF_TOO_BIG;
	too_big(ver, 1400, n);
	ck_assert_uint_eq(one.sa->pmtu, 1400);
	ck_assert_uint_eq(one.sa->inner_mtu, sa_inner_mtu(one.sa, 1400, ver));
	/* for as long as the configuration says */
	now_ns += 599 * NS_PER_S;
	watch_mtu_of(&d, one.sa);
	ck_assert_uint_lt(one.sa->inner_mtu, before);
	now_ns += NS_PER_S;
	watch_mtu_of(&d, one.sa);
	ck_assert_uint_eq(one.sa->inner_mtu, before);
	sa_gone();
	down();
}
END_TEST

/* RFC 2401 6.1.2.1: the quote shows the packet, and its sender hears of it, once. */
START_TEST(test_sender_told)
{
	uint8_t inner[80] = { 0x45, 0, 1400 >> 8, 1400 & 255, 0, 1, 0x40, 0, 60, IPPROTO_TCP, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x30, 0, 0, 80 }, out[1400];

	if (!up())
		return;
	csum_ip4_set(inner);
	for (unsigned k = 0; k < 6; k++) {
		bool ah = k < 2, shown = k < 4;
		sa_make(4, ah ? SA_AH : SA_ESP, SA_TUNNEL, SA_ENCAP_NONE, ah ? "null-sha256" : shown ? "null-sha256" : "aes128gcm16");
		/* 8 bytes of the upper header, one less, then without DF */
		uint32_t n = quote_make(one.sa, inner, 28);
		too_big(4, 1300, k & 1 ? n - 1 : n);
		ck_assert_uint_eq(one.sa->pmtu, 1300);
		ssize_t got = read(tun_end, out, sizeof(out));
		if (!shown || k & 1) {
			ck_assert_int_eq(got, -1);
			sa_gone();
			continue;
		}
		const uint8_t *ip = out + TUN_VNET_LEN;
		ck_assert_int_eq(got, TUN_VNET_LEN + 20 + 8 + 28);
		ck_assert(csum_ip4_ok(ip) && csum_l4_ok(ip, 20, 56, IPPROTO_ICMP));
		ck_assert_uint_eq(load_be16(ip + 20), 0x0304);
		ck_assert_uint_eq(load_be16(ip + 26), one.sa->inner_mtu);
		ck_assert_mem_eq(ip + 16, inner + 12, 4);
		ck_assert_mem_eq(ip + 28, inner, 28);
		too_big(4, 1300, n); /* nothing new */
		ck_assert_int_eq(read(tun_end, out, sizeof(out)), -1);
		inner[6] = 0; /* may be fragmented: there is nothing to tell */
		csum_ip4_set(inner);
		n = quote_make(one.sa, inner, 28);
		too_big(4, 1200, n);
		ck_assert_uint_eq(one.sa->pmtu, 1200);
		ck_assert_int_eq(read(tun_end, out, sizeof(out)), -1);
		inner[6] = 0x40;
		csum_ip4_set(inner);
		sa_gone();
	}
	down();
}
END_TEST

/* RFC 4301 6: logged where the administrator wants it, believed or not. */
START_TEST(test_log)
{
	if (!up())
		return;
	sa_make(4, SA_ESP, SA_TUNNEL, SA_ENCAP_UDP, "aes128gcm16");
	uint32_t n = quote_make(one.sa, NULL, 0);
	say(4, 5, 1, 0, n);
	ck_assert_uint_eq(lines, 0);
	conf.icmp_log = ICMP_OF_REDIRECT | ICMP_OF_TIME;
	conf.icmp_unprotected = 0;
	say(4, 5, 1, 0, n);
	ck_assert_uint_eq(lines, 1);
	say(4, 11, 0, 0, n);
	ck_assert_uint_eq(lines, 2);
	say(4, 12, 0, 0, n);
	too_big(4, 1400, n);
	ck_assert_uint_eq(lines, 2);
	sa_gone();
	down();
}
END_TEST

/* RFC 2401 B.3.4: in place of a host, by what the bridge saw. */
START_TEST(test_event)
{
	struct ipsec_event e = { .type = EV_TOO_BIG, .proto = SA_ESP, .spi = 0x4711, .mtu = 1300, .packet = 1500, .flow = { .ver = 4 } };

	if (!up())
		return;
	sa_make(4, SA_ESP, SA_TRANSPORT, SA_ENCAP_NONE, "aes128gcm16");
	one.sa->conf->path_mtu = 0;
	d.opened.bump = true;
	d.bridge.mtu = 1400;
	e.local.addr = one.sa->conf->src;
	e.peer.addr = at("127.0.0.3");
	pmtu_event(&d, &e);
	ck_assert_uint_eq(one.sa->pmtu, 0);
	e.peer.addr = one.sa->conf->dst;
	pmtu_event(&d, &e);
	ck_assert_uint_eq(one.sa->pmtu, 1300);
	ck_assert_uint_eq(one.sa->inner_mtu, sa_inner_mtu(one.sa, 1300, 4));
	sa_gone();
	down();
}
END_TEST

TCase *control_pmtu_tests(void)
{
	TCase *t = tcase_create("pmtu");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_learn, 0, 10);
	tcase_add_test(t, test_sender_told);
	tcase_add_test(t, test_log);
	tcase_add_test(t, test_event);
	return t;
}
