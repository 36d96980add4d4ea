/*
 * Main Mode (RFC 2409 5, "Identity Protection" of RFC 2408 4.5): SA, SA -> KE, KE -> identities and
 * proofs, encrypted. Each handler takes one message and makes the next.
 */
#include <stdio.h>

#include "base/clock.h"
#include "ike/msg_rule.h"
#include "ike/v1/v1.h"

#define DOUBT_NS (2 * NS_PER_S) /* how long something better than a refusal is waited for */

enum ike_rc v1_main_begin(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	if (v1_add_sa(x) || v1_add_vendors(x))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why[0] ? ph->why : "out of memory");
	return IKE_OK;
}

/* Responder: first.c has chosen. */
enum ike_rc v1_main_1(struct v1_exchange *x)
{
	v1_take_vendors(x);
	if (v1_answer_sa(x) || v1_add_vendors(x))
		return IKE_DROP;
	return IKE_OK;
}

/* What the peer said in the clear is wrong, or a refusal: perhaps it was not the peer. It is
 * believed when nothing better comes for a while. */
enum ike_rc v1_doubt(struct v1_exchange *x, const char *text)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	snprintf(ph->refusal, sizeof(ph->refusal), "%s", text);
	if (!ph->give_up_ns) {
		ph->give_up_ns = clock_now_ns() + DOUBT_NS;
		ike_timer_set(&sa->ike->timers, &sa->t_again, ph->give_up_ns, v1_sa_again_fire);
	}
	return IKE_REPLY_ERROR;
}

enum ike_rc v1_doubt_public(struct v1_exchange *x, const char *text)
{
	struct ike_bad bad;

	ike_refuse(&bad, IKE1_INVALID_KEY_INFORMATION, IKE1_KE, "%s", text);
	v1_audit(x->ike, x->sa, &x->remote, &bad);
	return v1_doubt(x, text);
}

/* The peer goes on: its cookie is its own from now on. */
void v1_take_cookie(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	memcpy(sa->spi_r, x->m->hdr.spi_r, 8);
	memcpy(x->out->hdr.spi_r, sa->spi_r, 8);
	ph->give_up_ns = 0;
	ph->refusal[0] = '\0';
	ike_timer_stop(&sa->ike->timers, &sa->t_again);
}

enum ike_rc v1_main_2(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (x->step == 0) {
		if (v1_take_answer(x))
			return v1_doubt(x, ph->why);
		return v1_wait(x, 1,
			       ike_work_dh(sa, dh_info(ph->offer.group), NULL, span_of(NULL, 0)));
	}
	if (x->work->rc)
		return v1_error(x, IKE_KILL, 0, "%s", x->work->why);
	ph->dh = x->work->dh;
	x->work->dh = NULL;
	v1_take_cookie(x);
	v1_take_vendors(x);
	return v1_add_ke(x) || v1_add_natd(x, false) ? IKE_DROP : IKE_OK;
}

enum ike_rc v1_main_3(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (x->step == 0) {
		uint16_t bad = v1_take_ke(x);
		if (bad)
			return v1_error(x, IKE_REPLY_ERROR, bad, "%s", ph->why);
		struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
		return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), NULL, ke));
	}
	if (x->work->rc)
		return v1_error(x, IKE_REPLY_ERROR, IKE1_INVALID_KEY_INFORMATION, "%s",
				x->work->why);
	v1_take_natd(x);
	v1_take_cr(x);
	dh_free(&ph->dh);
	ph->dh = x->work->dh;
	x->work->dh = NULL;
	if (v1_add_ke(x) || v1_add_cr(x, false) || v1_add_natd(x, false))
		return IKE_DROP;
	if (v1_make_keys(x, secret_view(&x->work->shared)))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", ph->why);
	return IKE_OK;
}

/* Our ID, certificates, proof: message 5 and 6. step: where to come back with the signature. */
static enum ike_rc identify(struct v1_exchange *x, unsigned step)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (v1_method_signs(ph->offer.method, sa->initiator))
		ph->cred = v1_own_cred(sa);
	if (v1_own_identity(sa, ph->why, sizeof(ph->why)))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why);
	if (v1_add_id(x, true))
		return IKE_DROP;
	return v1_prove(x, step, true);
}

/* Message 5: what goes beside the proof. */
static enum ike_rc initiator_rest(struct v1_exchange *x)
{
	if (v1_add_cr(x, true) || v1_add_contact(x, true))
		return IKE_DROP;
	v1_set_state(x->sa, IKE_ST_AUTH_I);
	return IKE_OK;
}

/* The message anew, with the signature that came back. */
static enum ike_rc with_signature(struct v1_exchange *x)
{
	if (v1_add_id(x, true) || v1_add_certs(x, true))
		return IKE_DROP;
	return v1_add_signature(x, true);
}

enum ike_rc v1_main_4(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	if (x->step == 0) {
		if (v1_take_ke(x))
			return v1_doubt(x, ph->why);
		struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
		return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), &ph->dh, ke));
	}
	if (x->step == 1) {
		ph->dh = x->work->dh;
		x->work->dh = NULL;
		if (x->work->rc)
			return v1_doubt_public(x, x->work->why);
		if (v1_make_keys(x, secret_view(&x->work->shared)))
			return v1_error(x, IKE_KILL, 0, "%s", ph->why);
		v1_take_natd(x);
		v1_take_cr(x);
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

enum ike_rc v1_main_5(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	if (x->step == 2) {
		rc = with_signature(x);
		return rc == IKE_OK ? up(x) : rc;
	}
	if (x->step == 0) {
		v1_take_cr(x);
		if (v1_take_id(x))
			return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", ph->why);
	}
	rc = v1_check_candidates(x, x->step == 1, 1);
	if (rc != IKE_OK)
		return rc;
	rc = v1_admit(x);
	if (rc == IKE_OK)
		rc = identify(x, 2);
	return rc == IKE_OK ? up(x) : rc;
}

enum ike_rc v1_main_6(struct v1_exchange *x)
{
	if (x->step == 0) {
		enum ike_rc rc = v1_expect_peer(x);
		if (rc != IKE_OK)
			return rc;
	}
	enum ike_rc rc = v1_check_expected(x, 1);
	const struct ike_payload *n = ike_msg_notify(x->m, IKE1_RESPONDER_LIFETIME);
	if (rc == IKE_OK && n && n->inner && n->notify.proto == IKE_PROTO_IKE)
		v1_phase1_limit(x->sa, n);
	return rc == IKE_OK ? up(x) : rc;
}
