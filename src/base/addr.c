/* Text, comparison and arithmetic of addresses, prefixes and ranges. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ip_addr_parse(const char *text, struct ip_addr *out)
{
	struct ip_addr a = { 0 };

	if (inet_pton(AF_INET, text, a.b) == 1)
		a.ver = 4;
	else if (inet_pton(AF_INET6, text, a.b) == 1)
		a.ver = 6;
	else
		return -EINVAL;
	*out = a;
	return 0;
}

/* Parses text[0..n) as an address. */
static int addr_parse_n(const char *text, size_t n, struct ip_addr *out)
{
	char tmp[IP_ADDR_STRLEN];

	if (n == 0 || n >= sizeof(tmp))
		return -EINVAL;
	memcpy(tmp, text, n);
	tmp[n] = 0;
	return ip_addr_parse(tmp, out);
}

int ip_prefix_parse(const char *text, struct ip_prefix *out)
{
	const char *slash = strchr(text, '/');
	struct ip_prefix p;

	if (addr_parse_n(text, slash ? (size_t)(slash - text) : strlen(text), &p.addr))
		return -EINVAL;
	unsigned bits = ip_addr_bytes(&p.addr) * 8;
	p.len = (uint8_t)bits;
	if (slash) {
		char *end;
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		unsigned long len = strtoul(slash + 1, &end, 10);
		if (*end || len > bits)
			return -EINVAL;
		p.len = (uint8_t)len;
	}
	*out = p;
	return 0;
}

int ip_range_parse(const char *text, struct ip_range *out)
{
	const char *dash = strchr(text, '-');

	if (!dash) {
		struct ip_prefix p;
		if (ip_prefix_parse(text, &p))
			return -EINVAL;
		*out = ip_range_of_prefix(&p);
		return 0;
	}
	struct ip_range r;
	if (addr_parse_n(text, (size_t)(dash - text), &r.lo) || ip_addr_parse(dash + 1, &r.hi))
		return -EINVAL;
	if (r.lo.ver != r.hi.ver || ip_addr_cmp(&r.lo, &r.hi) > 0)
		return -EINVAL;
	*out = r;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *a, char out[IP_ADDR_STRLEN])
{
	if (a->ver == 0)
		strcpy(out, "none");
	else
		inet_ntop(a->ver == 4 ? AF_INET : AF_INET6, a->b, out, IP_ADDR_STRLEN);
	return out;
}

const char *ip_prefix_format(const struct ip_prefix *p, char out[IP_RANGE_STRLEN])
{
	char a[IP_ADDR_STRLEN];

	snprintf(out, IP_RANGE_STRLEN, "%s/%u", ip_addr_format(&p->addr, a), p->len);
	return out;
}

const char *ip_range_format(const struct ip_range *r, char out[IP_RANGE_STRLEN])
{
	struct ip_prefix p;
	char lo[IP_ADDR_STRLEN], hi[IP_ADDR_STRLEN];

	if (ip_range_is_prefix(r, &p))
		return ip_prefix_format(&p, out);
	snprintf(out, IP_RANGE_STRLEN, "%s-%s", ip_addr_format(&r->lo, lo),
		 ip_addr_format(&r->hi, hi));
	return out;
}

const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_STRLEN])
{
	char a[IP_ADDR_STRLEN];

	ip_addr_format(&e->addr, a);
	if (e->port == 0)
		snprintf(out, ENDPOINT_STRLEN, "%s", a);
	else
		snprintf(out, ENDPOINT_STRLEN, e->addr.ver == 6 ? "[%s]:%u" : "%s:%u", a, e->port);
	return out;
}

struct ip_addr ip_addr_from_v4(const void *four_bytes_be)
{
	struct ip_addr a = { .ver = 4 };
	memcpy(a.b, four_bytes_be, 4);
	return a;
}

struct ip_addr ip_addr_from_v6(const void *sixteen_bytes_be)
{
	struct ip_addr a = { .ver = 6 };
	memcpy(a.b, sixteen_bytes_be, 16);
	return a;
}

struct ip_addr ip_addr_any(int ver)
{
	return (struct ip_addr) { .ver = (uint8_t)ver };
}

bool ip_addr_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

bool ip_addr_is_multicast(const struct ip_addr *a)
{
	return a->ver == 4 ? a->b[0] >> 4 == 0xe : a->ver == 6 && a->b[0] == 0xff;
}

bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_addr_cmp(a, b) == 0;
}

int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->ver != b->ver)
		return (int)a->ver - (int)b->ver;
	return memcmp(a->b, b->b, sizeof(a->b));
}

struct ip_range ip_range_of_prefix(const struct ip_prefix *p)
{
	struct ip_range r = { p->addr, p->addr };
	unsigned bits = ip_addr_bytes(&p->addr) * 8;

	for (unsigned i = p->len; i < bits; i++) {
		r.lo.b[i / 8] &= (uint8_t)~(0x80 >> (i % 8));
		r.hi.b[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	}
	return r;
}

struct ip_range ip_range_all(int ver)
{
	struct ip_prefix p = { ip_addr_any(ver), 0 };
	return ip_range_of_prefix(&p);
}

bool ip_range_has(const struct ip_range *r, const struct ip_addr *a)
{
	return a->ver == r->lo.ver && ip_addr_cmp(&r->lo, a) <= 0 && ip_addr_cmp(a, &r->hi) <= 0;
}

bool ip_range_covers(const struct ip_range *outer, const struct ip_range *inner)
{
	return ip_range_has(outer, &inner->lo) && ip_range_has(outer, &inner->hi);
}

/* How many low bits of lo..hi are free, when the range is a prefix; -1 when it is not. */
static int range_free_bits(const struct ip_range *r)
{
	unsigned bits = ip_addr_bytes(&r->lo) * 8;
	unsigned same = 0;

	while (same < bits && !((r->lo.b[same / 8] ^ r->hi.b[same / 8]) & (0x80 >> (same % 8))))
		same++;
	for (unsigned i = same; i < bits; i++) {
		unsigned mask = 0x80u >> (i % 8);
		if ((r->lo.b[i / 8] & mask) || !(r->hi.b[i / 8] & mask))
			return -1;
	}
	return (int)(bits - same);
}

bool ip_range_is_prefix(const struct ip_range *r, struct ip_prefix *out)
{
	int free_bits = range_free_bits(r);

	if (free_bits < 0)
		return false;
	out->addr = r->lo;
	out->len = (uint8_t)(ip_addr_bytes(&r->lo) * 8 - (unsigned)free_bits);
	return true;
}

/* Adds one to an address; false when it was the last. */
static bool addr_inc(struct ip_addr *a)
{
	for (int i = (int)ip_addr_bytes(a) - 1; i >= 0; i--)
		if (++a->b[i])
			return true;
	return false;
}

int ip_range_to_prefixes(const struct ip_range *r, struct ip_prefix *out, unsigned max)
{
	struct ip_addr at = r->lo;
	unsigned bits = ip_addr_bytes(&at) * 8, n = 0;

	for (;;) {
		/* the largest prefix that starts at `at` and does not pass hi */
		struct ip_prefix best = { at, (uint8_t)bits };
		struct ip_range br = ip_range_of_prefix(&best);
		while (best.len > 0) {
			struct ip_prefix wider = { at, (uint8_t)(best.len - 1) };
			struct ip_range wr = ip_range_of_prefix(&wider);
			if (!ip_addr_eq(&wr.lo, &at) || ip_addr_cmp(&wr.hi, &r->hi) > 0)
				break;
			best = wider;
			br = wr;
		}
		if (n == max)
			return -ENOSPC;
		out[n++] = best;
		if (ip_addr_eq(&br.hi, &r->hi))
			return (int)n;
		at = br.hi;
		if (!addr_inc(&at))
			return (int)n;
	}
}

bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_addr_eq(&a->addr, &b->addr);
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (e->addr.ver == 6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)out;
		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(e->port);
		memcpy(&s6->sin6_addr, e->addr.b, 16);
		return sizeof(*s6);
	}
	struct sockaddr_in *s4 = (struct sockaddr_in *)out;
	s4->sin_family = AF_INET;
	s4->sin_port = htons(e->port);
	memcpy(&s4->sin_addr, e->addr.b, 4);
	return sizeof(*s4);
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *s4 = (const struct sockaddr_in *)sa;
		out->addr = ip_addr_from_v4(&s4->sin_addr);
		out->port = ntohs(s4->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)sa;
		if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr))
			out->addr = ip_addr_from_v4(&s6->sin6_addr.s6_addr[12]);
		else
			out->addr = ip_addr_from_v6(&s6->sin6_addr);
		out->port = ntohs(s6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}
