/*
 * Chains of certificates with every flaw: names, times, key usage, length, revocation lists,
 * hostile keys; and several threads that check at once.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "test_ike_cred.h"

static STACK_OF(X509) * stack(X509 *a, X509 *b)
{
	STACK_OF(X509) *s = sk_X509_new_null();

	if (a)
		sk_X509_push(s, a);
	if (b)
		sk_X509_push(s, b);
	return s;
}

/* says NULL: accepted. */
static void verdict(X509 *cert, X509 *other, const char *id_text, const char *says)
{
	STACK_OF(X509) *others = stack(other, NULL);
	struct ident id;
	char why[512] = "";

	if (id_text)
		id = must_parse(id_text);
	int rc = cred_verify(cas, cert, others, PKI_NOW, id_text ? &id : NULL, why, sizeof(why));
	if (says)
		ck_assert_msg(rc == -EACCES && strstr(why, says), "%d \"%s\" does not say \"%s\"",
			      rc, why, says);
	else
		ck_assert_msg(rc == 0, "%s", why);
	ck_assert_int_eq(cred_verify(cas, cert, others, PKI_NOW, id_text ? &id : NULL, NULL, 0),
			 rc);
	if (id_text)
		ident_fini(&id);
	sk_X509_free(others);
}

START_TEST(test_chain_good)
{
	verdict(gw.cert, mid.cert, NULL, NULL);
	verdict(gw.cert, mid.cert, "gw.example", NULL);
	verdict(gw.cert, mid.cert, "192.0.2.1", NULL);
	verdict(gw.cert, mid.cert, "a@b.example", NULL);
	verdict(gw.cert, mid.cert, "O=Example, CN=gw", NULL);
	verdict(mid.cert, NULL, NULL, "may not sign (keyUsage)");
	/* the intermediate as an authority of its own */
	struct cred_cas *just = cred_cas_new(), *was = cas;
	must_add(just, pki_write_cert("mid.pem", &mid.cert, 1), 1);
	cas = just;
	verdict(gw.cert, NULL, "gw.example", NULL);
	cas = was;
	cred_cas_unref(&just);
}
END_TEST

