/*
 * Every broken configuration of test/unit/broken/ (its README has the notation) gives exactly the messages
 * it lists, in a file of its own, and never a configuration; one that only warns loads.
 */
#include <check.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/secret.h"
#include "config/config.h"
#include "ike_pki.h"

#define LINES 128
#define LINE_LEN 2048
#define EXPECT 8

struct kase {
	char name[128];
	char line[LINES][LINE_LEN];
	int n_line;
	int last; /* the line last changed, from 1 */
	struct {
		bool warning;
		int line;
		char text[256];
	} expect[EXPECT];
	int n_expect;
	bool raw;
};

static char good[LINES][LINE_LEN];
static int n_good;
static unsigned cases;

static FILE *open_source(const char *name)
{
	const char *dir = getenv("srcdir");
	char path[512];

	snprintf(path, sizeof(path), "%s/test/unit/broken/%s", dir ? dir : ".", name);
	FILE *f = fopen(path, "r");
	ck_assert_msg(f, "%s cannot be read", path);
	return f;
}

static void read_good(void)
{
	FILE *f = open_source("good.conf");

	n_good = 0;
	while (n_good < LINES && fgets(good[n_good], LINE_LEN, f)) {
		good[n_good][strcspn(good[n_good], "\n")] = 0;
		n_good++;
	}
	fclose(f);
}

static void begin(struct kase *k, const char *name)
{
	memset(k, 0, sizeof(*k));
	snprintf(k->name, sizeof(k->name), "%s", name);
	memcpy(k->line, good, sizeof(good));
	k->n_line = n_good;
}

static bool line_has_key(const char *line, const char *key, size_t n)
{
	line += strspn(line, " ");
	return strncmp(line, key, n) == 0 && (line[n] == ' ' || line[n] == '=' || line[n] == 0);
}

/* "SECTION {", also inside another */
static bool line_opens(const char *line, const char *section, size_t n)
{
	line += strspn(line, " ");
	return strncmp(line, section, n) == 0 && strcmp(line + n, " {") == 0;
}

/* "SECTION: KEY = VALUE" or "SECTION: -KEY" */
static void change(struct kase *k, const char *section, size_t n, const char *text)
{
	bool drop = text[0] == '-';
	size_t key = strcspn(text + drop, " =");
	int at = 0, spare = -1;

	while (at < k->n_line && !line_opens(k->line[at], section, n))
		at++;
	for (at++; at < k->n_line && k->line[at][strspn(k->line[at], " ")] != '}'; at++) {
		if (line_has_key(k->line[at], text + drop, key)) {
			spare = at;
			break;
		}
		if (k->line[at][0] == 0 && spare < 0)
			spare = at;
	}
	ck_assert_msg(spare > 0, "%s: no line for \"%s\"", k->name, text);
	snprintf(k->line[spare], LINE_LEN, "%s", drop ? "" : text);
	k->last = spare + 1;
}

static void expect(struct kase *k, bool warning, const char *text)
{
	ck_assert_int_lt(k->n_expect, EXPECT);
	k->expect[k->n_expect].warning = warning;
	k->expect[k->n_expect].line = text[0] == '@' ? k->last : atoi(text);
	text += strcspn(text, " ");
	text += *text == ' ';
	char *to = k->expect[k->n_expect++].text;
	size_t n = 0;
	for (; *text && n < 255; text++) {
		bool home = strncmp(text, "~/", 2) == 0; /* the folder of the configuration */
		n += (size_t)snprintf(to + n, 256 - n, "%.*s", home ? 64 : 1, home ? pki_folder() : text);
	}
}

static void add_line(struct kase *k, const char *text)
{
	const char *colon = strstr(text, ": ");

	if (text[0] == '!' || text[0] == '?') {
		expect(k, text[0] == '?', text + 2);
	} else if (text[0] == '|') {
		if (!k->raw)
			k->n_line = 0;
		k->raw = true;
		snprintf(k->line[k->n_line++], LINE_LEN, "%s", text + (text[1] ? 2 : 1));
	} else if (strncmp(text, "top: ", 5) == 0) {
		snprintf(k->line[0], LINE_LEN, "%s", text + 5);
		k->last = 1;
	} else {
		ck_assert_msg(colon, "%s: \"%s\" is in no notation", k->name, text);
		change(k, text, (size_t)(colon - text), colon + 2);
	}
}

/* Takes one line of output off the list of expected ones. */
static void match(struct kase *k, const char *path, const char *line)
{
	size_t n = strlen(path);
	char *end;

	ck_assert_msg(strncmp(line, path, n) == 0 && line[n] == ':', "%s: message without its file: %s", k->name, line);
	int at = (int)strtol(line + n + 1, &end, 10);
	ck_assert_msg(end[0] == ':' && end[1] == ' ', "%s: message without its line: %s", k->name, line);
	bool warning = strncmp(end + 2, "warning: ", 9) == 0;
	const char *text = end + 2 + (warning ? 9 : 0);
	for (int i = 0; i < k->n_expect; i++)
		if (k->expect[i].line == at && k->expect[i].warning == warning &&
		    strncmp(text, k->expect[i].text, strlen(k->expect[i].text)) == 0) {
			ck_assert_msg(strstr(text, "expected"), "%s: does not say what was expected: %s", k->name, text);
			k->expect[i] = k->expect[--k->n_expect];
			return;
		}
	ck_abort_msg("%s: not expected: %s", k->name, line);
}

