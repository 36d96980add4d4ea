/* SAs to multicast groups: their interfaces, and what is joined for the inbound ones. */
#ifndef CONTROL_GROUP_H
#define CONTROL_GROUP_H

#include <stdbool.h>

#include "control/state.h"

/* Looks the interface of one SA up, before its path is set. Nothing happens for other SAs. */
void group_interface_of(struct daemon *d, struct sa *sa);
/* Brings interfaces and joined groups in line with the SAs there are; what failed is tried again. After a
 * change of them, and every few seconds, as interfaces come and go. */
void group_look(struct daemon *d);
/* Is an inbound SA's group joined? */
bool group_joined(const struct daemon *d, const struct sa *sa);
void group_fini(struct daemon *d);

#endif
