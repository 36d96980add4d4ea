/*
 * IKE_SA_INIT as initiator (RFC 7296 1.2): key pair made -> request -> perhaps once more with a
 * cookie or in another group -> answer checked, shared secret, keys -> to port 4500 if there is a
 * NAT
 * -> IKE_AUTH. Answers are not authentic yet: a refusal is believed only when nothing better comes
 * for a while (2.21.1).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/names.h"
#include "ike/v2/internal.h"

#define RESTARTS_MAX 6
#define REFUSED_NS   (2 * NS_PER_S) /* how long a better answer is waited for */
#define PORT_NATT    4500           /* the peer's */

static const struct dh_info *first_group(const struct ike_conn_conf *c)
{
	for (unsigned i = 0; i < c->proposals.n; i++) {
		const struct proposal_alg *a = proposal_alg(&c->proposals.p[i], IKE_T_KE);
		if (a && a->id && dh_info(a->id))
			return dh_info(a->id);
	}
	return NULL;
}

void v2_start(struct ike_sa *sa)
{
	struct v2_init *i = v2_init_new(sa);
	char peer[ENDPOINT_STRLEN];

	if (i) {
		i->group = first_group(sa->conn->conf);
		i->ni_len = V2_NONCE_LEN;
		random_bytes(i->ni, i->ni_len);
	}
	if (!i || !i->group) {
		ike_sa_kill(sa, IKE_END_FAILED, "out of memory");
		return;
	}
	list_for_each (l, &sa->wants) {
		const struct ike_want *w = list_entry(l, struct ike_want, link);
		if (w->order)
			ike_tell(sa->ike, IKE_EV_PROGRESS, NULL, sa, NULL, w->order,
				 "connecting to %s", endpoint_format(&sa->remote, peer));
	}
	ike_sa_log(sa, LOG_LVL_INFO, "connecting");
	if (!v2_task_new(sa, V2_TASK_INIT, 0))
		ike_sa_kill(sa, IKE_END_FAILED, "out of memory");
}

static int fill(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	struct ike_msg *out = x->out;

	if (i->cookie.len && !v2_add_notify(out, IKE2_COOKIE, span_of(i->cookie.p, i->cookie.len)))
		return -ENOSPC;
	struct ike_payload *p = ike_msg_add(out, IKE2_SA, false);
	if (proposals_to_sa(&sa->conn->conf->proposals, out, p, span_of(NULL, 0)))
		return -ENOSPC;
	p = ike_msg_add(out, IKE2_KE, false);
	p->ke.group = (uint16_t)i->group->id;
	p->ke.data = dh_public(i->dh);
	p = ike_msg_add(out, IKE2_NONCE, false);
	p->raw.data = span_of(i->ni, i->ni_len);
	return v2_init_notifies(sa, out, true);
}

enum ike_rc v2_init_build(struct v2_exchange *x)
{
	struct v2_init *i = x->sa->init;

	if (x->step == 0 && !i->dh)
		return v2_wait(x, 1, ike_work_dh(x->sa, i->group, NULL, span_of(NULL, 0)));
	if (x->step == 1) {
		if (x->work->rc) {
			x->why = "the key exchange could not be begun: the crypto library lacks it";
			return IKE_KILL;
		}
		i->dh = x->work->dh;
		x->work->dh = NULL;
	}
	if (fill(x)) {
		x->why = "the proposals of the connection do not fit one message: list fewer";
		return IKE_KILL;
	}
	return IKE_OK;
}

/* Remembers a refusal; it is believed when nothing better came in time. */
static enum ike_rc doubt(struct v2_exchange *x, const char *text)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;

	snprintf(i->refusal, sizeof(i->refusal), "%s", text);
	if (!i->give_up_ns) {
		i->give_up_ns = clock_now_ns() + REFUSED_NS;
		ike_timer_set(&sa->ike->timers, &sa->t_again, i->give_up_ns, v2_again_fire);
	}
	return IKE_DROP;
}

static enum ike_rc begin_again(struct v2_exchange *x)
{
	struct v2_init *i = x->sa->init;

	if (++i->restarts > RESTARTS_MAX)
		return doubt(x, "the peer asked for yet another IKE_SA_INIT too often");
	i->give_up_ns = 0;
	v2_task_again(x->task, 0);
	return IKE_OK;
}

static enum ike_rc take_cookie(struct v2_exchange *x, struct span c)
{
	struct v2_init *i = x->sa->init;

	if (c.len == 0 || c.len > 64)
		return IKE_DROP;
	uint8_t *p = malloc(c.len);
	if (!p)
		return IKE_DROP;
	memcpy(p, c.p, c.len);
	free(i->cookie.p);
	i->cookie = (struct buf){ .p = p, .len = c.len };
	return begin_again(x);
}

/* Does any of our proposals have the group? */
static bool group_ours(const struct ike_conn_conf *c, uint16_t group)
{
	for (unsigned k = 0; k < c->proposals.n; k++)
		if (proposal_has(&c->proposals.p[k], IKE_T_KE, group))
			return true;
	return false;
}

static enum ike_rc take_group(struct v2_exchange *x, struct span d)
{
	struct v2_init *i = x->sa->init;
	const struct ike_conn_conf *c = x->sa->conn->conf;
	struct proposal_alg a = { .type = IKE_T_KE };
	char text[256], name[32];

