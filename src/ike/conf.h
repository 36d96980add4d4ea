/*
 * What the configuration says to IKE: connections, their children, and who may be whom (the PAD of
 * RFC 4301 4.4.3). Made by config/ in one piece, checked, then handed to the engine; immutable from
 * then on and counted, because a negotiation may outlive a reload.
 */
#ifndef IKE_CONF_H
#define IKE_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "ike/cred.h"
#include "ike/ident.h"
#include "ike/proposal.h"
#include "ike/ts.h"
#include "ipsec/sa.h"

/* XAUTH alone is a side of hybrid authentication (draft-ietf-ipsec-isakmp-hybrid-auth-05). */
enum ike_auth_method { IKE_BY_PSK, IKE_BY_PUBKEY, IKE_BY_XAUTH };
enum ike_fragmentation { IKE_FRAG_NO, IKE_FRAG_ACCEPT, IKE_FRAG_YES, IKE_FRAG_FORCE };
enum ike_send_cert { IKE_CERT_ALWAYS, IKE_CERT_IFASKED, IKE_CERT_NEVER };
enum ike_unique { IKE_UNIQUE_NO, IKE_UNIQUE_NEVER, IKE_UNIQUE_KEEP, IKE_UNIQUE_REPLACE };
enum ike_start { IKE_START_NONE, IKE_START_START, IKE_START_TRAP };
enum ike_action { IKE_ACTION_CLEAR, IKE_ACTION_TRAP, IKE_ACTION_RESTART };

/* Where a side may be: an address, prefix or range, or a name to be looked up at each attempt. */
struct ike_host {
	struct ip_range range; /* lo.ver 0: see name; both 0 and no name: any */
	char *name;
};

/* One side's proof. */
struct ike_auth_conf {
	enum ike_auth_method method;
	struct ident id;     /* ours: what we say (type 0: from the certificate, else the address); the
				peer's: a pattern it must fit (type 0: any) */
	struct cred **cred;  /* ours: certificates or raw keys, each with its private key; the peer's:
				exactly these are accepted, without a chain */
	unsigned n_cred;
	struct cred_cas *cas; /* the peer's chain must end here; NULL: in any of ike_conf's */
	bool pss;             /* RSA keys sign with RSASSA-PSS */
	bool xauth;           /* IKEv1: after that a user name and a password (XAUTH) */
	char *xauth_id;       /* ours: the user name; the peer's: the one it must be. NULL: any */
};

/* Addresses that peers get, and what they are told with them (draft-dukes-ike-mode-cfg-02; Cisco
 * Unity's attributes). */
struct ike_pool_conf {
	char *name;
	struct ip_range *addrs; /* of a whole IPv4 prefix neither the first nor the last is given */
	unsigned n_addrs;
	struct ip_addr *dns, *nbns;
	unsigned n_dns, n_nbns;
	struct ip_prefix *include, *exclude; /* networks behind us, and those that are not */
	unsigned n_include, n_exclude;
	char *domain, *banner; /* NULL: none */
	char *split_dns;       /* domains whose names are ours to resolve, separated by commas; NULL: none */
	uint64_t keep_ns;      /* an address nobody uses stays its owner's so long; 0: until it is needed */
};

/* Who may come in by XAUTH. */
struct ike_user {
	char *name;
	struct secret secret; /* as it is; empty: see hash */
	char *hash;           /* of crypto_pwhash_str(), or NULL */
};

/* Populate from packet (RFC 4301 4.4.1.2): these selectors of a new SA are the packet's own values. */
enum ike_pfp {
	IKE_PFP_LOCAL = 1,
	IKE_PFP_REMOTE = 2,
	IKE_PFP_PROTO = 4,
	IKE_PFP_LOCAL_PORT = 8,
	IKE_PFP_REMOTE_PORT = 16,
	IKE_PFP_ALL = 31
};

struct ike_child_conf {
	char *name;
	enum ipsec_proto_choice { IKE_CHILD_ESP, IKE_CHILD_AH } proto;
	struct proposals proposals; /* for proto */
	/* with IKE_CHILD_ESP: AH around it, both offered together (RFC 2407 4.4, RFC 2408 4.2); n 0: none.
	 * Only for version 1: a proposal of IKEv2 has one protocol (RFC 7296 3.3). */
	struct proposals ah;
	struct ts_list local_ts, remote_ts;
	unsigned pfp;        /* enum ike_pfp: what a trap takes from the packet; 0: nothing */
	bool fragments_also; /* later fragments go the way of their first, if the peer agrees */
	enum sa_mode mode;
	/* limits; 0: none. Jitter is taken off each time: between 0 and rand_* */
	uint64_t rekey_ns, life_ns, rand_ns;
	uint64_t rekey_bytes, life_bytes, rand_bytes;
	uint64_t rekey_packets, life_packets, rand_packets;
	enum ike_start start;
	enum ike_action dpd_action, close_action; /* CLEAR, TRAP or RESTART */
	uint64_t inactivity_ns;                   /* closed when nothing passed so long; 0: never */
	uint32_t replay_window;
	enum sa_df df;
	enum sa_fragment fragment;
	bool ecn, mss_clamp;
	int dscp;          /* outer; -1 copies */
	uint32_t path_mtu; /* 0: from the route */
};

