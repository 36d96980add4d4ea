/*
 * The control socket: a Unix stream socket on which a client sends one JSON object a line and gets
 * one back for each; a client that asked to monitor gets a line for every event from then on, one
 * that gave an order a line for every event of this order until it is over. The
 * number of clients, the length of a request and the time a client may take are bounded: whoever
 * does not read is dropped.
 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define SERVER_CLIENTS     16
#define SERVER_REQUEST_MAX 4096       /* bytes of a request line */
#define SERVER_MONITOR_MAX (1u << 20) /* bytes of events that may wait for one client */
#define SERVER_IDLE_S      30.        /* a client that is neither asking, reading nor monitoring */

struct server;

/* What follows the answer. */
struct server_wants {
	bool monitor;   /* all events */
	uint64_t order; /* those of this order; 0: none */
};

/* Answers one request (borrowed) with a new object. *wants is what follows until now, and may be
 * changed. */
typedef json_t *server_handler(void *arg, json_t *request, struct server_wants *wants);

/* Listens on path, mode 0600; a socket left there is replaced (the caller holds the directory's
 * lock). 0, or -errno with a sentence. */
int server_new(struct ev_loop *loop, const char *path, server_handler *handle, void *arg,
	       struct server **out, char *why, size_t whylen) warn_unused;
/* Drops all clients, after a last try to hand them what waits, and removes the socket. */
void server_free(struct server **s);
/* Sends an event to every monitoring client. */
void server_broadcast(struct server *s, const json_t *event);
/* Sends an event to whoever gave the order; last: nothing follows. */
void server_tell(struct server *s, uint64_t order, const json_t *event, bool last);
/* Is anybody monitoring? */
bool server_watched(const struct server *s);

#endif
