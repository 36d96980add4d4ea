/*
 * RFC 2401 appendix B and RFC 4301 section 8, case by case: DF, fragments, and the path MTU of an SA: what it is reckoned from, and how
 * who sent the packet hears of it. Each test is named after the section it is about.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/pmtu.h"
#include "must.h"
#include "packet/csum.h"
#include "packet/frag.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "plane_rig.h"

#define AGE_NS (600 * NS_PER_S)

/* AH or ESP, transport or tunnel, over IPv4 or IPv6: the columns of the table in B.2. */
struct column {
	bool ah, transport;
	int ver;
};
static const struct column columns[] = { { true, true, 4 },  { true, true, 6 },  { true, false, 4 },  { true, false, 6 },
					 { false, true, 4 }, { false, true, 6 }, { false, false, 4 }, { false, false, 6 } };

static struct rig rig;
static uint8_t pkt[66000], back[2000];

static void start_with(const struct column *c, struct rig_opts o)
{
	static const struct rig_policy any4 = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0", .no_clamp = true },
				       any6 = { .action = POLICY_PROTECT, .local = "::/0", .remote = "::/0", .no_clamp = true };

	o.ah = c->ah;
	o.transport = c->transport;
	o.outer_ver = c->ver;
	o.suite = c->ah ? "null-sha256" : o.suite;
	o.raw |= c->ah;
	o.policy[0] = any4;
	o.policy[1] = any6;
	o.n_policy = 2;
	rig_new(&rig, &o);
}

