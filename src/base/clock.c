/* System clock, replaceable. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t system_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

static uint64_t (*now_source)(void) = system_now_ns;
static uint64_t (*wall_source)(void) = system_wall_ns;

uint64_t clock_now_ns(void)
{
	return now_source();
}

uint64_t clock_wall_ns(void)
{
	return wall_source();
}

void clock_set_source(uint64_t (*now_ns)(void), uint64_t (*wall_ns)(void))
{
	now_source = now_ns ? now_ns : system_now_ns;
	wall_source = wall_ns ? wall_ns : system_wall_ns;
}
