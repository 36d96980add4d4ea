/*
 * See audit.h. An event enters as plain numbers; it is dropped when `audit` in the configuration
 * leaves it out, or when there were enough of its kind; else the SA it is about is looked up, for its
 * name and selectors, and it is told.
 */
#include "control/audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hex.h"
#include "control/keying.h"
#include "control/state.h"
#include "ipsec/pick.h"

#define EVENTS_PER_READ 64
#define SELECTORS_TOLD	4

static bool wanted(const struct daemon *d, const struct audit_info *i, uint8_t proto)
{
	unsigned of = d->cfg ? d->cfg->audit : AUDIT_OF_ALL;

	if (i->of == AUDIT_OF_IPSEC && proto)
		return of & (proto == SA_AH ? AUDIT_OF_AH : AUDIT_OF_ESP);
	return of & i->of;
}

/* How many of this kind were never told, and have not been counted out yet. */
static uint64_t left_out(const struct daemon *d, enum audit id)
{
	const struct audit_row *r = &d->audit.row[id];

	return r->left_out + (d->plane ? plane_audit_swallowed(d->plane, id) : 0) - r->counted;
}

/* ---- the SA it is about -----------------------------------------------------------------------
 */

struct seek {
	uint32_t spi;
	uint8_t proto;
	const struct sa *found;
};

static void look_at(struct sa *sa, void *arg)
{
	struct seek *s = arg;

	if (sa->dir == DIR_OUT && sa->spi == s->spi && sa->proto == s->proto)
		s->found = sa;
}

static const struct sa *sa_of(struct daemon *d, const struct audit_event *e)
{
	struct seek s = { .spi = e->spi, .proto = e->proto };

	if (!(e->have & AUDIT_F_SPI) || !d->plane)
		return NULL;
	if (!e->out)
		return sad_lookup(plane_sad(d->plane), e->spi, e->proto);
	for (unsigned i = 0; i < d->n_sas; i++)
		look_at(d->sas[i].sa, &s);
	if (d->keying)
		keying_each_sa(d->keying, look_at, &s);
	return s.found;
}

static void add_selectors(json_t *a, const struct selector *sel, unsigned n)
{
	char text[SELECTOR_STRLEN];

	for (unsigned i = 0; i < n && json_array_size(a) < SELECTORS_TOLD; i++)
		json_array_append_new(a, json_string(selector_format(&sel[i], text)));
}

/* Its own, or those of the policies that use it. */
static json_t *selectors_of(struct daemon *d, const struct sa *sa)
{
	const struct spd *spd = plane_spd(d->plane);
	json_t *a = json_array();

	add_selectors(a, sa->conf->sel, sa->conf->n_sel);
	for (unsigned i = 0;
	     spd && i < spd_count(spd) && !sa->conf->n_sel && json_array_size(a) < SELECTORS_TOLD;
	     i++) {
		const struct policy *p = spd_policy(spd, i);
		bool uses = sa->reqid && p->reqid == sa->reqid;
		for (unsigned k = 0; k < p->n_in; k++)
			uses |= p->in[k] == sa;
		for (unsigned k = 0; k < p->n_out; k++)
			uses |= p->out[k] == sa;
		uses |= pick_has(p, sa);
		if (uses)
			add_selectors(a, p->sel, p->n_sel);
	}
	return a;
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static void set_text(json_t *v, const char *key, const char *text)
{
	json_object_set_new(v, key, json_string(text));
}

static void set_hex(json_t *v, const char *key, uint32_t n, int digits)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%0*x", digits, n);
	set_text(v, key, text);
}

