/*
 * Loading: read every file into items (parse.c), then the top level, because the rest asks it (weak
 * algorithms, the port), then each section, then how they fit together. All errors are counted on
 * the way; only a configuration without any is handed out.
 */
#define _GNU_SOURCE 1 /* asprintf */
#include "config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/internal.h"

static void __attribute__((format(printf, 5, 0))) say(struct loader *ld, const struct source *src, int line,
						      const char *prefix, const char *fmt, va_list ap)
{
	if (line > 0)
		fprintf(ld->err, "%s:%d: %s", src->path, line, prefix);
	else
		fprintf(ld->err, "%s: %s", src->path, prefix);
	vfprintf(ld->err, fmt, ap);
	fputc('\n', ld->err);
}

#define SAY(src, line, prefix)                                                                     \
	do {                                                                                       \
		va_list ap;                                                                        \
		va_start(ap, fmt);                                                                 \
		say(ld, src, line, prefix, fmt, ap);                                               \
		va_end(ap);                                                                        \
	} while (0)

void report(struct loader *ld, const struct source *src, int line, const char *fmt, ...)
{
	ld->errors++;
	SAY(src, line, "");
}

void report_value(struct loader *ld, const struct value *v, const char *fmt, ...)
{
	ld->errors++;
	SAY(v->src, v->line, "");
}

void report_item(struct loader *ld, const struct item *it, const char *fmt, ...)
{
	ld->errors++;
	SAY(it->src, it->line, "");
}

void warn_item(struct loader *ld, const struct item *it, const char *fmt, ...)
{
	SAY(it->src, it->line, "warning: ");
}

void warn_value(struct loader *ld, const struct value *v, const char *fmt, ...)
{
	SAY(v->src, v->line, "warning: ");
}

bool have_memory(struct loader *ld, const void *p)
{
	if (!p && !ld->no_memory) {
		ld->no_memory = true;
		ld->errors++;
		fprintf(ld->err, "out of memory\n");
	}
	return p != NULL;
}

bool vec_push(struct loader *ld, struct vec *v, const void *one, size_t size)
{
	if ((v->n & (v->n - 1)) == 0) { /* full at each power of two */
		void *p = reallocarray(v->p, v->n ? (size_t)v->n * 2 : 1, size);
		if (!have_memory(ld, p))
			return false;
		v->p = p;
	}
	memcpy((char *)v->p + v->n++ * size, one, size);
	return true;
}

bool path_absolute(const char *text)
{
	return text[0] == '/';
}

char *path_beside(const struct source *src, const char *text)
{
	char *s;

	if (path_absolute(text))
		return strdup(text);
	return asprintf(&s, "%s%s", src->dir, text) < 0 ? NULL : s;
}

const char *item_title(const struct item *it, char out[ITEM_STRLEN])
{
	const struct item *in = it->in;

	snprintf(out, ITEM_STRLEN, "%s%s%.64s%s%s%s%.64s", section_name(it->kind), it->name ? " " : "",
		 it->name ? it->name : "", in ? " of " : "", in ? section_name(in->kind) : "", in && in->name ? " " : "",
		 in && in->name ? in->name : "");
	return out;
}

bool item_name_ok(struct loader *ld, const struct item *it)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@:";
	size_t n = it->name ? strlen(it->name) : 0, max = it->kind == SEC_TUN || it->kind == SEC_BRIDGE ? 15 : 63;

	if (!section_named(it->kind))
		return true;
	if (n >= 1 && n <= max && strspn(it->name, allowed) == n &&
	    !(max == 15 && (strchr(it->name, ':') || it->name[0] == '.')))
		return true;
	report_item(ld, it, "%s \"%.80s\": not a name; expected 1 to %zu letters, digits or . _ - + @%s",
		    section_name(it->kind), it->name, max, max == 15 ? "" : " :");
	return false;
}

static unsigned count_items(const struct loader *ld, enum section kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ld->n_item; i++)
		n += ld->item[i].kind == kind;
	return n;
}

static void build_top(struct loader *ld)
{
	struct config *c = ld->conf;

	for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++)
		c->log_subsys[i] = -1;
	ld->top.src = ld->log.src = ld->source[0];
	ld->top.line = ld->log.line = 1;
	keys_apply(ld, &ld->top, c);
	keys_apply(ld, &ld->log, c);
	if (c->port_ike == c->port)
		report_value(ld, key_value(&ld->top, key_value(&ld->top, "port_ike") ? "port_ike" : "port_nat_t"),
			     "port_ike and port_nat_t are both %u; expected two ports", c->port);
	if (!c->bind4.ver)
		c->bind4 = ip_addr_any(4);
	if (!c->bind6.ver)
		c->bind6 = ip_addr_any(6);
}

