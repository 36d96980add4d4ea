/*
 * The loop of a worker: ask which ends are readable, sleeping if none is; then a batch from each of
 * those, so that neither direction starves the other. Between batches it holds no reference to what
 * RCU protects.
 */
#include "plane/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/random.h"
#include "plane/bridge.h"
#include "plane/internal.h"

#define EVENT_PAUSE_NS (20 * NS_PER_MS)

void worker_event(struct worker *w, const struct ipsec_event *e)
{
	if (!event_ring_push(&w->events, e))
		worker_drop(w, DROP_RING_FULL);
	else
		plane_wake_control(w->plane);
}

void worker_event_paced(struct worker *w, const struct ipsec_event *e, const void *about)
{
	if (w->told[e->type].about == about && w->now_ns - w->told[e->type].ns < EVENT_PAUSE_NS)
		return;
	w->told[e->type].about = about;
	w->told[e->type].ns = w->now_ns;
	worker_event(w, e);
}

unsigned worker_count(struct worker *w, struct sa *sa, uint64_t packets, uint64_t bytes)
{
	unsigned bits = sa_count(sa, packets, bytes);

	atomic_store_explicit(&sa->last_used_ns, w->now_ns, memory_order_relaxed);
	if (unlikely(bits)) {
		struct ipsec_event e = { .spi = sa->spi, .reqid = sa->reqid, .sa = sa };
		if (bits & SA_SOFT) {
			e.type = EV_SOFT_EXPIRE;
			worker_event(w, &e);
		}
		if (bits & SA_HARD) {
			e.type = EV_HARD_EXPIRE;
			worker_event(w, &e);
		}
	}
	return bits;
}

void worker_wake(struct worker *w)
{
	uint64_t one = 1;

	(void)!write(w->wake_fd, &one, sizeof(one));
}

static void begin_batch(struct worker *w)
{
	w->view = rcu_dereference(w->plane->view);
	w->now_ns = clock_now_ns();
	w->batch++;
}

/* A batch from each end that has something, IKE and the open side first. Ends that have nothing
 * cost no system call. */
static void work_on(struct worker *w, const struct epoll_event *ev, int n)
{
	bool ready[WORKER_ENDS] = { false };

	for (int i = 0; i < n; i++)
		ready[ev[i].data.u32] = true;
	for (unsigned v = 0; v < 2; v++) {
		if (unlikely(ready[WORKER_IKE + v]))
			inbound_socket(w, &w->plane->ike_sock[v], w->deliver);
		if (ready[WORKER_UDP + v])
			inbound_socket(w, &w->udp[v], w->deliver);
		if (ready[WORKER_RAW + v])
			inbound_socket(w, &w->raw[v], w->deliver);
		if (unlikely(ready[WORKER_AH + v]))
			nest_socket(w, &w->ah[v], w->deliver);
	}
	if (unlikely(ready[WORKER_WAKE])) {
		uint64_t seen;
		(void)!read(w->wake_fd, &seen, sizeof(seen));
		if (atomic_load_explicit(&w->early.n, memory_order_relaxed))
			early_take(w);
	}
	if (unlikely(ready[WORKER_WAKE] &&
		     atomic_load_explicit(&w->hold.n, memory_order_relaxed)) &&
	    hold_take(w) > 0)
		outbound_batch(w, w->flush);
	if (unlikely(ready[WORKER_WAKE])) { /* fragments that have waited too long */
		w->c.drop.n[DROP_FRAG_TIMEOUT] += fragtab_sweep(&w->frag_out, w->now_ns);
		w->c.drop.n[DROP_FRAG_TIMEOUT] += fragtab_sweep(&w->frag_in, w->now_ns);
		w->c.drop.n[DROP_FRAG_TIMEOUT] += reasm_sweep(&w->reasm_out, w->now_ns);
		w->c.drop.n[DROP_FRAG_TIMEOUT] += reasm_sweep(&w->reasm_in, w->now_ns);
	}
	if (ready[WORKER_TUN] && outbound_read(w) > 0)
		outbound_batch(w, w->flush);
	if (ready[WORKER_PORT + BRIDGE_OPEN])
		bridge_receive(w, BRIDGE_OPEN);
	if (ready[WORKER_PORT + BRIDGE_PROTECTED])
		bridge_receive(w, BRIDGE_PROTECTED);
}

