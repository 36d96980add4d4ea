/*
 * What the messages of phase 1 are made of, for Main and Aggressive Mode and both roles: SA, KE and
 * nonce, vendor IDs, NAT detection, keys (RFC 2409 5, RFC 3947 3).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/sig_digest.h"
#include "ike/v1/v1.h"

#define PORT_NATT 4500
#define LEFT_NS   (8 * NS_PER_S)

int v1_copy(struct buf *to, struct span from)
{
	uint8_t *p = malloc(from.len ? from.len : 1);

	if (!p)
		return -ENOMEM;
	if (from.len)
		memcpy(p, from.p, from.len);
	free(to->p);
	*to = (struct buf){ .p = p, .len = from.len };
	return 0;
}

void v1_phase1_free(struct v1_phase1 **pp)
{
	struct v1_phase1 *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	free(p->sai_b.p);
	free(p->idi_b.p);
	free(p->idr_b.p);
	free(p->gxi.p);
	free(p->gxr.p);
	free(p->cr.p);
	dh_free(&p->dh);
	free(p);
}

static uint16_t method_of_key(const EVP_PKEY *key)
{
	switch (sig_digest_fits(key) ? (int)sig_digest_hash(key) : -1) {
	case 0:
		return V1_BY_RSA;
	case HASH_SHA2_256:
		return V1_BY_ECDSA_256;
	case HASH_SHA2_384:
		return V1_BY_ECDSA_384;
	case HASH_SHA2_512:
		return V1_BY_ECDSA_521;
	default:
		return 0; /* IKEv1 has no method for it */
	}
}

struct v1_terms v1_phase1_terms(const struct ike_conn *c, bool initiator, uint16_t group,
				uint16_t methods[4])
{
	const struct ike_auth_conf *a = &c->conf->auth;
	struct v1_terms t = { .methods = methods, .group = group };

	bool hybrid = a->method == IKE_BY_XAUTH || c->conf->peer.method == IKE_BY_XAUTH;
	/* one method stands for both sides (RFC 2409 5) */
	if (a->method != c->conf->peer.method && !hybrid)
		return t;
	if (a->method == IKE_BY_PSK || a->method == IKE_BY_XAUTH) {
		methods[0] = v1_method_of(c->conf, a->method == IKE_BY_PSK ? V1_BY_PSK : V1_BY_RSA,
					  initiator);
		t.n_methods = methods[0] != 0;
		return t;
	}
	for (unsigned i = 0; i < a->n_cred && t.n_methods < 4; i++) {
		uint16_t m = a->cred[i]->key ? method_of_key(a->cred[i]->key) : 0;
		m = m ? v1_method_of(c->conf, m, initiator) : 0;
		bool there = !m;
		for (unsigned k = 0; k < t.n_methods; k++)
			there = there || methods[k] == m;
		if (!there)
			methods[t.n_methods++] = m;
	}
	return t;
}

const struct cred *v1_own_cred(const struct ike_sa *sa)
{
	const struct ike_auth_conf *a = &sa->conn->conf->auth;
	const struct v1_phase1 *ph = sa->v1->ph;
	const struct cred *first = NULL;

	for (unsigned i = 0; i < a->n_cred; i++) {
		const struct cred *c = a->cred[i];
		if (!c->key ||
		    (ph->offer.method && method_of_key(c->key) != v1_method_base(ph->offer.method)))
			continue;
		if (!first)
			first = c;
		if (ph->cr.len && c->cert && v1_issued_by(c, span_of(ph->cr.p, ph->cr.len)))
			return c;
	}
	return first;
}

/* -- SA -- */

static struct ike_payload *add_sa(struct v1_exchange *x)
{
	struct ike_payload *p = ike_msg_add(x->out, IKE1_SA, false);

	if (p) {
		p->sa.doi = IKE1_DOI_IPSEC;
		p->sa.situation = IKE1_SIT_IDENTITY_ONLY;
	}
	return p;
}

/* The body as it will be on the wire: HASH_I and HASH_R cover it. */
static int keep_sa(struct v1_exchange *x)
{
	uint8_t *p = malloc(IKE_MAX_LEN);
	struct wr w = wr_of(p, p ? IKE_MAX_LEN : 0);
	struct ike_hdr was = x->out->hdr;
	int rc = p ? ike_msg_write(x->out, &w) : -ENOMEM;

	x->out->hdr = was;
	if (rc == 0) /* it is the first payload */
		rc = v1_copy(&x->sa->v1->ph->sai_b,
			     span_of(p + IKE_HDR_LEN + 4, load_be16(p + IKE_HDR_LEN + 2) - 4u));
	free(p);
	return rc;
}

