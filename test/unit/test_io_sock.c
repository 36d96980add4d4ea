/* Sockets over loopback: what is sent arrives byte for byte and in order, with and without GSO and
 * GRO, UDP and raw. */
#define _GNU_SOURCE 1
#include "test_io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sock.h"
#include "test_io_sock.h"

uint8_t tx_data[TX_ROOM];

void tx_fill(void)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < sizeof(tx_data); i++) {
		x = x * 1664525 + 1013904223;
		tx_data[i] = (uint8_t)(x >> 24);
	}
}

void open_sock(struct sock *s, const struct sock_opts *o)
{
	char why[256] = "";

	ck_assert_msg(sock_open(s, o, why, sizeof(why)) == 0, "%s", why);
}

bool wait_readable(const struct sock *s, int ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Receives until all packets of m[0..n) have come, and compares each: bytes, order, TOS, addresses.
 * Returns how many datagrams it took. */
unsigned expect(struct sock *s, struct sock_rxq *q, const struct sock_tx *m, unsigned n,
		const struct ip_addr *from)
{
	struct sock_rx rx[SOCK_RX_MAX];
	unsigned i = 0, datagrams = 0;
	uint32_t off = 0;

	while (i < n) {
		int got;

		ck_assert_msg(wait_readable(s, 2000), "message %u from byte %u on did not come", i,
			      off);
		got = sock_recv(s, q, rx, SOCK_RX_MAX);
		ck_assert_int_gt(got, 0);
		for (int k = 0; k < got; k++, datagrams++) {
			struct endpoint e, to;

			ck_assert(!rx[k].truncated);
			ck_assert_int_eq(endpoint_from_sockaddr((struct sockaddr *)&rx[k].from, &e),
					 0);
			ck_assert(ip_addr_eq(&e.addr, from));
			for (uint32_t at = 0; at < rx[k].len;) {
				uint32_t len =
				    rx[k].len - at < rx[k].seg ? rx[k].len - at : rx[k].seg;
				uint32_t seg = m[i].n_pkts > 1 ? m[i].seg : m[i].len;
				uint32_t want = m[i].len - off < seg ? m[i].len - off : seg;

				ck_assert_uint_lt(i, n);
				ck_assert_uint_eq(len, want);
				ck_assert_mem_eq(rx[k].data + at, m[i].data + off, len);
				ck_assert_uint_eq(rx[k].tos, m[i].tos);
				ck_assert_int_eq(endpoint_from_sockaddr(
						     (const struct sockaddr *)&m[i].path->dst, &to),
						 0);
				ck_assert(ip_addr_eq(&rx[k].to, &to.addr));
				at += len;
				off += len;
				if (off == m[i].len) {
					i++;
					off = 0;
				}
			}
		}
	}
	ck_assert_int_eq(sock_recv(s, q, rx, SOCK_RX_MAX), 0);
	return datagrams;
}

void pair_open(struct pair *p, int ver, bool gso, bool gro, bool zero_csum)
{
	struct sock_opts rx = { .kind = SOCK_KIND_UDP,
				.ver = (uint8_t)ver,
				.port = 4500,
				.gro = gro,
				.rcvbuf = 8 << 20 };
	struct sock_opts tx = { .kind = SOCK_KIND_UDP,
				.ver = (uint8_t)ver,
				.gso = gso,
				.zero_csum = zero_csum,
				.sndbuf = 8 << 20 };
	struct endpoint to = { .addr = addr(ver == 4 ? "127.0.0.3" : "::1"), .port = 4500 };

	tx_fill();
	open_sock(&p->rx, &rx);
	open_sock(&p->tx, &tx);
	p->from = addr(ver == 4 ? "127.0.0.2" : "fd00::1");
	sock_path_set(&p->path, &p->from, &to);
	p->q = sock_rxq_new(SOCK_RX_MAX, 65536);
	ck_assert_ptr_nonnull(p->q);
}

void pair_close(struct pair *p)
{
	sock_close(&p->rx);
	sock_close(&p->tx);
	ck_assert_int_eq(p->tx.fd, -1);
	sock_rxq_free(&p->q);
}

/* Four runs of packets: with a shorter last one, a single packet, the most one GSO message takes,
 * and more than that. */
unsigned four_messages(struct sock_tx m[4], const struct sock_path *path)
{
	static const struct {
		uint32_t len;
		uint16_t seg, n_pkts;
		uint8_t tos;
	} row[4] = {
		{ 9 * 1000 + 333, 1000, 10, 0xb8 },
		{ 77, 77, 1, 0 },
		{ 64 * 1000, 1000, 64, 0x02 },
		{ 100 * 1200, 1200, 100, 0xb8 },
	};
	uint8_t *at = tx_data;
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++) {
		m[i] = (struct sock_tx){ .path = path,
					 .data = at,
					 .len = row[i].len,
					 .seg = row[i].seg,
					 .n_pkts = row[i].n_pkts,
					 .tos = row[i].tos,
					 .df = true };
		at += row[i].len;
		n += row[i].n_pkts;
	}
	ck_assert(at <= tx_data + sizeof(tx_data));
	return n;
}

