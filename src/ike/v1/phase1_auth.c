/*
 * Who is who in phase 1: identities, certificates, and the proofs over HASH_I and HASH_R (RFC
 * 2409 5.1, 5.4; RFC 4754; RFC 2408 3.9, 3.10, 5.8 to 5.12).
 */
#include <errno.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/sig_digest.h"
#include "ike/msg_rule.h"
#include "ike/v1/v1.h"

#define CERT_X509 4

/* -- identities -- */

int v1_own_identity(struct ike_sa *sa, char *why, size_t whylen)
{
	const struct ike_auth_conf *a = &sa->conn->conf->auth;
	const struct cred *c = a->method == IKE_BY_PUBKEY ? v1_own_cred(sa) : NULL;
	int rc;

	ident_fini(&sa->local_id);
	if (a->id.type && !ident_is_pattern(&a->id))
		rc = ident_copy(&a->id, &sa->local_id);
	else if (c && c->cert && (rc = ident_from_subject(c->cert, &sa->local_id)) != -ENOENT)
		;
	else
		rc = ident_from_addr(&sa->local.addr, &sa->local_id);
	if (rc)
		snprintf(why, whylen, "our own identity could not be found: set local id");
	return rc;
}

int v1_add_id(struct v1_exchange *x, bool inner)
{
	struct ike_sa *sa = x->sa;
	const struct ident *id = &sa->local_id;
	struct v1_phase1 *ph = sa->v1->ph;
	struct ike_payload *p = ike_msg_add(x->out, IKE1_ID, inner);
	uint8_t *b = ike_arena(sa->ike, 4u + id->len);

	if (!p || !b)
		return -ENOSPC;
	p->id.type = id->type;
	p->id.data = span_of(id->data, id->len);
	memset(b, 0, 4);
	b[0] = id->type;
	memcpy(b + 4, id->data, id->len);
	return v1_copy(sa->initiator ? &ph->idi_b : &ph->idr_b, span_of(b, 4u + id->len));
}

int v1_take_id(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	const struct ike_payload *p = ike_msg_find(x->m, IKE1_ID, NULL);
	struct ike_bad bad;

	ident_fini(&sa->remote_id);
	if (v1_check_id(p, &bad)) {
		v1_audit(x->ike, sa, &x->remote, &bad);
		snprintf(ph->why, sizeof(ph->why), "%s", bad.why);
		return -EBADMSG;
	}
	if (ident_from_wire(p->id.type, p->id.data, &sa->remote_id)) {
		snprintf(ph->why, sizeof(ph->why),
			 "the peer's identity is malformed or of a type not known here");
		return -EBADMSG;
	}
	return v1_copy(sa->initiator ? &ph->idr_b : &ph->idi_b, p->body);
}

/* -- certificates -- */

static bool name_is(const X509_NAME *n, struct span der)
{
	const unsigned char *p;
	size_t len;

	return X509_NAME_get0_der(n, &p, &len) && span_eq(span_of(p, len), der);
}

bool v1_issued_by(const struct cred *c, struct span dn)
{
	if (name_is(X509_get_issuer_name(c->cert), dn))
		return true;
	for (int i = 0; c->chain && i < sk_X509_num(c->chain); i++)
		if (name_is(X509_get_issuer_name(sk_X509_value(c->chain, i)), dn))
			return true;
	return false;
}

static int add_cert(struct v1_exchange *x, X509 *cert, bool inner)
{
	int len = i2d_X509(cert, NULL);
	uint8_t *p = len > 0 ? ike_arena(x->ike, (size_t)len) : NULL, *q = p;
	struct ike_payload *pl = p ? ike_msg_add(x->out, IKE1_CERT, inner) : NULL;

	if (!pl || i2d_X509(cert, &q) != len)
		return -ENOSPC;
	pl->cert.encoding = CERT_X509;
	pl->cert.data = span_of(p, (size_t)len);
	return 0;
}

