/* The test cases of src/ipsec's databases, one file each. */
#ifndef TEST_IPSEC_H
#define TEST_IPSEC_H

#include <check.h>

TCase *tcase_label(void);
TCase *tcase_replay(void);
TCase *tcase_replay_solo(void);
TCase *tcase_sa(void);
TCase *tcase_sa_solo(void);
TCase *tcase_sad(void);
TCase *tcase_selector(void);
TCase *tcase_spd(void);

#endif
