/*
 * How fast the SPD compiles and answers, for sets of policies of several shapes and random flows,
 * most of which match some policy. usage: spd_speed [policies ...]; not part of make check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/spd.h"

#define FLOWS   262144u
#define LOOKUPS 2000000u

static uint64_t state = 88172645463325252u;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static struct ip_range v4(uint32_t addr, unsigned len)
{
	uint8_t be[4];
	struct ip_prefix p = { .len = (uint8_t)len };

	store_be32(be, len ? addr & ~0u << (32 - len) : 0);
	p.addr = ip_addr_from_v4(be);
	return ip_range_of_prefix(&p);
}

static struct ip_range v6(uint64_t hi, uint64_t lo, unsigned len)
{
	uint8_t be[16];
	struct ip_prefix p = { .len = (uint8_t)len };

	store_be64(be, hi);
	store_be64(be + 8, lo);
	p.addr = ip_addr_from_v6(be);
	return ip_range_of_prefix(&p);
}

static struct selector blank(void)
{
	return (struct selector){ .local = ip_range_all(4),
				  .remote = ip_range_all(4),
				  .proto = PROTO_ANY };
}

static struct port_range ports(uint32_t a, uint32_t b)
{
	return (struct port_range){ PORT_RANGE, (uint16_t)(a < b ? a : b),
				    (uint16_t)(a < b ? b : a) };
}

/* ---- shapes: the selector of policy i of n ------------------------------------------------- */

static struct selector hosts(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000000, 8);
	s.remote = v4(0xc0000000 + i * 2654435761u % 0x10000000, 32);
	return s;
}

static struct selector subnets(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000000 + (i % 16 << 16), 16);
	s.remote = v4(0x20000000 + (i << 8), 24);
	return s;
}

static struct selector pairs(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000000 + (rnd() & 0xffff), 32);
	s.remote = v4(0x0b000000 + (rnd() & 0xffff), 32);
	return s;
}

static struct selector one_port(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000001, 32);
	s.remote = v4(0x0a000002, 32);
	s.proto = i & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	s.remote_port = ports(i / 2 % 65536, i / 2 % 65536);
	if (i >= 131072)
		s.local_port = ports(i % 65536, i % 65536);
	return s;
}

static struct selector port_ranges(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000000, 24);
	s.remote = v4(0x0b000000, 24);
	s.proto = IPPROTO_TCP;
	uint32_t a = rnd() % 65000, b = rnd() % 65000;
	s.remote_port = ports(a, a + rnd() % 500);
	s.local_port = ports(b, b + rnd() % 500);
	return s;
}

static struct selector mixed(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v4(0x0a000000 | (rnd() & 0xffffff), 16 + rnd() % 17);
	s.remote = v4(rnd(), 12 + rnd() % 21);
	if (rnd() % 2) {
		s.proto = rnd() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
		if (rnd() % 2)
			s.remote_port = ports(rnd() & 1023, rnd() & 1023);
	}
	return s;
}

static struct selector sites6(unsigned i, unsigned n)
{
	struct selector s = blank();
	s.local = v6(0x20010db800000000u + (i % 7 << 16), 0, 48);
	s.remote = v6(0x20010db900000000u + ((uint64_t)i << 8), 0, i & 1 ? 56 : 64);
	return s;
}

static struct selector ranges(unsigned i, unsigned n)
{
	struct selector s = blank();
	uint32_t a = 0xc0000000 + (rnd() & 0xffffff);
	s.local = v4(0x0a000000, 8);
	s.remote = v4(a, 32);
	s.remote.hi = v4(a + rnd() % 5000, 32).hi;
	return s;
}

static const struct {
	const char *name;
	struct selector (*make)(unsigned i, unsigned n);
} shapes[] = {
	{ "distinct hosts", hosts },
	{ "site pairs /16 x /24", subnets },
	{ "distinct host pairs", pairs },
	{ "one pair, every port", one_port },
	{ "one pair, port ranges", port_ranges },
	{ "random prefixes, ports", mixed },
	{ "IPv6 sites", sites6 },
	{ "address ranges", ranges },
};

/* ---- measuring ----------------------------------------------------------------------------- */

static struct policy *policy_of(struct selector s)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p || !(p->sel = malloc(sizeof(s))))
		abort();
	*p->sel = s;
	p->n_sel = 1;
	p->dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
	return p;
}

static void pick(const struct ip_range *r, uint8_t out[16])
{
	unsigned n = ip_addr_bytes(&r->lo);
	unsigned i = 0;
	memset(out, 0, 16);
	for (; i < n && r->lo.b[i] == r->hi.b[i]; i++)
		out[i] = r->lo.b[i];
	for (; i < n; i++) {
		unsigned span = r->hi.b[i] - r->lo.b[i];
		out[i] = r->hi.b[i] > r->lo.b[i] ? (uint8_t)(r->lo.b[i] + rnd() % (span + 1))
						 : r->lo.b[i];
	}
}

static uint16_t pick_port(const struct port_range *r)
{
	return r->match == PORT_RANGE ? (uint16_t)(r->lo + rnd() % (r->hi - r->lo + 1u))
				      : (uint16_t)rnd();
}

static struct flow_key flow_in(const struct selector *s)
{
	struct flow_key k = { .ver = s->local.lo.ver };
	pick(&s->local, k.src);
	pick(&s->remote, k.dst);
	k.proto = s->proto == PROTO_ANY ? IPPROTO_TCP : (uint8_t)s->proto;
	k.sport = pick_port(&s->local_port);
	k.dport = pick_port(&s->remote_port);
	return k;
}

static void measure(unsigned shape, unsigned n)
{
	struct policy **p = calloc(n, sizeof(struct policy *));
	struct flow_key *k = malloc(FLOWS * sizeof(*k));
	struct spd *spd;
	uint64_t found = 0, work = 0;

	if (!p || !k)
		abort();
	for (unsigned i = 0; i < n; i++)
		p[i] = policy_of(shapes[shape].make(i, n));
	for (unsigned i = 0; i < FLOWS; i++) {
		k[i] = flow_in(p[rnd() % n]->sel);
		if (i % 8 == 7)
			k[i].dst[3] ^= 0x55; /* mostly of no policy */
	}
	uint64_t t0 = clock_now_ns();
	if (spd_compile(p, n, &spd))
		abort();
	uint64_t t1 = clock_now_ns();
	for (unsigned i = 0; i < LOOKUPS; i++)
		found += spd_lookup(spd, DIR_OUT, &k[i % FLOWS]) != NULL;
	uint64_t t2 = clock_now_ns();
	for (unsigned i = 0; i < FLOWS; i++)
		work += spd_lookup_work(spd, DIR_OUT, &k[i]);
	printf("%-24s %7u policies: built in %7.1f ms, %6.1f MB; %6.1f ns a lookup (%5.2f M/s), "
	       "%4.1f steps, %2.0f%% match\n",
	       shapes[shape].name, n, (double)(t1 - t0) / 1e6, (double)spd_bytes(spd) / 1e6,
	       (double)(t2 - t1) / LOOKUPS, LOOKUPS * 1e3 / (double)(t2 - t1), (double)work / FLOWS,
	       100.0 * (double)found / LOOKUPS);
	spd_free(&spd);
	free(p);
	free(k);
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 10000, 100000 };

	for (unsigned j = 0; j < ARRAY_LEN(shapes); j++) {
		for (unsigned i = 0; argc < 2 && i < ARRAY_LEN(sizes); i++)
			measure(j, sizes[i]);
		for (int i = 1; i < argc; i++)
			measure(j, (unsigned)atoi(argv[i]));
	}
	return 0;
}
