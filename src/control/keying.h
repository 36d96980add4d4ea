/*
 * The daemon's side of IKE: what the engine asks for through struct ike_env, made of the plane, the
 * loop, two kinds of threads and rtnetlink. Datagrams of port 500 (sockets of our own) and of port
 * 4500 (from the plane) enter the engine; its SAs enter the SAD, its policies the SPD, its routes
 * the kernel; its events become log lines, `monitor` lines, and the progress that `up`, `down` and
 * `rekey` wait for.
 *
 *   keying.c        starts, stops, drives the engine
 *   keying_sa.c     SPIs and children by reqid; what the SAD tells
 *   keying_group.c  the tables of these, and traps
 *   keying_net.c    the policies and routes that follow from them
 *   keying_event.c  events: monitor, orders, keys for Wireshark
 *   report_ike.c    what `status` and `list` show
 *
 * All of it belongs to the control thread.
 */
#ifndef CONTROL_KEYING_H
#define CONTROL_KEYING_H

#include "control/state.h"

struct keying;

/*
 * Opens the sockets for port 500, makes the crypto pool and the engine for a configuration with
 * connections; nothing is sent yet. d->keying is set. Before privileges are given up. 0, or -errno
 * with a sentence.
 */
int keying_new(struct daemon *d, const struct config *c, char *why, size_t whylen) warn_unused;
/* Starts the threads, which inherit the caller's signal mask. Before the system-call filter. */
int keying_start_threads(struct keying *k) warn_unused;
/* From here on messages are read; connections with a start_action begin. */
void keying_start(struct keying *k);
/* A new configuration (d->cfg) is in force. */
void keying_reload(struct keying *k);
/* Tells every peer that we leave. */
void keying_goodbye(struct keying *k);
/* Frees everything; waits for what the crypto pool is busy with. */
void keying_free(struct keying **k);

/* Policies in force and traps, negotiated ones first, appended to v[*n...]: at most
 * keying_policies_max(). k may be NULL. 0 or -ENOMEM; what was appended is the caller's. */
int keying_policies(const struct keying *k, struct policy **v, unsigned *n) warn_unused;
unsigned keying_policies_max(const struct keying *k);
/* Routes and peers of what is up or trapped, for netcfg_plan(); valid until the next call. k may be
 * NULL. */
const struct netcfg_more *keying_routes(struct keying *k);

/* ---- from the SAD ---- */

/* Whether the event was about keying; nothing else is to be done then. */
bool keying_sad_event(struct keying *k, const struct ipsec_event *e);
/* Once a second. */
void keying_tick(struct keying *k, uint64_t now);
/* Every SA in force. */
void keying_each_sa(struct keying *k, void (*cb)(struct sa *sa, void *arg), void *arg);

/* ---- orders ---- */

enum keying_order { KEYING_UP, KEYING_DOWN, KEYING_REKEY, KEYING_REAUTH };
/* Gives an order; its events go to whoever follows the number. 0 or -errno with a sentence. */
int keying_order(struct keying *k, enum keying_order what, const char *name, uint64_t *order,
		 char *why, size_t whylen) warn_unused;

/* ---- answers ---- */

json_t *report_conns(struct daemon *d);
json_t *report_certs(struct daemon *d);
json_t *report_leases(struct daemon *d);
/* IKE SAs as entries of `list sas`, appended. */
void report_ike_sas(struct daemon *d, json_t *list);
/* For `status`: counters and threads; null without connections. */
json_t *report_ike(struct daemon *d);
/* Lines for Wireshark's tables: {"esp": [...], "ikev2": [...]}; NULL when there are none to give,
 * because the configuration does not allow it. */
json_t *report_keys(struct daemon *d);

#endif
