/* Proposals: keywords, what is refused and in which words, the choice between two lists, SA payloads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/transform.h"
#include "ike/proposal.h"
#include "ike_sample.h"
#include "test_ike.h"

static char why[512];
static struct proposals ours, peers;
static struct proposal chosen;

static const char *parsed(enum ike_protocol proto, const char *text, bool weak)
{
	static char out[1024];
	size_t len = 0;

	if (proposals_parse(proto, text, weak, &ours, why, sizeof(why)))
		return why;
	for (unsigned i = 0; i < ours.n; i++) {
		ck_assert_uint_eq(ours.p[i].number, i + 1);
		if (i)
			out[len++] = ',';
		proposal_format(&ours.p[i], out + len, sizeof(out) - len);
		len += strlen(out + len);
	}
	return out;
}

/* clang-format off */
static const struct {
	enum ike_protocol proto;
	bool weak;
	const char *text, *result;
} words[] = {
	{ IKE_PROTO_IKE, false, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-ecp384" },
	{ IKE_PROTO_IKE, false, "aes128-sha256-modp2048", "aes128-sha256-modp2048-prfsha256" },
	{ IKE_PROTO_IKE, false, "AES128-SHA256-x25519, chacha20poly1305-prfsha256-curve448",
	  "aes128-sha256-curve25519-prfsha256,chacha20poly1305-prfsha256-curve448" },
	{ IKE_PROTO_IKE, false, "aes128gcm16-sha256-ecp256", "aes128gcm16-ecp256-prfsha256" },
	{ IKE_PROTO_IKE, false, "aes256-aes128-sha512-sha256-prfsha1-ecp256-ecp521",
	  "aes256-aes128-sha512-sha256-prfsha1-ecp256-ecp521" },
	{ IKE_PROTO_IKE, true, "3des-md5-modp1024", "3des-md5-modp1024-prfmd5" },
	{ IKE_PROTO_IKE, false, "aes128ctr-aesxcbc-ecp256", "aes128ctr-aesxcbc-ecp256-prfaesxcbc" },
	{ IKE_PROTO_IKE, false, "aes192ccm8-prfaescmac-ecp512bp", "aes192ccm8-prfaescmac-ecp512bp" },
	{ IKE_PROTO_ESP, false, "aes256gcm16", "aes256gcm16-noesn" },
	{ IKE_PROTO_ESP, false, "aes128-sha256-ecp256-esn", "aes128-sha256-ecp256-esn" },
	{ IKE_PROTO_ESP, false, "aes128gmac-noesn-esn , null-sha256", "aes128gmac-noesn-esn,null-sha256-noesn" },
	{ IKE_PROTO_ESP, false, "aes128gcm16-ecp256-modpnone", "aes128gcm16-ecp256-modpnone-noesn" },
	{ IKE_PROTO_AH, false, "sha256-sha512", "sha256-sha512-noesn" },
	{ IKE_PROTO_AH, false, "aes128gmac-aes256gmac-sha256-ecp256-esn, aes192gmac",
	  "aes128gmac-aes256gmac-sha256-ecp256-esn,aes192gmac-noesn" },
	{ IKE_PROTO_AH, false, NULL, "sha256-sha384-sha512-esn-noesn" },
	{ IKE_PROTO_ESP, false, "", "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn,"
	  "aes256-aes128-sha256-sha384-sha512-esn-noesn" },
	{ IKE_PROTO_ESP, false, "null-sha512,default", "null-sha512-noesn,"
	  "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn,aes256-aes128-sha256-sha384-sha512-esn-noesn" },

	{ IKE_PROTO_IKE, false, "aes128-sha256-modp1024",
	  "modp1024 in proposal \"aes128-sha256-modp1024\" is weak; expected a stronger one, or allow_weak = yes" },
	{ IKE_PROTO_IKE, false, "aes128-sha256-ecp256,3des-sha256-ecp256",
	  "3des in proposal \"3des-sha256-ecp256\" is weak; expected a stronger one, or allow_weak = yes" },
	{ IKE_PROTO_IKE, false, "aes128-rot13-ecp256",
	  "unknown word \"rot13\" in proposal \"aes128-rot13-ecp256\"; expected words such as aes256gcm16, prfsha384, "
	  "sha256, ecp384, curve25519" },
	{ IKE_PROTO_IKE, false, "aes128--ecp256",
	  "unknown word \"\" in proposal \"aes128--ecp256\"; expected words such as aes256gcm16, prfsha384, sha256, "
	  "ecp384, curve25519" },
	{ IKE_PROTO_IKE, false, "aes128gcm16-ecp256",
	  "proposal \"aes128gcm16-ecp256\": no PRF; expected one such as prfsha256" },
	{ IKE_PROTO_IKE, false, "aes128-ecp256",
	  "proposal \"aes128-ecp256\": no integrity algorithm; expected one such as sha256" },
	{ IKE_PROTO_IKE, false, "aes128-sha256",
	  "proposal \"aes128-sha256\": no key exchange method; expected one such as curve25519 or ecp384" },
	{ IKE_PROTO_IKE, false, "sha256-ecp256", "proposal \"sha256-ecp256\": no cipher" },
	{ IKE_PROTO_IKE, false, "null-sha256-ecp256",
	  "proposal \"null-sha256-ecp256\": IKE messages are always encrypted; expected a cipher that does it" },
	{ IKE_PROTO_IKE, false, "aes128-sha256-ecp256-esn",
	  "proposal \"aes128-sha256-ecp256-esn\": esn and noesn belong to ESP and AH" },
	{ IKE_PROTO_IKE, false, "aes128gcm16-aes128-sha256-ecp256",
	  "proposal \"aes128gcm16-aes128-sha256-ecp256\": ciphers such as aes256gcm16 and ones such as aes256 in one "
	  "proposal; expected two proposals, separated by a comma" },
	{ IKE_PROTO_IKE, false, "aes128gcm16-sha256-prfsha256-ecp256",
	  "proposal \"aes128gcm16-sha256-prfsha256-ecp256\": a cipher such as aes256gcm16 protects integrity itself; "
	  "expected no integrity algorithm beside it" },
	{ IKE_PROTO_ESP, false, "aes128gcm16-sha256",
	  "proposal \"aes128gcm16-sha256\": a cipher such as aes256gcm16 protects integrity itself; expected no "
	  "integrity algorithm beside it" },
	{ IKE_PROTO_ESP, false, "aes128", "proposal \"aes128\": no integrity algorithm; expected one such as sha256" },
	{ IKE_PROTO_ESP, false, "sha256", "proposal \"sha256\": no cipher" },
	{ IKE_PROTO_ESP, false, "aes128gcm16-prfsha256",
	  "proposal \"aes128gcm16-prfsha256\": a PRF belongs to IKE proposals" },
	{ IKE_PROTO_AH, false, "aes128-sha256", "proposal \"aes128-sha256\": AH does not encrypt; expected no cipher" },
	{ IKE_PROTO_AH, false, "aes128gmac-aes128gcm16",
	  "proposal \"aes128gmac-aes128gcm16\": AH does not encrypt; expected no cipher" },
	{ IKE_PROTO_IKE, false, "aes128gmac-prfsha256-ecp256",
	  "proposal \"aes128gmac-prfsha256-ecp256\": IKE messages are always encrypted; expected a cipher that does it" },
	{ IKE_PROTO_AH, false, "esn", "proposal \"esn\": no integrity algorithm; expected one such as sha256" },
	{ IKE_PROTO_ESP, false, "null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,"
	  "null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,null-sha256,"
	  "null-sha256", "more than 16 proposals" },
};
/* clang-format on */

/* GMAC is an integrity transform of AH, with a number for each length (RFC 4543 9), and a cipher of ESP with an attribute: neither is
 * taken for the other. */
START_TEST(test_gmac)
{
	static const char *const word[] = { "aes128gmac", "aes192gmac", "aes256gmac" };
	struct proposals ah, esp;

	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(proposals_parse(IKE_PROTO_AH, word[i], false, &ah, why, sizeof(why)), 0);
		ck_assert_ptr_null(proposal_alg(&ah.p[0], IKE_T_ENCR));
		const struct proposal_alg *a = proposal_alg(&ah.p[0], IKE_T_INTEG);
		ck_assert_uint_eq(a->id, 9 + i);
		ck_assert_uint_eq(a->key_bits, 0);
		ck_assert_int_eq(proposals_parse(IKE_PROTO_ESP, word[i], false, &esp, why, sizeof(why)), 0);
		a = proposal_alg(&esp.p[0], IKE_T_ENCR);
		ck_assert_uint_eq(a->id, 21);
		ck_assert_uint_eq(a->key_bits, 128 + 64 * i);
		ah.p[0].proto = IKE_PROTO_ESP;
		ck_assert_int_eq(proposal_select(&esp, &ah, 0, &chosen, why, sizeof(why)), -ENOENT);
	}
}
END_TEST

