/* The parts of the test program of keys, sealing, selectors and limits. */
#ifndef TEST_IKE_KEYS_H
#define TEST_IKE_KEYS_H

#include <check.h>

TCase *ike_keymat_case(void);
TCase *ike_seal_case(void);
TCase *ike_fragment_case(void);
TCase *ike_ts_case(void);
TCase *ike_gate_case(void);

#endif