START_TEST(test_chain_keys)
{
	static const struct {
		enum pki_key kind;
		bool pss;
		const char *md;
	} of[] = {
		{ PKI_RSA, false, NULL },      { PKI_RSA, true, "SHA512" },
		{ PKI_RSA_PSS, true, NULL },   { PKI_P256, false, NULL },
		{ PKI_P384, false, "SHA384" }, { PKI_P521, false, "SHA512" },
		{ PKI_ED25519, false, NULL },  { PKI_ED448, false, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		struct cred_cas *own = cred_cas_new(), *was = cas;
		struct pki ca = pki_make(&(struct pki_opt){ .subject = "CN=Root",
							    .ca = true,
							    .kind = of[i].kind,
							    .pss = of[i].pss,
							    .md = of[i].md },
					 NULL);
		struct pki leaf = pki_make(
		    &(struct pki_opt){
			.subject = "CN=x", .kind = of[i].kind, .pss = of[i].pss, .md = of[i].md },
		    &ca);
		must_add(own, pki_write_cert("ca.pem", &ca.cert, 1), 1);
		cas = own;
		verdict(leaf.cert, NULL, "CN=x", NULL);
		X509 *forged = pki_forge(leaf.cert);
		verdict(forged, NULL, NULL, "signature on the certificate \"CN=x\" is wrong");
		X509_free(forged);
		cas = was;
		cred_cas_unref(&own);
		pki_fini(&leaf);
		pki_fini(&ca);
	}
}
END_TEST

static const struct {
	struct pki_opt opt;
	const char *id;
	const char *says;
} leaves[] = {
	{ { .subject = "CN=x", .from = PKI_NOW - 9 * PKI_DAY, .to = PKI_NOW - PKI_DAY },
	  NULL,
	  "the certificate \"CN=x\" expired on 2029-12-31 00:00 UTC (here it is 2030-01-01 00:00 "
	  "UTC)" },
	{ { .subject = "CN=x", .from = PKI_NOW + PKI_DAY },
	  NULL,
	  "the certificate \"CN=x\" is not valid before 2030-01-02 00:00 UTC, and here it is "
	  "2030-01-01 00:00 UTC" },
	{ { .subject = "CN=x", .eku = "codeSigning,emailProtection" },
	  NULL,
	  "the certificate \"CN=x\" is not for IKE: its extendedKeyUsage is Code Signing, E-mail "
	  "Protection" },
	{ { .subject = "CN=x", .eku = "codeSigning,1.3.6.1.5.5.7.3.17" }, NULL, NULL },
	{ { .subject = "CN=x", .eku = "serverAuth" }, NULL, NULL },
	{ { .subject = "CN=x", .eku = "clientAuth" }, NULL, NULL },
	{ { .subject = "CN=x", .eku = "anyExtendedKeyUsage" }, NULL, NULL },
	{ { .subject = "CN=x", .usage = "critical,keyEncipherment" },
	  NULL,
	  "the certificate \"CN=x\" may not sign (keyUsage)" },
	{ { .subject = "CN=x", .usage = "nonRepudiation" }, NULL, NULL },
	{ { .subject = "CN=x", .usage = "" }, NULL, NULL },
	{ { .subject = "CN=x", .md = "SHA1" },
	  NULL,
	  "\"CN=x\" is signed with ecdsa-with-SHA1, which is too weak" },
	{ { .subject = "CN=x", .san = "DNS:b.example,IP:192.0.2.9,email:x@y" },
	  "a.example",
	  "the certificate \"CN=x\" does not speak for the identity a.example but for: b.example, "
	  "192.0.2.9, x@y, \"CN=x\"" },
	{ { .subject = "CN=x" }, "CN=y", "for the identity CN=y but for: \"CN=x\"" },
	{ { .subject = NULL }, "CN=y", "for the identity CN=y but for: none" },
	{ { .subject = "CN=x", .san = "DNS:*.example" },
	  "a.example",
	  "but for: *.example, \"CN=x\"" },
	{ { .subject = "CN=x" }, "%any", "does not speak for" },
};

START_TEST(test_leaf)
{
	struct pki x = pki_make(&leaves[_i].opt, &root);

	verdict(x.cert, NULL, leaves[_i].id, leaves[_i].says);
	pki_fini(&x);
}
END_TEST

/* What is wrong with one's own certificate shows without authorities. */
START_TEST(test_own)
{
	struct pki x = pki_make(&leaves[_i].opt, &root);
	struct ident id;
	char why[512] = "";

	if (leaves[_i].id)
		id = must_parse(leaves[_i].id);
	int rc = cred_check_own(x.cert, PKI_NOW, leaves[_i].id ? &id : NULL, why, sizeof(why));
	/* the signature is the authority's */
	const char *says = leaves[_i].opt.md ? NULL : leaves[_i].says;
	ck_assert_int_eq(rc, says ? -EACCES : 0);
	ck_assert_msg(!says || strstr(why, says), "\"%s\" does not say \"%s\"", why, says);
	if (leaves[_i].id)
		ident_fini(&id);
	pki_fini(&x);
}
END_TEST

START_TEST(test_unknown_authority)
{
	struct pki x = pki_make(&(struct pki_opt){ .subject = "CN=x" }, &foreign);
	struct pki self = pki_make(&(struct pki_opt){ .subject = "CN=me" }, NULL);
	struct pki twin =
	    pki_make(&(struct pki_opt){ .subject = "O=Example, CN=Root", .ca = true }, NULL);
	struct pki by_twin = pki_make(&(struct pki_opt){ .subject = "CN=z" }, &twin);
	struct cred_cas *was = cas;

	verdict(x.cert, NULL, NULL,
		"\"CN=x\" was issued by the unknown authority \"CN=Foreign CA\" (trusted here: "
		"\"O=Example, CN=Root\")");
	verdict(x.cert, foreign.cert, NULL,
		"\"CN=x\" was issued by the unknown authority \"CN=Foreign CA\"");
	verdict(gw.cert, NULL, NULL, "issued by the unknown authority \"O=Example, CN=Mid\"");
	verdict(self.cert, NULL, NULL, "\"CN=me\" is self-signed and not a trusted authority");
	/* the name of an authority and another key */
	verdict(by_twin.cert, twin.cert, NULL, "unknown authority \"O=Example, CN=Root\"");
	cas = NULL;
	verdict(gw.cert, mid.cert, NULL, "(trusted here: none)");
	cas = cred_cas_new();
	verdict(gw.cert, mid.cert, NULL, "(trusted here: none)");
	cred_cas_unref(&cas);
	cas = was;
	pki_fini(&x);
	pki_fini(&self);
	pki_fini(&twin);
	pki_fini(&by_twin);
}
END_TEST

static const struct {
	struct pki_opt opt; /* of the intermediate */
	const char *says;
} middles[] = {
	{ { .subject = "CN=M", .ca = true, .to = PKI_NOW - 1 },
	  "the CA certificate \"CN=M\" expired on 2029-12-31 23:59 UTC" },
	{ { .subject = "CN=M", .ca = true, .from = PKI_NOW + 60 },
	  "the CA certificate \"CN=M\" is not valid before 2030-01-01 00:01 UTC" },
	{ { .subject = "CN=M" }, "the certificate \"CN=M\" issued \"CN=x\" but is no CA" },
	{ { .subject = "CN=M", .basic = "", .usage = "keyCertSign" },
	  "the certificate \"CN=M\" issued \"CN=x\" but is no CA" },
	{ { .subject = "CN=M", .ca = true, .usage = "digitalSignature" }, "\"CN=M\"" },
	{ { .subject = "CN=M", .ca = true, .md = "SHA1" }, "\"CN=M\" is signed with" },
	{ { .subject = "CN=M", .ca = true, .constraints = "permitted;DNS:.other" },
	  "the certificate \"CN=x\" has names that a CA above it may not certify" },
	{ { .subject = "CN=M", .ca = true, .constraints = "permitted;DNS:example" }, NULL },
	{ { .subject = "CN=M", .ca = true, .pathlen = 1 }, NULL },
};

START_TEST(test_middle)
{
	struct pki m = pki_make(&middles[_i].opt, &root);
	struct pki x = pki_make(&(struct pki_opt){ .subject = "CN=x", .san = "DNS:x.example" }, &m);

	verdict(x.cert, m.cert, "x.example", middles[_i].says);
	pki_fini(&x);
	pki_fini(&m);
}
END_TEST

START_TEST(test_path_length)
{
	struct pki ca =
	    pki_make(&(struct pki_opt){ .subject = "CN=R", .ca = true, .pathlen = 1 }, NULL);
	struct pki m = pki_make(&(struct pki_opt){ .subject = "CN=M", .ca = true }, &ca);
	struct pki x = pki_make(&(struct pki_opt){ .subject = "CN=x" }, &m);

	must_add(cas, pki_write_cert("r.pem", &ca.cert, 1), 1);
	verdict(x.cert, m.cert, NULL, "the CA certificate \"CN=R\" allows fewer CAs below it");
	pki_fini(&x);
	pki_fini(&m);
	pki_fini(&ca);
}
END_TEST

START_TEST(test_expired_root)
{
	struct pki ca = pki_make(&(struct pki_opt){ .subject = "CN=R",
						    .ca = true,
						    .from = PKI_NOW - 9 * PKI_DAY,
						    .to = PKI_NOW - PKI_DAY },
				 NULL);
	struct pki x = pki_make(&(struct pki_opt){ .subject = "CN=x" }, &ca);

	must_add(cas, pki_write_cert("r.pem", &ca.cert, 1), 1);
	verdict(x.cert, NULL, NULL, "the CA certificate \"CN=R\" expired on 2029-12-31 00:00 UTC");
	pki_fini(&x);
	pki_fini(&ca);
}
END_TEST

START_TEST(test_too_long)
{
	struct pki link[CRED_CHAIN_MAX + 3];
	STACK_OF(X509) *others = sk_X509_new_null();
	char name[32], why[512];
	unsigned n = ARRAY_LEN(link);

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "CN=link %u", i);
		link[i] = pki_make(&(struct pki_opt){ .subject = name,
						      .ca = true,
						      .usage = "digitalSignature,keyCertSign" },
				   i ? &link[i - 1] : &root);
	}
	for (unsigned i = 1; i < n; i++)
		sk_X509_push(others, link[n - 1 - i].cert);
	ck_assert_int_eq(
	    cred_verify(cas, link[n - 1].cert, others, PKI_NOW, NULL, why, sizeof(why)), -EACCES);
	ck_assert_ptr_nonnull(strstr(why, "unknown authority \"CN=link "));
	/* what is beyond the tenth is not looked at, also when it would help */
	ck_assert_int_eq(cred_verify(cas, link[1].cert, others, PKI_NOW, NULL, why, sizeof(why)),
			 -EACCES);
	sk_X509_zero(others);
	sk_X509_push(others, link[0].cert);
	ck_assert_int_eq(cred_verify(cas, link[1].cert, others, PKI_NOW, NULL, why, sizeof(why)),
			 0);
	sk_X509_free(others);
	for (unsigned i = 0; i < n; i++)
		pki_fini(&link[i]);
}
END_TEST

