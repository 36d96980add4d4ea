/* Why a packet was dropped: named reasons, one counter each (drop.def). */
#ifndef BASE_DROP_H
#define BASE_DROP_H

#include <stdint.h>

enum drop {
	DROP_NONE = 0, /* not dropped */
#define X(name, metric, dir, sev, why) DROP_##name,
#include "base/drop.def"
#undef X
	DROP_REASONS
};

enum drop_dir { DROP_DIR_OUT = 1, DROP_DIR_IN = 2, DROP_DIR_ANY = 3 };
enum drop_sev { DROP_SEV_INFO, DROP_SEV_WARN, DROP_SEV_ERROR };

struct drop_info {
	const char *name;   /* as in the enum, for the man page */
	const char *metric; /* as counted and printed */
	enum drop_dir dir;
	enum drop_sev severity;
	const char *why;
};

/* The row of a reason; DROP_NONE has "none". */
const struct drop_info *drop_info(enum drop d);

/* One set of counters, owned by one worker, read by the control thread. */
struct drop_counters {
	uint64_t n[DROP_REASONS];
};

#endif
