/* Connections, IKE SAs, children and certificates as JSON. Secrets never appear here. */
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "control/keying_priv.h"

#define SAS_OF_CONN 64 /* shown with a connection; all are in `list sas` */
#define TEXT        4096

static json_t *u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Seconds from a to b; null when a is none or the later one. */
static json_t *seconds(uint64_t a, uint64_t b)
{
	return a && a <= b ? u64((b - a) / NS_PER_S) : json_null();
}

/* Seconds that are left until `at`. */
static json_t *left(uint64_t at, uint64_t now)
{
	return at ? u64(at > now ? (at - now) / NS_PER_S : 0) : json_null();
}

static json_t *ident_json(const struct ident *id)
{
	char text[IDENT_STRLEN];

	return id && id->type ? json_string(ident_format(id, text, sizeof(text))) : json_null();
}

static json_t *endpoint_json(const struct endpoint *e)
{
	char text[ENDPOINT_STRLEN];

	return e->addr.ver ? json_string(endpoint_format(e, text)) : json_null();
}

static json_t *proposal_json(const struct proposal *p)
{
	char text[512];

	return p ? json_string(proposal_format(p, text, sizeof(text))) : json_null();
}

static json_t *proposals_json(const struct proposals *l)
{
	json_t *v = json_array();

	for (unsigned i = 0; i < l->n; i++)
		json_array_append_new(v, proposal_json(&l->p[i]));
	return v;
}

static json_t *ts_json(const struct ts_list *l)
{
	json_t *v = json_array();
	char text[TS_STRLEN];

	for (unsigned i = 0; l && i < l->n; i++)
		json_array_append_new(v, json_string(ts_format(&l->ts[i], text)));
	return v;
}

/* Inner addresses of IKEv1's Mode Config; nothing when there are none. */
static void set_inner(json_t *o, const char *key, const struct ip_addr a[2])
{
	char text[IP_ADDR_STRLEN];
	json_t *v = NULL;

	for (unsigned i = 0; i < 2; i++) {
		if (!a[i].ver)
			continue;
		if (!v)
			v = json_array();
		json_array_append_new(v, json_string(ip_addr_format(&a[i], text)));
	}
	if (v)
		json_object_set_new(o, key, v);
}

/* ---- IKE SAs and children ---------------------------------------------------------------------
 */

static json_t *sa_view_json(const struct ike_sa_view *v, uint64_t now)
{
	char spi_i[17], spi_r[17];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(spi_i + 2 * i, 3, "%02x", v->spi_i[i]);
		snprintf(spi_r + 2 * i, 3, "%02x", v->spi_r[i]);
	}
	json_t *o = json_pack(
	    "{s:s, s:s, s:i, s:s, s:i, s:s, s:s, s:s}", "name", v->conn ? v->conn : "", "proto",
	    "ike", "id", (int)v->id, "state", v->state, "version", (int)v->version, "started_by",
	    v->initiator ? "us" : "peer", "spi_i", spi_i, "spi_r", spi_r);
	if (!o)
		return NULL;
	json_object_set_new(o, "local", endpoint_json(&v->local));
	json_object_set_new(o, "remote", endpoint_json(&v->remote));
	json_object_set_new(o, "local_id", ident_json(v->local_id));
	json_object_set_new(o, "remote_id", ident_json(v->remote_id));
	if (v->user)
		json_object_set_new(o, "user", json_string(v->user));
	set_inner(o, "vips", v->vip);
	set_inner(o, "leases", v->lease);
	json_object_set_new(o, "proposal", proposal_json(v->proposal));
	json_object_set_new(o, "age_s", seconds(v->established_ns, now));
	json_object_set_new(o, "rekey_in_s", left(v->rekey_ns, now));
	json_object_set_new(o, "reauth_in_s", left(v->reauth_ns, now));
	json_object_set_new(o, "nat",
			    json_pack("{s:b, s:b, s:b}", "local", (int)v->nat_local, "remote",
				      (int)v->nat_remote, "udp", (int)v->natt));
	return o;
}

static json_t *traffic_of(const struct sa *sa, uint64_t now)
{
	return json_pack("{s:o, s:o, s:o}", "packets", u64(sa ? atomic_load(&sa->packets) : 0),
			 "bytes", u64(sa ? atomic_load(&sa->bytes) : 0), "idle_s",
			 seconds(sa ? atomic_load(&sa->last_used_ns) : 0, now));
}

/* The AH of a bundle; its suite is shown as in ah_proposals. */
static json_t *ah_json(const struct sa *sa, const char *in, const char *out)
{
	char name[48];
	const char *suite = esp_suite_name(&sa->conf->suite, name);

	return json_pack("{s:s, s:s, s:s}", "spi_in", in, "spi_out", out, "proposal",
			 strncmp(suite, "null-", 5) == 0 ? suite + 5 : suite);
}

