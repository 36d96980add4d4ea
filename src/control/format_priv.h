/* What the files that print share. */
#ifndef CONTROL_FORMAT_PRIV_H
#define CONTROL_FORMAT_PRIV_H

#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "control/format.h"

/* Members of an object: a text ("-" when there is none), a number (0), a boolean (no). */
static inline const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "-";
}

static inline uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static inline bool yes(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* Local time, "2026-11-21 07:52:26". */
const char *format_when(time_t t, char out[FORMAT_LEN]);
/* Names of an array, with something between them; "-" when there are none. */
void format_names(const json_t *v, const char *between, FILE *to);
/* One IKE SA with its children, lines indented by `indent`. */
void format_ike_sa(const json_t *sa, int indent, FILE *to);
/* The connections of `status`. */
void format_connections(const json_t *conns, FILE *to);

#endif
