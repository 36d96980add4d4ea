/* The choice between our proposals and the peer's, the words for when there is none, and the way to
 * and from IKEv2 SA payloads. RFC 7296 2.7, 3.3. */
#include "ike/proposal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "crypto/transform.h"
#include "ike/names.h"

#define UNKNOWN_KEPT 4 /* of each type: algorithms unknown here, to be named when nothing fits */

static bool alg_eq(const struct proposal_alg *a, const struct proposal_alg *b)
{
	return a->type == b->type && a->id == b->id && a->key_bits == b->key_bits;
}

bool proposal_is_choice(const struct proposal *p)
{
	for (unsigned i = 1; i < p->n; i++)
		for (unsigned k = 0; k < i; k++)
			if (p->alg[i].type == p->alg[k].type)
				return false;
	return true;
}

/* Finds the first algorithm of the type in `first` that `other` has too. */
static const struct proposal_alg *common(const struct proposal *first, const struct proposal *other,
					 unsigned type)
{
	for (unsigned i = 0; i < first->n; i++) {
		if (first->alg[i].type != type)
			continue;
		for (unsigned k = 0; k < other->n; k++)
			if (alg_eq(&first->alg[i], &other->alg[k]))
				return &first->alg[i];
	}
	return NULL;
}

/* A type that only one side names is agreed on when that side would also do without: number 0 is
 * "none" for integrity and key exchange, and 32-bit sequence numbers (RFC 7296 3.3.2, 3.3.3). */
static bool may_lack(const struct proposal *p, unsigned type)
{
	return (type == IKE_T_INTEG || type == IKE_T_KE || type == IKE_T_ESN) &&
	       proposal_has(p, (enum ike_transform_type)type, 0);
}

/* Agrees on one type: true when there is something (*a) or nothing (*a NULL) both accept. */
static bool type_fits(const struct proposal *first, const struct proposal *other, unsigned type,
		      const struct proposal_alg **a)
{
	const struct proposal_alg *f = proposal_alg(first, (enum ike_transform_type)type);
	const struct proposal_alg *o = proposal_alg(other, (enum ike_transform_type)type);

	*a = common(first, other, type);
	if (*a || (!f && !o))
		return true;
	return (f && !o && may_lack(first, type)) || (!f && o && may_lack(other, type));
}

static bool pair_fits(const struct proposal *ours, const struct proposal *peers, unsigned flags,
		      struct proposal *chosen)
{
	bool peer_first = flags & PROPOSAL_PREFER_PEER;
	const struct proposal *first = peer_first ? peers : ours,
			      *other = peer_first ? ours : peers;

	if (ours->proto != peers->proto)
		return false;
	*chosen = (struct proposal){ .proto = ours->proto, .number = peers->number };
	for (unsigned type = IKE_T_ENCR; type <= IKE_T_ESN; type++) {
		const struct proposal_alg *a;
		if (type == IKE_T_KE && (flags & PROPOSAL_NO_KE))
			continue;
		if (!type_fits(first, other, type, &a))
			return false;
		/* "none" is said by leaving the transform out (RFC 7296 1.2) */
		if (a && (a->id || type == IKE_T_ESN))
			chosen->alg[chosen->n++] = *a;
	}
	/* a type nobody here knows is part of what the peer wants (RFC 7296 3.3.6) */
	for (unsigned i = 0; i < peers->n; i++)
		if (peers->alg[i].type > IKE_T_ESN)
			return false;
	return true;
}

struct sentence {
	char *p;
	size_t len, max;
};

static void __attribute__((format(printf, 2, 3))) say(struct sentence *s, const char *fmt, ...)
{
	va_list ap;

	if (s->len >= s->max)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(s->p + s->len, s->max - s->len, fmt, ap);
	va_end(ap);
	s->len += n > 0 ? (size_t)n : 0;
}

/* Names every algorithm of a type in a list once; "none" when there is none. */
static void say_algs(struct sentence *s, const struct proposals *list, unsigned type)
{
	struct proposal named = { .n = 0 };
	char word[32];

	for (unsigned i = 0; i < list->n; i++)
		for (unsigned k = 0; k < list->p[i].n; k++) {
			const struct proposal_alg *a = &list->p[i].alg[k];
			if (a->type != type || named.n == PROPOSAL_ALGS)
				continue;
			bool again = false;
			for (unsigned j = 0; j < named.n; j++)
				again = again || alg_eq(&named.alg[j], a);
			if (again)
				continue;
			say(s, "%s%s", named.n ? ", " : "", proposal_alg_name(a, word));
			named.alg[named.n++] = *a;
		}
	if (named.n == 0)
		say(s, "none");
}

static bool type_ever_fits(const struct proposals *ours, const struct proposals *peers,
			   unsigned type)
{
	const struct proposal_alg *a;

	for (unsigned i = 0; i < ours->n; i++)
		for (unsigned k = 0; k < peers->n; k++)
			if (type_fits(&ours->p[i], &peers->p[k], type, &a))
				return true;
	return false;
}

