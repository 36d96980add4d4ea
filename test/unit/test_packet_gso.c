/* Splitting super-packets and joining segments; what was split and joined again must be what it was. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "packet/csum.h"
#include "packet/gso.h"
#include "pkt.h"

#define ALL (GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6)

static uint8_t data[65536], super[65600], seg[64][4096];
static struct pkt_info seg_info[64];
static const uint8_t ts_opt[12] = { 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 };

static void fill_data(void)
{
	srand(2);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
}

/* Puts the pseudo header's sum into the upper checksum, as the kernel does before segmentation. */
static void set_partial(uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto)
{
	uint8_t *f = ip + l4_off + (proto == IPPROTO_TCP ? 16 : 6);
	uint8_t ph[8] = { 0 };

	store_be32(ph, len - l4_off);
	ph[7] = proto;
	uint16_t s = ip[0] >> 4 == 4 ? slow_sum(0, ip + 12, 8) : slow_sum(0, ip + 8, 32);
	store_be16(f, slow_sum(s, ph, 8));
}

static struct virtio_net_hdr vnet_for(const struct pkt_spec *s, uint16_t size)
{
	bool tcp = s->proto == IPPROTO_TCP;

	return (struct virtio_net_hdr) {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !tcp	? VIRTIO_NET_HDR_GSO_UDP_L4
			    : s->ver == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
					  : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = 9999, /* not to be believed */
		.gso_size = size,
		.csum_start = s->ver == 4 ? 20 : 40,
		.csum_offset = tcp ? 16 : 6,
	};
}

/* Makes the super-packet, opens it. */
static enum drop open_super(const struct pkt_spec *s, uint16_t size, struct gso *g)
{
	uint32_t n = pkt_make(s, super);
	struct virtio_net_hdr v = vnet_for(s, size);
	struct pkt_info in = pkt_info_of(super, n);

	set_partial(super, in.l4_off, n, s->proto);
	return gso_open(g, &v, super, n, &in);
}

/* Splits into seg[], and checks every field of every segment. */
static void split_and_check(const struct pkt_spec *s, uint16_t size, struct gso *g)
{
	ck_assert_int_eq(open_super(s, size, g), DROP_NONE);
	uint32_t segs = (s->len + size - 1) / size, at = 0;
	ck_assert_uint_eq(g->segs, segs);
	for (uint32_t i = 0; i < segs; i++) {
		uint32_t n = gso_segment_len(g, i);
		uint8_t *p = malloc(n); /* exactly the room that is promised */
		gso_segment(g, i, p);
		must_uint_le(n, sizeof(seg[0]));
		struct pkt_info in = pkt_info_of(p, n);
		must_uint_eq(in.len, n);
		uint8_t *l4 = p + in.l4_off;
		uint32_t hdr = g->hdr_len;
		must_uint_eq(n - hdr, i + 1 < segs ? size : s->len - at);
		ck_assert_mem_eq(p + hdr, s->data + at, n - hdr);
		must(slow_l4_ok(p, in.l4_off, n, s->proto));
		if (s->ver == 4) {
			ck_assert(slow_ip4_ok(p));
			ck_assert_uint_eq(load_be16(p + 4), (uint16_t)(s->id + i));
		}
		if (s->proto == IPPROTO_TCP) {
			uint8_t want = s->flags;
			if (i + 1 < segs)
				want &= (uint8_t)~(TCP_PSH | TCP_FIN);
			if (i)
				want &= (uint8_t)~TCP_CWR;
			must_uint_eq(load_be32(l4 + 4), s->seq + at);
			must_uint_eq(l4[13], want);
			ck_assert_mem_eq(l4 + 14, super + in.l4_off + 14, 2);
			ck_assert_mem_eq(l4 + 18, super + in.l4_off + 18, hdr - in.l4_off - 18);
		} else {
			ck_assert_uint_eq(load_be16(l4 + 4), n - in.l4_off);
		}
		at += n - hdr;
		memcpy(seg[i % 64], p, n);
		seg_info[i % 64] = in;
		free(p);
	}
	ck_assert_uint_eq(at, s->len);
}

