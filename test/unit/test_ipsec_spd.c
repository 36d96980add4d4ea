/* The compiled SPD against the plain ordered search, and how its work grows. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipsec/spd.h"
#include "must.h"
#include "test_ipsec.h"

static uint64_t rnd_state;

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 20);
}

static struct ip_range range(const char *text)
{
	struct ip_range r;
	ck_assert_int_eq(ip_range_parse(text, &r), 0);
	return r;
}

static struct policy *policy_of(const struct selector *s, unsigned n, unsigned dirs)
{
	struct policy *p = calloc(1, sizeof(*p));
	p->sel = calloc(n ? n : 1, sizeof(*s));
	if (n)
		memcpy(p->sel, s, n * sizeof(*s));
	p->n_sel = n;
	p->dirs = dirs;
	return p;
}

static struct spd *compile(struct policy **p, unsigned n)
{
	struct spd *s;
	for (unsigned i = 0; i < n; i++)
		p[i]->order = i;
	ck_assert_int_eq(spd_compile(p, n, &s), 0);
	ck_assert_uint_eq(spd_count(s), n);
	return s;
}

/* ---- random sets --------------------------------------------------------------------------- */

/* How a set of policies is drawn: small pools make rules overlap. */
struct shape {
	unsigned v6_percent; /* of selectors */
	/* 0 hosts in a small net, 1 prefixes of all lengths, 2 ranges, 3 a few fixed nets, 4 all of
	 * these, 5 ranges of one length that begin anywhere in a net */
	unsigned addr_kind;
	unsigned ports_percent; /* of selectors with ports */
	unsigned port_span;     /* greatest length of a port range */
	unsigned both_dirs;     /* percent of policies */
	unsigned any_percent;   /* of selectors that match every address */
	unsigned sels;          /* most selectors of a policy */
};

static void random_addr(struct ip_addr *a, int ver, unsigned spread_bits)
{
	memset(a, 0, sizeof(*a));
	a->ver = (uint8_t)ver;
	unsigned n = ip_addr_bytes(a);
	a->b[0] = ver == 4 ? 10 : 0x20;
	for (unsigned i = 1; i < n; i++)
		a->b[i] = rnd() % 4 ? (uint8_t)(rnd() % 3 * 0x7f) : (uint8_t)rnd();
	for (unsigned i = 0; i + spread_bits / 8 < n; i++)
		a->b[i] = i == 0 ? a->b[0] : 0;
}

static struct ip_range random_range(const struct shape *sh, int ver)
{
	unsigned bits = ver == 4 ? 32 : 128, kind = sh->addr_kind == 4 ? rnd() % 4 : sh->addr_kind;
	struct ip_prefix p = { .len = (uint8_t)bits };
	struct ip_range r;

	if (rnd() % 100 < sh->any_percent)
		return ip_range_all(ver);
	switch (kind) {
	case 0:
		random_addr(&p.addr, ver, 8);
		break;
	case 1:
		random_addr(&p.addr, ver, bits);
		p.len = (uint8_t)(rnd() % (bits + 1));
		break;
	case 2:
		random_addr(&r.lo, ver, rnd() % 2 ? 16 : bits);
		random_addr(&r.hi, ver, rnd() % 2 ? 16 : bits);
		if (ip_addr_cmp(&r.lo, &r.hi) > 0) {
			struct ip_addr t = r.lo;
			r.lo = r.hi;
			r.hi = t;
		}
		return r;
	case 5:
		random_addr(&r.lo, ver, bits);
		store_be16(r.lo.b + bits / 8 - 2, (uint16_t)(rnd() % 4000));
		r.hi = r.lo;
		store_be16(r.hi.b + bits / 8 - 2,
			   (uint16_t)(load_be16(r.lo.b + bits / 8 - 2) + 37));
		return r;
	default:
		random_addr(&p.addr, ver, bits);
		p.len = (uint8_t)(ver == 4 ? 24 : 64);
	}
	return ip_range_of_prefix(&p);
}

static struct port_range random_ports(const struct shape *sh)
{
	if (rnd() % 100 >= sh->ports_percent)
		return (struct port_range){ .match = PORT_ANY };
	if (rnd() % 8 == 0)
		return (struct port_range){ .match = PORT_OPAQUE };
	uint32_t lo = rnd() % 8 == 0 ? (rnd() % 2 ? 0 : 65535) : rnd() % 65536;
	uint32_t hi = lo + rnd() % (sh->port_span + 1);
	return (struct port_range){ PORT_RANGE, (uint16_t)lo, (uint16_t)(hi > 65535 ? 65535 : hi) };
}

