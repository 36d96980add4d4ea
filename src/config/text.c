/*
 * A configuration file becomes text that libconfuse counts right. libconfuse 3.3 adds lines of its own
 * at every comment, takes a comment inside a list for a value, and is left in the middle of a string
 * for the next file when one is not closed; a section that is not closed it does not notice. So comments
 * become blanks here, and what is left open is found here, where its first line is known.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/internal.h"

#define TEXT_MAX ((size_t)64 << 20)

/*
 * libconfuse's scanner frees its two buffers without wiping them. The newlines overwrite the one
 * (flex reads at most 16 KiB at a time), the comment makes it clear the other, before both go.
 */
#define PAD_LINES 40000
static const char pad_end[] = "# end\n";

struct scan {
	struct loader *ld;
	struct source *src;
	char *p, *end;
	int line;
	int depth, open_line; /* braces, and where the outermost one opened */
};

static int scan_error(struct scan *s, int line, const char *what)
{
	report(s->ld, s->src, line, "%s", what);
	return -EINVAL;
}

static void blank(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
	else
		*s->p = ' ';
	s->p++;
}

/* At a quote: goes past the string. */
static int scan_string(struct scan *s)
{
	char quote = *s->p++;
	int first = s->line;

	while (s->p < s->end && *s->p != quote) {
		if (*s->p == 0)
			return scan_error(s, s->line, "a zero byte; expected text");
		if (*s->p == '\\' && s->p + 1 < s->end) {
			s->p++;
			/* libconfuse stops inside the string at a number it cannot use */
			if (quote == '"' && *s->p >= '0' && *s->p <= '9')
				return scan_error(s, s->line, "an octal escape in a string; expected \\x and "
							      "two hexadecimal digits");
		} else if (quote == '"' && *s->p == '$' && s->p + 1 < s->end && s->p[1] == '{') {
			return scan_error(s, s->line,
					  "\"${\": the environment is not read; expected the value itself "
					  "(or \\$ for a dollar sign)");
		}
		if (*s->p == '\n')
			s->line++;
		s->p++;
	}
	if (s->p >= s->end)
		return scan_error(s, first, "the string that starts here is never closed; expected a quote");
	s->p++;
	return 0;
}

static int scan_comment(struct scan *s)
{
	int first = s->line;

	if (s->p[0] == '/' && s->p[1] == '*') {
		blank(s);
		blank(s);
		while (s->p + 1 < s->end && !(s->p[0] == '*' && s->p[1] == '/'))
			blank(s);
		if (s->p + 1 >= s->end)
			return scan_error(s, first, "the comment that starts here is never closed; expected */");
		blank(s);
		blank(s);
		return 0;
	}
	while (s->p < s->end && *s->p != '\n')
		blank(s);
	return 0;
}

/* Outside a string: "//" opens a comment only where a word could start, so that "a//b" stays one. */
static bool at_comment(const struct scan *s, bool word_before)
{
	if (*s->p == '#')
		return true;
	if (*s->p != '/' || s->p + 1 >= s->end)
		return false;
	return s->p[1] == '*' || (s->p[1] == '/' && !word_before);
}

static void count_brace(struct scan *s, unsigned char c)
{
	if (c == '{' && s->depth++ == 0)
		s->open_line = s->line;
	if (c == '}' && s->depth > 0) /* one too many is libconfuse's to find */
		s->depth--;
}

static int scan_text(struct scan *s)
{
	bool word_before = false;

	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;
		int rc = 0;
		if (c == '"' || c == '\'') {
			rc = scan_string(s);
			word_before = false;
		} else if (at_comment(s, word_before)) {
			rc = scan_comment(s);
			word_before = false;
		} else if ((c < ' ' && c != '\n' && c != '\t' && c != '\r') || c == 0x7f) {
			rc = scan_error(s, s->line, "a control character; expected text");
		} else if (c == '*' || (c == '$' && s->p + 1 < s->end && s->p[1] == '{')) {
			rc = scan_error(s, s->line,
					c == '*' ? "a '*' outside quotes; expected quotes around it"
						 : "\"${\": the environment is not read; expected the value itself");
		} else {
			word_before = c > ' ' && !strchr("={}()+,", c);
			count_brace(s, c);
			s->line += c == '\n';
			s->p++;
		}
		if (rc)
			return rc;
	}
	/* libconfuse takes the end of the file for the brace */
	if (s->depth > 0)
		return scan_error(s, s->open_line, "the brace that opens here is never closed; expected }");
	return 0;
}

/* Reads the open file into a block with room for the padding. */
static int read_all(int fd, char **out, size_t *len)
{
	size_t cap = 65536, n = 0, pad = PAD_LINES + sizeof(pad_end);
	char *p = malloc(cap + pad);

	while (p) {
		ssize_t got = read(fd, p + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int rc = got < 0 ? -errno : 0;
			*out = p;
			*len = n;
			return rc;
		}
		n += (size_t)got;
		if (n < cap)
			continue;
		char *q = cap * 2 > TEXT_MAX ? NULL : malloc(cap * 2 + pad); /* not realloc: it may leave a copy */
		if (q)
			memcpy(q, p, n);
		wipe(p, n);
		free(p);
		if (!q && cap * 2 > TEXT_MAX)
			return -EFBIG;
		p = q;
		cap *= 2;
	}
	return -ENOMEM;
}

/* Opens and reads; a directory or device is refused. */
static int read_file(const char *path, char **out, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st) ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	if (rc == 0)
		rc = read_all(fd, out, len);
	close(fd);
	return rc;
}

int text_read(struct loader *ld, struct source *src, const struct source *at, int line, char **out, size_t *len)
{
	size_t n = 0;

	*out = NULL;
	int rc = read_file(src->path, out, &n);
	if (rc) {
		const char *why = strerror(-rc);
		if (at)
			report(ld, at, line, "include \"%s\": %s; expected a file that can be read", src->path, why);
		else
			report(ld, src, 0, "%s; expected a configuration file", why);
	} else {
		struct scan s = { .ld = ld, .src = src, .p = *out, .end = *out + n, .line = 1 };
		rc = scan_text(&s);
		src->lines = s.line;
	}
	if (rc) {
		if (*out)
			wipe(*out, n);
		free(*out);
		*out = NULL;
		return rc == -ENOENT || rc == -EACCES || rc == -ENOMEM ? rc : -EINVAL;
	}
	memset(*out + n, '\n', PAD_LINES);
	memcpy(*out + n + PAD_LINES, pad_end, sizeof(pad_end) - 1);
	*len = n + PAD_LINES + sizeof(pad_end) - 1;
	return 0;
}