/* Joins seg[0..n) and checks that the whole is the super-packet again. */
static void join_and_check(const struct pkt_spec *s, uint16_t size, uint32_t n)
{
	static uint8_t whole[65600];
	struct gro_run r;
	uint32_t at = 0;

	gro_start(&r, seg[0], &seg_info[0], ALL);
	for (uint32_t i = 1; i < n; i++) {
		int want = i + 1 < n || (s->len % size == 0 && !(s->flags & TCP_PSH)) ? GRO_JOINED : GRO_LAST;
		if (r.segs + 1 == GRO_MAX_SEGS || r.len + 2 * size > 65535)
			want = GRO_LAST;
		ck_assert_int_eq(gro_join(&r, seg[i], &seg_info[i]), want);
	}
	gro_close(&r);
	ck_assert_uint_eq(r.segs, n);
	ck_assert_uint_eq(r.n_iov, n + 1);
	ck_assert_ptr_eq(r.iov[0].iov_base, &r.vnet);
	ck_assert_uint_eq(r.iov[0].iov_len, 10);
	for (uint32_t i = 1; i < r.n_iov; i++) {
		memcpy(whole + at, r.iov[i].iov_base, r.iov[i].iov_len);
		at += (uint32_t)r.iov[i].iov_len;
	}
	ck_assert_uint_eq(at, r.len);
	if (s->ver == 4) {
		ck_assert(slow_ip4_ok(whole));
		store_be16(super + 10, load_be16(whole + 10));
	}
	ck_assert_uint_eq(at, gso_segment_len(&(struct gso) { .segs = 1, .len = r.len }, 0));
	ck_assert_mem_eq(whole, super, at);
	struct virtio_net_hdr v = vnet_for(s, size);
	v.hdr_len = (uint16_t)r.hdr_len;
	ck_assert_mem_eq(&r.vnet, &v, sizeof(v));
}

START_TEST(test_split_join)
{
	for (unsigned round = 0; round < 400; round++) {
		struct pkt_spec s = { .ver = round % 2 ? 4 : 6,
				      .proto = round % 4 < 2 ? IPPROTO_TCP : IPPROTO_UDP,
				      .tos = (uint8_t)rand(), .id = (uint16_t)(65530 + round),
				      .frag = round % 8 < 4 ? 0x4000 : 0,
				      .seq = 0xfffff000u + round, .ack = (uint32_t)rand(),
				      .flags = TCP_ACK | (round % 3 ? 0 : TCP_PSH), .opt = ts_opt,
				      .opt_len = round % 5 ? 12 : 0, .data = data + round };
		if (s.proto == IPPROTO_UDP)
			s.opt_len = s.flags = 0;
		uint16_t size = (uint16_t)(1 + (unsigned)rand() % 1500);
		uint32_t max = 64u * size < 65000 ? 64u * size : 65000;
		s.len = size + 1 + (unsigned)rand() % (max - size);
		struct gso g;
		split_and_check(&s, size, &g);
		join_and_check(&s, size, g.segs);
	}
}
END_TEST

START_TEST(test_split_flags)
{
	struct gso g;
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .data = data, .len = 3000,
			      .flags = TCP_ACK | TCP_FIN | TCP_PSH | TCP_CWR | TCP_ECE | TCP_URG };

	split_and_check(&s, 1000, &g);
	s.ver = 6;
	split_and_check(&s, 999, &g);
	s.len = 500; /* one segment only keeps all flags */
	split_and_check(&s, 999, &g);
	ck_assert_uint_eq(g.segs, 1);
	s.len = 65000;
	split_and_check(&s, 1, &g);
	ck_assert_uint_eq(g.segs, 65000);
}
END_TEST

START_TEST(test_split_udp_zero)
{
	/* a segment whose checksum comes out 0, which in UDP would mean that there is none */
	uint8_t four[4] = { 0 };
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = four, .len = 4 };
	struct gso g;

	split_and_check(&s, 2, &g);
	store_be16(four, load_be16(seg[0] + 26));
	split_and_check(&s, 2, &g);
	ck_assert_uint_eq(load_be16(seg[0] + 26), 0xffff);
	ck_assert_uint_ne(load_be16(seg[1] + 26), 0xffff);
}
END_TEST

