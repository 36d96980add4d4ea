/*
 * The Authentication Only exchange (RFC 2408 4.6): each side proves who it is, and that is all.
 * There is no key exchange, so nothing can follow: the order is done, the event told, and the SA
 * goes when messages are no longer repeated. With a pre-shared key whoever asks gets something to
 * guess it by. Only for connections with exchange = authentication.
 */
#include <stdio.h>

#include "base/clock.h"
#include "ike/v1/v1.h"

#define KEPT_NS (10 * NS_PER_S) /* a last message is repeated so long */

enum ike_rc v1_auth_begin(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	if (v1_add_sa(x) || v1_add_nonce(x) || v1_add_cr(x, false))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why[0] ? ph->why : "out of memory");
	return IKE_OK;
}

/* Message 2 up to the proof; first.c has chosen. */
static enum ike_rc answer_head(struct v1_exchange *x)
{
	if (v1_answer_sa(x) || v1_add_nonce(x) || v1_add_id(x, false) || v1_add_certs(x, false))
		return IKE_DROP;
	return IKE_OK;
}

/* Who we are, and by which key. */
static enum ike_rc own(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (v1_method_signs(ph->offer.method, sa->initiator))
		ph->cred = v1_own_cred(sa);
	if (v1_own_identity(sa, ph->why, sizeof(ph->why)))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why);
	return IKE_OK;
}

/* Step 1: our signature. */
enum ike_rc v1_auth_1(struct v1_exchange *x)
{
	enum ike_rc rc = IKE_OK;

	if (x->step == 0) {
		v1_take_nonce(x);
		v1_take_cr(x);
		rc = own(x);
	}
	if (rc == IKE_OK)
		rc = answer_head(x);
	if (rc == IKE_OK)
		rc = x->step == 0 ? v1_prove(x, 1, false) : v1_add_signature(x, false);
	if (rc == IKE_OK && v1_add_cr(x, false))
		rc = IKE_DROP;
	return rc;
}

static void told(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	char peer[IDENT_STRLEN], text[IDENT_STRLEN + 64];

	snprintf(text, sizeof(text),
		 "%s has proved who it is (Authentication Only: there are no keys)",
		 ident_format(&sa->remote_id, peer, sizeof(peer)));
	ike_sa_log(sa, LOG_LVL_NOTICE, "%s", text);
	sa->v1->proved = true;
	sa->conn->tries = 0;
	ike_sa_close_gate(sa);
	while (!list_empty(&sa->wants)) {
		struct ike_want *w = list_entry(sa->wants.next, struct ike_want, link);
		list_del(&w->link);
		if (w->order)
			ike_tell(x->ike, IKE_EV_PROGRESS, NULL, sa, NULL, w->order, "%s", text);
		ike_want_done(sa->conn, w, sa);
	}
	ike_timer_set(&x->ike->timers, &sa->t_again, clock_now_ns() + KEPT_NS, v1_sa_again_fire);
}

void v1_proved(struct v1_exchange *x)
{
	x->done = true;
	x->after = told;
}

/* The answer is in the clear, so anybody may have made it: a better one may come. */
static enum ike_rc disbelieve(struct v1_exchange *x)
{
	memset(x->sa->spi_r, 0, sizeof(x->sa->spi_r));
	return v1_doubt(x, x->why);
}

static enum ike_rc last(struct v1_exchange *x, enum ike_rc rc)
{
	if (rc == IKE_OK)
		v1_proved(x);
	return rc;
}

/* Step 1: the peer's signature; 2: ours. */
enum ike_rc v1_auth_2(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;
	enum ike_rc rc;

	memcpy(x->out->hdr.spi_r, x->m->hdr.spi_r, 8);
	if (x->step == 2) {
		if (v1_add_id(x, false) || v1_add_certs(x, false))
			return IKE_DROP;
		return last(x, v1_add_signature(x, false));
	}
	if (x->step == 0) {
		if (v1_take_answer(x))
			return v1_doubt(x, ph->why);
		v1_take_nonce(x);
		v1_take_cookie(x);
		v1_take_cr(x);
		rc = v1_expect_peer(x);
		if (rc == IKE_KILL)
			return disbelieve(x);
		if (rc != IKE_OK)
			return rc;
	}
	rc = v1_check_expected(x, 1);
	if (rc == IKE_KILL)
		return disbelieve(x);
	if (rc == IKE_OK)
		rc = own(x);
	if (rc == IKE_OK && v1_add_id(x, false))
		rc = IKE_DROP;
	return rc == IKE_OK ? last(x, v1_prove(x, 2, false)) : rc;
}

enum ike_rc v1_auth_3(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	if (x->step == 0 && v1_take_id(x))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", ph->why);
	enum ike_rc rc = v1_check_candidates(x, x->step == 1, 1);
	if (rc == IKE_OK)
		v1_proved(x);
	return rc;
}
