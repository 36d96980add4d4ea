/* What the control thread calls: start and stop, publishing databases, counters, events. */
#include "packet/quote.h"
#include "plane/plane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/log.h"
#include "plane/bridge.h"
#include "plane/bump.h"
#include "plane/internal.h"

#define DEFAULT_SOCKBUF (4u << 20)
#define IKE_SOCKBUF (1u << 20)

static int watch(struct worker *w, int fd, unsigned end)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = end };

	if (fd < 0)
		return 0;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* What the sockets of a worker have in common. Each takes its share of SPIs; every raw socket would
 * get a copy of all packets. */
static struct sock_opts common_opts(const struct worker *w, unsigned v)
{
	const struct plane_opts *o = &w->plane->opts;
	struct sock_opts so = {
		.ver = v ? 6 : 4,
		.port = o->port,
		.proto = SA_ESP,
		.bind = v ? o->bind6 : o->bind4,
		.reuse_port = o->workers > 1 || o->ike,
		.gso = o->gso,
		.gro = o->gro,
		.zero_csum = o->zero_csum && !v,
		.rcvbuf = o->rcvbuf ? o->rcvbuf : DEFAULT_SOCKBUF,
		.sndbuf = o->sndbuf ? o->sndbuf : DEFAULT_SOCKBUF,
		.mark = o->mark,
		.share = (uint16_t)w->number,
		.shares = (uint16_t)o->workers,
		.marker_apart = o->ike,
	};

	if (so.bind.ver == 0)
		so.bind = ip_addr_any(so.ver);
	return so;
}

static int open_ends(struct worker *w, char *why, size_t whylen)
{
	const struct plane_opts *o = &w->plane->opts;
	int rc = 0;

	for (unsigned v = 0; v < 2 && rc == 0; v++) {
		struct sock_opts so = common_opts(w, v);
		if (v ? o->udp6 : o->udp4)
			rc = sock_open(&w->udp[v], &so, why, whylen);
		so.kind = SOCK_KIND_RAW;
		so.port = 0;
		if (rc == 0 && (v ? o->raw6 : o->raw4))
			rc = sock_open(&w->raw[v], &so, why, whylen);
		so.proto = SA_AH;
		if (rc == 0 && (v ? o->ah6 : o->ah4))
			rc = sock_open(&w->ah[v], &so, why, whylen);
		if (rc == 0 && (o->bypass || o->whole || (v ? o->ah6 : o->ah4)))
			rc = sock_open_clear(&w->clear[v], so.ver, o->mark, why, whylen);
	}
	return rc;
}

static int watch_ends(struct worker *w)
{
	int rc = watch(w, w->plane->stop_fd, WORKER_STOP);

	if (rc == 0)
		rc = watch(w, w->wake_fd, WORKER_WAKE);
	if (rc == 0)
		rc = watch(w, w->tun_fd, WORKER_TUN);
	for (unsigned v = 0; v < 2 && rc == 0; v++) {
		rc = watch(w, w->udp[v].fd, WORKER_UDP + v);
		if (rc == 0)
			rc = watch(w, w->raw[v].fd, WORKER_RAW + v);
		if (rc == 0)
			rc = watch(w, w->ah[v].fd, WORKER_AH + v);
		if (rc == 0 && w->bridge)
			rc = watch(w, w->bridge->port[v].fd[w->number], WORKER_PORT + v);
	}
	return rc;
}

static bool start_bridge(struct worker *w)
{
	struct plane *p = w->plane;

	w->bridge = bridge_new(p, w->number);
	w->tun_can = p->opts.ports[BRIDGE_PROTECTED].can;
	w->whole = p->opts.bump;
	w->deliver = bridge_deliver;
	w->flush = p->opts.bump ? bridge_send : send_frames;
	return w->bridge != NULL;
}

