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
#include "ike/conf.h"
#include "packet/quote.h"

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

static const struct word bridge_mode_words[] = { { "gateway", 0 }, { "host", 1 }, { NULL, 0 } };
static const struct word on_exit_words[] = { { "block", 0 }, { "pass", 1 }, { NULL, 0 } };
static const struct word frame_words[] = { { "pass", BRIDGE_PASS }, { "drop", BRIDGE_DROP }, { NULL, 0 } };
static const struct word ip_frame_words[] = {
	{ "pass", BRIDGE_PASS }, { "drop", BRIDGE_DROP }, { "policy", BRIDGE_POLICY }, { NULL, 0 },
};
static const struct word audit_words[] = {
	{ "yes", AUDIT_OF_ALL }, { "no", 0 }, { "esp", AUDIT_OF_ESP }, { "ah", AUDIT_OF_AH },
	{ "policy", AUDIT_OF_POLICY }, { "ike", AUDIT_OF_IKE }, { NULL, 0 },
};

static const struct word icmp_words[] = {
	{ "yes", ICMP_OF_ALL },
	{ "no", 0 },
	{ "unreachable", ICMP_OF_UNREACHABLE },
	{ "too-big", ICMP_OF_TOO_BIG },
	{ "source-quench", ICMP_OF_QUENCH },
	{ "redirect", ICMP_OF_REDIRECT },
	{ "time-exceeded", ICMP_OF_TIME },
	{ "parameter-problem", ICMP_OF_PARAMETER },
	{ "other", ICMP_OF_OTHER },
	{ NULL, 0 },
};

static const struct word version_words[] = { { "0", 0 }, { "1", 1 }, { "2", 2 }, { NULL, 0 } };
static const struct word ike_frag_words[] = {
	{ "no", IKE_FRAG_NO }, { "accept", IKE_FRAG_ACCEPT }, { "yes", IKE_FRAG_YES }, { "force", IKE_FRAG_FORCE },
	{ NULL, 0 },
};
static const struct word send_cert_words[] = {
	{ "always", IKE_CERT_ALWAYS }, { "ifasked", IKE_CERT_IFASKED }, { "never", IKE_CERT_NEVER }, { NULL, 0 },
};
static const struct word exchange_words[] = {
	{ "main", IKE_EXCHANGE_MAIN }, { "base", IKE_EXCHANGE_BASE },
	{ "authentication", IKE_EXCHANGE_AUTH }, { NULL, 0 },
};
static const struct word unique_words[] = {
	{ "no", IKE_UNIQUE_NO }, { "never", IKE_UNIQUE_NEVER }, { "keep", IKE_UNIQUE_KEEP },
	{ "replace", IKE_UNIQUE_REPLACE }, { NULL, 0 },
};
static const struct word auth_words[] = { { "psk", IKE_BY_PSK }, { "pubkey", IKE_BY_PUBKEY }, { "xauth", IKE_BY_XAUTH }, { NULL, 0 } };
static const struct word start_words[] = {
	{ "none", IKE_START_NONE }, { "start", IKE_START_START }, { "trap", IKE_START_TRAP }, { NULL, 0 },
};
static const struct word pfp_words[] = {
	{ "yes", IKE_PFP_ALL }, { "no", 0 }, { "local", IKE_PFP_LOCAL }, { "remote", IKE_PFP_REMOTE },
	{ "protocol", IKE_PFP_PROTO }, { "local_port", IKE_PFP_LOCAL_PORT }, { "remote_port", IKE_PFP_REMOTE_PORT },
	{ NULL, 0 },
};
static const struct word dpd_words[] = {
	{ "clear", IKE_ACTION_CLEAR }, { "trap", IKE_ACTION_TRAP }, { "restart", IKE_ACTION_RESTART }, { NULL, 0 },
};
/* as for dpd_action, and as strongSwan calls them here */
static const struct word close_words[] = {
	{ "none", IKE_ACTION_CLEAR }, { "trap", IKE_ACTION_TRAP }, { "start", IKE_ACTION_RESTART },
	{ "clear", IKE_ACTION_CLEAR }, { "restart", IKE_ACTION_RESTART }, { NULL, 0 },
};

