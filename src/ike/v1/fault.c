/* See fault.h. Rows of one notify: the more exact payload first. */
#include "ike/v1/fault.h"

#include <string.h>

#include "base/bytes.h"
#include "crypto/dh.h"
#include "ike/msg_rule.h"

/* clang-format off */
static const struct v1_fault rows[] = {
	/* section event                notify                           payload    flaw */
	{ "5.1",  AUDIT_UNEQUAL_LENGTHS,    IKE1_UNEQUAL_PAYLOAD_LENGTHS,    0,         0 },
	{ "5.2",  AUDIT_COOKIE,             IKE1_INVALID_COOKIE,             0,         0 },
	{ "5.3",  AUDIT_NEXT_PAYLOAD,       IKE1_INVALID_PAYLOAD_TYPE,       0,         0 },
	{ "5.2",  AUDIT_VERSION,            IKE1_INVALID_MAJOR_VERSION,      0,         0 },
	{ "5.2",  AUDIT_VERSION,            IKE1_INVALID_MINOR_VERSION,      0,         0 },
	{ "5.2",  AUDIT_EXCHANGE,           IKE1_INVALID_EXCHANGE_TYPE,      0,         0 },
	{ "5.2",  AUDIT_EXCHANGE,           IKE1_UNSUPPORTED_EXCHANGE_TYPE,  0,         0 },
	{ "5.15", AUDIT_DELETE,             IKE1_INVALID_FLAGS,              IKE1_D,    0 },
	{ "5.2",  AUDIT_FLAGS,              IKE1_INVALID_FLAGS,              0,         0 },
	{ "5.2",  AUDIT_MESSAGE_ID,         IKE1_INVALID_MESSAGE_ID,         0,         0 },
	{ "5.14", AUDIT_DOI,                IKE1_DOI_NOT_SUPPORTED,          IKE1_N,    0 },
	{ "5.15", AUDIT_DOI,                IKE1_DOI_NOT_SUPPORTED,          IKE1_D,    0 },
	{ "5.4",  AUDIT_DOI,                IKE1_DOI_NOT_SUPPORTED,          IKE1_SA,   0 },
	{ "5.4",  AUDIT_SITUATION,          IKE1_SITUATION_NOT_SUPPORTED,    IKE1_SA,   0 },
	{ "5.4",  AUDIT_PROPOSAL,           IKE1_NO_PROPOSAL_CHOSEN,         IKE1_SA,   0 },
	{ "5.14", AUDIT_PROTOCOL_ID,        IKE1_INVALID_PROTOCOL_ID,        IKE1_N,    0 },
	{ "5.15", AUDIT_PROTOCOL_ID,        IKE1_INVALID_PROTOCOL_ID,        IKE1_D,    0 },
	{ "5.5",  AUDIT_PROTOCOL,           IKE1_INVALID_PROTOCOL_ID,        IKE1_SA,   0 },
	{ "5.14", AUDIT_SPI,                IKE1_INVALID_SPI,                IKE1_N,    0 },
	{ "5.15", AUDIT_SPI,                IKE1_INVALID_SPI,                IKE1_D,    0 },
	{ "5.5",  AUDIT_SPI,                IKE1_INVALID_SPI,                IKE1_SA,   0 },
	{ "5.5",  AUDIT_PROPOSAL_SYNTAX,    IKE1_BAD_PROPOSAL_SYNTAX,        IKE1_SA,   0 },
	{ "5.6",  AUDIT_TRANSFORM,          IKE1_INVALID_TRANSFORM_ID,       IKE1_SA,   0 },
	{ "5.6",  AUDIT_ATTRIBUTES,         IKE1_ATTRIBUTES_NOT_SUPPORTED,   IKE1_SA,   0 },
	{ "5.7",  AUDIT_KEY_INFORMATION,    IKE1_INVALID_KEY_INFORMATION,    IKE1_KE,   0 },
	{ "5.8",  AUDIT_ID_INFORMATION,     IKE1_INVALID_ID_INFORMATION,     IKE1_ID,   0 },
	{ "5.10", AUDIT_CERT_TYPE,          IKE1_INVALID_CERT_ENCODING,      IKE1_CR,   0 },
	{ "5.9",  AUDIT_CERT_TYPE,          IKE1_INVALID_CERT_ENCODING,      IKE1_CERT, 0 },
	{ "5.9",  AUDIT_CERT,               IKE1_INVALID_CERTIFICATE,        IKE1_CERT, 0 },
	{ "5.10", AUDIT_CERT_UNSUPPORTED,   IKE1_CERT_TYPE_UNSUPPORTED,      IKE1_CR,   0 },
	{ "5.10", AUDIT_CERT_AUTHORITY,     IKE1_INVALID_CERT_AUTHORITY,     IKE1_CR,   0 },
	{ "5.10", AUDIT_CERT_UNAVAILABLE,   IKE1_CERTIFICATE_UNAVAILABLE,    IKE1_CR,   0 },
	{ "5.11", AUDIT_HASH_INFORMATION,   IKE1_INVALID_HASH_INFORMATION,   IKE1_HASH, 0 },
	{ "5.11", AUDIT_HASH_VALUE,         IKE1_AUTHENTICATION_FAILED,      IKE1_HASH, 0 },
	{ "5.12", AUDIT_SIG_INFORMATION,    IKE1_INVALID_SIGNATURE,          IKE1_SIG,  0 },
	{ "5.12", AUDIT_SIG_VALUE,          IKE1_AUTHENTICATION_FAILED,      IKE1_SIG,  0 },
	{ "5.14", AUDIT_MESSAGE_TYPE,       0,                               IKE1_N,    0 },
	{ "5.3",  AUDIT_RESERVED,           IKE1_PAYLOAD_MALFORMED,          0,         IKE_FLAW_RESERVED },
	{ "4",    AUDIT_MISSING,            IKE1_PAYLOAD_MALFORMED,          0,         IKE_FLAW_MISSING },
};
/* clang-format on */

