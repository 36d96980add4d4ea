/* Giving up what the running daemon does not need: core dumps, capabilities, system calls. */
#ifndef CONTROL_PRIVILEGE_H
#define CONTROL_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* No core dumps and no ptrace by others, from before the first key is read. Locked memory without
 * limit, where we may say so. */
void privilege_protect_memory(void);
/* True when this thread has CAP_NET_RAW / CAP_NET_ADMIN in effect. */
bool privilege_has_net_raw(void);
bool privilege_has_net_admin(void);
/*
 * Keeps CAP_NET_ADMIN and CAP_NET_RAW (as far as we have them) in every set, the bounding set
 * included, and forbids gaining new ones. Capabilities belong to a thread: call it before the
 * workers are started. Returns 0, or -errno with a sentence.
 */
int privilege_drop(char *why, size_t whylen) warn_unused;
/*
 * Installs the system-call filter in all threads, when built with libseccomp; what is not on the
 * list fails with EPERM and is written to the audit log by the kernel. *active tells whether there
 * is a filter now. Returns 0, or -errno with a sentence.
 */
int privilege_filter(bool *active, char *why, size_t whylen) warn_unused;

#endif
