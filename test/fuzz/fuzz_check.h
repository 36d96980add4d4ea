/* For targets that share code with the unit tests: what its asserts end in when no test of Check
 * runs. Included once by the program. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

CK_DLL_EXP void CK_EXPORT _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

CK_DLL_EXP void CK_EXPORT _ck_assert_failed(const char *file, int line, const char *expr,
					    const char *msg, ...)
{
	fprintf(stderr, "%s:%d: %s %s\n", file, line, expr, msg ? msg : "");
	abort();
}

#endif
