/*
 * Keying material: hex text, or a file beside the configuration, to a struct secret. Whatever holds it
 * on the way is wiped, and it is never part of a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/secret.h"
#include "config/internal.h"

#define KEY_MAX 256       /* bytes; the longest key of any transform is 64 */

/* "expected 20 bytes: 16 of key and 4 of salt" */
static void wrong_length(struct loader *ld, const struct value *v, const char *key, size_t found, size_t len, size_t salt)
{
	char salted[64] = "";

	if (salt)
		snprintf(salted, sizeof(salted), ": %zu of key and %zu of salt", len - salt, salt);
	report_value(ld, v, "%s has %zu bytes; expected %zu bytes%s", key, found, len, salted);
}

static bool from_hex(struct loader *ld, const struct value *v, const char *key, const char *text, size_t len,
		     size_t salt, struct secret *out)
{
	uint8_t raw[KEY_MAX];
	bool ok = false;
	int n = hex_decode(text, raw, sizeof(raw));

	if (n == -EINVAL)
		report_value(ld, v, "%s is not hexadecimal (or has an odd number of digits); expected %zu digits, or "
				    "\"file:PATH\"",
			     key, len * 2);
	else if (n < 0)
		report_value(ld, v, "%s has more than %d bytes; expected %zu bytes", key, KEY_MAX, len);
	else if ((size_t)n != len)
		wrong_length(ld, v, key, (size_t)n, len, salt);
	else
		ok = have_memory(ld, secret_copy(out, span_of(raw, len)) ? NULL : raw);
	wipe(raw, sizeof(raw));
	return ok;
}

/* NULL when the file may be trusted with a key; else what is wrong with it. */
static const char *file_trouble(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file; expected one";
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return "it belongs to another user; expected root or the user that runs bumpwire";
	if (st.st_mode & 077)
		return "group or others can use it; expected mode 0600 or 0400";
	if (st.st_size > KEY_FILE_MAX)
		return "it is too long for a key; expected at most 1024 bytes";
	return NULL;
}

static bool is_hex_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == 0 || !strchr("0123456789abcdefABCDEFxX:_ \t\r\n", p[i]))
			return false;
	return n > 0;
}

/* What a key file holds: text of digits, else exactly the bytes of the key. */
static bool from_bytes(struct loader *ld, const struct value *v, const char *key, char *p, size_t n, size_t len,
		       size_t salt, struct secret *out)
{
	if (is_hex_text(p, n)) {
		for (size_t i = 0; i < n; i++)
			if (strchr("\t\r\n", p[i]))
				p[i] = ' ';
		p[n] = 0;
		return from_hex(ld, v, key, p + strspn(p, " "), len, salt, out);
	}
	if (n != len) {
		wrong_length(ld, v, key, n, len, salt);
		return false;
	}
	return have_memory(ld, secret_copy(out, span_of(p, n)) ? NULL : p);
}

bool key_file_read(struct loader *ld, const struct value *v, const char *key, char text[KEY_FILE_MAX + 2], size_t *len)
{
	char *path = path_beside(v->src, v->text + 5);

	*len = 0;
	if (!have_memory(ld, path))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *trouble = fd < 0 ? strerror(errno) : file_trouble(fd);
	ssize_t n = trouble ? 0 : read(fd, text, KEY_FILE_MAX + 1);
	if (n < 0)
		trouble = strerror(errno);
	if (trouble)
		report_value(ld, v, "%s: key file %s: %s%s", key, path, trouble,
			     strstr(trouble, "expected") ? "" : "; expected a file with the key");
	else
		*len = (size_t)n;
	if (fd >= 0)
		close(fd);
	free(path);
	return !trouble;
}

bool key_in_file(const struct value *v)
{
	return strncasecmp(v->text, "file:", 5) == 0;
}

bool keymat_read(struct loader *ld, const struct value *v, const char *key, size_t len, size_t salt, struct secret *out)
{
	char text[KEY_FILE_MAX + 2];
	size_t n;

	if (!key_in_file(v))
		return from_hex(ld, v, key, v->text, len, salt, out);
	bool ok = key_file_read(ld, v, key, text, &n) && from_bytes(ld, v, key, text, n, len, salt, out);
	wipe(text, sizeof(text));
	return ok;
}
