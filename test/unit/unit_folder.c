/* Tests run in forked processes, which end without their fixtures when an assert fails: only the
 * process that made the folder removes it. */
#define _GNU_SOURCE 1

#include "unit_folder.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char top[32] = "/tmp/bw-unit-XXXXXX";
static pid_t owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) != 0;
}

static void remove_all(void)
{
	if (owner == getpid())
		(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

__attribute__((constructor)) static void make_top(void)
{
	if (!mkdtemp(top)) {
		perror(top);
		abort();
	}
	owner = getpid();
	(void)atexit(remove_all);
}

void unit_folder_new(char *out, size_t size)
{
	int n = snprintf(out, size, "%s/XXXXXX", top);

	ck_assert_int_lt(n, (int)size);
	ck_assert_ptr_nonnull(mkdtemp(out));
}