#define T(f) offsetof(struct config, f)
#define I(f) offsetof(struct ike_conf, f)
#define C(f) offsetof(struct conn_draft, f)
#define H(f) offsetof(struct ike_auth_conf, f)
#define K(f) offsetof(struct child_draft, f)
#define N(f) offsetof(struct tun_draft, f)
#define B(f) offsetof(struct bridge_draft, f)
#define R(kind, key, def, words) { SEC_BRIDGE, { "bridge", key, "word", def }, false, v_word, B(rule[kind]), 0, 0, words }
#define A(f) offsetof(struct config_sa, conf.f)
#define P(f) offsetof(struct policy_draft, f)
#define L(f) offsetof(struct pool_draft, f)
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
	{ SEC_TOP, { "", "audit",          "words",     "yes" },    true,  v_words,   T(audit), 0, 0, audit_words },
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
	{ SEC_TOP, { "", "path_mtu_discovery", "boolean", "yes" },  false, v_bool,    T(path_mtu_discovery), 0, 0, NULL },
	{ SEC_TOP, { "", "path_mtu_age",   "time",      "10m" },    false, v_time_s,  T(path_mtu_age_s), 1, 86400, NULL },
	{ SEC_TOP, { "", "icmp_unprotected", "words",   "yes" },    true,  v_words,   T(icmp_unprotected), 0, 0, icmp_words },
	{ SEC_TOP, { "", "icmp_protected", "words",     "yes" },    true,  v_words,   T(icmp_protected), 0, 0, icmp_words },
	{ SEC_TOP, { "", "icmp_log",       "words",     "no" },     true,  v_words,   T(icmp_log), 0, 0, icmp_words },
	{ SEC_TOP, { "", "run_dir",        "path",      "(the run directory of the build)" },   false, v_text, T(run_dir), 0, 0, NULL },
	{ SEC_TOP, { "", "state_dir",      "path",      "(the state directory of the build)" }, false, v_text, T(state_dir), 0, 0, NULL },
	{ SEC_TOP, { "", "resolv_conf",    "path", "(/etc/resolv.conf, and none with a run directory of its own)" },  false, v_resolv, T(resolv_conf), 0, 0, NULL },
	{ SEC_TOP, { "", "seccomp",        "boolean",   "yes" },    false, v_bool,    T(seccomp), 0, 0, NULL },

	{ SEC_IKE, { "", "cacerts",                "paths",   "(none)" }, true,  NULL, 0, 0, 0, NULL },
	{ SEC_IKE, { "", "crls",                   "paths",   "(none)" }, true,  NULL, 0, 0, 0, NULL },
	{ SEC_IKE, { "", "ike_retransmit_timeout", "time",    "4s" },   false, v_time_ns, I(retransmit.timeout_ns), 0, 0, NULL },
	{ SEC_IKE, { "", "ike_retransmit_base",    "decimal", "1.8" },  false, v_decimal, I(retransmit.base), 1, 10, NULL },
	{ SEC_IKE, { "", "ike_retransmit_tries",   "number",  "5" },    false, v_u32,     I(retransmit.tries), 0, 100, NULL },
	{ SEC_IKE, { "", "ike_retransmit_limit",   "time",    "0" },    false, v_time_ns, I(retransmit.limit_ns), 0, 0, NULL },
	{ SEC_IKE, { "", "cookie_threshold",       "number",  "10" },   false, v_u32,     I(cookie_threshold), 0, U32, NULL },
	{ SEC_IKE, { "", "block_threshold",        "number",  "5" },    false, v_u32,     I(block_threshold), 0, U32, NULL },
	{ SEC_IKE, { "", "half_open_limit",        "number",  "8192" }, false, v_u32,     I(half_open_max), 0, U32, NULL },
	{ SEC_IKE, { "", "half_open_timeout",      "time",    "30s" },  false, v_time_ns, I(half_open_ns), 0, 0, NULL },
	{ SEC_IKE, { "", "sas_limit",              "number",  "0" },    false, v_u32,     I(sas_max), 0, U32, NULL },
	{ SEC_IKE, { "", "ike_vendor_id",          "boolean", "no" },   false, v_bool,    I(vendor_id), 0, 0, NULL },

	{ SEC_LOG, { "log", "level",       "level",     "info" },   false, v_word,    T(log_level), 0, 0, level_words },
	LOG_SUB("main", LOG_MAIN),
	LOG_SUB("config", LOG_CONFIG),
	LOG_SUB("net", LOG_NET),
	LOG_SUB("spd", LOG_SPD),
	LOG_SUB("sad", LOG_SAD),
	LOG_SUB("plane", LOG_PLANE),
	LOG_SUB("control", LOG_CONTROL),
	LOG_SUB("ike", LOG_IKE),
	LOG_SUB("audit", LOG_AUDIT),

	{ SEC_TUN, { "tun", "address",     "prefixes",  "(none)" }, true,  v_prefix,  N(address), 0, 0, NULL },
	{ SEC_TUN, { "tun", "mtu",         "number",    "1400" },   false, v_u32,     N(mtu), 576, 65535, NULL },
	{ SEC_TUN, { "tun", "routes",      "prefixes",  "(none)" }, true,  v_prefix,  N(routes), 0, 0, NULL },
	{ SEC_TUN, { "tun", "table",       "number",    "0" },      false, v_u32,     N(table), 0, U32, NULL },
	{ SEC_TUN, { "tun", "install_routes", "boolean", "yes" },   false, v_bool,    N(install_routes), 0, 0, NULL },
	{ SEC_TUN, { "tun", "label",       "label",     "(any)" },  false, v_label,   N(label), 0, 0, NULL },
	{ SEC_TUN, { "tun", "unlabelled",  "label",     "(none)" }, false, v_label_one, N(unlabelled), 0, 0, NULL },
	{ SEC_TUN, { "tun", "persist",     "boolean",   "no" },     false, v_bool,    N(persist), 0, 0, NULL },
	{ SEC_TUN, { "tun", "offload",     "boolean",   "yes" },    false, v_bool,    N(offload), 0, 0, NULL },

	{ SEC_BRIDGE, { "bridge", "protected", "port",  "(required)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_BRIDGE, { "bridge", "open",      "port",  "(required)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_BRIDGE, { "bridge", "mode",      "word",  "(required)" }, false, v_word, B(host), 0, 0, bridge_mode_words },
	{ SEC_BRIDGE, { "bridge", "on_exit",   "word",  "block" },      false, v_word, B(on_exit_pass), 0, 0, on_exit_words },
	{ SEC_BRIDGE, { "bridge", "label",     "label", "(any)" },      false, v_label, B(label), 0, 0, NULL },
	{ SEC_BRIDGE, { "bridge", "unlabelled", "label", "(none)" },    false, v_label_one, B(unlabelled), 0, 0, NULL },
	R(FRAME_ARP, "arp", "pass", frame_words),
	R(FRAME_ND, "nd", "pass", ip_frame_words),
	R(FRAME_DHCP, "dhcp", "pass", ip_frame_words),
	R(FRAME_GROUP, "group", "pass", ip_frame_words),
	R(FRAME_LLDP, "lldp", "pass", frame_words),
	R(FRAME_STP, "stp", "pass", frame_words),
	R(FRAME_EAPOL, "eapol", "pass", frame_words),
	R(FRAME_OTHER, "other", "drop", frame_words),

	{ SEC_SA, { "sa", "direction",     "word",      "(required)" }, false, v_word, A(dir), 0, 0, dir_words },
	{ SEC_SA, { "sa", "proto",         "word",      "esp" },    false, v_word,    A(proto), 0, 0, proto_words },
	{ SEC_SA, { "sa", "mode",          "word",      "tunnel" }, false, v_word,    A(mode), 0, 0, mode_words },
	{ SEC_SA, { "sa", "spi",           "number",    "(required)" }, false, v_u32, A(spi), 0, U32, NULL },
	{ SEC_SA, { "sa", "src",           "address",   "%any" },   false, v_addr,    A(src), 0, 0, NULL },
	{ SEC_SA, { "sa", "dst",           "address",   "%any" },   false, v_addr,    A(dst), 0, 0, NULL },
	{ SEC_SA, { "sa", "interface",     "name",      "(none)" }, false, v_string,  A(interface), 0, 0, NULL },
	{ SEC_SA, { "sa", "address_preservation", "boolean", "no" }, false, v_bool,   A(preserve), 0, 0, NULL },
	{ SEC_SA, { "sa", "sender_id",     "number",    "(none)" }, false, v_u16,     A(sender_id), 0, 65535, NULL },
	{ SEC_SA, { "sa", "sender_id_bits", "number",   "8" },      false, v_u16,     A(sender_bits), 8, 16, NULL },
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
	{ SEC_SA, { "sa", "match_dscp",    "dscps",     "(any)" },  true,  v_dscps,   A(match_dscp), 0, 63, NULL },
	{ SEC_SA, { "sa", "label",         "label",     "(none)" }, false, v_label,   A(label), 0, 0, NULL },
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
	{ SEC_POLICY, { "policy", "parallel",    "names",     "(none)" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_POLICY, { "policy", "label",       "label",     "(any)" },  false, v_label, P(label), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "unlabelled",  "label",     "(as in tun or bridge)" }, false, v_label_one, P(unlabelled), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "icmp_errors", "boolean",   "yes" },  false, v_bool, P(icmp_errors), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "fragments",   "boolean",   "yes" },  false, v_bool, P(fragments), 0, 0, NULL },
	{ SEC_POLICY, { "policy", "mss_clamp",   "boolean",   "(as at the top level)" }, false, v_word, P(mss_clamp), 0, 0, tristate_words },

	{ SEC_CONN, { "connection", "version",       "word",     "0" },      false, v_word,  C(version), 0, 0, version_words },
	{ SEC_CONN, { "connection", "aggressive",    "boolean",  "no" },     false, v_bool,  C(c.aggressive), 0, 0, NULL },
	{ SEC_CONN, { "connection", "exchange",      "word",     "main" },   false, v_word,  C(c.exchange), 0, 0, exchange_words },
	{ SEC_CONN, { "connection", "commit_bit",    "boolean",  "no" },     false, v_bool,  C(c.commit_bit), 0, 0, NULL },
	{ SEC_CONN, { "connection", "local_addrs",   "hosts",    "%any" },   true,  v_host,  C(local), 0, 0, NULL },
	{ SEC_CONN, { "connection", "remote_addrs",  "hosts",    "%any" },   true,  v_host,  C(remote), 0, 0, NULL },
	{ SEC_CONN, { "connection", "local_port",    "port",     "(port_ike, or port_nat_t when remote_port is not 500)" }, false, v_u16, C(c.local_port), 1, 65535, NULL },
	{ SEC_CONN, { "connection", "remote_port",   "port",     "(500, or 4500 when local_port is port_nat_t)" }, false, v_u16,   C(c.remote_port), 1, 65535, NULL },
	{ SEC_CONN, { "connection", "proposals",     "keywords", "default" }, true, NULL,    0, 0, 0, NULL },
	{ SEC_CONN, { "connection", "allow_weak",    "boolean",  "(as at the top level)" }, false, v_word, C(allow_weak), 0, 0, tristate_words },
	{ SEC_CONN, { "connection", "encap",         "boolean",  "no" },     false, v_bool,  C(c.encap), 0, 0, NULL },
	{ SEC_CONN, { "connection", "fragmentation", "word",     "yes" },    false, v_word,  C(c.fragmentation), 0, 0, ike_frag_words },
	{ SEC_CONN, { "connection", "fragment_size", "number",   "1280" },   false, v_u32,   C(c.fragment_size), 576, 65535, NULL },
	{ SEC_CONN, { "connection", "childless",     "boolean",  "no" },     false, v_bool,  C(c.childless), 0, 0, NULL },
	{ SEC_CONN, { "connection", "send_cert",     "word",     "ifasked" }, false, v_word, C(c.send_cert), 0, 0, send_cert_words },
	{ SEC_CONN, { "connection", "send_certreq",  "boolean",  "yes" },    false, v_bool,  C(c.send_certreq), 0, 0, NULL },
	{ SEC_CONN, { "connection", "unique",        "word",     "no" },     false, v_word,  C(c.unique), 0, 0, unique_words },
	{ SEC_CONN, { "connection", "keyingtries",   "number",   "1" },      false, v_tries, C(c.keyingtries), 0, U32, NULL },
	{ SEC_CONN, { "connection", "dpd_delay",     "time",     "0" },      false, v_time_ns, C(c.dpd_delay_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "dpd_timeout",   "time",     "0" },      false, v_time_ns, C(c.dpd_timeout_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "childless_timeout", "time", "0" },      false, v_time_ns, C(c.childless_timeout_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "rekey_time",    "time",     "(4h, or none with a reauth_time)" }, false, v_time_ns, C(c.rekey_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "reauth_time",   "time",     "0" },      false, v_time_ns, C(c.reauth_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "over_time",     "time",     "(a tenth of the longer of rekey_time and reauth_time)" }, false, v_time_ns, C(c.over_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "rand_time",     "time",     "(over_time)" }, false, v_time_ns, C(c.rand_ns), 0, 0, NULL },
	{ SEC_CONN, { "connection", "ike_life_bytes", "size",    "0" },      false, v_bytes, C(c.life_bytes), 0, UINT64_MAX, NULL },

	{ SEC_CONN, { "connection", "vips",          "addresses", "(none)" }, true,  v_addrs, C(vips), 0, 0, NULL },
	{ SEC_CONN, { "connection", "pools",         "names",    "(none)" }, true,  v_names, C(pools), 0, 0, NULL },
	{ SEC_CONN, { "connection", "pull",          "boolean",  "yes" },    false, v_bool,  C(pull), 0, 0, NULL },

	{ SEC_LOCAL, { "connection.local", "auth",       "word",     "pubkey" }, false, v_word, H(method), 0, 0, auth_words },
	{ SEC_LOCAL, { "connection.local", "id",         "identity", "(of the certificate, or our address)" }, false, v_ident, H(id), 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "certs",      "paths",    "(none)" }, true,  NULL,   0, 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "pubkeys",    "paths",    "(none)" }, true,  NULL,   0, 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "key",        "paths",    "(in the same file)" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "passphrase", "secret",   "(none)" }, false, NULL,   0, 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "rsa_pss",    "boolean",  "no" },     false, v_bool, H(pss), 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "auth2",      "word",     "none" },   false, v_auth2, H(xauth), 0, 0, NULL },
	{ SEC_LOCAL, { "connection.local", "xauth_id",   "text",     "(none)" }, false, v_string, H(xauth_id), 0, 0, NULL },

	{ SEC_REMOTE, { "connection.remote", "auth",    "word",     "pubkey" }, false, v_word,  H(method), 0, 0, auth_words },
	{ SEC_REMOTE, { "connection.remote", "id",      "identity", "%any" },   false, v_ident, H(id), 0, 0, NULL },
	{ SEC_REMOTE, { "connection.remote", "cacerts", "paths",    "(cacerts at the top level)" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_REMOTE, { "connection.remote", "certs",   "paths",    "(none)" }, true,  NULL,    0, 0, 0, NULL },
	{ SEC_REMOTE, { "connection.remote", "pubkeys", "paths",    "(none)" }, true,  NULL,    0, 0, 0, NULL },
	{ SEC_REMOTE, { "connection.remote", "auth2",   "word",     "none" },   false, v_auth2, H(xauth), 0, 0, NULL },
	{ SEC_REMOTE, { "connection.remote", "xauth_id", "text",    "(any user)" }, false, v_string, H(xauth_id), 0, 0, NULL },

	{ SEC_CHILD, { "connection.child", "esp_proposals", "keywords", "default" }, true, NULL, 0, 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "ah_proposals",  "keywords", "(none)" }, true, NULL,  0, 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "local_ts",      "selectors", "dynamic" }, true, v_ts, K(c.local_ts), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "remote_ts",     "selectors", "dynamic" }, true, v_ts, K(c.remote_ts), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "pfp",           "words",   "no" },    true,  v_words,  K(c.pfp), 0, 0, pfp_words },
	{ SEC_CHILD, { "connection.child", "fragments_also", "boolean", "no" },   false, v_bool,   K(c.fragments_also), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "mode",          "word",    "tunnel" }, false, v_word, K(c.mode), 0, 0, mode_words },
	{ SEC_CHILD, { "connection.child", "rekey_time",    "time",    "1h" },    false, v_time_ns, K(c.rekey_ns), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "life_time",     "time",    "(rekey_time and a tenth of it)" }, false, v_time_ns, K(c.life_ns), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "rand_time",     "time",    "(what life_time is more than rekey_time)" }, false, v_time_ns, K(c.rand_ns), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "rekey_bytes",   "size",    "0" },     false, v_bytes, K(c.rekey_bytes), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "life_bytes",    "size",    "(rekey_bytes and a tenth of it)" }, false, v_bytes, K(c.life_bytes), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "rand_bytes",    "size",    "(what life_bytes is more than rekey_bytes)" }, false, v_bytes, K(c.rand_bytes), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "rekey_packets", "number",  "0" },     false, v_u64,   K(c.rekey_packets), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "life_packets",  "number",  "(rekey_packets and a tenth of it)" }, false, v_u64, K(c.life_packets), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "rand_packets",  "number",  "(what life_packets is more than rekey_packets)" }, false, v_u64, K(c.rand_packets), 0, UINT64_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "start_action",  "word",    "none" },  false, v_word,  K(c.start), 0, 0, start_words },
	{ SEC_CHILD, { "connection.child", "dpd_action",    "word",    "clear" }, false, v_word,  K(c.dpd_action), 0, 0, dpd_words },
	{ SEC_CHILD, { "connection.child", "close_action",  "word",    "none" },  false, v_word,  K(c.close_action), 0, 0, close_words },
	{ SEC_CHILD, { "connection.child", "inactivity",    "time",    "0" },     false, v_time_ns, K(c.inactivity_ns), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "replay_window", "number",  "2048" },  false, v_u32,   K(c.replay_window), 0, REPLAY_WINDOW_MAX, NULL },
	{ SEC_CHILD, { "connection.child", "df",            "word",    "copy" },  false, v_word,  K(c.df), 0, 0, df_words },
	{ SEC_CHILD, { "connection.child", "fragment",      "word",    "before" }, false, v_word, K(c.fragment), 0, 0, fragment_words },
	{ SEC_CHILD, { "connection.child", "ecn",           "boolean", "yes" },   false, v_bool,  K(c.ecn), 0, 0, NULL },
	{ SEC_CHILD, { "connection.child", "dscp",          "dscp",    "copy" },  false, v_dscp,  K(c.dscp), 0, 63, NULL },
	{ SEC_CHILD, { "connection.child", "mtu",           "number",  "0" },     false, v_u32,   K(c.path_mtu), 0, 65535, NULL },
	{ SEC_CHILD, { "connection.child", "mss_clamp",     "boolean", "(as at the top level)" }, false, v_word, K(mss_clamp), 0, 0, tristate_words },

	{ SEC_SECRET, { "secret", "id",     "identities", "(anybody)" },  true,  NULL, 0, 0, 0, NULL },
	{ SEC_SECRET, { "secret", "secret", "secret",     "(required)" }, false, NULL, 0, 0, 0, NULL },

	{ SEC_POOL, { "pool", "addrs",         "ranges",    "(required)" }, true, v_range, L(addrs), 0, 0, NULL },
	{ SEC_POOL, { "pool", "dns",           "addresses", "(none)" }, true,  v_addrs,   L(dns), 0, 0, NULL },
	{ SEC_POOL, { "pool", "nbns",          "addresses", "(none)" }, true,  v_addrs,   L(nbns), 0, 0, NULL },
	{ SEC_POOL, { "pool", "split_include", "prefixes",  "(none)" }, true,  v_prefix,  L(include), 0, 0, NULL },
	{ SEC_POOL, { "pool", "split_exclude", "prefixes",  "(none)" }, true,  v_prefix,  L(exclude), 0, 0, NULL },
	{ SEC_POOL, { "pool", "domain",        "text",      "(none)" }, false, v_string,  L(p.domain), 0, 0, NULL },
	{ SEC_POOL, { "pool", "split_dns",     "text",      "(none)" }, false, v_string,  L(p.split_dns), 0, 0, NULL },
	{ SEC_POOL, { "pool", "banner",        "text",      "(none)" }, false, v_string,  L(p.banner), 0, 0, NULL },
	{ SEC_POOL, { "pool", "lease_time",    "time",      "0" },      false, v_time_ns, L(p.keep_ns), 0, 0, NULL },

	{ SEC_USER, { "user", "secret", "secret", "(none)" }, false, NULL, 0, 0, 0, NULL },
	{ SEC_USER, { "user", "hash",   "text",   "(none)" }, false, NULL, 0, 0, 0, NULL },
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

