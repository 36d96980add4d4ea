/* The man pages against the tables of keys and of audit events; keys that come of other tables. */
#include <stdio.h>

#include "base/audit.h"
#include "packet/quote.h"
#include "test_config.h"

/* The line of the man page's section about a key: ".It Cm KEY Ar TYPE" ... "Default: X." ... ".Dl KEY =" */
static void check_man_key(const char *page, const struct config_key *k)
{
	char want[128], def[96];

	snprintf(want, sizeof(want), ".\\\" section %s\n", k->section[0] ? k->section : "top");
	const char *sec = strstr(page, want);
	ck_assert_msg(sec, "no section %s", k->section);
	const char *end = strstr(sec + 1, ".\\\" section ");
	snprintf(want, sizeof(want), ".It Cm %s Ar %s\n", k->key, k->type);
	const char *it = strstr(sec, want);
	ck_assert_msg(it && (!end || it < end), "%s.%s (%s) is not documented", k->section, k->key, k->type);
	const char *next = strstr(it + 1, ".It Cm "), *stop = next && (!end || next < end) ? next : end;
	snprintf(def, sizeof(def), "%s", k->def[0] == '(' ? k->def + 1 : k->def);
	if (k->def[0] == '(')
		def[strlen(def) - 1] = 0;
	snprintf(want, sizeof(want), "\nDefault: %s.\n", def);
	const char *d = strstr(it, want);
	ck_assert_msg(d && (!stop || d < stop), "%s.%s: the default is not \"%s\" in the man page", k->section, k->key, def);
	snprintf(want, sizeof(want), "\n.Dl %s = ", k->key);
	const char *x = strstr(it, want);
	ck_assert_msg(x && (!stop || x < stop), "%s.%s has no example in the man page", k->section, k->key);
}

START_TEST(test_man_page)
{
	static char page[128 * 1024];
	FILE *f = fopen(conf_source("man/bumpwire.conf.5"), "r");
	unsigned n, items = 0;
	const struct config_key *k = config_keys(&n);

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
	ck_assert_uint_gt(n, 60);
	for (unsigned i = 0; i < n; i++)
		check_man_key(page, &k[i]);
	for (const char *p = page; (p = strstr(p, "\n.It Cm ")); p++)
		items++;
	ck_assert_uint_eq(items, n); /* and nothing that does not exist */
}
END_TEST

/* bumpwire(8) has every auditable event, as the table has it, and no other. */
START_TEST(test_man_page_audit)
{
	static char page[128 * 1024];
	FILE *f = fopen(conf_source("man/bumpwire.8"), "r");
	unsigned items = 0;

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
	const char *from = strstr(page, "\n.It Sy event Ta Sy kind"), *to = from ? strstr(from, "\n.El") : NULL;
	ck_assert(from && to);
	for (const char *p = from + 1; (p = strstr(p, "\n.It ")) && p < to; p++)
		items++;
	ck_assert_uint_eq(items, AUDIT_EVENTS - 1);
	for (unsigned i = 1; i < AUDIT_EVENTS; i++) {
		const struct audit_info *a = audit_info((enum audit)i);
		char want[512];
		snprintf(want, sizeof(want), "\n.It %s Ta %s Ta %s%s Ta %s\n", a->name,
			 a->of == AUDIT_OF_IPSEC ? "esp, ah" : a->of == AUDIT_OF_POLICY ? "policy" : "ike",
			 a->demanded ? "" : "(beyond) ", a->sections, a->what);
		ck_assert_msg(strstr(page, want), "not in bumpwire(8):%s", want);
	}
}
END_TEST

static unsigned audit_of(const char *value)
{
	char text[128];

	snprintf(text, sizeof(text), "audit = %s\n", value);
	struct config *c = conf_text(text);
	unsigned of = c->audit & ~WORDS_SAID;
	config_free(&c);
	return of;
}

START_TEST(test_audit_key)
{
	static const char *const bad[] = { "{no, esp}", "{esp, yes}", "{ah, no}", "maybe", "{esp, tls}", "{yes, no}" };
	struct config *c = conf_text("workers = 1\n");

	ck_assert_uint_eq(c->audit & ~WORDS_SAID, AUDIT_OF_ALL);
	config_free(&c);
	ck_assert_uint_eq(audit_of("yes"), AUDIT_OF_ALL);
	ck_assert_uint_eq(audit_of("no"), 0);
	ck_assert_uint_eq(audit_of("ike"), AUDIT_OF_IKE);
	ck_assert_uint_eq(audit_of("{esp}"), AUDIT_OF_ESP);
	ck_assert_uint_eq(audit_of("{ah, policy, esp}"), AUDIT_OF_IPSEC | AUDIT_OF_POLICY);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		char text[128];
		snprintf(text, sizeof(text), "audit = %s\n", bad[i]);
		conf_put("audit.conf", text, strlen(text), 0600);
		ck_assert_msg(conf_load(conf_path("audit.conf"), &c) != 0, "%s", bad[i]);
		ck_assert_msg(strstr(conf_said, "audit") && strstr(conf_said, "yes or no alone"), "%s", conf_said);
	}
}
END_TEST

START_TEST(test_log_keys)
{
	unsigned n, found = 0;
	const struct config_key *k = config_keys(&n);

	for (unsigned i = 0; i < n; i++)
		found += strcmp(k[i].section, "log") == 0 && log_subsys_parse(k[i].key) >= 0;
	ck_assert_uint_eq(found, LOG_SUBSYSTEMS);
}
END_TEST

TCase *conf_page_case(void)
{
	TCase *t = conf_case("man pages");

	tcase_add_test(t, test_man_page);
	tcase_add_test(t, test_man_page_audit);
	tcase_add_test(t, test_audit_key);
	tcase_add_test(t, test_log_keys);
	return t;
}
