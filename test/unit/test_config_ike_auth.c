/*
 * What secrets, certificates, keys and revocation lists become, whose they are, and that none of a
 * secret stays in memory.
 */
#define _GNU_SOURCE 1 /* memmem */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "test_config_ike.h"

static void check_secret(const char *written, const char *bytes, size_t len)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x { " PSK_ENDS "child y { } }\nsecret s { secret = %s }\n",
		 written);
	struct config *c = given_quiet(text);
	ck_assert_uint_eq(c->ike->psks.n, 1);
	ck_assert_str_eq(c->ike->psks.psk->name, "s");
	ck_assert_uint_eq(c->ike->psks.psk->n_id, 0);
	ck_assert_msg(span_eq(secret_view(&c->ike->psks.psk->key), span_of(bytes, len)), "%s",
		      written);
	config_free(&c);
}

START_TEST(test_secrets)
{
	char longest[1200] = "\"", plain[1025];

	check_secret("\"with blanks\"", "with blanks", 11);
	check_secret("\"0y\"", "0y", 2);
	check_secret("0x00ff10", "\0\xff\x10", 3);
	check_secret("0X0a", "\n", 1);
	check_secret("\"0sAP8Q\"", "\0\xff\x10", 3);
	check_secret("\"0sAA==\"", "\0", 1);
	check_secret("\"file:psk\"", "\x01\x02\xff", 3);
	check_secret("\"file:pass\"", "open sesame", 11);
	memset(plain, 'x', sizeof(plain));
	memcpy(longest + 1, plain, 1024);
	memcpy(longest + 1025, "\"", 2);
	check_secret(longest, plain, 1024);
	pki_write_bytes("psk", span_of("\0\x01\0\n", 4));
	check_secret("\"file:psk\"", "\0\x01\0", 3);
}
END_TEST

START_TEST(test_owners)
{
	struct config *c =
	    given_quiet("tun t { }\nconnection x { " PSK_ENDS "child y { } }\n"
			"secret one { id = {a.example, \"C=DE, CN=b\", 192.0.2.1} secret = x }\n"
			"secret two { secret = y id = {a.example, b.example} }\n");
	const struct cred_psks *p = &c->ike->psks;

	ck_assert_uint_eq(p->n, 2);
	ck_assert_uint_eq(p->psk[0].n_id, 3);
	ck_assert_int_eq(p->psk[0].id[1].type, IKE_ID_DER_ASN1_DN);
	ck_assert_int_eq(p->psk[0].id[2].type, IKE_ID_IPV4_ADDR);
	const struct ike_conn_conf *n = given_conn(c);
	ck_assert_str_eq(cred_psk_find(p, &n->auth.id, &n->peer.id)->name, "two");
	config_free(&c);
}
END_TEST

START_TEST(test_certificates)
{
	struct config *c = given_quiet(
	    "tun t { }\ncacerts = other.pem\nconnection x {\n"
	    " local { id = a.example certs = {a.pem, locked.pem} key = {a.key, locked.key}\n"
	    "  passphrase = \"file:pass\" rsa_pss = yes }\n"
	    " remote { id = \"*.example\" cacerts = ca.pem }\n child y { } }\n"
	    "connection z { local { pubkeys = a-pub.pem key = a.key id = \"keyid:00\" }\n"
	    " remote { certs = b.pem pubkeys = b-pub.pem } child y { } }\n");
	const struct ike_conn_conf *n = c->ike->conn;

	ck_assert(n->auth.method == IKE_BY_PUBKEY && n->auth.n_cred == 2 && n->auth.pss);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(n->auth.cred[i]->cert && n->auth.cred[i]->key);
	ck_assert(n->peer.method == IKE_BY_PUBKEY && n->peer.n_cred == 0);
	ck_assert_uint_eq(cred_cas_count(n->peer.cas), 1);
	ck_assert_uint_eq(cred_cas_count(c->ike->cas), 1);
	ck_assert(ident_is_pattern(&n->peer.id));
	ck_assert(n[1].auth.n_cred == 1 && !n[1].auth.cred[0]->cert && n[1].auth.cred[0]->key);
	ck_assert(n[1].peer.n_cred == 2 && n[1].peer.cred[0]->cert && !n[1].peer.cred[1]->cert);
	ck_assert_ptr_null(n[1].peer.cas);
	config_free(&c);
}
END_TEST

/* A file to the end of one in a subfolder. */
static void copy_to(const char *from, const char *to)
{
	char *text = NULL;
	size_t len = 0;
	FILE *in = fopen(pki_path(from), "r"), *out = fopen(pki_path(to), "a");

	ck_assert(in && out);
	ck_assert_int_gt(getdelim(&text, &len, EOF, in), 0);
	fputs(text, out);
	free(text);
	fclose(in);
	fclose(out);
	ck_assert_int_eq(chmod(pki_path(to), 0600), 0);
}