START_TEST(test_split_ext)
{
	/* IPv6 with a routing header: the checksum is over the final destination, which the kernel summed */
	struct gso g;
	struct pkt_spec s = { .ver = 6, .proto = IPPROTO_UDP, .data = data, .len = 2500 };
	uint32_t n = pkt_make(&s, super);
	uint8_t rt[24] = { IPPROTO_UDP, 2, 2, 1 }, via[16];

	set_partial(super, 40, n, IPPROTO_UDP);
	memcpy(rt + 8, super + 24, 16);
	memset(via, 0x33, 16);
	memmove(super + 64, super + 40, n - 40);
	memcpy(super + 40, rt, 24);
	memcpy(super + 24, via, 16);
	super[6] = IPPROTO_ROUTING;
	store_be16(super + 4, (uint16_t)(n - 40 + 24));
	struct pkt_info in = pkt_info_of(super, n + 24);
	struct virtio_net_hdr v = { .flags = 1, .gso_type = 5, .gso_size = 1000, .csum_start = 64, .csum_offset = 6 };
	ck_assert_int_eq(gso_open(&g, &v, super, n + 24, &in), DROP_NONE);
	ck_assert_uint_eq(g.segs, 3);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t m = gso_segment_len(&g, i);
		gso_segment(&g, i, seg[i]);
		struct pkt_info si = pkt_info_of(seg[i], m);
		ck_assert_uint_eq(si.len, m);
		/* as the last hop will see it */
		memcpy(seg[i] + 24, rt + 8, 16);
		ck_assert(slow_l4_ok(seg[i], 64, m, IPPROTO_UDP));
	}
}
END_TEST

/* Opens a good super-packet after one change; must be refused. */
#define REFUSED(ver_, proto_, change)                                                              \
	do {                                                                                       \
		struct pkt_spec s = { .ver = ver_, .proto = proto_, .flags = TCP_ACK, .data = data,  \
				      .len = 3000 };                                               \
		uint32_t n = pkt_make(&s, super);                                                  \
		struct virtio_net_hdr v = vnet_for(&s, 1000);                                      \
		struct pkt_info in = pkt_info_of(super, n);                                        \
		struct gso g;                                                                      \
		ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_NONE);                      \
		change;                                                                            \
		in = pkt_info_of(super, n);                                                        \
		ck_assert_msg(gso_open(&g, &v, super, n, &in) == DROP_BAD_OFFLOAD, "%s", #change); \
	} while (0)

START_TEST(test_open_refuses)
{
	REFUSED(4, IPPROTO_TCP, v.gso_size = 0);
	REFUSED(4, IPPROTO_TCP, v.gso_type = VIRTIO_NET_HDR_GSO_TCPV6);
	REFUSED(4, IPPROTO_TCP, v.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4);
	REFUSED(4, IPPROTO_TCP, v.gso_type = VIRTIO_NET_HDR_GSO_UDP);
	REFUSED(4, IPPROTO_TCP, v.gso_type = VIRTIO_NET_HDR_GSO_ECN);
	REFUSED(4, IPPROTO_TCP, v.gso_type = 77);
	REFUSED(6, IPPROTO_TCP, v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
	REFUSED(4, IPPROTO_UDP, v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
	REFUSED(6, IPPROTO_UDP, v.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4 | VIRTIO_NET_HDR_GSO_ECN);
	REFUSED(4, IPPROTO_TCP, v.flags = 0);
	REFUSED(4, IPPROTO_TCP, v.csum_start = 24);
	REFUSED(4, IPPROTO_TCP, v.csum_start = 60000);
	REFUSED(4, IPPROTO_TCP, v.csum_offset = 6);
	REFUSED(6, IPPROTO_UDP, v.csum_offset = 16);
	REFUSED(4, IPPROTO_TCP, super[32] = 0x40);               /* header of 16 bytes */
	REFUSED(4, IPPROTO_TCP, super[33] |= TCP_SYN);
	REFUSED(4, IPPROTO_TCP, super[33] |= TCP_RST);
	REFUSED(4, IPPROTO_TCP, store_be16(super + 6, 0x2000));  /* a fragment */
	REFUSED(4, IPPROTO_TCP, store_be16(super + 6, 5));
	REFUSED(4, IPPROTO_TCP, store_be16(super + 2, 2000));    /* bytes behind the packet */
	REFUSED(4, IPPROTO_TCP, (super[32] = 0xf0, n = 80, store_be16(super + 2, 80))); /* no payload */
	REFUSED(4, IPPROTO_TCP, (super[32] = 0xf0, n = 60, store_be16(super + 2, 60))); /* cut header */
	REFUSED(6, IPPROTO_UDP, (n = 48, store_be16(super + 4, 8)));
	/* a plain packet whose checksum is out of bounds */
	REFUSED(4, IPPROTO_TCP, (v.gso_type = 0, v.csum_start = (uint16_t)(n - 17)));
	REFUSED(4, IPPROTO_TCP, (v.gso_type = 0, v.csum_start = 65535, v.csum_offset = 65535));
	/* info that speaks of more than there is */
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = data, .len = 100 };
	uint32_t n = pkt_make(&s, super);
	struct pkt_info in = pkt_info_of(super, n);
	struct virtio_net_hdr v = { 0 };
	struct gso g;
	ck_assert_int_eq(gso_open(&g, &v, super, n - 1, &in), DROP_BAD_OFFLOAD);
}
END_TEST

START_TEST(test_open_ecn)
{
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK | TCP_CWR, .data = data, .len = 3000 };
	uint32_t n = pkt_make(&s, super);
	struct virtio_net_hdr v = vnet_for(&s, 1000);
	struct pkt_info in = pkt_info_of(super, n);
	struct gso g;

	v.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_NONE);
	ck_assert_uint_eq(g.segs, 3);
}
END_TEST

