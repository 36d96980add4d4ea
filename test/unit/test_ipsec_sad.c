/* The SAD with SAs that are mere shells: finding, growing, and readers that look while the writer
 * works. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "ipsec/sad.h"
#include "must.h"
#include "test_ipsec.h"

static void setup(void)
{
	ck_assert_int_eq(secret_init(), 0);
}

/* An SA without keys; the caller holds one reference. */
static struct sa *shell(uint32_t spi, uint8_t proto, enum ipsec_dir dir, const char *name)
{
	struct sa *sa = secret_alloc(sizeof(*sa));

	must(sa);
	sa->spi = spi;
	sa->proto = proto;
	sa->dir = (uint8_t)dir;
	sa->refs = 1;
	sa->conf = calloc(1, sizeof(*sa->conf));
	sa->conf->name = name ? strdup(name) : NULL;
	return sa;
}

/* Installs and leaves the only reference to the database. */
static struct sa *install(struct sad *s, uint32_t spi, uint8_t proto, enum ipsec_dir dir,
			  const char *name)
{
	struct sa *sa = shell(spi, proto, dir, name), *keep = sa;

	must_uint_eq(sad_install(s, sa), 0);
	sa_unref(&sa);
	return keep;
}

static int try_install(struct sad *s, uint32_t spi, uint8_t proto, enum ipsec_dir dir,
		       const char *name)
{
	struct sa *sa = shell(spi, proto, dir, name);
	int rc = sad_install(s, sa);

	sa_unref(&sa);
	return rc;
}

START_TEST(test_install_and_find)
{
	struct sad *s = sad_new();
	struct sa *a = install(s, 0x1001, SA_ESP, DIR_IN, "a"),
		  *b = install(s, 0x1001, SA_AH, DIR_IN, "b");
	struct sa *c = install(s, 0x1001, SA_ESP, DIR_OUT, "c"),
		  *d = install(s, 0x1001, SA_ESP, DIR_OUT, NULL);

	ck_assert_uint_eq(sad_count(s), 4);
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_ESP), a);
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_AH), b);
	ck_assert_ptr_null(sad_lookup(s, 0x1002, SA_ESP));
	ck_assert_ptr_null(sad_lookup(s, 0, SA_ESP));
	ck_assert_ptr_null(sad_lookup(s, 0, SA_AH));
	ck_assert_ptr_eq(sad_by_name(s, "c"), c);
	ck_assert_ptr_null(sad_by_name(s, "x"));
	ck_assert_int_eq(try_install(s, 0x1001, SA_ESP, DIR_IN, "e"), -EEXIST);
	ck_assert_int_eq(try_install(s, 0x1003, SA_ESP, DIR_IN, "a"), -EEXIST);
	ck_assert_int_eq(try_install(s, 0, SA_ESP, DIR_IN, NULL), -EINVAL);
	ck_assert_uint_eq(sad_count(s), 4);

	sad_remove(s, a);
	ck_assert_ptr_null(sad_lookup(s, 0x1001, SA_ESP));
	ck_assert_ptr_null(sad_lookup(s, 0, SA_AH)); /* nor is the mark of a removed one found */
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_AH), b);
	ck_assert_ptr_null(sad_by_name(s, "a"));
	a = install(s, 0x1001, SA_ESP, DIR_IN, "a");
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_ESP), a);
	/* Many at once; one named twice and one that is not there are left alone. */
	struct sa *stranger = shell(7, SA_ESP, DIR_IN, NULL);
	stranger->index = d->index;
	struct sa *gone[] = { c, stranger, a, c };
	sad_remove_many(s, gone, 4);
	ck_assert_uint_eq(sad_count(s), 2);
	ck_assert_ptr_null(sad_by_name(s, "a"));
	ck_assert_ptr_eq(sad_by_name(s, "b"), b);
	sa_unref(&stranger);
	sad_free(&s);
	ck_assert_ptr_null(s);
}
END_TEST