static const struct v1_fault other = { "5", AUDIT_MESSAGE, IKE1_PAYLOAD_MALFORMED, 0, 0 };

const struct v1_fault *v1_fault_nth(unsigned n)
{
	return n < ARRAY_LEN(rows) ? &rows[n] : NULL;
}

const struct v1_fault *v1_fault_of(const struct ike_bad *bad)
{
	const struct v1_fault *any = NULL;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].notify != bad->notify || rows[i].flaw != bad->flaw)
			continue;
		if (rows[i].payload == bad->payload)
			return &rows[i];
		if (!rows[i].payload || !any)
			any = &rows[i];
	}
	return any ? any : &other;
}

bool v1_is_phase1(uint8_t x)
{
	return x == IKE1_X_BASE || x == IKE1_X_MAIN || x == IKE1_X_AUTH_ONLY ||
	       x == IKE1_X_AGGRESSIVE;
}

int v1_check_header(const struct ike_hdr *h, unsigned rare, struct ike_bad *bad)
{
	static const uint8_t zero[8];
	bool first = memcmp(h->spi_r, zero, 8) == 0, phase1 = v1_is_phase1(h->exchange);
	uint8_t x = h->exchange;

	if (!phase1 && x != IKE1_X_INFO && x != IKE1_X_TRANSACTION && x != IKE1_X_QUICK &&
	    x != IKE1_X_NEW_GROUP)
		return ike_refuse(bad, IKE1_INVALID_EXCHANGE_TYPE, 0,
				  "header: exchange type %u is not known", x);
	if ((x == IKE1_X_BASE || x == IKE1_X_AUTH_ONLY) && !(rare & 1u << x))
		return ike_refuse(bad, IKE1_UNSUPPORTED_EXCHANGE_TYPE, 0,
				  "header: exchange type %u is off here: no connection has exchange = %s",
				  x, x == IKE1_X_BASE ? "base" : "authentication");
	if (phase1 ? h->id != 0 : h->id == 0 && x != IKE1_X_INFO)
		return ike_refuse(bad, IKE1_INVALID_MESSAGE_ID, 0,
				  "header: message ID %08x in exchange type %u", h->id, x);
	if (h->flags & IKE1_FLAG_A)
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "header: authentication without encryption is not supported");
	/* without a responder cookie there are no keys; phase 2 never goes without them */
	if (first && (h->flags & IKE1_FLAG_E))
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "header: encrypted before there are keys");
	if (first && !phase1 && x != IKE1_X_INFO)
		return ike_refuse(bad, IKE1_INVALID_COOKIE, 0,
				  "header: the responder's cookie is zero");
	/* a fragment has the flags of the whole, or none */
	if ((x == IKE1_X_QUICK || x == IKE1_X_NEW_GROUP || x == IKE1_X_TRANSACTION) &&
	    !(h->flags & IKE1_FLAG_E) && h->next != IKE1_FRAGMENT)
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "header: exchange type %u must be encrypted", x);
	return 0;
}

/* SPI sizes of RFC 2407 4.6: ISAKMP has both cookies, or with some peers nothing. */
static bool spi_size_ok(uint8_t proto, size_t len, bool may_lack)
{
	if (may_lack && len == 0)
		return true;
	return proto == IKE_PROTO_IKE      ? len == 16
	       : proto == IKE_PROTO_IPCOMP ? len == 2 || len == 4
					   : len == 4;
}

