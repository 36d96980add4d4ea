/* The anti-replay window: its edges, the high half of extended numbers, and workers that race for
 * the same numbers. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ipsec/replay.h"
#include "test_ipsec.h"

/* As ck_assert(), which is slow when it holds: for loops. */
#define must(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

/* Every test runs for workers that share a window, and, but the race, for one alone. */
static bool solo;

static void shared_window(void)
{
	solo = false;
}

static void solo_window(void)
{
	solo = true;
}

static struct replay window(uint32_t n)
{
	struct replay r;
	ck_assert_int_eq(replay_init(&r, n, solo), 0);
	return r;
}

/* Before crypto and after it must say the same of a number that nobody else touches. */
static bool take(struct replay *r, uint64_t seq)
{
	bool may = replay_may_accept(r, seq), did = replay_accept(r, seq);
	if (may != did)
		ck_abort_msg("number %llu: before crypto %d, after %d", (unsigned long long)seq,
			     may, did);
	return did;
}

START_TEST(test_sizes)
{
	struct replay r;

	ck_assert_int_eq(replay_init(&r, 31, solo), -EINVAL);
	ck_assert_int_eq(replay_init(&r, 65537, solo), -EINVAL);
	r = window(33);
	ck_assert_uint_eq(r.window, 64);
	replay_fini(&r);
	r = window(REPLAY_WINDOW_DEFAULT);
	ck_assert_uint_le(replay_bytes(&r), 600);
	replay_fini(&r);
}
END_TEST

START_TEST(test_edges)
{
	static const uint32_t sizes[] = { 32, 64, 96, 1024, 2048, 65536 };
	uint32_t w = sizes[_i];
	struct replay r = window(w);

	ck_assert(!take(&r, 0));
	ck_assert(take(&r, 1));
	ck_assert(!take(&r, 1));
	ck_assert(take(&r, 3 * w));
	ck_assert(!take(&r, 3 * w));
	ck_assert(!take(&r, 2 * w)); /* exactly the window old */
	ck_assert(!take(&r, 2 * w - 1));
	ck_assert(take(&r, 2 * w + 1)); /* the last that is inside */
	ck_assert(!take(&r, 2 * w + 1));
	ck_assert(!take(&r, 1));
	for (uint64_t s = 2 * w + 2; s < 3 * w; s++)
		must(take(&r, s));
	for (uint64_t s = 0; s <= 3 * w; s++)
		must(!take(&r, s));
	ck_assert(take(&r, 3 * w + 1));
	/* Far ahead: everything behind is forgotten, and everything in the new window is new. */
	uint64_t far = 20003ull * w + 17;
	ck_assert(take(&r, far));
	ck_assert(!take(&r, 3 * w + 2));
	ck_assert(!take(&r, far - w));
	for (uint64_t s = far - w + 1; s < far; s++)
		must(take(&r, s));
	/* The ends of the number spaces. */
	ck_assert(take(&r, UINT32_MAX));
	ck_assert(!take(&r, UINT32_MAX));
	ck_assert(take(&r, UINT32_MAX - w + 1ull));
	ck_assert(!take(&r, UINT32_MAX - (uint64_t)w));
	ck_assert(take(&r, UINT32_MAX + 1ull));
	ck_assert(take(&r, UINT32_MAX - w + 2ull));
	ck_assert(!take(&r, UINT32_MAX - w + 1ull));
	replay_fini(&r);
}
END_TEST

/* A million numbers in bounded disorder against a set that remembers all of them. */
START_TEST(test_against_a_set)
{
	static const uint32_t sizes[] = { 32, 96, 2048 };
	uint32_t w = sizes[_i], state = 12345;
	struct replay r = window(w);
	enum { N = 300000 };
	uint8_t *seen = calloc(N + 1, 1);
	uint64_t top = 0;

	for (unsigned i = 0; i < 1000000; i++) {
		state = state * 1664525 + 1013904223;
		uint64_t base = i / 4 + 1, seq = base + (state >> 8) % (w * 2);
		if (state >> 28 == 0)
			seq = 1 + state % base;
		if (seq > N)
			continue;
		bool want = !seen[seq] && seq + w > top;
		must(take(&r, seq) == want);
		if (want) {
			seen[seq] = 1;
			top = seq > top ? seq : top;
		}
	}
	free(seen);
	replay_fini(&r);
}
END_TEST

START_TEST(test_no_service)
{
	struct replay r = window(0);

	ck_assert(take(&r, 5));
	ck_assert(take(&r, 5));
	ck_assert(take(&r, 0));
	/* The high half is still followed, for packets in some disorder. */
	ck_assert(take(&r, 0xfffffff0));
	ck_assert_uint_eq(replay_full_seq(&r, 3, true), 0x100000003);
	ck_assert(take(&r, 0x100000003));
	ck_assert_uint_eq(replay_full_seq(&r, 0xffffffff, true), 0xffffffff);
	ck_assert_uint_eq(replay_full_seq(&r, 4, true), 0x100000004);
	ck_assert_uint_eq(replay_full_seq(&r, 2, true), 0x100000002);
	replay_fini(&r);
}
END_TEST

/* A window whose words fill its memory to the last byte, between two others: it touches neither. */
START_TEST(test_stays_inside)
{
	struct replay r[3] = { window(224), window(224), window(224) };

	ck_assert_uint_eq(replay_bytes(&r[1]) % CACHE_LINE, 0);
	for (uint64_t s = 1; s < 100000; s++)
		must(take(&r[1], s));
	for (unsigned i = 0; i < r[0].words; i++)
		ck_assert(r[0].ring[i] == 0 && r[2].ring[i] == 0);
	for (unsigned i = 0; i < 3; i++)
		replay_fini(&r[i]);
}
END_TEST