START_TEST(test_keywords)
{
	ck_assert_str_eq(parsed(words[_i].proto, words[_i].text, words[_i].weak), words[_i].result);
	/* what it is written as reads the same */
	if (strchr(words[_i].result, ' '))
		return;
	ck_assert_str_eq(parsed(words[_i].proto, words[_i].result, words[_i].weak), words[_i].result);
}
END_TEST

static void check_prf(const struct prf_info *p, void *arg)
{
	struct proposal_alg a = { IKE_T_PRF, (uint16_t)p->id, 0 };
	char word[32];
	ck_assert_str_eq(proposal_alg_name(&a, word), p->keyword);
	ck_assert(proposal_alg_weak(&a) == p->weak);
}

static void check_dh(const struct dh_info *d, void *arg)
{
	struct proposal_alg a = { IKE_T_KE, (uint16_t)d->id, 0 };
	char word[32], text[80];
	ck_assert_str_eq(proposal_alg_name(&a, word), d->keyword);
	snprintf(text, sizeof(text), "aes128gcm16-prfsha256-%s", word);
	ck_assert_str_eq(parsed(IKE_PROTO_IKE, text, true), text);
	ck_assert(proposal_alg_weak(&ours.p[0].alg[2]) == d->weak);
}

START_TEST(test_every_algorithm_has_a_word)
{
	prf_each(check_prf, NULL);
	dh_each(check_dh, NULL);
	struct proposal_alg strange[] = { { IKE_T_KE, 22, 0 }, { IKE_T_ENCR, 23, 256 }, { IKE_T_PRF, 99, 0 },
					  { IKE_T_INTEG, 0, 0 }, { IKE_T_ENCR, 12, 0 }, { 9, 1, 0 },
					  { IKE_T_ENCR, 12, PROPOSAL_STRANGE } };
	static const char *const names[] = { "group 22", "cipher 23 with 256 bits", "PRF 99", "no integrity",
					     "cipher 12", "transform 1 of type 9", "type 1 number 12, strange" };
	char word[32];
	for (unsigned i = 0; i < ARRAY_LEN(strange); i++)
		ck_assert_str_eq(proposal_alg_name(&strange[i], word), names[i]);
}
END_TEST

