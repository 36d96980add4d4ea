/* The daemon's state as JSON: what `status` and `list` show. Keys never appear here. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/group.h"
#include "control/keying.h"
#include "control/state.h"
#include "ipsec/pick.h"

#include "config.h"

static json_t *u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *opt_text(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

/* ---- status -----------------------------------------------------------------------------------
 */

static double per_second(uint64_t now, uint64_t before, uint64_t span_ns)
{
	return span_ns ? (double)(now - before) * 1e9 / (double)span_ns : 0;
}

static json_t *traffic(uint64_t packets, uint64_t bytes, double pps, double bps)
{
	return json_pack("{s:o, s:o, s:f, s:f}", "packets", u64(packets), "bytes", u64(bytes),
			 "packets_per_s", pps, "bits_per_s", bps);
}

static json_t *tun_status(const struct daemon *d)
{
	static const struct {
		unsigned bit;
		const char *name;
	} can[] = { { TUN_CAN_CSUM, "checksum" },
		    { TUN_CAN_TSO4, "tso4" },
		    { TUN_CAN_TSO6, "tso6" },
		    { TUN_CAN_USO4, "uso4" },
		    { TUN_CAN_USO6, "uso6" } };
	char text[IP_RANGE_STRLEN];

	if (!d->tun_open)
		return json_null();
	json_t *offloads = json_array(), *addrs = json_array(), *routes = json_array();
	for (unsigned i = 0; i < ARRAY_LEN(can); i++)
		if (d->tun.can & can[i].bit)
			json_array_append_new(offloads, json_string(can[i].name));
	for (unsigned i = 0; i < d->net.n_addr; i++)
		json_array_append_new(addrs,
				      json_string(ip_prefix_format(&d->net.addr[i].prefix, text)));
	for (unsigned i = 0; i < d->net.n_route; i++)
		if (!d->net.route[i].away)
			json_array_append_new(
			    routes, json_string(ip_prefix_format(&d->net.route[i].prefix, text)));
	json_t *v = json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:b}", "name", d->tun.name, "mtu",
			      (int)d->net.mtu, "queues", (int)d->tun.queues, "offloads", offloads,
			      "addresses", addrs, "routes", routes, "persist", (int)d->tun.persist);
	if (d->net.rule[0] || d->net.rule[1]) {
		json_object_set_new(v, "table", u64(d->net.table));
		json_object_set_new(v, "fwmark", u64(d->net.mark));
	}
	return v;
}

static json_t *socket_status(const struct daemon *d)
{
	const struct plane_opts *o = &d->opened;

	if (!d->plane)
		return json_null();
	return json_pack("{s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:i, s:b, s:b}", "udp4", (int)o->udp4,
			 "udp6", (int)o->udp6, "raw4", (int)o->raw4, "raw6", (int)o->raw6, "ah4",
			 (int)o->ah4, "ah6", (int)o->ah6, "bypass", (int)o->bypass, "port", (int)o->port, "gso", (int)plane_has_gso(d->plane),
			 "gro", (int)plane_has_gro(d->plane));
}

static json_t *crypto_status(void)
{
	json_t *v = json_array();

	for (enum crypt_backend b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++)
		if (crypt_backend_present(b))
			json_array_append_new(v, json_string(crypt_backend_describe(b)));
	return v;
}

struct sa_counts {
	unsigned in, out, dead;
};

static void count_sa(struct sa *sa, void *arg)
{
	struct sa_counts *n = arg;

	n->in += sa->dir == DIR_IN;
	n->out += sa->dir == DIR_OUT;
	n->dead += !sa_usable(sa);
}

static json_t *sa_counts(const struct daemon *d)
{
	struct sa_counts n = { 0 };

	for (unsigned i = 0; i < d->n_sas; i++)
		count_sa(d->sas[i].sa, &n);
	keying_each_sa(d->keying, count_sa, &n);
	return json_pack("{s:i, s:i, s:i}", "in", (int)n.in, "out", (int)n.out, "expired",
			 (int)n.dead);
}

