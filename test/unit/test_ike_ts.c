/* Traffic selectors: text, payloads, narrowing (also against a count of every packet of a small
 * world), the SPD's selectors. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "crypto_util.h"
#include "ike/ts.h"
#include "must.h"
#include "test_ike_keys.h"

static char why[256];

static struct ts ts(const char *text)
{
	struct ts t;

	ck_assert_msg(ts_parse(text, &t, why, sizeof(why)) == 0, "%s: %s", text, why);
	return t;
}

/* Separated by spaces. */
static struct ts_list list(const char *text)
{
	struct ts_list l = { 0 };
	char copy[1024], *p, *save = NULL;

	strcpy(copy, text);
	for (p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
		l.ts[l.n++] = ts(p);
	return l;
}

static const char *text_of(const struct ts_list *l)
{
	static char out[4096];

	return ts_list_format(l, out, sizeof(out));
}

/* ---- text */

static const struct {
	const char *in, *out; /* out NULL: the same */
} texts[] = {
	{ "10.1.0.0/16", NULL },
	{ "10.1.2.3/16", "10.1.0.0/16" },
	{ "10.1.0.1-10.1.0.9", NULL },
	{ "10.1.0.0-10.1.255.255", "10.1.0.0/16" },
	{ "10.1.0.1", "10.1.0.1/32" },
	{ "0.0.0.0/0", NULL },
	{ "::/0", NULL },
	{ "2001:db8::/32[tcp/443]", NULL },
	{ "2001:db8::1-2001:db8::9[udp]", NULL },
	{ "dynamic", NULL },
	{ "DYNAMIC[tcp/22]", "dynamic[tcp/22]" },
	{ "10.0.0.0/8[tcp]", NULL },
	{ "10.0.0.0/8[TCP/]", "10.0.0.0/8[tcp]" },
	{ "10.0.0.0/8[6/80]", "10.0.0.0/8[tcp/80]" },
	{ "10.0.0.0/8[udp/1000-2000]", NULL },
	{ "10.0.0.0/8[tcp/opaque]", NULL },
	{ "10.0.0.0/8[tcp/0-65535]", "10.0.0.0/8[tcp]" },
	{ "10.0.0.0/8[/53]", NULL },
	{ "10.0.0.0/8[any/any]", "10.0.0.0/8" },
	{ "10.0.0.0/8[]", "10.0.0.0/8" },
	{ "10.0.0.0/8[47]", "10.0.0.0/8[gre]" },
	{ "10.0.0.0/8[200/7]", NULL },
	{ "10.0.0.0/8[icmp]", NULL },
	{ "10.0.0.0/8[icmp/8]", NULL },
	{ "10.0.0.0/8[icmp/8-11]", NULL },
	{ "10.0.0.0/8[icmp/3/4]", NULL },
	{ "10.0.0.0/8[icmp/2048]", "10.0.0.0/8[icmp/8/0]" },
	{ "10.0.0.0/8[icmp/3/0-3/4]", NULL },
	{ "10.0.0.0/8[icmp/768-772]", "10.0.0.0/8[icmp/3/0-3/4]" },
	{ "::/0[ipv6-icmp/128]", "::/0[icmpv6/128]" },
	{ "::/0[mh/5]", NULL },
};

START_TEST(test_text)
{
	const char *want = texts[_i].out ? texts[_i].out : texts[_i].in;
	struct ts t = ts(texts[_i].in), again;
	char out[TS_STRLEN];

	ck_assert_str_eq(ts_format(&t, out), want);
	ck_assert_int_eq(ts_parse(out, &again, why, sizeof(why)), 0);
	ck_assert(ts_eq(&t, &again));
}
END_TEST

START_TEST(test_fields)
{
	struct ts t = ts("10.0.0.0/8[icmp/8]");

	ck_assert_uint_eq(t.port_lo, 0x0800);
	ck_assert_uint_eq(t.port_hi, 0x08ff);
	t = ts("10.0.0.0/8[tcp/opaque]");
	ck_assert_uint_eq(t.port_lo, 65535);
	ck_assert_uint_eq(t.port_hi, 0);
	t = ts("dynamic[udp/53]");
	ck_assert(t.dynamic && t.range.lo.ver == 0 && t.proto == 17);
	t = ts("10.0.0.0/8");
	ck_assert(t.proto == 0 && t.port_lo == 0 && t.port_hi == 65535);
}
END_TEST

static const struct {
	const char *in, *says;
} wrong[] = {
	{ "", "is no address" },
	{ "10.1.0.0/33", "is no address" },
	{ "10.1.0.9-10.1.0.1", "is no address" },
	{ "10.1.0.0/16[tcp", "closing bracket" },
	{ "10.1.0.0/16[", "closing bracket" },
	{ "10.1.0.0/16[tcp/80]x", "closing bracket" },
	{ "10.1.0.0/16[tpc/80]", "\"tpc\" is no protocol" },
	{ "10.1.0.0/16[256]", "is no protocol" },
	{ "10.1.0.0/16[tcp/http]", "\"http\" is no port" },
	{ "10.1.0.0/16[tcp/65536]", "is no port" },
	{ "10.1.0.0/16[tcp/1-]", "is no port" },
	{ "10.1.0.0/16[tcp/-1]", "is no port" },
	{ "10.1.0.0/16[tcp/20-10]", "ends before it starts" },
	{ "10.1.0.0/16[icmp/3/256]", "is no port" },
	{ "10.1.0.0/16[icmp/3/]", "is no port" },
	{ "10.1.0.0/16[tcp/3/1]", "is no port" },
	{ "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
	  "111"
	  "1111111111111111111111111111111111111",
	  "too long" },
};

START_TEST(test_wrong_text)
{
	struct ts t;

	ck_assert_int_eq(ts_parse(wrong[_i].in, &t, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, wrong[_i].says) != NULL, "%s: %s", wrong[_i].in, why);
}
END_TEST

START_TEST(test_list_text)
{
	struct ts_list l = list("10.1.0.0/16 10.2.0.0/16[tcp/80]");
	char out[20];

	ck_assert_str_eq(text_of(&l), "10.1.0.0/16 10.2.0.0/16[tcp/80]");
	ck_assert_str_eq(ts_list_format(&l, out, sizeof(out)), "10.1.0.0/16 10.2.0.");
	l.n = 0;
	ck_assert_str_eq(ts_list_format(&l, out, sizeof(out)), "");
}
END_TEST

/* ---- covering, equality, dynamic */

static const struct {
	const char *outer, *inner;
	bool covers;
} covering[] = {
	{ "10.0.0.0/8", "10.1.0.0/16", true },
	{ "10.1.0.0/16", "10.0.0.0/8", false },
	{ "10.0.0.0/8", "10.0.0.0/8[tcp/80]", true },
	{ "10.0.0.0/8[tcp]", "10.0.0.0/8", false },
	{ "10.0.0.0/8[tcp]", "10.0.0.0/8[udp]", false },
	{ "10.0.0.0/8[tcp/80-90]", "10.0.0.0/8[tcp/80-90]", true },
	{ "10.0.0.0/8[tcp/80-90]", "10.0.0.0/8[tcp/80-91]", false },
	{ "10.0.0.0/8[tcp]", "10.0.0.0/8[tcp/opaque]", true },
	{ "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/opaque]", true },
	{ "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/80]", false },
	{ "10.0.0.0/8[tcp/1-65535]", "10.0.0.0/8[tcp/opaque]", false },
	{ "10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp/8/0]", true },
	{ "10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp/0]", false },
	{ "0.0.0.0/0", "::/0", false },
	{ "::/0", "2001:db8::1", true },
	{ "dynamic", "dynamic", false },
	{ "0.0.0.0/0", "dynamic", false },
};

START_TEST(test_covers)
{
	struct ts o = ts(covering[_i].outer), i = ts(covering[_i].inner);

	ck_assert_int_eq(ts_covers(&o, &i), covering[_i].covers);
}
END_TEST

START_TEST(test_dynamic)
{
	struct ts_list l = list("10.1.0.0/16 dynamic[udp/53] dynamic"), out;
	struct ip_addr v4, v6, none = { 0 };

	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &v4), 0);
	ck_assert_int_eq(ip_addr_parse("2001:db8::1", &v6), 0);
	ts_resolve(&l, &none, &out);
	ck_assert(ts_list_eq(&l, &out));
	ts_resolve(&l, &v4, &out);
	ck_assert_str_eq(text_of(&out), "10.1.0.0/16 192.0.2.1/32[udp/53] 192.0.2.1/32");
	ck_assert(!ts_list_eq(&l, &out));
	ts_resolve(&l, &v6, &l);
	ck_assert_str_eq(text_of(&l), "10.1.0.0/16 2001:db8::1/128[udp/53] 2001:db8::1/128");
	out = l;
	out.n--;
	ck_assert(!ts_list_eq(&l, &out));
	ck_assert(ts_within(&out, &l) && ts_within(&l, &l));
}
END_TEST