static struct selector random_selector(const struct shape *sh)
{
	static const uint16_t protos[] = { PROTO_ANY,    PROTO_ANY,      IPPROTO_TCP, IPPROTO_UDP,
					   IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_MH,  0,
					   255 };
	int ver = rnd() % 100 < sh->v6_percent ? 6 : 4;
	struct selector s = { .local = random_range(sh, ver), .remote = random_range(sh, ver) };

	s.proto = protos[rnd() % ARRAY_LEN(protos)];
	s.local_port = random_ports(sh);
	s.remote_port = random_ports(sh);
	return s;
}

static struct policy *random_policy(const struct shape *sh)
{
	struct selector s[4];
	unsigned n = 1 + rnd() % sh->sels;

	for (unsigned i = 0; i < n; i++)
		s[i] = random_selector(sh);
	return policy_of(s, n, rnd() % 100 < sh->both_dirs ? 3 : 1 + rnd() % 2);
}

/* An address at the edge of the range, one step beside it, or somewhere near. */
static void edge_addr(const struct ip_range *r, uint8_t out[16])
{
	unsigned n = ip_addr_bytes(&r->lo), how = rnd() % 6;
	memset(out, 0, 16);
	memcpy(out, how % 2 ? r->lo.b : r->hi.b, n);
	if (how >= 2 && how < 4) { /* lo - 1 or hi + 1 */
		int step = how % 2 ? -1 : 1;
		for (unsigned i = n; i-- > 0;) {
			out[i] = (uint8_t)(out[i] + step);
			if (out[i] != (step < 0 ? 0xff : 0))
				break;
		}
	} else if (how == 4 && memcmp(r->lo.b, r->hi.b, n - 2) == 0) { /* inside */
		unsigned lo = load_be16(r->lo.b + n - 2), hi = load_be16(r->hi.b + n - 2);
		store_be16(out + n - 2, (uint16_t)(lo + rnd() % (hi - lo + 1)));
	} else if (how == 4) {
		for (unsigned i = 0; i < n; i++)
			if (r->lo.b[i] != r->hi.b[i])
				out[i] = (uint8_t)rnd();
	}
}

static uint16_t edge_port(const struct port_range *r)
{
	switch (rnd() % 5) {
	case 0:
		return r->lo;
	case 1:
		return r->hi;
	case 2:
		return (uint16_t)(r->lo - 1);
	case 3:
		return (uint16_t)(r->hi + 1);
	}
	return (uint16_t)rnd();
}

/* A packet near the boundaries of one or two selectors. */
static struct flow_key edge_packet(struct policy **p, unsigned n, enum ipsec_dir dir)
{
	const struct policy *a = p[rnd() % n], *b = rnd() % 2 ? a : p[rnd() % n];
	const struct selector *s = &a->sel[rnd() % a->n_sel], *t = &b->sel[rnd() % b->n_sel];
	struct flow_key k = { .ver = s->local.lo.ver };

	if (t->local.lo.ver != s->local.lo.ver)
		t = s;
	edge_addr(&s->local, dir == DIR_OUT ? k.src : k.dst);
	edge_addr(&t->remote, dir == DIR_OUT ? k.dst : k.src);
	k.proto = s->proto == PROTO_ANY || rnd() % 8 == 0 ? (uint8_t)(rnd() % 2 ? 6 : rnd())
							  : (uint8_t)s->proto;
	if (rnd() % 6 == 0) {
		k.flags = FLOW_OPAQUE;
		return k;
	}
	uint16_t local = edge_port(&s->local_port), remote = edge_port(&t->remote_port);
	bool keep = dir == DIR_OUT || rnd() % 2;
	k.sport = keep ? local : remote;
	k.dport = keep ? remote : local;
	return k;
}

static unsigned order_of(const struct policy *p)
{
	return p ? p->order : UINT32_MAX;
}

static void compare(const struct shape *sh, unsigned n, unsigned packets, uint64_t seed)
{
	struct policy **p = calloc(n, sizeof(struct policy *));

	rnd_state = seed;
	for (unsigned i = 0; i < n; i++)
		p[i] = random_policy(sh);
	struct spd *s = compile(p, n);
	for (unsigned i = 0; i < packets; i++) {
		enum ipsec_dir dir = rnd() % 2 ? DIR_OUT : DIR_IN;
		struct flow_key k = edge_packet(p, n, dir);
		unsigned got = order_of(spd_lookup(s, dir, &k)),
			 want = order_of(spd_lookup_linear(s, dir, &k));
		if (got != want)
			ck_abort_msg("seed %llu, %u policies, packet %u: policy %u instead of %u",
				     (unsigned long long)seed, n, i, got, want);
	}
	spd_free(&s);
	free(p);
}