static json_t *child_view_json(const struct keying *k, const struct ike_child_view *v, uint64_t now)
{
	const struct kpair *p = ksa_find(k, v->spi_in, v->proto);
	char in[16], out[16];

	snprintf(in, sizeof(in), "0x%08x", v->spi_in);
	snprintf(out, sizeof(out), "0x%08x", v->spi_out);
	json_t *o = json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "name", v->child,
			      "id", (int)v->id, "reqid", (int)v->reqid, "state", v->state, "proto",
			      v->proto == SA_AH ? "ah" : "esp", "mode",
			      v->mode == SA_TUNNEL ? "tunnel" : "transport", "encap",
			      v->udp ? "udp" : "none", "spi_in", in, "spi_out", out, "esn",
			      (int)v->esn);
	if (!o)
		return NULL;
	if (p && p->ah_in && p->ah_out) {
		snprintf(in, sizeof(in), "0x%08x", p->ah_in->spi);
		snprintf(out, sizeof(out), "0x%08x", p->ah_out->spi);
		json_object_set_new(o, "ah", ah_json(p->ah_in, in, out));
	}
	json_object_set_new(o, "proposal", proposal_json(v->proposal));
	json_object_set_new(o, "local_ts", ts_json(v->local_ts));
	json_object_set_new(o, "remote_ts", ts_json(v->remote_ts));
	json_object_set_new(o, "age_s", seconds(v->installed_ns, now));
	json_object_set_new(o, "rekey_in_s", left(v->rekey_ns, now));
	json_object_set_new(o, "expires_in_s", left(v->expire_ns, now));
	json_object_set_new(o, "sending", json_boolean(p && p->group && p->group->sending == p));
	json_object_set_new(o, "out", traffic_of(p ? p->out : NULL, now));
	json_object_set_new(o, "in", traffic_of(p ? p->in : NULL, now));
	return o;
}

/* One walk over SAs and one over children; by_conn: name -> array of SAs, by_id: number -> SA. */
struct walk {
	struct keying *k;
	uint64_t now;
	json_t *by_conn, *by_id;
	json_t *all; /* or NULL */
};

static void on_sa(const struct ike_sa_view *v, void *arg)
{
	struct walk *w = arg;
	const char *conn = v->conn ? v->conn : "";
	json_t *list = json_object_get(w->by_conn, conn);
	char id[16];

	if (!list) {
		list = json_array();
		json_object_set_new(w->by_conn, conn, list);
	}
	if (!w->all && json_array_size(list) >= SAS_OF_CONN)
		return;
	json_t *sa = sa_view_json(v, w->now);
	if (!sa)
		return;
	json_object_set_new(sa, "children", json_array());
	snprintf(id, sizeof(id), "%u", v->id);
	json_object_set(w->by_id, id, sa);
	if (w->all)
		json_array_append_new(w->all, sa);
	else
		json_array_append_new(list, sa);
}

static void on_child(const struct ike_child_view *v, void *arg)
{
	struct walk *w = arg;
	char id[16];

	snprintf(id, sizeof(id), "%u", v->sa_id);
	json_t *sa = json_object_get(w->by_id, id);
	if (sa)
		json_array_append_new(json_object_get(sa, "children"),
				      child_view_json(w->k, v, w->now));
}

static void walk(struct walk *w, struct keying *k)
{
	w->k = k;
	w->now = clock_now_ns();
	w->by_conn = json_object();
	w->by_id = json_object();
	ike_each_sa(k->ike, on_sa, w);
	ike_each_child(k->ike, on_child, w);
	json_decref(w->by_id);
}

void report_ike_sas(struct daemon *d, json_t *list)
{
	struct walk w = { .all = list };

	if (!d->keying)
		return;
	walk(&w, d->keying);
	json_decref(w.by_conn);
}

/* ---- connections ------------------------------------------------------------------------------
 */

static json_t *hosts_json(const struct ike_host *h, unsigned n)
{
	json_t *v = json_array();
	char text[IP_RANGE_STRLEN];

	for (unsigned i = 0; i < n; i++) {
		const struct ip_range *r = &h[i].range;
		const char *shown = h[i].name	 ? h[i].name
				    : !r->lo.ver ? "%any"
				    : ip_addr_eq(&r->lo, &r->hi)
					? ip_addr_format(&r->lo, text)
					: ip_range_format(r, text);
		json_array_append_new(v, json_string(shown));
	}
	if (n == 0)
		json_array_append_new(v, json_string("%any"));
	return v;
}

