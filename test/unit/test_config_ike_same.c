/*
 * When two connections mean the same (what a reload leaves alone): one other value of every key
 * must make a difference; and what of a configuration outlives it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "test_config_ike.h"

/* One other value of every key of a connection: none may be without an effect. */
static const struct {
	const char *section, *change, *more; /* more: so that it is allowed */
} changes[] = {
	{ "connection", "version = 2", "" },
	{ "connection", "local_addrs = 192.0.2.7", "" },
	{ "connection", "remote_addrs = c.example", "" },
	{ "connection", "local_port = 4500", "" },
	{ "connection", "remote_port = 4500", "" },
	{ "connection", "proposals = aes256gcm16-prfsha384-ecp384", "" },
	{ "connection", "allow_weak = yes", "" },
	{ "connection", "encap = yes", "" },
	{ "connection", "fragmentation = accept", "" },
	{ "connection", "fragment_size = 1400", "" },
	{ "connection", "childless = yes", "" },
	{ "connection", "aggressive = yes", "" },
	{ "connection", "exchange = base", "" },
	{ "connection", "commit_bit = yes", "" },
	{ "connection", "send_cert = always", "" },
	{ "connection", "send_certreq = no", "" },
	{ "connection", "unique = keep", "" },
	{ "connection", "keyingtries = %forever", "" },
	{ "connection", "dpd_delay = 1m", "" },
	{ "connection", "dpd_timeout = 1m", "" },
	{ "connection", "childless_timeout = 1m", "" },
	{ "connection", "rekey_time = 5h", "" },
	{ "connection", "reauth_time = 5h", "" },
	{ "connection", "over_time = 5m", "" },
	{ "connection", "rand_time = 6m", "" },
	{ "connection", "ike_life_bytes = 1M", "" },
	{ "connection.local", "auth = psk", "" },
	{ "connection.local", "id = \"C=DE, CN=a\"", "" },
	{ "connection.local", "certs = b.pem", "key = b.key id = b.example" },
	{ "connection.local", "pubkeys = a-pub.pem", "key = {a.key, a.key}" },
	{ "connection.local", "key = locked.key",
	  "certs = locked.pem passphrase = \"open sesame\" id = locked.example" },
	{ "connection.local", "passphrase = \"open sesame\"",
	  "certs = locked.pem key = locked.key id = locked.example" },
	{ "connection.local", "rsa_pss = yes", "" },
	{ "connection.remote", "auth = psk", "" },
	{ "connection.remote", "id = c.example", "" },
	{ "connection.remote", "cacerts = other.pem", "" },
	{ "connection.remote", "certs = b.pem", "" },
	{ "connection.remote", "pubkeys = b-pub.pem", "" },
	{ "connection.child", "esp_proposals = aes128gcm16", "" },
	{ "connection.child", "local_ts = 10.1.0.0/16", "" },
	{ "connection.child", "remote_ts = 10.1.0.0/16", "" },
	{ "connection.child", "mode = transport", "" },
	{ "connection.child", "pfp = remote", "start_action = trap" },
	{ "connection.child", "fragments_also = yes", "" },
	{ "connection.child", "rekey_time = 50m", "" },
	{ "connection.child", "life_time = 2h", "" },
	{ "connection.child", "rand_time = 1m", "" },
	{ "connection.child", "rekey_bytes = 1G", "" },
	{ "connection.child", "life_bytes = 1G", "" },
	{ "connection.child", "rand_bytes = 1M", "rekey_bytes = 1G" },
	{ "connection.child", "rekey_packets = 10", "" },
	{ "connection.child", "life_packets = 10", "" },
	{ "connection.child", "rand_packets = 2", "rekey_packets = 10" },
	{ "connection.child", "start_action = trap", "" },
	{ "connection.child", "dpd_action = restart", "" },
	{ "connection.child", "close_action = trap", "" },
	{ "connection.child", "inactivity = 1m", "" },
	{ "connection.child", "replay_window = 64", "" },
	{ "connection.child", "df = set", "" },
	{ "connection.child", "fragment = after", "" },
	{ "connection.child", "ecn = no", "" },
	{ "connection.child", "dscp = 46", "" },
	{ "connection.child", "mtu = 1400", "" },
	{ "connection.child", "mss_clamp = no", "" },
};

