/*
 * A CHILD SA between wish and SAD, of either version: what is offered and agreed, until it is in force. The
 * messages that agree on it are the versions' (v2/child_msg.c, v1/quick.c).
 */
#ifndef IKE_CHILD_NEGO_H
#define IKE_CHILD_NEGO_H

#include "ike/engine.h"

struct child_nego {
	struct ike_sa *sa;
	unsigned ci;       /* index of conf in the connection */
	const struct ike_child_conf *conf;
	bool asked;        /* we sent the request: KEYMAT's order, and who is TSi */
	uint8_t proto;     /* enum sa_proto */
	uint8_t mode;      /* enum sa_mode as agreed */
	uint32_t reqid;    /* 0: chosen at installation */
	uint32_t spi_in;   /* from env->spi_alloc(), given back if never installed; 0: none yet */
	uint32_t spi_out;
	struct proposal chosen;
	const struct dh_info *group; /* PFS; NULL: none */
	uint16_t ke_retry;           /* the peer wanted this group (INVALID_KE_PAYLOAD); 0: ours */
	struct dh *dh;
	struct secret shared;
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_len, nr_len;
	struct ts_list local_ts, remote_ts; /* what we offered, then what was agreed */
	struct ip_addr oa_local, oa_remote; /* transport mode behind NAT (RFC 7296 2.23.1) */
	bool cut;           /* the peer narrowed */
	bool have_flow;
	struct flow_key flow;
	bool tfc_padding;   /* the peer takes TFC padding */
	bool fragments;     /* NON_FIRST_FRAGMENTS_ALSO: offered, then agreed */
	uint32_t replaces;  /* id of the child that is rekeyed; 0: a new one */
	uint64_t life_bytes; /* IKEv1: the agreed limit; 0: only the configured one */
	/* IKEv1: the AH of a bundle, around the ESP; spi_out 0: there is none */
	struct {
		uint32_t spi_in, spi_out;
		struct proposal chosen;
	} ah;
	bool installed;
	char why[512];      /* why it failed, for the administrator */
};

/* NULL: no memory. ci UINT32_MAX: the peer asks, whoever looks at its selectors finds it (child_nego_set_conf()). */
struct child_nego *child_nego_new(struct ike_sa *sa, unsigned ci, bool asked);
void child_nego_free(struct child_nego **c);
/* It is to take old's place: same reqid and selectors (RFC 7296 2.9.2). */
void child_nego_replaces(struct child_nego *c, const struct ike_child *old);
/* The configured child with this index is it. */
void child_nego_set_conf(struct child_nego *c, unsigned ci);
/*
 * Keys (RFC 7296 2.17), the SAD, struct ike_child, events (CHILD_UP unless it replaces one). out_now:
 * our outbound traffic goes by it at once; else when the caller says env->child_switch(). NULL with
 * c->why and nothing changed.
 */
struct ike_child *child_nego_install(struct child_nego *c, bool out_now, uint64_t order);

#endif
