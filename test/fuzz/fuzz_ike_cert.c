/*
 * What a stranger sends in CERT and CERTREQ: the bytes are certificates one after the other, each
 * behind two bytes of length, the first of them the end certificate; what is left over are the
 * hashes of a CERTREQ. They are checked against an authority made at the start (with an EC key: the
 * fuzzer cannot sign, but the root itself is among the seeds), asked for identities, and the
 * sentences must be there. One certificate alone (DER) is a seed too.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rd.h"
#include "ike/cred.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

/* The authority of the seeds in test/fuzz/corpus/ike_cert, valid until 2126. */
static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
			       "MIIBiTCCAS6gAwIBAgIUEhYK2dKtFl3BD2LGjLOytDe4w6AwCgYIKoZIzj0EAwIw\n"
			       "ITEQMA4GA1UECgwHRXhhbXBsZTENMAsGA1UEAwwEUm9vdDAgFw0yNjExMjEwODE5\n"
			       "NDlaGA8yMTI2MTAyODA4MTk0OVowITEQMA4GA1UECgwHRXhhbXBsZTENMAsGA1UE\n"
			       "AwwEUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABO4UIvoWQP6v1fPCoOga\n"
			       "2NLb58drCzJUQp9nSCXemYyZKL3NGVpua7AsZF6cyb7szdA2rV/jm1K3nGnWvbYe\n"
			       "ziyjQjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQW\n"
			       "BBRW6NXvhESyVpEQ7GPMFZqgGlSkcDAKBggqhkjOPQQDAgNJADBGAiEA0jY2lh1h\n"
			       "DC7HDphjwZpp4/Vj4dOsKaGauxro21bQQq4CIQDo+7y8UTzUDPl9H0xvjflM1PiT\n"
			       "G5CNUbYCOvPt6alsRg==\n"
			       "-----END CERTIFICATE-----\n";

static struct cred_cas *authorities(void)
{
	static struct cred_cas *cas;
	char path[] = "/tmp/bw-fuzz-XXXXXX", why[200];

	if (cas)
		return cas;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	must(f && fputs(root_pem, f) >= 0 && fclose(f) == 0);
	cas = cred_cas_new();
	must(cas && cred_cas_add(cas, path, why, sizeof(why)) == 1);
	remove(path);
	return cas;
}

static void ask(struct cred_cas *cas, X509 *end, STACK_OF(X509) * others, struct span hashes)
{
	static const char *const names[] = { "gw.example", "192.0.2.1", "a@b.example",
					     "O=Example, CN=gw", "@#0011" };
	struct cred c = { .cert = end, .chain = others };
	char why[512], text[IDENT_STRLEN];
	struct ident id;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		must(ident_parse(names[i], &id, why, sizeof(why)) == 0);
		bool in = ident_in_cert(&id, end);
		why[0] = '\0';
		int rc = cred_verify(cas, end, others, 1900000000, &id, why, sizeof(why));
		must(rc == 0 ? in : rc == -EACCES && why[0] != '\0');
		for (const char *p = why; *p; p++)
			must(*p >= 0x20 && *p < 0x7f);
		ident_fini(&id);
	}
	if (ident_from_subject(end, &id) == 0) {
		ident_format(&id, text, sizeof(text));
		if (!ident_is_pattern(&id))
			(void)ident_in_cert(&id, end);
		ident_fini(&id);
	}
	(void)cred_issued_by(&c, cas, hashes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cred_cas *cas = authorities();
	STACK_OF(X509) *others = sk_X509_new_null();
	struct rd r = rd_of(data, size);
	X509 *end = cred_cert_parse(span_of(data, size));

	EVP_PKEY_free(cred_key_parse(span_of(data, size)));
	while (!end && r.left >= 2 && sk_X509_num(others) < CRED_CHAIN_MAX + 2) {
		struct rd back = r;
		struct span der = rd_span(&r, rd_be16(&r));
		X509 *cert = rd_ok(&r) ? cred_cert_parse(der) : NULL;
		if (!cert) {
			r = back;
			break;
		}
		must(sk_X509_push(others, cert));
	}
	if (!end)
		end = sk_X509_shift(others);
	if (end)
		ask(cas, end, others, span_of(r.p, r.left));
	X509_free(end);
	sk_X509_pop_free(others, X509_free);
	must(ERR_peek_error() == 0); /* nothing is left for the next one to stumble over */
	return 0;
}
