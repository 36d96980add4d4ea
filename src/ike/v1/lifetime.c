/*
 * How long a phase 1 lasts, in seconds and in kilobytes (RFC 2407 4.5, 4.6.3.1): what we offer,
 * what the peer offered or told us by RESPONDER-LIFETIME, and the count of what it has protected.
 * Near a limit it is replaced by a new one, at the limit it ends; both by the SA's own timer.
 */
#include "base/clock.h"
#include "ike/life.h"
#include "ike/v1/v1.h"

#define LIFE_DEFAULT_S 28800 /* RFC 2407 4.5: of who says nothing */
/* However few kilobytes a peer wants, a phase 1 is not replaced sooner: each one costs a key
 * exchange. */
#define LEAST_NS (10 * NS_PER_S)

static bool limited(const struct ike_conn_conf *c)
{
	return c->rekey_ns || c->reauth_ns;
}

/* A whole number of kilobytes, and no more than is allowed. */
uint64_t v1_phase1_kbytes(const struct ike_conn_conf *c)
{
	return c->life_bytes / 1024;
}

/* Until it is replaced, and then some. */
uint64_t v1_phase1_lifetime(const struct ike_conn_conf *c)
{
	uint64_t ns = c->rekey_ns;

	if (c->reauth_ns && (!ns || c->reauth_ns < ns))
		ns = c->reauth_ns;
	return ns ? (ns + c->over_ns) / NS_PER_S : 86400;
}

/* The peer's limit, when it is the shorter one (RFC 2407 4.5: each side may end it earlier). */
static void take_life(struct ike_sa *sa, uint64_t seconds)
{
	uint64_t now = clock_now_ns(), hard = seconds * NS_PER_S;

	if (!seconds || seconds > v1_phase1_lifetime(sa->conn->conf))
		return;
	if (!sa->over_ns || sa->over_ns > now + hard)
		sa->over_ns = now + hard;
	if (!sa->rekey_ns || sa->rekey_ns > now + hard * 9 / 10)
		sa->rekey_ns = now + ike_jitter(hard * 9 / 10, hard / 10);
	ike_sa_arm_life(sa);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What the count of bytes demands, once each. Both sides count the same: who began is to begin
 * again, at eight tenths, and the other only when that does not happen, at nine. */
static void look_at_bytes(struct ike_sa *sa)
{
	struct v1_sa *v = sa->v1;
	uint64_t now = clock_now_ns(), limit = v->kbytes * 1024, at;
	uint64_t soft = limit / 10 * (sa->initiator ? 8 : 9);

	if (!limit || !sa->counted || sa->replaced || sa->over || v->keyless)
		return;
	if (v->bytes >= soft && !v->bytes_soft) {
		v->bytes_soft = true;
		at = later(now, sa->established_ns + LEAST_NS);
		if (!sa->rekey_ns || sa->rekey_ns > at)
			sa->rekey_ns = at;
		ike_sa_log(sa, LOG_LVL_DEBUG, "it has protected nearly as much as it may");
	}
	if (v->bytes >= limit && !v->bytes_hard) {
		v->bytes_hard = true;
		at = later(now, sa->established_ns + 2 * LEAST_NS);
		if (!sa->over_ns || sa->over_ns > at)
			sa->over_ns = at;
	}
	ike_sa_arm_life(sa);
}

void v1_protected(struct ike_sa *sa, size_t bytes)
{
	sa->v1->bytes += bytes;
	look_at_bytes(sa);
}

static void take_kbytes(struct ike_sa *sa, uint64_t kbytes)
{
	if (kbytes && (!sa->v1->kbytes || kbytes < sa->v1->kbytes))
		sa->v1->kbytes = kbytes;
	look_at_bytes(sa);
}

/* As responder, when we accepted a longer life than we will give it. */
static void tell_lifetime(struct ike_sa *sa, const struct v1_life *peers)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	struct v1_life own = { .seconds = v1_phase1_lifetime(c), .kbytes = v1_phase1_kbytes(c) };
	uint8_t data[24];

	if (!limited(c) || own.seconds >= peers->seconds)
		own.seconds = 0;
	if (peers->kbytes && peers->kbytes <= own.kbytes)
		own.kbytes = 0;
	if (!own.seconds && !own.kbytes)
		return;
	sa->ike->arena_used = 0;
	v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), IKE1_RESPONDER_LIFETIME,
		  span_of(data, v1_life_write(&own, true, data)));
}

void v1_take_lifetimes(struct ike_sa *sa)
{
	const struct v1_phase1 *ph = sa->v1->ph;
	struct v1_life peers = sa->initiator ? ph->said : ph->offer.life;

	if (!sa->initiator && !peers.seconds)
		peers.seconds = LIFE_DEFAULT_S;
	take_life(sa, peers.seconds);
	take_kbytes(sa, v1_phase1_kbytes(sa->conn->conf));
	take_kbytes(sa, peers.kbytes);
	if (!sa->initiator)
		tell_lifetime(sa, &peers);
}

void v1_phase1_limit(struct ike_sa *sa, const struct ike_payload *n)
{
	struct v1_phase1 *ph = sa->v1->ph;
	struct v1_life said;

	if (!v1_life_read(n->notify.data, true, &said))
		return;
	if (ph) {
		ph->said = said;
		return;
	}
	take_life(sa, said.seconds);
	take_kbytes(sa, said.kbytes);
}
