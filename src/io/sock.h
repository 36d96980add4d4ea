/*
 * The sockets on the open side: UDP (ESP in UDP, IKE) and raw IP (ESP, AH). A worker has its own of each kind and version; ports are shared
 * with SO_REUSEPORT. Batches in, batches out.
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

enum sock_kind { SOCK_KIND_UDP, SOCK_KIND_RAW };

struct sock_opts {
	enum sock_kind kind;
	uint8_t ver;          /* 4 or 6 (6: IPV6_V6ONLY) */
	uint16_t port;        /* UDP, host byte order */
	uint8_t proto;        /* raw: IP protocol, 50 or 51 */
	struct ip_addr bind;  /* any or one address */
	bool reuse_port;
	bool gso, gro;        /* allow UDP_SEGMENT / UDP_GRO; false forces the fall-back */
	bool zero_csum;       /* UDP over IPv4: send checksum 0 (RFC 3948 2.1); excludes gso */
	uint32_t rcvbuf, sndbuf; /* bytes; SO_RCVBUFFORCE where allowed */
	uint32_t mark;        /* SO_MARK; 0 for none */
};

struct sock {
	int fd;               /* non-blocking; -1 when not open */
	enum sock_kind kind;
	uint8_t ver;
	bool gso, gro;        /* granted by the kernel; gso is switched off when a device answers EIO */
	int df_now;           /* what IP_MTU_DISCOVER is set to: -1 unknown, 0 clear, 1 set */
	uint64_t gso_off;     /* times a batch had to be sent again without UDP_SEGMENT */
};

/* Where packets of an SA go: prepared once, read by workers. */
struct sock_path {
	struct sockaddr_storage dst;
	socklen_t dst_len;
	struct ip_addr src;    /* source address to use; ver 0: let the kernel choose */
};
void sock_path_set(struct sock_path *p, const struct ip_addr *src, const struct endpoint *dst);

int sock_open(struct sock *s, const struct sock_opts *o, char *why, size_t whylen) warn_unused;
void sock_close(struct sock *s);

/* One message to send: n_pkts packets of seg bytes lie back to back in data[0..len), the last may be shorter. */
struct sock_tx {
	const struct sock_path *path;
	uint8_t *data;
	uint32_t len;
	uint16_t seg;    /* == len when it is one packet */
	uint16_t n_pkts;
	uint8_t tos;     /* outer TOS / traffic class */
	bool df;         /* IPv4 outer DF (IPv6: no fragmentation by the kernel) */
};

struct sock_tx_result {
	uint32_t sent, full, failed; /* packets: accepted, refused for lack of room, refused otherwise */
	int last_error;              /* errno of the last failure, 0 */
	uint32_t too_big;            /* of failed: EMSGSIZE */
};

/* Sends m[0..n), in order, by sendmmsg with UDP_SEGMENT (or one message per packet where gso is off, raw, or after EIO/EINVAL). Message boundaries
 * with another df need a setsockopt between: callers sort. No allocation. n <= 64. */
#define SOCK_TX_MAX 64
void sock_send(struct sock *s, const struct sock_tx *m, unsigned n, struct sock_tx_result *res);

/* One received datagram; with UDP_GRO several packets of seg bytes back to back. */
struct sock_rx {
	uint8_t *data;         /* raw IPv4: the IP header has been skipped, its fields are below; raw IPv6 has none */
	uint32_t len;
	uint32_t seg;          /* == len when it is one packet */
	struct sockaddr_storage from;
	struct ip_addr to;     /* local address it came to */
	uint8_t tos;           /* outer TOS / traffic class (cmsg, or the raw IPv4 header) */
	bool truncated;        /* MSG_TRUNC */
};

/* The memory of a receive batch: n buffers of size bytes, aligned to 64, allocated once. off: where in each buffer data starts. */
struct sock_rxq;
#define SOCK_RX_MAX 64
/* For gro sockets buffers are 64 KiB; n is up to SOCK_RX_MAX. NULL when out of memory. */
struct sock_rxq *sock_rxq_new(unsigned n, uint32_t size);
void sock_rxq_free(struct sock_rxq **q);
/* Receives up to n (<= the queue's) datagrams without waiting. Returns how many are in rx[], 0 when there are none, -errno. The data is valid until the next call. */
int sock_recv(struct sock *s, struct sock_rxq *q, struct sock_rx *rx, unsigned n) warn_unused;

/* Sends an inner packet in the clear by a raw IPPROTO_RAW socket (bypass): ip[0..len) complete. 0 or -errno. */
int sock_open_clear(struct sock *s, uint8_t ver, uint32_t mark, char *why, size_t whylen) warn_unused;
int sock_send_clear(struct sock *s, const uint8_t *ip, uint32_t len) warn_unused;

#endif
