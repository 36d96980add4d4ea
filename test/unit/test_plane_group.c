/* SAs to multicast groups: which SA a packet belongs to, several senders, and tunnels with the inner addresses outside. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_util.h"
#include "packet/csum.h"
#include "plane_rig.h"

#define GROUP "239.9.9.9"
#define INNER "239.1.1.1"

static struct rig rig;
static uint8_t pkt[2000];

static void start(struct rig_opts o)
{
	o.raw = true;
	o.src = "192.0.2.1";
	if (!o.dst)
		o.dst = GROUP;
	o.policy[0] = (struct rig_policy) { .action = POLICY_PROTECT, .local = "10.1.0.0/16", .remote = INNER };
	o.n_policy = 1;
	rig_new(&rig, &o);
}

/* From 10.1.0.1 to the inner group. */
static uint32_t make(unsigned len)
{
	uint32_t n = rig_udp(4, 3, len, pkt);

	memcpy(pkt + 16, "\xef\1\1\1", 4);
	csum_ip4_set(pkt);
	csum_l4_set(pkt, 20, n, IPPROTO_UDP);
	return n;
}

static void in_from(const char *src, unsigned i)
{
	struct endpoint from = { .port = 0 };

	ck_assert_int_eq(ip_addr_parse(src, &from.addr), 0);
	rig_in_from(&rig, rig.wire[i].p, rig.wire[i].len, rig.wire[i].len, 0, &from);
}

