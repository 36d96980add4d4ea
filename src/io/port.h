/*
 * A port of a bridge: whole Ethernet frames in and out, each with a virtio header so that
 * super-packets and unfinished checksums pass. Either an interface of the system, by packet
 * sockets, or a TAP device. One queue for each worker.
 */
#ifndef IO_PORT_H
#define IO_PORT_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "io/tun.h"

#define PORT_BATCH 64           /* frames received at once */
#define PORT_FRAME_MAX 65600u   /* a super-packet with its header */
#define PORT_TAIL 128u          /* bytes behind a received frame that are the receiver's to write */
#define PORT_HEAD_MAX 32u       /* Ethernet header with tags, of a frame to send */
#define PORT_TX_BATCH 64
#define PORT_TX_IOV 512

struct port_opts {
	const char *name; /* of the interface, or of the TAP device */
	bool tap;
	unsigned queues;
	uint32_t rcvbuf, sndbuf; /* bytes; 0: the system's default */
	uint32_t mark;           /* SO_MARK of frames sent; 0 none */
	bool hide_own;           /* leave frames to the interface's own address to the system */
};

struct port {
	char name[TUN_NAME_LEN];
	int ifindex;
	bool is_tap;
	unsigned queues;
	int fd[TUN_MAX_QUEUES]; /* non-blocking; -1: none */
	uint8_t mac[6];         /* the interface's own; of a TAP device that of the system's end */
	unsigned can;           /* GRO_*: super-packets that we may send */
	struct tun tun;         /* behind a TAP */
};

/*
 * Opens the port with its queues; it may be down. An interface must exist and be Ethernet; a TAP
 * device is made. Packet sockets see every frame (promiscuous mode as long as they are open), but
 * not those that the system itself sends. Returns 0, or -errno with a sentence.
 */
int port_open(struct port *p, const struct port_opts *o, char *why, size_t whylen) warn_unused;
/* Closes what is open; p must have been through port_open(). */
void port_close(struct port *p);

/* A received frame. */
struct port_rx {
	uint8_t *p;      /* destination address first; writable, PORT_TAIL bytes behind it too */
	uint32_t len;
	uint32_t tag;    /* taken out by the system: TPID << 16 | TCI; 0 none */
	bool truncated;
	struct virtio_net_hdr vnet; /* csum_start counts from p */
};

/* Buffers for PORT_BATCH frames. */
struct port_rxq;
struct port_rxq *port_rxq_new(void);
void port_rxq_free(struct port_rxq **q);
/* Up to PORT_BATCH frames that are there; how many. They are valid until the next call with this q.
 */
unsigned port_recv(const struct port *p, unsigned queue, struct port_rxq *q,
		   struct port_rx rx[PORT_BATCH]);

/* Frames on their way out of a port. What they point to must stay until port_flush(). */
struct port_tx {
	const struct port *port;
	int fd;
	unsigned n, n_iov;
	struct port_tx_one {
		struct virtio_net_hdr vnet;
		uint8_t head[PORT_HEAD_MAX];
		uint16_t head_len;
		uint16_t iov, n_iov; /* place in iov[] */
		uint16_t packets;    /* that it stands for */
	} one[PORT_TX_BATCH];
	struct iovec iov[PORT_TX_IOV];
	uint64_t sends;              /* frames given to the system */
	uint64_t full, failed;       /* packets refused for lack of room, or otherwise */
};

void port_tx_init(struct port_tx *t, const struct port *p, unsigned queue);
/* One frame: a header of head_len bytes (copied), and what follows it in n pieces, n <=
 * GRO_MAX_SEGS (the pieces' list is copied). In vnet (copied) csum_start counts from behind the
 * header. Sends first when there is no room. */
void port_put(struct port_tx *t, const struct virtio_net_hdr *vnet, const uint8_t *head,
	      uint32_t head_len, const struct iovec *data, unsigned n, unsigned packets);
/* Sends what was put. */
void port_flush(struct port_tx *t);

#endif
