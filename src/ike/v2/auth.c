/*
 * What both roles of IKE_AUTH share: identities, certificates, what is signed, and checking the
 * peer's proof under a connection (RFC 7296 2.15, 3.5-3.8).
 */
#include "ike/auth.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/names.h"
#include "ike/v2/internal.h"

#define CERT_X509    4  /* encodings, RFC 7296 3.6 */
#define CERT_RAW_KEY 15 /* RFC 7670 */
#define CA_HASH_LEN  20
#define CERTREQ_CAS  64 /* authorities named at most */

struct span v2_id_body(struct ike *ike, const struct ident *id)
{
	uint8_t *p = ike_arena(ike, 4u + id->len);

	if (!p)
		return span_of(NULL, 0);
	memset(p, 0, 4);
	p[0] = id->type;
	memcpy(p + 4, id->data, id->len);
	return span_of(p, 4u + id->len);
}

int v2_add_id(struct ike_msg *out, uint8_t type, const struct ident *id)
{
	struct ike_payload *p = ike_msg_add(out, type, true);

	if (!p)
		return -ENOSPC;
	p->id.type = id->type;
	p->id.data = span_of(id->data, id->len);
	return 0;
}

struct auth_octets v2_auth_octets(const struct ike_sa *sa, bool ours, struct span id_body)
{
	const struct v2_init *i = sa->init;
	bool by_i = ours == sa->initiator; /* signed by the initiator */
	struct span sent =
	    sa->initiator ? span_of(i->sent.p, i->sent.len) : ike_kept_nth(&sa->answer, 0);

	return (struct auth_octets){
		.prf = sa->suite.prf,
		.message = ours ? sent : span_of(i->got.p, i->got.len),
		.nonce = by_i ? span_of(i->nr, i->nr_len) : span_of(i->ni, i->ni_len),
		.sk_p = by_i ? sa->keys.pi : sa->keys.pr,
		.id_body = id_body,
	};
}

const struct cred *v2_own_cred(const struct ike_sa *sa)
{
	const struct ike_auth_conf *a = &sa->conn->conf->auth;
	const struct cred *first = NULL;
	struct span asked = span_of(NULL, 0);

	if (sa->init) /* else it is up: the one it used first is as good a guess */
		asked = span_of(sa->init->certreq.p, sa->init->certreq.len);

	for (unsigned k = 0; k < a->n_cred; k++) {
		const struct cred *c = a->cred[k];
		if (!c->key)
			continue;
		if (!first)
			first = c;
		if (c->cert && asked.len && cred_issued_by(c, sa->ike->conf->cas, asked))
			return c;
	}
	return first;
}

bool v2_own_cert_bad(const struct ike_sa *sa, char *why, size_t whylen)
{
	const struct cred *c = sa->conn->conf->auth.method == IKE_BY_PUBKEY ? v2_own_cred(sa) : NULL;

	return c && c->cert &&
	       cred_check_own(c->cert, (int64_t)(clock_wall_ns() / NS_PER_S), &sa->local_id, why,
			      whylen);
}

/* Who we are: as configured; else what the peer asks for, when our certificate says so; else the
 * certificate's subject; else our address. */
int v2_own_identity(struct ike_sa *sa, const struct ident *wanted, char *why, size_t whylen)
{
	const struct ike_auth_conf *a = &sa->conn->conf->auth;
	const struct cred *c = a->method == IKE_BY_PUBKEY ? v2_own_cred(sa) : NULL;
	int rc;

	ident_fini(&sa->local_id);
	if (a->id.type && !ident_is_pattern(&a->id))
		rc = ident_copy(&a->id, &sa->local_id);
	else if (wanted && wanted->type && (!c || !c->cert || ident_in_cert(wanted, c->cert)))
		rc = ident_copy(wanted, &sa->local_id);
	else if (c && c->cert && (rc = ident_from_subject(c->cert, &sa->local_id)) != -ENOENT)
		;
	else
		rc = ident_from_addr(&sa->local.addr, &sa->local_id);
	if (rc)
		snprintf(why, whylen, "our own identity could not be found: set local id");
	return rc;
}

