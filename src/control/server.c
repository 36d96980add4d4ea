/* A fixed array of clients, each with a request buffer and an output buffer; nothing in here ever
 * waits. */
#define _GNU_SOURCE 1 /* accept4 */

#include "control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "control/linebuf.h"
#include "control/wiped.h"

struct client {
	struct server *s;
	int fd; /* -1: free */
	struct server_wants wants;
	bool closing;
	struct linebuf in;
	char *out; /* out[sent..len) waits */
	size_t sent, len, cap;
	ev_io rd, wr;
	ev_timer idle;
};

struct server {
	struct ev_loop *loop;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ev_io listen;
	server_handler *handle;
	void *arg;
	struct client client[SERVER_CLIENTS];
};

static void client_drop(struct client *c)
{
	struct server *s = c->s;

	if (c->fd < 0)
		return;
	ev_io_stop(s->loop, &c->rd);
	ev_io_stop(s->loop, &c->wr);
	ev_timer_stop(s->loop, &c->idle);
	close(c->fd);
	c->fd = -1;
	linebuf_fini(&c->in);
	wiped_free(c->out);
	c->out = NULL;
	c->sent = c->len = c->cap = 0;
}

/* Writes what the socket takes. False when the client is gone. */
static bool client_flush(struct client *c)
{
	while (c->sent < c->len) {
		ssize_t n =
		    send(c->fd, c->out + c->sent, c->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return false;
		c->sent += (size_t)n;
		ev_timer_again(c->s->loop, &c->idle); /* it is reading */
	}
	wipe(c->out, c->len); /* keys may have been in it */
	c->sent = c->len = 0;
	return true;
}

/* Appends a line. False when memory ran out or the client has let too much pile up. */
static bool client_line(struct client *c, const json_t *v, size_t max)
{
	char *text = json_dumps(v, JSON_COMPACT);
	if (!text)
		return false;
	size_t len = strlen(text);
	bool ok = c->len - c->sent + len + 1 <= max;
	if (c->sent > c->len / 2) { /* a monitor may always have something waiting */
		memmove(c->out, c->out + c->sent, c->len - c->sent);
		c->len -= c->sent;
		c->sent = 0;
	}
	if (ok && c->len + len + 1 > c->cap) {
		size_t cap = c->len + len + 1 + 4096;
		char *p = wiped_grow(c->out, c->len, cap);
		ok = p != NULL;
		if (ok) {
			c->out = p;
			c->cap = cap;
		}
	}
	if (ok) {
		memcpy(c->out + c->len, text, len);
		c->out[c->len + len] = '\n';
		c->len += len + 1;
	}
	wiped_free(text);
	return ok;
}

/* What to wait for next: nothing more is read while an answer waits to be taken. */
static void client_rearm(struct client *c)
{
	struct ev_loop *loop = c->s->loop;

	if (!client_flush(c)) {
		client_drop(c);
		return;
	}
	bool pending = c->sent < c->len, follows = c->wants.monitor || c->wants.order;
	if (!pending && c->closing) {
		client_drop(c);
		return;
	}
	if (pending)
		ev_io_start(loop, &c->wr);
	else
		ev_io_stop(loop, &c->wr);
	if (pending && !follows)
		ev_io_stop(loop, &c->rd);
	else
		ev_io_start(loop, &c->rd);
	if (follows && !pending)
		ev_timer_stop(loop, &c->idle);
	else if (!ev_is_active(&c->idle))
		ev_timer_again(loop, &c->idle);
}

static void client_refuse(struct client *c, const char *why)
{
	json_t *v = json_pack("{s:b, s:s}", "ok", 0, "error", why);

	c->closing = true;
	if (!v || !client_line(c, v, SIZE_MAX))
		c->len = c->sent;
	json_decref(v);
}

static void client_request(struct client *c, const char *line)
{
	json_error_t je;
	json_t *req = json_loads(line, JSON_REJECT_DUPLICATES, &je);

	if (!json_is_object(req)) {
		client_refuse(c, "a request is one JSON object on one line");
		json_decref(req);
		return;
	}
	json_t *answer = c->s->handle(c->s->arg, req, &c->wants);
	/* An event raised meanwhile may have dropped this client, if it monitors and does not read.
	 */
	if (c->fd >= 0 && (!answer || !client_line(c, answer, SIZE_MAX)))
		c->closing = true;
	json_decref(answer);
	json_decref(req);
}

static void on_read(struct ev_loop *loop, ev_io *w, int what)
{
	struct client *c = w->data;
	size_t room;
	char *to = linebuf_room(&c->in, &room);

	if (!to) {
		client_refuse(c, "the request is too long");
		client_rearm(c);
		return;
	}
	ssize_t n = recv(c->fd, to, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	linebuf_put(&c->in, (size_t)n);
	ev_timer_again(loop, &c->idle);
	char *line;
	while (c->fd >= 0 && !c->closing && (line = linebuf_next(&c->in)))
		client_request(c, line);
	if (c->fd >= 0)
		client_rearm(c);
}

static void on_write(struct ev_loop *loop, ev_io *w, int what)
{
	client_rearm(w->data);
}

static void on_idle(struct ev_loop *loop, ev_timer *w, int what)
{
	struct client *c = w->data;

	log_debug(LOG_CONTROL, "client dropped: %s",
		  c->sent < c->len ? "it does not read" : "idle");
	client_drop(c);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int what)
{
	struct server *s = w->data;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
		struct client *c = &s->client[i];
		if (c->fd >= 0)
			continue;
		*c = (struct client){ .s = s, .fd = fd };
		linebuf_init(&c->in, SERVER_REQUEST_MAX);
		ev_io_init(&c->rd, on_read, fd, EV_READ);
		ev_io_init(&c->wr, on_write, fd, EV_WRITE);
		ev_init(&c->idle, on_idle);
		c->idle.repeat = SERVER_IDLE_S;
		c->rd.data = c->wr.data = c->idle.data = c;
		ev_io_start(loop, &c->rd);
		ev_timer_again(loop, &c->idle);
		return;
	}
	static const char full[] =
	    "{\"ok\":false,\"error\":\"too many clients of the control socket\"}\n";
	(void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static int listen_on(struct server *s, const char *path, char *why, size_t whylen)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path)) {
		snprintf(why, whylen, "%s: longer than the %zu bytes a socket's name may have",
			 path, sizeof(sun.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(sun.sun_path, path);
	strcpy(s->path, path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unlink(path);
	/* Created closed to others: there is no moment in which somebody else could connect. */
	mode_t mask = umask(0177);
	int rc = s->fd < 0 || bind(s->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	umask(mask);
	if (rc == 0 && listen(s->fd, SERVER_CLIENTS) < 0)
		rc = -errno;
	if (rc)
		snprintf(why, whylen, "control socket %s: %s", path, strerror(-rc));
	return rc;
}

int server_new(struct ev_loop *loop, const char *path, server_handler *handle, void *arg,
	       struct server **out, char *why, size_t whylen)
{
	struct server *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s) {
		snprintf(why, whylen, "out of memory");
		return -ENOMEM;
	}
	s->loop = loop;
	s->handle = handle;
	s->arg = arg;
	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		s->client[i].fd = -1;
	int rc = listen_on(s, path, why, whylen);
	if (rc) {
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return rc;
	}
	ev_io_init(&s->listen, on_accept, s->fd, EV_READ);
	s->listen.data = s;
	ev_io_start(loop, &s->listen);
	*out = s;
	return 0;
}

void server_free(struct server **sp)
{
	struct server *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
		struct client *c = &s->client[i];
		if (c->fd >= 0)
			(void)client_flush(c);
		client_drop(c);
	}
	ev_io_stop(s->loop, &s->listen);
	close(s->fd);
	(void)unlink(s->path);
	free(s);
}

static void send_event(struct client *c, const json_t *event)
{
	if (client_line(c, event, SERVER_MONITOR_MAX)) {
		client_rearm(c);
	} else {
		log_notice(LOG_CONTROL, "monitor dropped: it does not read");
		client_drop(c);
	}
}

void server_broadcast(struct server *s, const json_t *event)
{
	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		if (s->client[i].fd >= 0 && s->client[i].wants.monitor)
			send_event(&s->client[i], event);
}

void server_tell(struct server *s, uint64_t order, const json_t *event, bool last)
{
	for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
		struct client *c = &s->client[i];
		if (c->fd < 0 || c->wants.order != order)
			continue;
		if (last)
			c->wants.order = 0;
		send_event(c, event);
	}
}

bool server_watched(const struct server *s)
{
	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		if (s->client[i].fd >= 0 && s->client[i].wants.monitor)
			return true;
	return false;
}