static const char *auth_word(const struct ike_auth_conf *a)
{
	if (a->method == IKE_BY_XAUTH)
		return "xauth";
	if (a->method == IKE_BY_PSK)
		return a->xauth ? "psk+xauth" : "psk";
	return a->xauth ? "pubkey+xauth" : "pubkey";
}

static json_t *side_json(const struct ike_auth_conf *a, const struct ike_host *h, unsigned n)
{
	return json_pack("{s:o, s:o, s:s}", "addrs", hosts_json(h, n), "id", ident_json(&a->id),
			 "auth", auth_word(a));
}

static json_t *child_conf_json(const struct ike_child_conf *c)
{
	static const char *const start[] = { [IKE_START_NONE] = "none",
					     [IKE_START_START] = "start",
					     [IKE_START_TRAP] = "trap" };

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "name", c->name, "mode",
			 c->mode == SA_TUNNEL ? "tunnel" : "transport", "proto",
			 c->proto == IKE_CHILD_AH ? "ah" : "esp", "local_ts", ts_json(&c->local_ts),
			 "remote_ts", ts_json(&c->remote_ts), "proposals",
			 proposals_json(&c->proposals), "start_action", start[c->start]);
}

struct conn_list {
	json_t *v, *by_conn;
};

static void on_conn(const struct ike_conn_view *v, void *arg)
{
	struct conn_list *l = arg;
	const struct ike_conn_conf *c = v->conf;
	json_t *children = json_array(), *sas = json_object_get(l->by_conn, c->name);

	for (unsigned i = 0; i < v->n_child; i++)
		json_array_append_new(children, child_conf_json(v->child[i]));
	json_t *o = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:i, s:i}", "name", c->name, "version",
			      (int)c->version, "local", side_json(&c->auth, c->local, c->n_local),
			      "remote", side_json(&c->peer, c->remote, c->n_remote), "proposals",
			      proposals_json(&c->proposals), "children", children, "n_sas",
			      (int)v->n_sas, "n_children", (int)v->n_children);
	if (!o)
		return;
	json_object_set_new(o, "sas", sas ? json_incref(sas) : json_array());
	if (v->last_error && v->last_error[0])
		json_object_set_new(o, "last_failure",
				    json_pack("{s:o, s:s}", "when",
					      u64(v->last_error_wall_ns / NS_PER_S), "what",
					      v->last_error));
	else
		json_object_set_new(o, "last_failure", json_null());
	json_array_append_new(l->v, o);
}

json_t *report_conns(struct daemon *d)
{
	struct conn_list l = { .v = json_array() };
	struct walk w = { .all = NULL };

	if (!d->keying)
		return l.v;
	walk(&w, d->keying);
	l.by_conn = w.by_conn;
	ike_each_conn(d->keying->ike, on_conn, &l);
	json_decref(w.by_conn);
	return l.v;
}

json_t *report_ike(struct daemon *d)
{
	struct keying *k = d->keying;
	struct ike_stats s = { 0 };

	if (!k)
		return json_null();
	ike_stats(k->ike, &s);
	const struct {
		const char *name;
		uint64_t n;
	} row[] = {
		{ "established", s.established },
		{ "half_open", s.half_open },
		{ "children", s.children },
		{ "jobs", s.jobs },
		{ "memory", s.memory },
		{ "threads", pool_threads(k->pool) },
		{ "port", k->udp[0].fd >= 0 ? k->udp[0].port : k->udp[1].port },
		{ "received", s.received },
		{ "sent", s.sent },
		{ "retransmitted", s.retransmitted },
		{ "malformed", s.malformed },
		{ "not_authentic", s.not_authentic },
		{ "cookies_sent", s.cookies_sent },
		{ "cookies_bad", s.cookies_bad },
		{ "half_open_refused", s.half_open_refused },
		{ "invalid_spi", s.invalid_spi },
		{ "unknown", s.unknown },
	};
	json_t *v = json_object();
	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		json_object_set_new(v, row[i].name, u64(row[i].n));
	return v;
}

/* ---- leases ------------------------------------------------------------------------------------
 */

static json_t *lease_json(const struct ike_lease *l)
{
	char addr[IP_ADDR_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "addr", ip_addr_format(&l->addr, addr),
			 "pool", l->pool, "who", l->who, "held", (int)l->held, "peer",
			 l->held ? endpoint_json(&l->peer) : json_null(), "returned",
			 l->held ? json_null() : u64(l->left_ns / NS_PER_S));
}

json_t *report_leases(struct daemon *d)
{
	const struct ike_leases *all = d->keying ? ike_leases_of(d->keying->ike) : NULL;
	json_t *v = json_array();

	for (unsigned i = 0; all && i < ike_leases_count(all); i++)
		json_array_append_new(v, lease_json(ike_leases_nth(all, i)));
	return v;
}

