/* A selector against one packet, field by field, and as text: the plain meaning that the compiled
 * classifier must agree with. */
#include "ipsec/selector.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* Protocols whose "port" is a message type: it belongs to the packet, not to one of its ends. */
static bool has_message_type(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_MH;
}

static bool range_has(const struct ip_range *r, int ver, const uint8_t addr[16])
{
	size_t n = ver == 4 ? 4 : 16;
	return r->lo.ver == ver && memcmp(r->lo.b, addr, n) <= 0 && memcmp(addr, r->hi.b, n) <= 0;
}

static bool port_has(const struct port_range *r, bool opaque, uint16_t port)
{
	switch (r->match) {
	case PORT_ANY:
		return true;
	case PORT_OPAQUE:
		return opaque;
	case PORT_RANGE:
		return !opaque && r->lo <= port && port <= r->hi;
	}
	return false;
}

bool selector_match(const struct selector *s, enum ipsec_dir dir, const struct flow_key *k)
{
	bool out = dir == DIR_OUT, opaque = k->flags & FLOW_OPAQUE;

	if (s->proto != PROTO_ANY && s->proto != k->proto)
		return false;
	if (!range_has(&s->local, k->ver, out ? k->src : k->dst) ||
	    !range_has(&s->remote, k->ver, out ? k->dst : k->src))
		return false;
	out |= has_message_type(k->proto);
	return port_has(&s->local_port, opaque, out ? k->sport : k->dport) &&
	       port_has(&s->remote_port, opaque, out ? k->dport : k->sport);
}

static const char *proto_name(uint16_t proto, char buf[8])
{
	switch (proto) {
	case PROTO_ANY:
		return "any";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_MH:
		return "mh";
	}
	snprintf(buf, 8, "%u", proto);
	return buf;
}

static const char *port_text(const struct port_range *r, uint16_t proto, char buf[32])
{
	if (r->match == PORT_ANY)
		return "any";
	if (r->match == PORT_OPAQUE)
		return "opaque";
	if (proto == PROTO_ANY || proto > 0xff || !has_message_type((uint8_t)proto))
		snprintf(buf, 32, r->lo == r->hi ? "%u" : "%u-%u", r->lo, r->hi);
	else if ((r->lo & 0xff) == 0 && (r->hi & 0xff) == 0xff && r->lo >> 8 == r->hi >> 8)
		snprintf(buf, 32, "type %u", r->lo >> 8);
	else if (r->lo == r->hi)
		snprintf(buf, 32, "type %u code %u", r->lo >> 8, r->lo & 0xff);
	else
		snprintf(buf, 32, "type %u/%u-%u/%u", r->lo >> 8, r->lo & 0xff, r->hi >> 8,
			 r->hi & 0xff);
	return buf;
}

/* "addr[proto/port]", without the brackets when neither says anything. */
static size_t end_text(char *out, size_t max, const struct ip_range *addr, uint16_t proto,
		       const struct port_range *port)
{
	char range[IP_RANGE_STRLEN], proto_buf[8], port_buf[32];
	int n;

	ip_range_format(addr, range);
	if (proto == PROTO_ANY && port->match == PORT_ANY)
		n = snprintf(out, max, "%s", range);
	else
		n = snprintf(out, max, "%s[%s/%s]", range, proto_name(proto, proto_buf),
			     port_text(port, proto, port_buf));
	return n < 0 ? 0 : (size_t)n;
}

const char *selector_format(const struct selector *s, char out[SELECTOR_STRLEN])
{
	size_t n = end_text(out, SELECTOR_STRLEN, &s->local, s->proto, &s->local_port);
	n += (size_t)snprintf(out + n, SELECTOR_STRLEN - n, " === ");
	end_text(out + n, SELECTOR_STRLEN - n, &s->remote, s->proto, &s->remote_port);
	return out;
}