int v1_add_sa(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	uint16_t methods[4];
	bool aggressive = x->exchange == IKE1_X_AGGRESSIVE;
	struct v1_terms t = v1_phase1_terms(
	    sa->conn, true, aggressive ? v1_first_group(&sa->conn->conf->proposals) : 0, methods);
	struct ike_payload *p = add_sa(x);

	ph->life = (struct v1_life){ .seconds = v1_phase1_lifetime(sa->conn->conf),
				     .kbytes = v1_phase1_kbytes(sa->conn->conf) };
	int n = p ? v1_ph1_offer(&sa->conn->conf->proposals, &t, &ph->life, x->out, p) : -ENOSPC;
	if (n < 0)
		snprintf(ph->why, sizeof(ph->why),
			 "the proposals of the connection do not fit one message: list fewer");
	else if (t.n_methods == 0)
		snprintf(ph->why, sizeof(ph->why),
			 "IKEv1 cannot authenticate so: both sides need psk, or both pubkey with "
			 "keys of RSA or ECDSA on P-256, P-384 or P-521");
	else if (n == 0)
		snprintf(ph->why, sizeof(ph->why),
			 "none of the proposals exists in IKEv1: it has aes and 3des with sha1, "
			 "sha256, sha384 or sha512, and modp or ecp groups");
	else
		return keep_sa(x);
	return n < 0 ? n : -ENOTSUP;
}

int v1_answer_sa(struct v1_exchange *x)
{
	struct ike_conn *conn = x->sa->conn;
	struct v1_phase1 *ph = x->sa->v1->ph;
	struct v1_choice c;
	uint16_t methods[4];
	struct v1_terms t = v1_phase1_terms(conn, false, 0, methods);
	const struct ike_payload *asked = ike_msg_find(x->m, IKE1_SA, NULL);

	int rc =
	    v1_ph1_choose(&conn->conf->proposals, &t, x->m, asked, &c, ph->why, sizeof(ph->why));
	struct ike_payload *p = rc ? NULL : add_sa(x);
	return p ? v1_sa_echo(x->m, &c, span_of(NULL, 0), span_of(NULL, 0), x->out, p) : -ENOSPC;
}

int v1_take_choice(struct ike_sa *sa, const struct v1_choice *c)
{
	struct v1_phase1 *ph = sa->v1->ph;

	ph->offer = c->own.suite;
	ph->chosen = c->own.chosen;
	for (unsigned i = 0; i < 2; i++)
		sa->v1->proof[i] =
		    v1_method_signs(c->own.suite.method, i == 0) ? V1_PROOF_SIG : V1_PROOF_PSK;
	return keymat_suite(&c->own.chosen, &ph->suite, ph->why, sizeof(ph->why));
}

int v1_take_answer(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	const struct ike_payload *p = ike_msg_find(x->m, IKE1_SA, NULL);
	uint16_t methods[4];
	struct v1_terms t = v1_phase1_terms(sa->conn, true, 0, methods);
	struct v1_choice c;
	char why[512];

	if (load_be64(x->m->hdr.spi_r) == 0) {
		snprintf(ph->why, sizeof(ph->why), "the peer's cookie is zero");
		return -EBADMSG;
	}
	if (x->exchange == IKE1_X_AGGRESSIVE)
		t.group = v1_first_group(&sa->conn->conf->proposals);
	if (!v1_sa_is_answer(x->m, p) ||
	    v1_ph1_choose(&sa->conn->conf->proposals, &t, x->m, p, &c, why, sizeof(why))) {
		snprintf(ph->why, sizeof(ph->why), "the peer chose what was not offered");
		return -ENOENT;
	}
	return v1_take_choice(sa, &c);
}

/* -- KE and nonce -- */

int v1_add_public(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	struct buf *mine = x->sa->initiator ? &ph->gxi : &ph->gxr;

	if (ph->dh && v1_copy(mine, dh_public(ph->dh)))
		return -ENOMEM;
	struct ike_payload *p = ike_msg_add(x->out, IKE1_KE, false);
	if (!p)
		return -ENOSPC;
	p->ke.data = span_of(mine->p, mine->len);
	return 0;
}

