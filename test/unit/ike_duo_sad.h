/* The SAD and the policies of a node of ike_duo.h: a list, which checks what is put in. */
#ifndef UNIT_IKE_DUO_SAD_H
#define UNIT_IKE_DUO_SAD_H

#include "ike_duo.h"

/* Sets those calls of env by which an engine fills them: SPIs, children, traps. env->ctx is a struct
 * duo_node. */
void duo_sad_env(struct ike_env *env);

#endif
