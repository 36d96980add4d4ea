/*
 * Between the files of config/. A load goes: text.c reads a file and blanks its comments, parse.c
 * hands it to libconfuse and keeps every value as text with its line, keys.c turns texts into
 * numbers and addresses by the one table of keys (values.c), tun.c, bridge.c, sa.c and policy.c make
 * whole objects of them, check.c looks at how they fit together. The sections of IKE go to conn.c, child.c,
 * auth.c and psk.c in the same way, and to check_ike.c.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include <confuse.h>

#include "config/config.h"
#include "ike/conf.h"
#include "ipsec/label.h"

/* SEC_IKE has no section of its own: its keys stand at the top level and go to struct ike_conf. */
enum section {
	SEC_TOP,
	SEC_IKE,
	SEC_LOG,
	SEC_TUN,
	SEC_BRIDGE,
	SEC_SA,
	SEC_POLICY,
	SEC_CONN,
	SEC_LOCAL,
	SEC_REMOTE,
	SEC_CHILD,
	SEC_SECRET,
	SEC_POOL,
	SEC_USER,
	SECTIONS
};

/* One file: the first or an included one. */
struct source {
	char *path;           /* as it is shown in messages */
	char *dir;            /* what relative paths in it start from; ends in '/' or is empty */
	int lines;            /* how many it has */
	struct source *from;  /* the file that includes it */
	cfg_t *root;          /* libconfuse's tree of it; empty once it was read */
};

/* One value as written. */
struct value {
	char *text;
	const struct source *src;
	int line;
};
/* Wipes the text and frees. */
void value_free(void *v);

struct key_row;

/* A value and the key it was given to; v NULL: an empty list. */
struct entry {
	const struct key_row *row;
	struct value *v;
};

/* The keys of the top level, of `log`, or of one other section, and the sections in it, in the order of
 * the file. */
struct item {
	enum section kind;
	char *name; /* NULL where a section has none */
	const struct source *src;
	int line;   /* of the opening brace (of the closing one when there is nothing between) */
	struct entry *entry;
	unsigned n_entry;
	struct item *sub;
	unsigned n_sub;
	const struct item *in; /* what it is a sub of; NULL at the top level */
};

/* A section that was read to its end, while the one around it is still open. */
struct inner {
	const cfg_t *in;
	struct item item;
};

/* A section being read, and the line of its opening brace. */
struct open {
	const cfg_t *sec;
	int line;
};

#define SECTION_DEPTH 3 /* sections in one another; one more than any has */

/* Where a key was given first: its option in libconfuse's tree. */
struct seen {
	const cfg_t *sec;
	const cfg_opt_t *opt;
	int line;
};

struct loader {
	FILE *err;
	unsigned errors;
	bool no_memory;
	bool crls_bad; /* said already */
	struct source **source;
	unsigned n_source;
	struct source *cur;     /* the file being read */
	struct open open[SECTION_DEPTH]; /* the section being read, outermost first; none between */
	unsigned n_open;
	struct item top, log;
	struct item *item;      /* sections, in order */
	unsigned n_item;
	struct inner *inner;    /* sections in sections that are still open */
	unsigned n_inner;
	struct seen *seen;
	unsigned n_seen;
	struct config *conf;
};

/* A growing array. */
struct vec {
	void *p;
	unsigned n;
};

struct word {
	const char *text;
	int value;
};

/* Turns one value into *out; false after an error was reported. */
typedef bool value_parser(struct loader *ld, const struct key_row *row, const struct value *v, void *out);

struct key_row {
	enum section sec;
	struct config_key doc;
	bool list;
	value_parser *parse;      /* NULL: the section's own code reads it */
	size_t off;               /* of the result in the section's draft */
	uint64_t lo, hi;          /* bounds of numbers */
	const struct word *words; /* of v_word; ends with text NULL */
};

/* What a policy section is read into before its lists become selectors. */
struct policy_draft {
	struct vec local, remote;                    /* struct ip_range */
	struct vec proto;                            /* uint16_t */
	struct vec local_port, remote_port;          /* struct port_range */
	struct vec icmp_type, mh_type;               /* struct port_range of 0..255 */
	struct port_range icmp_code;
	int action, dirs, mss_clamp;                 /* mss_clamp -1: as at the top level */
	bool fragments, icmp_errors;
	struct label_range *label, *unlabelled;
};

