/* Fuzz target: ten bytes of virtio header, then a packet, to everything of src/packet. */
#include <string.h>

#include "../unit/pkt_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vnet;

	if (size < sizeof(vnet))
		return 0;
	memcpy(&vnet, data, sizeof(vnet));
	pkt_feed(&vnet, data + sizeof(vnet), size - sizeof(vnet));
	return 0;
}
