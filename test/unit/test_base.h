/* The parts of the test program of the base layer. */
#ifndef TEST_BASE_H
#define TEST_BASE_H

#include <check.h>

/* test_base_addr.c */
TCase *base_addr_case(void);

#endif
