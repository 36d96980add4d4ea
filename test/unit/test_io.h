/* What the tests of src/io share: a network namespace of their own, and a sendmmsg that can be made
 * to fail. */
#ifndef TEST_IO_H
#define TEST_IO_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "io/netlink.h"
#include "io/tun.h"

Suite *suite_tun(void);
Suite *suite_netlink(void);
Suite *suite_sock(void);
Suite *suite_sock_fail(void);
Suite *suite_icmp(void);
Suite *suite_udp(void);
Suite *suite_port(void);
Suite *suite_lacking(void);

/* Moves this process into a new network namespace, as a plain user into a user namespace as well. 0
 * or -errno. */
int ns_unshare(void);
/* Fixtures: namespace with lo up, and fd00::1 on it; nl is open. */
extern struct netlink *nl;
void ns_setup(void);
void ns_teardown(void);

/* addr("10.0.0.1"), prefix("10.0.0.0/8"): abort the test on bad text. */
struct ip_addr addr(const char *text);
struct ip_prefix prefix(const char *text);
/* Opens a TUN with one address and brings it up. */
void tun_up(struct tun *t, const char *name, unsigned queues, bool offload, const char *address);
/* Waits up to a second for a packet to this destination address (others, such as router
 * solicitations, are skipped). Returns the bytes read, with the virtio header in front; 0 when none
 * came. */
size_t tun_read_to(struct tun *t, const struct ip_addr *dst, uint8_t *buf, size_t size);

/* The next calls of sendmmsg: what the first, second ... does. 0: passes it on. After the list all
 * are passed on. */
enum { FAULT_MAX = 16 };
extern int fault_errno[FAULT_MAX];
extern bool fault_only_segmented; /* only calls whose first message has UDP_SEGMENT count */
extern unsigned fault_calls;      /* calls since fault_reset() */
extern unsigned fault_at;         /* entries of fault_errno used up */
void fault_reset(void);

#endif
