/* The plane's own structure, for the files of this folder. */
#ifndef PLANE_INTERNAL_H
#define PLANE_INTERNAL_H

#include <stdatomic.h>

#include "plane/plane.h"
#include "plane/worker.h"

struct plane {
	struct plane_opts opts;
	struct sad *sad;
	struct plane_view *view;  /* RCU: the SPD that workers use */
	uint32_t gen;             /* of the last view made */
	_Atomic bool stop;
	int stop_fd;              /* eventfd, readable once the workers are to end */
	int event_fd;             /* eventfd, readable while events may wait */
	_Atomic bool event_pending;
	unsigned n_workers;
	struct worker **worker;
};

/* Makes event_fd readable, once until the control thread has looked. */
void plane_wake_control(struct plane *p);

#endif
