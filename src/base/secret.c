/*
 * Guarded memory. secret_alloc() carves regions into blocks of one size class each (multiples of 64 bytes up to 2 KiB, then
 * powers of two); a freed block goes to its class's list. The first region is small, for the many machines with a few SAs;
 * later ones are a huge page each, so that 100,000 SAs do not spend their time in the page tables. Regions lie between
 * inaccessible pages, are locked against swap as far as the limits allow, and are left out of core dumps.
 */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_REGION ((size_t)256 * 1024)
#define HUGE_REGION ((size_t)2 * 1024 * 1024)
#define SMALL_STEP 64
#define SMALL_MAX 2048
#define CLASSES (SMALL_MAX / SMALL_STEP + 8) /* up to 256 KiB */

struct free_block {
	struct free_block *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct free_block *free_list[CLASSES];
static uint8_t *region; /* the region being carved */
static size_t region_left;
static size_t in_use;

int secret_init(void)
{
	return sodium_init() < 0 ? -ENOTSUP : 0;
}

/*
 * A struct secret of usual length is a block of the shared regions, its length in front: pages of its
 * own, each with guards and a lock, cost eight system calls, and an SA being negotiated has several
 * such secrets. Long ones get libsodium's pages.
 */
struct head {
	size_t len;
	uint8_t pad[16 - sizeof(size_t)];
};

static bool shared(size_t len)
{
	return len <= SMALL_MAX - sizeof(struct head);
}

int secret_new(struct secret *s, size_t len)
{
	*s = (struct secret) { 0 };
	if (shared(len)) {
		struct head *h = secret_alloc(sizeof(*h) + len);
		if (!h)
			return -ENOMEM;
		h->len = len;
		s->p = (uint8_t *)(h + 1);
	} else {
		s->p = sodium_malloc(len);
		if (!s->p)
			return -ENOMEM;
		memset(s->p, 0, len);
	}
	s->len = len;
	return 0;
}

int secret_copy(struct secret *s, struct span v)
{
	int rc = secret_new(s, v.len);

	if (rc == 0 && v.len)
		memcpy(s->p, v.p, v.len);
	return rc;
}

struct secret secret_take(struct secret *from)
{
	struct secret s = *from;
	*from = (struct secret) { 0 };
	return s;
}

void secret_free(struct secret *s)
{
	if (s->p && shared(s->len)) {
		struct head *h = (struct head *)(void *)(s->p - sizeof(*h));
		secret_release(h, sizeof(*h) + h->len);
	} else {
		sodium_free(s->p);
	}
	*s = (struct secret) { 0 };
}

bool secret_eq(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && (a->len == 0 || sodium_memcmp(a->p, b->p, a->len) == 0);
}

/* The size class of a length, and the size of its blocks. */
static unsigned size_class(size_t len, size_t *block)
{
	if (len <= SMALL_MAX) {
		unsigned c = (unsigned)((len + SMALL_STEP - 1) / SMALL_STEP);
		c = c ? c : 1;
		*block = (size_t)c * SMALL_STEP;
		return c - 1;
	}
	unsigned c = SMALL_MAX / SMALL_STEP;
	*block = SMALL_MAX * 2;
	while (*block < len) {
		*block *= 2;
		c++;
	}
	return c;
}

/* A zeroed region with an inaccessible page on either side, aligned to its size. NULL when out of memory. */
static uint8_t *region_new(size_t size)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	size_t span = size * 2 + guard * 2;
	uint8_t *p = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	uint8_t *r = (uint8_t *)(((uintptr_t)p + guard + size - 1) & ~(uintptr_t)(size - 1));
	(void)munmap(p, (size_t)(r - guard - p));
	(void)munmap(r + size + guard, (size_t)(p + span - (r + size + guard)));
	if (mprotect(r, size, PROT_READ | PROT_WRITE) < 0) {
		(void)munmap(r - guard, size + 2 * guard);
		return NULL;
	}
	(void)madvise(r, size, MADV_DONTDUMP);
	if (size >= HUGE_REGION)
		(void)madvise(r, size, MADV_HUGEPAGE);
	(void)mlock(r, size);
	return r;
}

/* Cuts a block from the current region, or from a new one. Regions are never returned: blocks go back to their class's list. */
static void *carve(size_t block)
{
	static size_t next_region = FIRST_REGION;

	if (block > region_left) {
		uint8_t *r = region_new(next_region);
		if (!r)
			return NULL;
		region = r;
		region_left = next_region;
		next_region = HUGE_REGION;
	}
	void *p = region;
	region += block;
	region_left -= block;
	return p;
}

void *secret_alloc(size_t len)
{
	size_t block;
	unsigned c = size_class(len, &block);
	void *p;

	if (c >= CLASSES || block > FIRST_REGION)
		return NULL;
	pthread_mutex_lock(&lock);
	if (free_list[c]) {
		p = free_list[c];
		free_list[c] = free_list[c]->next;
	} else {
		p = carve(block);
	}
	if (p)
		in_use += block;
	pthread_mutex_unlock(&lock);
	if (p)
		memset(p, 0, block);
	return p;
}

void secret_release(void *p, size_t len)
{
	size_t block;

	if (!p)
		return;
	unsigned c = size_class(len, &block);
	sodium_memzero(p, block);
	pthread_mutex_lock(&lock);
	struct free_block *f = p;
	f->next = free_list[c];
	free_list[c] = f;
	in_use -= block;
	pthread_mutex_unlock(&lock);
}

size_t secret_in_use(void)
{
	pthread_mutex_lock(&lock);
	size_t n = in_use;
	pthread_mutex_unlock(&lock);
	return n;
}

void wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}