int v1_add_nonce(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	bool i = x->sa->initiator;
	uint8_t *nonce = i ? ph->ni : ph->nr;
	size_t *len = i ? &ph->ni_len : &ph->nr_len;
	struct ike_payload *p = ike_msg_add(x->out, IKE1_NONCE, false);

	if (!p)
		return -ENOSPC;
	if (*len == 0) {
		*len = V1_NONCE_LEN;
		random_bytes(nonce, V1_NONCE_LEN);
	}
	p->raw.data = span_of(nonce, *len);
	return 0;
}

int v1_add_ke(struct v1_exchange *x)
{
	int rc = v1_add_public(x);

	return rc ? rc : v1_add_nonce(x);
}

uint16_t v1_take_public(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	const struct ike_payload *ke = ike_msg_find(x->m, IKE1_KE, NULL);
	struct ike_bad bad;

	if (v1_check_ke(ke, ph->offer.group, &bad)) {
		v1_audit(x->ike, x->sa, &x->remote, &bad);
		snprintf(ph->why, sizeof(ph->why), "%s", bad.why);
		return bad.notify;
	}
	return v1_copy(x->sa->initiator ? &ph->gxr : &ph->gxi, ke->ke.data)
		   ? IKE1_INVALID_KEY_INFORMATION
		   : 0;
}

void v1_take_nonce(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	bool i = x->sa->initiator;
	struct span nonce = ike_msg_find(x->m, IKE1_NONCE, NULL)->raw.data;

	memcpy(i ? ph->nr : ph->ni, nonce.p, nonce.len);
	*(i ? &ph->nr_len : &ph->ni_len) = nonce.len;
}

uint16_t v1_take_ke(struct v1_exchange *x)
{
	uint16_t bad = v1_take_public(x);

	if (!bad)
		v1_take_nonce(x);
	return bad;
}

/* -- vendor IDs and NAT -- */

static uint32_t vendors(const struct ike_conn_conf *c)
{
	uint32_t set = v1_vendors_ours(c->fragmentation != IKE_FRAG_NO);

	if (c->auth.xauth || c->peer.xauth || c->auth.method == IKE_BY_XAUTH ||
	    c->peer.method == IKE_BY_XAUTH)
		set |= V1_VID(IKE_VENDOR_XAUTH);
	if (c->n_vips || c->n_pools)
		set |= V1_VID(IKE_VENDOR_UNITY);
	return set;
}

int v1_add_vendors(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	uint8_t *room = ike_arena(sa->ike, V1_VENDOR_ROOM);

	sa->v1->ours = vendors(sa->conn->conf) | v1_hook_vendors(sa->ike);
	return room ? v1_vendors_add(x->out, sa->v1->ours, room) : -ENOSPC;
}

void v1_take_vendors(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_sa *v = sa->v1;

	v->peers |= v1_vendors_of(x->m);
	v->ours = vendors(sa->conn->conf) | v1_hook_vendors(sa->ike);
	v->natt = v1_vendors_natt(v->ours, v->peers);
	sa->frag = v->ours & v->peers & V1_VID(IKE_VENDOR_FRAGMENTATION);
}

int v1_add_natd(struct v1_exchange *x, bool inner)
{
	struct ike_sa *sa = x->sa;
	uint8_t *room = ike_arena(sa->ike, 2 * HASH_LEN_MAX);

	if (sa->v1->natt == V1_NATT_NONE)
		return 0;
	if (!room)
		return -ENOSPC;
	/* in the message the peer's cookie is known by now */
	return v1_natd_add(x->out, inner, sa->v1->natt, v1_hash_of(sa->v1->ph->suite.prf),
			   sa->spi_i, sa->spi_r, &sa->local, &sa->remote, sa->conn->conf->encap,
			   room);
}

void v1_take_natd(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_sa *v = sa->v1;
	bool here, there;
	unsigned n = v1_natd_check(x->m, v->natt, v1_hash_of(v->ph->suite.prf), &x->local,
				   &x->remote, &here, &there);

	if (n < 2)
		return;
	sa->nat_local = here;
	sa->nat_remote = there;
	sa->encap = here || there || x->marker || sa->conn->conf->encap;
	/* RFC 3947 4: the initiator moves both to the port of NAT traversal */
	if (!sa->initiator || !sa->encap || sa->marker)
		return;
	sa->local.port = ike_port_nat_t(sa->ike->conf);
	if (sa->remote.port == 500)
		sa->remote.port = PORT_NATT;
	sa->marker = true;
}

