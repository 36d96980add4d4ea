/* The databases of src/ipsec: replay windows, SAs, selectors, SAD and SPD. */
#include <stdlib.h>

#include "test_ipsec.h"

int main(void)
{
	Suite *s = suite_create("ipsec");

	suite_add_tcase(s, tcase_label());
	suite_add_tcase(s, tcase_replay());
	suite_add_tcase(s, tcase_replay_solo());
	suite_add_tcase(s, tcase_sa());
	suite_add_tcase(s, tcase_sa_solo());
	suite_add_tcase(s, tcase_selector());
	suite_add_tcase(s, tcase_sad());
	suite_add_tcase(s, tcase_spd());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
