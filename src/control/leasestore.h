/*
 * Leases of pools across restarts: one file in the state directory, a line a lease, as
 * ike_leases_write() makes them. Read once at the start; written anew and renamed over the old one
 * when leases have changed, but not more often than every few seconds, and at the end.
 */
#ifndef CONTROL_LEASESTORE_H
#define CONTROL_LEASESTORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "ike/pool.h"

struct leasestore;

#define LEASESTORE_EVERY_NS (5 * NS_PER_S)

/*
 * The store in a directory that exists; what is in its file is added to the leases, as given back.
 * leases: borrowed, must outlive the store. wall_ns: now, by the calendar. *note: "", or a sentence
 * about lines that were passed over. 0 or -errno with a sentence: the file cannot be read.
 */
int leasestore_open(const char *dir, struct ike_leases *leases, uint64_t wall_ns,
		    struct leasestore **out, char *note, size_t notelen) warn_unused;
/* Writes the file if leases have changed and it was not written lately; now_ns: clock_now_ns().
 * NULL is allowed. 0 or -errno. */
int leasestore_tick(struct leasestore *s, uint64_t now_ns) warn_unused;
/* Writes what has changed and closes. NULL is allowed. 0 or -errno of the writing. */
int leasestore_close(struct leasestore **s) warn_unused;

#endif
