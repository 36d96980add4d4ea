/*
 * What keying changes while packets flow, without ever waiting for a worker:
 *
 *   switch    a new bundle behind the reqid's route -> a new generation of the view, so that flow
 *             tables ask again
 *   retire    an SA leaves the SAD
 *   tick      once a second: a new generation (no flow entry may name what is freed), one grace
 *             period, then
 *             everything that was replaced or retired since the last one is freed
 *
 * All of it is the control thread's; workers only read routes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "plane/internal.h"

#define ROUTES_MIN 64u
#define LATER_MAX 1024u /* more than this is not left to the next tick */

/* ---- freed later
 * ---------------------------------------------------------------------------------- */

/* Frees everything that waits; a grace period must be over for it. */
static void free_all(struct plane *p)
{
	for (unsigned i = 0; i < p->n_later; i++)
		p->later[i].free(p->later[i].what);
	p->n_later = 0;
}

/* Events that still wait in the queues keep their SPI and reqid, but point to nothing that is about
 * to go. */
static void scrub_events(struct plane *p)
{
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct event_ring *r = &p->worker[i]->events;
		uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);
		for (uint32_t at = atomic_load_explicit(&r->tail, memory_order_relaxed); at != head;
		     at++) {
			struct ipsec_event *e = &r->slot[at % EVENT_RING_SIZE];
			if (e->sa && e->sa->retired)
				e->sa = NULL;
		}
	}
}

static void collect(struct plane *p)
{
	if (sad_has_retired(p->sad)) {
		plane_view_bump(p); /* out of memory: the old generation goes on, and so does what
				       it may name */
		if (p->view->gen != p->gen)
			return;
	}
	urcu_qsbr_synchronize_rcu();
	free_all(p);
	if (sad_has_retired(p->sad)) {
		scrub_events(p);
		sad_reap(p->sad);
	}
}

void plane_free_later(struct plane *p, void *what, void (*freer)(void *))
{
	if (!what)
		return;
	if (p->n_later == p->later_room) {
		unsigned room = p->later_room ? p->later_room * 2 : 64;
		struct plane_later *more = realloc(p->later, room * sizeof(*more));
		if (!more) { /* waiting needs no memory */
			urcu_qsbr_synchronize_rcu();
			freer(what);
			return;
		}
		p->later = more;
		p->later_room = room;
	}
	p->later[p->n_later++] = (struct plane_later) { what, freer };
}

void plane_view_bump(struct plane *p)
{
	struct plane_view *old = p->view, *v = malloc(sizeof(*v));

	if (++p->gen == 0) /* 0 marks free flow entries */
		p->gen = 1;
	if (!v)
		return;
	*v = (struct plane_view) { .spd = old->spd, .gen = p->gen };
	rcu_set_pointer(&p->view, v);
	plane_free_later(p, old, free);
}

void plane_retire(struct plane *p, struct sa *sa)
{
	sad_retire(p->sad, sa);
	if (++p->n_retired >= LATER_MAX) {
		p->n_retired = 0;
		collect(p);
	}
}

void plane_tick(struct plane *p)
{
	p->n_retired = 0;
	if (p->n_later || sad_has_retired(p->sad))
		collect(p);
	for (unsigned i = 0; i < p->n_workers; i++)
		if (atomic_load_explicit(&p->worker[i]->hold.n, memory_order_relaxed) ||
		    atomic_load_explicit(&p->worker[i]->early.n, memory_order_relaxed) ||
		    atomic_load_explicit(&p->worker[i]->frag_out.n_kept, memory_order_relaxed) ||
		    atomic_load_explicit(&p->worker[i]->frag_in.n_kept, memory_order_relaxed) ||
		    atomic_load_explicit(&p->worker[i]->reasm_out.n, memory_order_relaxed) ||
		    atomic_load_explicit(&p->worker[i]->reasm_in.n, memory_order_relaxed))
			worker_wake(p->worker[i]);
}

/* ---- routes
 * --------------------------------------------------------------------------------------- */

static struct out_route **chain(struct plane *p, uint32_t reqid)
{
	return &p->route[reqid & (p->route_room - 1)];
}

/* Twice the chains; when there is no memory for them, longer chains. */
static void routes_grow(struct plane *p)
{
	unsigned room = p->route_room ? p->route_room * 2 : ROUTES_MIN, was = p->route_room;
	struct out_route **old = p->route, **v = calloc(room, sizeof(struct out_route *));

	if (!v)
		return;
	p->route = v;
	p->route_room = room;
	for (unsigned i = 0; i < was; i++) {
		for (struct out_route *r = old[i], *next; r; r = next) {
			struct out_route **c = chain(p, r->reqid);
			next = r->next;
			r->next = *c;
			*c = r;
		}
	}
	free(old);
}

