/* Text from JSON; format_ike.c has what is about connections. Columns that belong together are lined up; a number comes with its unit. */
#include "control/format_priv.h"

static const char *scaled(double v, const char *const *unit, unsigned n, const char *base,
			  char out[FORMAT_LEN])
{
	unsigned i = 0;

	if (v < 999.5) {
		snprintf(out, FORMAT_LEN, "%.0f %s", v, base);
		return out;
	}
	/* 999.95 is where "%.1f" would show 1000.0 */
	for (v /= 1000; v >= 999.95 && i + 1 < n; i++)
		v /= 1000;
	snprintf(out, FORMAT_LEN, "%.1f %s", v, unit[i]);
	return out;
}

const char *format_bytes(uint64_t bytes, char out[FORMAT_LEN])
{
	static const char *const unit[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	return scaled((double)bytes, unit, ARRAY_LEN(unit), "B", out);
}

const char *format_rate(double bits_per_s, char out[FORMAT_LEN])
{
	static const char *const unit[] = { "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	return scaled(bits_per_s, unit, ARRAY_LEN(unit), "bit/s", out);
}

const char *format_seconds(uint64_t s, char out[FORMAT_LEN])
{
	unsigned long long v = s;

	if (v < 60)
		snprintf(out, FORMAT_LEN, "%llus", v);
	else if (v < 3600)
		snprintf(out, FORMAT_LEN, "%llum %llus", v / 60, v % 60);
	else if (v < 86400)
		snprintf(out, FORMAT_LEN, "%lluh %llum", v / 3600, v / 60 % 60);
	else
		snprintf(out, FORMAT_LEN, "%llud %lluh", v / 86400, v / 3600 % 24);
	return out;
}

const char *format_when(time_t t, char out[FORMAT_LEN])
{
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(out, FORMAT_LEN, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, FORMAT_LEN, "-");
	return out;
}

void format_names(const json_t *v, const char *between, FILE *to)
{
	size_t i;
	json_t *one;

	if (json_array_size(v) == 0)
		fputc('-', to);
	json_array_foreach(v, i, one) fprintf(to, "%s%s", i ? between : "", json_string_value(one));
}

/* ---- status -----------------------------------------------------------------------------------
 */

static void line_of_traffic(const json_t *t, const char *key, const char *label, FILE *to)
{
	const json_t *v = json_object_get(t, key);
	char bytes[FORMAT_LEN], rate[FORMAT_LEN];

	fprintf(to, "  %-10s %llu packets, %s", label, (unsigned long long)number(v, "packets"),
		format_bytes(number(v, "bytes"), bytes));
	if (json_object_get(v, "bits_per_s"))
		fprintf(to, " (now %s, %.0f packets/s)",
			format_rate(json_number_value(json_object_get(v, "bits_per_s")), rate),
			json_number_value(json_object_get(v, "packets_per_s")));
	fputc('\n', to);
}

static void sockets(const json_t *s, FILE *to)
{
	static const struct {
		const char *key, *name;
	} row[] = { { "udp4", "UDP over IPv4" },
		    { "udp6", "UDP over IPv6" },
		    { "raw4", "raw ESP over IPv4" },
		    { "raw6", "raw ESP over IPv6" },
		    { "ah4", "AH over IPv4" },
		    { "ah6", "AH over IPv6" } };
	bool any = false;

	fprintf(to, "sockets:    ");
	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		if (!yes(s, row[i].key))
			continue;
		fprintf(to, "%s%s", any ? ", " : "", row[i].name);
		any = true;
	}
	if (!any)
		fputc('-', to);
	if (yes(s, "udp4") || yes(s, "udp6"))
		fprintf(to, "; port %d, segmentation offload %s, receive coalescing %s",
			(int)number(s, "port"), yes(s, "gso") ? "on" : "off",
			yes(s, "gro") ? "on" : "off");
	fputc('\n', to);
}

static void device(const json_t *tun, FILE *to)
{
	if (!json_is_object(tun)) {
		fprintf(to, "tun:        none\n");
		return;
	}
	fprintf(to, "tun:        %s, mtu %d, offloads ", text(tun, "name"),
		(int)number(tun, "mtu"));
	format_names(json_object_get(tun, "offloads"), " ", to);
	if (json_object_get(tun, "table"))
		fprintf(to, ", routes in table %d (all but fwmark 0x%x)", (int)number(tun, "table"),
			(unsigned)number(tun, "fwmark"));
	fputc('\n', to);
}

static void bridge(const json_t *b, FILE *to)
{
	const json_t *rules = json_object_get(b, "rules"), *rule;
	const char *kind;

	fprintf(to, "bridge:     %s, mode %s, protected %s, open %s, mtu %d, on_exit %s\n", text(b, "name"),
		text(b, "mode"), text(b, "protected"), text(b, "open"), (int)number(b, "mtu"),
		text(b, "on_exit"));
	fprintf(to, "            %lld frames passed by rule:", (long long)number(b, "bridged"));
	json_object_foreach((json_t *)(uintptr_t)rules, kind, rule)
	    fprintf(to, " %s %s", kind, json_string_value(rule));
	fputc('\n', to);
}

void format_status(const json_t *s, FILE *to)
{
	const json_t *sas = json_object_get(s, "sas"), *t = json_object_get(s, "traffic");
	const json_t *drops = json_object_get(s, "drops"), *err = json_object_get(s, "last_error");
	char a[FORMAT_LEN], b[FORMAT_LEN];

	fprintf(to, "bumpwire %s, up since %s (%s), process %d\n", text(s, "version"),
		format_when((time_t)number(s, "started"), a), format_seconds(number(s, "uptime_s"), b),
		(int)number(s, "pid"));
	fprintf(to, "config:     %s", text(s, "config"));
	if (json_is_integer(json_object_get(s, "reloaded")))
		fprintf(to, ", reloaded %s", format_when((time_t)number(s, "reloaded"), a));
	fprintf(to, "\nworkers:    %d\n", (int)number(s, "workers"));
	if (json_is_object(json_object_get(s, "bridge")))
		bridge(json_object_get(s, "bridge"), to);
	else
		device(json_object_get(s, "tun"), to);
	sockets(json_object_get(s, "sockets"), to);
	fprintf(to, "crypto:     ");
	format_names(json_object_get(s, "crypto"), ", ", to);
	fprintf(to, "\nSAs:        %d out, %d in", (int)number(sas, "out"), (int)number(sas, "in"));
	if (number(sas, "expired"))
		fprintf(to, ", %d of them expired", (int)number(sas, "expired"));
	fprintf(to, "\npolicies:   %d\n", (int)number(s, "policies"));
	format_connections(json_object_get(s, "connections"), to);
	fprintf(to, "traffic:\n");
	line_of_traffic(t, "out", "out", to);
	line_of_traffic(t, "in", "in", to);
	if (number(json_object_get(t, "bypass"), "packets"))
		line_of_traffic(t, "bypass", "bypassed", to);
	line_of_traffic(t, "wire_out", "ESP out", to);
	line_of_traffic(t, "wire_in", "ESP in", to);
	if (json_array_size(drops) == 0) {
		fprintf(to, "drops:      none\n");
	} else {
		fprintf(to, "drops:\n");
		format_drops(drops, to);
	}
	if (json_is_object(err))
		fprintf(to, "last error: %s: %s\n", format_when((time_t)number(err, "when"), a),
			text(err, "what"));
	else
		fprintf(to, "last error: none\n");
}

void format_drops(const json_t *drops, FILE *to)
{
	size_t i;
	json_t *d;

	json_array_foreach(drops, i, d)
	    fprintf(to, "  %-16s %12llu  %s\n", text(d, "reason"),
		    (unsigned long long)number(d, "packets"), text(d, "why"));
}

/* ---- SAs and policies -------------------------------------------------------------------------
 */

/* ", 4.0 MB left": the limits that there are. */
static void limits(const json_t *left, const char *label, FILE *to)
{
	const json_t *bytes = json_object_get(left, "bytes"),
		     *packets = json_object_get(left, "packets"),
		     *seconds = json_object_get(left, "seconds");
	const char *between = "";
	char out[FORMAT_LEN];

	if (!json_is_integer(bytes) && !json_is_integer(packets) && !json_is_integer(seconds))
		return;
	fprintf(to, "  %s lifetime left: ", label);
	if (json_is_integer(bytes)) {
		fprintf(to, "%s", format_bytes((uint64_t)json_integer_value(bytes), out));
		between = ", ";
	}
	if (json_is_integer(packets)) {
		fprintf(to, "%s%lld packets", between, (long long)json_integer_value(packets));
		between = ", ";
	}
	if (json_is_integer(seconds))
		fprintf(to, "%s%s", between,
			format_seconds((uint64_t)json_integer_value(seconds), out));
	fputc('\n', to);
}

static void numbers(const json_t *v, FILE *to)
{
	for (size_t i = 0; i < json_array_size(v); i++)
		fprintf(to, "%s %d", i ? "," : "", (int)json_integer_value(json_array_get(v, i)));
}

static void group(const json_t *g, bool out, FILE *to)
{
	fprintf(to, "\n  multicast on %s", text(g, "interface"));
	if (!yes(g, "present"))
		fprintf(to, ", which there is not");
	else if (!out)
		fprintf(to, yes(g, "joined") ? ", joined" : ", not joined");
	if (json_is_integer(json_object_get(g, "sender_id")))
		fprintf(to, ", sender %d", (int)number(g, "sender_id"));
	if (yes(g, "address_preservation"))
		fprintf(to, ", inner addresses outside");
}

static void one_sa(const json_t *sa, FILE *to)
{
	const json_t *drops = json_object_get(sa, "drops"), *life = json_object_get(sa, "lifetime");
	char bytes[FORMAT_LEN], age[FORMAT_LEN];
	bool out = strcmp(text(sa, "dir"), "out") == 0;

	fprintf(to, "%s: %s, spi %s, %s %s, %s\n", text(sa, "name"), text(sa, "dir"),
		text(sa, "spi"), text(sa, "proto"), text(sa, "mode"), text(sa, "state"));
	fprintf(to, "  %s -> %s%s", text(sa, "src"), text(sa, "dst"),
		strcmp(text(sa, "encap"), "udp") == 0 ? " in UDP" : "");
	if (json_is_string(json_object_get(sa, "peer")))
		fprintf(to, ", peer at %s", text(sa, "peer"));
	if (json_is_string(json_object_get(sa, "label")))
		fprintf(to, "\n  label %s", text(sa, "label"));
	if (json_is_array(json_object_get(sa, "match_dscp"))) {
		fprintf(to, "\n  for DSCP");
		numbers(json_object_get(sa, "match_dscp"), to);
	}
	if (json_is_object(json_object_get(sa, "group")))
		group(json_object_get(sa, "group"), out, to);
	fprintf(to, "\n  %s by %s%s", text(sa, "cipher"), text(sa, "backend"),
		yes(sa, "esn") ? ", 64-bit sequence numbers" : "");
	if (out)
		fprintf(to, ", inner packets up to %d bytes", (int)number(sa, "mtu"));
	else
		fprintf(to, ", replay window %d", (int)number(sa, "replay_window"));
	fprintf(to, "\n  sequence number %llu, %llu packets, %s, installed %s ago",
		(unsigned long long)number(sa, "seq"), (unsigned long long)number(sa, "packets"),
		format_bytes(number(sa, "bytes"), bytes), format_seconds(number(sa, "age_s"), age));
	if (json_is_integer(json_object_get(sa, "idle_s")))
		fprintf(to, ", used %s ago", format_seconds(number(sa, "idle_s"), age));
	fputc('\n', to);
	limits(json_object_get(life, "soft_left"), "soft", to);
	limits(json_object_get(life, "hard_left"), "hard", to);
	uint64_t n = number(drops, "replay") + number(drops, "auth") + number(drops, "policy") +
		     number(drops, "other");
	if (n)
		fprintf(to,
			"  dropped: %llu replayed or too old, %llu failed authentication, %llu "
			"against policy, %llu other\n",
			(unsigned long long)number(drops, "replay"),
			(unsigned long long)number(drops, "auth"),
			(unsigned long long)number(drops, "policy"),
			(unsigned long long)number(drops, "other"));
}

void format_sas(const json_t *sas, FILE *to)
{
	size_t i;
	json_t *sa;

	json_array_foreach(sas, i, sa)
	{
		if (strcmp(text(sa, "proto"), "ike") == 0)
			format_ike_sa(sa, 0, to);
		else
			one_sa(sa, to);
	}
}

void format_policies(const json_t *policies, FILE *to)
{
	size_t i;
	json_t *p;
	char ago[FORMAT_LEN];

	json_array_foreach(policies, i, p)
	{
		fprintf(to, "%d %s: %s", (int)number(p, "order"), text(p, "name"),
			text(p, "action"));
		if (strcmp(text(p, "dir"), "both") != 0)
			fprintf(to, " (%s only)", text(p, "dir"));
		fprintf(to, "\n  ");
		format_names(json_object_get(p, "selectors"), "\n  ", to);
		if (strcmp(text(p, "action"), "protect") == 0) {
			if (number(p, "reqid")) {
				fprintf(to, "\n  by the SAs with reqid %d",
					(int)number(p, "reqid"));
			} else {
				fprintf(to, "\n  out by ");
				format_names(json_object_get(p, "out"), ", ", to);
				fprintf(to, "; in by ");
				format_names(json_object_get(p, "in"), ", ", to);
				if (json_is_array(json_object_get(p, "parallel"))) {
					fprintf(to, "\n  in parallel: ");
					format_names(json_object_get(p, "parallel"), ", ", to);
				}
			}
		}
		if (json_is_string(json_object_get(p, "label")))
			fprintf(to, "\n  label %s", text(p, "label"));
		fprintf(to, "\n  %llu flows", (unsigned long long)number(p, "hits"));
		if (json_is_integer(json_object_get(p, "last_hit_s")))
			fprintf(to, ", the last %s ago",
				format_seconds(number(p, "last_hit_s"), ago));
		fputc('\n', to);
	}
}

/* ---- events -----------------------------------------------------------------------------------
 */

void format_event(const json_t *event, FILE *to)
{
	double t = json_number_value(json_object_get(event, "time"));
	const char *key;
	json_t *v;
	char at[FORMAT_LEN];

	fprintf(to, "%s.%03d %s", format_when((time_t)t, at), (int)((t - (double)(time_t)t) * 1000),
		text(event, "event"));
	json_object_foreach((json_t *)(uintptr_t)event, key, v)
	{
		if (strcmp(key, "time") == 0 || strcmp(key, "event") == 0 || json_is_null(v))
			continue;
		if (json_is_array(v) && json_array_size(v) == 0)
			continue;
		fprintf(to, " %s=", key);
		if (json_is_string(v)) {
			bool plain = strpbrk(json_string_value(v), " \"") == NULL;
			fprintf(to, plain ? "%s" : "\"%s\"", json_string_value(v));
		} else if (json_is_integer(v)) {
			fprintf(to, "%lld", (long long)json_integer_value(v));
		} else if (json_is_array(v)) {
			format_names(v, "; ", to);
		} else if (json_is_object(v)) {
			(void)json_dumpf(v, to, JSON_COMPACT | JSON_PRESERVE_ORDER);
		}
	}
	fputc('\n', to);
}