/* ---- payloads */

START_TEST(test_payload)
{
	static struct ike_msg m, n;
	static uint8_t buf[8192];
	static const uint8_t spi[8] = { 1 };
	struct ts_list l = list("10.1.0.0/16[tcp/80] dynamic 2001:db8::/32[icmpv6/128] "
				"10.0.0.1-10.0.0.9[udp/opaque] 0.0.0.0/0"),
		       out;
	struct wr w = wr_of(buf, sizeof(buf));
	struct ike_bad bad;

	ike_msg_init(&m, 0x20, spi, spi, IKE2_X_AUTH, 0, 1);
	struct ike_payload *p = ike_msg_add(&m, IKE2_TSI, false);
	ck_assert_int_eq(ts_to_payload(&l, &m, p), 0);
	struct ike_ts *odd = ike_msg_add_ts(&m, p); /* a type of RFC 4595 */
	odd->type = 9;
	odd->data = span_of("12345678", 8);
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&w), &bad), 0);
	ck_assert_uint_eq(ts_from_payload(&n, &n.payload[0], &out), 5);
	ck_assert_str_eq(text_of(&out), "10.1.0.0/16[tcp/80] 2001:db8::/32[icmpv6/128] "
					"10.0.0.1-10.0.0.9[udp/opaque] 0.0.0.0/0");
	/* OPAQUE the other way round is OPAQUE too */
	n.ts[0].port_lo = 9;
	n.ts[0].port_hi = 8;
	ts_from_payload(&n, &n.payload[0], &out);
	ck_assert(out.ts[0].port_lo == 65535 && out.ts[0].port_hi == 0);
	/* more than a list holds */
	ike_msg_init(&m, 0x20, spi, spi, IKE2_X_AUTH, 0, 1);
	p = ike_msg_add(&m, IKE2_TSI, false);
	for (unsigned i = 0; i < 63; i++)
		ck_assert_int_eq(ts_to_payload(&l, &m, p), 0);
	ck_assert_uint_eq(ts_from_payload(&m, p, &out), 252);
	ck_assert_uint_eq(out.n, TS_MAX);
	ck_assert_int_eq(ts_to_payload(&l, &m, p), 0);
	ck_assert_int_eq(ts_to_payload(&l, &m, p), -ENOSPC);
}
END_TEST

