/*
 * Reading: each transform's attributes are checked and turned into a suite; a suite's rank is its
 * place among our combinations (sa_offer.c), and the lowest rank wins. RFC 2408 4.2, 5.4 to 5.6.
 */
#include "ike/v1/sa_payload.h"

#include <errno.h>
#include <stdio.h>

#include "crypto/dh.h"
#include "crypto/transform.h"
#include "ike/msg_rule.h"
#include "ike/v1/sa_number.h"

#define KEY_IKE   1 /* RFC 2407 4.4.2 */
#define SECONDS   1 /* RFC 2409 appendix A, RFC 2407 4.5 */
#define KILOBYTES 2
#define NO_RANK   UINT64_MAX

/* ---- attributes in */

static uint16_t bad(const char **why, uint16_t notify, const char *text)
{
	*why = text;
	return notify;
}

/* The value of an attribute, short or up to eight bytes long; false when longer. */
static bool attr_value(const struct ike_attr *a, uint64_t *v)
{
	*v = a->value;
	if (a->is_short)
		return true;
	*v = 0;
	for (size_t i = 0; i < a->data.len && i < 8; i++)
		*v = *v << 8 | a->data.p[i];
	return a->data.len > 0 && a->data.len <= 8;
}

static bool life_take(struct v1_life *life, uint64_t unit, uint64_t value)
{
	if (value > UINT32_MAX) /* no limit that matters, and none to multiply */
		value = UINT32_MAX;
	if (unit == SECONDS)
		life->seconds = value;
	else if (unit == KILOBYTES)
		life->kbytes = value;
	return unit == SECONDS || unit == KILOBYTES;
}

static uint16_t ph1_attr(struct v1_suite *s, uint16_t type, uint64_t v, const char **why)
{
	switch (type) {
	case V1_A_ENCR:
		s->encr = v1_number_from(V1_N_ENCR1, v);
		return s->encr ? 0 : bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "cipher not known");
	case V1_A_HASH:
		s->prf = v1_number_from(V1_N_HASH, v);
		return s->prf ? 0 : bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "hash not known");
	case V1_A_METHOD:
		s->method = v <= UINT16_MAX ? (uint16_t)v : 0;
		return 0;
	case V1_A_GROUP:
		s->group = v <= UINT16_MAX && v1_group_ok((uint16_t)v) ? (uint16_t)v : 0;
		return s->group ? 0 : bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "group not known");
	case V1_A_KEY_LEN:
		s->key_bits = v <= 256 ? (uint16_t)v : UINT16_MAX;
		return 0;
	default:
		return bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "attribute not supported");
	}
}

static uint16_t ph2_attr(struct v1_suite *s, uint16_t type, uint64_t v, const char **why)
{
	switch (type) {
	case V1_B_GROUP:
		s->group = v <= UINT16_MAX && v1_group_ok((uint16_t)v) ? (uint16_t)v : 0;
		return s->group ? 0 : bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "group not known");
	case V1_B_ENCAP:
		s->encap = v <= UINT16_MAX ? (uint16_t)v : UINT16_MAX;
		return 0;
	case V1_B_AUTH:
		s->integ = v1_number_from(V1_N_AUTH, v);
		return s->integ ? 0
				: bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "integrity not known");
	case V1_B_KEY_LEN:
		s->key_bits = v <= 256 ? (uint16_t)v : UINT16_MAX;
		return 0;
	case V1_B_ESN: /* RFC 4304 */
		s->esn = v == 1;
		return v <= 1 ? 0 : bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "ESN value not known");
	default:
		return bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "attribute not supported");
	}
}

/* What a suite must have, and key lengths that are left out. */
static uint16_t suite_complete(struct v1_suite *s, const char **why)
{
	bool ike = s->proto == IKE_PROTO_IKE;

	if (ike && (!s->encr || !s->prf || !s->group || !s->method))
		return bad(why, IKE1_BAD_PROPOSAL_SYNTAX,
			   "cipher, hash, group or authentication method is missing");
	if (ike)
		s->integ = v1_integ_of_prf(s->prf);
	if (s->proto == IKE_PROTO_AH) {
		/* GMAC's number says the length of its key; some say it twice */
		if (s->key_bits && s->key_bits == 8 * ah_gmac_key_len((enum integ_id)s->integ))
			s->key_bits = 0;
		return s->encr || s->key_bits
			   ? bad(why, IKE1_BAD_PROPOSAL_SYNTAX, "AH with a cipher's attributes")
			   : 0;
	}
	if (v1_key_ok(s->encr, &s->key_bits))
		return 0;
	return bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "key length does not fit the cipher");
}

