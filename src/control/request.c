/*
 * The requests of the control socket: {"cmd": NAME, ...} -> {"ok": true, "result": ...} or {"ok":
 * false, "error": SENTENCE, ...}. One row a command.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/keying.h"
#include "control/state.h"

static json_t *done(json_t *result)
{
	return json_pack("{s:b, s:o}", "ok", 1, "result", result ? result : json_null());
}

static json_t *failed(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static const char *text_of(const json_t *req, const char *key)
{
	return json_string_value(json_object_get(req, key));
}

static json_t *do_status(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	return done(report_status(d));
}

static json_t *do_list(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	static const struct {
		const char *what;
		json_t *(*make)(struct daemon *d);
	} row[] = { { "sas", report_sas },
		    { "policies", report_policies },
		    { "conns", report_conns },
		    { "certs", report_certs },
		    { "leases", report_leases },
		    { "drops", report_drops } };
	const char *what = text_of(req, "what");

	for (unsigned i = 0; what && i < ARRAY_LEN(row); i++)
		if (strcmp(row[i].what, what) == 0)
			return done(row[i].make(d));
	return failed("list: \"what\" is sas, policies, conns, certs, leases or drops");
}

static json_t *do_monitor(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	wants->monitor = true;
	return done(NULL);
}

static json_t *do_reload(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	json_t *errors, *warnings;

	if (model_reload(d, &errors, &warnings) == 0) {
		json_decref(errors);
		return done(json_pack("{s:o}", "warnings", warnings));
	}
	return json_pack("{s:b, s:s, s:o, s:o}", "ok", 0, "error", "nothing was changed", "errors",
			 errors, "warnings", warnings);
}

static json_t *do_log(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	const char *level = text_of(req, "level"), *subsys = text_of(req, "subsystem");
	int l = level ? log_level_parse(level) : -1, s = subsys ? log_subsys_parse(subsys) : -1;

	if (l < 0)
		return failed("a level is error, warn, notice, info or debug");
	if (subsys && s < 0)
		return failed("a subsystem is main, config, net, spd, sad, plane, control or ike");
	if (subsys)
		log_set_level((enum log_subsys)s, (enum log_level)l);
	else
		log_set_level_all((enum log_level)l);
	log_notice(LOG_CONTROL, "log level of %s is %s now", subsys ? subsys : "everything", level);
	return done(NULL);
}

/* The answer has the order's number; its events follow until order_done or ike_failed. */
static json_t *order(struct daemon *d, const json_t *req, enum keying_order what,
		     struct server_wants *wants)
{
	const char *name = text_of(req, "name");
	char why[512];
	uint64_t number = 0;

	if (!name)
		return failed("\"name\" is missing: a connection, or CONNECTION/CHILD");
	if (!d->keying)
		return failed("the configuration has no connections");
	if (wants->order)
		return failed("this client has given an order that is not carried out yet");
	if (keying_order(d->keying, what, name, &number, why, sizeof(why)))
		return failed(why);
	wants->order = number;
	return done(json_pack("{s:I}", "order", (json_int_t)number));
}

static json_t *do_up(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	return order(d, req, KEYING_UP, wants);
}

static json_t *do_down(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	return order(d, req, KEYING_DOWN, wants);
}

static json_t *do_rekey(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	bool reauth = json_is_true(json_object_get(req, "reauth"));
	return order(d, req, reauth ? KEYING_REAUTH : KEYING_REKEY, wants);
}

static json_t *do_keys(struct daemon *d, const json_t *req, struct server_wants *wants)
{
	char why[512];
	json_t *v = report_keys(d);

	if (v)
		return done(v);
	snprintf(why, sizeof(why), "%s does not say export_keys = yes", d->conf_path);
	return failed(why);
}

json_t *request_handle(void *daemon, json_t *request, struct server_wants *wants)
{
	static const struct {
		const char *cmd;
		json_t *(*run)(struct daemon *d, const json_t *req, struct server_wants *wants);
	} row[] = {
		{ "status", do_status }, { "list", do_list }, { "monitor", do_monitor },
		{ "reload", do_reload }, { "log", do_log },	{ "up", do_up },
		{ "down", do_down },	 { "rekey", do_rekey }, { "keys", do_keys },
	};
	const char *cmd = text_of(request, "cmd");

	for (unsigned i = 0; cmd && i < ARRAY_LEN(row); i++)
		if (strcmp(row[i].cmd, cmd) == 0)
			return row[i].run(daemon, request, wants);
	return failed("\"cmd\" is status, list, up, down, rekey, monitor, reload, keys or log");
}

void daemon_event(struct daemon *d, const char *name, json_t *fields)
{
	if (!d->server || !server_watched(d->server)) {
		json_decref(fields);
		return;
	}
	json_t *v = json_pack("{s:s, s:f}", "event", name, "time", (double)clock_wall_ns() / 1e9);
	if (v && fields)
		json_object_update(v, fields);
	json_decref(fields);
	if (v)
		server_broadcast(d->server, v);
	json_decref(v);
}
