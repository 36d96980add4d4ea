/*
 * Packets that wait for an SA: a policy of keying protects them, and there is none yet. They are
 * kept where they are found, in the worker's own memory, in order, few and not for long; when
 * something changes they go through outbound_batch() as if just read. Each is looked at again by
 * the policies that hold then: it leaves protected, or stays, or is dropped, but never leaves in
 * the clear.
 */
#include "base/clock.h"
#include "plane/worker.h"

#define HOLD_PER_REQID 16
#define HOLD_MAX_NS (30 * NS_PER_S)
#define ACQUIRE_EVERY_NS NS_PER_S

/* Has a packet of this flow that waits asked for its SA a moment ago? */
static bool asked_lately(const struct worker *w, const struct flow_key *key, uint32_t reqid)
{
	const struct hold *h = &w->hold;
	unsigned n = atomic_load_explicit(&h->n, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++)
		if (h->pkt[i].reqid == reqid && w->now_ns - h->pkt[i].ns < ACQUIRE_EVERY_NS &&
		    flow_key_eq(&h->pkt[i].key, key))
			return true;
	return false;
}

static void raise_acquire(struct worker *w, const struct out_pkt *p, const struct policy *pol)
{
	struct ipsec_event e = {
		.type = EV_ACQUIRE, .policy = pol->order, .reqid = pol->reqid, .flow = p->info.key
	};
	uint64_t last = atomic_load_explicit(&pol->route->acquire_ns, memory_order_relaxed);

	if (pol->each) { /* as many as may wait, and of each flow one at a time */
		if (!asked_lately(w, &p->info.key, pol->reqid))
			worker_event(w, &e);
		return;
	}
	if (last && w->now_ns - last < ACQUIRE_EVERY_NS)
		return;
	if (atomic_compare_exchange_strong_explicit(&pol->route->acquire_ns, &last, w->now_ns,
						    memory_order_relaxed, memory_order_relaxed))
		worker_event(w, &e);
}

void hold_add(struct worker *w, const struct out_pkt *p, const struct policy *pol)
{
	struct hold *h = &w->hold;
	unsigned n = atomic_load_explicit(&h->n, memory_order_relaxed), same = 0;

	for (unsigned i = 0; i < n; i++)
		same += h->pkt[i].reqid == pol->reqid;
	if (!pol->each || same < HOLD_PER_REQID)
		raise_acquire(w, p, pol);
	if (n == HOLD_PACKETS || same == HOLD_PER_REQID || p->info.len > HOLD_BYTES - h->used) {
		worker_drop(w, DROP_HOLD_FULL);
		audit_out(w, p->ip, &p->info, NULL, DROP_HOLD_FULL);
		return;
	}
	h->pkt[n] = (struct held_pkt) {
		.key = p->info.key,
		.vnet = p->vnet,
		.reqid = pol->reqid,
		.released = atomic_load_explicit(&pol->route->released, memory_order_acquire),
		.off = h->used,
		.len = p->info.len,
		.ns = w->now_ns,
	};
	memcpy(h->mem + h->used, p->ip, p->info.len);
	h->used += p->info.len;
	atomic_store_explicit(&h->n, n + 1, memory_order_relaxed);
}

enum held { HELD_STAYS, HELD_GOES, HELD_ENDS };

static enum held look(const struct worker *w, const struct held_pkt *k)
{
	const struct policy *pol = w->view->spd ? spd_lookup(w->view->spd, DIR_OUT, &k->key) : NULL;

	if (!pol || pol->action != POLICY_PROTECT || w->now_ns - k->ns > HOLD_MAX_NS)
		return HELD_ENDS;
	if (!pol->route)
		return pol->n_out ? HELD_GOES : HELD_ENDS;
	if (atomic_load_explicit(&pol->route->bundle, memory_order_acquire))
		return HELD_GOES;
	if (pol->reqid == k->reqid &&
	    atomic_load_explicit(&pol->route->released, memory_order_acquire) != k->released)
		return HELD_ENDS;
	return HELD_STAYS;
}

unsigned hold_take(struct worker *w)
{
	struct hold *h = &w->hold;
	unsigned n = atomic_load_explicit(&h->n, memory_order_relaxed), stay = 0;
	uint32_t used = 0, at = 0;

	w->n_out = 0;
	for (unsigned i = 0; i < n; i++) {
		struct held_pkt *k = &h->pkt[i];
		switch (look(w, k)) {
		case HELD_ENDS:;
			worker_drop(w, DROP_HOLD_GIVEN_UP);
			struct pkt_info info = { .key = k->key };
			audit_out(w, h->mem + k->off, &info, NULL, DROP_HOLD_GIVEN_UP);
			break;
		case HELD_GOES:;
			struct out_pkt *p = &w->out[w->n_out];
			memcpy(&h->word[w->n_out++], &k->key.sport, sizeof(h->word[0]));
			p->vnet = k->vnet;
			p->ip = w->read_arena + at + CACHE_LINE;
			p->info.len = k->len;
			memcpy(p->ip, h->mem + k->off, k->len);
			at += outbound_room(k->len);
			break;
		case HELD_STAYS:
			memmove(h->mem + used, h->mem + k->off, k->len);
			h->pkt[stay] = *k;
			h->pkt[stay++].off = used;
			used += k->len;
			break;
		}
	}
	w->again = w->n_out > 0;
	h->used = used;
	atomic_store_explicit(&h->n, stay, memory_order_relaxed);
	return w->n_out;
}
