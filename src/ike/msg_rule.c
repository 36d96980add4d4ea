/* The payloads of both versions, row by row, and the checks that a list of fields cannot say. */
#include "ike/msg_rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* clang-format off */
#define AT(m) offsetof(struct ike_payload, m)
#define FIELDS(...)                                                                                \
	(const struct ike_field[]) { __VA_ARGS__, { IKE_F_END, 0, 0 } }
#define U8(m) { IKE_F_U8, 0, AT(m) }
#define U16(m) { IKE_F_U16, 0, AT(m) }
#define U32(m) { IKE_F_U32, 0, AT(m) }
#define ZERO(n) { IKE_F_ZERO, n, 0 }
#define SPI_SIZE(m) { IKE_F_SPI_SIZE, 0, AT(m) }
#define SPI(m) { IKE_F_SPI, 0, AT(m) }
#define REST(m) { IKE_F_REST, 0, AT(m) }
#define PROPS { IKE_F_PROPS, 0, 0 }
#define SELECTORS { IKE_F_TS, 0, 0 }
#define ATTRS(short_form) { IKE_F_ATTRS, short_form, 0 }
/* clang-format on */

/* RFC 2408 5.4 */
static const char *check_sa1(const struct ike_payload *p, uint16_t *notify)
{
	if (p->sa.doi != IKE1_DOI_ISAKMP && p->sa.doi != IKE1_DOI_IPSEC) {
		*notify = IKE1_DOI_NOT_SUPPORTED;
		return "domain of interpretation is neither ISAKMP (0) nor IPsec (1)";
	}
	if (p->sa.situation != IKE1_SIT_IDENTITY_ONLY) {
		*notify = IKE1_SITUATION_NOT_SUPPORTED;
		return "situation is not SIT_IDENTITY_ONLY";
	}
	return NULL;
}

/* RFC 2408 5.14, 5.15 */
static const char *check_doi1(uint32_t doi, uint16_t *notify)
{
	if (doi == IKE1_DOI_ISAKMP || doi == IKE1_DOI_IPSEC)
		return NULL;
	*notify = IKE1_DOI_NOT_SUPPORTED;
	return "domain of interpretation is neither ISAKMP (0) nor IPsec (1)";
}

static const char *check_notify1(const struct ike_payload *p, uint16_t *notify)
{
	return check_doi1(p->notify.doi, notify);
}

static const char *check_delete(const struct ike_payload *p, uint16_t *notify)
{
	if (p->del.spis.len != (size_t)p->del.n * p->del.spi_size)
		return "the SPIs do not fill the payload";
	return NULL;
}

static const char *check_delete1(const struct ike_payload *p, uint16_t *notify)
{
	const char *why = check_doi1(p->del.doi, notify);
	return why ? why : check_delete(p, notify);
}

static const char *check_id_len(const struct ike_payload *p)
{
	static const uint8_t len[] = {
		[IKE_ID_IPV4_ADDR] = 4,    [IKE_ID_IPV4_SUBNET] = 8, [IKE_ID_IPV6_ADDR] = 16,
		[IKE_ID_IPV6_SUBNET] = 32, [IKE_ID_IPV4_RANGE] = 8,  [IKE_ID_IPV6_RANGE] = 32,
	};

	if (p->id.type < ARRAY_LEN(len) && len[p->id.type] && p->id.data.len != len[p->id.type])
		return "the address has the wrong length for its type";
	return NULL;
}

static const char *check_id2(const struct ike_payload *p, uint16_t *notify)
{
	if (p->id.type != IKE_ID_IPV4_ADDR && p->id.type != IKE_ID_IPV6_ADDR)
		return NULL;
	return check_id_len(p);
}

static const char *check_id1(const struct ike_payload *p, uint16_t *notify)
{
	*notify = IKE1_INVALID_ID_INFORMATION;
	return check_id_len(p);
}