START_TEST(test_plain)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < 2; i++)
			for (unsigned len = 1; len < 1500; len += 97) {
				struct pkt_spec s = { .ver = ver, .proto = protos[i], .flags = TCP_SYN, .data = data, .len = len };
				uint8_t want[1600], out[1600];
				uint32_t n = pkt_make(&s, super);
				struct pkt_info in = pkt_info_of(super, n);
				struct virtio_net_hdr v = vnet_for(&s, 0);
				struct gso g;
				memcpy(want, super, n);
				v.gso_type = 0;
				set_partial(super, in.l4_off, n, protos[i]);
				ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_NONE);
				ck_assert(g.plain && g.csum);
				ck_assert_uint_eq(g.segs, 1);
				ck_assert_uint_eq(gso_segment_len(&g, 0), n);
				gso_segment(&g, 0, out);
				ck_assert_mem_eq(out, want, n);
				/* nothing to complete: as it is, without what follows it */
				v = (struct virtio_net_hdr) { 0 };
				ck_assert_int_eq(gso_open(&g, &v, super, n + 7, &in), DROP_NONE);
				ck_assert_uint_eq(gso_segment_len(&g, 0), n);
				gso_segment(&g, 0, out);
				ck_assert_mem_eq(out, super, n);
			}
	/* a UDP checksum that comes out 0 */
	uint8_t two[2] = { 0 }, out[100];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .data = two, .len = 2 };
	uint32_t n = pkt_make(&s, super);
	store_be16(two, load_be16(super + 26));
	n = pkt_make(&s, super);
	struct pkt_info in = pkt_info_of(super, n);
	struct virtio_net_hdr v = { .flags = 1, .csum_start = 20, .csum_offset = 6 };
	struct gso g;
	set_partial(super, 20, n, IPPROTO_UDP);
	ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_NONE);
	gso_segment(&g, 0, out);
	ck_assert_uint_eq(load_be16(out + 26), 0xffff);
	/* a checksum at an odd place, up to the last byte of the packet */
	v.csum_start = 21;
	v.csum_offset = (uint16_t)(n - 23);
	ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_NONE);
	gso_segment(&g, 0, out);
	ck_assert_mem_eq(out, super, n - 2);
	v.csum_offset++;
	ck_assert_int_eq(gso_open(&g, &v, super, n, &in), DROP_BAD_OFFLOAD);
}
END_TEST

/* ---- what must not be joined ---------------------------------------------- */

/* Makes two segments that belong together, applies the change to the second (its checksums are made right
 * again unless `raw`), and tells how they join. */
enum fix { FIX, RAW };

static struct pkt_spec base_spec(int ver, uint8_t proto, unsigned i)
{
	return (struct pkt_spec) { .ver = ver, .proto = proto, .id = (uint16_t)(100 + i), .seq = 5000 + 1000 * i,
				   .flags = proto == IPPROTO_TCP ? TCP_ACK : 0, .opt = ts_opt,
				   .opt_len = proto == IPPROTO_TCP ? 12 : 0, .data = data, .len = 1000 };
}

static struct gro_run run;

