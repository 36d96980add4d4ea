/*
 * What happens when both sides want to change the same SAs at once (RFC 7296 2.8.1, 2.8.2, 2.25):
 * the comparison of nonces, the answer TEMPORARY_FAILURE from the side that gets it, and the
 * questions whose answers decide what to say to the peer.
 */
#include "ike/v2/rekey.h"

#include "base/clock.h"

#define AGAIN_FIRST_NS (2 * NS_PER_S)
#define AGAIN_MAX_NS   (32 * NS_PER_S)
#define AGAIN_TIMES    9 /* about four minutes */

int v2_nonce_cmp(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : a.len < b.len ? -1 : a.len > b.len;
}

static struct span lower(struct span a, struct span b)
{
	return v2_nonce_cmp(a, b) <= 0 ? a : b;
}

void v2_rival_note(struct v2_rival *r, uint32_t id, struct span ni, struct span nr)
{
	struct span l = lower(ni, nr);

	r->id = id;
	r->len = l.len < sizeof(r->lowest) ? l.len : sizeof(r->lowest);
	memcpy(r->lowest, l.p, r->len);
}

bool v2_rival_wins(const struct v2_rival *r, struct span ni, struct span nr)
{
	return v2_nonce_cmp(lower(ni, nr), span_of(r->lowest, r->len)) < 0;
}

bool v2_asking(const struct ike_sa *sa, enum v2_task_kind kind)
{
	return sa->task && sa->task->kind == kind;
}

bool v2_closing(const struct ike_sa *sa)
{
	return sa->state != IKE_ST_UP || sa->replaced || v2_task_find(sa, V2_TASK_DELETE_IKE, 0);
}

struct ike_child *v2_child_successor(const struct ike_child *c)
{
	struct ike_child *best = NULL;

	list_for_each (l, &c->sa->children) {
		struct ike_child *o = list_entry(l, struct ike_child, of_sa);
		if (o->replaces == c->id && o->state == IKE_CHILD_UP)
			best = o;
	}
	return best;
}

void v2_task_later(struct v2_task *t)
{
	struct ike_sa *sa = t->sa;
	const char *name = v2_task_rows[t->kind].name;

	if (t->tries >= AGAIN_TIMES) {
		ike_conn_failed(
		    sa->conn, sa, t->order,
		    "%s: for minutes the peer has said that it cannot do it now "
		    "(TEMPORARY_FAILURE): the two sides do not agree about their SAs, so "
		    "the IKE SA is closed and made anew",
		    name);
		t->order = 0;
		v2_sa_delete(sa, IKE_END_DEAD, 0);
		return;
	}
	uint64_t ns = AGAIN_FIRST_NS << t->tries;
	if (ns > AGAIN_MAX_NS)
		ns = AGAIN_MAX_NS;
	/* between half of it and all: both sides may be told to wait at the same moment */
	ns = ike_jitter(ns, ns / 2);
	ike_sa_log(sa, LOG_LVL_INFO, "%s: the peer cannot do it now, trying again in %u ms", name,
		   (unsigned)(ns / NS_PER_MS));
	v2_task_again(t, ns);
}
