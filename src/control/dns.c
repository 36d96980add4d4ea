/* See dns.h. RUN/resolv.conf is ours, RUN/resolv.conf.saved the system's one as it was. */
#define _GNU_SOURCE 1 /* asprintf */

#include "control/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define FILE_MAX   (64u << 10)
#define SERVERS    3 /* as many as the C library asks */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

struct dns {
	char *ours, *saved; /* paths */
	char *target, *tmp; /* NULL: only ours */
	struct dns_want now;
};

/* -- what is wanted -- */

void dns_want_server(struct dns_want *w, const struct ip_addr *a)
{
	for (unsigned i = 0; i < w->n_server; i++)
		if (ip_addr_eq(&w->server[i], a))
			return;
	if (w->n_server < DNS_SERVERS_MAX)
		w->server[w->n_server++] = *a;
}

static void want_name(struct dns_want *w, const char *name, size_t len)
{
	if (!len || len >= DNS_NAME_LEN || strspn(name, NAME_CHARS) < len)
		return;
	for (unsigned i = 0; i < w->n_search; i++)
		if (strlen(w->search[i]) == len && strncasecmp(w->search[i], name, len) == 0)
			return;
	if (w->n_search == DNS_SEARCH_MAX)
		return;
	memcpy(w->search[w->n_search], name, len);
	w->search[w->n_search++][len] = '\0';
}

void dns_want_search(struct dns_want *w, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, ", ");
		want_name(w, text, len);
		text += len;
		text += strspn(text, ", ");
	}
}

/* -- files -- */

