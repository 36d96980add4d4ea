/* SA payloads of IKEv1: what we offer, written and read back; which of a peer's transforms is taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/rd.h"
#include "ike/v1/sa_number.h"
#include "ike/v1/sa_payload.h"
#include "test_ike_v1.h"

static struct ike_msg m, n, answer;
static struct ike_bad bad;
static struct proposals ours, theirs;
static char why[512];
static const uint8_t ci[8] = { 1 }, cr[8] = { 2 };
static const uint16_t by_psk[] = { V1_BY_PSK }, by_rsa[] = { V1_BY_RSA, V1_BY_PSK };
static uint8_t buf[IKE_MAX_LEN];

static struct proposals *parse(struct proposals *p, enum ike_protocol proto, const char *text)
{
	ck_assert_msg(proposals_parse(proto, text, true, p, why, sizeof(why)) == 0, "%s", why);
	return p;
}

/* m over the wire into n; its SA payload. */
static const struct ike_payload *over_the_wire(void)
{
	struct wr w = wr_of(buf, sizeof(buf));

	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_msg(ike_msg_parse(&n, wr_view(&w), &bad) == 0, "%s", bad.why);
	return ike_msg_find(&n, IKE1_SA, NULL);
}

static struct ike_payload *new_sa(void)
{
	ike_msg_init(&m, 0x10, ci, cr, IKE1_X_MAIN, 0, 0);
	struct ike_payload *sa = ike_msg_add(&m, IKE1_SA, false);
	sa->sa.doi = IKE1_DOI_IPSEC;
	sa->sa.situation = IKE1_SIT_IDENTITY_ONLY;
	return sa;
}

START_TEST(test_phase1_every_combination)
{
	struct v1_terms terms = { .methods = by_rsa, .n_methods = 2 };
	struct v1_life life = { .seconds = 86400 };
	struct v1_suite s;
	const char *what;

	/* GCM has no place in phase 1 */
	parse(&ours, IKE_PROTO_IKE,
	      "aes256gcm16-prfsha256-ecp256,aes256-3des-sha256-sha1-modp2048-curve25519-ecp384");
	ck_assert_int_eq(v1_ph1_offer(&ours, &terms, &life, &m, new_sa()), 2 * 2 * 3 * 2);
	const struct ike_payload *sa = over_the_wire();
	ck_assert_uint_eq(sa->sa.n, 1);
	const struct ike_prop *p = &n.prop[sa->sa.first];
	ck_assert_uint_eq(p->number, 1);
	ck_assert_uint_eq(p->proto, IKE_PROTO_IKE);
	for (unsigned i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &n.transform[p->first_transform + i];
		ck_assert_uint_eq(t->number, i + 1);
		ck_assert_uint_eq(t->id, 1);
		ck_assert_uint_eq(v1_suite_read(&n, p, t, &s, &what), 0);
		ck_assert_uint_eq(s.life.seconds, 86400);
		ck_assert_uint_eq(s.life.kbytes, 0);
		ck_assert_uint_eq(s.encr, i < 12 ? 12 : 3);
		ck_assert_uint_eq(s.key_bits, i < 12 ? 256 : 0);
		ck_assert_uint_eq(s.method, i % 2 ? V1_BY_PSK : V1_BY_RSA);
	}
	/* only one group, as Aggressive Mode needs it */
	terms.group = 20;
	ck_assert_int_eq(v1_ph1_offer(&ours, &terms, &life, &m, new_sa()), 8);
	ck_assert_uint_eq(v1_first_group(&ours), 19);
	parse(&ours, IKE_PROTO_IKE, "aes256-sha256-curve25519-modp2048");
	ck_assert_uint_eq(v1_first_group(&ours), 14);
	parse(&ours, IKE_PROTO_IKE, "aes256-sha256-curve25519");
	ck_assert_uint_eq(v1_first_group(&ours), 31);
}
END_TEST

