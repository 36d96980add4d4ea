/*
 * The stepper of IKEv1: calls handlers and builders, waits for their jobs, seals and sends what
 * they made (again.c repeats it while nobody answers). Nothing of an exchange moves on before a
 * handler said IKE_OK: number, IV chain and hash of the message are as before otherwise.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v1/v1.h"

struct v1_sa *v1_sa_new(struct ike_sa *sa)
{
	struct v1_sa *v = calloc(1, sizeof(*v));

	if (v)
		v->ph = calloc(1, sizeof(*v->ph));
	if (!v || !v->ph || ike_timers_reserve(&sa->ike->timers, 1)) {
		if (v)
			free(v->ph);
		free(v);
		return NULL;
	}
	v->begun_ns = clock_now_ns();
	list_init(&v->exchanges);
	list_init(&v->held);
	list_init(&v->p1.link);
	v->p1.ike = sa->ike;
	v->p1.sa = sa;
	v->p1.asked = sa->initiator;
	sa->v1 = v;
	return v;
}

void v1_set_state(struct ike_sa *sa, uint8_t state)
{
	if (sa->state == state)
		return;
	ike_sa_log(sa, LOG_LVL_DEBUG, "state %s -> %s", ike_state_name((enum ike_state)sa->state),
		   ike_state_name((enum ike_state)state));
	sa->state = state;
}

/* The event of a refusal (RFC 2408 5). Who fails to prove itself is an event of its own. */
static void audit_error(struct v1_exchange *x, uint16_t notify, const char *text)
{
	struct ike_bad bad = { .notify = notify };
	enum audit event = AUDIT_MESSAGE;

	switch (notify) {
	case IKE1_AUTHENTICATION_FAILED:
		return;
	case IKE1_PAYLOAD_MALFORMED:
		break;
	case IKE1_INVALID_KEY_INFORMATION:
		bad.payload = IKE1_KE;
		event = v1_fault_of(&bad)->event;
		break;
	case IKE1_INVALID_ID_INFORMATION:
		bad.payload = IKE1_ID;
		event = v1_fault_of(&bad)->event;
		break;
	default:
		bad.payload = IKE1_SA;
		event = v1_fault_of(&bad)->event;
		break;
	}
	ike_audit(x->ike, event, x->sa, &x->remote, "%s", text);
}

enum ike_rc v1_error(struct v1_exchange *x, enum ike_rc rc, uint16_t notify, const char *fmt, ...)
{
	char *p = ike_arena(x->ike, 768);
	va_list ap;

	x->notify = notify;
	x->why = "out of memory";
	if (!p)
		return rc;
	va_start(ap, fmt);
	vsnprintf(p, 768, fmt, ap);
	va_end(ap);
	x->why = p;
	/* what was found in one payload has been told there */
	if (notify && notify != x->sa->v1->told)
		audit_error(x, notify, p);
	return rc;
}

struct v1_exchange *v1_exchange_new(struct ike_sa *sa, uint8_t exchange, bool asked, uint32_t id)
{
	struct v1_exchange *x = calloc(1, sizeof(*x));

	if (!x || ike_timers_reserve(&sa->ike->timers, 1)) {
		free(x);
		return NULL;
	}
	x->ike = sa->ike;
	x->sa = sa;
	x->exchange = exchange;
	x->asked = asked;
	while (asked && !id)
		id = random_u32();
	x->id = id;
	if (v1_iv_exchange(&sa->suite, sa->v1->last_iv, id, x->iv)) {
		ike_timers_release(&sa->ike->timers, 1);
		free(x);
		return NULL;
	}
	list_push_back(&sa->v1->exchanges, &x->link);
	return x;
}

