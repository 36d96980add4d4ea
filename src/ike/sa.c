/* The life of an IKE SA: made, keyed, in force, moved, ended. */
#include "ike/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/lease.h"
#include "ike/life.h"
#include "ike/v2/v2.h"
#include "ike/version.h"

#define LINGER_NS (20 * NS_PER_S)
#define TIDY_NS   (30 * NS_PER_S) /* time for a reauthentication to delete the old SA itself */

static const char *const state_names[IKE_STATES] = {
	[IKE_ST_NONE] = "new",          [IKE_ST_INIT_I] = "connecting",
	[IKE_ST_INIT_R] = "connecting", [IKE_ST_AUTH_I] = "authenticating",
	[IKE_ST_UP] = "established",    [IKE_ST_REKEYED] = "rekeyed",
	[IKE_ST_DELETING] = "deleting", [IKE_ST_DEAD] = "closed",
};

const char *ike_state_name(enum ike_state s)
{
	return s < IKE_STATES ? state_names[s] : "?";
}

static uint64_t spi_hash(const struct ike *ike, const uint8_t *spi)
{
	struct span s = span_of(spi, 8);
	return ike_table_hash(&ike->by_spi, &s, 1);
}

struct ike_sa *ike_sa_by_spi(const struct ike *ike, const uint8_t *spi)
{
	for (struct ike_node *n = ike_table_first(&ike->by_spi, spi_hash(ike, spi)); n;
	     n = ike_table_next(n)) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, by_spi);
		if (memcmp(ike_sa_spi(sa), spi, 8) == 0)
			return sa;
	}
	return NULL;
}

static uint64_t id_hash(const struct ike *ike, uint32_t id)
{
	struct span s = span_of(&id, sizeof(id));
	return ike_table_hash(&ike->by_id, &s, 1);
}

struct ike_sa *ike_sa_by_id(const struct ike *ike, uint32_t id)
{
	for (struct ike_node *n = ike_table_first(&ike->by_id, id_hash(ike, id)); n;
	     n = ike_table_next(n)) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, by_id);
		if (sa->id == id)
			return sa;
	}
	return NULL;
}

struct ike_sa *ike_sa_new(struct ike *ike, struct ike_conn *conn, bool initiator, uint8_t major)
{
	struct ike_sa *sa = calloc(1, sizeof(*sa));
	uint8_t spi[8];

	if (!sa || ike_timers_reserve(&ike->timers, IKE_TIMERS_SA)) {
		free(sa);
		return NULL;
	}
	sa->ike = ike;
	sa->id = ++ike->last_sa_id;
	sa->major = major;
	sa->initiator = initiator;
	list_init(&sa->of_conn);
	list_init(&sa->tasks);
	list_init(&sa->held);
	list_init(&sa->children);
	list_init(&sa->wants);
	do {
		random_bytes(spi, sizeof(spi));
	} while (load_be64(spi) == 0 || ike_sa_by_spi(ike, spi));
	memcpy(initiator ? sa->spi_i : sa->spi_r, spi, sizeof(spi));
	ike_table_add(&ike->by_spi, &sa->by_spi, spi_hash(ike, spi));
	ike_table_add(&ike->by_id, &sa->by_id, id_hash(ike, sa->id));
	list_push_back(&ike->sas, &sa->all);
	ike_sa_set_conn(sa, conn);
	return sa;
}

void ike_sa_set_conn(struct ike_sa *sa, struct ike_conn *conn)
{
	if (sa->conn == conn)
		return;
	list_del(&sa->of_conn);
	struct ike_conn *old = sa->conn;
	sa->conn = conn;
	if (conn) {
		ike_conn_ref(conn);
		list_push_back(&conn->sas, &sa->of_conn);
	}
	if (old)
		ike_conn_unref(old);
}

void ike_sa_set_spi(struct ike_sa *sa, const uint8_t *spi)
{
	ike_table_del(&sa->ike->by_spi, &sa->by_spi);
	memcpy(sa->initiator ? sa->spi_i : sa->spi_r, spi, 8);
	ike_table_add(&sa->ike->by_spi, &sa->by_spi, spi_hash(sa->ike, spi));
}

