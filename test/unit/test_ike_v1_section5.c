/*
 * RFC 2408 section 5, rule by rule: the offending message or payload goes through the checks, and
 * the notify and the audit event must be the ones the RFC names. Rules that need keys or a
 * negotiation under way are in test_ike_v1_audit.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ike/v1/fault.h"
#include "ike_v1_rules.h"
#include "test_ike_v1.h"

static struct ike_msg m;
static struct ike_bad bad;

/* The way of a message: parser, header rules, then each payload. 0 when nothing is wrong. */
static int judge(struct span datagram)
{
	int rc = ike_msg_parse(&m, datagram, &bad);

	if (rc == 0)
		rc = v1_check_header(&m.hdr, 0, &bad);
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
	ck_assert_msg(bad.notify == r->notify && strcmp(audit_info(f->event)->what, r->event) == 0 &&
			  strcmp(f->section, r->section) == 0,
		      "%s: notify %u, event %s of %s (%s); %u, %s of %s expected", r->name,
		      bad.notify, audit_info(f->event)->what, f->section, bad.why, r->notify, r->event, r->section);
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
	ck_assert_str_eq(audit_info(v1_fault_of(&bad)->event)->what, "INVALID KEY INFORMATION");
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
		ck_assert_str_eq(audit_info(v1_fault_of(&bad)->event)->what, "INVALID ID INFORMATION");
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
	ck_assert_str_eq(audit_info(v1_fault_of(&bad)->event)->what, rows[_i].event);
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
		struct ike_bad b = { .notify = f->notify, .payload = f->payload, .flaw = f->flaw };
		ck_assert_ptr_eq(v1_fault_of(&b), f);
	}
	struct ike_bad b = { .notify = 9999 };
	ck_assert_str_eq(audit_info(v1_fault_of(&b)->event)->name, "invalid_message");
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
