/* What auth.c and auth_sig.c share. */
#ifndef IKE_AUTH_OCTETS_H
#define IKE_AUTH_OCTETS_H

#include "ike/auth.h"

#define AUTH_PARTS 3

/* The signed octets in parts: message | nonce | prf(SK_p, ID body); the last of them lies in
 * maced_id. 0 or -ENOMEM. */
int auth_octets_parts(const struct auth_octets *o, uint8_t maced_id[PRF_LEN_MAX],
		      struct span parts[AUTH_PARTS]) warn_unused;

#endif
