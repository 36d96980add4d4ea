/*
 * Aggressive Mode (RFC 2409 5): SA, KE, nonce and identity in one message each way, so the
 * identities are not protected, and with a pre-shared key the responder's proof can be tried
 * against guessed keys by whoever asks. Only for connections with aggressive = yes.
 */
#include <stdio.h>

#include "base/random.h"
#include "ike/v1/v1.h"

enum ike_rc v1_aggr_begin(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (x->step == 0) {
		const struct dh_info *g = dh_info(v1_first_group(&sa->conn->conf->proposals));
		if (!g)
			return v1_error(x, IKE_KILL, 0,
					"none of the proposals has a group that exists in IKEv1");
		ph->offer.group = (uint16_t)g->id;
		return v1_wait(x, 1, ike_work_dh(sa, g, NULL, span_of(NULL, 0)));
	}
	if (x->work->rc)
		return v1_error(x, IKE_KILL, 0, "%s", x->work->why);
	ph->dh = x->work->dh;
	x->work->dh = NULL;
	if (v1_own_identity(sa, ph->why, sizeof(ph->why)) || v1_add_sa(x))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why[0] ? ph->why : "out of memory");
	if (v1_add_ke(x) || v1_add_id(x, false) || v1_add_cr(x, false) || v1_add_vendors(x))
		return IKE_DROP;
	return IKE_OK;
}

/* Message 2, in the order RFC 2409 shows it; the proof last but for vendor IDs and NAT-D. */
static enum ike_rc answer_head(struct v1_exchange *x)
{
	if (v1_answer_sa(x) || v1_add_ke(x) || v1_add_id(x, false) || v1_add_certs(x, false))
		return IKE_DROP;
	return IKE_OK;
}

static enum ike_rc answer_tail(struct v1_exchange *x, enum ike_rc rc)
{
	if (rc != IKE_OK)
		return rc;
	if (v1_add_cr(x, false) || v1_add_vendors(x) || v1_add_natd(x, false))
		return IKE_DROP;
	return IKE_OK;
}

static enum ike_rc keyed(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;

	if (x->work->rc)
		return v1_error(x, IKE_KILL, IKE1_INVALID_KEY_INFORMATION, "%s", x->work->why);
	v1_take_vendors(x);
	v1_take_cr(x);
	ph->dh = x->work->dh;
	x->work->dh = NULL;
	if (v1_copy(&ph->gxr, dh_public(ph->dh)))
		return IKE_DROP;
	ph->nr_len = V1_NONCE_LEN;
	random_bytes(ph->nr, V1_NONCE_LEN);
	if (v1_make_keys(x, secret_view(&x->work->shared)))
		return v1_error(x, IKE_KILL, IKE1_NO_PROPOSAL_CHOSEN, "%s", ph->why);
	if (v1_method_signs(ph->offer.method, x->sa->initiator))
		ph->cred = v1_own_cred(sa);
	if (v1_own_identity(sa, ph->why, sizeof(ph->why)))
		return v1_error(x, IKE_KILL, 0, "%s", ph->why);
	enum ike_rc rc = answer_head(x);
	return rc == IKE_OK ? answer_tail(x, v1_prove(x, 2, false)) : rc;
}

enum ike_rc v1_aggr_1(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	uint16_t bad;

	if (x->step == 1)
		return keyed(x);
	if (x->step == 2) {
		enum ike_rc rc = answer_head(x);
		return rc == IKE_OK ? answer_tail(x, v1_add_signature(x, false)) : rc;
	}
	if (v1_take_id(x))
		return v1_error(x, IKE_KILL, IKE1_INVALID_ID_INFORMATION, "%s", ph->why);
	bad = v1_take_ke(x);
	if (bad)
		return v1_error(x, IKE_KILL, bad, "%s", ph->why);
	struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
	return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), NULL, ke));
}

/* Message 3, encrypted: our proof, NAT-D. */
static enum ike_rc last(struct v1_exchange *x, enum ike_rc rc)
{
	if (rc != IKE_OK)
		return rc;
	if (v1_add_natd(x, true) || v1_add_contact(x, true))
		return IKE_DROP;
	v1_established(x);
	return IKE_OK;
}

static enum ike_rc prove(struct v1_exchange *x)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	/* not before the answer has proved to be the peer's */
	v1_take_natd(x);
	if (v1_method_signs(ph->offer.method, x->sa->initiator))
		ph->cred = v1_own_cred(x->sa);
	return last(x, v1_prove(x, 3, true));
}

/* The answer is not the peer's, or the peer is not who it should be: nobody can tell which before a
 * better answer comes, or none. */
static enum ike_rc disbelieve(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	keymat_free(&sa->keys);
	memset(sa->spi_r, 0, sizeof(sa->spi_r));
	return v1_doubt(x, x->why);
}

/* Step 1: shared secret; 2: the peer's signature; 3: ours. */
enum ike_rc v1_aggr_2(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_phase1 *ph = sa->v1->ph;
	enum ike_rc rc;

	memcpy(x->out->hdr.spi_r, x->m->hdr.spi_r, 8);
	if (x->step == 0) {
		if (v1_take_answer(x) || v1_take_ke(x))
			return v1_doubt(x, ph->why);
		struct span ke = ike_msg_find(x->m, IKE1_KE, NULL)->ke.data;
		return v1_wait(x, 1, ike_work_dh(sa, dh_info(ph->offer.group), &ph->dh, ke));
	}
	if (x->step == 3) {
		rc = v1_add_certs(x, true) ? IKE_DROP : v1_add_signature(x, true);
		return last(x, rc);
	}
	if (x->step == 1) {
		ph->dh = x->work->dh;
		x->work->dh = NULL;
		if (x->work->rc)
			return v1_doubt_public(x, x->work->why);
		v1_take_cookie(x);
		v1_take_vendors(x);
		v1_take_cr(x);
		rc = v1_expect_peer(x);
		if (rc == IKE_KILL)
			return disbelieve(x);
		if (rc != IKE_OK)
			return rc;
		if (v1_make_keys(x, secret_view(&x->work->shared)))
			return v1_error(x, IKE_KILL, 0, "%s", ph->why);
		x->step = 0;
	}
	rc = v1_check_expected(x, 2);
	if (rc == IKE_KILL)
		return disbelieve(x);
	return rc == IKE_OK ? prove(x) : rc;
}

enum ike_rc v1_aggr_3(struct v1_exchange *x)
{
	enum ike_rc rc = v1_check_candidates(x, x->step == 1, 1);

	if (rc == IKE_OK)
		rc = v1_admit(x);
	if (rc != IKE_OK)
		return rc;
	v1_take_natd(x);
	v1_established(x);
	return IKE_OK;
}