static void add_crl(const struct pki *by, X509 *const *revoked, unsigned n, int64_t at,
		    const char *file)
{
	X509_CRL *crl = pki_crl(by, revoked, n, at);
	char why[300] = "";

	ck_assert_msg(cred_cas_add_crl(cas, pki_write_crl(file, crl), why, sizeof(why)) == 1, "%s",
		      why);
	X509_CRL_free(crl);
}

START_TEST(test_crl)
{
	struct pki bad = pki_make(&(struct pki_opt){ .subject = "CN=lost" }, &mid);
	char why[300];

	add_crl(&root, NULL, 0, PKI_NOW, "root.crl");
	verdict(gw.cert, mid.cert, NULL,
		"there is no revocation list (CRL) of \"O=Example, CN=Mid\" here");
	add_crl(&mid, &bad.cert, 1, PKI_NOW, "mid.crl");
	verdict(gw.cert, mid.cert, "gw.example", NULL);
	verdict(bad.cert, mid.cert, NULL,
		"the certificate \"CN=lost\" was revoked by \"O=Example, CN=Mid\" on 2029-12-31");
	ck_assert_int_eq(cred_cas_add_crl(cas, pki_path("root.pem"), why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "no certificate revocation list found"));
	ck_assert_int_eq(cred_cas_add_crl(cas, pki_folder(), why, sizeof(why)), 2);
	pki_fini(&bad);
}
END_TEST

