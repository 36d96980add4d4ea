/* ICMP errors, as they come to this host: about packets of ours that were too big for the path, and others. Control thread only. */
#ifndef IO_ICMP_H
#define IO_ICMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"

/* Opens a raw socket for ver 4 or 6 that gets the types of ICMP errors that have an RFC, and redirects, and of IPv4 those
 * above 31, and nothing else. *fd: non-blocking.
 * 0 or -errno: -EPERM without CAP_NET_RAW. */
int icmp_open(int ver, int *fd) warn_unused;
/*
 * A raw IPv6 socket of this protocol (50, 51) that receives nothing. While it is open the kernel learns from ICMP how it has to fragment
 * what other raw sockets send with this mark: it does so only where some raw socket of the protocol wants to hear of errors, and a
 * socket that sends does not, since its next send would fail. What is learned decides the size of fragments, nothing else.
 */
int icmp_open_learner(uint8_t proto, uint32_t mark, int *fd) warn_unused;
struct icmp_from {
	struct ip_addr addr; /* who sent it */
	struct ip_addr to;   /* to which of our addresses; ver 0: not known */
	unsigned ifindex;    /* by which interface it came; 0: not known */
};
/* Takes one message without its IP header into buf[0..max). Returns its length, 0 when it is to be ignored (cut off, checksum
 * wrong), -EAGAIN when there is none, or another -errno. */
int icmp_take(int ver, int fd, uint8_t *buf, size_t max, struct icmp_from *from) warn_unused;

#endif
