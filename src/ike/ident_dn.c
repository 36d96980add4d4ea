/*
 * See ident_dn.h. Text is cut into parts at its separator -> each key is looked up among the short
 * names people use, then among OpenSSL's -> the values become an X509_NAME -> DER. Comparison is
 * OpenSSL's, which folds case and spaces as X.500 has it.
 */
#include "ike/ident_dn.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "ike/ident.h"

/* What strongSwan's users write; OpenSSL knows most under the same name, some under another. */
static const struct {
	const char *key;
	int nid;
} keys[] = {
	{ "C", NID_countryName },
	{ "ST", NID_stateOrProvinceName },
	{ "L", NID_localityName },
	{ "O", NID_organizationName },
	{ "OU", NID_organizationalUnitName },
	{ "CN", NID_commonName },
	{ "DC", NID_domainComponent },
	{ "UID", NID_userId },
	{ "E", NID_pkcs9_emailAddress },
	{ "EMAIL", NID_pkcs9_emailAddress },
	{ "EMAILADDRESS", NID_pkcs9_emailAddress },
	{ "S", NID_surname },
	{ "SN", NID_serialNumber },
	{ "SERIALNUMBER", NID_serialNumber },
	{ "G", NID_givenName },
	{ "GN", NID_givenName },
	{ "I", NID_initials },
	{ "T", NID_title },
	{ "D", NID_description },
	{ "N", NID_name },
	{ "DNQUALIFIER", NID_dnQualifier },
	{ "UNSTRUCTUREDNAME", NID_pkcs9_unstructuredName },
};

static int say(char *why, size_t whylen, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int say(char *why, size_t whylen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why && whylen)
		vsnprintf(why, whylen, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return -EINVAL;
}

/* The caller's: ASN1_OBJECT_free(), which leaves built-in ones alone. */
static ASN1_OBJECT *key_find(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcasecmp(keys[i].key, key) == 0)
			return OBJ_nid2obj(keys[i].nid);
	return OBJ_txt2obj(key, 0);
}

static const char *key_name(const ASN1_OBJECT *oid, char *room, int max)
{
	int nid = OBJ_obj2nid(oid);

	for (size_t i = 0; nid != NID_undef && i < ARRAY_LEN(keys); i++)
		if (keys[i].nid == nid)
			return keys[i].key;
	/* A name of OpenSSL's may be another key of ours; numbers are nobody's. */
	OBJ_obj2txt(room, max, oid, 1);
	return room;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
					    : -1;
}

/* Takes one value from *text into out[max], up to the separator, without the blanks around it.
 * Returns its length, or -1 when it does not fit or a quote is left open. */
static int value_take(const char **text, char sep, char *out, size_t max)
{
	const char *t = *text;
	size_t n = 0, keep = 0; /* keep: trailing blanks before it are part of the value */
	bool quoted = *t == '"';

	for (t += quoted; *t && (quoted || *t != sep); t++) {
		int c = (unsigned char)*t;
		bool literal = quoted;

		if (quoted && c == '"') {
			quoted = false;
			keep = n;
			continue;
		}
		if (c == '\\' && t[1]) {
			int hi = hex_digit(t[1]), lo = hi < 0 ? -1 : hex_digit(t[2]);
			c = lo < 0 ? (unsigned char)t[1] : hi << 4 | lo;
			t += lo < 0 ? 1 : 2;
			literal = true;
		}
		if (n == max)
			return -1;
		out[n++] = (char)c;
		if (literal)
			keep = n;
	}
	while (n > keep && out[n - 1] == ' ')
		n--;
	*text = t;
	return quoted ? -1 : (int)n;
}

/* Adds "key=value" to the name. */
static int part_add(X509_NAME *name, const char *key, const char *value, int len, char *why,
		    size_t whylen)
{
	ASN1_OBJECT *oid = key_find(key);

	if (!oid)
		return say(why, whylen, "\"%s\" is no attribute of a distinguished name", key);
	/* A lone star breaks the size limits of some attributes, so it gets in without them. */
	int type = len == 1 && *value == '*' ? V_ASN1_UTF8STRING : MBSTRING_UTF8;
	int ok =
	    X509_NAME_add_entry_by_OBJ(name, oid, type, (const unsigned char *)value, len, -1, 0);
	ASN1_OBJECT_free(oid);
	if (!ok)
		return say(why, whylen,
			   "the value of \"%s\" is too long, too short or has wrong characters",
			   key);
	return 0;
}

