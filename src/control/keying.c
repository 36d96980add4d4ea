/*
 * One engine, driven by the loop: datagrams from two sockets of our own (port 500) and from the
 * plane (port 4500), finished jobs, answered lookups, and a timer that is set, right before the loop
 * waits, to when the engine wants to be called next.
 */
#include "control/keying.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "control/keying_priv.h"

#define PER_TURN    64   /* datagrams of one source before others get a turn */
#define JOBS_WAIT   1024 /* for the crypto pool */
#define MAX_MESSAGE 65535u

/* ---- what the engine asks for -----------------------------------------------------------------
 */

static int env_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		    bool marker, struct span datagram)
{
	struct keying *k = ctx;
	struct udp *u = &k->udp[remote->addr.ver == 6];

	if (k->d->opened.bump)
		return knet_send_bump(k, local, remote, marker, datagram);
	if (marker)
		return plane_send_ike(k->d->plane, local, remote, datagram);
	return u->fd < 0 ? -ENOTCONN : udp_send(u, local, remote, datagram);
}

static void env_keepalive(void *ctx, const struct endpoint *local, const struct endpoint *remote)
{
	struct keying *k = ctx;
	int rc = plane_send_keepalive_to(k->d->plane, local, remote);

	if (rc)
		log_debug(LOG_IKE, "NAT keepalive: %s", strerror(-rc));
}

static int env_submit(void *ctx, struct ike_job *job)
{
	struct keying *k = ctx;
	return pool_submit(k->pool, job);
}