void v1_exchange_free(struct v1_exchange *x)
{
	struct v1_sa *v = x->sa->v1;

	list_del(&x->link);
	ike_timer_stop(&x->ike->timers, &x->t_again);
	if (v->busy == x && v->flying) {
		ike_work_abandon(v->flying);
		v->flying = NULL;
	}
	if (v->busy == x)
		v->busy = NULL;
	ike_work_free(&x->work);
	sealed_free(&x->sent);
	child_nego_free(&x->child);
	if (x->kept) {
		wipe(x->kept->bytes, x->kept->len);
		free(x->kept);
		x->kept = NULL;
	}
	ike_timers_release(&x->ike->timers, 1);
	if (x != &v->p1)
		free(x);
}

/* -- out -- */

void v1_send(struct ike_sa *sa, const struct sealed *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct span d = span_of(s->bytes + s->off[i], s->off[i + 1] - s->off[i]);
		sa->send_rc = ike_send(sa->ike, &sa->local, &sa->remote, sa->marker, d);
	}
	sa->spoke_ns = clock_now_ns();
}

uint32_t v1_fragment_size(const struct ike_sa *sa)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	uint32_t ip = c->fragment_size ? c->fragment_size : 1280;
	uint32_t head = (sa->remote.addr.ver == 6 ? 40 : 20) + 8 + (sa->marker ? 4 : 0);

	if (!sa->frag || (c->fragmentation != IKE_FRAG_YES && c->fragmentation != IKE_FRAG_FORCE))
		return 0;
	return ip > head + 128 ? ip - head : 128;
}

/* Seals x->out, keeps and sends it. edge: of that message. */
static int send_out(struct v1_exchange *x, const struct v1_edge *edge)
{
	struct ike_sa *sa = x->sa;
	struct v1_sa *v = sa->v1;
	struct sealed s = { .n = 0 };
	struct v1_hash h = { .kind = (enum v1_hash_kind)edge->hash, .id = x->id };
	bool clear = edge->sealed == V1_CLEAR;
	int rc = v1_hooks_build(sa, edge->number, x->out);

	if (rc)
		return rc;
	if (x->child) {
		h.ni = span_of(x->child->ni, x->child->ni_len);
		h.nr = span_of(x->child->nr, x->child->nr_len);
	}
	if (clear) {
		rc = seal_clear(x->out, &s);
	} else {
		if (++v->frag_id == 0)
			v->frag_id = 1;
		rc = v1_seal(x->out, &sa->suite, &sa->keys, &h, x->iv, v1_fragment_size(sa),
			     v->frag_id, &s);
	}
	if (rc)
		return rc;
	sealed_free(&x->sent);
	x->sent = s;
	x->times = 0;
	x->n++;
	v1_send(sa, &x->sent);
	if (!clear)
		v1_protected(sa, x->sent.off[x->sent.n]);
	if ((edge->again || x->commit) && !x->done)
		v1_sent(x);
	return 0;
}

static void init_out(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	x->ike->arena_used = 0;
	x->notify = 0;
	x->why = NULL;
	x->out = x->ike->out;
	ike_msg_init(x->out, 0x10, sa->spi_i, sa->spi_r, x->exchange, 0, x->id);
}

/* -- ends -- */

/* Phase 1 cannot go on: the SA ends, and the peer hears why when it is somebody. */
static void end_phase1(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const char *why = x->why;

	/* who has not had our public value cannot read it else */
	if (x->exchange == IKE1_X_BASE && !sa->initiator)
		keymat_free(&sa->keys);
	if (x->notify && sa->v1->ph && sa->v1->ph->fault)
		v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), sa->v1->ph->fault, span_of(NULL, 0));
	if (x->notify)
		v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), x->notify, span_of(NULL, 0));
	if (sa->initiator) {
		ike_sa_kill(sa, IKE_END_FAILED, why);
		return;
	}
	ike_stranger_log(x->ike, &x->remote, "phase 1 failed: %s", why ? why : "no memory");
	ike_audit(x->ike, AUDIT_PEER_AUTH, x->sa, &x->remote, "phase 1 failed: %s",
		  why ? why : "no memory");
	if (sa->conn && why) {
		free(sa->conn->last_error);
		sa->conn->last_error = strdup(why);
		sa->conn->last_error_wall_ns = clock_wall_ns();
		ike_tell(x->ike, IKE_EV_FAILED, NULL, sa, NULL, 0, "%s", why);
	}
	ike_sa_kill(sa, IKE_END_FAILED, why);
}

