/* IKE messages: written and read back, every payload cut short everywhere, each rule broken once. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "ike/msg_rule.h"
#include "ike_sample.h"
#include "test_ike.h"

static struct ike_msg m, n;
static struct ike_bad bad;
static uint8_t buf[SAMPLE_MAX];
static char dump[65536];

START_TEST(test_every_payload_comes_back)
{
	size_t len = sample_write(&m, (unsigned)_i, buf);
	const struct ike_rule *r;

	ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
	ck_assert_uint_eq(n.n_payloads, m.n_payloads);
	ck_assert_uint_eq(n.seen, m.seen);
	ck_assert_uint_eq(n.hdr.length, len);
	for (unsigned i = 0; (r = ike_rule_nth((unsigned)_i, i)); i++) {
		const struct ike_payload *p = ike_msg_find(&n, r->type, NULL);
		ck_assert_msg(!!p == (!r->last || r->type == IKE2_SK), "%s", r->name);
	}
	ck_assert_int_eq(sample_round_trip(buf, len, &bad, dump, sizeof(dump)), 1);
	for (unsigned i = 0; (r = ike_rule_nth((unsigned)_i, i)); i++)
		if (!r->last)
			ck_assert_msg(strstr(dump, r->name) != NULL, "%s", r->name);
}
END_TEST

START_TEST(test_fields_of_v2)
{
	size_t len = sample_write(&m, 2, buf);

	ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
	const struct ike_payload *p = ike_msg_find(&n, IKE2_SA, NULL);
	ck_assert_uint_eq(p->sa.n, 2);
	const struct ike_prop *q = &n.prop[p->sa.first + 1];
	ck_assert_uint_eq(q->number, 2);
	ck_assert_uint_eq(q->spi.len, 8);
	ck_assert_uint_eq(q->n_transforms, 4);
	const struct ike_transform *t = &n.transform[q->first_transform];
	ck_assert_uint_eq(t->id, 20);
	ck_assert_uint_eq(ike_transform_attr(&n, t, IKE2_ATTR_KEY_LENGTH, 0), 256);
	ck_assert_uint_eq(ike_transform_attr(&n, t + 1, IKE2_ATTR_KEY_LENGTH, 9), 9);
	p = ike_msg_notify(&n, IKE2_REKEY_SA);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->notify.spi.len, 4);
	ck_assert_uint_eq(p->notify.data.len, 20);
	ck_assert_ptr_null(ike_msg_notify(&n, IKE2_COOKIE));
	p = ike_msg_find(&n, IKE2_TSR, NULL);
	ck_assert_uint_eq(p->ts.n, 3);
	ck_assert_uint_eq(n.ts[p->ts.first].port_hi, 443);
	ck_assert_uint_eq(n.ts[p->ts.first].range.lo.b[0], 10);
	p = ike_msg_find(&n, IKE2_SK, NULL);
	ck_assert_uint_eq(p->sk.next, IKE2_N);
	ck_assert_ptr_null(ike_msg_find(&n, 200, NULL)); /* only what has a rule is found */
}
END_TEST

/* By hand: an IKE_SA_INIT request after RFC 7296 1.2 and 3.x, with nothing of ours in its making. */
static const char by_hand[] =
    "a1a2a3a4a5a6a7a8 0000000000000000 21 20 22 08 00000000 00000074"
    "28000028 00000024 01 01 00 03 0300000c 01 00 0014 800e0100 03000008 02 00 0005 00000008 04 00 001f"
    "29000014 000102030405060708090a0b0c0d0e0f"
    "2b00000c 00 00 4006 deadbeef"
    "00000010 882fe56d6fd20dbc2251613b";

