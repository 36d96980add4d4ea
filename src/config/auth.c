/*
 * Who proves what, and how: local and remote sections to struct ike_auth_conf. The files they name
 * are read here, so that a configuration whose certificates cannot be used is never taken; what
 * only may go wrong (a certificate that has expired, an identity that is not in it) is a warning.
 */
#include <dirent.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "config/internal.h"

/* The n-th value of a key, from 0; NULL when there are not so many. */
static const struct value *value_at(const struct item *it, const char *key, unsigned n)
{
	for (unsigned i = 0; i < it->n_entry; i++)
		if (it->entry[i].v && strcmp(it->entry[i].row->doc.key, key) == 0 && n-- == 0)
			return it->entry[i].v;
	return NULL;
}

static unsigned values(const struct item *it, const char *key)
{
	unsigned n = 0;

	while (value_at(it, key, n))
		n++;
	return n;
}

static void say_why(struct loader *ld, const struct value *v, const char *key, const char *why,
		    const char *expected)
{
	report_value(ld, v, "%s: %s%s%s", key, why, strstr(why, "expected") ? "" : "; expected ",
		     strstr(why, "expected") ? "" : expected);
}

/* Others should not be able to read a private key; whether they may is the administrator's. */
static void check_key_mode(struct loader *ld, const struct value *v, const char *key,
			   const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 077)
		warn_value(ld, v, "%s: group or others can use %s; expected mode 0600 or 0400", key,
			   path);
}

/* One certificate or public key, and its private key where own is wanted. */
static void read_cred(struct loader *ld, const char *key, const struct value *v,
		      const struct value *own, const struct secret *pass, struct vec *out)
{
	char *path = path_beside(v->src, v->text),
	     *own_path = own ? path_beside(own->src, own->text) : NULL;
	char why[512] = "";
	struct cred *c = NULL;

	if (have_memory(ld, path) && (!own || have_memory(ld, own_path))) {
		int rc = cred_load(path, own_path, pass ? (const char *)pass->p : NULL, &c, why,
				   sizeof(why));
		if (rc == -ENOMEM)
			have_memory(ld, NULL);
		else if (rc)
			say_why(ld, v, key, why,
				"a file with a certificate or public key, and its private key");
		else if (!vec_push(ld, out, &c, sizeof(c)))
			cred_unref(&c);
		if (rc == 0 && c && c->key)
			check_key_mode(ld, own ? own : v, own ? "key" : key, own ? own_path : path);
	}
	free(path);
	free(own_path);
}

/* NAME.key beside a file NAME.pem of a folder; NULL: there is none. */
static char *key_beside(const char *path)
{
	const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
	int stem = dot && dot > slash ? (int)(dot - path) : (int)strlen(path);
	char *key = NULL;

	if (asprintf(&key, "%.*s.key", stem, path) < 0)
		return NULL;
	if (strcmp(key, path) == 0 || access(key, F_OK)) {
		free(key);
		key = NULL;
	}
	return key;
}

/* A file of a folder, taken when it is what is looked for: a certificate, of our own with its key.
 * What a folder holds besides is left alone. */
static void try_cred(struct loader *ld, const char *key, const struct value *v, const char *path,
		     bool own, const struct secret *pass, struct vec *out)
{
	char *own_path = own ? key_beside(path) : NULL;
	struct cred *c = NULL;
	char why[512];

	int rc = cred_load(path, own_path, own && pass ? (const char *)pass->p : NULL, &c, why,
			   sizeof(why));
	if (rc == -ENOMEM)
		have_memory(ld, NULL);
	if (rc == 0 && (!c->cert || (own && !c->key) || !vec_push(ld, out, &c, sizeof(c))))
		cred_unref(&c);
	if (c && own)
		check_key_mode(ld, v, key, own_path ? own_path : path);
	free(own_path);
}

