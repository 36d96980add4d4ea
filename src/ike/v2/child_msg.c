/*
 * A CHILD SA in messages, the same in IKE_AUTH and CREATE_CHILD_SA: our offer and the check of the
 * answer, or the choice among the peer's offer and our answer. RFC 7296 1.3.1, 2.7, 2.9, 2.23.1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/names.h"
#include "ike/v2/internal.h"

#define SPI_FIRST 256u /* those below are reserved (RFC 4303 2.1) */

static enum ike_protocol wire_proto(const struct child_nego *c)
{
	return c->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
}

static int get_spi(struct child_nego *c)
{
	if (!c->spi_in)
		c->spi_in = c->sa->ike->env.spi_alloc(c->sa->ike->env.ctx, c->proto);
	if (!c->spi_in)
		snprintf(c->why, sizeof(c->why), "no SPI is left");
	return c->spi_in ? 0 : -ENOSPC;
}

const struct dh_info *v2_child_group(const struct child_nego *c)
{
	if (c->ke_retry)
		return dh_info(c->ke_retry);
	for (unsigned i = 0; i < c->conf->proposals.n; i++) {
		const struct proposal_alg *a = proposal_alg(&c->conf->proposals.p[i], IKE_T_KE);
		if (a && dh_info(a->id))
			return dh_info(a->id);
	}
	return NULL;
}

/* The proposals as offered: the child of IKE_AUTH has no key exchange of its own (RFC 7296 1.2). */
static void offered(const struct child_nego *c, bool first, struct proposals *out)
{
	*out = c->conf->proposals;
	for (unsigned i = 0; first && i < out->n; i++) {
		struct proposal *p = &out->p[i];
		uint8_t n = 0;
		for (unsigned k = 0; k < p->n; k++)
			if (p->alg[k].type != IKE_T_KE)
				p->alg[n++] = p->alg[k];
		p->n = n;
	}
}

/* -- selectors -- */

static void put_first(struct ts_list *l, const struct ts *t)
{
	if (l->n == TS_MAX)
		l->n--;
	memmove(&l->ts[1], &l->ts[0], l->n * sizeof(l->ts[0]));
	l->ts[0] = *t;
	l->n++;
}

/* What is taken from the packet (RFC 4301 4.4.1.2). */
static void populate(unsigned pfp, const struct flow_key *flow, struct ts_list *local,
		     struct ts_list *remote)
{
	struct ts l, r;

	ts_from_flow(flow, &l, &r);
	(void)ts_populate(local, &l, pfp & IKE_PFP_LOCAL, pfp & IKE_PFP_PROTO,
			  pfp & IKE_PFP_LOCAL_PORT, local);
	(void)ts_populate(remote, &r, pfp & IKE_PFP_REMOTE, pfp & IKE_PFP_PROTO,
			  pfp & IKE_PFP_REMOTE_PORT, remote);
}

/* What of the configuration applies here: addresses of this SA for `dynamic`. A child that is rekeyed
 * keeps what was agreed (RFC 7296 2.9.2). */
static void resolve(const struct child_nego *c, const struct ike_child_conf *conf,
		    struct ts_list *local, struct ts_list *remote)
{
	const struct ike_child *old = c->replaces ? ike_child_by_id(c->sa, c->replaces) : NULL;

	if (old && old->conf == conf) {
		ts_list_copy(local, old->local_ts);
		ts_list_copy(remote, old->remote_ts);
		return;
	}
	ts_resolve(&conf->local_ts, &c->sa->local.addr, local);
	ts_resolve(&conf->remote_ts, &c->sa->remote.addr, remote);
	if (c->have_flow && conf->pfp)
		populate(conf->pfp, &c->flow, local, remote);
}

static bool nat(const struct ike_sa *sa)
{
	return sa->nat_local || sa->nat_remote;
}

static void set_addr(struct ts_list *l, const struct ip_addr *a)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->ts[i].range.lo.ver == a->ver)
			l->ts[i].range = (struct ip_range){ .lo = *a, .hi = *a };
}

/*
 * Transport mode through a NAT (RFC 7296 2.23.1): the peer's selectors have the addresses it sees;
 * they are kept for checksums (RFC 3948) and replaced by those of the IKE SA.
 */
