/* Labels: the text of the configuration enters, a range leaves; and the lattice. */
#include "ipsec/label.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the lattice ----------------------------------------------------------------------------- */

/* Both rise: for each run of b there is one of a around it. */
static bool has_categories(const struct label *a, const struct label *b)
{
	unsigned i = 0;

	for (unsigned k = 0; k < b->n; k++) {
		while (i < a->n && a->run[i].last < b->run[k].last)
			i++;
		if (i == a->n || a->run[i].first > b->run[k].first)
			return false;
	}
	return true;
}

bool label_dominates(const struct label *a, const struct label *b)
{
	return a->doi == b->doi && a->level >= b->level && has_categories(a, b);
}

bool label_eq(const struct label *a, const struct label *b)
{
	return a->doi == b->doi && a->level == b->level && a->n == b->n &&
	       memcmp(a->run, b->run, a->n * sizeof(a->run[0])) == 0;
}

bool label_within(const struct label *l, const struct label_range *r)
{
	return label_dominates(l, &r->low) && label_dominates(&r->high, l);
}

bool label_range_within(const struct label_range *inner, const struct label_range *outer)
{
	return label_dominates(&inner->low, &outer->low) &&
	       label_dominates(&outer->high, &inner->high);
}

bool label_range_eq(const struct label_range *a, const struct label_range *b)
{
	return label_eq(&a->low, &b->low) && label_eq(&a->high, &b->high);
}

/* ---- text ------------------------------------------------------------------------------------ */

struct scan {
	const char *p;
	char *why;
	size_t whylen;
};

static bool fail(struct scan *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct scan *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, s->whylen, fmt, ap);
	va_end(ap);
	return false;
}

static void skip_blanks(struct scan *s)
{
	s->p += strspn(s->p, " \t");
}

/* Takes the word when it is the next. */
static bool word(struct scan *s, const char *w)
{
	size_t n = strlen(w);

	skip_blanks(s);
	if (strncasecmp(s->p, w, n) != 0 || (s->p[n] && !strchr(" \t", s->p[n])))
		return false;
	s->p += n;
	return true;
}

static bool number(struct scan *s, const char *what, unsigned long lo, unsigned long hi,
		   unsigned long *out)
{
	char *end;

	skip_blanks(s);
	errno = 0;
	*out = strtoul(s->p, &end, strncasecmp(s->p, "0x", 2) == 0 ? 16 : 10);
	if (end == s->p || *s->p == '-' || *s->p == '+' || errno || *out < lo || *out > hi)
		return fail(s, "%s is not a number from %lu to %lu", what, lo, hi);
	s->p = end;
	return true;
}

static int by_first(const void *a, const void *b)
{
	const struct label_run *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Lists may be written in any order, and say things twice. */
static bool add_sorted(struct scan *s, struct label_run *run, unsigned n, struct label *l)
{
	qsort(run, n, sizeof(*run), by_first);
	for (unsigned i = 0; i < n;) {
		struct label_run r = run[i++];
		for (; i < n && run[i].first <= r.last; i++)
			if (run[i].last > r.last)
				r.last = run[i].last;
		if (!label_add(l, r.first, r.last))
			return fail(s, "more than %d ranges of categories", LABEL_RUNS);
	}
	return true;
}

static bool categories(struct scan *s, struct label *l)
{
	struct label_run run[4 * LABEL_RUNS];
	unsigned n = 0;

	for (;;) {
		unsigned long first, last;
		if (!number(s, "a category", 0, LABEL_CAT_MAX, &first))
			return false;
		last = first;
		skip_blanks(s);
		if (*s->p == '-') {
			s->p++;
			if (!number(s, "a category", 0, LABEL_CAT_MAX, &last))
				return false;
		}
		if (last < first)
			return fail(s, "categories %lu-%lu are the wrong way round", first, last);
		if (n == ARRAY_LEN(run))
			return fail(s, "more than %zu categories", ARRAY_LEN(run));
		run[n++] = (struct label_run){ (uint16_t)first, (uint16_t)last };
		skip_blanks(s);
		if (*s->p != ',')
			return add_sorted(s, run, n, l);
		s->p++;
	}
}

static bool level(struct scan *s, uint32_t doi, struct label *l)
{
	unsigned long n;

	*l = (struct label){ .doi = doi };
	if (!word(s, "level"))
		return fail(s, "\"level N\" is missing at \"%.32s\"", s->p);
	if (!number(s, "the level", 0, UINT8_MAX, &n))
		return false;
	l->level = (uint8_t)n;
	return !word(s, "categories") || categories(s, l);
}

static bool range(struct scan *s, struct label_range *out)
{
	unsigned long doi;

	if (!word(s, "doi"))
		return fail(s, "\"doi N\" is not at the beginning");
	if (!number(s, "the doi", 1, UINT32_MAX, &doi) || !level(s, (uint32_t)doi, &out->low))
		return false;
	out->high = out->low;
	if (word(s, "to") && !level(s, (uint32_t)doi, &out->high))
		return false;
	skip_blanks(s);
	if (*s->p)
		return fail(s, "\"%.32s\" is not understood", s->p);
	if (!label_dominates(&out->high, &out->low))
		return fail(s, "what is behind \"to\" has a lower level, or lacks categories, of "
			       "what is in front");
	return true;
}

int label_range_parse(const char *text, struct label_range *out, char *why, size_t whylen)
{
	struct scan s = { text, why, whylen };

	return range(&s, out) ? 0 : -EINVAL;
}

static void add(char out[LABEL_STRLEN], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(char out[LABEL_STRLEN], const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, LABEL_STRLEN - n, fmt, ap);
	va_end(ap);
}

static void add_level(const struct label *l, char out[LABEL_STRLEN])
{
	add(out, "level %u", l->level);
	for (unsigned i = 0; i < l->n; i++) {
		const struct label_run *r = &l->run[i];
		add(out, "%s%u", i ? "," : " categories ", r->first);
		if (r->last != r->first)
			add(out, "-%u", r->last);
	}
}

const char *label_range_format(const struct label_range *r, char out[LABEL_STRLEN])
{
	out[0] = 0;
	add(out, "doi %u ", r->low.doi);
	add_level(&r->low, out);
	if (!label_eq(&r->low, &r->high)) {
		add(out, " to ");
		add_level(&r->high, out);
	}
	return out;
}
