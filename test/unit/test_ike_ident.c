/* Identities: every type from text and from the wire, as text again, alike, covered by patterns,
 * and in certificates. */
#include <check.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "ike/ident.h"
#include "ike_pki.h"

static struct ident parse(const char *text)
{
	struct ident id;
	char why[200] = "";

	ck_assert_msg(ident_parse(text, &id, why, sizeof(why)) == 0, "%s: %s", text, why);
	return id;
}

static const struct {
	const char *text;
	uint8_t type;
	const char *bytes; /* NULL: not compared */
	size_t len;
	const char *again; /* how it is written; NULL: as text */
} good[] = {
	{ "%any", 0, "", 0, NULL },
	{ "192.0.2.1", IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 4, NULL },
	{ "ipv4:192.0.2.1", IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 4, "192.0.2.1" },
	{ "192.0.2.0/24", IKE_ID_IPV4_SUBNET, "\xc0\x00\x02\x00\xff\xff\xff\x00", 8, NULL },
	{ "192.0.2.77/25", IKE_ID_IPV4_SUBNET, "\xc0\x00\x02\x00\xff\xff\xff\x80", 8, "192.0.2.0/25" },
	{ "0.0.0.0/0", IKE_ID_IPV4_SUBNET, "\0\0\0\0\0\0\0\0", 8, NULL },
	{ "192.0.2.1/32", IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 4, "192.0.2.1" },
	{ "ipv4net:192.0.2.0/24", IKE_ID_IPV4_SUBNET, NULL, 0, "192.0.2.0/24" },
	{ "192.0.2.3-192.0.2.9", IKE_ID_IPV4_RANGE, "\xc0\x00\x02\x03\xc0\x00\x02\x09", 8, NULL },
	{ "ipv4range:192.0.2.0-192.0.2.255", IKE_ID_IPV4_RANGE, NULL, 0, "192.0.2.0-192.0.2.255" },
	{ "2001:db8::/32", IKE_ID_IPV6_SUBNET,
	  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 32,
	  NULL },
	{ "ipv6net:2001:db8::/33", IKE_ID_IPV6_SUBNET, NULL, 0, "2001:db8::/33" },
	{ "2001:db8::1-2001:db8::f", IKE_ID_IPV6_RANGE, NULL, 0, NULL },
	{ "a-b", IKE_ID_FQDN, "a-b", 3, NULL },
	{ "2001:db8::1", IKE_ID_IPV6_ADDR, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16, NULL },
	{ "IPv6:2001:db8::1", IKE_ID_IPV6_ADDR, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16,
	  "2001:db8::1" },
	{ "gw.example", IKE_ID_FQDN, "gw.example", 10, NULL },
	{ "@gw.example", IKE_ID_FQDN, "gw.example", 10, "gw.example" },
	{ "fqdn:gw", IKE_ID_FQDN, "gw", 2, "gw" },
	{ "@192.0.2.1", IKE_ID_FQDN, "192.0.2.1", 9, "fqdn:192.0.2.1" },
	{ "fqdn:a@b", IKE_ID_FQDN, "a@b", 3, "fqdn:a@b" },
	{ "@a/b", IKE_ID_FQDN, "a/b", 3, "fqdn:a/b" },
	{ "*.example", IKE_ID_FQDN, "*.example", 9, NULL },
	{ "a@b.example", IKE_ID_RFC822_ADDR, "a@b.example", 11, NULL },
	{ "email:a@b.example", IKE_ID_RFC822_ADDR, "a@b.example", 11, "a@b.example" },
	{ "rfc822:a", IKE_ID_RFC822_ADDR, "a", 1, "rfc822:a" },
	{ "@@a@b.example", IKE_ID_RFC822_ADDR, "a@b.example", 11, "a@b.example" },
	{ "*@b.example", IKE_ID_RFC822_ADDR, "*@b.example", 11, NULL },
	{ "@#6b6579", IKE_ID_KEY_ID, "key", 3, "keyid:key" },
	{ "keyid:a key", IKE_ID_KEY_ID, "a key", 5, "@#61206b6579" },
	{ "keyid:#0x00ff", IKE_ID_KEY_ID, "\0\xff", 2, "@#00ff" },
	/* SEQUENCE { SET { SEQUENCE { CN, UTF8String "gw" } } } */
	{ "CN=gw", IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 15,
	  NULL },
	{ "C=DE, O=Example, CN=gw", IKE_ID_DER_ASN1_DN, NULL, 0, NULL },
	{ "/C=DE/O=Example, Ltd./CN=gw", IKE_ID_DER_ASN1_DN, NULL, 0,
	  "C=DE, O=Example\\, Ltd., CN=gw" },
	{ "dn:c=DE ,o = Example ,cn=gw", IKE_ID_DER_ASN1_DN, NULL, 0, "C=DE, O=Example, CN=gw" },
	{ "asn1dn:CN=gw", IKE_ID_DER_ASN1_DN, NULL, 0, "CN=gw" },
	{ "O=\"Example, Ltd.\", CN=a\\,b\\\\c\\\"d", IKE_ID_DER_ASN1_DN, NULL, 0,
	  "O=Example\\, Ltd., CN=a\\,b\\\\c\\\"d" },
	{ "CN=\\20x\\20, OU=M\xc3\xbcller", IKE_ID_DER_ASN1_DN, NULL, 0,
	  "CN=\\20x\\20, OU=M\\C3\\BCller" },
	{ "C=*, CN=*", IKE_ID_DER_ASN1_DN, NULL, 0, NULL },
	{ "DC=example, UID=7, E=a@b.example, SN=12, S=Doe, ST=Bavaria, L=Munich, OU=x, G=John",
	  IKE_ID_DER_ASN1_DN, NULL, 0, NULL },
	{ "emailAddress=a@b.example", IKE_ID_DER_ASN1_DN, NULL, 0, "E=a@b.example" },
	{ "2.5.4.3=gw, 1.2.3.4=x", IKE_ID_DER_ASN1_DN, NULL, 0, "CN=gw, 1.2.3.4=x" },
};