static struct sa *group(struct sad *s, uint32_t spi, uint8_t proto, const char *dst, const char *src)
{
	struct sa *sa = shell(spi, proto, DIR_IN, NULL), *keep = sa;

	sa->group = true;
	ck_assert_int_eq(ip_addr_parse(dst, &sa->conf->dst), 0);
	if (src)
		ck_assert_int_eq(ip_addr_parse(src, &sa->conf->src), 0);
	int rc = sad_install(s, sa);
	sa_unref(&sa);
	return rc == 0 ? keep : NULL;
}

static struct sa *at(const struct sad *s, uint32_t spi, uint8_t proto, const char *dst, const char *src)
{
	struct ip_addr d, from;

	ck_assert_int_eq(ip_addr_parse(dst, &d), 0);
	ck_assert_int_eq(ip_addr_parse(src, &from), 0);
	return sad_lookup_group(s, spi, proto, &d, &from);
}

/* RFC 4301 4.1: the longest match of {SPI, dst, src}, {SPI, dst}, {SPI}. */
START_TEST(test_groups)
{
	struct sad *s = sad_new();

	ck_assert(!sad_has_groups(s));
	struct sa *any = group(s, 0x1001, SA_ESP, "239.1.1.1", NULL);
	ck_assert(sad_has_groups(s));
	ck_assert_ptr_null(sad_lookup(s, 0x1001, SA_ESP)); /* not by the SPI alone */
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.1"), any);
	ck_assert_ptr_null(at(s, 0x1001, SA_AH, "239.1.1.1", "192.0.2.1"));
	ck_assert_ptr_null(at(s, 0x1001, SA_ESP, "239.1.1.2", "192.0.2.1"));
	ck_assert_ptr_null(at(s, 0x1002, SA_ESP, "239.1.1.1", "192.0.2.1"));
	struct sa *one = group(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.1"),
		  *two = group(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.2"),
		  *six = group(s, 0x1001, SA_ESP, "ff05::1", NULL),
		  *ah = group(s, 0x1001, SA_AH, "239.1.1.1", NULL), *host = install(s, 0x1001, SA_ESP, DIR_IN, NULL);
	ck_assert(one && two && six && ah && host);
	ck_assert_ptr_null(group(s, 0x1001, SA_ESP, "239.1.1.1", NULL));
	ck_assert_ptr_null(group(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.2"));
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.1"), one);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.2"), two);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.3"), any);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.2", "192.0.2.1"), host);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "ff05::1", "2001:db8::1"), six);
	ck_assert_ptr_eq(at(s, 0x1001, SA_AH, "239.1.1.1", "192.0.2.1"), ah);
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_ESP), host);
	sad_remove(s, one);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.1"), any);
	sad_remove(s, any);
	ck_assert_ptr_eq(at(s, 0x1001, SA_ESP, "239.1.1.1", "192.0.2.1"), host);
	sad_remove(s, two);
	sad_remove(s, six);
	ck_assert(sad_has_groups(s));
	sad_remove(s, ah);
	ck_assert(!sad_has_groups(s));
	sad_free(&s);
}
END_TEST

/* Many groups, and a table that grows around them. */
START_TEST(test_many_groups)
{
	enum { N = 5000 };
	static struct sa *sas[N];
	struct sad *s = sad_new();
	char dst[32];

	for (unsigned i = 0; i < N; i++) {
		snprintf(dst, sizeof(dst), "239.0.%u.%u", i / 2 / 256, i / 2 % 256);
		sas[i] = group(s, 0x1000 + i % 3, SA_ESP, dst, i % 2 ? "192.0.2.1" : NULL);
		ck_assert_ptr_nonnull(sas[i]);
		install(s, 0x100000 + i * 7, SA_ESP, DIR_IN, NULL);
	}
	for (unsigned i = 0; i < N; i++) {
		snprintf(dst, sizeof(dst), "239.0.%u.%u", i / 2 / 256, i / 2 % 256);
		ck_assert_ptr_eq(at(s, 0x1000 + i % 3, SA_ESP, dst, i % 2 ? "192.0.2.1" : "192.0.2.2"), sas[i]);
		ck_assert_ptr_nonnull(sad_lookup(s, 0x100000 + i * 7, SA_ESP));
	}
	sad_free(&s);
}
END_TEST

