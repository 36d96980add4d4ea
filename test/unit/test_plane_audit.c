/*
 * Every auditable event of the packet path (src/base/audit.def) is provoked, with the fields its row
 * promises. A row that nothing here provokes fails, unless it is one of IKE's, see
 * test_ike_v1_audit.c.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/csum.h"
#include "packet/quote.h"
#include "plane_rig.h"

static struct rig rig;
static uint8_t pkt[66000], esp[66000];
static uint32_t len;
static struct plane *at; /* the side it happens on */

static void start_with(struct rig_opts o)
{
	rig_new(&rig, &o);
	len = rig_udp(4, 1, 100, pkt);
	at = rig.pb;
}

static void start(void)
{
	start_with((struct rig_opts){ 0 });
}

static void start_ah(void)
{
	static const struct rig_policy any = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" };

	start_with((struct rig_opts){ .ah = true, .raw = true, .suite = "null-sha256", .policy = { any }, .n_policy = 1 });
}

/* An AH packet of A's. */
static uint32_t sent_by_ah(uint8_t *out)
{
	rig_send(&rig, pkt, len);
	ck_assert_uint_eq(rig.n_wire, 1);
	uint32_t n = rig.wire[0].len;
	memcpy(out, rig.wire[0].p, n);
	rig_wire_clear(&rig);
	return n;
}

static void in_sealed(uint64_t seq)
{
	rig_in(&rig, esp, rig_seal_packet(&rig, seq, pkt, len, 0, IPPROTO_IPIP, esp), 0);
}

/* What was recorded, which must be one event and this one; with every field of its row but flow. */
static struct audit_event only(enum audit id)
{
	struct audit_event e[2];
	unsigned need = audit_info(id)->fields & ~(unsigned)(AUDIT_F_FLOW | AUDIT_F_SELECTORS);

	ck_assert_msg(plane_audit(at, e, 2) == 1, "not one event");
	ck_assert_msg(e[0].id == id, "%s, expected %s", audit_info(e[0].id)->name, audit_info(id)->name);
	ck_assert_msg((e[0].have & need) == need, "%s: has %x, expected %x", audit_info(id)->name, e[0].have, need);
	ck_assert_uint_eq(e[0].ns, rig_now_ns);
	return e[0];
}

static void addrs_are(const struct audit_event *e, const char *src, const char *dst)
{
	char a[IP_ADDR_STRLEN], b[IP_ADDR_STRLEN];

	ck_assert_uint_ne(e->have & AUDIT_F_ADDRS, 0);
	ck_assert_str_eq(ip_addr_format(&e->src.addr, a), src);
	ck_assert_str_eq(ip_addr_format(&e->dst.addr, b), dst);
}

static void inner_is(const struct audit_event *e, uint8_t proto, const char *src, const char *dst)
{
	char a[IP_ADDR_STRLEN], b[IP_ADDR_STRLEN];

	ck_assert_uint_ne(e->have & AUDIT_F_INNER, 0);
	ck_assert_uint_eq(e->inner_proto, proto);
	ck_assert_str_eq(ip_addr_format(&e->inner_src.addr, a), src);
	ck_assert_str_eq(ip_addr_format(&e->inner_dst.addr, b), dst);
}

static void spi_is(const struct audit_event *e, uint8_t proto, uint32_t spi, uint64_t seq)
{
	ck_assert_uint_eq(e->proto, proto);
	ck_assert_uint_eq(e->spi, spi);
	ck_assert_uint_eq(e->seq, seq);
}

/* ---- each provoked -------------------------------------------------------------------------------- */