START_TEST(test_text)
{
	char out[IDENT_STRLEN];

	struct ident id = parse(good[_i].text);
	ck_assert_uint_eq(id.type, good[_i].type);
	if (good[_i].bytes)
		ck_assert(span_eq(span_of(id.data, id.len), span_of(good[_i].bytes, good[_i].len)));
	ck_assert_str_eq(ident_format(&id, out, sizeof(out)),
			 good[_i].again ? good[_i].again : good[_i].text);
	struct ident again = parse(out), copy, wire;
	ck_assert(ident_eq(&again, &id));
	ck_assert_int_eq(ident_copy(&id, &copy), 0);
	ck_assert(ident_eq(&copy, &id));
	/* What is no pattern goes over the wire unchanged; a pattern is not taken from there. */
	int rc = ident_from_wire(id.type, span_of(id.data, id.len), &wire);
	ck_assert_int_eq(rc, ident_is_pattern(&id) ? -EBADMSG : 0);
	if (rc == 0)
		ck_assert(ident_eq(&wire, &id));
	ident_fini(&wire);
	ident_fini(&copy);
	ident_fini(&again);
	ident_fini(&id);
	ck_assert_ptr_null(id.data);
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "empty" },
	{ "@", "empty" },
	{ "@@", "empty" },
	{ "fqdn:", "empty" },
	{ "ipv4:2001:db8::1", "no IPv4 address" },
	{ "ipv6:192.0.2.1", "no IPv6 address" },
	{ "ipv4:gw", "no IPv4 address" },
	{ "2001:db8::g", "no IPv4 or IPv6 address" },
	{ "a b", "characters" },
	{ "m\xc3\xbcller.example", "characters" },
	{ "10.0.0.0/33", "no network or range of IPv4 or IPv6 addresses" },
	{ "10.1/16", "no address, mail address" },
	{ "10.0.0.9-10.0.0.1", "no network or range" },
	{ "10.0.0.1-2001:db8::1", "no network or range" },
	{ "2001:db8::/129", "no network or range" },
	{ "ipv4net:2001:db8::/32", "no network or range of IPv4" },
	{ "ipv6range:10.0.0.0-10.0.0.9", "no network or range of IPv6" },
	{ "ipv4net:gw", "no network or range of IPv4" },
	{ "ipv4:10.0.0.0/8", "no IPv4 address" },
	{ "*.", "only in front" },
	{ "*@", "only in front" },
	{ "a.*.example", "only in front" },
	{ "*a.example", "only in front" },
	{ "*.*.example", "only in front" },
	{ "fqdn:*@b", "only in front" },
	{ "@#6b657", "not hexadecimal" },
	{ "@#", "not hexadecimal" },
	{ "keyid:", "1 to 2048 bytes" },
	{ "keyid:#xy", "not hexadecimal" },
	{ "keyid:##", "not hexadecimal" },
	{ "dn:gw", "not KEY=VALUE" },
	{ "dn:", "not KEY=VALUE" },
	{ "CN=a,", "not KEY=VALUE" },
	{ "CN=", "empty" },
	{ "CN=, O=x", "empty" },
	{ "=x", "missing" },
	{ "BOGUS=x", "\"BOGUS\" is no attribute" },
	{ "C=Germany", "\"C\" is too long" },
	{ "CN=\"a", "quote" },
	{ "CN=\xff\xfe", "wrong characters" },
};

