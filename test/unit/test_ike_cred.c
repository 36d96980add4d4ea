/*
 * Credentials from files, authorities, and whose a shared secret is. Also the runner of this
 * program; chains are in test_ike_chain.c.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_ike_cred.h"

struct pki root, mid, gw, foreign;
struct cred_cas *cas;

void must_add(struct cred_cas *c, const char *path, int n)
{
	char why[300] = "";

	ck_assert_msg(cred_cas_add(c, path, why, sizeof(why)) == n, "%s: %s", path, why);
}

static void setup(void)
{
	root = pki_make(&(struct pki_opt){ .subject = "O=Example, CN=Root", .ca = true }, NULL);
	mid = pki_make(&(struct pki_opt){ .subject = "O=Example, CN=Mid", .ca = true }, &root);
	gw = pki_make(&(struct pki_opt){ .subject = "O=Example, CN=gw",
					 .san = "DNS:gw.example,IP:192.0.2.1,email:a@b.example" },
		      &mid);
	foreign = pki_make(&(struct pki_opt){ .subject = "CN=Foreign CA", .ca = true }, NULL);
	ck_assert_int_eq(secret_init(), 0);
	cas = cred_cas_new();
	must_add(cas, pki_write_cert("root.pem", &root.cert, 1), 1);
}

static void teardown(void)
{
	cred_cas_unref(&cas);
	pki_fini(&root);
	pki_fini(&mid);
	pki_fini(&gw);
	pki_fini(&foreign);
	pki_folder_remove();
}

TCase *must_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

struct ident must_parse(const char *text)
{
	struct ident id;
	char why[200] = "";

	ck_assert_msg(ident_parse(text, &id, why, sizeof(why)) == 0, "%s: %s", text, why);
	return id;
}

/* ---- files */

static struct cred *loads(const char *path, const char *key, const char *pass)
{
	struct cred *c;
	char why[300] = "";

	ck_assert_msg(cred_load(path, key, pass, &c, why, sizeof(why)) == 0, "%s", why);
	ck_assert_str_eq(c->file, path);
	return c;
}

static void refuses(int rc, const char *path, const char *key, const char *pass, const char *says)
{
	struct cred *c;
	char why[300] = "";

	ck_assert_int_eq(cred_load(path, key, pass, &c, why, sizeof(why)), rc);
	ck_assert_msg(strstr(why, says), "\"%s\" does not say \"%s\"", why, says);
	ck_assert_msg(strstr(why, pki_folder()), "\"%s\" names no file", why);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(cred_load(path, key, pass, &c, NULL, 0), rc);
}

START_TEST(test_load_pem)
{
	X509 *both[] = { gw.cert, mid.cert };
	const char *path = pki_write_cert("gw.pem", both, 2);
	struct cred *c = loads(path, NULL, NULL);
	uint8_t hash[20];

	ck_assert_int_eq(X509_cmp(c->cert, gw.cert), 0);
	ck_assert_int_eq(sk_X509_num(c->chain), 1);
	ck_assert_int_eq(X509_cmp(sk_X509_value(c->chain, 0), mid.cert), 0);
	ck_assert_int_eq(EVP_PKEY_eq(c->pub, gw.key), 1);
	ck_assert_ptr_null(c->key);
	/* the hash is of the whole SubjectPublicKeyInfo, not only of the bits of the key */
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(gw.key, &der);
	ck_assert(EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha1(), NULL));
	ck_assert_int_eq(memcmp(hash, c->spki_sha1, 20), 0);
	OPENSSL_free(der);
	struct cred *again = cred_ref(c);
	cred_unref(&again);
	ck_assert_ptr_null(again);
	ck_assert_int_eq(X509_cmp(c->cert, gw.cert), 0);
	cred_unref(&c);
	cred_unref(&c);
	c = loads(path, pki_write_key("gw.key", gw.key, NULL), NULL);
	ck_assert_int_eq(EVP_PKEY_eq(c->key, gw.key), 1);
	cred_unref(&c);
	c = loads(path, pki_write_key("gw.key", gw.key, "secret"), "secret");
	ck_assert_int_eq(EVP_PKEY_eq(c->key, gw.key), 1);
	cred_unref(&c);
	refuses(-EINVAL, path, pki_path("gw.key"), NULL, "gw.key: the private key is encrypted");
	refuses(-EINVAL, path, pki_path("gw.key"), "Secret", "passphrase does not open");
	refuses(-EINVAL, path, pki_write_key("mid.key", mid.key, NULL), NULL,
		"mid.key: the private key does not belong to the certificate in");
	refuses(-ENOENT, path, pki_path("nothing"), NULL, "No such file");
	refuses(-EINVAL, path, path, NULL, "no private key found");
}
END_TEST