static void no_sa(enum audit id)
{
	start();
	uint32_t n = rig_seal_packet(&rig, 7, pkt, len, 0, IPPROTO_IPIP, esp);
	store_be32(esp, RIG_SPI + 1);
	rig_in(&rig, esp, n, 0);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI + 1, 7);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	ck_assert_uint_eq(e.src.port, 4500);
	ck_assert_uint_eq(e.have & AUDIT_F_FLOW, 0);
	rig_free(&rig);

	/* over IPv6 with its flow label */
	start_with((struct rig_opts){ .outer_ver = 6 });
	n = rig_seal_packet(&rig, 8, pkt, len, 0, IPPROTO_IPIP, esp);
	store_be32(esp, RIG_SPI + 2);
	rig.b->rx[0] = (struct sock_rx){ .data = esp, .len = n, .seg = n, .flow = 0xabcde, .to = rig.in->conf->dst };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	rig_begin(rig.b);
	inbound_datagrams(rig.b, 1, true, deliver_packets);
	e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI + 2, 8);
	ck_assert_uint_ne(e.have & AUDIT_F_FLOW, 0);
	ck_assert_uint_eq(e.flow, 0xabcde);
	ck_assert_uint_eq(e.src.addr.ver, 6);
	rig_free(&rig);

	start_ah();
	n = sent_by_ah(esp);
	store_be32(esp + 24, 0x7777);
	rig_in_ah(&rig, esp, n);
	e = only(id);
	spi_is(&e, IPPROTO_AH, 0x7777, 1);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	rig_free(&rig);

	/* one that is no longer valid */
	start_with((struct rig_opts){ .life_in = { .hard_packets = 1 } });
	in_sealed(1);
	in_sealed(2);
	in_sealed(3);
	struct audit_event two[3];
	ck_assert_uint_eq(plane_audit(at, two, 3), 2);
	ck_assert_uint_eq(two[1].id, id);
	ck_assert_uint_eq(two[1].reason, DROP_SA_EXPIRED);
	spi_is(&two[1], IPPROTO_ESP, RIG_SPI, 3);
}

static void fragment(enum audit id)
{
	start_ah();
	uint32_t n = sent_by_ah(esp);
	esp[6] = 0x20; /* more fragments */
	csum_ip4_set(esp);
	rig_in_ah(&rig, esp, n);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, 1);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	rig_free(&rig);

	/* offered to ESP in transport mode */
	struct rig_policy any = { .action = POLICY_PROTECT, .local = "0.0.0.0/0", .remote = "0.0.0.0/0" };
	start_with((struct rig_opts){ .transport = true, .policy = { any }, .n_policy = 1 });
	at = rig.pa;
	memcpy(pkt + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
	pkt[6] = 0x20;
	n = 20 + ((len - 20) & ~7u);
	store_be16(pkt + 2, (uint16_t)n);
	csum_ip4_set(pkt);
	rig_send(&rig, pkt, n);
	pkt[7] = 1; /* of the same datagram, into the first: it cannot be put together */
	csum_ip4_set(pkt);
	rig_send(&rig, pkt, n);
	e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 0);
	ck_assert(e.out);
}

static void seq_overflow(enum audit id)
{
	start();
	at = rig.pa;
	rig.out->seq = UINT32_MAX;
	rig_send(&rig, pkt, len);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, UINT32_MAX);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	ck_assert(e.out);
	inner_is(&e, IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
	/* the flow label is that of the packet */
	rig_now_ns += NS_PER_S;
	len = rig_udp(6, 1, 100, pkt);
	store_be32(pkt, 6u << 28 | 0x12345);
	rig_send(&rig, pkt, len);
	e = only(id);
	ck_assert_uint_eq(e.flow, 0x12345);
	rig_free(&rig);

	start_ah();
	at = rig.pa;
	rig.out->seq = UINT32_MAX;
	rig_send(&rig, pkt, len);
	e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, UINT32_MAX);
}

static void replay(enum audit id)
{
	start();
	in_sealed(9);
	in_sealed(9);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 9);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	rig_free(&rig);

	start_ah();
	uint32_t n = sent_by_ah(esp);
	rig_in_ah(&rig, esp, n);
	rig_in_ah(&rig, esp, n);
	e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, 1);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
}

static void integrity(enum audit id)
{
	start();
	uint32_t n = rig_seal_packet(&rig, 3, pkt, len, 0, IPPROTO_IPIP, esp);
	esp[n - 1] ^= 1;
	rig_in(&rig, esp, n, 0);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 3);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	rig_free(&rig);

	start_ah();
	n = sent_by_ah(esp);
	esp[n - 1] ^= 1;
	rig_in_ah(&rig, esp, n);
	e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, 1);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
}