/* A packet of `size` bytes from host n; with transport mode from the SA's own end. */
static uint32_t make(const struct column *c, int ver, unsigned n, uint8_t proto, bool df, uint32_t size)
{
	static uint8_t data[65536];
	uint32_t hdr = (ver == 4 ? 20 : 40), l4 = proto == IPPROTO_TCP ? 20 : 8;
	struct pkt_spec s = { .ver = ver, .proto = proto, .flags = TCP_ACK, .id = (uint16_t)(100 + n), .frag = df ? 0x4000 : 0,
			      .data = data, .len = size - hdr - l4 };

	for (unsigned i = 0; i < s.len; i++)
		data[i] = (uint8_t)(i * 7 + n);
	uint32_t len = pkt_make(&s, pkt);
	ck_assert_uint_eq(len, size);
	if (c->transport && ver == 4) {
		memcpy(pkt + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
	} else if (c->transport) {
		memset(pkt + 8, 0, 32);
		memcpy(pkt + 8, "\x20\x01\x0d\xb8", 4);
		memcpy(pkt + 24, "\x20\x01\x0d\xb8", 4);
		pkt[23] = 1;
		pkt[39] = 2;
	} else {
		pkt[ver == 4 ? 15 : 23] = (uint8_t)(1 + n);
	}
	if (ver == 4)
		csum_ip4_set(pkt);
	csum_l4_set(pkt, hdr, len, proto);
	return len;
}

/* wire[i] as it is on the wire, with its IP header. */
static uint32_t whole(const struct column *c, unsigned i, uint8_t *out)
{
	const struct rig_frame *f = &rig.wire[i];
	uint32_t hdr = c->ver == 4 ? 20 : 40, udp = rig.out->encap == SA_ENCAP_UDP ? 8 : 0;

	if (c->ah) {
		memcpy(out, f->p, f->len);
		return f->len;
	}
	const struct sa_path *path = atomic_load(&rig.out->path);
	uint32_t len = hdr + udp + f->len;
	uint8_t next = udp ? IPPROTO_UDP : IPPROTO_ESP;
	memset(out, 0, hdr + udp);
	if (c->ver == 4) {
		out[0] = 0x45;
		store_be16(out + 2, (uint16_t)len);
		out[6] = f->df ? 0x40 : 0;
		out[9] = next;
		memcpy(out + 12, rig.out->conf->src.b, 4);
		memcpy(out + 16, path->dst.addr.b, 4);
		csum_ip4_set(out);
	} else {
		out[0] = 0x60;
		store_be16(out + 4, (uint16_t)(len - 40));
		out[6] = next;
		memcpy(out + 8, rig.out->conf->src.b, 16);
		memcpy(out + 24, path->dst.addr.b, 16);
	}
	if (udp) {
		store_be16(out + hdr, 4500);
		store_be16(out + hdr + 2, 4500);
		store_be16(out + hdr + 4, (uint16_t)(8 + f->len));
	}
	memcpy(out + hdr + udp, f->p, f->len);
	return len;
}

/* "Too big" from a router about wire[0], of which it quotes `quoted` bytes behind the IP header: what the SA's path MTU becomes of it. */
static struct icmp_quote too_big(const struct column *c, uint32_t mtu, uint32_t quoted, uint8_t *msg)
{
	uint8_t ip[4000];
	uint32_t n = whole(c, 0, ip), hdr = c->ver == 4 ? 20 : 40, len = hdr + quoted < n ? hdr + quoted : n;
	struct pmtu_word m = { .ver = c->ver, .route = 1500, .age_ns = AGE_NS };
	struct icmp_quote_sa qs;
	struct icmp_quote q;

	memset(msg, 0, 8);
	msg[0] = c->ver == 4 ? 3 : 2;
	msg[1] = c->ver == 4 ? 4 : 0;
	if (c->ver == 4)
		store_be16(msg + 6, (uint16_t)mtu);
	else
		store_be32(msg + 4, mtu);
	memcpy(msg + 8, ip, len);
	ck_assert(icmp_quote_read(c->ver, msg, 8 + len, &q));
	ck_assert(icmp_is_too_big(c->ver, &q) && icmp_quote_sa(&q, &qs));
	ck_assert_uint_eq(qs.spi, RIG_SPI);
	ck_assert_uint_eq(qs.proto, c->ah ? IPPROTO_AH : IPPROTO_ESP);
	ck_assert_uint_eq(q.total, n);
	m.mtu = q.mtu;
	m.packet = q.total;
	ck_assert(pmtu_learn(rig.out, &m, rig_now_ns));
	ck_assert_uint_eq(rig.out->pmtu, mtu);
	rig.out->inner_mtu = sa_inner_mtu(rig.out, pmtu_now(rig.out, 1500, rig_now_ns), c->ver);
	return q;
}

/* What A tells who sent: the MTU of its "too big", 0 for nothing; it must be about pkt. */
static uint32_t told(void)
{
	struct virtio_net_hdr v;
	uint32_t n = rig_tun_read(rig.tun_a, &v, back, sizeof(back)), hdr = pkt[0] >> 4 == 4 ? 20 : 40;

	if (n == 0)
		return 0;
	ck_assert_uint_gt(n, hdr + 8 + hdr);
	ck_assert_uint_eq(back[hdr], hdr == 20 ? 3 : 2);
	ck_assert_uint_eq(back[hdr + 1], hdr == 20 ? 4 : 0);
	ck_assert_mem_eq(back + (hdr == 20 ? 16 : 24), pkt + (hdr == 20 ? 12 : 8), hdr == 20 ? 4 : 16);
	ck_assert_mem_eq(back + hdr + 8, pkt, hdr + 8);
	return hdr == 20 ? load_be16(back + 26) : load_be32(back + 44);
}

static void accepted_frame(const struct column *c, unsigned i, const uint8_t *p, uint32_t n)
{
	if (c->ah)
		rig_in_ah(&rig, p, n);
	else
		rig_in_wire(&rig, i);
}

static void accepted(const struct column *c, const uint8_t *p, uint32_t n)
{
	accepted_frame(c, 0, p, n);
}

/* ---- B.1 ------------------------------------------------------------------------------------------ */

START_TEST(b1_df_bit)
{
	static const struct column tunnels[] = { { false, false, 4 }, { true, false, 4 } };
	const struct column *c = &tunnels[_i & 1];
	enum sa_df df = (enum sa_df)(_i / 2);

	for (unsigned set = 0; set < 2; set++) {
		start_with(c, (struct rig_opts) { .df = df });
		rig_send(&rig, pkt, make(c, 4, 0, IPPROTO_UDP, set, 300));
		bool got = c->ah ? (rig.wire[0].p[6] & 0x40) != 0 : rig.wire[0].df;
		ck_assert_int_eq(got, df == SA_DF_COPY ? set : df == SA_DF_SET);
		rig_free(&rig);
	}
}
END_TEST

/* What does not fit: with `clear` the sender's wish does not count, and the outer packet is cut; with `set` the outer one must not be, so
 * that only the inner one can. One SA, and two of which the outer makes the header. */
START_TEST(b1_df_bit_too_big)
{
	const struct column c = { true, false, 4 };
	bool bundle = _i & 1, clear = _i & 2, after = _i & 4;

	start_with(&c, (struct rig_opts) { .df = clear ? SA_DF_CLEAR : SA_DF_SET, .fragment = after ? SA_FRAG_AFTER : SA_FRAG_BEFORE });
	struct sa *esp = NULL;
	if (bundle) {
		rig.o.ah = false;
		rig.o.suite = "aes128gcm16";
		rig.o.src = "192.0.2.1";
		esp = rig_sa(&rig, DIR_OUT, 0x2000, 0);
		struct policy *p = calloc(1, sizeof(*p));
		p->name = strdup("both");
		p->action = POLICY_PROTECT;
		p->dirs = POLICY_DIR_OUT;
		p->sel = calloc(1, sizeof(*p->sel));
		p->n_sel = 1;
		p->sel[0] = (struct selector) { .local = ip_range_all(4), .remote = ip_range_all(4), .proto = PROTO_ANY };
		p->out = calloc(2, sizeof(struct sa *));
		p->n_out = 2;
		p->out[0] = sa_ref(esp);
		p->out[1] = sa_ref(rig.out);
		struct spd *spd;
		ck_assert_int_eq(spd_compile(&p, 1, &spd), 0);
		struct spd *was = plane_set_spd(rig.pa, spd);
		spd_free(&was);
	}
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_UDP, clear, 2000));
	ck_assert_uint_eq(told(), 0);
	rig_dropped(rig.a, DROP_NONE, 0);
	ck_assert_uint_eq(rig.n_wire, 2);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *ip = rig.wire[i].p;
		ck_assert_uint_le(rig.wire[i].len, 1500);
		if (clear) /* the outer ones are the fragments */
			ck_assert_uint_eq(load_be16(ip + 6), i ? (rig.wire[0].len - 20) / 8 : 0x2000);
		else
			ck_assert_uint_eq(load_be16(ip + 6), 0x4000);
		if (!clear && !bundle) /* behind IP and AH */
			ck_assert_int_eq(load_be16(ip + 48 + 6) == 0x2000, i == 0);
	}
	sa_unref(&esp);
	rig_free(&rig);
}
END_TEST

