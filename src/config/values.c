/*
 * One value's text to what it means. Each parser says what it found and what it expected, at the line of
 * the value, and leaves *out alone then.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/internal.h"

/* "key: found X; expected Y" */
bool value_refuse(struct loader *ld, const struct key_row *row, const struct value *v, const char *fmt, ...)
{
	char expected[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(expected, sizeof(expected), fmt, ap);
	va_end(ap);
	report_value(ld, v, "%s = \"%.64s\"; expected %s", row->doc.key, v->text, expected);
	return false;
}

/* Digits from *p on, decimal or 0x; moves *p behind them. */
static bool number_at(const char **p, uint64_t *out)
{
	bool hex = (*p)[0] == '0' && ((*p)[1] | 32) == 'x';
	const char *start = hex ? *p + 2 : *p;
	char *end;

	if (!(hex ? isxdigit((unsigned char)*start) : isdigit((unsigned char)*start)))
		return false;
	errno = 0;
	unsigned long long n = strtoull(start, &end, hex ? 16 : 10);
	*p = end;
	*out = n;
	return errno == 0;
}

bool number_parse(const char *text, uint64_t *out)
{
	return number_at(&text, out) && *text == 0;
}

bool v_bool(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	int b = cfg_parse_boolean(v->text);

	if (b < 0)
		return value_refuse(ld, row, v, "yes or no (or true, false, on, off)");
	*(bool *)out = b;
	return true;
}

const char *words_text(const struct word *w, char *out, size_t max)
{
	size_t n = 0;

	out[0] = 0;
	for (; w->text && n < max; w++)
		n += (size_t)snprintf(out + n, max - n, "%s%s", w->text, !w[1].text ? "" : !w[2].text ? " or " : ", ");
	return out;
}

bool v_word(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	char all[256];

	for (const struct word *w = row->words; w->text; w++)
		if (strcasecmp(w->text, v->text) == 0) {
			*(int *)out = w->value;
			return true;
		}
	return value_refuse(ld, row, v, "%s", words_text(row->words, all, sizeof(all)));
}

static bool number(struct loader *ld, const struct key_row *row, const struct value *v, uint64_t *out)
{
	if (number_parse(v->text, out) && *out >= row->lo && *out <= row->hi)
		return true;
	if (row->hi == UINT64_MAX)
		return value_refuse(ld, row, v, "a number");
	return value_refuse(ld, row, v, "a number from %llu to %llu", (unsigned long long)row->lo,
		      (unsigned long long)row->hi);
}

bool v_u64(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	return number(ld, row, v, out);
}

bool v_u32(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;

	if (!number(ld, row, v, &n))
		return false;
	*(uint32_t *)out = (uint32_t)n;
	return true;
}

bool v_u16(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;

	if (!number(ld, row, v, &n))
		return false;
	*(uint16_t *)out = (uint16_t)n;
	return true;
}

bool v_workers(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;

	if (strcasecmp(v->text, "auto") != 0 &&
	    !(number_parse(v->text, &n) && n >= row->lo && n <= row->hi))
		return value_refuse(ld, row, v, "auto (one per CPU) or a number from %llu to %llu",
			      (unsigned long long)row->lo, (unsigned long long)row->hi);
	*(unsigned *)out = (unsigned)n;
	return true;
}

/* yes or no alone, or which of them; the first two words are yes, which is all, and no. The first value ends the default. */
bool v_words(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	const struct word *w = row->words;
	const unsigned all = (unsigned)w[0].value;
	unsigned *of = out, was = *of & ~WORDS_SAID;
	bool more = *of & WORDS_SAID;
	char each[256];

	while (w->text && strcasecmp(w->text, v->text) != 0)
		w++;
	bool alone = w->text && w < row->words + 2;
	if (!w->text || (more && (alone || was == 0 || was == all)))
		return value_refuse(ld, row, v, "yes or no alone, or a list of %s", words_text(row->words + 2, each, sizeof(each)));
	*of = WORDS_SAID | (unsigned)w->value | (more ? was : 0);
	return true;
}

bool v_dscp(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;
	bool copy = strcasecmp(v->text, "copy") == 0;

	if (!copy && !(number_parse(v->text, &n) && n <= row->hi))
		return value_refuse(ld, row, v, "copy or a number from 0 to 63");
	*(int *)out = copy ? -1 : (int)n;
	return true;
}

/* One code point: a number or a name of RFC 2474, 2597, 3246, 8622; -1 when it is none. */
static int dscp_parse(const char *text)
{
	static const struct word names[] = { { "ef", 46 }, { "le", 1 }, { "va", 44 }, { "default", 0 } };
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i].text, text) == 0)
			return names[i].value;
	if (strncasecmp(text, "cs", 2) == 0 && text[2] >= '0' && text[2] <= '7' && !text[3])
		return (text[2] - '0') * 8;
	if (strncasecmp(text, "af", 2) == 0 && text[2] >= '1' && text[2] <= '4' && text[3] >= '1' && text[3] <= '3' && !text[4])
		return (text[2] - '0') * 8 + (text[3] - '0') * 2;
	return number_parse(text, &n) && n <= 63 ? (int)n : -1;
}