/* By destination, from any source; nobody moves by sending. */
START_TEST(test_any_sender)
{
	struct ipsec_event e;

	start((struct rig_opts) { .from_any = true });
	uint32_t n = make(100);
	rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 1);
	in_from("192.0.2.1", 0);
	in_from("192.0.2.7", 0);
	in_from("198.51.100.1", 0);
	ck_assert_uint_eq(rig.n_got, 3); /* numbers say nothing */
	rig_got_is(&rig, 2, pkt, n);
	ck_assert_uint_eq(plane_events(rig.pb, &e, 1), 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* To another group, or to us, it is nobody's. */
START_TEST(test_other_destination)
{
	struct ip_addr other;

	start((struct rig_opts) { .from_any = true });
	rig_send(&rig, pkt, make(100));
	struct ip_addr group = rig.in->conf->dst;
	ck_assert_int_eq(ip_addr_parse("239.9.9.8", &other), 0);
	/* the packet's, not the SA's: the rig takes it from there */
	struct sock_rx *rx = &rig.b->rx[0];
	for (unsigned i = 0; i < 2; i++) {
		*rx = (struct sock_rx) { .data = rig.wire[0].p, .len = rig.wire[0].len, .seg = rig.wire[0].len };
		endpoint_to_sockaddr(&rig.peer_a, &rx->from);
		rx->to = i ? rig.peer_a.addr : other;
		rig_begin(rig.b);
		inbound_datagrams(rig.b, 1, false, deliver_packets);
		rig_dropped(rig.b, DROP_UNKNOWN_SPI, 1);
	}
	ck_assert(ip_addr_eq(&group, &rig.in->conf->dst));
	ck_assert_uint_eq(rig.in->packets, 0);
	rig_free(&rig);
}
END_TEST

/* An SA for each sender, all with one SPI: windows of their own. */
START_TEST(test_each_sender)
{
	start((struct rig_opts) { .from_any = false });
	rig.o.src = "192.0.2.7";
	struct sa *in7 = rig_sa(&rig, DIR_IN, RIG_SPI + 1, 0);
	sad_remove(plane_sad(rig.pb), in7);
	in7->spi = RIG_SPI;
	ck_assert_int_eq(sad_install(plane_sad(rig.pb), in7), 0);
	rig_send(&rig, pkt, make(100));
	in_from("192.0.2.1", 0);
	ck_assert_uint_eq(rig.n_got, 1);
	in_from("192.0.2.1", 0);
	rig_dropped(rig.b, DROP_REPLAY, 1);
	in_from("192.0.2.7", 0); /* the same number, another sender; no policy has its SA */
	ck_assert_uint_eq(in7->packets, 1);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	in_from("192.0.2.8", 0);
	rig_dropped(rig.b, DROP_UNKNOWN_SPI, 1);
	ck_assert_uint_eq(rig.in->packets, 1);
	ck_assert_uint_eq(rig.n_got, 1);
	sa_unref(&in7);
	rig_free(&rig);
}
END_TEST

/* The number begins the IV, and what follows it counts; sequence numbers roll over (RFC 4303 3.3.3). */
START_TEST(test_sender_numbers)
{
	static const struct {
		uint16_t bits, id;
	} rows[] = { { 8, 0xab }, { 12, 0xabc }, { 16, 0xabcd }, { 8, 0 } };
	uint64_t last = 0;

	start((struct rig_opts) { .from_any = true, .sender_id = rows[_i].id, .sender_bits = rows[_i].bits });
	atomic_store(&rig.out->seq, UINT32_MAX - 2ull);
	uint32_t n = make(100);
	for (unsigned i = 0; i < 5; i++)
		rig_send(&rig, pkt, n);
	ck_assert_uint_eq(rig.n_wire, 5);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t iv = load_be64(rig.wire[i].p + 8);
		ck_assert_uint_eq(iv >> (64 - rows[_i].bits), rows[_i].id);
		ck_assert(i == 0 || iv == last + 1);
		ck_assert_uint_eq(load_be32(rig.wire[i].p + 4), (uint32_t)(UINT32_MAX - 1u + i));
		last = iv;
		in_from("192.0.2.1", i);
	}
	ck_assert_uint_eq(rig.n_got, 5);
	rig_got_is(&rig, 4, pkt, n);
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* RFC 5374 3.1 */
START_TEST(test_preserved)
{
	bool ah = _i;

	start((struct rig_opts) { .from_any = true, .preserve = true, .dst = INNER, .ah = ah, .suite = ah ? "null-sha256" : NULL });
	for (unsigned len = 0; len < 1300; len += 99) {
		uint32_t n = make(len);
		rig_send(&rig, pkt, n);
		ck_assert_uint_eq(rig.n_wire, 1);
		const uint8_t *w = rig.wire[0].p;
		ck_assert(slow_ip4_ok(w));
		ck_assert_uint_eq(w[9], ah ? IPPROTO_AH : IPPROTO_ESP);
		ck_assert_mem_eq(w + 12, pkt + 12, 8);
		if (ah) {
			rig_in_ah(&rig, w, rig.wire[0].len);
		} else {
			struct endpoint from = { .addr = ip_addr_from_v4(w + 12) };
			rig_in_from(&rig, w + 20, rig.wire[0].len - 20, rig.wire[0].len - 20, 0, &from);
		}
		rig_got_is(&rig, 0, pkt, n);
		rig_got_clear(&rig);
		rig_wire_clear(&rig);
	}
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig_free(&rig);
}
END_TEST

/* Outside it says another sender than inside, in the first packet as in a later one of the flow. */
START_TEST(test_preserved_wrongly)
{
	start((struct rig_opts) { .from_any = true, .preserve = true, .dst = INNER });
	struct endpoint right = { .port = 0 }, wrong = { .port = 0 };
	rig_send(&rig, pkt, make(100));
	ck_assert_int_eq(ip_addr_parse("10.1.0.99", &wrong.addr), 0);
	right.addr = ip_addr_from_v4(pkt + 12);
	const uint8_t *w = rig.wire[0].p + 20;
	uint32_t len = rig.wire[0].len - 20;
	rig_in_from(&rig, w, len, len, 0, &wrong);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	rig_in_from(&rig, w, len, len, 0, &right);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_in_from(&rig, w, len, len, 0, &wrong);
	rig_dropped(rig.b, DROP_POLICY_IN, 1);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_free(&rig);
}
END_TEST

/* Its address outside would send it elsewhere. */
START_TEST(test_preserved_other_group)
{
	bool ah = _i;

	start((struct rig_opts) { .from_any = true, .preserve = true, .dst = GROUP, .ah = ah, .suite = ah ? "null-sha256" : NULL });
	rig_send(&rig, pkt, make(100));
	rig_dropped(rig.a, DROP_TRANSPORT, 1);
	ck_assert_uint_eq(rig.n_wire, 0);
	rig_free(&rig);
}
END_TEST

/* Without its interface a path leads nowhere: not to where the routing table would have it. */
START_TEST(test_no_interface)
{
	start((struct rig_opts) { .from_any = true });
	const struct sa_path *path = atomic_load(&rig.out->path);
	struct endpoint dst = path->dst;
	struct ip_addr src = path->src;

	ck_assert_int_eq(((const struct sock_path *)path->prepared)->ifindex, 1);
	atomic_store(&rig.out->ifindex, 0);
	ck_assert_int_eq(plane_set_path(rig.pa, rig.out, &src, &dst), 0);
	path = atomic_load(&rig.out->path);
	ck_assert_ptr_null(path->prepared);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_group(void)
{
	TCase *t = tcase_create("group");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_any_sender);
	tcase_add_test(t, test_other_destination);
	tcase_add_test(t, test_each_sender);
	tcase_add_loop_test(t, test_sender_numbers, 0, 4);
	tcase_add_loop_test(t, test_preserved, 0, 2);
	tcase_add_test(t, test_preserved_wrongly);
	tcase_add_loop_test(t, test_preserved_other_group, 0, 2);
	tcase_add_test(t, test_no_interface);
	return t;
}