START_TEST(test_udp_batches)
{
	const bool gso = _i & 1, gro = _i & 2, zero = _i & 8;
	const int ver = _i & 4 ? 6 : 4;
	struct pair p;
	struct sock_tx m[4];
	struct sock_tx_result res;
	unsigned n, datagrams;

	pair_open(&p, ver, gso, gro, zero);
	n = four_messages(m, &p.path);
	ck_assert_int_eq(p.tx.gso, gso && !(zero && ver == 4));
	ck_assert_int_eq(p.rx.gro, gro);
	sock_send(&p.tx, m, 4, &res);
	ck_assert_uint_eq(res.sent, n);
	ck_assert_uint_eq(res.full + res.failed + res.too_big, 0);
	ck_assert_int_eq(res.last_error, 0);
	ck_assert_int_eq(p.tx.df_now, 1);
	ck_assert_uint_eq(p.tx.gso_off, 0);
	ck_assert_uint_eq(fault_calls, p.tx.gso ? 1 : (n + 63) / 64);
	datagrams = expect(&p.rx, p.q, m, 4, &p.from);
	/* 100 packets of 1200 bytes are two GSO messages of 54 and 46. */
	ck_assert_uint_eq(datagrams, p.tx.gso && gro ? 5 : n);
	pair_close(&p);
}
END_TEST

/* Checksum 0 is really 0: seen by a raw socket of the receiving side. */
START_TEST(test_udp_zero_csum)
{
	const bool zero = _i;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	struct sock_tx_result res;
	struct sock_tx m;
	uint8_t b[256];
	struct pair p;

	pair_open(&p, 4, false, false, zero);
	m = (struct sock_tx){
		.path = &p.path, .data = tx_data, .len = 100, .seg = 100, .n_pkts = 1
	};
	sock_send(&p.tx, &m, 1, &res);
	ck_assert_uint_eq(res.sent, 1);
	ck_assert_int_eq(recv(fd, b, sizeof(b), 0), 128);
	ck_assert_int_eq(load_be16(b + 26) == 0, zero);
	(void)expect(&p.rx, p.q, &m, 1, &p.from);
	pair_close(&p);
	close(fd);
}
END_TEST

/* IPv6: a peer (or a translator on the way) that sends checksum 0 is heard. */
START_TEST(test_udp6_zero_csum_accepted)
{
	struct sock_tx_result res;
	struct sock_tx m;
	struct pair p;
	int one = 1;

	pair_open(&p, 6, false, true, false);
	ck_assert_int_eq(
	    setsockopt(p.tx.fd, IPPROTO_UDP, 101 /* UDP_NO_CHECK6_TX */, &one, sizeof(one)), 0);
	m = (struct sock_tx){
		.path = &p.path, .data = tx_data, .len = 100, .seg = 100, .n_pkts = 1
	};
	sock_send(&p.tx, &m, 1, &res);
	(void)expect(&p.rx, p.q, &m, 1, &p.from);
	pair_close(&p);
}
END_TEST