/* ---- narrowing */

static const struct {
	const char *ours, *offered, *want;
	bool cut;
} narrowing[] = {
	/* RFC 7296 2.9: the same, a subset, a superset */
	{ "10.1.0.0/16", "10.1.0.0/16", "10.1.0.0/16", false },
	{ "10.1.0.0/16", "0.0.0.0/0", "10.1.0.0/16", true },
	{ "0.0.0.0/0", "10.1.0.0/16", "10.1.0.0/16", false },
	{ "10.1.0.0/16", "10.2.0.0/16", "", true },
	/* the RFC's example: 192.0.2.0/24 offered, with the packet's own address first */
	{ "192.0.2.0/25", "192.0.2.43[udp/1500] 192.0.2.0/24", "192.0.2.0/25", true },
	{ "192.0.2.43[udp/1500]", "192.0.2.43[udp/1500] 192.0.2.0/24", "192.0.2.43/32[udp/1500]",
	  true },
	/* several, in the order of the offer */
	{ "10.1.0.0/16 10.2.0.0/16", "10.2.0.0/16 10.1.0.0/16", "10.2.0.0/16 10.1.0.0/16", false },
	{ "10.1.0.0/16 10.3.0.0/16", "10.1.0.0/16 10.2.0.0/16", "10.1.0.0/16", true },
	{ "10.1.0.0/16 10.2.0.0/16", "10.0.0.0/8", "10.1.0.0/16 10.2.0.0/16", true },
	/* ranges that overlap in part */
	{ "10.0.0.1-10.0.0.9", "10.0.0.5-10.0.0.20", "10.0.0.5-10.0.0.9", true },
	/* no duplicates, nothing inside another */
	{ "10.0.0.0/8 10.1.0.0/16", "10.1.0.0/16 10.1.2.0/24", "10.1.0.0/16", false },
	{ "0.0.0.0/0", "10.1.2.3 10.1.0.0/16", "10.1.0.0/16", false },
	/* protocols and ports */
	{ "10.0.0.0/8[tcp]", "10.0.0.0/8", "10.0.0.0/8[tcp]", true },
	{ "10.0.0.0/8[tcp]", "10.0.0.0/8[udp]", "", true },
	{ "10.0.0.0/8[tcp/80-90]", "10.0.0.0/8[tcp/85-100]", "10.0.0.0/8[tcp/85-90]", true },
	{ "10.0.0.0/8[tcp/80] 10.0.0.0/8[udp/53]", "10.0.0.0/8",
	  "10.0.0.0/8[tcp/80] 10.0.0.0/8[udp/53]", true },
	{ "10.0.0.0/8", "10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp/8]", false },
	{ "10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp]", "10.0.0.0/8[icmp/8]", true },
	{ "10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp/0]", "", true },
	/* OPAQUE */
	{ "10.0.0.0/8", "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/opaque]", false },
	{ "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/80]", "", true },
	{ "10.0.0.0/8[tcp/80]", "10.0.0.0/8[tcp/opaque]", "", true },
	/* versions do not mix */
	{ "10.1.0.0/16 2001:db8:1::/48", "::/0 0.0.0.0/0", "2001:db8:1::/48 10.1.0.0/16", true },
	{ "10.1.0.0/16", "2001:db8::/32", "", true },
	/* not resolved: meets nothing */
	{ "dynamic", "0.0.0.0/0", "", true },
};