START_TEST(test_message_by_hand)
{
	int len = hex_decode(by_hand, buf, sizeof(buf));

	ck_assert_int_eq(len, 0x74);
	ck_assert_int_eq(sample_round_trip(buf, (size_t)len, &bad, dump, sizeof(dump)), 1);
	ck_assert_str_eq(dump,
			 "IKEv2 IKE_SA_INIT request of the initiator, message 0, 116 bytes, "
			 "SPIs a1a2a3a4a5a6a7a8 0000000000000000\n"
			 "  SA\n"
			 "    proposal 1: IKE\n"
			 "      encryption ENCR_AES_GCM_16 256 bits\n"
			 "      PRF PRF_HMAC_SHA2_256\n"
			 "      key exchange curve25519\n"
			 "  Nonce 000102030405060708090a0b0c0d0e0f\n"
			 "  N COOKIE: deadbeef\n"
			 "  V 882fe56d6fd20dbc2251613b\n");
}
END_TEST

/* A datagram cut anywhere, with its length field as it was and corrected. */
START_TEST(test_truncated_everywhere)
{
	static uint8_t cut[SAMPLE_MAX];
	size_t len = sample_write(&m, (unsigned)_i, buf);
	unsigned good = 0;

	for (size_t l = 0; l < len; l++) {
		ck_assert_int_eq(sample_round_trip(buf, l, &bad, dump, sizeof(dump)), 0);
		memcpy(cut, buf, l);
		if (l >= IKE_HDR_LEN)
			store_be32(cut + 24, (uint32_t)l);
		int rc = sample_round_trip(cut, l, &bad, dump, sizeof(dump));
		good += rc != 0;
	}
	ck_assert_uint_eq(good, 0); /* the chain ends in a payload type that then is missing */
}
END_TEST

/* Every payload alone, its own length cut to every size: refused, or read as something shorter. */
START_TEST(test_payload_truncated)
{
	static uint8_t cut[SAMPLE_MAX];
	const struct ike_rule *r;

	for (unsigned i = 0; (r = ike_rule_nth((unsigned)_i, i)); i++) {
		struct wr w = wr_of(buf, sizeof(buf));
		sample_init(&m, (unsigned)_i);
		sample_add(&m, r->type, false);
		ck_assert_int_eq(ike_msg_write(&m, &w), 0);
		ck_assert_int_eq(sample_round_trip(buf, w.len, &bad, dump, sizeof(dump)), 1);
		for (size_t l = IKE_HDR_LEN + 4; l < w.len; l++) {
			memcpy(cut, buf, l);
			store_be32(cut + 24, (uint32_t)l);
			store_be16(cut + IKE_HDR_LEN + 2, (uint16_t)(l - IKE_HDR_LEN));
			int rc = sample_round_trip(cut, l, &bad, dump, sizeof(dump));
			if (l - IKE_HDR_LEN - 4 < r->min) {
				ck_assert_msg(rc == 0, "%s of %zu", r->name, l);
				ck_assert_uint_eq(bad.payload, r->type);
				ck_assert_ptr_nonnull(strstr(bad.why, r->name));
			}
		}
	}
}
END_TEST

/* Every byte of a message set to other values: never a crash, and what is read is written as read. */
START_TEST(test_every_byte_changed)
{
	size_t len = sample_write(&m, (unsigned)_i, buf);
	static const uint8_t with[] = { 0x01, 0x80, 0xff };

	for (size_t at = 0; at < len; at++)
		for (unsigned i = 0; i < ARRAY_LEN(with); i++) {
			buf[at] ^= with[i];
			sample_round_trip(buf, len, &bad, dump, sizeof(dump));
			buf[at] ^= with[i];
		}
}
END_TEST

/* One fault in an otherwise good message: where, what, and the notify that tells of it. */
struct fault {
	unsigned major;
	uint8_t payload; /* 0: the header */
	int at;          /* from the payload's generic header, or the start of the message */
	uint8_t value;
	uint16_t notify;
	const char *why;
};