/* Puts key = value into the list of a section unless one of the same key is there. */
static void add_default(char *list, const char *change, const char *more, const char *key,
			const char *value)
{
	size_t n = strlen(key);
	const char *in_more = strstr(more, key);

	if ((strncmp(change, key, n) == 0 && change[n] == ' ') ||
	    (in_more && in_more[n] == ' ' && (in_more == more || in_more[-1] == ' ')))
		return;
	sprintf(list + strlen(list), " %s = %s", key, value);
}

/* The connection with one thing changed; without, when section is NULL. */
static struct config *load_changed(const char *section, const char *change, const char *more)
{
	static const struct {
		const char *section, *key, *value;
	} rows[] = {
		{ "connection", "remote_addrs", "b.example" },
		{ "connection.local", "certs", "a.pem" },
		{ "connection.local", "key", "a.key" },
		{ "connection.local", "id", "a.example" },
		{ "connection.remote", "cacerts", "ca.pem" },
		{ "connection.remote", "id", "b.example" },
	};
	static const char *const sections[] = { "connection", "connection.local",
						"connection.remote", "connection.child" };
	char list[4][512] = { "", "", "", "" }, text[4096];
	struct config *c;

	for (size_t i = 0; i < 4; i++) {
		bool here = section && strcmp(sections[i], section) == 0;
		if (here)
			sprintf(list[i], "%s %s", change, more);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			if (strcmp(rows[k].section, sections[i]) == 0)
				add_default(list[i], here ? change : "", here ? more : "",
					    rows[k].key, rows[k].value);
	}
	snprintf(
	    text, sizeof(text),
	    "tun t { }\n%sconnection x {\n%s\nlocal {%s}\nremote {%s}\nchild y {%s}\n}\n" SECRET,
	    section ? "" : "\n", list[0], list[1], list[2], list[3]);
	ck_assert_msg(given_load(text, &c) == 0, "%s%s", given_said, text);
	return c;
}

START_TEST(test_same)
{
	struct config *a = load_changed(NULL, "", ""), *b = load_changed("connection", "", "");

	ck_assert_int_ne(given_conn(a)->line, given_conn(b)->line);
	ck_assert(ike_conn_same(given_conn(a), given_conn(b)) &&
		  ike_child_same(given_conn(a)->child, given_conn(b)->child));
	config_free(&b);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		b = load_changed(changes[i].section, changes[i].change, changes[i].more);
		ck_assert_msg(!ike_conn_same(given_conn(a), given_conn(b)), "%s: %s", changes[i].section,
			      changes[i].change);
		bool child = strcmp(changes[i].section, "connection.child") == 0;
		ck_assert_msg(ike_child_same(given_conn(a)->child, given_conn(b)->child) != child,
			      "%s: %s", changes[i].section, changes[i].change);
		config_free(&b);
	}
	config_free(&a);
}
END_TEST

/* ... and the list above has all of them. */
START_TEST(test_all_changed)
{
	unsigned n, found;
	const struct config_key *k = config_keys(&n);

	for (unsigned i = 0; i < n; i++) {
		if (strncmp(k[i].section, "connection", 10) != 0 ||
		    strcmp(k[i].key, "ah_proposals") == 0)
			continue; /* the latter excludes esp_proposals */
		if (strcmp(k[i].key, "vips") == 0 || strcmp(k[i].key, "pools") == 0 ||
		    strcmp(k[i].key, "pull") == 0 || strcmp(k[i].key, "auth2") == 0 ||
		    strcmp(k[i].key, "xauth_id") == 0)
			continue; /* refused beside the version 2 of the others */
		found = 0;
		for (size_t m = 0; m < ARRAY_LEN(changes); m++)
			found += strcmp(changes[m].section, k[i].section) == 0 &&
				 strncmp(changes[m].change, k[i].key, strlen(k[i].key)) == 0 &&
				 changes[m].change[strlen(k[i].key)] == ' ';
		ck_assert_msg(found == 1, "%s.%s", k[i].section, k[i].key);
	}
}
END_TEST