START_TEST(test_crl_middle)
{
	add_crl(&root, &mid.cert, 1, PKI_NOW, "root.crl");
	add_crl(&mid, NULL, 0, PKI_NOW, "mid.crl");
	verdict(gw.cert, mid.cert, NULL, "the certificate \"O=Example, CN=Mid\" was revoked");
}
END_TEST

START_TEST(test_crl_dates)
{
	add_crl(&root, NULL, 0, PKI_NOW, "root.crl");
	add_crl(&mid, NULL, 0, _i ? PKI_NOW + 9 * PKI_DAY : PKI_NOW - 9 * PKI_DAY, "mid.crl");
	verdict(gw.cert, mid.cert, NULL,
		_i ? "CRL) of \"O=Example, CN=Mid\" is only valid from 2030-01-09"
		   : "CRL) of \"O=Example, CN=Mid\" expired on 2029-12-24");
}
END_TEST

/* An authority that is no root is trusted by itself, so no list of the root is needed for it. */
START_TEST(test_crl_partial)
{
	struct cred_cas *was = cas;

	cas = cred_cas_new();
	must_add(cas, pki_write_cert("mid.pem", &mid.cert, 1), 1);
	add_crl(&mid, NULL, 0, PKI_NOW, "mid.crl");
	verdict(gw.cert, NULL, "gw.example", NULL);
	cred_cas_unref(&cas);
	cas = was;
}
END_TEST

