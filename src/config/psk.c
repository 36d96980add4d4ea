/*
 * Secrets that people agree on: a secret section to a struct cred_psk, and the forms in which a
 * secret or a passphrase is written. Whatever holds one on the way is wiped, and it is never part
 * of a message.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/secret.h"
#include "config/internal.h"

/* The text of a value, or of the file that it names without the end of its last line. */
static bool text_of(struct loader *ld, const struct value *v, const char *key,
		    char text[KEY_FILE_MAX + 2], size_t *len)
{
	if (key_in_file(v)) {
		if (!key_file_read(ld, v, key, text, len))
			return false;
		if (*len && text[*len - 1] == '\n')
			--*len;
		if (*len && text[*len - 1] == '\r')
			--*len;
	} else {
		*len = strlen(v->text);
		if (*len <= KEY_FILE_MAX)
			memcpy(text, v->text, *len);
	}
	if (*len && *len <= KEY_FILE_MAX) {
		text[*len] = 0;
		return true;
	}
	report_value(
	    ld, v,
	    "%s is %s; expected 1 to %d bytes of text, 0x and hexadecimal, 0s and base 64, or "
	    "\"file:PATH\"",
	    key, *len ? "too long" : "empty", KEY_FILE_MAX);
	return false;
}

/* The bytes that text stands for. Returns how many, or 0 when it is not in its own notation. */
static size_t decode(const char *text, size_t len, uint8_t out[KEY_FILE_MAX])
{
	size_t n = 0;

	if (strlen(text) == len && strncasecmp(text, "0x", 2) == 0) {
		int rc = hex_decode(text, out, KEY_FILE_MAX);
		return rc < 0 ? 0 : (size_t)rc;
	}
	if (strlen(text) == len && strncasecmp(text, "0s", 2) == 0)
		return sodium_base642bin(out, KEY_FILE_MAX, text + 2, len - 2, " ", &n, NULL,
					 sodium_base64_VARIANT_ORIGINAL)
			   ? 0
			   : n;
	memcpy(out, text, len);
	return len;
}

bool secret_read(struct loader *ld, const struct value *v, const char *key, struct secret *out)
{
	char text[KEY_FILE_MAX + 2];
	uint8_t raw[KEY_FILE_MAX];
	size_t len;
	bool ok = text_of(ld, v, key, text, &len);

	if (ok) {
		size_t n = decode(text, len, raw);
		ok = n > 0;
		if (!ok)
			report_value(ld, v,
				     "%s begins with %.2s and is not in that notation; expected 0x "
				     "and pairs of "
				     "hexadecimal digits, or 0s and base 64",
				     key, text[1] == 'x' || text[1] == 'X' ? "0x" : "0s");
		else
			ok = have_memory(ld, secret_copy(out, span_of(raw, n)) ? NULL : raw);
	}
	wipe(text, sizeof(text));
	wipe(raw, sizeof(raw));
	return ok;
}

bool passphrase_read(struct loader *ld, const struct value *v, const char *key, struct secret *out)
{
	char text[KEY_FILE_MAX + 2];
	size_t len;
	bool ok = text_of(ld, v, key, text, &len);

	if (ok) /* with the NUL */
		ok = have_memory(ld, secret_copy(out, span_of(text, len + 1)) ? NULL : text);
	wipe(text, sizeof(text));
	return ok;
}

/* The owners. Also of a secret that is wrong itself, so that all errors are found. */
static void read_owners(struct loader *ld, const struct item *it, struct cred_psk *out)
{
	struct vec v = { 0 };

	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		struct ident id = { 0 };
		if (!e->v || strcmp(e->row->doc.key, "id") != 0 || !ident_read(ld, "id", e->v, &id))
			continue;
		if (!vec_push(ld, &v, &id, sizeof(id))) {
			ident_fini(&id);
			break;
		}
	}
	out->id = v.p;
	out->n_id = v.n;
}

void psk_build(struct loader *ld, const struct item *it, struct cred_psk *out)
{
	const struct value *v = key_value(it, "secret");

	out->name = strdup(it->name);
	if (!have_memory(ld, out->name))
		return;
	keys_apply(ld, it, out); /* says what is missing or given twice */
	read_owners(ld, it, out);
	if (v)
		(void)secret_read(ld, v, "secret", &out->key);
}