static void count_one(struct sa *sa, void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(test_many)
{
	struct sad *s = sad_new();
	enum { N = 100000 };
	struct sa **sas = calloc(N, sizeof(struct sa *));
	char name[32];
	unsigned seen = 0;
	uint64_t t0 = clock_now_ns();

	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "sa-%u", i);
		sas[i] = install(s, 0x100 + i * 77, SA_ESP, i % 4 ? DIR_IN : DIR_OUT, name);
	}
	ck_assert_uint_lt(clock_now_ns() - t0, 5 * NS_PER_S);
	sad_each(s, count_one, &seen);
	ck_assert_uint_eq(seen, N);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "sa-%u", i);
		ck_assert_ptr_eq(sad_by_name(s, name), sas[i]);
		ck_assert_ptr_eq(sad_lookup(s, 0x100 + i * 77, SA_ESP), i % 4 ? sas[i] : NULL);
		ck_assert_ptr_null(sad_lookup(s, 0x101 + i * 77, SA_ESP));
	}
	sad_remove_many(s, sas, N / 2);
	ck_assert_uint_eq(sad_count(s), N / 2);
	for (unsigned i = 0; i < N; i++)
		ck_assert_ptr_eq(sad_lookup(s, 0x100 + i * 77, SA_ESP),
				 i >= N / 2 && i % 4 ? sas[i] : NULL);
	free(sas);
	sad_free(&s);
}
END_TEST

/* Coming and going for ever must not fill the table with the marks of what was removed. */
START_TEST(test_turnover)
{
	struct sad *s = sad_new();

	for (uint32_t i = 0; i < 20000; i++) {
		struct sa *sa = install(s, 0x100 + i, SA_ESP, DIR_IN, "only");
		ck_assert_ptr_eq(sad_lookup(s, 0x100 + i, SA_ESP), sa);
		ck_assert_uint_lt(sa->index, 32);
		sad_remove(s, sa);
		ck_assert_ptr_null(sad_lookup(s, 0x100 + i, SA_ESP));
	}
	sad_free(&s);
}
END_TEST

/* Out at once, with SPI and name free for another; the memory and the place follow. */
START_TEST(test_retire)
{
	struct sad *s = sad_new();
	struct sa *a = install(s, 0x1001, SA_ESP, DIR_IN, "a"), *keep = sa_ref(a);

	ck_assert(!sad_has_retired(s));
	sad_retire(s, a);
	sad_retire(s, a); /* not in: nothing */
	ck_assert(sad_has_retired(s));
	ck_assert_uint_eq(sad_count(s), 0);
	ck_assert_ptr_null(sad_lookup(s, 0x1001, SA_ESP));
	ck_assert_ptr_null(sad_by_name(s, "a"));
	ck_assert_uint_eq(keep->refs, 2);
	struct sa *b = install(s, 0x1001, SA_ESP, DIR_IN, "a");
	ck_assert_ptr_eq(sad_lookup(s, 0x1001, SA_ESP), b);
	ck_assert_uint_ne(b->index, keep->index); /* a reader may still go by the old place */
	sad_reap(s);
	ck_assert(!sad_has_retired(s));
	ck_assert_uint_eq(keep->refs, 1);
	struct sa *c = install(s, 0x1002, SA_ESP, DIR_IN, NULL);
	ck_assert_uint_eq(c->index, keep->index);
	sad_retire(s, b);
	sa_unref(&keep);
	sad_free(&s); /* with what was not reaped */
}
END_TEST

