/*
 * Sequence numbers of manual SAs across restarts. A manual key outlives the process, and so does
 * the peer's replay window: a sender that begins at 1 again would be taken for a replay until it
 * has caught up. So the numbers go on where they stopped: what was given out is written to one file
 * in the state directory, some way ahead of the truth, so that a crash skips numbers and never
 * repeats them.
 *
 * The file has a line an SA: fingerprint of key and SPI in hex, first number not to have been used.
 * It holds no secret.
 */
#ifndef CONTROL_SEQSTORE_H
#define CONTROL_SEQSTORE_H

#include <stdint.h>

#include "base/bytes.h"
#include "ipsec/sa.h"

struct seqstore;

/* How far ahead of the truth the file is: more than any machine sends between two ticks of a
 * second. */
#define SEQSTORE_AHEAD (1u << 22)

/* Opens the store in dir, which is made (mode 0700) when it is missing; reads what is there. A file
 * that cannot be read is an error: going on without it would repeat numbers. 0 or -errno with a
 * sentence. */
int seqstore_open(const char *dir, struct seqstore **out, char *why, size_t whylen) warn_unused;
/* Lets an outbound SA go on where its key stopped last time (before it is used). Its numbers are
 * watched from now on. 0 or -ENOMEM. */
int seqstore_adopt(struct seqstore *s, struct sa *sa) warn_unused;
/* The SA is not used any more: what it reached is kept. */
void seqstore_release(struct seqstore *s, const struct sa *sa);
/* Writes the file when some SA has used up most of what was reserved for it; call once a second. 0
 * or -errno. */
int seqstore_tick(struct seqstore *s) warn_unused;
/* Writes exact numbers and closes. NULL is allowed. 0 or -errno of the writing. */
int seqstore_close(struct seqstore **s);

#endif
