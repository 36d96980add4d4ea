/*
 * The one table of keys: from it come libconfuse's options, the defaults, the reading of every value and
 * the test of the man page. A default goes through the same parser as a written value.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/internal.h"
#include "crypto/crypt.h"

/* clang-format off */
static const struct word backend_words[] = {
	{ "auto", CRYPT_AUTO }, { "openssl", CRYPT_OPENSSL }, { "ipsec-mb", CRYPT_IPSEC_MB },
	{ "sodium", CRYPT_SODIUM }, { NULL, 0 },
};
static const struct word level_words[] = {
	{ "error", LOG_LVL_ERROR }, { "warn", LOG_LVL_WARN }, { "notice", LOG_LVL_NOTICE },
	{ "info", LOG_LVL_INFO }, { "debug", LOG_LVL_DEBUG }, { NULL, 0 },
};
static const struct word dir_words[] = { { "out", DIR_OUT }, { "in", DIR_IN }, { NULL, 0 } };
static const struct word proto_words[] = { { "esp", SA_ESP }, { "ah", SA_AH }, { NULL, 0 } };
static const struct word mode_words[] = { { "tunnel", SA_TUNNEL }, { "transport", SA_TRANSPORT }, { NULL, 0 } };
static const struct word encap_words[] = { { "udp", SA_ENCAP_UDP }, { "none", SA_ENCAP_NONE }, { NULL, 0 } };
static const struct word df_words[] = {
	{ "copy", SA_DF_COPY }, { "set", SA_DF_SET }, { "clear", SA_DF_CLEAR }, { NULL, 0 },
};
static const struct word fragment_words[] = {
	{ "before", SA_FRAG_BEFORE }, { "after", SA_FRAG_AFTER }, { NULL, 0 },
};
static const struct word action_words[] = {
	{ "protect", POLICY_PROTECT }, { "bypass", POLICY_BYPASS }, { "discard", POLICY_DISCARD },
	{ "reject", POLICY_REJECT }, { NULL, 0 },
};
static const struct word direction_words[] = {
	{ "both", POLICY_DIR_OUT | POLICY_DIR_IN }, { "out", POLICY_DIR_OUT }, { "in", POLICY_DIR_IN }, { NULL, 0 },
};
static const struct word tristate_words[] = {
	{ "yes", 1 }, { "true", 1 }, { "on", 1 }, { "no", 0 }, { "false", 0 }, { "off", 0 }, { NULL, 0 },
};

#define T(f) offsetof(struct config, f)
#define N(f) offsetof(struct tun_draft, f)
#define A(f) offsetof(struct config_sa, conf.f)
#define P(f) offsetof(struct policy_draft, f)
#define LOG_SUB(name, subsys) \
	{ SEC_LOG, { "log", name, "level", "(as level)" }, false, v_word, T(log_subsys[subsys]), 0, 0, level_words }
#define U32 UINT32_MAX