/* Certificate, key and chain in one file, in any order; with text between. */
START_TEST(test_load_one_file)
{
	const char *path = pki_path("all.pem");

	for (unsigned order = 0; order < 2; order++) {
		FILE *f = fopen(path, "w");
		fprintf(f, "the gateway\n");
		if (order)
			ck_assert(PEM_write_PrivateKey(f, gw.key, NULL, NULL, 0, NULL, NULL));
		ck_assert(PEM_write_X509(f, gw.cert));
		fprintf(f, "\nissued by\n");
		ck_assert(PEM_write_X509(f, mid.cert));
		if (!order)
			ck_assert(PEM_write_PrivateKey(f, gw.key, NULL, NULL, 0, NULL, NULL));
		fclose(f);
		struct cred *c = loads(path, NULL, NULL);
		ck_assert_int_eq(EVP_PKEY_eq(c->key, gw.key), 1);
		ck_assert_int_eq(sk_X509_num(c->chain), 1);
		cred_unref(&c);
	}
}
END_TEST

START_TEST(test_load_der)
{
	unsigned char *der = NULL;
	int n = i2d_X509(gw.cert, &der);
	struct cred *c = loads(pki_write_bytes("gw.der", span_of(der, (size_t)n)), NULL, NULL);

	ck_assert_int_eq(X509_cmp(c->cert, gw.cert), 0);
	cred_unref(&c);
	refuses(-EINVAL, pki_write_bytes("cut.der", span_of(der, (size_t)n - 1)), NULL, NULL,
		"no certificate, public key or PKCS#12 found");
	ck_assert_ptr_null(cred_cert_parse(span_of(der, (size_t)n - 1)));
	X509 *x = cred_cert_parse(span_of(der, (size_t)n));
	ck_assert_int_eq(X509_cmp(x, gw.cert), 0);
	X509_free(x);
	uint8_t *more = calloc(1, CRED_CERT_MAX + 1);
	memcpy(more, der, (size_t)n);
	ck_assert_ptr_null(cred_cert_parse(span_of(more, (size_t)n + 1)));
	ck_assert_ptr_null(cred_cert_parse(span_of(more, CRED_CERT_MAX + 1)));
	ck_assert_ptr_null(cred_cert_parse(span_of(NULL, 0)));
	free(more);
	OPENSSL_free(der);
}
END_TEST

START_TEST(test_load_raw_key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(gw.key, &der);
	struct cred *c = loads(pki_write_bytes("gw.pub", span_of(der, (size_t)n)), NULL, NULL);

	ck_assert_ptr_null(c->cert);
	ck_assert_int_eq(EVP_PKEY_eq(c->pub, gw.key), 1);
	cred_unref(&c);
	c = loads(pki_path("gw.pub"), pki_write_key("gw.key", gw.key, NULL), NULL);
	ck_assert_ptr_nonnull(c->key);
	cred_unref(&c);
	/* a private key alone */
	c = loads(pki_path("gw.key"), NULL, NULL);
	ck_assert_int_eq(EVP_PKEY_eq(c->pub, gw.key), 1);
	ck_assert_ptr_nonnull(c->key);
	cred_unref(&c);
	refuses(-EINVAL, pki_path("gw.pub"), pki_write_key("mid.key", mid.key, NULL), NULL,
		"does not belong to the public key");
	EVP_PKEY *key = cred_key_parse(span_of(der, (size_t)n));
	ck_assert_int_eq(EVP_PKEY_eq(key, gw.key), 1);
	EVP_PKEY_free(key);
	ck_assert_ptr_null(cred_key_parse(span_of(der, (size_t)n - 1)));
	OPENSSL_free(der);
}
END_TEST