static struct out_route *route_find(struct plane *p, uint32_t reqid)
{
	struct out_route *r = p->route_room ? *chain(p, reqid) : NULL;

	while (r && r->reqid != reqid)
		r = r->next;
	return r;
}

/* Finds or makes; NULL when out of memory. */
static struct out_route *route_get(struct plane *p, uint32_t reqid)
{
	struct out_route *r = route_find(p, reqid);

	if (r)
		return r;
	if (p->n_routes >= p->route_room)
		routes_grow(p);
	r = p->route_room ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	struct out_route **c = chain(p, reqid);
	r->reqid = reqid;
	r->next = *c;
	*c = r;
	p->n_routes++;
	return r;
}

static void bundle_free(void *bundle)
{
	struct sa_bundle *b = bundle;

	for (unsigned i = 0; b && i < b->n; i++)
		sa_unref(&b->sa[i]);
	free(b);
}

int plane_routes_link(struct plane *p, struct spd *spd)
{
	for (unsigned i = 0; spd && i < spd_count(spd); i++) {
		struct policy *pol = spd_policy(spd, i);
		if (pol->reqid && !(pol->route = route_get(p, pol->reqid)))
			return -ENOMEM;
	}
	return 0;
}

/* Forgets routes that no policy refers to and that lead nowhere. After the grace period of the SPD
 * before. */
void plane_routes_sweep(struct plane *p)
{
	struct spd *spd = p->view->spd;

	for (unsigned i = 0; i < p->route_room; i++)
		for (struct out_route *r = p->route[i]; r; r = r->next)
			r->in_spd = false;
	for (unsigned i = 0; spd && i < spd_count(spd); i++)
		if (spd_policy(spd, i)->route)
			spd_policy(spd, i)->route->in_spd = true;
	for (unsigned i = 0; i < p->route_room; i++) {
		for (struct out_route **at = &p->route[i]; *at;) {
			struct out_route *r = *at;
			if (r->in_spd || atomic_load_explicit(&r->bundle, memory_order_relaxed)) {
				at = &r->next;
				continue;
			}
			*at = r->next;
			p->n_routes--;
			free(r);
		}
	}
}

void plane_routes_free(struct plane *p)
{
	free_all(p);
	free(p->later);
	for (unsigned i = 0; i < p->route_room; i++) {
		for (struct out_route *r = p->route[i], *next; r; r = next) {
			next = r->next;
			bundle_free((void *)(uintptr_t)atomic_load(&r->bundle));
			free(r);
		}
	}
	free(p->route);
}

int plane_switch_out(struct plane *p, uint32_t reqid, struct sa *const *sas, unsigned n)
{
	struct sa_bundle *b = NULL;

	if (reqid == 0 || n > SA_BUNDLE_MAX)
		return -EINVAL;
	struct out_route *r = n ? route_get(p, reqid) : route_find(p, reqid);
	if (!r)
		return n ? -ENOMEM : 0;
	if (n) {
		b = malloc(sizeof(*b) + n * sizeof(struct sa *));
		if (!b)
			return -ENOMEM;
		b->n = n;
		for (unsigned i = 0; i < n; i++)
			b->sa[i] = sa_ref(sas[i]);
	}
	const struct sa_bundle *old = atomic_exchange_explicit(&r->bundle, b, memory_order_acq_rel);
	plane_view_bump(p);
	plane_free_later(p, (void *)(uintptr_t)old, bundle_free);
	if (b) /* when it is gone again, the first packet asks at once */
		atomic_store_explicit(&r->acquire_ns, 0, memory_order_relaxed);
	if (!old && b)
		plane_wake_holding(p);
	return 0;
}

void plane_release_held(struct plane *p, uint32_t reqid)
{
	struct out_route *r = route_find(p, reqid);

	if (!r)
		return;
	atomic_fetch_add_explicit(&r->released, 1, memory_order_release);
	plane_wake_holding(p);
}

void plane_wake_holding(struct plane *p)
{
	/* also who holds nothing now: it may be about to, deciding by what was true a moment ago */
	for (unsigned i = 0; i < p->n_workers; i++)
		worker_wake(p->worker[i]);
}
