/*
 * The Base exchange (RFC 2408 4.4): SA and nonces first, then KE, identity and proof in one message
 * each way, all in the clear. The initiator proves itself before it knows the responder's public
 * value, so HASH_I does without it (phase1_auth.c). With a pre-shared key whoever answers gets
 * something to guess it by. Only for connections with exchange = base.
 */
#include <stdio.h>

#include "base/random.h"
#include "ike/v1/v1.h"

enum ike_rc v1_base_begin(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	if (v1_add_sa(x) || v1_add_nonce(x) || v1_add_vendors(x))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why[0] ? ph->why : "out of memory");
	return IKE_OK;
}

/* Responder: first.c has chosen. */
enum ike_rc v1_base_1(struct v1_exchange *x)
{
	v1_take_vendors(x);
	v1_take_nonce(x);
	if (v1_answer_sa(x) || v1_add_nonce(x) || v1_add_cr(x, false) || v1_add_vendors(x) ||
	    v1_add_natd(x, false))
		return IKE_DROP;
	return IKE_OK;
}

/* KE, identity, proof. step: where to come back with the signature. */
static enum ike_rc identify(struct v1_exchange *x, unsigned step)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (v1_method_signs(ph->offer.method, sa->initiator))
		ph->cred = v1_own_cred(sa);
	if (v1_own_identity(sa, ph->why, sizeof(ph->why)))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why);
	if (v1_add_public(x) || v1_add_id(x, false))
		return IKE_DROP;
	return v1_prove(x, step, false);
}

/* The message anew, with the signature that came back. */
static enum ike_rc with_signature(struct v1_exchange *x)
{
	if (v1_add_public(x) || v1_add_id(x, false) || v1_add_certs(x, false))
		return IKE_DROP;
	return v1_add_signature(x, false);
}

/* Message 3: what goes beside the proof. */
static enum ike_rc initiator_rest(struct v1_exchange *x)
{
	if (v1_add_cr(x, false) || v1_add_natd(x, false))
		return IKE_DROP;
	v1_set_state(x->sa, IKE_ST_AUTH_I);
	return IKE_OK;
}

/* Step 1: our key pair; 2: our signature. */
enum ike_rc v1_base_2(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	if (x->step == 0) {
		if (v1_take_answer(x))
			return v1_doubt(x, ph->why);
		v1_take_nonce(x);
		return v1_wait(x, 1,
			       ike_work_dh(sa, dh_info(ph->offer.group), NULL, span_of(NULL, 0)));
	}
	if (x->step == 1) {
		if (x->work->rc)
			return v1_error(x, IKE_KILL, 0, "%s", x->work->why);
		ph->dh = x->work->dh;
		x->work->dh = NULL;
		v1_take_cookie(x);
		v1_take_vendors(x);
		v1_take_cr(x);
		v1_take_natd(x);
		rc = identify(x, 2);
	} else {
		rc = with_signature(x);
	}
	return rc == IKE_OK ? initiator_rest(x) : rc;
}

static enum ike_rc up(struct v1_exchange *x)
{
	v1_established(x);
	return IKE_OK;
}

/* The shared secret is there: keys, with the secret of who the peer says it is. */
static enum ike_rc keyed(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	char peer[IDENT_STRLEN];

	if (x->work->rc)
		return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION, "%s", x->work->why);
	dh_free(&ph->dh);
	ph->dh = x->work->dh;
	x->work->dh = NULL;
	v1_take_natd(x);
	v1_take_cr(x);
	ph->candidate = (struct ike_cursor){ .fit = 0 };
	if (!v1_next_candidate(x))
		return v1_error(
		    x, IKE_KILL, IKE1_INVALID_ID_INFORMATION,
		    "no connection for these addresses and proposals has %s as remote id",
		    ident_format(&sa->remote_id, peer, sizeof(peer)));
	if (v1_copy(&ph->gxr, dh_public(ph->dh)))
		return IKE_DROP;
	if (v1_make_keys(x, secret_view(&x->work->shared)))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", ph->why);
	return IKE_OK;
}

/* Step 1: the shared secret; 2: the peer's signature; 3: ours. */
enum ike_rc v1_base_3(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	if (x->step == 3) {
		rc = with_signature(x);
		return rc == IKE_OK ? up(x) : rc;
	}
	if (x->step == 0) {
		uint16_t bad = v1_take_public(x);
		if (bad)
			return v1_error(x, IKE_KILL, bad, "%s", ph->why);
		if (v1_take_id(x))
			return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", ph->why);
		struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
		return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), NULL, ke));
	}
	if (x->step == 1) {
		rc = keyed(x);
		if (rc != IKE_OK)
			return rc;
	}
	rc = v1_check_candidates(x, x->step == 2, 2);
	if (rc == IKE_OK)
		rc = v1_admit(x);
	if (rc == IKE_OK)
		rc = identify(x, 3);
	return rc == IKE_OK ? up(x) : rc;
}

/* The answer is in the clear, so anybody may have made it: a better one may come. */
static enum ike_rc disbelieve(struct v1_exchange *x)
{
	keymat_free(&x->sa->keys);
	return v1_doubt(x, x->why);
}

/* Step 1: the shared secret; 2: the peer's signature. */
enum ike_rc v1_base_4(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	if (x->step == 0) {
		if (v1_take_public(x))
			return v1_doubt(x, ph->why);
		struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
		return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), &ph->dh, ke));
	}
	if (x->step == 1) {
		ph->dh = x->work->dh;
		x->work->dh = NULL;
		if (x->work->rc)
			return v1_doubt_public(x, x->work->why);
		rc = v1_expect_peer(x);
		if (rc == IKE_KILL)
			return v1_doubt(x, x->why);
		if (rc != IKE_OK)
			return rc;
		if (v1_make_keys(x, secret_view(&x->work->shared)))
			return v1_error(x, IKE_KILL, 0, "%s", ph->why);
		x->step = 0;
	}
	rc = v1_check_expected(x, 2);
	if (rc == IKE_KILL)
		return disbelieve(x);
	return rc == IKE_OK ? up(x) : rc;
}