struct ike_conn_conf {
	char *name;
	uint8_t version; /* 0: either, starts with 2; 1; 2 */
	bool aggressive; /* IKEv1: Aggressive Mode, as initiator; else the peer's is refused */
	/* IKEv1, RFC 2408 4: what phase 1 is; with MAIN `aggressive` counts. AUTH has no children */
	enum ike_exchange { IKE_EXCHANGE_MAIN, IKE_EXCHANGE_BASE, IKE_EXCHANGE_AUTH } exchange;
	bool commit_bit; /* IKEv1, in Quick Mode: the peer waits for our CONNECTED */
	struct ike_host *local, *remote;
	unsigned n_local, n_remote; /* 0: any */
	uint16_t local_port, remote_port; /* 500; both others: NAT traversal from the start */
	struct proposals proposals;
	struct ike_auth_conf auth, peer;
	enum ike_fragmentation fragmentation;
	uint32_t fragment_size; /* bytes of the IP packet; 0: 1280 */
	bool encap;             /* UDP encapsulation even without NAT */
	bool childless;
	enum ike_send_cert send_cert;
	bool send_certreq;
	enum ike_unique unique;
	uint32_t keyingtries; /* 0: for ever */
	uint64_t dpd_delay_ns;   /* 0: no DPD */
	uint64_t dpd_timeout_ns; /* IKEv1 only */
	uint64_t childless_timeout_ns; /* IKEv1: a phase 1 without children ends then; 0: it stays */
	uint64_t rekey_ns, reauth_ns, over_ns, rand_ns;
	uint64_t life_bytes; /* IKEv1: phase 1 protects no more than this; 0: no limit */
	bool allow_weak;
	struct ip_addr *vips; /* addresses we want of the peer; any: whichever it gives */
	unsigned n_vips;
	char **pools;         /* names: the peer gets an address of each version from the first that has one */
	unsigned n_pools;
	bool push;            /* Mode Config: the gateway sends without having been asked */
	struct ike_child_conf *child;
	unsigned n_child;
	char *file;
	int line;
};

/* Retransmission, as strongSwan counts it: the n-th wait is timeout * base^n, at most limit. */
struct ike_retransmit {
	uint64_t timeout_ns; /* 4 s */
	double base;         /* 1.8 */
	unsigned tries;      /* 5 retransmissions, then the peer is taken for dead */
	uint64_t limit_ns;   /* 0: none */
};

struct ike_conf {
	uint16_t port_nat_t; /* ours for NAT traversal, host byte order; 0: 4500 */
	struct ike_conn_conf *conn;
	unsigned n_conn;
	struct cred_psks psks;
	struct ike_user *user;
	unsigned n_user;
	struct ike_pool_conf *pool;
	unsigned n_pool;
	struct cred_cas *cas; /* of all connections without their own */
	struct ike_retransmit retransmit;
	uint32_t cookie_threshold; /* half-open IKE SAs before cookies are demanded; 10 */
	uint32_t block_threshold;  /* half-open IKE SAs of one address before it is ignored; 5 */
	uint32_t half_open_max;    /* in all; 8192 */
	uint64_t half_open_ns;     /* 30 s */
	uint32_t sas_max;          /* established, 0: no limit */
	uint64_t keepalive_ns;     /* NAT keepalives (RFC 3948 4) when nothing else went so long; 0: none */
	bool vendor_id;
	unsigned refs;
};
static inline uint16_t ike_port_nat_t(const struct ike_conf *c)
{
	return c->port_nat_t ? c->port_nat_t : 4500;
}
/* By name; NULL: there is none. */
const struct ike_pool_conf *ike_conf_pool(const struct ike_conf *c, const char *name);
struct ike_conf *ike_conf_ref(struct ike_conf *c);
/* The settings of c, and nothing it owns: no connections, secrets, authorities, pools or users. With
 * one reference, for the caller; NULL: out of memory. */
struct ike_conf *ike_conf_bare(const struct ike_conf *c);
/* The last reference wipes and frees everything. */
void ike_conf_unref(struct ike_conf **c);
/* Same meaning, so that what runs by a need not be touched for b? Compares everything but file and
 * line; credentials by content. */
bool ike_conn_same(const struct ike_conn_conf *a, const struct ike_conn_conf *b);
/* The same, whatever their children are. */
bool ike_conn_same_itself(const struct ike_conn_conf *a, const struct ike_conn_conf *b);
bool ike_child_same(const struct ike_child_conf *a, const struct ike_child_conf *b);

#endif