struct tun_draft {
	struct vec address, routes; /* struct ip_prefix */
	uint32_t mtu, table;
	bool persist, offload, install_routes;
	struct label_range *label, *unlabelled;
};

struct bridge_draft {
	int host, on_exit_pass;
	int rule[FRAME_KINDS];
	struct label_range *label, *unlabelled;
};

/* What a connection section is read into. Times that were not written are UNWRITTEN. */
#define UNWRITTEN UINT64_MAX
struct conn_draft {
	struct ike_conn_conf c;
	struct vec local, remote; /* struct ike_host; all zeros: any */
	struct vec vips;          /* struct ip_addr */
	struct vec pools;         /* char * */
	bool pull;
	int version, allow_weak;  /* allow_weak -1: as at the top level */
};

struct pool_draft {
	struct ike_pool_conf p;
	struct vec addrs;            /* struct ip_range */
	struct vec dns, nbns;        /* struct ip_addr */
	struct vec include, exclude; /* struct ip_prefix */
};

/* The same of a child; also its bytes and packets. */
struct child_draft {
	struct ike_child_conf c;
	int mss_clamp; /* -1: as at the top level */
};

/* config.c */
void report(struct loader *ld, const struct source *src, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_value(struct loader *ld, const struct value *v, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void report_item(struct loader *ld, const struct item *it, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void warn_item(struct loader *ld, const struct item *it, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void warn_value(struct loader *ld, const struct value *v, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* True; says once that memory ran out when p is NULL, and is false then. */
bool have_memory(struct loader *ld, const void *p);
/* Appends a copy of size bytes at one. */
bool vec_push(struct loader *ld, struct vec *v, const void *one, size_t size);
/* "dir + text", or text when it is absolute; malloc'd. */
char *path_beside(const struct source *src, const char *text);
bool path_absolute(const char *text);

/* text.c */
/* Reads a file whole and blanks its comments, so that lines stay where they are. The text ends with
 * padding that makes the scanner forget what it has read. Returns 0 or -errno, reported at (at, line);
 * *out is malloc'd, *len bytes long: wipe before free. */
int text_read(struct loader *ld, struct source *src, const struct source *at, int line, char **out,
	      size_t *len) warn_unused;

/* parse.c */
/* Reads a file and what it includes into items. 0 or -errno, reported. */
int parse_file(struct loader *ld, const char *path, struct source *from, int from_line) warn_unused;
void parse_free(struct loader *ld);

/* keys.c */
extern const struct key_row key_rows[];
unsigned key_rows_count(void);
/* The word in front of the section's brace, what it stands in, and whether a name follows the word. */
const char *section_name(enum section s);
enum section section_in(enum section s);
bool section_named(enum section s);
/* Is the row's key written directly in this section? */
bool key_row_in(const struct key_row *row, enum section s);
/* Reads the keys of an item into base, defaults first. */
void keys_apply(struct loader *ld, const struct item *it, void *base);
/* A key's value as written, or NULL. */
const struct value *key_value(const struct item *it, const char *key);

/* values.c */
value_parser v_bool, v_word, v_u32, v_u16, v_u64, v_bytes, v_bytes32, v_time_ns, v_time_s, v_time_us, v_workers,
    v_text, v_resolv, v_addr, v_listen, v_prefix, v_range, v_proto, v_port, v_octet, v_octet_one, v_dscp, v_dscps, v_label,
    v_label_one, v_words;
/* "KEY = "TEXT"; expected ...". Always false. */
bool value_refuse(struct loader *ld, const struct key_row *row, const struct value *v, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "a, b or c" */
const char *words_text(const struct word *w, char *out, size_t max);
/* Decimal or 0x; false when it is anything else or does not fit. */
bool number_parse(const char *text, uint64_t *out);
/* The number of a protocol by name or number; -1 when unknown. */
int proto_parse(const char *text);

/* tun.c, bridge.c, sa.c, policy.c: make one object each; errors are reported. */
void tun_build(struct loader *ld, const struct item *it, struct config_tun *out);
void bridge_build(struct loader *ld, const struct item *it, struct config_bridge *out);
void sa_build(struct loader *ld, const struct item *it, struct config_sa *out);
/* group.c: what only SAs to multicast groups have */
void group_check(struct loader *ld, const struct item *it, struct config_sa *s);
void check_groups(struct loader *ld);
void policy_build(struct loader *ld, const struct item *it, struct config_policy *out);
/* "sa a-to-b", "child net of connection site-b", "local of connection site-b" */
#define ITEM_STRLEN 192
const char *item_title(const struct item *it, char out[ITEM_STRLEN]);
/* True when an item's name can be one, or it needs none; reports else. */
bool item_name_ok(struct loader *ld, const struct item *it);

/* keymat.c */
/* The key of len bytes, of which the last salt are salt, from hex text or "file:PATH". */
bool keymat_read(struct loader *ld, const struct value *v, const char *key, size_t len, size_t salt,
		 struct secret *out);
#define KEY_FILE_MAX 1024 /* bytes: hex text of the longest with spaces */
bool key_in_file(const struct value *v);
/* What is in the file that v names, when only its owner can read it; the caller wipes text. */
bool key_file_read(struct loader *ld, const struct value *v, const char *key, char text[KEY_FILE_MAX + 2],
		   size_t *len);

/* values_ike.c: hosts go to a vec of struct ike_host, identities to a struct ident, selectors to a struct
 * ts_list */
value_parser v_decimal, v_tries, v_host, v_ident, v_ts;
/* One value of the key as an identity. The caller's even after an error. */
bool ident_read(struct loader *ld, const char *key, const struct value *v, struct ident *out);
/* Reads all values of a key as proposals. */
void proposals_read(struct loader *ld, const struct item *it, const char *key, enum ike_protocol proto, bool weak,
		    struct proposals *out);

/* conn.c, child.c, auth.c, psk.c: what IKE needs, from its sections; errors are reported. */
void conn_build(struct loader *ld, const struct item *it, struct ike_conn_conf *out);
void child_build(struct loader *ld, const struct item *it, const struct ike_conn_conf *conn,
		 struct ike_child_conf *out);
void auth_local_build(struct loader *ld, const struct item *it, struct ike_auth_conf *out);
/* cas: those of the top level, for a peer without its own. */
void auth_remote_build(struct loader *ld, const struct item *it, const struct cred_cas *cas,
		       struct ike_auth_conf *out);
/* The authorities in the item's cacerts with the CRLs of the top level. NULL when there are none. */
struct cred_cas *cas_read(struct loader *ld, const struct item *it);
void psk_build(struct loader *ld, const struct item *it, struct cred_psk *out);
/* access.c: pools and users; addresses go to a vec of struct ip_addr, names to a vec of char * */
value_parser v_addrs, v_string, v_auth2, v_names;
void pool_build(struct loader *ld, const struct item *it, struct ike_pool_conf *out);
void user_build(struct loader *ld, const struct item *it, struct ike_user *out);
/* How XAUTH, vips and pools of a connection fit together. */
void access_check(struct loader *ld, const struct item *it, const struct ike_conn_conf *c);
/* A secret as written, or from a file: text, 0x and hexadecimal, or 0s and base 64; wiped by the caller. */
bool secret_read(struct loader *ld, const struct value *v, const char *key, struct secret *out);
/* A passphrase in the same places; with a NUL at its end. */
bool passphrase_read(struct loader *ld, const struct value *v, const char *key, struct secret *out);
/* Everything of IKE: conf->ike, or none without connections. */
void ike_build(struct loader *ld);

/* values.c: the labels of the tun or bridge section, which are the configuration's */
void device_labels(struct loader *ld, struct label_range *label, struct label_range *unlabelled);

/* bridge.c: what a bridge can carry */
void check_bridge_mode(struct loader *ld);

/* conflict.c: policies that leave nothing to others */
void check_conflicts(struct loader *ld);

/* check_ike.c: how its sections fit together */
void check_ike(struct loader *ld);

/* check.c: names, SPIs, references. items[] and conf's arrays run in the same order per kind. */
void check_all(struct loader *ld);
/* Says which of the items of a kind have a name that one before has. */
void check_names_once(struct loader *ld, const struct item *items, unsigned n, enum section kind);

#endif