/* What the transform's number says. */
static uint16_t transform_id(const struct ike_transform *t, struct v1_suite *s, uint16_t *ah,
			     const char **why)
{
	*ah = 0;
	switch (s->proto) {
	case IKE_PROTO_IKE:
		if (t->id == KEY_IKE)
			return 0;
		break;
	case IKE_PROTO_ESP:
		s->encr = v1_number_from(V1_N_ESP, t->id);
		if (s->encr)
			return 0;
		break;
	case IKE_PROTO_AH:
		*ah = v1_number_from(V1_N_AH, t->id);
		if (*ah)
			return 0;
		break;
	default:
		return bad(why, IKE1_INVALID_PROTOCOL_ID, "protocol not supported");
	}
	return bad(why, IKE1_INVALID_TRANSFORM_ID, "transform not known");
}

uint16_t v1_suite_read(const struct ike_msg *m, const struct ike_prop *p,
		       const struct ike_transform *t, struct v1_suite *out, const char **why)
{
	uint16_t ah, notify;
	uint64_t seen = 0, unit = 0;
	bool ike = p->proto == IKE_PROTO_IKE;
	uint16_t life_type = ike ? V1_A_LIFE_TYPE : V1_B_LIFE_TYPE;

	*out = (struct v1_suite){ .proto = p->proto };
	notify = transform_id(t, out, &ah, why);
	for (unsigned i = 0; notify == 0 && i < t->n_attrs; i++) {
		const struct ike_attr *a = &m->attr[t->first_attr + i];
		uint64_t v;
		if (!attr_value(a, &v))
			return bad(why, IKE1_ATTRIBUTES_NOT_SUPPORTED, "attribute too long");
		if (a->type == life_type) {
			unit = v;
			continue;
		}
		if (a->type == life_type + 1) {
			if (!life_take(&out->life, unit, v))
				return bad(why, IKE1_BAD_PROPOSAL_SYNTAX,
					   "a lifetime without its unit");
			unit = 0;
			continue;
		}
		if (a->type < 64 && (seen & 1ull << a->type))
			return bad(why, IKE1_BAD_PROPOSAL_SYNTAX, "an attribute comes twice");
		seen |= a->type < 64 ? 1ull << a->type : 0;
		notify = ike ? ph1_attr(out, a->type, v, why) : ph2_attr(out, a->type, v, why);
	}
	if (notify == 0)
		notify = suite_complete(out, why);
	if (notify == 0 && ah && ah != out->integ)
		notify = bad(why, IKE1_BAD_PROPOSAL_SYNTAX, "AH transform and integrity differ");
	return notify;
}

/* ---- the choice */

/* Place of an algorithm among those of its type in p; -1 when it is not there. */
static int place(const struct proposal *p, unsigned type, uint16_t id, uint16_t key_bits)
{
	int n = 0;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->alg[i].type != type)
			continue;
		if (p->alg[i].id == id && p->alg[i].key_bits == key_bits)
			return n;
		n++;
	}
	return -1;
}

static uint64_t rank_in(const struct proposal *p, const struct v1_suite *s, bool phase1)
{
	int e = 0, g = 0, h = 0;

	if (p->proto != s->proto)
		return NO_RANK;
	if (s->proto != IKE_PROTO_AH)
		e = place(p, IKE_T_ENCR, s->encr, s->key_bits);
	if (phase1) {
		h = v1_hash_allowed(p, s->prf) ? place(p, IKE_T_PRF, s->prf, 0) : -1;
		g = place(p, IKE_T_KE, s->group, 0);
	} else {
		if (s->integ)
			h = place(p, IKE_T_INTEG, s->integ, 0);
		else if (s->proto == IKE_PROTO_AH || !v1_combined(s->encr))
			h = -1; /* never without integrity */
		g = v1_group_allowed(p, s->group) ? 0 : -1;
		if (s->group && g == 0)
			g = place(p, IKE_T_KE, s->group, 0);
		if (proposal_alg(p, IKE_T_ESN) ? !proposal_has(p, IKE_T_ESN, s->esn) : s->esn)
			return NO_RANK;
	}
	if (e < 0 || g < 0 || h < 0)
		return NO_RANK;
	return (uint64_t)e << 16 | (uint64_t)g << 8 | (uint64_t)h;
}

