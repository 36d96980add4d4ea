/* A CHILD SA that is agreed goes into force: suite, keys (RFC 7296 2.17), lifetimes, the SAD, our
 * own tables, events. */
#include <stdio.h>

#include "base/clock.h"
#include "ike/child_nego.h"
#include "ike/life.h"
#include "ike/version.h"

/* What the chosen proposal means for the packets. AH has only integrity. */
static int make_suite(struct child_nego *c, struct esp_suite *out)
{
	const struct proposal_alg *e = proposal_alg(&c->chosen, IKE_T_ENCR);
	const struct proposal_alg *i = proposal_alg(&c->chosen, IKE_T_INTEG);
	enum integ_id integ = i ? (enum integ_id)i->id : INTEG_NONE;

	if (c->proto == SA_AH)
		return ah_suite_make(integ, out, c->why, sizeof(c->why));
	return esp_suite_make(e ? (enum encr_id)e->id : ENCR_NONE, e ? e->key_bits / 8u : 0, integ, out, c->why,
			      sizeof(c->why));
}

/* Without extended sequence numbers there are 2^32 - 1 packets (RFC 4303 3.3.3): whatever the
 * configuration says, a fifth of them is left when rekeying begins. */
#define SEQ_REKEY (4 * (UINT32_MAX / 5ull))

/* Bytes and packets: when to rekey, when to stop. Time is the engine's own timer; the SAD only has
 * the end as well, should the engine be late. */
static struct sa_lifetime lifetime(const struct ike_child_conf *f, bool esn,
				   uint64_t agreed)
{
	uint64_t packets = f->rekey_packets, jitter = f->rand_packets;

	if (!esn && (!packets || packets > SEQ_REKEY)) {
		packets = SEQ_REKEY;
		jitter = SEQ_REKEY / 10;
	}
	struct sa_lifetime l = {
		.soft_bytes = ike_jitter(f->rekey_bytes, f->rand_bytes),
		.hard_bytes = f->life_bytes,
		.soft_packets = ike_jitter(packets, jitter),
		.hard_packets = f->life_packets,
		.hard_ns = f->life_ns,
	};

	if (agreed && (!l.hard_bytes || agreed < l.hard_bytes)) {
		l.hard_bytes = agreed;
		if (!l.soft_bytes || l.soft_bytes > agreed / 10 * 9)
			l.soft_bytes = ike_jitter(agreed / 10 * 9, agreed / 10);
	}
	return l;
}

static void hand_keys(struct child_nego *c, struct child_keys *k, struct ike_child_up *up)
{
	unsigned out = c->asked ? 0 : 1; /* keys [0] are those of the one who asked */

	up->encr_out = secret_take(&k->encr[out]);
	up->integ_out = secret_take(&k->integ[out]);
	up->encr_in = secret_take(&k->encr[!out]);
	up->integ_in = secret_take(&k->integ[!out]);
}

/* The AH of a bundle. 0 or -errno with c->why. */
static int fill_ah(struct child_nego *c, struct ike_child_up *up)
{
	const struct proposal_alg *i = proposal_alg(&c->ah.chosen, IKE_T_INTEG);
	int rc;

	if (!c->ah.spi_out)
		return 0;
	rc = ah_suite_make(i ? (enum integ_id)i->id : INTEG_NONE, &up->ah.suite, c->why, sizeof(c->why));
	if (rc == 0)
		rc = ike_version(c->sa)->ah_keys(c, &up->ah);
	up->ah.spi_in = c->ah.spi_in;
	up->ah.spi_out = c->ah.spi_out;
	return rc;
}

static void drop_keys(struct ike_child_up *up)
{
	secret_free(&up->ah.encr_in);
	secret_free(&up->ah.encr_out);
	secret_free(&up->ah.integ_in);
	secret_free(&up->ah.integ_out);
	secret_free(&up->encr_out);
	secret_free(&up->integ_out);
	secret_free(&up->encr_in);
	secret_free(&up->integ_in);
}

static void fill(const struct child_nego *c, const struct ike_child *child, struct ike_child_up *up)
{
	const struct ike_sa *sa = c->sa;

	up->reqid = c->reqid;
	up->conn = sa->conn->conf->name;
	up->child = c->conf->name;
	up->conn_id = sa->conn->id;
	up->child_id = child->id;
	up->conf = c->conf;
	up->proto = c->proto;
	up->mode = c->mode;
	up->udp = child->udp;
	up->esn = child->esn;
	up->local = sa->local;
	up->remote = sa->remote;
	if (c->mode == SA_TRANSPORT) {
		up->oa_local = c->oa_local;
		up->oa_remote = c->oa_remote;
	}
	up->spi_in = c->spi_in;
	up->spi_out = c->spi_out;
	up->fragments = c->fragments;
	up->life = lifetime(c->conf, child->esn, c->life_bytes);
	up->local_ts = child->local_ts;
	up->remote_ts = child->remote_ts;
}