static void malformed(enum audit id)
{
	start();
	rig_in(&rig, esp, rig_seal_packet(&rig, 4, pkt, len, 0, IPPROTO_TCP, esp), 0);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 4);
	ck_assert_uint_eq(e.reason, DROP_NEXT_HEADER);
	uint32_t n = rig_seal_packet(&rig, 5, pkt, len, 0, IPPROTO_IPIP, esp);
	rig_now_ns += NS_PER_S;
	rig_in(&rig, esp, n - 1, 0);
	e = only(id);
	ck_assert_uint_eq(e.reason, DROP_ESP_FORMAT);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 5);
	/* too short for an SPI */
	for (n = 0; n < 8; n++) {
		struct audit_event s;
		rig_in(&rig, esp, n, 0);
		ck_assert_uint_eq(plane_audit(at, &s, 1), 1);
		ck_assert_uint_eq(s.id, id);
		ck_assert_uint_eq(s.reason, DROP_SHORT);
		ck_assert_uint_eq(s.have, AUDIT_F_ADDRS | AUDIT_F_REASON);
		addrs_are(&s, "192.0.2.1", "192.0.2.2");
	}
	rig_free(&rig);

	start_ah();
	n = sent_by_ah(esp);
	esp[21] = 3; /* shorter than its ICV */
	rig_in_ah(&rig, esp, n);
	e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, 1);
	ck_assert_uint_eq(e.reason, DROP_ESP_FORMAT);
}

static void sa_selectors(enum audit id)
{
	start();
	pkt[12] = 172;
	in_sealed(6);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 6);
	addrs_are(&e, "192.0.2.1", "192.0.2.2");
	inner_is(&e, IPPROTO_UDP, "172.1.0.1", "10.2.0.2");
	ck_assert_uint_eq(e.inner_dst.port, 80);
	rig_free(&rig);

	start_ah();
	struct spd *old = plane_set_spd(rig.pb, rig_spd(&rig, &(struct rig_policy){ .action = POLICY_DISCARD }, 1, true));
	spd_free(&old);
	uint32_t n = sent_by_ah(esp);
	rig_in_ah(&rig, esp, n);
	e = only(id);
	spi_is(&e, IPPROTO_AH, RIG_SPI, 1);
	inner_is(&e, IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
}

/* The policy of B wants two SAs, the packet came through one of them. */
static void sa_bundle(enum audit id)
{
	struct policy *pol = calloc(1, sizeof(*pol));
	struct spd *spd;

	start();
	struct sa *more = rig_sa(&rig, DIR_IN, 0x2000, 0);
	pol->name = strdup("two");
	pol->action = POLICY_PROTECT;
	pol->dirs = POLICY_DIR_IN;
	pol->sel = calloc(1, sizeof(*pol->sel));
	pol->n_sel = 1;
	pol->sel[0] = (struct selector){ .local = ip_range_all(4), .remote = ip_range_all(4), .proto = PROTO_ANY };
	pol->in = calloc(2, sizeof(*pol->in));
	pol->n_in = 2;
	pol->in[0] = sa_ref(rig.in);
	pol->in[1] = sa_ref(more);
	ck_assert_int_eq(spd_compile(&pol, 1, &spd), 0);
	struct spd *was = plane_set_spd(rig.pb, spd);
	spd_free(&was);
	in_sealed(1);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 1);
	inner_is(&e, IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
	sa_unref(&more);
}

static void later_fragment(enum audit id)
{
	start();
	pkt[12] = 172;
	pkt[7] = 10; /* offset */
	csum_ip4_set(pkt);
	in_sealed(1);
	struct audit_event e = only(id);
	inner_is(&e, IPPROTO_UDP, "172.1.0.1", "10.2.0.2");
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 1);
	ck_assert_uint_eq(e.inner_dst.port, 0);
	rig_free(&rig);

	/* one that has to wait for its first, whose ports then are not those of the SA */
	struct rig_policy port = { .action = POLICY_PROTECT, .proto = IPPROTO_UDP, .rport = 81 };
	start_with((struct rig_opts){ .policy = { port }, .n_policy = 1 });
	store_be16(pkt + 6, 5); /* behind the first 40 bytes */
	csum_ip4_set(pkt);
	in_sealed(1);
	struct audit_event both[3];
	ck_assert_uint_eq(plane_audit(at, both, 3), 0);
	store_be16(pkt + 6, 0x2000);
	store_be16(pkt + 2, 20 + 40);
	len = 20 + 40;
	csum_ip4_set(pkt);
	in_sealed(2);
	ck_assert_uint_eq(plane_audit(at, both, 3), 2);
	ck_assert_uint_eq(both[0].id, AUDIT_SA_SELECTORS);
	ck_assert_uint_eq(both[1].id, id);
	ck_assert_uint_eq(both[1].spi, RIG_SPI);
	ck_assert_uint_eq(both[1].have & (AUDIT_F_SEQ | AUDIT_F_ADDRS), 0);
	inner_is(&both[1], IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
	/* another datagram: one that overlaps its first */
	store_be16(pkt + 4, 4711);
	csum_ip4_set(pkt);
	in_sealed(3);
	store_be16(pkt + 6, 4);
	csum_ip4_set(pkt);
	in_sealed(4);
	ck_assert_uint_eq(plane_audit(at, both, 3), 2);
	ck_assert_uint_eq(both[1].id, id);
	ck_assert_uint_eq(both[1].reason, DROP_FRAG_OVERLAP);
	inner_is(&both[1], IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
}

/* "Port unreachable" from a router that no policy knows. */
static void make_icmp(void)
{
	uint8_t quoted[28];

	memcpy(quoted, pkt, sizeof(quoted));
	pkt[12] = 172;
	pkt[9] = IPPROTO_ICMP;
	store_be16(pkt + 2, 56);
	len = 56;
	memset(pkt + 20, 0, 8);
	pkt[20] = 3;
	pkt[21] = 3;
	memcpy(pkt + 28, quoted, sizeof(quoted));
	csum_ip4_set(pkt);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, pkt + 20, 36));
	memcpy(pkt + 22, &sum, 2);
}