/* RFC 4303 A2.1, window of 64. */
static const struct {
	uint64_t top;
	uint32_t lo;
	uint64_t want;
} esn[] = {
	/* case A: the window lies in one subspace */
	{ 0x0000000000000064, 0x00000065, 0x0000000000000065 },
	{ 0x0000000000000064, 0x00000025, 0x0000000000000025 }, /* the bottom of the window */
	{ 0x0000000000000064, 0x00000024, 0x0000000100000024 }, /* below it: of the next subspace */
	{ 0x0000000300000064, 0xffffffff, 0x00000003ffffffff },
	{ 0x00000003fffffffe, 0x00000001, 0x0000000400000001 },
	{ 0x000000030000003f, 0x00000000, 0x0000000300000000 }, /* the window begins exactly at 0 */
	{ 0x00000003ffffffff, 0xffffffc0, 0x00000003ffffffc0 },
	{ 0x00000003ffffffff, 0xffffffbf, 0x00000004ffffffbf },
	/* case B: the window began in the subspace before */
	{ 0x0000000300000010, 0xfffffff0, 0x00000002fffffff0 },
	{ 0x0000000300000010, 0xffffffd1, 0x00000002ffffffd1 }, /* its bottom */
	{ 0x0000000300000010, 0xffffffd0, 0x00000003ffffffd0 },
	{ 0x0000000300000010, 0x00000000, 0x0000000300000000 },
	{ 0x0000000300000010, 0x00000011, 0x0000000300000011 },
	{ 0x000000030000003e, 0xffffffff, 0x00000002ffffffff },
	/* there is no subspace before the first */
	{ 0x0000000000000000, 0x00000001, 0x0000000000000001 },
	{ 0x0000000000000010, 0xfffffff0, 0x00000000fffffff0 },
	/* nor one behind the last: the number comes out old, and is refused */
	{ 0xffffffffffffffff, 0x00000001, 0x0000000000000001 },
};

START_TEST(test_extended_numbers)
{
	struct replay r = window(64);

	atomic_store(&r.top, esn[_i].top);
	ck_assert_uint_eq(replay_full_seq(&r, esn[_i].lo, true), esn[_i].want);
	ck_assert_uint_eq(replay_full_seq(&r, esn[_i].lo, false), esn[_i].lo);
	replay_fini(&r);
}
END_TEST

START_TEST(test_extended_across_wrap)
{
	struct replay r = window(128);

	for (uint64_t s = 0xffffff00; s < 0x100000100; s++) {
		uint64_t shuffled = s ^ 7; /* groups of eight, backwards */
		must(replay_full_seq(&r, (uint32_t)shuffled, true) == shuffled);
		must(take(&r, shuffled));
		must(!take(&r, shuffled));
	}
	replay_fini(&r);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------- */

#define RACE_THREADS 4
#define RACE_NUMBERS 400000u

struct race {
	struct replay r;
	_Atomic uint8_t *taken;
	_Atomic unsigned too_old;
	pthread_barrier_t start;
	uint32_t disorder;
};

static void *racer(void *arg)
{
	struct race *x = arg;
	uint32_t state = (uint32_t)(uintptr_t)&state | 1;

	pthread_barrier_wait(&x->start);
	for (uint32_t i = 1; i <= RACE_NUMBERS; i++) {
		state = state * 1664525 + 1013904223;
		uint64_t seq = i + (state >> 16) % x->disorder;
		if (seq > RACE_NUMBERS)
			continue;
		/* What was older than the window before the call must not be accepted by it. */
		uint64_t top = atomic_load(&x->r.top);
		bool old = seq + x->r.window <= top;
		if (replay_accept(&x->r, seq)) {
			atomic_fetch_add(&x->taken[seq], 1);
			if (old)
				atomic_fetch_add(&x->too_old, 1);
		}
	}
	return NULL;
}

START_TEST(test_race)
{
	static const uint32_t sizes[] = { 32, 256, 2048 };
	struct race x = { .r = window(sizes[_i]), .disorder = sizes[_i] };
	pthread_t t[RACE_THREADS];
	unsigned once = 0;

	x.taken = calloc(RACE_NUMBERS + 1, sizeof(*x.taken));
	pthread_barrier_init(&x.start, NULL, RACE_THREADS);
	for (unsigned i = 0; i < RACE_THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, racer, &x), 0);
	for (unsigned i = 0; i < RACE_THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i <= RACE_NUMBERS; i++) {
		if (x.taken[i] > 1)
			ck_abort_msg("number %u was accepted %u times", i, x.taken[i]);
		once += x.taken[i];
	}
	ck_assert_uint_eq(x.too_old, 0);
	ck_assert_uint_eq(x.taken[0], 0);
	ck_assert_uint_gt(once, RACE_NUMBERS / 4);
	pthread_barrier_destroy(&x.start);
	free((void *)x.taken);
	replay_fini(&x.r);
}
END_TEST

static TCase *tcase_of(const char *name, SFun setup)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_sizes);
	tcase_add_loop_test(t, test_edges, 0, 6);
	tcase_add_loop_test(t, test_against_a_set, 0, 3);
	tcase_add_test(t, test_no_service);
	tcase_add_test(t, test_stays_inside);
	tcase_add_loop_test(t, test_extended_numbers, 0, (int)ARRAY_LEN(esn));
	tcase_add_test(t, test_extended_across_wrap);
	return t;
}

TCase *tcase_replay(void)
{
	TCase *t = tcase_of("replay", shared_window);

	tcase_add_loop_test(t, test_race, 0, 3);
	return t;
}

TCase *tcase_replay_solo(void)
{
	return tcase_of("replay, one worker", solo_window);
}
