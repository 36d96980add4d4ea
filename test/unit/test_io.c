/*
 * Tests of src/io against the real kernel. Each test runs in a process of its own, in a network
 * namespace of its own, so nothing is left behind and nothing of the machine is touched. Where
 * neither root nor user namespaces are at hand, all are skipped.
 */
#define _GNU_SOURCE 1
#include "test_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

struct netlink *nl;

int ns_unshare(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	if (errno == EPERM && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		return 0;
	return -errno;
}

/* Linux adds the local route of an IPv6 address a moment later, from a work queue; until then what is sent to it is lost. */
static void wait_local(const char *text)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char b = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &a.sin6_addr), 1);
	for (int i = 0; i < 2000; i++) {
		(void)!sendto(fd, &b, 1, 0, (struct sockaddr *)&a, sizeof(a));
		if (recv(fd, &b, 1, 0) == 1)
			break;
		ck_assert_int_lt(i, 1999);
		usleep(1000);
	}
	close(fd);
}

void ns_setup(void)
{
	struct ip_prefix six = prefix("fd00::1/128");
	bool added;
	int lo;

	fault_reset();
	ck_assert_int_eq(ns_unshare(), 0);
	ck_assert_int_eq(netlink_open(&nl), 0);
	ck_assert_int_eq(netlink_link_index(nl, "lo", &lo), 0);
	ck_assert_int_eq(netlink_link_up(nl, lo, true), 0);
	ck_assert_int_eq(netlink_addr_add(nl, lo, &six, &added), 0);
	ck_assert(added);
	wait_local("fd00::1");
}

void ns_teardown(void)
{
	netlink_close(&nl);
	ck_assert_ptr_null(nl);
}

struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	ck_assert_int_eq(ip_addr_parse(text, &a), 0);
	return a;
}

struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	ck_assert_int_eq(ip_prefix_parse(text, &p), 0);
	return p;
}

void tun_up(struct tun *t, const char *name, unsigned queues, bool offload, const char *address)
{
	const struct tun_opts o = { .name = name, .queues = queues, .offload = offload };
	struct ip_prefix a = prefix(address);
	char why[256] = "";
	bool added;

	ck_assert_msg(tun_open(t, &o, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(netlink_addr_add(nl, t->ifindex, &a, &added), 0);
	ck_assert_int_eq(netlink_link_up(nl, t->ifindex, true), 0);
}

size_t tun_read_to(struct tun *t, const struct ip_addr *dst, uint8_t *buf, size_t size)
{
	struct pollfd p = { .fd = t->fd[0], .events = POLLIN };

	while (poll(&p, 1, 1000) == 1) {
		ssize_t n = read(t->fd[0], buf, size);
		const uint8_t *ip = buf + TUN_VNET_LEN;

		if (n < TUN_VNET_LEN + 20 || ip[0] >> 4 != dst->ver)
			continue;
		if (memcmp(ip + (dst->ver == 4 ? 16 : 24), dst->b, ip_addr_bytes(dst)) == 0)
			return (size_t)n;
	}
	return 0;
}

/* --- sendmmsg, as the linker's --wrap makes it --- */

int fault_errno[FAULT_MAX];
bool fault_only_segmented;
unsigned fault_calls, fault_at;

int __real_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);

void fault_reset(void)
{
	memset(fault_errno, 0, sizeof(fault_errno));
	fault_only_segmented = false;
	fault_calls = fault_at = 0;
}

static bool is_segmented(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	}
	return false;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	int err = 0;

	fault_calls++;
	if (fault_at < FAULT_MAX && (!fault_only_segmented || is_segmented(&m->msg_hdr)))
		err = fault_errno[fault_at++];
	if (err) {
		errno = err;
		return -1;
	}
	return __real_sendmmsg(fd, m, n, flags);
}

static int can_unshare(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-ns_unshare());
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

int main(void)
{
	int failed, err = can_unshare();
	SRunner *r;

	if (err) {
		printf("SKIP: no network namespace of its own (%s); run as root\n", strerror(-err));
		return 77;
	}
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		printf("SKIP: /dev/net/tun: %s\n", strerror(errno));
		return 77;
	}
	log_set_level_all(LOG_LVL_NOTICE);
	r = srunner_create(suite_tun());
	srunner_add_suite(r, suite_netlink());
	srunner_add_suite(r, suite_sock());
	srunner_add_suite(r, suite_sock_fail());
	srunner_add_suite(r, suite_icmp());
	srunner_add_suite(r, suite_udp());
	srunner_add_suite(r, suite_port());
	srunner_add_suite(r, suite_lacking());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
