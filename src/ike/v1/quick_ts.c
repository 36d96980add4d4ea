/*
 * One selector of each side as an ID payload and back (RFC 2407 4.6.2, RFC 2409 5.5): an address, a
 * subnet or a range, a protocol and one port. That is all Quick Mode can say.
 */
#include <errno.h>
#include <stdio.h>

#include "ike/v1/v1.h"

#define PORT_ANY_HI 65535

/* The netmask of a prefix length. */
static void mask_of(unsigned bits, uint8_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned b = bits > 8 ? 8 : bits;
		out[i] = (uint8_t)(0xff00u >> b);
		bits -= b;
	}
}

/* Bits of a netmask; -1 when it has holes. */
static int bits_of(const uint8_t *mask, unsigned n)
{
	int bits = 0;

	for (unsigned i = 0; i < n * 8; i++) {
		bool set = mask[i / 8] & 0x80u >> i % 8;
		if (set && bits != (int)i)
			return -1;
		bits += set;
	}
	return bits;
}

int v1_ts_to_id(struct ike *ike, const struct ts *t, struct ike_payload *id, char *why,
		size_t whylen)
{
	unsigned n = ip_addr_bytes(&t->range.lo);
	uint8_t *b = ike_arena(ike, 2 * (size_t)n);
	struct ip_prefix p;

	if (!b || !n) {
		snprintf(why, whylen, "a selector has no address");
		return -ENOTSUP;
	}
	if (t->port_lo != t->port_hi && (t->port_lo || t->port_hi != PORT_ANY_HI)) {
		snprintf(why, whylen,
			 "IKEv1 can name one port or all, not a range of ports or opaque ones");
		return -ENOTSUP;
	}
	memcpy(b, t->range.lo.b, n);
	id->id.proto = t->proto;
	id->id.port = t->port_lo == t->port_hi ? t->port_lo : 0;
	if (ip_addr_eq(&t->range.lo, &t->range.hi)) {
		id->id.type = n == 4 ? IKE_ID_IPV4_ADDR : IKE_ID_IPV6_ADDR;
		id->id.data = span_of(b, n);
		return 0;
	}
	if (ip_range_is_prefix(&t->range, &p)) {
		id->id.type = n == 4 ? IKE_ID_IPV4_SUBNET : IKE_ID_IPV6_SUBNET;
		mask_of(p.len, b + n, n);
	} else {
		id->id.type = n == 4 ? IKE_ID_IPV4_RANGE : IKE_ID_IPV6_RANGE;
		memcpy(b + n, t->range.hi.b, n);
	}
	id->id.data = span_of(b, 2 * (size_t)n);
	return 0;
}

static struct ip_addr addr(const uint8_t *p, unsigned n)
{
	return n == 4 ? ip_addr_from_v4(p) : ip_addr_from_v6(p);
}

int v1_ts_from_id(const struct ike_payload *id, struct ts *t)
{
	const uint8_t *p = id->id.data.p;
	unsigned n = id->id.data.len == 4 || id->id.data.len == 8 ? 4 : 16;
	struct ip_prefix prefix;
	int bits;

	*t = (struct ts){ .proto = id->id.proto,
			  .port_lo = id->id.port,
			  .port_hi = id->id.port ? id->id.port : PORT_ANY_HI };
	/* the parser has seen to it that each has its length */
	switch (id->id.type) {
	case IKE_ID_IPV4_ADDR:
	case IKE_ID_IPV6_ADDR:
		t->range.lo = t->range.hi = addr(p, n);
		return 0;
	case IKE_ID_IPV4_SUBNET:
	case IKE_ID_IPV6_SUBNET:
		n = id->id.type == IKE_ID_IPV4_SUBNET ? 4 : 16;
		bits = bits_of(p + n, n);
		if (bits < 0)
			return -EBADMSG;
		prefix = (struct ip_prefix){ .addr = addr(p, n), .len = (uint8_t)bits };
		t->range = ip_range_of_prefix(&prefix);
		return 0;
	case IKE_ID_IPV4_RANGE:
	case IKE_ID_IPV6_RANGE:
		n = id->id.type == IKE_ID_IPV4_RANGE ? 4 : 16;
		t->range = (struct ip_range){ .lo = addr(p, n), .hi = addr(p + n, n) };
		return ip_addr_cmp(&t->range.lo, &t->range.hi) <= 0 ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}