START_TEST(test_narrow)
{
	struct ts_list ours = list(narrowing[_i].ours), offered = list(narrowing[_i].offered),
		       want = list(narrowing[_i].want), out;
	bool cut;

	ck_assert_uint_eq(ts_narrow(&ours, &offered, &out, &cut), want.n);
	ck_assert_msg(ts_list_eq(&out, &want), "%s", text_of(&out));
	ck_assert_int_eq(cut, narrowing[_i].cut);
}
END_TEST

/* A small world: 12 addresses, 3 protocols, 5 ports and the port that cannot be seen. */
enum { ADDRS = 12, PORTS = 5, OPAQUE = PORTS };

static struct ip_addr small_addr(unsigned i)
{
	uint8_t b[16] = { 10, 0, 0, (uint8_t)i };

	if (i < ADDRS / 2)
		return ip_addr_from_v4(b);
	memset(b, 0, 16);
	b[15] = (uint8_t)i;
	return ip_addr_from_v6(b);
}

static const uint8_t small_proto[] = { 6, 17, 1 };
static const uint16_t small_port[PORTS] = { 0, 1, 7, 65534, 65535 };

static struct ts small_ts(void)
{
	unsigned half = pick(2) * (ADDRS / 2), lo = pick(ADDRS / 2), hi = lo + pick(ADDRS / 2 - lo),
		 a = pick(PORTS), b = a + pick(PORTS - a);
	struct ts t = { .range = { small_addr(half + lo), small_addr(half + hi) },
			.proto = pick(3) ? small_proto[pick(3)] : 0,
			.port_lo = small_port[a],
			.port_hi = small_port[b] };

	if (pick(5) == 0)
		t.port_lo = 65535, t.port_hi = 0;
	else if (pick(3) == 0)
		t.port_lo = 0, t.port_hi = 65535;
	return t;
}

static bool has(const struct ts_list *l, unsigned addr, uint8_t proto, unsigned port)
{
	struct ip_addr a = small_addr(addr);

	for (unsigned i = 0; i < l->n; i++) {
		const struct ts *t = &l->ts[i];
		bool any = t->port_lo == 0 && t->port_hi == 65535, opaque = t->port_lo > t->port_hi;
		if (ip_range_has(&t->range, &a) && (t->proto == 0 || t->proto == proto) &&
		    (any || (port == OPAQUE ? opaque
					    : !opaque && t->port_lo <= small_port[port] &&
						  small_port[port] <= t->port_hi)))
			return true;
	}
	return false;
}

