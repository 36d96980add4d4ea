/*
 * A password comes from the terminal or a pipe, never from the command line, which everybody sees.
 * It is hashed as crypto_pwhash_str() does it, with a salt of its own, and wiped.
 */
#include "control/cmd_hash.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"

#define LONGEST 255 /* that XAUTH takes */

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

/* One line without its end, zero-terminated, of up to LONGEST bytes. -1 with a sentence. */
static int read_line(char *out, const char **why)
{
	size_t n = 0;
	ssize_t got = 0;
	char c = 0;

	while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (n == LONGEST || c == '\0') {
			*why = "the password is too long, or no text; expected up to 255 bytes";
			return -1;
		}
		out[n++] = c;
	}
	c = 0;
	if (n && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	*why = caught ? "interrupted" : got < 0 ? strerror(errno) : n ? NULL : "no password was given";
	return *why ? -1 : 0;
}

static int ask(const char *prompt, char *out, const char **why)
{
	fputs(prompt, stderr);
	int rc = read_line(out, why);
	fputc('\n', stderr);
	return rc;
}

/* Whatever ends it, the terminal echoes again. */
static int from_terminal(char *first, char *again, const char **why)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct sigaction sa = { .sa_handler = on_signal }; /* read() is to end: no SA_RESTART */
	struct termios was, quiet;

	if (tcgetattr(STDIN_FILENO, &was)) {
		*why = strerror(errno);
		return -1;
	}
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++)
		(void)sigaction(ends[i], &sa, NULL);
	quiet = was;
	quiet.c_lflag &= (tcflag_t)~ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	int rc = ask("Password: ", first, why);
	if (rc == 0)
		rc = ask("Once more: ", again, why);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	if (rc == 0 && strcmp(first, again) != 0) {
		*why = "the two are not the same";
		rc = -1;
	}
	return rc;
}

int cmd_hash(void)
{
	char hash[crypto_pwhash_STRBYTES];
	char *room = secret_alloc(2 * (LONGEST + 1));
	const char *why = "out of memory";
	int rc = room ? 0 : -1;

	if (rc == 0 && isatty(STDIN_FILENO))
		rc = from_terminal(room, room + LONGEST + 1, &why);
	else if (rc == 0)
		rc = read_line(room, &why);
	if (rc == 0 && crypto_pwhash_str(hash, room, strlen(room), crypto_pwhash_OPSLIMIT_INTERACTIVE,
					 crypto_pwhash_MEMLIMIT_INTERACTIVE)) {
		why = "out of memory: the hash takes 64 MiB";
		rc = -1;
	}
	secret_release(room, 2 * (LONGEST + 1));
	if (rc)
		fprintf(stderr, "bumpwire: hash: %s\n", why);
	else
		puts(hash);
	return rc ? 1 : 0;
}