START_TEST(test_udp_truncated)
{
	struct sock_rxq *small = sock_rxq_new(2, 60); /* rounded up to 64 */
	struct sock_tx_result res;
	struct sock_rx rx[2];
	struct sock_tx m[2];
	struct pair p;

	pair_open(&p, 4, false, false, false);
	for (unsigned i = 0; i < 2; i++) {
		m[i] = (struct sock_tx){
			.path = &p.path, .data = tx_data, .len = 65 - i, .n_pkts = 1
		};
		m[i].seg = (uint16_t)m[i].len;
	}
	sock_send(&p.tx, m, 2, &res);
	ck_assert_int_eq(sock_recv(&p.rx, small, rx, SOCK_RX_MAX), 2);
	ck_assert(rx[0].truncated && rx[0].len == 64);
	ck_assert(!rx[1].truncated && rx[1].len == 64);
	ck_assert_int_eq((uintptr_t)rx[1].data % CACHE_LINE, 0);
	ck_assert_int_eq(sock_recv(&p.rx, small, rx, 2), 0);
	sock_rxq_free(&small);
	pair_close(&p);
	ck_assert_ptr_null(sock_rxq_new(SOCK_RX_MAX + 1, 100));
	ck_assert_ptr_null(sock_rxq_new(1, 0));
}
END_TEST

/* The kernel chooses the source when the path has none. */
START_TEST(test_udp_no_source)
{
	const int ver = _i ? 6 : 4;
	struct endpoint to = { .addr = addr(_i ? "fd00::1" : "127.0.0.3"), .port = 4500 };
	struct ip_addr from = addr(_i ? "fd00::1" : "127.0.0.1");
	struct sock_tx_result res;
	struct sock_tx m;
	struct pair p;

	pair_open(&p, ver, true, true, false);
	sock_path_set(&p.path, NULL, &to);
	m = (struct sock_tx){
		.path = &p.path, .data = tx_data, .len = 3000, .seg = 1000, .n_pkts = 3
	};
	sock_send(&p.tx, &m, 1, &res);
	ck_assert_uint_eq(res.sent, 3);
	(void)expect(&p.rx, p.q, &m, 1, &from);
	pair_close(&p);
}
END_TEST

/* Two workers on one port; a third owner without SO_REUSEPORT is refused, in words. */
START_TEST(test_udp_reuse_port)
{
	struct sock_opts o = { .kind = SOCK_KIND_UDP,
			       .ver = 4,
			       .port = 4500,
			       .reuse_port = true,
			       .bind = addr("127.0.0.1") };
	struct sock a, b, c;
	char why[256];

	open_sock(&a, &o);
	open_sock(&b, &o);
	o.reuse_port = false;
	ck_assert_int_eq(sock_open(&c, &o, why, sizeof(why)), -EADDRINUSE);
	ck_assert_str_eq(why, "cannot bind to 127.0.0.1:4500: Address already in use");
	ck_assert_int_eq(c.fd, -1);
	o.bind = addr("::1");
	ck_assert_int_eq(sock_open(&c, &o, why, sizeof(why)), -EAFNOSUPPORT);
	o.bind = addr("192.0.2.9");
	ck_assert_int_eq(sock_open(&c, &o, why, sizeof(why)), -EADDRNOTAVAIL);
	o.ver = 5;
	ck_assert_int_eq(sock_open(&c, &o, why, sizeof(why)), -EAFNOSUPPORT);
	sock_close(&a);
	sock_close(&b);
}
END_TEST

/* Equal for the same address and port only, and never 0, which stands for "none yet". */
START_TEST(test_addr_tag)
{
	static const char *const text[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1",
					    "2001:db9::1" };
	uint32_t tag[8];

	for (unsigned i = 0; i < 8; i++) {
		struct endpoint e = { .addr = addr(text[i / 2]), .port = (uint16_t)(4500 + i % 2) };
		struct sockaddr_storage sa;

		(void)endpoint_to_sockaddr(&e, &sa);
		tag[i] = sock_addr_tag(&sa);
		ck_assert_uint_ne(tag[i], 0);
		ck_assert_uint_eq(tag[i], sock_addr_tag(&sa));
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(tag[i], tag[k]);
	}
}
END_TEST

