/* Two IKEv1 engines as client and gateway: a has a user name or gets its address, b is the gateway.
 * Between duo_init() and duo_start(), when all children are configured. */
#ifndef UNIT_IKE_DUO_ROAD_H
#define UNIT_IKE_DUO_ROAD_H

#include "ike_duo.h"

/* XAUTH: a is alice, and b knows her password. */
void duo_road_xauth(struct duo *d);
/* Mode Config: a has its address in all children out of a pool of b; push: b begins. */
void duo_road_config(struct duo *d, bool push);

#endif
