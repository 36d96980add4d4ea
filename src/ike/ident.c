/*
 * See ident.h. Text: a forced type, else the first form that fits -> checked for its type -> bytes
 * as on the wire. Bytes of a payload: checked for their type -> kept. Matching is in ident_match.c,
 * distinguished names are in ident_dn.c.
 */
#include "ike/ident.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/hex.h"
#include "base/why.h"
#include "base/wr.h"
#include "ike/ident_dn.h"

#define say(...) why_say(-EINVAL, __VA_ARGS__)

static int ident_set(struct ident *out, uint8_t type, const void *p, size_t len)
{
	uint8_t *copy = NULL;

	if (len) {
		copy = malloc(len);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, p, len);
	}
	*out = (struct ident){ .type = type, .len = (uint16_t)len, .data = copy };
	return 0;
}

/* ---- what a name may consist of */

/* FQDN: what prints and is no blank. RFC 822: also UTF-8 (RFC 7296 3.5). Neither is terminated. */
static bool name_ok(uint8_t type, struct span v)
{
	if (v.len == 0 || v.len > IDENT_MAX)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.p[i];
		if (c <= 0x20 || c == 0x7f || (c > 0x7f && type != IKE_ID_RFC822_ADDR))
			return false;
	}
	return true;
}

/* "*." or "*@" in front, and something behind it. */
static bool name_is_pattern(uint8_t type, struct span v)
{
	uint8_t second = type == IKE_ID_FQDN ? '.' : '@';

	return v.len >= 2 && v.p[0] == '*' && v.p[1] == second;
}

/* ---- from text */

static int parse_addr(const char *text, int ver, struct ident *out, char *why, size_t whylen)
{
	struct ip_addr a;

	if (ip_addr_parse(text, &a) || (ver && a.ver != ver))
		return say(why, whylen, "\"%.60s\" is no %s address", text,
			   ver == 4   ? "IPv4"
			   : ver == 6 ? "IPv6"
				      : "IPv4 or IPv6");
	return ident_from_addr(&a, out);
}

/* Two addresses one behind the other, as an ID payload of that type would have them. */
static int set_two(struct ident *out, uint8_t type, const struct ip_addr *a, const uint8_t *b)
{
	uint8_t two[32];
	size_t n = ip_addr_bytes(a);

	memcpy(two, a->b, n);
	memcpy(two + n, b, n);
	return ident_set(out, type, two, 2 * n);
}

/* A network or a range, of IP version ver (0: either). Of one address alone it is that address. */
static int parse_net(const char *text, int ver, struct ident *out, char *why, size_t whylen)
{
	struct ip_range r;
	struct ip_prefix p;
	uint8_t mask[16];
	bool net = ip_prefix_parse(text, &p) == 0;

	if (ip_range_parse(text, &r) || (ver && r.lo.ver != ver))
		return say(why, whylen, "\"%.60s\" is no network or range of %s addresses", text,
			   ver == 4   ? "IPv4"
			   : ver == 6 ? "IPv6"
				      : "IPv4 or IPv6");
	if (ip_addr_eq(&r.lo, &r.hi))
		return ident_from_addr(&r.lo, out);
	if (!net)
		return set_two(out, r.lo.ver == 4 ? IKE_ID_IPV4_RANGE : IKE_ID_IPV6_RANGE, &r.lo,
			       r.hi.b);
	for (size_t i = 0; i < sizeof(mask); i++)
		mask[i] = (uint8_t)~(r.lo.b[i] ^ r.hi.b[i]);
	return set_two(out, r.lo.ver == 4 ? IKE_ID_IPV4_SUBNET : IKE_ID_IPV6_SUBNET, &r.lo, mask);
}

