/*
 * Between the files of config/. A load goes: text.c reads a file and blanks its comments, parse.c
 * hands it to libconfuse and keeps every value as text with its line, keys.c turns texts into
 * numbers and addresses by the one table of keys (values.c), tun.c, sa.c and policy.c make whole
 * objects of them, check.c looks at how they fit together.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include <confuse.h>

#include "config/config.h"

enum section { SEC_TOP, SEC_LOG, SEC_TUN, SEC_SA, SEC_POLICY, SECTIONS };

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

/* The keys of the top level, of `log`, or of one tun, sa or policy section in the order of the file. */
struct item {
	enum section kind;
	char *name; /* NULL for the first two */
	const struct source *src;
	int line;   /* of the opening brace (of the closing one when there is nothing between) */
	struct entry *entry;
	unsigned n_entry;
};

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
	struct source **source;
	unsigned n_source;
	struct source *cur;     /* the file being read */
	const cfg_t *open;      /* the section being read, NULL between sections */
	int open_line;
	struct item top, log;
	struct item *item;      /* sections, in order */
	unsigned n_item;
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
};

struct tun_draft {
	struct vec address, routes; /* struct ip_prefix */
	uint32_t mtu, table;
	bool persist, offload;
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
const char *section_name(enum section s);
/* Reads the keys of an item into base, defaults first. */
void keys_apply(struct loader *ld, const struct item *it, void *base);
/* A key's value as written, or NULL. */
const struct value *key_value(const struct item *it, const char *key);

/* values.c */
value_parser v_bool, v_word, v_u32, v_u16, v_u64, v_bytes, v_bytes32, v_time_ns, v_time_s, v_time_us, v_workers,
    v_text, v_addr, v_listen, v_prefix, v_range, v_proto, v_port, v_octet, v_octet_one, v_dscp;
/* "a, b or c" */
const char *words_text(const struct word *w, char *out, size_t max);
/* Decimal or 0x; false when it is anything else or does not fit. */
bool number_parse(const char *text, uint64_t *out);
/* The number of a protocol by name or number; -1 when unknown. */
int proto_parse(const char *text);

/* tun.c, sa.c, policy.c: make one object each; errors are reported. */
void tun_build(struct loader *ld, const struct item *it, struct config_tun *out);
void sa_build(struct loader *ld, const struct item *it, struct config_sa *out);
void policy_build(struct loader *ld, const struct item *it, struct config_policy *out);
/* True when an item's name can be one; reports else. */
bool item_name_ok(struct loader *ld, const struct item *it);

/* keymat.c */
/* The key of len bytes, of which the last salt are salt, from hex text or "file:PATH". */
bool keymat_read(struct loader *ld, const struct value *v, const char *key, size_t len, size_t salt,
		 struct secret *out);

/* check.c: names, SPIs, references. items[] and conf's arrays run in the same order per kind. */
void check_all(struct loader *ld);

#endif
