/* The test cases of src/control, one file each. */
#ifndef TEST_CONTROL_H
#define TEST_CONTROL_H

#include <check.h>

TCase *control_plan_tests(void);
TCase *control_carry_tests(void);
TCase *control_parts_tests(void);
TCase *control_net_tests(void);
TCase *control_server_tests(void);
TCase *control_format_tests(void);
TCase *control_pool_tests(void);
TCase *control_keying_tests(void);
TCase *control_pmtu_tests(void);
TCase *control_antispoof_tests(void);

#endif
