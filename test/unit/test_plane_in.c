/* What happens to a packet on its way in: marks, padding, whose it is, where it comes from, and what is no packet at all. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto_util.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[4000], esp[5000];
static uint64_t next_seq;

static void receive(uint32_t len, uint32_t tfc, uint8_t next_header, uint8_t outer_tos)
{
	rig_in(&rig, esp, rig_seal_packet(&rig, ++next_seq, pkt, len, tfc, next_header, esp), outer_tos);
}

/* ---- RFC 6040 ----------------------------------------------------------------------------------- */

/* Figure 4, written down once more: rows inner Not-ECT, ECT(1), ECT(0), CE; columns outer the same; -1: dropped. */
static const int figure4[4][4] = { { 0, 0, 0, -1 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 }, { 3, 3, 3, 3 } };

START_TEST(test_ecn_table)
{
	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned normal = 0; normal < 2; normal++) {
			struct rig_opts o = { .no_ecn = !normal };
			rig_new(&rig, &o);
			next_seq = 0;
			for (uint8_t inner = 0; inner < 4; inner++)
				for (uint8_t outer = 0; outer < 4; outer++) {
					struct pkt_spec s = { .ver = ver, .proto = IPPROTO_UDP, .tos = 0xb8 | inner, .data = pkt + 3000, .len = 50 };
					int want = normal ? figure4[inner][outer] : inner;
					uint32_t n = pkt_make(&s, pkt);
					rig_got_clear(&rig);
					receive(n, 0, ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, 0x20 | outer);
					if (want < 0) {
						ck_assert_uint_eq(rig.n_got, 0);
						rig_dropped(rig.b, DROP_ECN, 1);
						continue;
					}
					/* nothing but the field (and the header checksum) changes; the DSCP outside means nothing */
					s.tos = (uint8_t)(0xb8 | want);
					n = pkt_make(&s, pkt);
					ck_assert_uint_eq(rig.n_got, 1);
					rig_got_is(&rig, 0, pkt, n);
					rig_dropped(rig.b, DROP_NONE, 0);
				}
			rig_free(&rig);
		}
}
END_TEST

/* ---- padding ------------------------------------------------------------------------------------ */

/* RFC 4303 2.7: what follows the inner packet is no business of ours, up to the padding. */
START_TEST(test_tfc_padding)
{
	rig_new(&rig, NULL);
	next_seq = 0;
	for (int ver = 4; ver <= 6; ver += 2)
		for (uint32_t tfc = 0; tfc < 1500; tfc += tfc < 70 ? 1 : 97) {
			uint32_t n = rig_udp(ver, tfc, 30, pkt);
			rig_got_clear(&rig);
			receive(n, tfc, ver == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, 0);
			ck_assert_uint_eq(rig.n_got, 1);
			rig_got_is(&rig, 0, pkt, n);
		}
	ck_assert_uint_eq(rig.in->bytes, rig.b->c.in_bytes);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* RFC 4303 2.4: up to 255 bytes of padding, 1, 2, 3, ... */
START_TEST(test_long_padding)
{
	uint8_t text[600];
	uint32_t n = rig_udp(4, 1, 30, pkt);

	rig_new(&rig, NULL);
	next_seq = 0;
	for (unsigned pad = 0; pad < 256; pad++) {
		uint32_t total = n + pad + 2;
		if (total % 4)
			continue;
		for (unsigned wrong = 0; wrong < 2; wrong++) {
			memcpy(text, pkt, n);
			for (unsigned i = 0; i < pad; i++)
				text[n + i] = (uint8_t)(i + 1);
			if (wrong && pad)
				text[n + pick(pad)] ^= 0x10;
			text[n + pad] = (uint8_t)pad;
			text[n + pad + 1] = IPPROTO_IPIP;
			rig_got_clear(&rig);
			rig_in(&rig, esp, rig_seal(&rig, ++next_seq, text, total, esp), 0);
			if (wrong && pad) {
				rig_dropped(rig.b, DROP_ESP_PADDING, 1);
				continue;
			}
			ck_assert_uint_eq(rig.n_got, 1);
			rig_got_is(&rig, 0, pkt, n);
		}
	}
	rig_free(&rig);
}
END_TEST

/* ---- may this SA carry it ------------------------------------------------------------------------ */

START_TEST(test_policy_in)
{
	struct rig_opts o = { .policy = { { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .rport = 80 },
					  { .action = POLICY_BYPASS, .proto = IPPROTO_UDP, .rport = 81 },
					  { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .rport = 82, .no_sa = true } },
			      .n_policy = 3 };
	static const struct {
		uint16_t port;
		bool ok;
	} t[] = { { 80, true }, { 81, false }, { 82, false }, { 83, false }, { 80, true } };

	rig_new(&rig, &o);
	next_seq = 0;
	for (unsigned again = 0; again < 2; again++) /* searched, then from the flow table */
		for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
			struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .dport = t[i].port };
			uint32_t n = pkt_make(&s, pkt);
			rig_got_clear(&rig);
			receive(n, 0, IPPROTO_IPIP, 0);
			ck_assert_uint_eq(rig.n_got, t[i].ok);
			rig_dropped(rig.b, DROP_POLICY_IN, !t[i].ok);
		}
	ck_assert_uint_eq(rig.in->drops[SA_DROP_POLICY], 6);
	/* the other way round: the packet's source where its destination should be */
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .dport = 80 };
	uint32_t n = pkt_make(&s, pkt);
	uint8_t swap[4];
	memcpy(swap, pkt + 12, 4);
	memcpy(pkt + 12, pkt + 16, 4);
	memcpy(pkt + 16, swap, 4);
	receive(n, 0, IPPROTO_IPIP, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	rig_free(&rig);
}
END_TEST