int v1_add_certs(struct v1_exchange *x, bool inner)
{
	const struct v1_phase1 *ph = x->sa->v1->ph;
	enum ike_send_cert when = x->sa->conn->conf->send_cert;
	const struct cred *c = ph->cred;

	if (!c || !c->cert || when == IKE_CERT_NEVER ||
	    (when == IKE_CERT_IFASKED && !ph->asked_cert))
		return 0;
	int rc = add_cert(x, c->cert, inner);
	for (int k = 0; rc == 0 && c->chain && k < sk_X509_num(c->chain); k++)
		rc = add_cert(x, sk_X509_value(c->chain, k), inner);
	return rc;
}

static struct cred_cas *cas_of(const struct ike_sa *sa)
{
	struct cred_cas *own = sa->conn->conf->peer.cas;

	return own ? own : sa->ike->conf->cas;
}

/* One request an authority, by its name (RFC 2408 3.10); with many of them one for any. */
#define CR_MAX 8

int v1_add_cr(struct v1_exchange *x, bool inner)
{
	const struct ike_conn_conf *c = x->sa->conn->conf;
	const struct cred_cas *cas = cas_of(x->sa);
	unsigned n = cas ? cred_cas_count(cas) : 0;

	if (c->peer.method != IKE_BY_PUBKEY || c->peer.n_cred || !c->send_certreq || n == 0)
		return 0;
	for (unsigned i = 0; i < (n > CR_MAX ? 1 : n); i++) {
		struct ike_payload *p = ike_msg_add(x->out, IKE1_CR, inner);
		const unsigned char *der;
		size_t len;
		if (!p)
			return -ENOSPC;
		p->cert.encoding = CERT_X509;
		if (n <= CR_MAX &&
		    X509_NAME_get0_der(X509_get_subject_name(cred_cas_cert(cas, i)), &der, &len))
			p->cert.data = span_of(der, len);
		else
			p->cert.data = span_of("", 0);
	}
	return 0;
}

/* Has any key of ours a certificate of an authority that was asked for? */
static bool available(const struct v1_exchange *x, struct span dn)
{
	const struct ike_auth_conf *a = &x->sa->conn->conf->auth;

	for (unsigned i = 0; i < a->n_cred; i++)
		if (a->cred[i]->cert && v1_issued_by(a->cred[i], dn))
			return true;
	return false;
}

void v1_take_cr(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	bool named = false, there = !x->sa->conn->conf->auth.n_cred;
	struct ike_bad bad;

	for (const struct ike_payload *p = NULL; (p = ike_msg_find(x->m, IKE1_CR, p));) {
		if (v1_check_payload(p, &bad))
			continue;
		named = true;
		there = there || !p->cert.data.len || available(x, p->cert.data);
	}
	if (named && !there) {
		ike_refuse(
		    &bad, IKE1_CERTIFICATE_UNAVAILABLE, IKE1_CR,
		    "CR payload: no certificate of ours is of an authority that is asked for");
		v1_discard(x, &bad);
	}
	for (const struct ike_payload *p = NULL; (p = ike_msg_find(x->m, IKE1_CR, p));) {
		ph->asked_cert = true;
		if (v1_check_payload(p, &bad) || !p->cert.data.len || ph->cr.len)
			continue;
		if (v1_copy(&ph->cr, p->cert.data))
			return;
	}
}

/* -- proofs -- */

/*
 * The key of a hash that is needed before there is a shared secret: SKEYID of a pre-shared key,
 * else hash(Ni_b | Nr_b). RFC 2408 leaves open what AUTH is in the Base and Authentication Only
 * exchanges; this is RFC 2409's without the values that are not there yet, as others have it for
 * Base.
 */
static int early_key(struct ike_sa *sa, uint8_t out[PRF_LEN_MAX], size_t *len)
{
	struct v1_phase1 *ph = sa->v1->ph;
	const struct prf_info *prf = ph->suite.prf;
	struct span nonces[] = { span_of(ph->ni, ph->ni_len), span_of(ph->nr, ph->nr_len) }, psk;

	*len = prf->len;
	if (v1_method_base(ph->offer.method) != V1_BY_PSK)
		return hash_compute(v1_hash_of(prf), nonces, 2, out);
	int rc = v1_find_psk(sa, &psk);
	return rc ? rc : prf_compute(prf, psk, nonces, 2, out);
}