/* ---- B.2 ------------------------------------------------------------------------------------------ */

/* The table, column by column: whole packets in all eight; a tunnel also carries a fragment as it is, transport mode none. */
START_TEST(b2_fragmentation)
{
	const struct column *c = &columns[_i];
	uint8_t ip[4000];

	start_with(c, (struct rig_opts) { 0 });
	uint32_t n = make(c, c->ver, 0, IPPROTO_UDP, false, 600);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	accepted(c, ip, whole(c, 0, ip));
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert_uint_eq(rig.got[0].len, n);
	rig_free(&rig);

	/* a fragment: tunnels carry it; transport mode is for whole packets (RFC 4303 3.1.1), which are made of them */
	start_with(c, (struct rig_opts) { 0 });
	n = make(c, 4, 0, IPPROTO_UDP, false, 1000);
	uint32_t part = frag4_make(pkt, n, 596, 0, ip), rest = frag4_make(pkt, n, 596, 1, ip + 1000);
	rig_send(&rig, ip, part);
	if (c->transport) {
		ck_assert_uint_eq(rig.n_wire, 0);
		rig_send(&rig, ip + 1000, rest);
		ck_assert_uint_eq(rig.a->c.reassembled, 1);
		if (c->ver == 4) {
			accepted(c, ip, whole(c, 0, ip));
			ck_assert_uint_eq(rig.got[0].len, n);
			ck_assert_mem_eq(rig.got[0].p + 20, pkt + 20, n - 20); /* a host's own has a new header */
		} else { /* and not between the SA's ends */
			ck_assert_uint_eq(rig.n_wire, 0);
			rig_dropped(rig.a, DROP_TRANSPORT, 1);
		}
	} else {
		memcpy(pkt, ip, part);
		accepted(c, ip, whole(c, 0, ip));
		rig_got_is(&rig, 0, pkt, part);
	}
	rig_free(&rig);
}
END_TEST

