/*
 * bumpwire.conf as checked structures. A file name enters, one struct config leaves, or every error
 * that can be found in one go. Everything is parsed and checked before anything is used: a
 * configuration is whole or not there.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/audit.h"
#include "base/log.h"
#include "ipsec/sa.h"
#include "ipsec/spd.h"
#include "plane/plane.h"

struct ike_conf;
struct label_range;

/* An Ethernet bridge in the middle of a link. */
struct config_bridge {
	char *name;
	struct {
		char *name;
		bool tap;
	} port[2];    /* by enum bridge_side */
	bool host;    /* mode = host */
	bool on_exit_pass;
	uint8_t rule[FRAME_KINDS]; /* enum bridge_rule, by enum frame_kind */
	char *file;
	int line;
};

struct config_tun {
	char *name;
	struct ip_prefix *address;
	unsigned n_address;
	struct ip_prefix *routes;
	unsigned n_routes;
	uint32_t mtu;   /* bytes; 1400 */
	uint32_t table; /* routing table for routes; 0: main, or one of our own when it is needed */
	bool persist, offload;
	bool install_routes; /* of connections */
	char *file;
	int line;
};

/* An SA as configured. Ports and addresses of conf are filled in; its sel is left empty. */
struct config_sa {
	struct sa_conf conf;
	bool anti_replay_set; /* replay_window was written in the file */
	char *file;
	int line;
};

struct config_policy {
	char *name;
	enum policy_action action;
	unsigned dirs; /* POLICY_DIR_* */
	struct selector *sel;
	unsigned n_sel;
	char **out, **in; /* names of SAs, checked to exist and to have the right direction */
	unsigned n_out, n_in;
	char **parallel;  /* names of SAs of either direction, beside those */
	unsigned n_parallel;
	struct label_range *label, *unlabelled; /* NULL: not written */
	bool mss_clamp;
	bool icmp_errors; /* carries ICMP errors about its packets */
	bool fragments; /* where it names ports, later fragments go the way of their first */
	char *file;
	int line;
};

/* In a set of words: the file has one, this is not the default. */
#define WORDS_SAID 0x100u

struct config {
	char *path;
	unsigned workers;             /* 0: one per CPU */
	uint16_t port;                /* UDP, host byte order; 4500 */
	uint16_t port_ike;            /* UDP, host byte order; 500 */
	unsigned ike_threads;         /* of the crypto pool; 0: one for two CPUs */
	struct ip_addr bind4, bind6;  /* `listen`; ver set, any by default */
	bool allow_weak, export_keys;
	unsigned audit;               /* enum audit_of; with WORDS_SAID */
	bool gso, gro, udp_checksum;
	uint32_t rcvbuf, sndbuf;      /* bytes; 0: the system's default */
	uint32_t busy_poll_us;
	uint32_t keepalive_s;         /* 20; 0 off */
	uint32_t fwmark;              /* 0: chosen when it is needed */
	int crypto_backend;           /* enum crypt_backend */
	bool mss_clamp;               /* default for policies */
	bool path_mtu_discovery;      /* act on ICMP "too big" */
	uint32_t path_mtu_age_s;      /* what was learned so counts so long */
	unsigned icmp_protected, icmp_unprotected; /* enum icmp_of that are accepted; with WORDS_SAID */
	unsigned icmp_log;            /* those that are told; with WORDS_SAID */
	char *run_dir, *state_dir;    /* NULL: default */
	char *resolv_conf;            /* "": none; NULL: default */
	bool seccomp;
	enum log_level log_level;
	int log_subsys[LOG_SUBSYSTEMS]; /* -1: as log_level */
	struct config_tun *tun;         /* NULL: none */
	struct label_range *label, *unlabelled; /* of that device; NULL: not written */
	struct config_bridge *bridge;   /* in its place; NULL: none. With neither there is nothing to carry */
	struct config_sa *sa;           /* in the order of the file */
	unsigned n_sa;
	struct config_policy *policy;   /* in the order of the file, which is the order of the SPD */
	unsigned n_policy;
	struct ike_conf *ike;           /* one reference; NULL: no connection sections */
};

/*
 * Reads and checks a file and what it includes. Every error and warning is written to err as
 * "file:line: what was found, and what was expected", warnings with "warning:" after the line; all
 * that can be found in one go are reported (a file that is not even well-formed ends the search).
 * Control thread only, one at a time: the parser underneath has global state.
 * Returns 0, or -EINVAL / -ENOENT / -EACCES / -ENOMEM; *out is NULL then. Who keeps conf->ike longer
 * than the configuration takes a reference of its own.
 */
int config_load(const char *path, FILE *err, struct config **out) warn_unused;
/* Wipes the keys that are still there and frees; *c becomes NULL. NULL is allowed. */
void config_free(struct config **c);

/* The table of keys, which the man page is tested against: section ("" for the top level), key, type
 * and default as text. A default in parentheses describes; any other is what the parser is given. */
struct config_key {
	const char *section, *key, *type, *def;
};
const struct config_key *config_keys(unsigned *n);

#endif