/* A key whose use would take long is refused before it is used. */
START_TEST(test_hostile_key)
{
	struct pki x = pki_make(&(struct pki_opt){ .subject = "CN=x", .kind = PKI_RSA }, &root);
	BIGNUM *n = NULL, *e = NULL;
	char why[300] = "";

	/* the exponent 65537 becomes one of 2047 bits: the modulus less two */
	ck_assert(EVP_PKEY_get_bn_param(x.key, "n", &n) && (e = BN_dup(n)) && BN_sub_word(e, 2));
	RSA *rsa = RSA_new();
	EVP_PKEY *slow = EVP_PKEY_new();
	ck_assert(RSA_set0_key(rsa, n, e, NULL) && EVP_PKEY_assign_RSA(slow, rsa) &&
		  X509_set_pubkey(x.cert, slow) && X509_sign(x.cert, root.key, EVP_sha256()));
	ck_assert_int_eq(cred_verify(cas, x.cert, NULL, PKI_NOW, NULL, why, sizeof(why)), -EACCES);
	ck_assert_ptr_nonnull(strstr(why, "of a type or size that is not used here"));
	/* one that is too long */
	n = BN_new();
	e = BN_new();
	rsa = RSA_new();
	EVP_PKEY *huge = EVP_PKEY_new();
	ck_assert(BN_set_bit(n, 16384) && BN_add_word(n, 1) && BN_set_word(e, 65537) &&
		  RSA_set0_key(rsa, n, e, NULL) && EVP_PKEY_assign_RSA(huge, rsa) &&
		  X509_set_pubkey(x.cert, huge) && X509_sign(x.cert, root.key, EVP_sha256()));
	ck_assert_int_eq(cred_verify(cas, x.cert, NULL, PKI_NOW, NULL, why, sizeof(why)), -EACCES);
	/* as an issuer it is as if it had not been sent */
	ck_assert(X509_set_pubkey(mid.cert, huge) && X509_sign(mid.cert, root.key, EVP_sha256()));
	verdict(gw.cert, mid.cert, NULL, "issued by the unknown authority \"O=Example, CN=Mid\"");
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(huge, &der);
	ck_assert_ptr_null(cred_key_parse(span_of(der, (size_t)len)));
	OPENSSL_free(der);
	EVP_PKEY_free(slow);
	EVP_PKEY_free(huge);
	pki_fini(&x);
}
END_TEST

struct racer {
	pthread_t thread;
	X509 *cert;
	unsigned wrong;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	STACK_OF(X509) *others = stack(mid.cert, NULL);
	struct ident id = must_parse("gw.example");
	char why[300];

	for (unsigned i = 0; i < 50; i++) {
		r->wrong += cred_verify(cas, gw.cert, others, PKI_NOW, &id, why, sizeof(why)) != 0;
		r->wrong += cred_verify(cas, r->cert, others, PKI_NOW, &id, why, sizeof(why)) == 0;
	}
	ident_fini(&id);
	sk_X509_free(others);
	return NULL;
}

START_TEST(test_threads)
{
	struct racer r[4];

	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = (struct racer){ .cert = foreign.cert };
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		ck_assert_int_eq(pthread_join(r[i].thread, NULL), 0);
		ck_assert_uint_eq(r[i].wrong, 0);
	}
}
END_TEST

TCase *cred_chain_case(void)
{
	TCase *t = must_case("chains");

	tcase_add_test(t, test_chain_good);
	tcase_add_test(t, test_chain_keys);
	tcase_add_loop_test(t, test_leaf, 0, ARRAY_LEN(leaves));
	tcase_add_loop_test(t, test_own, 0, ARRAY_LEN(leaves));
	tcase_add_test(t, test_unknown_authority);
	tcase_add_loop_test(t, test_middle, 0, ARRAY_LEN(middles));
	tcase_add_test(t, test_path_length);
	tcase_add_test(t, test_expired_root);
	tcase_add_test(t, test_too_long);
	tcase_add_test(t, test_crl);
	tcase_add_test(t, test_crl_middle);
	tcase_add_loop_test(t, test_crl_dates, 0, 2);
	tcase_add_test(t, test_crl_partial);
	tcase_add_test(t, test_hostile_key);
	tcase_add_test(t, test_threads);
	return t;
}
