/* The layer above: what a reload does, the control socket, what people read. */
#include "test_control.h"

#include <stdlib.h>

#include "base/secret.h"
#include "crypto/crypt.h"

int main(void)
{
	Suite *s = suite_create("control");

	if (secret_init() || crypt_init())
		return 1;
	suite_add_tcase(s, control_plan_tests());
	suite_add_tcase(s, control_carry_tests());
	suite_add_tcase(s, control_parts_tests());
	suite_add_tcase(s, control_net_tests());
	suite_add_tcase(s, control_server_tests());
	suite_add_tcase(s, control_format_tests());
	suite_add_tcase(s, control_pool_tests());
	suite_add_tcase(s, control_keying_tests());
	suite_add_tcase(s, control_pmtu_tests());
	suite_add_tcase(s, control_antispoof_tests());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