static void run(struct kase *k)
{
	const char *path = pki_path("c.conf");
	char *text = NULL, *save = NULL;
	size_t len = 0;
	struct config *c;
	bool errors = false;

	ck_assert_msg(k->n_expect > 0, "%s expects nothing", k->name);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < k->n_line; i++)
		fprintf(f, "%s\n", k->line[i]);
	fclose(f);
	for (int i = 0; i < k->n_expect; i++)
		errors |= !k->expect[i].warning;
	f = open_memstream(&text, &len);
	int rc = config_load(path, f, &c);
	fclose(f);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		match(k, path, l);
	ck_assert_msg(k->n_expect == 0, "%s: not said: line %d: %s", k->name, k->expect[0].line, k->expect[0].text);
	ck_assert_msg((rc != 0) == errors, "%s: config_load() returned %d", k->name, rc);
	ck_assert_msg((c == NULL) == errors, "%s: a configuration in spite of errors, or none without", k->name);
	free(text);
	config_free(&c);
	cases++;
}

static void run_list(const char *name)
{
	FILE *f = open_source(name);
	char line[LINE_LEN];
	static struct kase k;
	bool open = false;

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "== ", 3) == 0) {
			if (open)
				run(&k);
			begin(&k, line + 3);
			open = true;
		} else if (line[0]) {
			add_line(&k, line);
		}
	}
	if (open)
		run(&k);
	fclose(f);
}

static uint64_t pki_wall_ns(void)
{
	return (uint64_t)PKI_NOW * NS_PER_S;
}

/* Files that connections name: NAME.pem and NAME.key of NAME.example by the authority in ca.pem. */
static void make_end(const char *name, const struct pki *ca, int64_t from, int64_t to)
{
	char file[64], subject[128], san[128];

	snprintf(subject, sizeof(subject), "C=DE, CN=%s", name);
	snprintf(san, sizeof(san), "DNS:%s.example", name);
	struct pki p = pki_make(&(struct pki_opt) { .subject = subject, .san = san, .from = from, .to = to }, ca);
	snprintf(file, sizeof(file), "%s.pem", name);
	pki_write_cert(file, &p.cert, 1);
	snprintf(file, sizeof(file), "%s.key", name);
	pki_write_key(file, p.key, strcmp(name, "locked") == 0 ? "open sesame" : NULL);
	ck_assert_int_eq(chmod(pki_path(file), strcmp(name, "loose") == 0 ? 0640 : 0600), 0);
	pki_fini(&p);
}

/* One without a subject, and its key in the same file. */
static void make_both(const struct pki *ca)
{
	struct pki p = pki_make(&(struct pki_opt) { .san = "DNS:both.example" }, ca);
	FILE *f = fopen(pki_path("both.pem"), "w");

	ck_assert(f && PEM_write_X509(f, p.cert) && PEM_write_PrivateKey(f, p.key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	ck_assert_int_eq(chmod(pki_path("both.pem"), 0644), 0);
	pki_fini(&p);
}

static void setup(void)
{
	read_good();
	clock_set_source(NULL, pki_wall_ns);
	struct pki ca = pki_make(&(struct pki_opt) { .subject = "C=DE, CN=ca", .ca = true }, NULL);
	pki_write_cert("ca.pem", &ca.cert, 1);
	make_end("a", &ca, 0, 0);
	make_end("loose", &ca, 0, 0);
	make_end("locked", &ca, 0, 0);
	make_end("old", &ca, PKI_NOW - 9 * PKI_DAY, PKI_NOW - 2 * PKI_DAY);
	make_end("young", &ca, PKI_NOW + 2 * PKI_DAY, PKI_NOW + 9 * PKI_DAY);
	make_both(&ca);
	pki_write_bytes("text", span_of("hello", 5));
	pki_write_bytes("empty", span_of("\n", 1));
	ck_assert_int_eq(chmod(pki_path("empty"), 0600), 0);
	ck_assert_int_eq(mkdir(pki_path("empty-folder"), 0700), 0);
	pki_fini(&ca);
}

static void teardown(void)
{
	pki_folder_remove();
}

static const char *const lists[] = { "top.list", "tun.list", "bridge.list", "sa.list",	    "policy.list", "syntax.list",
				    "ike.list", "auth.list", "child.list", "secret.list", "access.list" };

START_TEST(test_list)
{
	cases = 0;
	run_list(lists[_i]);
	ck_assert_uint_gt(cases, 5);
}
END_TEST

/* Many failing loads in a row leave the parser underneath as it was: the good one still loads. */
START_TEST(test_good_after_all)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		run_list(lists[i]);
	struct kase k;
	const char *path = pki_path("good.conf");
	char out[256] = "";
	struct config *c;
	begin(&k, "good");
	FILE *f = fopen(path, "w");
	for (int i = 0; i < k.n_line; i++)
		fprintf(f, "%s\n", k.line[i]);
	fclose(f);
	f = fmemopen(out, sizeof(out) - 1, "w");
	ck_assert_int_eq(config_load(path, f, &c), 0);
	fclose(f);
	ck_assert_str_eq(out, "");
	ck_assert_uint_eq(c->n_sa, 2);
	config_free(&c);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("broken");
	Suite *s = suite_create("config_broken");
	SRunner *sr = srunner_create(s);

	if (secret_init())
		return 1;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_list, 0, (int)ARRAY_LEN(lists));
	tcase_add_test(tc, test_good_after_all);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
