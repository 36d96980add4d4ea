/*
 * Messages that are sent again until there is an answer (RFC 2408 5.1). A message that went out
 * enters with v1_sent(), which arms its timer; v1_answered() measures how long it took. The timer
 * sends it once more, with longer and longer waits, and after the last one ends the exchange, or
 * with it the SA.
 */
#include <stdio.h>

#include "base/clock.h"
#include "ike/v1/v1.h"

#define RTT_WAIT_MAX (60 * NS_PER_S) /* nothing measured makes the first wait longer */

/* An answer came. RFC 2408 5.1: timers follow what is measured; of messages that went out once,
 * since else nobody knows which one was answered (Karn). Smoothed as TCP does it (RFC 6298 2). */
void v1_answered(struct v1_exchange *x)
{
	struct v1_sa *v = x->sa->v1;
	uint64_t rtt = clock_now_ns() - x->sent_ns;

	if (x->sent_ns && x->times == 1 && !v->rtt_ns) {
		v->rtt_ns = rtt;
		v->rtt_var_ns = rtt / 2;
	} else if (x->sent_ns && x->times == 1) {
		uint64_t off = rtt > v->rtt_ns ? rtt - v->rtt_ns : v->rtt_ns - rtt;
		v->rtt_var_ns = (3 * v->rtt_var_ns + off) / 4;
		v->rtt_ns = (7 * v->rtt_ns + rtt) / 8;
	}
	x->sent_ns = 0;
}

/* The first wait: what is configured, or longer where answers take so long. */
static uint64_t first_wait(const struct v1_sa *v, const struct ike_retransmit *r)
{
	uint64_t w = v->rtt_ns + 4 * v->rtt_var_ns;

	if (w > RTT_WAIT_MAX)
		w = RTT_WAIT_MAX;
	return w > r->timeout_ns ? w : r->timeout_ns;
}

/* The n-th wait: first * base^n, at most limit. */
static uint64_t wait_of(const struct v1_sa *v, const struct ike_retransmit *r, unsigned n)
{
	double w = (double)first_wait(v, r);

	while (n--)
		w *= r->base;
	if (r->limit_ns && w > (double)r->limit_ns)
		w = (double)r->limit_ns;
	return (uint64_t)w;
}

void v1_sent(struct v1_exchange *x)
{
	uint64_t now = clock_now_ns();

	ike_timer_set(&x->ike->timers, &x->t_again,
		      now + wait_of(x->sa->v1, &x->ike->conf->retransmit, x->times),
		      v1_exchange_fire);
	if (x->times == 0)
		x->sent_ns = now;
	x->times++;
}

static void timed_out(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct v1_sa *v = sa->v1;
	const struct v1_edge *e = v1_edge_find(x, x->n);
	const char *what = e ? e->name : "message";
	char why[512], peer[ENDPOINT_STRLEN];

	ike_audit(sa->ike, AUDIT_RETRY_LIMIT, sa, NULL, "%s", what);
	ike_words_no_answer(sa, what, x->times, why, sizeof(why));
	if (x == &v->p1 && sa->initiator && !sa->send_rc && v1_secret_in_doubt(sa))
		snprintf(why, sizeof(why),
			 "the peer %s does not answer %s (sent %u times), which it can read only if it "
			 "has the same pre-shared key: make the secrets of both sides equal, or see "
			 "its log",
			 endpoint_format(&sa->remote, peer), what, x->times);
	if (x == &v->p1) {
		bool refused = v->ph && v->ph->refusal[0];
		ike_sa_kill(sa, refused ? IKE_END_FAILED : IKE_END_DEAD,
			    refused ? v->ph->refusal : why);
		return;
	}
	if (x->commit) { /* it had it all: only its last word is missing */
		v1_quick_connected(x);
		return;
	}
	/* a peer that does not answer under an SA is dead, when it was asked; when it asked us, it
	 * only lost interest */
	if (x->asked) {
		/* unless it is only the peer's end of an old one that is gone */
		ike_sa_kill(sa, sa->replaced ? IKE_END_REPLACED : IKE_END_DEAD,
			    sa->replaced ? NULL : why);
		return;
	}
	x->why = why;
	x->notify = 0;
	v1_exchange_end(x);
}

void v1_exchange_fire(struct ike_timer *t)
{
	struct v1_exchange *x = list_entry(t, struct v1_exchange, t_again);
	struct ike_sa *sa = x->sa;
	const struct ike_retransmit *r = &x->ike->conf->retransmit;

	if (x->ended && sa->v1->stage != V1_STAGE_NONE && x != &sa->v1->p1) {
		/* the peer may still ask for our answer, and nothing goes on before it has it */
		ike_timer_set(&x->ike->timers, &x->t_again, clock_now_ns() + V1_LINGER_NS,
			      v1_exchange_fire);
	} else if (x->ended && x != &sa->v1->p1) {
		v1_exchange_free(x);
	} else if (x->commit && !x->asked) {
		v1_quick_connected(x);
	} else if (sa->v1->busy == x) {
		v1_sent(x); /* what came for it is being worked on */
	} else if (x->times > r->tries) {
		timed_out(x);
	} else {
		const struct v1_edge *e = v1_edge_find(x, x->n);
		x->ike->stats.retransmitted++;
		ike_sa_log(sa, LOG_LVL_INFO, "no answer to %s yet: sending it again (%u)",
			   e ? e->name : "a message", x->times);
		v1_send(sa, &x->sent);
		v1_sent(x);
	}
}