START_TEST(test_load_pkcs12)
{
	X509 *chain[] = { mid.cert, root.cert };
	const char *path = pki_write_pkcs12("gw.p12", &gw, chain, 2, "secret");
	struct cred *c = loads(path, NULL, "secret");

	ck_assert_int_eq(X509_cmp(c->cert, gw.cert), 0);
	ck_assert_int_eq(EVP_PKEY_eq(c->key, gw.key), 1);
	ck_assert_int_eq(sk_X509_num(c->chain), 2);
	cred_unref(&c);
	refuses(-EINVAL, path, NULL, NULL, "needs a passphrase");
	refuses(-EINVAL, path, NULL, "wrong", "does not open");
}
END_TEST

START_TEST(test_load_refused)
{
	static char big[(1 << 20) + 1];

	memset(big, 'x', sizeof(big));
	refuses(-EINVAL, pki_write_bytes("big", span_of(big, sizeof(big))), NULL, NULL, "larger");
	refuses(-EINVAL, pki_write_bytes("x", span_of("x", 1)), NULL, NULL, "no certificate");
	refuses(-EINVAL, pki_write_bytes("empty", span_of("", 0)), NULL, NULL, "no certificate");
	refuses(-EINVAL, pki_folder(), NULL, NULL, "not a regular file");
	refuses(-ENOENT, pki_path("nothing"), NULL, NULL, "No such file");
	/* a key that no method of IKE signs with */
	EVP_PKEY *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	refuses(-EINVAL, pki_write_key("x25519", x, NULL), NULL, NULL, "cannot sign for IKE");
	EVP_PKEY_free(x);
}
END_TEST

/* ---- authorities */

START_TEST(test_cas)
{
	X509 *two[] = { root.cert, foreign.cert };
	const char *path = pki_write_cert("two.pem", two, 2);
	struct cred_cas *c = cred_cas_new();
	char why[300] = "";

	must_add(c, path, 2);
	must_add(c, path, 0);
	ck_assert_uint_eq(cred_cas_count(c), 2);
	ck_assert_int_eq(X509_cmp(cred_cas_cert(c, 1), foreign.cert), 0);
	struct cred *leaf = loads(pki_write_cert("gw.pem", &gw.cert, 1), NULL, NULL);
	struct cred *top = loads(pki_path("root.pem"), NULL, NULL);
	ck_assert_int_eq(memcmp(cred_cas_hash(c, 0), top->spki_sha1, 20), 0);
	ck_assert_int_eq(cred_cas_add(c, pki_path("gw.pem"), why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "gw.pem: the certificate \"O=Example, CN=gw\" is no CA"));
	ck_assert_int_eq(cred_cas_add(c, pki_path("nothing"), why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "No such file"));
	ck_assert_int_eq(cred_cas_add(c, pki_write_bytes("x", span_of("x", 1)), why, sizeof(why)),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "no certificate found"));
	cred_cas_unref(&c);
	/* a folder: gw.pem and x are passed over */
	c = cred_cas_new();
	must_add(c, pki_folder(), 2);
	struct cred_cas *again = cred_cas_ref(c);
	cred_cas_unref(&again);
	ck_assert_uint_eq(cred_cas_count(c), 2);
	cred_cas_unref(&c);
	ck_assert_ptr_null(c);
	cred_cas_unref(&c);
	cred_unref(&leaf);
	cred_unref(&top);
}
END_TEST

START_TEST(test_issued_by)
{
	X509 *both[] = { gw.cert, mid.cert };
	struct cred *alone = loads(pki_write_cert("a.pem", &gw.cert, 1), NULL, NULL);
	struct cred *with = loads(pki_write_cert("w.pem", both, 2), NULL, NULL);
	struct cred *m = loads(pki_write_cert("mid.pem", &mid.cert, 1), NULL, NULL);
	struct cred *f = loads(pki_write_cert("f.pem", &foreign.cert, 1), NULL, NULL);
	uint8_t names[60];

	memcpy(names, f->spki_sha1, 20);
	memcpy(names + 20, cred_cas_hash(cas, 0), 20);
	memcpy(names + 40, m->spki_sha1, 20);
	struct span of_root = span_of(names + 20, 20), of_mid = span_of(names + 40, 20);
	ck_assert(cred_issued_by(with, cas, of_root));
	ck_assert(cred_issued_by(with, cas, of_mid));
	ck_assert(cred_issued_by(with, NULL, of_mid));
	ck_assert(!cred_issued_by(with, NULL, of_root)); /* the root's key is not known */
	ck_assert(cred_issued_by(with, cas, span_of(names, 40)));
	ck_assert(!cred_issued_by(with, cas, span_of(names, 20)));
	ck_assert(!cred_issued_by(with, cas, span_of(names, 0)));
	ck_assert(!cred_issued_by(with, cas, span_of(names + 20, 19)));
	ck_assert(!cred_issued_by(alone, cas, of_root)); /* the middle is missing */
	must_add(cas, pki_path("mid.pem"), 1);
	ck_assert(cred_issued_by(alone, cas, of_root));
	ck_assert(cred_issued_by(alone, cas, of_mid));
	cred_unref(&alone);
	cred_unref(&with);
	cred_unref(&m);
	cred_unref(&f);
}
END_TEST