/* Fragments of an IPv6 packet put together. */
static uint32_t join6(uint8_t *out)
{
	uint32_t end = 0;

	memcpy(out, rig.wire[0].p, 40);
	for (unsigned i = 0; i < rig.n_wire; i++) {
		const uint8_t *p = rig.wire[i].p;
		ck_assert_uint_eq(p[6], IPPROTO_FRAGMENT);
		ck_assert_uint_eq(load_be16(p + 4) + 40u, rig.wire[i].len);
		ck_assert_uint_eq(load_be32(p + 44), load_be32(rig.wire[0].p + 44));
		uint32_t off = load_be16(p + 42) & 0xfff8, n = rig.wire[i].len - 48;
		ck_assert_uint_eq(off, end);
		ck_assert_uint_eq(p[43] & 1, i + 1 < rig.n_wire);
		memcpy(out + 40 + off, p + 48, n);
		end = off + n;
		out[6] = p[40];
	}
	store_be16(out + 4, (uint16_t)end);
	return 40 + end;
}

/* The packet arrived; a host's own lost its flow label, which the receiving socket of the rig does not tell. */
static void got_is(const struct column *c, uint32_t n)
{
	ck_assert_uint_eq(rig.n_got, 1);
	if (c->transport)
		memset(rig.got[0].p + 1, 0, 3), memset(pkt + 1, 0, 3);
	rig_got_is(&rig, 0, pkt, n);
}

/* 6.1.2.2: IPv6 does not do with less than 1280 bytes; then what AH was applied to goes in fragments. */
START_TEST(b2_ipv6_carries_1280)
{
	const struct column *c = &columns[_i]; /* AH over IPv6, transport and tunnel */
	uint8_t ip[4000];

	if (!c->ah || c->ver != 6)
		return;
	start_with(c, (struct rig_opts) { .path_mtu = 1280 });
	for (uint32_t size = 1281 - 80; size <= 1280; size++) {
		rig_now_ns += NS_PER_S;
		uint32_t n = make(c, 6, 0, IPPROTO_TCP, true, size);
		rig_send(&rig, pkt, n);
		ck_assert_uint_ge(rig.n_wire, 1);
		for (unsigned i = 0; i < rig.n_wire; i++)
			ck_assert_uint_le(rig.wire[i].len, 1280);
		uint32_t len = rig.n_wire == 1 ? whole(c, 0, ip) : join6(ip);
		rig_in_ah(&rig, ip, len);
		got_is(c, n);
		ck_assert_uint_eq(told(), 0);
		rig_wire_clear(&rig);
		rig_got_clear(&rig);
	}
	uint32_t n = make(c, 6, 0, IPPROTO_TCP, true, 1281);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(told(), 1280);
	/* a datagram of a host's own cannot be made smaller by it without fragments, which transport mode does not take */
	n = make(c, 6, 0, IPPROTO_UDP, true, 3000);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	rig_send(&rig, pkt, n);
	if (c->transport) {
		ck_assert_uint_eq(rig.n_wire, 3);
		rig_in_ah(&rig, ip, join6(ip));
		got_is(c, n);
	} else {
		ck_assert_uint_eq(rig.n_wire, 0);
		ck_assert_uint_eq(told(), 1280);
	}
	rig_free(&rig);
}
END_TEST