START_TEST(test_narrow_by_counting)
{
	struct ts_list ours = { 0 }, offered = { 0 }, out;
	bool cut;

	for (unsigned round = 0; round < 20000; round++) {
		ours.n = pick(5);
		offered.n = 1 + pick(4);
		for (unsigned i = 0; i < ours.n; i++)
			ours.ts[i] = small_ts();
		for (unsigned i = 0; i < offered.n; i++)
			offered.ts[i] = small_ts();
		ts_narrow(&ours, &offered, &out, &cut);
		bool lost = false;
		for (unsigned a = 0; a < ADDRS; a++)
			for (unsigned p = 0; p < 3; p++)
				for (unsigned q = 0; q <= PORTS; q++) {
					bool o = has(&offered, a, small_proto[p], q),
					     u = has(&ours, a, small_proto[p], q);
					must_uint_eq(has(&out, a, small_proto[p], q), o && u);
					lost = lost || (o && !u);
				}
		ck_assert(cut || !lost);
		ck_assert(ts_within(&out, &offered) && ts_within(&out, &ours));
		for (unsigned i = 0; i < out.n; i++)
			for (unsigned k = 0; k < out.n; k++)
				must(i == k || !ts_covers(&out.ts[i], &out.ts[k]));
	}
}
END_TEST

START_TEST(test_narrow_full)
{
	struct ts_list ours = { 0 }, offered = { 0 }, out;
	bool cut;

	for (ours.n = 0; ours.n < TS_MAX; ours.n++)
		ours.ts[ours.n] = (struct ts){ .range = ip_range_all(4),
					       .proto = 6,
					       .port_lo = (uint16_t)(2 * ours.n + 1),
					       .port_hi = (uint16_t)(2 * ours.n + 1) };
	offered = list("10.0.0.0/8 11.0.0.0/8");
	ck_assert_uint_eq(ts_narrow(&ours, &offered, &out, &cut), TS_MAX);
	ck_assert(cut);
	ck_assert(ts_within(&out, &offered));
}
END_TEST

/* ---- the SPD's selectors */

static void check_selectors(const char *local, const char *remote, const char *want)
{
	struct ts_list l = list(local), r = list(remote);
	char got[2048] = "", one[SELECTOR_STRLEN];
	struct selector *s;
	unsigned n;

	int rc = ts_selectors(&l, &r, &s, &n);
	ck_assert_int_eq(rc, *want ? 0 : -ENOENT);
	ck_assert_int_eq(n > 0, !rc);
	for (unsigned i = 0; i < n; i++) {
		strcat(got, i ? ", " : "");
		strcat(got, selector_format(&s[i], one));
	}
	ck_assert_str_eq(got, want);
	free(s);
}

START_TEST(test_selectors)
{
	check_selectors("10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/16 === 10.2.0.0/16");
	check_selectors("10.1.0.0/16", "10.2.0.0/16 10.3.0.0/16",
			"10.1.0.0/16 === 10.2.0.0/16, 10.1.0.0/16 === 10.3.0.0/16");
	check_selectors("10.1.0.0/16 2001:db8:1::/48", "2001:db8:2::/48",
			"2001:db8:1::/48 === 2001:db8:2::/48");
	check_selectors("10.1.0.0/16", "2001:db8:2::/48", "");
	check_selectors("10.1.0.0/16[tcp]", "10.2.0.0/16[udp]", "");
	check_selectors("10.1.0.0/16", "10.2.0.0/16[tcp/80]",
			"10.1.0.0/16[tcp/any] === 10.2.0.0/16[tcp/80]");
	check_selectors("10.1.0.0/16[tcp/opaque]", "10.2.0.0/16[tcp/80-90]",
			"10.1.0.0/16[tcp/opaque] === 10.2.0.0/16[tcp/80-90]");
	check_selectors("10.1.0.0/16[icmp/8]", "10.2.0.0/16",
			"10.1.0.0/16[icmp/any] === 10.2.0.0/16[icmp/type 8]");
	check_selectors("10.1.0.0/16[icmp/8]", "10.2.0.0/16[icmp/8/0]",
			"10.1.0.0/16[icmp/any] === 10.2.0.0/16[icmp/type 8 code 0]");
	check_selectors("10.1.0.0/16[icmp/8]", "10.2.0.0/16[icmp/0]", "");
	check_selectors("10.1.0.0/16[icmp/30]", "10.2.0.0/16[icmp/opaque]", "");
	check_selectors("dynamic", "10.2.0.0/16", "");
}
END_TEST

