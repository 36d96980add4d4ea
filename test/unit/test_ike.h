/* The parts of the IKE test program. */
#ifndef TEST_IKE_H
#define TEST_IKE_H

#include <check.h>

TCase *ike_captures_case(void);
TCase *ike_proposal_case(void);

#endif
