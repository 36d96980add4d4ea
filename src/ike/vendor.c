/* Vendor IDs: a received ID is compared with each row, longest match first by the order of the
 * rows. Most are MD5 hashes of a text that the row's name repeats. */
#include "ike/names.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hex.h"

#define HEX_BYTES 32 /* of a received ID looked at: more than any row has */

/* clang-format off */
static const struct ike_vendor vendors[] = {
	{ IKE_VENDOR_NATT_RFC3947,  "RFC 3947 NAT traversal",              "4a131c81070358455c5728f20e95452f", false },
	{ IKE_VENDOR_NATT_LATER,    "draft-ietf-ipsec-nat-t-ike-08",       "8f8d83826d246b6fc7a8a6a428c11de8", false },
	{ IKE_VENDOR_NATT_LATER,    "draft-ietf-ipsec-nat-t-ike-07",       "439b59f8ba676c4c7737ae22eab8f582", false },
	{ IKE_VENDOR_NATT_LATER,    "draft-ietf-ipsec-nat-t-ike-06",       "4d1e0e136deafa34c4f3ea9f02ec7285", false },
	{ IKE_VENDOR_NATT_LATER,    "draft-ietf-ipsec-nat-t-ike-05",       "80d0bb3def54565ee84645d4c85ce3ee", false },
	{ IKE_VENDOR_NATT_LATER,    "draft-ietf-ipsec-nat-t-ike-04",       "9909b64eed937c6573de52ace952fa6b", false },
	{ IKE_VENDOR_NATT_03,       "draft-ietf-ipsec-nat-t-ike-03",       "7d9419a65310ca6f2c179d9215529d56", false },
	{ IKE_VENDOR_NATT_02,       "draft-ietf-ipsec-nat-t-ike-02",       "cd60464335df21f87cfdb2fc68b6a448", false },
	{ IKE_VENDOR_NATT_02N,      "draft-ietf-ipsec-nat-t-ike-02\\n",    "90cb80913ebb696e086381b5ec427b1f", false },
	{ IKE_VENDOR_NATT_01,       "draft-ietf-ipsec-nat-t-ike-01",       "16f6ca16e4a4066d83821a0f0aeaa862", false },
	{ IKE_VENDOR_NATT_00,       "draft-ietf-ipsec-nat-t-ike-00",       "4485152d18b6bbcd0be8a8469579ddcc", false },
	{ IKE_VENDOR_OTHER,         "draft-ietf-ipsec-nat-t-ike",          "4df37928e9fc4fd1b3262170d515c662", false },
	{ IKE_VENDOR_OTHER,         "draft-huttunen-ipsec-esp-in-udp-00",  "6a7434c19d7e36348090a02334c9c805", false },
	{ IKE_VENDOR_DPD,           "RFC 3706 dead peer detection",        "afcad71368a1f1c96b8696fc77570100", false },
	{ IKE_VENDOR_OTHER,         "dead peer detection, other version",  "afcad71368a1f1c96b8696fc7757",     true },
	{ IKE_VENDOR_XAUTH,         "XAUTH",                               "09002689dfd6b712",                 false },
	{ IKE_VENDOR_UNITY,         "Cisco Unity",                         "12f5f28c457168a9702d9fe274cc",     true },
	{ IKE_VENDOR_FRAGMENTATION, "FRAGMENTATION",                       "4048b7d56ebce88525e7de7f00d6c2d3", true },
	{ IKE_VENDOR_MS_NT5,        "MS NT5 ISAKMPOAKLEY",                 "1e2b516905991c7d7c96fcbfb587e461", true },
	{ IKE_VENDOR_MS_INITIAL_CONTACT, "Vid-Initial-Contact",            "26244d38eddb61b3172a36e3d0cfb819", true },
	{ IKE_VENDOR_MS_NEGOTIATION_DISCOVERY, "MS-Negotiation Discovery Capable", "fb1de3cdf341b7ea16b7e5be0855f120", true },
	{ IKE_VENDOR_MS_GSSAPI,     "GSSAPI",                              "621b04bb09882ac1e15935fefa24aeee", true },
	{ IKE_VENDOR_OTHER,         "A GSS-API Authentication Method for IKE", "ad2c0dd0b9c32083ccba25b8861ec455", true },
	{ IKE_VENDOR_MS_AUTHIP,     "MS-MamieExists",                      "214ca4faffa7f32d6748e5303395ae83", true },
	{ IKE_VENDOR_MS_CGA,        "IKE CGA version 1",                   "e3a5966a76379fe707228231e5ce8652", true },
	{ IKE_VENDOR_STRONGSWAN,    "strongSwan",                          "882fe56d6fd20dbc2251613b2ebe5beb", false },
	{ IKE_VENDOR_OTHER,         "KAME/racoon",                         "7003cbc1097dbe9c2600ba6983bc8b35", false },
	{ IKE_VENDOR_OTHER,         "Cisco VPN Concentrator",              "1f07f70eaa6514d3b0fa96542a",       true },
	{ IKE_VENDOR_OTHER,         "Cisco VPN 3000 client",               "f6f7efc7f5aeb8cb158cb9d094ba69e7", false },
	{ IKE_VENDOR_OTHER,         "Cisco delete reason",                 "434953434f2d44454c4554452d524541534f4e", false },
	{ IKE_VENDOR_OTHER,         "Cisco dynamic route",                 "434953434f2d44594e414d49432d524f555445", false },
	{ IKE_VENDOR_OTHER,         "Cisco FlexVPN",                       "464c455856504e2d535550504f52544544", false },
	{ IKE_VENDOR_OTHER,         "Check Point",                         "f4ed19e0c114eb516faaac0ee37daf2807b4381f", true },
	{ IKE_VENDOR_OTHER,         "FortiGate",                           "1d6e178f6c2c0be284985465450fe9d4", true },
	{ IKE_VENDOR_OTHER,         "SafeNet SoftRemote",                  "47bbe7c993f1fc13b4e6d0db565c68e5", true },
	{ IKE_VENDOR_OTHER,         "HeartBeat_Notify",                    "4865617274426561745f4e6f74696679", true },
	{ IKE_VENDOR_OTHER,         "OpenPGP",                             "4f70656e504750",                   true },
	{ IKE_VENDOR_OTHER,         "Mac OS X",                            "4d6163204f53582031302e78",         true },
	{ IKE_VENDOR_OTHER,         "SonicWall",                           "5b362bc820f6",                     true },
	{ IKE_VENDOR_OTHER,         "ZyXEL ZyWALL",                        "625027749d5ab97f5616c1602765cf480a3b7d0b", false },
	{ IKE_VENDOR_OTHER,         "Netgear",                             "dbfb81eb5760b0788562067da102d755", false },
	{ IKE_VENDOR_OTHER,         "OpenIKED",                            "4f70656e494b4544",                 true },
	{ IKE_VENDOR_OTHER,         "Openswan",                            "4f5357",                           true },
	{ IKE_VENDOR_OTHER,         "FreeS/WAN, Openswan or Libreswan",    "4f45",                             true },
};
/* clang-format on */

const struct ike_vendor *ike_vendor_nth(unsigned n)
{
	return n < ARRAY_LEN(vendors) ? &vendors[n] : NULL;
}

const struct ike_vendor *ike_vendor_find(struct span vid)
{
	char hex[2 * HEX_BYTES + 1];

	hex_encode(span_of(vid.p, vid.len < HEX_BYTES ? vid.len : HEX_BYTES), hex);
	for (size_t i = 0; i < ARRAY_LEN(vendors); i++) {
		size_t n = strlen(vendors[i].hex);
		if (strncmp(hex, vendors[i].hex, n) == 0 && (vendors[i].prefix || vid.len * 2 == n))
			return &vendors[i];
	}
	return NULL;
}

const struct ike_vendor *ike_vendor_of(enum ike_vendor_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(vendors) && id != IKE_VENDOR_OTHER; i++)
		if (vendors[i].id == id)
			return &vendors[i];
	return NULL;
}
