/*
 * Fragments of inner packets, in both directions, while some policy names ports (RFC 4301 7). A
 * fragment comes in with what pkt_parse() has seen of it, and goes on with a key that has the ports
 * of its datagram's first fragment, so that flow table, SPD and selectors need to know nothing of
 * fragments. In this order:
 *
 *   opaque    a policy that names opaque ports matches first: it is for later fragments as they are
 *             (7.2)
 *   stateful  what the first fragment said (7.3, 7.4); overlaps are dropped
 *   wait      the first has not come: kept, and worked on right after the batch that brings it
 *
 * Without policies that name ports fragments match like any packet (7.1), and cost nothing here.
 */
#include "ipsec/spd.h"
#include "packet/fragtab.h"
#include "plane/worker.h"

/* SAs that a waiting fragment came through: it holds no pointers, since they may be gone when its
 * first comes. */
struct came_by {
	uint64_t installed_ns;
	uint32_t spi; /* 0: no more */
	uint32_t proto;
};
struct note {
	struct came_by sa[SA_BUNDLE_MAX];
};
_Static_assert(sizeof(struct note) <= FRAG_NOTE, "fits");

/* May a later fragment go by the policy that names opaque ports? An IPv4 one that would replace
 * part of a TCP header may not (RFC 3128). */
static enum frag_do hidden(const uint8_t *ip, const struct pkt_info *info, enum drop *why)
{
	struct frag_place p;

	*why = frag_place(ip, info, &p);
	if (*why == DROP_NONE && info->key.proto == IPPROTO_TCP && p.off < 16)
		*why = DROP_FRAG_OVERLAP;
	return *why == DROP_NONE ? FRAG_GO : FRAG_DROP;
}

static enum frag_do complete_key(struct worker *w, enum ipsec_dir dir, const uint8_t *ip,
				 struct pkt_info *info, uint32_t tag, enum drop *why)
{
	const struct spd *spd = w->view->spd;

	if (!spd || !spd_names_ports(spd, dir, info->key.ver))
		return FRAG_GO;
	if (info->flags & PKT_FRAG_LATER) {
		const struct policy *pol = spd_lookup(spd, dir, &info->key);
		if (pol && policy_names_opaque(pol, dir, &info->key))
			return hidden(ip, info, why);
	}
	return fragtab_see(dir == DIR_OUT ? &w->frag_out : &w->frag_in, ip, info, tag, w->now_ns,
			   why);
}

/* ---- out
 * ------------------------------------------------------------------------------------------- */

bool fragments_out(struct worker *w, struct out_pkt *p, unsigned i)
{
	enum drop why = DROP_NONE;

	if (w->again) { /* has been here, before it was kept for its SA */
		memcpy(&p->info.key.sport, &w->hold.word[i], sizeof(w->hold.word[i]));
		return true;
	}
	switch (complete_key(w, DIR_OUT, p->ip, &p->info, 0, &why)) {
	case FRAG_GO:
		return true;
	case FRAG_WAIT:
		why = fragtab_keep(&w->frag_out, p->ip, &p->info, 0, NULL, w->now_ns);
		break;
	case FRAG_DROP:
		break;
	}
	if (why != DROP_NONE)
		worker_drop(w, why);
	return false;
}

unsigned fragments_out_take(struct worker *w)
{
	struct fragtab *t = &w->frag_out;
	unsigned n = atomic_load_explicit(&t->n_kept, memory_order_relaxed);
	uint32_t at = 0;

	w->n_out = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct frag_kept *k = &t->kept[i];
		if (!k->ready)
			continue;
		struct out_pkt *p = &w->out[w->n_out++];
		p->vnet = (struct virtio_net_hdr) { 0 };
		p->ip = w->read_arena + at + CACHE_LINE;
		p->info.len = k->len;
		memcpy(p->ip, fragtab_packet(t, k), k->len);
		at += outbound_room(k->len);
	}
	w->c.drop.n[DROP_FRAG_TIMEOUT] += fragtab_sweep(t, w->now_ns);
	return w->n_out;
}

/* ---- in
 * -------------------------------------------------------------------------------------------- */

static struct came_by came_by(const struct sa *sa)
{
	return (struct came_by){ .installed_ns = sa->installed_ns,
				 .spi = sa->spi,
				 .proto = sa->proto };
}