/* RFC 2409 appendix A by hand: what a peer's transform looks like on the wire. */
START_TEST(test_phase1_bytes)
{
	struct v1_terms terms = { .methods = by_psk, .n_methods = 1 };
	struct v1_life life = { .seconds = 28800 };
	char hex[256];

	parse(&ours, IKE_PROTO_IKE, "aes128-sha1-modp1024");
	ck_assert_int_eq(v1_ph1_offer(&ours, &terms, &life, &m, new_sa()), 1);
	over_the_wire();
	hex_encode(n.payload[0].body, hex);
	ck_assert_str_eq(hex, "00000001" "00000001"
			      "0000002c" "01010001"
			      "00000024" "01010000"
			      "80010007" "800e0080" "80020002" "80040002" "80030001"
			      "800b0001" "800c7080");
}
END_TEST

START_TEST(test_phase1_our_order_decides)
{
	struct v1_terms terms = { .methods = by_psk, .n_methods = 1 };
	struct v1_life life = { .seconds = 3600 };
	struct v1_choice c;

	parse(&theirs, IKE_PROTO_IKE, "3des-aes128-aes256-sha1-sha256-modp1024-modp2048-ecp256");
	ck_assert_int_gt(v1_ph1_offer(&theirs, &terms, &life, &m, new_sa()), 1);
	const struct ike_payload *sa = over_the_wire();
	parse(&ours, IKE_PROTO_IKE, "aes256-sha256-ecp384,aes256-aes128-sha256-sha1-ecp256-modp2048");
	ck_assert_msg(v1_ph1_choose(&ours, &terms, &n, sa, &c, why, sizeof(why)) == 0, "%s", why);
	char text[128];
	ck_assert_str_eq(proposal_format(&c.own.chosen, text, sizeof(text)), "aes256-prfsha256-sha256-ecp256");
	ck_assert_uint_eq(c.own.suite.method, V1_BY_PSK);
	ck_assert_uint_eq(c.own.suite.life.seconds, 3600);
	/* the answer repeats it attribute by attribute (RFC 2409 5) */
	ike_msg_init(&answer, 0x10, ci, cr, IKE1_X_MAIN, 0, 0);
	struct ike_payload *out = ike_msg_add(&answer, IKE1_SA, false);
	out->sa.doi = out->sa.situation = 1;
	ck_assert(!v1_sa_is_answer(&n, sa));
	ck_assert_int_eq(v1_sa_echo(&n, &c, span_of(NULL, 0), span_of(NULL, 0), &answer, out), 0);
	ck_assert(v1_sa_is_answer(&answer, out));
	const struct ike_transform *t = &answer.transform[0], *from = &n.transform[c.own.transform];
	ck_assert_uint_eq(t->number, from->number);
	ck_assert_uint_eq(t->n_attrs, from->n_attrs);
	for (unsigned i = 0; i < t->n_attrs; i++) {
		ck_assert_uint_eq(answer.attr[t->first_attr + i].type, n.attr[from->first_attr + i].type);
		ck_assert_uint_eq(answer.attr[t->first_attr + i].value,
				  n.attr[from->first_attr + i].value);
	}
	/* with nothing in common, words that name both sides */
	parse(&ours, IKE_PROTO_IKE, "aes192-sha512-modp4096");
	ck_assert_int_eq(v1_ph1_choose(&ours, &terms, &n, sa, &c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "3des"));
	ck_assert_ptr_nonnull(strstr(why, "modp4096"));
	terms.methods = by_rsa;
	terms.n_methods = 1;
	ck_assert_int_eq(v1_ph1_choose(&theirs, &terms, &n, sa, &c, why, sizeof(why)), -ENOENT);
	ck_assert_str_eq(why, "peer wants authentication by pre-shared key; this connection uses RSA "
			      "signature");
}
END_TEST