/* ---- B.3.1 ---------------------------------------------------------------------------------------- */

/*
 * One SA for all hosts behind SG1, and a message with no more than 64 bits of the IPsec header: it tells the SA, and each host when it
 * sends more than fits (b). Whether it is a gateway's tunnel or the host's own SA.
 */
START_TEST(b31_stored_with_the_sa)
{
	const struct column *c = &columns[_i];
	uint32_t mtu = c->ver == 4 ? 1000 : 1400;
	struct icmp_quote orig;
	uint8_t msg[4000], room[PMTU_ORIGINAL_MAX];

	for (unsigned enc = 0; enc < (c->ah ? 1 : 2); enc++) {
		start_with(c, (struct rig_opts) { .raw = enc == 0 });
		rig_send(&rig, pkt, make(c, c->ver, 0, IPPROTO_TCP, true, 1400));
		ck_assert_uint_eq(rig.n_wire, 1);
		struct icmp_quote q = too_big(c, mtu, enc ? 16 : 8, msg);
		ck_assert(!pmtu_original(rig.out, &q, room, &orig));
		ck_assert_uint_eq(told(), 0);
		uint32_t fits = rig.out->inner_mtu, say = c->ver == 6 && fits < 1280 ? 1280 : fits;
		ck_assert_uint_lt(fits, mtu);
		for (unsigned host = 0; host < (c->transport ? 1 : 3); host++) {
			rig_send(&rig, pkt, make(c, c->ver, host, IPPROTO_TCP, true, 1400));
			rig_dropped(rig.a, DROP_TOO_BIG, 1);
			ck_assert_uint_eq(told(), say);
			rig_wire_clear(&rig);
			rig_send(&rig, pkt, make(c, c->ver, host, IPPROTO_TCP, true, say));
			ck_assert_uint_eq(rig.n_wire, 1);
			ck_assert_uint_eq(told(), 0);
		}
		rig_free(&rig);
	}
}
END_TEST

/* More than 64 bits, and nothing is hidden: the packet itself is found in the quote, at whatever byte that ends. */
START_TEST(b31_at_once)
{
	static const struct {
		struct column c;
		const char *suite;
		bool raw;
	} way[] = {
		{ { true, true, 4 }, NULL, true },          { { true, true, 6 }, NULL, true },
		{ { true, false, 4 }, NULL, true },         { { true, false, 6 }, NULL, true },
		{ { false, false, 4 }, "null-sha1", true }, { { false, false, 6 }, "null-sha256", false },
		{ { false, false, 4 }, "aes128gmac", false },
	};

	for (unsigned k = 0; k < 2 * ARRAY_LEN(way); k++) {
		const struct column *c = &way[k / 2].c;
		int ver = c->transport || k & 1 ? c->ver : 10 - c->ver; /* of the packet inside */
		uint8_t msg[4000], room[PMTU_ORIGINAL_MAX];
		struct icmp_quote orig;

		start_with(c, (struct rig_opts) { .suite = way[k / 2].suite, .raw = way[k / 2].raw });
		uint32_t n = make(c, ver, 0, IPPROTO_TCP, true, 1400), hdr = ver == 4 ? 20 : 40;
		rig_send(&rig, pkt, n);
		struct icmp_quote q = too_big(c, 1300, 4000, msg);
		for (uint32_t len = 0; len <= 300; len++) {
			struct icmp_quote part = q;
			uint8_t *copy = malloc(len ? len : 1);
			memcpy(copy, q.ip, len);
			part.ip = copy;
			part.len = len;
			if (len < (c->ver == 4 ? 20u : 40u) || !pmtu_original(rig.out, &part, room, &orig)) {
				ck_assert_uint_lt(len, 140);
				free(copy);
				continue;
			}
			struct pkt_info info;
			ck_assert_uint_eq(orig.total, n);
			ck_assert_uint_ge(orig.len, hdr);
			ck_assert_mem_eq(orig.ip, pkt, orig.len);
			ck_assert(icmp_quote_info(&orig, &info));
			ck_assert_uint_eq(info.len, orig.len);
			ck_assert(info.flags & PKT_DF);
			free(copy);
		}
		rig_free(&rig);
	}
	/* encrypted, or ESP in transport mode, whose trailer says what comes next */
	for (unsigned k = 0; k < 2; k++) {
		const struct column c = { false, k, 4 };
		uint8_t msg[4000], room[PMTU_ORIGINAL_MAX];
		struct icmp_quote orig;
		start_with(&c, (struct rig_opts) { .suite = k ? "null-sha256" : "aes128-sha256" });
		rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_TCP, true, 1400));
		struct icmp_quote q = too_big(&c, 1300, 4000, msg);
		ck_assert(!pmtu_original(rig.out, &q, room, &orig));
		rig_free(&rig);
	}
}
END_TEST

