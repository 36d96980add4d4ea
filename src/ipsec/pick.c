/* A packet and its policy enter; whether it may go on, and by which SA, leaves. See pick.h. */
#include "ipsec/pick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- made with the policy -------------------------------------------------------------------- */

static int copy(const struct label_range *r, struct label_range **out)
{
	if (!r)
		return 0;
	*out = malloc(sizeof(**out));
	if (!*out)
		return -ENOMEM;
	**out = *r;
	return 0;
}

void policy_labels_free(struct policy_labels **lp)
{
	struct policy_labels *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	free(l->device);
	free(l->range);
	free(l->unlabelled);
	free(l);
}

/* Do its SAs ask something of a packet? */
static void look_at(struct policy *p, struct sa *const *sa, unsigned n, bool *labels)
{
	for (unsigned i = 0; i < n; i++) {
		*labels |= sa[i]->conf->label != NULL;
		p->pick |= sa[i]->conf->label || sa[i]->conf->match_dscp;
	}
}

int policy_set_labels(struct policy *p, const struct label_range *device,
		      const struct label_range *range, const struct label_range *unlabelled)
{
	bool sas = false;

	p->pick = p->n_also > 0;
	look_at(p, p->out, p->n_out, &sas);
	look_at(p, p->in, p->n_in, &sas);
	look_at(p, p->also, p->n_also, &sas);
	if (!sas && !device && !range)
		return 0;
	p->labels = calloc(1, sizeof(*p->labels));
	if (!p->labels || copy(device, &p->labels->device) || copy(range, &p->labels->range) ||
	    copy(unlabelled, &p->labels->unlabelled))
		return -ENOMEM;
	p->labels->sas = sas;
	p->pick = true;
	return 0;
}

/* ---- each packet ----------------------------------------------------------------------------- */

/* A packet's sensitivity. */
struct sense {
	struct label read;       /* from the packet */
	const struct label *own; /* that, or what stands for it; NULL: none */
	bool explicit;
};

static enum drop sense_of(const struct policy_labels *l, const uint8_t *ip,
			  const struct pkt_info *info, struct sense *s)
{
	s->own = NULL;
	enum drop d = cipso_read(ip, info, &s->read, &s->explicit);
	if (s->explicit)
		s->own = &s->read;
	else if (l->unlabelled)
		s->own = &l->unlabelled->low;
	return d;
}

static bool passes(const struct label *l, const struct label_range *r)
{
	return !r || (l && label_within(l, r));
}

/* own NULL: the packet has no label. */
static bool carries(const struct policy_labels *l, const struct sa *sa, const struct label *own)
{
	const struct label_range *r = sa->conf->label;

	if (!l || !l->sas)
		return true;
	return r ? own && label_within(own, r) : !own;
}

static bool for_dscp(const struct sa *sa, const struct pkt_info *info)
{
	uint64_t of = sa->conf->match_dscp;

	return !of || of >> (info->tos >> 2) & 1;
}

enum drop pick_out(const struct policy *p, const uint8_t *ip, const struct pkt_info *info,
		   struct sa *const **sa, unsigned *n)
{
	const struct policy_labels *l = p->labels;
	struct sense s = { .own = NULL };
	bool label_fits = false;

	*n = 0;
	if (l) {
		enum drop d = sense_of(l, ip, info, &s);
		if (d != DROP_NONE)
			return d;
		if (!passes(s.own, l->device) || !passes(s.own, l->range))
			return DROP_LABEL;
	}
	if (p->action != POLICY_PROTECT)
		return DROP_NONE;
	for (unsigned i = 0; i < p->n_also; i++) {
		if (p->also[i]->dir != DIR_OUT || !carries(l, p->also[i], s.own))
			continue;
		label_fits = true;
		if (!for_dscp(p->also[i], info))
			continue;
		*sa = &p->also[i];
		*n = 1;
		return DROP_NONE;
	}
	*sa = policy_out(p, n);
	bool fits = *n > 0, dscp_fits = true;
	for (unsigned i = 0; i < *n; i++) {
		fits &= carries(l, (*sa)[i], s.own);
		dscp_fits &= for_dscp((*sa)[i], info);
	}
	if (fits && dscp_fits)
		return DROP_NONE;
	/* without any SA it is not the label that is in the way; keying may bring one */
	if (*n == 0 && (p->route || p->n_also == 0))
		return DROP_NONE;
	*n = 0;
	return l && l->sas && !fits && !label_fits ? DROP_LABEL : DROP_NO_SA;
}

enum drop pick_in(const struct policy *p, struct sa *const *sa, unsigned n, const uint8_t *ip,
		  const struct pkt_info *info)
{
	const struct policy_labels *l = p->labels;
	const struct label_range *of_sas = NULL;
	struct sense s;

	if (!l)
		return DROP_NONE;
	enum drop d = sense_of(l, ip, info, &s);
	if (d != DROP_NONE)
		return d;
	for (unsigned i = 0; i < n; i++) {
		const struct label_range *r = sa[i]->conf->label;
		if (s.explicit && !carries(l, sa[i], s.own))
			return DROP_LABEL;
		if (r)
			of_sas = r;
	}
	if (!s.explicit && of_sas) { /* it is what its SA is, whatever of that it may be */
		bool all = (!l->device || label_range_within(of_sas, l->device)) &&
			   (!l->range || label_range_within(of_sas, l->range));
		return all ? DROP_NONE : DROP_LABEL;
	}
	return passes(s.own, l->device) && passes(s.own, l->range) ? DROP_NONE : DROP_LABEL;
}

bool pick_has(const struct policy *p, const struct sa *sa)
{
	for (unsigned i = 0; i < p->n_also; i++)
		if (p->also[i] == sa)
			return true;
	return false;
}