static void substitute(struct child_nego *c, struct ts_list *local, struct ts_list *remote)
{
	const struct ike_sa *sa = c->sa;

	if (!nat(sa) || !local->n || !remote->n)
		return;
	c->oa_local = local->ts[0].range.lo;
	c->oa_remote = remote->ts[0].range.lo;
	if (sa->nat_remote)
		set_addr(remote, &sa->remote.addr);
	if (sa->nat_local)
		set_addr(local, &sa->local.addr);
}

/* -- our offer -- */

static int offer_ts(struct child_nego *c, struct ike_msg *out)
{
	struct ts local, remote;

	resolve(c, c->conf, &c->local_ts, &c->remote_ts);
	if (c->have_flow && !c->conf->pfp) { /* else the packet's values are there already */
		ts_from_flow(&c->flow, &local, &remote);
		put_first(&c->local_ts, &local);
		put_first(&c->remote_ts, &remote);
	}
	struct ike_payload *i = ike_msg_add(out, IKE2_TSI, true);
	if (!i || ts_to_payload(&c->local_ts, out, i))
		return -ENOSPC;
	struct ike_payload *r = ike_msg_add(out, IKE2_TSR, true);
	return !r || ts_to_payload(&c->remote_ts, out, r) ? -ENOSPC : 0;
}

/* Fragments are protected in tunnel mode only (RFC 4301 7, RFC 4303 3.3.4). */
static bool fragments_allowed(const struct child_nego *c)
{
	return c->conf->fragments_also && c->mode == SA_TUNNEL;
}

static int add_notifies(const struct child_nego *c, struct ike_msg *out)
{
	if (c->mode == SA_TRANSPORT &&
	    !v2_add_notify(out, IKE2_USE_TRANSPORT_MODE, span_of(NULL, 0)))
		return -ENOSPC;
	if (c->fragments && !v2_add_notify(out, IKE2_NON_FIRST_FRAGMENTS_ALSO, span_of(NULL, 0)))
		return -ENOSPC;
	/* padding for confidentiality of lengths is not taken off inside transport mode or AH */
	if (!v2_add_notify(out, IKE2_ESP_TFC_PADDING_NOT_SUPPORTED, span_of(NULL, 0)))
		return -ENOSPC;
	return 0;
}

static struct span spi_bytes(struct child_nego *c)
{
	uint8_t *p = ike_arena(c->sa->ike, 4);

	if (p)
		store_be32(p, c->spi_in);
	return span_of(p, p ? 4 : 0);
}

static int add_ke(const struct dh_info *g, const struct dh *dh, struct ike_msg *out)
{
	struct ike_payload *p = ike_msg_add(out, IKE2_KE, true);

	if (!p)
		return -ENOSPC;
	p->ke.group = (uint16_t)g->id;
	p->ke.data = dh_public(dh);
	return 0;
}

int v2_child_offer(struct child_nego *c, struct ike_msg *out, bool first)
{
	struct proposals list;

	if (get_spi(c))
		return -ENOSPC;
	offered(c, first, &list);
	struct ike_payload *sa = ike_msg_add(out, IKE2_SA, true);
	int rc = sa ? proposals_to_sa(&list, out, sa, spi_bytes(c)) : -ENOSPC;
	if (rc == 0 && !first && c->dh)
		rc = add_ke(dh_group(c->dh), c->dh, out);
	if (rc == 0)
		rc = offer_ts(c, out);
	c->fragments = fragments_allowed(c);
	if (rc == 0)
		rc = add_notifies(c, out);
	if (rc)
		snprintf(c->why, sizeof(c->why),
			 "its proposals and selectors do not fit one message: list fewer");
	return rc;
}

/* -- the peer's answer -- */

uint32_t v2_spi_of(const struct ike_msg *m, const struct ike_payload *sa, const struct proposal *p)
{
	for (unsigned i = 0; i < sa->sa.n; i++) {
		const struct ike_prop *q = &m->prop[sa->sa.first + i];
		if (q->number == p->number && q->proto == p->proto && q->spi.len == 4)
			return load_be32(q->spi.p);
	}
	return 0;
}

/* AH covers the addresses, which a NAT changes, and there is none in UDP (RFC 3948 1). */
static bool ah_behind_nat(struct child_nego *c)
{
	if (c->proto != SA_AH || !nat(c->sa))
		return false;
	snprintf(c->why, sizeof(c->why),
		 "there is a NAT in between, which AH cannot cross: use esp_proposals in place of ah_proposals, "
		 "here and at the peer");
	return true;
}

