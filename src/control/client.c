/* Connect, one line there, lines back. */
#include "control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/format.h"
#include "control/linebuf.h"
#include "control/rundir.h"
#include "control/wiped.h"

#define ANSWER_MAX ((size_t)1 << 30) /* 100,000 SAs are some 60 MB */

static int connect_to(const char *run_dir)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (rundir_path(run_dir, RUNDIR_SOCKET, sun.sun_path, sizeof(sun.sun_path))) {
		fprintf(stderr, "bumpwire: run directory %s: the name is too long\n", run_dir);
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		fprintf(stderr, "bumpwire: no bumpwire runs with run directory %s\n", run_dir);
	else
		fprintf(stderr, "bumpwire: %s: %s\n", sun.sun_path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_line(int fd, const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	bool ok = text != NULL;

	if (ok)
		text[len++] = '\n'; /* in place of the NUL */
	for (size_t sent = 0; ok && sent < len;) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
		ok = n > 0 || (n < 0 && errno == EINTR);
		sent += n > 0 ? (size_t)n : 0;
	}
	wiped_free(text);
	return ok;
}

/* The next line; NULL at the end of the stream or when it breaks. */
static char *next_line(int fd, struct linebuf *b)
{
	for (;;) {
		char *line = linebuf_next(b);
		size_t room;
		if (line)
			return line;
		char *to = linebuf_room(b, &room);
		ssize_t n = to ? recv(fd, to, room, 0) : -1;
		if (n < 0 && to && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		linebuf_put(b, (size_t)n);
	}
}

/* Warnings that name a place in a file say themselves that they are warnings. */
static void print_lines(const json_t *lines, bool warnings)
{
	size_t i;
	json_t *line;

	json_array_foreach(lines, i, line)
	{
		const char *text = json_string_value(line);
		bool plain = !warnings || strstr(text, "warning:");
		fprintf(stderr, "%s%s\n", plain ? "" : "warning: ", text);
	}
}

/* Reads the answer. NULL after the reason was printed. */
static json_t *answer_of(int fd, struct linebuf *b)
{
	char *line = next_line(fd, b);
	json_t *v = line ? json_loads(line, 0, NULL) : NULL;

	if (!v) {
		fprintf(stderr, "bumpwire: the daemon gave no answer\n");
		return NULL;
	}
	print_lines(json_object_get(v, "errors"), false);
	const json_t *result = json_object_get(v, "result");
	print_lines(json_object_get(result ? result : v, "warnings"), true);
	if (!json_is_true(json_object_get(v, "ok"))) {
		const char *why = json_string_value(json_object_get(v, "error"));
		fprintf(stderr, "bumpwire: %s\n", why ? why : "failed");
		json_decref(v);
		return NULL;
	}
	return v;
}

int client_ask(const char *run_dir, json_t *request, json_t **result)
{
	struct linebuf b;
	int fd = connect_to(run_dir);
	json_t *answer = NULL;

	*result = NULL;
	if (fd < 0)
		return 1;
	linebuf_init(&b, ANSWER_MAX);
	/* A daemon that is full of clients answers without having read: its words are worth more
	 * than our EPIPE. */
	(void)send_line(fd, request);
	answer = answer_of(fd, &b);
	if (answer)
		*result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	linebuf_fini(&b);
	close(fd);
	return answer ? 0 : 1;
}

/* -1: it goes on; else the exit status. */
static int print_order(const json_t *ev, const char *line, bool json)
{
	const char *name = json_string_value(json_object_get(ev, "event"));
	const char *text = json_string_value(json_object_get(ev, "text"));
	int status = !name				? 1
		     : strcmp(name, "order_done") == 0 ? 0
		     : strcmp(name, "ike_failed") == 0 ? 1
						       : -1;

	if (json)
		puts(line);
	else if (status == 1)
		fprintf(stderr, "bumpwire: %s\n", text ? text : "failed");
	else
		format_progress(ev, stdout);
	fflush(stdout);
	return status;
}

int client_order(const char *run_dir, const json_t *request, bool json)
{
	struct linebuf b;
	int fd = connect_to(run_dir), status = -1;
	json_t *answer;
	char *line;

	if (fd < 0)
		return 1;
	linebuf_init(&b, ANSWER_MAX);
	(void)send_line(fd, request);
	answer = answer_of(fd, &b);
	while (answer && status < 0 && (line = next_line(fd, &b))) {
		json_t *ev = json_loads(line, 0, NULL);
		status = print_order(ev, line, json);
		json_decref(ev);
	}
	if (answer && status < 0)
		fprintf(stderr, "bumpwire: the daemon has closed the connection\n");
	json_decref(answer);
	linebuf_fini(&b);
	close(fd);
	return status < 0 ? 1 : status;
}

int client_monitor(const char *run_dir, bool json)
{
	struct linebuf b;
	int fd = connect_to(run_dir), status = 1;
	json_t *request = json_pack("{s:s}", "cmd", "monitor"), *answer;
	char *line;

	if (fd < 0 || !request) {
		json_decref(request);
		return 1;
	}
	linebuf_init(&b, ANSWER_MAX);
	(void)send_line(fd, request);
	answer = answer_of(fd, &b);
	if (answer) {
		while ((line = next_line(fd, &b))) {
			json_t *ev = json_loads(line, 0, NULL);
			const char *name = json_string_value(json_object_get(ev, "event"));
			if (json)
				puts(line);
			else if (ev)
				format_event(ev, stdout);
			fflush(stdout);
			if (name && strcmp(name, "stopping") == 0)
				status = 0;
			json_decref(ev);
		}
		if (status)
			fprintf(stderr, "bumpwire: the daemon has closed the connection\n");
	}
	json_decref(answer);
	json_decref(request);
	linebuf_fini(&b);
	close(fd);
	return status;
}