void v1_exchange_end(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	char why[768];

	snprintf(why, sizeof(why), "%s", x->why ? x->why : "refused");
	if (x->notify) {
		uint8_t be[4];
		struct span spi = span_of(NULL, 0);
		uint8_t proto = IKE_PROTO_IKE;
		if (x->child && x->child->spi_out) {
			store_be32(be, x->child->spi_out);
			spi = span_of(be, 4);
			proto = x->child->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
		}
		v1_notify(sa, proto, spi, x->notify, span_of(NULL, 0));
	}
	if (x->exchange == IKE1_X_QUICK)
		v1_quick_failed(x, why);
	if (!sa->over)
		v1_exchange_free(x);
}

static void refuse(struct v1_exchange *x)
{
	if (x == &x->sa->v1->p1)
		end_phase1(x);
	else
		v1_exchange_end(x);
}

/* The exchange is over. It stays a while, to repeat our message when that was the last one, and to
 * know the peer's for what it is when it comes twice. */
void v1_exchange_finish(struct v1_exchange *x)
{
	if (x == &x->sa->v1->p1) {
		ike_timer_stop(&x->ike->timers, &x->t_again);
		x->ended = true;
	} else if (x->sent.n || x->asked) {
		x->ended = true;
		child_nego_free(&x->child);
		ike_timer_set(&x->ike->timers, &x->t_again, clock_now_ns() + V1_LINGER_NS,
			      v1_exchange_fire);
	} else {
		v1_exchange_free(x);
	}
}

static void send_failed(struct v1_exchange *x, int rc)
{
	x->notify = 0;
	x->why = rc == -EMSGSIZE
		     ? "a message became too long: it needs fragmentation = yes on both "
		       "sides, or fewer or shorter certificates"
		     : "a message could not be protected: out of memory";
	refuse(x);
}

/* After IKE_OK: the message counts, the answer goes out. */
static void commit(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	void (*after)(struct v1_exchange * x) = x->after;
	bool answer = x->out->n_payloads > 0;

	if (x->edge) {
		x->n++;
		memcpy(x->taken, x->taking, sizeof(x->taken));
		x->any_taken = true;
		ike_timer_stop(&x->ike->timers, &x->t_again);
		if (!answer)
			sealed_free(&x->sent);
	}
	if (answer) {
		const struct v1_edge *e = v1_edge_find(x, (uint8_t)(x->n + 1));
		int rc = e ? send_out(x, e) : -EINVAL;
		if (rc) {
			send_failed(x, rc);
			return;
		}
	}
	x->after = NULL;
	if (after)
		after(x);
	if (!sa->over && x->done)
		v1_exchange_finish(x);
}

static void conclude(struct v1_exchange *x, enum ike_rc rc)
{
	struct ike_sa *sa = x->sa;
	bool p1 = x == &sa->v1->p1;

	if (sa->over)
		return;
	switch (rc) {
	case IKE_OK:
		commit(x);
		return;
	case IKE_DROP:
		memcpy(x->iv, x->iv_was, sizeof(x->iv));
		if (!x->edge || (!p1 && x->n == 0) || sa->state == IKE_ST_NONE)
			refuse(x);
		return;
	case IKE_REPLY_ERROR:
		memcpy(x->iv, x->iv_was, sizeof(x->iv));
		if (p1 && x->notify)
			v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), x->notify, span_of(NULL, 0));
		else if (!p1)
			refuse(x);
		return;
	case IKE_KILL:
	case IKE_WAIT:
		break;
	}
	refuse(x);
}

/* -- steps -- */

/* The plain payloads of the message in work. */
static struct v1_held *keep(const struct v1_exchange *x)
{
	const struct ike_msg *m = x->m;
	const struct ike_payload *last = &m->payload[m->n_payloads - 1];
	const uint8_t *from = m->payload[0].body.p - 4;
	size_t len = (size_t)(last->body.p + last->body.len - from);
	struct v1_held *h = malloc(sizeof(*h) + len);