json_t *report_drops(struct daemon *d)
{
	struct plane_stats s = { 0 };
	json_t *v = json_array();
	static const char *const sev[] = {
		[DROP_SEV_INFO] = "info", [DROP_SEV_WARN] = "warn", [DROP_SEV_ERROR] = "error"
	};
	static const char *const dir[] = {
		[DROP_DIR_OUT] = "out", [DROP_DIR_IN] = "in", [DROP_DIR_ANY] = "any"
	};

	if (d->plane)
		plane_stats(d->plane, &s);
	for (enum drop r = DROP_NONE + 1; r < DROP_REASONS; r++) {
		const struct drop_info *i = drop_info(r);
		json_array_append_new(v, json_pack("{s:s, s:o, s:s, s:s, s:s}", "reason", i->metric,
						   "packets", u64(s.drop.n[r]), "dir", dir[i->dir],
						   "severity", sev[i->severity], "why", i->why));
	}
	return v;
}

static json_t *drops_seen(const struct plane_stats *s)
{
	json_t *v = json_array();

	for (enum drop r = DROP_NONE + 1; r < DROP_REASONS; r++)
		if (s->drop.n[r])
			json_array_append_new(
			    v, json_pack("{s:s, s:o, s:s}", "reason", drop_info(r)->metric,
					 "packets", u64(s->drop.n[r]), "why", drop_info(r)->why));
	return v;
}

static json_t *traffic_status(const struct daemon *d, const struct plane_stats *s)
{
	const struct plane_stats *a = &d->before, *b = &d->now;
	uint64_t span = d->before_ns ? d->now_ns - d->before_ns : 0;

	json_t *out =
	    traffic(s->out_packets, s->out_bytes, per_second(b->out_packets, a->out_packets, span),
		    8 * per_second(b->out_bytes, a->out_bytes, span));
	json_t *in =
	    traffic(s->in_packets, s->in_bytes, per_second(b->in_packets, a->in_packets, span),
		    8 * per_second(b->in_bytes, a->in_bytes, span));
	json_t *bypass = traffic(s->bypass_packets, s->bypass_bytes,
				 per_second(b->bypass_packets, a->bypass_packets, span),
				 8 * per_second(b->bypass_bytes, a->bypass_bytes, span));
	return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}}", "out", out, "in", in,
			 "bypass", bypass, "wire_out", "packets", u64(s->out_wire_packets), "bytes",
			 u64(s->out_wire_bytes), "wire_in", "packets", u64(s->in_wire_packets),
			 "bytes", u64(s->in_wire_bytes));
}

static json_t *work_status(const struct plane_stats *s)
{
	const struct {
		const char *name;
		uint64_t n;
	} row[] = {
		{ "tun_reads", s->tun_reads },
		{ "tun_writes", s->tun_writes },
		{ "sends", s->sends },
		{ "recvs", s->recvs },
		{ "flow_hits", s->flow_hits },
		{ "flow_misses", s->flow_misses },
		{ "icmp_sent", s->icmp_sent },
		{ "rst_sent", s->rst_sent },
		{ "mss_clamped", s->mss_clamped },
		{ "fragmented", s->fragmented },
		{ "reassembled", s->reassembled },
		{ "keepalives_in", s->keepalives_in },
	};
	json_t *v = json_object();

	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		json_object_set_new(v, row[i].name, u64(row[i].n));
	return v;
}

json_t *report_status(struct daemon *d)
{
	struct plane_stats s = { 0 };

	if (d->plane)
		plane_stats(d->plane, &s);
	json_t *v = json_pack("{s:s, s:i, s:s, s:s, s:o, s:o}", "version", PACKAGE_VERSION, "pid",
			      (int)getpid(), "config", d->conf_path, "run_dir", d->run_dir,
			      "started", u64(d->started_wall_ns / NS_PER_S), "uptime_s",
			      u64((clock_now_ns() - d->started_ns) / NS_PER_S));
	if (!v)
		return NULL;
	json_object_set_new(
	    v, "reloaded", d->reloaded_wall_ns ? u64(d->reloaded_wall_ns / NS_PER_S) : json_null());
	json_object_set_new(v, "workers", json_integer(d->plane ? plane_workers(d->plane) : 0));
	json_object_set_new(v, "tun", tun_status(d));
	json_object_set_new(v, "bridge", bridge_status(&d->bridge, d->cfg ? d->cfg->bridge : NULL, s.bridged));
	json_object_set_new(v, "sockets", socket_status(d));
	json_object_set_new(v, "crypto", crypto_status());
	json_object_set_new(v, "seccomp", json_boolean(d->filtered));
	json_object_set_new(v, "sas", sa_counts(d));
	json_object_set_new(
	    v, "policies",
	    json_integer(d->plane && plane_spd(d->plane) ? spd_count(plane_spd(d->plane)) : 0));
	json_object_set_new(v, "ike", report_ike(d));
	json_object_set_new(v, "connections", report_conns(d));
	json_object_set_new(v, "traffic", traffic_status(d, &s));
	json_object_set_new(v, "work", work_status(&s));
	json_object_set_new(v, "drops", drops_seen(&s));
	if (d->error[0])
		json_object_set_new(v, "last_error",
				    json_pack("{s:o, s:s}", "when",
					      u64(d->error_wall_ns / NS_PER_S), "what", d->error));
	else
		json_object_set_new(v, "last_error", json_null());
	return v;
}