/* ---- shared secrets */

static void psk_add(struct cred_psks *p, const char *name, const char *a, const char *b)
{
	const char *owner[] = { a, b };

	p->psk = reallocarray(p->psk, p->n + 1, sizeof(*p->psk));
	struct cred_psk *k = &p->psk[p->n++];
	*k = (struct cred_psk){ .name = strdup(name), .id = calloc(2, sizeof(struct ident)) };
	for (unsigned i = 0; i < 2; i++)
		if (owner[i])
			k->id[k->n_id++] = must_parse(owner[i]);
	ck_assert_int_eq(secret_copy(&k->key, span_of(name, strlen(name))), 0);
}

static void finds(const struct cred_psks *p, const char *mine, const char *peer, const char *name)
{
	struct ident m, t;

	if (mine)
		m = must_parse(mine);
	if (peer)
		t = must_parse(peer);
	const struct cred_psk *k = cred_psk_find(p, mine ? &m : NULL, peer ? &t : NULL);
	const char *got = k ? k->name : "none";
	ck_assert_msg(strcmp(got, name ? name : "none") == 0, "%s, %s: %s", mine ? mine : "-",
		      peer ? peer : "-", got);
	if (mine)
		ident_fini(&m);
	if (peer)
		ident_fini(&t);
}

START_TEST(test_psk)
{
	struct cred_psks p = { 0 };

	finds(&p, "a", "b", NULL);
	psk_add(&p, "b", "b.example", NULL);
	psk_add(&p, "a+b", "a.example", "b.example");
	psk_add(&p, "a+b again", "a.example", "b.example");
	psk_add(&p, "a+any c", "a.example", "*.c.example");
	psk_add(&p, "a+x.c", "a.example", "x.c.example");
	psk_add(&p, "addr", "192.0.2.1", NULL);
	psk_add(&p, "mine", "m.example", NULL);
	finds(&p, "a.example", "b.example", "a+b");
	finds(&p, "z.example", "b.example", "b");
	finds(&p, NULL, "b.example", "b");
	finds(&p, "a.example", "y.c.example", "a+any c");
	finds(&p, "a.example", "x.c.example", "a+x.c");
	finds(&p, "192.0.2.9", "192.0.2.1", "addr");
	finds(&p, "m.example", "whoever", "mine");
	finds(&p, "a.example", NULL, "a+b");
	/* not the secret we share with b: b could pass for d */
	finds(&p, "a.example", "d.example", NULL);
	finds(&p, NULL, "d.example", NULL);
	finds(&p, NULL, NULL, NULL);
	psk_add(&p, "any", NULL, NULL);
	finds(&p, "a.example", "d.example", "any");
	finds(&p, NULL, NULL, "any");
	finds(&p, "a.example", "b.example", "a+b");
	cred_psks_fini(&p);
	ck_assert_ptr_null(p.psk);
}
END_TEST

static TCase *file_case(void)
{
	TCase *t = must_case("cred");

	tcase_add_test(t, test_load_pem);
	tcase_add_test(t, test_load_one_file);
	tcase_add_test(t, test_load_der);
	tcase_add_test(t, test_load_raw_key);
	tcase_add_test(t, test_load_pkcs12);
	tcase_add_test(t, test_load_refused);
	tcase_add_test(t, test_cas);
	tcase_add_test(t, test_issued_by);
	tcase_add_test(t, test_psk);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ike credentials");

	suite_add_tcase(s, file_case());
	suite_add_tcase(s, cred_chain_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