static const struct {
	const char *name;
	enum section in;
	bool named;
} sections[SECTIONS] = {
	[SEC_TOP] = { "", SEC_TOP, false },	  [SEC_IKE] = { "", SEC_TOP, false },
	[SEC_LOG] = { "log", SEC_TOP, false },	  [SEC_TUN] = { "tun", SEC_TOP, true },
	[SEC_BRIDGE] = { "bridge", SEC_TOP, true },
	[SEC_SA] = { "sa", SEC_TOP, true },	  [SEC_POLICY] = { "policy", SEC_TOP, true },
	[SEC_CONN] = { "connection", SEC_TOP, true }, [SEC_LOCAL] = { "local", SEC_CONN, false },
	[SEC_REMOTE] = { "remote", SEC_CONN, false }, [SEC_CHILD] = { "child", SEC_CONN, true },
	[SEC_SECRET] = { "secret", SEC_TOP, true },   [SEC_POOL] = { "pool", SEC_TOP, true },
	[SEC_USER] = { "user", SEC_TOP, true },
};

const char *section_name(enum section s)
{
	return sections[s].name;
}

enum section section_in(enum section s)
{
	return sections[s].in;
}

bool section_named(enum section s)
{
	return sections[s].named;
}

bool key_row_in(const struct key_row *row, enum section s)
{
	return row->sec == s || (row->sec == SEC_IKE && s == SEC_TOP);
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
		char words[128], title[ITEM_STRLEN];
		report_item(ld, it, "%s has no %s; expected %s = %s", item_title(it, title), row->doc.key, row->doc.key,
			    row->words ? words_text(row->words, words, sizeof(words)) : row->doc.type);
	}
}

void keys_apply(struct loader *ld, const struct item *it, void *base)
{
	for (size_t i = 0; i < ARRAY_LEN(key_rows); i++)
		if (key_rows[i].sec == it->kind)
			row_apply(ld, &key_rows[i], it, base);
}
