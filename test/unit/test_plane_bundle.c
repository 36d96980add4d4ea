/* SA bundles (RFC 2401 4.3): transport adjacency, iterated tunnels; built in order, and checked as a whole. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "packet/csum.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[66000];
static struct sa *out[4], *in[4];
static unsigned n_sa;

/* One SA more on both sides. */
static void add_sa(bool ah, bool transport, const char *src, const char *dst)
{
	rig.o.ah = ah;
	rig.o.transport = transport;
	rig.o.suite = ah ? "null-sha256" : "aes128gcm16";
	rig.o.raw = true;
	rig.o.src = src;
	rig.o.dst = dst;
	out[n_sa] = rig_sa(&rig, DIR_OUT, 0x2000 + n_sa, 0);
	in[n_sa] = rig_sa(&rig, DIR_IN, 0x2000 + n_sa, 0);
	n_sa++;
}

static void set_policy(struct plane *p, enum ipsec_dir dir, struct sa **sas, unsigned n)
{
	struct policy *list[2];
	struct spd *spd;

	for (unsigned v = 0; v < 2; v++) {
		struct policy *pol = list[v] = calloc(1, sizeof(*pol));
		pol->name = strdup("bundle");
		pol->action = POLICY_PROTECT;
		pol->dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
		pol->sel = calloc(1, sizeof(*pol->sel));
		pol->n_sel = 1;
		pol->sel[0] = (struct selector) { .local = ip_range_all(v ? 6 : 4), .remote = ip_range_all(v ? 6 : 4), .proto = PROTO_ANY };
		struct sa **v2 = calloc(n, sizeof(*v2));
		for (unsigned i = 0; i < n; i++)
			v2[i] = sa_ref(sas[i]);
		*(dir == DIR_OUT ? &pol->out : &pol->in) = v2;
		*(dir == DIR_OUT ? &pol->n_out : &pol->n_in) = n;
	}
	ck_assert_int_eq(spd_compile(list, 2, &spd), 0);
	struct spd *was = plane_set_spd(p, spd);
	spd_free(&was);
}

static void start(void)
{
	struct rig_opts o = { .raw = true };

	n_sa = 0;
	rig_new(&rig, &o);
}

static void policies(void)
{
	set_policy(rig.pa, DIR_OUT, out, n_sa);
	set_policy(rig.pb, DIR_IN, in, n_sa);
}

static void finish(void)
{
	for (unsigned i = 0; i < n_sa; i++) {
		sa_unref(&out[i]);
		sa_unref(&in[i]);
	}
	rig_free(&rig);
}

