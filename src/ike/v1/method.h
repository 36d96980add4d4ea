/*
 * Ways of authentication (attribute 3 of phase 1) that have XAUTH in them: which side is the one
 * with a user name, what phase 1 itself proves each side by, and which of them a connection wants.
 * draft-beaulieu-ike-xauth-02 7, draft-ietf-ipsec-isakmp-hybrid-auth-05 3.2.
 */
#ifndef IKE_V1_METHOD_H
#define IKE_V1_METHOD_H

#include <stdbool.h>
#include <stdint.h>

#include "ike/conf.h"

/* The same without XAUTH: V1_BY_PSK, V1_BY_RSA or an ECDSA one. */
uint16_t v1_method_base(uint16_t method);
/* Is a side proved by a signature (else by a hash keyed with SKEYID)? */
bool v1_method_signs(uint16_t method, bool of_initiator);
/* Is XAUTH to follow, and is phase 1's initiator the one who has a user name? */
bool v1_method_xauth(uint16_t method, bool *of_initiator);
/* The method a connection has for a base one with a role in phase 1; 0: none. */
uint16_t v1_method_of(const struct ike_conn_conf *c, uint16_t base, bool initiator);

#endif