/* ---- certificates -----------------------------------------------------------------------------
 */

/* Takes what was printed; not UTF-8: null. */
static json_t *printed(BIO *b)
{
	char *p = NULL;
	long n = b ? BIO_get_mem_data(b, &p) : 0;
	json_t *v = n > 0 ? json_stringn(p, (size_t)n) : NULL;

	BIO_free(b);
	return v ? v : json_null();
}

static json_t *name_json(const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());

	if (b)
		X509_NAME_print_ex(b, name, 0,
				   XN_FLAG_SEP_CPLUS_SPC | ASN1_STRFLGS_UTF8_CONVERT |
				       ASN1_STRFLGS_ESC_CTRL);
	return printed(b);
}

static json_t *alt_names(X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	json_t *v = json_array();

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		BIO *b = BIO_new(BIO_s_mem());
		if (b)
			GENERAL_NAME_print(b, sk_GENERAL_NAME_value(names, i));
		json_array_append_new(v, printed(b));
	}
	GENERAL_NAMES_free(names);
	return v;
}

static json_t *time_json(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? json_integer(timegm(&tm)) : json_null();
}

static json_t *key_json(EVP_PKEY *key)
{
	char text[96], curve[64] = "";
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;

	if (!type)
		return json_null();
	(void)EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
	if (curve[0])
		snprintf(text, sizeof(text), "%s %s", type, curve);
	else
		snprintf(text, sizeof(text), "%s %d bits", type, EVP_PKEY_get_bits(key));
	return json_string(text);
}

/* An entry of the list, found again by the address of what it is about. */
struct cert_list {
	json_t *v;
	const void **what;
	unsigned n, max;
};

static void add_cert(struct cert_list *l, const void *what, X509 *cert, EVP_PKEY *pub, bool ours,
		     bool authority, const char *file, const char *conn)
{
	json_t *o = NULL;

	for (unsigned i = 0; i < l->n && !o; i++)
		if (l->what[i] == what)
			o = json_array_get(l->v, i);
	if (!o && l->n < l->max) {
		o = json_pack("{s:s, s:b, s:o, s:o}", "kind",
			      authority ? "authority"
			      : cert    ? "certificate"
					: "public key",
			      "private_key", (int)ours, "key", key_json(pub), "used_by",
			      json_array());
		if (!o)
			return;
		json_object_set_new(o, "file", file ? json_string(file) : json_null());
		if (cert) {
			json_object_set_new(o, "subject", name_json(X509_get_subject_name(cert)));
			json_object_set_new(o, "issuer", name_json(X509_get_issuer_name(cert)));
			json_object_set_new(o, "alt_names", alt_names(cert));
			json_object_set_new(o, "not_before",
					    time_json(X509_get0_notBefore(cert)));
			json_object_set_new(o, "not_after", time_json(X509_get0_notAfter(cert)));
		}
		l->what[l->n++] = what;
		json_array_append_new(l->v, o);
	}
	if (o && conn)
		json_array_append_new(json_object_get(o, "used_by"), json_string(conn));
}

static void add_creds(struct cert_list *l, const struct ike_auth_conf *a, const char *conn)
{
	for (unsigned i = 0; i < a->n_cred; i++)
		add_cert(l, a->cred[i], a->cred[i]->cert, a->cred[i]->pub, a->cred[i]->key != NULL,
			 false, a->cred[i]->file, conn);
}

static void add_cas(struct cert_list *l, const struct cred_cas *cas, const char *conn)
{
	for (unsigned i = 0; cas && i < cred_cas_count(cas); i++) {
		X509 *x = cred_cas_cert(cas, i);
		add_cert(l, x, x, X509_get0_pubkey(x), false, true, NULL, conn);
	}
}

json_t *report_certs(struct daemon *d)
{
	const struct ike_conf *c = d->keying ? d->keying->conf : NULL;
	struct cert_list l = { .v = json_array() };

	if (!c)
		return l.v;
	l.max = c->cas ? cred_cas_count(c->cas) : 0;
	for (unsigned i = 0; i < c->n_conn; i++)
		l.max += c->conn[i].auth.n_cred + c->conn[i].peer.n_cred +
			 (c->conn[i].peer.cas ? cred_cas_count(c->conn[i].peer.cas) : 0);
	l.what = calloc(l.max + 1, sizeof(*l.what));
	for (unsigned i = 0; l.what && i < c->n_conn; i++) {
		add_creds(&l, &c->conn[i].auth, c->conn[i].name);
		add_creds(&l, &c->conn[i].peer, c->conn[i].name);
		add_cas(&l, c->conn[i].peer.cas, c->conn[i].name);
	}
	if (l.what)
		add_cas(&l, c->cas, NULL);
	free(l.what);
	return l.v;
}