/* Whatever a router, or who claims to be one, quotes: it is looked at, and no byte beyond it. */
START_TEST(b31_quotes_of_anything)
{
	static const struct column c[] = { { true, true, 4 }, { true, true, 6 }, { true, false, 6 }, { false, false, 4 } };
	uint8_t room[PMTU_ORIGINAL_MAX];
	unsigned found = 0;

	srandom(2401);
	for (unsigned k = 0; k < ARRAY_LEN(c); k++) {
		start_with(&c[k], (struct rig_opts) { .suite = "null-sha1", .raw = true });
		rig_send(&rig, pkt, make(&c[k], c[k].ver, 0, IPPROTO_TCP, true, 400));
		for (unsigned i = 0; i < 20000; i++) {
			uint32_t len = (c[k].ver == 4 ? 20u : 40u) + (uint32_t)random() % 300;
			uint8_t ip[4000], *msg = malloc(8 + len);
			struct icmp_quote q, orig;
			(void)whole(&c[k], 0, ip);
			memset(msg, 0, 8);
			msg[0] = c[k].ver == 4 ? 3 : 2;
			memcpy(msg + 8, ip, len);
			for (unsigned n = (unsigned)random() % 4; n--;)
				msg[8 + random() % len] = (uint8_t)random();
			if (icmp_quote_read(c[k].ver, msg, 8 + len, &q) && pmtu_original(rig.out, &q, room, &orig)) {
				struct pkt_info info;
				must_uint_le(orig.len, PMTU_ORIGINAL_MAX);
				must_uint_le(orig.len, orig.total);
				found += icmp_quote_info(&orig, &info);
			}
			free(msg);
		}
		rig_free(&rig);
	}
	ck_assert_uint_gt(found, 10000);
}
END_TEST

/* ---- B.3.2 ---------------------------------------------------------------------------------------- */