static uint32_t make(bool hosts, unsigned len)
{
	uint32_t n = rig_udp(4, 3, len, pkt);

	if (hosts) {
		memcpy(pkt + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
		csum_ip4_set(pkt);
		csum_l4_set(pkt, 20, n, IPPROTO_UDP);
	}
	return n;
}

/* RFC 2401 4.3: AH over ESP, both in transport mode: [IP][AH][ESP][upper]. */
START_TEST(test_transport_adjacency)
{
	start();
	add_sa(false, true, NULL, NULL);
	add_sa(true, true, NULL, NULL);
	policies();
	for (unsigned len = 0; len < 1200; len += 101) {
		uint32_t n = make(true, len);
		rig_send(&rig, pkt, n);
		ck_assert_uint_eq(rig.n_wire, 1);
		const uint8_t *w = rig.wire[0].p;
		ck_assert_uint_eq(w[9], IPPROTO_AH);
		ck_assert_uint_eq(w[20], IPPROTO_ESP);
		ck_assert_uint_eq(load_be32(w + 24), 0x2001);
		ck_assert_uint_eq(load_be32(w + 20 + 28), 0x2000);
		rig_in_ah(&rig, w, rig.wire[0].len);
		rig_got_is(&rig, 0, pkt, n);
		rig_wire_clear(&rig);
		rig_got_clear(&rig);
	}
	ck_assert_uint_eq(out[0]->packets, 12);
	ck_assert_uint_eq(in[1]->packets, 12);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	finish();
}
END_TEST

/* Cases of RFC 2401 4.5: iterated tunnels with the same end, or with another end inside; ESP and AH in any order. */
START_TEST(test_iterated_tunnels)
{
	for (unsigned k = 0; k < 8; k++) {
		bool inner_ah = k & 1, outer_ah = k & 2, transport_inside = k & 4;
		start();
		add_sa(inner_ah, transport_inside, "192.0.2.1", "192.0.2.2");
		add_sa(outer_ah, false, "192.0.2.1", "192.0.2.2");
		policies();
		uint32_t n = make(transport_inside, 300);
		rig_send(&rig, pkt, n);
		ck_assert_msg(rig.n_wire == 1, "case %u", k);
		if (outer_ah)
			rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
		else
			rig_in_wire(&rig, 0); /* ESP tunnel outside: the system makes its header */
		ck_assert_msg(rig.n_got == 1, "case %u", k);
		rig_got_is(&rig, 0, pkt, n);
		rig_dropped(rig.a, DROP_NONE, 0);
		rig_dropped(rig.b, DROP_NONE, 0);
		finish();
	}
}
END_TEST

/* The inner tunnel ends elsewhere: what comes out is somebody else's ESP, and a packet like any other. */
START_TEST(test_other_end)
{
	start();
	add_sa(false, false, "192.0.2.1", "198.51.100.9");
	add_sa(false, false, "192.0.2.1", "192.0.2.2");
	set_policy(rig.pa, DIR_OUT, out, 2);
	set_policy(rig.pb, DIR_IN, &in[1], 1);
	/* the gateway does not have the host's SA */
	sad_remove(plane_sad(rig.pb), in[0]);
	uint32_t n = make(false, 300);
	rig_send(&rig, pkt, n);
	rig_in_wire(&rig, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert_uint_eq(rig.got[0].p[9], IPPROTO_ESP);
	ck_assert_mem_eq(rig.got[0].p + 16, "\xc6\x33\x64\x09", 4);
	/* nor is it taken apart when it has one with that SPI, for another address */
	rig.o.src = "192.0.2.1";
	rig.o.dst = "192.0.2.2";
	struct sa *same_spi = rig_sa(&rig, DIR_IN, 0x2000, 0);
	rig_send(&rig, pkt, n);
	rig_in_wire(&rig, 1);
	ck_assert_uint_eq(rig.n_got, 2);
	rig_dropped(rig.b, DROP_NONE, 0);
	sa_unref(&same_spi);
	finish();
}
END_TEST

/* RFC 2401 5.2.1: the whole bundle that the policy demands, in order. */
START_TEST(test_wrong_bundles)
{
	uint8_t whole[2000], inner_only[2000];

	start();
	add_sa(false, true, NULL, NULL);
	add_sa(true, true, NULL, NULL);
	policies();
	uint32_t n = make(true, 100);
	rig_send(&rig, pkt, n);
	uint32_t len = rig.wire[0].len;
	memcpy(whole, rig.wire[0].p, len);

	/* ESP alone */
	uint32_t esp_len = len - 20 - 28;
	memcpy(inner_only, whole + 48, esp_len);
	rig_in(&rig, inner_only, esp_len, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	ck_assert_uint_eq(rig.n_got, 0);

	/* AH alone */
	set_policy(rig.pa, DIR_OUT, &out[1], 1);
	rig_send(&rig, pkt, n);
	rig_in_ah(&rig, rig.wire[1].p, rig.wire[1].len);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);

	/* the other way round: ESP over AH */
	struct sa *swapped[2] = { out[1], out[0] };
	set_policy(rig.pa, DIR_OUT, swapped, 2);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.wire[2].p[9], IPPROTO_ESP);
	rig.b->rx[0] = (struct sock_rx) { .data = rig.wire[2].p + 20, .len = rig.wire[2].len - 20, .seg = rig.wire[2].len - 20,
					  .hdr_len = 20, .to = in[0]->conf->dst };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, false, deliver_packets);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);

	/* more than the policy demands */
	set_policy(rig.pa, DIR_OUT, out, 2);
	set_policy(rig.pb, DIR_IN, in, 1);
	rig_send(&rig, pkt, n);
	rig_in_ah(&rig, rig.wire[3].p, rig.wire[3].len);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	ck_assert_uint_eq(rig.n_got, 0);

	/* and right again: nothing was remembered wrongly */
	set_policy(rig.pb, DIR_IN, in, 2);
	rig_send(&rig, pkt, n);
	rig_in_ah(&rig, rig.wire[4].p, rig.wire[4].len);
	rig_got_is(&rig, 0, pkt, n);
	rig_dropped(rig.b, DROP_NONE, 0);
	finish();
}
END_TEST

