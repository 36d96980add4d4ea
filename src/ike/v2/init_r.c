/*
 * IKE_SA_INIT as responder. Before anything is kept: duplicate? -> gate (cookie, limits) -> a
 * connection for the addresses whose proposals fit -> right group? Each "no" is answered without
 * keeping anything. Then an SA is made, the key exchange is computed on the pool, and the answer
 * goes out. RFC 7296 1.2, 1.3, 2.6, 2.7.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v2/internal.h"

#define INIT_REPEATS 12 /* of one answer */

/* A first message being looked at; nothing of it is kept. */
struct first {
	struct ike *ike;
	const struct endpoint *local, *remote;
	bool marker;
	struct span datagram;
	const struct ike_msg *m;
	struct ike_conn *conn;
	struct proposal chosen;
};

/* The answer of somebody who keeps nothing: one notify. */
static void refuse(struct first *f, uint16_t notify, struct span data)
{
	static const uint8_t zero[8];
	struct ike_msg *out = f->ike->out;
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof(buf));

	ike_msg_init(out, 0x20, f->m->hdr.spi_i, zero, IKE2_X_SA_INIT, IKE2_FLAG_R, 0);
	if (v2_add_notify(out, notify, data) && ike_msg_write(out, &w) == 0)
		(void)ike_send(f->ike, f->local, f->remote, f->marker, wr_view(&w));
}

static uint64_t init_hash(const struct ike *ike, const struct endpoint *remote,
			  const uint8_t *spi_i)
{
	struct span v[3] = { span_of(spi_i, 8), span_of(&remote->port, sizeof(remote->port)),
			     span_of(remote->addr.b, sizeof(remote->addr.b)) };
	return ike_table_hash(&ike->by_init, v, 3);
}

/* The same request again: the same answer, or silence while it is being made. */
static bool duplicate(const struct first *f)
{
	uint64_t h = init_hash(f->ike, f->remote, f->m->hdr.spi_i);

	for (struct ike_node *n = ike_table_first(&f->ike->by_init, h); n; n = ike_table_next(n)) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, by_init);
		if (memcmp(sa->spi_i, f->m->hdr.spi_i, 8) != 0)
			continue;
		if (!sa->init)
			return true;
		if (!span_eq(span_of(sa->init->got.p, sa->init->got.len), f->datagram))
			continue;
		/* who sends what nobody answers may not be where it says: our answer is longer */
		if (sa->answer.n && sa->next_recv == 1 && sa->init->repeats < INIT_REPEATS) {
			sa->init->repeats++;
			f->ike->stats.retransmitted++;
			v2_send(sa, &sa->answer);
		}
		return true;
	}
	return false;
}

/* True: go on. */
static bool pass_gate(struct first *f)
{
	struct ike *ike = f->ike;
	const struct ike_payload *n = ike_msg_find(f->m, IKE2_NONCE, NULL);
	const struct ike_payload *c = ike_msg_notify(f->m, IKE2_COOKIE);
	uint64_t now = clock_now_ns();
	bool good = c && gate_cookie_good(ike->gate, now, &f->remote->addr, f->m->hdr.spi_i,
					  n->raw.data, c->notify.data);
	uint8_t cookie[GATE_COOKIE_LEN];

	if (c && !good)
		ike->stats.cookies_bad++;
	switch (gate_ask(ike->gate, &f->remote->addr, good)) {
	case GATE_PASS:
		if (ike->strange + f->datagram.len <= ike->strange_max)
			return true;
		ike->stats.half_open_refused++;
		return false;
	case GATE_REFUSE:
		ike->stats.half_open_refused++;
		return false;
	case GATE_COOKIE:
		break;
	}
	gate_cookie(ike->gate, now, &f->remote->addr, f->m->hdr.spi_i, n->raw.data, cookie);
	ike->stats.cookies_sent++;
	refuse(f, IKE2_COOKIE, span_of(cookie, sizeof(cookie)));
	return false;
}

/* A connection for the addresses, in order of fit, whose proposals agree with the peer's. */
static bool choose(struct first *f)
{
	struct proposals peers;
	char why[512] = "", reason[512] = "";
	const char *first_name = NULL;

	proposals_from_sa(f->m, ike_msg_find(f->m, IKE2_SA, NULL), IKE_PROTO_IKE, &peers);
	for (struct ike_cursor at = { .fit = 0 };;) {
		struct ike_conn *c =
		    ike_conn_candidate(f->ike, 2, &at, &f->local->addr, &f->remote->addr, NULL, NULL);
		if (!c)
			break;
		if (proposal_select(&c->conf->proposals, &peers, 0, &f->chosen, why, sizeof(why)) ==
		    0) {
			f->conn = c;
			return true;
		}
		if (!first_name) {
			first_name = c->conf->name;
			memcpy(reason, why, sizeof(reason));
			free(c->last_error);
			c->last_error = strdup(why);
			c->last_error_wall_ns = clock_wall_ns();
		}
	}
	if (first_name)
		ike_stranger_log(f->ike, f->remote, "no proposal fits connection %s: %s",
				 first_name, reason);
	else
		ike_stranger_log(f->ike, f->remote, "asked for an IKE SA: %s",
				 ike_words_no_conn(f->ike, 2, &f->local->addr, &f->remote->addr,
						   reason, sizeof(reason)));
	ike_audit(f->ike, AUDIT_PROPOSAL, NULL, f->remote, "%s", reason);
	refuse(f, IKE2_NO_PROPOSAL_CHOSEN, span_of(NULL, 0));
	return false;
}

