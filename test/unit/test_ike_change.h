/* What the tests of rekeying, deletion, liveness and chaos share: orders at both sides, and a stream
 * of packets that must not lose one. */
#ifndef TEST_IKE_CHANGE_H
#define TEST_IKE_CHANGE_H

#include <check.h>

#include "base/clock.h"
#include "ike/engine.h"
#include "ike_duo.h"

#define SECONDS(n) ((n) * NS_PER_S)

/* Both start, "b/net" is brought up from a, and they agree. */
void change_start(struct duo *d);
/* The proposals of the first child, at a and at b. */
void change_esp(struct duo *d, const char *a, const char *b);
/* A second child at both, "more". */
void change_more(struct duo *d);
/* Begins the rekeying of a connection or a child; returns the order. */
uint64_t change_rekey(struct duo_node *n, const char *name, bool reauth);
uint64_t change_down(struct duo_node *n, const char *name);
uint64_t change_up(struct duo_node *n, const char *name);
/* The order ends well. */
void change_done(struct duo *d, struct duo_node *n, uint64_t order);
void change_failed(struct duo *d, struct duo_node *n, uint64_t order, const char *words);
/* After a minute: so many IKE SAs and pairs on either side, and both agree. */
void change_rest(struct duo *d, unsigned sas, unsigned children);
/* The first IKE SA in force, or NULL. */
struct ike_sa *change_sa(const struct duo_node *n);
/* The first child in force, or NULL. */
struct ike_child *change_child(const struct duo_node *n);

/*
 * Packets both ways, one each `every_ns` of every child that carries traffic, each so long on its way
 * as delay_ns and something up to jitter_ns say. What comes must find its SA.
 */
#define STREAM_MAX 4096
struct stream {
	struct duo *d;
	uint64_t every_ns, delay_ns, jitter_ns;
	struct {
		struct duo_node *to;
		uint32_t spi;
		uint64_t due_ns;
	} packet[STREAM_MAX];
	unsigned n, sent, came, lost;
	uint64_t chance;
};
void stream_init(struct stream *s, struct duo *d);
/* Time passes, packets go; then none is left on its way. */
void stream_run(struct stream *s, uint64_t ns);

/* test_ike_dpd.c, test_ike_life.c */
TCase *ike_dpd_case(void);
TCase *ike_life_case(void);

#endif