/* ---- SAs --------------------------------------------------------------------------------------
 */

static json_t *addr_json(const struct ip_addr *a)
{
	char text[IP_ADDR_STRLEN];

	return json_string(a->ver ? ip_addr_format(a, text) : "%any");
}

/* Of a limit: how much is left; null for no limit. */
static json_t *left_of(uint64_t limit, uint64_t used)
{
	return limit == 0 ? json_null() : u64(limit > used ? limit - used : 0);
}

static json_t *lifetime(const struct sa *sa, uint64_t age_ns)
{
	const struct sa_lifetime *l = &sa->conf->life;
	uint64_t bytes = atomic_load(&sa->bytes), packets = atomic_load(&sa->packets);
	json_t *soft = json_pack("{s:o, s:o, s:o}", "bytes", left_of(l->soft_bytes, bytes),
				 "packets", left_of(l->soft_packets, packets), "seconds",
				 left_of(l->soft_ns / NS_PER_S, age_ns / NS_PER_S));
	json_t *hard = json_pack("{s:o, s:o, s:o}", "bytes", left_of(l->hard_bytes, bytes),
				 "packets", left_of(l->hard_packets, packets), "seconds",
				 left_of(l->hard_ns / NS_PER_S, age_ns / NS_PER_S));
	return json_pack("{s:o, s:o}", "soft_left", soft, "hard_left", hard);
}

static const char *state_name(const struct sa *sa)
{
	if (!sa_usable(sa))
		return "expired";
	return atomic_load(&sa->soft_raised) ? "soft-expired" : "alive";
}

static json_t *dscp_json(uint64_t bits)
{
	json_t *a = json_array();

	for (int i = 0; i < 64; i++)
		if (bits >> i & 1)
			json_array_append_new(a, json_integer(i));
	return a;
}

json_t *report_sa(struct sa *sa, uint64_t now)
{
	const struct sa_conf *c = sa->conf;
	const struct sa_path *path = atomic_load(&sa->path);
	uint64_t age = now - sa->installed_ns, used = atomic_load(&sa->last_used_ns);
	char spi[16], suite[48], peer[ENDPOINT_STRLEN] = "";

	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	esp_suite_name(&c->suite, suite);
	if (path && path->dst.addr.ver && path->dst.port)
		endpoint_format(&path->dst, peer);
	else if (path && path->dst.addr.ver)
		ip_addr_format(&path->dst.addr, peer);
	json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", c->name,
			      "spi", spi, "dir", sa->dir == DIR_OUT ? "out" : "in", "proto",
			      sa->proto == SA_AH ? "ah" : "esp", "mode",
			      sa->mode == SA_TUNNEL ? "tunnel" : "transport", "encap",
			      sa->encap == SA_ENCAP_UDP ? "udp" : "none", "src", addr_json(&c->src),
			      "dst", addr_json(&c->dst), "peer", opt_text(peer));
	if (!v)
		return NULL;
	if (sa->reqid)
		json_object_set_new(v, "reqid", u64(sa->reqid));
	if (c->label) {
		char label[LABEL_STRLEN];
		json_object_set_new(v, "label", json_string(label_range_format(c->label, label)));
	}
	if (c->match_dscp)
		json_object_set_new(v, "match_dscp", dscp_json(c->match_dscp));
	json_object_set_new(v, "cipher", json_string(suite));
	json_object_set_new(v, "backend",
			    json_string(crypt_backend_name(crypt_key_backend(&sa->key))));
	json_object_set_new(v, "esn", json_boolean(sa->esn));
	json_object_set_new(
	    v, "seq",
	    u64(sa->dir == DIR_OUT ? atomic_load(&sa->seq) : atomic_load(&sa->replay.top)));
	json_object_set_new(v, "replay_window",
			    sa->dir == DIR_IN ? json_integer(sa->replay.window) : json_null());
	json_object_set_new(
	    v, "mtu", sa->dir == DIR_OUT ? json_integer(atomic_load(&sa->inner_mtu)) : json_null());
	json_object_set_new(v, "packets", u64(atomic_load(&sa->packets)));
	json_object_set_new(v, "bytes", u64(atomic_load(&sa->bytes)));
	json_object_set_new(v, "state", json_string(state_name(sa)));
	json_object_set_new(v, "age_s", u64(age / NS_PER_S));
	json_object_set_new(v, "idle_s",
			    used && used <= now ? u64((now - used) / NS_PER_S) : json_null());
	json_object_set_new(v, "lifetime", lifetime(sa, age));
	json_object_set_new(v, "drops",
			    json_pack("{s:o, s:o, s:o, s:o}", "replay",
				      u64(atomic_load(&sa->drops[SA_DROP_REPLAY])), "auth",
				      u64(atomic_load(&sa->drops[SA_DROP_AUTH])), "policy",
				      u64(atomic_load(&sa->drops[SA_DROP_POLICY])), "other",
				      u64(atomic_load(&sa->drops[SA_DROP_OTHER]))));
	return v;
}

