/*
 * Whole configurations: included files, the examples of etc/ and that they fit each other, names,
 * what a connection must have, and very many connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "test_config_ike.h"

START_TEST(test_included)
{
	static const char other[] = "connection y {\n\n  child z { }\n" PSK_ENDS "}\n" SECRET;

	pki_write_bytes("o.conf", span_of(other, strlen(other)));
	struct config *c = given_quiet("tun t { }\nconnection x { " PSK_ENDS
				      "child y { } }\ninclude(\"o.conf\")\n");
	ck_assert_uint_eq(c->ike->n_conn, 2);
	ck_assert_str_eq(c->ike->conn[1].name, "y");
	ck_assert_str_eq(c->ike->conn[1].file, pki_path("o.conf"));
	ck_assert_int_eq(c->ike->conn[1].line, 1);
	ck_assert_str_eq(c->ike->conn[1].child->name, "z");
	config_free(&c);
}
END_TEST

static const char *const examples[] = {
	"site-to-site-psk-a",
	"site-to-site-psk-b",
	"site-to-site-certs-a",
	"site-to-site-certs-b",
	"trap",
	"trap-each",
	"bridge-ike-a",
	"bridge-ike-b",
	"ah-a",
	"ah-b",
	"ikev1-bundle-a",
	"ikev1-bundle-b",
	"bumpwire",
};

/* An example of etc/ beside the files that it speaks of. */
static struct config *load_example(const char *name)
{
	char path[128], text[16384];
	struct config *c;

	snprintf(path, sizeof(path), "etc/%s.conf", name);
	FILE *f = fopen(given_source(path), "r");
	ck_assert_msg(f, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	ck_assert_msg(given_load(text, &c) == 0, "%s", given_said);
	ck_assert_str_eq(given_said, "");
	return c;
}

START_TEST(test_example)
{
	struct config *c = load_example(examples[_i]);

	ck_assert_uint_eq(given_conn(c)->n_child, 1);
	ck_assert(!c->tun != !c->bridge);
	config_free(&c);
}
END_TEST

/* Each end of a pair is who the other expects, and carries what the other does. */
static void check_mirror(const char *a, const char *b)
{
	struct config *x = load_example(a), *y = load_example(b);
	const struct ike_conn_conf *p = given_conn(x), *q = given_conn(y);

	ck_assert(ident_match(&p->peer.id, &q->auth.id) && ident_match(&q->peer.id, &p->auth.id));
	ck_assert(ip_addr_eq(&p->local->range.lo, &q->remote->range.lo) &&
		  ip_addr_eq(&q->local->range.lo, &p->remote->range.lo));
	ck_assert(ts_list_eq(&p->child->local_ts, &q->child->remote_ts) &&
		  ts_list_eq(&q->child->local_ts, &p->child->remote_ts));
	ck_assert(p->auth.method == q->peer.method && q->auth.method == p->peer.method);
	if (p->auth.method == IKE_BY_PSK)
		ck_assert(secret_eq(&cred_psk_find(&x->ike->psks, &p->auth.id, &p->peer.id)->key,
				    &cred_psk_find(&y->ike->psks, &q->auth.id, &q->peer.id)->key));
	config_free(&x);
	config_free(&y);
}

START_TEST(test_mirrors)
{
	check_mirror("site-to-site-psk-a", "site-to-site-psk-b");
	check_mirror("site-to-site-certs-a", "site-to-site-certs-b");
	check_mirror("trap", "site-to-site-psk-b");
	check_mirror("trap-each", "site-to-site-psk-b");
	check_mirror("bridge-ike-a", "bridge-ike-b");
	check_mirror("ah-a", "ah-b");
	check_mirror("ikev1-bundle-a", "ikev1-bundle-b");
}
END_TEST

/* Names: peers that may be anywhere, told apart by what they prove. */
START_TEST(test_names)
{
	struct config *c = load_example("names");
	static const char *const ids[] = { "alice@example.org", "bob@example.org" };
	char text[256];

	ck_assert_uint_eq(c->ike->n_conn, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_conn_conf *n = &c->ike->conn[i];
		ck_assert_uint_eq(n->n_remote, 0);
		ck_assert_str_eq(ident_format(&n->peer.id, text, sizeof(text)), ids[i]);
		ck_assert_uint_eq(n->child->local_ts.n, i + 1);
		ck_assert(n->child->remote_ts.ts[0].dynamic && n->child->start == IKE_START_NONE);
	}
	config_free(&c);
}
END_TEST

/* etc/bumpwire.conf has every key in it, in use or in a comment. */
START_TEST(test_complete)
{
	char text[16384], want[64];
	unsigned n;
	const struct config_key *k = config_keys(&n);
	FILE *f = fopen(given_source("etc/bumpwire.conf"), "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(k[i].section, "log") == 0)
			continue; /* subsystems, as a list in a comment */
		snprintf(want, sizeof(want), "%s = ", k[i].key);
		ck_assert_msg(strstr(text, want), "%s.%s", k[i].section, k[i].key);
	}
}
END_TEST

/* A thousand connections with certificates load in a time an administrator does not notice. */
START_TEST(test_many)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "tun t { }\ncacerts = ca.pem\n" SECRET);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(
		    f,
		    "connection c%u {\n remote_addrs = 10.0.%u.%u\n local { id = a.example certs = "
		    "a.pem key = a.key }\n"
		    " remote { id = peer%u.example }\n child net { remote_ts = 10.%u.%u.0/24 } }\n",
		    i, i / 256, i % 256, i, i / 256, i % 256);
	fclose(f);
	uint64_t start = clock_now_ns();
	struct config *c = given_quiet(text);
	ck_assert_uint_eq(c->ike->n_conn, 1000);
	ck_assert_str_eq(c->ike->conn[999].name, "c999");
	config_free(&c);
	ck_assert_uint_lt(clock_now_ns() - start, 30 * NS_PER_S);
	free(text);
}
END_TEST

TCase *given_whole_case(void)
{
	TCase *t = given_case("whole configurations");

	tcase_add_test(t, test_included);
	tcase_add_loop_test(t, test_example, 0, (int)ARRAY_LEN(examples));
	tcase_add_test(t, test_mirrors);
	tcase_add_test(t, test_names);
	tcase_add_test(t, test_complete);
	tcase_add_test(t, test_many);
	return t;
}
