/*
 * The files of a configuration: key files and whose they are, included files, files that cannot be
 * read; and that no key that was in one stays in memory.
 */
#define _GNU_SOURCE 1 /* memmem */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "test_config.h"

#define SA_OF(key) \
	"tun t { }\nsa s { direction = in spi = 0x1000 cipher = aes128gcm16\n key = \"" key "\" }\n" \
	"policy p { action = protect in = s }\n"

static void check_key_file(const char *content, size_t len, mode_t mode, const char *error)
{
	struct config *c;
	uint8_t want[20];

	conf_put("k", content, len, mode);
	conf_put("c.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	int rc = conf_load(conf_path("c.conf"), &c);
	if (error) {
		ck_assert_int_eq(rc, -EINVAL);
		ck_assert_msg(strstr(conf_said, ":3: key") && strstr(conf_said, error), "%s", conf_said);
		return;
	}
	ck_assert_msg(rc == 0, "%s", conf_said);
	for (int i = 0; i < 20; i++)
		want[i] = (uint8_t)(0xa0 + i);
	ck_assert(span_eq(secret_view(&c->sa->conf.encr_key), span_of(want, 20)));
	config_free(&c);
}

START_TEST(test_key_files)
{
	static const char hex[] = "a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf\nb0b1b2b3\n";
	char raw[21];

	for (int i = 0; i < 21; i++)
		raw[i] = (char)(0xa0 + i);
	check_key_file(hex, strlen(hex), 0600, NULL);
	check_key_file(hex, strlen(hex), 0400, NULL);
	check_key_file(raw, 20, 0600, NULL);
	check_key_file(raw, 19, 0600, "key has 19 bytes; expected 20 bytes: 16 of key and 4 of salt");
	check_key_file(raw, 21, 0600, "key has 21 bytes; expected 20 bytes");
	check_key_file("0011223344556677889900", 22, 0600, "key has 11 bytes; expected 20 bytes");
	/* digits that happen to be as many as the key has bytes are still digits */
	check_key_file("00112233445566778899", 20, 0600, "key has 10 bytes; expected 20 bytes");
	check_key_file("", 0, 0600, "key has 0 bytes; expected 20 bytes");
	check_key_file(hex, strlen(hex), 0640, "group or others can use it; expected mode 0600 or 0400");
	check_key_file(hex, strlen(hex), 0604, "group or others can use it; expected mode 0600 or 0400");
	char big[2000];
	memset(big, 'a', sizeof(big));
	check_key_file(big, sizeof(big), 0600, "too long for a key");
}
END_TEST

START_TEST(test_key_file_of_another)
{
	if (geteuid() != 0)
		return; /* only root can give a file away */
	conf_put("k", "00", 2, 0600);
	conf_put("c.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	ck_assert_int_eq(chown(conf_path("k"), 12345, 12345), 0);
	struct config *c;
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), -EINVAL);
	ck_assert_msg(strstr(conf_said, "belongs to another user"), "%s", conf_said);
}
END_TEST

START_TEST(test_include)
{
	static const char one[] = "tun t { }\ninclude(\"d/*.conf\")\npolicy last { action = discard }\n";

	ck_assert_int_eq(mkdir(conf_path("d"), 0700), 0);
	conf_put("d/20.conf", "# second\ninclude(\"more/deep.conf\")\n", 35, 0600);
	conf_put("d/10.conf", "policy first { action = bypass }\n", 33, 0600);
	ck_assert_int_eq(mkdir(conf_path("d/more"), 0700), 0);
	conf_put("d/more/deep.conf", "\n\npolicy deep { action = reject }\nworkers = 7\nlog { net = debug }\n", 66, 0600);
	struct config *c = conf_text(one);
	ck_assert_uint_eq(c->n_policy, 3);
	ck_assert_str_eq(c->policy[0].name, "first");
	ck_assert_str_eq(c->policy[1].name, "deep");
	ck_assert_str_eq(c->policy[1].file, conf_path("d/more/deep.conf"));
	ck_assert_int_eq(c->policy[1].line, 3);
	ck_assert_str_eq(c->policy[2].name, "last");
	ck_assert_int_eq(c->policy[2].line, 3);
	ck_assert_uint_eq(c->workers, 7);
	ck_assert_int_eq(c->log_subsys[LOG_NET], LOG_LVL_DEBUG);
	config_free(&c);
}
END_TEST

static void check_include_error(const char *main_text, const char *other, int rc, const char *file, const char *error)
{
	struct config *c;
	char start[160];

	conf_put("c.conf", main_text, strlen(main_text), 0600);
	conf_put("o.conf", other, strlen(other), 0600);
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), rc);
	snprintf(start, sizeof(start), "%s:%s", conf_path(file), error);
	ck_assert_msg(strstr(conf_said, start), "%s\nin\n%s", start, conf_said);
}

