/* Tables of words, one per number space of IKE. Algorithms take theirs from the tables of crypto/.
 */
#include "ike/names.h"

#include <stdio.h>

#include "base/bytes.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/transform.h"
#include "ike/msg_rule.h"

struct word {
	uint16_t n;
	const char *text;
};

/* clang-format off */
static const struct word exchange1[] = {
	{ 0, "NONE" },	      { 1, "Base" },	      { 2, "Main Mode" },
	{ 3, "Authentication Only" }, { 4, "Aggressive Mode" }, { 5, "Informational" },
	{ 6, "Transaction" }, { 32, "Quick Mode" },   { 33, "New Group Mode" },
};

static const struct word exchange2[] = {
	{ 34, "IKE_SA_INIT" },	      { 35, "IKE_AUTH" },
	{ 36, "CREATE_CHILD_SA" },    { 37, "INFORMATIONAL" },
	{ 38, "IKE_SESSION_RESUME" }, { 39, "GSA_AUTH" },
	{ 40, "GSA_REGISTRATION" },   { 41, "GSA_REKEY" },
	{ 43, "IKE_INTERMEDIATE" },   { 44, "IKE_FOLLOWUP_KE" },
};

static const struct word notify1[] = {
	{ 1, "INVALID-PAYLOAD-TYPE" },	    { 2, "DOI-NOT-SUPPORTED" },
	{ 3, "SITUATION-NOT-SUPPORTED" },   { 4, "INVALID-COOKIE" },
	{ 5, "INVALID-MAJOR-VERSION" },	    { 6, "INVALID-MINOR-VERSION" },
	{ 7, "INVALID-EXCHANGE-TYPE" },	    { 8, "INVALID-FLAGS" },
	{ 9, "INVALID-MESSAGE-ID" },	    { 10, "INVALID-PROTOCOL-ID" },
	{ 11, "INVALID-SPI" },		    { 12, "INVALID-TRANSFORM-ID" },
	{ 13, "ATTRIBUTES-NOT-SUPPORTED" }, { 14, "NO-PROPOSAL-CHOSEN" },
	{ 15, "BAD-PROPOSAL-SYNTAX" },	    { 16, "PAYLOAD-MALFORMED" },
	{ 17, "INVALID-KEY-INFORMATION" },  { 18, "INVALID-ID-INFORMATION" },
	{ 19, "INVALID-CERT-ENCODING" },    { 20, "INVALID-CERTIFICATE" },
	{ 21, "CERT-TYPE-UNSUPPORTED" },    { 22, "INVALID-CERT-AUTHORITY" },
	{ 23, "INVALID-HASH-INFORMATION" }, { 24, "AUTHENTICATION-FAILED" },
	{ 25, "INVALID-SIGNATURE" },	    { 26, "ADDRESS-NOTIFICATION" },
	{ 27, "NOTIFY-SA-LIFETIME" },	    { 28, "CERTIFICATE-UNAVAILABLE" },
	{ 29, "UNSUPPORTED-EXCHANGE-TYPE" },{ 30, "UNEQUAL-PAYLOAD-LENGTHS" },
	{ 16384, "CONNECTED" },		    { 24576, "RESPONDER-LIFETIME" },
	{ 24577, "REPLAY-STATUS" },	    { 24578, "INITIAL-CONTACT" },
	{ 36136, "R-U-THERE" },		    { 36137, "R-U-THERE-ACK" },
	{ 40501, "UNITY-LOAD-BALANCE" },    { 40503, "UNITY-GROUP-HASH" },
};

