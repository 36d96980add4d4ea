/*
 * The loop of a worker: a batch from each end in turn, so that neither direction starves the other; when both are empty it
 * announces a quiescent state and sleeps until there is something to do.
 */
#include "plane/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/random.h"
#include "plane/internal.h"

#define RX_BUFFER 65536
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
		struct ipsec_event e = { .spi = sa->spi, .sa = sa };
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

static void begin_batch(struct worker *w)
{
	w->view = rcu_dereference(w->plane->view);
	w->now_ns = clock_now_ns();
	w->batch++;
}

/* One batch in each direction. True when there was something to do. */
static bool poll_once(struct worker *w)
{
	unsigned n = 0;

	for (unsigned v = 0; v < 2; v++) {
		n += inbound_socket(w, &w->udp[v], deliver_packets);
		n += inbound_socket(w, &w->raw[v], deliver_packets);
	}
	if (outbound_read(w) > 0) {
		outbound_batch(w, send_frames);
		n++;
	}
	return n > 0;
}

/* Sleeps until an end is readable or plane_stop() asks. */
static void sleep_until_work(struct worker *w)
{
	struct epoll_event ev;

	urcu_qsbr_thread_offline();
	(void)!epoll_wait(w->epoll_fd, &ev, 1, -1);
	urcu_qsbr_thread_online();
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t busy_ns = w->plane->opts.busy_poll_us * NS_PER_US;
	uint64_t last_work_ns = 0;

	urcu_qsbr_register_thread();
	while (!atomic_load_explicit(&w->plane->stop, memory_order_relaxed)) {
		begin_batch(w);
		bool worked = poll_once(w);
		urcu_qsbr_quiescent_state();
		if (worked)
			last_work_ns = w->now_ns;
		else if (busy_ns == 0 || w->now_ns - last_work_ns >= busy_ns)
			sleep_until_work(w);
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void *arena_new(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int worker_init(struct worker *w, struct plane *p, unsigned number)
{
	w->plane = p;
	w->number = number;
	w->tun_fd = -1;
	w->epoll_fd = -1;
	w->rx_want = SOCK_RX_MAX;
	for (unsigned v = 0; v < 2; v++)
		w->udp[v].fd = w->raw[v].fd = w->clear[v].fd = -1;
	w->read_arena = arena_new(READ_ARENA);
	w->frame_arena = arena_new(FRAME_ARENA);
	w->rxq = sock_rxq_new(SOCK_RX_MAX, RX_BUFFER);
	w->crypt = crypt_ctx_new(number);
	if (!w->read_arena || !w->frame_arena || !w->rxq || !w->crypt)
		return -ENOMEM;
	int rc = flow_table_init(&w->out_flows, random_u64());
	return rc ? rc : flow_table_init(&w->in_flows, random_u64());
}

void worker_fini(struct worker *w)
{
	for (unsigned v = 0; v < 2; v++) {
		sock_close(&w->udp[v]);
		sock_close(&w->raw[v]);
		sock_close(&w->clear[v]);
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->read_arena)
		munmap(w->read_arena, READ_ARENA);
	if (w->frame_arena)
		munmap(w->frame_arena, FRAME_ARENA);
	sock_rxq_free(&w->rxq);
	crypt_ctx_free(&w->crypt);
	flow_table_fini(&w->out_flows);
	flow_table_fini(&w->in_flows);
}
