/* A child section to a struct ike_child_conf: what it may carry, for how long, and when it starts.
 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* One of the three limits: rekey_X, life_X, rand_X. */
struct limit {
	const char *what;
	uint64_t *rekey, *life, *rand;
};

/* As strongSwan fills in what was not written. */
static void fill_limit(const struct limit *l)
{
	uint64_t tenth = *l->rekey / 10;

	if (*l->life == UNWRITTEN && __builtin_add_overflow(*l->rekey, tenth, l->life))
		*l->life = UINT64_MAX;
	if (*l->rand == UNWRITTEN) {
		*l->rand = *l->rekey && *l->life > *l->rekey ? *l->life - *l->rekey : 0;
		if (*l->rand > *l->rekey / 2)
			*l->rand = *l->rekey / 2;
	}
}

static void check_limit(struct loader *ld, const struct item *it, const struct limit *l)
{
	char soft[32], hard[32], jitter[32];

	snprintf(soft, sizeof(soft), "rekey_%s", l->what);
	snprintf(hard, sizeof(hard), "life_%s", l->what);
	snprintf(jitter, sizeof(jitter), "rand_%s", l->what);
	const struct value *r = key_value(it, soft), *h = key_value(it, hard),
			   *j = key_value(it, jitter);
	if (h && *l->life && *l->rekey >= *l->life)
		report_value(
		    ld, h, "%s = %s ends the SA before %s = %s replaces it; expected it to be more",
		    hard, h->text, soft, r ? r->text : "1h, the default,");
	if (j && *l->rand && *l->rand >= *l->rekey)
		report_value(ld, j, "%s = %s leaves nothing of %s; expected it to be less", jitter,
			     j->text, soft);
}

static void limits(struct loader *ld, const struct item *it, struct ike_child_conf *c)
{
	const struct limit all[] = {
		{ "time", &c->rekey_ns, &c->life_ns, &c->rand_ns },
		{ "bytes", &c->rekey_bytes, &c->life_bytes, &c->rand_bytes },
		{ "packets", &c->rekey_packets, &c->life_packets, &c->rand_packets },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		fill_limit(&all[i]);
		check_limit(ld, it, &all[i]);
	}
}

static bool versions_meet(const struct ike_child_conf *c)
{
	for (unsigned i = 0; i < c->local_ts.n; i++)
		for (unsigned k = 0; k < c->remote_ts.n; k++) {
			const struct ts *l = &c->local_ts.ts[i], *r = &c->remote_ts.ts[k];
			if (l->dynamic || r->dynamic || l->range.lo.ver == r->range.lo.ver)
				return true;
		}
	return false;
}

static void check_kind(struct loader *ld, const struct item *it, const struct ike_child_conf *c,
		       const struct ike_conn_conf *conn)
{
	const struct value *v = key_value(it, "ah_proposals");
	char title[ITEM_STRLEN];

	if (v && key_value(it, "esp_proposals") && conn->version != 1)
		report_value(ld, v,
			     "ah_proposals beside esp_proposals: only IKEv1 negotiates both at once; "
			     "expected one of them, or version = 1 in connection %s",
			     conn->name);
	if (v && conn->encap)
		report_value(ld, v,
			     "ah_proposals in a connection with encap = yes: AH covers the "
			     "addresses and cannot cross a NAT, so there is no AH in UDP; "
			     "expected esp_proposals");
	if (!versions_meet(c))
		report_item(
		    ld, it,
		    "%s: nothing can match; expected local_ts and remote_ts of one IP version",
		    item_title(it, title));
}

/* Transport mode leaves the packet's own addresses outside: they are those of the two ends. */
static void check_transport(struct loader *ld, const struct item *it,
			    const struct ike_child_conf *c)
{
	const struct {
		const char *key;
		const struct ts_list *ts;
	} rows[] = { { "local_ts", &c->local_ts }, { "remote_ts", &c->remote_ts } };

	for (size_t i = 0; i < ARRAY_LEN(rows) && c->mode == SA_TRANSPORT; i++)
		for (unsigned k = 0; k < rows[i].ts->n; k++) {
			const struct ts *t = &rows[i].ts->ts[k];
			if (t->dynamic || ip_addr_eq(&t->range.lo, &t->range.hi))
				continue;
			warn_value(
			    ld, key_value(it, rows[i].key),
			    "%s has more than one address, but mode = transport is between two "
			    "hosts; expected dynamic or the host's address, or mode = tunnel",
			    rows[i].key);
			break;
		}
}

/* Someone must be there to be called. */
static bool can_call(const struct ike_conn_conf *conn)
{
	for (unsigned i = 0; i < conn->n_remote; i++)
		if (conn->remote[i].name ||
		    ip_addr_eq(&conn->remote[i].range.lo, &conn->remote[i].range.hi))
			return true;
	return false;
}