static void set_date(json_t *v, uint64_t wall_ns)
{
	time_t t = (time_t)(wall_ns / NS_PER_S);
	char text[40], whole[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	snprintf(whole, sizeof(whole), "%s.%03uZ", text,
		 (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
	set_text(v, "date", whole);
}

static void set_end(json_t *v, const char *key, const char *port_key, const struct endpoint *e,
		    bool with_port)
{
	char text[IP_ADDR_STRLEN];

	if (e->addr.ver == 0)
		return;
	set_text(v, key, ip_addr_format(&e->addr, text));
	if (with_port)
		json_object_set_new(v, port_key, json_integer(e->port));
}

static void set_inner(json_t *v, const struct audit_event *e)
{
	bool icmp = e->inner_proto == IPPROTO_ICMP || e->inner_proto == IPPROTO_ICMPV6;
	bool ports = e->inner_src.port || e->inner_dst.port;
	json_t *in = json_pack("{s:i}", "protocol", (int)e->inner_proto);

	set_end(in, "src", "src_port", &e->inner_src, ports && !icmp);
	set_end(in, "dst", "dst_port", &e->inner_dst, ports && !icmp);
	if (icmp) {
		json_object_set_new(in, "type", json_integer(e->inner_dst.port >> 8));
		json_object_set_new(in, "code", json_integer(e->inner_dst.port & 255));
	}
	json_object_set_new(v, "inner", in);
}

static void set_ike(json_t *v, const struct audit_event *e)
{
	char text[17];

	if (e->have & AUDIT_F_IKE_SPIS) {
		hex_encode(span_of(e->spi_i, 8), text);
		set_text(v, "ike_spi_i", text);
		hex_encode(span_of(e->spi_r, 8), text);
		set_text(v, "ike_spi_r", text);
	}
	if (e->have & AUDIT_F_TEXT && e->text)
		set_text(v, "text", e->text);
	if (e->conn)
		set_text(v, "conn", e->conn);
}

static json_t *fields_of(struct daemon *d, const struct audit_event *e, const struct audit_info *i)
{
	static const char *const severity[] = { [DROP_SEV_INFO] = "info",
						[DROP_SEV_WARN] = "warn",
						[DROP_SEV_ERROR] = "error" };
	const struct sa *sa = sa_of(d, e);
	json_t *v = json_pack("{s:s, s:s, s:s, s:s}", "audit", i->name, "severity",
			      severity[i->severity], "rfc", i->sections, "what", i->what);

	if (!v)
		return NULL;
	set_date(v, clock_wall_ns() - (clock_now_ns() - e->ns));
	if (e->have & AUDIT_F_SPI) {
		set_text(v, "protocol", e->proto == SA_AH ? "ah" : "esp");
		set_hex(v, "spi", e->spi, 8);
	}
	if (e->have & AUDIT_F_SEQ)
		json_object_set_new(v, "seq", json_integer((json_int_t)e->seq));
	if (e->have & AUDIT_F_ADDRS) {
		set_end(v, "src", "src_port", &e->src, e->src.port != 0);
		set_end(v, "dst", "dst_port", &e->dst, e->dst.port != 0);
	}
	if (e->have & AUDIT_F_FLOW)
		set_hex(v, "flow", e->flow, 5);
	if (e->have & AUDIT_F_INNER)
		set_inner(v, e);
	if (sa)
		set_text(v, "sa", sa->conf->name);
	if (sa && i->fields & AUDIT_F_SELECTORS)
		json_object_set_new(v, "selectors", selectors_of(d, sa));
	if (e->have & AUDIT_F_REASON && e->reason != DROP_NONE)
		set_text(v, "reason", drop_info(e->reason)->metric);
	set_ike(v, e);
	return v;
}

/* ---- the line ---------------------------------------------------------------------------------
 */

/* The fields in a row, as they are told to `monitor`; what is long comes last. */
static void write_line(const json_t *v, const struct audit_info *i, uint64_t more)
{
	static const char *const plain[] = { "protocol", "spi",	 "seq",	      "src",	   "src_port",
					     "dst",	 "dst_port", "flow",   "sa",	   "reason",
					     "conn",	 "ike_spi_i", "ike_spi_r" };
	static const enum log_level level[] = { [DROP_SEV_INFO] = LOG_LVL_INFO,
						[DROP_SEV_WARN] = LOG_LVL_WARN,
						[DROP_SEV_ERROR] = LOG_LVL_ERROR };
	const json_t *in = json_object_get(v, "inner"), *sel = json_object_get(v, "selectors");
	const char *text = json_string_value(json_object_get(v, "text"));
	char line[768] = "", *rest = NULL;
	size_t n = 0;

	if (!log_enabled(LOG_AUDIT, level[i->severity]))
		return;
	for (unsigned k = 0; k < ARRAY_LEN(plain) && n < sizeof(line); k++) {
		const json_t *f = json_object_get(v, plain[k]);
		if (json_is_string(f))
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%s", plain[k],
					      json_string_value(f));
		else if (json_is_integer(f))
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%llu", plain[k],
					      (unsigned long long)json_integer_value(f));
	}
	for (unsigned k = 0; k < 2; k++) {
		const json_t *f = k ? sel : in;
		rest = f ? json_dumps(f, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
		if (rest && n < sizeof(line))
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%s",
					      k ? "selectors" : "inner", rest);
		free(rest);
	}
	log_msg(LOG_AUDIT, level[i->severity], "%s (%s):%s%s%s", i->name, i->what, line,
		text ? ": " : "", text ? text : "");
	if (more)
		log_msg(LOG_AUDIT, level[i->severity], "%s: %llu more before it were left out",
			i->name, (unsigned long long)more);
}

/* ---- entry ------------------------------------------------------------------------------------
 */

void audit_tell(struct daemon *d, const struct audit_event *e)
{
	const struct audit_info *i = audit_info(e->id);
	uint32_t ignored;

	if (e->id == AUDIT_NONE || e->id >= AUDIT_EVENTS || !wanted(d, i, e->have & AUDIT_F_SPI ? e->proto : 0))
		return;
	struct audit_row *r = &d->audit.row[e->id];
	r->limit.burst = AUDIT_BURST;
	r->limit.every_ns = AUDIT_EVERY_S * NS_PER_S;
	if (!log_limit_pass(&r->limit, &ignored)) {
		r->left_out++;
		return;
	}
	uint64_t more = left_out(d, e->id);
	r->counted += more;
	r->told_ns = clock_now_ns();
	json_t *v = fields_of(d, e, i);
	if (!v)
		return;
	write_line(v, i, more);
	json_object_set_new(v, "suppressed", json_integer((json_int_t)more));
	daemon_event(d, "audit", v);
}

void audit_events(struct daemon *d)
{
	struct audit_event e[EVENTS_PER_READ];
	unsigned n;

	do {
		n = plane_audit(d->plane, e, EVENTS_PER_READ);
		for (unsigned i = 0; i < n; i++)
			audit_tell(d, &e[i]);
	} while (n == EVENTS_PER_READ);
}

void audit_tick(struct daemon *d, uint64_t now)
{
	for (unsigned id = AUDIT_NONE + 1; id < AUDIT_EVENTS; id++) {
		struct audit_row *r = &d->audit.row[id];
		const struct audit_info *i = audit_info((enum audit)id);
		uint64_t more = left_out(d, (enum audit)id);

		if (!more || now - r->told_ns < AUDIT_QUIET_S * NS_PER_S)
			continue;
		r->counted += more;
		r->told_ns = now;
		if (!wanted(d, i, 0))
			continue;
		log_info(LOG_AUDIT, "%s (%s): %llu more were left out", i->name, i->what,
			 (unsigned long long)more);
		daemon_event(d, "audit",
			     json_pack("{s:s, s:s, s:s, s:I}", "audit", i->name, "rfc",
				       i->sections, "what", i->what, "suppressed",
				       (json_int_t)more));
	}
}
