/* The control socket with real clients, driven step by step: good and bad requests, limits,
 * monitors that do not read. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/server.h"
#include "test_control.h"

static char path[64];
static struct ev_loop *loop;
static struct server *server;
static unsigned asked;

/* "big" gets a long answer, "monitor" monitors, "order" follows order 7, "event" raises one while it
 * is answered. */
static json_t *handle(void *arg, json_t *request, struct server_wants *wants)
{
	const char *cmd = json_string_value(json_object_get(request, "cmd"));

	asked++;
	ck_assert_ptr_eq(arg, &asked);
	if (cmd && strcmp(cmd, "monitor") == 0)
		wants->monitor = true;
	if (cmd && strcmp(cmd, "order") == 0)
		wants->order = 7;
	if (cmd && strcmp(cmd, "event") == 0) {
		json_t *e = json_pack("{s:s}", "event", "x");
		server_broadcast(server, e);
		json_decref(e);
	}
	if (cmd && strcmp(cmd, "big") == 0) {
		char *text = malloc(3000001);
		memset(text, 'x', 3000000);
		text[3000000] = '\0';
		json_t *v = json_pack("{s:s}", "big", text);
		free(text);
		return v;
	}
	return json_pack("{s:b, s:s}", "ok", 1, "cmd", cmd ? cmd : "");
}

static void up(void)
{
	char why[256];

	snprintf(path, sizeof(path), "/tmp/bw-control-%d.sock", (int)getpid());
	loop = ev_loop_new(0);
	asked = 0;
	ck_assert_msg(server_new(loop, path, handle, &asked, &server, why, sizeof(why)) == 0, "%s",
		      why);
}

static void down(void)
{
	server_free(&server);
	ck_assert_int_eq(access(path, F_OK), -1);
	ev_loop_destroy(loop);
}

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

static int dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sun.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	turn();
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn();
}

/* What has arrived; "" when nothing has; "EOF" at the end. */
static const char *hear(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return "EOF";
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

START_TEST(test_mode)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_requests)
{
	int fd = dial();

	say(fd, "{\"cmd\":\"a\"}\n{\"cmd\":");
	ck_assert_str_eq(hear(fd), "{\"ok\":true,\"cmd\":\"a\"}\n");
	say(fd, "\"b\"}\n");
	ck_assert_str_eq(hear(fd), "{\"ok\":true,\"cmd\":\"b\"}\n");
	close(fd);
	turn();
}
END_TEST

START_TEST(test_bad_requests)
{
	static const char *const bad[] = {
		"hello\n", "[1]\n", "\n", "{\"cmd\":\"a\",\"cmd\":\"b\"}\n", "{\"cmd\":\"\xff\"}\n",
		"7\n"
	};
	int fd = dial();

	say(fd, bad[_i]);
	ck_assert_ptr_nonnull(strstr(hear(fd), "\"ok\":false"));
	ck_assert_str_eq(hear(fd), "EOF");
	ck_assert_uint_eq(asked, 0);
	close(fd);
}
END_TEST

START_TEST(test_request_too_long)
{
	int fd = dial();
	char text[SERVER_REQUEST_MAX + 100];

	memset(text, ' ', sizeof(text));
	(void)!send(fd, text, sizeof(text), MSG_NOSIGNAL);
	turn();
	ck_assert_ptr_nonnull(strstr(hear(fd), "too long"));
	ck_assert_str_eq(hear(fd), "EOF");
	close(fd);
}
END_TEST

START_TEST(test_too_many_clients)
{
	int fd[SERVER_CLIENTS + 1];

	for (unsigned i = 0; i <= SERVER_CLIENTS; i++)
		fd[i] = dial();
	ck_assert_ptr_nonnull(strstr(hear(fd[SERVER_CLIENTS]), "too many clients"));
	ck_assert_str_eq(hear(fd[SERVER_CLIENTS]), "EOF");
	close(fd[0]); /* makes room */
	turn();
	fd[0] = dial();
	say(fd[0], "{\"cmd\":\"a\"}\n");
	ck_assert_ptr_nonnull(strstr(hear(fd[0]), "\"ok\":true"));
	for (unsigned i = 0; i <= SERVER_CLIENTS; i++)
		close(fd[i]);
	turn();
}
END_TEST

/* A long answer arrives whole, however slowly it is read, and nothing else is answered before. */
START_TEST(test_slow_reader)
{
	int fd = dial();
	size_t total = 0;
	char last = 0;

	say(fd, "{\"cmd\":\"big\"}\n");
	say(fd, "{\"cmd\":\"after\"}\n");
	ck_assert_uint_eq(asked, 1);
	for (int i = 0; i < 10000 && total < 3000000 + 40; i++) {
		const char *t = hear(fd);
		ck_assert_str_ne(t, "EOF");
		total += strlen(t);
		if (*t)
			last = t[strlen(t) - 1];
		ev_run(loop, EVRUN_NOWAIT);
	}
	ck_assert_int_eq(last, '\n');
	ck_assert_uint_eq(asked, 2);
	close(fd);
	turn();
}
END_TEST

