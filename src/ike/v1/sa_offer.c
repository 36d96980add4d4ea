/* Our proposals as SA payloads: every combination of their algorithms becomes a transform, in the
 * order of preference. RFC 2408 4.2, RFC 2409 5, 5.5. */
#include <errno.h>

#include "ike/v1/sa_number.h"
#include "ike/v1/sa_payload.h"

#define KEY_IKE   1 /* RFC 2407 4.4.2 */
#define SECONDS   1 /* RFC 2409 appendix A, RFC 2407 4.5 */
#define KILOBYTES 2

/* ---- attributes out */

static int put_short(struct ike_msg *m, struct ike_transform *t, uint16_t type, uint16_t value)
{
	struct ike_attr *a = ike_msg_add_transform_attr(m, t, type);

	if (!a)
		return -ENOSPC;
	a->is_short = true;
	a->value = value;
	return 0;
}

static int put_life(struct ike_msg *m, struct ike_transform *t, uint16_t type, uint16_t unit,
		    uint64_t value, uint8_t be[4])
{
	if (value == 0)
		return 0;
	if (put_short(m, t, type, unit))
		return -ENOSPC;
	if (value <= UINT16_MAX)
		return put_short(m, t, (uint16_t)(type + 1), (uint16_t)value);
	struct ike_attr *a = ike_msg_add_transform_attr(m, t, (uint16_t)(type + 1));
	if (!a)
		return -ENOSPC;
	store_be32(be, value > UINT32_MAX ? UINT32_MAX : (uint32_t)value);
	a->data = span_of(be, 4);
	return 0;
}

static int put_both_lives(struct ike_msg *m, struct ike_transform *t, bool phase1,
			  struct v1_life *life)
{
	uint16_t type = phase1 ? V1_A_LIFE_TYPE : V1_B_LIFE_TYPE;
	int rc = put_life(m, t, type, SECONDS, life->seconds, life->be[0]);

	return rc ? rc : put_life(m, t, type, KILOBYTES, life->kbytes, life->be[1]);
}

static struct ike_transform *next_transform(struct ike_msg *m, struct ike_prop *w, uint16_t id)
{
	struct ike_transform *t = ike_msg_add_transform(m, w, 0, id);

	if (t)
		t->number = (uint8_t)w->n_transforms;
	return t;
}

static int put_ph1(struct ike_msg *m, struct ike_prop *w, const struct v1_suite *s,
		   struct v1_life *life)
{
	struct ike_transform *t = next_transform(m, w, KEY_IKE);

	if (!t || put_short(m, t, V1_A_ENCR, v1_number_to(V1_N_ENCR1, s->encr)) ||
	    (s->key_bits && put_short(m, t, V1_A_KEY_LEN, s->key_bits)) ||
	    put_short(m, t, V1_A_HASH, v1_number_to(V1_N_HASH, s->prf)) ||
	    put_short(m, t, V1_A_GROUP, s->group) || put_short(m, t, V1_A_METHOD, s->method))
		return -ENOSPC;
	return put_both_lives(m, t, true, life);
}

static int put_ph2(struct ike_msg *m, struct ike_prop *w, const struct v1_suite *s,
		   struct v1_life *life)
{
	uint16_t id = s->proto == IKE_PROTO_AH ? v1_number_to(V1_N_AH, s->integ)
					       : v1_number_to(V1_N_ESP, s->encr);
	struct ike_transform *t = next_transform(m, w, id);

	if (!t || (s->key_bits && put_short(m, t, V1_B_KEY_LEN, s->key_bits)) ||
	    (s->integ && put_short(m, t, V1_B_AUTH, v1_number_to(V1_N_AUTH, s->integ))) ||
	    put_short(m, t, V1_B_ENCAP, s->encap) ||
	    (s->group && put_short(m, t, V1_B_GROUP, s->group)) ||
	    (s->esn && put_short(m, t, V1_B_ESN, 1)))
		return -ENOSPC;
	return put_both_lives(m, t, false, life);
}

/* ---- every suite of a proposal */

/* The n-th algorithm of a type in p; NULL past the end. */
static const struct proposal_alg *nth(const struct proposal *p, unsigned type, unsigned n)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->alg[i].type == type && n-- == 0)
			return &p->alg[i];
	return NULL;
}

bool v1_hash_allowed(const struct proposal *p, uint16_t prf)
{
	return !proposal_alg(p, IKE_T_INTEG) || proposal_has(p, IKE_T_INTEG, v1_integ_of_prf(prf));
}

static int offer_ph1_proposal(const struct proposal *p, const struct v1_terms *terms,
			      struct v1_life *life, struct ike_msg *m, struct ike_prop *w)
{
	const struct proposal_alg *e, *g, *h;

