/*
 * The SPD that is in force, put together: the policies of the file in its order, then those that
 * keying has negotiated, then its traps. A run of policies at the end of the file that are about
 * everything ("the rest is bypassed") stays at the end.
 */
#ifndef CONTROL_POLICIES_H
#define CONTROL_POLICIES_H

#include "control/state.h"

/* From a configuration and the SAs made for it (in the order of the file), and what keying has now.
 * 0 or -ENOMEM. */
int policies_build(const struct daemon *d, const struct config *c, const struct managed_sa *sas,
		   unsigned n_sas, struct spd **out) warn_unused;
/* Publishes it; policies count on under their name. Frees the one before. */
void policies_publish(struct daemon *d, struct spd *spd);

#endif