static void make_two(int ver, uint8_t proto)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pkt_spec s = base_spec(ver, proto, i);
		seg_info[i] = pkt_info_of(seg[i], pkt_make(&s, seg[i]));
	}
}

static int join_two(enum fix fix, unsigned can)
{
	for (unsigned i = 0; i < 2; i++) {
		seg_info[i] = pkt_info_of(seg[i], sizeof(seg[i]));
		if (fix == RAW)
			continue;
		if (seg[i][0] >> 4 == 4)
			csum_ip4_set(seg[i]);
		if (!(seg_info[i].flags & PKT_FRAG_LATER))
			csum_l4_set(seg[i], seg_info[i].l4_off, seg_info[i].len, seg_info[i].key.proto);
	}
	gro_start(&run, seg[0], &seg_info[0], can);
	return gro_join(&run, seg[1], &seg_info[1]);
}

#define JOIN(ver, proto, change, fix, want)                                                        \
	do {                                                                                       \
		make_two(ver, proto);                                                              \
		uint8_t *p = seg[1], *l4 = p + (ver == 4 ? 20 : 40);                               \
		(void)p;                                                                           \
		(void)l4;                                                                          \
		change;                                                                            \
		int got = join_two(fix, ALL);                                                      \
		ck_assert_msg(got == (want), "v%d %d: %s: %d", ver, proto, #change, got);          \
	} while (0)

START_TEST(test_join_ip)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (unsigned i = 0; i < 2; i++) {
		uint8_t pr = protos[i];
		JOIN(4, pr, , FIX, GRO_JOINED);
		JOIN(6, pr, , FIX, GRO_JOINED);
		JOIN(4, pr, p[1] = 3, FIX, GRO_NONE);                  /* CE */
		JOIN(4, pr, p[8] = 63, FIX, GRO_NONE);                 /* TTL */
		JOIN(4, pr, p[15]++, FIX, GRO_NONE);                   /* addresses */
		JOIN(4, pr, p[19]++, FIX, GRO_NONE);
		JOIN(4, pr, store_be16(p + 4, 100), FIX, GRO_NONE);    /* ID */
		JOIN(4, pr, store_be16(p + 4, 102), FIX, GRO_NONE);
		JOIN(4, pr, p[6] = 0x40, FIX, GRO_NONE);               /* DF differs */
		JOIN(4, pr, (p[6] = 0x40, seg[0][6] = 0x40, store_be16(p + 4, 7)), FIX, GRO_JOINED);
		JOIN(4, pr, p[6] = 0x80, FIX, GRO_NONE);               /* reserved flag */
		JOIN(4, pr, (p[6] = 0x80, seg[0][6] = 0x80), FIX, GRO_NONE);
		JOIN(4, pr, p[6] = 0x20, FIX, GRO_NONE);               /* fragments */
		JOIN(4, pr, p[7] = 9, FIX, GRO_NONE);
		JOIN(4, pr, seg[0][6] = 0x20, FIX, GRO_NONE);
		JOIN(4, pr, p[10] ^= 1, RAW, GRO_NONE);                /* header checksum */
		JOIN(4, pr, seg[0][10] ^= 1, RAW, GRO_NONE);
		JOIN(6, pr, p[0] = 0x61, FIX, GRO_NONE);               /* class, label, hop limit */
		JOIN(6, pr, p[3]++, FIX, GRO_NONE);
		JOIN(6, pr, p[7]++, FIX, GRO_NONE);
		for (unsigned b = 8; b < 40; b++)
			JOIN(6, pr, p[b] ^= 1, FIX, GRO_NONE);
		for (int ver = 4; ver <= 6; ver += 2) {
			JOIN(ver, pr, l4[1]++, FIX, GRO_NONE);         /* ports */
			JOIN(ver, pr, l4[3]++, FIX, GRO_NONE);
			JOIN(ver, pr, l4[200] ^= 1, RAW, GRO_NONE);    /* damaged payload */
			JOIN(ver, pr, seg[0][200] ^= 1, RAW, GRO_NONE);
			ck_assert(!run.open);                          /* and nobody may follow */
		}
	}
}
END_TEST