/* Why there is no child, in words that say where to look. */
static void say_refusal(struct child_nego *c, uint16_t notify)
{
	char num[IKE_NAME_LEN], local[256], remote[256], prop[192];
	const char *name = ike_name_or_number(IKE_NAMES_NOTIFY2, notify, num);

	switch (notify) {
	case IKE2_TS_UNACCEPTABLE:
		snprintf(c->why, sizeof(c->why),
			 "the peer accepts none of the selectors %s === %s (TS_UNACCEPTABLE): make "
			 "local_ts here and remote_ts there overlap, and the other way round",
			 ts_list_format(&c->local_ts, local, sizeof(local)),
			 ts_list_format(&c->remote_ts, remote, sizeof(remote)));
		break;
	case IKE2_NO_PROPOSAL_CHOSEN:
		if (ah_behind_nat(c))
			break;
		snprintf(c->why, sizeof(c->why),
			 "the peer accepts none of our proposals (%s...; NO_PROPOSAL_CHOSEN): make "
			 "%s here and at the peer have one in common%s",
			 proposal_format(&c->conf->proposals.p[0], prop, sizeof(prop)),
			 c->proto == SA_AH ? "ah_proposals" : "esp_proposals",
			 c->replaces ? ", with the same key exchange or both without" : "");
		break;
	case IKE2_INTERNAL_ADDRESS_FAILURE:
	case IKE2_FAILED_CP_REQUIRED:
		snprintf(c->why, sizeof(c->why),
			 "the peer wants us to ask for a virtual address (%s), which this "
			 "connection does not do",
			 name);
		break;
	case IKE2_SINGLE_PAIR_REQUIRED:
		snprintf(c->why, sizeof(c->why),
			 "the peer wants one pair of addresses a child (%s): list single addresses "
			 "in local_ts and remote_ts",
			 name);
		break;
	default:
		snprintf(c->why, sizeof(c->why), "the peer refused it: %s", name);
	}
}

const struct ike_payload *v2_child_refusal(struct child_nego *c, const struct ike_msg *m)
{
	const struct ike_payload *p = v2_find_error(m);

	if (p)
		say_refusal(c, p->notify.type);
	return p;
}

static uint16_t accept_ts(struct child_nego *c, const struct ike_msg *m)
{
	struct ts_list local, remote, all_local, all_remote;
	char got[512];

	ts_from_payload(m, ike_msg_find(m, IKE2_TSI, NULL), &local);
	ts_from_payload(m, ike_msg_find(m, IKE2_TSR, NULL), &remote);
	if (c->mode == SA_TRANSPORT)
		substitute(c, &local, &remote);
	if (local.n && remote.n && ts_within(&local, &c->local_ts) &&
	    ts_within(&remote, &c->remote_ts)) {
		/* the selectors of a packet, which a trap puts in front, say nothing here */
		resolve(c, c->conf, &all_local, &all_remote);
		c->cut = !ts_within(&all_local, &local) || !ts_within(&all_remote, &remote);
		c->local_ts = local;
		c->remote_ts = remote;
		return 0;
	}
	snprintf(c->why, sizeof(c->why),
		 "the peer's answer has selectors that were not offered: %s",
		 ts_list_format(local.n && ts_within(&local, &c->local_ts) ? &remote : &local, got,
				sizeof(got)));
	return IKE2_TS_UNACCEPTABLE;
}

