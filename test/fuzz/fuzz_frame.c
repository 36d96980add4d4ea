/* Fuzz target: four bytes of a tag that was taken out, then a frame, to the parser and to what learns from it. */
#include <stdlib.h>
#include <string.h>

#include "packet/frame.h"
#include "plane/neighbour.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct neighbours *hosts;
	struct frame f, out;
	struct ip_addr from = { 0 };

	if (!hosts)
		hosts = neighbours_new();
	if (size < 4)
		return 0;
	const uint8_t *p = data + 4;
	size -= 4;
	if (frame_parse(p, size, load_be32(data), &f) != DROP_NONE)
		return 0;
	if (f.kind >= FRAME_KINDS || f.head_len < 14 || f.head_len > FRAME_HEAD_MAX || (size_t)f.off + f.len > size)
		abort();
	neighbours_learn(hosts, &f, p + f.off, f.len);
	if (f.kind == FRAME_IP && p[f.off] >> 4 == 4 && !(frame_src(&f)[0] & 1)) {
		from = ip_addr_from_v4(p + f.off + 12);
		if (neighbours_find(hosts, &from, &out) && memcmp(frame_dst(&out), frame_src(&f), FRAME_MAC_LEN) != 0)
			abort();
	}
	return 0;
}
