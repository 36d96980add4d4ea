/* Name servers put in and taken away again: a file, a link, nothing; what others write meanwhile stays,
 * and a process that was killed is made up for. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/dns.h"
#include "unit_folder.h"

static char dir[128], target[192], ours[192], saved[192], other[192], tmp[224];
static struct dns *d;

static void setup(void)
{
	unit_folder_new(dir, sizeof(dir));
	snprintf(target, sizeof(target), "%s/etc-resolv.conf", dir);
	snprintf(tmp, sizeof(tmp), "%s.bumpwire", target);
	snprintf(ours, sizeof(ours), "%s/resolv.conf", dir);
	snprintf(saved, sizeof(saved), "%s/resolv.conf.saved", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
}

static void teardown(void)
{
	dns_close(&d);
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static const char *text_of(const char *path)
{
	static char text[4096];
	FILE *f = fopen(path, "r");

	if (!f)
		return "(none)";
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static struct dns_want want(const char *server, const char *search)
{
	struct dns_want w = { .n_server = 0 };
	struct ip_addr a;

	if (server) {
		ck_assert_int_eq(ip_addr_parse(server, &a), 0);
		dns_want_server(&w, &a);
		dns_want_server(&w, &a);
	}
	if (search)
		dns_want_search(&w, search);
	return w;
}

static void set(const char *server, const char *search)
{
	struct dns_want w = want(server, search);

	dns_set(d, &w);
}

#define HEAD "# Name servers of bumpwire's connections, until they are taken down.\n"
#define WAS  "# of the network\nsearch home.example\nnameserver 192.0.2.53\noptions edns0\n"

START_TEST(test_file)
{
	struct stat st;

	write_to(target, WAS);
	ck_assert_int_eq(dns_open(dir, target, &d), 0);
	set("10.2.0.53", "corp.example");
	ck_assert_str_eq(text_of(target), HEAD "search corp.example\nnameserver 10.2.0.53\n"
					       "options edns0\n");
	ck_assert_str_eq(text_of(ours), text_of(target));
	ck_assert_int_eq(stat(target, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	/* another one: options are still those of the network */
	set("2001:db8::53", NULL);
	ck_assert_str_eq(text_of(target), HEAD "nameserver 2001:db8::53\noptions edns0\n");
	set(NULL, "corp.example");
	ck_assert_str_eq(text_of(target), WAS);
	ck_assert_str_eq(text_of(ours), "(none)");
	ck_assert_str_eq(text_of(saved), "(none)");
	set("10.2.0.53", NULL);
	dns_close(&d);
	ck_assert_str_eq(text_of(target), WAS);
	ck_assert_int_eq(access(tmp, F_OK), -1);
}
END_TEST

START_TEST(test_link)
{
	char link[128] = "";

	write_to(other, WAS);
	ck_assert_int_eq(symlink("other", target), 0);
	ck_assert_int_eq(dns_open(dir, target, &d), 0);
	set("10.2.0.53", NULL);
	ck_assert_str_eq(text_of(target), HEAD "nameserver 10.2.0.53\noptions edns0\n");
	ck_assert_str_eq(text_of(other), WAS);
	dns_close(&d);
	ck_assert_int_eq(readlink(target, link, sizeof(link) - 1), 5);
	ck_assert_str_eq(link, "other");
	ck_assert_str_eq(text_of(target), WAS);
}
END_TEST

START_TEST(test_none_before)
{
	ck_assert_int_eq(dns_open(dir, target, &d), 0);
	set("10.2.0.53", NULL);
	ck_assert_str_eq(text_of(target), HEAD "nameserver 10.2.0.53\n");
	dns_close(&d);
	ck_assert_str_eq(text_of(target), "(none)");
}
END_TEST

START_TEST(test_changed_by_others)
{
	write_to(target, WAS);
	ck_assert_int_eq(dns_open(dir, target, &d), 0);
	set("10.2.0.53", NULL);
	write_to(target, "nameserver 192.0.2.99\n");
	dns_close(&d);
	ck_assert_str_eq(text_of(target), "nameserver 192.0.2.99\n");
	ck_assert_str_eq(text_of(ours), "(none)");
	ck_assert_str_eq(text_of(saved), "(none)");
}
END_TEST

START_TEST(test_killed)
{
	struct dns *forgotten;

	write_to(target, WAS);
	ck_assert_int_eq(dns_open(dir, target, &d), 0);
	set("10.2.0.53", NULL);
	ck_assert_int_eq(dns_open(dir, target, &forgotten), 0);
	ck_assert_str_eq(text_of(target), WAS);
	ck_assert_str_eq(text_of(ours), "(none)");
	dns_close(&forgotten);
}
END_TEST

START_TEST(test_only_ours)
{
	ck_assert_int_eq(dns_open(dir, NULL, &d), 0);
	set("10.2.0.53", "a.example");
	ck_assert_str_eq(text_of(ours), HEAD "search a.example\nnameserver 10.2.0.53\n");
	set(NULL, NULL);
	ck_assert_str_eq(text_of(ours), "(none)");
}
END_TEST

/* What the peer says cannot be more than names, and not more than there is room for. */
START_TEST(test_names)
{
	struct dns_want w = want(NULL, "a.example, b.example,,A.example c\nnameserver d;e bad/name ok-1");
	char text[2 * DNS_NAME_LEN], number[16];
	struct ip_addr a = { 4, { 10, 0, 0, 0 } };

	ck_assert_uint_eq(w.n_search, 3);
	ck_assert_str_eq(w.search[0], "a.example");
	ck_assert_str_eq(w.search[1], "b.example");
	ck_assert_str_eq(w.search[2], "ok-1");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	dns_want_search(&w, text);
	ck_assert_uint_eq(w.n_search, 3);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(number, sizeof(number), "n%u", i);
		dns_want_search(&w, number);
		a.b[3] = (uint8_t)i;
		dns_want_server(&w, &a);
	}
	ck_assert_uint_eq(w.n_search, DNS_SEARCH_MAX);
	ck_assert_uint_eq(w.n_server, DNS_SERVERS_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dns");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_link);
	tcase_add_test(t, test_none_before);
	tcase_add_test(t, test_changed_by_others);
	tcase_add_test(t, test_killed);
	tcase_add_test(t, test_only_ours);
	tcase_add_test(t, test_names);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