/* HASH_I or HASH_R of a side. hash: of the signature's curve, 0: the negotiated prf. 0, or -errno;
 * -ENOENT: no secret, with ph->why. */
static int side_hash(struct ike_sa *sa, bool ours, enum hash_id hash, uint8_t out[PRF_LEN_MAX],
		     size_t *len)
{
	const struct v1_phase1 *ph = sa->v1->ph;
	bool of_initiator = ours == sa->initiator, alone = sa->v1->p1.exchange == IKE1_X_AUTH_ONLY;
	bool early = alone || (sa->v1->p1.exchange == IKE1_X_BASE && of_initiator);
	uint8_t key[HASH_LEN_MAX > PRF_LEN_MAX ? HASH_LEN_MAX : PRF_LEN_MAX];
	struct v1_auth a = { .prf = ph->suite.prf,
			     .skeyid = sa->keys.pi,
			     .gxi = span_of(ph->gxi.p, ph->gxi.len),
			     .gxr = span_of(ph->gxr.p, ph->gxr.len),
			     .sai_b = span_of(ph->sai_b.p, ph->sai_b.len),
			     .spi_i = sa->spi_i,
			     .spi_r = sa->spi_r };
	const struct buf *id = of_initiator ? &ph->idi_b : &ph->idr_b;

	/* RFC 2409 5.1: a signature tied to a hash takes the HMAC of that one */
	if (hash == HASH_SHA2_256)
		a.prf = prf_info(PRF_HMAC_SHA2_256);
	else if (hash == HASH_SHA2_384)
		a.prf = prf_info(PRF_HMAC_SHA2_384);
	else if (hash == HASH_SHA2_512)
		a.prf = prf_info(PRF_HMAC_SHA2_512);
	*len = a.prf->len;
	if (early) {
		size_t key_len;
		int rc = early_key(sa, key, &key_len);
		if (rc)
			return rc;
		a.skeyid = span_of(key, key_len);
		a.gxr = span_of(NULL, 0);
		if (alone)
			a.gxi = span_of(NULL, 0);
	}
	int rc = v1_hash_auth(&a, of_initiator, span_of(id->p, id->len), out);
	wipe(key, sizeof(key));
	return rc;
}

/* What a hash that could not be made means. */
static enum ike_rc no_hash(struct v1_exchange *x, int rc)
{
	return rc == -ENOENT ? v1_error(x, IKE_KILL, IKE1_AUTHENTICATION_FAILED, "%s",
					x->sa->v1->ph->why)
			     : IKE_DROP;
}

/* What goes to the crypto pool. */
static struct auth_octets octets(struct span hash)
{
	return (struct auth_octets){ .prf = NULL, .message = hash };
}

enum ike_rc v1_prove(struct v1_exchange *x, unsigned next, bool inner)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	uint8_t *hash = ike_arena(sa->ike, PRF_LEN_MAX);
	size_t len;

	if (!hash)
		return IKE_DROP;
	if (!v1_method_signs(ph->offer.method, sa->initiator)) {
		struct ike_payload *p = ike_msg_add(x->out, IKE1_HASH, inner);
		int rc = p ? side_hash(sa, true, (enum hash_id)0, hash, &len) : -ENOSPC;
		if (rc)
			return no_hash(x, rc);
		p->raw.data = span_of(hash, len);
		return IKE_OK;
	}
	if (!ph->cred)
		return v1_error(
		    x, IKE_KILL, IKE1_AUTHENTICATION_FAILED,
		    "the connection has no private key to prove who we are: set certs "
		    "and key of its local side");
	if (side_hash(sa, true, sig_digest_hash(ph->cred->key), hash, &len))
		return IKE_DROP;
	struct auth_octets o = octets(span_of(hash, len));
	/* the row is only named in messages: IKEv1's signatures have none of their own */
	const struct sig_info *name = sig_info(
	    v1_method_base(ph->offer.method) == V1_BY_RSA ? SIG_RSA_SHA1 : SIG_ECDSA_256_RAW);
	return v1_wait(x, next, ike_work_sign(sa, &o, name, 0, ph->cred->key));
}

