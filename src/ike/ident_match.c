/* Whether two identities are one, whether a pattern covers an identity, and whether a certificate
 * speaks for it: see ident.h. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <strings.h>

#include "ike/ident.h"
#include "ike/ident_dn.h"

static bool is_name(uint8_t type)
{
	return type == IKE_ID_FQDN || type == IKE_ID_RFC822_ADDR;
}

static struct span id_view(const struct ident *id)
{
	return span_of(id->data, id->len);
}

/* A dot at the end of a host name means nothing. */
static struct span name_view(uint8_t type, struct span v)
{
	if (type == IKE_ID_FQDN && v.len > 1 && v.p[v.len - 1] == '.')
		v.len--;
	return v;
}

/* Without regard to case, also when there are zero bytes inside. */
static bool name_eq(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		uint8_t x = a.p[i], y = b.p[i];
		x |= x >= 'A' && x <= 'Z' ? 0x20 : 0;
		y |= y >= 'A' && y <= 'Z' ? 0x20 : 0;
		if (x != y)
			return false;
	}
	return true;
}

static bool dn_eq(struct span a, struct span b)
{
	X509_NAME *x = dn_decode(a), *y = dn_decode(b);
	bool same = x && y && X509_NAME_cmp(x, y) == 0;

	X509_NAME_free(x);
	X509_NAME_free(y);
	return same;
}

bool ident_eq(const struct ident *a, const struct ident *b)
{
	struct span x = id_view(a), y = id_view(b);

	if (a->type != b->type)
		return false;
	if (span_eq(x, y))
		return true;
	if (is_name(a->type))
		return name_eq(name_view(a->type, x), name_view(b->type, y));
	return a->type == IKE_ID_DER_ASN1_DN && dn_eq(x, y);
}

static bool dn_is_pattern(struct span v)
{
	X509_NAME *name = dn_decode(v);
	bool star = name && dn_has_star(name);

	X509_NAME_free(name);
	return star;
}

static bool is_net(uint8_t type)
{
	return type == IKE_ID_IPV4_SUBNET || type == IKE_ID_IPV6_SUBNET;
}

static bool is_range(uint8_t type)
{
	return type == IKE_ID_IPV4_RANGE || type == IKE_ID_IPV6_RANGE;
}

bool ident_is_pattern(const struct ident *id)
{
	if (is_net(id->type) || is_range(id->type))
		return true;
	switch (id->type) {
	case 0:
		return true;
	case IKE_ID_FQDN:
		return id->len >= 2 && memcmp(id->data, "*.", 2) == 0;
	case IKE_ID_RFC822_ADDR:
		return id->len >= 2 && memcmp(id->data, "*@", 2) == 0;
	case IKE_ID_DER_ASN1_DN:
		return dn_is_pattern(id_view(id));
	default:
		return false;
	}
}

/* Longer endings are more exact; all are less exact than a DN with stars. */
static unsigned name_match(const struct ident *pattern, const struct ident *id)
{
	struct span v = name_view(id->type, id_view(id));
	struct span end = name_view(pattern->type, id_view(pattern));

	end.p++; /* the star; what stands for it is not nothing */
	end.len--;
	if (v.len <= end.len || !name_eq(span_of(v.p + v.len - end.len, end.len), end))
		return 0;
	return 2 + (unsigned)(end.len < 400 ? end.len : 400);
}

unsigned ident_net_bits(const struct ident *id)
{
	unsigned n = id->len / 2, bits = 0;
	const uint8_t *a = id->data, *b = id->data + n;

	/* where a network's mask has ones, a range's ends are the same */
	while (bits < 8 * n) {
		uint8_t same = is_net(id->type) ? b[bits / 8] : (uint8_t)~(a[bits / 8] ^ b[bits / 8]);
		if (!(same & (0x80 >> bits % 8)))
			break;
		bits++;
	}
	return bits;
}

/* Is the address in the network or range? */
static unsigned net_match(const struct ident *pattern, const struct ident *id)
{
	size_t n = pattern->len / 2;
	const uint8_t *lo = pattern->data, *hi = lo + n;
	bool v4 = pattern->type == IKE_ID_IPV4_SUBNET || pattern->type == IKE_ID_IPV4_RANGE;
	bool in = id->type == (v4 ? IKE_ID_IPV4_ADDR : IKE_ID_IPV6_ADDR) && id->len == n;

	for (size_t i = 0; in && is_net(pattern->type) && i < n; i++)
		in = ((id->data[i] ^ lo[i]) & hi[i]) == 0;
	if (in && is_range(pattern->type))
		in = memcmp(id->data, lo, n) >= 0 && memcmp(id->data, hi, n) <= 0;
	return in ? 2 + ident_net_bits(pattern) : 0;
}

static unsigned dn_match(const struct ident *pattern, const struct ident *id)
{
	X509_NAME *p = dn_decode(id_view(pattern)), *v = dn_decode(id_view(id));
	unsigned stars, fit = 0;

	if (p && v && dn_covers(p, v, &stars))
		fit = IDENT_EXACT - 1 - (stars < 400 ? stars : 400);
	X509_NAME_free(p);
	X509_NAME_free(v);
	return fit;
}

unsigned ident_match(const struct ident *pattern, const struct ident *id)
{
	if (ident_is_pattern(id))
		return 0;
	if (pattern->type == 0)
		return 1;
	if (is_net(pattern->type) || is_range(pattern->type))
		return net_match(pattern, id);
	if (pattern->type != id->type)
		return 0;
	if (ident_eq(pattern, id))
		return IDENT_EXACT;
	if (!ident_is_pattern(pattern))
		return 0;
	return is_name(id->type) ? name_match(pattern, id) : dn_match(pattern, id);
}

/* ---- certificates */

static bool general_name_is(const GENERAL_NAME *g, const struct ident *id)
{
	static const struct {
		uint8_t id;
		int gen;
	} kinds[] = {
		{ IKE_ID_FQDN, GEN_DNS },
		{ IKE_ID_RFC822_ADDR, GEN_EMAIL },
		{ IKE_ID_IPV4_ADDR, GEN_IPADD },
		{ IKE_ID_IPV6_ADDR, GEN_IPADD },
	};
	int type;
	const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].id != id->type || kinds[i].gen != type)
			continue;
		struct span v = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
		return type == GEN_IPADD
			   ? span_eq(v, id_view(id))
			   : name_eq(name_view(id->type, v), name_view(id->type, id_view(id)));
	}
	return false;
}

static bool in_alt_names(const struct ident *id, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
		found = general_name_is(sk_GENERAL_NAME_value(names, i), id);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return found;
}

bool ident_in_cert(const struct ident *id, const X509 *cert)
{
	bool is = false;

	if (ident_is_pattern(id))
		return false;
	if (id->type == IKE_ID_DER_ASN1_DN) {
		X509_NAME *name = dn_decode(id_view(id));
		is = name && X509_NAME_cmp(name, X509_get_subject_name(cert)) == 0;
		X509_NAME_free(name);
	} else if (id->type == IKE_ID_KEY_ID) {
		ASN1_OCTET_STRING *ski =
		    X509_get_ext_d2i(cert, NID_subject_key_identifier, NULL, NULL);
		is = ski &&
		     span_eq(span_of(ASN1_STRING_get0_data(ski), (size_t)ASN1_STRING_length(ski)),
			     id_view(id));
		ASN1_OCTET_STRING_free(ski);
		ERR_clear_error();
	} else {
		is = in_alt_names(id, cert);
	}
	return is;
}