	if (d.len != 2)
		return IKE_DROP;
	a.id = load_be16(d.p);
	proposal_alg_name(&a, name);
	if (a.id == (unsigned)i->group->id)
		return IKE_DROP; /* it answers an earlier request, or nobody's */
	if (!group_ours(c, a.id) || !dh_info(a.id)) {
		snprintf(text, sizeof(text),
			 "the peer wants the key exchange %s, which the proposals of connection %s "
			 "do not have: add it there, or one of ours at the peer",
			 name, c->name);
		return doubt(x, text);
	}
	i->group = dh_info(a.id);
	dh_free(&i->dh);
	ike_sa_log(x->sa, LOG_LVL_INFO, "the peer wants %s", name);
	return begin_again(x);
}

enum ike_rc v2_init_refused(struct v2_exchange *x)
{
	const struct ike_payload *p = ike_msg_notify(x->m, IKE2_COOKIE);
	char text[512], offer[256], num[IKE_NAME_LEN];

	if (p)
		return take_cookie(x, p->notify.data);
	p = ike_msg_notify(x->m, IKE2_INVALID_KE_PAYLOAD);
	if (p)
		return take_group(x, p->notify.data);
	p = v2_find_error(x->m);
	if (!p)
		return IKE_DROP;
	if (p->notify.type == IKE2_NO_PROPOSAL_CHOSEN)
		snprintf(
		    text, sizeof(text),
		    "the peer accepts none of the IKE proposals of connection %s (%s...): make "
		    "`proposals` here and at the peer have one in common (it may also know no "
		    "connection for our address, or none with IKEv2)",
		    x->sa->conn->conf->name,
		    proposal_format(&x->sa->conn->conf->proposals.p[0], offer, sizeof(offer)));
	else
		snprintf(text, sizeof(text), "the peer refused IKE_SA_INIT: %s",
			 ike_name_or_number(IKE_NAMES_NOTIFY2, p->notify.type, num));
	return doubt(x, text);
}

/* The peer's choice must be one of ours. */
static const char *check_answer(struct v2_exchange *x, struct proposal *chosen, char *why,
				size_t whylen)
{
	struct v2_init *i = x->sa->init;
	const struct ike_payload *sap = ike_msg_find(x->m, IKE2_SA, NULL);
	const struct ike_payload *ke = ike_msg_find(x->m, IKE2_KE, NULL);
	struct proposals peers;

	if (load_be64(x->m->hdr.spi_r) == 0)
		return "the peer's SPI is zero";
	if (sap->sa.n != 1 || proposals_from_sa(x->m, sap, IKE_PROTO_IKE, &peers) != 1 ||
	    !proposal_is_choice(&peers.p[0]))
		return "the peer's answer does not choose one proposal";
	if (proposal_select(&x->sa->conn->conf->proposals, &peers, 0, chosen, why, whylen))
		return "the peer chose what was not offered";
	const struct proposal_alg *a = proposal_alg(chosen, IKE_T_KE);
	if (!a || a->id != ke->ke.group || a->id != (unsigned)i->group->id ||
	    ke->ke.data.len != i->group->public_len)
		return "the peer's key exchange is not of the group that was chosen";
	return NULL;
}

/* Off to port 4500 when there is a NAT or encapsulation is wanted (RFC 7296 2.23). */
static void float_port(struct ike_sa *sa)
{
	if (!sa->encap || sa->marker)
		return;
	sa->local.port = ike_port_nat_t(sa->ike->conf);
	if (sa->remote.port == 500)
		sa->remote.port = PORT_NATT;
	sa->marker = true;
}

static enum ike_rc accept_answer(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	struct span nr = ike_msg_find(x->m, IKE2_NONCE, NULL)->raw.data;
	struct span r = ike_kept_nth(&sa->request, 0);

	i->dh = x->work->dh;
	x->work->dh = NULL;
	if (x->work->rc)
		return doubt(x, x->work->why);
	uint8_t *sent = malloc(r.len);
	if (!sent)
		return IKE_DROP;
	memcpy(sent, r.p, r.len);
	free(i->sent.p);
	i->sent = (struct buf){ .p = sent, .len = r.len };
	memcpy(i->nr, nr.p, nr.len);
	i->nr_len = nr.len;
	memcpy(sa->spi_r, x->m->hdr.spi_r, 8);
	int rc = v2_init_keys(sa, secret_view(&x->work->shared));
	dh_free(&i->dh);
	if (rc) {
		x->why = "the keys of the IKE SA could not be made";
		return IKE_KILL;
	}
	v2_init_take_notifies(sa, x->m);
	v2_take_certreq(sa, x->m);
	float_port(sa);
	i->give_up_ns = 0;
	i->refusal[0] = '\0';
	if (!v2_task_new(sa, V2_TASK_AUTH, 0)) {
		x->why = "out of memory";
		return IKE_KILL;
	}
	return IKE_OK;
}

enum ike_rc v2_init_answer(struct v2_exchange *x)
{
	struct v2_init *i = x->sa->init;
	char why[512] = "", text[768];

	if (x->step == 1)
		return accept_answer(x);
	const char *bad = check_answer(x, &i->chosen, why, sizeof(why));
	if (!bad && keymat_suite(&i->chosen, &i->suite, why, sizeof(why)))
		bad = "the chosen proposal cannot be used";
	if (bad) {
		snprintf(text, sizeof(text), "%s%s%s", bad, why[0] ? ": " : "", why);
		return doubt(x, text);
	}
	/* the key pair stays: should the value prove invalid, another answer may come */
	struct span ke = ike_msg_find(x->m, IKE2_KE, NULL)->ke.data;
	return v2_wait(x, 1, ike_work_dh(x->sa, i->group, &i->dh, ke));
}
