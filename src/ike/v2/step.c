/*
 * The stepper: calls handlers and builders, waits for their jobs, sends what they made and sets the
 * state of the SA (nobody else does). While a job is in flight a decrypted copy of the message
 * waits with the exchange; it is parsed again before the next step.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v2/internal.h"

enum ike_rc v2_error(struct v2_exchange *x, enum ike_rc rc, uint16_t notify)
{
	x->notify = notify;
	x->n_data = 0;
	return rc;
}

enum ike_rc v2_error16(struct v2_exchange *x, enum ike_rc rc, uint16_t notify, uint16_t data)
{
	x->notify = notify;
	x->n_data = 2;
	store_be16(x->data_bytes, data);
	return rc;
}

struct ike_payload *v2_add_notify(struct ike_msg *out, uint16_t type, struct span data)
{
	struct ike_payload *p = ike_msg_add(out, IKE2_N, out->hdr.exchange != IKE2_X_SA_INIT);

	if (p) {
		p->notify.type = type;
		p->notify.data = data;
	}
	return p;
}

const struct ike_payload *v2_find_error(const struct ike_msg *m)
{
	for (const struct ike_payload *p = NULL; (p = ike_msg_find(m, IKE2_N, p));)
		if (p->notify.type < IKE2_STATUS_FIRST)
			return p;
	return NULL;
}

void v2_exchange_free(struct v2_exchange **xp)
{
	struct v2_exchange *x = *xp;

	*xp = NULL;
	if (!x)
		return;
	if (x->flying)
		ike_work_abandon(x->flying);
	ike_work_free(&x->work);
	if (!x->task)
		child_nego_free(&x->child);
	if (x->data_free)
		x->data_free(x->data);
	if (x->held) {
		wipe(x->held->bytes, x->held->len);
		free(x->held);
	}
	free(x);
}

static void set_state(struct ike_sa *sa, uint8_t state)
{
	if (sa->state == state)
		return;
	ike_sa_log(sa, LOG_LVL_DEBUG, "state %s -> %s", ike_state_name((enum ike_state)sa->state),
		   ike_state_name((enum ike_state)state));
	sa->state = state;
}

void v2_sa_created(struct ike_sa *sa)
{
	set_state(sa, sa->initiator ? IKE_ST_INIT_I : IKE_ST_NONE);
}

void v2_sa_born_up(struct ike_sa *sa)
{
	set_state(sa, IKE_ST_UP);
}

/* The end of the message's plain text: the parser leaves its (empty) tail there. */
static struct ike_held *copy_message(const struct v2_exchange *x)
{
	const struct ike_msg *m = x->m;
	const struct ike_payload *first = NULL;
	const uint8_t *from = NULL;
	size_t len = 0;

	for (unsigned i = 0; i < m->n_payloads && !first; i++)
		if (m->payload[i].inner || m->hdr.exchange == IKE2_X_SA_INIT)
			first = &m->payload[i];
	if (first) {
		const struct ike_payload *last = &m->payload[m->n_payloads - 1];
		from = first->body.p - 4;
		len = (size_t)(last->body.p + last->body.len - from);
	}
	struct ike_held *h = malloc(sizeof(*h) + len);
	if (!h)
		return NULL;
	*h = (struct ike_held){
		.hdr = m->hdr, .inner = true, .first = first ? first->type : 0, .len = len
	};
	if (len)
		memcpy(h->bytes, from, len);
	return h;
}

/* Puts the waiting message into the scratch again; it parsed once, so it parses. */
static int parse_again(struct v2_exchange *x)
{
	const struct ike_held *h = x->held;
	struct ike_msg *m = x->ike->in;
	struct ike_bad bad;

	if (!h)
		return 0;
	ike_msg_init(m, h->hdr.version, h->hdr.spi_i, h->hdr.spi_r, h->hdr.exchange, h->hdr.flags,
		     h->hdr.id);
	return ike_msg_parse_inner(m, h->first, span_of(h->bytes, h->len), &bad);
}

