/*
 * The first message of phase 1, as responder. Before anything is kept: duplicate? -> limits -> a
 * connection for the addresses (in Aggressive Mode for the identity too) whose proposals fit. Then
 * an SA is made, with a cookie for these parties (cookie.c), and the message goes to its handler.
 * The cookies of IKEv1 are not stateless: the SA is there before the peer has shown that our
 * answers reach it, so half-open SAs are limited by number and by bytes alone; but in Main Mode it
 * has shown that before it costs a key exchange (RFC 2408 2.5.3).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "crypto/hash.h"
#include "ike/msg_rule.h"
#include "ike/v1/v1.h"

#define FIRST_REPEATS 12 /* of one answer */

struct first {
	struct ike *ike;
	const struct endpoint *local, *remote;
	bool marker;
	const struct ike_hdr *h;
	const struct ike_msg *m;
	uint8_t hash[HASH_LEN_MAX]; /* of the datagram */
	size_t len;                 /* of it, bytes */
	struct ike_conn *conn;
	struct v1_choice choice;
	struct ident id; /* Aggressive Mode: the peer's; type 0: not known */
};

static uint64_t init_hash(const struct first *f)
{
	struct span v[3] = { span_of(f->h->spi_i, 8),
			     span_of(&f->remote->port, sizeof(f->remote->port)),
			     span_of(f->remote->addr.b, sizeof(f->remote->addr.b)) };
	return ike_table_hash(&f->ike->by_init, v, 3);
}

/* The same message again gets the same answer; another one with the same cookie gets none. */
static bool duplicate(const struct first *f)
{
	for (struct ike_node *n = ike_table_first(&f->ike->by_init, init_hash(f)); n;
	     n = ike_table_next(n)) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, by_init);
		if (sa->major != 1 || memcmp(sa->spi_i, f->h->spi_i, 8) != 0)
			continue;
		struct v1_exchange *x = &sa->v1->p1;
		/* who sends what nobody answers may not be where it says: our answer may be longer */
		if (x->n == 2 && memcmp(x->taken, f->hash, sizeof(x->taken)) == 0 &&
		    sa->v1->busy != x && sa->v1->first_repeats < FIRST_REPEATS) {
			sa->v1->first_repeats++;
			f->ike->stats.retransmitted++;
			v1_send(sa, &x->sent);
		}
		return true;
	}
	return false;
}

static bool pass_gate(struct first *f)
{
	/* a peer that would be asked for a cookie in IKEv2 cannot be asked here */
	if (gate_ask(f->ike->gate, &f->remote->addr, true) != GATE_REFUSE &&
	    f->ike->strange + f->len <= f->ike->strange_max)
		return true;
	f->ike->stats.half_open_refused++;
	return false;
}

static void remember(struct ike_conn *c, const char *why)
{
	free(c->last_error);
	c->last_error = strdup(why);
	c->last_error_wall_ns = clock_wall_ns();
}

/* Is there a connection but for the identity, which in Aggressive Mode comes at once? */
static bool other_id(const struct first *f, char *why, size_t len)
{
	struct ike_cursor at = { .fit = 0 };
	struct ike_conn *c =
	    ike_conn_candidate(f->ike, 1, &at, &f->local->addr, &f->remote->addr, NULL, NULL);
	char id[IDENT_STRLEN];

	if (!c || !f->id.type)
		return false;
	snprintf(why, len,
		 "the peer says it is %s, which no connection for these addresses has as remote id "
		 "(connection %s is for them): set the remote id here, or the local id there",
		 ident_format(&f->id, id, sizeof(id)), c->conf->name);
	remember(c, why);
	return true;
}

