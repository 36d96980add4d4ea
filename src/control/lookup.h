/*
 * Names of peers to addresses, on a thread of its own, because the C library's resolver waits. A
 * name enters from the control thread; the answer makes a file descriptor readable and is given by
 * lookup_collect(). One question at a time is asked, LOOKUP_WAITING more may wait.
 */
#ifndef CONTROL_LOOKUP_H
#define CONTROL_LOOKUP_H

#include "base/bytes.h"
#include "ike/ike.h"

#define LOOKUP_WAITING 256
#define LOOKUP_ADDRS   16 /* of one name; more are left out */

struct lookup;

/* seen: is told of every address found, before whoever asked; NULL for nobody. 0 or -errno. */
int lookup_new(void (*seen)(void *arg, const struct ip_addr *addr, unsigned n), void *arg,
	       struct lookup **out) warn_unused;
/* Starts the thread, which inherits the caller's signal mask. 0 or -errno. */
int lookup_start(struct lookup *s) warn_unused;
/* Asks. l->done() is called once, later, by lookup_collect() or lookup_free(); never from in here.
 * Too many questions, or no memory: the answer is that sentence. */
void lookup_ask(struct lookup *s, const char *name, struct ike_lookup *l);
int lookup_fd(const struct lookup *s);
unsigned lookup_collect(struct lookup *s);
/* Answers what is open with a sentence, and leaves: a question the resolver is busy with ends by
 * itself later. */
void lookup_free(struct lookup **s);

#endif
