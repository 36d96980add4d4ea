/*
 * The peer's chain: see cred.h. What it sent is looked through for keys that would cost too much ->
 * OpenSSL builds the path to an authority and checks it -> CA flags, key usage and extended key
 * usage -> the identity. The first thing wrong is told in words.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/wr.h"
#include "crypto/sig.h"
#include "ike/cred.h"
#include "ike/cred_priv.h"
#include "ike/ident_dn.h"

/* Where the sentence goes, and what it is about. */
struct verdict {
	char *why;
	size_t whylen;
	const struct cred_cas *cas;
	int64_t at;
	bool said;
};

static int no(const struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int no(const struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (v->why && v->whylen)
		vsnprintf(v->why, v->whylen, fmt, ap);
	va_end(ap);
	return -EACCES;
}

/* ---- what to write about it */

static char *subject(const X509 *cert, char out[CRED_NAME_LEN])
{
	return cred_name(X509_get_subject_name(cert), out);
}

#define DAY_LEN 32

static char *tm_text(const struct tm *tm, char out[DAY_LEN])
{
	if (strftime(out, DAY_LEN, "%Y-%m-%d %H:%M UTC", tm) == 0)
		out[0] = '\0';
	return out;
}

static char *date_text(const ASN1_TIME *t, char out[DAY_LEN])
{
	struct tm tm;

	return tm_text(ASN1_TIME_to_tm(t, &tm) ? &tm : &(struct tm){ .tm_mday = 1 }, out);
}

static char *now_text(const struct verdict *v, char out[DAY_LEN])
{
	struct tm tm = { .tm_mday = 1 };
	time_t t = (time_t)v->at;

	gmtime_r(&t, &tm);
	return tm_text(&tm, out);
}

/* The authorities that would do, as far as there is room. */
static void cas_write(const struct verdict *v, char *out, size_t max)
{
	unsigned n = v->cas ? cred_cas_count(v->cas) : 0;
	char name[CRED_NAME_LEN];
	size_t at = 0;

	snprintf(out, max, "none");
	for (unsigned i = 0; i < n; i++) {
		subject(cred_cas_cert(v->cas, i), name);
		if (at && at + strlen(name) + 16 >= max) {
			snprintf(out + at, max - at, " and %u more", n - i);
			return;
		}
		at += (size_t)snprintf(out + at, max - at, "%s%s", at ? ", " : "", name);
		if (at >= max)
			return;
	}
}

/* ---- OpenSSL's findings in words */

static int unknown_issuer(const struct verdict *v, X509 *cert, bool self)
{
	char name[CRED_NAME_LEN], issuer[CRED_NAME_LEN], ours[256];

	cas_write(v, ours, sizeof(ours));
	if (self)
		return no(v,
			  "the certificate %s is self-signed and not a trusted authority here "
			  "(trusted: %s)",
			  subject(cert, name), ours);
	return no(
	    v,
	    "the certificate %s was issued by the unknown authority %s (trusted here: %s); add "
	    "its CA certificate here, or let the peer send the intermediate certificates",
	    subject(cert, name), cred_name(X509_get_issuer_name(cert), issuer), ours);
}

static int revoked(const struct verdict *v, X509_STORE_CTX *ctx, X509 *cert)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(ctx);
	char name[CRED_NAME_LEN], issuer[CRED_NAME_LEN], day[DAY_LEN];
	X509_REVOKED *r = NULL;

	if (crl && X509_CRL_get0_by_cert(crl, &r, cert) == 1 && r)
		return no(v, "the certificate %s was revoked by %s on %s; the peer needs a new one",
			  subject(cert, name), cred_name(X509_get_issuer_name(cert), issuer),
			  date_text(X509_REVOKED_get0_revocationDate(r), day));
	return no(v, "the certificate %s is revoked; the peer needs a new one",
		  subject(cert, name));
}

static int crl_old(const struct verdict *v, X509_STORE_CTX *ctx, X509 *cert, bool early)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(ctx);
	char issuer[CRED_NAME_LEN], day[DAY_LEN] = "?";
	const ASN1_TIME *t = !crl    ? NULL
			     : early ? X509_CRL_get0_lastUpdate(crl)
				     : X509_CRL_get0_nextUpdate(crl);

	if (t)
		date_text(t, day);
	cred_name(X509_get_issuer_name(cert), issuer);
	return early
		   ? no(v, "the revocation list (CRL) of %s is only valid from %s; check the clock",
			issuer, day)
		   : no(v, "the revocation list (CRL) of %s expired on %s; fetch a new one here",
			issuer, day);
}