static const char *check_natoa(const struct ike_payload *p, uint16_t *notify)
{
	if (p->id.type != IKE_ID_IPV4_ADDR && p->id.type != IKE_ID_IPV6_ADDR)
		return "the original address is neither IPv4 nor IPv6";
	return check_id_len(p);
}

/* RFC 7383 2.5.1, 2.6 */
static const char *check_skf(const struct ike_payload *p, uint16_t *notify)
{
	if (p->sk.number == 0 || p->sk.number > p->sk.total)
		return "the fragment number is not between one and the number of fragments";
	return NULL;
}

static const char *check_frag1(const struct ike_payload *p, uint16_t *notify)
{
	if (p->frag.number == 0)
		return "fragments are counted from one";
	return NULL;
}

/* RFC 7296 3.16: EAP's own length */
static const char *check_eap(const struct ike_payload *p, uint16_t *notify)
{
	if (load_be16(p->raw.data.p + 2) != p->raw.data.len)
		return "the EAP message has another length than the payload";
	return NULL;
}

static const struct ike_field f_raw[] = { REST(raw.data), { IKE_F_END, 0, 0 } };

/* clang-format off */
static const struct ike_rule rules2[] = {
	/* type        name         min  max most last   fields                                                        check */
	{ IKE2_SA,      "SA",         8,   0, 1, false, FIELDS(PROPS), NULL },
	{ IKE2_KE,      "KE",         5,   0, 1, false, FIELDS(U16(ke.group), ZERO(2), REST(ke.data)), NULL },
	{ IKE2_IDI,     "IDi",        4,   0, 1, false, FIELDS(U8(id.type), ZERO(3), REST(id.data)), check_id2 },
	{ IKE2_IDR,     "IDr",        4,   0, 1, false, FIELDS(U8(id.type), ZERO(3), REST(id.data)), check_id2 },
	{ IKE2_CERT,    "CERT",       2,   0, 0, false, FIELDS(U8(cert.encoding), REST(cert.data)), NULL },
	{ IKE2_CERTREQ, "CERTREQ",    1,   0, 0, false, FIELDS(U8(cert.encoding), REST(cert.data)), NULL },
	{ IKE2_AUTH,    "AUTH",       4,   0, 1, false, FIELDS(U8(auth.method), ZERO(3), REST(auth.data)), NULL },
	{ IKE2_NONCE,   "Nonce",     16, 256, 1, false, f_raw, NULL },
	{ IKE2_N,       "N",          4,   0, 0, false,
	  FIELDS(U8(notify.proto), SPI_SIZE(notify.spi), U16(notify.type), SPI(notify.spi), REST(notify.data)), NULL },
	{ IKE2_D,       "D",          4,   0, 0, false,
	  FIELDS(U8(del.proto), U8(del.spi_size), U16(del.n), REST(del.spis)), check_delete },
	{ IKE2_V,       "V",          0,   0, 0, false, f_raw, NULL },
	{ IKE2_TSI,     "TSi",        4,   0, 1, false, FIELDS(SELECTORS), NULL },
	{ IKE2_TSR,     "TSr",        4,   0, 1, false, FIELDS(SELECTORS), NULL },
	{ IKE2_SK,      "SK",         1,   0, 1, true,  FIELDS(REST(sk.data)), NULL },
	{ IKE2_CP,      "CP",         4,   0, 1, false, FIELDS(U8(cp.type), ZERO(3), ATTRS(0)), NULL },
	{ IKE2_EAP,     "EAP",        4,   0, 1, false, f_raw, check_eap },
	{ IKE2_SKF,     "SKF",        5,   0, 1, true,  FIELDS(U16(sk.number), U16(sk.total), REST(sk.data)), check_skf },
};

