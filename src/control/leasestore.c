/* See leasestore.h. */
#define _GNU_SOURCE 1 /* asprintf */

#include "control/leasestore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define FILE_NAME "leases"

struct leasestore {
	char *path, *tmp;
	struct ike_leases *leases;
	uint64_t written; /* ike_leases_changes() of what the file says */
	uint64_t next_ns; /* not before this */
};

static void store_free(struct leasestore **sp)
{
	struct leasestore *s = *sp;

	*sp = NULL;
	free(s->path);
	free(s->tmp);
	free(s);
}

static int load(struct leasestore *s, uint64_t wall_ns, char *note, size_t notelen)
{
	FILE *f = fopen(s->path, "re");
	unsigned skipped = 0;

	if (!f && errno == ENOENT)
		return 0;
	int rc = f ? ike_leases_read(s->leases, f, wall_ns, &skipped) : -errno;
	if (rc == 0 && ferror(f))
		rc = -EIO;
	if (rc)
		snprintf(note, notelen, "%s: %s", s->path, strerror(-rc));
	else if (skipped)
		snprintf(note, notelen, "%s: %u lines are no leases, and are passed over", s->path,
			 skipped);
	if (f)
		fclose(f);
	return rc;
}

int leasestore_open(const char *dir, struct ike_leases *leases, uint64_t wall_ns,
		    struct leasestore **out, char *note, size_t notelen)
{
	struct leasestore *s = calloc(1, sizeof(*s));

	*out = NULL;
	snprintf(note, notelen, "out of memory");
	if (!s)
		return -ENOMEM;
	s->leases = leases;
	if (asprintf(&s->path, "%s/" FILE_NAME, dir) < 0)
		s->path = NULL;
	if (asprintf(&s->tmp, "%s/" FILE_NAME ".new", dir) < 0)
		s->tmp = NULL;
	int rc = s->path && s->tmp ? 0 : -ENOMEM;
	if (rc == 0) {
		*note = '\0';
		rc = load(s, wall_ns, note, notelen);
	}
	if (rc) {
		store_free(&s);
		return rc;
	}
	s->written = ike_leases_changes(leases);
	*out = s;
	return 0;
}

static int write_file(struct leasestore *s)
{
	uint64_t changes = ike_leases_changes(s->leases);
	int fd = open(s->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	int rc = ike_leases_write(s->leases, f);
	if (rc == 0 && fdatasync(fd))
		rc = -errno;
	if (fclose(f) && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(s->tmp, s->path) < 0)
		rc = -errno;
	if (rc == 0)
		s->written = changes;
	return rc;
}

int leasestore_tick(struct leasestore *s, uint64_t now_ns)
{
	if (!s || s->written == ike_leases_changes(s->leases) || now_ns < s->next_ns)
		return 0;
	s->next_ns = now_ns + LEASESTORE_EVERY_NS;
	return write_file(s);
}

int leasestore_close(struct leasestore **sp)
{
	struct leasestore *s = *sp;
	int rc = 0;

	if (!s)
		return 0;
	if (s->written != ike_leases_changes(s->leases))
		rc = write_file(s);
	store_free(sp);
	return rc;
}