/* clang-format off */
static const struct fault faults[] = {
	{ 2, 0, 17, 0x30, IKE2_INVALID_MAJOR_VERSION, "header: IKE version 3.0, expected 1.0 or 2.0" },
	{ 2, 0, 27, 0, IKE2_INVALID_SYNTAX, "header: says " },
	{ 1, 0, 17, 0x11, IKE1_INVALID_MINOR_VERSION, "header: ISAKMP version 1.1, expected 1.0" },
	{ 1, 0, 19, 0x10, IKE1_INVALID_FLAGS, "header: unknown flags 0x10" },
	{ 1, 0, 27, 0, IKE1_UNEQUAL_PAYLOAD_LENGTHS, "header: says " },
	{ 1, 0, 16, 99, IKE1_INVALID_PAYLOAD_TYPE, "payload type 99 is not one of ISAKMP" },
	{ 2, IKE2_V, 1, 0, 0, NULL },
	{ 2, IKE2_SA, 3, 3, IKE2_INVALID_SYNTAX, "SA payload: its length is less than its header's" },
	{ 2, IKE2_V, 2, 0x80, IKE2_INVALID_SYNTAX, "V payload: its length goes past the end of the message" },
	{ 2, IKE2_SA, 4, 7, IKE2_INVALID_SYNTAX, "SA payload: a proposal is followed by something else" },
	{ 2, IKE2_SA, 6, 0xff, IKE2_INVALID_SYNTAX, "SA payload: the length of the first proposal is wrong" },
	{ 2, IKE2_SA, 10, 7, IKE2_INVALID_SYNTAX, "SA payload: proposal 1: an SPI of 7 bytes for protocol 1" },
	{ 2, IKE2_SA, 11, 5, IKE2_INVALID_SYNTAX, "SA payload: proposal 1: the number of transforms is wrong" },
	{ 2, IKE2_SA, 11, 3, IKE2_INVALID_SYNTAX, "SA payload: proposal 1: the number of transforms is wrong" },
	{ 2, IKE2_SA, 23, 7, IKE2_INVALID_SYNTAX, "SA payload: proposal 1: the length of a transform is wrong" },
	{ 2, IKE2_SA, 60, 5, IKE2_INVALID_SYNTAX, "SA payload: proposal 5 is out of order" },
	{ 2, IKE2_IDR, 4 + 4, 65, 0, NULL },
	{ 2, IKE2_IDR, 4, IKE_ID_IPV6_ADDR, IKE2_INVALID_SYNTAX, "IDr payload: the address has the wrong length for its type" },
	{ 2, IKE2_N, 5, 200, IKE2_INVALID_SYNTAX, "N payload: ends in the middle of a field" },
	{ 2, IKE2_D, 7, 4, IKE2_INVALID_SYNTAX, "D payload: the SPIs do not fill the payload" },
	{ 2, IKE2_TSI, 4, 0, IKE2_INVALID_SYNTAX, "TSi payload: no selectors" },
	{ 2, IKE2_TSI, 4, 4, IKE2_INVALID_SYNTAX, "TSi payload: the length of a selector is wrong" },
	{ 2, IKE2_TSI, 4, 2, IKE2_INVALID_SYNTAX, "TSi payload: bytes after the last selector" },
	{ 2, IKE2_TSI, 8, IKE_TS_IPV6, IKE2_INVALID_SYNTAX, "TSi payload: a selector has the wrong length for its type" },
	{ 2, IKE2_TSI, 16, 200, IKE2_INVALID_SYNTAX, "TSi payload: a selector's addresses end before they start" },
	{ 2, IKE2_EAP, 7, 200, IKE2_INVALID_SYNTAX, "EAP payload: the EAP message has another length than the payload" },
	{ 2, IKE2_CP, 11, 200, IKE2_INVALID_SYNTAX, "CP: an attribute goes past the end" },
	{ 2, 200, 1, 0x80, IKE2_UNSUPPORTED_CRITICAL_PAYLOAD, "payload type 200 is not known here and is marked critical" },
	{ 1, IKE1_SA, 1, 1, IKE1_PAYLOAD_MALFORMED, "SA payload: the reserved field is not zero" },
	{ 1, IKE1_SA, 7, 9, IKE1_DOI_NOT_SUPPORTED, "SA payload: domain of interpretation is neither ISAKMP (0) nor IPsec (1)" },
	{ 1, IKE1_SA, 11, 2, IKE1_SITUATION_NOT_SUPPORTED, "SA payload: situation is not SIT_IDENTITY_ONLY" },
	{ 1, IKE1_SA, 13, 1, IKE1_BAD_PROPOSAL_SYNTAX, "SA payload: a proposal's reserved field is not zero" },
	{ 1, IKE1_SA, 16, 3, IKE1_BAD_PROPOSAL_SYNTAX, "SA payload: proposal 1 is out of order" },
	{ 1, IKE1_SA, 17, 9, IKE1_INVALID_PROTOCOL_ID, "SA payload: proposal 1: unknown protocol 9" },
	{ 1, IKE1_SA, 18, 3, IKE1_INVALID_SPI, "SA payload: proposal 1: an SPI of 3 bytes for protocol 3" },
	{ 1, IKE1_SA, 30, 1, IKE1_BAD_PROPOSAL_SYNTAX, "SA payload: proposal 1: a transform's reserved field is not zero" },
	{ 1, IKE1_ID, 4, IKE_ID_IPV4_ADDR, IKE1_INVALID_ID_INFORMATION, "ID payload: the address has the wrong length for its type" },
	{ 1, IKE1_N, 7, 5, IKE1_DOI_NOT_SUPPORTED, "N payload: domain of interpretation" },
	{ 1, IKE1_D, 7, 5, IKE1_DOI_NOT_SUPPORTED, "D payload: domain of interpretation" },
	{ 1, IKE1_NATOA, 4, IKE_ID_FQDN, IKE1_PAYLOAD_MALFORMED, "NAT-OA payload: the original address is neither IPv4 nor IPv6" },
	{ 1, IKE1_NATOA, 5, 1, IKE1_PAYLOAD_MALFORMED, "NAT-OA payload: a reserved field is not zero" },
};
/* clang-format on */

