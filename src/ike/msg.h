/*
 * One IKE message, v1 or v2, taken apart and put together. A datagram enters ike_msg_parse() and a
 * struct ike_msg leaves, whose spans look into the datagram; after decryption the inner payloads
 * are added by ike_msg_parse_inner(). The other way the ike_msg_add_*() calls fill a message and
 * ike_msg_write() makes bytes of it. Both ways are driven by one table of payload rules per version
 * (msg_rule.h). Nothing is allocated: a message has fixed room, and what does not fit is refused.
 */
#ifndef IKE_MSG_H
#define IKE_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/span.h"
#include "base/wr.h"
#include "ike/proto.h"

/* Room in one message. Beyond it a message is refused, whoever sent it. */
#define IKE_MSG_PAYLOADS        64
#define IKE_MSG_PROPOSALS       32
#define IKE_MSG_TRANSFORMS      512
#define IKE_MSG_ATTRS           1536
#define IKE_MSG_SELECTORS       256
#define IKE_PROPOSAL_TRANSFORMS 128 /* in one proposal */

struct ike_hdr {
	uint8_t spi_i[8]; /* IKEv1: cookies */
	uint8_t spi_r[8];
	uint8_t next; /* first payload; the writer finds it, unless IKEv1 and encrypted */
	uint8_t version; /* major in the upper four bits */
	uint8_t exchange;
	uint8_t flags;
	uint32_t id;
	uint32_t length; /* set by the parser and the writer */
};

static inline unsigned ike_hdr_major(const struct ike_hdr *h)
{
	return h->version >> 4;
}

/* An attribute of a transform or of a configuration payload: RFC 2408 3.3, RFC 7296 3.3.5
 * and 3.15.1. A short one (TV) has its value in `value`, a long one (TLV) in `data`. */
struct ike_attr {
	uint16_t type;
	uint16_t value;
	bool is_short;
	struct span data;
};

/* RFC 7296 3.3.2, RFC 2408 3.6 */
struct ike_transform {
	uint8_t type;   /* IKEv2 only: enum ike_transform_type */
	uint8_t number; /* IKEv1 only */
	uint16_t id;
	uint16_t first_attr, n_attrs; /* in the message's attr[] */
};

/* RFC 7296 3.3.1, RFC 2408 3.5. In IKEv1 neighbours of one number belong together (AND). */
struct ike_prop {
	uint8_t number;
	uint8_t proto;
	struct span spi;
	uint16_t first_transform, n_transforms; /* in the message's transform[] */
};

/* RFC 7296 3.13.1 */
struct ike_ts {
	uint8_t type;
	uint8_t proto;             /* next-layer protocol, 0 for any */
	uint16_t port_lo, port_hi; /* host byte order, as in the message (ICMP: type and code) */
	struct ip_range range;     /* of types 7 and 8 */
	struct span data;          /* of other types: everything after the selector length */
};

struct ike_rule;

struct ike_payload {
	uint8_t type;
	bool critical;               /* IKEv2; kept as received */
	bool inner;                  /* was, or is to be, encrypted */
	const struct ike_rule *rule; /* NULL: not known here, see raw */
	struct span body;            /* as received, after the generic header */
	union {
		struct {
			uint32_t doi, situation; /* IKEv1 */
			uint16_t first, n;       /* in the message's prop[] */
		} sa;
		struct {
			uint16_t group; /* IKEv2 */
			struct span data;
		} ke;
		struct {
			uint8_t type, proto; /* proto and port: IKEv1 */
			uint16_t port;
			struct span data;
		} id; /* also NAT-OA */
		struct {
			uint8_t encoding;
			struct span data;
		} cert; /* and certificate request */
		struct {
			uint8_t method;
			struct span data;
		} auth;
		struct {
			uint32_t doi; /* IKEv1 */
			uint16_t type;
			uint8_t proto;
			struct span spi, data;
		} notify;
		struct {
			uint32_t doi; /* IKEv1 */
			uint16_t n;
			uint8_t proto, spi_size;
			struct span spis; /* n * spi_size bytes */
		} del;
		struct {
			uint16_t first, n; /* in the message's ts[] */
		} ts;
		struct {
			uint16_t number, total; /* SKF only, counted from 1 */
			uint8_t next;           /* type of the first payload inside */
			struct span data; /* IV, ciphertext, ICV; to write: see ike_msg_write() */
		} sk;
		struct {
			uint8_t type;
			uint16_t id;       /* IKEv1 */
			uint16_t first, n; /* in the message's attr[] */
		} cp;
		struct {
			uint16_t id;
			uint8_t number, flags; /* flags: 1 on the last fragment */
			struct span data;
		} frag;
		struct {
			struct span data;
		} raw; /* nonce, hash, signature, vendor ID, EAP, NAT-D, and the unknown */
	};
};

struct ike_msg {
	struct ike_hdr hdr;
	uint16_t n_payloads, n_props, n_transforms, n_attrs, n_ts;
	uint64_t seen;      /* IKE_BIT() of every payload known here */
	struct span cipher; /* IKEv1 with the encryption flag: everything after the header */
	struct span tail;   /* IKEv1: padding after the last payload */
	struct ike_payload payload[IKE_MSG_PAYLOADS];
	struct ike_prop prop[IKE_MSG_PROPOSALS];
	struct ike_transform transform[IKE_MSG_TRANSFORMS];
	struct ike_attr attr[IKE_MSG_ATTRS];
	struct ike_ts ts[IKE_MSG_SELECTORS];
};

