/*
 * IKE_AUTH as initiator: who we are, our proof (made on the pool when it is a signature), the first
 * child -> the peer's proof checked -> the SA is in force, with its child or without (RFC 7296 1.2,
 * 2.15, 2.21.2).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/names.h"
#include "ike/v2/internal.h"
#include "ike/v2/rekey.h"

/* Which child goes along: the first that is wanted; NULL for none. */
static int first_child(struct ike_sa *sa)
{
	struct v2_init *i = sa->init;
	const struct ike_conn *c = sa->conn;

	if (i->child || (sa->childless && c->conf->childless))
		return 0;
	list_for_each (l, &sa->wants) {
		struct ike_want *w = list_entry(l, struct ike_want, link);
		if (w->ci == IKE_WANT_SA)
			continue;
		i->want = w;
		break;
	}
	unsigned any = 0; /* one that needs no packet */
	while (any < c->n_live && c->child[c->live[any]].conf->pfp)
		any++;
	if (!i->want && (sa->childless || any == c->n_live))
		return sa->childless ? 0 : -ENOENT;
	i->child = child_nego_new(sa, i->want ? i->want->ci : c->live[any], true);
	if (!i->child)
		return -ENOMEM;
	if (i->want && i->want->acquired) {
		i->child->have_flow = true;
		i->child->flow = i->want->flow;
	}
	memcpy(i->child->ni, i->ni, i->ni_len);
	memcpy(i->child->nr, i->nr, i->nr_len);
	i->child->ni_len = i->ni_len;
	i->child->nr_len = i->nr_len;
	return 0;
}

/* RFC 7296 2.4: nothing of this peer is known here. */
static bool initial_contact(const struct ike_sa *sa)
{
	if (sa->replaces || sa->conn->conf->unique == IKE_UNIQUE_NEVER)
		return false;
	return sa->conn->n_up == 0;
}

static int fill(struct v2_exchange *x, uint8_t method, struct span auth)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	const struct ike_conn_conf *c = sa->conn->conf;
	struct ike_msg *out = x->out;

	if (v2_add_id(out, IKE2_IDI, &sa->local_id) ||
	    (i->cred && v2_add_certs(sa, out, i->cred)) ||
	    (initial_contact(sa) && !v2_add_notify(out, IKE2_INITIAL_CONTACT, span_of(NULL, 0))) ||
	    (c->send_certreq && v2_add_certreq(sa, out)))
		return -ENOSPC;
	if (c->peer.id.type && !ident_is_pattern(&c->peer.id) &&
	    v2_add_id(out, IKE2_IDR, &c->peer.id))
		return -ENOSPC;
	struct ike_payload *p = ike_msg_add(out, IKE2_AUTH, true);
	if (!p)
		return -ENOSPC;
	p->auth.method = method;
	p->auth.data = auth;
	return i->child ? v2_child_offer(i->child, out, true) : 0;
}

