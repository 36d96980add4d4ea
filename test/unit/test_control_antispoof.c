/* What is said of cleartext that a router with a TUN device does not see: only where it forwards, for networks behind it, and where the
 * way back is not checked. The system's switches are files of a folder here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/antispoof.h"
#include "ike/conf.h"
#include "test_control.h"
#include "unit_folder.h"

static char sysctl[64];
static char text[512];
static struct config_tun tun;
static struct selector sel[2];
static struct config_policy policy;
static struct config conf;

static void put(const char *ver, const char *dev, const char *what, int value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", sysctl, ver);
	mkdir(path, 0700);
	strcat(path, "/conf");
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/conf/%s", sysctl, ver, dev);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/conf/%s/%s", sysctl, ver, dev, what);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%d\n", value);
	fclose(f);
}

static struct ip_range range(const char *t)
{
	struct ip_range r;

	ck_assert_int_eq(ip_range_parse(t, &r), 0);
	return r;
}

/* A router: both versions forwarded, two interfaces and the device; one policy that protects networks of both. */
static void router(void)
{
	unit_folder_new(sysctl, sizeof(sysctl));
	put("ipv4", "all", "forwarding", 1);
	put("ipv6", "all", "forwarding", 1);
	put("ipv4", "all", "rp_filter", 0);
	put("ipv4", "default", "rp_filter", 0);
	put("ipv4", "lo", "rp_filter", 0);
	put("ipv4", "bw0", "rp_filter", 0);
	put("ipv4", "wan", "rp_filter", 1);
	put("ipv4", "dmz", "rp_filter", 0);
	static char bw0[] = "bw0", net[] = "net";
	tun = (struct config_tun){ .name = bw0 };
	sel[0] = (struct selector){ .local = range("10.1.0.0/16"), .remote = range("10.2.0.0/16") };
	sel[1] = (struct selector){ .local = range("fd01::/16"), .remote = range("fd02::/16") };
	policy = (struct config_policy){
		.name = net, .action = POLICY_PROTECT, .dirs = POLICY_DIR_OUT | POLICY_DIR_IN, .sel = sel, .n_sel = 2
	};
	conf = (struct config){ .tun = &tun, .policy = &policy, .n_policy = 1 };
}

static bool said(void)
{
	return antispoof_hint(&conf, sysctl, text, sizeof(text));
}

START_TEST(test_said)
{
	ck_assert(said());
	ck_assert_ptr_nonnull(strstr(text, "forwards IPv4 and IPv6, and policy net protects 10.1.0.0/16 behind it"));
	put("ipv4", "dmz", "rp_filter", 1); /* lo, the device and `default` do not count */
	ck_assert(said());
	ck_assert_ptr_nonnull(strstr(text, "forwards IPv6, and policy net protects fd01::/16 behind it"));
	ck_assert_ptr_null(strstr(text, "rp_filter"));
	put("ipv6", "all", "forwarding", 0);
	ck_assert(!said());
	put("ipv4", "all", "rp_filter", 2); /* loose: the higher one counts */
	ck_assert(said());
	ck_assert_ptr_nonnull(strstr(text, "forwards IPv4, and"));
	put("ipv4", "all", "forwarding", 0);
	ck_assert(!said());
}
END_TEST

START_TEST(test_not_said)
{
	struct config_bridge bridge = {};
	struct ip_prefix own = { .addr = range("10.1.0.7").lo, .len = 32 };

	policy.action = POLICY_BYPASS;
	ck_assert(!said());
	policy.action = POLICY_PROTECT;
	policy.dirs = POLICY_DIR_OUT;
	ck_assert(!said());
	policy.dirs |= POLICY_DIR_IN;
	conf.tun = NULL;
	conf.bridge = &bridge;
	ck_assert(!said());
	conf.tun = &tun;
	conf.bridge = NULL;
	strcat(sysctl, "/none"); /* nothing can be read */
	ck_assert(!said());
	*strrchr(sysctl, '/') = '\0';
	policy.n_sel = 1;
	sel[0].local = range("10.1.0.7"); /* another's address, and then the device's */
	ck_assert(said());
	tun.address = &own;
	tun.n_address = 1;
	ck_assert(!said());
}
END_TEST

/* Everything is behind us: that an interface has an address in it says nothing. */
START_TEST(test_everything)
{
	sel[0].local = range("0.0.0.0/0");
	policy.n_sel = 1;
	put("ipv4", "dmz", "rp_filter", 1);
	ck_assert(!said());
	put("ipv4", "lo0", "rp_filter", 0);
	ck_assert(said());
}
END_TEST

START_TEST(test_children)
{
	static char name[] = "office";
	struct ike_child_conf child = { .name = name, .local_ts = { .n = 1, .ts = { { .dynamic = true } } } };
	struct ike_conn_conf conn = { .child = &child, .n_child = 1 };
	struct ike_conf ike = { .conn = &conn, .n_conn = 1 };

	conf.n_policy = 0;
	conf.ike = &ike;
	ck_assert(!said()); /* a road warrior */
	child.local_ts.ts[0] = (struct ts){ .range = range("10.9.0.0/24") };
	ck_assert(said());
	ck_assert_ptr_nonnull(strstr(text, "child office protects 10.9.0.0/24"));
}
END_TEST

TCase *control_antispoof_tests(void)
{
	TCase *c = tcase_create("antispoof");

	tcase_add_checked_fixture(c, router, NULL);
	tcase_add_test(c, test_said);
	tcase_add_test(c, test_not_said);
	tcase_add_test(c, test_everything);
	tcase_add_test(c, test_children);
	return c;
}
