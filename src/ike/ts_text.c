/*
 * Selectors as text, both ways: "10.1.0.0/16[tcp/80]". The address part is cut off at the bracket,
 * what is inside at its first slash.
 */
#include "base/why.h"
#include "ike/ts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {
	{ "icmp", 1 },       { "igmp", 2 },   { "ipip", 4 },  { "ipencap", 4 },
	{ "tcp", 6 },        { "udp", 17 },   { "dccp", 33 }, { "ipv6", 41 },
	{ "gre", 47 },       { "esp", 50 },   { "ah", 51 },   { "icmpv6", 58 },
	{ "ipv6-icmp", 58 }, { "ospf", 89 },  { "pim", 103 }, { "vrrp", 112 },
	{ "l2tp", 115 },     { "sctp", 132 }, { "mh", 135 },  { "udplite", 136 },
};

#define refuse(...) why_say(-EINVAL, __VA_ARGS__)

/* Digits up to the end, or up to `stop`, as a number up to max. Returns what follows, NULL when it
 * is no such number. */
static const char *number(const char *p, unsigned long max, unsigned *out)
{
	char *end;

	if (*p < '0' || *p > '9')
		return NULL;
	unsigned long n = strtoul(p, &end, 10);
	*out = (unsigned)n;
	return n > max ? NULL : end;
}

static bool is_any(const char *p)
{
	return !*p || strcmp(p, "*") == 0 || strcasecmp(p, "any") == 0 ||
	       strcasecmp(p, "%any") == 0;
}

static int proto_parse(const char *p, struct ts *out, char *why, size_t whylen)
{
	unsigned n = 0;

	if (is_any(p)) {
		out->proto = 0;
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_LEN(protos); i++)
		if (strcasecmp(p, protos[i].name) == 0) {
			out->proto = protos[i].number;
			return 0;
		}
	const char *end = number(p, UINT8_MAX, &n);
	if (!end || *end)
		return refuse(why, whylen,
			      "\"%s\" is no protocol; expected a name such as tcp, udp, icmp, "
			      "icmpv6, sctp, gre, or a number up to 255",
			      p);
	out->proto = (uint8_t)n;
	return 0;
}

/* "8", "3/4" or a number above 255; its first and last value. Returns what follows, or NULL. */
static const char *type_parse(const char *p, unsigned *lo, unsigned *hi)
{
	unsigned n, code = 0;

	p = number(p, UINT16_MAX, &n);
	if (!p)
		return NULL;
	if (n > UINT8_MAX) {
		*lo = *hi = n;
	} else if (*p == '/') {
		p = number(p + 1, UINT8_MAX, &code);
		*lo = *hi = n << 8 | code;
	} else {
		*lo = n << 8;
		*hi = *lo | 0xff;
	}
	return p;
}

static const char *port_parse(const char *p, uint8_t proto, unsigned *lo, unsigned *hi)
{
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_MH)
		return type_parse(p, lo, hi);
	p = number(p, UINT16_MAX, lo);
	*hi = *lo;
	return p;
}

static int ports_parse(const char *p, struct ts *out, char *why, size_t whylen)
{
	unsigned lo = 0, hi = 0, unused;

	if (is_any(p))
		return 0;
	if (strcasecmp(p, "opaque") == 0 || strcasecmp(p, "%opaque") == 0) {
		out->port_lo = UINT16_MAX;
		out->port_hi = 0;
		return 0;
	}
	const char *end = port_parse(p, out->proto, &lo, &hi);
	if (end && *end == '-')
		end = port_parse(end + 1, out->proto, &unused, &hi);
	if (!end || *end)
		return refuse(why, whylen,
			      "\"%s\" is no port; expected a number, a range such as 1000-2000, "
			      "opaque, or for ICMP a type or type/code",
			      p);
	if (lo > hi)
		return refuse(why, whylen, "the range %s ends before it starts", p);
	out->port_lo = (uint16_t)lo;
	out->port_hi = (uint16_t)hi;
	return 0;
}