/* Text for x->why. */
static const char *say(struct v2_exchange *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *say(struct v2_exchange *x, const char *fmt, ...)
{
	char *p = ike_arena(x->ike, 768);
	va_list ap;

	if (!p)
		return "out of memory";
	va_start(ap, fmt);
	vsnprintf(p, 768, fmt, ap);
	va_end(ap);
	return p;
}

static enum ike_rc fill_or_say(struct v2_exchange *x, uint8_t method, struct span auth)
{
	struct v2_init *i = x->sa->init;
	int rc = fill(x, method, auth);

	if (rc == 0)
		return IKE_OK;
	x->why = i->child && i->child->why[0] ? say(x, "%s", i->child->why)
					      : "IKE_AUTH does not fit one message";
	return IKE_KILL;
}

static enum ike_rc prove_by_psk(struct v2_exchange *x, const struct auth_octets *o)
{
	struct ike_sa *sa = x->sa;
	const struct ident *peer = &sa->conn->conf->peer.id;
	struct ident addr = { .type = 0 };
	char me[IDENT_STRLEN], them[IDENT_STRLEN];

	/* a peer that may be anybody is found by its address */
	if (!peer->type || ident_is_pattern(peer)) {
		if (ident_from_addr(&sa->remote.addr, &addr))
			return IKE_KILL;
		if (!peer->type || ident_match(peer, &addr))
			peer = &addr;
	}
	const struct cred_psk *k = cred_psk_find(&sa->ike->conf->psks, &sa->local_id, peer);
	ident_format(peer, them, sizeof(them));
	ident_fini(&addr);
	if (!k) {
		x->why = say(x, "there is no secret for %s with %s: add a secret section with these ids here",
			     ident_format(&sa->local_id, me, sizeof(me)), them);
		return IKE_KILL;
	}
	if (auth_psk(o, secret_view(&k->key), sa->init->auth)) {
		x->why = "out of memory";
		return IKE_KILL;
	}
	return fill_or_say(x, IKE2_AUTH_PSK, span_of(sa->init->auth, sa->suite.prf->len));
}

static enum ike_rc prove_by_key(struct v2_exchange *x, const struct auth_octets *o)
{
	struct ike_sa *sa = x->sa;
	const struct ike_conn_conf *c = sa->conn->conf;
	uint8_t method;

	sa->init->cred = v2_own_cred(sa);
	if (!sa->init->cred) {
		x->why = "the connection has no private key to prove who we are: set certs (or "
			 "pubkeys) and key of its local side";
		return IKE_KILL;
	}
	const struct sig_info *s =
	    auth_pick(sa->init->cred->key, sa->init->hashes, c->auth.pss, c->allow_weak, &method);
	if (!s) {
		x->why = "the peer does not say that it can check signatures of our kind of key "
			 "(RFC 7427): use an RSA key, or ECDSA on P-256, P-384 or P-521";
		return IKE_KILL;
	}
	return v2_wait(x, 1, ike_work_sign(sa, o, s, method, sa->init->cred->key));
}

enum ike_rc v2_auth_build(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	char why[128];

	if (x->step == 1) {
		if (x->work->rc) {
			x->why = say(x, "%s", x->work->why);
			return IKE_KILL;
		}
		struct span auth = ike_arena_copy(x->ike, span_of(x->work->auth, x->work->n_auth));
		return fill_or_say(x, x->work->method, auth);
	}
	if (v2_own_identity(sa, NULL, why, sizeof(why))) {
		x->why = say(x, "%s", why);
		return IKE_KILL;
	}
	if (first_child(sa)) {
		x->why = "the connection has no child and the peer cannot do without one: add one";
		return IKE_KILL;
	}
	struct span id = v2_id_body(x->ike, &sa->local_id);
	struct auth_octets o = v2_auth_octets(sa, true, id);
	if (sa->conn->conf->auth.method == IKE_BY_PSK)
		return prove_by_psk(x, &o);
	return prove_by_key(x, &o);
}

/* -- the answer -- */

/* The first child's fate. The IKE SA stays up without it. */
static void take_child(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	struct child_nego *c = i->child;
	struct ike_want *w = i->want;

	if (!c)
		return;
	i->want = NULL;
	if (w)
		list_del(&w->link);
	bool refused = v2_child_refusal(c, x->m);
	struct ike_child *made = NULL;
	if (!refused && v2_child_accept(c, x->m, true) == 0)
		made = child_nego_install(c, true, w ? w->order : 0);
	bool ok = made != NULL;
	if (!ok && !refused) /* the peer has put its half into force */
		v2_delete_spi(sa, c->proto, c->spi_in);
	if (!ok)
		ike_conn_failed(sa->conn, sa, 0, "child %s: %s", c->conf->name, c->why);
	if (w && ok && sa->conn->child[w->ci].unwanted) {
		ike_want_fail(sa->conn, w, "closed by order");
		v2_child_delete(made, IKE_END_ORDER, 0);
	} else if (w && ok)
		ike_want_done(sa->conn, w, sa);
	else if (w)
		ike_want_fail(sa->conn, w, c->why);
}

/* The rest of what is wanted becomes exchanges of their own. */
static void queue_wants(struct ike_sa *sa)
{
	list_for_each_safe (l, &sa->wants) {
		struct ike_want *w = list_entry(l, struct ike_want, link);
		struct v2_task *t = NULL;
		list_del(&w->link);
		if (w->ci != IKE_WANT_SA)
			t = v2_task_make(sa, V2_TASK_CHILD, w->order);
		if (!t) {
			ike_want_done(sa->conn, w, sa);
			continue;
		}
		t->ci = w->ci;
		t->acquired = w->acquired;
		t->flow = w->flow;
		free(w);
		v2_task_queue(t);
	}
}

static enum ike_rc accepted(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;

	ike_sa_established(sa, NULL);
	take_child(x);
	queue_wants(sa);
	v2_init_free(&sa->init);
	if (sa->replaces && !v2_task_find(sa, V2_TASK_CHILD, 0))
		v2_reauth_done(sa);
	x->to = IKE_ST_UP;
	return IKE_OK;
}

/* The peer is not who it should be: it must hear that, and there is no SA (RFC 7296 2.21.2). */
static enum ike_rc reject(struct v2_exchange *x, const char *why)
{
	char peer[IDENT_STRLEN];

	ike_audit(x->ike, AUDIT_PEER_AUTH, x->sa, &x->remote, "IKE_AUTH of %s failed: %s",
		  ident_format(&x->sa->remote_id, peer, sizeof(peer)), why);
	ike_sa_give_up(x->sa, why);
	x->to = IKE_ST_DELETING;
	return IKE_OK;
}

static enum ike_rc check(struct v2_exchange *x)
{
	struct v2_init *i = x->sa->init;
	bool more;
	enum ike_rc rc = v2_check_peer(x, &more);

	if (rc == IKE_OK)
		return accepted(x);
	if (rc == IKE_KILL)
		return reject(x, i->why);
	return v2_wait(x, more ? 2 : 1, rc);
}

enum ike_rc v2_auth_answer(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	const struct ident *want = &sa->conn->conf->peer.id;
	char is[IDENT_STRLEN], should[IDENT_STRLEN];

	if (x->step) {
		if (x->work->rc == 0)
			return accepted(x);
		if (x->step == 2) { /* another key of the connection may be the peer's */
			i->pin++;
			return check(x);
		}
		snprintf(i->why, sizeof(i->why), "%s", x->work->why);
		return reject(x, i->why);
	}
	const struct ike_payload *id = ike_msg_find(x->m, IKE2_IDR, NULL);
	ident_fini(&sa->remote_id);
	if (ident_from_wire(id->id.type, id->id.data, &sa->remote_id))
		return reject(x, "the peer's identity is malformed or of a type not known here");
	if (want->type && !ident_match(want, &sa->remote_id)) {
		snprintf(i->why, sizeof(i->why),
			 "the peer says it is %s, but connection %s expects %s: set the remote id "
			 "here, or the local id there",
			 ident_format(&sa->remote_id, is, sizeof(is)), sa->conn->conf->name,
			 ident_format(want, should, sizeof(should)));
		return reject(x, i->why);
	}
	return check(x);
}

enum ike_rc v2_auth_refused(struct v2_exchange *x)
{
	const struct ike_payload *p = v2_find_error(x->m);
	const struct ident *want = &x->sa->conn->conf->peer.id;
	bool named = want->type && !ident_is_pattern(want); /* IDr went along */
	char me[IDENT_STRLEN], they[IDENT_STRLEN], num[IKE_NAME_LEN], own[400];

	if (!p)
		return IKE_DROP;
	if (p->notify.type == IKE2_AUTHENTICATION_FAILED && v2_own_cert_bad(x->sa, own, sizeof(own)))
		x->why = say(x, "the peer refused us (AUTHENTICATION_FAILED), probably because %s",
			     own);
	else if (p->notify.type == IKE2_AUTHENTICATION_FAILED)
		x->why = say(x,
			     "the peer refused us (AUTHENTICATION_FAILED): it knows no connection "
			     "for %s%s%s, or our %s is not what it expects; its log says which",
			     ident_format(&x->sa->local_id, me, sizeof(me)),
			     named ? " to " : "", named ? ident_format(want, they, sizeof(they)) : "",
			     x->sa->conn->conf->auth.method == IKE_BY_PSK ? "pre-shared key"
									  : "certificate or key");
	else
		x->why = say(x, "the peer refused IKE_AUTH: %s",
			     ike_name_or_number(IKE_NAMES_NOTIFY2, p->notify.type, num));
	return IKE_KILL;
}