static const struct ike_rule rules1[] = {
	{ IKE1_SA,      "SA",         8,   0, 0, false, FIELDS(U32(sa.doi), U32(sa.situation), PROPS), check_sa1 },
	{ IKE1_KE,      "KE",         1,   0, 1, false, FIELDS(REST(ke.data)), NULL },
	{ IKE1_ID,      "ID",         4,   0, 2, false,
	  FIELDS(U8(id.type), U8(id.proto), U16(id.port), REST(id.data)), check_id1 },
	{ IKE1_CERT,    "CERT",       1,   0, 0, false, FIELDS(U8(cert.encoding), REST(cert.data)), NULL },
	{ IKE1_CR,      "CR",         1,   0, 0, false, FIELDS(U8(cert.encoding), REST(cert.data)), NULL },
	{ IKE1_HASH,    "HASH",       1,   0, 1, false, f_raw, NULL },
	{ IKE1_SIG,     "SIG",        1,   0, 1, false, f_raw, NULL },
	{ IKE1_NONCE,   "NONCE",      8, 256, 1, false, f_raw, NULL },
	{ IKE1_N,       "N",          8,   0, 0, false,
	  FIELDS(U32(notify.doi), U8(notify.proto), SPI_SIZE(notify.spi), U16(notify.type), SPI(notify.spi),
		 REST(notify.data)), check_notify1 },
	{ IKE1_D,       "D",          8,   0, 0, false,
	  FIELDS(U32(del.doi), U8(del.proto), U8(del.spi_size), U16(del.n), REST(del.spis)), check_delete1 },
	{ IKE1_VID,     "VID",        0,   0, 0, false, f_raw, NULL },
	{ IKE1_ATTR,    "ATTR",       4,   0, 1, false, FIELDS(U8(cp.type), ZERO(1), U16(cp.id), ATTRS(1)), NULL },
	{ IKE1_NATD,    "NAT-D",      1,   0, 0, false, f_raw, NULL },
	{ IKE1_NATOA,   "NAT-OA",     4,   0, 2, false, FIELDS(U8(id.type), ZERO(3), REST(id.data)), check_natoa },
	{ IKE1_NATD_DRAFT4,  "NAT-D (draft 04)",  1, 0, 0, false, f_raw, NULL },
	{ IKE1_NATOA_DRAFT4, "NAT-OA (draft 04)", 4, 0, 2, false, FIELDS(U8(id.type), ZERO(3), REST(id.data)), check_natoa },
	{ IKE1_NATD_DRAFT,   "NAT-D (draft)",     1, 0, 0, false, f_raw, NULL },
	{ IKE1_NATOA_DRAFT,  "NAT-OA (draft)",    4, 0, 2, false, FIELDS(U8(id.type), ZERO(3), REST(id.data)), check_natoa },
	{ IKE1_FRAGMENT, "FRAGMENT",  5,   0, 1, true,
	  FIELDS(U16(frag.id), U8(frag.number), U8(frag.flags), REST(frag.data)), check_frag1 },
};
/* clang-format on */

const struct ike_rule *ike_rule_nth(unsigned major, unsigned n)
{
	if (major == 2)
		return n < ARRAY_LEN(rules2) ? &rules2[n] : NULL;
	return n < ARRAY_LEN(rules1) ? &rules1[n] : NULL;
}

const struct ike_rule *ike_rule(unsigned major, uint8_t type)
{
	const struct ike_rule *r;

	for (unsigned n = 0; (r = ike_rule_nth(major, n)); n++)
		if (r->type == type)
			return r;
	return NULL;
}

int ike_refuse(struct ike_bad *bad, uint16_t notify, uint8_t payload, const char *fmt, ...)
{
	va_list ap;

	bad->notify = notify;
	bad->payload = payload;
	bad->flaw = IKE_FLAW_OTHER;
	va_start(ap, fmt);
	vsnprintf(bad->why, sizeof(bad->why), fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

int ike_refuse_as(struct ike_bad *bad, enum ike_flaw flaw)
{
	bad->flaw = flaw;
	return -EBADMSG;
}
