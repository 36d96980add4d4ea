/*
 * A UDP socket of the control thread, for IKE on port 500: one datagram at a time, with the local
 * address both ways, so that an answer comes from where the peer has sent to. Non-blocking.
 */
#ifndef IO_UDP_H
#define IO_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/span.h"

#define UDP_DATAGRAM_MAX 65535u

struct udp_opts {
	uint8_t ver;         /* 4 or 6 (6: IPV6_V6ONLY) */
	uint16_t port;       /* host byte order; 0: any */
	struct ip_addr bind; /* ver 0: any */
	uint32_t mark;       /* SO_MARK of what is sent; 0 none */
};

struct udp {
	int fd; /* readable when a datagram waits; -1 when not open */
	uint8_t ver;
	uint16_t port; /* ours, host byte order */
};

/* Opens and binds. 0, or -errno with a sentence in why[0..whylen); u->fd is -1 then. */
int udp_open(struct udp *u, const struct udp_opts *o, char *why, size_t whylen) warn_unused;
void udp_close(struct udp *u); /* also when not open */

/*
 * Takes one datagram into p[0..max). Returns its length (0 for an empty one), -EAGAIN when there is
 * none, -EMSGSIZE for one that was longer than max (it is gone), or another -errno. *local is the
 * address it came to and our port.
 */
ssize_t udp_recv(struct udp *u, uint8_t *p, size_t max, struct endpoint *local,
		 struct endpoint *remote) warn_unused;
/* Sends one datagram from local->addr (ver 0: the kernel chooses). The kernel may fragment it.
 * 0, -EMSGSIZE when it is longer than UDP carries, -EAGAIN when the send queue is full, or another
 * -errno. */
int udp_send(struct udp *u, const struct endpoint *local, const struct endpoint *remote,
	     struct span datagram) warn_unused;

#endif
