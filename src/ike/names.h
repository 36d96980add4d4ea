/* The numbers of IKE in words, for logs and `status`, and the vendor IDs known by name. */
#ifndef IKE_NAMES_H
#define IKE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum ike_names {
	IKE_NAMES_EXCHANGE1, /* RFC 2408 3.1 */
	IKE_NAMES_EXCHANGE2, /* RFC 7296 3.1 */
	IKE_NAMES_PAYLOAD1,
	IKE_NAMES_PAYLOAD2,
	IKE_NAMES_NOTIFY1, /* RFC 2408 3.14.1, RFC 2407 4.6.3 */
	IKE_NAMES_NOTIFY2, /* RFC 7296 3.10.1 */
	IKE_NAMES_PROTOCOL,
	IKE_NAMES_ID_TYPE,
	IKE_NAMES_CERT_ENCODING, /* RFC 7296 3.6; the same numbers in IKEv1 */
	IKE_NAMES_AUTH1,         /* RFC 2409 appendix A, attribute 3 */
	IKE_NAMES_AUTH2,         /* RFC 7296 3.8 */
	IKE_NAMES_TRANSFORM_TYPE,
	IKE_NAMES_ENCR, /* IKEv2 transform type 1, by the tables of crypto/ */
	IKE_NAMES_PRF,
	IKE_NAMES_INTEG,
	IKE_NAMES_DH, /* both versions */
	IKE_NAMES_ESN,
	IKE_NAMES_CP_TYPE,        /* configuration payload, both versions */
	IKE_NAMES_CP_ATTR1,       /* draft-dukes-ike-mode-cfg-02, XAUTH, Cisco Unity */
	IKE_NAMES_CP_ATTR2,       /* RFC 7296 3.15.1 */
	IKE_NAMES_ATTR1_IKE,      /* phase 1 transform attributes: RFC 2409 appendix A */
	IKE_NAMES_ATTR1_IPSEC,    /* phase 2: RFC 2407 4.5 */
	IKE_NAMES_ENCR1,          /* values of phase 1 attribute 1 */
	IKE_NAMES_HASH1,          /* values of phase 1 attribute 2 */
	IKE_NAMES_TRANSFORM1_ESP, /* RFC 2407 4.4.4 */
	IKE_NAMES_TRANSFORM1_AH,
	IKE_NAMES_AUTH1_IPSEC, /* values of phase 2 attribute 5 */
	IKE_NAMES_ENCAP1,      /* values of phase 2 attribute 4 */
	IKE_NAMES_TABLES
};

#define IKE_NAME_LEN 16 /* for a number without a name, with the NUL */

/* The word for a number, or NULL when it has none here. */
const char *ike_name(enum ike_names table, unsigned n);
/* The same, or the number as digits in buf. */
const char *ike_name_or_number(enum ike_names table, unsigned n, char buf[IKE_NAME_LEN]);

/* Vendor IDs that change what is done, first; the rest only have a name. */
enum ike_vendor_id {
	IKE_VENDOR_OTHER = 0,
	IKE_VENDOR_NATT_RFC3947,
	IKE_VENDOR_NATT_03,
	IKE_VENDOR_NATT_02,
	IKE_VENDOR_NATT_02N, /* the hash of the same text with a newline: what most peers send */
	IKE_VENDOR_NATT_01,
	IKE_VENDOR_NATT_00,
	IKE_VENDOR_NATT_LATER, /* drafts 04 to 08 */
	IKE_VENDOR_DPD,
	IKE_VENDOR_XAUTH,
	IKE_VENDOR_UNITY,
	IKE_VENDOR_FRAGMENTATION,
	IKE_VENDOR_MS_NT5,
	IKE_VENDOR_MS_INITIAL_CONTACT,
	IKE_VENDOR_MS_NEGOTIATION_DISCOVERY,
	IKE_VENDOR_MS_GSSAPI,
	IKE_VENDOR_MS_AUTHIP,
	IKE_VENDOR_MS_CGA,
	IKE_VENDOR_STRONGSWAN,
};

struct ike_vendor {
	enum ike_vendor_id id;
	const char *name;
	const char *hex; /* lower case; the whole ID, or its start when `prefix` */
	bool prefix;     /* a version or capability bits may follow */
};

/* The row a received vendor ID matches, or NULL. */
const struct ike_vendor *ike_vendor_find(struct span vid);
/* The row of an id (not OTHER), e.g. to send it; NULL when there is none. */
const struct ike_vendor *ike_vendor_of(enum ike_vendor_id id);
/* Rows in table order; NULL past the end. */
const struct ike_vendor *ike_vendor_nth(unsigned n);

#endif