static void tell_up(const struct child_nego *c, const struct ike_child *child, uint64_t order)
{
	char l[192], r[192], p[192];

	ts_list_format(child->local_ts, l, sizeof(l));
	ts_list_format(child->remote_ts, r, sizeof(r));
	proposal_format(child->chosen, p, sizeof(p));
	ike_sa_log(c->sa, LOG_LVL_NOTICE, "child %s %s: %s === %s, %s, SPIs %08x_i %08x_o%s",
		   c->conf->name, c->replaces ? "rekeyed" : "up", l, r, p, child->spi_in,
		   child->spi_out, c->cut ? " (narrowed by the peer)" : "");
	if (!c->replaces)
		ike_tell(c->sa->ike, IKE_EV_CHILD_UP, NULL, c->sa, child, 0, "%s === %s, %s", l, r,
			 p);
	if (order)
		ike_tell(c->sa->ike, IKE_EV_PROGRESS, NULL, c->sa, child, order,
			 "child %s up: %s === %s", c->conf->name, l, r);
}

static bool asked_by_us(const struct child_nego *c)
{
	list_for_each (l, &c->sa->children) {
		const struct ike_child *o = list_entry(l, struct ike_child, of_sa);
		if (c->replaces && o->id == c->replaces)
			return o->by_us;
	}
	return c->asked;
}

struct ike_child *child_nego_install(struct child_nego *c, bool out_now, uint64_t order)
{
	struct ike_sa *sa = c->sa;
	struct ike *ike = sa->ike;
	struct ike_child_up up = { .reqid = 0 };
	struct child_keys keys = { 0 };
	const struct proposal_alg *esn = proposal_alg(&c->chosen, IKE_T_ESN);
	struct ike_child *child;

	if (sa->conn->child[c->ci].gone) {
		snprintf(c->why, sizeof(c->why), "it is no longer configured");
		return NULL;
	}
	if (!c->reqid)
		c->reqid = ike_child_reqid(sa, c->ci, asked_by_us(c), &c->local_ts, &c->remote_ts);
	if (make_suite(c, &up.suite))
		return NULL;
	if ((c->proto == SA_AH && (sa->nat_local || sa->nat_remote)) ||
	    (c->ah.spi_out && sa->encap)) {
		snprintf(c->why, sizeof(c->why),
			 "there is a NAT in between, which AH cannot cross: use ESP");
		return NULL;
	}
	child = ike_child_new(sa, &c->local_ts, &c->remote_ts, &c->chosen);
	if (!child ||
	    ike_version(sa)->child_keys(c, &up.suite, &keys)) {
		snprintf(c->why, sizeof(c->why), "out of memory");
		if (child)
			ike_child_discard(child);
		return NULL;
	}
	child->conf = c->conf;
	child->reqid = c->reqid;
	child->spi_in = c->spi_in;
	child->spi_out = c->spi_out;
	child->ah_spi_in = c->ah.spi_out ? c->ah.spi_in : 0;
	child->ah_spi_out = c->ah.spi_out;
	child->proto = c->proto;
	child->mode = c->mode;
	child->udp = sa->encap && c->proto != SA_AH;
	child->esn = esn && esn->id == 1;
	child->by_us = asked_by_us(c);
	child->installed_ns = clock_now_ns();
	child->rekey_ns = c->conf->rekey_ns ? child->installed_ns +
						  ike_jitter(c->conf->rekey_ns, c->conf->rand_ns)
					    : 0;
	child->expire_ns = c->conf->life_ns ? child->installed_ns + c->conf->life_ns : 0;
	fill(c, child, &up);
	up.rekey = ike_reqid_used(ike, c->reqid);
	/* who answers sends by the new pair only when the other side surely has it */
	up.out_now = out_now && (c->asked || !up.rekey);
	child->replaces = c->replaces;
	if (!up.out_now)
		child->switch_ns = child->installed_ns + IKE_SWITCH_POLL;
	hand_keys(c, &keys, &up);
	child_keys_free(&keys);
	int rc = fill_ah(c, &up);
	if (rc == 0)
		rc = ike->env.child_add(ike->env.ctx, &up, c->why, sizeof(c->why));
	drop_keys(&up);
	if (rc) {
		ike_child_discard(child);
		return NULL;
	}
	c->installed = true;
	ike_child_add(child);
	if (up.out_now)
		ike_child_set_carrier(child);
	if (c->reqid == sa->conn->child[c->ci].reqid)
		ike_acquire_over(sa->conn, c->ci, true);
	if (up.rekey && !c->replaces)
		ike_sa_tidy_later(sa);
	/* one that only bridged the time without an SA */
	if (c->conf->start != IKE_START_TRAP)
		ike_conn_untrap(sa->conn, c->ci);
	tell_up(c, child, order);
	return child;
}
