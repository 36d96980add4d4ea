/* The thread and the control thread share one counted block: whoever leaves last frees it, so that
 * nobody waits for a resolver that waits for a name server. */
#define _GNU_SOURCE 1 /* pthread_setname_np */

#include "control/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct question *next;
	struct ike_lookup *l; /* the control thread's alone */
	struct ip_addr addr[LOOKUP_ADDRS];
	unsigned n;
	char why[512]; /* "" when there are addresses */
	char name[256];
};

struct questions {
	struct question *first, **last;
	unsigned n;
};

struct lookup {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct questions waiting, answered;
	struct question *busy; /* with the thread */
	bool started, ending;
	unsigned users;
	int fd;
	void (*seen)(void *arg, const struct ip_addr *addr, unsigned n);
	void *arg;
};

static void put(struct questions *l, struct question *q)
{
	q->next = NULL;
	*l->last = q;
	l->last = &q->next;
	l->n++;
}

static struct question *get(struct questions *l)
{
	struct question *q = l->first;

	if (!q)
		return NULL;
	l->first = q->next;
	if (!l->first)
		l->last = &l->first;
	l->n--;
	return q;
}

/* Called locked. */
static void answer(struct lookup *s, struct question *q)
{
	static const uint64_t one = 1;

	put(&s->answered, q);
	(void)!write(s->fd, &one, sizeof(one));
}

static void resolve(struct question *q)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *list = NULL;
	int rc = getaddrinfo(q->name, NULL, &hints, &list);

	for (struct addrinfo *a = list; rc == 0 && a && q->n < LOOKUP_ADDRS; a = a->ai_next) {
		struct endpoint e;
		if (endpoint_from_sockaddr(a->ai_addr, &e) == 0)
			q->addr[q->n++] = e.addr;
	}
	if (list)
		freeaddrinfo(list);
	if (q->n == 0)
		snprintf(q->why, sizeof(q->why), "the name %s has no address: %s", q->name,
			 rc == EAI_SYSTEM ? strerror(errno)
			 : rc             ? gai_strerror(rc)
					  : "neither IPv4 nor IPv6");
}

/* Called locked, unlocks. */
static void leave(struct lookup *s)
{
	struct question *q;
	bool last = --s->users == 0;

	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	while ((q = get(&s->answered)))
		free(q);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	close(s->fd);
	free(s);
}

static void *work(void *arg)
{
	struct lookup *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		struct question *q = s->busy = get(&s->waiting);
		if (!q) {
			pthread_cond_wait(&s->more, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		resolve(q);
		pthread_mutex_lock(&s->lock);
		s->busy = NULL;
		answer(s, q);
	}
	leave(s);
	return NULL;
}

int lookup_new(void (*seen)(void *arg, const struct ip_addr *addr, unsigned n), void *arg,
	       struct lookup **out)
{
	struct lookup *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->fd < 0) {
		int rc = -errno;
		free(s);
		return rc;
	}
	s->seen = seen;
	s->arg = arg;
	s->waiting.last = &s->waiting.first;
	s->answered.last = &s->answered.first;
	s->users = 1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	*out = s;
	return 0;
}

int lookup_start(struct lookup *s)
{
	pthread_t t;

	s->users++;
	int rc = pthread_create(&t, NULL, work, s);
	if (rc) {
		s->users--;
		return -rc;
	}
	s->started = true;
	pthread_setname_np(t, "lookup");
	pthread_detach(t);
	return 0;
}

void lookup_ask(struct lookup *s, const char *name, struct ike_lookup *l)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q) { /* the one case in which an answer cannot wait */
		l->done(l, NULL, 0, "out of memory");
		return;
	}
	q->l = l;
	pthread_mutex_lock(&s->lock);
	if (strlen(name) >= sizeof(q->name)) {
		snprintf(q->why, sizeof(q->why), "a name of more than %zu characters",
			 sizeof(q->name) - 1);
		answer(s, q);
	} else if (!s->started || s->waiting.n >= LOOKUP_WAITING) {
		snprintf(q->why, sizeof(q->why), "too many names wait to be looked up");
		answer(s, q);
	} else {
		strcpy(q->name, name);
		put(&s->waiting, q);
		pthread_cond_signal(&s->more);
	}
	pthread_mutex_unlock(&s->lock);
}

int lookup_fd(const struct lookup *s)
{
	return s->fd;
}

unsigned lookup_collect(struct lookup *s)
{
	uint64_t seen;
	unsigned n = 0;

	(void)!read(s->fd, &seen, sizeof(seen));
	for (;; n++) {
		pthread_mutex_lock(&s->lock);
		struct question *q = get(&s->answered);
		pthread_mutex_unlock(&s->lock);
		if (!q)
			return n;
		if (q->n && s->seen)
			s->seen(s->arg, q->addr, q->n);
		if (q->l)
			q->l->done(q->l, q->addr, q->n, q->why[0] ? q->why : NULL);
		free(q);
	}
}

void lookup_free(struct lookup **sp)
{
	static const char stopping[] = "bumpwire is stopping";
	struct lookup *s = *sp;
	struct ike_lookup *busy = NULL;
	struct question *q;

	if (!s)
		return;
	*sp = NULL;
	(void)lookup_collect(s);
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	if (s->busy) {
		busy = s->busy->l;
		s->busy->l = NULL;
	}
	/* answered between the two locks: nobody collects them any more */
	struct questions open[2] = { s->waiting, s->answered };
	s->waiting = s->answered = (struct questions){ .n = 0 };
	s->waiting.last = &s->waiting.first;
	s->answered.last = &s->answered.first;
	pthread_cond_broadcast(&s->more);
	leave(s);
	if (busy)
		busy->done(busy, NULL, 0, stopping);
	for (unsigned i = 0; i < ARRAY_LEN(open); i++) {
		for (q = open[i].first; q; q = open[i].first) {
			open[i].first = q->next;
			if (q->l)
				q->l->done(q->l, NULL, 0, stopping);
			free(q);
		}
	}
}
