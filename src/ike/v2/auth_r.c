/*
 * IKE_AUTH as responder: identities choose among the connections that fit the addresses and the
 * proposal -> the peer's proof is checked under the best, and if it fails under the next -> the
 * uniqueness policy -> the first child, or none -> our own proof -> the SA is in force. Whatever
 * fails, the peer hears AUTHENTICATION_FAILED and the log says why (RFC 7296 2.15, 2.21.2, 2.9).
 */
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/names.h"
#include "ike/v2/internal.h"

enum step { BEGIN, CHECKED, CHECKED_MORE, SIGNED };

static enum ike_rc fail(struct v2_exchange *x, const char *why)
{
	struct ike_sa *sa = x->sa;
	char peer[IDENT_STRLEN];

	ident_format(&sa->remote_id, peer, sizeof(peer));
	bool told = ike_stranger_log(x->ike, &x->remote, "IKE_AUTH of %s failed: %s", peer, why);
	ike_audit(x->ike, AUDIT_PEER_AUTH, sa, &x->remote, "IKE_AUTH of %s failed: %s", peer, why);
	/* kept where `status` shows it */
	free(sa->conn->last_error);
	if (asprintf(&sa->conn->last_error, "peer %s: %s", peer, why) < 0)
		sa->conn->last_error = NULL;
	sa->conn->last_error_wall_ns = clock_wall_ns();
	if (told)
		ike_tell(x->ike, IKE_EV_FAILED, NULL, sa, NULL, 0, "peer %s: %s", peer, why);
	return v2_error(x, IKE_KILL, IKE2_AUTHENTICATION_FAILED);
}

/* The chosen proposal must be one of the connection's, too. */
static bool proposal_fits(const struct ike_sa *sa, const struct ike_conn *c)
{
	struct proposals one = { .n = 1 };
	struct proposal chosen;
	char why[256];

	one.p[0] = sa->init->chosen;
	return proposal_select(&c->conf->proposals, &one, 0, &chosen, why, sizeof(why)) == 0;
}

/* The next connection to try; false: there are no more. */
static bool next_candidate(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	struct ike_conn *c;

	do {
		c = ike_conn_candidate(x->ike, 2, &i->candidate, &sa->local.addr, &sa->remote.addr,
				       &i->wanted_id, &sa->remote_id);
	} while (c && !proposal_fits(sa, c));
	if (!c)
		return false;
	ike_sa_set_conn(sa, c);
	i->pin = 0;
	return true;
}

/* -- after the peer has proved itself -- */

/* What older SAs with this peer mean for this one. True: it may come up. */
static bool unique_ok(struct ike_sa *sa)
{
	if (sa->conn->conf->unique != IKE_UNIQUE_KEEP)
		return true;
	for (struct ike_sa *t = NULL; (t = ike_sa_twin(sa, t));)
		if (!endpoint_eq(&t->remote, &sa->remote))
			return false;
	return true;
}

static void drop_twins(struct ike_sa *sa, bool initial_contact)
{
	enum ike_unique u = sa->conn->conf->unique;
	struct ike_sa *t = ike_sa_twin(sa, NULL), *next;

	if (u == IKE_UNIQUE_NEVER || (u != IKE_UNIQUE_REPLACE && !initial_contact))
		return;
	for (; t; t = next) {
		next = ike_sa_twin(sa, t);
		if (initial_contact)
			ike_sa_kill(t, IKE_END_REPLACED,
				    "the peer began anew: it knows nothing of this SA");
		/* from the same place it is a reauthentication: the peer deletes the old one */
		else if (u == IKE_UNIQUE_REPLACE && !endpoint_eq(&t->remote, &sa->remote))
			v2_sa_delete(t, IKE_END_REPLACED, 0);
	}
}

