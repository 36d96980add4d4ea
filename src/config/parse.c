/*
 * From text to items, through libconfuse. Every value is taken as text with its file and line, so that
 * whatever is wrong with it later can be said in the right place; libconfuse only knows the grammar
 * and the names of the keys. Each file has a tree of its own, an included one is read at the moment
 * its include() is met, so that sections stay in the order an administrator reads them.
 */
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/internal.h"

#define INCLUDE_DEPTH_MAX 8
#define SOURCES_MAX 1000

/* libconfuse's callbacks have no argument for the caller, and its scanner is one per process. */
static struct loader *loader;

void value_free(void *p)
{
	struct value *v = p;

	if (v->text)
		wipe(v->text, strlen(v->text));
	free(v->text);
	free(v);
}

/* The way from `from` down to the open section `to`: *path gets the sections below `from`. Finished ones are
 * out of the tree already. Returns how many, or -1. */
static int path_to(const cfg_t *from, const cfg_t *to, const cfg_t **path)
{
	if (from == to)
		return 0;
	for (const cfg_opt_t *o = from->opts; o && o->name; o++) {
		if (o->type != CFGT_SEC || !o->nvalues)
			continue;
		*path = o->values[o->nvalues - 1]->section;
		int n = path_to(*path, to, path + 1);
		if (n >= 0)
			return n + 1;
	}
	return -1;
}

/* Remembers the lines of the opening braces around a section: while it is read, only its own line counts on,
 * and those of the sections around it stay where it began. */
static void note_open(const cfg_t *cfg)
{
	const cfg_t *path[SECTION_DEPTH + 1], *around = loader->cur->root;

	if (loader->n_open && loader->open[loader->n_open - 1].sec == cfg)
		return;
	int n = path_to(around, cfg, path);
	for (int i = 0; i < n; i++) {
		struct open *o = &loader->open[i];
		if ((unsigned)i >= loader->n_open || o->sec != path[i])
			*o = (struct open) { path[i], around->line };
		around = path[i];
	}
	if (n >= 0)
		loader->n_open = (unsigned)n;
}

/* A section was read to its end. Returns the line it began at. */
static int note_close(const cfg_t *sec, int last)
{
	for (unsigned i = 0; i < loader->n_open; i++)
		if (loader->open[i].sec == sec) {
			loader->n_open = i;
			return loader->open[i].line;
		}
	return last;
}

/* True when the option was not given before in its section; says so otherwise. */
static bool note_seen(cfg_t *cfg, const cfg_opt_t *opt)
{
	for (unsigned i = loader->n_seen; i-- > 0;) {
		if (loader->seen[i].opt != opt)
			continue;
		report(loader, loader->cur, cfg->line, "%s is given twice; expected once (line %d has it already)",
		       opt->name, loader->seen[i].line);
		return false;
	}
	struct vec v = { loader->seen, loader->n_seen };
	struct seen one = { cfg, opt, cfg->line };
	bool ok = vec_push(loader, &v, &one, sizeof(one));
	loader->seen = v.p;
	loader->n_seen = v.n;
	return ok;
}

/* Forgets what was noted of a section that was read to its end. */
static void forget_seen(const cfg_t *sec)
{
	while (loader->n_seen && loader->seen[loader->n_seen - 1].sec == sec)
		loader->n_seen--;
}

static void item_fini(struct item *it)
{
	for (unsigned i = 0; i < it->n_entry; i++)
		if (it->entry[i].v)
			value_free(it->entry[i].v);
	for (unsigned i = 0; i < it->n_sub; i++)
		item_fini(&it->sub[i]);
	free(it->sub);
	free(it->entry);
	free(it->name);
}

/* Moves the values of a tree's section to an item. Its options are the rows of the table, in order. */
static bool harvest(struct item *it, cfg_t *sec)
{
	cfg_opt_t *opt = sec->opts;
	struct vec v = { it->entry, it->n_entry };
	bool ok = true;

	for (unsigned r = 0; r < key_rows_count() && ok; r++) {
		if (!key_row_in(&key_rows[r], it->kind))
			continue;
		struct entry e = { &key_rows[r], NULL };
		if (opt->nvalues == 0 && opt->flags & CFGF_MODIFIED)
			ok = vec_push(loader, &v, &e, sizeof(e));
		for (unsigned i = 0; i < opt->nvalues && ok; i++) {
			e.v = opt->values[i]->ptr;
			if (!e.v)
				continue;
			ok = vec_push(loader, &v, &e, sizeof(e));
			if (ok)
				opt->values[i]->ptr = NULL;
		}
		opt++;
	}
	it->entry = v.p;
	it->n_entry = v.n;
	return ok;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	note_open(cfg);
	/* the first value after "=": a second "=" has thrown away what was there */
	if (opt->nvalues == 1 && !note_seen(cfg, opt))
		return -1;
	struct value *v = calloc(1, sizeof(*v));
	if (v)
		v->text = strdup(text ? text : "");
	if (!have_memory(loader, v ? v->text : NULL)) {
		free(v);
		return -1;
	}
	v->src = loader->cur;
	v->line = cfg->line;
	*(void **)result = v;
	return 0;
}

