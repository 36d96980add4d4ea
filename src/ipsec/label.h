/*
 * Sensitivity labels of SAs, policies and interfaces (RFC 2401 8): one label, or a range of them,
 * as text and against the labels of packets. Level and categories make a lattice: a label dominates
 * another of the same domain of interpretation when its level is not lower and it has all the
 * other's categories. A range holds whatever dominates its low end and is dominated by its high
 * end.
 */
#ifndef IPSEC_LABEL_H
#define IPSEC_LABEL_H

#include <stddef.h>

#include "packet/cipso.h"

struct label_range {
	struct label low, high; /* the same for one label */
};

/*
 * "doi N level N [categories LIST] [to level N [categories LIST]]": numbers in decimal or 0x; the
 * DOI is 1..2^32-1, a level 0..255; a LIST has categories 0..65534 and ranges of them, "1,5,8-11",
 * in any order. Without `to`, exactly that label; else every one between. 0 or -EINVAL with a
 * sentence in why.
 */
int label_range_parse(const char *text, struct label_range *out, char *why,
		      size_t whylen) warn_unused;
#define LABEL_STRLEN 512
/* The same text in one way of writing; what is longer is cut. */
const char *label_range_format(const struct label_range *r, char out[LABEL_STRLEN]);

bool label_dominates(const struct label *a, const struct label *b);
bool label_eq(const struct label *a, const struct label *b);
/* Is the label one of the range? */
bool label_within(const struct label *l, const struct label_range *r);
/* Is every label of the inner range one of the outer? */
bool label_range_within(const struct label_range *inner, const struct label_range *outer);
bool label_range_eq(const struct label_range *a, const struct label_range *b);

#endif
