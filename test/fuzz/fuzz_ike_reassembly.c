/*
 * A run of fragments, any numbers, totals, message IDs and lengths, as an authentic peer might send
 * them, to the fragment reassembler: what becomes whole must be what a slow model keeps; memory
 * stays bounded. Input: per fragment 6 bytes: ID, number, total, length (2), first byte.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ike/reassembly.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

/* The model: what was taken for the present attempt. */
static struct {
	uint32_t id;
	unsigned total, have;
	size_t bytes;
	bool there[SEAL_FRAGMENTS_MAX];
	size_t len[SEAL_FRAGMENTS_MAX];
	uint8_t with[SEAL_FRAGMENTS_MAX];
} model;

static void check_whole(const struct seal_plain *whole)
{
	const uint8_t *p = whole->p;

	must(whole->len == model.bytes);
	for (unsigned i = 0; i < model.total; i++)
		for (size_t k = 0; k < model.len[i]; k++)
			must(*p++ == model.with[i]);
}

/* What ought to come of the fragment. */
static int expect(uint32_t id, unsigned number, unsigned total, size_t len, uint8_t with)
{
	bool same = model.total && model.id == id;

	if (same && model.total == total && model.there[number - 1])
		return -EALREADY;
	if (same && total < model.total)
		return -EALREADY;
	if (!same || total != model.total) {
		memset(&model, 0, sizeof(model));
		model.id = id;
		model.total = total;
	}
	if (model.bytes + len > SEAL_MESSAGE_MAX) {
		memset(&model, 0, sizeof(model));
		return -EBADMSG;
	}
	model.there[number - 1] = true;
	model.len[number - 1] = len;
	model.with[number - 1] = with;
	model.bytes += len;
	return ++model.have < model.total ? -EINPROGRESS : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[UINT16_MAX];
	struct reassembly r = { 0 };
	struct seal_plain whole;
	struct ike_bad bad;
	uint8_t next;

	memset(&model, 0, sizeof(model));
	for (; size >= 6; data += 6, size -= 6) {
		unsigned total = 1 + data[2] % SEAL_FRAGMENTS_MAX, number = 1 + data[1] % total;
		size_t len = load_be16(data + 3);
		struct ike_payload p = { .type = IKE2_SKF };
		p.sk.number = (uint16_t)number;
		p.sk.total = (uint16_t)total;
		p.sk.next = number == 1 ? data[5] : 0;
		uint8_t first = number == 1 ? data[5] : model.there[0] ? model.with[0] : 0;
		memset(text, data[5], len);
		whole = (struct seal_plain){ 0 };
		bool had = reassembly_has(&r, data[0], &p);
		int want = expect(data[0], number, total, len, data[5]);
		must(!had || want == -EALREADY);
		int rc =
		    had ? -EALREADY
			: reassembly_add(&r, data[0], &p, span_of(text, len), &whole, &next, &bad);
		must(rc == want);
		must(r.bytes <= SEAL_MESSAGE_MAX);
		if (rc == 0) {
			check_whole(&whole);
			must(next == first && !r.part);
			seal_plain_free(&whole);
			memset(&model, 0, sizeof(model));
		}
		must(!whole.p);
	}
	reassembly_reset(&r);
	must(!r.part && !r.bytes);
	return 0;
}