/* section, { section, key, type, default }, list, parser, where, lowest, highest, words */
const struct key_row key_rows[] = {
	{ SEC_TOP, { "", "workers",        "number",    "auto" },   false, v_workers, T(workers), 1, 64, NULL },
	{ SEC_TOP, { "", "port_nat_t",     "port",      "4500" },   false, v_u16,     T(port), 1, 65535, NULL },
	{ SEC_TOP, { "", "port_ike",       "port",      "500" },    false, v_u16,     T(port_ike), 1, 65535, NULL },
	{ SEC_TOP, { "", "ike_threads",    "number",    "auto" },   false, v_workers, T(ike_threads), 1, 64, NULL },
	{ SEC_TOP, { "", "listen",         "addresses", "(any)" },  true,  v_listen,  0, 0, 0, NULL },
	{ SEC_TOP, { "", "allow_weak",     "boolean",   "no" },     false, v_bool,    T(allow_weak), 0, 0, NULL },
	{ SEC_TOP, { "", "export_keys",    "boolean",   "no" },     false, v_bool,    T(export_keys), 0, 0, NULL },
	{ SEC_TOP, { "", "gso",            "boolean",   "yes" },    false, v_bool,    T(gso), 0, 0, NULL },
	{ SEC_TOP, { "", "gro",            "boolean",   "yes" },    false, v_bool,    T(gro), 0, 0, NULL },
	{ SEC_TOP, { "", "udp_checksum",   "boolean",   "yes" },    false, v_bool,    T(udp_checksum), 0, 0, NULL },
	{ SEC_TOP, { "", "rcvbuf",         "size",      "4M" },     false, v_bytes32, T(rcvbuf), 0, 1u << 30, NULL },
	{ SEC_TOP, { "", "sndbuf",         "size",      "4M" },     false, v_bytes32, T(sndbuf), 0, 1u << 30, NULL },
	{ SEC_TOP, { "", "busy_poll",      "time",      "0" },      false, v_time_us, T(busy_poll_us), 0, 1000000, NULL },
	{ SEC_TOP, { "", "keepalive",      "time",      "20s" },    false, v_time_s,  T(keepalive_s), 0, 3600, NULL },
	{ SEC_TOP, { "", "fwmark",         "number",    "0" },      false, v_u32,     T(fwmark), 0, U32, NULL },
	{ SEC_TOP, { "", "crypto_backend", "word",      "auto" },   false, v_word,    T(crypto_backend), 0, 0, backend_words },
	{ SEC_TOP, { "", "mss_clamp",      "boolean",   "yes" },    false, v_bool,    T(mss_clamp), 0, 0, NULL },
	{ SEC_TOP, { "", "run_dir",        "path",      "(the run directory of the build)" },   false, v_text, T(run_dir), 0, 0, NULL },
	{ SEC_TOP, { "", "state_dir",      "path",      "(the state directory of the build)" }, false, v_text, T(state_dir), 0, 0, NULL },
	{ SEC_TOP, { "", "seccomp",        "boolean",   "yes" },    false, v_bool,    T(seccomp), 0, 0, NULL },

	{ SEC_LOG, { "log", "level",       "level",     "info" },   false, v_word,    T(log_level), 0, 0, level_words },
	LOG_SUB("main", LOG_MAIN),
	LOG_SUB("config", LOG_CONFIG),
	LOG_SUB("net", LOG_NET),
	LOG_SUB("spd", LOG_SPD),
	LOG_SUB("sad", LOG_SAD),
	LOG_SUB("plane", LOG_PLANE),
	LOG_SUB("control", LOG_CONTROL),
	LOG_SUB("ike", LOG_IKE),

	{ SEC_TUN, { "tun", "address",     "prefixes",  "(none)" }, true,  v_prefix,  N(address), 0, 0, NULL },
	{ SEC_TUN, { "tun", "mtu",         "number",    "1400" },   false, v_u32,     N(mtu), 576, 65535, NULL },
	{ SEC_TUN, { "tun", "routes",      "prefixes",  "(none)" }, true,  v_prefix,  N(routes), 0, 0, NULL },
	{ SEC_TUN, { "tun", "table",       "number",    "0" },      false, v_u32,     N(table), 0, U32, NULL },
	{ SEC_TUN, { "tun", "persist",     "boolean",   "no" },     false, v_bool,    N(persist), 0, 0, NULL },
	{ SEC_TUN, { "tun", "offload",     "boolean",   "yes" },    false, v_bool,    N(offload), 0, 0, NULL },

	{ SEC_SA, { "sa", "direction",     "word",      "(required)" }, false, v_word, A(dir), 0, 0, dir_words },
	{ SEC_SA, { "sa", "proto",         "word",      "esp" },    false, v_word,    A(proto), 0, 0, proto_words },
	{ SEC_SA, { "sa", "mode",          "word",      "tunnel" }, false, v_word,    A(mode), 0, 0, mode_words },
	{ SEC_SA, { "sa", "spi",           "number",    "(required)" }, false, v_u32, A(spi), 0, U32, NULL },
	{ SEC_SA, { "sa", "src",           "address",   "%any" },   false, v_addr,    A(src), 0, 0, NULL },
	{ SEC_SA, { "sa", "dst",           "address",   "%any" },   false, v_addr,    A(dst), 0, 0, NULL },
	{ SEC_SA, { "sa", "src_port",      "port",      "4500" },   false, v_u16,     A(src_port), 1, 65535, NULL },
	{ SEC_SA, { "sa", "dst_port",      "port",      "4500" },   false, v_u16,     A(dst_port), 1, 65535, NULL },
	{ SEC_SA, { "sa", "encap",         "word",      "udp" },    false, v_word,    A(encap), 0, 0, encap_words },
	{ SEC_SA, { "sa", "cipher",        "keyword",   "(required)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_SA, { "sa", "integrity",     "keyword",   "(none)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_SA, { "sa", "key",           "key",       "(none)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_SA, { "sa", "integ_key",     "key",       "(none)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_SA, { "sa", "esn",           "boolean",   "no" },     false, v_bool,    A(esn), 0, 0, NULL },
	{ SEC_SA, { "sa", "replay_window", "number",    "2048" },   false, v_u32,     A(replay_window), 0, REPLAY_WINDOW_MAX, NULL },
	{ SEC_SA, { "sa", "life_bytes",    "size",      "0" },      false, v_bytes,   A(life.hard_bytes), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "life_packets",  "number",    "0" },      false, v_u64,     A(life.hard_packets), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "life_time",     "time",      "0" },      false, v_time_ns, A(life.hard_ns), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "rekey_bytes",   "size",      "0" },      false, v_bytes,   A(life.soft_bytes), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "rekey_packets", "number",    "0" },      false, v_u64,     A(life.soft_packets), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "rekey_time",    "time",      "0" },      false, v_time_ns, A(life.soft_ns), 0, UINT64_MAX, NULL },
	{ SEC_SA, { "sa", "df",            "word",      "copy" },   false, v_word,    A(df), 0, 0, df_words },
	{ SEC_SA, { "sa", "fragment",      "word",      "before" }, false, v_word,    A(fragment), 0, 0, fragment_words },
	{ SEC_SA, { "sa", "ecn",           "boolean",   "yes" },    false, v_bool,    A(ecn), 0, 0, NULL },
	{ SEC_SA, { "sa", "dscp",          "dscp",      "copy" },   false, v_dscp,    A(dscp), 0, 63, NULL },
	{ SEC_SA, { "sa", "mtu",           "number",    "0" },      false, v_u32,     A(path_mtu), 0, 65535, NULL },

	{ SEC_POLICY, { "policy", "local",       "ranges",    "any" },  true,  v_range, P(local), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "remote",      "ranges",    "any" },  true,  v_range, P(remote), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "action",      "word",      "(required)" }, false, v_word, P(action), 0, 0, action_words },
	{ SEC_POLICY, { "policy", "direction",   "word",      "both" }, false, v_word, P(dirs), 0, 0, direction_words },
	{ SEC_POLICY, { "policy", "protocol",    "protocols", "any" },  true,  v_proto, P(proto), 0, 255, NULL },
	{ SEC_POLICY, { "policy", "local_port",  "ports",     "any" },  true,  v_port,  P(local_port), 0, 65535, NULL },
	{ SEC_POLICY, { "policy", "remote_port", "ports",     "any" },  true,  v_port,  P(remote_port), 0, 65535, NULL },
	{ SEC_POLICY, { "policy", "icmp_type",   "numbers",   "any" },  true,  v_octet, P(icmp_type), 0, 255, NULL },
	{ SEC_POLICY, { "policy", "icmp_code",   "number",    "any" },  false, v_octet_one, P(icmp_code), 0, 255, NULL },
	{ SEC_POLICY, { "policy", "mh_type",     "numbers",   "any" },  true,  v_octet, P(mh_type), 0, 255, NULL },
	{ SEC_POLICY, { "policy", "out",         "names",     "(none)" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_POLICY, { "policy", "in",          "names",     "(none)" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_POLICY, { "policy", "mss_clamp",   "boolean",   "(as at the top level)" }, false, v_word, P(mss_clamp), 0, 0, tristate_words },
};
/* clang-format on */

unsigned key_rows_count(void)
{
	return ARRAY_LEN(key_rows);
}

const struct config_key *config_keys(unsigned *n)
{
	static struct config_key keys[ARRAY_LEN(key_rows)];

	for (size_t i = 0; i < ARRAY_LEN(key_rows); i++)
		keys[i] = key_rows[i].doc;
	*n = ARRAY_LEN(key_rows);
	return keys;
}

const char *section_name(enum section s)
{
	static const char *const names[SECTIONS] = { "", "log", "tun", "sa", "policy" };

	return names[s];
}

const struct value *key_value(const struct item *it, const char *key)
{
	for (unsigned i = 0; i < it->n_entry; i++)
		if (it->entry[i].v && strcmp(it->entry[i].row->doc.key, key) == 0)
			return it->entry[i].v;
	return NULL;
}

/* A default that is not a description. */
static bool has_default(const struct key_row *row)
{
	return row->parse && row->doc.def[0] != '(';
}

/* Is the n-th value of a key one too many? From another file it is the whole key, given again. */
static bool value_extra(struct loader *ld, const struct key_row *row, const struct value *v, const struct value *first)
{
	if (v->src != first->src)
		report_value(ld, v, "%s is given twice; expected once (%s:%d has it already)", row->doc.key,
			     first->src->path, first->line);
	else if (!row->list)
		report_value(ld, v, "%s has a list of values; expected one value", row->doc.key);
	else
		return false;
	return true;
}

static void row_apply(struct loader *ld, const struct key_row *row, const struct item *it, void *base)
{
	const struct value *first = NULL;
	void *out = (char *)base + row->off;

	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		if (e->row != row)
			continue;
		if (!e->v) {
			if (has_default(row) || !row->list)
				report_item(ld, it, "%s is an empty list; expected at least one value", row->doc.key);
			return;
		}
		if (first && value_extra(ld, row, e->v, first))
			return;
		first = e->v;
		if (row->parse)
			row->parse(ld, row, e->v, out);
	}
	if (!first && has_default(row)) {
		char def[32];
		struct value v = { .text = def, .src = it->src, .line = it->line };
		snprintf(def, sizeof(def), "%s", row->doc.def);
		row->parse(ld, row, &v, out);
	} else if (!first && strcmp(row->doc.def, "(required)") == 0) {
		char words[128];
		report_item(ld, it, "%s %s has no %s; expected %s = %s", section_name(it->kind), it->name,
			    row->doc.key, row->doc.key,
			    row->words ? words_text(row->words, words, sizeof(words)) : row->doc.type);
	}
}

void keys_apply(struct loader *ld, const struct item *it, void *base)
{
	for (size_t i = 0; i < ARRAY_LEN(key_rows); i++)
		if (key_rows[i].sec == it->kind)
			row_apply(ld, &key_rows[i], it, base);
}