	for (unsigned i = 0; (e = nth(p, IKE_T_ENCR, i)); i++) {
		if (!v1_number_to(V1_N_ENCR1, e->id))
			continue;
		for (unsigned k = 0; (g = nth(p, IKE_T_KE, k)); k++) {
			if (!v1_group_ok(g->id) || (terms->group && g->id != terms->group))
				continue;
			for (unsigned j = 0; (h = nth(p, IKE_T_PRF, j)); j++) {
				struct v1_suite s = { .encr = e->id,
						      .key_bits = e->key_bits,
						      .prf = h->id,
						      .group = g->id };
				if (!v1_number_to(V1_N_HASH, h->id) || !v1_hash_allowed(p, h->id))
					continue;
				for (unsigned a = 0; a < terms->n_methods; a++) {
					s.method = terms->methods[a];
					if (put_ph1(m, w, &s, life))
						return -ENOSPC;
				}
			}
		}
	}
	return 0;
}

int v1_ph1_offer(const struct proposals *ours, const struct v1_terms *terms, struct v1_life *life,
		 struct ike_msg *m, struct ike_payload *sa)
{
	/* RFC 2409 5: one proposal, however many transforms */
	struct ike_prop *w = ike_msg_add_prop(m, sa, 1, IKE_PROTO_IKE, span_of(NULL, 0));

	if (!w)
		return -ENOSPC;
	for (unsigned i = 0; i < ours->n; i++)
		if (offer_ph1_proposal(&ours->p[i], terms, life, m, w))
			return -ENOSPC;
	return w->n_transforms;
}

/* With both, 32-bit numbers only: a peer that skips the attribute would count otherwise than we. */
static bool only_esn(const struct proposal *p)
{
	return proposal_has(p, IKE_T_ESN, 1) && !proposal_has(p, IKE_T_ESN, 0);
}

static int offer_ph2_encr(const struct proposal *p, const struct proposal_alg *e,
			  const struct v1_terms *terms, struct v1_life *life, struct ike_msg *m,
			  struct ike_prop *w)
{
	struct v1_suite s = { .proto = p->proto,
			      .encr = e ? e->id : 0,
			      .esn = only_esn(p),
			      .key_bits = e ? e->key_bits : 0,
			      .group = terms->group,
			      .encap = terms->encap };
	const struct proposal_alg *h;

	if (e && !v1_number_to(V1_N_ESP, e->id))
		return 0;
	if (e && v1_combined(e->id))
		return put_ph2(m, w, &s, life);
	for (unsigned j = 0; (h = nth(p, IKE_T_INTEG, j)); j++) {
		s.integ = h->id;
		if (v1_number_to(p->proto == IKE_PROTO_AH ? V1_N_AH : V1_N_AUTH, h->id) &&
		    put_ph2(m, w, &s, life))
			return -ENOSPC;
	}
	return 0;
}

bool v1_group_allowed(const struct proposal *p, uint16_t group)
{
	if (group)
		return proposal_has(p, IKE_T_KE, group);
	return !proposal_alg(p, IKE_T_KE) || proposal_has(p, IKE_T_KE, 0);
}

/* One proposal of a protocol, under a number. Returns how many transforms, or -ENOSPC. */
static int offer_ph2_proposal(const struct proposal *p, uint8_t number,
			      const struct v1_terms *terms, struct span spi, struct v1_life *life,
			      struct ike_msg *m, struct ike_payload *sa)
{
	struct ike_prop *w = ike_msg_add_prop(m, sa, number, p->proto, spi);
	const struct proposal_alg *e;
	int rc = 0;

	if (!w)
		return -ENOSPC;
	if (p->proto == IKE_PROTO_AH)
		rc = offer_ph2_encr(p, NULL, terms, life, m, w);
	for (unsigned k = 0; rc == 0 && (e = nth(p, IKE_T_ENCR, k)); k++)
		rc = offer_ph2_encr(p, e, terms, life, m, w);
	return rc ? rc : w->n_transforms;
}

/* Takes back what was written since: nothing of it has a number in IKEv1. */
static void take_back(struct ike_msg *m, struct ike_payload *sa, unsigned props,
		      unsigned transforms, unsigned attrs)
{
	sa->sa.n = (uint16_t)(sa->sa.n - (m->n_props - props));
	m->n_props = (uint16_t)props;
	m->n_transforms = (uint16_t)transforms;
	m->n_attrs = (uint16_t)attrs;
}

int v1_ph2_offer(const struct proposals *ours, const struct v1_terms *terms, struct v1_life *life,
		 struct ike_msg *m, struct ike_payload *sa)
{
	static const struct proposals none;
	const struct proposals *ah = terms->ah ? terms->ah : &none;
	uint8_t number = 1;
	int total = 0;

	for (unsigned i = 0; i < ours->n; i++) {
		if (!v1_group_allowed(&ours->p[i], terms->group))
			continue;
		for (unsigned k = 0; k < (ah->n ? ah->n : 1); k++) {
			unsigned props = m->n_props, transforms = m->n_transforms,
				 attrs = m->n_attrs;
			int n =
			    offer_ph2_proposal(&ours->p[i], number, terms, terms->spi, life, m, sa);
			int outer = n > 0 && ah->n ? offer_ph2_proposal(&ah->p[k], number, terms,
									terms->ah_spi, life, m, sa)
						   : n;
			if (n < 0 || outer < 0)
				return -ENOSPC;
			if (n == 0 || outer == 0) {
				take_back(m, sa, props, transforms, attrs);
				continue;
			}
			total += n;
			number++;
		}
	}
	return total;
}