enum ike_rc v1_add_signature(struct v1_exchange *x, bool inner)
{
	if (x->work->rc)
		return v1_error(x, IKE_KILL, IKE1_AUTHENTICATION_FAILED, "%s", x->work->why);
	struct span s = ike_arena_copy(x->ike, span_of(x->work->auth, x->work->n_auth));
	struct ike_payload *p = ike_msg_add(x->out, IKE1_SIG, inner);
	if (!p || !s.p)
		return IKE_DROP;
	p->raw.data = s;
	return IKE_OK;
}

static enum ike_rc check_psk(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	struct span got = ike_msg_find(x->m, IKE1_HASH, NULL)->raw.data;
	char peer[IDENT_STRLEN];
	uint8_t want[PRF_LEN_MAX];
	size_t len;

	int rc = side_hash(sa, false, (enum hash_id)0, want, &len);
	if (rc)
		return rc == -ENOENT ? IKE_KILL : IKE_DROP;
	ph->odd_proof = got.len != len;
	bool good = got.len == len && sodium_memcmp(got.p, want, len) == 0;
	wipe(want, sizeof(want));
	if (good)
		return IKE_OK;
	snprintf(ph->why, sizeof(ph->why),
		 "%s does not have the same pre-shared key: make the secrets of both sides equal",
		 ident_format(&sa->remote_id, peer, sizeof(peer)));
	return IKE_KILL;
}

/* The peer's certificates; *end is the first, the rest its chain. Returns how many came. */
static unsigned read_certs(struct v1_exchange *x, X509 **end, STACK_OF(X509) * chain)
{
	unsigned n = 0;
	struct ike_bad bad;

	*end = NULL;
	for (const struct ike_payload *p = NULL; (p = ike_msg_find(x->m, IKE1_CERT, p));) {
		if (p->cert.encoding != CERT_X509 || n > CRED_CHAIN_MAX)
			continue;
		X509 *c = cred_cert_parse(p->cert.data);
		if (!c) {
			bad = (struct ike_bad){ .notify = IKE1_INVALID_CERTIFICATE,
						.payload = IKE1_CERT };
			snprintf(bad.why, sizeof(bad.why), "CERT payload: cannot be read");
			v1_discard(x, &bad);
		} else if (!*end && n == 0) {
			*end = c;
		} else if (!chain || sk_X509_push(chain, c) <= 0) {
			X509_free(c);
		}
		n++;
	}
	return n;
}

static enum ike_rc verify(struct v1_exchange *x, EVP_PKEY *pinned, X509 *end,
			  STACK_OF(X509) * chain)
{
	struct ike_sa *sa = x->sa;
	EVP_PKEY *pub = pinned ? pinned : X509_get0_pubkey(end);
	uint8_t hash[PRF_LEN_MAX];
	size_t len;

	if (side_hash(sa, false, sig_digest_hash(pub), hash, &len)) {
		sk_X509_pop_free(chain, X509_free);
		return IKE_DROP;
	}
	struct span sig = ike_msg_find(x->m, IKE1_SIG, NULL)->raw.data;
	sa->v1->ph->odd_proof = v1_method_base(sa->v1->ph->offer.method) == V1_BY_RSA &&
				EVP_PKEY_get_size(pub) > 0 &&
				sig.len != (size_t)EVP_PKEY_get_size(pub);
	struct auth_octets o = octets(span_of(hash, len));
	return ike_work_verify(sa, &o, 0, ike_msg_find(x->m, IKE1_SIG, NULL)->raw.data, 0, pinned,
			       end, chain, pinned ? NULL : cas_of(sa), &sa->remote_id);
}