/* Fragments of one datagram come through one SA, or through SAs of one child. */
static uint32_t tag_of(const struct sa *sa)
{
	return sa->reqid ? sa->reqid : ~sa->spi;
}

bool fragments_in(struct worker *w, const uint8_t *ip, struct pkt_info *info, struct sa *const *sa,
		  unsigned n_sa)
{
	struct sa *last = sa[n_sa - 1];
	enum drop why = DROP_NONE;
	struct note note = { 0 };

	switch (complete_key(w, DIR_IN, ip, info, tag_of(last), &why)) {
	case FRAG_GO:
		return true;
	case FRAG_WAIT:
		for (unsigned i = 0; i < n_sa; i++)
			note.sa[i] = came_by(sa[i]);
		why = fragtab_keep(&w->frag_in, ip, info, tag_of(last), &note, w->now_ns);
		break;
	case FRAG_DROP:
		break;
	}
	if (why != DROP_NONE) {
		inbound_sa_drop(w, last, why);
		audit_fragment(w, last, info, why);
	}
	return false;
}

bool fragments_in_clear(struct worker *w, const uint8_t *ip, struct pkt_info *info)
{
	enum drop why = DROP_NONE;
	enum frag_do what = complete_key(w, DIR_IN, ip, info, 0, &why);

	if (what == FRAG_WAIT) /* whoever sends in the clear may well send again */
		why = DROP_FRAG_FULL;
	if (why != DROP_NONE)
		worker_drop(w, why);
	return what == FRAG_GO;
}

/* The SAs of a note, as they are now; how many, 0 when one of them is gone. */
static unsigned find_sas(struct worker *w, const struct note *note, struct sa *sa[SA_BUNDLE_MAX])
{
	unsigned n = 0;

	for (; n < SA_BUNDLE_MAX && note->sa[n].spi; n++) {
		const struct came_by *c = &note->sa[n];
		sa[n] = sad_lookup(plane_sad(w->plane), c->spi, (uint8_t)c->proto);
		if (!sa[n] || sa[n]->installed_ns != c->installed_ns || !sa_usable(sa[n]))
			return 0;
	}
	return n;
}

/* One that waited: into w->in, when its SAs still are what they were and nothing is wrong with it
 * now. `nested`: those that came through AH or several SAs are meant, or the others. */
static void arrive(struct worker *w, const struct frag_kept *k, bool nested)
{
	struct nest_pkt p = { .ip = w->frag_in.mem + k->off, .len = k->len };
	struct in_pkt *in = &w->in[w->n_in];
	struct note note;

	memcpy(&note, k->note, sizeof(note));
	if ((note.sa[1].spi || note.sa[0].proto == SA_AH) != nested)
		return;
	*in = (struct in_pkt) { .ip = p.ip };
	p.n_sa = find_sas(w, &note, p.sa);
	enum drop d = p.n_sa == 0 ? DROP_UNKNOWN_SPI : pkt_parse(in->ip, k->len, &in->info);
	if (d != DROP_NONE) {
		worker_drop(w, d);
		return;
	}
	in->sa = p.sa[p.n_sa - 1];
	if (!fragments_in(w, in->ip, &in->info, p.sa, p.n_sa))
		return;
	if (nested) {
		struct pkt_info info = in->info;
		nest_arrive(w, &p, &info);
		return;
	}
	in->hash = flow_key_hash(&in->info.key, w->in_flows.seed);
	w->n_in++;
}

void fragments_in_release(struct worker *w, void (*deliver)(struct worker *w))
{
	struct fragtab *t = &w->frag_in;
	unsigned n = t->n_ready ? atomic_load_explicit(&t->n_kept, memory_order_relaxed) : 0;

	w->n_in = 0;
	for (unsigned i = 0; i < n; i++)
		if (t->kept[i].ready)
			arrive(w, &t->kept[i], false);
	inbound_check(w);
	for (unsigned i = 0; i < n; i++)
		if (t->kept[i].ready)
			arrive(w, &t->kept[i], true);
	if (w->n_in)
		deliver(w);
	w->n_in = 0;
	w->c.drop.n[DROP_FRAG_TIMEOUT] += fragtab_sweep(t, w->now_ns);
}
