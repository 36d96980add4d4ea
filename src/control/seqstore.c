/* One small text file, written anew and renamed over the old one whenever it changes. */
#define _GNU_SOURCE 1 /* asprintf */

#include "control/seqstore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hex.h"

#define FILE_NAME   "sequence-numbers"
#define MAX_ENTRIES 200000u /* old keys are forgotten beyond that, the oldest first */

struct seq_entry {
	uint8_t print[16];
	uint64_t next;       /* in the file: the first number not given out */
	const struct sa *sa; /* in use now; NULL: of an earlier run */
};

struct seqstore {
	char *path, *tmp;
	struct seq_entry *entry; /* in the order they were first seen */
	unsigned n, cap;
	uint32_t *slot; /* 2 * cap (a power of two) of them: place in entry + 1, 0 for none */
	bool dirty;
};

/* Where an entry is, or where it would go. A fingerprint is a hash already. */
static uint32_t *slot_of(struct seqstore *s, const uint8_t print[16])
{
	uint32_t mask = 2 * s->cap - 1, i = load_be32(print) & mask;

	while (s->slot[i] && memcmp(s->entry[s->slot[i] - 1].print, print, 16) != 0)
		i = (i + 1) & mask;
	return &s->slot[i];
}

static struct seq_entry *find(struct seqstore *s, const uint8_t print[16])
{
	uint32_t at = s->cap ? *slot_of(s, print) : 0;

	return at ? &s->entry[at - 1] : NULL;
}

static bool grow(struct seqstore *s)
{
	unsigned cap = s->cap ? s->cap * 2 : 16;
	struct seq_entry *e = realloc(s->entry, cap * sizeof(*e));

	if (!e)
		return false;
	s->entry = e;
	uint32_t *slot = calloc(2 * (size_t)cap, sizeof(*slot));
	if (!slot)
		return false;
	free(s->slot);
	s->slot = slot;
	s->cap = cap;
	for (unsigned i = 0; i < s->n; i++)
		*slot_of(s, s->entry[i].print) = i + 1;
	return true;
}

static struct seq_entry *add(struct seqstore *s, const uint8_t print[16], uint64_t next)
{
	if (s->n == s->cap && !grow(s))
		return NULL;
	struct seq_entry *e = &s->entry[s->n++];
	*e = (struct seq_entry){ .next = next };
	memcpy(e->print, print, 16);
	*slot_of(s, print) = s->n;
	return e;
}

static int parse_line(struct seqstore *s, char *line)
{
	uint8_t print[16];
	uint64_t next;
	char *space = strchr(line, ' '), *end;

	if (!space)
		return -EINVAL;
	*space = 0;
	if (hex_decode(line, print, sizeof(print)) != (int)sizeof(print))
		return -EINVAL;
	errno = 0;
	next = strtoull(space + 1, &end, 10);
	if (errno || end == space + 1 || *end != '\n')
		return -EINVAL;
	return add(s, print, next) ? 0 : -ENOMEM;
}

static int load(struct seqstore *s, char *why, size_t whylen)
{
	FILE *f = fopen(s->path, "re");
	char line[128];
	unsigned n = 0;
	int rc = 0;

	if (!f && errno == ENOENT)
		return 0;
	if (!f) {
		rc = -errno;
		snprintf(why, whylen, "%s: %s", s->path, strerror(errno));
		return rc;
	}
	while (rc == 0 && fgets(line, sizeof(line), f)) {
		n++;
		rc = parse_line(s, line);
	}
	if (rc == -EINVAL)
		snprintf(why, whylen,
			 "%s:%u: found something else than a fingerprint and a number; remove the "
			 "file only if the peers are restarted too",
			 s->path, n);
	fclose(f);
	return rc;
}

int seqstore_open(const char *dir, struct seqstore **out, char *why, size_t whylen)
{
	struct seqstore *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	*out = NULL;
	snprintf(why, whylen, "out of memory");
	if (!s)
		return rc;
	if (asprintf(&s->path, "%s/" FILE_NAME, dir) < 0)
		s->path = NULL;
	if (asprintf(&s->tmp, "%s/" FILE_NAME ".new", dir) < 0)
		s->tmp = NULL;
	if (s->path && s->tmp) {
		rc = 0;
		if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
			rc = -errno;
			snprintf(why, whylen, "cannot make the state directory %s: %s", dir,
				 strerror(errno));
		}
	}
	if (rc == 0)
		rc = load(s, why, whylen);
	if (rc) {
		s->dirty = false;
		s->n = 0;
		(void)seqstore_close(&s);
		return rc;
	}
	*out = s;
	return 0;
}

int seqstore_adopt(struct seqstore *s, struct sa *sa)
{
	struct seq_entry *e = find(s, sa->conf->key_print);

	if (!e) {
		e = add(s, sa->conf->key_print, 1);
		if (!e)
			return -ENOMEM;
	}
	e->sa = sa;
	atomic_store_explicit(&sa->seq, e->next ? e->next - 1 : 0, memory_order_relaxed);
	s->dirty =
	    true; /* reserve before the first packet: the caller ticks before the SA is used */
	return 0;
}

/* The first number that a restart may use, `ahead` of what was given out. */
static uint64_t reserve(const struct sa *sa, uint64_t ahead)
{
	uint64_t next =
	    atomic_load_explicit(&((struct sa *)(uintptr_t)sa)->seq, memory_order_relaxed) + 1;
	uint64_t limit = sa->esn ? UINT64_MAX : (uint64_t)UINT32_MAX + 1;

	return limit - next < ahead ? limit : next + ahead;
}

void seqstore_release(struct seqstore *s, const struct sa *sa)
{
	struct seq_entry *e = find(s, sa->conf->key_print);

	if (!e || e->sa != sa)
		return;
	e->next = reserve(sa, 0);
	e->sa = NULL;
	s->dirty = true;
}

static int write_file(struct seqstore *s)
{
	int fd = open(s->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	unsigned first = s->n > MAX_ENTRIES ? s->n - MAX_ENTRIES : 0;

	if (!f) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (unsigned i = first; i < s->n; i++) {
		char hex[33];
		hex_encode(span_of(s->entry[i].print, 16), hex);
		fprintf(f, "%s %" PRIu64 "\n", hex, s->entry[i].next);
	}
	int rc = fflush(f) || fdatasync(fd) ? -errno : 0;
	if (fclose(f) && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(s->tmp, s->path) < 0)
		rc = -errno;
	if (rc == 0)
		s->dirty = false;
	return rc;
}

int seqstore_tick(struct seqstore *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct seq_entry *e = &s->entry[i];
		if (e->sa && reserve(e->sa, SEQSTORE_AHEAD / 2) > e->next) {
			e->next = reserve(e->sa, SEQSTORE_AHEAD);
			s->dirty = true;
		}
	}
	return s->dirty ? write_file(s) : 0;
}

int seqstore_close(struct seqstore **sp)
{
	struct seqstore *s = *sp;
	int rc = 0;

	if (!s)
		return 0;
	for (unsigned i = 0; i < s->n; i++)
		if (s->entry[i].sa)
			seqstore_release(s, s->entry[i].sa);
	if (s->dirty)
		rc = write_file(s);
	free(s->entry);
	free(s->slot);
	free(s->path);
	free(s->tmp);
	free(s);
	*sp = NULL;
	return rc;
}