static enum ike_rc choose_child(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	uint64_t need = IKE_BIT(IKE2_SA) | IKE_BIT(IKE2_TSI) | IKE_BIT(IKE2_TSR);
	uint16_t group;

	if ((x->m->seen & need) != need)
		return IKE_OK; /* childless (RFC 6023), or only the SA is wanted */
	x->child = child_nego_new(sa, UINT32_MAX, false);
	if (!x->child)
		return IKE_DROP;
	memcpy(x->child->ni, i->ni, i->ni_len);
	memcpy(x->child->nr, i->nr, i->nr_len);
	x->child->ni_len = i->ni_len;
	x->child->nr_len = i->nr_len;
	x->child_error = v2_child_choose(x->child, x->m, true, &group);
	return IKE_OK;
}

static int fill(struct v2_exchange *x, uint8_t method, struct span auth)
{
	struct ike_sa *sa = x->sa;
	struct ike_msg *out = x->out;

	if (v2_add_id(out, IKE2_IDR, &sa->local_id) ||
	    (sa->init->cred && v2_add_certs(sa, out, sa->init->cred)))
		return -ENOSPC;
	struct ike_payload *p = ike_msg_add(out, IKE2_AUTH, true);
	if (!p || !auth.p)
		return -ENOSPC;
	p->auth.method = method;
	p->auth.data = auth;
	return 0;
}

/* Everything is checked: commit. */
static enum ike_rc up(struct v2_exchange *x, uint8_t method, struct span auth)
{
	struct ike_sa *sa = x->sa;
	struct child_nego *c = x->child;
	bool fresh = ike_msg_notify(x->m, IKE2_INITIAL_CONTACT) != NULL;

	if (fill(x, method, auth))
		return fail(x, "our answer does not fit one message");
	ike_sa_established(sa, NULL);
	struct ike_child *child = c && !x->child_error ? child_nego_install(c, true, 0) : NULL;
	if (c && !x->child_error && !child)
		x->child_error = IKE2_TEMPORARY_FAILURE;
	if (child && v2_child_answer(c, x->out)) {
		/* too many selectors for a message: without its answer there is no child */
		ike_child_close(child, IKE_END_FAILED, c->why);
		x->why = "our answer does not fit one message";
		return IKE_KILL;
	}
	if (c && x->child_error) {
		ike_conn_failed(sa->conn, sa, 0, "child %s: %s",
				c->conf ? c->conf->name : "(none fits)", c->why);
		if (!v2_add_notify(x->out, x->child_error, span_of(NULL, 0)))
			ike_sa_log(sa, LOG_LVL_WARN, "the peer could not be told");
	}
	drop_twins(sa, fresh);
	v2_init_free(&sa->init);
	return IKE_OK;
}

static enum ike_rc prove(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	const struct ike_conn_conf *c = sa->conn->conf;
	struct auth_octets o = v2_auth_octets(sa, true, v2_id_body(x->ike, &sa->local_id));
	uint8_t method;

	if (c->auth.method == IKE_BY_PSK) {
		const struct cred_psk *k =
		    cred_psk_find(&x->ike->conf->psks, &sa->local_id, &sa->remote_id);
		if (!k)
			return fail(x, "there is no secret to prove ourselves with");
		if (auth_psk(&o, secret_view(&k->key), i->auth))
			return IKE_DROP;
		struct span a = ike_arena_copy(x->ike, span_of(i->auth, sa->suite.prf->len));
		return up(x, IKE2_AUTH_PSK, a);
	}
	i->cred = v2_own_cred(sa);
	if (!i->cred)
		return fail(x,
			    "the connection has no private key to prove who we are: set certs (or "
			    "pubkeys) and key of its local side");
	const struct sig_info *s =
	    auth_pick(i->cred->key, i->hashes, c->auth.pss, c->allow_weak, &method);
	if (!s)
		return fail(x, "the peer does not say that it can check signatures of our kind of "
			       "key (RFC 7427): use an RSA key, or ECDSA on P-256, P-384 or P-521");
	return v2_wait(x, SIGNED, ike_work_sign(sa, &o, s, method, i->cred->key));
}

/* The peer is who it says. */
static enum ike_rc proved(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;

	if (x->ike->conf->sas_max && x->ike->stats.established >= x->ike->conf->sas_max)
		return fail(x, "there are as many IKE SAs as `sas_limit` allows");
	if (!unique_ok(sa))
		return fail(x, "there is an SA with this peer already (unique = keep)");
	enum ike_rc rc = choose_child(x);
	return rc == IKE_OK ? prove(x) : rc;
}