static uint64_t rank(const struct proposals *ours, const struct v1_suite *s, bool phase1)
{
	for (unsigned i = 0; i < ours->n; i++) {
		uint64_t r = rank_in(&ours->p[i], s, phase1);
		if (r != NO_RANK)
			return (uint64_t)i << 32 | r;
	}
	return NO_RANK;
}

static void add_alg(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
	p->alg[p->n++] = (struct proposal_alg){ .type = type, .id = id, .key_bits = key_bits };
}

static void to_proposal(const struct v1_suite *s, uint8_t number, struct proposal *p)
{
	*p = (struct proposal){ .proto = s->proto, .number = number };
	if (s->encr)
		add_alg(p, IKE_T_ENCR, s->encr, s->key_bits);
	if (s->prf)
		add_alg(p, IKE_T_PRF, s->prf, 0);
	if (s->integ)
		add_alg(p, IKE_T_INTEG, s->integ, 0);
	if (s->group)
		add_alg(p, IKE_T_KE, s->group, 0);
	if (s->proto != IKE_PROTO_IKE)
		add_alg(p, IKE_T_ESN, s->esn, 0);
}

static bool method_fits(const struct v1_terms *terms, uint16_t method)
{
	for (unsigned i = 0; i < terms->n_methods; i++)
		if (terms->methods[i] == method)
			return true;
	return false;
}

/* How many from the i-th on have one number: more than one is AND. */
static unsigned together(const struct ike_msg *m, const struct ike_payload *sa, unsigned i)
{
	const struct ike_prop *p = &m->prop[sa->sa.first + i];
	unsigned n = 1;

	while (i + n < sa->sa.n && p[n].number == p->number)
		n++;
	return n;
}

/* What the search saw, for the words when nothing fits. */
struct seen {
	struct proposals peers; /* the first suites, one a proposal */
	bool bundle, single, read, method, encap;
	uint16_t peer_method, peer_encap;
	/* all but the public value fitted: its group */
	bool value;
	uint16_t value_group;
};

static void remember(struct seen *seen, const struct v1_suite *s, uint8_t number)
{
	if (seen->peers.n < PROPOSALS_MAX)
		to_proposal(s, number, &seen->peers.p[seen->peers.n++]);
	seen->read = true;
}

static bool terms_fit(const struct v1_terms *terms, bool phase1, bool any_group,
		      const struct v1_suite *s, struct seen *seen)
{
	if (phase1 && !method_fits(terms, s->method)) {
		seen->peer_method = s->method;
		return false;
	}
	seen->method = true;
	if (!phase1 && s->encap != terms->encap && s->encap != V1_ENCAP_UNSAID) {
		seen->peer_encap = s->encap;
		return false;
	}
	seen->encap = true;
	return any_group || (phase1 && !terms->group) || s->group == terms->group;
}

/* RFC 2409 5.5: an offer is for the public value that came along with it, and for none without. */
static bool value_fits(const struct v1_terms *terms, const struct v1_suite *s, struct seen *seen)
{
	const struct dh_info *g = s->group ? dh_info(s->group) : NULL;

	if ((g ? g->public_len : 0) == terms->ke_len)
		return true;
	if (!seen->value)
		seen->value_group = s->group;
	seen->value = true;
	return false;
}

static void explain_value(const struct v1_terms *terms, uint16_t group, char *why, size_t whylen)
{
	const struct dh_info *g = group ? dh_info(group) : NULL;

	if (!g)
		snprintf(
		    why, whylen,
		    "KE payload: a public value for PFS, but the proposal has no group for it");
	else if (!terms->ke_len)
		snprintf(why, whylen,
			 "KE payload: the proposal has PFS with %s, but no public value came",
			 g->keyword);
	else
		snprintf(why, whylen, "KE payload: a public value of %zu bytes, but %s has %u",
			 terms->ke_len, g->keyword, (unsigned)g->public_len);
}

