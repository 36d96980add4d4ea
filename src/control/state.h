/*
 * The running daemon, as the files of control/ see it. One instance, owned by daemon_run();
 * everything here belongs to the control thread.
 *
 *   daemon.c   starts, stops, drives the loop
 *   model.c    configuration -> SAs, SPD, network; reload
 *   policies.c the SPD, from the file's policies and those of keying
 *   keying.c   IKE: see keying.h
 *   watch.c    events of the plane, lifetimes, keepalives, MTU, peers that move
 *   pmtu.c     MTU of paths from ICMP
 *   request.c  what the control socket asks for; report.c makes the answers
 */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include <ev.h>
#include <jansson.h>
#include <stdio.h>

#include "config/config.h"
#include "control/audit.h"
#include "control/bridge.h"
#include "control/dropwatch.h"
#include "control/netcfg.h"
#include "control/notify.h"
#include "control/seqstore.h"
#include "control/server.h"
#include "io/netlink.h"
#include "io/tun.h"
#include "plane/plane.h"

/* An installed SA and what the control thread remembers of it. */
struct managed_sa {
	struct sa *sa;         /* a reference of ours */
	uint64_t keepalive_ns; /* last NAT keepalive sent */
};

/* What is joined, or was tried. */
struct joined_group {
	struct plane_group g;
	bool joined;
	int error; /* why not: -errno */
};

struct daemon {
	struct ev_loop *loop;
	char *conf_path;
	char *run_dir;      /* owned */
	struct config *cfg; /* of the last successful load; keys already moved into the SAs */
	struct tun tun;
	bool tun_open;
	struct bridge_net bridge; /* in place of tun */
	struct netlink *nl;
	struct netcfg net;
	uint32_t mark;            /* of our sockets */
	struct plane_opts opened; /* what the plane was started with */
	struct plane *plane;      /* NULL: neither tun nor bridge section, nothing to carry */
	struct managed_sa *sas;   /* in the order of the file */
	unsigned n_sas;
	char *state_dir;       /* NULL: there is none */
	struct joined_group *groups; /* sorted */
	unsigned n_groups;
	struct seqstore *seqs; /* NULL: there is no place to keep sequence numbers */
	struct keying *keying; /* NULL: no connections were configured at the start */
	struct server *server;
	struct notify notify;
	bool filtered; /* system-call filter is in place */
	int lock_fd;
	/* what status tells */
	uint64_t started_ns, started_wall_ns, reloaded_wall_ns;
	uint64_t error_wall_ns;
	char error[512];                /* last error in words, "" for none */
	struct plane_stats now, before; /* at the last tick and the one before it */
	uint64_t now_ns, before_ns;
	struct dropwatch drops;
	struct audit_state audit;
	/* the loop's */
	ev_signal on_term, on_int, on_hup;
	ev_timer tick;
	ev_io plane_io;
	int icmp_fd[2]; /* IPv4, IPv6; -1: not open */
	ev_io icmp_io[2];
	int learner_fd[2]; /* ESP, AH; icmp_open_learner() */
	struct peer_sent { /* by a hash of the peer: something was sent there last */
		struct ip_addr src;
		struct endpoint dst;
		uint64_t ns;
	} sent[256];
	uint32_t mtu_warned; /* the number last warned about */
	uint64_t mtu_checked_ns;
	bool stopping;
};

/* ---- model.c ---- */

/*
 * Puts a configuration into force: the first one, or the next, of which only what changed is
 * touched. Takes *cfg over on success; on failure nothing has changed and every reason is a line in
 * err, and *cfg stays the caller's. Warnings go to warn, a line each.
 */
int model_apply(struct daemon *d, struct config **cfg, FILE *err, FILE *warn) warn_unused;
/* Sockets that a configuration needs, into o; everything else of it is filled in too. */
void model_plane_opts(const struct config *c, struct plane_opts *o);
/* Reads the file again and applies it. errors and warnings: arrays of sentences, new references. 0
 * or -errno. */
int model_reload(struct daemon *d, json_t **errors, json_t **warnings) warn_unused;
/* Brings rules and routes in line with where the peers are now. */
void model_peers_changed(struct daemon *d);
/* Gives up SAs and takes network configuration back, at the end. */
void model_release(struct daemon *d);
/* Connections in the file. */
unsigned model_connections(const struct daemon *d);
/* Index of the SA among d->sas, or -1. */
int model_find(const struct daemon *d, const struct sa *sa);

/* ---- watch.c ---- */

/* Handles what waits in the plane's event queues. */
void watch_events(struct daemon *d);
/* Once a second: lifetimes by time, keepalives, drop reports, path MTU. */
void watch_tick(struct daemon *d);
/* Tells of the lifetime bits (SA_SOFT, SA_HARD) of an SA: log and monitor. what: which limit it
 * was, "time" for one. */
void watch_lifetime(struct daemon *d, const struct sa *sa, unsigned bits, const char *what);
/* Keeps the state directory ahead of the sequence numbers in use. */
void watch_seqs(struct daemon *d);
/* Path MTU of every outbound SA from the routing table and what ICMP has told. */
void watch_mtu(struct daemon *d);
/* The same for one, when it is new or has moved. */
void watch_mtu_of(struct daemon *d, struct sa *sa);
/* MTU of an outbound SA's way out, without what ICMP has told; what it starts with where there is no
 * route, as behind an SA around it. */
uint32_t watch_route_mtu(struct daemon *d, const struct sa *sa);

/* ---- pmtu.c ---- */

/* Opens the ICMP sockets, where it may, and listens. Before privileges are given up. */
void pmtu_start(struct daemon *d);
void pmtu_stop(struct daemon *d);
/* An EV_TOO_BIG of the plane. */
void pmtu_event(struct daemon *d, const struct ipsec_event *e);

/* ---- request.c ---- */

/* Answers one request of the control socket; NULL never: failures are answers too. *wants: which
 * events the client gets from now on. */
json_t *request_handle(void *daemon, json_t *request, struct server_wants *wants);

/* ---- report.c ---- */

json_t *report_status(struct daemon *d);
json_t *report_sas(struct daemon *d);
json_t *report_policies(struct daemon *d);
json_t *report_drops(struct daemon *d);
/* One SA as an entry of `list sas`. */
json_t *report_sa(struct sa *sa, uint64_t now);

/* Sends an event to all monitors: name, and fields (stolen; may be NULL). */
void daemon_event(struct daemon *d, const char *name, json_t *fields);

#endif
