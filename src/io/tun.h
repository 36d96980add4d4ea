/* TUN and TAP devices: one queue per worker, offloads where the kernel has them. */
#ifndef IO_TUN_H
#define IO_TUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"

#define TUN_NAME_LEN   16
#define TUN_MAX_QUEUES 64
/* Every read and write starts with a struct virtio_net_hdr of this size (host-endian), whatever the
 * kernel can do. */
#define TUN_VNET_LEN 10
#define TUN_READ_MAX (TUN_VNET_LEN + 65536)

/* What the device may hand us / what we may write; the bits match GRO_* of packet/gso.h. */
#define TUN_CAN_TSO4 0x01
#define TUN_CAN_TSO6 0x02
#define TUN_CAN_USO4 0x04
#define TUN_CAN_USO6 0x08
#define TUN_CAN_CSUM 0x10

struct tun_opts {
	const char *name; /* up to 15 bytes */
	unsigned queues;  /* one per worker */
	bool offload;     /* ask for checksum, TSO and USO offloads; false forces the fall-back */
	bool persist;     /* leave the device behind at tun_close() */
	bool tap;         /* a TAP device: Ethernet frames */
};

struct tun {
	char name[TUN_NAME_LEN];
	int ifindex;
	unsigned queues;
	int fd[TUN_MAX_QUEUES]; /* non-blocking */
	unsigned can;           /* TUN_CAN_*: what the kernel granted */
	bool persist;
	bool tap;
	bool created; /* it did not exist before */
};

/*
 * Opens or creates the device with its queues; brings nothing up. Offloads fall back step by step
 * (USO, TSO, checksum; the virtio header is always there) and the log says what is missing. A
 * device that was there before is used when it is of the kind asked for, nobody has it open and,
 * for several queues, it was made with several; it is never removed, whatever persist says. Returns
 * 0, or -errno with a sentence in why[0..whylen): -EINVAL and -ENAMETOOLONG for a bad name, -EEXIST
 * when the name belongs to something else, -EBUSY when it is in use, -EPERM without CAP_NET_ADMIN.
 */
int tun_open(struct tun *t, const struct tun_opts *o, char *why, size_t whylen) warn_unused;
/* Closes all queues; the kernel removes a device that is not persistent. t must have been through
 * tun_open(). */
void tun_close(struct tun *t);

#endif