int ike_sa_set_keys(struct ike_sa *sa, const struct keymat_suite *suite, struct ike_keys *k,
		    const struct proposal *chosen)
{
	struct sk_key *seal = NULL, *open = NULL;
	struct proposal *p = ike_proposal_dup(chosen);
	int rc = p ? 0 : -ENOMEM;

	/* IKEv1 takes the keys as they are (v1/crypt.c) */
	if (rc == 0 && sa->major == 2)
		rc = keymat_sk(suite, k, sa->initiator, &seal, &open);

	if (rc) {
		free(p);
		keymat_free(k);
		return rc;
	}
	sa->suite = *suite;
	sa->seal = seal;
	sa->open = open;
	sa->keys = *k;
	*k = (struct ike_keys){ .block = NULL };
	free(sa->proposal);
	sa->proposal = p;
	sa->ike->telling_keys = sa->id;
	ike_tell(sa->ike, IKE_EV_KEYS, NULL, sa, NULL, 0, "keys of the IKE SA");
	sa->ike->telling_keys = 0;
	return 0;
}

static uint64_t peer_hash(const struct ike_sa *sa)
{
	const struct ident *id = &sa->remote_id;
	struct span v[3] = { span_of(&sa->conn->id, sizeof(sa->conn->id)), span_of(&id->type, 1),
			     span_of(id->data, id->len) };
	return ike_table_hash(&sa->ike->by_peer, v, 3);
}

/* Members of a group may share one identity: XAUTH tells them apart. */
static bool same_user(const struct ike_sa *a, const struct ike_sa *b)
{
	return a->user && b->user ? strcmp(a->user, b->user) == 0 : !a->user && !b->user;
}

struct ike_sa *ike_sa_twin(const struct ike_sa *sa, const struct ike_sa *after)
{
	struct ike_node *n = after ? ike_table_next(&after->by_peer)
				   : ike_table_first(&sa->ike->by_peer, peer_hash(sa));

	for (; n; n = ike_table_next(n)) {
		struct ike_sa *t = list_entry(n, struct ike_sa, by_peer);
		if (t != sa && t->conn == sa->conn && ident_eq(&t->remote_id, &sa->remote_id) &&
		    same_user(t, sa))
			return t;
	}
	return NULL;
}

static uint64_t after(uint64_t now, uint64_t ns, uint64_t jitter)
{
	return ns ? now + ike_jitter(ns, jitter) : 0;
}

/* Times of the SA. Reauthentication is counted from the proof, so a rekeying keeps it. */
static void set_lifetimes(struct ike_sa *sa, const struct ike_sa *replaces)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	uint64_t now = clock_now_ns(), hard;

	sa->established_ns = now;
	sa->rekey_ns = after(now, c->rekey_ns, c->rand_ns);
	sa->reauth_ns = replaces ? replaces->reauth_ns : after(now, c->reauth_ns, c->rand_ns);
	/* over_time begins when rekeying or reauthentication was due */
	hard = sa->rekey_ns;
	if (sa->reauth_ns && (!hard || sa->reauth_ns < hard))
		hard = sa->reauth_ns;
	sa->over_ns = hard && c->over_ns ? hard + c->over_ns : 0;
}

/* The first of the SA's times that is set; 0: none. */
static uint64_t first_time(const struct ike_sa *sa)
{
	uint64_t t = 0, v[] = { sa->rekey_ns, sa->reauth_ns, sa->over_ns, sa->tidy_ns,
			     sa->childless_ns };

	for (unsigned i = 0; i < ARRAY_LEN(v); i++)
		if (v[i] && (!t || v[i] < t))
			t = v[i];
	return t;
}

void ike_sa_arm_life(struct ike_sa *sa)
{
	uint64_t t = first_time(sa);

	if (t)
		ike_timer_set(&sa->ike->timers, &sa->t_life, t, ike_sa_life_fire);
	else
		ike_timer_stop(&sa->ike->timers, &sa->t_life);
}