static uint8_t header_flags(const struct ike_sa *sa, bool answer)
{
	return (uint8_t)((sa->initiator ? IKE2_FLAG_I : 0) | (answer ? IKE2_FLAG_R : 0));
}

static void init_out(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike *ike = x->ike;
	uint8_t exchange = x->m ? x->m->hdr.exchange : v2_task_rows[x->task->kind].exchange;
	uint32_t id = x->m ? x->m->hdr.id : sa->next_send;

	ike->arena_used = 0;
	ike_msg_init(ike->out, 0x20, sa->spi_i, sa->spi_r, exchange, header_flags(sa, x->m != NULL),
		     id);
	x->out = x->m && x->task ? NULL : ike->out;
}

static enum ike_rc call(struct v2_exchange *x)
{
	x->running = true;
	x->ike->handling++;
	enum ike_rc rc = x->m ? x->edge->handle(x) : v2_task_rows[x->task->kind].build(x);
	x->ike->handling--;
	x->running = false;
	return rc;
}

/* Keeps and sends the answer; the request counts as answered. */
static int send_answer(struct ike_sa *sa, struct ike_msg *out)
{
	int rc = v2_seal(sa, out, &sa->answer);

	if (rc)
		return rc;
	sa->next_recv = out->hdr.id + 1;
	v2_send(sa, &sa->answer);
	return 0;
}

void v2_answer_error(struct ike_sa *sa, uint16_t notify, struct span data)
{
	struct ike *ike = sa->ike;
	const struct ike_hdr h = ike->in->hdr;

	ike_msg_init(ike->out, 0x20, sa->spi_i, sa->spi_r, h.exchange, header_flags(sa, true),
		     h.id);
	if (!v2_add_notify(ike->out, notify, data) || send_answer(sa, ike->out))
		ike_sa_log(sa, LOG_LVL_WARN, "an error could not be told to the peer");
}

static void seal_failed(struct ike_sa *sa, int rc)
{
	ike_sa_kill(sa, sa->counted ? IKE_END_EXPIRED : IKE_END_FAILED,
		    rc == -EMSGSIZE ? "a message became too long: it needs fragmentation = yes on "
				      "both sides, or fewer or shorter certificates"
		    : rc == -EOVERFLOW ? "the IKE SA's keys are used up"
				       : "a message could not be protected: out of memory");
}

static void finish_request(struct v2_exchange *x, enum ike_rc rc)
{
	struct ike_sa *sa = x->sa;
	struct ike_msg *out = x->ike->out;
	bool error = rc == IKE_REPLY_ERROR || (rc == IKE_KILL && x->notify);
	int sent = 0;

	if (rc == IKE_DROP) {
		if (sa->state == IKE_ST_NONE)
			ike_sa_kill(sa, IKE_END_FAILED, x->why);
		return;
	}
	if (error)
		v2_answer_error(sa, x->notify, span_of(x->data_bytes, x->n_data));
	else if (rc == IKE_OK || out->n_payloads || sa->counted)
		sent = send_answer(sa, out);
	if (rc == IKE_KILL) {
		bool linger = x->linger && sa->answer.n && sa->seal;
		if (linger)
			set_state(sa, IKE_ST_DEAD);
		ike_sa_end(sa, (enum ike_end)x->end, linger, x->why);
	} else if (sent) {
		seal_failed(sa, sent);
	} else if (rc == IKE_OK) {
		set_state(sa, x->to);
		if (x->to == IKE_ST_INIT_R)
			ike_timer_set(&x->ike->timers, &sa->t_again,
				      clock_now_ns() + x->ike->conf->half_open_ns, v2_again_fire);
		else if (x->edge->exchange == IKE2_X_AUTH)
			ike_timer_stop(&x->ike->timers, &sa->t_again);
	}
}

static void finish_answer(struct v2_exchange *x, enum ike_rc rc)
{
	struct ike_sa *sa = x->sa;

	if (rc == IKE_DROP)
		return;
	if (rc == IKE_KILL || rc == IKE_REPLY_ERROR) {
		ike_sa_kill(sa, (enum ike_end)x->end, x->why);
		return;
	}
	v2_task_answered(sa);
	set_state(sa, x->to);
}