static const struct word notify2[] = {
	{ 1, "UNSUPPORTED_CRITICAL_PAYLOAD" },
	{ 4, "INVALID_IKE_SPI" },
	{ 5, "INVALID_MAJOR_VERSION" },
	{ 7, "INVALID_SYNTAX" },
	{ 9, "INVALID_MESSAGE_ID" },
	{ 11, "INVALID_SPI" },
	{ 14, "NO_PROPOSAL_CHOSEN" },
	{ 17, "INVALID_KE_PAYLOAD" },
	{ 24, "AUTHENTICATION_FAILED" },
	{ 34, "SINGLE_PAIR_REQUIRED" },
	{ 35, "NO_ADDITIONAL_SAS" },
	{ 36, "INTERNAL_ADDRESS_FAILURE" },
	{ 37, "FAILED_CP_REQUIRED" },
	{ 38, "TS_UNACCEPTABLE" },
	{ 39, "INVALID_SELECTORS" },
	{ 40, "UNACCEPTABLE_ADDRESSES" },
	{ 41, "UNEXPECTED_NAT_DETECTED" },
	{ 42, "USE_ASSIGNED_HoA" },
	{ 43, "TEMPORARY_FAILURE" },
	{ 44, "CHILD_SA_NOT_FOUND" },
	{ 45, "INVALID_GROUP_ID" },
	{ 46, "AUTHORIZATION_FAILED" },
	{ 47, "STATE_NOT_FOUND" },
	{ 48, "TS_MAX_QUEUE" },
	{ 16384, "INITIAL_CONTACT" },
	{ 16385, "SET_WINDOW_SIZE" },
	{ 16386, "ADDITIONAL_TS_POSSIBLE" },
	{ 16387, "IPCOMP_SUPPORTED" },
	{ 16388, "NAT_DETECTION_SOURCE_IP" },
	{ 16389, "NAT_DETECTION_DESTINATION_IP" },
	{ 16390, "COOKIE" },
	{ 16391, "USE_TRANSPORT_MODE" },
	{ 16392, "HTTP_CERT_LOOKUP_SUPPORTED" },
	{ 16393, "REKEY_SA" },
	{ 16394, "ESP_TFC_PADDING_NOT_SUPPORTED" },
	{ 16395, "NON_FIRST_FRAGMENTS_ALSO" },
	{ 16396, "MOBIKE_SUPPORTED" },
	{ 16397, "ADDITIONAL_IP4_ADDRESS" },
	{ 16398, "ADDITIONAL_IP6_ADDRESS" },
	{ 16399, "NO_ADDITIONAL_ADDRESSES" },
	{ 16400, "UPDATE_SA_ADDRESSES" },
	{ 16401, "COOKIE2" },
	{ 16402, "NO_NATS_ALLOWED" },
	{ 16403, "AUTH_LIFETIME" },
	{ 16404, "MULTIPLE_AUTH_SUPPORTED" },
	{ 16405, "ANOTHER_AUTH_FOLLOWS" },
	{ 16406, "REDIRECT_SUPPORTED" },
	{ 16407, "REDIRECT" },
	{ 16408, "REDIRECTED_FROM" },
	{ 16409, "TICKET_LT_OPAQUE" },
	{ 16410, "TICKET_REQUEST" },
	{ 16411, "TICKET_ACK" },
	{ 16412, "TICKET_NACK" },
	{ 16413, "TICKET_OPAQUE" },
	{ 16414, "LINK_ID" },
	{ 16415, "USE_WESP_MODE" },
	{ 16416, "ROHC_SUPPORTED" },
	{ 16417, "EAP_ONLY_AUTHENTICATION" },
	{ 16418, "CHILDLESS_IKEV2_SUPPORTED" },
	{ 16419, "QUICK_CRASH_DETECTION" },
	{ 16420, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED" },
	{ 16421, "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED" },
	{ 16422, "IKEV2_MESSAGE_ID_SYNC" },
	{ 16423, "IPSEC_REPLAY_COUNTER_SYNC" },
	{ 16424, "SECURE_PASSWORD_METHODS" },
	{ 16425, "PSK_PERSIST" },
	{ 16426, "PSK_CONFIRM" },
	{ 16427, "ERX_SUPPORTED" },
	{ 16428, "IFOM_CAPABILITY" },
	{ 16430, "IKEV2_FRAGMENTATION_SUPPORTED" },
	{ 16431, "SIGNATURE_HASH_ALGORITHMS" },
	{ 16432, "CLONE_IKE_SA_SUPPORTED" },
	{ 16433, "CLONE_IKE_SA" },
	{ 16434, "PUZZLE" },
	{ 16435, "USE_PPK" },
	{ 16436, "PPK_IDENTITY" },
	{ 16437, "NO_PPK_AUTH" },
	{ 16438, "INTERMEDIATE_EXCHANGE_SUPPORTED" },
	{ 16439, "IP4_ALLOWED" },
	{ 16440, "IP6_ALLOWED" },
	{ 16441, "ADDITIONAL_KEY_EXCHANGE" },
	{ 16442, "USE_AGGFRAG" },
};

static const struct word protocol[] = { { 0, "none" }, { 1, "IKE" }, { 2, "AH" }, { 3, "ESP" }, { 4, "IPCOMP" } };

static const struct word id_type[] = {
	{ 1, "IPv4 address" }, { 2, "FQDN" },	      { 3, "RFC 822 address" }, { 4, "IPv4 subnet" },
	{ 5, "IPv6 address" }, { 6, "IPv6 subnet" },  { 7, "IPv4 range" },	{ 8, "IPv6 range" },
	{ 9, "DN" },	       { 10, "general name" }, { 11, "key ID" },	{ 12, "FC name" },
	{ 13, "null" },
};

static const struct word cert_encoding[] = {
	{ 1, "PKCS #7" },	   { 2, "PGP" },	  { 3, "DNS signed key" },
	{ 4, "X.509 signature" },  { 5, "X.509 key exchange" }, { 6, "Kerberos token" },
	{ 7, "CRL" },		   { 8, "ARL" },	  { 9, "SPKI" },
	{ 10, "X.509 attribute" }, { 11, "raw RSA key" }, { 12, "hash and URL" },
	{ 13, "hash and URL of a bundle" }, { 14, "OCSP" }, { 15, "raw public key" },
};

static const struct word auth1[] = {
	{ 1, "pre-shared key" },	 { 2, "DSS signature" },
	{ 3, "RSA signature" },		 { 4, "RSA encryption" },
	{ 5, "revised RSA encryption" }, { 8, "ECDSA signature" },
	{ 9, "ECDSA-256" },		 { 10, "ECDSA-384" },
	{ 11, "ECDSA-521" },		 { 64221, "hybrid RSA, initiator" },
	{ 64222, "hybrid RSA, responder" }, { 64223, "hybrid DSS, initiator" },
	{ 64224, "hybrid DSS, responder" }, { 65001, "XAUTH and PSK, initiator" },
	{ 65002, "XAUTH and PSK, responder" }, { 65003, "XAUTH and DSS, initiator" },
	{ 65004, "XAUTH and DSS, responder" }, { 65005, "XAUTH and RSA, initiator" },
	{ 65006, "XAUTH and RSA, responder" },
};

static const struct word auth2[] = {
	{ 1, "RSA signature" }, { 2, "pre-shared key" }, { 3, "DSS signature" },
	{ 9, "ECDSA-256" },	{ 10, "ECDSA-384" },	 { 11, "ECDSA-521" },
	{ 12, "secure password" }, { 13, "null" },	 { 14, "digital signature" },
};

static const struct word transform_type[] = {
	{ 1, "encryption" }, { 2, "PRF" }, { 3, "integrity" }, { 4, "key exchange" }, { 5, "sequence numbers" },
	{ 6, "additional key exchange 1" }, { 7, "additional key exchange 2" },
	{ 8, "additional key exchange 3" }, { 9, "additional key exchange 4" },
	{ 10, "additional key exchange 5" }, { 11, "additional key exchange 6" },
	{ 12, "additional key exchange 7" },
};

static const struct word esn[] = { { 0, "noesn" }, { 1, "esn" } };

static const struct word cp_type[] = { { 1, "request" }, { 2, "reply" }, { 3, "set" }, { 4, "acknowledge" } };

static const struct word cp_attr1[] = {
	{ 1, "INTERNAL_IP4_ADDRESS" }, { 2, "INTERNAL_IP4_NETMASK" },
	{ 3, "INTERNAL_IP4_DNS" },     { 4, "INTERNAL_IP4_NBNS" },
	{ 5, "INTERNAL_ADDRESS_EXPIRY" }, { 6, "INTERNAL_IP4_DHCP" },
	{ 7, "APPLICATION_VERSION" },  { 8, "INTERNAL_IP6_ADDRESS" },
	{ 9, "INTERNAL_IP6_NETMASK" }, { 10, "INTERNAL_IP6_DNS" },
	{ 11, "INTERNAL_IP6_NBNS" },   { 12, "INTERNAL_IP6_DHCP" },
	{ 13, "INTERNAL_IP4_SUBNET" }, { 14, "SUPPORTED_ATTRIBUTES" },
	{ 15, "INTERNAL_IP6_SUBNET" }, { 16520, "XAUTH_TYPE" },
	{ 16521, "XAUTH_USER_NAME" },  { 16522, "XAUTH_USER_PASSWORD" },
	{ 16523, "XAUTH_PASSCODE" },   { 16524, "XAUTH_MESSAGE" },
	{ 16525, "XAUTH_CHALLENGE" },  { 16526, "XAUTH_DOMAIN" },
	{ 16527, "XAUTH_STATUS" },     { 16528, "XAUTH_NEXT_PIN" },
	{ 16529, "XAUTH_ANSWER" },     { 28672, "UNITY_BANNER" },
	{ 28673, "UNITY_SAVE_PASSWD" },{ 28674, "UNITY_DEF_DOMAIN" },
	{ 28675, "UNITY_SPLITDNS_NAME" }, { 28676, "UNITY_SPLIT_INCLUDE" },
	{ 28677, "UNITY_NATT_PORT" },  { 28678, "UNITY_LOCAL_LAN" },
	{ 28679, "UNITY_PFS" },	       { 28680, "UNITY_FW_TYPE" },
	{ 28681, "UNITY_BACKUP_SERVERS" }, { 28682, "UNITY_DDNS_HOSTNAME" },
};

static const struct word cp_attr2[] = {
	{ 1, "INTERNAL_IP4_ADDRESS" }, { 2, "INTERNAL_IP4_NETMASK" },
	{ 3, "INTERNAL_IP4_DNS" },     { 4, "INTERNAL_IP4_NBNS" },
	{ 6, "INTERNAL_IP4_DHCP" },    { 7, "APPLICATION_VERSION" },
	{ 8, "INTERNAL_IP6_ADDRESS" }, { 10, "INTERNAL_IP6_DNS" },
	{ 12, "INTERNAL_IP6_DHCP" },   { 13, "INTERNAL_IP4_SUBNET" },
	{ 14, "SUPPORTED_ATTRIBUTES" },{ 15, "INTERNAL_IP6_SUBNET" },
	{ 16, "MIP6_HOME_PREFIX" },    { 17, "INTERNAL_IP6_LINK" },
	{ 18, "INTERNAL_IP6_PREFIX" }, { 19, "HOME_AGENT_ADDRESS" },
	{ 20, "P_CSCF_IP4_ADDRESS" },  { 21, "P_CSCF_IP6_ADDRESS" },
	{ 25, "INTERNAL_DNS_DOMAIN" }, { 26, "INTERNAL_DNSSEC_TA" },
	{ 27, "ENCDNS_IP4" },	       { 28, "ENCDNS_IP6" },
	{ 29, "ENCDNS_DIGEST_INFO" },
};

static const struct word attr1_ike[] = {
	{ 1, "encryption" },  { 2, "hash" },	   { 3, "authentication" }, { 4, "group" },
	{ 5, "group type" },  { 6, "group prime" },{ 7, "generator 1" },    { 8, "generator 2" },
	{ 9, "curve A" },     { 10, "curve B" },   { 11, "life type" },	    { 12, "life duration" },
	{ 13, "PRF" },	      { 14, "key length" },{ 15, "field size" },    { 16, "group order" },
};

static const struct word attr1_ipsec[] = {
	{ 1, "life type" },	 { 2, "life duration" }, { 3, "group" },
	{ 4, "encapsulation" },	 { 5, "authentication" },{ 6, "key length" },
	{ 7, "key rounds" },	 { 8, "compression dictionary" }, { 9, "private compression" },
	{ 11, "extended sequence numbers" },
};

static const struct word encr1[] = {
	{ 1, "DES-CBC" },  { 2, "IDEA-CBC" }, { 3, "Blowfish-CBC" }, { 4, "RC5-CBC" },
	{ 5, "3DES-CBC" }, { 6, "CAST-CBC" }, { 7, "AES-CBC" },	     { 8, "Camellia-CBC" },
};

static const struct word hash1[] = {
	{ 1, "MD5" }, { 2, "SHA1" }, { 3, "Tiger" }, { 4, "SHA2-256" }, { 5, "SHA2-384" }, { 6, "SHA2-512" },
};

static const struct word transform1_esp[] = {
	{ 1, "DES-IV64" },   { 2, "DES" },	  { 3, "3DES" },	{ 7, "Blowfish" },
	{ 11, "NULL" },	     { 12, "AES-CBC" },	  { 13, "AES-CTR" },	{ 14, "AES-CCM-8" },
	{ 15, "AES-CCM-12" },{ 16, "AES-CCM-16" },{ 18, "AES-GCM-8" },	{ 19, "AES-GCM-12" },
	{ 20, "AES-GCM-16" },{ 22, "Camellia" },  { 23, "NULL-AES-GMAC" },
};

static const struct word transform1_ah[] = {
	{ 2, "MD5" }, { 3, "SHA1" }, { 4, "DES" }, { 5, "SHA2-256" }, { 6, "SHA2-384" },
	{ 7, "SHA2-512" }, { 9, "AES-XCBC" }, { 11, "AES-128-GMAC" }, { 12, "AES-192-GMAC" },
	{ 13, "AES-256-GMAC" },
};

static const struct word auth1_ipsec[] = {
	{ 1, "HMAC-MD5" }, { 2, "HMAC-SHA1" }, { 3, "DES-MAC" }, { 4, "KPDK" }, { 5, "HMAC-SHA2-256" },
	{ 6, "HMAC-SHA2-384" }, { 7, "HMAC-SHA2-512" }, { 9, "AES-XCBC-MAC" }, { 11, "AES-128-GMAC" },
	{ 12, "AES-192-GMAC" }, { 13, "AES-256-GMAC" },
};

/* of AH alone; the other integrity transforms have rows in crypto/ */
static const struct word integ_ah[] = {
	{ INTEG_AES_128_GMAC, "AUTH_AES_128_GMAC" }, { INTEG_AES_192_GMAC, "AUTH_AES_192_GMAC" },
	{ INTEG_AES_256_GMAC, "AUTH_AES_256_GMAC" },
};

static const struct word encap1[] = {
	{ 1, "tunnel" }, { 2, "transport" }, { 3, "UDP tunnel" }, { 4, "UDP transport" },
	{ 61443, "UDP tunnel (draft)" }, { 61444, "UDP transport (draft)" },
};

/* clang-format on */

#define TABLE(t)                                                                                   \
	{                                                                                          \
		t, ARRAY_LEN(t)                                                                    \
	}
static const struct {
	const struct word *w;
	size_t n;
} tables[IKE_NAMES_TABLES] = {
	[IKE_NAMES_EXCHANGE1] = TABLE(exchange1),
	[IKE_NAMES_EXCHANGE2] = TABLE(exchange2),
	[IKE_NAMES_NOTIFY1] = TABLE(notify1),
	[IKE_NAMES_NOTIFY2] = TABLE(notify2),
	[IKE_NAMES_PROTOCOL] = TABLE(protocol),
	[IKE_NAMES_ID_TYPE] = TABLE(id_type),
	[IKE_NAMES_CERT_ENCODING] = TABLE(cert_encoding),
	[IKE_NAMES_AUTH1] = TABLE(auth1),
	[IKE_NAMES_AUTH2] = TABLE(auth2),
	[IKE_NAMES_TRANSFORM_TYPE] = TABLE(transform_type),
	[IKE_NAMES_ESN] = TABLE(esn),
	[IKE_NAMES_CP_TYPE] = TABLE(cp_type),
	[IKE_NAMES_CP_ATTR1] = TABLE(cp_attr1),
	[IKE_NAMES_CP_ATTR2] = TABLE(cp_attr2),
	[IKE_NAMES_ATTR1_IKE] = TABLE(attr1_ike),
	[IKE_NAMES_ATTR1_IPSEC] = TABLE(attr1_ipsec),
	[IKE_NAMES_ENCR1] = TABLE(encr1),
	[IKE_NAMES_HASH1] = TABLE(hash1),
	[IKE_NAMES_TRANSFORM1_ESP] = TABLE(transform1_esp),
	[IKE_NAMES_TRANSFORM1_AH] = TABLE(transform1_ah),
	[IKE_NAMES_AUTH1_IPSEC] = TABLE(auth1_ipsec),
	[IKE_NAMES_ENCAP1] = TABLE(encap1),
	[IKE_NAMES_INTEG] = TABLE(integ_ah),
};

/* Names that another table owns. */
static const char *borrowed(enum ike_names table, unsigned n)
{
	const struct ike_rule *rule;
	const struct encr_info *e;
	const struct prf_info *p;
	const struct integ_info *i;
	const struct dh_info *d;

	switch (table) {
	case IKE_NAMES_PAYLOAD1:
	case IKE_NAMES_PAYLOAD2:
		rule = n <= UINT8_MAX ? ike_rule(table == IKE_NAMES_PAYLOAD1 ? 1 : 2, (uint8_t)n)
				      : NULL;
		return rule ? rule->name : NULL;
	case IKE_NAMES_ENCR:
		e = encr_info((enum encr_id)n);
		return e ? e->name : NULL;
	case IKE_NAMES_PRF:
		p = prf_info(n);
		return p ? p->name : NULL;
	case IKE_NAMES_INTEG:
		i = integ_info((enum integ_id)n);
		return i ? i->name : n == INTEG_NONE ? "none" : NULL;
	case IKE_NAMES_DH:
		d = dh_info(n);
		return d ? d->keyword : n == DH_NONE ? "none" : NULL;
	default:
		return NULL;
	}
}

const char *ike_name(enum ike_names table, unsigned n)
{
	for (size_t i = 0; i < tables[table].n; i++)
		if (tables[table].w[i].n == n)
			return tables[table].w[i].text;
	return borrowed(table, n);
}

const char *ike_name_or_number(enum ike_names table, unsigned n, char buf[IKE_NAME_LEN])
{
	const char *name = ike_name(table, n);

	if (name)
		return name;
	snprintf(buf, IKE_NAME_LEN, "%u", n);
	return buf;
}