/* The certificates of a folder, in order of names. */
static void read_folder(struct loader *ld, const char *key, const struct value *v,
			const char *folder, bool own, const struct secret *pass, struct vec *out)
{
	struct dirent **names;
	unsigned had = out->n;
	int n = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char *path = NULL;
		if (names[i]->d_name[0] != '.' && !ld->no_memory &&
		    have_memory(ld, asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0
					? (path = NULL)
					: path))
			try_cred(ld, key, v, path, own, pass, out);
		free(path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (out->n == had && !ld->no_memory)
		report_value(ld, v,
			     own ? "%s: nothing to be used in the folder %s; expected "
				   "certificates, and their private keys in the same files "
				   "or as NAME.key beside NAME.pem"
				 : "%s: no certificate in the folder %s; expected some",
			     key, folder);
}

static bool is_folder(const struct value *v, char **path)
{
	struct stat st;

	*path = path_beside(v->src, v->text);
	return *path && stat(*path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A date of a certificate as people read it. */
static const char *date_text(const ASN1_TIME *t, char out[32])
{
	struct tm tm;

	if (!t || !ASN1_TIME_to_tm(t, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(out, 32, "an unknown date");
	return out;
}

static void check_dates(struct loader *ld, const struct value *v, const struct cred *c)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
	const ASN1_TIME *from = X509_get0_notBefore(c->cert), *to = X509_get0_notAfter(c->cert);
	char date[32];

	if (X509_cmp_time(to, &now) < 0)
		warn_value(
		    ld, v,
		    "certs: %s has expired on %s and peers will refuse it; expected a valid one",
		    c->file, date_text(to, date));
	else if (X509_cmp_time(from, &now) > 0)
		warn_value(ld, v,
			   "certs: %s is not valid before %s and peers will refuse it; expected a "
			   "valid one",
			   c->file, date_text(from, date));
}

/* Without an id the subject of the certificate is one. */
static void check_subject(struct loader *ld, const struct item *it, const struct cred *c)
{
	struct ident id = { 0 };
	char title[ITEM_STRLEN];

	if (c->cert && ident_from_subject(c->cert, &id) == -ENOENT)
		warn_item(ld, it,
			  "%s has no id, and %s no subject that could be one; expected id = one of "
			  "its subjectAltNames",
			  item_title(it, title), c->file);
	ident_fini(&id);
}

/* Peers look for our identity in our certificate. */
static void check_own_id(struct loader *ld, const struct item *it, const struct ike_auth_conf *a)
{
	char id[IDENT_STRLEN];
	unsigned certs = 0;

	for (unsigned i = 0; i < a->n_cred && !a->id.type; i++)
		check_subject(ld, it, a->cred[i]);
	for (unsigned i = 0; i < a->n_cred; i++) {
		if (a->cred[i]->cert && ident_in_cert(&a->id, a->cred[i]->cert))
			return;
		certs += a->cred[i]->cert != NULL;
	}
	if (certs && a->id.type)
		warn_value(ld, key_value(it, "id"),
			   "id = \"%s\" is not in %s, and peers may refuse it; expected its "
			   "subject or one of its "
			   "subjectAltNames",
			   ident_format(&a->id, id, sizeof(id)),
			   certs > 1 ? "any of the certificates" : a->cred[0]->file);
}

/* A file with its key, or a folder of them. */
static void read_own_value(struct loader *ld, const char *key, const struct value *v,
			   const struct value *own, const struct secret *pass, struct vec *out)
{
	char *folder;

	if (!is_folder(v, &folder) || strcmp(key, "certs") != 0)
		read_cred(ld, key, v, own, pass, out);
	else if (own)
		report_value(ld, v,
			     "certs: %s is a folder, and key names a file; expected no key: those "
			     "of a folder are in it",
			     folder);
	else
		read_folder(ld, key, v, folder, true, pass, out);
	free(folder);
}

/* Reads certs and pubkeys; the keys go with them in this order. */
static void read_own(struct loader *ld, const struct item *it, struct ike_auth_conf *out)
{
	unsigned certs = values(it, "certs"), raw = values(it, "pubkeys"), keys = values(it, "key");
	const struct value *pass = key_value(it, "passphrase");
	struct secret phrase = { 0 };
	struct vec v = { 0 };

	if (keys && keys != certs + raw) {
		report_value(ld, key_value(it, "key"),
			     "key has %u files for %u in certs and pubkeys; expected one for each, "
			     "in their order",
			     keys, certs + raw);
		return;
	}
	if (pass && !passphrase_read(ld, pass, "passphrase", &phrase))
		return;
	for (unsigned i = 0; i < certs + raw && !ld->no_memory; i++) {
		const char *key = i < certs ? "certs" : "pubkeys";
		const struct value *file = value_at(it, key, i < certs ? i : i - certs);
		unsigned had = v.n;
		read_own_value(ld, key, file, value_at(it, "key", i), pass ? &phrase : NULL, &v);
		for (; had < v.n; had++) {
			const struct cred *c = ((struct cred **)v.p)[had];
			if (!c->key)
				report_value(
				    ld, file,
				    "%s: %s has no private key; expected key = FILE beside it", key,
				    c->file);
			else if (c->cert)
				check_dates(ld, file, c);
		}
	}
	secret_free(&phrase);
	out->cred = v.p;
	out->n_cred = v.n;
}

/* Keys that only mean something with certificates. */
static void warn_useless(struct loader *ld, const struct item *it)
{
	static const char *const keys[] = { "certs", "pubkeys", "key", "passphrase", "cacerts" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (key_value(it, keys[i]))
			warn_value(ld, key_value(it, keys[i]),
				   "%s has no effect without auth = pubkey; expected that",
				   keys[i]);
}

void auth_local_build(struct loader *ld, const struct item *it, struct ike_auth_conf *out)
{
	const struct value *id = key_value(it, "id");
	unsigned errors = ld->errors;
	char title[ITEM_STRLEN];

	keys_apply(ld, it, out);
	if (out->id.type && ident_is_pattern(&out->id))
		report_value(ld, id,
			     "id = \"%.64s\" is a pattern; expected one identity to be sent",
			     id->text);
	if (out->method != IKE_BY_PUBKEY) {
		warn_useless(ld, it);
		return;
	}
	read_own(ld, it, out);
	if (ld->errors != errors)
		return;
	if (!out->n_cred)
		report_item(ld, it,
			    "%s has nothing to prove itself with; expected certs or pubkeys with a "
			    "key, or auth = psk",
			    item_title(it, title));
	else
		check_own_id(ld, it, out);
}

struct cred_cas *cas_read(struct loader *ld, const struct item *it)
{
	struct cred_cas *cas = NULL;
	char why[512];

	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		if (!e->v || strcmp(e->row->doc.key, "cacerts") != 0)
			continue;
		char *path = path_beside(e->v->src, e->v->text);
		if (!cas)
			cas = cred_cas_new();
		if (have_memory(ld, path) && have_memory(ld, cas)) {
			int n = cred_cas_add(cas, path, why, sizeof(why));
			if (n < 0)
				say_why(ld, e->v, "cacerts", why, "certificates of authorities");
			else if (n == 0)
				warn_value(
				    ld, e->v,
				    "cacerts: no certificate in %s; expected those of authorities",
				    path);
		}
		free(path);
	}
	for (unsigned i = 0; cas && i < ld->top.n_entry; i++) {
		const struct entry *e = &ld->top.entry[i];
		if (!e->v || strcmp(e->row->doc.key, "crls") != 0)
			continue;
		char *path = path_beside(e->v->src, e->v->text);
		if (have_memory(ld, path) && cred_cas_add_crl(cas, path, why, sizeof(why)) < 0 &&
		    !ld->crls_bad) {
			say_why(ld, e->v, "crls", why, "certificate revocation lists");
			ld->crls_bad = true; /* once, however many connections have authorities */
		}
		free(path);
	}
	return cas;
}

void auth_remote_build(struct loader *ld, const struct item *it, const struct cred_cas *cas,
		       struct ike_auth_conf *out)
{
	struct vec v = { 0 };
	unsigned errors = ld->errors;
	char title[ITEM_STRLEN];

	keys_apply(ld, it, out);
	if (out->method != IKE_BY_PUBKEY) {
		warn_useless(ld, it);
		return;
	}
	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		bool certs = e->v && strcmp(e->row->doc.key, "certs") == 0;
		char *folder = NULL;
		if (certs && is_folder(e->v, &folder))
			read_folder(ld, "certs", e->v, folder, false, NULL, &v);
		else if (certs || (e->v && strcmp(e->row->doc.key, "pubkeys") == 0))
			read_cred(ld, e->row->doc.key, e->v, NULL, NULL, &v);
		free(folder);
	}
	out->cred = v.p;
	out->n_cred = v.n;
	out->cas = cas_read(ld, it);
	if (ld->errors != errors)
		return;
	if (!out->n_cred && !out->cas && !cas)
		report_item(ld, it,
			    "%s has nothing to check the peer with; expected cacerts here or at "
			    "the top level, "
			    "certs or pubkeys, or auth = psk",
			    item_title(it, title));
	else if (!out->n_cred && !out->id.type)
		warn_item(ld, it,
			  "%s has no id: anyone with a certificate of these authorities may "
			  "connect; expected id = "
			  "WHO",
			  item_title(it, title));
}