/* What stands in brackets. */
static int upper_parse(char *p, struct ts *out, char *why, size_t whylen)
{
	size_t n = strlen(p);

	if (n == 0 || p[n - 1] != ']')
		return refuse(why, whylen, "\"[%s\" has no closing bracket", p);
	p[n - 1] = '\0';
	char *slash = strchr(p, '/');
	if (slash)
		*slash = '\0';
	int rc = proto_parse(p, out, why, whylen);
	if (rc == 0 && slash)
		rc = ports_parse(slash + 1, out, why, whylen);
	return rc;
}

int ts_parse(const char *text, struct ts *out, char *why, size_t whylen)
{
	char copy[TS_STRLEN];
	struct ts t = { .port_hi = UINT16_MAX };

	if (strlen(text) >= sizeof(copy))
		return refuse(why, whylen, "\"%.20s...\" is too long for a traffic selector", text);
	strcpy(copy, text);
	char *bracket = strchr(copy, '[');
	if (bracket) {
		*bracket = '\0';
		int rc = upper_parse(bracket + 1, &t, why, whylen);
		if (rc)
			return rc;
	}
	if (strcasecmp(copy, "dynamic") == 0 || strcasecmp(copy, "%dynamic") == 0)
		t.dynamic = true;
	else if (ip_range_parse(copy, &t.range))
		return refuse(why, whylen,
			      "\"%s\" is no address; expected an address, a prefix such as "
			      "10.1.0.0/16, a range such as 10.1.0.1-10.1.0.9, or dynamic",
			      copy);
	*out = t;
	return 0;
}

/* ---- the other way */

static void type_text(unsigned v, bool code, char out[16])
{
	if (code)
		snprintf(out, 16, "%u/%u", v >> 8 & 0xff, v & 0xff);
	else
		snprintf(out, 16, "%u", v >> 8 & 0xff);
}

static void ports_text(const struct ts *t, char out[40])
{
	char lo[16], hi[16];

	if (t->port_lo > t->port_hi) {
		strcpy(out, "opaque");
		return;
	}
	if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6 || t->proto == IPPROTO_MH) {
		bool code = (t->port_lo & 0xff) != 0 || (t->port_hi & 0xff) != 0xff;
		type_text(t->port_lo, code, lo);
		type_text(t->port_hi, code, hi);
	} else {
		snprintf(lo, sizeof(lo), "%u", t->port_lo);
		snprintf(hi, sizeof(hi), "%u", t->port_hi);
	}
	if (strcmp(lo, hi) == 0)
		strcpy(out, lo);
	else
		snprintf(out, 40, "%s-%s", lo, hi);
}

static void proto_text(uint8_t proto, char out[16])
{
	for (unsigned i = 0; i < ARRAY_LEN(protos); i++)
		if (protos[i].number == proto) {
			strcpy(out, protos[i].name);
			return;
		}
	if (proto)
		snprintf(out, 16, "%u", proto);
	else
		out[0] = '\0';
}

const char *ts_format(const struct ts *t, char out[TS_STRLEN])
{
	char range[IP_RANGE_STRLEN], proto[16], ports[40] = "";
	bool any_port = t->port_lo == 0 && t->port_hi == UINT16_MAX;

	if (t->dynamic)
		strcpy(range, "dynamic");
	else
		ip_range_format(&t->range, range);
	proto_text(t->proto, proto);
	if (!any_port)
		ports_text(t, ports);
	if (t->proto == 0 && any_port)
		snprintf(out, TS_STRLEN, "%s", range);
	else
		snprintf(out, TS_STRLEN, any_port ? "%s[%s]" : "%s[%s/%s]", range, proto, ports);
	return out;
}

char *ts_list_format(const struct ts_list *l, char *out, size_t max)
{
	char one[TS_STRLEN];
	size_t n = 0;

	if (max)
		out[0] = '\0';
	for (unsigned i = 0; i < l->n && n < max; i++) {
		int k = snprintf(out + n, max - n, "%s%s", i ? " " : "", ts_format(&l->ts[i], one));
		n += k < 0 ? 0 : (size_t)k;
	}
	return out;
}
