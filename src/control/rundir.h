/* The run directory: one instance at a time, and where its control socket is. */
#ifndef CONTROL_RUNDIR_H
#define CONTROL_RUNDIR_H

#include <stddef.h>

#include "base/bytes.h"

#define RUNDIR_SOCKET "control.sock"

/*
 * Makes the directory (mode 0700, parents 0755) and takes its lock file, which holds our process
 * number. *fd stays open for as long as the lock is held. Returns 0, or -errno with a sentence in
 * why: -EBUSY when another instance has it.
 */
int rundir_take(const char *dir, int *fd, char *why, size_t whylen) warn_unused;
/* Makes a directory, mode 0700, and its parents, mode 0755, where they are missing. 0 or -errno. */
int rundir_make(const char *dir) warn_unused;
/* Gives the lock up; the empty file stays. *fd becomes -1. */
void rundir_release(const char *dir, int *fd);
/* "dir/name" in out; -ENAMETOOLONG when it does not fit. */
int rundir_path(const char *dir, const char *name, char *out, size_t len) warn_unused;

#endif
