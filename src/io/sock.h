/*
 * The sockets on the open side: UDP (ESP in UDP, IKE) and raw IP (ESP, AH). A worker has its own of
 * each kind and version; ports are shared with SO_REUSEPORT. Batches in, batches out.
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/bytes.h"

#define SOCK_GROUP_TTL 64 /* of what is sent to multicast groups */

enum sock_kind { SOCK_KIND_UDP, SOCK_KIND_RAW };

struct sock_opts {
	enum sock_kind kind;
	uint8_t ver;         /* 4 or 6 (6: IPV6_V6ONLY) */
	uint16_t port;       /* UDP, host byte order */
	uint8_t proto;       /* raw: IP protocol, 50 or 51 */
	struct ip_addr bind; /* any or one address */
	bool reuse_port;
	bool gso, gro;           /* allow UDP_SEGMENT / UDP_GRO; false forces the fall-back */
	bool zero_csum;          /* UDP over IPv4: send checksum 0 (RFC 3948 2.1); excludes gso */
	uint32_t rcvbuf, sndbuf; /* bytes; SO_RCVBUFFORCE where allowed */
	uint32_t mark;           /* SO_MARK; 0 for none */
	/* Raw: the kernel gives every raw socket of a protocol its own copy of each packet. Of
	 * `shares` sockets, number `share` (from 0) takes only packets whose SPI mod shares is its
	 * own, so that workers divide the SAs. 0 or 1 shares: everything.
	 * UDP sockets that share a port (reuse_port) divide it too, in the order they were bound in;
	 * what has no SPI comes to the first. */
	uint16_t share, shares;
	/* UDP, of share 0: what begins with the non-ESP marker (RFC 3948 2.2) comes to the socket bound
	 * next after all shares. */
	bool marker_apart;
};

struct sock {
	int fd; /* non-blocking; -1 when not open */
	enum sock_kind kind;
	uint8_t ver;
	bool ext;         /* raw IPv6: packets bring their extension headers */
	bool gso, gro;    /* granted by the kernel; gso is switched off when a device answers EIO */
	_Atomic int df_now; /* what IP_MTU_DISCOVER is set to: -1 unknown, 0 clear, 1 set */
	uint64_t gso_off; /* times a batch had to be sent again without UDP_SEGMENT */
};

/* Where packets of an SA go: prepared once, read by workers. */
struct sock_path {
	struct sockaddr_storage dst;
	socklen_t dst_len;
	struct ip_addr src; /* source address to use; ver 0: let the kernel choose */
	int ifindex;        /* outgoing interface; 0: by the routing table */
};
/* src may be NULL; dst->port is 0 for raw sockets. */
void sock_path_set(struct sock_path *p, const struct ip_addr *src, const struct endpoint *dst);
/* A hash of address and port, never 0: equal for equal addresses. */
uint32_t sock_addr_tag(const struct sockaddr_storage *a);

/*
 * Opens and binds a socket. Where the kernel cannot do GSO or GRO, s->gso or s->gro says so.
 * Received packets bring their local address and TOS; UDP over IPv6 also takes checksum 0 (RFC
 * 6935). Returns 0, or -errno with a sentence in why[0..whylen).
 */
int sock_open(struct sock *s, const struct sock_opts *o, char *why, size_t whylen) warn_unused;
void sock_close(struct sock *s); /* also when not open */

/* One message to send: n_pkts packets of seg bytes lie back to back in data[0..len), the last may
 * be shorter. */
struct sock_tx {
	const struct sock_path *path;
	uint8_t *data;
	uint32_t len;
	uint16_t seg; /* == len when it is one packet */
	uint16_t n_pkts;
	uint8_t tos; /* outer TOS / traffic class */
	bool df;     /* IPv4 outer DF (IPv6: no fragmentation by the kernel) */
};

struct sock_tx_result {
	uint32_t sent;    /* packets accepted */
	uint32_t full;    /* packets refused for lack of room */
	uint32_t failed;  /* packets refused otherwise */
	int last_error;   /* errno of the last failure, 0 */
	uint32_t too_big; /* of failed: EMSGSIZE */
};