static const char *selected(enum ike_protocol proto, const char *our, const char *peer, unsigned flags)
{
	static char out[256];

	ck_assert_int_eq(proposals_parse(proto, our, true, &ours, why, sizeof(why)), 0);
	ck_assert_int_eq(proposals_parse(proto, peer, true, &peers, why, sizeof(why)), 0);
	int rc = proposal_select(&ours, &peers, flags, &chosen, why, sizeof(why));
	if (rc) {
		ck_assert_int_eq(rc, -ENOENT);
		return why;
	}
	ck_assert(proposal_is_choice(&chosen));
	return proposal_format(&chosen, out, sizeof(out));
}

START_TEST(test_selection)
{
	ck_assert_str_eq(selected(IKE_PROTO_IKE, "default", "default", 0),
			 "aes256gcm16-prfsha384-curve25519");
	ck_assert_str_eq(selected(IKE_PROTO_IKE, "aes128-aes256-sha256-sha512-ecp384-ecp256",
				  "aes256-aes128-sha512-sha256-ecp256-ecp384", 0),
			 "aes128-prfsha256-sha256-ecp384");
	ck_assert_str_eq(selected(IKE_PROTO_IKE, "aes128-aes256-sha256-sha512-ecp384-ecp256",
				  "aes256-aes128-sha512-sha256-ecp256-ecp384", PROPOSAL_PREFER_PEER),
			 "aes256-prfsha512-sha512-ecp256");
	/* whose second proposal it is decides the number */
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16,aes256gcm16", "aes256gcm16,aes128gcm16", 0),
			 "aes128gcm16-noesn");
	ck_assert_uint_eq(chosen.number, 2);
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16,aes256gcm16", "aes256gcm16,aes128gcm16",
				  PROPOSAL_PREFER_PEER),
			 "aes256gcm16-noesn");
	ck_assert_uint_eq(chosen.number, 1);
	/* the child of IKE_AUTH has no key exchange, whatever is written */
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16-ecp256", "aes128gcm16-modp2048", PROPOSAL_NO_KE),
			 "aes128gcm16-noesn");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16-ecp256-modpnone", "aes128gcm16", 0),
			 "aes128gcm16-noesn");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16", "aes128gcm16-ecp256-modpnone", 0),
			 "aes128gcm16-noesn");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16-modpnone", "aes128gcm16-modpnone", 0),
			 "aes128gcm16-noesn");
}
END_TEST