/* The methods that are known and refused: DSS, encryption with public keys. */
START_TEST(test_phase1_methods_refused)
{
	static const uint16_t methods[] = { V1_BY_DSS, V1_BY_RSA_ENC, V1_BY_RSA_REV };
	struct v1_terms theirs_terms = { .methods = &methods[_i], .n_methods = 1 },
			our_terms = { .methods = by_rsa, .n_methods = 2 };
	struct v1_life life = { .seconds = 3600 };
	struct v1_choice c;

	parse(&ours, IKE_PROTO_IKE, "aes128-sha1-modp1024");
	ck_assert_int_eq(v1_ph1_offer(&ours, &theirs_terms, &life, &m, new_sa()), 1);
	const struct ike_payload *sa = over_the_wire();
	ck_assert_int_eq(v1_ph1_choose(&ours, &our_terms, &n, sa, &c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, _i == 0 ? "DSS" : "encryption"));
}
END_TEST

START_TEST(test_phase2_offer_and_answer)
{
	uint8_t spi[4] = { 1, 2, 3, 4 };
	struct v1_terms terms = { .spi = span_of(spi, 4), .encap = V1_ENCAP_UDP_TUNNEL, .group = 14, .ke_len = 256 };
	struct v1_life life = { .seconds = 3600, .kbytes = 4000000 };
	struct v1_choice c;
	char text[128];

	/* chacha has no number in IKEv1; the last proposal lacks the group */
	parse(&theirs, IKE_PROTO_ESP,
	      "chacha20poly1305-modp2048,aes256gcm16-modp2048,aes128-aes256-sha1-sha256-modp2048,"
	      "aes128-sha256-ecp256");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, new_sa()), 1 + 4);
	const struct ike_payload *sa = over_the_wire();
	ck_assert_uint_eq(sa->sa.n, 2);
	ck_assert_uint_eq(n.prop[sa->sa.first].number, 1);
	ck_assert_uint_eq(n.prop[sa->sa.first + 1].number, 2);
	parse(&ours, IKE_PROTO_ESP, "aes256-sha256-modp2048,aes256gcm16-modp2048");
	ck_assert_msg(v1_ph2_choose(&ours, &terms, true, &n, sa, &c, why, sizeof(why)) == 0, "%s", why);
	ck_assert_str_eq(proposal_format(&c.own.chosen, text, sizeof(text)), "aes256-sha256-modp2048-noesn");
	ck_assert_uint_eq(c.own.spi, 0x01020304);
	ck_assert_uint_eq(c.own.chosen.number, 2);
	ck_assert_uint_eq(c.own.suite.life.kbytes, 4000000);
	ck_assert_uint_eq(c.own.suite.life.seconds, 3600);
	/* no PFS asked for, PFS offered: not what the configuration says */
	parse(&ours, IKE_PROTO_ESP, "aes256-sha256");
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, sa, &c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "modp2048"));
	parse(&ours, IKE_PROTO_ESP, "aes256-sha256-modp2048-modpnone");
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, sa, &c, why, sizeof(why)), 0);
	/* another encapsulation */
	terms.encap = V1_ENCAP_TUNNEL;
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, sa, &c, why, sizeof(why)), -ENOENT);
	ck_assert_str_eq(why, "peer offered encapsulation UDP tunnel; this child has tunnel");
}
END_TEST

/* Extended sequence numbers are offered only where nothing else will do, and taken as offered. */
START_TEST(test_phase2_esn)
{
	struct v1_terms terms = { .spi = span_of("spi!", 4), .encap = V1_ENCAP_TRANSPORT };
	struct v1_life life = { .seconds = 3600 };
	struct v1_choice c;

	parse(&theirs, IKE_PROTO_ESP, _i ? "aes128-sha256-esn" : "aes128-sha256-esn-noesn");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, new_sa()), 1);
	const struct ike_payload *sa = over_the_wire();
	parse(&ours, IKE_PROTO_ESP, "aes128-sha256-esn-noesn");
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, false, &n, sa, &c, why, sizeof(why)), 0);
	ck_assert_int_eq(c.own.suite.esn, _i);
	ck_assert_int_eq(proposal_has(&c.own.chosen, IKE_T_ESN, 1), _i);
	parse(&ours, IKE_PROTO_ESP, "aes128-sha256-noesn");
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, false, &n, sa, &c, why, sizeof(why)),
			 _i ? -ENOENT : 0);
}
END_TEST