/* All values together, as bits. */
bool v_dscps(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	char text[64];
	int lo, hi;

	snprintf(text, sizeof(text), "%s", v->text);
	char *dash = strchr(text, '-');
	if (dash)
		*dash++ = 0;
	lo = dscp_parse(text);
	hi = dash ? dscp_parse(dash) : lo;
	if (lo < 0 || hi < lo || strlen(v->text) >= sizeof(text))
		return value_refuse(ld, row, v, "a number from 0 to 63, a range such as 8-15, or a name: ef, af11 to af43, cs0 to "
					  "cs7, va, le or default");
	for (int i = lo; i <= hi; i++)
		*(uint64_t *)out |= 1ull << i;
	return true;
}

static bool label_value(struct loader *ld, const struct key_row *row, const struct value *v, struct label_range **out)
{
	struct label_range *r = calloc(1, sizeof(*r));
	char why[160] = "";

	if (!have_memory(ld, r))
		return false;
	if (label_range_parse(v->text, r, why, sizeof(why))) {
		free(r);
		return value_refuse(ld, row, v, "\"doi N level N\", with \" categories 1,5,8-11\" and, for a range, \" to level "
					  "N\" with categories behind it: %s",
				    why);
	}
	free(*out);
	*out = r;
	return true;
}

bool v_label(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	return label_value(ld, row, v, out);
}

void device_labels(struct loader *ld, struct label_range *label, struct label_range *unlabelled)
{
	free(ld->conf->label); /* of a section too many */
	free(ld->conf->unlabelled);
	ld->conf->label = label;
	ld->conf->unlabelled = unlabelled;
}

/* One, not a range. */
bool v_label_one(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct label_range **r = out;

	if (!label_value(ld, row, v, r))
		return false;
	return label_eq(&(*r)->low, &(*r)->high) ||
	       value_refuse(ld, row, v, "one label, not a range: it stands for packets that have none");
}

struct unit {
	const char *text;
	uint64_t times;
};

static const struct unit byte_units[] = {
	{ "", 1 }, { "K", 1ull << 10 }, { "M", 1ull << 20 }, { "G", 1ull << 30 }, { "T", 1ull << 40 }, { NULL, 0 },
};
static const struct unit time_units[] = {
	{ "us", NS_PER_US },      { "ms", NS_PER_MS },        { "s", NS_PER_S }, { "m", 60 * NS_PER_S },
	{ "h", 3600 * NS_PER_S }, { "d", 86400 * NS_PER_S }, { NULL, 0 },
};

/* A number and a unit; plain: what a number without one is multiplied with. */
static bool measure(const char *text, const struct unit *units, uint64_t plain, uint64_t *out)
{
	uint64_t n, times = 0;

	if (!number_at(&text, &n))
		return false;
	if (*text == 0)
		times = plain;
	for (; units->text && !times; units++)
		if (strcasecmp(units->text, text) == 0)
			times = units->times;
	return times && !__builtin_mul_overflow(n, times, out);
}

bool v_bytes(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n;

	if (!measure(v->text, byte_units, 1, &n) || n > row->hi)
		return value_refuse(ld, row, v, "bytes, as a number with K, M, G or T (powers of 1024) or without%s",
			      row->hi == 1u << 30 ? ", up to 1G" : "");
	*(uint64_t *)out = n;
	return true;
}

bool v_bytes32(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;

	if (!v_bytes(ld, row, v, &n))
		return false;
	*(uint32_t *)out = (uint32_t)n;
	return true;
}

bool v_time_ns(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n;

	if (!measure(v->text, time_units, NS_PER_S, &n))
		return value_refuse(ld, row, v, "a time, as a number with s, m, h or d, or of seconds");
	*(uint64_t *)out = n;
	return true;
}

bool v_time_s(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n;

	if (!measure(v->text, time_units, NS_PER_S, &n) || n % NS_PER_S || n / NS_PER_S > row->hi || n / NS_PER_S < row->lo)
		return value_refuse(ld, row, v, "whole seconds from %llu to %llu, or a number with s, m or h",
			      (unsigned long long)row->lo, (unsigned long long)row->hi);
	*(uint32_t *)out = (uint32_t)(n / NS_PER_S);
	return true;
}

bool v_time_us(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n;

	if (!measure(v->text, time_units, NS_PER_US, &n) || n / NS_PER_US > row->hi)
		return value_refuse(ld, row, v, "microseconds from 0 to %llu, or a number with us, ms or s",
			      (unsigned long long)row->hi);
	*(uint32_t *)out = (uint32_t)(n / NS_PER_US);
	return true;
}