static int parse_name(const char *text, uint8_t type, struct ident *out, char *why, size_t whylen)
{
	struct span v = span_of(text, strlen(text));
	const char *what = type == IKE_ID_FQDN ? "host name" : "mail address";

	if (v.len == 0)
		return say(why, whylen, "the %s is empty", what);
	if (v.len > IDENT_MAX)
		return say(why, whylen, "the %s is longer than %d bytes", what, IDENT_MAX);
	if (!name_ok(type, v))
		return say(why, whylen, "\"%.60s\" has characters that a %s cannot have", text,
			   what);
	struct span rest = name_is_pattern(type, v) ? span_of(v.p + 2, v.len - 2) : v;
	if (rest.len == 0 || memchr(rest.p, '*', rest.len))
		return say(why, whylen, "\"%.60s\": \"*\" may stand only in front, as \"*%s\"",
			   text, type == IKE_ID_FQDN ? ".example" : "@example");
	return ident_set(out, type, v.p, v.len);
}

/* What looks like nothing else: only what a host name may have, so that "10.1/16" is not one. */
static int parse_host(const char *text, struct ident *out, char *why, size_t whylen)
{
	const char *p = text[0] == '*' ? text + 1 : text;

	for (; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-._*", *p))
			return say(
			    why, whylen,
			    "\"%.60s\" has characters that a host name cannot have, and is no "
			    "address, mail address or distinguished name either (\"fqdn:\" or "
			    "\"keyid:\" in front takes it as it is)",
			    text);
	return parse_name(text, IKE_ID_FQDN, out, why, whylen);
}

static int parse_dn(const char *text, struct ident *out, char *why, size_t whylen)
{
	uint8_t *der;
	size_t len;
	int rc = dn_from_text(text, &der, &len, why, whylen);

	if (rc)
		return rc;
	*out = (struct ident){ .type = IKE_ID_DER_ASN1_DN, .len = (uint16_t)len, .data = der };
	return 0;
}

static int parse_hex(const char *text, struct ident *out, char *why, size_t whylen)
{
	uint8_t room[IDENT_MAX];
	int n = hex_decode(text, room, sizeof(room));

	if (n == -ENOSPC)
		return say(why, whylen, "the key id is longer than %d bytes", IDENT_MAX);
	if (n <= 0)
		return say(why, whylen, "\"%.60s\" is not hexadecimal", text);
	return ident_set(out, IKE_ID_KEY_ID, room, (size_t)n);
}

static int parse_key_id(const char *text, struct ident *out, char *why, size_t whylen)
{
	size_t len = strlen(text);

	if (*text == '#')
		return parse_hex(text + 1, out, why, whylen);
	if (len == 0 || len > IDENT_MAX)
		return say(why, whylen, "a key id has 1 to %d bytes", IDENT_MAX);
	return ident_set(out, IKE_ID_KEY_ID, text, len);
}

static const struct {
	const char *word;
	uint8_t type;
} forced[] = {
	{ "ipv4:", IKE_ID_IPV4_ADDR },     { "ipv6:", IKE_ID_IPV6_ADDR },
	{ "ipv4net:", IKE_ID_IPV4_SUBNET }, { "ipv6net:", IKE_ID_IPV6_SUBNET },
	{ "ipv4range:", IKE_ID_IPV4_RANGE }, { "ipv6range:", IKE_ID_IPV6_RANGE },
	{ "fqdn:", IKE_ID_FQDN },          { "dns:", IKE_ID_FQDN },
	{ "rfc822:", IKE_ID_RFC822_ADDR }, { "email:", IKE_ID_RFC822_ADDR },
	{ "dn:", IKE_ID_DER_ASN1_DN },     { "asn1dn:", IKE_ID_DER_ASN1_DN },
	{ "keyid:", IKE_ID_KEY_ID },
};

static int parse_as(uint8_t type, const char *text, struct ident *out, char *why, size_t whylen)
{
	switch (type) {
	case IKE_ID_IPV4_ADDR:
		return parse_addr(text, 4, out, why, whylen);
	case IKE_ID_IPV6_ADDR:
		return parse_addr(text, 6, out, why, whylen);
	case IKE_ID_IPV4_SUBNET:
	case IKE_ID_IPV4_RANGE:
		return parse_net(text, 4, out, why, whylen);
	case IKE_ID_IPV6_SUBNET:
	case IKE_ID_IPV6_RANGE:
		return parse_net(text, 6, out, why, whylen);
	case IKE_ID_DER_ASN1_DN:
		return parse_dn(text, out, why, whylen);
	case IKE_ID_KEY_ID:
		return parse_key_id(text, out, why, whylen);
	default:
		return parse_name(text, type, out, why, whylen);
	}
}

/* An address, then what makes it a network or a range; so it is no name, even if it is wrong. */
static bool begins_with_addr(const char *text)
{
	char first[IP_ADDR_STRLEN];
	size_t n = strcspn(text, "/-");
	struct ip_addr a;

	if (!text[n] || n >= sizeof(first))
		return false;
	memcpy(first, text, n);
	first[n] = '\0';
	return ip_addr_parse(first, &a) == 0;
}

int ident_parse(const char *text, struct ident *out, char *why, size_t whylen)
{
	struct ip_range r;

	*out = (struct ident){ 0 };
	if (!*text)
		return say(why, whylen, "the identity is empty (\"%%any\" stands for anyone)");
	if (strcmp(text, "%any") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(forced); i++) {
		size_t n = strlen(forced[i].word);
		if (strncasecmp(text, forced[i].word, n) == 0)
			return parse_as(forced[i].type, text + n, out, why, whylen);
	}
	if (text[0] == '@' && text[1] == '#')
		return parse_hex(text + 2, out, why, whylen);
	if (text[0] == '@' && text[1] == '@')
		return parse_name(text + 2, IKE_ID_RFC822_ADDR, out, why, whylen);
	if (text[0] == '@')
		return parse_name(text + 1, IKE_ID_FQDN, out, why, whylen);
	if (strchr(text, '='))
		return parse_dn(text, out, why, whylen);
	if (strchr(text, '@'))
		return parse_name(text, IKE_ID_RFC822_ADDR, out, why, whylen);
	if (ip_range_parse(text, &r) == 0 || begins_with_addr(text))
		return parse_net(text, 0, out, why, whylen);
	if (strchr(text, ':'))
		return parse_addr(text, 0, out, why, whylen);
	return parse_host(text, out, why, whylen);
}

/* ---- from a payload and other sources */

static bool dn_ok(struct span v)
{
	X509_NAME *name = dn_decode(v);
	bool ok = name && !dn_has_star(name);

	X509_NAME_free(name);
	return ok;
}

int ident_from_wire(uint8_t type, struct span v, struct ident *out)
{
	bool ok = false;

	*out = (struct ident){ 0 };
	switch (type) {
	case IKE_ID_IPV4_ADDR:
		ok = v.len == 4;
		break;
	case IKE_ID_IPV6_ADDR:
		ok = v.len == 16;
		break;
	case IKE_ID_FQDN:
	case IKE_ID_RFC822_ADDR:
		/* nobody may claim to be a whole domain */
		ok = name_ok(type, v) && !name_is_pattern(type, v);
		break;
	case IKE_ID_DER_ASN1_DN:
		ok = dn_ok(v);
		break;
	case IKE_ID_KEY_ID:
		ok = v.len > 0 && v.len <= IDENT_MAX;
		break;
	case IKE_ID_NULL:
		ok = v.len == 0; /* RFC 7619 2.4: sent empty */
		break;
	}
	return ok ? ident_set(out, type, v.p, v.len) : -EBADMSG;
}

int ident_from_addr(const struct ip_addr *a, struct ident *out)
{
	*out = (struct ident){ 0 };
	if (a->ver != 4 && a->ver != 6)
		return -EINVAL;
	return ident_set(out, a->ver == 4 ? IKE_ID_IPV4_ADDR : IKE_ID_IPV6_ADDR, a->b,
			 ip_addr_bytes(a));
}

int ident_from_subject(const X509 *cert, struct ident *out)
{
	X509_NAME *name = X509_get_subject_name(cert);
	unsigned char *der = NULL;

	*out = (struct ident){ 0 };
	if (!name || X509_NAME_entry_count(name) == 0)
		return -ENOENT;
	int n = i2d_X509_NAME(name, &der);
	if (n <= 0)
		return -ENOMEM;
	int rc = n <= IDENT_MAX ? ident_set(out, IKE_ID_DER_ASN1_DN, der, (size_t)n) : -ENOENT;
	OPENSSL_free(der);
	return rc;
}

int ident_copy(const struct ident *from, struct ident *out)
{
	return ident_set(out, from->type, from->data, from->len);
}

void ident_fini(struct ident *id)
{
	free(id->data);
	*id = (struct ident){ 0 };
}

/* ---- to text */

/* Would ident_parse() without a forced type take this for the same name? */
static bool reads_back(const struct ident *id, const char *text)
{
	struct ident again;

	if (ident_parse(text, &again, NULL, 0))
		return false;
	bool same = again.type == id->type && again.len == id->len &&
		    memcmp(again.data, id->data, id->len) == 0;
	ident_fini(&again);
	return same;
}

static bool all_print(const struct ident *id)
{
	for (size_t i = 0; i < id->len; i++)
		if (id->data[i] <= 0x20 || id->data[i] >= 0x7f)
			return false;
	return id->len > 0;
}

static void write_name(struct wr *w, const struct ident *id, const char *word)
{
	char plain[IDENT_MAX + 1];

	if (all_print(id)) {
		memcpy(plain, id->data, id->len);
		plain[id->len] = '\0';
		if (!reads_back(id, plain))
			wr_bytes(w, word, strlen(word));
	}
	dn_write_escaped(w, span_of(id->data, id->len), "");
}

static void write_key_id(struct wr *w, const struct ident *id)
{
	char two[3];

	if (all_print(id) && id->data[0] != '#') {
		wr_bytes(w, "keyid:", 6);
		wr_bytes(w, id->data, id->len);
		return;
	}
	wr_bytes(w, "@#", 2);
	for (size_t i = 0; i < id->len && wr_ok(w); i++) {
		hex_encode(span_of(id->data + i, 1), two);
		wr_bytes(w, two, 2);
	}
}

static void write_addr(struct wr *w, const struct ident *id, const uint8_t *b)
{
	bool v4 = id->type == IKE_ID_IPV4_ADDR || id->type == IKE_ID_IPV4_SUBNET ||
		  id->type == IKE_ID_IPV4_RANGE;
	struct ip_addr a = v4 ? ip_addr_from_v4(b) : ip_addr_from_v6(b);
	char text[IP_ADDR_STRLEN];

	ip_addr_format(&a, text);
	wr_bytes(w, text, strlen(text));
}

static void write_any(struct wr *w, const struct ident *id)
{
	X509_NAME *name;
	char bits[8];

	switch (id->type) {
	case 0:
		wr_bytes(w, "%any", 4);
		break;
	case IKE_ID_IPV4_ADDR:
	case IKE_ID_IPV6_ADDR:
		write_addr(w, id, id->data);
		break;
	case IKE_ID_IPV4_SUBNET:
	case IKE_ID_IPV6_SUBNET:
		write_addr(w, id, id->data);
		wr_bytes(w, bits, (size_t)snprintf(bits, sizeof(bits), "/%u", ident_net_bits(id)));
		break;
	case IKE_ID_IPV4_RANGE:
	case IKE_ID_IPV6_RANGE:
		write_addr(w, id, id->data);
		wr_u8(w, '-');
		write_addr(w, id, id->data + id->len / 2);
		break;
	case IKE_ID_FQDN:
		write_name(w, id, "fqdn:");
		break;
	case IKE_ID_RFC822_ADDR:
		write_name(w, id, "rfc822:");
		break;
	case IKE_ID_DER_ASN1_DN:
		name = dn_decode(span_of(id->data, id->len));
		if (name)
			dn_write(w, name);
		X509_NAME_free(name);
		break;
	case IKE_ID_NULL:
		wr_bytes(w, "(anonymous)", 11);
		break;
	default:
		write_key_id(w, id);
	}
}

char *ident_format(const struct ident *id, char *out, size_t max)
{
	/* Every byte takes at most three, every part of a DN some more. */
	uint8_t room[8 * IDENT_MAX];
	struct wr w = wr_of(room, sizeof(room));

	if (max == 0)
		return out;
	write_any(&w, id);
	size_t n = w.len < max ? w.len : max - 1;
	memcpy(out, room, n);
	if (n < w.len && max > 4)
		memcpy(out + n - 3, "...", 3);
	out[n] = '\0';
	return out;
}