START_TEST(test_one_fault)
{
	const struct fault *f = &faults[_i];
	size_t len = sample_write(&m, f->major, buf);
	size_t at = (size_t)f->at;

	ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
	for (unsigned i = 0; f->payload && i < n.n_payloads; i++)
		if (n.payload[i].type == f->payload)
			at = (size_t)(n.payload[i].body.p - 4 - buf) + (size_t)f->at;
	buf[at] = f->value;
	int rc = ike_msg_parse(&n, span_of(buf, len), &bad);
	if (!f->why) {
		ck_assert_int_eq(rc, 0);
		return;
	}
	ck_assert_int_eq(rc, -EBADMSG);
	ck_assert_msg(strncmp(bad.why, f->why, strlen(f->why)) == 0, "%s, expected %s", bad.why, f->why);
	ck_assert_uint_eq(bad.notify, f->notify);
}
END_TEST

/* Written with the builder, refused by the parser. */
static const char *refused(void)
{
	struct wr w = wr_of(buf, sizeof(buf));

	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&w), &bad), -EBADMSG);
	return bad.why;
}

START_TEST(test_refused_as_a_whole)
{
	sample_init(&m, 2);
	sample_add(&m, IKE2_KE, false);
	sample_add(&m, IKE2_KE, false);
	ck_assert_str_eq(refused(), "KE payload: comes more than once in one message");
	sample_init(&m, 1);
	for (int i = 0; i < 3; i++)
		sample_add(&m, IKE1_ID, false);
	ck_assert_str_eq(refused(), "ID payload: comes more than twice in one message");
	sample_init(&m, 2);
	sample_add(&m, IKE2_SKF, false)->sk.number = 4;
	ck_assert_str_eq(refused(),
			 "SKF payload: the fragment number is not between one and the number of fragments");
	sample_init(&m, 1);
	sample_add(&m, IKE1_FRAGMENT, false)->frag.number = 0;
	ck_assert_str_eq(refused(), "FRAGMENT payload: fragments are counted from one");
	sample_init(&m, 2);
	sample_add(&m, IKE2_NONCE, false)->raw.data.len = 15;
	ck_assert_str_eq(refused(), "Nonce payload: 15 bytes after its header, at least 16 expected");
	sample_init(&m, 2);
	sample_add(&m, IKE2_NONCE, false)->raw.data.len = 257;
	ck_assert_str_eq(refused(), "Nonce payload: 257 bytes after its header, at most 256 expected");
	sample_init(&m, 2);
	memset(m.hdr.spi_i, 0, 8);
	ck_assert_str_eq(refused(), "header: the initiator's SPI is zero");
	sample_init(&m, 1);
	memset(m.hdr.spi_i, 0, 8);
	ck_assert_str_eq(refused(), "header: the initiator's cookie is zero");
	ck_assert_uint_eq(bad.notify, IKE1_INVALID_COOKIE);
	sample_init(&m, 1);
	m.tail = span_of("12345678", 8);
	ck_assert_str_eq(refused(), "8 bytes after the last payload");
	ck_assert_uint_eq(bad.notify, IKE1_UNEQUAL_PAYLOAD_LENGTHS);
}
END_TEST

