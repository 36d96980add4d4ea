/*
 * What the parts of the test program of two IKEv1 engines share: the engines, made anew for
 * each test, orders to them, and their log.
 *
 *	test_ike_v1_duo.c	phase 1: modes, suites, PSK, certificates; the runner
 *	test_ike_v1_rare.c	Base and Authentication Only
 *	test_ike_v1_quick.c	Quick Mode, the commit bit
 *	test_ike_v1_rekey.c	rekeying, deletes, DPD
 *	test_ike_v1_wire.c	loss, NAT, forgeries, captures, seeds
 *	test_ike_v1_audit.c	RFC 2408 section 5 and the audit events
 *	test_ike_v1_cookie.c	RFC 2408 2.5.3
 *	test_ike_v1_lifetime.c	lifetimes and RESPONDER-LIFETIME
 *	test_ike_v1_hook.c	extensions by vendors
 */
#ifndef TEST_IKE_V1_DUO_H
#define TEST_IKE_V1_DUO_H

#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "ike/engine.h"
#include "ike_duo.h"

/* The engines of the test that runs, and room for the reason why an order was not taken. */
extern struct duo d;
extern char why[256];

/* A case whose tests begin with duo_init(&d) for IKEv1 and end with duo_fini(). */
TCase *v1duo_case(const char *name);

/* Aggressive Mode at both, in place of Main Mode. */
void v1duo_aggressive(void);
/* The proposals of the first child at both, in words ("aes128gcm16-ecp256"). */
void v1duo_esp(const char *text);
/* Starts both, brings "b" up from a, and looks that all is well: one IKE SA, all children,
 * agreed. */
void v1duo_up(void);
/* Rekeys a connection or a child; it must be done. */
void v1duo_rekey(struct duo_node *n, const char *name, bool reauth);
struct ike_stats v1duo_stats(struct duo_node *n);
/* The first IKE SA of a node. */
struct ike_sa *v1duo_sa(struct duo_node *n);

/* From here until v1duo_listen_end() the lines of the log that contain the words go to
 * v1duo_heard (the first 4095 bytes of them), and nothing to standard error. `words` is kept by
 * reference. */
void v1duo_listen(const char *words);
void v1duo_listen_end(void);
extern char v1duo_heard[4096];

/* the other files */
TCase *v1duo_rare_case(void);
TCase *v1duo_quick_case(void);
TCase *v1duo_commit_case(void);
TCase *v1duo_rekey_case(void);
TCase *v1duo_wire_case(void);
TCase *v1duo_random_case(void);
TCase *v1duo_section5_case(void);
TCase *v1duo_cookie_case(void);
TCase *v1duo_lifetime_case(void);
TCase *v1duo_hook_case(void);

#endif