/* Gives an item the sections that were read inside it: the last ones kept. */
static bool take_inner(struct item *it, const cfg_t *sec)
{
	unsigned first = loader->n_inner;

	while (first && loader->inner[first - 1].in == sec)
		first--;
	unsigned n = loader->n_inner - first;
	if (!n)
		return true;
	it->sub = calloc(n, sizeof(*it->sub));
	if (!have_memory(loader, it->sub))
		return false;
	for (unsigned i = 0; i < n; i++)
		it->sub[i] = loader->inner[first + i].item;
	it->n_sub = n;
	loader->n_inner = first;
	return true;
}

/* Puts an item where the section around it, or the loader, has it. */
static bool keep_item(const cfg_t *around, const struct item *it)
{
	bool top = around == loader->cur->root, ok;
	struct vec v = { top ? (void *)loader->item : loader->inner, top ? loader->n_item : loader->n_inner };

	if (top) {
		ok = vec_push(loader, &v, it, sizeof(*it));
		loader->item = v.p;
		loader->n_item = v.n;
	} else {
		struct inner in = { around, *it };
		ok = vec_push(loader, &v, &in, sizeof(in));
		loader->inner = v.p;
		loader->n_inner = v.n;
	}
	return ok;
}

/*
 * A section was read to its closing brace. It is taken out of libconfuse's tree at once: a tree of 100,000
 * sections is large, and each new title would be compared with all of them.
 */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_value_t *last = opt->values[--opt->nvalues];
	cfg_t *sec = last->section;
	struct item it = { .src = loader->cur };

	free(last);
	it.line = note_close(sec, cfg->line);
	if (cfg != loader->cur->root)
		note_open(cfg); /* it may have no key of its own */
	forget_seen(sec);
	while (strcmp(section_name(it.kind), opt->name) != 0)
		it.kind++;
	bool named = section_named(it.kind);
	if (named)
		it.name = strdup(cfg_title(sec));
	bool ok = (!named || have_memory(loader, it.name)) && harvest(&it, sec) && take_inner(&it, sec);
	cfg_free(sec);
	if (ok && keep_item(cfg, &it))
		return 0;
	item_fini(&it);
	return -1;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	struct source *from = loader->cur;
	int line = cfg->line, rc = 0;
	glob_t g;

	if (argc != 1 || !argv[0][0]) {
		report(loader, from, line, "include with %d arguments; expected include(\"FILE\")", argc);
		return -1;
	}
	char *path = path_beside(from, argv[0]);
	if (!have_memory(loader, path))
		return -1;
	/* a name without wildcards that matches nothing stays as it is, and is then missed by its name */
	bool wild = strpbrk(path, "*?[") != NULL;
	rc = glob(path, wild ? 0 : GLOB_NOCHECK, NULL, &g);
	free(path);
	if (rc == GLOB_NOMATCH)
		return 0;
	if (rc) {
		report(loader, from, line, "include \"%s\": cannot be read; expected files", argv[0]);
		return -1;
	}
	for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++)
		rc = parse_file(loader, g.gl_pathv[i], from, line);
	globfree(&g);
	loader->cur = from;
	return rc ? -1 : 0;
}

/* "a, b, c": the keys of a section, for the one who mistyped one. */
static void known_keys(const cfg_t *cfg, char *out, size_t max)
{
	size_t n = 0;

	out[0] = 0;
	for (const cfg_opt_t *o = cfg->opts; o && o->name && n < max; o++) {
		int k = snprintf(out + n, max - n, "%s%s", o == cfg->opts ? "" : ", ", o->name);
		n += k < 0 ? 0 : (size_t)k;
	}
}

/* Has the section a key whose text may be words? One without quotes goes on as if it were keys. */
static bool has_words_of_secrets(const cfg_t *cfg)
{
	for (const cfg_opt_t *o = cfg->opts; o && o->name; o++)
		for (unsigned r = 0; r < key_rows_count(); r++)
			if (o->type == CFGT_PTR && o->nvalues && strcmp(key_rows[r].doc.type, "secret") == 0 &&
			    strcmp(key_rows[r].doc.key, o->name) == 0)
				return true;
	return false;
}

/* May a word of the file be repeated in a message? Not when it could be a piece of a key. */
static bool may_repeat(const cfg_t *cfg, const char *word, size_t n)
{
	size_t hex = strspn(word, "0123456789abcdefABCDEFxX:_");

	return n > 0 && n <= 32 && !(n >= 8 && hex >= n) && !has_words_of_secrets(cfg);
}