/* The KE payload must be of the chosen group and as long as that (RFC 7296 1.2, 3.4). */
static bool group_fits(struct first *f)
{
	const struct ike_payload *ke = ike_msg_find(f->m, IKE2_KE, NULL);
	const struct proposal_alg *a = proposal_alg(&f->chosen, IKE_T_KE);
	const struct dh_info *g = a ? dh_info(a->id) : NULL;
	uint8_t want[2];

	if (!g)
		return false;
	if (ke->ke.group == a->id)
		return ke->ke.data.len == g->public_len;
	store_be16(want, a->id);
	refuse(f, IKE2_INVALID_KE_PAYLOAD, span_of(want, 2));
	return false;
}

static struct ike_sa *make_sa(struct first *f)
{
	struct ike *ike = f->ike;
	struct ike_sa *sa = ike_sa_new(ike, f->conn, false, 2);
	struct v2_init *i = sa ? v2_init_new(sa) : NULL;
	char why[256];

	if (i)
		i->got = (struct buf){ .p = malloc(f->datagram.len), .len = f->datagram.len };
	if (!i || !i->got.p || keymat_suite(&f->chosen, &i->suite, why, sizeof(why))) {
		if (sa)
			ike_sa_kill(sa, IKE_END_FAILED, "out of memory");
		return NULL;
	}
	memcpy(i->got.p, f->datagram.p, f->datagram.len);
	i->chosen = f->chosen;
	i->group = i->suite.dh;
	memcpy(sa->spi_i, f->m->hdr.spi_i, 8);
	sa->local = *f->local;
	sa->remote = *f->remote;
	sa->marker = f->marker;
	sa->gate_addr = f->remote->addr;
	gate_open(ike->gate, &sa->gate_addr);
	sa->half_open = true;
	(void)ike_sa_strange_take(sa, f->datagram.len); /* pass_gate() has looked */
	ike_table_add(&ike->by_init, &sa->by_init, init_hash(ike, f->remote, sa->spi_i));
	v2_sa_created(sa);
	return sa;
}

void v2_init_request(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		     bool marker, struct span datagram, const struct ike_hdr *h)
{
	struct first f = { .ike = ike,
			   .local = local,
			   .remote = remote,
			   .marker = marker,
			   .datagram = datagram,
			   .m = ike->in };
	struct ike_sa none = { .state = IKE_ST_NONE };
	struct ike_bad bad;

	if (ike_msg_parse(ike->in, datagram, &bad)) {
		uint8_t type = bad.payload;
		uint32_t more;
		ike->stats.malformed++;
		ike_stranger_log(ike, remote, "IKE_SA_INIT is malformed: %s", bad.why);
		ike_audit(ike,
			  bad.notify == IKE2_UNSUPPORTED_CRITICAL_PAYLOAD ? AUDIT_NEXT_PAYLOAD
									  : AUDIT_MESSAGE,
			  NULL, remote, "%s", bad.why);
		if (bad.notify == IKE2_UNSUPPORTED_CRITICAL_PAYLOAD &&
		    log_limit_pass(&ike->spi_limit, &more)) {
			ike_msg_init(ike->in, 0x20, h->spi_i, h->spi_r, h->exchange, h->flags, 0);
			refuse(&f, bad.notify, span_of(&type, 1));
		}
		return;
	}
	const struct v2_edge *e = v2_edge_find(&none, ike->in);
	if (!e) {
		ike->stats.malformed++;
		ike_stranger_log(ike, remote, "IKE_SA_INIT without SA, KE and nonce");
		ike_audit(ike, AUDIT_MESSAGE, NULL, remote, "IKE_SA_INIT without SA, KE and nonce");
		return;
	}
	if (duplicate(&f) || ike->closing || !pass_gate(&f) || !choose(&f) || !group_fits(&f))
		return;
	struct ike_sa *sa = make_sa(&f);
	if (sa)
		v2_step_message(sa, e, local, remote, marker);
}

static enum ike_rc answer(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v2_init *i = sa->init;
	struct span ni = ike_msg_find(x->m, IKE2_NONCE, NULL)->raw.data;
	struct ike_msg *out = x->out;
	struct proposals one = { .n = 1 };

	if (x->work->rc) {
		ike_stranger_log(x->ike, &x->remote, "%s", x->work->why);
		ike_audit(x->ike, AUDIT_KEY_INFORMATION, sa, &x->remote, "%s", x->work->why);
		return IKE_DROP;
	}
	memcpy(i->ni, ni.p, ni.len);
	i->ni_len = ni.len;
	i->nr_len = V2_NONCE_LEN;
	random_bytes(i->nr, i->nr_len);
	v2_init_take_notifies(sa, x->m);
	if (v2_init_keys(sa, secret_view(&x->work->shared)))
		return IKE_DROP;
	one.p[0] = i->chosen;
	struct ike_payload *p = ike_msg_add(out, IKE2_SA, false);
	if (proposals_to_sa(&one, out, p, span_of(NULL, 0)))
		return IKE_DROP;
	struct span pub = ike_arena_copy(x->ike, dh_public(x->work->dh));
	if (!pub.p)
		return IKE_DROP;
	p = ike_msg_add(out, IKE2_KE, false);
	p->ke.group = (uint16_t)i->group->id;
	p->ke.data = pub;
	p = ike_msg_add(out, IKE2_NONCE, false);
	p->raw.data = span_of(i->nr, i->nr_len);
	if (sa->conn->conf->send_certreq && v2_add_certreq(sa, out))
		return IKE_DROP;
	return v2_init_notifies(sa, out, i->hashes != 0) ? IKE_DROP : IKE_OK;
}

enum ike_rc v2_init_r(struct v2_exchange *x)
{
	if (x->step == 1)
		return answer(x);
	struct span ke = ike_msg_find(x->m, IKE2_KE, NULL)->ke.data;
	return v2_wait(x, 1, ike_work_dh(x->sa, x->sa->init->group, NULL, ke));
}