/* A connection in order of fit whose proposals agree with the peer's. */
static bool choose(struct first *f)
{
	const struct ike_payload *sa = ike_msg_find(f->m, IKE1_SA, NULL);
	const struct ike_payload *ke = ike_msg_find(f->m, IKE1_KE, NULL);
	bool aggressive = f->h->exchange == IKE1_X_AGGRESSIVE;
	char why[512] = "", reason[640] = "";
	bool value = false; /* only the public value does not fit a connection: reason says that */

	for (struct ike_cursor at = { .fit = 0 };;) {
		struct ike_conn *c = ike_conn_candidate(f->ike, 1, &at, &f->local->addr,
							&f->remote->addr, NULL, &f->id);
		uint16_t methods[4];
		if (!c)
			break;
		struct v1_terms t = v1_phase1_terms(c, false, 0, methods);
		int rc = -EPERM;
		if (aggressive && !v1_exchange_allowed(c->conf, IKE1_X_AGGRESSIVE))
			snprintf(why, sizeof(why),
				 "the peer wants Aggressive Mode: set aggressive = yes here, or "
				 "better Main Mode there");
		else if (!v1_exchange_allowed(c->conf, f->h->exchange))
			snprintf(why, sizeof(why),
				 "the peer wants %s, this connection has %s: see exchange",
				 v1_exchange_name(f->h->exchange),
				 v1_exchange_name(v1_exchange_of(c->conf)));
		else
			rc = v1_ph1_choose(&c->conf->proposals, &t, f->m, sa, &f->choice, why,
					   sizeof(why));
		/* in Aggressive Mode the group is fixed by the KE payload that came along */
		const struct dh_info *g = rc == 0 ? dh_info(f->choice.own.suite.group) : NULL;
		if (rc == 0 && aggressive && ke->ke.data.len != g->public_len) {
			snprintf(why, sizeof(why),
				 "the peer's key exchange has %zu bytes, it is not of the group %s, "
				 "which this connection prefers among those it offered",
				 ke->ke.data.len, g->keyword);
			rc = -EKEYREJECTED;
		}
		if (rc == 0) {
			f->conn = c;
			return true;
		}
		if (!reason[0] || (rc == -EKEYREJECTED && !value)) {
			snprintf(reason, sizeof(reason), "connection %s: %s", c->conf->name, why);
			remember(c, why);
		}
		value |= rc == -EKEYREJECTED;
	}
	struct ike_bad bad;
	if (reason[0] && v1_sa_fault(f->m, sa, &bad)) {
		v1_audit(f->ike, NULL, f->remote, &bad);
		v1_notify_stranger(f->ike, f->local, f->remote, f->marker, f->h, bad.notify);
		return false;
	}
	if (!reason[0] && !other_id(f, reason, sizeof(reason)))
		ike_words_no_conn(f->ike, 1, &f->local->addr, &f->remote->addr, reason,
				  sizeof(reason));
	if (value) /* RFC 2408 5.7 */
		ike_refuse(&bad, IKE1_INVALID_KEY_INFORMATION, IKE1_KE, "%s", reason);
	else
		ike_refuse(&bad, IKE1_NO_PROPOSAL_CHOSEN, IKE1_SA, "%s", reason);
	v1_audit(f->ike, NULL, f->remote, &bad);
	v1_notify_stranger(f->ike, f->local, f->remote, f->marker, f->h, bad.notify);
	return false;
}

static struct ike_sa *make_sa(struct first *f)
{
	struct ike *ike = f->ike;
	struct ike_sa *sa = ike_sa_new(ike, f->conn, false, 1);

	if (!sa)
		return NULL;
	struct v1_sa *v = v1_sa_new(sa);
	if (!v || v1_copy(&v->ph->sai_b, ike_msg_find(f->m, IKE1_SA, NULL)->body) ||
	    v1_take_choice(sa, &f->choice)) {
		ike_sa_kill(sa, IKE_END_FAILED, "out of memory");
		return NULL;
	}
	memcpy(sa->spi_i, f->h->spi_i, 8);
	sa->local = *f->local;
	sa->remote = *f->remote;
	sa->marker = f->marker;
	v1_cookie_make(sa);
	sa->gate_addr = f->remote->addr;
	gate_open(ike->gate, &sa->gate_addr);
	sa->half_open = true;
	(void)ike_sa_strange_take(sa, f->len); /* pass_gate() has looked */
	ike_table_add(&ike->by_init, &sa->by_init, init_hash(f));
	v->p1.exchange = f->h->exchange;
	memcpy(v->p1.taking, f->hash, sizeof(v->p1.taking));
	v->p1.local = *f->local;
	v->p1.remote = *f->remote;
	v->p1.marker = f->marker;
	v1_set_state(sa, IKE_ST_INIT_R);
	ike_timer_set(&ike->timers, &sa->t_again, clock_now_ns() + ike->conf->half_open_ns,
		      v1_sa_again_fire);
	return sa;
}

/* The row of a first message, and whether the message is what it demands. NULL with *bad. */
static const struct v1_edge *row_of(const struct first *f, struct ike_bad *bad)
{
	for (unsigned i = 0; i < v1_n_edges; i++) {
		const struct v1_edge *e = &v1_edges[i];
		if (e->exchange == f->h->exchange && e->number == 1)
			return v1_check_row(e, f->m->seen, bad) ? NULL : e;
	}
	ike_refuse(bad, IKE1_INVALID_EXCHANGE_TYPE, 0, "header: exchange type %u begins nothing",
		   f->h->exchange);
	return NULL;
}

void v1_first(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h)
{
	struct first f = {
		.ike = ike, .local = local, .remote = remote, .marker = marker, .h = h, .m = ike->in,
		.len = len
	};
	struct span whole = span_of(p, len);
	const struct v1_edge *e = NULL;
	struct ike_bad bad;

	if (hash_compute(HASH_SHA2_256, &whole, 1, f.hash) || duplicate(&f) || ike->closing)
		return;
	int rc = ike_msg_parse(ike->in, whole, &bad);
	if (rc == 0 && !(e = row_of(&f, &bad)))
		rc = -EBADMSG;
	const struct ike_payload *id = rc == 0 ? ike_msg_find(ike->in, IKE1_ID, NULL) : NULL;
	if (rc == 0 && id)
		rc = v1_check_id(id, &bad);
	if (rc) {
		v1_audit(ike, NULL, remote, &bad);
		v1_notify_stranger(ike, local, remote, marker, h, bad.notify);
		return;
	}
	if (!pass_gate(&f) || (id && ident_from_wire(id->id.type, id->id.data, &f.id)))
		return;
	if (choose(&f)) {
		struct ike_sa *sa = make_sa(&f);
		if (sa) {
			v1_step_message(&sa->v1->p1, e);
			v1_pump(sa);
		}
	}
	ident_fini(&f.id);
}