static void check_actions(struct loader *ld, const struct item *it, const struct ike_child_conf *c,
			  const struct ike_conn_conf *conn)
{
	const struct {
		const char *key;
		bool calls;
	} rows[] = {
		{ "start_action", c->start != IKE_START_NONE },
		{ "dpd_action", c->dpd_action != IKE_ACTION_CLEAR },
		{ "close_action", c->close_action != IKE_ACTION_CLEAR },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) && !can_call(conn); i++) {
		const struct value *v = key_value(it, rows[i].key);
		if (v && rows[i].calls)
			report_value(ld, v,
				     "%s = %s, but nobody can be called; expected an address or "
				     "name in remote_addrs",
				     rows[i].key, v->text);
	}
	if (c->dpd_action != IKE_ACTION_CLEAR && !conn->dpd_delay_ns)
		warn_value(ld, key_value(it, "dpd_action"),
			   "dpd_action = %s has little effect without liveness checks; expected a "
			   "dpd_delay in connection %s",
			   key_value(it, "dpd_action")->text, conn->name);
}

static void check_packets(struct loader *ld, const struct item *it, const struct ike_child_conf *c)
{
	const struct value *w = key_value(it, "replay_window"), *mtu = key_value(it, "mtu");

	if (w && c->replay_window && c->replay_window < REPLAY_WINDOW_MIN)
		report_value(ld, w,
			     "replay_window = \"%s\"; expected 0 (off) or a number from %d to %d",
			     w->text, REPLAY_WINDOW_MIN, REPLAY_WINDOW_MAX);
	if (mtu && c->path_mtu && c->path_mtu < 576)
		report_value(ld, mtu,
			     "mtu = %s; expected 0 (from the route) or a number from 576 to 65535",
			     mtu->text);
}

/* Values of a packet need a packet: only a trap has one to show. */
static void check_pfp(struct loader *ld, const struct item *it, const struct ike_child_conf *c,
		      const struct ike_conn_conf *conn)
{
	const struct value *v = key_value(it, "pfp");

	if (!c->pfp)
		return;
	if (conn->version == 1)
		report_value(ld, v, "pfp: only IKEv2 can ask for the packet's selectors; expected version = 2 in "
				    "connection %s", conn->name);
	else if (c->start != IKE_START_TRAP)
		report_value(ld, v, "pfp takes selectors from packets, which only a trap waits for; expected "
				    "start_action = trap beside it");
}

static void check_fragments(struct loader *ld, const struct item *it, const struct ike_child_conf *c,
			    const struct ike_conn_conf *conn)
{
	const struct value *v = key_value(it, "fragments_also");

	if (!c->fragments_also)
		return;
	if (conn->version == 1)
		report_value(ld, v, "fragments_also in a connection with version = 1: only IKEv2 negotiates it; "
				    "expected version = 2");
	else if (c->mode == SA_TRANSPORT)
		report_value(ld, v, "fragments_also with mode = transport, where only whole packets are protected "
				    "(RFC 4303 3.3.4); expected mode = tunnel");
}

void child_build(struct loader *ld, const struct item *it, const struct ike_conn_conf *conn,
		 struct ike_child_conf *out)
{
	struct child_draft d = { .mss_clamp = -1 };
	unsigned errors = ld->errors;

	d.c.life_ns = d.c.life_bytes = d.c.life_packets = UNWRITTEN;
	d.c.rand_ns = d.c.rand_bytes = d.c.rand_packets = UNWRITTEN;
	keys_apply(ld, it, &d);
	bool ah = key_value(it, "ah_proposals") != NULL, both = ah && key_value(it, "esp_proposals");
	d.c.proto = ah && !both ? IKE_CHILD_AH : IKE_CHILD_ESP;
	if (ah)
		proposals_read(ld, it, "ah_proposals", IKE_PROTO_AH, conn->allow_weak,
			       both ? &d.c.ah : &d.c.proposals);
	if (d.c.proto == IKE_CHILD_ESP)
		proposals_read(ld, it, "esp_proposals", IKE_PROTO_ESP, conn->allow_weak,
			       &d.c.proposals);
	d.c.mss_clamp = d.mss_clamp < 0 ? ld->conf->mss_clamp : d.mss_clamp;
	d.c.pfp &= ~WORDS_SAID;
	if (ld->errors == errors) { /* what was not understood would only be blamed again */
		limits(ld, it, &d.c);
		check_kind(ld, it, &d.c, conn);
		check_transport(ld, it, &d.c);
		check_actions(ld, it, &d.c, conn);
		check_packets(ld, it, &d.c);
		check_pfp(ld, it, &d.c, conn);
		check_fragments(ld, it, &d.c, conn);
	}
	*out = d.c;
	out->name = strdup(it->name);
	have_memory(ld, out->name);
}
