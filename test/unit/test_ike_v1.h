/* The parts of the test program of IKEv1's pieces. */
#ifndef TEST_IKE_V1_H
#define TEST_IKE_V1_H

#include <check.h>

TCase *v1_sa_case(void);
TCase *v1_section5_case(void);
TCase *v1_crypt_case(void);
TCase *v1_pool_case(void);
TCase *v1_recorded_case(void);

#endif
