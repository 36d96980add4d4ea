/* Core dumps, capabilities, no-new-privileges; the filter is in seccomp.c. */
#include "control/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "config.h"

void privilege_protect_memory(void)
{
	struct rlimit none = { 0, 0 }, all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		log_warn(LOG_MAIN, "core dumps cannot be switched off: %s", strerror(errno));
#ifndef BW_SANITIZE /* the leak checker attaches to its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		log_warn(LOG_MAIN, "cannot hide memory from debuggers: %s", strerror(errno));
#endif
	/* Later, without CAP_IPC_LOCK, keys read by a reload are locked within this limit. */
	if (setrlimit(RLIMIT_MEMLOCK, &all) < 0)
		log_debug(LOG_MAIN, "limit of locked memory stays: %s", strerror(errno));
}

static bool has(unsigned cap)
{
	capng_get_caps_process();
	return capng_have_capability(CAPNG_EFFECTIVE, cap) == 1;
}

bool privilege_has_net_raw(void)
{
	return has(CAP_NET_RAW);
}

bool privilege_has_net_admin(void)
{
	return has(CAP_NET_ADMIN);
}

int privilege_drop(char *why, size_t whylen)
{
	static const unsigned keep[] = { CAP_NET_ADMIN, CAP_NET_RAW };
	bool had[ARRAY_LEN(keep)];

	capng_get_caps_process();
	bool bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
	for (unsigned i = 0; i < ARRAY_LEN(keep); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, keep[i]) == 1;
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i < ARRAY_LEN(keep); i++)
		if (had[i])
			(void)capng_update(CAPNG_ADD,
					   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
					   keep[i]);
	/* The bounding set needs CAP_SETPCAP to shrink; without it there is nothing in it that
	 * no-new-privs would let us gain. */
	int rc = capng_apply(bounds ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS);
	if (rc < 0) {
		snprintf(why, whylen, "cannot drop capabilities (libcap-ng says %d)", rc);
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		rc = -errno;
		snprintf(why, whylen, "cannot forbid new privileges: %s", strerror(-rc));
		return rc;
	}
	return 0;
}

#if !defined(HAVE_SECCOMP) || defined(BW_SANITIZE)
int privilege_filter(bool *active, char *why, size_t whylen)
{
	*active = false;
	return 0;
}
#endif