/*
 * Sends m[0..n), in order, n <= SOCK_TX_MAX, by sendmmsg: with UDP_SEGMENT one datagram per message
 * (more only where it exceeds 64 packets or 65507 bytes), else one per packet. A message the kernel
 * refuses with UDP_SEGMENT (EIO, EINVAL, EMSGSIZE) is sent again packet by packet; gso is switched
 * off when that was the device's or the kernel's inability, and stays on when the packets were just
 * too big for the path. A change of df from one message to the next costs a system call: callers
 * sort. No allocation. Every packet of m is counted once, in sent, full or failed; *res is
 * overwritten.
 */
#define SOCK_TX_MAX 64
void sock_send(struct sock *s, const struct sock_tx *m, unsigned n, struct sock_tx_result *res);

/*
 * One datagram by a socket whose batches another thread sends: with DF as that thread has left it,
 * unless the datagram is too big for that. Counts nothing. 0 or -errno: -EAGAIN the queue is full,
 * -EMSGSIZE more than UDP carries.
 */
int sock_send_one(struct sock *s, const struct sock_path *path, uint8_t *data,
		  uint32_t len) warn_unused;

/* An IPv6 extension header that the system has taken off a received packet. */
struct sock_ext {
	const uint8_t *p;
	uint16_t len;
	uint8_t kind; /* its protocol number */
};
#define SOCK_EXT_MAX 4

/* One received datagram; with UDP_GRO several packets of seg bytes back to back. */
struct sock_rx {
	uint8_t *data; /* raw IPv4: behind the IP header, whose fields are below */
	uint32_t len;
	uint32_t seg; /* == len when it is one packet */
	struct sockaddr_storage from;
	struct ip_addr to; /* local address it came to */
	uint8_t tos;       /* outer TOS / traffic class (cmsg, or the raw IPv4 header) */
	uint8_t hdr_len;   /* raw IPv4: bytes of the IP header, which lies right before data; else 0 */
	uint32_t flow;     /* flow label of the IPv6 header; 0 where it is not known */
	uint8_t n_ext;     /* raw IPv6: extension headers, in order */
	struct sock_ext ext[SOCK_EXT_MAX];
	bool truncated;    /* MSG_TRUNC, or extension headers that did not fit */
};

/* IPV6_FLOWINFO of <linux/in6.h>, which does not go together with <netinet/in.h>. */
#define SOCK_IPV6_FLOWINFO 11

/* The memory of a receive batch: n buffers of size bytes, aligned to 64, allocated once. */
struct sock_rxq;
#define SOCK_RX_MAX 64
/* n is up to SOCK_RX_MAX; size is rounded up to a multiple of 64. Sockets with gro need 64 KiB.
 * NULL when out of memory or when n or size is 0 or too large. */
struct sock_rxq *sock_rxq_new(unsigned n, uint32_t size);
void sock_rxq_free(struct sock_rxq **q);
/* Receives up to n (<= the queue's) datagrams without waiting. Returns how many are in rx[], 0 when
 * there are none, -errno. What rx[] points to is valid until the next call with the same queue. */
int sock_recv(struct sock *s, struct sock_rxq *q, struct sock_rx *rx, unsigned n) warn_unused;

/* Packets to the multicast group, from src (NULL: from anyone), come to this socket from now on, when
 * they arrive at the interface; or no more. Only what was joined comes, whatever other programs join.
 * 0 or -errno: -ENOBUFS more groups than the system allows one socket. */
int sock_join(struct sock *s, const struct ip_addr *group, const struct ip_addr *src, int ifindex,
	      bool join) warn_unused;

/* A socket that sends inner packets as they are (policy action bypass): raw IPPROTO_RAW, nothing is
 * received. */
int sock_open_clear(struct sock *s, uint8_t ver, uint32_t mark, char *why,
		    size_t whylen) warn_unused;
/* Sends ip[0..len), a complete packet of the socket's version (sock_send() does too, to where the path says); routing goes by its destination. 0
 * or -errno: -EINVAL when it is not such a packet, -EMSGSIZE when it is longer than the outgoing
 * link's MTU. */
int sock_send_clear(struct sock *s, const uint8_t *ip, uint32_t len) warn_unused;
/* The MTU of the way that such a packet to dst (of the socket's version) takes, as far as the kernel knows it, in bytes; or -errno. Costs
 * three system calls. */
int sock_clear_mtu(struct sock *s, const struct ip_addr *dst) warn_unused;

#endif