/* AH and ESP, transport and tunnel: the largest packet that is let in fits the path, and the next larger would not. */
START_TEST(b32_calculation)
{
	const struct column *c = &columns[_i];
	static const char *const suites[] = { "aes128gcm16", "aes256-sha512", "null-sha1", "chacha20poly1305" };

	for (unsigned k = 0; k < (c->ah ? 1 : ARRAY_LEN(suites)); k++) {
		for (uint32_t mtu = c->ver == 4 ? 800 : 1400; mtu <= 1500; mtu += 33) {
			start_with(c, (struct rig_opts) { .suite = suites[k], .path_mtu = mtu, .raw = true });
			uint8_t ip[4000];
			uint32_t fits = rig.out->inner_mtu;
			rig_send(&rig, pkt, make(c, c->ver, 0, IPPROTO_TCP, true, fits));
			ck_assert_uint_eq(rig.n_wire, 1);
			uint32_t len = whole(c, 0, ip), step = c->ah ? 1 : rig.out->align;
			ck_assert_uint_le(len, mtu);
			/* one more takes a whole block, or a byte of AH's */
			ck_assert_uint_gt(len + step, mtu);
			if (!c->ah)
				ck_assert_uint_eq(esp_text_len(rig.out, fits - (c->transport ? c->ver == 4 ? 20 : 40 : 0)) - 2 -
							  (fits - (c->transport ? c->ver == 4 ? 20 : 40 : 0)), 0);
			rig_send(&rig, pkt, make(c, c->ver, 0, IPPROTO_TCP, true, fits + 1));
			uint32_t say = c->ver == 6 && fits < 1280 ? 1280 : fits;
			if (fits + 1 <= say) {
				ck_assert_uint_eq(told(), 0);
			} else {
				rig_dropped(rig.a, DROP_TOO_BIG, 1);
				ck_assert_uint_eq(told(), say);
			}
			rig_free(&rig);
		}
	}
}
END_TEST

/* Socket 2 goes through ESPx and then AHx, socket 1 through AHx alone: both learn from what is said about AHx, each its own number. */
START_TEST(b32_two_ways_to_one_sa)
{
	const struct column c = { true, true, 4 };
	uint8_t msg[4000];
	struct policy *list[2];
	struct spd *spd;

	start_with(&c, (struct rig_opts) { 0 });
	rig.o.ah = false;
	rig.o.suite = "aes128gcm16";
	struct sa *esp = rig_sa(&rig, DIR_OUT, 0x2000, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct policy *p = list[i] = calloc(1, sizeof(*p));
		p->name = strdup(i ? "socket 1" : "socket 2");
		p->action = POLICY_PROTECT;
		p->dirs = POLICY_DIR_OUT;
		p->order = i;
		p->sel = calloc(1, sizeof(*p->sel));
		p->n_sel = 1;
		p->sel[0] = (struct selector) { .local = ip_range_all(4), .remote = ip_range_all(4), .proto = i ? IPPROTO_UDP : IPPROTO_TCP };
		p->out = calloc(2, sizeof(struct sa *));
		p->n_out = i ? 1 : 2;
		p->out[0] = sa_ref(i ? rig.out : esp);
		if (i == 0)
			p->out[1] = sa_ref(rig.out);
	}
	ck_assert_int_eq(spd_compile(list, 2, &spd), 0);
	struct spd *was = plane_set_spd(rig.pa, spd);
	spd_free(&was);
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_TCP, true, 1300));
	ck_assert_uint_eq(rig.n_wire, 1);
	(void)too_big(&c, 1000, 8, msg);
	rig_wire_clear(&rig);
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_UDP, true, 1300));
	/* 1000 - AH's 28 (24 for the ICV of 12, 28 with 16) */
	uint32_t one = told();
	ck_assert_uint_eq(one, 1000 - 28);
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_TCP, true, 1300));
	uint32_t two = told();
	ck_assert_uint_eq(two, sa_inner_mtu(esp, 1000 - 28, 4));
	rig_dropped(rig.a, DROP_TOO_BIG, 2);
	uint8_t ip[2000];
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_UDP, true, one));
	ck_assert_uint_eq(whole(&c, 0, ip), 1000);
	rig_wire_clear(&rig);
	rig_send(&rig, pkt, make(&c, 4, 0, IPPROTO_TCP, true, two));
	ck_assert_uint_le(whole(&c, 0, ip), 1000);
	sa_unref(&esp);
	rig_free(&rig);
}
END_TEST

/* ---- B.3.6 ---------------------------------------------------------------------------------------- */