bool ike_sa_strange_take(struct ike_sa *sa, size_t bytes)
{
	struct ike *ike = sa->ike;

	if (!sa->half_open)
		return true;
	if (bytes > IKE_STRANGE_SA - sa->strange || ike->strange + bytes > ike->strange_max) {
		ike->stats.half_open_refused++;
		return false;
	}
	sa->strange += (uint32_t)bytes;
	ike->strange += bytes;
	return true;
}

void ike_sa_strange_give(struct ike_sa *sa, size_t bytes)
{
	uint32_t n = bytes < sa->strange ? (uint32_t)bytes : sa->strange;

	sa->strange -= n;
	sa->ike->strange -= n;
}

void ike_sa_close_gate(struct ike_sa *sa)
{
	if (sa->half_open)
		gate_close(sa->ike->gate, &sa->gate_addr);
	ike_sa_strange_give(sa, sa->strange);
	sa->half_open = false;
}

static bool any_crossed(const struct ike_sa *sa)
{
	list_for_each (l, &sa->children)
		if (ike_child_crossed(list_entry(l, struct ike_child, of_sa)))
			return true;
	return false;
}

void ike_sa_tidy_later(struct ike_sa *sa)
{
	if (sa->conn->conf->unique != IKE_UNIQUE_REPLACE ||
	    (!ike_sa_twin(sa, NULL) && !any_crossed(sa)))
		return;
	sa->tidy_ns = clock_now_ns() + TIDY_NS;
	ike_sa_arm_life(sa);
}

void ike_sa_established(struct ike_sa *sa, const struct ike_sa *replaces)
{
	struct ike *ike = sa->ike;
	char me[IDENT_STRLEN], peer[IDENT_STRLEN], prop[256];

	sa->counted = true;
	sa->authenticated = true;
	ike->stats.established++;
	sa->conn->n_up++;
	sa->conn->tries = 0;
	ike_timer_stop(&ike->timers, &sa->conn->t_retry);
	ike_table_add(&ike->by_peer, &sa->by_peer, peer_hash(sa));
	ike_table_del(&ike->by_init, &sa->by_init);
	ike_sa_close_gate(sa);
	set_lifetimes(sa, replaces);
	ike_sa_tidy_later(sa);
	ike_sa_arm_life(sa);
	sa->heard_ns = sa->spoke_ns = clock_now_ns();
	ike_sa_idle_arm(sa);
	ike_tell(ike, replaces ? IKE_EV_SA_REKEYED : IKE_EV_SA_UP, NULL, sa, NULL, 0,
		 "%s with %s as %s, %s", replaces ? "rekeyed" : "established",
		 ident_format(&sa->remote_id, peer, sizeof(peer)),
		 ident_format(&sa->local_id, me, sizeof(me)),
		 proposal_format(sa->proposal, prop, sizeof(prop)));
	ike_sa_log(sa, LOG_LVL_NOTICE, "%s with %s as %s, %s", replaces ? "rekeyed" : "established",
		   peer, me, prop);
}

void ike_sa_move_children(struct ike_sa *from, struct ike_sa *to)
{
	list_for_each_safe (l, &from->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		list_del(&c->of_sa);
		list_push_back(&to->children, &c->of_sa);
		c->sa = to;
	}
	to->n_children += from->n_children;
	from->n_children = 0;
}

void ike_sa_move(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote)
{
	struct ike *ike = sa->ike;
	char old[ENDPOINT_STRLEN], now[ENDPOINT_STRLEN];

	if (endpoint_eq(&sa->local, local) && endpoint_eq(&sa->remote, remote))
		return;
	endpoint_format(&sa->remote, old);
	sa->local = *local;
	sa->remote = *remote;
	ike_sa_leases_move(sa);
	list_for_each (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		ike->env.child_move(ike->env.ctx, c->reqid, c->spi_in, c->udp, local, remote);
	}
	endpoint_format(&sa->remote, now);
	ike_sa_log(sa, LOG_LVL_NOTICE, "the peer moved here from %s", old);
	ike_tell(ike, IKE_EV_PEER_MOVED, NULL, sa, NULL, 0, "the peer moved from %s to %s", old,
		 now);
}