START_TEST(test_phase2_ah)
{
	struct v1_terms terms = { .spi = span_of("spi!", 4), .encap = V1_ENCAP_TUNNEL };
	struct v1_life life = { .seconds = 70000 };
	struct v1_choice c;

	parse(&ours, IKE_PROTO_AH, "sha256-sha1");
	ck_assert_int_eq(v1_ph2_offer(&ours, &terms, &life, &m, new_sa()), 2);
	const struct ike_payload *sa = over_the_wire();
	ck_assert_uint_eq(n.prop[sa->sa.first].proto, IKE_PROTO_AH);
	ck_assert_uint_eq(n.transform[0].id, 5);
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, false, &n, sa, &c, why, sizeof(why)), 0);
	ck_assert_uint_eq(c.own.suite.integ, 12);
	ck_assert_uint_eq(c.own.suite.life.seconds, 70000); /* four bytes long */
	parse(&theirs, IKE_PROTO_ESP, "aes128-sha1");
	ck_assert_int_eq(v1_ph2_choose(&theirs, &terms, false, &n, sa, &c, why, sizeof(why)), -ENOENT);
}
END_TEST

/* GMAC has numbers of its own, as the transform and as the attribute (RFC 4543, IANA); a key length beside them is taken when it is theirs. */
START_TEST(test_phase2_ah_gmac)
{
	struct v1_terms terms = { .spi = span_of("spi!", 4), .encap = V1_ENCAP_TUNNEL };
	struct v1_life life = { .seconds = 3600 };
	struct v1_choice c;
	struct v1_suite s;
	const char *sentence;

	parse(&ours, IKE_PROTO_AH, "aes128gmac-aes192gmac-aes256gmac");
	ck_assert_int_eq(v1_ph2_offer(&ours, &terms, &life, &m, new_sa()), 3);
	const struct ike_payload *sa = over_the_wire();
	struct ike_prop *p = &n.prop[sa->sa.first];
	for (unsigned i = 0; i < 3; i++) {
		struct ike_transform *t = &n.transform[i];
		ck_assert_uint_eq(t->id, 11 + i);
		ck_assert_int_eq(v1_suite_read(&n, p, t, &s, &sentence), 0);
		ck_assert_uint_eq(s.integ, 9 + i);
		bool auth = false;
		for (unsigned k = 0; k < t->n_attrs; k++) {
			struct ike_attr *a = &n.attr[t->first_attr + k];
			ck_assert_uint_ne(a->type, V1_B_KEY_LEN);
			auth |= a->type == V1_B_AUTH && a->value == 11 + i;
			if (a->type == V1_B_ENCAP) { /* some other attribute to write over */
				struct ike_attr was = *a;
				a->type = V1_B_KEY_LEN;
				a->value = (uint16_t)(128 + 64 * i);
				ck_assert_int_eq(v1_suite_read(&n, p, t, &s, &sentence), 0);
				ck_assert_uint_eq(s.key_bits, 0);
				a->value = (uint16_t)(192 + 64 * i);
				ck_assert_int_ne(v1_suite_read(&n, p, t, &s, &sentence), 0);
				*a = was;
			}
		}
		ck_assert(auth);
	}
	parse(&theirs, IKE_PROTO_AH, "aes256gmac");
	ck_assert_int_eq(v1_ph2_choose(&theirs, &terms, false, &n, sa, &c, why, sizeof(why)), 0);
	ck_assert_uint_eq(c.own.suite.integ, 11);
	parse(&theirs, IKE_PROTO_AH, "sha256");
	ck_assert_int_eq(v1_ph2_choose(&theirs, &terms, false, &n, sa, &c, why, sizeof(why)), -ENOENT);
}
END_TEST

