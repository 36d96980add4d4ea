/*
 * The packet pipeline without a network: packets made in memory go out through parse, flow table,
 * SPD, SAD, ESP and cipher, and the ESP packets made of them come straight back in. Beside it the
 * ciphers alone, in the same run, so that the ratio means something on any machine.
 */
#ifndef PLANE_BENCH_H
#define PLANE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/transform.h"

struct bench_opts {
	struct esp_suite suite;
	uint32_t size;        /* inner IP packet, bytes: 28 and more */
	unsigned sas; /* pairs of SAs; flows are spread over them; at least one for each worker */
	unsigned policies;    /* outbound policies besides those that match */
	unsigned workers;     /* threads, each with flows of its own */
	unsigned millis;      /* of each measurement */
	bool new_flows;       /* every packet starts a flow: the SPD is searched for each */
};

struct bench_rate {
	double mpps;          /* million packets a second, all workers */
	double gbps;          /* of inner packets, 10^9 bits a second */
};

struct bench_rates {
	struct bench_rate seal, open;   /* cipher alone */
	struct bench_rate out, out_in;  /* pipeline: out alone; out and in again */
};

struct bench_result {
	struct bench_rates all, one; /* by all workers at once; by one alone, measured right after
					(the same when there is one) */
	double spd_load_s;              /* compiling the policies */
	size_t spd_bytes;
	double sa_bytes, key_bytes;     /* of one SA, without and of its key tables */
	const char *backend;
};

/* progress is called with a few words before each measurement; may be NULL. 0, or -errno with a
 * sentence. */
int bench_run(const struct bench_opts *opts, struct bench_result *r,
	      void (*progress)(const char *what), char *why, size_t whylen) warn_unused;

#endif
