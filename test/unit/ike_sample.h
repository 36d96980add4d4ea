/* Messages with every payload of both versions, and the way to take one apart and put it together again. */
#ifndef TEST_IKE_SAMPLE_H
#define TEST_IKE_SAMPLE_H

#include <stdbool.h>

#include "ike/msg.h"

#define SAMPLE_MAX 4096

/* Fills m with a message of the version (1 or 2) that has every payload whose rule lets it be outside
 * with others, and writes it to out. Returns its length. */
size_t sample_write(struct ike_msg *m, unsigned major, uint8_t out[SAMPLE_MAX]);
/* Adds one payload of the type, with plausible content. */
struct ike_payload *sample_add(struct ike_msg *m, uint8_t type, bool inner);
/* An empty message of the version. */
void sample_init(struct ike_msg *m, unsigned major);

/*
 * Parses the datagram (from memory that ends with it), dumps it, writes it again. Content marked as
 * encrypted is also tried as if it were plain. Returns 0 when the message was refused, 1 when it was
 * written with the very same bytes, 2 when it reads as the same message but with other bytes
 * (reserved fields). Anything else aborts.
 */
int sample_round_trip(const uint8_t *p, size_t len, struct ike_bad *bad, char *dump, size_t max);

#endif
