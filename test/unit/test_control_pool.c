/* Work on other threads: jobs and lookups come back on the thread that waits for them, each once. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/lookup.h"
#include "control/pool.h"
#include "test_control.h"

/* ---- jobs -------------------------------------------------------------------------------------
 */

struct job {
	struct ike_job job;
	pthread_t ran_on;
	unsigned ran, done;
	bool again;
	struct pool *pool;
};

static _Atomic bool hold;
static _Atomic unsigned begun;

static void run(struct ike_job *j)
{
	struct job *job = (struct job *)(void *)j;

	atomic_fetch_add(&begun, 1);
	while (atomic_load(&hold))
		usleep(1000);
	job->ran_on = pthread_self();
	job->ran++;
}

static void done(struct ike_job *j)
{
	struct job *job = (struct job *)(void *)j;

	job->done++;
	if (job->again) {
		job->again = false;
		ck_assert_int_eq(pool_submit(job->pool, &job->job), 0);
	}
}

static void collect(struct pool *p, unsigned n)
{
	struct pollfd pfd = { .fd = pool_fd(p), .events = POLLIN };
	unsigned got = 0;

	while (got < n) {
		ck_assert_int_eq(poll(&pfd, 1, 10000), 1);
		got += pool_collect(p);
	}
	ck_assert_uint_eq(got, n);
}

START_TEST(test_jobs)
{
	struct job job[50] = { 0 };
	struct pool *p;

	ck_assert_int_eq(pool_new(3, 100, &p), 0);
	ck_assert_uint_eq(pool_threads(p), 3);
	ck_assert_int_eq(pool_start(p), 0);
	for (int i = 0; i < 50; i++) {
		job[i] = (struct job){ .job = { run, done, NULL }, .again = i == 7, .pool = p };
		ck_assert_int_eq(pool_submit(p, &job[i].job), 0);
	}
	collect(p, 51);
	ck_assert_uint_eq(pool_pending(p), 0);
	for (int i = 0; i < 50; i++) {
		ck_assert_uint_eq(job[i].ran, i == 7 ? 2 : 1);
		ck_assert_uint_eq(job[i].done, i == 7 ? 2 : 1);
		ck_assert(!pthread_equal(job[i].ran_on, pthread_self()));
	}
	pool_free(&p);
	ck_assert_ptr_null(p);
}
END_TEST

START_TEST(test_jobs_are_bounded)
{
	struct job job[4] = { 0 };
	struct pool *p;

	for (int i = 0; i < 4; i++)
		job[i] = (struct job){ .job = { run, done, NULL } };
	ck_assert_int_eq(pool_new(1, 2, &p), 0);
	atomic_store(&hold, true);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_submit(p, &job[0].job), 0);
	while (atomic_load(&begun) == 0)
		usleep(1000);
	ck_assert_int_eq(pool_submit(p, &job[1].job), 0);
	ck_assert_int_eq(pool_submit(p, &job[2].job), 0);
	ck_assert_uint_eq(pool_pending(p), 3);
	ck_assert_int_eq(pool_submit(p, &job[3].job), -EAGAIN);
	atomic_store(&hold, false);
	pool_drain(p);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(job[i].done, 1);
	ck_assert_uint_eq(job[3].ran, 0);
	ck_assert_int_eq(pool_submit(p, &job[3].job), -EAGAIN); /* it is closing */
	pool_free(&p);
}
END_TEST

/* As after a start that failed half way: what was submitted comes back all the same. */
START_TEST(test_jobs_without_threads)
{
	struct job job = { .job = { run, done, NULL } };
	struct pool *p;

	ck_assert_int_eq(pool_new(1, 2, &p), 0);
	ck_assert_int_eq(pool_submit(p, &job.job), 0);
	pool_free(&p);
	ck_assert_uint_eq(job.done, 1);
}
END_TEST

/* ---- lookups ----------------------------------------------------------------------------------
 */

struct ask {
	struct ike_lookup l;
	unsigned done, n;
	struct ip_addr first;
	char why[256];
};

static unsigned seen;

static void on_seen(void *arg, const struct ip_addr *addr, unsigned n)
{
	ck_assert_ptr_eq(arg, &seen);
	seen += n;
}

static void answered(struct ike_lookup *l, const struct ip_addr *addr, unsigned n, const char *why)
{
	struct ask *a = (struct ask *)(void *)l;

	a->done++;
	a->n = n;
	if (n)
		a->first = addr[0];
	snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
}

static void wait_answer(struct lookup *s, const struct ask *a)
{
	struct pollfd pfd = { .fd = lookup_fd(s), .events = POLLIN };

	while (!a->done) {
		ck_assert_int_eq(poll(&pfd, 1, 30000), 1);
		(void)lookup_collect(s);
	}
}

START_TEST(test_lookup)
{
	struct ask local = { .l.done = answered }, bad = { .l.done = answered };
	struct lookup *s;

	seen = 0;
	ck_assert_int_eq(lookup_new(on_seen, &seen, &s), 0);
	ck_assert_int_eq(lookup_start(s), 0);
	lookup_ask(s, "localhost", &local.l);
	lookup_ask(s, "not a name!", &bad.l);
	wait_answer(s, &local);
	wait_answer(s, &bad);
	ck_assert_uint_ge(local.n, 1);
	ck_assert(local.first.ver == 4 ? local.first.b[0] == 127 : local.first.b[15] == 1);
	ck_assert_str_eq(local.why, "");
	ck_assert_uint_eq(seen, local.n);
	ck_assert_uint_eq(bad.n, 0);
	ck_assert_ptr_nonnull(strstr(bad.why, "the name not a name! has no address: "));
	lookup_free(&s);
	ck_assert_uint_eq(local.done, 1);
	ck_assert_uint_eq(bad.done, 1);
}
END_TEST

/* Too many, too long, nobody there to ask: an answer comes, and never from inside the question. */
START_TEST(test_lookup_refused)
{
	struct ask a = { .l.done = answered }, b = { .l.done = answered };
	struct lookup *s;
	char name[400];

	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(lookup_new(NULL, NULL, &s), 0);
	lookup_ask(s, "localhost", &a.l); /* no thread */
	lookup_ask(s, name, &b.l);
	ck_assert_uint_eq(a.done + b.done, 0);
	ck_assert_uint_eq(lookup_collect(s), 2);
	ck_assert_str_eq(a.why, "too many names wait to be looked up");
	ck_assert_ptr_nonnull(strstr(b.why, "255 characters"));
	lookup_free(&s);
}
END_TEST

START_TEST(test_lookup_at_the_end)
{
	struct ask a[40] = { 0 };
	struct lookup *s;

	ck_assert_int_eq(lookup_new(NULL, NULL, &s), 0);
	ck_assert_int_eq(lookup_start(s), 0);
	for (int i = 0; i < 40; i++) {
		a[i].l.done = answered;
		lookup_ask(s, "localhost", &a[i].l);
	}
	lookup_free(&s);
	for (int i = 0; i < 40; i++)
		ck_assert_uint_eq(a[i].done, 1);
	usleep(50000); /* the thread may still be at it: for the sanitizers */
}
END_TEST

TCase *control_pool_tests(void)
{
	TCase *c = tcase_create("pool");

	tcase_add_test(c, test_jobs);
	tcase_add_test(c, test_jobs_are_bounded);
	tcase_add_test(c, test_jobs_without_threads);
	tcase_add_test(c, test_lookup);
	tcase_add_test(c, test_lookup_refused);
	tcase_add_test(c, test_lookup_at_the_end);
	tcase_set_timeout(c, 60);
	return c;
}