/* Names, children and their order count too; the kind of a host as well. */
START_TEST(test_not_same)
{
	static const char *const texts[] = {
		"connection x { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection y { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { " PSK_ENDS "child c { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { " PSK_ENDS "child b { } child a { local_ts = 10.1.0.0/16 } }\n",
		"connection x { " PSK_ENDS "child a { local_ts = 10.1.0.0/16 } }\n",
		"connection x { local_addrs = 192.0.2.1 " PSK_ENDS
		"child a { local_ts = 10.1.0.0/16 } child b { } }\n",
		"connection x { local_addrs = a.example " PSK_ENDS
		"child a { local_ts = 10.1.0.0/16 } child b { } }\n",
	};
	struct config *c[ARRAY_LEN(texts)];
	char text[1024];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		snprintf(text, sizeof(text), "tun t { }\n%s" SECRET, texts[i]);
		c[i] = given_quiet(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			ck_assert_msg(ike_conn_same(given_conn(c[i]), given_conn(c[k])) == (i == k),
				      "%zu and %zu", i, k);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		config_free(&c[i]);
}
END_TEST

/* The engine's reference keeps everything when the configuration goes. */
START_TEST(test_refs)
{
	struct config *c = load_changed(NULL, "", "");
	struct ike_conf *i = ike_conf_ref(c->ike);

	config_free(&c);
	ck_assert_str_eq(i->conn->name, "x");
	ck_assert_ptr_nonnull(i->conn->auth.cred[0]->key);
	ck_assert_uint_eq(i->psks.psk->key.len, 1);
	ike_conf_unref(&i);
	ck_assert_ptr_null(i);
	ike_conf_unref(&i);
}
END_TEST

/* What is left when a file loses its last connection shares no memory with what there was. */
START_TEST(test_bare)
{
	static const char text[] =
	    "tun t { }\nconnection x {\nremote_addrs = b.example\nlocal { auth = psk }\n"
	    "remote { auth = psk }\nchild y { }\n}\n" SECRET
	    "pool p { addrs = 10.9.0.0/24 }\nuser u { secret = s }\n";
	struct config *c;

	ck_assert_msg(given_load(text, &c) == 0, "%s", given_said);
	struct ike_conf *bare = ike_conf_bare(c->ike);

	ck_assert_uint_eq(c->ike->n_pool, 1);
	ck_assert_uint_eq(c->ike->n_user, 1);
	ck_assert_uint_eq(bare->n_conn + bare->n_pool + bare->n_user + bare->psks.n, 0);
	ck_assert_ptr_null(bare->conn);
	ck_assert_ptr_null(bare->pool);
	ck_assert_ptr_null(bare->user);
	ck_assert_ptr_null(bare->cas);
	ck_assert_uint_eq(bare->half_open_ns, c->ike->half_open_ns);
	ck_assert_uint_eq(bare->cookie_threshold, c->ike->cookie_threshold);
	ck_assert_uint_eq(bare->keepalive_ns, c->ike->keepalive_ns);
	config_free(&c);
	ike_conf_unref(&bare);
	ck_assert_ptr_null(bare);
}
END_TEST

TCase *given_same_case(void)
{
	TCase *t = given_case("same");

	tcase_add_test(t, test_same);
	tcase_add_test(t, test_all_changed);
	tcase_add_test(t, test_not_same);
	tcase_add_test(t, test_refs);
	tcase_add_test(t, test_bare);
	return t;
}
