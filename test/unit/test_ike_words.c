/* What an administrator reads when settings of two sides do not fit, on either side: two engines,
 * one wrong setting, and the words that must name it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ike_duo.h"

static struct duo d;

static void setup(void)
{
	duo_init(&d, 1);
}

static void teardown(void)
{
	duo_fini(&d);
}

static void has(const char *text, const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in: %s", words, text);
}

static void last_failure(const struct ike_conn_view *v, void *arg)
{
	*(const char **)arg = v->last_error;
}

/* What `status` of a node with one connection says. */
static const char *status(struct duo_node *n)
{
	const char *text = "";

	ike_each_conn(n->ike, last_failure, &text);
	return text;
}

static void address(struct ike_host *h, const char *text)
{
	ck_assert_int_eq(ip_range_parse(text, &h->range), 0);
}

START_TEST(test_responder_other_version)
{
	d.b.conn->version = 1;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "none with IKEv2");
	has(d.b.audit_text, "connection a, which has its address, has version = 1: set version = 2");
	has(status(&d.b), "set version = 2 or 0 here, or IKEv1 at the peer");
}
END_TEST

START_TEST(test_initiator_other_version)
{
	d.a.conn->version = 1;
	duo_proposals(&d.a.conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "does it speak IKEv1 (version)");
	has(status(&d.b), "set version = 1 or 0 here, or IKEv2 at the peer");
}
END_TEST

START_TEST(test_responder_addresses)
{
	address(_i ? d.b.conn->local : d.b.conn->remote, "192.0.2.77");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "no connection for our address");
	has(d.b.audit_text, "for 192.0.2.2 and 192.0.2.1");
	has(d.b.audit_text, _i ? "connection a has the peer's address, but local_addrs without 192.0.2.2"
			       : "connection a, its remote_addrs lack 192.0.2.1");
	ck_assert_str_eq(status(&d.b), ""); /* anybody can provoke it */
}
END_TEST

/* Of several that would nearly fit none is named. */
START_TEST(test_responder_several)
{
	struct ike_conn_conf *c = duo_conf_conn(d.b.conf, "c", "192.0.2.2", "192.0.2.78");

	duo_ident(&c->auth.id, "b.example");
	address(d.b.conn->remote, "192.0.2.77");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "no connection for our address");
	ck_assert_str_eq(d.b.audit_text,
			 "no connection has local_addrs and remote_addrs for 192.0.2.2 and 192.0.2.1");
}
END_TEST

/* What is sent cannot leave this machine. */
START_TEST(test_cannot_send)
{
	d.a.send_rc = _i ? -EPERM : -EADDRNOTAVAIL;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", _i ? "could not be sent: " : "See local_addrs");
}
END_TEST

START_TEST(test_other_port)
{
	d.a.conn->remote_port = 600;
	d.b.frozen = true;
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "port 600, which remote_port names");
	d.b.frozen = false;
}
END_TEST

/* PFS on one side only: the first child comes up without, rekeying fails. */
START_TEST(test_pfs_differs)
{
	struct duo_node *with = _i & 1 ? &d.a : &d.b, *asks = _i & 2 ? &d.a : &d.b;
	struct duo_node *other = asks == &d.a ? &d.b : &d.a;
	char why[256];
	uint64_t o;

	duo_proposals(&with->conn->child[0].proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	ck_assert_int_eq(ike_rekey(asks->ike, "net", false, &o, why, sizeof(why)), 0);
	const struct duo_event *e = duo_order(&d, asks, o);
	ck_assert_int_eq(e->type, IKE_EV_FAILED);
	has(e->text, "with the same key exchange or both without");
	has(status(other), "rekeying of child net by the peer: ");
	has(status(other), "make the key exchange of esp_proposals the same on both sides");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike words");
	TCase *t = tcase_create("wrong settings");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_responder_other_version);
	tcase_add_test(t, test_initiator_other_version);
	tcase_add_loop_test(t, test_responder_addresses, 0, 2);
	tcase_add_test(t, test_responder_several);
	tcase_add_loop_test(t, test_cannot_send, 0, 2);
	tcase_add_test(t, test_other_port);
	tcase_add_loop_test(t, test_pfs_differs, 0, 4);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