/* Who looks for the Name selector of RFC 4301 4.4.1.1 is told where it is, or that it cannot be. */
static const char *about_names(const cfg_t *cfg, const char *word, size_t n)
{
	static const char *const words[] = { "name", "user", "user_id", "userid", "uid", "username", "system", "system_name" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == n && strncasecmp(words[i], word, n) == 0 &&
		    (strcmp(cfg->name, "policy") == 0 || strcmp(cfg->name, "child") == 0 || strcmp(cfg->name, "sa") == 0))
			return "a connection with remote { id = NAME } (names of peers are identities of IKE; which user of this "
			       "machine sent a packet is not to be seen in it), or ";
	return "";
}

static void report_unknown(const cfg_t *cfg, int line, const char *word, size_t n)
{
	char keys[1024];
	bool top = cfg == loader->cur->root, say = may_repeat(cfg, word, n);

	known_keys(cfg, keys, sizeof(keys));
	report(loader, loader->cur, line, "unknown key %s%.*s%s%s%s; expected %sone of %s", say ? "\"" : "",
	       say ? (int)n : 0, word, say ? "\" " : "", top ? "outside any section" : "in section ", top ? "" : cfg->name,
	       about_names(cfg, word, n), keys);
}

/* libconfuse's own complaints, put into our words. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const struct {
		const char *start, *say;
	} says[] = {
		{ "premature end of file", "the file ends inside a section; expected a closing brace" },
		{ "unexpected closing brace", "a closing brace that closes nothing; expected a section or key" },
		{ "missing equal sign", "no equal sign after the key; expected KEY = VALUE" },
		{ "missing opening brace", "no opening brace; expected { after the section's name" },
		{ "missing title", "a section without a name; expected e.g. sa NAME { ... }" },
		{ "missing parenthesis", "include without parentheses; expected include(\"FILE\")" },
		{ "syntax error in call", "include is not closed; expected include(\"FILE\")" },
	};
	char text[256];
	int last = loader->cur->lines, line = cfg->line < last ? cfg->line : last;

	vsnprintf(text, sizeof(text), fmt, ap);
	const char *quote = strchr(text, '\'');
	size_t quoted = quote ? strcspn(quote + 1, "'") : 0;
	if (cfg->line > last + 1) { /* in the padding of text.c */
		report(loader, loader->cur, last, "the file ends inside a section or value; expected the rest of it");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(says); i++)
		if (strncmp(text, says[i].start, strlen(says[i].start)) == 0) {
			report(loader, loader->cur, line, "%s", says[i].say);
			return;
		}
	if ((strncmp(text, "no such option", 14) == 0 || strncmp(text, "no sub-section", 14) == 0) && quote)
		report_unknown(cfg, line, quote + 1, quoted);
	else if (quote && quoted == 1 && strchr("{}()=,", quote[1]))
		report(loader, loader->cur, line, "unexpected '%c'; expected %s", quote[1],
		       quote[1] == '}' ? "a value" : "a key, a section or a value");
	else if (strncmp(text, "unexpected token", 16) == 0)
		report(loader, loader->cur, line,
		       "two words where one is expected; expected a comma or brace between values, and quotes around a "
		       "value with spaces");
	else
		report(loader, loader->cur, line, "%s", text);
}

/* libconfuse's options for the keys of one section, from the table; with room for its sections, malloc'd. */
static cfg_opt_t *options_of(enum section s)
{
	unsigned n = 0, rows = key_rows_count();
	cfg_opt_t *o = calloc(rows + SECTIONS + 2, sizeof(*o));

	for (unsigned i = 0; o && i < rows; i++)
		if (key_row_in(&key_rows[i], s))
			/* all are lists: that a key takes one value is then said in our words */
			o[n++] = (cfg_opt_t)CFG_PTR_LIST_CB(key_rows[i].doc.key, NULL, CFGF_NONE, on_value,
							    value_free);
	return o;
}

/* Adds section s to the options of the one it stands in. */
static void add_section(cfg_opt_t *sub[SECTIONS], enum section s)
{
	cfg_opt_t *at = sub[section_in(s)] + cfg_numopts(sub[section_in(s)]);

	if (s == SEC_LOG) { /* one of all files, not one of many */
		*at = (cfg_opt_t)CFG_SEC("log", sub[s], CFGF_NONE);
		return;
	}
	*at = (cfg_opt_t)CFG_SEC(section_name(s), sub[s], CFGF_MULTI);
	if (section_named(s))
		at->flags |= CFGF_TITLE;
	at->validcb = on_section;
}

