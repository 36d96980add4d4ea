/* libsodium's generator, replaceable. */
#include "base/random.h"

#include <sodium.h>

static void system_fill(void *p, size_t n)
{
	randombytes_buf(p, n);
}

static void (*source)(void *p, size_t n) = system_fill;

void random_bytes(void *p, size_t n)
{
	source(p, n);
}

uint32_t random_u32(void)
{
	uint32_t v;
	source(&v, sizeof(v));
	return v;
}

uint64_t random_u64(void)
{
	uint64_t v;
	source(&v, sizeof(v));
	return v;
}

void random_set_source(void (*fill)(void *p, size_t n))
{
	source = fill ? fill : system_fill;
}
