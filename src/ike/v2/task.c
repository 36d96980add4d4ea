/*
 * What we ask, one thing at a time (RFC 7296 2.3): tasks wait in the SA's queue, are built when the
 * window is free, and their request is sent again, each time after a longer wait (2.1, 2.4), until
 * the answer comes or the peer is taken for dead.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v2/internal.h"

struct v2_task *v2_task_make(struct ike_sa *sa, enum v2_task_kind kind, uint64_t order)
{
	struct v2_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	list_init(&t->link);
	t->sa = sa;
	t->kind = (uint8_t)kind;
	t->order = order;
	return t;
}

void v2_task_queue(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;

	list_push_back(&sa->tasks, &t->link);
	v2_task_run(sa);
}

struct v2_task *v2_task_new(struct ike_sa *sa, enum v2_task_kind kind, uint64_t order)
{
	struct v2_task *t = v2_task_make(sa, kind, order);

	if (t)
		v2_task_queue(t);
	return t;
}

void v2_task_free(struct v2_task *t)
{
	list_del(&t->link);
	if (v2_task_rows[t->kind].fini)
		v2_task_rows[t->kind].fini(t);
	child_nego_free(&t->child);
	free(t);
}

void v2_task_cancel(struct v2_task *t)
{
	if (t != t->sa->task)
		v2_task_free(t);
}

void v2_task_again(struct v2_task *t, uint64_t wait_ns)
{
	t->again = true;
	t->tries++;
	t->not_before = wait_ns ? clock_now_ns() + wait_ns : 0;
}

struct v2_task *v2_task_find(const struct ike_sa *sa, enum v2_task_kind kind, uint32_t child_id)
{
	if (sa->task && sa->task->kind == kind && (!child_id || sa->task->child_id == child_id))
		return sa->task;
	list_for_each (l, &sa->tasks) {
		struct v2_task *t = list_entry(l, struct v2_task, link);
		if (t->kind == kind && (!child_id || t->child_id == child_id))
			return t;
	}
	return NULL;
}

/* The first that may start now; *wait: when the first of the others may, 0: none waits for time. */
static struct v2_task *next_task(const struct ike_sa *sa, uint64_t now, uint64_t *wait)
{
	*wait = 0;
	list_for_each (l, &sa->tasks) {
		struct v2_task *t = list_entry(l, struct v2_task, link);
		if (!(v2_task_rows[t->kind].from & (1u << sa->state)))
			continue;
		if (t->not_before <= now)
			return t;
		if (!*wait || t->not_before < *wait)
			*wait = t->not_before;
	}
	return NULL;
}

void v2_task_run(struct ike_sa *sa)
{
	struct v2_task *t;
	uint64_t wait = 0;

	while (!sa->over && !sa->x && !sa->task &&
	       (t = next_task(sa, clock_now_ns(), &wait)) != NULL) {
		if (sa->ike->handling) {
			/* a message of another SA is being made: when that is done */
			ike_timer_set(&sa->ike->timers, &sa->t_again, clock_now_ns(),
				      v2_again_fire);
			return;
		}
		list_del(&t->link);
		sa->task = t;
		t->again = false;
		v2_step_build(sa, t);
		if (!sa->over && t == sa->task && t->again)
			v2_task_answered(sa); /* it could not even begin */
	}
	if (!sa->over && !sa->task && wait)
		ike_timer_set(&sa->ike->timers, &sa->t_again, wait, v2_again_fire);
}

void v2_tasks_move(struct ike_sa *from, struct ike_sa *to)
{
	list_for_each_safe (l, &from->tasks) {
		struct v2_task *t = list_entry(l, struct v2_task, link);
		if (!v2_task_rows[t->kind].moves)
			continue;
		list_del(&t->link);
		t->sa = to;
		if (t->child)
			t->child->sa = to;
		list_push_back(&to->tasks, &t->link);
	}
}

/* The n-th wait: timeout * base^n, at most limit. */
static uint64_t wait_of(const struct ike_retransmit *r, unsigned n)
{
	double w = (double)r->timeout_ns;

	while (n--)
		w *= r->base;
	if (r->limit_ns && w > (double)r->limit_ns)
		w = (double)r->limit_ns;
	return (uint64_t)w;
}