static struct worker *worker_new(struct plane *p, unsigned number, struct tun *tun, char *why,
				 size_t whylen)
{
	struct worker *w =
	    aligned_alloc(CACHE_LINE, (sizeof(*w) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	p->worker[number] = w; /* from here on plane_free() cleans up */
	if (worker_init(w, p, number) < 0) {
		snprintf(why, whylen, "out of memory for worker %u", number);
		return NULL;
	}
	w->icmp4 = p->opts.icmp4;
	w->icmp6 = p->opts.icmp6;
	w->tun_fd = tun ? tun->fd[number] : -1;
	w->tun_can = tun ? tun->can : 0;
	if (p->opts.ports && !start_bridge(w)) {
		snprintf(why, whylen, "out of memory for the bridge of worker %u", number);
		return NULL;
	}
	if (open_ends(w, why, whylen) < 0)
		return NULL;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0 || watch_ends(w) < 0) {
		snprintf(why, whylen, "epoll: %s", strerror(errno));
		return NULL;
	}
	return w;
}

/* After all workers' sockets: its place in the order is what leads IKE to it. The first worker
 * looks at it. */
static int open_ike(struct plane *p, char *why, size_t whylen)
{
	const struct plane_opts *o = &p->opts;
	int rc = 0;

	for (unsigned v = 0; v < 2 && rc == 0; v++) {
		struct sock_opts so = common_opts(p->worker[0], v);
		if (!o->ike || !(v ? o->udp6 : o->udp4))
			continue;
		so.shares = 0;
		so.gso = false;
		so.rcvbuf = so.sndbuf = IKE_SOCKBUF;
		rc = sock_open(&p->ike_sock[v], &so, why, whylen);
		if (rc == 0)
			rc = watch(p->worker[0], p->ike_sock[v].fd, WORKER_IKE + v);
	}
	return rc;
}

int plane_new(const struct plane_opts *o, struct tun *tun, struct plane **out, char *why,
	      size_t whylen)
{
	struct plane *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	snprintf(why, whylen, "out of memory");
	p->opts = *o;
	p->n_workers = o->workers;
	p->ike_sock[0].fd = p->ike_sock[1].fd = -1;
	p->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->ike_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->worker = calloc(o->workers, sizeof(*p->worker));
	p->view = calloc(1, sizeof(*p->view));
	p->sad = sad_new();
	p->rule[FRAME_IP] = BRIDGE_POLICY;
	p->icmp_in = p->icmp_clear_in = ICMP_OF_ALL;
	p->mtu = 1500;
	if (o->ports && !o->bump)
		p->hosts = neighbours_new();
	if (o->ports && o->bump && o->ike)
		p->bump = bump_new(&o->ports[BRIDGE_OPEN]);
	bool ok = (p->bump || !o->bump || !o->ike) && (p->hosts || !o->ports || o->bump) &&
		  p->stop_fd >= 0 && p->event_fd >= 0 && p->ike_fd >= 0 && p->worker && p->view &&
		  p->sad;
	if (ok)
		p->view->gen = ++p->gen;
	for (unsigned i = 0; ok && i < o->workers; i++)
		ok = worker_new(p, i, tun, why, whylen) != NULL;
	ok = ok && open_ike(p, why, whylen) == 0;
	if (!ok) {
		plane_free(&p);
		return -EIO;
	}
	*out = p;
	return 0;
}

int plane_start(struct plane *p)
{
	for (unsigned i = 0; i < p->n_workers; i++) {
		int rc = pthread_create(&p->worker[i]->thread, NULL, worker_main, p->worker[i]);
		if (rc)
			return -rc;
		p->worker[i]->started = true;
		char name[24];
		snprintf(name, sizeof(name), "worker-%u", i);
		pthread_setname_np(p->worker[i]->thread, name);
	}
	return 0;
}

void plane_stop(struct plane *p)
{
	uint64_t one = 1;

	atomic_store(&p->stop, true);
	(void)!write(p->stop_fd, &one, sizeof(one));
	for (unsigned i = 0; i < p->n_workers; i++) {
		if (p->worker[i] && p->worker[i]->started)
			pthread_join(p->worker[i]->thread, NULL);
		if (p->worker[i])
			p->worker[i]->started = false;
	}
}

void plane_free(struct plane **pp)
{
	struct plane *p = *pp;

	if (!p)
		return;
	plane_stop(p);
	for (unsigned i = 0; i < p->n_workers && p->worker; i++) {
		if (p->worker[i])
			worker_fini(p->worker[i]);
		free(p->worker[i]);
	}
	free(p->worker);
	sock_close(&p->ike_sock[0]);
	sock_close(&p->ike_sock[1]);
	if (p->view)
		spd_free(&p->view->spd);
	free(p->view);
	plane_routes_free(p);
	neighbours_free(&p->hosts);
	bump_free(&p->bump);
	sad_free(&p->sad);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	if (p->event_fd >= 0)
		close(p->event_fd);
	if (p->ike_fd >= 0)
		close(p->ike_fd);
	free(p);
	*pp = NULL;
}

bool plane_link_refused(struct plane *p)
{
	return atomic_exchange_explicit(&p->link_refused, false, memory_order_relaxed);
}

void plane_set_mtu(struct plane *p, uint32_t mtu)
{
	atomic_store_explicit(&p->mtu, mtu, memory_order_relaxed);
}

void plane_set_rules(struct plane *p, const struct bridge_rules *r)
{
	for (unsigned k = 0; k < FRAME_KINDS; k++)
		atomic_store_explicit(&p->rule[k], r->of[k], memory_order_relaxed);
}

void plane_set_icmp(struct plane *p, const struct icmp_rules *r)
{
	atomic_store_explicit(&p->icmp_in, r->protected_in, memory_order_relaxed);
	atomic_store_explicit(&p->icmp_clear_in, r->unprotected_in, memory_order_relaxed);
	atomic_store_explicit(&p->icmp_told, r->told, memory_order_relaxed);
}

struct sad *plane_sad(struct plane *p)
{
	return p->sad;
}

struct spd *plane_spd(struct plane *p)
{
	return p->view->spd;
}

struct spd *plane_set_spd(struct plane *p, struct spd *spd)
{
	struct plane_view *old = p->view, *v = malloc(sizeof(*v));

	if (!v || plane_routes_link(p, spd))
		abort(); /* a few bytes: there is no way on, and half a policy change is worse than
			    none */
	if (++p->gen == 0) /* 0 marks free flow entries */
		p->gen = 1;
	*v = (struct plane_view) { .spd = spd, .gen = p->gen };
	rcu_set_pointer(&p->view, v);
	plane_wake_holding(p); /* what is kept may be another policy's now */
	urcu_qsbr_synchronize_rcu();
	plane_routes_sweep(p);
	struct spd *was = old->spd;
	free(old);
	return was;
}

static void path_free(void *path)
{
	sa_path_free(path);
}

int plane_set_path(struct plane *p, struct sa *sa, const struct ip_addr *src,
		   const struct endpoint *dst)
{
	struct sa_path *path = calloc(1, sizeof(*path));
	struct sock_path *sp = calloc(1, sizeof(*sp));

	if (!path || !sp) {
		free(path);
		free(sp);
		return -ENOMEM;
	}
	path->src = *src;
	path->dst = *dst;
	if (sa->encap == SA_ENCAP_NONE)
		path->dst.port = 0; /* raw sockets take a protocol where UDP has the port */
	sock_path_set(sp, src, &path->dst);
	if (!sa->group || sa->dir == DIR_OUT) /* to a group many may send: nobody moves */
		atomic_store_explicit(&sa->peer_tag, sock_addr_tag(&sp->dst), memory_order_relaxed);
	if (sa->group)
		sp->ifindex = atomic_load_explicit(&sa->ifindex, memory_order_relaxed);
	path->prepared = sp;
	path->prepared_free = free;
	if (sa->group && !sp->ifindex) { /* the routing table might lead it back to us */
		path->prepared = NULL;
		free(sp);
	}
	plane_free_later(p, sa_set_path(sa, path), path_free);
	return 0;
}

/*
 * A datagram to a group would come to every socket that has joined: so one does. Raw sockets have
 * their share of SPIs; of those for UDP it is always the first, whatever else comes to it for the
 * same group.
 */
void plane_group_of(const struct plane *p, const struct sa *sa, int ifindex,
		    struct plane_group *out)
{
	const struct sa_conf *c = sa->conf;

	*out =
	    (struct plane_group){ .worker = sa->encap == SA_ENCAP_UDP ? 0 : sa->spi % p->n_workers,
				  .proto = c->proto,
				  .encap = c->encap,
				  .ifindex = ifindex,
				  .dst = c->dst };
	if (sa_conf_is_from_one(c))
		out->src = c->src;
}

int plane_join(struct plane *p, const struct plane_group *g, bool join)
{
	struct worker *w = p->worker[g->worker];
	bool v6 = g->dst.ver == 6;
	struct sock *s = g->encap == SA_ENCAP_UDP ? &w->udp[v6]
			 : g->proto == SA_AH      ? &w->ah[v6]
						  : &w->raw[v6];

	return s->fd < 0 ? -ENOTCONN
			 : sock_join(s, &g->dst, g->src.ver ? &g->src : NULL, g->ifindex, join);
}

void plane_wake_control(struct plane *p)
{
	uint64_t one = 1;

	if (!atomic_exchange_explicit(&p->event_pending, true, memory_order_acq_rel))
		(void)!write(p->event_fd, &one, sizeof(one));
}

int plane_event_fd(const struct plane *p)
{
	return p->event_fd;
}

unsigned plane_events(struct plane *p, struct ipsec_event *out, unsigned max)
{
	uint64_t seen;
	unsigned n = 0;

	(void)!read(p->event_fd, &seen, sizeof(seen));
	/* a full barrier: what a worker queued before it saw the flag still set must be seen below
	 */
	(void)atomic_exchange(&p->event_pending, false);
	for (unsigned i = 0; i < p->n_workers; i++)
		while (n < max && event_ring_pop(&p->worker[i]->events, &out[n]))
			n++;
	if (n == max) /* perhaps more: look again soon */
		plane_wake_control(p);
	return n;
}

void plane_stats(const struct plane *p, struct plane_stats *s)
{
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < p->n_workers; i++) {
		const struct worker *w = p->worker[i];
		const struct worker_counters *c = &w->c;
		s->out_packets += c->out_packets;
		s->out_bytes += c->out_bytes;
		s->in_packets += c->in_packets;
		s->in_bytes += c->in_bytes;
		s->out_wire_packets += c->out_wire_packets;
		s->out_wire_bytes += c->out_wire_bytes;
		s->in_wire_packets += c->in_wire_packets;
		s->in_wire_bytes += c->in_wire_bytes;
		s->bypass_packets += c->bypass_packets;
		s->bypass_bytes += c->bypass_bytes;
		s->tun_reads += c->tun_reads;
		s->tun_writes += c->tun_writes;
		s->sends += c->sends;
		s->recvs += c->recvs;
		s->icmp_sent += c->icmp_sent;
		s->rst_sent += c->rst_sent;
		s->mss_clamped += c->mss_clamped;
		s->fragmented += c->fragmented;
		s->reassembled += c->reassembled;
		s->keepalives_in += c->keepalives_in;
		s->bridged += c->bridged;
		s->held += atomic_load_explicit(&w->hold.n, memory_order_relaxed);
		s->flow_hits += w->out_flows.hits + w->in_flows.hits;
		s->flow_misses += w->out_flows.misses + w->in_flows.misses;
		for (unsigned d = 0; d < DROP_REASONS; d++)
			s->drop.n[d] += c->drop.n[d];
	}
}

unsigned plane_workers(const struct plane *p)
{
	return p->n_workers;
}

int plane_send_keepalive(struct plane *p, const struct sa *sa)
{
	static uint8_t keepalive = 0xff;
	const struct sa_path *path = atomic_load_explicit(&sa->path, memory_order_acquire);

	if (!path || !path->prepared)
		return -EDESTADDRREQ;
	struct sock *s = plane_control_sock(p, path->dst.addr.ver);
	return s ? sock_send_one(s, path->prepared, &keepalive, 1) : -ENOTCONN;
}

bool plane_has_gso(const struct plane *p)
{
	const struct worker *w = p->worker[0];
	return (w->udp[0].fd >= 0 && w->udp[0].gso) || (w->udp[1].fd >= 0 && w->udp[1].gso);
}

bool plane_has_gro(const struct plane *p)
{
	const struct worker *w = p->worker[0];
	return (w->udp[0].fd >= 0 && w->udp[0].gro) || (w->udp[1].fd >= 0 && w->udp[1].gro);
}