void ike_sa_want(struct ike_sa *sa, struct ike_want *w)
{
	if (sa->state != IKE_ST_UP) {
		list_push_back(&sa->wants, &w->link);
		return;
	}
	ike_version(sa)->want(sa, w);
}

static const char *plain_words(enum ike_end end)
{
	switch (end) {
	case IKE_END_ORDER:
		return "closed by order";
	case IKE_END_FAILED:
		return "the negotiation failed";
	case IKE_END_DEAD:
		return "the peer does not answer";
	case IKE_END_PEER:
		return "deleted by the peer";
	case IKE_END_REPLACED:
		return "replaced";
	case IKE_END_EXPIRED:
		return "its lifetime is over";
	case IKE_END_EXIT:
		break;
	}
	return "the daemon stops";
}

/* Takes what was in force out of it, and tells. */
static void shut(struct ike_sa *sa, enum ike_end end, const char *why)
{
	struct ike *ike = sa->ike;
	struct ike_conn *conn = sa->conn;

	ike_sa_close_gate(sa);
	ike_timer_stop(&ike->timers, &sa->t_again);
	ike_timer_stop(&ike->timers, &sa->t_life);
	ike_timer_stop(&ike->timers, &sa->t_idle);
	ike_table_del(&ike->by_peer, &sa->by_peer);
	list_for_each_safe (l, &sa->children)
		ike_child_close(list_entry(l, struct ike_child, of_sa), end, why);
	ike_version(sa)->fini(sa);
	if (sa->counted) {
		sa->counted = false;
		ike->stats.established--;
		conn->n_up--;
		if (end != IKE_END_EXIT) {
			ike_sa_log(sa, LOG_LVL_NOTICE, "%s", why);
			ike_tell(ike, IKE_EV_SA_DOWN, NULL, sa, NULL, 0, "%s", why);
		}
	}
}

/* What it was to bring up: another attempt, or the end of hope. */
static void hand_wants_back(struct ike_sa *sa, enum ike_end end, const char *why)
{
	struct list wants;

	list_init(&wants);
	while (!list_empty(&sa->wants)) {
		struct list *l = sa->wants.next;
		list_del(l);
		list_push_back(&wants, l);
	}
	if (end == IKE_END_FAILED || end == IKE_END_DEAD) {
		ike_conn_attempt_failed(sa->conn, &wants, end == IKE_END_FAILED, why);
		return;
	}
	while (!list_empty(&wants)) {
		struct ike_want *w = list_entry(wants.next, struct ike_want, link);
		list_del(&w->link);
		ike_want_fail(sa->conn, w, why);
	}
}

void ike_sa_give_up(struct ike_sa *sa, const char *why)
{
	if (sa->made_by_us)
		hand_wants_back(sa, IKE_END_FAILED, why);
	sa->made_by_us = false;
	sa->end = IKE_END_FAILED;
	if (!v2_task_new(sa, V2_TASK_DELETE_IKE, 0))
		ike_sa_kill(sa, IKE_END_FAILED, why);
}

/* Out of the tables: no message reaches it any more. */
static void forget(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike_table_del(&ike->by_spi, &sa->by_spi);
	ike_table_del(&ike->by_id, &sa->by_id);
	ike_table_del(&ike->by_init, &sa->by_init);
	list_del(&sa->all);
	list_push_back(&ike->dead, &sa->all);
}

void ike_sa_linger_over(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike->n_lingering--;
	sa->lingers = false;
	ike_timer_stop(&ike->timers, &sa->t_again);
	forget(sa);
}

