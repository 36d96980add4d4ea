/*
 * RFC 2408 section 5, rule by rule: the offending message or payload goes through the checks, and
 * the notify and the audit event must be the ones the RFC names. Rules that need keys or a
 * negotiation under way are in test_ike_v1_duo.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "ike/v1/fault.h"
#include "test_ike_v1.h"

static struct ike_msg m;
static struct ike_bad bad;

/* Header of a first Main Mode message with one good SA payload; %s: what a rule puts elsewhere. */
#define COOKIES "a1a2a3a4a5a6a7a8 b1b2b3b4b5b6b7b8 "
#define FIRST	"a1a2a3a4a5a6a7a8 0000000000000000 "
#define SA_BODY                                                                                    \
	"00000001 00000001 00000028 01010001 00000020 01010000 80010005 80020002 80030001 80040002 " \
	"800b0001 800c0e10"
#define SA      "00000034 " SA_BODY

struct rule {
	const char *section, *event;
	uint16_t notify;
	const char *hex;  /* the message; "LLLLLLLL" is its length */
	const char *name;
};

/* clang-format off */
static const struct rule rules[] = {
	{ "5.1", "UNEQUAL PAYLOAD LENGTHS", IKE1_UNEQUAL_PAYLOAD_LENGTHS, FIRST "01 10 02 00 00000000 00000051" SA, "header says one byte more" },
	{ "5.1", "UNEQUAL PAYLOAD LENGTHS", IKE1_UNEQUAL_PAYLOAD_LENGTHS, FIRST "01 10 02 00 00000000 LLLLLLLL" SA "0000000000000000", "bytes after the last payload" },
	{ "5.2", "INVALID COOKIE", IKE1_INVALID_COOKIE, "0000000000000000 0000000000000000 01 10 02 00 00000000 LLLLLLLL" SA, "no initiator cookie" },
	{ "5.2", "INVALID COOKIE", IKE1_INVALID_COOKIE, FIRST "08 10 20 00 00000001 LLLLLLLL 00000008 00000000", "Quick Mode without a responder" },
	{ "5.3", "INVALID NEXT PAYLOAD", IKE1_INVALID_PAYLOAD_TYPE, FIRST "0e 10 02 00 00000000 LLLLLLLL 63000008 01000000 00000004", "a payload type that is none" },
	{ "5.3", "INVALID NEXT PAYLOAD", IKE1_INVALID_PAYLOAD_TYPE, FIRST "63 10 02 00 00000000 LLLLLLLL 00000004", "header's next payload" },
	{ "5.2", "INVALID ISAKMP VERSION", IKE1_INVALID_MAJOR_VERSION, FIRST "01 30 02 00 00000000 LLLLLLLL" SA, "major version" },
	{ "5.2", "INVALID ISAKMP VERSION", IKE1_INVALID_MINOR_VERSION, FIRST "01 11 02 00 00000000 LLLLLLLL" SA, "minor version" },
	{ "5.2", "INVALID EXCHANGE TYPE", IKE1_INVALID_EXCHANGE_TYPE, FIRST "01 10 07 00 00000000 LLLLLLLL" SA, "exchange type" },
	{ "5.2", "INVALID EXCHANGE TYPE", IKE1_UNSUPPORTED_EXCHANGE_TYPE, FIRST "01 10 01 00 00000000 LLLLLLLL" SA, "Base Exchange is off" },
	{ "5.2", "INVALID EXCHANGE TYPE", IKE1_UNSUPPORTED_EXCHANGE_TYPE, FIRST "01 10 03 00 00000000 LLLLLLLL" SA, "Authentication Only is off" },
	{ "5.2", "INVALID EXCHANGE TYPE", IKE1_UNSUPPORTED_EXCHANGE_TYPE, COOKIES "08 10 21 01 00000001 LLLLLLLL 0000000000000000", "New Group Mode is refused" },
	{ "5.2", "INVALID FLAGS", IKE1_INVALID_FLAGS, FIRST "01 10 02 08 00000000 LLLLLLLL" SA, "an unknown flag" },
	{ "5.2", "INVALID FLAGS", IKE1_INVALID_FLAGS, FIRST "01 10 02 01 00000000 LLLLLLLL" SA, "encrypted first message" },
	{ "5.2", "INVALID FLAGS", IKE1_INVALID_FLAGS, COOKIES "08 10 05 04 00000001 LLLLLLLL 00000008 00000000", "authentication only" },
	{ "5.2", "INVALID FLAGS", IKE1_INVALID_FLAGS, COOKIES "08 10 20 00 00000001 LLLLLLLL 00000008 00000000", "Quick Mode in the clear" },
	{ "5.2", "INVALID MESSAGE ID", IKE1_INVALID_MESSAGE_ID, FIRST "01 10 02 00 00000007 LLLLLLLL" SA, "message ID in phase 1" },
	{ "5.2", "INVALID MESSAGE ID", IKE1_INVALID_MESSAGE_ID, COOKIES "08 10 20 01 00000000 LLLLLLLL 0000000000000000", "none in phase 2" },
	{ "5.3", "INVALID RESERVED FIELD", IKE1_PAYLOAD_MALFORMED, FIRST "01 10 02 00 00000000 LLLLLLLL 00010034" SA_BODY, "generic header" },
	{ "5.4", "INVALID DOI", IKE1_DOI_NOT_SUPPORTED, FIRST "01 10 02 00 00000000 LLLLLLLL 0000000c 00000002 00000001", "another DOI" },
	{ "5.4", "INVALID SITUATION", IKE1_SITUATION_NOT_SUPPORTED, FIRST "01 10 02 00 00000000 LLLLLLLL 0000000c 00000001 00000002", "secrecy wanted" },
	{ "5.5", "INVALID PROTOCOL", IKE1_INVALID_PROTOCOL_ID, FIRST "01 10 02 00 00000000 LLLLLLLL 0000001c 00000001 00000001 00000010 01090001 00000008 01010000", "protocol 9" },
	{ "5.5", "INVALID SPI", IKE1_INVALID_SPI, FIRST "01 10 02 00 00000000 LLLLLLLL 0000001e 00000001 00000001 00000012 01030201 aabb 00000008 01030000", "ESP with an SPI of two bytes" },
	{ "5.5", "BAD PROPOSAL SYNTAX", IKE1_BAD_PROPOSAL_SYNTAX, FIRST "01 10 02 00 00000000 LLLLLLLL 0000002c 00000001 00000001 02000010 02010001 00000008 01010000 00000010 01010001 00000008 01010000", "numbers go down" },
	{ "5.5", "BAD PROPOSAL SYNTAX", IKE1_BAD_PROPOSAL_SYNTAX, FIRST "01 10 02 00 00000000 LLLLLLLL 0000001c 00000001 00000001 00000010 01010002 00000008 01010000", "fewer transforms than said" },
	{ "5.5", "BAD PROPOSAL SYNTAX", IKE1_BAD_PROPOSAL_SYNTAX, FIRST "01 10 02 00 00000000 LLLLLLLL 0000001c 00000001 00000001 00010010 01010001 00000008 01010000", "reserved field of a proposal" },
	{ "5.8", "INVALID ID INFORMATION", IKE1_INVALID_ID_INFORMATION, COOKIES "05 10 02 00 00000000 LLLLLLLL 0000000b 01000000 c00002", "an IPv4 address of three bytes" },
	{ "5.14", "INVALID DOI", IKE1_DOI_NOT_SUPPORTED, COOKIES "0b 10 05 00 00000000 LLLLLLLL 0000000c 00000009 01000001", "notify of another DOI" },
	{ "5.14", "INVALID PROTOCOL-ID", IKE1_INVALID_PROTOCOL_ID, COOKIES "0b 10 05 00 00000000 LLLLLLLL 0000000c 00000001 09000001", "notify of protocol 9" },
	{ "5.14", "INVALID SPI", IKE1_INVALID_SPI, COOKIES "0b 10 05 00 00000000 LLLLLLLL 0000000e 00000001 03020001 aabb", "notify of ESP with two bytes of SPI" },
	{ "5.14", "INVALID MESSAGE TYPE", 0, COOKIES "0b 10 05 00 00000000 LLLLLLLL 0000000c 00000001 01000000", "notify of type 0" },
	{ "5.9", "INVALID CERTIFICATE TYPE", IKE1_INVALID_CERT_ENCODING, COOKIES "06 10 02 00 00000000 LLLLLLLL 00000006 0230", "PGP certificate" },
	{ "5.9", "INVALID CERTIFICATE", IKE1_INVALID_CERTIFICATE, COOKIES "06 10 02 00 00000000 LLLLLLLL 00000005 04", "empty certificate" },
	{ "5.10", "INVALID CERTIFICATE TYPE", IKE1_INVALID_CERT_ENCODING, COOKIES "07 10 02 00 00000000 LLLLLLLL 00000005 63", "request for encoding 99" },
	{ "5.10", "CERTIFICATE TYPE UNSUPPORTED", IKE1_CERT_TYPE_UNSUPPORTED, COOKIES "07 10 02 00 00000000 LLLLLLLL 00000005 06", "request for Kerberos" },
	{ "5.10", "INVALID CERTIFICATE AUTHORITY", IKE1_INVALID_CERT_AUTHORITY, COOKIES "07 10 02 00 00000000 LLLLLLLL 00000007 04aabb", "authority that is no name" },
};
/* clang-format on */

