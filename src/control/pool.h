/*
 * Threads for work that takes long and touches nothing of ours: the public-key operations of IKE.
 * Jobs enter from the control thread and are run in order of arrival by whichever thread is free;
 * what is finished makes a file descriptor readable, and pool_collect() calls its done() on the
 * control thread. What may wait is bounded.
 */
#ifndef CONTROL_POOL_H
#define CONTROL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ike/ike.h"

#define POOL_MAX_THREADS 64

struct pool;

/* threads: 1..POOL_MAX_THREADS; waiting: how many jobs may be waiting for a thread. No thread runs
 * before pool_start(). 0 or -errno. */
int pool_new(unsigned threads, unsigned waiting, struct pool **out) warn_unused;
/* Starts the threads. They inherit the caller's signal mask. 0 or -errno: some may run then, and
 * pool_free() ends them. */
int pool_start(struct pool *p) warn_unused;
/* 0; -EAGAIN when too many wait, or the pool is closing. */
int pool_submit(struct pool *p, struct ike_job *job) warn_unused;
/* Readable when something is finished. */
int pool_fd(const struct pool *p);
/* Calls done() of what is finished; returns how many. A done() may submit again. */
unsigned pool_collect(struct pool *p);
unsigned pool_threads(const struct pool *p);
/* Jobs waiting for a thread, being run, or finished and not collected. */
unsigned pool_pending(struct pool *p);
/* Takes no more jobs, runs those it has, and calls their done(). */
void pool_drain(struct pool *p);
/* Drains if that was not done, ends the threads. */
void pool_free(struct pool **p);

#endif