/* Of an SA to a multicast group. */
static json_t *group_json(const struct daemon *d, const struct sa *sa)
{
	const struct sa_conf *c = sa->conf;
	json_t *v = json_pack("{s:s, s:b, s:b}", "interface", c->interface, "present",
			      atomic_load(&sa->ifindex) != 0, "address_preservation", (int)c->preserve);

	json_object_set_new(v, "joined", sa->dir == DIR_IN ? json_boolean(group_joined(d, sa)) : json_null());
	json_object_set_new(v, "sender_id", c->sender_bits ? json_integer(c->sender_id) : json_null());
	return v;
}

static void append_sa(struct sa *sa, void *list)
{
	json_array_append_new(list, report_sa(sa, clock_now_ns()));
}

json_t *report_sas(struct daemon *d)
{
	json_t *v = json_array();

	report_ike_sas(d, v);
	keying_each_sa(d->keying, append_sa, v);
	for (unsigned i = 0; i < d->n_sas; i++) {
		json_t *sa = report_sa(d->sas[i].sa, clock_now_ns());
		if (d->sas[i].sa->group)
			json_object_set_new(sa, "group", group_json(d, d->sas[i].sa));
		json_array_append_new(v, sa);
	}
	return v;
}

/* ---- policies ---------------------------------------------------------------------------------
 */

static json_t *sa_names(struct sa *const *v, unsigned n)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, json_string(v[i]->conf->name));
	return a;
}

static json_t *policy_json(const struct policy *p, uint64_t now)
{
	static const char *const action[] = { [POLICY_PROTECT] = "protect",
					      [POLICY_BYPASS] = "bypass",
					      [POLICY_DISCARD] = "discard",
					      [POLICY_REJECT] = "reject" };
	char text[SELECTOR_STRLEN];
	json_t *sel = json_array();
	uint64_t last = atomic_load(&p->last_hit_ns);

	for (unsigned i = 0; i < p->n_sel; i++)
		json_array_append_new(sel, json_string(selector_format(&p->sel[i], text)));
	json_t *v = json_pack("{s:i, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "order",
			 (int)p->order, "name", p->name, "action", action[p->action], "reqid",
			 p->reqid ? u64(p->reqid) : json_null(), "dir",
			 p->dirs == POLICY_DIR_OUT  ? "out"
			 : p->dirs == POLICY_DIR_IN ? "in"
						    : "both",
			 "selectors", sel, "out", sa_names(p->out, p->n_out), "in",
			 sa_names(p->in, p->n_in), "hits", u64(atomic_load(&p->hits)), "last_hit_s",
			 last && last <= now ? u64((now - last) / NS_PER_S) : json_null());
	if (v && p->n_also)
		json_object_set_new(v, "parallel", sa_names(p->also, p->n_also));
	if (v && p->labels && p->labels->range) {
		char label[LABEL_STRLEN];
		json_object_set_new(v, "label", json_string(label_range_format(p->labels->range, label)));
	}
	return v;
}

json_t *report_policies(struct daemon *d)
{
	const struct spd *spd = d->plane ? plane_spd(d->plane) : NULL;
	uint64_t now = clock_now_ns();
	json_t *v = json_array();

	for (unsigned i = 0; spd && i < spd_count(spd); i++)
		json_array_append_new(v, policy_json(spd_policy(spd, i), now));
	return v;
}