void v2_task_sent(struct ike_sa *sa)
{
	const struct ike_retransmit *r = &sa->ike->conf->retransmit;

	v2_send(sa, &sa->request);
	ike_timer_set(&sa->ike->timers, &sa->t_again, clock_now_ns() + wait_of(r, sa->sent),
		      v2_again_fire);
	sa->sent++;
	sa->sent_ns = clock_now_ns();
}

#define REVIVALS 5 /* of one request: a peer that never answers it is of no use either */

void v2_task_heard(struct ike_sa *sa)
{
	const struct ike_retransmit *r = &sa->ike->conf->retransmit;

	if (!sa->task || !sa->request.n || sa->x || sa->sent < 2 || sa->revived == REVIVALS ||
	    clock_now_ns() - sa->sent_ns < r->timeout_ns)
		return;
	sa->revived++;
	sa->sent = 0;
	sa->ike->stats.retransmitted++;
	v2_task_sent(sa);
}

void v2_task_answered(struct ike_sa *sa)
{
	struct v2_task *t = sa->task;

	ike_timer_stop(&sa->ike->timers, &sa->t_again);
	/* IKE_SA_INIT begins again with message ID 0 (RFC 7296 2.2) */
	if (sa->request.n && !(t->kind == V2_TASK_INIT && t->again))
		sa->next_send++;
	ike_kept_free(&sa->request);
	sa->task = NULL;
	if (!t->again) {
		v2_task_free(t);
		return;
	}
	/* in front of what waits */
	t->link.next = sa->tasks.next;
	t->link.prev = &sa->tasks;
	sa->tasks.next->prev = &t->link;
	sa->tasks.next = &t->link;
}

/* Nobody answered, however often it was sent. */
static void timed_out(struct ike_sa *sa)
{
	const struct v2_task_row *row = &v2_task_rows[sa->task->kind];

	if (sa->init && sa->init->refusal[0]) {
		ike_sa_kill(sa, IKE_END_FAILED, sa->init->refusal);
		return;
	}
	ike_audit(sa->ike, AUDIT_RETRY_LIMIT, sa, NULL, "%s", row->name);
	if (row->timeout) {
		row->timeout(sa->task);
		return;
	}
	char why[320];
	ike_sa_kill(sa, IKE_END_DEAD,
		    ike_words_no_answer(sa, row->name, sa->sent, why, sizeof(why)));
}

static void again(struct ike_sa *sa)
{
	const struct ike_retransmit *r = &sa->ike->conf->retransmit;

	if (sa->lingers) {
		ike_sa_linger_over(sa);
	} else if (sa->task && sa->request.n) {
		if (sa->init && sa->init->give_up_ns && clock_now_ns() >= sa->init->give_up_ns) {
			timed_out(sa);
		} else if (sa->x && sa->x->task) {
			/* its answer is being worked on */
			ike_timer_set(&sa->ike->timers, &sa->t_again,
				      clock_now_ns() + wait_of(r, sa->sent), v2_again_fire);
		} else if (sa->sent > r->tries) {
			timed_out(sa);
		} else {
			sa->ike->stats.retransmitted++;
			ike_sa_log(sa, LOG_LVL_INFO, "no answer to %s yet: sending it again (%u)",
				   v2_task_rows[sa->task->kind].name, sa->sent);
			v2_task_sent(sa);
		}
	} else if (sa->state == IKE_ST_INIT_R || sa->state == IKE_ST_NONE) {
		ike_sa_kill(sa, IKE_END_FAILED, "the peer began a negotiation and did not go on");
	} else {
		v2_task_run(sa);
	}
}

void v2_again_fire(struct ike_timer *t)
{
	again(list_entry(t, struct ike_sa, t_again));
}

void v2_sa_fini(struct ike_sa *sa)
{
	/* a handler that is running up the stack still needs its exchange */
	if (sa->x && !sa->x->running)
		v2_exchange_free(&sa->x);
	if (sa->task) {
		struct v2_task *t = sa->task;
		sa->task = NULL;
		v2_task_free(t);
	}
	while (!list_empty(&sa->tasks))
		v2_task_free(list_entry(sa->tasks.next, struct v2_task, link));
	while (!list_empty(&sa->held)) {
		struct ike_held *h = list_entry(sa->held.next, struct ike_held, link);
		list_del(&h->link);
		free(h);
	}
	sa->n_held = 0;
	ike_kept_free(&sa->request);
	v2_fragments_forget(sa);
	v2_init_free(&sa->init);
}