START_TEST(test_room_is_bounded)
{
	static uint8_t chain[IKE_HDR_LEN + 4 * (IKE_MSG_PAYLOADS + 1)];
	struct wr w = wr_of(chain, sizeof(chain));

	sample_init(&m, 2);
	for (int i = 0; i < IKE_MSG_PAYLOADS; i++)
		ck_assert_ptr_nonnull(ike_msg_add(&m, IKE2_V, false));
	ck_assert_ptr_null(ike_msg_add(&m, IKE2_V, false));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(sample_round_trip(chain, w.len, &bad, dump, sizeof(dump)), 1);
	chain[w.len - 4] = IKE2_V; /* one more */
	memcpy(chain + w.len, (uint8_t[]){ 0, 0, 0, 4 }, 4);
	store_be32(chain + 24, (uint32_t)w.len + 4);
	ck_assert_int_eq(ike_msg_parse(&n, span_of(chain, w.len + 4), &bad), -EBADMSG);
	ck_assert_str_eq(bad.why, "more than 64 payloads in one message");

	sample_init(&m, 2);
	struct ike_payload *sa = ike_msg_add(&m, IKE2_SA, false);
	struct ike_prop *p = ike_msg_add_prop(&m, sa, 1, 1, span_of(NULL, 0));
	for (int i = 0; i < IKE_PROPOSAL_TRANSFORMS; i++)
		ck_assert_ptr_nonnull(ike_msg_add_transform(&m, p, 1, 1));
	ck_assert_ptr_null(ike_msg_add_transform(&m, p, 1, 1));
	for (int i = 1; i < IKE_MSG_PROPOSALS; i++)
		ck_assert_ptr_nonnull(ike_msg_add_prop(&m, sa, 1, 1, span_of(NULL, 0)));
	ck_assert_ptr_null(ike_msg_add_prop(&m, sa, 1, 1, span_of(NULL, 0)));
}
END_TEST

START_TEST(test_writer_refuses)
{
	struct wr w = wr_of(buf, 100);

	sample_init(&m, 2);
	sample_add(&m, IKE2_CERT, false);
	sample_add(&m, IKE2_CERT, false);
	ck_assert_int_eq(ike_msg_write(&m, &w), -EMSGSIZE);

	static uint8_t big[70000];
	static uint8_t out[80000];
	sample_init(&m, 2);
	sample_add(&m, IKE2_CERT, false)->cert.data = span_of(big, 65535 - 4);
	w = wr_of(out, sizeof(out));
	ck_assert_int_eq(ike_msg_write(&m, &w), -EMSGSIZE); /* the payload */
	m.payload[0].cert.data.len = 65535 - 5;
	w = wr_of(out, sizeof(out));
	ck_assert_int_eq(ike_msg_write(&m, &w), -EMSGSIZE); /* the message */
	m.payload[0].cert.data.len = 65535 - 5 - IKE_HDR_LEN;
	w = wr_of(out, sizeof(out));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(sample_round_trip(out, w.len, &bad, dump, sizeof(dump)), 1);

	uint8_t first;
	sample_init(&m, 2);
	sample_add(&m, IKE2_CERT, true)->cert.data = span_of(big, 65535 - 4);
	w = wr_of(out, sizeof(out));
	ck_assert_int_eq(ike_msg_write_inner(&m, &w, &first), -EMSGSIZE);
	m.payload[0].cert.data.len--;
	w = wr_of(out, sizeof(out));
	ck_assert_int_eq(ike_msg_write_inner(&m, &w, &first), 0);

	sample_init(&m, 2);
	sample_add(&m, IKE2_SK, false);
	sample_add(&m, IKE2_V, false);
	w = wr_of(buf, sizeof(buf));
	ck_assert_int_eq(ike_msg_write(&m, &w), -EINVAL);
	sample_init(&m, 2);
	sample_add(&m, IKE2_N, false)->notify.spi.len = 256;
	w = wr_of(buf, sizeof(buf));
	ck_assert_int_eq(ike_msg_write(&m, &w), -EMSGSIZE);
}
END_TEST