/* A bundle that keying has made: no policy names its SAs, but all of them are demanded, in their order. */
START_TEST(test_negotiated)
{
	struct rig_policy pol = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0", .reqid = 7 };
	struct rig_opts o = { .raw = true, .policy = { pol }, .n_policy = 1, .reqid = 7 };
	uint8_t esp[2000];

	n_sa = 0;
	rig_new(&rig, &o);
	add_sa(false, false, "192.0.2.1", "192.0.2.2");
	add_sa(true, true, "192.0.2.1", "192.0.2.2");
	for (unsigned i = 0; i < 2; i++) {
		in[i]->reqid = in[i]->conf->reqid = 7;
		in[i]->conf->bundle_n = 2;
		in[i]->conf->bundle_at = (uint8_t)i;
	}
	ck_assert_int_eq(plane_switch_out(rig.pa, 7, out, 2), 0);
	uint32_t n = make(false, 100);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert_uint_eq(rig.wire[0].p[9], IPPROTO_AH);
	ck_assert_uint_eq(rig.wire[0].p[20], IPPROTO_ESP);
	rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
	rig_got_is(&rig, 0, pkt, n);
	rig_dropped(rig.b, DROP_NONE, 0);

	/* ESP without its AH, although its SA is of the policy's child */
	rig_send(&rig, pkt, n);
	uint32_t esp_len = rig.wire[1].len - 20 - 28;
	memcpy(esp, rig.wire[1].p + 48, esp_len);
	rig_in(&rig, esp, esp_len, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);

	/* AH without ESP in it */
	ck_assert_int_eq(plane_switch_out(rig.pa, 7, &out[1], 1), 0);
	n = make(true, 100);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 3);
	rig_in_ah(&rig, rig.wire[2].p, rig.wire[2].len);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	ck_assert_uint_eq(rig.n_got, 1);
	finish();
}
END_TEST

/* A router between the firewall and the server says that a packet of the inner SA was too big (RFC 2401 4.5, case 4): that comes through the
 * outer SA alone, and is taken when it quotes what that SA of the bundle has made. */
START_TEST(test_error_about_inner)
{
	static const struct {
		uint32_t spi;
		uint8_t proto, last; /* of the address it was sent to */
		bool ok;
	} t[] = { { 0x7000, 50, 2, true }, { 0x7000, 51, 2, false }, { 0x7001, 50, 2, false }, { 0x7000, 50, 3, false } };
	bool ah = _i & 1;

	start();
	add_sa(false, true, NULL, NULL);
	add_sa(ah, false, "192.0.2.1", "192.0.2.2");
	rig.o.ah = false;
	rig.o.suite = "aes128gcm16";
	rig.o.src = "192.0.2.2"; /* B's own: to a server at .2 behind the firewall */
	rig.o.dst = "192.0.2.2";
	struct sa *made = rig_sa(&rig, DIR_OUT, 0x7000, 0);
	set_policy(rig.pa, DIR_OUT, out + 1, 1);
	struct policy *pol = calloc(1, sizeof(*pol));
	*pol = (struct policy) { .name = strdup("case 4"), .action = POLICY_PROTECT, .dirs = POLICY_DIR_IN, .icmp_errors = true,
				 .sel = calloc(1, sizeof(*pol->sel)), .n_sel = 1, .n_out = 2, .n_in = 2,
				 .out = calloc(2, sizeof(struct sa *)), .in = calloc(2, sizeof(struct sa *)) };
	ck_assert_int_eq(ip_range_parse("192.0.2.2", &pol->sel[0].local), 0);
	ck_assert_int_eq(ip_range_parse("192.0.2.2-192.0.2.3", &pol->sel[0].remote), 0);
	pol->sel[0].proto = PROTO_ANY;
	pol->out[0] = sa_ref(made);
	pol->out[1] = sa_ref(made); /* which one does not matter */
	for (unsigned i = 0; i < 2; i++)
		pol->in[i] = sa_ref(in[i]);
	struct spd *spd;
	ck_assert_int_eq(spd_compile(&pol, 1, &spd), 0);
	struct spd *was = plane_set_spd(rig.pb, spd);
	spd_free(&was);

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		uint8_t e[20 + 8 + 20 + 16] = { 0x45, 0, 0, sizeof(e), 0, 1, 0, 0, 64, IPPROTO_ICMP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
						3, 4, 0, 0, 0, 0, 1000 >> 8, 1000 & 255,
						0x45, 0, 1400 >> 8, 1400 & 255, 0, 2, 0x40, 0, 63, t[i].proto, 0, 0, 192, 0, 2, 2, 192, 0, 2, t[i].last };
		store_be32(e + 48 + (t[i].proto == 51 ? 4 : 0), t[i].spi);
		csum_ip4_set(e);
		csum_l4_set(e, 20, sizeof(e), IPPROTO_ICMP);
		rig_wire_clear(&rig);
		rig_got_clear(&rig);
		rig_send(&rig, e, sizeof(e));
		ck_assert_uint_eq(rig.n_wire, 1);
		if (ah)
			rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
		else
			rig_in_wire(&rig, 0);
		ck_assert_uint_eq(rig.n_got, t[i].ok);
		rig_dropped(rig.b, t[i].ok ? DROP_NONE : DROP_ICMP_QUOTE, t[i].ok ? 0 : 1);
	}
	sa_unref(&made);
	finish();
}
END_TEST