static void explain(const struct proposals *ours, const struct v1_terms *terms, bool phase1,
		    const struct seen *seen, char *why, size_t whylen)
{
	char a[IKE_NAME_LEN], b[IKE_NAME_LEN];
	struct proposal unused;

	if (seen->value)
		explain_value(terms, seen->value_group, why, whylen);
	else if (!seen->read && terms->ah && seen->single)
		snprintf(why, whylen, "peer offered no ESP together with AH, which this child has");
	else if (!seen->read)
		snprintf(why, whylen,
			 seen->bundle
			     ? "peer offered only bundles of several protocols, which this "
			       "child does not have"
			     : "peer offered no transform that is known here");
	else if (!seen->method)
		snprintf(why, whylen, "peer wants authentication by %s; this connection uses %s",
			 ike_name_or_number(IKE_NAMES_AUTH1, seen->peer_method, a),
			 terms->n_methods
			     ? ike_name_or_number(IKE_NAMES_AUTH1, terms->methods[0], b)
			     : "none that IKEv1 has");
	else if (!seen->encap)
		snprintf(why, whylen, "peer offered encapsulation %s; this child has %s",
			 ike_name_or_number(IKE_NAMES_ENCAP1, seen->peer_encap, a),
			 ike_name_or_number(IKE_NAMES_ENCAP1, terms->encap, b));
	else if (proposal_select(ours, &seen->peers, 0, &unused, why, whylen) == 0)
		snprintf(why, whylen,
			 phase1 ? "no combination that the peer offered is allowed "
				  "here as a whole"
				: "the peer's group for PFS is not the agreed one");
}

/* What is looked for, and where. */
struct search {
	const struct v1_terms *terms;
	bool phase1, any_group;
	const struct ike_msg *m;
	struct seen *seen;
};

/* The best transform of one proposal, in place at of the message. UINT64_MAX: none will do. group:
 * it must have this one, for the second of a bundle; -1: any that the terms allow. */
static uint64_t best_of(const struct search *w, const struct proposals *ours, unsigned at,
			int group, struct v1_pick *out)
{
	const struct ike_prop *p = &w->m->prop[at];
	uint64_t best = NO_RANK;

	for (unsigned k = 0; k < p->n_transforms; k++) {
		unsigned t = p->first_transform + k;
		const char *what;
		struct v1_suite s;
		if (v1_suite_read(w->m, p, &w->m->transform[t], &s, &what))
			continue;
		remember(w->seen, &s, p->number);
		uint64_t r = (group < 0 || s.group == group) &&
				     terms_fit(w->terms, w->phase1, w->any_group, &s, w->seen)
				 ? rank(ours, &s, w->phase1)
				 : NO_RANK;
		if (r == NO_RANK && group > 0 && s.group == group) { /* PFS is said once for both */
			struct v1_suite plain = s;
			plain.group = 0;
			r = terms_fit(w->terms, w->phase1, w->any_group, &s, w->seen)
				? rank(ours, &plain, w->phase1)
				: NO_RANK;
		}
		if (r >= best || (w->any_group && !value_fits(w->terms, &s, w->seen)))
			continue;
		best = r;
		*out = (struct v1_pick){ .prop = (uint16_t)at,
					 .transform = (uint16_t)t,
					 .suite = s };
		out->spi = p->spi.len == 4 ? load_be32(p->spi.p) : 0;
		to_proposal(&s, p->number, &out->chosen);
	}
	return best;
}

/* ESP and AH of one number. The outer of two has the mode of both, or says transport: there is one
 * outer header either way (RFC 2401 4.3). */
static uint64_t best_bundle(const struct search *w, const struct proposals *ours, unsigned at,
			    struct v1_choice *out)
{
	const struct ike_prop *p = &w->m->prop[at];
	unsigned esp = p[0].proto == IKE_PROTO_ESP ? at : at + 1, ah = esp == at ? at + 1 : at;
	struct v1_terms outer = *w->terms;
	struct search in_ah = *w;

	if (w->m->prop[esp].proto != IKE_PROTO_ESP || w->m->prop[ah].proto != IKE_PROTO_AH)
		return NO_RANK;
	uint64_t r = best_of(w, ours, esp, -1, &out->own);
	if (r == NO_RANK)
		return r;
	in_ah.terms = &outer;
	uint64_t second = best_of(&in_ah, w->terms->ah, ah, out->own.suite.group, &out->ah);
	if (second == NO_RANK) {
		outer.encap = V1_ENCAP_TRANSPORT;
		second = best_of(&in_ah, w->terms->ah, ah, out->own.suite.group, &out->ah);
	}
	out->bundle = true;
	return second == NO_RANK || out->ah.suite.esn != out->own.suite.esn ? NO_RANK : r;
}

static int choose(const struct proposals *ours, const struct v1_terms *terms, bool phase1,
		  bool any_group, const struct ike_msg *m, const struct ike_payload *sa,
		  struct v1_choice *out, char *why, size_t whylen)
{
	uint64_t best = NO_RANK;
	struct seen seen = { .bundle = false };
	struct search w = { terms, phase1, any_group, m, &seen };