static void say_why(struct sentence *s, const struct proposals *ours, const struct proposals *peers,
		    unsigned flags)
{
	char text[160], buf[IKE_NAME_LEN];
	bool said = false;

	if (peers->n == 0) {
		say(s, "peer offered no proposal for %s",
		    ours->n ? ike_name_or_number(IKE_NAMES_PROTOCOL, ours->p[0].proto, buf)
			    : "this protocol");
		return;
	}
	for (unsigned type = IKE_T_ENCR; type <= IKE_T_ESN; type++) {
		if ((type == IKE_T_KE && (flags & PROPOSAL_NO_KE)) ||
		    type_ever_fits(ours, peers, type))
			continue;
		say(s, "%s%s: peer offered only ", said ? "; " : "",
		    ike_name(IKE_NAMES_TRANSFORM_TYPE, type));
		say_algs(s, peers, type);
		say(s, "; this connection accepts ");
		say_algs(s, ours, type);
		said = true;
	}
	if (said)
		return;
	say(s, "no combination fits: peer offered");
	for (unsigned i = 0; i < peers->n; i++)
		say(s, "%s %s", i ? "," : "", proposal_format(&peers->p[i], text, sizeof(text)));
	say(s, "; this connection accepts");
	for (unsigned i = 0; i < ours->n; i++)
		say(s, "%s %s", i ? "," : "", proposal_format(&ours->p[i], text, sizeof(text)));
}

int proposal_select(const struct proposals *ours, const struct proposals *peers, unsigned flags,
		    struct proposal *chosen, char *why, size_t whylen)
{
	bool peer_first = flags & PROPOSAL_PREFER_PEER;
	unsigned n = peer_first ? peers->n : ours->n, m = peer_first ? ours->n : peers->n;

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < m; k++)
			if (pair_fits(&ours->p[peer_first ? k : i], &peers->p[peer_first ? i : k],
				      flags, chosen))
				return 0;
	struct sentence s = { .p = why, .max = whylen };
	say_why(&s, ours, peers, flags);
	return -ENOENT;
}

static struct proposal_alg alg_of(const struct ike_msg *m, const struct ike_transform *t)
{
	struct proposal_alg a = { .type = t->type, .id = t->id };

	for (unsigned i = 0; i < t->n_attrs; i++) {
		const struct ike_attr *attr = &m->attr[t->first_attr + i];
		bool plain = attr->type == IKE2_ATTR_KEY_LENGTH && attr->is_short && !a.key_bits;
		a.key_bits = plain ? attr->value : PROPOSAL_STRANGE;
	}
	return a;
}

/* True for what could be chosen; there are fewer of these than PROPOSAL_ALGS. */
static bool known(const struct proposal_alg *a)
{
	static const enum ike_names names[] = {
		[IKE_T_ENCR] = IKE_NAMES_ENCR,   [IKE_T_PRF] = IKE_NAMES_PRF,
		[IKE_T_INTEG] = IKE_NAMES_INTEG, [IKE_T_KE] = IKE_NAMES_DH,
		[IKE_T_ESN] = IKE_NAMES_ESN,
	};
	const struct encr_info *e = encr_info((enum encr_id)a->id);

	if (a->type < IKE_T_ENCR || a->type > IKE_T_ESN || !ike_name(names[a->type], a->id))
		return false;
	if (a->type != IKE_T_ENCR || e->key_step == 0)
		return a->key_bits == 0;
	return a->key_bits == 128 || a->key_bits == 192 || a->key_bits == 256;
}

/* Fills p from one received proposal; false when it does not fit, which known() rules out. */
static bool algs_from(const struct ike_msg *m, const struct ike_prop *w, struct proposal *p)
{
	unsigned strange[IKE_T_ESN + 2] = { 0 };

	*p = (struct proposal){ .proto = w->proto, .number = w->number };
	for (unsigned k = 0; k < w->n_transforms; k++) {
		struct proposal_alg a = alg_of(m, &m->transform[w->first_transform + k]);
		bool again = false;
		for (unsigned j = 0; j < p->n; j++)
			again = again || alg_eq(&p->alg[j], &a);
		if (again)
			continue;
		/* types beyond the last known one share a count */
		if (!known(&a) &&
		    ++strange[a.type <= IKE_T_ESN ? a.type : IKE_T_ESN + 1] > UNKNOWN_KEPT)
			continue;
		if (p->n == PROPOSAL_ALGS)
			return false;
		p->alg[p->n++] = a;
	}
	return true;
}

unsigned proposals_from_sa(const struct ike_msg *m, const struct ike_payload *sa,
			   enum ike_protocol proto, struct proposals *out)
{
	out->n = 0;
	for (unsigned i = 0; i < sa->sa.n && out->n < PROPOSALS_MAX; i++) {
		const struct ike_prop *w = &m->prop[sa->sa.first + i];
		if (w->proto == proto && algs_from(m, w, &out->p[out->n]))
			out->n++;
	}
	return out->n;
}

int proposals_to_sa(const struct proposals *list, struct ike_msg *m, struct ike_payload *sa,
		    struct span spi)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct proposal *p = &list->p[i];
		struct ike_prop *w = ike_msg_add_prop(m, sa, p->number, p->proto, spi);
		if (!w)
			return -ENOSPC;
		for (unsigned k = 0; k < p->n; k++) {
			const struct proposal_alg *a = &p->alg[k];
			struct ike_transform *t = ike_msg_add_transform(m, w, a->type, a->id);
			struct ike_attr *attr =
			    t && a->key_bits
				? ike_msg_add_transform_attr(m, t, IKE2_ATTR_KEY_LENGTH)
				: NULL;
			if (!t || (a->key_bits && !attr))
				return -ENOSPC;
			if (attr) {
				attr->is_short = true;
				attr->value = a->key_bits;
			}
		}
	}
	return 0;
}
