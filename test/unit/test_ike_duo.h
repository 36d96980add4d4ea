/*
 * What the parts of the test program of the first exchanges share: two engines, made anew for
 * each test.
 *
 *	test_ike_duo.c		exchanges, refusals, starts; the runner
 *	test_ike_duo_path.c	AH, transport mode, NAT
 *	test_ike_duo_wire.c	loss, forgeries, slow jobs
 *	test_ike_duo_auth.c	certificates, choice of connection
 */
#ifndef TEST_IKE_DUO_H
#define TEST_IKE_DUO_H

#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "ike_duo.h"

/* The engines of the test that runs. */
extern struct duo d;

/* A case whose tests begin with duo_init(&d) and end with duo_fini(). */
TCase *first_case(const char *name);

/* Starts both, brings "b" up from a, and looks that all is well. */
void first_up(void);
struct ike_stats first_stats(struct duo_node *n);

/* the other files */
TCase *first_path_case(void);
TCase *first_wire_case(void);
TCase *first_cert_case(void);
TCase *first_choice_case(void);

#endif