START_TEST(test_join_tcp)
{
	for (int ver = 4; ver <= 6; ver += 2) {
		JOIN(ver, IPPROTO_TCP, store_be32(l4 + 4, 5999), FIX, GRO_NONE); /* sequence */
		JOIN(ver, IPPROTO_TCP, store_be32(l4 + 4, 6001), FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[8] ^= 1, FIX, GRO_NONE);               /* ack, window, options */
		JOIN(ver, IPPROTO_TCP, l4[15] ^= 1, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[25] ^= 1, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[31] ^= 1, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[12] = 0x50, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[12] |= 1, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[12] = 0x40, FIX, GRO_NONE);
		JOIN(ver, IPPROTO_TCP, l4[13] |= TCP_PSH, FIX, GRO_LAST);
		for (unsigned f = 0; f < 256; f++) {
			int want = f == TCP_ACK ? GRO_JOINED : f == (TCP_ACK | TCP_PSH) ? GRO_LAST : GRO_NONE;
			JOIN(ver, IPPROTO_TCP, l4[13] = (uint8_t)f, FIX, want);
			JOIN(ver, IPPROTO_TCP, seg[0][l4 - p + 13] = (uint8_t)f, FIX,
			     f == TCP_ACK ? GRO_JOINED : GRO_NONE);
		}
	}
}
END_TEST

START_TEST(test_join_udp)
{
	for (int ver = 4; ver <= 6; ver += 2) {
		JOIN(ver, IPPROTO_UDP, store_be16(l4 + 6, 0), RAW, GRO_NONE);    /* no checksum */
		JOIN(ver, IPPROTO_UDP, store_be16(seg[0] + (l4 - p) + 6, 0), RAW, GRO_NONE);
		JOIN(ver, IPPROTO_UDP, store_be16(l4 + 4, 1007), FIX, GRO_NONE); /* length */
		JOIN(ver, IPPROTO_UDP, store_be16(l4 + 4, 1009), FIX, GRO_NONE);
	}
}
END_TEST

START_TEST(test_join_sizes)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (int ver = 4; ver <= 6; ver += 2)
		for (unsigned i = 0; i < 2; i++) {
			struct pkt_spec s = base_spec(ver, protos[i], 1);
			make_two(ver, protos[i]);
			s.len = 999;
			seg_info[1] = pkt_info_of(seg[1], pkt_make(&s, seg[1]));
			ck_assert_int_eq(join_two(FIX, ALL), GRO_LAST);
			/* after a short one nothing */
			s = base_spec(ver, protos[i], 2);
			s.seq = 5000 + 1999;
			s.len = 999;
			seg_info[2] = pkt_info_of(seg[2], pkt_make(&s, seg[2]));
			ck_assert_int_eq(gro_join(&run, seg[2], &seg_info[2]), GRO_NONE);
			gro_close(&run);
			ck_assert_uint_eq(run.segs, 2);
			s = base_spec(ver, protos[i], 1);
			s.len = 1001;
			make_two(ver, protos[i]);
			pkt_make(&s, seg[1]);
			ck_assert_int_eq(join_two(FIX, ALL), GRO_NONE);
			s.len = 0; /* an ACK, an empty datagram */
			pkt_make(&s, seg[1]);
			ck_assert_int_eq(join_two(FIX, ALL), GRO_NONE);
			make_two(ver, protos[i]);
			pkt_make(&s, seg[0]);
			ck_assert_int_eq(join_two(FIX, ALL), GRO_NONE);
			/* only what the device can take */
			unsigned mine = protos[i] == IPPROTO_TCP ? (ver == 4 ? GRO_TCP4 : GRO_TCP6)
								 : (ver == 4 ? GRO_UDP4 : GRO_UDP6);
			make_two(ver, protos[i]);
			ck_assert_int_eq(join_two(FIX, ALL & ~mine), GRO_NONE);
			ck_assert_int_eq(join_two(FIX, mine), GRO_JOINED);
		}
	/* TFC padding behind a packet is not part of it; other versions and protocols never mix */
	make_two(4, IPPROTO_TCP);
	ck_assert_int_eq(join_two(FIX, ALL), GRO_JOINED);
	struct pkt_spec s = base_spec(4, IPPROTO_UDP, 2);
	seg_info[2] = pkt_info_of(seg[2], pkt_make(&s, seg[2]));
	ck_assert_int_eq(gro_join(&run, seg[2], &seg_info[2]), GRO_NONE);
	s = base_spec(6, IPPROTO_TCP, 2);
	seg_info[2] = pkt_info_of(seg[2], pkt_make(&s, seg[2]));
	ck_assert_int_eq(gro_join(&run, seg[2], &seg_info[2]), GRO_NONE);
}
END_TEST