uint16_t v2_child_accept(struct child_nego *c, const struct ike_msg *m, bool first)
{
	const struct ike_payload *sa = ike_msg_find(m, IKE2_SA, NULL);
	const struct ike_payload *ke = ike_msg_find(m, IKE2_KE, NULL);
	struct proposals ours, peers;

	if (!sa || !(m->seen & IKE_BIT(IKE2_TSI)) || !(m->seen & IKE_BIT(IKE2_TSR))) {
		snprintf(c->why, sizeof(c->why), "the peer's answer has no CHILD SA in it");
		return IKE2_NO_PROPOSAL_CHOSEN;
	}
	offered(c, first, &ours);
	if (sa->sa.n != 1 || proposals_from_sa(m, sa, wire_proto(c), &peers) != 1 ||
	    !proposal_is_choice(&peers.p[0]) ||
	    proposal_select(&ours, &peers, 0, &c->chosen, c->why, sizeof(c->why))) {
		snprintf(c->why, sizeof(c->why), "the peer chose a proposal that was not offered");
		return IKE2_NO_PROPOSAL_CHOSEN;
	}
	c->spi_out = v2_spi_of(m, sa, &c->chosen);
	const struct proposal_alg *a = proposal_alg(&c->chosen, IKE_T_KE);
	c->group = a ? dh_info(a->id) : NULL;
	if (c->spi_out < SPI_FIRST ||
	    (c->group && (!ke || !c->dh || ke->ke.group != a->id || dh_group(c->dh) != c->group))) {
		snprintf(c->why, sizeof(c->why),
			 "the peer's answer lacks an SPI that may be, or the key exchange it chose");
		return IKE2_INVALID_SYNTAX;
	}
	if (c->mode == SA_TRANSPORT && !ike_msg_notify(m, IKE2_USE_TRANSPORT_MODE)) {
		ike_sa_log(c->sa, LOG_LVL_NOTICE,
			   "child %s: the peer wants tunnel mode in place of transport mode",
			   c->conf->name);
		c->mode = SA_TUNNEL;
	}
	c->tfc_padding = !ike_msg_notify(m, IKE2_ESP_TFC_PADDING_NOT_SUPPORTED);
	c->fragments = c->fragments && fragments_allowed(c) && ike_msg_notify(m, IKE2_NON_FIRST_FRAGMENTS_ALSO);
	return accept_ts(c, m);
}

/* -- the peer's offer -- */

/* How well a configured child fits: 0 not, 1 narrowed, 2 all of what is offered, 3 and no more. */
static unsigned child_fit(struct child_nego *c, const struct ike_child_conf *conf,
			  const struct ts_list *offer_local, const struct ts_list *offer_remote,
			  struct ts_list *local, struct ts_list *remote)
{
	struct ts_list ours_local, ours_remote;
	bool cut_local, cut_remote;

	resolve(c, conf, &ours_local, &ours_remote);
	if (!ts_narrow(&ours_local, offer_local, local, &cut_local) ||
	    !ts_narrow(&ours_remote, offer_remote, remote, &cut_remote))
		return 0;
	if (cut_local || cut_remote)
		return 1;
	return ts_list_eq(local, &ours_local) && ts_list_eq(remote, &ours_remote) ? 3 : 2;
}

static uint16_t choose_ts(struct child_nego *c, const struct ike_msg *m, bool transport)
{
	const struct ike_conn *conn = c->sa->conn;
	const unsigned one = c->ci;
	struct ts_list offer_l, offer_r, sub_l, sub_r, local, remote;
	unsigned best = 0, n = c->conf ? 1 : conn->n_live; /* one: the child that is rekeyed */
	const unsigned *which = c->conf ? &one : conn->live;
	char l[192], r[192];

	ts_from_payload(m, ike_msg_find(m, IKE2_TSR, NULL), &offer_l);
	ts_from_payload(m, ike_msg_find(m, IKE2_TSI, NULL), &offer_r);
	sub_l = offer_l;
	sub_r = offer_r;
	if (transport)
		substitute(c, &sub_l, &sub_r);
	for (unsigned k = 0; k < n; k++) {
		const struct ike_child_conf *conf = conn->child[which[k]].conf;
		bool t = transport && conf->mode == SA_TRANSPORT;
		unsigned fit = child_fit(c, conf, t ? &sub_l : &offer_l, t ? &sub_r : &offer_r,
					 &local, &remote);
		/* of equals the one with the mode the peer wants */
		fit = fit ? fit * 2 + (t == transport && (t || conf->mode == SA_TUNNEL)) : 0;
		if (fit <= best)
			continue;
		uint32_t reqid = c->reqid;
		best = fit;
		child_nego_set_conf(c, which[k]);
		c->reqid = reqid;
		c->mode = t ? SA_TRANSPORT : SA_TUNNEL;
		c->local_ts = local;
		c->remote_ts = remote;
	}
	if (best && !c->replaces &&
	    ike_conflict(c->sa, c->mode == SA_TRANSPORT, &c->local_ts, &c->remote_ts, c->why, sizeof(c->why)))
		return IKE2_TS_UNACCEPTABLE;
	if (best)
		return 0;
	snprintf(c->why, sizeof(c->why),
		 "the peer asked for %s === %s, which overlaps no child of connection %s: make its "
		 "local_ts here and remote_ts there overlap, and the other way round",
		 ts_list_format(&offer_l, l, sizeof(l)), ts_list_format(&offer_r, r, sizeof(r)),
		 conn->conf->name);
	return IKE2_TS_UNACCEPTABLE;
}