/* RFC 2408 4.2: neighbours of one number belong together. A child without AH takes no part of them;
 * the proposal beside them it does. */
START_TEST(test_and_is_all_or_nothing)
{
	struct v1_terms terms = { .spi = span_of("spi!", 4), .encap = V1_ENCAP_TUNNEL };
	struct v1_life life = { .seconds = 3600 };
	struct ike_payload *sa = new_sa();
	struct v1_choice c;

	parse(&ours, IKE_PROTO_ESP, "aes128-sha1,3des-sha1");
	parse(&theirs, IKE_PROTO_AH, "sha1");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, sa), 1);
	parse(&theirs, IKE_PROTO_ESP, "aes128-sha1,3des-sha1");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, sa), 2);
	m.prop[1].number = 1; /* AH and AES, or 3DES */
	m.prop[2].number = _i ? 2 : 1;
	const struct ike_payload *got = over_the_wire();
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, false, &n, got, &c, why, sizeof(why)),
			 _i ? 0 : -ENOENT);
	if (_i)
		ck_assert_uint_eq(c.own.suite.encr, 3);
	else
		ck_assert_ptr_nonnull(strstr(why, "bundles"));
}
END_TEST

/* ESP AND AH, OR others: our order decides, whatever the order of the peer and of the two. */
START_TEST(test_bundles)
{
	static const uint8_t spis[2][4] = { { 0, 0, 2, 1 }, { 0, 0, 2, 2 } };
	struct proposals ah, their_ah;
	struct v1_terms terms = { .spi = span_of(spis[0], 4),
				  .ah = parse(&their_ah, IKE_PROTO_AH, "sha1-sha256,sha512"),
				  .ah_spi = span_of(spis[1], 4),
				  .encap = V1_ENCAP_TUNNEL,
				  .group = 14,
				  .ke_len = 256 };
	struct v1_life life = { .seconds = 3600 };
	struct v1_choice c;
	char text[128];

	parse(&theirs, IKE_PROTO_ESP, "aes128-sha1-modp2048,aes256-sha256-modp2048");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, new_sa()), 4);
	ck_assert_uint_eq(m.n_props, 8);
	ck_assert_uint_eq(m.prop[6].number, 4);
	ck_assert_uint_eq(m.prop[7].number, 4);
	if (_i) /* AH first */
		for (unsigned i = 0; i < m.n_props; i += 2) {
			struct ike_prop p = m.prop[i];
			m.prop[i] = m.prop[i + 1];
			m.prop[i + 1] = p;
		}
	const struct ike_payload *got = over_the_wire();
	parse(&ours, IKE_PROTO_ESP, "aes256-sha256-modp2048,aes128-sha1-modp2048");
	terms.ah = parse(&ah, IKE_PROTO_AH, "sha256");
	ck_assert_msg(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)) == 0, "%s", why);
	ck_assert(c.bundle);
	ck_assert_uint_eq(c.own.chosen.number, 3);
	ck_assert_uint_eq(c.own.spi, 0x201);
	ck_assert_uint_eq(c.ah.spi, 0x202);
	ck_assert_str_eq(proposal_format(&c.own.chosen, text, sizeof(text)), "aes256-sha256-modp2048-noesn");
	ck_assert_uint_eq(c.ah.suite.integ, 12);
	/* the answer has both, in the peer's order */
	ike_msg_init(&answer, 0x10, ci, cr, IKE1_X_QUICK, 0, 1);
	struct ike_payload *out = ike_msg_add(&answer, IKE1_SA, false);
	ck_assert_int_eq(v1_sa_echo(&n, &c, span_of("esp!", 4), span_of("ah!!", 4), &answer, out), 0);
	ck_assert(v1_sa_is_answer(&answer, out));
	ck_assert_uint_eq(answer.prop[0].proto, _i ? IKE_PROTO_AH : IKE_PROTO_ESP);
	ck_assert(span_eq(answer.prop[_i].spi, span_of("esp!", 4)));
	ck_assert(span_eq(answer.prop[!_i].spi, span_of("ah!!", 4)));
	ck_assert(!v1_sa_is_answer(&n, got));
	/* no such AH; none at all; another group; PFS without a public value */
	terms.ah = parse(&ah, IKE_PROTO_AH, "sha384");
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)), -ENOENT);
	terms.ah = NULL;
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "bundles"));
	terms.ah = parse(&ah, IKE_PROTO_AH, "sha256");
	terms.ke_len = 0;
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)), -EKEYREJECTED);
	/* ESP alone is not enough for a child of both */
	terms.ke_len = 256;
	terms.ah = NULL;
	ck_assert_int_gt(v1_ph2_offer(&theirs, &terms, &life, &m, new_sa()), 0);
	got = over_the_wire();
	terms.ah = &ah;
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "together with AH"));
}
END_TEST

