/* A lock file tells instances apart: the lock goes with the process, whatever becomes of the file.
 */
#include "control/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"

int rundir_path(const char *dir, const char *name, char *out, size_t len)
{
	int n = snprintf(out, len, "%s/%s", dir, name);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

/* Parents are for everybody to pass through, the last one is ours alone. */
int rundir_make(const char *dir)
{
	char path[PATH_MAX];

	if (strlen(dir) >= sizeof(path) || !*dir)
		return -ENAMETOOLONG;
	strcpy(path, dir);
	for (char *c = path + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* Says who holds the lock: the process number it wrote there. */
static int busy(int fd, const char *dir, char *why, size_t whylen)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		snprintf(
		    why, whylen,
		    "another bumpwire (process %ld) runs with run directory %s; stop it, or give "
		    "this one its own with --run-dir",
		    pid, dir);
	else
		snprintf(why, whylen,
			 "another bumpwire runs with run directory %s; stop it, or give this one "
			 "its own "
			 "with --run-dir",
			 dir);
	return -EBUSY;
}

int rundir_take(const char *dir, int *fd, char *why, size_t whylen)
{
	char path[PATH_MAX], text[16];

	*fd = -1;
	int rc = rundir_make(dir);
	if (rc == 0)
		rc = rundir_path(dir, LOCK_NAME, path, sizeof(path));
	if (rc) {
		snprintf(why, whylen, "run directory %s: %s", dir, strerror(-rc));
		return rc;
	}
	int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f < 0) {
		rc = -errno;
		snprintf(why, whylen, "%s: %s", path, strerror(-rc));
		return rc;
	}
	if (flock(f, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? busy(f, dir, why, whylen) : -errno;
		if (rc != -EBUSY)
			snprintf(why, whylen, "%s: cannot lock: %s", path, strerror(-rc));
		close(f);
		return rc;
	}
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(f, 0) < 0 || pwrite(f, text, (size_t)n, 0) != n) {
		rc = errno ? -errno : -EIO;
		snprintf(why, whylen, "%s: %s", path, strerror(-rc));
		close(f);
		return rc;
	}
	*fd = f;
	return 0;
}

void rundir_release(const char *dir, int *fd)
{
	if (*fd < 0)
		return;
	/*
	 * The file stays: were it removed, a starting instance that had just opened it would lock a
	 * file nobody can see any more. Empty, it names nobody.
	 */
	(void)!ftruncate(*fd, 0);
	close(*fd);
	*fd = -1;
}