static void env_resolve(void *ctx, const char *name, struct ike_lookup *l)
{
	struct keying *k = ctx;
	lookup_ask(k->lookup, name, l);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void on_udp(struct ev_loop *loop, ev_io *w, int what)
{
	static uint8_t p[MAX_MESSAGE]; /* one thread reads */
	struct keying *k = w->data;
	struct udp *u = w == &k->on_udp[1] ? &k->udp[1] : &k->udp[0];
	struct endpoint local, remote;

	for (unsigned i = 0; i < PER_TURN; i++) {
		ssize_t n = udp_recv(u, p, sizeof(p), &local, &remote);
		if (n == -EAGAIN || n == -EWOULDBLOCK)
			return;
		if (n > 0)
			ike_receive(k->ike, &local, &remote, false, p, (size_t)n);
	}
}

static void take(void *arg, const struct endpoint *local, const struct endpoint *remote, uint8_t *p,
		 size_t len)
{
	struct keying *k = arg;
	bool marker = !k->d->opened.bump || local->port == k->d->opened.port;

	ike_receive(k->ike, local, remote, marker, p, len);
}

static void on_plane(struct ev_loop *loop, ev_io *w, int what)
{
	struct keying *k = w->data;
	(void)plane_ike_take(k->d->plane, take, k, PER_TURN);
}

static void on_pool(struct ev_loop *loop, ev_io *w, int what)
{
	struct keying *k = w->data;
	(void)pool_collect(k->pool);
}

static void on_lookup(struct ev_loop *loop, ev_io *w, int what)
{
	struct keying *k = w->data;
	(void)lookup_collect(k->lookup);
}

static void on_time(struct ev_loop *loop, ev_timer *w, int what)
{
	struct keying *k = w->data;

	k->timer_ns = UINT64_MAX;
	ike_tick(k->ike);
}

static void on_flush(struct ev_loop *loop, ev_timer *w, int what)
{
	knet_flush(w->data);
}

static double seconds_until(uint64_t at, uint64_t now)
{
	return at > now ? (double)(at - now) / 1e9 : 0.;
}

/* Everything that has happened in this turn of the loop may have changed when the engine is due. */
static void before_waiting(struct ev_loop *loop, ev_prepare *w, int what)
{
	struct keying *k = w->data;
	uint64_t at = ike_next_ns(k->ike);

	kevent_flush(k);
	if (at == k->timer_ns)
		return;
	k->timer_ns = at;
	ev_timer_stop(loop, &k->on_time);
	if (at == UINT64_MAX)
		return;
	ev_now_update(loop);
	ev_timer_set(&k->on_time, seconds_until(at, clock_now_ns()), 0.);
	ev_timer_start(loop, &k->on_time);
}

static void watch(struct keying *k, ev_io *w, void (*cb)(struct ev_loop *, ev_io *, int), int fd)
{
	ev_io_init(w, cb, fd, EV_READ);
	w->data = k;
	ev_io_start(k->d->loop, w);
}

static void start_loop(struct keying *k)
{
	for (unsigned v = 0; v < 2; v++)
		if (k->udp[v].fd >= 0)
			watch(k, &k->on_udp[v], on_udp, k->udp[v].fd);
	watch(k, &k->on_plane, on_plane, plane_ike_fd(k->d->plane));
	watch(k, &k->on_pool, on_pool, pool_fd(k->pool));
	watch(k, &k->on_lookup, on_lookup, lookup_fd(k->lookup));
	ev_prepare_start(k->d->loop, &k->before);
}

static void stop_loop(struct keying *k)
{
	struct ev_loop *loop = k->d->loop;

	ev_io_stop(loop, &k->on_udp[0]);
	ev_io_stop(loop, &k->on_udp[1]);
	ev_io_stop(loop, &k->on_plane);
	ev_io_stop(loop, &k->on_pool);
	ev_io_stop(loop, &k->on_lookup);
	ev_timer_stop(loop, &k->on_time);
	ev_timer_stop(loop, &k->on_flush);
	ev_prepare_stop(loop, &k->before);
}

/* ---- starting and stopping --------------------------------------------------------------------
 */

static int open_sockets(struct keying *k, const struct config *c, char *why, size_t whylen)
{
	const struct plane_opts *o = &k->d->opened;

	for (unsigned v = 0; v < 2; v++) {
		struct udp_opts uo = { .ver = v ? 6 : 4,
				       .port = c->port_ike,
				       .bind = v ? c->bind6 : c->bind4,
				       .mark = k->d->mark };
		if (!(v ? o->udp6 : o->udp4))
			continue;
		int rc = udp_open(&k->udp[v], &uo, why, whylen);
		if (rc)
			return rc;
	}
	return 0;
}

/* Packets need their CPUs, too. */
static unsigned threads_for(const struct config *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return c->ike_threads ? c->ike_threads : cpus > 3 ? (unsigned)cpus / 2 : 1;
}

static int make_engine(struct keying *k, const struct config *c, char *why, size_t whylen)
{
	struct ike_env env = { .ctx = k,
			       .send = env_send,
			       .source = knet_source,
			       .keepalive = env_keepalive,
			       .submit = env_submit,
			       .resolve = env_resolve,
			       .event = kevent_tell,
			       .audit = kevent_audit };

	ksa_env(&env);
	k->conf = ike_conf_ref(c->ike);
	return ike_new(&env, k->conf, &k->ike, why, whylen);
}

/* An instance with a run directory of its own, as tests have it, leaves the machine's alone. */
static const char *resolv_conf(const struct daemon *d, const struct config *c)
{
	if (c->resolv_conf)
		return *c->resolv_conf ? c->resolv_conf : NULL;
	return strcmp(d->run_dir, BW_RUNDIR) == 0 ? "/etc/resolv.conf" : NULL;
}

/* Going on without is no harm but to peers that would like to have their address again. */
static void open_leases(struct keying *k)
{
	char note[512];

	if (!k->d->state_dir)
		return;
	int rc = leasestore_open(k->d->state_dir, ike_leases_of(k->ike), clock_wall_ns(), &k->leases,
				 note, sizeof(note));
	if (*note)
		log_warn(LOG_IKE, "leases: %s%s", note,
			 rc ? ": those of before are forgotten, and new ones are not kept" : "");
}

int keying_new(struct daemon *d, const struct config *c, char *why, size_t whylen)
{
	struct keying *k = calloc(1, sizeof(*k));
	int rc;

	snprintf(why, whylen, "out of memory");
	if (!k)
		return -ENOMEM;
	d->keying = k;
	k->d = d;
	k->udp[0].fd = k->udp[1].fd = -1;
	k->timer_ns = UINT64_MAX;
	k->told = json_array();
	ev_init(&k->on_time, on_time);
	ev_init(&k->on_flush, on_flush);
	ev_prepare_init(&k->before, before_waiting);
	k->on_time.data = k->on_flush.data = k->before.data = k;
	rc = k->told ? open_sockets(k, c, why, whylen) : -ENOMEM;
	if (rc == 0)
		rc = pool_new(threads_for(c), JOBS_WAIT, &k->pool);
	if (rc == 0)
		rc = lookup_new(knet_named, k, &k->lookup);
	if (rc == 0)
		rc = make_engine(k, c, why, whylen);
	if (rc == 0)
		rc = dns_open(d->run_dir, resolv_conf(d, c), &k->dns);
	if (rc == 0)
		open_leases(k);
	if (rc)
		keying_free(&d->keying);
	return rc;
}

int keying_start_threads(struct keying *k)
{
	int rc = pool_start(k->pool);
	return rc ? rc : lookup_start(k->lookup);
}

void keying_start(struct keying *k)
{
	k->running = true;
	start_loop(k);
	knet_ends(k);
	/* routes of the file may cover the peers that are called now */
	model_peers_changed(k->d);
	ike_start(k->ike);
}

void keying_reload(struct keying *k)
{
	struct ike_conf *was = k->conf, *now = k->d->cfg->ike;

	/* a file without connections: nothing is allowed any more, all else stays as it was */
	now = now ? ike_conf_ref(now) : ike_conf_bare(was);
	if (!now) {
		log_error(LOG_IKE, "out of memory: connections go on as they were");
		return;
	}
	k->conf = now;
	knet_ends(k);
	model_peers_changed(k->d);
	ike_reload(k->ike, now);
	ike_conf_unref(&was);
}

void keying_goodbye(struct keying *k)
{
	if (k->running)
		ike_close_all(k->ike);
}

void keying_free(struct keying **kp)
{
	struct keying *k = *kp;

	if (!k)
		return;
	if (k->running)
		stop_loop(k);
	/* whoever waits for an answer gets one; nothing new is begun */
	if (k->pool)
		pool_drain(k->pool);
	lookup_free(&k->lookup);
	dns_close(&k->dns);
	if (leasestore_close(&k->leases))
		log_error(LOG_IKE, "leases could not be written: peers may get other addresses next time");
	if (k->ike)
		ike_free(&k->ike);
	pool_free(&k->pool);
	ev_timer_stop(k->d->loop, &k->on_flush);
	kevent_fini(k);
	ksa_fini(k);
	knet_fini(k);
	udp_close(&k->udp[0]);
	udp_close(&k->udp[1]);
	if (k->conf)
		ike_conf_unref(&k->conf);
	json_decref(k->told);
	free(k);
	*kp = NULL;
}

/* ---- orders -----------------------------------------------------------------------------------
 */

int keying_order(struct keying *k, enum keying_order what, const char *name, uint64_t *order,
		 char *why, size_t whylen)
{
	switch (what) {
	case KEYING_UP:
		return ike_initiate(k->ike, name, order, why, whylen);
	case KEYING_DOWN:
		return ike_terminate(k->ike, name, order, why, whylen);
	case KEYING_REKEY:
	case KEYING_REAUTH:
		return ike_rekey(k->ike, name, what == KEYING_REAUTH, order, why, whylen);
	}
	return -EINVAL;
}
