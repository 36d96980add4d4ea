/* Levels, rate limits and the line itself. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

static const char *const level_names[LOG_LVLS] = { "error", "warn", "notice", "info", "debug" };
static const int level_priority[LOG_LVLS] = { 3, 4, 5, 6, 7 }; /* syslog(3) */
static const char *const subsys_names[LOG_SUBSYSTEMS] = { "main",  "config", "net",     "spd",
							  "sad",   "plane",  "control", "ike",
							  "audit" };
static enum log_level levels[LOG_SUBSYSTEMS] = { [0 ... LOG_SUBSYSTEMS - 1] = LOG_LVL_INFO };
static FILE *output;
static bool priority_prefix;
static void (*line_hook)(enum log_subsys, enum log_level, const char *);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool log_enabled(enum log_subsys s, enum log_level l)
{
	return l <= levels[s];
}

void log_msg(enum log_subsys s, enum log_level l, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!log_enabled(s, l))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *c = line; *c; c++) /* a stranger's bytes must not forge lines or colours */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	pthread_mutex_lock(&lock);
	FILE *f = output ? output : stderr;
	if (priority_prefix)
		fprintf(f, "<%d>", level_priority[l]);
	fprintf(f, "%s %s: %s\n", level_names[l], subsys_names[s], line);
	fflush(f);
	if (line_hook)
		line_hook(s, l, line);
	pthread_mutex_unlock(&lock);
}

bool log_limit_pass(struct log_limit *l, uint32_t *suppressed)
{
	uint64_t now = clock_now_ns();

	if (!l->started) {
		l->started = true;
		l->tokens = l->burst;
		l->last_ns = now;
	}
	uint64_t gained = l->every_ns ? (now - l->last_ns) / l->every_ns : 0;
	if (gained) {
		l->tokens = gained >= l->burst - l->tokens ? l->burst : l->tokens + (uint32_t)gained;
		l->last_ns += gained * l->every_ns;
	}
	if (l->tokens == 0) {
		l->suppressed++;
		return false;
	}
	l->tokens--;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}

static int find_name(const char *const *names, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

int log_level_parse(const char *name)
{
	return find_name(level_names, LOG_LVLS, name);
}

int log_subsys_parse(const char *name)
{
	return find_name(subsys_names, LOG_SUBSYSTEMS, name);
}

const char *log_level_name(enum log_level l)
{
	return level_names[l];
}

const char *log_subsys_name(enum log_subsys s)
{
	return subsys_names[s];
}

void log_set_level(enum log_subsys s, enum log_level l)
{
	levels[s] = l;
}

void log_set_level_all(enum log_level l)
{
	for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++)
		levels[i] = l;
}

enum log_level log_get_level(enum log_subsys s)
{
	return levels[s];
}

void log_set_output(FILE *f, bool with_priority)
{
	output = f;
	priority_prefix = with_priority;
}

void log_set_hook(void (*hook)(enum log_subsys s, enum log_level l, const char *line))
{
	line_hook = hook;
}