START_TEST(test_include_errors)
{
	check_include_error("# a\ninclude(\"o.conf\")\n", "\n\nworkers = x\n", -EINVAL, "o.conf", "3: workers = \"x\"");
	check_include_error("include(\"o.conf\")\n", "# a\nwrkers = x\n", -EINVAL, "o.conf", "2: unknown key \"wrkers\"");
	check_include_error("include(\"o.conf\")\n", "\n\n\"", -EINVAL, "o.conf", "3: the string");
	check_include_error("\ninclude(\"o.conf\") wrkers=1", "\n\n", -EINVAL, "c.conf", "2: unknown key");
	check_include_error("\ninclude(\"n.conf\")", "", -EINVAL, "c.conf", "2: include \"");
	check_include_error("include(\"o.conf\")\ngso = no", "gso = yes", -EINVAL, "c.conf", "2: gso is given twice");
	check_include_error("include(\"o.conf\")", "include(\"c.conf\")", -EINVAL, "o.conf", "1: include \"");
	ck_assert_ptr_nonnull(strstr(conf_said, "expected no circle"));
	check_include_error("tun t { }\npolicy p { action = discard }\ninclude(\"o.conf\")", "\npolicy p { action = bypass }",
			    -EINVAL, "o.conf", "2: policy p is defined twice");
	check_include_error("include(\"o.conf\")\ntun t { }", "tun u { }", -EINVAL, "c.conf", "2: a second tun section");
}
END_TEST

START_TEST(test_file_errors)
{
	struct config *c = (void *)1;

	ck_assert_int_eq(conf_load(conf_path("none"), &c), -ENOENT);
	ck_assert_ptr_null(c);
	ck_assert_ptr_nonnull(strstr(conf_said, "No such file or directory; expected a configuration file"));
	ck_assert_int_eq(conf_load(conf_path("."), &c), -EINVAL);
	conf_put("c.conf", "gso = yes\ngro = \"y\0s\"", 21, 0600);
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), -EINVAL);
	ck_assert_ptr_nonnull(strstr(conf_said, ":2: a zero byte"));
	conf_put("c.conf", "\x01", 1, 0600);
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), -EINVAL);
	conf_put("c.conf", "gso = no\r\ngro = no\r\n", 20, 0600);
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), 0);
	ck_assert(!c->gso && !c->gro);
	config_free(&c);
}
END_TEST

/* Looks for the bytes of needle in the process's writable memory outside guarded regions. */
static unsigned find_in_heap(const uint8_t *needle, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned found = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi;
		if (sscanf(line, "%lx-%lx rw", &lo, &hi) != 2 || !strstr(line, " rw-p") || !strstr(line, "[heap]"))
			continue;
		for (const uint8_t *p = (const uint8_t *)lo; (p = memmem(p, hi - (size_t)p, needle, len)); p++)
			found++;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* After a load the key is nowhere in the heap, neither as text nor as bytes: not in libconfuse's buffers. */
START_TEST(test_wiped)
{
	static const char digits[] = "DEADBEEF0badcafe"; /* as in the file, so that nothing else has it */
	char conf[512], file_key[] = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44";
	struct config *c;

	mallopt(M_MMAP_THRESHOLD, 1 << 28); /* everything in one heap */
	snprintf(conf, sizeof(conf), "tun t { }\nsa s { direction = in spi = 0x1000 cipher = aes128gcm16\n"
				     " key = \"%s%s01234567\" }\npolicy p { action = protect in = s }\n",
		 digits, digits);
	conf_put("c.conf", conf, strlen(conf), 0600);
	conf_put("k", file_key, strlen(file_key), 0600);
	conf_put("d.conf", SA_OF("file:k"), strlen(SA_OF("file:k")), 0600);
	wipe(conf, sizeof(conf));
	ck_assert_int_eq(conf_load(conf_path("c.conf"), &c), 0);
	ck_assert_uint_eq(find_in_heap((const uint8_t *)digits, 8), 0);
	ck_assert_uint_eq(find_in_heap(c->sa->conf.encr_key.p, 8), 0);
	config_free(&c);
	ck_assert_int_eq(conf_load(conf_path("d.conf"), &c), 0);
	ck_assert_uint_eq(find_in_heap((const uint8_t *)file_key, 16), 0);
	ck_assert_uint_eq(find_in_heap(c->sa->conf.encr_key.p, 8), 0);
	config_free(&c);
}
END_TEST

TCase *conf_file_case(void)
{
	TCase *t = conf_case("files");

	tcase_add_test(t, test_key_files);
	tcase_add_test(t, test_key_file_of_another);
	tcase_add_test(t, test_include);
	tcase_add_test(t, test_include_errors);
	tcase_add_test(t, test_file_errors);
	tcase_add_test(t, test_wiped);
	return t;
}