START_TEST(test_from_flow)
{
	struct flow_key k = { .src = { 10, 1, 0, 1 },
			      .dst = { 10, 2, 0, 2 },
			      .sport = 40000,
			      .dport = 80,
			      .proto = 6,
			      .ver = 4 };
	struct ts l, r;
	char a[TS_STRLEN], b[TS_STRLEN];

	ts_from_flow(&k, &l, &r);
	ck_assert_str_eq(ts_format(&l, a), "10.1.0.1/32[tcp/40000]");
	ck_assert_str_eq(ts_format(&r, b), "10.2.0.2/32[tcp/80]");
	k.proto = 1;
	k.sport = 0;
	k.dport = 0x0800;
	ts_from_flow(&k, &l, &r);
	ck_assert_str_eq(ts_format(&l, a), "10.1.0.1/32[icmp/8/0]");
	ck_assert_str_eq(ts_format(&r, b), "10.2.0.2/32[icmp/8/0]");
	k.proto = 47;
	k.dport = 0;
	k.flags = FLOW_OPAQUE;
	ts_from_flow(&k, &l, &r);
	ck_assert_str_eq(ts_format(&l, a), "10.1.0.1/32[gre]");
	ck_assert_str_eq(ts_format(&r, b), "10.2.0.2/32[gre]");
}
END_TEST

/* A flow made of selectors gives the same selectors again, field by field. */
START_TEST(test_populate)
{
	static const struct {
		const char *ours, *local, *remote;
	} rows[] = {
		{ "10.1.0.0/16[tcp/40000]", "10.1.0.1/32[tcp/40000]", "10.2.0.2/32[tcp/80]" },
		{ "10.1.0.0/16", "10.1.0.1/32[icmp/8/0]", "10.2.0.2/32[icmp/8/0]" },
		{ "10.1.0.0/16", "10.1.0.1/32[gre]", "10.2.0.2/32[gre]" },
		{ "10.1.0.0/16[udp/opaque]", "10.1.0.1/32[udp/opaque]", "10.2.0.2/32[udp/opaque]" },
		{ "10.1.0.0/16", "10.1.0.1/32[udp/7]", "10.2.0.2/32[udp/0]" },
	};
	char text[TS_STRLEN];

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct ts_list ours = { .n = 2 }, l = { .n = 1 }, r = { .n = 1 }, out;
		struct flow_key k;
		struct ts packet, other;
		ck_assert_int_eq(ts_parse("10.9.0.0/16", &ours.ts[0], why, sizeof(why)), 0);
		ck_assert_int_eq(ts_parse(rows[i].ours, &ours.ts[1], why, sizeof(why)), 0);
		ck_assert_int_eq(ts_parse(rows[i].local, &l.ts[0], why, sizeof(why)), 0);
		ck_assert_int_eq(ts_parse(rows[i].remote, &r.ts[0], why, sizeof(why)), 0);
		ts_to_flow(&l, &r, &k);
		ts_from_flow(&k, &packet, &other);
		ck_assert(ts_populate(&ours, &packet, true, true, true, &out));
		ck_assert_uint_eq(out.n, 1);
		ck_assert_str_eq(ts_format(&out.ts[0], text), rows[i].local);
		ck_assert(ts_populate(&ours, &packet, false, false, false, &out));
		ck_assert(ts_eq(&out.ts[0], &ours.ts[1]));
		/* into itself; and where nothing holds the packet */
		struct ts_list self = ours;
		ck_assert(ts_populate(&self, &packet, true, false, false, &self));
		ck_assert_uint_eq(self.n, 1);
		ck_assert(!ts_populate(&ours, &other, true, true, true, &out));
	}
}
END_TEST

TCase *ike_ts_case(void)
{
	TCase *t = tcase_create("ts");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_text, 0, ARRAY_LEN(texts));
	tcase_add_test(t, test_fields);
	tcase_add_loop_test(t, test_wrong_text, 0, ARRAY_LEN(wrong));
	tcase_add_test(t, test_list_text);
	tcase_add_loop_test(t, test_covers, 0, ARRAY_LEN(covering));
	tcase_add_test(t, test_dynamic);
	tcase_add_test(t, test_payload);
	tcase_add_loop_test(t, test_narrow, 0, ARRAY_LEN(narrowing));
	tcase_add_test(t, test_narrow_by_counting);
	tcase_add_test(t, test_narrow_full);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_from_flow);
	tcase_add_test(t, test_populate);
	return t;
}
