/* Telling the service manager how we are, sd_notify(3) without the library. */
#ifndef CONTROL_NOTIFY_H
#define CONTROL_NOTIFY_H

#include "base/bytes.h"

struct notify {
	int fd; /* connected datagram socket; -1: nobody listens */
};

/*
 * Connects to the socket that path names: a file, or with a leading '@' an abstract name. Done once
 * at the start, because the way there may be closed later by the system-call filter. path NULL or
 * empty: n stays silent. Returns 0, or -errno; n is usable (silent) in any case.
 */
int notify_open(struct notify *n, const char *path) warn_unused;
/* Sends a message such as "READY=1\nSTATUS=..."; never waits, and a failure is of no consequence.
 */
void notify_send(const struct notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void notify_close(struct notify *n);

#endif
