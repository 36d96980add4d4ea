/*
 * What strangers may cost (RFC 7296 2.6, RFC 8019): counts half-open IKE SAs, in all and by
 * address (IPv6: by /64, which is what one host may have), and makes and checks stateless cookies.
 * Memory is fixed whatever arrives: addresses are counted in a table by keyed hash, where one
 * address may be counted for another, but so seldom that it does not matter and never so that a
 * stranger could aim at it. And it makes the cookies of IKEv1, which are not stateless.
 */
#ifndef IKE_GATE_H
#define IKE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/span.h"

#define GATE_COOKIE_LEN 40

struct gate;
struct gate_limits {
	uint32_t cookie_threshold, block_threshold, half_open_max; /* see struct ike_conf; 0: off */
};
/* NULL when out of memory. */
struct gate *gate_new(const struct gate_limits *l);
void gate_set_limits(struct gate *g, const struct gate_limits *l);
void gate_free(struct gate **g);

enum gate_verdict { GATE_PASS, GATE_COOKIE, GATE_REFUSE };
/* What to do with an IKE_SA_INIT request from this address; had_cookie: it brought a good one. A
 * peer that proved its address is refused only for block_threshold and half_open_max. A cookie is
 * demanded from cookie_threshold on, and of a single address from half its block_threshold on, so
 * that nobody gets an address blocked by forging it. */
enum gate_verdict gate_ask(struct gate *g, const struct ip_addr *from, bool had_cookie);
/* A half-open SA was made, and is established or gone: once each, with the same address. */
void gate_open(struct gate *g, const struct ip_addr *from);
void gate_close(struct gate *g, const struct ip_addr *from);
uint32_t gate_half_open(const struct gate *g);

/* The cookie for an initiator: depends on its address, its SPI, its nonce and a secret that changes
 * every two minutes (the one before is still accepted). */
void gate_cookie(struct gate *g, uint64_t now_ns, const struct ip_addr *from, const uint8_t *spi_i,
		 struct span ni, uint8_t out[GATE_COOKIE_LEN]);
bool gate_cookie_good(struct gate *g, uint64_t now_ns, const struct ip_addr *from,
		      const uint8_t *spi_i, struct span ni, struct span cookie);

/*
 * A cookie of IKEv1 (RFC 2408 2.5.3), which is also what finds the SA: a keyed hash of both endpoints,
 * the time it was made at and random bytes. Who does not have this gate's key can neither make one
 * nor move one to other parties. The same salt gives the same cookie: what is kept to know it again.
 */
#define GATE_COOKIE1_LEN 8
struct gate_salt {
	uint64_t wall_ns;
	uint8_t random[8];
};
void gate_cookie1(const struct gate *g, const struct endpoint *local, const struct endpoint *remote,
		  const struct gate_salt *salt, uint8_t out[GATE_COOKIE1_LEN]);

/* NAT_DETECTION hashes: SHA-1(SPIs | address | port) (RFC 7296 2.23). spi_r: zeros in a first
 * request. */
void natd_hash(const uint8_t *spi_i, const uint8_t *spi_r, const struct endpoint *e,
	       uint8_t out[20]);

#endif