static int weak(const struct verdict *v, X509 *cert)
{
	char name[CRED_NAME_LEN], alg[80] = "?";

	OBJ_obj2txt(alg, sizeof(alg), OBJ_nid2obj(X509_get_signature_nid(cert)), 0);
	return no(v,
		  "the certificate %s is signed with %s, which is too weak; issue it again with "
		  "SHA-256 or better",
		  subject(cert, name), alg);
}

/* The certificate below the one at depth, for sentences about issuers. */
static X509 *below(X509_STORE_CTX *ctx, int depth)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

	return sk_X509_value(chain, depth > 0 ? depth - 1 : 0);
}

static int not_ca(const struct verdict *v, const X509 *ca, const X509 *of)
{
	char a[CRED_NAME_LEN], b[CRED_NAME_LEN];

	return no(
	    v,
	    "the certificate %s issued %s but is no CA (basicConstraints CA:TRUE and keyUsage "
	    "keyCertSign)",
	    subject(ca, a), subject(of, b));
}

static int explain_dates(const struct verdict *v, X509 *cert, int depth, int err)
{
	char name[CRED_NAME_LEN], day[DAY_LEN], now[DAY_LEN];
	const char *what = depth ? "the CA certificate" : "the certificate";

	if (err == X509_V_ERR_CERT_NOT_YET_VALID)
		return no(v, "%s %s is not valid before %s, and here it is %s; check the clocks",
			  what, subject(cert, name), date_text(X509_get0_notBefore(cert), day),
			  now_text(v, now));
	return no(v, "%s %s expired on %s (here it is %s); renew it", what, subject(cert, name),
		  date_text(X509_get0_notAfter(cert), day), now_text(v, now));
}

static int explain_crl(const struct verdict *v, X509_STORE_CTX *ctx, X509 *cert, int err)
{
	char name[CRED_NAME_LEN], issuer[CRED_NAME_LEN];

	switch (err) {
	case X509_V_ERR_CERT_REVOKED:
		return revoked(v, ctx, cert);
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return crl_old(v, ctx, cert, err == X509_V_ERR_CRL_NOT_YET_VALID);
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		return no(
		    v,
		    "there is no revocation list (CRL) of %s here to check the certificate %s "
		    "with; add it",
		    cred_name(X509_get_issuer_name(cert), issuer), subject(cert, name));
	default:
		return no(v, "the revocation list (CRL) of %s is not usable: %s",
			  cred_name(X509_get_issuer_name(cert), issuer),
			  X509_verify_cert_error_string(err));
	}
}

static int explain(const struct verdict *v, X509_STORE_CTX *ctx)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx), err = X509_STORE_CTX_get_error(ctx);
	char name[CRED_NAME_LEN];

	if (!cert)
		return no(v, "the peer's certificate could not be checked: %s",
			  X509_verify_cert_error_string(err));
	switch (err) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return explain_dates(v, cert, depth, err);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return unknown_issuer(v, cert, false);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return unknown_issuer(v, cert, true);
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return unknown_issuer(v, below(ctx, depth), false);
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return no(v,
			  "the signature on the certificate %s is wrong: it was changed, or an "
			  "authority of the same name with another key issued it",
			  subject(cert, name));
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
		return not_ca(v, cert, below(ctx, depth));
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return no(v,
			  "the CA certificate %s allows fewer CAs below it than this chain has "
			  "(pathlen of its basicConstraints)",
			  subject(cert, name));
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return no(v, "the peer's certificate chain is longer than %d", CRED_CHAIN_MAX);
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return weak(v, cert);
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return no(v, "the key of the certificate %s is too short; it needs a new one",
			  subject(cert, name));
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
		return no(v,
			  "the certificate %s has names that a CA above it may not certify "
			  "(nameConstraints)",
			  subject(cert, name));
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
		return explain_crl(v, ctx, cert, err);
	default:
		return no(v, "the certificate %s is not acceptable: %s", subject(cert, name),
			  X509_verify_cert_error_string(err));
	}
}