static const struct shape shapes[] = {
	{ 0, 0, 0, 0, 100, 0, 1 },         /* host pairs */
	{ 0, 1, 0, 0, 100, 0, 1 },         /* prefixes of all lengths */
	{ 50, 1, 30, 100, 50, 5, 2 },      /* both versions */
	{ 0, 2, 20, 65535, 100, 2, 1 },    /* ranges that are no prefixes */
	{ 100, 2, 20, 65535, 60, 2, 3 },   /* the same, IPv6 */
	{ 0, 3, 100, 0, 100, 0, 1 },       /* single ports on few nets */
	{ 0, 0, 100, 65535, 100, 0, 1 },   /* wide port ranges on few hosts */
	{ 0, 0, 100, 65535, 100, 100, 1 }, /* ports alone */
	{ 30, 4, 50, 1000, 70, 10, 4 },    /* everything */
	{ 30, 4, 50, 20, 0, 1, 4 },        /* each policy one direction */
	{ 0, 1, 0, 0, 100, 40, 1 },        /* many catch-alls */
	{ 20, 5, 0, 0, 100, 0, 1 },        /* ranges that touch two blocks */
};

START_TEST(test_differential)
{
	static const unsigned sizes[] = { 1, 2, 3, 7, 20, 64, 200, 600, 2000 };
	const char *text = getenv("SPD_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 20240611;

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned rounds = sizes[i] < 100 ? 12 : 2;
		for (unsigned r = 0; r < rounds; r++)
			compare(&shapes[_i], sizes[i], sizes[i] < 100 ? 1500 : 4000,
				++seed * 1000 + (unsigned)_i);
	}
}
END_TEST

START_TEST(test_empty)
{
	struct spd *s = compile(NULL, 0);
	struct flow_key k = { .ver = 4 }, k6 = { .ver = 6 }, bad = { .ver = 5 };

	ck_assert_ptr_null(spd_lookup(s, DIR_OUT, &k));
	ck_assert_ptr_null(spd_lookup(s, DIR_IN, &k6));
	ck_assert_ptr_null(spd_lookup(s, DIR_IN, &bad));
	ck_assert_ptr_null(spd_policy(s, 0));
	spd_free(&s);
	ck_assert_ptr_null(s);
}
END_TEST

START_TEST(test_order_is_exact)
{
	struct selector any = { range("0.0.0.0/0"), range("0.0.0.0/0"), PROTO_ANY, { 0 }, { 0 } };
	struct selector host = {
		range("0.0.0.0/0"), range("192.0.2.7"), IPPROTO_TCP, { 0 }, { PORT_RANGE, 80, 80 }
	};
	struct policy *p[] = { policy_of(&host, 1, 3), policy_of(&any, 1, 3),
			       policy_of(&host, 1, 3) };
	struct spd *s = compile(p, 3);
	struct flow_key k = {
		.ver = 4, .proto = IPPROTO_TCP, .dst = { 192, 0, 2, 7 }, .sport = 1, .dport = 80
	};

	ck_assert_uint_eq(order_of(spd_lookup(s, DIR_OUT, &k)), 0);
	k.dport = 81;
	ck_assert_uint_eq(order_of(spd_lookup(s, DIR_OUT, &k)), 1);
	/* The other end's answer: the remote port is its source port. */
	struct flow_key back = {
		.ver = 4, .proto = IPPROTO_TCP, .src = { 192, 0, 2, 7 }, .sport = 80, .dport = 1
	};
	ck_assert_uint_eq(order_of(spd_lookup(s, DIR_IN, &back)), 0);
	ck_assert_uint_eq(order_of(spd_lookup(s, DIR_OUT, &back)), 1);
	/* A later fragment never matches a policy for a port, though it may belong to it. */
	k.dport = k.sport = 0;
	k.flags = FLOW_OPAQUE;
	ck_assert_uint_eq(order_of(spd_lookup(s, DIR_OUT, &k)), 1);
	spd_free(&s);
}
END_TEST

/* ---- work ---------------------------------------------------------------------------------- */

static struct ip_range v4_net(uint32_t addr, unsigned len)
{
	uint8_t be[4];
	struct ip_prefix p = { .len = (uint8_t)len };
	store_be32(be, addr);
	p.addr = ip_addr_from_v4(be);
	return ip_range_of_prefix(&p);
}

static struct ip_range v6_net(uint32_t a, unsigned len)
{
	uint8_t be[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	struct ip_prefix p = { .len = (uint8_t)len };
	store_be32(be + 4, a);
	p.addr = ip_addr_from_v6(be);
	return ip_range_of_prefix(&p);
}

/* Policy i of one of the shapes that a search in order would be slow for. */
static struct selector work_selector(int shape, unsigned i)
{
	struct selector s = {
		v4_net(0x0a000000, 8), v4_net(0x0b000000, 8), PROTO_ANY, { 0 }, { 0 }
	};