static size_t bytes_of(const char *hex, uint8_t *out, size_t max)
{
	char text[2048];
	size_t n = 0;

	for (const char *p = hex; *p; p++)
		if (*p != ' ')
			text[n++] = *p == 'L' ? '0' : *p;
	text[n] = '\0';
	int len = hex_decode(text, out, max);
	ck_assert_int_ge(len, IKE_HDR_LEN);
	if (strchr(hex, 'L'))
		store_be32(out + 24, (uint32_t)len);
	return (size_t)len;
}

/* The way of a message: parser, header rules, then each payload. 0 when nothing is wrong. */
static int judge(struct span datagram)
{
	int rc = ike_msg_parse(&m, datagram, &bad);

	if (rc == 0)
		rc = v1_check_header(&m.hdr, &bad);
	for (unsigned i = 0; rc == 0 && i < m.n_payloads; i++)
		rc = v1_check_payload(&m.payload[i], &bad);
	return rc;
}

START_TEST(test_offence_has_its_notify_and_event)
{
	const struct rule *r = &rules[_i];
	uint8_t buf[1024];
	size_t len = bytes_of(r->hex, buf, sizeof(buf));

	ck_assert_msg(judge(span_of(buf, len)) == -EBADMSG, "%s: nothing was found", r->name);
	const struct v1_fault *f = v1_fault_of(&bad);
	ck_assert_msg(bad.notify == r->notify && strcmp(f->event, r->event) == 0 &&
			  strcmp(f->section, r->section) == 0,
		      "%s: notify %u, event %s of %s (%s); %u, %s of %s expected", r->name,
		      bad.notify, f->event, f->section, bad.why, r->notify, r->event, r->section);
	ck_assert(bad.why[0]);
}
END_TEST

