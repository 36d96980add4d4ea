/*
 * What a router with a TUN device leaves to its administrator: cleartext that arrives on another
 * interface and claims to come from the far side of a policy that protects never comes to us, and
 * the system forwards it (RFC 4301 5.2 has it dropped). Here is found whether that is to be said.
 */
#ifndef CONTROL_ANTISPOOF_H
#define CONTROL_ANTISPOOF_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

#define ANTISPOOF_SYSCTL "/proc/sys/net"

/*
 * Is there a policy or a child that protects a network behind this machine, and does the system
 * forward to it without a strict check of the way back? Then a sentence with the remedy goes to
 * out[0..len) and the answer is true. sysctl: where the system's switches are, ANTISPOOF_SYSCTL but in
 * tests; what cannot be read there counts as fine. Rules of nftables are not looked at.
 */
bool antispoof_hint(const struct config *c, const char *sysctl, char *out, size_t len);

#endif