static cfg_t *tree_new(void)
{
	cfg_opt_t *sub[SECTIONS] = { NULL };
	cfg_t *root = NULL;
	bool ok = true;

	for (enum section s = SEC_TOP; s < SECTIONS; s++)
		ok &= (sub[s] = options_of(s)) != NULL;
	if (ok) {
		for (enum section s = SEC_LOG; s < SECTIONS; s++)
			add_section(sub, s);
		sub[SEC_TOP][cfg_numopts(sub[SEC_TOP])] = (cfg_opt_t)CFG_FUNC("include", on_include);
		root = cfg_init(sub[SEC_TOP], CFGF_NONE);
	}
	for (enum section s = SEC_TOP; s < SECTIONS; s++)
		free(sub[s]);
	return root;
}

static struct source *source_new(struct loader *ld, const char *path, struct source *from)
{
	struct source *s = calloc(1, sizeof(*s));
	const char *slash = strrchr(path, '/');

	if (!s)
		return NULL;
	struct vec v = { ld->source, ld->n_source };
	s->from = from;
	s->path = strdup(path);
	s->dir = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	bool ok = vec_push(ld, &v, &s, sizeof(s));
	ld->source = v.p;
	ld->n_source = v.n;
	if (ok)
		return s->path && s->dir ? s : NULL;
	free(s->path);
	free(s->dir);
	free(s);
	return NULL;
}

/* An include that goes round in a circle would never end. */
static bool include_ok(struct loader *ld, const char *path, const struct source *from, int line)
{
	unsigned depth = 0;

	for (const struct source *s = from; s; s = s->from) {
		if (strcmp(s->path, path) == 0) {
			report(ld, from, line, "include \"%s\": that file includes this one; expected no circle", path);
			return false;
		}
		depth++;
	}
	if (depth <= INCLUDE_DEPTH_MAX && ld->n_source < SOURCES_MAX)
		return true;
	report(ld, from, line, "include \"%s\": too many files; expected at most %d inside each other, %d in all", path,
	       INCLUDE_DEPTH_MAX, SOURCES_MAX);
	return false;
}

/* Runs libconfuse over text[0..len). The buffer of stdio is ours, so that it can be wiped. */
static int parse_text(struct loader *ld, cfg_t *root, char *text, size_t len)
{
	char buffer[4096];
	FILE *f = fmemopen(text, len, "r");

	if (!have_memory(ld, f))
		return -ENOMEM;
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	int rc = cfg_parse_fp(root, f);
	fclose(f);
	wipe(buffer, sizeof(buffer));
	return rc == CFG_SUCCESS ? 0 : ld->no_memory ? -ENOMEM : -EINVAL;
}

/* Reads text into the tree of src, and its keys outside sections into the loader's items. */
static int parse_tree(struct loader *ld, struct source *src, char *text, size_t len)
{
	unsigned errors = ld->errors, seen = ld->n_seen;

	src->root = tree_new();
	if (!have_memory(ld, src->root))
		return -ENOMEM;
	cfg_set_error_function(src->root, on_error);
	int rc = parse_text(ld, src->root, text, len);
	if (rc && ld->errors == errors) /* libconfuse has ways to fail without a word */
		report(ld, src, src->root->line < src->lines ? src->root->line : src->lines,
		       "cannot be understood from here; expected KEY = VALUE or a section");
	if (rc == 0 && (!harvest(&ld->top, src->root) || !harvest(&ld->log, cfg_getsec(src->root, "log"))))
		rc = -ENOMEM;
	ld->n_seen = seen;
	return rc; /* the tree stays till the end: freeing one makes libconfuse forget the files around it */
}

int parse_file(struct loader *ld, const char *path, struct source *from, int from_line)
{
	char *text;
	size_t len;

	if (from && !include_ok(ld, path, from, from_line))
		return -EINVAL;
	struct source *src = source_new(ld, path, from);
	if (!have_memory(ld, src))
		return -ENOMEM;
	int rc = text_read(ld, src, from, from_line, &text, &len);
	if (rc)
		return rc;
	loader = ld;
	ld->cur = src;
	ld->n_open = 0;
	rc = parse_tree(ld, src, text, len);
	wipe(text, len);
	free(text);
	return rc;
}

void parse_free(struct loader *ld)
{
	for (unsigned i = 0; i < ld->n_source; i++) {
		if (ld->source[i]->root)
			cfg_free(ld->source[i]->root);
		free(ld->source[i]->path);
		free(ld->source[i]->dir);
		free(ld->source[i]);
	}
	for (unsigned i = 0; i < ld->n_item; i++)
		item_fini(&ld->item[i]);
	for (unsigned i = 0; i < ld->n_inner; i++) /* a section around them never ended */
		item_fini(&ld->inner[i].item);
	free(ld->inner);
	item_fini(&ld->top);
	item_fini(&ld->log);
	free(ld->source);
	free(ld->item);
	free(ld->seen);
}
