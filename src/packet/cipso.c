/*
 * An IPv4 header enters, the label in its options leaves. First the options are walked to the one
 * CIPSO option, then the tags in it: exactly one sensitivity tag is in a label (FIPS 188 has no
 * other kind that says who may see a packet). A packet is refused for anything that two readers
 * could understand differently.
 */
#include "packet/cipso.h"

#include "base/rd.h"

#define IP4_HDR 20u
#define OPT_END 0
#define OPT_NOP 1
#define TAG_BITMAP 1
#define TAG_ENUMERATED 2
#define TAG_RANGES 5

bool label_add(struct label *l, uint16_t first, uint16_t last)
{
	struct label_run *r = l->n ? &l->run[l->n - 1] : NULL;

	if (first > last || last > LABEL_CAT_MAX || (r && first <= r->last))
		return false;
	if (r && first == r->last + 1) {
		r->last = last;
		return true;
	}
	if (l->n == LABEL_RUNS)
		return false;
	l->run[l->n++] = (struct label_run){ first, last };
	return true;
}

/* Category n is bit n from the left; up to 30 octets. */
static bool read_bitmap(struct rd *r, struct label *l)
{
	for (uint16_t at = 0; r->left; at += 8) {
		uint8_t bits = rd_u8(r);
		for (uint16_t i = 0; i < 8; i++)
			if (bits & 0x80 >> i && !label_add(l, at + i, at + i))
				return false;
	}
	return true;
}

/* Categories, each above the one before. */
static bool read_enumerated(struct rd *r, struct label *l)
{
	while (r->left) {
		uint16_t cat = rd_be16(r);
		if (!label_add(l, cat, cat))
			return false;
	}
	return rd_ok(r);
}

/* Pairs of a highest and a lowest category, from the highest pair down; the last may do without its
 * lowest, which is 0 then. */
static bool read_ranges(struct rd *r, struct label *l)
{
	struct label_run run[8];
	unsigned n = 0;

	for (; r->left && n < ARRAY_LEN(run); n++) {
		run[n].last = rd_be16(r);
		run[n].first = r->left ? rd_be16(r) : 0;
	}
	if (!rd_end(r))
		return false;
	while (n-- > 0)
		if (!label_add(l, run[n].first, run[n].last))
			return false;
	return true;
}

static bool read_tag(uint8_t type, struct rd *r, struct label *l)
{
	uint8_t align = rd_u8(r);

	l->level = rd_u8(r);
	l->n = 0;
	if (!rd_ok(r) || align != 0)
		return false;
	switch (type) {
	case TAG_BITMAP:
		return read_bitmap(r, l);
	case TAG_ENUMERATED:
		return read_enumerated(r, l);
	case TAG_RANGES:
		return read_ranges(r, l);
	}
	return false;
}

/* What is behind the option's type and length. */
static bool read_option(struct rd *r, struct label *l)
{
	unsigned tags = 0;

	l->doi = rd_be32(r);
	for (; rd_ok(r) && r->left; tags++) {
		uint8_t type = rd_u8(r), len = rd_u8(r);
		struct rd tag = rd_child(r, len >= 2 ? len - 2u : SIZE_MAX);
		if (!rd_ok(r) || !read_tag(type, &tag, l))
			return false;
	}
	return rd_ok(r) && l->doi != 0 && tags == 1;
}

enum drop cipso_read(const uint8_t *ip, const struct pkt_info *info, struct label *out, bool *found)
{
	*found = false;
	if (info->key.ver != 4 || !(info->flags & PKT_OPTIONS))
		return DROP_NONE;
	struct rd r = rd_of(ip + IP4_HDR, (ip[0] & 15) * 4u - IP4_HDR);
	while (r.left) {
		uint8_t type = rd_u8(&r);
		if (type == OPT_END)
			break;
		if (type == OPT_NOP)
			continue;
		uint8_t len = rd_u8(&r);
		struct rd opt = rd_child(&r, len >= 2 ? len - 2u : SIZE_MAX);
		if (!rd_ok(&r))
			return DROP_LABEL_FORMAT;
		if (type != CIPSO_OPTION)
			continue;
		if (*found || !read_option(&opt, out))
			return DROP_LABEL_FORMAT;
		*found = true;
	}
	return DROP_NONE;
}