START_TEST(test_5_good_messages_pass)
{
	static const char *const good[] = {
		FIRST "01 10 02 00 00000000 LLLLLLLL" SA,
		FIRST "01 10 04 00 00000000 LLLLLLLL" SA,
		COOKIES "0b 10 05 00 00000000 LLLLLLLL 0000001c 00000001 0110000e "
			"a1a2a3a4a5a6a7a8b1b2b3b4b5b6b7b8",
		COOKIES "0b 10 05 00 12345678 LLLLLLLL 0000000c 00000000 00008d28",
		COOKIES "08 10 20 01 00000001 LLLLLLLL 00000000000000000000000000000000",
		COOKIES "07 10 02 00 00000000 LLLLLLLL 00000005 04",
	};
	uint8_t buf[1024];
	size_t len = bytes_of(good[_i], buf, sizeof(buf));

	ck_assert_msg(judge(span_of(buf, len)) == 0, "%s", bad.why);
}
END_TEST

static void payload_from(uint8_t type, bool inner, const char *hex, uint8_t *buf)
{
	static const uint8_t c[8] = { 1 };
	int len = hex_decode(hex, buf, 256);

	ike_msg_init(&m, 0x10, c, c, IKE1_X_INFO, 0, 1);
	ck_assert_int_ge(len, 4);
	int rc = inner ? ike_msg_parse_inner(&m, type, span_of(buf, (size_t)len), &bad) : 0;
	if (rc == 0)
		rc = v1_check_payload(&m.payload[0], &bad);
	ck_assert_int_eq(rc, -EBADMSG);
}

