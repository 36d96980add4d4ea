/* What the core asks of an IKE SA, as IKEv2 does it. */
#include "ike/version.h"

#include <stdlib.h>

#include "ike/v2/internal.h"
#include "ike/v2/rekey.h"

static void free_nothing(struct ike_sa *sa)
{
	(void)sa; /* v2_sa_fini() has freed all */
}

static void want(struct ike_sa *sa, struct ike_want *w)
{
	struct v2_task *t = NULL;

	if (w->ci != IKE_WANT_SA)
		t = v2_task_make(sa, V2_TASK_CHILD, w->order);
	if (!t) {
		ike_want_done(sa->conn, w, sa);
		return;
	}
	t->ci = w->ci;
	t->acquired = w->acquired;
	t->flow = w->flow;
	free(w);
	v2_task_queue(t);
}

static bool making(const struct ike_sa *sa, unsigned ci)
{
	if (sa->task && sa->task->kind == V2_TASK_CHILD && sa->task->ci == ci)
		return true;
	list_for_each (l, &sa->tasks) {
		const struct v2_task *t = list_entry(l, struct v2_task, link);
		if (t->kind == V2_TASK_CHILD && t->ci == ci)
			return true;
	}
	return false;
}

static void childless(struct ike_sa *sa)
{
	(void)sa; /* it stays up */
}

/* Everything the SA carries is carried by another one too. */
static bool redundant(const struct ike_sa *sa)
{
	list_for_each (l, &sa->children) {
		const struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if (c->state == IKE_CHILD_UP && !ike_child_has_sibling(c))
			return false;
	}
	return list_empty(&sa->tasks) && !sa->task;
}

/* Its children that the other SA has too. */
static void drop_doubles(struct ike_sa *sa)
{
	list_for_each_safe (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		if (c->state == IKE_CHILD_UP && ike_child_has_sibling(c))
			v2_child_delete(c, IKE_END_REPLACED, 0);
	}
}

static bool lower(const struct ike_child *a, const struct ike_child *b)
{
	uint32_t x = a->spi_in < a->spi_out ? a->spi_in : a->spi_out,
		 y = b->spi_in < b->spi_out ? b->spi_in : b->spi_out;

	return x < y || (x == y && (a->spi_in ^ a->spi_out) < (b->spi_in ^ b->spi_out));
}

/* Both sides asked for the same child at once: of two pairs the one with the lowest SPI goes, so that
 * both sides choose the same. One of them may be being replaced: then later. */
static void drop_crossed(struct ike_sa *sa)
{
	list_for_each_safe (l, &sa->children) {
		struct ike_child *c = list_entry(l, struct ike_child, of_sa);
		struct ike_child *o = ike_child_crossed(c);
		if (!o)
			continue;
		if (c->rekeying || o->rekeying)
			ike_sa_tidy_later(sa);
		else if (lower(c, o))
			v2_child_delete(c, IKE_END_REPLACED, 0);
	}
}

/*
 * Both sides began at once, and now two IKE SAs do the same. With unique = replace the one goes
 * that has nothing of its own; of two such, and of children, that with the lower initiator's SPI:
 * both sides would choose it. There may be more than two: what stays looks again later.
 */
static void tidy(struct ike_sa *sa)
{
	struct ike_sa *twin = ike_sa_twin(sa, NULL), *low, *high;

	if (!v2_closing(sa))
		drop_crossed(sa);
	for (; twin; twin = ike_sa_twin(sa, twin)) {
		if (v2_closing(sa))
			return;
		if (v2_closing(twin) || sa->replaces || twin->replaces) {
			ike_sa_tidy_later(sa);
			continue;
		}
		low = memcmp(sa->spi_i, twin->spi_i, 8) < 0 ? sa : twin;
		high = low == sa ? twin : sa;
		if (!redundant(low) && !redundant(high)) {
			drop_doubles(low);
			continue;
		}
		low = redundant(low) ? low : high;
		ike_sa_log(low, LOG_LVL_INFO, "another IKE SA with this peer does the same");
		ike_sa_tidy_later(low == sa ? twin : sa);
		v2_sa_delete(low, IKE_END_REPLACED, 0);
		return;
	}
}

static void probe(struct ike_sa *sa, uint64_t heard)
{
	(void)heard;
	/* any request on its way asks the same question */
	if (!sa->task && !v2_task_find(sa, V2_TASK_LIVE, 0))
		v2_task_new(sa, V2_TASK_LIVE, 0);
}

static size_t bytes(const struct ike_sa *sa)
{
	(void)sa; /* the core counts it */
	return 0;
}

static struct ike_work **flying(struct ike_sa *sa)
{
	return &sa->x->flying;
}

static int child_keys(const struct child_nego *c, const struct esp_suite *s, struct child_keys *out)
{
	return keymat_child(c->sa->suite.prf, c->sa->keys.d, secret_view(&c->shared),
			    span_of(c->ni, c->ni_len), span_of(c->nr, c->nr_len), s, out);
}

const struct ike_version v2_version = {
	.created = v2_sa_created,
	.start = v2_start,
	.fini = v2_sa_fini,
	.free = free_nothing,
	.want = want,
	.making = making,
	.sa_rekey = v2_sa_rekey,
	.sa_reauth = v2_sa_reauth,
	.sa_delete = v2_sa_delete,
	.child_rekey = v2_child_rekey,
	.child_delete = v2_child_delete,
	.child_keys = child_keys,
	.childless = childless,
	.tidy = tidy,
	.probe = probe,
	.bytes = bytes,
	.again_fire = v2_again_fire,
	.flying = flying,
	.work_done = v2_work_done,
};