/* -- keys -- */

/* The secret shared with the peer: by its identity when that is known, else as a peer at such an
 * address (RFC 2409 5.4). */
static const struct cred_psk *find_psk(struct ike_sa *sa)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	const struct ident *peer = &sa->remote_id;
	struct ident addr = { .type = 0 }, mine = { .type = 0 };
	const struct cred_psk *k = NULL;

	if (ident_from_addr(&sa->remote.addr, &addr) || ident_from_addr(&sa->local.addr, &mine))
		goto out;
	const struct ident *me =
	    c->auth.id.type && !ident_is_pattern(&c->auth.id) ? &c->auth.id : &mine;
	if (!peer->type)
		peer = c->peer.id.type && !ident_is_pattern(&c->peer.id) ? &c->peer.id : &addr;
	k = cred_psk_find(&sa->ike->conf->psks, me, peer);
	if (!k)
		k = cred_psk_find(&sa->ike->conf->psks, &mine, &addr);
out:
	ident_fini(&addr);
	ident_fini(&mine);
	return k;
}

int v1_find_psk(struct ike_sa *sa, struct span *key)
{
	const struct cred_psk *s = find_psk(sa);
	struct v1_phase1 *ph = sa->v1->ph;
	char peer[IP_ADDR_STRLEN];

	if (!s) {
		snprintf(ph->why, sizeof(ph->why),
			 "there is no secret for the peer %s: with IKEv1 it is found by "
			 "address (main mode) or by remote id; add a secret section with one of "
			 "these here",
			 ip_addr_format(&sa->remote.addr, peer));
		return -ENOENT;
	}
	*key = secret_view(&s->key);
	return 0;
}

int v1_make_keys(struct v1_exchange *x, struct span shared)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	struct ike_keys k = { .block = NULL };
	struct span psk, *key = NULL;

	if (v1_method_base(ph->offer.method) == V1_BY_PSK) {
		if (v1_find_psk(sa, &psk))
			return -ENOENT;
		key = &psk;
	}
	int rc = v1_keymat(&ph->suite, key, span_of(ph->ni, ph->ni_len),
			   span_of(ph->nr, ph->nr_len), shared, sa->spi_i, sa->spi_r, &k);
	if (rc == 0)
		rc = v1_iv_first(&ph->suite, span_of(ph->gxi.p, ph->gxi.len),
				 span_of(ph->gxr.p, ph->gxr.len), x->iv);
	if (rc == 0)
		memcpy(x->iv_was, x->iv, sizeof(x->iv));
	if (rc == 0)
		rc = ike_sa_set_keys(sa, &ph->suite, &k, &ph->chosen);
	if (rc) {
		keymat_free(&k);
		snprintf(ph->why, sizeof(ph->why), "the keys of the IKE SA could not be made");
	}
	return rc;
}

/* -- in force -- */

/* How long one that has been replaced stays. A peer rekeys what it has not heard to be deleted:
 * where lifetimes are short it must hear that soon, or two that both rekey have more and more of
 * them. */
uint64_t v1_left_wait(const struct ike_conn_conf *c)
{
	uint64_t life = c->rekey_ns;

	if (c->reauth_ns && (!life || c->reauth_ns < life))
		life = c->reauth_ns;
	return life && life / 4 < LEFT_NS ? life / 4 : LEFT_NS;
}

/*
 * It has been replaced. We wait a little: for exchanges under way, since who deletes it at once
 * does not hear that a Quick Mode came to its end, and for a peer that has yet to see the new one
 * through. Some let the children end with the phase 1 that made them, unless a new one took them
 * over: they must not hear that the old one is deleted before they hear that XAUTH is over. Should
 * the peer, after messages that crossed or were lost, have chosen the other one to stay, one of us
 * ends its own first, and the other hears of that in time (live.c).
 */
static void leave(struct ike_sa *sa, const struct ike_sa *to)
{
	bool first = memcmp(sa->spi_i, to->spi_i, 8) < 0;
	uint64_t wait = v1_left_wait(sa->conn->conf);
	uint64_t at = clock_now_ns() + (first ? wait : 2 * wait);

	if (sa->over || sa->v1->keyless)
		return;
	sa->replaced = true;
	sa->rekey_ns = sa->reauth_ns = 0;
	if (!sa->over_ns || sa->over_ns > at)
		sa->over_ns = at;
	ike_sa_arm_life(sa);
}