/* A bit per payload type, different for all types of one version that have a rule. */
#define IKE_BIT(type) (1ull << ((type) < 128 ? (type) & 63 : 54 + ((type) & 7)))

/* Faults of one notify that have names of their own; only IKEv1 tells them apart. */
enum ike_flaw {
	IKE_FLAW_OTHER,
	IKE_FLAW_RESERVED, /* a field that must be zero is not */
	IKE_FLAW_MISSING   /* a payload that the message must have is not there */
};

/* Why a message was refused. */
struct ike_bad {
	uint16_t notify; /* enum ike1_notify or ike2_notify, by the version of the message */
	uint8_t payload; /* type of the payload at fault, 0 for the header */
	uint8_t flaw;    /* enum ike_flaw */
	char why[384];   /* in words */
};

/* Parses only the header and checks version, flags and length against the datagram (without a
 * non-ESP marker). Returns 0 or -EBADMSG with *bad filled. RFC 7296 3.1, RFC 2408 3.1 and 5.2. */
int ike_hdr_parse(struct ike_hdr *h, struct span datagram, struct ike_bad *bad) warn_unused;

/* Parses a whole message; *m is overwritten, its spans borrow from the datagram. Encrypted content
 * is left as it is: in an SK or SKF payload, or in m->cipher. Returns 0 or -EBADMSG with *bad. */
int ike_msg_parse(struct ike_msg *m, struct span datagram, struct ike_bad *bad) warn_unused;

/* Parses decrypted payloads and adds them to m as inner ones. `first` is the type of the first one;
 * `plain` (borrowed) has no IKEv2 padding any more; IKEv1 padding becomes m->tail. Returns 0 or
 * -EBADMSG with *bad; m is then of no more use. */
int ike_msg_parse_inner(struct ike_msg *m, uint8_t first, struct span plain,
			struct ike_bad *bad) warn_unused;

/* Empties a message; version is 0x10 or 0x20, SPIs are 8 bytes each, flags and id as in the header.
 */
void ike_msg_init(struct ike_msg *m, uint8_t version, const uint8_t *spi_i, const uint8_t *spi_r,
		  uint8_t exchange, uint8_t flags, uint32_t id);
/* Each of these adds an element at the end and returns it, zeroed, for the caller to fill, or NULL
 * when the room is used up. Elements of one list have to be added one after the other: all
 * transforms of a proposal before the next proposal. Spans given to them are borrowed until the
 * message is written. */
struct ike_payload *ike_msg_add(struct ike_msg *m, uint8_t type, bool inner);
struct ike_prop *ike_msg_add_prop(struct ike_msg *m, struct ike_payload *sa, uint8_t number,
				  uint8_t proto, struct span spi);
struct ike_transform *ike_msg_add_transform(struct ike_msg *m, struct ike_prop *p, uint8_t type,
					    uint16_t id);
struct ike_attr *ike_msg_add_transform_attr(struct ike_msg *m, struct ike_transform *t,
					    uint16_t type);
struct ike_attr *ike_msg_add_cp_attr(struct ike_msg *m, struct ike_payload *cp, uint16_t type);
struct ike_ts *ike_msg_add_ts(struct ike_msg *m, struct ike_payload *p);

/*
 * Writes header and outer payloads (all that are not inner) to w; hdr.length and, where it applies,
 * hdr.next are set. Room for ciphertext: an SK, SKF or m->cipher span with p == NULL writes len
 * zero bytes, to be encrypted in place afterwards (they end the message). Returns 0, -EMSGSIZE when
 * w is too small or a length field cannot hold its value, or -EINVAL when an SK, SKF or fragment
 * payload is not the last or is an inner one.
 */
int ike_msg_write(struct ike_msg *m, struct wr *w) warn_unused;
/* Writes the inner payloads alone, without padding; *first is the type of the first one, 0 for
 * none. For IKEv1 m->tail, if any, follows. Errors as above. */
int ike_msg_write_inner(struct ike_msg *m, struct wr *w, uint8_t *first) warn_unused;

/* The first payload of the type after `after` (NULL: from the start), or NULL. */
const struct ike_payload *ike_msg_find(const struct ike_msg *m, uint8_t type,
				       const struct ike_payload *after);
/* The first notify of that type, or NULL. */
const struct ike_payload *ike_msg_notify(const struct ike_msg *m, uint16_t notify);
/* The short attribute of a transform, or fallback. */
uint16_t ike_transform_attr(const struct ike_msg *m, const struct ike_transform *t, uint16_t type,
			    uint16_t fallback);

/* The message as text, one payload or transform a line, indented by two; always ends with a
 * newline. Nonces, identities and addresses appear; what may be a password (EAP, XAUTH) does not.
 * At most max bytes with the NUL; longer text is cut and ends in "...". Returns out. */
char *ike_msg_dump(const struct ike_msg *m, char *out, size_t max);

#endif
