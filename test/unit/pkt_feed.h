/* One packet for everything of the packet layer; without Check, so that the fuzz target can use it. */
#ifndef TEST_PKT_FEED_H
#define TEST_PKT_FEED_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>

/* Feeds one packet, behind a virtio header, to everything of the packet layer that takes packets, from
 * memory that ends where it ends; aborts when a result contradicts itself. */
void pkt_feed(const struct virtio_net_hdr *vnet, const uint8_t *p, size_t len);

#endif