void ike_sa_end(struct ike_sa *sa, enum ike_end end, bool linger, const char *why)
{
	struct ike *ike = sa->ike;
	bool was_up = sa->counted || sa->authenticated;
	char text[768];

	if (sa->over) {
		if (sa->lingers && !linger)
			ike_sa_linger_over(sa);
		return;
	}
	/* it may lie in what is freed on the way */
	snprintf(text, sizeof(text), "%s", why ? why : plain_words(end));
	why = text;
	sa->over = true;
	sa->end = (uint8_t)end;
	ike_enter(ike);
	shut(sa, end, why);
	list_del(&sa->of_conn);
	if (was_up && sa->conn && (end == IKE_END_DEAD || end == IKE_END_EXPIRED))
		ike_conn_remember(sa->conn, why);
	if (linger && ike->n_lingering < ike->conf->half_open_max && !ike->closing) {
		ike->n_lingering++;
		sa->lingers = true;
		ike_timer_set(&ike->timers, &sa->t_again, clock_now_ns() + LINGER_NS,
			      ike_version(sa)->again_fire);
	} else {
		forget(sa);
	}
	if (sa->conn) {
		if (sa->replaces && end != IKE_END_EXIT)
			v2_reauth_failed(sa, why);
		else if (sa->initiator && !was_up && sa->made_by_us)
			hand_wants_back(sa, end, why);
		else if (!list_empty(&sa->wants))
			hand_wants_back(sa, IKE_END_ORDER, why);
	}
	ike_leave(ike);
}

void ike_sa_free(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike_timers_release(&ike->timers, IKE_TIMERS_SA);
	ike_kept_free(&sa->answer);
	ike_kept_free(&sa->request);
	sk_key_free(&sa->seal);
	sk_key_free(&sa->open);
	keymat_free(&sa->keys);
	free(sa->proposal);
	ident_fini(&sa->local_id);
	ident_fini(&sa->remote_id);
	free(sa->user);
	ike_version(sa)->free(sa);
	if (sa->conn)
		ike_conn_unref(sa->conn);
	free(sa);
}

int ike_kept_take(struct ike_kept *k, struct sealed *s)
{
	uint32_t len = s->off[s->n];
	uint8_t *p = realloc(s->bytes, len + s->n * sizeof(uint32_t));

	if (!p) {
		sealed_free(s);
		return -ENOMEM;
	}
	memcpy(p + len, &s->off[1], s->n * sizeof(uint32_t));
	ike_kept_free(k);
	*k = (struct ike_kept){ .bytes = p, .n = s->n, .len = len };
	*s = (struct sealed){ .n = 0 };
	return 0;
}

struct span ike_kept_nth(const struct ike_kept *k, unsigned i)
{
	uint32_t from = 0, to;

	memcpy(&to, k->bytes + k->len + i * sizeof(to), sizeof(to));
	if (i > 0)
		memcpy(&from, k->bytes + k->len + (i - 1) * sizeof(from), sizeof(from));
	return span_of(k->bytes + from, to - from);
}

void ike_kept_free(struct ike_kept *k)
{
	free(k->bytes);
	*k = (struct ike_kept){ .n = 0 };
}

size_t ike_sa_bytes(const struct ike_sa *sa)
{
	size_t n = sizeof(*sa) + sa->keys.len + sa->local_id.len + sa->remote_id.len;

	if (sa->proposal)
		n +=
		    offsetof(struct proposal, alg) + sa->proposal->n * sizeof(sa->proposal->alg[0]);
	n += sa->answer.len + sa->answer.n * sizeof(uint32_t);
	n += sa->request.len + sa->request.n * sizeof(uint32_t);
	n += ike_version(sa)->bytes(sa);
	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		n += sizeof(*c) + offsetof(struct proposal, alg) +
		     c->chosen->n * sizeof(c->chosen->alg[0]) + 2 * offsetof(struct ts_list, ts) +
		     (c->local_ts->n + c->remote_ts->n) * sizeof(c->local_ts->ts[0]) +
		     (c->remote_ts->n + 1) * sizeof(*c->far);
	}
	return n;
}