	for (unsigned i = 0, n; i < sa->sa.n; i += n) {
		struct v1_choice c = { .bundle = false };
		uint64_t r = NO_RANK;
		n = together(m, sa, i);
		seen.bundle |= n > 1;
		seen.single |= n == 1;
		if (n == 1 && !terms->ah)
			r = best_of(&w, ours, sa->sa.first + i, -1, &c.own);
		else if (n == 2 && terms->ah)
			r = best_bundle(&w, ours, sa->sa.first + i, &c);
		if (r >= best)
			continue;
		best = r;
		*out = c;
	}
	if (best != NO_RANK)
		return 0;
	explain(ours, terms, phase1, &seen, why, whylen);
	return seen.value ? -EKEYREJECTED : -ENOENT;
}

int v1_ph1_choose(const struct proposals *ours, const struct v1_terms *terms,
		  const struct ike_msg *m, const struct ike_payload *sa, struct v1_choice *out,
		  char *why, size_t whylen)
{
	return choose(ours, terms, true, false, m, sa, out, why, whylen);
}

int v1_ph2_choose(const struct proposals *ours, const struct v1_terms *terms, bool any_group,
		  const struct ike_msg *m, const struct ike_payload *sa, struct v1_choice *out,
		  char *why, size_t whylen)
{
	return choose(ours, terms, false, any_group, m, sa, out, why, whylen);
}

int v1_sa_fault(const struct ike_msg *m, const struct ike_payload *sa, struct ike_bad *bad)
{
	const char *why;
	struct v1_suite s;
	int rc = 0;

	for (unsigned i = 0; i < sa->sa.n; i++) {
		const struct ike_prop *p = &m->prop[sa->sa.first + i];
		for (unsigned k = 0; k < p->n_transforms; k++) {
			const struct ike_transform *t = &m->transform[p->first_transform + k];
			uint16_t notify = v1_suite_read(m, p, t, &s, &why);
			if (!notify)
				return 0;
			if (rc == 0 && (notify != IKE1_INVALID_TRANSFORM_ID || t->id == 0))
				rc = ike_refuse(bad, notify, IKE1_SA,
						"SA payload, transform %u: %s", t->number, why);
		}
	}
	return rc;
}

bool v1_sa_is_answer(const struct ike_msg *m, const struct ike_payload *sa)
{
	const struct ike_prop *p = &m->prop[sa->sa.first];

	for (unsigned i = 0; i < sa->sa.n; i++)
		if (p[i].n_transforms != 1 || p[i].number != p[0].number)
			return false;
	return sa->sa.n == 1 || sa->sa.n == 2;
}

static int echo(const struct ike_msg *in, const struct v1_pick *c, struct span spi,
		struct ike_msg *m, struct ike_payload *sa)
{
	const struct ike_prop *p = &in->prop[c->prop];
	const struct ike_transform *t = &in->transform[c->transform];
	struct ike_prop *w = ike_msg_add_prop(m, sa, p->number, p->proto, spi);
	struct ike_transform *v = w ? ike_msg_add_transform(m, w, 0, t->id) : NULL;

	if (!v)
		return -ENOSPC;
	v->number = t->number;
	for (unsigned i = 0; i < t->n_attrs; i++) {
		const struct ike_attr *from = &in->attr[t->first_attr + i];
		struct ike_attr *a = ike_msg_add_transform_attr(m, v, from->type);
		if (!a)
			return -ENOSPC;
		*a = *from;
	}
	return 0;
}

int v1_sa_echo(const struct ike_msg *in, const struct v1_choice *c, struct span spi,
	       struct span ah_spi, struct ike_msg *m, struct ike_payload *sa)
{
	bool ah_first = c->bundle && c->ah.prop < c->own.prop;
	int rc = ah_first ? echo(in, &c->ah, ah_spi, m, sa) : 0;

	if (rc == 0)
		rc = echo(in, &c->own, spi, m, sa);
	return rc == 0 && c->bundle && !ah_first ? echo(in, &c->ah, ah_spi, m, sa) : rc;
}

uint16_t v1_first_group(const struct proposals *ours)
{
	uint16_t other = 0;

	for (unsigned i = 0; i < ours->n; i++)
		for (unsigned k = 0; k < ours->p[i].n; k++) {
			const struct proposal_alg *a = &ours->p[i].alg[k];
			if (a->type != IKE_T_KE || !v1_group_ok(a->id))
				continue;
			if (v1_group_registered(a->id))
				return a->id;
			other = other ? other : a->id;
		}
	return other;
}
