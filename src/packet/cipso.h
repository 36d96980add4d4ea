/*
 * Sensitivity labels in IPv4 packets: the CIPSO option (FIPS 188; option 134), tag types 1 (bit
 * map), 2 (enumerated) and 5 (ranges). Read only: labels are put on packets by the hosts that make
 * them.
 */
#ifndef PACKET_CIPSO_H
#define PACKET_CIPSO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/drop.h"
#include "packet/parse.h"

#define CIPSO_OPTION 134

/* As many runs as a bit map of 240 categories can have. */
#define LABEL_RUNS 120
#define LABEL_CAT_MAX 65534

/* Categories first..last, both included. */
struct label_run {
	uint16_t first, last;
};

/* A level with its categories, which mean something in one domain of interpretation. The runs rise,
 * and neither overlap nor touch. */
struct label {
	uint32_t doi; /* not 0 */
	uint8_t level;
	uint8_t n;
	struct label_run run[LABEL_RUNS]; /* [0..n) */
};

/*
 * Reads the label of the packet ip[0..info->len) that pkt_parse() has seen. *found: it has one
 * (IPv6 packets never have). DROP_NONE, or DROP_LABEL_FORMAT: options out of bounds, more than one
 * CIPSO option, a DOI of 0, lengths, an alignment octet that is not 0, categories out of order or
 * number, no sensitivity tag, more than one, or a tag of another kind, whose meaning is not known.
 */
enum drop cipso_read(const uint8_t *ip, const struct pkt_info *info, struct label *out,
		     bool *found) warn_unused;

/* Adds categories above all that are there; false when they are not, or there are too many runs. */
bool label_add(struct label *l, uint16_t first, uint16_t last);

#endif