/* Tries connection after connection, key after key. */
static enum ike_rc check(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	bool more;

	do {
		if (v2_own_identity(sa, &i->wanted_id, i->why, sizeof(i->why)))
			continue;
		enum ike_rc rc = v2_check_peer(x, &more);
		if (rc == IKE_OK)
			return proved(x);
		if (rc != IKE_KILL)
			return v2_wait(x, more ? CHECKED_MORE : CHECKED, rc);
	} while (next_candidate(x));
	return fail(x, i->why);
}

/* No connection for these addresses has the identities: which are meant, and which there are. */
static const char *say_nobody(const struct ike_sa *sa, char *text, size_t max)
{
	const struct ident *wanted = &sa->init->wanted_id;
	struct ike_cursor at = { .fit = 0 };
	const struct ike_conn *c = ike_conn_candidate(sa->ike, 2, &at, &sa->local.addr,
						      &sa->remote.addr, NULL, NULL);
	char want[IDENT_STRLEN] = "any identity", mine[IDENT_STRLEN] = "anybody",
	     theirs[IDENT_STRLEN] = "anybody";

	if (wanted->type)
		ident_format(wanted, want, sizeof(want));
	if (c && c->conf->auth.id.type)
		ident_format(&c->conf->auth.id, mine, sizeof(mine));
	if (c && c->conf->peer.id.type)
		ident_format(&c->conf->peer.id, theirs, sizeof(theirs));
	int n = snprintf(text, max,
			 "no connection for these addresses has it as remote id and %s as local id",
			 want);
	if (c && n > 0 && (size_t)n < max)
		snprintf(text + n, max - (size_t)n,
			 "; connection %s has remote id %s and local id %s: make the ids of both "
			 "sides agree",
			 c->conf->name, theirs, mine);
	return text;
}

static enum ike_rc begin(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	const struct ike_payload *id = ike_msg_find(x->m, IKE2_IDI, NULL);
	const struct ike_payload *mine = ike_msg_find(x->m, IKE2_IDR, NULL);
	char text[768];

	i->candidate = (struct ike_cursor){ .fit = 0 };
	i->pin = 0;
	ident_fini(&sa->remote_id);
	ident_fini(&i->wanted_id);
	if (ident_from_wire(id->id.type, id->id.data, &sa->remote_id) ||
	    (mine && ident_from_wire(mine->id.type, mine->id.data, &i->wanted_id)))
		return fail(x, "an identity is malformed or of a type not known here");
	v2_take_certreq(sa, x->m);
	if (next_candidate(x))
		return check(x);
	return fail(x, say_nobody(sa, text, sizeof(text)));
}

enum ike_rc v2_auth_r(struct v2_exchange *x)
{
	struct v2_init *i = x->sa->init;

	switch ((enum step)x->step) {
	case BEGIN:
		return begin(x);
	case CHECKED:
	case CHECKED_MORE:
		if (x->work->rc == 0)
			return proved(x);
		snprintf(i->why, sizeof(i->why), "%s", x->work->why);
		if (x->step == CHECKED_MORE)
			i->pin++;
		else if (!next_candidate(x))
			return fail(x, i->why);
		return check(x);
	case SIGNED:
		break;
	}
	if (x->work->rc)
		return fail(x, x->work->why);
	return up(x, x->work->method,
		  ike_arena_copy(x->ike, span_of(x->work->auth, x->work->n_auth)));
}

/* An IKE_AUTH without AUTH asks for EAP (RFC 7296 2.16), which no connection does. */
enum ike_rc v2_auth_eap_r(struct v2_exchange *x)
{
	const struct ike_payload *id = ike_msg_find(x->m, IKE2_IDI, NULL);

	ident_fini(&x->sa->remote_id);
	if (ident_from_wire(id->id.type, id->id.data, &x->sa->remote_id))
		return v2_error(x, IKE_KILL, IKE2_AUTHENTICATION_FAILED);
	return fail(x, "it wants to log in by EAP, which this connection does not do: let it use a "
		       "certificate or a pre-shared key");
}
