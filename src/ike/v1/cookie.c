/*
 * Our cookie in a phase 1 (RFC 2408 2.5.3): made of both endpoints, the time and random bytes with
 * a key that nobody else has (gate.c), when the endpoints are known. As responder we look, before
 * the first message that brings it back may cost anything, whether it was made for who sends that:
 * nobody gets a cookie by one address and has us compute for many others.
 */
#include "base/clock.h"
#include "base/random.h"
#include "ike/v1/v1.h"

void v1_cookie_make(struct ike_sa *sa)
{
	struct v1_phase1 *ph = sa->v1->ph;
	uint8_t cookie[GATE_COOKIE1_LEN];

	ph->made_local = sa->local;
	ph->made_remote = sa->remote;
	ph->salt.wall_ns = clock_wall_ns();
	/* what ike_sa_new() drew is as good as any */
	memcpy(ph->salt.random, ike_sa_spi(sa), sizeof(ph->salt.random));
	for (;;) {
		gate_cookie1(sa->ike->gate, &ph->made_local, &ph->made_remote, &ph->salt, cookie);
		if (load_be64(cookie) && !ike_sa_by_spi(sa->ike, cookie))
			break;
		random_bytes(ph->salt.random, sizeof(ph->salt.random));
	}
	ike_sa_set_spi(sa, cookie);
}

bool v1_cookie_ours(const struct ike_sa *sa, const struct endpoint *local,
		    const struct endpoint *remote)
{
	const struct v1_sa *v = sa->v1;
	struct endpoint l = *local, r = *remote;
	uint8_t cookie[GATE_COOKIE1_LEN];

	/* A NAT may have bound the peer anew since, to another port; and where the second message
	 * says that there is one, the third goes to the port of NAT traversal. In Main Mode that is
	 * the fifth (RFC 3947 4). */
	if (v->natt != V1_NATT_NONE) {
		r.port = v->ph->made_remote.port;
		if (v->p1.exchange != IKE1_X_MAIN)
			l.port = v->ph->made_local.port;
	}
	gate_cookie1(sa->ike->gate, &l, &r, &v->ph->salt, cookie);
	return memcmp(cookie, ike_sa_spi(sa), sizeof(cookie)) == 0;
}
