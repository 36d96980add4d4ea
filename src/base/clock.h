/* The one clock. Tests replace its source. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* Monotonic nanoseconds since an arbitrary start. */
uint64_t clock_now_ns(void);
/* Nanoseconds of wall-clock time since 1970. */
uint64_t clock_wall_ns(void);
/* Replaces both sources; NULL restores the system's. Not while other threads run. */
void clock_set_source(uint64_t (*now_ns)(void), uint64_t (*wall_ns)(void));

#endif
