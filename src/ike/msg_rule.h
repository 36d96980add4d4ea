/*
 * Payload rules: per version one row a payload, with the fields of its body in order. The same row
 * drives parser, writer and checks; a new payload is a new row. Only for the files of msg_*.c.
 */
#ifndef IKE_MSG_RULE_H
#define IKE_MSG_RULE_H

#include <stdint.h>

#include "base/rd.h"
#include "ike/msg.h"

enum ike_field_kind {
	IKE_F_END,
	IKE_F_U8,
	IKE_F_U16,
	IKE_F_U32,
	IKE_F_ZERO,     /* n reserved bytes: sent as zero; IKEv1 refuses others (RFC 2408 5.3) */
	IKE_F_SPI_SIZE, /* one byte, the length of the field at off */
	IKE_F_SPI,      /* so many bytes */
	IKE_F_REST,     /* the rest of the body */
	IKE_F_PROPS,    /* proposals, to the end */
	IKE_F_TS,       /* count, three reserved, selectors, to the end */
	IKE_F_ATTRS,    /* attributes, to the end; n = 1: with the short form (IKEv1) */
};

struct ike_field {
	uint8_t kind;
	uint8_t n;
	uint16_t off; /* in struct ike_payload */
};

struct ike_rule {
	uint8_t type;
	const char *name;
	uint16_t min, max; /* bytes of the body; max 0: no limit */
	uint8_t most;      /* how often it may come in one message, 0: any number */
	bool last;         /* must be the last payload outside, and never inside */
	const struct ike_field *fields;
	/* More that must hold. Returns NULL or what is wrong; *notify may be changed. */
	const char *(*check)(const struct ike_payload *p, uint16_t *notify);
};

/* The rule of a payload, or NULL. major is 1 or 2. */
const struct ike_rule *ike_rule(unsigned major, uint8_t type);
/* Every rule of a version in table order; NULL past the end. */
const struct ike_rule *ike_rule_nth(unsigned major, unsigned n);

/* True when everything behind the header is ciphertext: IKEv1 with the encryption flag. A fragment
 * is always in the clear, though some peers leave the flag of the whole message on it. */
static inline bool ike_hdr_encrypted(const struct ike_hdr *h)
{
	return ike_hdr_major(h) == 1 && (h->flags & IKE1_FLAG_E) && h->next != IKE1_FRAGMENT;
}

/* Records why a message is refused; always returns -EBADMSG. */
int ike_refuse(struct ike_bad *bad, uint16_t notify, uint8_t payload, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Behind ike_refuse(): what kind of fault it was. Returns -EBADMSG. */
int ike_refuse_as(struct ike_bad *bad, enum ike_flaw flaw);

/* Lists inside payloads (msg_list.c): the reader holds exactly the list. */
int ike_parse_props(struct ike_msg *m, struct ike_payload *p, struct rd *r, struct ike_bad *bad);
int ike_parse_ts(struct ike_msg *m, struct ike_payload *p, struct rd *r, struct ike_bad *bad);
/* Attributes appended to m->attr, *n of them; who names the owner in error texts. */
int ike_parse_attrs(struct ike_msg *m, struct rd *r, bool short_form, uint16_t *n, uint8_t payload,
		    const char *who, struct ike_bad *bad);

#endif