/* Asks which ends are readable; sleeps until one is, or plane_stop() asks, unless the worker is to
 * keep looking. */
static int wait_for_work(struct worker *w, struct epoll_event *ev, bool keep_looking)
{
	if (keep_looking) {
		int n = epoll_wait(w->epoll_fd, ev, WORKER_ENDS, 0);
		urcu_qsbr_quiescent_state();
		/* the kernel wakes who gets our packet on this CPU, expecting us to sleep: let him
		 * run */
		if (n == 0)
			(void)sched_yield();
		return n;
	}
	urcu_qsbr_thread_offline();
	int n = epoll_wait(w->epoll_fd, ev, WORKER_ENDS, -1);
	urcu_qsbr_thread_online();
	return n;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[WORKER_ENDS];
	uint64_t busy_ns = w->plane->opts.busy_poll_us * NS_PER_US;

	urcu_qsbr_register_thread();
	while (!atomic_load_explicit(&w->plane->stop, memory_order_relaxed)) {
		bool keep_looking = busy_ns && clock_now_ns() - w->now_ns < busy_ns;
		int n = wait_for_work(w, ev, keep_looking);
		if (n <= 0)
			continue;
		begin_batch(w);
		work_on(w, ev, n);
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void *arena_new(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int worker_init(struct worker *w, struct plane *p, unsigned number)
{
	w->plane = p;
	w->number = number;
	w->tun_fd = -1;
	w->flush = send_frames;
	w->deliver = deliver_packets;
	w->epoll_fd = -1;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (unsigned v = 0; v < 2; v++)
		w->udp[v].fd = w->raw[v].fd = w->ah[v].fd = w->clear[v].fd = -1;
	w->read_arena = arena_new(READ_ARENA);
	w->frame_arena = arena_new(FRAME_ARENA);
	w->side_arena = arena_new(SIDE_ARENA);
	w->hold.mem = arena_new(HOLD_BYTES);
	w->early.mem = arena_new(EARLY_PACKETS * EARLY_ROOM);
	w->ike.mem = p->opts.ike ? arena_new(IKE_RING_BYTES) : NULL;
	w->rxq = sock_rxq_new(SOCK_RX_MAX, RX_BUFFER);
	w->crypt = crypt_ctx_new(number);
	if (!w->read_arena || !w->frame_arena || !w->rxq || !w->crypt || !w->hold.mem ||
	    !w->early.mem || !w->side_arena || w->wake_fd < 0 || (p->opts.ike && !w->ike.mem))
		return -ENOMEM;
	int rc = flow_table_init(&w->out_flows, random_u64());
	if (rc == 0)
		rc = flow_table_init(&w->in_flows, random_u64());
	if (rc == 0)
		rc = fragtab_init(&w->frag_out, random_u64());
	if (rc == 0)
		rc = fragtab_init(&w->frag_in, random_u64());
	if (rc == 0)
		rc = reasm_init(&w->reasm_out);
	return rc ? rc : reasm_init(&w->reasm_in);
}

void worker_fini(struct worker *w)
{
	bridge_free(&w->bridge);
	for (unsigned v = 0; v < 2; v++) {
		sock_close(&w->udp[v]);
		sock_close(&w->raw[v]);
		sock_close(&w->ah[v]);
		sock_close(&w->clear[v]);
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->side_arena)
		munmap(w->side_arena, SIDE_ARENA);
	if (w->hold.mem)
		munmap(w->hold.mem, HOLD_BYTES);
	if (w->early.mem)
		munmap(w->early.mem, EARLY_PACKETS * EARLY_ROOM);
	if (w->ike.mem)
		munmap(w->ike.mem, IKE_RING_BYTES);
	if (w->read_arena)
		munmap(w->read_arena, READ_ARENA);
	if (w->frame_arena)
		munmap(w->frame_arena, FRAME_ARENA);
	sock_rxq_free(&w->rxq);
	crypt_ctx_free(&w->crypt);
	flow_table_fini(&w->out_flows);
	flow_table_fini(&w->in_flows);
	fragtab_fini(&w->frag_out);
	fragtab_fini(&w->frag_in);
	reasm_fini(&w->reasm_out);
	reasm_fini(&w->reasm_in);
}