static void raw_pair_open(struct pair *p, int ver, uint8_t proto)
{
	const struct sock_opts o = {
		.kind = SOCK_KIND_RAW, .ver = (uint8_t)ver, .proto = proto, .gso = true
	};
	struct endpoint to = { .addr = addr(ver == 4 ? "127.0.0.3" : "::1") };

	tx_fill();
	open_sock(&p->rx, &o);
	open_sock(&p->tx, &o);
	p->from = addr(ver == 4 ? "127.0.0.2" : "fd00::1");
	sock_path_set(&p->path, &p->from, &to);
	p->q = sock_rxq_new(SOCK_RX_MAX, 2048);
	ck_assert_ptr_nonnull(p->q);
	ck_assert(!p->tx.gso && !p->rx.gro);
}

START_TEST(test_raw)
{
	const int ver = _i & 1 ? 6 : 4;
	const uint8_t proto = _i & 2 ? IPPROTO_AH : IPPROTO_ESP;
	struct sock_tx_result res;
	struct sock_tx m[2];
	struct pair p;

	raw_pair_open(&p, ver, proto);
	m[0] = (struct sock_tx){ .path = &p.path,
				 .data = tx_data,
				 .len = 69 * 1000 + 10,
				 .seg = 1000,
				 .n_pkts = 70,
				 .tos = 0xb9,
				 .df = true };
	m[1] = (struct sock_tx){ .path = &p.path,
				 .data = tx_data + 70000,
				 .len = 40,
				 .seg = 40,
				 .n_pkts = 1,
				 .df = true };
	sock_send(&p.tx, m, 2, &res);
	ck_assert_uint_eq(res.sent, 71);
	ck_assert_uint_eq(fault_calls, 2);
	ck_assert_uint_eq(expect(&p.rx, p.q, m, 2, &p.from), 71);
	pair_close(&p);
}
END_TEST

/* An IPv4 header with options is taken off whole. */
START_TEST(test_raw_options)
{
	static const uint8_t nops[8] = { 1, 1, 1, 1, 1, 1, 1, 0 };
	struct sock_tx_result res;
	struct sock_tx m;
	struct pair p;

	raw_pair_open(&p, 4, IPPROTO_ESP);
	ck_assert_int_eq(setsockopt(p.tx.fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)), 0);
	m = (struct sock_tx){
		.path = &p.path, .data = tx_data, .len = 100, .seg = 100, .n_pkts = 1
	};
	sock_send(&p.tx, &m, 1, &res);
	ck_assert_uint_eq(expect(&p.rx, p.q, &m, 1, &p.from), 1);
	pair_close(&p);
}
END_TEST

/* Workers divide the SPIs among their raw sockets: each packet comes to exactly one. */
START_TEST(test_raw_shares)
{
	const int ver = _i & 1 ? 6 : 4;
	const uint8_t proto = _i & 2 ? IPPROTO_AH : IPPROTO_ESP;
	const unsigned spi_at = proto == IPPROTO_AH ? 4 : 0;
	struct sock_opts o = {
		.kind = SOCK_KIND_RAW, .ver = (uint8_t)ver, .proto = proto, .shares = 3
	};
	struct sock_tx m[10];
	struct sock_tx_result res;
	struct sock_rx rx[16];
	struct sock s[3], bad;
	unsigned seen = 0;
	char why[256];
	struct pair p;

	raw_pair_open(&p, ver, proto);
	for (o.share = 0; o.share < 3; o.share++)
		open_sock(&s[o.share], &o);
	ck_assert_int_eq(sock_open(&bad, &o, why, sizeof(why)), -EINVAL);
	memset(tx_data, 0, 200);
	for (unsigned i = 0; i < 10; i++) {
		m[i] = (struct sock_tx){
			.path = &p.path, .data = tx_data + 20 * i, .len = 20, .seg = 20, .n_pkts = 1
		};
		store_be32(m[i].data + spi_at, 0xfffffff0 + i);
	}
	sock_send(&p.tx, m, 10, &res);
	ck_assert_uint_eq(res.sent, 10);
	for (unsigned k = 0; k < 3; k++) {
		int n = sock_recv(&s[k], p.q, rx, 16);

		for (int i = 0; i < n; i++) {
			uint32_t spi = load_be32(rx[i].data + spi_at);

			ck_assert_uint_eq(spi % 3, k);
			seen |= 1u << (spi & 15);
		}
		sock_close(&s[k]);
	}
	ck_assert_uint_eq(seen, 0x3ff);
	pair_close(&p);
}
END_TEST