	switch (shape) {
	case 0: /* distinct destinations */
		s.remote = v4_net(0xc0000000 + i, 32);
		break;
	case 1: /* distinct pairs of networks */
		s.local = v4_net(0x0a000000 + (i % 100 << 8), 24);
		s.remote = v4_net(0x0b000000 + (i / 100 << 8), 24);
		break;
	case 2: /* same addresses, distinct ports */
		s.remote_port = (struct port_range){ PORT_RANGE, (uint16_t)i, (uint16_t)i };
		break;
	case 3: /* nested port ranges, the widest last */
		s.remote_port =
		    (struct port_range){ PORT_RANGE, (uint16_t)(30000 - i), (uint16_t)(30000 + i) };
		break;
	case 4: /* ranges of both ports */
		s.remote_port = (struct port_range){ PORT_RANGE, (uint16_t)(rnd() % 32768), 0 };
		s.local_port = (struct port_range){ PORT_RANGE, (uint16_t)(rnd() % 32768), 0 };
		s.remote_port.hi = (uint16_t)(s.remote_port.lo + rnd() % 3000);
		s.local_port.hi = (uint16_t)(s.local_port.lo + rnd() % 3000);
		break;
	case 5: /* mixed prefix lengths on both sides */
		s.local = v4_net(0x0a000000 | (rnd() & 0xffffff), 12 + rnd() % 21);
		s.remote = v4_net(rnd(), 12 + rnd() % 21);
		break;
	case 6: /* IPv6 networks of several lengths, with protocols */
		s.local = v6_net(i % 13 << 16, 48);
		s.remote = v6_net(i << 4, 52 + i % 4 * 4);
		s.proto = (uint16_t)(i % 3 ? PROTO_ANY : 6);
		break;
	case 7: /* overlapping address ranges */
		s.remote.lo = v4_net(0xc0000000 + i * 16, 32).lo;
		s.remote.hi = v4_net(0xc0000000 + i * 16 + 37, 32).lo;
		break;
	case 8: /* ranges of both ports that all overlap */
		s.remote_port = (struct port_range){ PORT_RANGE, (uint16_t)(rnd() % 32768),
						     (uint16_t)(32768 + rnd() % 32768) };
		s.local_port = (struct port_range){ PORT_RANGE, (uint16_t)(rnd() % 32768),
						    (uint16_t)(32768 + rnd() % 32768) };
		break;
	}
	return s;
}

/* Mean work of packets taken from the policies, among n of them with a catch-all in front or
 * behind. */
static double mean_work(int shape, unsigned n, bool first, unsigned *worst)
{
	struct policy **p = calloc(n + 1, sizeof(struct policy *));
	struct selector any = {
		range("0.0.0.0/0"), range("0.0.0.0/0"), IPPROTO_ICMP, { 0 }, { 0 }
	};
	uint64_t sum = 0;
	unsigned packets = 2000;

	rnd_state = 4711;
	for (unsigned i = 0; i < n; i++) {
		struct selector s = work_selector(shape, i);
		p[first ? i + 1 : i] = policy_of(&s, 1, 3);
	}
	p[first ? 0 : n] = policy_of(&any, 1, 3);
	struct spd *s = compile(p, n + 1);
	*worst = 0;
	for (unsigned i = 0; i < packets; i++) {
		struct flow_key k = edge_packet(p, n + 1, DIR_OUT);
		unsigned w = spd_lookup_work(s, DIR_OUT, &k);
		must_uint_eq(order_of(spd_lookup(s, DIR_OUT, &k)),
				  order_of(spd_lookup_linear(s, DIR_OUT, &k)));
		sum += w;
		*worst = w > *worst ? w : *worst;
	}
	spd_free(&s);
	free(p);
	return (double)sum / packets;
}

START_TEST(test_work_does_not_grow)
{
	unsigned worst, worst_many;
	double few = mean_work(_i, 300, true, &worst),
	       many = mean_work(_i, 10000, true, &worst_many);

	if (getenv("SPD_VERBOSE"))
		printf("shape %d: 300: %.1f (%u), 10000: %.1f (%u)\n", _i, few, worst, many,
		       worst_many);
	ck_assert_msg(many < 80 && many < few * 4 + 20, "mean work %.1f for 300, %.1f for 10000",
		      few, many);
	ck_assert_msg(worst_many < 400, "worst work %u", worst_many);
	many = mean_work(_i, 10000, false, &worst_many);
	ck_assert_msg(many < 80, "catch-all last: mean work %.1f", many);
	ck_assert_msg(worst_many < 400, "catch-all last: worst work %u", worst_many);
}
END_TEST

TCase *tcase_spd(void)
{
	TCase *t = tcase_create("spd");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_empty);
	tcase_add_test(t, test_order_is_exact);
	tcase_add_loop_test(t, test_differential, 0, (int)ARRAY_LEN(shapes));
	tcase_add_loop_test(t, test_work_does_not_grow, 0, 9);
	return t;
}