/* All of a file; NULL with errno. The caller's. */
static char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(FILE_MAX + 1);
	ssize_t n = text ? read(fd, text, FILE_MAX) : -1;

	if (n < 0) {
		int was = errno;
		free(text);
		text = NULL;
		errno = was;
	} else {
		text[n] = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static int put(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	int rc = fchmod(fd, 0644) && (flags & O_EXCL) ? -errno : 0; /* whatever the umask */
	if (rc == 0 && write(fd, text, len) != (ssize_t)len)
		rc = errno ? -errno : -EIO;
	if (close(fd) && rc == 0)
		rc = -errno;
	return rc;
}

/* At once for who reads it; in place where it cannot be renamed over, as a mounted file cannot. */
static int replace(const struct dns *d, const char *text)
{
	struct stat st;

	(void)unlink(d->tmp);
	int rc = put(d->tmp, O_EXCL, text);
	if (rc == 0 && rename(d->tmp, d->target) == 0)
		return 0;
	rc = rc ? rc : -errno;
	(void)unlink(d->tmp);
	/* not through a link: what is there belongs to somebody who would be surprised */
	if (lstat(d->target, &st) == 0 && S_ISREG(st.st_mode))
		rc = put(d->target, O_TRUNC | O_NOFOLLOW, text);
	return rc;
}

/* Where the system's file is a link, it is the link that is kept. */
static int save(const struct dns *d)
{
	char link[PATH_MAX];
	ssize_t n = readlink(d->target, link, sizeof(link) - 1);

	(void)unlink(d->saved);
	if (n >= 0) {
		link[n] = '\0';
		return symlink(link, d->saved) ? -errno : 0;
	}
	char *text = slurp(d->target);
	int rc = text ? put(d->saved, O_EXCL, text) : errno == ENOENT ? 0 : -errno;
	free(text);
	return rc;
}

static int put_back(const struct dns *d)
{
	char link[PATH_MAX];
	ssize_t n = readlink(d->saved, link, sizeof(link) - 1);

	if (n >= 0) {
		link[n] = '\0';
		(void)unlink(d->tmp);
		return symlink(link, d->tmp) || rename(d->tmp, d->target) ? -errno : 0;
	}
	char *text = slurp(d->saved);
	int rc = text ? replace(d, text) : unlink(d->target) ? -errno : 0;
	free(text);
	return rc;
}

/* -- taking it away -- */

static void restore(struct dns *d)
{
	char *mine = slurp(d->ours), *there = mine && d->target ? slurp(d->target) : NULL;
	int rc = 0;

	if (there && strcmp(mine, there) == 0)
		rc = put_back(d);
	else if (there)
		log_notice(LOG_NET, "%s was changed by somebody else and stays so", d->target);
	if (rc)
		log_error(LOG_NET, "%s cannot be put back: %s", d->target, strerror(-rc));
	else
		(void)unlink(d->saved);
	(void)unlink(d->ours);
	free(mine);
	free(there);
}

/* -- putting it in force -- */

/* Lines of the system's file that go on to hold: all but servers and domains. */
static void keep_options(const char *text, FILE *to)
{
	static const char *const not[] = { "nameserver", "search", "domain" };

	while (text && *text) {
		size_t len = strcspn(text, "\n"), word = strcspn(text, " \t\n");
		bool keep = len && *text != '#' && *text != ';';
		for (unsigned i = 0; i < ARRAY_LEN(not); i++)
			keep = keep && !(word == strlen(not[i]) && strncmp(text, not[i], word) == 0);
		if (keep)
			fprintf(to, "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* NULL: no memory. */
static char *compose(const struct dns_want *w, const char *was)
{
	char *text = NULL, addr[IP_ADDR_STRLEN];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "# Name servers of bumpwire's connections, until they are taken down.\n");
	for (unsigned i = 0; i < w->n_search; i++)
		fprintf(f, "%s%s%s", i ? "" : "search ", w->search[i],
			i + 1 < w->n_search ? " " : "\n");
	for (unsigned i = 0; i < w->n_server && i < SERVERS; i++)
		fprintf(f, "nameserver %s\n", ip_addr_format(&w->server[i], addr));
	keep_options(was, f);
	if (fclose(f)) {
		free(text);
		text = NULL;
	}
	return text;
}

static void install(struct dns *d, const struct dns_want *w)
{
	char *was = d->target ? slurp(d->target) : NULL, *text = compose(w, was);
	int rc = text ? 0 : -ENOMEM;

	(void)unlink(d->ours);
	if (rc == 0)
		rc = put(d->ours, O_EXCL, text);
	if (rc) {
		log_error(LOG_NET, "%s: %s", d->ours, strerror(-rc));
	} else if (d->target) {
		rc = save(d);
		if (rc == 0)
			rc = replace(d, text);
		if (rc)
			log_error(LOG_NET,
				  "name servers of the peer are not put into %s: %s; they are in %s, "
				  "or set resolv_conf = none",
				  d->target, strerror(-rc), d->ours);
		else
			log_notice(LOG_NET, "%s has the name servers of the peer", d->target);
	}
	free(was);
	free(text);
}

static bool same(const struct dns_want *a, const struct dns_want *b)
{
	bool is = a->n_server == b->n_server && a->n_search == b->n_search;

	for (unsigned i = 0; is && i < a->n_server; i++)
		is = ip_addr_eq(&a->server[i], &b->server[i]);
	for (unsigned i = 0; is && i < a->n_search; i++)
		is = strcmp(a->search[i], b->search[i]) == 0;
	return is;
}

void dns_set(struct dns *d, const struct dns_want *w)
{
	if (!d || same(&d->now, w))
		return;
	if (d->now.n_server)
		restore(d);
	d->now = *w;
	if (w->n_server)
		install(d, w);
}

static void dns_free(struct dns **dp)
{
	struct dns *d = *dp;

	*dp = NULL;
	free(d->ours);
	free(d->saved);
	free(d->target);
	free(d->tmp);
	free(d);
}

int dns_open(const char *run_dir, const char *target, struct dns **out)
{
	struct dns *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (!d)
		return -ENOMEM;
	if (asprintf(&d->ours, "%s/resolv.conf", run_dir) < 0)
		d->ours = NULL;
	if (asprintf(&d->saved, "%s/resolv.conf.saved", run_dir) < 0)
		d->saved = NULL;
	if (target) {
		d->target = strdup(target);
		if (asprintf(&d->tmp, "%s.bumpwire", target) < 0)
			d->tmp = NULL;
	}
	if (!d->ours || !d->saved || (target && (!d->target || !d->tmp))) {
		dns_free(&d);
		return -ENOMEM;
	}
	restore(d); /* of a process that was killed */
	*out = d;
	return 0;
}

void dns_close(struct dns **dp)
{
	static const struct dns_want none;

	if (!*dp)
		return;
	dns_set(*dp, &none);
	dns_free(dp);
}
