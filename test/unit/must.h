/*
 * Assertions for loops that go round thousands of times. ck_assert() writes a record for every one that
 * holds, which the parent process reads back one by one: a few hundred thousand take seconds, and minutes
 * under the sanitizers. These say nothing until one does not hold.
 */
#ifndef MUST_H
#define MUST_H

#include <check.h>
#include <stdint.h>

#define must(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("'%s' does not hold", #condition); \
	} while (0)

#define must_op_(a, op, b) \
	do { \
		uintmax_t must_a_ = (uintmax_t)(a), must_b_ = (uintmax_t)(b); \
		if (!(must_a_ op must_b_)) \
			ck_abort_msg("'%s' does not hold: %ju, %ju", #a " " #op " " #b, must_a_, must_b_); \
	} while (0)

#define must_uint_eq(a, b) must_op_(a, ==, b)
#define must_uint_ne(a, b) must_op_(a, !=, b)
#define must_uint_lt(a, b) must_op_(a, <, b)
#define must_uint_le(a, b) must_op_(a, <=, b)
#define must_uint_gt(a, b) must_op_(a, >, b)
#define must_uint_ge(a, b) must_op_(a, >=, b)

#endif