	if (!h)
		return NULL;
	*h = (struct v1_held){ .hdr = m->hdr, .first = m->payload[0].type, .len = len };
	memcpy(h->bytes, from, len);
	return h;
}

static int parse_again(struct v1_exchange *x)
{
	const struct v1_held *h = x->kept;
	struct ike_msg *m = x->ike->in;
	struct ike_bad bad;

	if (!h)
		return 0;
	x->m = m;
	ike_msg_init(m, h->hdr.version, h->hdr.spi_i, h->hdr.spi_r, h->hdr.exchange, h->hdr.flags,
		     h->hdr.id);
	return ike_msg_parse_inner(m, h->first, span_of(h->bytes, h->len), &bad);
}

static void run(struct v1_exchange *x)
{
	struct v1_sa *v = x->sa->v1;
	enum ike_rc rc;

	v->busy = x;
	for (;;) {
		init_out(x);
		x->running = true;
		rc = x->edge ? x->edge->handle(x) : v1_edge_find(x, 1)->build(x);
		x->running = false;
		ike_work_free(&x->work);
		if (rc != IKE_WAIT || x->sa->over)
			break;
		if (x->m && !x->kept && !(x->kept = keep(x))) {
			rc = IKE_DROP;
			break;
		}
		if (!x->ready)
			return;
		x->ready = false; /* the job came back before the handler did */
		x->work = v->flying;
		v->flying = NULL;
	}
	if (v->flying && rc != IKE_WAIT) {
		ike_work_abandon(v->flying);
		v->flying = NULL;
		x->ready = false;
	}
	/* the answer may borrow from the message until it is sealed; x may be gone afterwards */
	struct v1_held *kept = x->kept;
	x->kept = NULL;
	x->step = 0;
	v->busy = NULL;
	conclude(x, rc);
	if (kept) {
		wipe(kept->bytes, kept->len);
		free(kept);
	}
}

void v1_step_message(struct v1_exchange *x, const struct v1_edge *e)
{
	x->edge = e;
	x->m = x->ike->in;
	x->sa->v1->told = 0;
	v1_answered(x);
	run(x);
}

void v1_exchange_start(struct v1_exchange *x)
{
	x->edge = NULL;
	x->m = NULL;
	v1_pump(x->sa);
}

void v1_work_done(struct ike_work *w)
{
	struct ike_sa *sa = w->sa;
	struct v1_sa *v = sa->v1;
	struct v1_exchange *x = v->busy;
	struct ike *ike = w->ike;

	if (x->running) {
		x->ready = true;
		return;
	}
	ike_enter(ike);
	x->work = w;
	v->flying = NULL;
	if (parse_again(x) == 0)
		run(x);
	v1_pump(sa);
	ike_leave(ike);
}

/* The first of our exchanges that has not begun. */
static struct v1_exchange *next_to_begin(struct v1_sa *v)
{
	list_for_each (l, &v->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		if (x->asked && x->n == 0 && !x->ended)
			return x;
	}
	return NULL;
}

void v1_pump(struct ike_sa *sa)
{
	struct v1_sa *v = sa->v1;

	while (v && !sa->over && !v->busy) {
		struct v1_exchange *x = NULL;
		if (!list_empty(&v->held)) {
			struct v1_held *h = list_entry(v->held.next, struct v1_held, link);
			list_del(&h->link);
			v->n_held--;
			ike_sa_strange_give(sa, h->len);
			v1_input(sa, &h->local, &h->remote, h->marker, h->bytes, h->len, &h->hdr);
			free(h);
			continue;
		}
		if (v->p1.exchange && v->p1.asked && v->p1.n == 0)
			x = &v->p1;
		else if (sa->state == IKE_ST_UP)
			x = next_to_begin(v);
		if (!x)
			return;
		run(x);
	}
}
