/*
 * Traffic selectors (RFC 7296 2.9, 3.13): between the configuration's form, the SPD's selectors and
 * the payloads; narrowing.
 */
#ifndef IKE_TS_H
#define IKE_TS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "ike/msg.h"
#include "ipsec/selector.h"

#define TS_MAX 64 /* of one side of one child */

/* One side of one selector. Ports in host byte order; 0..65535 any; lo > hi: opaque (65535..0). For
 * ICMP and MH: type << 8 | code. */
struct ts {
	struct ip_range range; /* lo.ver 0 with `dynamic`: the address of the side, once known; such
				  a one neither covers nor meets anything */
	uint8_t proto;         /* 0: any */
	bool dynamic;
	uint16_t port_lo, port_hi;
};
struct ts_list {
	unsigned n;
	struct ts ts[TS_MAX];
};

/* "10.1.0.0/16", "10.1.0.1-10.1.0.9", "dynamic", "0.0.0.0/0", each with "[proto/port]" behind as
 * strongSwan has it: "[tcp/80]", "[udp/1000-2000]", "[tcp]", "[/53]", "[tcp/opaque]". Protocols by
 * name or number. ICMP and MH take a type, "[icmp/8]", types, "[icmp/8-10]", or type and code,
 * "[icmp/3/4]"; a number above 255 is type << 8 | code. Bits of a prefix beyond its length are
 * dropped. 0 or -EINVAL with a sentence. */
int ts_parse(const char *text, struct ts *out, char *why, size_t whylen) warn_unused;
#define TS_STRLEN 128
const char *ts_format(const struct ts *t, char out[TS_STRLEN]);
/* All of a list, separated by spaces, cut at max. */
char *ts_list_format(const struct ts_list *l, char *out, size_t max);

/* Puts the address in place of `dynamic`; with addr->ver 0 it stays as it is. in may be out. */
void ts_resolve(const struct ts_list *in, const struct ip_addr *addr, struct ts_list *out);
/* Copies as many as there are: from may have been cut to its length. */
void ts_list_copy(struct ts_list *to, const struct ts_list *from);
bool ts_eq(const struct ts *a, const struct ts *b);
bool ts_list_eq(const struct ts_list *a, const struct ts_list *b);
bool ts_covers(const struct ts *outer, const struct ts *inner);

/* To and from payloads (3.13). From: types not known here, and what is more than TS_MAX, are
 * skipped; returns how many there were in all. To: adds all but unresolved `dynamic` ones; 0 or
 * -ENOSPC. */
unsigned ts_from_payload(const struct ike_msg *m, const struct ike_payload *p, struct ts_list *out);
int ts_to_payload(const struct ts_list *l, struct ike_msg *m, struct ike_payload *p) warn_unused;

/*
 * The responder's choice (2.9): what both `offered` and `ours` allow, in the order of offered, no
 * duplicates and none that another covers; the first of offered is what the triggering packet looked
 * like when it is a single address, and stays covered. out is neither of the others. Returns how
 * many; *cut: something offered was left out (not covered by one entry of out).
 */
unsigned ts_narrow(const struct ts_list *ours, const struct ts_list *offered, struct ts_list *out,
		   bool *cut);
/* Is every entry of inner covered by one of outer? What an initiator checks of the answer. */
bool ts_within(const struct ts_list *inner, const struct ts_list *outer);

/* The SPD's selectors for local x remote (of one version and matching protocol each). Types of ICMP
 * and MH belong to a packet, not to its ends: they must be in both sides. That a type goes one way
 * only (OPAQUE on the other side, RFC 4301 4.4.1.3 C and D) no selector can say: such a pair is left
 * out. *out is the caller's array. 0, -ENOMEM, or -ENOENT when no pair fits. */
int ts_selectors(const struct ts_list *local, const struct ts_list *remote, struct selector **out,
		 unsigned *n) warn_unused;
/* The selectors of the packet that started it, which go in front of all others (2.9). local is its
 * source. Where it shows no ports: any. */
void ts_from_flow(const struct flow_key *k, struct ts *local, struct ts *remote);
/* The other way round: a packet that the first of each list holds. */
void ts_to_flow(const struct ts_list *local, const struct ts_list *remote, struct flow_key *k);
/*
 * Populates from the packet (RFC 4301 4.4.1.2): the first of ours that holds the packet's side of the flow, with those fields
 * that are asked for replaced by the packet's. A port brings its protocol along. False when none holds it; out may be ours.
 */
bool ts_populate(const struct ts_list *ours, const struct ts *packet, bool addr, bool proto, bool port,
		 struct ts_list *out);

#endif