/* A group in each transform (RFC 2409 5.5): of those that are wanted the one the public value is of. */
START_TEST(test_group_of_each_transform)
{
	struct v1_terms terms = { .spi = span_of("spi!", 4), .encap = V1_ENCAP_TUNNEL, .group = 14 };
	struct v1_life life = { .seconds = 3600 };
	struct ike_payload *sa = new_sa();
	struct v1_choice c;

	parse(&theirs, IKE_PROTO_ESP, "aes256-sha256-modp2048");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, sa), 1);
	terms.group = 19;
	parse(&theirs, IKE_PROTO_ESP, "aes128-sha256-ecp256");
	ck_assert_int_eq(v1_ph2_offer(&theirs, &terms, &life, &m, sa), 1);
	m.prop[1].number = 2;
	const struct ike_payload *got = over_the_wire();
	parse(&ours, IKE_PROTO_ESP, "aes256-sha256-modp2048,aes128-sha256-ecp256");
	terms.ke_len = _i ? 64 : 256;
	ck_assert_int_eq(v1_ph2_choose(&ours, &terms, true, &n, got, &c, why, sizeof(why)), 0);
	ck_assert_uint_eq(c.own.suite.group, _i ? 19 : 14);
}
END_TEST

/* One transform of bytes: what is wrong with it, and that the others are still looked at. */
static const struct {
	const char *attrs; /* of an ISAKMP transform, or "#ID attributes" of an ESP one */
	uint16_t notify;
} oddities[] = {
	{ "80010007 80020002 80030001 80040002", 0 },                            /* AES without length */
	{ "80010007 80020002 80030001 80040002 800b0001 000c000400015180", 0 },
	{ "80010007 80020002 80030001 80040002 000c000400015180", IKE1_BAD_PROPOSAL_SYNTAX },
	{ "80010007 80010007 80020002 80030001 80040002", IKE1_BAD_PROPOSAL_SYNTAX },
	{ "80010007 80020002 80030001", IKE1_BAD_PROPOSAL_SYNTAX },
	{ "80010003 80020002 80030001 80040002", IKE1_ATTRIBUTES_NOT_SUPPORTED }, /* Blowfish */
	{ "80010007 80020003 80030001 80040002", IKE1_ATTRIBUTES_NOT_SUPPORTED }, /* Tiger */
	{ "80010007 80020002 80030001 80040003", IKE1_ATTRIBUTES_NOT_SUPPORTED }, /* EC2N 155 */
	{ "80010007 800e0064 80020002 80030001 80040002", IKE1_ATTRIBUTES_NOT_SUPPORTED },
	{ "80010007 80020002 80030001 80040002 800d0001", IKE1_ATTRIBUTES_NOT_SUPPORTED }, /* PRF */
	{ "80010007 80020002 80030001 80040002 000b0009000000000000000001",
	  IKE1_ATTRIBUTES_NOT_SUPPORTED },
};