/* ---- the path */

/* Asked by OpenSSL about each finding, while it still knows which list and which certificate it is
 * about. Where the chain ends is trusted because it is configured, so nobody has to vouch for it.
 */
static int at_each(int ok, X509_STORE_CTX *ctx)
{
	struct verdict *v = X509_STORE_CTX_get_app_data(ctx);
	int top = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;
	int err = X509_STORE_CTX_get_error(ctx);

	if (ok)
		return 1;
	if ((err == X509_V_ERR_UNABLE_TO_GET_CRL || err == X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER) &&
	    top > 0 && X509_STORE_CTX_get_error_depth(ctx) == top)
		return 1;
	explain(v, ctx);
	v->said = true;
	return 0;
}

static int ca_flags(const struct verdict *v, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

	for (int i = 1; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);
		/* OpenSSL lets some older ways to say it pass. */
		if (X509_check_ca(cert) != 1 && !cred_cas_has(v->cas, cert))
			return not_ca(v, cert, sk_X509_value(chain, i - 1));
	}
	return 0;
}

static int path(struct verdict *v, X509 *cert, STACK_OF(X509) * others)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *none = v->cas ? NULL : X509_STORE_new();
	X509_STORE *store = v->cas ? cred_cas_store(v->cas) : none;
	int rc = -EACCES;

	if (!ctx || !store || !X509_STORE_CTX_init(ctx, store, cert, others)) {
		no(v, "out of memory");
	} else {
		X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
		unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
		if (v->cas && cred_cas_has_crl(v->cas))
			flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
		X509_VERIFY_PARAM_set_flags(p, flags);
		X509_VERIFY_PARAM_set_time(p, (time_t)v->at);
		X509_VERIFY_PARAM_set_depth(p, CRED_CHAIN_MAX);
		X509_VERIFY_PARAM_set_auth_level(p, 1);
		X509_STORE_CTX_set_app_data(ctx, v);
		X509_STORE_CTX_set_verify_cb(ctx, at_each);
		if (X509_verify_cert(ctx) == 1)
			rc = ca_flags(v, ctx);
		else if (!v->said)
			rc = explain(v, ctx);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(none);
	ERR_clear_error();
	return rc;
}

/* ---- the end certificate */

static int key_usage(const struct verdict *v, X509 *cert)
{
	char name[CRED_NAME_LEN];

	/* All bits are set when there is no such extension. */
	if (X509_get_key_usage(cert) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION))
		return 0;
	return no(v,
		  "the certificate %s may not sign (keyUsage); issue it with digitalSignature, or "
		  "without keyUsage",
		  subject(cert, name));
}

static bool purpose_ok(const ASN1_OBJECT *oid)
{
	switch (OBJ_obj2nid(oid)) {
	case NID_anyExtendedKeyUsage:
	case NID_ipsec_IKE:
	case NID_server_auth:
	case NID_client_auth:
		return true;
	default:
		return false;
	}
}

static int ext_key_usage(const struct verdict *v, X509 *cert)
{
	int critical;
	EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
	char name[CRED_NAME_LEN], has[160] = "", one[80];
	size_t at = 0;
	bool ok = !eku && critical == -1; /* there is none */

	for (int i = 0; !ok && i < sk_ASN1_OBJECT_num(eku); i++) {
		const ASN1_OBJECT *oid = sk_ASN1_OBJECT_value(eku, i);
		ok = purpose_ok(oid);
		OBJ_obj2txt(one, sizeof(one), oid, 0);
		if (at + strlen(one) + 3 < sizeof(has))
			at += (size_t)snprintf(has + at, sizeof(has) - at, "%s%s", at ? ", " : "",
					       one);
	}
	EXTENDED_KEY_USAGE_free(eku);
	if (ok)
		return 0;
	return no(v,
		  "the certificate %s is not for IKE: its extendedKeyUsage is %s; issue it with "
		  "ipsecIKE, serverAuth or clientAuth, or without extendedKeyUsage",
		  subject(cert, name), at ? has : "unreadable");
}