/* Best of some tries of installing and retiring one SA, in a database of n others. */
static uint64_t turn_ns(unsigned n)
{
	enum { TURNS = 500, TRIES = 8 };
	struct sad *s = sad_new();
	uint64_t best = UINT64_MAX;
	char name[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "sa-%u", i);
		install(s, 0x100000 + i * 77, SA_ESP, DIR_IN, name);
	}
	for (unsigned k = 0; k < TRIES; k++) {
		uint64_t t0 = clock_now_ns();
		for (unsigned i = 0; i < TURNS; i++) {
			snprintf(name, sizeof(name), "turn-%u", i);
			sad_retire(s, install(s, 0x100 + i, SA_ESP, DIR_IN, name));
		}
		uint64_t took = clock_now_ns() - t0;
		best = took < best ? took : best;
		sad_reap(s);
	}
	sad_free(&s);
	return best / TURNS;
}

/* One SA more or less costs the same however many there are. The bound is far above the noise, and far below what a walk over all of
 * them would cost. */
START_TEST(test_one_among_many)
{
	uint64_t few = turn_ns(100), many = turn_ns(20000);

	ck_assert_msg(many < 5 * few + 5000, "%llu ns among 20000, %llu ns among 100", (unsigned long long)many,
		      (unsigned long long)few);
}
END_TEST

/* ---- readers beside the writer ------------------------------------------------------------- */

#define FIXED 64u

struct readers {
	struct sad *s;
	_Atomic bool stop;
	_Atomic unsigned missed, wrong;
	_Atomic uint64_t looked;
};

static void *reader(void *arg)
{
	struct readers *x = arg;
	uint32_t state = 1;

	rcu_register_thread();
	while (!atomic_load(&x->stop)) {
		for (unsigned i = 0; i < 64; i++) {
			state = state * 1664525 + 1013904223;
			uint32_t fixed = 0x1000 + (state >> 16) % FIXED,
				 moving = 0x100000 + (state >> 12) % 4096;
			sad_prefetch(x->s, fixed, SA_ESP);
			struct sa *sa = sad_lookup(x->s, fixed, SA_ESP);
			if (!sa)
				x->missed++;
			else if (sa->spi != fixed)
				x->wrong++;
			sa = sad_lookup(x->s, moving, SA_ESP);
			if (sa && sa->spi != moving) /* freed memory, under a sanitizer */
				x->wrong++;
		}
		x->looked += 64;
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

START_TEST(test_readers)
{
	struct readers x = { .s = sad_new() };
	pthread_t t[3];
	struct sa *moving[4096];

	for (unsigned i = 0; i < FIXED; i++)
		install(x.s, 0x1000 + i, SA_ESP, DIR_IN, NULL);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, reader, &x), 0);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 4096; i++)
			moving[i] = install(x.s, 0x100000 + i, SA_ESP, DIR_IN, NULL);
		for (unsigned i = 0; i < 16; i++)
			sad_remove(x.s, moving[i]);
		for (unsigned i = 16; i < 2048; i++)
			sad_retire(x.s, moving[i]);
		synchronize_rcu();
		sad_reap(x.s);
		sad_remove_many(x.s, moving + 2048, 2048);
	}
	atomic_store(&x.stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(x.missed, 0);
	ck_assert_uint_eq(x.wrong, 0);
	ck_assert_uint_gt(x.looked, 0);
	ck_assert_uint_eq(sad_count(x.s), FIXED);
	sad_free(&x.s);
}
END_TEST

TCase *tcase_sad(void)
{
	TCase *t = tcase_create("sad");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_install_and_find);
	tcase_add_test(t, test_groups);
	tcase_add_test(t, test_many_groups);
	tcase_add_test(t, test_many);
	tcase_add_test(t, test_turnover);
	tcase_add_test(t, test_retire);
	tcase_add_test(t, test_one_among_many);
	tcase_add_test(t, test_readers);
	return t;
}