START_TEST(test_no_selection)
{
	ck_assert_str_eq(selected(IKE_PROTO_IKE, "aes256gcm16-prfsha384-ecp384-curve25519",
				  "aes256gcm16-prfsha384-modp1024", 0),
			 "key exchange: peer offered only modp1024; this connection accepts ecp384, curve25519");
	ck_assert_str_eq(selected(IKE_PROTO_IKE, "aes256-sha384-ecp384", "3des-md5-modp1024,3des-sha1-ecp384", 0),
			 "encryption: peer offered only 3des; this connection accepts aes256; "
			 "PRF: peer offered only prfmd5, prfsha1; this connection accepts prfsha384; "
			 "integrity: peer offered only md5, sha1; this connection accepts sha384");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16-ecp256", "aes128gcm16", 0),
			 "key exchange: peer offered only none; this connection accepts ecp256");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128gcm16-esn", "aes128gcm16", 0),
			 "sequence numbers: peer offered only noesn; this connection accepts esn");
	ck_assert_str_eq(selected(IKE_PROTO_ESP, "aes128-sha256,aes256-sha512", "aes128-sha512", 0),
			 "no combination fits: peer offered aes128-sha512-noesn; this connection accepts "
			 "aes128-sha256-noesn, aes256-sha512-noesn");
	peers.n = 0;
	ck_assert_int_eq(proposal_select(&ours, &peers, 0, &chosen, why, sizeof(why)), -ENOENT);
	ck_assert_str_eq(why, "peer offered no proposal for ESP");
	/* a short buffer is filled and ended */
	char small[10];
	ck_assert_int_eq(proposal_select(&ours, &peers, 0, &chosen, small, sizeof(small)), -ENOENT);
	ck_assert_str_eq(small, "peer offe");
}
END_TEST

static struct ike_msg m, n;

/* Writes `ours` as an SA payload and reads it back into `peers`. */
static void through_sa(enum ike_protocol proto, struct span spi)
{
	uint8_t buf[SAMPLE_MAX];
	struct wr w = wr_of(buf, sizeof(buf));
	struct ike_bad bad;

	sample_init(&m, 2);
	ck_assert_int_eq(proposals_to_sa(&ours, &m, ike_msg_add(&m, IKE2_SA, false), spi), 0);
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&w), &bad), 0);
	proposals_from_sa(&n, &n.payload[0], proto, &peers);
}

