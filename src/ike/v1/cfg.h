/*
 * The attributes of Mode Config (draft-dukes-ike-mode-cfg-02 3.4) and of Cisco's Unity as values:
 * an ATTR payload enters and a struct v1_cfg leaves, and the other way round. Attributes that are
 * not known here are passed over, as the draft wants it.
 */
#ifndef IKE_V1_CFG_H
#define IKE_V1_CFG_H

#include "base/addr.h"
#include "ike/msg.h"

#define V1_CFG_SERVERS  4
#define V1_CFG_NETS     32
#define V1_CFG_TEXT     512
/* bytes that v1_cfg_write() borrows at most */
#define V1_CFG_ROOM     (64u + 2 * V1_CFG_SERVERS * 16u + 2 * V1_CFG_NETS * 18u)

/* Which attributes a payload has, with a value or as a question. */
enum v1_cfg_has {
	V1_CFG_ADDR4 = 1 << 0,
	V1_CFG_MASK = 1 << 1,
	V1_CFG_DNS4 = 1 << 2,
	V1_CFG_NBNS = 1 << 3,
	V1_CFG_ADDR6 = 1 << 4,
	V1_CFG_DNS6 = 1 << 5,
	V1_CFG_INCLUDE = 1 << 6, /* Unity's, or SUBNET */
	V1_CFG_EXCLUDE = 1 << 7,
	V1_CFG_DOMAIN = 1 << 8,
	V1_CFG_BANNER = 1 << 9,
	V1_CFG_SPLIT_DNS = 1 << 10,
	V1_CFG_ALL = (1 << 11) - 1
};

struct v1_cfg {
	uint32_t has; /* bits of enum v1_cfg_has */
	struct ip_addr addr[2]; /* IPv4, IPv6; ver 0: none */
	struct ip_addr mask;    /* IPv4; ver 0: none */
	struct ip_addr dns[2 * V1_CFG_SERVERS], nbns[V1_CFG_SERVERS];
	unsigned n_dns, n_nbns;
	struct ip_prefix include[V1_CFG_NETS], exclude[V1_CFG_NETS];
	unsigned n_include, n_exclude;
	/* printable; "": none */
	char domain[V1_CFG_TEXT], banner[V1_CFG_TEXT], split_dns[V1_CFG_TEXT];
};

/* Is it XAUTH's business rather than Mode Config's? */
bool v1_cfg_is_xauth(const struct ike_msg *m, const struct ike_payload *p);
/* The first attribute of the type, or NULL. */
const struct ike_attr *v1_cfg_find(const struct ike_msg *m, const struct ike_payload *p,
				   uint16_t type);
/* A value of either form as a number. */
uint64_t v1_cfg_number(const struct ike_attr *a);

/* Reads all of a payload. More servers or networks than there is room for are left out. 0, or
 * -EBADMSG with *bad when a value has a length its type cannot have. */
int v1_cfg_read(const struct ike_msg *m, const struct ike_payload *p, struct v1_cfg *out,
		struct ike_bad *bad) warn_unused;
/* Adds the attributes that c has, those with a value as often as they have one; a question
 * (question: a REQUEST, or an ACK) goes without one where there is none. c and room (V1_CFG_ROOM
 * bytes) are borrowed until the message is written. 0 or -ENOSPC. */
int v1_cfg_write(const struct v1_cfg *c, bool question, struct ike_msg *m, struct ike_payload *p,
		 uint8_t *room) warn_unused;

#endif