enum ike_rc v1_check_peer(struct v1_exchange *x, bool *more)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	const struct ike_auth_conf *peer = &sa->conn->conf->peer;
	STACK_OF(X509) * chain;
	X509 *end;

	*more = false;
	if (!v1_method_signs(ph->offer.method, !sa->initiator))
		return check_psk(x);
	if (peer->n_cred) {
		*more = ph->pin + 1 < peer->n_cred;
		return verify(x, peer->cred[ph->pin]->pub, NULL, NULL);
	}
	chain = sk_X509_new_null();
	unsigned n = read_certs(x, &end, chain);
	if (!end || !X509_get0_pubkey(end)) {
		snprintf(ph->why, sizeof(ph->why), "%s",
			 n == 0 ? "the peer sent no certificate: set send_cert = always there, or "
				  "give its certificate in `certs` of the remote side here"
				: "the peer's certificate cannot be read");
		sk_X509_pop_free(chain, X509_free);
		X509_free(end);
		return IKE_KILL;
	}
	enum ike_rc rc = verify(x, NULL, end, chain);
	X509_free(end);
	return rc;
}

/* -- responder: which connection -- */

static bool proposal_fits(const struct ike_sa *sa, const struct ike_conn *c)
{
	const struct v1_phase1 *ph = sa->v1->ph;
	struct proposals one = { .n = 1 };
	struct proposal chosen;
	uint16_t methods[4];
	struct v1_terms t = v1_phase1_terms(c, false, 0, methods);
	bool fits = false;
	char why[256];

	for (unsigned i = 0; i < t.n_methods; i++)
		fits = fits || methods[i] == ph->offer.method;
	if (!fits || !v1_exchange_allowed(c->conf, sa->v1->p1.exchange))
		return false;
	one.p[0] = ph->chosen;
	return proposal_select(&c->conf->proposals, &one, 0, &chosen, why, sizeof(why)) == 0;
}

/* 5.11, 5.12: a proof that cannot be one, or is not the peer's. Returns rc of v1_error(). */
static enum ike_rc not_proved(struct v1_exchange *x, const char *why)
{
	const struct v1_phase1 *ph = x->sa->v1->ph;
	bool sig = v1_method_signs(ph->offer.method, !x->sa->initiator);
	uint16_t notify = !ph->odd_proof ? IKE1_AUTHENTICATION_FAILED
			  : sig		 ? IKE1_INVALID_SIGNATURE
					 : IKE1_INVALID_HASH_INFORMATION;
	struct ike_bad bad;

	ike_refuse(&bad, notify, sig ? IKE1_SIG : IKE1_HASH, "%s", why);
	v1_audit(x->ike, x->sa, &x->remote, &bad);
	return v1_error(x, IKE_KILL, notify, "%s", why);
}

bool v1_next_candidate(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	struct ike_conn *c;

	do {
		c = ike_conn_candidate(x->ike, 1, &ph->candidate, &sa->local.addr,
				       &sa->remote.addr, NULL, &sa->remote_id);
	} while (c && !proposal_fits(sa, c));
	if (!c)
		return false;
	ike_sa_set_conn(sa, c);
	ph->pin = 0;
	return true;
}

enum ike_rc v1_check_candidates(struct v1_exchange *x, bool resume, unsigned next)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	char peer[IDENT_STRLEN];
	bool more;

	if (!resume) {
		ph->candidate = (struct ike_cursor){ .fit = 0 };
		ph->pin = 0;
		if (!v1_next_candidate(x))
			return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
					"no connection for these addresses and proposals has %s as "
					"remote id",
					ident_format(&sa->remote_id, peer, sizeof(peer)));
	} else if (x->work->rc == 0) {
		return IKE_OK;
	} else {
		snprintf(ph->why, sizeof(ph->why), "%s", x->work->why);
		if (ph->pin + 1 < sa->conn->conf->peer.n_cred)
			ph->pin++;
		else if (!v1_next_candidate(x))
			return not_proved(x, ph->why);
	}
	do {
		enum ike_rc rc = v1_check_peer(x, &more);
		if (rc != IKE_KILL)
			return v1_wait(x, next, rc);
	} while (v1_next_candidate(x));
	return not_proved(x, ph->why);
}

/* -- initiator: the peer that was called -- */

