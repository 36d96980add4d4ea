/*
 * Auditable events (RFC 2401 7, RFC 4301 9, RFC 4302 4, RFC 4303 4, RFC 2408 5): which there are
 * (audit.def), and what is known of one that happened. Who finds one fills a struct audit_event; the
 * control thread (control/audit.c) limits, words and tells it.
 */
#ifndef BASE_AUDIT_H
#define BASE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/drop.h"

/* Beyond the time, which every event has. */
enum audit_field {
	AUDIT_F_SPI = 0x01,       /* and protocol */
	AUDIT_F_SEQ = 0x02,       /* sequence number */
	AUDIT_F_ADDRS = 0x04,     /* source and destination address */
	AUDIT_F_FLOW = 0x08,      /* flow label of the IPv6 header */
	AUDIT_F_INNER = 0x10,     /* selector fields of the packet that was or is to be protected */
	AUDIT_F_SELECTORS = 0x20, /* name of the SA, and its selectors */
	AUDIT_F_REASON = 0x40,    /* why, in more detail than the name: a drop reason */
	AUDIT_F_IKE_SPIS = 0x80,  /* SPIs (cookies) of the IKE SA */
	AUDIT_F_TEXT = 0x100,     /* in words, and the connection where it is known */
};
#define AUDIT_PACKET (AUDIT_F_SPI | AUDIT_F_SEQ | AUDIT_F_ADDRS | AUDIT_F_FLOW)
#define AUDIT_IKE    (AUDIT_F_ADDRS | AUDIT_F_IKE_SPIS | AUDIT_F_TEXT)

enum audit {
	AUDIT_NONE,
#define X(name, text, of, sev, fields, sections, what) AUDIT_##name,
#include "base/audit.def"
#undef X
	AUDIT_EVENTS
};

/* What `audit` in the configuration switches. */
enum audit_of {
	AUDIT_OF_ESP = 1,
	AUDIT_OF_AH = 2,
	AUDIT_OF_IPSEC = AUDIT_OF_ESP | AUDIT_OF_AH,
	AUDIT_OF_POLICY = 4,
	AUDIT_OF_IKE = 8,
	AUDIT_OF_ALL = 15
};

struct audit_info {
	const char *name; /* as told: "replay" */
	enum audit_of of;
	enum drop_sev severity;
	unsigned fields;      /* enum audit_field */
	const char *sections; /* "4302 3.4.3, 4303 3.4.3" */
	bool demanded;        /* by an RFC; else it is one of those the RFCs allow besides */
	const char *what;
};

/* The row of an event; that of AUDIT_NONE for what is none. Never NULL. */
const struct audit_info *audit_info(enum audit id);

/* One that happened. `have` says which fields are set, the others are undefined. Plain bytes: it is
 * copied through rings between threads. text and conn are borrowed for the call that tells it, and
 * NULL in rings. */
struct audit_event {
	uint64_t ns;  /* clock_now_ns() */
	uint16_t id;  /* enum audit */
	uint16_t have; /* enum audit_field */
	uint8_t proto; /* IP protocol of the SPI: 50, 51 */
	uint8_t reason; /* enum drop */
	bool out;      /* the SA is an outbound one */
	uint32_t spi;  /* host byte order */
	uint32_t flow; /* 20 bits */
	uint64_t seq;
	struct endpoint src, dst; /* of the packet as it was or would be on the wire; for IKE the
				     peer's endpoint and ours; port 0: none */
	struct endpoint inner_src, inner_dst; /* port 0: none */
	uint8_t inner_proto;
	uint8_t spi_i[8], spi_r[8]; /* of the IKE SA */
	const char *conn, *text;
};

#endif