/* Workers on one port divide one peer's packets by SPI; what has none comes to the first, and IKE
 * behind its marker to the socket behind them, if there is to be one. */
static const struct {
	int ver;
	uint16_t shares;
	bool apart;
} share_rows[] = {
	{ 4, 3, false }, { 6, 3, false }, { 4, 3, true }, { 6, 3, true }, { 4, 1, true },
};

static unsigned send_shared(struct pair *p, const struct sock_opts *o)
{
	struct endpoint to = { .addr = o->bind, .port = o->port };
	struct sock_tx_result res;
	struct sock_path path;
	struct sock_tx m[12];

	sock_path_set(&path, NULL, &to);
	memset(tx_data, 0xff, 240);
	for (unsigned i = 0; i < 12; i++) {
		m[i] = (struct sock_tx){
			.path = &path, .data = tx_data + 20 * i, .len = 20, .seg = 20, .n_pkts = 1
		};
		store_be32(m[i].data, 0xfffffff0 + i);
	}
	m[10].len = m[10].seg = 1; /* a keepalive */
	m[10].data[0] = 0xff;
	store_be32(m[11].data, 0); /* IKE */
	sock_send(&p->tx, m, 12, &res);
	return res.sent;
}

START_TEST(test_udp_shares)
{
	const int ver = share_rows[_i].ver;
	const unsigned shares = share_rows[_i].shares, socks = shares + share_rows[_i].apart;
	struct sock_opts o = { .kind = SOCK_KIND_UDP,
			       .ver = (uint8_t)ver,
			       .port = 4600,
			       .reuse_port = true,
			       .bind = addr(ver == 6 ? "::1" : "127.0.0.1"),
			       .shares = share_rows[_i].shares,
			       .marker_apart = share_rows[_i].apart };
	unsigned seen = 0, keepalives = 0, markers = 0;
	struct sock_rx rx[16];
	struct sock s[4];
	struct pair p;

	pair_open(&p, ver, false, false, false);
	for (; o.share < shares; o.share++)
		open_sock(&s[o.share], &o);
	o.shares = o.share = 0;
	if (socks > shares)
		open_sock(&s[shares], &o);
	ck_assert_uint_eq(send_shared(&p, &(struct sock_opts){ .bind = o.bind, .port = o.port }), 12);
	for (unsigned k = 0; k < socks; k++) {
		int n = sock_recv(&s[k], p.q, rx, 16);

		for (int i = 0; i < n; i++) {
			uint32_t spi = rx[i].len == 1 ? 1 : load_be32(rx[i].data);

			if (rx[i].len == 1) {
				ck_assert_uint_eq(k, 0);
				keepalives++;
			} else if (spi == 0) {
				ck_assert_uint_eq(k, socks > shares ? shares : 0);
				markers++;
			} else {
				ck_assert_uint_eq(spi % shares, k);
				seen |= 1u << (spi & 15);
			}
		}
		sock_close(&s[k]);
	}
	ck_assert_uint_eq(seen, 0x3ff);
	ck_assert_uint_eq(keepalives, 1);
	ck_assert_uint_eq(markers, 1);
	pair_close(&p);
}
END_TEST

/* --- packets of their own, sent as they are --- */

static size_t make_packet(uint8_t *b, int ver, const struct ip_addr *src, const struct ip_addr *dst)
{
	const size_t hdr = ver == 4 ? 20 : 40;

	memset(b, 0, hdr);
	if (ver == 4) {
		b[0] = 0x45;
		b[1] = 0x28;
		store_be16(b + 2, (uint16_t)(hdr + 30));
		store_be16(b + 4, 0x1234);
		b[8] = 9;
		b[9] = IPPROTO_UDP;
		memcpy(b + 12, src->b, 4);
		memcpy(b + 16, dst->b, 4);
	} else {
		b[0] = 0x60;
		store_be16(b + 4, 30);
		b[6] = IPPROTO_UDP;
		b[7] = 9;
		memcpy(b + 8, src->b, 16);
		memcpy(b + 24, dst->b, 16);
	}
	memcpy(b + hdr, tx_data, 30);
	return hdr + 30;
}