enum ike_rc v1_expect_peer(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	const struct ident *want = &sa->conn->conf->peer.id;
	char is[IDENT_STRLEN], should[IDENT_STRLEN];

	ph->pin = 0;
	if (v1_take_id(x))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", ph->why);
	if (!want->type || ident_match(want, &sa->remote_id))
		return IKE_OK;
	return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
			"the peer says it is %s, but connection %s expects %s: set the remote id "
			"here, or the local id there",
			ident_format(&sa->remote_id, is, sizeof(is)), sa->conn->conf->name,
			ident_format(want, should, sizeof(should)));
}

enum ike_rc v1_check_expected(struct v1_exchange *x, unsigned next)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	bool more, resumed = x->step == next && x->work;

	if (resumed && x->work->rc == 0)
		return IKE_OK;
	if (resumed) {
		if (ph->pin + 1 >= x->sa->conn->conf->peer.n_cred)
			return not_proved(x, x->work->why);
		ph->pin++;
	}
	enum ike_rc rc = v1_check_peer(x, &more);
	if (rc == IKE_KILL)
		return not_proved(x, ph->why);
	return v1_wait(x, next, rc);
}

/* -- what else is said, or decided, with the proofs -- */

bool v1_elsewhere(const struct ike_sa *sa)
{
	for (struct ike_sa *t = NULL; (t = ike_sa_twin(sa, t));)
		if (!ip_addr_eq(&t->remote.addr, &sa->remote.addr))
			return sa->conn->conf->unique == IKE_UNIQUE_KEEP;
	return false;
}

enum ike_rc v1_admit(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	sa->v1->contact = ike_msg_notify(x->m, IKE1_INITIAL_CONTACT) != NULL;
	if (x->ike->conf->sas_max && x->ike->stats.established >= x->ike->conf->sas_max)
		return v1_error(x, IKE_KILL, IKE1_AUTHENTICATION_FAILED,
				"there are as many IKE SAs as `sas_limit` allows");
	if (v1_elsewhere(sa))
		return v1_error(x, IKE_KILL, IKE1_AUTHENTICATION_FAILED,
				"there is an SA with this peer already (unique = keep)");
	return IKE_OK;
}

/* INITIAL-CONTACT (RFC 2407 4.6.3.3): nothing of this peer is known here. */
int v1_add_contact(struct v1_exchange *x, bool inner)
{
	struct ike_sa *sa = x->sa;

	if (sa->replaces || sa->conn->n_up || sa->conn->conf->unique == IKE_UNIQUE_NEVER)
		return 0;
	uint8_t *spi = ike_arena(sa->ike, 16);
	struct ike_payload *p = spi ? ike_msg_add(x->out, IKE1_N, inner) : NULL;
	if (!p)
		return -ENOSPC;
	memcpy(spi, sa->spi_i, 8);
	memcpy(spi + 8, x->out->hdr.spi_r, 8);
	p->notify.doi = IKE1_DOI_IPSEC;
	p->notify.proto = IKE_PROTO_IKE;
	p->notify.type = IKE1_INITIAL_CONTACT;
	p->notify.spi = span_of(spi, 16);
	return 0;
}

/*
 * With a pre-shared key in Main Mode the keys that hide the identities are made of it, so who has another
 * one sends what nobody can read. That anybody can send, too: it is only the likeliest reason, for the log
 * and for the end when nothing better comes.
 */
bool v1_secret_in_doubt(const struct ike_sa *sa)
{
	const struct v1_sa *v = sa->v1;

	return v->ph && sa->keys.block && !sa->authenticated && v->p1.exchange == IKE1_X_MAIN &&
	       v1_method_base(v->ph->offer.method) == V1_BY_PSK;
}

void v1_other_secret(struct ike_sa *sa, struct ike_bad *bad)
{
	struct v1_phase1 *ph = sa->v1->ph;
	char peer[IP_ADDR_STRLEN];

	if (!v1_secret_in_doubt(sa) || bad->notify == IKE1_INVALID_FLAGS)
		return;
	snprintf(bad->why, sizeof(bad->why), V1_OTHER_SECRET,
		 ip_addr_format(&sa->remote.addr, peer));
	if (sa->initiator)
		(void)v1_doubt(&sa->v1->p1, bad->why);
	else
		snprintf(ph->refusal, sizeof(ph->refusal), "%s", bad->why);
}