START_TEST(test_monitor)
{
	int fd = dial(), other = dial();
	json_t *e = json_pack("{s:s}", "event", "y");

	ck_assert(!server_watched(server));
	say(fd, "{\"cmd\":\"monitor\"}\n");
	ck_assert_ptr_nonnull(strstr(hear(fd), "\"ok\":true"));
	ck_assert(server_watched(server));
	server_broadcast(server, e);
	ck_assert_str_eq(hear(fd), "{\"event\":\"y\"}\n");
	ck_assert_str_eq(hear(other), "");
	say(other, "{\"cmd\":\"event\"}\n");
	ck_assert_str_eq(hear(fd), "{\"event\":\"x\"}\n");
	close(fd);
	turn();
	ck_assert(!server_watched(server));
	json_decref(e);
	close(other);
}
END_TEST

/* Whoever gave an order hears of it and of no other, until it is over. */
START_TEST(test_order)
{
	int fd = dial(), other = dial();
	json_t *e = json_pack("{s:s}", "event", "step");

	say(fd, "{\"cmd\":\"order\"}\n");
	ck_assert_ptr_nonnull(strstr(hear(fd), "\"ok\":true"));
	ck_assert(!server_watched(server));
	server_broadcast(server, e); /* for monitors */
	server_tell(server, 8, e, true);
	ck_assert_str_eq(hear(fd), "");
	server_tell(server, 7, e, false);
	ck_assert_str_eq(hear(fd), "{\"event\":\"step\"}\n");
	server_tell(server, 7, e, true);
	ck_assert_str_eq(hear(fd), "{\"event\":\"step\"}\n");
	server_tell(server, 7, e, true);
	ck_assert_str_eq(hear(fd), "");
	ck_assert_str_eq(hear(other), "");
	json_decref(e);
	close(fd);
	close(other);
}
END_TEST

/* A monitor that stops reading costs at most its buffer, and is then dropped; also when the last
 * straw is its own request. */
START_TEST(test_monitor_that_does_not_read)
{
	int fd = dial(), i = 0;
	char text[1001];

	memset(text, 'z', 1000);
	text[1000] = '\0';
	json_t *e = json_pack("{s:s}", "event", text);
	say(fd, "{\"cmd\":\"monitor\"}\n");
	for (; server_watched(server) && i < 10000; i++)
		server_broadcast(server, e);
	ck_assert_int_lt(i, 10000);
	ck_assert_int_gt(i, SERVER_MONITOR_MAX / 1100);
	close(fd);

	fd = dial();
	say(fd, "{\"cmd\":\"monitor\"}\n");
	while (server_watched(server) && i-- > 0) {
		(void)!send(fd, "{\"cmd\":\"event\"}\n", 16, MSG_NOSIGNAL | MSG_DONTWAIT);
		server_broadcast(server, e);
		turn();
	}
	ck_assert(!server_watched(server));
	close(fd);
	json_decref(e);
}
END_TEST

START_TEST(test_left_over_socket)
{
	struct server *second;
	char why[256], bad[200];

	/* as after a crash: the file is there, nobody listens on it (the lock says who may replace
	 * it) */
	ck_assert_int_eq(server_new(loop, path, handle, &asked, &second, why, sizeof(why)), 0);
	server_free(&second);
	memset(bad, 'a', sizeof(bad));
	bad[0] = '/';
	bad[sizeof(bad) - 1] = '\0';
	ck_assert_int_eq(server_new(loop, bad, handle, &asked, &second, why, sizeof(why)),
			 -ENAMETOOLONG);
	ck_assert_int_lt(
	    server_new(loop, "/nonexistent/x", handle, &asked, &second, why, sizeof(why)), 0);
}
END_TEST

TCase *control_server_tests(void)
{
	TCase *c = tcase_create("server");

	tcase_add_checked_fixture(c, up, down);
	tcase_add_test(c, test_mode);
	tcase_add_test(c, test_requests);
	tcase_add_loop_test(c, test_bad_requests, 0, 6);
	tcase_add_test(c, test_request_too_long);
	tcase_add_test(c, test_too_many_clients);
	tcase_add_test(c, test_slow_reader);
	tcase_add_test(c, test_monitor);
	tcase_add_test(c, test_order);
	tcase_add_test(c, test_monitor_that_does_not_read);
	tcase_add_test(c, test_left_over_socket);
	tcase_set_timeout(c, 60);
	return c;
}