static int add_cert(struct ike_sa *sa, struct ike_msg *out, X509 *cert)
{
	int len = i2d_X509(cert, NULL);
	uint8_t *p = len > 0 ? ike_arena(sa->ike, (size_t)len) : NULL, *q = p;
	struct ike_payload *pl = p ? ike_msg_add(out, IKE2_CERT, true) : NULL;

	if (!pl || i2d_X509(cert, &q) != len)
		return -ENOSPC;
	pl->cert.encoding = CERT_X509;
	pl->cert.data = span_of(p, (size_t)len);
	return 0;
}

int v2_add_certs(struct ike_sa *sa, struct ike_msg *out, const struct cred *cred)
{
	enum ike_send_cert when = sa->conn->conf->send_cert;
	int rc = 0;

	if (when == IKE_CERT_NEVER || (when == IKE_CERT_IFASKED && !sa->init->asked_cert))
		return 0;
	if (!cred->cert) {
		int len = i2d_PUBKEY(cred->pub, NULL);
		uint8_t *p = len > 0 ? ike_arena(sa->ike, (size_t)len) : NULL, *q = p;
		struct ike_payload *pl = p ? ike_msg_add(out, IKE2_CERT, true) : NULL;
		if (!pl || i2d_PUBKEY(cred->pub, &q) != len)
			return -ENOSPC;
		pl->cert.encoding = CERT_RAW_KEY;
		pl->cert.data = span_of(p, (size_t)len);
		return 0;
	}
	rc = add_cert(sa, out, cred->cert);
	for (int k = 0; rc == 0 && cred->chain && k < sk_X509_num(cred->chain); k++)
		rc = add_cert(sa, out, sk_X509_value(cred->chain, k));
	return rc;
}

static struct cred_cas *cas_of(const struct ike_sa *sa)
{
	struct cred_cas *own = sa->conn->conf->peer.cas;

	return own ? own : sa->ike->conf->cas;
}

/* CERTREQ: which authorities the peer's certificate may come from (RFC 7296 3.7). */
int v2_add_certreq(struct ike_sa *sa, struct ike_msg *out)
{
	const struct ike_auth_conf *peer = &sa->conn->conf->peer;
	const struct cred_cas *cas = cas_of(sa);
	unsigned n = cas ? cred_cas_count(cas) : 0;

	if (peer->method != IKE_BY_PUBKEY || peer->n_cred || n == 0)
		return 0;
	if (n > CERTREQ_CAS)
		n = CERTREQ_CAS;
	uint8_t *p = ike_arena(sa->ike, (size_t)n * CA_HASH_LEN);
	struct ike_payload *pl =
	    p ? ike_msg_add(out, IKE2_CERTREQ, out->hdr.exchange != IKE2_X_SA_INIT) : NULL;
	if (!pl)
		return -ENOSPC;
	for (unsigned k = 0; k < n; k++)
		memcpy(p + (size_t)k * CA_HASH_LEN, cred_cas_hash(cas, k), CA_HASH_LEN);
	pl->cert.encoding = CERT_X509;
	pl->cert.data = span_of(p, (size_t)n * CA_HASH_LEN);
	return 0;
}

void v2_take_certreq(struct ike_sa *sa, const struct ike_msg *m)
{
	struct v2_init *i = sa->init;

	for (const struct ike_payload *p = NULL; (p = ike_msg_find(m, IKE2_CERTREQ, p));) {
		i->asked_cert = true;
		size_t len = p->cert.data.len;
		if (p->cert.encoding != CERT_X509 || len % CA_HASH_LEN || len == 0 || i->certreq.p)
			continue;
		i->certreq.p = malloc(len);
		if (i->certreq.p) {
			memcpy(i->certreq.p, p->cert.data.p, len);
			i->certreq.len = len;
		}
	}
}