/* Deeper than any bundle may be: taken apart no further. */
START_TEST(test_too_deep)
{
	start();
	for (unsigned i = 0; i < 4; i++)
		add_sa(false, false, "192.0.2.1", "192.0.2.2");
	policies();
	uint32_t n = make(false, 100);
	rig_send(&rig, pkt, n);
	rig_in_wire(&rig, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_got_is(&rig, 0, pkt, n);
	/* what was in four goes into four again */
	rig_wire_clear(&rig);
	rig_got_clear(&rig);
	rig_send(&rig, pkt, n);
	static uint8_t again[4000];
	memcpy(again, "\x45\0\0\0\0\1\0\0\x40\x32\0\0\xc0\0\x02\x01\xc0\0\x02\x02", 20);
	memcpy(again + 20, rig.wire[0].p, rig.wire[0].len);
	store_be16(again + 2, (uint16_t)(20 + rig.wire[0].len));
	csum_ip4_set(again);
	rig_send(&rig, again, 20 + rig.wire[0].len);
	rig_in_wire(&rig, 1);
	ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	finish();
}
END_TEST

/* Super-packets are split before, and what does not fit through all of them is told so. */
START_TEST(test_bundle_sizes)
{
	static uint8_t data[9000];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .frag = 0x4000, .data = data, .len = sizeof(data) };
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 40,
				    .gso_size = 1000, .csum_start = 20, .csum_offset = 16 };

	start();
	add_sa(false, false, "192.0.2.1", "192.0.2.2");
	add_sa(true, false, NULL, NULL);
	policies();
	rig_put(&rig, &v, pkt, pkt_make(&s, pkt));
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 9);
	for (unsigned i = 0; i < 9; i++)
		rig_in_ah(&rig, rig.wire[i].p, rig.wire[i].len);
	ck_assert_uint_eq(rig.n_got, 9);
	for (unsigned i = 0; i < 9; i++)
		ck_assert(slow_l4_ok(rig.got[i].p, 20, rig.got[i].len, IPPROTO_TCP));
	/* 1500 - 20 - 28 for AH, - 20 - 8 - 8 - 16 for ESP, 1400 in blocks of 4, less the trailer */
	rig_wire_clear(&rig);
	s.len = 1398 - 40;
	rig_send(&rig, pkt, pkt_make(&s, pkt));
	ck_assert_uint_eq(rig.n_wire, 1);
	ck_assert_uint_eq(rig.wire[0].len, 1500);
	s.len++;
	rig_send(&rig, pkt, pkt_make(&s, pkt));
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	uint8_t back[2000];
	ck_assert_uint_gt(rig_tun_read(rig.tun_a, &v, back, sizeof(back)), 28);
	ck_assert_uint_eq(load_be16(back + 26), 1398);
	finish();
}
END_TEST

/* Options in front of ESP in transport mode: the header is made here. */
START_TEST(test_esp_behind_options)
{
	start();
	add_sa(false, true, NULL, NULL);
	policies();
	uint32_t n = make(true, 100);
	memmove(pkt + 24, pkt + 20, n - 20);
	memcpy(pkt + 20, "\x94\x04\0\0", 4);
	pkt[0] = 0x46;
	store_be16(pkt + 2, (uint16_t)(n + 4));
	csum_ip4_set(pkt);
	rig_send(&rig, pkt, n + 4);
	ck_assert_uint_eq(rig.n_wire, 1);
	const uint8_t *w = rig.wire[0].p;
	ck_assert(slow_ip4_ok(w));
	ck_assert_uint_eq(w[9], IPPROTO_ESP);
	ck_assert_mem_eq(w + 20, "\x94\x04\0\0", 4);
	ck_assert_uint_eq(load_be32(w + 24), 0x2000);
	rig_in(&rig, w + 24, rig.wire[0].len - 24, 0);
	ck_assert_uint_eq(rig.n_got, 1);
	ck_assert_mem_eq(rig.got[0].p + 20, pkt + 24, n - 20);
	finish();
}
END_TEST

TCase *tcase_plane_bundle(void)
{
	TCase *t = tcase_create("bundle");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_transport_adjacency);
	tcase_add_test(t, test_iterated_tunnels);
	tcase_add_test(t, test_other_end);
	tcase_add_test(t, test_wrong_bundles);
	tcase_add_test(t, test_negotiated);
	tcase_add_test(t, test_too_deep);
	tcase_add_loop_test(t, test_error_about_inner, 0, 2);
	tcase_add_test(t, test_bundle_sizes);
	tcase_add_test(t, test_esp_behind_options);
	return t;
}