static void icmp_selectors(enum audit id)
{
	start();
	/* what it quotes is nothing of this SA either */
	pkt[12] = pkt[16] = 172;
	make_icmp();
	in_sealed(2);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 2);
	inner_is(&e, IPPROTO_ICMP, "172.1.0.1", "172.2.0.2");
	ck_assert_uint_eq(e.inner_dst.port, 3 << 8 | 3);
}

static void icmp_no_sa(enum audit id)
{
	start();
	at = rig.pa;
	pkt[12] = pkt[16] = 172;
	make_icmp();
	rig_send(&rig, pkt, len);
	struct audit_event e = only(id);
	ck_assert_uint_eq(e.reason, DROP_NO_POLICY);
	inner_is(&e, IPPROTO_ICMP, "172.1.0.1", "172.2.0.2");
}

/* What it is about is this SA's, but such errors are not accepted. */
static void icmp_of_type(enum audit id)
{
	start();
	make_icmp();
	plane_set_icmp(rig.pb, &(struct icmp_rules){ .protected_in = (uint8_t)(ICMP_OF_ALL & ~ICMP_OF_UNREACHABLE) });
	in_sealed(3);
	struct audit_event e = only(id);
	spi_is(&e, IPPROTO_ESP, RIG_SPI, 0);
	ck_assert_uint_eq(e.reason, DROP_ICMP_TYPE);
	inner_is(&e, IPPROTO_ICMP, "172.1.0.1", "10.2.0.2");
}