START_TEST(test_5_7_key_exchange_of_wrong_length)
{
	static const uint8_t zero[256];
	struct ike_payload p = { .type = IKE1_KE };

	p.ke.data = span_of(zero, 255);
	ck_assert_int_eq(v1_check_ke(&p, 14, &bad), -EBADMSG);
	ck_assert_uint_eq(bad.notify, IKE1_INVALID_KEY_INFORMATION);
	ck_assert_str_eq(v1_fault_of(&bad)->event, "INVALID KEY INFORMATION");
	ck_assert_str_eq(v1_fault_of(&bad)->section, "5.7");
	p.ke.data.len = 256;
	ck_assert_int_eq(v1_check_ke(&p, 14, &bad), 0);
}
END_TEST

START_TEST(test_5_8_identities)
{
	static const struct {
		uint8_t type, proto;
		uint16_t port;
		bool good;
	} rows[] = { { 1, 0, 0, true },	   { 11, 17, 500, true }, { 2, 17, 4500, true },
		     { 9, 17, 0, true },   { 4, 0, 0, false },	  { 7, 0, 0, false },
		     { 12, 0, 0, false },  { 200, 0, 0, false },  { 1, 6, 500, false },
		     { 1, 17, 501, false } };
	struct ike_payload p = { .type = IKE1_ID };

	p.id.type = rows[_i].type;
	p.id.proto = rows[_i].proto;
	p.id.port = rows[_i].port;
	ck_assert_int_eq(v1_check_id(&p, &bad), rows[_i].good ? 0 : -EBADMSG);
	if (!rows[_i].good)
		ck_assert_str_eq(v1_fault_of(&bad)->event, "INVALID ID INFORMATION");
}
END_TEST

START_TEST(test_5_15_deletes)
{
	static const struct {
		const char *hex, *event;
		uint16_t notify;
	} rows[] = {
		{ "00000010 00000009 01100000 00000000", "INVALID DOI", IKE1_DOI_NOT_SUPPORTED },
		{ "00000010 00000001 09040001 aabbccdd", "INVALID PROTOCOL-ID",
		  IKE1_INVALID_PROTOCOL_ID },
		{ "0000000e 00000001 03020001 aabb", "INVALID SPI", IKE1_INVALID_SPI },
		{ "00000010 00000001 01040001 aabbccdd", "INVALID SPI", IKE1_INVALID_SPI },
	};
	uint8_t buf[256];

	payload_from(IKE1_D, true, rows[_i].hex, buf);
	ck_assert_uint_eq(bad.notify, rows[_i].notify);
	ck_assert_str_eq(v1_fault_of(&bad)->event, rows[_i].event);
	ck_assert_str_eq(v1_fault_of(&bad)->section, "5.15");
}
END_TEST

START_TEST(test_5_15_delete_must_be_protected)
{
	struct ike_payload p = { .type = IKE1_D };

	ck_assert_int_eq(v1_check_payload(&p, &bad), -EBADMSG);
	ck_assert_uint_eq(bad.notify, IKE1_INVALID_FLAGS);
}
END_TEST

/* Every row of the table is somebody's, and every event has its own words. */
START_TEST(test_5_table_finds_each_row)
{
	const struct v1_fault *f;

	for (unsigned i = 0; (f = v1_fault_nth(i)); i++) {
		struct ike_bad b = { .notify = f->notify, .payload = f->payload };
		ck_assert_ptr_eq(v1_fault_of(&b), f);
	}
	struct ike_bad b = { .notify = 9999 };
	ck_assert_str_eq(v1_fault_of(&b)->event, "INVALID MESSAGE");
}
END_TEST

TCase *v1_section5_case(void)
{
	TCase *t = tcase_create("RFC 2408 section 5");

	tcase_add_loop_test(t, test_offence_has_its_notify_and_event, 0, ARRAY_LEN(rules));
	tcase_add_loop_test(t, test_5_good_messages_pass, 0, 6);
	tcase_add_test(t, test_5_7_key_exchange_of_wrong_length);
	tcase_add_loop_test(t, test_5_8_identities, 0, 10);
	tcase_add_loop_test(t, test_5_15_deletes, 0, 4);
	tcase_add_test(t, test_5_15_delete_must_be_protected);
	tcase_add_test(t, test_5_table_finds_each_row);
	return t;
}