START_TEST(test_transforms_one_by_one)
{
	static const char good[] = "80010005 80020002 80030001 80040002";
	uint8_t body[256];
	struct v1_suite s;
	struct v1_choice c;
	const char *what = "";
	struct v1_terms terms = { .methods = by_psk, .n_methods = 1 };
	struct ike_payload *sa = new_sa();
	struct ike_prop *p = ike_msg_add_prop(&m, sa, 1, IKE_PROTO_IKE, span_of(NULL, 0));
	const char *text[] = { oddities[_i].attrs, good };

	for (unsigned i = 0; i < 2; i++) {
		struct ike_transform *t = ike_msg_add_transform(&m, p, 0, 1);
		t->number = (uint8_t)(i + 1);
		int len = hex_decode(text[i], body, sizeof(body));
		ck_assert_int_gt(len, 0);
		struct rd r = rd_of(body, (size_t)len);
		while (r.left) {
			uint16_t type = rd_be16(&r), value = rd_be16(&r);
			struct ike_attr *a = ike_msg_add_transform_attr(&m, t, type & 0x7fff);
			a->is_short = type & 0x8000;
			a->value = value;
			if (!a->is_short) {
				uint8_t *copy = malloc(value);
				memcpy(copy, rd_take(&r, value), value);
				a->data = span_of(copy, value);
			}
		}
	}
	const struct ike_payload *got = over_the_wire();
	ck_assert_uint_eq(v1_suite_read(&n, &n.prop[0], &n.transform[0], &s, &what),
			  oddities[_i].notify);
	ck_assert(!oddities[_i].notify || what[0]);
	if (!oddities[_i].notify)
		ck_assert_uint_eq(s.key_bits, 128);
	/* RFC 2408 5.6: what is not known is ignored, 3DES is taken */
	parse(&ours, IKE_PROTO_IKE, "3des-sha1-modp1024");
	ck_assert_int_eq(v1_ph1_choose(&ours, &terms, &n, got, &c, why, sizeof(why)), 0);
	ck_assert_uint_eq(c.own.transform, 1);
	for (unsigned i = 0; i < m.n_attrs; i++)
		free((void *)(uintptr_t)m.attr[i].data.p);
}
END_TEST

START_TEST(test_lifetimes_as_a_notify)
{
	struct v1_life life = { .seconds = 3600, .kbytes = 100000 }, got;
	uint8_t out[24];
	char hex[64];

	ck_assert_uint_eq(v1_life_write(&life, false, out), 24);
	hex_encode(span_of(out, 24), hex);
	ck_assert_str_eq(hex, "800100010002000400000e108001000200020004000186a0");
	ck_assert(v1_life_read(span_of(out, 24), false, &got));
	ck_assert_uint_eq(got.seconds, 3600);
	ck_assert_uint_eq(got.kbytes, 100000);
	life.kbytes = 0;
	ck_assert_uint_eq(v1_life_write(&life, true, out), 12);
	ck_assert(v1_life_read(span_of(out, 12), true, &got));
	ck_assert_uint_eq(got.seconds, 3600);
	ck_assert(!v1_life_read(span_of(out, 11), true, &got));
}
END_TEST

TCase *v1_sa_case(void)
{
	TCase *t = tcase_create("SA");

	tcase_add_test(t, test_phase1_every_combination);
	tcase_add_test(t, test_phase1_bytes);
	tcase_add_test(t, test_phase1_our_order_decides);
	tcase_add_loop_test(t, test_phase1_methods_refused, 0, 3);
	tcase_add_test(t, test_phase2_offer_and_answer);
	tcase_add_loop_test(t, test_phase2_esn, 0, 2);
	tcase_add_test(t, test_phase2_ah);
	tcase_add_test(t, test_phase2_ah_gmac);
	tcase_add_loop_test(t, test_and_is_all_or_nothing, 0, 2);
	tcase_add_loop_test(t, test_bundles, 0, 2);
	tcase_add_loop_test(t, test_group_of_each_transform, 0, 2);
	tcase_add_loop_test(t, test_transforms_one_by_one, 0, ARRAY_LEN(oddities));
	tcase_add_test(t, test_lifetimes_as_a_notify);
	return t;
}