/* -- the peer's proof -- */

static enum ike_rc check_psk(struct v2_exchange *x, const struct auth_octets *o, struct span data)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	char me[IDENT_STRLEN], peer[IDENT_STRLEN];
	const struct cred_psk *k =
	    cred_psk_find(&sa->ike->conf->psks, &sa->local_id, &sa->remote_id);

	ident_format(&sa->local_id, me, sizeof(me));
	ident_format(&sa->remote_id, peer, sizeof(peer));
	if (!k) {
		snprintf(i->why, sizeof(i->why),
			 "there is no secret for %s with %s: add a secret section with these ids here", me, peer);
		return IKE_KILL;
	}
	if (auth_psk_check(o, secret_view(&k->key), data) == 0)
		return IKE_OK;
	snprintf(i->why, sizeof(i->why),
		 "%s does not have the same pre-shared key (ours for it: section %s): make the "
		 "secrets of both sides equal",
		 peer, k->name ? k->name : "of no name");
	return IKE_KILL;
}

static enum ike_rc check_cert(struct v2_exchange *x, const struct auth_octets *o, uint8_t method,
			      struct span data)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	X509 *end = NULL;
	STACK_OF(X509) *chain = sk_X509_new_null();
	unsigned n = 0;

	for (const struct ike_payload *p = NULL; (p = ike_msg_find(x->m, IKE2_CERT, p));) {
		if (p->cert.encoding != CERT_X509 || n > CRED_CHAIN_MAX)
			continue;
		X509 *c = cred_cert_parse(p->cert.data);
		if (c && !end && n == 0)
			end = c;
		else if (c && (!chain || sk_X509_push(chain, c) <= 0))
			X509_free(c);
		n++;
	}
	enum ike_rc rc = IKE_KILL;
	if (!end || !X509_get0_pubkey(end)) {
		snprintf(i->why, sizeof(i->why), "%s",
			 n == 0 ? "the peer sent no certificate: set send_cert = always there, or "
				  "give its certificate in `certs` of the remote side here"
				: "the peer's certificate cannot be read");
		sk_X509_pop_free(chain, X509_free);
	} else {
		uint32_t hashes = auth_hashes_ours(sa->conn->conf->allow_weak);
		rc = ike_work_verify(sa, o, method, data, hashes, NULL, end, chain, cas_of(sa),
				     &sa->remote_id);
	}
	X509_free(end);
	return rc;
}

enum ike_rc v2_check_peer(struct v2_exchange *x, bool *more)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	const struct ike_auth_conf *peer = &sa->conn->conf->peer;
	const struct ike_payload *auth = ike_msg_find(x->m, IKE2_AUTH, NULL);
	const struct ike_payload *id =
	    ike_msg_find(x->m, sa->initiator ? IKE2_IDR : IKE2_IDI, NULL);
	struct auth_octets o = v2_auth_octets(sa, false, id->body);
	uint8_t method = auth->auth.method;
	char num[IKE_NAME_LEN];

	*more = false;
	if ((method == IKE2_AUTH_PSK) != (peer->method == IKE_BY_PSK)) {
		snprintf(i->why, sizeof(i->why),
			 "the peer proves itself by %s, but connection %s wants %s: make `auth` of "
			 "the remote side here fit that of the local side there",
			 ike_name_or_number(IKE_NAMES_AUTH2, method, num), sa->conn->conf->name,
			 peer->method == IKE_BY_PSK ? "psk" : "pubkey");
		return IKE_KILL;
	}
	if (method == IKE2_AUTH_PSK)
		return check_psk(x, &o, auth->auth.data);
	if (peer->n_cred == 0)
		return check_cert(x, &o, method, auth->auth.data);
	*more = i->pin + 1 < peer->n_cred;
	return ike_work_verify(sa, &o, method, auth->auth.data,
			       auth_hashes_ours(sa->conn->conf->allow_weak),
			       peer->cred[i->pin]->pub, NULL, NULL, NULL, &sa->remote_id);
}