/* The first child of an IKE SA has no key exchange of its own: only now it shows that they
 * differ. */
static void say_pfs(struct child_nego *c, const struct proposals *ours,
		    const struct proposals *peers)
{
	size_t len = strlen(c->why);
	struct proposal chosen;
	char why[256];

	if (proposal_select(ours, peers, PROPOSAL_NO_KE, &chosen, why, sizeof(why)) == 0)
		snprintf(c->why + len, sizeof(c->why) - len,
			 ": make the key exchange of %s the same on both sides, or leave it out on "
			 "both",
			 c->proto == SA_AH ? "ah_proposals" : "esp_proposals");
}

uint16_t v2_child_choose(struct child_nego *c, const struct ike_msg *m, bool first, uint16_t *group)
{
	const struct ike_payload *sa = ike_msg_find(m, IKE2_SA, NULL);
	const struct ike_payload *ke = ike_msg_find(m, IKE2_KE, NULL);
	bool transport = ike_msg_notify(m, IKE2_USE_TRANSPORT_MODE) != NULL;
	struct proposals peers, ours;
	uint16_t bad = choose_ts(c, m, transport);

	if (bad)
		return bad;
	if (ah_behind_nat(c))
		return IKE2_NO_PROPOSAL_CHOSEN;
	offered(c, first, &ours);
	proposals_from_sa(m, sa, wire_proto(c), &peers);
	if (proposals_unprotected(&peers))
		ike_audit(c->sa->ike, AUDIT_NULL_ESP, c->sa, NULL,
			  "the peer proposed ESP without encryption and integrity");
	if (proposal_select(&ours, &peers, first ? PROPOSAL_NO_KE : 0, &c->chosen, c->why,
			    sizeof(c->why))) {
		if (!first)
			say_pfs(c, &ours, &peers);
		return IKE2_NO_PROPOSAL_CHOSEN;
	}
	c->spi_out = v2_spi_of(m, sa, &c->chosen);
	if (c->spi_out < SPI_FIRST) {
		snprintf(c->why, sizeof(c->why), "the peer's SPI %u is reserved", c->spi_out);
		return IKE2_INVALID_SYNTAX;
	}
	const struct proposal_alg *a = proposal_alg(&c->chosen, IKE_T_KE);
	c->group = a ? dh_info(a->id) : NULL;
	if (c->group && (!ke || ke->ke.group != a->id)) {
		*group = a->id;
		snprintf(c->why, sizeof(c->why), "the peer's key exchange is not %s",
			 c->group->keyword);
		return IKE2_INVALID_KE_PAYLOAD;
	}
	c->tfc_padding = !ike_msg_notify(m, IKE2_ESP_TFC_PADDING_NOT_SUPPORTED);
	c->fragments = fragments_allowed(c) && ike_msg_notify(m, IKE2_NON_FIRST_FRAGMENTS_ALSO);
	return get_spi(c) ? IKE2_NO_ADDITIONAL_SAS : 0;
}

int v2_child_answer(struct child_nego *c, struct ike_msg *out)
{
	struct proposals one = { .n = 1 };
	struct ike_payload *p = ike_msg_add(out, IKE2_SA, true);
	int rc;

	one.p[0] = c->chosen;
	rc = p ? proposals_to_sa(&one, out, p, spi_bytes(c)) : -ENOSPC;
	if (rc == 0 && c->group && c->dh)
		rc = add_ke(c->group, c->dh, out);
	p = rc == 0 ? ike_msg_add(out, IKE2_TSI, true) : NULL;
	rc = p ? ts_to_payload(&c->remote_ts, out, p) : -ENOSPC;
	p = rc == 0 ? ike_msg_add(out, IKE2_TSR, true) : NULL;
	rc = p ? ts_to_payload(&c->local_ts, out, p) : -ENOSPC;
	if (rc == 0)
		rc = add_notifies(c, out);
	if (rc)
		snprintf(c->why, sizeof(c->why), "the answer does not fit one message");
	return rc;
}