static void discard(enum audit id)
{
	static const struct {
		struct rig_policy policy;
		enum drop why;
		unsigned packets;
	} way[] = {
		{ { .action = POLICY_DISCARD }, DROP_POLICY_DISCARD, 1 },
		{ { .action = POLICY_REJECT }, DROP_POLICY_REJECT, 1 },
		{ { .action = POLICY_PROTECT, .no_sa = true }, DROP_NO_SA, 1 },
		{ { .action = POLICY_PROTECT, .local = "10.9.0.0/16" }, DROP_NO_POLICY, 1 },
		{ { .action = POLICY_PROTECT, .reqid = 7 }, DROP_HOLD_FULL, 17 },
		{ { .action = POLICY_PROTECT, .reqid = 7 }, DROP_HOLD_GIVEN_UP, 1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(way); i++) {
		if (i)
			rig_free(&rig);
		start_with((struct rig_opts){ .policy = { way[i].policy }, .n_policy = 1 });
		at = rig.pa;
		for (unsigned k = 0; k < way[i].packets; k++)
			rig_send(&rig, pkt, len);
		if (way[i].why == DROP_HOLD_GIVEN_UP) {
			plane_release_held(rig.pa, 7);
			rig_held(&rig);
		}
		struct audit_event e = only(id);
		ck_assert_uint_eq(e.reason, way[i].why);
		inner_is(&e, IPPROTO_UDP, "10.1.0.1", "10.2.0.2");
		ck_assert_uint_eq(e.inner_dst.port, 80);
	}
}

static void (*const provoke[AUDIT_EVENTS])(enum audit id) = {
	[AUDIT_NO_SA] = no_sa,
	[AUDIT_FRAGMENT] = fragment,
	[AUDIT_SEQ_OVERFLOW] = seq_overflow,
	[AUDIT_REPLAY] = replay,
	[AUDIT_INTEGRITY] = integrity,
	[AUDIT_MALFORMED] = malformed,
	[AUDIT_SA_SELECTORS] = sa_selectors,
	[AUDIT_SA_BUNDLE] = sa_bundle,
	[AUDIT_LATER_FRAGMENT] = later_fragment,
	[AUDIT_ICMP_SELECTORS] = icmp_selectors,
	[AUDIT_ICMP_NO_SA] = icmp_no_sa,
	[AUDIT_ICMP_ERROR] = icmp_of_type,
	[AUDIT_DISCARD] = discard,
};

START_TEST(test_event)
{
	enum audit id = (enum audit)_i;

	if (id == AUDIT_INBOUND)
		return; /* only a bridge sees that: test_plane_bridge.c */
	if (id == AUDIT_SA_LABEL || id == AUDIT_LABEL)
		return; /* test_plane_pick.c */
	ck_assert_msg(provoke[id] || audit_info(id)->of == AUDIT_OF_IKE, "no test provokes %s", audit_info(id)->name);
	if (!provoke[id])
		return;
	provoke[id](id);
	rig_free(&rig);
}
END_TEST

/* ---- the ring ------------------------------------------------------------------------------------- */

START_TEST(test_paced)
{
	struct audit_event e[2 * AUDIT_PER_SECOND];

	start();
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			memset(esp, 1, 40);
			rig_in(&rig, esp, 40, 0);
		}
		ck_assert_uint_eq(plane_audit(at, e, ARRAY_LEN(e)), AUDIT_PER_SECOND);
		ck_assert_uint_eq(plane_audit_swallowed(at, AUDIT_NO_SA), round * (1000 - AUDIT_PER_SECOND));
		ck_assert_uint_eq(plane_audit_swallowed(at, AUDIT_REPLAY), 0);
		rig_now_ns += NS_PER_S;
	}
	/* others are not held back by that */
	in_sealed(1);
	in_sealed(1);
	(void)only(AUDIT_REPLAY);
	rig_free(&rig);
}
END_TEST

/* Nobody reads: the ring fills up, the rest is counted, and what is in it is whole. */
START_TEST(test_full)
{
	static struct audit_event e[2 * AUDIT_RING_SIZE];

	start();
	memset(esp, 1, 40);
	for (unsigned s = 0; s < 20; s++) {
		for (unsigned i = 0; i < 20; i++) {
			store_be32(esp + 4, s * 20 + i);
			rig_in(&rig, esp, 40, 0);
		}
		rig_now_ns += NS_PER_S;
	}
	ck_assert_uint_eq(plane_audit_swallowed(at, AUDIT_NO_SA), 400 - AUDIT_RING_SIZE);
	ck_assert_uint_eq(plane_audit(at, e, 5), 5);
	ck_assert_uint_eq(plane_audit(at, e + 5, 2 * AUDIT_RING_SIZE - 5), AUDIT_RING_SIZE - 5);
	for (unsigned i = 0; i < AUDIT_RING_SIZE; i++)
		ck_assert_uint_eq(e[i].seq, i / AUDIT_PER_SECOND * 20 + i % AUDIT_PER_SECOND);
	/* there is room again */
	rig_in(&rig, esp, 40, 0);
	ck_assert_uint_eq(plane_audit(at, e, 5), 1);
	rig_free(&rig);
}
END_TEST

/* What is as it should be is nobody's business. */
START_TEST(test_quiet)
{
	struct audit_event e;

	start();
	rig_send(&rig, pkt, len);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 1);
	rig_in(&rig, "\xff", 1, 0); /* keepalive */
	rig_in(&rig, esp, rig_seal_packet(&rig, 2, pkt, 3, 0, ESP_NH_DUMMY, esp), 0);
	ck_assert_uint_eq(plane_audit(rig.pa, &e, 1), 0);
	ck_assert_uint_eq(plane_audit(rig.pb, &e, 1), 0);
	rig_free(&rig);
}
END_TEST

TCase *tcase_plane_audit(void)
{
	TCase *t = tcase_create("audit");

	tcase_add_loop_test(t, test_event, AUDIT_NONE + 1, AUDIT_EVENTS);
	tcase_add_test(t, test_paced);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_quiet);
	return t;
}