/* Inner payloads are written alone, their ciphertext gets room in the outer message, and come back. */
START_TEST(test_inner_payloads)
{
	uint8_t plain[512], first;
	struct wr in = wr_of(plain, sizeof(plain)), out = wr_of(buf, sizeof(buf));

	sample_init(&m, 2);
	sample_add(&m, IKE2_IDI, true);
	sample_add(&m, IKE2_AUTH, true);
	ck_assert_int_eq(ike_msg_write_inner(&m, &in, &first), 0);
	ck_assert_uint_eq(first, IKE2_IDI);
	struct ike_payload *sk = ike_msg_add(&m, IKE2_SK, false);
	sk->sk.next = first;
	sk->sk.data = span_of(NULL, 8 + in.len + 16);
	ck_assert_int_eq(ike_msg_write(&m, &out), 0);
	ck_assert_uint_eq(out.len, IKE_HDR_LEN + 4 + 8 + in.len + 16);
	memcpy(buf + IKE_HDR_LEN + 4 + 8, plain, in.len);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&out), &bad), 0);
	ck_assert_uint_eq(n.n_payloads, 1);
	ck_assert_uint_eq(n.payload[0].sk.next, IKE2_IDI);
	struct span s = span_of(n.payload[0].sk.data.p + 8, in.len);
	ck_assert_int_eq(ike_msg_parse_inner(&n, n.payload[0].sk.next, s, &bad), 0);
	ck_assert_uint_eq(n.n_payloads, 3);
	ck_assert(ike_msg_find(&n, IKE2_AUTH, NULL)->inner);
	/* a payload that is not allowed inside, and padding that is not allowed in IKEv2 */
	static const uint8_t sk_inside[] = { 0, 0, 0, 5, 1 }, padded[] = { 0, 0, 0, 4, 0, 0 };
	ck_assert_int_eq(ike_msg_parse_inner(&n, IKE2_SKF, span_of(sk_inside, 5), &bad), -EBADMSG);
	ck_assert_int_eq(ike_msg_parse_inner(&n, IKE2_V, span_of(padded, 6), &bad), -EBADMSG);
}
END_TEST

START_TEST(test_encrypted_v1)
{
	static const uint8_t plain[] = { 0, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 4 };
	struct wr w = wr_of(buf, sizeof(buf));

	sample_init(&m, 1);
	m.hdr.flags = IKE1_FLAG_E;
	m.hdr.next = IKE1_HASH;
	m.cipher = span_of(plain, sizeof(plain));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&w), &bad), 0);
	ck_assert_uint_eq(n.hdr.next, IKE1_HASH);
	ck_assert_uint_eq(n.n_payloads, 0);
	ck_assert_int_eq(ike_msg_parse_inner(&n, n.hdr.next, n.cipher, &bad), 0);
	ck_assert_uint_eq(n.payload[0].raw.data.len, 8);
	ck_assert_uint_eq(n.tail.len, 4); /* the padding */
	ck_assert_int_eq(sample_round_trip(buf, w.len, &bad, dump, sizeof(dump)), 1);
	w.len = IKE_HDR_LEN;
	store_be32(buf + 24, IKE_HDR_LEN);
	ck_assert_int_eq(ike_msg_parse(&n, wr_view(&w), &bad), -EBADMSG);
	ck_assert_uint_eq(bad.notify, IKE1_INVALID_FLAGS);
	/* a fragment is in the clear whatever the flag says */
	sample_init(&m, 1);
	sample_add(&m, IKE1_FRAGMENT, false);
	w = wr_of(buf, sizeof(buf));
	ck_assert_int_eq(ike_msg_write(&m, &w), 0);
	buf[19] |= IKE1_FLAG_E;
	ck_assert_int_eq(sample_round_trip(buf, w.len, &bad, dump, sizeof(dump)), 1);
	ck_assert_ptr_nonnull(strstr(dump, "fragment 2, the last of message 1"));
}
END_TEST