static void build_items(struct loader *ld)
{
	struct config *c = ld->conf;

	for (unsigned i = 0; i < ld->n_item && !ld->no_memory; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_CONN || it->kind == SEC_SECRET || it->kind == SEC_POOL ||
		    it->kind == SEC_USER)
			continue; /* conn.c */
		bool named = item_name_ok(ld, it);
		if (it->kind == SEC_SA) {
			c->n_sa++; /* also without a name: items and structures keep step */
			if (named)
				sa_build(ld, it, &c->sa[c->n_sa - 1]);
		} else if (it->kind == SEC_POLICY) {
			c->n_policy++;
			if (named)
				policy_build(ld, it, &c->policy[c->n_policy - 1]);
		} else if (it->kind == SEC_BRIDGE && c->bridge) {
			report_item(ld, it, "a second bridge section; expected one (%s:%d has it)", c->bridge->file, c->bridge->line);
		} else if (it->kind == SEC_BRIDGE) {
			c->bridge = calloc(1, sizeof(*c->bridge));
			if (have_memory(ld, c->bridge))
				bridge_build(ld, it, c->bridge);
		} else if (c->tun) {
			report_item(ld, it, "a second tun section; expected one (%s:%d has it)", c->tun->file,
				    c->tun->line);
		} else {
			c->tun = calloc(1, sizeof(*c->tun));
			if (have_memory(ld, c->tun))
				tun_build(ld, it, c->tun);
		}
	}
}

static void build(struct loader *ld, const char *path)
{
	struct config *c = calloc(1, sizeof(*c));
	unsigned n_sa = count_items(ld, SEC_SA), n_policy = count_items(ld, SEC_POLICY);

	ld->conf = c;
	if (!have_memory(ld, c))
		return;
	c->path = strdup(path);
	c->sa = calloc(n_sa + 1, sizeof(*c->sa));
	c->policy = calloc(n_policy + 1, sizeof(*c->policy));
	if (!have_memory(ld, c->path) || !have_memory(ld, c->sa) || !have_memory(ld, c->policy))
		return;
	build_top(ld);
	build_items(ld);
	if (!ld->no_memory)
		ike_build(ld);
	if (!ld->no_memory)
		check_all(ld);
}

int config_load(const char *path, FILE *err, struct config **out)
{
	struct loader ld = { .err = err, .top.kind = SEC_TOP, .log.kind = SEC_LOG };

	*out = NULL;
	int rc = parse_file(&ld, path, NULL, 0);
	if (rc == 0)
		build(&ld, path);
	parse_free(&ld);
	if (rc == 0 && ld.errors)
		rc = ld.no_memory ? -ENOMEM : -EINVAL;
	if (rc)
		config_free(&ld.conf);
	*out = ld.conf;
	return rc;
}

static void names_free(char **names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static void tun_free(struct config_tun *t)
{
	if (!t)
		return;
	free(t->name);
	free(t->address);
	free(t->routes);
	free(t->file);
	free(t);
}

static void bridge_free(struct config_bridge *b)
{
	if (!b)
		return;
	free(b->name);
	free(b->port[0].name);
	free(b->port[1].name);
	free(b->file);
	free(b);
}

void config_free(struct config **cp)
{
	struct config *c = *cp;

	if (!c)
		return;
	*cp = NULL;
	tun_free(c->tun);
	bridge_free(c->bridge);
	for (unsigned i = 0; i < c->n_sa; i++) {
		sa_conf_fini(&c->sa[i].conf);
		free(c->sa[i].file);
	}
	for (unsigned i = 0; i < c->n_policy; i++) {
		struct config_policy *p = &c->policy[i];
		free(p->name);
		free(p->sel);
		names_free(p->out, p->n_out);
		names_free(p->in, p->n_in);
		names_free(p->parallel, p->n_parallel);
		free(p->label);
		free(p->unlabelled);
		free(p->file);
	}
	free(c->sa);
	free(c->policy);
	free(c->label);
	free(c->unlabelled);
	ike_conf_unref(&c->ike);
	free(c->run_dir);
	free(c->state_dir);
	free(c->resolv_conf);
	free(c->path);
	free(c);
}