/* Two with one peer: the older one is replaced. When both sides began at once it is that with the
 * lower cookie, so that both choose the same. */
static void supersede(struct ike_sa *sa, struct ike_sa *twin)
{
	bool crossed = twin->established_ns > sa->v1->begun_ns && !twin->v1->keyless;
	bool stays = crossed && memcmp(sa->spi_i, twin->spi_i, 8) < 0;
	struct ike_sa *to = stays ? twin : sa, *from = stays ? sa : twin;

	v1_take_children(to, from);
	to->v1->met_ns = clock_now_ns();
	v1_keyless_check(from);
	leave(from, to);
	/* a peer to which children belong to a phase 1 may have them under either */
	if (crossed)
		v1_renew_children(to, v1_left_wait(to->conn->conf) / 2);
}

/* Behind one NAT there may be several with one name, where the configuration allows that. */
static bool same_place(const struct ike_sa *a, const struct ike_sa *b)
{
	return ip_addr_eq(&a->remote.addr, &b->remote.addr) &&
	       (a->conn->conf->unique != IKE_UNIQUE_NEVER || a->remote.port == b->remote.port ||
		!a->nat_remote);
}

/*
 * Other SAs with this peer. From the same place it is the old one that this replaces: the children,
 * which do not belong to a phase 1 in IKEv1, go over. After INITIAL-CONTACT the peer has none.
 */
static void meet_twins(struct ike_sa *sa)
{
	enum ike_unique u = sa->conn->conf->unique;
	struct ike_sa *t = ike_sa_twin(sa, NULL), *next;

	for (; t; t = next) {
		next = ike_sa_twin(sa, t);
		if (t->major != 1)
			continue;
		if (sa->v1->contact && u != IKE_UNIQUE_NEVER && t->id != sa->replaces) {
			ike_sa_kill(t, IKE_END_REPLACED,
				    "the peer began anew: it knows nothing of this SA");
			continue;
		}
		if (same_place(sa, t)) {
			supersede(sa, t);
		} else if (u == IKE_UNIQUE_REPLACE) {
			v1_sa_delete(t, IKE_END_REPLACED, 0);
		}
	}
}

void v1_begin_wants(struct ike_sa *sa)
{
	struct list wants;

	list_init(&wants);
	while (!list_empty(&sa->wants)) {
		struct list *l = sa->wants.next;
		list_del(l);
		list_push_back(&wants, l);
	}
	while (!list_empty(&wants)) {
		struct ike_want *w = list_entry(wants.next, struct ike_want, link);
		list_del(&w->link);
		ike_sa_want(sa, w);
	}
}

/* What this one was made to replace. The children of one that the peer has lost it may have lost,
 * too: they are made anew. */
static void take_over(struct ike_sa *sa, struct ike_sa *old)
{
	bool forgotten = old->v1->forgotten;

	v1_take_children(sa, old);
	sa->v1->met_ns = clock_now_ns();
	v1_keyless_check(old);
	if (!forgotten || old->over) {
		leave(old, sa);
		return;
	}
	ike_sa_kill(old, IKE_END_REPLACED, NULL);
	v1_renew_children(sa, NS_PER_S);
}

void v1_in_force(struct ike_sa *sa)
{
	struct v1_sa *v = sa->v1;
	uint32_t replaces = sa->replaces;

	ike_sa_established(sa, NULL);
	v1_take_lifetimes(sa);
	v1_phase1_free(&v->ph);
	meet_twins(sa);
	sa->replaces = 0;
	struct ike_sa *old = replaces ? ike_sa_by_id(sa->ike, replaces) : NULL;
	if (old && !old->over)
		take_over(sa, old);
	if (!sa->over && !v1_cfg_first(sa))
		v1_begin_wants(sa);
	if (!sa->over)
		v1_childless(sa);
}

static void through(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	memcpy(sa->v1->last_iv, x->iv, sizeof(sa->v1->last_iv));
	ike_timer_stop(&sa->ike->timers, &sa->t_again);
	v1_set_state(sa, IKE_ST_UP);
	if (!v1_xauth_begin(sa))
		v1_in_force(sa);
}

void v1_established(struct v1_exchange *x)
{
	x->done = true;
	x->after = through;
}