/* Adds one identity to the list, escaped; false when there is no more room. */
static bool name_write(struct wr *w, const char *what, struct span v)
{
	size_t back = w->len;

	if (w->len)
		wr_bytes(w, ", ", 2);
	wr_bytes(w, what, strlen(what));
	dn_write_escaped(w, v, "");
	if (wr_ok(w))
		return true;
	w->bad = false;
	w->len = back;
	return false;
}

static bool alt_name_write(struct wr *w, const GENERAL_NAME *g)
{
	char text[IP_ADDR_STRLEN];
	struct ip_addr a;
	int type;
	const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);

	if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_IPADD)
		return true;
	struct span v = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	if (type == GEN_IPADD && (v.len == 4 || v.len == 16)) {
		a = v.len == 4 ? ip_addr_from_v4(v.p) : ip_addr_from_v6(v.p);
		ip_addr_format(&a, text);
		v = span_of(text, strlen(text));
	}
	return name_write(w, "", v);
}

/* What the certificate speaks for, for the one who has to choose the right identity. */
static void idents_write(const X509 *cert, char *out, size_t max)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char dn[CRED_NAME_LEN];
	struct wr w = wr_of(out, max - 5);
	bool all = true;

	for (int i = 0; all && i < sk_GENERAL_NAME_num(names); i++)
		all = alt_name_write(&w, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	if (all && X509_NAME_entry_count(X509_get_subject_name(cert)) > 0) {
		subject(cert, dn);
		size_t back = w.len;
		if (w.len)
			wr_bytes(&w, ", ", 2);
		wr_bytes(&w, dn, strlen(dn));
		all = wr_ok(&w);
		w.len = all ? w.len : back;
	}
	snprintf(out + w.len, max - w.len, "%s", all ? w.len ? "" : "none" : " ...");
}

static int identity(const struct verdict *v, X509 *cert, const struct ident *id)
{
	char name[CRED_NAME_LEN], want[160], has[300];

	if (!id || ident_in_cert(id, cert))
		return 0;
	idents_write(cert, has, sizeof(has));
	return no(
	    v,
	    "the certificate %s does not speak for the identity %s but for: %s; change the id, "
	    "or issue the certificate with that subjectAltName",
	    subject(cert, name), ident_format(id, want, sizeof(want)), has);
}

int cred_check_own(X509 *cert, int64_t at, const struct ident *id, char *why, size_t whylen)
{
	struct verdict v = { .why = why, .whylen = whylen, .at = at };
	time_t now = (time_t)at;
	int rc = 0;

	if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
		rc = explain_dates(&v, cert, 0, X509_V_ERR_CERT_NOT_YET_VALID);
	else if (X509_cmp_time(X509_get0_notAfter(cert), &now) < 0)
		rc = explain_dates(&v, cert, 0, X509_V_ERR_CERT_HAS_EXPIRED);
	if (!rc)
		rc = key_usage(&v, cert);
	if (!rc)
		rc = ext_key_usage(&v, cert);
	if (!rc)
		rc = identity(&v, cert, id);
	ERR_clear_error();
	return rc;
}

int cred_verify(const struct cred_cas *cas, X509 *cert, STACK_OF(X509) * others, int64_t at,
		const struct ident *id, char *why, size_t whylen)
{
	struct verdict v = { .why = why, .whylen = whylen, .cas = cas, .at = at };
	STACK_OF(X509) *fit = sk_X509_new_null();
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char name[CRED_NAME_LEN];
	int rc = 0;

	if (!key || !sig_key_bounded(key))
		rc = no(&v,
			"the key of the certificate %s is of a type or size that is not used here",
			subject(cert, name));
	for (int i = 0; !rc && i < sk_X509_num(others) && i < CRED_CHAIN_MAX; i++) {
		X509 *other = sk_X509_value(others, i);
		key = X509_get0_pubkey(other);
		if (key && sig_key_bounded(key) && !sk_X509_push(fit, other))
			rc = no(&v, "out of memory");
	}
	ERR_clear_error();
	if (!rc)
		rc = path(&v, cert, fit);
	if (!rc)
		rc = key_usage(&v, cert);
	if (!rc)
		rc = ext_key_usage(&v, cert);
	if (!rc)
		rc = identity(&v, cert, id);
	sk_X509_free(fit);
	ERR_clear_error();
	return rc;
}