START_TEST(test_sa_payload)
{
	static const enum ike_protocol protos[] = { IKE_PROTO_IKE, IKE_PROTO_ESP, IKE_PROTO_AH };
	char a[1024], b[1024];

	for (unsigned i = 0; i < ARRAY_LEN(protos); i++) {
		proposals_default(protos[i], &ours);
		ck_assert_uint_gt(ours.n, 0);
		through_sa(protos[i], span_of("\1\2\3\4", i ? 4 : 0));
		ck_assert_uint_eq(peers.n, ours.n);
		for (unsigned k = 0; k < ours.n; k++) {
			ck_assert_str_eq(proposal_format(&ours.p[k], a, sizeof(a)),
					 proposal_format(&peers.p[k], b, sizeof(b)));
			ck_assert_uint_eq(peers.p[k].number, k + 1);
		}
		ck_assert_uint_eq(proposals_from_sa(&n, &n.payload[0], IKE_PROTO_NONE, &peers), 0);
	}
}
END_TEST

/* What a peer offers that nobody here knows never makes a type seem absent, nor is it chosen. */
START_TEST(test_unknown_offers)
{
	ck_assert_int_eq(proposals_parse(IKE_PROTO_ESP, "aes128gcm16", false, &ours, why, sizeof(why)), 0);
	struct proposals plain = ours;
	/* an unknown integrity algorithm is demanded */
	ours.p[0].alg[ours.p[0].n++] = (struct proposal_alg){ IKE_T_INTEG, 1234, 0 };
	through_sa(IKE_PROTO_ESP, span_of("\1\2\3\4", 4));
	ck_assert_int_eq(proposal_select(&plain, &peers, 0, &chosen, why, sizeof(why)), -ENOENT);
	ck_assert_str_eq(why, "integrity: peer offered only integrity 1234; this connection accepts none");
	/* an unknown type is demanded */
	ours = plain;
	ours.p[0].alg[ours.p[0].n++] = (struct proposal_alg){ 6, 36, 0 };
	through_sa(IKE_PROTO_ESP, span_of("\1\2\3\4", 4));
	ck_assert_int_eq(proposal_select(&plain, &peers, 0, &chosen, why, sizeof(why)), -ENOENT);
	/* many unknown ones before the known */
	ours = plain;
	for (uint16_t i = 0; i < 60; i++)
		ours.p[0].alg[ours.p[0].n++] = (struct proposal_alg){ IKE_T_ENCR, 20, (uint16_t)(1000 + i) };
	ours.p[0].alg[ours.p[0].n++] = (struct proposal_alg){ IKE_T_ENCR, 20, 256 };
	ours.p[0].alg[0].key_bits = 77;
	through_sa(IKE_PROTO_ESP, span_of("\1\2\3\4", 4));
	ck_assert_int_eq(proposals_parse(IKE_PROTO_ESP, "aes256gcm16", false, &plain, why, sizeof(why)), 0);
	ck_assert_int_eq(proposal_select(&plain, &peers, 0, &chosen, why, sizeof(why)), 0);
	/* a key length as a long attribute */
	struct ike_transform *t = &m.transform[0];
	m.attr[t->first_attr].is_short = false;
	m.attr[t->first_attr].data = span_of("\1\0", 2);
	proposals_from_sa(&m, &m.payload[0], IKE_PROTO_ESP, &peers);
	ck_assert_uint_eq(peers.p[0].alg[0].key_bits, PROPOSAL_STRANGE);
}
END_TEST

TCase *ike_proposal_case(void)
{
	TCase *t = tcase_create("proposals");

	tcase_add_loop_test(t, test_keywords, 0, ARRAY_LEN(words));
	tcase_add_test(t, test_gmac);
	tcase_add_test(t, test_every_algorithm_has_a_word);
	tcase_add_test(t, test_selection);
	tcase_add_test(t, test_no_selection);
	tcase_add_test(t, test_sa_payload);
	tcase_add_test(t, test_unknown_offers);
	return t;
}