/* The SA's own selectors are narrower than its policy. */
START_TEST(test_sa_selectors)
{
	struct selector sel = { .proto = IPPROTO_UDP, .local_port = { PORT_RANGE, 80, 90 } };
	struct rig_opts o = { .sel_in = &sel };

	ck_assert_int_eq(ip_range_parse("10.2.0.0/16", &sel.local), 0);
	ck_assert_int_eq(ip_range_parse("10.1.0.0/16", &sel.remote), 0);
	rig_new(&rig, &o);
	next_seq = 0;
	for (uint16_t port = 78; port < 94; port++) {
		struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .dport = port };
		bool ok = port >= 80 && port <= 90;
		for (unsigned again = 0; again < 2; again++) {
			uint32_t n = pkt_make(&s, pkt);
			rig_got_clear(&rig);
			receive(n, 0, IPPROTO_IPIP, 0);
			ck_assert_uint_eq(rig.n_got, ok);
			rig_dropped(rig.b, DROP_POLICY_IN, !ok);
		}
	}
	uint32_t n = rig_udp(6, 1, 20, pkt);
	receive(n, 0, IPPROTO_IPV6, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	rig_free(&rig);
}
END_TEST

/* Another SA between the same hosts, which no policy names: what comes by it is not what the policy asks for. */
START_TEST(test_other_sa)
{
	static struct rig other;
	struct spd *old;

	rig_new(&other, NULL);
	rig_new(&rig, NULL);
	next_seq = 0;
	uint32_t n = rig_udp(4, 1, 30, pkt);
	receive(n, 0, IPPROTO_IPIP, 0);
	ck_assert_uint_eq(rig.n_got, 1); /* and the flow table knows it now */
	struct rig_policy p = { .action = POLICY_PROTECT };
	struct sa *mine = rig.in;
	rig.in = other.in; /* a policy that names the other's SA */
	old = plane_set_spd(rig.pb, rig_spd(&rig, &p, 1, true));
	rig.in = mine;
	spd_free(&old);
	receive(n, 0, IPPROTO_IPIP, 0);
	receive(n, 0, IPPROTO_IPIP, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_dropped(rig.b, DROP_POLICY_IN, 2);
	rig_free(&rig);
	rig_free(&other);
}
END_TEST

/* ---- where it comes from ------------------------------------------------------------------------- */

START_TEST(test_peer_moves)
{
	struct endpoint elsewhere;
	struct ip_addr none = { 0 };
	uint32_t n = rig_udp(4, 1, 30, pkt), len;

	rig_new(&rig, NULL);
	elsewhere = rig.peer_a;
	elsewhere.port = 61000;
	rig_in(&rig, esp, rig_seal_packet(&rig, 100, pkt, n, 0, IPPROTO_IPIP, esp), 0);
	rig_event(rig.pb, -1);

	/* forged: from elsewhere, but not authentic; and a replayed one */
	len = rig_seal_packet(&rig, 101, pkt, n, 0, IPPROTO_IPIP, esp);
	esp[30] ^= 1;
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	rig_dropped(rig.b, DROP_AUTH, 1);
	len = rig_seal_packet(&rig, 100, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	rig_dropped(rig.b, DROP_REPLAY, 1);
	rig_event(rig.pb, -1);
	/* held back: authentic and new, but not the newest */
	len = rig_seal_packet(&rig, 99, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	ck_assert_uint_eq(rig.n_got, 2);
	rig_event(rig.pb, -1);

	len = rig_seal_packet(&rig, 101, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	struct ipsec_event e = rig_event(rig.pb, EV_PEER_ADDR);
	ck_assert_ptr_eq(e.sa, rig.in);
	ck_assert_uint_eq(e.spi, RIG_SPI);
	ck_assert(endpoint_eq(&e.peer, &elsewhere));
	/* said once, until the control thread had time to follow */
	len = rig_seal_packet(&rig, 102, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	rig_event(rig.pb, -1);
	rig_now_ns += 25 * NS_PER_MS;
	len = rig_seal_packet(&rig, 103, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	rig_event(rig.pb, EV_PEER_ADDR);

	ck_assert_int_eq(plane_set_path(rig.pb, rig.in, &none, &elsewhere), 0);
	rig_now_ns += 25 * NS_PER_MS;
	len = rig_seal_packet(&rig, 104, pkt, n, 0, IPPROTO_IPIP, esp);
	rig_in_from(&rig, esp, len, len, 0, &elsewhere);
	rig_event(rig.pb, -1);
	ck_assert_uint_eq(rig.n_got, 6);
	rig_free(&rig);
}
END_TEST

/* ---- what is no packet --------------------------------------------------------------------------- */

static void only_drops(unsigned sent)
{
	uint64_t drops = 0;

	for (unsigned d = 0; d < DROP_REASONS; d++)
		drops += rig.b->c.drop.n[d];
	ck_assert_uint_eq(rig.n_got, 0);
	ck_assert_uint_eq(drops, sent);
	ck_assert_uint_eq(rig.in->replay.top, 0);
	ck_assert_uint_eq(rig.in->packets, 0);
	ck_assert_uint_eq(rig.in->bytes, 0);
	/* many SPIs nobody knows, told once: the clock stands still */
	rig_event(rig.pb, EV_UNKNOWN_SPI);
	rig_event(rig.pb, -1);
}

static void malformed(const struct esp_suite *s, void *arg)
{
	struct rig_opts o = { .suite_made = s, .esn = true };
	struct endpoint elsewhere = { .port = 9 };
	uint32_t n = rig_udp(4, 1, 77, pkt), len;
	unsigned sent = 0;

	rig_new(&rig, &o);
	elsewhere.addr = rig.peer_a.addr;
	len = rig_seal_packet(&rig, 1, pkt, n, 0, IPPROTO_IPIP, esp);
	for (uint32_t i = 0; i < len; i++, sent++)
		rig_in_from(&rig, esp, i, i, 0, &elsewhere);
	for (unsigned i = 0; i < 200; i++, sent++) {
		uint8_t bad[1000];
		memcpy(bad, esp, len);
		for (unsigned flips = 1 + pick(3); flips > 0; flips--)
			bad[pick(len)] ^= (uint8_t)(1 << pick(8));
		if (memcmp(bad, esp, len) == 0)
			bad[len / 2] ^= 0x80;
		rig_in_from(&rig, bad, len, len, 0, &elsewhere);
	}
	/* longer than it was */
	memset(esp + len, 0, 64);
	for (unsigned i = 1; i <= 64; i++, sent++)
		rig_in_from(&rig, esp, len + i, len + i, 0, &elsewhere);
	/* bytes of no meaning, and the right SPI before them */
	for (unsigned i = 0; i < 200; i++, sent++) {
		uint8_t bad[400];
		uint32_t m = 8 + pick(300);
		pick_bytes(bad, m);
		if (i % 2)
			store_be32(bad, RIG_SPI);
		rig_in_from(&rig, bad, m, m, 0, &elsewhere);
	}
	only_drops(sent);
	/* the window is as it was: the packet itself is still welcome */
	rig_in(&rig, esp, len, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_free(&rig);
}

START_TEST(test_malformed)
{
	static const char *const names[] = { "aes128gcm16", "aes256-sha256", "aes128ctr-sha1", "3des-md5", "null-sha512",
					     "chacha20poly1305", "aes128ccm8", "aes128gmac" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		struct esp_suite s = suite_of(names[i]);
		malformed(&s, NULL);
	}
}
END_TEST

/* Segment sizes of any kind over a good packet. */
START_TEST(test_odd_segments)
{
	uint8_t all[3000];
	uint32_t n = rig_udp(4, 1, 77, pkt), len = 0;

	rig_new(&rig, NULL);
	for (unsigned i = 1; i <= 10; i++)
		len += rig_seal_packet(&rig, i, pkt, n, 0, IPPROTO_IPIP, all + len);
	rig_in_from(&rig, all, len, 0, 0, &rig.peer_a);
	rig_dropped(rig.b, DROP_SHORT, 1);
	for (uint32_t seg = 1; seg < len + 5; seg++) {
		if (seg % (len / 10) == 0 || (len - len / 10) % seg == 0)
			continue; /* the last piece would be a packet */
		rig_in_from(&rig, all, len, seg, 0, &rig.peer_a);
	}
	ck_assert_uint_eq(rig.n_got, 0);
	ck_assert_uint_eq(rig.in->replay.top, 0);
	rig_in_from(&rig, all, len, len / 10, 0, &rig.peer_a);
	ck_assert_uint_eq(rig.n_got, 10);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_in(void)
{
	TCase *t = tcase_create("in");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_ecn_table);
	tcase_add_test(t, test_tfc_padding);
	tcase_add_test(t, test_long_padding);
	tcase_add_test(t, test_policy_in);
	tcase_add_test(t, test_sa_selectors);
	tcase_add_test(t, test_other_sa);
	tcase_add_test(t, test_peer_moves);
	tcase_add_test(t, test_malformed);
	tcase_add_test(t, test_odd_segments);
	return t;
}