START_TEST(test_clear)
{
	const int ver = _i ? 6 : 4;
	struct ip_prefix all = prefix(_i ? "::/0" : "0.0.0.0/0");
	struct ip_addr src =
	    addr(_i ? "2001:db8::5" : "198.51.100.5"); /* not one of ours: it is forwarded */
	struct ip_addr dst = addr(_i ? "2001:db8:1::9" : "192.0.2.9");
	static uint8_t pkt[2048], got[TUN_READ_MAX];
	const uint32_t mark = 77;
	struct tun out, tunnel;
	struct sock s;
	char why[256];
	size_t len;

	tx_fill();
	tun_up(&out, "out0", 1, true, _i ? "fd0a::1/64" : "10.0.0.1/24");
	tun_up(&tunnel, "bw0", 1, true, _i ? "fd0b::1/64" : "10.1.0.1/24");
	ck_assert_int_eq(netlink_route_add(nl, out.ifindex, &all, 0, NULL, 0), 0);
	ck_assert_int_eq(netlink_route_add(nl, tunnel.ifindex, &all, 100, NULL, 0), 0);
	ck_assert_int_eq(netlink_rule_add(nl, ver, mark, 100, 50), 0);
	ck_assert_msg(sock_open_clear(&s, (uint8_t)ver, mark, why, sizeof(why)) == 0, "%s", why);
	len = make_packet(pkt, ver, &src, &dst);
	ck_assert_int_eq(sock_send_clear(&s, pkt, (uint32_t)len), 0);
	ck_assert_uint_eq(tun_read_to(&out, &dst, got, sizeof(got)), TUN_VNET_LEN + len);
	if (ver == 4)
		memcpy(pkt + 10, got + TUN_VNET_LEN + 10, 2); /* the checksum is the kernel's */
	ck_assert_mem_eq(got + TUN_VNET_LEN, pkt, len);
	/* What is no packet of this version, or too long for the link. */
	ck_assert_int_eq(sock_send_clear(&s, pkt, 19), -EINVAL);
	ck_assert_int_eq(sock_send_clear(&s, pkt, 0), -EINVAL);
	if (ver == 4)
		store_be16(pkt + 2, 1501);
	else
		store_be16(pkt + 4, 1461);
	ck_assert_int_eq(sock_send_clear(&s, pkt, 1501), -EMSGSIZE);
	ck_assert_int_eq(sock_clear_mtu(&s, &dst), 1500);
	ck_assert_int_eq(sock_clear_mtu(&s, &src), 1500);
	pkt[0] ^= 0x20;
	ck_assert_int_eq(sock_send_clear(&s, pkt, (uint32_t)len), -EINVAL);
	sock_close(&s);
	tun_close(&tunnel);
	tun_close(&out);
}
END_TEST

Suite *suite_sock(void)
{
	Suite *s = suite_create("sock");
	TCase *c = tcase_create("sock");

	tcase_add_checked_fixture(c, ns_setup, ns_teardown);
	tcase_set_timeout(c, 20);
	tcase_add_loop_test(c, test_udp_batches, 0, 16);
	tcase_add_loop_test(c, test_udp_zero_csum, 0, 2);
	tcase_add_test(c, test_udp6_zero_csum_accepted);
	tcase_add_test(c, test_udp_truncated);
	tcase_add_loop_test(c, test_udp_no_source, 0, 2);
	tcase_add_test(c, test_udp_reuse_port);
	tcase_add_test(c, test_addr_tag);
	tcase_add_loop_test(c, test_raw, 0, 4);
	tcase_add_test(c, test_raw_options);
	tcase_add_loop_test(c, test_raw_shares, 0, 4);
	tcase_add_loop_test(c, test_udp_shares, 0, (int)ARRAY_LEN(share_rows));
	tcase_add_loop_test(c, test_clear, 0, 2);
	suite_add_tcase(s, c);
	return s;
}