START_TEST(test_text_bad)
{
	struct ident id;
	char why[200] = "";

	ck_assert_msg(ident_parse(bad[_i].text, &id, why, sizeof(why)) == -EINVAL, "%s taken",
		      bad[_i].text);
	ck_assert_msg(strstr(why, bad[_i].says), "%s: \"%s\" does not say \"%s\"", bad[_i].text,
		      why, bad[_i].says);
	ck_assert_ptr_null(id.data);
	ck_assert_int_eq(ident_parse(bad[_i].text, &id, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(test_text_long)
{
	static char text[2 * IDENT_MAX + 64];
	static const char *const front[] = { "fqdn:", "email:", "keyid:", "CN=", "CN=a, OU=" };
	struct ident id;
	char why[200];

	for (size_t i = 0; i < ARRAY_LEN(front); i++) {
		memset(text, 'x', sizeof(text) - 1);
		memcpy(text, front[i], strlen(front[i]));
		ck_assert_int_eq(ident_parse(text, &id, why, sizeof(why)), -EINVAL);
	}
	memcpy(text, "@#", 2);
	memset(text + 2, 'a', sizeof(text) - 3);
	text[sizeof(text) - 2] = '\0';
	ck_assert_int_eq(ident_parse(text, &id, why, sizeof(why)), -EINVAL);
	/* many short parts are too long as well */
	size_t at = 0;
	for (unsigned i = 0; i < 200; i++)
		at += (size_t)sprintf(text + at, "%sOU=part%u", i ? ", " : "", i);
	ck_assert_int_eq(ident_parse(text, &id, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "longer than"));
	/* the longest text is cut, and says so */
	memset(text, 'x', IDENT_MAX);
	text[IDENT_MAX] = '\0';
	id = parse(text);
	char out[32];
	ck_assert_str_eq(ident_format(&id, out, sizeof(out)), "xxxxxxxxxxxxxxxxxxxxxxxxxxxx...");
	ck_assert_str_eq(ident_format(&id, out, 2), "x");
	ck_assert_ptr_eq(ident_format(&id, out, 0), out);
	ident_fini(&id);
}
END_TEST

#define W(type, s) type, s, sizeof(s) - 1
static const struct {
	uint8_t type;
	const char *bytes;
	size_t len;
	const char *text; /* NULL: refused */
} wire[] = {
	{ W(IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01"), "192.0.2.1" },
	{ W(IKE_ID_IPV4_ADDR, "\xc0\x00\x02"), NULL },
	{ W(IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01\x01"), NULL },
	{ W(IKE_ID_IPV4_ADDR, ""), NULL },
	{ W(IKE_ID_IPV6_ADDR, "\xc0\x00\x02\x01"), NULL },
	{ W(IKE_ID_IPV4_SUBNET, "\xc0\x00\x02\x00\xff\xff\xff\x00"), NULL },
	{ W(IKE_ID_IPV4_RANGE, "\xc0\x00\x02\x00\xc0\x00\x02\x07"), NULL },
	{ W(IKE_ID_IPV6_SUBNET, "\xc0\x00\x02\x00\xff\xff\xff\x00"), NULL },
	{ W(IKE_ID_FQDN, "gw.example"), "gw.example" },
	{ W(IKE_ID_FQDN, ""), NULL },
	{ W(IKE_ID_FQDN, "gw\0.example"), NULL },
	{ W(IKE_ID_FQDN, "gw\n"), NULL },
	{ W(IKE_ID_FQDN, "*.example"), NULL },
	{ W(IKE_ID_FQDN, "*."), NULL },
	{ W(IKE_ID_RFC822_ADDR, "*@example"), NULL },
	{ W(IKE_ID_RFC822_ADDR, "j\xc3\xbcrg@example"), "j\\C3\\BCrg@example" },
	{ W(IKE_ID_RFC822_ADDR, "a\r"), NULL },
	{ W(IKE_ID_KEY_ID, "\x1b[2J"), "@#1b5b324a" },
	{ W(IKE_ID_KEY_ID, "#1"), "@#2331" },
	{ W(IKE_ID_KEY_ID, ""), NULL },
	{ W(IKE_ID_NULL, ""), "(anonymous)" },
	{ W(IKE_ID_NULL, "x"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw"),
	  "CN=gw" },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw!"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02g"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01*"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02\x1b\n"),
	  "CN=\\1B\\0A" },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02*\t"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x1e\x02\0*"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, "\x30\x00"), NULL },
	{ W(IKE_ID_DER_ASN1_DN, ""), NULL },
	{ W(IKE_ID_DER_ASN1_GN, "\x82\x02gw"), NULL },
	{ W(0, ""), NULL },
	{ W(200, "x"), NULL },
};

START_TEST(test_wire)
{
	struct ident id;
	char out[IDENT_STRLEN];
	int rc = ident_from_wire(wire[_i].type, span_of(wire[_i].bytes, wire[_i].len), &id);

	ck_assert_int_eq(rc, wire[_i].text ? 0 : -EBADMSG);
	if (rc == 0) {
		ck_assert_str_eq(ident_format(&id, out, sizeof(out)), wire[_i].text);
		ck_assert(!ident_is_pattern(&id));
	}
	ident_fini(&id);
}
END_TEST

START_TEST(test_wire_long)
{
	static uint8_t b[IDENT_MAX + 1];
	static const uint8_t types[] = { IKE_ID_FQDN, IKE_ID_RFC822_ADDR, IKE_ID_KEY_ID };
	struct ident id;

	memset(b, 'a', sizeof(b));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		ck_assert_int_eq(ident_from_wire(types[i], span_of(b, IDENT_MAX), &id), 0);
		ident_fini(&id);
		ck_assert_int_eq(ident_from_wire(types[i], span_of(b, sizeof(b)), &id), -EBADMSG);
	}
}
END_TEST

START_TEST(test_addr)
{
	struct ip_addr a = ip_addr_from_v4("\xc0\x00\x02\x01"), none = { 0 };
	struct ident id;
	char out[64];

	ck_assert_int_eq(ident_from_addr(&a, &id), 0);
	ck_assert_str_eq(ident_format(&id, out, sizeof(out)), "192.0.2.1");
	ident_fini(&id);
	ck_assert_int_eq(ident_from_addr(&none, &id), -EINVAL);
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} alike[] = {
	{ "gw.example", "GW.Example", true },
	{ "gw.example", "gw.example.", true },
	{ "gw.example", "gw.exampl", false },
	{ "gw.example", "keyid:gw.example", false },
	{ "a@b.example", "A@B.EXAMPLE", true },
	{ "a@b.example", "a@b.example.", false },
	{ "keyid:a", "keyid:A", false },
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "@192.0.2.1", false },
	{ "C=DE, CN=gw", "C=de, CN=GW", true },
	{ "CN=a b", "CN=A  B", true },
	{ "CN=gw, O=x", "O=x, CN=gw", false },
	{ "CN=gw", "CN=gw, O=x", false },
	{ "CN=gw", "OU=gw", false },
	{ "%any", "%any", true },
};

START_TEST(test_eq)
{
	struct ident a = parse(alike[_i].a), b = parse(alike[_i].b);

	ck_assert(ident_eq(&a, &b) == alike[_i].same);
	ck_assert(ident_eq(&b, &a) == alike[_i].same);
	ident_fini(&a);
	ident_fini(&b);
}
END_TEST

static const struct {
	const char *pattern, *id;
	bool covers;
} covers[] = {
	{ "%any", "192.0.2.1", true },
	{ "%any", "CN=gw", true },
	{ "*.example", "gw.example", true },
	{ "*.example", "GW.EXAMPLE.", true },
	{ "*.example", "a.b.example", true },
	{ "*.example", "example", false },
	{ "*.example", "@.example", false },
	{ "*.example", "gwexample", false },
	{ "*.example", "gw.example.org", false },
	{ "*.example", "rfc822:gw.example", false },
	{ "*.example", "%any", false },
	{ "*@b.example", "a@b.example", true },
	{ "*@b.example", "a@c.example", false },
	{ "*@b.example", "rfc822:@b.example", false },
	{ "*@b.example", "a@x.b.example", false },
	{ "C=DE, CN=*", "C=DE, CN=gw", true },
	{ "C=DE, CN=*", "c=de, cn=gw", true },
	{ "C=*, CN=*", "C=DE, CN=gw", true },
	{ "C=DE, CN=*", "C=FR, CN=gw", false },
	{ "C=DE, CN=*", "C=DE, OU=gw", false },
	{ "C=DE, CN=*", "C=DE", false },
	{ "C=DE, CN=*", "C=DE, CN=gw, OU=x", false },
	{ "C=DE, CN=*", "C=DE, CN=*", false },
	{ "gw.example", "gw.example", true },
	{ "gw.example", "b.example", false },
	{ "192.0.2.0/24", "192.0.2.0", true },
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "192.0.2.0/24", "192.0.1.255", false },
	{ "192.0.2.64/27", "192.0.2.95", true },
	{ "192.0.2.64/27", "192.0.2.96", false },
	{ "0.0.0.0/0", "192.0.2.1", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "0.0.0.0/0", "@192.0.2.1", false },
	{ "0.0.0.0/0", "192.0.2.0/24", false },
	{ "192.0.2.0/24", "192.0.2.0/24", false },
	{ "192.0.2.3-192.0.2.9", "192.0.2.3", true },
	{ "192.0.2.3-192.0.2.9", "192.0.2.9", true },
	{ "192.0.2.3-192.0.2.9", "192.0.2.2", false },
	{ "192.0.2.3-192.0.2.9", "192.0.2.10", false },
	{ "192.0.2.200-192.0.3.5", "192.0.3.1", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "2001:db8::1-2001:db8::f", "2001:db8::a", true },
	{ "2001:db8::1-2001:db8::f", "2001:db8::10", false },
};

START_TEST(test_match)
{
	struct ident p = parse(covers[_i].pattern), id = parse(covers[_i].id);
	unsigned fit = ident_match(&p, &id);

	ck_assert_msg((fit != 0) == covers[_i].covers, "%s over %s: %u", covers[_i].pattern,
		      covers[_i].id, fit);
	if (fit)
		ck_assert((fit == IDENT_EXACT) == !ident_is_pattern(&p));
	ident_fini(&p);
	ident_fini(&id);
}
END_TEST

/* Each covers the identity more exactly than the one before. */
static void ascending(const char *of, const char *const *patterns, unsigned n)
{
	struct ident id = parse(of);
	unsigned last = 0;

	for (unsigned i = 0; i < n; i++) {
		struct ident p = parse(patterns[i]);
		unsigned fit = ident_match(&p, &id);
		ck_assert_msg(fit > last, "%s: %u after %u", patterns[i], fit, last);
		last = fit;
		ident_fini(&p);
	}
	ck_assert_uint_eq(last, IDENT_EXACT);
	ident_fini(&id);
}

START_TEST(test_match_order)
{
	static const char *const names[] = { "%any", "*.example", "*.b.example", "a.b.example" };
	static const char *const mails[] = { "%any", "*@b.example", "a@b.example" };
	static const char *const dns[] = { "%any", "C=*, CN=*", "C=DE, CN=*", "C=DE, CN=gw" };

	static const char *const nets[] = { "%any", "0.0.0.0/0", "192.0.0.0-192.0.2.9", "192.0.2.0/24",
					    "192.0.2.0/31", "192.0.2.1" };

	ascending("192.0.2.1", nets, ARRAY_LEN(nets));
	ascending("a.b.example", names, ARRAY_LEN(names));
	ascending("a@b.example", mails, ARRAY_LEN(mails));
	ascending("C=DE, CN=gw", dns, ARRAY_LEN(dns));
}
END_TEST

static const struct {
	const char *id;
	bool in;
} certified[] = {
	{ "gw.example", true },
	{ "GW.example.", true },
	{ "second.example", true },
	{ "any.wild.example", false }, /* RFC 4945 3.1.2: no wildcards in certificates */
	{ "*.wild.example", false },
	{ "*.example", false },
	{ "common", false }, /* not from the common name */
	{ "a@b.example", true },
	{ "@a@b.example", false },
	{ "192.0.2.1", true },
	{ "192.0.2.2", false },
	{ "2001:db8::1", true },
	{ "@192.0.2.1", false },
	{ "C=DE, O=Example, CN=common", true },
	{ "C=de, O=example, CN=COMMON", true },
	{ "C=DE, O=Example, CN=*", false },
	{ "CN=common", false },
	{ "%any", false },
	{ "keyid:gw.example", false },
};

START_TEST(test_in_cert)
{
	struct pki p = pki_make(
	    &(struct pki_opt){ .subject = "C=DE, O=Example, CN=common",
			       .san = "DNS:gw.example,DNS:second.example,DNS:*.wild.example,"
				      "email:a@b.example,IP:192.0.2.1,IP:2001:db8::1" },
	    NULL);
	struct ident id;

	for (size_t i = 0; i < ARRAY_LEN(certified); i++) {
		id = parse(certified[i].id);
		ck_assert_msg(ident_in_cert(&id, p.cert) == certified[i].in, "%s", certified[i].id);
		ident_fini(&id);
	}
	/* the subject as an identity */
	ck_assert_int_eq(ident_from_subject(p.cert, &id), 0);
	ck_assert(ident_in_cert(&id, p.cert));
	char out[64];
	ck_assert_str_eq(ident_format(&id, out, sizeof(out)), "C=DE, O=Example, CN=common");
	ident_fini(&id);
	/* the key identifier */
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(p.cert);
	ck_assert_int_eq(
	    ident_from_wire(IKE_ID_KEY_ID,
			    span_of(ASN1_STRING_get0_data(ski), (size_t)ASN1_STRING_length(ski)),
			    &id),
	    0);
	ck_assert(ident_in_cert(&id, p.cert));
	id.data[3] ^= 1;
	ck_assert(!ident_in_cert(&id, p.cert));
	ident_fini(&id);
	pki_fini(&p);
}
END_TEST

START_TEST(test_in_bare_cert)
{
	struct pki p = pki_make(&(struct pki_opt){ .kind = PKI_ED25519 }, NULL);
	struct ident id, dn = parse("CN=x"), name = parse("x");

	ck_assert_int_eq(ident_from_subject(p.cert, &id), -ENOENT);
	ck_assert(!ident_in_cert(&dn, p.cert));
	ck_assert(!ident_in_cert(&name, p.cert));
	ident_fini(&dn);
	ident_fini(&name);
	pki_fini(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike identities");
	TCase *t = tcase_create("ident");

	tcase_add_loop_test(t, test_text, 0, ARRAY_LEN(good));
	tcase_add_loop_test(t, test_text_bad, 0, ARRAY_LEN(bad));
	tcase_add_test(t, test_text_long);
	tcase_add_loop_test(t, test_wire, 0, ARRAY_LEN(wire));
	tcase_add_test(t, test_wire_long);
	tcase_add_test(t, test_addr);
	tcase_add_loop_test(t, test_eq, 0, ARRAY_LEN(alike));
	tcase_add_loop_test(t, test_match, 0, ARRAY_LEN(covers));
	tcase_add_test(t, test_match_order);
	tcase_add_test(t, test_in_cert);
	tcase_add_test(t, test_in_bare_cert);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