static int check_notify(const struct ike_payload *p, struct ike_bad *bad)
{
	if (p->notify.proto > IKE_PROTO_IPCOMP)
		return ike_refuse(bad, IKE1_INVALID_PROTOCOL_ID, p->type,
				  "N payload: unknown protocol %u", p->notify.proto);
	if (p->notify.proto != 0 && !spi_size_ok(p->notify.proto, p->notify.spi.len, true))
		return ike_refuse(bad, IKE1_INVALID_SPI, p->type,
				  "N payload: an SPI of %zu bytes for protocol %u",
				  p->notify.spi.len, p->notify.proto);
	if (p->notify.type == 0 || p->notify.type == UINT16_MAX)
		return ike_refuse(bad, 0, p->type, "N payload: message type %u", p->notify.type);
	return 0;
}

static int check_delete(const struct ike_payload *p, struct ike_bad *bad)
{
	if (p->del.proto == 0 || p->del.proto > IKE_PROTO_IPCOMP)
		return ike_refuse(bad, IKE1_INVALID_PROTOCOL_ID, p->type,
				  "D payload: unknown protocol %u", p->del.proto);
	if (!spi_size_ok(p->del.proto, p->del.spi_size, false))
		return ike_refuse(bad, IKE1_INVALID_SPI, p->type,
				  "D payload: SPIs of %u bytes for protocol %u", p->del.spi_size,
				  p->del.proto);
	return 0;
}

#define CERT_KINDS 11 /* encodings RFC 2408 3.9 names: 0 to 10 */
#define CERT_X509  4
#define CERT_CRL   7

static int check_cert(const struct ike_payload *p, struct ike_bad *bad)
{
	if (p->cert.encoding != CERT_X509 && p->cert.encoding != CERT_CRL)
		return ike_refuse(bad, IKE1_INVALID_CERT_ENCODING, p->type,
				  "CERT payload: encoding %u is not supported", p->cert.encoding);
	if (p->cert.data.len == 0)
		return ike_refuse(bad, IKE1_INVALID_CERTIFICATE, p->type,
				  "CERT payload: no certificate in it");
	return 0;
}

static int check_cr(const struct ike_payload *p, struct ike_bad *bad)
{
	if (p->cert.encoding == 0 || p->cert.encoding >= CERT_KINDS)
		return ike_refuse(bad, IKE1_INVALID_CERT_ENCODING, p->type,
				  "CR payload: encoding %u is not one", p->cert.encoding);
	if (p->cert.encoding != CERT_X509)
		return ike_refuse(bad, IKE1_CERT_TYPE_UNSUPPORTED, p->type,
				  "CR payload: encoding %u is not supported", p->cert.encoding);
	/* an authority is a DER name: a SEQUENCE, or nothing for any */
	if (p->cert.data.len && p->cert.data.p[0] != 0x30)
		return ike_refuse(bad, IKE1_INVALID_CERT_AUTHORITY, p->type,
				  "CR payload: the authority is no distinguished name");
	return 0;
}

int v1_check_payload(const struct ike_payload *p, struct ike_bad *bad)
{
	switch (p->type) {
	case IKE1_N:
		return check_notify(p, bad);
	case IKE1_D:
		if (!p->inner) /* 5.15: only under the protection of an SA */
			return ike_refuse(bad, IKE1_INVALID_FLAGS, p->type,
					  "D payload: in a message that is not protected");
		return check_delete(p, bad);
	case IKE1_CERT:
		return check_cert(p, bad);
	case IKE1_CR:
		return check_cr(p, bad);
	default:
		return 0;
	}
}

int v1_check_ke(const struct ike_payload *ke, uint16_t group, struct ike_bad *bad)
{
	const struct dh_info *d = dh_info(group);

	if (d && ke->ke.data.len == d->public_len)
		return 0;
	return ike_refuse(bad, IKE1_INVALID_KEY_INFORMATION, IKE1_KE,
			  "KE payload: a public value of %zu bytes, group %u has %u",
			  ke->ke.data.len, group, d ? d->public_len : 0u);
}

#define UDP 17

int v1_check_id(const struct ike_payload *id, struct ike_bad *bad)
{
	switch (id->id.type) {
	case IKE_ID_IPV4_ADDR:
	case IKE_ID_IPV6_ADDR:
	case IKE_ID_FQDN:
	case IKE_ID_RFC822_ADDR:
	case IKE_ID_DER_ASN1_DN:
	case IKE_ID_KEY_ID:
		break;
	default:
		return ike_refuse(bad, IKE1_INVALID_ID_INFORMATION, IKE1_ID,
				  "ID payload: type %u does not name a peer", id->id.type);
	}
	/* 0/0 or UDP 500; behind NAT some say 4500, or UDP without a port */
	if ((id->id.proto == 0 && id->id.port == 0) ||
	    (id->id.proto == UDP &&
	     (id->id.port == 0 || id->id.port == 500 || id->id.port == 4500)))
		return 0;
	return ike_refuse(bad, IKE1_INVALID_ID_INFORMATION, IKE1_ID,
			  "ID payload: protocol %u port %u; 0/0 or 17/500 is right", id->id.proto,
			  id->id.port);
}
