/* One mutex over two lists: what waits and what is finished. Jobs take a tenth of a millisecond or
 * more, so that the lock is not what anybody waits for. */
#define _GNU_SOURCE 1 /* pthread_setname_np */

#include "control/pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct jobs {
	struct ike_job *first, **last;
	unsigned n;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct jobs waiting, finished;
	unsigned running, max_waiting, threads, started;
	bool closing; /* nothing more is taken */
	bool ending;  /* threads leave when nothing waits */
	int fd;
	pthread_t thread[POOL_MAX_THREADS];
};

static void jobs_init(struct jobs *l)
{
	l->first = NULL;
	l->last = &l->first;
	l->n = 0;
}

static void jobs_put(struct jobs *l, struct ike_job *job)
{
	job->next = NULL;
	*l->last = job;
	l->last = &job->next;
	l->n++;
}

static struct ike_job *jobs_get(struct jobs *l)
{
	struct ike_job *job = l->first;

	if (!job)
		return NULL;
	l->first = job->next;
	if (!l->first)
		l->last = &l->first;
	l->n--;
	return job;
}

static void *work(void *arg)
{
	static const uint64_t one = 1;
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct ike_job *job = jobs_get(&p->waiting);
		if (!job && p->ending)
			break;
		if (!job) {
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		p->running++;
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		pthread_mutex_lock(&p->lock);
		p->running--;
		bool tell = p->finished.n == 0;
		jobs_put(&p->finished, job);
		if (tell)
			(void)!write(p->fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int pool_new(unsigned threads, unsigned waiting, struct pool **out)
{
	struct pool *p = calloc(1, sizeof(*p));

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->threads = threads < 1 ? 1 : threads > POOL_MAX_THREADS ? POOL_MAX_THREADS : threads;
	p->max_waiting = waiting;
	jobs_init(&p->waiting);
	jobs_init(&p->finished);
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->fd < 0) {
		int rc = -errno;
		free(p);
		return rc;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	*out = p;
	return 0;
}

int pool_start(struct pool *p)
{
	char name[16];

	while (p->started < p->threads) {
		int rc = pthread_create(&p->thread[p->started], NULL, work, p);
		if (rc)
			return -rc;
		snprintf(name, sizeof(name), "crypto-%u", p->started);
		pthread_setname_np(p->thread[p->started], name);
		p->started++;
	}
	return 0;
}

int pool_submit(struct pool *p, struct ike_job *job)
{
	pthread_mutex_lock(&p->lock);
	bool ok = !p->closing && p->waiting.n < p->max_waiting;
	if (ok) {
		jobs_put(&p->waiting, job);
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return ok ? 0 : -EAGAIN;
}

int pool_fd(const struct pool *p)
{
	return p->fd;
}

unsigned pool_threads(const struct pool *p)
{
	return p->threads;
}

unsigned pool_pending(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	unsigned n = p->waiting.n + p->running + p->finished.n;
	pthread_mutex_unlock(&p->lock);
	return n;
}

unsigned pool_collect(struct pool *p)
{
	struct ike_job *job;
	uint64_t seen;
	unsigned n = 0;

	(void)!read(p->fd, &seen, sizeof(seen));
	pthread_mutex_lock(&p->lock);
	struct ike_job *list = p->finished.first;
	jobs_init(&p->finished);
	pthread_mutex_unlock(&p->lock);
	while ((job = list)) {
		list = job->next; /* done() may free the job, or submit it again */
		job->done(job);
		n++;
	}
	return n;
}

void pool_drain(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_mutex_unlock(&p->lock);
	/* Without threads nobody would run what waits: it is run here. */
	for (struct ike_job *job; p->started == 0 && (job = jobs_get(&p->waiting));) {
		job->run(job);
		job->done(job);
	}
	while (pool_pending(p)) {
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
		(void)poll(&pfd, 1, 100);
		(void)pool_collect(p);
	}
}

void pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	if (!p)
		return;
	*pp = NULL;
	pool_drain(p);
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	close(p->fd);
	free(p);
}