/* Passwords of XAUTH and EAP are not for the log. */
START_TEST(test_dump_hides_passwords)
{
	static const uint8_t eap[] = { 2, 7, 0, 13, 6, 's', 'e', 'c', 'r', 'e', 't', '1', '2' };
	struct ike_attr *a;

	sample_init(&m, 1);
	a = ike_msg_add_cp_attr(&m, ike_msg_add(&m, IKE1_ATTR, true), 16522);
	a->data = span_of(eap + 5, 8);
	ike_msg_dump(&m, dump, sizeof(dump));
	ck_assert_ptr_nonnull(strstr(dump, "XAUTH_USER_PASSWORD"));
	ck_assert_ptr_null(strstr(dump, "736563"));
	sample_init(&m, 2);
	sample_add(&m, IKE2_EAP, true)->raw.data = span_of(eap, sizeof(eap));
	ike_msg_dump(&m, dump, sizeof(dump));
	ck_assert_ptr_nonnull(strstr(dump, "  +EAP code 2 number 7, 13 bytes\n"));
	ck_assert_ptr_null(strstr(dump, "736563"));
}
END_TEST

START_TEST(test_dump_is_cut)
{
	size_t len = sample_write(&m, 2, buf);

	ck_assert_int_eq(ike_msg_parse(&n, span_of(buf, len), &bad), 0);
	for (size_t max = 1; max < 300; max++) {
		char *small = malloc(max);
		ike_msg_dump(&n, small, max);
		ck_assert_uint_lt(strlen(small), max);
		if (max > 5)
			ck_assert_str_eq(small + strlen(small) - 4, "...\n");
		free(small);
	}
}
END_TEST

/* No two rules of a version share a bit, and every rule's fields end. */
START_TEST(test_rules)
{
	const struct ike_rule *r;
	uint64_t seen = 0;

	for (unsigned i = 0; (r = ike_rule_nth((unsigned)_i, i)); i++) {
		ck_assert_uint_eq(seen & IKE_BIT(r->type), 0);
		seen |= IKE_BIT(r->type);
		ck_assert_ptr_eq(ike_rule((unsigned)_i, r->type), r);
	}
	ck_assert_uint_ne(seen, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ike");
	TCase *t = tcase_create("messages");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_rules, 1, 3);
	tcase_add_loop_test(t, test_every_payload_comes_back, 1, 3);
	tcase_add_test(t, test_fields_of_v2);
	tcase_add_test(t, test_message_by_hand);
	tcase_add_loop_test(t, test_truncated_everywhere, 1, 3);
	tcase_add_loop_test(t, test_payload_truncated, 1, 3);
	tcase_add_loop_test(t, test_every_byte_changed, 1, 3);
	tcase_add_loop_test(t, test_one_fault, 0, ARRAY_LEN(faults));
	tcase_add_test(t, test_refused_as_a_whole);
	tcase_add_test(t, test_room_is_bounded);
	tcase_add_test(t, test_writer_refuses);
	tcase_add_test(t, test_inner_payloads);
	tcase_add_test(t, test_encrypted_v1);
	tcase_add_test(t, test_dump_hides_passwords);
	tcase_add_test(t, test_dump_is_cut);
	suite_add_tcase(s, t);
	suite_add_tcase(s, ike_captures_case());
	suite_add_tcase(s, ike_proposal_case());
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