START_TEST(test_join_limits)
{
	/* 64 segments at most; 65535 bytes at most */
	for (unsigned len = 100; len <= 1500; len += 1400) {
		unsigned n = 0;
		int rc = GRO_JOINED;
		for (unsigned i = 0; i < 70 && rc == GRO_JOINED; i++) {
			uint8_t *p = seg[i % 64];
			struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .id = (uint16_t)i,
					      .seq = i * len, .data = data, .len = len };
			struct pkt_info in = pkt_info_of(p, pkt_make(&s, p));
			if (i == 0)
				gro_start(&run, p, &in, ALL);
			else
				rc = gro_join(&run, p, &in);
			n += rc != GRO_NONE;
		}
		ck_assert_int_eq(rc, GRO_LAST);
		ck_assert_uint_eq(n, len == 100 ? 64 : (65535 - 40) / 1500);
		ck_assert_uint_le(run.len, 65535);
		ck_assert_uint_eq(run.segs, n);
	}
	/* two that are too much together from the start */
	static uint8_t big[2][40100];
	for (unsigned i = 0; i < 2; i++) {
		struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .id = (uint16_t)i,
				      .seq = i * 40000, .data = data, .len = 40000 };
		struct pkt_info in = pkt_info_of(big[i], pkt_make(&s, big[i]));
		if (i == 0)
			gro_start(&run, big[i], &in, ALL);
		else
			ck_assert_int_eq(gro_join(&run, big[i], &in), GRO_NONE);
	}
}
END_TEST

START_TEST(test_single)
{
	uint8_t before[1200];

	make_two(4, IPPROTO_TCP);
	memcpy(before, seg[0], 1052);
	gro_start(&run, seg[0], &seg_info[0], ALL);
	gro_close(&run);
	ck_assert_uint_eq(run.n_iov, 2);
	ck_assert_uint_eq(run.iov[1].iov_len, 1052);
	ck_assert_mem_eq(run.iov[1].iov_base, before, 1052);
	ck_assert_uint_eq(run.vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_uint_eq(run.vnet.flags, 0);
	/* verified because a damaged one wanted to join */
	make_two(4, IPPROTO_TCP);
	seg[1][300] ^= 1;
	ck_assert_int_eq(join_two(RAW, ALL), GRO_NONE);
	gro_close(&run);
	ck_assert_uint_eq(run.vnet.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	ck_assert_mem_eq(run.iov[1].iov_base, before, 1052);
	/* never of a damaged packet */
	make_two(4, IPPROTO_TCP);
	seg[0][300] ^= 1;
	ck_assert_int_eq(join_two(RAW, ALL), GRO_NONE);
	gro_close(&run);
	ck_assert_uint_eq(run.vnet.flags, 0);
	/* packets that are not joined at all */
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_ICMP, .dport = 8 << 8, .data = data, .len = 56 };
	struct pkt_info in = pkt_info_of(seg[0], pkt_make(&s, seg[0]));
	gro_start(&run, seg[0], &in, ALL);
	ck_assert_int_eq(gro_join(&run, seg[0], &in), GRO_NONE);
	gro_close(&run);
	ck_assert_uint_eq(run.iov[1].iov_len, 84);
}
END_TEST

Suite *packet_gso_suite(void)
{
	Suite *s = suite_create("packet gso");
	TCase *t = tcase_create("split");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, fill_data, NULL);
	tcase_add_test(t, test_split_join);
	tcase_add_test(t, test_split_flags);
	tcase_add_test(t, test_split_udp_zero);
	tcase_add_test(t, test_split_ext);
	tcase_add_test(t, test_open_refuses);
	tcase_add_test(t, test_open_ecn);
	tcase_add_test(t, test_plain);
	suite_add_tcase(s, t);
	t = tcase_create("join");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, fill_data, NULL);
	tcase_add_test(t, test_join_ip);
	tcase_add_test(t, test_join_tcp);
	tcase_add_test(t, test_join_udp);
	tcase_add_test(t, test_join_sizes);
	tcase_add_test(t, test_join_limits);
	tcase_add_test(t, test_single);
	suite_add_tcase(s, t);
	return s;
}