/* A directory; relative to the configuration file. */
bool v_text(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	if (!v->text[0])
		return value_refuse(ld, row, v, "a path");
	char *s = path_beside(v->src, v->text);
	if (!have_memory(ld, s))
		return false;
	free(*(char **)out);
	*(char **)out = s;
	return true;
}

/* An address, or "%any" as ver 0. */
bool v_addr(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ip_addr a = { 0 };

	if (strcasecmp(v->text, "%any") != 0 && (ip_addr_parse(v->text, &a) || ip_addr_is_any(&a)))
		return value_refuse(ld, row, v, "an IPv4 or IPv6 address, or \"%%any\"");
	*(struct ip_addr *)out = a;
	return true;
}

/* out is the configuration: the version says which of its two addresses it is. */
bool v_listen(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct config *c = out;
	struct ip_addr a;

	if (ip_addr_parse(v->text, &a))
		return value_refuse(ld, row, v, "an IPv4 or IPv6 address");
	struct ip_addr *to = a.ver == 4 ? &c->bind4 : &c->bind6;
	if (to->ver)
		return value_refuse(ld, row, v, "one IPv4 and one IPv6 address at most");
	*to = a;
	return true;
}

bool v_prefix(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ip_prefix p;

	if (ip_prefix_parse(v->text, &p))
		return value_refuse(ld, row, v, "an address or prefix, e.g. 10.2.0.0/16 or 2001:db8::/32");
	return vec_push(ld, out, &p, sizeof(p));
}

bool v_range(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ip_range r;

	if (strcasecmp(v->text, "any") == 0) {
		struct ip_range all4 = ip_range_all(4), all6 = ip_range_all(6);
		return vec_push(ld, out, &all4, sizeof(all4)) && vec_push(ld, out, &all6, sizeof(all6));
	}
	if (ip_range_parse(v->text, &r))
		return value_refuse(ld, row, v, "an address, a prefix (10.1.0.0/16), a range (10.1.0.1-10.1.0.9) or any");
	return vec_push(ld, out, &r, sizeof(r));
}

int proto_parse(const char *text)
{
	static const struct word names[] = {
		{ "any", PROTO_ANY }, { "icmp", 1 },       { "igmp", 2 },      { "ipip", 4 },   { "tcp", 6 },
		{ "udp", 17 },        { "dccp", 33 },      { "ipv6", 41 },     { "gre", 47 },   { "esp", 50 },
		{ "ah", 51 },         { "ipv6-icmp", 58 }, { "icmpv6", 58 },   { "ospf", 89 },  { "pim", 103 },
		{ "vrrp", 112 },      { "l2tp", 115 },     { "sctp", 132 },    { "mh", 135 },   { "udplite", 136 },
	};
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i].text, text) == 0)
			return names[i].value;
	return number_parse(text, &n) && n <= 255 ? (int)n : -1;
}

bool v_proto(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	int n = proto_parse(v->text);
	uint16_t proto = (uint16_t)n;

	if (n < 0)
		return value_refuse(ld, row, v, "any, a name such as tcp, udp, sctp, icmp, ipv6-icmp or mh, or a number "
					  "from 0 to 255");
	return vec_push(ld, out, &proto, sizeof(proto));
}

/* any, opaque, N or N-M */
static bool ports_parse(const char *text, uint64_t max, struct port_range *out)
{
	uint64_t lo, hi;

	*out = (struct port_range) { 0 };
	if (strcasecmp(text, "any") == 0)
		return true;
	if (strcasecmp(text, "opaque") == 0) {
		out->match = PORT_OPAQUE;
		return true;
	}
	if (!number_at(&text, &lo))
		return false;
	hi = lo;
	if (*text == '-') {
		text++;
		if (!number_at(&text, &hi))
			return false;
	}
	*out = (struct port_range) { PORT_RANGE, (uint16_t)lo, (uint16_t)hi };
	return *text == 0 && lo <= hi && hi <= max;
}

bool v_port(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct port_range r;

	if (!ports_parse(v->text, row->hi, &r))
		return value_refuse(ld, row, v, "any, opaque, a port or a range such as 1024-65535");
	return vec_push(ld, out, &r, sizeof(r));
}

bool v_octet(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct port_range r;

	if (!ports_parse(v->text, row->hi, &r))
		return value_refuse(ld, row, v, "any, opaque, a number from 0 to 255 or a range such as 8-11");
	return vec_push(ld, out, &r, sizeof(r));
}

bool v_octet_one(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct port_range r;

	if (!ports_parse(v->text, row->hi, &r) || r.match == PORT_OPAQUE)
		return value_refuse(ld, row, v, "any, a number from 0 to 255 or a range such as 0-3");
	*(struct port_range *)out = r;
	return true;
}
