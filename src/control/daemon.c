/*
 * The life of the daemon. Start: protect memory, read the configuration, take the run directory,
 * open device and sockets, put the configuration into force, make the IKE engine, listen for
 * control, give up privileges, start workers and other threads, filter system calls, let IKE begin,
 * say READY. Then the event loop. The end is the start backwards.
 */
#define _GNU_SOURCE 1 /* asprintf */

#include "control/daemon.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "config.h"
#include "control/antispoof.h"
#include "control/keying.h"
#include "control/privilege.h"
#include "control/rundir.h"
#include "control/state.h"
#include "crypto/crypt.h"

#define LINE 512

static struct daemon *the_daemon; /* for the log's hook, which takes no argument */

/* ---- the log ----------------------------------------------------------------------------------
 */

/* Under the journal, lines carry their priority; it says so by naming the stream behind standard
 * error. */
static bool under_journal(void)
{
	const char *js = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return js && sscanf(js, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

/* Keeps the last error in words for `status`. */
static void on_log(enum log_subsys s, enum log_level l, const char *line)
{
	struct daemon *d = the_daemon;

	if (!d || l != LOG_LVL_ERROR)
		return;
	snprintf(d->error, sizeof(d->error), "%s", line);
	d->error_wall_ns = clock_wall_ns();
}

/* ---- starting ---------------------------------------------------------------------------------
 */

static bool failed(const char *what, const char *why)
{
	log_error(LOG_MAIN, "%s%s%s", what, *what ? ": " : "", why);
	return false;
}

static bool start_libraries(void)
{
	int rc = secret_init();

	if (rc)
		return failed("libsodium", strerror(-rc));
	rc = crypt_init();
	return rc == 0 || failed("crypto", strerror(-rc));
}

static bool start_config(struct daemon *d, struct config **cfg, const char *run_dir)
{
	char why[LINE], path[PATH_MAX];

	if (config_load(d->conf_path, stderr, cfg))
		return failed(d->conf_path, "not usable; nothing was started");
	if (!run_dir)
		run_dir = (*cfg)->run_dir ? (*cfg)->run_dir : BW_RUNDIR;
	d->run_dir = strdup(run_dir);
	if (!d->run_dir)
		return failed("", "out of memory");
	if (rundir_path(run_dir, RUNDIR_SOCKET, path, sizeof(path)))
		return failed(run_dir, "the name is too long");
	if (rundir_take(run_dir, &d->lock_fd, why, sizeof(why)))
		return failed("", why);
	return true;
}

static bool start_device(struct daemon *d, const struct config *c)
{
	char why[LINE];
	struct tun_opts o = { .name = c->tun->name,
			      .queues = d->opened.workers,
			      .offload = c->tun->offload,
			      .persist = c->tun->persist };

	int rc = netlink_open(&d->nl);
	if (rc)
		return failed("rtnetlink", strerror(-rc));
	if (tun_open(&d->tun, &o, why, sizeof(why)))
		return failed(c->tun->name, why);
	d->tun_open = true;
	/* Routes can only be added to a link that is up; nobody reads its packets before the
	 * policies are in force. */
	if (netlink_link_mtu(d->nl, d->tun.ifindex, c->tun->mtu) ||
	    netlink_link_up(d->nl, d->tun.ifindex, true))
		return failed(d->tun.name, netlink_why(d->nl));
	return true;
}

static bool start_bridge(struct daemon *d, const struct config *c)
{
	char why[LINE];
	struct port_opts o = { .queues = d->opened.workers, .rcvbuf = c->rcvbuf, .sndbuf = c->sndbuf };
	int rc = netlink_open(&d->nl);

	if (rc)
		return failed("rtnetlink", strerror(-rc));
	if (bridge_open(&d->bridge, d->nl, c->bridge, &o, why, sizeof(why)))
		return failed(c->bridge->name, why);
	d->opened.ports = d->bridge.port;
	return true;
}

static bool start_plane(struct daemon *d, const struct config *c)
{
	char why[LINE];

	d->mark = c->fwmark ? c->fwmark : privilege_has_net_admin() ? NETCFG_MARK : 0;
	d->opened.mark = d->mark;
	/* A bypass policy may come with a reload, when sockets cannot be opened any more. */
	bool needed = d->opened.bypass;
	d->opened.bypass = needed || (d->tun_open && privilege_has_net_raw());
	struct tun *tun = d->tun_open ? &d->tun : NULL;
	int rc = plane_new(&d->opened, tun, &d->plane, why, sizeof(why));
	if (rc && d->opened.bypass && !needed) {
		d->opened.bypass = false;
		rc = plane_new(&d->opened, tun, &d->plane, why, sizeof(why));
	}
	return rc == 0 || failed("sockets", why);
}

/*
 * Where sequence numbers outlive us. An instance with a run directory of its own, as tests have it,
 * keeps them there, so that instances do not write one file; otherwise it is the state directory.
 */
static bool start_state(struct daemon *d, const struct config *c)
{
	bool own = strcmp(d->run_dir, BW_RUNDIR) != 0;
	const char *dir = c->state_dir ? c->state_dir : own ? d->run_dir : BW_STATEDIR;
	char why[LINE];
	int rc = rundir_make(dir);

	if (rc) { /* nothing can be there to be repeated */
		log_warn(LOG_MAIN,
			 "state directory %s: %s: after a restart, peers will take our packets for "
			 "replays until "
			 "they have caught up",
			 dir, strerror(-rc));
		return true;
	}
	d->state_dir = strdup(dir);
	return seqstore_open(dir, &d->seqs, why, sizeof(why)) == 0 || failed("", why);
}

/* Once, at start: what the administrator has to see to. */
static void hint(const struct daemon *d)
{
	char text[LINE];

	if (antispoof_hint(d->cfg, ANTISPOOF_SYSCTL, text, sizeof(text)))
		log_notice(LOG_NET, "%s", text);
}

static bool start_model(struct daemon *d, struct config **cfg)
{
	char *text = NULL;
	size_t len;
	FILE *err = open_memstream(&text, &len);

	if (!err)
		return failed("", "out of memory");
	int rc = model_apply(d, cfg, err, stderr);
	fclose(err);
	for (char *line = text; rc && line && *line;) {
		char *end = line + strcspn(line, "\n");
		bool more = *end;
		*end = '\0';
		log_error(LOG_CONFIG, "%s", line);
		line = end + more;
	}
	free(text);
	if (rc == 0)
		hint(d);
	return rc == 0;
}

static bool start_keying(struct daemon *d)
{
	char why[LINE];

	if (!d->cfg->ike)
		return true;
	if (!d->plane)
		return failed(d->conf_path, "connections need a tun section, or a bridge");
	return keying_new(d, d->cfg, why, sizeof(why)) == 0 || failed("IKE", why);
}

static bool start_control(struct daemon *d)
{
	char path[PATH_MAX], why[LINE];

	if (rundir_path(d->run_dir, RUNDIR_SOCKET, path, sizeof(path)))
		return failed(d->run_dir, "the name is too long");
	if (server_new(d->loop, path, request_handle, d, &d->server, why, sizeof(why)))
		return failed("", why);
	return true;
}

static bool start_workers(struct daemon *d)
{
	sigset_t all, was;

	/* Signals are for the event loop's thread; workers inherit the mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	int rc = d->plane ? plane_start(d->plane) : 0;
	if (rc == 0 && d->keying)
		rc = keying_start_threads(d->keying);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return rc == 0 || failed("threads", strerror(-rc));
}

static bool give_up_privileges(struct daemon *d)
{
	char why[LINE];

	if (privilege_drop(why, sizeof(why)))
		return failed("", why);
	if (!start_workers(d))
		return false;
	/* A kernel without filters is no reason not to run. */
	if (d->cfg->seccomp && privilege_filter(&d->filtered, why, sizeof(why)))
		log_warn(LOG_MAIN, "%s: running without it", why);
	return true;
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void on_stop(struct ev_loop *loop, ev_signal *w, int what)
{
	struct daemon *d = w->data;

	log_notice(LOG_MAIN, "stopping (%s)", w->signum == SIGINT ? "interrupt" : "terminate");
	d->stopping = true;
	ev_break(loop, EVBREAK_ALL);
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int what)
{
	json_t *errors, *warnings;

	(void)!model_reload(w->data, &errors, &warnings); /* told in the log */
	json_decref(errors);
	json_decref(warnings);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int what)
{
	watch_tick(w->data);
}

static void on_plane(struct ev_loop *loop, ev_io *w, int what)
{
	watch_events(w->data);
}

static void start_watchers(struct daemon *d)
{
	ev_signal_init(&d->on_term, on_stop, SIGTERM);
	ev_signal_init(&d->on_int, on_stop, SIGINT);
	ev_signal_init(&d->on_hup, on_hup, SIGHUP);
	ev_timer_init(&d->tick, on_tick, 1., 1.);
	d->on_term.data = d->on_int.data = d->on_hup.data = d->tick.data = d->plane_io.data = d;
	ev_signal_start(d->loop, &d->on_term);
	ev_signal_start(d->loop, &d->on_int);
	ev_signal_start(d->loop, &d->on_hup);
	ev_timer_start(d->loop, &d->tick);
	if (d->plane) {
		ev_io_init(&d->plane_io, on_plane, plane_event_fd(d->plane), EV_READ);
		d->plane_io.data = d;
		ev_io_start(d->loop, &d->plane_io);
	}
}

static bool start(struct daemon *d, const char *run_dir)
{
	struct config *cfg = NULL;

	privilege_protect_memory();
	bool ok = start_libraries() && start_config(d, &cfg, run_dir);
	if (ok) {
		model_plane_opts(cfg, &d->opened);
		d->loop = ev_default_loop(EVFLAG_NOENV);
		if (!d->loop)
			ok = failed("", "no event loop");
	}
	if (ok && cfg->tun)
		ok = start_device(d, cfg) && start_plane(d, cfg);
	else if (ok && cfg->bridge)
		ok = start_bridge(d, cfg) && start_plane(d, cfg);
	else if (ok)
		log_warn(LOG_MAIN, "%s: no tun section: nothing to carry", d->conf_path);
	if (ok && d->plane)
		pmtu_start(d);
	if (ok) {
		start_watchers(d);
		ok = start_state(d, cfg) && start_model(d, &cfg) && start_keying(d) &&
		     start_control(d) && give_up_privileges(d);
	}
	config_free(&cfg);
	if (ok && d->keying)
		keying_start(d->keying);
	return ok;
}

/* The start backwards; also after a start that got half way. */
static void stop(struct daemon *d)
{
	notify_send(&d->notify, "STOPPING=1\nSTATUS=stopping");
	if (d->server)
		daemon_event(d, "stopping", NULL);
	if (d->loop) {
		ev_signal_stop(d->loop, &d->on_term);
		ev_signal_stop(d->loop, &d->on_int);
		ev_signal_stop(d->loop, &d->on_hup);
		ev_timer_stop(d->loop, &d->tick);
		ev_io_stop(d->loop, &d->plane_io);
		pmtu_stop(d);
		server_free(&d->server);
	}
	d->stopping = true;
	if (d->keying)
		keying_goodbye(d->keying);
	if (d->plane)
		plane_stop(d->plane);
	keying_free(&d->keying);
	if (seqstore_close(&d->seqs))
		log_error(LOG_SAD,
			  "sequence numbers could not be written: the next start skips some");
	model_release(d);
	plane_free(&d->plane);
	if (d->tun_open)
		tun_close(&d->tun);
	bridge_close(&d->bridge, d->nl, d->cfg ? d->cfg->bridge : NULL);
	if (d->nl)
		netlink_close(&d->nl);
	config_free(&d->cfg);
	if (d->loop)
		ev_loop_destroy(d->loop);
	rundir_release(d->run_dir, &d->lock_fd);
	notify_close(&d->notify);
	free(d->run_dir);
	free(d->state_dir);
	free(d->conf_path);
}

/* Reload finds the file again, wherever we stand then; links are followed anew each time. */
static char *absolute(const char *path)
{
	char *cwd = *path == '/' ? NULL : getcwd(NULL, 0), *out = NULL;

	if (!cwd)
		return strdup(path);
	if (asprintf(&out, "%s/%s", cwd, path) < 0)
		out = NULL;
	free(cwd);
	return out;
}

int daemon_run(const char *conf_path, const char *run_dir)
{
	struct daemon *d = calloc(1, sizeof(*d));
	int status = 1;

	if (!d)
		return 1;
	d->lock_fd = -1;
	d->icmp_fd[0] = d->icmp_fd[1] = d->learner_fd[0] = d->learner_fd[1] = -1;
	d->started_ns = clock_now_ns();
	d->started_wall_ns = clock_wall_ns();
	log_set_output(stderr, under_journal());
	the_daemon = d;
	log_set_hook(on_log);
	signal(SIGPIPE, SIG_IGN);
	int rc = notify_open(&d->notify, getenv("NOTIFY_SOCKET"));
	if (rc)
		log_warn(LOG_MAIN, "service manager at %s: %s", getenv("NOTIFY_SOCKET"),
			 strerror(-rc));
	d->conf_path = absolute(conf_path);
	if (d->conf_path && start(d, run_dir)) {
		log_notice(LOG_MAIN,
			   "bumpwire " PACKAGE_VERSION
			   " is up: %u connections, %u manual SAs, %u policies, %u workers, run "
			   "directory %s",
			   model_connections(d), d->n_sas, d->cfg->n_policy,
			   d->plane ? plane_workers(d->plane) : 0, d->run_dir);
		notify_send(&d->notify, "READY=1\nSTATUS=%u connections, %u manual SAs, %u policies",
			    model_connections(d), d->n_sas, d->cfg->n_policy);
		ev_run(d->loop, 0);
		status = 0;
	}
	stop(d);
	log_set_hook(NULL);
	the_daemon = NULL;
	free(d);
	return status;
}