/* Of a folder all that is what is looked for, in order of names; the rest is left alone. */
START_TEST(test_folders)
{
	static const char *const files[][2] = {
		{ "b.pem", "d/1.pem" }, /* no key: not one of ours */
		{ "b.pem", "d/2.pem" },     { "b.key", "d/2.pem" }, { "ca.pem", "d/3.crt" },
		{ "psk", "d/4.pem" },       { "a.pem", "d/5.pem" }, { "a.key", "d/5.key" },
		{ "a-pub.pem", "d/6.pem" },
	};

	ck_assert_int_eq(mkdir(pki_path("d"), 0700), 0);
	ck_assert_int_eq(mkdir(pki_path("d/more"), 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		copy_to(files[i][0], files[i][1]);
	struct config *c =
	    given_quiet("tun t { }\nconnection x { local { id = a.example certs = d }\n"
			" remote { certs = {d, b.pem} } child y { } }\n");
	const struct ike_conn_conf *n = given_conn(c);

	ck_assert_uint_eq(n->auth.n_cred, 2);
	ck_assert_str_eq(strrchr(n->auth.cred[0]->file, '/'), "/2.pem");
	ck_assert_str_eq(strrchr(n->auth.cred[1]->file, '/'), "/5.pem");
	ck_assert(n->auth.cred[0]->key && n->auth.cred[1]->key);
	ck_assert_uint_eq(n->peer.n_cred, 5);
	ck_assert_str_eq(strrchr(n->peer.cred[0]->file, '/'), "/1.pem");
	ck_assert_str_eq(strrchr(n->peer.cred[4]->file, '/'), "/b.pem");
	config_free(&c);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(pki_path(files[i][1]));
	ck_assert_int_eq(rmdir(pki_path("d/more")), 0);
	ck_assert_int_eq(rmdir(pki_path("d")), 0);
}
END_TEST

START_TEST(test_pkcs12)
{
	struct config *c = given_quiet(
	    "tun t { }\nconnection x { local { id = a.example certs = a.p12 passphrase = "
	    "\"open sesame\" }\n remote { certs = b.pem } child y { } }\n");
	const struct ike_conn_conf *n = given_conn(c);

	ck_assert(n->auth.n_cred == 1 && n->auth.cred[0]->cert && n->auth.cred[0]->key);
	config_free(&c);
}
END_TEST

/* A revoked certificate is refused by the authorities of the top level and by a connection's own.
 */
START_TEST(test_crls)
{
	struct config *c = given_quiet(
	    "tun t { }\ncacerts = ca.pem crls = ca.crl\nconnection x { local { auth = psk }\n"
	    " remote { cacerts = ca.pem id = b.example } child y { } }\n" SECRET
	    "connection y { local { id = a.example certs = a.pem key = a.key }\n"
	    " remote { certs = {a.pem, b.pem} } child y { } }\n");
	const struct cred_cas *cas[] = { c->ike->cas, c->ike->conn->peer.cas };
	const struct ike_auth_conf *ends = &c->ike->conn[1].peer;
	char why[512];

	for (size_t i = 0; i < ARRAY_LEN(cas); i++) {
		ck_assert_int_eq(
		    cred_verify(cas[i], ends->cred[0]->cert, NULL, PKI_NOW, NULL, why, sizeof(why)),
		    0);
		ck_assert_int_eq(
		    cred_verify(cas[i], ends->cred[1]->cert, NULL, PKI_NOW, NULL, why, sizeof(why)),
		    -EACCES);
		ck_assert_msg(strstr(why, "revoked"), "%s", why);
	}
	config_free(&c);
}
END_TEST

static unsigned find_in_heap(const char *needle)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;
	size_t len = strlen(needle);

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx rw", &lo, &hi) != 2 || !strstr(line, " rw-p") ||
		    !strstr(line, "[heap]"))
			continue;
		for (const uint8_t *p = (const uint8_t *)lo;
		     (p = memmem(p, hi - (size_t)p, needle, len)); p++)
			found++;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* After a load no secret is in the heap, and the freed configuration leaves none. */
START_TEST(test_wiped)
{
	static const char word[] = "correct-horse-battery-staple", phrase[] = "open sesame";
	char text[1024];
	struct config *c;

	mallopt(M_MMAP_THRESHOLD, 1 << 28); /* everything in one heap */
	snprintf(text, sizeof(text),
		 "tun t { }\nconnection x { local { certs = locked.pem key = locked.key id = "
		 "locked.example\n"
		 " passphrase = \"%s\" } remote { auth = psk id = b.example } child y { } }\n"
		 "secret s { secret = \"%s\" }\n",
		 phrase, word);
	ck_assert_msg(given_load(text, &c) == 0, "%s", given_said);
	wipe(text, sizeof(text));
	ck_assert_uint_eq(find_in_heap(word), 0);
	ck_assert_uint_eq(find_in_heap(phrase), 0);
	ck_assert(span_eq(secret_view(&c->ike->psks.psk->key), span_of(word, strlen(word))));
	config_free(&c);
	ck_assert_uint_eq(find_in_heap(word), 0);
}
END_TEST

TCase *given_auth_case(void)
{
	TCase *t = given_case("authentication");

	tcase_add_test(t, test_secrets);
	tcase_add_test(t, test_owners);
	tcase_add_test(t, test_certificates);
	tcase_add_test(t, test_folders);
	tcase_add_test(t, test_pkcs12);
	tcase_add_test(t, test_crls);
	tcase_add_test(t, test_wiped);
	return t;
}