static int parts_add(X509_NAME *name, const char *text, char *why, size_t whylen)
{
	char key[64], value[IDENT_MAX];
	char sep = *text == '/' ? '/' : ',';

	for (;;) {
		text += strspn(text, sep == '/' ? "/ " : " ");
		size_t n = strcspn(text, "=");
		if (!text[n])
			return say(why, whylen, "\"%.40s\" is not KEY=VALUE", text);
		const char *after = text + n + 1;
		while (n && text[n - 1] == ' ')
			n--;
		if (n == 0 || n >= sizeof(key))
			return say(why, whylen,
				   "the attribute before \"=%.40s\" is missing or too long", after);
		memcpy(key, text, n);
		key[n] = '\0';
		text = after + strspn(after, " ");
		int len = value_take(&text, sep, value, sizeof(value));
		if (len <= 0)
			return say(why, whylen, "the value of \"%s\" is %s", key,
				   len ? "too long, or a quote is not closed" : "empty");
		int rc = part_add(name, key, value, len, why, whylen);
		if (rc)
			return rc;
		if (!*text)
			return 0;
		text++; /* the separator */
	}
}

int dn_from_text(const char *text, uint8_t **der, size_t *len, char *why, size_t whylen)
{
	X509_NAME *name = X509_NAME_new();
	unsigned char *p = NULL;

	if (!name)
		return -ENOMEM;
	int rc = parts_add(name, text, why, whylen);
	int n = rc ? 0 : i2d_X509_NAME(name, &p);
	X509_NAME_free(name);
	if (rc)
		return rc;
	if (n > IDENT_MAX) {
		OPENSSL_free(p);
		return say(why, whylen, "the distinguished name is longer than %d bytes",
			   IDENT_MAX);
	}
	*der = n > 0 ? malloc((size_t)n) : NULL;
	if (*der) {
		memcpy(*der, p, (size_t)n);
		*len = (size_t)n;
	}
	OPENSSL_free(p);
	return *der ? 0 : -ENOMEM;
}

X509_NAME *dn_decode(struct span der)
{
	const unsigned char *p = der.p;
	X509_NAME *name = der.len <= IDENT_MAX ? d2i_X509_NAME(NULL, &p, (long)der.len) : NULL;

	if (name && (p != der.p + der.len || X509_NAME_entry_count(name) == 0)) {
		X509_NAME_free(name);
		name = NULL;
	}
	ERR_clear_error();
	return name;
}

/* In any encoding, and with blanks around it: X.500's comparison sees no difference. */
static bool entry_is_star(const X509_NAME_ENTRY *e)
{
	unsigned char *v = NULL;
	int n = ASN1_STRING_to_UTF8(&v, X509_NAME_ENTRY_get_data(e)), stars = 0;
	bool only = true;

	for (int i = 0; i < n; i++) {
		stars += v[i] == '*';
		only = only && (v[i] == '*' || isspace(v[i]));
	}
	OPENSSL_free(v);
	ERR_clear_error();
	return only && stars == 1;
}

bool dn_has_star(const X509_NAME *name)
{
	for (int i = 0; i < X509_NAME_entry_count(name); i++)
		if (entry_is_star(X509_NAME_get_entry(name, i)))
			return true;
	return false;
}

void dn_write_escaped(struct wr *w, struct span v, const char *special)
{
	static const char digit[] = "0123456789ABCDEF";

	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.p[i];
		bool plain = c > 0x20 && c < 0x7f;
		if (c == ' ')
			plain = i > 0 && i + 1 < v.len; /* blanks at the ends would get lost */
		if (!plain) {
			wr_u8(w, '\\');
			wr_u8(w, (uint8_t)digit[c >> 4]);
			wr_u8(w, (uint8_t)digit[c & 15]);
			continue;
		}
		if (strchr(special, c))
			wr_u8(w, '\\');
		wr_u8(w, c);
	}
}

void dn_write(struct wr *w, const X509_NAME *name)
{
	char room[80];

	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		const char *key = key_name(X509_NAME_ENTRY_get_object(e), room, sizeof(room));
		unsigned char *utf8 = NULL;
		int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(e));

		if (i)
			wr_bytes(w, ", ", 2);
		wr_bytes(w, key, strlen(key));
		wr_u8(w, '=');
		if (n >= 0)
			dn_write_escaped(w, span_of(utf8, (size_t)n), ",\\\"");
		OPENSSL_free(utf8);
	}
	ERR_clear_error();
}

bool dn_covers(const X509_NAME *pattern, const X509_NAME *name, unsigned *stars)
{
	int n = X509_NAME_entry_count(pattern);
	X509_NAME *filled = X509_NAME_entry_count(name) == n ? X509_NAME_new() : NULL;
	bool same = filled != NULL;

	*stars = 0;
	/* The pattern with the name's values in place of the stars must be the name. */
	for (int i = 0; same && i < n; i++) {
		const X509_NAME_ENTRY *p = X509_NAME_get_entry(pattern, i);
		const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		bool star = entry_is_star(p);

		*stars += star;
		same = OBJ_cmp(X509_NAME_ENTRY_get_object(p), X509_NAME_ENTRY_get_object(e)) == 0 &&
		       X509_NAME_add_entry(filled, star ? e : p, -1, 0);
	}
	same = same && X509_NAME_cmp(filled, name) == 0;
	X509_NAME_free(filled);
	ERR_clear_error();
	return same;
}
