/* ICMP errors: which SA they belong to by what they quote (RFC 4301 6.2), what they say of the path MTU (8.2), how quotes are read. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/pmtu.h"
#include "packet/csum.h"
#include "packet/icmp.h"
#include "packet/quote.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[3000], err[ICMP_ERROR_MAX];

/* A router at `from` complains about pkt[0..n). Returns the length of err. */
static uint32_t complain(uint32_t n, const char *from, enum icmp_kind kind)
{
	struct pkt_info info = pkt_info_of(pkt, n);
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(from, &a), 0);
	return icmp_error(kind, pkt, &info, 1300, &a, err);
}

/* The packet turned round: what came from the other side. */
static void turn(void)
{
	uint8_t t[16];
	uint32_t at = pkt[0] >> 4 == 4 ? 12 : 8, n = pkt[0] >> 4 == 4 ? 4 : 16, l4 = pkt[0] >> 4 == 4 ? 20 : 40;

	memcpy(t, pkt + at, n);
	memcpy(pkt + at, pkt + at + n, n);
	memcpy(pkt + at + n, t, n);
	memcpy(t, pkt + l4, 2);
	memcpy(pkt + l4, pkt + l4 + 2, 2);
	memcpy(pkt + l4 + 2, t, 2);
}

static void start_with(int ver, bool errors, bool rest, struct rig_opts o)
{
	struct pkt_info info = pkt_info_of(pkt, rig_udp(ver, 1, 100, pkt));

	o.n_policy = rest ? 2 : 1;
	o.policy[0].action = POLICY_PROTECT;
	o.policy[0].proto = IPPROTO_UDP;
	o.policy[0].lport = info.key.sport;
	o.policy[1] = (struct rig_policy) { .action = POLICY_DISCARD, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" };
	if (ver == 6) {
		o.policy[0].local = o.policy[0].remote = "2001::/16";
		o.policy[1].local = o.policy[1].remote = "::/0";
	}
	rig_new(&rig, &o);
	spd_policy(plane_spd(rig.pa), 0)->icmp_errors = errors;
	spd_policy(plane_spd(rig.pb), 0)->icmp_errors = errors;
}

static void start(int ver, bool errors, bool rest)
{
	start_with(ver, errors, rest, (struct rig_opts) { 0 });
}

static const char *router(int ver)
{
	return ver == 4 ? "172.16.0.1" : "fd00::1";
}

/* No SA is made for it, and that is an auditable event (RFC 4301 6.2): it neither waits nor asks for one, as the packet it is about would. */
START_TEST(no_sa_no_acquire)
{
	int ver = _i ? 6 : 4;
	struct audit_event e;

	start_with(ver, true, true, (struct rig_opts) { .policy = { { .reqid = 7 } } });
	uint32_t n = rig_udp(ver, 1, 100, pkt);
	turn();
	n = complain(n, router(ver), ICMP_KIND_TTL);
	rig_send(&rig, err, n);
	rig_dropped(rig.a, DROP_NO_SA, 1);
	rig_event(rig.pa, -1);
	ck_assert_uint_eq(rig.a->hold.n, 0);
	ck_assert_uint_eq(plane_audit(rig.pa, &e, 1), 1);
	ck_assert_uint_eq(e.id, AUDIT_ICMP_NO_SA);
	ck_assert_uint_eq(e.reason, DROP_NO_SA);
	ck_assert_uint_eq(e.have & AUDIT_F_INNER, AUDIT_F_INNER);
	/* what it quotes does */
	rig_send(&rig, pkt, rig_udp(ver, 1, 100, pkt));
	rig_event(rig.pa, EV_ACQUIRE);
	rig_free(&rig);
}
END_TEST

/* The same through AH, where the inbound side looks at whole bundles. */
START_TEST(out_and_in_ah)
{
	int ver = _i & 1 ? 6 : 4;

	start_with(ver, true, _i & 2, (struct rig_opts) { .ah = true, .raw = true, .suite = "null-sha256" });
	uint32_t n = rig_udp(ver, 1, 100, pkt);
	turn();
	n = complain(n, router(ver), ICMP_KIND_TTL);
	rig_send(&rig, err, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
	rig_got_is(&rig, 0, err, n);
	rig_wire_clear(&rig);
	/* by the policies of B it is about another port now */
	struct rig_policy other = { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .lport = 9 };
	rig_send(&rig, err, n);
	struct spd *was = plane_set_spd(rig.pb, rig_spd(&rig, &other, 1, true));
	spd_free(&was);
	spd_policy(plane_spd(rig.pb), 0)->icmp_errors = true;
	rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_dropped(rig.b, DROP_ICMP_QUOTE, 1);
	struct audit_event e;
	ck_assert_uint_eq(plane_audit(rig.pb, &e, 1), 1);
	ck_assert_uint_eq(e.id, AUDIT_ICMP_SELECTORS);
	ck_assert_uint_eq(e.have & AUDIT_F_INNER, AUDIT_F_INNER);
	rig_free(&rig);
}
END_TEST

/* The kinds that policy tells apart: every type of both versions is of one, or no error. */
START_TEST(kinds)
{
	static const struct {
		uint8_t ver, type, code;
		unsigned kind;
	} want[] = {
		{ 4, 3, 0, ICMP_OF_UNREACHABLE }, { 4, 3, 4, ICMP_OF_TOO_BIG },   { 4, 3, 13, ICMP_OF_UNREACHABLE }, { 4, 4, 0, ICMP_OF_QUENCH },
		{ 4, 5, 1, ICMP_OF_REDIRECT },    { 4, 11, 0, ICMP_OF_TIME },     { 4, 12, 0, ICMP_OF_PARAMETER },   { 4, 0, 0, 0 },
		{ 4, 8, 0, 0 },                   { 4, 13, 0, 0 },                { 4, 18, 0, 0 },                   { 4, 30, 0, 0 },
		{ 4, 6, 0, ICMP_OF_OTHER },       { 4, 200, 0, ICMP_OF_OTHER },   { 6, 1, 4, ICMP_OF_UNREACHABLE },  { 6, 2, 0, ICMP_OF_TOO_BIG },
		{ 6, 3, 0, ICMP_OF_TIME },        { 6, 4, 1, ICMP_OF_PARAMETER }, { 6, 5, 0, ICMP_OF_OTHER },        { 6, 127, 0, ICMP_OF_OTHER },
		{ 6, 128, 0, 0 },                 { 6, 136, 0, 0 },               { 6, 137, 0, ICMP_OF_REDIRECT },   { 6, 0, 0, ICMP_OF_OTHER },
	};

	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		uint8_t m[8] = { want[i].type, want[i].code };
		struct flow_key k = { .ver = want[i].ver, .proto = want[i].ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				      .dport = (uint16_t)(want[i].type << 8 | want[i].code) };
		ck_assert_msg(icmp_error_of(&k) == want[i].kind, "IPv%u %u/%u", want[i].ver, want[i].type, want[i].code);
		ck_assert_uint_eq(icmp_message_of(want[i].ver, m, 8), want[i].kind);
		ck_assert_uint_eq(icmp_message_of(want[i].ver, m, 7), 0);
		k.flags = FLOW_OPAQUE;
		ck_assert_uint_eq(icmp_error_of(&k), 0);
		k.flags = 0;
		k.proto = IPPROTO_UDP;
		ck_assert_uint_eq(icmp_error_of(&k), 0);
	}
}
END_TEST

/* RFC 4301 6.1.1, by type: what is not accepted is dropped, as often as it comes, whether a policy is for it or its quote; the rest passes. */
START_TEST(types)
{
	bool ah = _i & 1, by_policy = _i & 2;
	struct rig_opts o = { 0 };
	struct audit_event e[4];

	if (ah)
		o = (struct rig_opts) { .ah = true, .raw = true, .suite = "null-sha256" };
	start_with(4, true, false, o);
	if (by_policy) {
		struct rig_policy all = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" };
		struct spd *a = plane_set_spd(rig.pa, rig_spd(&rig, &all, 1, false)), *b = plane_set_spd(rig.pb, rig_spd(&rig, &all, 1, true));
		spd_free(&a);
		spd_free(&b);
	}
	struct icmp_rules r = { .protected_in = ICMP_OF_TIME, .unprotected_in = 0, .told = ICMP_OF_TIME };
	plane_set_icmp(rig.pb, &r);
	for (unsigned k = 0; k < 6; k++) {
		uint32_t n = rig_udp(4, 1, 100, pkt);
		turn();
		n = complain(n, router(4), k & 1 ? ICMP_KIND_TTL : ICMP_KIND_ADMIN);
		rig_send(&rig, err, n);
		if (ah)
			rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
		else
			rig_in_wire(&rig, 0);
		rig_wire_clear(&rig);
		ck_assert_uint_eq(rig.n_got, k & 1);
		rig_got_clear(&rig);
		if (k & 1)
			rig_dropped(rig.b, DROP_NONE, 0);
		else
			rig_dropped(rig.b, DROP_ICMP_TYPE, 1);
		ck_assert_uint_eq(plane_audit(rig.pb, e, 4), 1);
		ck_assert_uint_eq(e[0].id, AUDIT_ICMP_ERROR);
		ck_assert_uint_eq(e[0].reason, k & 1 ? DROP_NONE : DROP_ICMP_TYPE);
		ck_assert_uint_eq(e[0].spi, RIG_SPI);
	}
	/* queries are no errors; another rule holds at once */
	plane_set_icmp(rig.pa, &(struct icmp_rules) { .told = ICMP_OF_ALL, .protected_in = ICMP_OF_ALL });
	uint32_t n = rig_udp(4, 1, 100, pkt);
	turn();
	n = complain(n, router(4), ICMP_KIND_TTL);
	rig_send(&rig, err, n); /* on the way in it is told, too */
	ck_assert_uint_eq(plane_audit(rig.pa, e, 4), 1);
	ck_assert_uint_eq(e[0].id, AUDIT_ICMP_ERROR);
	ck_assert_uint_eq(e[0].inner_dst.port >> 8, 11);
	rig_free(&rig);
}
END_TEST

/* From our side, about what came in by the SA: it goes back by the SA, and is accepted there. With and without a policy for the rest. */
START_TEST(out_and_in)
{
	int ver = _i & 1 ? 6 : 4;

	start(ver, true, _i & 2);
	uint32_t n = rig_udp(ver, 1, 100, pkt);
	turn();
	n = complain(n, router(ver), ICMP_KIND_TTL);
	rig_send(&rig, err, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_got_is(&rig, 0, err, n);
	rig_dropped(rig.a, DROP_SHORT, 0);
	rig_dropped(rig.b, DROP_SHORT, 0);
	rig_free(&rig);
}
END_TEST

/* About a packet that the SA does not carry: another port; ours, not turned round; nothing that can be read. */
START_TEST(not_its_own)
{
	int ver = _i ? 6 : 4;
	uint8_t esp[3000];

	start(ver, true, false);
	for (unsigned k = 0; k < 3; k++) {
		uint32_t n = rig_udp(ver, k == 0 ? 2 : 1, 100, pkt);
		if (k != 1)
			turn();
		n = complain(n, router(ver), ICMP_KIND_ADMIN);
		if (k == 2)
			err[ver == 4 ? 28 : 48] = 0;
		rig_send(&rig, err, n);
		rig_dropped(rig.a, DROP_NO_POLICY, 1);
		n = rig_seal_packet(&rig, k + 1, err, n, 0, ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, esp);
		rig_in(&rig, esp, n, 0);
		rig_dropped(rig.b, DROP_ICMP_QUOTE, 1);
	}
	ck_assert_uint_eq(rig.n_wire + rig.n_got, 0);
	rig_free(&rig);
}
END_TEST

START_TEST(switched_off)
{
	uint8_t esp[3000];

	start(4, false, false);
	uint32_t n = rig_udp(4, 1, 100, pkt);
	turn();
	n = complain(n, router(4), ICMP_KIND_TTL);
	rig_send(&rig, err, n);
	rig_dropped(rig.a, DROP_NO_POLICY, 1);
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, err, n, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_ICMP_QUOTE, 1);
	rig_free(&rig);
}
END_TEST

/* No error: an echo request that quotes something is not looked into. */
START_TEST(no_error)
{
	uint8_t esp[3000];

	start(4, true, false);
	uint32_t n = rig_udp(4, 1, 100, pkt);
	turn();
	n = complain(n, router(4), ICMP_KIND_TTL);
	err[20] = 8;
	rig_send(&rig, err, n);
	rig_dropped(rig.a, DROP_NO_POLICY, 1);
	rig_in(&rig, esp, rig_seal_packet(&rig, 1, err, n, 0, IPPROTO_IPIP, esp), 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	rig_free(&rig);
}
END_TEST

/* A quote may end anywhere. */
START_TEST(quote_cut_off)
{
	for (int ver = 4; ver <= 6; ver += 2) {
		uint32_t n = rig_udp(ver, 1, 100, pkt), hdr = ver == 4 ? 20 : 40;
		uint32_t all = complain(n, router(ver), ICMP_KIND_TOO_BIG);
		for (uint32_t len = 0; len <= all - hdr; len++) {
			uint8_t *copy = malloc(len ? len : 1);
			struct icmp_quote q;
			struct flow_key k;
			uint32_t at;
			memcpy(copy, err + hdr, len);
			bool ok = icmp_quote_read(ver, copy, len, &q);
			ck_assert_int_eq(ok, len >= 8 + hdr);
			if (ok) {
				ck_assert_uint_eq(q.mtu, 1300);
				ck_assert_uint_eq(q.total, n);
				ck_assert(icmp_is_too_big(ver, &q));
				ck_assert(icmp_quote_key(&q, &k, &at));
				ck_assert_int_eq(!(k.flags & FLOW_OPAQUE), len >= 8 + hdr + 4);
				struct icmp_quote_sa sa;
				ck_assert_int_eq(icmp_quote_sa(&q, &sa), len >= 8 + hdr + 12);
			}
			free(copy);
		}
	}
}
END_TEST

START_TEST(quoted_sa)
{
	struct { uint8_t proto; uint32_t spi_at; bool udp; } row[] = { { 50, 0, false }, { 51, 4, false }, { 17, 8, true } };

	for (unsigned i = 0; i < 3; i++) {
		struct icmp_quote q;
		struct icmp_quote_sa s;
		uint32_t n = rig_udp(4, 1, 100, pkt);
		pkt[9] = row[i].proto;
		store_be32(pkt + 20 + row[i].spi_at, 0x12345678);
		n = complain(n, router(4), ICMP_KIND_TOO_BIG);
		ck_assert(icmp_quote_read(4, err + 20, n - 20, &q));
		ck_assert(icmp_quote_sa(&q, &s));
		ck_assert_uint_eq(s.spi, 0x12345678);
		ck_assert_uint_eq(s.proto, i == 1 ? 51 : 50);
		ck_assert_int_eq(s.udp, row[i].udp);
		err[28 + 9] = 6; /* TCP */
		ck_assert(icmp_quote_read(4, err + 20, n - 20, &q));
		ck_assert(!icmp_quote_sa(&q, &s));
	}
}
END_TEST

#define AGE_NS (600 * NS_PER_S)

static bool learn(struct sa *sa, int ver, uint32_t mtu, uint32_t packet, uint64_t now)
{
	struct pmtu_word m = { .ver = ver, .mtu = mtu, .packet = packet, .route = 1500, .age_ns = AGE_NS };

	return pmtu_learn(sa, &m, now);
}

START_TEST(pmtu)
{
	uint64_t t = rig_now_ns;
	struct sa *sa;

	rig_new(&rig, NULL);
	sa = rig.out;
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), 1500);
	ck_assert(!learn(sa, 4, 1500, 1500, t)); /* it was not too big for that */
	ck_assert(!learn(sa, 4, 1400, 1300, t));
	ck_assert(!learn(sa, 4, 1500, 9000, t)); /* the way out carries no more anyway */
	ck_assert(learn(sa, 4, 1400, 1500, t));
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), 1400);
	ck_assert_uint_eq(pmtu_now(sa, 1300, t), 1300);
	ck_assert(!learn(sa, 4, 1450, 1500, t)); /* never larger */
	ck_assert(!learn(sa, 4, 1400, 1500, t + 1)); /* the same once more: it lives longer */
	ck_assert_uint_eq(pmtu_now(sa, 1500, t + AGE_NS), 1400);
	ck_assert_uint_eq(pmtu_now(sa, 1500, t + 1 + AGE_NS), 1500);
	ck_assert(learn(sa, 4, 0, 1500, t)); /* RFC 1191 7: it does not say */
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), 1492);
	ck_assert(learn(sa, 4, 0, 1492, t));
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), 1006);
	ck_assert(learn(sa, 4, 68, 1006, t));
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), PMTU_FLOOR_V4);
	sa->pmtu = 0;
	ck_assert(learn(sa, 6, 0, 1500, t));
	ck_assert_uint_eq(pmtu_now(sa, 1500, t), PMTU_FLOOR_V6);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_icmp(void)
{
	TCase *t = tcase_create("icmp errors");

	tcase_add_loop_test(t, out_and_in, 0, 4);
	tcase_add_loop_test(t, out_and_in_ah, 0, 4);
	tcase_add_test(t, kinds);
	tcase_add_loop_test(t, types, 0, 4);
	tcase_add_loop_test(t, no_sa_no_acquire, 0, 2);
	tcase_add_loop_test(t, not_its_own, 0, 2);
	tcase_add_test(t, switched_off);
	tcase_add_test(t, no_error);
	tcase_add_test(t, quote_cut_off);
	tcase_add_test(t, quoted_sa);
	tcase_add_test(t, pmtu);
	return t;
}
