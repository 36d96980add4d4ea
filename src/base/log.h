/*
 * The log: one line per event, prefixed with its subsystem, to standard error (systemd adds time and
 * level from the "<n>" prefix when asked). Control thread and start-up only: workers count.
 * Levels can be changed while running, per subsystem.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_NOTICE, LOG_LVL_INFO, LOG_LVL_DEBUG, LOG_LVLS };

enum log_subsys {
	LOG_MAIN,    /* start, stop, privileges */
	LOG_CONFIG,  /* configuration and reload */
	LOG_NET,     /* devices, sockets, routes */
	LOG_SPD,     /* policies */
	LOG_SAD,     /* security associations */
	LOG_PLANE,   /* packet workers */
	LOG_CONTROL, /* control socket */
	LOG_IKE,     /* key exchange */
	LOG_AUDIT,   /* auditable events */
	LOG_SUBSYSTEMS
};

/* Writes a line when the subsystem's level allows it. fmt without newline. */
void log_msg(enum log_subsys s, enum log_level l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(s, ...) log_msg(s, LOG_LVL_ERROR, __VA_ARGS__)
#define log_warn(s, ...) log_msg(s, LOG_LVL_WARN, __VA_ARGS__)
#define log_notice(s, ...) log_msg(s, LOG_LVL_NOTICE, __VA_ARGS__)
#define log_info(s, ...) log_msg(s, LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(s, ...) log_msg(s, LOG_LVL_DEBUG, __VA_ARGS__)

/* A token bucket for lines a stranger can provoke: at most `burst` lines, refilled one per `every_ns`.
 * Zero-initialise the rest. */
struct log_limit {
	uint32_t burst;
	uint64_t every_ns;
	uint64_t last_ns;
	uint32_t tokens;
	uint32_t suppressed; /* lines swallowed since the last one that passed */
	bool started;
};
/* True when a line may be written now; *suppressed then says how many were swallowed before it. */
bool log_limit_pass(struct log_limit *l, uint32_t *suppressed);

/* Level by name ("error", "warn", "notice", "info", "debug"); -1 when unknown. */
int log_level_parse(const char *name);
int log_subsys_parse(const char *name);
const char *log_level_name(enum log_level l);
const char *log_subsys_name(enum log_subsys s);
void log_set_level(enum log_subsys s, enum log_level l);
void log_set_level_all(enum log_level l);
enum log_level log_get_level(enum log_subsys s);
bool log_enabled(enum log_subsys s, enum log_level l);
/* Where lines go; default stderr. with_priority prefixes "<n>" as sd-daemon(3) wants it. */
void log_set_output(FILE *f, bool with_priority);
/* Also called for every line written, e.g. to feed `monitor`; NULL for none. */
void log_set_hook(void (*hook)(enum log_subsys s, enum log_level l, const char *line));

#endif
