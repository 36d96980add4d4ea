/*
 * The seam for vendors (src/ike/v1/hook.h): an extension that only these tests have, with the vendor ID of
 * one that bumpwire does not speak. It puts a private payload and a private notify into one message and
 * reads them at the other side.
 */
#include <errno.h>

#include "ike/msg_rule.h"
#include "ike/v1/v1.h"
#include "test_ike_v1_duo.h"

#define VENDOR	IKE_VENDOR_MS_CGA
#define PRIVATE 200   /* a payload */
#define STATUS	40001 /* a notify: RFC 2408 3.14.1, private use */

struct vendor {
	struct v1_hook hook;
	const char *says;
	char heard[64], noted[64];
	unsigned built, parsed;
	bool full, refuses;
};
static struct vendor va, vb;

static struct vendor *of(const struct v1_hook *h)
{
	return h == &va.hook ? &va : &vb;
}

static int build(const struct v1_hook *h, struct ike_sa *sa, struct ike_msg *out)
{
	struct vendor *v = of(h);
	struct ike_payload *p = v->full ? NULL : v1_hook_payload(out, PRIVATE);
	struct ike_payload *n = p ? v1_hook_payload(out, IKE1_N) : NULL;

	(void)sa;
	v->built++;
	if (!n)
		return -ENOSPC;
	p->raw.data = n->notify.data = span_of(v->says, strlen(v->says));
	n->notify.doi = IKE1_DOI_IPSEC;
	n->notify.type = STATUS;
	return 0;
}

static void copy(char out[64], struct span s)
{
	ck_assert_uint_lt(s.len, 64);
	memcpy(out, s.p, s.len);
	out[s.len] = '\0';
}

static int parse(const struct v1_hook *h, struct ike_sa *sa, const struct ike_msg *in, struct ike_bad *bad)
{
	struct vendor *v = of(h);

	(void)sa;
	v->parsed++;
	if (v->refuses)
		return ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, PRIVATE, "private payload: not what it should be");
	for (unsigned i = 0; i < in->n_payloads; i++) {
		const struct ike_payload *p = &in->payload[i];
		if (p->type == PRIVATE)
			copy(v->heard, p->raw.data);
		else if (p->type == IKE1_N && p->notify.type == STATUS)
			copy(v->noted, p->notify.data);
	}
	return 0;
}

/* Both engines, with the extension for one message where it is wanted. */
static void start(bool a, bool b, uint8_t exchange, uint8_t number)
{
	duo_start(&d);
	va = vb = (struct vendor){ .hook = { .name = "test", .vendor = VENDOR, .exchange = exchange,
					     .number = number, .build = build, .parse = parse } };
	va.says = "from a";
	vb.says = "from b";
	if (a)
		v1_hook_add(d.a.ike, &va.hook);
	if (b)
		v1_hook_add(d.b.ike, &vb.hook);
}

static void up(void)
{
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	duo_agree(&d);
}

/* In the clear and protected, of phase 1 and of Quick Mode. With PFS a job lies between the hook and the
 * end of the handler: the hook is called once all the same. */
START_TEST(test_message_with_more)
{
	static const struct {
		uint8_t exchange, number;
	} rows[] = { { IKE1_X_MAIN, 3 }, { IKE1_X_MAIN, 4 }, { IKE1_X_MAIN, 5 }, { IKE1_X_MAIN, 6 },
		     { IKE1_X_QUICK, 1 }, { IKE1_X_QUICK, 2 }, { IKE1_X_QUICK, 3 } };
	bool from_a = rows[_i].number % 2;
	struct vendor *from = from_a ? &va : &vb, *to = from_a ? &vb : &va;

	d.job_ns = NS_PER_S / 10;
	v1duo_esp("aes128gcm16-ecp256");
	start(true, true, rows[_i].exchange, rows[_i].number);
	up();
	ck_assert_uint_eq(from->built, 1);
	ck_assert_uint_eq(to->parsed, 1);
	ck_assert_uint_eq(to->built + from->parsed, 0);
	ck_assert_str_eq(to->heard, from->says);
	ck_assert_str_eq(to->noted, from->says);
}
END_TEST

/* A peer that has not said the vendor ID gets nothing, and nothing of it is read. */
START_TEST(test_peer_without_it)
{
	start(_i == 0, _i == 1, IKE1_X_QUICK, 1);
	up();
	ck_assert_uint_eq(va.built + vb.parsed, 0);
	ck_assert_uint_eq(!!(v1duo_sa(&d.b)->v1->peers & V1_VID(VENDOR)), _i == 0);
	ck_assert_uint_eq(!!(v1duo_sa(&d.a)->v1->peers & V1_VID(VENDOR)), _i == 1);
}
END_TEST

/* What it refuses is refused as what the parser refuses: the notify of the fault, and no child. */
START_TEST(test_message_is_refused)
{
	uint64_t order;

	start(true, true, IKE1_X_QUICK, 1);
	vb.refuses = true;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(vb.parsed, 1);
	ck_assert_uint_eq(d.b.audited[AUDIT_MESSAGE], 1);
	ck_assert_ptr_nonnull(strstr(d.b.audit_text, "not what it should be"));
	ck_assert_uint_eq(d.a.audited[AUDIT_NOTIFICATION], 1);
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}
END_TEST

/* A message that it cannot make is not sent, and the exchange says why. */
START_TEST(test_message_cannot_be_made)
{
	start(true, true, IKE1_X_QUICK, 1);
	va.full = true;
	duo_up_fails(&d, &d.a, "b", "a message could not be");
	ck_assert_uint_eq(vb.parsed, 0);
	ck_assert_uint_eq(duo_children(&d.b), 0);
}
END_TEST

/* A notify as a message of its own. */
START_TEST(test_informational)
{
	start(true, true, IKE1_X_INFO, 1);
	up();
	d.a.ike->arena_used = 0;
	v1_notify(v1duo_sa(&d.a), IKE_PROTO_IKE, span_of(NULL, 0), STATUS, span_of("hello", 5));
	duo_settle(&d);
	ck_assert_uint_eq(vb.parsed, 1);
	ck_assert_str_eq(vb.noted, "hello");
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

TCase *v1duo_hook_case(void)
{
	TCase *t = v1duo_case("extensions by vendors");

	tcase_add_loop_test(t, test_message_with_more, 0, 7);
	tcase_add_loop_test(t, test_peer_without_it, 0, 2);
	tcase_add_test(t, test_message_is_refused);
	tcase_add_test(t, test_message_cannot_be_made);
	tcase_add_test(t, test_informational);
	return t;
}
