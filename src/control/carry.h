/* When a reload changes parameters of an SA but neither its key nor its SPI: the new one goes on
 * where the old one was. */
#ifndef CONTROL_CARRY_H
#define CONTROL_CARRY_H

#include "ipsec/sa.h"

/* How far a carried outbound SA jumps ahead: more than the old one can send until the new policies
 * are in force. */
#define CARRY_SEQ_GAP (1u << 20)

/*
 * Gives new, which no worker sees yet, old's sequence numbers (with a gap), replay window, age and
 * counters. An inbound old must be out of the workers' sight. Returns the lifetime bits (SA_SOFT,
 * SA_HARD) that the new limits raise.
 */
unsigned carry_over(const struct sa *old, struct sa *new);

#endif