START_TEST(b36_aging)
{
	const struct column *c = &columns[_i];
	uint8_t msg[4000];
	uint32_t mtu = c->ver == 4 ? 1000 : 1350;

	start_with(c, (struct rig_opts) { 0 });
	rig_send(&rig, pkt, make(c, c->ver, 0, IPPROTO_TCP, true, 1400));
	(void)too_big(c, mtu, 64, msg);
	for (unsigned k = 0; k < 2; k++) {
		rig_wire_clear(&rig);
		rig.out->inner_mtu = sa_inner_mtu(rig.out, pmtu_now(rig.out, 1500, rig_now_ns), c->ver);
		rig_send(&rig, pkt, make(c, c->ver, 0, IPPROTO_TCP, true, 1400));
		ck_assert_uint_eq(rig.n_wire, k);
		ck_assert_int_eq(told() != 0, k == 0);
		rig_now_ns += AGE_NS; /* then it is tried again */
	}
	rig_free(&rig);
}
END_TEST

/* ---- RFC 4301 8.2.1 ------------------------------------------------------------------------------- */

/* Case 1: IPv4 with DF is discarded and told; case 2: without DF fragmented, before or after, and not told; case 3: IPv6 as case 1. */
START_TEST(r4301_821_cases)
{
	static const struct column tunnels[] = { { false, false, 4 }, { true, false, 4 } };
	const struct column *c = &tunnels[_i & 1];
	enum sa_fragment when = _i & 2 ? SA_FRAG_AFTER : SA_FRAG_BEFORE;
	uint8_t ip[4000];

	start_with(c, (struct rig_opts) { .path_mtu = 1400, .fragment = when, .raw = true });
	uint32_t fits = rig.out->inner_mtu;
	rig_send(&rig, pkt, make(c, 4, 0, IPPROTO_UDP, true, 1401));
	ck_assert_uint_eq(rig.n_wire, 0);
	ck_assert_uint_eq(told(), fits);
	rig_send(&rig, pkt, make(c, 6, 0, IPPROTO_UDP, true, 1401));
	ck_assert_uint_eq(rig.n_wire, 0);
	ck_assert_uint_eq(told(), fits);
	rig_dropped(rig.a, DROP_TOO_BIG, 2);
	rig_send(&rig, pkt, make(c, 4, 0, IPPROTO_UDP, false, 1401));
	ck_assert_uint_eq(told(), 0);
	if (c->ah || when == SA_FRAG_BEFORE) {
		ck_assert_uint_eq(rig.n_wire, 2);
		for (unsigned i = 0; i < 2; i++) {
			uint32_t n = whole(c, i, ip);
			ck_assert_uint_le(n, 1400);
			ck_assert_int_eq((load_be16(ip + 6) & 0x3fff) == 0, when == SA_FRAG_BEFORE);
			if (when == SA_FRAG_BEFORE) {
				accepted_frame(c, i, ip, n);
				ck_assert_uint_eq(rig.n_got, i + 1);
			}
		}
	} else { /* the system fragments it */
		ck_assert_uint_eq(rig.n_wire, 1);
		ck_assert(!rig.wire[0].df);
	}
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_pmtu(void)
{
	TCase *t = tcase_create("path mtu");

	tcase_add_loop_test(t, b1_df_bit, 0, 6);
	tcase_add_loop_test(t, b1_df_bit_too_big, 0, 8);
	tcase_add_loop_test(t, b2_fragmentation, 0, ARRAY_LEN(columns));
	tcase_add_loop_test(t, b2_ipv6_carries_1280, 0, ARRAY_LEN(columns));
	tcase_add_loop_test(t, b31_stored_with_the_sa, 0, ARRAY_LEN(columns));
	tcase_add_test(t, b31_at_once);
	tcase_add_test(t, b31_quotes_of_anything);
	tcase_add_loop_test(t, b32_calculation, 0, ARRAY_LEN(columns));
	tcase_add_test(t, b32_two_ways_to_one_sa);
	tcase_add_loop_test(t, b36_aging, 0, ARRAY_LEN(columns));
	tcase_add_loop_test(t, r4301_821_cases, 0, 4);
	return t;
}