static void finish_build(struct v2_exchange *x, enum ike_rc rc)
{
	struct ike_sa *sa = x->sa;
	struct v2_task *t = x->task;

	if (rc == IKE_KILL || rc == IKE_REPLY_ERROR) {
		ike_sa_kill(sa, (enum ike_end)x->end, x->why);
		return;
	}
	/* without these two the SA has nothing to wait for: too much work waits, so later */
	if (rc == IKE_DROP && (t->kind == V2_TASK_INIT || t->kind == V2_TASK_AUTH))
		v2_task_again(t, NS_PER_S);
	if (rc == IKE_DROP) {
		if (t->again) { /* it could not even begin */
			v2_task_answered(sa);
			return;
		}
		sa->task = NULL;
		v2_task_free(t);
		return;
	}
	int bad = v2_seal(sa, x->ike->out, &sa->request);
	if (bad) {
		seal_failed(sa, bad);
		return;
	}
	sa->sent = sa->revived = 0;
	if (v2_task_rows[t->kind].to)
		set_state(sa, v2_task_rows[t->kind].to);
	v2_task_sent(sa);
}

/* Runs steps until one waits or ends. */
static void run(struct v2_exchange *x)
{
	struct ike_sa *sa = x->sa;
	enum ike_rc rc;

	for (;;) {
		init_out(x);
		rc = call(x);
		ike_work_free(&x->work);
		if (rc != IKE_WAIT || sa->over)
			break;
		if (x->m && !x->held && !(x->held = copy_message(x))) {
			rc = IKE_DROP;
			break;
		}
		if (!x->ready)
			return;
		/* the job came back before the handler did */
		x->ready = false;
		x->work = x->flying;
		x->flying = NULL;
	}
	sa->x = NULL;
	if (sa->over)
		;
	else if (!x->m)
		finish_build(x, rc);
	else if (x->task)
		finish_answer(x, rc);
	else
		finish_request(x, rc);
	v2_exchange_free(&x);
}

void v2_work_done(struct ike_work *w)
{
	struct ike_sa *sa = w->sa;
	struct ike *ike = w->ike;
	struct v2_exchange *x = sa->x;

	if (x->running) {
		x->ready = true;
		return;
	}
	ike_enter(ike);
	x->work = w;
	x->flying = NULL;
	if (parse_again(x) == 0)
		run(x);
	v2_held_run(sa);
	v2_task_run(sa);
	ike_leave(ike);
}

static struct v2_exchange *exchange_new(struct ike_sa *sa, struct v2_task *t, struct ike_msg *m)
{
	struct v2_exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->ike = sa->ike;
	x->sa = sa;
	x->task = t;
	x->m = m;
	x->to = sa->state;
	x->end = sa->counted ? IKE_END_PEER : IKE_END_FAILED;
	sa->x = x;
	return x;
}

void v2_step_message(struct ike_sa *sa, const struct v2_edge *e, const struct endpoint *local,
		     const struct endpoint *remote, bool marker)
{
	struct v2_exchange *x = exchange_new(sa, e->answer ? sa->task : NULL, sa->ike->in);

	if (!x)
		return;
	x->edge = e;
	x->local = *local;
	x->remote = *remote;
	x->marker = marker;
	x->linger = !e->answer;
	if (!(e->to & (e->to - 1)))
		x->to = (uint8_t)__builtin_ctz(e->to);
	run(x);
}

void v2_step_build(struct ike_sa *sa, struct v2_task *t)
{
	struct v2_exchange *x = exchange_new(sa, t, NULL);

	if (!x) {
		v2_task_again(t, NS_PER_S);
		return;
	}
	run(x);
}

/* The answer to what we asked: the task's row knows. */
enum ike_rc v2_task_answer(struct v2_exchange *x)
{
	return v2_task_rows[x->task->kind].answer(x);
}
